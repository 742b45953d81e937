"""The baseline `vpa`: the recommender of the Kubernetes Vertical Pod Autoscaler 1.8.

Source: kubernetes/autoscaler, vertical-pod-autoscaler/pkg/recommender (util/histogram.go,
util/decaying_histogram.go, model/aggregations_config.go, logic/recommender.go, logic/estimator.go,
model/cluster.go). Samples go into a histogram with exponentially growing buckets and weights that
halve every 24 hours; a percentile is the END of the bucket it falls into. The recommendation
depends on no risk, so every level of the demand is the same.
"""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import numpy.typing as npt

from analyzer.history import Histories
from analyzer.models.coverage import confidence, reasons
from analyzer.models.demand import RISKS, Array, Demand, Step
from analyzer.quantity import Cpu, Memory

RATIO = 1.05
BUCKETS = 176
FIRST_CPU, FIRST_MEMORY = 0.01, 1e7
HALF_LIFE_DAYS = 1.0
MEMORY_WINDOWS = 8
TARGET, LOWER, UPPER = 0.9, 0.5, 0.95
SAFETY_MARGIN = 1.15
LEAST_CPU, LEAST_MEMORY = 0.025, 250.0 * 1024**2
OOM_BUMP_RATIO, OOM_BUMP_BYTES = 1.2, 100.0 * 1024**2
SAMPLES_PER_DAY = 1440
_EPSILON = 1e-3
"""A bucket lighter than a thousandth of a sample counts as empty, as in the original."""


class Vpa:
    """Target of the VPA recommender: decayed p90, plus 15 %, at least 25m and 250 MiB."""

    name = "vpa"
    sweep = "margin"

    def __init__(self, *, plain: bool = False) -> None:
        self.plain = plain
        """Without margin and floors: the bare statistic, which a sweep of margins starts from."""

    def fit(self, histories: Histories, horizon: timedelta) -> Demand:
        """State the VPA's target for each container; `horizon` does not matter to it."""
        count = len(histories)
        cpu, memory = np.full(count, np.nan), np.full(count, np.nan)
        for index in range(count):
            cpu[index] = _cpu_percentile(histories, index, TARGET)
            memory[index] = _memory_percentile(histories, index, TARGET)
        if not self.plain:
            cpu = np.maximum(cpu * SAFETY_MARGIN, LEAST_CPU)
            memory = np.maximum(memory * SAFETY_MARGIN, LEAST_MEMORY)
        return flat_demand(self.name, histories, horizon, cpu, memory)


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


def histogram_percentile(
    values: npt.NDArray[np.floating], weights: Array, share: float, first: float
) -> float:
    """The end of the bucket at which the weight cumulates to `share`; NaN without any weight."""
    mass = np.bincount(bucket_of(values, first), weights=weights, minlength=BUCKETS)
    heavy = np.flatnonzero(mass >= _EPSILON)
    if not len(heavy):
        return float("nan")
    reached = np.cumsum(mass) >= share * mass.sum()
    bucket = max(int(reached.argmax()), int(heavy[0]))
    if bucket >= BUCKETS - 1:
        return float(bucket_start(BUCKETS - 1, first))
    return float(bucket_start(bucket + 1, first))


def _cpu_percentile(histories: Histories, index: int, share: float) -> float:
    usage, where = histories.usage, histories.usage.span(index)
    values = usage.cpu_cores[where]
    seen = ~np.isnan(values)
    if not seen.any():
        return float("nan")
    steps = usage.sample_steps(index)[seen]
    # Weights matter relative to each other only: the newest sample weighs one.
    age = (steps.max() - steps) / usage.steps_per_day
    weights = np.exp2(-age / HALF_LIFE_DAYS)
    return histogram_percentile(values[seen], weights, share, FIRST_CPU)


def _memory_percentile(histories: Histories, index: int, share: float) -> float:
    peaks = _with_kills(histories, index)[-MEMORY_WINDOWS:]
    seen = ~np.isnan(peaks)
    if not seen.any():
        return float("nan")
    age = np.arange(len(peaks))[::-1][seen]
    return histogram_percentile(peaks[seen], np.exp2(-age / HALF_LIFE_DAYS), share, FIRST_MEMORY)


def _with_kills(histories: Histories, index: int) -> Array:
    """Daily peaks; a day with an OOM kill counts as more than what was used or requested.

    The sample of a kill is ``max(used + 100 MiB, 1.2 used)``, `used` being the larger of the
    request and the peak of the window.
    """
    peaks: Array = histories.daily.memory_peak[index].copy()
    events = histories.events_of(index)
    kills = events.loc[events["kind"] == "oom_kill", "timestamp"]
    request = histories.spec(index).resources.memory_request
    for moment in kills:
        age = (histories.meta.end - moment) // timedelta(days=1)
        day = len(peaks) - 1 - int(age)
        if 0 <= day < len(peaks):
            seen = 0.0 if np.isnan(peaks[day]) else float(peaks[day])
            used = max(seen, float(request.bytes) if request else 0.0)
            peaks[day] = max(used + OOM_BUMP_BYTES, used * OOM_BUMP_RATIO)
    return peaks


def bounds(lower: Array, upper: Array, days: Array) -> tuple[Array, Array]:
    """The VPA's lower and upper bound from the p50 and p95, each with the margin already applied.

    Confidence ``c`` is the days of history, at most the samples over 1,440: the upper bound is
    multiplied by ``1 + 1 / c`` and the lower by ``(1 + 0.001 / c) ** -2``.
    """
    return lower * (1 + 0.001 / days) ** -2, upper * (1 + 1 / days)
