"""The series, read back from a real Prometheus, are the recording."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import requests

from tests.sample_server import DAYS, SLICE

SAMPLE_DATA = Path(__file__).resolve().parents[2] / "sample-data"
NAMES = ["namespace", "workload_kind", "workload", "container"]
END = pd.Timestamp("2026-11-23", tz="UTC")
START = END - pd.Timedelta(days=DAYS)
CONTAINERS = 'job="kubelet",container!="",container!="POD",image!=""'

Answer = dict[str, Any]


class Server:
    """A Prometheus to ask."""

    def __init__(self, url: str) -> None:
        self.url = url

    def range(self, query: str) -> list[Answer]:
        """The series of `query` at every step of the window."""
        window = {"start": START.timestamp() + 300, "end": END.timestamp(), "step": 300}
        answer = requests.post(
            f"{self.url}/api/v1/query_range", data=window | {"query": query}, timeout=60
        ).json()
        assert answer["status"] == "success", answer
        found: list[Answer] = answer["data"]["result"]
        return found

    def series(self, selector: str) -> list[Answer]:
        """The labels of all series over the window."""
        window = {"start": START.timestamp(), "end": END.timestamp(), "match[]": selector}
        answer = requests.post(f"{self.url}/api/v1/series", data=window, timeout=60).json()
        found: list[Answer] = answer["data"]
        return found


@pytest.fixture(scope="module")
def server(slice_server: str) -> Server:
    """A Prometheus that was backfilled with some workloads of the sample."""
    return Server(slice_server)


def samples(result: list[Answer]) -> pd.Series:
    """A range answer as one value per namespace, container, pod and time."""
    parts = {
        (*(s["metric"][key] for key in ("namespace", "container", "pod")), time): float(value)
        for s in result
        for time, value in s["values"]
    }
    assert len(parts) == sum(len(s["values"]) for s in result), "two series at once"
    index = pd.MultiIndex.from_tuples(parts, names=["namespace", "container", "pod", "time"])
    return pd.Series(list(parts.values()), index=index).sort_index()


def recorded(table: pd.DataFrame, column: str) -> pd.Series:
    """The same of the recording, in the slice and window of the test."""
    inside = table[table["workload"].isin(SLICE) & (table["timestamp"] > START)]
    seconds = inside["timestamp"].astype("datetime64[s, UTC]").astype("int64")
    keys = [inside["namespace"], inside["container"], inside["pod"], seconds]
    index = pd.MultiIndex.from_arrays(keys, names=["namespace", "container", "pod", "time"])
    return pd.Series(inside[column].to_numpy(float), index=index).sort_index()


def test_rates_are_the_recorded_cpu(server: Server, usage: pd.DataFrame) -> None:
    """`rate` over 5 minutes gives every sample, first steps of counters included, and no other."""
    found = samples(server.range(f"rate(container_cpu_usage_seconds_total{{{CONTAINERS}}}[5m])"))
    expected = recorded(usage, "cpu_cores")
    assert found.index.equals(expected.index)
    assert (found - expected).abs().max() < 1e-6


def test_maxima_are_the_recorded_memory(server: Server, usage: pd.DataFrame) -> None:
    """`max_over_time` over 5 minutes gives every sample to the byte, and no other."""
    found = samples(
        server.range(f"max_over_time(container_memory_working_set_bytes{{{CONTAINERS}}}[5m])")
    )
    pd.testing.assert_series_equal(found, recorded(usage, "memory_bytes"), check_names=False)


def test_throttling_is_the_recorded_share(server: Server, events: pd.DataFrame) -> None:
    """Throttled over all periods gives the value of every throttled event, and no other."""
    rate = "rate(container_cpu_cfs_{}periods_total{{job='kubelet'}}[5m])"
    found = samples(server.range(f"{rate.format('throttled_')} / {rate.format('')} > 0.01"))
    expected = recorded(events[events["kind"] == "throttled"], "value")
    assert len(expected) > 100
    assert found.index.equals(expected.index)
    assert (found - expected).abs().max() < 1e-9


def test_restarts_are_the_recorded_restarts(server: Server, events: pd.DataFrame) -> None:
    """The restart counter rises at the time of each restart event."""
    found = set()
    both = '{__name__=~"kube_pod_(init_)?container_status_restarts_total"}'
    for series in server.range(both):
        values = [(int(time), float(value)) for time, value in series["values"]]
        names = [series["metric"][key] for key in ("namespace", "container", "pod")]
        found |= {(*names, after[0]) for before, after in pairwise(values) if after[1] > before[1]}
    expected = recorded(events[events["kind"] == "restart"], "value")
    assert len(expected) > 20
    assert found == set(expected.index)


def test_kills_are_told_by_the_last_reason(server: Server, events: pd.DataFrame) -> None:
    """At each kill the reason is OOMKilled and the limit is the event's value."""
    limits = 'kube_pod_container_resource_limits{resource="memory"}'
    reason = 'kube_pod_container_status_last_terminated_reason{reason="OOMKilled"}'
    match = "on (namespace, pod, container) group_left ()"
    found = samples(server.range(f"{limits} * {match} ({reason} == 1)"))
    expected = recorded(events[events["kind"] == "oom_kill"], "value")
    assert len(expected) > 5
    assert (found[expected.index] == expected).all()


