"""Walk-forward scoring: what would each model have caused, and cost, in the past?

At every review the past is cut off, the models state their demand from it, and the horizon that
followed is held against each point of their sweep: stated risks, or every setting of the peers,
which state none. Nothing of the future reaches a model: it gets a `Histories` that ends at the
review.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

import numpy as np

from analyzer.backtest.score import (
    AS_IT_COMES,
    CURRENT,
    Array,
    BacktestResult,
    Came,
    Floats,
    Point,
    Row,
)
from analyzer.backtest.sweep import (
    Review,
    Samples,
    Stated,
    as_declared,
    by_hindsight,
    foresight_of,
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
    judge_levels,
    judge_past,
)
from analyzer.errors import UsageError
from analyzer.history import Histories
from analyzer.models import MODELS, RESOURCES, Model, Resource, model_named
from analyzer.models.demand import Demand, Learner
from analyzer.models.rule import Peer
from analyzer.usage import Usage

_AT_ONCE = 125
"""Containers whose future is looked at in one go."""

Progress = Callable[[int, int, str], None]
Recommender = Callable[[Histories, Mapping[str, Learnt]], Mapping[str, Array]]
"""A whole policy: what was known and what each model that states risks has learnt of it make
levels by ``cpu_request``, ``memory_request`` and ``memory_limit``; NaN: none."""

CPU_ORACLE = 0.95
LEAST_TRAIN = timedelta(days=3)
DAILY = "vpa, daily"
_DAY = timedelta(days=1)


@dataclass(frozen=True)
class _After:
    """The time after a review, as `usage` shows it from step `begin` up to `stop`.

    Iterating gives some containers at a time, whose they are and what they used: a copy of what
    the whole cluster did in a week is larger than most of what is learnt of it.
    """

    usage: Usage
    begin: int
    stop: int

    def __iter__(self) -> Iterator[tuple[slice, Usage]]:
        for low in range(0, len(self.usage.containers), _AT_ONCE):
            rows = slice(low, low + _AT_ONCE)
            yield rows, self.usage.part(rows).between(self.begin, self.stop)


@dataclass(frozen=True)
class _Book:
    """Levels, what lay above them and what came at all: (reviews, containers) each.

    Ten thousand containers at thousands of points are most of what a backtest keeps, so each
    point has one array from the start, in the precision of the samples.
    """

    shape: tuple[int, int]
    came: Mapping[Resource, Came]
    levels: dict[Point, Floats] = field(default_factory=dict)
    above: dict[Point, Floats] = field(default_factory=dict)

    def note(self, review: int, stated: Iterable[tuple[Point, Array]]) -> list[Point]:
        """Write down the levels of all containers at a review, and say at which points."""
        points = []
        for point, levels in stated:
            self.begin(point)
            self.levels[point][review] = levels
            points.append(point)
        return points

    def begin(self, point: Point) -> None:
        """Make room for a point; nothing is stated at it yet."""
        if point not in self.levels:
            self.levels[point] = np.full(self.shape, np.nan, np.float32)
            self.above[point] = np.full(self.shape, np.nan, np.float32)


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
    book, past = _new_book(histories, len(stops)), dict[str, _Past]()
    made = {name: model_named(name) for name in models}
    for number, stop in enumerate(stops):
        if walk.every is not None:
            past = {}  # reviews closer than a horizon do not follow on each other

        def tell(what: str, number: int = number) -> None:
            if progress is not None:
                progress(number, len(stops), f"review {number + 1}, {what}")

        # What was known is let go before what came is looked at.
        stated = _state(_review(histories, stop, walk), made, past, recommenders or {}, tell)
        points = book.note(number, stated)
        tell("what came")
        after = _After(histories.usage, stop, stop + _steps(histories, walk.horizon))
        _hold(book, number, points, after, past)
        if walk.daily:
            tell("day by day")
            begin = max(0, stop - _steps(histories, walk.train))
            _pace(book, number, histories.between(begin, after.stop), walk, made.get("vpa"))
    if progress is not None:
        progress(len(stops), len(stops), "backtest")
    rows = _rows(book)
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
    return Review(known, seen, walk.train, walk.horizon)


def _state(
    review: Review,
    models: Mapping[str, Model],
    past: dict[str, _Past],
    recommenders: Mapping[str, Recommender],
    tell: Callable[[str], None],
) -> Stated:
    """All that is stated at a review, by whoever knows nothing of what came."""
    learnt: dict[str, Learnt] = {}
    for name, model in models.items():
        tell(name)
        if isinstance(model, Peer):
            yield from of_peer(model, review)
        else:
            learnt[name] = _learn(review, model, past.setdefault(name, _Past()))
            yield from of_demand(name, learnt[name].demand)
    tell("plain rules")
    yield from of_plain_rules(review)
    for name, recommend in recommenders.items():
        yield from _proposed(name, recommend(review.known, learnt))
    yield from as_declared(review.seen)


def _hold(
    book: _Book, number: int, points: Sequence[Point], after: _After, past: Mapping[str, _Past]
) -> None:
    """Hold what came against all that was stated at a review, some containers at a time."""
    for resource in RESOURCES:
        for point in foresight_of(resource):
            book.begin(point)
    for each in past.values():
        # For the reviews that follow this one.
        each.judged.insert(0, _judged(each.reviews[0].demand, after))
        del each.judged[LOOK_BACK:]
    for rows, usage in after:
        for resource in RESOURCES:
            samples = _sorted(usage, resource)
            for name, values in _look(usage, resource, samples).items():
                getattr(book.came[resource], name)[number, rows] = values
            of = [point for point in points if point.resource == resource]
            _score(book, (number, rows), of, resource, samples)


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
    past.reviews.insert(0, PastReview(known.usage.steps, known.without_samples(), demand))
    del past.reviews[LOOK_BACK:]
    return found


def _judged(demand: Demand, after: _After) -> Judged:
    """What came of `demand`."""
    found = {resource: np.full(demand.levels[resource].shape, np.nan) for resource in RESOURCES}
    for rows, usage in after:
        levels = {resource: demand.levels[resource][rows] for resource in RESOURCES}
        for resource, came in judge_levels(levels, usage).items():
            found[resource][rows] = came
    return found


def _proposed(name: str, levels: Mapping[str, Array]) -> Stated:
    """What a whole policy would have declared: requests by its name, limits beside them."""
    for target, values in levels.items():
        resource: Resource = "cpu" if target.startswith("cpu") else "memory"
        label = name if target.endswith("request") else limits_of(name)
        yield Point(label, resource), values


def limits_of(name: str) -> str:
    """What the row of a recommender's memory limits is called."""
    return f"{name}, limits"


