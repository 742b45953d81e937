"""From series as a server sends them to one `Usage`: lanes, runs, and how duplicates merge.

A *lane* is one series of the server, known by its labels. A *run* is a stretch of consecutive
steps of one lane. Several lanes may speak of the same container in the same pod:

- the same cgroup seen by two scrape jobs or two replicas of an HA pair: the larger value counts,
  and each fills the gaps of the other;
- two cgroups after an in-place restart, seen by one job: their CPU adds up, of their memory the
  larger counts, because the dead one lingers for five minutes;
- two cgroups that live side by side, seen by one job: one container under two paths (Docker in
  Docker, nested cgroups), so the larger counts.
"""

from __future__ import annotations

import functools
import mmap
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt

from analyzer.room import IN_MEMORY, Room
from analyzer.sources.prometheus.answer import parse_labels
from analyzer.sources.prometheus.decode import Batch
from analyzer.sources.prometheus.failure import MalformedError
from analyzer.usage import Floats, Ints, Usage, refuse_sparse
from analyzer.workload import ContainerRef

_AT_ONCE = 65_536
_LINGERING = timedelta(minutes=10)
"""For so long a dead cgroup is still seen beside its successor: five minutes of the server's
look-back, and a rate window of five more."""
_MOST_CELLS = 2.0**40
"""Steps that no window has, well within what an integer holds."""

Merge = Callable[[Floats, Floats], Floats]


@dataclass(frozen=True, slots=True)
class Grid:
    """The steps of a window: step ``k`` ends at ``start + (k + 1) * step``."""

    start: datetime
    step: timedelta
    steps: int

    @property
    def end(self) -> datetime:
        """When the last step ends."""
        return self.start + self.steps * self.step

    def time(self, step: int) -> float:
        """The Unix time at which step `step` ends."""
        return (self.start + (step + 1) * self.step).timestamp()


@dataclass(frozen=True, slots=True)
class Runs:
    """Stretches of consecutive steps; all values lie one after the other in `values`."""

    lane: Ints
    first: Ints
    count: Ints
    values: Floats


class Lanes:
    """Numbers for label sets, in order of appearance; safe to use from several threads."""

    def __init__(self) -> None:
        self._numbers: dict[bytes, int] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._numbers)

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._numbers)

    def numbers(self, labels: Sequence[bytes]) -> Ints:
        """The number of each label set, new ones getting the next."""
        with self._lock:
            known = self._numbers
            for text in labels:
                if text not in known:
                    parse_labels(text)  # what names no series fails while it can be asked again
            return np.fromiter(
                (known.setdefault(text, len(known)) for text in labels), np.int64, len(labels)
            )


def cut(batch: Batch, lanes: Lanes, grid: Grid, part: tuple[int, int]) -> Runs:
    """Cut a batch into runs; points outside the steps ``part[0]`` to ``part[1]`` are left out.

    Values that cannot be usage (negative, infinite) become NaN, "not observed".
    """
    lane = np.repeat(lanes.numbers(batch.labels), batch.counts)
    place = (batch.times - grid.start.timestamp()) / grid.step.total_seconds() - 1
    cell = np.rint(place)
    if np.abs(place).max(initial=0) > _MOST_CELLS or np.abs(place - cell).max(initial=0) > 1e-3:
        raise MalformedError("the answer holds points at times that were not asked for")
    cell = cell.astype(np.int64)
    values = batch.values.astype(np.float32)
    values[~np.isfinite(values) | (values < 0)] = np.nan
    inside = (cell >= part[0]) & (cell < part[1])
    if not inside.all():
        lane, cell, values = lane[inside], cell[inside], values[inside]
    begins = np.ones(len(cell), dtype=bool)
    begins[1:] = (np.diff(cell) != 1) | (np.diff(lane) != 0)
    begin = np.flatnonzero(begins)
    count = np.diff(np.append(begin, len(cell)))
    return Runs(lane[begin], cell[begin], count, in_own_pages(values))


