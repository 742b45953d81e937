"""Nodes, quotas and the like by several who tell of them: who counts, and what is said."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from analyzer.objects import RULES
from analyzer.scheduling import Scheduling
from analyzer.surroundings import Told, surround
from analyzer.usage import Meta
from analyzer.workload import WorkloadRef
from tests.samples import histories, meta

GIB = 1024**3


def told(of: Told, **known: Any) -> tuple[Meta, list[str]]:
    """The metadata and the notes where the metrics say what is `known`."""
    base = histories(window=replace(meta(), **known))
    found, notes = surround(base, of)
    return found.meta, notes


def rows(kind: str, *objects: dict[str, Any]) -> list[dict[str, Any]]:
    return [row for one in objects for row in RULES[kind].rows(one)]


def limit_range(name: str = "r", **limits: Any) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "shop"}
    return {"metadata": metadata, "spec": {"limits": [{"type": "Container", **limits}]}}


def quota(hard: dict[str, Any], **spec: Any) -> dict[str, Any]:
    used = {"requests.cpu": "1500m"}
    metadata = {"name": "q", "namespace": "shop"}
    return {"metadata": metadata, "spec": {"hard": hard, **spec}, "status": {"used": used}}


def test_objects_become_the_rows_of_a_recording() -> None:
    """Amounts in cores and bytes; an object without a namespace is of the default one."""
    (row,) = rows("LimitRange", limit_range(max={"memory": "1Gi"}))
    assert row == {
        "namespace": "shop", "name": "r", "type": "Container",
        "resource": "memory", "constraint": "max", "value": GIB,
    }  # fmt: skip
    (row,) = rows("ResourceQuota", quota({"requests.cpu": "2"}))
    assert (row["hard"], row["used"]) == (2.0, 1.5)
    (row,) = rows("PriorityClass", {"metadata": {"name": "vital"}, "value": 1000})
    assert row == {"name": "vital", "value": 1000}
    status = {"disruptionsAllowed": 0, "expectedPods": 2, "currentHealthy": 2, "desiredHealthy": 2}
    spec = {"selector": {"matchLabels": {"app": "web"}}}
    (row,) = rows(
        "PodDisruptionBudget", {"metadata": {"name": "b"}, "spec": spec, "status": status}
    )
    assert (row["namespace"], row["allowed"], row["wanted"]) == ("default", 0, 2)
    assert row["selector"] == spec["selector"]


def test_a_node_becomes_a_row_with_all_that_it_can_give() -> None:
    """Names as the metrics spell them, taints as text, no taint as none."""
    allocatable = {"cpu": "3920m", "memory": "8Gi", "nvidia.com/gpu": "2", "pods": "58"}
    described = {
        "metadata": {"name": "n", "labels": {"topology.kubernetes.io/zone": "a"}},
        "spec": {"taints": [{"key": "gpu", "value": "yes", "effect": "NoSchedule"}]},
        "status": {"allocatable": allocatable},
    }
    (row,) = rows("Node", described)
    assert (row["cpu_allocatable_cores"], row["gpus"]) == (3.92, 2)
    assert row["allocatable"] == {"nvidia_com_gpu": 2.0, "pods": 58.0}
    assert row["labels"] == {"topology_kubernetes_io_zone": "a"}
    assert (row["taints"], row["unschedulable"]) == (["gpu=yes:NoSchedule"], False)


@pytest.mark.parametrize("kind", list(RULES))
@pytest.mark.parametrize("value", [None, 7, "x", [], [7], {"a": "b"}])
def test_garbage_in_an_object_is_no_error(kind: str, value: Any) -> None:
    """Objects come from strangers; what is garbled says nothing."""
    list(RULES[kind].rows({"metadata": value, "spec": value, "status": value, "value": value}))
    inner = {"limits": value, "hard": value, "taints": value, "selector": value, "scopes": value}
    list(RULES[kind].rows({"spec": inner, "status": {"allocatable": value, "used": value}}))
    list(RULES[kind].rows({"spec": {"limits": [{"max": value}], "hard": {"cpu": value}}}))


def test_a_quota_of_pods_without_requests_counts_none_of_ours() -> None:
    """Its scope is BestEffort, and nothing here ends there."""
    assert rows("ResourceQuota", quota({"pods": "3"}, scopes=["BestEffort"])) == []


def test_a_quota_says_of_which_pods_it_is() -> None:
    """By its short list of scopes and by its long one; metrics leave both out."""
    term = {"scopeName": "PriorityClass", "operator": "In", "values": ["vital"]}
    scoped = quota({"cpu": "2"}, scopes=["Terminating"], scopeSelector={"matchExpressions": [term]})
    (row,) = rows("ResourceQuota", scoped)
    assert row["scopes"] == [
        {"name": "Terminating", "operator": "Exists", "values": []},
        {"name": "PriorityClass", "operator": "In", "values": ["vital"]},
    ]
    metrics = {name: value for name, value in row.items() if name != "scopes"}
    found, notes = told(Told(repository={"ResourceQuota": [row]}), quotas=(metrics,))
    assert (found.quotas, notes) == ((row,), [])


def test_the_cluster_counts_before_the_metrics() -> None:
    """They may be older; of namespaces that it was not asked for they stay."""
    metrics = ({"namespace": "shop", "name": "q", "resource": "requests.cpu", "hard": 9.0},)
    other = {"namespace": "other", "name": "q", "resource": "requests.cpu", "hard": 5.0}
    cluster = {"ResourceQuota": rows("ResourceQuota", quota({"requests.cpu": "2"}))}
    found, notes = told(Told(cluster=cluster), quotas=(*metrics, other))
    assert [row["hard"] for row in found.quotas] == [2.0]
    assert notes == ["quotas are those that the cluster itself tells"]
    found, _ = told(Told(cluster=cluster, namespaces=["shop"]), quotas=(*metrics, other))
    assert [row["hard"] for row in found.quotas] == [5.0, 2.0]


def test_what_was_refused_is_told_and_the_metrics_stay() -> None:
    """A list that is missing empties nothing."""
    metrics = ({"namespace": "shop", "name": "q", "resource": "requests.cpu", "hard": 9.0},)
    found, (note,) = told(Told(missed={"resourcequotas": "forbidden"}), quotas=metrics)
    assert found.quotas == metrics
    assert note.startswith("the cluster did not list resourcequotas (forbidden)")


def test_where_the_repository_differs_the_tighter_holds_and_is_named() -> None:
    """1 core in the metrics and 2 in Git: both stay, so that the min of both decides."""
    key = {"namespace": "shop", "name": "r", "type": "Container", "resource": "cpu"}
    metrics = ({**key, "constraint": "max", "value": 1.0},)
    declared = {"LimitRange": rows("LimitRange", limit_range(max={"cpu": "2"}))}
    found, (note,) = told(Told(repository=declared), limit_ranges=metrics)
    assert [row["value"] for row in found.limit_ranges] == [1.0, 2.0]
    assert found.limit_ranges[1]["name"] == "r (as the repository declares it)"
    assert "has Container cpu max 1, and the repository declares 2" in note
    same = {"LimitRange": rows("LimitRange", limit_range(max={"cpu": "1"}))}
    assert told(Told(repository=same), limit_ranges=metrics) == (
        replace(meta(), limit_ranges=metrics), [],
    )  # fmt: skip


def test_what_only_the_repository_declares_counts_and_is_told() -> None:
    """It arrives sooner or later; a quota's use is then what is known of the pods."""
    declared = {"ResourceQuota": rows("ResourceQuota", quota({"requests.cpu": "2"}))}
    found, (note,) = told(Told(repository=declared))
    assert found.quotas[0]["hard"] == 2.0
    assert note.endswith("count as if they were there: shop/q")


