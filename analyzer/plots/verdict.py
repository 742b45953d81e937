"""The verdict in words: what changes, by how much, and how sure that is."""

from __future__ import annotations

from datetime import timedelta

from analyzer.models.demand import RESOURCES, Resource
from analyzer.plots.chart_data import Headline, Tone, Verdict
from analyzer.plots.text import (
    amount,
    change_percent,
    counted,
    level_text,
    percent,
    plain,
    shorten,
    total_text,
)
from analyzer.quantity import Cpu, Memory
from analyzer.recommend import Recommendation
from analyzer.report import held_back

_NAMES: dict[Resource, str] = {"cpu": "CPU", "memory": "Memory"}
_NAME_LENGTH = 63
"""What Kubernetes allows a label, and so most names."""


def headline(recommendation: Recommendation, cluster: str, step: timedelta) -> Headline:
    """All words above the chart of one container, free of markup and of any length."""
    ref = recommendation.ref
    names = [shorten(plain(name), _NAME_LENGTH) for name in (ref.namespace, ref.workload)]
    return Headline(
        title=f"{names[0]} / {names[1]} · {shorten(plain(ref.container), _NAME_LENGTH)}",
        verdicts=verdicts(recommendation),
        facts=_facts(recommendation, cluster, step),
        outcome=_outcome(recommendation),
        remark=_remark(recommendation),
        risk=_risk(recommendation),
    )


def verdicts(recommendation: Recommendation) -> tuple[Verdict, ...]:
    """One verdict per resource, or a single one where nothing changes."""
    if not recommendation.changed:
        return (Verdict("Nothing changes", "same"),)
    return tuple(_verdict(recommendation, resource) for resource in RESOURCES)


def _verdict(recommendation: Recommendation, resource: Resource) -> Verdict:
    name = _NAMES[resource]
    now, new = _pair(recommendation, f"{resource}_request")
    if now != new:
        return Verdict(f"{name} {_transition(now, new)}", _tone(now, new))
    old_limit, new_limit = _pair(recommendation, f"{resource}_limit")
    if old_limit != new_limit:
        text = f"{name} limit {_transition(old_limit, new_limit)}"
        # No limit is more room, not less.
        rises = new_limit is None or (old_limit is not None and new_limit > old_limit)
        return Verdict(text, "more" if rises and new_limit is not None else "less")
    return Verdict(f"{name} stays {amount(now) if now is not None else 'unset'}", "same")


def _pair(
    recommendation: Recommendation, target: str
) -> tuple[Cpu | Memory | None, Cpu | Memory | None]:
    return getattr(recommendation.current, target), getattr(recommendation.proposed, target)


def _transition(now: Cpu | Memory | None, new: Cpu | Memory | None) -> str:
    text = f"{amount(now)} → {amount(new)}"
    if now is not None and new is not None and now.units:
        text += f" ({change_percent(now.units, new.units)})"
    return text


def _tone(now: Cpu | Memory | None, new: Cpu | Memory | None) -> Tone:
    before, after = (q.units if q is not None else 0 for q in (now, new))
    return "more" if after > before else "less"


def _facts(recommendation: Recommendation, cluster: str, step: timedelta) -> str:
    seen = recommendation.evidence
    kind = plain(recommendation.ref.kind)
    if recommendation.container_type != "app":
        kind += f", {plain(recommendation.container_type)} container"
    parts = [
        kind,
        counted(recommendation.replicas, "replica"),
        f"{_days(seen.days)} at {_duration(step)}",
        counted(seen.samples, "sample"),
        f"cluster {shorten(plain(cluster), 32)}",
    ]
    return " · ".join(parts)


def _days(days: float) -> str:
    if days < 0.95:
        return counted(max(1, round(days * 24)), "hour")
    text = f"{days:.1f}".removesuffix(".0")
    return f"{text} day" if text == "1" else f"{text} days"


