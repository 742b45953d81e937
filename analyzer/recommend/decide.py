"""Demand to requests and limits: every container through the same steps, in the same order."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from analyzer.cutoff import NO_KILLS, find_kills
from analyzer.errors import ConfigError
from analyzer.evidence import Evidence, observe
from analyzer.forked import shared_out
from analyzer.history import Histories, Skipped
from analyzer.models.demand import RESOURCES, Demand, Resource, Step
from analyzer.policy import Policies, Policy
from analyzer.quantity import TARGETS, Cpu, Memory, Resources, TargetName
from analyzer.recommend.admission import (
    LIMIT_RANGE,
    WITHIN_RATIO,
    find_admissions,
    refusal,
    without_room,
)
from analyzer.recommend.case import NO_PAST, Bound, Case, Facts, Importance, Past
from analyzer.recommend.cpu_limit import plan_cpu_limit
from analyzer.recommend.disruption import blocked
from analyzer.recommend.in_place import restarting, restarts_told
from analyzer.recommend.in_time import in_time, slowed
from analyzer.recommend.memory_limit import plan_memory_limit
from analyzer.recommend.node_risk import node_floors
from analyzer.recommend.notes import notes
from analyzer.recommend.older import older_peaks
from analyzer.recommend.on_nodes import crowded_out, on_every_node
from analyzer.recommend.past import RISKIER, SAFER
from analyzer.recommend.pods import find_floors, find_rooms
from analyzer.recommend.precedence import endless, importances
from analyzer.recommend.qos import changed_classes, steps_to_equal
from analyzer.recommend.recommendation import Companion, Recommendation
from analyzer.recommend.request import is_untouchable, plan_request
from analyzer.recommend.runtime import together
from analyzer.recommend.scale import scale_points
from analyzer.recommend.split import splits
from analyzer.recommend.step import Plan, follow, text, walk
from analyzer.workload import ContainerRef

Array = npt.NDArray[np.float64]

_PLANS: tuple[tuple[TargetName, Callable[[Case], Plan]], ...] = (
    ("cpu_request", plan_request),
    ("cpu_limit", plan_cpu_limit),
    ("memory_request", plan_request),
    ("memory_limit", plan_memory_limit),
)
_REQUESTS: tuple[TargetName, ...] = ("cpu_request", "memory_request")
_PREDICTED: Mapping[Resource, float] = {"cpu": 0.05, "memory": 0.5}
"""The risks at which demand is what usage is predicted to be."""


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
    chosen, skipped = _choose_policies(histories, demand, policies)
    evidence = observe(histories, chosen, demand.recent)
    for index in [i for i, policy in chosen.items() if evidence[i].samples < policy.min_samples]:
        few = _too_few(evidence[index], chosen.pop(index))
        skipped.append(Skipped(histories.containers[index], few, "few samples"))
    risks = _risks(chosen, len(histories), request_risks)
    facts = _gather(histories, demand, chosen, evidence, risks)
    older, timely = older_peaks(histories, facts), in_time(histories, facts)
    for index, one in facts.items():
        ref = histories.containers[index]
        own, past = (bounds or {}).get(ref, ()), (pasts or {}).get(ref, NO_PAST)
        kills = one.kills.after(past.killed_at, past.fills_since)
        bounds_of = (*own, *older.get(index, ()), *timely[index])
        facts[index] = replace(one, bounds=bounds_of, past=past, kills=kills)
    found = _recommend_each(histories, demand, facts)

    def narrowed(*narrows: _Narrow) -> int:
        count = 0
        for narrow in narrows:
            for index, one in narrow(histories, found, facts).items():
                facts[index] = one
                found[index] = _recommend_one(histories, demand, index, one)
                count += 1
        return count

    narrowed(_on_scale, _at_node_risk, _in_pods, _in_quotas, _on_nodes)
    while narrowed(_on_scale):  # each round settles a workload for good
        narrowed(_in_quotas, _on_nodes)
    for index, companions in scale_points(histories, found, facts).companions.items():
        found[index] = _with_companions(found[index], companions)
    for told in (
        splits(histories, facts),
        blocked(histories, found),
        changed_classes(histories, found),
        slowed(histories, found),
        restarts_told(found),
    ):
        for index, note in told.items():
            found[index] = replace(found[index], notes=(*found[index].notes, note))
    return list(found.values()), [*histories.skipped, *skipped]


_Narrow = Callable[[Histories, Mapping[int, Recommendation], Mapping[int, Facts]], dict[int, Facts]]
"""From what is proposed to the facts of those containers that have to be decided anew."""


def _on_scale(
    histories: Histories, found: Mapping[int, Recommendation], facts: Mapping[int, Facts]
) -> dict[int, Facts]:
    """The facts of containers whose autoscaler cannot follow what is proposed for them."""
    scaled = scale_points(histories, found, facts)
    return {
        index: replace(
            facts[index],
            held={**facts[index].held, **scaled.held.get(index, {})},
            bounds=(*facts[index].bounds, *scaled.bounds.get(index, ())),
        )
        for index in sorted({*scaled.held, *scaled.bounds})
    }


def _with_companions(found: Recommendation, companions: tuple[Companion, ...]) -> Recommendation:
    """A recommendation with what changes in Git along with it, which is told first."""
    told = (*(one.reason for one in companions), *found.notes)
    return replace(found, companions=(*found.companions, *companions), notes=told)


def _in_pods(
    histories: Histories, found: Mapping[int, Recommendation], facts: Mapping[int, Facts]
) -> dict[int, Facts]:
    """The facts of containers whose pod would ask for too much or too little."""
    ranges = histories.meta.limit_ranges
    declared = {index: one.spec.pod_resources for index, one in facts.items()}
    node, everywhere = largest_node(histories), on_every_node(histories, found)
    rooms = find_rooms(found, node, declared, ranges, everywhere)
    bounds = find_floors(found, ranges)
    return {
        index: replace(
            facts[index],
            rooms=(*facts[index].rooms, *rooms.get(index, ())),
            bounds=(*facts[index].bounds, *bounds.get(index, ())),
        )
        for index in sorted({*rooms, *bounds})
    }


def _in_quotas(
    histories: Histories, found: Mapping[int, Recommendation], facts: Mapping[int, Facts]
) -> dict[int, Facts]:
    """The facts of containers whose raise their namespace's quota has no room for."""
    held = without_room(
        found, facts, histories.meta.quotas, importances(histories), endless(histories)
    )
    return {i: replace(facts[i], rooms=(*facts[i].rooms, *rooms)) for i, rooms in held.items()}


