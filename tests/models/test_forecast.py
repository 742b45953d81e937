"""What the coming days are expected to show."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from analyzer.history import Histories
from analyzer.models.forecast import Forecast, forecasts
from tests.samples import MIB, START, histories, names, steady

WEEK = timedelta(days=7)


def event(kind: str, day: float, value: float) -> dict[str, Any]:
    moment = START + timedelta(days=day)
    return {**names(), "pod": "web-1", "timestamp": moment, "kind": kind, "value": value}


def memory_of(of: Histories) -> Forecast:
    return forecasts(of, WEEK).of(0)["memory"]


def test_memory_is_expected_at_its_daily_peak() -> None:
    """300 MiB but for one sample of 600 MiB a day: the days to come show 600, not 300."""
    peaks = np.where(np.arange(14 * 288) % 288 == 100, 600.0 * MIB, 300.0 * MIB)
    expected = memory_of(histories(steady(memory=peaks)))
    assert expected.level[-7:] == pytest.approx([600 * MIB] * 7)
    assert np.isnan(expected.level[:-7]).all()
    assert expected.seen[:14] == pytest.approx([600 * MIB] * 14)
    assert not expected.at_least


def test_cpu_is_expected_at_the_p95_of_its_days() -> None:
    """One sample in ten at 1 core, the others at 100m: p95 of every day is 1 core."""
    cpu = np.where(np.arange(14 * 288) % 10 == 0, 1.0, 0.1)
    expected = forecasts(histories(steady(cpu=cpu)), WEEK).of(0)["cpu"]
    assert expected.level[-7:] == pytest.approx([1.0] * 7)


def test_days_that_end_in_kills_are_a_lower_bound() -> None:
    """Killed at 100 MiB every day: the level is at least that, and has no band."""
    kills = [event("oom_kill", day + 0.5, 100.0 * MIB) for day in range(14)]
    expected = memory_of(histories(steady(), events=kills))
    assert expected.at_least
    assert expected.cut_off[:14].all() and not expected.cut_off[14:].any()
    assert expected.level[-1] == pytest.approx(100 * MIB)
    assert np.isnan(expected.high).all()


def test_one_cut_off_day_is_left_out() -> None:
    """Killed once, at 100 MiB, where other days peak at 80: the others tell the level."""
    memory = np.where(np.arange(14 * 288) // 288 == 3, 100.0 * MIB, 80.0 * MIB)
    kill = event("oom_kill", 3.5, 100.0 * MIB)
    expected = memory_of(histories(steady(memory=memory), events=[kill]))
    assert not expected.at_least
    assert list(np.flatnonzero(expected.cut_off)) == [3]
    assert expected.high[14] == pytest.approx(80 * MIB)


@pytest.mark.parametrize(("steps", "hidden"), [(14, False), (15, True)])
def test_throttling_hides_the_p95_of_a_day(steps: int, hidden: bool) -> None:
    """288 samples a day: 15 throttled ones are more than 5 % of them, 14 are not."""
    throttled = [event("throttled", 2 + (k + 1) / 288, 0.5) for k in range(steps)]
    expected = forecasts(histories(steady(), events=throttled), WEEK).of(0)["cpu"]
    assert list(np.flatnonzero(expected.cut_off)) == ([2] if hidden else [])


def test_an_event_at_midnight_belongs_to_the_day_that_ends() -> None:
    """As the sample of the same moment does."""
    kill = event("oom_kill", 3.0, 100.0 * MIB)
    expected = memory_of(histories(steady(), events=[kill]))
    assert list(np.flatnonzero(expected.cut_off)) == [2]


def test_the_band_opens_with_time() -> None:
    """A level that wanders is less sure in a week than tomorrow: from 8 days' root to 21's."""
    days = np.random.default_rng(3).normal(300, 10, 14)
    expected = memory_of(histories(steady(memory=np.repeat(days, 288) * MIB)))
    ratio = np.log(expected.high / expected.level)[-7:]
    assert (np.diff(ratio) > 0).all()
    # sqrt(1 + 7/14) against sqrt(1 + 1/14)
    assert ratio[-1] / ratio[0] == pytest.approx(np.sqrt(1.5) / np.sqrt(15 / 14))


def test_what_was_before_a_shift_counts_for_nothing() -> None:
    """600 MiB for a week, 300 after: 300 are expected, and the day of the move is told."""
    memory = np.where(np.arange(14 * 288) < 7 * 288, 600.0 * MIB, 300.0 * MIB)
    memory *= np.random.default_rng(1).uniform(0.99, 1.01, len(memory))
    expected = memory_of(histories(steady(memory=memory)))
    assert expected.since == START + timedelta(days=7)
    assert expected.level[-1] == pytest.approx(303 * MIB, rel=0.01)


def test_a_container_without_memory_has_no_level() -> None:
    """Nothing seen: nothing expected, and no error."""
    expected = memory_of(histories(steady(memory=np.nan)))
    assert np.isnan(expected.level).all() and np.isnan(expected.seen).all()
    assert expected.since is None
