"""Walk-forward scoring: what would each model have caused, and cost, in the past?

At every review the past is cut off, the models state their demand from it, and the horizon that
followed is held against each point of their sweep: stated risks, or margins for the peers, which
state none. Nothing of the future reaches a model: it gets a `Histories` that ends at the review.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from analyzer.calibration import Judged, allot, apply, judge, learn, review_past
from analyzer.errors import UsageError
from analyzer.history import Histories
from analyzer.models import MODELS, RESOURCES, RISKS, Demand, Model, Resource, model_named

Array = npt.NDArray[np.float64]
Progress = Callable[[int, int, str], None]
Recommender = Callable[[Histories], Mapping[str, Array]]
"""A whole policy: levels by ``cpu_request``, ``memory_request`` and ``memory_limit``, NaN: none."""

_Point = tuple[str, Resource, float, float]
Points = dict[_Point, Array]
"""Levels of all containers by model, resource, stated risk and margin (NaN: not of its sweep)."""

MARGINS: Array = np.exp(np.linspace(np.log(0.6), np.log(48.0), 56))
"""The sweep of peers: what they would recommend without margin, times each of these."""
CURRENT = "current requests"
POLICY = "this policy"
"""What a recommender is called that is to be the subject of the verdict."""
AS_IT_COMES = " as it comes"
"""Ends the name of a peer with its own margin and floors, beside its sweep."""
CPU_OVERRUN = 0.05
"""A week overruns the CPU request where usage is above it for more than this share of it."""
CPU_ORACLE = 0.95
WORTH_CHANGING = 0.10
LEAST_TRAIN = timedelta(days=3)
_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Row:
    """One model at one point of its sweep for one resource; arrays have one entry per container.

    `stated_risk` is NaN for peers and for what is set now, `margin` for everything else.
    """

    model: str
    resource: Resource
    stated_risk: float
    margin: float
    weeks: Array
    overruns: Array
    samples: Array
    samples_over: Array
    footprint: Array
    usage: Array
    oracle: Array
    changes: Array
    reversals: Array
    by_review: tuple[float, ...] = ()
    """The share of overrun weeks (memory) or samples (CPU) at each review, oldest first."""


@dataclass(frozen=True)
class BacktestResult:
    """Every row of a backtest, and the words for it."""

    rows: tuple[Row, ...]
    train: timedelta
    horizon: timedelta
    reviews: int
    peers: tuple[Row, ...] = ()
    """Peers with their own margin and floors: one row per peer and resource, for the verdict."""

    def to_dicts(self) -> list[dict[str, Any]]:
        """One dict per row, with plain numbers; None where there is none."""
        return [_sum_up(row) for row in self.rows]

    def to_frame(self) -> pd.DataFrame:
        """One line per model, resource and point of the sweep."""
        return pd.DataFrame(self.to_dicts())

    def curve(self, model: str, resource: Resource) -> pd.DataFrame:
        """Overrun against footprint of one model, by falling footprint."""
        frame = self.to_frame()
        chosen = frame[(frame["model"] == model) & (frame["resource"] == resource)]
        return chosen.sort_values("footprint_to_usage", ascending=False)

    def footprint_at(self, model: str, resource: Resource, overrun: float) -> float:
        """Footprint to usage where the model overruns that often (memory: weeks, CPU: samples).

        Interpolated on its sweep; NaN where the sweep does not reach there.
        """
        column = "overrun_week_share" if resource == "memory" else "overrun_sample_share"
        curve = self.curve(model, resource)
        return interpolate(
            curve[column].to_numpy(), curve["footprint_to_usage"].to_numpy(), overrun
        )

    def verdict(self) -> str:
        """The backtest in a sentence or two, at the risks that are the default."""
        return _verdict(self)


@dataclass
class _Tally:
    """Sums of one row while reviews go by."""

    count: int
    sums: dict[str, Array] = field(default_factory=dict)
    applied: Array = field(init=False)
    direction: Array = field(init=False)
    by_review: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        for name in _SUMS:
            self.sums[name] = np.zeros(self.count)
        self.applied = np.full(self.count, np.nan)
        self.direction = np.zeros(self.count)


_SUMS = (
    "weeks",
    "overruns",
    "samples",
    "samples_over",
    "footprint",
    "usage",
    "oracle",
    "changes",
    "reversals",
)


@dataclass(frozen=True)
class _Review:
    """One review: all that was known, the part a model is given, and what came."""

    known: Histories
    seen: Histories
    ahead: Histories
    train: timedelta
    horizon: timedelta


@dataclass(frozen=True)
class _Future:
    """What came after a review, per container; `sorted` are its samples in rising order."""

    sorted: tuple[npt.NDArray[np.float32], ...]
    mean: Array
    oracle: Array
    pods: Array


def backtest(
    histories: Histories,
    models: Sequence[str] = tuple(MODELS),
    train: timedelta = timedelta(days=14),
    horizon: timedelta = timedelta(days=7),
    *,
    recommenders: Mapping[str, Recommender] | None = None,
    progress: Progress | None = None,
) -> BacktestResult:
    """Score `models` at every review that fits: whole horizons back from the end.

    Each model sees `train` before a review; one that learns from earlier weeks sees those too.
    ``pooled`` is scored with its risk budget, and as ``pooled-equal`` with equal risks. All models
    are scored on the same containers: those about which each of them says something.
    Raises `UsageError` where the history holds no review.
    """
    stops = review_stops(histories, train, horizon)
    tallies: dict[_Point, _Tally] = {}
    past: dict[str, list[Judged]] = {}
    made = {name: model_named(name) for name in models}
    for number, stop in enumerate(stops):
        known, begin = histories.between(0, stop), stop - _steps(histories, train)
        review = _Review(
            known,
            # Not a second copy of everything at the first review.
            known if begin <= 0 else histories.between(begin, stop),
            histories.between(stop, stop + _steps(histories, horizon)),
            train,
            horizon,
        )
        futures = {resource: _look(review.ahead, resource) for resource in RESOURCES}
        points: Points = {}
        for name, model in made.items():
            if progress is not None:
                progress(number, len(stops), f"review {number + 1}, {name}")
            points |= _state(review, model, past.setdefault(name, []))
        _score(tallies, _where_all_state(points), futures)
        _score(tallies, _declared(review, recommenders or {}), futures)
    if progress is not None:
        progress(len(stops), len(stops), "backtest")
    rows = tuple(_row(point, tally) for point, tally in tallies.items())
    swept = tuple(row for row in rows if not row.model.endswith(AS_IT_COMES))
    defaults = tuple(row for row in rows if row.model.endswith(AS_IT_COMES))
    return BacktestResult(swept, train, horizon, len(stops), defaults)


def _row(point: _Point, tally: _Tally) -> Row:
    model, resource, stated_risk, margin = point
    return Row(
        model=model,
        resource=resource,
        stated_risk=stated_risk,
        margin=margin,
        by_review=tuple(tally.by_review),
        **{name: tally.sums[name] for name in _SUMS},
    )


def review_stops(histories: Histories, train: timedelta, horizon: timedelta) -> list[int]:
    """The step after which each review is held, oldest first."""
    if horizon < timedelta(days=1) or train < timedelta(days=1):
        raise UsageError("a backtest needs a train and a horizon of one day or more")
    ahead, back = _steps(histories, horizon), _steps(histories, train)
    # A recording that misses its first hours still holds the first review.
    slack = histories.usage.steps_per_day // 2
    stops = list(range(histories.usage.steps - ahead, back - slack - 1, -ahead))[::-1]
    if not stops:
        days = histories.usage.steps / histories.usage.steps_per_day
        need = (train + horizon) / timedelta(days=1)
        raise UsageError(
            f"a backtest with {train / _DAY:g} days before a review and {horizon / _DAY:g} days "
            f"after it needs {need:g} days of history, found {days:.1f}; "
            "give a shorter --train or --horizon"
        )
    return stops


def interpolate(overrun: Array, footprint: Array, wanted: float) -> float:
    """The footprint at an overrun of `wanted` on a curve; NaN where it does not reach."""
    # Of points that overrun alike only the cheapest counts.
    order = np.lexsort((-footprint, overrun))
    overrun, footprint = overrun[order], footprint[order]
    if not len(overrun) or not overrun[0] <= wanted <= overrun[-1]:
        return float("nan")
    return float(np.interp(wanted, overrun, footprint))


def _steps(histories: Histories, length: timedelta) -> int:
    return round(length / histories.usage.step)


def _state(review: _Review, model: Model, past: list[Judged]) -> Points:
    """The levels of one model at one review, at every point of its sweep."""
    if getattr(model, "sweep", "risk") == "margin":
        return _swept(model, review) | _as_it_comes(model, review)
    if not getattr(model, "learns", False):
        return _equal(model.name, model.fit(review.seen, review.horizon))
    model = type(model)(window=review.train)  # type: ignore[call-arg]  # models that learn take it
    demand = model.fit(review.known, review.horizon)
    if not past:
        past.extend(review_past(model, review.known, review.horizon))
    stated = apply(demand, learn(past))
    # What comes is judged after it was stated, for the reviews that follow this one.
    past.append(judge(demand, review.ahead))
    return _budgeted(model.name, stated) | _equal(f"{model.name}-equal", stated)


def _swept(model: Model, review: _Review) -> Points:
    """A peer's bare statistic, without its own margin and floors, times each margin."""
    plain = type(model)(plain=True)  # type: ignore[call-arg]  # every peer takes it
    demand = plain.fit(review.seen, review.horizon)
    return {
        (model.name, resource, np.nan, float(margin)): demand.levels[resource][:, 0] * margin
        for resource in RESOURCES
        for margin in MARGINS
    }