def test_pods_lead_to_their_workloads(server: Server, usage: pd.DataFrame) -> None:
    """Owner series alone map every pod to its workload, vanished pods included."""
    between = {
        ("ReplicaSet", s["namespace"], s["replicaset"]): (s["owner_kind"], s["owner_name"])
        for s in server.series("kube_replicaset_owner")
    } | {
        ("Job", s["namespace"], s["job_name"]): (s["owner_kind"], s["owner_name"])
        for s in server.series("kube_job_owner")
    }
    found = set()
    for s in server.series("kube_pod_owner"):
        owner = s["owner_kind"], s["owner_name"]
        above = between.get((owner[0], s["namespace"], owner[1]), owner)
        found.add((s["namespace"], *above, s["pod"]))
    inside = usage[usage["workload"].isin(SLICE) & (usage["timestamp"] > START)]
    columns = [*NAMES[:3], "pod"]
    assert found == set(inside[columns].drop_duplicates().itertuples(index=False, name=None))


def test_images_tell_when_they_changed(server: Server, events: pd.DataFrame) -> None:
    """The first sample of a container's second image is the time of its event."""
    first: dict[tuple[str, str, str], tuple[int, str]] = {}
    for name in ("kube_pod_container_info", "kube_pod_init_container_info"):
        for series in server.range(name):
            labels = series["metric"]
            key = labels["namespace"], labels["container"], labels["image_spec"]
            seen = int(series["values"][0][0]), labels["pod"]
            first[key] = min(first.get(key, seen), seen)
    found = {
        (namespace, container, pod, moment)
        for (namespace, container, _), (moment, pod) in first.items()
        if moment > START.timestamp() + 300
    }
    expected = recorded(events[events["kind"] == "image_change"], "value")
    born_later = {entry for entry in found if "recyclarr" in entry[2]}
    assert len(expected) >= 3
    assert found - born_later == set(expected.index)


def test_requests_and_limits_are_the_recorded_ones(server: Server, specs: pd.DataFrame) -> None:
    """Effective amounts per container, of init containers and native sidecars as well."""
    found: dict[tuple[str, ...], float] = {}
    for role in ("", "init_"):
        for side in ("request", "limit"):
            for series in server.range(f"kube_pod_{role}container_resource_{side}s"):
                labels = series["metric"]
                key = labels["namespace"], labels["container"], f"{labels['resource']}_{side}"
                found[key] = float(series["values"][-1][1])
    rows = specs[specs["workload"].isin(SLICE)]
    columns = {
        f"{resource}_{side}": f"{resource}_{side}_{unit}"
        for resource, unit in (("cpu", "cores"), ("memory", "bytes"))
        for side in ("request", "limit")
    }
    expected = {
        (row["namespace"], row["container"], name): row[column]
        for row in rows.to_dict("records")
        for name, column in columns.items()
        if pd.notna(row[column])
    }
    gpu = {key: value for key, value in found.items() if "gpu" in key[2]}
    assert set(gpu.values()) == {1.0}
    shared = {key for key in expected if key[:2] in _ambiguous(rows)}
    assert {k: v for k, v in found.items() if k not in shared | gpu.keys()} == {
        k: v for k, v in expected.items() if k not in shared
    }


