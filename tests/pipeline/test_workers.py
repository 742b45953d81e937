"""How many processes work on a run, and what becomes of it when one of them is killed."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from msgspec.structs import replace as with_settings

from analyzer.config import Config
from analyzer.history import Histories
from analyzer.pipeline.memory import BASE, PER_CONTAINER
from analyzer.pipeline.workers import LEAST_SAMPLES, MOST_PROCESSES, PER_PROCESS, processes_for
from analyzer.quantity import Memory
from analyzer.sources import save_recording
from analyzer.usage import Recording, Usage
from tests.samples import histories, meta, steady


def with_samples(number: int) -> Histories:
    """One container, with so many samples."""
    of = histories()
    values = np.ones(number, dtype=np.float32)
    usage = replace(of.usage, offset=np.array([0, number]), cpu_cores=values, memory_bytes=values)
    return replace(of, usage=usage)


def test_there_are_as_many_processes_as_processors_and_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One where there is little to do, and one more for each `PER_PROCESS` that is left."""
    monkeypatch.setattr("analyzer.pipeline.workers.usable_cores", lambda: 64)
    few, many = with_samples(LEAST_SAMPLES - 1), with_samples(LEAST_SAMPLES)
    budget = BASE.bytes + PER_CONTAINER.bytes + 2 * PER_PROCESS.bytes

    def within(amount: int) -> int:
        return processes_for(many, with_settings(Config(), memory_budget=Memory(amount)))

    plenty = with_settings(Config(), memory_budget=Memory(2**40))
    assert processes_for(few, plenty) == 1
    assert processes_for(many, plenty) == MOST_PROCESSES
    assert [within(budget), within(budget - 1), within(2**20)] == [3, 2, 1]
    monkeypatch.setattr("analyzer.pipeline.workers.usable_cores", lambda: 2)
    assert processes_for(many, plenty) == 2


_KILLED = """
import os, signal, sys
import analyzer.history
import analyzer.pipeline.workers as workers
from analyzer.cli import main
workers.usable_cores, workers.LEAST_SAMPLES = lambda: 2, 0
first, summarise = os.getpid(), analyzer.history.summarise
def killed(usage):
    if os.getpid() != first:
        os.kill(os.getpid(), signal.SIGKILL)
    return summarise(usage)
if sys.argv.pop() == "killed":
    analyzer.history.summarise = killed
main(sys.argv[1:])
"""


def test_a_run_whose_process_is_killed_says_so_and_loses_nothing(tmp_path: Path) -> None:
    """One sentence, exit code 1, and the output of the run before as it was."""
    window = meta(4)
    frames = [steady(4).assign(workload=name) for name in ("api", "web")]
    usage = Usage.from_frame(pd.concat(frames), window)
    save_recording(Recording(window, usage), tmp_path / "rec")
    words = ["run", "--no-charts", "-q", "--source", f"recording:{tmp_path / 'rec'}"]
    words = [sys.executable, "-c", _KILLED, *words, "-o", str(tmp_path / "out")]
    runs = [
        subprocess.run([*words, how], capture_output=True, text=True, check=False)
        for how in ("well", "killed")
    ]
    assert [done.returncode for done in runs] == [0, 1]
    assert runs[1].stderr.startswith("Error: a process that worked on a part of the containers was")
    assert len(runs[1].stderr.splitlines()) == 1
    assert (tmp_path / "out" / "run.json").stat().st_size > 0