def _as_it_comes(model: Model, review: _Review) -> Points:
    """What a peer recommends with its defaults, floors and all: one point, off its sweep."""
    demand = model.fit(review.seen, review.horizon)
    return {
        (model.name + AS_IT_COMES, resource, np.nan, np.nan): demand.levels[resource][:, 0]
        for resource in RESOURCES
    }


def _where_all_state(points: Points) -> Points:
    """`points` with NaN for containers that some model says nothing about: alike for all."""
    silent = {
        resource: np.any([np.isnan(v) for key, v in points.items() if key[1] == resource], axis=0)
        for resource in {key[1] for key in points}
    }
    return {key: np.where(silent[key[1]], np.nan, levels) for key, levels in points.items()}


def _equal(name: str, demand: Demand) -> Points:
    return {
        (name, resource, float(risk), np.nan): demand.levels[resource][:, column]
        for resource in RESOURCES
        for column, risk in enumerate(RISKS)
    }


def _budgeted(name: str, demand: Demand) -> Points:
    points: Points = {}
    for resource in RESOURCES:
        levels = demand.levels[resource]
        for risk in RISKS:
            due = np.full(len(levels), risk)
            risks = allot(levels, due, np.ones(len(levels)))
            points[name, resource, float(risk), np.nan] = demand.at(resource, risks)
    return points


