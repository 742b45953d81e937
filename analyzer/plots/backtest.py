"""The chart of a backtest: what each model would have cost, and whether it kept its word."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from analyzer.models.demand import RESOURCES, Resource
from analyzer.plots.page import Page, Panel
from analyzer.plots.scale import spread
from analyzer.plots.style import SIZES, palette
from analyzer.plots.text import counted, plain

Array = npt.NDArray[np.float64]

WIDTH, HEIGHT = 1650, 1230

# Where things stand, in pixels from the upper left corner.
_LEFT, _MIDDLE, _RIGHT = 60, 1010, 1600
_ROWS = (150, 690)
_PANEL = 400
_PEERS = ("vpa", "krr", "constant", "last week", "own quantile")
_REFERENCES = ("current requests", "perfect foresight")
_LEFT_OUT = ("this policy, limits", "vpa, daily")
_MOST_MODELS = 11
_TITLES: dict[Resource, str] = {"cpu": "CPU", "memory": "Memory"}
_RISKS: dict[Resource, str] = {"cpu": "overrun_sample_share", "memory": "overrun_week_share"}
_RISK_WORDS: dict[Resource, str] = {
    "cpu": "share of samples above the request",
    "memory": "share of weeks whose peak is above the request",
}


_SAMPLE = 44
"""Pixels for a sample of a line before its name."""


class _Curve(NamedTuple):
    """One model's sweep of one resource, ordered by risk."""

    model: str
    risk: Array
    footprint: Array
    stated: Array
    weeks: Array
    """How many weeks of one container each point rests on."""


class _Look(NamedTuple):
    color: str
    style: str
    width: float


def backtest_figure(frame: pd.DataFrame, *, dark: bool = False) -> Figure:
    """Draw a backtest, 1650 x 1230 pixels: footprint against risk, observed against stated risk.

    `frame` has the columns model, resource, stated_risk (NaN where a model states none),
    container_weeks, overrun_week_share, overrun_sample_share and footprint_to_usage; one row per
    point of a model's sweep.
    """
    page = Page(WIDTH, HEIGHT, palette(dark=dark))
    page.text(_LEFT, 56, "What each model costs, and risks", size=SIZES.title, bold=True)
    weeks = int(frame["container_weeks"].max()) if len(frame) else 0
    facts = (
        f"models learn from the past and are judged on what followed: {counted(weeks, 'week')} of "
        "one container each · lower left is better"
    )
    page.text(_LEFT, 92, facts, color=page.palette.muted)
    models = _models(frame)
    looks = _looks(page, models)
    for resource, top in zip(RESOURCES, _ROWS, strict=True):
        curves = [_curve(frame, model, resource) for model in models]
        curves = [curve for curve in curves if len(curve.risk)]
        _draw_cost(page, resource, curves, looks, top)
        _draw_reliability(page, resource, curves, looks, top)
    return page.figure


def _models(frame: pd.DataFrame) -> list[str]:
    """Our models first, then the peers, then what is requested now and what hindsight says."""
    names = [n for n in dict.fromkeys(str(name) for name in frame["model"]) if n not in _LEFT_OUT]
    return sorted(names, key=lambda n: (n in _REFERENCES, n in _PEERS))[:_MOST_MODELS]


def _looks(page: Page, models: Sequence[str]) -> dict[str, _Look]:
    """A colour and a line style per model; the first of ours is the strongest."""
    colors = page.palette
    own = [m for m in models if m not in (*_PEERS, *_REFERENCES)]
    hues = [colors.proposed, colors.usage, colors.apart, colors.other]
    styles = ("solid", "dashed", "dotted", "dashdot")
    looks = {
        name: _Look(hues[rank % 4], styles[rank % 4], 2.8 if not rank else 1.8)
        for rank, name in enumerate(own)
    }
    peers = {"vpa": colors.now, "krr": colors.warning}
    looks |= {
        name: _Look(peers.get(name, colors.muted), styles[1 + rank % 3], 1.8)
        for rank, name in enumerate(_PEERS)
    }
    looks |= {name: _Look(colors.ink, "solid", 1.5) for name in _REFERENCES}
    return looks


