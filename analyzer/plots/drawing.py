"""Draw one container: what it used, what it asks for, what it should ask for."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from analyzer.plots.chart_data import ChartData, Course, DayCurve, Headline, Level, Row
from analyzer.plots.days import draw_apart, draw_days, draw_past
from analyzer.plots.marks import MARKS, counted_mark, draw_events, mark_color, times_of
from analyzer.plots.page import Page, Panel
from analyzer.plots.png import encode_png
from analyzer.plots.scale import day_ticks, spread
from analyzer.plots.style import ROW_HEIGHT, SIZES, Palette, palette
from analyzer.plots.text import level_text, plain

if TYPE_CHECKING:
    from analyzer.models.demand import Resource

WIDTH, HEIGHT = 1650, 1035

# Where things stand, in pixels from the upper left corner.
_LEFT, _TIME_RIGHT = 104, 1085
_HISTOGRAM_LEFT, _HISTOGRAM_RIGHT = 1186, 1376
_LABELS, _RIGHT = 1388, 1626
_ROW_TOPS = (136, 556)
_HEADING, _LANE, _AXES = 20, 40, 54
_LABEL_GAP = 20.0
_FOOTER, _FOOTER_LINE = 1002, 22
_SHORT = 6
"""Runs of at most so many pixels are drawn as stems."""

_TITLES: dict[Resource, str] = {"cpu": "CPU", "memory": "Memory"}


def workload_page(*, dark: bool = False) -> Page:
    """An empty page for `draw_workload`."""
    return Page(WIDTH, HEIGHT, palette(dark=dark))


def draw_workload(data: ChartData, page: Page) -> Figure:
    """Draw what `summarise` summed up on `page`, in place of what was there before."""
    page.clear()
    _draw_headline(page, data.headline)
    for row, top in zip(data.rows, _ROW_TOPS, strict=True):
        _draw_row(page, data, row, top)
    _draw_footer(page, data)
    return page.figure


def workload_png(
    data: ChartData, description: str, drawn_from: str = "", *, dark: bool = False
) -> bytes:
    """Draw and encode `data` on a page that this process keeps for the next one."""
    return encode_png(draw_workload(data, _kept_page(dark)), description, drawn_from)


@cache
def _kept_page(dark: bool) -> Page:
    # Making a page's axes anew costs about a fifth of a chart.
    return workload_page(dark=dark)


def _draw_headline(page: Page, words: Headline) -> None:
    colors = page.palette
    tones = {"less": colors.proposed, "more": colors.warning, "same": colors.muted}
    x = float(_RIGHT)
    for verdict in reversed(words.verdicts):
        page.text(
            x,
            52,
            verdict.text,
            size=SIZES.verdict,
            color=tones[verdict.tone],
            bold=True,
            align="right",
        )
        x -= page.measure(verdict.text, SIZES.verdict, bold=True) + 34
    _draw_title(page, words.title, x - _LEFT)
    _draw_pair(page, 86, words.facts, words.outcome)
    _draw_pair(page, 112, words.remark, words.risk)


def _draw_title(page: Page, title: str, room: float) -> None:
    """The names beside the verdict where there is `room`, else smaller, else across the page."""
    for size in (SIZES.title, SIZES.verdict, SIZES.heading):
        if page.measure(title, size, bold=True) <= room:
            page.text(_LEFT, 52, title, size=size, bold=True)
            return
    across = page.fit(title, _RIGHT - _LEFT, SIZES.small, bold=True)
    page.text(_LEFT, 22, across, size=SIZES.small, bold=True)


def _draw_pair(page: Page, y: float, left: str, right: str) -> None:
    """One line of text at each margin; the left one gives way."""
    color = page.palette.muted
    page.text(_RIGHT, y, right, color=color, align="right")
    room = _RIGHT - _LEFT - page.measure(right) - 30
    page.text(_LEFT, y, page.fit(left, room), color=color)


def _draw_row(page: Page, data: ChartData, row: Row, top: float) -> None:
    axes_top, axes_bottom = top + _AXES, top + _AXES + ROW_HEIGHT
    begin, end = data.span
    over_time = page.panel(
        (_LEFT, axes_top, _TIME_RIGHT, axes_bottom),
        (begin, end + data.horizon),
        (0, row.scale.top),
    )
    _draw_heading(over_time, data, row, top)
    _draw_value_axis(over_time, row)
    _draw_time_axis(over_time, data)
    if row.course is None:
        _draw_absence(over_time, row)
    else:
        _draw_gaps(over_time, data)
        _draw_change(over_time, row)
        _draw_course(over_time, row.course)
        draw_apart(over_time, row)
        draw_past(over_time, data, row)
        draw_days(over_time, data, row)
    draw_events(over_time, data, row, top + _LANE)
    shares = page.panel(
        (_HISTOGRAM_LEFT, axes_top, _HISTOGRAM_RIGHT, axes_bottom),
        (0, max(1e-9, float(row.shares.max()))),
        (0, row.scale.top),
    )
    _draw_histogram(shares, row)
    _draw_quantiles(shares, row)
    _draw_levels(over_time, shares, row)


def _draw_heading(panel: Panel, data: ChartData, row: Row, top: float) -> None:
    """The row's title, and what the marks in it mean, one after the other."""
    page, y = panel.page, top + _HEADING
    title = f"{_TITLES[row.resource]} · {row.scale.unit}"
    page.text(_LEFT, y, title, size=SIZES.heading, bold=True)
    x = _LEFT + page.measure(title, SIZES.heading, bold=True) + 28
    for kind, mark in MARKS.items():
        count = len(times_of(data, kind, row.resource))
        if count:
            text, color = counted_mark(count, mark.noun), mark_color(kind, panel)
            page.text(x, y, mark.symbol, size=SIZES.label, color=color)
            page.text(x + 17, y, text, size=SIZES.label, color=color)
            x += 17 + page.measure(text, SIZES.label) + 24
    muted = page.palette.muted
    for text, color in _remarks(data, row, page.palette):
        shown = page.fit(text, _TIME_RIGHT - x, SIZES.label)
        page.text(x, y, shown, size=SIZES.label, color=color)
        x += page.measure(shown, SIZES.label) + 24
    since = row.since
    share = "share of samples" + (f" since {_date(data, since)}" if since is not None else "")
    page.text(_HISTOGRAM_LEFT, y, share, size=SIZES.label, color=muted)


