"""The chart of one container: sum up its history and recommendation, then draw."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Protocol

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from analyzer.evidence import Quantiles
from analyzer.history import Histories
from analyzer.kinds import runs_now_and_then
from analyzer.models.demand import RESOURCES, Resource
from analyzer.plots.chart_data import ChartData, Course, ForecastCurve, Level, Row
from analyzer.plots.drawing import draw_workload, workload_page
from analyzer.plots.scale import choose_top, make_scale
from analyzer.plots.text import amount
from analyzer.plots.verdict import headline
from analyzer.quantity import Cpu, Memory
from analyzer.recommend import Recommendation

Array = npt.NDArray[np.float64]

BUCKET = timedelta(minutes=30)
_MOST_BUCKETS = 1100
_BINS = 44


class Forecast(Protocol):
    """What a model expects of p95 CPU or peak memory: cores or bytes at each of `times` (UTC).

    `low` and `high` bound the 80 % band around `level`; `trend` is a straight line or NaN.
    """

    @property
    def times(self) -> npt.NDArray[np.datetime64]:
        """When."""
        ...

    @property
    def level(self) -> Array:
        """The expected course."""
        ...

    @property
    def low(self) -> Array:
        """The lower end of the band."""
        ...

    @property
    def high(self) -> Array:
        """The upper end of the band."""
        ...

    @property
    def trend(self) -> Array:
        """The trend without its seasons."""
        ...


def workload_figure(
    histories: Histories,
    index: int,
    recommendation: Recommendation,
    forecasts: Mapping[Resource, Forecast] | None = None,
    *,
    dark: bool = False,
) -> Figure:
    """Draw container `index` of `histories` with its recommendation: 1650 x 1035 pixels.

    `forecasts` adds the expected course with its 80 % band to the right of now. A resource that
    was never observed leaves its row with a sentence instead of a curve.
    """
    data = summarise(histories, index, recommendation, forecasts)
    return draw_workload(data, workload_page(dark=dark))


def summarise(
    histories: Histories,
    index: int,
    recommendation: Recommendation,
    forecasts: Mapping[Resource, Forecast] | None = None,
) -> ChartData:
    """Sum up container `index` of `histories` and its recommendation for one chart."""
    usage, meta = histories.usage, histories.meta
    where, steps = usage.span(index), usage.sample_steps(index)
    values = {"cpu": usage.cpu_cores[where], "memory": usage.memory_bytes[where]}
    seen = ~(np.isnan(values["cpu"]) & np.isnan(values["memory"]))
    step_days = usage.step / timedelta(days=1)
    first, last = _shown_steps(steps[seen], usage.steps)
    width = _bucket_steps(usage.step, last - first)
    curves = {
        resource: _forecast_curve(forecast, usage.start, last * step_days)
        for resource, forecast in (forecasts or {}).items()
    }
    rows = tuple(
        _row(
            resource,
            _course(values[resource], steps, (first, last), width, step_days),
            values[resource],
            recommendation,
            curves.get(resource),
        )
        for resource in RESOURCES
    )
    return ChartData(
        start=usage.start,
        span=(first * step_days, last * step_days),
        horizon=_horizon(curves, last * step_days),
        headline=headline(recommendation, meta.cluster, usage.step),
        rows=rows,
        events=_events(histories, index, (first * step_days, last * step_days)),
        gaps=_gaps(rows, recommendation, usage.step),
        bucket_minutes=width * usage.step / timedelta(minutes=1),
    )


def _shown_steps(steps: npt.NDArray[np.int64], total: int) -> tuple[int, int]:
    """The whole window, or what was observed of it with some room where that is less than half."""
    if not len(steps):
        return 0, total
    low, high = int(steps.min()), int(steps.max()) + 1
    if high - low >= total / 2:
        return 0, total
    room = max(6, (high - low) // 12)
    return max(0, low - room), min(total, high + room)


def _bucket_steps(step: timedelta, shown: int) -> int:
    return max(1, round(BUCKET / step), -(-shown // _MOST_BUCKETS))


def _course(
    values: npt.NDArray[np.float32],
    steps: npt.NDArray[np.int64],
    shown: tuple[int, int],
    width: int,
    step_days: float,
) -> Course | None:
    """Quantiles of all samples of all pods per bucket, by rank (no interpolation)."""
    kept = ~np.isnan(values)
    if not kept.any():
        return None
    count = -(-(shown[1] - shown[0]) // width)
    bucket, seen = (steps[kept] - shown[0]) // width, values[kept].astype(np.float64)
    order = np.lexsort((seen, bucket))
    bucket, seen = bucket[order], seen[order]
    edges = np.searchsorted(bucket, np.arange(count + 1))
    sizes = np.diff(edges)
    full = sizes > 0
    times = np.minimum(shown[0] + (np.arange(count) + 0.5) * width, shown[1]) * step_days

    def curve(share: float) -> Array:
        ranks = np.ceil(share * sizes[full] - 1e-9).astype(np.int64) - 1
        line = np.full(count, np.nan)
        line[full] = seen[edges[:-1][full] + np.maximum(ranks, 0)]
        return line

    return Course(times, curve(0.5), curve(0.95), curve(1.0), width * step_days)


def _row(
    resource: Resource,
    course: Course | None,
    values: npt.NDArray[np.float32],
    recommendation: Recommendation,
    forecast: ForecastCurve | None,
) -> Row:
    seen: Quantiles = getattr(recommendation.evidence, resource)
    levels = _levels(recommendation, resource)
    requests = sorted(
        (level for level in levels if not level.limit), key=lambda level: level.role == "now"
    )
    peak = float(np.nanmax(values)) if course is not None else 0.0
    if forecast is not None:
        peak = max(peak, float(np.nanmax(forecast.high, initial=0.0)))
    top = choose_top(
        peak,
        max(seen.p99 or 0.0, 0.0),
        [level.value for level in requests],
        [level.value for level in levels if level.limit],
    )
    counts = np.zeros(_BINS)
    if course is not None:
        known = np.minimum(values[~np.isnan(values)], top)
        counts, _ = np.histogram(known, bins=_BINS, range=(0, top))
    marks = tuple(
        (n, v) for n in ("p50", "p95", "p99", "max") if (v := getattr(seen, n)) is not None
    )
    return Row(
        resource=resource,
        course=course,
        scale=make_scale(resource, top),
        levels=levels,
        quantiles=marks,
        shares=counts / max(1, counts.sum()),
        change=_change(recommendation, resource),
        forecast=forecast,
    )


def _value(quantity: Cpu | Memory) -> float:
    return quantity.cores if isinstance(quantity, Cpu) else float(quantity.bytes)


def _levels(recommendation: Recommendation, resource: Resource) -> tuple[Level, ...]:
    """The lines of one resource: now, proposed, or one line where they are the same."""
    levels = []
    for kind in ("request", "limit"):
        now = getattr(recommendation.current, f"{resource}_{kind}")
        new = getattr(recommendation.proposed, f"{resource}_{kind}")
        limit = kind == "limit"
        if now is not None and now == new:
            levels.append(Level(_value(now), f"{kind} {amount(now)} stays", "kept", limit))
            continue
        if now is not None:
            ending = "" if new is not None else ", dropped"
            levels.append(Level(_value(now), f"{kind} now {amount(now)}{ending}", "now", limit))
        if new is not None:
            levels.append(Level(_value(new), f"{kind} new {amount(new)}", "proposed", limit))
    return tuple(levels)


def _change(recommendation: Recommendation, resource: Resource) -> tuple[float, float] | None:
    now = getattr(recommendation.current, f"{resource}_request")
    new = getattr(recommendation.proposed, f"{resource}_request")
    if now is None or new is None or now == new:
        return None
    return _value(now), _value(new)


def _events(
    histories: Histories, index: int, span: tuple[float, float]
) -> dict[str, npt.NDArray[np.float64]]:
    """Per kind, when it happened, in days since the window's start."""
    events = histories.events_of(index)
    start = np.datetime64(histories.usage.start.replace(tzinfo=None), "us")
    times = events["timestamp"].dt.tz_localize(None).to_numpy().astype("datetime64[us]")
    days = (times - start) / np.timedelta64(1, "D")
    inside = (days >= span[0]) & (days <= span[1])
    kinds = events["kind"].to_numpy()
    return {str(kind): days[inside & (kinds == kind)] for kind in sorted(set(kinds[inside]))}


