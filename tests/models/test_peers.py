"""The baselines `vpa` and `krr` and the plain rules, against numbers worked out by hand."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from analyzer.models.demand import RISKS
from analyzer.models.krr import Krr
from analyzer.models.rule import plain_rules
from analyzer.models.trend import Trend
from analyzer.models.vpa import (
    BUCKETS,
    Vpa,
    bounds,
    bucket_of,
    bucket_start,
    mass,
    percentiles,
)
from analyzer.quantity import Memory
from tests.samples import MIB, START, STEP, histories, meta, names, steady

WEEK = timedelta(days=7)


def test_vpa_buckets_grow_by_a_twentieth() -> None:
    """The first bucket ends at 10m, the second is 10.5m wide: start(2) = 10m x (1 + 1.05)."""
    assert bucket_start(1, 0.01) == pytest.approx(0.01)
    assert bucket_start(2, 0.01) == pytest.approx(0.0205)
    assert bucket_of(np.array([0.0, 0.0099, 0.0101, 0.0206]), 0.01).tolist() == [0, 0, 1, 2]


def filled(values: list[float], weights: list[float]) -> np.ndarray:
    """The histogram of one container with these CPU samples."""
    found = np.zeros((1, BUCKETS))
    np.add.at(found[0], bucket_of(np.array(values), 0.01), weights)
    return found


def test_vpa_percentile_is_the_end_of_a_bucket() -> None:
    """0.1 lies between start(8) = 0.0955 and start(9) = 0.1103, and comes out as the latter."""
    found = percentiles(filled([0.1], [1.0]), 0.9, 0.01)[0]
    assert found == pytest.approx(0.01 * (1.05**9 - 1) / 0.05)
    assert found == pytest.approx(0.110266, abs=1e-6)


def test_vpa_percentile_goes_by_weight() -> None:
    """An old sample with less than a tenth of the weight does not move the p90."""
    near = percentiles(filled([0.1, 5.0], [0.95, 0.05]), 0.9, 0.01)[0]
    far = percentiles(filled([0.1, 5.0], [0.80, 0.20]), 0.9, 0.01)[0]
    assert near < 0.12
    assert far > 5.0


def test_vpa_says_nothing_without_a_sample() -> None:
    """An empty histogram has no percentile."""
    assert np.isnan(percentiles(np.zeros((1, BUCKETS)), 0.9, 0.01)[0])


def test_vpa_counts_every_pod_in_one_histogram() -> None:
    """Nine pods at 100 MiB and a leader at 2 GiB: a tenth of the peaks is not the p90's business.

    Each day's ten peaks weigh alike, so 90 % of the weight lies at 100 MiB = 1.049e8, which ends
    at start(9) = 1e7 x (1.05^9 - 1) / 0.05 = 1.103e8; the leader's peak is the p95.
    """
    pods = [
        steady(memory=2048 * MIB if n == 0 else 100 * MIB).assign(pod=f"web-{n}") for n in range(10)
    ]
    of = mass(histories(pd.concat(pods)), resource="memory", half_life=1.0)
    assert percentiles(of, 0.9, 1e7)[0] == pytest.approx(1.10266e8, rel=1e-4)
    assert percentiles(of, 0.95, 1e7)[0] > 2048 * MIB


def test_vpa_shares_its_floor_among_the_containers_of_a_pod() -> None:
    """Two small containers in one pod: 125 MiB and 12.5m each."""
    both = [steady(cpu=0.001, memory=MIB).assign(container=name) for name in ("app", "proxy")]
    demand = Vpa().fit(histories(pd.concat(both)), WEEK)
    assert demand.levels["memory"][:, 0].tolist() == [125 * MIB] * 2
    assert demand.levels["cpu"][:, 0] == pytest.approx([0.0125] * 2)


def test_vpa_recommends_its_margin_on_top() -> None:
    """Steady 0.1 cores: 0.110266 x 1.15 = 127m. 100 MiB stay below the floor of 250 MiB."""
    demand = Vpa().fit(histories(), WEEK)
    assert demand.levels["cpu"][0, 0] == pytest.approx(0.126806, abs=1e-6)
    assert demand.levels["memory"][0, 0] == 250 * MIB


def test_vpa_sees_a_kill_as_more_than_was_used() -> None:
    """Killed on the last day at 500 MiB used: max(600, 1.2 x 500) = 600 MiB, to the bucket's end.

    600 MiB = 6.29e8 lies in bucket 29: start(30) = 1e7 x (1.05^30 - 1) / 0.05 = 6.644e8. That day
    holds half of the weight, so it is the p90.
    """
    usage = steady(memory=500 * MIB)
    kill = {
        **names(),
        "pod": "web-1",
        "timestamp": START + timedelta(days=13, hours=12),
        "kind": "oom_kill",
        "value": 550 * MIB,
    }
    demand = Vpa().fit(histories(usage, events=[kill]), WEEK)
    assert demand.levels["memory"][0, 0] == pytest.approx(1.15 * 6.6439e8, rel=1e-4)


def test_vpa_bounds_close_in_with_confidence() -> None:
    """After one day the upper bound doubles; after ten it is a tenth higher."""
    lower, upper = bounds(np.array([1.0, 1.0]), np.array([1.0, 1.0]), np.array([1.0, 10.0]))
    assert upper.tolist() == [2.0, 1.1]
    assert lower == pytest.approx([1.001**-2, 1.0001**-2])


def test_krr_takes_the_busiest_pod_and_the_highest_peak() -> None:
    """p95 of pods at 0.1 and 0.3 cores is 0.3; peaks of 200 and 400 MiB make 460."""
    first = steady(cpu=0.1, memory=200 * MIB)
    second = steady(cpu=0.3, memory=400 * MIB).assign(pod="web-2")
    demand = Krr().fit(histories(pd.concat([first, second])), WEEK)
    assert demand.levels["cpu"][0, 0] == pytest.approx(0.3)
    assert demand.levels["memory"][0, 0] == 460 * MIB


def test_krr_has_floors_and_needs_samples() -> None:
    """Nothing below 10m and 100 MiB; its 100 points of 75 s are 25 samples of five minutes."""
    small = Krr().fit(histories(steady(cpu=0.001, memory=MIB)), WEEK)
    assert small.levels["cpu"][0, 0] == 0.010
    assert small.levels["memory"][0, 0] == 100 * MIB
    for samples, known in ((24, False), (25, True)):
        days = samples * STEP / timedelta(days=1)
        short = Krr().fit(histories(steady(days=days), window=meta(days)), WEEK)
        assert np.isnan(short.levels["cpu"][0, 0]) != known


def test_krr_goes_above_the_limit_it_was_killed_at() -> None:
    """Killed at 400 MiB: at least 1.25 x that."""
    kill = {
        **names(),
        "timestamp": START + timedelta(days=3),
        "kind": "oom_kill",
        "value": 400 * MIB,
    }
    demand = Krr().fit(histories(events=[kill]), WEEK)
    assert demand.levels["memory"][0, 0] == 500 * MIB


def test_peers_state_no_risk() -> None:
    """Every level of a peer is the same."""
    for peer in (Vpa(), Krr()):
        levels = peer.fit(histories(), WEEK).levels["memory"][0]
        assert len(set(levels.tolist())) == 1


def test_peers_come_with_every_setting_their_users_turn() -> None:
    """Percentiles of CPU and memory, and after a kill KRR's bump whatever the buffer is."""
    kill = {
        **names(),
        "timestamp": START + timedelta(days=3),
        "kind": "oom_kill",
        "value": 400 * MIB,
    }
    of = histories(steady(cpu=np.linspace(0, 1, 14 * 288)), events=[kill])
    krr = {rule.setting: rule for rule in Krr().rules(of, of)["cpu"]}
    assert krr["p50"].levels[0] == pytest.approx(0.5, abs=1e-3)
    assert krr["p99"].levels[0] == pytest.approx(0.99, abs=1e-3)
    memory = Krr().rules(of, of)["memory"][0]
    assert memory.least is not None
    assert memory.least[0] == 500 * MIB
    vpa = [rule.setting for rule in Vpa().rules(of, of)["cpu"]]
    assert {"p50, half-life 1 d", "p99, half-life 4 d"} <= set(vpa)


