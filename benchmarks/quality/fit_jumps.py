"""Fit the constants of the memory model's prior anew, and try them on a set not fitted on.

The seven constants of `analyzer.models.jump` say how often and how far memory jumps beyond the
highest peak seen, by how much daily peaks vary. This maximises the likelihood of the peaks that
came, at a ladder of levels, over windows and horizons of several lengths. Large containers weigh
somewhat more, because a level that is wrong there costs most. First all constants but the two
intercepts are shrunk to zero, on the two large sets; then, from there, all but the exponent of size
are drawn to what sets of containers alone say, and held back strongly, because these are few.

    RIGHTSIZE_EVALUATION=../shared/evaluation python benchmarks/quality/fit_jumps.py

Every set of containers is also left out once: its score then shows how far such a prior travels.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from bench_quality import CASES, load
from scipy.optimize import minimize

from analyzer.models import jump, pooled
from analyzer.models.exceedance import of_highest, smoothed

Array = npt.NDArray[np.float64]
LADDER = np.array(
    [
        *(-1.2, -0.8, -0.5, -0.35, -0.25, -0.15, -0.08, -0.03, 0, 0.03),
        *(0.08, 0.15, 0.25, 0.35, 0.5, 0.7, 1, 1.4, 1.8, 2.3, 3),
    ]
)
"""Logarithms of levels, relative to the highest peak of the window."""
SHRINKAGE = 300.0
BY_SIZE = 0.4
"""A container weighs by its size to this power."""
LAYOUTS = {
    # days known, days ahead, reviews every, weight
    "bitbrains_faststorage": ((14, 7, 1, 0.5), (7, 7, 2, 0.5), (14, 2, 2, 0.3), (3, 7, 4, 0.5)),
    "google2011_gcd": ((5, 2, 1, 3.0), (7, 3, 1, 3.0), (7, 1, 1, 2.0)),
}
CONTAINERS = {
    "google2011_gcd": ((5, 2, 1, 3.0), (7, 3, 1, 3.0), (7, 1, 1, 2.0), (9, 1, 1, 1.0)),
    "google2019_borg": ((14, 7, 2, 3.0), (7, 7, 3, 2.0), (7, 3, 3, 2.0), (21, 7, 3, 1.0)),
    "kruize_openshift": ((7, 3, 2, 3.0), (7, 7, 3, 3.0), (14, 7, 3, 3.0)),
}
FIRST = {"bitbrains_faststorage": 14}
HELD_BACK = 3000.0
SIZE = 6
"""Which constant is the exponent of size: with few small containers it would run away."""


@dataclass(frozen=True)
class Trials:
    """What was known and what came, one row per container and review."""

    calm: Array
    """(n, ladder): the chance that no day like those seen goes beyond the level."""
    by_chance: Array
    by_length: Array
    horizon: Array
    """(n,): the logarithm of the horizon in weeks."""
    came: Array
    """(n, ladder): whether the peak ahead was above the level."""
    weight: Array


def trials(name: str, folder: Path, layouts: tuple[tuple[int, int, int, float], ...]) -> Trials:
    """All trials of one set in these layouts."""
    case = next(case for case in CASES if case.file == name)
    daily = load(case, folder).daily.memory_peak
    parts = [
        rows
        for known, ahead, every, weight in layouts
        for stop in range(min(known, FIRST.get(name, 4)), daily.shape[1] - ahead + 1, every)
        for rows in review(daily, stop, (known, ahead), weight)
    ]
    return join(parts)


def join(parts: list[Trials]) -> Trials:
    """All rows of several sets of trials."""
    return Trials(
        *(np.concatenate([getattr(p, name) for p in parts]) for name in Trials.__annotations__)
    )


def review(daily: Array, stop: int, days: tuple[int, int], weight: float) -> Iterator[Trials]:
    """The trials of one review after day `stop`; none where nothing can be told."""
    known, ahead = days
    past = np.log(np.maximum(daily[:, max(0, stop - known) : stop], jump.LEAST_BYTES))
    future = np.log(np.maximum(daily[:, stop : stop + ahead], jump.LEAST_BYTES))
    usable = ((~np.isnan(past)).sum(axis=1) >= 3) & (~np.isnan(future)).any(axis=1)
    if not usable.any():
        return
    past, future = past[usable], future[usable]
    of = jump.shape_of(past)
    age = np.arange(past.shape[1])[::-1]
    spread = np.clip(pooled.DRIFT * of.volatility, pooled.LEAST_DRIFT, pooled.MOST_DRIFT)
    independent = np.full(len(past), max(ahead * pooled.SHARE_OF_DAYS, 0.5))
    weights = of_highest(past, np.exp2(-age / pooled.HALF_LIFE_DAYS), independent)
    alike = smoothed(past, weights, of.top[:, None] + LADDER, spread)
    by_size = np.exp(BY_SIZE * np.clip(of.size, -3, 3))
    yield Trials(
        calm=1 - np.minimum(alike, 1 - 1e-9),
        by_chance=of.by_chance(),
        by_length=of.by_length(),
        horizon=np.full(len(past), np.log(ahead / 7)),
        came=(np.nanmax(future, axis=1) - of.top)[:, None] > LADDER,
        weight=weight * by_size / by_size.mean(),
    )


def loss(constants: Array, of: Trials, shrinkage: float = 0.0) -> tuple[float, Array]:
    """Minus the log-likelihood, plus shrinkage, and its gradient; `ODDS` come first."""
    odds, steep = constants[:4], constants[4:]
    chance = jump.probability(of.by_chance @ odds + of.horizon)
    steepness = np.exp(np.clip(of.by_length @ steep, -3, 4))
    beyond = np.maximum(LADDER, 0)
    reach = np.exp(-steepness[:, None] * beyond)
    above = np.clip(1 - of.calm * (1 - chance[:, None] * reach), 1e-9, 1 - 1e-9)
    weight = of.weight[:, None]
    value = -(weight * np.where(of.came, np.log(above), np.log1p(-above))).sum()
    slope = -weight * np.where(of.came, 1 / above, -1 / (1 - above)) * of.calm
    to_odds = (slope * reach).sum(axis=1) * chance * (1 - chance)
    to_steepness = -(slope * chance[:, None] * reach * beyond).sum(axis=1) * steepness
    shrunk = constants.copy()
    shrunk[[0, 4]] = 0.0
    gradient = np.concatenate([of.by_chance.T @ to_odds, of.by_length.T @ to_steepness])
    return value + shrinkage / 2 * (shrunk @ shrunk), gradient + shrinkage * shrunk


def fit(of: Trials) -> Array:
    """The constants under which what came was most likely, shrunk to zero."""
    start = np.array([-1.5, 0, 0, 0, 0.5, 0, 0])
    return np.asarray(minimize(loss, start, (of, SHRINKAGE), jac=True, method="L-BFGS-B").x)


def drawn(start: Array, of: Trials) -> Array:
    """`start`, drawn to what `of` says; the exponent of size stays."""

    def held_back(constants: Array) -> tuple[float, Array]:
        value, gradient = loss(constants, of)
        away = constants - start
        gradient = gradient + HELD_BACK * away
        gradient[SIZE] = 0.0
        return value + HELD_BACK / 2 * (away @ away), gradient

    return np.asarray(minimize(held_back, start, jac=True, method="L-BFGS-B").x)


def main() -> None:
    folder = Path(os.environ.get("RIGHTSIZE_EVALUATION", "../shared/evaluation"))
    if not folder.is_dir():
        sys.exit(f"{folder} holds no traces; name their folder in RIGHTSIZE_EVALUATION")
    warnings.simplefilter("ignore", RuntimeWarning)  # containers without a day
    sets = {name: trials(name, folder, layouts) for name, layouts in LAYOUTS.items()}
    small = {name: trials(name, folder, layouts) for name, layouts in CONTAINERS.items()}
    first = fit(join(list(sets.values())))
    fitted = {
        "shipped": np.array([*jump.ODDS, *jump.STEEPNESS]),
        "large sets": first,
        "drawn to containers": drawn(first, join(list(small.values()))),
    }
    for left_out in small:
        rest = [of for name, of in small.items() if name != left_out]
        fitted[f"without {left_out}"] = drawn(first, join(rest))
    for label, constants in fitted.items():
        scores = ", ".join(
            f"{name} {loss(constants, of)[0] / of.weight.sum():.3f}"
            for name, of in {**sets, **small}.items()
        )
        odds, steep = np.round(constants[:4], 2), np.round(constants[4:], 2)
        print(f"{label:<25} ODDS {odds} STEEPNESS {steep}   loss per trial: {scores}")


if __name__ == "__main__":
    main()
