"""Risks that come true, and a budget of them."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analyzer.calibration import (
    LEAST_SHARE,
    MOST_SHARE,
    allot,
    apply,
    calibrate,
    fit_past,
    judge,
    learn,
    review_past,
    share_above,
    spend,
)
from analyzer.models import RISKS, model_named
from analyzer.models.demand import Demand, Step
from tests.models.test_models import wandering
from tests.models.test_pattern import containers
from tests.samples import histories

WEEK = timedelta(days=7)
AT = int(np.searchsorted(RISKS, 0.1))


def stated(levels: np.ndarray) -> Demand:
    """A demand with these levels for both resources."""
    trail = ((Step("model", "", "", "as made up"),),) * len(levels)
    return Demand(
        "made up", WEEK, {"cpu": levels, "memory": levels}, {"cpu": trail, "memory": trail}
    )


def power_law(scales: list[float], tail: float = 2.0) -> np.ndarray:
    """Levels with ``risk = (level / scale) ** -tail``."""
    return np.array(scales)[:, None] * RISKS ** (-1 / tail)


def test_share_above_counts_strictly_above() -> None:
    """Of 1, 2, 3, 4 a quarter lies above 3, and all above 0."""
    values = np.array([4, 1, 3, 2, np.nan], dtype=np.float32)
    assert share_above(values, np.array([3.0, 0.0, 9.0])).tolist() == [0.25, 1.0, 0.0]


def test_judging_holds_a_peak_against_each_level() -> None:
    """A constant 100 MiB and 0.1 cores: over every level below, within every level above."""
    below, above = (stated(np.full((1, len(RISKS)), x)) for x in (1e-3, 1e12))
    for demand, share in ((below, 1.0), (above, 0.0)):
        found = judge(demand, histories(), 0)
        assert (found["memory"] == share).all()
        assert (found["cpu"] == share).all()


def test_no_past_changes_nothing() -> None:
    """Four days before a horizon of seven hold no review."""
    of = containers(wandering(10)[:, : 4 * 288])
    model = model_named("pooled")
    demand = model.fit(of, WEEK)
    assert review_past(model, of, WEEK) == []
    assert calibrate(model, demand, of) is demand


def test_what_was_used_is_let_go_once_it_is_learnt() -> None:
    """A review in the past keeps its containers, settings and demand, and not one sample."""
    of = containers(wandering(10))
    (review, *_) = fit_past(model_named("pooled"), of, WEEK)
    assert review.known.containers == of.containers
    assert review.known.specs == of.specs
    assert review.known.usage.cpu_cores.size == review.known.usage.memory_bytes.size == 0
    assert not np.isnan(review.demand.levels["memory"]).any()


def test_what_came_as_stated_changes_nothing() -> None:
    """Observed = stated, so every risk is read where it was."""
    review = np.repeat(RISKS[None, :], 50, axis=0)
    read_at = learn([{"cpu": review, "memory": review}]).read_at
    np.testing.assert_allclose(read_at["memory"][3:], RISKS[3:], rtol=1e-6)


def test_overruns_twice_as_often_read_risks_further_out() -> None:
    """With many reviews at twice the stated risk, a tenth is read at nearly a twentieth."""
    review = np.repeat(np.minimum(2 * RISKS, 1.0)[None, :], 50, axis=0)
    read_at = learn([{"cpu": review, "memory": review}] * 100).read_at["memory"]
    assert read_at[AT] == pytest.approx(0.05, rel=0.05)


def test_one_review_says_little() -> None:
    """Never over in a single review of 500: a tenth is read at less than a sixth, not at all."""
    review = np.zeros((500, len(RISKS)))
    read_at = learn([{"cpu": review, "memory": review}]).read_at["memory"]
    assert 0.1 < read_at[AT] < 0.17


def test_calibrated_levels_keep_their_order() -> None:
    """Reading elsewhere on the same curve leaves more risk needing less."""
    review = np.repeat(np.minimum(RISKS**0.5, 1.0)[None, :], 50, axis=0)
    demand = stated(power_law([1.0, 5.0]))
    levels = apply(demand, learn([{"cpu": review, "memory": review}] * 9)).levels["memory"]
    assert (np.diff(levels, axis=1) <= 1e-12).all()


def test_the_trail_says_what_calibration_did() -> None:
    """A person reads how often the past lay above what was stated."""
    review = np.repeat(RISKS[None, :], 50, axis=0)
    demand = apply(stated(power_law([1.0])), learn([{"cpu": review, "memory": review}]))
    step = demand.trails["memory"][0][-1]
    assert step.name == "calibrate"
    assert step.reason.startswith(
        "at the last review here, 10.0% of peaks came out above the level"
    )


def test_equal_containers_bear_equal_risk() -> None:
    """Without a difference in price there is nothing to trade."""
    risks = allot(power_law([3.0] * 10), np.full(10, 0.05), np.ones(10))
    assert risks == pytest.approx(np.full(10, 0.05), rel=0.15)


def test_the_price_of_risk_is_the_same_for_all() -> None:
    """Pareto tails of index 2: the best risks go with scale ** (2/3), so 8 x is 4 x the risk.

    Cost s r^(-1/2): its slope -s/2 r^(-3/2) is equal where r goes with s^(2/3).
    """
    scales = [1.0] * 20 + [8.0] * 20
    risks = allot(power_law(scales), np.full(40, 0.05), np.ones(40))
    assert risks[:20].mean() * 4 == pytest.approx(risks[20:].mean(), rel=0.2)


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.floats(0.1, 1e4), min_size=2, max_size=30),
    st.floats(0.01, 0.2),
    st.floats(0.8, 5.0),
)
def test_the_budget_is_never_overspent(scales: list[float], due: float, tail: float) -> None:
    """Risks add up to no more than those due, within the caps, for no more than equal risk."""
    levels = power_law(scales, tail)
    own = np.full(len(scales), due)
    risks = allot(levels, own, np.ones(len(scales)))
    assert risks.sum() <= own.sum() * (1 + 1e-9)
    assert (risks <= min(0.5, due * MOST_SHARE) * 1.001).all()
    assert (risks >= max(RISKS[0], due * LEAST_SHARE) * 0.999).all()
    demand = stated(levels)
    spent, equal = demand.at("memory", risks).sum(), demand.at("memory", due).sum()
    # Choices lie on a grid of risks one part in nine apart, so equal risk itself is hit to that.
    assert spent <= equal * 1.13 ** (1 / tail)


def test_replicas_make_a_margin_dear() -> None:
    """The one that runs fifty times bears more of the risk."""
    risks = allot(power_law([1.0, 1.0]), np.full(2, 0.05), np.array([50.0, 1.0]))
    assert risks[0] > 0.05 > risks[1]


def test_containers_without_a_statement_keep_their_due() -> None:
    """NaN takes no part in the trade."""
    levels = np.vstack([power_law([1.0, 50.0]), np.full((1, len(RISKS)), np.nan)])
    assert allot(levels, np.full(3, 0.05), np.ones(3))[2] == 0.05


def test_the_trail_says_what_a_margin_costs_and_buys() -> None:
    """The small one pays a little for much safety; the large one bears risk for the others."""
    demand = stated(power_law([1e8] * 20 + [1e10]))
    spent = spend(demand, {"cpu": 0.05, "memory": 0.1})
    small, large = (spent.demand.trails["memory"][i][-1] for i in (0, 20))
    assert small.name == large.name == "budget"
    assert small.reason.startswith("margin is cheap here: it buys")
    assert large.reason.startswith("margin is dear here:")
    assert replace(spent.demand, trails=demand.trails) == demand


def test_what_was_cut_off_stays_out_of_the_budget() -> None:
    """The levels of a killed container are lower bounds: it keeps its due, others trade."""
    demand = stated(power_law([1.0] * 20 + [100.0, 100.0]))
    killed = np.zeros(22, dtype=bool)
    killed[20] = True
    none = np.zeros(22, dtype=bool)
    risks = spend(
        demand, {"cpu": 0.05, "memory": 0.1}, cut_off={"cpu": none, "memory": killed}
    ).risks
    assert risks["memory"][20] == 0.1
    assert risks["memory"][21] > 0.1
    # Two are too few to spend the last bit of it.
    assert 2.0 < risks["memory"].sum() <= 2.2
    assert risks["cpu"][20] > 0.05


def test_risk_that_was_understated_is_believed_sooner_than_one_overstated() -> None:
    """Twelve containers, once twice as often above as stated at 5 %, once half as often.

    Twice: (12 x 0.1 + 0.5) / (12 + 0.5 / 0.05) = 0.077 of CPU is expected of what is stated at 5 %,
    (12 x 0.1 + 3) / (12 + 3 / 0.05) = 0.058 of memory. Half: (12 x 0.025 + 3) / (12 + 60) = 0.046
    of CPU, and (12 x 0.025 + 10) / (12 + 10 / 0.05) = 0.049 of memory.
    """
    at = int(np.searchsorted(RISKS, 0.05))
    for factor, cpu, memory in ((2.0, 0.0773, 0.0583), (0.5, 0.0458, 0.0486)):
        shares = np.tile(np.minimum(RISKS * factor, 1.0), (12, 1))
        read_at = learn([{"cpu": shares, "memory": shares}]).read_at
        # What is expected at 5 % is read back to 5 % when as much is asked for.
        for found, drawn in ((read_at["cpu"], cpu), (read_at["memory"], memory)):
            back = np.exp(np.interp(np.log(drawn), np.log(RISKS), np.log(found)))
            assert back == pytest.approx(RISKS[at], rel=0.03)
