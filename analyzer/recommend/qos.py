"""Requests that equal their limits, where the policy or the pod's QoS class wants it."""

from __future__ import annotations

from analyzer.quantity import Quantity, Resources
from analyzer.recommend.bounds import HARD
from analyzer.recommend.case import Case
from analyzer.recommend.step import Outcome, Plan, PolicyStep, Source

_REASON = "request = limit, as the policy wants it"


def guaranteed(resources: Resources) -> bool:
    """Whether the container lets its pod be Guaranteed: both limits set, requests equal to them."""
    full = resources.effective()
    limits = (full.cpu_limit, full.memory_limit)
    return None not in limits and limits == (full.cpu_request, full.memory_request)


def equal_is_wanted(case: Case) -> bool:
    """Whether request and limit of the resource are equal now, and are to stay so."""
    current = case.facts.current
    if case.resource == "cpu":
        pair: tuple[Quantity | None, Quantity | None] = (current.cpu_request, current.cpu_limit)
    else:
        pair = (current.memory_request, current.memory_limit)
    return case.policy.keep_qos and pair[0] is not None and pair[0] == pair[1]


def steps_to_equal(case: Case) -> tuple[PolicyStep, ...]:
    """What brings a request to its limit where both are to be equal; nothing where not."""
    both = case.resource == "memory" and case.policy.memory_limit == "request"
    if case.limit is None or not (both or equal_is_wanted(case)):
        return ()
    return (PolicyStep("qos", _equal_request), *HARD)


def _equal_request(case: Case, amount: Quantity) -> Outcome:
    return (amount, "") if amount == case.limit else (case.limit, _REASON)


def _as_request(case: Case) -> Outcome:
    return case.request, _REASON if case.request is not None else ""


EQUAL_LIMIT = Plan(Source("qos", _as_request), HARD)
