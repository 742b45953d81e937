"""What the containers of one pod leave each other: Kubernetes schedules pods, not containers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

from analyzer.quantity import Cpu, Memory, Quantity, Resources, TargetName
from analyzer.recommend.case import Room
from analyzer.recommend.recommendation import Recommendation
from analyzer.workload import WorkloadRef

_Request = Literal["cpu_request", "memory_request"]
_REQUESTS: tuple[_Request, ...] = ("cpu_request", "memory_request")
_STEPS = {"cpu_request": 50, "memory_request": 16 * 1024**2}
"""Amounts that share a node are rounded down to these."""


def find_rooms(
    recommendations: Mapping[int, Recommendation], node: Resources
) -> dict[int, tuple[Room, ...]]:
    """The most that each container may ask for where the pod would not fit the largest node.

    Init containers run before the others, one by one, and take nothing from them.
    """
    pods: dict[WorkloadRef, list[int]] = {}
    for index, found in recommendations.items():
        if found.container_type != "init":
            pods.setdefault(found.ref.workload_ref, []).append(index)
    rooms: dict[int, tuple[Room, ...]] = {}
    for members in pods.values():
        for target in _REQUESTS:
            most = node.amount(target)
            if len(members) > 1 and most is not None:
                for index, room in _share(members, recommendations, target, most):
                    rooms[index] = (*rooms.get(index, ()), room)
    return rooms


def _share(
    members: Sequence[int],
    recommendations: Mapping[int, Recommendation],
    target: TargetName,
    node: Quantity,
) -> Iterator[tuple[int, Room]]:
    """What is left beside the amounts that do not rise, in proportion to how far the others do."""
    wanted = {i: _units(recommendations[i].proposed, target) for i in members}
    kept = {i: min(wanted[i], _units(recommendations[i].current, target)) for i in members}
    total = sum(wanted.values())
    rises = {i: wanted[i] - kept[i] for i in members if wanted[i] > kept[i]}
    if total <= node.units or not rises:
        return
    kind = Cpu if isinstance(node, Cpu) else Memory
    free = max(0, node.units - sum(kept.values()))
    reason = (
        f"the {len(members)} containers of the pod would together ask for {kind(total).human()}, "
        f"and the largest node has {node.human()}"
    )
    for i, rise in rises.items():
        share = kept[i] + free * rise // sum(rises.values())
        least = kept[i] or _STEPS[target]
        yield i, Room(target, kind(max(least, share // _STEPS[target] * _STEPS[target])), reason)


def _units(resources: Resources, target: TargetName) -> int:
    amount = resources.amount(target)
    return 0 if amount is None else amount.units
