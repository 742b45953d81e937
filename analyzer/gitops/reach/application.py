"""Argo CD: from Applications and ApplicationSets to the folders, charts and values they apply."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import PurePosixPath

from analyzer.gitops.reach import overlay
from analyzer.gitops.reach.application_set import Parameters, fill, generate, is_open
from analyzer.gitops.reach.builder import Builder
from analyzer.gitops.reach.kustomization import Kustomizations
from analyzer.gitops.reach.objects import is_application, node_at
from analyzer.gitops.reach.release import mapping_of, merge
from analyzer.gitops.reach.repository import bare_address, join
from analyzer.gitops.reach.route import Arrival, HelmSource, Route, Steering
from analyzer.gitops.text.address import Address
from analyzer.gitops.text.tree import Node, YamlError, parse

_MAX_DEPTH = 20
_SKIPPED = "argocd.argoproj.io/skip-reconcile"
_HERE = frozenset({"https://kubernetes.default.svc", "in-cluster"})
_REPO_URL = re.compile(r"repoURL:[ \t]*[\"']?([^\s\"',}]+)")


@dataclass(frozen=True, slots=True)
class _Application:
    """An Application, or one that an ApplicationSet generates from `parameters`."""

    file: str
    address: Address
    spec: Node
    name: str
    begun: Route
    parameters: Parameters = field(default_factory=dict)
    rendered: bool = False
    """Whether a chart made it, so that nothing of its own text can be edited."""

    @property
    def namespace(self) -> str:
        return self.text(self.spec, "destination", "namespace") or "default"

    @property
    def route(self) -> Route:
        """The way of what it applies: its destination is for objects that state no namespace."""
        return Route(
            f"Argo CD Application {self.name}",
            otherwise=self.namespace,
            application=self.name,
            reachable=self.begun.reachable,
            entry=self._entry,
            inside=self.begun.inside,
            suspended=self.begun.suspended,
        )

    @property
    def _entry(self) -> str:
        """Where the way began, and the other cluster it leads to, if it does."""
        given = ("server", "name")
        told = [self.text(self.spec, "destination", key) for key in given]
        other = next((each for each in told if each and each not in _HERE), None)
        if other is None:
            return self.begun.entry
        # An Application that makes others may stand on any cluster: what they name counts.
        return f"{self.begun.entry.partition(' to ')[0]} to {other}"

    def text(self, node: Node, *path: str) -> str | None:
        """The scalar at a path with the parameters put in; None where there is none, or ""."""
        found = node.text(*path)
        return None if found is None else fill(found, self.parameters) or None

    def sources(self) -> Iterator[tuple[Node, Address]]:
        """Every source with the address of its node."""
        single = self.spec.at("source")
        if single is not None:
            yield single, self.address.below("source")
        for number, source in enumerate(self.spec.sequence("sources")):
            yield source, self.address.below("sources", number)


class Applications:
    """Follows Applications; each one once."""

    def __init__(self, kustomizations: Kustomizations, builder: Builder) -> None:
        self._builder = builder
        self._kustomizations = kustomizations
        self._repository = kustomizations.repository
        self._reach = kustomizations.reach
        self._files = kustomizations.repository.files
        self._seen: set[tuple[str, str, str, str]] = set()
        self._charts: set[str] = set()

    @cached_property
    def _own(self) -> frozenset[str]:
        """The addresses of this repository that Applications name; empty where that cannot be told.

        A fork, or a checkout that git knows no origin of, is named by none.
        """
        addresses = self._repository.addresses
        texts = [source.text for source in self._files.values()] if addresses else []
        named = {bare_address(url) for text in texts for url in _REPO_URL.findall(text)}
        return addresses & named

    def _is_foreign(self, application: _Application, source: Node) -> bool:
        """Whether a source is surely another repository than this one."""
        url = application.text(source, "repoURL")
        if not self._own or url is None or is_open(url):
            return False
        return bare_address(url) not in self._own

    def follow(self, arrival: Arrival, depth: int) -> None:
        """Follow an Application, or every one that a set yields from the repository alone."""
        item, spec = arrival.object, arrival.node.at("spec")
        if spec is None:
            return
        address, begun = item.address.below("spec"), replace(arrival.route, suspended="")
        if item.kind == "ApplicationSet":
            self._generate(item.file, address, spec, depth, begun)
        else:
            if arrival.node.text("metadata", "annotations", _SKIPPED) == "true":
                told = f"the Application {arrival.name} is told to skip reconciling"
                self._reach.notes.append(told)
                begun = replace(begun, suspended=told)
            found = _Application(item.file, address, spec, arrival.name, begun)
            self._follow(found, depth)

    def values_of_argocd_apps(self, file: str, address: Address, root: Node, inside: bool) -> bool:
        """Follow the Applications that the argocd-apps chart makes of its values; any there?"""
        found = False
        begun = Route("Argo CD", entry=file, inside=inside)
        for number, entry in root.mapping("applicationsets"):
            found = True
            self._generate(file, address.below("applicationsets", number), entry, 1, begun)
        for name, entry in root.mapping("applications"):
            found = True
            below = address.below("applications", name)
            self._follow(_Application(file, below, entry, name, begun), 1)
        return found

    def _generate(self, file: str, address: Address, spec: Node, depth: int, begun: Route) -> None:
        template = spec.at("template", "spec")
        if template is None:
            return
        try:
            generated = generate(spec, self._repository)
        except YamlError as err:
            self._reach.leave_open(f"an ApplicationSet in {file} cannot be followed: {err}")
            return
        for kind in generated.unanswered:
            self._reach.notes.append(
                f"the {kind} generator in {file} is answered by the cluster alone"
            )
        if generated.unanswered and not generated.parameters:
            self._reach.leave_open(f"what {file} generates is not known")
        name = spec.text("template", "metadata", "name") or "{{path.basename}}"
        below = address.below("template", "spec")
        for parameters in generated.parameters:
            named = fill(name, parameters)
            self._follow(_Application(file, below, template, named, begun, parameters), depth)

    def _follow(self, application: _Application, depth: int) -> None:
        entry = application.begun.entry
        key = (entry, application.file, str(application.address), application.name)
        if key in self._seen or depth > _MAX_DEPTH:
            return
        self._seen.add(key)
        for source, address in application.sources():
            self._source(application, source, address, depth)

    def _source(
        self, application: _Application, source: Node, address: Address, depth: int
    ) -> None:
        application = self._as_plugged(application, source)
        own = application.text(source, "path")
        if own is not None and is_open(own):
            self._reach.leave_open(f"{application.file}: the path {own[:80]} is filled in later")
            return
        folder = join("", own) if own is not None else None
        if own is not None and self._is_foreign(application, source):
            folder = None
        is_chart = folder is not None and f"{folder}/Chart.yaml" in self._files
        if application.text(source, "chart") is not None or is_chart:
            self._helm(application, source, address, folder if is_chart else None)
            if folder is not None and is_chart:
                self._made_by_chart(application, source, folder, depth)
        elif folder is not None and folder in self._repository.folders:
            self._reach.governed.add(folder)
            if self._repository.kustomization(folder) is not None:
                route = self._kustomized(application, source, address, folder)
                self._kustomizations.take_folder(folder, route, depth + 1)
            else:
                route = replace(application.route, folder=folder)
                self._directory(folder, route, source, depth)

    def _as_plugged(self, application: _Application, source: Node) -> _Application:
        """The Application; undecided where a plugin makes something of its source's files."""
        plugin = source.at("plugin")
        if plugin is None or application.begun.reachable is False:
            return application
        named = plugin.text("name") or "that Argo CD finds by itself"
        self._reach.notes.append(
            f"{application.name} in {application.file} is made by the plugin {named}"
        )
        return replace(application, begun=replace(application.begun, reachable=None))

    def _kustomized(
        self, application: _Application, source: Node, address: Address, folder: str
    ) -> Route:
        """The route with what the Application itself tells kustomize to do."""
        return replace(
            application.route,
            folder=folder,
            namespace=application.text(source, "kustomize", "namespace"),
            steering=Steering(application.file, address, overlay.of_argo(source, folder)),
            prefix=application.text(source, "kustomize", "namePrefix") or "",
            suffix=application.text(source, "kustomize", "nameSuffix") or "",
            patches=tuple(
                self._kustomizations.patches(application.file, address, source, ("kustomize",))
            ),
        )

    def _directory(self, folder: str, route: Route, source: Node, depth: int) -> None:
        prefix = f"{folder}/" if folder else ""
        recurse = source.flag("directory", "recurse") is True
        include = _alternatives(source.text("directory", "include") or "*")
        exclude = _alternatives(source.text("directory", "exclude") or "")
        for file in self._files:
            below = file.removeprefix(prefix)
            if not file.startswith(prefix) or ("/" in below and not recurse):
                continue
            if _any_fits(below, include) and not _any_fits(below, exclude):
                self._kustomizations.take_file(file, route, depth + 1)

    def _helm(
        self, application: _Application, source: Node, address: Address, folder: str | None
    ) -> None:
        values = list(self._values(application, source, address, folder))
        self._reach.files.update(file for file, _ in values)
        chart = application.text(source, "chart")
        self._reach.helm.append(
            HelmSource(
                owner="Application",
                release=application.text(source, "helm", "releaseName") or application.name,
                namespace=application.namespace,
                chart=chart or PurePosixPath(folder or "").name,
                version=application.text(source, "targetRevision") if folder is None else None,
                chart_folder=folder,
                values=tuple(values),
                route=application.route,
                overruled=_overruling_parameter(source),
                source=application.text(source, "repoURL") or "",
            )
        )

    def _made_by_chart(
        self, application: _Application, source: Node, folder: str, depth: int
    ) -> None:
        """Applications that are templates of a chart: made by helm where it is at hand."""
        if not self.is_chart_of_applications(folder):
            return
        release = application.text(source, "helm", "releaseName") or application.name
        given = self._given(application, source, address=Address(0, ()), folder=folder)
        made = self._builder.chart(folder, release, application.namespace, given)
        if made is None:
            self._reach.leave_open(
                f"{application.name}: the Applications that the chart {folder} makes"
            )
            return
        self._follow_made(folder, made, application.route, depth)

    def is_chart_of_applications(self, folder: str) -> bool:
        """Whether a chart of the repository has Applications among its templates."""
        templates = f"{folder}/templates/"
        files = {**self._repository.unread, **self._files}
        texts = (self._repository.text(file) for file in files if file.startswith(templates))
        return any("argoproj.io" in text and "Application" in text for text in texts)

    def follow_chart(self, folder: str, begun: Route) -> None:
        """Follow what a chart makes with its own values, unless an Application led there."""
        if folder in self._charts or not self.is_chart_of_applications(folder):
            return
        made = self._builder.chart(folder, PurePosixPath(folder).name, "argocd", {})
        if made is None:
            self._reach.leave_open(f"the Applications that the chart {folder} makes")
        else:
            self._follow_made(folder, made, begun, 0)

    def _follow_made(self, folder: str, made: Sequence[Node], begun: Route, depth: int) -> None:
        """Follow the Applications among what a chart made."""
        self._charts.add(folder)
        begun = replace(begun, root=f"the chart {folder}")
        for node in made:
            spec, name = node.at("spec"), node.text("metadata", "name") or ""
            if spec is None or not is_application(node):
                continue
            if node.text("kind") == "Application":
                chart = f"{folder}/Chart.yaml"
                found = _Application(chart, Address(0, (name,)), spec, name, begun, {}, True)
                self._follow(found, depth + 1)
            else:
                self._reach.leave_open(f"{name}: an ApplicationSet that the chart {folder} makes")

    def _given(
        self, application: _Application, source: Node, address: Address, folder: str
    ) -> dict[str, object]:
        """The values that an Application gives to a chart, beside the chart's own."""
        merged: dict[str, object] = {}
        for file, where in self._values(application, source, address, folder):
            if file == application.file:
                continue
            node = node_at(self._files[file].documents, where)
            merged = merge(merged, mapping_of(node))
        inline = source.at("helm", "valuesObject")
        text = source.text("helm", "values")
        if text is not None:
            merged = merge(merged, mapping_of(parse(text)[0].root))
        return merge(merged, mapping_of(inline))

    def _values(
        self, application: _Application, source: Node, address: Address, folder: str | None
    ) -> Iterator[tuple[str, Address]]:
        """The value sources of a Helm source, from the weakest to the strongest."""
        own = f"{folder}/values.yaml"
        if folder is not None and own in self._files:
            yield own, Address(0, ())
        for entry in source.sequence("helm", "valueFiles"):
            reference = fill(entry.value, application.parameters)
            if is_open(reference):
                self._reach.leave_open(
                    f"{application.file}: the values file {reference[:80]} is filled in later"
                )
                continue
            if reference.startswith("$"):
                # "$name/path": a path in the source of that name.
                name, _, rest = reference.partition("/")
                named_so = (s for s, _ in application.sources() if s.text("ref") == name[1:])
                if any(self._is_foreign(application, other) for other in named_so):
                    continue
                reference = f"/{rest}"
            named = join(folder or "", reference)
            if named is not None and named in self._files and named != own:
                yield named, Address(0, ())
        if application.rendered:
            return
        block = source.at("helm", "values")
        if block is not None and block.kind == "scalar":
            yield application.file, address.below("helm", "values").into(Address(0, ()))
        if source.at("helm", "valuesObject") is not None:
            yield application.file, address.below("helm", "valuesObject")


def _overruling_parameter(source: Node) -> str | None:
    """What to say of a Helm source whose parameters, which win over values, set resources."""
    names = [entry.text("name") or "" for entry in source.sequence("helm", "parameters")]
    touching = next((name for name in names if "resources" in name.lower()), None)
    return None if touching is None else f"the Application sets {touching[:80]} by a parameter"


def _alternatives(pattern: str) -> list[str]:
    """The patterns that ``{a,b}`` stands for; one that has no braces alone, none for ""."""
    if pattern.startswith("{") and pattern.endswith("}"):
        return [part.strip() for part in pattern[1:-1].split(",")]
    return [pattern] if pattern else []


def _any_fits(path: str, patterns: Sequence[str]) -> bool:
    return any(fnmatch.fnmatchcase(path, pattern) for pattern in patterns)
