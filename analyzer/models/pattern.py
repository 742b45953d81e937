"""What kind of history a container has: growth, leak, shift, daily and weekly rhythm, or none.

Everything but the leaks is tested for all containers at once on daily summaries, in logarithms,
so that "10 % a week" means the same for 50 MiB and 50 GiB. Thresholds ask for both significance
and size, because a fortnight holds fourteen daily values and a cluster thousands of containers.
"""

from __future__ import annotations

import warnings
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import special

from analyzer.by_container import by_container
from analyzer.history import Histories
from analyzer.models.demand import RESOURCES, Array, Resource
from analyzer.usage import Usage

Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]

LEAST_DAYS_FOR_TREND = 6
TREND_P_VALUE = 0.005
LEAST_TREND = 0.08
"""Growth over the window, in logarithms, that is worth the word."""
TREND_IN_SPREADS = 3.5
LEAST_SHIFT = 0.14
SHIFT_IN_SPREADS = 6.0
DAYS_AFTER_SHIFT = 3
DAYS_OF_IMAGE = 7
"""After so many days a new image speaks for itself, whatever the one before it did."""
IMAGE_IN_SPREADS = 3.0
CLEAR_SIGNAL = 10.0
"""A rise so many times as large as the noise around it is no matter of chance."""
WEEKLY_P_VALUE = 0.001
LEAST_RHYTHM = 0.12
DAILY_SHARE = 0.35
YOUNG_DAYS = 3
IDLE_CORES = 0.002
BURSTY_CPU = 12.0
BURSTY_MEMORY = 2.0
_BLOCKS = 12
"""Blocks of two hours make a day's profile."""
_PIECE = 500


@dataclass(frozen=True)
class Pattern:
    """The patterns of one resource; every array has one entry per container.

    `slope` is in logarithms per day and zero where growth is not significant, `p_value` its
    two-sided significance, `since` the first day column that counts in full: after the last level
    shift, or of a new image that has run for a week (0 without one). `image` is the first whole
    day of a new image, where usage changed with it (0 without one), and `shift` the ratio of the
    level after a shift to the one before (1 without one).
    """

    findings: list[str]
    slope: Array
    p_value: Array
    since: Ints
    shift: Array
    image: Ints


def recognise(
    histories: Histories, resources: Sequence[Resource] = RESOURCES
) -> dict[Resource, Pattern]:
    """The pattern of every container, per resource that is asked for."""
    return {resource: _recognise_one(histories, resource=resource) for resource in resources}


def _image_days(histories: Histories) -> Ints:
    """The first whole day column after the last change of image of each container; 0 for none."""
    days = histories.daily.samples.shape[1]
    found = np.zeros(len(histories), dtype=np.int64)
    changes = histories.events[histories.events["kind"] == "image_change"]
    since = (changes["timestamp"] - pd.Timestamp(histories.usage.start)) / histories.usage.step
    age = (histories.usage.steps - since.to_numpy(dtype=np.float64)) / histories.usage.steps_per_day
    # A pod that started an hour into a day makes that day the new image's.
    column = np.clip(days - np.floor(age + 1 / 24).astype(np.int64), 0, days)
    np.maximum.at(found, changes["index"].to_numpy(dtype=np.int64), column)
    return np.where(found < days, found, 0)


def _epochs(logs: Array, images: Ints) -> Ints:
    """The first day of a new image where usage changed with it, or where peaks have ceased since.

    Where nothing has changed, what came before is evidence as good as any.
    """
    epochs = np.zeros(len(logs), dtype=np.int64)
    for row in np.flatnonzero(images):
        before, after = logs[row, : images[row]], logs[row, images[row] :]
        before, after = before[~np.isnan(before)], after[~np.isnan(after)]
        if not len(before) or not len(after):
            continue
        level = float(np.median(before))
        noise = 1.25 * float(np.abs(before - level).mean())
        moved = abs(float(np.median(after)) - level) >= max(LEAST_SHIFT, IMAGE_IN_SPREADS * noise)
        calmed = before.max() - after.max() >= LEAST_SHIFT and len(after) >= DAYS_OF_IMAGE
        if moved or calmed:
            epochs[row] = images[row]
    return epochs


