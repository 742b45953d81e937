"""A cluster of one day in which each namespace has one oddity of telemetry, beside a healthy one.

Numbers are round, so that tests can work out what must come out by hand.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.sources.smallcluster import DAY, LAST, MIB, Text

FIRST = LAST - DAY
NOON = LAST - DAY // 2
Span = tuple[int, int]
WHOLE: Span = (FIRST, LAST)
KSM = {"job": "kube-state-metrics", "instance": "ksm:8080"}
COSTS = {"job": "opencost", "instance": "opencost:9003"}
FAR = {"job": "far-kube-state-metrics", "instance": "far:8080"}


def constant(value: float) -> Callable[[int], float]:
    """The same value at any time."""
    return lambda _: value


def openmetrics() -> str:
    """All series as OpenMetrics text."""
    out = Text(1)
    for build in (
        _healthy,
        _late_labels,
        _exporters,
        _two_paths,
        _silent,
        _gone,
        _killed,
        _short_runs,
        _nought,
        _whole_pods,
    ):
        build(out)
    # Two pods of one ReplicaSet tell of its owner alike.
    return "\n".join(dict.fromkeys(out.lines)) + "\n# EOF\n"


@dataclass(frozen=True)
class Pod:
    """One pod of a Deployment with one container, both named after their namespace."""

    space: str
    span: tuple[int, int] = WHOLE
    suffix: str = "1-aaaaa"
    container: str = ""
    node: str = "n1"
    phase: str = "Running"

    @property
    def names(self) -> dict[str, str]:
        name = {"namespace": self.space, "pod": f"{self.space}-{self.suffix}"}
        return name | {"container": self.container or self.space}

    def usage(
        self,
        out: Text,
        cores: float,
        mebibytes: float,
        span: Span | None = None,
        cores_from: int | None = None,
        **more: str,
    ) -> None:
        """What cAdvisor tells; `more` labels replace or, where empty, take away."""
        span = span or self.span
        pod = self.names["pod"]
        labels = {"job": "kubelet", "metrics_path": "/metrics/cadvisor", "node": self.node}
        labels |= self.names | {"image": "app:1", "id": f"/kubepods/{pod}/one", "name": "one"}
        labels |= more
        labels = {name: text for name, text in labels.items() if text}
        total = "container_cpu_usage_seconds_total"
        start = span[0] if cores_from is None else cores_from
        out.series(total, labels | {"cpu": "total"}, lambda time: (time - start) * cores, span)
        size = mebibytes * MIB
        out.series("container_memory_working_set_bytes", labels, constant(size), span)

    def state(self, out: Text, who: dict[str, str] = KSM, **requests: float) -> None:
        """What kube-state-metrics tells: owner, image, requests of ``cpu`` and ``memory``."""
        space, pod = self.names["namespace"], self.names["pod"]
        owner = pod.rpartition("-")[0]
        place = who | {"namespace": space}

        def one(metric: str, labels: dict[str, str], value: float = 1) -> None:
            out.series(metric, place | labels, constant(value), self.span)

        one("kube_pod_owner", {"pod": pod, "owner_kind": "ReplicaSet", "owner_name": owner})
        above = {"owner_kind": "Deployment", "owner_name": space}
        one("kube_replicaset_owner", {"replicaset": owner} | above)
        one("kube_pod_container_info", self.names | {"image": "app:1"})
        one("kube_pod_info", {"pod": pod, "node": self.node})
        one("kube_pod_start_time", {"pod": pod}, self.span[0] - 7)
        one("kube_pod_status_phase", {"pod": pod, "phase": "Running"}, self.phase == "Running")
        one("kube_pod_status_phase", {"pod": pod, "phase": "Failed"}, self.phase == "Failed")
        for resource, value in requests.items():
            labels = self.names | {"resource": resource}
            one("kube_pod_container_resource_requests", labels, value)


def _healthy(out: Text) -> None:
    rules = KSM | {"namespace": "well", "resource": "memory"}
    quota = rules | {"resourcequota": "team", "resource": "requests.cpu"}
    for kind, value in (("hard", 8), ("used", 0.5)):
        out.series("kube_resourcequota", quota | {"type": kind}, constant(value), WHOLE)
    limits = rules | {"limitrange": "sane", "type": "Container", "constraint": "max"}
    out.series("kube_limitrange", limits, constant(2**30), WHOLE)
    pod = Pod("well")
    pod.usage(out, 0.2, 100)
    pod.state(out, cpu=0.5, memory=256 * MIB)
    for resource, value in (("cpu", 4), ("memory", 8 * 2**30)):
        labels = KSM | {"node": "n1", "resource": resource}
        # Told since noon only.
        out.series("kube_node_status_allocatable", labels, constant(value), (NOON, LAST))


def _late_labels(out: Text) -> None:
    """Labels that came at noon: the image, the job's path, the name of the replica."""
    pod = Pod("late")
    pod.usage(out, 1, 300, (FIRST, NOON), image="", metrics_path="", endpoint="")
    pod.usage(out, 0.5, 100, (NOON, LAST), endpoint="https", prometheus_replica="a")
    pod.state(out, cpu=2)
    pod.usage(out, 9, 9000, container="POD", image="pause:1", id="/kubepods/late/pause")


