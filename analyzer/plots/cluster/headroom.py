"""What the nodes have left: what they can give against what is requested and used."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from analyzer.models.demand import RESOURCES, Resource
from analyzer.plots.cluster.layout import (
    LOWER,
    MIDDLE,
    RIGHT,
    TITLES,
    Facts,
    total_used,
)
from analyzer.plots.page import Page
from analyzer.plots.style import SIZES
from analyzer.plots.text import counted, total_text


def draw_headroom(page: Page, facts: Facts) -> None:
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
    page.heading(MIDDLE, LOWER, "Headroom", note)
    used = {r: _used_p95(facts, r) for r in RESOURCES}
    for block, resource in enumerate(RESOURCES):
        now, new = facts.requested(resource)
        whole = capacity[resource] if known else float(max(now, new, 1))
        bars = [
            ("requested now", float(now), colors.now),
            ("requested after", float(new), colors.proposed),
            ("used (p95 over time)", used[resource], colors.usage),
        ]
        _draw_bars(page, resource, LOWER + 56 + block * 200, whole, bars)
    if known:
        told = "Becomes money only when whole nodes go."
        page.text(MIDDLE, LOWER + 462, told, size=SIZES.label, color=colors.muted)


def _used_p95(facts: Facts, resource: Resource) -> float:
    """95th percentile over time of what all recommended containers used together."""
    total, whole = total_used(facts, resource)
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
    left = MIDDLE + 180.0
    highest = max(whole, *(value for _, value, _ in bars))
    panel = page.panel((left, top + 24, RIGHT - 110.0, top + 160), (0, highest), (2.5, -0.5))
    title = f"{TITLES[resource]} · {total_text(resource, round(whole))}"
    page.text(MIDDLE, top + 12, title, size=SIZES.label, bold=True)
    panel.axes.barh(range(3), [whole] * 3, height=0.66, color=colors.grid, linewidth=0)
    panel.axes.barh(
        range(3), [v for _, v, _ in bars], height=0.66, color=[c for *_, c in bars], linewidth=0
    )
    if highest > whole:
        panel.rules([whole], color=colors.ink, vertical=True, width=1.5, zorder=3)
    for row, (name, value, color) in enumerate(bars):
        panel.label_left(row, name, gap=12, color=colors.ink)
        panel.label_right(row, f"{value / whole:.0%}", size=SIZES.heading, bold=True, color=color)
