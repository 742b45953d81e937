"""Benchmarks: each still runs, in its smallest size; what they measure is not judged here."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"


def run(name: str, *words: str, path: Path | None = None) -> str:
    """Run a benchmark in a process of its own; what it prints."""
    environment = dict(os.environ)
    if path is not None:
        environment["PATH"] = f"{path}{os.pathsep}{environment['PATH']}"
    done = subprocess.run(
        [sys.executable, str(BENCHMARKS / name / f"bench_{name}.py"), *words],
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


def test_fit() -> None:
    """A line per step."""
    assert "spend the risk budget" in run("fit", "20", "10")


def test_loop() -> None:
    """A line per policy and world."""
    assert "| krr | answering |" in run("loop", "--weeks", "3", "--worlds", "answering")


def test_read(prometheus: Path, promtool: Path, tmp_path: Path) -> None:
    """A line per way of reading, from a real server."""
    assert promtool.parent == prometheus.parent
    words = ["--containers", "4", "--days", "0.5", "--data", str(tmp_path)]
    assert "stock" in run("read", *words, path=prometheus.parent)


@pytest.mark.slow
def test_quality(evaluation: Path) -> None:
    """The smallest set of traces, where there are any."""
    assert evaluation.is_dir()
    assert "kruize" in run("quality", "kruize_openshift").lower()
