"""Histories: what each container used, with its settings and events, ready for the models.

`build_histories` turns a `Recording` into `Histories`: everything about all containers at once,
aligned by index. `Histories.of` gives one `History` to look at. The ledger is kept here too: a
container that comes in leaves as recommended or as `Skipped`, never silently.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from analyzer.by_container import Workers, by_container, name_of, part
from analyzer.daily import Daily, summarise
from analyzer.existence import settle
from analyzer.quantity import Memory
from analyzer.scheduling import Scheduling
from analyzer.series import unite
from analyzer.spec import Spec, period, read_specs
from analyzer.tables import NAMES, no_days, no_pods
from analyzer.telemetry import RESOURCES, Resource, Verdict, gate
from analyzer.usage import Meta, Recording, Usage
from analyzer.workload import ContainerRef, WorkloadRef

Array = npt.NDArray[np.float64]


SkipCode = Literal[
    "gone", "unobserved", "unbelieved", "few samples", "undecided", "off", "invalid", "untold"
]  # fmt: skip
"""What became of a container that is skipped: it runs no more, was not seen, was not to be
believed, was seen too little, the model cannot tell, the policy is off, its annotations are wrong;
and what earlier versions did not tell."""


@dataclass(frozen=True, slots=True)
class Skipped:
    """A container that gets no recommendation, and why: in a sentence, and as what is counted."""

    ref: ContainerRef
    reason: str
    code: SkipCode = "untold"


_SAMPLES_AS_DEAR_AS_A_CONTAINER = 2000


@dataclass(frozen=True)
class History:
    """One container's past, for looking at; arrays are views of `Histories.usage`."""

    ref: ContainerRef
    spec: Spec
    specs: tuple[Spec, ...]
    events: pd.DataFrame
    frame: pd.DataFrame


