"""One container over months: what was asked for, what was used, and what came of each change.

Drawn from the ledger alone: a point per review, so that it works long after usage was dropped.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from analyzer.ledger import Ledger, score
from analyzer.ledger.outcome import Outcome
from analyzer.ledger.table import Row, amounts_of, number
from analyzer.models.demand import RESOURCES, Resource
from analyzer.plots.page import Page, Panel
from analyzer.plots.scale import day_ticks, make_scale, spread
from analyzer.plots.style import SIZES, Palette, palette
from analyzer.plots.text import level_text, percent, plain
from analyzer.quantity import TargetName
from analyzer.workload import ContainerRef

WIDTH, HEIGHT = 1240, 800
_LEFT, _RIGHT, _TOP, _BOTTOM = 92, WIDTH - 250, 150, 34
_ROW, _PANEL = 336, 236
_DAY = timedelta(days=1)
_USED = {"cpu": "p95 used", "memory": "highest used"}
_OVER = {
    "cpu": ("cpu_request", "above the CPU request for {} of the time"),
    "memory": ("memory_request", "above the memory request in {} of the weeks"),
}

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class _Lines:
    """Of one resource, a value per review: cores or bytes, NaN where there is none."""

    used: Array
    now: Array
    proposed: Array
    limit: Array

    def named(self, resource: Resource, colors: Palette) -> list[tuple[str, Array, str, str]]:
        """What is drawn, with its name, colour and style."""
        lines = [
            (_USED[resource], self.used, colors.usage, "-"),
            ("request", self.now, colors.now, "-"),
            ("proposed", self.proposed, colors.proposed, ":"),
            ("limit", self.limit, colors.muted, "--"),
        ]
        return [line for line in lines if not np.isnan(line[1]).all()]


def months_figure(ledger: Ledger, ref: ContainerRef, *, dark: bool = False) -> Figure:
    """Draw every review of `ref`, 1240 x 800 pixels; what was promised stands beside its panel.

    Raises ValueError where the ledger holds no review of it.
    """
    rows = ledger.reviews_of(ref)
    if not rows:
        raise ValueError(f"the ledger holds no review of {ref}")
    page = Page(WIDTH, HEIGHT, palette(dark=dark))
    outcomes = [outcome for outcome in score(ledger) if outcome.ref == ref]
    title = plain(f"{ref.namespace} / {ref.workload} · {ref.container}")
    page.text(_LEFT, 48, page.fit(title, WIDTH - 2 * _LEFT, SIZES.title, bold=True),
              size=SIZES.title, bold=True)  # fmt: skip
    page.text(_LEFT, 76, _span(rows, ref), color=page.palette.muted)
    for place, resource in enumerate(RESOURCES):
        _draw_resource(page, rows, resource, outcomes, _TOP + place * _ROW)
    return page.figure


def describe_months(ledger: Ledger, ref: ContainerRef) -> str:
    """Alternative text for `months_figure`."""
    rows = ledger.reviews_of(ref)
    changes = [f"{moment:%Y-%m-%d}" for moment in _changes(rows)]
    merged = f"changed on {', '.join(changes)}" if changes else "nothing was changed"
    return f"{ref}: {_span(rows, ref)}; {merged}."


def _span(rows: Sequence[Row], ref: ContainerRef) -> str:
    first, last = rows[0]["reviewed"], rows[-1]["reviewed"]
    when = f"1 review on {first:%Y-%m-%d}"
    if len(rows) > 1:
        when = f"{len(rows)} reviews from {first:%Y-%m-%d} to {last:%Y-%m-%d}"
    return plain(f"{ref.kind} · {when} · cluster {ref.cluster}")


def _changes(rows: Sequence[Row]) -> Iterator[datetime]:
    """When other amounts came into force than those of the review before."""
    for before, after in pairwise(rows):
        if amounts_of(before, "now") != amounts_of(after, "now"):
            yield after["since"].to_pydatetime()


def _held_from(rows: Sequence[Row], start: datetime) -> Array:
    """In days since `start`, from when on what each review found declared had held.

    Of a change that is when it came into force, else the review itself.
    """
    times = [row["reviewed"].to_pydatetime() for row in rows]
    for place, (before, after) in enumerate(pairwise(rows), start=1):
        if amounts_of(before, "now") != amounts_of(after, "now"):
            times[place] = max(before["reviewed"], after["since"]).to_pydatetime()
    return np.array([(moment - start) / _DAY for moment in times])


def _lines(rows: Sequence[Row], resource: Resource) -> _Lines:
    request: TargetName = "cpu_request" if resource == "cpu" else "memory_request"
    limit: TargetName = "cpu_limit" if resource == "cpu" else "memory_limit"
    seen = "cpu_p95_cores" if resource == "cpu" else "memory_max_bytes"

    def amounts(which: str, target: TargetName) -> Array:
        found = (amounts_of(row, which).amount(target) for row in rows)
        scale = 1000 if resource == "cpu" else 1
        return np.array([np.nan if one is None else one.units / scale for one in found])

    used = np.array([np.nan if (v := number(row[seen])) is None else v for row in rows])
    return _Lines(
        used, amounts("now", request), amounts("proposed", request), amounts("now", limit)
    )


def _draw_resource(
    page: Page, rows: Sequence[Row], resource: Resource, outcomes: Sequence[Outcome], top: float
) -> None:
    start = rows[0]["reviewed"].to_pydatetime()
    days = np.array([(row["reviewed"].to_pydatetime() - start) / _DAY for row in rows])
    lines = _lines(rows, resource)
    name = "CPU" if resource == "cpu" else "Memory"
    page.text(_LEFT, top - 34, name, size=SIZES.heading, bold=True)
    told = _promised(outcomes, resource)
    if told:
        page.text(_LEFT + 100, top - 34, page.fit(told, WIDTH - _LEFT - 130))
    drawn = lines.named(resource, page.palette)
    if not drawn:
        page.text(_LEFT, top + 24, "neither observed nor declared", color=page.palette.muted)
        return
    height = _highest(lines)
    box = (_LEFT, top, _RIGHT, top + _PANEL)
    reach = max(float(days[-1]), 7.0)
    panel = page.panel(box, (-0.02 * reach, 1.02 * reach), (0, height))
    _draw_axes(panel, resource, start, height)
    held = _held_from(rows, start)
    for _, values, color, style in drawn:
        stays = values is lines.now or values is lines.limit
        _draw_line(panel, held if stays else days, values, color, style)
    _draw_kills(panel, days, rows, resource)
    _draw_changes(panel, [(moment - start) / _DAY for moment in _changes(rows)])
    _draw_names(panel, drawn, resource)


def _highest(lines: _Lines) -> float:
    """The end of the axis: all that was used and asked for; a limit far above stays outside."""
    shown = np.concatenate([lines.used, lines.now, lines.proposed])
    core = float(np.nanmax(shown)) if not np.isnan(shown).all() else 0.0
    limits = lines.limit[lines.limit <= 2.5 * core] if core else lines.limit[lines.limit > 0]
    return max([core, *limits.tolist()], default=0.0) * 1.08 or 1.0


def _draw_axes(panel: Panel, resource: Resource, start: datetime, height: float) -> None:
    page = panel.page
    scale = make_scale(resource, height)
    panel.rules(scale.ticks, color=page.palette.grid)
    for tick, label in zip(scale.ticks, scale.labels, strict=True):
        y = panel.py(tick)
        page.text(_LEFT - 8, y, label, size=SIZES.label, color=page.palette.muted,
                  align="right", valign="center")  # fmt: skip
    ticks, labels = day_ticks(start, 0, panel.x[1], most=10)
    for tick, label in zip(ticks, labels, strict=True):
        panel.label_below(tick, label)


def _draw_line(panel: Panel, days: Array, values: Array, color: str, style: str) -> None:
    """Usage with a point per review; amounts as steps, for each holds until another does."""
    usage = color == panel.page.palette.usage
    if not usage:
        # The last amount holds to the end, whenever it came into force.
        days, values = np.append(days, panel.x[1]), np.append(values, values[-1])
    panel.axes.plot(
        days,
        values,
        color=color,
        linestyle=style,
        linewidth=1.8,
        drawstyle="default" if usage else "steps-post",
        marker="o" if usage or len(days) == 1 else "",
        markersize=4,
        zorder=3 if usage else 2,
    )


def _draw_kills(panel: Panel, days: Array, rows: Sequence[Row], resource: Resource) -> None:
    """A cross where a container was killed since the review before, and how often."""
    if resource != "memory":
        return
    for day, row in zip(days.tolist(), rows, strict=True):
        kills = number(row["kills"])
        if kills:
            x, color = panel.px(day), panel.page.palette.warning
            panel.axes.plot([day], [panel.y[1] * 0.97], color=color, marker="X", markersize=8)
            panel.page.text(x + 12, panel.box[1] + 12, f"{kills:.0f} killed", color=color,
                            size=SIZES.small)  # fmt: skip


def _draw_changes(panel: Panel, days: Sequence[float]) -> None:
    """Where a change came into force."""
    color = panel.page.palette.ink
    panel.rules(days, color=color, vertical=True, style="dotted")
    for day in days:
        panel.page.text(panel.px(day), panel.box[1] - 8, "changed", size=SIZES.small, color=color,
                        align="center")  # fmt: skip


def _draw_names(
    panel: Panel, drawn: Sequence[tuple[str, Array, str, str]], resource: Resource
) -> None:
    """The name and the last value of each line, beside its end."""
    ends = [float(values[~np.isnan(values)][-1]) for _, values, _, _ in drawn]
    wanted = [panel.py(min(end, panel.y[1])) for end in ends]
    places = spread(wanted, SIZES.label + 4, panel.box[1], panel.box[3])
    for (name, _, color, _), end, y in zip(drawn, ends, places, strict=True):
        beyond = " ↑" if end > panel.y[1] else ""
        panel.page.text(_RIGHT + 12, y, f"{name} {level_text(resource, end)}{beyond}",
                        size=SIZES.label, color=color, valign="center")  # fmt: skip


def _promised(outcomes: Sequence[Outcome], resource: Resource) -> str:
    """What was promised for the amounts in force, and what happened since; empty where nothing."""
    target, words = _OVER[resource]
    for outcome in reversed(outcomes):
        if target in outcome.promised:
            happened = words.format(percent(outcome.happened[target]))
            promised = percent(outcome.promised[target])
            return f"since {outcome.merged:%Y-%m-%d} {happened}, {promised} promised"
    return ""
