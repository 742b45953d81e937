"""What a cluster says about its containers beside their usage: settings, owners, nodes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, TypeVar

import orjson

from analyzer.errors import SourceError
from analyzer.kinds import DEPLOYMENT, KINDS
from analyzer.sources.prometheus.answer import parse_labels
from analyzer.sources.prometheus.connection import Connection
from analyzer.sources.prometheus.decode import Batch
from analyzer.sources.prometheus.exporter import Exporters, exporter
from analyzer.sources.prometheus.failure import (
    BadQueryError,
    DeniedError,
    NotFoundError,
    TooBigError,
)
from analyzer.sources.prometheus.owners import (
    ContainerName,
    Owners,
    PodName,
    container_name,
    own,
)
from analyzer.sources.prometheus.plan import Piece, plan
from analyzer.sources.prometheus.probe import Dialect
from analyzer.sources.prometheus.promql import (
    Matchers,
    largest_by,
    left_open,
    one_of,
    over,
    selector,
)
from analyzer.sources.prometheus.ragged import Grid
from analyzer.sources.prometheus.reader import Question, Reader
from analyzer.sources.window import DAY

WorkloadName = tuple[str, str, str]
"""Namespace, kind and name of a workload."""
Timeline = Sequence[tuple[float, float]]
"""Times (Unix seconds, ends of steps) and values, in order of time."""
Rows = list[tuple[dict[str, str], Timeline]]
K = TypeVar("K")
T = TypeVar("T")

FIELDS = {
    ("requests", "cpu"): "cpu_request_cores",
    ("requests", "memory"): "memory_request_bytes",
    ("limits", "cpu"): "cpu_limit_cores",
    ("limits", "memory"): "memory_limit_bytes",
}
_RECENT = timedelta(minutes=15)
_OVERHEAD = {"cpu": "overhead_cpu_cores", "memory": "overhead_memory_bytes"}
_OVERHEADS = frozenset(_OVERHEAD.values())
_LEAST = {"cpu": 0.0005, "memory": 1.0}
"""What is less than this of cores or bytes is nothing."""
_TOGETHER = 200
POINTS = 200_000
RESOURCES = ("cpu", "memory")
_CONTAINER = ("namespace", "pod", "container")
IDENTITY = (*_CONTAINER, *(f"exported_{name}" for name in _CONTAINER))
OWNER_METRICS = ("kube_pod_owner", "kube_replicaset_owner", "kube_job_owner")
CONTAINER_METRICS = ("kube_pod_container_info", "kube_pod_init_container_info")
TOLD_BY_STATE = (*OWNER_METRICS, *CONTAINER_METRICS)
"""Families by which kube-state-metrics is told from others that export some of its series."""
_VPA_MODES = (
    "kube_verticalpodautoscaler_spec_updatepolicy_updatemode",
    "kube_customresource_verticalpodautoscaler_spec_updatepolicy_updatemode",
)
REPLICAS = {
    kind.replicas_metric: (kind.name, kind.state_label) for kind in KINDS if kind.replicas_metric
}
_DESCRIBED = {kind.state_name: (kind.name, kind.state_label) for kind in KINDS if kind.state_name}


@dataclass
class Facts:
    """Everything that is known beside usage, by the names of the cluster."""

    owners: Owners
    asof: float = 0.0
    """The Unix time at which it is asked what exists: the end, or the newest usage before it."""
    types: dict[ContainerName, str] = field(default_factory=dict)
    images: dict[ContainerName, Sequence[tuple[float, str]]] = field(default_factory=dict)
    settings: dict[ContainerName, dict[str, Timeline]] = field(default_factory=dict)
    """Requests and limits, by column name of the specs table."""
    pod_settings: dict[PodName, dict[str, float]] = field(default_factory=dict)
    """What is declared for pods as a whole, by column name of the specs table."""
    replicas: dict[WorkloadName, int] = field(default_factory=dict)
    labels: dict[WorkloadName, dict[str, str]] = field(default_factory=dict)
    annotations: dict[WorkloadName, dict[str, str]] = field(default_factory=dict)
    hpas: dict[WorkloadName, dict[str, Any]] = field(default_factory=dict)
    vpas: dict[WorkloadName, str] = field(default_factory=dict)
    """The update modes of VerticalPodAutoscalers, by what they scale."""
    nodes: list[dict[str, Any]] = field(default_factory=list)
    past_nodes: list[dict[str, Any]] = field(default_factory=list)
    """Nodes that were there within the window and are gone."""
    quotas: list[dict[str, Any]] = field(default_factory=list)
    limit_ranges: list[dict[str, Any]] = field(default_factory=list)
    living: set[ContainerName] | None = None
    """The containers that exist at the end of the window; None where nobody tells."""
    present: set[WorkloadName] = field(default_factory=set)
    """The workloads that exist then, of the kinds whose number of replicas is told."""
    suspended: dict[WorkloadName, bool] = field(default_factory=dict)
    deadlines: dict[WorkloadName, float] = field(default_factory=dict)
    """The seconds after which the Jobs of a workload are ended; of several that exist the most."""
    exits: dict[ContainerName, str] = field(default_factory=dict)
    """Why containers ended last."""
    started: dict[PodName, float] = field(default_factory=dict)
    remade: set[PodName] = field(default_factory=set)
    """Pods that were made or started anew under their name."""
    nodes_of: dict[PodName, str] = field(default_factory=dict)
    scheduling: dict[PodName, dict[str, Any]] = field(default_factory=dict)
    """What pods ask of nodes besides their containers' CPU and memory, by column."""
    budgets: list[dict[str, Any]] = field(default_factory=list)
    """What PodDisruptionBudgets allow."""
    recent: timedelta = _RECENT
    """How far back what exists is looked for: several scrapes of kube-state-metrics."""
    _lines: dict[Any, Any] = field(default_factory=dict, repr=False)

    @cached_property
    def counted_kinds(self) -> frozenset[str]:
        """The kinds of which it is told what exists; ask when everything is read."""
        return frozenset(kind for _, kind, _ in self.present)

    @cached_property
    def declared(self) -> dict[PodName, set[str]]:
        """The columns of settings that some container of a pod has; ask when all are read."""
        found: dict[PodName, set[str]] = {}
        for name, columns in self.settings.items():
            found.setdefault(name[:2], set()).update(columns)
        return found

    @property
    def exporters(self) -> Exporters:
        """Who told all this."""
        return self.owners.exporters

    def note(
        self, table: dict[K, Sequence[tuple[float, T]]], key: K, more: Iterable[tuple[float, T]]
    ) -> None:
        """Put points into the timeline of `key`; what is known of a time already stays.

        Equal timelines are kept once: thousands of pods share a life and a setting.
        """
        known = dict(table.get(key, ()))
        for time, value in more:
            known.setdefault(time, value)
        line = tuple(sorted(known.items(), key=lambda point: point[0]))
        table[key] = self._lines.setdefault(line, line)


