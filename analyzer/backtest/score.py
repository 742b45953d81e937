"""What came of every statement: rows, their sums, how sure they are, and what is fair to compare.

A row is one model at one point of its sweep. Everything is kept per review and container, because
that is what an interval has to know: containers of one workload, and all containers of one week,
share their luck.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from analyzer.models import Resource

Array = npt.NDArray[np.float64]
Floats = npt.NDArray[np.float32]

By = Literal["container", "use"]
"""Whether an overrun counts once per container, or by the cores and bytes that it concerns."""
CURRENT = "current requests"
POLICY = "this policy"
"""What a recommender is called that is to be the subject of the verdict."""
FORESIGHT = "perfect foresight"
AS_IT_COMES = " as it comes"
"""Ends the name of a peer with its own margin and floors, beside its sweep."""
FAIR_PEERS = ("krr", "vpa", "own quantile", "constant", "last week")
"""Who is reviewed as rarely as we are; the best of them at an overrun is what is to be beaten."""
CPU_OVERRUN = 0.05
"""A week overruns the CPU request where usage is above it for more than this share of it."""
WORTH_CHANGING = 0.10
LEAST_OVERRUNS = 5.0
"""Where fewer overrun weeks than this are due at a risk, nothing can be told at it."""
LEAST_OF_CPU = 20
"""Container-weeks that it takes to tell a share of the time."""
LEAST_WEEKS = 4
"""Fewer reviews than this do not tell how weeks differ."""
DRAWS = 200
INTERVAL = 0.9
_SEED = 7


class Point(NamedTuple):
    """Where on which sweep a level stands; NaN and an empty setting where that is not of it."""

    model: str
    resource: Resource
    stated_risk: float = np.nan
    margin: float = np.nan
    setting: str = ""


@dataclass(frozen=True)
class Came:
    """What came after every review, of one resource; arrays have the shape (reviews, containers).

    NaN where nothing was seen. `mean` and `oracle` (the p95 of CPU, the peak of memory) are in
    cores or bytes, `pods` is how many ran on average.
    """

    samples: Array
    mean: Array
    oracle: Array
    pods: Array
    workload: npt.NDArray[np.int64]
    """(containers,): the same number for containers of one workload."""


@dataclass(frozen=True)
class Row:
    """One model at one point of its sweep, for one resource.

    `level` (cores or bytes) and `above` (how many samples lay above it) have the shape (reviews,
    containers), NaN where nothing was stated or seen.
    """

    point: Point
    level: Floats
    above: Floats
    came: Came

    @property
    def model(self) -> str:
        """Whose level it is."""
        return self.point.model

    @property
    def resource(self) -> Resource:
        """Of which resource."""
        return self.point.resource

    @property
    def stated_risk(self) -> float:
        """The risk that was stated, NaN for who states none."""
        return self.point.stated_risk

    @property
    def margin(self) -> float:
        """The margin of a sweep of margins, else NaN."""
        return self.point.margin

    @cached_property
    def judged(self) -> npt.NDArray[np.bool_]:
        """Where something was stated and something came, (reviews, containers)."""
        return ~np.isnan(self.above)

    def over(self) -> Array:
        """One where a container-week overran, (reviews, containers); NaN where not judged."""
        allowed = CPU_OVERRUN * self.came.samples if self.resource == "cpu" else 0.0
        return np.where(self.judged, self.above > allowed, np.nan)

    def terms(self, by: By = "container") -> tuple[Array, Array, Array, Array]:
        """Overruns, what they are a share of, footprint and usage: (reviews, containers) each.

        Overruns are weeks of memory and samples of CPU; by use, a container counts by the cores
        or bytes it used. Zero where not judged.
        """
        weeks = self.resource == "memory"
        hits, of = (self.over(), 1.0) if weeks else (self.above, self.came.samples)
        used = self.came.mean * self.came.pods
        if by == "use":
            with np.errstate(invalid="ignore", divide="ignore"):
                hits, of = used * hits / of, used

        def judged(part: npt.ArrayLike) -> Array:
            return np.where(self.judged, part, 0.0)

        return judged(hits), judged(of), judged(self.level * self.came.pods), judged(used)

    @property
    def footprint(self) -> Array:
        """Per container, what was requested, over all reviews and pods."""
        total: Array = self.terms()[2].sum(axis=0)
        return total

    @property
    def usage(self) -> Array:
        """Per container, what was used on average, likewise."""
        total: Array = self.terms()[3].sum(axis=0)
        return total

    def changes(self) -> tuple[int, int]:
        """How often the level moved by more than a tenth, and how often back again."""
        changed = reversed_ = 0
        applied = np.full(self.level.shape[1], np.nan)
        direction = np.zeros(self.level.shape[1])
        for level, judged in zip(self.level.astype(np.float64), self.judged, strict=True):
            with np.errstate(invalid="ignore", divide="ignore"):
                moves = judged & (np.abs(level / applied - 1) > WORTH_CHANGING)
            way = np.sign(level - applied)
            changed += int(moves.sum())
            reversed_ += int((moves & (direction * way < 0)).sum())
            direction[moves] = way[moves]
            renew = moves | (judged & np.isnan(applied))
            applied[renew] = level[renew]
        return changed, reversed_


class Measured(NamedTuple):
    """An overrun share and a footprint to usage, each with its interval."""

    overrun: float
    overrun_low: float
    overrun_high: float
    footprint: float
    footprint_low: float
    footprint_high: float


def weights(came: Came, draws: int = DRAWS) -> Array:
    """How often each container-week counts in each draw, (draws + 1, reviews, containers).

    The first is the plain sum. The others draw workloads with replacement, and weeks too where
    there are enough of them: a bootstrap over both, since neither containers of a week nor weeks
    of a container are independent.
    """
    reviews, containers = came.samples.shape
    rng = np.random.default_rng(_SEED)
    groups = int(came.workload.max(initial=-1)) + 1
    drawn = rng.multinomial(groups, [1 / max(groups, 1)] * groups, draws)[:, came.workload]
    enough = reviews >= LEAST_WEEKS
    share = [1 / reviews] * reviews
    weeks = rng.multinomial(reviews, share, draws) if enough else np.ones((draws, reviews))
    both = weeks[:, :, None] * drawn[:, None, :]
    return np.concatenate([np.ones((1, reviews, containers)), both])


def drawn_shares(row: Row, drawn: Array, by: By = "container") -> tuple[Array, Array]:
    """The overrun share and the footprint to usage of `row` in each draw, (draws,) each."""
    hits, of, footprint, usage = (np.tensordot(drawn, part, 2) for part in row.terms(by))
    with np.errstate(invalid="ignore", divide="ignore"):
        return hits / of, footprint / usage


def measure(row: Row) -> Measured:
    """The overrun share and the footprint of `row`, with their intervals."""
    both = drawn_shares(row, weights(row.came))
    ends = [(1 - INTERVAL) / 2, (1 + INTERVAL) / 2]
    found: list[float] = []
    for values in both:
        known = values[1:][~np.isnan(values[1:])]
        low, high = np.quantile(known, ends) if len(known) else (np.nan, np.nan)
        found += [float(values[0]), float(low), float(high)]
    return Measured(*found)


@dataclass(frozen=True)
class BacktestResult:
    """Every row of a backtest, and what they say."""

    rows: tuple[Row, ...]
    train: timedelta
    horizon: timedelta
    reviews: int
    peers: tuple[Row, ...] = ()
    """Peers with their own margin and floors: one row per peer and resource, for the verdict."""

    def to_dicts(self) -> list[dict[str, Any]]:
        """One dict per row, with plain numbers; None where there is none."""
        return [sum_up(row) for row in self.rows]

    def to_frame(self) -> pd.DataFrame:
        """One line per model, resource and point of the sweep."""
        return self._frame.copy()

    @cached_property
    def _frame(self) -> pd.DataFrame:
        return pd.DataFrame(self.to_dicts())

    def named(self, model: str, resource: Resource) -> list[Row]:
        """All points of one model's sweep."""
        return [row for row in self.rows if (row.model, row.resource) == (model, resource)]

    def footprint_at(
        self, model: str, resource: Resource, overrun: float, by: By = "container"
    ) -> float:
        """Footprint to usage where the model overruns that often (memory: weeks, CPU: samples).

        Interpolated on its sweep, at the cheapest of its settings; NaN where none reaches there.
        Perfect foresight of memory never overruns and is taken as it is.
        """
        shares = {
            point: both
            for point, both in self._shares[by].items()
            if (point.model, point.resource) == (model, resource)
        }
        return cheapest(shares, overrun)

    @cached_property
    def _shares(self) -> dict[By, dict[Point, tuple[float, float]]]:
        """Overrun and footprint to usage of every row that was judged."""
        found: dict[By, dict[Point, tuple[float, float]]] = {"container": {}, "use": {}}
        for row in self.rows:
            for by, shares in found.items():
                hits, of, footprint, usage = (float(part.sum()) for part in row.terms(by))
                if of and usage:
                    shares[row.point] = (hits / of, footprint / usage)
        return found

    def best_peer_at(self, resource: Resource, overrun: float, by: By = "container") -> float:
        """The cheapest of `FAIR_PEERS` there, at whatever setting does best by hindsight."""
        found = [self.footprint_at(peer, resource, overrun, by) for peer in FAIR_PEERS]
        known = [value for value in found if not np.isnan(value)]
        return min(known) if known else float("nan")

    def tells(self, resource: Resource, overrun: float) -> bool:
        """Whether enough container-weeks were seen to speak of an overrun this rare.

        A week of memory overruns or does not; one of CPU has many samples to tell a share from.
        """
        rows = [row for row in self.rows if row.resource == resource and row.model in FAIR_PEERS]
        weeks = max((int(row.judged.sum()) for row in rows), default=0)
        return weeks * overrun >= LEAST_OVERRUNS if resource == "memory" else weeks >= LEAST_OF_CPU


