"""The pooled model: every container by its own past, and by what its cluster has in common.

CPU. The coming share of time above a level is the past one, smoothed: each quantile of the window
counts as spread by the drift from week to week (3 %), and one part in fifty as spread widely, both
of what is used plus a tenth of what the cluster uses on average. Where the containers of a cluster
have alike tails, each is told from all of them.

Memory. The peak until the next review stays below a level where neither of two things happens.
(1) A day like those seen: the chance that the highest of the days of the horizon (half of them
count, neighbours being alike) lies above the level, from the daily peaks of the window smoothed by
their drift (0.7 of how much they vary, 3 to 25 %). Where the days of the week differ, every day is
taken as the busiest of the week, of which the horizon holds one. (2) A jump beyond anything seen,
which no single history can tell of: see `jump`.
"""

from __future__ import annotations

from datetime import timedelta

import numpy as np

from analyzer.by_container import by_container
from analyzer.cutoff import NOTABLY_THROTTLED, throttled_shares
from analyzer.history import Histories
from analyzer.models.censoring import (
    kill_floors,
    raise_above_kills,
    raise_above_throttling,
)
from analyzer.models.coverage import confidence, reasons
from analyzer.models.demand import RESOURCES, RISKS, Array, Demand, Resource, Step
from analyzer.models.exceedance import levels_at, of_highest, smoothed, without_cliffs
from analyzer.models.jump import (
    LEAST_BYTES,
    Jumps,
    Shape,
    chance_of_jump,
    learn_jumps,
    outlook,
    shape_of,
)
from analyzer.models.pattern import Pattern, recognise
from analyzer.quantity import Cpu, Memory

CPU_SHARES = 1 - np.array(
    [
        *(0.5, 0.4, 0.3, 0.25, 0.2, 0.15, 0.1, 0.07, 0.05, 0.04, 0.03, 0.02),
        *(0.015, 0.01, 0.007, 0.005, 0.003, 0.002, 0.001, 0.0005, 0.0),
    ]
)
"""Quantiles that stand for a window of CPU samples, dense where it matters."""
CPU_DRIFT, CPU_WIDE, CPU_WIDE_SHARE = 0.03, 0.5, 0.02
CPU_ALIKE = 0.1
"""Drift is a share of what is used plus this part of the cluster's mean: a probe or a batch is as
many cores more for the small as for the large."""
LEAST_CORES = 1e-4
TAIL_NOISE = 0.15
"""How far the tail of a week, relative to its p95, strays by chance, in logarithms."""
LEAST_TO_SHARE = 10
"""With fewer containers there is no telling how much their tails differ."""
_P95 = int(np.searchsorted(CPU_SHARES, 0.95))

DRIFT, LEAST_DRIFT, MOST_DRIFT = 0.7, 0.03, 0.25
"""Drift of daily peaks: this share of how much they vary, within these."""
HALF_LIFE_DAYS = 14.0
SHARE_OF_DAYS = 0.5
"""Of the days of the horizon, how many count as independent."""
BEFORE_SHIFT = 0.05
"""Days before a level shift keep this share of their weight."""
BY_SIZE, MOST_BY_SIZE = 0.2, 1.5
"""Margins in the logarithm go with size, relative to the cluster's median, to minus this power;
sizes count up to this far from it, in logarithms."""
IMAGE_HALF_LIFE_DAYS = 1.0
"""So fast do days before a new image fade, once usage has changed with it."""

_CPU_GRID = np.arange(-3.0, 4.0, 0.04)
_MEMORY_GRID = np.arange(-2.5, 5.0, 0.04)
_CHUNK = 1000


class Pooled:
    """Own history smoothed by drift, plus jumps as frequent and far as the cluster's."""

    name = "pooled"

    def __init__(self, window: timedelta = timedelta(days=14)) -> None:
        self.window = window

    def within(self, window: timedelta) -> Pooled:
        """The same model over another window; what lies before it is learnt from."""
        return Pooled(window)

    def fit(self, histories: Histories, horizon: timedelta) -> Demand:
        """State demand: of CPU from the last `window`, of memory from all days that were read.

        A peak that comes every three weeks is in no fortnight, and older days weigh less anyway;
        of CPU a fortnight holds thousands of samples, and what is older tells of other days.
        """
        jumps = learn_jumps(histories, horizon)
        recent = last(histories, self.window)
        patterns = recognise(recent, ["cpu"]) | recognise(histories, ["memory"])
        why = reasons(recent)
        cpu = _cpu_levels(recent, patterns["cpu"], horizon)
        memory = _memory_levels(histories, patterns["memory"], horizon, jumps)
        levels: dict[Resource, Array] = {"cpu": cpu, "memory": memory}
        for resource in RESOURCES:
            levels[resource][list(why[resource])] = np.nan
        return Demand(
            model=self.name,
            horizon=horizon,
            levels=levels,
            trails={
                "cpu": _cpu_trails(recent, levels["cpu"], patterns["cpu"], horizon),
                "memory": _memory_trails(
                    histories, levels["memory"], patterns["memory"], horizon, jumps
                ),
            },
            reasons=why,
            findings={resource: tuple(patterns[resource].findings) for resource in RESOURCES},
            growth={resource: np.maximum(patterns[resource].slope, 0.0) for resource in RESOURCES},
            recent={
                "cpu": _recent(patterns["cpu"], recent),
                "memory": _recent(patterns["memory"], histories),
            },
            confidence=confidence(recent),
        )


