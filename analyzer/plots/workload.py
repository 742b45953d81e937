"""The chart of one container: sum up its history and recommendation, then draw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from analyzer.evidence import Quantiles
from analyzer.history import Histories
from analyzer.kinds import runs_now_and_then
from analyzer.models.demand import RESOURCES, Resource
from analyzer.models.forecast import Forecast
from analyzer.plots.chart_data import Apart, ChartData, Course, DayCurve, Level, Row
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


def workload_figure(
    histories: Histories,
    index: int,
    recommendation: Recommendation,
    forecasts: Mapping[Resource, Forecast] | None = None,
    *,
    dark: bool = False,
) -> Figure:
    """Draw container `index` of `histories` with its recommendation: 1650 x 1035 pixels.

    `forecasts` adds the value of each day, as seen and, to the right of now, as expected with its
    80 % band. A resource that was never observed leaves its row with a sentence instead of a curve.
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
    pods, steps = _pods(histories, index), usage.sample_steps(index)
    values = {"cpu": usage.cpu_cores, "memory": usage.memory_bytes}
    seen = ~np.all([np.isnan(v[usage.span(index)]) for v in values.values()], axis=0)
    step_days = usage.step / timedelta(days=1)
    first, last = _shown_steps(steps[seen], usage.steps)
    axis = _Axis(first, last, _bucket_steps(usage.step, last - first), step_days)
    curves = {
        resource: _day_curve(forecast, usage.start)
        for resource, forecast in (forecasts or {}).items()
    }
    rows = tuple(
        _row(
            resource,
            _Samples(values[resource][usage.span(index)], steps, pods, usage.pods),
            axis,
            recommendation,
            curves.get(resource),
        )
        for resource in RESOURCES
    )
    span = (first * step_days, last * step_days)
    return ChartData(
        start=usage.start,
        span=span,
        horizon=_horizon(curves, last * step_days),
        headline=headline(recommendation, meta.cluster, usage.step),
        rows=rows,
        events=_events(histories, index, span),
        gaps=_gaps(rows, recommendation, usage.step),
        bucket_minutes=axis.width * usage.step / timedelta(minutes=1),
    )


