"""JSON 6902 patches, one per workload, for tools that take no strategic merge.

RFC 6902 reaches list items by position only, and metrics do not tell the order of containers. So
a patch is written only where the list has one container, and every patch first tests the
container's name: applied to the wrong object it fails instead of changing it. A leaf can be set
only in a map that is there, and adding the map would replace the one that may be there, with what
else it holds (``ephemeral-storage``, GPUs): where that is not certain, no patch is written.
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
    listed,
    patchable,
    unpatchable,
)

FOLDER = "patches/json6902"
PARTS = ("requests", "limits")

_LEFT_OUT = """\
No JSON patch is written for the workloads below. Where their objects can be patched at all, a
strategic-merge patch is in ../kustomize and a command in ../kubectl.sh.
"""


def write_json6902(report: Report) -> dict[str, bytes]:
    """One JSON patch per workload where it is safe, a Component naming them, and what is left out.

    ``LEFT-OUT.txt`` names every other changed workload with the reason.
    """
    files: dict[str, bytes] = {}
    patches: dict[str, Patchable] = {}
    left_out = unpatchable(report)
    for item in patchable(report):
        reason = _why_unsafe(item)
        if reason:
            left_out[item.workload] = reason
            continue
        name = f"{item.workload.slug()}.json"
        files[f"{FOLDER}/{name}"] = (json.dumps(_operations(item), indent=2) + "\n").encode()
        patches[name] = item
    if left_out:
        lines = [_LEFT_OUT, *listed(dict(sorted(left_out.items())))]
        files[f"{FOLDER}/LEFT-OUT.txt"] = ("\n".join(lines) + "\n").encode()
    return {f"{FOLDER}/kustomization.yaml": component(patches), **files}


def _why_unsafe(item: Patchable) -> str:
    """Why no JSON patch could be sure to change what is meant and nothing else; empty if one is."""
    if item.containers > 1:
        return f"it has {item.containers} containers, and metrics do not tell their order"
    (recommendation,) = item.changed
    for part in PARTS:
        if _changed(recommendation, part) and not _declared(recommendation.current, part):
            return (
                f"whether it declares {part} of its own is not known, "
                "and writing all of them could drop others"
            )
    return ""


def _operations(item: Patchable) -> list[dict[str, Any]]:
    (recommendation,) = item.changed
    container = "/" + "/".join([*item.pod_spec, list_name(recommendation), "0"])
    test = {"op": "test", "path": f"{container}/name", "value": recommendation.ref.container}
    leaves = [
        _set_amount(recommendation, target, f"{container}/resources/{part}")
        for part in PARTS
        for target in _changed(recommendation, part)
    ]
    return [test, *leaves]


def _set_amount(recommendation: Recommendation, target: str, at: str) -> dict[str, Any]:
    path = f"{at}/{target.split('_', maxsplit=1)[0]}"
    amount = getattr(recommendation.proposed, target)
    if amount is None:
        return {"op": "remove", "path": path}
    return {"op": "add", "path": path, "value": str(amount)}


def _changed(recommendation: Recommendation, part: str) -> list[str]:
    return [t for t in changed_targets(recommendation) if t.endswith(part[:-1])]


def _declared(now: Resources, part: str) -> bool:
    """Whether the manifest surely has this part: a request equal to its limit may be defaulted."""
    if part == "limits":
        return now.cpu_limit is not None or now.memory_limit is not None
    pairs = ((now.cpu_request, now.cpu_limit), (now.memory_request, now.memory_limit))
    return any(request is not None and request != limit for request, limit in pairs)
