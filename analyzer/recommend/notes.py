"""Notes: what a reviewer has to know besides the amounts. They claim no more than was seen."""

from __future__ import annotations

from collections.abc import Iterator

from analyzer.cutoff import NOTABLY_THROTTLED
from analyzer.evidence.hours import LEAST_CORES
from analyzer.evidence.pods import UNLIKE, Spread
from analyzer.kinds import runs_now_and_then
from analyzer.quantity import Cpu, Memory, Resources
from analyzer.recommend.case import Facts
from analyzer.recommend.memory_limit import why_it_fills
from analyzer.recommend.scale import moved_points


def notes(facts: Facts, proposed: Resources) -> tuple[str, ...]:
    """All notes on one container, what matters most first."""
    return (
        *_pods(facts, proposed),
        *_busy_hour(facts, proposed),
        *_start(facts, proposed),
        *_heap(facts, proposed),
        *_taken(facts, proposed),
        *_kills(facts),
        *moved_points(facts, proposed),
        *_importance(facts),
        *_pod_level(facts),
        *_throttling(facts),
        *_since(facts),
        *_history(facts),
    )


_SPLIT = "split the workload, by node or by role, or it goes on paying for or starving the few"
FAR_BELOW = 3.0
"""So many times its request a container may use for an hour before that is told."""
_LEAST_BYTES = 64 * 1024**2


def _pods(facts: Facts, proposed: Resources) -> Iterator[str]:
    cpu, memory = facts.evidence.cpu_pods, facts.evidence.memory_pods
    parts = []
    if cpu and cpu.ratio >= UNLIKE and cpu.worst - cpu.typical >= LEAST_CORES:
        worst, typical = Cpu.from_cores(cpu.worst), Cpu.from_cores(cpu.typical)
        parts.append(
            f"{cpu.high} of {cpu.pods} need {cpu.ratio:.0f} x the median pod's CPU "
            f"{_how_long(cpu)} ({worst.human()} against {typical.human()})"
        )
        if proposed.cpu_request is not None and proposed.cpu_request < worst:
            parts.append(f"which is above the request of {proposed.cpu_request.human()}")
    if memory and memory.ratio >= UNLIKE and memory.worst - memory.typical >= _LEAST_BYTES:
        worst_bytes = Memory.from_bytes(memory.worst)
        parts.append(
            f"{memory.high} of {memory.pods} hold {memory.ratio:.0f} x the median pod's memory "
            f"({worst_bytes.human()} against {Memory.from_bytes(memory.typical).human()})"
        )
    if parts:
        yield f"pods differ: {', '.join(parts)}; {_SPLIT}"


def _how_long(spread: Spread) -> str:
    return "lately" if spread.lately else "all the time"


def _busy_hour(facts: Facts, proposed: Resources) -> Iterator[str]:
    hour, request = facts.evidence.busy_hour, proposed.cpu_request
    if hour is None or request is None or hour.cores < FAR_BELOW * request.cores:
        return
    yield (
        f"busy {hour.when} UTC for an hour: {Cpu.from_cores(hour.cores).human()} of CPU, "
        f"{hour.cores / max(request.cores, 0.001):.0f} x the request; it then lives on what the "
        "node has to spare (busy_hour_floor raises the request)"
    )


def _heap(facts: Facts, proposed: Resources) -> Iterator[str]:
    """A heap that is a share of the limit moves with it, without anybody changing a setting."""
    limit = proposed.memory_limit
    percents = [bound.heap_percent for bound in facts.bounds if bound.heap_percent]
    if limit is None or limit == facts.current.memory_limit or not percents:
        return
    heap = Memory.from_bytes(limit.bytes * min(percents[0], 100) / 100)
    yield (
        f"its Java heap moves with the limit by itself: MaxRAMPercentage={percents[0]:g} makes it "
        f"{heap.human()} of {limit}"
    )


def _taken(facts: Facts, proposed: Resources) -> Iterator[str]:
    """A setting of the program that is its CPU request goes with it."""
    now, new = facts.current.cpu_request, proposed.cpu_request
    if now is None or new is None or now == new:
        return
    for bound in facts.bounds:
        if bound.target == "cpu_request" and bound.follows:
            yield f"{bound.reason}; it goes with it from {now.human()} to {new.human()}"


def _start(facts: Facts, proposed: Resources) -> Iterator[str]:
    """A start that uses many times the request is quick only where the node has it to spare."""
    cores, request = facts.evidence.start_cpu, proposed.cpu_request
    if cores is None or request is None or runs_now_and_then(facts.kind):
        return
    if cores < max(FAR_BELOW * request.cores, LEAST_CORES):
        return
    yield (
        f"a start uses {Cpu.from_cores(cores).human()} of CPU, "
        f"{cores / max(request.cores, 0.001):.0f} x the request; where the node has nothing to "
        "spare it takes longer, so let its startupProbe allow for that"
    )


def _since(facts: Facts) -> Iterator[str]:
    seen = facts.evidence
    if seen.cpu_since and seen.cpu_before and seen.cpu_before.p95 is not None:
        before = Cpu.from_cores(seen.cpu_before.p95).human()
        yield f"CPU is judged since {seen.cpu_since:%Y-%m-%d}; before, its p95 was {before}"
    if seen.memory_since and seen.memory_before and seen.memory_before.max is not None:
        before = Memory.from_bytes(seen.memory_before.max).human()
        yield f"memory is judged since {seen.memory_since:%Y-%m-%d}; before, it peaked at {before}"


def _kills(facts: Facts) -> Iterator[str]:
    kills, seen = facts.kills, facts.evidence
    at = f" at {seen.oom_limit}" if seen.oom_limit else ""
    if kills.fills:
        yield (
            f"OOM-killed {_times(kills.at_limit)}{at}, {why_it_fills(kills)}: it fills what it "
            "gets, so the limit stays; give it a bound of its own"
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


def _importance(facts: Facts) -> Iterator[str]:
    """A class of unknown value, where it would have counted."""
    held = {"nodes", "spare", "quota"} & {room.code for room in facts.rooms}
    if held and facts.importance.value is None:
        yield (
            f"the value of its PriorityClass {facts.importance.name} is not told, so it counted "
            "for nothing; --ask-cluster tells it, or the repository where it declares the class"
        )


def _pod_level(facts: Facts) -> Iterator[str]:
    """Amounts of a pod as a whole hold beside those of its containers."""
    of = facts.spec.pod_resources
    amounts = [
        f"{name} {amount}"
        for name, amount in (
            ("CPU request", of.cpu_request),
            ("CPU limit", of.cpu_limit),
            ("memory request", of.memory_request),
            ("memory limit", of.memory_limit),
        )
        if amount is not None
    ]
    if amounts:
        yield f"its pod as a whole has {', '.join(amounts)}, which all its containers share"


def _throttling(facts: Facts) -> Iterator[str]:
    share = facts.evidence.throttled
    if share >= NOTABLY_THROTTLED:
        yield f"CPU-throttled in {share:.0%} of the time; its need is higher than seen"


def _history(facts: Facts) -> Iterator[str]:
    seen = facts.evidence
    runs_always = facts.spec.container_type != "init" and not runs_now_and_then(facts.kind)
    if seen.coverage < 0.9 and runs_always:
        yield f"{1 - seen.coverage:.0%} of its time was not observed"
    if (seen.days if seen.runs is None else seen.runs) < 7:
        yield f"only {seen.length} of history"


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"
