"""The window a source is asked for, and what every source can do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from analyzer.check import Check
from analyzer.errors import UsageError
from analyzer.room import IN_MEMORY, Room
from analyzer.shard import Shard
from analyzer.usage import Recording

Progress = Callable[[int, int, str], None]
"""Called with (done, total, what) while a source reads."""

DAY = timedelta(days=1)
DEFAULT_DAYS = 35
"""How much is read of any source where nobody says: five weeks hold every day of the month."""


def silent(done: int, total: int, what: str) -> None:
    """Report progress to nobody."""


@dataclass(frozen=True)
class Window:
    """The time asked for: `length` up to `end`, in steps of `step`.

    ``end=None`` means the end of what the source has (a recording's own end, a server's own
    clock). ``step=None`` lets the source choose: five minutes, or more where the data is coarser.
    """

    end: datetime | None = None
    length: timedelta = timedelta(days=DEFAULT_DAYS)
    step: timedelta | None = None
    room: Room = IN_MEMORY
    """Where what is read is kept."""
    shard: Shard | None = None
    """Which part of the namespaces to read; None for all."""

    def __post_init__(self) -> None:
        if self.end is not None and self.end.utcoffset() is None:
            raise UsageError(f"the end of the window needs a time zone, found {self.end}")
        if self.length <= timedelta(0):
            raise UsageError(f"the window must be longer than nothing, found {self.length}")
        if self.step is not None and not timedelta(seconds=1) <= self.step <= DAY:
            raise UsageError(f"the step must lie between 1 s and 1 day, found {self.step}")
        if self.step is not None and self.step % timedelta(seconds=1):
            raise UsageError(f"the step must be whole seconds, found {self.step}")


class Source(Protocol):
    """Where usage comes from."""

    def describe(self) -> str:
        """Name the source for reports and messages; never holds a secret."""

    def examine(self, window: Window) -> list[Check]:
        """Say what the source has in `window`, what is missing and what to do; never raises."""

    def read(self, window: Window) -> Recording:
        """Return everything known about the window ``(end - length, end]``.

        What could not be read is named in ``meta.warnings``; nothing usable at all raises
        `SourceError`.
        """
