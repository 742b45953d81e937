"""What every model promises, and what sets each of them apart."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analyzer.errors import UsageError
from analyzer.models import DEFAULT_MODEL, MODELS, RESOURCES, RISKS, model_named
from analyzer.models.exceedance import of_highest, smoothed, without_cliffs
from analyzer.models.jump import shape_of
from analyzer.models.percentile import HALF_LIFE_DAYS, cpu_levels, day_errors, peak_levels
from analyzer.models.pooled import CPU_SHARES, Pooled, as_busiest_day, by_size, share_tails
from analyzer.models.quantile import decay, weighted_quantiles
from tests.models.test_pattern import containers, noise
from tests.samples import MIB, START, STEP, histories, meta, names, steady

WEEK = timedelta(days=7)


def wandering(count: int = 40) -> np.ndarray:
    """Memory of unlike containers that vary from day to day."""
    size = np.exp(np.random.default_rng(5).normal(19, 1.5, count))
    return size[:, None] * np.exp(noise(0.99, 0.1, count=count))


def test_the_default_is_a_model() -> None:
    """What runs without a choice is one of those that can be chosen."""
    assert DEFAULT_MODEL in MODELS


def test_an_unknown_model_names_the_known() -> None:
    """A mistyped name is answered with those there are."""
    with pytest.raises(UsageError, match="no model 'pool'; did you mean pooled"):
        model_named("pool")
    with pytest.raises(UsageError, match="no model 'x'; there are pooled, trend, percentile"):
        model_named("x")


@pytest.mark.parametrize("name", MODELS)
def test_levels_fall_as_the_risk_rises(name: str) -> None:
    """Bearing more risk never needs more; and a level is positive and finite."""
    demand = model_named(name).fit(containers(wandering()), WEEK)
    for resource in RESOURCES:
        levels = demand.levels[resource]
        assert np.isfinite(levels).all()
        assert (levels > 0).all()
        assert (np.diff(levels, axis=1) <= 1e-9 * levels[:, 1:]).all()


@pytest.mark.parametrize("name", MODELS)
def test_equal_input_gives_equal_output(name: str) -> None:
    """Fitting twice states the same to the last bit."""
    of = containers(wandering())
    first, second = (model_named(name).fit(of, WEEK) for _ in range(2))
    for resource in RESOURCES:
        np.testing.assert_array_equal(first.levels[resource], second.levels[resource])
    assert first.trails == second.trails


@pytest.mark.parametrize("name", MODELS)
def test_demand_scales_with_usage(name: str) -> None:
    """Four times the usage of everybody is four times the demand, above the floors of peers."""
    model = model_named(name)
    memory = wandering(20) * 1e2
    assert memory.min() > 250 * MIB
    once, more = (model.fit(containers(memory * f), WEEK).levels["memory"] for f in (1, 4))
    # The VPA rounds up to buckets, one of which is 5 % wide.
    np.testing.assert_allclose(more / once, 4, rtol=0.051 if name == "vpa" else 1e-3)


def test_what_was_never_seen_has_a_reason_and_no_level() -> None:
    """A resource without samples is not guessed."""
    demand = Pooled().fit(histories(steady(memory=np.nan)), WEEK)
    assert np.isnan(demand.levels["memory"]).all()
    assert demand.reasons["memory"][0] == "no memory usage was observed in the window"
    assert np.isfinite(demand.levels["cpu"]).all()


def test_a_vanished_workload_is_not_sized() -> None:
    """Not seen for four days, it seems gone; a CronJob is allowed to pause."""
    usage = steady(days=10)
    gone = Pooled().fit(histories(usage), WEEK)
    assert gone.reasons["cpu"][0] == "no sample in the last 4 days: it seems gone"
    pausing = Pooled().fit(histories(usage.assign(workload_kind="CronJob")), WEEK)
    assert not pausing.reasons["cpu"]


def test_half_an_hour_is_no_history() -> None:
    """Six samples of five minutes tell nothing yet."""
    days = 6 * STEP / timedelta(days=1)
    demand = Pooled().fit(histories(steady(days=days), window=meta(days)), WEEK)
    assert demand.reasons["memory"][0] == "only 30 minutes of history; it takes an hour"


def test_little_history_means_wider_margins() -> None:
    """The same steady usage, seen for two days or for fourteen."""
    short = Pooled().fit(histories(steady(days=2), window=meta(2)), WEEK)
    long = Pooled().fit(histories(), WEEK)
    at = [float(d.at("memory", 0.05)[0]) for d in (short, long)]
    assert at[0] > at[1] > 100 * MIB


def test_many_pods_need_what_the_highest_needs() -> None:
    """Memory goes by the highest pod, CPU by all pods alike."""
    low, high = steady(memory=100 * MIB), steady(memory=300 * MIB).assign(pod="web-2")
    both = Pooled().fit(histories(pd.concat([low, high])), WEEK)
    alone = Pooled().fit(histories(high), WEEK)
    np.testing.assert_allclose(both.levels["memory"], alone.levels["memory"])


def test_growth_moves_demand_to_the_end_of_the_horizon() -> None:
    """Growing 20 % a week, the highest peak ahead is 20 % above the last one."""
    course = np.exp(np.log(1.2) / 7 * np.arange(14 * 288) / 288)
    of = containers(np.tile(3e8 * course, (3, 1)))
    for name in ("pooled", "trend"):
        demand = model_named(name).fit(of, WEEK)
        assert demand.findings["memory"][0] == "growth"
        assert demand.at("memory", 0.1)[0] > 3e8 * course[-1] * 1.2
        assert any(step.name == "growth" for step in demand.trails["memory"][0])


@pytest.mark.parametrize("name", ["percentile", "trend", "pooled"])
def test_a_decline_is_no_promise(name: str) -> None:
    """Usage that falls 5 % a day is not taken to fall further: the last week's p95 still holds."""
    steps = np.arange(14 * 288)
    rng = np.random.default_rng(11)
    cpu = 2.0 * 0.95 ** (steps / 288) * np.exp(rng.normal(0, 0.02, len(steps)))
    levels = model_named(name).fit(histories(steady(cpu=cpu)), WEEK).levels["cpu"][0]
    for risk in (0.1, 0.05, 0.02, 0.01):
        last_week = np.quantile(cpu[-7 * 288 :], 1 - risk)
        assert levels[np.searchsorted(RISKS, risk)] >= last_week


