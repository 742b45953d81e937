"""Containers worked on by the workers of a scheduler, each of which keeps the samples of a range.

Samples travel once: each worker keeps those of its range. With the first question about some
histories goes what stands beside their samples (settings, events, what is known already), which is
small. Answers are joined in the order of the containers: they are those of one process.
"""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from analyzer.by_container import Question, join, name_of, ranges
from analyzer.engine.task import Task
from analyzer.engine.workers import DataLostError, EngineError, Workers
from analyzer.history import Histories
from analyzer.room import IN_MEMORY
from analyzer.usage import Usage

if TYPE_CHECKING:
    from distributed import Future

_TIMES = 4
"""So often samples are sent, where workers that keep them die."""

Cuts = tuple[tuple[int, int], ...]
"""Views of views: the first step of each, and the one behind its last."""


@dataclass
class Beside:
    """What stands beside samples; on the worker, once they have met, the histories of both."""

    histories: Histories
    met: bool = False

    def with_samples(self, usage: Usage, cuts: Cuts) -> Histories:
        """The histories with what `usage` holds within `cuts`."""
        if not self.met:
            for begin, stop in cuts:
                usage = usage.between(begin, stop)
            known = self.histories.found
            self.histories = replace(self.histories, usage=usage)
            self.histories.found.update(known)
            self.met = True
        return self.histories


@dataclass
class _Kept:
    """What workers keep of the histories of `usage`, by range of containers."""

    workers: Workers
    usage: weakref.ref[Usage]
    rows: Sequence[slice]
    samples: list[Future[Usage]] = field(default_factory=list)
    beside: dict[int, tuple[weakref.ref[Histories], list[Future[Beside]]]] = field(
        default_factory=dict
    )
    """By the identity of histories, as long as there are any."""

    def send(self, histories: Histories) -> list[tuple[Future[Usage], Future[Beside]]]:
        """Let workers have all of `histories`, as far as they have it not yet."""
        if not self.samples:
            usage = self.usage()
            if usage is None:
                raise EngineError("samples that a worker has lost are here no more; run again")
            parts = [replace(usage.part(rows), room=IN_MEMORY) for rows in self.rows]
            self.samples = self.workers.keep(parts)
        identity = id(histories)
        if identity not in self.beside:
            light = [Beside(_without_samples(histories.part(rows))) for rows in self.rows]
            gone = weakref.ref(histories, lambda _: self.beside.pop(identity, None))
            self.beside[identity] = (gone, self.workers.keep(light))
        return list(zip(self.samples, self.beside[identity][1], strict=True))

    def lose(self) -> None:
        """Forget what workers have: one that is gone took its part along."""
        self.samples = []
        self.beside.clear()


@dataclass(frozen=True)
class Held:
    """Who works on the containers of some histories, or on a view of them, on workers."""

    kept: _Kept
    cuts: Cuts = ()

    @classmethod
    def of(cls, workers: Workers, histories: Histories) -> Held:
        """The workers of `histories`, each with containers that take about the same work."""
        rows = ranges(histories.costs, len(workers))
        return cls(_Kept(workers, weakref.ref(histories.usage), rows))

    @property
    def processes(self) -> int:
        """This one alone: it has the threads of a client, beside which none is forked."""
        return 1

    def between(self, begin: int, stop: int) -> Held:
        """The same of a view: samples are cut where they are."""
        return replace(self, cuts=(*self.cuts, (begin, stop)))

    def run(self, question: Question, histories: Histories) -> Any:
        """See `analyzer.by_container.Workers`.

        Raises what the work raises, and `EngineError` where workers die again and again.
        """
        if not self._has(histories.usage):  # somebody made other usage of it
            everything = slice(0, len(histories))
            return question.answer(histories.part(everything))
        for _ in range(_TIMES):
            try:
                return self._ask(question, histories)
            except DataLostError as error:
                self.kept.lose()
                last = error
        raise last

    def _has(self, usage: Usage) -> bool:
        """Whether `usage` is what workers keep, within the cuts."""
        whole = self.kept.usage()
        if not self.cuts or whole is None:
            return usage is whole
        start, steps = whole.start, whole.steps
        for first, behind in self.cuts:
            begin, stop = max(0, first), min(behind, steps)
            start, steps = start + begin * whole.step, stop - begin
        same = usage.containers is whole.containers and usage.step == whole.step
        return same and (usage.start, usage.steps) == (start, steps)

    def _ask(self, question: Question, histories: Histories) -> Any:
        held = self.kept.send(histories)
        asked = name_of(question.work).removeprefix("analyzer.")
        tasks = [
            Task(f"{asked} {number}", _answer, (question.about(rows), self.cuts))
            for number, rows in enumerate(self.kept.rows)
        ]
        answers = {}
        beside = {task.name: futures for task, futures in zip(tasks, held, strict=True)}
        for task, done in self.kept.workers.results(tasks, beside=beside):
            if done.refusal is not None:
                raise done.refusal
            answers[task.name] = done.value
        return join([answers[task.name] for task in tasks])


def _without_samples(histories: Histories) -> Histories:
    light = replace(histories, usage=replace(histories.usage.without_samples(), room=IN_MEMORY))
    light.found.update(histories.found)
    return light


def _answer(usage: Usage, beside: Beside, question: Question, cuts: Cuts) -> Any:
    """What there is to say of the containers whose samples are `usage`, where these are."""
    return question.answer(beside.with_samples(usage, cuts))
