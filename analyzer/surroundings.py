"""What pods stand among, by everybody who tells of it: the cluster, the metrics, the repository.

What the cluster's API says now is believed before the metrics of a while ago. What a repository
declares arrives sooner or later: where it differs, the tighter of both holds, and that is told.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from analyzer.history import Histories
from analyzer.objects import CLUSTER
from analyzer.scheduling import Scheduling
from analyzer.usage import Meta
from analyzer.workload import WorkloadRef

Row = Mapping[str, Any]
Rows = Mapping[str, Sequence[Row]]
Workload = tuple[str, str, str]

_TABLES = {
    "LimitRange": ("limit_ranges", ("type", "resource", "constraint"), "value"),
    "ResourceQuota": ("quotas", ("resource",), "hard"),
    "PodDisruptionBudget": ("budgets", (), ""),
    "PriorityClass": ("priority_classes", (), ""),
}
"""By kind, the field of `Meta`, what tells rows of one object apart, and the amount they set.

A kind without an amount is one row an object, which several sources complete.
"""
_NAMED = 5
_WORDS = {
    "LimitRange": "limit ranges",
    "ResourceQuota": "quotas",
    "PodDisruptionBudget": "disruption budgets",
    "PriorityClass": "priority classes",
}


@dataclass(frozen=True)
class Told:
    """What the cluster and the repository say: rows by kind, and what pods ask of nodes.

    A kind that is not in `cluster` was not told by it, for the reason in `missed` where it was
    asked. `namespaces` are those that it was asked for, empty for all.
    """

    cluster: Rows = field(default_factory=dict)
    repository: Rows = field(default_factory=dict)
    scheduling: Mapping[Workload, Scheduling] = field(default_factory=dict)
    missed: Mapping[str, str] = field(default_factory=dict)
    namespaces: Sequence[str] = ()


def surround(histories: Histories, told: Told) -> tuple[Histories, list[str]]:
    """The histories with all that is told, and in one sentence each where it differs or is missing.

    Where nothing but the metrics tells anything they stay as they are.
    """
    meta, notes = histories.meta, [_unlisted(told.missed)] if told.missed else []
    for kind in _TABLES:
        meta, more = _with_rules(meta, kind, told)
        notes += more
    meta = replace(meta, nodes=_nodes(meta.nodes, told.cluster.get("Node")))
    cluster = meta.cluster
    scheduling = {WorkloadRef(cluster, *names): of for names, of in told.scheduling.items()}
    return replace(histories, meta=meta, scheduling={**histories.scheduling, **scheduling}), notes


def _unlisted(missed: Mapping[str, str]) -> str:
    """One sentence on what the cluster did not list."""
    reasons = "; ".join(dict.fromkeys(missed.values()))
    return (
        f"the cluster did not list {', '.join(missed)} ({reasons}); what the metrics and the "
        "repository say of them is used"
    )


def _with_rules(meta: Meta, kind: str, told: Told) -> tuple[Meta, list[str]]:
    """`meta` with the rows of one kind by all who tell of it, and what is to be said of that."""
    name, _, value = _TABLES[kind]
    known, notes = list[Row](getattr(meta, name)), []
    if kind in told.cluster:
        kept = [r for r in known if told.namespaces and r.get("namespace") not in told.namespaces]
        known = [*kept, *told.cluster[kind]]
        notes += [f"{_WORDS[kind]} are those that the cluster itself tells"] if known else []
    declared = told.repository.get(kind, ())
    if not value:
        known = _completed(known, declared)
    else:
        known = _scoped(known, declared)
        more, said = _tightened(kind, known, declared)
        known, notes = [*known, *more], [*notes, *said]
    changed: dict[str, Any] = {name: tuple(map(dict, known))}
    return replace(meta, **changed), notes


def _completed(known: Sequence[Row], declared: Sequence[Row]) -> list[Row]:
    """One row an object: what the repository declares, under what the others tell."""
    rows = {_key(row, ()): row for row in declared}
    for row in known:
        rows[_key(row, ())] = {**rows.get(_key(row, ()), {}), **_stated(row)}
    return list(rows.values())


def _scoped(known: Sequence[Row], declared: Sequence[Row]) -> list[Row]:
    """The known rows with the scopes of a quota, which its metrics leave out."""
    scopes = {_key(row, ()): row["scopes"] for row in declared if row.get("scopes")}
    return [
        {**row, "scopes": scopes[_key(row, ())]}
        if row.get("source") != CLUSTER and _key(row, ()) in scopes
        else row
        for row in known
    ]


def _tightened(
    kind: str, known: Sequence[Row], declared: Sequence[Row]
) -> tuple[list[Row], list[str]]:
    """What the repository declares otherwise or alone, as rows beside the known, and its notes."""
    _, keys, value = _TABLES[kind]
    there = {_key(row, keys): row for row in known}
    objects = {_key(row, ()) for row in known}
    added, alone, notes = list[Row](), dict[str, None](), list[str]()
    for row in declared:
        other = there.get(_key(row, keys))
        if other is not None and other.get(value) == row.get(value):
            continue
        used = {"used": other.get("used")} if other is not None and "used" in other else {}
        added.append({**row, **used, "name": f"{row['name']} (as the repository declares it)"})
        if other is not None:
            notes.append(_contradiction(kind, other, row))
        elif _key(row, ()) not in objects:
            alone[f"{row['namespace']}/{row['name']}"] = None
    if alone:
        shown = ", ".join(list(alone)[:_NAMED]) + (" and others" if len(alone) > _NAMED else "")
        notes.append(
            f"{_WORDS[kind]} that only the repository declares count as if they were there: {shown}"
        )
    return added, notes


def _stated(row: Row) -> dict[str, Any]:
    return {name: value for name, value in row.items() if value is not None}


def _key(row: Row, keys: Sequence[str]) -> tuple[object, ...]:
    return (row.get("namespace"), row.get("name"), *(row.get(key) for key in keys))


def _contradiction(kind: str, there: Row, row: Row) -> str:
    _, keys, value = _TABLES[kind]
    what = " ".join(str(row[key]) for key in keys if row.get(key))
    return (
        f"the {kind} {row['namespace']}/{row['name']} has {what} {there.get(value):g}, and the "
        f"repository declares {row.get(value):g}; the tighter of both holds"
    )


def _nodes(
    known: Sequence[dict[str, Any]], told: Sequence[Row] | None
) -> tuple[dict[str, Any], ...]:
    """The nodes as the cluster tells them, of those that usage was read of.

    A node that came or went since stays as it was: usage is of its day.
    """
    by_name = {str(row["name"]): row for row in told or ()}
    merged = []
    for node in known:
        more = _stated(by_name.get(str(node["name"]), {}))
        labels = {**(node.get("labels") or {}), **(more.pop("labels", None) or {})}
        more.pop("source", None)
        merged.append({**node, **more, **({"labels": labels} if labels else {})})
    return tuple(merged)
