"""Evidence: what was observed of each container, in the numbers a reviewer asks for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np
import numpy.typing as npt

from analyzer.cutoff import NO_KILLS, find_kills
from analyzer.history import Histories
from analyzer.quantity import Memory
from analyzer.usage import EVENT_KINDS

Array = npt.NDArray[np.float64]

_TARDY = 1 / 24
"""Days after the first sample of the window from which on a pod is taken to have started in it."""


@dataclass(frozen=True, slots=True)
class Quantiles:
    """Usage over the window, all samples of all pods: cores or bytes, None where none was seen."""

    p50: float | None
    p95: float | None
    p99: float | None
    max: float | None


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was observed of one container."""

    cpu: Quantiles
    memory: Quantiles
    samples: int
    pods: int
    days: float
    """How many days of history there are: days with samples, at most the time they span."""
    coverage: float
    """The observed share of the time between the first and the last sample."""
    last_seen: datetime
    oom_kills: int = 0
    oom_limit: Memory | None = None
    """The highest limit at which it was killed."""
    oom_elsewhere: int = 0
    """Those of `oom_kills` that the limit did not cause (`analyzer.cutoff`)."""
    restarts: int = 0
    image_changes: int = 0
    throttled: float = 0.0
    """The share of observed steps in which it was notably throttled."""
    cpu_pressure: float = 0.0
    """The share of the observed time that lies in hours of notable CPU pressure: some task waited
    for a CPU, be it for the limit or for its neighbours. 0 also where the source has no PSI."""
    starts: bool = True
    """Whether a start was seen: what it needs is then part of the memory that was seen."""
    memory_pressure: float = 0.0
    """The same of memory: all tasks waited at once for pages to be reclaimed or read back."""


def observe(histories: Histories, indices: Iterable[int]) -> dict[int, Evidence]:
    """Sum up what was observed of the containers at `indices`, each seen at least once."""
    counts, kills = _count_events(histories), find_kills(histories)
    return {
        index: replace(
            _observe_one(histories, index, counts),
            oom_elsewhere=kills.get(index, NO_KILLS).elsewhere,
        )
        for index in indices
    }


@dataclass(frozen=True)
class _Counts:
    events: Mapping[str, npt.NDArray[np.int64]]
    oom_limit: Array


def _count_events(histories: Histories) -> _Counts:
    events, size = histories.events, len(histories)
    counts = {
        kind: np.bincount(events.loc[events["kind"] == kind, "index"], minlength=size)
        for kind in EVENT_KINDS
    }
    limit = np.full(size, np.nan)
    kills = events[(events["kind"] == "oom_kill") & events["value"].notna()]
    highest = kills.groupby("index")["value"].max()
    limit[highest.index] = highest
    return _Counts(counts, limit)


def _observe_one(histories: Histories, index: int, counts: _Counts) -> Evidence:
    usage, where = histories.usage, histories.usage.span(index)
    cpu, memory = usage.cpu_cores[where], usage.memory_bytes[where]
    seen = ~(np.isnan(cpu) & np.isnan(memory))
    steps = np.unique(usage.sample_steps(index)[seen])
    span = int(steps[-1]) - int(steps[0]) + 1
    limit = counts.oom_limit[index]
    starts = counts.events["restart"][index] + counts.events["oom_kill"][index] > 0
    hours = seen.sum() * (usage.step / timedelta(hours=1))
    return Evidence(
        cpu=_quantiles(cpu),
        memory=_quantiles(memory),
        samples=int(seen.sum()),
        pods=int(usage.bounds[index + 1] - usage.bounds[index]),
        days=min(len(np.unique(steps // usage.steps_per_day)), span / usage.steps_per_day),
        coverage=len(steps) / span,
        last_seen=usage.start + (int(steps[-1]) + 1) * usage.step,
        oom_kills=int(counts.events["oom_kill"][index]),
        oom_limit=None if np.isnan(limit) else Memory.from_bytes(float(limit)),
        restarts=int(counts.events["restart"][index]),
        image_changes=int(counts.events["image_change"][index]),
        throttled=float(counts.events["throttled"][index]) / max(1, int(seen.sum())),
        starts=bool(starts) or _started(histories, index),
        cpu_pressure=min(1.0, float(counts.events["cpu_pressure"][index] / hours)),
        memory_pressure=min(1.0, float(counts.events["memory_pressure"][index] / hours)),
    )


def _started(histories: Histories, index: int) -> bool:
    """Whether a pod began within the window, and not with it; init containers begin every pod."""
    usage, series = histories.usage, slice(*histories.usage.bounds[index : index + 2])
    seen_from = int(usage.first.min()) if len(usage.first) else 0
    late = usage.first[series] > seen_from + _TARDY * usage.steps_per_day
    return bool(late.any()) or histories.spec(index).container_type == "init"


def _quantiles(values: npt.NDArray[np.float32]) -> Quantiles:
    seen = np.sort(values[~np.isnan(values)])
    if not len(seen):
        return Quantiles(None, None, None, None)
    ranks = [max(0, int(np.ceil(q * len(seen))) - 1) for q in (0.5, 0.95, 0.99, 1.0)]
    return Quantiles(*(float(seen[rank]) for rank in ranks))
