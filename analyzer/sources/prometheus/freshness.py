"""Whether usage still arrives: an outage of the source must not look like an idle cluster."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from analyzer.errors import SourceError
from analyzer.sources.prometheus.connection import Connection
from analyzer.sources.prometheus.owners import PodName, container_name
from analyzer.sources.prometheus.probe import Dialect, find_newest
from analyzer.sources.prometheus.promql import Matcher, duration, equals, selector

_OLDEST = timedelta(hours=2)
"""A newest sample older than this, before the end that was asked for, is an outage."""
_BEFORE = (timedelta(hours=1), timedelta(hours=6), timedelta(days=1), timedelta(days=3))
"""How long ago a pod may have been seen last to be missed now."""
_AHEAD = (timedelta(minutes=10), timedelta(hours=1), timedelta(days=1), timedelta(days=30))
_MOST_NAMED = 3
_POD = "namespace, pod, exported_namespace, exported_pod"

Place = tuple[str, str]
"""The label that names a place (node, instance or job), and its value."""


@dataclass(frozen=True)
class Freshness:
    """When usage was last seen, and what fell silent before that, as sentences."""

    newest: datetime
    warnings: tuple[str, ...] = ()


def check_freshness(connection: Connection, dialect: Dialect, end: datetime) -> Freshness:
    """How fresh usage is at `end`.

    Raises `SourceError` where the newest sample is hours older, or most pods that run have lost
    their usage: then the source is out, and what it shows of the cluster is wrong.
    """
    series = selector(dialect.cpu_series, dialect.usage)
    newest = find_newest(connection, series, end)
    if newest is None:
        return Freshness(end)  # the read itself will say that there is nothing
    age = end - newest
    if age > max(_OLDEST, 4 * dialect.interval):
        raise SourceError(
            f"{connection.url}: the newest usage is of {newest:%Y-%m-%d %H:%M} UTC, "
            f"{_told(age)} before the end of the window; look at the scrape of cAdvisor, or name "
            f"an end up to which there is data (--until {newest:%Y-%m-%dT%H:%MZ})"
        )
    alive = _pods(connection, f"count by ({_POD}) ({series})", newest)
    missing = _missing(connection, dialect, newest, alive)
    if len(missing) > len(alive):
        raise SourceError(
            f"{connection.url}: at {newest:%Y-%m-%d %H:%M} UTC {len(missing)} running pods have "
            f"lost their usage and {len(alive)} have not; look at the scrape of cAdvisor, the "
            "cluster cannot be judged by the rest"
        )
    return Freshness(newest, tuple(_silent(connection, dialect, newest, missing)))


def check_future(connection: Connection, dialect: Dialect, now: datetime) -> Iterator[str]:
    """A sentence where samples carry times that are still to come."""
    series = f"count({selector(dialect.cpu_series, dialect.usage)})"
    ahead = [a for a in _AHEAD if connection.instant(series, (now + a).timestamp())]
    if ahead:
        yield (
            f"the server holds usage of up to {_told(ahead[-1])} after its own clock "
            f"({now:%Y-%m-%d %H:%M} UTC); a clock is off, synchronise the server's and the nodes'"
        )


def _pods(connection: Connection, query: str, at: datetime) -> set[PodName]:
    """The pods that a query tells of, on any of several servers."""
    samples = connection.instant(query, at.timestamp())
    return {container_name(sample.labels)[:2] for sample in samples}


def _missing(
    connection: Connection, dialect: Dialect, at: datetime, alive: set[PodName]
) -> dict[PodName, dict[str, str]]:
    """The pods that run, had usage in the last days and have none now, with the labels it had."""
    series = selector(dialect.cpu_series, dialect.usage)
    phase = selector("kube_pod_status_phase", (*dialect.state, equals("phase", "Running")))
    running = _pods(connection, f"{phase} == 1", at) - alive
    found: dict[PodName, dict[str, str]] = {}
    for before in _BEFORE if running else ():
        query = (
            f"count by ({_POD}, node, instance, job) "
            f"({series} offset {duration(before)} unless on (namespace, pod) {series})"
        )
        for sample in connection.instant(query, at.timestamp()):
            pod = container_name(sample.labels)[:2]
            if pod in running:
                found.setdefault(pod, sample.labels)
    return found


def _silent(
    connection: Connection, dialect: Dialect, at: datetime, missing: dict[PodName, dict[str, str]]
) -> Iterator[str]:
    """A sentence for each job or node of which nothing is seen any more."""
    series = selector(dialect.cpu_series, dialect.usage)
    if not missing:
        return
    heard: set[Place] = set()
    for sample in connection.instant(f"count by (node, instance, job) ({series})", at.timestamp()):
        heard.update(sample.labels.items())
    told: set[PodName] = set()
    for label in ("job", "node", "instance"):
        places: dict[str, set[PodName]] = {}
        for pod, labels in missing.items():
            if labels.get(label) and (label, labels[label]) not in heard and pod not in told:
                places.setdefault(labels[label], set()).add(pod)
        yield from _sentences(connection, dialect, at, label, places)
        told.update(*places.values())


def _sentences(
    connection: Connection,
    dialect: Dialect,
    at: datetime,
    label: str,
    places: dict[str, set[PodName]],
) -> Iterator[str]:
    for place in sorted(places)[:_MOST_NAMED]:
        only = (*dialect.usage, Matcher(label, "=", place))
        newest = find_newest(connection, selector(dialect.cpu_series, only), at)
        since = f"since {newest:%Y-%m-%d %H:%M} UTC" if newest else "at the end"
        yield (
            f"the {label} {place} has told no usage {since}, though {len(places[place])} of its "
            "pods still run; look at its scrape"
        )
    if len(places) > _MOST_NAMED:
        yield f"{len(places) - _MOST_NAMED} more of label {label} fell silent like these"


def _told(age: timedelta) -> str:
    hours = age / timedelta(hours=1)
    if hours < 1:
        return f"{hours * 60:.0f} minutes"
    return f"{hours:.0f} hours" if hours < 48 else f"{hours / 24:.0f} days"


__all__ = ["Freshness", "check_freshness", "check_future"]
