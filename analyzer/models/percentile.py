"""The percentile model: what was used before, newest days first, with a margin for few days.

CPU: the time-weighted quantile of all samples of all pods (a pod counts by how long it lived),
with exponential decay. Its confidence margin is Woodruff's (JASA 1952): the quantile is taken at
a lower risk, by the standard error of the share of time above it. That error comes from whole
days, because samples within a day are autocorrelated and count for far less than their number.

Memory: the peak until the next review. The logarithms of the daily peaks give a centre and a
spread; the level at a risk is Student's predictive quantile of the highest of the coming days.
"""

from __future__ import annotations

from datetime import timedelta

import numpy as np
from scipy import stats

from analyzer.history import Histories
from analyzer.models.demand import RISKS, Array, Demand, Step
from analyzer.models.quantile import decay, weighted_quantiles
from analyzer.quantity import Cpu, Memory

HALF_LIFE_DAYS = 7.0
LEAST_SPREAD = 0.03
"""No workload's daily peak is steadier than 3 %, however few days suggest it."""


class Percentile:
    """Decayed quantiles per container; every container on its own."""

    name = "percentile"

    def fit(self, histories: Histories, horizon: timedelta) -> Demand:
        """State demand from each container's own samples."""
        count = len(histories)
        levels = {"cpu": np.full((count, len(RISKS)), np.nan)}
        levels["memory"] = np.full((count, len(RISKS)), np.nan)
        trails: dict[str, list[tuple[Step, ...]]] = {"cpu": [], "memory": []}
        for index in range(count):
            levels["cpu"][index] = _cpu_levels(histories, index)
            trails["cpu"].append(_cpu_trail(levels["cpu"][index], histories))
        peaks = histories.daily.memory_peak
        levels["memory"] = peak_levels(peaks, horizon)
        trails["memory"] = [
            _memory_trail(row, level) for row, level in zip(peaks, levels["memory"])
        ]
        return Demand(
            model=self.name,
            horizon=horizon,
            levels=levels,
            trails={name: tuple(rows) for name, rows in trails.items()},
            reasons={
                name: {
                    int(i): f"no {name} usage was observed"
                    for i in np.flatnonzero(np.isnan(rows).any(axis=1))
                }
                for name, rows in levels.items()
            },
            findings={"cpu": ("steady",) * count, "memory": ("steady",) * count},
            confidence=np.clip((histories.daily.samples > 0).sum(axis=1) / 14, 0.0, 1.0),
        )


def _cpu_levels(histories: Histories, index: int) -> Array:
    usage, where = histories.usage, histories.usage.span(index)
    values = usage.cpu_cores[where]
    seen = ~np.isnan(values)
    age = (usage.steps - 1 - usage.sample_steps(index)[seen]) / usage.steps_per_day
    values, weights = values[seen], decay(age, HALF_LIFE_DAYS)
    plain = weighted_quantiles(values, weights, 1 - RISKS)
    return np.maximum(plain, np.maximum.accumulate(plain[::-1])[::-1])


def peak_levels(peaks: Array, horizon: timedelta) -> Array:
    """Levels that the highest of the coming daily peaks exceeds at `RISKS`; rows are containers."""
    days = max(1.0, horizon / timedelta(days=1))
    logs = np.log(np.maximum(peaks, 1.0))
    seen = ~np.isnan(peaks)
    count = seen.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        centre = np.nansum(logs, axis=1) / np.where(count, count, np.nan)
        spread = np.nansum((logs - centre[:, None]) ** 2, axis=1)
        spread = np.sqrt((spread + 3 * LEAST_SPREAD**2) / (count + 2))
        daily_risk = -np.expm1(np.log1p(-RISKS) / days)
        reach = stats.t.isf(daily_risk[None, :], np.maximum(count - 1, 2)[:, None])
        level: Array = np.exp(
            centre[:, None] + spread[:, None] * reach * np.sqrt(1 + 1 / count)[:, None]
        )
    return level


def _cpu_trail(levels: Array, histories: Histories) -> tuple[Step, ...]:
    if np.isnan(levels).any():
        return ()
    p95 = Cpu.from_cores(levels[np.searchsorted(RISKS, 0.05)]).human()
    days = histories.usage.steps / histories.usage.steps_per_day
    return (Step("percentile", "", p95, f"p95 of {days:.0f} days, newest days weigh most"),)


def _memory_trail(peaks: Array, levels: Array) -> tuple[Step, ...]:
    if np.isnan(levels).any():
        return ()
    peak = Memory.from_bytes(float(np.nanmax(peaks))).human()
    days = int((~np.isnan(peaks)).sum())
    return (Step("peak", "", peak, f"highest peak of {days} days"),)
