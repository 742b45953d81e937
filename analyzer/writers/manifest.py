"""Where a container's resources live inside the object that Kubernetes knows."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import yaml

from analyzer.quantity import Cpu, Memory
from analyzer.recommend import TARGETS, Recommendation
from analyzer.report import Report
from analyzer.workload import WorkloadRef

_DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)  # ten times faster where libyaml is there
_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?", re.ASCII)

_POD_SPEC = ("spec", "template", "spec")
_API = {
    "Deployment": ("apps/v1", _POD_SPEC),
    "StatefulSet": ("apps/v1", _POD_SPEC),
    "DaemonSet": ("apps/v1", _POD_SPEC),
    "ReplicaSet": ("apps/v1", _POD_SPEC),
    "CronJob": ("batch/v1", ("spec", "jobTemplate", "spec", "template", "spec")),
}


@dataclass(frozen=True)
class Patchable:
    """A workload whose object can be patched, with its changed containers."""

    workload: WorkloadRef
    api_version: str
    pod_spec: tuple[str, ...]
    changed: tuple[Recommendation, ...]
    containers: int
    """How many containers it is known to have at all, changed or not."""

    @property
    def target(self) -> dict[str, str]:
        """The kustomize target; kustomize reads it as regular expressions, anchored."""
        return {
            "kind": self.workload.kind,
            "name": re.escape(self.workload.name).replace(r"\-", "-"),
            "namespace": re.escape(self.workload.namespace).replace(r"\-", "-"),
        }


def patchable(report: Report) -> Iterator[Patchable]:
    """Every workload with changes that a patch of its object can carry, sorted."""
    refs = [*(r.ref for r in report.recommendations), *(s.ref for s in report.skipped)]
    known = Counter(ref.workload_ref for ref in refs)
    ordered = sorted(report.changed, key=lambda r: r.ref)
    for workload, group in groupby(ordered, key=lambda r: r.ref.workload_ref):
        changed = tuple(group)
        if not why_not(workload, changed):
            api_version, pod_spec = _API[workload.kind]
            yield Patchable(workload, api_version, pod_spec, changed, known[workload])


def why_not(workload: WorkloadRef, changed: Iterable[Recommendation]) -> str:
    """Why no patch of this workload's object is written; empty where one is."""
    if workload.kind == "Job":
        return "a Job's pod template cannot be changed; change what creates it"
    if workload.kind == "Pod":
        return "a bare Pod's requests are fixed when it is created"
    if workload.kind not in _API:
        return f"{workload.kind} objects belong to an operator; set it where that object says"
    names = [workload.namespace, workload.name, *(r.ref.container for r in changed)]
    strange = next((name for name in names if not _NAME.fullmatch(name)), None)
    return "" if strange is None else f"{strange!r} is not a Kubernetes name"


def list_name(recommendation: Recommendation) -> str:
    """Which list of the pod spec holds the container."""
    return "containers" if recommendation.container_type == "app" else "initContainers"


def resources_patch(recommendation: Recommendation) -> dict[str, dict[str, str | None]]:
    """The changed amounts alone as a `resources` mapping; None removes."""
    patch: dict[str, dict[str, str | None]] = {}
    for target in changed_targets(recommendation):
        resource, part = target.split("_")
        amount: Cpu | Memory | None = getattr(recommendation.proposed, target)
        patch.setdefault(f"{part}s", {})[resource] = None if amount is None else str(amount)
    return dict(sorted(patch.items(), reverse=True))


def changed_targets(recommendation: Recommendation) -> list[str]:
    """The targets to write.

    A request that only follows from a limit is written with it: lowering the limit alone would
    silently lower the request as well.
    """
    now, new = recommendation.current, recommendation.proposed
    changed = [t for t in TARGETS if getattr(now, t) != getattr(new, t)]
    for resource in ("cpu", "memory"):
        request, limit = f"{resource}_request", f"{resource}_limit"
        follows = getattr(now, request) == getattr(now, limit) is not None
        if follows and limit in changed and request not in changed:
            changed.append(request)
    return sorted(changed, key=TARGETS.index)


def dump_yaml(value: Any) -> bytes:
    """Block-style YAML in insertion order, every doubtful scalar quoted."""
    text: str = yaml.dump(
        value, Dumper=_DUMPER, sort_keys=False, default_flow_style=False, width=1000
    )
    return text.encode()


def component(patches: list[dict[str, Any]]) -> bytes:
    """A kustomize Component that applies `patches`; an overlay names it under ``components:``."""
    head = {"apiVersion": "kustomize.config.k8s.io/v1alpha1", "kind": "Component"}
    return dump_yaml({**head, "patches": patches})
