"""Text drawn from kept pictures stands where matplotlib would have written it."""

from __future__ import annotations

import io

import numpy as np
import numpy.typing as npt
import pytest
from matplotlib.text import Text

from analyzer.plots.lettering import Lettering, width_of
from analyzer.plots.page import Page
from analyzer.plots.png import pixels_of
from analyzer.plots.style import DARK

TEXT = "request new 1472Mi …→ ÄÖy"


def drawn(
    place: tuple[float, float], align: str, valign: str, *, plain: bool
) -> npt.NDArray[np.int64]:
    """The rows and columns (least, most) that carry ink, of our text or of matplotlib's."""
    page = Page(500, 120, DARK)
    line = page.text(*place, TEXT, size=21, align=align, valign=valign, color="#ffffff")
    if plain:
        own = Text(*line.get_position(), TEXT, fontproperties=page.font(21), color="#ffffff",
                   ha=align, va=valign, transform=page.figure.transFigure)  # fmt: skip
        line.remove()
        page.figure.add_artist(own)
    bright = pixels_of(page.figure)[..., :3].min(axis=2) > 160
    rows, columns = np.nonzero(bright)
    return np.array([rows.min(), rows.max(), columns.min(), columns.max()])


@pytest.mark.parametrize("valign", ["baseline", "center", "center_baseline"])
@pytest.mark.parametrize("align", ["left", "center", "right"])
def test_it_stands_where_matplotlib_writes(align: str, valign: str) -> None:
    """To a pixel or two, at any place and alignment, whatever lies above and below the line."""
    place = (250.3, 60.7)
    ours, theirs = (drawn(place, align, valign, plain=plain) for plain in (False, True))
    assert np.abs(ours - theirs).max() <= 2


def test_its_colour_is_the_one_that_was_asked_for() -> None:
    """Where a letter covers a pixel whole, nothing of the page shines through."""
    page = Page(300, 80, DARK)
    page.text(20, 60, "MMM", size=40, bold=True, color="#12c3ab")
    pixels = pixels_of(page.figure)[..., :3].reshape(-1, 3)
    assert (pixels == (0x12, 0xC3, 0xAB)).all(axis=1).sum() > 200


def test_a_figure_in_another_form_keeps_its_text() -> None:
    """A drawing that somebody saves as SVG or at another resolution holds text, not pixels."""
    page = Page(300, 80, DARK)
    page.text(20, 60, "1472Mi")
    buffer = io.StringIO()
    page.figure.savefig(buffer, format="svg")
    assert "<image" not in buffer.getvalue()
    assert buffer.getvalue().count("<use") == len("1472Mi")


def test_what_is_measured_is_what_is_drawn() -> None:
    """Labels are laid out by it; a bold line is wider."""
    line = Page(400, 80, DARK).text(0, 40, TEXT)
    assert isinstance(line, Lettering)
    assert abs(width_of(TEXT, 16, bold=False) - line.get_window_extent().width) <= 2
    assert width_of(TEXT, 16, bold=True) > width_of(TEXT, 16, bold=False)
