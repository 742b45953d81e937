"""The sample as a recording: usage, specs, events and pods of the first three weeks.

Every value is what a reader of the cluster's Prometheus series finds (see `openmetrics`): a sample
carries the end of its step, a restart the moment it happened, an image change the first sample
of the new image.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterable
from itertools import groupby
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from homelab.catalog import CLUSTER, GPU, NODES, Container, Node, Workload
from homelab.clock import END, EPOCH, OUTAGE, SAMPLE_STEPS, START, STEP_SECONDS, second_of
from homelab.simulation import Pod, Run, replicas_over_time

NAMES = ["namespace", "workload_kind", "workload", "container"]
KEY = [*NAMES, "pod", "timestamp"]
TIME = pa.timestamp("ms", tz="UTC")

USAGE_SCHEMA = pa.schema(
    [(name, pa.string()) for name in [*NAMES, "pod"]]
    + [("timestamp", TIME), ("cpu_cores", pa.float32()), ("memory_bytes", pa.float64())]
)
SPECS_SCHEMA = pa.schema(
    [(name, pa.string()) for name in [*NAMES, "container_type"]]
    + [("replicas", pa.int32())]
    + [(f"cpu_{side}_cores", pa.float64()) for side in ("request", "limit")]
    + [(f"memory_{side}_bytes", pa.float64()) for side in ("request", "limit")]
    + [(name, pa.string()) for name in ("image", "labels", "annotations", "hpa")]
    + [("first_seen", TIME), ("last_seen", TIME)]
)
EVENTS_SCHEMA = pa.schema(
    [(name, pa.string()) for name in [*NAMES, "pod"]]
    + [("timestamp", TIME), ("kind", pa.string()), ("value", pa.float64())]
)
PODS_SCHEMA = pa.schema(
    [(name, pa.string()) for name in ("namespace", "pod", *NAMES[1:3], "node")]
    + [("started", TIME), ("ended", TIME)]
    + [(name, pa.string()) for name in ("owner", "priority_class")]
    + [("overhead_cpu_cores", pa.float64()), ("overhead_memory_bytes", pa.float64())]
    + [(name, pa.string()) for name in ("tolerations", "node_selector", "other_requests")]
)


def recording_files(runs: list[Run]) -> dict[str, bytes]:
    """The files of the recording, by name."""
    return {
        "meta.json": _json(meta()),
        "usage.parquet": _parquet(usage_table(runs), USAGE_SCHEMA),
        "specs.parquet": _parquet(specs_table(runs), SPECS_SCHEMA),
        "events.parquet": _parquet(events_table(runs), EVENTS_SCHEMA),
        "pods.parquet": _parquet(pods_table(runs), PODS_SCHEMA),
    }


def meta() -> dict[str, Any]:
    """What the recording says of itself."""
    return {
        "format": 1,
        "cluster": CLUSTER,
        "step_seconds": STEP_SECONDS,
        "start": START.isoformat(),
        "end": END.isoformat(),
        "source": "sample-data/generate.py",
        "queries": [],
        "warnings": [],
        "nodes": [_node(node) for node in NODES],
    }


def _node(node: Node) -> dict[str, Any]:
    amounts = node.allocatable()
    return {
        "name": node.name,
        "cpu_allocatable_cores": amounts.pop("cpu"),
        "memory_allocatable_bytes": amounts.pop("memory"),
        "gpus": node.gpus,
        "allocatable": {series_label(name): value for name, value in amounts.items()},
        "labels": {series_label(name): value for name, value in node.all_labels().items() if value},
        **({"roles": [node.role]} if node.role else {}),
        "taints": list(map(str, node.taints)),
    }


def usage_table(runs: Iterable[Run]) -> pd.DataFrame:
    """One row per container, pod and observed step, sorted."""
    parts = []
    for run in runs:
        seen = np.flatnonzero(run.observed()[: max(0, SAMPLE_STEPS - run.begin)])
        parts.append(
            pd.DataFrame(
                container_names(run.pod.workload, run.container)
                | {
                    "pod": run.pod.name,
                    "timestamp": moments(run.begin + seen + 1),
                    "cpu_cores": run.cpu[seen].astype(np.float32),
                    "memory_bytes": run.memory[seen],
                }
            )
        )
    return pd.concat(parts).sort_values(KEY, ignore_index=True)


def specs_table(runs: list[Run]) -> pd.DataFrame:
    """One row per container and period in which its workload ran one image."""
    rows = []
    for workload, pods in pods_by_workload(runs).items():
        by_generation = groupby(sorted(pods, key=_age_order), lambda pod: pod.generation)
        for _, group in by_generation:
            period = list(group)
            rows += [_spec(workload, container, period) for container in workload.containers]
    return pd.DataFrame(rows).sort_values([*NAMES, "first_seen"], ignore_index=True)


def pods_by_workload(runs: Iterable[Run]) -> dict[Workload, list[Pod]]:
    """The pods that were seen in the sample, each once."""
    found: dict[Workload, dict[str, Pod]] = {}
    for run in runs:
        if listed_steps(run.pod).size:
            found.setdefault(run.pod.workload, {})[run.pod.uid] = run.pod
    return {workload: list(pods.values()) for workload, pods in found.items()}


def listed_steps(pod: Pod) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """The steps of the sample in which the cluster's state listed `pod`, its node on or off."""
    steps = np.arange(max(pod.begin, 0), min(pod.end, SAMPLE_STEPS))
    return steps[(steps < OUTAGE[0]) | (steps >= OUTAGE[1])]


