"""CPU of runs that are shorter than a rate window or two, by their counter over their life.

A rate over five minutes divides the work of a run of two minutes by five: a job that burns two
cores shows 0.9. The counter itself tells how much was used from one scrape to the last.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import timedelta

import numpy as np

from analyzer.sources.prometheus.owners import ContainerName, container_name
from analyzer.sources.prometheus.probe import CPU_COUNTER, Dialect
from analyzer.sources.prometheus.promql import any_of
from analyzer.sources.prometheus.ragged import Grid
from analyzer.sources.prometheus.raw import RawQuery, Series, ask_raw
from analyzer.sources.prometheus.reader import Reader
from analyzer.usage import Usage

_START = "container_start_time_seconds"
_WINDOWS = 2
"""A run seen in more rate windows has one that lies wholly within it."""
_NEWEST = 100
"""So many runs of each container are looked at, the newest; older ones stay as they are."""
_AT_ONCE = 200
_DAY = timedelta(days=1)


def correct_short_runs(reader: Reader, dialect: Dialect, grid: Grid, usage: Usage) -> Usage:
    """`usage` with the CPU of short runs raised to their mean over life, where that is known.

    Only pods that began and ended within the window; nothing is ever lowered.
    """
    chosen = _short(dialect, grid, usage)
    if not chosen:
        return usage
    cpu = usage.room.copy(usage.cpu_cores)
    for names in _together(usage, chosen):
        series = [chosen[name] for name in names]
        first = int(min(usage.first[s] for s in series))
        last = int(max(usage.first[s] + usage.offset[s + 1] - usage.offset[s] for s in series))
        pods = sorted({name[1] for name in names})
        length = (last - first + 2) * grid.step + dialect.rate_window(grid.step)
        counters = any_of((CPU_COUNTER, _START), dialect.usage)
        query = RawQuery(counters, pods, grid.time(last), length)
        for name, cores in _means(ask_raw(reader.connection, query)):
            if name in chosen:
                where = slice(*usage.offset[chosen[name] : chosen[name] + 2].tolist())
                seen = ~(np.isnan(cpu[where]) & np.isnan(usage.memory_bytes[where]))
                cpu[where][seen] = np.fmax(cpu[where][seen], np.float32(cores))
    return replace(usage, cpu_cores=cpu)


def _short(dialect: Dialect, grid: Grid, usage: Usage) -> dict[ContainerName, int]:
    """The series of short runs by the names of their containers, the newest of each container."""
    most = _WINDOWS * -(-dialect.rate_window(grid.step) // grid.step)
    length = np.diff(usage.offset)
    inside = (usage.first > 0) & (usage.first + length < usage.steps)
    by_container: defaultdict[int, list[int]] = defaultdict(list)
    for series in np.flatnonzero(inside & (length <= most)).tolist():
        by_container[int(usage.container[series])].append(series)
    found = {}
    for index, several in by_container.items():
        ref = usage.containers[index]
        newest = sorted(several, key=lambda s: (int(usage.first[s]), s))[-_NEWEST:]
        found.update({(ref.namespace, usage.pods[s], ref.container): s for s in newest})
    return found


def _together(usage: Usage, chosen: Mapping[ContainerName, int]) -> Iterator[list[ContainerName]]:
    """The names in groups of one day and at most so many that fit into one question."""
    per_day = max(1, _DAY // usage.step)
    order = sorted(chosen, key=lambda name: (int(usage.first[chosen[name]]), name))
    group: list[ContainerName] = []
    for name in order:
        day = int(usage.first[chosen[name]]) // per_day
        if group and (
            len(group) >= _AT_ONCE or int(usage.first[chosen[group[0]]]) // per_day != day
        ):
            yield group
            group = []
        group.append(name)
    if group:
        yield group


def _means(rows: list[tuple[dict[str, str], Series]]) -> Iterator[tuple[ContainerName, float]]:
    """Mean cores of each counter, from its first sample on or from the start of its container."""
    starts = {
        _cgroup(labels): samples[-1][1]
        for labels, samples in rows
        if labels.get("__name__") == _START and samples
    }
    for labels, samples in rows:
        if labels.get("__name__") == _START or not samples:
            continue
        (first, begin), (last, total) = samples[0], samples[-1]
        if last > first and total >= begin:
            yield container_name(labels), (total - begin) / (last - first)
        start = starts.get(_cgroup(labels))
        # The counter began at zero with its container, so one scrape is enough.
        if start is not None and first - _DAY.total_seconds() < start < last:
            yield container_name(labels), total / (last - start)


def _cgroup(labels: Mapping[str, str]) -> tuple[ContainerName, str]:
    return container_name(labels), labels.get("id") or labels.get("name", "")
