"""Walk-forward scoring: what would each model have caused, and cost, in the past?

At every review the past is cut off, the models state their demand from it, and the horizon that
followed is held against each point of their sweep: stated risks, or every setting of the peers,
which state none. Nothing of the future reaches a model: it gets a `Histories` that ends at the
review.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

import numpy as np
import numpy.typing as npt

from analyzer.backtest.score import (
    AS_IT_COMES,
    Array,
    BacktestResult,
    Came,
    Floats,
    Point,
    Row,
)
from analyzer.backtest.sweep import (
    Levels,
    Review,
    as_declared,
    by_hindsight,
    of_demand,
    of_peer,
    of_plain_rules,
)
from analyzer.calibration import (
    LOOK_BACK,
    Judged,
    Learnt,
    PastReview,
    calibrated,
    fit_past,
    judge,
    judge_past,
)
from analyzer.errors import UsageError
from analyzer.history import Histories
from analyzer.models import MODELS, RESOURCES, Model, Resource, model_named
from analyzer.models.demand import Learner
from analyzer.models.rule import Peer

Progress = Callable[[int, int, str], None]
Recommender = Callable[[Histories, Mapping[str, Learnt]], Mapping[str, Array]]
"""A whole policy: what was known and what each model that states risks has learnt of it make
levels by ``cpu_request``, ``memory_request`` and ``memory_limit``; NaN: none."""

CPU_ORACLE = 0.95
LEAST_TRAIN = timedelta(days=3)
DAILY = "vpa, daily"
_DAY = timedelta(days=1)


@dataclass(frozen=True)
class _Future:
    """What came after a review, per container; `sorted` are its samples in rising order."""

    sorted: tuple[npt.NDArray[np.float32], ...]
    number: Array
    mean: Array
    oracle: Array
    pods: Array


@dataclass
class _Book:
    """Levels and what lay above them, review by review."""

    levels: dict[Point, list[Floats]] = field(default_factory=dict)
    above: dict[Point, list[Floats]] = field(default_factory=dict)
    futures: dict[Resource, list[_Future]] = field(default_factory=dict)

    def note(self, point: Point, level: Array, above: Array) -> None:
        self.levels.setdefault(point, []).append(level.astype(np.float32))
        self.above.setdefault(point, []).append(above.astype(np.float32))


@dataclass
class _Past:
    """The last reviews of one model, newest first, and what came of each."""

    reviews: list[PastReview] = field(default_factory=list)
    judged: list[Judged] = field(default_factory=list)


@dataclass(frozen=True)
class Walk:
    """How a backtest goes through the past.

    Reviews know `train` before them and are held a horizon apart, or `every` where given: closer
    ones overlap, so that the luck of a single week counts less. With `daily` the VPA is also
    scored recommending anew each day.
    """

    train: timedelta = timedelta(days=14)
    horizon: timedelta = timedelta(days=7)
    every: timedelta | None = None
    daily: bool = False


def backtest(
    histories: Histories,
    models: Sequence[str] = tuple(MODELS),
    walk: Walk | None = None,
    *,
    recommenders: Mapping[str, Recommender] | None = None,
    progress: Progress | None = None,
) -> BacktestResult:
    """Score `models` at every review that fits, back from the end.

    Each model sees `walk.train` before a review; one that learns from earlier weeks sees those
    too. All that state risks are calibrated as in a run. Beside them stand plain rules, what is
    declared now, and perfect foresight. All are scored on the same containers: those about which
    each of them says something. Raises `UsageError` where the history holds no review.
    """
    walk = walk or Walk()
    stops = review_stops(histories, walk)
    book, past = _Book(), dict[str, _Past]()
    made = {name: model_named(name) for name in models}
    for number, stop in enumerate(stops):
        review = _review(histories, stop, walk)
        if walk.every is not None:
            past = {}  # reviews closer than a horizon do not follow on each other

        def tell(what: str, number: int = number) -> None:
            if progress is not None:
                progress(number, len(stops), f"review {number + 1}, {what}")

        _hold(book, review, made, past, recommenders or {}, tell)
        if walk.daily:
            tell("day by day")
            begin = max(0, stop - _steps(histories, walk.train))
            whole = histories.between(begin, stop + _steps(histories, walk.horizon))
            _pace(book, review, whole, made)
    if progress is not None:
        progress(len(stops), len(stops), "backtest")
    rows = _rows(book, histories)
    swept = tuple(row for row in rows if not row.model.endswith(AS_IT_COMES))
    defaults = tuple(row for row in rows if row.model.endswith(AS_IT_COMES))
    return BacktestResult(swept, walk.train, walk.horizon, len(stops), defaults)


def review_stops(histories: Histories, walk: Walk) -> list[int]:
    """The step after which each review is held, oldest first."""
    train, horizon = walk.train, walk.horizon
    if horizon < timedelta(days=1) or train < timedelta(days=1):
        raise UsageError("a backtest needs a train and a horizon of one day or more")
    ahead, back = _steps(histories, horizon), _steps(histories, train)
    # A recording that misses its first hours still holds the first review.
    slack = histories.usage.steps_per_day // 2
    apart = _steps(histories, walk.every or horizon)
    stops = list(range(histories.usage.steps - ahead, back - slack - 1, -apart))[::-1]
    if not stops:
        days = histories.usage.steps / histories.usage.steps_per_day
        need = (train + horizon) / timedelta(days=1)
        raise UsageError(
            f"a backtest with {train / _DAY:g} days before a review and {horizon / _DAY:g} days "
            f"after it needs {need:g} days of history, found {days:.1f}; "
            "give a shorter --train or --horizon"
        )
    return stops


def _steps(histories: Histories, length: timedelta) -> int:
    return round(length / histories.usage.step)


def _review(histories: Histories, stop: int, walk: Walk) -> Review:
    known, begin = histories.between(0, stop), stop - _steps(histories, walk.train)
    # Not a second copy of everything at the first review.
    seen = known if begin <= 0 else histories.between(begin, stop)
    ahead = histories.between(stop, stop + _steps(histories, walk.horizon))
    return Review(known, seen, ahead, walk.train, walk.horizon)


def _hold(
    book: _Book,
    review: Review,
    models: Mapping[str, Model],
    past: dict[str, _Past],
    recommenders: Mapping[str, Recommender],
    tell: Callable[[str], None],
) -> None:
    """One review: all that is stated at it, and what came."""
    levels: Levels = {}
    learnt: dict[str, Learnt] = {}
    for name, model in models.items():
        tell(name)
        if isinstance(model, Peer):
            levels |= of_peer(model, review)
        else:
            learnt[name] = _learn(review, model, past.setdefault(name, _Past()))
            levels |= of_demand(name, learnt[name].demand)
    tell("plain rules")
    levels |= of_plain_rules(review)
    for name, recommend in recommenders.items():
        levels |= _proposed(name, recommend(review.known, learnt))
    futures = {resource: _look(review.ahead, resource) for resource in RESOURCES}
    levels |= by_hindsight({resource: futures[resource].sorted for resource in RESOURCES})
    levels = _where_all_state(levels) | as_declared(review.seen)
    for resource in RESOURCES:
        _score(book, resource, levels, futures[resource])
        # The samples are as large as the horizon; the sums are kept.
        book.futures.setdefault(resource, []).append(replace(futures[resource], sorted=()))


def _learn(review: Review, model: Model, past: _Past) -> Learnt:
    """What a run at that time would have learnt."""
    known = review.seen
    if isinstance(model, Learner):
        model = model.within(review.train)
        known = review.known
    demand = model.fit(known, review.horizon)
    if not past.reviews:
        past.reviews = fit_past(model, known, review.horizon)
        past.judged = judge_past(past.reviews, known)
    found = calibrated(demand, past.reviews, past.judged)
    # What comes is judged after it was stated, for the reviews that follow this one.
    past.reviews.insert(0, PastReview(known.usage.steps, known.without_samples(), demand))
    past.judged.insert(0, judge(demand, review.ahead))
    del past.reviews[LOOK_BACK:], past.judged[LOOK_BACK:]
    return found


def _proposed(name: str, levels: Mapping[str, Array]) -> Levels:
    """What a whole policy would have declared: requests by its name, limits beside them."""
    found: Levels = {}
    for target, values in levels.items():
        resource: Resource = "cpu" if target.startswith("cpu") else "memory"
        label = name if target.endswith("request") else limits_of(name)
        found[Point(label, resource)] = values
    return found


def limits_of(name: str) -> str:
    """What the row of a recommender's memory limits is called."""
    return f"{name}, limits"


