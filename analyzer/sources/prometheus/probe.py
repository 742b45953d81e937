"""Find out what a Prometheus holds, and under which names, before reading it in bulk."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from analyzer.errors import SourceError
from analyzer.sources.prometheus.connection import Connection
from analyzer.sources.prometheus.promql import (
    Matcher,
    Matchers,
    Over,
    any_of,
    equals,
    left_open,
    one_of,
    over,
    parse_matchers,
    selector,
)
from analyzer.sources.prometheus.settings import PrometheusSettings
from analyzer.sources.window import DAY

CPU_COUNTER = "container_cpu_usage_seconds_total"
MEMORY_GAUGE = "container_memory_working_set_bytes"
CPU_RULES = (
    "node_namespace_pod_container:container_cpu_usage_seconds_total:sum_rate5m",
    "node_namespace_pod_container:container_cpu_usage_seconds_total:sum_irate",
)
MEMORY_RULE = "node_namespace_pod_container:container_memory_working_set_bytes"
_OLD_REQUESTS = "kube_pod_container_resource_requests_memory_bytes"
_NAMESPACED = (
    "kube_pod_owner",
    "kube_pod_info",
    "kube_resourcequota",
    "kube_limitrange",
    "kube_poddisruptionbudget_status_current_healthy",
)
"""Series that tell of a namespace in which nothing may run."""
DEFAULT_STEP = timedelta(minutes=5)
_REAL = (Matcher("container", "!=", ""), Matcher("container", "!=", "POD"))
_UNNAMED = (Matcher("container", "=", ""), Matcher("pod", "!=", ""), Matcher("image", "!=", ""))
_MANY = 0.05
"""A share of pods whose containers have no name that is worth telling."""
_KUBELET = ("kubelet", "/metrics/cadvisor")
_PROBES = 4
_BACK = (0, 0.25, 0.5, 1, 2, 3, 5, 7, 10, 14, 21, 30)
_NEAR = 600.0
_USUAL_INTERVALS = (5, 10, 15, 20, 30, 45, 60, 90, 120, 180, 240, 300, 600)


@dataclass(frozen=True)
class Scrape:
    """One way by which cAdvisor's series reach the server."""

    job: str
    metrics_path: str
    series: int
    interval: timedelta | None = None


