"""Work by container: the same answers in any number of processes, and no process left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.by_container import by_container, join, part, ranges
from analyzer.errors import AnalyzerError
from analyzer.forked import Forked
from analyzer.history import Histories, build_histories
from analyzer.pipeline.method import Method
from analyzer.pipeline.review import review
from analyzer.report import dump_report
from analyzer.sources.recording.recording import load_recording
from tests.samples import MIB, START, histories, meta, names, steady

TWO = Forked(2)


def four() -> Histories:
    """Four containers; of the second there are three days only."""
    days = (4, 3, 4, 4)
    frames = [steady(d, memory=MIB * (1 + n)).assign(workload=f"w{n}") for n, d in enumerate(days)]
    return histories(pd.concat(frames), window=meta(4))


@dataclass(frozen=True)
class Answer:
    """What is found of each container."""

    names: list[str]
    processes: npt.NDArray[np.int64]


@by_container
def asked(of: Histories, numbers: list[int], *, word: str) -> Answer:
    """Who each container is, and who says so."""
    names = [f"{word} {ref.workload} {n}" for ref, n in zip(of, numbers, strict=True)]
    return Answer(names, np.full(len(of), os.getpid()))


@by_container
def fails(of: Histories) -> list[int]:
    """Nothing: the last container is one too many."""
    if of.containers[-1].workload == "w3":
        raise KeyError("w3")
    return [0] * len(of)


@by_container
def dies(of: Histories, starter: npt.NDArray[np.int64]) -> list[int]:
    """Nothing: whoever else is asked than the one who asks is killed, as for want of memory."""
    if starter[0] != os.getpid():
        os.kill(os.getpid(), signal.SIGKILL)
    return [0] * len(of)


@pytest.fixture
def forking(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fork beside the threads of whoever runs tests side by side: they wait, and hold no lock."""
    monkeypatch.setattr("analyzer.forked.can_fork", lambda: True)


@given(st.lists(st.integers(1, 10**6), max_size=30), st.integers(1, 8))
def test_ranges_hold_every_container_once_and_in_order(costs: list[int], number: int) -> None:
    """Whatever they cost; there are at most as many as asked for, and none is empty."""
    found = ranges(np.array(costs, dtype=np.int64), number)
    assert [i for rows in found for i in range(rows.start, rows.stop)] == list(range(len(costs)))
    assert len(found) <= number
    assert not costs or all(rows.stop > rows.start for rows in found)


@given(st.integers(0, 6), st.integers(0, 6))
def test_parts_joined_are_the_whole(size: int, at: int) -> None:
    """Of arrays and lists, and of records of such, wherever they are cut."""
    whole: dict[str, Any] = {
        "a": np.arange(2 * size).reshape(size, 2),
        "b": ([*"abcdef"][:size], np.ones(size)),
    }
    joined = join([part(whole, slice(0, at)), part(whole, slice(at, size))])
    assert joined["a"].tolist() == whole["a"].tolist()
    assert joined["b"][0] == whole["b"][0]


def test_what_has_no_entry_per_container_is_refused() -> None:
    """A sum over containers would depend on how they are shared out."""
    with pytest.raises(TypeError, match="an entry per container, found float"):
        join([1.0, 2.0])


@pytest.mark.usefixtures("forking")
def test_a_range_is_answered_by_another_process() -> None:
    """In the order of the containers, each with what was given for it."""
    of = replace(four(), workers=TWO)
    answer = asked(of, [0, 1, 2, 3], word="is")
    assert answer.names == ["is w0 0", "is w1 1", "is w2 2", "is w3 3"]
    assert answer.processes[0] == os.getpid()
    assert len(set(answer.processes.tolist())) == 2


def test_nothing_is_forked_beside_another_thread() -> None:
    """It may hold a lock, which would then stay held for ever."""
    leave = threading.Event()
    other = threading.Thread(target=leave.wait)
    other.start()
    try:
        answer = asked(replace(four(), workers=TWO), [0, 1, 2, 3], word="is")
    finally:
        leave.set()
        other.join()
    assert set(answer.processes.tolist()) == {os.getpid()}


