"""A Helm release: its names, its chart, its values from the weakest to the strongest."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from analyzer.gitops.reach.objects import node_at
from analyzer.gitops.reach.route import Route
from analyzer.gitops.text.address import Address
from analyzer.gitops.text.tree import Document, Node, Path, plain


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
    references: int = 0
    """How many of the values, from the weakest on, come from other objects than the release."""
    home: tuple[str, Address] | None = None
    """Where values of its own would stand, for a release that may have none."""
    source: str = ""
    """Where the chart comes from, as written: an address, or the name of a repository."""
    post_renderers: tuple[str, ...] = ()
    """What kustomize makes of what helm rendered: fields of kustomizations, as JSON."""
    post_rendered_elsewhere: bool = False
    """Whether something on the way changes the post-renderers that stand in the object's file."""

    def referenced(self) -> Release:
        """The release with the values from other objects alone."""
        return replace(self, values=self.values[: self.references])

    @property
    def name(self) -> str:
        return self.owner.release or self.owner.name

    @property
    def spec(self) -> tuple[str, Address] | None:
        """Where the `spec` of a HelmRelease stands; None for other releases."""
        file, values = self.home or ("", None)
        if self.owner.kind != "HelmRelease" or values is None or values.inner is not None:
            return None
        return file, Address(values.document, values.path[:-1])

    def merged(self) -> dict[str, object]:
        """All values as Helm would merge them, under this release's prefix."""
        merged: dict[str, object] = {}
        for _, _, node in self.values:
            found = plain(node)
            if isinstance(found, dict):
                merged = merge(merged, found)
        scope: object = merged
        for key in self.prefix:
            scope = scope.get(str(key), {}) if isinstance(scope, dict) else {}
        return scope if isinstance(scope, dict) else {}

    def with_documents(self, documents: Mapping[str, Sequence[Document]]) -> Release:
        """The same release with some of its files in another state."""
        values = [
            (file, address, node_at(documents[file], address) or node)
            if file in documents
            else (file, address, node)
            for file, address, node in self.values
        ]
        if self.home is not None and self.home not in [(file, at) for file, at, _ in values]:
            file, address = self.home
            own = node_at(documents[file], address) if file in documents else None
            values += [] if own is None else [(file, address, own)]
        return replace(
            self, values=tuple(values), post_renderers=self._post_renderers_in(documents)
        )

    def _post_renderers_in(self, documents: Mapping[str, Sequence[Document]]) -> tuple[str, ...]:
        """The post-renderers with the release's own file in another state."""
        file, spec = self.spec or ("", None)
        own = None
        if spec is not None and file in documents and not self.post_rendered_elsewhere:
            own = node_at(documents[file], spec)
        return self.post_renderers if own is None else post_renderers(own)

    def shadowed(self, file: str, address: Address, path: Path) -> bool:
        """Whether stronger values state `path` (without the prefix) as well."""
        names = [(name, below.below(*self.prefix, *path)) for name, below, _ in self.values]
        stronger = self.values[names.index((file, address)) + 1 :]
        return any(node.at(*self.prefix, *path) is not None for _, _, node in stronger)

    def last_word(self, path: Path) -> tuple[str, Address, str] | None:
        """Where the text at `path` is stated that counts: file, address, what it says; or None."""
        full = (*self.prefix, *path)
        for file, address, node in reversed(self.values):
            text = node.text(*full)
            if text is not None:
                return file, address.below(*full), text
        return None

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


def post_renderers(spec: Node | None) -> tuple[str, ...]:
    """The post-renderers of a HelmRelease's `spec`, each as fields of a kustomization, in JSON."""
    found = []
    for renderer in [] if spec is None else spec.sequence("postRenderers"):
        fields = mapping_of(renderer.at("kustomize"))
        kept = {key: _inline(fields[key]) for key in _POST_RENDERED if fields.get(key)}
        found.append(json.dumps(kept, sort_keys=True))
    return tuple(found)


_POST_RENDERED = ("patches", "patchesStrategicMerge", "patchesJson6902", "images")


def _inline(entries: object) -> object:
    """Patches as kustomize takes them: text, where Flux takes objects as well."""
    if not isinstance(entries, list):
        return entries
    return [
        {**entry, "patch": json.dumps(entry["patch"])}
        if isinstance(entry, dict) and isinstance(entry.get("patch"), list)
        else json.dumps(entry)
        if isinstance(entry, dict) and "kind" in entry and "metadata" in entry
        else entry
        for entry in entries
    ]


def touches_resources(post_renderers: Sequence[str]) -> bool:
    """Whether post-renderers say anything of resources."""
    return any("resources" in renderer for renderer in post_renderers)


def merge(base: dict[str, object], over: Mapping[str, object]) -> dict[str, object]:
    """Helm's merge: mappings key by key, everything else replaced, null removed."""
    merged = dict(base)
    for key, value in over.items():
        below = merged.get(key)
        if isinstance(below, dict) and isinstance(value, dict):
            merged[key] = merge(below, value)
        else:
            merged[key] = value
    return merged


def mapping_of(node: Node | None) -> dict[str, object]:
    """A node as plain values; empty where it is no mapping. Raises `YamlError` on alias bombs."""
    found = None if node is None else plain(node)
    return found if isinstance(found, dict) else {}
