"""Where a limit cut off what a container wanted: OOM kills at it, and throttling by it.

These are the only definitions of both. Models, policy, notes and charts ask here, so that nobody
raises a limit for a kill that another part of the same report puts down to the node.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
import numpy.typing as npt
import pandas as pd

from analyzer.by_container import by_container
from analyzer.history import Histories

Array = npt.NDArray[np.float64]

NEAR_LIMIT = 0.8
"""A kill came from elsewhere where usage stayed below this share of the limit."""
LEAST_SCRAPES = 3
"""A shorter life says nothing about how far usage rose before the kill."""
FAR_BELOW_LIMIT, _CALM_DAYS = 0.5, 3
"""What stayed below this share of its limit for so many days has no use for all of it."""
NOTABLY_THROTTLED = 0.01
"""From this share of throttled steps on, usage of CPU is a lower bound of the need."""

AFTER_KILL, PER_DOUBLING, MOST_AFTER_KILL = 0.2, 0.1, 0.5
"""How far above its limit the need of a killed container is taken to lie; see `Kills.beyond`."""

SLOW_HOURS = 6
"""A fill that takes so long is a leak or a cache without a bound, and no program that starts."""
_CLIMB = 1.15
_RAISES_THAT_FAILED = 3
"""So many limits, each higher than the last, were filled: a further one would be as well."""
_SLOW_KILLS = 4
_FAR = 4.0
"""What climbs for hours to so many times of what it started with, again and again, has no bound
of its own."""


@dataclass(frozen=True, slots=True)
class Kills:
    """The OOM kills of one container, by what they say about its limit."""

    at_limit: int = 0
    """Kills after which the need is known to be above the limit."""
    elsewhere: int = 0
    """Kills that the limit did not cause: the node ran out, or a child process died."""
    slow: int = 0
    """Those of `at_limit` that ended a climb of many hours."""
    unbounded: int = 0
    """Those of `slow` whose climb began at a quarter of the limit or less."""
    limits: tuple[float, ...] = ()
    """The limits it was killed at, in bytes: each higher than all before, oldest first."""
    repeated: float | None = None
    """The highest limit at which it was killed more than once, in bytes."""
    often: int = 0
    """How many kills there were at the highest limit."""
    fills_since: datetime | None = None
    """When an earlier review found that it fills whatever it gets; None where none did."""

    @property
    def fills(self) -> bool:
        """Whether it takes whatever it is given: kills went on after raises, or climbs go far."""
        if self.fills_since is not None:
            return True
        if len(self.limits) >= _RAISES_THAT_FAILED or self.unbounded >= _SLOW_KILLS:
            return True
        return len(self.limits) == 2 and self.slow >= _SLOW_KILLS

    @property
    def beyond(self) -> float:
        """How far the need is taken to lie above the highest limit that killed, as a share of it.

        Less than the need is all that was seen. What is killed once in weeks hardly exceeds its
        limit, what is killed every day exceeds it far: 20 % after one kill, a tenth more each time
        that their number doubles, a half at most. Shared out among the limits hit one after the
        other, so that what fills whatever it gets gains less each time.
        """
        share = AFTER_KILL + PER_DOUBLING * math.log2(max(self.often, 1))
        return min(share, MOST_AFTER_KILL) / max(len(self.limits), 1)

    def after(self, limits: Sequence[float], fills_since: datetime | None) -> Kills:
        """These kills in the light of earlier ones: of the lower `limits` that were hit before.

        Where nothing is killed at its limit any more, what was before is over.
        """
        if not self.at_limit:
            return self
        lower = [limit for limit in limits if limit < min(self.limits, default=0.0)]
        rising = (*_rising(lower), *self.limits)
        return replace(self, limits=rising, fills_since=fills_since)


NO_KILLS = Kills()


def find_kills(histories: Histories) -> Mapping[int, Kills]:
    """What the OOM kills of each container say, by index; nothing where there was none.

    A kill is one at the limit, unless usage of the life that it ended stayed below 80 % of the
    limit for several scrapes, there is no limit, or the pod was evicted at that time. A life too
    short for that says nothing where days of use stayed below half of the limit, no other kill came
    within an hour, and there was one such only, or as many that clearly came from elsewhere: what
    needs more to start is killed again and again. Where the node was short of memory
    as well, page cache does not count as usage: the kernel takes it back before a limit kills.
    """
    return {index: kills for index, kills in enumerate(_kills_of_each(histories)) if kills}


@by_container
def _kills_of_each(histories: Histories) -> list[Kills | None]:
    killed = histories.events.loc[histories.events["kind"] == "oom_kill", "index"].unique()
    found: list[Kills | None] = [None] * len(histories)
    for index in map(int, killed):
        found[index] = _judge(histories, index)
    return found


def throttled_shares(histories: Histories) -> Array:
    """The share of each container's observed steps that were throttled."""
    events = histories.events
    throttled = events.loc[events["kind"] == "throttled", "index"].to_numpy(dtype=np.int64)
    count = np.bincount(throttled, minlength=len(histories))
    result: Array = count / np.maximum(histories.daily.samples.sum(axis=1), 1)
    return np.minimum(result, 1.0)


@dataclass(frozen=True)
class _Kill:
    limit: float
    """Bytes, NaN where nobody knows."""
    at_limit: bool
    brief: bool
    """Whether the life that it ended was too short to tell, and no other kill was near."""
    slow: bool
    far: bool


