"""Laws of every recommendation: trails without a gap, and bounds that no step crosses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.cutoff import Kills
from analyzer.evidence import BusyHour, Evidence, Quantiles, Spread
from analyzer.history import Histories, build_histories
from analyzer.models import RESOURCES, Demand, Step, model_named
from analyzer.policy import Policies, Policy, round_up
from analyzer.quantity import TARGETS, Cpu, Memory, Quantity, Resources, TargetName
from analyzer.recommend import Bound, largest_node, recommend
from analyzer.recommend.case import Facts, Room
from analyzer.recommend.decide import decide_amounts
from analyzer.sources import Window, open_source
from analyzer.spec import Hpa, Spec, Utilisation
from tests.samples import MIB, START

LEARNED = {
    "cpu": (Step("p95", "", "80m", "for the test"), Step("outlook", "80m", "90m", "")),
    "memory": (Step("growth", "", "", "no amount"),),
}


def complaints_about_trail(steps: tuple[Step, ...], proposed: Quantity | None) -> list[str]:
    """Steps that do not begin where the one before ended, and an end that is not proposed."""
    found, last = [], ""
    for number, step in enumerate(steps):
        if number and last and step.before and step.before != last:
            found.append(f"{step.name} begins at {step.before} and not at {last}")
        if step.before or step.after:
            last = step.after
    if steps and last != ("" if proposed is None else proposed.human()):
        found.append(f"the trail ends at {last or 'nothing'}, proposed is {proposed}")
    return found


def crossed(facts: Facts, proposed: Resources) -> list[str]:
    """The hard bounds that a proposal crosses, in words."""
    found = []
    pairs: tuple[tuple[TargetName, TargetName], ...] = (
        ("cpu_request", "cpu_limit"),
        ("memory_request", "memory_limit"),
    )
    for resource, (request, limit) in zip(RESOURCES, pairs, strict=True):
        found += _crossed_by_limit(facts, proposed, request, limit)
        hpa = facts.spec.hpa
        hands_off = hpa is not None and hpa.target_of(resource, facts.container) is not None
        if resource in facts.unknown or (hands_off and facts.policy.hpa == "hands-off"):
            if proposed.amount(request) != facts.current.amount(request):
                found.append(f"{request} was touched")
        else:
            found += _crossed_by_request(facts, proposed, request, limit)
    return found


def _crossed_by_limit(
    facts: Facts, proposed: Resources, request: TargetName, limit: TargetName
) -> list[str]:
    amount, asked = proposed.amount(limit), proposed.amount(request)
    now, node = facts.current.amount(limit), facts.node.amount(request)
    keep = facts.policy.cpu_limit if limit == "cpu_limit" else facts.policy.memory_limit
    found = []
    if keep == "keep" and amount != now:
        found.append(f"{limit} is not kept")
    if amount is None:
        return found
    if asked is not None and amount < asked:
        found.append(f"{limit} {amount} lies below the request {asked}")
    if node is not None and amount > node and amount not in (now, asked):
        found.append(f"{limit} {amount} lies above the node's {node}")
    free = node is None or amount < node
    for bound in facts.bounds:
        judged = keep != "keep" and limit.split("_")[0] not in facts.unknown
        if bound.target == limit and amount < bound.least and free and judged:
            found.append(f"{limit} {amount} lies below {bound.least} of the settings")
    peak = Memory.from_bytes(facts.evidence.memory.max or 0)
    if limit == "memory_limit" and now is not None and peak <= now and amount < peak and free:
        found.append(f"{limit} {amount} lies below the peak {peak}")
    return found


def _crossed_by_request(
    facts: Facts, proposed: Resources, request: TargetName, limit: TargetName
) -> list[str]:
    policy, amount = facts.policy, proposed.amount(request)
    if amount is None:
        return []
    cpu = request == "cpu_request"
    floor: Quantity = policy.cpu_floor if cpu else policy.memory_floor
    ceiling: Quantity | None = policy.cpu_ceiling if cpu else policy.memory_ceiling
    keeps = (policy.cpu_limit if cpu else policy.memory_limit) == "keep"
    now, node = facts.current.amount(request), facts.node.amount(request)
    kept = facts.current.amount(limit) if keeps else None
    most = [each for each in (kept, node) if each is not None]
    needed = [bound.least for bound in facts.bounds if bound.target == request]
    found = []
    if kept is not None and amount > kept:
        found.append(f"{request} {amount} lies above the kept limit {kept}")
    if node is not None and amount > node and amount != now:
        found.append(f"{request} {amount} lies above the node's {node}")
    if ceiling is not None and amount > max([ceiling, *map(round_up, needed)]):
        found.append(f"{request} {amount} lies above the ceiling {ceiling}")
    held = any(room.target == request for room in facts.rooms)
    if held and (now is None or amount > now):
        found.append(f"{request} is raised to {amount} where no node has room")
    for least in [floor, *needed]:
        if amount < min([least, *most]) and not (held and amount == now):
            found.append(f"{request} {amount} lies below {least}")
    repeated = facts.kills.repeated
    if not cpu and repeated is not None and now is not None:
        hit: list[Quantity] = [now, Memory.from_bytes(repeated), *most]
        if amount < min(hit if ceiling is None else [*hit, ceiling]):
            found.append(f"{request} {amount} lies below the limit that killed")
    return found


SIZES = st.sampled_from([1, 15, 16, 17, 100, 120, 128, 500, 512, 640, 1024, 2048, 9999])
MEMORY = SIZES.map(lambda count: Memory(count * MIB))
CPU = st.sampled_from([1, 4, 5, 7, 95, 100, 101, 250, 499, 501, 1000, 1050, 4000, 9001]).map(Cpu)


@st.composite
def resources(draw: st.DrawFn) -> Resources:
    """What the API server accepts: no request above its limit."""
    cpu = sorted(draw(st.tuples(CPU, CPU)))
    memory = sorted(draw(st.tuples(MEMORY, MEMORY)))
    found = Resources()
    for target, amount in zip(TARGETS, (*cpu, *memory), strict=True):
        found = found.with_amount(target, amount if draw(st.booleans()) else None)
    return found


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    """Any policy that is accepted."""
    cpu = sorted(draw(st.tuples(CPU, CPU)))
    memory = sorted(draw(st.tuples(MEMORY, MEMORY)))
    return Policy(
        cpu_limit=draw(st.sampled_from(["none", "keep", "ratio", "risk"])),
        memory_limit=draw(st.sampled_from(["risk", "request", "keep", "none"])),
        add_missing_limits=draw(st.booleans()),
        cpu_floor=cpu[0],
        cpu_ceiling=cpu[1] if draw(st.booleans()) else None,
        memory_floor=memory[0],
        memory_ceiling=memory[1] if draw(st.booleans()) else None,
        direction=draw(st.sampled_from(["both", "raise", "lower"])),
        max_decrease=draw(st.sampled_from([0.0, 0.25, 1.0])),
        keep_qos=draw(st.booleans()),
        busy_hour_floor=draw(st.sampled_from([0.0, 0.5])),
    )


@st.composite
def evidence(draw: st.DrawFn) -> Evidence:
    """Any history."""
    low, high = sorted((draw(SIZES), draw(SIZES)))
    cores = draw(CPU).cores
    memory = Quantiles(low * MIB, high * MIB, high * MIB, high * MIB)
    return Evidence(
        cpu=Quantiles(cores / 2, cores, cores, cores),
        memory=memory,
        samples=4032,
        pods=3,
        days=draw(st.sampled_from([1.0, 5.0, 14.0])),
        coverage=1.0,
        last_seen=START + timedelta(days=14),
        throttled=draw(st.sampled_from([0.0, 0.005, 0.3])),
        memory_pressure=draw(st.sampled_from([0.0, 0.2])),
        starts=draw(st.booleans()),
        memory_since=draw(st.sampled_from([None, START + timedelta(days=11)])),
        memory_before=draw(st.sampled_from([None, memory])),
        cpu_pods=draw(st.sampled_from([None, Spread(10, 1, 1.5, 0.02), Spread(4, 4, 0.3, 0.2)])),
        busy_hour=draw(st.sampled_from([None, BusyHour(3.0, "every day from 02:00")])),
    )


@st.composite
def cases(draw: st.DrawFn) -> Facts:
    """A container in any state under any policy, on nodes that may have no room for a raise."""
    limits = sorted(draw(st.sets(SIZES, max_size=3)))
    hits = tuple(float(limit * MIB) for limit in limits)
    kills = Kills(
        at_limit=2 * len(hits),
        elsewhere=draw(st.integers(0, 1)),
        slow=draw(st.integers(0, 2 * len(hits))),
        limits=hits,
        repeated=hits[-1] if draw(st.booleans()) and hits else None,
    )
    memory, cpu = draw(MEMORY), draw(CPU)
    demand: Mapping[TargetName, float] = {
        "cpu_request": cpu.cores,
        "cpu_limit": cpu.cores * 2,
        "memory_request": float(memory.bytes),
        "memory_limit": float(memory.bytes * 3),
    }
    heap = Bound(draw(st.sampled_from(["memory_request", "memory_limit"])), draw(MEMORY), "heap")
    node = draw(st.sampled_from([Resources(), Resources(Cpu(4000), None, Memory(2048 * MIB))]))
    spec = Spec(resources=draw(resources()), hpa=draw(st.sampled_from([None, _HPA])))
    now = spec.resources.effective()
    full = draw(st.sampled_from([(), (), _REQUESTS[:1], _REQUESTS[1:], _REQUESTS]))
    return Facts(
        kind="Deployment",
        policy=draw(policies()),
        spec=spec,
        evidence=draw(evidence()),
        demand=demand,
        risk=dict.fromkeys(TARGETS, 0.05),
        unknown=draw(st.sampled_from([{}, {"cpu": "not seen"}, {"memory": "not seen"}])),
        findings={"memory": draw(st.sampled_from(["steady", "growth", "leak"]))},
        node=node,
        kills=kills,
        bounds=draw(st.sampled_from([(), (heap,)])),
        rooms=tuple(Room(one, now.amount(one), "they are full", "nodes") for one in full),
    )


_HPA = Hpa("web", 2, 5, (Utilisation("cpu", 80.0),))
_REQUESTS: tuple[TargetName, ...] = ("cpu_request", "memory_request")


@given(cases())
def test_no_step_crosses_a_bound_and_no_trail_has_a_gap(facts: Facts) -> None:
    """Whatever the container, the policy and the order of reasons."""
    learned = {r: () if r in facts.unknown else LEARNED[r] for r in RESOURCES}
    proposed, trail = decide_amounts(facts, learned)
    assert crossed(facts, proposed) == []
    for target in TARGETS:
        amount = proposed.amount(target)
        assert amount is None or amount.units > 0
        assert complaints_about_trail(trail[target], amount) == [], trail[target]


@given(cases())
def test_a_decision_depends_on_the_case_alone(facts: Facts) -> None:
    """The same facts give the same amounts and the same words."""
    learned = {r: () if r in facts.unknown else LEARNED[r] for r in RESOURCES}
    assert decide_amounts(facts, learned) == decide_amounts(facts, learned)


@given(cases())
def test_what_was_proposed_asks_for_no_more(facts: Facts) -> None:
    """With the proposal in force and nothing new seen, no amount rises once more."""
    learned = {r: () if r in facts.unknown else LEARNED[r] for r in RESOURCES}
    first, _ = decide_amounts(facts, learned)
    applied = replace(facts, spec=replace(facts.spec, resources=first))
    second, trail = decide_amounts(applied, learned)
    for target in TARGETS:
        before, after = first.effective().amount(target), second.amount(target)
        assert after is None or (before is not None and after <= before), (target, trail[target])


@pytest.fixture(scope="module")
def sample(repository: Path) -> tuple[Histories, Demand]:
    """The sample cluster's histories, and the demand of the default model."""
    source = open_source(f"recording:{repository / 'sample-data' / 'recording'}")
    histories = build_histories(source.read(Window(length=timedelta(weeks=520))))
    return histories, model_named("pooled").fit(histories, timedelta(days=7))


