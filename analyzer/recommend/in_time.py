"""What has to be over in time: starts, which probes end, and runs of Jobs, which deadlines end.

A start or a run that gets less CPU takes longer. The limit is all that it ever gets, and the
request all that it gets on a node with nothing to spare; so neither falls below what is in time.
What is declared now has lived so far: nothing is raised for the sake of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta

import numpy as np

from analyzer.evidence import Run, finished_runs, first_step, start_works
from analyzer.history import Histories
from analyzer.kinds import runs_now_and_then
from analyzer.lifecycle import Probe
from analyzer.quantity import Cpu, TargetName
from analyzer.recommend.case import Bound, Facts
from analyzer.recommend.recommendation import Recommendation

PROBE, DEADLINE = "probe", "deadline"
SLOWER = 1.1
"""A run that would take so many times as long is told."""
_TARGETS: tuple[TargetName, ...] = ("cpu_request", "cpu_limit")


def in_time(histories: Histories, facts: Mapping[int, Facts]) -> dict[int, tuple[Bound, ...]]:
    """The least CPU with which the starts and runs of containers are over in time."""
    found: dict[int, tuple[Bound, ...]] = dict.fromkeys(facts, ())
    ends = {i: end for i, one in facts.items() if (end := _end_of(histories, i, one)) is not None}
    probed, limited = (np.zeros(len(histories), dtype=bool) for _ in range(2))
    for index, end in ends.items():
        (probed if isinstance(end, Probe) else limited)[index] = True
    works = start_works(histories, probed, since=first_step(histories)) if probed.any() else []
    runs = finished_runs(histories, limited) if limited.any() else []
    for index, end in ends.items():
        if isinstance(end, Probe):
            bounds = _of_start(works[index], end, facts[index])
        else:
            bounds = _of_runs(runs[index], end, facts[index])
        found[index] = tuple(bounds)
    return found


def _end_of(histories: Histories, index: int, facts: Facts) -> Probe | timedelta | None:
    """What ends a start or a run of a container that is late: its probe, or its deadline."""
    ref = histories.containers[index]
    if "cpu" in facts.unknown or facts.spec.container_type == "init":
        return None
    if runs_now_and_then(ref.kind):
        return _deadline(histories, index)
    asked = histories.scheduling.get(ref.workload_ref)
    container = None if asked is None else asked.lifecycle.containers.get(ref.container)
    return None if container is None else container.probe


def _deadline(histories: Histories, index: int) -> timedelta | None:
    """When a run is ended: by the description of its pods, else as the metrics of its Jobs tell."""
    asked = histories.scheduling.get(histories.containers[index].workload_ref)
    if asked is not None and asked.whole:
        return asked.lifecycle.deadline
    return histories.spec(index).deadline


def _of_start(work: float | None, probe: Probe, facts: Facts) -> Iterator[Bound]:
    """Core-seconds that a start takes, within the time that its probe leaves it."""
    if not work:
        return
    least = Cpu.from_cores(work / probe.patience.total_seconds())
    reason = (
        f"its start takes {work:.0f} CPU-seconds, and its {probe.name} ends it after "
        f"{shown(probe.patience)}: less CPU makes it too slow wherever the node has none to spare"
    )
    yield from _kept(facts, least, reason, PROBE)


def _of_runs(runs: list[Run], deadline: timedelta, facts: Facts) -> Iterator[Bound]:
    """The least with which every run that was in time would still have been."""
    known = [run for run in runs if run.length <= deadline]
    if not known:
        return
    longest = max(run.length for run in known)
    low, high = 0, 1 + max(Cpu.from_cores(float(cpu.max())).units for r in known for cpu in r.pods)
    while high - low > 1:
        middle = (low + high) // 2
        late = any(run.length_at(Cpu(middle).cores) > deadline for run in known)
        low, high = (middle, high) if late else (low, middle)
    reason = (
        f"its longest run took {shown(longest)}, and its deadline ends one after "
        f"{shown(deadline)}: with less CPU it would not be over"
    )
    yield from _kept(facts, Cpu(high), reason, DEADLINE)


def _kept(facts: Facts, least: Cpu, reason: str, code: str) -> Iterator[Bound]:
    for target in _TARGETS:
        now = facts.current.amount(target)
        if now is not None:
            yield Bound(target, min(now, least), reason, code)


def slowed(histories: Histories, found: Mapping[int, Recommendation]) -> dict[int, str]:
    """A note for each container whose runs take longer where they get no more than is proposed."""
    asked = {
        index: one.proposed.cpu_request
        for index, one in found.items()
        if one.changed and one.proposed.cpu_request and runs_now_and_then(one.ref.kind)
    }
    if not asked:
        return {}
    wanted, notes = np.zeros(len(histories), dtype=bool), {}
    wanted[list(asked)] = True
    runs = finished_runs(histories, wanted)
    for index, new in asked.items():
        longest = max(runs[index], key=lambda run: run.length_at(new.cores), default=None)
        if longest is not None and longest.length_at(new.cores) >= SLOWER * longest.length:
            deadline = _deadline(histories, index)
            notes[index] = (
                f"a run that took {shown(longest.length)} would take "
                f"{shown(longest.length_at(new.cores))} on a node that has no more CPU for it than "
                f"{new.human()}" + (f" (deadline {shown(deadline)})" if deadline else "")
            )
    return notes


def shown(length: timedelta) -> str:
    """A length of time in the unit that a person would choose: ``90 s``, ``5 min``, ``2.5 h``."""
    seconds = length.total_seconds()
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
