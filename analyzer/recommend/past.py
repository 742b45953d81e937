"""What earlier reviews said, and the steps that keep to it: decisions that settle.

Raises come at once. What is lowered has been lower for a while; what was proposed and is still
right is proposed again word for word; what was rejected is not said twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

import numpy as np

from analyzer.cutoff import NO_KILLS, find_kills
from analyzer.errors import ConfigError
from analyzer.evidence.observe import memory_peaks
from analyzer.history import Histories
from analyzer.models.demand import Array, Demand, Resource
from analyzer.policy import Policies, Policy, round_up, worth_changing
from analyzer.quantity import Cpu, Memory, Quantity, Resources, TargetName
from analyzer.recommend.bounds import firm_share, share_without_cache
from analyzer.recommend.case import Case, Past
from analyzer.recommend.step import Outcome, PolicyStep, text
from analyzer.workload import ContainerRef

DEMANDED: tuple[TargetName, ...] = ("cpu_request", "memory_request", "memory_limit")
"""The amounts that follow from demand."""
SMALL_CUT, SMALL_RAISE = 0.25, 0.25
"""Smaller changes save little, and are sooner turned around by chance."""
RISKIER, SAFER = 2.0, 0.25
"""An open amount is right as long as its risk is between a quarter and twice of what is allowed,"""
OFF, LITTLE = 0.25, 0.1
"""or as long as it is less than a quarter too much, or a tenth too little."""
MOVED = 0.2
"""A rejected change is proposed again once its amount differs by more than this share."""


def wanted_amounts(
    histories: Histories, demand: Demand, policies: Policies, seen: Histories | None = None
) -> dict[ContainerRef, Resources]:
    """What `demand` alone speaks for, within the policy's floors and ceilings and rounded.

    Nothing holds it back here, and page cache beyond the policy's share is no demand; `seen` is
    where the samples are that tell of it, if not in `histories`. Containers without a usable policy
    are left out; a resource that the model cannot judge has no amount.
    """
    chosen = _usable(histories, policies)
    found = {index: Resources() for index in chosen}
    cache = _without_cache(seen or histories, chosen)
    for target in DEMANDED:
        resource: Resource = "cpu" if target == "cpu_request" else "memory"
        risks = np.full(len(histories), 0.5)
        for index, policy in chosen.items():
            risks[index] = getattr(policy, f"{target}_risk")
        levels = demand.at(resource, risks)
        if resource == "memory":
            most = cache.most if target == "memory_request" else np.inf
            levels = np.minimum(levels, most) * cache.shares
        for index in np.flatnonzero(~np.isnan(levels)).tolist():
            if index in chosen:
                amount = _amount(chosen[index], resource, float(levels[index]))
                found[index] = found[index].with_amount(target, amount)
    return {histories.containers[index]: amounts for index, amounts in found.items()}


def _usable(histories: Histories, policies: Policies) -> dict[int, Policy]:
    """The policy of every container that has a usable one."""
    chosen: dict[int, Policy] = {}
    for index, ref in enumerate(histories.containers):
        try:
            chosen[index] = policies.of(ref, histories.spec(index).annotations)
        except ConfigError:
            continue  # `recommend` skips it, with the reason
    return chosen


@dataclass(frozen=True)
class _Cache:
    """Per container the share of its memory that counts, as `firm_share` has it, and the most that
    it can fill, in bytes: its limit, infinite where it holds no page cache.
    """

    shares: Array
    most: Array


def _without_cache(histories: Histories, policies: Mapping[int, Policy]) -> _Cache:
    killed, peaks = find_kills(histories), memory_peaks(histories)
    shares, most = np.ones(len(histories)), np.full(len(histories), np.inf)
    for index, policy in policies.items():
        if killed.get(index, NO_KILLS).at_limit:
            continue
        resident, peak = peaks[index]
        shares[index] = share_without_cache(resident, peak, policy)
        limit = histories.spec(index).resources.memory_limit
        if shares[index] < 1 and limit is not None:
            most[index] = limit.bytes
    return _Cache(shares, most)


def most_wanted(reviews: list[dict[ContainerRef, Resources]], span: timedelta) -> dict[
    ContainerRef, Past
]:  # fmt: skip
    """The most that each container wanted at any of `reviews`, newest first, `span` back."""
    last = reviews[0] if reviews else {}
    found: dict[ContainerRef, dict[TargetName, Quantity]] = {}
    for review in reviews:
        for ref, amounts in review.items():
            most = found.setdefault(ref, {})
            for target in DEMANDED:
                amount = amounts.amount(target)
                if amount is not None and (target not in most or amount > most[target]):
                    most[target] = amount
    return {
        ref: Past(wanted=most, span=span, wanted_last=demanded_of(last.get(ref, Resources())))
        for ref, most in found.items()
    }


def most_of(one: Resources, other: Mapping[TargetName, Quantity]) -> Resources:
    """`one`, and where it has less of an amount than the `other`, that."""
    for target, amount in other.items():
        own = one.amount(target)
        if own is not None and amount > own:
            one = one.with_amount(target, amount)
    return one


def demanded_of(resources: Resources) -> dict[TargetName, Quantity]:
    """Those amounts of `resources` that follow from demand, where there are any."""
    amounts = {target: resources.amount(target) for target in DEMANDED}
    return {target: amount for target, amount in amounts.items() if amount is not None}


def _amount(policy: Policy, resource: Resource, level: float) -> Quantity:
    amount: Quantity
    ceiling: Quantity | None
    if resource == "cpu":
        amount, ceiling = max(Cpu.from_cores(level), policy.cpu_floor), policy.cpu_ceiling
    else:
        amount, ceiling = max(Memory.from_bytes(level), policy.memory_floor), policy.memory_ceiling
    return round_up(amount if ceiling is None else min(amount, ceiling))


def lasting(case: Case, amount: Quantity) -> Outcome:
    """Nothing is lowered below what a review wanted not long ago.

    A month's end, a batch or a burst comes back; what was lowered in between would be raised
    again. A small decrease has to outlast more, for it saves little. A memory limit, which
    reserves nothing, keeps room above all that is remembered.
    """
    now, past = case.now, case.facts.past
    if now is None or amount >= now:
        return amount, ""
    most = past.wanted.get(case.target)
    reason = f"not lower yet: reviews of the last {_span(past.span)} asked for as much"
    if case.target == "memory_limit" and past.peak is not None:
        room = round_up(past.peak.scale(case.policy.memory_limit_headroom))
        if most is None or room > most:
            most, reason = room, f"room above {text(past.peak)}, the highest peak remembered"
    if case.target == "memory_request" and past.start_peak is not None:
        start = round_up(past.start_peak)
        if most is None or start > most:
            most, reason = start, "a start took as much, and the change makes it start again"
    if most is None or amount > most:
        most, reason = amount, ""
    longer = past.wanted_longer.get(case.target)
    if longer is not None and longer > most >= now.scale(1 - SMALL_CUT):
        most = longer
        reason = (
            f"as much was wanted within the last {_span(past.longer_span)}, and to lower it by "
            f"less than {SMALL_CUT:.0%} saves little"
        )
    return (min(most, now), reason) if most > amount else (amount, "")


def confirmed(case: Case, amount: Quantity) -> Outcome:
    """A small raise of CPU that nothing seen calls for waits until two reviews in a row want it.

    What one week's calibration or chance adds, the next one takes away. Too little CPU slows down
    and kills nothing, so that a week's wait is the smaller harm; what was seen above the request,
    or throttled, does not wait.
    """
    now, past, p95 = case.now, case.facts.past, case.facts.evidence.cpu.p95
    if case.target != "cpu_request" or now is None or amount <= now or p95 is None:
        return amount, ""
    before = past.wanted_last.get(case.target)
    answers = Cpu.from_cores(p95) > now or case.facts.cut_off("cpu")
    if before is None or before > now or answers or amount > now.scale(1 + SMALL_RAISE):
        return amount, ""
    return now, (
        f"it covers the p95 seen, and the review before wanted {text(before)} only: so small a "
        "raise waits for a second one to ask for it"
    )


def still_right(case: Case, amount: Quantity) -> Outcome:
    """What lies open or was accepted stays until it has become wrong; so does what was left alone.

    Too little is wrong where a tenth more is wanted and the risk is more than twice what is
    allowed (a limit does not wait for that), or where something other than demand asks for a
    quarter more. Too much is wrong where no review of the last weeks wanted more than four fifths
    of it, and its risk is less than a quarter of what is allowed. What a limit cut off is always
    worth saying anew.
    """
    before, why = _said(case)
    if before is None or case.now is None or amount == before:
        return amount, ""
    if case.target == "memory_limit" and case.policy.memory_limit == "request":
        return amount, ""  # it follows a request that has stayed already
    judge = _too_little if amount > before else _too_much
    if judge(case, before, amount):
        return amount, ""
    return before, f"{why}: what changed since does not make it wrong"


def _said(case: Case) -> tuple[Quantity | None, str]:
    """What was said last and stands: open as it was proposed, or accepted.

    A limit that was accepted is no anchor: below one that is a little too low lies a kill. Nor is a
    request where the container grows and restarts anyway.
    """
    past = case.facts.past
    if past.open is not None:
        return past.open.amount(case.target), "as already proposed"
    if past.accepted and case.part == "request" and not case.grows_along:
        return case.now, "as accepted"
    return None, ""


def _too_little(case: Case, before: Quantity, amount: Quantity) -> bool:
    """Whether `before` has come to be less than is needed, now that `amount` is wanted."""
    if case.facts.cut_off(case.resource):
        return worth_changing(before, amount, case.policy)
    more = amount > before.scale(1 + LITTLE)
    if case.target == "memory_limit" or not more:
        return more
    if _counted(case, case.demand) <= before:  # something else asks for more
        return amount > before.scale(1 + OFF)
    return _counted(case, case.still_right[0]) > before


def _too_much(case: Case, before: Quantity, amount: Quantity) -> bool:
    """Whether `before` is far more than what any review of the last weeks wanted."""
    wanted = case.facts.past.wanted.get(case.target, amount)
    safe = _counted(case, case.still_right[1])
    return before > max(amount, wanted).scale(1 + OFF) and before > safe


def _counted(case: Case, level: Quantity) -> Quantity:
    """What of a `level` of demand counts: of memory no page cache beyond the policy's share."""
    share, limit = firm_share(case.facts), case.facts.current.memory_limit
    if case.resource == "cpu" or share == 1:
        return level
    return (level if limit is None else min(level, limit)).scale(share)


def refused(case: Case, amount: Quantity) -> Outcome:
    """What was rejected is not proposed again until its amount has moved away from all refusals."""
    now, past = case.now, case.facts.past
    if now is None or amount == now:
        return amount, ""
    for before in past.rejected.get(case.target, ()):
        if before is not None and _same_wish(now, before, amount):
            return now, past.refused
    return amount, ""


def _same_wish(now: Quantity, before: Quantity, amount: Quantity) -> bool:
    """Whether to go from `now` to `amount` is about what going to `before` was."""
    if now == before or (amount > now) != (before > now):
        return False
    return abs(amount.units / max(before.units, 1) - 1) <= MOVED


def removal_refused(case: Case) -> str:
    """Why an amount is not to be taken away, where somebody refused just that; else empty."""
    past = case.facts.past
    return past.refused if None in past.rejected.get(case.target, ()) else ""


def _span(length: timedelta) -> str:
    days = length / timedelta(days=1)
    return f"{days / 7:.0f} weeks" if days >= 14 else f"{days:.0f} days"


LASTING = PolicyStep("lasting", lasting)
CONFIRMED = PolicyStep("confirmed", confirmed)
STILL_RIGHT = PolicyStep("open", still_right)
REFUSED = PolicyStep("rejected", refused)
