"""Notes: what a reviewer has to know besides the amounts. They claim no more than was seen."""

from __future__ import annotations

from collections.abc import Iterator

from analyzer.cutoff import NOTABLY_THROTTLED
from analyzer.kinds import runs_now_and_then
from analyzer.quantity import Resources
from analyzer.recommend.case import Facts
from analyzer.recommend.qos import guaranteed


def notes(facts: Facts, proposed: Resources) -> tuple[str, ...]:
    """All notes on one container, what matters most first."""
    return (
        *_kills(facts),
        *_quality_of_service(facts, proposed),
        *_throttling(facts),
        *_history(facts),
    )


def _kills(facts: Facts) -> Iterator[str]:
    kills, seen = facts.kills, facts.evidence
    at = f" at {seen.oom_limit}" if seen.oom_limit else ""
    if kills.fills:
        yield (
            f"OOM-killed {_times(kills.at_limit)}{at}, at higher and higher limits: it fills what "
            "it gets, so the limit stays; give it a bound of its own"
        )
    elif kills.at_limit:
        yield f"OOM-killed {_times(kills.at_limit)}{at}; its need is above that limit"
    if (
        kills.at_limit
        and not kills.fills
        and (facts.findings.get("memory") == "leak" or 2 * kills.slow > kills.at_limit)
    ):
        yield "killed while climbing: a higher limit may only delay the next kill"
    if kills.elsewhere and facts.current.memory_limit is None:
        yield (
            f"OOM-killed {_times(kills.elsewhere)} without a limit: the node ran out, and the "
            "request is the lever"
        )
    elif kills.elsewhere:
        more = " more" if kills.at_limit else at
        yield (
            f"OOM-killed {_times(kills.elsewhere)}{more} while usage was far below the limit, "
            "which was not the cause: the node ran out, or a child process was killed; the request "
            "is the lever"
        )


def _quality_of_service(facts: Facts, proposed: Resources) -> Iterator[str]:
    if guaranteed(facts.spec.resources) and not guaranteed(proposed):
        yield "leaves the Guaranteed QoS class; keep_qos: true keeps it there"


def _throttling(facts: Facts) -> Iterator[str]:
    share = facts.evidence.throttled
    if share >= NOTABLY_THROTTLED:
        yield f"CPU-throttled in {share:.0%} of the time; its need is higher than seen"


def _history(facts: Facts) -> Iterator[str]:
    seen = facts.evidence
    runs_always = facts.spec.container_type != "init" and not runs_now_and_then(facts.kind)
    if seen.coverage < 0.9 and runs_always:
        yield f"{1 - seen.coverage:.0%} of its time was not observed"
    if seen.days < 7:
        yield f"only {seen.days:.1f} days of history"


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"
