"""Places that declare resources, the releases they belong to, the containers they decide for."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from analyzer.gitops.index.runtime_setting import RuntimeSetting
from analyzer.gitops.reach.custom import ANY
from analyzer.gitops.reach.release import Owner
from analyzer.gitops.reach.route import Route
from analyzer.gitops.reach.runtimes import Floor
from analyzer.gitops.text.address import Address, dotted
from analyzer.gitops.text.patch_list import NewPatch
from analyzer.gitops.text.resources import BY_FIELD, Field, amounts
from analyzer.quantity import Resources
from analyzer.workload import ContainerRef

Confidence = Literal["certain", "likely", "unproven"]


@dataclass(frozen=True, slots=True)
class Place:
    """Where one `resources` mapping stands, or would be inserted.

    `declared` is what it states now, as written. `reachable` is None where no root of the
    repository could be found. `refusal` is why it cannot be edited, None where it can;
    `generated` says that the reason lies in where the file comes from.
    """

    file: str
    address: Address
    owner: Owner
    container: str | None = None
    declared: tuple[tuple[Field, str], ...] = ()
    present: bool = True
    reachable: bool | None = None
    refusal: str | None = None
    generated: bool = False

    @property
    def editable(self) -> bool:
        return self.refusal is None

    @property
    def where(self) -> str:
        """File and path as people read them."""
        return f"{self.file}: {self.path}"

    @property
    def path(self) -> str:
        """The path alone; ``|`` stands where it enters a block scalar."""
        return shown_path(self.address)

    @property
    def stated(self) -> Resources:
        """What the place states, as amounts; a field that cannot be read counts as not stated."""
        return amounts(dict(self.declared))

    def to_dict(self) -> dict[str, object]:
        """The place as plain values, for JSON and tables."""
        stated = dict(self.declared)
        return {
            "file": self.file,
            "document": self.address.document,
            "path": self.path,
            "in_block_scalar": self.address.inner is not None,
            "namespace": self.owner.namespace,
            "owner_kind": self.owner.kind,
            "owner": self.owner.name,
            "release": self.owner.release,
            "chart": self.owner.chart,
            "chart_version": self.owner.version,
            "container": self.container,
            "cpu_request": stated.get("requests.cpu"),
            "memory_request": stated.get("requests.memory"),
            "cpu_limit": stated.get("limits.cpu"),
            "memory_limit": stated.get("limits.memory"),
            "present": self.present,
            "reachable": self.reachable,
            "editable": self.editable,
            "reason": self.refusal,
        }


Identity = tuple[str, str, str, str]
"""Namespace, kind and name of a workload, and the name of a container of it."""


@dataclass(frozen=True, slots=True)
class Leaf:
    """Where one amount of a container is stated, and how it is written there."""

    field: Field
    file: str
    address: Address
    text: str


@dataclass(frozen=True, slots=True)
class Expectation:
    """A container that the repository should make run, and the place that decides its resources.

    Where patches state parts of it, `leaves` has every amount that is stated and where it has the
    last word; what is stated nowhere would go to `place`. `container` is `ANY` where a kind that is
    not known here states amounts, and only what runs tells for whom. `floors` are what its own
    settings, as the repository states them, ask of its memory, and `settings` those of them that
    stand as plain text in its manifest. `patch` is what would state its amounts where nothing does
    but the chart that makes it.
    """

    namespace: str
    kind: str
    workload: str | None
    container: str
    container_type: str | None
    place: Place
    rule: str
    confidence: Confidence
    route: Route
    pattern: re.Pattern[str] | None = None
    controller: str | None = None
    floors: tuple[Floor, ...] = ()
    leaves: tuple[Leaf, ...] | None = None
    settings: tuple[RuntimeSetting, ...] = ()
    patch: NewPatch | None = None

    @property
    def declared(self) -> dict[Field, str]:
        """What the repository states for the container, as written."""
        if self.leaves is None:
            return dict(self.place.declared)
        return {leaf.field: leaf.text for leaf in self.leaves}

    @property
    def stated(self) -> Resources:
        """What the repository states for the container, as amounts."""
        return amounts(self.declared)

    def leaf(self, field: Field) -> tuple[str, Address]:
        """Where an amount is stated, or would be: file and address."""
        for leaf in self.leaves or ():
            if leaf.field == field:
                return leaf.file, leaf.address
        return self.place.file, self.place.address.below(*BY_FIELD[field].path)

    def patch_for(self, field: Field) -> NewPatch | None:
        """The new patch that an amount would go into; None where it has a place already."""
        if self.patch is None or self.leaf(field)[1] != self.patch.leaf(field):
            return None
        return self.patch

    def fits(self, kind: str, workload: str) -> bool:
        """Whether a workload of that kind and name is the expected one."""
        if kind != self.kind:
            return False
        if self.pattern is not None:
            return self.pattern.fullmatch(workload) is not None
        return self.workload == workload

    def is_for(self, ref: ContainerRef) -> bool:
        """Whether a live container is the expected one, its cluster aside."""
        return (
            self.namespace == ref.namespace
            and self.container in (ref.container, ANY)
            and self.fits(ref.kind, ref.workload)
        )

    @property
    def identity(self) -> Identity:
        workload = self.pattern.pattern if self.pattern is not None else self.workload or "?"
        return (self.namespace, self.kind, workload, self.container)


@dataclass(frozen=True, slots=True)
class Finding:
    """Something in the repository that a person should look at."""

    kind: Literal["limit-only", "ignored", "shadowed", "duplicate", "shared", "tight"]
    place: Place
    message: str

    def to_dict(self) -> dict[str, object]:
        return {
            "kind": self.kind,
            "file": self.place.file,
            "path": self.place.path,
            "message": self.message,
        }


def shown_path(address: Address) -> str:
    """An address within its document, with ``|`` where it enters a block scalar."""
    own = dotted(address.path)
    return own if address.inner is None else f"{own} | {shown_path(address.inner)}"
