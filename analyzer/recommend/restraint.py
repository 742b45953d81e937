"""What makes a change worth its churn, and what it waits for."""

from __future__ import annotations

import math
from datetime import timedelta

from analyzer.policy import round_up, worth_changing
from analyzer.quantity import Cpu, Memory, Quantity
from analyzer.recommend.case import Case
from analyzer.recommend.past import CONFIRMED, LASTING, REFUSED, STILL_RIGHT
from analyzer.recommend.step import Outcome, PolicyStep, text

AHEAD = timedelta(weeks=3)
"""So much longer a raise lasts where usage grows, or every review would raise it again."""
MOST_AHEAD = 0.2
"""Growth is no promise: at most so much is added for what may come after the next review."""


def round_to_people(case: Case, amount: Quantity) -> Outcome:
    """Up to an amount that a person would write, or to the one that somebody wrote below it."""
    rounded = case.rounded(amount)
    return (rounded, "up to an amount a person would write") if rounded != amount else (amount, "")


def ahead(case: Case, amount: Quantity) -> Outcome:
    """A raise that growth calls for lasts longer than until the next review.

    What would have to follow within that time comes along where something else is changed anyway,
    for the restart is the same. A proposal that lies open already and still covers the next review
    stays as it is.
    """
    now, growth = case.now, case.facts.growth_of(case.resource)
    if now is None or growth <= 0:
        return amount, ""
    share = min(math.expm1(growth * (AHEAD / timedelta(days=1))), MOST_AHEAD)
    most = amount.scale(1 + share)
    if not _is_due(case, now, amount, most):
        return amount, ""
    open_ = None if case.facts.past.open is None else case.facts.past.open.amount(case.target)
    if open_ is not None and amount <= open_ <= most:
        return open_, "as already proposed: it covers the growth until the next review"
    weeks = math.log1p(share) / (7 * growth)
    return most, (
        f"usage grows {math.expm1(7 * growth):.1%} a week: {share:.0%} more lasts for "
        f"{weeks:.1f} weeks longer, so that not every review has to raise it"
    )


def _is_due(case: Case, now: Quantity, amount: Quantity, most: Quantity) -> bool:
    """Whether growth calls for a raise now, or soon where something is changed anyway."""
    if case.restarts_anyway:
        return most > now and worth_changing(now, most, case.policy)
    return amount > now and (
        case.target == "memory_limit" or worth_changing(now, round_up(amount), case.policy)
    )


def covered(case: Case, amount: Quantity) -> Outcome:
    """A request that covers what was seen is not raised: that would answer nothing.

    Usage that climbs, or that a limit cut off, is not covered by what was seen.
    """
    now, seen = case.now, case.facts.evidence
    climbs = case.facts.findings.get(case.resource) == "leak"
    climbs |= case.facts.growth_of(case.resource) > 0
    if now is None or amount <= now or climbs or case.facts.cut_off(case.resource):
        return amount, ""
    if case.resource == "cpu":
        level = None if seen.cpu.p99 is None else Cpu.from_cores(seen.cpu.p99)
        return (now, "it covers the p99 seen") if level and level <= now else (amount, "")
    peak = None if seen.memory.max is None else Memory.from_bytes(seen.memory.max)
    return (now, "it covers the highest peak seen") if peak and peak <= now else (amount, "")


def declare(case: Case, amount: Quantity) -> Outcome:
    """What is declared nowhere is declared, unless the policy only lowers."""
    if case.now is not None:
        return amount, ""
    if case.facts.spec.pod_resources.amount(case.target) is not None:
        return None, "its pod declares one for all containers together"
    if case.policy.direction == "lower":
        return None, "the policy only lowers, and none is declared"
    return amount, "nothing is declared now"


def one_way(case: Case, amount: Quantity) -> Outcome:
    """Some policies only raise, some only lower."""
    now, direction = case.now, case.policy.direction
    if now is not None and amount < now and direction == "raise":
        return now, "the policy only raises"
    if now is not None and amount > now and direction == "lower":
        return now, "the policy only lowers"
    return amount, ""


def history(case: Case, amount: Quantity) -> Outcome:
    """Nothing is lowered on the word of a few days, or of a few runs."""
    now, seen, least = case.now, case.facts.evidence, case.policy.min_days_to_lower
    known = seen.days if seen.runs is None else seen.runs
    if now is None or amount >= now or known >= least:
        return amount, ""
    were = "was" if seen.runs == 1 else "were"
    return now, f"only {seen.length} {were} observed; nothing is lowered before {least:g}"


def throttled(case: Case, amount: Quantity) -> Outcome:
    """What a throttled container used says little about what it wanted."""
    now = case.now
    if now is None or amount >= now or case.resource != "cpu" or not case.facts.cut_off("cpu"):
        return amount, ""
    return now, "it was throttled at its limit, so its need is above anything seen"


def gradual(case: Case, amount: Quantity) -> Outcome:
    """At most so much less in one run."""
    now, share = case.now, case.policy.max_decrease
    if now is None or amount >= now.scale(1 - share):
        return amount, ""
    return min(round_up(now.scale(1 - share)), now), f"falls by at most {share:.0%} a run"


def small(case: Case, amount: Quantity) -> Outcome:
    """A small change is not worth a restart.

    Memory limits are raised by however little: below the step up lies a kill. So are requests of
    what grows, where it restarts anyway: the next review would ask for the rest.
    """
    now = case.now
    if now is None or amount == now or worth_changing(now, amount, case.policy):
        return amount, ""
    if amount > now and (case.target == "memory_limit" or case.grows_along):
        return amount, ""
    return now, f"a change from {text(now)} is too small to be worth a restart"


ROUND = PolicyStep("round", round_to_people)
AHEAD_OF_GROWTH = PolicyStep("ahead", ahead)
COVERED = PolicyStep("covered", covered)
RESTRAINTS = (
    PolicyStep("declare", declare),
    PolicyStep("direction", one_way),
    PolicyStep("few days", history),
    PolicyStep("throttled", throttled),
    LASTING,
    CONFIRMED,
    PolicyStep("gradual", gradual),
    STILL_RIGHT,
    PolicyStep("small", small),
    REFUSED,
)
