"""Raises that find no place on the nodes, beside each other and all that runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np

from analyzer.history import Histories
from analyzer.kinds import DAEMON_SET
from analyzer.placement import (
    Nodes,
    Refusal,
    Wanted,
    nodes_of,
    numbers_of,
    pod_requests,
    too_large,
    with_absent,
    without_place,
)
from analyzer.quantity import Cpu, Memory, Resources, TargetName
from analyzer.recommend.case import Facts, Room
from analyzer.recommend.precedence import precedence
from analyzer.recommend.recommendation import Recommendation
from analyzer.workload import ContainerRef, WorkloadRef

NODES = "nodes"
SPARE = "spare"
_REQUESTS: tuple[TargetName, ...] = ("cpu_request", "memory_request")
Declared = Iterator[tuple[ContainerRef, str, Resources]]


def declared(
    histories: Histories, found: Mapping[ContainerRef, Recommendation] | None = None
) -> Declared:
    """Every container with its type and what it declares: now, or as `found` proposes it."""
    for index, ref in enumerate(histories.containers):
        spec, one = histories.spec(index), (found or {}).get(ref)
        yield ref, spec.container_type, spec.resources if one is None else one.proposed
    for ref, spec in histories.silent.items():
        yield ref, spec.container_type, spec.resources


def pods_wanted(
    histories: Histories, nodes: Nodes, found: Mapping[ContainerRef, Recommendation]
) -> Wanted:
    """What the pods on the nodes ask for now, and as `found` proposes it."""
    specs = map(histories.spec, range(len(histories)))
    pairs = zip(histories.containers, specs, strict=True)
    wholes = {ref.workload_ref: spec.pod_resources for ref, spec in pairs}
    return Wanted(*(pod_requests(nodes, declared(histories, of), wholes) for of in (None, found)))


def absent_nodes(histories: Histories, nodes: Nodes) -> dict[str, int]:
    """By group, how many nodes more it often had at once within the window than it has now."""
    there = Counter(nodes.groups)
    more = {group: of.often - there[group] for group, of in numbers_of(histories.meta).items()}
    return {group: count for group, count in more.items() if count > 0 and there[group]}


def on_every_node(
    histories: Histories, found: Mapping[int, Recommendation]
) -> dict[WorkloadRef, Resources]:
    """What a pod of each DaemonSet that has a pod for every node will ask for.

    A pod that is moved, or a node that is added, finds them there.
    """
    nodes, proposed = len(histories.meta.nodes), {one.ref: one for one in found.values()}
    members: dict[WorkloadRef, list[Resources]] = {}
    for index, ref in enumerate(histories.containers):
        spec = histories.spec(index)
        everywhere = ref.kind == DAEMON_SET.name and 0 < nodes <= (spec.replicas or 0)
        if everywhere and spec.container_type != "init":
            new = proposed[ref].proposed if ref in proposed else spec.resources
            members.setdefault(ref.workload_ref, []).append(new)
    return {
        ref: Resources(
            cpu_request=Cpu(sum(one.cpu_request.units for one in asked if one.cpu_request)),
            memory_request=Memory(sum(o.memory_request.units for o in asked if o.memory_request)),
        )
        for ref, asked in members.items()
    }


def crowded_out(
    histories: Histories, found: Mapping[int, Recommendation], facts: Mapping[int, Facts]
) -> dict[int, tuple[Room, ...]]:
    """The raises that are not made, as rooms of what holds now; none where nodes are unknown.

    Raises come by `precedence`, and of equals the smallest first, so that the most workloads get
    what they need. Where nodes are added for pods without room, only DaemonSets can be crowded out,
    and pods that are larger than any node they may use.
    """
    nodes = nodes_of(histories)
    if nodes is None:
        return {}
    nodes = with_absent(nodes, absent_nodes(histories, nodes))
    wanted = pods_wanted(histories, nodes, {one.ref: one for one in found.values()})
    members: dict[WorkloadRef, list[int]] = {}
    for index, one in found.items():
        members.setdefault(one.ref.workload_ref, []).append(index)
    known = {
        workload: [facts[index] for index in members.get(nodes.workloads[workload], ())]
        for workload in wanted.raised.tolist()
    }
    spare = {w: max((one.policy.spare_nodes for one in of), default=0) for w, of in known.items()}
    order = _order(nodes, wanted, known)
    refused = without_place(nodes, wanted, order, spare)
    largest = too_large(nodes, wanted.new)
    # Where nodes are added they are no larger than those that are there.
    refused |= {w: Refusal(largest[w]) for w in known.keys() - set(order) if w in largest}
    rooms: dict[int, tuple[Room, ...]] = {}
    for workload, why in refused.items():
        ref = nodes.workloads[workload]
        for index in members.get(ref, ()):
            need = wanted.new[workload].tolist()
            rooms[index] = tuple(_held(found[index], ref, why, need))
    return rooms


def _order(nodes: Nodes, wanted: Wanted, known: Mapping[int, Sequence[Facts]]) -> list[int]:
    """The raises in the order in which they are tried, without those that bring nodes."""
    size = ((wanted.new - wanted.now)[:, :2] / nodes.allocatable[:, :2].max(axis=0)).max(axis=1)
    size *= np.bincount(nodes.pods, minlength=len(size))
    return sorted(
        (w for w, of in known.items() if not nodes_are_added(nodes.workloads[w], of)),
        key=lambda w: (*precedence(known[w]), size[w], nodes.workloads[w]),
    )


def nodes_are_added(ref: WorkloadRef, facts: Iterable[Facts]) -> bool:
    """Whether a node comes for a pod without room, by the policy; for a DaemonSet none can."""
    return ref.kind != DAEMON_SET.name and any(one.policy.new_nodes for one in facts)


def _held(
    of: Recommendation, ref: WorkloadRef, why: Refusal, need: Sequence[float]
) -> Iterator[Room]:
    code, reason = _reason(ref, why, need)
    for target in _REQUESTS:
        now, new = of.current.amount(target), of.proposed.amount(target)
        if new is not None and (now is None or new > now):
            yield Room(target, now, reason, code)


def _reason(ref: WorkloadRef, why: Refusal, need: Sequence[float]) -> tuple[str, str]:
    """The code and the sentence that say why a raise is not made."""
    asked = f"{Cpu.from_cores(need[0]).human()} and {Memory.from_bytes(need[1]).human()}"
    pods = "1 pod" if why.homeless == 1 else f"{why.homeless} pods"
    if why.lost:
        return SPARE, (
            f"at {asked} a pod, {pods} of {why.where} would find no place if {why.lost} were lost, "
            "and spare_nodes keeps room for that"
        )
    if ref.kind == DAEMON_SET.name:
        return NODES, (
            f"a pod would ask for {asked}, and node {why.where} has no room beside what runs there"
        )
    if not why.homeless:
        return NODES, f"a pod would ask for {asked}, and {why.where}"
    return NODES, (
        f"its pods would ask for {asked} each, and the nodes they may use ({why.where}) have no "
        "room for all of them beside the others; raises go by priority, then by PriorityClass, "
        "then what a limit cut off comes first, then the smallest"
    )
