"""Where a container's resources live inside the object that Kubernetes knows."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

import yaml

from analyzer.escape import one_line, quoting
from analyzer.kinds import kind_of, why_no_patch
from analyzer.quantity import Cpu, Memory, Resources
from analyzer.recommend import TARGETS, Recommendation, TargetName
from analyzer.report import Report
from analyzer.spec import Spot
from analyzer.workload import WorkloadRef, slug

# Ten times faster where libyaml is there.
_DUMPER = quoting(getattr(yaml, "CSafeDumper", yaml.SafeDumper))
_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?", re.ASCII)

NAMESPACE_NOTE = b"""\
# A workload of another namespace has the same kind and name, so the target names the namespace too.
# kustomize compares it with metadata.namespace of the resource as it is declared: where nothing but
# the `namespace:` of your kustomization sets it, take the Component in one level above that one.
"""

PARTS = ("requests", "limits")


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
    """Every workload with changes whose object some patch can change, sorted."""
    refs = report.refs
    known = Counter(ref.workload_ref for ref in refs)
    alike = Counter((workload.kind, workload.name) for workload in known)
    for workload, changed in _changed_workloads(report):
        kind = kind_of(workload.kind)
        if kind is not None and kind.pod_path and not why_not(workload, changed):
            unique = alike[workload.kind, workload.name] == 1
            count = known[workload]
            yield Patchable(workload, kind.api_version, kind.pod_path, changed, count, unique)


def unpatchable(report: Report) -> dict[WorkloadRef, str]:
    """Every other workload with changes, sorted, with the reason why no patch changes it."""
    reasons = {
        workload: why_not(workload, changed) for workload, changed in _changed_workloads(report)
    }
    return {workload: reason for workload, reason in reasons.items() if reason}


def unwritten(report: Report) -> dict[WorkloadRef, str]:
    """Every workload with changes that gets no patch of any form, sorted, with the reasons."""
    reasons = unpatchable(report)
    for item in patchable(report):
        merge, json = no_strategic_merge(item), no_json_patch(item)
        if merge and json:
            reasons[item.workload] = f"{merge}; and no JSON patch is safe: {json}"
    return dict(sorted(reasons.items()))


def _changed_workloads(
    report: Report,
) -> Iterator[tuple[WorkloadRef, tuple[Recommendation, ...]]]:
    ordered = sorted(report.changed, key=lambda r: r.ref)
    for workload, group in groupby(ordered, key=lambda r: r.ref.workload_ref):
        yield workload, tuple(group)


def why_not(workload: WorkloadRef, changed: Iterable[Recommendation]) -> str:
    """Why no patch of this workload's object is written; empty where one is."""
    found = tuple(changed)
    return why_no_patch(workload.kind) or strange_name(workload, found) or apart(found)


def apart(changed: Sequence[Recommendation]) -> str:
    """Why what has to change with some amounts cannot be patched with them; empty where it can."""
    refs = {str(r.ref) for r in changed}
    for one in (companion for r in changed for companion in r.companions):
        missing = next((ref for ref in one.along if ref not in refs), None)
        if missing is not None:
            return f"{one.title} changes with it and with {missing}, which is not among the changes"
        if one.kind == "setting":
            return f"{one.title} changes with it, which is an edit in Git alone"
        if one.spot is None:
            return f"{one.title} changes with it, and which object has it is not known"
        if not _NAME.fullmatch(one.spot.name):
            return f"{one.spot.name!r} is not a Kubernetes name"
    return ""


@dataclass(frozen=True)
class Along:
    """The patch of an object whose setting changes with amounts of a workload."""

    spot: Spot
    namespace: str
    operations: list[dict[str, Any]]
    unique: bool

    @property
    def target(self) -> dict[str, str]:
        """The kustomize target, as that of a `Patchable`."""
        target = {"kind": self.spot.kind, "name": _anchored(self.spot.name)}
        return target if self.unique else target | {"namespace": _anchored(self.namespace)}

    @property
    def slug(self) -> str:
        """A name for its file."""
        return slug(self.namespace, self.spot.kind.lower(), self.spot.name)


