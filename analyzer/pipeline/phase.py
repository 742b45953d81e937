"""Phases of a run: which there are, and how many seconds each took."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

Phase = Literal["read", "repository", "learn", "judge", "land", "draw", "deliver"]
Told = Callable[[Phase, float], None]


@dataclass
class Phases:
    """Measures by a `clock` of seconds, and tells of each phase that ended; nothing without one.

    A run without a clock depends on what it reads alone, to the last byte.
    """

    clock: Callable[[], float] | None = None
    told: Told = lambda _phase, _seconds: None
    seconds: dict[str, float] = field(default_factory=dict)
    """What each phase took, in the order in which they ended, to a millisecond."""

    @contextmanager
    def __call__(self, phase: Phase) -> Iterator[None]:
        """The block is `phase`; one that fails is not told of."""
        if self.clock is None:
            yield
            return
        began = self.clock()
        yield
        took = round(self.clock() - began, 3)
        self.seconds[phase] = took
        self.told(phase, took)