def test_what_came_before_a_shift_hardly_counts() -> None:
    """Halved for good a week ago: CPU demand is that of the last week."""
    memory = np.where(np.arange(14 * 288) < 7 * 288, 6e8, 3e8) * np.ones((3, 1))
    demand = Pooled().fit(containers(memory), WEEK)
    assert demand.findings["cpu"][0] == "shift"
    # 3e8 bytes stand for 0.3 cores; 5 % of the time may lie above, with some drift.
    assert 0.3 < demand.at("cpu", 0.05)[0] < 0.33


def test_a_lasting_drop_leaves_the_old_level_a_twentieth() -> None:
    """From 800Mi to 400Mi eight days ago: one week in five does not bring the old level back."""
    memory = np.where(np.arange(14 * 288) < 6 * 288, 800.0, 400.0) * MIB
    levels = Pooled().fit(histories(steady(memory=memory)), WEEK).levels["memory"][0]
    assert 400 * MIB < levels[np.searchsorted(RISKS, 0.2)] < 600 * MIB


def test_few_days_make_cpu_quantiles_careful() -> None:
    """4 % of the time at 1 core, all in one day of fourteen: the p95 is 0.1, and too sure of it.

    The burst lies in the middle of the window, where decay gives it its plain share. One day in
    fourteen decides, so the share above 0.1 is known to within its own size: at a risk of 5 % the
    quantile is taken at half of it.
    """
    steps = np.arange(14 * 288)
    of = histories(steady(cpu=np.where((steps >= 2100) & (steps < 2260), 1.0, 0.1)))
    weights = decay((steps[-1] - steps) / 288, HALF_LIFE_DAYS)
    assert weighted_quantiles(of.usage.cpu_cores, weights, np.array([0.95]))[0] < 0.11
    levels = cpu_levels(of, np.array([of.usage.steps]))[0]
    assert levels[np.searchsorted(RISKS, 0.05)] == pytest.approx(1.0)
    assert levels[np.searchsorted(RISKS, 0.2)] == pytest.approx(0.1)