@dataclass(frozen=True)
class Dialect:
    """What the server calls things, how often it scrapes and how much it answers at once."""

    usage: Matchers
    state: Matchers
    interval: timedelta
    namespaces: Mapping[str, int]
    cpu_series: str = CPU_COUNTER
    memory_series: str = MEMORY_GAUGE
    max_samples: int | None = None
    cluster: str | None = None
    old_state: bool = False
    """Whether kube-state-metrics is a version 1, with other names for requests and limits."""
    notes: tuple[str, ...] = field(default=())
    state_namespace: str = "namespace"
    """The label by which kube-state-metrics names the namespace of an object."""

    @property
    def of_cluster(self) -> Matchers:
        """The matchers of what belongs to no namespace."""
        return tuple(m for m in self.state if m.label != self.state_namespace)

    @property
    def from_rules(self) -> bool:
        """Whether usage comes from recording rules, because the raw series are gone."""
        return self.cpu_series != CPU_COUNTER

    def rate_window(self, step: timedelta) -> timedelta:
        """At least one step and four scrapes, in whole minutes."""
        needed = max(step, 4 * self.interval)
        minute = timedelta(minutes=1)
        return -(-needed // minute) * minute if needed > step else step

    def cpu(self, step: timedelta, more: Matchers = ()) -> Over:
        """CPU of each series in cores, the mean over a step."""
        matchers = (*self.usage, *more)
        if self.from_rules:
            return Over("avg_over_time", self.cpu_series, matchers, left_open(step))
        return Over("rate", self.cpu_series, matchers, self.rate_window(step))

    def memory(self, step: timedelta, more: Matchers = ()) -> Over:
        """Working set of each series in bytes, the largest within a step."""
        window = left_open(max(step, 2 * self.interval))
        return Over("max_over_time", self.memory_series, (*self.usage, *more), window)


def find_namespaces(
    connection: Connection, dialect: Dialect, start: datetime, end: datetime
) -> frozenset[str]:
    """Every namespace of which anything is told between `start` and `end`, usage or not."""
    asked = (selector(dialect.cpu_series, dialect.usage), any_of(_NAMESPACED, dialect.state))
    times = start.timestamp(), end.timestamp()
    labels = "namespace", dialect.state_namespace
    found = (connection.label_values(*each, *times) for each in zip(labels, asked, strict=True))
    return frozenset(name for names in found for name in names)


def within(dialect: Dialect, namespaces: Collection[str]) -> Dialect:
    """`dialect` for these `namespaces` alone."""
    return replace(
        dialect,
        usage=(*dialect.usage, one_of("namespace", namespaces)),
        state=(*dialect.state, one_of(dialect.state_namespace, namespaces)),
        namespaces={name: dialect.namespaces.get(name, 1) for name in sorted(namespaces)},
    )


def common_matchers(
    settings: PrometheusSettings, cluster: str | None, label: str = "namespace"
) -> Matchers:
    """The matchers that every query carries: the cluster and the namespaces that are wanted."""
    matchers: list[Matcher] = []
    if cluster is not None:
        matchers.append(equals(settings.cluster_label, cluster))
    if settings.namespaces:
        matchers.append(one_of(label, settings.namespaces))
    if settings.exclude_namespaces:
        matchers.append(one_of(label, settings.exclude_namespaces).negated())
    return tuple(matchers)


def _find_state_namespace(
    connection: Connection,
    settings: PrometheusSettings,
    cluster: str | None,
    moments: Sequence[datetime],
) -> str:
    """How kube-state-metrics names namespaces: Prometheus moves a label that clashes with one of
    the target's own out of the way, unless the scrape honours labels.
    """
    ours = [equals(settings.cluster_label, cluster)] if cluster is not None else []
    ours += parse_matchers(settings.state_matchers or "")
    moved = selector("kube_pod_owner", [*ours, Matcher("exported_namespace", "!=", "")])
    return "exported_namespace" if _any(connection, moved, moments) else "namespace"


def probe(
    connection: Connection, settings: PrometheusSettings, start: datetime, end: datetime
) -> Dialect:
    """Ask the server what it holds between `start` and `end`.

    Raises `SourceError` where there are no usage series at all, saying what is there instead.
    """
    flags = connection.status("flags")
    max_samples = str(flags.get("query.max-samples", ""))
    moments = _moments(start, end)
    cluster = find_cluster(connection, settings, start, end)
    common = common_matchers(settings, cluster)
    cpu_series, memory_series, usage = _find_usage(connection, settings, moments, common)
    notes: tuple[str, ...] = ()
    if cpu_series == CPU_COUNTER:
        notes = tuple(_notes_on_unnamed(connection, common, moments))
    else:
        notes = (
            f"cAdvisor's raw series are gone; usage comes from the recording rule {cpu_series}, "
            "whose peaks are smoother",
        )
    state_namespace = _find_state_namespace(connection, settings, cluster, moments)
    state = (
        *common_matchers(settings, cluster, state_namespace),
        *parse_matchers(settings.state_matchers or ""),
    )
    return Dialect(
        usage=usage,
        state=state,
        old_state=_any(connection, selector(_OLD_REQUESTS, state), moments),
        interval=find_interval(connection, selector(cpu_series, usage), moments),
        namespaces=_count_by_namespace(connection, selector(cpu_series, usage), moments),
        cpu_series=cpu_series,
        memory_series=memory_series,
        max_samples=int(max_samples) if max_samples.isdigit() else None,
        cluster=cluster,
        notes=notes,
        state_namespace=state_namespace,
    )


def find_cluster(
    connection: Connection, settings: PrometheusSettings, start: datetime, end: datetime
) -> str | None:
    """The value of the cluster label to ask for; None where the series carry no such label."""
    usage = any_of((CPU_COUNTER, *CPU_RULES))
    found = connection.label_values(
        settings.cluster_label, usage, start.timestamp(), end.timestamp()
    )
    if not found:
        return None
    if settings.cluster is not None:
        if settings.cluster in found:
            return settings.cluster
        raise SourceError(
            f"{connection.url}: no usage has {settings.cluster_label}={settings.cluster!r}; "
            f"it knows {', '.join(sorted(found)[:10])}"
        )
    if len(found) == 1:
        return found[0]
    raise SourceError(
        f"{connection.url} holds {len(found)} clusters by the label {settings.cluster_label!r} "
        f"({', '.join(sorted(found)[:10])}); name the one to read (cluster)"
    )


def find_interval(connection: Connection, series: str, moments: Sequence[datetime]) -> timedelta:
    """How often the series are scraped: the slowest of their jobs, one minute if unknown.

    A job's best hour counts, for an outage in another makes it look slow.
    """
    counted = over("count_over_time", series, left_open(timedelta(hours=1)))
    query = f"quantile by (job, metrics_path) (0.9, {counted})"
    best: dict[tuple[str, str], float] = {}
    for moment in moments:
        for sample in connection.instant(query, moment.timestamp()):
            job = sample.labels.get("job", ""), sample.labels.get("metrics_path", "")
            best[job] = max(best.get(job, 1.0), sample.value)
    return _usual(3600 / min(best.values())) if best else timedelta(minutes=1)


def _usual(seconds: float) -> timedelta:
    """The interval that people write nearest to a measured one: a lost scrape makes 60 s 61 s."""
    nearest = min(_USUAL_INTERVALS, key=lambda usual: abs(usual - seconds))
    exact = nearest if abs(nearest - seconds) <= 0.1 * nearest else max(1, round(seconds))
    return timedelta(seconds=exact)


def find_scrapes(
    connection: Connection, matchers: Matchers, moments: Sequence[datetime]
) -> list[Scrape]:
    """Every job and metrics path by which usage arrives, the richest first."""
    query = f"count by (job, metrics_path) ({selector(CPU_COUNTER, matchers)})"
    most: Counter[tuple[str, str]] = Counter()
    for moment in moments:
        for sample in connection.instant(query, moment.timestamp()):
            key = sample.labels.get("job", ""), sample.labels.get("metrics_path", "")
            most[key] = max(most[key], int(sample.value))
    return [Scrape(job, path, series) for (job, path), series in most.most_common()]


def _moments(start: datetime, end: datetime) -> list[datetime]:
    """Some times at which to look, the newest first; an outage may hide one of them."""
    length = end - start
    return [end - length * share / _PROBES for share in range(_PROBES)]


def _find_usage(
    connection: Connection,
    settings: PrometheusSettings,
    moments: Sequence[datetime],
    common: Matchers,
) -> tuple[str, str, Matchers]:
    """The CPU series, the memory series and the matchers that select containers among them."""
    if settings.usage_matchers is not None:
        chosen = (*parse_matchers(settings.usage_matchers), *_REAL, *common)
        if find_scrapes(connection, chosen, moments):
            return CPU_COUNTER, MEMORY_GAUGE, chosen
        raise SourceError(
            f"{connection.url}: no series of {selector(CPU_COUNTER, chosen)}; "
            "check usage_matchers, or leave it out to let it be found"
        )
    # No matcher on the image: some nodes, or some days, may lack that label. The pod's own cgroup
    # and the pause container are told by theirs of the container, which is empty or POD.
    real = (*_REAL, *common)
    scrapes = find_scrapes(connection, real, moments)
    if scrapes:
        return CPU_COUNTER, MEMORY_GAUGE, _narrow(connection, real, scrapes, moments)
    for rule in CPU_RULES:
        if _any(connection, selector(rule, real), moments):
            return rule, MEMORY_RULE, real
    raise SourceError(_explain_nothing(connection, settings, moments, common))


def _narrow(
    connection: Connection,
    matchers: Matchers,
    scrapes: Sequence[Scrape],
    moments: Sequence[datetime],
) -> Matchers:
    """Keep to one scrape job where it alone sees every container; all of them otherwise."""
    if len(scrapes) == 1:
        return matchers
    ordered = sorted(scrapes, key=lambda scrape: (scrape.job, scrape.metrics_path) != _KUBELET)
    for scrape in ordered:
        only = (
            *matchers,
            equals("job", scrape.job),
            equals("metrics_path", scrape.metrics_path),
        )
        if all(
            _containers(connection, only, moment) == _containers(connection, matchers, moment)
            for moment in moments
        ):
            return only
    return matchers


def _containers(connection: Connection, matchers: Matchers, moment: datetime) -> int:
    series = selector(CPU_COUNTER, matchers)
    query = f"count(count by (namespace, pod, container) ({series}))"
    return sum(int(sample.value) for sample in connection.instant(query, moment.timestamp()))


def _notes_on_unnamed(
    connection: Connection, common: Matchers, moments: Sequence[datetime]
) -> Iterator[str]:
    """A sentence where many pods have usage and none of it says of which container."""
    unnamed = selector(CPU_COUNTER, (*_UNNAMED, *common))
    named = selector(CPU_COUNTER, (*_REAL, *common))
    lost = f"count by (namespace, pod) ({unnamed}) unless on (namespace, pod) {named}"
    share = f"count({lost}) / count(count by (namespace, pod) ({named}))"
    most = max(
        (s.value for m in moments for s in connection.instant(share, m.timestamp())), default=0
    )
    if most > _MANY:
        yield (
            f"the usage of {most:.0%} as many pods as are read has no container label and is left "
            "out; look at the relabelling of cAdvisor's scrape"
        )


def _any(connection: Connection, series: str, moments: Sequence[datetime]) -> bool:
    return any(connection.instant(f"count({series})", m.timestamp()) for m in moments)


def _count_by_namespace(
    connection: Connection, series: str, moments: Sequence[datetime]
) -> dict[str, int]:
    most: dict[str, int] = {}
    for moment in moments:
        for sample in connection.instant(f"count by (namespace) ({series})", moment.timestamp()):
            name = sample.labels.get("namespace", "")
            most[name] = max(most.get(name, 0), int(sample.value))
    return most


def _explain_nothing(
    connection: Connection,
    settings: PrometheusSettings,
    moments: Sequence[datetime],
    common: Matchers,
) -> str:
    """Why there is nothing to read, as far as a few questions tell."""
    url, end = connection.url, moments[0]
    if _any(connection, selector(CPU_COUNTER), moments):
        wanted = selector(CPU_COUNTER, common)
        if common and not _any(connection, wanted, moments):
            return f"{url}: no series of {wanted}; check the cluster label and the namespaces"
        return (
            f"{url}: {CPU_COUNTER} has no series with a container label; let cAdvisor be scraped "
            "from the kubelet (/metrics/cadvisor), not from the nodes' root cgroup alone"
        )
    now = datetime.fromtimestamp(connection.now(), UTC)
    seen = find_newest(connection, CPU_COUNTER, now)
    if seen is not None:
        return (
            f"{url}: no container usage in the window that ends at {end:%Y-%m-%d %H:%M} UTC; "
            f"the newest sample is of {seen:%Y-%m-%d %H:%M} UTC, ask for a window up to there"
        )
    return (
        f"{url}: no series of {CPU_COUNTER}; let Prometheus scrape cAdvisor "
        "(https, kubelet port, /metrics/cadvisor), or check tenant and cluster"
    )


def find_newest(connection: Connection, series: str, end: datetime) -> datetime | None:
    """When `series` had its last sample up to `end`, to ten minutes; None for a month and more.

    Asked moment by moment, because one query over the month kept a server busy for minutes.
    """
    query = f"max(timestamp({series}))"
    now = end.timestamp()
    later = now
    for days in _BACK:
        moment = now - days * DAY.total_seconds()
        found = connection.instant(query, moment)
        if found:
            break
        later = moment
    else:
        return None
    while later - moment > _NEAR:
        middle = (moment + later) / 2
        between = connection.instant(query, middle)
        moment, later, found = (middle, later, between) if between else (moment, middle, found)
    return datetime.fromtimestamp(max(sample.value for sample in found), UTC)
