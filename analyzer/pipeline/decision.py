"""From histories to proposals: fit, calibrate on the own past, apply the policy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from analyzer.calibration import Learnt, Tally, calibrated, fit_past, judge_past, spend
from analyzer.history import Histories, Skipped
from analyzer.ledger import Ledger, no_ledger, recall, tallies
from analyzer.models import Demand, model_named
from analyzer.models.censoring import cut_off
from analyzer.models.rule import Peer
from analyzer.pipeline.method import Method
from analyzer.quantity import Resources
from analyzer.recommend import Bound, Recommendation, due_risks, recommend
from analyzer.recommend.case import Past
from analyzer.recommend.past import most_of, most_wanted, wanted_amounts
from analyzer.workload import ContainerRef

Bounds = Mapping[ContainerRef, tuple[Bound, ...]]


@dataclass(frozen=True)
class Decided:
    """What the policy says, and what demand alone would have said."""

    recommendations: list[Recommendation]
    skipped: list[Skipped]
    wanted: Mapping[ContainerRef, Resources]
    last: Tally | None = None
    """What came of what was stated a horizon ago."""


def decide(
    histories: Histories, method: Method, bounds: Bounds | None = None, ledger: Ledger | None = None
) -> Decided:
    """State the demand, calibrate it on the cluster's own past, and apply the policy to it."""
    if not len(histories):
        return Decided([], list(histories.skipped), {})
    known = learn_demand(histories, method, ledger)
    return weigh(histories, known, method, bounds, ledger)


def learn_demand(histories: Histories, method: Method, ledger: Ledger | None = None) -> Learnt:
    """The demand that the model states, calibrated where it learns; no policy is asked.

    It learns from what came of its statements: within the window, and before it as the `ledger`
    has it.
    """
    model = model_named(method.model)
    demand = model.fit(histories, method.horizon)
    if isinstance(model, Peer):
        return Learnt(demand)
    reviews = fit_past(model, histories, method.horizon)
    before = histories.meta.end - len(reviews) * method.horizon
    older = tallies(
        (ledger or no_ledger()).before(histories.meta.end),
        histories.meta.cluster,
        method.learnt_by,
        before,
        method.horizon,
    )
    return calibrated(demand, reviews, judge_past(reviews, histories), older)


def weigh(
    histories: Histories,
    known: Learnt,
    method: Method,
    bounds: Bounds | None = None,
    ledger: Ledger | None = None,
) -> Decided:
    """Apply the policy of `method` to what is `known`."""
    ledger = ledger or no_ledger()
    pasts = _pasts(histories, known.earlier, method, ledger)
    found, skipped = propose(histories, known.demand, method, bounds, pasts)
    wanted = wanted_amounts(histories, known.demand, method.policies)
    for ref in [ref for ref in wanted if ref not in ledger.last and ref in pasts]:
        # What earlier reviews would have wanted is to be remembered as if they had been held.
        wanted[ref] = most_of(wanted[ref], pasts[ref].wanted)
    return Decided(found, skipped, wanted, known.last)


def _pasts(
    histories: Histories,
    earlier: Sequence[tuple[Histories, Demand]],
    method: Method,
    ledger: Ledger,
) -> dict[ContainerRef, Past]:
    """What earlier reviews said: as the ledger has it, else as they would have said it."""
    said = [wanted_amounts(known, demand, method.policies, histories) for known, demand in earlier]
    span = len(earlier) * method.horizon
    return most_wanted(said, span) | recall(ledger, histories, method.digest)


def propose(
    histories: Histories,
    demand: Demand,
    method: Method,
    bounds: Bounds | None = None,
    pasts: Mapping[ContainerRef, Past] | None = None,
) -> tuple[list[Recommendation], list[Skipped]]:
    """Apply the policy to a calibrated demand, with what earlier reviews said in mind."""
    if method.risk_budget_cap is None or isinstance(model_named(method.model), Peer):
        return recommend(histories, demand, method.policies, bounds=bounds, pasts=pasts)
    replicas = np.array([histories.spec(i).replicas or 1 for i in range(len(histories))])
    due = due_risks(histories, method.policies)
    spent = spend(demand, due, replicas, most=method.risk_budget_cap, cut_off=cut_off(histories))
    return recommend(histories, spent.demand, method.policies, spent.risks, bounds, pasts)
