"""What is kept of a day when nothing else is: one row a container, a few bytes each."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd

from analyzer.telemetry import gate
from analyzer.usage import NAMES, Recording, Usage, validate_days

_LATE = timedelta(days=3)
"""After so long nothing more arrives of a day."""
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
    rows = []
    for index, ref in enumerate(usage.containers):
        key = (ref.namespace, ref.kind, ref.workload, ref.container)
        killed = int(kills.get(key, 0))
        summary = dict(_summary(usage, index))
        if summary or killed:
            rows.append({**dict(zip(NAMES, key, strict=True)), **summary, "kills": killed})
    table = pd.DataFrame(rows, columns=None if rows else [*NAMES, "day"])
    return validate_days(table.assign(day=recording.meta.start))


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
