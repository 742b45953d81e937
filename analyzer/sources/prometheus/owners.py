"""From pods to the workloads that own them, over the whole window, vanished pods included."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from analyzer.kinds import CRON_JOB, JOB, POD, REPLICA_SET, kind_of
from analyzer.sources.prometheus.exporter import Exporters, exporter

Labels = Mapping[str, str]
PodName = tuple[str, str]
"""Namespace and name of a pod."""
ContainerName = tuple[str, str, str]
"""Namespace, pod and name of a container."""

_NOBODY = ("", "<none>")
_POD_SUFFIX = re.compile(r"-[a-z0-9]{4,10}$|-[0-9]+$", re.ASCII)
_SCHEDULE_SUFFIX = re.compile(r"-[0-9]{8,10}$", re.ASCII)


def own(labels: Labels, name: str) -> str:
    """The label `name` as the exporter wrote it.

    Prometheus moves a label that clashes with the target's own to ``exported_<name>`` unless the
    scrape honours labels; kube-state-metrics is such an exporter.
    """
    return labels.get(f"exported_{name}") or labels.get(name, "")


def container_name(labels: Labels) -> ContainerName:
    """The container that a series speaks of.

    As `own` has it; written out because it is asked once for every series that is told.
    """
    told = labels.get
    return (
        told("exported_namespace") or told("namespace", ""),
        told("exported_pod") or told("pod", ""),
        told("exported_container") or told("container", ""),
    )


@dataclass
class Owners:
    """Who owns what, as the owner series of kube-state-metrics tell it."""

    pods: dict[PodName, tuple[str, str]] = field(default_factory=dict)
    replicasets: dict[tuple[str, str], tuple[str, str]] = field(default_factory=dict)
    jobs: dict[tuple[str, str], tuple[str, str]] = field(default_factory=dict)
    unknown: set[PodName] = field(default_factory=set)
    """Pods that were asked for and have no owner series."""
    exporters: Exporters = field(default_factory=Exporters)
    pod_labels: set[str] = field(default_factory=set)
    """The labels that name the pods of kube-state-metrics: more than one while a scrape changes."""

    @classmethod
    def from_series(cls, series: Iterable[Labels]) -> Owners:
        """Read series of kube_pod_owner, kube_replicaset_owner and kube_job_owner, in any order."""
        owners = cls()
        told: dict[str, list[Labels]] = {}
        for labels in series:
            owners.exporters.meet(labels)
            if labels["__name__"] == "kube_pod_owner":
                owners.pod_labels.add("exported_pod" if labels.get("exported_pod") else "pod")
            told.setdefault(exporter(labels), []).append(labels)
        for who in owners.exporters.ranked(told):
            heard = cls()
            for labels in told[who]:
                heard._note(labels)
            # What a better exporter said of an object stays.
            owners.pods = {**heard.pods, **owners.pods}
            owners.replicasets = {**heard.replicasets, **owners.replicasets}
            owners.jobs = {**heard.jobs, **owners.jobs}
        return owners

    def _note(self, labels: Labels) -> None:
        tables = {
            "kube_pod_owner": (self.pods, "pod"),
            "kube_replicaset_owner": (self.replicasets, "replicaset"),
            "kube_job_owner": (self.jobs, "job_name"),
        }
        table, name = tables[labels["__name__"]]
        key = (own(labels, "namespace"), own(labels, name))
        owner = (own(labels, "owner_kind"), own(labels, "owner_name"))
        # Several owners are rare; the controller decides, then a named one, then the order.
        if key not in table or _rank(labels, owner) > _rank({}, table[key]):
            table[key] = owner

    def workload(self, pod: PodName) -> tuple[str, str]:
        """Kind and name of the workload that owns `pod`; the pod itself where nobody does.

        A pod without an owner series (too short-lived to be seen, or kube-state-metrics was away)
        belongs to the ReplicaSet, Job, StatefulSet or DaemonSet whose name it carries, if that is
        known; otherwise it is noted in `unknown` and stands for itself.
        """
        namespace, name = pod
        owner = self.pods.get(pod) or self._guess(pod)
        if owner is None:
            self.unknown.add(pod)
            return POD.name, name
        kind, owner_name = owner
        if owner_name in _NOBODY or kind in _NOBODY:
            return POD.name, name
        if kind == "Node":
            # A static pod is named after its node; its history is that of the component.
            return POD.name, name.removesuffix(f"-{owner_name}")
        if kind == REPLICA_SET.name:
            return self._above(self.replicasets, REPLICA_SET.name, namespace, owner_name)
        if kind == JOB.name:
            return self.of_job(namespace, owner_name)
        return kind, owner_name

    def of_job(self, namespace: str, name: str) -> tuple[str, str]:
        """Kind and name of the workload that a Job is a run of; the Job itself where it is none."""
        return self._above(self.jobs, JOB.name, namespace, name)

    @staticmethod
    def _above(
        table: Mapping[tuple[str, str], tuple[str, str]], kind: str, namespace: str, name: str
    ) -> tuple[str, str]:
        above_kind, above_name = table.get((namespace, name), ("", ""))
        if above_kind in _NOBODY or above_name in _NOBODY:
            return kind, name
        return above_kind, above_name

    def _guess(self, pod: PodName) -> tuple[str, str] | None:
        namespace, name = pod
        stem = _POD_SUFFIX.sub("", name)
        if stem == name:
            return None
        if (namespace, stem) in self.replicasets:
            return REPLICA_SET.name, stem
        if (namespace, stem) in self.jobs:
            return JOB.name, stem
        schedule = _SCHEDULE_SUFFIX.sub("", stem)
        if schedule != stem and (CRON_JOB.name, schedule) in self._of_jobs(namespace):
            return CRON_JOB.name, schedule
        named = self._by_name.get((namespace, stem))
        return (named, stem) if named else None

    def _of_jobs(self, namespace: str) -> set[tuple[str, str]]:
        return {owner for (space, _), owner in self.jobs.items() if space == namespace}

    @property
    def _by_name(self) -> dict[tuple[str, str], str]:
        return {
            (namespace, name): kind
            for (namespace, _), (kind, name) in self.pods.items()
            if (known := kind_of(kind)) is not None and known.names_pods
        }


def _rank(labels: Labels, owner: tuple[str, str]) -> tuple[bool, bool]:
    return labels.get("owner_is_controller") == "true", owner[1] not in _NOBODY
