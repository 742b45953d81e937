"""The trend model: the percentile model, moved to where a significant trend leads.

Growth is a robust slope (Theil-Sen) of the logarithm of daily values with a significance that
survives autocorrelation (`analyzer.models.pattern.trend`). It moves demand to the end of the
horizon, plus the uncertainty of the slope. After a level shift only what came since counts. A
leak is not growth: its peaks repeat, and no request outruns it.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np

from analyzer.daily import Daily
from analyzer.history import Histories
from analyzer.models.demand import RESOURCES, RISKS, Array, Demand, Resource, Step
from analyzer.models.pattern import Pattern, recognise
from analyzer.models.percentile import Percentile, cpu_levels, peak_levels
from analyzer.quantity import Cpu, Memory

_SHOWN: dict[Resource, int] = {
    "cpu": int(np.searchsorted(RISKS, 0.05)),
    "memory": int(np.searchsorted(RISKS, 0.1)),
}
"""At which risk a trail tells its levels, as the percentile model does."""
SLOPE_ERROR = 0.25
"""One standard error of a significant slope, at the least, as a share of it."""


class Trend:
    """Percentiles of what still holds, moved along a significant trend."""

    name = "trend"

    def fit(self, histories: Histories, horizon: timedelta) -> Demand:
        """State demand for the end of the horizon."""
        base = Percentile().fit(histories, horizon)
        patterns = recognise(histories)
        levels = {resource: base.levels[resource].copy() for resource in RESOURCES}
        _forget(levels, histories, patterns, horizon)
        trails: dict[Resource, tuple[tuple[Step, ...], ...]] = {}
        for resource in RESOURCES:
            rise = _rise(histories.daily, patterns[resource], horizon)
            kept = levels[resource]
            levels[resource] = kept * np.exp(rise)[:, None]
            shown = [of[:, _SHOWN[resource]] for of in (base.levels[resource], kept)]
            trails[resource] = _trails(base, resource, patterns[resource], rise, shown)
        growth = {resource: np.maximum(patterns[resource].slope, 0.0) for resource in RESOURCES}
        return replace(base, model=self.name, levels=levels, trails=trails, growth=growth)


def _forget(
    levels: dict[Resource, Array],
    histories: Histories,
    patterns: dict[Resource, Pattern],
    horizon: timedelta,
) -> None:
    """Levels of containers that shifted, from what came after the shift."""
    days = histories.daily.samples.shape[1]
    peaks = histories.daily.memory_peak
    since = patterns["memory"].since
    shifted = np.flatnonzero((since > 0) & ~np.isnan(levels["memory"][:, 0]))
    if len(shifted):
        kept = np.where(np.arange(days) < since[:, None], np.nan, peaks)
        levels["memory"][shifted] = peak_levels(kept[shifted], horizon)
    since = patterns["cpu"].since
    moved = (since > 0) & ~np.isnan(levels["cpu"]).any(axis=1)
    newest = np.where(moved, (days - since) * histories.usage.steps_per_day, 0)
    levels["cpu"][moved] = cpu_levels(histories, newest)[moved]


def _rise(daily: Daily, pattern: Pattern, horizon: timedelta) -> Array:
    """How far demand moves, in logarithms: from the middle of the window to the end of it."""
    days = daily.samples.shape[1]
    ahead = days / 4 + horizon / timedelta(days=1)
    rise: Array = np.maximum(pattern.slope, 0.0) * ahead * (1 + SLOPE_ERROR)
    return rise


def _trails(
    base: Demand, resource: Resource, pattern: Pattern, rise: Array, shown: list[Array]
) -> tuple[tuple[Step, ...], ...]:
    """The steps of the percentile model, and what a shift and a growth made of its level.

    `shown` are the levels of a trail: of all the window, and of what still holds.
    """
    kind = Cpu.from_cores if resource == "cpu" else Memory.from_bytes
    trails = []
    for index, trail in enumerate(base.trails[resource]):
        steps = list(trail)
        whole, kept = (float(level[index]) for level in shown)
        if trail and pattern.since[index]:
            ratio = pattern.shift[index]
            reason = f"moved to {ratio:.2f} x its level; what came before does not count"
            steps.append(Step("shift", kind(whole).human(), kind(kept).human(), reason))
        if trail and rise[index] > 0:
            week = np.expm1(7 * pattern.slope[index])
            chance = max(pattern.p_value[index], 1e-4)
            reason = f"grows {week:.1%} a week (significant, p = {chance:.4f})"
            grown = kind(kept * float(np.exp(rise[index]))).human()
            steps.append(Step("growth", kind(kept).human(), grown, reason))
        trails.append(tuple(steps))
    return tuple(trails)