@pytest.mark.parametrize(
    "policy",
    [
        Policy(),
        Policy(cpu_floor=Cpu(77), memory_floor=Memory(333 * MIB)),
        Policy(cpu_ceiling=Cpu(333), memory_ceiling=Memory(777 * MIB)),
        Policy(memory_limit="keep", cpu_limit="keep", memory_floor=Memory(2048 * MIB)),
        Policy(memory_limit="request", cpu_limit="ratio", add_missing_limits=True),
        Policy(keep_qos=True, direction="raise"),
        Policy(max_decrease=0.1, direction="lower"),
    ],
)
def test_every_recommendation_of_the_sample_keeps_the_laws(
    sample: tuple[Histories, Demand], policy: Policy
) -> None:
    """Trails without a gap, and bounds, on a whole cluster."""
    histories, demand = sample
    found, _ = recommend(histories, demand, Policies(policy))
    node = largest_node(histories)
    for one in found:
        for target in TARGETS:
            amount = one.proposed.amount(target)
            assert complaints_about_trail(one.trail[target], amount) == [], (one.ref, target)
        index = histories.position[one.ref]
        facts = Facts(
            kind=one.ref.kind,
            policy=policy,
            spec=histories.spec(index),
            evidence=one.evidence,
            demand=dict.fromkeys(TARGETS, 0.0),
            risk=dict.fromkeys(TARGETS, 0.0),
            unknown={r: "unknown" for r in RESOURCES if index in demand.reasons[r]},
            findings=one.findings,
            node=node,
            rooms=tuple(
                Room(target, one.current.amount(target), "", step.name)
                for target in TARGETS
                for step in one.trail[target]
                if step.name in ("nodes", "spare")
            ),
        )
        assert crossed(facts, one.proposed) == [], one.ref


def test_a_floor_that_the_nodes_have_no_room_for_is_told_and_nothing_changes(
    sample: tuple[Histories, Demand],
) -> None:
    """Three workers of 31 GiB take no 2 GiB more for every container; some stay below it."""
    histories, demand = sample
    found, _ = recommend(histories, demand, Policies(Policy(memory_floor=Memory(2048 * MIB))))
    low = [
        one
        for one in found
        if (amount := one.proposed.memory_request) is not None and amount.bytes < 2048 * MIB
    ]
    assert low
    for one in low:
        assert one.proposed.memory_request == one.current.memory_request, one.ref
        said = one.trail["memory_request"][-1]
        assert said.name == "nodes" and "the floor of 2Gi is not reached" in said.reason, one.ref