def events_table(runs: list[Run]) -> pd.DataFrame:
    """OOM kills, restarts, throttled steps and image changes, sorted."""
    rows = [row for run in runs for row in (*_restarts(run), *_throttled(run))]
    rows += _image_changes(runs)
    columns = [*NAMES, "pod", "timestamp", "kind", "value"]
    order = [*NAMES, "timestamp", "pod", "kind"]
    return pd.DataFrame(rows, columns=columns).sort_values(order, ignore_index=True)


def pods_table(runs: list[Run]) -> pd.DataFrame:
    """One row per pod that was seen; of pods that had one name after another, the newest's."""
    rows = {}
    for pods in pods_by_workload(runs).values():
        for pod in sorted(pods, key=lambda pod: pod.begin):
            rows[pod.workload.namespace, pod.name] = _pod(pod)
    return pd.DataFrame(rows.values()).sort_values(["namespace", "pod"], ignore_index=True)


def _pod(pod: Pod) -> dict[str, Any]:
    namespace, kind, workload = pod.workload.key
    there = pod.end > SAMPLE_STEPS
    requests = further_requests(pod.workload)
    return {
        "namespace": namespace,
        "pod": pod.name,
        "workload_kind": kind,
        "workload": workload,
        "node": pod.node,
        "started": moment(pod.begin),
        "ended": None if there else moment(int(listed_steps(pod)[-1]) + 1),
        "owner": "/".join(pod.owner) if pod.owner[0] else None,
        "priority_class": pod.workload.priority or None,
        "overhead_cpu_cores": None,
        "overhead_memory_bytes": None,
        "tolerations": _compact(tolerations(pod.workload)),
        "node_selector": None,
        "other_requests": _compact(requests) if requests and there else None,
    }


def tolerations(workload: Workload) -> list[dict[str, str]]:
    """What its pods tolerate, beside what every pod does for a while.

    The DaemonSets' controller adds that a node may be cordoned.
    """
    cordoned = {
        "effect": "NoSchedule",
        "key": "node.kubernetes.io/unschedulable",
        "operator": "Exists",
    }
    own = [dict(toleration) for toleration in workload.tolerations]
    every = [*own, *([cordoned] if workload.kind == "DaemonSet" else [])]
    return sorted(every, key=_compact)


def further_requests(workload: Workload) -> dict[str, float]:
    """What its pods request beside CPU and memory."""
    gpus = sum(container.gpus for container in workload.containers)
    return {series_label(GPU): gpus} if gpus else {}