def _declared(review: _Review, recommenders: Mapping[str, Recommender]) -> Points:
    """What was declared at the review, and what whole policies would have declared."""
    points: Points = {
        (CURRENT, resource, np.nan, np.nan): levels
        for resource, levels in _current(review.seen).items()
    }
    for name, recommend in recommenders.items():
        for target, levels in recommend(review.seen).items():
            resource: Resource = "cpu" if target.startswith("cpu") else "memory"
            label = name if target.endswith("request") else f"{name}, limits"
            points[label, resource, np.nan, np.nan] = levels
    return points


def _current(histories: Histories) -> dict[Resource, Array]:
    """Requests as declared at the review; NaN where none is."""
    cpu, memory = np.full(len(histories), np.nan), np.full(len(histories), np.nan)
    for index in range(len(histories)):
        now = histories.spec(index).resources.effective()
        if now.cpu_request is not None:
            cpu[index] = now.cpu_request.cores
        if now.memory_request is not None:
            memory[index] = now.memory_request.bytes
    return {"cpu": cpu, "memory": memory}


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
            pods[index] = len(seen) / len(np.unique(usage.sample_steps(index)[present]))
    return _Future(tuple(samples), mean, oracle, pods)


def _score(
    tallies: dict[_Point, _Tally],
    points: Points,
    futures: Mapping[Resource, _Future],
) -> None:
    """Add what came of all points at one review; all points of a resource are looked up at once."""
    for resource in RESOURCES:
        keys = [key for key in points if key[1] == resource]
        if not keys:
            continue
        levels = np.stack([points[key] for key in keys], axis=1)
        future = futures[resource]
        above = np.full(levels.shape, np.nan)
        number = np.array([len(values) for values in future.sorted], dtype=np.float64)
        for index, values in enumerate(future.sorted):
            if len(values):
                # Compared in the samples' own precision, or a level equal to a peak falls below.
                cut = np.searchsorted(values, levels[index].astype(np.float32), side="right")
                above[index] = len(values) - cut
        for column, key in enumerate(keys):
            tally = tallies.setdefault(key, _Tally(len(levels)))
            _add(tally, resource, levels[:, column], above[:, column], number, future)


def _add(
    tally: _Tally, resource: Resource, level: Array, above: Array, number: Array, future: _Future
) -> None:
    judged = ~np.isnan(level) & (number > 0)
    over = above > (CPU_OVERRUN * number if resource == "cpu" else 0)
    sums = tally.sums
    for name, values in (
        ("weeks", np.ones(len(level))),
        ("overruns", over.astype(np.float64)),
        ("samples", number),
        ("samples_over", above),
        ("footprint", level * future.pods),
        ("usage", future.mean * future.pods),
        ("oracle", future.oracle * future.pods),
    ):
        sums[name][judged] += values[judged]
    with np.errstate(invalid="ignore", divide="ignore"):
        moves = judged & (np.abs(level / tally.applied - 1) > WORTH_CHANGING)
    way = np.sign(level - tally.applied)
    sums["changes"][moves] += 1
    sums["reversals"][moves & (tally.direction * way < 0)] += 1
    tally.direction[moves] = way[moves]
    renew = moves | (judged & np.isnan(tally.applied))
    tally.applied[renew] = level[renew]
    count = number[judged].sum() if resource == "cpu" else judged.sum()
    share = (above if resource == "cpu" else over)[judged].sum() / max(count, 1)
    tally.by_review.append(float(share))


