"""Evidence: what was observed of each container, in the numbers a reviewer asks for."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np
import numpy.typing as npt

from analyzer.by_container import by_container
from analyzer.cutoff import NO_KILLS, find_kills
from analyzer.evidence.hours import BusyHour, busiest_hour
from analyzer.evidence.pods import Spread, spread_of
from analyzer.evidence.starts import Starts, first_step
from analyzer.history import Histories
from analyzer.kinds import runs_now_and_then
from analyzer.models.demand import RESOURCES, Resource
from analyzer.quantity import Memory
from analyzer.tables import EVENT_KINDS
from analyzer.usage import Usage

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Quantiles:
    """Usage over some time, all samples of all pods: cores or bytes, None where none was seen."""

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
    runs: int | None = None
    """How many runs were seen of what runs now and then, and of one day one at most; else None."""
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
    memory_pressure: float = 0.0
    """The same of memory: all tasks waited at once for pages to be reclaimed or read back."""
    starts: bool = True
    """Whether a start was seen: what it needs is then part of the memory that was seen."""
    start_peak: float | None = None
    """Bytes that its last start took, as a day before the window has it, where the window shows
    no start."""
    start_cpu: float | None = None
    """The most cores that any start took within its first minutes (`START`); None where none was
    seen. A start is often many times what steady use is, and lost among the quantiles."""
    resident_peak: float | None = None
    """The highest memory in bytes that the kernel cannot take back; None where the source does not
    tell it from page cache."""
    cpu_since: datetime | None = None
    """From when on `cpu` counts: after a change of level or of the image; None for all of it."""
    memory_since: datetime | None = None
    cpu_before: Quantiles | None = None
    """What was seen before that."""
    memory_before: Quantiles | None = None
    cpu_pods: Spread | None = None
    """How unlike its pods are; None for fewer than two."""
    memory_pods: Spread | None = None
    busy_hour: BusyHour | None = None
    """The hour of every day or week in which it uses most CPU, where one stands out."""

    @property
    def length(self) -> str:
        """How much history there is, in days or in runs."""
        if self.runs is None:
            return f"{self.days:.1f} days"
        return "1 run" if self.runs == 1 else f"{self.runs} runs"


def observe(
    histories: Histories, indices: Iterable[int], recent: Mapping[Resource, Array] | None = None
) -> dict[int, Evidence]:
    """Sum up what was observed of the containers at `indices`, each seen at least once.

    `recent` says per resource and container how many days back still count (NaN: all); what was
    before is summed up beside it.
    """
    wanted = np.zeros(len(histories), dtype=bool)
    wanted[list(indices)] = True
    back = {r: (recent or {}).get(r, np.full(len(histories), np.nan)) for r in RESOURCES}
    known = [histories.last_starts.get(ref) for ref in histories.containers]
    found = _observe_each(histories, wanted, back, known, since=first_step(histories))
    return {index: seen for index, seen in enumerate(found) if seen is not None}


@by_container
def _observe_each(
    histories: Histories,
    wanted: npt.NDArray[np.bool_],
    recent: dict[Resource, Array],
    last_starts: list[float | None],
    *,
    since: int,
) -> list[Evidence | None]:
    """The evidence of those that are `wanted`; usage of the cluster begins at step `since`."""
    counts, kills = _count_events(histories), find_kills(histories)
    starts = Starts(histories, since)
    found: list[Evidence | None] = [None] * len(histories)
    for index in np.flatnonzero(wanted).tolist():
        seen = _observe_one(histories, index, counts, starts)
        last = None if seen.starts else last_starts[index]
        elsewhere = kills.get(index, NO_KILLS).elsewhere
        seen = replace(
            seen, oom_elsewhere=elsewhere, start_peak=last, starts=seen.starts or last is not None
        )
        for resource, days in recent.items():
            if not np.isnan(days[index]):
                seen = _split(histories, index, seen, resource, float(days[index]))
        found[index] = seen
    return found


def _split(
    histories: Histories, index: int, seen: Evidence, resource: Resource, days: float
) -> Evidence:
    """`seen` with the last `days` of a resource apart from what was before."""
    usage, where = histories.usage, histories.usage.span(index)
    first = usage.steps - round(days * usage.steps_per_day)
    late = usage.sample_steps(index) >= first
    values = usage.cpu_cores[where] if resource == "cpu" else usage.memory_bytes[where]
    now, before = _quantiles(values[late]), _quantiles(values[~late])
    if now.max is None or before.max is None:
        return seen
    since = usage.start + first * usage.step
    if resource == "cpu":
        return replace(seen, cpu=now, cpu_since=since, cpu_before=before)
    return replace(seen, memory=now, memory_since=since, memory_before=before)


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


def _observe_one(histories: Histories, index: int, counts: _Counts, starts: Starts) -> Evidence:
    usage, where = histories.usage, histories.usage.span(index)
    cpu, memory = usage.cpu_cores[where], usage.memory_bytes[where]
    seen = ~(np.isnan(cpu) & np.isnan(memory))
    steps = usage.seen_steps(index, seen)
    span = int(steps[-1]) - int(steps[0]) + 1
    limit = counts.oom_limit[index]
    restarts = counts.events["restart"][index] + counts.events["oom_kill"][index]
    hours = seen.sum() * (usage.step / timedelta(hours=1))
    return Evidence(
        cpu=_quantiles(cpu),
        memory=_quantiles(memory),
        samples=int(seen.sum()),
        pods=int(usage.bounds[index + 1] - usage.bounds[index]),
        days=min(_distinct(steps // usage.steps_per_day), span / usage.steps_per_day),
        coverage=len(steps) / span,
        last_seen=usage.start + (int(steps[-1]) + 1) * usage.step,
        runs=_runs(histories, index, span / usage.steps_per_day),
        oom_kills=int(counts.events["oom_kill"][index]),
        oom_limit=None if np.isnan(limit) else Memory.from_bytes(float(limit)),
        restarts=int(counts.events["restart"][index]),
        image_changes=int(counts.events["image_change"][index]),
        throttled=float(counts.events["throttled"][index]) / max(1, int(seen.sum())),
        starts=bool(restarts > 0) or starts.any(index),
        start_cpu=max((float(np.nanmax(part)) for part in starts.of(index)), default=None),
        cpu_pressure=min(1.0, float(counts.events["cpu_pressure"][index] / hours)),
        memory_pressure=min(1.0, float(counts.events["memory_pressure"][index] / hours)),
        resident_peak=firm_peak(usage, where),
        cpu_pods=spread_of(histories, index, usage.cpu_cores),
        memory_pods=spread_of(histories, index, usage.memory_bytes),
        busy_hour=busiest_hour(histories, index),
    )


def _distinct(rising: npt.NDArray[np.int64]) -> int:
    """How many values there are among some in rising order."""
    return 1 + int(np.count_nonzero(np.diff(rising)))


def _runs(histories: Histories, index: int, days: float) -> int | None:
    """The runs seen, pods of one owner being one; `days` is the time that they span."""
    ref = histories.containers[index]
    if not (runs_now_and_then(ref.kind) or ref in histories.runs):
        return None
    usage = histories.usage
    low, high = usage.bounds[index : index + 2]
    owners = histories.owner_of_pod
    seen = {owners.get((ref.namespace, pod), pod) for pod in usage.pods[low:high]}
    return min(len(seen), math.ceil(days))


@by_container
def memory_peaks(histories: Histories) -> list[tuple[float | None, float | None]]:
    """The most bytes that the kernel could not take back, and the most of all; None: not told."""
    usage, found = histories.usage, list[tuple[float | None, float | None]]()
    for where in map(usage.span, range(len(histories))):
        firm = firm_peak(usage, where)
        found.append((firm, None if firm is None else float(np.nanmax(usage.memory_bytes[where]))))
    return found


def firm_peak(usage: Usage, where: slice) -> float | None:
    """The most bytes that the kernel could not take back, where that is told of the samples."""
    parts = (usage.memory_rss_bytes, usage.memory_cache_bytes)
    told = any(part is not None and not np.isnan(part[where]).all() for part in parts)
    return float(np.nanmax(usage.firm_bytes[where])) if told else None


def _quantiles(values: npt.NDArray[np.float32]) -> Quantiles:
    seen = np.sort(values[~np.isnan(values)])
    if not len(seen):
        return Quantiles(None, None, None, None)
    ranks = [max(0, int(np.ceil(q * len(seen))) - 1) for q in (0.5, 0.95, 0.99, 1.0)]
    return Quantiles(*(float(seen[rank]) for rank in ranks))
