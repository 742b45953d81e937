"""Kustomizations: folders whose resources, components and patches kustomize puts together."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import PurePosixPath

from analyzer.gitops.reach.patch import Patch, Replacement, inline_patches, own_target
from analyzer.gitops.reach.repository import Repository, join
from analyzer.gitops.reach.route import Generated, HelmSource, Reach, Route
from analyzer.gitops.text.address import Address
from analyzer.gitops.text.tree import Node

_MAX_ARRIVALS = 20_000
_MAX_DEPTH = 40


class Kustomizations:
    """Follows folders; every object of every file they name is handed to `take_file`."""

    def __init__(
        self, repository: Repository, reach: Reach, take_file: Callable[[str, Route, int], None]
    ) -> None:
        self.repository = repository
        self.reach = reach
        self.take_file = take_file
        self._folders: dict[str, bool] = {}

    def take_folder(self, target: str, route: Route, depth: int) -> None:
        """A file or folder that a kustomization names as a resource."""
        if target in self.repository.files:
            self.take_file(target, route, depth)
            return
        file = self.repository.kustomization(target)
        if file is None or depth > _MAX_DEPTH or len(self.reach.arrivals) > _MAX_ARRIVALS:
            return
        self.reach.files.add(file)
        for number, document in enumerate(self.repository.files[file].documents):
            self._kustomization(target, file, Address(number, ()), document.root, route, depth)

    def _kustomization(
        self, folder: str, file: str, address: Address, node: Node, route: Route, depth: int
    ) -> None:
        names = [item.value for item in node.sequence("components") if item.kind == "scalar"]
        components = [path for path in (join(folder, name) for name in names) if path]
        patches = [p for component in components for p in self.component_patches(component, 0)]
        patches += self.patches(file, address, node, ())
        inner = replace(
            route,
            top=folder if route.top is None else route.top,
            namespace=route.namespace or node.text("namespace"),
            patches=(*patches, *route.patches),
            replacements=(*self._replacements(folder, file, node), *route.replacements),
            prefix=route.prefix + (node.text("namePrefix") or ""),
            suffix=(node.text("nameSuffix") or "") + route.suffix,
        )
        self._generators(folder, node, inner)
        for key in ("resources", "bases"):
            for item in node.sequence(key):
                target = join(folder, item.value) if "://" not in item.value else None
                if target is not None:
                    self.take_folder(target, inner, depth + 1)
        for component in components:
            self.take_folder(component, inner, depth + 1)
        self._helm_charts(folder, file, address, node, inner)

    def _replacements(self, folder: str, file: str, node: Node) -> Iterator[Replacement]:
        """What `replacements` overwrite, stated here or in files of their own."""
        for entry in node.sequence("replacements"):
            path = entry.text("path")
            if path is None:
                yield from _targets(file, entry)
                continue
            named = join(folder, path)
            source = self.repository.files.get(named or "")
            for document in source.documents if source is not None else ():
                for below in document.root.sequence() or [document.root]:
                    yield from _targets(str(named), below)

    def steers(self, folder: str) -> bool:
        """Whether kustomize changes names, or objects that lead on, in ways that reading misses."""
        if folder not in self._folders:
            self._folders[folder] = False  # a circle is no reason of its own
            self._folders[folder] = any(self._steered(folder))
        return self._folders[folder]

    def _steered(self, folder: str) -> Iterator[bool]:
        file = self.repository.kustomization(folder)
        if file is None:
            return
        for number, document in enumerate(self.repository.files[file].documents):
            root = document.root
            yield bool(root.sequence("replacements") or root.sequence("transformers"))
            yield any(map(_renames, self.patches(file, Address(number, ()), root, ())))
            for key in ("resources", "bases", "components"):
                for item in root.sequence(key):
                    below = join(folder, item.value)
                    yield below is not None and below != folder and self.steers(below)

    def component_patches(self, folder: str, depth: int) -> list[Patch]:
        """A component's patches work on what includes it, not on its own resources alone."""
        file = self.repository.kustomization(folder)
        if file is None or depth > 10:
            return []
        found: list[Patch] = []
        for number, document in enumerate(self.repository.files[file].documents):
            for item in document.root.sequence("components"):
                below = join(folder, item.value)
                found += self.component_patches(below, depth + 1) if below else []
            found += self.patches(file, Address(number, ()), document.root, ())
        return found

    def patches(self, file: str, address: Address, node: Node, at: tuple[str, ...]) -> list[Patch]:
        """The patches of a kustomization, or of a Flux Kustomization's `spec`, in their order."""
        folder = str(PurePosixPath(file).parent) if "/" in file else ""
        found: list[Patch] = []
        for number, item in enumerate(node.sequence(*at, "patchesStrategicMerge")):
            here = address.below(*at, "patchesStrategicMerge", number)
            found += self._patch_body(file, here, item, folder, {})
        for key in ("patches", "patchesJson6902"):
            for number, item in enumerate(node.sequence(*at, key)):
                target = {k: v.value for k, v in item.mapping("target") if v.kind == "scalar"}
                inline = item.at("patch")
                if inline is not None and inline.kind == "scalar":
                    here = address.below(*at, key, number, "patch")
                    found += inline_patches(file, here, inline, target)
                elif item.text("path") is not None:
                    path = join(folder, item.text("path") or "")
                    found += self._patch_file(path, target)
        return found

    def _patch_body(
        self, file: str, address: Address, item: Node, folder: str, target: Mapping[str, str]
    ) -> list[Patch]:
        if "\n" in item.value:
            return inline_patches(file, address, item, target)
        return self._patch_file(join(folder, item.value), target)

    def _patch_file(self, file: str | None, target: Mapping[str, str]) -> list[Patch]:
        if file is None or file not in self.repository.files:
            return []
        self.reach.files.add(file)
        return [
            Patch(file, Address(number, ()), document.root, target or own_target(document.root))
            for number, document in enumerate(self.repository.files[file].documents)
        ]

    def _generators(self, folder: str, node: Node, route: Route) -> None:
        """Remember which files a generated ConfigMap or Secret holds, for `valuesFrom`."""
        for kind, key in (("ConfigMap", "configMapGenerator"), ("Secret", "secretGenerator")):
            for item in node.sequence(key):
                name = item.text("name") or ""
                for entry in item.sequence("files"):
                    left, equals, right = entry.value.partition("=")
                    file = join(folder, right if equals else left)
                    data = left if equals else PurePosixPath(left).name
                    if file is not None:
                        self.reach.generated.setdefault((kind, name), []).append(
                            Generated(data, file, route.top)
                        )
                        self.reach.files.add(file)
                if kind == "ConfigMap":
                    told = self.reach.literals.setdefault((name, route.top), [])
                    told.append(dict(self._literals(folder, item)))

    def _literals(self, folder: str, item: Node) -> Iterator[tuple[str, str]]:
        """The variables that a generated ConfigMap is given one by one, or in files of them."""
        lines = [entry.value for entry in item.sequence("literals")]
        named = [entry.value for entry in item.sequence("envs")]
        for name in (*named, item.text("env")):
            file = None if name is None else join(folder, name)
            if file is not None:
                lines += self.repository.named(file).splitlines()
        for line in lines:
            key, equals, value = line.partition("=")
            if equals and not key.lstrip().startswith("#"):
                yield key.strip(), value.strip().strip("'\"")

    def _helm_charts(
        self, folder: str, file: str, address: Address, node: Node, route: Route
    ) -> None:
        for number, chart in enumerate(node.sequence("helmCharts")):
            name = chart.text("name") or ""
            values: list[tuple[str, Address]] = []
            if chart.text("valuesFile"):
                path = join(folder, chart.text("valuesFile") or "")
                if path in self.repository.files:
                    values.append((str(path), Address(0, ())))
                    self.reach.files.add(str(path))
            if chart.at("valuesInline") is not None:
                values.append((file, address.below("helmCharts", number, "valuesInline")))
            namespace = chart.text("namespace") or route.namespace or "default"
            self.reach.helm.append(
                HelmSource(
                    owner="kustomize helmCharts",
                    release=chart.text("releaseName") or name,
                    namespace=route.expand(namespace),
                    chart=name,
                    version=chart.text("version"),
                    chart_folder=None,
                    values=tuple(values),
                    route=route,
                    source=chart.text("repo") or "",
                )
            )


_LEADING_ON = frozenset({"Kustomization", "Application", "ApplicationSet", "ResourceSet"})
_NAMING = ("/metadata/name", "/spec/targetNamespace", "/spec/releaseName")


def _targets(file: str, entry: Node) -> Iterator[Replacement]:
    for target in entry.sequence("targets"):
        wanted = _literal(target.at("select"))
        rejected = tuple(map(_literal, target.sequence("reject")))
        for field in target.sequence("fieldPaths"):
            yield Replacement(file, wanted, field.value, rejected)


def _literal(selector: Node | None) -> dict[str, str]:
    """What a selector of `replacements` asks for, whose values are no patterns."""
    stated = [] if selector is None else selector.mapping()
    return {key: re.escape(node.value) for key, node in stated if node.kind == "scalar"}


def _renames(patch: Patch) -> bool:
    """Whether a patch changes what an object is called, or one that leads on to others."""
    kind = patch.target.get("kind") or patch.node.text("kind") or ""
    if kind in _LEADING_ON:
        return True
    paths = [operation.resolved.text("path") or "" for operation in patch.node.items]
    return any(path.startswith(_NAMING) for path in paths)
