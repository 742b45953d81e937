"""What is wrong with a source, and what to do about it, before a run is tried."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from analyzer.check import OK, PROBLEM, WARNING, Check
from analyzer.errors import SourceError
from analyzer.kinds import KINDS
from analyzer.sources.prometheus.connection import Connection
from analyzer.sources.prometheus.exporter import Exporters, exporter
from analyzer.sources.prometheus.facts import TOLD_BY_STATE
from analyzer.sources.prometheus.freshness import check_freshness, check_future
from analyzer.sources.prometheus.plan import most_points, plan
from analyzer.sources.prometheus.probe import (
    CPU_COUNTER,
    DEFAULT_STEP,
    MEMORY_GAUGE,
    Dialect,
    find_scrapes,
    probe,
)
from analyzer.sources.prometheus.promql import Matcher, any_of, duration, selector
from analyzer.sources.prometheus.ragged import Grid
from analyzer.sources.prometheus.settings import PrometheusSettings
from analyzer.sources.window import Window

_LARGEST_SKEW = 60.0
_LOOKS = 12
_MANY_SAMPLES = 500e6
"""Some 30 to 60 CPU seconds of a server that evaluates them."""


@dataclass(frozen=True, slots=True)
class _Metric:
    """A metric that should be there, what it serves, and what to do where it is not."""

    name: str
    serves: str
    advice: str
    missing: str = WARNING
    rests: bool = False
    """It may come and go with what it tells of."""


_STATE_METRICS = (
    _Metric(
        "kube_pod_owner",
        "which workload a pod belongs to",
        "deploy kube-state-metrics and let Prometheus scrape it",
        PROBLEM,
    ),
    _Metric(
        "kube_replicaset_owner",
        "Deployments and Rollouts",
        "allow the replicasets resource in kube-state-metrics",
    ),
    _Metric(
        "kube_job_owner",
        "CronJobs",
        "allow the jobs resource in kube-state-metrics, if any run",
        rests=True,
    ),
    _Metric(
        "kube_pod_container_resource_requests",
        "the requests that hold now",
        "upgrade kube-state-metrics to 2.x, or do not drop this metric",
    ),
    _Metric(
        "kube_pod_container_status_restarts_total",
        "restarts",
        "do not drop this metric; without it OOM kills go unseen",
    ),
    _Metric(
        "kube_horizontalpodautoscaler_spec_target_metric",
        "targets of HorizontalPodAutoscalers",
        "nothing, if there are none; otherwise allow horizontalpodautoscalers",
        rests=True,
    ),
    _Metric(
        "kube_node_status_allocatable",
        "the size of the nodes, as a ceiling",
        "allow the nodes resource in kube-state-metrics",
    ),
    _Metric(
        "kube_pod_labels",
        "labels that lead to the place in Git",
        "run kube-state-metrics with --metric-labels-allowlist=pods=[*],"
        + ",".join(f"{kind.resource}=[*]" for kind in KINDS if kind.listed and kind.state_name),
    ),
)
_USAGE_METRICS = (
    _Metric(MEMORY_GAUGE, "memory", "do not drop container_memory_working_set_bytes", PROBLEM),
    _Metric(
        "container_cpu_cfs_throttled_periods_total",
        "throttling",
        "nothing, if no container has a CPU limit; otherwise do not drop this metric",
        rests=True,
    ),
    _Metric(
        "container_pressure_cpu_waiting_seconds_total",
        "pressure (PSI)",
        "nothing; it comes with Kubernetes 1.34 and cgroup v2",
        OK,
        rests=True,
    ),
)


@dataclass(frozen=True)
class _Look:
    """Where a server is looked at: at `times` of the window, the last of them being its end."""

    start: datetime
    end: datetime
    step: timedelta

    @classmethod
    def at(cls, window: Window, now: datetime) -> _Look:
        end = now if window.end is None else window.end
        return cls(end - window.length, end, window.length / _LOOKS)

    @property
    def moments(self) -> list[datetime]:
        """The newest first."""
        return [self.end - k * self.step for k in range(_LOOKS)]

    def values(self, connection: Connection, query: str) -> dict[float, float]:
        """The value of a query of one number at each moment at which it has one."""
        first = (self.end - (_LOOKS - 1) * self.step).timestamp()
        times = (first, self.end.timestamp(), self.step.total_seconds())
        found: dict[float, float] = {}
        for batch in connection.range(query, times, lambda b: b):
            found |= dict(zip(batch.times.tolist(), batch.values.tolist(), strict=True))
        return found


def examine_prometheus(
    connection: Connection, settings: PrometheusSettings, window: Window
) -> list[Check]:
    """Everything worth knowing of a server never seen before, worst news not hidden."""
    try:
        now = connection.now()
    except SourceError as error:
        return [Check("reach", PROBLEM, str(error), "fix this first, then look again")]
    look = _Look.at(window, datetime.fromtimestamp(now, UTC))
    findings = [_reached(connection), *_unverified(connection), _clock(now), _limits(connection)]
    try:
        dialect = probe(connection, settings, look.start, look.end)
    except SourceError as error:
        return [*findings, Check("usage", PROBLEM, str(error), "see docs/prometheus.md")]
    findings += _collect(connection, dialect, look, _CHECKS)
    return [
        *findings,
        *_metrics(connection, dialect, look),
        _cost(dialect, settings, look),
    ]


_Question = Callable[[Connection, Dialect, _Look], Check]


def _collect(
    connection: Connection, dialect: Dialect, look: _Look, checks: tuple[_Question, ...]
) -> Iterator[Check]:
    for check in checks:
        try:
            yield check(connection, dialect, look)
        except SourceError as error:
            yield Check(check.__name__.strip("_"), PROBLEM, str(error), "see docs/prometheus.md")


def _reached(connection: Connection) -> Check:
    build = connection.status("buildinfo")
    version = build.get("version", "of an unknown version")
    name = build.get("application", "Prometheus API")
    return Check("reach", OK, f"{connection.url} answers, {name} {version}")


def _unverified(connection: Connection) -> Iterator[Check]:
    if connection.settings.insecure and connection.url.startswith("https:"):
        found = "the server's certificate is not verified (insecure)"
        yield Check("certificate", WARNING, found, "name its authority with ca_file instead")


def _clock(now: float) -> Check:
    skew = abs(now - time.time())
    found = f"the server's clock is {skew:.0f} s away from ours"
    if skew <= _LARGEST_SKEW:
        return Check("clock", OK, found)
    return Check("clock", WARNING, found, "synchronise both, or name the end of the window")


def _limits(connection: Connection) -> Check:
    flags = connection.status("flags")
    if not flags:
        found = "the server does not tell its limits; requests adapt to its refusals"
        return Check("limits", OK, found)
    samples = flags.get("query.max-samples", "unknown")
    found = f"query.max-samples {samples}, query.timeout {flags.get('query.timeout', 'unknown')}"
    if str(samples).isdigit() and int(samples) < 1_000_000:
        return Check("limits", WARNING, found, "raise --query.max-samples, reading takes longer")
    return Check("limits", OK, found)


def _usage(connection: Connection, dialect: Dialect, look: _Look) -> Check:
    if dialect.from_rules:
        advice = "keep cAdvisor's raw series: the rule averages peaks away"
        return Check("usage", WARNING, f"only the recording rule {dialect.cpu_series}", advice)
    scrapes = find_scrapes(connection, dialect.usage, look.moments)
    series = sum(scrape.series for scrape in scrapes)
    jobs = ", ".join(f"{s.job or '(no job)'}{s.metrics_path}" for s in scrapes)
    found = f"{series} series of {CPU_COUNTER} by {jobs}"
    if len(scrapes) > 1:
        advice = "several jobs see the same containers; the largest counts, one job would do"
        return Check("usage", WARNING, found, advice)
    return Check("usage", OK, found)


def _fresh(connection: Connection, dialect: Dialect, look: _Look) -> Check:
    """Whether usage still arrives, from everywhere."""
    fresh = check_freshness(connection, dialect, look.end)
    told = [*fresh.warnings, *check_future(connection, dialect, look.end)]
    if told:
        return Check("fresh", WARNING, "; ".join(told), "runs are marked partial until then")
    return Check("fresh", OK, f"the newest usage is of {fresh.newest:%Y-%m-%d %H:%M} UTC")


def _interval(connection: Connection, dialect: Dialect, look: _Look) -> Check:
    window = duration(dialect.rate_window(DEFAULT_STEP))
    found = f"scraped every {dialect.interval.total_seconds():.0f} s; rates over {window}"
    if dialect.interval > timedelta(minutes=2):
        return Check("interval", WARNING, found, "scrape cAdvisor every 60 s or faster")
    return Check("interval", OK, found)


def _gaps(connection: Connection, dialect: Dialect, look: _Look) -> Check:
    """Hours of the window in which nothing at all was scraped."""
    query = f"count({selector(dialect.cpu_series, dialect.usage)})"
    hours = int((look.end - look.start) / timedelta(hours=1))
    times = ((look.end - timedelta(hours=hours)).timestamp(), look.end.timestamp(), 3600.0)
    seen = {
        t for batch in connection.range(query, times, lambda b: b.times.tolist()) for t in batch
    }
    if not seen:
        return Check("gaps", WARNING, "no hour of the window has usage", "check the window")
    hours = round((times[1] - min(seen)) / 3600) + 1
    lost = hours - len(seen)
    if lost > 0:
        advice = "nothing can be read of these; keep Prometheus up"
        return Check("gaps", WARNING, f"{lost} of {hours} hours have no usage at all", advice)
    return Check("gaps", OK, f"usage in each of the last {hours} hours")


def _owned(connection: Connection, dialect: Dialect, look: _Look) -> Check:
    """Whether pods with usage had an owner whenever one looks."""
    usage = selector(dialect.cpu_series, dialect.usage)
    owners = selector("kube_pod_owner", dialect.state)
    query = f"count(count by (namespace, pod) ({usage}) unless on (namespace, pod) {owners})"
    strangers = look.values(connection, query)
    renamed = selector("kube_pod_owner", (*dialect.state, Matcher("exported_pod", "!=", "")))
    if look.values(connection, f"count({renamed})"):
        found = "kube-state-metrics' labels were renamed to exported_*; they are read so"
        return Check("owners", WARNING, found, "set honorLabels: true on its scrape")
    if strangers:
        worst = datetime.fromtimestamp(max(strangers, key=lambda t: (strangers[t], t)), UTC)
        found = (
            f"{max(strangers.values()):.0f} pods had usage but no owner at {worst:%Y-%m-%d %H:%M} "
            f"UTC, and some at {len(strangers)} of {_LOOKS} looks"
        )
        return Check("owners", WARNING, found, "let kube-state-metrics see all namespaces")
    return Check("owners", OK, "every pod with usage had an owner series, whenever looked at")


def _exporters(connection: Connection, dialect: Dialect, look: _Look) -> Check:
    """Whether two exporters tell of the same requests, and whose word counts."""
    exporters = Exporters()
    families = any_of(TOLD_BY_STATE, dialect.state)
    query = f"count by (job, __name__) ({families})"
    for moment in look.moments:
        for sample in connection.instant(query, moment.timestamp()):
            exporters.meet(sample.labels)
    requests = selector("kube_pod_container_resource_requests", dialect.state)
    names = "namespace, exported_namespace, pod, exported_pod, container, exported_container"
    who = f"count by ({names}, resource, job) ({requests})"
    several = f"count by ({names}, resource) ({who}) > 1"
    same = f"{names}, resource"
    query = f"count by (job) ({who} and on ({same}) {several})"
    found: dict[str, float] = {}
    for moment in look.moments:
        for sample in connection.instant(query, moment.timestamp()):
            who = exporter(sample.labels)
            found[who] = max(sample.value, found.get(who, 0.0))
    if not found:
        told = ", ".join(who or "(no job)" for who in exporters.ranked(exporters.families))
        return Check("exporters", OK, f"owners and containers are told by {told or 'nobody'}")
    best, *others = exporters.ranked(found)
    return Check(
        "exporters",
        WARNING,
        f"{', '.join(others)} and {best} both tell {max(found.values()):.0f} requests; "
        f"where they differ {best} counts",
        f'drop the kube_* series of the other, or set state_matchers, such as job="{best}"',
    )


def _sidecars(connection: Connection, dialect: Dialect, look: _Look) -> Check:
    """Native sidecars are told from init containers since kube-state-metrics 2.11."""
    series = selector("kube_pod_init_container_info", dialect.state)
    samples = connection.series([series], look.start.timestamp(), look.end.timestamp())
    if samples and not any("restart_policy" in labels for labels in samples):
        advice = "upgrade kube-state-metrics to 2.11 to tell native sidecars from init containers"
        return Check("sidecars", WARNING, "init containers without restart_policy", advice)
    return Check("sidecars", OK, f"{len(samples)} init containers and native sidecars")


def _metrics(connection: Connection, dialect: Dialect, look: _Look) -> Iterator[Check]:
    """Each metric that should be there, at the looks at which there was usage at all."""
    usage = f"count({selector(dialect.cpu_series, dialect.usage)})"
    try:
        held = look.values(connection, usage)
    except SourceError as error:
        yield Check("metrics", PROBLEM, str(error), "see docs/prometheus.md")
        return
    for metrics, matchers in ((_USAGE_METRICS, dialect.usage), (_STATE_METRICS, dialect.state)):
        for metric in metrics:
            query = f"count({selector(metric.name, matchers)})"
            try:
                yield _metric(metric, look.values(connection, query), held)
            except SourceError as error:
                yield Check(metric.name, PROBLEM, str(error), "see docs/prometheus.md")


def _metric(metric: _Metric, counts: dict[float, float], held: dict[float, float]) -> Check:
    if not counts:
        return Check(metric.name, metric.missing, f"missing: {metric.serves}", metric.advice)
    absent = sorted(held.keys() - counts.keys())
    found = f"{counts[max(counts)]:.0f} series: {metric.serves}"
    if metric.rests or not absent:
        return Check(metric.name, OK, found)
    when = " and ".join(f"{datetime.fromtimestamp(t, UTC):%Y-%m-%d %H:%M}" for t in absent[-2:])
    found += f"; missing at {len(absent)} of {len(held)} looks, such as {when} UTC"
    return Check(metric.name, WARNING, found, "look at what became of its scrape then")


def _cost(dialect: Dialect, settings: PrometheusSettings, look: _Look) -> Check:
    length = look.end - look.start
    steps = length // DEFAULT_STEP
    grid = Grid(look.end - steps * DEFAULT_STEP, DEFAULT_STEP, steps)
    points = most_points(dialect.max_samples, settings.max_points)
    requests = 2 * len(plan(grid, dialect.namespaces, points))
    series = sum(dialect.namespaces.values())
    millions = 2 * series * steps / 1e6
    found = (
        f"{length / timedelta(days=1):.3g} days are about {millions:.1f} million points in "
        f"{requests} requests, "
        f"{settings.parallel} at a time"
    )
    samples = 2 * series * (length / dialect.interval)
    if settings.read == "query" and samples > _MANY_SAMPLES and not dialect.from_rules:
        found += (
            f", of {samples / 1e6:,.0f} million samples; `prometheus.read: remote` would spare the "
            "server nine tenths of the CPU and cost this side more"
        )
    return Check("cost", OK, found)


_CHECKS = (_usage, _fresh, _interval, _gaps, _owned, _exporters, _sidecars)

__all__ = ["examine_prometheus"]
