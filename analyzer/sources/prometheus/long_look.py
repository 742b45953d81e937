"""One cheap look at what the server still holds from before the window: a peak a day.

A month end outside of the window is in no model of it. One evaluation a day over the retention
tells how high the memory of each container ever was.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

import pandas as pd

from analyzer.sources.prometheus.connection import Connection
from analyzer.sources.prometheus.facts import OWNER_METRICS, answers, question_of_rows, read_series
from analyzer.sources.prometheus.owners import Owners, container_name
from analyzer.sources.prometheus.plan import plan
from analyzer.sources.prometheus.probe import Dialect
from analyzer.sources.prometheus.promql import Matchers, left_open, over, selector
from analyzer.sources.prometheus.ragged import Grid
from analyzer.sources.prometheus.reader import Reader
from analyzer.sources.window import DAY
from analyzer.tables import NAMES, validate_days

DEPTHS = (35, 28, 21, 17)
"""How many days before the end of the window are tried for the oldest sample. Five weeks hold every
day of the month; each further day would cost a fifth of what reading it whole costs."""
_POINTS = 200_000

Peaks = dict[tuple[str, str, str, str, float], float]


def read_long_look(
    reader: Reader,
    dialect: Dialect,
    grid: Grid,
    depths: Sequence[int] = DEPTHS,
    known: Callable[[datetime], bool] = lambda _: False,
) -> pd.DataFrame:
    """The days table of the time before `grid`, as far back as is worth its cost.

    Each container has one row a day, without a pod: the highest working set of any of its pods.
    The newest days that are `known` already are not asked for again.
    """
    days = _days_before(reader.connection, dialect, grid, depths, known)
    peaks = {} if days is None else _peaks(reader, dialect, days)
    rows = [
        (*name, datetime.fromtimestamp(end, UTC) - DAY, peak)
        for (*name, end), peak in sorted(peaks.items())
    ]
    return validate_days(pd.DataFrame(rows, columns=[*NAMES, "day", "memory_peak_bytes"]))


def _peaks(reader: Reader, dialect: Dialect, days: Grid) -> Peaks:
    """The highest working set by container and end of day (Unix seconds)."""
    owners = Owners.from_series(read_series(reader.connection, dialect, days, OWNER_METRICS))

    def expression(more: Matchers) -> str:
        series = selector(dialect.memory_series, (*dialect.usage, *more))
        return over("max_over_time", series, left_open(DAY))

    pieces = plan(days, dialect.namespaces, _POINTS)
    peaks: Peaks = {}
    question = question_of_rows("older peaks", days, expression, pieces)
    for labels, line in answers(reader, question):
        namespace, pod, container = container_name(labels)
        kind, workload = owners.workload((namespace, pod))
        for time, value in line if container else ():
            key = namespace, kind, workload, container, time
            peaks[key] = max(value, peaks.get(key, 0.0))
    return peaks


def _days_before(
    connection: Connection,
    dialect: Dialect,
    grid: Grid,
    depths: Sequence[int],
    known: Callable[[datetime], bool],
) -> Grid | None:
    """The whole UTC days from about the oldest that the server knows up to what is known."""
    # How far back the server reaches is the same for every part of the cluster.
    anyone = [matcher for matcher in dialect.usage if matcher.label != "namespace"]
    series = f"count({selector(dialect.memory_series, anyone)})"
    stop = _midnight(grid.start)
    while grid.end - stop < timedelta(days=max(depths)) and known(stop - DAY):
        stop -= DAY
    for depth in depths:
        first = _midnight(grid.end - timedelta(days=depth))
        if first < stop and connection.instant(series, (first + DAY).timestamp()):
            return Grid(first, DAY, (stop - first) // DAY)
    return None


def _midnight(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
