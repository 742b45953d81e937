"""VerticalPodAutoscaler objects that only advise, to compare their advice with the proposals."""

from __future__ import annotations

from typing import Any

from analyzer.report import Report
from analyzer.writers.manifest import Patchable, dump_yaml, listed, patchable, unpatchable

FOLDER = "patches/vpa"
LABEL = {"app.kubernetes.io/managed-by": "rightsize"}

_MAX_NAME = 253
_NOTE = """\
# They change no pod: updateMode is "Off". They need the VPA's CRDs and its recommender, and some
# days to learn; then compare with `kubectl describe vpa --all-namespaces \\
# --selector=app.kubernetes.io/managed-by=rightsize`, and delete them by that selector.
# A workload must have one VPA only: take out here those that have one already.
"""


def write_vpa(report: Report) -> dict[str, bytes]:
    """One VPA in ``Off`` mode per changed workload, and a kustomization that holds them all.

    Comments state the proposal next to it, and in the kustomization what is left out, and why.
    """
    files: dict[str, bytes] = {}
    reasons = unpatchable(report)
    for item in patchable(report):
        reason = _why_not(item)
        if reason:
            reasons[item.workload] = reason
        else:
            files[f"{item.workload.slug()}.yaml"] = _proposal(item) + dump_yaml(_object(item))
    kustomization = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": list(files),
    }
    lines = [f"# Left out: {line}\n" for line in listed(dict(sorted(reasons.items())))]
    head = (_NOTE + "".join(lines)).encode()
    return {
        f"{FOLDER}/kustomization.yaml": head + dump_yaml(kustomization),
        **{f"{FOLDER}/{name}": content for name, content in files.items()},
    }


def _why_not(item: Patchable) -> str:
    """Why a workload that can be patched gets no VPA; empty where it gets one."""
    if all(r.container_type == "init" for r in item.changed):
        return "the VPA advises nothing for containers that run once"
    if len(_name(item)) > _MAX_NAME:
        return "its name is too long for the name of an object made from it"
    return ""


def _name(item: Patchable) -> str:
    """A name that no other workload of the namespace leads to: kinds hold no hyphen."""
    return f"rightsize-{item.workload.kind.lower()}-{item.workload.name}"


def _object(item: Patchable) -> dict[str, Any]:
    """The VPA, after its API reference (autoscaling.k8s.io/v1).

    ``RequestsAndLimits`` is its default and would matter to an updater alone; stated is
    ``RequestsOnly``, so that a later change of the mode would not touch a limit.
    """
    workload = item.workload
    policies = [
        {
            "containerName": r.ref.container,
            "controlledResources": ["cpu", "memory"],
            "controlledValues": "RequestsOnly",
        }
        for r in item.changed
        if r.container_type != "init"
    ]
    return {
        "apiVersion": "autoscaling.k8s.io/v1",
        "kind": "VerticalPodAutoscaler",
        "metadata": {
            "name": _name(item),
            "namespace": workload.namespace,
            "labels": dict(LABEL),
        },
        "spec": {
            "targetRef": {
                "apiVersion": item.api_version,
                "kind": workload.kind,
                "name": workload.name,
            },
            "updatePolicy": {"updateMode": "Off"},
            "resourcePolicy": {"containerPolicies": policies},
        },
    }


def _proposal(item: Patchable) -> bytes:
    """The proposed requests as comments: names are Kubernetes names, or there is no VPA."""
    lines = []
    for r in item.changed:
        requests = r.proposed.as_manifest().get("requests", {})
        told = ", ".join(f"{name} {amount}" for name, amount in requests.items()) or "none"
        lines.append(f"# Proposed requests of {r.ref.container}: {told}\n")
    return "".join(lines).encode()