def patched_along(item: Patchable) -> list[Along]:
    """What has to be patched with a workload; each first tests that it is as it was."""
    found: dict[Spot, list[dict[str, Any]]] = {}
    companions = dict.fromkeys(one for r in item.changed for one in r.companions)
    for one in companions:
        if one.spot is not None:
            before, after = (
                text if one.spot.quoted else int(text) for text in (one.before, one.after)
            )
            whole = replace(one.spot, pointer="")
            found.setdefault(whole, []).extend(
                [
                    {"op": "test", "path": one.spot.pointer, "value": before},
                    {"op": "replace", "path": one.spot.pointer, "value": after},
                ]
            )
    return [
        Along(spot, item.workload.namespace, operations, item.unique)
        for spot, operations in found.items()
    ]


def strange_name(workload: WorkloadRef, changed: Iterable[Recommendation]) -> str:
    """Which of the names is none that Kubernetes allows, in words; empty where all are."""
    names = [workload.namespace, workload.name, *(r.ref.container for r in changed)]
    strange = next((name for name in names if not _NAME.fullmatch(name)), None)
    return "" if strange is None else f"{strange!r} is not a Kubernetes name"


def no_strategic_merge(item: Patchable) -> str:
    """Why no strategic-merge patch is written; empty where one is."""
    kind = kind_of(item.workload.kind)
    return "" if kind is None else kind.no_strategic_merge


def no_json_patch(item: Patchable) -> str:
    """Why no JSON patch could be sure to change what is meant and nothing else; empty if one is."""
    if item.containers > 1:
        return f"it has {item.containers} containers, and metrics do not tell their order"
    (recommendation,) = item.changed
    for part in PARTS:
        if changed_amounts(recommendation, part) and not _declared(recommendation.current, part):
            return (
                f"whether it declares {part} of its own is not known, "
                "and writing all of them could drop others"
            )
    return ""


def json_patch(item: Patchable) -> list[dict[str, Any]]:
    """The RFC 6902 operations of the one container of `item`, a test of its name first."""
    (recommendation,) = item.changed
    container = "/" + "/".join([*item.pod_spec, list_name(recommendation), "0"])
    test = {"op": "test", "path": f"{container}/name", "value": recommendation.ref.container}
    leaves = [
        _set_amount(recommendation, target, f"{container}/resources/{part}")
        for part in PARTS
        for target in changed_amounts(recommendation, part)
    ]
    return [test, *leaves]


def _set_amount(recommendation: Recommendation, target: str, at: str) -> dict[str, Any]:
    path = f"{at}/{target.split('_', maxsplit=1)[0]}"
    amount = getattr(recommendation.proposed, target)
    if amount is None:
        return {"op": "remove", "path": path}
    return {"op": "add", "path": path, "value": str(amount)}


def changed_amounts(recommendation: Recommendation, part: str) -> list[str]:
    """The targets of `part` (``requests`` or ``limits``) to write."""
    return [t for t in changed_targets(recommendation) if t.endswith(part[:-1])]


def _declared(now: Resources, part: str) -> bool:
    """Whether the manifest surely has this part: a request equal to its limit may be defaulted."""
    if part == "limits":
        return now.cpu_limit is not None or now.memory_limit is not None
    pairs = ((now.cpu_request, now.cpu_limit), (now.memory_request, now.memory_limit))
    return any(request is not None and request != limit for request, limit in pairs)


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


def component(patches: Mapping[str, Patchable | Along]) -> bytes:
    """A kustomize Component of these patch files; an overlay names it under ``components:``."""
    head = {"apiVersion": "kustomize.config.k8s.io/v1alpha1", "kind": "Component"}
    named = [{"path": name, "target": item.target} for name, item in patches.items()]
    note = b"" if all(item.unique for item in patches.values()) else NAMESPACE_NOTE
    return note + dump_yaml({**head, "patches": named})


def listed(reasons: Mapping[WorkloadRef, str]) -> list[str]:
    """One line per workload and reason, whatever characters a name holds."""
    return [one_line(f"{workload}: {reason}", 1000) for workload, reason in reasons.items()]
