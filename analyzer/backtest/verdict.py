"""The verdict: a backtest in a few sentences, the same wherever it is told."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import numpy as np

from analyzer.backtest.score import (
    AS_IT_COMES,
    CURRENT,
    FORESIGHT,
    LEAST_WEEKS,
    POLICY,
    BacktestResult,
    Row,
    measure,
    sum_up,
)
from analyzer.models import Resource
from analyzer.models.demand import RISKS

_DEFAULT_RISK: dict[Resource, float] = {"memory": 0.1, "cpu": 0.05}
_COLUMN: dict[Resource, str] = {"memory": "overrun_week_share", "cpu": "overrun_sample_share"}
_WEEKS = "container-weeks"
_SAID: dict[Resource, str] = {
    "memory": f"memory peaked above the request in {{}} of {_WEEKS}",
    "cpu": "CPU was above the request for {} of the time",
}


def in_words(result: BacktestResult) -> str:
    """What the policy would have caused and cost, beside what is declared now and the peers."""
    parts = [_kills(result), *(_on(result, resource) for resource in ("memory", "cpu"))]
    first, *rest = [part for part in parts if part] or [""]
    if not first:
        return ""
    many = f"{result.reviews} reviews" if result.reviews > 1 else "review"
    days = result.horizon / timedelta(days=1)
    said = [f"On the last {many} of {days:g} days, {first}", *(p[0].upper() + p[1:] for p in rest)]
    if result.reviews < LEAST_WEEKS:
        few = "One review is" if result.reviews == 1 else f"{result.reviews} reviews are"
        said.append(f"{few} too few to tell which of them is better")
    text = "".join(f"{sentence}. " for sentence in said).rstrip()
    gloss = f"{_WEEKS} (each one container for {days:g} days)"
    return text.replace(_WEEKS, gloss, 1)


def _kills(result: BacktestResult) -> str:
    """How often a limit of the policy that was scored would have killed."""
    rows = result.named(f"{POLICY}, limits", "memory")
    if not rows or not rows[0].judged.any():
        return ""
    weeks, kills = int(rows[0].judged.sum()), int(np.nansum(rows[0].over()))
    return f"this policy would have OOM-killed in {kills} of {weeks} {_WEEKS} with a limit"


def _on(result: BacktestResult, resource: Resource) -> str:
    """One resource as proposed, with its 90 % interval, beside the others."""
    ours = _ours(result, resource)
    if ours is None or not ours.judged.any():
        return ""
    found = measure(ours)
    between = f"{found.overrun:.1%} ({found.overrun_low:.1%} to {found.overrun_high:.1%})"
    others = list(_others(result, resource))
    best = result.best_peer_at(resource, found.overrun)
    if not np.isnan(best):
        others.append(f"the best setting of any peer, as often above, at {best:.2f} x")
    beside = f"; {', '.join(others)}" if others else ""
    return f"{_SAID[resource].format(between)} at {found.footprint:.2f} x usage{beside}"


def _others(result: BacktestResult, resource: Resource) -> Iterator[str]:
    for name, label in (
        (CURRENT, "what is requested now"),
        (f"vpa{AS_IT_COMES}", "the VPA"),
        (f"krr{AS_IT_COMES}", "KRR"),
    ):
        for row in (*result.rows, *result.peers):
            if (row.model, row.resource) == (name, resource) and row.judged.any():
                sums = sum_up(row)
                share, ratio = sums[_COLUMN[resource]], sums["footprint_to_usage"]
                if share is not None and ratio is not None:
                    yield f"{label} {share:.1%} at {ratio:.2f} x"


def _ours(result: BacktestResult, resource: Resource) -> Row | None:
    """The policy as it was scored, else the first model that states risks, at its default risk."""
    policy = result.named(POLICY, resource)
    if policy:
        return policy[0]
    near = RISKS[np.abs(np.log(RISKS / _DEFAULT_RISK[resource])).argmin()]
    for row in result.rows:
        if row.resource == resource and row.point.stated_risk == near and row.model != FORESIGHT:
            return row
    return None
