"""What a worker is given, and what it does with it.

Dask shows tasks in its logs and on its dashboard by their key and their repr, and the values that
they are called with by theirs: so neither tells what a task is about beyond its name.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from analyzer import __version__
from analyzer.errors import AnalyzerError


@dataclass(frozen=True, repr=False)
class Task:
    """A function of this package and what it is to be called with; `name` is for people."""

    name: str
    work: Callable[..., Any]
    given: tuple[Any, ...]
    version: str = __version__

    def __repr__(self) -> str:
        return f"<Task {self.name}>"


@dataclass(frozen=True, repr=False)
class Done:
    """What came of a task; the `refusal` where trying again would be no use."""

    value: Any = None
    refusal: AnalyzerError | None = None

    def __repr__(self) -> str:
        return "<Done>"


def perform(task: Task, *beside: Any) -> Done:
    """Do `task`, on a worker, with what is kept there `beside` it before what it is given.

    Wrong usage comes back as a refusal. Anything else is raised, for Dask to try again: another
    worker may reach what this one does not.
    """
    if task.version != __version__:
        return Done(refusal=AnalyzerError(other_version(_here(), __version__, task.version)))
    try:
        return Done(task.work(*beside, *task.given))
    except AnalyzerError as error:
        if error.exit_code == 1:
            raise
        return Done(refusal=error)


def other_version(worker: str, found: str, wanted: str) -> str:
    """The sentence about a worker that runs another version of this package."""
    return (
        f"the worker {worker} has rightsize {found} and this is {wanted}; "
        "give workers and client the same image or environment"
    )


def _here() -> str:
    from distributed import get_worker

    return str(get_worker().address)
