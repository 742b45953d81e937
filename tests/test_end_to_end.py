"""The whole line: a real Prometheus and its recording lead to the same decisions."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from analyzer.cli import main
from analyzer.history import build_histories
from analyzer.policy import round_up
from analyzer.recommend import TARGETS
from analyzer.report import Report, load_report
from analyzer.sources import load_recording
from analyzer.usage import Recording
from tests.sample_server import SAMPLE_DATA, SLICE

UNTIL = "2026-11-23T00:00:00Z"


def call(*words: str | Path) -> Result:
    """Run the command line in this process."""
    return CliRunner().invoke(main, [str(word) for word in words])


def part(recording: Recording) -> Recording:
    """The part of the sample recording that the server holds."""
    usage = recording.usage
    kept = [ref for ref in usage.containers if ref.workload in SLICE]
    frame = usage.to_frame()
    frame = frame[frame["workload"].isin(SLICE)]
    smaller = type(usage).from_frame(frame, recording.meta)
    assert list(smaller.containers) == kept
    return replace(
        recording,
        usage=smaller,
        specs=recording.specs[recording.specs["workload"].isin(SLICE)],
        events=recording.events[recording.events["workload"].isin(SLICE)],
    )


@pytest.fixture(scope="module")
def from_recording(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """The run on the recording, limited to what the server holds and its two weeks."""
    from analyzer.sources import save_recording

    folder = tmp_path_factory.mktemp("recorded")
    save_recording(part(load_recording(SAMPLE_DATA / "recording")), folder / "slice")
    source = f"recording:{folder / 'slice'}"
    done = call(
        "run", "--source", source, "--window", "14d", "-o", folder / "out", "--no-charts", "-q"
    )
    assert done.exit_code == 0, done.output
    return load_report(folder / "out" / "run.json")


@pytest.fixture(scope="module")
def output(slice_server: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output of a run against the server, with the repository."""
    folder = tmp_path_factory.mktemp("served") / "out"
    done = call(
        *("run", "-p", slice_server, "--until", UNTIL, "--cluster", "homelab", "-q"),
        *("--repo", SAMPLE_DATA / "gitops", "-o", folder, "--no-charts"),
    )
    assert done.exit_code == 0, done.output
    return folder


@pytest.fixture(scope="module")
def from_server(output: Path) -> Report:
    """The report of that run."""
    return load_report(output / "run.json")


def test_both_sources_know_the_same_containers(from_server: Report, from_recording: Report) -> None:
    """Found through kube-state-metrics alone, vanished pods included."""
    served = {str(r.ref): r.container_type for r in from_server.recommendations}
    recorded = {str(r.ref): r.container_type for r in from_recording.recommendations}
    assert served == recorded
    assert {str(s.ref) for s in from_server.skipped} == {str(s.ref) for s in from_recording.skipped}


def test_both_sources_lead_to_the_same_amounts(from_server: Report, from_recording: Report) -> None:
    """Every request and limit is the same, but for one step where rounding tips over.

    A server tells decimals and a recording binary fractions: 500.0 and 500.3 millicores become 500m
    and 550m. Nine amounts in ten do not lie so near to an edge.
    """
    same = []
    recorded = {str(r.ref): r for r in from_recording.recommendations}
    for served in from_server.recommendations:
        twin = recorded[str(served.ref)]
        assert served.current == twin.current
        assert served.replicas == twin.replicas
        for target in TARGETS:
            one, other = getattr(served.proposed, target), getattr(twin.proposed, target)
            assert (one is None) == (other is None), (served.ref, target)
            if one is not None:
                low, high = sorted([one, other])
                assert high <= round_up(type(low)(low.units + 1)), (served.ref, target)
                same.append(one == other)
    assert sum(same) >= 0.9 * len(same)


def test_the_evidence_agrees(from_server: Report, from_recording: Report) -> None:
    """Quantiles to a thousandth; kills, restarts and image changes to the number."""
    recorded = {str(r.ref): r.evidence for r in from_recording.recommendations}
    for served in from_server.recommendations:
        one, other = served.evidence, recorded[str(served.ref)]
        for resource in ("cpu", "memory"):
            for name in ("p50", "p95", "p99", "max"):
                mine, its = (getattr(getattr(e, resource), name) for e in (one, other))
                assert mine == pytest.approx(its, rel=1e-3, abs=1e-4), (served.ref, resource, name)
        assert (one.oom_kills, one.oom_limit) == (other.oom_kills, other.oom_limit), served.ref
        assert one.restarts == other.restarts, served.ref


def test_the_patches_apply_with_git(output: Path, tmp_path: Path, git: Path) -> None:
    """`git apply` takes the diff, `git am` takes the commits, and both end at the same tree."""
    trees = []
    for way in ("apply", "am"):
        clone = tmp_path / way
        subprocess.run(["cp", "-r", SAMPLE_DATA / "gitops", clone], check=True)

        def run(*words: str | Path, clone: Path = clone) -> str:
            identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
            done = subprocess.run(
                [git, *identity, *words], cwd=clone, capture_output=True, text=True, check=True
            )
            return done.stdout

        run("init", "-q")
        run("add", "-A")
        run("commit", "-qm", "base")
        if way == "apply":
            run("apply", output / "git" / "all.diff")
            run("commit", "-qam", "all")
        else:
            run("am", "-q", *sorted((output / "git").glob("*.patch")))
        trees.append(run("rev-parse", "HEAD^{tree}"))
    assert trees[0] == trees[1]


def test_later_commands_work_from_the_run_alone(output: Path, tmp_path: Path) -> None:
    """`diff` from run.json is the diff of the run; `patch` writes just that."""
    done = call("diff", "--from", output / "run.json", "--repo", SAMPLE_DATA / "gitops")
    assert done.stdout == (output / "git" / "all.diff").read_text()
    subprocess.run(["cp", "-r", SAMPLE_DATA / "gitops", tmp_path / "repo"], check=True)
    refused = call("patch", "--from", output / "run.json", "--repo", tmp_path / "repo")
    assert "expected a git checkout" in refused.output
    call("patch", "--from", output / "run.json", "--repo", tmp_path / "repo", "--allow-dirty")
    again = call("diff", "--from", output / "run.json", "--repo", tmp_path / "repo")
    assert again.stdout == ""


def test_places_match_the_truth(output: Path) -> None:
    """Every traced container stands where the sample says it stands."""
    import csv

    done = call(
        "trace", "--from", output / "run.json", "--repo", SAMPLE_DATA / "gitops", "-o", "json"
    )
    with (SAMPLE_DATA / "places.csv").open() as file:
        truth = {
            "/".join(row[k] for k in ("namespace", "workload_kind", "workload", "container")): row
            for row in csv.DictReader(file)
        }
    certain = [t for t in json.loads(done.stdout)["traces"] if t["confidence"] == "certain"]
    assert len(certain) >= 8
    for found in certain:
        assert found["file"] == truth[found["container"]]["file"], found


def test_histories_of_a_server_hold_every_series(slice_server: str) -> None:
    """Nothing of a slice is lost on the way: as many pods as the recording has."""
    from datetime import UTC, datetime, timedelta

    from analyzer.sources import Window, open_source

    window = Window(end=datetime(2026, 11, 23, tzinfo=UTC), length=timedelta(days=14))
    served = build_histories(open_source(slice_server).read(window))
    whole = part(load_recording(SAMPLE_DATA / "recording"))
    recorded = whole.usage.between(7 * 288, 21 * 288)
    assert set(served.usage.pods) == set(recorded.pods)
