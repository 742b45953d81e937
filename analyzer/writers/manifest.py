"""Where a container's resources live inside the object that Kubernetes knows."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import yaml

from analyzer.gitops.land.diff import one_line
from analyzer.quantity import Cpu, Memory
from analyzer.recommend import TARGETS, Recommendation, TargetName
from analyzer.report import Report
from analyzer.workload import WorkloadRef

_DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)  # ten times faster where libyaml is there
_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?", re.ASCII)

NAMESPACE_NOTE = b"""\
# A workload of another namespace has the same kind and name, so the target names the namespace too.
# kustomize compares it with metadata.namespace of the resource as it is declared: where nothing but
# the `namespace:` of your kustomization sets it, take the Component in one level above that one.
"""

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
    unique: bool
    """Whether no other workload of the report has the same kind and name."""

    @property
    def target(self) -> dict[str, str]:
        """The kustomize target; kustomize reads it as regular expressions, anchored.

        It names the namespace only where it must: kustomize compares that with the resource as it
        is declared, before the ``namespace`` of the same kustomization is set.
        """
        target = {"kind": self.workload.kind, "name": _anchored(self.workload.name)}
        if not self.unique:
            target["namespace"] = _anchored(self.workload.namespace)
        return target


def _anchored(name: str) -> str:
    return re.escape(name).replace(r"\-", "-")


def patchable(report: Report) -> Iterator[Patchable]:
    """Every workload with changes that a patch of its object can carry, sorted."""
    refs = [*(r.ref for r in report.recommendations), *(s.ref for s in report.skipped)]
    known = Counter(ref.workload_ref for ref in refs)
    alike = Counter((workload.kind, workload.name) for workload in known)
    for workload, changed in _changed_workloads(report):
        if not why_not(workload, changed):
            api_version, pod_spec = _API[workload.kind]
            unique = alike[workload.kind, workload.name] == 1
            yield Patchable(workload, api_version, pod_spec, changed, known[workload], unique)


def unpatchable(report: Report) -> dict[WorkloadRef, str]:
    """Every other workload with changes, sorted, with the reason why it cannot be patched."""
    reasons = {
        workload: why_not(workload, changed) for workload, changed in _changed_workloads(report)
    }
    return {workload: reason for workload, reason in reasons.items() if reason}


def _changed_workloads(
    report: Report,
) -> Iterator[tuple[WorkloadRef, tuple[Recommendation, ...]]]:
    ordered = sorted(report.changed, key=lambda r: r.ref)
    for workload, group in groupby(ordered, key=lambda r: r.ref.workload_ref):
        yield workload, tuple(group)


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
    pairs: tuple[tuple[TargetName, TargetName], ...] = (
        ("cpu_request", "cpu_limit"),
        ("memory_request", "memory_limit"),
    )
    for request, limit in pairs:
        follows = now.amount(request) == now.amount(limit) is not None
        if follows and limit in changed and request not in changed:
            changed.append(request)
    return sorted(changed, key=TARGETS.index)


def dump_yaml(value: Any) -> bytes:
    """Block-style YAML in insertion order, every doubtful scalar quoted."""
    text: str = yaml.dump(
        value, Dumper=_DUMPER, sort_keys=False, default_flow_style=False, width=1000
    )
    return text.encode()


def component(patches: Mapping[str, Patchable]) -> bytes:
    """A kustomize Component of these patch files; an overlay names it under ``components:``."""
    head = {"apiVersion": "kustomize.config.k8s.io/v1alpha1", "kind": "Component"}
    named = [{"path": name, "target": item.target} for name, item in patches.items()]
    note = b"" if all(item.unique for item in patches.values()) else NAMESPACE_NOTE
    return note + dump_yaml({**head, "patches": named})


def listed(reasons: Mapping[WorkloadRef, str]) -> list[str]:
    """One line per workload and reason, whatever characters a name holds."""
    return [one_line(f"{workload}: {reason}", 1000) for workload, reason in reasons.items()]
