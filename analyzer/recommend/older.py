"""Older peaks: nothing falls below what daily summaries tell of the time before the window.

A month end lies in no fortnight. Where summaries of older days are at hand (from the cache, or one
look at what the server still holds), the peaks of their weeks count like the weeks of the window:
a request may lie below as many of them as the policy's risk allows, a limit below none. They hold a
decrease and raise nothing, for whatever happened then was survived with what is declared now.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta

import numpy as np
import numpy.typing as npt
import pandas as pd

from analyzer.history import Histories
from analyzer.quantity import Memory, TargetName
from analyzer.recommend.case import Bound, Facts
from analyzer.usage import NAMES

Array = npt.NDArray[np.float64]

OTHER_LEVEL = 1.25
"""A week whose usual day peaked so far above all of the window ran at a level that is left."""
_WEEK = timedelta(days=7)


def older_peaks(histories: Histories, facts: Mapping[int, Facts]) -> dict[int, tuple[Bound, ...]]:
    """The bounds that days before the window set to the containers of `facts`."""
    days = histories.days
    days = days[(days["day"] < histories.usage.start) & days["memory_peak_bytes"].notna()]
    if days.empty:
        return {}
    peaks = days.groupby([*NAMES, "day"], observed=True)["memory_peak_bytes"].max().reset_index()
    by_container = {tuple(map(str, key)): rows for key, rows in peaks.groupby(NAMES, observed=True)}
    bounds = {}
    for index, one in facts.items():
        ref = histories.containers[index]
        rows = by_container.get((ref.namespace, ref.kind, ref.workload, ref.container))
        if rows is not None and "memory" not in one.unknown:
            bounds[index] = tuple(_bounds(one, rows, histories, index))
    return bounds


def _bounds(facts: Facts, rows: pd.DataFrame, histories: Histories, index: int) -> Iterator[Bound]:
    recent = _weekly(histories.daily.memory_peak[index])
    if not len(recent):
        return
    older = _weeks_before(rows, histories, OTHER_LEVEL * float(recent.max()))
    if older.empty or older.max() <= recent.max():
        return
    weeks = np.sort(np.concatenate([older.to_numpy(), recent]))[::-1]
    newest = older.index[older.to_numpy() == older.max()][-1]
    said = (
        f"an older peak: {Memory.from_bytes(float(older.max())).human()} in the week of "
        f"{newest:%Y-%m-%d}, before the window"
    )
    now = facts.current
    allowed = int(facts.policy.memory_request_risk * len(weeks))
    levels: tuple[tuple[TargetName, Memory | None, float], ...] = (
        ("memory_request", now.memory_request, float(weeks[allowed])),
        ("memory_limit", now.memory_limit, weeks[0] * facts.policy.memory_limit_headroom),
    )
    for target, declared, level in levels:
        if declared is not None:
            least = min(declared, Memory.from_bytes(level))
            reason = f"{said}; {len(weeks)} weeks are known"
            yield Bound(target, least, reason)


def _weekly(peaks: Array) -> Array:
    """The highest peak of each week, the last seven days being one; weeks without any left out."""
    padded = np.concatenate([np.full(-len(peaks) % 7, np.nan), peaks]).reshape(-1, 7)
    seen = padded[~np.isnan(padded).all(axis=1)]
    highest: Array = np.nanmax(seen, axis=1) if len(seen) else np.zeros(0)
    return highest


def _weeks_before(rows: pd.DataFrame, histories: Histories, usual: float) -> pd.Series[float]:
    """The highest peak of each week before the window, by its first day, but for other levels."""
    start = pd.Timestamp(histories.usage.start)
    back = (start - rows["day"]).dt.total_seconds() // _WEEK.total_seconds()
    weeks = rows["memory_peak_bytes"].groupby(start - (back + 1) * pd.Timedelta(_WEEK))
    highest: pd.Series[float] = weeks.max()[weeks.median() <= usual]
    return highest
