"""Axes in sensible units: which range to show, where the round ticks are, how labels spread."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from analyzer.models.demand import Resource

Array = npt.NDArray[np.float64]

KIB = 1024.0
_MEMORY_UNITS = (("Ti", KIB**4), ("Gi", KIB**3), ("Mi", KIB**2), ("Ki", KIB))
_REQUEST_REACH = 4.0
"""A request is on the scale up to this many times what is used: a quarter is left for usage."""
_LIMIT_REACH = 2.2
_SPIKE = 3.0
"""Peaks beyond this many times the 99th percentile are cut off and named instead."""


@dataclass(frozen=True, slots=True)
class Scale:
    """A vertical axis from zero to `top` (cores or bytes), with ticks and their labels."""

    resource: Resource
    top: float
    ticks: tuple[float, ...]
    labels: tuple[str, ...]
    unit: str

    def holds(self, value: float) -> bool:
        """Whether `value` is on the axis."""
        return value <= self.top


def choose_top(
    peak: float, p99: float, requests: Sequence[float], limits: Sequence[float]
) -> float:
    """The end of the axis: all that is used, and requests and limits as far as usage stays visible.

    `requests` start with the proposed one, which is always shown unless usage would vanish
    beneath it (a floor far above an idle container is still shown).
    """
    used = min(peak, _SPIKE * p99) if p99 > 0 else peak
    core = max([used, *requests[:1]])
    if core <= 0:
        core = max([*requests, *limits], default=0.0) or 1e-3
    shown = [core]
    shown += [value for value in requests if value <= _REQUEST_REACH * core]
    shown += [value for value in limits if value <= _LIMIT_REACH * max(shown)]
    if max(shown) > _REQUEST_REACH * 1.5 * core:
        shown = [value for value in shown if value <= _REQUEST_REACH * 1.5 * core]
    return max(shown) * 1.06


def make_scale(resource: Resource, top: float) -> Scale:
    """Three to six round ticks from zero: 1, 2, 2.5 or 5 times a power of ten, or powers of two."""
    if resource == "memory":
        return _memory_scale(top)
    step = _decimal_step(top / 4.5)
    ticks = _ticks(top, step)
    if top > 2:
        labels = tuple(f"{tick:g}" for tick in ticks)
        return Scale("cpu", top, ticks, labels, "cores")
    labels = tuple("0" if not tick else f"{round(tick * 1000, 6):g}m" for tick in ticks)
    return Scale("cpu", top, ticks, labels, "millicores")


def _memory_scale(top: float) -> Scale:
    step = 2.0 ** np.ceil(np.log2(top / 6))
    # Beyond tebibytes, and below a byte, powers of two still make round labels.
    ticks = _ticks(top, float(step))
    labels = tuple(_memory_label(tick) for tick in ticks)
    return Scale("memory", top, ticks, labels, "working set")


def _memory_label(value: float) -> str:
    for suffix, size in _MEMORY_UNITS:
        if value >= size:
            return f"{value / size:g}{suffix}"
    return f"{value:g}"


def _decimal_step(least: float) -> float:
    power = 10.0 ** np.floor(np.log10(least))
    return float(next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= least * 0.999))


def _ticks(top: float, step: float) -> tuple[float, ...]:
    return tuple(round(k * step, 12) for k in range(int(top / step + 1e-9) + 1))


def day_ticks(
    start: datetime, low: float, high: float, most: int
) -> tuple[tuple[float, ...], tuple[str, ...]]:
    """Ticks (in days since `start`) at midnights or round hours of UTC, at most `most` of them."""
    hours = next((h for h in _TICK_HOURS if (high - low) * 24 / h <= most), _TICK_HOURS[-1])
    step = timedelta(hours=hours)
    first = start + timedelta(days=low)
    midnight = first.replace(hour=0, minute=0, second=0, microsecond=0)
    moment = midnight + step * max(0, -(-(first - midnight) // step))
    ticks, labels = [], []
    while moment <= start + timedelta(days=high):
        ticks.append((moment - start) / timedelta(days=1))
        labels.append(_day_label(moment, hours))
        moment += step
    return tuple(ticks), tuple(labels)


_TICK_HOURS = (1, 2, 3, 6, 12, 24, 48, 72, 96, 168, 336, 672, 1344, 8760)


def _day_label(moment: datetime, step_hours: int) -> str:
    if step_hours < 24 and moment.hour:
        return f"{moment:%H:%M}"
    return f"{moment.day} {moment:%b}" if step_hours < 8760 else f"{moment:%b %Y}"


def spread(wanted: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Positions as near as possible to `wanted`, at least `gap` apart, within `low` and `high`.

    Least squares by pooling adjacent violators; equal wishes keep their given order. Where there
    is no room for all, the gap wins and the positions grow beyond `high`.
    """
    count = len(wanted)
    order = sorted(range(count), key=lambda k: wanted[k])
    blocks: list[tuple[float, int]] = []
    for rank, k in enumerate(order):
        blocks.append((wanted[k] - rank * gap, 1))
        while len(blocks) > 1 and blocks[-2][0] >= blocks[-1][0]:
            (a, m), (b, n) = blocks[-2:]
            blocks[-2:] = [((a * m + b * n) / (m + n), m + n)]
    room = max(low, high - (count - 1) * gap)
    fitted = [min(max(mean, low), room) for mean, size in blocks for _ in range(size)]
    placed = [0.0] * count
    for rank, k in enumerate(order):
        placed[k] = fitted[rank] + rank * gap
    return placed
