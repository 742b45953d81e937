"""What changes, by namespace: from what is requested now to what is proposed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from matplotlib.collections import LineCollection

from analyzer.models.demand import RESOURCES, Resource
from analyzer.plots.cluster.layout import LEFT, MIDDLE, TITLES, UPPER, Facts
from analyzer.plots.page import Page, Panel
from analyzer.plots.style import SIZES
from analyzer.plots.text import MINUS, plain

_NAMESPACES = 7
_NAME_ROOM = 170
_SIZE = {"cpu": 1000.0, "memory": 2.0**30}
"""Units per core and per GiB."""
_UNITS = {"cpu": "cores", "memory": "GiB"}


def draw_changes(page: Page, facts: Facts) -> None:
    """CPU and memory side by side, from now to proposed, one row per namespace, from zero."""
    page.heading(LEFT, UPPER, "What changes, by namespace", "requests from now to proposed")
    changes = _changes(facts)
    rows = len(changes) + 2
    top, bottom = UPPER + 66, UPPER + 470
    room = _NAME_ROOM - 14
    shown = page.fit_all([plain(name) for name, _ in changes], room, SIZES.label)
    names = ["now", *shown, "proposed"]
    left = LEFT + _NAME_ROOM
    width = (MIDDLE - 90 - left - 40) / 2
    for column, resource in enumerate(RESOURCES):
        begin = left + column * (width + 40)
        now, new = (value / _SIZE[resource] for value in facts.requested(resource))
        steps = [change[resource] / _SIZE[resource] for _, change in changes]
        panel = page.panel(
            (begin, top, begin + width, bottom),
            (0, max(now, new, *(now + np.cumsum([0.0, *steps])), 1e-9) * 1.02),
            (rows - 0.5, -0.5),
        )
        heading = f"{TITLES[resource]}, {_UNITS[resource]}"
        page.text(begin, top - 8, heading, size=SIZES.label, bold=True)
        _draw_waterfall(panel, now, steps, new)
        if column == 0:
            for row, name in enumerate(names):
                strong = row in (0, rows - 1)
                panel.label_left(row, name, gap=12, color=page.palette.ink, bold=strong)


def _changes(facts: Facts) -> list[tuple[str, dict[Resource, int]]]:
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