def last(histories: Histories, window: timedelta) -> Histories:
    """The last `window` of `histories`, or all of it where it is shorter."""
    steps = round(window / histories.usage.step)
    total = histories.usage.steps
    return histories if steps >= total else histories.between(total - steps, total)


def _memory_levels(
    histories: Histories, pattern: Pattern, horizon: timedelta, jumps: Jumps
) -> Array:
    days = horizon / timedelta(days=1)
    logs = np.log(np.maximum(histories.daily.memory_peak, LEAST_BYTES))
    weekly = np.array([word == "weekly" for word in pattern.findings], dtype=bool)
    ahead = moved(logs, pattern, days)
    if weekly.any():
        ahead[weekly] = as_busiest_day(ahead[weekly])
    independent = np.where(weekly, max(days / 7, 1.0), max(days * SHARE_OF_DAYS, 0.5))
    age = np.arange(logs.shape[1])[::-1]
    weights = np.exp2(-age / HALF_LIFE_DAYS) * weight_of_before(pattern, logs.shape[1])
    weights = of_highest(ahead, weights, independent)
    known = shape_of(within_epochs(ahead, pattern))
    prior = outlook(known, days)
    chance = chance_of_jump(prior, jumps)
    spread = np.clip(DRIFT * known.volatility, LEAST_DRIFT, MOST_DRIFT)
    levels = np.full((len(logs), len(RISKS)), np.nan)
    for rows in _chunks(~np.isnan(known.top)):
        grid = known.top[rows, None] + _MEMORY_GRID
        alike = np.minimum(smoothed(ahead[rows], weights[rows], grid, spread[rows]), 1 - 1e-12)
        beyond = np.maximum(_MEMORY_GRID, 0)
        jump = chance[rows, None] * np.exp(-prior.steepness[rows, None] * beyond)
        levels[rows] = levels_at(grid, 1.0 - (1.0 - alike) * (1.0 - jump))
    levels = np.exp(without_cliffs(by_size(levels, known)))
    return raise_above_kills(levels, kill_floors(histories))


def by_size(logs: Array, shape: Shape) -> Array:
    """Levels in logarithms, those above the highest peak by less for the large than for the small.

    What comes on top (a batch, a cache, a log to be sorted) is partly a number of bytes and not a
    share of what is there: it doubles the small and is lost in the large.
    """
    margin = logs - shape.top[:, None]
    size = np.clip(shape.size, -MOST_BY_SIZE, MOST_BY_SIZE)
    scaled: Array = np.where(margin > 0, margin * np.exp(-BY_SIZE * size)[:, None], margin)
    return shape.top[:, None] + scaled


def weight_of_before(pattern: Pattern, days: int) -> Array:
    """What each day counts by what has changed since: (containers, days), one where nothing has.

    Days before a level shift hardly count. Those before a new image that changed usage count half
    as much for each day that the new one has run.
    """
    day = np.arange(days)
    shifted = np.where(day < pattern.since[:, None], BEFORE_SHIFT, 1.0)
    faded = np.exp2(-(days - pattern.image) / IMAGE_HALF_LIFE_DAYS)[:, None]
    weights: Array = np.minimum(shifted, np.where(day < pattern.image[:, None], faded, 1.0))
    return weights


def within_epochs(logs: Array, pattern: Pattern) -> Array:
    """Daily peaks without what a change of level did to them, for how much they vary.

    Days before a shift are left out; those before a new image are moved to its level, for a drop
    by half is no restlessness.
    """
    day = np.arange(logs.shape[1])
    kept = np.where(day < pattern.since[:, None], np.nan, logs)
    for row in np.flatnonzero(pattern.image > pattern.since):
        before = day < pattern.image[row]
        drop = np.nanmedian(logs[row, before]) - np.nanmedian(logs[row, ~before])
        kept[row, before] -= drop
    return kept


def _recent(pattern: Pattern, histories: Histories) -> Array:
    """How many days back from the end of `histories` count in full; NaN where all do."""
    days = histories.daily.samples.shape[1]
    return np.where(pattern.since > 0, days - pattern.since, np.nan).astype(np.float64)


