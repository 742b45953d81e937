"""Why an amount changes, in one plain sentence for somebody who reviews the change."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from analyzer.models.demand import Resource
from analyzer.plots.text import level_text
from analyzer.quantity import TARGETS, Cpu, Memory, TargetName
from analyzer.recommend import Recommendation
from analyzer.recommend.notes import FAR_BELOW

_NAMES: Mapping[TargetName, str] = {
    "cpu_request": "CPU request",
    "cpu_limit": "CPU limit",
    "memory_request": "memory request",
    "memory_limit": "memory limit",
}


def reasons(recommendation: Recommendation) -> tuple[str, ...]:
    """A sentence for every amount that changes: what, from what to what, and what was seen.

    What changes with them in Git has its own.
    """
    along = (one.reason for one in recommendation.companions)
    amounts = (
        f"{_NAMES[target]} {_shown(now)} → {_shown(new)}: {_why(recommendation, target)}"
        for target in TARGETS
        if (now := recommendation.current.amount(target))
        != (new := recommendation.proposed.amount(target))
    )
    return (*amounts, *along)


def _shown(amount: Cpu | Memory | None) -> str:
    return "none" if amount is None else str(amount)


def _why(recommendation: Recommendation, target: TargetName) -> str:
    if target == "memory_limit":
        return _memory_limit(recommendation)
    if target == "cpu_limit":
        return last_reason(recommendation, target)
    if target == "memory_request":
        return _memory(recommendation)
    return _cpu(recommendation)


def last_reason(recommendation: Recommendation, target: TargetName) -> str:
    """Why the last step did what it did; that before it where the last one only rounds."""
    steps = [s for s in recommendation.trail.get(target, ()) if s.name != "round"]
    return steps[-1].reason if steps else "it follows the request"


def _memory_limit(recommendation: Recommendation) -> str:
    """What was seen, and how likely more comes; the rule where no limit is left."""
    limit, risk = recommendation.proposed.memory_limit, recommendation.stated_risk
    if limit is None or recommendation.evidence.memory.max is None or "memory_limit" not in risk:
        return last_reason(recommendation, "memory_limit")
    chance = f"{risk['memory_limit']:.1%}"
    seen = _memory(recommendation)
    return f"{seen}; more than {limit} has a chance of {chance} until the next review"


def _memory(recommendation: Recommendation) -> str:
    seen = recommendation.evidence
    counted = seen.oom_kills - seen.oom_elsewhere
    if counted:
        times = "once" if counted == 1 else f"{counted} times"
        at = f" at its limit of {seen.oom_limit}" if seen.oom_limit else ""
        return f"it was OOM-killed {times}{at}"
    if seen.memory.max is None:
        return last_reason(recommendation, "memory_request")
    peak = level_text("memory", seen.memory.max)
    return f"{_span(recommendation, 'memory')} it used {peak} at most"


def _cpu(recommendation: Recommendation) -> str:
    seen = recommendation.evidence
    if seen.throttled >= 0.01:  # less than that hardly shows
        return f"it was throttled at its limit in {seen.throttled:.0%} of the time"
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
