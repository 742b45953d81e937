"""How long the phases of a run take: told, written, and absent where nobody gave a clock."""

from __future__ import annotations

import json
from itertools import count
from pathlib import Path

import pytest
from click.testing import CliRunner
from prometheus_client.parser import text_string_to_metric_families

from analyzer.cli import main
from analyzer.pipeline.phase import Phases
from tests.conftest import REPOSITORY

SAMPLE_DATA = REPOSITORY / "sample-data"


def test_a_phase_takes_what_the_clock_says() -> None:
    """A clock that ticks once a look: one second each; one that fails is not counted."""
    told: list[tuple[str, float]] = []
    ticks = count()
    phases = Phases(
        lambda: float(next(ticks)), lambda phase, seconds: told.append((phase, seconds))
    )
    with phases("read"):
        pass
    with pytest.raises(ValueError), phases("learn"):
        raise ValueError
    with phases("draw"):
        next(ticks)
    assert phases.seconds == {"read": 1.0, "draw": 2.0}
    assert told == [("read", 1.0), ("draw", 2.0)]


def test_without_a_clock_nothing_is_measured() -> None:
    """What is written then depends on nothing but what is read."""
    phases = Phases()
    with phases("read"):
        pass
    assert phases.seconds == {}


def test_logs_report_and_metrics_tell_of_every_phase(tmp_path: Path) -> None:
    """One JSON line a phase; run.json and metrics.prom have the same seconds."""
    words = ["run", "--source", f"recording:{SAMPLE_DATA}/recording", "-n", "media"]
    words += ["--repo", str(SAMPLE_DATA / "gitops"), "--log-format", "json", "-o"]
    done = CliRunner().invoke(main, [*words, str(tmp_path / "out"), "--no-backtest", "--no-charts"])
    assert done.exit_code == 0, done.output
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    told = {line["phase"]: line["seconds"] for line in lines if "phase" in line}
    assert list(told) == ["read", "repository", "learn", "judge", "land"]
    assert json.loads((tmp_path / "out/run.json").read_bytes())["seconds"] == told
    families = text_string_to_metric_families((tmp_path / "out/metrics.prom").read_text())
    (family,) = (f for f in families if f.name == "rightsize_phase_seconds")
    assert {s.labels["phase"]: s.value for s in family.samples} == told
