"""What is known of each container before anything is decided, and for which nothing can be."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from analyzer.cutoff import NO_KILLS, find_kills
from analyzer.errors import ConfigError
from analyzer.evidence import Evidence, observe
from analyzer.history import Histories, Skipped
from analyzer.models.demand import RESOURCES, Demand, Resource
from analyzer.policy import Policies, Policy
from analyzer.quantity import TARGETS, Cpu, Memory, Resources, TargetName
from analyzer.recommend.admission import find_admissions
from analyzer.recommend.case import NO_PAST, Bound, Facts, Importance, Past
from analyzer.recommend.in_time import in_time
from analyzer.recommend.older import older_peaks
from analyzer.recommend.past import RISKIER, SAFER
from analyzer.recommend.precedence import importances
from analyzer.workload import ContainerRef

Array = npt.NDArray[np.float64]

_PREDICTED: Mapping[Resource, float] = {"cpu": 0.05, "memory": 0.5}
"""The risks at which demand is what usage is predicted to be."""


def gather(
    histories: Histories,
    demand: Demand,
    policies: Policies,
    request_risks: Mapping[Resource, Array] | None = None,
) -> tuple[dict[int, Facts], list[Skipped]]:
    """What is known of each container by its position, and the containers that are left out."""
    chosen, skipped = _choose_policies(histories, demand, policies)
    evidence = observe(histories, chosen, demand.recent)
    for index in [i for i, policy in chosen.items() if evidence[i].samples < policy.min_samples]:
        few = _too_few(evidence[index], chosen.pop(index))
        skipped.append(Skipped(histories.containers[index], few, "few samples"))
    risks = _risks(chosen, len(histories), request_risks)
    return _facts(histories, demand, chosen, evidence, risks), skipped


def with_past(
    facts: Mapping[int, Facts],
    histories: Histories,
    bounds: Mapping[ContainerRef, tuple[Bound, ...]],
    pasts: Mapping[ContainerRef, Past],
) -> dict[int, Facts]:
    """The facts with what is known beyond the window: older days, earlier reviews, settings."""
    older, timely = older_peaks(histories, facts), in_time(histories, facts)
    found = {}
    for index, one in facts.items():
        ref = histories.containers[index]
        past = pasts.get(ref, NO_PAST)
        found[index] = replace(
            one,
            bounds=(*bounds.get(ref, ()), *older.get(index, ()), *timely[index]),
            past=past,
            kills=one.kills.after(past.killed_at, past.fills_since),
        )
    return found


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


def _facts(
    histories: Histories,
    demand: Demand,
    chosen: Mapping[int, Policy],
    evidence: Mapping[int, Evidence],
    risks: Mapping[TargetName, Array],
) -> dict[int, Facts]:
    """What is known of each chosen container."""
    levels = {target: demand.at(resource_of(target), risks[target]) for target in TARGETS}
    riskier, safer = (
        {target: demand.at(resource_of(target), risks[target] * share) for target in TARGETS}
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


def resource_of(target: TargetName) -> Resource:
    """The resource that an amount is of."""
    return "cpu" if target.startswith("cpu") else "memory"
