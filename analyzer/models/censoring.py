"""Lower bounds of the need: memory at an OOM kill, CPU under throttling."""

from __future__ import annotations

import numpy as np

from analyzer.history import Histories
from analyzer.models.demand import RISKS, Array

AFTER_KILL = 0.2
"""How far above the limit it was killed at; shared out among repeated kills, see below."""
AFTER_THROTTLING = 0.25
NEAR_LIMIT = 0.8
RISK_OF_LIMITS = 0.1
"""Levels at this risk or below are what requests and limits of memory rest on."""


def kill_floors(histories: Histories) -> Array:
    """Bytes that the memory of each container must exceed after its OOM kills, NaN without any.

    The floor lies above the highest limit it was killed at: 20 % after the first, a half of that
    once a second limit was hit, a third after a third. A workload that fills whatever it gets, as
    a leak does, so gains less each time instead of doubling for ever. A kill while the highest
    usage of the window stayed below 80 % of the limit came from elsewhere (the node ran out, or a
    child process) and sets no floor.
    """
    floors = np.full(len(histories), np.nan)
    events = histories.events
    kills = events[(events["kind"] == "oom_kill") & (events["value"] > 0)]
    peaks = histories.daily.memory_peak
    for index in kills["index"].unique().tolist():
        limits = kills.loc[kills["index"] == index, "value"]
        row = peaks[index]
        highest = float(np.nanmax(row)) if not np.isnan(row).all() else np.inf
        hit = sorted({float(limit) for limit in limits if NEAR_LIMIT * limit <= highest})
        if hit:
            floors[index] = hit[-1] * (1 + AFTER_KILL / len(hit))
    return floors


def throttled_shares(histories: Histories) -> Array:
    """The share of each container's observed steps that were throttled."""
    events = histories.events
    throttled = events.loc[events["kind"] == "throttled", "index"].to_numpy(dtype=np.int64)
    count = np.bincount(throttled, minlength=len(histories))
    result: Array = count / np.maximum(histories.daily.samples.sum(axis=1), 1)
    return np.minimum(result, 1.0)


def raise_above_kills(levels: Array, floors: Array) -> Array:
    """`levels` with those at a risk of 10 % or less at or above `floors`."""
    bound = np.where(np.isnan(floors), -np.inf, floors)[:, None]
    rare = RISKS <= RISK_OF_LIMITS
    return np.where(rare, np.maximum(levels, bound), levels)


def raise_above_throttling(levels: Array, limits: Array, shares: Array) -> Array:
    """`levels` with those as rare as the throttling at least a quarter above the CPU limit.

    A throttled sample says only that more was wanted. `limits` in cores, NaN where none is set.
    """
    bound = np.where((shares > 0) & ~np.isnan(limits), limits * (1 + AFTER_THROTTLING), -np.inf)
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
