"""From desired requests and limits to proven edits of a repository, or to advice.

`plan_changes` is the whole line in one call: index the repository, trace each container, edit the
text in memory, prove each edit. Nothing is written anywhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from analyzer.gitops.diff import unified_diff
from analyzer.gitops.edit import (
    FIELDS,
    Address,
    Amount,
    Changes,
    EditRefused,
    Field,
    set_resources,
)
from analyzer.gitops.index import Place, RepositoryIndex, index_repository
from analyzer.gitops.spelling import read_cpu, read_memory
from analyzer.gitops.trace import LiveContainer, Trace, trace
from analyzer.gitops.tree import YamlError
from analyzer.gitops.verify import TextProof, prove_text
from analyzer.quantity import Cpu, Memory, Resources
from analyzer.workload import ContainerRef

_ATTRIBUTES: dict[Field, str] = {
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
    """A container whose place was edited, and the proof of it."""

    change: DesiredChange
    trace: Trace
    place: Place
    before: Resources
    after: Resources
    proof: tuple[str, ...]

    @property
    def ref(self) -> ContainerRef:
        return self.change.ref


@dataclass(frozen=True, slots=True)
class Advice:
    """A container whose change a person has to make, with the reason and the place if known."""

    change: DesiredChange
    trace: Trace
    reason: str

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


def stated_resources(place: Place) -> Resources:
    """What a place states, as amounts; a field that cannot be read counts as not stated."""
    return resources_of(dict(place.declared))


def resources_of(stated: Mapping[Field, str]) -> Resources:
    """Requests and limits as amounts; None where nothing readable is stated."""
    return Resources(
        cpu_request=read_cpu(stated.get("requests.cpu")),
        cpu_limit=read_cpu(stated.get("limits.cpu")),
        memory_request=read_memory(stated.get("requests.memory")),
        memory_limit=read_memory(stated.get("limits.memory")),
    )


def changes_for(place: Place, desired: DesiredChange) -> Changes:
    """The fields to write at a place so that `desired` comes about and nothing else.

    A lower limit lowers a request that Kubernetes defaults from it. So wherever a limit is
    written and no request stands beside it, the request is written along with it: the proposed
    one, else the one in force now.
    """
    stated = stated_resources(place)
    changes: dict[Field, Amount | None] = {}
    for name in FIELDS:
        wanted: Amount | None = getattr(desired.proposed, _ATTRIBUTES[name])
        if name in desired.remove:
            changes[name] = None
        elif wanted is not None:
            changes[name] = wanted
    effective = desired.current.effective()
    for resource in ("cpu", "memory"):
        request: Field = f"requests.{resource}"  # type: ignore[assignment]
        limit: Field = f"limits.{resource}"  # type: ignore[assignment]
        missing = getattr(stated, f"{resource}_request") is None and request not in changes
        if changes.get(limit) is not None and missing:
            keep = getattr(effective, f"{resource}_request")
            if keep is not None:
                changes[request] = min(keep, changes[limit])  # type: ignore[type-var]
    return {name: changes[name] for name in FIELDS if name in changes}


def plan_changes(
    root: Path, desired: Sequence[DesiredChange], *, entry: str | None = None
) -> ChangePlan:
    """Trace, edit and prove every desired change in the repository at `root`, in memory.

    Every change has one outcome, in the order given. Raises `GitOpsError` when the repository
    cannot be read; everything else that stands in the way of an edit becomes `Advice`.
    """
    index = index_repository(root, entry=entry)
    traces = trace([_live(change) for change in desired], index)
    planner = _Planner(index)
    outcomes = tuple(planner.outcomes(list(zip(desired, traces, strict=True))))
    return ChangePlan(index, outcomes, planner.edits())


def _live(change: DesiredChange) -> LiveContainer:
    return LiveContainer(
        change.ref, change.labels, change.container_type, change.current, change.annotations
    )


Pair = tuple[DesiredChange, Trace]


class _Planner:
    """Edits place after place, keeping the texts as they are after all edits so far."""

    def __init__(self, index: RepositoryIndex) -> None:
        self._index = index
        self._texts: dict[str, str] = {}

    def edits(self) -> dict[str, tuple[str, str]]:
        before = self._index.repository.files
        return {
            file: (before[file].text, text)
            for file, text in sorted(self._texts.items())
            if text != before[file].text
        }

    def outcomes(self, pairs: Sequence[Pair]) -> list[Outcome]:
        by_place: dict[tuple[str, Address], list[int]] = {}
        found: dict[int, Outcome] = {}
        for position, (change, traced) in enumerate(pairs):
            reason = self._not_editable(traced)
            if reason is not None or traced.place is None:
                found[position] = Advice(change, traced, reason or traced.reason)
            else:
                key = (traced.place.file, traced.place.address)
                by_place.setdefault(key, []).append(position)
        for positions in by_place.values():
            group = [pairs[position] for position in positions]
            for position, outcome in zip(positions, self._place(group), strict=True):
                found[position] = outcome
        return [found[position] for position in range(len(pairs))]

    def _not_editable(self, traced: Trace) -> str | None:
        if traced.place is None:
            return traced.reason
        if traced.confidence == "unproven":
            return f"the place is not proven: {traced.reason}"
        return None

    def _place(self, group: Sequence[Pair]) -> list[Outcome]:
        """One outcome for each change that leads to the same place."""
        place = group[0][1].place
        assert place is not None
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
            return f"the place decides for {len(group)} containers that need different amounts: {names}"
        fed = self._index.fed_by.get((place.file, place.address), [])
        refs = [change.ref for change, _ in group]
        for expectation in fed:
            if expectation.place.reachable is False:
                continue
            if not any(_is(expectation, ref) for ref in refs):
                return (
                    "the place also decides for "
                    f"{'/'.join(expectation.identity)}, for which nothing is proposed"
                )
        return None

    def _edit(self, place: Place, group: Sequence[Pair], changes: Changes) -> list[Outcome]:
        before = self._texts.get(place.file, self._index.repository.files[place.file].text)
        try:
            after = set_resources(before, place.address, changes)
        except (EditRefused, YamlError) as err:
            return [Advice(change, traced, str(err)) for change, traced in group]
        if after == before:
            return [Unchanged(change, traced) for change, traced in group]
        proof = prove_text(before, after, place.address, changes)
        if not proof.holds:
            return [Advice(c, t, f"the edit could not be proven: {proof}") for c, t in group]
        self._texts[place.file] = after
        return [self._edited(change, traced, place, after, proof) for change, traced in group]

    def _edited(
        self, change: DesiredChange, traced: Trace, place: Place, after: str, proof: TextProof
    ) -> Edited:
        from analyzer.gitops.edit import declared

        return Edited(
            change,
            traced,
            place,
            stated_resources(place),
            resources_of(declared(after, place.address)),
            (str(proof),),
        )


def _is(expectation: object, ref: ContainerRef) -> bool:
    from analyzer.gitops.index import Expectation

    assert isinstance(expectation, Expectation)
    return (
        expectation.namespace == ref.namespace
        and expectation.container == ref.container
        and expectation.fits(ref.kind, ref.workload)
    )


__all__ = ["Advice", "ChangePlan", "Cpu", "DesiredChange", "Edited", "Memory", "Unchanged"]
