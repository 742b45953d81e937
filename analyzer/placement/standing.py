"""Where pods stand, as they are moved about: what fits beside what.

A pod that changes is made anew and goes where the scheduler puts it; one that does not change
stays where it is, and so do the pods of a DaemonSet.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from analyzer.kinds import DAEMON_SET
from analyzer.placement.nodes import RESOURCES, Array, Ints, Nodes, Wanted

_NEARLY = 1e-9
_SCORED = len(RESOURCES)
"""By CPU and memory the scheduler chooses; by the others it only refuses."""


@dataclass
class Standing:
    """The node of every pod, -1 for none, and what each node has left.

    `need` is what a pod of each workload asks for, (workloads, resources); `free` is (nodes,
    resources), and `held` how many pods a node has.
    """

    nodes: Nodes
    need: Array
    where: Ints
    free: Array
    held: Ints

    @classmethod
    def of(cls, nodes: Nodes, need: Array) -> Standing:
        """As they stand now, each asking for `need`."""
        free = nodes.allocatable - nodes.sums(need)
        if nodes.absent:
            free[-nodes.absent :] -= _on_every_node(nodes, need)
        return cls(nodes, need.copy(), nodes.where.copy(), free, nodes.held())

    def copy(self) -> Standing:
        """Another to try something on."""
        return replace(
            self,
            need=self.need.copy(),
            where=self.where.copy(),
            free=self.free.copy(),
            held=self.held.copy(),
        )

    def close(self, nodes: Iterable[int]) -> None:
        """Let nothing be put on these nodes any more."""
        self.free[list(nodes)] = -np.inf

    def lift(self, pods: Ints) -> None:
        """Take pods off their nodes."""
        at = self.where[pods]
        np.add.at(self.free, at, self.need[self.nodes.pods[pods]])
        np.subtract.at(self.held, at, 1)
        self.where[pods] = -1

    def put(self, pod: int, *, tightly: bool = False) -> bool:
        """Put one pod on a node that it may use; whether any took it.

        It goes where most is free, as the scheduler does it; `tightly` where least is.
        """
        workload = int(self.nodes.pods[pod])
        allowed = self.nodes.usable(workload)
        need = self.need[workload]
        room = self.free[allowed]
        fits = (room >= need - _NEARLY).all(axis=1)
        fits &= self.held[allowed] < self.nodes.most_pods[allowed]
        if workload in self.nodes.spreads:
            fits &= self._apart(workload, allowed)
        for values, others in self.nodes.away.get(workload, ()):
            at = self.where[others]
            taken = np.unique(values[at[at >= 0]])
            fits &= (values[allowed] < 0) | ~np.isin(values[allowed], taken)
        for company in self.nodes.near.get(workload, ()):
            fits &= company.grants(allowed, self.where)
        if not fits.any():
            return False
        size = self.nodes.allocatable[allowed, :_SCORED]
        share = ((room - need)[:, :_SCORED] / size).sum(axis=1) * (-1 if tightly else 1)
        node = allowed[int(np.where(fits, share, -np.inf).argmax())]
        self.free[node] -= need
        self.held[node] += 1
        self.where[pod] = node
        return True

    def _apart(self, workload: int, allowed: Ints) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        """Which of the nodes keep the workload's pods as far apart as they ask to be."""
        at = self.where[self.nodes.members[workload]]
        at = at[at >= 0]
        fits = np.ones(len(allowed), dtype=bool)
        for values, skew in self.nodes.spreads[workload]:
            counts = np.bincount(values[at] + 1, minlength=int(values.max()) + 2)
            mine = counts[values[allowed] + 1]
            if skew is None:
                fits &= (values[allowed] < 0) | (mine == 0)
                continue
            open_ = np.isfinite(self.free[allowed, 0]) & (values[allowed] >= 0)
            least = mine[open_].min(initial=np.iinfo(np.int64).max)
            fits &= (values[allowed] >= 0) & (mine + 1 - least <= skew)
        return fits

    def settle(self, pods: Ints, *, tightly: bool = False) -> list[int]:
        """Put each of the pods somewhere, the largest first; those that found no place."""
        size = self.nodes.allocatable[:, :_SCORED].max(axis=0)
        share = (self.need[self.nodes.pods[pods], :_SCORED] / size).max(axis=1)
        ordered = pods[np.argsort(-share, kind="stable")]
        left = [pod for pod in ordered.tolist() if not self.put(pod, tightly=tightly)]
        while self.nodes.near and left:  # those that wait for the pods they have to stand beside
            still = [pod for pod in left if not self.put(pod, tightly=tightly)]
            if len(still) == len(left):
                break
            left = still
        return left

    def movable(self, nodes: Sequence[int]) -> Ints:
        """The pods on these nodes that go elsewhere when the nodes go."""
        return np.flatnonzero(np.isin(self.where, nodes) & ~self.nodes.bound[self.nodes.pods])


def _on_every_node(nodes: Nodes, need: Array) -> Array:
    """What the DaemonSets ask for that have a pod on every node that is there."""
    there = len(nodes.names) - nodes.absent
    counts = np.bincount(nodes.pods, minlength=len(nodes.workloads))
    total: Array = need[nodes.daemons & (counts >= there)].sum(axis=0)
    return total


def after_loss(standing: Standing, members: Ints, count: int = 1) -> tuple[list[int], list[int]]:
    """The `count` fullest of some nodes, and the pods of theirs that find no place elsewhere."""
    size = standing.nodes.allocatable[members, :_SCORED]
    left = np.where(
        np.isfinite(standing.free[members, :_SCORED]), standing.free[members, :_SCORED], size
    )
    fullest = members[np.argsort((left / size).min(axis=1), kind="stable")[:count]].tolist()
    trial = standing.copy()
    pods = trial.movable(fullest)
    trial.lift(pods)
    trial.close(fullest)
    return fullest, trial.settle(pods)