def even_grids(start: datetime, end: datetime, step: timedelta = DAY) -> list[Grid]:
    """One grid of whole steps up to `end`, and one of the rest before it, if any."""
    steps = (end - start) // step
    rest = (end - start) - steps * step
    grids = [Grid(end - steps * step, step, steps)] if steps else []
    if rest:
        grids.append(Grid(start, rest, 1))
    return grids


def moments(grid: Grid) -> list[Grid]:
    """The ends of the days up to that of `grid`, in order of time, each as a grid of one step."""
    return sorted(
        (
            Grid(part.start + step * part.step, part.step, 1)
            for part in even_grids(grid.start, grid.end)
            for step in range(part.steps)
        ),
        key=lambda moment: moment.start,
    )


def read_owners(connection: Connection, dialect: Dialect, grid: Grid) -> Owners:
    """Who owned which pod at any time of the window.

    Raises `SourceError` where there is no such series at all.
    """
    owners = find_owners(connection, dialect, grid)
    if not owners.pods:
        raise SourceError(
            f"{connection.url}: no series of {selector('kube_pod_owner', dialect.state)}; "
            "rightsize needs kube-state-metrics to tell which workload a pod belongs to, let "
            "Prometheus scrape it"
        )
    return owners


def find_owners(connection: Connection, dialect: Dialect, grid: Grid) -> Owners:
    """The same, be it of nobody."""
    return Owners.from_series(read_series(connection, dialect, grid, OWNER_METRICS))