def _on_nodes(
    histories: Histories, found: Mapping[int, Recommendation], facts: Mapping[int, Facts]
) -> dict[int, Facts]:
    """The facts of containers whose raise the nodes have no room for."""
    held = crowded_out(histories, found, facts)
    return {i: replace(facts[i], rooms=(*facts[i].rooms, *rooms)) for i, rooms in held.items()}


def _at_node_risk(
    histories: Histories, found: Mapping[int, Recommendation], facts: Mapping[int, Facts]
) -> dict[int, Facts]:
    """The facts of containers whose requests would let nodes run short more often than allowed."""
    floors = node_floors(histories, found, facts)
    return {i: replace(facts[i], bounds=(*facts[i].bounds, *more)) for i, more in floors.items()}


def due_risks(histories: Histories, policies: Policies) -> dict[Resource, Array]:
    """The risk that each container's policy allows its requests, before any is traded."""
    risks = {resource: np.empty(len(histories)) for resource in RESOURCES}
    for index, ref in enumerate(histories.containers):
        try:
            policy = policies.of(ref, histories.spec(index).annotations)
        except ConfigError:
            policy = policies.default  # `recommend` skips it, with the reason
        risks["cpu"][index] = policy.cpu_request_risk
        risks["memory"][index] = policy.memory_request_risk
    return risks


def largest_node(histories: Histories) -> Resources:
    """What the largest node can give to pods, per resource; empty where nodes are unknown."""
    cpu = [n["cpu_allocatable_cores"] for n in histories.meta.nodes if "cpu_allocatable_cores" in n]
    memory = [
        n["memory_allocatable_bytes"]
        for n in histories.meta.nodes
        if "memory_allocatable_bytes" in n
    ]
    return Resources(
        cpu_request=Cpu.from_cores(max(cpu)) if cpu else None,
        memory_request=Memory.from_bytes(max(memory)) if memory else None,
    )


def _too_few(seen: Evidence, policy: Policy) -> str:
    samples = "1 sample was" if seen.samples == 1 else f"{seen.samples} samples were"
    return f"only {samples} seen; at least {policy.min_samples} are needed"


