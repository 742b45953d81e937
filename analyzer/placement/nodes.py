"""The nodes and the pods on them as they are.

A node has amounts of resources that it can give to pods; a pod asks for its containers' CPU and
memory, and beside them for what is never changed here: its overhead, GPUs, huge pages, ephemeral
storage. Where it may run, `analyzer.scheduling` says.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from analyzer.history import Histories
from analyzer.kinds import DAEMON_SET, POD
from analyzer.quantity import Cpu, Memory, Resources
from analyzer.scheduling import (
    HOSTNAME,
    Away,
    Candidates,
    Node,
    Requirement,
    Scheduling,
    metric_name,
    node_of,
    selects,
    toleration_of,
)
from analyzer.workload import ContainerRef, WorkloadRef

Array = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

MOST_PODS = 110
"""What the kubelet admits on a node, unless it says otherwise."""
RESOURCES = ("cpu", "memory")
"""What is proposed; further resources follow them in arrays, and stay as they are."""
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
_STANDING = frozenset({DAEMON_SET.name, POD.name, "Node"})
"""Owners whose pods no scheduler moves to another node: static pods belong to their node."""


@dataclass(frozen=True, slots=True)
class Company:
    """Pods one of which has to share a value of a label of nodes with those of a workload.

    `values` has the number of the value at each node, -1 without. With `own`, the pods of the
    workload are meant as well, so that the first of all may stand anywhere. `stood` are the values
    where they stand now.
    """

    values: Ints
    pods: Ints
    own: bool
    stood: Ints

    def grants(self, allowed: Ints, where: Ints) -> npt.NDArray[np.bool_]:
        """Which of the `allowed` nodes have such a pod near, by `where` all pods stand."""
        here = self.values[allowed]
        at = where[self.pods]
        found = self.values[at[at >= 0]] if len(self.pods) else self.stood
        if self.own and not len(found):
            granted: npt.NDArray[np.bool_] = here >= 0
            return granted
        return (here >= 0) & np.isin(here, found)


@dataclass(frozen=True)
class Nodes:
    """The nodes, and the pods that run on them at the end of the window.

    `allocatable` has the shape (nodes, resources): cores, bytes, then what `resources` names
    further. `pods` is the workload of each pod, an index into `workloads`, and `where` its node.
    `beside` is what a pod of each workload asks for beside its containers, (workloads, resources);
    None for nothing.
    """

    names: tuple[str, ...]
    groups: tuple[str, ...]
    allocatable: Array
    workloads: tuple[WorkloadRef, ...]
    pods: Ints
    where: Ints
    resources: tuple[str, ...] = RESOURCES
    described: tuple[Node, ...] = ()
    """The labels and taints of each node; empty where nobody told."""
    asked: Mapping[int, Scheduling] = field(default_factory=dict)
    """What the pods of a workload ask of nodes, as far as it is known."""
    beside: Array | None = None
    most: Ints | None = None
    """How many pods each node takes; None: `MOST_PODS`."""
    absent: int = 0
    """So many of the nodes, the last ones, are not there now: their groups had them before."""

    @property
    def daemons(self) -> npt.NDArray[np.bool_]:
        """Which workloads run on their nodes whatever happens."""
        return np.array([ref.kind == DAEMON_SET.name for ref in self.workloads], dtype=bool)

    @cached_property
    def bound(self) -> npt.NDArray[np.bool_]:
        """Which workloads' pods never go to another node."""
        return np.array([ref.kind in _STANDING for ref in self.workloads], dtype=bool)

    @cached_property
    def most_pods(self) -> Ints:
        """How many pods each node takes."""
        if self.most is not None:
            return self.most
        return np.full(len(self.names), MOST_PODS, dtype=np.int64)

    @cached_property
    def members(self) -> tuple[Ints, ...]:
        """The pods of each workload."""
        order = np.argsort(self.pods, kind="stable")
        ends = np.cumsum(np.bincount(self.pods, minlength=len(self.workloads)))
        return tuple(np.split(order, ends[:-1]))

    @cached_property
    def _candidates(self) -> tuple[Ints, ...]:
        choice = Candidates(self.described or (Node(),) * len(self.names), self.groups)
        arrays: dict[Sequence[int], Ints] = {}
        every = []
        for workload, pods in enumerate(self.members):
            found, _ = choice.of(self.asked.get(workload), set(self.where[pods].tolist()))
            numbers = tuple(found)
            if numbers not in arrays:
                arrays[numbers] = np.array(numbers, dtype=np.int64)
            every.append(arrays[numbers])
        return tuple(every)

    def usable(self, workload: int) -> Ints:
        """The nodes that a pod of the workload may be put on."""
        return self._candidates[workload]

    def told_groups(self, workload: int) -> str:
        """The groups of the nodes that a workload may use, for people."""
        return ", ".join(sorted({self.groups[number] for number in self.usable(workload)}))

    @cached_property
    def spreads(self) -> Mapping[int, tuple[tuple[Ints, int | None], ...]]:
        """By workload that has any: the value's number at each node, -1 without, and the skew.

        A label that no node tells cannot be judged, and is left out.
        """
        found = {}
        for workload, asked in self.asked.items():
            known = [(self._values(one.key), one.skew) for one in asked.spreads]
            judged = tuple((values, skew) for values, skew in known if (values >= 0).any())
            if judged:
                found[workload] = judged
        return found

    @cached_property
    def away(self) -> Mapping[int, tuple[tuple[Ints, Ints], ...]]:
        """By workload that has any: the value's number at each node, and the pods kept off it.

        Kubernetes keeps both sides apart, whichever asks for it. Workloads whose description is
        not known are kept away from nobody.
        """
        found: dict[int, list[tuple[Ints, Ints]]] = {}
        for workload, asked in self.asked.items():
            for one in asked.away:
                values = self._values(one.key)
                if not (values >= 0).any():
                    continue
                if one.namespaces and self._means(workload, one, workload):
                    found.setdefault(workload, []).append((values, self.members[workload]))
                for other in self._selected(workload, one):
                    found.setdefault(workload, []).append((values, self.members[other]))
                    found.setdefault(other, []).append((values, self.members[workload]))
        return {workload: tuple(pairs) for workload, pairs in found.items()}

    @cached_property
    def near(self) -> Mapping[int, tuple[Company, ...]]:
        """By workload that has any: the pods that its own have to stand beside.

        Where no pod is known that is meant, they stay where they stand.
        """
        found: dict[int, list[Company]] = {}
        for workload, asked in self.asked.items():
            for one in asked.near:
                values = self._values(one.key)
                if not (values >= 0).any():
                    continue
                others = list(self._selected(workload, one))
                own = self._means(workload, one, workload)
                pods = [self.members[n] for n in (*others, *([workload] if own else ()))]
                stood = values[self.where[self.members[workload]]]
                joined = np.concatenate(pods) if pods else np.zeros(0, dtype=np.int64)
                found.setdefault(workload, []).append(Company(values, joined, own, stood))
        return {workload: tuple(companies) for workload, companies in found.items()}

    def _selected(self, workload: int, term: Away) -> Iterator[int]:
        """The other workloads that a term of a workload means, as far as labels are known."""
        for other in self.asked:
            if other != workload and self._means(workload, term, other):
                yield other

    def _means(self, workload: int, term: Away, other: int) -> bool:
        """Whether a term of a workload means the pods of another, or of itself."""
        own, namespace = (self.workloads[number].namespace for number in (workload, other))
        labels = dict(self.asked[other].labels)
        return bool(labels) and term.means(own, namespace) and selects(term.selector, labels)

    def _values(self, key: str) -> Ints:
        texts = [node.labels.get(key) for node in self.described]
        if key == HOSTNAME:
            texts = list(self.names)
        number = {text: n for n, text in enumerate(dict.fromkeys(t for t in texts if t))}
        return np.array([number.get(text or "", -1) for text in texts], dtype=np.int64)

    def sums(self, wanted: Array) -> Array:
        """What the pods of each node ask for, where workloads want (workloads, resources)."""
        total = np.zeros_like(self.allocatable)
        np.add.at(total, self.where, wanted[self.pods])
        return total

    def held(self) -> Ints:
        """How many pods each node has."""
        return np.bincount(self.where, minlength=len(self.names)).astype(np.int64)