def read_series(
    connection: Connection, dialect: Dialect, grid: Grid, metrics: Sequence[str]
) -> list[dict[str, str]]:
    """The label sets of `metrics` over the window, duplicates included."""
    selectors = [selector(metric, dialect.state) for metric in metrics]
    start, end = grid.start.timestamp(), grid.end.timestamp()
    try:
        return connection.series(selectors, start, end)
    except (TooBigError, NotFoundError, DeniedError, BadQueryError):
        return _series_by_query(connection, selectors, grid)


def _series_by_query(
    connection: Connection, selectors: Sequence[str], grid: Grid
) -> list[dict[str, str]]:
    """The same by instant queries, day by day, where the series endpoint is closed or limited."""
    found: dict[bytes, dict[str, str]] = {}
    for day_grid in even_grids(grid.start, grid.end):
        for step in range(day_grid.steps):
            for series in selectors:
                query = over("last_over_time", series, left_open(day_grid.step))
                for sample in connection.instant(query, day_grid.time(step)):
                    name = {"__name__": series.partition("{")[0]}
                    labels = name | sample.labels
                    found[orjson.dumps(labels, option=orjson.OPT_SORT_KEYS)] = labels
    return list(found.values())


def read_containers(connection: Connection, dialect: Dialect, grid: Grid, facts: Facts) -> None:
    """Which containers there were, and of which type."""
    uids: dict[PodName, str] = {}
    for labels in read_series(connection, dialect, grid, CONTAINER_METRICS):
        facts.exporters.meet(labels)
        name = container_name(labels)
        kind = "app"
        if labels["__name__"] == "kube_pod_init_container_info":
            kind = "sidecar" if labels.get("restart_policy") == "Always" else "init"
        facts.types[name] = kind
        uid = labels.get("uid", "")
        if uids.setdefault(name[:2], uid) != uid:
            facts.remade.add(name[:2])


def batches(pods: Iterable[PodName]) -> Iterator[list[str]]:
    """The names of `pods` in groups that fit into one matcher."""
    names = sorted({name for _, name in pods})
    for low in range(0, len(names), _TOGETHER):
        yield names[low : low + _TOGETHER]


def question_of_rows(
    what: str, grid: Grid, expression: Callable[[Matchers], str], pieces: Sequence[Piece]
) -> Question[Rows]:
    """A question whose answers are few enough to stand in memory series by series."""
    return Question(what, expression, grid, pieces, _rows)


def answers(reader: Reader, question: Question[Rows]) -> Iterator[tuple[dict[str, str], Timeline]]:
    """Ask, and hand out series by series what came back."""
    reader.ask(question)
    for rows in question.answers:
        yield from rows


def glimpses(
    reader: Reader, grid: Grid, what: str, expression: Callable[[Matchers], str]
) -> Iterator[tuple[dict[str, str], Timeline]]:
    """What an expression that few series fulfil tells at each step of a coarse `grid`.

    Each step is a request of its own: over several the server would decode every sample that lies
    between them, nine tenths of which nobody asked for.
    """
    pieces = [Piece(step, step + 1) for step in reversed(range(grid.steps))]
    yield from answers(reader, question_of_rows(what, grid, expression, pieces))


