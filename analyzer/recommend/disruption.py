"""PodDisruptionBudgets that allow nothing now, of workloads whose pods a change would restart."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from analyzer.history import Histories
from analyzer.recommend.recommendation import Recommendation
from analyzer.scheduling import metric_name, selects
from analyzer.workload import WorkloadRef


def blocked(histories: Histories, found: Mapping[int, Recommendation]) -> dict[int, str]:
    """A note for each change of a workload under a budget that allows no disruption now."""
    by_namespace: dict[str, list[dict[str, Any]]] = {}
    for row in histories.meta.budgets:
        if row.get("allowed") == 0 and row.get("expected") != 0:
            by_namespace.setdefault(str(row["namespace"]), []).append(row)
    notes = {}
    for index, one in found.items():
        for row in by_namespace.get(one.ref.namespace, ()) if one.changed else ():
            known = _about(row, one, histories)
            if known is not None:
                notes[index] = _said(row, known)
    return notes


def _about(row: Mapping[str, Any], one: Recommendation, histories: Histories) -> str | None:
    """How it is known that a budget is about a workload; None where it is not."""
    selector, ref = row.get("selector"), one.ref.workload_ref
    if selector is None:
        return " (by its name)" if row["name"] == ref.name else None
    return "" if selects(_spelt(selector), _labels(ref, one, histories)) else None


def _labels(ref: WorkloadRef, one: Recommendation, histories: Histories) -> dict[str, str]:
    """The labels that the pods carry, as metrics spell them."""
    asked = histories.scheduling.get(ref)
    pairs = asked.labels if asked is not None else tuple(one.labels.items())
    return {metric_name(key): value for key, value in pairs}


def _spelt(selector: Mapping[str, Any]) -> dict[str, Any]:
    """A label selector with its keys as metrics spell them."""
    wanted, expressions = selector.get("matchLabels"), selector.get("matchExpressions")
    labels = wanted.items() if isinstance(wanted, Mapping) else ()
    rows = expressions if isinstance(expressions, list) else ()
    return {
        "matchLabels": {metric_name(str(key)): value for key, value in labels},
        "matchExpressions": [
            {**one, "key": metric_name(str(one.get("key")))}
            for one in rows
            if isinstance(one, Mapping)
        ],
    }


def _said(row: Mapping[str, Any], known: str) -> str:
    counts = [row.get(name) for name in ("healthy", "wanted")]
    of = "" if None in counts else f" ({counts[0]:.0f} healthy, {counts[1]:.0f} wanted)"
    return (
        f"the PodDisruptionBudget {row['name']}{known} allows no disruption now{of}: a rollout "
        "does not ask it, but drains and evictions of these pods wait until it does"
    )
