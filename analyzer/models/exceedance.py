"""Chances of an overrun, from a container's own past, its drift, and jumps all share.

A chance of an overrun is a function of the level, and a level at a risk is its inverse. Both
resources take it from smoothed history: each value seen counts as a spread in the logarithm,
because next week is not a copy of this one. Own history alone is too sure of itself: it cannot
hold the jump that has not happened yet. So a few containers in a hundred are expected to jump,
and how far is a matter of the cluster, not of the container.
"""

from __future__ import annotations

import numpy as np

from analyzer.models.demand import RISKS, Array

STEP = 0.04
"""Resolution of levels in the logarithm: 4 %, and interpolated between."""
_LOGIT_PER_SD = 0.6
"""A logistic spread of 0.6 sigma has about the tails of Student's t with three degrees."""
DOUBT = 0.6
"""How far a chance of a rare peak is off, in logarithms: a fortnight holds one or two such days."""


def tail(distance: Array, spread: Array | float) -> Array:
    """The logistic chance that a value spread around zero lies above `distance`."""
    scaled = np.clip(distance / (spread * _LOGIT_PER_SD), -60, 60)
    result: Array = 1.0 / (1.0 + np.exp(scaled))
    return result


def smoothed(points: Array, weights: Array, grid: Array, spread: Array) -> Array:
    """The share of time above each level.

    `points` (containers, k) are logarithms of values seen, NaN where there is none, `weights`
    theirs, `grid` (containers, g) logarithms of levels, `spread` (containers,) the drift.
    """
    seen = ~np.isnan(points)
    mass = np.where(seen, np.broadcast_to(weights, points.shape), 0.0)
    mass = mass / np.maximum(mass.sum(axis=1, keepdims=True), 1e-300)
    above = np.zeros(grid.shape)
    for column in range(points.shape[1]):
        distance = grid - np.where(seen[:, column], points[:, column], 0.0)[:, None]
        above += mass[:, column : column + 1] * tail(distance, spread[:, None])
    return above


def of_highest(points: Array, weights: Array, days: Array) -> Array:
    """What each value counts as the highest of `days` independent draws from them.

    `points` and `weights` as in `smoothed`, which makes of both the chance that the highest lies
    above a level. What drifts from week to week moves all days of a week at once, so the highest
    is spread, and not each day of its own: that would draw the drift anew for every day.
    """
    seen = ~np.isnan(points)
    mass = np.where(seen, np.broadcast_to(weights, points.shape), 0.0)
    mass = mass / np.maximum(mass.sum(axis=1, keepdims=True), 1e-300)
    order = np.argsort(np.where(seen, -points, np.inf), axis=1)
    reached = np.minimum(np.cumsum(np.take_along_axis(mass, order, axis=1), axis=1), 1.0)
    none_above = (1.0 - reached) ** days[:, None]
    falls = -np.diff(none_above, axis=1, prepend=1.0)
    highest: Array = np.zeros_like(mass)
    np.put_along_axis(highest, order, falls, axis=1)
    return highest


def levels_at(grid: Array, chance: Array) -> Array:
    """The logarithm of the level that is exceeded with each of `RISKS`.

    `grid` and `chance` have the shape (containers, g), chances falling along the grid. Between
    two levels the logarithm of the chance is taken as straight; ends are kept.
    """
    wanted = np.log(RISKS)
    logs = np.log(np.maximum(chance, 1e-12))
    found = np.empty((len(grid), len(RISKS)))
    for row in range(len(grid)):
        found[row] = np.interp(-wanted, -logs[row], grid[row])
    return found


def without_cliffs(logs: Array) -> Array:
    """Logarithms of levels at `RISKS`, without falls from one risk to the next.

    Where a few high days stand beside low ones, the level at a risk falls from the one height to
    the other as soon as the risk passes the share of the high days, and that share is a guess. So
    each level is the mean over the risks that it may truly stand for (off by `DOUBT`, normal). No
    level falls faster than the risk rises: ``level * risk`` never falls, and half as much again of
    risk takes a third at most.
    """
    at = np.log(RISKS)
    off = np.linspace(-2.0, 2.0, 17)
    weight = np.exp(-(off**2) / 2)
    share = np.zeros((len(RISKS), len(RISKS)))
    for column, only in enumerate(np.identity(len(RISKS))):
        share[:, column] = np.interp(at[:, None] + DOUBT * off, at, only) @ (weight / weight.sum())
    return np.maximum.accumulate(logs @ share.T + at, axis=1) - at