def _rows(batch: Batch, piece: Piece) -> Rows:
    return list(timelines(batch))


def timelines(batch: Batch) -> Iterable[tuple[dict[str, str], Timeline]]:
    """Each series of a small batch with those of its points that are numbers."""
    position = 0
    for text, count in zip(batch.labels, batch.counts.tolist(), strict=True):
        where = slice(position, position + count)
        position += count
        points = zip(batch.times[where].tolist(), batch.values[where].tolist(), strict=True)
        yield parse_labels(text), [point for point in points if math.isfinite(point[1])]


def read_replicas(reader: Reader, dialect: Dialect, grid: Grid, facts: Facts) -> None:
    """How many replicas workloads were set to last, of kinds of which nothing is told at the end.

    Of the other kinds `note_replicas` knows already, and what it does not know exists no more.
    """
    known = {kind for _, kind, _ in facts.present}
    metrics = {metric: of for metric, of in REPLICAS.items() if of[0] not in known}
    for part in even_grids(grid.start, grid.end):
        pieces = plan(part, dialect.namespaces, POINTS)
        for metric, (_, label) in metrics.items():
            names = ("namespace", "exported_namespace", label, f"exported_{label}", "job")

            def expression(
                more: Matchers, metric: str = metric, names: tuple[str, ...] = names
            ) -> str:
                return largest_by(names, selector(metric, (*dialect.state, *more)))

            question = question_of_rows("replicas", part, expression, pieces)
            rows = answers(reader, question)
            note_replicas(facts, ((labels | {"__name__": metric}, line) for labels, line in rows))


def note_replicas(facts: Facts, rows: Iterable[tuple[Mapping[str, str], Timeline]]) -> None:
    """Put the latest number of replicas of each workload into the facts, unless it is known."""
    told: dict[WorkloadName, dict[str, Timeline]] = {}
    for labels, line in rows:
        kind, label = REPLICAS[labels["__name__"]]
        by_exporter = told.setdefault((own(labels, "namespace"), kind, own(labels, label)), {})
        who = exporter(labels)
        # Of two that tell of one moment the larger counts.
        by_exporter[who] = sorted((*by_exporter.get(who, ()), *line))
    for key, lines in told.items():
        known = facts.exporters.merge(key, lines)
        if known and key not in facts.replicas:
            facts.replicas[key] = int(known[max(known)])


def read_pod_settings(connection: Connection, dialect: Dialect, facts: Facts) -> None:
    """Requests and limits that are declared for a pod as a whole, as the scheduler tells them.

    It tells the sum of what holds for a pod, with the overhead of its RuntimeClass on top. Where
    its containers declare nothing of a resource, what is left without overhead the pod itself
    declares. Of a RuntimeClass whose overhead is not told, nothing is taken for declared.
    """
    state = tuple(m for m in dialect.state if m.label not in ("job", "instance"))
    foreign = _unknown_runtimes(connection, dialect, facts)
    for which in ("request", "limit"):
        series = selector(f"kube_pod_resource_{which}", (*state, one_of("resource", RESOURCES)))
        query = largest_by(
            (*IDENTITY, "resource"), over("last_over_time", series, left_open(_RECENT))
        )
        for sample in connection.instant(query, facts.asof):
            pod, resource = container_name(sample.labels)[:2], sample.labels["resource"]
            column = FIELDS[f"{which}s", resource]
            overhead = facts.scheduling.get(pod, {}).get(_OVERHEAD[resource], 0.0)
            left = sample.value - overhead
            # Sums of floats are off by a hair, and nobody declares less than a millicore.
            declared = left > _LEAST[resource] and pod not in foreign
            if declared and column not in facts.declared.get(pod, ()):
                facts.pod_settings.setdefault(pod, {})[f"pod_{column}"] = round(left, 6)


