"""Parts that worlds are made of: autoscalers, nodes, pools, affinities."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from tests.scenarios.world import START


def hpa(
    resource: str = "cpu",
    target: float = 60,
    name: str = "web",
    container: str = "",
    *,
    least: int = 2,
    most: int = 10,
) -> dict[str, str]:
    """A HorizontalPodAutoscaler on the utilisation of a resource."""
    metric = {
        "resource": resource,
        "type": "Utilization",
        "value": target,
        "container": container,
    }
    return {"hpa": json.dumps({"name": name, "min": least, "max": most, "metrics": [metric]})}


def nodes(*cores: float, memory: float = 16) -> tuple[dict[str, Any], ...]:
    """Nodes of so many cores each, and of so many GiB."""
    return tuple(
        {
            "name": f"n{number}",
            "cpu_allocatable_cores": size,
            "memory_allocatable_bytes": memory * 2**30,
        }
        for number, size in enumerate(cores)
    )


def pool(
    *cores: float, taints: Sequence[Sequence[str]] = (), name: str = "one"
) -> tuple[dict[str, Any], ...]:
    """Nodes of one pool, of which taints are known."""
    told = taints or ([],) * len(cores)
    return tuple(
        {**node, "labels": {"agentpool": name}, "taints": list(of)}
        for node, of in zip(nodes(*cores), told, strict=True)
    )


def pools(*named: tuple[str, float]) -> tuple[dict[str, Any], ...]:
    """A node for each pool, known by its label, without taints."""
    return tuple(
        {**node, "labels": {"agentpool": name, "pool": name}, "taints": []}
        for node, (name, _) in zip(nodes(*(size for _, size in named)), named, strict=True)
    )


def gives(
    of: Sequence[Mapping[str, Any]], *further: Mapping[str, float]
) -> tuple[dict[str, Any], ...]:
    """Nodes with further resources."""
    return tuple({**node, "allocatable": dict(f)} for node, f in zip(of, further, strict=True))


def lived(node: Mapping[str, Any], first: float, last: float) -> list[dict[str, Any]]:
    """A node that was there from one day of the window to another."""
    moments = ((START + timedelta(days=day)).isoformat() for day in (first, last))
    return [{**node, **dict(zip(("first_seen", "last_seen"), moments, strict=True))}]


def affinity(key: str, operator: str, *values: str) -> dict[str, Any]:
    """A node affinity that is required."""
    terms = [{"matchExpressions": [{"key": key, "operator": operator, "values": list(values)}]}]
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}
    return {"affinity": {"nodeAffinity": required}}