def _sum_up(row: Row) -> dict[str, Any]:
    weeks, used = row.weeks.sum(), row.usage.sum()
    kept = (row.usage > 0) & (row.footprint > 0)
    ratio = np.log(row.footprint[kept] / row.usage[kept])
    return {
        "model": row.model,
        "resource": row.resource,
        "stated_risk": _number(row.stated_risk),
        "margin": _number(row.margin),
        "container_weeks": int(weeks),
        "overrun_week_share": _number(row.overruns.sum() / weeks if weeks else np.nan),
        "overrun_sample_share": _number(
            row.samples_over.sum() / row.samples.sum() if row.samples.sum() else np.nan
        ),
        "footprint_to_usage": _number(row.footprint.sum() / used if used else np.nan),
        "footprint_to_oracle": _number(
            row.footprint.sum() / row.oracle.sum() if row.oracle.sum() else np.nan
        ),
        "footprint_geometric": _number(np.exp(ratio.mean()) if len(ratio) else np.nan),
        "changes_per_week": _number(row.changes.sum() / weeks if weeks else np.nan),
        "reversals_per_week": _number(row.reversals.sum() / weeks if weeks else np.nan),
    }


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _verdict(result: BacktestResult) -> str:
    frame = pd.DataFrame([_sum_up(row) for row in (*result.rows, *result.peers)])
    if frame.empty:
        return ""
    frame = frame[frame["container_weeks"] > 0]
    parts = [_kills(frame), *(_verdict_on(frame, resource) for resource in ("memory", "cpu"))]
    said = "; ".join(part for part in parts if part)
    many = f"{result.reviews} reviews" if result.reviews > 1 else "review"
    days = result.horizon / _DAY
    return f"On the last {many} of {days:g} days, {said}." if said else ""


def _kills(frame: pd.DataFrame) -> str:
    """How often a limit of the policy that was scored would have killed."""
    rows = frame[frame["model"] == f"{POLICY}, limits"]
    if rows.empty:
        return ""
    weeks = int(rows.iloc[0]["container_weeks"])
    kills = round(rows.iloc[0]["overrun_week_share"] * weeks)
    return f"this policy would have OOM-killed in {kills} of {weeks} container-weeks with a limit"


def _verdict_on(frame: pd.DataFrame, resource: Resource) -> str:
    """One resource as recommended, beside what is declared now and the peers."""
    chosen = frame[frame["resource"] == resource]
    ours = _ours(chosen, 0.1 if resource == "memory" else 0.05)
    column, text = "overrun_sample_share", "CPU was above the request for {} of the time"
    if resource == "memory":
        column, text = (
            "overrun_week_share",
            "memory peaked above the request in {} of container-weeks",
        )
    if ours is None or ours[column] is None or ours["footprint_to_usage"] is None:
        return ""
    others = []
    for name, label in (
        (CURRENT, "requests now"),
        (f"vpa{AS_IT_COMES}", "VPA"),
        (f"krr{AS_IT_COMES}", "KRR"),
    ):
        row = chosen[chosen["model"] == name].dropna(subset=[column, "footprint_to_usage"])
        if len(row):
            share, ratio = row.iloc[0][column], row.iloc[0]["footprint_to_usage"]
            others.append(f"{label}: {share:.1%} at {ratio:.2f} x")
    beside = f" ({'; '.join(others)})" if others else ""
    ratio = ours["footprint_to_usage"]
    return f"{text.format(f'{ours[column]:.1%}')} at {ratio:.2f} x usage{beside}"


def _ours(chosen: pd.DataFrame, risk: float) -> Mapping[str, Any] | None:
    """The policy as it was scored, else the first model that states risks, at its default risk."""
    policy = chosen[chosen["model"] == POLICY]
    if len(policy):
        return dict(policy.iloc[0])
    stating = chosen[chosen["stated_risk"].notna()]
    return None if stating.empty else _pick(chosen, stating.iloc[0]["model"], "stated_risk", risk)


def _pick(frame: pd.DataFrame, model: str, column: str, near: float) -> Mapping[str, Any] | None:
    chosen = frame[(frame["model"] == model) & frame[column].notna()]
    if chosen.empty:
        return None
    distance = np.abs(np.log(chosen[column].to_numpy(dtype=np.float64) / near))
    return dict(chosen.iloc[int(distance.argmin())])
