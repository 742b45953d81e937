"""Read a cluster's usage, settings and events from a Prometheus, or anything shaped like one."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import pandas as pd

from analyzer.check import PROBLEM, Check
from analyzer.errors import AnalyzerError, SourceError
from analyzer.room import IN_MEMORY, Room
from analyzer.shard import Shard, Strangers
from analyzer.sources.cache import RAW, Cache, closed_days, uncovered
from analyzer.sources.days import has_arrived, join_summaries
from analyzer.sources.examine import examine_recording
from analyzer.sources.prometheus import facts as fact
from analyzer.sources.prometheus.address import redact, split_urls
from analyzer.sources.prometheus.answer import parse_labels
from analyzer.sources.prometheus.connection import Connection
from analyzer.sources.prometheus.declared import read_settings
from analyzer.sources.prometheus.decode import Batch
from analyzer.sources.prometheus.events import (
    Event,
    build_events,
    read_evictions,
    read_killed_by_signal,
    read_node_pressure,
    read_pressure,
    read_restarts,
    restarted_pods,
)
from analyzer.sources.prometheus.examine import examine_prometheus
from analyzer.sources.prometheus.existence import (
    build_pods,
    read_living,
    read_pods,
    read_rules,
)
from analyzer.sources.prometheus.failure import NoRemoteReadError
from analyzer.sources.prometheus.freshness import check_freshness, check_future
from analyzer.sources.prometheus.long_look import read_long_look
from analyzer.sources.prometheus.node_lives import read_node_lives
from analyzer.sources.prometheus.owners import Owners, PodName, container_name
from analyzer.sources.prometheus.plan import Piece, most_points, plan
from analyzer.sources.prometheus.probe import DEFAULT_STEP, Dialect, find_namespaces, probe, within
from analyzer.sources.prometheus.promql import equals, over, selector
from analyzer.sources.prometheus.ragged import Grid, Lanes, Origin, Runs, assemble, cut
from analyzer.sources.prometheus.reader import Question, Reader
from analyzer.sources.prometheus.replicas import SCRAPE_LABELS, connect
from analyzer.sources.prometheus.resident import read_resident
from analyzer.sources.prometheus.scheduling import (
    describe_nodes,
    read_budgets,
    read_scheduling,
)
from analyzer.sources.prometheus.server import Server
from analyzer.sources.prometheus.settings import PrometheusSettings
from analyzer.sources.prometheus.short_runs import correct_short_runs
from analyzer.sources.prometheus.specs import build_specs, observed
from analyzer.sources.prometheus.throttling import read_throttling
from analyzer.sources.prometheus.visits import lives_of_pods
from analyzer.sources.recording.joining import join_recordings
from analyzer.sources.recording.recording import (
    FORMAT,
    cut_recording,
    from_first_sample,
    mark,
)
from analyzer.sources.window import DAY, Progress, Window, silent
from analyzer.tables import no_days
from analyzer.usage import Meta, Recording, Usage, no_usage, utc
from analyzer.workload import ContainerRef

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class PrometheusSource:
    """A Prometheus at `url`, read as `settings` say; `progress` hears how far a read is.

    Several URLs, joined by commas, are replicas of one another and read as one.
    """

    url: str
    settings: PrometheusSettings = field(default_factory=PrometheusSettings)
    progress: Progress = silent
    name: str = ""
    """What it is called where its URL is only the way there."""

    def describe(self) -> str:
        """The URL without credentials."""
        return self.name or f"prometheus:{','.join(map(redact, split_urls(self.url)))}"

    def connect(self) -> Connection:
        """Open a connection; nothing is sent yet."""
        return connect(self.url, self.settings)

    def read(self, window: Window) -> Recording:
        """Read the window; what could not be read is named in ``meta.warnings``.

        Raises `SourceError` where nothing useful can be read at all.
        """
        with self.connect() as connection:
            return self.read_from(connection, window)

    def examine(self, window: Window) -> list[Check]:
        """Say what the server has, what is missing and what to do about it; never raises.

        Where nothing stands in the way the window is read as a run would, and judged whole.
        """
        urls = split_urls(self.url)
        findings: list[Check] = []
        for number, url in enumerate(urls, 1):
            with Server(url, self.settings) as server:
                found = examine_prometheus(server, self.settings, window)
            if len(urls) > 1:
                found = [replace(f, check=f"{f.check} ({number})") for f in found]
            findings += found
        return findings if _hopeless(findings) else [*findings, *self._examine_read(window)]

    def _examine_read(self, window: Window) -> list[Check]:
        try:
            return examine_recording(self.read(window))
        except AnalyzerError as error:
            return [Check("read", PROBLEM, str(error), "mend this, then look again")]

    def read_from(self, connection: Connection, window: Window) -> Recording:
        """`read` through an open connection."""
        connection.start_clock()
        now = datetime.fromtimestamp(connection.now(), UTC)
        end = now if window.end is None else utc(window.end)
        dialect = probe(connection, self.settings, end - window.length, end)
        grid = fit_grid(end, window, dialect)
        cluster = dialect.cluster or self.settings.cluster or "cluster"
        fresh = check_freshness(connection, dialect, end)
        ahead = check_future(connection, dialect, now) if now - end < DAY else ()
        reader = Reader(connection, self.progress)
        span = _Span(reader, dialect, self.settings, cluster, fresh.newest, window.room)
        known = frozenset[str]()
        if window.shard is not None:
            known = find_namespaces(connection, dialect, grid.start, grid.end)
            span = span.of(window.shard, known)
        joined = self._read_span(span, grid, now)
        told = (*dialect.notes, *fresh.warnings, *ahead)
        meta = replace(
            joined.meta,
            source=self.describe(),
            queries=(str(dialect.cpu(grid.step)), str(dialect.memory(grid.step))),
            warnings=(*told, *connection.warnings, *reader.lost),
        )
        if window.shard is None:
            return from_first_sample(replace(joined, meta=meta))
        part = replace(mark(window.shard, known), strangers=tuple(span.strangers))
        meta = replace(meta, shard=part)
        return replace(joined, meta=meta)

    def _read_span(self, span: _Span, grid: Grid, now: datetime) -> Recording:
        """All that there is of `grid`, and daily summaries of the time before."""
        cache = self._cache(span, grid)
        idle = span.shard is not None and not span.dialect.namespaces
        parts = [] if idle else self._read_parts(span, grid, now, cache)
        meta = Meta(span.cluster, grid.start, grid.end, grid.step)
        if not parts and span.shard is not None:
            return Recording(meta, no_usage(meta))
        if not parts:
            raise SourceError(
                f"{span.reader.connection.url}: no usage of any container from "
                f"{grid.start:%Y-%m-%d %H:%M} to {grid.end:%Y-%m-%d %H:%M} UTC; "
                "ask for another window"
            )
        for remark in span.remarks:
            _LOG.warning("%s", remark)
        summaries = self._summaries(span, grid, cache)
        return replace(join_recordings(parts, meta, span.room), days=summaries)

    def _summaries(self, span: _Span, grid: Grid, cache: Cache | None) -> pd.DataFrame:
        """What is known of the days before `grid`: from a look at the server, and the cache."""
        reader = span.reader
        if cache is None:
            look = reader.attempt("older peaks", lambda: read_long_look(reader, span.dialect, grid))
            return no_days() if look is None else look
        look = reader.attempt(
            "older peaks",
            lambda: read_long_look(reader, span.dialect, grid, known=cache.knows),
        )
        if look is not None and not reader.lost:
            cache.keep_look(look)
        cache.prune(min(grid.start, grid.end - RAW))
        for path in cache.untold():
            _LOG.warning(
                "the cache holds days of an earlier version in %s, which this run does not read; "
                "remove them, unless it reads another cluster into the same cache",
                path,
            )
        summaries = cache.summaries(grid.start)
        for path in cache.unsummed(grid.start):
            reader.lost.append(
                f"the summary of {path.stem} is damaged: no peak of that day holds a decrease; the "
                f"next run asks the server for it, or remove {path} to do without"
            )
        return join_summaries([*([] if look is None else [look]), summaries])

    def _cache(self, span: _Span, grid: Grid) -> Cache | None:
        """The cache of this source, asked in this way; None where none is wanted."""
        if self.settings.cache is None:
            return None
        cluster = (
            *self._fingerprint(span, grid.end),
            span.cluster,
            self.settings.tenant or "",
            selector("kube_pod_owner", span.asked.state),
            *([] if span.shard is None else [f"shard {span.shard}"]),
        )
        shape = (
            str(FORMAT),
            self.describe(),
            str(span.asked.cpu(grid.step)),
            str(span.asked.memory(grid.step)),
            *(f"{name}={value}" for name, value in sorted(self.settings.parameters.items())),
        )
        return Cache(self.settings.cache, (*cluster, *shape), cluster)

    def _fingerprint(self, span: _Span, moment: datetime) -> tuple[str, ...]:
        """What no other cluster shows: when its namespace kube-system was made; else the address.

        Two clusters may answer behind one forwarded port, one after the other.
        """
        matchers = [equals("namespace", "kube-system")]
        if span.dialect.cluster is not None:
            matchers.append(equals(self.settings.cluster_label, span.dialect.cluster))
        made = over("last_over_time", selector("kube_namespace_created", matchers), DAY)
        samples = span.reader.connection.instant(made, moment.timestamp())
        found = sorted({f"{sample.value:.0f}" for sample in samples})
        return tuple(f"kube-system of {value}" for value in found) or (self.describe(),)

    def _read_parts(
        self, span: _Span, grid: Grid, now: datetime, cache: Cache | None
    ) -> list[Recording]:
        """The window in recordings that follow one another, from the cache where it has them."""
        if cache is None:
            whole = span.read(grid)
            return [] if whole is None else [whole]
        days = list(closed_days(grid, now))
        room = span.room.part(len(days))
        loaded = ((low, cache.load(begin, room)) for begin, low, _ in days)
        known = {low: day for low, day in loaded if day is not None}
        for begin, low, _ in days:
            if low in known:
                cache.summarise(begin, known[low])
        covered = [(low, high) for _, low, high in days if low in known]
        for low, high in uncovered(grid, covered):
            part = span.read(Grid(grid.start + low * grid.step, grid.step, high - low))
            if part is None:
                continue
            known[low] = part
            if span.is_whole:
                within = [begin for begin, first, last in days if low <= first and last <= high]
                _keep(cache, part, within, now)
        return [known[low] for low in sorted(known)]


def _hopeless(findings: Sequence[Check]) -> bool:
    """Whether there is a problem that a read would end with as well."""
    return any(f.status == PROBLEM for f in findings)


def _keep(cache: Cache, part: Recording, days: Sequence[datetime], now: datetime) -> None:
    """Keep the whole `days` of a part, as far as they have arrived."""
    for begin in days:
        day = cut_recording(part, Window(begin + DAY, DAY))
        if not has_arrived(day, now):
            continue
        if not cache.store(begin, day):
            return  # a full disk stays full
        cache.summarise(begin, day)


@dataclass(frozen=True)
class _Found:
    """What is known of one stretch of time so far; `facts` and `events` grow step by step."""

    grid: Grid
    usage: Usage
    facts: fact.Facts
    events: list[Event] = field(default_factory=list)


_Steps = dict[str, Callable[[], object]]
"""What to read, by what is said to be missing where that fails."""


@dataclass(frozen=True)
class _Span:
    """Reads stretches of time that were not read before."""

    reader: Reader
    dialect: Dialect
    settings: PrometheusSettings
    cluster: str
    newest: datetime
    """When usage was last seen in the window."""
    room: Room = IN_MEMORY
    remarks: dict[str, None] = field(default_factory=dict)
    """What is worth saying and leaves the data whole."""
    shard: Shard | None = None
    whole: Dialect | None = None
    """The dialect of the whole cluster, where `dialect` is that of a shard."""
    strangers: list[Strangers] = field(default_factory=list)
    """The pods of a shard whose owners nobody told; whoever merges says whether they are many."""

    @property
    def asked(self) -> Dialect:
        """What tells one way of asking from another, also as namespaces come and go."""
        return self.whole or self.dialect

    @property
    def is_whole(self) -> bool:
        """Whether what was read so far may be kept: nothing of it was lost or left in doubt."""
        doubted = any(each.owned for each in self.strangers)
        return not (doubted or self.reader.lost or self.reader.connection.warnings)

    def of(self, shard: Shard, known: Collection[str]) -> _Span:
        """The same for those of the `known` namespaces that `shard` owns."""
        own = within(self.dialect, [name for name in known if shard.owns(name)])
        return replace(self, dialect=own, shard=shard, whole=self.dialect)

    def read(self, grid: Grid) -> Recording | None:
        """Everything about `grid`; None where no usage is left of that time."""
        dialect = self.dialect
        lanes = Lanes()
        cpu, memory = self._read_runs(grid, lanes)
        if not len(lanes):
            return None
        asof = min(grid.end, self.newest).timestamp()
        restarted = restarted_pods(lanes)
        facts = fact.Facts(self._read_owners(grid), asof, remade=set(restarted))
        origins = dict(_origins(lanes, facts.owners, self.cluster))
        usage = assemble(grid, cpu, memory, origins, room=self.room)
        found = _Found(grid, usage, facts)
        steps = (
            self._of_containers(found)
            | self._of_kills(found, restarted)
            | self._of_surroundings(found)
            | self._of_waiting(found)
        )
        for what, step in steps.items():
            self.reader.attempt(what, step)
        if not dialect.from_rules:
            usage = self._look_closer(grid, usage, facts)
        self._note_strangers(grid, facts.owners)
        self.remarks.update(dict.fromkeys(facts.exporters.notes()))
        return self._recording(replace(found, usage=usage))

    def _read_runs(self, grid: Grid, lanes: Lanes) -> tuple[list[Runs], list[Runs]]:
        """The runs of CPU and of memory, by queries where remote read is wanted and not offered."""
        try:
            return read_runs(self.reader, self.dialect, grid, lanes, self.settings)
        except NoRemoteReadError as error:
            self.remarks[f"{error}; usage is read by queries, as `prometheus.read: query` asks"] = (
                None
            )
            settings = replace(self.settings, read="query")
            return read_runs(self.reader, self.dialect, grid, lanes, settings)

    # The steps, in the order in which they are taken: each needs what those before it noted, and
    # what comes last is what a read that runs out of time does without.

    def _of_containers(self, found: _Found) -> _Steps:
        """What containers and pods declare."""
        reader, dialect, grid, facts = self.reader, self.dialect, found.grid, found.facts
        connection = reader.connection
        return {
            "the types of containers": lambda: fact.read_containers(
                connection, dialect, grid, facts
            ),
            "images, requests and limits": lambda: read_settings(
                reader, dialect, grid, facts, lives_of_pods(observed(found.usage, grid))
            ),
            "what pods ask of nodes": lambda: read_scheduling(connection, dialect, facts),
            "what pods declare as a whole": lambda: fact.read_pod_settings(
                connection, dialect, facts
            ),
        }

    def _of_kills(self, found: _Found, suspects: set[PodName]) -> _Steps:
        """Restarts, and which of them were kills; `suspects` show that they were restarted."""
        reader, dialect, grid, facts = self.reader, self.dialect, found.grid, found.facts
        usage, events = found.usage, found.events
        return {
            "restarts and OOM kills": lambda: events.extend(
                read_restarts(reader, dialect, grid, facts, suspects)
            ),
            "exit codes": lambda: events.extend(
                read_killed_by_signal(reader, dialect, grid, facts, usage, events)
            ),
        }

    def _of_surroundings(self, found: _Found) -> _Steps:
        """What exists, where it runs, and what rules hold there."""
        reader, dialect, grid, facts = self.reader, self.dialect, found.grid, found.facts
        connection, events = reader.connection, found.events
        return {
            "what still exists": lambda: self._read_living(facts),
            "replicas": lambda: fact.read_replicas(reader, dialect, grid, facts),
            "pods": lambda: read_pods(reader, dialect, grid, facts),
            "pressure of nodes": lambda: events.extend(
                read_node_pressure(reader, dialect, grid, facts, events)
            ),
            "evictions": lambda: events.extend(read_evictions(reader, dialect, grid, facts)),
            "quotas and limit ranges": lambda: read_rules(connection, dialect, facts),
            "labels": lambda: fact.read_labels(connection, dialect, grid, facts),
            "HPAs": lambda: fact.read_hpas(connection, dialect, grid, facts),
            "VPAs": lambda: fact.read_vpas(connection, dialect, grid, facts),
            "nodes": lambda: fact.read_nodes(connection, dialect, grid, facts),
            "taints of nodes": lambda: describe_nodes(connection, dialect, facts),
            "nodes that came and went": lambda: read_node_lives(reader, dialect, grid, facts),
            "disruption budgets": lambda: read_budgets(connection, dialect, facts),
        }

    def _of_waiting(self, found: _Found) -> _Steps:
        """When containers waited for what they were not given; recording rules do not tell."""
        reader, dialect, grid = self.reader, self.dialect, found.grid
        usage, events = found.usage, found.events
        if dialect.from_rules:
            return {}
        return {
            "throttling": lambda: events.extend(read_throttling(reader, dialect, grid, usage)),
            "pressure": lambda: events.extend(read_pressure(reader, dialect, grid)),
        }

    def _recording(self, found: _Found) -> Recording:
        """All that was `found`, in tables."""
        grid, usage, facts = found.grid, found.usage, found.facts
        specs, changes = build_specs(facts, usage, grid, self.cluster)
        meta = Meta(
            self.cluster,
            grid.start,
            grid.end,
            grid.step,
            nodes=tuple(facts.nodes),
            past_nodes=tuple(facts.past_nodes),
            quotas=tuple(facts.quotas),
            limit_ranges=tuple(facts.limit_ranges),
            budgets=tuple(facts.budgets),
        )
        pods = build_pods(facts, usage, grid)
        return Recording(meta, usage, specs, build_events(found.events, changes, facts), pods)

    def _read_owners(self, grid: Grid) -> Owners:
        """Who owned which pod; of a shard be it nobody, as long as some pod of the cluster has."""
        connection = self.reader.connection
        owners = fact.find_owners(connection, self.dialect, grid)
        return owners if owners.pods else fact.read_owners(connection, self.asked, grid)

    def _note_strangers(self, grid: Grid, owners: Owners) -> None:
        """Tell of the pods whose owners nobody told where they are many, or let the merge tell."""
        if not owners.unknown:
            return
        number, example = len(owners.unknown), min(owners.unknown)
        found = Strangers(grid.start, number, example, len(owners.pods))
        if self.whole is None:
            if found.many:
                self.reader.lost.append(str(found))
            return
        every = fact.find_owners(self.reader.connection, self.whole, grid) if found.many else None
        self.strangers.append(replace(found, owned=0 if every is None else len(every.pods)))

    def _look_closer(self, grid: Grid, usage: Usage, facts: fact.Facts) -> Usage:
        """`usage` with what only some containers are asked for."""
        reader, dialect = self.reader, self.dialect
        usage = (
            reader.attempt(
                "the CPU of short runs", lambda: correct_short_runs(reader, dialect, grid, usage)
            )
            or usage
        )
        return (
            reader.attempt(
                "resident memory", lambda: read_resident(reader, dialect, grid, usage, facts)
            )
            or usage
        )

    def _read_living(self, facts: fact.Facts) -> None:
        told = read_living(self.reader.connection, self.dialect, facts)
        if facts.types and not told:
            moment = datetime.fromtimestamp(facts.asof, UTC)
            self.reader.lost.append(
                f"kube-state-metrics tells nothing at {moment:%Y-%m-%d %H:%M} UTC, so that what "
                "still exists is not known; look at its scrape"
            )


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


def read_runs(
    reader: Reader, dialect: Dialect, grid: Grid, lanes: Lanes, settings: PrometheusSettings
) -> tuple[list[Runs], list[Runs]]:
    """The runs of CPU and of memory, whoever they belong to.

    Raises `NoRemoteReadError` where `settings` want it and the server does not offer it.
    """
    ask = (lambda text: text) if settings.read == "remote" and not dialect.from_rules else str
    points = most_points(dialect.max_samples, settings.max_points)
    pieces = plan(grid, dialect.namespaces, points)

    def convert(batch: Batch, piece: Piece) -> Runs:
        return cut(batch, lanes, grid, (piece.low, piece.high))

    cpu = Question("CPU", lambda more: ask(dialect.cpu(grid.step, more)), grid, pieces, convert)
    memory = Question(
        "memory", lambda more: ask(dialect.memory(grid.step, more)), grid, pieces, convert
    )
    reader.ask(cpu, memory)
    return cpu.answers, memory.answers


def _origins(lanes: Lanes, owners: Owners, cluster: str) -> Iterator[tuple[int, Origin]]:
    """Whose usage each lane is."""
    for number, text in enumerate(lanes):
        labels = parse_labels(text)
        namespace, pod, container = container_name(labels)
        if not (namespace and pod and container):
            continue
        kind, workload = owners.workload((namespace, pod))
        ref = ContainerRef(cluster, namespace, kind, workload, container)
        scrape = "\0".join(labels.get(name, "") for name in SCRAPE_LABELS)
        cgroup = labels.get("id") or labels.get("name", "")
        yield number, Origin(ref, pod, scrape, cgroup, labels.get("cpu", ""))


__all__ = ["DEFAULT_STEP", "PrometheusSource", "fit_grid"]
