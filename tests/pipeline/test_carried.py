"""Charts that a run takes over from the run before it in the same folder."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
from click.testing import CliRunner

from analyzer.cli import main
from analyzer.output import SUMS
from analyzer.sources import save_recording
from analyzer.usage import Recording, Usage
from tests.samples import meta, steady

MARK = b"drawn before"


def run(folder: Path, out: Path, web: float, *words: str) -> dict[str, tuple[str, bool]]:
    """What is told of the charts of two containers; the last day of one uses `web` cores."""
    window = meta(6)
    used = np.full(6 * 288, 0.2)
    used[-288:] = web
    parts = [steady(6, cpu=used), steady(6).assign(workload="api", pod="api-1")]
    save_recording(
        Recording(window, Usage.from_frame(pd.concat(parts), window)), folder / f"rec-{web}"
    )
    given = ["run", "-q", "--source", f"recording:{folder / f'rec-{web}'}", "-o", str(out)]
    done = CliRunner().invoke(main, [*given, "--no-backtest", *words])
    assert done.exit_code == 0, done.output
    return {path.name.split("--")[2]: told(path) for path in out.glob("charts/*--*.png")}


def told(chart: Path) -> tuple[str, bool]:
    """The hash of a chart but for its mark, and whether it has one."""
    content = chart.read_bytes()
    return hashlib.sha256(content.removesuffix(MARK)).hexdigest(), content.endswith(MARK)


def mark(out: Path, *, summed: bool = True) -> None:
    """Mark every chart in `out`, with the sums made anew so that they count as written there."""
    sums = out / SUMS
    for chart in out.glob("charts/*--*.png"):
        before = hashlib.sha256(chart.read_bytes()).hexdigest()
        chart.write_bytes(chart.read_bytes() + MARK)
        after = hashlib.sha256(chart.read_bytes()).hexdigest()
        if summed:
            sums.write_text(sums.read_text().replace(before, after))


def test_a_chart_of_what_did_not_change_is_kept_and_others_are_drawn(tmp_path: Path) -> None:
    """Another day of one container draws that one anew: all bytes are those of a first run."""
    out = tmp_path / "out"
    first = run(tmp_path, out, 0.2)
    assert set(first) == {"web", "api"}
    mark(out)
    assert run(tmp_path, out, 0.2) == {name: (one, True) for name, (one, _) in first.items()}
    then = run(tmp_path, out, 0.7)
    assert then["api"] == (first["api"][0], True)
    assert then["web"] == run(tmp_path, tmp_path / "anew", 0.7)["web"] != first["web"]
    assert not then["web"][1]


def test_another_policy_draws_what_it_proposes_otherwise(tmp_path: Path) -> None:
    """The same usage with another recommendation is another chart."""
    out = tmp_path / "out"
    first = run(tmp_path, out, 0.2)
    mark(out)
    settings = tmp_path / "rightsize.yaml"
    settings.write_text("rules:\n- workload: web\n  set: {memory_request_risk: 0.01}\n")
    then = run(tmp_path, out, 0.2, "--config", str(settings))
    assert then["api"] == (first["api"][0], True)
    assert not then["web"][1]


def test_a_chart_that_is_not_as_it_was_written_is_drawn_again(tmp_path: Path) -> None:
    """Damaged or put there by somebody: its own word for what it shows is not enough."""
    out = tmp_path / "out"
    first = run(tmp_path, out, 0.2)
    mark(out, summed=False)
    assert run(tmp_path, out, 0.2) == first