def _ambiguous(rows: pd.DataFrame) -> set[tuple[str, str]]:
    """Namespaces and container names that several workloads of the slice share."""
    workloads = rows.groupby(["namespace", "container"])["workload"].nunique()
    return set(workloads[workloads > 1].index)


def test_labels_and_autoscalers_are_the_recorded_ones(server: Server, specs: pd.DataFrame) -> None:
    """Labels of pods and Deployments, targets and bounds of autoscalers."""
    row = specs[specs["workload"] == "authentik-server"].iloc[-1]
    labels = json.loads(row["labels"])
    found: dict[str, str] = {}
    for series in server.series('kube_deployment_labels{deployment="authentik-server"}'):
        found |= series
    pods = server.series('kube_pod_labels{pod=~"authentik-server-.*"}')
    own = {key.removeprefix("label_"): text for key, text in found.items() if "label_" in key}
    pod = {key.removeprefix("label_"): text for key, text in pods[0].items() if "label_" in key}
    assert own | pod == labels
    hpa = json.loads(row["hpa"])
    (info,) = server.series(
        'kube_horizontalpodautoscaler_info{horizontalpodautoscaler="authentik-server"}'
    )
    assert (info["scaletargetref_kind"], info["scaletargetref_name"]) == (
        "Deployment",
        "authentik-server",
    )
    for name, value in {
        "min_replicas": hpa["min"],
        "max_replicas": hpa["max"],
        "target_metric": hpa["metrics"][0]["value"],
    }.items():
        query = f'kube_horizontalpodautoscaler_spec_{name}{{namespace="selfhosted"}}'
        (series,) = server.range(query)
        assert {int(found) for _, found in series["values"]} == {value}


def test_noise_is_there_to_be_filtered(server: Server) -> None:
    """Pod cgroups have no container; pause containers are POD, or nameless with an image."""
    series = server.series("container_memory_working_set_bytes")
    kinds = {(s.get("container", ""), bool(s.get("image"))) for s in series}
    assert {("", False), ("", True), ("POD", True)} <= kinds


def test_a_second_job_doubles_the_series(tmp_path: Path) -> None:
    """On demand every cAdvisor series exists under another job as well."""
    from homelab import openmetrics, simulation

    runs = [run for run in simulation.simulate() if run.pod.workload.name == "zigbee2mqtt"]
    settings = openmetrics.Settings(days=0.05, duplicate=True, copies=2)
    (path,) = openmetrics.write_openmetrics(runs, tmp_path, settings)
    lines = path.read_text().splitlines()
    usage = [line for line in lines if line.startswith("container_memory_rss{")]
    for job in ("kubelet", "cadvisor"):
        for namespace in ("home-automation", "home-automation-2"):
            marks = f'job="{job}"', f'namespace="{namespace}"'
            assert sum(all(mark in line for mark in marks) for line in usage) == 14 * 5 - 1
    assert lines[-1] == "# EOF"


@pytest.mark.parametrize("hostile", ['a"b', "back\\slash", "new\nline"])
def test_label_values_are_escaped(hostile: str) -> None:
    """Quotes, backslashes and newlines cannot end a value."""
    from homelab.openmetrics import label_text

    escaped = hostile.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    assert label_text({"pod": hostile, "empty": ""}) == '{pod="' + escaped + '"}'
