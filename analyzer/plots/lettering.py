"""Text on charts, drawn from pictures of it that are kept.

Most of what stands on a chart stands on the next one too: dates, units, the key. Laying a line of
text out takes half a millisecond, which is what half of a chart would be spent on.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.colors import to_rgb
from matplotlib.font_manager import get_font
from matplotlib.text import Text

from analyzer.plots.style import DPI
from analyzer.plots.text import font_path

_KEPT = 4096
"""Lines of text, a kilobyte or two each."""


@dataclass(frozen=True, slots=True)
class Picture:
    """How much of each pixel a line of text covers, 0 to 255, and where its origin is."""

    coverage: npt.NDArray[np.uint8]
    descent: float
    """Of the baseline above the lower edge, in pixels."""


@lru_cache(_KEPT)
def picture(text: str, size: float, *, bold: bool) -> Picture:
    """`text` at `size` pixels, in the font that matplotlib ships."""
    font = get_font(str(font_path(bold=bold)))
    font.set_size(size * 72 / DPI, DPI)
    font.set_text(text)
    font.draw_glyphs_to_bitmap(antialiased=True)
    return Picture(np.array(font.get_image()), font.get_descent() / 64)


def width_of(text: str, size: float, *, bold: bool) -> float:
    """How many pixels across `text` takes."""
    return float(picture(text, size, bold=bold).coverage.shape[1])


class Lettering(Text):
    """One line of text on a page: any other text to matplotlib, but quick to draw as pixels."""

    def __init__(self, *what: Any, pixels: float, bold: bool, **properties: Any) -> None:
        super().__init__(*what, **properties)
        self._pixels, self._bold = pixels, bold

    def draw(self, renderer: Any) -> None:
        """Put the picture where the text would be; on anything but our pixels, draw the text."""
        if not isinstance(renderer, RendererAgg) or renderer.dpi != DPI:
            super().draw(renderer)
            return
        text = self.get_text()
        if not text.strip():
            return
        found = picture(text, self._pixels, bold=self._bold)
        height, width = found.coverage.shape
        x, y = self.get_transform().transform(self.get_position())
        left = x - width * {"left": 0, "center": 0.5, "right": 1}[self.get_horizontalalignment()]
        below = found.descent + _rise(self.get_verticalalignment(), self._pixels, self._bold)
        inked = np.empty((height, width, 4), dtype=np.uint8)
        inked[..., :3] = np.round(np.array(to_rgb(self.get_color())) * 255)
        inked[..., 3] = found.coverage[::-1]
        context = renderer.new_gc()
        renderer.draw_image(context, round(left), round(y - below), inked)
        context.restore()


@lru_cache
def _rise(alignment: str, pixels: float, bold: bool) -> float:
    """How far the named line of a text lies above its baseline; that of letters of full height."""
    usual = picture("lp", pixels, bold=bold)
    above = float(usual.coverage.shape[0]) - usual.descent
    rises = {
        "baseline": 0.0,
        "center_baseline": above / 2,
        "center": (above - usual.descent) / 2,
    }
    return rises[alignment]
