"""What the coming days of one container are expected to show, for charts.

A chart shows one container, so this may look closer than the models that state demand for all;
demand itself is theirs. Everything is in one value a day, the one that its label names: the
highest memory of any pod, the 95th percentile of CPU over all samples of all pods.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import numpy.typing as npt
import pandas as pd

from analyzer.history import Histories
from analyzer.models.censoring import kill_floors
from analyzer.models.demand import RESOURCES, Array, Resource
from analyzer.models.pattern import Pattern, recognise

DAY = timedelta(days=1)
LOW, HIGH = 0.1, 0.9
HIDES_P95 = 0.05
"""Where so many steps of a day were throttled, its p95 is what was allowed, not what was needed."""
MOSTLY_SEEN = 0.2
"""Up to this share of cut-off days the others tell the level; beyond it, it is a lower bound."""

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Forecast:
    """One resource of one container by days: cores or bytes, NaN where nothing is to be said.

    `times` are the middles of days of 24 hours (UTC), those of the window and then those of the
    horizon. `seen` holds the value of each day of the window. `level` is the expected value of
    each coming day and `low` to `high` an 80 % band around it. `trend` is a line through all
    days, NaN without a significant trend.
    """

    times: npt.NDArray[np.datetime64]
    seen: Array
    level: Array
    low: Array
    high: Array
    trend: Array
    cut_off: Bools
    """Days whose value was cut off: memory by an OOM kill, CPU by throttling."""
    at_least: bool = False
    """Too many days were cut off: `level` is a lower bound and has no band."""
    since: datetime | None = None
    """When usage moved to the level that it has now; None where it did not move."""
    by_image: bool = False
    """It moved with a new image."""


@dataclass(frozen=True)
class Forecasts:
    """Forecasts of any container of `histories`; what all of them share is computed once."""

    histories: Histories
    horizon: timedelta
    patterns: dict[Resource, Pattern]
    cut_off: dict[Resource, Bools]
    """Per container and day of the window."""

    def of(self, index: int) -> dict[Resource, Forecast]:
        """The forecast of each resource of container `index`."""
        return {resource: self._of(index, resource) for resource in RESOURCES}

    def _of(self, index: int, resource: Resource) -> Forecast:
        daily, pattern = self.histories.daily, self.patterns[resource]
        seen = (daily.cpu_p95 if resource == "cpu" else daily.memory_peak)[index]
        cut, since = self.cut_off[resource][index] & ~np.isnan(seen), int(pattern.since[index])
        days, ahead = len(seen), max(1, -(-self.horizon // DAY))
        counted = ~np.isnan(seen) & (np.arange(days) >= since)
        at_least = bool(cut[counted].any()) and float(cut[counted].mean()) > MOSTLY_SEEN
        usable = counted if at_least else counted & ~cut
        weekly = pattern.findings[index] == "weekly"
        course = _course(seen, usable, float(pattern.slope[index]), ahead, weekly=weekly)
        nothing = np.full(days + ahead, np.nan)
        return Forecast(
            times=_middles(self.histories.usage.end, days, ahead),
            seen=np.append(seen, np.full(ahead, np.nan)),
            level=course.level,
            low=nothing if at_least else course.low,
            high=nothing if at_least else course.high,
            trend=course.trend,
            cut_off=np.append(cut, np.zeros(ahead, dtype=bool)),
            at_least=at_least,
            since=self.histories.usage.end - (days - since) * DAY if since else None,
            by_image=bool(since) and int(pattern.image[index]) == since,
        )


def forecasts(histories: Histories, horizon: timedelta) -> Forecasts:
    """The forecasts of `histories` over `horizon`, in whole days and at least one."""
    return Forecasts(histories, horizon, recognise(histories), cut_off_days(histories))


def cut_off_days(histories: Histories) -> dict[Resource, Bools]:
    """Per container and day, whether the day's value is a lower bound of the need.

    Memory is cut off on days with an OOM kill, where kills say something about the need at all
    (`kill_floors`); CPU where 5 % or more of a day's steps were throttled.
    """
    samples = histories.daily.samples
    kills = _count_by_day(histories, "oom_kill") > 0
    throttled = _count_by_day(histories, "throttled")
    return {
        "memory": kills & ~np.isnan(kill_floors(histories))[:, None],
        "cpu": throttled >= np.maximum(HIDES_P95 * samples, 1),
    }


def _count_by_day(histories: Histories, kind: str) -> npt.NDArray[np.int64]:
    """Events of `kind` per container and day column; the last column ends with the window."""
    rows, days = histories.daily.samples.shape
    events = histories.events
    chosen = events[events["kind"] == kind]
    # The sample of a step carries the time of its end, so an event at midnight ends a day.
    behind = (pd.Timestamp(histories.usage.end) - chosen["timestamp"]).dt.total_seconds()
    column = days - 1 - np.floor(behind.to_numpy() / DAY.total_seconds()).astype(np.int64)
    inside = (column >= 0) & (column < days)
    place = chosen["index"].to_numpy(dtype=np.int64)[inside] * days + column[inside]
    return np.bincount(place, minlength=rows * days).reshape(rows, days).astype(np.int64)


@dataclass(frozen=True)
class _Course:
    level: Array
    low: Array
    high: Array
    trend: Array


def _course(seen: Array, usable: Bools, slope: float, ahead: int, *, weekly: bool) -> _Course:
    """Typical day, its week, its trend and a band, in logarithms of the `usable` days."""
    days = len(seen)
    when = np.arange(days + ahead)
    logs = np.full(days, np.nan)
    logs[usable] = np.log(np.maximum(seen[usable], 1e-9)) - slope * when[:days][usable]
    rhythm = _rhythm(logs, days + ahead, weekly=weekly)
    residual = (logs - rhythm[:days])[usable]
    low, high = np.quantile(residual, [LOW, HIGH]) if len(residual) else (np.nan, np.nan)
    expected = rhythm + slope * when
    # The band opens with the square root of time, as a wandering level does.
    opening = np.sqrt(1 + np.maximum(when - days + 1, 0) / max(days, 1))
    future = when >= days
    middle = float(np.median(logs[usable])) if usable.any() else np.nan
    return _Course(
        level=np.where(future, np.exp(expected), np.nan),
        low=np.where(future, np.exp(expected + low * opening), np.nan),
        high=np.where(future, np.exp(expected + high * opening), np.nan),
        trend=np.exp(middle + slope * when) if slope else np.full(len(when), np.nan),
    )


def _rhythm(logs: Array, length: int, *, weekly: bool) -> Array:
    """The median day, or of each day of the week its own median; NaN where nothing is known."""
    known = logs[~np.isnan(logs)]
    if not len(known):
        return np.full(length, np.nan)
    week = np.full(7 if weekly and len(logs) >= 14 else 1, float(np.median(known)))
    for phase in range(len(week)):
        same = logs[phase :: len(week)]
        same = same[~np.isnan(same)]
        if len(same):
            week[phase] = np.median(same)
    return np.asarray(np.resize(week, length))


def _middles(end: datetime, back: int, ahead: int) -> npt.NDArray[np.datetime64]:
    last = np.datetime64(end.replace(tzinfo=None), "s")
    return np.asarray(last + (np.arange(back + ahead) - back) * np.timedelta64(86400, "s")) + (
        np.timedelta64(43200, "s")
    )
