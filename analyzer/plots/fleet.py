"""The chart of many clusters: what each requests, and what is proposed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure

from analyzer.models.demand import RESOURCES, Resource
from analyzer.plots.bars import draw_pair
from analyzer.plots.page import Page, Panel
from analyzer.plots.style import SIZES, palette
from analyzer.plots.text import change_percent, counted, plain, total_text

WIDTH = 1240
SHOWN = 30
"""Clusters that get a row; of more, the rest share one."""
_SPOKEN: dict[Resource, str] = {"cpu": "CPU requests", "memory": "memory requests"}
_LEFT, _RIGHT, _NAMES, _TOP, _ROW, _BOTTOM = 48, WIDTH - 40, 210, 168, 34, 40
_TITLES: dict[Resource, str] = {"cpu": "CPU requests", "memory": "Memory requests"}


@dataclass(frozen=True)
class ClusterBar:
    """A cluster: its name, and what is requested now and proposed, in millicores and bytes."""

    name: str
    requests: Mapping[Resource, tuple[int, int]]


def fleet_figure(bars: Sequence[ClusterBar], *, dark: bool = False) -> Figure:
    """Draw the requests of each cluster now and as proposed, 1240 pixels wide."""
    rows = _shown(bars)
    page = Page(WIDTH, _TOP + _ROW * len(rows) + _BOTTOM, palette(dark=dark))
    colors = page.palette
    page.text(_LEFT, 48, counted(len(bars), "cluster"), size=SIZES.title, bold=True)
    page.text(_LEFT, 80, describe_fleet(bars).partition(": ")[2], color=colors.muted)
    page.text(_LEFT, 112, "■ requested now", size=SIZES.label, color=colors.now)
    x = _LEFT + page.measure("■ requested now", SIZES.label) + 26
    page.text(x, 112, "■ proposed", size=SIZES.label, color=colors.proposed)
    names = page.fit_all([plain(row.name) for row in rows], _NAMES - 16, SIZES.label)
    width = (_RIGHT - _LEFT - _NAMES - 40) / 2
    for column, resource in enumerate(RESOURCES):
        left = _LEFT + _NAMES + column * (width + 40)
        words = [page.measure(_words(row, resource), SIZES.small) for row in rows]
        panel = page.panel(
            (left, _TOP, left + width - max(words) - 10, _TOP + _ROW * len(rows)),
            (0, max(1, *(max(row.requests[resource]) for row in rows))),
            (len(rows) - 0.5, -0.5),
        )
        page.text(left, _TOP - 14, _TITLES[resource], size=SIZES.heading, bold=True)
        _draw(panel, rows, resource)
        if column == 0:
            for place, name in enumerate(names):
                panel.label_left(place, name, gap=14, color=page.palette.ink)
    return page.figure


def describe_fleet(bars: Sequence[ClusterBar]) -> str:
    """Alternative text for `fleet_figure`."""
    sums = _together(bars).requests
    changes = ", ".join(
        f"{_SPOKEN[resource]} {_change(*sums[resource], resource)}" for resource in RESOURCES
    )
    return f"{counted(len(bars), 'cluster')}: {changes}."


def _shown(bars: Sequence[ClusterBar]) -> list[ClusterBar]:
    if len(bars) <= SHOWN:
        return list(bars)
    rest = bars[SHOWN - 1 :]
    return [*bars[: SHOWN - 1], _together(rest, f"{len(rest)} others")]


def _together(bars: Sequence[ClusterBar], name: str = "") -> ClusterBar:
    sums = {
        resource: (
            sum(bar.requests[resource][0] for bar in bars),
            sum(bar.requests[resource][1] for bar in bars),
        )
        for resource in RESOURCES
    }
    return ClusterBar(name, sums)


def _change(now: int, new: int, resource: Resource) -> str:
    if now == new:
        return f"stay {total_text(resource, now)}"
    share = f" ({change_percent(now, new)})" if now else ""
    return f"{total_text(resource, now)} → {total_text(resource, new)}{share}"


def _words(row: ClusterBar, resource: Resource) -> str:
    return _change(*row.requests[resource], resource).removeprefix("stay ")


def _draw(panel: Panel, rows: Sequence[ClusterBar], resource: Resource) -> None:
    colors = panel.page.palette
    for place, row in enumerate(rows):
        now, new = row.requests[resource]
        draw_pair(panel, place, now, new)
        tone = colors.muted if now == new else colors.proposed if new < now else colors.warning
        panel.label_right(place, _words(row, resource), size=SIZES.small, color=tone)
