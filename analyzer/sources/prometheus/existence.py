"""What exists at the end of the window, as kube-state-metrics tells it, and where pods ran.

Usage is no proof of existence: a container that was renamed, a workload that was deleted or scaled
to zero left samples behind, and one whose node fell silent leaves none.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd

from analyzer.kinds import CRON_JOB
from analyzer.sources.prometheus.answer import Sample
from analyzer.sources.prometheus.connection import Connection
from analyzer.sources.prometheus.facts import (
    CONTAINER_METRICS,
    REPLICAS,
    Facts,
    note_replicas,
    read_series,
)
from analyzer.sources.prometheus.owners import PodName, container_name, own
from analyzer.sources.prometheus.probe import Dialect
from analyzer.sources.prometheus.promql import any_of, left_open, one_of, over, selector
from analyzer.sources.prometheus.ragged import Grid
from analyzer.sources.prometheus.reader import Reader
from analyzer.sources.prometheus.specs import observed
from analyzer.sources.prometheus.visits import lives_of_pods
from analyzer.tables import validate_pods
from analyzer.usage import Usage

_RECENT = timedelta(minutes=15)
"""How far back what exists is looked for: several scrapes of kube-state-metrics."""
_COLUMNS = ("namespace", "pod", "workload_kind", "workload", "node", "started", "ended", "owner")
_ASKED = (
    "priority_class",
    "overhead_cpu_cores",
    "overhead_memory_bytes",
    "tolerations",
    "node_selector",
    "other_requests",
)
"""Columns of what a pod asks of nodes, and of whom it comes before."""


def read_living(connection: Connection, dialect: Dialect, facts: Facts) -> bool:
    """Which containers and CronJobs exist as usage was last seen; False where nobody tells.

    Pods that ran to their end, or were evicted, are still there as objects and count as gone.
    """

    def latest(series: str, then: str = "") -> list[Sample]:
        query = over("last_over_time", series, left_open(_RECENT)) + then
        return connection.instant(query, facts.asof)

    there = latest(any_of(CONTAINER_METRICS, dialect.state))
    if not there:
        return False
    phase = (*dialect.state, one_of("phase", ["Failed", "Succeeded"]))
    finished = {
        container_name(sample.labels)[:2]
        for sample in latest(selector("kube_pod_status_phase", phase), " == 1")
    }
    note_replicas(
        facts,
        (
            (sample.labels, [(sample.time, sample.value)])
            for sample in latest(any_of(REPLICAS, dialect.state))
        ),
    )
    facts.present = set(facts.replicas)
    names = {container_name(sample.labels) for sample in there}
    facts.living = {name for name in names if name[:2] not in finished}
    for sample in latest(selector("kube_cronjob_spec_suspend", dialect.state)):
        key = own(sample.labels, "namespace"), CRON_JOB.name, own(sample.labels, "cronjob")
        facts.suspended[key] = sample.value == 1
    for sample in latest(selector("kube_job_spec_active_deadline_seconds", dialect.state)):
        namespace, job = own(sample.labels, "namespace"), own(sample.labels, "job_name")
        workload = namespace, *facts.owners.of_job(namespace, job)
        facts.deadlines[workload] = max(sample.value, facts.deadlines.get(workload, 0.0))
    facts.exits = dict(_exits(latest, dialect))
    return True


def _exits(latest: Any, dialect: Dialect) -> Iterator[tuple[tuple[str, str, str], str]]:
    """Why containers ended last, with the exit code where it is told."""
    series = "kube_pod_container_status_last_terminated_"
    codes = {
        container_name(sample.labels): int(sample.value)
        for sample in latest(selector(f"{series}exitcode", dialect.state))
    }
    for sample in latest(selector(f"{series}reason", dialect.state), " == 1"):
        name = container_name(sample.labels)
        reason = sample.labels.get("reason", "")
        yield name, f"{reason} ({codes[name]})" if name in codes else reason


def read_pods(reader: Reader, dialect: Dialect, grid: Grid, facts: Facts) -> None:
    """Where each pod ran."""
    for labels in read_series(reader.connection, dialect, grid, ("kube_pod_info",)):
        _note_node(facts, labels)
    info = selector("kube_pod_info", dialect.state)
    for sample in reader.connection.instant(info, facts.asof):
        _note_node(facts, sample.labels)  # a StatefulSet's pod moves and keeps its name


def _note_node(facts: Facts, labels: dict[str, str]) -> None:
    node = own(labels, "node")
    pod = container_name(labels)[:2]
    if node:
        facts.nodes_of[pod] = node
    if labels.get("priority_class"):
        facts.scheduling.setdefault(pod, {})["priority_class"] = labels["priority_class"]


def build_pods(facts: Facts, usage: Usage, grid: Grid) -> pd.DataFrame:
    """The pods table: every pod that was known or observed in the window."""
    seen = lives_of_pods(observed(usage, grid))
    for name, line in facts.images.items():
        if name[:2] not in seen and line:
            seen[name[:2]] = line[0][0], line[-1][0]
    living = None if facts.living is None else {name[:2] for name in facts.living}
    rows = [_row(facts, pod, life, living, grid) for pod, life in sorted(seen.items())]
    return validate_pods(pd.DataFrame(rows, columns=[*_COLUMNS, *_ASKED]))


def _row(
    facts: Facts,
    pod: PodName,
    life: tuple[float, float],
    living: set[PodName] | None,
    grid: Grid,
) -> dict[str, Any]:
    kind, workload = facts.owners.workload(pod)
    owner = facts.owners.pods.get(pod)
    lives = pod in living if living is not None else life[1] >= facts.asof
    return {
        "namespace": pod[0],
        "pod": pod[1],
        "workload_kind": kind,
        "workload": workload,
        "node": facts.nodes_of.get(pod),
        "started": _moment(facts.started.get(pod, life[0] - grid.step.total_seconds())),
        "ended": None if lives else _moment(life[1]),
        "owner": "/".join(owner) if owner else None,
        **facts.scheduling.get(pod, {}),
    }


def _moment(time: float) -> datetime:
    return datetime.fromtimestamp(time, UTC)


def read_rules(connection: Connection, dialect: Dialect, facts: Facts) -> None:
    """ResourceQuotas and LimitRanges, as they stand at the end."""
    metrics = {"kube_resourcequota": facts.quotas, "kube_limitrange": facts.limit_ranges}
    for metric, table in metrics.items():
        series = over("last_over_time", selector(metric, dialect.state), left_open(_RECENT))
        found: dict[tuple[str, ...], float] = {}
        for sample in connection.instant(series, facts.asof):
            name = own(sample.labels, metric.removeprefix("kube_"))
            key = own(sample.labels, "namespace"), name, sample.labels.get("resource", "")
            more = sample.labels.get("type", ""), sample.labels.get("constraint", "")
            found[(*key, *more)] = sample.value
        if metric == "kube_resourcequota":
            table.extend(_quotas(found))
        else:
            table.extend(
                dict(
                    zip(
                        ("namespace", "name", "resource", "type", "constraint", "value"),
                        (*key, value),
                        strict=True,
                    )
                )
                for key, value in sorted(found.items())
            )


def _quotas(found: dict[tuple[str, ...], float]) -> Iterator[dict[str, Any]]:
    for (namespace, name, resource, kind, _), hard in sorted(found.items()):
        if kind == "hard":
            yield {
                "namespace": namespace,
                "name": name,
                "resource": resource,
                "hard": hard,
                "used": found.get((namespace, name, resource, "used", "")),
            }


__all__ = ["build_pods", "read_living", "read_pods", "read_rules"]
