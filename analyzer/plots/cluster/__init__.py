"""The chart of a whole cluster: what changes, where, and what it leaves free."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from matplotlib.figure import Figure

from analyzer.history import Histories, Skipped
from analyzer.models.demand import RESOURCES, Resource
from analyzer.plots.cluster.busy import draw_busy_hours
from analyzer.plots.cluster.changes import draw_changes
from analyzer.plots.cluster.headroom import draw_headroom
from analyzer.plots.cluster.layout import HEIGHT, LEFT, RIGHT, TITLES, WIDTH, Facts, gather
from analyzer.plots.cluster.scatter import draw_scatters
from analyzer.plots.page import Page
from analyzer.plots.style import SIZES, palette
from analyzer.plots.text import MINUS, change_percent, counted, total_text
from analyzer.recommend import Recommendation


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
    facts = gather(recommendations, skipped, histories)
    page = Page(WIDTH, HEIGHT, palette(dark=dark))
    _draw_headline(page, facts)
    draw_changes(page, facts)
    draw_scatters(page, facts)
    draw_busy_hours(page, facts)
    draw_headroom(page, facts)
    return page.figure


def describe_cluster(
    recommendations: Sequence[Recommendation], skipped: Sequence[Skipped], histories: Histories
) -> str:
    """Alternative text for the cluster chart."""
    facts = gather(recommendations, skipped, histories)
    changes = "; ".join(
        f"{TITLES[resource]} requests {_between(facts, resource)}" for resource in RESOURCES
    )
    return f"Cluster {facts.cluster}: {changes}. {facts.counts}."


def _between(facts: Facts, resource: Resource) -> str:
    now, new = facts.requested(resource)
    share = f" ({change_percent(now, new)})" if now and now != new else ""
    return f"{total_text(resource, now)} → {total_text(resource, new)}{share}"


def _verdict(facts: Facts, resource: Resource) -> tuple[str, str]:
    """The change of one resource in words, and its tone."""
    now, new = facts.requested(resource)
    if now == new:
        return f"{TITLES[resource]} requests stay", "same"
    sign = MINUS if new < now else "+"
    share = f" ({change_percent(now, new)})" if now else ""
    text = f"{sign}{total_text(resource, abs(new - now))}{share}"
    return text, "less" if new < now else "more"


def _draw_headline(page: Page, facts: Facts) -> None:
    colors, meta = page.palette, facts.histories.meta
    tones = {"less": colors.proposed, "more": colors.warning, "same": colors.muted}
    x = float(RIGHT)
    for resource in reversed(RESOURCES):
        text, tone = _verdict(facts, resource)
        page.text(x, 56, text, size=SIZES.verdict + 3, color=tones[tone], bold=True, align="right")
        x -= page.measure(text, SIZES.verdict + 3, bold=True) + 34
    days = (meta.end - meta.start) / timedelta(days=1)
    until = f"{meta.end.day} {meta.end:%b %Y}"
    title = f"{facts.cluster} · {counted(round(days), 'day')} to {until}"
    title = page.fit(title, x - LEFT, SIZES.title, bold=True)
    page.text(LEFT, 56, title, size=SIZES.title, bold=True)
    page.text(LEFT, 92, facts.counts, color=colors.muted)
    page.text(RIGHT, 92, "requests, summed over replicas", color=colors.muted, align="right")
