"""By which power of the size a cost grows: 1 is linear, 2 is quadratic."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence


def exponent(sizes: Sequence[int], costs: Sequence[float]) -> float:
    """The power between the last two sizes; NaN where nothing was spent, or there is one alone."""
    if len(sizes) < 2:
        return math.nan
    (small, large), (before, after) = sizes[-2:], costs[-2:]
    if not (before > 0 and after > 0):
        return math.nan
    return math.log(after / before) / math.log(large / small)


def too_steep(sizes: Sequence[int], costs: Mapping[str, Sequence[float]], most: float) -> list[str]:
    """A sentence for every stage whose costs, one a size, grow with more than the power `most`."""
    powers = {stage: exponent(sizes, spent) for stage, spent in costs.items()}
    return [
        f"{stage}: its work grows with the power {power:.2f} of the containers, at most {most:g}"
        for stage, power in powers.items()
        if power > most
    ]
