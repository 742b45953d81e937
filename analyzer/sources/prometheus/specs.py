"""From facts to the specs table: one row per container and period of equal settings."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import orjson
import pandas as pd

from analyzer.kinds import POD, runs_now_and_then
from analyzer.sources.prometheus.events import Event
from analyzer.sources.prometheus.facts import Facts
from analyzer.sources.prometheus.owners import ContainerName
from analyzer.sources.prometheus.ragged import Grid
from analyzer.tables import NAMES, validate_specs
from analyzer.usage import Usage
from analyzer.workload import ContainerRef

_COLUMNS = ("cpu_request_cores", "cpu_limit_cores", "memory_request_bytes", "memory_limit_bytes")
Setting = tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class Stretch:
    """A container of one pod, unchanged from `first` to `last` (Unix seconds)."""

    first: float
    last: float
    pod: str
    kind: str
    image: str | None
    setting: Setting
    newest: str = ""

    @property
    def described(self) -> bool:
        """Whether kube-state-metrics said anything of it."""
        return self.image is not None or any(value is not None for value in self.setting)

    @property
    def same(self) -> tuple[str, str | None, Setting]:
        """What must be equal for two stretches to be one period."""
        return self.kind, self.image, self.setting


def build_specs(
    facts: Facts, usage: Usage, grid: Grid, cluster: str
) -> tuple[pd.DataFrame, list[Event]]:
    """The specs table of every container that was known or observed, and their image changes."""
    seen = observed(usage, grid)
    stretches: dict[ContainerRef, list[Stretch]] = {}
    for name in sorted({*facts.types, *facts.settings, *seen}):
        kind, workload = facts.owners.workload(name[:2])
        ref = ContainerRef(cluster, name[0], kind, workload, name[2])
        stretches.setdefault(ref, []).extend(_stretches(facts, name, seen.get(name), grid))
    rows: list[dict[str, Any]] = []
    changes: list[Event] = []
    for ref in sorted(stretches):
        periods = _periods(stretches[ref])
        replicas = _replicas(facts, ref, stretches[ref])
        rows += [_row(facts, ref, period, replicas) for period in periods]
        changes += _image_changes(ref, periods)
    return validate_specs(pd.DataFrame(rows, columns=[*NAMES, *_ROW])), changes


_ROW = (
    "container_type",
    "replicas",
    *_COLUMNS,
    "image",
    "labels",
    "annotations",
    "hpa",
    "vpa",
    "first_seen",
    "last_seen",
    "exit_reason",
    "suspended",
    "deadline_seconds",
    *(f"pod_{column}" for column in _COLUMNS),
)


def observed(usage: Usage, grid: Grid) -> dict[ContainerName, tuple[float, float]]:
    """When each container of each pod was first and last observed (Unix seconds)."""
    found = {}
    for series, pod in enumerate(usage.pods):
        ref = usage.containers[usage.container[series]]
        first = int(usage.first[series])
        last = first + int(usage.offset[series + 1] - usage.offset[series]) - 1
        found[ref.namespace, pod, ref.container] = grid.time(first), grid.time(last)
    return found


def _stretches(
    facts: Facts, name: ContainerName, seen: tuple[float, float] | None, grid: Grid
) -> Iterator[Stretch]:
    """The life of one container of one pod, cut where its image or settings change."""
    columns = [dict(facts.settings.get(name, {}).get(column, ())) for column in _COLUMNS]
    images = dict(facts.images.get(name, ()))
    times = sorted({*images, *(time for column in columns for time in column)})
    states: list[tuple[float, str | None, Setting]] = []
    for time in times:
        state = (images.get(time), tuple(column.get(time) for column in columns))
        if not states or states[-1][1:] != state:
            states.append((time, *state))
    if not states:
        states = [(grid.end.timestamp(), None, (None,) * len(_COLUMNS))]
    known = (times[0] - grid.step.total_seconds(), times[-1]) if times else (states[0][0],) * 2
    first, last = seen or known
    if facts.living is not None and name in facts.living:
        last = max(last, facts.asof)  # with or without a sample
    for index, (since, image, setting) in enumerate(states):
        begin = first if index == 0 else max(first, since)
        stop = last if index + 1 == len(states) else min(last, states[index + 1][0])
        kind = facts.types.get(name, "app")
        yield Stretch(begin, max(begin, stop), name[1], kind, image or None, setting)


def _periods(stretches: list[Stretch]) -> list[Stretch]:
    """Join neighbouring stretches that are the same; a period names its newest pod.

    A pod too young to have been described yet belongs to the period that runs.
    """
    periods: list[Stretch] = []
    described = any(stretch.described for stretch in stretches)
    for stretch in sorted(stretches, key=lambda s: (s.first, s.last, s.pod)):
        if described and not stretch.described:
            if periods:
                last = max(periods[-1].last, stretch.last)
                periods[-1] = replace(periods[-1], last=last)
        elif periods and periods[-1].same == stretch.same:
            before = periods[-1]
            periods[-1] = replace(before, last=max(before.last, stretch.last), newest=stretch.pod)
        else:
            periods.append(replace(stretch, newest=stretch.pod))
    return periods


def _image_changes(ref: ContainerRef, periods: list[Stretch]) -> Iterator[Event]:
    """Each first appearance of another image, in the pod that had it first."""
    known = [period for period in periods if period.image is not None]
    for before, after in itertools.pairwise(known):
        if after.image != before.image:
            yield (ref.namespace, after.pod, ref.container), after.first, "image_change", math.nan


def _replicas(facts: Facts, ref: ContainerRef, stretches: list[Stretch]) -> int | None:
    """What the workload is set to; for operators' and bare pods, how many there were last.

    None for a workload that exists no more.
    """
    workload = (ref.namespace, ref.kind, ref.workload)
    if ref.kind in facts.counted_kinds and workload not in facts.present:
        return None
    known = facts.replicas.get(workload)
    if known is not None or runs_now_and_then(ref.kind):
        return known
    if facts.living is not None:
        names = {(ref.namespace, stretch.pod, ref.container) for stretch in stretches}
        return len(names & facts.living)
    latest = max(stretch.last for stretch in stretches)
    return len({stretch.pod for stretch in stretches if stretch.last == latest})


def _row(facts: Facts, ref: ContainerRef, period: Stretch, replicas: int | None) -> dict[str, Any]:
    workload = (ref.namespace, ref.kind, ref.workload)
    pod = (ref.namespace, POD.name, period.newest)
    return {
        "namespace": ref.namespace,
        "workload_kind": ref.kind,
        "workload": ref.workload,
        "container": ref.container,
        "container_type": period.kind,
        "replicas": replicas,
        **dict(zip(_COLUMNS, period.setting, strict=True)),
        "image": period.image,
        "labels": _json({**facts.labels.get(workload, {}), **facts.labels.get(pod, {})}),
        "annotations": _json(
            {**facts.annotations.get(workload, {}), **facts.annotations.get(pod, {})}
        ),
        "hpa": _json(facts.hpas.get(workload, {})),
        "vpa": facts.vpas.get(workload),
        "first_seen": datetime.fromtimestamp(period.first, UTC),
        "last_seen": datetime.fromtimestamp(period.last, UTC),
        "exit_reason": facts.exits.get((ref.namespace, period.newest, ref.container)),
        "suspended": facts.suspended.get(workload),
        "deadline_seconds": facts.deadlines.get(workload),
        **facts.pod_settings.get((ref.namespace, period.newest), {}),
    }


def _json(value: Mapping[str, Any]) -> str | None:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode() if value else None
