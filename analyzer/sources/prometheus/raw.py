"""Raw samples of chosen pods, where an expression would not tell when something happened."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

import orjson

from analyzer.sources.prometheus.connection import Connection
from analyzer.sources.prometheus.facts import batches, even_grids
from analyzer.sources.prometheus.failure import TooBigError
from analyzer.sources.prometheus.owners import ContainerName, PodName, container_name
from analyzer.sources.prometheus.promql import duration, narrowed, one_of
from analyzer.sources.prometheus.ragged import Grid
from analyzer.sources.prometheus.reader import Reader

_SHORTEST = timedelta(minutes=10)

Series = list[tuple[float, float]]
"""Times (Unix seconds) and values."""


@dataclass(frozen=True)
class Named:
    """Some pods, and the labels that may name them."""

    names: Collection[PodName]
    labels: Collection[str] = ("pod",)


def raw_by_container(
    reader: Reader, grid: Grid, series: str, pods: Named, *, thin: bool = False
) -> dict[ContainerName, Series]:
    """The raw samples of `series` by container over the window; `thin` keeps changes only."""
    found: dict[ContainerName, dict[float, float]] = {}
    for labels, samples in raw_series(reader, grid, series, pods, thin=thin).values():
        known = found.setdefault(container_name(labels), {})
        for time, value in samples.items():
            known[time] = max(value, known.get(time, 0.0))
    return {name: sorted(samples.items()) for name, samples in found.items()}


def raw_series(
    reader: Reader, grid: Grid, series: str, pods: Named, *, thin: bool = False
) -> dict[bytes, tuple[dict[str, str], dict[float, float]]]:
    """Labels and raw samples of `series` for some pods over the window, one entry a series."""
    found: dict[bytes, tuple[dict[str, str], dict[float, float]]] = {}
    for query in _by_day(grid, series, pods):
        for labels, samples in ask_raw(reader.connection, query):
            key = orjson.dumps(labels, option=orjson.OPT_SORT_KEYS)
            known = found.setdefault(key, (labels, {}))[1]
            known.update(corners(samples) if thin else samples)
    return {key: (labels, samples) for key, (labels, samples) in found.items() if samples}


def _by_day(grid: Grid, series: str, pods: Named) -> Iterator[RawQuery]:
    for label, names in itertools.product(sorted(pods.labels), batches(pods.names)):
        for part in even_grids(grid.start, grid.end):
            # Five minutes more than the day, so that a rise at midnight has its before.
            length = part.step + timedelta(minutes=5)
            for step in range(part.steps):
                yield RawQuery(series, names, part.time(step), length, label)


def corners(samples: Series) -> Series:
    """The first and the last sample, and both sides of every change."""
    kept = samples[:1]
    for before, after in itertools.pairwise(samples):
        if before[1] != after[1]:
            kept += [before, after]
    return [*kept, *samples[-1:]]


@dataclass(frozen=True)
class RawQuery:
    """The samples of `series` of some `pods`, told by `label`, of the time `length` up to `end`."""

    series: str
    pods: Sequence[str]
    end: float
    length: timedelta
    label: str = "pod"

    def __str__(self) -> str:
        only = (one_of(self.label, self.pods),)
        return f"{narrowed(self.series, only)}[{duration(self.length)}]"

    def halves(self) -> list[RawQuery]:
        """Two that ask the same, by pods and then by time; none where it cannot get smaller."""
        middle, half = len(self.pods) // 2, self.length / 2
        if middle:
            return [replace(self, pods=part) for part in (self.pods[:middle], self.pods[middle:])]
        if self.length <= _SHORTEST:
            return []
        before = self.end - half.total_seconds()
        return [replace(self, end=before, length=half), replace(self, length=half)]


def ask_raw(connection: Connection, query: RawQuery) -> list[tuple[dict[str, str], Series]]:
    """The raw samples that a query asks for, in halves where they are too many at once."""
    try:
        return connection.raw(str(query), query.end)
    except TooBigError:
        halves = query.halves()
        if not halves:
            raise
    return [row for half in halves for row in ask_raw(connection, half)]
