"""Commands about usage data: a server recorded, tables imported, sources examined."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
from click.testing import CliRunner, Result

from analyzer.cli import main
from analyzer.sources import load_recording
from tests.sample_server import SAMPLE_DATA, SLICE

UNTIL = "2026-11-23T00:00:00Z"


def call(*words: str | Path) -> Result:
    """Run the command line in this process; it must not fail."""
    result = CliRunner().invoke(main, [str(word) for word in words])
    assert result.exit_code == 0, result.output
    return result


def names(folder: Path) -> list[str]:
    """What `recommend` says of a recording, by name."""
    source = f"recording:{folder}"
    done = call("recommend", "--source", source, "--all", "-q", "-o", "name")
    return done.stdout.splitlines()


def test_a_server_is_recorded_and_replayed(slice_server: str, tmp_path: Path) -> None:
    """The recording knows every workload that the server knew."""
    folder = tmp_path / "kept"
    call("record", "-p", slice_server, "--until", UNTIL, "--window", "3d", "-q", folder)
    assert {name.split("/")[2] for name in names(folder)} == SLICE - {"old-wiki"}


def test_an_anonymised_recording_names_nobody(tmp_path: Path) -> None:
    """No name of the cluster is left in any file, and the numbers are still there."""
    folder = tmp_path / "kept"
    source = f"recording:{SAMPLE_DATA / 'recording'}"
    call("record", "--source", source, "--anonymise", "-q", folder)
    recording = load_recording(folder)
    texts = [str(ref) for ref in recording.usage.containers]
    texts += [str(row) for row in recording.specs.itertuples()] + [recording.meta.cluster]
    everything = " ".join([*texts, *recording.usage.pods])
    for name in ("sonarr", "media", "homelab", "postgres"):
        assert name not in everything
    original = load_recording(SAMPLE_DATA / "recording")
    assert len(recording.usage.containers) == len(original.usage.containers)
    assert recording.usage.cpu_cores.size == original.usage.cpu_cores.size


def test_a_table_of_series_becomes_a_recording(tmp_path: Path) -> None:
    """One container per series_id, whatever else the table lacks."""
    times = pd.date_range("2026-11-01", periods=288 * 5, freq="5min", tz="UTC")
    parts = [
        pd.DataFrame({"series_id": s, "timestamp": times, "cpu_cores": 0.1, "memory_bytes": 1e8})
        for s in ("a", "b")
    ]
    pd.concat(parts).to_csv(tmp_path / "usage.csv", index=False)
    call("import", tmp_path / "usage.csv", tmp_path / "imported", "--cluster", "mine")
    recording = load_recording(tmp_path / "imported")
    assert len(recording.usage.containers) == 2
    assert recording.meta.cluster == "mine"
    assert recording.meta.step.total_seconds() == 300


def test_an_import_says_what_it_left_out(tmp_path: Path) -> None:
    """Rows that are dropped, and times that are guessed, are told on stderr.

    One table has 400 Unix times and two rows without any, the other 400 dates and one of 1990.
    """
    head = "series_id,timestamp,cpu_cores,memory_bytes\n"
    times = [1_764_000_000 + 300 * step for step in range(400)]
    rows = [f"x,{time},0.1,1e8" for time in times] + ["x,,0.1,1e8", "x,,0.2,1e8"]
    table = tmp_path / "usage.csv"
    table.write_text(head + "\n".join(rows))
    done = call("import", table, tmp_path / "unix")
    assert "2 rows without a timestamp are left out" in done.stderr
    assert "read as Unix seconds" in done.stderr
    dates = [f"x,{pd.Timestamp(time, unit='s', tz='UTC').isoformat()},0.1,1e8" for time in times]
    dates.append("x,1990-01-01T00:00:00+00:00,0.1,1e8")
    table.write_text(head + "\n".join(dates))
    done = call("import", table, tmp_path / "dated")
    assert "1 rows are left out, whose times lie years apart" in done.stderr
    assert load_recording(tmp_path / "dated").meta.start.year == 2025


def test_a_library_that_logs_adds_nothing_to_stderr() -> None:
    """Neither its sentence nor Python's own about missing handlers is printed."""
    program = (
        "import logging; from analyzer.cli import main; "
        "main(['config', '-o', 'json'], standalone_mode=False); "
        "logging.getLogger('some.library').warning('for its developers')"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], check=False, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_backtest_has_every_key_for_every_model(tmp_path: Path) -> None:
    """One object with `results`, as the design fixes it."""
    source = f"recording:{SAMPLE_DATA / 'recording'}"
    done = call(
        "backtest", "--source", source, "--train", "14d", "--horizon", "7d", "-q", "-o", "json"
    )
    value = json.loads(done.stdout)
    assert value["schema"] == "rightsize/v1"
    keys = {
        *("model", "resource", "stated_risk", "container_weeks", "overrun_week_share"),
        *("overrun_sample_share", "footprint_to_usage", "footprint_to_oracle", "changes_per_week"),
    }
    assert all(keys <= set(row) for row in value["results"])
    assert {row["resource"] for row in value["results"]} == {"cpu", "memory"}
    assert {"this policy", "pooled", "percentile", "trend", "vpa", "krr", "constant"} <= {
        row["model"] for row in value["results"]
    }


def test_doctor_examines_servers_and_recordings(slice_server: str) -> None:
    """A line with what was found and below it what to do; nothing is wrong with these two."""
    for source in (f"prometheus:{slice_server}", f"recording:{SAMPLE_DATA / 'recording'}"):
        done = CliRunner().invoke(main, ["doctor", "--source", source, "--until", UNTIL])
        heads = [line.split()[0] for line in done.stdout.splitlines() if line[0] != " "]
        assert "ok" in heads
        assert "problem" not in heads
        assert done.exit_code == 0


def test_doctor_wraps_to_the_terminal_and_keeps_paths_whole(repository: Path) -> None:
    """No line is wider than the terminal, but for a path or address longer than its column."""
    sample = str(repository / "sample-data" / "gitops")
    done = CliRunner(env={"COLUMNS": "100"}).invoke(main, ["doctor", "--repo", sample])
    lines = done.stdout.splitlines()
    assert all(len(line) <= 100 or len(line.split()) == 1 for line in lines)
    assert any("-> " in line for line in lines)
    path = "kubernetes/apps/home-automation/matter-server/app/helmrelease.yaml:"
    assert any(path in line.split() for line in lines)


def test_doctor_examines_a_repository_without_a_source(repository: Path) -> None:
    """With a repository alone no usage is asked for; with both, both are told."""
    sample = str(repository / "sample-data" / "gitops")
    alone = CliRunner().invoke(main, ["doctor", "--repo", sample, "-o", "json"])
    checks = {finding["check"] for finding in json.loads(alone.stdout)["findings"]}
    assert {"git", "files", "roots", "places", "charts"} <= checks
    assert "usage" not in checks
    assert alone.exit_code == 0
    source = f"recording:{SAMPLE_DATA / 'recording'}"
    both = CliRunner().invoke(main, ["doctor", "--repo", sample, "--source", source, "-o", "json"])
    checks = {finding["check"] for finding in json.loads(both.stdout)["findings"]}
    assert {"usage", "places"} <= checks


def test_naming_a_cluster_without_asking_it_is_a_mistake(repository: Path) -> None:
    """A flag that would do nothing is answered with the one that is missing."""
    sample = str(repository / "sample-data" / "gitops")
    done = CliRunner().invoke(main, ["doctor", "--repo", sample, "--context", "home"])
    assert done.exit_code == 2
    assert "add --ask-cluster" in done.stderr
