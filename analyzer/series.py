"""Series of runs: objects whose names were generated are one workload that runs again and again.

Argo Workflows, Airflow, CI runners, Tekton, Spark and whoever calls ``kubectl create job`` make an
object for each run and name it anew: ``report-1000``, ``report-1001``. Looked at one by one each is
too short to judge. Together they are one series, known by a label of its maker, or by what is left
of the names without their generated parts, and by the image.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import pandas as pd

from analyzer.kinds import JOB, POD, kind_of
from analyzer.tables import NAMES
from analyzer.usage import Recording
from analyzer.workload import ContainerRef

MAKERS: tuple[tuple[str, ...], ...] = (
    ("workflows.argoproj.io/cron-workflow",),
    ("workflows.argoproj.io/workflow-template",),
    ("dag_id", "task_id"),
    ("tekton.dev/pipeline", "tekton.dev/pipelineTask"),
    ("tekton.dev/task",),
    ("sparkoperator.k8s.io/app-name", "spark-role"),
    ("spark-app-name", "spark-role"),
    ("actions.github.com/scale-set-name",),
    ("job.runner.gitlab.com/name",),
)
"""Labels by which makers of runs name what they run, the most telling first."""

# Kubernetes generates names of five of these; they make no word.
_GENERATED = re.compile(r"[bcdfghjklmnpqrstvwxz2456789]{5}")
_DIGEST = re.compile(r"(?=(?:.*\d){2})(?=.*[a-z])[a-z0-9]{8,}")
_UUID = re.compile(r"-?\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b")
_NUMBER = re.compile(r"v?\d+")
_LONG_NUMBER = re.compile(r"\d{3,}")
_NAMED = ("namespace", "workload_kind", "workload")


def unite(recording: Recording) -> tuple[Recording, dict[ContainerRef, tuple[str, ...]]]:
    """`recording` with the runs of a series under one name, and the names of the runs of each.

    Two runs make a series. Nothing moves where a pod would then come twice.
    """
    series = _series(recording)
    moves = {ref: target for target, members in series.items() for ref in members}
    if not moves:
        return recording, {}
    usage = recording.usage
    try:
        usage = usage.rename([moves.get(ref, ref) for ref in usage.containers])
    except ValueError:
        return recording, {}
    by_name = {_key(ref): _key(target) for ref, target in moves.items()}
    tables = {name: _moved(recording.tables[name], by_name) for name in ("specs", "events", "days")}
    workloads = {key[:3]: target[:3] for key, target in by_name.items()}
    united = replace(
        recording,
        usage=usage,
        specs=tables["specs"],
        events=tables["events"],
        days=tables["days"],
        pods=_moved(recording.pods, workloads),
    )
    return united, {
        target: tuple(sorted(ref.workload for ref in members)) for target, members in series.items()
    }


def _series(recording: Recording) -> dict[ContainerRef, list[ContainerRef]]:
    """The series of at least two runs, by the name of the series."""
    described = _described(recording.specs)
    known = dict.fromkeys(recording.usage.containers)
    cluster = recording.meta.cluster
    known |= dict.fromkeys(ContainerRef(cluster, *key) for key in described)
    found: dict[tuple[str, str, str, str, str], list[ContainerRef]] = {}
    for ref in sorted(known):
        labels, image = described.get(_key(ref), ({}, ""))
        name = _series_name(ref, labels, image)
        if name:
            key = (ref.namespace, ref.kind, name, ref.container, image)
            found.setdefault(key, []).append(ref)
    series: dict[ContainerRef, list[ContainerRef]] = {}
    for (namespace, kind, name, container, _), members in found.items():
        target = ContainerRef(cluster, namespace, kind, name, container)
        taken = target in series or (target in known and target not in members)
        if len(members) > 1 and not taken:
            series[target] = members
    return series


def _key(ref: ContainerRef) -> tuple[str, str, str, str]:
    return ref.namespace, ref.kind, ref.workload, ref.container


def _described(
    specs: pd.DataFrame,
) -> dict[tuple[str, str, str, str], tuple[Mapping[str, Any], str]]:
    """Labels and image, without its version, of every container that may be one run of many."""
    found = {}
    runs = specs[[_may_be_a_run(str(kind)) for kind in specs["workload_kind"]]]
    for row in runs.to_dict("records"):
        key = tuple(str(row[name]) for name in NAMES)
        image = row["image"] if isinstance(row["image"], str) else ""
        found[key[0], key[1], key[2], key[3]] = (_labels(row["labels"]), repository(image))
    return found


def _labels(text: Any) -> Mapping[str, Any]:
    try:
        labels = json.loads(text) if isinstance(text, str) else {}
    except ValueError:
        return {}  # whoever reads the labels says what is wrong with them
    return labels if isinstance(labels, dict) else {}


def _may_be_a_run(kind: str) -> bool:
    """Jobs, bare pods, and whatever a stranger's controller makes."""
    return kind in (JOB.name, POD.name) or kind_of(kind) is None


def _series_name(ref: ContainerRef, labels: Mapping[str, Any], image: str) -> str:
    if not _may_be_a_run(ref.kind):
        return ""
    for names in MAKERS:
        values = [labels.get(name) or labels.get(_sanitised(name)) for name in names]
        if all(values):
            return "-".join(map(str, values))
    return stem(ref.workload, counted=bool(image))


def _sanitised(label: str) -> str:
    """A label's name as kube-state-metrics tells it."""
    return re.sub(r"[^a-zA-Z0-9_]", "_", label)


def stem(name: str, *, counted: bool) -> str:
    """`name` without the parts that were generated; empty where none was, or nothing is left.

    Generated are, at the end, five of the letters that Kubernetes takes and numbers (short ones
    only where `counted`: ``backup-2`` may be a name), and anywhere UUIDs, digests and long numbers.
    """
    rest = [part for part in _UUID.sub("", name).split("-") if part]
    kept = [part for part in rest if not (_DIGEST.fullmatch(part) or _LONG_NUMBER.fullmatch(part))]
    while len(kept) > 1 and (
        _GENERATED.fullmatch(kept[-1]) or (counted and _NUMBER.fullmatch(kept[-1]))
    ):
        kept.pop()
    found = "-".join(kept)
    return "" if found == name else found


def repository(image: str) -> str:
    """An image without its tag and digest: ``registry:5000/shop/web:2@sha256:…`` less both."""
    head, slash, tail = image.partition("@")[0].rpartition("/")
    return head + slash + tail.partition(":")[0]


def _moved(table: pd.DataFrame, names: Mapping[Any, Any]) -> pd.DataFrame:
    """`table` with other values in its name columns, as many as the keys of `names` have."""
    width = len(next(iter(names)))
    columns = [*_NAMED, "container"][:width]
    rows = list(zip(*(table[column] for column in columns), strict=True))
    moved = [names.get(row, row) for row in rows]
    if moved == rows:
        return table
    changed: dict[str, Iterable[Any]] = dict(zip(columns, zip(*moved, strict=True), strict=True))
    return table.assign(**{name: list(values) for name, values in changed.items()})
