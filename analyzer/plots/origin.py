"""What a chart was drawn from: one hash over all that decides how it looks, kept in the PNG itself.

Of two charts with the same hash one may stand for the other. Whatever is hashed in vain only costs
a chart drawn again, so the code counts as a whole, and arrays count to the last bit.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import PIL
from matplotlib.ft2font import __freetype_version__
from PIL import Image, UnidentifiedImageError

from analyzer import __version__
from analyzer.plots.chart_data import ChartData

KEYWORD = "Drawn-from"
"""Of the tEXt chunk that holds the hash."""


def origin(data: ChartData, description: str, *, dark: bool) -> str:
    """The hash of what the chart of `data` is drawn from: what it shows, and what draws it."""
    digest = hashlib.sha256(_tools())
    _feed(digest.update, (data, description, dark))
    return digest.hexdigest()


def origin_of(content: bytes) -> str | None:
    """The hash that a PNG says it was drawn from; None where it says none, or is no PNG."""
    try:
        with Image.open(io.BytesIO(content), formats=["PNG"]) as image:
            told = image.info.get(KEYWORD)
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError):
        return None
    return told if isinstance(told, str) else None


@cache
def _tools() -> bytes:
    """What draws: this package, and the libraries that make pixels of it, fonts among them."""
    digest = hashlib.sha256()
    versions = (matplotlib.__version__, __freetype_version__, np.__version__, PIL.__version__)
    _feed(digest.update, (__version__, *versions))
    package = Path(__file__).parents[1]
    for path in sorted(package.rglob("*.py")):
        _feed(digest.update, (path.relative_to(package).as_posix(), path.read_bytes()))
    return digest.digest()


def _feed(update: Callable[[bytes], None], value: Any) -> None:
    """Give `update` bytes that tell `value` from every other: by its kind, length and content."""
    head: tuple[Any, ...]
    parts: list[Any] = []
    raw = b""
    if isinstance(value, np.ndarray):
        head, raw = (value.dtype.str, value.shape), value.tobytes()
    elif is_dataclass(value) and not isinstance(value, type):
        head = (type(value).__name__,)
        parts = [getattr(value, field.name) for field in fields(value)]
    elif isinstance(value, Mapping):
        head, parts = ("mapping", len(value)), [part for item in value.items() for part in item]
    elif isinstance(value, tuple | list):
        head, parts = ("sequence", len(value)), list(value)
    elif isinstance(value, bytes):
        head, raw = ("bytes", len(value)), value
    elif value is None or isinstance(value, str | int | float | datetime | np.generic):
        head = (type(value).__name__, value)
    else:
        raise TypeError(f"expected what a chart is drawn from, found {type(value).__name__}")
    told = repr(head).encode()
    update(len(told).to_bytes(8, "big") + told + raw)
    for part in parts:
        _feed(update, part)