def cheapest(shares: Mapping[Point, tuple[float, float]], overrun: float) -> float:
    """The least footprint at `overrun` over the settings of a sweep; NaN where none reaches it."""
    settings: dict[str, list[tuple[float, float]]] = {}
    for point, both in shares.items():
        settings.setdefault(curve_of(point), []).append(both)
    found = []
    for curve in settings.values():
        overruns, footprints = (np.array(part) for part in zip(*curve, strict=True))
        at = interpolate(overruns, footprints, overrun)
        if len(curve) == 1 and next(iter(shares)).model == FORESIGHT:
            at = float(footprints[0])
        found.append(at)
    known = [value for value in found if not np.isnan(value)]
    return min(known) if known else float("nan")


def curve_of(point: Point) -> str:
    """Points of one curve: all risks of a model, all margins of a setting, all own quantiles."""
    return "" if np.isnan(point.margin) else point.setting


def interpolate(overrun: Array, footprint: Array, wanted: float) -> float:
    """The footprint at an overrun of `wanted` on a curve; NaN where it does not reach."""
    # Of points that overrun alike only the cheapest counts.
    order = np.lexsort((-footprint, overrun))
    overrun, footprint = overrun[order], footprint[order]
    if not len(overrun) or not overrun[0] <= wanted <= overrun[-1]:
        return float("nan")
    return float(np.interp(wanted, overrun, footprint))


