"""Figures as small PNG files: 256 colours, with alternative text, the same bytes every time."""

from __future__ import annotations

import base64
import io
import sys
import tempfile
from pathlib import Path

import numpy as np
import numpy.typing as npt
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from analyzer.errors import OutputError
from analyzer.escape import html
from analyzer.plots.origin import KEYWORD

_COLORS = 256
_SHIFTS = (0, 8, 16) if sys.byteorder == "little" else (24, 16, 8)
"""Where red, green and blue stand in a pixel that is read as one number."""


def encode_png(figure: Figure, description: str, drawn_from: str = "") -> bytes:
    """`figure` as PNG with at most 256 colours and `description` as its alternative text.

    The text goes into an iTXt chunk ``Description``, and what it was `drawn_from`, where that is
    told, into a tEXt chunk of its own (see `origin`). Equal figures give equal bytes: neither the
    time nor the software is written.
    """
    image = _reduce_colors(pixels_of(figure))
    info = PngInfo()
    info.add_itxt("Description", description, lang="en")
    if drawn_from:
        info.add_text(KEYWORD, drawn_from)
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", pnginfo=info, compress_level=4)
    return buffer.getvalue()


def pixels_of(figure: Figure) -> npt.NDArray[np.uint8]:
    """`figure` as it is drawn: (height, width, 4), red, green, blue and opacity."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())


def write_png(figure: Figure, path: Path, description: str) -> None:
    """Write `encode_png` to `path` at once or not at all.

    Raises `OutputError` where the folder cannot be written.
    """
    save_bytes(encode_png(figure, description), path)


def save_bytes(content: bytes, path: Path) -> None:
    """Put `content` at `path` by renaming, so that no reader meets half a file."""
    try:
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".chart-") as folder:
            whole = Path(folder) / "chart.png"
            with io.FileIO(whole, "wb") as handle:
                handle.write(content)
            whole.replace(path)
    except OSError as error:
        raise OutputError(
            f"{path}: the chart cannot be written ({error.strerror}); choose another folder"
        ) from error


def image_html(content: bytes, description: str) -> str:
    """A PNG as an element that holds it whole, for notebooks."""
    data = base64.b64encode(content).decode()
    source = f"data:image/png;base64,{data}"
    return f'<img alt="{html(description)}" style="max-width: 100%" src="{source}">'


def _reduce_colors(rgba: npt.NDArray[np.uint8]) -> Image.Image:
    """Indexed colours: the most frequent ones exactly, rare ones as their nearest.

    Charts have few flat colours and many faint steps between them, so colours are counted in
    cells of 5 bits a channel; the mean of a cell with a flat colour is that colour.
    """
    height, width = rgba.shape[:2]
    packed = np.ascontiguousarray(rgba).view(np.uint32).ravel()
    indices = np.zeros(height * width, dtype=np.uint8)
    # Most of a page is its background: only the rest is worth looking at.
    drawn = np.flatnonzero(packed != packed[0])
    channels = [(packed[drawn] >> shift & 0xFF).astype(np.uint16) for shift in _SHIFTS]
    red, green, blue = (channel >> 3 for channel in channels)
    cell = red << 10 | green << 5 | blue
    counts = np.bincount(cell, minlength=1 << 15)
    used = np.flatnonzero(counts)
    sums = [np.bincount(cell, weights=one, minlength=1 << 15)[used] for one in channels]
    means = np.stack(sums, axis=1) / counts[used][:, None]
    kept = np.argsort(-counts[used], kind="stable")[: _COLORS - 1]
    palette = np.vstack([rgba[0, 0, :3], means[kept]])
    distance = ((means[:, None, :] - palette[None, :, :]) ** 2).sum(axis=2)
    lookup = np.zeros(1 << 15, dtype=np.uint8)
    lookup[used] = distance.argmin(axis=1)
    indices[drawn] = lookup[cell]
    image = Image.fromarray(indices.reshape(height, width))
    image.putpalette(np.round(palette).astype(np.uint8).tobytes())
    return image