def _unknown_runtimes(connection: Connection, dialect: Dialect, facts: Facts) -> set[PodName]:
    """The pods with a RuntimeClass of which no overhead is told."""
    series = selector("kube_pod_runtimeclass_name_info", dialect.state)
    query = over("last_over_time", series, left_open(_RECENT))
    pods = {container_name(s.labels)[:2] for s in connection.instant(query, facts.asof)}
    told = {pod for pod, columns in facts.scheduling.items() if columns.keys() & _OVERHEADS}
    return pods - told


def read_labels(connection: Connection, dialect: Dialect, grid: Grid, facts: Facts) -> None:
    """Labels and annotations of pods and workloads, as far as kube-state-metrics exports them."""
    metrics = [f"kube_{thing}_{what}" for thing in _DESCRIBED for what in ("labels", "annotations")]
    series = read_series(connection, dialect, grid, metrics)
    for labels in sorted(series, key=_sorting):
        _, thing, what = labels["__name__"].split("_", 2)
        kind, label = _DESCRIBED[thing]
        key = (own(labels, "namespace"), kind, own(labels, label))
        prefix = "label_" if what == "labels" else "annotation_"
        table = facts.labels if what == "labels" else facts.annotations
        table.setdefault(key, {}).update(
            {
                name.removeprefix(prefix): value
                for name, value in labels.items()
                if name.startswith(prefix)
            }
        )


def read_hpas(connection: Connection, dialect: Dialect, grid: Grid, facts: Facts) -> None:
    """HorizontalPodAutoscalers with what they scale, between which replicas and on what."""
    long, label = ("kube_horizontalpodautoscaler", "horizontalpodautoscaler")
    values = _hpa_values(connection, dialect, grid, long)
    if not values:
        long, label = ("kube_hpa", "hpa")
        values = _hpa_values(connection, dialect, grid, long)
    by_name: dict[tuple[str, str], dict[str, Any]] = {}
    for metric, labels, value in values:
        key = own(labels, "namespace"), own(labels, label)
        hpa = by_name.setdefault(key, {"name": key[1], "min": None, "max": None, "metrics": []})
        match metric.removeprefix(long):
            case "_info":
                hpa["target"] = (
                    labels.get("scaletargetref_kind", ""),
                    labels.get("scaletargetref_name", ""),
                )
            case "_spec_min_replicas":
                hpa["min"] = int(value)
            case "_spec_max_replicas":
                hpa["max"] = int(value)
            case "_spec_target_metric":
                hpa["metrics"].append(_hpa_metric(labels, value))
    for (namespace, name), hpa in by_name.items():
        # kube-state-metrics before 2.3 does not say what is scaled; equal names are the custom.
        kind, target = hpa.pop("target", (DEPLOYMENT.name, name))
        hpa["metrics"].sort(key=lambda metric: str(metric["resource"]))
        facts.hpas[namespace, kind, target] = hpa


def _hpa_metric(labels: Mapping[str, str], value: float) -> dict[str, Any]:
    kind = labels.get("metric_target_type", "")
    names = {"utilization": "Utilization", "average": "AverageValue", "value": "Value"}
    return {
        "resource": labels.get("metric_name", ""),
        "type": names.get(kind, kind),
        "value": value,
    }


def _hpa_values(
    connection: Connection, dialect: Dialect, grid: Grid, prefix: str
) -> list[tuple[str, dict[str, str], float]]:
    found = []
    for what in ("_info", "_spec_min_replicas", "_spec_max_replicas", "_spec_target_metric"):
        metric = prefix + what
        query = over("last_over_time", selector(metric, dialect.state), timedelta(hours=1))
        unique: dict[tuple[str, ...], tuple[str, dict[str, str], float]] = {}
        for sample in connection.instant(query, grid.end.timestamp()):
            names = ("namespace", "exported_namespace", "horizontalpodautoscaler", "hpa")
            more = ("metric_name", "metric_target_type", "scaletargetref_name")
            key = tuple(sample.labels.get(name, "") for name in (*names, *more))
            unique[key] = (metric, sample.labels, sample.value)
        found += [unique[key] for key in sorted(unique)]
    return found


