"""Benchmarks: each still runs, in its smallest size; what they measure is not judged here."""

from __future__ import annotations

import importlib
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"


def run(name: str, *words: str, path: Path | None = None, script: str = "") -> str:
    """Run a benchmark in a process of its own; what it prints."""
    environment = dict(os.environ)
    if path is not None:
        environment["PATH"] = f"{path}{os.pathsep}{environment['PATH']}"
    done = subprocess.run(
        [sys.executable, str(BENCHMARKS / name / f"bench_{script or name}.py"), *words],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
        cwd=BENCHMARKS.parent,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_benchmark_is_listed_and_run() -> None:
    """The folder, its README, `make bench` and this file know the same ones."""
    names = {path.name for path in BENCHMARKS.iterdir() if path.is_dir()} - {"__pycache__"}
    readme = (BENCHMARKS / "README.md").read_text()
    script = (BENCHMARKS.parent / "scripts" / "bench").read_text()
    for name in names:
        assert f"benchmarks/{name}/bench_{name}.py" in readme
        assert f"benchmarks/{name}/bench_{name}.py" in script
        assert f'"{name}"' in Path(__file__).read_text()


def test_truth() -> None:
    """A line per pattern."""
    assert "oom_killed" in run("truth")


def test_plots() -> None:
    """A line per way of drawing."""
    assert "cluster" in run("plots", "--count", "2")


def test_landing() -> None:
    """A line per step, and every edit of a small repository is made."""
    assert "8 edited" in run("landing", "8")


def test_ledger() -> None:
    """A line per thing that a run does with it, and merged changes are among what it scores."""
    assert "tell the story of every proposal" in run("ledger", "20", "8")


def test_recall(kubectl: Path) -> None:
    """A row per repository: here the one container that this project's own overlay deploys."""
    told = run("recall", "deploy", "--entry", "overlays/example", path=kubectl.parent)
    names, row = (line.split() for line in told.splitlines()[:2])
    found = dict(zip(names, row[1:], strict=True))
    assert [found[name] for name in ("live", "right", "wrong", "proven")] == ["1", "1", "0", "1"]


def test_fit() -> None:
    """A line per step."""
    assert "spend the risk budget" in run("fit", "20", "10")


def test_growth(kubectl: Path) -> None:
    """No stage's work grows faster than the cluster, landing in a repository included.

    Calls of functions are counted, which are the same on every machine. The first two sizes tell
    a quadratic stage already: what looked through all containers for each grew with 1.4 to 1.8.
    """
    words = ["--sizes", "50", "100", "--days", "11", "--count", "--most", "1.2"]
    told = run("growth", *words, path=kubectl.parent)
    assert told.split()[:2] == ["calls", "50"]
    assert "\nplan edits " in told


def test_growth_that_is_too_steep_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """Twice the containers and four times the work is the power 2; a stage of no work has none."""
    monkeypatch.syspath_prepend(BENCHMARKS / "growth")
    power = importlib.import_module("power")
    assert power.exponent([5, 10, 20], [1, 10, 40]) == 2
    assert math.isnan(power.exponent([10_000], [40]))
    costs = {"read": [10, 20], "land": [10, 40], "judge": [0, 0]}
    (said,) = power.too_steep([10, 20], costs, 1.2)
    assert said.startswith("land: its work grows with the power 2.00")


def test_nodes() -> None:
    """A line each for the check of raises and for packing."""
    assert "packing" in run("nodes", "100", "5")


def test_people() -> None:
    """Two weeks of pull requests with people, and no law broken."""
    told = run("people", "--weeks", "3", "--workloads", "4")
    assert told.endswith("0 breaches in 3 weeks\n"), told


def test_loop() -> None:
    """A line per policy and world."""
    assert "| krr | answering |" in run("loop", "--weeks", "3", "--worlds", "answering")


def test_read(prometheus: Path, promtool: Path, tmp_path: Path) -> None:
    """A line per way of reading, from a real server, and one per question of what it kept."""
    assert promtool.parent == prometheus.parent
    words = ["--containers", "4", "--days", "0.5", "--data", str(tmp_path)]
    assert "stock" in run("read", *words, path=prometheus.parent)
    words = ["--days", "0.5", "--data", str(tmp_path / "4-0.5d-60s")]
    told = run("read", *words, path=prometheus.parent, script="questions")
    assert "container_cpu_usage_seconds_total" in told


@pytest.mark.slow
def test_quality(evaluation: Path) -> None:
    """The smallest set of traces, where there are any."""
    assert evaluation.is_dir()
    assert "kruize" in run("quality", "kruize_openshift").lower()


def test_soak(promtool: Path) -> None:
    """The breaches last, of which a run without any fault has none."""
    said = run("soak", "--runs", "1", "--containers", "3", path=promtool.parent)
    assert "1 faulted runs, 0 breaches" in said


def test_peers(prometheus: Path, promtool: Path) -> None:
    """A row per command, for a peer that is not there none; every container is answered."""
    assert promtool.parent == prometheus.parent
    words = ["--containers", "2", "--pods", "1.5", "--only", "recommend"]
    told = run("read", *words, path=prometheus.parent, script="peers")
    assert told.splitlines()[-1].startswith("| recommend | 2 |")


def test_blocks_hold_what_they_were_given(
    promtool: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Blocks written side by side are read back as Prometheus reads them, sample by sample.

    Values that repeat, that differ in every bit and that change sign; a series in two parts, and
    one that goes on in a second block.
    """
    monkeypatch.syspath_prepend(BENCHMARKS / "read")
    blocks = importlib.import_module("blocks")
    times = np.arange(30, 7200, 30)
    random = np.random.default_rng(1)
    given = {
        'flat{pod="a"}': (times, np.full(len(times), 7.5)),
        'rising{pod="a"}': (times, np.cumsum(random.gamma(2, 1, len(times)))),
        'odd{pod="b"}': (
            times[:121],
            random.standard_normal(121) * 10.0 ** random.integers(-300, 300, 121),
        ),
        'single{pod="c"}': (times[:1], np.array([-0.0])),
    }
    made = [blocks.Block(tmp_path, low, low + 3600) for low in (0, 3600)]
    for text, (when, values) in given.items():
        for half in (slice(None, 50), slice(50, None)):  # as of a pod, and of the next one
            for block in made:
                block.add(blocks.read_labels(text), when[half], values[half])
    for block in made:
        block.close()
    (tmp_path / "wal").mkdir()
    dump = [str(promtool), "tsdb", "dump", str(tmp_path)]
    lines = subprocess.run(dump, check=True, capture_output=True, text=True).stdout.splitlines()
    found: dict[str, dict[int, float]] = {}
    for line in lines:
        labels, value, moment = line.rsplit(" ", 2)
        found.setdefault(labels, {})[int(moment) // 1000] = float(value)
    for text, (when, values) in given.items():
        name, _, label = text.partition("{")
        assert found[f'{{__name__="{name}", {label}'] == dict(
            zip(when.tolist(), values.tolist(), strict=True)
        )


def test_fleet() -> None:
    """A row per way of running; what the report of all costs grows no faster than the fleet."""
    words = ["--containers", "10", "--days", "9"]
    assert "| 1 x 10 | --jobs 1 |" in run("fleet", "--clusters", "1", "--jobs", "1", *words)
    counted = ["--count", "--clusters", "10", "20", "--most", "1.2"]
    assert run("fleet", *counted, *words).startswith("gather")
