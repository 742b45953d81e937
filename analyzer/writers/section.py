"""Sections that the summary and the page share: a title, a text and a table, escaped by neither."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from analyzer.ledger.outcome import Outcome
from analyzer.plots.text import counted, level_text, percent
from analyzer.report import Report

JUDGED = (
    "The models saw only what was known before a review, and are judged on the time until the "
    "next one. In brackets is the 90 % interval; x usage is what is requested, divided by what was "
    "used. The peers are the recommenders of the Vertical Pod Autoscaler (VPA) and of KRR."
)
"""How to read the verdict of a run."""


@dataclass(frozen=True)
class Section:
    """What is told in one place. `minds` are warnings, in one sentence each."""

    title: str
    text: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    minds: Sequence[str] = ()


def pressure(report: Report) -> Section | None:
    """What requests do to nodes: how many it takes, and how often usage passes what one has."""
    placed = report.placement
    if placed is None:
        return None
    shares = list(placed.ways[0].needed)
    head = ["Requests", "Nodes", "CPU above the node's", "Nodes with memory above"]
    rows = [
        [
            way.name,
            str(way.nodes),
            f"{way.cpu_time:.2%} of node-time",
            f"{way.memory_weeks:.1%}",
            *(str(way.needed[share] or "–") for share in shares),
        ]
        for way in placed.ways
    ]
    node = "assumed, as the cluster tells of none" if placed.assumed else "the most common"
    text = (
        f"{counted(placed.pods, 'pod')} packed onto nodes of {placed.cpu.human()} CPU and "
        f"{placed.memory.human()} ({node}) by the scheduler's rules, against the sum of what they "
        f"used at each moment of the last {placed.days:.3g} days. Nodes needed: all requests "
        "scaled by one factor, until CPU passes the node's no longer than that."
    )
    head += [f"Nodes needed at {float(share):.1%} of node-time" for share in shares]
    return Section("On nodes", text, head, rows, placed.warnings)


def groups(report: Report) -> Section | None:
    """What each group of nodes holds before and after, by where its pods are now."""
    packing = report.packing
    if packing is None:
        return None
    priced = any(group.freed is not None for group in packing.groups)
    head = ["Nodes", "Count", "CPU requested", "Memory requested", "Fewest that hold all"]
    head += ["Without the fullest", *(["Freed a month", "Saved a month"] if priced else [])]
    rows = [
        [
            group.name,
            str(group.nodes),
            _filled(group.cpu_now, group.cpu_after, group.cpu_cores),
            _filled(group.memory_now, group.memory_after, group.memory_bytes),
            f"{group.needed_now} → {group.needed_after}",
            "fits" if not group.homeless else f"{counted(group.homeless, 'pod')} without room",
            *([_money(group.freed), _money(group.saved)] if priced else []),
        ]
        for group in packing.groups
    ]
    text = (
        "Requests of the pods where they run, as a share of what the nodes have, now and with "
        "everything proposed in force. Fewest: the same pods packed anew, the largest first, with "
        "DaemonSets on every node."
    )
    if priced:
        text += " Freed is what is no longer asked for; saved are only whole nodes that can go."
    if packing.unknown:
        text += f" Of {counted(packing.unknown, 'pod')} no requests are known."
    return Section("Groups of nodes", text, head, rows)


def _filled(now: float, after: float, of: float) -> str:
    return f"{now / of:.0%} → {after / of:.0%}"


def _money(amount: float | None) -> str:
    return "–" if amount is None else f"{amount:,.2f}"


def quotas(report: Report) -> Section | None:
    """What the namespaces' quotas hold before and after, where they count CPU or memory."""
    if not report.quotas:
        return None
    rows = [
        [
            use.namespace,
            use.name,
            use.resource,
            *(_quota_amount(use.resource, value) for value in (use.hard, use.used, use.after)),
        ]
        for use in report.quotas
    ]
    head = ["Namespace", "Quota", "Counts", "Hard", "Used now", "After"]
    text = "Once everything proposed is in force, at the replicas of now."
    return Section("Quotas", text, head, rows)


def _quota_amount(resource: str, value: float) -> str:
    return level_text("cpu" if resource.endswith("cpu") else "memory", value)


def outcomes(report: Report) -> Section | None:
    """What each change that was merged promised, and what happened since."""
    if not report.outcomes:
        return None
    head = ["Container", "Since", "Time above the CPU request", "Weeks above the memory request"]
    rows = [
        [
            str(one.ref),
            f"{one.merged:%Y-%m-%d}",
            _happened(one, "cpu_request"),
            _happened(one, "memory_request"),
            _happened(one, "memory_limit"),
            percent(one.throttled) if one.throttled else "–",
        ]
        for one in report.outcomes
    ]
    text = (
        "Changes that were merged, those that harmed first: what happened, and in brackets what "
        "was promised. What a person wrote by hand was promised nothing."
    )
    head += ["Killed", "Throttled"]
    return Section("Promised and happened", text, head, rows)


def _happened(one: Outcome, target: str) -> str:
    if target == "memory_limit" and one.kills:
        return counted(one.kills, "time")
    if target not in one.promised:
        return "–"
    return f"{percent(one.happened[target])} ({percent(one.promised[target])})"
