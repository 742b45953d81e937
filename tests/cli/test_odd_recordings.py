"""Recordings nobody would expect: a result, a skip with its reason, or one sentence."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner, Result

from analyzer.cli import main
from analyzer.output import SUMS
from tests.samples import MIB, names, steady

HOSTILE = [
    "a|b",
    "<script>alert(1)</script>",
    "$(touch pwned)",
    "../../etc",
    "a\nb: c",
    "\x1b[31mred",
    "'; drop table x; --",
    "{{ .Values }}",
    "$x^2$",
]


def recorded(folder: Path, usage: pd.DataFrame, specs: list[dict[str, object]] | None) -> str:
    """A recording with these tables, as `--source` names it."""
    folder.mkdir()
    usage.to_parquet(folder / "usage.parquet")
    if specs is not None:
        pd.DataFrame(specs).to_parquet(folder / "specs.parquet")
    return f"recording:{folder}"


def run(source: str, output: Path) -> Result:
    """A whole run on it, charts included."""
    return CliRunner().invoke(main, ["run", "--source", source, "-o", str(output), "-q"])


@pytest.mark.parametrize(
    ("usage", "skipped"),
    [
        (steady(14).assign(cpu_cores=float("nan"), memory_bytes=float("nan")), True),
        (steady(14).assign(cpu_cores=0.0, memory_bytes=0.0), True),
        (steady(14).assign(cpu_cores=float("nan")), False),
        (steady(14).drop(columns="memory_bytes"), False),
        (steady(14).sample(frac=1.0, random_state=1), False),
        (pd.concat([steady(14), steady(14)]), False),
        (steady(30 / 1440), True),
        (steady(1 / 288), True),
    ],
    ids=["all NaN", "zero", "no CPU", "no memory", "shuffled", "twice", "30 minutes", "1 sample"],
)
def test_whatever_was_seen_is_recommended_or_skipped(
    usage: pd.DataFrame, skipped: bool, tmp_path: Path
) -> None:
    """No traceback, and the one container is accounted for."""
    spec = {**names(), "cpu_request_cores": 1.0, "memory_request_bytes": 1024.0 * MIB}
    done = run(recorded(tmp_path / "r", usage, [spec]), tmp_path / "out")
    assert done.exit_code == 0, done.output
    value = json.loads((tmp_path / "out" / "run.json").read_text())
    assert (len(value["recommendations"]), len(value["skipped"])) == (not skipped, skipped)


def test_without_specs_requests_are_still_recommended(tmp_path: Path) -> None:
    """Only usage.parquet is required."""
    done = run(recorded(tmp_path / "r", steady(14), None), tmp_path / "out")
    assert done.exit_code == 0, done.output
    value = json.loads((tmp_path / "out" / "run.json").read_text())
    assert value["recommendations"][0]["proposed"]["memory_request"]


@pytest.mark.parametrize("value", [1e300, float("inf"), -1.0])
def test_absurd_numbers_are_not_observed(value: float, tmp_path: Path) -> None:
    """No amount rests on them; what is declared stays, and the report tells why."""
    spec = {**names(), "memory_request_bytes": 1024.0 * MIB}
    usage = steady(14).assign(memory_bytes=value)
    done = run(recorded(tmp_path / "r", usage, [spec]), tmp_path / "o")
    assert done.exit_code == 0, done.output
    found = json.loads((tmp_path / "o" / "run.json").read_text())
    assert found["recommendations"][0]["proposed"]["memory_request"] == "1Gi"
    assert [verdict["samples"] for verdict in found["verdicts"]] == [4032]
    assert "4032 of 4032 memory samples" in found["recommendations"][0]["notes"][-1]


def test_one_absurd_number_costs_one_sample(tmp_path: Path) -> None:
    """The amounts are those of the recording without it, and the table shows no such maximum."""
    usage = steady(14, memory=100.0 * MIB)
    usage.loc[1000, "memory_bytes"] = 2.0**64
    usage.loc[2000, "cpu_cores"] = 1e300
    proposed = []
    for number, table in enumerate((steady(14), usage)):
        done = run(recorded(tmp_path / f"r{number}", table, None), tmp_path / f"o{number}")
        assert done.exit_code == 0, done.output
        found = json.loads((tmp_path / f"o{number}" / "run.json").read_text())
        proposed.append(found["recommendations"][0]["proposed"])
        assert found["recommendations"][0]["evidence"]["memory"]["max"] == 100 * MIB
    assert proposed[0] == proposed[1]


def test_strangers_names_harm_nothing(tmp_path: Path) -> None:
    """No writer, chart or terminal acts on a name; every file stays in its folder."""
    tables = [steady(4, container=name, namespace="n") for name in HOSTILE]
    tables += [steady(4, namespace=name) for name in HOSTILE]
    done = run(recorded(tmp_path / "r", pd.concat(tables), None), tmp_path / "out")
    assert done.exit_code == 0, done.output
    assert "\x1b" not in done.output
    listed = (tmp_path / "out" / SUMS).read_text()
    assert "pwned" not in "".join(p.name for p in tmp_path.rglob("*") if p.suffix != ".png")
    assert all(".." not in line.partition("  ")[2].split("/") for line in listed.splitlines())
    assert "<script" not in (tmp_path / "out" / "summary.md").read_text()
    assert {path.name for path in tmp_path.iterdir()} == {"r", "out"}
