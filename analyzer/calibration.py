"""Stated risks that come true, and a budget of risk spent where margins are cheap.

`calibrate` looks at reviews in the past of the same cluster: what was stated then, and what came.
Where levels stated at 10 % were exceeded 6 times in a hundred, 10 % is from now on read further
out on the same curve. `spend` then lets the risk of single containers differ, so that the cluster
as a whole overruns as often as it was told to, for as few bytes and cores as that takes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

import numpy as np

from analyzer.by_container import by_container, join, part
from analyzer.history import Histories
from analyzer.models.demand import RESOURCES, RISKS, Array, Demand, Model, Resource, Step
from analyzer.quantity import Cpu, Memory
from analyzer.usage import Usage

HELD_BACK: Mapping[Resource, tuple[float, float]] = {"cpu": (3.0, 0.5), "memory": (10.0, 3.0)}
"""As many overruns are assumed to have come as stated: where fewer came, and where more did.

A risk that was overstated only costs margin, and a calm week is no promise: the next one brought
three times the overruns on one set of jobs. To understate a risk does harm. A week's share of CPU
rests on thousands of samples, and is believed sooner than a few peaks of memory."""
MOST_PER_REVIEW = 12.0
"""Containers of one week share its shocks: they count as no more than this many."""
MOST_CORRECTION = 6.0
LOOK_BACK = 4
"""So many earlier reviews are learnt from, and have their say before anything is lowered."""
LEAST_PAST = timedelta(days=3)

LEAST_SHARE, MOST_SHARE = 1 / 50, 16.0
"""Caps: no container gets less than a fiftieth or more than sixteen times the risk it is due."""
HIGHEST_RISK = 0.5

Judged = Mapping[Resource, Array]
"""Per resource (containers, len(RISKS)): the share of the time (CPU) or whether at all (memory)
usage was above the level stated at each risk; NaN where nothing was stated or seen."""


@dataclass(frozen=True)
class Calibration:
    """At which risk of the model to read a level, so that `RISKS` come true."""

    read_at: Mapping[Resource, Array]
    observed: Mapping[Resource, Array]
    reviews: int
    containers: int


def judge(demand: Demand, histories: Histories, begin: int) -> Judged:
    """What came of `demand` in the horizon after the step `begin`, as `histories` show it."""
    stop = begin + round(demand.horizon / histories.usage.step)
    return _judge(histories, dict(demand.levels), begin=begin, stop=stop)


@by_container
def _judge(
    histories: Histories, levels: dict[Resource, Array], *, begin: int, stop: int
) -> dict[Resource, Array]:
    """What came of `levels`, (containers, len(RISKS)) each, between two steps."""
    pieces = histories.usage.pieces(begin, stop)
    return join([_judge_piece(part(levels, rows), usage) for rows, usage in pieces])


def _judge_piece(levels: Mapping[Resource, Array], usage: Usage) -> dict[Resource, Array]:
    cpu, memory = (np.full(levels[resource].shape, np.nan) for resource in RESOURCES)
    for index in range(len(usage.containers)):
        where = usage.span(index)
        cpu[index] = share_above(usage.cpu_cores[where], levels["cpu"][index])
        peaks = usage.memory_bytes[where]
        if len(peaks) and not np.isnan(peaks).all():
            stated = levels["memory"][index]
            memory[index] = np.where(np.isnan(stated), np.nan, np.nanmax(peaks) > stated)
    return {"cpu": cpu, "memory": memory}


def share_above(values: np.ndarray, levels: Array) -> Array:
    """The share of `values` (NaN: not seen) above each of `levels`; NaN where either is none."""
    seen = np.sort(values[~np.isnan(values)])
    if not len(seen):
        return np.full(len(levels), np.nan)
    above = 1.0 - np.searchsorted(seen, levels, side="right") / len(seen)
    return np.where(np.isnan(levels), np.nan, above)


@dataclass(frozen=True)
class PastReview:
    """What a model would have stated at a review in the past, from what was known then."""

    stop: int
    """The step after which it is held."""
    known: Histories
    """What was known of settings and events; what was used is let go once it is learnt."""
    demand: Demand


def fit_past(
    model: Model, histories: Histories, horizon: timedelta, most: int = LOOK_BACK
) -> list[PastReview]:
    """What `model` would have stated at up to `most` reviews in the past, newest first.

    Reviews lie whole horizons before the end and know at least three days. None where the
    history is too short.
    """
    usage = histories.usage
    ahead, least = round(horizon / usage.step), round(LEAST_PAST / usage.step)
    found: list[PastReview] = []
    stop = usage.steps - ahead
    while stop >= least and len(found) < most:
        known = histories.between(0, stop)
        demand = model.fit(known, horizon)
        found.append(PastReview(stop, known.without_samples(), demand))
        stop -= ahead
    return found


def judge_past(reviews: Sequence[PastReview], histories: Histories) -> list[Judged]:
    """What came of each of `reviews` in the horizon after it, as `histories` show it."""
    return [judge(review.demand, histories, review.stop) for review in reviews]


@dataclass(frozen=True)
class Tally:
    """How often what one review stated at each of `RISKS` was exceeded, over its containers.

    Per resource: the sum over containers of the shares of the time (CPU) or of those that were at
    all (memory) above the level stated at each risk, and how many containers that speaks for.
    """

    exceeded: Mapping[Resource, Array]
    containers: Mapping[Resource, int]


def tally(judged: Judged) -> Tally:
    """What came of one review in sum; containers that were not seen or judged do not count."""
    exceeded, containers = {}, {}
    for resource in RESOURCES:
        rows = judged[resource]
        rows = rows[~np.isnan(rows).any(axis=1)]
        exceeded[resource], containers[resource] = rows.sum(axis=0), len(rows)
    return Tally(exceeded, containers)


@dataclass(frozen=True)
class Learnt:
    """What a model knows of some histories: demand now, and as earlier reviews would have had it.

    Any number of policies can be weighed on what was learnt once.
    """

    demand: Demand
    earlier: tuple[tuple[Histories, Demand], ...] = ()
    """What was known at each earlier review, newest first, and what demand would have been."""
    last: Tally | None = None
    """What came of the newest of them, for reviews that will not see it any more."""


def calibrated(
    demand: Demand,
    reviews: Sequence[PastReview],
    judged: Sequence[Judged],
    remembered: Sequence[Tally] = (),
) -> Learnt:
    """`demand` calibrated by the last of the `reviews` (newest first) and what came of them.

    `remembered` is what came of reviews before these, which the histories show no more.
    """
    calibration = learn(judged[:LOOK_BACK], remembered)
    earlier = tuple((r.known, apply(r.demand, calibration)) for r in reviews[:LOOK_BACK])
    last = tally(judged[0]) if judged else None
    return Learnt(apply(demand, calibration), earlier, last)


def review_past(
    model: Model, histories: Histories, horizon: timedelta, most: int = LOOK_BACK
) -> list[Judged]:
    """What came of `model` at up to `most` reviews in the past of `histories`, newest first.

    None where the history is too short, which leaves the model's own statement as it is.
    """
    return judge_past(fit_past(model, histories, horizon, most), histories)


def learn(judged: Sequence[Judged], remembered: Sequence[Tally] = ()) -> Calibration:
    """The correction that past reviews call for, held back where they are few.

    At each risk the observed share is drawn towards the stated one, see `HELD_BACK`. Containers of
    one review count as at most twelve, because a node upgrade or a Monday hits many at once.
    """
    reviews = [*map(tally, judged), *remembered]
    read_at, observed, most = {}, {}, 0
    for resource in RESOURCES:
        overruns, trials, seen, count = np.zeros(len(RISKS)), 0.0, np.zeros(len(RISKS)), 0
        for review in reviews:
            exceeded, containers = review.exceeded[resource], review.containers[resource]
            if containers:
                weight = min(1.0, MOST_PER_REVIEW / containers)
                overruns += weight * exceeded
                seen += exceeded
                trials += weight * containers
                count += containers
        fewer, more = HELD_BACK[resource]
        prior = np.where(overruns > trials * RISKS, more, fewer)
        drawn = (overruns + prior) / (trials + prior / RISKS)
        drawn = np.clip(drawn, RISKS / MOST_CORRECTION, RISKS * MOST_CORRECTION)
        drawn = np.maximum.accumulate(drawn) * (1 + 1e-9 * np.arange(len(RISKS)))
        log_risk, log_drawn = np.log(RISKS), np.log(drawn)
        # Beyond the ends of the table the last correction goes on.
        wanted = np.interp(log_risk, log_drawn, log_risk)
        wanted = np.where(log_risk < log_drawn[0], log_risk - log_drawn[0] + log_risk[0], wanted)
        wanted = np.where(log_risk > log_drawn[-1], log_risk - log_drawn[-1] + log_risk[-1], wanted)
        read_at[resource] = np.clip(np.exp(wanted), RISKS[0], RISKS[-1])
        observed[resource] = seen / max(count, 1)
        most = max(most, count)
    return Calibration(read_at, observed, len(reviews), most)


def apply(demand: Demand, calibration: Calibration) -> Demand:
    """`demand` with every stated risk read where the past says it comes true."""
    if not calibration.reviews or not calibration.containers:
        return demand
    levels, trails = {}, {}
    for resource in RESOURCES:
        columns = [demand.at(resource, float(risk)) for risk in calibration.read_at[resource]]
        levels[resource] = np.stack(columns, axis=1)
        trails[resource] = _calibration_trails(demand, levels[resource], calibration, resource)
    return replace(demand, levels=levels, trails=trails)


def calibrate(model: Model, demand: Demand, histories: Histories) -> Demand:
    """`demand`, as `model` stated it for `histories`, with risks that held in their past."""
    return apply(demand, learn(review_past(model, histories, demand.horizon)))


def _calibration_trails(
    demand: Demand, levels: Array, calibration: Calibration, resource: Resource
) -> tuple[tuple[Step, ...], ...]:
    at = int(np.searchsorted(RISKS, 0.1 if resource == "memory" else 0.05))
    share = calibration.observed[resource][at]
    what = "of peaks" if resource == "memory" else "of the time"
    reviews = "last review" if calibration.reviews == 1 else f"last {calibration.reviews} reviews"
    reason = (
        f"at the {reviews} here, {share:.1%} {what} came out above the level meant for "
        f"{RISKS[at]:.0%}, so the level for {calibration.read_at[resource][at]:.1%} is taken"
    )
    kind = Cpu.from_cores if resource == "cpu" else Memory.from_bytes
    trails = []
    for index, trail in enumerate(demand.trails[resource]):
        before, after = float(demand.levels[resource][index, at]), float(levels[index, at])
        if trail and not np.isnan(before):
            step = Step("calibrate", kind(before).human(), kind(after).human(), reason)
            trails.append((*trail, step))
        else:
            trails.append(trail)
    return tuple(trails)


@dataclass(frozen=True)
class Spent:
    """Risks per container and resource, and the demand whose trails say what they cost."""

    risks: Mapping[Resource, Array]
    demand: Demand


def spend(
    demand: Demand,
    due: Mapping[Resource, Array | float],
    replicas: Array | None = None,
    *,
    most: float = MOST_SHARE,
    cut_off: Mapping[Resource, np.ndarray] | None = None,
) -> Spent:
    """Give every container its own risk, so that all together bear the risk they are due.

    `due` is the risk each container would get under equal risks, `replicas` how many pods a level
    is paid for; no container gets more than `most` times its due. The sum of risks stays the sum
    of those due; among all such choices within the caps this one reserves the least. Containers
    without a statement keep what they are due, and so do those whose usage was `cut_off`
    (killed, throttled; booleans per resource): their levels are lower bounds, and nothing can be
    bought or sold for a price that is not known.
    """
    count = len(demand.levels["cpu"])
    pods = np.ones(count) if replicas is None else np.maximum(replicas, 1.0)
    risks: dict[Resource, Array] = {}
    trails: dict[Resource, tuple[tuple[Step, ...], ...]] = {}
    for resource in RESOURCES:
        own = np.broadcast_to(np.asarray(due[resource], dtype=np.float64), count).copy()
        levels = demand.levels[resource]
        if cut_off is not None:
            levels = np.where(cut_off[resource][:, None], np.nan, levels)
        risks[resource] = allot(levels, own, pods, most=most)
        trails[resource] = _budget_trails(demand, resource, own, risks[resource])
    return Spent(risks, replace(demand, trails=trails))


def allot(levels: Array, due: Array, pods: Array, *, most: float = MOST_SHARE) -> Array:
    """The risks that reserve least: one price for risk, paid by every container alike.

    `levels` has the shape (containers, len(RISKS)). For a price ``p`` per unit of risk each
    container takes the risk that minimises ``pods * level + p * risk``; `p` is found by bisection
    so that the risks add up to those due.
    """
    risks = due.copy()
    rows = np.flatnonzero(~np.isnan(levels).any(axis=1))
    if len(rows) < 2:
        return risks
    scale = np.exp(np.linspace(np.log(LEAST_SHARE), np.log(most), 64))
    choices = np.clip(due[rows, None] * scale, RISKS[0], HIGHEST_RISK)
    cost = pods[rows, None] * _interpolate(levels[rows], choices)
    budget = due[rows].sum()
    span = np.nanmax(cost) - np.nanmin(cost)
    low, high = -30.0, np.log(span / RISKS[0] + 1) + 10
    best = np.zeros(len(rows), dtype=np.int64)
    for _ in range(60):
        middle = (low + high) / 2
        chosen = (cost + np.exp(middle) * choices).argmin(axis=1)
        if choices[np.arange(len(rows)), chosen].sum() > budget:
            low = middle
        else:
            high, best = middle, chosen
    risks[rows] = choices[np.arange(len(rows)), best]
    return risks


def _interpolate(levels: Array, risks: Array) -> Array:
    """Levels of each row at its own risks, linear in the logarithm of the risk."""
    right = np.clip(np.searchsorted(RISKS, risks), 1, len(RISKS) - 1)
    share = np.log(risks / RISKS[right - 1]) / np.log(RISKS[right] / RISKS[right - 1])
    rows = np.arange(len(levels))[:, None]
    result: Array = (1 - share) * levels[rows, right - 1] + share * levels[rows, right]
    return result


def _budget_trails(
    demand: Demand, resource: Resource, due: Array, risks: Array
) -> tuple[tuple[Step, ...], ...]:
    before, after = demand.at(resource, due), demand.at(resource, risks)
    kind = Cpu.from_cores if resource == "cpu" else Memory.from_bytes
    trails = []
    for index, trail in enumerate(demand.trails[resource]):
        if not trail or np.isnan(before[index]) or np.isclose(risks[index], due[index]):
            trails.append(trail)
            continue
        old, new = kind(float(before[index])).human(), kind(float(after[index])).human()
        bought = due[index] - risks[index]
        reason = (
            f"margin is cheap here: it buys {bought:.2%} below the even {due[index]:.2%}"
            if bought > 0
            else f"margin is dear here: {-bought:.2%} more than the even {due[index]:.2%} of risk, "
            "which cheaper containers bear"
        )
        trails.append((*trail, Step("budget", old, new, reason)))
    return tuple(trails)