def in_own_pages(values: Floats) -> Floats:
    """A copy that goes back to the system when it is freed.

    Runs live until usage is assembled from them. Freed into the heap they would stay with the
    process: 300 MB for ten thousand containers.
    """
    if not len(values):
        return values
    pages = np.frombuffer(mmap.mmap(-1, values.nbytes), dtype=np.float32)
    pages[:] = values
    return pages


@dataclass(frozen=True, slots=True)
class Origin:
    """Whose usage a lane holds (`ref`, `pod`), who saw it (`scrape`), and as what (`cgroup`).

    `part` tells the processors of one cgroup apart where an old cAdvisor counts each of them.
    """

    ref: ContainerRef
    pod: str
    scrape: str = ""
    cgroup: str = ""
    part: str = ""


def assemble(
    grid: Grid,
    cpu: list[Runs],
    memory: list[Runs],
    origins: Mapping[int, Origin],
    more: Mapping[str, list[Runs]] | None = None,
    room: Room = IN_MEMORY,
) -> Usage:
    """Build `Usage` in `room` from runs; lanes without an origin are left out. Empties all lists.

    `more` holds the runs of the values that not every usage has, by their names in `Usage`.
    """
    rest = dict(more or {})
    values = (cpu, memory, *rest.values())
    samples = max(sum(len(part.values) for part in parts) for parts in values)
    # Not under a name: a list of all parts would keep alive what is let go below, run by run.
    rows, layout = _lay_out(grid, [part for parts in values for part in parts], origins, room)
    refuse_sparse(int(layout.offset[-1]), samples, grid.start, grid.end, grid.step)
    containers = sorted({ref for ref, _ in rows})
    number = {ref: index for index, ref in enumerate(containers)}
    optional: dict[str, Any] = {n: _fill(runs, layout, np.fmax) for n, runs in rest.items()}
    return Usage(
        start=grid.start,
        step=grid.step,
        steps=grid.steps,
        containers=tuple(containers),
        container=np.fromiter((number[ref] for ref, _ in rows), np.int64, len(rows)),
        pods=tuple(pod for _, pod in rows),
        first=layout.first,
        offset=layout.offset,
        cpu_cores=_fill(cpu, layout, _add),
        memory_bytes=_fill(memory, layout, np.fmax),
        room=room,
        **optional,
    )


def join_days(parts: Sequence[Usage], grid: Grid, room: Room = IN_MEMORY) -> Usage:
    """Put usage of different times onto one grid; where times overlap, the larger value counts.

    Every part must have the grid's step and a start on it.
    """
    lanes: dict[tuple[ContainerRef, str], int] = {}
    runs: dict[str, list[Runs]] = {"cpu_cores": [], "memory_bytes": []}
    listed = {ref for part in parts for ref in part.containers}
    for part in parts:
        lane = np.fromiter(
            (
                lanes.setdefault((part.containers[owner], pod), len(lanes))
                for owner, pod in zip(part.container, part.pods, strict=True)
            ),
            np.int64,
            len(part.pods),
        )
        shift = (part.start - grid.start) // grid.step
        first, count = part.first + shift, np.diff(part.offset)
        for name, values in part.values.items():
            runs.setdefault(name, []).append(Runs(lane, first, count, values))
    origins = {lane: Origin(ref, pod) for (ref, pod), lane in lanes.items()}
    cpu, memory = runs.pop("cpu_cores"), runs.pop("memory_bytes")
    return list_containers(assemble(grid, cpu, memory, origins, runs, room), listed)


def list_containers(usage: Usage, refs: Iterable[ContainerRef]) -> Usage:
    """`usage` with `refs` listed too, be it without a sample."""
    containers = tuple(sorted({*usage.containers, *refs}))
    position = {ref: index for index, ref in enumerate(containers)}
    moved = np.array([position[ref] for ref in usage.containers], dtype=np.int64)
    container = moved[usage.container] if len(moved) else usage.container
    return replace(usage, containers=containers, container=container)


