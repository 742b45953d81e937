"""Steps: named, pure functions on one amount, and the trail they leave."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from analyzer.models.demand import Step
from analyzer.quantity import Quantity
from analyzer.recommend.case import Case

Outcome = tuple[Quantity | None, str]
"""The amount after a step, None for none at all, and the reason; empty where nothing is said."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where an amount comes from."""

    name: str
    apply: Callable[[Case], Outcome]


@dataclass(frozen=True, slots=True)
class PolicyStep:
    """One step: a pure function from a case and an amount to an amount and a reason."""

    name: str
    apply: Callable[[Case, Quantity], Outcome]


@dataclass(frozen=True, slots=True)
class Plan:
    """The way of one amount: where it comes from, and the steps it goes through, in order."""

    source: Source
    steps: tuple[PolicyStep, ...] = ()


def follow(
    plan: Plan, case: Case, learned: tuple[Step, ...] = ()
) -> tuple[Quantity | None, list[Step]]:
    """The amount that `plan` leads to, and its trail behind what was `learned` before it."""
    amount, reason = plan.source.apply(case)
    trail = list(learned)
    if reason:
        before = next((step.after for step in reversed(trail) if step.after), "")
        if plan.source.name in _FROM_NOW:
            before = before or text(case.now)
        trail.append(Step(plan.source.name, before, text(amount), reason))
    return walk(plan.steps, case, amount, trail)


_FROM_NOW = (
    "keep", "unknown", "hands off", "rejected", "remove", "limit range", "quota", "at least",
)  # fmt: skip
"""Sources that begin at what holds now, whatever the model has learned."""


def walk(
    steps: tuple[PolicyStep, ...], case: Case, amount: Quantity | None, trail: list[Step]
) -> tuple[Quantity | None, list[Step]]:
    """`amount` after all `steps`, with each one that has something to say in the trail.

    A step that leaves nothing at all, as by a node or a range of nought, rests on what cannot be.
    """
    for step in steps:
        if amount is None:
            break
        after, reason = step.apply(case, amount)
        if reason and (after is None or after.units > 0):
            trail.append(Step(step.name, text(amount), text(after), reason))
            amount = after
    return amount, trail


def text(amount: Quantity | None) -> str:
    """An amount as a trail shows it, empty for none."""
    return "" if amount is None else amount.human()
