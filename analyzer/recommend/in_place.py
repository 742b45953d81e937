"""Changes in place: which of them restart a container, by its resizePolicy.

A change of the pod template makes new pods in any case; the policy counts where running pods are
resized.
"""

from __future__ import annotations

from collections.abc import Mapping

from analyzer.history import Histories
from analyzer.models.demand import RESOURCES, Resource
from analyzer.quantity import TARGETS
from analyzer.recommend.recommendation import Recommendation
from analyzer.workload import ContainerRef

_SHOWN: Mapping[Resource, str] = {"cpu": "CPU", "memory": "memory"}


def restarting(histories: Histories, ref: ContainerRef) -> tuple[Resource, ...]:
    """The resources whose change in place restarts a container, where that is told."""
    asked = histories.scheduling.get(ref.workload_ref)
    told = None if asked is None else asked.lifecycle.containers.get(ref.container)
    return () if told is None else tuple(r for r in RESOURCES if r in told.restarts)


def restarts_told(found: Mapping[int, Recommendation]) -> dict[int, str]:
    """A note for each change that restarts its container even where it is made in place."""
    notes = {}
    for index, one in found.items():
        changed = [r for r in one.restarts if r in changed_resources(one)]
        if changed:
            what = " and ".join(_SHOWN[resource] for resource in changed)
            notes[index] = f"its resizePolicy restarts it where {what} changes in place"
    return notes


def changed_resources(one: Recommendation) -> set[Resource]:
    """The resources of which any amount changes."""
    return {
        "cpu" if target.startswith("cpu") else "memory"
        for target in TARGETS
        if one.current.amount(target) != one.proposed.amount(target)
    }