def _remarks(data: ChartData, row: Row, colors: Palette) -> list[tuple[str, str]]:
    """What sets parts of the picture apart: a pod unlike the others, another level before."""
    found = []
    if row.apart is not None:
        found.append((f"● pod {plain(row.apart.pod)} by itself", colors.apart))
    if row.days is not None and row.since is not None:
        what = "a new image changed usage" if row.days.by_image else "usage moved to another level"
        found.append((f"{what}; counted from {_date(data, row.since)} on", colors.ink))
    return found


def _date(data: ChartData, day: float) -> str:
    moment = data.start + timedelta(days=day)
    return f"{moment.day} {moment:%b}"


def _draw_value_axis(panel: Panel, row: Row) -> None:
    colors = panel.page.palette
    panel.rules(row.scale.ticks, color=colors.grid)
    for tick, label in zip(row.scale.ticks, row.scale.labels, strict=True):
        panel.label_left(tick, label)


def _draw_time_axis(panel: Panel, data: ChartData) -> None:
    colors = panel.page.palette
    ticks, labels = day_ticks(data.start, *panel.x, most=11)
    for tick, label in zip(ticks, labels, strict=True):
        panel.label_below(tick, label)
    height = panel.y[1] * 5 / ROW_HEIGHT
    panel.axes.add_collection(
        LineCollection(
            [[(tick, 0), (tick, -height)] for tick in ticks],
            colors=colors.muted,
            linewidths=0.8,
            clip_on=False,
        ),
        autolim=False,
    )


def _draw_absence(panel: Panel, row: Row) -> None:
    left, top, right, bottom = panel.box
    panel.page.text(
        (left + right) / 2,
        (top + bottom) / 2,
        f"no {_TITLES[row.resource] if row.resource == 'cpu' else 'memory'} usage was observed",
        color=panel.page.palette.muted,
        align="center",
        valign="center_baseline",
    )


def _draw_gaps(panel: Panel, data: ChartData) -> None:
    """Grey where nothing was seen, named where there is room for a word."""
    page, colors = panel.page, panel.page.palette
    for low, high in data.gaps:
        panel.axes.axvspan(low, high, color=colors.gap, linewidth=0, zorder=0.1)
        if panel.px(high) - panel.px(low) > page.measure("no data", SIZES.small) + 8:
            page.text(
                (panel.px(low) + panel.px(high)) / 2,
                panel.box[3] - 8,
                "no data",
                size=SIZES.small,
                color=colors.muted,
                align="center",
            )


