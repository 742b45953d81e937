"""The sample is what its generator writes, and a recording like any other."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from analyzer.scheduling import bears, node_of, toleration_of
from analyzer.tables import (
    CONTAINER_TYPES,
    validate_events,
    validate_pods,
    validate_specs,
    validate_usage,
)

SAMPLE_DATA = Path(__file__).resolve().parents[2] / "sample-data"
NAMES = ["namespace", "workload_kind", "workload", "container"]


def test_regenerating_changes_nothing() -> None:
    """The seed and the code determine every byte."""
    command = [sys.executable, str(SAMPLE_DATA / "generate.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_check_names_what_differs(tmp_path: Path) -> None:
    """A changed, a missing and a strange file are each named, and the exit code is 1."""
    from homelab import command

    wanted = command.generated_files()
    for name, content in wanted.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    assert command.differences(tmp_path, wanted) == []
    (tmp_path / "truth.csv").write_text("changed")
    (tmp_path / "places.csv").unlink()
    (tmp_path / "recording" / "notes.txt").write_text("mine")
    assert command.differences(tmp_path, wanted) == [
        "places.csv is missing",
        "recording/notes.txt is not generated",
        "truth.csv differs",
    ]


def test_the_recording_is_small() -> None:
    """The sample is cloned with the code: six megabytes at most."""
    size = sum(path.stat().st_size for path in (SAMPLE_DATA / "recording").iterdir())
    assert size < 6_000_000


def test_the_tables_are_valid(
    usage: pd.DataFrame, specs: pd.DataFrame, events: pd.DataFrame
) -> None:
    """Usage, specs and events pass the project's own validation."""
    validate_usage(usage)
    validate_specs(specs)
    validate_events(events)


def test_samples_are_unique_sorted_and_inside_the_window(usage: pd.DataFrame) -> None:
    """One row per container, pod and step, within ``(start, end]`` of three weeks."""
    key = [*NAMES, "pod", "timestamp"]
    assert not usage.duplicated(key).any()
    assert usage[key].equals(usage[key].sort_values(key, ignore_index=True))
    assert usage["step"].between(0, 21 * 288 - 1).all()
    assert (usage["timestamp"].dt.minute % 5 == 0).all()


def test_every_container_has_specs_and_truth(
    usage: pd.DataFrame, specs: pd.DataFrame, truth: pd.DataFrame
) -> None:
    """The three tables know the same containers; those never seen running are init containers."""
    known = set(specs[NAMES].itertuples(index=False, name=None))
    used = set(usage[NAMES].itertuples(index=False, name=None))
    types = specs.drop_duplicates(NAMES).set_index(NAMES)["container_type"]
    assert used <= known
    assert {types[key] for key in known - used} <= {"init"}
    assert set(truth[NAMES].itertuples(index=False, name=None)) >= used


def test_the_cluster_is_as_large_and_as_varied_as_promised(specs: pd.DataFrame) -> None:
    """50 to 80 workloads in 12 namespaces, of every kind and container type."""
    workloads = specs.drop_duplicates(NAMES[:3])
    assert 50 <= len(workloads) <= 80
    assert specs["namespace"].nunique() == 12
    kinds = {"Deployment", "StatefulSet", "DaemonSet", "CronJob", "Cluster", "Pod"}
    assert set(specs["workload_kind"]) == kinds
    assert set(specs["container_type"]) == set(CONTAINER_TYPES)


def test_a_limit_without_a_request_is_a_request_in_the_specs(specs: pd.DataFrame) -> None:
    """As Kubernetes runs it: wherever there is a limit, there is a request not above it."""
    for resource in ("cpu_{}_cores", "memory_{}_bytes"):
        request, limit = specs[resource.format("request")], specs[resource.format("limit")]
        assert (request[limit.notna()] <= limit[limit.notna()]).all()
    assert (specs["memory_request_bytes"] == specs["memory_limit_bytes"]).sum() > 20
    assert specs["memory_request_bytes"].isna().sum() > 5


def test_the_nodes_stand_in_the_meta_file() -> None:
    """Seven nodes with what pods may take of them."""
    meta = _meta()
    assert len(meta["nodes"]) == 7
    assert all(node["cpu_allocatable_cores"] > 0 for node in meta["nodes"])
    assert sum(node["gpus"] for node in meta["nodes"]) == 2
    tainted = [node["name"] for node in meta["nodes"] if node["taints"]]
    assert tainted == ["cp-1", "cp-2", "cp-3", "gpu-1"]


def test_pods_fit_on_their_nodes_and_bear_their_taints(
    usage: pd.DataFrame, pods: pd.DataFrame
) -> None:
    """At every moment what runs on a node asks for and uses no more than it has.

    Every pod that was used has its row, and a DaemonSet a pod on each node that it tolerates.
    """
    from homelab.catalog import NODES
    from homelab.clock import STEPS
    from homelab.simulation import simulate

    validate_pods(pods)
    assert set(usage["pod"]) <= set(pods["pod"])
    asked = {node.name: np.zeros((STEPS, 2)) for node in NODES}
    used = {node.name: np.zeros((STEPS, 2)) for node in NODES}
    for run in simulate():
        requests = run.container.effective()["requests"]
        alive = slice(run.begin, run.end)
        asked[run.pod.node][alive] += [requests.get("cpu", 0), requests.get("memory", 0)]
        used[run.pod.node][alive] += np.stack([run.cpu, run.memory], axis=1)
    for node in NODES:
        size = [node.cores, node.memory]
        assert (asked[node.name] <= size).all() and (used[node.name] <= size).all(), node.name
    described = {node["name"]: node_of(node) for node in _meta()["nodes"]}
    there = pods[pods["ended"].isna()]
    for pod in there.to_dict("records"):
        borne = tuple(map(toleration_of, json.loads(pod["tolerations"])))
        assert bears(described[pod["node"]], borne), pod["pod"]
        if pod["workload_kind"] == "DaemonSet" and pod["workload"] != "nvidia-device-plugin":
            same = there[there["workload"] == pod["workload"]]
            granted = {name for name, node in described.items() if bears(node, borne)}
            assert set(same["node"]) == granted, pod["workload"]


def test_gpus_are_asked_for_where_they_are(pods: pd.DataFrame) -> None:
    """Two pods ask for a GPU each, and the node with two has both."""
    asking = pods[pods["other_requests"].notna()]
    assert asking["other_requests"].tolist() == ['{"nvidia_com_gpu":1}'] * 2
    assert set(asking["node"]) == {"gpu-1"}


def _meta() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((SAMPLE_DATA / "recording" / "meta.json").read_text())
    return found


def test_deployments_alone_carry_the_labels_of_their_release(specs: pd.DataFrame) -> None:
    """kube-state-metrics exports labels of pods and Deployments, here as with the first user."""
    labels = specs["labels"].map(json.loads)
    released = labels.map(lambda found: "helm_toolkit_fluxcd_io_name" in found)
    assert released.sum() > 40
    assert set(specs.loc[released, "workload_kind"]) == {"Deployment"}