def test_a_budget_is_completed_by_who_knows_its_selector() -> None:
    """The metrics tell what it allows now, a manifest whom it is about."""
    metrics = ({"namespace": "shop", "name": "b", "allowed": 0.0},)
    declared = {"PodDisruptionBudget": [{"namespace": "shop", "name": "b", "selector": {"a": {}}}]}
    found, notes = told(Told(repository=declared), budgets=metrics)
    assert found.budgets == (
        {"namespace": "shop", "name": "b", "allowed": 0.0, "selector": {"a": {}}},
    )
    assert notes == []


def test_nodes_are_completed_and_none_comes_or_goes() -> None:
    """Labels of both, taints of the cluster, and only nodes that usage was read of."""
    known = {"name": "n", "cpu_allocatable_cores": 4.0, "labels": {"a": "1"}}
    row = {
        "name": "n",
        "cpu_allocatable_cores": None,
        "labels": {"b": "2"},
        "taints": ["t:NoExecute"],
    }
    found, _ = told(Told(cluster={"Node": [row, {**row, "name": "new"}]}), nodes=(known,))
    (node,) = found.nodes
    assert (node["cpu_allocatable_cores"], node["labels"]) == (4.0, {"a": "1", "b": "2"})
    assert node["taints"] == ["t:NoExecute"]


def test_what_pods_ask_of_nodes_goes_by_workload() -> None:
    """Under the cluster's name, as histories know workloads."""
    asked = Scheduling(whole=True, tolerations=())
    found, _ = surround(histories(), Told(scheduling={("shop", "Deployment", "web"): asked}))
    assert found.scheduling == {WorkloadRef("lab", "shop", "Deployment", "web"): asked}
