"""Many clusters: each by itself, all told of together, and one that fails takes none along."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import jsonschema
import pandas as pd
import pytest
from click.testing import CliRunner

from analyzer.cli import main
from analyzer.fleet.pages import write_fleet
from analyzer.fleet.state import differences, gather
from analyzer.plots.fleet import SHOWN, ClusterBar, describe_fleet, fleet_figure
from analyzer.report import Report, dump_report
from analyzer.writers.page import write_page
from tests.browser import Browser
from tests.plots.scenes import lines_of
from tests.samples import recommendation, report, resources

SAMPLE = Path(__file__).resolve().parent.parent / "sample-data" / "recording"
NOW = datetime(2026, 11, 23, 6, tzinfo=UTC)
NASTY = "a|b<script>x</script>[l](javascript:x)"


def found(now: str, new: str, *, workload: str = "web") -> Report:
    """A run whose one container asks for `now` of memory and should ask for `new`."""
    one = recommendation(resources("1", now), resources("200m", new))
    named = replace(one, ref=replace(one.ref, workload=workload))
    return replace(report(named), created=NOW)


def left(folder: Path, name: str, run: Report) -> None:
    """What the run of a cluster leaves."""
    (folder / name).mkdir(parents=True)
    (folder / name / "run.json").write_bytes(dump_report(run))
    (folder / name / "index.html").write_bytes(write_page(run)["index.html"])


def test_all_clusters_are_told_the_largest_change_first(tmp_path: Path) -> None:
    """Sums are those of the runs, and what differs between clusters is named with both ends."""
    left(tmp_path, "small", found("1Gi", "1Gi"))
    left(tmp_path, "large", found("64Gi", "4Gi"))
    fleet = gather(tmp_path, ["small", "large"], {}, NOW, "1").fleet
    assert [c.name for c in fleet.clusters] == ["large", "small"]
    assert fleet.requests["memory"] == (65 * 2**30, 5 * 2**30)
    (one,) = fleet.differences
    assert (one.workload, one.resource, one.clusters, one.factor) == ("web", "memory", 2, 4.0)
    assert (one.lowest, one.lowest_amount, one.highest, one.highest_amount) == (
        *("small", "1Gi"),
        *("large", "4Gi"),
    )


def test_a_cluster_that_failed_is_told_by_its_earlier_run(tmp_path: Path) -> None:
    """With the date of that run; one that never ran has no figures, and counts in no sum."""
    left(tmp_path, "old", found("2Gi", "1Gi"))
    gathered = gather(tmp_path, ["old", "never"], {"old": "no answer"}, NOW, "1")
    old, never = gathered.fleet.clusters
    assert (old.standing, never.standing) == ("failed", "failed")
    assert gathered.fleet.requests["memory"] == (2 * 2**30, 2**30)
    assert "run `rightsize run` first" in never.problem
    summary = write_fleet(gathered)["summary.md"].decode()
    assert "failed: no answer (shown is the run of 2026-11-23 06:00" in summary
    assert "2 failed" in summary


def test_a_cluster_that_no_run_comes_from_any_more_is_told(tmp_path: Path) -> None:
    """Where each cluster runs on its own, the report of all is the one place that can see it."""
    left(tmp_path, "a", found("2Gi", "1Gi"))
    (week,) = gather(tmp_path, ["a"], {}, NOW + timedelta(days=10), "1").fleet.clusters
    (late,) = gather(tmp_path, ["a"], {}, NOW + timedelta(days=11), "1").fleet.clusters
    assert (week.standing, late.standing) == ("done", "failed")
    assert late.problem == "no run has ended well for 11 days; see its job"
    assert late.requests == week.requests


def test_only_the_same_container_is_compared() -> None:
    """Of another namespace, kind or name it is another one; twice as much is worth a word."""
    rows = pd.DataFrame(
        {
            "cluster": ["a", "b", "a", "b", "b", "a", "b"],
            "namespace": ["x", "x", "x", "x", "y", "x", "x"],
            "kind": ["Deployment"] * 7,
            "workload": ["web", "web", "db", "db", "web", "job", "job"],
            "container": ["app"] * 7,
            "cpu_request_proposed": [0.1, 0.2, 1.0, 1.9, 9.0, None, 1.0],
            "memory_request_proposed": [2.0**30] * 7,
        }
    )
    assert [(d.namespace, d.workload, d.factor) for d in differences(rows)] == [("x", "web", 2.0)]


def test_names_from_strangers_stay_text(tmp_path: Path) -> None:
    """In Markdown, HTML and CSV."""
    left(tmp_path, "a", found("1Gi", "1Gi", workload=NASTY))
    left(tmp_path, "b", found("1Gi", "9Gi", workload=NASTY))
    gathered = gather(tmp_path, ["a", "b"], {"a": f"=cmd() {NASTY}"}, NOW, "1")
    files = write_fleet(gathered)
    assert b"<script>" not in files["index.html"]
    assert b"<script>" not in files["summary.md"]
    assert b"[l](javascript" not in files["summary.md"]
    assert json.loads(files["fleet.json"])["differences"][0]["workload"] == NASTY


def test_the_report_is_what_its_schema_says(tmp_path: Path) -> None:
    """As published."""
    left(tmp_path, "a", found("1Gi", "2Gi"))
    files = write_fleet(gather(tmp_path, ["a", "b"], {}, NOW, "1"))
    published = Path(__file__).resolve().parent.parent / "docs" / "schema" / "fleet.json"
    schema = json.loads(published.read_text("utf-8"))
    jsonschema.validate(json.loads(files["fleet.json"]), schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"clusters": [{"name": 1}]}, schema)


def test_the_page_opens_the_page_of_each_cluster(
    tmp_path: Path, browser: Browser, axe: str
) -> None:
    """In a browser, without complaints, and without serious findings of axe."""
    left(tmp_path, "a", found("1Gi", "1Gi"))
    left(tmp_path, "b", found("1Gi", "9Gi"))
    (tmp_path / "fleet").mkdir()
    gathered = gather(tmp_path, ["a", "b"], {}, NOW, "1")
    for name, content in write_fleet(gathered).items():
        (tmp_path / "fleet" / name).write_bytes(content)
    shutil.copy(Path(__file__).resolve().parent.parent / "docs" / "architecture.svg",
                tmp_path / "fleet" / "fleet.png")  # fmt: skip
    browser.open((tmp_path / "fleet" / "index.html").as_uri(), width=400)
    serious = browser.run(
        f"{axe}; axe.run().then(r => r.violations.filter(v => "
        "['serious', 'critical'].includes(v.impact)).map(v => v.id))"
    )
    assert serious == []
    browser.open(browser.run("document.querySelector('th a').href"))
    assert browser.run("document.querySelector('h1').textContent").startswith("Right-sizing")


def test_the_chart_says_its_sums_and_lets_no_cluster_out() -> None:
    """Of more clusters than have room the last share a row."""
    bars = [
        ClusterBar(f"c{n}", {"cpu": (1000, 500), "memory": (2**30, 2**31)})
        for n in range(SHOWN + 9)
    ]
    assert describe_fleet(bars) == (
        "39 clusters: CPU requests 39 cores → 19.5 cores (−50%), "
        "memory requests 39 GiB → 78 GiB (+100%)."
    )
    texts = [text.get_text() for text in lines_of(fleet_figure(bars))]
    assert "10 others" in texts
    assert f"c{SHOWN - 2}" in texts
    assert f"c{SHOWN - 1}" not in texts


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    """Two clusters with usage, and one without."""
    path = tmp_path / "rightsize.yaml"
    path.write_text(
        f"output: {tmp_path / 'out'}\nnamespaces: [network]\nwindow: 3d\n"
        "charts: false\nbacktest: false\nledger: 'off'\nformats: [csv]\n"
        "clusters:\n"
        f"  one: {{source: 'recording:{SAMPLE}'}}\n"
        f"  two: {{source: 'recording:{SAMPLE}', preset: careful}}\n"
        f"  gone: {{source: 'recording:{tmp_path / 'nowhere'}'}}\n"
    )
    return path


def test_one_that_fails_stops_no_other(settings: Path, tmp_path: Path) -> None:
    """Real processes: exit code 3, the failed one named, everything else written."""
    done = CliRunner().invoke(main, ["fleet", "--config", str(settings), "--jobs", "2"])
    assert done.exit_code == 3, done.output
    assert "gone failed: there is no recording" in done.stderr
    fleet = json.loads((tmp_path / "out" / "fleet" / "fleet.json").read_bytes())
    standing = {c["name"]: c["standing"] for c in fleet["clusters"]}
    assert standing == {"one": "done", "two": "done", "gone": "failed"}
    rows = pd.read_csv(tmp_path / "out" / "fleet" / "recommendations.csv")
    assert set(rows["cluster"]) == {"one", "two"}
    again = CliRunner().invoke(main, ["fleet", "--config", str(settings), "--gather", "-q"])
    assert again.exit_code == 3
    told = json.loads((tmp_path / "out" / "fleet" / "fleet.json").read_bytes())
    assert told["clusters"][:2] == fleet["clusters"][:2]
    assert "run `rightsize run` first" in told["clusters"][2]["problem"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--only", "oen"], "has no cluster 'oen'; did you mean one"),
        (["--only", ""], "--only names no cluster"),
        (["--gather", "--only", "one"], "--gather runs no cluster"),
        (["--dry-run"], "--dry-run goes with --pr"),
        (["--config", "nowhere.yaml"], "nowhere.yaml: cannot be read"),
    ],
)
def test_mistakes_are_told_before_anything_runs(
    settings: Path, tmp_path: Path, words: list[str], said: str
) -> None:
    """One sentence, and no folder."""
    done = CliRunner().invoke(main, ["fleet", "--config", str(settings), *words])
    assert done.exit_code != 0
    assert said in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_cluster_without_a_source_is_told_before_anything_runs(tmp_path: Path) -> None:
    """Not after the others have run for an hour."""
    path = tmp_path / "rightsize.yaml"
    path.write_text(f"clusters:\n  a: {{source: 'recording:{SAMPLE}'}}\n  b: {{}}\n")
    done = CliRunner().invoke(main, ["fleet", "--config", str(path), "-o", str(tmp_path / "out")])
    assert done.exit_code == 2
    assert "b has no source" in done.stderr


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_whoever_ends_it_ends_its_runs(tmp_path: Path, end: signal.Signals) -> None:
    """A run that waits for a server is gone once the command is told to end, or is killed."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(120)
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        path = tmp_path / "rightsize.yaml"
        path.write_text(
            f"output: {tmp_path}/out\nclusters: {{a: {{source: 'prometheus:{url}'}}}}\n"
        )
        command = [sys.executable, "-m", "analyzer", "fleet", f"--config={path}"]
        told = (tmp_path / "said").open("wb")
        with told, subprocess.Popen(command, stderr=told, env=os.environ) as process:
            reader, _ = server.accept()  # the run of `a` asks, and will wait
            process.send_signal(end)
            process.wait(120)
        with reader:
            reader.settimeout(120)
            with suppress(ConnectionError):
                while reader.recv(1 << 16):  # until its end is closed
                    pass
    assert process.returncode == (143 if end == signal.SIGTERM else -signal.SIGKILL)
    said = (tmp_path / "said").read_text()
    assert ("told to stop" in said) == (end == signal.SIGTERM)