def test_plain_rules_are_what_they_say() -> None:
    """CPU rising evenly from 0 to 1 and 100 MiB, with 200 MiB before the window began."""
    memory = np.where(np.arange(21 * 288) < 288, 200.0, 100.0) * MIB
    known = histories(steady(21, cpu=np.linspace(0, 1, 21 * 288), memory=memory), window=meta(21))
    window = known.between(7 * 288, 21 * 288)
    rules = plain_rules(window, known)
    constant = {rule.setting: rule.levels[0] for rule in rules["constant"]["memory"]}
    assert constant["maximum +"] == 100 * MIB
    assert constant["maximum of all that is known +"] == 200 * MIB
    lately = {rule.setting: rule.levels[0] for rule in rules["last week"]["cpu"]}
    assert lately["p95"] == pytest.approx(1 - 0.05 / 3, abs=1e-3)
    own = {rule.setting: rule.levels[0] for rule in rules["own quantile"]["cpu"]}
    assert own["p50"] == pytest.approx(2 / 3, abs=1e-3)


def test_the_trail_of_trend_tells_what_became_of_the_level() -> None:
    """100 MiB, since day 8 of 14 steadily 200: from some level of both to one above 200 MiB.

    Each step begins with the amount that the one before it ended with.
    """
    memory = np.where(np.arange(14 * 288) < 8 * 288, 100.0, 200.0) * MIB
    wobble = 1 + 0.01 * np.sin(np.arange(14 * 288) / 50)
    demand = Trend().fit(histories(steady(memory=memory * wobble)), WEEK)
    trail = demand.trails["memory"][0]
    assert [step.name for step in trail] == ["peak", "percentile", "shift"]
    assert trail[2].before == trail[1].after
    level = float(demand.levels["memory"][0][int(np.searchsorted(RISKS, 0.1))])
    assert trail[2].after == Memory.from_bytes(level).human()
