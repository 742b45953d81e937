"""Time: four weeks in steps of five minutes, and when things fail in them.

Step ``k`` covers ``(START + k * STEP, START + (k + 1) * STEP]``; its sample carries the end.
"""

from __future__ import annotations

import zlib
from datetime import UTC, datetime, timedelta

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

SEED = 20261102
START = datetime(2026, 11, 2, tzinfo=UTC)  # a Monday
STEP_SECONDS = 300
DAY = 86_400 // STEP_SECONDS
SAMPLE_STEPS = 21 * DAY
STEPS = 28 * DAY
END = START + timedelta(days=21)
EPOCH = int(START.timestamp())

OUTAGE = (8 * DAY + 13, 8 * DAY + 73)
"""Nothing was monitored in these steps: five hours on the second Tuesday, from 01:05."""

NODE_DOWN = ("worker-2", 16 * DAY + 126, 16 * DAY + 163)
"""One node was off, from 10:30 to 13:35 on the third Wednesday; its pods start again after."""


def step_of(day: float) -> int:
    """The step that begins `day` days after the start."""
    return round(day * DAY)


def second_of(step: int) -> int:
    """Unix time at which `step` begins."""
    return EPOCH + step * STEP_SECONDS


def hours() -> Array:
    """Hour of the day in the middle of every step."""
    return (np.arange(STEPS) + 0.5) * STEP_SECONDS / 3600 % 24


def weekdays() -> npt.NDArray[np.int64]:
    """Day of the week of every step, Monday being 0."""
    return np.arange(STEPS) // DAY % 7


def observed(node: str) -> npt.NDArray[np.bool_]:
    """In which steps usage on `node` was scraped."""
    seen = np.ones(STEPS, dtype=bool)
    seen[slice(*OUTAGE)] = False
    name, begin, end = NODE_DOWN
    if node == name:
        seen[begin:end] = False
    return seen


def dice(*names: object) -> np.random.Generator:
    """Random numbers that depend on the seed and `names` alone."""
    text = "/".join(map(str, names)).encode()
    return np.random.default_rng([SEED, zlib.crc32(text)])
