"""Custom resources whose operators turn a `resources` field into containers.

One row per field: which object, which workload the operator makes of it, and where the field is.
`{name}` is the object's name; a workload that is numbered or lettered is a pattern.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from analyzer.gitops.reach.runtimes import Floor, memory_floors
from analyzer.gitops.text.tree import Key, Node, Path


@dataclass(frozen=True, slots=True)
class Rule:
    """What one field of a custom resource feeds. `each` is a list whose items multiply the rule."""

    group: str
    kind: str
    workload_kind: str
    workload: str
    container: str
    path: Path
    pattern: bool = False


_SPEC: Path = ("spec", "resources")
_ROOK: tuple[tuple[str, str, str], ...] = (
    ("mon", "rook-ceph-mon-[a-z]+", "mon"),
    ("mgr", "rook-ceph-mgr-[a-z]+", "mgr"),
    ("osd", "rook-ceph-osd-[0-9]+", "osd"),
)
RULES: tuple[Rule, ...] = (
    Rule("postgresql.cnpg.io", "Cluster", "Cluster", "{name}", "postgres", _SPEC),
    Rule(
        "monitoring.coreos.com",
        "Prometheus",
        "StatefulSet",
        "prometheus-{name}",
        "prometheus",
        _SPEC,
    ),
    Rule(
        "monitoring.coreos.com",
        "Alertmanager",
        "StatefulSet",
        "alertmanager-{name}",
        "alertmanager",
        _SPEC,
    ),
    Rule(
        "monitoring.coreos.com",
        "ThanosRuler",
        "StatefulSet",
        "thanos-ruler-{name}",
        "thanos-ruler",
        _SPEC,
    ),
    Rule("dragonflydb.io", "Dragonfly", "StatefulSet", "{name}", "dragonfly", _SPEC),
    Rule(
        "operator.victoriametrics.com",
        "VMSingle",
        "Deployment",
        "vmsingle-{name}",
        "vmsingle",
        _SPEC,
    ),
    Rule(
        "operator.victoriametrics.com", "VMAgent", "Deployment", "vmagent-{name}", "vmagent", _SPEC
    ),
    Rule(
        "operator.victoriametrics.com", "VMAlert", "Deployment", "vmalert-{name}", "vmalert", _SPEC
    ),
    Rule(
        "operator.victoriametrics.com",
        "VMAlertmanager",
        "StatefulSet",
        "vmalertmanager-{name}",
        "alertmanager",
        _SPEC,
    ),
    *(
        Rule(
            "ceph.rook.io",
            "CephCluster",
            "Deployment",
            workload,
            container,
            ("spec", "resources", key),
            True,
        )
        for key, workload, container in _ROOK
    ),
    Rule(
        "ceph.rook.io",
        "CephFilesystem",
        "Deployment",
        "rook-ceph-mds-{name}-[a-z]+",
        "mds",
        ("spec", "metadataServer", "resources"),
        True,
    ),
    Rule(
        "ceph.rook.io",
        "CephObjectStore",
        "Deployment",
        "rook-ceph-rgw-{name}-[a-z]+",
        "rgw",
        ("spec", "gateway", "resources"),
        True,
    ),
    Rule("kafka.strimzi.io", "KafkaNodePool", "StrimziPodSet", "{cluster}-{name}", "kafka", _SPEC),
)


def rules_for(group: str, kind: str) -> list[Rule]:
    """The rules of one kind of custom resource; empty for kinds that are not known."""
    return [rule for rule in RULES if rule.group == group and rule.kind == kind]


def workload_pattern(rule: Rule, name: str, node: Node) -> re.Pattern[str]:
    """The names of the workloads that `rule` makes of an object called `name`."""
    cluster = node.text("metadata", "labels", "strimzi.io/cluster") or "?"
    text = rule.workload if rule.pattern else re.escape(rule.workload)
    for field, value in (("name", name), ("cluster", cluster)):
        text = text.replace(f"{{{field}}}", re.escape(value))
        text = text.replace(re.escape(f"{{{field}}}"), re.escape(value))
    return re.compile(text)


SIZED_BY_LIMIT = {
    ("dragonflydb.io", "Dragonfly"): (
        "its maxmemory",
        "Dragonfly takes its maxmemory from the limit",
    ),
    ("elasticsearch.k8s.elastic.co", "Elasticsearch"): (
        "its Java heap",
        "Elasticsearch takes its heap from the limit",
    ),
}
"""Programs that size themselves by their limit where no size is set: the size, and what to say."""


def floors(group: str, kind: str, settings: object) -> tuple[Floor, ...]:
    """What the settings of a custom resource, or of a container in it, ask of its memory."""
    found = memory_floors(settings)
    size, what = SIZED_BY_LIMIT.get((group, kind), (None, ""))
    if size is None or any(floor.what.startswith(size) for floor in found):
        return found
    return (*found, Floor(what))


def pod_template(group: str, kind: str, node: Node) -> list[tuple[str, str, Path]]:
    """Whole pod templates in custom resources: workload kind, its name, the path of the pod spec.

    CloudNativePG's Pooler, the Grafana operator's Grafana and ECK's Elasticsearch have them.
    """
    name = node.text("metadata", "name") or ""
    if (group, kind) == ("postgresql.cnpg.io", "Pooler"):
        return [("Deployment", name, ("spec", "template", "spec"))]
    if (group, kind) == ("grafana.integreatly.org", "Grafana"):
        path: tuple[Key, ...] = ("spec", "deployment", "spec", "template", "spec")
        return [("Deployment", f"{name}-deployment", path)]
    if (group, kind) == ("elasticsearch.k8s.elastic.co", "Elasticsearch"):
        return [
            (
                "StatefulSet",
                f"{name}-es-{entry.text('name') or ''}",
                ("spec", "nodeSets", number, "podTemplate", "spec"),
            )
            for number, entry in enumerate(node.sequence("spec", "nodeSets"))
        ]
    return []
