"""What the containers of one pod leave each other: Kubernetes schedules pods, not containers.

Three wholes bound the sum over a pod: the largest node without what DaemonSets take on every
node, what the pod itself declares (`spec.resources`), and a LimitRange of type Pod.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from analyzer.kinds import POD
from analyzer.quantity import TARGETS, Cpu, Memory, Quantity, Resources, TargetName
from analyzer.recommend.admission import is_complete
from analyzer.recommend.case import Bound, Room
from analyzer.recommend.recommendation import Recommendation
from analyzer.workload import WorkloadRef

_STEPS = {"cpu": 50, "memory": 16 * 1024**2}
"""Amounts that share a whole are rounded down to these."""
_CONSTRAINED: Mapping[str, Sequence[TargetName]] = {
    "cpu": ("cpu_request", "cpu_limit"),
    "memory": ("memory_request", "memory_limit"),
}


@dataclass(frozen=True, slots=True)
class Whole:
    """What the containers of a pod share: so much of one amount, and who says so."""

    target: TargetName
    most: Quantity
    said: str
    alone: bool = False
    """Whether it also bounds a pod of one container."""
    each: bool = False
    """Whether it bounds every container by itself, as a pod's own limit does."""


def find_rooms(
    recommendations: Mapping[int, Recommendation],
    node: Resources,
    pod_resources: Mapping[int, Resources],
    limit_ranges: Sequence[Mapping[str, Any]] = (),
    everywhere: Mapping[WorkloadRef, Resources] | None = None,
) -> dict[int, tuple[Room, ...]]:
    """The most that each container may ask for where its pod would pass what bounds it.

    Init containers run before the others, one by one, and take nothing from them. `everywhere`
    holds what a pod of each DaemonSet that runs on all nodes asks for.
    """
    ranges = _ranges(limit_ranges, "max")
    rooms: dict[int, tuple[Room, ...]] = {}
    for owner, members in _pods(recommendations).items():
        beside = [asked for ref, asked in (everywhere or {}).items() if ref != owner]
        wholes = [*_of_node(node, beside), *ranges.get(owner.namespace, ())]
        wholes += _of_pod(pod_resources.get(members[0], Resources()))
        for whole in wholes:
            found = _alone if whole.each else _share
            if len(members) > 1 or whole.alone:
                for index, room in found(members, recommendations, whole):
                    rooms[index] = (*rooms.get(index, ()), room)
    return rooms


def find_floors(
    recommendations: Mapping[int, Recommendation], limit_ranges: Sequence[Mapping[str, Any]]
) -> dict[int, tuple[Bound, ...]]:
    """What is declared stays where a pod would otherwise fall below the min of a LimitRange."""
    ranges = _ranges(limit_ranges, "min")
    bounds: dict[int, tuple[Bound, ...]] = {}
    for owner, members in _pods(recommendations).items():
        for whole in ranges.get(owner.namespace, ()):
            total = sum(_units(recommendations[i].proposed, whole.target) for i in members)
            for index in members if 0 < total < whole.most.units else ():
                now = recommendations[index].current.amount(whole.target)
                if now is not None:
                    bound = Bound(whole.target, now, f"a pod has no less: {whole.said}")
                    bounds[index] = (*bounds.get(index, ()), bound)
    return bounds


def _pods(recommendations: Mapping[int, Recommendation]) -> dict[WorkloadRef, list[int]]:
    """The containers that run together, by workload."""
    pods: dict[WorkloadRef, list[int]] = {}
    for index, found in recommendations.items():
        if found.container_type != "init":
            pods.setdefault(found.ref.workload_ref, []).append(index)
    return pods


def _of_node(node: Resources, beside: Sequence[Resources]) -> Iterator[Whole]:
    for target in TARGETS:
        most = node.amount(target)
        if most is not None:
            kind = Cpu if isinstance(most, Cpu) else Memory
            taken = kind(sum(_units(asked, target) for asked in beside))
            said = f"the largest node has {most.human()}"
            if taken.units:
                said += f", of which DaemonSets take {taken.human()} on every node"
            left = kind(max(0, most.units - taken.units))
            yield Whole(target, left, said, alone=taken.units > 0)


def _of_pod(declared: Resources) -> Iterator[Whole]:
    """What a pod declares of its sums; its limit bounds requests too where it declares no other."""
    for target in TARGETS:
        most = declared.amount(target) or declared.effective().amount(target)
        if most is not None:
            said = f"the pod itself declares {most.human()}"
            yield Whole(target, most, said, alone=True, each=target.endswith("limit"))


def _ranges(rows: Sequence[Mapping[str, Any]], constraint: str) -> dict[str, list[Whole]]:
    """What LimitRanges of type Pod say of sums, by namespace; requests and limits alike."""
    found: dict[str, list[Whole]] = {}
    for row in rows:
        if (row.get("type"), row.get("constraint")) == (POD.name, constraint) and is_complete(row):
            for target in _CONSTRAINED.get(str(row["resource"]), ()):
                cpu = target.startswith("cpu")
                value = float(row["value"])
                amount = Cpu(round(value * 1000)) if cpu else Memory(round(value))
                said = f"the LimitRange {row['name']} has a {constraint} of {amount.human()}"
                found.setdefault(str(row["namespace"]), []).append(
                    Whole(target, amount, said, alone=True)
                )
    return found


def _share(
    members: Sequence[int], recommendations: Mapping[int, Recommendation], whole: Whole
) -> Iterator[tuple[int, Room]]:
    """What is left beside the amounts that do not rise, in proportion to how far the others do."""
    wanted = {i: _units(recommendations[i].proposed, whole.target) for i in members}
    kept = {i: min(wanted[i], _units(recommendations[i].current, whole.target)) for i in members}
    total = sum(wanted.values())
    rises = {i: wanted[i] - kept[i] for i in members if wanted[i] > kept[i]}
    if total <= whole.most.units or not rises:
        return
    kind = Cpu if isinstance(whole.most, Cpu) else Memory
    step = _STEPS["cpu" if kind is Cpu else "memory"]
    free = max(0, whole.most.units - sum(kept.values()))
    many = f"the {len(members)} containers of the pod" if len(members) > 1 else "its pod"
    together = "together " if len(members) > 1 else ""
    reason = f"{many} would {together}ask for {kind(total).human()}, and {whole.said}"
    for i, rise in rises.items():
        share = kept[i] + free * rise // sum(rises.values())
        least = kept[i] or step
        yield i, Room(whole.target, kind(max(least, share // step * step)), reason)


def _alone(
    members: Sequence[int], recommendations: Mapping[int, Recommendation], whole: Whole
) -> Iterator[tuple[int, Room]]:
    """The whole for each by itself."""
    kind = Cpu if isinstance(whole.most, Cpu) else Memory
    for i in members:
        if _units(recommendations[i].proposed, whole.target) > whole.most.units:
            reason = f"no container of the pod may have more: {whole.said}"
            yield i, Room(whole.target, kind(whole.most.units), reason)


def _units(resources: Resources, target: TargetName) -> int:
    amount = resources.amount(target)
    return 0 if amount is None else amount.units
