"""The hour that is busy every day or every week, however little of the time it makes.

A share of the time hides it: one hour a week is 0.6 %. But it may be the only hour in which the
container does what it is there for.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import numpy.typing as npt

from analyzer.history import Histories

Array = npt.NDArray[np.float64]

_HOURS_A_DAY, _HOURS_A_WEEK = 24, 168
_LEAST_DAYS, _LEAST_WEEKS = 4, 2
_DAILY_SHARE = 0.25
"""On three days of four it is at least as busy as stated."""
_STANDS_OUT = 2.0
LEAST_CORES = 0.05
_NEARLY = 0.7
"""An hour of every day is worth naming before one of the week that is hardly busier."""


@dataclass(frozen=True, slots=True)
class BusyHour:
    """The busiest hour that recurs."""

    cores: float
    """The p95 of CPU within it."""
    when: str
    """Such as ``every Sunday from 02:00`` or ``every day from 14:30``, in UTC."""


def busiest_hour(histories: Histories, index: int) -> BusyHour | None:
    """The busiest recurring hour of CPU of container `index`; None where none stands out."""
    usage, where = histories.usage, histories.usage.span(index)
    per_hour = usage.steps_per_day // _HOURS_A_DAY
    if per_hour < 1:
        return None
    seen = ~np.isnan(usage.cpu_cores[where])
    values = usage.cpu_cores[where][seen].astype(np.float64)
    if not len(values):
        return None
    # Counted back from the end of the window, so that whole days and weeks line up.
    hour = (usage.steps - 1 - usage.sample_steps(index)[seen]) // per_hour
    means = _means(values, hour, usage.steps // per_hour)
    found = [
        (_NEARLY**rank * level, period, position)
        for rank, period in enumerate((_HOURS_A_DAY, _HOURS_A_WEEK))
        for level, position in [_busiest(means, period)]
    ]
    level, period, position = max(found)
    if level < max(LEAST_CORES, _STANDS_OUT * values.mean()):
        return None
    within = np.sort(values[hour % period == position])
    cores = float(within[int(np.ceil(0.95 * len(within))) - 1])
    return BusyHour(cores, _when(histories, position, period))


def _means(
    values: npt.NDArray[np.float64], hour: npt.NDArray[np.int64], hours: int
) -> npt.NDArray[np.float64]:
    inside = hour < hours
    total = np.bincount(hour[inside], weights=values[inside], minlength=hours)
    count = np.bincount(hour[inside], minlength=hours)
    means: Array = total / np.where(count, count, np.nan)
    return means


def _busiest(means: Array, period: int) -> tuple[float, int]:
    """The level that the busiest hour of the period reaches nearly always, and its position."""
    whole = len(means) // period
    if whole < (_LEAST_DAYS if period == _HOURS_A_DAY else _LEAST_WEEKS):
        return 0.0, 0
    profile = means[: whole * period].reshape(whole, period)
    daily = period == _HOURS_A_DAY
    reached = np.nan_to_num(quantile(profile, _DAILY_SHARE) if daily else profile.min(axis=0))
    return float(reached.max()), int(reached.argmax())


def quantile(values: Array, share: float) -> Array:
    """The quantile `share` of each column, between neighbours in proportion; NaN: not seen.

    The numbers of ``np.nanquantile``, which sorts column by column in Python and took a quarter of
    a run. A column of nothing gives NaN.
    """
    ordered = np.sort(values, axis=0)  # NaN last
    last = np.maximum((~np.isnan(values)).sum(axis=0) - 1, 0)
    place = share * last
    low = np.floor(place).astype(np.int64)
    columns = np.arange(values.shape[1])
    below, above = ordered[low, columns], ordered[np.minimum(low + 1, last), columns]
    part, gap = place - low, above - below
    # From the nearer neighbour, as numpy does it.
    found: Array = np.where(part < 0.5, below + gap * part, above - gap * (1 - part))
    return found


def _when(histories: Histories, position: int, period: int) -> str:
    begin = histories.usage.end - timedelta(hours=position + 1)
    day = "day" if period == _HOURS_A_DAY else f"{begin:%A}"
    return f"every {day} from {begin:%H:%M}"
