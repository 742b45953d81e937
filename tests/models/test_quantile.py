"""Quantiles of weighted samples."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from analyzer.models.quantile import decay, weighted_quantiles

values = st.lists(st.floats(0, 1e6, allow_nan=False, width=32), min_size=1, max_size=40)


def test_equal_weights_give_the_plain_quantile() -> None:
    """Half of four equal samples is reached at the second, all of them at the last."""
    found = weighted_quantiles(np.array([3.0, 1.0, 4.0, 2.0]), np.ones(4), np.array([0.5, 1.0]))
    assert found.tolist() == [2.0, 4.0]


def test_a_heavy_sample_counts_for_many() -> None:
    """One sample with 9 of 10 parts of the weight is the median."""
    found = weighted_quantiles(np.array([1.0, 7.0]), np.array([1.0, 9.0]), np.array([0.05, 0.5]))
    assert found.tolist() == [1.0, 7.0]


def test_nothing_has_no_quantile() -> None:
    """No sample, or none with weight: NaN."""
    assert np.isnan(weighted_quantiles(np.array([]), np.array([]), np.array([0.5]))).all()
    assert np.isnan(weighted_quantiles(np.array([1.0]), np.array([0.0]), np.array([0.5]))).all()


def test_weight_halves_with_each_half_life() -> None:
    """Ages of 0, 7 and 14 days at a half-life of 7 weigh 1, 1/2 and 1/4."""
    assert decay(np.array([0.0, 7.0, 14.0]), 7.0).tolist() == [1.0, 0.5, 0.25]


@given(values)
def test_the_full_share_is_the_maximum(samples: list[float]) -> None:
    """Whatever the weights, everything lies at or below the largest value."""
    weights = np.linspace(0.1, 3.0, len(samples))
    found = weighted_quantiles(np.array(samples), weights, np.array([1.0]))
    assert found[0] == max(samples)


@given(values)
def test_quantiles_rise_with_the_share(samples: list[float]) -> None:
    """A larger share never has a smaller quantile."""
    found = weighted_quantiles(np.array(samples), np.ones(len(samples)), np.linspace(0.01, 1, 20))
    assert (np.diff(found) >= 0).all()
