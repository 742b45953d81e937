"""From facts to the specs table: one row per container and period of equal settings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson
import pandas as pd

from analyzer.sources.facts import Facts
from analyzer.sources.owners import ContainerName
from analyzer.sources.ragged import Grid
from analyzer.usage import NAMES, Usage, validate_specs
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

    @property
    def same(self) -> tuple[str, str | None, Setting]:
        """What must be equal for two stretches to be one period."""
        return self.kind, self.image, self.setting


def build_specs(facts: Facts, usage: Usage, grid: Grid, cluster: str) -> pd.DataFrame:
    """The specs table of every container that was known or observed."""
    seen = observed(usage, grid)
    stretches: dict[ContainerRef, list[Stretch]] = {}
    for name in sorted({*facts.types, *facts.settings, *seen}):
        kind, workload = facts.owners.workload(name[:2])
        ref = ContainerRef(cluster, name[0], kind, workload, name[2])
        stretches.setdefault(ref, []).extend(_stretches(facts, name, seen.get(name), grid))
    rows = [row for ref in sorted(stretches) for row in _rows(facts, ref, stretches[ref])]
    return validate_specs(pd.DataFrame(rows, columns=[*NAMES, *_ROW]))


_ROW = (
    "container_type",
    "replicas",
    *_COLUMNS,
    "image",
    "labels",
    "annotations",
    "hpa",
    "first_seen",
    "last_seen",
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
    columns = facts.settings.get(name, {})
    times = sorted({time for timeline in columns.values() for time, _ in timeline})
    settings: list[tuple[float, Setting]] = []
    for time in times:
        setting = tuple(dict(columns.get(column, ())).get(time) for column in _COLUMNS)
        if not settings or settings[-1][1] != setting:
            settings.append((time, setting))
    if not settings:
        settings = [(grid.end.timestamp(), (None,) * len(_COLUMNS))]
    end = times[-1] if times else grid.end.timestamp()
    first, last = seen or (max(grid.start.timestamp(), settings[0][0] - 86400), end)
    images = facts.images.get(name)
    for index, (_, setting) in enumerate(settings):
        begin = first if index == 0 else max(first, settings[index][0])
        stop = last if index + 1 == len(settings) else min(last, settings[index + 1][0])
        yield Stretch(
            begin,
            max(begin, stop),
            name[1],
            facts.types.get(name, "app"),
            images[-1] if images else None,
            setting,
        )


def _rows(facts: Facts, ref: ContainerRef, stretches: list[Stretch]) -> Iterator[dict[str, Any]]:
    """Join neighbouring stretches that are the same, then add what holds for the workload."""
    stretches.sort(key=lambda stretch: (stretch.first, stretch.last, stretch.pod))
    periods: list[tuple[Stretch, float, str]] = []
    for stretch in stretches:
        if periods and periods[-1][0].same == stretch.same:
            begin, last, _ = periods[-1]
            periods[-1] = (begin, max(last, stretch.last), stretch.pod)
        else:
            periods.append((stretch, stretch.last, stretch.pod))
    workload = (ref.namespace, ref.kind, ref.workload)
    for stretch, last, pod in periods:
        pod_name = (ref.namespace, "Pod", pod)
        yield {
            "namespace": ref.namespace,
            "workload_kind": ref.kind,
            "workload": ref.workload,
            "container": ref.container,
            "container_type": stretch.kind,
            "replicas": facts.replicas.get(workload),
            **dict(zip(_COLUMNS, stretch.setting, strict=True)),
            "image": stretch.image,
            "labels": _json({**facts.labels.get(workload, {}), **facts.labels.get(pod_name, {})}),
            "annotations": _json(
                {**facts.annotations.get(workload, {}), **facts.annotations.get(pod_name, {})}
            ),
            "hpa": _json(facts.hpas.get(workload, {})),
            "first_seen": datetime.fromtimestamp(stretch.first, UTC),
            "last_seen": datetime.fromtimestamp(last, UTC),
        }


def _json(value: Mapping[str, Any]) -> str | None:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode() if value else None
