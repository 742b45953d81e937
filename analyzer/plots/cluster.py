"""The chart of a whole cluster: what changes, where, and what it leaves free."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.collections import LineCollection
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from analyzer.history import Histories, Skipped
from analyzer.models.demand import RESOURCES, Resource
from analyzer.plots.page import Page, Panel
from analyzer.plots.style import SIZES, palette
from analyzer.plots.text import (
    MINUS,
    change_percent,
    counted,
    plain,
    shorten,
    total_text,
)
from analyzer.recommend import Recommendation, totals
from analyzer.report import tally

Array = npt.NDArray[np.float64]

WIDTH, HEIGHT = 1650, 1230

# Where things stand, in pixels from the upper left corner.
_LEFT, _MIDDLE, _RIGHT = 60, 880, 1600
_UPPER, _LOWER = 150, 690
_NAMESPACES = 7
_NAME_ROOM = 170
_SIZE = {"cpu": 1000.0, "memory": 2.0**30}
"""Units per core and per GiB."""
_UNITS = {"cpu": "cores", "memory": "GiB"}
_TITLES: dict[Resource, str] = {"cpu": "CPU", "memory": "Memory"}
_WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


@dataclass(frozen=True)
class _Facts:
    """What the words and panels say, computed once."""

    cluster: str
    recommendations: tuple[Recommendation, ...]
    counts: str
    histories: Histories
    totals: Mapping[str, tuple[int, int]]

    def requested(self, resource: Resource) -> tuple[int, int]:
        """Requests now and proposed, over all replicas, in millicores or bytes."""
        return self.totals[f"{resource}_request"]


def cluster_figure(
    recommendations: Sequence[Recommendation],
    skipped: Sequence[Skipped],
    histories: Histories,
    *,
    dark: bool = False,
) -> Figure:
    """Draw one cluster, 1650 x 1230 pixels.

    Requests by namespace, requests against use, when the cluster is busy, and what its nodes have
    left. Cluster, period and nodes come from ``histories.meta``; where nodes are unknown the last
    panel compares with what is requested now.
    """
    facts = _facts(recommendations, skipped, histories)
    page = Page(WIDTH, HEIGHT, palette(dark=dark))
    _draw_headline(page, facts)
    _draw_waterfalls(page, facts)
    _draw_scatters(page, facts)
    _draw_heat(page, facts)
    _draw_headroom(page, facts)
    return page.figure


def describe_cluster(
    recommendations: Sequence[Recommendation], skipped: Sequence[Skipped], histories: Histories
) -> str:
    """Alternative text for the cluster chart."""
    facts = _facts(recommendations, skipped, histories)
    changes = "; ".join(
        f"{_TITLES[resource]} requests {_between(facts, resource)}" for resource in RESOURCES
    )
    return f"Cluster {facts.cluster}: {changes}. {facts.counts}."


def _facts(
    recommendations: Sequence[Recommendation], skipped: Sequence[Skipped], histories: Histories
) -> _Facts:
    return _Facts(
        cluster=shorten(plain(histories.meta.cluster), 48),
        recommendations=tuple(recommendations),
        counts=tally(recommendations, skipped),
        histories=histories,
        totals=totals(recommendations),
    )


def _between(facts: _Facts, resource: Resource) -> str:
    now, new = facts.requested(resource)
    share = f" ({change_percent(now, new)})" if now and now != new else ""
    return f"{total_text(resource, now)} → {total_text(resource, new)}{share}"


def _verdict(facts: _Facts, resource: Resource) -> tuple[str, str]:
    """The change of one resource in words, and its tone."""
    now, new = facts.requested(resource)
    if now == new:
        return f"{_TITLES[resource]} requests stay", "same"
    sign = MINUS if new < now else "+"
    share = f" ({change_percent(now, new)})" if now else ""
    text = f"{sign}{total_text(resource, abs(new - now))}{share}"
    return text, "less" if new < now else "more"


def _draw_headline(page: Page, facts: _Facts) -> None:
    colors, meta = page.palette, facts.histories.meta
    tones = {"less": colors.proposed, "more": colors.warning, "same": colors.muted}
    x = float(_RIGHT)
    for resource in reversed(RESOURCES):
        text, tone = _verdict(facts, resource)
        page.text(x, 56, text, size=SIZES.verdict + 3, color=tones[tone], bold=True, align="right")
        x -= page.measure(text, SIZES.verdict + 3, bold=True) + 34
    days = (meta.end - meta.start) / timedelta(days=1)
    until = f"{meta.end.day} {meta.end:%b %Y}"
    title = f"{facts.cluster} · {counted(round(days), 'day')} to {until}"
    title = page.fit(title, x - _LEFT, SIZES.title, bold=True)
    page.text(_LEFT, 56, title, size=SIZES.title, bold=True)
    page.text(_LEFT, 92, facts.counts, color=colors.muted)
    page.text(_RIGHT, 92, "requests, summed over replicas", color=colors.muted, align="right")


def _draw_title(page: Page, x: float, y: float, title: str, note: str) -> None:
    page.text(x, y, title, size=SIZES.heading, bold=True)
    page.text(x, y + 24, note, size=SIZES.label, color=page.palette.muted)


def _changes(facts: _Facts) -> list[tuple[str, dict[Resource, int]]]:
    """Change of requests per namespace, the largest first; small ones together as ``others``."""
    found: dict[str, dict[Resource, int]] = defaultdict(lambda: {"cpu": 0, "memory": 0})
    for recommendation in facts.recommendations:
        for resource in RESOURCES:
            change = recommendation.request_change(resource)
            found[recommendation.ref.namespace][resource] += change
    weigh = {r: max(1, facts.requested(r)[0]) for r in RESOURCES}
    ordered = sorted(
        ((name, change) for name, change in found.items() if any(change.values())),
        key=lambda item: (-sum(abs(item[1][r]) / weigh[r] for r in RESOURCES), item[0]),
    )
    if len(ordered) <= _NAMESPACES + 1:
        return ordered
    rest = ordered[_NAMESPACES:]
    others = {resource: sum(change[resource] for _, change in rest) for resource in RESOURCES}
    return [*ordered[:_NAMESPACES], (f"{len(rest)} others", others)]


def _draw_waterfalls(page: Page, facts: _Facts) -> None:
    """CPU and memory side by side, from now to proposed, one row per namespace, from zero."""
    _draw_title(page, _LEFT, _UPPER, "What changes, by namespace", "requests from now to proposed")
    changes = _changes(facts)
    rows = len(changes) + 2
    top, bottom = _UPPER + 66, _UPPER + 470
    room = _NAME_ROOM - 14
    shown = page.fit_all([plain(name) for name, _ in changes], room, SIZES.label)
    names = ["now", *shown, "proposed"]
    left = _LEFT + _NAME_ROOM
    width = (_MIDDLE - 90 - left - 40) / 2
    for column, resource in enumerate(RESOURCES):
        begin = left + column * (width + 40)
        now, new = (value / _SIZE[resource] for value in facts.requested(resource))
        steps = [change[resource] / _SIZE[resource] for _, change in changes]
        panel = page.panel(
            (begin, top, begin + width, bottom),
            (0, max(now, new, *(now + np.cumsum([0.0, *steps])), 1e-9) * 1.02),
            (rows - 0.5, -0.5),
        )
        heading = f"{_TITLES[resource]}, {_UNITS[resource]}"
        page.text(begin, top - 8, heading, size=SIZES.label, bold=True)
        _draw_waterfall(panel, now, steps, new)
        if column == 0:
            for row, name in enumerate(names):
                _draw_row_name(panel, row, name, strong=row in (0, rows - 1))


def _draw_row_name(panel: Panel, row: int, name: str, *, strong: bool) -> None:
    page = panel.page
    page.text(
        panel.box[0] - 12,
        panel.py(row),
        name,
        size=SIZES.label,
        bold=strong,
        align="right",
        valign="center_baseline",
    )


def _draw_waterfall(panel: Panel, now: float, steps: Sequence[float], new: float) -> None:
    colors, rows = panel.page.palette, len(steps) + 2
    levels = [now, *(now + np.cumsum(steps))]
    starts = [0.0, *levels[:-1], 0.0]
    spans = [now, *steps, new]
    hues = [
        colors.now,
        *(colors.proposed if step <= 0 else colors.warning for step in steps),
        colors.proposed,
    ]
    panel.axes.barh(range(rows), spans, left=starts, height=0.62, color=hues, linewidth=0)
    joints = [[(level, row + 0.31), (level, row + 0.69)] for row, level in enumerate(levels)]
    panel.axes.add_collection(
        LineCollection(joints, colors=colors.muted, linewidths=0.9), autolim=False
    )
    panel.rules([0], color=colors.muted, vertical=True)
    for row, (start, span) in enumerate(zip(starts, spans, strict=True)):
        _draw_amount(panel, row, (start, start + span), total=row in (0, rows - 1))


def _draw_amount(panel: Panel, row: int, ends: tuple[float, float], *, total: bool) -> None:
    """The amount of one bar: inside where it fits, else beside it where there is room."""
    page, change = panel.page, ends[1] - ends[0]
    text = _short(abs(change))
    if not total:
        text = text if not change else f"{'+' if change > 0 else MINUS}{text}"
    room = page.measure(text, SIZES.small, bold=total) + 14
    low, high = panel.px(min(ends)), panel.px(max(ends))
    inside, right = high - low > room, high + room <= panel.box[2] + 20
    x = low + 8 if inside else (high + 7 if right else low - 7)
    page.text(
        x,
        panel.py(row),
        text,
        size=SIZES.small,
        bold=total,
        color=page.palette.background if inside else page.palette.ink,
        align="left" if inside or right else "right",
        valign="center_baseline",
    )


def _short(value: float) -> str:
    if value >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}".removesuffix(".00")


def _draw_scatters(page: Page, facts: _Facts) -> None:
    """Requests against the 95th percentile of use, now and proposed, on logarithmic axes."""
    colors = page.palette
    note = "one dot per container; above the line: more than used"
    _draw_title(page, _MIDDLE, _UPPER, "Requests against use", note)
    x = _MIDDLE + page.measure(note, SIZES.label) + 26
    for label, color in (("now", colors.now), ("proposed", colors.proposed)):
        page.text(x, _UPPER + 24, f"● {label}", size=SIZES.label, color=color)
        x += page.measure(f"● {label}", SIZES.label) + 18
    width = (_RIGHT - _MIDDLE - 110) / 2
    for column, resource in enumerate(RESOURCES):
        begin = _MIDDLE + 48 + column * (width + 62)
        _draw_scatter(page, facts, resource, (begin, begin + width))


def _points(facts: _Facts, resource: Resource) -> tuple[Array, Array, Array]:
    """Use, request now and request proposed (cores or bytes, NaN for none) per container."""
    rows = []
    for recommendation in facts.recommendations:
        seen = getattr(recommendation.evidence, resource)
        used = seen.p95 if resource == "cpu" else seen.max
        amounts = (
            getattr(resources, f"{resource}_request")
            for resources in (recommendation.current, recommendation.proposed)
        )
        unit = 1000.0 if resource == "cpu" else 1.0
        rows.append([used, *(a.units / unit if a is not None else np.nan for a in amounts)])
    table = np.array(rows, dtype=np.float64).reshape(-1, 3)
    table = table[~np.isnan(table[:, 0])]
    table[table <= 0] = np.nan
    return table[:, 0], table[:, 1], table[:, 2]


def _draw_scatter(
    page: Page, facts: _Facts, resource: Resource, edges: tuple[float, float]
) -> None:
    colors = page.palette
    used, now, new = _points(facts, resource)
    low, high = _log_range(np.concatenate([used, now, new]), resource)
    panel = page.panel((edges[0], _UPPER + 66, edges[1], _UPPER + 440), (low, high), (low, high))
    page.text(edges[0], _UPPER + 58, f"{_TITLES[resource]} request", size=SIZES.label, bold=True)
    for tick, label in _log_ticks(low, high, resource):
        panel.rules([tick], color=colors.grid)
        panel.rules([tick], color=colors.grid, vertical=True)
        page.text(
            edges[0] - 8,
            panel.py(tick),
            label,
            size=SIZES.small,
            color=colors.muted,
            align="right",
            valign="center_baseline",
        )
        page.text(
            panel.px(tick),
            panel.box[3] + 20,
            label,
            size=SIZES.small,
            color=colors.muted,
            align="center",
        )
    panel.axes.plot([low, high], [low, high], color=colors.ink, linewidth=1.2, zorder=2)
    for values, color, size, level in ((now, colors.now, 15, 3), (new, colors.proposed, 12, 4)):
        panel.axes.scatter(
            np.log10(used),
            np.log10(values),
            s=size,
            color=color,
            alpha=0.6,
            linewidth=0,
            zorder=level,
        )
    page.text(
        (edges[0] + edges[1]) / 2,
        panel.box[3] + 42,
        "used, p95 over time" if resource == "cpu" else "used, maximum",
        size=SIZES.small,
        color=colors.muted,
        align="center",
    )


def _log_range(values: Array, resource: Resource) -> tuple[float, float]:
    known = values[~np.isnan(values)]
    if not len(known):
        return (-3.0, 0.0) if resource == "cpu" else (7.0, 10.0)
    low, high = float(np.log10(known.min())), float(np.log10(known.max()))
    return low - 0.12, max(high, low + 1) + 0.12


def _log_ticks(low: float, high: float, resource: Resource) -> list[tuple[float, str]]:
    """Powers of ten for CPU, of four or sixteen for memory, as exponents of ten with labels."""
    if resource == "cpu":
        powers = range(int(np.ceil(low)), int(np.floor(high)) + 1)
        return [(float(p), f"{10**p}" if p >= 0 else f"{10.0 ** (p + 3):g}m") for p in powers]
    span = (high - low) / np.log10(2)
    step = next((s for s in (1, 2, 4, 6, 10) if span / s <= 6), 20)
    first = int(np.ceil(low / np.log10(2) / step)) * step
    ticks = []
    for power in range(first, int(high / np.log10(2)) + 1, step):
        unit, suffix = divmod(power, 10)
        name = ("", "Ki", "Mi", "Gi", "Ti", "Pi")[min(unit, 5)]
        ticks.append((power * float(np.log10(2)), f"{2**suffix}{name}"))
    return ticks


def _draw_heat(page: Page, facts: _Facts) -> None:
    colors = page.palette
    _draw_title(
        page,
        _LEFT,
        _LOWER,
        "When the cluster is busy",
        "mean CPU used / CPU requested after the change, by hour of the week (UTC)",
    )
    box = (_LEFT + 48.0, _LOWER + 44.0, _MIDDLE - 176.0, _LOWER + 456.0)
    panel = page.panel(box, (0, 24), (7, 0))
    heat = _busy_hours(facts)
    for day, name in enumerate(_WEEKDAYS):
        page.text(
            box[0] - 10,
            panel.py(day + 0.5),
            name,
            size=SIZES.label,
            color=colors.muted,
            align="right",
            valign="center_baseline",
        )
    for hour in (0, 6, 12, 18, 24):
        page.text(
            panel.px(hour),
            box[3] + 22,
            f"{hour:02d}:00",
            size=SIZES.label,
            color=colors.muted,
            align="center",
        )
    if np.isnan(heat).all():
        page.text(
            (box[0] + box[2]) / 2,
            (box[1] + box[3]) / 2,
            "no CPU request to compare with",
            color=colors.muted,
            align="center",
        )
        return
    low, high = _heat_range(heat)
    shades = LinearSegmentedColormap.from_list("heat", colors.heat, bad=colors.gap)
    panel.axes.pcolormesh(
        np.arange(25),
        np.arange(8),
        np.ma.masked_invalid(heat),
        cmap=shades,
        vmin=low,
        vmax=high,
        edgecolors=colors.background,
        linewidth=1.2,
    )
    _draw_extremes(panel, heat, (low, high))
    bar = page.panel((box[2] + 22, box[1], box[2] + 38, box[3]), (0, 1), (low, high))
    bar.axes.pcolormesh(
        [0, 1],
        np.linspace(low, high, 65),
        np.linspace(low, high, 64)[:, None],
        cmap=shades,
        vmin=low,
        vmax=high,
    )
    for share in np.linspace(low, high, 5):
        page.text(
            box[2] + 46,
            bar.py(share),
            f"{share:.0%}",
            size=SIZES.label,
            color=colors.muted,
            valign="center_baseline",
        )


def _heat_range(heat: Array) -> tuple[float, float]:
    """From a round share below the least to one above the largest, at least 20 points apart."""
    low = np.floor(np.nanmin(heat) * 20) / 20
    high = np.ceil(np.nanmax(heat) * 20) / 20
    return float(max(0, min(low, high - 0.2))), float(max(high, 0.2))


def _draw_extremes(panel: Panel, heat: Array, ends: tuple[float, float]) -> None:
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


def _busy_hours(facts: _Facts) -> Array:
    """Mean CPU used over proposed requests per weekday and hour of UTC, shape (7, 24)."""
    usage = facts.histories.usage
    requested = facts.requested("cpu")[1] / 1000
    if not requested:
        return np.full((7, 24), np.nan)
    total, seen = _total_used(facts, "cpu")
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


def _total_used(facts: _Facts, resource: Resource) -> tuple[Array, npt.NDArray[np.bool_]]:
    """Use of all recommended containers per step (cores or bytes), and which steps are whole.

    A step with far fewer samples than usual is an outage of monitoring, not a calm cluster.
    """
    usage = facts.histories.usage
    samples = usage.cpu_cores if resource == "cpu" else usage.memory_bytes
    total, count = np.zeros(usage.steps), np.zeros(usage.steps)
    for recommendation in facts.recommendations:
        index = facts.histories.position[recommendation.ref]
        values = samples[usage.span(index)]
        known = ~np.isnan(values)
        steps = usage.sample_steps(index)[known]
        total += np.bincount(steps, weights=values[known], minlength=usage.steps)
        count += np.bincount(steps, minlength=usage.steps)
    usual = float(np.median(count[count > 0])) if (count > 0).any() else 0.0
    return total, count > 0.5 * usual


def _draw_headroom(page: Page, facts: _Facts) -> None:
    """Allocatable against requested now, proposed and used, per resource."""
    colors, nodes = page.palette, facts.histories.meta.nodes
    capacity = {
        "cpu": sum(float(n.get("cpu_allocatable_cores") or 0) for n in nodes) * 1000,
        "memory": sum(float(n.get("memory_allocatable_bytes") or 0) for n in nodes),
    }
    known = all(capacity.values())
    note = (
        f"{counted(len(nodes), 'node')} · share of what they can give to pods"
        if known
        else "nodes are unknown · share of what is requested now"
    )
    _draw_title(page, _MIDDLE, _LOWER, "Headroom", note)
    used = {r: _used_p95(facts, r) for r in RESOURCES}
    for block, resource in enumerate(RESOURCES):
        now, new = facts.requested(resource)
        whole = capacity[resource] if known else float(max(now, new, 1))
        bars = [
            ("requested now", float(now), colors.now),
            ("requested after", float(new), colors.proposed),
            ("used (p95 over time)", used[resource], colors.usage),
        ]
        _draw_bars(page, resource, _LOWER + 56 + block * 200, whole, bars)
    _draw_fit(page, facts, nodes if known else ())


def _used_p95(facts: _Facts, resource: Resource) -> float:
    """95th percentile over time of what all recommended containers used together."""
    total, whole = _total_used(facts, resource)
    if not whole.any():
        return 0.0
    return float(np.quantile(total[whole], 0.95)) * (1000.0 if resource == "cpu" else 1.0)


def _draw_bars(
    page: Page,
    resource: Resource,
    top: float,
    whole: float,
    bars: Sequence[tuple[str, float, str]],
) -> None:
    colors = page.palette
    left = _MIDDLE + 180.0
    highest = max(whole, *(value for _, value, _ in bars))
    panel = page.panel((left, top + 24, _RIGHT - 110.0, top + 160), (0, highest), (2.5, -0.5))
    title = f"{_TITLES[resource]} · {total_text(resource, round(whole))}"
    page.text(_MIDDLE, top + 12, title, size=SIZES.label, bold=True)
    panel.axes.barh(range(3), [whole] * 3, height=0.66, color=colors.grid, linewidth=0)
    panel.axes.barh(
        range(3), [v for _, v, _ in bars], height=0.66, color=[c for *_, c in bars], linewidth=0
    )
    if highest > whole:
        panel.rules([whole], color=colors.ink, vertical=True, width=1.5, zorder=3)
    for row, (name, value, color) in enumerate(bars):
        page.text(
            left - 12,
            panel.py(row),
            name,
            size=SIZES.label,
            align="right",
            valign="center_baseline",
        )
        page.text(
            panel.box[2] + 10,
            panel.py(row),
            f"{value / whole:.0%}",
            size=SIZES.heading,
            bold=True,
            color=color,
            valign="center_baseline",
        )


def _draw_fit(page: Page, facts: _Facts, nodes: Sequence[Mapping[str, Any]]) -> None:
    """How many nodes the requests fill, by sum alone."""
    if not nodes:
        return
    now, new = (
        _fewest_nodes(nodes, {r: float(facts.requested(r)[k]) for r in RESOURCES}) for k in (0, 1)
    )
    before, after = _nodes(now, len(nodes)), _nodes(new, len(nodes))
    amounts = f"{before}, now and after" if now == new else f"{before} now and {after} after"
    text = f"By sum alone, requests fill {amounts}."
    page.text(_MIDDLE, _LOWER + 462, text, size=SIZES.label)
    page.text(
        _MIDDLE,
        _LOWER + 486,
        "Becomes money only when nodes go; placement and spares not counted.",
        size=SIZES.label,
        color=page.palette.muted,
    )


def _nodes(count: int | None, known: int) -> str:
    return f"more than all {known}" if count is None else f"{count} of {known} nodes"


def _fewest_nodes(
    nodes: Sequence[Mapping[str, Any]], requested: Mapping[Resource, float]
) -> int | None:
    """How many of the largest nodes hold `requested` by sum; None where all together do not."""
    cpu, memory = (
        sorted((float(node.get(key) or 0) * unit for node in nodes), reverse=True)
        for key, unit in (("cpu_allocatable_cores", 1000), ("memory_allocatable_bytes", 1))
    )
    for count in range(1, len(nodes) + 1):
        enough = sum(memory[:count]) >= requested["memory"]
        if sum(cpu[:count]) >= requested["cpu"] and enough:
            return count
    return None
