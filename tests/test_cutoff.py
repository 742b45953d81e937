"""One definition of an OOM kill that counts, and one of throttling."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from analyzer.cutoff import Kills, find_kills, throttled_shares
from tests.samples import MIB, START, histories, names, steady

TIME = np.arange(14 * 288) / 288


def event(day: float, kind: str = "oom_kill", limit: float = 200) -> dict[str, Any]:
    """An event of `web-1`, with so many mebibytes for its value."""
    at = START + timedelta(days=day)
    return {**names(), "pod": "web-1", "timestamp": at, "kind": kind, "value": limit * MIB}


def test_a_kill_near_the_limit_is_one_at_the_limit() -> None:
    """160Mi are 80 % of 200Mi; a mebibyte less came from elsewhere."""
    near = find_kills(histories(steady(memory=160 * MIB), events=[event(3)]))
    far = find_kills(histories(steady(memory=159 * MIB), events=[event(3)]))
    assert near == {0: Kills(at_limit=1, limits=(200.0 * MIB,), often=1)}
    assert far == {0: Kills(elsewhere=1)}
    assert find_kills(histories()) == {}


def test_page_cache_is_no_usage_where_the_node_was_short_of_memory() -> None:
    """190Mi of 200Mi of which 150Mi can be taken back; the limit alone would have taken them."""
    cached = steady(memory=190 * MIB, memory_cache_bytes=150.0 * MIB)
    strained = [event(3), event(3, "node_pressure", np.nan)]
    assert find_kills(histories(cached, events=strained))[0] == Kills(elsewhere=1)
    assert find_kills(histories(cached, events=[event(3)]))[0].at_limit == 1
    firm = steady(memory=190 * MIB, memory_cache_bytes=10.0 * MIB)
    assert find_kills(histories(firm, events=strained))[0].at_limit == 1
    assert find_kills(histories(steady(memory=190 * MIB), events=strained))[0].at_limit == 1


def test_the_life_that_a_kill_ended_decides_and_no_other() -> None:
    """Near the limit until the restart on day 5, far below it until the kill on day 9."""
    of = histories(
        steady(memory=np.where(TIME < 5, 190.0, 50.0) * MIB),
        events=[event(5, "restart"), event(9)],
    )
    assert find_kills(of)[0].elsewhere == 1


def test_a_life_of_two_scrapes_tells_nothing_about_the_peak() -> None:
    """It rose between them: the kill counts as one at the limit."""
    quick = [event(5), event(5 + 2 / 288)]
    assert find_kills(histories(steady(memory=50 * MIB), events=quick))[0] == Kills(
        at_limit=1, elsewhere=1, limits=(200.0 * MIB,), often=1
    )


def test_one_kill_soon_after_a_start_says_nothing_where_days_of_use_were_far_below() -> None:
    """50 of 200Mi for days: once after a restart is no sign, twice is, nor is it so at 110Mi."""
    soon, again = (
        [event(5, "restart"), event(5 + 2 / 288)],
        [event(8, "restart"), event(8 + 2 / 288)],
    )
    low, high = steady(memory=50 * MIB), steady(memory=110 * MIB)
    assert find_kills(histories(low, events=soon))[0] == Kills(elsewhere=1)
    assert find_kills(histories(low, events=[*soon, *again]))[0].at_limit == 2
    assert find_kills(histories(high, events=soon))[0].at_limit == 1
    elsewhere = [event(3), event(7)]
    assert find_kills(histories(low, events=[*soon, *again, *elsewhere]))[0] == Kills(elsewhere=4)


def test_without_a_limit_the_node_ran_out() -> None:
    """Where nobody says at which limit it was killed, the one declared counts, if there is one."""
    unknown = event(3, limit=np.nan)
    spec = {**names(), "memory_limit_bytes": 200 * MIB}
    usage = steady(memory=190 * MIB)
    assert find_kills(histories(usage, [spec], [unknown]))[0].limits == (200.0 * MIB,)
    assert find_kills(histories(usage, [names()], [unknown]))[0] == Kills(elsewhere=1)
    assert find_kills(histories(usage, None, [unknown]))[0] == Kills(at_limit=1)


def test_limits_that_were_hit_one_after_the_other_are_told() -> None:
    """Each higher than all before, oldest first; what was hit twice is the one repeated."""
    usage = steady(memory=195 * MIB)
    kills = [event(2, limit=200), event(4, limit=240), event(5, limit=220), event(6, limit=240)]
    found = find_kills(histories(usage, events=kills))[0]
    assert found.limits == (200.0 * MIB, 240.0 * MIB)
    assert found.repeated == 240 * MIB


def test_a_climb_of_many_hours_is_no_jump() -> None:
    """From 60Mi to 198Mi over two days, again and again; a jump takes a single step."""
    climb = np.linspace(60, 198, 288 * 2)[np.arange(len(TIME)) % (288 * 2)]
    jump = np.where(np.arange(len(TIME)) % (288 * 2) == 288 * 2 - 1, 198.0, 60.0)
    kills = [event(2 * k) for k in range(1, 7)]
    assert find_kills(histories(steady(memory=climb * MIB), events=kills))[0].slow == 6
    assert find_kills(histories(steady(memory=jump * MIB), events=kills))[0].slow == 0


def test_who_climbs_far_again_and_again_has_no_bound_of_its_own() -> None:
    """From 40Mi to 198Mi is five times its start, from 60Mi hardly more than three times."""
    kills = [event(2 * k) for k in range(1, 7)]
    for start, fills in ((40, True), (60, False)):
        climb = np.linspace(start, 198, 288 * 2)[np.arange(len(TIME)) % (288 * 2)]
        found = find_kills(histories(steady(memory=climb * MIB), events=kills))[0]
        assert found.fills is fills


@pytest.mark.parametrize(
    ("limits", "slow", "fills"),
    [((1.0, 2.0, 3.0), 0, True), ((1.0, 2.0), 4, True), ((1.0, 2.0), 3, False), ((1.0,), 9, False)],
)
def test_who_is_killed_after_every_raise_fills_what_it_gets(
    limits: tuple[float, ...], slow: int, fills: bool
) -> None:
    """After three limits, or after two where it climbed to them often."""
    assert Kills(at_limit=9, slow=slow, limits=limits).fills is fills


@pytest.mark.parametrize(
    ("often", "limits", "share"),
    [(1, 1, 0.2), (2, 1, 0.3), (4, 1, 0.4), (100, 1, 0.5), (1, 2, 0.1), (100, 3, 0.5 / 3)],
)
def test_the_need_lies_further_above_a_limit_that_kills_often(
    often: int, limits: int, share: float
) -> None:
    """A tenth more each time kills double, half at most; less each time a raise was not enough."""
    kills = Kills(at_limit=often, often=often, limits=tuple(map(float, range(1, limits + 1))))
    assert kills.beyond == pytest.approx(share)


def test_earlier_kills_count_as_long_as_kills_go_on() -> None:
    """Lower limits that were hit before come first; higher ones were another time's need."""
    now = Kills(at_limit=1, limits=(3.0,))
    known = now.after((1.0, 2.0, 2.0, 4.0), None)
    assert known.limits == (1.0, 2.0, 3.0)
    assert known.fills
    assert Kills().after((1.0, 2.0, 3.0), START) == Kills()
    assert now.after((), START).fills


def test_throttling_is_a_share_of_what_was_observed() -> None:
    """504 steps of 4,032 are an eighth."""
    waits = [
        {**event(0), "kind": "throttled", "timestamp": START + timedelta(minutes=5 * k)}
        for k in range(1, 505)
    ]
    assert throttled_shares(histories(events=waits))[0] == pytest.approx(1 / 8)
