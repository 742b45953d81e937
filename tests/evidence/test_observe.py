"""What was observed: days, starts, unlike pods, busy hours, and what counts since when."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from analyzer.evidence import observe
from analyzer.history import Histories, build_histories
from analyzer.tables import validate_days, validate_pods
from analyzer.usage import Recording, Usage
from tests.samples import MIB, START, histories, meta, names, steady

DAY = 288
TIME = np.arange(14 * DAY) / DAY


def test_days_are_no_more_than_the_time_they_span() -> None:
    """25 hours that touch three dates are hardly more than one day."""
    late = steady(days=25 / 24).assign(
        timestamp=[START + timedelta(hours=23.5, minutes=5 * k) for k in range(300)]
    )
    assert observe(histories(late), [0])[0].days == pytest.approx(25 / 24)


def test_a_start_is_a_restart_or_a_pod_that_came_later() -> None:
    """A pod that was there all the time has shown no start."""
    later = steady(days=7).assign(
        pod="web-2", timestamp=[START + timedelta(days=7, minutes=5 * k) for k in range(1, 2017)]
    )
    restart = {**names(), "timestamp": START + timedelta(days=1), "kind": "restart"}
    assert not observe(histories(), [0])[0].starts
    assert observe(histories(events=[restart]), [0])[0].starts
    assert observe(histories(pd.concat([steady(), later])), [0])[0].starts


def test_a_leader_is_told_from_its_followers() -> None:
    """One of four pods works all the time; what a pod did that is gone does not count."""
    frames = [steady(cpu=0.02).assign(pod=f"web-{k}") for k in range(3)]
    leader = steady(cpu=1.5, memory=400 * MIB).assign(pod="web-3")
    gone = steady(days=7, cpu=9.0).assign(pod="web-4")
    seen = observe(histories(pd.concat([*frames, leader, gone])), [0])[0]
    assert seen.cpu_pods is not None and seen.memory_pods is not None
    assert (seen.cpu_pods.pods, seen.cpu_pods.high) == (4, 1)
    assert (seen.cpu_pods.worst, seen.cpu_pods.typical) == pytest.approx((1.5, 0.02))
    assert seen.memory_pods.ratio == pytest.approx(4.0)
    assert observe(histories(), [0])[0].cpu_pods is None


@pytest.mark.parametrize(
    ("busy", "when"),
    [
        ((TIME % 1 >= 2 / 24) & (TIME % 1 < 3 / 24), "every day from 02:00"),
        ((TIME % 7 >= 6 + 2 / 24) & (TIME % 7 < 6 + 3 / 24), "every Sunday from 02:00"),
    ],
)
def test_the_hour_that_is_busy_each_day_or_week_is_found(busy: np.ndarray, when: str) -> None:
    """However little of the time it is; the window begins on a Monday at midnight."""
    hour = observe(histories(steady(cpu=np.where(busy, 3.0, 0.02))), [0])[0].busy_hour
    assert hour is not None
    assert hour.cores == pytest.approx(3.0)
    assert hour.when == when


def test_what_was_busy_once_is_no_busy_hour() -> None:
    """A migration in one night recurs nowhere, and steady use stands out at no hour."""
    once = np.where((TIME > 9) & (TIME < 9.1), 3.0, 0.02)
    assert observe(histories(steady(cpu=once)), [0])[0].busy_hour is None
    assert observe(histories(), [0])[0].busy_hour is None


def test_quantiles_are_of_what_counts_and_the_rest_stands_beside() -> None:
    """Memory moved from 800Mi to 400Mi four days before the end."""
    of = histories(steady(memory=np.where(TIME < 10, 800.0, 400.0) * MIB))
    seen = observe(of, [0], {"memory": np.array([4.0])})[0]
    assert seen.memory.max == 400 * MIB
    assert seen.memory_before is not None and seen.memory_before.max == 800 * MIB
    assert seen.memory_since == START + timedelta(days=10)
    assert seen.cpu_since is None


def test_a_pod_that_is_unlike_the_others_lately_is_told() -> None:
    """One of three works since two days: half of its life says nothing of it, its last days do."""
    frames = [steady(cpu=0.1).assign(pod=f"web-{k}") for k in range(2)]
    hot = steady(cpu=np.where(TIME < 12, 0.1, 0.9)).assign(pod="web-2")
    spread = observe(histories(pd.concat([*frames, hot])), [0])[0].cpu_pods
    assert spread is not None and spread.lately
    assert (spread.pods, spread.high) == (3, 1)
    assert spread.worst == pytest.approx(0.9)


def runs_of(days: list[float], owner: str | None = None) -> Histories:
    """A CronJob with a run of an hour on each of the days, each in a pod of its own."""
    names_of = {**names(), "workload_kind": "CronJob"}
    frames, pods = [], []
    for number, day in enumerate(days):
        times = [START + timedelta(days=day, minutes=5 * k) for k in range(1, 13)]
        frames.append(steady(1 / 24).assign(**names_of, pod=f"run-{number}", timestamp=times))
        pods.append({"namespace": "shop", "pod": f"run-{number}", "owner": owner})
    usage = Usage.from_frame(pd.concat(frames), meta())
    table = validate_pods(pd.DataFrame(pods))
    return build_histories(Recording(meta(), usage, pods=table))


@pytest.mark.parametrize(
    ("days", "owner", "runs"),
    [
        ([0, 6.98, 13.9], None, 3),
        ([1, 1.2, 1.4, 1.6], None, 1),
        ([1, 3, 5], "Job/web-1", 1),
    ],
    ids=["weekly", "all on one day", "pods of one run"],
)
def test_jobs_are_counted_by_runs(days: list[float], owner: str | None, runs: int) -> None:
    """Three weekly runs are three, however little they span; of one day one counts."""
    assert observe(runs_of(days, owner), [0])[0].runs == runs
    assert observe(histories(), [0])[0].runs is None


def test_resident_memory_is_told_from_cache_where_the_source_does() -> None:
    """300Mi of the working set can be taken back."""
    told = steady(memory=400 * MIB, memory_rss_bytes=100.0 * MIB)
    assert observe(histories(told), [0])[0].resident_peak == 100 * MIB
    assert observe(histories(window=meta()), [0])[0].resident_peak is None


def test_what_is_neither_resident_nor_cache_cannot_be_taken_back() -> None:
    """Shared memory and the kernel's own: 400Mi of which 100Mi are cache, and 50Mi resident."""
    told = steady(memory=400 * MIB, memory_rss_bytes=50.0 * MIB, memory_cache_bytes=100.0 * MIB)
    assert observe(histories(told), [0])[0].resident_peak == 300 * MIB
    only = steady(memory=400 * MIB, memory_cache_bytes=100.0 * MIB)
    assert observe(histories(only), [0])[0].resident_peak == 300 * MIB


def test_a_pod_of_which_nothing_is_told_counts_whole() -> None:
    """Its sibling's cache is no proof that it has any."""
    told = steady(memory=400 * MIB, memory_cache_bytes=300.0 * MIB)
    other = steady(memory=350 * MIB).assign(pod="web-2")
    seen = observe(histories(pd.concat([told, other])), [0])[0]
    assert seen.resident_peak == 350 * MIB


def test_a_start_on_a_day_before_the_window_is_a_start() -> None:
    """The summary of a day is all that is left of it, and says how high memory stood then."""
    of = histories()
    day = {**names(), "day": START - timedelta(days=3), "start_peak_bytes": 120.0 * MIB}
    seen = observe(replace(of, days=validate_days(pd.DataFrame([day]))), [0])[0]
    assert seen.starts and seen.start_peak == 120 * MIB
    day["start_peak_bytes"] = np.nan
    assert not observe(replace(of, days=validate_days(pd.DataFrame([day]))), [0])[0].starts
