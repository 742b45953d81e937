"""Raw samples of chosen pods, where an expression would not tell when something happened."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
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


def raw_by_container(
    reader: Reader, grid: Grid, series: str, pods: set[PodName], *, thin: bool = False
) -> dict[ContainerName, Series]:
    """The raw samples of `series` by container over the window; `thin` keeps changes only."""
    found: dict[ContainerName, dict[float, float]] = {}
    for labels, samples in raw_series(reader, grid, series, pods, thin=thin).values():
        known = found.setdefault(container_name(labels), {})
        for time, value in samples.items():
            known[time] = max(value, known.get(time, 0.0))
    return {name: sorted(samples.items()) for name, samples in found.items()}


def raw_series(
    reader: Reader, grid: Grid, series: str, pods: set[PodName], *, thin: bool = False
) -> dict[bytes, tuple[dict[str, str], dict[float, float]]]:
    """Labels and raw samples of `series` for some pods over the window, one entry a series."""
    found: dict[bytes, tuple[dict[str, str], dict[float, float]]] = {}
    for names in batches(pods):
        for part in even_grids(grid.start, grid.end):
            for step in range(part.steps):
                # Five minutes more than the day, so that a rise at midnight has its before.
                length = part.step + timedelta(minutes=5)
                query = (series, names, part.time(step), length)
                for labels, samples in ask_raw(reader.connection, query):
                    key = orjson.dumps(labels, option=orjson.OPT_SORT_KEYS)
                    known = found.setdefault(key, (labels, {}))[1]
                    known.update(corners(samples) if thin else samples)
    return {key: (labels, samples) for key, (labels, samples) in found.items() if samples}


def corners(samples: Series) -> Series:
    """The first and the last sample, and both sides of every change."""
    kept = samples[:1]
    for before, after in itertools.pairwise(samples):
        if before[1] != after[1]:
            kept += [before, after]
    return [*kept, *samples[-1:]]


def ask_raw(
    connection: Connection, query: tuple[str, Sequence[str], float, timedelta]
) -> list[tuple[dict[str, str], Series]]:
    """Raw samples of some pods up to a time; in halves, by pods then by time, where too many."""
    series, pods, end, length = query
    text = f"{narrowed(series, (one_of('pod', pods),))}[{duration(length)}]"
    try:
        return connection.raw(text, end)
    except TooBigError:
        middle = len(pods) // 2
        if middle:
            halves = [(series, part, end, length) for part in (pods[:middle], pods[middle:])]
        elif length > _SHORTEST:
            half = length / 2
            before = end - half.total_seconds()
            halves = [(series, pods, before, half), (series, pods, end, half)]
        else:
            raise
    return [row for half in halves for row in ask_raw(connection, half)]