def read_vpas(connection: Connection, dialect: Dialect, grid: Grid, facts: Facts) -> None:
    """The modes of VerticalPodAutoscalers, where an exporter tells of them.

    kube-state-metrics did so by itself before 2.9, and does when it is told to since.
    """
    for metric in _VPA_MODES:
        query = over("last_over_time", selector(metric, dialect.state), timedelta(hours=1))
        for sample in connection.instant(query, grid.end.timestamp()):
            labels = sample.labels
            mode = labels.get("update_mode", "")
            if sample.value == 1 and mode:
                kind, name = labels.get("target_kind", ""), labels.get("target_name", "")
                facts.vpas[own(labels, "namespace"), kind, name] = mode


def read_nodes(connection: Connection, dialect: Dialect, grid: Grid, facts: Facts) -> None:
    """Allocatable CPU, memory and GPUs of every node at the end of the window, and its labels."""
    state = dialect.of_cluster
    series = selector("kube_node_status_allocatable", state)
    names = ("node", "exported_node", "resource")
    query = largest_by(names, over("last_over_time", series, timedelta(hours=1)))
    # Each replica of the server tells of every node.
    largest: dict[tuple[str, str], float] = {}
    for sample in connection.instant(query, grid.end.timestamp()):
        key = own(sample.labels, "node"), sample.labels.get("resource", "")
        largest[key] = max(largest.get(key, 0.0), sample.value)
    nodes: dict[str, dict[str, Any]] = {}
    for (name, resource), value in largest.items():
        node = nodes.setdefault(
            name,
            {
                "name": name,
                "cpu_allocatable_cores": None,
                "memory_allocatable_bytes": None,
                "gpus": 0,
            },
        )
        if resource == "cpu":
            node["cpu_allocatable_cores"] = value
        elif resource == "memory":
            node["memory_allocatable_bytes"] = int(value)
        else:
            node.setdefault("allocatable", {})[resource] = value
        if "gpu" in resource:
            node["gpus"] += int(value)
    for name, labels in _node_labels(connection, state, grid).items():
        if name in nodes:
            nodes[name]["labels"] = labels
    facts.nodes = [nodes[name] for name in sorted(nodes)]


def _node_labels(connection: Connection, state: Matchers, grid: Grid) -> dict[str, dict[str, str]]:
    """The labels of nodes that kube-state-metrics was told to export, as it spells them."""
    query = over("last_over_time", selector("kube_node_labels", state), timedelta(hours=1))
    found: dict[str, dict[str, str]] = {}
    for sample in connection.instant(query, grid.end.timestamp()):
        own_labels = _own_labels(sample.labels)
        if own_labels:
            found.setdefault(own(sample.labels, "node"), {}).update(own_labels)
    return found


def read_node_labels(
    connection: Connection, dialect: Dialect, grid: Grid
) -> dict[str, dict[str, str]]:
    """The labels of all nodes of the window, where kube-state-metrics exports them."""
    found: dict[str, dict[str, str]] = {}
    everywhere = replace(dialect, state=dialect.of_cluster)
    for labels in read_series(connection, everywhere, grid, ["kube_node_labels"]):
        found.setdefault(own(labels, "node"), {}).update(_own_labels(labels))
    return found


def _own_labels(labels: Mapping[str, str]) -> dict[str, str]:
    """What an object is labelled with, of the labels of its series."""
    return {
        name.removeprefix("label_"): value
        for name, value in labels.items()
        if name.startswith("label_")
    }


def _sorting(labels: Mapping[str, str]) -> bytes:
    return orjson.dumps(labels, option=orjson.OPT_SORT_KEYS)
