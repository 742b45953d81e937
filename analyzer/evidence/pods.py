"""How unlike the pods of one container are: a leader among followers, a hot node among calm ones.

One request holds for all pods of a workload, but each pod has a node of its own: a share of the
time of all pods together says nothing about the one that works all the time.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from analyzer.history import Histories

UNLIKE = 3.0
"""So many times the typical pod's use make a pod unlike the others."""
_LEAST_DAYS = 1.0
_GONE_DAYS = 3.0


@dataclass(frozen=True, slots=True)
class Spread:
    """What single pods use half of their life, or half of their last days, in cores or bytes."""

    pods: int
    """Those that lived for a day and were there lately."""
    high: int
    """Those that use more than half of what the worst uses."""
    worst: float
    typical: float
    """The median pod's."""
    lately: bool = False
    """The worst is so only since some days."""

    @property
    def ratio(self) -> float:
        """How many times the typical pod's use the worst has."""
        return self.worst / max(self.typical, 1e-9)


def spread_of(histories: Histories, index: int, values: npt.NDArray[np.float32]) -> Spread | None:
    """The spread of container `index` over `values` of the usage; None for fewer than two pods."""
    usage = histories.usage
    low, high = int(usage.bounds[index]), int(usage.bounds[index + 1])
    if high - low < 2:
        return None
    lengths = usage.offset[low + 1 : high + 1] - usage.offset[low:high]
    ends = usage.first[low:high] + lengths
    judged = lengths >= _LEAST_DAYS * usage.steps_per_day
    judged &= ends > ends.max() - _GONE_DAYS * usage.steps_per_day
    if judged.sum() < 2:
        return None
    recent = int(_GONE_DAYS * usage.steps_per_day)
    levels = []
    for series in low + np.flatnonzero(judged):
        own = values[usage.offset[series] : usage.offset[series + 1]]
        life, late = _median(own), _median(own[-recent:])
        if life is not None:
            levels.append((life if late is None else max(life, late), life))
    if len(levels) < 2:
        return None
    worst, before = max(levels)
    return Spread(
        pods=len(levels),
        high=sum(2 * level > worst for level, _ in levels),
        worst=worst,
        typical=float(np.median([level for level, _ in levels])),
        lately=before < worst / 2,
    )


def _median(values: npt.NDArray[np.float32]) -> float | None:
    seen = values[~np.isnan(values)]
    return float(np.median(seen)) if len(seen) else None
