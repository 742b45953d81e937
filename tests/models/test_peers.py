"""The baselines `vpa`, `krr` and `autopilot`, against numbers worked out by hand."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from analyzer.models.autopilot import choose, cost, moving_peak
from analyzer.models.krr import Krr
from analyzer.models.vpa import (
    Vpa,
    bounds,
    bucket_of,
    bucket_start,
    histogram_percentile,
)
from tests.samples import MIB, START, STEP, histories, meta, names, steady

WEEK = timedelta(days=7)


def test_vpa_buckets_grow_by_a_twentieth() -> None:
    """The first bucket ends at 10m, the second is 10.5m wide: start(2) = 10m x (1 + 1.05)."""
    assert bucket_start(1, 0.01) == pytest.approx(0.01)
    assert bucket_start(2, 0.01) == pytest.approx(0.0205)
    assert bucket_of(np.array([0.0, 0.0099, 0.0101, 0.0206]), 0.01).tolist() == [0, 0, 1, 2]


def test_vpa_percentile_is_the_end_of_a_bucket() -> None:
    """0.1 lies between start(8) = 0.0955 and start(9) = 0.1103, and comes out as the latter."""
    found = histogram_percentile(np.array([0.1]), np.ones(1), 0.9, 0.01)
    assert found == pytest.approx(0.01 * (1.05**9 - 1) / 0.05)
    assert found == pytest.approx(0.110266, abs=1e-6)


def test_vpa_percentile_goes_by_weight() -> None:
    """An old sample with less than a tenth of the weight does not move the p90."""
    values = np.array([0.1, 5.0])
    near = histogram_percentile(values, np.array([0.95, 0.05]), 0.9, 0.01)
    far = histogram_percentile(values, np.array([0.80, 0.20]), 0.9, 0.01)
    assert near < 0.12
    assert far > 5.0


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
    demand = Vpa(plain=True).fit(histories(usage, events=[kill]), WEEK)
    assert demand.levels["memory"][0, 0] == pytest.approx(6.6439e8, rel=1e-4)


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
    """Nothing below 10m and 100 MiB; 99 samples are no answer."""
    small = Krr().fit(histories(steady(cpu=0.001, memory=MIB)), WEEK)
    assert small.levels["cpu"][0, 0] == 0.010
    assert small.levels["memory"][0, 0] == 100 * MIB
    days = 99 * STEP / timedelta(days=1)
    short = Krr().fit(histories(steady(days=days), window=meta(days)), WEEK)
    assert np.isnan(short.levels["cpu"][0, 0])


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


def test_autopilot_peaks_fade_to_what_is_used_now() -> None:
    """Half-life one day: 8, then 4 used: 4 + (8 - 4) / 2 = 6, then 5."""
    assert moving_peak(np.array([[8.0, 4.0, 4.0]]), 1.0).tolist() == [[8.0, 6.0, 5.0]]


def test_autopilot_charges_an_overrun_ten_times() -> None:
    """A limit of 2 against a use of 4 costs 10 x 2/4, the other way round 1 x 2/2."""
    over = cost(np.array([[2.0, 2.0]]), np.array([[0.0, 4.0]]))
    under = cost(np.array([[4.0, 4.0]]), np.array([[0.0, 2.0]]))
    assert over[0] == pytest.approx(5.0)
    assert under[0] == pytest.approx(1.0)


def test_autopilot_spends_nothing_on_the_steady() -> None:
    """With constant usage the cheapest model has no margin."""
    assert choose(np.full((1, 10), 3.0), (1.0, 4.0))[0] == pytest.approx(3.0)
