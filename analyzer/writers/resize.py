"""In-place resizes of running pods, for clusters whose pods have the ``resize`` subresource.

What the API server would refuse is never written (Kubernetes documentation, "Resize CPU and Memory
Resources assigned to Containers", limitations): an amount cannot be taken away, the QoS class of
the pod cannot change, and a container that runs once before the others cannot be resized.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

from analyzer.escape import one_line, shell
from analyzer.kinds import KINDS, POD, REPLICA_SET, runs_now_and_then
from analyzer.quantity import Quantity, Resources, TargetName
from analyzer.recommend import TARGETS, Recommendation
from analyzer.recommend.qos import qos_class
from analyzer.report import Report
from analyzer.workload import WorkloadRef
from analyzer.writers.manifest import list_name, listed, strange_name

FOLDER = "patches/resize"

_HEADER = """#!/bin/sh
# Resizes running pods in place, on the cluster of the current context (Kubernetes 1.33 and later;
# kubectl 1.32 and later). Arguments are passed on to `kubectl patch`; try it without effect first:
#
#     sh resize.sh --dry-run=server
#
# Which pods belong to a workload is asked of the cluster: those that name it in their
# ownerReferences, or a ReplicaSet that names it. No label selector is guessed.
# A resize lasts as long as its pod: new pods are made from the template of their workload, so
# change that as well. Pods that give something back come first, so that there is room for those
# that ask for more, and of both those that do not restart. Whether a container restarts is for its
# resizePolicy to say: by default none does, and those known to are named above their call. A memory
# limit is lowered only where that restarts the container: a running one may be killed.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
failed=0

# owned RESOURCE NAMESPACE KIND NAME [FLAG]: the objects whose ownerReferences name KIND NAME.
owned() {
    objects=$(kubectl get "$1" --namespace="$2" ${5:+"$5"} --output=go-template='
{{range .items}}{{$name := .metadata.name}}{{range .metadata.ownerReferences}}
{{.kind}} {{.name}} {{$name}}{{end}}{{end}}
') || return 1
    printf '%s\\n' "$objects" |
        awk -v kind="$3" -v name="$4" '$1 == kind && $2 == name { print $3 }'
}

# pods_of NAMESPACE KIND NAME: the running pods of one workload.
pods_of() {
    running=--field-selector=status.phase=Running
    case $2 in
    @POD@) printf '%s\\n' "$3" ;;
    @BY_REPLICA_SETS@)
        sets=$(owned @REPLICA_SETS@ "$1" "$2" "$3") || return 1
        for set in $sets; do
            owned pods "$1" @REPLICA_SET@ "$set" "$running" || return 1
        done
        ;;
    *) owned pods "$1" "$2" "$3" "$running" ;;
    esac
}

# resize NAMESPACE KIND NAME FILE [FLAG...]: patches every running pod, and goes on if one fails.
resize() {
    namespace=$1 kind=$2 name=$3 file=$4
    shift 4
    if ! pods=$(pods_of "$namespace" "$kind" "$name"); then
        failed=1
        return 0
    fi
    [ -n "$pods" ] || echo "$namespace/$kind/$name has no running pod" >&2
    for pod in $pods; do
        kubectl patch pod "$pod" --namespace="$namespace" --subresource=resize --type=strategic \\
            --patch-file="$here/resize/$file" "$@" || failed=1
    done
}

