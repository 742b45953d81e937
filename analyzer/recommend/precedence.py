"""Whose raises come first where there is no room for all: by policy, then by PriorityClass."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from analyzer.history import Histories
from analyzer.models.demand import RESOURCES, Resource
from analyzer.recommend.case import Facts, Importance
from analyzer.workload import WorkloadRef

_BUILT_IN = {"system-node-critical": 2_000_001_000, "system-cluster-critical": 2_000_000_000}
"""The classes that every cluster has."""


def precedence(
    facts: Sequence[Facts], resources: Sequence[Resource] = RESOURCES
) -> tuple[int, int, bool]:
    """By priority of the policy, by PriorityClass, and then what a limit cut off before others."""
    cut_off = any(one.cut_off(resource) for one in facts for resource in resources)
    policy = max((one.policy.priority for one in facts), default=0)
    return -policy, -max((one.importance.value or 0 for one in facts), default=0), not cut_off


def deadlines(histories: Histories) -> dict[WorkloadRef, bool]:
    """Whether the pods of a workload have a deadline of their own, where that is known."""
    told = histories.scheduling.items()
    return {ref: one.lifecycle.pods_end for ref, one in told if one.whole}


def importances(histories: Histories) -> dict[WorkloadRef, Importance]:
    """The PriorityClass of each workload's pods, by its description, else by its newest pod.

    A class whose value nobody tells counts for nothing, and is kept by its name.
    """
    values: Mapping[str, int] = {
        **_BUILT_IN,
        **{str(row["name"]): int(row["value"]) for row in histories.meta.priority_classes},
    }
    table = histories.pods[histories.pods["priority_class"].notna()]
    rows = table.sort_values("started", kind="stable")
    columns = (rows[name] for name in ("namespace", "workload_kind", "workload", "priority_class"))
    cluster = histories.meta.cluster
    names = {
        WorkloadRef(cluster, str(namespace), str(kind), str(workload)): str(name)
        for namespace, kind, workload, name in zip(*columns, strict=True)
    }
    told = {ref: one.priority_class for ref, one in histories.scheduling.items()}
    names |= {ref: name for ref, name in told.items() if name}
    return {ref: Importance(name, values.get(name)) for ref, name in names.items()}
