"""A shell script of ``kubectl set resources`` commands, for trying a change by hand."""

from __future__ import annotations

import shlex

from analyzer.quantity import Resources
from analyzer.recommend import Recommendation
from analyzer.report import Report
from analyzer.writers.manifest import Patchable, listed, patchable, unpatchable

_HEADER = """#!/bin/sh
# Sets the recommended requests and limits directly on the cluster of the current context.
# Whatever manages these workloads from Git will set them back: this is for trying out.
set -eu
"""


def write_kubectl(report: Report) -> dict[str, bytes]:
    """One script with a command per changed container, and as comments what has none, and why."""
    lines = [
        _command(item, recommendation)
        for item in patchable(report)
        for recommendation in item.changed
    ]
    left_out = listed(unpatchable(report))
    if left_out:
        lines += ["", "# Left out:", *(f"# {line}" for line in left_out)]
    return {"patches/kubectl.sh": (_HEADER + "".join(f"{line}\n" for line in lines)).encode()}


def _command(item: Patchable, recommendation: Recommendation) -> str:
    words = [
        "kubectl",
        "set",
        "resources",
        f"{item.workload.kind.lower()}/{item.workload.name}",
        f"--namespace={item.workload.namespace}",
        f"--containers={recommendation.ref.container}",
        *_amounts(recommendation.current, recommendation.proposed),
    ]
    return shlex.join(words)


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
