"""Rancher Fleet: folders with a fleet.yaml, each a bundle of a chart, a kustomization or files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from analyzer.gitops.reach.kustomization import Kustomizations
from analyzer.gitops.reach.patch import Patch
from analyzer.gitops.reach.repository import join
from analyzer.gitops.reach.route import HelmSource, Route
from analyzer.gitops.text.address import Address
from analyzer.gitops.text.tree import Node

_PATCH = "_patch."
"""In place of the dot before its ending, this makes of a file's name that of a patch for it."""
FILES = ("fleet.yaml", "fleet.yml")


class Fleet:
    """Follows bundles. Which clusters take them is said elsewhere, so their routes are undecided.

    Each target that a bundle customizes counts as a cluster of its own: what they share is shared.
    """

    def __init__(self, kustomizations: Kustomizations) -> None:
        self._kustomizations = kustomizations
        self._repository = kustomizations.repository
        self._reach = kustomizations.reach

    def follow(self, file: str, inside: bool) -> None:
        """One bundle, for each target that it tells apart."""
        folder = str(PurePosixPath(file).parent) if "/" in file else ""
        for document in self._repository.files[file].documents:
            root = document.root
            for target in _targets(root):
                name = target.node.text("name")
                entry = f"{folder or '.'} for {name}" if name else folder or "."
                route = Route("Fleet", reachable=None, entry=entry, inside=inside)
                bundle = _Bundle(file, folder, root, target, _namespaced(route, root, target.node))
                self._take(bundle)

    def _take(self, bundle: _Bundle) -> None:
        chart, local = bundle.chart, join(bundle.folder, bundle.chart)
        if local is None or f"{local}/Chart.yaml" not in self._repository.files:
            local = None
        if chart or local is not None:
            self._helm(bundle, chart or bundle.folder, local)
            return
        where = bundle.kustomized or bundle.folder
        if self._repository.kustomization(where) is not None:
            route = replace(bundle.route, folder=where)
            self._kustomizations.take_folder(where, route, 0)
            return
        self._plain(bundle)

    def _plain(self, bundle: _Bundle) -> None:
        """Every manifest of a bundle, as the overlays of its target replace and patch it."""
        route, files = bundle.route, {file: file for file in self._own_files(bundle.folder)}
        patches: dict[str, list[Patch]] = {}
        for name in bundle.overlays:
            overlay = f"{join(bundle.folder, 'overlays') or ''}/{name}/"
            for file in self._repository.files:
                rest = file.removeprefix(overlay)
                meant = join(bundle.folder, rest.replace(_PATCH, "."))
                if rest == file or meant is None:
                    continue
                if _PATCH in rest:
                    patches.setdefault(meant, []).extend(self._patches(file))
                else:
                    files[meant] = file
                    patches.pop(meant, None)
        for meant, file in files.items():
            patched = replace(route, patches=(*route.patches, *patches.get(meant, ())))
            self._kustomizations.take_file(file, patched, 0)

    def _patches(self, file: str) -> Iterator[Patch]:
        """A file of patches: Fleet takes each for the file that it is named after."""
        self._reach.files.add(file)
        for number, document in enumerate(self._repository.files[file].documents):
            yield Patch(file, Address(number, ()), document.root, {})

    def _own_files(self, folder: str) -> Iterator[str]:
        prefix = f"{folder}/" if folder else ""
        below = [str(PurePosixPath(f).parent) for f in self._repository.files if _is_bundle(f)]
        others = tuple(f"{each}/" for each in below if each != folder and each.startswith(prefix))
        for file in self._repository.files:
            rest = file.removeprefix(prefix)
            mine = file.startswith(prefix) and not file.startswith(others or "\0")
            if mine and not _is_bundle(file) and not rest.startswith("overlays/"):
                yield file

    def _values(self, bundle: _Bundle, chart: str | None) -> list[tuple[str, Address]]:
        """Where the values stand: the chart's own, files, inline; a target's after the bundle's."""
        found = [] if chart is None else [(f"{chart}/values.yaml", Address(0, ()))]
        bundle_wide = _Target(bundle.root, Address(0, ()))
        for node, address in ((each.node, each.address) for each in (bundle_wide, bundle.target)):
            for entry in node.sequence("helm", "valuesFiles"):
                found.append((join(bundle.folder, entry.value) or "", Address(0, ())))
            if node.at("helm", "values") is not None:
                found.append((bundle.file, address.below("helm", "values")))
        return [(name, where) for name, where in found if name in self._repository.files]

    def _helm(self, bundle: _Bundle, chart: str, folder: str | None) -> None:
        route, release = bundle.route, bundle.either("helm", "releaseName")
        if release is None:
            self._reach.notes.append(f"the bundle {route.entry} is named by its GitRepo alone")
            return
        values = self._values(bundle, folder)
        self._reach.files.update(name for name, _ in values)
        kustomized = f"{bundle.file} has kustomize change what the chart makes"
        self._reach.helm.append(
            HelmSource(
                owner="Fleet",
                release=release,
                namespace=route.namespace or route.otherwise or "default",
                chart=PurePosixPath(chart.rstrip("/")).name,
                version=bundle.either("helm", "version"),
                chart_folder=folder,
                values=tuple(values),
                route=route,
                overruled=kustomized if bundle.kustomized else None,
                source=f"{bundle.either('helm', 'repo') or ''} {chart}",
            )
        )


@dataclass(frozen=True, slots=True)
class _Target:
    """What a bundle says for one target, and where; nothing for one that it does not tell apart."""

    node: Node
    address: Address


@dataclass(frozen=True, slots=True)
class _Bundle:
    """A bundle as one target gets it."""

    file: str
    folder: str
    root: Node
    target: _Target
    route: Route

    def either(self, *path: str) -> str | None:
        """A setting of the target, else that of the bundle."""
        return self.target.node.text(*path) or self.root.text(*path)

    @property
    def overlays(self) -> list[str]:
        """The overlays of plain manifests, in the order in which they apply."""
        named = (
            *self.root.sequence("yaml", "overlays"),
            *self.target.node.sequence("yaml", "overlays"),
        )
        return [node.value for node in named]

    @property
    def chart(self) -> str:
        return self.either("helm", "chart") or ""

    @property
    def kustomized(self) -> str | None:
        """The folder in which kustomize is to work; None where none is named."""
        named = self.either("kustomize", "dir")
        return None if named is None else join(self.folder, named)


def _targets(root: Node) -> list[_Target]:
    key = "targetCustomizations"
    found = [
        _Target(target, Address(0, (key, number)))
        for number, target in enumerate(root.sequence(key))
        if target.flag("doNotDeploy") is not True
    ]
    return found or [_Target(Node("mapping", 0, 0), Address(0, ()))]


def _is_bundle(file: str) -> bool:
    return PurePosixPath(file).name in FILES


def _namespaced(route: Route, root: Node, target: Node) -> Route:
    """`namespace` is for every object, `defaultNamespace` for those that state none."""
    return replace(
        route,
        namespace=target.text("namespace") or root.text("namespace"),
        otherwise=target.text("defaultNamespace") or root.text("defaultNamespace"),
    )
