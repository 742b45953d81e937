"""Argo CD: from Applications and ApplicationSets to the folders, charts and values they apply."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Protocol

from analyzer.gitops.edit import Address
from analyzer.gitops.repository import Repository, join
from analyzer.gitops.route import Arrival, HelmSource, Reach, Route
from analyzer.gitops.tree import Node

GROUP = "argoproj.io"
_VARIABLE = re.compile(r"\{\{\s*\.?(?P<name>[\w.\[\]-]+)\s*\}\}", re.ASCII)
_MAX_DEPTH = 20


class Walker(Protocol):
    """What following an Application needs of the one who walks the folders."""

    repository: Repository
    folders: frozenset[str]
    reach: Reach

    def take_file(self, file: str, route: Route, depth: int) -> None:
        """Take every object of a file as arriving by `route`."""

    def take_folder(self, folder: str, route: Route, depth: int) -> None:
        """Take what a kustomization builds as arriving by `route`."""

    def kustomization_file(self, folder: str) -> str | None:
        """The kustomization of a folder; None where it has none."""


@dataclass(frozen=True, slots=True)
class _Application:
    """An Application, or one that an ApplicationSet generates."""

    file: str
    address: Address
    spec: Node
    name: str
    namespace: str
    path: str | None = None

    @property
    def route(self) -> Route:
        return Route(
            f"Argo CD Application {self.name}",
            namespace=self.namespace,
            application=self.name,
        )

    def sources(self) -> Iterator[tuple[Node, Address]]:
        """Every source with the address of its node."""
        single = self.spec.at("source")
        if single is not None:
            yield single, self.address.below("source")
        for number, source in enumerate(self.spec.sequence("sources")):
            yield source, self.address.below("sources", number)


class Follower:
    """Follows Applications; each one once."""

    def __init__(self, walker: Walker) -> None:
        self._walker = walker
        self._files = walker.repository.files
        self._seen: set[tuple[str, str, str]] = set()

    def application(self, arrival: Arrival, depth: int) -> None:
        """Follow an Application object."""
        item, spec = arrival.object, arrival.object.node.at("spec")
        if spec is not None:
            namespace = spec.text("destination", "namespace") or "default"
            address = item.address.below("spec")
            self._follow(_Application(item.file, address, spec, arrival.name, namespace), depth)

    def application_set(self, arrival: Arrival, depth: int) -> None:
        """Follow every Application that the generators yield from the repository alone."""
        item, spec = arrival.object, arrival.object.node.at("spec")
        if spec is not None:
            self._generate(item.file, item.address.below("spec"), spec, depth)

    def values_of_argocd_apps(self, file: str, address: Address, root: Node) -> bool:
        """Follow the Applications that the argocd-apps chart makes of its values; any there?"""
        found = False
        for number, entry in root.mapping("applicationsets"):
            found = True
            self._generate(file, address.below("applicationsets", number), entry, 1)
        for name, entry in root.mapping("applications"):
            found = True
            namespace = entry.text("destination", "namespace") or "default"
            below = address.below("applications", name)
            self._follow(_Application(file, below, entry, name, namespace), 1)
        return found

    def _generate(self, file: str, address: Address, spec: Node, depth: int) -> None:
        template = spec.at("template", "spec")
        if template is None:
            return
        for parameters in self._parameters(spec):
            name = spec.text("template", "metadata", "name") or "{{path.basename}}"
            namespace = template.text("destination", "namespace") or "default"
            path = template.text("source", "path")
            application = _Application(
                file,
                address.below("template", "spec"),
                template,
                _fill(name, parameters),
                _fill(namespace, parameters),
                _fill(path, parameters) if path else None,
            )
            self._follow(application, depth)

    def _follow(self, application: _Application, depth: int) -> None:
        key = (application.file, str(application.address), application.name)
        if key in self._seen or depth > _MAX_DEPTH:
            return
        self._seen.add(key)
        for source, address in application.sources():
            self._source(application, source, address, depth)

    def _source(
        self, application: _Application, source: Node, address: Address, depth: int
    ) -> None:
        own = application.path or source.text("path")
        folder = join("", own) if own is not None else None
        is_chart = folder is not None and f"{folder}/Chart.yaml" in self._files
        if source.text("chart") is not None or is_chart:
            self._helm(application, source, address, folder if is_chart else None)
        elif folder is not None and folder in self._walker.folders:
            route = replace(application.route, folder=folder)
            if self._walker.kustomization_file(folder) is not None:
                self._walker.take_folder(folder, route, depth + 1)
            else:
                recurse = source.flag("directory", "recurse") is True
                self._directory(folder, route, recurse, depth)

    def _directory(self, folder: str, route: Route, recurse: bool, depth: int) -> None:
        prefix = f"{folder}/" if folder else ""
        for file in self._files:
            if file.startswith(prefix) and (recurse or "/" not in file.removeprefix(prefix)):
                self._walker.take_file(file, route, depth + 1)

    def _helm(
        self, application: _Application, source: Node, address: Address, folder: str | None
    ) -> None:
        values = list(self._values(application.file, source, address, folder))
        self._walker.reach.files.update(file for file, _ in values)
        self._walker.reach.helm.append(
            HelmSource(
                owner="Application",
                release=source.text("helm", "releaseName") or application.name,
                namespace=application.namespace,
                chart=source.text("chart") or PurePosixPath(folder or "").name,
                version=source.text("targetRevision") if folder is None else None,
                chart_folder=folder,
                values=tuple(values),
                route=application.route,
            )
        )

    def _values(
        self, file: str, source: Node, address: Address, folder: str | None
    ) -> Iterator[tuple[str, Address]]:
        """The value sources of a Helm source, from the weakest to the strongest."""
        own = f"{folder}/values.yaml"
        if folder is not None and own in self._files:
            yield own, Address(0, ())
        for entry in source.sequence("helm", "valueFiles"):
            reference = entry.value
            if reference.startswith("$"):
                # "$name/path": a path in another source, here taken to be this repository.
                reference = "/" + reference.partition("/")[2]
            named = join(folder or "", reference)
            if named is not None and named in self._files and named != own:
                yield named, Address(0, ())
        block = source.at("helm", "values")
        if block is not None and block.kind == "scalar":
            yield file, address.below("helm", "values").into(Address(0, ()))
        if source.at("helm", "valuesObject") is not None:
            yield file, address.below("helm", "valuesObject")

    # --- generators ---

    def _parameters(self, spec: Node) -> Iterator[dict[str, str]]:
        """What the generators that a repository alone decides would fill in."""
        for generator in spec.sequence("generators"):
            for element in generator.sequence("list", "elements"):
                yield {key: value.value for key, value in element.mapping()}
            patterns = [d.text("path") or "" for d in generator.sequence("git", "directories")]
            for folder in sorted(self._walker.folders):
                if any(_glob(folder, pattern) for pattern in patterns):
                    yield _path_parameters(folder)
            for entry in generator.sequence("git", "files"):
                yield from self._file_parameters(entry.text("path") or "")

    def _file_parameters(self, pattern: str) -> Iterator[dict[str, str]]:
        for file, source in self._walker.repository.files.items():
            if _glob(file, pattern):
                values = {k: v.value for d in source.documents for k, v in d.root.mapping()}
                yield {**values, **_path_parameters(str(PurePosixPath(file).parent))}


def _path_parameters(folder: str) -> dict[str, str]:
    base = PurePosixPath(folder).name
    return {"path": folder, "path.path": folder, "path.basename": base}


def _fill(text: str, parameters: Mapping[str, str]) -> str:
    return _VARIABLE.sub(lambda match: parameters.get(match["name"], match.group()), text)


def _glob(path: str, pattern: str) -> bool:
    """Whether `path` fits a pattern in which ``*`` stays within one folder, as Argo CD has it."""
    parts, patterns = path.split("/"), pattern.strip("/").split("/")
    return len(parts) == len(patterns) and all(map(fnmatch.fnmatchcase, parts, patterns))
