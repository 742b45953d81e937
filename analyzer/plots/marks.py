"""Marks on a chart of usage over time: kills, restarts, throttling, waiting, changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from matplotlib.collections import LineCollection

from analyzer.plots.chart_data import Array, ChartData, Row
from analyzer.plots.page import Panel
from analyzer.plots.style import ROW_HEIGHT
from analyzer.plots.text import counted

if TYPE_CHECKING:
    from analyzer.models.demand import Resource


class Mark(NamedTuple):
    """How one kind of event looks, and in which rows it is drawn."""

    symbol: str
    marker: str
    noun: str
    rows: tuple[Resource, ...]


MARKS = {
    "oom_kill": Mark("✖", "X", "OOM kill", ("memory",)),
    "restart": Mark("▲", "^", "restart", ("memory",)),
    "image_change": Mark("◆", "D", "image change", ("cpu", "memory")),
    "resize": Mark("■", "s", "resize", ("cpu", "memory")),
    "throttled": Mark("▮", "|", "throttled step", ("cpu",)),
    "cpu_pressure": Mark("▬", "_", "hour of waiting for CPU", ("cpu",)),
    "memory_pressure": Mark("▬", "_", "hour of waiting for memory", ("memory",)),
}
"""How events look, most serious first."""


def counted_mark(count: int, noun: str) -> str:
    """``3 hours of waiting for CPU``: the first word is the one that is counted, or the last."""
    first, of, rest = noun.partition(" of ")
    return f"{counted(count, first)}{of}{rest}"


def mark_color(kind: str, panel: Panel) -> str:
    """What went wrong stands out; waiting and changes do not."""
    colors = panel.page.palette
    if kind.endswith("_pressure"):
        return colors.now
    return colors.muted if kind in ("image_change", "resize") else colors.warning


def draw_events(panel: Panel, data: ChartData, row: Row, lane: float) -> None:
    """Marks in the lane above the panel; throttling as bars at its foot."""
    for kind, mark in MARKS.items():
        times = times_of(data, kind, row.resource)
        if not len(times):
            continue
        if kind == "throttled":
            _draw_throttling(panel, _apart(panel, times))
            continue
        if kind.endswith("_pressure"):
            _draw_pressure(panel, times)
            continue
        if kind == "restart":
            times = _without(times, data.events.get("oom_kill"), 12 / panel.per_unit)
        _draw_marks(panel, _apart(panel, times), mark.marker, mark_color(kind, panel), lane)
        if kind == "oom_kill":
            panel.rules(
                _apart(panel, times),
                color=mark_color(kind, panel),
                vertical=True,
                style="dotted",
                width=0.9,
                zorder=1.9,
            )


def times_of(data: ChartData, kind: str, resource: Resource) -> Array:
    """When events of `kind` happened that belong to the row of `resource`."""
    times = data.events.get(kind)
    return times if times is not None and resource in MARKS[kind].rows else np.empty(0)


def _without(times: Array, others: Array | None, reach: float) -> Array:
    """`times` without those within `reach` days of one of `others`: a kill restarts anyway."""
    if others is None or not len(others):
        return times
    distance = np.abs(times[:, None] - others[None, :]).min(axis=1)
    kept: Array = times[distance > reach]
    return kept


def _apart(panel: Panel, times: Array) -> list[float]:
    """One time per three pixels: more marks than that look the same."""
    pixels = np.round((times - panel.x[0]) * panel.per_unit / 3)
    _, first = np.unique(pixels, return_index=True)
    return [float(times[k]) for k in first]


def _draw_throttling(panel: Panel, times: list[float]) -> None:
    foot = panel.y[1] * 9 / ROW_HEIGHT
    panel.axes.add_collection(
        LineCollection(
            [[(t, 0), (t, foot)] for t in times],
            colors=panel.page.palette.warning,
            linewidths=1.8,
            zorder=4,
        ),
        autolim=False,
    )


def _draw_pressure(panel: Panel, times: Array) -> None:
    """Hours in which tasks waited, as a bar below throttling; an event ends its hour."""
    height, width = panel.y[1] * 3 / ROW_HEIGHT, max(1 / 24, 2 / panel.per_unit)
    panel.axes.add_collection(
        LineCollection(
            [[(t - 1 / 24, height), (t - 1 / 24 + width, height)] for t in times],
            colors=panel.page.palette.now,
            linewidths=3.6,
            zorder=4.1,
        ),
        autolim=False,
    )


def _draw_marks(panel: Panel, times: list[float], marker: str, color: str, lane: float) -> None:
    height = panel.y[1] * (1 + (panel.box[1] - lane) / ROW_HEIGHT)
    panel.axes.plot(
        times,
        [height] * len(times),
        linestyle="none",
        marker=marker,
        color=color,
        markersize=6.2,
        markeredgewidth=0,
        clip_on=False,
        zorder=5,
    )
