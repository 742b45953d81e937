"""What happened to containers: restarts, OOM kills, evictions, pressure, image changes.

Looking at every series closely would cost the server more than the usage itself, so each kind is
looked for where it can have happened only: restarts in pods that show a second cgroup or a raised
counter. Pressure nearly every container knows; it is looked at hour by hour.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd

from analyzer.sources.prometheus.answer import parse_labels
from analyzer.sources.prometheus.facts import (
    Facts,
    Rows,
    even_grids,
    glimpses,
    question_of_rows,
)
from analyzer.sources.prometheus.owners import ContainerName, PodName, container_name, own
from analyzer.sources.prometheus.plan import MOST_POINTS, plan
from analyzer.sources.prometheus.probe import Dialect
from analyzer.sources.prometheus.promql import (
    Matchers,
    any_of,
    equals,
    left_open,
    narrowed,
    one_of,
    over,
    selector,
)
from analyzer.sources.prometheus.ragged import Grid
from analyzer.sources.prometheus.raw import Named, raw_by_container, raw_series
from analyzer.sources.prometheus.reader import Question, Reader
from analyzer.tables import NAMES, validate_events
from analyzer.usage import Usage

_LATE = 300.0
_SOON = 120.0
"""Seconds by which two exporters may tell of one event after each other."""
_STATE_LATE = 360.0
"""Seconds after which kube-state-metrics tells of a restart at the latest."""
# Native sidecars are init containers to Kubernetes, and have families of their own.
_RESTARTS, _LAST_REASON, _REASON = (
    tuple(f"kube_pod_{kind}_status_{what}" for kind in ("container", "init_container"))
    for what in ("restarts_total", "last_terminated_reason", "terminated_reason")
)
_EXIT_CODE = tuple(
    f"kube_pod_{kind}_status_last_terminated_exitcode" for kind in ("container", "init_container")
)
_KILLED = 137
"""128 and the number of the signal that cannot be caught."""
_NEAR = 0.9
_BEFORE = 2
"""Steps before the one of a restart in which usage speaks of it."""
_STATUS_REASON = "kube_pod_status_reason"
_CONDITION = "kube_node_status_condition"
_STRAINED = timedelta(minutes=10)
"""A node is called short of memory some seconds after it was, and for minutes longer."""
_OOM_COUNTER = "container_oom_events_total"
_OOM = one_of("reason", ["OOMKilled"])
PRESSURE_SHARE = 0.05
"""An hour counts as one of pressure when at least this share of it was lost to waiting."""
_HOUR = timedelta(hours=1)
_PRESSURE = {
    # Some task waited for a CPU; all tasks at once waited for memory to be reclaimed or read back.
    "container_pressure_cpu_waiting_seconds_total": "cpu_pressure",
    "container_pressure_memory_stalled_seconds_total": "memory_pressure",
}
_COLUMNS = (*NAMES, "pod", "timestamp", "kind", "value")

Series = list[tuple[float, float]]
Event = tuple[ContainerName, float, str, float]
"""Container, Unix time, kind, value."""


def read_restarts(
    reader: Reader, dialect: Dialect, grid: Grid, facts: Facts, suspects: set[PodName]
) -> Iterator[Event]:
    """Restarts by the counter of kube-state-metrics, and OOM kills.

    The counter alone tells when; the reason of the last termination, at that very moment, tells
    why. The reason stays up for as long as the pod lives, so it is never counted by itself, but
    for pods that are not restarted at all. The kernel's own counter tells of kills that Kubernetes
    calls an error (exit code 137) and of those that a container survived, because a child of its
    first process died; but it ends with its cgroup, so that most kills never show in it.
    """
    suspects |= _raised(reader, grid, any_of(_RESTARTS, dialect.state))
    if not dialect.from_rules:
        suspects |= _raised(reader, grid, selector(_OOM_COUNTER, dialect.usage))
    finished = _first_seen(reader, dialect, grid, _REASON)
    if not suspects and not finished:
        return
    pods = Named(suspects, facts.owners.pod_labels)
    counts = raw_by_container(reader, grid, any_of(_RESTARTS, dialect.state), pods, thin=True)
    reasons = raw_by_container(reader, grid, any_of(_LAST_REASON, (*dialect.state, _OOM)), pods)
    kernel = {} if dialect.from_rules else _kernel_kills(reader, dialect, grid, suspects)
    for name in sorted({*counts, *kernel}):
        killed = {time for time, value in reasons.get(name, ()) if value == 1}
        survived = kernel.get(name, [])
        for time in _rises(counts.get(name, [])):
            yield name, time, "restart", np.nan
            seen = [kill for kill in survived if -_STATE_LATE <= kill - time <= _SOON]
            survived = [kill for kill in survived if kill not in seen]
            if seen or any(0 <= other - time <= _SOON for other in killed):
                yield name, time, "oom_kill", limit_at(facts, name, time)
        for time in survived if name not in finished else ():
            yield name, time, "oom_kill", limit_at(facts, name, time)
    for name, time in sorted(finished.items()):
        yield name, time, "oom_kill", limit_at(facts, name, time)


def read_evictions(reader: Reader, dialect: Dialect, grid: Grid, facts: Facts) -> Iterator[Event]:
    """Ends of pods by the need of their node, for each container that they had."""
    evicted = selector(_STATUS_REASON, (*dialect.state, equals("reason", "Evicted")))
    pods: set[PodName] = set()
    for part in even_grids(grid.start, grid.end):
        found = glimpses(reader, part, "evictions", lambda more: f"{narrowed(evicted, more)} == 1")
        pods.update(container_name(labels)[:2] for labels, _ in found)
    told = raw_by_container(reader, grid, evicted, Named(pods, facts.owners.pod_labels), thin=True)
    for name, samples in sorted(told.items()):
        times = [time for time, value in samples if value == 1]
        for container in facts.types if times and times[0] > grid.start.timestamp() else ():
            if container[:2] == name[:2]:
                yield container, times[0], "eviction", np.nan


def read_killed_by_signal(
    reader: Reader,
    dialect: Dialect,
    grid: Grid,
    facts: Facts,
    usage: Usage,
    events: Sequence[Event],
) -> list[Event]:
    """OOM kills that Kubernetes calls an error, by exit code 137 of a container near its limit.

    A probe that fails ends with the same code, so usage right before has to speak for the limit.
    """
    killed = {name for name, _, kind, _ in events if kind == "oom_kill"}
    restarts = [(n, t) for n, t, kind, _ in events if kind == "restart" and n not in killed]
    near = [(n, t) for n, t in restarts if _was_near(usage, grid, n, t, limit_at(facts, n, t))]
    if not near:
        return []
    pods = Named({name[:2] for name, _ in near}, facts.owners.pod_labels)
    codes = raw_by_container(reader, grid, any_of(_EXIT_CODE, dialect.state), pods)
    return [
        (name, time, "oom_kill", limit_at(facts, name, time))
        for name, time in near
        if any(0 <= t - time <= _SOON and code == _KILLED for t, code in codes.get(name, ()))
    ]


def _was_near(usage: Usage, grid: Grid, name: ContainerName, time: float, limit: float) -> bool:
    """Whether a container came near `limit` in the minutes before `time`."""
    step = int((time - grid.start.timestamp()) // grid.step.total_seconds())
    for series in usage.series_of(name[0], name[1], name[2]):
        low, high = int(usage.offset[series]), int(usage.offset[series + 1])
        last = low + step - int(usage.first[series])
        before = usage.memory_bytes[max(low, last - _BEFORE) : max(low, min(high, last + 1))]
        if (before >= _NEAR * limit).any():
            return True
    return False


def read_node_pressure(
    reader: Reader, dialect: Dialect, grid: Grid, facts: Facts, events: Sequence[Event]
) -> list[Event]:
    """For each OOM kill whose node was short of memory then, an event beside it."""
    kills = [(name, time) for name, time, kind, _ in events if kind == "oom_kill"]
    if not kills:
        return []
    state = dialect.of_cluster
    strained = (*state, equals("condition", "MemoryPressure"), equals("status", "true"))
    series = over("max_over_time", selector(_CONDITION, strained), left_open(grid.step))
    question = question_of_rows(
        "pressure of nodes", grid, lambda _: f"{series} == 1", plan(grid, {"": 10}, 200_000)
    )
    reader.ask(question)
    times: dict[str, list[float]] = {}
    for rows in question.answers:
        for labels, samples in rows:
            times.setdefault(own(labels, "node"), []).extend(time for time, _ in samples)
    late = (grid.step + _STRAINED).total_seconds()
    return [
        (name, time, "node_pressure", np.nan)
        for name, time in kills
        if any(abs(t - time) <= late for t in times.get(facts.nodes_of.get(name[:2], ""), ()))
    ]


def _kernel_kills(
    reader: Reader, dialect: Dialect, grid: Grid, pods: set[PodName]
) -> dict[ContainerName, list[float]]:
    """When the kernel's counter of a container rose; a cgroup's own counts from zero."""
    found: dict[ContainerName, list[float]] = {}
    series = raw_series(reader, grid, selector(_OOM_COUNTER, dialect.usage), Named(pods))
    for labels, samples in series.values():
        points = sorted(samples.items())
        if points[0][0] > grid.start.timestamp() + _LATE:
            points = [(points[0][0] - 1, 0.0), *points]  # born within the window
        kills = found.setdefault(container_name(labels), [])
        # Two scrapes see one kill a little apart.
        kills += [t for t in _rises(points) if not any(abs(t - k) <= _SOON for k in kills)]
    return {name: sorted(kills) for name, kills in found.items() if kills}


def read_pressure(reader: Reader, dialect: Dialect, grid: Grid) -> Iterator[Event]:
    """Hours under pressure (PSI), with the share of the hour that was lost to waiting.

    Nothing where the kubelet does not tell, before Kubernetes 1.34 or with cgroup v1.
    """
    start, end = grid.start.timestamp(), grid.end.timestamp()
    series = any_of(_PRESSURE, dialect.usage)
    # Some servers heed no selector here and tell every name there is.
    names = reader.connection.label_values("__name__", series, start, end)
    for metric in sorted(_PRESSURE.keys() & set(names)):
        questions = [
            _pressure(dialect, metric, part) for part in even_grids(grid.start, grid.end, _HOUR)
        ]
        for name, time, value in largest_of(reader, questions):
            yield name, time, _PRESSURE[metric], min(1.0, value)


def _pressure(dialect: Dialect, metric: str, part: Grid) -> Question[Rows]:
    def expression(more: Matchers) -> str:
        lost = over("rate", selector(metric, (*dialect.usage, *more)), left_open(part.step))
        return f"{lost} >= {PRESSURE_SHARE}"

    return question_of_rows(
        "pressure", part, expression, plan(part, dialect.namespaces, MOST_POINTS)
    )


def largest_of(
    reader: Reader, questions: Iterable[Question[Rows]]
) -> list[tuple[ContainerName, float, float]]:
    """Container, time and value of every point; the largest where several series say one."""
    largest: dict[tuple[ContainerName, float], float] = {}
    for question in questions:
        reader.ask(question)
        for rows in question.answers:
            for labels, samples in rows:
                for time, value in samples:
                    key = container_name(labels), time
                    largest[key] = max(largest.get(key, 0.0), value)
    return [(name, time, value) for (name, time), value in sorted(largest.items())]


def limit_at(facts: Facts, name: ContainerName, time: float) -> float:
    """The memory limit that held at `time`, NaN where none is known."""
    timeline = facts.settings.get(name, {}).get("memory_limit_bytes", [])
    later = [value for moment, value in timeline if moment >= time]
    return later[0] if later else (timeline[-1][1] if timeline else np.nan)


def build_events(events: Iterable[Event], changes: Iterable[Event], facts: Facts) -> pd.DataFrame:
    """The events table, each event with the workload that its pod belongs to."""
    rows: list[dict[str, Any]] = []
    for (namespace, pod, container), time, kind, value in (*events, *changes):
        workload_kind, workload = facts.owners.workload((namespace, pod))
        names = (namespace, workload_kind, workload, container, pod)
        moment = datetime.fromtimestamp(round(time), UTC)
        rows.append(dict(zip(_COLUMNS, (*names, moment, kind, value), strict=True)))
    return validate_events(pd.DataFrame(rows, columns=list(_COLUMNS)))


def _rises(samples: Series) -> Iterator[float]:
    """When a counter rose; it starts anew at zero with each pod.

    Two replicas scrape a little apart: falling back and rising again to the same count within
    five minutes is one of them being late, not a restart.
    """
    before = peak = seen = None
    for time, value in sorted(samples):
        late = value == peak and seen is not None and time - seen <= _LATE
        if before is not None and value > before and not late:
            yield time
        if peak is None or value != before or late:
            peak, seen = (value, time) if peak is None or value >= peak else (peak, seen)
        before = value


def _raised(reader: Reader, grid: Grid, series: str) -> set[PodName]:
    """Pods of which a counter changes from one day to the next, or from before the window.

    Many pods carry a restart of long ago; these are not asked about any further.
    """
    values: dict[ContainerName, set[float]] = {}
    for sample in reader.connection.instant(f"{series} > 0", grid.start.timestamp()):
        values.setdefault(container_name(sample.labels), set()).add(sample.value)
    before = set(values)
    for part in even_grids(grid.start, grid.end):
        found = glimpses(reader, part, "restarts", lambda more: f"{narrowed(series, more)} > 0")
        for labels, samples in found:
            values.setdefault(container_name(labels), set()).update(v for _, v in samples)
    # What was not there at the start of the window began at zero.
    return {name[:2] for name, known in values.items() if len(known) > 1 or name not in before}


def _first_seen(
    reader: Reader, dialect: Dialect, grid: Grid, metrics: Sequence[str]
) -> dict[ContainerName, float]:
    """When containers that are never restarted (Jobs) were first seen killed for memory."""
    question = question_of_rows(
        "OOM kills",
        grid,
        lambda more: f"{any_of(metrics, (*dialect.state, _OOM, *more))} == 1",
        plan(grid, {"": 10}, 200_000),
    )
    reader.ask(question)
    first: dict[ContainerName, float] = {}
    for rows in question.answers:
        for labels, samples in rows:
            name = container_name(labels)
            first[name] = min([first.get(name, np.inf), *(time for time, _ in samples)])
    return first


def restarted_pods(lanes: Iterable[bytes]) -> set[PodName]:
    """Pods of which some container shows more than one cgroup, told by ``id`` or ``name``."""
    cgroups: dict[ContainerName, set[str]] = {}
    for text in lanes:
        labels = parse_labels(text)
        cgroup = labels.get("id") or labels.get("name", "")
        cgroups.setdefault(container_name(labels), set()).add(cgroup)
    return {name[:2] for name, found in cgroups.items() if len(found) > 1}