def sum_up(row: Row) -> dict[str, Any]:
    """One row in plain numbers."""
    footprint, usage = row.terms()[2:]
    weeks, used = int(row.judged.sum()), float(usage.sum())
    samples = np.where(row.judged, row.came.samples, 0.0).sum()
    oracle = np.where(row.judged, row.came.oracle * row.came.pods, 0.0).sum()
    mine, theirs = footprint.sum(axis=0), usage.sum(axis=0)
    kept = (mine > 0) & (theirs > 0)
    changed, reversed_ = row.changes()
    return {
        "model": row.model,
        "resource": row.resource,
        "setting": row.point.setting or None,
        "stated_risk": number(row.stated_risk),
        "margin": number(row.margin),
        "container_weeks": weeks,
        "overrun_week_share": number(_ratio(np.nansum(row.over()), weeks)),
        "overrun_sample_share": number(_ratio(float(np.nansum(row.above)), samples)),
        "overrun_use_share": number(_ratio(float(row.terms("use")[0].sum()), used)),
        "footprint_to_usage": number(_ratio(footprint.sum(), used)),
        "footprint_to_oracle": number(_ratio(footprint.sum(), oracle)),
        "footprint_geometric": number(
            np.exp(np.log(mine[kept] / theirs[kept]).mean()) if kept.any() else np.nan
        ),
        "changes_per_week": number(_ratio(changed, weeks)),
        "reversals_per_week": number(_ratio(reversed_, weeks)),
    }


def _ratio(part: float, whole: float) -> float:
    return float(part) / float(whole) if whole else float("nan")


def number(value: float) -> float | None:
    """`value` as JSON has it: None for NaN."""
    return None if np.isnan(value) else float(value)
