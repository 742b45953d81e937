"""The chart of groups of nodes: what is requested of each before and after, and what it costs."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure

from analyzer.models.demand import RESOURCES, Resource
from analyzer.placement import GroupUse, Packing
from analyzer.plots.bars import draw_pair
from analyzer.plots.page import Page, Panel
from analyzer.plots.style import SIZES, Palette, palette
from analyzer.plots.text import counted, plain, total_text

WIDTH = 1240
SHOWN = 20
"""Groups that get a row, the largest first; the table has the others."""
_LEFT, _RIGHT, _NAMES, _TOP, _ROW, _BOTTOM, _GAP = 48, WIDTH - 40, 200, 176, 92, 24, 28
_HEIGHT = 1.4
"""Of a row, where two bars take 1; the rest is for words."""
_TITLES: dict[Resource, str] = {"cpu": "CPU", "memory": "Memory"}
_UNITS: dict[Resource, int] = {"cpu": 1000, "memory": 1}


def packing_figure(packing: Packing, *, dark: bool = False) -> Figure:
    """Draw what each group's nodes have and are asked for, now and as proposed; with prices, money.

    Raises ValueError where there is no group.
    """
    if not packing.groups:
        raise ValueError("no group of nodes is known")
    shown = sorted(packing.groups, key=lambda group: (-group.cpu_cores, group.name))[:SHOWN]
    page = Page(WIDTH, _TOP + _ROW * len(shown) + _BOTTOM, palette(dark=dark))
    priced = any(group.freed is not None for group in shown)
    page.text(_LEFT, 48, "Groups of nodes, before and after", size=SIZES.title, bold=True)
    page.text(_LEFT, 80, _together(packing), color=page.palette.muted)
    _draw_key(page, priced)
    columns = len(RESOURCES) + priced
    width = (_RIGHT - _LEFT - _NAMES - _GAP * (columns - 1)) / columns
    lefts = [_LEFT + _NAMES + column * (width + _GAP) for column in range(columns)]
    boxes = [(left, _TOP, left + width, _TOP + _ROW * len(shown)) for left in lefts]
    _draw_names(page, shown)
    for resource, box in zip(RESOURCES, boxes, strict=False):
        _draw_requests(page, shown, resource, box)
    if priced:
        _draw_money(page, shown, boxes[-1])
    return page.figure


def describe_packing(packing: Packing) -> str:
    """Alternative text for `packing_figure`."""
    rows = [
        f"{plain(group.name)}: {counted(group.nodes, 'node')}, {_fewest(group)}"
        for group in packing.groups[:SHOWN]
    ]
    return f"Groups of nodes, before and after. {_together(packing)}. {'; '.join(rows)}."


def _together(packing: Packing) -> str:
    said = (
        f"{counted(packing.count, 'node')}; {packing.needed_now} would hold what is requested now"
    )
    return f"{said}, {packing.needed_after} what is proposed"


def _fewest(group: GroupUse) -> str:
    if group.stays:
        return "control plane"
    if group.needed_now == group.needed_after:
        return f"{group.needed_now} would do"
    return f"{group.needed_now} → {group.needed_after} would do"


def _draw_key(page: Page, priced: bool) -> None:
    """What the bars are, in a line."""
    colors, x = page.palette, float(_LEFT)
    entries = [
        ("what the nodes have", colors.grid),
        ("requested now", colors.now),
        ("proposed", colors.proposed),
    ]
    if priced:
        entries += [("no longer asked for", colors.bars), ("nodes that can go", colors.usage)]
    for words, color in entries:
        page.text(x, 118, "■", size=SIZES.label, color=color)
        page.text(x + 18, 118, words, size=SIZES.label, color=colors.muted)
        x += 18 + page.measure(words, SIZES.label) + 26


def _draw_names(page: Page, shown: Sequence[GroupUse]) -> None:
    names = page.fit_all([plain(group.name) for group in shown], _NAMES - 20, SIZES.text)
    for place, (name, group) in enumerate(zip(names, shown, strict=True)):
        y = _TOP + (place + 0.5 / _HEIGHT) * _ROW
        page.text(_LEFT, y - 4, name, bold=True)
        under = f"{counted(group.nodes, 'node')}, {_fewest(group)}"
        page.text(_LEFT, y + 17, page.fit(under, _NAMES - 14, SIZES.small), size=SIZES.small,
                  color=page.palette.muted)  # fmt: skip


Box = tuple[float, float, float, float]


def _draw_requests(page: Page, shown: Sequence[GroupUse], resource: Resource, box: Box) -> None:
    """As shares of what each group has, so that a small group is as legible as a large one."""
    rows = [_amounts(group, resource) for group in shown]
    most = max(1.0, *(max(now, new) / has for has, now, new in rows))
    panel = page.panel(box, (0, most), (_HEIGHT * len(rows) - 0.5, -0.5))
    page.text(box[0], _TOP - 18, _TITLES[resource], size=SIZES.heading, bold=True)
    for row, (has, now, new) in enumerate(rows):
        place = row * _HEIGHT
        panel.axes.barh(place, 1.0, height=0.78, color=page.palette.grid, linewidth=0, zorder=0)
        draw_pair(panel, place, now / has, new / has)
        said = f"{now / has:.0%} → {new / has:.0%} of {_total(has, resource)}"
        _beside(panel, place, said, page.palette.ink)


def _amounts(group: GroupUse, resource: Resource) -> tuple[float, float, float]:
    """What a group has, is asked for, and will be; cores or bytes."""
    if resource == "cpu":
        return max(group.cpu_cores, 1e-9), group.cpu_now, group.cpu_after
    return max(group.memory_bytes, 1.0), group.memory_now, group.memory_after


def _total(amount: float, resource: Resource) -> str:
    return total_text(resource, round(amount * _UNITS[resource]))


def _draw_money(page: Page, shown: Sequence[GroupUse], box: Box) -> None:
    """What is freed and what is saved a month; less than nothing grows to the left."""
    rows = [(group.freed, group.saved) for group in shown]
    values = [value for row in rows for value in row if value is not None]
    low, high = min(0.0, *values), max(0.0, *values)
    panel = page.panel(
        box, (low, high if high > low else low + 1), (_HEIGHT * len(rows) - 0.5, -0.5)
    )
    page.text(box[0], _TOP - 18, "Money a month", size=SIZES.heading, bold=True)
    colors: Palette = page.palette
    for row, (freed, saved) in enumerate(rows):
        place = row * _HEIGHT
        if freed is None or saved is None:
            _beside(panel, place, "no price is set", colors.muted)
            continue
        for amount, color, offset in ((freed, colors.bars, -0.2), (saved, colors.usage, 0.2)):
            panel.axes.barh(place + offset, amount, height=0.34, color=color, linewidth=0)
        panel.axes.plot([0, 0], [place - 0.45, place + 0.45], color=colors.muted, linewidth=1)
        of_requests = f"{freed:,.2f} freed" if freed >= 0 else f"{-freed:,.2f} more asked for"
        _beside(panel, place, f"{of_requests}, {saved:,.2f} saved", colors.ink)


def _beside(panel: Panel, place: float, words: str, color: str) -> None:
    """Words under the bars of a row."""
    page, y = panel.page, panel.py(place + 0.62)
    shown = page.fit(words, panel.box[2] - panel.box[0], SIZES.small)
    page.text(panel.box[0], y, shown, size=SIZES.small, color=color, valign="center_baseline")