def _draw_change(panel: Panel, row: Row) -> None:
    """The area between the request now and the new one."""
    if row.change is None:
        return
    now, new = (min(value, row.scale.top) for value in row.change)
    colors = panel.page.palette
    color = colors.freed if new < now else colors.added
    panel.axes.axhspan(min(now, new), max(now, new), color=color, linewidth=0, zorder=0.2)


def _draw_course(panel: Panel, course: Course) -> None:
    axes, colors = panel.axes, panel.page.palette
    axes.fill_between(
        course.times, course.p50, course.p95, color=colors.band, linewidth=0, zorder=2
    )
    axes.plot(course.times, course.peak, color=colors.peak, linewidth=0.9, zorder=2.1)
    axes.plot(
        course.times,
        course.p50,
        color=colors.usage,
        linewidth=1.9,
        zorder=2.3,
        solid_joinstyle="round",
    )
    _draw_stems(panel, course)


def _draw_stems(panel: Panel, course: Course) -> None:
    """Runs too short to make a line of their own stand on a stem."""
    seen = np.concatenate([[0], course.seen.astype(np.int8), [0]])
    edges = np.flatnonzero(np.diff(seen))
    stems, tops = [], []
    for low, high in zip(edges[::2], edges[1::2], strict=True):
        if (high - low) * course.width * panel.per_unit <= _SHORT:
            highest = low + int(np.argmax(course.peak[low:high]))
            time = float(course.times[highest])
            stems.append([(time, 0.0), (time, float(course.peak[highest]))])
            tops.append((time, float(course.p50[highest])))
    if not stems:
        return
    colors = panel.page.palette
    panel.axes.add_collection(
        LineCollection(stems, colors=colors.peak, linewidths=1.4, zorder=2.1), autolim=False
    )
    panel.axes.plot(
        *zip(*tops, strict=True),
        linestyle="none",
        marker="o",
        markersize=3.4,
        color=colors.usage,
        markeredgewidth=0,
        zorder=2.4,
    )


def _draw_histogram(panel: Panel, row: Row) -> None:
    colors = panel.page.palette
    height = row.scale.top / len(row.shares)
    middles = (np.arange(len(row.shares)) + 0.5) * height
    used = row.shares > 0
    # The rarest bin stays visible.
    widths = np.maximum(row.shares[used], panel.x[1] * 0.012)
    low, high = middles[used] - 0.41 * height, middles[used] + 0.41 * height
    corners = [
        [(0.0, bottom), (width, bottom), (width, top), (0.0, top)]
        for width, bottom, top in zip(widths, low, high, strict=True)
    ]
    panel.axes.add_collection(
        PolyCollection(corners, facecolors=colors.bars, linewidths=0, zorder=1), autolim=False
    )


def _draw_quantiles(panel: Panel, row: Row) -> None:
    """Quantiles with their values, left of the histogram, never on top of each other."""
    page, ink, edge = panel.page, panel.page.palette.ink, panel.box[0]
    above = [not row.scale.holds(value) for _, value in row.quantiles]
    wanted = [
        -(panel.box[1] - 6) if off else -panel.py(value)
        for (_, value), off in zip(row.quantiles, above, strict=True)
    ]
    places = spread(wanted, 17, -panel.box[3], -(panel.box[1] - 6))
    for (name, value), off, place in zip(row.quantiles, above, places, strict=True):
        text = f"{name} {level_text(row.resource, value).removesuffix(' cores')}"
        page.text(
            edge - 12,
            -place,
            f"{text} ↑" if off else text,
            size=13.5,
            color=ink,
            align="right",
            valign="center_baseline",
        )
        if not off:
            _leader(panel, (edge - 9, -place), (edge, panel.py(value)), ink)
            panel.axes.plot(
                [0, panel.x[1] * 0.07], [value, value], color=ink, linewidth=1.5, zorder=3
            )


def _leader(panel: Panel, begin: tuple[float, float], end: tuple[float, float], color: str) -> None:
    """A thin line on the page, from a label to what it names."""
    left, top, right, bottom = panel.box
    xs = [(x - left) / (right - left) for x, _ in (begin, end)]
    ys = [(bottom - y) / (bottom - top) for _, y in (begin, end)]
    panel.axes.plot(
        xs, ys, transform=panel.axes.transAxes, color=color, linewidth=0.8, clip_on=False
    )


