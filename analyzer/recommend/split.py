"""Which label of the nodes tells unlike pods apart: where to split a workload."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from analyzer.by_container import by_container
from analyzer.evidence.hours import LEAST_CORES
from analyzer.evidence.pods import UNLIKE
from analyzer.history import Histories
from analyzer.kinds import DAEMON_SET
from analyzer.models.demand import RESOURCES, Resource
from analyzer.placement.nodes import group_of
from analyzer.quantity import Cpu, Memory
from analyzer.recommend.case import Facts

Array = npt.NDArray[np.float64]

TELLING = 0.8
"""The share of what pods differ by, from which on a label explains it."""
_SIZE = "the size of the node"
_LEAST: Mapping[Resource, float] = {"cpu": LEAST_CORES, "memory": 64 * 1024**2}
"""Smaller differences are not worth a workload of their own."""


def splits(histories: Histories, facts: Mapping[int, Facts]) -> dict[int, str]:
    """A note for each container whose unlike pods a label of their nodes tells apart.

    Of several labels the one that explains most counts, and of these the one with the fewest
    values: a label of one value per node explains everything and helps nobody.
    """
    judged = [index for index, one in facts.items() if _may_differ(one)]
    if not judged:
        return {}
    nodes = {str(node["name"]): _labels(node) for node in histories.meta.nodes}
    table = histories.pods[histories.pods["node"].notna()]
    pairs = zip(table["namespace"], table["pod"], table["node"], strict=True)
    where: dict[str, dict[str, Mapping[str, str]]] = {}
    for namespace, pod, node in pairs:
        where.setdefault(str(namespace), {})[str(pod)] = nodes.get(str(node), {})
    wanted = np.zeros(len(histories), dtype=bool)
    wanted[judged] = True
    medians, notes = _medians_of_pods(histories, wanted), {}
    for index in judged:
        known = where.get(histories.containers[index].namespace, {})
        said = [_best(medians[resource][index], resource, known) for resource in RESOURCES]
        if any(said):
            notes[index] = next(filter(None, said))
    return notes


def _may_differ(facts: Facts) -> bool:
    """Whether it is worth a look: pods of a DaemonSet, or one that is unlike the others."""
    spreads = [s for s in (facts.evidence.cpu_pods, facts.evidence.memory_pods) if s is not None]
    unlike = any(spread.ratio >= UNLIKE for spread in spreads)
    return unlike or (bool(spreads) and facts.kind == DAEMON_SET.name)


def _labels(node: Mapping[str, Any]) -> dict[str, str]:
    """What a node is known by: its labels, and its size."""
    known = {str(name): str(value) for name, value in (node.get("labels") or {}).items()}
    if node.get("cpu_allocatable_cores") and node.get("memory_allocatable_bytes"):
        known[_SIZE] = group_of({**node, "labels": {}})
    return known


@by_container
def _medians_of_pods(
    histories: Histories, wanted: npt.NDArray[np.bool_]
) -> dict[Resource, list[list[tuple[str, float]]]]:
    """Of the containers that are `wanted`, each pod that was seen and the median of its use."""
    usage = histories.usage
    found: dict[Resource, list[list[tuple[str, float]]]] = {}
    for resource in RESOURCES:
        values = usage.cpu_cores if resource == "cpu" else usage.memory_bytes
        found[resource] = [[] for _ in histories.containers]
        for index in np.flatnonzero(wanted).tolist():
            for series in range(int(usage.bounds[index]), int(usage.bounds[index + 1])):
                seen = values[int(usage.offset[series]) : int(usage.offset[series + 1])]
                if not np.isnan(seen).all():
                    median = float(np.nanmedian(seen))
                    found[resource][index].append((usage.pods[series], median))
    return found


def _best(
    medians: Sequence[tuple[str, float]],
    resource: Resource,
    where: Mapping[str, Mapping[str, str]],
) -> str:
    """What the most telling label of pods says; empty where none tells enough."""
    told = [(level, where[pod]) for pod, level in medians if where.get(pod)]
    levels, labels = [level for level, _ in told], [known for _, known in told]
    if not levels or max(levels) - min(levels) < _LEAST[resource]:
        return ""
    found = []
    for name in sorted({name for known in labels for name in known}):
        groups = [known.get(name, "") for known in labels]
        count = len(set(groups))
        if 1 < count < len(groups):
            share, means = _explained(np.array(levels), groups)
            if max(means.values()) >= UNLIKE * min(means.values()):
                found.append((round(share, 2), -count, name, means))
    best = max(found, key=lambda one: one[:3], default=None)
    if best is None or best[0] < TELLING:
        return ""
    _, _, name, means = best
    return _told(name, resource, means)


def _explained(levels: Array, groups: list[str]) -> tuple[float, dict[str, float]]:
    """The share of the variance that lies between groups, and the mean of each."""
    values, group = np.unique(groups, return_inverse=True)
    each = np.bincount(group, weights=levels) / np.bincount(group)
    total = float(((levels - levels.mean()) ** 2).sum())
    within = float(((levels - each[group]) ** 2).sum())
    means = dict(zip(values.tolist(), each.tolist(), strict=True))
    return (0.0 if total == 0 else 1 - within / total), means


def _told(name: str, resource: Resource, means: Mapping[str, float]) -> str:
    high, low = max(means, key=lambda g: means[g]), min(means, key=lambda g: means[g])

    def shown(level: float) -> str:
        return (Cpu.from_cores(level) if resource == "cpu" else Memory.from_bytes(level)).human()

    return (
        f"{name} tells its pods apart: {shown(means[high])} on {high or 'nodes without it'}, "
        f"{shown(means[low])} on {low or 'nodes without it'}; split it there, one workload with a "
        "node selector for each"
    )