def drained(
    standing: Standing, members: Ints, spare: int = 0, beside: Sequence[Ints] = ()
) -> tuple[list[int], Standing]:
    """The nodes among `members` that could go together, the emptiest first, and what stands then.

    Their pods find room on the others, put there by the scheduler's own rule, and of the pods of
    the `spare` fullest nodes that are left none would be without room if those were lost; nor of
    those of each group `beside`, where that held before. A node with pods that nobody would make
    anew elsewhere stays, and so does one of the control plane.
    """
    gone = _emptied(standing, members)
    held = [nodes for nodes in beside if spare and gone and not _short(standing, nodes, spare)]
    while gone:
        trial = standing.copy()
        pods = trial.movable(gone)
        trial.lift(pods)
        trial.close(gone)
        left = np.setdiff1d(members, gone)
        kept = [left, *held] if spare else []
        if not trial.settle(pods) and not any(_short(trial, nodes, spare) for nodes in kept):
            return gone, trial
        gone.pop()
    return gone, standing


def _emptied(standing: Standing, members: Ints) -> list[int]:
    """The nodes that could go if their pods were put wherever they fit best."""
    gone: list[int] = []
    used = 1 - (standing.free[members, :_SCORED] / standing.nodes.allocatable[members, :_SCORED])
    alone = standing.nodes.bound & ~standing.nodes.daemons
    kept = set(standing.where[alone[standing.nodes.pods]].tolist())
    kept |= {n for n, node in enumerate(standing.nodes.described) if node.control_plane}
    for node in members[np.argsort(used.max(axis=1), kind="stable")].tolist():
        if node in kept:
            continue
        trial = standing.copy()
        pods = trial.movable([node])
        trial.lift(pods)
        trial.close([node])
        if not trial.settle(pods, tightly=True):
            gone.append(node)
            standing = trial
    return gone


def _short(standing: Standing, members: Ints, spare: int) -> bool:
    """Whether the loss of the fullest of these nodes would leave pods without room."""
    return len(members) <= spare or bool(after_loss(standing, members, spare)[1])


def too_large(nodes: Nodes, need: Array) -> dict[int, str]:
    """The workloads whose pods fit no node that they may use, empty but for its DaemonSets.

    Each with what all of these nodes lack.
    """
    bound = nodes.daemons[nodes.pods]
    room = nodes.allocatable.copy()
    np.subtract.at(room, nodes.where[bound], need[nodes.pods[bound]])
    found = {}
    for workload in np.flatnonzero(~nodes.bound).tolist():
        usable = room[nodes.usable(workload)]
        if not (usable >= need[workload] - _NEARLY).all(axis=1).any():
            lacking = _lacking(nodes, usable, need[workload])
            found[workload] = f"no node that it may use has so much {lacking}"
    return found


def _lacking(nodes: Nodes, room: Array, need: Array) -> str:
    """The resource that is short on all of some nodes, or all that are asked for together."""
    if not len(room):
        return "to give"
    short = [
        nodes.resources[r] for r in range(len(need)) if not (room[:, r] >= need[r] - _NEARLY).any()
    ]
    return " and ".join(short) or "of everything together"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a raise is not made: `where` its pods looked, or the node that could not be `lost`.

    `homeless` is how many pods would be without a place.
    """

    where: str
    lost: str = ""
    homeless: int = 0


def without_place(
    nodes: Nodes,
    wanted: Wanted,
    order: Sequence[int],
    spare: Mapping[int, int] = {},
) -> dict[int, Refusal]:
    """The raises, as workloads, that find no place for all of their pods, and why.

    They are tried in `order`, each beside those that were granted before it. All others ask for
    the lesser of what they ask for now and would ask for. `spare` says of a workload how many of
    the fullest nodes of a group its raise has to leave room for the loss of.
    """
    standing = Standing.of(nodes, np.minimum(wanted.now, wanted.new))
    refused: dict[int, Refusal] = {}
    for workload in order:
        trial = standing.copy()
        refusal = _tried(trial, workload, wanted.new[workload])
        if refusal is None and spare.get(workload):
            refusal = _lost(trial, workload, spare[workload])
        if refusal is None:
            standing = trial
        else:
            refused[workload] = refusal
    return refused


def _tried(trial: Standing, workload: int, need: Array) -> Refusal | None:
    """Let the pods of a workload ask for `need`; why they cannot, or None."""
    nodes, pods = trial.nodes, trial.nodes.members[workload]
    if nodes.workloads[workload].kind == DAEMON_SET.name:
        at = trial.where[pods]
        np.add.at(trial.free, at, trial.need[workload] - need)
        trial.need[workload] = need
        short = at[(trial.free[at] < -_NEARLY).any(axis=1)]
        return Refusal(nodes.names[int(short[0])]) if len(short) else None
    trial.lift(pods)
    trial.need[workload] = need
    homeless = trial.settle(pods)
    return Refusal(nodes.told_groups(workload), homeless=len(homeless)) if homeless else None


def _lost(trial: Standing, workload: int, spare: int) -> Refusal | None:
    """Why the nodes that the pods of a workload stand on could not be lost, or None.

    A group of no more nodes than are to be spared cannot lose them, raised or not.
    """
    nodes = trial.nodes
    at = trial.where[nodes.members[workload]]
    groups = np.array(nodes.groups)
    for group in sorted({nodes.groups[number] for number in at.tolist()}):
        members = np.flatnonzero(groups == group)
        if len(members) <= spare:
            continue
        lost, homeless = after_loss(trial, members, spare)
        if homeless:
            names = ", ".join(nodes.names[number] for number in lost)
            return Refusal(group, names, len(homeless))
    return None