def with_absent(nodes: Nodes, absent: Mapping[str, int]) -> Nodes:
    """The nodes with so many more of each group as are `absent` and can come, all empty.

    Each is like the smallest of its group that is there; of a group without one nothing is known.
    """
    alike: list[int] = []
    for group, count in sorted(absent.items()):
        members = [number for number, name in enumerate(nodes.groups) if name == group]
        if members:
            smallest = min(members, key=lambda number: tuple(nodes.allocatable[number]))
            alike += [smallest] * count
    if not alike:
        return nodes
    described = nodes.described or (Node(),) * len(nodes.names)
    return replace(
        nodes,
        names=(*nodes.names, *(f"{nodes.groups[n]} +{k + 1}" for k, n in enumerate(alike))),
        groups=(*nodes.groups, *(nodes.groups[n] for n in alike)),
        allocatable=np.concatenate([nodes.allocatable, nodes.allocatable[alike]]),
        described=(*described, *(_uncordoned(described[n]) for n in alike)),
        most=np.concatenate([nodes.most_pods, nodes.most_pods[alike]]),
        absent=len(alike),
    )


def _uncordoned(node: Node) -> Node:
    """A node as it comes: one that is made anew is not cordoned, and has a name of its own."""
    taints = tuple(t for t in node.taints if t[0] != "node.kubernetes.io/unschedulable")
    labels = {name: value for name, value in node.labels.items() if name != HOSTNAME}
    return replace(node, taints=taints, labels=labels)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What pods ask for now and would ask for, both of the shape (workloads, resources)."""

    now: Array
    new: Array

    @property
    def raised(self) -> Ints:
        """The workloads whose pods ask for more of something."""
        return np.flatnonzero((self.new > self.now + _NEARLY).any(axis=1))


def nodes_of(histories: Histories) -> Nodes | None:
    """The nodes and pods of a cluster; None where either is not told."""
    rows = [
        node
        for node in histories.meta.nodes
        if node.get("cpu_allocatable_cores") and node.get("memory_allocatable_bytes")
    ]
    table = histories.pods
    running = table[table["ended"].isna() & table["node"].notna() & table["workload"].notna()]
    position = {str(node["name"]): number for number, node in enumerate(rows)}
    running = running[running["node"].isin(position)]
    if running.empty:
        return None
    of: dict[WorkloadRef, int] = {}
    columns = zip(running["namespace"], running["workload_kind"], running["workload"], strict=True)
    cluster = histories.meta.cluster
    pods = [of.setdefault(WorkloadRef(cluster, *map(str, names)), len(of)) for names in columns]
    resources = (*RESOURCES, *_further(rows))
    newest = _newest(running, pods, len(of))
    return Nodes(
        names=tuple(position),
        groups=tuple(group_of(node) for node in rows),
        allocatable=np.array([_amounts(node, resources) for node in rows], dtype=np.float64),
        workloads=tuple(of),
        pods=np.array(pods, dtype=np.int64),
        where=np.array([position[str(name)] for name in running["node"]], dtype=np.int64),
        resources=resources,
        described=tuple(map(node_of, rows)),
        asked=dict(_asked_of(newest, histories.scheduling, tuple(of))),
        beside=np.array([_beside(pod, resources) for pod in newest], dtype=np.float64),
        most=np.array([_most_pods(node) for node in rows], dtype=np.int64),
    )


def _further(rows: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """The resources beside CPU and memory that some node has, GPUs and the like."""
    known = {str(name) for row in rows for name in (row.get("allocatable") or {})}
    return tuple(sorted(known - {*RESOURCES, "pods"}))


def _amounts(row: Mapping[str, Any], resources: Sequence[str]) -> list[float]:
    further = row.get("allocatable") or {}
    first = float(row["cpu_allocatable_cores"]), float(row["memory_allocatable_bytes"])
    return [*first, *(float(further.get(name, 0.0)) for name in resources[2:])]


def _most_pods(row: Mapping[str, Any]) -> int:
    most = (row.get("allocatable") or {}).get("pods")
    return MOST_PODS if most is None else int(most)


def _newest(running: pd.DataFrame, pods: Sequence[int], count: int) -> list[Mapping[str, Any]]:
    """The row of the pod of each workload that started last."""
    newest: list[Mapping[str, Any]] = [{}] * count
    ordered = running.assign(_workload=pods).sort_values("started", kind="stable")
    for row in ordered.to_dict("records"):
        newest[row["_workload"]] = {str(key): value for key, value in row.items()}
    return newest


def _beside(pod: Mapping[str, Any], resources: Sequence[str]) -> list[float]:
    """What a pod asks for beside its containers' CPU and memory; of what no node has, nothing."""
    further = _decoded(pod.get("other_requests"), dict)
    overhead = [pod.get(name) for name in ("overhead_cpu_cores", "overhead_memory_bytes")]
    first = [
        float(value) if value is not None and math.isfinite(value) else 0.0 for value in overhead
    ]
    return [*first, *(float(further.get(name, 0.0)) for name in resources[2:])]


