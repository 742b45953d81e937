"""What is kept of a day when nothing else is: one row a container, a few bytes each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd

from analyzer.tables import NAMES, no_days, validate_days
from analyzer.telemetry import gate
from analyzer.usage import Recording, Usage

_LATE = timedelta(days=3)
"""After so long nothing more arrives of a day."""
_START = timedelta(minutes=10)
"""So long after its start a pod counts as starting."""
_LAST = timedelta(hours=1)
_MOST_LOST = 0.5


def summarise_day(recording: Recording) -> pd.DataFrame:
    """The days table of a recording that is one UTC day; all pods of a container together.

    Of what can be believed alone: a summary is all that a later run has of that day.
    """
    recording, _ = gate(recording)
    usage = recording.usage
    events = recording.events
    kills = events[events["kind"] == "oom_kill"].groupby(NAMES, observed=True).size()
    starts = _starts(recording)
    rows = []
    for index, ref in enumerate(usage.containers):
        key = (ref.namespace, ref.kind, ref.workload, ref.container)
        killed = int(kills.get(key, 0))
        summary = dict(_summary(usage, index)) | dict(_start(usage, index, starts))
        if summary or killed:
            rows.append({**dict(zip(NAMES, key, strict=True)), **summary, "kills": killed})
    table = pd.DataFrame(rows, columns=None if rows else [*NAMES, "day"])
    return validate_days(table.assign(day=recording.meta.start))


def _starts(recording: Recording) -> dict[tuple[str, str], list[pd.Timestamp]]:
    """When pods and containers in them began within the day, by namespace and pod."""
    begin, end = pd.Timestamp(recording.meta.start), pd.Timestamp(recording.meta.end)
    events = recording.events[recording.events["kind"].isin(["restart", "oom_kill"])]
    found: dict[tuple[str, str], list[pd.Timestamp]] = {}
    for table, column in ((recording.pods, "started"), (events, "timestamp")):
        inside = table[(table[column] > begin) & (table[column] <= end)]
        for namespace, pod, moment in zip(
            inside["namespace"], inside["pod"], inside[column], strict=True
        ):
            found.setdefault((namespace, pod), []).append(moment)
    return found


def _start(
    usage: Usage, index: int, starts: dict[tuple[str, str], list[pd.Timestamp]]
) -> Iterator[tuple[str, float]]:
    """The highest memory of the first minutes after a start."""
    space, peaks = usage.containers[index].namespace, []
    for series in range(int(usage.bounds[index]), int(usage.bounds[index + 1])):
        memory = usage.memory_bytes[usage.offset[series] : usage.offset[series + 1]]
        for moment in starts.get((space, usage.pods[series]), ()):
            step = (moment - pd.Timestamp(usage.start)) // usage.step - int(usage.first[series])
            first = memory[max(0, step) : max(0, step + 1 + -(-_START // usage.step))]
            peaks += first[~np.isnan(first)].tolist()
    if peaks:
        yield "start_peak_bytes", max(peaks)


def _summary(usage: Usage, index: int) -> Iterator[tuple[str, Any]]:
    where = usage.span(index)
    cpu, memory = usage.cpu_cores[where], usage.memory_bytes[where]
    cpu, memory = np.sort(cpu[~np.isnan(cpu)]), memory[~np.isnan(memory)]
    if len(cpu):
        yield "samples", len(cpu)
        for name, share in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99), ("max", 1.0)):
            rank = max(0, int(np.ceil(share * len(cpu))) - 1)
            yield f"cpu_{name}_cores", float(cpu[rank])
    if len(memory):
        yield "memory_peak_bytes", float(memory.max())


def join_summaries(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Each day of a pod once, as the last days table that knows it tells it."""
    known = [table for table in tables if not table.empty]
    if not known:
        return no_days()
    table = pd.concat(known, ignore_index=True)
    return validate_days(table.drop_duplicates([*NAMES, "pod", "day"], keep="last"))


def has_arrived(recording: Recording, now: datetime) -> bool:
    """Whether all of a day has arrived that will, by what is there of it and not by the clock.

    Remote writes and agents that were cut off deliver late. A day whose last hour is much thinner
    than its others may still grow, for three days; one without any sample was never delivered.
    """
    usage = recording.usage
    lengths = np.diff(usage.offset)
    steps = np.repeat(usage.first - usage.offset[:-1], lengths) + np.arange(usage.offset[-1])
    counts = np.bincount(steps[usage.observed()], minlength=usage.steps)
    if not counts.any():
        return False
    if now.astimezone(UTC) - recording.meta.end >= _LATE:
        return True
    last = counts[-max(1, _LAST // usage.step) :]
    return bool(last.mean() >= _MOST_LOST * np.median(counts[counts > 0]))
