"""The baseline `autopilot`: Rzadca et al., Autopilot, EuroSys 2020.

Moving-window recommenders (section 3.2) keep, per day here, decayed statistics of usage; the
arg-min ensemble (section 3.3) runs many of them side by side, each with its own half-life and
margin, charges each for overrun, underrun and change, and takes the one with the least decayed
cost. The paper's weights are not public; these follow its text: an overrun costs ten times an
underrun of the same size, a change a tenth of the typical limit. It states no risk, so every
level of the demand is the same.
"""

from __future__ import annotations

from datetime import timedelta

import numpy as np

from analyzer.history import Histories
from analyzer.models.demand import Array, Demand
from analyzer.models.vpa import flat_demand

HALF_LIVES_DAYS = {"cpu": (0.5, 1.0, 2.0, 4.0), "memory": (1.0, 2.0, 4.0, 8.0)}
MARGINS = (1.0, 1.1, 1.15, 1.3)
OVERRUN, UNDERRUN, CHANGE = 10.0, 1.0, 0.1
COST_HALF_LIFE_DAYS = 4.0


class Autopilot:
    """The arg-min ensemble of moving windows, on daily CPU p95 and daily memory peaks."""

    name = "autopilot"
    sweep = "margin"

    def __init__(self, *, plain: bool = False) -> None:
        self.plain = plain
        """Part of every peer; here the margins belong to the ensemble and stay."""

    def fit(self, histories: Histories, horizon: timedelta) -> Demand:
        """State the ensemble's limit for each container; `horizon` does not matter to it."""
        cpu = choose(histories.daily.cpu_p95, HALF_LIVES_DAYS["cpu"])
        memory = choose(histories.daily.memory_peak, HALF_LIVES_DAYS["memory"])
        return flat_demand(self.name, histories, horizon, cpu, memory)


def choose(values: Array, half_lives: tuple[float, ...]) -> Array:
    """The limit after the last day: of the model that would have cost least until then.

    `values` has one row per container and one column per day, NaN where nothing was seen.
    """
    candidates = [
        margin * course
        for half_life in half_lives
        for course in [moving_peak(values, half_life)]
        for margin in MARGINS
    ]
    costs = np.stack([cost(course, values) for course in candidates])
    best = costs.argmin(axis=0)
    final = np.stack([course[:, -1] for course in candidates])
    chosen: Array = final[best, np.arange(len(values))]
    return chosen


def moving_peak(values: Array, half_life_days: float) -> Array:
    """After each day, the highest value so far, each faded by its age."""
    fade = 2.0 ** (-1.0 / half_life_days)
    course = np.full(values.shape, np.nan)
    level = np.full(len(values), np.nan)
    for day in range(values.shape[1]):
        # Faded towards the latest value, not towards zero: a limit below usage helps nobody.
        latest = np.where(np.isnan(values[:, day]), level, values[:, day])
        level = np.fmax(latest + (level - latest) * fade, latest)
        course[:, day] = level
    return course


def cost(course: Array, values: Array) -> Array:
    """Decayed cost of having set each day's limit the evening before, relative to usage."""
    limit, used = course[:, :-1], values[:, 1:]
    with np.errstate(invalid="ignore", divide="ignore"):
        over = OVERRUN * np.maximum(used - limit, 0) / used
        under = UNDERRUN * np.maximum(limit - used, 0) / used
        change = CHANGE * (np.abs(np.diff(course, axis=1)) > 0)
    weights = np.exp2(-np.arange(used.shape[1])[::-1] / COST_HALF_LIFE_DAYS)
    total: Array = np.nansum((over + under) * weights, axis=1) + (change * weights).sum(axis=1)
    return total
