"""A cluster of a few containers, two days long, with every trap of the series in it.

Numbers are round, so that tests can work out what must come out by hand.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

END = datetime(2026, 11, 23, tzinfo=UTC)
DAY = 86_400
SCRAPE = 60
LAST = int(END.timestamp())
FIRST = LAST - 2 * DAY
NOON = LAST - DAY // 2
"""When db-0 was killed for its memory, on the second day."""
MIDDLE = LAST - DAY
"""When web was rolled out anew."""
MIB = 2**20
ODD_IMAGE = 'registry/"odd"\\one\nü:1'
"""Quotes, a backslash, a line break and an umlaut."""


def openmetrics(*, milliseconds: bool = False) -> str:
    """All series as OpenMetrics text; times in milliseconds where VictoriaMetrics reads them."""
    out = Text(1000 if milliseconds else 1)
    _usage(out)
    _state(out)
    return "\n".join(out.lines) + ("\n" if milliseconds else "\n# EOF\n")


class Text:
    """Lines of OpenMetrics, as they gather."""

    def __init__(self, factor: int) -> None:
        self.lines: list[str] = []
        self.factor = factor

    def series(
        self,
        metric: str,
        labels: dict[str, str],
        value: Callable[[int], float],
        span: tuple[int, int] = (FIRST, LAST),
    ) -> None:
        """A sample each scrape in ``(span[0], span[1]]``."""
        inner = ",".join(f'{name}="{escape(text)}"' for name, text in labels.items())
        prefix = f"{metric}{{{inner}}} "
        first = span[0] + SCRAPE
        self.lines += [
            f"{prefix}{value(time):g} {time * self.factor}"
            if value(time) < 1e5
            else f"{prefix}{value(time):.0f} {time * self.factor}"
            for time in range(first, span[1] + 1, SCRAPE)
        ]


def escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _usage(out: Text) -> None:
    _container(out, "web-1-aaaaa", "web", 0.1, 100, span=(FIRST, MIDDLE), image="web:1")
    _container(out, "web-2-bbbbb", "web", 0.2, 150, span=(MIDDLE, LAST), image="web:2")
    _container(out, "web-2-bbbbb", "proxy", 0.05, 20, span=(MIDDLE, LAST))
    # An in-place restart: another cgroup, the counter starts anew.
    _container(out, "db-0", "db", 0.5, 500, span=(FIRST, NOON), cgroup="before")
    _container(out, "db-0", "db", 0.5, 300, span=(NOON, LAST), cgroup="after")
    _container(out, "backup-29000001-ccccc", "backup", 1, 50, span=(FIRST + 3600, FIRST + 5400))
    _container(out, "roll-abc-ddddd", "roll", 0.3, 10)
    _container(out, "pg-1", "postgres", 0.4, 200)
    _container(out, "toolbox", "a.b", 0.01, 5, image=ODD_IMAGE)
    # An HA pair whose halves were away at different times.
    for replica, gap in (("a", 3600), ("b", 5 * 3600)):
        for span in ((FIRST, FIRST + gap), (FIRST + gap + 3600, LAST)):
            _container(out, "ha-0", "ha", 0.25, 30, span=span, replica=replica)
    # What must never be counted: the pod's own cgroup, the pause container.
    for container, image in (("", ""), ("POD", "pause:1")):
        _container(out, "db-0", container, 9, 9000, image=image, cgroup=f"no-{container}")
    throttled = _cadvisor("db-0", "db", "after", "db:1")
    out.series("container_cpu_cfs_periods_total", throttled, _rising(10), (NOON, LAST))
    slow = NOON + 7200

    def waited(time: int) -> float:
        # From 14:00 to 14:10 a tenth of all periods had to wait.
        return min(max(time - slow, 0), 600) * 1.0

    out.series("container_cpu_cfs_throttled_periods_total", throttled, waited, (NOON, LAST))
    _pressure(out, throttled)


def _pressure(out: Text, labels: dict[str, str]) -> None:
    """One hour from 15:00 in which db waited for CPU, the next in which it waited for memory."""

    def lost(share: float, begin: int) -> Callable[[int], float]:
        # What is lost all the time is too little to be told.
        return lambda time: (time - NOON) * 0.01 + min(max(time - begin, 0), 3600) * share

    span = (NOON, LAST)
    waiting, stalled = "cpu_waiting", "memory_stalled"
    for what, share, begin in ((waiting, 0.24, NOON + 3 * 3600), (stalled, 0.09, NOON + 4 * 3600)):
        out.series(f"container_pressure_{what}_seconds_total", labels, lost(share, begin), span)


def _container(
    out: Text,
    pod: str,
    container: str,
    cores: float,
    mebibytes: int,
    *,
    span: tuple[int, int] = (FIRST, LAST),
    image: str | None = None,
    cgroup: str = "one",
    replica: str = "",
) -> None:
    labels = _cadvisor(pod, container, cgroup, f"{container}:1" if image is None else image)
    if replica:
        labels["prometheus_replica"] = replica
    counter = labels | {"cpu": "total"}
    start = span[0]
    total = "container_cpu_usage_seconds_total"
    out.series(total, counter, lambda time: (time - start) * cores, span)
    size = mebibytes * MIB
    out.series("container_memory_working_set_bytes", labels, lambda _: size, span)


def _cadvisor(pod: str, container: str, cgroup: str, image: str) -> dict[str, str]:
    return {
        "job": "kubelet",
        "metrics_path": "/metrics/cadvisor",
        "namespace": "shop",
        "pod": pod,
        "container": container,
        "image": image,
        "id": f"/kubepods/{pod}/{container}/{cgroup}",
        "name": cgroup,
        "node": "n1",
    }


def _rising(rate: float) -> Callable[[int], float]:
    return lambda time: (time - FIRST) * rate


_KSM = {"job": "kube-state-metrics", "instance": "ksm:8080", "namespace": "shop"}


def _state(out: Text) -> None:
    def one(metric: str, labels: dict[str, str], value: float, span: tuple[int, int]) -> None:
        out.series(metric, _KSM | labels, lambda _: value, span)

    whole, old, new = (FIRST, LAST), (FIRST, MIDDLE), (MIDDLE, LAST)
    job = (FIRST + 3600, FIRST + 9000)
    owners = [
        ("web-1-aaaaa", "ReplicaSet", "web-1", old),
        ("web-2-bbbbb", "ReplicaSet", "web-2", new),
        ("db-0", "StatefulSet", "db", whole),
        ("backup-29000001-ccccc", "Job", "backup-29000001", job),
        ("roll-abc-ddddd", "ReplicaSet", "roll-abc", whole),
        ("pg-1", "Cluster", "pg", whole),
        ("toolbox", "<none>", "<none>", whole),
        ("ha-0", "StatefulSet", "ha", whole),
    ]
    for pod, kind, owner, span in owners:
        labels = {"pod": pod, "owner_kind": kind, "owner_name": owner}
        one("kube_pod_owner", labels, 1, span)
        one("kube_pod_labels", {"pod": pod, "label_app": owner}, 1, span)
    for name, kind, owner, span in (
        ("web-1", "Deployment", "web", old),
        ("web-2", "Deployment", "web", new),
        ("roll-abc", "Rollout", "roll", whole),
    ):
        labels = {"replicaset": name, "owner_kind": kind, "owner_name": owner}
        one("kube_replicaset_owner", labels, 1, span)
    labels = {"job_name": "backup-29000001", "owner_kind": "CronJob", "owner_name": "backup"}
    one("kube_job_owner", labels, 1, job)
    for pod, container, image, span in (
        ("web-1-aaaaa", "web", "web:1", old),
        ("web-2-bbbbb", "web", "web:2", new),
        ("db-0", "db", "db:1", whole),
        ("backup-29000001-ccccc", "backup", "backup:1", job),
        ("toolbox", "a.b", ODD_IMAGE, whole),
    ):
        labels = {"pod": pod, "container": container, "image": image}
        one("kube_pod_container_info", labels, 1, span)
    labels = {"pod": "web-2-bbbbb", "container": "proxy", "image": "proxy:1"}
    one("kube_pod_init_container_info", labels | {"restart_policy": "Always"}, 1, new)
    labels = {"pod": "web-2-bbbbb", "container": "migrate", "image": "web:2"}
    one("kube_pod_init_container_info", labels, 1, new)
    for what, pod, container, resource, value, span in (
        ("requests", "web-1-aaaaa", "web", "cpu", 0.5, old),
        ("requests", "web-2-bbbbb", "web", "cpu", 0.25, new),
        ("requests", "db-0", "db", "memory", 256 * MIB, whole),
        ("limits", "db-0", "db", "memory", 512 * MIB, whole),
        ("limits", "db-0", "db", "cpu", 1, whole),
        ("requests", "backup-29000001-ccccc", "backup", "memory", 64 * MIB, job),
    ):
        labels = {"pod": pod, "container": container, "resource": resource}
        one(f"kube_pod_container_resource_{what}", labels, value, span)
    labels = {"pod": "db-0", "container": "db"}
    restarts = "kube_pod_container_status_restarts_total"
    out.series(restarts, _KSM | labels, lambda time: float(time > NOON))
    reason = "kube_pod_container_status_last_terminated_reason"
    one(reason, labels | {"reason": "OOMKilled"}, 1, (NOON, LAST))
    one("kube_namespace_created", {"namespace": "kube-system"}, FIRST - 86_400, whole)
    one("kube_deployment_spec_replicas", {"deployment": "web"}, 3, whole)
    hpa = {"horizontalpodautoscaler": "web"}
    prefix = "kube_horizontalpodautoscaler"
    target = {"scaletargetref_kind": "Deployment", "scaletargetref_name": "web"}
    one(f"{prefix}_info", hpa | target, 1, whole)
    one(f"{prefix}_spec_min_replicas", hpa, 2, whole)
    one(f"{prefix}_spec_max_replicas", hpa, 5, whole)
    metric = {"metric_name": "cpu", "metric_target_type": "utilization"}
    one(f"{prefix}_spec_target_metric", hpa | metric, 80, whole)
    for resource, value in (("cpu", 4), ("memory", 8 * 2**30), ("nvidia_com_gpu", 1)):
        one("kube_node_status_allocatable", {"node": "n1", "resource": resource}, value, whole)
    target = {"target_kind": "Deployment", "target_name": "web"}
    modes = "kube_customresource_verticalpodautoscaler_spec_updatepolicy_updatemode"
    for mode in ("Auto", "Off"):
        one(modes, {**target, "update_mode": mode}, float(mode == "Off"), whole)
    one("kube_node_labels", {"node": "n1", "label_karpenter_sh_nodepool": "general"}, 1, whole)
    _scheduling(one)


def _scheduling(one: Callable[[str, dict[str, str], float, tuple[int, int]], None]) -> None:
    """What pods ask of nodes: db a taint to bear and a GPU, roll and ha a RuntimeClass.

    The scheduler tells what roll's runtime takes and what ha declares with it as one sum each.
    """
    whole = (FIRST, LAST)
    one("kube_pod_info", {"pod": "db-0", "node": "n1", "priority_class": "vital"}, 1, whole)
    one("kube_node_spec_taint", {"node": "n1", **_TAINT}, 1, whole)
    one("kube_node_spec_unschedulable", {"node": "n1"}, 0, whole)
    for role in ("worker", "etcd"):
        one("kube_node_role", {"node": "n1", "role": role}, 1, whole)
    usual = {"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute"}
    one("kube_pod_tolerations", {"pod": "db-0", **usual}, 1, whole)
    one("kube_pod_tolerations", {"pod": "db-0", "operator": "Equal", **_TAINT}, 1, whole)
    one("kube_pod_tolerations", {"pod": "web-2-bbbbb", **usual}, 1, whole)
    one("kube_pod_nodeselectors", {"pod": "db-0", "nodeselector_disk": "ssd"}, 1, whole)
    gpu = {"pod": "db-0", "container": "db", "resource": "nvidia_com_gpu", "unit": "integer"}
    one("kube_pod_container_resource_requests", gpu, 1, whole)
    migrate = {"pod": "web-2-bbbbb", "container": "migrate", "resource": "ephemeral_storage"}
    one("kube_pod_init_container_resource_requests", migrate, 2**30, whole)
    one("kube_node_created", {"node": "n1"}, FIRST - DAY, whole)
    one("kube_node_info", {"node": "n1"}, 1, whole)
    spot = (FIRST, MIDDLE)
    one("kube_node_info", {"node": "spot"}, 1, spot)
    one("kube_node_labels", {"node": "spot", "label_karpenter_sh_nodepool": "spot"}, 1, spot)
    for resource, value in (("cpu", 2.0), ("memory", 2.0**32)):
        one("kube_node_status_allocatable", {"node": "spot", "resource": resource}, value, spot)
    for pod in ("roll-abc-ddddd", "ha-0", "pg-1"):
        one("kube_pod_runtimeclass_name_info", {"pod": pod, "runtimeclass_name": "k"}, 1, whole)
    for pod, cpu, memory in (
        ("roll-abc-ddddd", 0.25, 128 * MIB),
        ("ha-0", 1.25, 640 * MIB),
        ("pg-1", 0.25, 128 * MIB),
    ):
        for resource, value in (("cpu", cpu), ("memory", memory)):
            one("kube_pod_resource_request", {"pod": pod, "resource": resource}, value, whole)
        if pod != "pg-1":
            one("kube_pod_overhead_cpu_cores", {"pod": pod}, 0.25, whole)
            one("kube_pod_overhead_memory_bytes", {"pod": pod}, 128 * MIB, whole)
    for what, value in (
        ("pod_disruptions_allowed", 0),
        ("expected_pods", 1),
        ("current_healthy", 1),
        ("desired_healthy", 1),
    ):
        metric = f"kube_poddisruptionbudget_status_{what}"
        one(metric, {"poddisruptionbudget": "db"}, value, whole)


_TAINT = {"key": "dedicated", "value": "db", "effect": "NoSchedule"}
