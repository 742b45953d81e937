"""What each group of nodes holds, now and once everything proposed is in force.

Sums by real placement say how full the nodes are; packing anew says how few of them would do, with
the pods of DaemonSets on every one, and whether the fullest could be lost.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from analyzer.placement.nodes import MOST_PODS, Nodes, Wanted

Array = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
HOURS = 730
"""Hours of a month."""


@dataclass(frozen=True, slots=True)
class GroupUse:
    """A group of nodes: cores and bytes that it has, and that its pods ask for.

    `needed_now` and `needed_after` are how few of its nodes hold all its pods when packed anew.
    `homeless` are the pods that would find no room if the fullest node were lost. Money is per
    month: `freed` is what no longer is asked for, `saved` what the nodes cost that need not be
    there for it; None without prices.
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


@dataclass(frozen=True)
class Packing:
    """All groups; `unknown` are pods of workloads whose requests nobody told."""

    groups: tuple[GroupUse, ...]
    unknown: int = 0


def pack_groups(
    nodes: Nodes, wanted: Wanted, prices: Mapping[str, tuple[float, float]] = {}
) -> Packing:
    """What each group holds; `prices` are per core-hour and GiB-hour by group, ``*`` for any."""
    found = [
        _group(
            nodes, wanted, name, np.flatnonzero([group == name for group in nodes.groups]), prices
        )
        for name in sorted(set(nodes.groups))
    ]
    silent = np.logical_not(wanted.now.any(axis=1) | wanted.new.any(axis=1))
    return Packing(tuple(found), int(silent[nodes.pods].sum()))


def _group(
    nodes: Nodes,
    wanted: Wanted,
    name: str,
    members: Ints,
    prices: Mapping[str, tuple[float, float]],
) -> GroupUse:
    size = nodes.allocatable[members]
    now, after = (nodes.sums(of)[members].sum(axis=0) for of in (wanted.now, wanted.new))
    needed = [_fewest(nodes, of, members) for of in (wanted.now, wanted.new)]
    price = prices.get(name, prices.get("*"))
    freed = saved = None
    if price is not None:
        hourly = np.array([price[0], price[1] / 1024**3])
        freed = float((now - after) @ hourly) * HOURS
        smallest = np.sort(size @ hourly)[: max(0, needed[0] - needed[1])]
        saved = float(smallest.sum()) * HOURS
    return GroupUse(
        name=name,
        nodes=len(members),
        pods=int(np.isin(nodes.where, members).sum()),
        cpu_cores=float(size[:, 0].sum()),
        memory_bytes=float(size[:, 1].sum()),
        cpu_now=float(now[0]),
        cpu_after=float(after[0]),
        memory_now=float(now[1]),
        memory_after=float(after[1]),
        needed_now=needed[0],
        needed_after=needed[1],
        homeless=_homeless(nodes, wanted.new, members),
        freed=freed,
        saved=saved,
    )


def _room(nodes: Nodes, wanted: Array) -> tuple[Array, npt.NDArray[np.bool_]]:
    """What each node has beside its DaemonSets, and which pods are none of theirs."""
    bound = nodes.daemons[nodes.pods]
    room = nodes.allocatable.copy()
    np.subtract.at(room, nodes.where[bound], wanted[nodes.pods[bound]])
    return room, ~bound


def _fewest(nodes: Nodes, wanted: Array, members: Ints) -> int:
    """How many of a group's nodes hold its pods: the largest pods first, the largest nodes first.

    First fit decreasing; a pod that fits no node is counted as filling one.
    """
    room, movable = _room(nodes, wanted)
    largest = members[
        np.argsort(-(room[members] / room[members].max(axis=0)).sum(axis=1), kind="stable")
    ]
    free = room[largest]
    pods = np.flatnonzero(movable & np.isin(nodes.where, members))
    need = wanted[nodes.pods[pods]]
    shares = (need / np.maximum(free.max(axis=0), 1e-9)).max(axis=1)
    held = np.zeros(len(largest), dtype=np.int64)
    alone = 0
    for pod in np.argsort(-shares, kind="stable").tolist():
        fits = (free >= need[pod] - 1e-9).all(axis=1) & (held < MOST_PODS)
        node = int(fits.argmax())
        if fits[node]:
            free[node] -= need[pod]
            held[node] += 1
        else:
            alone += 1
    return min(len(members), int((held > 0).sum()) + alone)


def _homeless(nodes: Nodes, wanted: Array, members: Ints) -> int:
    """How many pods of the fullest node find no room on the others of its group."""
    sums = nodes.sums(wanted)
    full = (sums[members] / nodes.allocatable[members]).max(axis=1)
    lost = int(members[int(full.argmax())])
    others = members[members != lost]
    movable = ~nodes.daemons[nodes.pods] & (nodes.where == lost)
    need = wanted[nodes.pods[movable]]
    if not len(others):
        return len(need)
    free = (nodes.allocatable - sums)[others]
    size, homeless = nodes.allocatable[others], 0
    for pod in np.argsort(-(need / size.max(axis=0)).max(axis=1), kind="stable").tolist():
        fits = (free >= need[pod] - 1e-9).all(axis=1)
        if not fits.any():
            homeless += 1
            continue
        node = int(np.where(fits, (free / size).sum(axis=1), -np.inf).argmax())
        free[node] -= need[pod]
    return homeless
