"""What the same policy would have caused before, beside its peers, and what it does to nodes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

import numpy as np
import numpy.typing as npt

from analyzer.backtest import LEAST_TRAIN, POLICY, BacktestResult, Walk, backtest, in_words
from analyzer.calibration import Learnt
from analyzer.history import Histories
from analyzer.models import model_named
from analyzer.pipeline.decision import Bounds, learn_demand, weigh
from analyzer.pipeline.method import Method
from analyzer.placement import (
    Packing,
    Placement,
    nodes_of,
    numbers_of,
    pack_groups,
    place,
)
from analyzer.quantity import Resources
from analyzer.recommend import Recommendation
from analyzer.recommend.on_nodes import absent_nodes, pods_wanted
from analyzer.report import Report, days_text
from analyzer.sources.window import Progress, silent

USUAL_TRAIN = timedelta(days=14)


def judge(
    report: Report,
    histories: Histories,
    method: Method,
    progress: Progress,
    bounds: Bounds | None = None,
) -> Report:
    """Add what the same policy would have caused on this very history, beside its peers."""
    train = usual_train(histories, method.horizon)
    if train < LEAST_TRAIN:
        length = histories.usage.steps * histories.usage.step
        short = f"a history of {days_text(length)} is too short to judge it by"
        return replace(report, verdict=short)
    asked = method.policies.default.node_risk
    report = replace(report, placement=_placement(report, histories, asked))
    walk = Walk(train, method.horizon)
    result = score_policy(histories, method, walk, progress=progress, bounds=bounds)
    return replace(report, backtest=tuple(result.to_dicts()), verdict=in_words(result))


def packing_of(
    found: Sequence[Recommendation], histories: Histories, method: Method
) -> Packing | None:
    """What the nodes hold now and as proposed; None where nodes or pods are not told."""
    nodes = nodes_of(histories)
    if nodes is None:
        return None
    wanted = pods_wanted(histories, nodes, {r.ref: r for r in found})
    specs = [histories.spec(histories.position[r.ref]) for r in found]
    policies = [method.policies.of(r.ref, s.annotations) for r, s in zip(found, specs, strict=True)]
    growing = {
        r.ref.workload_ref for r, policy in zip(found, policies, strict=True) if policy.new_nodes
    }
    elastic = absent_nodes(histories, nodes).keys()
    of = [
        number
        for number, ref in enumerate(nodes.workloads)
        if ref in growing or elastic & {nodes.groups[n] for n in nodes.usable(number).tolist()}
    ]
    packing = pack_groups(nodes, wanted, method.prices, method.policies.default.spare_nodes, of)
    numbers = numbers_of(histories.meta)
    groups = tuple(replace(one, numbers=numbers.get(one.name)) for one in packing.groups)
    return replace(packing, groups=groups)


def usual_train(histories: Histories, horizon: timedelta) -> timedelta:
    """What is known before each review unless told otherwise: a fortnight, or what there is."""
    return min(USUAL_TRAIN, histories.usage.steps * histories.usage.step - horizon)


def requested(
    histories: Histories, recommendations: Sequence[Recommendation] = ()
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """What every container asks for once the `recommendations` hold; see `_requests`."""
    proposed = {histories.position[r.ref]: r.proposed for r in recommendations}
    count = range(len(histories))
    return _requests([proposed.get(i, histories.spec(i).resources.effective()) for i in count])


def _placement(report: Report, histories: Histories, node_risk: float | None) -> Placement | None:
    """What today's requests, the proposed ones and those of the peers would do to nodes.

    With a warning where the proposed ones bear more than the `node_risk` that is asked for.
    """
    ways = {
        "today": requested(histories),
        "proposed": requested(histories, report.recommendations),
    }
    for name in ("krr", "vpa"):
        levels = model_named(name).fit(histories, report.horizon).levels
        ways[name] = (levels["cpu"][:, 0], levels["memory"][:, 0])
    placed = place(histories, ways)
    if placed is None or node_risk is None:
        return placed
    return replace(placed, warnings=(*placed.warnings, *_not_met(placed, node_risk)))


def _not_met(placed: Placement, node_risk: float) -> Iterator[str]:
    """What there is to say where the node risk that is asked for is not what comes."""
    if placed.assumed:
        yield f"node_risk asks for {node_risk:.2%}, and nothing is done: no nodes are known"
        return
    way = next(way for way in placed.ways if way.name == "proposed")
    if max(way.cpu_time, way.memory_weeks) > node_risk:
        yield (
            f"as proposed, CPU passes what a node has for {way.cpu_time:.2%} of node-time and "
            f"memory on {way.memory_weeks:.1%} of nodes, and node_risk allows {node_risk:.2%}: "
            "some requests are left to autoscalers, held back by quotas or nodes, or wait for the "
            "next review"
        )


def _requests(
    resources: Sequence[Resources],
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """CPU in cores and memory in bytes, NaN where none is requested."""
    cpu = [r.cpu_request.cores if r.cpu_request else np.nan for r in resources]
    memory = [float(r.memory_request.bytes) if r.memory_request else np.nan for r in resources]
    return np.array(cpu), np.array(memory)


def score_policy(
    histories: Histories,
    method: Method,
    walk: Walk,
    models: Sequence[str] = (),
    progress: Progress = silent,
    bounds: Bounds | None = None,
) -> BacktestResult:
    """Score the policy that `method` ships, and its model beside peers and further `models`.

    Whatever tells how good the numbers are (a run, ``rightsize backtest``, the documentation)
    asks here, so that there is one answer.
    """
    return backtest(
        histories,
        models=tuple(dict.fromkeys([method.model, *models, "vpa", "krr"])),
        walk=walk,
        recommenders={POLICY: lambda known, learnt: _levels(known, learnt, method, bounds)},
        progress=progress,
    )


def _levels(
    histories: Histories,
    learnt: Mapping[str, Learnt],
    method: Method,
    bounds: Bounds | None = None,
) -> dict[str, npt.NDArray[np.float64]]:
    """What would have been declared after the policy's proposals were merged.

    An array per target over the containers; what gets no proposal stays as it is, and NaN is
    where nothing is declared then either.
    """
    known = learnt.get(method.model) or learn_demand(histories, method)
    proposals = weigh(histories, known, method, bounds).recommendations
    proposed = {histories.position[r.ref]: r.proposed for r in proposals}
    targets = ("cpu_request", "memory_request", "memory_limit")
    levels = {target: np.full(len(histories), np.nan) for target in targets}
    for index in range(len(histories)):
        resources = proposed.get(index, histories.spec(index).resources.effective())
        for target in targets:
            amount = getattr(resources, target)
            if amount is not None:
                scale = 1000 if target.startswith("cpu") else 1
                levels[target][index] = amount.units / scale
    return levels
