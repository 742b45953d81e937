"""Walk-forward scoring, on histories whose scores can be worked out by hand."""

from __future__ import annotations

import os
import tracemalloc
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analyzer.backtest import (
    CURRENT,
    FAIR_PEERS,
    FORESIGHT,
    MARGINS,
    POLICY,
    Walk,
    backtest,
    in_words,
    interpolate,
    measure,
    review_stops,
)
from analyzer.calibration import Learnt
from analyzer.errors import UsageError
from analyzer.history import Histories, build_histories
from analyzer.models import MODELS, RISKS
from analyzer.models.vpa import mass
from analyzer.pipeline.decision import decide
from analyzer.pipeline.judgement import score_policy, usual_train
from analyzer.pipeline.method import Method
from analyzer.pipeline.review import review
from analyzer.policy import Policies, Policy
from analyzer.usage import Meta, Recording, Usage
from tests.models.test_models import wandering
from tests.models.test_pattern import containers
from tests.samples import MIB, histories, meta, names, steady

WEEK = timedelta(days=7)
OFF_SWEEP = (CURRENT, FORESIGHT)
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
    assert review_stops(histories(steady(21), window=meta(21)), Walk()) == [14 * 288]
    assert review_stops(histories(steady(28), window=meta(28)), Walk(WEEK)) == [
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
    assert "KRR 0.0% at 1.15 x" in in_words(result)


def test_current_requests_are_a_row_for_comparison() -> None:
    """Declared 250 MiB for a use of 100 MiB is 2.5 x."""
    specs = [{**names(), "memory_request_bytes": 250 * MIB, "cpu_request_cores": 0.05}]
    result = backtest(histories(steady(21), specs, window=meta(21)), ["krr"])
    rows = {r["resource"]: r for r in result.to_dicts() if r["model"] == CURRENT}
    assert rows["memory"]["footprint_to_usage"] == pytest.approx(2.5)
    assert rows["cpu"]["overrun_sample_share"] == 1.0
    assert rows["memory"]["stated_risk"] is None


def test_a_peer_is_swept_by_margin_and_a_model_by_risk() -> None:
    """And a peer at each of its percentiles; the plain rules are always there."""
    result = backtest(containers(wandering(10)), ["pooled", "vpa"])
    frame = result.to_frame()
    assert set(result.to_dicts()[0]) >= KEYS
    plain = set(FAIR_PEERS) - {"krr", "vpa"}
    assert set(frame["model"]) == {"pooled", "vpa", CURRENT, FORESIGHT} | plain
    cpu = frame[frame["resource"] == "cpu"]
    risks = cpu[cpu["model"] == "pooled"]["stated_risk"]
    assert sorted(risks) == pytest.approx(RISKS.tolist())
    for _, swept in cpu[cpu["model"] == "vpa"].groupby("setting"):
        assert sorted(swept["margin"]) == pytest.approx(MARGINS.tolist())
    assert "p99, half-life 1 d" in set(cpu["setting"])


def test_it_does_not_matter_how_many_containers_are_looked_at_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Batches of 3, 3 and 1 give what all seven together give, to the last bit."""
    known, week = containers(wandering(7)), Walk(WEEK, daily=True)
    whole = backtest(known, ["pooled", "vpa"], week)
    monkeypatch.setattr("analyzer.usage._PIECE_OF_CONTAINERS", 3)
    monkeypatch.setattr("analyzer.models.vpa._AT_ONCE", 3 * 21 * 288)
    parts = backtest(known, ["pooled", "vpa"], week)
    assert whole.reviews == 2
    assert parts.to_dicts() == whole.to_dicts()
    for one, other in zip((*whole.rows, *whole.peers), (*parts.rows, *parts.peers), strict=True):
        np.testing.assert_array_equal(one.level, other.level)
        np.testing.assert_array_equal(one.above, other.above)


def test_neither_what_came_nor_a_histogram_copies_the_cluster() -> None:
    """Half of 48 MB of usage is looked at in less than half of its own size, a histogram made so.

    What either takes stays as large where the cluster grows, but for the histogram itself.
    """
    known = containers(np.ones((1500, 14 * 288)))
    half = sum(array.nbytes for array in known.usage.values.values()) / 2
    assert half == 4 * 1500 * 14 * 288
    after = known.usage.pieces(7 * 288, 14 * 288)
    tracemalloc.start()
    try:
        seen = sum(len(part.cpu_cores) for _, part in after)
        looked = tracemalloc.get_traced_memory()[1]
        tracemalloc.reset_peak()
        histogram = mass(known, resource="cpu", half_life=1.0)
        filled = tracemalloc.get_traced_memory()[1] - histogram.nbytes
    finally:
        tracemalloc.stop()
    assert seen == 1500 * 7 * 288
    assert looked < half / 2
    assert filled < half / 2


def test_a_changed_future_changes_no_earlier_recommendation() -> None:
    """Usage, events and settings after a review have no influence on what was stated at it."""
    memory = wandering(12)
    other = memory.copy()
    other[:, 14 * 288 :] *= np.linspace(0.1, 30, 12)[:, None]
    seen: list[dict[str, np.ndarray]] = []

    def watch(past: Histories, learnt: Mapping[str, Learnt]) -> dict[str, np.ndarray]:
        assert set(learnt) == {"pooled", "trend", "percentile"}
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
            {str(r.point): r.footprint for r in result.rows if r.model not in (CURRENT, FORESIGHT)}
        )
    assert footprints[0].keys() == footprints[1].keys()
    for key, footprint in footprints[0].items():
        np.testing.assert_array_equal(footprint, footprints[1][key], err_msg=key)
    np.testing.assert_array_equal(seen[0]["memory_request"], seen[1]["memory_request"])


def test_changes_and_reversals_are_counted() -> None:
    """100, 200, 100, 105: up, down, and nothing worth a change."""
    levels = iter([100.0, 200.0, 100.0, 105.0])

    def policy(past: Histories, learnt: Mapping[str, Learnt]) -> dict[str, np.ndarray]:
        return {"memory_request": np.array([next(levels) * MIB])}

    of = histories(steady(35), window=meta(35))
    result = backtest(of, [], Walk(WEEK), recommenders={"ours": policy})
    row = next(r for r in result.to_dicts() if r["model"] == "ours")
    assert row["container_weeks"] == 4
    assert row["changes_per_week"] == 2 / 4
    assert row["reversals_per_week"] == 1 / 4


def test_a_policy_with_limits_counts_kills() -> None:
    """A limit below the use would have been an OOM kill in each week."""
    result = backtest(
        histories(steady(21), window=meta(21)),
        [],
        recommenders={"ours": lambda *_: {"memory_limit": np.array([90.0 * MIB])}},
    )
    row = next(r for r in result.to_dicts() if r["model"] == "ours, limits")
    assert row["overrun_week_share"] == 1.0


def test_models_are_scored_on_the_same_containers() -> None:
    """KRR says nothing about 15 samples, so nobody is scored on them."""
    rare = steady(21).iloc[:-1:280].assign(workload="rare", workload_kind="CronJob")
    of = histories(pd.concat([steady(21), rare]), window=meta(21))
    result = backtest(of, ["pooled", "krr"])
    assert {r["container_weeks"] for r in result.to_dicts() if r["model"] not in OFF_SWEEP} == {1}
    alone = backtest(of, ["pooled"])
    assert {r["container_weeks"] for r in alone.to_dicts() if r["model"] not in OFF_SWEEP} == {2}


def test_interpolation_takes_the_cheapest_of_equal_points() -> None:
    """Three points never overrun; the way to 10 % starts at the cheapest of them."""
    overrun, footprint = np.array([0.0, 0.0, 0.0, 0.1]), np.array([9.0, 5.0, 3.0, 1.0])
    assert interpolate(overrun, footprint, 0.05) == pytest.approx(2.0)
    assert np.isnan(interpolate(overrun, footprint, 0.2))


def test_the_verdict_is_for_people() -> None:
    """A short sentence per resource with what would have happened at the default risks."""
    text = in_words(backtest(containers(wandering(10)), ["pooled", "krr"]))
    assert all(len(sentence) < 260 for sentence in text.split(". "))
    assert text.startswith("On the last review of 7 days, memory peaked above the request in ")
    assert "x usage" in text


def test_a_run_and_a_backtest_quote_the_same_policy() -> None:
    """One policy, one answer: the words of a run are those of the backtest."""
    of = containers(wandering(10))
    method = Method()
    result = score_policy(of, method, Walk())
    assert review(of, method).report.verdict == in_words(result)
    ours = result.named(POLICY, "memory")[0]
    assert f"at {measure(ours).footprint:.2f} x usage; " in in_words(result)


def test_what_is_kept_is_scored_as_it_is() -> None:
    """A policy that is off proposes nothing, so what is declared goes on: 2.5 x the use."""
    specs = [{**names(), "memory_request_bytes": 250 * MIB, "cpu_request_cores": 0.05}]
    of = histories(steady(21), specs, window=meta(21))
    method = Method(policies=Policies(Policy(direction="off")))
    row = score_policy(of, method, Walk()).named(POLICY, "memory")[0]
    assert measure(row).footprint == pytest.approx(2.5)


def test_foresight_overruns_as_stated_and_never_beyond_a_peak() -> None:
    """CPU from 0.01 to 1.00 evenly: its p95 is 0.95 and leaves 5 % above; memory is the peak."""
    rising = np.tile(np.arange(1, 101) / 100, 21 * 288 // 100 + 1)[: 21 * 288]
    result = backtest(histories(steady(21, cpu=rising), window=meta(21)), ["krr"])
    assert result.footprint_at(FORESIGHT, "cpu", 0.05) == pytest.approx(0.95 / 0.505, rel=0.01)
    assert result.footprint_at(FORESIGHT, "memory", 0.02) == pytest.approx(1.0)


def test_the_best_peer_is_the_cheapest_at_any_setting() -> None:
    """Of all settings on a sweep of percentiles, the lowest curve at an overrun counts."""
    rising = np.tile(np.arange(1, 101) / 100, 21 * 288 // 100 + 1)[: 21 * 288]
    result = backtest(histories(steady(21, cpu=rising), window=meta(21)), ["krr", "vpa"])
    best = result.best_peer_at("cpu", 0.02)
    each = [result.footprint_at(peer, "cpu", 0.02) for peer in FAIR_PEERS]
    assert best == np.nanmin(each)
    assert best == pytest.approx(0.98 / 0.505, rel=0.02)


def test_an_interval_knows_that_containers_of_a_workload_share_their_luck() -> None:
    """Ten containers, five over: of ten workloads that is roughly 0.25 to 0.75, of two 0 to 1."""
    alike = steady(21)
    for workloads, low, high in ((10, (0.1, 0.35), (0.65, 0.9)), (2, (0.0, 0.0), (1.0, 1.0))):
        tables = [
            alike.assign(container=f"c{n}", workload=f"w{n * workloads // 10}") for n in range(10)
        ]
        of = histories(pd.concat(tables), window=meta(21))
        levels = np.array([90.0 if ref.container < "c5" else 110.0 for ref in of.containers]) * MIB
        result = backtest(
            of, [], recommenders={"ours": lambda *_, levels=levels: {"memory_request": levels}}
        )
        found = measure(result.named("ours", "memory")[0])
        assert found.overrun == 0.5
        assert low[0] <= found.overrun_low <= low[1]
        assert high[0] <= found.overrun_high <= high[1]


def test_every_point_is_scored_at_every_review() -> None:
    """Three reviews, of which the first knows no more than its window: arrays have one shape."""
    of = histories(steady(28), window=meta(28))
    result = backtest(of, ["krr", "vpa"], Walk(WEEK, daily=True))
    assert {row.level.shape for row in (*result.rows, *result.peers)} == {(3, 1)}
    assert {row.above.shape for row in (*result.rows, *result.peers)} == {(3, 1)}


def test_a_large_container_counts_by_what_it_uses() -> None:
    """One of 300 MiB over and one of 100 MiB not: half of the containers, 3/4 of the bytes."""
    both = [steady(21, memory=n * 100 * MIB).assign(workload=f"w{n}") for n in (1, 3)]
    of = histories(pd.concat(both), window=meta(21))
    levels = np.array([110.0, 290.0]) * MIB
    result = backtest(of, [], recommenders={"ours": lambda *_: {"memory_request": levels}})
    row = next(r for r in result.to_dicts() if r["model"] == "ours")
    assert row["overrun_week_share"] == 0.5
    assert row["overrun_use_share"] == 0.75


def test_few_weeks_are_said_to_be_few() -> None:
    """One review tells nothing of how weeks differ; and 10 container-weeks nothing of 1 %."""
    result = backtest(containers(wandering(10)), ["pooled", "krr"])
    assert "too few to tell" in in_words(result)
    assert not result.tells("memory", 0.01)
    assert result.tells("memory", 0.5)


def test_the_vpa_day_by_day_follows_a_step_within_the_week() -> None:
    """Memory that doubles after the review: the daily target is over on one day of seven only."""
    memory = np.where(np.arange(21 * 288) < 14 * 288, 300.0, 600.0) * MIB
    of = histories(steady(21, memory=memory), window=meta(21))
    result = backtest(of, ["vpa"], Walk(daily=True))
    above = {
        name: next(
            float(np.nansum(row.above))
            for row in result.named(name, "memory")
            if row.point.setting == "p90, half-life 1 d" and row.margin == pytest.approx(MARGINS[6])
        )
        for name in ("vpa", "vpa, daily")
    }
    assert above == {"vpa": 7 * 288, "vpa, daily": 288}


@pytest.mark.slow
def test_stated_risks_hold_on_recorded_traces() -> None:
    """Google 2011, five days in and two ahead: CPU stated at 5 % comes as 5 %, within x1.3."""
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
    result = backtest(of, ["pooled"], Walk(timedelta(days=5), timedelta(days=2)))
    row = next(r for r in result.named("pooled", "cpu") if r.stated_risk == 0.05)
    assert 0.05 / 1.3 < measure(row).overrun < 0.05 * 1.3


def test_what_is_scored_is_what_a_run_would_have_shipped() -> None:
    """At every review the policy's levels are those that a run at that time proposes.

    To the byte, with its thresholds and what earlier reviews hold back: peaks of 400 MiB in some
    days of the first ten keep a request from falling to what 200 MiB alone would speak for.
    """
    day = np.arange(28 * 288) // 288
    memory = np.where((day < 10) & (day % 3 == 0), 400.0, 200.0) * MIB
    tables = [steady(28, memory=memory * n).assign(workload=f"w{n}") for n in (1, 2, 3)]
    asked = {"memory_request_bytes": 4096 * MIB, "cpu_request_cores": 0.5}
    specs = [{**names(workload=f"w{n}"), **asked} for n in (1, 2, 3)]
    of, method = histories(pd.concat(tables), specs, window=meta(28)), Method(horizon=WEEK)
    result = score_policy(of, method, Walk())
    row = result.named(POLICY, "memory")[0]
    for number, stop in enumerate(review_stops(of, Walk())):
        known = of.between(0, stop)
        proposed = {r.ref: r.proposed for r in decide(known, method).recommendations}
        for index, ref in enumerate(of.containers):
            amount = proposed[ref].memory_request
            assert amount is not None
            assert row.level[number, index] == np.float32(amount.bytes)


def test_a_run_and_a_backtest_of_all_models_say_the_same() -> None:
    """Further models stand beside the policy and change nothing of what is said about it."""
    of, method = containers(wandering(12)), Method(horizon=WEEK)
    report = review(of, method).report
    train = usual_train(of, WEEK)
    assert train == timedelta(days=14)
    assert report.verdict == in_words(score_policy(of, method, Walk(train, WEEK), list(MODELS)))
