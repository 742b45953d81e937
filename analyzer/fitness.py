"""Whether a change in Git still fits what was measured, amount by amount, for its reviewers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from analyzer.escape import code, markdown, markdown_table
from analyzer.gitops.index.known_scaler import known_hpa
from analyzer.gitops.index.place import Place
from analyzer.gitops.index.repository_index import RepositoryIndex
from analyzer.gitops.index.trace import LiveContainer, Trace, trace
from analyzer.gitops.text.resources import BY_FIELD, ROWS, Field, Row, amounts
from analyzer.plots.text import TARGET_NAMES, level_text
from analyzer.quantity import Cpu, Memory, Resources, TargetName
from analyzer.reason import last_reason
from analyzer.recommend import Recommendation
from analyzer.recommend.scale import MOST_SHIFT
from analyzer.report import Report
from analyzer.spec import Utilisation
from analyzer.workload import ContainerRef, slug

Fit = Literal["low", "tight", "unknown", "spare", "fits"]
"""``low``: less than was seen to be needed; ``tight``: more than was seen, less than a review would
ask for; ``spare``: much more than that; ``unknown``: nothing was measured to hold it against."""

WORDS: Mapping[Fit, str] = {
    "low": "**too low**",
    "tight": "tight",
    "unknown": "not measured",
    "spare": "more than it needs",
    "fits": "fits",
}
_ORDER: tuple[Fit, ...] = tuple(WORDS)
_SPARE = 1.5
"""From so many times what a review would ask for on, it is said that less would do."""
_MOST_SHOWN = 50


@dataclass(frozen=True, slots=True)
class Judgement:
    """One amount that a change touches, as written before and after, and how it fits."""

    container: str
    target: str
    before: str
    after: str
    needed: str
    fit: Fit
    reason: str
    where: str

    def to_dict(self) -> dict[str, str]:
        """The judgement as plain values, for JSON."""
        names = ("container", "target", "before", "after", "needed", "fit", "reason", "where")
        return {name: getattr(self, name) for name in names}


def judge(
    report: Report, live: Sequence[LiveContainer], before: RepositoryIndex, after: RepositoryIndex
) -> list[Judgement]:
    """Every request and limit that differs between two states of a repository, the worst first.

    `live` are the containers of the report. What no container of theirs is known to run from is
    there as well, as not measured. A container that `after` no longer declares is left out.
    """
    known = {r.ref: r for r in report.recommendations}
    skipped = {s.ref: s.reason for s in report.skipped}
    found: list[Judgement] = []
    seen: set[str] = set()
    pairs = list(zip(trace(live, before), trace(live, after), strict=True))
    found += _scale_points(pairs, before, after)
    for old, new in pairs:
        if new.place is None:
            continue
        seen.add(new.place.where)
        for row in _changed(old, new):
            found.append(_judged(new.ref, known.get(new.ref), skipped, row, (old, new)))
    found += _untraced(before, after, seen)
    return sorted(found, key=lambda j: (_ORDER.index(j.fit), j.container, j.where, j.target))


def _declared(traced: Trace) -> Mapping[Field, str]:
    """What the repository states for a container, as written."""
    if traced.expectation is not None:
        return traced.expectation.declared
    return dict(traced.place.declared) if traced.place is not None else {}


def _changed(old: Trace, new: Trace) -> Iterator[Row]:
    """The amounts that are stated otherwise; another spelling of the same is no change."""
    left, right = _declared(old), _declared(new)
    for row in ROWS:
        ours, theirs = left.get(row.field), right.get(row.field)
        if ours != theirs and (row.read(ours) != row.read(theirs) or row.read(theirs) is None):
            yield row


def _scale_points(
    pairs: Sequence[tuple[Trace, Trace]], before: RepositoryIndex, after: RepositoryIndex
) -> Iterator[Judgement]:
    """Targets of autoscalers that do not follow requests which they are a share of."""
    by_workload: dict[tuple[str, str, str], list[tuple[Trace, Trace]]] = {}
    for old, new in pairs:
        ref = new.ref
        by_workload.setdefault((ref.namespace, ref.kind, ref.workload), []).append((old, new))
    for workload, members in by_workload.items():
        was, now = (
            known_hpa(None, index.scalers_of.get(workload, ())) for index in (before, after)
        )
        for target in now.targets if now is not None else ():
            ours = was.target_of(target.resource, target.container or "") if was else None
            if now is not None and ours is not None and ours.container == target.container:
                yield from _scale_point(members, now.name, ours, target)


def _scale_point(
    members: Sequence[tuple[Trace, Trace]], name: str, was: Utilisation, now: Utilisation
) -> Iterator[Judgement]:
    """How far one target lets its scale point move, where that is more than a whole percent."""
    row = BY_FIELD["requests.cpu" if now.resource == "cpu" else "requests.memory"]
    counted = [pair for pair in members if now.counts(pair[1].ref.container)]
    sums = [
        sum(
            a.units for pair in counted if (a := row.of(amounts(_declared(pair[side])).effective()))
        )
        for side in (0, 1)
    ]
    if not all(sums) or sums[0] == sums[1]:
        return
    shift = sums[1] * now.percent / (sums[0] * was.percent) - 1
    if abs(shift) <= MOST_SHIFT:
        return
    kind = Cpu if now.resource == "cpu" else Memory
    points = [
        kind(round(total * share / 100)).human()
        for total, share in zip(sums, (was.percent, now.percent), strict=True)
    ]
    resource = "CPU" if now.resource == "cpu" else now.resource
    yield Judgement(
        container=str(counted[0][1].ref),
        target=f"HPA {name}, target of {resource}",
        before=f"{was.percent:g} %",
        after=f"{now.percent:g} %",
        needed=f"{was.percent * sums[0] / sums[1]:.0f} %",
        fit="tight",
        reason=(
            f"requests change and the target does not follow: another pod is added at {points[1]} "
            f"a pod instead of {points[0]}"
        ),
        where=now.place,
    )


def _judged(
    ref: ContainerRef,
    known: Recommendation | None,
    skipped: Mapping[ContainerRef, str],
    row: Row,
    traces: tuple[Trace, Trace],
) -> Judgement:
    was, now = (_declared(one).get(row.field) for one in traces)
    amount = row.read(now)
    needed = "?"
    if known is None:
        fit, reason = _unknown(f"it was skipped: {skipped.get(ref, 'nothing is known of it')}")
    elif now is not None and amount is None:
        fit, reason = _unknown("what is written there is no plain amount")
    else:
        needed = _shown(known.proposed.amount(row.attribute))
        fit, reason = _fit(known, row.attribute, _in_force(amount, row, traces[1]))
    place = traces[1].place
    return Judgement(
        container=str(ref),
        target=TARGET_NAMES[row.attribute],
        before=was or "none",
        after=now or "none",
        needed=needed,
        fit=fit,
        reason=reason,
        where=place.where if place is not None else "",
    )


def _unknown(reason: str) -> tuple[Fit, str]:
    return "unknown", reason


def _in_force(amount: Cpu | Memory | None, row: Row, traced: Trace) -> Cpu | Memory | None:
    """The amount, or what Kubernetes puts in the place of a request that is not stated."""
    if amount is not None:
        return amount
    return amounts(_declared(traced)).effective().amount(row.attribute)


def _fit(known: Recommendation, target: TargetName, amount: Cpu | Memory | None) -> tuple[Fit, str]:
    """How an amount in force fits what was measured of a container."""
    if amount is None:
        return _without(target)
    judges = {
        "cpu_request": _cpu_request,
        "cpu_limit": _cpu_limit,
        "memory_request": _memory_request,
        "memory_limit": _memory_limit,
    }
    verdict = judges[target](known, float(amount.units))
    if verdict is not None:
        return verdict
    wanted = known.proposed.effective().amount(target)
    if target.endswith("request") and wanted is not None and amount.units > _SPARE * wanted.units:
        return "spare", f"{wanted} would do"
    return "fits", "it is no less than what was measured asks for"


def _without(target: TargetName) -> tuple[Fit, str]:
    if target.endswith("limit"):
        return "fits", "without a limit it is cut off by the node alone"
    return "low", "without a request the scheduler counts it as nothing"


_Verdict = tuple[Fit, str] | None


def _memory_limit(known: Recommendation, limit: float) -> _Verdict:
    seen, wanted = known.evidence, known.proposed.memory_limit
    killed = seen.oom_kills - seen.oom_elsewhere
    if killed and seen.oom_limit is not None and limit <= seen.oom_limit.units:
        return "low", f"it was OOM-killed at a limit of {seen.oom_limit}"
    if seen.memory.max is None:
        return _unknown("its memory was not seen")
    peak = f"in {_days(known)} it used up to {level_text('memory', seen.memory.max)}"
    if limit <= (seen.resident_peak or seen.memory.max):
        return "low", f"{peak}: it would have been OOM-killed"
    if limit <= seen.memory.max:
        return "tight", f"{peak}, part of it page cache that the kernel would have to take back"
    if wanted is not None and limit < wanted.units:
        return "tight", f"{peak}; a review keeps {wanted}: {last_reason(known, 'memory_limit')}"
    return None


def _memory_request(known: Recommendation, request: float) -> _Verdict:
    seen, wanted = known.evidence.memory, known.proposed.effective().memory_request
    if seen.max is None or seen.p50 is None:
        return _unknown("its memory was not seen")
    if request < seen.p50:
        usual = level_text("memory", seen.p50)
        return "low", f"half of the time it uses {usual} or more, and is then evicted first"
    if request < seen.max and wanted is not None and request < wanted.units:
        peak = level_text("memory", seen.max)
        return "tight", f"in {_days(known)} it used up to {peak}: {wanted} covers the usual peaks"
    return None


def _cpu_request(known: Recommendation, request: float) -> _Verdict:
    seen, wanted = known.evidence.cpu, known.proposed.effective().cpu_request
    if seen.p50 is None or seen.p95 is None:
        return _unknown("its CPU was not seen")
    if request < seen.p50 * 1000:
        return "low", f"half of the time it uses {level_text('cpu', seen.p50)} or more"
    if request < seen.p95 * 1000 and wanted is not None and request < wanted.units:
        return "tight", f"in 5 % of the time it uses {level_text('cpu', seen.p95)} or more"
    return None


def _cpu_limit(known: Recommendation, limit: float) -> _Verdict:
    seen = known.evidence.cpu
    if seen.p95 is None or seen.max is None:
        return _unknown("its CPU was not seen")
    if limit < seen.p95 * 1000:
        usual = level_text("cpu", seen.p95)
        return "low", f"in 5 % of the time it uses {usual} or more, and would be throttled then"
    if limit < seen.max * 1000:
        return "tight", f"it has used up to {level_text('cpu', seen.max)}, and is throttled there"
    return None


def _days(known: Recommendation) -> str:
    days = round(known.evidence.days)
    return "a day" if days <= 1 else f"{days} days"


def _shown(amount: Cpu | Memory | None) -> str:
    return "none" if amount is None else str(amount)


def _untraced(
    before: RepositoryIndex, after: RepositoryIndex, seen: set[str]
) -> Iterator[Judgement]:
    """Changed places that no container of the report was found to run from."""
    old = {(place.file, place.address): place.stated for place in before.places}
    for place in after.places:
        if place.where in seen or not place.present or place.reachable is False:
            continue
        stated = old.get((place.file, place.address), Resources())
        for row in ROWS:
            was, now = row.of(stated), row.of(place.stated)
            if was != now:
                yield _of_place(place, row, _shown(was), _shown(now))


def _of_place(place: Place, row: Row, was: str, now: str) -> Judgement:
    owner = f"{place.owner.namespace or '-'}/{place.owner.name}"
    return Judgement(
        container=f"{owner}/{place.container}" if place.container else owner,
        target=TARGET_NAMES[row.attribute],
        before=was,
        after=now,
        needed="?",
        fit="unknown",
        reason="nothing that was measured is known to run from it",
        where=place.where,
    )


# --- as a comment ------------------------------------------------------------------------------


def marker(cluster: str) -> str:
    """What the comment of `cluster` is found by."""
    return f"<!-- rightsize-check:{slug(cluster or 'cluster')} -->"


def comment(report: Report, found: Sequence[Judgement]) -> str:
    """The judgements in Markdown, for a pull request; the same ones give the same text."""
    rows = [
        [
            markdown(j.container),
            j.target,
            markdown(j.before),
            markdown(j.after),
            markdown(j.needed),
            f"{WORDS[j.fit]}: {markdown(j.reason)}",
        ]
        for j in found[:_MOST_SHOWN]
    ]
    parts = [f"**{headline(found)}**"]
    if rows:
        parts.append(markdown_table(["Container", "What", "Was", "Now", "A review asks", ""], rows))
    if len(found) > _MOST_SHOWN:
        parts.append(f"… and {len(found) - _MOST_SHOWN} more that fit no worse.")
    places = list(dict.fromkeys(j.where for j in found[:_MOST_SHOWN] if j.where))
    if places:
        parts.append(
            "<details><summary>Where</summary>\n\n"
            + "\n".join(f"- {code(where)}" for where in places)
            + "\n\n</details>"
        )
    cluster = f" of {markdown(report.meta.cluster)}" if report.meta.cluster else ""
    parts.append(f"Held against the usage{cluster} until {report.meta.end:%Y-%m-%d}.")
    if report.warnings or report.meta.warnings:
        parts.append("That run could not read everything: what it missed is not measured here.")
    return "\n\n".join(parts) + "\n"


def headline(found: Sequence[Judgement]) -> str:
    """The judgements in one sentence."""
    if not found:
        return "No request and no limit changes here."
    counts = Counter(j.fit for j in found)
    many = "1 changed amount" if len(found) == 1 else f"{len(found)} changed amounts"
    says: Mapping[Fit, str] = {
        "low": "too low for what was measured",
        "tight": "tight",
        "unknown": "not measured",
        "spare": "more than needed",
        "fits": "as measured",
    }
    return f"{many}: {', '.join(f'{counts[fit]} {says[fit]}' for fit in _ORDER if counts[fit])}."
