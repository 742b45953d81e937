"""What no other step may cross: the policy's floor and ceiling, settings, limits, nodes.

`HARD` runs before the restraints, so that these judge the amount that would be written, and once
more at the very end. Where bounds contradict each other the later one wins: a ceiling yields to a
heap that has to fit, and everything yields to the node. A floor bounds what is proposed: where the
nodes have no room for a raise to it, what holds stays, and the step says both.
"""

from __future__ import annotations

from analyzer.cutoff import Kills
from analyzer.policy import Policy, round_up
from analyzer.quantity import Memory, Quantity
from analyzer.recommend.admission import LIMIT_RANGE, QUOTA, within_range
from analyzer.recommend.case import Case, Facts
from analyzer.recommend.step import Outcome, PolicyStep, Source, text

AT_LEAST = "at least"
MOST_AFTER_SURPRISE = 2.0
"""Where usage jumped to its limit and was killed, the need is unknown: at most so much more."""

NOTABLE_PRESSURE = 0.05
"""Share of the time under memory pressure from which on a limit is too tight without a kill."""


def floor(case: Case, amount: Quantity) -> Outcome:
    """No request below the policy's floor; limits follow the request."""
    if case.part == "limit" or amount >= case.floor:
        return amount, ""
    return case.floor, "never less than the floor"


def ceiling(case: Case, amount: Quantity) -> Outcome:
    """No request above the policy's ceiling, and no limit but where it would kill."""
    most = case.ceiling
    if most is None or amount <= most:
        return amount, ""
    if case.part == "request":
        return most, "the policy's ceiling"
    least = [most]
    if case.request is not None:
        least.append(case.request)
    if case.resource == "memory":
        least.append(round_up(room_above_peak(case.facts)))
    if amount <= max(least):
        return amount, ""
    return max(least), "the policy's ceiling, but never below the highest peak: that would kill"


def at_least(code: str) -> PolicyStep:
    """The step that leaves an amount no less than the bounds of one kind ask for."""

    def apply(case: Case, amount: Quantity) -> Outcome:
        bounds = [b for b in case.facts.bounds if (b.target, b.code) == (case.target, code)]
        needed = max(bounds, key=lambda bound: bound.least.units, default=None)
        if needed is None or amount >= needed.least:
            return amount, ""
        return case.rounded(needed.least), needed.reason

    return PolicyStep(code, apply)


def followed(case: Case) -> Source | None:
    """Where a limit comes from that the program takes for a setting of its own; None without."""
    reasons = [b.reason for b in case.facts.bounds if b.target == case.target and b.follows]
    if case.now is None or not reasons:
        return None
    return Source(AT_LEAST, lambda of: (of.now, reasons[0]))


def killed(case: Case, amount: Quantity) -> Outcome:
    """Nothing is lowered below what a kill says.

    A limit that killed repeatedly was used, and more was wanted. A kill far below the limit has a
    cause that the samples do not show, and a lower request would choose the same victim again.
    """
    kills, now = case.facts.kills, case.now
    if case.resource != "memory" or now is None or amount >= now:
        return amount, ""
    before = case.facts.past.killed_elsewhere
    if kills.elsewhere or before is not None:
        when = "" if kills.elsewhere or before is None else f" (review of {before:%Y-%m-%d})"
        return now, (
            f"it was killed while usage was far below its limit{when}, so memory is not lowered"
        )
    if kills.repeated is None or case.part == "limit":
        return amount, ""
    least = min(now, Memory.from_bytes(kills.repeated))
    if amount >= least:
        return amount, ""
    return least, f"it was killed repeatedly at {Memory.from_bytes(kills.repeated).human()}"


def kept_limit(case: Case, amount: Quantity) -> Outcome:
    """No request above a limit that the policy keeps."""
    limit = kept(case)
    if case.part == "limit" or limit is None or amount <= limit:
        return amount, ""
    return limit, "the policy keeps the limit, and no request may lie above it"


def above_request(case: Case, amount: Quantity) -> Outcome:
    """No limit below the request: Kubernetes refuses it."""
    if case.part == "request" or case.request is None or amount >= case.request:
        return amount, ""
    return case.request, "never below the request"


def within(code: str) -> PolicyStep:
    """The step that leaves an amount no more than the rooms of one kind have for it."""

    def apply(case: Case, amount: Quantity) -> Outcome:
        rooms = [r for r in case.facts.rooms if (r.target, r.code) == (case.target, code)]
        room = min(rooms, key=lambda room: room.most.units if room.most else 0, default=None)
        if room is None or amount == case.now or (room.most and amount <= room.most):
            return amount, ""
        below = case.part == "request" and (room.most is None or room.most < case.floor)
        missed = f", so that the floor of {case.floor.human()} is not reached" if below else ""
        return room.most, f"{room.reason}{missed}"

    return PolicyStep(code, apply)


