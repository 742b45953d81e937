"""Read a cluster's usage, settings and events from a Prometheus, or anything shaped like one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

import orjson

from analyzer.errors import SourceError
from analyzer.sources import facts as fact
from analyzer.sources.decode import Batch
from analyzer.sources.doctor import Finding, examine_prometheus
from analyzer.sources.events import build_events, read_events, restarted_pods
from analyzer.sources.owners import Owners, PodName, container_name
from analyzer.sources.plan import Piece, most_points, plan
from analyzer.sources.probe import DEFAULT_STEP, Dialect, probe
from analyzer.sources.ragged import Grid, Lanes, Origin, Runs, assemble, cut
from analyzer.sources.reader import Question, Reader
from analyzer.sources.settings import PrometheusSettings
from analyzer.sources.specs import build_specs
from analyzer.sources.transport import Connection, redact
from analyzer.sources.window import Progress, Window, silent
from analyzer.usage import Meta, Recording, Usage, utc
from analyzer.workload import ContainerRef

_SCRAPE_LABELS = (
    "job",
    "metrics_path",
    "service",
    "endpoint",
    "prometheus",
    "prometheus_replica",
    "replica",
    "__replica__",
    "monitor",
)


@dataclass(frozen=True)
class PrometheusSource:
    """A Prometheus at `url`, read as `settings` say; `progress` hears how far a read is."""

    url: str
    settings: PrometheusSettings = field(default_factory=PrometheusSettings)
    progress: Progress = silent

    def describe(self) -> str:
        """The URL without credentials."""
        return f"prometheus:{redact(self.url)}"

    def connect(self) -> Connection:
        """Open a connection; nothing is sent yet."""
        return Connection(self.url, self.settings)

    def read(self, window: Window) -> Recording:
        """Read the window; what could not be read is named in ``meta.warnings``.

        Raises `SourceError` where nothing useful can be read at all.
        """
        with self.connect() as connection:
            return self.read_from(connection, window)

    def examine(self, end: datetime | None = None) -> list[Finding]:
        """Say what the server has, what is missing and what to do about it; never raises."""
        with self.connect() as connection:
            return examine_prometheus(connection, self.settings, end)

    def read_from(self, connection: Connection, window: Window) -> Recording:
        """`read` through an open connection."""
        connection.start_clock()
        now = connection.now()
        end = datetime.fromtimestamp(now, UTC) if window.end is None else utc(window.end)
        dialect = probe(connection, self.settings, end - window.length, end)
        grid = fit_grid(end, window, dialect)
        reader = Reader(connection, self.progress)
        facts = fact.Facts(fact.read_owners(connection, dialect, grid))
        cluster = dialect.cluster or self.settings.cluster or "cluster"
        usage, queries, restarted = _read_usage(
            reader, dialect, grid, facts.owners, cluster, self.settings
        )
        fact.read_containers(connection, dialect, grid, facts)
        fact.read_settings(reader, dialect, grid, facts)
        events = read_events(reader, dialect, grid, facts, restarted)
        fact.read_replicas(reader, dialect, grid, facts)
        fact.read_labels(connection, dialect, grid, facts)
        fact.read_hpas(connection, dialect, grid, facts)
        fact.read_nodes(connection, dialect, grid, facts)
        meta = Meta(
            cluster=cluster,
            start=grid.start,
            end=grid.end,
            step=grid.step,
            source=self.describe(),
            queries=queries,
            warnings=(*connection.warnings, *reader.lost),
            nodes=tuple(facts.nodes),
        )
        specs, changes = build_specs(facts, usage, grid, cluster)
        return Recording(meta, usage, specs, build_events(events, changes, facts))


def fit_grid(end: datetime, window: Window, dialect: Dialect) -> Grid:
    """The steps of the window: five minutes, or twice the scrape interval where that is longer.

    The end is cut to a whole step since the epoch, so that every run asks at the same times.
    """
    step = window.step
    if step is None:
        step = DEFAULT_STEP
        while step < 2 * dialect.interval:
            step += DEFAULT_STEP
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    end = epoch + (end - epoch) // step * step
    steps = max(1, window.length // step)
    return Grid(end - steps * step, step, steps)


def _read_usage(
    reader: Reader,
    dialect: Dialect,
    grid: Grid,
    owners: Owners,
    cluster: str,
    settings: PrometheusSettings,
) -> tuple[Usage, tuple[str, ...], set[PodName]]:
    lanes = Lanes()
    points = most_points(dialect.max_samples, settings.max_points)
    pieces = plan(grid, dialect.namespaces, points)

    def convert(batch: Batch, piece: Piece) -> Runs:
        return cut(batch, lanes, grid, (piece.low, piece.high))

    cpu = Question("CPU", lambda more: dialect.cpu(grid.step, more), grid, pieces, convert)
    memory = Question("memory", lambda more: dialect.memory(grid.step, more), grid, pieces, convert)
    reader.ask(cpu, memory)
    origins = dict(_origins(lanes, owners, cluster))
    usage = assemble(grid, cpu.answers, memory.answers, origins)
    if not len(usage.pods):
        raise SourceError(
            f"{reader.connection.url}: no usage of any container from {grid.start:%Y-%m-%d %H:%M} "
            f"to {grid.end:%Y-%m-%d %H:%M} UTC; ask for another window"
        )
    return usage, (cpu.expression(()), memory.expression(())), restarted_pods(lanes)


def _origins(lanes: Lanes, owners: Owners, cluster: str) -> Iterator[tuple[int, Origin]]:
    """Whose usage each lane is."""
    for number, text in enumerate(lanes):
        labels = orjson.loads(text)
        namespace, pod, container = container_name(labels)
        if not (namespace and pod and container):
            continue
        kind, workload = owners.workload((namespace, pod))
        ref = ContainerRef(cluster, namespace, kind, workload, container)
        scrape = "\0".join(labels.get(name, "") for name in _SCRAPE_LABELS)
        cgroup = (labels.get("id") or labels.get("name", "")) + "\0" + labels.get("cpu", "")
        yield number, Origin(ref, pod, scrape, cgroup)


__all__ = ["DEFAULT_STEP", "PrometheusSource", "fit_grid"]