def _where_all_state(levels: Levels) -> Levels:
    """`levels` with NaN for containers that some model says nothing about: alike for all.

    A limit is not stated about, it is there or not, and is scored wherever it is.
    """
    stating = {
        resource: [
            np.isnan(values)
            for point, values in levels.items()
            if point.resource == resource and not point.model.endswith(", limits")
        ]
        for resource in RESOURCES
    }
    silent = {resource: np.any(rows, axis=0) for resource, rows in stating.items() if rows}
    return {
        point: values
        if point.model.endswith(", limits")
        else np.where(silent[point.resource], np.nan, values)
        for point, values in levels.items()
    }


def _look(ahead: Histories, resource: Resource) -> _Future:
    usage = ahead.usage
    values = usage.cpu_cores if resource == "cpu" else usage.memory_bytes
    count = len(ahead)
    mean, oracle, pods = (np.full(count, np.nan) for _ in range(3))
    samples = []
    for index in range(count):
        where = usage.span(index)
        present = ~np.isnan(values[where])
        seen = np.sort(values[where][present])
        samples.append(seen)
        if len(seen):
            mean[index] = seen.mean(dtype=np.float64)
            rank = int(np.ceil(CPU_ORACLE * len(seen))) - 1 if resource == "cpu" else -1
            oracle[index] = seen[rank]
            pods[index] = len(seen) / len(usage.seen_steps(index, present))
    number = np.array([len(values) for values in samples], dtype=np.float64)
    return _Future(tuple(samples), number, mean, oracle, pods)


