"""Containers worked on by several processes, each with a range of them.

The processes are forked: they see all samples where they are, and nothing but answers is sent.
"""

from __future__ import annotations

import gc
import multiprocessing
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from types import TracebackType
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from analyzer.by_container import Question, join, ranges
from analyzer.errors import AnalyzerError
from analyzer.processes import deaf_to, leave_with_parent

T = TypeVar("T")


def can_fork() -> bool:
    """Whether a process forked now is certain to work.

    A lock that another thread holds stays held in the child for ever. Threads of libraries do not
    count: those of OpenBLAS and Arrow step aside at a fork, and what is done by container starts
    none. On a Mac the system's own libraries do not survive a fork.
    """
    forks = "fork" in multiprocessing.get_all_start_methods()
    return forks and sys.platform != "darwin" and threading.active_count() == 1


@dataclass(frozen=True)
class Forked:
    """This process and those that it forks, `processes` in all, each with a range of containers.

    Where it cannot fork (`can_fork`) it does all by itself; the answers are the same.
    """

    processes: int

    def between(self, begin: int, stop: int) -> Forked:
        """The same: what is between is there before a process is forked, which then sees it."""
        return self

    def run(self, question: Question, histories: Any) -> Any:
        """See `analyzer.by_container.Workers`.

        Raises what the work raises, and `AnalyzerError` where a process was killed.
        """

        def answer(rows: slice) -> Any:
            return question.about(rows).answer(histories.part(rows))

        return shared_out(answer, histories.costs, self.processes)


def shared_out(answer: Callable[[slice], T], costs: npt.NDArray[np.int64], processes: int) -> T:
    """What `answer` says of everything, worked out range by range in so many processes.

    Everything is what costs `costs`, one after the other; the answer has as many entries. Raises
    what `answer` raises, and `AnalyzerError` where a process was killed.
    """
    own, *others = ranges(costs, processes if can_fork() else 1)
    with _children(answer, others) as children:
        found: list[T] = [answer(own), *(child.answer() for child in children)]
    return join(found)


@dataclass(frozen=True)
class _Child:
    process: BaseProcess
    answers: Connection

    def answer(self) -> Any:
        """What it sends; raises what it raised."""
        try:
            done, answer = self.answers.recv()
        except EOFError:
            self.process.join()
            raise AnalyzerError(_ended(self.process.exitcode)) from None
        if not done:
            raise answer
        return answer


def _ended(code: int | None) -> str:
    killed = f"was killed ({signal.Signals(-code).name})" if code and code < 0 else "ended early"
    return (
        f"a process that worked on a part of the containers {killed}, most likely for want of "
        "memory; raise the memory limit, or set memory_budget to what there is, which also decides "
        "how many processes are started"
    )


@contextmanager
def _children(answer: Callable[[slice], Any], parts: Sequence[slice]) -> Iterator[list[_Child]]:
    """A process for each of `parts`, none of which outlives the block."""
    children: list[_Child] = []
    try:
        for rows in parts:
            children.append(_fork(answer, rows))
        yield children
    finally:
        for child in children:
            child.process.kill()  # nothing to tidy up: it only computes
            child.process.join()
            child.answers.close()


def _fork(answer: Callable[[slice], Any], rows: slice) -> _Child:
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_serve, args=(answer, rows, sender), daemon=True)
    with deaf_to(signal.SIGINT, signal.SIGTERM), warnings.catch_warnings():
        # Python 3.12 warns wherever a library has threads; see `can_fork`.
        warnings.simplefilter("ignore", DeprecationWarning)
        process.start()
    sender.close()  # so that the end of the child is the end of what comes
    return _Child(process, receiver)


def _serve(answer: Callable[[slice], Any], rows: slice, sender: Connection) -> None:
    """Send what `answer` says of `rows`, or what it raises."""
    gc.freeze()  # a collection would copy every page that it visits
    leave_with_parent()
    with _Sent(sender):
        sender.send((True, answer(rows)))


@dataclass(frozen=True)
class _Sent:
    """Sends an error that its block raises, to be raised again by whoever waits for an answer."""

    sender: Connection

    def __enter__(self) -> None: ...

    def __exit__(
        self,
        _: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> bool:
        if not isinstance(error, Exception):
            return False
        error.add_note("".join(traceback.format_tb(where)))
        self.sender.send((False, error))
        return True
