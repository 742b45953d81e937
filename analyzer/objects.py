"""Objects of the cluster's API as the rows in which a recording holds them.

Nodes, LimitRanges, ResourceQuotas, PodDisruptionBudgets and PriorityClasses, whether the API says
them or a repository declares them. They come from strangers: what is garbled is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from analyzer.errors import UsageError
from analyzer.quantity import parse_quantity
from analyzer.scheduling import metric_name

Object = Mapping[str, Any]
Row = dict[str, Any]

CLUSTER, REPOSITORY = "cluster", "repository"
"""Who says a rule, where it is not the metrics."""
_CONSTRAINTS = ("min", "max", "default", "defaultRequest", "maxLimitRequestRatio")
_NEVER_OURS = "BestEffort"
"""The scope of quotas that count pods without any request."""
Scope = tuple[str, str, tuple[str, ...]]
"""Of which pods a quota counts: the name of what is looked at, an operator, and values."""


@dataclass(frozen=True, slots=True)
class Described:
    """A kind of object: where the API lists it, and the rows that one object makes."""

    api_path: str
    resource: str
    rows: Callable[[Object], Iterator[Row]]
    namespaced: bool = True


def _mapping(value: Any) -> Object:
    return value if isinstance(value, Mapping) else {}


def _items(value: Any) -> list[Object]:
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, list) else []


def _named(of: Object) -> Row:
    metadata = _mapping(of.get("metadata"))
    return {
        "namespace": str(metadata.get("namespace") or "default"),
        "name": str(metadata.get("name")),
    }


def _amount(value: Any) -> float | None:
    try:
        return float(parse_quantity(str(value).strip()))
    except (UsageError, ValueError, OverflowError):
        return None


def _amounts(value: Any) -> Iterator[tuple[str, float]]:
    for name, text in _mapping(value).items():
        amount = _amount(text)
        if amount is not None and amount >= 0:
            yield str(name), amount


def limit_range(of: Object) -> Iterator[Row]:
    """A row for each constraint on a resource."""
    for limit in _items(_mapping(of.get("spec")).get("limits")):
        for constraint in _CONSTRAINTS:
            for resource, value in _amounts(limit.get(constraint)):
                yield {
                    **_named(of),
                    "type": str(limit.get("type")),
                    "resource": resource,
                    "constraint": constraint,
                    "value": value,
                }


def quota(of: Object) -> Iterator[Row]:
    """A row for each resource that is counted; none where only pods without requests are."""
    spec = _mapping(of.get("spec"))
    scopes = list(_scopes(spec))
    if any((name, operator) == (_NEVER_OURS, "Exists") for name, operator, _ in scopes):
        return
    used = dict(_amounts(_mapping(of.get("status")).get("used")))
    told = {"scopes": [_requirement(scope) for scope in scopes]} if scopes else {}
    for resource, hard in _amounts(spec.get("hard")):
        amounts = {"resource": resource, "hard": hard, "used": used.get(resource)}
        yield {**_named(of), **amounts, **told}


def _scopes(spec: Object) -> Iterator[Scope]:
    """The scopes of a quota, by its short and its long list of them."""
    names = spec.get("scopes")
    for name in names if isinstance(names, list) else ():
        yield str(name), "Exists", ()
    for term in _items(_mapping(spec.get("scopeSelector")).get("matchExpressions")):
        values = term.get("values")
        listed = tuple(map(str, values)) if isinstance(values, list) else ()
        yield str(term.get("scopeName")), str(term.get("operator")), listed


def _requirement(scope: Scope) -> Row:
    name, operator, values = scope
    return {"name": name, "operator": operator, "values": list(values)}


def budget(of: Object) -> Iterator[Row]:
    """A row with what is allowed now, where the object has a status, and whom it is about."""
    status = _mapping(of.get("status"))
    names = {
        "allowed": "disruptionsAllowed",
        "expected": "expectedPods",
        "healthy": "currentHealthy",
        "wanted": "desiredHealthy",
    }
    known = {name: status[key] for name, key in names.items() if isinstance(status.get(key), int)}
    selector = _mapping(_mapping(of.get("spec")).get("selector"))
    yield {**_named(of), **known, "selector": dict(selector)}


def priority_class(of: Object) -> Iterator[Row]:
    """Its name and its value."""
    value = of.get("value")
    if isinstance(value, int):
        yield {"name": _named(of)["name"], "value": value}


def node(of: Object) -> Iterator[Row]:
    """What a node can give to pods, its labels and its taints."""
    spec = _mapping(of.get("spec"))
    allocatable = dict(_amounts(_mapping(of.get("status")).get("allocatable")))
    cpu, memory = allocatable.pop("cpu", None), allocatable.pop("memory", None)
    labels = _mapping(_mapping(of.get("metadata")).get("labels"))
    yield {
        "name": _named(of)["name"],
        "cpu_allocatable_cores": cpu,
        "memory_allocatable_bytes": memory,
        "gpus": int(sum(value for name, value in allocatable.items() if "gpu" in name)),
        "allocatable": {metric_name(name): value for name, value in allocatable.items()},
        "labels": {metric_name(str(key)): str(value) for key, value in labels.items()},
        "taints": sorted({_taint(one) for one in _items(spec.get("taints"))}),
        "unschedulable": spec.get("unschedulable") is True,
    }


def _taint(of: Object) -> str:
    pair = "=".join(str(of[name]) for name in ("key", "value") if of.get(name))
    return f"{pair}:{of.get('effect')}"


RULES: Mapping[str, Described] = {
    "LimitRange": Described("/api/v1", "limitranges", limit_range),
    "ResourceQuota": Described("/api/v1", "resourcequotas", quota),
    "PodDisruptionBudget": Described("/apis/policy/v1", "poddisruptionbudgets", budget),
    "PriorityClass": Described(
        "/apis/scheduling.k8s.io/v1", "priorityclasses", priority_class, namespaced=False
    ),
    "Node": Described("/api/v1", "nodes", node, namespaced=False),
}
"""The objects beside workloads that decide what fits, by their kinds."""
