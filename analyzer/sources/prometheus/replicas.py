"""Several servers that scrape the same cluster, asked as if they were one.

The two halves of an HA pair miss different scrapes. Named together, both are asked everything, and
each series says which server it is from, as it would behind one address that keeps a replica label;
so they are merged where such series are: the larger value counts, and each fills the gaps of the
other.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Self, TypeVar

from analyzer.errors import SourceError
from analyzer.sources.prometheus.address import split_urls
from analyzer.sources.prometheus.answer import RawSeries, Sample
from analyzer.sources.prometheus.connection import Connection
from analyzer.sources.prometheus.decode import Batch
from analyzer.sources.prometheus.failure import NoRemoteReadError, TimedOutError, TooBigError
from analyzer.sources.prometheus.promql import Over
from analyzer.sources.prometheus.server import Server
from analyzer.sources.prometheus.settings import PrometheusSettings

T = TypeVar("T")
_REPLICA = "__replica__"
"""The label that says which of several servers a series is from, as Thanos' users name it."""
SCRAPE_LABELS = (
    "job",
    "metrics_path",
    "service",
    "endpoint",
    "prometheus",
    "prometheus_replica",
    "replica",
    _REPLICA,
    "monitor",
)
"""Labels that tell who scraped a series, not what it speaks of."""


def connect(text: str, settings: PrometheusSettings) -> Connection:
    """Open a connection to one server, or to all that `text` names; nothing is sent yet."""
    servers = [Server(url, settings) for url in split_urls(text)]
    return servers[0] if len(servers) == 1 else Replicas(servers)


class Replicas:
    """A `Connection` to `servers`.

    A server that fails where another answers is left out from then on, and a warning says so.
    Where none answers the first one's error is raised.
    """

    def __init__(self, servers: Sequence[Server]) -> None:
        self.url = ",".join(server.url for server in servers)
        self.settings = servers[0].settings
        self._servers = tuple(servers)
        self._failed: dict[Server, SourceError] = {}
        self._lock = threading.Lock()

    @property
    def warnings(self) -> dict[str, None]:
        """The warnings of all, and which of them failed."""
        failed = [
            f"{server.url} was left out as it failed, so that what the others missed stays open: "
            + str(error).removeprefix(server.url).lstrip(": ")
            for server, error in self._failed.items()
        ]
        told = [warning for server in self._servers for warning in server.warnings]
        return dict.fromkeys([*failed, *told])

    @property
    def statistics(self) -> dict[str, int]:
        """Requests and bytes of all."""
        total: Counter[str] = Counter()
        for server in self._servers:
            total.update(server.statistics)
        return dict(total)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        for server in self._servers:
            server.__exit__(*error)

    def start_clock(self) -> None:
        """Let the deadline for the whole read begin now."""
        for server in self._servers:
            server.start_clock()

    def range(
        self,
        query: str | Over,
        times: tuple[float, float, float],
        convert: Callable[[Batch], T],
    ) -> list[T]:
        """The series of all, each with a label that tells whose it is."""

        def ask(server: Server) -> list[T]:
            mark = b'{"%s":"%d"' % (_REPLICA.encode(), self._servers.index(server))
            return server.range(query, times, lambda batch: convert(_marked(batch, mark)))

        return self._all(ask)

    def instant(self, query: str, at: float) -> list[Sample]:
        """The instant vectors of all, one after the other."""
        return self._all(lambda server: server.instant(query, at))

    def now(self) -> float:
        """The clock of the first that answers."""
        return self._all(lambda server: [server.now()])[0]

    def raw(self, query: str, at: float) -> list[RawSeries]:
        """The raw samples of all, one after the other."""
        return self._all(lambda server: server.raw(query, at))

    def series(self, selectors: Sequence[str], start: float, end: float) -> list[dict[str, str]]:
        """The label sets of all, duplicates included."""
        return self._all(lambda server: server.series(selectors, start, end))

    def label_values(self, label: str, select: str, start: float, end: float) -> list[str]:
        """The values that any of them knows, each once."""
        found = self._all(lambda server: server.label_values(label, select, start, end))
        return list(dict.fromkeys(found))

    def status(self, name: str) -> dict[str, Any]:
        """What the first tells that tells anything."""
        found = self._all(lambda server: [server.status(name)])
        return next(filter(None, found), {})

    def _all(self, ask: Callable[[Server], list[T]]) -> list[T]:
        """What all that have not failed answer, in their order."""
        answers: list[list[T]] = []
        failed: dict[Server, SourceError] = {}
        for server in self._servers:
            if server in self._failed:
                continue
            try:
                answers.append(ask(server))
            except SourceError as error:
                if isinstance(error, TooBigError) and not isinstance(error, TimedOutError):
                    raise  # in smaller pieces all may answer
                if isinstance(error, NoRemoteReadError):
                    raise  # by queries all may answer
                failed[server] = error
        if not answers:
            raise next(iter(failed.values()))
        with self._lock:
            self._failed.update(failed)
        return [item for answer in answers for item in answer]


def _marked(batch: Batch, mark: bytes) -> Batch:
    """`batch` with one more label, written as JSON without its closing brace."""
    labels = [mark + (b"}" if text == b"{}" else b"," + text[1:]) for text in batch.labels]
    return replace(batch, labels=labels)
