"""The summary: what a reviewer reads first, as Markdown."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from html import escape

from analyzer.quantity import Cpu, Memory
from analyzer.recommend import TARGETS, Recommendation
from analyzer.report import Report
from analyzer.writers.manifest import why_not

SHOWN = 25
"""How many changes the summary lists; the CSV has all of them."""

_SPECIAL = re.compile(r"([\\`*_{}\[\]#|!~$])")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def write_summary(report: Report) -> dict[str, bytes]:
    """``summary.md``: the verdict, the largest changes, what was left out and why."""
    sections = [
        _headline(report),
        _warnings(report),
        _evidence(report),
        _changes(report),
        _landings(report),
        _skipped(report),
        _footer(report),
    ]
    return {"summary.md": ("\n\n".join(part for part in sections if part) + "\n").encode()}


def markdown(text: str) -> str:
    """`text` from a stranger as inert Markdown: no markup, no HTML, one line."""
    return _SPECIAL.sub(r"\\\1", escape(_CONTROL.sub(" ", text), quote=False))


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; cells are taken as they are."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def change_text(recommendation: Recommendation, target: str) -> str:
    """``1Gi → 512Mi``, the one amount where nothing changes, a dash for none."""
    now = getattr(recommendation.current, target)
    new = getattr(recommendation.proposed, target)
    if now == new:
        return _amount(now)
    return f"{_amount(now)} → **{_amount(new)}**"


def _amount(amount: Cpu | Memory | None) -> str:
    return "–" if amount is None else amount.human()


def _day(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M}"


def _headline(report: Report) -> str:
    changed = report.changed
    directions = Counter(_direction(r) for r in changed)
    cpu, memory = report.totals["cpu_request"], report.totals["memory_request"]
    count = len(report.recommendations)
    return "\n".join(
        [
            f"# Right-sizing {markdown(report.meta.cluster)}",
            "",
            f"**CPU requests {_delta(Cpu(cpu[0]), Cpu(cpu[1]))} · "
            f"memory requests {_delta(Memory(memory[0]), Memory(memory[1]))}**",
            "",
            f"{count} containers looked at, {len(changed)} to change "
            f"({directions['down']} down, {directions['up']} up, {directions['mixed']} both ways), "
            f"{count - len(changed)} right as they are, {len(report.skipped)} skipped. "
            f"Usage from {_day(report.meta.start)} to {_day(report.meta.end)} UTC; "
            f"model `{report.model}`, for the next {report.horizon.days} days.",
        ]
    )


def _delta(now: Cpu | Memory, new: Cpu | Memory) -> str:
    share = f" ({(new.units - now.units) / now.units:+.0%})".replace("-", "−") if now.units else ""
    return f"{now.human()} → {new.human()}{share}"


def _direction(recommendation: Recommendation) -> str:
    signs = {
        (new.units if new else 0) > (now.units if now else 0)
        for now, new in (
            (getattr(recommendation.current, t), getattr(recommendation.proposed, t))
            for t in ("cpu_request", "memory_request", "memory_limit")
        )
        if now != new
    }
    if signs == {True}:
        return "up"
    return "mixed" if len(signs) == 2 else "down"


def _warnings(report: Report) -> str:
    warnings = [*report.meta.warnings, *report.warnings]
    if not warnings:
        return ""
    return "## Partial data\n\n" + "\n".join(f"- {markdown(warning)}" for warning in warnings)


def _evidence(report: Report) -> str:
    if not report.verdict:
        return ""
    return f"## How this would have done\n\n{markdown(report.verdict)}"


def _changes(report: Report) -> str:
    changed = sorted(report.changed, key=lambda r: (-r.weight, r.ref))
    if not changed:
        return "## Changes\n\nNothing is worth changing."
    rows = [
        [
            markdown(f"{r.ref.namespace}/{r.ref.workload}"),
            markdown(r.ref.container),
            str(r.replicas),
            *(change_text(r, target) for target in TARGETS),
            markdown(_why(r)),
        ]
        for r in changed[:SHOWN]
    ]
    head = ["Workload", "Container", "Pods", "CPU request", "CPU limit"]
    head += ["Memory request", "Memory limit", "Why"]
    rest = len(changed) - SHOWN
    more = f"\n\n…and {rest} more in `recommendations.csv`." if rest > 0 else ""
    return f"## Changes, largest first\n\n{table(head, rows)}{more}"


def _why(recommendation: Recommendation) -> str:
    seen = recommendation.evidence
    parts = list(recommendation.notes)
    if seen.cpu.p95 is not None and seen.cpu.max is not None:
        parts.append(
            f"CPU p95 {Cpu.from_cores(seen.cpu.p95).human()}, "
            f"max {Cpu.from_cores(seen.cpu.max).human()}"
        )
    if seen.memory.max is not None:
        parts.append(f"memory max {Memory.from_bytes(seen.memory.max).human()}")
    found = dict.fromkeys(recommendation.findings.values())
    if found:
        parts.append(", ".join(found))
    return "; ".join(parts)


def _landings(report: Report) -> str:
    if not report.landings:
        return ""
    edited = sum(landing.status == "edited" for landing in report.landings)
    advice = [landing for landing in report.landings if landing.status == "advice"]
    text = (
        f"## In Git\n\n{edited} containers are edited in {len(report.changes)} applications, "
        f"each edit proven; see `git/`."
    )
    if advice:
        rows = [[markdown(a.ref), markdown(a.file or "–"), markdown(a.reason)] for a in advice]
        text += "\n\nLeft to you:\n\n" + table(["Container", "File", "Why"], rows)
    return text


def _skipped(report: Report) -> str:
    rows = [[markdown(str(s.ref)), markdown(s.reason)] for s in report.skipped]
    unpatched = {}
    for recommendation in report.changed:
        workload = recommendation.ref.workload_ref
        reason = why_not(workload, [recommendation])
        if reason:
            unpatched[workload] = reason
    text = ""
    if rows:
        text = "## Skipped\n\n" + table(["Container", "Why"], rows)
    if unpatched:
        listed = [[markdown(str(w)), markdown(reason)] for w, reason in unpatched.items()]
        text += "\n\n## No patch of the object\n\n" + table(["Workload", "Why"], listed)
    return text.strip()


def _footer(report: Report) -> str:
    created = f" on {_day(report.created)} UTC" if report.created else ""
    return (
        f"---\n\nMade by rightsize {markdown(report.version)}{created}. Charts are in `charts/`, "
        "patches in `patches/`, everything in `run.json`. Merging a change restarts the pods; "
        "reverting the commit brings the old amounts back."
    )
