"""Why an amount changes, in one plain sentence for somebody who reviews the change."""

from __future__ import annotations

from datetime import datetime

from analyzer.models.demand import Resource
from analyzer.plots.text import TARGET_NAMES, level_text, percent
from analyzer.quantity import TARGETS, Cpu, Memory, TargetName
from analyzer.recommend import Recommendation
from analyzer.recommend.codes import CODES
from analyzer.recommend.notes import FAR_BELOW

_SAID = frozenset({"demand", "round", "killed", "throttled"})
"""Steps that add nothing to what was seen."""


def reasons(recommendation: Recommendation) -> tuple[str, ...]:
    """A sentence for every amount that changes: what, from what to what, and what was seen.

    What changes with them in Git has its own.
    """
    now, new = recommendation.current, recommendation.proposed
    amounts = (
        f"{TARGET_NAMES[target]} {_shown(now.amount(target))} → {_shown(new.amount(target))}: {why}"
        for target, why in why_changed(recommendation).items()
    )
    return (*amounts, *(one.reason for one in recommendation.companions))


def why_changed(recommendation: Recommendation) -> dict[TargetName, str]:
    """Why each amount that changes does, in plain words."""
    now, new = recommendation.current, recommendation.proposed
    changed = [target for target in TARGETS if now.amount(target) != new.amount(target)]
    found = {target: _why(recommendation, target) for target in changed}
    if "memory_request" in found and "memory_limit" in found:
        found["memory_limit"] = _beyond(found["memory_limit"], found["memory_request"])
    return found


def _beyond(told: str, before: str) -> str:
    """What `told` says that is not said in `before`, which stands beside it; all where nothing."""
    known = set(before.split("; "))
    return "; ".join(part for part in told.split("; ") if part not in known) or told


def _shown(amount: Cpu | Memory | None) -> str:
    return "none" if amount is None else str(amount)


def _why(recommendation: Recommendation, target: TargetName) -> str:
    if target == "cpu_limit":
        return last_reason(recommendation, target)
    tell = {"memory_limit": _memory_limit, "memory_request": _memory}.get(target, _cpu)
    said, decided = tell(recommendation), _deciding(recommendation, target)
    return said if decided in said else f"{said}; {decided}"


def _deciding(recommendation: Recommendation, target: TargetName) -> str:
    """What the policy had the last word with, where usage alone does not say why; else nothing."""
    steps = [s for s in recommendation.trail.get(target, ()) if s.name != "round"]
    if not steps or steps[-1].name not in CODES.keys() - _SAID:
        return ""
    return steps[-1].reason if steps[-1].before != steps[-1].after else ""


def last_reason(recommendation: Recommendation, target: TargetName) -> str:
    """Why the last step did what it did; that before it where the last one only rounds."""
    steps = [s for s in recommendation.trail.get(target, ()) if s.name != "round"]
    return steps[-1].reason if steps else "it follows the request"


def _memory_limit(recommendation: Recommendation) -> str:
    """What was seen, and how likely more comes; the rule where no limit is left."""
    limit, risk = recommendation.proposed.memory_limit, recommendation.stated_risk
    if limit is None or recommendation.evidence.memory.max is None:
        return last_reason(recommendation, "memory_limit")
    seen = _memory(recommendation)
    if "memory_limit" not in risk:
        # Of what was killed nobody has seen how much more it would have taken.
        return seen if _killed(recommendation) else last_reason(recommendation, "memory_limit")
    chance = percent(risk["memory_limit"])
    return f"{seen}; more than {limit} has a chance of {chance} until the next review"


def _memory(recommendation: Recommendation) -> str:
    seen, counted = recommendation.evidence, _killed(recommendation)
    if counted:
        times = "once" if counted == 1 else f"{counted} times"
        at = f" at its limit of {seen.oom_limit}" if seen.oom_limit else ""
        return f"it was OOM-killed {times}{at}"
    if seen.memory.max is None:
        return last_reason(recommendation, "memory_request")
    peak = level_text("memory", seen.memory.max)
    return f"{_span(recommendation, 'memory')} it used {peak} at most"


def _killed(recommendation: Recommendation) -> int:
    """How often it was killed for what it used itself."""
    return recommendation.evidence.oom_kills - recommendation.evidence.oom_elsewhere


def _cpu(recommendation: Recommendation) -> str:
    seen = recommendation.evidence
    if seen.throttled >= 0.01:  # less than that hardly shows
        return f"it was throttled at its limit for {seen.throttled:.0%} of the time"
    if seen.cpu.p95 is None or seen.cpu.max is None:
        return last_reason(recommendation, "cpu_request")
    usual, most = level_text("cpu", seen.cpu.p95), level_text("cpu", seen.cpu.max)
    span = _span(recommendation, "cpu")
    said = f"{span} it used {usual} or less for 95 % of the time, and {most} at most"
    hour, request = seen.busy_hour, recommendation.proposed.cpu_request
    if hour is None or request is None or hour.cores < FAR_BELOW * request.cores:
        return said
    return f"{said}; {hour.when} UTC it uses {level_text('cpu', hour.cores)} for an hour"


def _span(recommendation: Recommendation, resource: Resource) -> str:
    """The time that the evidence is about."""
    seen = recommendation.evidence
    since = seen.cpu_since if resource == "cpu" else seen.memory_since
    if since is not None:
        return f"since {_day(since)}"
    days = round(seen.days)
    return "within a day" if days <= 1 else f"in {days} days"


def _day(moment: datetime) -> str:
    return f"{moment.day} {moment:%b}"
