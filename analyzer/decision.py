"""From histories to what the policy says of them, with what earlier reviews said in mind."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np

from analyzer.calibration import apply, fit_past, judge_past, learn, spend
from analyzer.config import Config, parse_duration
from analyzer.history import Histories, Skipped
from analyzer.ledger import EMPTY, Ledger, recall
from analyzer.models import Demand, model_named
from analyzer.models.censoring import cut_off
from analyzer.models.rule import Peer
from analyzer.quantity import Resources
from analyzer.recommend import Recommendation, due_risks, recommend
from analyzer.recommend.case import Past
from analyzer.recommend.past import most_wanted, wanted_amounts
from analyzer.workload import ContainerRef

LOOK_BACK = 4
"""So many earlier reviews have their say before anything is lowered."""


@dataclass(frozen=True)
class Decided:
    """What the policy says, and what demand alone would have said."""

    recommendations: list[Recommendation]
    skipped: list[Skipped]
    wanted: Mapping[ContainerRef, Resources]


def decide(histories: Histories, config: Config, ledger: Ledger = EMPTY) -> Decided:
    """State the demand, calibrate it on the cluster's own past, and apply the policy to it."""
    if not len(histories):
        return Decided([], list(histories.skipped), {})
    model, horizon = model_named(config.model), parse_duration(config.horizon)
    demand = model.fit(histories, horizon)
    earlier: list[tuple[Histories, Demand]] = []
    if not isinstance(model, Peer):
        reviews = fit_past(model, histories, horizon)
        calibration = learn(judge_past(reviews, histories))
        earlier = [(r.known, apply(r.demand, calibration)) for r in reviews[:LOOK_BACK]]
        demand = apply(demand, calibration)
    pasts = _pasts(histories, earlier, config, ledger)
    found, skipped = propose(histories, demand, config, pasts)
    return Decided(found, skipped, wanted_amounts(histories, demand, config.policies))


def propose(
    histories: Histories,
    demand: Demand,
    config: Config,
    pasts: Mapping[ContainerRef, Past] | None = None,
) -> tuple[list[Recommendation], list[Skipped]]:
    """Apply the policy to a calibrated demand, with what earlier reviews said in mind."""
    if not config.risk_budget or isinstance(model_named(config.model), Peer):
        return recommend(histories, demand, config.policies, pasts=pasts)
    replicas = np.array([histories.spec(i).replicas or 1 for i in range(len(histories))])
    due = due_risks(histories, config.policies)
    spent = spend(demand, due, replicas, most=config.risk_budget_cap, cut_off=cut_off(histories))
    return recommend(histories, spent.demand, config.policies, spent.risks, pasts=pasts)


def settings_digest(config: Config) -> str:
    """What decides besides usage, as a short text: under other settings a proposal is another."""
    decisive = (config.policy, config.rules, config.model, config.horizon, config.risk_budget)
    return hashlib.sha256(msgspec.json.encode(decisive, enc_hook=str)).hexdigest()[:12]


def _pasts(
    histories: Histories,
    earlier: Sequence[tuple[Histories, Demand]],
    config: Config,
    ledger: Ledger,
) -> dict[ContainerRef, Past]:
    """What earlier reviews said: as the ledger has it, else as they would have said it."""
    said = [wanted_amounts(known, demand, config.policies) for known, demand in earlier]
    span = len(earlier) * parse_duration(config.horizon)
    return most_wanted(said, span) | recall(ledger, histories, settings_digest(config))
