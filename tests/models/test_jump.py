"""How likely memory is to jump beyond anything seen, and how a cluster's past corrects that."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest

from analyzer.models.jump import (
    Jumps,
    chance_of_jump,
    learn_jumps,
    outlook,
    probability,
    shape_of,
)
from tests.models.test_pattern import containers, noise

WEEK = timedelta(days=7)


def alternating(volatility: float, days: int = 14, level: float = 20.0) -> np.ndarray:
    """Logarithms of daily peaks that vary by exactly `volatility` around `level`."""
    return level + volatility * np.where(np.arange(days) % 2, 1.0, -1.0)


def test_the_prior_of_a_restless_container() -> None:
    """Varying by 17 %, seen for a fortnight, of middling size: the intercepts alone decide.

    Odds of exp(-1.72) are a chance of 0.152; exp(0.69) is a steepness of 1.994, so that a jump of
    more than 20 % comes with the chance 0.152 * exp(-0.2 * 1.994) = 0.102.
    """
    shape = shape_of(alternating(0.17)[None])
    assert shape.volatility[0] == pytest.approx(0.17)
    prior = outlook(shape, 7)
    assert prior.steepness[0] == pytest.approx(1.994, abs=1e-3)
    assert probability(prior.far_log_odds)[0] == pytest.approx(0.102, abs=1e-3)
    assert chance_of_jump(prior, Jumps())[0] == pytest.approx(0.152, abs=1e-3)


def test_calm_and_wild_jump_less_often_than_the_restless() -> None:
    """Varying by 5 % or by 100 % means fewer jumps than varying by 14 %."""
    of = np.stack([alternating(v) for v in (0.001, 0.14, 1.0)])
    calm, restless, wild = chance_of_jump(outlook(shape_of(of), 7), Jumps())
    assert calm < restless
    assert wild < restless


def test_large_containers_jump_less_far() -> None:
    """Eight times the size is a steeper tail: exp(0.22 * ln 8) = 1.58 times as steep."""
    of = np.stack([alternating(0.17), alternating(0.17), alternating(0.17, level=20 + np.log(8))])
    steepness = outlook(shape_of(of), 7).steepness
    assert steepness[2] / steepness[0] == pytest.approx(1.58, abs=0.01)


def test_calm_takes_evidence() -> None:
    """Three equal days are less calm than fourteen: two restless days are assumed on top.

    sqrt(2 * 0.17² / (3 + 2)) is 0.108, sqrt(2 * 0.17² / (14 + 2)) is 0.060.
    """
    three, fourteen = np.full((1, 3), 20.0), np.full((1, 14), 20.0)
    assert shape_of(three).volatility[0] == pytest.approx(0.1075, abs=1e-3)
    assert shape_of(fourteen).volatility[0] == pytest.approx(0.0601, abs=1e-3)


def test_twice_the_horizon_is_twice_the_odds() -> None:
    """Odds of a jump of any length grow with the days ahead."""
    shape = shape_of(alternating(0.17)[None])
    week, fortnight = (chance_of_jump(outlook(shape, days), Jumps())[0] for days in (7, 14))
    assert (fortnight / (1 - fortnight)) / (week / (1 - week)) == pytest.approx(2.0)


def test_a_container_never_seen_has_no_prior() -> None:
    """Where there is no sample there is nothing to state, for it alone."""
    of = np.stack([alternating(0.17), np.full(14, np.nan)])
    assert np.isnan(outlook(shape_of(of), 7).far_log_odds).tolist() == [False, True]


def test_without_a_past_jumps_are_the_prior() -> None:
    """Three days hold no whole week to learn from."""
    memory = 3e8 * np.exp(noise(0.99, 0.1, count=40))
    assert learn_jumps(containers(memory[:, : 3 * 288]), WEEK) == Jumps()


def test_a_cluster_that_jumps_states_more() -> None:
    """Two steep rises of all at once make the next one more likely for everybody."""
    calm = 3e8 * np.exp(noise(0.9, 0.02, count=60))
    jumpy = calm.copy()
    jumpy[:, 10 * 288 : 11 * 288] *= 3
    jumpy[:, 17 * 288 : 18 * 288] *= 9
    prior = outlook(shape_of(alternating(0.17)[None]), 7)
    chances = [
        chance_of_jump(prior, learn_jumps(containers(memory), WEEK))[0] for memory in (calm, jumpy)
    ]
    assert chances[1] > chances[0]


def test_a_few_weeks_hardly_move_the_prior() -> None:
    """Sixty calm containers over a week are one week: the chance stays within a fifth."""
    calm = 3e8 * np.exp(noise(0.9, 0.02, count=60))
    prior = outlook(shape_of(alternating(0.17)[None]), 7)
    learnt = chance_of_jump(prior, learn_jumps(containers(calm), WEEK))[0]
    assert learnt == pytest.approx(chance_of_jump(prior, Jumps())[0], rel=0.2)
