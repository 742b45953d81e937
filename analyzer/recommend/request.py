"""The way of a request."""

from __future__ import annotations

from analyzer.quantity import Quantity
from analyzer.recommend.bounds import HARD
from analyzer.recommend.case import Case
from analyzer.recommend.memory_limit import why_limit_stays
from analyzer.recommend.restraint import COVERED, RESTRAINTS, ROUND
from analyzer.recommend.step import Outcome, Plan, PolicyStep, Source

_NAMES = {"cpu": "CPU", "memory": "memory"}
_RISKS = {"cpu": "of the time", "memory": "chance of a higher peak until the next review"}


def plan_request(case: Case) -> Plan:
    """How the request of `case` comes about."""
    if case.resource in case.facts.unknown:
        return Plan(Source("keep", _unknown))
    if _scale_point(case):
        return Plan(Source("hands off", _hands_off))
    return REQUEST


def demanded(case: Case) -> Outcome:
    """What the model says at the risk that is allowed."""
    risk = case.facts.risk[case.target]
    return case.demand, f"at a risk of {risk:.2%} ({_RISKS[case.resource]})"


def within_held_limit(case: Case, amount: Quantity) -> Outcome:
    """No more than a memory limit that stays: what fills its limit does not need more for that."""
    limit = case.facts.current.memory_limit
    if case.resource != "memory" or limit is None or amount <= limit:
        return amount, ""
    why = why_limit_stays(case.facts)
    return (limit, f"no more than its limit: {why}") if why else (amount, "")


REQUEST = Plan(
    Source("demand", demanded),
    (PolicyStep("held", within_held_limit), ROUND, *HARD, COVERED, *RESTRAINTS, *HARD),
)


def _unknown(case: Case) -> Outcome:
    return case.now, case.facts.unknown[case.resource]


def _scale_point(case: Case) -> str:
    hpa = case.facts.spec.hpa
    if case.policy.hpa != "hands-off" or hpa is None or case.resource not in hpa.targets:
        return ""
    return (
        f"the HPA {hpa.name} scales on {_NAMES[case.resource]} at "
        f"{hpa.targets[case.resource]:g} % of the request, so a new request would move its "
        "scale point"
    )


def _hands_off(case: Case) -> Outcome:
    return case.now, _scale_point(case)
