"""What containers declare over time (images, requests, limits), and when their pods started."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from analyzer.sources.prometheus.exporter import exporter
from analyzer.sources.prometheus.facts import (
    CONTAINER_METRICS,
    FIELDS,
    IDENTITY,
    POINTS,
    RESOURCES,
    Facts,
    Timeline,
    answers,
    batches,
    even_grids,
    moments,
    question_of_rows,
)
from analyzer.sources.prometheus.owners import ContainerName, PodName, container_name
from analyzer.sources.prometheus.plan import plan
from analyzer.sources.prometheus.probe import Dialect
from analyzer.sources.prometheus.promql import (
    Matchers,
    any_of,
    largest_by,
    left_open,
    one_of,
    over,
)
from analyzer.sources.prometheus.ragged import Grid
from analyzer.sources.prometheus.reader import Reader
from analyzer.sources.prometheus.visits import Life, Visits

_START = "kube_pod_start_time"
_WHICH = ("requests", "limits")
_SETTINGS = {
    f"kube_pod_{kind}container_resource_{which}": which
    for which in _WHICH
    for kind in ("", "init_")
}
_OLD_SETTINGS = {
    f"kube_pod_container_resource_{which}_{unit}": (which, resource)
    for which in _WHICH
    for resource, unit in (("cpu", "cpu_cores"), ("memory", "memory_bytes"))
}
_SERIES_EACH = 6
"""Series of a container: its image, two requests, two limits, and the start of its pod."""
_MOST_NAMED = 0.5
"""A larger share of the pods is not asked for by name."""
_LABELS = ("__name__", *IDENTITY, "job", "resource", "image", "image_spec")


@dataclass(frozen=True)
class _Look:
    """At what to look: these pods, or all where none are named, at the steps of a grid."""

    grid: Grid
    pods: Sequence[str] = ()
    lasting: bool = False
    """Whether what was told last within each step counts, and not only what stands at its end."""


def read_settings(
    reader: Reader, dialect: Dialect, grid: Grid, facts: Facts, lives: Mapping[PodName, Life]
) -> None:
    """Images, requests and limits of every container over time, and the starts of pods.

    A pod keeps these for life, nearly always. So those whose `lives` are known are looked at at
    the first and the last end of a day that they saw; all others, and those made anew under their
    name, at every one; over the whole day those that were never met that way; and step by step
    the few containers that show more than one value under the same pod name.
    """
    parts = even_grids(grid.start, grid.end)
    known = {name[:2] for name in facts.types} | facts.owners.pods.keys()
    steady = {pod: lives[pod] for pod in (known & lives.keys()) - facts.remade}
    _visit(reader, dialect, grid, facts, steady)
    for names in batches(known - steady.keys()):
        for part in parts:
            _read(reader, dialect, facts, _Look(part, names))
    unmet = {name[:2] for name in facts.types} - {name[:2] for name in facts.images}
    for names in batches(unmet):
        for part in parts:
            _read(reader, dialect, facts, _Look(part, names, lasting=True))
    for names in batches(_changing(facts)):
        _read(reader, dialect, facts, _Look(grid, names))


def _visit(
    reader: Reader, dialect: Dialect, grid: Grid, facts: Facts, lives: Mapping[PodName, Life]
) -> None:
    """Look at each pod twice, each end of a day being asked about in requests of its own.

    Over several days in one the server would decode every sample that lies between them.
    """
    ends = moments(grid)
    visits = Visits([end.time(0) for end in ends], lives)
    for index, pods in visits:
        # Where most are wanted all are asked for, which needs no names.
        many = len(pods) > _MOST_NAMED * visits.alive(index)
        for names in [()] if many else batches(pods):
            visits.met(_read(reader, dialect, facts, _Look(ends[index], names)))


def _changing(facts: Facts) -> set[PodName]:
    """Pods of which some container has shown several images or settings."""
    several = {name[:2] for name, line in facts.images.items() if len({v for _, v in line}) > 1}
    for name, columns in facts.settings.items():
        if any(len({value for _, value in line}) > 1 for line in columns.values()):
            several.add(name[:2])
    return several


def _read(reader: Reader, dialect: Dialect, facts: Facts, look: _Look) -> set[PodName]:
    """Ask for everything at once and note it; returns the pods of which something was told."""
    if not look.pods:
        return _ask(reader, dialect, facts, look, ())
    told = set()
    for label in sorted(facts.owners.pod_labels):
        told |= _ask(reader, dialect, facts, look, (one_of(label, look.pods),))
    return told


def _ask(
    reader: Reader, dialect: Dialect, facts: Facts, look: _Look, only: Matchers
) -> set[PodName]:
    old = _OLD_SETTINGS if dialect.old_state else {}
    starts = () if look.lasting else (_START,)
    metrics = (*CONTAINER_METRICS, *_SETTINGS, *old, *starts)
    # What is neither request nor limit has no resource.
    wanted = (*dialect.state, one_of("resource", ("", *RESOURCES)), *only)

    def expression(shard: Matchers) -> str:
        series = any_of(metrics, (*wanted, *shard))
        if look.lasting:
            series = over("last_over_time", series, left_open(look.grid.step))
        return largest_by(_LABELS, series)

    asked = {"": len(look.pods)} if look.pods else dialect.namespaces
    pieces = plan(look.grid, {name: _SERIES_EACH * n for name, n in asked.items()}, POINTS)
    question = question_of_rows("settings", look.grid, expression, pieces)
    return _note(facts, answers(reader, question))


def _note(facts: Facts, rows: Iterable[tuple[dict[str, str], Timeline]]) -> set[PodName]:
    """Put what is told into the facts; of requests and limits the word of the one believed."""
    told: dict[tuple[ContainerName, str], dict[str, Timeline]] = {}
    met = set()
    for labels, line in rows:
        name, metric = container_name(labels), labels["__name__"]
        met.add(name[:2])
        if metric == _START:
            started = max((value for _, value in line), default=0.0)
            facts.started[name[:2]] = max(started, facts.started.get(name[:2], 0.0))
        elif metric in CONTAINER_METRICS:
            image = labels.get("image_spec") or labels.get("image") or ""
            facts.note(facts.images, name, [(time, image) for time, _ in line])
        else:
            by_exporter = told.setdefault((name, _column(metric, labels)), {})
            who = exporter(labels)
            by_exporter[who] = (*by_exporter.get(who, ()), *line)
    for (name, column), lines in told.items():
        columns = facts.settings.setdefault(name, {})
        facts.note(columns, column, facts.exporters.merge((name, column), lines).items())
    return met


def _column(metric: str, labels: Mapping[str, str]) -> str:
    """The column of the specs table that a series of requests or limits tells."""
    if metric in _OLD_SETTINGS:
        return FIELDS[_OLD_SETTINGS[metric]]
    return FIELDS[_SETTINGS[metric], labels["resource"]]


__all__ = ["read_settings"]
