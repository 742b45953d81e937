"""The busiest hour: quantiles of many hours at once."""

from __future__ import annotations

import warnings

import numpy as np

from analyzer.evidence.hours import quantile


def test_a_quantile_lies_between_neighbours_and_leaves_out_what_was_not_seen() -> None:
    """Of 1, 2, 4 and 8 a quarter lies at 1.75; of 3 alone at 3; of nothing nowhere."""
    columns = np.array([[4.0, np.nan, np.nan], [1.0, 3.0, np.nan], [8.0, np.nan, np.nan]])
    columns = np.vstack([columns, [2.0, np.nan, np.nan]])
    np.testing.assert_array_equal(quantile(columns, 0.25), [1.75, 3.0, np.nan])


def test_quantiles_are_those_of_numpy_to_the_last_bit() -> None:
    """Faster, and not another number: recommendations rest on it."""
    rng = np.random.default_rng(5)
    for days in range(1, 40):
        values = rng.lognormal(size=(days, 24))
        values[rng.random(values.shape) < rng.random()] = np.nan
        for share in (0.1, 0.25, 0.5, 0.9, 1.0):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", RuntimeWarning)  # hours that were never seen
                expected = np.nanquantile(values, share, axis=0)
            np.testing.assert_array_equal(quantile(values, share), expected)