def test_alike_tails_are_shared_and_unlike_ones_kept() -> None:
    """Tails that differ by 0.01 move to their mean; tails that differ by 3 stay where they are."""
    for spread, kept in ((0.01, 0.05), (3.0, 0.95)):
        points = np.zeros((20, len(CPU_SHARES)))
        points[:, -1] = np.where(np.arange(20) % 2, 1 + spread, 1 - spread)
        moved = share_tails(points)[:, -1]
        share = (moved[1] - moved[0]) / (2 * spread)
        assert abs(share - round(share)) <= 0.05
        assert bool(share > kept) == (spread == 3.0)


def test_days_that_differ_widen_the_error() -> None:
    """288 samples a day count as one where days differ: shares 0 and 1 make an error of 1/2."""
    values = np.concatenate([np.zeros(288), np.ones(288)])
    day = np.repeat([0, 1], 288)
    assert day_errors(values, np.ones(576), day, np.array([0.5]))[0] == pytest.approx(0.5)
    alike = np.tile([0.0, 1.0], 288)
    assert day_errors(alike, np.ones(576), day, np.array([0.5]))[0] == pytest.approx(0.0)


@settings(deadline=None, max_examples=30)
@given(st.lists(st.floats(1e6, 1e10), min_size=2, max_size=20))
def test_peak_levels_lie_above_the_median(peaks: list[float]) -> None:
    """A week's peak is never expected below the median day's."""
    levels = peak_levels(np.array([peaks]), WEEK)[0]
    assert (levels >= np.median(peaks) * 0.999).all()


def test_two_periods_of_settings_do_not_reach_back() -> None:
    """Cut at a day, histories hold neither samples nor events nor settings from after it."""
    specs = [
        {**names(), "image": "a", "first_seen": START, "last_seen": START + timedelta(days=7)},
        {**names(), "image": "b", "first_seen": START + timedelta(days=7)},
    ]
    events = [
        {**names(), "timestamp": START + timedelta(days=d), "kind": "restart"} for d in (2, 9)
    ]
    cut = histories(specs=specs, events=events).between(0, 5 * 288)
    assert cut.spec(0).image == "a"
    assert len(cut.events) == 1
    assert cut.usage.end == START + timedelta(days=5)
    np.testing.assert_array_equal(
        cut.daily.memory_peak, histories(steady(days=5), window=meta(5)).daily.memory_peak
    )


def test_a_peak_that_comes_every_week_is_expected_again() -> None:
    """Twice the level each Sunday: the coming Sunday is in the horizon, whatever the risk."""
    wander = noise(0.9, 0.01, count=3)
    day = np.arange(wander.shape[1]) // 288
    memory = np.where(day % 7 == 6, 6e8, 3e8) * np.exp(wander)
    demand = Pooled().fit(containers(memory), WEEK)
    assert demand.findings["memory"] == ("weekly",) * 3
    assert (demand.at("memory", 0.3) > 5.7e8).all()
    assert (demand.at("memory", 0.05) < 9e8).all()


def test_a_busiest_day_is_told_from_the_days_of_the_week() -> None:
    """Six days at 1, one at 3, one of the fourteen 0.1 higher: worked out by hand.

    That day's mean is 1.05, it lies 0.05 above it, the other one 0.05 below; both are scaled by
    the square root of 14 / 7.
    """
    logs = np.tile([1.0, 1, 1, 1, 1, 1, 3], 2)[None].copy()
    logs[0, 2] += 0.1
    busiest = as_busiest_day(logs)[0]
    assert busiest[2] == pytest.approx(3 + 0.05 * np.sqrt(2))
    assert busiest[9] == pytest.approx(3 - 0.05 * np.sqrt(2))
    np.testing.assert_allclose(np.delete(busiest, [2, 9]), 3.0)


