"""A page laid out in pixels: text, and panels with data axes, without pyplot or global settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.text import Text

from analyzer.plots.lettering import Lettering, width_of
from analyzer.plots.style import DPI, SIZES, Palette
from analyzer.plots.text import ELLIPSIS, font_path, shorten, shorten_apart

Array = npt.NDArray[np.float64]


class Page:
    """One figure of `width` x `height` pixels; positions count from its upper left corner."""

    def __init__(self, width: int, height: int, palette: Palette) -> None:
        self.width, self.height, self.palette = width, height, palette
        self.figure = Figure(
            figsize=(width / DPI, height / DPI), dpi=DPI, facecolor=palette.background
        )
        self.canvas = FigureCanvasAgg(self.figure)
        self._fonts: dict[tuple[float, bool], FontProperties] = {}
        self._spare: list[Axes] = []

    def clear(self) -> None:
        """Make room for the next page; the axes, which are dear to make, are kept for it."""
        for artist in [*self.figure.texts, *self.figure.patches, *self.figure.artists]:
            artist.remove()
        for axes in self.figure.axes:
            for artist in [*axes.lines, *axes.collections, *axes.patches]:
                artist.remove()
            axes.containers.clear()
        self._spare = list(self.figure.axes)

    def font(self, size: float, *, bold: bool = False) -> FontProperties:
        """The shipped font at `size` pixels."""
        key = (size, bold)
        if key not in self._fonts:
            points = size * 72 / DPI
            self._fonts[key] = FontProperties(fname=str(font_path(bold=bold)), size=points)
        return self._fonts[key]

    def text(  # noqa: PLR0913  # one parameter per property
        self,
        x: float,
        y: float,
        text: str,
        *,
        size: float = SIZES.text,
        color: str | None = None,
        bold: bool = False,
        align: str = "left",
        valign: str = "baseline",
    ) -> Text:
        """Put `text` with its baseline at `y`; never parsed as mathematics."""
        line = Lettering(
            x / self.width,
            1 - y / self.height,
            text,
            pixels=size,
            bold=bold,
            fontproperties=self.font(size, bold=bold),
            color=color or self.palette.ink,
            horizontalalignment=align,
            verticalalignment=valign,
            parse_math=False,
            usetex=False,
            transform=self.figure.transFigure,
        )
        self.figure.add_artist(line)
        return line

    def heading(self, x: float, y: float, title: str, note: str) -> None:
        """The title of a panel at `x`, `y`, with what it shows on the line below."""
        self.text(x, y, title, size=SIZES.heading, bold=True)
        self.text(x, y + 24, note, size=SIZES.label, color=self.palette.muted)

    def measure(self, text: str, size: float = SIZES.text, *, bold: bool = False) -> float:
        """The width of `text` in pixels."""
        return width_of(text, size, bold=bold)

    def fit(self, text: str, room: float, size: float = SIZES.text, *, bold: bool = False) -> str:
        """`text` with its middle left out until it is at most `room` pixels wide."""
        width = self.measure(text, size, bold=bold)
        length = len(text)
        while width > room and length > 1:
            length = min(length - 1, max(1, int(length * room / width)))
            width = self.measure(shorten(text, length), size, bold=bold)
        return shorten(text, length) if width <= room else ELLIPSIS

    def fit_all(
        self, names: Sequence[str], room: float, size: float = SIZES.text, *, bold: bool = False
    ) -> list[str]:
        """`names` in at most `room` pixels each; those that differ still do."""
        length = max(map(len, names), default=0)
        shown = list(names)
        while length > 4 and any(self.measure(text, size, bold=bold) > room for text in shown):
            length -= 1
            shown = shorten_apart(names, length)
        return shown

    def panel(
        self,
        box: tuple[float, float, float, float],
        x: tuple[float, float],
        y: tuple[float, float],
    ) -> Panel:
        """Data axes in the pixel box (left, top, right, bottom)."""
        left, top, right, bottom = box
        place = (
            left / self.width,
            1 - bottom / self.height,
            (right - left) / self.width,
            (bottom - top) / self.height,
        )
        if self._spare:
            axes = self._spare.pop(0)
            axes.set_position(place)
        else:
            axes = self.figure.add_axes(place)
            axes.set_axis_off()
        # Plain limits: margins and ticks are laid out here, not by matplotlib.
        axes.set_xlim(*x)
        axes.set_ylim(*y)
        axes.set_autoscale_on(False)
        return Panel(self, axes, box, x, y)


@dataclass
class Panel:
    """Data axes that know where their values lie on the page."""

    page: Page
    axes: Axes
    box: tuple[float, float, float, float]
    x: tuple[float, float]
    y: tuple[float, float]

    def px(self, value: float) -> float:
        """The horizontal position of `value` on the page."""
        left, _, right, _ = self.box
        return left + (value - self.x[0]) / (self.x[1] - self.x[0]) * (right - left)

    @property
    def per_unit(self) -> float:
        """Pixels across per unit of the horizontal axis, such as a day."""
        return self.px(1) - self.px(0)

    def py(self, value: float) -> float:
        """The vertical position of `value` on the page, from its upper edge."""
        _, top, _, bottom = self.box
        return bottom - (value - self.y[0]) / (self.y[1] - self.y[0]) * (bottom - top)

    def label_left(self, value: float, text: str, *, gap: float = 10, **look: Any) -> None:
        """`text` to the left of the panel, level with `value`; `look` is that of `Page.text`."""
        self._label(self.box[0] - gap, value, text, {"align": "right", **look})

    def label_right(self, value: float, text: str, *, gap: float = 10, **look: Any) -> None:
        """`text` to the right of the panel, level with `value`; `look` is that of `Page.text`."""
        self._label(self.box[2] + gap, value, text, look)

    def _label(self, x: float, value: float, text: str, look: Mapping[str, Any]) -> None:
        """Small and muted, unless `look` says otherwise."""
        usual: dict[str, Any] = {"size": SIZES.label, "color": self.page.palette.muted}
        self.page.text(x, self.py(value), text, valign="center_baseline", **(usual | {**look}))

    def label_below(
        self, value: float, text: str, *, size: float = SIZES.label, drop: float = 22
    ) -> None:
        """`text` in the middle below `value`, muted."""
        x, y, color = self.px(value), self.box[3] + drop, self.page.palette.muted
        self.page.text(x, y, text, size=size, color=color, align="center")

    def label_middle(self, text: str) -> None:
        """`text` in the middle of the panel: why nothing is drawn in it."""
        left, top, right, bottom = self.box
        x, y, color = (left + right) / 2, (top + bottom) / 2, self.page.palette.muted
        self.page.text(x, y, text, color=color, align="center")

    def rules(
        self,
        values: Sequence[float],
        *,
        color: str,
        width: float = 1.0,
        vertical: bool = False,
        style: str = "solid",
        zorder: float = 0.5,
    ) -> None:
        """Straight lines across the panel at `values`."""
        low, high = self.y if vertical else self.x
        segments = [[(v, low), (v, high)] if vertical else [(low, v), (high, v)] for v in values]
        self.axes.add_collection(
            LineCollection(
                segments, colors=color, linewidths=width, linestyles=style, zorder=zorder
            ),
            autolim=False,
        )