def node(case: Case, amount: Quantity) -> Outcome:
    """Nothing is set to more than the largest node has; what is declared already may stay.

    Where more was used than any known node has, it runs on one that is not known, as where nodes
    are read in part: what is declared fits there, and so does whatever is less.
    """
    most = case.node
    if most is None or amount <= most or amount == case.now:
        return amount, ""
    if case.now is not None and _used_beyond(case, most):
        most = max(most, case.now)
    if case.part == "limit" and case.request is not None:
        most = max(most, case.request)  # one that is declared already, on a node that is gone
    return (most, "the largest node has no more to give") if amount > most else (amount, "")


def _used_beyond(case: Case, most: Quantity) -> bool:
    seen = case.facts.evidence
    peak = (seen.cpu if case.resource == "cpu" else seen.memory).max or 0.0
    return peak * (1000 if case.resource == "cpu" else 1) > most.units


HARD = (
    PolicyStep("floor", floor),
    PolicyStep("killed", killed),
    PolicyStep("ceiling", ceiling),
    at_least(AT_LEAST),
    at_least("scale point"),
    at_least("probe"),
    at_least("deadline"),
    PolicyStep("request", above_request),
    PolicyStep("limit", kept_limit),
    PolicyStep(LIMIT_RANGE, within_range),
    within(QUOTA),
    within("pod"),
    within("nodes"),
    within("spare"),
    PolicyStep("node", node),
)


def kept(case: Case) -> Quantity | None:
    """The limit of the same resource where the policy keeps it, or nobody can judge it."""
    current = case.facts.current
    if case.resource == "cpu":
        return current.cpu_limit if case.policy.cpu_limit == "keep" else None
    return current.memory_limit if case.policy.memory_limit == "keep" else None


def room_above_peak(facts: Facts) -> Memory:
    """The highest peak seen with headroom, or what kills say of the need where that is more.

    The headroom is shared out among the limits that were hit one after the other: a workload that
    fills whatever it gets gains less each time instead of doubling for ever.
    """
    kills, peak = facts.kills, (facts.evidence.memory.max or 0.0) * firm_share(facts)
    headroom = (facts.policy.memory_limit_headroom - 1) / max(1, len(kills.limits))
    room = Memory.from_bytes(max(peak, *kills.limits, 0.0)).scale(1 + headroom)
    if not kills.limits:
        return room
    return max(room, Memory.from_bytes(max(kills.limits)).scale(1 + kills.beyond))


def firm_share(facts: Facts) -> float:
    """The share of the highest peak that counts: all of it but the page cache beyond the policy's.

    1 where the source does not tell, and where it was killed: the kernel did not take enough back.
    """
    seen = facts.evidence
    if facts.kills.at_limit:
        return 1.0
    return share_without_cache(seen.resident_peak, seen.memory.max, facts.policy)


def share_without_cache(resident: float | None, peak: float | None, policy: Policy) -> float:
    """The share of `peak` that counts where `resident` of it (bytes too) cannot be taken back."""
    if resident is None or not peak:
        return 1.0
    cache = max(0.0, 1 - resident / peak)
    return 1 - cache * (1 - policy.cache_share)


def without_cache(case: Case, amount: Quantity) -> Outcome:
    """Memory without the page cache that the kernel can take back."""
    share = firm_share(case.facts)
    follows_request = case.part == "limit" and amount == case.request
    if case.resource != "memory" or share == 1 or follows_request:
        return amount, ""
    return amount.scale(share), (
        f"{1 - case.policy.cache_share:.0%} of its page cache is left out: it can be taken back"
    )


def most_at_risk(facts: Facts) -> Memory | None:
    """How far memory rises in one review; None where no limit was there to be hit.

    After kills as far as the model expects where usage jumped to the limit, at most to twice of
    it; by the headroom alone where usage climbed to it for hours, and would climb to the next one.
    Where usage grows, to what is expected of it with the headroom: the jumps that a model fears on
    top of it would be filled as well. Where nothing was hit, no further than a kill would call for.
    """
    kills: Kills = facts.kills
    room = room_above_peak(facts)
    if not kills.limits:
        if facts.growth_of("memory") <= 0:
            limit = facts.current.memory_limit
            if limit is None or facts.evidence.memory_pressure >= NOTABLE_PRESSURE:
                return None
            return max(room, limit.scale(MOST_AFTER_SURPRISE))
        expected = Memory.from_bytes(facts.demand["memory_request"])
        return max(room, expected.scale(facts.policy.memory_limit_headroom))
    if 2 * kills.slow > kills.at_limit or facts.leaks:
        return room
    return max(room, Memory.from_bytes(max(kills.limits)).scale(MOST_AFTER_SURPRISE))


def no_further(case: Case, amount: Quantity) -> Outcome:
    """A raise by what kills and growth say of the need, and not by what the model fears."""
    most = most_at_risk(case.facts) if case.resource == "memory" else None
    if most is None or amount <= most or text(amount) == text(most):
        return amount, ""
    if case.facts.kills.limits or case.facts.growth_of("memory") > 0:
        return most, "no further than kills and growth say: the next review sees more"
    return most, f"nothing was hit, so no further than {MOST_AFTER_SURPRISE:g} x its limit"
