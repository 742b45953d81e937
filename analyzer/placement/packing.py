"""What each node and each group of nodes holds, now and once everything proposed is in force.

Sums by real placement say how full the nodes are; taking nodes away one by one says which could go,
and losing the fullest whether its pods would find room.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from analyzer.placement.coming import Numbers
from analyzer.placement.nodes import Ints, Nodes, Wanted
from analyzer.placement.standing import Standing, after_loss, drained, too_large, without_place

HOURS = 730
"""Hours of a month."""
_NEARLY = 1e-9


@dataclass(frozen=True, slots=True)
class GroupUse:
    """A group of nodes: cores and bytes that it has, and that its pods ask for.

    `needed_now` and `needed_after` are how few of its nodes do, when those go whose pods find room
    on the others. `homeless` are the pods that would find no room if the fullest node were lost.
    Money is per month: `freed` is what no longer is asked for, `saved` what the nodes cost that can
    go because of it; None without prices.
    """

    name: str
    nodes: int
    pods: int
    cpu_cores: float
    memory_bytes: float
    cpu_now: float
    cpu_after: float
    memory_now: float
    memory_after: float
    needed_now: int
    needed_after: int
    homeless: int
    freed: float | None = None
    saved: float | None = None
    numbers: Numbers | None = None
    """How many nodes it had over the window; None where none came or went."""
    control_plane: int = 0
    """How many of its nodes are of the control plane, which never go."""

    @property
    def stays(self) -> bool:
        """Whether all of it is control plane, so that it is not asked how few would do."""
        return 0 < self.nodes == self.control_plane


@dataclass(frozen=True, slots=True)
class NodeUse:
    """One node: what it can give to pods, and what the pods that stand on it ask for.

    `can_go` says that its pods would find room elsewhere once everything proposed is in force,
    after the nodes before it have gone. `short` names the resources of which its pods
    ask for more than it has. `others` are further resources (GPUs, huge pages), each with what it
    has and what is asked for, which nothing here changes.
    """

    name: str
    group: str
    pods: int
    cpu_cores: float
    memory_bytes: float
    cpu_now: float
    cpu_after: float
    memory_now: float
    memory_after: float
    can_go: bool = False
    short: tuple[str, ...] = ()
    others: Mapping[str, tuple[float, float]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Unplaced:
    """Pods of a workload that find no place among the nodes that they may use (`where`)."""

    workload: str
    pods: int
    cpu_cores: float
    memory_bytes: float
    where: str
    reason: str


@dataclass(frozen=True)
class Packing:
    """All groups and nodes; `unknown` are pods of workloads whose requests nobody told.

    `spare` is how many of the fullest nodes of a group are to be left room for the loss of.
    """

    groups: tuple[GroupUse, ...]
    unknown: int = 0
    nodes: tuple[NodeUse, ...] = ()
    unplaced: tuple[Unplaced, ...] = ()
    spare: int = 0

    @property
    def count(self) -> int:
        """How many nodes there are."""
        return sum(group.nodes for group in self.groups)

    @property
    def needed_now(self) -> int:
        """How few of them hold what is requested now."""
        return sum(group.needed_now for group in self.groups)

    @property
    def needed_after(self) -> int:
        """How few of them hold what is proposed."""
        return sum(group.needed_after for group in self.groups)


def pack_groups(
    nodes: Nodes,
    wanted: Wanted,
    prices: Mapping[str, tuple[float, float]] = {},
    spare: int = 0,
    growing: Sequence[int] = (),
) -> Packing:
    """What each node and group holds; `prices` are per core-hour and GiB-hour by group.

    The group ``*`` is any other. Nodes that could go leave room for the loss of `spare` more, and
    for the pods of those that went before them, of whichever group. `growing` are the workloads
    for whose pods nodes would be added.
    """
    found, gone, gone_before = [], set[int](), set[int]()
    now, after = (Standing.of(nodes, of) for of in (wanted.now, wanted.new))
    full = after
    group_names = np.array(nodes.groups)
    groups = {name: np.flatnonzero(group_names == name) for name in sorted(set(nodes.groups))}
    for name, members in groups.items():
        homeless = len(after_loss(full, members)[1])
        others = [of for other, of in groups.items() if other != name]
        gone_now, now = drained(now, members, spare, [_left(of, gone_before) for of in others])
        gone_after, after = drained(after, members, spare, [_left(of, gone) for of in others])
        price = prices.get(name, prices.get("*"))
        found.append(
            _group(nodes, wanted, (name, members), (gone_now, gone_after, homeless), price)
        )
        gone.update(gone_after)
        gone_before.update(gone_now)
    silent = np.logical_not(wanted.now.any(axis=1) | wanted.new.any(axis=1))
    return Packing(
        tuple(found),
        int(silent[nodes.pods].sum()),
        tuple(_each_node(nodes, wanted, gone)),
        tuple(_unplaced(nodes, wanted, growing)),
        spare,
    )


def _left(members: Ints, gone: set[int]) -> Ints:
    """The nodes of a group that have not gone."""
    return np.setdiff1d(members, list(gone))


def _group(
    nodes: Nodes,
    wanted: Wanted,
    group: tuple[str, Ints],
    tried: tuple[Sequence[int], Sequence[int], int],
    price: tuple[float, float] | None,
) -> GroupUse:
    """One group with its members.

    `tried` are the nodes that could go now and after, and how many would be homeless.
    """
    name, members = group
    gone_now, gone_after, homeless = tried
    now, after = (nodes.sums(of)[members, :2].sum(axis=0) for of in (wanted.now, wanted.new))
    freed = saved = None
    if price is not None:
        hourly = np.array([price[0], price[1] / 1024**3])
        cost = nodes.allocatable[:, :2] @ hourly
        freed = float((now - after) @ hourly) * HOURS
        saved = max(0.0, float(cost[gone_after].sum() - cost[gone_now].sum())) * HOURS
    size = nodes.allocatable[members]
    return GroupUse(
        name=name,
        nodes=len(members),
        pods=int(np.isin(nodes.where, members).sum()),
        cpu_cores=float(size[:, 0].sum()),
        memory_bytes=float(size[:, 1].sum()),
        cpu_now=_cores(now[0]),
        cpu_after=_cores(after[0]),
        memory_now=float(now[1]),
        memory_after=float(after[1]),
        needed_now=len(members) - len(gone_now),
        needed_after=len(members) - len(gone_after),
        homeless=homeless,
        freed=freed,
        saved=saved,
        control_plane=sum(
            node.control_plane for number, node in enumerate(nodes.described) if number in members
        ),
    )


def _cores(value: float) -> float:
    """A sum of cores without the dust of floating point: amounts are millicores."""
    return round(float(value), 6)


def _each_node(nodes: Nodes, wanted: Wanted, gone: set[int]) -> list[NodeUse]:
    now, after, held = nodes.sums(wanted.now), nodes.sums(wanted.new), nodes.held()
    found = []
    for number, name in enumerate(nodes.names):
        size = nodes.allocatable[number]
        over = np.flatnonzero(after[number] > size + _NEARLY * np.maximum(size, 1))
        further = range(2, len(nodes.resources))
        found.append(
            NodeUse(
                name=name,
                group=nodes.groups[number],
                pods=int(held[number]),
                cpu_cores=float(size[0]),
                memory_bytes=float(size[1]),
                cpu_now=_cores(now[number, 0]),
                cpu_after=_cores(after[number, 0]),
                memory_now=float(now[number, 1]),
                memory_after=float(after[number, 1]),
                can_go=number in gone,
                short=tuple(nodes.resources[r] for r in over.tolist()),
                others={
                    nodes.resources[r]: (float(size[r]), float(after[number, r]))
                    for r in further
                    if size[r] or after[number, r]
                },
            )
        )
    return found


def _unplaced(nodes: Nodes, wanted: Wanted, growing: Sequence[int]) -> list[Unplaced]:
    """The workloads with pods that no node they may use can take.

    First those that are larger than any such node when it is empty but for its DaemonSets; then
    the `growing` ones, after all other raises, that find no room on the nodes of now.
    """
    found = too_large(nodes, wanted.new)
    raised = [w for w in wanted.raised.tolist() if w not in found]
    order = sorted(raised, key=lambda workload: workload in growing)
    for workload in without_place(nodes, wanted, order):
        if workload in growing:
            found[workload] = "a node has to be added for it"
    return [
        Unplaced(
            workload=str(nodes.workloads[workload]),
            pods=len(nodes.members[workload]),
            cpu_cores=float(wanted.new[workload, 0]),
            memory_bytes=float(wanted.new[workload, 1]),
            where=nodes.told_groups(workload) or "no node",
            reason=reason,
        )
        for workload, reason in found.items()
    ]