def _duration(step: timedelta) -> str:
    seconds = round(step.total_seconds())
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds >= size and seconds % size == 0:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def _outcome(recommendation: Recommendation) -> str:
    """What it saves or asks for over all replicas, and how sure it is."""
    freed: list[str] = []
    added: list[str] = []
    for resource in RESOURCES:
        units = recommendation.request_change(resource)
        if units:
            (freed if units < 0 else added).append(total_text(resource, abs(units)))
    parts = []
    if freed:
        parts.append(f"saves {' and '.join(freed)}")
    if added:
        parts.append(f"needs {' and '.join(added)} more")
    parts.append(f"{confidence_word(recommendation.confidence)} confidence")
    return " · ".join(parts)


def confidence_word(confidence: float) -> str:
    """``high``, ``medium`` or ``low``."""
    if confidence >= 0.7:
        return "high"
    return "medium" if confidence >= 0.4 else "low"


_COURSES = {
    "shift": "usage moved to another level",
    "growth": "usage grows",
    "decline": "usage declines",
    "leak": "usage climbs through each pod's life",
}
"""Findings that are no adjective of usage."""


def course(finding: str) -> str:
    """What the history of a resource looks like, in words: ``usage grows``, ``steady usage``."""
    return _COURSES.get(finding, f"{plain(finding)} usage")


def _remark(recommendation: Recommendation) -> str:
    """The most telling sentence: a note, else why something is held, else the findings."""
    if recommendation.notes:
        return plain(recommendation.notes[0])
    reason = held_back(recommendation)
    if reason:
        return plain(reason)
    found = {
        name: word
        for resource, name in _NAMES.items()
        if (word := recommendation.findings.get(resource))
    }
    if len(set(found.values())) == 1:
        word = next(iter(found.values()))
        return course(word)
    return " · ".join(f"{name} {plain(word)}" for name, word in found.items())


def _risk(recommendation: Recommendation) -> str:
    """The stated risk of what was chosen; what is merely kept has none to state."""
    now, new = recommendation.current, recommendation.proposed
    risk = {
        target: value
        for target, value in recommendation.stated_risk.items()
        if getattr(now, target) != getattr(new, target) and getattr(new, target) is not None
    }
    parts = []
    if "cpu_request" in risk:
        parts.append(f"CPU above its request {percent(risk['cpu_request'])} of the time")
    if "memory_request" in risk:
        parts.append(f"memory with {percent(risk['memory_request'])} chance")
    if "memory_limit" in risk:
        parts.append(f"OOM kill with {percent(risk['memory_limit'])}")
    return f"stated risk: {', '.join(parts)}" if parts else ""


def describe(recommendation: Recommendation) -> str:
    """Alternative text for the chart of one container, in one or two sentences."""
    ref, seen = recommendation.ref, recommendation.evidence
    names = "/".join(shorten(plain(n), _NAME_LENGTH) for n in (ref.namespace, ref.workload))
    what = "; ".join(_lower_first(verdict.text) for verdict in verdicts(recommendation))
    used = [
        f"{_NAMES[resource]} p95 {text} and maximum {most}"
        for resource in RESOURCES
        for text, most in [_used(recommendation, resource)]
        if text
    ]
    happened = [
        counted(count, noun)
        for count, noun in ((seen.oom_kills, "OOM kill"), (seen.restarts, "restart"))
        if count
    ]
    sentence = f"Container {shorten(plain(ref.container), _NAME_LENGTH)} of {names}: {what}."
    facts = ", ".join([*used, *happened])
    return f"{sentence} {_days(seen.days).capitalize()} of usage: {facts}." if facts else sentence


def _used(recommendation: Recommendation, resource: Resource) -> tuple[str, str]:
    seen = getattr(recommendation.evidence, resource)
    if seen.p95 is None or seen.max is None:
        return "", ""
    return level_text(resource, seen.p95), level_text(resource, seen.max)


def _lower_first(text: str) -> str:
    return text if text.startswith("CPU") else text[:1].lower() + text[1:]
