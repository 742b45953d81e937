"""From a pod to the workload whose template made it."""

from __future__ import annotations

import pytest

from analyzer.sources.prometheus.owners import Owners, container_name


def owners() -> Owners:
    def series(metric: str, name: str, value: str, kind: str, owner: str) -> dict[str, str]:
        return {
            "__name__": metric,
            "namespace": "n",
            name: value,
            "owner_kind": kind,
            "owner_name": owner,
        }

    pod, replicas, job = "kube_pod_owner", "kube_replicaset_owner", "kube_job_owner"
    return Owners.from_series(
        [
            series(pod, "pod", "web-5d-x", "ReplicaSet", "web-5d"),
            series(replicas, "replicaset", "web-5d", "Deployment", "web"),
            series(pod, "pod", "roll-5d-x", "ReplicaSet", "roll-5d"),
            series(replicas, "replicaset", "roll-5d", "Rollout", "roll"),
            series(pod, "pod", "lone-x", "ReplicaSet", "lone"),
            series(replicas, "replicaset", "lone", "<none>", "<none>"),
            series(pod, "pod", "night-29000001-x", "Job", "night-29000001"),
            series(job, "job_name", "night-29000001", "CronJob", "night"),
            series(pod, "pod", "once-x", "Job", "once"),
            series(job, "job_name", "once", "<none>", "<none>"),
            series(job, "job_name", "by-hand", "CronJob", "night"),
            series(pod, "pod", "pg-1", "Cluster", "pg"),
            series(pod, "pod", "bare", "<none>", "<none>"),
            series(pod, "pod", "etcd-node-1", "Node", "node-1"),
            series(pod, "pod", "agent-abcde", "DaemonSet", "agent"),
        ]
    )


@pytest.mark.parametrize(
    ("pod", "workload"),
    [
        ("web-5d-x", ("Deployment", "web")),
        ("roll-5d-x", ("Rollout", "roll")),
        ("lone-x", ("ReplicaSet", "lone")),
        ("night-29000001-x", ("CronJob", "night")),
        ("once-x", ("Job", "once")),
        ("pg-1", ("Cluster", "pg")),
        ("bare", ("Pod", "bare")),
        ("etcd-node-1", ("Pod", "etcd")),
    ],
)
def test_owners_are_followed_to_the_top(pod: str, workload: tuple[str, str]) -> None:
    """ReplicaSets and Jobs are only in between; operators' pods belong to the custom resource."""
    assert owners().workload(("n", pod)) == workload


@pytest.mark.parametrize(
    ("pod", "workload"),
    [
        ("web-5d-zz9yx", ("Deployment", "web")),
        ("night-29000001-q7rts", ("CronJob", "night")),
        ("night-29000999-q7rts", ("CronJob", "night")),
        ("once-q7rts", ("Job", "once")),
        ("by-hand-q7rts", ("CronJob", "night")),
        ("agent-vwxyz", ("DaemonSet", "agent")),
    ],
)
def test_pods_without_owner_series_go_by_the_names_of_known_owners(
    pod: str, workload: tuple[str, str]
) -> None:
    """A pod too short-lived for kube-state-metrics still finds home."""
    known = owners()
    assert known.workload(("n", pod)) == workload
    assert not known.unknown


def test_a_stranger_stands_for_itself_and_is_noted() -> None:
    """Nothing is guessed from a name whose owner nobody knows, nor across namespaces."""
    known = owners()
    assert known.workload(("other", "web-5d-zz9yx")) == ("Pod", "web-5d-zz9yx")
    assert known.workload(("n", "mystery-7f-abcde")) == ("Pod", "mystery-7f-abcde")
    assert known.unknown == {("other", "web-5d-zz9yx"), ("n", "mystery-7f-abcde")}


def test_the_controller_decides_among_several_owners() -> None:
    """owner_is_controller beats the order of series."""
    base = {"__name__": "kube_pod_owner", "namespace": "n", "pod": "p"}
    helper = base | {"owner_kind": "Helper", "owner_name": "h", "owner_is_controller": "false"}
    chief = base | {"owner_kind": "Cluster", "owner_name": "c", "owner_is_controller": "true"}
    for series in ([helper, chief], [chief, helper]):
        assert Owners.from_series(series).workload(("n", "p")) == ("Cluster", "c")


def test_renamed_labels_are_read_as_the_exporter_wrote_them() -> None:
    """Without honorLabels the plain labels are those of kube-state-metrics itself."""
    labels = {
        "namespace": "monitoring",
        "pod": "kube-state-metrics-0",
        "exported_namespace": "n",
        "exported_pod": "p",
        "exported_container": "c",
    }
    assert container_name(labels) == ("n", "p", "c")
