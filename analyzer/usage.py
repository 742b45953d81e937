"""Usage over a window: the ragged arrays that everything is computed on, and a recording of them.

At the borders (files, notebooks) usage is a pandas table with one row per container, pod and
step. Inside, ten thousand containers over a month are forty million samples, so they live in
`Usage`: one flat float32 array per resource, sorted by container and pod, with the offsets of
each pod's stretch.

A sample at timestamp ``t`` covers ``(t - step, t]``, as a Prometheus range evaluation does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from analyzer.errors import RecordingError
from analyzer.room import IN_MEMORY, Room
from analyzer.shard import ShardOf
from analyzer.tables import (
    NAMES,
    TABLES,
    VALUES,
    no_days,
    no_events,
    no_pods,
    no_specs,
    validate_usage,
)
from analyzer.workload import ContainerRef

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]


MOST = 2.0**60
"""No cluster has an exbibyte in a container, nor anything else in such numbers."""
MOST_STEPS = 4_000_000
"""Steps of a window at most: 38 years of five minutes, or 46 days of seconds."""
FIRST_YEAR, LAST_YEAR = 2001, 2100
"""Times outside are misspelt: nothing was measured of any cluster then."""
FREE_CELLS = 40_000_000
"""So many cells of an array are granted to any data: 160 MB."""
_CELLS_PER_SAMPLE = 20
_PIECE_OF_CONTAINERS = 125


@dataclass(frozen=True)
class Meta:
    """What a recording says of itself.

    The window is ``(start, end]`` in steps of `step`. A non-empty `warnings` means that the data
    is partial. Mappings, with any but the first two keys optional:

    - `nodes`: ``name``, ``cpu_allocatable_cores``, ``memory_allocatable_bytes``, ``gpus``,
      ``allocatable`` (further resources and pods, by name), ``labels``, ``taints`` (as
      ``key=value:effect``; absent where nobody tells), ``unschedulable``, ``first_seen``
      (ISO 8601) where that is within the window
    - `past_nodes`: as `nodes`, of those that are gone, with ``last_seen``
    - `quotas`: ``namespace``, ``name``, ``resource`` (as ``requests.cpu``), ``hard``, ``used``
      (cores, bytes or counts), ``scopes`` (``name``, ``operator``, ``values``) where a manifest or
      the cluster itself tells that it counts some pods only
    - `limit_ranges`: ``namespace``, ``name``, ``type`` (Container, Pod), ``resource`` (cpu,
      memory), ``constraint`` (min, max, default, defaultRequest, maxLimitRequestRatio), ``value``
    - `budgets` (PodDisruptionBudgets): ``namespace``, ``name``, ``allowed``, ``expected``,
      ``healthy``, ``wanted`` (pods), ``selector`` (of labels, where a manifest tells it)
    - `priority_classes`: ``name``, ``value``

    Rules say their ``source`` where that is not the metrics: ``cluster`` or ``repository``.
    """

    cluster: str
    start: datetime
    end: datetime
    step: timedelta
    source: str = ""
    queries: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    nodes: tuple[dict[str, Any], ...] = ()
    past_nodes: tuple[dict[str, Any], ...] = ()
    quotas: tuple[dict[str, Any], ...] = ()
    limit_ranges: tuple[dict[str, Any], ...] = ()
    budgets: tuple[dict[str, Any], ...] = ()
    priority_classes: tuple[dict[str, Any], ...] = ()
    asked: timedelta | None = None
    """How long a window was asked for; None where nobody asked."""
    shard: ShardOf | None = None
    """Which part of the cluster's namespaces this is; None for all of them."""

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
        if self.steps > MOST_STEPS:
            raise RecordingError(
                f"the window from {self.start} to {self.end} has {self.steps:,} steps of "
                f"{self.step}, more than the {MOST_STEPS:,} that can be worked with; correct the "
                "times of its first and last sample, or choose a longer step"
            )
        if self.start.year < FIRST_YEAR or self.end.year > LAST_YEAR:
            raise RecordingError(
                f"the window from {self.start} to {self.end} lies not between {FIRST_YEAR} and "
                f"{LAST_YEAR}; correct the times of its first and last sample"
            )

    @property
    def steps(self) -> int:
        """How many steps the window holds."""
        return -((self.start - self.end) // self.step)


@dataclass(frozen=True, repr=False)
class Usage:
    """CPU and memory of every pod of every container over one window, ragged.

    Series ``s`` (one container in one pod) owns ``cpu_cores[offset[s]:offset[s + 1]]`` and the
    same stretch of `memory_bytes`; its first value belongs to step ``first[s]``, where step ``k``
    ends at ``start + (k + 1) * step``. NaN means "not observed". Series are sorted by container,
    then pod; `container` holds indices into `containers`. Resident memory and page cache lie
    alike where they were asked for, else they are None and cost nothing.
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
    memory_rss_bytes: Floats | None = None
    memory_cache_bytes: Floats | None = None
    room: Room = IN_MEMORY
    """Where copies of samples are kept."""

    def __repr__(self) -> str:
        return (
            f"<Usage of {len(self.containers)} containers in {len(self.pods)} series, "
            f"{self.steps} steps of {self.step} from {self.start:%Y-%m-%d %H:%M}>"
        )

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
        values = {n: as_floats(frame[n].to_numpy()) for n in VALUES if n in frame}
        series, cell, values = _one_per_step(series, cell, values)
        return cls._from_cells(names, series, cell, values, meta)

    @classmethod
    def _from_cells(
        cls,
        names: pd.DataFrame,
        series: Ints,
        cell: Ints,
        values: Mapping[str, Floats],
        meta: Meta,
    ) -> Usage:
        starts = np.searchsorted(series, np.arange(len(names) + 1))
        first = cell[starts[:-1]] if len(names) else np.zeros(0, np.int64)
        last = cell[starts[1:] - 1] if len(names) else first
        offset = np.concatenate([[0], np.cumsum(last - first + 1)]).astype(np.int64)
        refuse_sparse(int(offset[-1]), len(cell), meta.start, meta.end, meta.step)
        place = offset[series] + cell - first[series]
        dense: dict[str, Any] = {
            name: np.full(offset[-1], np.nan, dtype=np.float32) for name in values
        }
        for name, column in values.items():
            dense[name][place] = column
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
            **dense,
        )

    @property
    def values(self) -> dict[str, Floats]:
        """The arrays of those `VALUES` that there are."""
        found = {name: getattr(self, name) for name in VALUES}
        return {name: array for name, array in found.items() if array is not None}

    def _at(self, source: Ints, offset: Ints) -> dict[str, Any]:
        """All values of stretches that begin at `source`, put one after the other."""
        return {
            name: _gathered(array, source, offset, self.room) for name, array in self.values.items()
        }

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

    @cached_property
    def firm_bytes(self) -> Floats:
        """Memory that the kernel cannot take back, as far as is told; else the working set.

        NaN where nothing is told of a sample of a series of which it is told elsewhere.
        """
        told = self._told_firm
        if not told.any():
            return self.memory_bytes
        firm = self.room.copy(self.memory_bytes)
        for series in np.flatnonzero(told).tolist():
            where = slice(int(self.offset[series]), int(self.offset[series + 1]))
            firm[where] = self._firm(where)
        return firm

    @cached_property
    def _told_firm(self) -> npt.NDArray[np.bool_]:
        """Of which series it is told what of their memory cannot be taken back."""
        told = np.zeros(len(self.pods), dtype=bool)
        for part in (self.memory_rss_bytes, self.memory_cache_bytes):
            if part is not None and len(self.pods):
                told |= np.logical_or.reduceat(~np.isnan(part), self.offset[:-1])
        return told

    def _firm(self, where: slice) -> Floats:
        memory = self.memory_bytes[where]
        firm = np.full_like(memory, np.nan)
        if self.memory_rss_bytes is not None:
            firm = np.fmax(firm, self.memory_rss_bytes[where])
        if self.memory_cache_bytes is not None:
            firm = np.fmax(firm, np.maximum(memory - self.memory_cache_bytes[where], 0))
        return np.minimum(firm, memory)

    def span(self, index: int) -> slice:
        """Where the samples of container `index` lie in the flat arrays, all pods in a row."""
        low, high = self.bounds[index], self.bounds[index + 1]
        return slice(int(self.offset[low]), int(self.offset[high]))

    @cached_property
    def _by_pod(self) -> dict[tuple[str, str, str], list[int]]:
        found: dict[tuple[str, str, str], list[int]] = {}
        for series, pod in enumerate(self.pods):
            ref = self.containers[self.container[series]]
            found.setdefault((ref.namespace, pod, ref.container), []).append(series)
        return found

    def series_of(self, namespace: str, pod: str, container: str) -> Sequence[int]:
        """The series of a container of a pod, whatever workload they are told to belong to."""
        return self._by_pod.get((namespace, pod, container), ())

    def sample_steps(self, index: int) -> Ints:
        """The step of every sample in ``span(index)``."""
        low, high = self.bounds[index], self.bounds[index + 1]
        lengths = np.diff(self.offset[low : high + 1])
        shift = np.repeat(self.first[low:high] - self.offset[low:high], lengths)
        where = self.span(index)
        return np.arange(where.start, where.stop) + shift

    def seen_steps(self, index: int, seen: npt.NDArray[np.bool_]) -> Ints:
        """The steps of those samples in ``span(index)`` that are `seen`, each once, in order."""
        marked = np.zeros(self.steps, dtype=np.bool_)
        marked[self.sample_steps(index)[seen]] = True
        return np.flatnonzero(marked)

    def between(self, begin: int, stop: int) -> Usage:
        """The steps from `begin` up to but without `stop`; every container stays listed."""
        begin, stop = max(0, begin), min(self.steps, stop)
        low = np.clip(self.first, begin, stop)
        high = np.clip(self.first + np.diff(self.offset), begin, stop)
        kept = np.flatnonzero(high > low)
        source = self.offset[kept] + low[kept] - self.first[kept]
        offset = _offsets((high - low)[kept])
        return replace(
            self,
            start=self.start + begin * self.step,
            steps=stop - begin,
            container=self.container[kept],
            pods=tuple(self.pods[s] for s in kept),
            first=low[kept] - begin,
            offset=offset,
            **self._at(source, offset),
        )

    def pieces(self, begin: int, stop: int) -> Iterator[tuple[slice, Usage]]:
        """The same steps, some containers at a time: whose they are, and what they used.

        A copy of what a whole cluster did in a week is larger than most of what is learnt of it.
        """
        for low in range(0, max(1, len(self.containers)), _PIECE_OF_CONTAINERS):
            rows = slice(low, low + _PIECE_OF_CONTAINERS)
            yield rows, self.part(rows).between(begin, stop)

    def select(self, wanted: Sequence[bool] | npt.NDArray[np.bool_]) -> Usage:
        """Only the containers that are `wanted`, one truth value each, and their samples."""
        chosen = np.asarray(wanted, dtype=bool)
        kept = np.flatnonzero(chosen[self.container])
        return replace(
            self._arranged(kept),
            containers=tuple(r for r, w in zip(self.containers, chosen, strict=True) if w),
            container=(np.cumsum(chosen) - 1)[self.container[kept]].astype(np.int64),
        )

    def part(self, rows: slice) -> Usage:
        """Only the containers in `rows`, which lie side by side; their samples are not copied."""
        low, high, _ = rows.indices(len(self.containers))
        series = slice(int(self.bounds[low]), int(self.bounds[high]))
        begin, end = int(self.offset[series.start]), int(self.offset[series.stop])
        values: dict[str, Any] = {name: array[begin:end] for name, array in self.values.items()}
        return replace(
            self,
            containers=self.containers[rows],
            container=self.container[series] - low,
            pods=self.pods[series],
            first=self.first[series],
            offset=self.offset[series.start : series.stop + 1] - begin,
            **values,
        )

    def without_samples(self) -> Usage:
        """The same window and containers, and nothing that was observed."""
        return self._arranged(np.zeros(0, dtype=np.int64))

    def rename(self, refs: Sequence[ContainerRef], pods: Sequence[str] | None = None) -> Usage:
        """The same samples with ``refs[i]`` for container ``i``, and `pods` for the pods.

        Containers that get the same name become one. Raises `ValueError` where that gives one
        container the same pod twice.
        """
        pods = self.pods if pods is None else pods
        containers = sorted(set(refs))
        position = {ref: index for index, ref in enumerate(containers)}
        owner = np.array([position[refs[index]] for index in self.container], dtype=np.int64)
        order = sorted(range(len(pods)), key=lambda s: (owner[s], pods[s]))
        named = [(int(owner[s]), pods[s]) for s in order]
        if len(set(named)) < len(named):
            raise ValueError("one pod would come twice in a container")
        series = np.array(order, dtype=np.int64)
        return replace(
            self._arranged(series),
            containers=tuple(containers),
            container=owner[series],
            pods=tuple(pods[s] for s in order),
        )

    def _arranged(self, series: Ints) -> Usage:
        """These `series` alone and in this order; whoever calls sees to `container`."""
        offset = _offsets(np.diff(self.offset)[series])
        return replace(
            self,
            container=self.container[series],
            pods=tuple(self.pods[s] for s in series),
            first=self.first[series],
            offset=offset,
            **self._at(self.offset[series], offset),
        )

    def observed(self, where: slice = slice(None)) -> npt.NDArray[np.bool_]:
        """Which of the samples in `where` say anything."""
        seen = ~np.isnan(self.cpu_cores[where])
        for array in self.values.values():
            seen |= ~np.isnan(array[where])
        return seen

    def to_frame(self) -> pd.DataFrame:
        """The usage table of every observed sample, sorted by container, pod and time."""
        lengths = np.diff(self.offset)
        series = np.repeat(np.arange(len(self.pods)), lengths)
        steps = np.arange(self.offset[-1]) - (self.offset[:-1] - self.first)[series]
        seen = self.observed()
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
        for name, array in self.values.items():
            column = array[seen]
            columns[name] = column if name == "cpu_cores" else column.astype(np.float64)
        return pd.DataFrame(columns)


def no_usage(meta: Meta) -> Usage:
    """Usage of nothing over the window of `meta`."""
    none, values = np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.float32)
    offset = np.zeros(1, dtype=np.int64)
    return Usage(meta.start, meta.step, meta.steps, (), none, (), none, offset, values, values)


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
    offset = _offsets(lengths[order])
    joined: dict[str, Any] = {
        name: _gathered(
            np.concatenate([_value(p, name) for p in parts]), source[order], offset, head.room
        )
        for name in VALUES
        if any(name in part.values for part in parts)
    }
    return replace(
        head,
        containers=tuple(containers),
        container=owner[order],
        pods=tuple(pods[s] for s in order),
        first=first[order],
        offset=offset,
        **joined,
    )


def _value(usage: Usage, name: str) -> Floats:
    """One of `VALUES` of `usage`, not observed where it has none."""
    array = usage.values.get(name)
    return np.full(len(usage.cpu_cores), np.nan, np.float32) if array is None else array


_PIECE = 1 << 20
"""So many values are gathered at once: their positions take twice the room of the values."""


def _offsets(lengths: Ints) -> Ints:
    """Where stretches of these lengths begin and end, put one after the other."""
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)


def _gathered(values: Floats, source: Ints, offset: Ints, room: Room) -> Floats:
    """Stretches of `values` that begin at `source`, at ``offset[s]`` to ``offset[s + 1]`` each.

    Piece by piece: the positions of a whole cluster's samples are larger than the samples.
    """
    gathered = room.floats(int(offset[-1]))
    begin = 0
    while begin < len(source):
        stop = max(begin + 1, int(np.searchsorted(offset, offset[begin] + _PIECE, "right")) - 1)
        low, high = int(offset[begin]), int(offset[stop])
        shift = source[begin:stop] - offset[begin:stop]
        take = np.repeat(shift, np.diff(offset[begin : stop + 1])) + np.arange(low, high)
        gathered[low:high] = values[take]
        begin = stop
    return gathered


@dataclass(frozen=True, repr=False)
class Recording:
    """Everything one source knows of one cluster over one window.

    This is what every source returns, what `record` writes and what `analyze` starts from. `days`
    may reach further back than the window.
    """

    meta: Meta
    usage: Usage
    specs: pd.DataFrame = field(default_factory=no_specs)
    events: pd.DataFrame = field(default_factory=no_events)
    pods: pd.DataFrame = field(default_factory=no_pods)
    days: pd.DataFrame = field(default_factory=no_days)

    def __repr__(self) -> str:
        return f"<Recording of {self.meta.cluster}: {self.usage!r}>"

    @property
    def tables(self) -> dict[str, pd.DataFrame]:
        """The tables of `TABLES` by name."""
        return {name: getattr(self, name) for name in TABLES}

    def restrict(self, wanted: Callable[[str], bool]) -> Recording:
        """As `part`, without where each pod runs.

        Without the pods of the others, nobody can tell what a node has left.
        """
        part = self.part(wanted)
        return replace(part, pods=part.pods.assign(node=None))

    def part(self, wanted: Callable[[str], bool]) -> Recording:
        """Only the namespaces that are `wanted`, in everything that is known."""
        chosen = {
            name: np.array([wanted(each) for each in table["namespace"]], dtype=np.bool_)
            for name, table in self.tables.items()
        }  # arrays, for an empty list would choose columns
        kept = {
            name: self.tables[name][rows].reset_index(drop=True) for name, rows in chosen.items()
        }
        usage = self.usage.select([wanted(ref.namespace) for ref in self.usage.containers])
        meta = replace(
            self.meta,
            quotas=tuple(q for q in self.meta.quotas if wanted(q["namespace"])),
            limit_ranges=tuple(r for r in self.meta.limit_ranges if wanted(r["namespace"])),
            budgets=tuple(b for b in self.meta.budgets if wanted(b["namespace"])),
        )
        return replace(self, meta=meta, usage=usage, **kept)


def as_floats(values: npt.NDArray[Any]) -> Floats:
    """`values` in the type of usage; what is too large for it becomes infinite."""
    with np.errstate(over="ignore"):
        return values.astype(np.float32)


def refuse_sparse(
    cells: int, samples: int, start: datetime, end: datetime, step: timedelta
) -> None:
    """Raise `RecordingError` where arrays of so many `cells` would hold next to nothing.

    What is read costs by its samples. A stray time, or a step that is far too short, would make
    gigabytes of "not observed" of them.
    """
    if cells > max(FREE_CELLS, _CELLS_PER_SAMPLE * samples):
        raise RecordingError(
            f"{samples:,} samples from {start} to {end} in steps of {step} would fill {cells:,} "
            f"cells ({4 * cells / 1024**3:.1f} GiB) with nothing; choose a longer step, or leave "
            "out the pods whose times lie far apart"
        )


def _cells(times: pd.Series[Any], meta: Meta) -> Ints:
    """The step each time falls into: (start, start + step] is step 0."""
    since = (times - pd.Timestamp(meta.start)).to_numpy() / np.timedelta64(1, "us")
    return np.ceil(since / (meta.step / timedelta(microseconds=1))).astype(np.int64) - 1


def _one_per_step(
    series: Ints, cell: Ints, values: Mapping[str, Floats]
) -> tuple[Ints, Ints, dict[str, Floats]]:
    """Sorted, with one value a step: the mean of CPU, the largest of everything else."""
    order = np.lexsort((cell, series))
    series, cell = series[order], cell[order]
    values = {name: column[order] for name, column in values.items()}
    new = np.ones(len(series), dtype=bool)
    new[1:] = (np.diff(series) != 0) | (np.diff(cell) != 0)
    if new.all():
        return series, cell, values
    begins = np.flatnonzero(new)
    merged = {
        name: _means(column, begins) if name == "cpu_cores" else np.fmax.reduceat(column, begins)
        for name, column in values.items()
    }
    return series[begins], cell[begins], merged


def _means(column: Floats, begins: Ints) -> Floats:
    """The mean of what was observed in each group; NaN where nothing was."""
    count = np.add.reduceat((~np.isnan(column)).astype(np.float64), begins)
    total = np.add.reduceat(np.nan_to_num(column).astype(np.float64), begins)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan).astype(np.float32)


def _codes(values: Sequence[str], series: Ints) -> tuple[npt.NDArray[np.int32], pd.Index[Any]]:
    codes, categories = pd.factorize(np.asarray(values, dtype=object), sort=True)
    return codes[series].astype(np.int32), pd.Index(categories, dtype=object)


def utc(moment: datetime) -> datetime:
    """`moment` in UTC; a naive one is taken as UTC."""
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
