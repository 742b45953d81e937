"""The summary: what a reviewer reads first, as Markdown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterator, Sequence
from datetime import datetime
from urllib.parse import quote

from analyzer.escape import markdown, markdown_table
from analyzer.models.demand import RESOURCES, Resource
from analyzer.plots.text import TARGET_NAMES, change_percent, counted, level_text, total_text
from analyzer.plots.verdict import course
from analyzer.quantity import Cpu, Memory, TargetName
from analyzer.reason import why_changed
from analyzer.recommend import TARGETS, Recommendation
from analyzer.report import Landing, Report, duration_text, held_back, tally, window_text
from analyzer.writers.manifest import unwritten
from analyzer.writers.packing import groups
from analyzer.writers.promise import promises
from analyzer.writers.section import JUDGED, as_markdown, pressure, quotas

_OPENED = {
    "page": "the page of this run",
    "cluster": "the cluster's chart",
    "packing": "the chart of its nodes",
}
SHOWN = 25
"""How many changes the summary lists; the CSV has all of them."""


def write_summary(report: Report) -> dict[str, bytes]:
    """``summary.md``: the verdict, the largest changes, what was left out and why."""
    sections = [
        _headline(report),
        _warnings(report),
        _notices(report),
        _verdicts(report),
        promises(report.outcomes, report.instead, report.files),
        _evidence(report),
        as_markdown(groups(report)),
        as_markdown(pressure(report)),
        as_markdown(quotas(report)),
        _changes(report),
        _held(report),
        _landings(report),
        _skipped(report),
        _footer(report),
    ]
    return {"summary.md": ("\n\n".join(part for part in sections if part) + "\n").encode()}


def change_text(recommendation: Recommendation, target: str) -> str:
    """``1Gi → 512Mi`` as manifests spell it, one amount where nothing changes, a dash for none."""
    now = getattr(recommendation.current, target)
    new = getattr(recommendation.proposed, target)
    if now == new:
        return _amount(now)
    return f"{_amount(now)} → **{_amount(new)}**"


def _amount(amount: Cpu | Memory | None) -> str:
    return "–" if amount is None else str(amount)


def _day(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M}"


def _headline(report: Report) -> str:
    changes = [total_change(report, resource) for resource in RESOURCES]
    return "\n".join(
        [
            f"# Right-sizing {markdown(report.meta.cluster)}",
            "",
            f"**{' · '.join(changes)}**",
            "",
            f"{tally(report.recommendations, report.skipped)}. "
            f"Usage from {window_text(report.meta)}; "
            f"model `{report.model}`, for the next {duration_text(report.horizon)}.",
        ]
    )


def total_change(report: Report, resource: Resource) -> str:
    """The sum of the requests now and proposed, in the words of the cluster's chart."""
    now, new = report.totals[f"{resource}_request"]
    name = "CPU requests" if resource == "cpu" else "memory requests"
    before, after = (total_text(resource, units).removesuffix(" CPU") for units in (now, new))
    if now == new:
        return f"{name} stay {before}"
    return f"{name} {before} → {after}" + (f" ({change_percent(now, new)})" if now else "")


def _notices(report: Report) -> str:
    """Settings that do nothing (a misspelt rule protects nobody), and whose word counts."""
    if not report.notices:
        return ""
    return "## Notices\n\n" + "\n".join(f"- {markdown(notice)}" for notice in report.notices)


def _warnings(report: Report) -> str:
    warnings = [*report.meta.warnings, *report.warnings]
    if not warnings:
        return ""
    return "## Partial data\n\n" + "\n".join(f"- {markdown(warning)}" for warning in warnings)


def _verdicts(report: Report) -> str:
    """What was read and is not believed: no amount rests on it."""
    if not report.verdicts:
        return ""
    rows = [[markdown(str(v.ref)), markdown(v.reason)] for v in report.verdicts[:SHOWN]]
    rest = len(report.verdicts) - SHOWN
    more = f"\n\n…and {rest} more in `run.json`." if rest > 0 else ""
    return f"## Not believed\n\n{markdown_table(['Container', 'Why'], rows)}{more}"


def _evidence(report: Report) -> str:
    if not report.verdict:
        return ""
    return f"## How this would have done\n\n{JUDGED}\n\n{markdown(report.verdict)}"


def _changes(report: Report) -> str:
    changed = sorted(report.changed, key=lambda r: (-r.weight, r.ref))
    if not changed:
        return "## Changes\n\nNothing is worth changing."
    rows = [
        [
            _linked(report, r),
            markdown(r.ref.container),
            str(r.replicas),
            *(change_text(r, target) for target in TARGETS),
            markdown(why(r)),
        ]
        for r in changed[:SHOWN]
    ]
    head = ["Workload", "Container", "Pods", "CPU request", "CPU limit"]
    head += ["Memory request", "Memory limit", "Why"]
    rest = len(changed) - SHOWN
    more = f"\n\n…and {rest} more in `recommendations.csv`." if rest > 0 else ""
    return f"## Changes, largest first\n\n{markdown_table(head, rows)}{more}"