def _curve(frame: pd.DataFrame, model: str, resource: Resource) -> _Curve:
    rows = frame[(frame["model"] == model) & (frame["resource"] == resource)]
    columns = [_RISKS[resource], "footprint_to_usage", "stated_risk", "container_weeks"]
    table = rows[columns].to_numpy(dtype=np.float64)
    table = table[~np.isnan(table[:, :2]).any(axis=1)]
    table = table[np.argsort(table[:, 1], kind="stable")]
    if np.isnan(table[:, 2]).all():
        table = _cheapest(table)
    return _Curve(model, *(table[:, column] for column in range(4)))


def _cheapest(table: Array) -> Array:
    """Of a peer at all its settings, what nobody beats: cheaper points overrun more.

    `table` has columns of risk, footprint and stated risk, by rising footprint.
    """
    before = np.minimum.accumulate(np.concatenate([[np.inf], table[:, 0]]))[:-1]
    return table[table[:, 0] < before]


def _draw_cost(
    page: Page,
    resource: Resource,
    curves: Sequence[_Curve],
    looks: dict[str, _Look],
    top: float,
) -> None:
    """Footprint over risk, both logarithmic, every curve named at its end."""
    note = f"requested / used, against the {_RISK_WORDS[resource]}"
    page.heading(_LEFT, top, f"{_TITLES[resource]}: footprint", note)
    box = (_LEFT + 70.0, top + 48.0, _MIDDLE - 270.0, top + 48.0 + _PANEL)
    if not curves:
        _draw_absence(page, box)
        return
    floor = _least_risk(curves)
    risks = np.concatenate([np.maximum(c.risk, floor) for c in curves])
    sizes = np.concatenate([c.footprint for c in curves])
    sizes = sizes[sizes > 0]
    panel = page.panel(
        box,
        (np.log10(risks.min()) - 0.05, np.log10(risks.max()) + 0.05),
        (
            np.log10(sizes.min()) - 0.03,
            min(np.log10(sizes.max()), np.log10(sizes.min()) + 1.5) + 0.03,
        ),
    )
    _draw_risk_ticks(panel, across=True)
    _draw_none_seen(panel, curves, floor, across=True)
    _draw_size_ticks(panel)
    ends = []
    for curve in curves:
        shown = curve.footprint > 0
        x = np.log10(np.maximum(curve.risk[shown], floor))
        y = np.log10(curve.footprint[shown])
        _draw_curve(panel, (x, y), curve.risk[shown] > 0, looks.get(curve.model))
        ends.append(float(y[np.argmax(x)]) if len(x) else panel.y[0])
    _draw_names(panel, curves, ends, looks, room=230)


def _least_risk(curves: Sequence[_Curve]) -> float:
    """Where points stand of which no overrun was seen: beyond the least risk that was."""
    risks = np.concatenate([curve.risk for curve in curves])
    positive = risks[risks > 0]
    return float(positive.min()) / 2 if len(positive) else 1e-4


def _draw_none_seen(panel: Panel, curves: Sequence[_Curve], floor: float, *, across: bool) -> None:
    """Name the place of nought, which a logarithmic axis does not have, and set it off."""
    most = 10 ** panel.y[1] if across else np.inf
    none = [(curve.risk <= 0) & (curve.footprint <= most) for curve in curves]
    weeks = [
        float(curve.weeks[mask].max())
        for curve, mask in zip(curves, none, strict=True)
        if mask.any()
    ]
    if not weeks:
        return
    page, place = panel.page, float(np.log10(floor))
    text = f"none seen in {counted(int(max(weeks)), 'week')}"
    color = page.palette.muted
    edge = [place + 0.5 * float(np.log10(2))]
    panel.rules(edge, color=color, vertical=across, style="dotted", width=1.2)
    if across:
        x = max(panel.box[0], panel.px(place) - page.measure(text, SIZES.small) / 2)
        page.text(x, panel.box[3] + 42, text, size=SIZES.small, color=color)
    else:
        text = f"○ {text}"
        page.text(
            panel.box[2], panel.box[3] + 42, text, size=SIZES.small, color=color, align="right"
        )


