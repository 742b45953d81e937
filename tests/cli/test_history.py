"""`rightsize history`: what earlier runs proposed and what became of it."""

from __future__ import annotations

import json
from pathlib import Path

from click.testing import CliRunner, Result

from analyzer.cli import main

SAMPLE = Path(__file__).parents[2] / "sample-data"
FEW = ["--no-charts", "--no-backtest", "--format", "csv", "-n", "media", "-q"]


def call(*words: str | Path, code: int = 0) -> Result:
    """Run the command line in this process."""
    result = CliRunner().invoke(main, [str(word) for word in words])
    assert result.exit_code == code, result.output
    return result


def run(until: str, ledger: Path | str, output: Path, code: int = 0) -> None:
    """A run over the sample recording up to some day."""
    source = ["--source", f"recording:{SAMPLE}/recording", "--until", until]
    call("run", *source, *FEW, "--ledger", ledger, "-o", output, code=code)


def test_two_runs_are_told_as_one_story(tmp_path: Path) -> None:
    """Proposals of the first review are open, or replaced, at the second; JSON says the same."""
    ledger = tmp_path / "ledger"
    for day in ("2026-11-16", "2026-11-23"):
        run(f"{day}T00:00Z", ledger, tmp_path / "out")
    assert len(list(ledger.iterdir())) == 2
    lines = call("history", "--ledger", ledger).stdout.splitlines()
    assert lines[0].split()[:2] == ["CONTAINER", "PROPOSED"]
    value = json.loads(call("history", "--ledger", ledger, "-o", "json").stdout)
    assert value["schema"] == "rightsize/v1"
    assert len(value["proposals"]) == len(lines) - 1 > 0
    assert {p["fate"] for p in value["proposals"]} <= {"open", "replaced", "withdrawn"}
    first = value["proposals"][0]["ref"]
    own = call("history", f"media/{first['kind']}/{first['workload']}", "--ledger", ledger)
    assert 1 < len(own.stdout.splitlines()) < len(lines)
    missing = CliRunner().invoke(main, ["history", "sonar", "--ledger", str(ledger)])
    assert missing.exit_code == 2
    assert "no workload sonar; did you mean media/deployment/sonarr?" in missing.stderr


def test_without_a_ledger_nothing_is_written_beside_the_output(tmp_path: Path) -> None:
    """A recording keeps none by default, and `off` keeps none at all."""
    run("2026-11-23T00:00Z", "off", tmp_path / "out")
    assert {path.name for path in tmp_path.iterdir()} == {"out"}
    nothing = CliRunner().invoke(main, ["history", "--ledger", str(tmp_path / "none")])
    assert nothing.exit_code == 2
    assert "no run has kept a ledger there" in nothing.stderr


def test_a_damaged_ledger_makes_one_run_partial_and_the_next_ones_say_so(tmp_path: Path) -> None:
    """No run needs a person, and none forgets in silence; results are written all the same."""
    ledger, output = tmp_path / "ledger", tmp_path / "out"
    run("2026-11-16T00:00Z", ledger, output)
    (kept,) = ledger.iterdir()
    kept.write_bytes(kept.read_bytes()[:-1])
    said = call("history", "--ledger", ledger).stderr
    assert f"{kept}: is damaged" in said
    run("2026-11-23T00:00Z", ledger, output, code=3)
    assert f"{kept}: is damaged" in json.loads((output / "run.json").read_bytes())["warnings"][0]
    run("2026-11-23T00:00Z", ledger, output)
    value = json.loads((output / "run.json").read_bytes())
    assert value["warnings"] == []
    assert [f"_damaged-{kept.name}" in notice for notice in value["notices"]] == [True]
    assert kept.name in {path.name.removeprefix("_damaged-") for path in ledger.iterdir()}
