"""JSON 6902 patches, one per workload, for tools that take no strategic merge.

RFC 6902 reaches list items by position only, and metrics do not tell the order of containers. So
a patch is written only where the list has one container, and every patch first tests the
container's name: applied to the wrong object it fails instead of changing it. A leaf can be set
only in a map that is there, and adding the map would replace the one that may be there, with what
else it holds (``ephemeral-storage``, GPUs): where that is not certain, no patch is written.
"""

from __future__ import annotations

import json

from analyzer.report import Report
from analyzer.writers.manifest import (
    Along,
    Patchable,
    component,
    json_patch,
    listed,
    no_json_patch,
    patchable,
    patched_along,
    unpatchable,
)

FOLDER = "patches/json6902"

_LEFT_OUT = """\
No JSON patch is written for the workloads below. Where their objects can be patched at all, a
strategic-merge patch is in ../kustomize and a command in ../kubectl.sh.
"""


def write_json6902(report: Report) -> dict[str, bytes]:
    """One JSON patch per workload where it is safe, a Component naming them, and what is left out.

    ``LEFT-OUT.txt`` names every other changed workload with the reason.
    """
    files: dict[str, bytes] = {}
    patches: dict[str, Patchable | Along] = {}
    left_out = unpatchable(report)
    for item in patchable(report):
        reason = no_json_patch(item)
        if reason:
            left_out[item.workload] = reason
            continue
        name = f"{item.workload.slug()}.json"
        files[f"{FOLDER}/{name}"] = (json.dumps(json_patch(item), indent=2) + "\n").encode()
        patches[name] = item
        for along in patched_along(item):
            content = json.dumps(along.operations, indent=2) + "\n"
            files[f"{FOLDER}/{along.slug}.json"] = content.encode()
            patches[f"{along.slug}.json"] = along
    if left_out:
        lines = [_LEFT_OUT, *listed(dict(sorted(left_out.items())))]
        files[f"{FOLDER}/LEFT-OUT.txt"] = ("\n".join(lines) + "\n").encode()
    return {f"{FOLDER}/kustomization.yaml": component(patches), **files}
