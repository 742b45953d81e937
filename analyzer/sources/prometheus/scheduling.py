"""What pods ask of nodes besides CPU and memory, and what disrupts them, as far as it is exported.

kube-state-metrics tells overhead, tolerations, further requests and budgets by itself, selectors of
nodes where it is told to, and affinity never.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import orjson

from analyzer.sources.prometheus.answer import Sample
from analyzer.sources.prometheus.connection import Connection
from analyzer.sources.prometheus.facts import Facts
from analyzer.sources.prometheus.owners import PodName, container_name, own
from analyzer.sources.prometheus.probe import Dialect
from analyzer.sources.prometheus.promql import (
    Matcher,
    Matchers,
    largest_by,
    left_open,
    literal,
    over,
    selector,
)

Latest = Callable[..., list[Sample]]

_GIVEN_TO_ALL = "|".join(
    literal(f"node.kubernetes.io/{what}")
    for what in ("not-ready", "unreachable", "memory-pressure", "disk-pressure", "pid-pressure")
)
"""Taints that every pod, or every pod with requests, bears for a while: they say nothing."""
_NOT_OURS = Matcher("resource", "!~", "cpu|memory")
_POD = ("namespace", "exported_namespace", "pod", "exported_pod")
_CONTAINER = (*_POD, "container", "exported_container")
_OVERHEAD = {
    "kube_pod_overhead_cpu_cores": "overhead_cpu_cores",
    "kube_pod_overhead_memory_bytes": "overhead_memory_bytes",
}
_BUDGET = {
    "pod_disruptions_allowed": "allowed",
    "expected_pods": "expected",
    "current_healthy": "healthy",
    "desired_healthy": "wanted",
}


def read_scheduling(connection: Connection, dialect: Dialect, facts: Facts) -> None:
    """What the pods that exist ask of nodes, by column of the pods table."""
    latest = _latest(connection, dialect, facts)
    for metric, column in _OVERHEAD.items():
        for sample in latest(metric):
            if sample.value > 0:
                _note(facts, sample, column, sample.value)
    _read_tolerations(connection, dialect, facts)
    for sample in latest("kube_pod_nodeselectors"):
        selector_ = {
            name.removeprefix("nodeselector_"): value
            for name, value in sample.labels.items()
            if name.startswith("nodeselector_")
        }
        if selector_:
            _note(facts, sample, "node_selector", _json(selector_))
    for pod, requests in _further_requests(connection, dialect, facts).items():
        facts.scheduling.setdefault(pod, {})["other_requests"] = _json(requests)


def _latest(connection: Connection, dialect: Dialect, facts: Facts) -> Latest:
    def latest(metric: str, more: Matchers = ()) -> list[Sample]:
        series = selector(metric, (*dialect.state, *more))
        query = over("last_over_time", series, left_open(facts.recent))
        return connection.instant(query, facts.asof)

    return latest


def _note(facts: Facts, sample: Sample, column: str, value: Any) -> None:
    pod = container_name(sample.labels)[:2]
    facts.scheduling.setdefault(pod, {})[column] = value


def _json(value: object) -> str:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()


def _read_tolerations(connection: Connection, dialect: Dialect, facts: Facts) -> None:
    """The tolerations of every pod, none for those that have none of their own.

    Every pod has the two that Kubernetes gives it: where not even these are told, nothing is known.
    """
    series = selector("kube_pod_tolerations", dialect.state)
    count = f"count({over('last_over_time', series, left_open(facts.recent))})"
    if not connection.instant(count, facts.asof):
        return
    found: dict[PodName, list[dict[str, str]]] = {name[:2]: [] for name in facts.types}
    own_ones = Matcher("key", "!~", _GIVEN_TO_ALL)
    names = ("key", "operator", "value", "effect")
    series = selector("kube_pod_tolerations", (*dialect.state, own_ones))
    recent = over("last_over_time", series, left_open(facts.recent))
    for sample in connection.instant(largest_by((*_POD, *names), recent), facts.asof):
        row = {name: sample.labels[name] for name in names if sample.labels.get(name)}
        found.setdefault(container_name(sample.labels)[:2], []).append(row)
    for pod, rows in found.items():
        facts.scheduling.setdefault(pod, {})["tolerations"] = _json(sorted(rows, key=_json))


def _further_requests(
    connection: Connection, dialect: Dialect, facts: Facts
) -> dict[PodName, dict[str, float]]:
    """What pods request besides CPU and memory: GPUs, huge pages, ephemeral storage.

    As the scheduler counts: containers and sidecars together, init containers by their maximum.
    """
    running: dict[PodName, dict[str, float]] = {}
    starting: dict[PodName, dict[str, float]] = {}
    for kind in ("", "init_"):
        metric = f"kube_pod_{kind}container_resource_requests"
        series = selector(metric, (*dialect.state, _NOT_OURS))
        recent = over("last_over_time", series, left_open(facts.recent))
        for sample in connection.instant(largest_by((*_CONTAINER, "resource"), recent), facts.asof):
            name, resource = container_name(sample.labels), sample.labels.get("resource", "")
            if facts.types.get(name) == "init":
                of = starting.setdefault(name[:2], {})
                of[resource] = max(of.get(resource, 0.0), sample.value)
            else:
                of = running.setdefault(name[:2], {})
                of[resource] = of.get(resource, 0.0) + sample.value
    for pod, requests in starting.items():
        together = running.setdefault(pod, {})
        for resource, value in requests.items():
            together[resource] = max(together.get(resource, 0.0), value)
    return running


def read_budgets(connection: Connection, dialect: Dialect, facts: Facts) -> None:
    """What PodDisruptionBudgets allow at the end; which pods they are about is not exported."""
    latest = _latest(connection, dialect, facts)
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for name, column in _BUDGET.items():
        for sample in latest(f"kube_poddisruptionbudget_status_{name}"):
            key = own(sample.labels, "namespace"), own(sample.labels, "poddisruptionbudget")
            row = found.setdefault(key, {"namespace": key[0], "name": key[1]})
            row[column] = sample.value
    facts.budgets.extend(found[key] for key in sorted(found))


def describe_nodes(connection: Connection, dialect: Dialect, facts: Facts) -> None:
    """The roles and taints of the nodes, and which are cordoned.

    Without a single taint nobody can tell none from unexported, so that nothing is said of any.
    """
    state = dialect.of_cluster

    def latest(metric: str) -> Iterator[tuple[str, Mapping[str, str], float]]:
        query = over("last_over_time", selector(metric, state), left_open(facts.recent))
        for sample in connection.instant(query, facts.asof):
            yield own(sample.labels, "node"), sample.labels, sample.value

    nodes = {str(node["name"]): node for node in facts.nodes}
    for name, _, value in latest("kube_node_spec_unschedulable"):
        if name in nodes and value == 1:
            nodes[name]["unschedulable"] = True
    for name, labels, _ in latest("kube_node_role"):
        roles = nodes[name].setdefault("roles", []) if name in nodes else []
        if labels.get("role") and labels["role"] not in roles:
            roles.append(labels["role"])
            roles.sort()
    taints: dict[str, set[str]] = {}
    for name, labels, _ in latest("kube_node_spec_taint"):
        text = "=".join(filter(None, (labels.get("key"), labels.get("value"))))
        taints.setdefault(name, set()).add(f"{text}:{labels.get('effect', '')}")
    for name, node in nodes.items() if taints else ():
        node["taints"] = sorted(taints.get(name, ()))


__all__ = ["describe_nodes", "read_budgets", "read_scheduling"]
