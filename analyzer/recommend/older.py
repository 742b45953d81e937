"""Older peaks: nothing falls below what is known of the time before the last fortnight.

A month end lies in no fortnight. Where summaries of days before the window are at hand (from the
cache, or one look at what the server still holds), or a peak far above the last fortnight lies in
the window, the peaks of all weeks count alike: a request may lie below as many of them as the
policy's risk allows, a limit below none. They hold a decrease and raise nothing, for whatever
happened then was survived with what is declared now.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd

from analyzer.history import Histories
from analyzer.quantity import Memory, TargetName
from analyzer.recommend.case import Bound, Facts
from analyzer.tables import NAMES

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

OTHER_LEVEL = 1.25
"""A week whose usual day peaked so far above all of the window ran at a level that is left."""
RECENT = 14
"""Days at the end of the window that models look at closely."""
_RECENT_WEEKS = 2
FAR = 2.0
"""Within the window models know the older days; a peak so far above is rarer than they learn."""


def older_peaks(histories: Histories, facts: Mapping[int, Facts]) -> dict[int, tuple[Bound, ...]]:
    """The bounds that days before the last fortnight set to the containers of `facts`."""
    summaries = _summaries(histories)
    rare = _rare(histories.daily.memory_peak)
    bounds = {}
    for index, one in facts.items():
        ref = histories.containers[index]
        before = summaries.get((ref.namespace, ref.kind, ref.workload, ref.container))
        if "memory" in one.unknown:
            continue
        bounds[index] = tuple(_of_start(one))
        if before is not None or rare[index]:
            peaks = _daily_peaks(histories, index, before)
            bounds[index] += tuple(_bounds(one, peaks))
    return bounds


def _of_start(facts: Facts) -> Iterator[Bound]:
    """What the last start took: the change itself makes it start again."""
    limit, peak = facts.current.memory_limit, facts.evidence.start_peak
    if limit is not None and peak is not None:
        level = Memory.from_bytes(peak * facts.policy.memory_limit_headroom)
        said = f"its last start, before the window, took {Memory.from_bytes(peak).human()}"
        yield Bound("memory_limit", min(limit, level), said)


def _summaries(histories: Histories) -> dict[tuple[str, ...], pd.Series[float]]:
    """The highest peak of each day before the window, by container."""
    days = histories.days
    days = days[(days["day"] < histories.usage.start) & days["memory_peak_bytes"].notna()]
    if days.empty:
        return {}
    peaks = days.groupby([*NAMES, "day"], observed=True)["memory_peak_bytes"].max().reset_index()
    return {
        tuple(map(str, key)): rows.set_index("day")["memory_peak_bytes"]
        for key, rows in peaks.groupby(NAMES, observed=True)
    }


def _rare(peaks: Array) -> Mask:
    """Which containers peaked far above the last fortnight earlier in the window."""
    if peaks.shape[1] <= RECENT:
        return np.zeros(len(peaks), dtype=bool)
    early, late = (np.where(np.isnan(p), 0, p) for p in (peaks[:, :-RECENT], peaks[:, -RECENT:]))
    rare: Mask = early.max(axis=1) > FAR * late.max(axis=1)
    return rare


def _daily_peaks(
    histories: Histories, index: int, before: pd.Series[float] | None
) -> pd.Series[float]:
    """The peak of each day that is known, by the time at which the day ends."""
    own = histories.daily.memory_peak[index]
    ends = pd.date_range(end=pd.Timestamp(histories.usage.end), periods=len(own), freq="D")
    parts = [pd.Series(own, index=ends)]
    if before is not None:
        parts.insert(0, before.set_axis(before.index + pd.Timedelta(days=1)))
    joined: pd.Series[float] = pd.concat(parts).dropna()
    return joined


def _bounds(facts: Facts, peaks: pd.Series[float]) -> Iterator[Bound]:
    """What the weeks before the last fortnight hold."""
    end = peaks.index.max()
    week = (end - peaks.index) // pd.Timedelta(days=7)
    by_week = peaks.groupby(week)
    highest, usual = by_week.max(), by_week.median()
    recent = float(highest[highest.index < _RECENT_WEEKS].max())
    older = highest[(highest.index >= _RECENT_WEEKS) & (usual <= OTHER_LEVEL * recent)]
    if older.empty or older.max() <= recent:
        return
    weeks = np.sort(np.concatenate([older, highest[highest.index < _RECENT_WEEKS]]))[::-1]
    back = int(older.index.to_numpy()[older.to_numpy().argmax()])
    first = end - (back + 1) * pd.Timedelta(days=7)
    said = (
        f"an older peak: {Memory.from_bytes(float(older.max())).human()} in the week from "
        f"{first:%Y-%m-%d} on; {len(weeks)} weeks are known"
    )
    now = facts.current
    allowed = int(facts.policy.memory_request_risk * len(weeks))
    levels: tuple[tuple[TargetName, Memory | None, float], ...] = (
        ("memory_request", now.memory_request, float(weeks[allowed])),
        ("memory_limit", now.memory_limit, weeks[0] * facts.policy.memory_limit_headroom),
    )
    for target, declared, level in levels:
        if declared is not None:
            yield Bound(target, min(declared, Memory.from_bytes(level)), said)
