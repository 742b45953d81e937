"""From desired requests and limits to proven edits of a repository, or to advice.

`plan_changes` is the whole line in one call: index the repository, trace each container, edit the
text in memory, prove each edit. Nothing is written anywhere.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from analyzer.gitops.index.place import Expectation, Place
from analyzer.gitops.index.repository_index import RepositoryIndex, index_repository
from analyzer.gitops.index.trace import LiveContainer, Trace, trace
from analyzer.gitops.land.diff import unified_diff
from analyzer.gitops.land.proof import Proof, Prover, Verdict
from analyzer.gitops.reach.runtimes import Hold, hold
from analyzer.gitops.render.program import Tools
from analyzer.gitops.text.address import Address
from analyzer.gitops.text.refusal import EditRefusedError
from analyzer.gitops.text.resources import (
    FIELDS,
    REQUEST_AND_LIMIT,
    Amount,
    Changes,
    Field,
    amounts,
    assignments,
    declared,
    field_names,
    set_resources,
)
from analyzer.gitops.text.tree import YamlError
from analyzer.gitops.text.verify import prove_text
from analyzer.quantity import Resources
from analyzer.workload import ContainerRef

ATTRIBUTES: dict[Field, str] = {
    "requests.cpu": "cpu_request",
    "requests.memory": "memory_request",
    "limits.cpu": "cpu_limit",
    "limits.memory": "memory_limit",
}


@dataclass(frozen=True, slots=True)
class DesiredChange:
    """What one container should request and be limited to.

    A field of `proposed` that is None stays as it is in the file, unless `remove` names it.
    """

    ref: ContainerRef
    current: Resources
    proposed: Resources
    labels: Mapping[str, str] = field(default_factory=dict)
    container_type: str = "app"
    annotations: Mapping[str, str] = field(default_factory=dict)
    remove: frozenset[Field] = frozenset()


@dataclass(frozen=True, slots=True)
class Edited:
    """A container whose place was edited, and the proof of it.

    `held` are amounts that the container's own settings raised above what was asked for; `change`
    has them as they are written.
    """

    change: DesiredChange
    trace: Trace
    place: Place
    before: Resources
    after: Resources
    written: Changes
    proof: Proof
    held: tuple[Hold, ...] = ()

    @property
    def ref(self) -> ContainerRef:
        """The container this is about."""
        return self.change.ref

    @property
    def expectation(self) -> Expectation:
        """The container as the repository foretells it."""
        if self.trace.expectation is None:
            raise ValueError(f"{self.ref} was edited without being foretold")
        return self.trace.expectation


@dataclass(frozen=True, slots=True)
class Advice:
    """A container whose change a person has to make, with the reason and the place if known."""

    change: DesiredChange
    trace: Trace
    reason: str
    held: tuple[Hold, ...] = ()

    @property
    def ref(self) -> ContainerRef:
        return self.change.ref

    @property
    def place(self) -> Place | None:
        return self.trace.place


@dataclass(frozen=True, slots=True)
class Unchanged:
    """A container whose place states what is proposed already."""

    change: DesiredChange
    trace: Trace
    held: tuple[Hold, ...] = ()

    @property
    def ref(self) -> ContainerRef:
        return self.change.ref

    @property
    def place(self) -> Place | None:
        return self.trace.place


Outcome = Edited | Advice | Unchanged


@dataclass(frozen=True)
class ChangePlan:
    """One outcome for each desired change, and the edits of the files that follow from them."""

    index: RepositoryIndex
    outcomes: tuple[Outcome, ...]
    edits: Mapping[str, tuple[str, str]]

    @property
    def edited(self) -> list[Edited]:
        return [outcome for outcome in self.outcomes if isinstance(outcome, Edited)]

    @property
    def advice(self) -> list[Advice]:
        return [outcome for outcome in self.outcomes if isinstance(outcome, Advice)]

    def diff(self) -> str:
        """One unified diff of every edit."""
        return unified_diff(self.edits)


def changes_for(place: Place, desired: DesiredChange) -> Changes:
    """The fields to write at a place so that `desired` comes about and nothing else.

    A lower limit lowers a request that Kubernetes defaults from it. So wherever a limit is
    written and no request stands beside it, the request is written along with it: the proposed
    one, else the one in force now.
    """
    stated = place.stated
    changes: dict[Field, Amount | None] = {}
    for name in FIELDS:
        wanted: Amount | None = getattr(desired.proposed, ATTRIBUTES[name])
        if name in desired.remove:
            changes[name] = None
        elif wanted is not None:
            changes[name] = wanted
    effective = desired.current.effective()
    for request, limit in REQUEST_AND_LIMIT:
        ceiling, keep = changes.get(limit), getattr(effective, ATTRIBUTES[request])
        stated_already = getattr(stated, ATTRIBUTES[request]) is not None
        if ceiling is not None and keep is not None and not stated_already:
            changes.setdefault(request, min(keep, ceiling))
    return {name: changes[name] for name in FIELDS if name in changes}


def plan_changes(
    root: Path,
    desired: Sequence[DesiredChange],
    *,
    tools: Tools | None = None,
    entry: str | None = None,
    live: Collection[ContainerRef] | None = None,
) -> ChangePlan:
    """Trace, edit and prove every desired change in the repository at `root`, in memory.

    `tools` names the programs and chart folders for the proof by rendering; without it the proof
    rests on the text and on what is known of the charts. `entry` is the cluster's folder where a
    repository holds several clusters. `live` are all containers that run, those without a desired
    change included: a place that also decides for one of these is not edited. Where it is not
    given, every container that the repository foretells counts as running.

    Every change has one outcome, in the order given. Raises `GitOpsError` when the repository
    cannot be read; everything else that stands in the way of an edit becomes `Advice`.
    """
    index = index_repository(root, entry=entry, tools=tools)
    return plan_on(index, desired, tools=tools, live=live)


def plan_on(
    index: RepositoryIndex,
    desired: Sequence[DesiredChange],
    *,
    tools: Tools | None = None,
    live: Collection[ContainerRef] | None = None,
) -> ChangePlan:
    """As `plan_changes`, on an index that is there already."""
    traces = trace([_live(change) for change in desired], index)
    floored = [_floored(*pair) for pair in zip(desired, traces, strict=True)]
    changes = [change for change, _ in floored]
    outcomes = _Planner(index, live).outcomes(list(zip(changes, traces, strict=True)))
    outcomes = _proven(index, outcomes, tools or Tools())
    outcomes = [
        replace(outcome, held=held) if held else outcome
        for outcome, (_, held) in zip(outcomes, floored, strict=True)
    ]
    edited = [outcome for outcome in outcomes if isinstance(outcome, Edited)]
    files = index.repository.files
    edits = {
        file: (files[file].text, text)
        for file, text in sorted(texts_after(index, edited).items())
        if files[file].text != text
    }
    return ChangePlan(index, tuple(outcomes), edits)


def _floored(change: DesiredChange, traced: Trace) -> tuple[DesiredChange, tuple[Hold, ...]]:
    """The change with its memory held at what the container's own settings ask for.

    A proposed amount that ends at what is in force is not proposed any more, unless it is a
    request that another change would otherwise move.
    """
    floors = traced.expectation.floors if traced.expectation is not None else ()
    proposed, held = hold(change.current, change.proposed, floors)
    return replace(change, proposed=proposed), held


def texts_after(index: RepositoryIndex, changes: Iterable[Edited]) -> dict[str, str]:
    """The files that `changes` touch, with these changes made and no others.

    Places are edited in the order of their addresses, so that the same set of changes always
    gives the same texts.
    """
    wanted = {(edited.place.file, edited.place.address): edited.written for edited in changes}
    texts: dict[str, str] = {}
    for (file, address), fields in sorted(wanted.items(), key=lambda item: str(item[0])):
        text = texts.get(file, index.repository.files[file].text)
        texts[file] = set_resources(text, address, fields)
    return texts


def _proven(index: RepositoryIndex, outcomes: Sequence[Outcome], tools: Tools) -> list[Outcome]:
    """The outcomes with what rendering says added; an edit it contradicts becomes advice."""
    edited = [outcome for outcome in outcomes if isinstance(outcome, Edited)]
    verdicts = iter(Prover(index, tools).verdicts(edited, texts_after(index, edited)))
    return [
        _judged(outcome, next(verdicts)) if isinstance(outcome, Edited) else outcome
        for outcome in outcomes
    ]


def _judged(edited: Edited, verdict: Verdict) -> Outcome:
    if verdict.holds is False:
        reason = f"the edit could not be proven: {verdict.reason}"
        return Advice(edited.change, edited.trace, reason)
    return replace(edited, proof=verdict.proof(edited.proof.fields))


def _live(change: DesiredChange) -> LiveContainer:
    return LiveContainer(
        change.ref, change.labels, change.container_type, change.current, change.annotations
    )


Pair = tuple[DesiredChange, Trace]


class _Planner:
    """Turns each change into an edit that is proven on the text, or into advice."""

    def __init__(
        self, index: RepositoryIndex, live: Collection[ContainerRef] | None = None
    ) -> None:
        self._index = index
        self._live = live

    def outcomes(self, pairs: Sequence[Pair]) -> list[Outcome]:
        """One outcome for each pair of a change and its trace, in order."""
        by_place: dict[tuple[str, Address], list[int]] = {}
        found: dict[int, Outcome] = {}
        for position, (change, traced) in enumerate(pairs):
            reason = _not_editable(traced)
            if reason is not None or traced.place is None:
                found[position] = Advice(change, traced, reason or traced.reason)
            else:
                key = (traced.place.file, traced.place.address)
                by_place.setdefault(key, []).append(position)
        for positions in by_place.values():
            group = [pairs[position] for position in positions]
            found.update(zip(positions, self._place(group), strict=True))
        return [found[position] for position in range(len(pairs))]

    def _place(self, group: Sequence[Pair]) -> list[Outcome]:
        """One outcome for each of the changes that lead to the same place."""
        place = _place_of(group[0])
        wanted = [changes_for(place, change) for change, _ in group]
        problem = self._disagreement(place, group, wanted)
        if problem is not None:
            return [Advice(change, traced, problem) for change, traced in group]
        return self._edit(place, group, wanted[0])

    def _disagreement(
        self, place: Place, group: Sequence[Pair], wanted: Sequence[Changes]
    ) -> str | None:
        """Why one edit cannot serve all that the place feeds; None where it can."""
        if any(other != wanted[0] for other in wanted[1:]):
            names = ", ".join(str(change.ref) for change, _ in group[:3])
            return (
                f"the place decides for {len(group)} containers that need different amounts: "
                f"{names}"
            )
        for expectation in self._index.fed_by.get((place.file, place.address), []):
            proposed = any(expectation.is_for(change.ref) for change, _ in group)
            if self._runs(expectation) and not proposed:
                other = "/".join(expectation.identity)
                return f"the place also decides for {other}, for which nothing is proposed"
        return None

    def _runs(self, expectation: Expectation) -> bool:
        if self._live is None:
            return expectation.place.reachable is not False
        return any(expectation.is_for(ref) for ref in self._live)

    def _edit(self, place: Place, group: Sequence[Pair], changes: Changes) -> list[Outcome]:
        before = self._index.repository.files[place.file].text
        if place.refusal is not None and place.generated:
            return [Advice(change, traced, place.refusal) for change, traced in group]
        try:
            after = set_resources(before, place.address, changes)
        except (EditRefusedError, YamlError) as err:
            return [Advice(change, traced, str(err)) for change, traced in group]
        if after == before:
            return [Unchanged(change, traced) for change, traced in group]
        proof = prove_text(before, after, assignments(place.address, changes))
        if not proof.holds:
            return [
                Advice(c, t, f"the edit could not be proven: {proof.problem}") for c, t in group
            ]
        stated = amounts(declared(after, place.address))
        shown = Proof(field_names(proof.changed))
        return [
            Edited(change, traced, place, place.stated, stated, changes, shown)
            for change, traced in group
        ]


def _place_of(pair: Pair) -> Place:
    place = pair[1].place
    if place is None:
        raise ValueError("a change without a place cannot be edited")
    return place


def _not_editable(traced: Trace) -> str | None:
    if traced.place is None:
        return traced.reason
    if traced.confidence == "unproven":
        return f"the place is not proven: {traced.reason}"
    return None
