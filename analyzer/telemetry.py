"""The gate between reading and learning: what of the usage can be believed.

Counters freeze, wrap and jump, a kubelet that looks into the wrong cgroup reports zero bytes, and
all of it looks like usage to a quantile. `gate` turns such samples into NaN, "not observed", and
tells per container what it took away, so that no amount rests on a fault and everybody can see
why less was observed than was read. Nothing else moves: what is believed stays as it was read.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from analyzer.quantity import Memory
from analyzer.tables import NAMES, VALUES
from analyzer.usage import MOST, Floats, Ints, Recording, Usage
from analyzer.workload import ContainerRef

Mask = npt.NDArray[np.bool_]
Resource = Literal["cpu", "memory"]
RESOURCES: tuple[Resource, Resource] = ("cpu", "memory")
Fault = Literal["impossible", "zero", "frozen", "above node", "above limit"]

ROOM_ABOVE_NODE = 1.5
"""A node has up to a third more than it can give to pods, and a rate overshoots a little."""
MOST_CORES, MOST_MEMORY = 2048.0, 64 * 1024.0**4
"""What no machine has that one can rent, for clusters whose nodes are unknown."""
CPU_ABOVE_LIMIT, MEMORY_ABOVE_LIMIT = 2.0, 1.1
"""How far usage may seem to pass a limit that the kernel enforces: by the jitter of scrapes."""
FROZEN_FOR = timedelta(hours=1)
_FROZEN_SAMPLES = 6
_MOVING = 0.25


@dataclass(frozen=True, slots=True)
class Verdict:
    """What of one resource of one container is not believed, and why.

    `samples` of `observed` are not; `reason` is a sentence about them. Where all are not, nothing
    is left to go by, and what is declared stays.
    """

    ref: ContainerRef
    resource: Resource
    fault: Fault
    samples: int
    observed: int
    reason: str


def gate(recording: Recording) -> tuple[Recording, tuple[Verdict, ...]]:
    """`recording` without the samples that cannot be usage, and a verdict on each kind of them.

    Not believed are, in this order: numbers below zero and infinite ones; a working set of exactly
    zero; more than the largest node has (or any machine, where nodes are unknown) or than the
    container's own limit lets through, with the steps beside it, whose rates share the scrapes; a
    CPU counter that stands still for an hour and more while memory moves. Events after the end of
    the window are left out; amounts in the other tables that are none count as not known, which
    `meta.warnings` tells. Raises nothing.
    """
    tables = {name: _plausible(recording.tables[name]) for name in ("specs", "events", "days")}
    warnings = [
        f"{count} amounts in the {name} table are negative, infinite or absurd; they count as not "
        "known"
        for name, (_, count) in tables.items()
        if count
    ]
    events = tables["events"][0]
    recording = replace(
        recording,
        meta=replace(recording.meta, warnings=(*recording.meta.warnings, *warnings)),
        specs=tables["specs"][0],
        events=events[events["timestamp"] <= recording.meta.end],
        days=_possible_days(tables["days"][0], _bounds(recording, "memory").node),
    )
    found = _Found(recording.usage)
    for name in recording.usage.values:
        _judge_values(found, name, _bounds(recording, _resource(name)))
    _judge_standstill(found)
    usage = replace(recording.usage, **found.arrays) if found.arrays else recording.usage
    return replace(recording, usage=usage), tuple(found.verdicts())


def _resource(name: str) -> Resource:
    return "cpu" if name.startswith("cpu") else "memory"


def _plausible(table: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    """`table` with NaN for numbers that are no amount of anything, and how many those were."""
    changed: dict[str, Any] = {}
    count = 0
    for name in map(str, table.columns):
        if table[name].dtype.kind != "f":
            continue
        wrong = (table[name] < 0) | (table[name] > MOST)
        if wrong.any():
            changed[name] = table[name].mask(wrong)
            count += int(wrong.sum())
    return (table.assign(**changed) if changed else table), count


def _possible_days(days: pd.DataFrame, most: float) -> pd.DataFrame:
    """Daily summaries without peaks of nothing, or of more than any node has."""
    peaks = days["memory_peak_bytes"]
    wrong = (peaks == 0) | (peaks > most)
    return days.assign(memory_peak_bytes=peaks.mask(wrong)) if wrong.any() else days


@dataclass(frozen=True)
class _Bounds:
    """What no sample can pass: on any node, and per container by its limit, known from a step on.

    Infinite where no limit is known, or was none for some of the time. Samples may pass a limit
    by `factor`.
    """

    node: float
    node_text: str
    factor: float
    limit: npt.NDArray[np.float64]
    since: Ints


def _bounds(recording: Recording, resource: Resource) -> _Bounds:
    unit = "cores" if resource == "cpu" else "bytes"
    most = MOST_CORES if resource == "cpu" else MOST_MEMORY
    nodes = [node.get(f"{resource}_allocatable_{unit}") for node in recording.meta.nodes]
    sizes = [float(size) for size in nodes if isinstance(size, int | float) and size > 0]
    said = f"any machine has ({_amount(resource, most)})"
    if sizes:
        said = f"the largest node has ({_amount(resource, max(sizes))})"
        # A request says what some node had: nodes come and go, and some are not shown.
        asked = recording.specs[f"{resource}_request_{unit}"].max()
        most = min(most, ROOM_ABOVE_NODE * max(*sizes, asked if asked > 0 else 0.0))
    limits, since = _limits(recording, f"{resource}_limit_{unit}")
    factor = CPU_ABOVE_LIMIT if resource == "cpu" else MEMORY_ABOVE_LIMIT
    return _Bounds(most, said, factor, limits, since)


def _limits(recording: Recording, column: str) -> tuple[npt.NDArray[np.float64], Ints]:
    """Per container the highest limit it ever had, and the step from which it is known."""
    usage = recording.usage
    limits = np.full(len(usage.containers), np.inf)
    since = np.full(len(usage.containers), usage.steps, dtype=np.int64)
    rows = recording.specs.groupby(NAMES, sort=False, observed=True)
    highest = rows[column].max().where(rows[column].count() == rows.size()).dropna()
    first = rows["first_seen"].min().where(rows["first_seen"].count() == rows.size())
    # As dicts: a look-up in a Series with a MultiIndex takes a hundred times as long.
    known: dict[Any, float] = highest.to_dict()
    begun: dict[Any, Any] = first.to_dict()
    for index, ref in enumerate(usage.containers):
        key = (ref.namespace, ref.kind, ref.workload, ref.container)
        limit, moment = known.get(key, 0.0), begun.get(key)
        if limit > 0 and not pd.isna(moment):
            limits[index] = limit
            since[index] = max(0, (moment.to_pydatetime() - usage.start) // usage.step)
    return limits, since


@dataclass
class _Tally:
    """What was taken from one resource of one container for one fault."""

    samples: int = 0
    worst: float = -np.inf
    bound: str = ""


class _Found:
    """What was taken away so far: new arrays by name, and a tally by container and fault."""

    def __init__(self, usage: Usage) -> None:
        self.usage = usage
        self.arrays: dict[str, Any] = {}
        self._tallies: dict[tuple[int, Resource, Fault], _Tally] = {}

    def values(self, name: str, series: int | None = None) -> Floats:
        """The values as they are by now, of one series or of all."""
        array: Floats = self.arrays.get(name, self.usage.values[name])
        return array if series is None else array[self._where(series)]

    def take(self, name: str, series: int, mask: Mask, fault: Fault, bound: str = "") -> None:
        """The samples of `series` under `mask` are not believed; `bound` is what they pass."""
        values = self.values(name, series)
        mask = mask & ~np.isnan(values)
        if not mask.any():
            return
        if name not in self.arrays:
            self.arrays[name] = self.usage.room.copy(self.usage.values[name])
            values = self.values(name, series)
        worst = float(values[mask].max())
        values[mask] = np.nan
        if name in VALUES[:2]:  # no amount rests on the others alone
            key = (int(self.usage.container[series]), _resource(name), fault)
            tally = self._tallies.setdefault(key, _Tally())
            tally.samples += int(mask.sum())
            tally.worst = max(tally.worst, worst)
            tally.bound = bound

    def verdicts(self) -> Iterator[Verdict]:
        """One for each container, resource and fault, in this order."""
        for (index, resource, fault), tally in sorted(self._tallies.items(), key=lambda t: t[0]):
            values = self.usage.cpu_cores if resource == "cpu" else self.usage.memory_bytes
            observed = int((~np.isnan(values[self.usage.span(index)])).sum())
            hours = tally.samples * (self.usage.step / timedelta(hours=1))
            yield Verdict(
                ref=self.usage.containers[index],
                resource=resource,
                fault=fault,
                samples=tally.samples,
                observed=observed,
                reason=_reason(resource, fault, tally, observed, hours),
            )

    def _where(self, series: int) -> slice:
        return slice(int(self.usage.offset[series]), int(self.usage.offset[series + 1]))


def _judge_values(found: _Found, name: str, bounds: _Bounds) -> None:
    """Take what lies outside of what the container could use, and zeros of the working set."""
    usage, values = found.usage, found.values(name)
    begins = usage.offset[:-1]
    lowest, highest = np.fmin.reduceat(values, begins), np.fmax.reduceat(values, begins)
    limits = bounds.factor * bounds.limit[usage.container]
    suspect = (lowest < 0) | (highest > np.minimum(bounds.node, limits))
    if name == "memory_bytes":
        suspect |= lowest == 0
    for series in np.flatnonzero(suspect).tolist():
        stretch = found.values(name, series).copy()
        found.take(name, series, (stretch < 0) | np.isinf(stretch), "impossible")
        if name == "memory_bytes":
            found.take(name, series, stretch == 0, "zero")
        found.take(name, series, _above(name, stretch, bounds.node), "above node", bounds.node_text)
        container = int(usage.container[series])
        above = _above(name, stretch, float(limits[series]))
        above &= usage.first[series] + np.arange(len(stretch)) >= bounds.since[container]
        limit = _amount(_resource(name), float(bounds.limit[container]))
        found.take(name, series, above, "above limit", f"its own limit lets through ({limit})")


def _above(name: str, values: Floats, bound: float) -> Mask:
    """Which values pass `bound`; of rates also the steps beside, which share their scrapes."""
    above: Mask = values > bound
    if name != "cpu_cores":
        return above
    wide = above.copy()
    wide[1:] |= above[:-1]
    wide[:-1] |= above[1:]
    return wide


def _judge_standstill(found: _Found) -> None:
    """Take CPU that is exactly zero for long while memory moves, or was not to be believed."""
    usage = found.usage
    least = max(_FROZEN_SAMPLES, math.ceil(FROZEN_FOR / usage.step))
    lowest = np.fmin.reduceat(found.values("cpu_cores"), usage.offset[:-1])
    for series in np.flatnonzero(lowest == 0).tolist():
        cpu = found.values("cpu_cores", series)
        seen = np.flatnonzero(~np.isnan(cpu))
        zero = cpu[seen] == 0
        if zero.sum() < least:
            continue
        read = usage.memory_bytes[usage.offset[series] : usage.offset[series + 1]][seen]
        believed = found.values("memory_bytes", series)[seen]
        moved = ~np.isnan(read) & np.isnan(believed)
        moved[1:] |= np.abs(np.diff(believed)) > 0
        mask = np.zeros(len(cpu), dtype=bool)
        mask[seen[_runs_that_move(zero, moved, least)]] = True
        found.take("cpu_cores", series, mask, "frozen")


def _runs_that_move(zero: Mask, moved: Mask, least: int) -> Mask:
    """Which samples lie in a run of at least `least` zeros in which a quarter moved."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], zero, [False]])))
    begins, ends = edges[::2], edges[1::2]
    count = np.concatenate([[0], np.cumsum(moved)])
    lengths = ends - begins
    frozen = (lengths >= least) & (count[ends] - count[begins] >= _MOVING * lengths)
    change = np.zeros(len(zero) + 1, dtype=np.int64)
    change[begins[frozen]] += 1
    change[ends[frozen]] -= 1
    return np.cumsum(change)[:-1] > 0


def _reason(resource: Resource, fault: Fault, tally: _Tally, observed: int, hours: float) -> str:
    if fault == "frozen":
        length = f"{hours / 24:.1f} days" if hours >= 48 else f"{hours:.1f} hours"
        return (
            f"the CPU counter stood still for {length}, though its memory moved or cannot be "
            f"believed either{_END}"
        )
    what = "CPU" if resource == "cpu" else "memory"
    share = f"{tally.samples} of {observed} {what} samples"
    if fault == "impossible":
        return f"{share} are negative or infinite{_END}"
    if fault == "zero":
        return f"{share} read exactly 0 bytes, which no running container uses{_END}"
    return f"{share}, up to {_amount(resource, tally.worst)}, are more than {tally.bound}{_END}"


_END = "; that counts as not observed"


def _amount(resource: Resource, value: float) -> str:
    if resource == "cpu":
        return f"{value:.3g} cores"
    return Memory.from_bytes(value).human() if 0 <= value < MOST else f"{value:.3g} bytes"