def _draw_curve(
    panel: Panel,
    points: tuple[Array, Array],
    seen: npt.NDArray[np.bool_],
    look: _Look | None,
) -> None:
    """A line through the points where overruns were `seen`; open markers where none were.

    Between the two no line is drawn: how far below the least risk seen a nought lies, nobody knows.
    """
    look = look or _Look(panel.page.palette.muted, "solid", 1.5)
    x, y = points
    kept = np.flatnonzero(seen)
    order = kept[np.argsort(x[kept], kind="stable")]
    size = 4.5 if len(x) > 1 else 8
    panel.axes.plot(
        x[order],
        y[order],
        color=look.color,
        linestyle=look.style,
        linewidth=look.width,
        marker="o",
        markersize=size,
        markeredgewidth=0,
        zorder=3 + look.width / 10,
    )
    panel.axes.plot(
        x[~seen],
        y[~seen],
        linestyle="none",
        marker="o",
        markersize=size,
        markerfacecolor="none",
        markeredgecolor=look.color,
        markeredgewidth=1.2,
        zorder=3,
    )


def _draw_sample(panel: Panel, place: tuple[float, float], look: _Look, curve: _Curve) -> None:
    """What a name stands for: a line in its style, or a point; open where no overrun was seen."""
    (x, y), point = place, len(curve.risk) == 1 or not (curve.risk > 0).any()
    left, top, right, bottom = panel.box
    ends = [x + _SAMPLE / 2 - 5] if point else [x, x + _SAMPLE - 10]
    panel.axes.plot(
        [(end - left) / (right - left) for end in ends],
        [(bottom - y) / (bottom - top)] * len(ends),
        transform=panel.axes.transAxes,
        color=look.color,
        linestyle=look.style,
        linewidth=look.width,
        marker="o" if point else "",
        markersize=8,
        markerfacecolor=look.color if (curve.risk > 0).any() else "none",
        markeredgewidth=1.2,
        clip_on=False,
    )


def _draw_names(
    panel: Panel,
    curves: Sequence[_Curve],
    ends: Sequence[float],
    looks: dict[str, _Look],
    room: float,
) -> None:
    """A sample of each curve and its name, in `room` pixels beside where the curve ends."""
    page, edge = panel.page, panel.box[2] + 16 + _SAMPLE
    wanted = [-panel.py(min(max(end, panel.y[0]), panel.y[1])) for end in ends]
    places = spread(wanted, 21, -panel.box[3], -panel.box[1])
    shown = [plain(curve.model) for curve in curves]
    names = page.fit_all(shown, room - _SAMPLE, SIZES.label, bold=True)
    for curve, name, place in zip(curves, names, places, strict=True):
        look = looks[curve.model]
        _draw_sample(panel, (edge - _SAMPLE, -place), look, curve)
        page.text(
            edge,
            -place,
            name,
            size=SIZES.label,
            color=look.color,
            bold=look.width > 2,
            valign="center_baseline",
        )


