"""What still exists at the end of the window, and what goes on under another name.

Usage is no proof of existence: a container that was renamed, a workload that was deleted or scaled
to nothing left samples behind. A patch of it would add a container without an image, or land
nowhere. What exists is told by the specs table (``first_seen``, ``last_seen``, ``replicas``,
``suspended``) and the pods table; where they tell nothing of a container, it is taken to exist.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np
import pandas as pd

from analyzer.kinds import POD, runs_now_and_then
from analyzer.series import repository
from analyzer.tables import NAMES
from analyzer.usage import Recording, Usage
from analyzer.workload import ContainerRef, WorkloadRef

UNSEEN_FOR = timedelta(hours=3)
"""What was not seen for so long while others were is gone; less is a gap of the monitoring."""
_HANDOVER = timedelta(days=1)
_TELLING = frozenset(
    ("app_kubernetes_io_name", "app_kubernetes_io_component", "app_kubernetes_io_instance")
)
"""Labels that say which program runs, and as which part of what."""
_LEAST_LABELS = 2
_SEPARATORS = re.compile(r"[^a-zA-Z0-9_]")


@dataclass(frozen=True, slots=True)
class Life:
    """When a container was first and last seen or described, and how it was set up last."""

    ref: ContainerRef
    first: datetime
    last: datetime
    image: str | None
    replicas: float
    suspended: bool
    labels: frozenset[tuple[str, str]] = frozenset()
    """What of its labels says which program it is."""


def settle(
    recording: Recording, series: Collection[ContainerRef] = ()
) -> tuple[Recording, dict[ContainerRef, str], dict[ContainerRef, ContainerRef]]:
    """`recording` with histories under the names of now, why each container is gone that is, and
    the name of now of those that were renamed.

    `series` run again and again under new names, so that silence is no sign of their end.
    A history moves to another name only where one container went, one came at the same time, and
    both run the same image, wherever it was pulled from: in the same workload, or as the container
    of that name in another. Where no image is known, the workloads' labels may say the same.
    """
    lives = _lives(recording)
    if not lives:
        return recording, {}, {}
    asof = min(recording.meta.end, max(life.last for life in lives.values()))
    resting = {ref.workload_ref for ref in series}
    gone = dict(_gone(lives, recording, asof, resting))
    heirs = _with_own_pods(_heirs(lives, gone, recording), recording.usage)
    for old, new in heirs.items():
        where = new.container if old.workload_ref == new.workload_ref else str(new)
        gone[old] = f"it was renamed: its history goes on as {where}"
    return _rename(recording, heirs), gone, heirs


def _lives(recording: Recording) -> dict[ContainerRef, Life]:
    """The life of every container whose last sighting is told by the specs table."""
    begun, ended = _observed(recording)
    lives: dict[ContainerRef, Life] = {}
    specs = recording.specs[recording.specs["last_seen"].notna()]
    for row in specs.sort_values("last_seen", kind="stable").to_dict("records"):
        ref = ContainerRef(recording.meta.cluster, *(str(row[name]) for name in NAMES))
        last = row["last_seen"].to_pydatetime()
        first = last if pd.isna(row["first_seen"]) else row["first_seen"].to_pydatetime()
        known = lives.get(ref)
        lives[ref] = Life(
            ref,
            min(first, known.first if known else first, begun.get(ref, first)),
            max(last, ended.get(ref, last)),
            row["image"] if isinstance(row["image"], str) else None,
            float(row["replicas"]),
            row["suspended"] == 1,
            _telling(row["labels"]),
        )
    return lives


def _telling(text: object) -> frozenset[tuple[str, str]]:
    try:
        labels = json.loads(text) if isinstance(text, str) else {}
    except ValueError:
        return frozenset()  # whoever reads the labels says what is wrong with them
    if not isinstance(labels, dict):
        return frozenset()
    named = ((_SEPARATORS.sub("_", str(name)), str(value)) for name, value in labels.items())
    return frozenset((name, value) for name, value in named if name in _TELLING)


def _observed(
    recording: Recording,
) -> tuple[dict[ContainerRef, datetime], dict[ContainerRef, datetime]]:
    """When each container was first and last observed."""
    usage = recording.usage
    first = np.full(len(usage.containers), usage.steps)
    last = np.zeros(len(usage.containers), dtype=np.int64)
    np.minimum.at(first, usage.container, usage.first)
    np.maximum.at(last, usage.container, usage.first + np.diff(usage.offset))
    seen = [(i, ref) for i, ref in enumerate(usage.containers) if last[i] > 0]
    return (
        {ref: usage.start + int(first[i]) * usage.step for i, ref in seen},
        {ref: usage.start + int(last[i]) * usage.step for i, ref in seen},
    )


def _gone(
    lives: Mapping[ContainerRef, Life],
    recording: Recording,
    asof: datetime,
    resting: Collection[WorkloadRef],
) -> Iterator[tuple[ContainerRef, str]]:
    """Which containers are gone, and what became of them as far as that is known."""
    running = _running(recording)
    for workload, members in _by_workload(lives.values()).items():
        last = max(life.last for life in members)
        latest = max(members, key=lambda life: life.last)
        alive = last > asof - UNSEEN_FOR or (workload.namespace, workload.name) in running
        for life in members:
            if any(each.suspended for each in members):
                yield life.ref, "its CronJob is suspended: nothing runs"
            elif latest.replicas == 0 and last < asof - 3 * recording.meta.step:
                yield life.ref, f"it is scaled to 0 replicas: nothing runs since {_day(last)}"
            elif not (alive or runs_now_and_then(workload.kind) or workload in resting):
                yield life.ref, _lost(workload, last)
            elif _replaced(life, members, asof):
                yield (
                    life.ref,
                    (
                        f"the container was renamed or removed: pods of this workload since "
                        f"{_day(life.last)} have none of that name"
                    ),
                )


def _lost(workload: WorkloadRef, last: datetime) -> str:
    if workload.kind == POD.name:
        return f"the pod is gone since {_day(last)}"
    return f"nothing of the workload exists since {_day(last)}: it was deleted or renamed"


def _replaced(life: Life, members: Iterable[Life], asof: datetime) -> bool:
    """Whether another container of the workload was seen well after the last sighting."""
    later = max(other.last for other in members)
    return life.last < later - UNSEEN_FOR and life.last < asof - UNSEEN_FOR


def _running(recording: Recording) -> set[tuple[str, str]]:
    """Namespace and workload of the pods that the pods table says are not ended."""
    pods = recording.pods[recording.pods["ended"].isna() & recording.pods["workload"].notna()]
    return set(zip(pods["namespace"], pods["workload"], strict=True))


def _by_workload(lives: Iterable[Life]) -> dict[WorkloadRef, list[Life]]:
    found: dict[WorkloadRef, list[Life]] = {}
    for life in lives:
        found.setdefault(life.ref.workload_ref, []).append(life)
    return found


def _heirs(
    lives: Mapping[ContainerRef, Life], gone: Mapping[ContainerRef, str], recording: Recording
) -> dict[ContainerRef, ContainerRef]:
    """The name of now of every gone container whose history certainly goes on."""
    begin = recording.meta.start + UNSEEN_FOR
    came = [life for life in lives.values() if life.first > begin]
    next_names = {}
    for old in (lives[ref] for ref in gone):
        later = [n for n in came if n.first > old.first and n.ref != old.ref and _follows(old, n)]
        inside = [n for n in later if n.ref.workload_ref == old.ref.workload_ref]
        found = inside or [n for n in later if _same_place(old, n)]
        if len(found) == 1:
            next_names[old.ref] = found[0].ref
    claimed = Counter(next_names.values())
    clear = {old: new for old, new in next_names.items() if claimed[new] == 1}
    heirs = {old: _last_name(old, clear) for old in clear}
    return {old: new for old, new in heirs.items() if new not in gone}


def _last_name(ref: ContainerRef, following: Mapping[ContainerRef, ContainerRef]) -> ContainerRef:
    """The last of its names; each came later than the one before, so that there is one."""
    while ref in following:
        ref = following[ref]
    return ref


def _same_place(old: Life, new: Life) -> bool:
    """Whether both are the container of one name in two workloads of a kind and namespace."""
    names = ("namespace", "kind", "container")
    return all(getattr(old.ref, name) == getattr(new.ref, name) for name in names)


def _follows(old: Life, new: Life) -> bool:
    """Whether `new` came as `old` went, and is the same program."""
    return abs(new.first - old.last) <= _HANDOVER and _same_program(old, new)


def _same_program(old: Life, new: Life) -> bool:
    """By the image, of whatever version and registry; by the labels where no image is known.

    Labels alone have to name the program and its part, for all parts of an application share some.
    """
    labels = old.labels == new.labels and len(old.labels) >= _LEAST_LABELS
    if old.image is None or new.image is None:
        return labels and old.ref.container == new.ref.container
    before, after = repository(old.image), repository(new.image)
    named_alike = before.rpartition("/")[2] == after.rpartition("/")[2]
    return before == after or (named_alike and (labels or _one_workload(old, new)))


def _one_workload(old: Life, new: Life) -> bool:
    return old.ref.workload_ref == new.ref.workload_ref


def _with_own_pods(
    heirs: Mapping[ContainerRef, ContainerRef], usage: Usage
) -> dict[ContainerRef, ContainerRef]:
    """The `heirs` that had no pod in common with the other name: two lived side by side there."""
    pods: dict[ContainerRef, set[str]] = {}
    for series, owner in enumerate(usage.container):
        pods.setdefault(usage.containers[owner], set()).add(usage.pods[series])
    clear: dict[ContainerRef, ContainerRef] = {}
    for old, new in heirs.items():
        taken = pods.setdefault(new, set())
        if not taken & pods.get(old, set()):
            taken |= pods.get(old, set())
            clear[old] = new
    return clear


def _rename(recording: Recording, heirs: Mapping[ContainerRef, ContainerRef]) -> Recording:
    """Usage, events and days under the new names; the specs of the old ones stay theirs."""
    if not heirs:
        return recording
    usage = recording.usage
    refs = [heirs.get(ref, ref) for ref in usage.containers]
    return replace(
        recording,
        usage=usage.rename(refs),
        events=_rename_rows(recording.events, heirs),
        days=_rename_rows(recording.days, heirs),
    )


def _rename_rows(table: pd.DataFrame, heirs: Mapping[ContainerRef, ContainerRef]) -> pd.DataFrame:
    table = table.copy()
    for old, new in heirs.items():
        mine = (
            (table["namespace"] == old.namespace)
            & (table["workload_kind"] == old.kind)
            & (table["workload"] == old.workload)
            & (table["container"] == old.container)
        )
        if mine.any():
            table["workload"] = table["workload"].astype(object).mask(mine, new.workload)
            table["container"] = table["container"].astype(object).mask(mine, new.container)
    return table


def _day(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