@pytest.mark.usefixtures("forking")
def test_an_error_of_another_process_is_raised_here() -> None:
    """It is the same error, with where it came from."""
    with pytest.raises(KeyError, match="w3") as raised:
        fails(replace(four(), workers=TWO))
    assert "in fails" in raised.value.__notes__[0]


@pytest.mark.usefixtures("forking")
def test_a_process_that_is_killed_is_told_in_a_sentence() -> None:
    """What to do about it included."""
    of = replace(four(), workers=TWO)
    with pytest.raises(AnalyzerError, match=r"was killed \(SIGKILL\).*raise the memory limit"):
        dies(of, np.full(4, os.getpid()))


_HANGS = """
import os, signal, time
from dataclasses import replace
from analyzer.by_container import by_container
from analyzer.cli.stopping import stoppable
from analyzer.forked import Forked
from tests.test_forked import four
starter = os.getpid()
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where a shell ran us with &
@by_container
def hangs(of):
    if os.getpid() != starter:
        os.write(1, b".")
    while True:
        time.sleep(0.05)
with stoppable():
    hangs(replace(four(), workers=Forked(3)))
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_no_process_outlives_the_one_that_forked_it(number: signal.Signals) -> None:
    """However that one ends: what it prints on ends only when the last of them is gone."""
    with subprocess.Popen(
        [sys.executable, "-c", _HANGS],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=Path(__file__).parent.parent,
    ) as process:
        assert process.stdout is not None
        process.stdout.read(2)  # both others have begun
        process.send_signal(number)
        assert process.stdout.read() == b""
        assert process.wait() != 0


@pytest.mark.usefixtures("forking")
def test_the_report_is_the_same_in_any_number_of_processes(repository: Path) -> None:
    """To the last byte, on a cluster of all kinds of workloads that is judged on its past."""
    of = build_histories(load_recording(repository / "sample-data" / "recording"))
    method = Method(backtest=True)
    alone = dump_report(review(of, method).report)
    for processes in (2, 3):
        shared = dump_report(review(replace(of, workers=Forked(processes)), method).report)
        assert alone == shared


def uneven() -> Histories:
    """Eight containers that begin at different times, in some pods each, and are killed or not."""
    rng, days = np.random.default_rng(5), 11
    frames, events = [], []
    for number in range(8):
        for pod in range(1 + number % 3):
            frame = steady(days, memory=rng.uniform(50, 400, days * 288) * MIB)
            frame["cpu_cores"] = rng.lognormal(-2, 1, len(frame))
            begin = 0 if number == 0 else int(rng.integers(1, 6)) * 288
            frame = frame[begin:].assign(workload=f"w{number}", pod=f"w{number}-{pod}")
            frames.append(frame[rng.random(len(frame)) > 0.05])
        for kind in ("oom_kill", "restart", "throttled", "image_change"):
            at = START + timedelta(days=6, hours=int(rng.integers(0, 90)))
            value = 200.0 * MIB if kind == "oom_kill" else 0.5
            event = {"pod": f"w{number}-0", "timestamp": at, "kind": kind, "value": value}
            events.append(names(workload=f"w{number}") | event)
    nodes = ({"name": "n", "cpu_allocatable_cores": 4.0, "memory_allocatable_bytes": 2.0**34},)
    return histories(pd.concat(frames), events=events, window=meta(days, nodes))


@pytest.mark.usefixtures("forking")
def test_a_range_is_judged_as_part_of_the_whole() -> None:
    """Nothing of what a container gets rests on which others are worked on beside it."""
    of, method = uneven(), Method(backtest=True)
    alone = dump_report(review(of, method).report)
    assert dump_report(review(replace(of, workers=Forked(4)), method).report) == alone