def _look(usage: Usage, resource: Resource, samples: Samples) -> dict[str, Array]:
    """What came of each container, by the fields of `Came`; `samples` are its own, sorted."""
    values = usage.cpu_cores if resource == "cpu" else usage.memory_bytes
    mean, oracle, pods = (np.full(len(samples), np.nan) for _ in range(3))
    for index, seen in enumerate(samples):
        if len(seen):
            mean[index] = seen.mean(dtype=np.float64)
            rank = int(np.ceil(CPU_ORACLE * len(seen))) - 1 if resource == "cpu" else -1
            oracle[index] = seen[rank]
            present = ~np.isnan(values[usage.span(index)])
            pods[index] = len(seen) / len(usage.seen_steps(index, present))
    number = np.array([len(values) for values in samples], dtype=np.float64)
    return {"samples": number, "mean": mean, "oracle": oracle, "pods": pods}


def _sorted(usage: Usage, resource: Resource) -> Samples:
    """All that was seen of each container, in rising order."""
    values = usage.cpu_cores if resource == "cpu" else usage.memory_bytes
    each = (values[usage.span(index)] for index in range(len(usage.containers)))
    return [np.sort(samples[~np.isnan(samples)]) for samples in each]


def _score(
    book: _Book,
    where: tuple[int, slice],
    points: Sequence[Point],
    resource: Resource,
    samples: Samples,
) -> None:
    """Note what came of all `points` of a resource; they are looked up at once.

    `where` are the review and the containers whose sorted `samples` came.
    """
    foresight = foresight_of(resource)
    stated = [book.levels[point][where] for point in points]
    levels = np.concatenate([np.stack(stated, axis=1), by_hindsight(samples, resource)], 1)
    every = [*points, *foresight]
    _silence(levels, every)
    above = _above(levels, samples)
    for column, point in enumerate(every):
        book.levels[point][where] = levels[:, column]
        book.above[point][where] = above[:, column]


