"""One store with four clusters that each name things otherwise, six hours long."""

from __future__ import annotations

from collections.abc import Callable

from tests.sources.smallcluster import END, MIB, SCRAPE, escape

LAST = int(END.timestamp())
FIRST = LAST - 6 * 3600
NEW_RULE = "node_namespace_pod_container:container_cpu_usage_seconds_total:sum_rate5m"
RULE = "node_namespace_pod_container:container_cpu_usage_seconds_total:sum_irate"
MEMORY_RULE = "node_namespace_pod_container:container_memory_working_set_bytes"


def openmetrics() -> str:
    lines: list[str] = []

    def series(metric: str, labels: dict[str, str], rate: float, base: float = 0) -> None:
        inner = ",".join(f'{name}="{escape(value)}"' for name, value in labels.items())
        for time in range(FIRST, LAST + 1, SCRAPE):
            lines.append(f"{metric}{{{inner}}} {base + (time - FIRST) * rate:.3f} {time}")

    app = {"namespace": "n", "pod": "web-1-x", "container": "web"}
    # Managed: no image, no metrics_path, an old kube-state-metrics whose labels were renamed.
    managed = {"cluster": "managed", "job": "cadvisor"} | app
    series("container_cpu_usage_seconds_total", managed, 0.25)
    series("container_memory_working_set_bytes", managed, 0, 64 * MIB)
    renamed = {"cluster": "managed", "job": "state", "namespace": "monitoring", "pod": "ksm-0"}
    renamed |= {"exported_namespace": "n", "exported_pod": "web-1-x"}
    _owners(series, renamed)
    container = renamed | {"container": "ksm", "exported_container": "web"}
    series("kube_pod_container_resource_requests_cpu_cores", container, 0, 0.5)
    series("kube_pod_container_resource_requests_memory_bytes", container, 0, 128 * MIB)
    hpa = renamed | {"hpa": "web"}
    series("kube_hpa_spec_min_replicas", hpa, 0, 2)
    series("kube_hpa_spec_max_replicas", hpa, 0, 5)
    target = {"metric_name": "memory", "metric_target_type": "utilization"}
    series("kube_hpa_spec_target_metric", hpa | target, 0, 70)
    # Rules: the raw series were dropped; the rule of today is preferred to that of before.
    for cluster, names in (("rules", (RULE,)), ("rules5m", (NEW_RULE, RULE))):
        rules = {"cluster": cluster} | app
        for name, cores in zip(names, (0.75, 0.5), strict=False):
            series(name, rules, 0, cores)
        series(MEMORY_RULE, rules, 0, 96 * MIB)
        state = {"cluster": cluster, "job": "state", "namespace": "n", "pod": "web-1-x"}
        _owners(series, state)
    # Twice: two jobs scrape the same kubelet, the second sees one container less.
    for job, path in (("kubelet", "/metrics/cadvisor"), ("extra", "/metrics")):
        labels = {"cluster": "twice", "job": job, "metrics_path": path, "image": "i", "id": "/c1"}
        series("container_cpu_usage_seconds_total", labels | app, 1)
        series("container_memory_working_set_bytes", labels | app, 0, 32 * MIB)
    lone = labels | app | {"container": "lone", "job": "extra", "id": "/c2"}
    series("container_cpu_usage_seconds_total", lone, 2)
    _owners(series, {"cluster": "twice", "job": "state", "namespace": "n", "pod": "web-1-x"})
    return "\n".join(lines) + "\n# EOF\n"


def _owners(series: Callable[..., None], labels: dict[str, str]) -> None:
    owner = {"owner_kind": "ReplicaSet", "owner_name": "web-1"}
    series("kube_pod_owner", labels | owner, 0, 1)
    replicas = {name: value for name, value in labels.items() if "pod" not in name}
    above = {"replicaset": "web-1", "owner_kind": "Deployment", "owner_name": "web"}
    series("kube_replicaset_owner", replicas | above, 0, 1)
