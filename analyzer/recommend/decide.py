"""Demand to requests and limits: every container through the same steps, in the same order."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from analyzer.forked import shared_out
from analyzer.history import Histories, Skipped
from analyzer.models.demand import RESOURCES, Demand, Resource, Step
from analyzer.policy import Policies
from analyzer.quantity import TARGETS, Cpu, Resources, TargetName
from analyzer.recommend.admission import (
    LIMIT_RANGE,
    WITHIN_RATIO,
    refusal,
)
from analyzer.recommend.case import Bound, Case, Facts, Past
from analyzer.recommend.cpu_limit import plan_cpu_limit
from analyzer.recommend.disruption import blocked
from analyzer.recommend.gather import Array, gather, resource_of, with_past
from analyzer.recommend.in_place import restarting, restarts_told
from analyzer.recommend.in_time import slowed
from analyzer.recommend.memory_limit import plan_memory_limit
from analyzer.recommend.narrow import Narrow, at_node_risk, in_pods, in_quotas, on_nodes, on_scale
from analyzer.recommend.notes import notes
from analyzer.recommend.qos import changed_classes, steps_to_equal
from analyzer.recommend.recommendation import Companion, Recommendation
from analyzer.recommend.request import is_untouchable, plan_request
from analyzer.recommend.runtime import together
from analyzer.recommend.scale import scale_points
from analyzer.recommend.split import splits
from analyzer.recommend.step import Plan, follow, text, walk
from analyzer.workload import ContainerRef

_PLANS: tuple[tuple[TargetName, Callable[[Case], Plan]], ...] = (
    ("cpu_request", plan_request),
    ("cpu_limit", plan_cpu_limit),
    ("memory_request", plan_request),
    ("memory_limit", plan_memory_limit),
)
_REQUESTS: tuple[TargetName, ...] = ("cpu_request", "memory_request")


def recommend(
    histories: Histories,
    demand: Demand,
    policies: Policies,
    request_risks: Mapping[Resource, Array] | None = None,
    bounds: Mapping[ContainerRef, tuple[Bound, ...]] | None = None,
    pasts: Mapping[ContainerRef, Past] | None = None,
) -> tuple[list[Recommendation], list[Skipped]]:
    """Recommend requests and limits for every container of `histories`.

    `request_risks` gives each container its own risk (the spent risk budget); without it the
    policies' risks hold for all alike. `bounds` are least amounts that something else knows, such
    as a heap size in Git; `pasts` what earlier reviews said. Containers in = recommended + skipped.
    """
    facts, skipped = gather(histories, demand, policies, request_risks)
    proposals = _Proposals(
        histories, demand, with_past(facts, histories, bounds or {}, pasts or {})
    )
    proposals.narrow(on_scale, at_node_risk, in_pods, in_quotas, on_nodes)
    while proposals.narrow(on_scale):  # each round settles a workload for good
        proposals.narrow(in_quotas, on_nodes)
    proposals.tell()
    return list(proposals.found.values()), [*histories.skipped, *skipped]


class _Proposals:
    """What is proposed for each container so far, and the facts that it rests on."""

    def __init__(self, histories: Histories, demand: Demand, facts: dict[int, Facts]) -> None:
        self._histories = histories
        self._demand = demand
        self._facts = facts
        self.found = _recommend_each(histories, demand, facts)

    def narrow(self, *narrows: Narrow) -> int:
        """Decide anew what each of `narrows` has more to say of, one after the other; how many."""
        count = 0
        for narrow in narrows:
            for index, one in narrow(self._histories, self.found, self._facts).items():
                self._facts[index] = one
                self.found[index] = _recommend_one(self._histories, self._demand, index, one)
                count += 1
        return count

    def tell(self) -> None:
        """Add what changes in Git along with the amounts, and what is to be told of them."""
        histories, found = self._histories, self.found
        for index, more in scale_points(histories, found, self._facts).companions.items():
            found[index] = _with_companions(found[index], more)
        for told in (
            splits(histories, self._facts),
            blocked(histories, found),
            changed_classes(histories, found),
            slowed(histories, found),
            restarts_told(found),
        ):
            for index, note in told.items():
                found[index] = replace(found[index], notes=(*found[index].notes, note))


def _with_companions(found: Recommendation, companions: tuple[Companion, ...]) -> Recommendation:
    """A recommendation with what changes in Git along with it, which is told first."""
    told = (*(one.reason for one in companions), *found.notes)
    return replace(found, companions=(*found.companions, *companions), notes=told)


def _recommend_each(
    histories: Histories, demand: Demand, facts: Mapping[int, Facts]
) -> dict[int, Recommendation]:
    """A recommendation for each of the containers, each by itself, in several processes."""
    indices = list(facts)

    def answer(rows: slice) -> list[Recommendation]:
        return [_recommend_one(histories, demand, i, facts[i]) for i in indices[rows]]

    alike = np.ones(len(indices), dtype=np.int64)
    found = shared_out(answer, alike, histories.processes)
    return dict(zip(indices, found, strict=True))


def _recommend_one(
    histories: Histories, demand: Demand, index: int, facts: Facts
) -> Recommendation:
    learned = {r: demand.trails[r][index] for r in RESOURCES}
    ref = histories.containers[index]
    facts, companions = together(facts, str(ref), lambda one: decide_amounts(one, learned)[0])
    proposed, trail = decide_amounts(facts, learned)
    confidence = demand.confidence[index] if demand.confidence is not None else 1.0
    spec = facts.spec
    found = Recommendation(
        ref=ref,
        container_type=spec.container_type,
        replicas=1 if spec.replicas is None else spec.replicas,
        current=facts.current,
        proposed=proposed,
        trail=trail,
        stated_risk=_stated_risk(proposed, demand, index, facts),
        findings={r: facts.findings[r] for r in RESOURCES if r in facts.findings},
        confidence=min(float(confidence), _most_confidence(facts)),
        evidence=facts.evidence,
        notes=(*notes(facts, proposed), *histories.told_of(index)),
        labels=spec.labels,
        image=spec.image,
        restarts=restarting(histories, ref),
        predicted={
            resource: level
            for resource, level in facts.predicted.items()
            if not np.isnan(level) and not facts.cut_off(resource)
        },
    )
    return _with_companions(found, companions)


def decide_amounts(
    facts: Facts, learned: Mapping[Resource, tuple[Step, ...]]
) -> tuple[Resources, dict[str, tuple[Step, ...]]]:
    """All four amounts of a container with their trails, requests behind what was `learned`.

    Where usage grows and one amount changes, the others are asked once more: what would have to
    follow soon comes along.
    """
    found = _decide_amounts(facts, learned, frozenset())
    changed = frozenset(t for t in TARGETS if found[0].amount(t) != facts.current.amount(t))
    if changed and any(facts.growth_of(resource) > 0 for resource in RESOURCES):
        return _decide_amounts(facts, learned, changed)
    return found


def _decide_amounts(
    facts: Facts, learned: Mapping[Resource, tuple[Step, ...]], changed: frozenset[TargetName]
) -> tuple[Resources, dict[str, tuple[Step, ...]]]:
    """The amounts, where those that are `changed` are known to change."""
    settled, trail = facts.current, dict[str, tuple[Step, ...]]()
    for target, plan in _PLANS:
        case = Case(facts, target, settled, along=bool(changed - {target}))
        before = learned[case.resource] if case.part == "request" else ()
        amount, steps = follow(plan(case), case, before)
        settled, trail[target] = settled.with_amount(target, amount), tuple(steps)
    for target in _REQUESTS:
        case = Case(facts, target, settled)
        last = () if is_untouchable(case) else (*steps_to_equal(case), WITHIN_RATIO)
        amount, steps = walk(last, case, settled.amount(target), list(trail[target]))
        settled, trail[target] = settled.with_amount(target, amount), tuple(steps)
    return _admitted(facts, settled, trail)


def _admitted(
    facts: Facts, settled: Resources, trail: dict[str, tuple[Step, ...]]
) -> tuple[Resources, dict[str, tuple[Step, ...]]]:
    """All as it is now where the namespace would refuse the pod: a rollout would stand still."""
    refused = refusal(facts, settled) if settled != facts.current else ""
    if not refused:
        return settled, trail
    for target in TARGETS:
        now, amount = facts.current.amount(target), settled.amount(target)
        if now != amount:
            why = f"a new pod would be refused: {refused}"
            trail[target] = (*trail[target], Step(LIMIT_RANGE, text(amount), text(now), why))
    return facts.current, trail


def _stated_risk(proposed: Resources, demand: Demand, index: int, facts: Facts) -> dict[str, float]:
    """The risk of what is proposed in the end, after rounding, floors and what was kept.

    None is stated where usage was cut off by a limit: what was seen is then less than the need.
    """
    stated: dict[str, float] = {}
    for target in TARGETS:
        amount = proposed.amount(target)
        if amount is not None and not facts.cut_off(resource_of(target)):
            level = amount.cores if isinstance(amount, Cpu) else float(amount.bytes)
            risk = demand.risk_of(resource_of(target), index, level)
            if risk is not None:
                stated[target] = risk
    return stated


def _most_confidence(facts: Facts) -> float:
    """Never more than half where usage is but a lower bound of the need."""
    return 0.5 if any(facts.cut_off(resource) for resource in RESOURCES) else 1.0