def test_peaks_that_vary_drift_as_far() -> None:
    """Peaks that swing by 30 % either way: 1.22 times the highest is exceeded in a fifth of weeks.

    Volatility 0.287 means a drift of 0.201, a logistic scale of 0.12. Half of the days are high, so
    the highest of three and a half is one with 1 - 0.5 ** 3.5 = 0.91; drift takes that beyond
    exp(0.2) times as much with 0.91 / (1 + exp(0.2 / 0.12)) = 0.145. A jump comes with 0.112 and
    goes so far with 0.77, which is 0.086. In all 1 - 0.855 * 0.914 = 0.22; had the drift been held
    to 10 %, 0.11, and had each day drifted for itself, 0.31.
    """
    swing = np.repeat(np.where(np.arange(14) % 2, 0.3, -0.3), 288)
    demand = Pooled().fit(containers(np.tile(3e8 * np.exp(swing), (3, 1))), WEEK)
    risk = demand.risk_of("memory", 0, 3e8 * np.exp(0.3 + 0.2))
    assert risk == pytest.approx(0.22, abs=0.03)


def test_a_day_counts_by_how_likely_it_is_the_highest() -> None:
    """Of two days drawn from a low and a high one, the higher is high in three of four cases.

    Of one day each counts as it does by itself; days that were not seen count nothing. And the
    share above any level is that of the highest of two draws, 1 - (1 - share) ** 2.
    """
    points, weights = np.array([[0.0, 1.0, np.nan]]), np.ones((1, 3))
    np.testing.assert_allclose(of_highest(points, weights, np.array([2.0])), [[0.25, 0.75, 0.0]])
    np.testing.assert_allclose(of_highest(points, weights, np.array([1.0])), [[0.5, 0.5, 0.0]])
    many = np.random.default_rng(3).normal(size=(1, 40))
    of_two = of_highest(many, np.ones((1, 40)), np.array([2.0]))
    for level in (-1.0, 0.0, 1.5):
        share = (many > level).mean()
        assert of_two[many > level].sum() == pytest.approx(1 - (1 - share) ** 2)
    grid, narrow = np.array([[0.5]]), np.array([1e-3])
    assert smoothed(many, of_two, grid, narrow)[0, 0] == pytest.approx(
        1 - (many < 0.5).mean() ** 2, abs=1e-6
    )


def test_cpu_drifts_by_cores_and_not_by_shares_alone() -> None:
    """The same course at a tenth and at ten times the size: the small one has the wider margin.

    What all drift by on top of their own use is a tenth of the mean of all, 3.7 times the middle
    one: that is 3.7 times the use of the small one and 0.04 of the large one's. Without it each
    had the same margin of 4 % above its own p98.
    """
    course = 3e8 * np.exp(noise(0.9, 0.05, count=1))
    demand = Pooled().fit(containers(np.concatenate([course / 10, course, course * 10])), WEEK)
    own = np.quantile(course / 1e9, 0.98) * np.array([0.1, 1.0, 10.0])
    margins = demand.at("cpu", 0.02) / own
    assert margins[0] > 1.2 > margins[1] > 1.05 > margins[2] > 1.03


def test_memory_knows_every_peak_that_was_read() -> None:
    """286 MiB but for five hours at 858 MiB on days 5, 23 and 41 of 56: a week in 2.6 holds one.

    The last fortnight holds none, so the risk stated at 400 MiB must come from all eight weeks.
    """
    memory = np.full(56 * 288, 286.0 * MIB)
    for day in (5, 23, 41):
        memory[day * 288 : day * 288 + 60] = 858.0 * MIB
    of = histories(steady(56, memory=memory), window=meta(56))
    demand = Pooled().fit(of, WEEK)
    risk = demand.risk_of("memory", 0, 400.0 * MIB)
    assert risk is not None
    assert 0.2 < risk < 0.55
    assert "of 56 days" in demand.trails["memory"][0][0].reason


def test_cpu_and_memory_date_a_shift_alike_however_much_was_read() -> None:
    """Both fall by half on 16 November, a week before the end: seven days count in full.

    CPU is learnt from a fortnight and memory from all three weeks, each from its own first day.
    """
    half = np.where(np.arange(21 * 288) < 14 * 288, 1.0, 0.5)
    wobble = np.exp(np.random.default_rng(3).normal(0, 0.02, 21 * 288))
    of = histories(
        steady(21, cpu=0.4 * half * wobble, memory=800 * MIB * half * wobble), window=meta(21)
    )
    demand = Pooled().fit(of, WEEK)
    assert demand.recent["cpu"].tolist() == demand.recent["memory"].tolist() == [7.0]
    for resource in RESOURCES:
        (said,) = [s.reason for s in demand.trails[resource][0] if s.name == "shift"]
        assert "about 16 Nov" in said