"""
for _mark, _text in {
    "@POD@": POD.name,
    "@REPLICA_SET@": REPLICA_SET.name,
    "@REPLICA_SETS@": f"{REPLICA_SET.resource}.{REPLICA_SET.group}",
    "@BY_REPLICA_SETS@": " | ".join(kind.name for kind in KINDS if kind.by_replica_sets),
}.items():
    _HEADER = _HEADER.replace(_mark, _text)


@dataclass(frozen=True)
class Resize:
    """What one container can be resized to in place, and what of its change cannot be."""

    recommendation: Recommendation
    after: Resources
    left_out: tuple[str, ...]

    @property
    def before(self) -> Resources:
        """What the running pod states: a limit without a request is also the request."""
        return self.recommendation.current.effective()

    @property
    def resources(self) -> dict[str, dict[str, str]]:
        """The amounts to set as a `resources` mapping; empty where there is none."""
        changed = {
            target: getattr(self.after, target)
            for target in TARGETS
            if getattr(self.after, target) != getattr(self.before, target)
        }
        return Resources(**changed).as_manifest()


def write_resize(report: Report) -> dict[str, bytes]:
    """One strategic-merge patch of a pod per workload, and a script that applies them all.

    The script lists as comments what is left out, and why.
    """
    files: dict[str, bytes] = {}
    calls: list[tuple[bool, bool, str]] = []
    left_out: list[str] = []
    for workload, found in _workloads(report):
        changed = [r for r in found if r.changed]
        reason = _why_not(workload, changed)
        resizes = [] if reason else [resize_of(r) for r in found]
        reason = reason or _other_class(resizes)
        if reason:
            left_out += listed({workload: reason})
            continue
        left_out += [
            one_line(f"{r.recommendation.ref}: {why}", 1000) for r in resizes for why in r.left_out
        ]
        patch = _patch(resizes)
        if patch:
            name = f"{workload.slug()}.json"
            files[f"{FOLDER}/{name}"] = json.dumps(patch, indent=2).encode() + b"\n"
            words = ["resize", workload.namespace, workload.kind, workload.name, name]
            restarts = [name for resize in resizes for name in _restarted(resize)]
            told = f"# restarts {one_line(', '.join(restarts), 1000)}\n" if restarts else ""
            call = f'{told}{shell(words)} "$@"\n'
            calls.append((_asks_for_more(resizes), bool(restarts), call))
    # What is given back comes first: a raise that its node has no room for is put off by the
    # kubelet, and nothing has to go for one that has.
    ordered = [call for *_, call in sorted(calls, key=lambda call: call[:2])]
    return {"patches/resize.sh": _script(ordered, left_out), **files}


def _restarted(resize: Resize) -> Iterator[str]:
    """Its container where the resize restarts it, and by which resource."""
    one = resize.recommendation
    for resource in one.restarts:
        if any(getattr(resize.after, t) != getattr(resize.before, t) for t in _OF[resource]):
            yield f"{one.ref.container} ({resource})"


_OF: Mapping[str, Sequence[TargetName]] = {
    "cpu": ("cpu_request", "cpu_limit"),
    "memory": ("memory_request", "memory_limit"),
}


def _asks_for_more(resizes: Iterable[Resize]) -> bool:
    """Whether any request of a pod rises."""
    return any(
        after is not None and (before is None or after > before)
        for resize in resizes
        for before, after in (
            (resize.before.cpu_request, resize.after.cpu_request),
            (resize.before.memory_request, resize.after.memory_request),
        )
    )


def resize_of(recommendation: Recommendation) -> Resize:
    """The part of a change that a running container can take.

    Left out are: every amount of a container that runs once, an amount that would be taken away,
    a lowered memory limit where that does not restart it, and a request above the limit that stays
    for one of these reasons.
    """
    now, new = recommendation.current.effective(), recommendation.proposed.effective()
    if not recommendation.changed:
        return Resize(recommendation, now, ())
    if recommendation.container_type == "init":
        return Resize(recommendation, now, ("a container that runs once is not resized",))
    left_out = []
    restarts = "memory" in recommendation.restarts
    for target in TARGETS:
        before, after = getattr(now, target), getattr(new, target)
        name = target.replace("_", " ")
        if before is not None and after is None:
            new = replace(new, **{target: before})
            left_out.append(f"its {name} of {before} cannot be taken away in place")
        elif target == "memory_limit" and _falls(before, after) and not restarts:
            new = replace(new, memory_limit=before)
            left_out.append(f"its memory limit is not lowered in place (from {before} to {after})")
    for resource in ("cpu", "memory"):
        request, limit = getattr(new, f"{resource}_request"), getattr(new, f"{resource}_limit")
        if None not in (request, limit) and request > limit:
            new = replace(new, **{f"{resource}_request": getattr(now, f"{resource}_request")})
            left_out.append(f"its {resource} request of {request} is above the limit that stays")
    return Resize(recommendation, new, tuple(left_out))


def _falls(before: Quantity | None, after: Quantity | None) -> bool:
    return before is not None and after is not None and after < before


def _workloads(report: Report) -> Iterator[tuple[WorkloadRef, list[Recommendation]]]:
    """Every workload with changes, sorted, with all its recommendations."""
    ordered = sorted(report.recommendations, key=lambda r: r.ref)
    for workload, group in groupby(ordered, key=lambda r: r.ref.workload_ref):
        found = list(group)
        if any(r.changed for r in found):
            yield workload, found


def _why_not(workload: WorkloadRef, changed: Iterable[Recommendation]) -> str:
    if runs_now_and_then(workload.kind):
        return "its pods come and go; change what creates them"
    changed = list(changed)
    along = next((one.title for r in changed for one in r.companions), "")
    if along:
        return f"{along} changes with it, which a resize cannot do; change what creates its pods"
    if not (workload.kind.isascii() and workload.kind.isalnum()):
        return f"{workload.kind!r} is not a kind of object"
    return strange_name(workload, changed)


def _other_class(resizes: Iterable[Resize]) -> str:
    """Why the API server would refuse the resize of a pod; containers without numbers are unknown.

    A pod with one of these may be Burstable where the others alone are not; then a resize that
    would have been allowed is left out.
    """
    resizes = list(resizes)
    before = qos_class([r.before for r in resizes])
    after = qos_class([r.after for r in resizes])
    if before == after:
        return ""
    return f"a resize cannot turn a {before} pod into a {after} one; change its template"


def _patch(resizes: Iterable[Resize]) -> Mapping[str, Any]:
    lists: dict[str, list[dict[str, Any]]] = {}
    for resize in resizes:
        if resize.resources:
            name = resize.recommendation.ref.container
            containers = lists.setdefault(list_name(resize.recommendation), [])
            containers.append({"name": name, "resources": resize.resources})
    return {"spec": dict(sorted(lists.items()))} if lists else {}


def _script(calls: Iterable[str], left_out: Iterable[str]) -> bytes:
    lines = [f"# {line}\n" for line in left_out]
    comment = "\n# Left out:\n" + "".join(lines) if lines else ""
    return (_HEADER + "".join(calls) + comment + '\nexit "$failed"\n').encode()
