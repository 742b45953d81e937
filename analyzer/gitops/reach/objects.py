"""Kubernetes objects as they stand in files: what they are called and where pods are described."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from analyzer.gitops.reach.repository import Repository, Source
from analyzer.gitops.text.address import Address
from analyzer.gitops.text.tree import Document, Node, Path, YamlError, parse
from analyzer.kinds import KINDS

POD_PATHS: Mapping[str, Path] = {
    kind.name: kind.pod_path for kind in KINDS if kind.pod_path is not None
}
_WORKLOAD_GROUPS = frozenset({kind.group for kind in KINDS if kind.pod_path} | {"extensions"})


@dataclass(frozen=True, slots=True)
class Object:
    """One object of one file. `address` leads to the object itself, not to anything in it."""

    file: str
    address: Address
    node: Node
    group: str
    kind: str
    name: str
    namespace: str | None

    @property
    def is_workload(self) -> bool:
        return self.kind in POD_PATHS and self.group in _WORKLOAD_GROUPS

    @property
    def is_flux_kustomization(self) -> bool:
        return self.kind == "Kustomization" and self.group == "kustomize.toolkit.fluxcd.io"

    @property
    def is_helm_release(self) -> bool:
        return self.kind == "HelmRelease" and self.group == "helm.toolkit.fluxcd.io"

    @property
    def is_application(self) -> bool:
        """Whether this is an Application of Argo CD, or a set that makes some."""
        return is_application(self.node)

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace or '-'}/{self.name}"


def is_application(node: Node) -> bool:
    """Whether a node is an Application of Argo CD, or a set that makes some."""
    group = (node.text("apiVersion") or "").rpartition("/")[0]
    return node.text("kind") in ("Application", "ApplicationSet") and group == "argoproj.io"


def objects_of(source: Source) -> Iterator[Object]:
    """Every object of a file, those inside a `List` included."""
    for number, document in enumerate(source.documents):
        yield from objects_at(source.file, Address(number, ()), document.root)


def all_objects(repository: Repository) -> dict[str, list[Object]]:
    """The objects of every file, by file."""
    return {name: list(objects_of(source)) for name, source in repository.files.items()}


def objects_at(file: str, address: Address, node: Node) -> Iterator[Object]:
    """The object that `node` is, or those inside it when it is a `List`; none for other data."""
    kind, version = node.text("kind"), node.text("apiVersion")
    if kind is None:
        return
    if kind == "List" or (kind.endswith("List") and node.sequence("items")):
        for number, item in enumerate(node.sequence("items")):
            yield from objects_at(file, address.below("items", number), item)
        return
    yield as_object(file, address, node, kind, version or "")


def as_object(file: str, address: Address, node: Node, kind: str, version: str) -> Object:
    """`node` as an object; `version` is its apiVersion as written."""
    group = version.rpartition("/")[0]
    name = node.text("metadata", "name") or ""
    return Object(file, address, node, group, kind, name, node.text("metadata", "namespace"))


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