def _whole_pods(out: Text) -> None:
    """A pod that declares its amounts as a whole, and the scheduler that tells of it."""
    pod = Pod("whole")
    pod.usage(out, 0.2, 100)
    pod.state(out, cpu=0.5)
    place = {"job": "scheduler", "namespace": "kube-system", "pod": "scheduler-n1"}
    place |= {f"exported_{name}": text for name, text in pod.names.items() if name != "container"}
    for what, resource, value in (
        ("request", "cpu", 0.5),
        ("request", "memory", 2**30),
        ("limit", "memory", 2**31),
    ):
        labels = place | {"resource": resource}
        out.series(f"kube_pod_resource_{what}", labels, constant(value), WHOLE)


def _nought(out: Text) -> None:
    """A kubelet that looks into the wrong cgroup reports no memory at all."""
    pod = Pod("nought")
    pod.usage(out, 0.2, 0)
    pod.state(out, cpu=0.5)


def _exporters(out: Text) -> None:
    """A cost tool repeats requests with values of its own; a far shard alone tells of its own."""
    pod = Pod("cost")
    pod.usage(out, 0.2, 100)
    pod.state(out, cpu=1)
    labels = COSTS | pod.names | {"resource": "cpu"}
    out.series("kube_pod_container_resource_requests", labels, constant(3), WHOLE)
    far = Pod("far")
    far.usage(out, 0.2, 100)
    far.state(out, FAR, cpu=0.75)


def _two_paths(out: Text) -> None:
    """One container under two cgroup paths, as Docker in Docker shows it."""
    pod = Pod("twice")
    pod.usage(out, 0.4, 200)
    pod.usage(out, 0.4, 200, id="/docker/f609/kubepods/twice/one")
    pod.state(out, cpu=0.5)


def replicas(out: Text, space: str, count: Callable[[int], float], span: Span = WHOLE) -> None:
    """How many replicas a Deployment named after its namespace is set to."""
    labels = KSM | {"namespace": space, "deployment": space}
    out.series("kube_deployment_spec_replicas", labels, count, span)


def _silent(out: Text) -> None:
    """Two pods of a node that tells nothing since 22:30, and still run."""
    for suffix in ("1-aaaaa", "1-bbbbb"):
        pod = Pod("silent", suffix=suffix, node="n2")
        pod.usage(out, 0.2, 100, (FIRST, LAST - 5400))
        pod.state(out, cpu=0.5)


def _gone(out: Text) -> None:
    """A container renamed at noon, workloads deleted, scaled to zero and suspended then."""
    half = (FIRST, NOON)
    old = Pod("renamed", half, container="before")
    new = Pod("renamed", (NOON, LAST), "2-bbbbb", container="after")
    for pod in (old, new, Pod("deleted", half), Pod("idle", half)):
        pod.usage(out, 0.2, 100)
        pod.state(out, cpu=0.5)
    replicas(out, "renamed", constant(1))
    replicas(out, "deleted", constant(1), half)
    replicas(out, "idle", lambda time: float(time <= NOON))
    pod = Pod("nightly", (FIRST, FIRST + 7200), "29000001-ccccc")
    pod.usage(out, 0.2, 100)
    space = KSM | {"namespace": "nightly"}
    name = {"job_name": "nightly-29000001"}
    owners = {"owner_kind": "Job", "owner_name": "nightly-29000001"}
    out.series("kube_pod_owner", space | {"pod": pod.names["pod"]} | owners, constant(1), pod.span)
    owners = {"owner_kind": "CronJob", "owner_name": "nightly"}
    out.series("kube_job_owner", space | name | owners, constant(1), pod.span)
    out.series("kube_job_spec_active_deadline_seconds", space | name, constant(3600), WHOLE)
    out.series("kube_cronjob_spec_suspend", space | {"cronjob": "nightly"}, constant(1), WHOLE)