def _linked(report: Report, of: Recommendation) -> str:
    """The name of a workload, which opens its chart where one was drawn."""
    name, path = markdown(f"{of.ref.namespace}/{of.ref.workload}"), report.files.get(str(of.ref))
    return name if path is None else f"[{name}]({quote(path)})"


def why(recommendation: Recommendation) -> str:
    """The reasons in one line: notes, why each amount changes, what was seen of what stays."""
    parts = [*recommendation.notes, *filter(None, [held_back(recommendation)])]
    reasons = why_changed(recommendation)
    parts += [f"{TARGET_NAMES[target]}: {reason}" for target, reason in reasons.items()]
    parts += _seen(recommendation, reasons)
    found = {course(word) for word in recommendation.findings.values()}
    if len(found) > 1:
        found = {f"{name}: {course(word)}" for name, word in recommendation.findings.items()}
    if found:
        parts.append(", ".join(sorted(found)).replace("cpu:", "CPU:"))
    return " · ".join(parts)


def _seen(recommendation: Recommendation, told: Container[TargetName]) -> Iterator[str]:
    """What was used of what no reason has `told`."""
    seen = recommendation.evidence
    if "cpu_request" not in told and seen.cpu.p95 is not None and seen.cpu.max is not None:
        p95, most = level_text("cpu", seen.cpu.p95), level_text("cpu", seen.cpu.max)
        yield f"CPU p95 {p95}, max {most}"
    if "memory_request" not in told and seen.memory.max is not None:
        yield f"memory max {level_text('memory', seen.memory.max)}"


def _held(report: Report) -> str:
    """What stays although its usage speaks for another amount; such as under an autoscaler."""
    rows = [
        [markdown(str(r.ref)), markdown(held_back(r))]
        for r in sorted(report.recommendations, key=lambda r: r.ref)
        if not r.changed and held_back(r)
    ]
    return "## Held back\n\n" + markdown_table(["Container", "Why"], rows) if rows else ""


def _landings(report: Report) -> str:
    if not report.landings:
        return ""
    edited = [landing for landing in report.landings if landing.status == "edited"]
    advice = [landing for landing in report.landings if landing.status == "advice"]
    text = (
        f"## In Git\n\nEdited: {counted(len(edited), 'container')} in "
        f"{counted(len(report.changes), 'application')}, see `git/`."
    )
    if edited:
        text += " Every other character of the files is as before.\n\n" + _proofs(edited)
    if advice:
        rows = [[markdown(a.ref), markdown(a.file or "–"), markdown(a.reason)] for a in advice]
        text += "\n\nLeft to you:\n\n" + markdown_table(["Container", "File", "Why"], rows)
    return text


def _proofs(edited: Sequence[Landing]) -> str:
    """How many edits were rendered, by what, and how many could not be, by reason."""
    ways = Counter(_way(landing) for landing in edited)
    ordered = sorted(ways.items(), key=lambda item: (not item[0][0], -item[1], item[0]))
    return "\n".join(f"- {count} {markdown(how)}" for (_, how), count in ordered)


def _way(landing: Landing) -> tuple[bool, str]:
    """Whether an edit was rendered, and in words how it was proven."""
    proof = landing.proven
    if proof is None:
        return False, "proven, this run does not say how"
    if proof.rendered_with:
        left_out = f", without {proof.without}" if proof.without else ""
        how = f"rendered before and after with {proof.rendered_with}{left_out}: "
        return True, f"{how}what changes is what was meant"
    return False, f"checked by their text alone, {proof.not_rendered}"


def _skipped(report: Report) -> str:
    parts = []
    if report.skipped:
        rows = [[markdown(str(s.ref)), markdown(s.reason)] for s in report.skipped]
        parts.append("## Skipped\n\n" + markdown_table(["Container", "Why"], rows))
    unpatched = unwritten(report)
    if unpatched:
        rows = [[markdown(str(w)), markdown(reason)] for w, reason in unpatched.items()]
        parts.append("## No patch of the object\n\n" + markdown_table(["Workload", "Why"], rows))
    return "\n\n".join(parts)


def _footer(report: Report) -> str:
    created = f" on {_day(report.created)} UTC" if report.created else ""
    look = [
        f"[{words}]({quote(report.files[name])})"
        for name, words in _OPENED.items()
        if name in report.files
    ]
    opened = f"Open {', '.join(look)}. " if look else ""
    return (
        f"---\n\nMade by rightsize {markdown(report.version)}{created}. {opened}Patches are in "
        "`patches/`, everything is in `run.json`. Merging a change restarts the pods; reverting "
        "the commit brings the old amounts back."
    )