def _draw_levels(over_time: Panel, shares: Panel, row: Row) -> None:
    """Requests and limits as lines over both panels, each named at the right."""
    page, top = over_time.page, over_time.box[1]
    roles = {
        "now": page.palette.now,
        "proposed": page.palette.proposed,
        "kept": page.palette.ink,
        "need": page.palette.proposed,
    }
    levels = sorted(row.levels, key=lambda level: (level.value, level.limit))
    off = [level for level in levels if not row.scale.holds(level.value)]
    for level in levels:
        if row.scale.holds(level.value):
            for panel in (over_time, shares):
                _draw_level(panel, level, roles[level.role])
    wanted = [
        -over_time.py(level.value) if level not in off else -(top - 2 - 3 * off.index(level))
        for level in levels
    ]
    room = -(over_time.box[3] + 4), -(top - 34)
    for level, place in zip(levels, spread(wanted, _LABEL_GAP, *room), strict=True):
        color = roles[level.role]
        page.text(
            _LABELS,
            -place,
            f"{level.text} ↑" if level in off else level.text,
            size=SIZES.label,
            color=color,
            valign="center_baseline",
        )
        if level not in off and abs(place + over_time.py(level.value)) > 3:
            ends = (_HISTOGRAM_RIGHT, over_time.py(level.value)), (_LABELS - 3, -place)
            _leader(shares, *ends, color)


def _draw_level(panel: Panel, level: Level, color: str) -> None:
    style, width = "solid", 2.6
    if level.limit:
        style, width = "dotted", 1.7
    elif level.role == "need":
        style, width = "dashed", 1.2
    over = 3.2 if level.limit else 3.1
    panel.rules([level.value], color=color, width=width, style=style, zorder=over)


def _draw_footer(page: Page, data: ChartData) -> None:
    """A key to what this very chart shows."""
    colors = page.palette
    minutes = data.bucket_minutes
    bucket = f"{minutes:g} min" if minutes < 120 else f"{minutes / 60:g} h"
    x, y = float(_LEFT), float(_FOOTER)
    for kind, color, text in _key(data, bucket, colors):
        width = 29 + page.measure(text, SIZES.small)
        if x + width > _RIGHT:
            x, y = float(_LEFT), y + _FOOTER_LINE
        if kind == "mark":
            page.text(x + 5, y, color, size=SIZES.small, color=colors.forecast)
        else:
            height = {"area": 13.0, "line": 3.0, "thin": 1.5}[kind]
            page.figure.add_artist(_swatch(page, (x, y - 5), color, height))
        page.text(x + 29, y, text, size=SIZES.small, color=colors.muted)
        x += width + 26


def _swatch(page: Page, middle: tuple[float, float], color: str, height: float) -> Rectangle:
    x, y = middle
    return Rectangle(
        (x / page.width, 1 - (y + height / 2) / page.height),
        22 / page.width,
        height / page.height,
        facecolor=color,
        linewidth=0,
        transform=page.figure.transFigure,
    )


def _key(data: ChartData, bucket: str, colors: Palette) -> Sequence[tuple[str, str, str]]:
    """What the lines and areas of this chart are: the kind of swatch, its colour, the words."""
    entries = []
    if any(row.course is not None for row in data.rows):
        others = any(row.apart is not None for row in data.rows)
        pods = "pods not drawn apart" if others else "all pods"
        entries += [
            ("line", colors.usage, f"median of {pods} per {bucket}"),
            ("area", colors.band, "to p95"),
            ("thin", colors.peak, "maximum"),
        ]
    changes = [row.change for row in data.rows if row.change is not None]
    if any(new < now for now, new in changes):
        entries.append(("area", colors.freed, "given back"))
    if any(new > now for now, new in changes):
        entries.append(("area", colors.added, "asked for in addition"))
    if any(level.role == "need" for row in data.rows for level in row.levels):
        entries.append(("thin", colors.proposed, "need now; the request follows in time"))
    curves = [row.days for row in data.rows if row.days is not None]
    if curves and data.horizon > 0:
        entries += _key_of_days(curves, colors)
    if data.gaps:
        entries.append(("area", colors.gap, "no data"))
    return entries


def _key_of_days(curves: Sequence[DayCurve], colors: Palette) -> list[tuple[str, str, str]]:
    trend = not all(np.isnan(curve.trend).all() for curve in curves)
    words = "a day's CPU p95 or memory peak, seen and expected"
    words += " (dashed: trend)" if trend else ""
    entries = [("thin", colors.forecast, words)]
    if not all(np.isnan(curve.high).all() for curve in curves):
        entries.append(("area", colors.forecast_band, "8 of 10 days"))
    if any(curve.cut_off.any() or curve.at_least for curve in curves):
        entries.append(("mark", "△", "cut off by its limit: the need is higher"))
    return entries