@by_container
def _recognise_one(histories: Histories, *, resource: Resource) -> Pattern:
    daily = histories.daily
    values, floor = (daily.cpu_mean, 1e-4) if resource == "cpu" else (daily.memory_peak, 2.0**16)
    logs, images = np.log(np.maximum(values, floor)), _image_days(histories)
    none = np.zeros(len(histories), dtype=bool)
    leaks = find_leaks(histories) if resource == "memory" else none
    slope, p_value = trend(logs)
    since, shift = last_shift(logs)
    epochs = _epochs(logs, images)
    proven = (epochs > 0) & (logs.shape[1] - epochs >= DAYS_OF_IMAGE)
    shifted, weekly = since > 0, weekly_rhythm(logs)
    grows = _clear_trend(logs, slope, p_value) & ~shifted & ~weekly
    words = np.full(len(logs), "steady", dtype=object)
    words[_bursty(histories, resource)] = "bursty"
    words[daily_rhythm(histories, resource)] = "daily"
    words[weekly] = "weekly"
    words[grows & (slope > 0)] = "growth"
    words[grows & (slope < 0)] = "decline"
    words[shifted] = "shift"
    words[leaks] = "leak"
    words[_idle(histories, resource)] = "idle"
    words[_young(logs)] = "young"
    moving = grows & ~leaks
    return Pattern(
        findings=[str(word) for word in words],
        slope=np.where(moving, slope, 0.0),
        p_value=p_value,
        since=np.where(proven, np.maximum(epochs, since), np.where(leaks, 0, since)),
        shift=np.where(shifted & ~leaks, shift, 1.0),
        image=epochs,
    )


def steady_growth(logs: Array) -> Array:
    """By how much each row grows from column to column, in logarithms; zero where it is not clear.

    What moved at once, to another level, does not grow.
    """
    slope, p_value = trend(logs)
    grows = _clear_trend(logs, slope, p_value) & (slope > 0) & (last_shift(logs)[0] == 0)
    return np.where(grows, slope, 0.0)


def _clear_trend(logs: Array, slope: Array, p_value: Array) -> Bools:
    """Whether a slope is no matter of chance, worth the word, and large beside what is left."""
    count = (~np.isnan(logs)).sum(axis=1)
    clear = np.abs(slope) * logs.shape[1] >= TREND_IN_SPREADS * _spread_around(logs, slope)
    large = np.abs(slope) * count >= LEAST_TREND
    return np.asarray(clear & large & (p_value < TREND_P_VALUE))


