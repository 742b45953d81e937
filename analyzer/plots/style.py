"""Colours and type of every chart, light and dark.

The four main hues stay apart under three kinds of colour blindness and reach 4.5:1 on their
background; meaning never hangs on a colour alone, but on a line style and a label besides.
"""

from __future__ import annotations

from dataclasses import dataclass

DPI = 100
"""Charts are laid out in pixels; at this resolution one pixel is 0.72 points."""


ROW_HEIGHT = 318
"""Of the panel of one resource, in pixels."""


@dataclass(frozen=True, slots=True)
class Palette:
    """The colours of one variant, by what they mean."""

    background: str
    ink: str
    muted: str
    grid: str
    usage: str
    """What was used: the median line."""
    band: str
    peak: str
    apart: str
    """The one pod that is drawn by itself; another model of ours in a backtest."""
    other: str
    """A third hue, for yet another model."""
    bars: str
    now: str
    """What is declared now."""
    proposed: str
    warning: str
    """Increases, and what went wrong: kills, restarts, throttling."""
    freed: str
    """The area that is given back."""
    added: str
    """The area that is asked for in addition."""
    forecast: str
    forecast_band: str
    gap: str
    heat: tuple[str, ...]
    """From idle to full."""


LIGHT = Palette(
    background="#ffffff",
    ink="#1a1f2b",
    muted="#5a6372",
    grid="#e6e9ef",
    usage="#1f6feb",
    band="#b9d2fa",
    peak="#78a9f3",
    apart="#7b3fb5",
    other="#0e7490",
    bars="#8fb8f6",
    now="#8a4b00",
    proposed="#00735a",
    warning="#d0115a",
    freed="#fcf1dc",
    added="#fce6ee",
    forecast="#3d4454",
    forecast_band="#e1e4ea",
    gap="#f3f4f7",
    heat=("#f2f7ff", "#b9d2fa", "#5f9bf3", "#1f6feb", "#0b3d91", "#062253"),
)
DARK = Palette(
    background="#0d1117",
    ink="#e8edf4",
    muted="#98a3b3",
    grid="#222a35",
    usage="#58a6ff",
    band="#1f3f68",
    peak="#3d77bb",
    apart="#c79bff",
    other="#67d4e8",
    bars="#2f5f99",
    now="#f0b040",
    proposed="#2fd3a2",
    warning="#ff7aa8",
    freed="#272011",
    added="#321725",
    forecast="#cfd6df",
    forecast_band="#2b323d",
    gap="#161b23",
    heat=("#121a26", "#1b3557", "#25578f", "#3b83d6", "#8cc2ff", "#e3f1ff"),
)


@dataclass(frozen=True, slots=True)
class Sizes:
    """Type sizes in pixels."""

    title: float = 27
    verdict: float = 21
    heading: float = 18
    text: float = 16
    label: float = 15
    small: float = 14


SIZES = Sizes()


def palette(*, dark: bool) -> Palette:
    """The light or the dark colours."""
    return DARK if dark else LIGHT
