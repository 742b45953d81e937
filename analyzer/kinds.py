"""What a kind of workload is, in one table: every other module asks here.

A row says where a kind's pods are described, how the API, kubectl and kube-state-metrics call it,
what its pods are named, which patches its objects take, and what a change does to running pods.
A kind without a row is a stranger's: it is never patched, and said to be unknown.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

_TEMPLATE = ("spec", "template", "spec")
_REPLACED = (
    "kustomize and kubectl have no schema of {0}, so a strategic merge would replace its whole "
    "list of containers"
)

Pods = Literal["always", "now and then"]


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of object that runs pods."""

    name: str
    api_version: str
    resource: str
    """Its plural, as the API and kubectl spell it."""
    short: tuple[str, ...] = ()
    """What kubectl calls it for short."""
    pod_path: tuple[str, ...] | None = _TEMPLATE
    """Where its object describes its pods; None where an operator makes them of something else."""
    pod_ending: str = ".*"
    """What follows its name in the names of its pods, as a regular expression."""
    names_pods: bool = False
    """Whether its pods carry its own name, so that they can be known without their owner."""
    replicas_metric: str = ""
    """The metric of kube-state-metrics that says how many replicas are wanted; empty: none does."""
    state_name: str = ""
    """What kube-state-metrics calls it: `kube_<state_name>_labels`; empty where it does not."""
    state_label: str = ""
    """The label of its name there."""
    by_replica_sets: bool = False
    """Whether its pods belong to ReplicaSets that belong to it."""
    runs: Pods = "always"
    merges_strategically: bool = True
    """Whether the API server and kustomize merge its list of containers by name."""
    no_patch: str = ""
    """Why no patch of the object itself can change the amounts; empty where one can."""
    listed: bool = False
    """Whether the cluster is asked for its objects, to learn their owners."""
    on_change: str = "its pods are replaced one by one"
    """What a change of its pod template does to the pods that run."""

    @property
    def group(self) -> str:
        """Its API group; empty for the core group."""
        return self.api_version.rpartition("/")[0]

    @property
    def built_in(self) -> bool:
        """Whether every cluster has it."""
        return "." not in self.group

    @property
    def api_path(self) -> str:
        """The path of its API, without the resource."""
        return f"/apis/{self.api_version}" if self.group else f"/api/{self.api_version}"

    @property
    def kubectl_name(self) -> str:
        """What kubectl takes before the slash; with its group where another could have the name."""
        name = self.name.lower()
        return name if self.built_in else f"{name}.{self.group}"

    @property
    def aliases(self) -> tuple[str, ...]:
        """Every word that names it, in lower case: its name, its plural, its short names."""
        plain = (self.name.lower(), self.resource, *self.short)
        return (*plain, *(f"{word}.{self.group}" for word in plain[:2] if self.group))

    @property
    def no_strategic_merge(self) -> str:
        """Why its object takes no strategic merge; empty where it does."""
        return self.no_patch or ("" if self.merges_strategically else _REPLACED.format(self.name))


DEPLOYMENT = Kind(
    "Deployment", "apps/v1", "deployments", ("deploy",),
    pod_ending="-[a-z0-9]+-[a-z0-9]{5}",
    replicas_metric="kube_deployment_spec_replicas",
    state_name="deployment", state_label="deployment", by_replica_sets=True, listed=True,
)  # fmt: skip
STATEFUL_SET = Kind(
    "StatefulSet", "apps/v1", "statefulsets", ("sts",),
    pod_ending="-[0-9]+", names_pods=True,
    replicas_metric="kube_statefulset_replicas",
    state_name="statefulset", state_label="statefulset", listed=True,
    on_change="its pods are replaced one by one, from the last to the first",
)  # fmt: skip
DAEMON_SET = Kind(
    "DaemonSet", "apps/v1", "daemonsets", ("ds",),
    pod_ending="-[a-z0-9]{5}", names_pods=True,
    replicas_metric="kube_daemonset_status_desired_number_scheduled",
    state_name="daemonset", state_label="daemonset", listed=True,
    on_change="its pods are replaced node by node",
)  # fmt: skip
CRON_JOB = Kind(
    "CronJob", "batch/v1", "cronjobs", ("cj",),
    pod_path=("spec", "jobTemplate", "spec", "template", "spec"),
    pod_ending="-[0-9]+-[a-z0-9]{5}",
    state_name="cronjob", state_label="cronjob", runs="now and then", listed=True,
    on_change="its next run takes it",
)  # fmt: skip
JOB = Kind(
    "Job", "batch/v1", "jobs",
    pod_ending="-[a-z0-9]{5}",
    state_name="job", state_label="job_name", runs="now and then",
    no_patch="a Job's pod template cannot be changed; change what creates it",
    on_change="the Job has to be made anew",
)  # fmt: skip
REPLICA_SET = Kind(
    "ReplicaSet", "apps/v1", "replicasets", ("rs",),
    pod_ending="-[a-z0-9]{5}",
    on_change="pods that run keep their amounts; new ones take it",
)  # fmt: skip
REPLICATION_CONTROLLER = Kind(
    "ReplicationController", "v1", "replicationcontrollers", ("rc",),
    pod_ending="-[a-z0-9]{5}",
    on_change="pods that run keep their amounts; new ones take it",
)  # fmt: skip
ROLLOUT = Kind(
    "Rollout", "argoproj.io/v1alpha1", "rollouts", ("ro",),
    pod_ending="-[a-z0-9]+-[a-z0-9]{5}", by_replica_sets=True,
    merges_strategically=False, listed=True,
    on_change="its pods are replaced by the steps of its strategy",
)  # fmt: skip
CLUSTER = Kind(
    "Cluster", "postgresql.cnpg.io/v1", "clusters",
    pod_path=None, pod_ending="-[0-9]+",
    no_patch="Cluster objects belong to an operator; set it where that object says",
    on_change="its operator replaces the pods one by one",
)  # fmt: skip
POD = Kind(
    "Pod", "v1", "pods", ("po",),
    pod_path=("spec",), pod_ending="", state_name="pod", state_label="pod",
    no_patch="a bare Pod's requests are fixed when it is created",
    on_change="the Pod has to be made anew",
)  # fmt: skip

KINDS: tuple[Kind, ...] = (
    DEPLOYMENT,
    STATEFUL_SET,
    DAEMON_SET,
    CRON_JOB,
    JOB,
    REPLICA_SET,
    REPLICATION_CONTROLLER,
    ROLLOUT,
    CLUSTER,
    POD,
)
_BY_NAME = {kind.name: kind for kind in KINDS}
_BY_ALIAS = {alias: kind for kind in KINDS for alias in kind.aliases}


def kind_of(name: str) -> Kind | None:
    """The row of a kind by its exact name; None for a stranger's kind."""
    return _BY_NAME.get(name)


def kind_called(word: str) -> Kind | None:
    """The row of a kind by any word that kubectl takes for it; None where none is meant."""
    return _BY_ALIAS.get(word.lower())


def runs_now_and_then(name: str) -> bool:
    """Whether pods of this kind come and go by design, so that silence is no sign of absence."""
    kind = kind_of(name)
    return kind is not None and kind.runs == "now and then"


def why_no_patch(name: str) -> str:
    """Why no patch of an object of this kind can be written; empty where one can."""
    kind = kind_of(name)
    if kind is not None:
        return kind.no_patch
    return f"{name} is not a kind whose pod template is known; set it where that object says"