def _killed(out: Text) -> None:
    """Kills that only the kernel's counter tells, an eviction, and a crash loop without usage."""
    pod = Pod("kernel")
    pod.usage(out, 0.2, 250)
    pod.state(out, cpu=0.5)
    limit = KSM | pod.names | {"resource": "memory"}
    out.series("kube_pod_container_resource_limits", limit, constant(256 * MIB), WHOLE)
    # Near its limit, and mostly by page cache.
    for what, mebibytes in (("rss", 90), ("cache", 170)):
        labels = {
            "job": "kubelet",
            "metrics_path": "/metrics/cadvisor",
            "id": "/kubepods/kernel/one",
        }
        out.series(f"container_memory_{what}", labels | pod.names, constant(mebibytes * MIB), WHOLE)
    kills = (NOON, NOON + 3600)
    # Kubernetes calls the first an error; the second is of a child, and the container lives on.
    restarts = KSM | pod.names
    out.series(_RESTARTS, restarts, lambda time: float(time > kills[0] + 60), WHOLE)
    ended = "kube_pod_container_status_last_terminated_"
    span = (NOON, LAST)
    out.series(f"{ended}reason", restarts | {"reason": "Error"}, constant(1), span)
    out.series(f"{ended}exitcode", restarts, constant(137), span)
    cgroup = {"job": "kubelet", "metrics_path": "/metrics/cadvisor", "id": "/kubepods/kernel/one"}
    counted = cgroup | pod.names | {"image": "app:1", "name": "one", "node": "n1"}
    total = "container_oom_events_total"
    out.series(total, counted, lambda time: float(sum(time > kill for kill in kills)), WHOLE)
    strained = {"node": "n1", "condition": "MemoryPressure", "status": "true"}
    around = (kills[1] - 300, kills[1] + 300)
    out.series(
        "kube_node_status_condition",
        KSM | strained,
        lambda time: float(around[0] < time <= around[1]),
        WHOLE,
    )
    # A signal that cannot be caught ended both; one was near its limit, the other met a probe.
    for space, mebibytes in (("signal", 250), ("probe", 100)):
        pod = Pod(space)
        pod.usage(out, 0.2, mebibytes)
        pod.state(out, cpu=0.5)
        limit = KSM | pod.names | {"resource": "memory"}
        out.series("kube_pod_container_resource_limits", limit, constant(256 * MIB), WHOLE)
        out.series(_RESTARTS, KSM | pod.names, lambda time: float(time > NOON), WHOLE)
        out.series(f"{ended}exitcode", KSM | pod.names, constant(137), span)
    evicted = Pod("evicted", phase="Failed")
    evicted.usage(out, 0.2, 100, (FIRST, NOON))
    evicted.state(out, cpu=0.5)
    labels = KSM | {"namespace": "evicted", "pod": evicted.names["pod"], "reason": "Evicted"}
    out.series("kube_pod_status_reason", labels, lambda time: float(time > NOON), WHOLE)
    loop = Pod("loop")
    loop.state(out, cpu=0.2)
    limit = KSM | loop.names | {"resource": "memory"}
    out.series("kube_pod_container_resource_limits", limit, constant(64 * MIB), WHOLE)
    out.series(_RESTARTS, KSM | loop.names, lambda time: (time - FIRST) // 600, WHOLE)
    out.series(f"{ended}reason", KSM | loop.names | {"reason": "OOMKilled"}, constant(1), WHOLE)


def _short_runs(out: Text) -> None:
    """Runs of two cores: one of 150 s, and one of 70 s that a single scrape met."""
    start = "container_start_time_seconds"
    for space, begin, end in (("brief", NOON + 11, NOON + 161), ("glimpse", NOON + 50, NOON + 110)):
        # Scrapes come at whole minutes.
        pod = Pod(space, (begin // 60 * 60, end // 60 * 60), "29000001-ccccc")
        pod.usage(out, 2, 100, cores_from=begin)
        labels = {"job": "kubelet", "metrics_path": "/metrics/cadvisor", "image": "app:1"}
        labels |= pod.names | {"id": f"/kubepods/{pod.names['pod']}/one", "name": "one"}
        if space == "glimpse":
            out.series(start, labels | {"node": "n1"}, constant(begin), pod.span)
        pod.state(out, cpu=2)


_RESTARTS = "kube_pod_container_status_restarts_total"
