"""The way of a request."""

from __future__ import annotations

from datetime import timedelta

from analyzer.evidence.pods import UNLIKE
from analyzer.policy import round_up
from analyzer.quantity import Cpu, Memory, Quantity
from analyzer.recommend.bounds import HARD, at_least, no_further, without_cache
from analyzer.recommend.case import Case
from analyzer.recommend.memory_limit import why_limit_stays
from analyzer.recommend.qos import NO_PART_OF_A_CORE, WHOLE_CORES
from analyzer.recommend.restraint import AHEAD_OF_GROWTH, COVERED, RESTRAINTS, ROUND
from analyzer.recommend.scale import why_scaled
from analyzer.recommend.step import Outcome, Plan, PolicyStep, Source
from analyzer.recommend.vpa import why_vpa

SETTLED_DAYS = 7.0
"""So long a lower level must have lasted before it lowers anything."""

_RISKS = {"cpu": "of the time", "memory": "chance of a higher peak until the next review"}


ABOUT = (0.75, 1.5)
"""Between these shares of its busy hour's floor a request is about as much."""


def plan_request(case: Case) -> Plan:
    """How the request of `case` comes about."""
    if case.resource in case.facts.unknown:
        return Plan(Source("unknown", _unknown))
    if _scaled(case):
        return Plan(Source("hands off", _hands_off))
    return REQUEST


def is_untouchable(case: Case) -> bool:
    """Whether the request is left as it is, whatever speaks for another."""
    return case.resource in case.facts.unknown or bool(_scaled(case))


def demanded(case: Case) -> Outcome:
    """What the model says at the risk that is allowed."""
    risk = case.facts.risk[case.target]
    return case.demand, f"at a risk of {risk:.2%} ({_RISKS[case.resource]})"


def within_held_limit(case: Case, amount: Quantity) -> Outcome:
    """No more than a memory limit that stays: what fills its limit does not need more for that."""
    limit = case.facts.current.memory_limit
    if case.resource != "memory" or limit is None or amount <= limit:
        return amount, ""
    if case.policy.memory_limit == "none":
        return amount, ""  # it is taken away, and the need shows
    why = why_limit_stays(case.facts)
    return (limit, f"no more than its limit: {why}") if why else (amount, "")


def busy_hour(case: Case, amount: Quantity) -> Outcome:
    """At least the policy's share of the hour that is busy every day or every week.

    The hour differs from week to week, and the share is a rule of thumb: a request that is about
    as much stays, or every review would move it.
    """
    hour, share = case.facts.evidence.busy_hour, case.policy.busy_hour_floor
    if case.target != "cpu_request" or hour is None:
        return amount, ""
    least, now = round_up(Cpu.from_cores(hour.cores * share)), case.now
    if amount >= least:
        return amount, ""
    reason = f"{share:.0%} of the {Cpu.from_cores(hour.cores).human()} it uses {hour.when} UTC"
    low, high = ABOUT
    if now is not None and low * least.units <= now.units <= high * least.units:
        return max(now, amount), f"about {reason}"
    return least, reason


def worst_pod(case: Case, amount: Quantity) -> Outcome:
    """No less CPU than every single pod uses half of its time.

    Where one pod is unlike the others, what is declared is not lowered for its sake, and not
    raised for all because of it: that is for the workload's owner to decide.
    """
    pods = case.facts.evidence.cpu_pods
    if case.resource != "cpu" or pods is None:
        return amount, ""
    least = Cpu.from_cores(pods.worst)
    if amount >= least:
        return amount, ""
    reason = f"{pods.high} of {pods.pods} pods use {least.human()} or nearly that all the time"
    if pods.ratio < UNLIKE:
        return least, reason
    now = case.now
    if now is None or now <= amount:
        return amount, ""
    return min(now, least), reason


def settling(case: Case, amount: Quantity) -> Outcome:
    """A level that is lower since a few days only lowers nothing yet."""
    seen, now = case.facts.evidence, case.now
    since = seen.cpu_since if case.resource == "cpu" else seen.memory_since
    before = _before(case)
    if now is None or amount >= now or since is None or before is None:
        return amount, ""
    days = (seen.last_seen - since) / timedelta(days=1)
    least = min(now, round_up(before))
    if days >= SETTLED_DAYS or amount >= least:
        return amount, ""
    return least, (
        f"usage is lower since {_days(days)} only; it is lowered when that has lasted for "
        f"{SETTLED_DAYS:g}"
    )


def _before(case: Case) -> Quantity | None:
    """What usage before its last change asks for: the p95 of CPU, the highest peak of memory."""
    seen = case.facts.evidence
    if case.resource == "cpu":
        level = seen.cpu_before.p95 if seen.cpu_before else None
        return None if level is None else Cpu.from_cores(level)
    level = seen.memory_before.max if seen.memory_before else None
    return None if level is None else Memory.from_bytes(level)


HELD = PolicyStep("held", within_held_limit)
"""Before page cache is left out, which is a share of no more than the limit, and behind growth."""

REQUEST = Plan(
    Source("demand", demanded),
    (
        PolicyStep("worst pod", worst_pod),
        HELD,
        PolicyStep("cache", without_cache),
        PolicyStep("no further", no_further),
        AHEAD_OF_GROWTH,
        ROUND,
        HELD,
        *HARD,
        COVERED,
        PolicyStep("settling", settling),
        PolicyStep("busy hour", busy_hour),
        at_least("node risk"),
        *RESTRAINTS,
        WHOLE_CORES,
        *HARD,
        NO_PART_OF_A_CORE,
    ),
)


def _unknown(case: Case) -> Outcome:
    return case.now, case.facts.unknown[case.resource]


def _scaled(case: Case) -> str:
    """Why an autoscaler's amount is not touched; empty where none has it."""
    return why_vpa(case) or why_scaled(case)


def _hands_off(case: Case) -> Outcome:
    return case.now, _scaled(case)


def _days(count: float) -> str:
    return "1 day" if round(count) == 1 else f"{count:.0f} days"
