"""Walk-forward scoring, on histories whose scores can be worked out by hand."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analyzer.backtest import CURRENT, MARGINS, backtest, interpolate, review_stops
from analyzer.errors import UsageError
from analyzer.history import Histories, build_histories
from analyzer.models import MODELS, RISKS
from analyzer.usage import Meta, Recording, Usage
from tests.models.test_models import wandering
from tests.models.test_pattern import containers
from tests.samples import MIB, histories, meta, names, steady

WEEK = timedelta(days=7)
KEYS = {
    "model",
    "resource",
    "stated_risk",
    "container_weeks",
    "overrun_week_share",
    "overrun_sample_share",
    "footprint_to_usage",
    "footprint_to_oracle",
    "changes_per_week",
}


def test_reviews_lie_whole_horizons_before_the_end() -> None:
    """21 days, 14 before and 7 after: one review, on day 14."""
    assert review_stops(histories(steady(21), window=meta(21)), 2 * WEEK, WEEK) == [14 * 288]
    assert review_stops(histories(steady(28), window=meta(28)), WEEK, WEEK) == [
        7 * 288,
        14 * 288,
        21 * 288,
    ]


def test_too_short_a_history_says_what_it_takes() -> None:
    """The message has both numbers and what to do."""
    with pytest.raises(UsageError, match=r"needs 21 days of history, found 14.0; give a shorter"):
        backtest(histories(), ["krr"])


def test_a_steady_container_is_scored_by_hand() -> None:
    """KRR's bare statistic times a margin of m overruns below 1 and costs m times the use."""
    result = backtest(histories(steady(21), window=meta(21)), ["krr"])
    for row in result.to_dicts():
        if row["model"] == "krr":
            assert row["container_weeks"] == 1
            assert row["footprint_to_usage"] == pytest.approx(row["margin"], rel=1e-5)
            assert row["footprint_to_oracle"] == pytest.approx(row["margin"], rel=1e-5)
            assert row["overrun_week_share"] == (1.0 if row["margin"] < 1 else 0.0)
            assert row["overrun_sample_share"] == (1.0 if row["margin"] < 1 else 0.0)


def test_peers_are_kept_with_their_own_margins_for_the_verdict() -> None:
    """KRR on a steady 100 MiB: plus 15 %; and that is what the words say."""
    result = backtest(histories(steady(21), window=meta(21)), ["pooled", "krr"])
    memory = next(row for row in result.peers if row.resource == "memory")
    assert memory.footprint[0] / memory.usage[0] == pytest.approx(1.15)
    assert "KRR: 0.0% at 1.15 x" in result.verdict()


def test_current_requests_are_a_row_for_comparison() -> None:
    """Declared 250 MiB for a use of 100 MiB is 2.5 x."""
    specs = [{**names(), "memory_request_bytes": 250 * MIB, "cpu_request_cores": 0.05}]
    result = backtest(histories(steady(21), specs, window=meta(21)), ["krr"])
    rows = {r["resource"]: r for r in result.to_dicts() if r["model"] == CURRENT}
    assert rows["memory"]["footprint_to_usage"] == pytest.approx(2.5)
    assert rows["cpu"]["overrun_sample_share"] == 1.0
    assert rows["memory"]["stated_risk"] is None


def test_a_peer_is_swept_by_margin_and_a_model_by_risk() -> None:
    """The pooled model comes with its budget and with equal risks, by name."""
    result = backtest(containers(wandering(10)), ["pooled", "vpa"])
    frame = result.to_frame()
    assert set(result.to_dicts()[0]) >= KEYS
    assert set(frame["model"]) == {"pooled", "pooled-equal", "vpa", CURRENT}
    risks = frame[(frame["model"] == "pooled") & (frame["resource"] == "cpu")]["stated_risk"]
    margins = frame[(frame["model"] == "vpa") & (frame["resource"] == "cpu")]["margin"]
    assert sorted(risks) == pytest.approx(RISKS.tolist())
    assert sorted(margins) == pytest.approx(MARGINS.tolist())


