"""Demand to requests and limits, with the trail of reasons.

Every container goes through the same steps in the same order; each step that changes or keeps
something leaves a `Step` in the trail of the amount it concerns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from analyzer.errors import ConfigError
from analyzer.evidence import NOTABLE_THROTTLING, Evidence, observe
from analyzer.history import Histories, Skipped, Spec
from analyzer.models.demand import RESOURCES, Demand, Resource, Step
from analyzer.policy import Policies, Policy, Quantity, clamp, round_up, worth_changing
from analyzer.quantity import Cpu, Memory, Resources
from analyzer.workload import ContainerRef

Array = npt.NDArray[np.float64]

TARGETS = ("cpu_request", "cpu_limit", "memory_request", "memory_limit")
"""The four amounts of a container, in the order they are shown in."""


@dataclass(frozen=True, slots=True)
class Recommendation:
    """Requests and limits for one container, and everything that speaks for them."""

    ref: ContainerRef
    container_type: str
    replicas: int
    current: Resources
    proposed: Resources
    trail: Mapping[str, tuple[Step, ...]]
    """Per entry of `TARGETS`, the steps from demand to the proposed amount."""
    stated_risk: Mapping[str, float]
    """Per target with an amount, the chance (memory, until the next review) or the share of the
    time (CPU) of more than that amount, as proposed; absent where the model states none."""
    findings: Mapping[str, str]
    """Per resource, what its history looks like."""
    confidence: float
    evidence: Evidence
    notes: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    image: str | None = None

    @property
    def changed(self) -> bool:
        """Whether anything differs from what holds now."""
        return self.proposed != self.current

    def change(self, target: str) -> int:
        """Proposed minus current of one of `TARGETS` for all replicas, in millicores or bytes."""
        now, new = getattr(self.current, target), getattr(self.proposed, target)
        return ((new.units if new else 0) - (now.units if now else 0)) * self.replicas

    @property
    def weight(self) -> float:
        """How large its change of requests is; a core counts like 4 GiB, as on most nodes."""
        cpu, memory = self.change("cpu_request"), self.change("memory_request")
        return abs(cpu) / 1000 + abs(memory) / (4 * 1024**3)


def _guaranteed(resources: Resources) -> bool:
    """Whether the container lets its pod be Guaranteed: both limits set, requests equal to them."""
    full = resources.effective()
    limits = (full.cpu_limit, full.memory_limit)
    return None not in limits and limits == (full.cpu_request, full.memory_request)


@dataclass(frozen=True)
class _Case:
    """All that the steps need to know of one container."""

    kind: str
    policy: Policy
    spec: Spec
    evidence: Evidence
    demand: Mapping[str, float]
    unknown: Mapping[Resource, str]
    node: Resources
    risk: Mapping[str, float]
    findings: Mapping[str, str]
    """Per resource, what its history looks like."""


def recommend(
    histories: Histories,
    demand: Demand,
    policies: Policies,
    request_risks: Mapping[Resource, Array] | None = None,
) -> tuple[list[Recommendation], list[Skipped]]:
    """Recommend requests and limits for every container of `histories`.

    `request_risks` gives each container its own risk (the spent risk budget); without it the
    policies' risks hold for all alike. Containers in = recommended + skipped.
    """
    chosen, skipped = _choose_policies(histories, demand, policies)
    evidence = observe(histories, chosen)
    risks = _risks(chosen, len(histories), request_risks)
    levels = {target: demand.at(_resource(target), risks[target]) for target in TARGETS}
    node = largest_node(histories)
    recommendations = []
    for index, policy in chosen.items():
        ref, samples = histories.containers[index], evidence[index].samples
        if samples < policy.min_samples:
            seen = "1 sample was" if samples == 1 else f"{samples} samples were"
            few = f"only {seen} seen; at least {policy.min_samples} are needed"
            skipped.append(Skipped(ref, few))
            continue
        case = _Case(
            kind=ref.kind,
            policy=policy,
            spec=histories.spec(index),
            evidence=evidence[index],
            demand={target: float(levels[target][index]) for target in TARGETS},
            unknown=_unknown(histories, demand, index),
            node=node,
            risk={target: float(risks[target][index]) for target in TARGETS},
            findings={r: demand.findings[r][index] for r in demand.findings},
        )
        recommendation = _recommend_one(ref, case, demand, index)
        doubts = (verdict.reason for verdict in histories.verdicts_of(index))
        recommendations.append(replace(recommendation, notes=(*recommendation.notes, *doubts)))
    return recommendations, [*histories.skipped, *skipped]


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


_NAMES: dict[Resource, str] = {"cpu": "CPU", "memory": "memory"}


def _resource(target: str) -> Resource:
    return "cpu" if target.startswith("cpu") else "memory"


def _unknown(histories: Histories, demand: Demand, index: int) -> dict[Resource, str]:
    why = {r: demand.reasons.get(r, {}).get(index, "the model cannot tell") for r in RESOURCES}
    why |= histories.unbelieved(index)
    return {
        resource: why[resource]
        for resource in RESOURCES
        if np.isnan(demand.levels[resource][index]).any()
    }


def _choose_policies(
    histories: Histories, demand: Demand, policies: Policies
) -> tuple[dict[int, Policy], list[Skipped]]:
    chosen: dict[int, Policy] = {}
    skipped = []
    for index, ref in enumerate(histories.containers):
        unknown = _unknown(histories, demand, index)
        try:
            policy = policies.of(ref, histories.spec(index).annotations)
        except ConfigError as error:
            skipped.append(Skipped(ref, str(error)))
            continue
        if policy.direction == "off":
            skipped.append(Skipped(ref, "the policy switches it off"))
        elif len(unknown) == len(RESOURCES):
            skipped.append(Skipped(ref, "; ".join(dict.fromkeys(unknown.values()))))
        else:
            chosen[index] = policy
    return chosen, skipped


def _risks(
    chosen: Mapping[int, Policy], count: int, spent: Mapping[Resource, Array] | None
) -> dict[str, Array]:
    risks = {target: np.full(count, 0.5) for target in TARGETS}
    for index, policy in chosen.items():
        risks["cpu_request"][index] = policy.cpu_request_risk
        risks["cpu_limit"][index] = policy.cpu_limit_risk
        risks["memory_request"][index] = policy.memory_request_risk
        risks["memory_limit"][index] = policy.memory_limit_risk
    for resource, values in (spent or {}).items():
        risks[f"{resource}_request"] = np.asarray(values, dtype=np.float64)
    return risks


def _recommend_one(ref: ContainerRef, case: _Case, demand: Demand, index: int) -> Recommendation:
    trail: dict[str, list[Step]] = {target: [] for target in TARGETS}
    for resource in RESOURCES:
        learned = demand.trails[resource][index]
        trail[f"{resource}_request"].extend(learned)
    current = case.spec.resources.effective()
    cpu_request = _request(case, "cpu_request", current.cpu_request, Cpu, trail)
    memory_request = _request(case, "memory_request", current.memory_request, Memory, trail)
    proposed = Resources(
        cpu_request=cpu_request,
        cpu_limit=_cpu_limit(case, current.cpu_limit, cpu_request, trail["cpu_limit"]),
        memory_request=memory_request,
        memory_limit=_memory_limit(case, current.memory_limit, memory_request, trail),
    )
    proposed = _fit_together(current, proposed, case.policy, trail)
    proposed = _keep_lone_limit(current, proposed, trail["memory_limit"])
    confidence = demand.confidence[index] if demand.confidence is not None else 1.0
    return Recommendation(
        ref=ref,
        container_type=case.spec.container_type,
        replicas=1 if case.spec.replicas is None else case.spec.replicas,
        current=current,
        proposed=proposed,
        trail={target: tuple(steps) for target, steps in trail.items()},
        stated_risk=_stated_risk(proposed, demand, index, case.evidence),
        findings={r: demand.findings[r][index] for r in RESOURCES if r in demand.findings},
        confidence=min(float(confidence), _most_confidence(case.evidence)),
        evidence=case.evidence,
        notes=_notes(case, proposed),
        labels=case.spec.labels,
        image=case.spec.image,
    )


def _stated_risk(
    proposed: Resources, demand: Demand, index: int, seen: Evidence
) -> dict[str, float]:
    """The risk of what is proposed in the end, after rounding, floors and what was kept.

    None is stated where usage was cut off by a limit: what was seen is then less than the need.
    """
    stated = {}
    for target in TARGETS:
        amount = getattr(proposed, target)
        if amount is not None and not _censored(seen, _resource(target)):
            level = amount.cores if isinstance(amount, Cpu) else float(amount.bytes)
            risk = demand.risk_of(_resource(target), index, level)
            if risk is not None:
                stated[target] = risk
    return stated


def _censored(seen: Evidence, resource: Resource) -> bool:
    """Whether a limit cut off what the container wanted to use."""
    return seen.throttled >= NOTABLE_THROTTLING if resource == "cpu" else seen.oom_kills > 0


def _most_confidence(seen: Evidence) -> float:
    """Never more than half where usage is but a lower bound of the need."""
    return 0.5 if any(_censored(seen, resource) for resource in RESOURCES) else 1.0


def _request(
    case: _Case,
    target: str,
    now: Quantity | None,
    kind: type[Quantity],
    trail: Mapping[str, list[Step]],
) -> Quantity | None:
    """One request: demand, floor and ceiling, rounding, then whether to change it at all."""
    steps, resource, policy = trail[target], _resource(target), case.policy
    if resource in case.unknown:
        steps.append(Step("keep", _text(now), _text(now), case.unknown[resource]))
        return now
    hpa = case.spec.hpa
    if policy.hpa == "hands-off" and hpa is not None and resource in hpa.targets:
        reason = (
            f"the HPA {hpa.name} scales on {_NAMES[resource]} at {hpa.targets[resource]:g} % "
            "of the request, so a new request would move its scale point"
        )
        steps.append(Step("hands off", _text(now), _text(now), reason))
        return now
    risk = case.risk[target]
    amount = _amount(kind, case.demand[target])
    what = "of the time" if kind is Cpu else "chance of a higher peak until the next review"
    steps.append(Step("demand", "", amount.human(), f"at a risk of {risk:.2%} ({what})"))
    floor: Quantity = getattr(policy, f"{resource}_floor")
    ceiling: Quantity | None = getattr(policy, f"{resource}_ceiling")
    amount = _step(steps, "floor", amount, clamp(amount, floor, None), "never less than the floor")
    amount = _step(steps, "round", amount, round_up(amount), "up to an amount a person would write")
    if ceiling is not None:
        amount = _step(steps, "ceiling", amount, min(amount, ceiling), "the policy's ceiling")
    node = getattr(case.node, f"{resource}_request")
    if node is not None and amount > node:
        amount = _step(steps, "node", amount, node, "the largest node has no more to give")
    if now is not None and amount > now and _is_enough(case, now, resource):
        seen = "p99" if kind is Cpu else "highest peak"
        steps.append(Step("keep", amount.human(), now.human(), f"it covers the {seen} seen"))
        return now
    return _decide(case, now, amount, steps)


def _is_enough(case: _Case, now: Cpu | Memory, resource: Resource) -> bool:
    """Whether a request covers what was seen, so that raising it would answer nothing.

    Cheap margin is spent on what is declared anew or lowered, not on restarts of what fits. Usage
    that climbs, or that a limit cut off, is not covered by what was seen.
    """
    if case.findings.get(resource) in ("growth", "leak") or _censored(case.evidence, resource):
        return False
    seen = case.evidence.cpu.p99 if resource == "cpu" else case.evidence.memory.max
    level = now.cores if isinstance(now, Cpu) else float(now.bytes)
    return seen is not None and seen <= level


def _decide(
    case: _Case, now: Quantity | None, amount: Quantity, steps: list[Step]
) -> Quantity | None:
    """What is allowed and worth its churn: `amount`, something on the way to it, or `now`."""
    policy = case.policy
    if now is None:
        if policy.direction == "lower":
            steps.append(Step("direction", "", "", "the policy only lowers, and none is declared"))
            return None
        steps.append(Step("declare", "", amount.human(), "nothing is declared now"))
        return amount
    if amount < now:
        held = _why_not_lower(case, "cpu" if isinstance(now, Cpu) else "memory")
        if held:
            steps.append(Step("keep", amount.human(), now.human(), held))
            return now
        least = now.scale(1 - policy.max_decrease)
        if amount < least:
            reason = f"falls by at most {policy.max_decrease:.0%} a run"
            amount = _step(steps, "gradual", amount, min(round_up(least), now), reason)
    elif amount > now and policy.direction == "lower":
        steps.append(Step("direction", amount.human(), now.human(), "the policy only lowers"))
        return now
    if amount != now and not worth_changing(now, amount, policy):
        reason = f"a change from {now.human()} is too small to be worth a restart"
        steps.append(Step("keep", amount.human(), now.human(), reason))
        return now
    return amount


def _why_not_lower(case: _Case, resource: Resource) -> str:
    if case.policy.direction == "raise":
        return "the policy only raises"
    if case.evidence.days < case.policy.min_days_to_lower:
        return (
            f"only {case.evidence.days:.1f} days were observed; "
            f"nothing is lowered before {case.policy.min_days_to_lower:g}"
        )
    if resource == "cpu" and _censored(case.evidence, "cpu"):
        return "it was throttled at its limit, so its need is above anything seen"
    return ""


def _cpu_limit(case: _Case, now: Cpu | None, request: Cpu | None, steps: list[Step]) -> Cpu | None:
    policy = case.policy
    if policy.cpu_limit == "keep" or (now is None and not policy.add_missing_limits):
        if now is not None:
            steps.append(Step("keep", now.human(), now.human(), "the policy keeps CPU limits"))
        return now
    if policy.cpu_limit == "none":
        if now is not None and policy.direction != "both":
            reason = f"the policy is to {policy.direction} only, and removing is neither"
            steps.append(Step("keep", now.human(), now.human(), reason))
            return now
        if now is not None:
            reason = "the policy sets no CPU limits: a request guarantees, a limit only throttles"
            steps.append(Step("remove", now.human(), "", reason))
        return None
    if request is None or "cpu" in case.unknown:
        steps.append(Step("keep", _text(now), _text(now), "there is no request to go by"))
        return now
    if policy.cpu_limit == "ratio":
        amount = request.scale(policy.cpu_limit_ratio)
        steps.append(Step("ratio", "", amount.human(), f"{policy.cpu_limit_ratio:g} x the request"))
    else:
        amount = max(Cpu.from_cores(case.demand["cpu_limit"]), request)
        steps.append(
            Step("demand", "", amount.human(), f"at a risk of {policy.cpu_limit_risk:.2%}")
        )
    amount = _step(steps, "round", amount, round_up(amount), "up to an amount a person would write")
    return _decide(case, now, amount, steps)


def _memory_limit(
    case: _Case, now: Memory | None, request: Memory | None, trail: Mapping[str, list[Step]]
) -> Memory | None:
    policy, steps = case.policy, trail["memory_limit"]
    if policy.memory_limit == "keep" or "memory" in case.unknown:
        reason = case.unknown.get("memory", "the policy keeps memory limits")
        if now is not None:
            steps.append(Step("keep", now.human(), now.human(), reason))
        return now
    if policy.memory_limit == "none":
        if now is not None:
            steps.append(Step("remove", now.human(), "", "the policy sets no memory limits"))
        return None
    if now is None and not policy.add_missing_limits:
        reason = (
            "none is declared, and a new limit can only kill: set add_missing_limits to get one"
        )
        steps.append(Step("keep", "", "", reason))
        return None
    if policy.memory_limit == "request" and request is not None:
        steps.append(Step("request", "", request.human(), "the policy sets limit = request"))
        amount = round_up(max(request, _room_above_peak(case)))
        reason = "room above the highest peak, or the limit would kill; the request follows"
        amount = _step(steps, "headroom", request, max(request, amount), reason)
        return _decide(case, now, amount, steps)
    return _learned_memory_limit(case, now, request, steps)


def _learned_memory_limit(
    case: _Case, now: Memory | None, request: Memory | None, steps: list[Step]
) -> Memory | None:
    """The limit that follows from demand and from the highest peak, and whether to change to it."""
    policy, risk = case.policy, case.risk["memory_limit"]
    amount = Memory.from_bytes(case.demand["memory_limit"])
    reason = f"exceeded with a chance of {risk:.2%} until the next review"
    steps.append(Step("demand", "", amount.human(), reason))
    peak = _room_above_peak(case)
    reason = (
        f"at least {policy.memory_limit_headroom:g} x the highest peak or the limit it was killed "
        "at: a limit reserves nothing"
    )
    amount = _step(steps, "headroom", amount, max(amount, peak), reason)
    if request is not None:
        amount = _step(steps, "request", amount, max(amount, request), "never below the request")
    amount = _step(steps, "round", amount, round_up(amount), "up to an amount a person would write")
    if policy.memory_ceiling is not None:
        reason = "the policy's ceiling, but never below the highest peak: that would kill"
        ceiling = max(policy.memory_ceiling, round_up(peak), request or policy.memory_ceiling)
        amount = _step(steps, "ceiling", amount, min(amount, ceiling), reason)
    if now is None or amount <= now:
        return _decide(case, now, amount, steps)
    if peak <= now and _has_held(case, now, request):
        reason = f"it has held: no kill, and {policy.memory_limit_headroom:g} x the highest peak"
        steps.append(Step("keep", amount.human(), now.human(), reason))
        return now
    # However small the step up, below it lies a kill: no threshold, but for those who only lower.
    return _decide(case, now, amount, steps) if policy.direction == "lower" else amount


def _room_above_peak(case: _Case) -> Memory:
    """The highest peak seen, or the limit at a kill where that is higher, with headroom."""
    seen = Memory.from_bytes(case.evidence.memory.max or 0)
    return max(seen, case.evidence.oom_limit or seen).scale(case.policy.memory_limit_headroom)


def _has_held(case: _Case, now: Memory, request: Memory | None) -> bool:
    """Whether raising a memory limit with room above every peak would answer nothing seen.

    A model that allows for jumps it has never seen here would raise most limits; one that never
    killed stays. Memory that climbs is not to be waited for.
    """
    return (
        case.evidence.oom_kills == 0
        and case.findings.get("memory") not in ("growth", "leak")
        and (request is None or request <= now)
    )


def _fit_together(
    current: Resources, proposed: Resources, policy: Policy, trail: Mapping[str, list[Step]]
) -> Resources:
    """Requests never above limits; equal ones stay equal where the QoS class is to be kept."""
    for resource in RESOURCES:
        request = getattr(proposed, f"{resource}_request")
        limit = getattr(proposed, f"{resource}_limit")
        steps = trail[f"{resource}_limit"]
        if request is not None and limit is not None and limit < request:
            proposed = replace(proposed, **{f"{resource}_limit": request})
            steps.append(Step("raise", limit.human(), request.human(), "never below the request"))
        now = (getattr(current, f"{resource}_request"), getattr(current, f"{resource}_limit"))
        guaranteed = policy.keep_qos and now[0] is not None and now[0] == now[1]
        both = resource == "memory" and policy.memory_limit == "request" and limit is not None
        if (guaranteed or both) and request is not None:
            level = request if limit is None else max(request, limit)
            equal = {f"{resource}_request": level, f"{resource}_limit": level}
            proposed = replace(proposed, **equal)
            reason = "request = limit, as the policy wants it"
            steps.append(Step("qos", _text(limit), level.human(), reason))
    return proposed


def _keep_lone_limit(current: Resources, proposed: Resources, steps: list[Step]) -> Resources:
    """Leave a memory limit that would be lowered alone.

    A limit reserves nothing, so lowering it by itself buys nothing for its restart and its risk.
    """
    now, new = current.memory_limit, proposed.memory_limit
    alone = replace(proposed, memory_limit=now) == current
    if now is None or new is None or new >= now or not alone:
        return proposed
    steps.append(Step("keep", new.human(), now.human(), "lowering a limit alone frees nothing"))
    return current


def _notes(case: _Case, proposed: Resources) -> tuple[str, ...]:
    notes = []
    seen, now = case.evidence, case.spec.resources
    if seen.oom_kills:
        at = f" at {seen.oom_limit}" if seen.oom_limit else ""
        times = "once" if seen.oom_kills == 1 else f"{seen.oom_kills} times"
        notes.append(f"OOM-killed {times}{at}; its need is above that limit")
    if seen.oom_kills and case.findings.get("memory") == "leak":
        notes.append("killed while climbing: a higher limit may only delay the next kill")
    if _guaranteed(now) and not _guaranteed(proposed):
        notes.append("leaves the Guaranteed QoS class; keep_qos: true keeps it there")
    if seen.throttled >= NOTABLE_THROTTLING:
        notes.append(
            f"CPU-throttled in {seen.throttled:.0%} of the time; its need is higher than seen"
        )
    runs_always = case.spec.container_type != "init" and case.kind not in ("Job", "CronJob")
    if seen.coverage < 0.9 and runs_always:
        notes.append(f"{1 - seen.coverage:.0%} of its time was not observed")
    if seen.days < 7:
        notes.append(f"only {seen.days:.1f} days of history")
    return tuple(notes)


def _amount(kind: type[Quantity], level: float) -> Quantity:
    return kind.from_cores(level) if issubclass(kind, Cpu) else kind.from_bytes(level)


def _step(steps: list[Step], name: str, before: Quantity, after: Quantity, reason: str) -> Quantity:
    if after != before:
        steps.append(Step(name, before.human(), after.human(), reason))
    return after


def _text(amount: Cpu | Memory | None) -> str:
    return "" if amount is None else amount.human()


def totals(recommendations: Sequence[Recommendation]) -> dict[str, tuple[int, int]]:
    """Per target, what is declared now and proposed, over all replicas (millicores, bytes)."""
    result = {}
    for target in TARGETS:
        now = sum(_units(r.current, target) * r.replicas for r in recommendations)
        new = sum(_units(r.proposed, target) * r.replicas for r in recommendations)
        result[target] = (now, new)
    return result


def _units(resources: Resources, target: str) -> int:
    amount = getattr(resources, target)
    return 0 if amount is None else int(amount.units)
