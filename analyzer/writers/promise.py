"""Promised against happened, as a section of the summary."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import quote

from analyzer.escape import markdown
from analyzer.ledger.outcome import Outcome, overruns
from analyzer.plots.text import counted, percent
from analyzer.report import MONTHS
from analyzer.workload import ContainerRef

_WORDS = {
    "cpu_request": "CPU was above the request for {} of the time ({} promised)",
    "memory_request": "memory peaked above the request in {} of weeks ({} promised)",
    "memory_limit": "containers were killed in {} of weeks ({} promised)",
}


def promises(
    outcomes: Sequence[Outcome],
    instead: Mapping[ContainerRef, str],
    files: Mapping[str, str] = {},
) -> str:
    """What merged changes promised and what happened.

    Those that harmed come first, with the way back and what is proposed `instead`. `files` are the
    charts to be opened, as `Report.files` names them.
    """
    if not outcomes:
        return ""
    harmed = [
        _harm(outcome, instead.get(outcome.ref, ""), files.get(f"{MONTHS}{outcome.ref}"))
        for outcome in outcomes
        if outcome.harmed
    ]
    parts = ["## Promised and happened"]
    if harmed:
        parts.append(
            "Followed by kills, evictions, throttling or slower runs; look at these first:"
        )
        parts.append("\n".join(harmed))
    parts.append(_in_sum(outcomes))
    return "\n\n".join(parts)


def _harm(outcome: Outcome, instead: str, chart: str | None) -> str:
    seen = []
    if outcome.kills:
        seen.append(f"killed {counted(outcome.kills, 'time')}")
    if outcome.throttled:
        seen.append(f"throttled for {percent(outcome.throttled)} of the time")
    seen += ["evicted from a node that ran short"] if outcome.pressed else []
    seen += slower_text(outcome)
    name = markdown(str(outcome.ref))
    linked = name if chart is None else f"[{name}]({quote(chart)})"
    whose = "as proposed" if outcome.origin == "proposed" else "changed by hand"
    return (
        f"- {linked}: {' and '.join(seen)} since {outcome.merged:%Y-%m-%d} "
        f"({whose}). To take it back: {outcome.way_back}. "
        + (f"Proposed instead: {instead}." if instead else "Nothing is proposed instead.")
    )


def slower_text(outcome: Outcome) -> list[str]:
    """That runs take longer since, in words; nothing where they do not."""
    if not outcome.slower or outcome.run_hours is None or outcome.run_hours_before is None:
        return []
    now, before = (f"{hours:.1f} h" for hours in (outcome.run_hours, outcome.run_hours_before))
    return [f"runs that take {now} instead of {before}"]


def _in_sum(outcomes: Sequence[Outcome]) -> str:
    judged = [outcome for outcome in outcomes if outcome.promised]
    if not judged:
        return f"{counted(len(outcomes), 'change')} made by hand; no risk was stated for them."
    weeks = sum(outcome.weeks for outcome in judged)
    promised, happened = overruns(judged)
    return (
        f"{counted(len(judged), 'merged change')}, together {weeks:.1f} weeks of single "
        f"containers: {'; '.join(compared(promised, happened))}."
    )


def compared(promised: Mapping[str, float], happened: Mapping[str, float]) -> list[str]:
    """What happened beside what was promised, by amount, in words."""
    return [
        words.format(percent(happened[target]), percent(promised[target]))
        for target, words in _WORDS.items()
        if target in promised
    ]
