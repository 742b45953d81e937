"""Lower bounds of the need: memory at an OOM kill, CPU under throttling."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from analyzer.cutoff import NOTABLY_THROTTLED, find_kills, throttled_shares
from analyzer.history import Histories
from analyzer.models.demand import RISKS, Array, Resource

LEAST_AFTER_THROTTLING, AFTER_THROTTLING = 0.25, 1.5
"""A container throttled in half of its CFS periods is taken to want 1.75 times its limit."""

Bools = npt.NDArray[np.bool_]


def cut_off(histories: Histories) -> dict[Resource, Bools]:
    """Whether the usage of each container is a lower bound of its need: killed, or throttled."""
    return {
        "cpu": throttled_shares(histories) >= NOTABLY_THROTTLED,
        "memory": ~np.isnan(kill_floors(histories)),
    }


def kill_floors(histories: Histories) -> Array:
    """Bytes that the memory of each container must exceed after its OOM kills, NaN without any.

    The floor lies above the highest limit it was killed at, by `Kills.beyond`: further where kills
    are many, and by a half of that once a second limit was hit, a third after a third. Kills that
    the limit did not cause set no floor.
    """
    floors = np.full(len(histories), np.nan)
    for index, kills in find_kills(histories).items():
        if kills.limits:
            floors[index] = max(kills.limits) * (1 + kills.beyond)
    return floors


def throttling(histories: Histories) -> Array:
    """How hard each container was throttled: the mean share of CFS periods, where it was at all."""
    events = histories.events
    throttled = events[(events["kind"] == "throttled") & events["value"].notna()]
    index = throttled["index"].to_numpy(dtype=np.int64)
    total = np.bincount(index, weights=throttled["value"], minlength=len(histories))
    result: Array = total / np.maximum(np.bincount(index, minlength=len(histories)), 1)
    return np.minimum(result, 1.0)


def raise_above_kills(levels: Array, floors: Array) -> Array:
    """`levels`, at every risk at or above `floors` (NaN: none)."""
    bound = np.where(np.isnan(floors), -np.inf, floors)[:, None]
    return np.maximum(levels, bound)


def raise_above_throttling(levels: Array, histories: Histories) -> Array:
    """`levels` of CPU, with those as rare as the throttling well above the declared limit.

    A throttled sample says only that more was wanted; how much more, that the share of throttled
    periods tells roughly. The next review sees more.
    """
    limits, shares = cpu_limits(histories), throttled_shares(histories)
    more = np.maximum(AFTER_THROTTLING * throttling(histories), LEAST_AFTER_THROTTLING)
    bound = np.where((shares > 0) & ~np.isnan(limits), limits * (1 + more), -np.inf)
    hidden = shares[:, None] >= RISKS
    return np.where(hidden, np.maximum(levels, bound[:, None]), levels)


def cpu_limits(histories: Histories) -> Array:
    """The declared CPU limit of every container in cores, NaN where there is none."""
    found = np.full(len(histories), np.nan)
    for index in range(len(histories)):
        limit = histories.spec(index).resources.cpu_limit
        if limit is not None:
            found[index] = limit.cores
    return found
