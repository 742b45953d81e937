"""When to ask again, and when to stop: attempts, waits and the deadline of a whole read."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import TypeVar

from analyzer.errors import SourceError
from analyzer.sources.prometheus.failure import BusyError, DeadlineError, MalformedError
from analyzer.sources.prometheus.settings import PrometheusSettings

_LONGEST_WAIT = 30.0

T = TypeVar("T")


class Retries:
    """Asks again with growing waits while a server is busy or the line breaks.

    A server that never answered yet is tried twice only. `count` is how often it was waited.
    """

    def __init__(self, settings: PrometheusSettings) -> None:
        self.settings = settings
        self.count = 0
        self._reached = False
        self.start_clock()

    def start_clock(self) -> None:
        """Let the deadline for the whole read begin now."""
        self._until = time.monotonic() + self.settings.deadline.total_seconds()

    def request_seconds(self) -> float:
        """How long one request may take from now; raises `DeadlineError` when time is over."""
        remaining = self._until - time.monotonic()
        if remaining <= 0:
            raise DeadlineError(f"the deadline of {self.settings.deadline} is over")
        return min(self.settings.timeout.total_seconds(), remaining)

    def persist(self, ask: Callable[[], T]) -> T:
        """Call `ask` until it answers, fails for good, or the attempts or the time are over."""
        attempts = self.settings.attempts if self._reached else min(2, self.settings.attempts)
        for attempt in range(1, attempts + 1):
            try:
                answer = ask()
            except (BusyError, MalformedError) as error:
                if isinstance(error, BusyError) and error.wait is not None:
                    attempts = self.settings.attempts
                if attempt >= attempts:
                    raise
                self._sleep(attempt, error)
            else:
                self._reached = True
                return answer
        raise AssertionError("the last attempt returns or raises")

    def _sleep(self, attempt: int, error: SourceError) -> None:
        wait = self.settings.backoff.total_seconds() * 2.0 ** (attempt - 1)
        wait *= random.uniform(0.5, 1.5)  # noqa: S311  # jitter, not a secret
        asked = error.wait if isinstance(error, BusyError) else None
        wait = min(_LONGEST_WAIT, max(wait, asked or 0.0))
        if wait > self._until - time.monotonic():
            raise DeadlineError(
                f"the deadline of {self.settings.deadline} is over; the last answer was: {error}"
            ) from error
        self.count += 1
        time.sleep(wait)


def seconds_asked(retry_after: str) -> float | None:
    """What a ``Retry-After`` header asks for, in seconds; None where it says nothing sensible."""
    if retry_after.isascii() and retry_after.isdigit():
        return float(retry_after)
    try:
        moment = parsedate_to_datetime(retry_after)
    except ValueError:
        return None
    return max(0.0, moment.timestamp() - time.time())