def test_a_changed_future_changes_no_earlier_recommendation() -> None:
    """Usage, events and settings after a review have no influence on what was stated at it."""
    memory = wandering(12)
    other = memory.copy()
    other[:, 14 * 288 :] *= np.linspace(0.1, 30, 12)[:, None]
    seen: list[dict[str, np.ndarray]] = []

    def watch(past: Histories) -> dict[str, np.ndarray]:
        seen.append({"memory_request": past.daily.memory_peak.max(axis=1)})
        return seen[-1]

    footprints = []
    for usage in (memory, other):
        of = containers(usage)
        late = pd.DataFrame(
            {
                "pod": ["p0"],
                "timestamp": [pd.Timestamp(of.meta.end)],
                "kind": ["oom_kill"],
                "value": [9e12 if usage is other else 1e6],
                "index": [0],
            }
        )
        result = backtest(replace(of, events=late), list(MODELS), recommenders={"watch": watch})
        assert result.reviews == 1
        footprints.append(
            {
                (r.model, r.resource, r.stated_risk, r.margin): r.footprint
                for r in result.rows
                if not (np.isnan(r.stated_risk) and np.isnan(r.margin))
            }
        )
    assert footprints[0].keys() == footprints[1].keys()
    for key, footprint in footprints[0].items():
        np.testing.assert_array_equal(footprint, footprints[1][key], err_msg=str(key))
    np.testing.assert_array_equal(seen[0]["memory_request"], seen[1]["memory_request"])


def test_changes_and_reversals_are_counted() -> None:
    """100, 200, 100, 105: up, down, and nothing worth a change."""
    levels = iter([100.0, 200.0, 100.0, 105.0])

    def policy(past: Histories) -> dict[str, np.ndarray]:
        return {"memory_request": np.array([next(levels) * MIB])}

    of = histories(steady(35), window=meta(35))
    result = backtest(of, [], WEEK, WEEK, recommenders={"ours": policy})
    row = next(r for r in result.to_dicts() if r["model"] == "ours")
    assert row["container_weeks"] == 4
    assert row["changes_per_week"] == 2 / 4
    assert row["reversals_per_week"] == 1 / 4


def test_a_policy_with_limits_counts_kills() -> None:
    """A limit below the use would have been an OOM kill in each week."""
    result = backtest(
        histories(steady(21), window=meta(21)),
        [],
        recommenders={"ours": lambda past: {"memory_limit": np.array([90.0 * MIB])}},
    )
    row = next(r for r in result.to_dicts() if r["model"] == "ours, limits")
    assert row["overrun_week_share"] == 1.0


def test_models_are_scored_on_the_same_containers() -> None:
    """KRR says nothing about 60 samples, so nobody is scored on them."""
    rare = steady(21).iloc[:-1:100].assign(workload="rare", workload_kind="CronJob")
    of = histories(pd.concat([steady(21), rare]), window=meta(21))
    result = backtest(of, ["pooled", "krr"])
    assert {r["container_weeks"] for r in result.to_dicts() if r["model"] != CURRENT} == {1}
    alone = backtest(of, ["pooled"])
    assert {r["container_weeks"] for r in alone.to_dicts() if r["model"] != CURRENT} == {2}


def test_interpolation_takes_the_cheapest_of_equal_points() -> None:
    """Three points never overrun; the way to 10 % starts at the cheapest of them."""
    overrun, footprint = np.array([0.0, 0.0, 0.0, 0.1]), np.array([9.0, 5.0, 3.0, 1.0])
    assert interpolate(overrun, footprint, 0.05) == pytest.approx(2.0)
    assert np.isnan(interpolate(overrun, footprint, 0.2))


def test_the_verdict_is_for_people() -> None:
    """One sentence with what would have happened at the default risks."""
    text = backtest(containers(wandering(10)), ["pooled", "krr"]).verdict()
    assert text.startswith("On the last review of 7 days, memory peaked above the request in ")
    assert "x usage" in text


@pytest.mark.slow
def test_the_default_beats_the_peers_on_recorded_traces() -> None:
    """Google 2011, five days in and two ahead: cheaper than the best peer at the same overrun."""
    folder = Path(os.environ.get("RIGHTSIZE_EVALUATION", "../shared/evaluation"))
    path = folder / "google2011_gcd.parquet"
    if not path.exists():
        pytest.skip(f"no recorded traces in {folder}; name their folder in RIGHTSIZE_EVALUATION")
    frame = pd.read_parquet(path)
    end = frame["timestamp"].max().to_pydatetime()
    window = Meta("google", end - timedelta(days=10), end, timedelta(minutes=5))
    table = frame.rename(columns={"series_id": "workload"}).assign(
        namespace="a", workload_kind="Job", container="main", pod="0"
    )
    of = build_histories(Recording(window, Usage.from_frame(table, window)))
    result = backtest(of, ["pooled", "krr", "vpa"], timedelta(days=5), timedelta(days=2))
    for overrun in (0.05, 0.03, 0.02):
        best = min(result.footprint_at(peer, "memory", overrun) for peer in ("krr", "vpa"))
        assert result.footprint_at("pooled", "memory", overrun) < best