def _gaps(
    rows: tuple[Row, ...], recommendation: Recommendation, step: timedelta
) -> tuple[tuple[float, float], ...]:
    """Stretches of at least three hours and four steps without any sample.

    Containers that run now and then (jobs, init containers) have none: not running is no gap.
    """
    courses = [row.course for row in rows if row.course is not None]
    kind = recommendation.ref.kind
    sparse = runs_now_and_then(kind) or recommendation.container_type == "init"
    if not courses or sparse:
        return ()
    empty = ~np.any([course.seen for course in courses], axis=0)
    times, half = courses[0].times, courses[0].width / 2
    edges = np.flatnonzero(np.diff(np.concatenate([[0], empty.astype(np.int8), [0]])))
    least = max(timedelta(hours=3), 4 * step) / timedelta(days=1)
    stretches = [
        (float(times[low] - half), float(times[high - 1] + half))
        for low, high in zip(edges[::2], edges[1::2], strict=True)
    ]
    return tuple(stretch for stretch in stretches if stretch[1] - stretch[0] >= least)


def _forecast_curve(forecast: Forecast, start: datetime, now: float) -> ForecastCurve:
    """The part of a forecast after `now`, with its trend over all of its times."""
    begin = np.datetime64(start.replace(tzinfo=None), "us")
    times = np.asarray(forecast.times).astype("datetime64[us]")
    days = (times - begin) / np.timedelta64(1, "D")
    future = days >= now
    level, low, high = (
        np.where(future, np.asarray(curve, dtype=np.float64), np.nan)
        for curve in (forecast.level, forecast.low, forecast.high)
    )
    return ForecastCurve(days, level, low, high, np.asarray(forecast.trend, dtype=np.float64))


def _horizon(curves: Mapping[Resource, ForecastCurve], now: float) -> float:
    ends = [float(forecast.times.max()) for forecast in curves.values() if len(forecast.times)]
    return max(0.0, max(ends, default=now) - now)
