"""A shell script of ``kubectl set resources`` commands, for trying a change by hand."""

from __future__ import annotations

import json

from analyzer.escape import shell
from analyzer.kinds import kind_of
from analyzer.quantity import Resources
from analyzer.recommend import Recommendation
from analyzer.report import Report
from analyzer.writers.manifest import (
    Along,
    Patchable,
    json_patch,
    listed,
    no_json_patch,
    no_strategic_merge,
    patchable,
    patched_along,
    unwritten,
)

_HEADER = """#!/bin/sh
# Sets the recommended requests and limits directly on the cluster of the current context.
# Whatever manages these workloads from Git will set them back: this is for trying out.
set -eu
"""


def write_kubectl(report: Report) -> dict[str, bytes]:
    """One script with a command per changed container, and as comments what has none, and why."""
    lines = [line for item in patchable(report) for line in _commands(item)]
    left_out = listed(unwritten(report))
    if left_out:
        lines += ["", "# Left out:", *(f"# {line}" for line in left_out)]
    return {"patches/kubectl.sh": (_HEADER + "".join(f"{line}\n" for line in lines)).encode()}


def _commands(item: Patchable) -> list[str]:
    """Commands for one workload: ``kubectl set resources``, or a patch where that knows no kind.

    What changes with it comes first: its test ends the script where the object is not as it was.
    """
    along = [_patch_along(one) for one in patched_along(item)]
    if not no_strategic_merge(item):
        return [*along, *(_set(item, recommendation) for recommendation in item.changed)]
    if no_json_patch(item):
        return []
    patch = json.dumps(json_patch(item))
    own = shell(["kubectl", "patch", *_object(item), "--type=json", f"--patch={patch}"])
    return [*along, own]


def _patch_along(one: Along) -> str:
    group = one.spot.api_version.rpartition("/")[0]
    named = f"{one.spot.kind.lower()}.{group}/{one.spot.name}"
    words = ["kubectl", "patch", named, f"--namespace={one.namespace}", "--type=json"]
    return shell([*words, f"--patch={json.dumps(one.operations)}"])


def _set(item: Patchable, recommendation: Recommendation) -> str:
    words = ["kubectl", "set", "resources", *_object(item)]
    words += [f"--containers={recommendation.ref.container}"]
    return shell([*words, *_amounts(recommendation.current, recommendation.proposed)])


def _object(item: Patchable) -> list[str]:
    kind = kind_of(item.workload.kind)
    word = item.workload.kind.lower() if kind is None else kind.kubectl_name
    return [f"{word}/{item.workload.name}", f"--namespace={item.workload.namespace}"]


def _amounts(now: Resources, new: Resources) -> list[str]:
    """Flags for `kubectl set resources`, where an amount of 0 removes the entry."""
    flags = []
    for part in ("request", "limit"):
        amounts = []
        for resource in ("cpu", "memory"):
            target = f"{resource}_{part}"
            amount = getattr(new, target)
            if amount is not None:
                amounts.append(f"{resource}={amount}")
            elif getattr(now, target) is not None:
                amounts.append(f"{resource}=0")
        if amounts:
            flags.append(f"--{part}s={','.join(amounts)}")
    return flags
