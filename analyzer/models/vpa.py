"""The baseline `vpa`: the recommender of the Kubernetes Vertical Pod Autoscaler 1.8.

Source: kubernetes/autoscaler, vertical-pod-autoscaler/pkg/recommender (util/histogram.go,
util/decaying_histogram.go, model/aggregations_config.go, logic/recommender.go, logic/estimator.go,
model/cluster.go). Samples go into a histogram with exponentially growing buckets and weights that
halve every 24 hours; a percentile is the END of the bucket it falls into. All pods of a workload
share one histogram: of CPU every sample, of memory each pod's peak of each day. The recommendation
depends on no risk, so every level of the demand is the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import timedelta

import numpy as np
import numpy.typing as npt

from analyzer.by_container import by_container
from analyzer.history import Histories
from analyzer.models.coverage import confidence, reasons
from analyzer.models.demand import RESOURCES, RISKS, Array, Demand, Resource, Step
from analyzer.models.rule import Rule
from analyzer.quantity import Cpu, Memory

RATIO = 1.05
BUCKETS = 176
FIRST_CPU, FIRST_MEMORY = 0.01, 1e7
HALF_LIFE_DAYS = 1.0
MEMORY_WINDOWS = 8
TARGET, LOWER, UPPER = 0.9, 0.5, 0.95
SAFETY_MARGIN = 1.15
LEAST_CPU, LEAST_MEMORY = 0.025, 250.0 * 1024**2
"""Per pod; each of its containers gets an equal part of it."""
OOM_BUMP_RATIO, OOM_BUMP_BYTES = 1.2, 100.0 * 1024**2
_EPSILON = 1e-3
"""A bucket lighter than a thousandth of a sample counts as empty, as in the original."""

TARGETS: dict[Resource, tuple[float, ...]] = {
    "cpu": (0.5, 0.75, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999),
    "memory": (0.5, 0.75, 0.9, 0.95, 0.98, 1.0),
}
"""What its users turn ``--target-cpu-percentile`` and ``--target-memory-percentile`` to."""
HALF_LIVES_DAYS = (1.0, 4.0)
"""... and ``--cpu-histogram-decay-half-life`` and its like for memory."""
_AT_ONCE = 100_000
"""Samples looked at in one go, to keep memory low."""


class Vpa:
    """Target of the VPA recommender: decayed p90, plus 15 %, at least 25m and 250 MiB a pod."""

    name = "vpa"

    def fit(self, histories: Histories, horizon: timedelta) -> Demand:
        """State the VPA's target for each container; `horizon` does not matter to it."""
        worked, held = (mass(histories, resource=r, half_life=HALF_LIFE_DAYS) for r in RESOURCES)
        cpu = percentiles(worked, TARGET, FIRST_CPU)
        memory = percentiles(held, TARGET, FIRST_MEMORY)
        share = 1 / containers_per_pod(histories)
        cpu = np.maximum(cpu * SAFETY_MARGIN, LEAST_CPU * share)
        memory = np.maximum(memory * SAFETY_MARGIN, LEAST_MEMORY * share)
        return flat_demand(self.name, histories, horizon, cpu, memory)

    def rules(self, histories: Histories, known: Histories) -> dict[Resource, list[Rule]]:
        """Its statistic at every percentile and half-life, to be swept by margin."""
        found: dict[Resource, list[Rule]] = {resource: [] for resource in RESOURCES}
        for resource in RESOURCES:
            first = FIRST_CPU if resource == "cpu" else FIRST_MEMORY
            for half_life in HALF_LIVES_DAYS:
                filled = mass(histories, resource=resource, half_life=half_life)
                for share in TARGETS[resource]:
                    setting = f"p{100 * share:g}, half-life {half_life:g} d"
                    found[resource].append(Rule(setting, percentiles(filled, share, first)))
        return found