def _draw_reliability(
    page: Page,
    resource: Resource,
    curves: Sequence[_Curve],
    looks: dict[str, _Look],
    top: float,
) -> None:
    """Observed against stated risk: above the line a model promises more than it keeps."""
    note = "observed risk against stated; above the line: worse than promised"
    page.heading(_MIDDLE, top, f"{_TITLES[resource]}: reliability", note)
    box = (_MIDDLE + 70.0, top + 48.0, _RIGHT - 130.0, top + 48.0 + _PANEL)
    stating = [c for c in curves if (c.stated > 0).any() and c.model not in _REFERENCES]
    if not stating:
        _draw_absence(page, box)
        return
    floor = min(_least_risk(stating), *(c.stated[c.stated > 0].min() / 2 for c in stating))
    both = [np.maximum(c.risk, floor) for c in stating] + [c.stated[c.stated > 0] for c in stating]
    low, high = (float(np.log10(f(np.concatenate(both)))) for f in (np.min, np.max))
    panel = page.panel(box, (low - 0.05, high + 0.05), (low - 0.05, high + 0.05))
    _draw_risk_ticks(panel, across=True)
    _draw_risk_ticks(panel, across=False)
    _draw_none_seen(panel, stating, floor, across=False)
    panel.axes.plot(panel.x, panel.y, color=page.palette.ink, linewidth=1.2, zorder=2)
    ends = []
    for curve in stating:
        stated = curve.stated > 0
        x, y = np.log10(curve.stated[stated]), np.log10(np.maximum(curve.risk[stated], floor))
        if resource == "memory" and curve is stating[0]:
            _draw_intervals(panel, x, curve.risk[stated], curve.weeks[stated])
        _draw_curve(panel, (x, y), curve.risk[stated] > 0, looks.get(curve.model))
        ends.append(float(y[np.argmax(x)]))
    _draw_names(panel, stating, ends, looks, room=140)


def _draw_intervals(panel: Panel, x: Array, risk: Array, weeks: Array) -> None:
    """The 90 % interval of each share of weeks (Clopper and Pearson 1934): few weeks tell little.

    For the first model alone: that of the others is about as wide where they lie.
    """
    from scipy import special

    page, words = panel.page, "grey: what chance alone allows (90%)"
    page.text(
        panel.box[0] + 8, panel.box[1] + 16, words, size=SIZES.small, color=page.palette.muted
    )

    hits = np.round(risk * weeks)
    low = np.where(hits > 0, special.betaincinv(hits, weeks - hits + 1, 0.05), 0.0)
    high = np.where(hits < weeks, special.betaincinv(hits + 1, weeks - hits, 0.95), 1.0)
    ends = np.clip(np.log10(np.maximum([low, high], 1e-12)), *panel.y)
    panel.axes.add_collection(
        LineCollection(
            [[(a, b), (a, c)] for a, b, c in zip(x, *ends, strict=True)],
            colors=panel.page.palette.forecast_band,
            linewidths=5,
            zorder=1,
        ),
        autolim=False,
    )


def _draw_absence(page: Page, box: tuple[float, float, float, float]) -> None:
    page.text(
        (box[0] + box[2]) / 2,
        (box[1] + box[3]) / 2,
        "nothing was measured",
        color=page.palette.muted,
        align="center",
    )


def _draw_risk_ticks(panel: Panel, *, across: bool) -> None:
    page, colors = panel.page, panel.page.palette
    low, high = panel.x if across else panel.y
    taken = -np.inf
    for share in (0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0):
        tick = float(np.log10(share))
        if not low <= tick <= high:
            continue
        panel.rules([tick], color=colors.grid, vertical=across)
        label = f"{share * 100:g}%"
        half = page.measure(label, SIZES.label) / 2
        if across and panel.px(tick) - half < taken:
            continue  # it would run into the one before
        taken = panel.px(tick) + half + 8 if across else taken
        (panel.label_below if across else panel.label_left)(tick, label)


def _draw_size_ticks(panel: Panel) -> None:
    colors = panel.page.palette
    low, high = panel.y
    wide = high - low > 0.7
    for size in (0.5, 1, 2, 5, 10, 20, 50) if wide else (0.6, 0.8, 1, 1.25, 1.5, 2, 2.5, 3, 4, 5):
        tick = float(np.log10(size))
        if low <= tick <= high:
            panel.rules([tick], color=colors.grid)
            panel.label_left(tick, f"{size:g}×")
