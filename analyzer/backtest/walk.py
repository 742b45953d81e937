"""Walk-forward scoring: what would each model have caused, and cost, in the past?

At every review the past is cut off, the models state their demand from it, and the horizon that
followed is held against each point of their sweep: stated risks, or every setting of the peers,
which state none. Nothing of the future reaches a model: it gets a `Histories` that ends at the
review.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

import numpy as np

from analyzer.backtest.outcome import outcome
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
    Stated,
    as_declared,
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

LEAST_TRAIN = timedelta(days=3)
DAILY = "vpa, daily"
_DAY = timedelta(days=1)


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
            _room(self.levels, point, self.shape)[review] = levels
            points.append(point)
        return points

    def begin(self, point: Point) -> None:
        """Make room for what came at a point, not before what was known is let go."""
        _room(self.levels, point, self.shape)
        _room(self.above, point, self.shape)


def _room(of: dict[Point, Floats], point: Point, shape: tuple[int, int]) -> Floats:
    """The array of a point, NaN where nothing was noted yet."""
    if point not in of:
        of[point] = np.full(shape, np.nan, np.float32)
    return of[point]


@dataclass
class _Past:
    """The last reviews of one model, newest first, and what came of each."""

    reviews: list[PastReview] = field(default_factory=list)
    judged: list[Judged] = field(default_factory=list)

    def judge(self, histories: Histories, stop: int) -> None:
        """Note what came after the newest review, held at `stop`, for those that follow it."""
        self.judged.insert(0, judge(self.reviews[0].demand, histories, stop))
        del self.judged[LOOK_BACK:]


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
        end = stop + _steps(histories, walk.horizon)
        _hold(book, number, points, histories, (stop, end))
        for each in past.values():
            each.judge(histories, stop)
        if walk.daily:
            tell("day by day")
            begin = max(0, stop - _steps(histories, walk.train))
            _pace(book, number, histories.between(begin, end), walk, made.get("vpa"))
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
    book: _Book,
    number: int,
    points: Sequence[Point],
    histories: Histories,
    after: tuple[int, int],
) -> None:
    """Hold what came between two steps against all `points` that were stated at a review.

    All of a resource at once, and beside them whoever knew what comes.
    """
    begin, stop = after
    for resource in RESOURCES:
        of = [point for point in points if point.resource == resource]
        stated = tuple(book.levels[point][number] for point in of)
        found = outcome(histories, stated, resource=resource, begin=begin, stop=stop)
        for name, values in found.came.items():
            getattr(book.came[resource], name)[number] = values
        foresight = foresight_of(resource)
        for column, point in enumerate(foresight):
            book.begin(point)
            book.levels[point][number] = found.hindsight[:, column]
        every = [*of, *foresight]
        for column, point in enumerate(every):
            book.begin(point)
            book.above[point][number] = found.above[:, column]
        _silence(book, number, every)


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


def _proposed(name: str, levels: Mapping[str, Array]) -> Stated:
    """What a whole policy would have declared: requests by its name, limits beside them."""
    for target, values in levels.items():
        resource: Resource = "cpu" if target.startswith("cpu") else "memory"
        label = name if target.endswith("request") else limits_of(name)
        yield Point(label, resource), values


def limits_of(name: str) -> str:
    """What the row of a recommender's memory limits is called."""
    return f"{name}, limits"


def _silence(book: _Book, number: int, points: Sequence[Point]) -> None:
    """Leave out containers that some model says nothing about, alike for all models.

    A limit is not stated about, it is there or not, and is scored wherever it is; so is what is
    declared now.
    """
    alike = [p for p in points if p.model != CURRENT and not p.model.endswith(", limits")]
    silent = np.any([np.isnan(book.levels[point][number]) for point in alike], axis=0)
    for point in alike:
        book.levels[point][number, silent] = np.nan
        book.above[point][number, silent] = np.nan


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
        levels = dict(of_peer(peer, Review(seen, seen, walk.train, walk.horizon)))
        for resource in RESOURCES:
            points = [point for point in levels if point.resource == resource]
            stated = tuple(levels[point] for point in points)
            came = outcome(whole, stated, resource=resource, begin=stop, stop=stop + per_day)
            for column, point in enumerate(points):
                total.setdefault(point, []).append(stated[column])
                total[point].append(came.above[:, column].astype(np.float64))
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
