"""Requests against use, one dot per container."""

from __future__ import annotations

import numpy as np

from analyzer.models.demand import RESOURCES, Resource
from analyzer.plots.cluster.layout import MIDDLE, RIGHT, TITLES, UPPER, Array, Facts
from analyzer.plots.page import Page
from analyzer.plots.style import SIZES


def draw_scatters(page: Page, facts: Facts) -> None:
    """Requests against the 95th percentile of use, now and proposed, on logarithmic axes."""
    colors = page.palette
    note = "one dot per container; above the line: more than used"
    page.heading(MIDDLE, UPPER, "Requests against use", note)
    x = MIDDLE + page.measure(note, SIZES.label) + 26
    for label, color in (("now", colors.now), ("proposed", colors.proposed)):
        page.text(x, UPPER + 24, f"● {label}", size=SIZES.label, color=color)
        x += page.measure(f"● {label}", SIZES.label) + 18
    width = (RIGHT - MIDDLE - 110) / 2
    for column, resource in enumerate(RESOURCES):
        begin = MIDDLE + 48 + column * (width + 62)
        _draw_scatter(page, facts, resource, (begin, begin + width))


def _points(facts: Facts, resource: Resource) -> tuple[Array, Array, Array]:
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


def _draw_scatter(page: Page, facts: Facts, resource: Resource, edges: tuple[float, float]) -> None:
    colors = page.palette
    used, now, new = _points(facts, resource)
    low, high = _log_range(np.concatenate([used, now, new]), resource)
    panel = page.panel((edges[0], UPPER + 66, edges[1], UPPER + 440), (low, high), (low, high))
    page.text(edges[0], UPPER + 58, f"{TITLES[resource]} request", size=SIZES.label, bold=True)
    for tick, label in _log_ticks(low, high, resource):
        panel.rules([tick], color=colors.grid)
        panel.rules([tick], color=colors.grid, vertical=True)
        panel.label_left(tick, label, size=SIZES.small, gap=8)
        panel.label_below(tick, label, size=SIZES.small, drop=20)
    panel.axes.plot([low, high], [low, high], color=colors.ink, linewidth=1.2, zorder=2)
    for values, color, size, level in ((now, colors.now, 15, 3), (new, colors.proposed, 12, 4)):
        dots = np.log10(used), np.log10(values)
        panel.axes.scatter(*dots, s=size, color=color, alpha=0.6, linewidth=0, zorder=level)
    name = "used, p95 over time" if resource == "cpu" else "used, maximum"
    panel.label_below((low + high) / 2, name, size=SIZES.small, drop=42)


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
