"""Strategic-merge patches, one per workload, with a kustomize Component that applies them all."""

from __future__ import annotations

from typing import Any

from analyzer.recommend import Recommendation
from analyzer.report import Report
from analyzer.writers.manifest import (
    NAMESPACE_NOTE,
    Along,
    Patchable,
    component,
    dump_yaml,
    list_name,
    no_strategic_merge,
    patchable,
    patched_along,
    resources_patch,
)

FOLDER = "patches/kustomize"


def write_kustomize(report: Report) -> dict[str, bytes]:
    """One patch file per workload and a ``kustomization.yaml`` that names each with its target.

    The kustomization is a Component: an overlay takes it in under ``components:``, and patches
    whose workload the overlay does not hold are passed over. Targets are kind and name alone
    wherever these are unique in the report: the namespace is often not declared. A kind without
    such patches gets none here. The target of an autoscaler that changes with a request is a JSON
    patch, for lists of metrics are not merged.
    """
    files: dict[str, bytes] = {}
    patches: dict[str, Patchable | Along] = {}
    for item in patchable(report):
        if no_strategic_merge(item):
            continue
        name = f"{item.workload.slug()}.yaml"
        note = b"" if item.unique else NAMESPACE_NOTE
        files[f"{FOLDER}/{name}"] = note + dump_yaml(_patch(item))
        patches[name] = item
        for along in patched_along(item):
            files[f"{FOLDER}/{along.slug}.yaml"] = dump_yaml(along.operations)
            patches[f"{along.slug}.yaml"] = along
    return {f"{FOLDER}/kustomization.yaml": component(patches), **files}


def _patch(item: Patchable) -> dict[str, Any]:
    lists: dict[str, list[dict[str, Any]]] = {}
    for recommendation in item.changed:
        lists.setdefault(list_name(recommendation), []).append(_container(recommendation))
    body: dict[str, Any] = dict(sorted(lists.items()))
    for key in reversed(item.pod_spec):
        body = {key: body}
    return {
        "apiVersion": item.api_version,
        "kind": item.workload.kind,
        "metadata": {"name": item.workload.name, "namespace": item.workload.namespace},
        **body,
    }


def _container(recommendation: Recommendation) -> dict[str, Any]:
    return {"name": recommendation.ref.container, "resources": resources_patch(recommendation)}
