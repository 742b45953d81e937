"""Throttling: steps in which containers waited for their CPU limit.

Looking at every series closely would cost the server as much as the usage itself. One look a day
tells which counters grew; only those are looked at step by step.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from functools import partial

import numpy as np
import orjson

from analyzer.sources.prometheus.events import Event, Series, largest_of
from analyzer.sources.prometheus.facts import (
    Timeline,
    answers,
    batches,
    even_grids,
    question_of_rows,
)
from analyzer.sources.prometheus.owners import PodName, container_name
from analyzer.sources.prometheus.plan import plan
from analyzer.sources.prometheus.probe import Dialect
from analyzer.sources.prometheus.promql import (
    Matchers,
    left_open,
    narrowed,
    one_of,
    over,
    selector,
)
from analyzer.sources.prometheus.ragged import Grid
from analyzer.sources.prometheus.reader import Reader
from analyzer.usage import Usage

THROTTLED_SHARE = 0.05
"""A step counts as throttled when at least this share of its CFS periods was."""
_FEWEST_PERIODS = 15
_THROTTLED = "container_cpu_cfs_throttled_periods_total"
_PERIODS = "container_cpu_cfs_periods_total"


def read_throttling(reader: Reader, dialect: Dialect, grid: Grid, usage: Usage) -> Iterator[Event]:
    """Steps in which a container had to wait for its CPU limit, with the share of periods."""
    pods = _throttled_pods(reader, dialect, grid) | _throttled_between(
        reader, dialect, grid, _between_looks(usage, grid)
    )
    window = dialect.rate_window(grid.step)

    def expression(names: Sequence[str], more: Matchers) -> str:
        matchers = (*dialect.usage, one_of("pod", names), *more)
        waited = over("increase", selector(_THROTTLED, matchers), window)
        whole = over("increase", selector(_PERIODS, matchers), window)
        # Few steps have waited at all: to divide only those takes the server half of the time.
        return f"({waited} > 0) / {whole} >= {THROTTLED_SHARE}"

    questions = (
        question_of_rows(
            "throttling", grid, partial(expression, names), plan(grid, {"": len(names)}, 1_000_000)
        )
        for names in batches(pods)
    )
    for name, time, value in largest_of(reader, questions):
        yield name, time, "throttled", min(1.0, value)


def _throttled_pods(reader: Reader, dialect: Dialect, grid: Grid) -> set[PodName]:
    """Pods whose counter of throttled periods is higher on one day than on the day before."""
    counts: dict[bytes, tuple[PodName, Series]] = {}
    counters = selector(_THROTTLED, dialect.usage)
    begin = grid.start.timestamp()
    for sample in reader.connection.instant(f"{counters} > 0", begin):
        _note_count(counts, sample.labels, [(begin, sample.value)])
    for part in even_grids(grid.start, grid.end):
        question = question_of_rows(
            "throttling",
            part,
            lambda more: f"{narrowed(counters, more)} > 0",
            plan(part, dialect.namespaces, 200_000),
        )
        for labels, samples in answers(reader, question):
            _note_count(counts, labels, samples)
    return {pod for pod, line in counts.values() if _grew(line, begin)}


def _note_count(
    counts: dict[bytes, tuple[PodName, Series]], labels: dict[str, str], samples: Timeline
) -> None:
    bare = {name: text for name, text in labels.items() if name != "__name__"}
    key = orjson.dumps(bare, option=orjson.OPT_SORT_KEYS)
    counts.setdefault(key, (container_name(labels)[:2], []))[1].extend(samples)


def _grew(line: Series, begin: float) -> bool:
    """Whether a counter grew notably between two looks after `begin`.

    It starts at zero where it was not there at `begin`, and again after each fall.
    """
    before = 0.0
    for time, value in sorted(line):
        grown = value - before if value >= before else value
        if time > begin and grown >= _FEWEST_PERIODS:
            return True
        before = value
    return False


def _between_looks(usage: Usage, grid: Grid) -> set[PodName]:
    """Pods that lived between two looks of one a day."""
    looks = np.sort(
        [part.time(k) for part in even_grids(grid.start, grid.end) for k in range(part.steps)]
    )
    first = grid.start.timestamp() + usage.first * grid.step.total_seconds()
    last = first + np.diff(usage.offset) * grid.step.total_seconds()
    unmet = np.searchsorted(looks, first) == np.searchsorted(looks, last, side="right")
    return {
        (usage.containers[usage.container[series]].namespace, usage.pods[series])
        for series in np.flatnonzero(unmet)
    }


def _throttled_between(
    reader: Reader, dialect: Dialect, grid: Grid, pods: set[PodName]
) -> set[PodName]:
    """Those of `pods` whose counter of throttled periods grew within a day."""
    found: set[PodName] = set()
    for names in batches(pods):
        series = selector(_THROTTLED, (*dialect.usage, one_of("pod", names)))
        for part in even_grids(grid.start, grid.end):
            expression = partial(_grown, series, left_open(part.step))
            pieces = plan(part, {"": len(names)}, 200_000)
            question = question_of_rows("throttling", part, expression, pieces)
            found.update(container_name(labels)[:2] for labels, _ in answers(reader, question))
    return found


def _grown(series: str, length: timedelta, more: Matchers) -> str:
    return f"{over('increase', narrowed(series, more), length)} >= {_FEWEST_PERIODS}"