def _score(book: _Book, resource: Resource, levels: Levels, future: _Future) -> None:
    """Note what came of all points of a resource; they are looked up at once."""
    points = [point for point in levels if point.resource == resource]
    stacked = np.stack([levels[point] for point in points], axis=1)
    above = _above(stacked, future)
    for column, point in enumerate(points):
        book.note(point, stacked[:, column], above[:, column])


def _above(levels: Array, future: _Future) -> Array:
    """How many samples lay above each of `levels` (containers, points); NaN where none came."""
    above = np.full(levels.shape, np.nan)
    for index, values in enumerate(future.sorted):
        if len(values):
            # Compared in the samples' own precision, or a level equal to a peak falls below.
            cut = np.searchsorted(values, levels[index].astype(np.float32), side="right")
            above[index] = len(values) - cut
    return np.where(np.isnan(levels), np.nan, above)


def _pace(book: _Book, review: Review, whole: Histories, models: Mapping[str, Model]) -> None:
    """The VPA as it runs: a new target each day of the horizon, with all that is known by then.

    Scored against the day that follows; the level is the mean of the days. It learns of what came
    within the horizon, and restarts pods as often, so it stands beside the fair peers.
    """
    peer = models.get("vpa")
    if not isinstance(peer, Peer):
        return
    days = max(1, review.horizon // _DAY)
    per_day, start = whole.usage.steps_per_day, review.seen.usage.steps
    total: dict[Point, list[Array]] = {}
    for day in range(days):
        begin, stop = day * per_day, start + day * per_day
        seen = whole.between(begin, stop)
        rest = whole.between(stop, stop + per_day)
        today = Review(seen, seen, rest, review.train, review.horizon)
        futures = {resource: _look(rest, resource) for resource in RESOURCES}
        levels = of_peer(peer, today)
        for resource in RESOURCES:
            points = [point for point in levels if point.resource == resource]
            stacked = np.stack([levels[point] for point in points], axis=1)
            above = _above(stacked, futures[resource])
            for column, point in enumerate(points):
                total.setdefault(point, []).append(stacked[:, column])
                total[point].append(above[:, column])
    for point, parts in total.items():
        if point.model.endswith(AS_IT_COMES):
            continue
        level, above = np.stack(parts[::2]), np.stack(parts[1::2])
        judged = ~np.isnan(book.above[point][-1])
        mean = np.where(judged, _mean(level), np.nan)
        book.note(point._replace(model=DAILY), mean, np.where(judged, np.nansum(above, 0), np.nan))


def _mean(values: Array) -> Array:
    """The mean over the first axis of what is not NaN."""
    count = (~np.isnan(values)).sum(axis=0)
    return np.where(count > 0, np.nansum(values, axis=0) / np.maximum(count, 1), np.nan)


def _rows(book: _Book, histories: Histories) -> list[Row]:
    owners: dict[tuple[str, str, str], int] = {}
    for ref in histories.containers:
        owners.setdefault((ref.namespace, ref.kind, ref.workload), len(owners))
    workload = np.array(
        [owners[ref.namespace, ref.kind, ref.workload] for ref in histories.containers],
        dtype=np.int64,
    )
    came = {
        resource: Came(
            samples=np.stack([future.number for future in futures]),
            mean=np.stack([future.mean for future in futures]),
            oracle=np.stack([future.oracle for future in futures]),
            pods=np.stack([future.pods for future in futures]),
            workload=workload,
        )
        for resource, futures in book.futures.items()
    }
    return [
        Row(point, np.stack(levels), np.stack(book.above[point]), came[point.resource])
        for point, levels in book.levels.items()
    ]