@dataclass(frozen=True, slots=True)
class _Layout:
    """Where each row (one container in one pod) lies in the flat arrays."""

    first: Ints
    offset: Ints
    row_of: Ints
    origins: Mapping[int, Origin]
    lingering: int
    """Steps in which a dead cgroup may still be seen."""
    room: Room = IN_MEMORY


def _lay_out(
    grid: Grid, parts: Sequence[Runs], origins: Mapping[int, Origin], room: Room
) -> tuple[list[tuple[ContainerRef, str]], _Layout]:
    """The rows of which `parts` hold a sample, as container and pod, and where each lies."""
    rows = sorted({(origin.ref, origin.pod) for origin in origins.values()})
    position = {row: index for index, row in enumerate(rows)}
    lanes = max(max(origins, default=-1), _highest_lane(parts)) + 1
    row_of = np.full(lanes, -1, dtype=np.int64)
    for lane, origin in origins.items():
        row_of[lane] = position[origin.ref, origin.pod]
    first, stop = _extents(parts, row_of, len(rows), grid.steps)
    kept = np.flatnonzero(stop > first)
    new_row = np.full(len(rows) + 1, -1, dtype=np.int64)  # the last is that of no row
    new_row[kept] = np.arange(len(kept))
    first, stop = first[kept], stop[kept]
    offset = np.concatenate([[0], np.cumsum(stop - first)]).astype(np.int64)
    lingering = -(-_LINGERING // grid.step)
    layout = _Layout(first, offset, new_row[row_of], origins, lingering, room)
    return [rows[index] for index in kept], layout


def _add(left: Floats, right: Floats) -> Floats:
    """Sum where both are observed, else the one that is."""
    total = np.where(np.isnan(left), right, left + np.where(np.isnan(right), 0, right))
    return total.astype(np.float32)


def _highest_lane(parts: Sequence[Runs]) -> int:
    return max((int(part.lane.max(initial=-1)) for part in parts), default=-1)


def _extents(parts: Sequence[Runs], row_of: Ints, rows: int, steps: int) -> tuple[Ints, Ints]:
    first = np.full(rows, steps, dtype=np.int64)
    stop = np.zeros(rows, dtype=np.int64)
    for part in parts:
        row = row_of[part.lane]
        known = row >= 0
        np.minimum.at(first, row[known], part.first[known])
        np.maximum.at(stop, row[known], (part.first + part.count)[known])
    return first, stop


def _fill(parts: list[Runs], layout: _Layout, merge: Merge) -> Floats:
    """One flat array with every run in its place; `merge` joins the cgroups of one scrape."""
    out = layout.room.floats(int(layout.offset[-1]))
    out[:] = np.nan
    tangled = _tangled(parts, layout)
    pieces: dict[int, list[tuple[int, int, Floats]]] = {}
    while parts:
        part = parts.pop()
        row = layout.row_of[part.lane]
        alone = (row >= 0) & ~tangled[row]
        source = np.concatenate([[0], np.cumsum(part.count)])[:-1]
        _scatter(part, source, alone, row, layout, out)
        for run in np.flatnonzero((row >= 0) & tangled[row]):
            values = part.values[source[run] : source[run] + part.count[run]]
            pieces.setdefault(int(row[run]), []).append(
                (int(part.lane[run]), int(part.first[run]), values)
            )
    for row_number, runs in pieces.items():
        low, high = layout.offset[row_number], layout.offset[row_number + 1]
        out[low:high] = _merge_row(
            runs, int(layout.first[row_number]), int(high - low), layout, merge
        )
    return out


def _tangled(parts: Sequence[Runs], layout: _Layout) -> npt.NDArray[np.bool_]:
    """Which rows have several lanes, or a lane that says two things of one step."""
    rows = len(layout.first)
    lane = np.concatenate([part.lane for part in parts]) if parts else np.zeros(0, np.int64)
    first = np.concatenate([part.first for part in parts]) if parts else lane
    count = np.concatenate([part.count for part in parts]) if parts else lane
    row = layout.row_of[lane]
    present = np.unique(lane[row >= 0])
    lanes_per_row = np.bincount(layout.row_of[present], minlength=rows)
    tangled = np.append(lanes_per_row > 1, False)
    order = np.lexsort((first, lane))
    lane, first, count, row = lane[order], first[order], count[order], row[order]
    overlap = (np.diff(lane) == 0) & (first[1:] < first[:-1] + count[:-1])
    tangled[row[1:][overlap]] = True
    tangled[-1] = False
    return tangled


def overlapping(parts: Sequence[Runs]) -> bool:
    """Whether some lane says two things of one step."""
    if not parts:
        return False
    lane = np.concatenate([part.lane for part in parts])
    first = np.concatenate([part.first for part in parts])
    count = np.concatenate([part.count for part in parts])
    order = np.lexsort((first, lane))
    lane, first, count = lane[order], first[order], count[order]
    return bool(((np.diff(lane) == 0) & (first[1:] < first[:-1] + count[:-1])).any())


def _scatter(
    part: Runs,
    source: Ints,
    chosen: npt.NDArray[np.bool_],
    row: Ints,
    layout: _Layout,
    out: Floats,
) -> None:
    count = part.count[chosen]
    if not len(count):
        return
    source = source[chosen]
    target = layout.offset[row[chosen]] + part.first[chosen] - layout.first[row[chosen]]
    ends = np.cumsum(count)
    low = 0
    while low < len(count):
        # A few thousand points at a time, because every index takes twice a value's memory.
        begin = ends[low] - count[low]
        high = max(low + 1, int(np.searchsorted(ends, begin + _AT_ONCE)))
        some = slice(low, high)
        steps = np.arange(ends[high - 1] - begin) - np.repeat(
            ends[some] - count[some] - begin, count[some]
        )
        values = part.values[np.repeat(source[some], count[some]) + steps]
        out[np.repeat(target[some], count[some]) + steps] = values
        low = high


def _merge_row(
    runs: Sequence[tuple[int, int, Floats]], first: int, length: int, layout: _Layout, merge: Merge
) -> Floats:
    """Largest over scrapes of the merged cgroups of each, each the largest over its lanes."""
    scrapes: dict[str, dict[str, dict[str, Floats]]] = {}
    for lane, begin, values in runs:
        origin = layout.origins[lane]
        parts = scrapes.setdefault(origin.scrape, {}).setdefault(origin.cgroup, {})
        if origin.part not in parts:
            parts[origin.part] = np.full(length, np.nan, dtype=np.float32)
        where = slice(begin - first, begin - first + len(values))
        target = parts[origin.part]
        target[where] = np.fmax(target[where], values)
    whole = np.full(length, np.nan, dtype=np.float32)
    for cgroups in scrapes.values():
        lives = [functools.reduce(merge, parts.values()) for parts in cgroups.values()]
        for values in _follow(lives, layout.lingering, merge):
            whole = np.fmax(whole, values)
    return whole


def _follow(lives: Sequence[Floats], lingering: int, merge: Merge) -> list[Floats]:
    """Merge the cgroups that follow one another; what lived side by side stays apart.

    Each cgroup, in order of its first step, continues the line that ended last before it began,
    give or take `lingering` steps, or begins one of its own.
    """
    lines: list[tuple[int, int, Floats]] = []
    seen = [np.flatnonzero(~np.isnan(values)) for values in lives]
    order = sorted((int(s[0]), int(s[-1]), n) for n, s in enumerate(seen) if len(s))
    for begin, end, number in order:
        ended = [
            n
            for n, (last, stop, _) in enumerate(lines)
            if last < begin and stop - lingering < begin
        ]
        if ended:
            chosen = max(ended, key=lambda n: lines[n][1])
            _, stop, values = lines[chosen]
            lines[chosen] = begin, max(stop, end), merge(values, lives[number])
        else:
            lines.append((begin, end, lives[number]))
    return [values for _, _, values in lines]
