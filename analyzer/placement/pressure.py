"""Node pressure: pods on nodes, by what they request, and how often their sum passes the node.

A scheduler packs requests, and a node runs out by usage: both matter for a whole node, not for a
container alone. Pods that are busy together press together, so the sums are taken from what they
really used at each moment. Everything here is deterministic: pods come in one shuffled order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property

import numpy as np
import numpy.typing as npt

from analyzer.forked import shared_out
from analyzer.history import Histories
from analyzer.kinds import DAEMON_SET
from analyzer.placement.nodes import MOST_PODS
from analyzer.quantity import Cpu, Memory
from analyzer.workload import WorkloadRef

Array = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

ASSUMED_NODE = (8.0, 32.0 * 1024**3)
"""Cores and bytes of a node where the cluster tells of none."""
LATELY = timedelta(days=7)
OURS = ("today", "proposed")
"""The ways of requesting that a reader can do something about."""
SHARES = (0.01, 0.001)
"""Shares of node-time at which the nodes needed are told."""
SCALES = np.exp(np.linspace(np.log(0.4), np.log(4.0), 17))
"""Factors on all requests, among which the one that just meets such a share is looked for."""
MOST_TRIED = 3000
"""Of more pods than this a sample is packed at each scale, and nodes are counted in proportion."""
_SEED = 11


@dataclass(frozen=True)
class Pressure:
    """What one way of requesting does to nodes.

    `cpu_time` is the share of node-time in which the sum of usage passes the node's cores,
    `memory_weeks` the share of nodes where the sum of memory ever does. `needed` says, per share
    of node-time, how many nodes it takes when all requests are scaled until CPU passes no longer
    than that; None where no scale reaches it.
    """

    name: str
    nodes: int
    cpu_time: float
    memory_weeks: float
    needed: Mapping[str, int | None]


@dataclass(frozen=True)
class Placement:
    """Pods on equal nodes, packed by what is requested in each of several ways."""

    cpu: Cpu
    memory: Memory
    assumed: bool
    """Whether the node is assumed, because the cluster tells of none."""
    pods: int
    days: float
    ways: tuple[Pressure, ...]
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Slots:
    """The places that pods run in: a pod that replaces another takes over its slot.

    `slot[s]` is the slot of series ``s``, -1 for a pod that ran only for a while or on every node;
    `owner` is the workload of each slot.
    """

    histories: Histories
    slot: Ints
    owner: tuple[WorkloadRef, ...]
    daemon: tuple[WorkloadRef, ...]

    @cached_property
    def everywhere(self) -> Mapping[int, float]:
        """The series of DaemonSets, and what part of one each is: one over its pods."""
        usage, daemons = self.histories.usage, set(self.daemon)
        owners = [self.histories.containers[c].workload_ref for c in usage.container.tolist()]
        there = [series for series, owner in enumerate(owners) if owner in daemons]
        pods = Counter(owner for owner, _ in {(owners[s], usage.pods[s]) for s in there})
        return {series: 1.0 / pods[owners[series]] for series in there}

    @cached_property
    def used_everywhere(self) -> npt.NDArray[np.float32]:
        """What the DaemonSets use on every node, (2, steps)."""
        total = np.zeros((2, self.histories.usage.steps), dtype=np.float32)
        for series, scale in self.everywhere.items():
            self.add(total, series, scale)
        return total

    def add(self, total: npt.NDArray[np.float32], series: int, scale: float = 1.0) -> None:
        """Add what a series used, times `scale`, to a `total` of (2, steps)."""
        usage = self.histories.usage
        low, high = int(usage.offset[series]), int(usage.offset[series + 1])
        begin = int(usage.first[series])
        for number, values in enumerate((usage.cpu_cores, usage.memory_bytes)):
            used, sums = values[low:high], total[number, begin : begin + high - low]
            used = used if scale == 1 else used * np.float32(scale)
            np.add(sums, used, out=sums, where=~np.isnan(used))


def place(
    histories: Histories, ways: Mapping[str, tuple[Array, Array]], days: timedelta = LATELY
) -> Placement | None:
    """Pack the pods of the last `days` by each way of requesting; None where there are none.

    `ways` holds, per name, the CPU and memory requests of every container, NaN for none.
    """
    steps = min(histories.usage.steps, round(days / histories.usage.step))
    recent = histories.between(histories.usage.steps - steps, histories.usage.steps)
    slots = slots_of(recent)
    if not slots.owner:
        return None
    node, assumed = common_node(histories)
    names = list(ways)

    def answer(rows: slice) -> list[Pressure]:
        return [pressure(name, slots, ways[name], node) for name in names[rows]]

    alike = np.ones(len(names), dtype=np.int64)
    found = tuple(shared_out(answer, alike, histories.processes))
    return Placement(
        cpu=Cpu.from_cores(node[0]),
        memory=Memory.from_bytes(node[1]),
        assumed=assumed,
        pods=len(slots.owner),
        days=steps / recent.usage.steps_per_day,
        ways=found,
        warnings=tuple(_below_use(recent, slots, ways)),
    )


def common_node(histories: Histories) -> tuple[tuple[float, float], bool]:
    """Cores and bytes of the most common node, the larger of equals; and whether assumed."""
    sizes = Counter(
        (float(n["cpu_allocatable_cores"]), float(n["memory_allocatable_bytes"]))
        for n in histories.meta.nodes
        if "cpu_allocatable_cores" in n and "memory_allocatable_bytes" in n
    )
    if not sizes:
        return ASSUMED_NODE, True
    return max(sizes, key=lambda size: (sizes[size], size)), False


def slots_of(histories: Histories) -> Slots:
    """Which pods follow on each other: each takes the first slot of its workload that is free.

    A slot counts where it is filled at the end, or for half of the window.
    """
    usage = histories.usage
    last = usage.first + np.diff(usage.offset)
    pods: dict[WorkloadRef, dict[str, list[int]]] = {}
    for series, container in enumerate(usage.container.tolist()):
        if histories.spec(container).container_type != "init":
            owner = histories.containers[container].workload_ref
            pods.setdefault(owner, {}).setdefault(usage.pods[series], []).append(series)
    slot = np.full(len(usage.pods), -1, dtype=np.int64)
    owners: list[WorkloadRef] = []
    daemon = tuple(owner for owner in pods if owner.kind == DAEMON_SET.name)
    for owner in sorted(set(pods) - set(daemon)):
        spans = sorted(
            (int(usage.first[of].min()), int(last[of].max()), of) for of in pods[owner].values()
        )
        for members in _chains(spans, usage.steps):
            slot[members] = len(owners)
            owners.append(owner)
    return Slots(histories, slot, tuple(owners), daemon)


def _chains(spans: Sequence[tuple[int, int, list[int]]], steps: int) -> list[list[int]]:
    """Series by slot, of the slots that count; `spans` are begin, end and series of each pod."""
    ends: list[int] = []
    filled: list[int] = []
    members: list[list[int]] = []
    for begin, end, series in spans:
        free = next((n for n, until in enumerate(ends) if until <= begin), len(ends))
        if free == len(ends):
            ends.append(0)
            filled.append(0)
            members.append([])
        ends[free] = end
        filled[free] += end - begin
        members[free].extend(series)
    lasting = [n for n in range(len(ends)) if ends[n] >= steps - 1 or filled[n] >= steps / 2]
    return [members[n] for n in lasting]


def pressure(
    name: str, slots: Slots, requests: tuple[Array, Array], node: tuple[float, float]
) -> Pressure:
    """Pack the pods by these requests and hold the sums of their usage against the node."""
    wanted, room = _wanted_and_room(slots, requests, node)
    capacity, where = np.array(node), pack(wanted, room)
    cpu_time, memory_weeks = _passed(slots, where, capacity)
    tried: dict[float, tuple[int, float]] = {}
    some = np.sort(np.random.default_rng(_SEED).permutation(len(wanted))[:MOST_TRIED])

    def at(scale: float) -> tuple[int, float]:
        if scale not in tried:
            placed = np.full(len(wanted), -1, dtype=np.int64)
            placed[some] = pack(wanted[some] * scale, room)
            nodes = int(placed.max()) + 1
            share = _passed(slots, placed, capacity)[0]
            tried[scale] = (-(-nodes * len(wanted) // len(some)), share)
        return tried[scale]

    needed = {f"{share:g}": _least_nodes(at, share) for share in SHARES}
    return Pressure(name, int(where.max()) + 1, cpu_time, memory_weeks, needed)


def passed(
    slots: Slots, requests: tuple[Array, Array], node: tuple[float, float]
) -> tuple[float, float]:
    """The `cpu_time` and the `memory_weeks` of the pods packed by these requests."""
    return _passed(slots, pack(*_wanted_and_room(slots, requests, node)), np.array(node))


def _wanted_and_room(
    slots: Slots, requests: tuple[Array, Array], node: tuple[float, float]
) -> tuple[Array, Array]:
    """What each slot asks for, (slots, 2), and what DaemonSets leave of a node, (2,)."""
    wanted, everywhere = _pod_requests(slots, requests)
    capacity = np.array(node)
    return wanted, np.maximum(capacity - everywhere, 0.05 * capacity)


def _least_nodes(at: Callable[[float], tuple[int, float]], share: float) -> int | None:
    """The nodes at the least of `SCALES` whose share of node-time passed is small enough."""
    low, high = 0, len(SCALES) - 1
    if at(float(SCALES[high]))[1] > share:
        return None
    while low < high:
        middle = (low + high) // 2
        if at(float(SCALES[middle]))[1] <= share:
            high = middle
        else:
            low = middle + 1
    return at(float(SCALES[high]))[0]


def pack(wanted: Array, room: Array) -> Ints:
    """The node of each pod, by the rules of the scheduler.

    `wanted` has the shape (pods, 2), `room` (2,): cores and bytes. Each pod goes where the largest
    share is free (NodeResourcesFit, LeastAllocated) among the nodes with room for it; where none
    has, a node is added, as an autoscaler does. One that fits no node has one to itself.
    """
    free = np.tile(room[:, None], len(wanted))
    share = np.full(len(wanted), float((room / room).sum()))
    held = np.zeros(len(wanted), dtype=np.int64)
    where = np.empty(len(wanted), dtype=np.int64)
    count = 0
    for pod in np.random.default_rng(_SEED).permutation(len(wanted)).tolist():
        need = wanted[pod]
        cpu, memory = need - 1e-9
        fits = (free[0, :count] >= cpu) & (free[1, :count] >= memory)
        shares = np.where(fits, share[:count], -np.inf)
        node = int(shares.argmax()) if count else 0
        if not count or shares[node] == -np.inf:
            node = count
            count += 1
        free[:, node] -= need
        held[node] += 1
        share[node] = -np.inf if held[node] >= MOST_PODS else (free[:, node] / room).sum()
        where[pod] = node
    return where


def _pod_requests(slots: Slots, requests: tuple[Array, Array]) -> tuple[Array, Array]:
    """What each slot asks for, (slots, 2), and what the DaemonSets ask for on every node, (2,)."""
    histories = slots.histories
    of: dict[WorkloadRef, Array] = {}
    amounts = np.nan_to_num(np.stack(requests, axis=1))
    for index, ref in enumerate(histories.containers):
        if histories.spec(index).container_type != "init":
            of[ref.workload_ref] = of.get(ref.workload_ref, np.zeros(2)) + amounts[index]
    everywhere = sum((of[owner] for owner in slots.daemon), np.zeros(2))
    return np.array([of[owner] for owner in slots.owner]), np.asarray(everywhere)


def _passed(slots: Slots, where: Ints, capacity: Array) -> tuple[float, float]:
    """The share of node-time with CPU, and of nodes with memory, above what a node has.

    `where` is the node of each slot, -1 for one that is left out.
    """
    usage, count = slots.histories.usage, int(where.max()) + 1
    sums = np.zeros((2, count, usage.steps), dtype=np.float32)
    for series in np.flatnonzero(slots.slot >= 0).tolist():
        node = where[slots.slot[series]]
        if node >= 0:
            slots.add(sums[:, node], series)
    sums += slots.used_everywhere[:, None, :]
    over = sums > capacity[:, None, None]
    return float(over[0].mean()), float(over[1].any(axis=1).mean())


def _below_use(
    histories: Histories, slots: Slots, ways: Mapping[str, tuple[Array, Array]]
) -> list[str]:
    """What requests sum to less than what is used on average: no node can hold that for long."""
    usage = histories.usage
    found = []
    kept = np.repeat(slots.slot >= 0, np.diff(usage.offset))
    for number, (what, values) in enumerate(
        (("CPU", usage.cpu_cores), ("memory", usage.memory_bytes))
    ):
        seen = kept & ~np.isnan(values)
        used = float(values.sum(dtype=np.float64, where=seen)) / usage.steps
        for name in [name for name in ways if name in OURS]:
            asked = float(_pod_requests(slots, ways[name])[0][:, number].sum())
            if 0 < asked < used:
                sums = [_text(number, amount) for amount in (asked, used)]
                found.append(
                    f"{what} requests ({name}) sum to {sums[0]}, and {sums[1]} is used on average: "
                    "nodes filled by such requests have no room for the rest"
                )
    return found


def _text(number: int, amount: float) -> str:
    if number == 0:
        return f"{Cpu.from_cores(amount).human()} CPU"
    return Memory.from_bytes(amount).human()
