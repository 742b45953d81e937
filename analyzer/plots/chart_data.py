"""What one chart of a container shows, computed before anything is drawn.

A `ChartData` is small: the samples of one container are some hundred buckets in it, so that drawing
costs the same for one pod and for five hundred. This module and those that draw load no pandas, so
that a process that only draws starts quickly.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from analyzer.plots.scale import Scale

if TYPE_CHECKING:
    from analyzer.models.demand import Resource

Array = npt.NDArray[np.float64]
Tone = Literal["less", "more", "same"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What happens to one resource."""

    text: str
    tone: Tone


@dataclass(frozen=True, slots=True)
class Headline:
    """The words above a workload chart."""

    title: str
    verdicts: tuple[Verdict, ...]
    facts: str
    outcome: str
    remark: str
    risk: str


@dataclass(frozen=True, slots=True)
class Course:
    """Usage over time: per bucket the median, 95th percentile and maximum over its pods.

    `times` are bucket centres in days since the window's start; NaN where nothing was seen.
    """

    times: Array
    p50: Array
    p95: Array
    peak: Array
    width: float
    """Of one bucket, in days."""

    @property
    def seen(self) -> npt.NDArray[np.bool_]:
        """Which buckets hold samples."""
        known: npt.NDArray[np.bool_] = ~np.isnan(self.peak)
        return known


@dataclass(frozen=True, slots=True)
class Level:
    """A horizontal line: a request or limit, `value` in cores or bytes.

    In the role of `need` it is what usage alone asks for, where a request is lowered only in time.
    """

    value: float
    text: str
    role: Literal["now", "proposed", "kept", "need"]
    limit: bool


@dataclass(frozen=True, slots=True)
class DayCurve:
    """One value a day, seen and expected, in the chart's own units; NaN where there is none.

    `times` are the middles of the days.
    """

    times: Array
    seen: Array
    level: Array
    low: Array
    high: Array
    trend: Array
    cut_off: npt.NDArray[np.bool_]
    """Days that were cut off by a kill or by throttling."""
    at_least: bool
    """`level` is a lower bound."""
    since: float | None
    """When usage moved to its present level; None where it did not."""
    by_image: bool
    """It moved with a new image."""


@dataclass(frozen=True, slots=True)
class Apart:
    """The highest of several unlike pods, drawn apart from the others."""

    pod: str
    line: Array
    """Its median per bucket of the course."""


@dataclass(frozen=True, slots=True)
class Row:
    """One resource of one container."""

    resource: Resource
    course: Course | None
    """None where this resource was never observed."""
    scale: Scale
    levels: tuple[Level, ...]
    quantiles: tuple[tuple[str, float], ...]
    shares: Array
    """Share of the samples per bin of equal height from zero to the top of the scale."""
    change: tuple[float, float] | None
    """The request now and proposed, where both exist and differ."""
    days: DayCurve | None
    apart: Apart | None = None
    """None where the pods are alike; else `course` is that of the other ones."""

    @property
    def since(self) -> float | None:
        """When usage moved to its present level; None where it did not."""
        return self.days.since if self.days is not None else None

    @property
    def seen(self) -> npt.NDArray[np.bool_]:
        """Which buckets of the course hold samples of any pod."""
        of_others = self.course.seen if self.course is not None else np.zeros(0, dtype=np.bool_)
        return of_others if self.apart is None else of_others | ~np.isnan(self.apart.line)


@dataclass(frozen=True, slots=True)
class ChartData:
    """Everything one workload chart shows. Times are in days since `start`."""

    start: datetime
    span: tuple[float, float]
    """What the time axis shows of the window, without the forecast."""
    horizon: float
    """Days of expected usage after it."""
    headline: Headline
    rows: tuple[Row, ...]
    events: Mapping[str, Array]
    gaps: tuple[tuple[float, float], ...]
    bucket_minutes: float
