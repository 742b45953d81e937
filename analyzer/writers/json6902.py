"""JSON 6902 patches, one per workload, for tools that take no strategic merge.

RFC 6902 reaches list items by position only, and metrics do not tell the order of containers. So
a patch is written only where the list has one container, and every patch first tests the
container's name: applied to the wrong object it fails instead of changing it.
"""

from __future__ import annotations

import json
from typing import Any

from analyzer.quantity import Resources
from analyzer.recommend import Recommendation
from analyzer.report import Report
from analyzer.writers.manifest import (
    Patchable,
    changed_targets,
    component,
    list_name,
    patchable,
    resources_patch,
)

FOLDER = "patches/json6902"


def write_json6902(report: Report) -> dict[str, bytes]:
    """One JSON patch per workload with a single container, and a Component naming them."""
    files: dict[str, bytes] = {}
    patches = []
    for item in patchable(report):
        if item.containers > 1:
            continue
        name = f"{item.workload.slug()}.json"
        files[f"{FOLDER}/{name}"] = (json.dumps(_operations(item), indent=2) + "\n").encode()
        patches.append({"path": name, "target": item.target})
    return {f"{FOLDER}/kustomization.yaml": component(patches), **files}


def _operations(item: Patchable) -> list[dict[str, Any]]:
    (recommendation,) = item.changed
    container = "/" + "/".join([*item.pod_spec, list_name(recommendation), "0"])
    test = {"op": "test", "path": f"{container}/name", "value": recommendation.ref.container}
    return [test, *_set_resources(recommendation, f"{container}/resources")]


def _set_resources(recommendation: Recommendation, at: str) -> list[dict[str, Any]]:
    now = recommendation.current
    if now == Resources():
        return [{"op": "add", "path": at, "value": resources_patch(recommendation)}]
    operations: list[dict[str, Any]] = []
    for part in ("requests", "limits"):
        changed = [t for t in changed_targets(recommendation) if t.endswith(part[:-1])]
        if not changed:
            continue
        if not _declared(now, part):
            value = {t.split("_")[0]: str(getattr(recommendation.proposed, t)) for t in changed}
            operations.append({"op": "add", "path": f"{at}/{part}", "value": value})
            continue
        for target in changed:
            path = f"{at}/{part}/{target.split('_')[0]}"
            amount = getattr(recommendation.proposed, target)
            if amount is None:
                operations.append({"op": "remove", "path": path})
            else:
                operations.append({"op": "add", "path": path, "value": str(amount)})
    return operations


def _declared(now: Resources, part: str) -> bool:
    """Whether the manifest surely has this part: a request equal to its limit may be defaulted."""
    if part == "limits":
        return now.cpu_limit is not None or now.memory_limit is not None
    pairs = ((now.cpu_request, now.cpu_limit), (now.memory_request, now.memory_limit))
    return any(request is not None and request != limit for request, limit in pairs)