def test_the_highest_of_more_days_is_higher() -> None:
    """The peak of a fortnight exceeds every level more often than that of a week or a day."""
    peaks = 3e8 * np.exp(np.random.default_rng(4).normal(0, 0.2, (5, 14)))
    day, week, fortnight = (peak_levels(peaks, timedelta(days=n)) for n in (1, 7, 14))
    assert (day < week).all() and (week < fortnight).all()


def test_the_trend_carries_growth_to_the_end_of_the_horizon_and_not_beyond() -> None:
    """2 % a day for a fortnight ends at 1.32 x its start, and a week on at 1.52 x.

    One week in ten peaks above a level with room for its spread, but not for another fortnight.
    """
    rise = np.exp(0.02 * np.arange(14 * 288) / 288)
    wobble = np.exp(np.random.default_rng(6).normal(0, 0.01, (3, 14 * 288)))
    demand = model_named("trend").fit(containers(3e8 * rise * wobble), WEEK)
    assert set(demand.findings["memory"]) == {"growth"}
    level = demand.at("memory", 0.1) / 3e8
    assert ((level > 1.52) & (level < 1.52 * 1.6)).all()


@pytest.mark.parametrize("days", [4, 9, 21])
def test_memory_has_no_cliffs_over_risk(days: int) -> None:
    """Half as much again of risk takes a third at most: ``level * risk`` never falls.

    Random histories, some days of which are up to a hundred times as high as the others: a level
    between two heights that far apart is a guess, and no small step of the risk leads from one to
    the other.
    """
    rng = np.random.default_rng(days)
    logs = 17 + rng.normal(0, rng.uniform(0.01, 1.5, (200, 1)), (200, days))
    logs += rng.uniform(0, 4.6, (200, 1)) * (
        rng.random((200, days)) < rng.uniform(0, 0.4, (200, 1))
    )
    demand = Pooled().fit(containers(np.repeat(np.exp(logs), 288, axis=1)), WEEK)
    levels = demand.levels["memory"]
    assert np.isfinite(levels).all()
    assert (np.diff(levels, axis=1) <= 1e-9 * levels[:, 1:]).all()
    assert (np.diff(np.log(levels * RISKS), axis=1) >= -1e-9).all()


def test_a_cliff_becomes_a_slope() -> None:
    """Levels of 400 up to a risk of 10 % and of 155 beyond: a third at most goes at 15 %.

    400 at 10 % may not fall below 400 / 1.5 = 267 at 15 %; and what is far from the cliff stays:
    the mean is over risks off by a factor of exp(2 * 0.6) = 3.3 at most, and 0.5 / 3.3 = 0.15.
    """
    levels = np.where(RISKS <= 0.1, 400.0, 155.0)
    found = np.exp(without_cliffs(np.log(levels)[None]))[0]
    assert found[np.searchsorted(RISKS, 0.15)] >= 267 * (1 - 1e-9) * found[RISKS == 0.1] / 400
    assert found[RISKS == 0.01] == pytest.approx(400)
    assert 155 < found[RISKS == 0.2] < found[RISKS == 0.1] < 400


def test_large_containers_get_less_margin() -> None:
    """A margin doubles a small container and is lost in a large one.

    Sizes apart and alike in everything else: e times the median has a margin of exp(-0.2) of the
    middle's in the logarithm, 1/e of it one of exp(0.2); beyond 1.5 nothing changes.
    """
    tops = np.array([-9.0, -1.0, 0.0, 1.0, 9.0]) + 20.0
    shape = shape_of(np.tile(tops[:, None], (1, 14)))
    margins = by_size(tops[:, None] + np.array([[0.5, -0.1]]), shape) - tops[:, None]
    expected = 0.5 * np.exp(-0.2 * np.array([-1.5, -1.0, 0.0, 1.0, 1.5]))
    np.testing.assert_allclose(margins[:, 0], expected)
    np.testing.assert_allclose(margins[:, 1], -0.1)
