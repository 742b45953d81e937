"""What is known before anything is recommended: first of all by the cluster itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from analyzer.config import Config
from analyzer.history import Histories
from analyzer.recommend import Bound
from analyzer.scheduling import Scheduling
from analyzer.sources.kubernetes import (
    ClusterError,
    Surroundings,
    Workload,
    find_way,
    owners,
    surroundings,
)
from analyzer.spec import Spec
from analyzer.surroundings import Told, surround
from analyzer.workload import ContainerRef


@dataclass(frozen=True)
class Beforehand:
    """What the cluster and the repository say before anything is recommended.

    `histories` carry the labels that the cluster stated, `bounds` are what the settings of programs
    in the repository ask of their memory, `missed` is in one sentence each what was not told.
    """

    histories: Histories
    bounds: Mapping[ContainerRef, tuple[Bound, ...]] = field(default_factory=dict)
    missed: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    """Who says what pods stand among, where that is not the metrics alone."""


@dataclass(frozen=True)
class ClusterLabels:
    """The labels of workloads by namespace, kind and name, and what was not told of them.

    `scheduling` is what their pods ask of nodes.
    """

    labels: Mapping[Workload, Mapping[str, str]] = field(default_factory=dict)
    missed: tuple[str, ...] = ()
    scheduling: Mapping[Workload, Scheduling] = field(default_factory=dict)

    def of(self, ref: ContainerRef) -> Mapping[str, str]:
        """What the cluster says of a container's workload; empty where it says nothing."""
        return self.labels.get((ref.namespace, ref.kind, ref.workload), {})


def cluster_labels(config: Config) -> ClusterLabels:
    """What the cluster says of its workloads' owners, where the settings allow it to be asked.

    The cluster's word counts more than that of the metrics, which may be older.
    """
    if not config.kubernetes.ask:
        return ClusterLabels()
    try:
        way = find_way(config.asked_context, config.kubernetes.kubeconfig)
    except ClusterError as err:
        return ClusterLabels(missed=(str(err),))
    answer = owners(way, config.namespaces)
    return ClusterLabels(answer.labels, tuple(answer.problems), answer.scheduling)


def _cluster_surroundings(config: Config, said: ClusterLabels) -> Surroundings:
    """What the cluster says of nodes, quotas and the like, where it may be asked and answers."""
    if not config.kubernetes.ask or (said.missed and not said.labels):
        return Surroundings()
    way = find_way(config.asked_context, config.kubernetes.kubeconfig)
    return surroundings(way, config.namespaces)


def ask_cluster(histories: Histories, config: Config) -> Beforehand:
    """What the cluster alone says, as far as the settings name it."""
    said, told = cluster_answer(config)
    histories, notes = surround(labelled(histories, said), told)
    return Beforehand(histories, missed=said.missed, notes=tuple(notes))


def cluster_answer(config: Config) -> tuple[ClusterLabels, Told]:
    """What the cluster says of workloads, and of what their pods stand among."""
    said = cluster_labels(config)
    around = _cluster_surroundings(config, said)
    return said, Told(around.rows, {}, said.scheduling, around.missed, config.namespaces)


def labelled(histories: Histories, said: ClusterLabels) -> Histories:
    """The histories with what the cluster says of each container as it is set up now."""
    if not said.labels:
        return histories
    pairs = zip(histories.containers, histories.specs, strict=True)
    return replace(histories, specs=tuple(_told(said.of(ref), periods) for ref, periods in pairs))


def _told(labels: Mapping[str, str], periods: tuple[Spec, ...]) -> tuple[Spec, ...]:
    """The settings of a container with the labels of the last ones completed."""
    if not labels:
        return periods
    *earlier, now = periods or (Spec(),)
    return (*earlier, replace(now, labels={**now.labels, **labels}))