def _cpu_levels(histories: Histories, pattern: Pattern, horizon: timedelta) -> Array:
    cores = np.maximum(_cpu_points(histories, pattern.since), LEAST_CORES)
    # Growth moves the whole window to the middle of the horizon; a decline is no promise.
    days = histories.daily.samples.shape[1]
    grown = np.maximum(pattern.slope, 0.0) * (days + horizon / timedelta(days=1)) / 2
    alike = CPU_ALIKE * _mean_cores(histories)
    points = share_tails(np.log(cores * np.exp(grown)[:, None] + alike))
    base = points[:, _P95]
    weights = np.diff(np.concatenate([[0.0], CPU_SHARES]))
    levels = np.full((len(points), len(RISKS)), np.nan)
    for rows in _chunks(~np.isnan(base)):
        grid = base[rows, None] + _CPU_GRID
        drift, wide = np.full(len(rows), CPU_DRIFT), np.full(len(rows), CPU_WIDE)
        near = smoothed(points[rows], weights, grid, drift)
        far = smoothed(points[rows], weights, grid, wide)
        chance = (1 - CPU_WIDE_SHARE) * near + CPU_WIDE_SHARE * far
        levels[rows] = np.maximum(np.exp(levels_at(grid, chance)) - alike, LEAST_CORES)
    return raise_above_throttling(levels, histories)


def _mean_cores(histories: Histories) -> float:
    """What a pod of the cluster uses on average; zero where none was seen."""
    means = histories.daily.cpu_mean
    return float(np.nanmean(means)) if not np.isnan(means).all() else 0.0


def moved(logs: Array, pattern: Pattern, days: float) -> Array:
    """Daily peaks as they would be at the end of the horizon, were growth to go on."""
    age = np.arange(logs.shape[1])[::-1]
    # A decline is no promise: it moves nothing.
    rise = np.maximum(pattern.slope, 0.0)[:, None] * (age + days)
    result: Array = logs + rise
    return result


