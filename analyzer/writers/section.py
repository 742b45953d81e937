"""Sections that the summary and the page share: a title, a text and a table, none of it escaped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from analyzer.escape import markdown, markdown_table
from analyzer.ledger.outcome import Outcome
from analyzer.plots.text import counted, level_text, percent
from analyzer.report import Report

JUDGED = (
    "The models saw only what was known before a review, and are judged on the time until the "
    "next one. In brackets is the 90 % interval; x usage is what is requested, divided by what was "
    "used. This policy is the one of this run, with its model, its rules and what earlier reviews "
    "hold back. The peers are the recommenders of the Vertical Pod Autoscaler (VPA) and of KRR."
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


def as_markdown(section: Section | None) -> str:
    """A section as Markdown, whose names come from strangers; empty for none."""
    if section is None:
        return ""
    rows = [[markdown(cell) for cell in row] for row in section.rows]
    table = markdown_table(section.head, rows)
    minds = "".join(f"\n\n**Mind:** {markdown(line)}." for line in section.minds)
    return f"## {section.title}\n\n{markdown(section.text)}\n\n{table}{minds}"


def pressure(report: Report) -> Section | None:
    """How close requests sail to the wind, beside those of others: usage against a node's size."""
    placed = report.placement
    if placed is None:
        return None
    shares = list(placed.ways[0].needed)
    head = ["Requests", "Packed onto", "CPU above the node's", "Nodes with memory above"]
    rows = [
        [
            way.name,
            counted(way.nodes, "node"),
            f"{way.cpu_time:.2%} of node-time",
            f"{way.memory_weeks:.1%}",
            *(str(way.needed[share] or "–") for share in shares),
        ]
        for way in placed.ways
    ]
    node = "assumed, as the cluster tells of none" if placed.assumed else "the most common"
    text = (
        "A comparison of ways to request, on nodes of one size, and no plan for the nodes there "
        f"are. {counted(placed.pods, 'pod')} packed anew onto nodes of {placed.cpu.human()} CPU "
        f"and {placed.memory.human()} ({node}) by the scheduler's rules, against the sum of what "
        f"they used at each moment of the last {placed.days:.3g} days. Nodes needed: all requests "
        "scaled by one factor, until CPU passes the node's no longer than that."
    )
    head += [f"Nodes needed at {float(share):.1%} of node-time" for share in shares]
    return Section("Usage against node size, beside the peers", text, head, rows, placed.warnings)


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
