"""Bars in pairs: what is requested now, and what is proposed, one above the other."""

from __future__ import annotations

from analyzer.plots.page import Panel


def draw_pair(panel: Panel, place: float, now: float, new: float) -> None:
    """The two bars of the row at `place`."""
    colors = panel.page.palette
    for amount, color, offset in ((now, colors.now, -0.2), (new, colors.proposed, 0.2)):
        panel.axes.barh(place + offset, amount, height=0.34, color=color, linewidth=0)