def flat_demand(
    name: str, histories: Histories, horizon: timedelta, cpu: Array, memory: Array
) -> Demand:
    """A demand that is the same at every risk, for recommenders that know none."""
    why = reasons(histories)
    cpu, memory = cpu.copy(), memory.copy()
    cpu[list(why["cpu"])], memory[list(why["memory"])] = np.nan, np.nan
    what = f"as {name} recommends; it states no risk"
    return Demand(
        model=name,
        horizon=horizon,
        levels={
            "cpu": np.repeat(cpu[:, None], len(RISKS), axis=1),
            "memory": np.repeat(memory[:, None], len(RISKS), axis=1),
        },
        trails={
            "cpu": tuple(
                () if np.isnan(x) else (Step(name, "", Cpu.from_cores(x).human(), what),)
                for x in cpu
            ),
            "memory": tuple(
                () if np.isnan(x) else (Step(name, "", Memory.from_bytes(x).human(), what),)
                for x in memory
            ),
        },
        reasons=why,
        confidence=confidence(histories),
    )


def bucket_of(values: npt.NDArray[np.floating], first: float) -> npt.NDArray[np.int64]:
    """The bucket each value falls into: ``start(k) = first * (1.05**k - 1) / 0.05``."""
    bucket = np.floor(np.log(values * (RATIO - 1) / first + 1) / np.log(RATIO)).astype(np.int64)
    clipped: npt.NDArray[np.int64] = np.clip(bucket, 0, BUCKETS - 1)
    return clipped


def bucket_start(bucket: npt.NDArray[np.int64] | int, first: float) -> Array:
    """Where a bucket begins; the end of bucket ``k`` is the start of ``k + 1``."""
    start: Array = first * (RATIO ** np.asarray(bucket, dtype=np.float64) - 1) / (RATIO - 1)
    return start


def percentiles(filled: Array, share: float, first: float) -> Array:
    """The end of the bucket at which the weight of each row cumulates to `share`.

    `filled` has the shape (containers, `BUCKETS`); NaN where a row is without any weight.
    """
    heavy = filled >= _EPSILON
    cumulated = np.cumsum(filled, axis=1)
    reached = cumulated >= share * cumulated[:, -1:]
    bucket = np.maximum(reached.argmax(axis=1), heavy.argmax(axis=1))
    ends: Array = bucket_start(np.minimum(bucket + 1, BUCKETS - 1), first)
    return np.where(heavy.any(axis=1), ends, np.nan)


@by_container
def mass(histories: Histories, *, resource: Resource, half_life: float) -> Array:
    """The histogram of every container, (containers, `BUCKETS`): weights of all its samples.

    They halve every `half_life` days, and matter relative to each other only: the newest sample of
    a container weighs one.
    """
    filled = np.zeros((len(histories), BUCKETS))
    first = FIRST_CPU if resource == "cpu" else FIRST_MEMORY
    parts = _cpu_samples(histories) if resource == "cpu" else _pod_peaks(histories)
    for container, age_days, values in parts:
        if not len(values):
            continue
        low, high = int(container[0]), int(container[-1]) + 1
        own, rows = container - low, filled[low:high]
        newest = np.full(high - low, np.inf)
        np.minimum.at(newest, own, age_days)
        weights = np.exp2(-(age_days - newest[own]) / half_life)
        cell = own * BUCKETS + bucket_of(values, first)
        rows += np.bincount(cell, weights, minlength=rows.size).reshape(rows.shape)
    return filled


_Samples = tuple[npt.NDArray[np.int64], Array, npt.NDArray[np.floating]]
"""Container (in rising order), age in days and value of each sample."""


def _cpu_samples(histories: Histories) -> Iterator[_Samples]:
    usage = histories.usage
    for series, steps, where in _stretches(histories):
        values = usage.cpu_cores[where]
        seen = ~np.isnan(values)
        age = (usage.steps - 1 - steps[seen]) / usage.steps_per_day
        yield usage.container[series[seen]], age, values[seen]