def _judge(histories: Histories, index: int) -> Kills:
    kills = list(_kills(histories, index))
    hits = [kill for kill in kills if kill.at_limit]
    doubtful = [kill for kill in hits if kill.brief]
    rare = len(doubtful) == 1 or len(doubtful) <= len(kills) - len(hits)
    if doubtful and rare and _never_near(histories, index, min(k.limit for k in doubtful)):
        hits = [kill for kill in hits if not kill.brief]
    rising = _rising([kill.limit for kill in hits])
    often = [x.limit for x in hits if sum(y.limit == x.limit for y in hits) > 1]
    return Kills(
        at_limit=len(hits),
        elsewhere=len(kills) - len(hits),
        slow=sum(kill.slow for kill in hits),
        unbounded=sum(kill.slow and kill.far for kill in hits),
        limits=rising,
        repeated=max(often, default=None),
        often=sum(kill.limit == max(rising, default=0.0) for kill in hits),
    )


def _rising(limits: Iterable[float]) -> tuple[float, ...]:
    """Those of `limits` that are higher than all before."""
    rising: list[float] = []
    for limit in limits:
        if limit > max(rising, default=0.0):
            rising.append(limit)
    return tuple(rising)


def _kills(histories: Histories, index: int) -> Iterator[_Kill]:
    events = histories.events_of(index)
    steps = _steps(histories, events["timestamp"])
    limit_now = histories.spec(index).resources.memory_limit
    kinds, pods = (events[name].to_numpy(dtype=object) for name in ("kind", "pod"))
    named, killed = events["pod"].notna().to_numpy(), kinds == "oom_kill"
    for pod, value, step in zip(pods[killed], events["value"][killed], steps[killed], strict=True):
        own = named & (pods == pod)
        ends = steps[own & (killed | (kinds == "restart"))]
        since = int(ends[ends < step].max(initial=-1))
        evicted, strained = (
            _is_near(histories, step, steps[own & (kinds == kind)])
            for kind in ("eviction", "node_pressure")
        )
        counted = histories.usage.firm_bytes if strained else histories.usage.memory_bytes
        life = _life(histories, index, pod, since, int(step), counted)
        limit = float(value) if value > 0 else float(limit_now.bytes if limit_now else np.nan)
        unlimited = np.isnan(limit) and bool(histories.specs[index])
        at_limit = not evicted and not unlimited and _reached(life, limit)
        others = steps[(events["kind"] == "oom_kill").to_numpy() & (steps != step)]
        brief = len(life) < LEAST_SCRAPES and not _is_near(histories, step, others)
        slow = at_limit and _climbed(life, limit, histories)
        far = slow and _FAR * float(np.median(life[: max(1, len(life) // 10)])) <= limit
        yield _Kill(limit, at_limit, brief, slow, far)


def _is_near(histories: Histories, step: int, others: npt.NDArray[np.int64]) -> bool:
    """Whether one of the `others` lies within an hour of `step`."""
    return bool((abs(others - step) <= max(1, histories.usage.steps_per_day // 24)).any())


def _steps(histories: Histories, moments: pd.Series) -> npt.NDArray[np.int64]:
    """The step that each moment lies in; one at the very end of a step belongs to it."""
    since = (moments - pd.Timestamp(histories.usage.start)) / histories.usage.step
    steps: npt.NDArray[np.int64] = np.ceil(since.to_numpy(dtype=np.float64)).astype(np.int64) - 1
    return steps


def _life(
    histories: Histories,
    index: int,
    pod: object,
    after: int,
    until: int,
    memory: npt.NDArray[np.float32],
) -> Array:
    """`memory` of one pod from behind step `after` up to `until`; of all pods where unknown."""
    usage = histories.usage
    series = range(int(usage.bounds[index]), int(usage.bounds[index + 1]))
    own = [s for s in series if usage.pods[s] == pod] or list(series)
    parts = []
    for s in own:
        low, high, first = int(usage.offset[s]), int(usage.offset[s + 1]), int(usage.first[s])
        begin = min(max(after + 1 - first, 0), high - low)
        end = min(max(until + 1 - first, begin), high - low)
        parts.append(memory[low + begin : low + end].astype(np.float64))
    life: Array = np.concatenate(parts) if parts else np.zeros(0)
    return life[~np.isnan(life)]


def _reached(life: Array, limit: float) -> bool:
    return np.isnan(limit) or len(life) < LEAST_SCRAPES or life.max() >= NEAR_LIMIT * limit


def _never_near(histories: Histories, index: int, limit: float) -> bool:
    """Whether days of use of all pods stayed far below `limit`."""
    usage = histories.usage
    seen = usage.memory_bytes[usage.span(index)]
    seen = seen[~np.isnan(seen)]
    enough = len(seen) >= _CALM_DAYS * usage.steps_per_day
    return enough and bool(seen.max() < FAR_BELOW_LIMIT * limit)


def _climbed(life: Array, limit: float, histories: Histories) -> bool:
    """Whether it rose for hours until it was killed, instead of jumping to the limit."""
    if len(life) < max(LEAST_SCRAPES, histories.usage.steps_per_day * SLOW_HOURS // 24):
        return False
    first, middle, last = (float(np.median(part)) for part in np.array_split(life, 3))
    return first < middle < last and last > _CLIMB * first and not last < limit / 2
