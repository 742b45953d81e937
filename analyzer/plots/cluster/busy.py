"""When the cluster is busy: CPU used by hour of the week."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
from matplotlib.colors import Colormap, LinearSegmentedColormap

from analyzer.plots.cluster.layout import (
    LEFT,
    LOWER,
    MIDDLE,
    Array,
    Facts,
    total_used,
)
from analyzer.plots.page import Page, Panel
from analyzer.plots.style import SIZES

_WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def draw_busy_hours(page: Page, facts: Facts) -> None:
    """A cell per hour of the week (UTC), the darker the more of the requests is used."""
    note = "mean CPU used / CPU requested after the change, by hour of the week (UTC)"
    page.heading(LEFT, LOWER, "When the cluster is busy", note)
    box = (LEFT + 48.0, LOWER + 44.0, MIDDLE - 176.0, LOWER + 456.0)
    panel = page.panel(box, (0, 24), (7, 0))
    for day, name in enumerate(_WEEKDAYS):
        panel.label_left(day + 0.5, name)
    for hour in (0, 6, 12, 18, 24):
        panel.label_below(hour, f"{hour:02d}:00")
    heat = _busy_hours(facts)
    if np.isnan(heat).all():
        panel.label_middle("no CPU request to compare with")
        return
    ends, colors = _heat_range(heat), page.palette
    shades = LinearSegmentedColormap.from_list("heat", colors.heat, bad=colors.gap)
    panel.axes.pcolormesh(
        np.arange(25),
        np.arange(8),
        np.ma.masked_invalid(heat),
        cmap=shades,
        vmin=ends[0],
        vmax=ends[1],
        edgecolors=colors.background,
        linewidth=1.2,
    )
    _draw_extremes(panel, heat)
    _draw_key(panel, ends, shades)


def _draw_key(panel: Panel, ends: tuple[float, float], shades: Colormap) -> None:
    """Which shade stands for which share, as a bar to the right of `panel`."""
    (low, high), (_, top, right, bottom) = ends, panel.box
    bar = panel.page.panel((right + 22, top, right + 38, bottom), (0, 1), ends)
    steps = np.linspace(low, high, 64)[:, None]
    edges = np.linspace(low, high, 65)
    bar.axes.pcolormesh([0, 1], edges, steps, cmap=shades, vmin=low, vmax=high)
    for share in np.linspace(low, high, 5):
        bar.label_right(share, f"{share:.0%}", gap=8)


def _heat_range(heat: Array) -> tuple[float, float]:
    """From a round share below the least to one above the largest, at least 20 points apart."""
    low = np.floor(np.nanmin(heat) * 20) / 20
    high = np.ceil(np.nanmax(heat) * 20) / 20
    return float(max(0, min(low, high - 0.2))), float(max(high, 0.2))


def _draw_extremes(panel: Panel, heat: Array) -> None:
    """The busiest hour in numbers."""
    day, hour = np.unravel_index(int(np.nanargmax(heat)), heat.shape)
    share = heat[day, hour]
    panel.page.text(
        panel.px(float(hour) + 0.5),
        panel.py(float(day) + 0.5),
        f"{share * 100:.0f}",
        size=SIZES.small,
        bold=True,
        align="center",
        valign="center_baseline",
        # The busiest cell is the darkest in light and the brightest in dark.
        color=panel.page.palette.background,
    )


def _busy_hours(facts: Facts) -> Array:
    """Mean CPU used over proposed requests per weekday and hour of UTC, shape (7, 24)."""
    usage = facts.histories.usage
    requested = facts.requested("cpu")[1] / 1000
    if not requested:
        return np.full((7, 24), np.nan)
    total, seen = total_used(facts, "cpu")
    ends = np.arange(usage.steps) + 0.5
    hours = (ends * (usage.step / timedelta(hours=1))).astype(np.int64)
    start = usage.start
    first = start.weekday() * 24 + start.hour
    slot = (hours + first + (1 if start.minute >= 30 else 0)) % 168
    slot = slot[seen]
    sums = np.bincount(slot, weights=total[seen], minlength=168)
    counts = np.bincount(slot, minlength=168)
    with np.errstate(invalid="ignore"):
        mean = np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
    return (mean / requested).reshape(7, 24)