@dataclass(frozen=True)
class _Axis:
    """The time axis in steps: what is shown of the window, in buckets of `width` steps."""

    first: int
    last: int
    width: int
    step_days: float

    @property
    def buckets(self) -> int:
        return -(-(self.last - self.first) // self.width)

    @property
    def centres(self) -> Array:
        """In days since the window's start."""
        middles = self.first + (np.arange(self.buckets) + 0.5) * self.width
        days: Array = np.minimum(middles, self.last) * self.step_days
        return days

    def bucket(self, steps: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        return (steps - self.first) // self.width


@dataclass(frozen=True)
class _Samples:
    """The samples of one resource of one container, flat over its pods."""

    values: npt.NDArray[np.float32]
    steps: npt.NDArray[np.int64]
    pods: npt.NDArray[np.int64]
    names: Sequence[str]
    """Of all pods; `pods` are positions in it."""

    def only(self, mask: npt.NDArray[np.bool_]) -> _Samples:
        return _Samples(self.values[mask], self.steps[mask], self.pods[mask], self.names)

    @property
    def known(self) -> _Samples:
        return self.only(~np.isnan(self.values))


def _pods(histories: Histories, index: int) -> npt.NDArray[np.int64]:
    """Of each sample of container `index`, the position of its pod."""
    usage = histories.usage
    low, high = int(usage.bounds[index]), int(usage.bounds[index + 1])
    return np.repeat(np.arange(low, high), np.diff(usage.offset[low : high + 1]))


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


def _course(samples: _Samples, axis: _Axis) -> Course | None:
    """Quantiles of all samples of all pods per bucket, by rank (no interpolation)."""
    if not len(samples.values):
        return None
    bucket, seen = axis.bucket(samples.steps), samples.values.astype(np.float64)
    p50, p95, peak = _ranked(bucket, seen, axis.buckets, (0.5, 0.95, 1.0))
    return Course(axis.centres, p50, p95, peak, axis.width * axis.step_days)


def _ranked(
    group: npt.NDArray[np.int64], values: Array, count: int, shares: Sequence[float]
) -> list[Array]:
    """Per share, that quantile of `values` in each of `count` groups; NaN for an empty one."""
    order = np.lexsort((values, group))
    ordered = values[order]
    edges = np.searchsorted(group[order], np.arange(count + 1))
    sizes = np.diff(edges)
    full = sizes > 0
    lines = []
    for share in shares:
        ranks = np.ceil(share * sizes[full] - 1e-9).astype(np.int64) - 1
        line = np.full(count, np.nan)
        line[full] = ordered[edges[:-1][full] + np.maximum(ranks, 0)]
        lines.append(line)
    return lines


_UNLIKE = 1.5
"""A pod that usually uses so many times what the middle one does is drawn apart."""
_WORTH_DRAWING = 0.06
"""And by so much of the height of the row."""


def _highest_pod(samples: _Samples, axis: _Axis, top: float) -> tuple[int, Array] | None:
    """The position and the course of a pod that lies well above the others at the same times.

    Pods that came one after the other are compared with nothing; neither is a short life.
    """
    pods, place = np.unique(samples.pods, return_inverse=True)
    if len(pods) < 2:
        return None
    group = place.astype(np.int64) * axis.buckets + axis.bucket(samples.steps)
    (flat,) = _ranked(group, samples.values.astype(np.float64), len(pods) * axis.buckets, (0.5,))
    table = flat.reshape(len(pods), axis.buckets)
    together = (~np.isnan(table)).sum(axis=0) >= 2
    if together.sum() < max(1, axis.buckets // 4):
        return None
    usual = table[:, together]
    # Sorted, NaN last: the lower of two middles, so that of two pods one can stand out.
    rank = ((~np.isnan(usual)).sum(axis=0) - 1) // 2
    middle = np.sort(usual, axis=0)[rank, np.arange(usual.shape[1])]
    level, least = _typical(usual), float(np.median(middle))
    level[(~np.isnan(usual)).sum(axis=1) < usual.shape[1] / 2] = -np.inf
    highest = int(np.argmax(level))
    if level[highest] < _UNLIKE * least or level[highest] - least < _WORTH_DRAWING * top:
        return None
    return int(pods[highest]), table[highest]


def _typical(rows: Array) -> Array:
    """The median of each row without its NaN; minus infinity where there is nothing else."""
    return np.array(
        [np.median(row[~np.isnan(row)]) if not np.isnan(row).all() else -np.inf for row in rows]
    )


def _row(
    resource: Resource,
    samples: _Samples,
    axis: _Axis,
    recommendation: Recommendation,
    days: DayCurve | None,
) -> Row:
    known = samples.known
    top = _top(known, recommendation, resource, days)
    since = days.since if days is not None else None
    # What was before usage moved says little of what it is: the histogram leaves it out.
    counted = known if since is None else known.only(known.steps * axis.step_days >= since - 1e-9)
    highest = _highest_pod(known, axis, top)
    shown = known if highest is None else known.only(known.pods != highest[0])
    shares, _ = np.histogram(np.minimum(counted.values, top), bins=_BINS, range=(0, top))
    return Row(
        resource=resource,
        course=_course(shown, axis),
        scale=make_scale(resource, top),
        levels=_levels(recommendation, resource),
        quantiles=_quantiles(counted.values, getattr(recommendation.evidence, resource), since),
        shares=shares / max(1, shares.sum()),
        change=_change(recommendation, resource),
        days=days,
        apart=None if highest is None else Apart(samples.names[highest[0]], highest[1]),
    )


def _top(
    known: _Samples, recommendation: Recommendation, resource: Resource, days: DayCurve | None
) -> float:
    """The end of the value axis."""
    seen: Quantiles = getattr(recommendation.evidence, resource)
    levels = _levels(recommendation, resource)
    requests = sorted(
        (level for level in levels if not level.limit), key=lambda level: level.role == "now"
    )
    peak = float(known.values.max(initial=0.0))
    if days is not None:
        peak = max(peak, float(np.nanmax(days.high, initial=0.0)))
    return choose_top(
        peak,
        max(seen.p99 or 0.0, 0.0),
        [level.value for level in requests],
        [level.value for level in levels if level.limit],
    )


_SHARES = {"p50": 0.5, "p95": 0.95, "p99": 0.99, "max": 1.0}


def _quantiles(
    counted: npt.NDArray[np.float32], seen: Quantiles, since: float | None
) -> tuple[tuple[str, float], ...]:
    """Those of the whole window as the evidence has them, or of what counted of it, by rank."""
    if since is None or not len(counted):
        return tuple((n, v) for n in _SHARES if (v := getattr(seen, n)) is not None)
    ordered = np.sort(counted)
    ranks = {name: max(0, int(np.ceil(q * len(ordered))) - 1) for name, q in _SHARES.items()}
    return tuple((name, float(ordered[rank])) for name, rank in ranks.items())


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
    return (*levels, *_need(recommendation, resource))


_IN_TIME = ("lasting", "gradual", "settling")
"""Steps that keep a request above what usage asks for now, until it has stayed low for longer."""


def _need(recommendation: Recommendation, resource: Resource) -> tuple[Level, ...]:
    """What usage asks for, where the request is lowered to it only in time; else nothing."""
    trail = recommendation.trail[f"{resource}_request"]
    before = next((step.before for step in trail if step.name in _IN_TIME), "")
    proposed = getattr(recommendation.proposed, f"{resource}_request")
    if not before or proposed is None:
        return ()
    need = type(proposed).parse(before)
    return (
        (Level(_value(need), f"need {amount(need)}", "need", limit=False),)
        if (need < proposed)
        else ()
    )


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
    found = {str(kind): days[inside & (kinds == kind)] for kind in sorted(set(kinds[inside]))}
    resized = [day for day in _resizes(histories, index) if span[0] <= day <= span[1]]
    return found | ({"resize": np.array(resized)} if resized else {})


def _resizes(histories: Histories, index: int) -> list[float]:
    """When other requests or limits began to hold, in days since the window's start."""
    periods = histories.specs[index]
    return [
        (later.first_seen - histories.usage.start) / timedelta(days=1)
        for earlier, later in pairwise(periods)
        if later.first_seen is not None and later.resources != earlier.resources
    ]


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
    empty = ~np.any([row.seen for row in rows if row.course is not None], axis=0)
    times, half = courses[0].times, courses[0].width / 2
    edges = np.flatnonzero(np.diff(np.concatenate([[0], empty.astype(np.int8), [0]])))
    least = max(timedelta(hours=3), 4 * step) / timedelta(days=1)
    stretches = [
        (float(times[low] - half), float(times[high - 1] + half))
        for low, high in zip(edges[::2], edges[1::2], strict=True)
    ]
    return tuple(stretch for stretch in stretches if stretch[1] - stretch[0] >= least)


def _day_curve(forecast: Forecast, start: datetime) -> DayCurve:
    """A forecast with its times in days since `start`."""
    begin = np.datetime64(start.replace(tzinfo=None), "us")
    times = np.asarray(forecast.times).astype("datetime64[us]")
    since = None if forecast.since is None else (forecast.since - start) / timedelta(days=1)
    return DayCurve(
        times=(times - begin) / np.timedelta64(1, "D"),
        seen=forecast.seen,
        level=forecast.level,
        low=forecast.low,
        high=forecast.high,
        trend=forecast.trend,
        cut_off=forecast.cut_off,
        at_least=forecast.at_least,
        since=since,
        by_image=forecast.by_image,
    )


def _horizon(curves: Mapping[Resource, DayCurve], now: float) -> float:
    ends = [float(curve.times.max()) + 0.5 for curve in curves.values() if len(curve.times)]
    return max(0.0, max(ends, default=now) - now)
