"""The sweeps: every level that a model, a peer or a plain rule would have set at one review."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property

import numpy as np
import numpy.typing as npt

from analyzer.backtest.score import AS_IT_COMES, CURRENT, FORESIGHT, Array, Point
from analyzer.by_container import by_container
from analyzer.history import Histories
from analyzer.models import RESOURCES, RISKS, Demand, Resource
from analyzer.models.rule import Peer, Rule, plain_rules

MARGINS: Array = np.exp(
    np.concatenate(
        [np.linspace(np.log(0.7), np.log(4), 24), np.linspace(np.log(4.6), np.log(48), 17)]
    )
)
"""The factors on a peer's statistic, dense where its users set them."""
CONSTANTS: Array = np.exp(np.linspace(np.log(0.003), np.log(60.0), 48))
"""What a rule adds for every container, relative to the mean usage of them all."""

Stated = Iterator[tuple[Point, Array]]
"""Levels of all containers point by point, NaN where nothing is stated. Never all at once: of ten
thousand containers they are as large as a week of what was used."""
Samples = Sequence[npt.NDArray[np.float32]]
"""What was seen of each container, in rising order."""


@dataclass(frozen=True)
class Review:
    """One review: all that was known, and the part of it that a model is given."""

    known: Histories
    seen: Histories
    train: timedelta
    horizon: timedelta

    @cached_property
    def mean(self) -> Mapping[Resource, float]:
        """The mean of all samples that a model is given, of all containers together."""
        sums = _sums(self.seen)
        return {
            resource: float(sums[resource][:, 0].sum() / max(sums[resource][:, 1].sum(), 1.0))
            for resource in RESOURCES
        }


@by_container
def _sums(histories: Histories) -> dict[Resource, Array]:
    """The sum of all samples of each container, and how many there are."""
    usage, found = histories.usage, dict[Resource, Array]()
    for resource in RESOURCES:
        values = usage.cpu_cores if resource == "cpu" else usage.memory_bytes
        found[resource] = np.zeros((len(histories), 2))
        for index in range(len(histories)):
            seen = values[usage.span(index)]
            seen = seen[~np.isnan(seen)]
            found[resource][index] = seen.sum(dtype=np.float64), len(seen)
    return found


def of_peer(peer: Peer, review: Review) -> Stated:
    """A peer at all its settings and margins, and once as it comes, floors and all."""
    yield from _swept(peer.name, peer.rules(review.seen, review.known), review)
    demand = peer.fit(review.seen, review.horizon)
    for resource in RESOURCES:
        yield Point(peer.name + AS_IT_COMES, resource), demand.levels[resource][:, 0]


def of_plain_rules(review: Review) -> Stated:
    """The rules that anyone could write down."""
    for name, rules in plain_rules(review.seen, review.known).items():
        yield from _swept(name, rules, review)


def of_demand(name: str, demand: Demand) -> Stated:
    """A model at every risk it states, the same for all containers."""
    for resource in RESOURCES:
        for column, risk in enumerate(RISKS):
            yield Point(name, resource, float(risk)), demand.levels[resource][:, column]


def as_declared(histories: Histories) -> Stated:
    """Requests as declared at the review; NaN where none is."""
    cpu, memory = np.full(len(histories), np.nan), np.full(len(histories), np.nan)
    for index in range(len(histories)):
        now = histories.spec(index).resources.effective()
        if now.cpu_request is not None:
            cpu[index] = now.cpu_request.cores
        if now.memory_request is not None:
            memory[index] = now.memory_request.bytes
    yield Point(CURRENT, "cpu"), cpu
    yield Point(CURRENT, "memory"), memory


def foresight_of(resource: Resource) -> list[Point]:
    """Where whoever knew the horizon stands: at each risk of CPU, and at the peak of memory."""
    risks = RISKS.tolist() if resource == "cpu" else [np.nan]
    return [Point(FORESIGHT, resource, risk) for risk in risks]


def by_hindsight(samples: Samples, resource: Resource) -> npt.NDArray[np.float32]:
    """What they would have set, (containers, points): each container's own quantile, or its peak.

    `samples` are those that came. It gives all containers the same risk: who lets the large ones
    overrun more often than the small can be cheaper still.
    """
    share = 1 - RISKS if resource == "cpu" else np.ones(1)
    found = np.full((len(samples), len(share)), np.nan, np.float32)
    for index, values in enumerate(samples):
        if len(values):
            rank = np.ceil(share * len(values) - 1e-9).astype(np.int64) - 1
            found[index] = values[np.clip(rank, 0, len(values) - 1)]
    return found


def _swept(name: str, rules: Mapping[Resource, Sequence[Rule]], review: Review) -> Stated:
    for resource in RESOURCES:
        for rule in rules[resource]:
            least = -np.inf if rule.least is None else np.nan_to_num(rule.least, nan=-np.inf)
            if rule.safety == "none":
                yield Point(name, resource, setting=rule.setting), rule.levels
                continue
            for margin in MARGINS if rule.safety == "factor" else CONSTANTS:
                safe = _with(rule, float(margin), review, resource)
                point = Point(name, resource, margin=float(margin), setting=rule.setting)
                yield point, np.maximum(safe, least)


def _with(rule: Rule, margin: float, review: Review, resource: Resource) -> Array:
    if rule.safety == "factor":
        return rule.levels * margin
    return rule.levels + margin * review.mean[resource]
