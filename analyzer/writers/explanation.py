"""How the amounts of containers came about, step by step, as text."""

from __future__ import annotations

from collections.abc import Iterator

from analyzer.escape import printable
from analyzer.evidence import Evidence
from analyzer.history import Skipped
from analyzer.kinds import kind_of
from analyzer.models.demand import Step
from analyzer.plots.text import TARGET_NAMES, percent
from analyzer.quantity import TargetName
from analyzer.recommend import TARGETS, Recommendation
from analyzer.report import Report
from analyzer.writers.glossary import step_words


def explanation(report: Report) -> str:
    """The trail of every amount of a report, and why what was skipped was; ends with a newline."""
    told = [_lines(r, report.model) for r in report.recommendations]
    told += [_skipped(one) for one in report.skipped]
    return "\n".join("".join(f"{printable(line)}\n" for line in lines) for lines in told)


def _lines(of: Recommendation, model: str) -> Iterator[str]:
    seen = of.evidence
    yield str(of.ref)
    yield (
        f"  {of.container_type} container, {_many(of.replicas, 'replica')}; "
        f"{seen.days:.1f} days, {_many(seen.samples, 'sample')} of {_many(seen.pods, 'pod')}, "
        f"{seen.coverage:.0%} of the time observed"
    )
    yield f"  model {model}, confidence {of.confidence:.0%}"
    happened = _happened(seen)
    if happened:
        yield f"  seen: {', '.join(happened)}"
    yield from (f"  note: {note}" for note in of.notes)
    kind = kind_of(of.ref.kind)
    if of.changed and kind is not None:
        yield f"  when it is changed: {kind.on_change}"
    for one in of.companions:
        yield f"  in the same edit: {one.title}: {one.change} ({one.place or 'not in Git'})"
    for target in TARGETS:
        yield f"  {TARGET_NAMES[target]}: {of.transition(target)}"
        yield from (f"    {_step(step, target)}" for step in of.trail[target])


def _step(step: Step, target: TargetName) -> str:
    """``1.31 -> 1.4 cores  round amount: up to an amount a person would write [round]``."""
    amounts = dict.fromkeys(part for part in (step.before, step.after) if part)
    last = next(reversed(amounts), "")
    unit = " cores" if target.startswith("cpu") and last and not last.endswith("m") else ""
    words = step_words(step.name)
    code = "" if words == step.name else f" [{step.name}]"
    return f"{' -> '.join(amounts) + unit:<20} {words}: {step.reason}{code}"


def _skipped(one: Skipped) -> Iterator[str]:
    yield str(one.ref)
    yield f"  skipped: {one.reason}"


def _happened(seen: Evidence) -> list[str]:
    """What befell a container besides its usage; nothing is said of what did not."""
    counts = ((seen.oom_kills, "OOM kill"), (seen.restarts, "restart"))
    shares = (
        (seen.throttled, "throttled in {} of the steps"),
        (seen.cpu_pressure, "waiting for CPU in {} of the hours"),
        (seen.memory_pressure, "waiting for memory in {} of the hours"),
    )
    return [
        *(_many(count, noun) for count, noun in counts if count),
        *(text.format(percent(share)) for share, text in shares if share),
    ]


def _many(count: int, noun: str) -> str:
    """With plain digits, to be searched and cut."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