@dataclass(frozen=True, repr=False)
class Histories:
    """All containers of one window, aligned: index ``i`` is ``usage.containers[i]`` everywhere."""

    meta: Meta
    usage: Usage
    specs: tuple[tuple[Spec, ...], ...]
    events: pd.DataFrame
    skipped: tuple[Skipped, ...] = ()
    verdicts: tuple[Verdict, ...] = ()
    """What of the usage that was read is not believed."""
    gone: Mapping[ContainerRef, str] = field(default_factory=dict)
    """Containers that exist no more, and what became of them; they get no amounts."""
    renamed: Mapping[ContainerRef, ContainerRef] = field(default_factory=dict)
    """The name of now of containers that went on under another name within the window."""
    runs: Mapping[ContainerRef, tuple[str, ...]] = field(default_factory=dict)
    """The workloads that were united as runs of one series, by the series."""
    pods: pd.DataFrame = field(default_factory=no_pods)
    """What is known of the pods of all containers, as `validate_pods` says."""
    days: pd.DataFrame = field(default_factory=no_days)
    """Daily summaries, also of days before the window, as `validate_days` says."""
    silent: Mapping[ContainerRef, Spec] = field(default_factory=dict)
    """How containers are set up that exist and were never observed, such as short starts."""
    scheduling: Mapping[WorkloadRef, Scheduling] = field(default_factory=dict)
    """All that the pods of a workload ask of nodes, where its description is known."""
    workers: Workers | None = field(default=None, compare=False)
    """Who works on the samples container by container; None for the process that asks."""
    found: dict[str, Any] = field(default_factory=dict, init=False, compare=False)
    """What is known `by_container` already, by the name of what found it."""

    def __repr__(self) -> str:
        return f"<Histories of {self.meta.cluster}: {self.usage!r}, {len(self.skipped)} skipped>"

    def __len__(self) -> int:
        return len(self.usage.containers)

    def __iter__(self) -> Iterator[ContainerRef]:
        return iter(self.usage.containers)

    @property
    def containers(self) -> tuple[ContainerRef, ...]:
        """Every container with samples, in the order of all arrays."""
        return self.usage.containers

    @cached_property
    def position(self) -> dict[ContainerRef, int]:
        """Index of each container."""
        return {ref: index for index, ref in enumerate(self.usage.containers)}

    def spec(self, index: int) -> Spec:
        """How container `index` is set up now; all defaults where the source does not know."""
        periods = self.specs[index]
        return periods[-1] if periods else Spec()

    @cached_property
    def _verdicts_by_ref(self) -> dict[ContainerRef, list[Verdict]]:
        by_ref: dict[ContainerRef, list[Verdict]] = {}
        for verdict in self.verdicts:
            by_ref.setdefault(verdict.ref, []).append(verdict)
        return by_ref

    @cached_property
    def owner_of_pod(self) -> dict[tuple[str, str], str]:
        """The object that made each pod, by namespace and pod, where that is known."""
        known = self.pods[self.pods["owner"].notna()]
        keys = zip(known["namespace"], known["pod"], strict=True)
        return dict(zip(keys, known["owner"], strict=True))

    @cached_property
    def _rows_of_workload(self) -> dict[WorkloadRef, list[int]]:
        names = ("namespace", "workload_kind", "workload")
        found: dict[WorkloadRef, list[int]] = {}
        for row, of in enumerate(zip(*(self.pods[name].tolist() for name in names), strict=True)):
            found.setdefault(WorkloadRef(self.meta.cluster, *of), []).append(row)
        return found

    def pods_of(self, index: int) -> pd.DataFrame:
        """What is known of the pods of the workload of container `index`."""
        return self.pods.iloc[self._rows_of_workload.get(self.containers[index].workload_ref, [])]

    @cached_property
    def last_starts(self) -> dict[ContainerRef, float]:
        """The highest memory, in bytes, in the last start that summaries of days before hold."""
        days = self.days
        known = days[days["start_peak_bytes"].notna() & (days["day"] < self.usage.start)]
        rows = known.sort_values(["day", "start_peak_bytes"], kind="stable")
        names = zip(*(rows[name] for name in NAMES), strict=True)
        refs = (ContainerRef(self.meta.cluster, *map(str, each)) for each in names)
        return dict(zip(refs, rows["start_peak_bytes"].astype(float), strict=True))

    def verdicts_of(self, index: int) -> list[Verdict]:
        """What of the usage of container `index` is not believed."""
        return self._verdicts_by_ref.get(self.containers[index], [])

    def told_of(self, index: int) -> list[str]:
        """What a reader has to know of how the history of container `index` came about."""
        told = [verdict.reason for verdict in self.verdicts_of(index)]
        runs = self.runs.get(self.containers[index])
        if runs:
            told.append(f"{len(runs)} runs of one series, from {runs[0]} to {runs[-1]}")
        return told

    def unbelieved(self, index: int) -> dict[Resource, str]:
        """The resources of which container `index` has nothing left to go by, and why."""
        verdicts = self.verdicts_of(index)
        gone = {}
        for resource in RESOURCES:
            of = [verdict for verdict in verdicts if verdict.resource == resource]
            if of and sum(verdict.samples for verdict in of) == of[0].observed:
                gone[resource] = " and ".join(verdict.reason for verdict in of)
        return gone

    def of(self, ref: ContainerRef) -> History:
        """Everything about one container. Raises KeyError where it has no samples."""
        index = self.position[ref]
        return History(
            ref=ref,
            spec=self.spec(index),
            specs=self.specs[index],
            events=self.events_of(index),
            frame=self.samples(index),
        )

    def events_of(self, index: int) -> pd.DataFrame:
        """The events of container `index`, oldest first."""
        low, high = np.searchsorted(self.events["index"], [index, index + 1])
        return self.events.iloc[low:high]

    def samples(self, index: int) -> pd.DataFrame:
        """Samples of container `index`: pod, timestamp, cpu_cores, memory_bytes."""
        usage, where = self.usage, self.usage.span(index)
        low, high = usage.bounds[index], usage.bounds[index + 1]
        lengths = np.diff(usage.offset[low : high + 1])
        seconds = (usage.sample_steps(index) + 1) * usage.step.total_seconds()
        return pd.DataFrame(
            {
                "pod": np.repeat(np.asarray(usage.pods[low:high], dtype=object), lengths),
                "timestamp": pd.Timestamp(usage.start).as_unit("s")
                + pd.to_timedelta(seconds, unit="s").as_unit("s"),
                "cpu_cores": usage.cpu_cores[where],
                "memory_bytes": usage.memory_bytes[where],
            }
        )

    @property
    def costs(self) -> npt.NDArray[np.int64]:
        """What work on each container costs, about: its samples, and what any container takes."""
        ends = self.usage.offset[self.usage.bounds]
        return np.diff(ends) + _SAMPLES_AS_DEAR_AS_A_CONTAINER

    @property
    def processes(self) -> int:
        """How many processes may share the work that needs no samples."""
        return 1 if self.workers is None else self.workers.processes

    @property
    def daily(self) -> Daily:
        """Daily summaries of every container, computed once."""
        return _daily(self)

    def between(self, begin: int, stop: int) -> Histories:
        """What was known at the end of step `stop`, from step `begin` on.

        Every container stays listed, with no samples where it was not there. Events after `stop`
        are gone, and so are settings first seen after it and what was found to exist no more:
        nothing of the future is left but the settings of a container whose source does not say
        since when they hold.
        """
        usage = self.usage.between(begin, stop)
        end = usage.end
        since = pd.Timestamp(usage.start)
        moments = self.events["timestamp"]
        events = self.events[(moments > since) & (moments <= pd.Timestamp(end))]
        view = replace(
            self,
            meta=replace(self.meta, start=usage.start, end=end),
            usage=usage,
            specs=tuple(
                tuple(s for s in periods if s.first_seen is None or s.first_seen <= end)
                for periods in self.specs
            ),
            events=events.reset_index(drop=True),
            gone={},
            renamed={},
            pods=_pods_until(self.pods, end),
            days=self.days[self.days["day"] + pd.Timedelta(days=1) <= end].reset_index(drop=True),
            workers=self.workers and self.workers.between(begin, stop),
        )
        daily = self._daily_between(max(0, begin), min(stop, self.usage.steps))
        if daily is not None:
            view.found[_DAILY] = daily
        return view

    def part(self, rows: slice) -> Histories:
        """Only the containers in `rows`, which lie side by side; nothing of theirs is copied.

        What is kept by name (pods, verdicts and the like) is still that of all of them.
        """
        low, high, _ = rows.indices(len(self))
        first, last = np.searchsorted(self.events["index"], [low, high])
        events = self.events.iloc[first:last].reset_index(drop=True)
        only = replace(
            self,
            usage=self.usage.part(rows),
            specs=self.specs[rows],
            events=events.assign(index=events["index"] - low),
            workers=None,
        )
        only.found.update({name: part(value, rows) for name, value in self.found.items()})
        return only

    def without_samples(self) -> Histories:
        """The same containers with their settings and events, and nothing of what they used."""
        return replace(self, usage=self.usage.without_samples(), workers=None)

    def _daily_between(self, begin: int, stop: int) -> Daily | None:
        """The columns of `daily` that make up the steps, where both ends are ends of days."""
        per_day = self.usage.steps_per_day
        behind, length = self.usage.steps - stop, stop - begin
        if behind % per_day or length % per_day:
            return None
        days = self.daily.samples.shape[1]
        columns = slice(days - (behind + length) // per_day, days - behind // per_day)
        daily = self.daily
        return Daily(
            daily.memory_peak[:, columns],
            daily.cpu_mean[:, columns],
            daily.cpu_p95[:, columns],
            daily.cpu_peak[:, columns],
            daily.samples[:, columns],
        )


@by_container
def _daily(histories: Histories) -> Daily:
    return summarise(histories.usage)


_DAILY = name_of(_daily)


def build_histories(recording: Recording) -> Histories:
    """Join usage, specs and events of `recording` per container, as far as they can be believed.

    Containers that were never observed come out as `Skipped`. Those that exist no more stay, for
    they tell how containers behave, and are named in `gone`.
    """
    recording, verdicts = gate(recording)
    recording, runs = unite(recording)
    recording, gone, renamed = settle(recording, runs)
    usage = recording.usage
    cluster = recording.meta.cluster
    seen = np.array([_observed(usage, i) for i in range(len(usage.containers))], dtype=bool)
    if not seen.all():
        usage = usage.select(seen)
    position = {ref: index for index, ref in enumerate(usage.containers)}
    specs: list[list[Spec]] = [[] for _ in usage.containers]
    never: dict[ContainerRef, None] = {
        ref: None for ref, kept in zip(recording.usage.containers, seen, strict=True) if not kept
    }
    silent: dict[ContainerRef, Spec] = {}
    for ref, spec in read_specs(recording.specs, cluster):
        if ref in position:
            specs[position[ref]].append(spec)
            continue
        never[ref] = None
        if ref not in gone:
            silent[ref] = max(silent.get(ref, spec), spec, key=period)
    return Histories(
        meta=recording.meta,
        usage=usage,
        specs=tuple(tuple(sorted(periods, key=period)) for periods in specs),
        events=_index_events(recording.events, recording.meta, position),
        skipped=(
            *(Skipped(ref, gone[ref], "gone") for ref in sorted(never.keys() & gone)),
            *_skip_unseen(sorted(never.keys() - gone), recording, verdicts),
        ),
        verdicts=verdicts,
        gone=gone,
        renamed=renamed,
        runs=runs,
        pods=recording.pods,
        days=recording.days,
        silent=silent,
    )


def _skip_unseen(
    refs: Sequence[ContainerRef], recording: Recording, verdicts: Sequence[Verdict]
) -> Iterator[Skipped]:
    """Why each of the containers without a sample to go by has none, as far as that is known."""
    events = recording.events
    kills = events[events["kind"] == "oom_kill"].groupby(NAMES, observed=True)["value"]
    count, limit = kills.size(), kills.max()
    for ref in refs:
        doubts = [verdict.reason for verdict in verdicts if verdict.ref == ref]
        key = (ref.namespace, ref.kind, ref.workload, ref.container)
        killed = int(count.get(key, 0))
        if doubts:
            yield Skipped(ref, "; ".join(doubts), "unbelieved")
        elif killed:
            at = limit[key]
            where = "" if pd.isna(at) else f" at {Memory.from_bytes(float(at)).human()}"
            times = "once" if killed == 1 else f"{killed} times"
            yield Skipped(
                ref,
                f"it was OOM-killed {times}{where} before any usage could be observed; "
                "raise its memory limit by hand",
                "unobserved",
            )
        else:
            yield Skipped(ref, "no usage was observed in the window", "unobserved")


def _pods_until(pods: pd.DataFrame, end: datetime) -> pd.DataFrame:
    """The pods as they were known at `end`: later ones are gone, and so are later ends."""
    then = pods[~(pods["started"] > end)].reset_index(drop=True)
    return then.assign(ended=then["ended"].where(~(then["ended"] > end)))


def check_ledger(
    known: Sequence[ContainerRef],
    recommended: Sequence[ContainerRef],
    skipped: Sequence[ContainerRef],
) -> None:
    """Raise `AssertionError` unless every known container came out exactly once."""
    out = sorted([*recommended, *skipped])
    if out != sorted(known):
        lost = set(known) - set(out)
        raise AssertionError(
            f"{len(known)} containers came in, {len(out)} came out; "
            f"lost: {', '.join(map(str, sorted(lost)[:3])) or 'none (some twice)'}"
        )


def _observed(usage: Usage, index: int) -> bool:
    where = usage.span(index)
    return not (
        np.isnan(usage.cpu_cores[where]).all() and np.isnan(usage.memory_bytes[where]).all()
    )


def _index_events(
    frame: pd.DataFrame, meta: Meta, position: Mapping[ContainerRef, int]
) -> pd.DataFrame:
    """Events of the window with the index of their container, sorted by it; no strangers'."""
    inside = (frame["timestamp"] > meta.start) & (frame["timestamp"] <= meta.end)
    frame = frame[inside]
    refs = zip(*(frame[name] for name in NAMES), strict=True)
    index = np.array(
        [position.get(ContainerRef(meta.cluster, *ref), -1) for ref in refs], dtype=int
    )
    columns = frame[["pod", "timestamp", "kind", "value"]].assign(index=index)
    columns = columns[columns["index"] >= 0]
    return columns.sort_values(["index", "timestamp"], kind="stable", ignore_index=True)
