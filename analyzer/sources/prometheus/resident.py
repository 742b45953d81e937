"""What of the memory of containers near their limit the kernel could take back.

The working set holds page cache that the kernel takes back before it kills anyone, so a container
that fills its limit with cache looks like one that needs it. Only there is it worth asking.

New kubelets tell the part itself (active file pages). Of older ones the cache and the resident
memory are read, with the files that programs map: shared memory and tmpfs count as cache there,
and cannot be taken back.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from analyzer.sources.prometheus.answer import parse_labels
from analyzer.sources.prometheus.decode import Batch
from analyzer.sources.prometheus.facts import Facts, batches
from analyzer.sources.prometheus.owners import ContainerName, container_name
from analyzer.sources.prometheus.plan import MOST_POINTS, Piece, plan
from analyzer.sources.prometheus.probe import Dialect
from analyzer.sources.prometheus.promql import (
    Matchers,
    any_of,
    left_open,
    one_of,
    over,
    selector,
)
from analyzer.sources.prometheus.ragged import Grid, Lanes, Runs, cut
from analyzer.sources.prometheus.reader import Question, Reader
from analyzer.usage import Floats, Usage

NEAR = 0.8
"""The share of its limit from which on a container counts as near it."""
_ACTIVE = "container_memory_total_active_file_bytes"
_RSS, _MAPPED = "container_memory_rss", "container_memory_mapped_file"
_CACHE = "container_memory_cache"
_MOST = 1000
"""So many containers of pods are asked for, those nearest their limits."""


def read_resident(
    reader: Reader, dialect: Dialect, grid: Grid, usage: Usage, facts: Facts
) -> Usage:
    """`usage` with what cannot be taken back, where the working set came near the limit.

    It stands as resident memory: one more array of the size of `usage` is enough.
    """
    near = _near_limit(usage, facts)
    if not near:
        return usage
    names = _there(reader, dialect, grid)

    def read(*metrics: str) -> Floats | None:
        found = [metric for metric in metrics if metric in names]
        # What is lacking adds nothing, but for the first itself.
        if metrics[0] not in found:
            return None
        return _read(reader, dialect, grid, near, found, usage)

    if _ACTIVE in names:
        return _with_firm(usage, near, None, read(_ACTIVE))
    resident = read(_RSS, _MAPPED)
    return usage if resident is None else _with_firm(usage, near, resident, read(_CACHE))


def _with_firm(
    usage: Usage, near: dict[ContainerName, int], resident: Floats | None, cache: Floats | None
) -> Usage:
    """`usage` with the larger of what is resident and what of the working set is no cache."""
    firm = np.full_like(usage.memory_bytes, np.nan) if resident is None else resident
    if cache is None:
        return replace(usage, memory_rss_bytes=firm)
    for series in near.values():
        where = slice(int(usage.offset[series]), int(usage.offset[series + 1]))
        rest = np.maximum(usage.memory_bytes[where] - cache[where], 0)
        firm[where] = np.fmax(firm[where], rest)
    return replace(usage, memory_rss_bytes=firm)


def _there(reader: Reader, dialect: Dialect, grid: Grid) -> set[str]:
    series = any_of((_ACTIVE, _RSS, _MAPPED, _CACHE), dialect.usage)
    start, end = grid.start.timestamp(), grid.end.timestamp()
    return set(reader.connection.label_values("__name__", series, start, end))


def _near_limit(usage: Usage, facts: Facts) -> dict[ContainerName, int]:
    """All series of containers of which one came near the limit, by the names of their pods."""
    if not len(usage.pods):
        return {}
    peaks = np.fmax.reduceat(usage.memory_bytes, usage.offset[:-1])
    names = [
        (usage.containers[owner].namespace, pod, usage.containers[owner].container)
        for owner, pod in zip(usage.container.tolist(), usage.pods, strict=True)
    ]
    shares = np.zeros(len(names))
    for series, (name, peak) in enumerate(zip(names, peaks.tolist(), strict=True)):
        limits = facts.settings.get(name, {}).get("memory_limit_bytes", ())
        limit = max((value for _, value in limits), default=0.0)
        shares[series] = peak / limit if limit > 0 else 0.0
    worst = np.zeros(len(usage.containers))
    np.fmax.at(worst, usage.container, np.nan_to_num(shares))
    near = np.flatnonzero(worst[usage.container] >= NEAR).tolist()
    nearest = sorted(near, key=lambda s: (-worst[usage.container[s]], -shares[s], names[s]))
    return {names[series]: series for series in nearest[:_MOST]}


def _read(
    reader: Reader,
    dialect: Dialect,
    grid: Grid,
    near: dict[ContainerName, int],
    metrics: Sequence[str],
    usage: Usage,
) -> Floats:
    """The sum of `metrics` of the series in `near`, in their places of `usage`."""
    window = left_open(max(grid.step, 2 * dialect.interval))
    lanes = Lanes()

    def convert(batch: Batch, piece: Piece) -> Runs:
        return cut(batch, lanes, grid, (piece.low, piece.high))

    parts: list[Runs] = []
    for names in batches({name[:2] for name in near}):

        def expression(more: Matchers, names: Sequence[str] = names) -> str:
            matchers = (*dialect.usage, one_of("pod", names), *more)
            return " + ".join(
                over("max_over_time", selector(metric, matchers), window) for metric in metrics
            )

        pieces = plan(grid, {"": len(names)}, MOST_POINTS)
        question = Question("resident memory", expression, grid, pieces, convert)
        reader.ask(question)
        parts += question.answers
    return _placed(parts, lanes, near, usage)


def _placed(
    parts: Iterable[Runs], lanes: Lanes, series_of: dict[ContainerName, int], usage: Usage
) -> Floats:
    """The values in their places of `usage`, the largest where several series tell of one."""
    out = usage.room.floats(len(usage.memory_bytes))
    out[:] = np.nan
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
