"""The way of a memory limit.

A limit reserves nothing, so it may be generous; but usage answers to it. Page cache, heaps and
leaks fill what they get, and a limit that follows usage follows itself. So no limit rises where
none was hit, no pressure was seen and no growth is under way.
"""

from __future__ import annotations

import math

from analyzer.cutoff import Kills
from analyzer.quantity import Quantity
from analyzer.recommend.admission import due_limit
from analyzer.recommend.bounds import (
    HARD,
    NOTABLE_PRESSURE,
    followed,
    no_further,
    room_above_peak,
    without_cache,
)
from analyzer.recommend.case import Case, Facts
from analyzer.recommend.qos import EQUAL_LIMIT, equal_is_wanted
from analyzer.recommend.restraint import AHEAD_OF_GROWTH, RESTRAINTS, ROUND
from analyzer.recommend.step import Outcome, Plan, PolicyStep, Source
from analyzer.recommend.vpa import left_to_vpa

HELD_DAYS = 7.0
"""A limit near which usage lay for so long without a kill has shown that it suffices."""
PLATEAU = 0.75
"""Memory that spends half of its time so near to its peak has filled what it got, as page cache
and heaps do. A peak that stands alone is a need, and wants room."""


def plan_memory_limit(case: Case) -> Plan:
    """How the memory limit of `case` comes about."""
    policy, left = case.policy, left_to_vpa(case)
    if left is not None:
        return left
    if policy.memory_limit == "keep" or "memory" in case.facts.unknown:
        return Plan(Source("keep", _kept))
    if policy.memory_limit == "none":
        return _without(case)
    if case.now is None and not policy.add_missing_limits:
        return Plan(Source("keep", _not_added))
    if policy.memory_limit == "request" and case.request is not None:
        return Plan(Source("request", _as_request), LEARNED)
    return Plan(Source("demand", _demand), LEARNED)


def _without(case: Case) -> Plan:
    """The way of a limit where the policy wants none: what speaks for one all the same."""
    if equal_is_wanted(case):
        return Plan(EQUAL_LIMIT.source, LEARNED)
    due, taken = due_limit(case), followed(case)
    if due is not None:
        return Plan(due, HARD)
    if taken is not None:
        return Plan(taken, LEARNED)
    return _REMOVE if case.policy.direction == "both" else Plan(Source("keep", _one_way), LEARNED)


def why_limit_stays(facts: Facts) -> str:
    """Why the memory limit in force is not to be raised; empty where it may be."""
    limit, kills, seen = facts.current.memory_limit, facts.kills, facts.evidence
    if limit is None:
        return ""
    if kills.fills:
        return f"killed {why_it_fills(kills)}: it fills what it gets"
    if not kills.at_limit and facts.leaks:
        return f"it has held, and memory leaks{_as_seen(facts)}: it would fill a higher one as well"
    if kills.at_limit or facts.growth_of("memory") > 0:
        return ""
    if room_above_peak(facts) <= limit:
        headroom = facts.policy.memory_limit_headroom
        return f"it has held: no kill, and {headroom:g} x the highest peak"
    calm = seen.days >= HELD_DAYS and seen.memory_pressure < NOTABLE_PRESSURE
    if calm and seen.memory.p50 and seen.memory.p50 >= PLATEAU * (seen.memory.max or 0.0):
        return f"it has held: no kill at it in {seen.days:.0f} days, however near usage came"
    return ""


def _as_seen(facts: Facts) -> str:
    """Since when a leak is known that this window does not show."""
    if facts.findings.get("memory") == "leak" or facts.past.leaked is None:
        return ""
    return f", as a restart showed in the review of {facts.past.leaked:%Y-%m-%d}"


def why_it_fills(kills: Kills) -> str:
    """What shows that it fills whatever it gets."""
    if kills.fills_since is not None:
        return f"as the review of {kills.fills_since:%Y-%m-%d} had seen already"
    if len(kills.limits) > 1:
        return f"at {len(kills.limits)} limits, each higher than the last"
    return f"{kills.unbounded} times after climbing for hours to many times what it began with"


def headroom(case: Case, amount: Quantity) -> Outcome:
    """Room above the highest peak, or the limit would kill."""
    room = room_above_peak(case.facts)
    if amount >= room:
        return amount, ""
    return room, (
        f"at least {case.policy.memory_limit_headroom:g} x the highest peak or the limit it was "
        "killed at, less after repeated kills: a limit reserves nothing"
    )


def held(case: Case, amount: Quantity) -> Outcome:
    """No raise where nothing was hit; none either where every raise is filled.

    What grows keeps its limit as long as that leaves room until the next review, and while no other
    amount changes: a limit alone is not worth a restart.
    """
    facts, now = case.facts, case.now
    growth = facts.growth_of("memory")
    if now is None or amount == now:
        return amount, ""
    if amount < now:
        return (now, "usage grows, and a limit reserves nothing") if growth > 0 else (amount, "")
    why = why_limit_stays(facts)
    alone = case.settled == facts.current and not facts.kills.at_limit
    if not why and alone and growth > 0:
        room = room_above_peak(facts).scale(math.exp(7 * growth))
        why = "it leaves room above the highest peak for a week's growth" if room <= now else ""
    return (now, why) if why else (amount, "")


def start_unseen(case: Case, amount: Quantity) -> Outcome:
    """No lower limit on the strength of steady use: the change itself restarts the container."""
    seen = case.facts.evidence.starts or case.facts.past.started is not None
    if case.now is None or amount >= case.now or seen:
        return amount, ""
    return case.now, (
        "no start was seen, and a start may need more than steady use; once the new request has "
        "restarted it, the limit can follow"
    )


def alone(case: Case, amount: Quantity) -> Outcome:
    """A limit reserves nothing, so lowering it by itself buys nothing for its restart and risk."""
    others = case.settled.with_amount("memory_limit", case.now)
    if case.now is None or amount >= case.now or others != case.facts.current:
        return amount, ""
    return case.now, "lowering a limit alone frees nothing"


LEARNED = (
    PolicyStep("cache", without_cache),
    PolicyStep("headroom", headroom),
    PolicyStep("no further", no_further),
    AHEAD_OF_GROWTH,
    ROUND,
    *HARD,
    PolicyStep("held", held),
    PolicyStep("start", start_unseen),
    *RESTRAINTS,
    PolicyStep("alone", alone),
    *HARD,
)


def _kept(case: Case) -> Outcome:
    reason = case.facts.unknown.get("memory", "the policy keeps memory limits")
    return case.now, reason if case.now is not None else ""


def _one_way(case: Case) -> Outcome:
    if case.now is None:
        return None, ""
    return case.now, f"the policy is to {case.policy.direction} only, and removing is neither"


def _remove(case: Case) -> Outcome:
    return None, "the policy sets no memory limits" if case.now is not None else ""


def _not_added(_case: Case) -> Outcome:
    return None, (
        "none is declared, and a new limit can only kill: set add_missing_limits to get one"
    )


def _as_request(case: Case) -> Outcome:
    return case.request, "the policy sets limit = request"


def _demand(case: Case) -> Outcome:
    risk = case.facts.risk["memory_limit"]
    return case.demand, f"with a chance of {risk:.2%} it takes more until the next review"


_REMOVE = Plan(Source("remove", _remove))