def as_busiest_day(logs: Array) -> Array:
    """Daily peaks of a weekly rhythm as if every day were the busiest of the week.

    Each day is taken relative to the mean of its day of the week, and set on the highest of these
    means. What is left of a day is scaled up by what fitting seven means took from it. `logs` has
    the shape (containers, days), without gaps in its last whole weeks, two at least.
    """
    days = logs.shape[1]
    whole = days // 7 * 7
    profile = logs[:, days - whole :].reshape(len(logs), whole // 7, 7).mean(axis=1)
    expected = profile[:, (np.arange(days) - days) % 7]
    taken = np.sqrt(whole / (whole - 7))
    result: Array = profile.max(axis=1, keepdims=True) + taken * (logs - expected)
    return result


def share_tails(points: Array) -> Array:
    """`points` with what lies above each p95 drawn to the cluster's mean, as far as that is fair.

    Empirical Bayes: where tails differ between containers with variance ``t²``, each keeps
    ``t² / (t² + noise²)`` of its own. Unlike containers keep theirs; alike ones share one, which
    is better known than any. `points` are logarithms of quantiles at `CPU_SHARES`.
    """
    tails = points[:, _P95 + 1 :] - points[:, _P95 : _P95 + 1]
    known = ~np.isnan(tails).any(axis=1)
    if known.sum() < LEAST_TO_SHARE:
        return points
    mean, variance = tails[known].mean(axis=0), tails[known].var(axis=0)
    own = variance / (variance + TAIL_NOISE**2)
    shared = points.copy()
    shared[:, _P95 + 1 :] = points[:, _P95 : _P95 + 1] + mean + own * (tails - mean)
    return shared


@by_container
def _cpu_points(histories: Histories, since: np.ndarray) -> Array:
    """Quantiles of all samples at `CPU_SHARES` in cores, from the day column `since` on."""
    usage = histories.usage
    days = histories.daily.samples.shape[1]
    points = np.full((len(histories), len(CPU_SHARES)), np.nan)
    for index in range(len(histories)):
        values = usage.cpu_cores[usage.span(index)]
        if since[index]:
            first = usage.steps - (days - int(since[index])) * usage.steps_per_day
            values = values[usage.sample_steps(index) >= first]
        values = np.sort(values)
        count = len(values) - int(np.isnan(values).sum())
        if count:
            rank = np.ceil(CPU_SHARES * count).astype(np.int64) - 1
            points[index] = values[np.clip(rank, 0, count - 1)]
    return points


def _chunks(wanted: np.ndarray) -> list[np.ndarray]:
    rows = np.flatnonzero(wanted)
    return [rows[start : start + _CHUNK] for start in range(0, len(rows), _CHUNK)]


def _cpu_trails(
    histories: Histories, levels: Array, pattern: Pattern, horizon: timedelta
) -> tuple[tuple[Step, ...], ...]:
    p95 = histories.daily.cpu_p95
    throttled = throttled_shares(histories)
    trails: list[tuple[Step, ...]] = []
    for index in range(len(levels)):
        if np.isnan(levels[index]).any():
            trails.append(())
            continue
        before = _typical(p95[index], int(pattern.since[index]))
        steps = [
            Step(
                "p95",
                "",
                _cores(before),
                f"on a typical day of {_days(p95[index])} it stays below for 95 % of the time",
            ),
            *pattern_steps(pattern, index, horizon, histories),
        ]
        if throttled[index] >= NOTABLY_THROTTLED:
            reason = f"throttled in {throttled[index]:.0%} of the time: the need is higher"
            steps.append(Step("throttled", "", "", reason))
        after = float(levels[index][np.searchsorted(RISKS, 0.05)])
        reason = "usage wanders from week to week: 5 % of the next one should lie above"
        steps.append(Step("outlook", _cores(before), _cores(after), reason))
        trails.append(tuple(steps))
    return tuple(trails)


def _memory_trails(
    histories: Histories, levels: Array, pattern: Pattern, horizon: timedelta, jumps: Jumps
) -> tuple[tuple[Step, ...], ...]:
    peaks, floors = histories.daily.memory_peak, kill_floors(histories)
    learnt = (
        f"as {jumps.weeks} earlier week{'s' * (jumps.weeks != 1)} of single containers here, "
        "and others, suggest"
        if jumps.weeks
        else "as clusters elsewhere suggest: there is too little history here to learn from"
    )
    trails: list[tuple[Step, ...]] = []
    for index in range(len(levels)):
        if np.isnan(levels[index]).any():
            trails.append(())
            continue
        peak = float(np.nanmax(peaks[index]))
        reason = f"the highest peak of {_days(peaks[index])}"
        shifted = pattern_steps(pattern, index, horizon, histories)
        steps = [Step("peak", "", _bytes(peak), reason), *shifted]
        if not np.isnan(floors[index]):
            reason = "it was OOM-killed: the need is above the limit it was killed at"
            known = max(peak, float(floors[index]))
            steps.append(Step("killed", _bytes(peak), _bytes(known), reason))
            peak = known
        after = float(levels[index][np.searchsorted(RISKS, 0.1)])
        reason = f"the peak that one week in ten exceeds, {learnt}"
        steps.append(Step("outlook", _bytes(peak), _bytes(after), reason))
        trails.append(tuple(steps))
    return tuple(trails)


def pattern_steps(
    pattern: Pattern, index: int, horizon: timedelta, histories: Histories
) -> tuple[Step, ...]:
    """What the pattern of one container in `histories` means for its demand, in plain words."""
    word, slope = pattern.findings[index], pattern.slope[index]
    if word == "leak":
        reason = "climbs through each pod's life and falls at its restart: a leak, not growth"
        return (Step("leak", "", "", reason),)
    if pattern.image[index]:
        reason = (
            f"a new image changed it by {_date(histories, int(pattern.image[index]))}; what was "
            "before fades"
        )
        return (Step("image", "", "", reason),)
    if word == "shift":
        reason = (
            f"moved to {pattern.shift[index]:.2f} x its level about "
            f"{_date(histories, int(pattern.since[index]))}; what was before counts less"
        )
        return (Step("shift", "", "", reason),)
    if slope > 0:
        week = np.expm1(7 * slope)
        days = horizon / timedelta(days=1)
        reason = (
            f"grows {week:.1%} a week (p = {max(pattern.p_value[index], 1e-4):.4f}); "
            f"so {np.expm1(days * slope):+.1%} by the end of the {days:.0f} days ahead"
        )
        return (Step("growth", "", "", reason),)
    if word in ("daily", "weekly"):
        return (Step(word, "", "", f"has a {word} rhythm, which the window holds"),)
    return ()


def _date(histories: Histories, column: int) -> str:
    """The date on which a column of the daily arrays begins; they count back from the end."""
    begins = histories.usage.end - timedelta(days=histories.daily.samples.shape[1] - column)
    return f"{begins.day} {begins:%b}"


def _typical(values: Array, since: int) -> float:
    kept = values[since:]
    kept = values if np.isnan(kept).all() else kept
    return float(np.nanmedian(kept))


def _days(values: Array) -> str:
    count = int((~np.isnan(values)).sum())
    return "1 day" if count == 1 else f"{count} days"


def _cores(value: float) -> str:
    return Cpu.from_cores(value).human()


def _bytes(value: float) -> str:
    return Memory.from_bytes(value).human()
