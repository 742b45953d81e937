"""The percentile model: what was used before, newest days first, with a margin for few days.

CPU: the time-weighted quantile of all samples of all pods (a pod counts by how long it lived),
with exponential decay. Its confidence margin is Woodruff's (JASA 1952): the quantile is taken at
a lower risk, by the standard error of the share of time above it. That error comes from whole
days, because samples within a day are autocorrelated and count for far less than their number.

Memory: the peak until the next review. The logarithms of the daily peaks give a centre and a
spread; the level at a risk is the centre plus an exponential tail of that spread, never below the
quantile of the peaks themselves. Few days widen the spread.
"""

from __future__ import annotations

import warnings
from datetime import timedelta

import numpy as np
import numpy.typing as npt

from analyzer.by_container import by_container
from analyzer.history import Histories
from analyzer.models.censoring import (
    kill_floors,
    raise_above_kills,
    raise_above_throttling,
)
from analyzer.models.coverage import confidence, reasons
from analyzer.models.demand import RESOURCES, RISKS, Array, Demand, Resource, Step
from analyzer.models.pattern import Pattern, recognise
from analyzer.models.quantile import decay, weighted_quantiles
from analyzer.quantity import Cpu, Memory

HALF_LIFE_DAYS = 7.0
LEAST_SPREAD = 0.05
"""No workload's daily peak is steadier than 5 %, however few days suggest it."""

MOST_SPREAD = 0.25
"""Whoever varies more has shown its heights; beyond them the tail is no longer than this."""


class Percentile:
    """Decayed quantiles per container; every container on its own."""

    name = "percentile"

    def fit(self, histories: Histories, horizon: timedelta) -> Demand:
        """State demand from each container's own samples."""
        why = reasons(histories)
        levels: dict[Resource, Array] = {
            "cpu": cpu_levels(histories, np.full(len(histories), histories.usage.steps)),
            "memory": peak_levels(histories.daily.memory_peak, horizon),
        }
        levels["cpu"] = raise_above_throttling(levels["cpu"], histories)
        levels["memory"] = raise_above_kills(levels["memory"], kill_floors(histories))
        for resource in RESOURCES:
            levels[resource][list(why[resource])] = np.nan
        patterns: dict[Resource, Pattern] = recognise(histories)
        return Demand(
            model=self.name,
            horizon=horizon,
            levels=levels,
            trails={
                "cpu": _cpu_trails(levels["cpu"], histories),
                "memory": _memory_trails(levels["memory"], histories),
            },
            reasons=why,
            findings={resource: tuple(patterns[resource].findings) for resource in RESOURCES},
            confidence=confidence(histories),
        )


@by_container
def cpu_levels(histories: Histories, newest: npt.NDArray[np.int64]) -> Array:
    """Cores that usage exceeds in `RISKS` of the time, (containers, len(RISKS)).

    Decayed quantiles of the samples of as many of the `newest` steps as are told for each
    container; NaN without any.
    """
    levels = np.full((len(histories), len(RISKS)), np.nan)
    for index in np.flatnonzero(newest).tolist():
        levels[index] = _cpu_levels_of(histories, index, int(newest[index]))
    return levels


def _cpu_levels_of(histories: Histories, index: int, newest: int) -> Array:
    usage, where = histories.usage, histories.usage.span(index)
    values = usage.cpu_cores[where]
    seen = ~np.isnan(values) & (usage.sample_steps(index) >= usage.steps - newest)
    age = (usage.steps - 1 - usage.sample_steps(index)[seen]) / usage.steps_per_day
    values, weights = values[seen], decay(age, HALF_LIFE_DAYS)
    if not len(values):
        return np.full(len(RISKS), np.nan)
    plain = weighted_quantiles(values, weights, 1 - RISKS)
    errors = day_errors(values, weights, age.astype(np.int64), plain)
    careful = np.clip(RISKS - errors, RISKS / 2, None)
    return weighted_quantiles(values, weights, 1 - careful)


def day_errors(values: np.ndarray, weights: Array, day: np.ndarray, levels: Array) -> Array:
    """Standard errors of the share of time above each level, with days as the units.

    The shares of whole days vary around the share of all; their spread over the root of their
    number is the error, however many samples a day has. Zero with a single day, which tells
    nothing about it.
    """
    mass = np.bincount(day, weights=weights)
    held = mass > 0
    count = int(held.sum())
    if count < 2:
        return np.zeros(len(levels))
    errors = np.empty(len(levels))
    for number, level in enumerate(levels):
        above = np.bincount(day, weights=weights * (values > level), minlength=len(mass))[held]
        share = above.sum() / mass.sum()
        residual = above - share * mass[held]
        errors[number] = np.sqrt(count / (count - 1) * (residual**2).sum()) / mass.sum()
    return errors


def peak_levels(peaks: Array, horizon: timedelta) -> Array:
    """Levels that the highest of the coming daily peaks exceeds at `RISKS`; rows are containers.

    Daily peaks are ``centre + spread * e`` in the logarithm, `e` exponential with mean one (heavy
    to the right, as peaks are). The spread is the mean excess over the median; a single day takes
    a quarter of the prior spread on top.
    """
    days = max(1.0, horizon / timedelta(days=1))
    logs = np.log(np.maximum(peaks, 1.0))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # rows without samples
        top, centre = np.nanmax(logs, axis=1), np.nanmedian(logs, axis=1)
        excess = np.nanmean(np.maximum(logs - centre[:, None], 0.0), axis=1) * 2
    count = (~np.isnan(peaks)).sum(axis=1)
    spread = np.minimum(excess + LEAST_SPREAD * (1 + 4 / np.maximum(count, 1)), MOST_SPREAD)
    # The peak of `days` days exceeds a level with the chance r where one day does with r / days;
    # the highest peak of `count` days stands for a daily chance of one in count + 1.
    reach = np.log(days / RISKS)[None, :] - np.log(count + 1.0)[:, None]
    levels: Array = np.exp(np.maximum(top[:, None] + spread[:, None] * reach, centre[:, None]))
    return levels


def _cpu_trails(levels: Array, histories: Histories) -> tuple[tuple[Step, ...], ...]:
    days = (histories.daily.samples > 0).sum(axis=1)
    at = int(np.searchsorted(RISKS, 0.05))
    return tuple(
        ()
        if np.isnan(row).any()
        else (
            Step(
                "percentile",
                "",
                Cpu.from_cores(float(row[at])).human(),
                f"p95 of {days[i]} days, newest weigh most, with a margin for how days differ",
            ),
        )
        for i, row in enumerate(levels)
    )


def _memory_trails(levels: Array, histories: Histories) -> tuple[tuple[Step, ...], ...]:
    peaks = histories.daily.memory_peak
    at = int(np.searchsorted(RISKS, 0.1))
    trails: list[tuple[Step, ...]] = []
    for index, row in enumerate(levels):
        if np.isnan(row).any():
            trails.append(())
            continue
        days = int((~np.isnan(peaks[index])).sum())
        peak = Memory.from_bytes(float(np.nanmax(peaks[index]))).human()
        level = Memory.from_bytes(float(row[at])).human()
        reason = f"the peak that one review in ten exceeds, going by how {days} daily peaks differ"
        trails.append(
            (
                Step("peak", "", peak, f"highest peak of {days} days"),
                Step("percentile", peak, level, reason),
            )
        )
    return tuple(trails)
