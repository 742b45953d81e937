"""Drawn over the course of usage: a pod apart, what counts of the past, the days to come."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.collections import LineCollection, PolyCollection

from analyzer.plots.chart_data import ChartData, Row
from analyzer.plots.page import Panel
from analyzer.plots.style import ROW_HEIGHT, SIZES

if TYPE_CHECKING:
    from analyzer.models.demand import Resource


def draw_apart(panel: Panel, row: Row) -> None:
    """The pod that lies well above the others, as a line of its own."""
    if row.apart is None or row.course is None:
        return
    color = panel.page.palette.apart
    panel.axes.plot(row.course.times, row.apart.line, color=color, linewidth=1.3, zorder=2.35)


def draw_past(panel: Panel, data: ChartData, row: Row) -> None:
    """Fade what was before usage moved to its present level."""
    since = row.since
    if since is None:
        return
    colors = panel.page.palette
    panel.axes.axvspan(
        data.span[0], since, color=colors.background, alpha=0.66, linewidth=0, zorder=2.8
    )
    panel.rules([since], color=colors.ink, vertical=True, width=1.2, zorder=2.9)


def draw_days(panel: Panel, data: ChartData, row: Row) -> None:
    """One dash a day: as seen, and to the right of now as expected, with its band."""
    if data.horizon <= 0 or row.days is None:
        return
    axes, colors, days, now = panel.axes, panel.page.palette, row.days, data.span[1]
    panel.rules([now], color=colors.muted, vertical=True, style="dotted", width=1.2, zorder=2.5)
    panel.page.text(
        panel.px(now) + 8,
        panel.box[1] - 8,
        _days_title(row),
        size=SIZES.small,
        color=colors.muted,
    )
    begin, end = days.times - 0.5, days.times + 0.5
    known = ~np.isnan(days.low) & ~np.isnan(days.high)
    edges = np.stack([begin, days.low, end, days.high], axis=1)[known]
    # One collection: as many bars of their own cost half as much as all the rest of a chart.
    axes.add_collection(
        PolyCollection(
            [[(x0, y0), (x1, y0), (x1, y1), (x0, y1)] for x0, y0, x1, y1 in edges],
            facecolors=colors.forecast_band,
            linewidths=0,
            zorder=1.8,
        ),
        autolim=False,
    )
    for values, width, level in ((days.seen, 1.1, 2.6), (days.level, 2.0, 2.95)):
        dashes = [
            [(low + 0.08, value), (high - 0.08, value)]
            for low, high, value in zip(begin, end, values, strict=True)
            if not np.isnan(value) and value <= panel.y[1]
        ]
        axes.add_collection(
            LineCollection(dashes, colors=colors.forecast, linewidths=width, zorder=level),
            autolim=False,
        )
    _draw_cut_off(panel, row)
    dashed = (0, (5, 3))
    axes.plot(
        days.times, days.trend, color=colors.forecast, linewidth=1.2, linestyle=dashed, zorder=2.7
    )


_DAY_VALUE: dict[Resource, str] = {"cpu": "p95 of each day", "memory": "peak of each day"}


def _days_title(row: Row) -> str:
    ending = "at least" if row.days is not None and row.days.at_least else "expected"
    return f"{_DAY_VALUE[row.resource]}, {ending}"


def _draw_cut_off(panel: Panel, row: Row) -> None:
    """An arrow up from every day that was cut off: seen, or expected to be at least so much."""
    days, colors = row.days, panel.page.palette
    if days is None:
        return
    seen = np.where(days.cut_off, days.seen, np.nan)
    values = np.where(np.isnan(seen), days.level if days.at_least else np.nan, seen)
    lift = panel.y[1] * 9 / ROW_HEIGHT
    shown = ~np.isnan(values) & (values + lift <= panel.y[1])
    panel.axes.plot(
        days.times[shown],
        values[shown] + lift,
        linestyle="none",
        marker="^",
        markersize=4.6,
        markerfacecolor=colors.background,
        markeredgecolor=colors.forecast,
        markeredgewidth=1.0,
        zorder=3,
    )
