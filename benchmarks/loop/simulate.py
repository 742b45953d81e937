"""Weeks of reviews in a world that answers: what is proposed is merged, and the world lives on.

`simulate` lets every workload live a week, shows the last weeks to an adviser as a `Recording`,
merges what a strategy merges, and goes on; `Score` says what came of it.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Literal

import numpy as np
import pandas as pd

from analyzer.quantity import TARGETS, Cpu, Memory, Resources
from analyzer.tables import NAMES, validate_events, validate_specs
from analyzer.usage import Meta, Recording, Usage
from analyzer.workload import ContainerRef
from benchmarks.loop.life import Lived, live
from benchmarks.loop.worlds import NODE_CORES, NODE_MIB, Given, Workload

START = datetime(2026, 1, 5, tzinfo=UTC)
"""A Monday."""
MIB = 1024**2
SETTLED = 6
"""From this week on decisions are expected to have settled."""

HALF_YEAR = 26

EARLY, TOO_LARGE = 4, 3.0
"""After so many weeks of a workload no request should exceed so many times its need."""

EQUAL_RISK = 0.05
"""Footprints are compared where so many container-weeks need more than is requested."""

Merge = Literal["all", "late", "some", "none", "rejected", "edited"]
MERGES: tuple[Merge, ...] = ("all", "late", "some", "none", "rejected", "edited")


@dataclass(frozen=True)
class Proposal:
    """What is proposed for a container; `stated` is the chance of a kill until the next review."""

    resources: Resources
    stated: float = 0.0


@dataclass(frozen=True)
class Seen:
    """What an adviser is shown at a review, and what a foreseeing one knows besides."""

    recording: Recording
    ahead: Mapping[ContainerRef, tuple[float, float]]


Adviser = Callable[[Seen], Mapping[ContainerRef, Proposal]]
"""From the last weeks to changes: what it leaves out stays as it is."""


@dataclass
class Actor:
    """A workload with what it is given now, and what became of it."""

    workload: Workload
    given: Given
    weeks: list[Lived] = field(default_factory=list)
    periods: list[tuple[int, Given]] = field(default_factory=list)
    stated: float | None = None
    """The chance of a kill that was stated for the limit it has; None before the first change."""
    moved: dict[str, int] = field(default_factory=dict)
    """Which way each amount moved last."""
    open: Resources | None = None
    turned: dict[str, list[int]] = field(default_factory=dict)
    """The weeks in which each amount moved the other way than before."""
    most_need: tuple[float, float] = (0.0, 0.0)
    """The most that any week so far needed of CPU, and of memory or held of it."""
    busiest: float = 0.0
    """The most CPU that any pod has used in one step so far."""
    killed_at: float = 0.0
    """The highest memory limit at which it was killed."""

    @property
    def most_reversals(self) -> int:
        """How often it turned around within half a year, at most: whichever amounts did."""
        return _most_within({week for weeks in self.turned.values() for week in weeks})

    @property
    def most_of_one(self) -> int:
        """How often one of its amounts turned around within half a year, at most."""
        return max(map(_most_within, self.turned.values()), default=0)


def _most_within(weeks: Collection[int]) -> int:
    counts = [sum(0 <= week - since < HALF_YEAR for week in weeks) for since in weeks]
    return max(counts, default=0)


@dataclass
class Score:
    """What came of one adviser in one world; shares and ratios are made by `summary`."""

    containers: int = 0
    weeks: int = 0
    kills: int = 0
    harm: int = 0
    """Container-weeks with a kill at a limit that was proposed, by what the first one survives."""
    stated: float = 0.0
    above: float = 0.0
    cpu: list[tuple[float, float]] = field(default_factory=list)
    memory: list[tuple[float, float]] = field(default_factory=list)
    changes: int = 0
    late_changes: int = 0
    late_weeks: int = 0
    reversals: int = 0
    most_reversals: int = 0
    """The most of one container within half a year."""
    most_of_one: int = 0
    """The most of one amount of one container within half a year."""
    most_over: float = 0.0
    most_requested_over: float = 0.0
    too_large: int = 0
    """Container-weeks with a request above three times what that week needed."""
    too_large_ever: int = 0
    """Those of them above three times what any week so far needed or held."""
    unexplained: int = 0
    """Those of them above three times what was used in any hour, however short, as well."""
    too_large_by: dict[str, float] = field(default_factory=dict)
    """The largest request over the need of its week, of each container that has such a week."""
    unexplained_by: dict[str, int] = field(default_factory=dict)
    above_node: int = 0
    below_kill: int = 0
    """Limits that were lowered below one at which the container had been killed."""
    open_weeks: int = 0
    open_changes: int = 0
    changed_by: dict[str, int] = field(default_factory=dict)
    turned_by: dict[str, int] = field(default_factory=dict)
    """The most reversals within half a year, of each container that has any."""
    harmed_by: dict[str, int] = field(default_factory=dict)

    def summary(self) -> dict[str, float]:
        """The figures as they are printed."""
        months = self.weeks * 7 / 30.44
        return {
            "containers": self.containers,
            "container_weeks": self.weeks,
            "kill_weeks": self.kills,
            "harmful_kill_weeks": self.harm,
            "stated_kill_weeks": self.stated,
            "above_request": self.above / max(self.weeks, 1),
            "cpu_to_need": _ratio(self.cpu),
            "memory_to_need": _ratio(self.memory),
            "cpu_at_equal_risk": _at_equal_risk(self.cpu),
            "memory_at_equal_risk": _at_equal_risk(self.memory),
            "changes_a_month": self.changes / max(months, 1),
            "changes_settled": self.late_changes / max(self.late_weeks, 1),
            "reversals_a_month": self.reversals / max(months, 1),
            "most_reversals": self.most_reversals,
            "most_of_one_amount": self.most_of_one,
            "largest_request_over_need": self.most_requested_over,
            "too_large_weeks": self.too_large,
            "too_large_for_any_week": self.too_large_ever,
            "too_large_for_any_hour": self.unexplained,
            "largest_limit_over_need": self.most_over,
            "above_node": self.above_node,
            "below_kill": self.below_kill,
            "open_changes": self.open_changes / max(self.open_weeks, 1),
        }


def _ratio(pairs: Sequence[tuple[float, float]]) -> float:
    """The geometric mean over containers: a large one does not hide all others."""
    logs = [np.log(have / need) for have, need in pairs if have > 0 and need > 0]
    return float(np.exp(np.mean(logs))) if logs else float("nan")


def _at_equal_risk(pairs: Sequence[tuple[float, float]]) -> float:
    """The footprint once one factor for all lets `EQUAL_RISK` of the weeks need more."""
    needed = [need / have for have, need in pairs if have > 0 and need > 0]
    if not needed:
        return float("nan")
    return _ratio(pairs) * float(np.quantile(needed, 1 - EQUAL_RISK, method="inverted_cdf"))


@dataclass
class Plan:
    """How a simulation goes."""

    weeks: int = 52
    window: int = 2
    """How many weeks an adviser is shown."""
    step: timedelta = timedelta(minutes=30)
    merge: Merge = "all"
    warm_up: int = 2

    @property
    def hours(self) -> float:
        """The length of a step."""
        return self.step / timedelta(hours=1)


Watch = Callable[[int, Mapping[str, Actor]], None]


def simulate(
    workloads: Sequence[Workload], adviser: Adviser, plan: Plan, watch: Watch | None = None
) -> Score:
    """Let `workloads` live for the weeks of `plan` as `adviser` has it; `watch` sees each week."""
    actors = {w.name: Actor(w, Given.of(w)) for w in workloads}
    score = Score(containers=len(actors))
    waiting: list[tuple[int, Actor, Proposal]] = []
    for week in range(plan.weeks):
        for due, actor, proposal in [entry for entry in waiting if entry[0] <= week]:
            _apply(score, actor, proposal, week, plan)
            waiting.remove((due, actor, proposal))
        for actor in actors.values():
            _live(actor, week, plan)
            if week >= plan.warm_up and actor.weeks[-1].pods:
                _judge(score, actor)
                _weigh(score, actor, week)
        if watch is not None:
            watch(week, actors)
        if week + 1 < plan.warm_up:
            continue
        seen, owners = show(list(actors.values()), week, plan)
        found = adviser(seen)
        proposals = {name: p for ref, p in sorted(found.items()) for name in [owners[ref]]}
        waiting += _merge(score, actors, proposals, week, plan)
    turns = {name: actor.most_reversals for name, actor in actors.items()}
    score.most_reversals = max(turns.values(), default=0)
    score.most_of_one = max((actor.most_of_one for actor in actors.values()), default=0)
    score.turned_by = {name: count for name, count in turns.items() if count}
    return score


def _live(actor: Actor, week: int, plan: Plan) -> None:
    if week < actor.workload.since:
        actor.weeks.append(Lived())
        return
    actor.periods.append((week, Given(**{**vars(actor.given), "age": {}})))
    lived = live(actor.workload, actor.given, week, plan.hours)
    actor.weeks.append(lived)
    _remember(actor, lived)


def _remember(actor: Actor, lived: Lived) -> None:
    """Keep the most that any week needed, held and used, and where it was killed."""
    cpu, memory = actor.most_need
    held = max((float(np.nanmax(pod.memory)) for pod in lived.pods), default=0.0)
    used = max((float(np.nanmax(pod.cpu)) for pod in lived.pods), default=0.0)
    actor.most_need = (max(cpu, lived.need[0]), max(memory, lived.need[1], held))
    actor.busiest = max(actor.busiest, used)
    if lived.kills and actor.given.memory_limit is not None:
        actor.killed_at = max(actor.killed_at, actor.given.memory_limit)


def _judge(score: Score, actor: Actor) -> None:
    """Add what the last week of `actor` was like."""
    lived, given, first = actor.weeks[-1], actor.given, actor.workload.limit[1]
    score.weeks += 1
    score.kills += int(lived.kills > 0)
    if actor.stated is not None:
        score.stated += actor.stated
        if lived.kills > 0 and (first is None or lived.peak < first):
            name = actor.workload.name
            score.harm += 1
            score.harmed_by[name] = score.harmed_by.get(name, 0) + 1
    score.above += lived.above
    need_cpu, need_memory = lived.need
    if given.cpu_request is not None:
        score.cpu.append((given.cpu_request, need_cpu))
    if given.memory_request is None:
        return
    score.memory.append((given.memory_request, need_memory))
    if actor.stated is not None and given.memory_limit is not None:
        score.most_over = max(score.most_over, given.memory_limit / need_memory)


def _weigh(score: Score, actor: Actor, week: int) -> None:
    """Compare the requests of `actor` with what it needs, once it has been seen for a while."""
    lived, given, name = actor.weeks[-1], actor.given, actor.workload.name
    if week < actor.workload.since + EARLY:
        return
    requests = (given.cpu_request, given.memory_request)
    over = _over(requests, lived.need)
    score.most_requested_over = max(score.most_requested_over, over)
    if over > TOO_LARGE:
        score.too_large += 1
        score.too_large_ever += _over(requests, actor.most_need) > TOO_LARGE
        cpu, memory = actor.most_need
        if _over(requests, (max(cpu, actor.busiest), memory)) > TOO_LARGE:
            score.unexplained += 1
            score.unexplained_by[name] = score.unexplained_by.get(name, 0) + 1
        score.too_large_by[name] = max(score.too_large_by.get(name, 0.0), float(over))


def _over(requests: tuple[float | None, float | None], need: tuple[float, float]) -> float:
    """How many times what is needed is requested, of CPU or of memory, whichever is more."""
    pairs = zip(requests, need, strict=True)
    return max((have / want for have, want in pairs if have is not None and want > 0), default=0.0)


def _merge(
    score: Score, actors: Mapping[str, Actor], proposals: Mapping[str, Proposal], week: int,
    plan: Plan,
) -> list[tuple[int, Actor, Proposal]]:  # fmt: skip
    """What of `proposals` is merged, and from which week on it holds."""
    rng = np.random.default_rng(week)
    accepted = []
    for name, actor in sorted(actors.items()):
        if not actor.weeks[-1].pods:
            continue
        proposal, lucky = proposals.get(name), rng.random() < 0.5
        now = None if proposal is None else proposal.resources
        _count(score, actor, now, week)
        if proposal is not None and _accepts(plan.merge, lucky):
            if plan.merge == "edited":
                holds = resources_of(actor.given)
                proposal = Proposal(_by_hand(holds, proposal.resources), proposal.stated)
                if proposal.resources == holds:
                    continue  # the edit leaves nothing of it: it stays open
            actor.open = None
            accepted.append((week + (3 if plan.merge == "late" else 1), actor, proposal))
    return accepted


def _accepts(merge: Merge, lucky: bool) -> bool:
    return merge in ("all", "late", "edited") or (merge == "some" and lucky)


def _count(score: Score, actor: Actor, now: Resources | None, week: int) -> None:
    """Whether something is proposed, and whether it is what was proposed a week ago."""
    if now is not None:
        score.changes += 1
        score.changed_by[actor.workload.name] = score.changed_by.get(actor.workload.name, 0) + 1
    if week >= SETTLED:
        score.late_weeks += 1
        score.late_changes += now is not None
    if actor.open is not None:
        score.open_weeks += 1
        score.open_changes += now != actor.open
    actor.open = now


def _by_hand(now: Resources, proposed: Resources) -> Resources:
    """As a careful person changes a proposal: a third more of the memory that it changes."""
    for target in TARGETS:
        amount = proposed.amount(target)
        if isinstance(amount, Memory) and amount != now.amount(target):
            proposed = proposed.with_amount(target, amount.scale(4 / 3))
    return proposed


def _apply(score: Score, actor: Actor, proposal: Proposal, week: int, plan: Plan) -> None:
    """Give `actor` what was merged: its pods start anew."""
    old, new, turned = actor.given, given_of(proposal.resources), False
    for target in TARGETS:
        before, after = getattr(old, target), getattr(new, target)
        if before is None or after is None or before == after:
            continue
        way = 1 if after > before else -1
        if actor.moved.get(target, way) != way:
            actor.turned.setdefault(target, []).append(week)
            turned = True
        actor.moved[target] = way
    score.reversals += turned
    memory = [amount for amount in (new.memory_request, new.memory_limit) if amount is not None]
    score.above_node += max(memory, default=0) > NODE_MIB or (new.cpu_request or 0) > NODE_CORES
    before, after = old.memory_limit, new.memory_limit
    if before is not None and after is not None:
        score.below_kill += after < min(actor.killed_at, before)
    new.since, new.generation = week, old.generation + 1
    actor.given, actor.stated = new, proposal.stated


def given_of(resources: Resources) -> Given:
    """`resources` in cores and MiB."""
    memory = (resources.memory_request, resources.memory_limit)
    cpu = (resources.cpu_request, resources.cpu_limit)
    cores = [None if amount is None else amount.cores for amount in cpu]
    mib = [None if amount is None else amount.bytes / MIB for amount in memory]
    return Given(cores[0], mib[0], cores[1], mib[1])


def resources_of(given: Given) -> Resources:
    """`given` as a manifest would declare it."""
    cpu = (given.cpu_request, given.cpu_limit)
    memory = (given.memory_request, given.memory_limit)
    cores = [None if amount is None else Cpu.from_cores(amount) for amount in cpu]
    count = [None if amount is None else Memory.from_bytes(amount * MIB) for amount in memory]
    return Resources(cores[0], cores[1], count[0], count[1])


# What an adviser is shown


@dataclass
class _Tables:
    usage: dict[tuple[ContainerRef, str], list[tuple[int, np.ndarray]]] = field(
        default_factory=dict
    )
    specs: list[dict[str, object]] = field(default_factory=list)
    events: list[dict[str, object]] = field(default_factory=list)
    owners: dict[ContainerRef, str] = field(default_factory=dict)


def show(actors: Sequence[Actor], week: int, plan: Plan) -> tuple[Seen, Mapping[ContainerRef, str]]:
    """The last weeks as a recording, and which workload each container of it belongs to."""
    first = max(0, week + 1 - plan.window)
    steps = round(timedelta(weeks=1) / plan.step)
    begin = START + timedelta(weeks=first)
    meta = Meta(
        cluster="loop",
        start=begin,
        end=START + timedelta(weeks=week + 1),
        step=plan.step,
        nodes=tuple(
            {
                "name": f"node-{number}",
                "cpu_allocatable_cores": NODE_CORES,
                "memory_allocatable_bytes": NODE_MIB * MIB,
            }
            for number in range(3)
        ),
    )
    tables = _Tables()
    for actor in actors:
        for number in range(first, week + 1):
            _show_week(tables, actor, number, (number - first) * steps, begin, plan)
    recording = Recording(
        meta,
        _usage(tables, meta),
        validate_specs(pd.DataFrame(tables.specs)),
        validate_events(
            pd.DataFrame(tables.events, columns=[*NAMES, "pod", "timestamp", "kind", "value"])
        ),
    )
    need = {actor.workload.name: _foresee(actor, week + 1, plan) for actor in actors}
    ahead = {ref: need[name] for ref, name in tables.owners.items()}
    return Seen(recording, ahead), tables.owners


def _foresee(actor: Actor, week: int, plan: Plan) -> tuple[float, float]:
    given = Given(**{**vars(actor.given), "age": {}})
    return live(actor.workload, given, week, max(plan.hours, 1.0)).need


def _ref(workload: Workload, week: int, run: int) -> ContainerRef:
    name = workload.shown
    if workload.generated:
        name = f"{name}-{1000 + run}"
    container = workload.container
    if workload.renamed is not None and week >= workload.renamed[0]:
        container = workload.renamed[1]
    return ContainerRef("loop", workload.namespace, workload.kind, name, container)


def _show_week(
    tables: _Tables, actor: Actor, week: int, offset: int, begin: datetime, plan: Plan
) -> None:
    lived = actor.weeks[week]
    given = next((given for since, given in actor.periods if since == week), None)
    for pod in lived.pods:
        ref = _ref(actor.workload, week, pod.run)
        tables.owners[ref] = actor.workload.name
        # Runs with generated names may be told as one series.
        tables.owners[replace(ref, workload=actor.workload.shown)] = actor.workload.name
        there = np.flatnonzero(~np.isnan(pod.cpu))
        part = slice(int(there[0]), int(there[-1]) + 1)
        kept = np.stack([pod.cpu[part], pod.memory[part] * MIB, pod.firm[part] * MIB])
        kept[:, _lost(actor.workload, week, plan)[part]] = np.nan
        tables.usage.setdefault((ref, pod.name), []).append((offset + int(there[0]), kept))
    for ref in {_ref(actor.workload, week, pod.run) for pod in lived.pods}:
        assert given is not None
        tables.specs.append(_spec(ref, actor.workload, given, lived, week))
    for pod, step, kind, value in lived.events:
        ref = _ref(actor.workload, week, pod.run)
        scale = MIB if kind == "oom_kill" else 1
        moment = begin + (offset + step + 1) * plan.step
        row = {"pod": pod.name, "timestamp": moment, "kind": kind, "value": value * scale}
        tables.events.append(_names(ref) | row)


def _lost(workload: Workload, week: int, plan: Plan) -> np.ndarray:
    """At which steps of `week` nobody scraped, or kept what was scraped."""
    rng = np.random.default_rng([zlib.crc32(workload.name.encode()), week, 1000])
    steps, days = round(timedelta(weeks=1) / plan.step), 7
    dark = rng.random(days) < (1 / workload.dark_every_days if workload.dark_every_days else 0)
    lost: np.ndarray = (rng.random(steps) < workload.missing) | np.repeat(dark, steps // days)
    return lost


def _names(ref: ContainerRef) -> dict[str, object]:
    return dict(zip(NAMES, (ref.namespace, ref.kind, ref.workload, ref.container), strict=True))


def _spec(
    ref: ContainerRef, workload: Workload, given: Given, lived: Lived, week: int
) -> dict[str, object]:
    hpa = {"name": workload.name, "min": 1, "max": workload.most_pods, "metrics": []}
    if workload.hpa == "cpu":
        hpa["metrics"] = [{"type": "Utilization", "resource": "cpu", "value": 70}]
    memory = (given.memory_request, given.memory_limit)
    return _names(ref) | {
        "replicas": lived.replicas,
        "cpu_request_cores": given.cpu_request,
        "cpu_limit_cores": given.cpu_limit,
        "memory_request_bytes": None if memory[0] is None else memory[0] * MIB,
        "memory_limit_bytes": None if memory[1] is None else memory[1] * MIB,
        "image": lived.image,
        "hpa": json.dumps(hpa) if workload.hpa else None,
        "first_seen": START + timedelta(weeks=week),
        "last_seen": START + timedelta(weeks=week + 1),
    }


def _usage(tables: _Tables, meta: Meta) -> Usage:
    """The pods' stretches as ragged arrays, gaps between them filled with NaN."""
    keys = sorted(tables.usage)
    containers = sorted({ref for ref, _ in keys})
    position = {ref: index for index, ref in enumerate(containers)}
    first, lengths, values = [], [], []
    for key in keys:
        stretches = tables.usage[key]
        begin = stretches[0][0]
        length = stretches[-1][0] + stretches[-1][1].shape[1] - begin
        whole = np.full((3, length), np.nan, dtype=np.float32)
        for at, rows in stretches:
            whole[:, at - begin : at - begin + rows.shape[1]] = rows
        first.append(begin)
        lengths.append(length)
        values.append(whole)
    cpu, memory, firm = np.concatenate(values, axis=1)
    return Usage(
        start=meta.start,
        step=meta.step,
        steps=meta.steps,
        containers=tuple(containers),
        container=np.array([position[ref] for ref, _ in keys], dtype=np.int64),
        pods=tuple(pod for _, pod in keys),
        first=np.array(first, dtype=np.int64),
        offset=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        cpu_cores=cpu,
        memory_bytes=memory,
        memory_rss_bytes=firm,
    )
