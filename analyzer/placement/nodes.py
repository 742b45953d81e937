"""The nodes and the pods on them as they are, and which raises still find a place.

A pod that changes is made anew and goes where the scheduler puts it; one that does not change
stays where it is, and so do the pods of a DaemonSet. Where a pod may run is not exported: it is
taken to stay within the groups of nodes that its workload runs on now.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from analyzer.history import Histories
from analyzer.kinds import DAEMON_SET
from analyzer.quantity import Cpu, Memory, Resources
from analyzer.workload import ContainerRef, WorkloadRef

Array = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

MOST_PODS = 110
"""What the kubelet admits on a node, unless told otherwise."""
_GROUPS = (
    "karpenter.sh/nodepool",
    "eks.amazonaws.com/nodegroup",
    "cloud.google.com/gke-nodepool",
    "kubernetes.azure.com/agentpool",
    "agentpool",
    "node.kubernetes.io/instance-type",
)
"""Labels that name the group of a node, the most telling first."""
_NEARLY = 1e-9


@dataclass(frozen=True)
class Nodes:
    """The nodes, and the pods that run on them at the end of the window.

    `allocatable` has the shape (nodes, 2), cores and bytes. `pods` is the workload of each pod,
    an index into `workloads`, and `where` its node.
    """

    names: tuple[str, ...]
    groups: tuple[str, ...]
    allocatable: Array
    workloads: tuple[WorkloadRef, ...]
    pods: Ints
    where: Ints

    @property
    def daemons(self) -> npt.NDArray[np.bool_]:
        """Which workloads run on their nodes whatever happens."""
        return np.array([ref.kind == DAEMON_SET.name for ref in self.workloads], dtype=bool)

    def sums(self, wanted: Array) -> Array:
        """What the pods of each node ask for, (nodes, 2), where workloads want (workloads, 2)."""
        total = np.zeros_like(self.allocatable)
        np.add.at(total, self.where, wanted[self.pods])
        return total

    def held(self) -> Ints:
        """How many pods each node has."""
        return np.bincount(self.where, minlength=len(self.names)).astype(np.int64)


def nodes_of(histories: Histories) -> Nodes | None:
    """The nodes and pods of a cluster; None where either is not told."""
    nodes = [
        node
        for node in histories.meta.nodes
        if node.get("cpu_allocatable_cores") and node.get("memory_allocatable_bytes")
    ]
    table = histories.pods
    running = table[table["ended"].isna() & table["node"].notna() & table["workload"].notna()]
    position = {str(node["name"]): number for number, node in enumerate(nodes)}
    running = running[running["node"].isin(position)]
    if running.empty:
        return None
    of: dict[WorkloadRef, int] = {}
    columns = zip(running["namespace"], running["workload_kind"], running["workload"], strict=True)
    cluster = histories.meta.cluster
    pods = [of.setdefault(WorkloadRef(cluster, *map(str, names)), len(of)) for names in columns]
    return Nodes(
        names=tuple(position),
        groups=tuple(group_of(node) for node in nodes),
        allocatable=np.array(
            [[n["cpu_allocatable_cores"], n["memory_allocatable_bytes"]] for n in nodes], float
        ),
        workloads=tuple(of),
        pods=np.array(pods, dtype=np.int64),
        where=np.array([position[str(name)] for name in running["node"]], dtype=np.int64),
    )


def group_of(node: Mapping[str, Any]) -> str:
    """The group of a node: by the label that its provider gives it, else by its size."""
    labels = node.get("labels") or {}
    for name in _GROUPS:
        value = labels.get(name) or labels.get(_metric_name(name))
        if value:
            return str(value)
    cpu = Cpu.from_cores(float(node["cpu_allocatable_cores"])).human()
    memory = Memory.from_bytes(float(node["memory_allocatable_bytes"])).human()
    return f"{cpu.removesuffix(' CPU')} CPU, {memory}"


def _metric_name(label: str) -> str:
    """How kube-state-metrics spells a label."""
    return "".join(character if character.isalnum() else "_" for character in label)


def pod_requests(nodes: Nodes, amounts: Iterable[tuple[ContainerRef, str, Resources]]) -> Array:
    """What a pod of each workload asks for, (workloads, 2), as the scheduler counts it.

    Init containers count by their maximum, beside the sidecars that run already. `amounts` are
    containers with their type and what they declare; a workload without any asks for nothing.
    """
    position = {ref: number for number, ref in enumerate(nodes.workloads)}
    parts = {kind: np.zeros((len(position), 2)) for kind in ("app", "sidecar", "init")}
    for ref, kind, declared in amounts:
        number = position.get(ref.workload_ref)
        if number is None:
            continue
        asked = _asked(declared.effective())
        if kind == "init":
            parts[kind][number] = np.maximum(parts[kind][number], asked)
        else:
            parts[kind][number] += asked
    result: Array = parts["sidecar"] + np.maximum(parts["app"], parts["init"])
    return result


def _asked(declared: Resources) -> tuple[float, float]:
    cpu, memory = declared.cpu_request, declared.memory_request
    return (cpu.cores if cpu else 0.0), (float(memory.bytes) if memory else 0.0)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What pods ask for now and would ask for, both of the shape (workloads, 2)."""

    now: Array
    new: Array

    @property
    def raised(self) -> Ints:
        """The workloads whose pods ask for more of something."""
        return np.flatnonzero((self.new > self.now + _NEARLY).any(axis=1))