def _unknown(histories: Histories, demand: Demand, index: int) -> dict[Resource, str]:
    why = {r: demand.reasons.get(r, {}).get(index, "the model cannot tell") for r in RESOURCES}
    why |= histories.unbelieved(index)
    return {
        resource: why[resource]
        for resource in RESOURCES
        if np.isnan(demand.levels[resource][index]).any()
    }


def _undecided(
    ref: ContainerRef, unknown: Mapping[Resource, str], unbelieved: Collection[Resource]
) -> Skipped:
    why = "; ".join(dict.fromkeys(unknown.values()))
    return Skipped(ref, why, "unbelieved" if len(unbelieved) == len(RESOURCES) else "undecided")


def _choose_policies(
    histories: Histories, demand: Demand, policies: Policies
) -> tuple[dict[int, Policy], list[Skipped]]:
    chosen: dict[int, Policy] = {}
    skipped = []
    for index, ref in enumerate(histories.containers):
        if ref in histories.gone:
            skipped.append(Skipped(ref, histories.gone[ref], "gone"))
            continue
        unknown = _unknown(histories, demand, index)
        try:
            policy = policies.of(ref, histories.spec(index).annotations)
        except ConfigError as error:
            skipped.append(Skipped(ref, str(error), "invalid"))
            continue
        if policy.direction == "off":
            skipped.append(Skipped(ref, "the policy switches it off", "off"))
        elif len(unknown) == len(RESOURCES):
            skipped.append(_undecided(ref, unknown, histories.unbelieved(index)))
        else:
            chosen[index] = policy
    return chosen, skipped


def _risks(
    chosen: Mapping[int, Policy], count: int, spent: Mapping[Resource, Array] | None
) -> dict[TargetName, Array]:
    risks: dict[TargetName, Array] = {target: np.full(count, 0.5) for target in TARGETS}
    for index, policy in chosen.items():
        risks["cpu_request"][index] = policy.cpu_request_risk
        risks["cpu_limit"][index] = policy.cpu_limit_risk
        risks["memory_request"][index] = policy.memory_request_risk
        risks["memory_limit"][index] = policy.memory_limit_risk
    for resource, values in (spent or {}).items():
        target: TargetName = "cpu_request" if resource == "cpu" else "memory_request"
        risks[target] = np.asarray(values, dtype=np.float64)
    return risks


def _gather(
    histories: Histories,
    demand: Demand,
    chosen: Mapping[int, Policy],
    evidence: Mapping[int, Evidence],
    risks: Mapping[TargetName, Array],
) -> dict[int, Facts]:
    """What is known of each chosen container."""
    levels = {target: demand.at(_resource(target), risks[target]) for target in TARGETS}
    riskier, safer = (
        {target: demand.at(_resource(target), risks[target] * share) for target in TARGETS}
        for share in (RISKIER, SAFER)
    )
    predicted = {resource: demand.at(resource, risk) for resource, risk in _PREDICTED.items()}
    kills, node = find_kills(histories), largest_node(histories)
    admissions = find_admissions(histories.meta.limit_ranges, histories.meta.quotas)
    important = importances(histories)
    return {
        index: Facts(
            kind=histories.containers[index].kind,
            container=histories.containers[index].container,
            policy=policy,
            spec=histories.spec(index),
            evidence=evidence[index],
            demand={target: float(levels[target][index]) for target in TARGETS},
            risk={target: float(risks[target][index]) for target in TARGETS},
            unknown=_unknown(histories, demand, index),
            findings={r: demand.findings[r][index] for r in demand.findings},
            node=node,
            predicted={r: float(predicted[r][index]) for r in RESOURCES},
            growth={r: float(demand.growth[r][index]) for r in demand.growth},
            right={t: (float(riskier[t][index]), float(safer[t][index])) for t in TARGETS},
            kills=kills.get(index, NO_KILLS),
            admissions=admissions.get(histories.containers[index].namespace, {}),
            importance=important.get(histories.containers[index].workload_ref, Importance()),
        )
        for index, policy in chosen.items()
    }


def _resource(target: TargetName) -> Resource:
    return "cpu" if target.startswith("cpu") else "memory"


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
        if amount is not None and not facts.cut_off(_resource(target)):
            level = amount.cores if isinstance(amount, Cpu) else float(amount.bytes)
            risk = demand.risk_of(_resource(target), index, level)
            if risk is not None:
                stated[target] = risk
    return stated


def _most_confidence(facts: Facts) -> float:
    """Never more than half where usage is but a lower bound of the need."""
    return 0.5 if any(facts.cut_off(resource) for resource in RESOURCES) else 1.0
