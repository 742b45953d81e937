"""What a repository declares of what pods stand among: where they may run, and who bounds them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from analyzer.gitops.reach.objects import POD_PATHS
from analyzer.gitops.reach.patch import Patch
from analyzer.gitops.reach.route import Arrival
from analyzer.gitops.text.tree import Path, YamlError, plain, walk
from analyzer.lifecycle import FIELDS, Lifecycle
from analyzer.objects import REPOSITORY, RULES
from analyzer.scheduling import Scheduling, scheduling_of_template

_DECIDING = (
    "nodeSelector",
    "affinity",
    "tolerations",
    "topologySpreadConstraints",
    "priorityClassName",
)
"""Fields of a pod that say where it may run, and before whom."""
DECLARED = tuple(kind for kind in RULES if kind != "Node")
"""The kinds of rules that repositories declare; nodes are no files."""


def scheduling(arrival: Arrival) -> Scheduling | None:
    """What the pods of a workload ask of nodes; None where something on the way may change it."""
    item, route = arrival.object, arrival.route
    path = POD_PATHS[item.kind]
    if not route.inside or route.reachable is False:
        return None
    patches = [p for p in route.patches if p.applies_to(item, arrival.namespace)]
    deciding = [*((*path, name) for name in _DECIDING), (*path[:-1], "metadata", "labels")]
    if any(touches(patch, field) for patch in patches for field in deciding):
        return None
    if any(one.applies_to(item, arrival.namespace) for one in route.replacements):
        return None
    template = arrival.node.at(*path[:-1])
    try:
        found = None if template is None else _expanded(plain(template), arrival)
        described = _expanded(plain(arrival.node), arrival)
    except YamlError:
        return None
    if found is None:
        return None
    told = scheduling_of_template(found, REPOSITORY, described)
    return replace(told, lifecycle=Lifecycle()) if any(map(_retimes, patches)) else told


def _retimes(patch: Patch) -> bool:
    """Whether a patch says anything of probes, deadlines or what restarts."""
    if not patch.is_json:
        return any(path and path[-1] in FIELDS for path, _ in walk(patch.node))
    paths = [operation.resolved.text("path") or "" for operation in patch.node.items]
    return any(name in path.split("/") for path in paths for name in FIELDS)


def rules(arrival: Arrival) -> Iterator[dict[str, Any]]:
    """The rows of a LimitRange, a quota, a budget or a priority class that reaches the cluster."""
    route = arrival.route
    if not route.inside or route.reachable is False:
        return
    try:
        found = _expanded(plain(arrival.node), arrival)
    except YamlError:
        return
    if isinstance(found, Mapping):
        for row in RULES[arrival.object.kind].rows(found):
            own = {"namespace": arrival.namespace} if "namespace" in row else {}
            yield {**row, **own, "name": arrival.name, "source": REPOSITORY}


def _expanded(value: object, arrival: Arrival) -> object:
    """Plain values with the variables of the route put in."""
    if isinstance(value, str):
        return arrival.route.expand(value)
    if isinstance(value, dict):
        return {key: _expanded(each, arrival) for key, each in value.items()}
    return [_expanded(each, arrival) for each in value] if isinstance(value, list) else value


def touches(patch: Patch, path: Path) -> bool:
    """Whether a patch of an object says anything of what stands at `path`, or above or below it."""
    if not patch.is_json:
        return patch.node.at(*path) is not None
    wanted = "".join(f"/{key}" for key in path) + "/"
    paths = [f"{operation.resolved.text('path') or ''}/" for operation in patch.node.items]
    return any(wanted.startswith(each) or each.startswith(wanted) for each in paths)