def _silence(levels: Floats, points: Sequence[Point]) -> None:
    """Leave out containers that some model says nothing about, alike for all models.

    A limit is not stated about, it is there or not, and is scored wherever it is; so is what is
    declared now.
    """
    alike = np.array([p.model != CURRENT and not p.model.endswith(", limits") for p in points])
    silent = np.isnan(levels[:, alike]).any(axis=1)
    levels[np.ix_(silent, alike)] = np.nan


def _above(levels: Array | Floats, samples: Samples) -> Array:
    """How many samples lay above each of `levels` (containers, points); NaN where none came."""
    above = np.full(levels.shape, np.nan)
    for index, values in enumerate(samples):
        if len(values):
            # Compared in the samples' own precision, or a level equal to a peak falls below.
            cut = np.searchsorted(values, levels[index].astype(np.float32), side="right")
            above[index] = len(values) - cut
    return np.where(np.isnan(levels), np.nan, above)


def _pace(book: _Book, number: int, whole: Histories, walk: Walk, peer: Model | None) -> None:
    """The VPA as it runs: a new target each day of the horizon, with all that is known by then.

    `whole` ends with the horizon. Scored against the day that follows; the level is the mean of
    the days. It learns of what came within the horizon, and restarts pods as often, so it stands
    beside the fair peers.
    """
    if not isinstance(peer, Peer):
        return
    days = max(1, walk.horizon // _DAY)
    per_day, start = whole.usage.steps_per_day, whole.usage.steps - _steps(whole, walk.horizon)
    total: dict[Point, list[Array]] = {}
    for day in range(days):
        begin, stop = day * per_day, start + day * per_day
        seen = whole.between(begin, stop)
        rest = whole.usage.between(stop, stop + per_day)
        levels = dict(of_peer(peer, Review(seen, seen, walk.train, walk.horizon)))
        for resource in RESOURCES:
            points = [point for point in levels if point.resource == resource]
            stacked = np.stack([levels[point] for point in points], axis=1)
            above = _above(stacked, _sorted(rest, resource))
            for column, point in enumerate(points):
                total.setdefault(point, []).append(stacked[:, column])
                total[point].append(above[:, column])
    for point, parts in total.items():
        if point.model.endswith(AS_IT_COMES):
            continue
        level, above = np.stack(parts[::2]), np.stack(parts[1::2])
        judged, daily = ~np.isnan(book.above[point][number]), point._replace(model=DAILY)
        book.begin(daily)
        book.levels[daily][number] = np.where(judged, _mean(level), np.nan)
        book.above[daily][number] = np.where(judged, np.nansum(above, 0), np.nan)


def _mean(values: Array) -> Array:
    """The mean over the first axis of what is not NaN."""
    count = (~np.isnan(values)).sum(axis=0)
    return np.where(count > 0, np.nansum(values, axis=0) / np.maximum(count, 1), np.nan)


def _new_book(histories: Histories, reviews: int) -> _Book:
    """A book in which nothing is written yet."""
    owners: dict[tuple[str, str, str], int] = {}
    for ref in histories.containers:
        owners.setdefault((ref.namespace, ref.kind, ref.workload), len(owners))
    workload = np.array(
        [owners[ref.namespace, ref.kind, ref.workload] for ref in histories.containers],
        dtype=np.int64,
    )
    shape = (reviews, len(histories))

    def empty() -> Array:
        return np.full(shape, np.nan)

    came = {resource: Came(empty(), empty(), empty(), empty(), workload) for resource in RESOURCES}
    return _Book(shape, came)


def _rows(book: _Book) -> list[Row]:
    """By resource, what is declared now after all others; the daily VPA last."""
    ordered = sorted(
        book.levels,
        key=lambda p: (p.model == DAILY, RESOURCES.index(p.resource), p.model == CURRENT),
    )
    return [
        Row(point, book.levels[point], book.above[point], book.came[point.resource])
        for point in ordered
    ]
