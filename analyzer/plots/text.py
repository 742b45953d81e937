"""Text on charts: names from strangers made harmless, and amounts as people read them."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from analyzer.quantity import Cpu, Memory, TargetName

if TYPE_CHECKING:
    from analyzer.models.demand import Resource

ELLIPSIS = "…"
MINUS = "−"


def plain(text: str) -> str:
    """`text` as one line of printable characters that the shipped font has.

    Control and formatting characters (line breaks, bidirectional overrides) go; what has no glyph
    becomes U+FFFD. Dollar signs stay: no text on a chart is ever parsed as mathematics.
    """
    known = _glyphs()
    shown = []
    for character in unicodedata.normalize("NFC", text):
        if character.isspace():
            shown.append(" ")
        elif not unicodedata.category(character).startswith("C"):
            shown.append(character if ord(character) in known else "\N{REPLACEMENT CHARACTER}")
    return " ".join("".join(shown).split())


@cache
def _glyphs() -> frozenset[int]:
    from matplotlib.ft2font import FT2Font

    regular, heavy = (
        frozenset(FT2Font(str(font_path(bold=bold))).get_charmap()) for bold in (False, True)
    )
    return regular & heavy


@cache
def font_path(*, bold: bool) -> Path:
    """The DejaVu Sans that matplotlib ships, so that every machine draws the same picture."""
    import matplotlib as mpl

    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return Path(mpl.get_data_path()) / "fonts" / "ttf" / name


def shorten(text: str, length: int) -> str:
    """`text` in at most `length` characters, with its middle left out: both ends tell most."""
    if len(text) <= length:
        return text
    if length < 3:
        return text[: max(length, 0)]
    head = length // 2
    tail = length - 1 - head
    return f"{text[:head]}{ELLIPSIS}{text[len(text) - tail :]}"


def shorten_apart(names: Sequence[str], length: int) -> list[str]:
    """Each of `names` in at most `length` characters; those that differ still do, from 4 on.

    Where leaving the middle out makes two of them the same, what they begin with in common is
    left out instead, and where that is not enough they are numbered.
    """
    shown = {name: shorten(name, length) for name in names}
    for group in _alike(shown):
        common = _common(group[0], group[-1])  # sorted: what these share, all do
        for name in group:
            rest = f"{name[:2]}{ELLIPSIS}{name[common:]}"
            shown[name] = rest if len(rest) <= length else rest[: max(length, 0)]
    for group in _alike(shown):
        for number, name in enumerate(group, start=1):
            mark = f"~{number}"
            shown[name] = shown[name][: max(length - len(mark), 0)] + mark
    return [shown[name] for name in names]


def _alike(shown: Mapping[str, str]) -> list[list[str]]:
    """Groups of names that are shown alike, in order."""
    by_text: dict[str, list[str]] = {}
    for name in sorted(shown):
        by_text.setdefault(shown[name], []).append(name)
    return [group for group in by_text.values() if len(group) > 1]


def _common(first: str, second: str) -> int:
    """How many characters both begin with."""
    pairs = enumerate(zip(first, second, strict=False))
    return next((k for k, (a, b) in pairs if a != b), min(len(first), len(second)))


def amount(quantity: Cpu | Memory | None) -> str:
    """A declared amount exactly as manifests spell it: ``1250m``, ``1536Mi``; or ``none``.

    Whole cores say what they are: ``1 core``, ``2 cores``.
    """
    text = "none" if quantity is None else str(quantity)
    if not isinstance(quantity, Cpu) or text.endswith("m"):
        return text
    return f"{text} core" if text == "1" else f"{text} cores"


TARGET_NAMES: Mapping[TargetName, str] = {
    "cpu_request": "CPU request",
    "cpu_limit": "CPU limit",
    "memory_request": "memory request",
    "memory_limit": "memory limit",
}
"""The four amounts, as sentences name them."""


def level_text(resource: Resource, value: float) -> str:
    """A measured level (cores or bytes) to three digits: ``3.2m``, ``212m``, ``1.31 cores``."""
    if resource == "cpu":
        if value < 0.9995:
            return f"{_digits(value * 1000)}m"
        return f"{_digits(value)} cores"
    for suffix, size in (("Ti", 2**40), ("Gi", 2**30), ("Mi", 2**20), ("Ki", 2**10)):
        if value >= size * 0.9995:
            return f"{_digits(value / size)}{suffix}"
    return f"{_digits(value)}B"


def _digits(value: float) -> str:
    if value >= 1000:
        return f"{value:.0f}"
    return f"{float(f'{value:.3g}'):g}"


def total_text(resource: Resource, units: int) -> str:
    """A sum of millicores or bytes over many containers: ``45m CPU``, ``3.5 cores``, ``6 GiB``."""
    if resource == "cpu":
        if units < 1000:
            return f"{units}m CPU"
        return "1 core" if units == 1000 else f"{_digits(units / 1000)} cores"
    for suffix, size in (("TiB", 2**40), ("GiB", 2**30)):
        if units >= size:
            return f"{_digits(units / size)} {suffix}"
    return f"{_digits(units / 2**20)} MiB"


def percent(share: float) -> str:
    """A share as percent: ``0.5%``, ``12%``."""
    value = share * 100
    return f"{value:.0f}%" if value >= 1 or value == 0 else f"{value:.2g}%"


def change_percent(now: int, new: int) -> str:
    """The relative change, ``−58%`` or ``+120%``; a factor from six times on (``×8``)."""
    if now and new / now >= 6:
        return f"×{_digits(round(new / now, 1))}"
    share = (new - now) / now
    # A small change must not read as none, nor a large one as a loss of everything.
    value = max(abs(share) * 100, 1) if share > -0.995 else 99
    return f"{MINUS if share < 0 else '+'}{value:.0f}%"


def grouped(count: int) -> str:
    """A count with thin spaces between thousands: ``24 192``."""
    return f"{count:,}".replace(",", "\N{THIN SPACE}")


def counted(count: int, noun: str) -> str:
    """``1 replica``, ``6 replicas``."""
    return f"{grouped(count)} {noun}" if count == 1 else f"{grouped(count)} {noun}s"
