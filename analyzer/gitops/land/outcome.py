"""What was asked for one container, and what came of it: an edit, advice, or nothing to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from analyzer.gitops.index.place import Expectation, Place
from analyzer.gitops.index.repository_index import RepositoryIndex
from analyzer.gitops.index.trace import Trace
from analyzer.gitops.land.diff import unified_diff
from analyzer.gitops.land.proven import Proof
from analyzer.gitops.land.writes import Beside, Kept, Write
from analyzer.gitops.text.resources import Field
from analyzer.quantity import Resources
from analyzer.recommend.recommendation import Companion
from analyzer.workload import ContainerRef


@dataclass(frozen=True, slots=True)
class DesiredChange:
    """What one container should request and be limited to.

    A field of `proposed` that is None stays as it is in the file, unless `remove` names it.
    `companions` are settings that change with its amounts, or none of them does.
    """

    ref: ContainerRef
    current: Resources
    proposed: Resources
    labels: Mapping[str, str] = field(default_factory=dict)
    container_type: str = "app"
    remove: frozenset[Field] = frozenset()
    companions: tuple[Companion, ...] = ()


@dataclass(frozen=True, slots=True)
class Edited:
    """A container whose amounts were edited, and the proof of it."""

    change: DesiredChange
    trace: Trace
    place: Place
    before: Resources
    after: Resources
    writes: tuple[Write, ...]
    proof: Proof
    besides: tuple[Beside, ...] = ()
    keeps: tuple[Kept, ...] = ()

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