def trend(logs: Array) -> tuple[Array, Array]:
    """Theil-Sen slope per day, and the Mann-Kendall significance of it.

    `logs` has one row per container and one column per day, NaN where nothing was seen. The
    variance of Kendall's sum is inflated by ``(1 + r) / (1 - r)`` with `r` the residuals'
    correlation from day to day (von Storch 1999), never deflated; but not where the rise is ten
    times the noise, since what is left of growth that is smooth but not straight in logarithms is
    a curve and no noise. Rows with fewer than six days
    have slope 0 and p-value 1.
    """
    count = (~np.isnan(logs)).sum(axis=1)
    earlier, later = np.triu_indices(logs.shape[1], 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # rows without any pair
        rises = logs[:, later] - logs[:, earlier]
        slope = np.nanmedian(rises / (later - earlier), axis=1)
        residual = logs - slope[:, None] * np.arange(logs.shape[1])
        residual -= np.nanmedian(residual, axis=1, keepdims=True)
        shared = np.nanmean(residual[:, 1:] * residual[:, :-1], axis=1)
        correlation = np.clip(shared / np.nanmean(residual**2, axis=1), 0.0, 0.8)
    score = np.nansum(np.sign(rises), axis=1)
    variance = count * (count - 1) * (2 * count + 5) / 18.0
    rise = np.abs(slope) * count
    correlation = np.where(rise >= CLEAR_SIGNAL * _spread_around(logs, slope), 0.0, correlation)
    variance = variance * (1 + np.nan_to_num(correlation)) / (1 - np.nan_to_num(correlation))
    z = np.sign(score) * np.maximum(np.abs(score) - 1, 0) / np.sqrt(np.maximum(variance, 1))
    p_value = 2 * special.ndtr(-np.abs(z))
    enough = count >= LEAST_DAYS_FOR_TREND
    return np.where(enough, slope, 0.0), np.where(enough, p_value, 1.0)


def last_shift(logs: Array) -> tuple[Ints, Array]:
    """The first day after a clear, lasting change of level, and the ratio it changed by.

    The split is where two medians fit best. It counts where the change is at least 15 %, six
    times the spread around the two levels, and a straight line fits clearly worse. At least three
    days lie on either side.
    """
    rows, days = logs.shape
    since, ratio = np.zeros(rows, dtype=np.int64), np.ones(rows)
    best, best_jump, best_spread = np.full(rows, np.inf), np.zeros(rows), np.ones(rows)
    best_low = np.zeros(rows)
    seen = ~np.isnan(logs)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # rows with nothing on one side
        for split in range(DAYS_AFTER_SHIFT, days - DAYS_AFTER_SHIFT + 1):
            before, after = logs[:, :split], logs[:, split:]
            low, high = np.nanmedian(before, axis=1), np.nanmedian(after, axis=1)
            error = np.nansum(np.abs(before - low[:, None]), axis=1)
            error += np.nansum(np.abs(after - high[:, None]), axis=1)
            enough = seen[:, :split].sum(axis=1) >= DAYS_AFTER_SHIFT
            enough &= seen[:, split:].sum(axis=1) >= DAYS_AFTER_SHIFT
            better = enough & (error < best)
            best[better], since[better] = error[better], split
            best_low[better], best_jump[better] = low[better], (high - low)[better]
            best_spread[better] = (error / np.maximum(seen.sum(axis=1) - 2, 1))[better]
        line = _line_error(logs, trend(logs)[0])
    clear = (np.abs(best_jump) >= LEAST_SHIFT) & (best < 0.6 * line)
    clear &= np.abs(best_jump) >= SHIFT_IN_SPREADS * best_spread
    clear &= ~_nearer_to_before(logs, since, best_low, best_low + best_jump)
    since[~clear] = 0
    ratio[clear] = np.exp(best_jump[clear])
    return since, ratio


def _nearer_to_before(logs: Array, since: Ints, before: Array, after: Array) -> Bools:
    """Whether the first day after the split still belongs to the level before it.

    The split is then forced by the least number of days on either side, and too late a change.
    """
    first = logs[np.arange(len(logs)), np.minimum(since, logs.shape[1] - 1)]
    return np.asarray(np.abs(first - before) < np.abs(first - after))


def _spread_around(logs: Array, slope: Array) -> Array:
    """Mean absolute residual of each row around its line, times 1.25: sigma, if it were normal."""
    days = np.maximum((~np.isnan(logs)).sum(axis=1), 1)
    result: Array = 1.25 * _line_error(logs, slope) / days
    return result


def _line_error(logs: Array, slope: Array) -> Array:
    residual = logs - slope[:, None] * np.arange(logs.shape[1])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # rows without samples
        residual -= np.nanmedian(residual, axis=1, keepdims=True)
    error: Array = np.nansum(np.abs(residual), axis=1)
    return error


def weekly_rhythm(logs: Array) -> Bools:
    """Whether the days of the week differ, by an F test on detrended days; needs two weeks."""
    rows, days = logs.shape
    if days < 14:
        return np.zeros(rows, dtype=bool)
    whole = logs[:, days - days // 7 * 7 :]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # rows without samples
        slope, _ = trend(whole)
        flat = whole - slope[:, None] * np.arange(whole.shape[1])
        flat = flat - np.nanmean(flat, axis=1, keepdims=True)
        weeks = flat.reshape(rows, days // 7, 7)
        profile = np.nanmean(weeks, axis=1)
        between = weeks.shape[1] * np.nansum(profile**2, axis=1) / 6
        within = np.nansum((weeks - profile[:, None, :]) ** 2, axis=(1, 2))
        within = within / (whole.shape[1] - 7) + 1e-6
        spread = np.nanmax(profile, axis=1) - np.nanmin(profile, axis=1)
    p_value = special.fdtrc(6, whole.shape[1] - 7, between / within)
    complete = ~np.isnan(whole).any(axis=1)
    result: Bools = complete & (p_value < WEEKLY_P_VALUE) & (spread >= LEAST_RHYTHM)
    return result


def daily_rhythm(histories: Histories, resource: Resource) -> Bools:
    """Whether the hours of the day differ alike on most days; needs four days.

    Compares the variance of the mean profile of two-hour blocks with that of single days: pure
    noise leaves one part in the number of days, a rhythm most of it.
    """
    profiles = block_means(histories, resource)
    rows, days, _ = profiles.shape
    if days < 4:
        return np.zeros(rows, dtype=bool)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # days without samples
        flat = profiles - np.nanmean(profiles, axis=2, keepdims=True)
        count = (~np.isnan(flat)).all(axis=2).sum(axis=1)
        mean = np.nanmedian(flat, axis=1)
        share = np.nanmean(mean**2, axis=1) / (np.nanmean(flat**2, axis=(1, 2)) + 1e-5)
        spread = np.nanmax(mean, axis=1) - np.nanmin(mean, axis=1)
    result: Bools = (count >= 4) & (spread >= LEAST_RHYTHM)
    result &= share >= np.maximum(DAILY_SHARE, 4.0 / np.maximum(count, 1))
    return result


def block_means(histories: Histories, resource: Resource) -> Array:
    """Logarithms of means over two hours, of all pods: (containers, days, 12); NaN: not seen."""
    usage = histories.usage
    days = -(-usage.steps // usage.steps_per_day)
    values = usage.cpu_cores if resource == "cpu" else usage.memory_bytes
    means = np.empty((len(histories), days * _BLOCKS))
    # In pieces: index arrays of forty million samples would take gigabytes.
    for begin in range(0, len(histories), _PIECE):
        end = min(begin + _PIECE, len(histories))
        means[begin:end] = _block_means_of(usage, values, begin, end, days)
    floor = 1e-4 if resource == "cpu" else 2.0**16
    return np.log(np.maximum(means, floor)).reshape(len(histories), days, _BLOCKS)


def _block_means_of(
    usage: Usage, values: npt.NDArray[np.float32], begin: int, end: int, days: int
) -> Array:
    """Plain means per block of the containers from `begin` up to `end`."""
    per_day = usage.steps_per_day
    series = slice(int(usage.bounds[begin]), int(usage.bounds[end]))
    offset = usage.offset[series.start : series.stop + 1]
    lengths = np.diff(offset)
    part = values[offset[0] : offset[-1]]
    seen = ~np.isnan(part)
    # The block of each step is looked up: four divisions a sample took most of the time.
    step = np.arange(days * per_day - usage.steps, days * per_day)
    block_of = step // per_day * _BLOCKS + step % per_day * _BLOCKS // per_day
    block = block_of[
        np.arange(offset[0], offset[-1]) + np.repeat(usage.first[series] - offset[:-1], lengths)
    ]
    block += np.repeat(usage.container[series] - begin, lengths) * (days * _BLOCKS)
    size = (end - begin) * days * _BLOCKS
    total = np.bincount(block[seen], weights=part[seen], minlength=size)
    count = np.bincount(block[seen], minlength=size)
    with np.errstate(invalid="ignore"):
        means: Array = total / np.where(count, count, np.nan)
    return means.reshape(end - begin, days * _BLOCKS)


def find_leaks(histories: Histories) -> Bools:
    """Whether memory climbs through a pod's life, falls at its end, and climbs again.

    A life is the stretch between two restarts of one pod, or a pod's whole life. It takes two
    lives of half a day or more, one after the other, nearly all of which climb steadily by 10 % or
    more: pods that grow side by side fall nowhere. A fall without a restart is a heap that was
    collected: such memory comes back by itself.
    """
    leaks = np.zeros(len(histories), dtype=bool)
    restarts = _restart_steps(histories)
    for index in range(len(histories)):
        leaks[index] = _leaks(histories, index, restarts.get(index, {}))
    return leaks


def _restart_steps(histories: Histories) -> dict[int, dict[str, list[int]]]:
    events = histories.events
    chosen = events[events["kind"].isin(["restart", "oom_kill"])]
    since = (chosen["timestamp"] - pd.Timestamp(histories.usage.start)) / histories.usage.step
    found: dict[int, dict[str, list[int]]] = {}
    for index, pod, step in zip(chosen["index"], chosen["pod"], since, strict=True):
        found.setdefault(int(index), {}).setdefault(str(pod), []).append(int(np.ceil(step)))
    return found


@dataclass(frozen=True, slots=True)
class _Life:
    """From one restart of a pod to the next: the steps it lasts, and its memory by hours."""

    begin: int
    end: int
    hours: Array


def _leaks(histories: Histories, index: int, restarts: dict[str, list[int]]) -> bool:
    usage = histories.usage
    per_hour = max(1, usage.steps_per_day // 24)
    lives: list[_Life] = []
    for series in range(int(usage.bounds[index]), int(usage.bounds[index + 1])):
        low, high = int(usage.offset[series]), int(usage.offset[series + 1])
        if high - low >= 12 * per_hour:
            first = int(usage.first[series])
            cuts = [s - first for s in restarts.get(usage.pods[series], [])]
            lives += _lives(usage.memory_bytes[low:high], cuts, first, per_hour)
    falls = _falls(lives, per_hour)
    if not falls:
        return False
    climbs = np.array([_steady_rise(life.hours) for life in lives])
    return bool((climbs >= 0.10).mean() >= 0.8 and np.mean(falls) >= 0.8)


def _falls(lives: list[_Life], slack: int) -> list[bool]:
    """Whether memory fell from each life to the next: pods that live side by side tell nothing.

    A life follows the last one that had ended, `slack` steps aside, when it began.
    """
    found = []
    ended = sorted(lives, key=lambda life: life.end)
    ends = [life.end for life in ended]
    for life in lives:
        place = bisect_right(ends, life.begin + slack)
        if place:
            found.append(float(life.hours[0]) < 0.9 * float(ended[place - 1].hours[-1]))
    return found


def _lives(
    memory: npt.NDArray[np.float32], cuts: list[int], first: int, per_hour: int
) -> list[_Life]:
    """Each life of half a day or more of one pod, whose memory begins at step `first`."""
    inside = sorted(c for c in cuts if 0 < c < len(memory))
    lives = []
    for begin, part in zip([0, *inside], np.split(memory, inside), strict=True):
        usable = len(part) // per_hour * per_hour
        if usable < 12 * per_hour:
            continue
        block = part[:usable].reshape(-1, per_hour)
        hours = np.fmax.reduce(block, axis=1).astype(np.float64)
        hours = hours[~np.isnan(hours)]
        if len(hours) >= 12:
            lives.append(_Life(first + begin, first + begin + len(part), hours))
    return lives


def _steady_rise(life: Array) -> float:
    """How much a life climbs as a fraction of its start; 0 where it does not climb steadily."""
    parts = np.array([_middle(part) for part in np.array_split(life, 6)])
    if (np.diff(parts) <= 0).sum() > 1 or parts[0] <= 0:
        return 0.0
    return float(parts[-1] / parts[0] - 1)


def _middle(values: Array) -> float:
    """The median of some `values`: `np.median` takes twenty times as long for a few of them."""
    rising = np.sort(values)
    return float(rising[(len(rising) - 1) // 2] + rising[len(rising) // 2]) / 2


def _bursty(histories: Histories, resource: Resource) -> Bools:
    daily = histories.daily
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # rows without samples
        if resource == "cpu":
            typical = np.maximum(np.nanmedian(daily.cpu_mean, axis=1), 1e-3)
            return np.asarray(np.nanmax(daily.cpu_peak, axis=1) > BURSTY_CPU * typical)
        typical = np.nanmedian(daily.memory_peak, axis=1)
        return np.asarray(np.nanmax(daily.memory_peak, axis=1) > BURSTY_MEMORY * typical)


def _idle(histories: Histories, resource: Resource) -> Bools:
    if resource != "cpu":
        return np.zeros(len(histories), dtype=bool)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # rows without samples
        return np.asarray(np.nanmax(histories.daily.cpu_p95, axis=1) < IDLE_CORES)


def _young(logs: Array) -> Bools:
    """First seen within the last three days of a longer window."""
    seen = ~np.isnan(logs)
    first = np.where(seen.any(axis=1), seen.argmax(axis=1), logs.shape[1])
    age = logs.shape[1] - first
    return np.asarray((age <= YOUNG_DAYS) & (logs.shape[1] > YOUNG_DAYS) & (age > 0))
