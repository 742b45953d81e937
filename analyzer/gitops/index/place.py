"""Places that declare resources, the releases they belong to, the containers they decide for."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from analyzer.gitops.reach.route import Route
from analyzer.gitops.reach.runtimes import Floor
from analyzer.gitops.text.edit import Address, Field, dotted
from analyzer.gitops.text.spelling import amounts
from analyzer.gitops.text.tree import Document, Node, Path, YamlError, parse, plain
from analyzer.quantity import Resources
from analyzer.workload import ContainerRef

Confidence = Literal["certain", "likely", "unproven"]


@dataclass(frozen=True, slots=True)
class Owner:
    """The object whose text holds a place, and the Helm release it stands for, if any."""

    kind: str
    name: str
    namespace: str
    release: str | None = None
    chart: str | None = None
    version: str | None = None

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}"


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


@dataclass(frozen=True, slots=True)
class Expectation:
    """A container that the repository should make run, and the place that decides its resources.

    `floors` are what its own settings, as the repository states them, ask of its memory.
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
            and self.container == ref.container
            and self.fits(ref.kind, ref.workload)
        )

    @property
    def identity(self) -> tuple[str, str, str, str]:
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


@dataclass(frozen=True, slots=True)
class Release:
    """A Helm release: its names, its chart, its values from the weakest to the strongest.

    `overruled` says what else has a hand in its resources, so that its values prove nothing.
    """

    owner: Owner
    route: Route
    values: tuple[tuple[str, Address, Node], ...]
    prefix: Path = ()
    chart_folder: str | None = None
    overruled: str | None = None

    @property
    def name(self) -> str:
        return self.owner.release or self.owner.name

    def merged(self) -> dict[str, object]:
        """All values as Helm would merge them, under this release's prefix."""
        merged: dict[str, object] = {}
        for _, _, node in self.values:
            found = plain(node)
            if isinstance(found, dict):
                merged = _merge(merged, found)
        scope: object = merged
        for key in self.prefix:
            scope = scope.get(str(key), {}) if isinstance(scope, dict) else {}
        return scope if isinstance(scope, dict) else {}

    def with_documents(self, documents: Mapping[str, Sequence[Document]]) -> Release:
        """The same release with some of its files in another state."""
        return replace(
            self,
            values=tuple(
                (file, address, node_at(documents[file], address) or node)
                if file in documents
                else (file, address, node)
                for file, address, node in self.values
            ),
        )

    def shadowed(self, file: str, address: Address, path: Path) -> bool:
        """Whether stronger values state `path` (without the prefix) as well."""
        names = [(name, below.below(*self.prefix, *path)) for name, below, _ in self.values]
        stronger = self.values[names.index((file, address)) + 1 :]
        return any(node.at(*self.prefix, *path) is not None for _, _, node in stronger)

    def locate(self, path: Path) -> tuple[str, Address, bool] | None:
        """Where `path` has the last word: file, address and whether it is there already.

        A path that is nowhere yet belongs beside its parent; None where not even that exists.
        """
        full = (*self.prefix, *path)
        for present, wanted in ((True, full), (False, full[:-1])):
            for file, address, node in reversed(self.values):
                if node.at(*wanted) is not None:
                    return file, address.below(*full), present
        return None


def node_at(documents: Sequence[Document], address: Address) -> Node | None:
    """The node at an address, through block scalars; None where it breaks off."""
    if not 0 <= address.document < len(documents):
        return None
    node = documents[address.document].root.at(*address.path)
    if node is None or address.inner is None:
        return node
    try:
        return node_at(parse(node.value), address.inner)
    except YamlError:
        return None


def shown_path(address: Address) -> str:
    """An address within its document, with ``|`` where it enters a block scalar."""
    own = dotted(address.path)
    return own if address.inner is None else f"{own} | {shown_path(address.inner)}"


def _merge(base: dict[str, object], over: dict[str, object]) -> dict[str, object]:
    """Helm's merge: mappings key by key, everything else replaced, null removed."""
    merged = dict(base)
    for key, value in over.items():
        below = merged.get(key)
        if isinstance(below, dict) and isinstance(value, dict):
            merged[key] = _merge(below, value)
        else:
            merged[key] = value
    return merged
