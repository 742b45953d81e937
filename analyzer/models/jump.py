"""Jumps of memory beyond anything a container has shown: how likely they are, and how far they go.

No single history can tell of a peak that comes once in a hundred weeks, so this part of the demand
is a prior, and the prior a function of one number, how much a container's daily peaks vary:

    odds of a jump within the horizon = days / 7 * exp(a + b r + c r² + d few)
    chance that it goes beyond x times the highest peak = x ** -steepness
    steepness = exp(e + f r) * (peak / median peak of the cluster) ** g

with ``r = ln(volatility / 0.17)`` and `few` the share of a fortnight that was not seen. The calm
have nothing to jump with, the wild have shown their heights already, and large containers jump
less far than small ones. The seven constants were fitted by maximum likelihood on recorded traces
of machines and jobs, strongly shrunk to zero, and then drawn a little to what three sets of
containers say: these jump less often and less far, but a few hundred container-weeks are too few to
go all the way (`benchmarks/quality/fit_jumps.py` fits them anew).

A cluster's own past corrects the chance alone, by a logistic regression of two parameters that
is shrunk to the prior. More parameters, or less shrinkage, did worse: the weeks that are known
share their shocks, and a calm month makes any free parameter too sure of itself.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from datetime import timedelta

import numpy as np

from analyzer.history import Histories
from analyzer.models.demand import Array

LEAST_BYTES = 2.0**16
"""Peaks below this (64 KiB) count as this: a ratio to nothing says nothing."""

RESTLESS = 0.17
ASSUMED_DAYS = 2.0
"""Calm takes evidence: as many days that vary by `RESTLESS` are assumed on top of those seen."""
MOST_RESTLESS = 2.0
ODDS = (-1.72, -0.47, -1.01, 0.24)
STEEPNESS = (0.69, -0.52, 0.22)
MOST_SIZE = 4.0
FORTNIGHT = 14

FAR = 0.2
"""A jump is told from drift where it goes this much beyond the highest peak, in logarithms."""
MOST_CHANCE = 0.9
PRIOR_WEEKS = 2000.0
MOST_PER_REVIEW = 60.0
"""Containers of one week share its shocks: they count as no more than this many."""


@dataclass(frozen=True)
class Shape:
    """How the daily peaks of each container went; all arrays have the shape (containers,).

    NaN for containers without a sample.
    """

    top: Array
    """The logarithm of the highest daily peak."""
    volatility: Array
    """The standard deviation of the logarithms of daily peaks, drawn to `RESTLESS`."""
    size: Array
    """The highest peak relative to the cluster's median, as a logarithm."""
    few: Array
    """The share of a fortnight that was not seen."""

    def by_chance(self) -> Array:
        """What `ODDS` multiply, (containers, 4)."""
        rest = self._rest()
        return np.stack([np.ones_like(rest), rest, rest**2, self.few], axis=1)

    def by_length(self) -> Array:
        """What `STEEPNESS` multiplies, (containers, 3)."""
        rest = self._rest()
        return np.stack([np.ones_like(rest), rest, self.size], axis=1)

    def _rest(self) -> Array:
        logs = np.log(self.volatility / RESTLESS)
        return np.clip(logs, -MOST_RESTLESS, MOST_RESTLESS)


@dataclass(frozen=True)
class Outlook:
    """What the prior says of each container; arrays of the shape (containers,)."""

    far_log_odds: Array
    """Of a jump within the horizon that goes beyond the highest peak by more than `FAR`."""
    steepness: Array


@dataclass(frozen=True)
class Jumps:
    """What a cluster's own past adds: the log-odds of a jump are ``offset + weight * prior's``."""

    offset: float = 0.0
    weight: float = 1.0
    weeks: int = 0
    """Container-weeks it was learnt from."""


def shape_of(logs: Array) -> Shape:
    """The shape of containers whose daily peaks have these logarithms.

    `logs` has the shape (containers, days of the window), NaN where nothing was seen.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # rows without samples
        top = np.nanmax(logs, axis=1)
        seen, count = np.nanvar(logs, axis=1), (~np.isnan(logs)).sum(axis=1)
        middle = np.nanmedian(top)
    return Shape(
        top,
        np.sqrt((count * seen + ASSUMED_DAYS * RESTLESS**2) / (count + ASSUMED_DAYS)),
        np.clip(top - middle, -MOST_SIZE, MOST_SIZE),
        np.clip((FORTNIGHT - count) / FORTNIGHT, 0.0, 1.0),
    )


def outlook(shape: Shape, days: float) -> Outlook:
    """What the prior expects of containers of this shape within `days`."""
    chance = probability(shape.by_chance() @ np.array(ODDS) + np.log(days / 7))
    steepness = np.exp(shape.by_length() @ np.array(STEEPNESS))
    far = chance * np.exp(-FAR * steepness)
    return Outlook(np.log(far / (1 - far)), steepness)


def chance_of_jump(of: Outlook, jumps: Jumps) -> Array:
    """The chance of a jump of any length, as the prior has it and `jumps` corrects it."""
    far = probability(jumps.offset + jumps.weight * of.far_log_odds)
    # Only far jumps are told from drift and learnt; short ones are as many more as the steepness
    # says.
    return np.minimum(far * np.exp(FAR * of.steepness), MOST_CHANCE)


def learn_jumps(histories: Histories, horizon: timedelta) -> Jumps:
    """How the past of `histories` corrects the prior, shrunk to it.

    Every whole horizon before the end is a trial: all days before it, three at least, against its
    peak. A logistic regression learns from them and from as many made-up
    trials as `PRIOR_WEEKS` say, which turn out exactly as the prior states.
    """
    from sklearn.linear_model import LogisticRegression  # loaded where it is used: it is heavy

    stated, jumped, weights = _trials(histories, horizon)
    if not len(stated):
        return Jumps()
    prior, made_up = probability(stated), PRIOR_WEEKS / len(stated)
    regression = LogisticRegression(C=1.0, max_iter=200).fit(
        np.concatenate([stated] * 3)[:, None],
        np.concatenate([jumped, np.ones(len(prior)), np.zeros(len(prior))]),
        np.concatenate([weights, made_up * prior, made_up * (1 - prior)]),
    )
    return Jumps(float(regression.intercept_[0]), float(regression.coef_[0, 0]), len(stated))


def probability(log_odds: Array) -> Array:
    """The probability that has these log-odds."""
    return 1.0 / (1.0 + np.exp(-log_odds))


def _trials(histories: Histories, horizon: timedelta) -> tuple[Array, Array, Array]:
    """Per container and past horizon: the prior's log-odds, whether a far jump came, the weight."""
    peaks = np.log(np.maximum(histories.daily.memory_peak, LEAST_BYTES))
    ahead = max(1, horizon // timedelta(days=1))
    stated, jumped, weights = [np.zeros(0)], [np.zeros(0)], [np.zeros(0)]
    for stop in range(peaks.shape[1], ahead + 2, -ahead):
        past = peaks[:, : stop - ahead]
        future = peaks[:, stop - ahead : stop]
        usable = ((~np.isnan(past)).sum(axis=1) >= 3) & (~np.isnan(future)).any(axis=1)
        if not usable.any():
            continue
        known = shape_of(past[usable])
        stated.append(outlook(known, ahead).far_log_odds)
        highest = np.nanmax(future[usable], axis=1)
        jumped.append((highest > known.top + FAR).astype(np.float64))
        weights.append(np.full(len(highest), min(1.0, MOST_PER_REVIEW / len(highest))))
    return np.concatenate(stated), np.concatenate(jumped), np.concatenate(weights)