def without_place(nodes: Nodes, wanted: Wanted, order: Sequence[int]) -> dict[int, str]:
    """The raises, as workloads, that find no place for all of their pods, and where they looked.

    They are tried in `order`, each beside those that were granted before it. All others ask for
    the lesser of what they ask for now and would ask for.
    """
    kept = np.minimum(wanted.now, wanted.new)
    free = nodes.allocatable - nodes.sums(kept)
    held, daemons = nodes.held(), nodes.daemons
    members = _members(nodes)
    groups = np.array(nodes.groups)
    refused: dict[int, str] = {}
    for workload in order:
        pods = members[workload]
        at = nodes.where[pods]
        mine = sorted(set(groups[at].tolist()))
        before, count = free.copy(), held.copy()
        if daemons[workload]:
            np.add.at(free, at, kept[workload] - wanted.new[workload])
            short = at[(free[at] < -_NEARLY).any(axis=1)]
            lacking = nodes.names[int(short[0])] if len(short) else ""
        else:
            np.add.at(free, at, kept[workload])
            np.subtract.at(held, at, 1)
            allowed = np.flatnonzero(np.isin(groups, mine))
            placed = _place(nodes, free, held, wanted.new[workload], allowed, len(pods))
            lacking = "" if placed else ", ".join(mine)
        if lacking:
            free, held = before, count
            refused[workload] = lacking
    return refused


def _members(nodes: Nodes) -> dict[int, Ints]:
    """The pods of each workload."""
    order = np.argsort(nodes.pods, kind="stable")
    ends = np.cumsum(np.bincount(nodes.pods, minlength=len(nodes.workloads)))
    return dict(enumerate(np.split(order, ends[:-1])))


def _place(nodes: Nodes, free: Array, held: Ints, need: Array, allowed: Ints, count: int) -> bool:
    """Put `count` equal pods where most is free, one by one; whether all found a node."""
    size = nodes.allocatable[allowed]
    for _ in range(count):
        room = free[allowed]
        fits = (room >= need - _NEARLY).all(axis=1) & (held[allowed] < MOST_PODS)
        if not fits.any():
            return False
        share = np.where(fits, ((room - need) / size).sum(axis=1), -np.inf)
        node = allowed[int(share.argmax())]
        free[node] -= need
        held[node] += 1
    return True
