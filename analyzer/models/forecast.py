"""The expected course of one container, for charts: typical use, its rhythm, its trend, a band.

A chart shows one container, so this may look closer than the models that state demand for all;
demand itself is theirs. Everything is in logarithms of two-hour values: p95 of CPU over all pods,
the highest memory of any pod.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import numpy.typing as npt

from analyzer.history import Histories
from analyzer.models.demand import Array, Resource
from analyzer.models.pattern import Pattern, recognise

BLOCK = timedelta(hours=2)
_PER_DAY = 12
LOW, HIGH = 0.1, 0.9


@dataclass(frozen=True)
class Forecast:
    """What is expected of one resource of one container: cores or bytes at each of `times` (UTC).

    `times` run through the window and the horizon. `level`, `low` and `high` (an 80 % band) are
    NaN within the window; `trend` is a line through all of it, NaN without a significant trend.
    """

    times: npt.NDArray[np.datetime64]
    level: Array
    low: Array
    high: Array
    trend: Array


def forecast(
    histories: Histories,
    index: int,
    resource: Resource,
    horizon: timedelta,
    pattern: Pattern | None = None,
) -> Forecast:
    """The course of container `index` through `horizon`.

    `pattern` is what `recognise(histories)[resource]` found, computed here where it is not given.
    """
    found = recognise(histories)[resource] if pattern is None else pattern
    blocks = block_values(histories, index, resource)
    back, ahead = len(blocks), max(1, round(horizon / BLOCK))
    when = np.arange(back + ahead)
    slope = float(found.slope[index]) / _PER_DAY
    flat = blocks - slope * np.arange(back)
    kept = flat.copy()
    days = -(-back // _PER_DAY)
    kept[: max(0, back - (days - int(found.since[index])) * _PER_DAY)] = np.nan
    rhythm = _rhythm(kept, found.findings[index], len(when))
    residual = kept - rhythm[:back]
    seen = residual[~np.isnan(residual)]
    low, high = np.quantile(seen, [LOW, HIGH]) if len(seen) else (np.nan, np.nan)
    expected = rhythm + slope * when
    # The band opens with the square root of time, as a wandering level does.
    opening = np.sqrt(1 + np.maximum(when - back + 1, 0) / max(back, 1))
    future = when >= back
    middle = float(np.nanmedian(kept)) if len(seen) else np.nan
    start = np.datetime64(histories.usage.end.replace(tzinfo=None), "s")
    times = start + (when - back + 1) * np.timedelta64(int(BLOCK.total_seconds()), "s")
    return Forecast(
        times=times,
        level=np.where(future, np.exp(expected), np.nan),
        low=np.where(future, np.exp(expected + low * opening), np.nan),
        high=np.where(future, np.exp(expected + high * opening), np.nan),
        trend=np.exp(middle + slope * when) if slope else np.full(len(when), np.nan),
    )


def block_values(histories: Histories, index: int, resource: Resource) -> Array:
    """Logarithms per two hours, the last block ending with the window; NaN: nothing seen."""
    usage, where = histories.usage, histories.usage.span(index)
    values = usage.cpu_cores[where] if resource == "cpu" else usage.memory_bytes[where]
    per_block = max(1, round(BLOCK / usage.step))
    count = -(-usage.steps // per_block)
    block = count - 1 - (usage.steps - 1 - usage.sample_steps(index)) // per_block
    seen = ~np.isnan(values)
    values, block = values[seen], block[seen]
    order = np.lexsort((values, block))
    edges = np.searchsorted(block[order], np.arange(count + 1))
    number = np.diff(edges)
    share = 0.95 if resource == "cpu" else 1.0
    rank = edges[:-1] + np.ceil(share * number).astype(np.int64) - 1
    result = np.full(count, np.nan)
    have = number > 0
    floor = 1e-4 if resource == "cpu" else 1.0
    result[have] = np.log(np.maximum(values[order][rank[have]], floor))
    return result


def _rhythm(flat: Array, word: str, length: int) -> Array:
    """The median course of `flat`, repeated up to `length`: by week, by day, or one level."""
    period = {"weekly": 7 * _PER_DAY, "daily": _PER_DAY}.get(word, 1)
    if len(flat) < 2 * period:
        period = 1
    seen = flat[~np.isnan(flat)]
    middle = float(np.median(seen)) if len(seen) else np.nan
    profile = np.full(period, middle)
    for phase in range(period):
        values = flat[phase::period]
        values = values[~np.isnan(values)]
        if len(values):
            profile[phase] = np.median(values)
    return np.asarray(np.resize(profile, length))
