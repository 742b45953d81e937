"""Carry out a plan: some requests at a time, split when too big, partial when some fail."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from analyzer.errors import SourceError
from analyzer.sources.prometheus.connection import Connection
from analyzer.sources.prometheus.decode import Batch
from analyzer.sources.prometheus.failure import (
    BusyError,
    DeadlineError,
    MalformedError,
    TimedOutError,
    TooBigError,
)
from analyzer.sources.prometheus.plan import Piece, split
from analyzer.sources.prometheus.promql import Matchers, Over
from analyzer.sources.prometheus.ragged import Grid

_HOPELESS = 64
"""Refusals in a row after which splitting is given up; twice what the deepest split takes."""
_WEIGHT = 16
"""A request that timed out counts for so many: four in a row are enough."""

S = TypeVar("S")
T = TypeVar("T")
Expression = Callable[[Matchers], str | Over]
"""A query, given further matchers for its selectors; an `Over` is evaluated on this side."""


@dataclass(frozen=True)
class Question(Generic[T]):
    """One query over one grid, in pieces; `convert` turns what arrives for a piece into T."""

    what: str
    expression: Expression
    grid: Grid
    pieces: Sequence[Piece]
    convert: Callable[[Batch, Piece], T]
    answers: list[T] = field(default_factory=list)


class Reader:
    """Asks questions of one connection, `parallel` requests at a time.

    A piece that cannot be read in the end is named in `lost`; when nothing can be read at all the
    error of the first piece is raised.
    """

    def __init__(self, connection: Connection, tell: Callable[[int, int, str], None]) -> None:
        self.connection = connection
        self.lost: list[str] = []
        self._tell = tell
        self._succeeded = 0

    def ask(self, *questions: Question[T]) -> None:
        """Fill the `answers` of every question; their pieces take turns."""
        waiting = _take_turns(questions)
        total = len(waiting)
        done = failures = 0
        running: dict[Future[list[T]], tuple[Question[T], Piece]] = {}
        workers = self.connection.settings.parallel
        with ThreadPoolExecutor(workers, thread_name_prefix="read") as pool:
            while waiting or running:
                while waiting and len(running) < workers:
                    question, piece = waiting.pop(0)
                    running[pool.submit(self._fetch, question, piece)] = (question, piece)
                finished, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in finished:
                    question, piece = running.pop(future)
                    try:
                        question.answers.extend(future.result())
                        failures = 0
                        self._succeeded += 1
                    except TooBigError as error:
                        failures += _WEIGHT if isinstance(error, TimedOutError) else 1
                        halves = split(piece)
                        if halves is None or failures >= _HOPELESS:
                            self._give_up(question, piece, error)
                        else:
                            waiting[:0] = [(question, half) for half in halves]
                            total += 1
                            continue
                    except (BusyError, MalformedError, DeadlineError) as error:
                        self._give_up(question, piece, error)
                    done += 1
                    self._tell(done, total, question.what)

    def attempt(self, what: str, read: Callable[[], S]) -> S | None:
        """What `read` returns; where it fails for good, note that `what` is missing and go on."""
        try:
            return read()
        except (TooBigError, BusyError, MalformedError, DeadlineError) as error:
            self.lost.append(f"{what} could not be read: {error}")
            return None

    def _fetch(self, question: Question[T], piece: Piece) -> list[T]:
        grid = question.grid
        times = (grid.time(piece.low), grid.time(piece.high - 1), grid.step.total_seconds())
        query = question.expression(piece.shard)
        return self.connection.range(query, times, lambda batch: question.convert(batch, piece))

    def _give_up(self, question: Question[T], piece: Piece, error: SourceError) -> None:
        if not self._succeeded:
            raise error
        grid = question.grid
        begin = grid.start + piece.low * grid.step
        end = grid.start + piece.high * grid.step
        part = " and ".join(str(matcher) for matcher in piece.shard)
        which = f" of {part}" if part else ""
        self.lost.append(
            f"{question.what}{which} from {begin:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M} UTC "
            f"could not be read: {error}"
        )


def _take_turns(questions: Sequence[Question[T]]) -> list[tuple[Question[T], Piece]]:
    """The pieces of all questions, the newest first, so that a cut-off read still serves."""
    pairs = [(question, piece) for question in questions for piece in question.pieces]
    return sorted(pairs, key=lambda pair: -(pair[0].grid.time(pair[1].high - 1)))