def _pod_peaks(histories: Histories) -> Iterator[_Samples]:
    """Every pod's peak of each of the last eight days, kills counted as more than what was used."""
    usage, kills = histories.usage, _kills(histories)
    for series, steps, where in _stretches(histories):
        age = (usage.steps - 1 - steps) // usage.steps_per_day
        begins = np.flatnonzero(np.diff(series, prepend=-1) | np.diff(age, prepend=-1))
        if not len(begins):
            continue
        peaks = np.fmax.reduceat(usage.memory_bytes[where].astype(np.float64), begins)
        pods, days = series[begins], age[begins]
        for (pod, day), least in kills.items():
            hit = (pods == pod) & (days == day)
            peaks[hit] = [_bumped(peak, least) for peak in peaks[hit]]
        kept = ~np.isnan(peaks) & (days < MEMORY_WINDOWS)
        yield usage.container[pods[kept]], days[kept].astype(np.float64), peaks[kept]


def _bumped(peak: float, request: float) -> float:
    """The sample of a kill: ``max(used + 100 MiB, 1.2 used)``, `used` at least the request."""
    used = max(0.0 if np.isnan(peak) else peak, request)
    return max(used + OOM_BUMP_BYTES, used * OOM_BUMP_RATIO)


def _kills(histories: Histories) -> dict[tuple[int, int], float]:
    """The memory request, by series and age in days of every OOM kill.

    A kill whose pod left no sample counts for the last pod of its container.
    """
    usage, events = histories.usage, histories.events
    kills = events[events["kind"] == "oom_kill"]
    found = {}
    for index, pod, moment in zip(kills["index"], kills["pod"], kills["timestamp"], strict=True):
        pods = list(range(int(usage.bounds[index]), int(usage.bounds[index + 1])))
        request = histories.spec(int(index)).resources.memory_request
        age = int((histories.meta.end - moment) // timedelta(days=1))
        for series in [s for s in pods if usage.pods[s] == pod] or pods[-1:]:
            found[series, age] = float(request.bytes) if request else 0.0
    return found


def _stretches(
    histories: Histories,
) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], slice]]:
    """Series and step of every sample, whole containers at a time, and where they lie."""
    usage = histories.usage
    edges = usage.offset[usage.bounds]
    low = 0
    while low < len(histories):
        high = int(np.searchsorted(edges, edges[low] + _AT_ONCE, side="right")) - 1
        high = min(max(high, low + 1), len(histories))
        first, last = int(usage.bounds[low]), int(usage.bounds[high])
        lengths = np.diff(usage.offset[first : last + 1])
        series = np.repeat(np.arange(first, last), lengths)
        where = slice(int(edges[low]), int(edges[high]))
        steps = np.arange(where.start, where.stop) + (usage.first - usage.offset[:-1])[series]
        yield series, steps, where
        low = high


def containers_per_pod(histories: Histories) -> Array:
    """Per container, how many that run all the time its pod has."""
    owners: Sequence[tuple[str, str, str]] = [
        (ref.namespace, ref.kind, ref.workload) for ref in histories.containers
    ]
    lasting = [histories.spec(i).container_type != "init" for i in range(len(histories))]
    count = Counter(owner for owner, runs in zip(owners, lasting, strict=True) if runs)
    return np.array([max(count[owner], 1) for owner in owners], dtype=np.float64)


def bounds(lower: Array, upper: Array, days: Array) -> tuple[Array, Array]:
    """The VPA's lower and upper bound from the p50 and p95, each with the margin already applied.

    Confidence ``c`` is the days of history, at most the samples over 1,440: the upper bound is
    multiplied by ``1 + 1 / c`` and the lower by ``(1 + 0.001 / c) ** -2``.
    """
    return lower * (1 + 0.001 / days) ** -2, upper * (1 + 1 / days)