def _asked_of(
    newest: Sequence[Mapping[str, Any]],
    told: Mapping[WorkloadRef, Scheduling],
    workloads: Sequence[WorkloadRef],
) -> Iterator[tuple[int, Scheduling]]:
    """What is known of where each workload's pods may run: the whole of it, else what pods show."""
    for number, (pod, ref) in enumerate(zip(newest, workloads, strict=True)):
        whole = told.get(ref)
        shown = _shown(pod)
        if whole is not None:
            yield number, whole
        elif shown is not None:
            yield number, shown


def _shown(pod: Mapping[str, Any]) -> Scheduling | None:
    """What the metrics tell of a pod: its selector and its tolerations, but no affinity."""
    selector = _decoded(pod.get("node_selector"), dict)
    tolerations = _decoded(pod.get("tolerations"), list)
    told = isinstance(pod.get("tolerations"), str)
    if not selector and not told:
        return None
    return Scheduling(
        selector=tuple(
            Requirement(metric_name(str(key)), "In", (str(value),))
            for key, value in sorted(selector.items())
        ),
        tolerations=tuple(map(toleration_of, tolerations)) if told else None,
        source="metrics",
    )


def _decoded(text: Any, kind: type[Any]) -> Any:
    """JSON of a column of the pods table; an empty `kind` where there is none, or another thing."""
    if not isinstance(text, str):
        return kind()
    try:
        value = json.loads(text)
    except ValueError:
        return kind()
    return value if isinstance(value, kind) else kind()


