"""Promised against happened, as a comment on the pull request that made the promise."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from analyzer.escape import markdown, markdown_table
from analyzer.forge.promise import Key, Promise, key_of, promised
from analyzer.forge.protocol import PullRequest
from analyzer.ledger.outcome import Outcome
from analyzer.quantity import Cpu, Memory, Quantity
from analyzer.workload import ContainerRef

WEEKS = (4, 1)
"""After so many weeks a comment says what came, the latest first."""

_LACKS = 0.15
"""A week that a run sees is rarely whole: a day may lack at either end."""

_HEAD = (
    "Container", "CPU, 95 % of the time", "memory at most", "CPU above its request",
    "memory above its request", "OOM kills", "restarts", "evictions", "throttled",
)  # fmt: skip

_Pair = tuple[Promise, Outcome]


def marker(occasion: str) -> str:
    """What tells that a comment for this occasion is there already."""
    return f"<!-- rightsize-verdict:{occasion} -->"


def verdict(
    request: PullRequest, outcomes: Iterable[Outcome], instead: Mapping[ContainerRef, str]
) -> tuple[str, str] | None:
    """The occasion and the text of what is to be said about a merged pull request now.

    `instead` is what is proposed now, in words, by container.

    None where nothing is known yet, or its amounts do not hold any more. A kill or heavy
    throttling is said at once, else the first and the fourth week are.
    """
    found = _about(promised(request.text.body), outcomes)
    if not found:
        return None
    outcomes = [outcome for _, outcome in found]
    harmed = [one for one in outcomes if one.harmed]
    if harmed:
        return "harm", _text(_harm(harmed, instead), found)
    weeks = min(one.weeks for one in outcomes)
    due = next((week for week in WEEKS if weeks >= week - _LACKS), None)
    if due is None:
        return None
    lived = "one week" if due == 1 else f"{due} weeks"
    return str(due), _text(f"**After {lived}**: no kill, and no heavy throttling.", found)


def _about(promises: Sequence[Promise], outcomes: Iterable[Outcome]) -> list[_Pair]:
    """What a pull request promised with what came of it, where its amounts are those that hold."""
    known: Mapping[Key, Outcome] = {
        (o.ref.namespace, o.ref.kind, o.ref.workload, o.ref.container): o for o in outcomes
    }
    pairs = [(p, known.get(key_of(p))) for p in promises]
    return [(promise, came) for promise, came in pairs if came and _holds(promise, came)]


def _holds(promise: Promise, outcome: Outcome) -> bool:
    amounts = {target: getattr(outcome.now, target, None) for target in promise.after}
    return all(
        amount is not None and amount.units == promise.after[target]
        for target, amount in amounts.items()
    )


def _harm(harmed: Sequence[Outcome], instead: Mapping[ContainerRef, str]) -> str:
    lines = [
        "**This change has done harm.** Revert this pull request, or merge what is proposed "
        "instead; that comes first of all that is proposed."
    ]
    for one in harmed:
        lines.append(
            f"- {markdown(str(one.ref))}: {harm_text(one)}. To take it back: {one.way_back}. "
            f"Proposed instead: {instead.get(one.ref) or 'nothing'}."
        )
    return "\n".join(lines)


def harm_text(one: Outcome) -> str:
    """What has happened to a container since its change, in a few words."""
    times = "once" if one.kills == 1 else f"{one.kills} times"
    what = [f"OOM-killed {times}"] if one.kills else []
    what += [f"throttled {one.throttled:.0%} of the time"] if one.throttled else []
    what += ["evicted from a node that ran short"] if one.pressed else []
    what += [f"running {one.run_hours:.1f} h at a time"] if one.slower and one.run_hours else []
    return f"{', '.join(what)} since"


def has_lived(one: Outcome, weeks: int) -> bool:
    """Whether its amounts have held for so many weeks."""
    return one.weeks >= weeks - _LACKS


def _text(first: str, found: Sequence[_Pair]) -> str:
    rows = [
        [
            markdown(str(one.ref)),
            _used(one.cpu_cores, promise.predicted.get("cpu"), Cpu.from_cores),
            _used(one.memory_bytes, promise.predicted.get("memory"), Memory.from_bytes),
            _pair(one, "cpu_request", "of the time"),
            _pair(one, "memory_request", "of the weeks"),
            *(str(count) for count in (one.kills, one.restarts, one.evictions)),
            f"{one.throttled:.0%}",
        ]
        for promise, one in found
    ]
    return f"{first}\n\n{markdown_table(_HEAD, rows)}\n"


def _used(came: float | None, predicted: float | None, amount: Callable[[float], Quantity]) -> str:
    """What was used since, and what was predicted for the weeks between reviews."""
    if came is None:
        return "not told"
    told = "nothing" if predicted is None else amount(predicted).human()
    return f"{amount(came).human()}, {told} predicted"


def _pair(one: Outcome, target: str, unit: str) -> str:
    if target not in one.promised:
        return "nothing stated"
    return f"{one.happened[target]:.1%} {unit}, {one.promised[target]:.1%} stated"


def score_line(outcomes: Sequence[Outcome]) -> str:
    """Over all changes that were merged as proposed: what was stated and what came, in one line."""
    merged = [one for one in outcomes if one.origin == "proposed" and one.weeks > 0]
    if not merged:
        return ""
    parts = []
    for target, what in (
        ("cpu_request", "CPU above the request"),
        ("memory_request", "memory above the request"),
        ("memory_limit", "killed at the limit"),
    ):
        told = [one for one in merged if target in one.promised]
        weeks = sum(one.weeks for one in told)
        if weeks:
            stated = sum(one.promised[target] * one.weeks for one in told) / weeks
            came = sum(one.happened[target] * one.weeks for one in told) / weeks
            parts.append(f"{what}: {stated:.1%} stated, {came:.1%} came")
    many = "1 merged change" if len(merged) == 1 else f"{len(merged)} merged changes"
    return f"{many}: {'; '.join(parts)}." if parts else ""
