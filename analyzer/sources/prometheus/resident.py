"""Resident memory of containers near their limit.

The working set holds page cache that the kernel takes back before it kills anyone, so a container
that fills its limit with cache looks like one that needs it. Only there is it worth asking, and
the cache itself, the rest, is not asked for.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from analyzer.sources.prometheus.answer import parse_labels
from analyzer.sources.prometheus.decode import Batch
from analyzer.sources.prometheus.facts import Facts, batches
from analyzer.sources.prometheus.owners import ContainerName, container_name
from analyzer.sources.prometheus.plan import MOST_POINTS, Piece, plan
from analyzer.sources.prometheus.probe import Dialect
from analyzer.sources.prometheus.promql import Matchers, left_open, one_of, over, selector
from analyzer.sources.prometheus.ragged import Grid, Lanes, Runs, cut
from analyzer.sources.prometheus.reader import Question, Reader
from analyzer.usage import Floats, Usage

NEAR = 0.8
"""The share of its limit from which on a container counts as near it."""
_METRIC = "container_memory_rss"
_MOST = 1000
"""So many containers of pods are asked for, those nearest their limits."""


def read_resident(
    reader: Reader, dialect: Dialect, grid: Grid, usage: Usage, facts: Facts
) -> Usage:
    """`usage` with resident memory where the working set came near the limit."""
    near = _near_limit(usage, facts)
    if not near:
        return usage
    lanes = Lanes()
    parts = [
        run
        for names in batches({name[:2] for name in near})
        for run in _read(reader, dialect, grid, names, lanes)
    ]
    return replace(usage, memory_rss_bytes=_placed(parts, lanes, near, usage))


def _near_limit(usage: Usage, facts: Facts) -> dict[ContainerName, int]:
    """The series whose working set came near the limit, by the names of their containers."""
    if not len(usage.pods):
        return {}
    peaks = np.fmax.reduceat(usage.memory_bytes, usage.offset[:-1])
    found = {}
    for series, peak in enumerate(peaks.tolist()):
        ref = usage.containers[usage.container[series]]
        name = ref.namespace, usage.pods[series], ref.container
        limits = facts.settings.get(name, {}).get("memory_limit_bytes", ())
        limit = max((value for _, value in limits), default=0.0)
        if limit > 0 and peak >= NEAR * limit:
            found[name] = series, peak / limit
    nearest = sorted(found, key=lambda name: (-found[name][1], name))[:_MOST]
    return {name: found[name][0] for name in nearest}


def _read(
    reader: Reader, dialect: Dialect, grid: Grid, pods: Iterable[str], lanes: Lanes
) -> list[Runs]:
    names = list(pods)
    window = left_open(max(grid.step, 2 * dialect.interval))

    def expression(more: Matchers) -> str:
        series = selector(_METRIC, (*dialect.usage, one_of("pod", names), *more))
        return over("max_over_time", series, window)

    def convert(batch: Batch, piece: Piece) -> Runs:
        return cut(batch, lanes, grid, (piece.low, piece.high))

    pieces = plan(grid, {"": len(names)}, MOST_POINTS)
    question = Question("resident memory", expression, grid, pieces, convert)
    reader.ask(question)
    return question.answers


def _placed(
    parts: Iterable[Runs], lanes: Lanes, series_of: dict[ContainerName, int], usage: Usage
) -> Floats:
    """The values in their places of `usage`, the largest where several series tell of one."""
    out = np.full(len(usage.memory_bytes), np.nan, dtype=np.float32)
    names = [container_name(parse_labels(text)) for text in lanes]
    for part in parts:
        begin = 0
        for lane, first, count in zip(
            part.lane.tolist(), part.first.tolist(), part.count.tolist(), strict=True
        ):
            values = part.values[begin : begin + count]
            begin += count
            series = series_of.get(names[lane])
            if series is None:
                continue
            low, high = usage.offset[series : series + 2].tolist()
            start = low + first - int(usage.first[series])
            skip, stop = max(0, low - start), max(0, min(count, high - start))
            where = slice(start + skip, start + stop)
            out[where] = np.fmax(out[where], values[skip:stop])
    return out
