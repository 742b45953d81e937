"""The sweeps: every level that a model, a peer or a plain rule would have set at one review."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property

import numpy as np
import numpy.typing as npt

from analyzer.backtest.score import AS_IT_COMES, CURRENT, FORESIGHT, Array, Point
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

Levels = dict[Point, Array]
"""Levels of all containers, NaN where nothing is stated."""


@dataclass(frozen=True)
class Review:
    """One review: all that was known, the part a model is given, and what came."""

    known: Histories
    seen: Histories
    ahead: Histories
    train: timedelta
    horizon: timedelta

    @cached_property
    def mean(self) -> Mapping[Resource, float]:
        """The mean of all samples that a model is given, of all containers together."""
        usage = self.seen.usage
        return {"cpu": _mean_seen(usage.cpu_cores), "memory": _mean_seen(usage.memory_bytes)}


def _mean_seen(values: npt.NDArray[np.float32]) -> float:
    seen = values[~np.isnan(values)]
    return float(seen.mean(dtype=np.float64)) if len(seen) else 0.0


def of_peer(peer: Peer, review: Review) -> Levels:
    """A peer at all its settings and margins, and once as it comes, floors and all."""
    levels = _swept(peer.name, peer.rules(review.seen, review.known), review)
    demand = peer.fit(review.seen, review.horizon)
    for resource in RESOURCES:
        levels[Point(peer.name + AS_IT_COMES, resource)] = demand.levels[resource][:, 0]
    return levels


def of_plain_rules(review: Review) -> Levels:
    """The rules that anyone could write down."""
    levels: Levels = {}
    for name, rules in plain_rules(review.seen, review.known).items():
        levels |= _swept(name, rules, review)
    return levels


def of_demand(name: str, demand: Demand) -> Levels:
    """A model at every risk it states, the same for all containers."""
    return {
        Point(name, resource, float(risk)): demand.levels[resource][:, column]
        for resource in RESOURCES
        for column, risk in enumerate(RISKS)
    }


def as_declared(histories: Histories) -> Levels:
    """Requests as declared at the review; NaN where none is."""
    cpu, memory = np.full(len(histories), np.nan), np.full(len(histories), np.nan)
    for index in range(len(histories)):
        now = histories.spec(index).resources.effective()
        if now.cpu_request is not None:
            cpu[index] = now.cpu_request.cores
        if now.memory_request is not None:
            memory[index] = now.memory_request.bytes
    return {Point(CURRENT, "cpu"): cpu, Point(CURRENT, "memory"): memory}


def by_hindsight(ahead: Mapping[Resource, Sequence[np.ndarray]]) -> Levels:
    """What whoever knew the horizon would have set: each container's own quantile, or its peak.

    `ahead` are the samples that came, sorted. It gives all containers the same risk: who lets the
    large ones overrun more often than the small can be cheaper still.
    """
    levels: Levels = {}
    for resource, samples in ahead.items():
        risks = RISKS if resource == "cpu" else RISKS[:1]
        found = np.full((len(samples), len(risks)), np.nan)
        for index, values in enumerate(samples):
            if len(values):
                share = 1 - risks if resource == "cpu" else np.ones(1)
                rank = np.ceil(share * len(values) - 1e-9).astype(np.int64) - 1
                found[index] = values[np.clip(rank, 0, len(values) - 1)]
        for column, risk in enumerate(risks):
            stated = float(risk) if resource == "cpu" else np.nan
            levels[Point(FORESIGHT, resource, stated)] = found[:, column]
    return levels


def _swept(name: str, rules: Mapping[Resource, Sequence[Rule]], review: Review) -> Levels:
    levels: Levels = {}
    for resource in RESOURCES:
        for rule in rules[resource]:
            least = -np.inf if rule.least is None else np.nan_to_num(rule.least, nan=-np.inf)
            if rule.safety == "none":
                levels[Point(name, resource, setting=rule.setting)] = rule.levels
                continue
            for margin in MARGINS if rule.safety == "factor" else CONSTANTS:
                safe = _with(rule, float(margin), review, resource)
                point = Point(name, resource, margin=float(margin), setting=rule.setting)
                levels[point] = np.maximum(safe, least)
    return levels


def _with(rule: Rule, margin: float, review: Review, resource: Resource) -> Array:
    if rule.safety == "factor":
        return rule.levels * margin
    return rule.levels + margin * review.mean[resource]
