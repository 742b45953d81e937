"""A cluster of one day in which each namespace has one oddity of telemetry, beside a healthy one.

Numbers are round, so that tests can work out what must come out by hand.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.sources.smallcluster import DAY, LAST, MIB, Text

FIRST = LAST - DAY
NOON = LAST - DAY // 2
WHOLE = (FIRST, LAST)
KSM = {"job": "kube-state-metrics", "instance": "ksm:8080"}
COSTS = {"job": "opencost", "instance": "opencost:9003"}
FAR = {"job": "far-kube-state-metrics", "instance": "far:8080"}


def constant(value: float) -> Callable[[int], float]:
    """The same value at any time."""
    return lambda _: value


def openmetrics() -> str:
    """All series as OpenMetrics text."""
    out = Text(1)
    for build in (_healthy, _late_labels, _exporters, _two_paths):
        build(out)
    return "\n".join(out.lines) + "\n# EOF\n"


@dataclass(frozen=True)
class Pod:
    """One pod of a Deployment with one container, both named after their namespace."""

    space: str
    span: tuple[int, int] = WHOLE
    suffix: str = "1-aaaaa"
    container: str = ""

    @property
    def names(self) -> dict[str, str]:
        name = {"namespace": self.space, "pod": f"{self.space}-{self.suffix}"}
        return name | {"container": self.container or self.space}

    def usage(
        self,
        out: Text,
        cores: float,
        mebibytes: float,
        span: tuple[int, int] | None = None,
        **more: str,
    ) -> None:
        """What cAdvisor tells; `more` labels replace or, where empty, take away."""
        span = span or self.span
        pod = self.names["pod"]
        labels = {"job": "kubelet", "metrics_path": "/metrics/cadvisor", "node": "n1"}
        labels |= self.names | {"image": "app:1", "id": f"/kubepods/{pod}/one", "name": "one"}
        labels |= more
        labels = {name: text for name, text in labels.items() if text}
        total = "container_cpu_usage_seconds_total"
        start = span[0]
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
        for resource, value in requests.items():
            labels = self.names | {"resource": resource}
            one("kube_pod_container_resource_requests", labels, value)


def _healthy(out: Text) -> None:
    pod = Pod("well")
    pod.usage(out, 0.2, 100)
    pod.state(out, cpu=0.5, memory=256 * MIB)
    for resource, value in (("cpu", 4), ("memory", 8 * 2**30)):
        labels = KSM | {"node": "n1", "resource": resource}
        out.series("kube_node_status_allocatable", labels, constant(value), WHOLE)


def _late_labels(out: Text) -> None:
    """Labels that came at noon: the image, the job's path, the name of the replica."""
    pod = Pod("late")
    pod.usage(out, 1, 300, (FIRST, NOON), image="", metrics_path="", endpoint="")
    pod.usage(out, 0.5, 100, (NOON, LAST), endpoint="https", prometheus_replica="a")
    pod.state(out, cpu=2)
    pod.usage(out, 9, 9000, container="POD", image="pause:1", id="/kubepods/late/pause")


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
