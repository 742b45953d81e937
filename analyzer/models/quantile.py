"""Quantiles that know how old a sample is, and how little a few days say about a tail."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


def weighted_quantiles(values: npt.NDArray[np.floating], weights: Array, shares: Array) -> Array:
    """The smallest value with at least each of `shares` of the weight at or below it.

    `values` and `weights` have one length, without NaN; all NaN comes back where they are empty
    or weigh nothing. Shares are fractions of one, in any order.
    """
    if not len(values) or weights.sum() <= 0:
        return np.full(len(shares), np.nan)
    order = np.argsort(values)
    cumulated = np.cumsum(weights[order])
    # The last bits of a sum must not push a share of exactly one beyond the end.
    rank = np.searchsorted(cumulated, np.minimum(shares * cumulated[-1], cumulated[-1]), "left")
    found: Array = values[order][np.minimum(rank, len(values) - 1)].astype(np.float64)
    return found


def decay(age_days: Array, half_life_days: float) -> Array:
    """Weight of a sample of that age: one now, a half after each half-life."""
    return np.exp2(-np.asarray(age_days, dtype=np.float64) / half_life_days)