def group_of(node: Mapping[str, Any]) -> str:
    """The group of a node: by the label that its provider gives it, else by its size."""
    labels = {metric_name(str(k)): v for k, v in (node.get("labels") or {}).items()}
    for name in _GROUPS:
        value = labels.get(metric_name(name))
        if value:
            return str(value)
    cpu = Cpu.from_cores(float(node["cpu_allocatable_cores"])).human()
    memory = Memory.from_bytes(float(node["memory_allocatable_bytes"])).human()
    return f"{cpu.removesuffix(' CPU')} CPU, {memory}"


def pod_requests(
    nodes: Nodes,
    amounts: Iterable[tuple[ContainerRef, str, Resources]],
    wholes: Mapping[WorkloadRef, Resources] = {},
) -> Array:
    """What a pod of each workload asks for, (workloads, resources), as the scheduler counts it.

    Init containers count by their maximum, beside the sidecars that run already; what a pod
    declares as a whole (`wholes`) takes the place of its containers' sum; overhead comes on top.
    `amounts` are containers with their type and what they declare; a workload without any asks for
    nothing.
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
    result: Array = np.zeros((len(position), len(nodes.resources)))
    result[:, :2] = parts["sidecar"] + np.maximum(parts["app"], parts["init"])
    for workload, whole in wholes.items():
        if workload in position:
            declares = np.array(_asked(whole.effective()))
            row = result[position[workload], :2]
            result[position[workload], :2] = np.where(declares > 0, declares, row)
    return result if nodes.beside is None else result + nodes.beside


def _asked(declared: Resources) -> tuple[float, float]:
    cpu, memory = declared.cpu_request, declared.memory_request
    return (cpu.cores if cpu else 0.0), (float(memory.bytes) if memory else 0.0)
