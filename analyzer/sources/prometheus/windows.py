"""What PromQL makes of raw samples: the rate of counters, and the largest value, over windows.

Written to give the server's own numbers to the last bit, so that it does not matter who evaluates.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import numpy.typing as npt

from analyzer.sources.prometheus.promql import Over

Ints = npt.NDArray[np.int64]
Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Steps:
    """Evaluations: `count` of them from `first` on, each `step` apart, over `window` (all in ms).

    `closed` says that a sample at the very begin of a window is within, as before Prometheus 3.
    """

    first: int
    step: int
    count: int
    window: int
    closed: bool

    @property
    def times(self) -> Ints:
        """When each is evaluated."""
        return self.first + self.step * np.arange(self.count)

    @property
    def begin(self) -> int:
        """When the first window begins."""
        return self.first - self.window

    @property
    def last(self) -> int:
        """When the last window ends."""
        return self.first + self.step * (self.count - 1)

    @property
    def most_samples(self) -> int:
        """More than any series has that is scraped: two a second, and whole chunks at both ends."""
        return 2 * (self.last - self.begin) // 1000 + 1000


@dataclass(frozen=True, slots=True)
class Samples:
    """Raw samples of some series one after the other, `count` of each; times in ms, rising."""

    times: Ints
    values: Doubles
    count: Ints


def bounds(samples: Samples, steps: Steps) -> tuple[Ints, Ints]:
    """Which samples lie in each window of each series: the first, and the first behind it."""
    span = steps.window + steps.step * steps.count + 1
    series = np.arange(len(samples.count)) * span
    place = samples.times - steps.begin
    place += np.repeat(series, samples.count)
    ends = (series[:, None] + (steps.times - steps.begin)).ravel()
    high = np.searchsorted(place, ends, side="right")
    low = np.searchsorted(place, ends - steps.window, side="left" if steps.closed else "right")
    return low, high


def rate(samples: Samples, steps: Steps) -> Doubles:
    """``rate``: what counters gain a second, one row a series; NaN for fewer than two samples.

    A value below the one before is a counter that began anew. As the server does it, the gain is
    stretched to the ends of the window, or by half a scrape where a series begins or ends within.
    """
    low, high = bounds(samples, steps)
    out = np.full(len(low), np.nan)
    some = np.flatnonzero(high - low > 1)
    end = np.tile(steps.times, len(samples.count))[some]
    with np.errstate(all="ignore"):  # no stranger's infinity is worth a warning
        out[some] = _rate(samples, low[some], high[some] - 1, end, steps.window)
    return out.reshape(len(samples.count), steps.count)


def _rate(samples: Samples, low: Ints, last: Ints, end: Ints, window: int) -> Doubles:
    """The rate of the samples `low` to `last`, of which there are two, over windows up to `end`."""
    times, values = samples.times, samples.values
    first = values[low]
    gain = values[last] - first + _lost(values, low, last)
    before = (times[low] - (end - window)) / 1000
    after = (end - times[last]) / 1000
    covered = (times[last] - times[low]) / 1000
    interval = covered / (last - low)
    since_zero = np.where((gain > 0) & (first >= 0), covered * (first / gain), np.inf)
    before = np.minimum(before, since_zero)
    near = interval * 1.1
    reach = covered + np.where(before < near, before, interval / 2)
    reach += np.where(after < near, after, interval / 2)
    rates: Doubles = gain * (reach / covered / (window / 1000))
    return rates


def _lost(values: Doubles, low: Ints, last: Ints) -> Doubles:
    """What counters had counted each time they began anew, between `low` and `last`."""
    began = np.flatnonzero(values[1:] < values[:-1])
    places = np.searchsorted(began, low), np.searchsorted(began, last)
    return _reduce(np.add, values[began], places, 0.0)


def largest(samples: Samples, steps: Steps) -> Doubles:
    """``max_over_time``: the largest value, one row a series; NaN where there is none."""
    found = _reduce(np.fmax, samples.values, bounds(samples, steps), np.nan)
    return found.reshape(len(samples.count), steps.count)


def _reduce(function: np.ufunc, values: Doubles, places: tuple[Ints, Ints], none: float) -> Doubles:
    """`function` over the values from each of the first `places` up to the second; else `none`."""
    low, high = places
    edges = np.stack([low, high], axis=1).ravel()
    found = function.reduceat(np.append(values, none), edges)[::2]
    return np.where(high > low, found, none)


FUNCTIONS: Mapping[str, Callable[[Samples, Steps], Doubles]] = {
    "rate": rate,
    "max_over_time": largest,
}
"""What can be evaluated here, by its name in PromQL."""


def steps_of(query: Over, times: tuple[float, float, float], *, closed: bool) -> Steps:
    """The evaluations of `query` at `times`: the first, the last and the step in seconds."""
    first, last, step = (round(1000 * seconds) for seconds in times)
    window = query.window // timedelta(milliseconds=1)
    return Steps(first, step, (last - first) // step + 1, window, closed)