def _compact(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def moments(steps: npt.NDArray[np.int64]) -> pd.DatetimeIndex:
    """The times at which steps begin."""
    return pd.DatetimeIndex((steps * STEP_SECONDS + EPOCH).astype("datetime64[s]"), tz="UTC")


def moment(step: int) -> pd.Timestamp:
    """The time at which `step` begins."""
    return pd.Timestamp(second_of(step), unit="s", tz="UTC")


def series_label(key: str) -> str:
    """A Kubernetes label as kube-state-metrics spells it: without `label_`, in snake case."""
    plain = re.sub(r"[^a-zA-Z0-9_]", "_", key)
    return re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", plain).lower()


def workload_labels(workload: Workload) -> dict[str, str]:
    """Labels on a workload's own metadata, beside those of its pods."""
    if workload.form.startswith(("app-template", "chart:")):
        return {
            "app.kubernetes.io/managed-by": "Helm",
            "helm.toolkit.fluxcd.io/name": workload.release,
            "helm.toolkit.fluxcd.io/namespace": workload.namespace,
        }
    if workload.form == "none":
        return {}
    in_flux = workload.form.startswith("flux")
    return {
        "kustomize.toolkit.fluxcd.io/name": "flux-system" if in_flux else workload.app,
        "kustomize.toolkit.fluxcd.io/namespace": "flux-system",
    }


def known_labels(pod: Pod) -> dict[str, str]:
    """Labels that Prometheus holds for a pod: its own, and its workload's where it has them.

    kube-state-metrics was told to export all labels of pods, Deployments and nodes, and no others.
    """
    own = workload_labels(pod.workload) if pod.workload.kind == "Deployment" else {}
    return {series_label(key): text for key, text in sorted((own | pod.labels).items())}


def hpa_settings(workload: Workload) -> dict[str, Any] | None:
    """The autoscaler of a workload as the specs table holds it."""
    if workload.hpa is None:
        return None
    metric = {"resource": "cpu", "type": "Utilization", "value": workload.hpa.target}
    return {
        "name": workload.name,
        "min": workload.hpa.minimum,
        "max": workload.hpa.maximum,
        "metrics": [metric],
    }


def replicas(workload: Workload, step: int) -> int | None:
    """How many pods a workload is told to have in `step`; CronJobs have no such number."""
    if workload.kind == "CronJob":
        return None
    if workload.hpa is not None:
        return int(replicas_over_time(workload)[step])
    return len(workload.nodes) if workload.kind == "DaemonSet" else workload.replicas


def _spec(workload: Workload, container: Container, period: list[Pod]) -> dict[str, Any]:
    newest = period[-1]
    steps = np.concatenate([listed_steps(pod) for pod in period])
    effective = container.effective()
    hpa = hpa_settings(workload)
    return {
        "namespace": workload.namespace,
        "workload_kind": workload.kind,
        "workload": workload.name,
        "container": container.name,
        "container_type": container.role,
        "replicas": replicas(workload, int(steps.max())),
        "cpu_request_cores": effective["requests"].get("cpu"),
        "cpu_limit_cores": effective["limits"].get("cpu"),
        "memory_request_bytes": effective["requests"].get("memory"),
        "memory_limit_bytes": effective["limits"].get("memory"),
        "image": newest.image(container),
        "labels": json.dumps(known_labels(newest), sort_keys=True),
        "annotations": None,
        "hpa": None if hpa is None else json.dumps(hpa, sort_keys=True),
        "first_seen": moment(int(steps.min()) + 1),
        "last_seen": moment(int(steps.max()) + 1),
    }


def _age_order(pod: Pod) -> tuple[int, int, str]:
    return pod.generation, pod.begin, pod.name


def container_names(workload: Workload, container: Container) -> dict[str, str]:
    """The four columns that name a container."""
    namespace, kind, name = workload.key
    return {
        "namespace": namespace,
        "workload_kind": kind,
        "workload": name,
        "container": container.name,
    }


def _event(
    workload: Workload, container: Container, pod: str, step: int, kind: str
) -> dict[str, Any]:
    stamp = {"pod": pod, "timestamp": moment(step), "kind": kind, "value": None}
    return container_names(workload, container) | stamp


def _run_event(run: Run, step: int, kind: str, value: float | None = None) -> dict[str, Any]:
    event = _event(run.pod.workload, run.container, run.pod.name, step, kind)
    return event | {"value": value}


def _restarts(run: Run) -> list[dict[str, Any]]:
    limit = run.container.effective()["limits"].get("memory")
    rows = []
    for restart in run.restarts:
        if restart.step <= SAMPLE_STEPS:
            rows.append(_run_event(run, restart.step, "restart"))
            if restart.oom:
                rows.append(_run_event(run, restart.step, "oom_kill", limit))
    return rows


def _throttled(run: Run) -> list[dict[str, Any]]:
    inside = run.throttled[: max(0, SAMPLE_STEPS - run.begin)]
    seen = np.flatnonzero((inside > 0) & run.observed()[: len(inside)])
    return [
        _run_event(run, run.begin + int(step) + 1, "throttled", float(inside[step]))
        for step in seen
    ]


def _image_changes(runs: list[Run]) -> list[dict[str, Any]]:
    """The first sample of each image of a container but its first."""
    rows = []
    for workload, pods in pods_by_workload(runs).items():
        for container in workload.containers:
            first: dict[str, tuple[int, str]] = {}
            for pod in pods:
                image = pod.image(container)
                found = int(listed_steps(pod)[0]) + 1, pod.name
                first[image] = min(first.get(image, found), found)
            rows += [
                _event(workload, container, pod_name, step, "image_change")
                for step, pod_name in sorted(first.values())[1:]
            ]
    return rows


def _json(value: Any) -> bytes:
    return (json.dumps(value, indent=2) + "\n").encode()


def _parquet(frame: pd.DataFrame, schema: pa.Schema) -> bytes:
    table = pa.Table.from_pandas(frame, schema=schema, preserve_index=False)
    out = io.BytesIO()
    packed = [name for name in ("timestamp", "started", "ended") if name in frame]
    pq.write_table(
        table.replace_schema_metadata(None),
        out,
        compression="zstd",
        compression_level=12,
        use_dictionary=[name for name in frame if name not in packed],
        column_encoding=dict.fromkeys(packed, "DELTA_BINARY_PACKED"),
        row_group_size=131_072,
    )
    return out.getvalue()
