"""Usage over a window: validated tables, and the ragged arrays everything is computed on.

At the borders (files, notebooks) usage is a pandas table with one row per container, pod and
step. Inside, ten thousand containers over a month are forty million samples, so they live in
`Usage`: one flat float32 array per resource, sorted by container and pod, with the offsets of
each pod's stretch.

A sample at timestamp ``t`` covers ``(t - step, t]``, as a Prometheus range evaluation does.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from analyzer.errors import RecordingError
from analyzer.workload import ContainerRef

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

NAMES = ["namespace", "workload_kind", "workload", "container"]
"""The columns that name a container inside its cluster, in sort order."""

CONTAINER_TYPES = ("app", "init", "sidecar")
EVENT_KINDS = (
    "oom_kill",
    "restart",
    "throttled",
    "image_change",
    "cpu_pressure",
    "memory_pressure",
)

MOST = 2.0**60
"""No cluster has an exbibyte in a container, nor anything else in such numbers."""

_SPEC_COLUMNS: dict[str, str] = {
    "container_type": "text",
    "replicas": "number",
    "cpu_request_cores": "number",
    "cpu_limit_cores": "number",
    "memory_request_bytes": "number",
    "memory_limit_bytes": "number",
    "image": "text",
    "labels": "text",
    "annotations": "text",
    "hpa": "text",
    "first_seen": "time",
    "last_seen": "time",
}


def validate_usage(frame: pd.DataFrame) -> pd.DataFrame:
    """Return `frame` as a usage table, or say what is wrong with it.

    Columns: the four of `NAMES`, ``pod``, ``timestamp`` (UTC), ``cpu_cores`` (mean over the
    step) and ``memory_bytes`` (maximum within the step). A missing value column is added as all
    NaN; NaN means "not observed". Negative and infinite values raise `RecordingError`.
    """
    _require(frame, [*NAMES, "pod", "timestamp"], "usage")
    columns = {name: _text(frame, name, "usage") for name in [*NAMES, "pod"]}
    columns["timestamp"] = _times(frame, "timestamp", "usage")
    columns["cpu_cores"] = _numbers(frame, "cpu_cores", "usage").astype("float32")
    columns["memory_bytes"] = _numbers(frame, "memory_bytes", "usage")
    if "cpu_cores" not in frame and "memory_bytes" not in frame:
        raise RecordingError("the usage table has neither cpu_cores nor memory_bytes; add one")
    if columns["timestamp"].isna().any():
        raise RecordingError("the usage table has rows without a timestamp; drop them")
    return pd.DataFrame(columns)


def validate_specs(frame: pd.DataFrame) -> pd.DataFrame:
    """Return `frame` as a specs table: one row per container and period of equal settings.

    Only `NAMES` are required; every other column is added empty where it is missing. The row of a
    container with the latest ``last_seen`` (then the last one) is what holds now.
    """
    _require(frame, NAMES, "specs")
    read = {"text": _text, "number": _numbers, "time": _times}
    columns = {name: _text(frame, name, "specs") for name in NAMES}
    for name, kind in _SPEC_COLUMNS.items():
        columns[name] = read[kind](frame, name, "specs")
    columns["container_type"] = columns["container_type"].fillna("app")
    _only(columns["container_type"], CONTAINER_TYPES, "specs", "container_type")
    return pd.DataFrame(columns)


def validate_events(frame: pd.DataFrame) -> pd.DataFrame:
    """Return `frame` as an events table, sorted by time.

    ``kind`` is one of `EVENT_KINDS`. ``value`` is the memory limit that was hit in bytes
    (``oom_kill``), the share of throttled CFS periods (``throttled``), or the share of the hour
    before that was lost to waiting (``cpu_pressure``, ``memory_pressure``), else NaN.
    """
    _require(frame, [*NAMES, "timestamp", "kind"], "events")
    columns = {name: _text(frame, name, "events") for name in [*NAMES, "pod", "kind"]}
    columns["timestamp"] = _times(frame, "timestamp", "events")
    columns["value"] = _numbers(frame, "value", "events")
    _only(columns["kind"], EVENT_KINDS, "events", "kind")
    return pd.DataFrame(columns).sort_values("timestamp", kind="stable", ignore_index=True)


@dataclass(frozen=True)
class Meta:
    """What a recording says of itself.

    The window is ``(start, end]`` in steps of `step`; `nodes` are mappings with ``name``,
    ``cpu_allocatable_cores``, ``memory_allocatable_bytes`` and ``gpus``. A non-empty `warnings`
    means that the data is partial.
    """

    cluster: str
    start: datetime
    end: datetime
    step: timedelta
    source: str = ""
    queries: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    nodes: tuple[dict[str, Any], ...] = ()

    def __post_init__(self) -> None:
        for moment in (self.start, self.end):
            if moment.utcoffset() != timedelta(0):
                raise RecordingError(f"times must be in UTC, found {moment.isoformat()}")
        if self.step <= timedelta(0):
            raise RecordingError(f"the step must be positive, found {self.step}")
        if self.end <= self.start:
            raise RecordingError(
                f"the window is empty: it ends at {self.end} and starts at {self.start}"
            )

    @property
    def steps(self) -> int:
        """How many steps the window holds."""
        return -((self.start - self.end) // self.step)


@dataclass(frozen=True)
class Usage:
    """CPU and memory of every pod of every container over one window, ragged.

    Series ``s`` (one container in one pod) owns ``cpu_cores[offset[s]:offset[s + 1]]`` and the
    same stretch of `memory_bytes`; its first value belongs to step ``first[s]``, where step ``k``
    ends at ``start + (k + 1) * step``. NaN means "not observed". Series are sorted by container,
    then pod; `container` holds indices into `containers`.
    """

    start: datetime
    step: timedelta
    steps: int
    containers: tuple[ContainerRef, ...]
    container: Ints
    pods: tuple[str, ...]
    first: Ints
    offset: Ints
    cpu_cores: Floats
    memory_bytes: Floats

    @classmethod
    def from_frame(cls, frame: pd.DataFrame, meta: Meta) -> Usage:
        """Build from a usage table; rows outside the window are left out.

        Several rows in one step (finer data, or duplicates) become their mean CPU and their
        largest memory.
        """
        frame = validate_usage(frame)
        cell = _cells(frame["timestamp"], meta)
        inside = (cell >= 0) & (cell < meta.steps)
        frame, cell = frame[inside], cell[inside]
        keys = [*NAMES, "pod"]
        grouped = frame.groupby(keys, sort=True, observed=True)
        series = np.asarray(grouped.ngroup(), dtype=np.int64)
        names = grouped.size().index.to_frame(index=False)
        cpu = frame["cpu_cores"].to_numpy(dtype=np.float32)
        memory = frame["memory_bytes"].to_numpy(dtype=np.float32)
        series, cell, cpu, memory = _one_per_step(series, cell, cpu, memory)
        return cls._from_cells(names, series, cell, cpu, memory, meta)

    @classmethod
    def _from_cells(
        cls,
        names: pd.DataFrame,
        series: Ints,
        cell: Ints,
        cpu: Floats,
        memory: Floats,
        meta: Meta,
    ) -> Usage:
        starts = np.searchsorted(series, np.arange(len(names) + 1))
        first = cell[starts[:-1]] if len(names) else np.zeros(0, np.int64)
        last = cell[starts[1:] - 1] if len(names) else first
        offset = np.concatenate([[0], np.cumsum(last - first + 1)]).astype(np.int64)
        place = offset[series] + cell - first[series]
        dense = np.full((2, offset[-1]), np.nan, dtype=np.float32)
        dense[0, place], dense[1, place] = cpu, memory
        owners = list(names[NAMES].itertuples(index=False, name=None))
        containers = sorted(set(owners))
        position = {owner: index for index, owner in enumerate(containers)}
        return cls(
            start=meta.start,
            step=meta.step,
            steps=meta.steps,
            containers=tuple(ContainerRef(meta.cluster, *owner) for owner in containers),
            container=np.array([position[owner] for owner in owners], dtype=np.int64),
            pods=tuple(names["pod"]),
            first=first,
            offset=offset,
            cpu_cores=dense[0],
            memory_bytes=dense[1],
        )

    @property
    def end(self) -> datetime:
        """The end of the last step."""
        return self.start + self.steps * self.step

    @property
    def steps_per_day(self) -> int:
        """How many steps make a day, at least one."""
        return max(1, round(timedelta(days=1) / self.step))

    @cached_property
    def bounds(self) -> Ints:
        """Container ``i`` owns the series ``bounds[i]`` up to ``bounds[i + 1]``."""
        return np.searchsorted(self.container, np.arange(len(self.containers) + 1))

    def span(self, index: int) -> slice:
        """Where the samples of container `index` lie in the flat arrays, all pods in a row."""
        low, high = self.bounds[index], self.bounds[index + 1]
        return slice(int(self.offset[low]), int(self.offset[high]))

    def sample_steps(self, index: int) -> Ints:
        """The step of every sample in ``span(index)``."""
        low, high = self.bounds[index], self.bounds[index + 1]
        lengths = np.diff(self.offset[low : high + 1])
        shift = np.repeat(self.first[low:high] - self.offset[low:high], lengths)
        where = self.span(index)
        return np.arange(where.start, where.stop) + shift

    def between(self, begin: int, stop: int) -> Usage:
        """The steps from `begin` up to but without `stop`; every container stays listed."""
        begin, stop = max(0, begin), min(self.steps, stop)
        low = np.clip(self.first, begin, stop)
        high = np.clip(self.first + np.diff(self.offset), begin, stop)
        kept = np.flatnonzero(high > low)
        lengths = (high - low)[kept]
        offset = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        source = self.offset[kept] + low[kept] - self.first[kept]
        take = np.repeat(source - offset[:-1], lengths) + np.arange(offset[-1])
        return replace(
            self,
            start=self.start + begin * self.step,
            steps=stop - begin,
            container=self.container[kept],
            pods=tuple(self.pods[s] for s in kept),
            first=low[kept] - begin,
            offset=offset,
            cpu_cores=self.cpu_cores[take],
            memory_bytes=self.memory_bytes[take],
        )

    def select(self, wanted: Sequence[bool] | npt.NDArray[np.bool_]) -> Usage:
        """Only the containers that are `wanted`, one truth value each, and their samples."""
        chosen = np.asarray(wanted, dtype=bool)
        kept = np.flatnonzero(chosen[self.container])
        lengths = np.diff(self.offset)[kept]
        offset = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        take = np.repeat(self.offset[kept] - offset[:-1], lengths) + np.arange(offset[-1])
        return replace(
            self,
            containers=tuple(r for r, w in zip(self.containers, chosen, strict=True) if w),
            container=(np.cumsum(chosen) - 1)[self.container[kept]].astype(np.int64),
            pods=tuple(self.pods[s] for s in kept),
            first=self.first[kept],
            offset=offset,
            cpu_cores=self.cpu_cores[take],
            memory_bytes=self.memory_bytes[take],
        )

    def to_frame(self) -> pd.DataFrame:
        """The usage table of every observed sample, sorted by container, pod and time."""
        lengths = np.diff(self.offset)
        series = np.repeat(np.arange(len(self.pods)), lengths)
        steps = np.arange(self.offset[-1]) - (self.offset[:-1] - self.first)[series]
        seen = ~(np.isnan(self.cpu_cores) & np.isnan(self.memory_bytes))
        series, steps = series[seen], steps[seen]
        refs = [self.containers[index] for index in self.container]
        names = {
            "namespace": [ref.namespace for ref in refs],
            "workload_kind": [ref.kind for ref in refs],
            "workload": [ref.workload for ref in refs],
            "container": [ref.container for ref in refs],
            "pod": list(self.pods),
        }
        columns: dict[str, Any] = {
            name: pd.Categorical.from_codes(*_codes(values, series))
            for name, values in names.items()
        }
        start = pd.Timestamp(self.start).as_unit("s")
        columns["timestamp"] = start + pd.to_timedelta((steps + 1) * self.step.total_seconds(), "s")
        columns["cpu_cores"] = self.cpu_cores[seen]
        columns["memory_bytes"] = self.memory_bytes[seen].astype(np.float64)
        return pd.DataFrame(columns)


def concat(parts: Sequence[Usage]) -> Usage:
    """Join usage over the same window into one; the same pod of a container may come once only.

    Raises `ValueError` where the windows differ.
    """
    if not parts:
        raise ValueError("nothing to join")
    head = parts[0]
    if any((p.start, p.step, p.steps) != (head.start, head.step, head.steps) for p in parts):
        raise ValueError("usage of different windows cannot be joined")
    if len(parts) == 1:
        return head
    containers = sorted({ref for part in parts for ref in part.containers})
    position = {ref: index for index, ref in enumerate(containers)}
    owner = np.concatenate([[position[p.containers[c]] for c in p.container] for p in parts])
    owner = owner.astype(np.int64)
    pods = [pod for part in parts for pod in part.pods]
    order = np.array(sorted(range(len(pods)), key=lambda s: (owner[s], pods[s])), dtype=np.int64)
    first = np.concatenate([part.first for part in parts])
    lengths = np.concatenate([np.diff(part.offset) for part in parts])
    source = np.concatenate([[0], np.cumsum(lengths)])[:-1]
    offset = np.concatenate([[0], np.cumsum(lengths[order])]).astype(np.int64)
    take = np.repeat(source[order] - offset[:-1], lengths[order]) + np.arange(offset[-1])
    return replace(
        head,
        containers=tuple(containers),
        container=owner[order],
        pods=tuple(pods[s] for s in order),
        first=first[order],
        offset=offset,
        cpu_cores=np.concatenate([part.cpu_cores for part in parts])[take],
        memory_bytes=np.concatenate([part.memory_bytes for part in parts])[take],
    )


def _empty(columns: Iterable[str]) -> pd.DataFrame:
    return pd.DataFrame({name: pd.Series(dtype=object) for name in columns})


@dataclass(frozen=True)
class Recording:
    """Everything one source knows of one cluster over one window.

    This is what every source returns, what `record` writes and what `analyze` starts from.
    """

    meta: Meta
    usage: Usage
    specs: pd.DataFrame = field(default_factory=lambda: validate_specs(_empty(NAMES)))
    events: pd.DataFrame = field(
        default_factory=lambda: validate_events(_empty([*NAMES, "timestamp", "kind"]))
    )


def _require(frame: pd.DataFrame, names: Sequence[str], table: str) -> None:
    missing = [name for name in names if name not in frame.columns]
    if missing:
        raise RecordingError(
            f"the {table} table lacks the column(s) {', '.join(missing)}; "
            f"it has {', '.join(map(str, frame.columns)) or 'none'}"
        )


def _text(frame: pd.DataFrame, name: str, table: str) -> pd.Series[Any]:
    if name not in frame:
        return pd.Series([None] * len(frame), index=frame.index, dtype=object)
    column = frame[name]
    if name in NAMES and column.isna().any():
        raise RecordingError(f"the {table} table has rows without {name}; drop them")
    if isinstance(column.dtype, pd.CategoricalDtype):
        # A file's dictionary is in order of appearance; whoever groups or sorts wants the names'.
        column = column.cat.set_categories(sorted(column.cat.categories))
    return column


def _numbers(frame: pd.DataFrame, name: str, table: str) -> pd.Series[Any]:
    if name not in frame:
        return pd.Series(np.nan, index=frame.index, dtype="float64")
    try:
        column = pd.to_numeric(frame[name])
    except (ValueError, TypeError) as error:
        raise RecordingError(f"the {table} column {name} is not numeric: {error}") from error
    values = column.to_numpy(dtype="float64", na_value=np.nan)
    refuse_absurd(values, table, name)
    return pd.Series(values, index=frame.index)


def refuse_absurd(values: npt.NDArray[np.float64], table: str, name: str) -> None:
    """Raise `RecordingError` for what no container can use; NaN passes."""
    if (values < 0).any() or (values > MOST).any():
        raise RecordingError(
            f"the {table} column {name} holds negative, infinite or absurd values "
            f"(above {MOST:g}); usage is never that"
        )


def _times(frame: pd.DataFrame, name: str, table: str) -> pd.Series[Any]:
    if name not in frame:
        return pd.Series(pd.NaT, index=frame.index, dtype="datetime64[s, UTC]")
    try:
        return pd.to_datetime(frame[name], utc=True)
    except (ValueError, TypeError) as error:
        raise RecordingError(f"the {table} column {name} is not a time: {error}") from error


def _only(column: pd.Series[Any], allowed: Sequence[str], table: str, name: str) -> None:
    strange = sorted({str(value) for value in column.unique()} - set(allowed))
    if strange:
        raise RecordingError(
            f"the {table} column {name} holds {', '.join(strange[:3])}; "
            f"expected one of {', '.join(allowed)}"
        )


def _cells(times: pd.Series[Any], meta: Meta) -> Ints:
    """The step each time falls into: (start, start + step] is step 0."""
    since = (times - pd.Timestamp(meta.start)).to_numpy() / np.timedelta64(1, "us")
    return np.ceil(since / (meta.step / timedelta(microseconds=1))).astype(np.int64) - 1


def _one_per_step(
    series: Ints, cell: Ints, cpu: Floats, memory: Floats
) -> tuple[Ints, Ints, Floats, Floats]:
    order = np.lexsort((cell, series))
    series, cell, cpu, memory = series[order], cell[order], cpu[order], memory[order]
    new = np.ones(len(series), dtype=bool)
    new[1:] = (np.diff(series) != 0) | (np.diff(cell) != 0)
    if new.all():
        return series, cell, cpu, memory
    begins = np.flatnonzero(new)
    count = np.add.reduceat((~np.isnan(cpu)).astype(np.float64), begins)
    total = np.add.reduceat(np.nan_to_num(cpu).astype(np.float64), begins)
    with np.errstate(invalid="ignore"):
        mean = np.where(count > 0, total / np.maximum(count, 1), np.nan).astype(np.float32)
    return series[begins], cell[begins], mean, np.fmax.reduceat(memory, begins)


def _codes(values: Sequence[str], series: Ints) -> tuple[npt.NDArray[np.int32], pd.Index[Any]]:
    codes, categories = pd.factorize(np.asarray(values, dtype=object), sort=True)
    return codes[series].astype(np.int32), pd.Index(categories, dtype=object)


def utc(moment: datetime) -> datetime:
    """`moment` in UTC; a naive one is taken as UTC."""
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
