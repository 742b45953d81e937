"""Which Helm releases a repository makes, of which chart, with which values."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property
from pathlib import PurePosixPath

from analyzer.gitops.reach.objects import node_at
from analyzer.gitops.reach.release import Owner, Release, post_renderers
from analyzer.gitops.reach.repository import Repository
from analyzer.gitops.reach.route import Arrival, HelmSource, Reach, told_suspended
from analyzer.gitops.text.address import Address
from analyzer.gitops.text.tree import Node, Path, YamlError, parse


def find_releases(repository: Repository, reach: Reach) -> list[Release]:
    """Every release among what reaches a cluster, in the order in which it is met."""
    found = _Releases(repository, reach)
    for arrival in reach.arrivals:
        if arrival.object.is_helm_release:
            found.take(arrival)
    for source in reach.helm:
        found.take_source(source)
    return found.releases


class _Releases:
    """Finds the releases: HelmReleases, Applications over charts, kustomize's `helmCharts`."""

    def __init__(self, repository: Repository, reach: Reach) -> None:
        self._repository = repository
        self._reach = reach
        self.releases: list[Release] = []

    def take(self, arrival: Arrival) -> None:
        """Take down a HelmRelease with its values from the weakest to the strongest."""
        node, item = arrival.object.node, arrival.object
        target = arrival.node.text("spec", "targetNamespace")
        namespace = arrival.route.expand(target) if target else arrival.namespace
        release = arrival.node.text("spec", "releaseName")
        if release is None:
            release = f"{namespace}-{arrival.name}" if target else arrival.name
        chart, version, folder = self._chart_of(arrival)
        owner = Owner(
            item.kind, arrival.name, namespace, arrival.route.expand(release), chart, version
        )
        values = [*self._values_from(arrival)]
        references = len(values)
        inline = node.at("spec", "values")
        if inline is not None:
            values.append((item.file, item.address.below("spec", "values"), inline))
        values += self._values_patches(arrival)
        overruled = _overwritten(arrival)
        post_rendered = post_renderers(arrival.node.at("spec"))
        told = told_suspended(arrival, self._reach)
        self.releases.append(
            Release(
                owner,
                replace(arrival.route, suspended=told) if told else arrival.route,
                tuple(values),
                (),
                folder,
                overruled,
                references,
                (item.file, item.address.below("spec", "values")),
                self._source_of(arrival),
                post_rendered,
                post_rendered != post_renderers(node.at("spec")),
            )
        )

    def _chart_of(self, arrival: Arrival) -> tuple[str | None, str | None, str | None]:
        """Chart name, version and, for one kept in this repository, its folder."""
        spec = arrival.object.node.at("spec")
        if spec is None:
            return None, None, None
        expand = arrival.route.expand
        name = expand(spec.text("chart", "spec", "chart") or "")
        if name:
            folder = name.removeprefix("./").strip("/")
            local = f"{folder}/Chart.yaml" in self._repository.files
            version = spec.text("chart", "spec", "version")
            return (
                PurePosixPath(folder).name,
                version and expand(version),
                folder if local else None,
            )
        reference = spec.at("chartRef")
        found = None if reference is None else self._referenced(reference, arrival)
        if found is None:
            return None, None, None
        node = found.object.node
        if found.object.kind == "HelmChart":
            return node.text("spec", "chart"), node.text("spec", "version"), None
        url = found.route.expand(node.text("spec", "url") or "")
        version = node.text("spec", "ref", "tag") or node.text("spec", "ref", "semver")
        chart = url.rstrip("/").rpartition("/")[2] or None
        return chart, version and found.route.expand(version), None

    def _source_of(self, arrival: Arrival) -> str:
        """Where the chart comes from: its repository's address, else the name it is called by."""
        spec = arrival.object.node
        reference = spec.at("spec", "chart", "spec", "sourceRef") or spec.at("spec", "chartRef")
        if reference is None:
            return ""
        found = self._referenced(reference, arrival)
        if found is not None and found.object.kind == "HelmChart":
            return self._source_of_chart(found)
        told = None if found is None else found.object.node.text("spec", "url")
        return told or reference.text("name") or ""

    def _source_of_chart(self, chart: Arrival) -> str:
        reference = chart.object.node.at("spec", "sourceRef")
        found = None if reference is None else self._referenced(reference, chart)
        return "" if found is None else found.object.node.text("spec", "url") or ""

    def _referenced(self, reference: Node, arrival: Arrival) -> Arrival | None:
        kind, name = reference.text("kind"), arrival.route.expand(reference.text("name") or "")
        namespace = reference.text("namespace") or arrival.namespace
        fitting = [
            other
            for other in self._by_name.get((kind or "", name), ())
            if other.namespace == namespace
        ] or self._by_name.get((kind or "", name), [])
        same = [other for other in fitting if other.route == arrival.route]
        return (same or fitting)[0] if fitting else None

    @cached_property
    def _by_name(self) -> dict[tuple[str, str], list[Arrival]]:
        found: dict[tuple[str, str], list[Arrival]] = {}
        for arrival in self._reach.arrivals:
            found.setdefault((arrival.object.kind, arrival.name), []).append(arrival)
        return found

    def _values_from(self, arrival: Arrival) -> Iterator[tuple[str, Address, Node]]:
        for reference in _references(arrival):
            if reference.text("targetPath") is not None:
                continue
            kind = reference.text("kind") or "ConfigMap"
            name = arrival.route.expand(reference.text("name") or "")
            key = reference.text("valuesKey") or "values.yaml"
            yield from self._generated_values(kind, name, key, arrival)
            yield from self._config_map_values(kind, name, key, arrival)

    def _generated_values(
        self, kind: str, name: str, key: str, arrival: Arrival
    ) -> Iterator[tuple[str, Address, Node]]:
        made = [
            one
            for one in self._reach.generated.get((kind, name), ())
            if one.key == key and one.file in self._repository.files
        ]
        # Overlays of one base generate the same name; only that of the own build is meant.
        own = [one.file for one in made if one.top == arrival.route.top]
        files = own or [one.file for one in made]
        folder = str(PurePosixPath(arrival.object.file).parent)
        near = [file for file in files if file.startswith(f"{folder}/")]
        for file in dict.fromkeys(own or near or files):
            documents = self._repository.files[file].documents
            if documents:
                yield file, Address(0, ()), documents[0].root

    def _config_map_values(
        self, kind: str, name: str, key: str, arrival: Arrival
    ) -> Iterator[tuple[str, Address, Node]]:
        for other in self._by_name.get((kind, name), ()):
            if other.namespace != arrival.namespace:
                continue
            scalar = other.object.node.at("data", key)
            if scalar is None or scalar.kind != "scalar":
                continue
            try:
                documents = parse(scalar.value)
            except YamlError:
                continue
            if documents:
                address = other.object.address.below("data", key).into(Address(0, ()))
                yield other.object.file, address, documents[0].root

    def _values_patches(self, arrival: Arrival) -> Iterator[tuple[str, Address, Node]]:
        for patch in arrival.route.patches:
            if patch.is_json or not patch.applies_to(arrival.object, arrival.namespace):
                continue
            values = patch.node.at("spec", "values")
            if values is not None:
                yield patch.file, patch.address.below("spec", "values"), values

    def take_source(self, source: HelmSource) -> None:
        """Take down Helm values that no object of their own holds.

        Those of an umbrella chart are values of each chart that it depends on, below its name.
        """
        folder = source.chart_folder
        whole = self._whole(source)
        if folder is None or self._has_templates(folder):
            self.releases.append(whole)
        for entry in self._dependencies(folder) if folder is not None else ():
            name = entry.text("name") or ""
            part = replace(whole.owner, chart=name, version=entry.text("version"))
            prefix: Path = (entry.text("alias") or name,)
            address = entry.text("repository") or ""
            self.releases.append(
                replace(whole, owner=part, prefix=prefix, chart_folder=None, source=address)
            )

    def _whole(self, source: HelmSource) -> Release:
        """The release of the chart itself, whatever that depends on."""
        values = []
        for file, address in source.values:
            node = node_at(self._repository.files[file].documents, address)
            if node is not None:
                values.append((file, address, node))
        return Release(
            Owner(
                source.owner,
                source.release,
                source.namespace,
                source.release,
                source.chart,
                source.version,
            ),
            source.route,
            tuple(values),
            chart_folder=source.chart_folder,
            overruled=source.overruled,
            source=source.source,
        )

    def _has_templates(self, folder: str) -> bool:
        """Whether a chart kept here makes objects of its own, beside those it depends on."""
        return any((self._repository.root / folder / "templates").glob("*.yaml"))

    def _dependencies(self, folder: str) -> list[Node]:
        """What an umbrella chart says of each chart that it depends on."""
        documents = self._repository.files[f"{folder}/Chart.yaml"].documents
        return documents[0].root.sequence("dependencies") if documents else []


def _references(arrival: Arrival) -> list[Node]:
    """The entries of `valuesFrom`, those that patches add or put in their place included.

    They are read and not built: kustomize gives what it generates a name with a hash.
    """
    found = arrival.object.node.sequence("spec", "valuesFrom")
    for patch in arrival.route.patches:
        if not patch.applies_to(arrival.object, arrival.namespace):
            continue
        stated = None if patch.is_json else patch.node.at("spec", "valuesFrom")
        if stated is not None:
            found = stated.sequence()
        for operation in map(_resolved, patch.node.items):
            path, value = operation.text("path") or "", operation.at("value")
            if value is not None and path == "/spec/valuesFrom":
                found = value.sequence()
            elif value is not None and path.startswith("/spec/valuesFrom/"):
                found = [*found, value]
    return found


def _resolved(node: Node) -> Node:
    return node.resolved


def _overwritten(arrival: Arrival) -> str | None:
    """What to say of a HelmRelease whose values JSON patches or replacements write into."""
    item, route = arrival.object, arrival.route
    for patch in route.patches:
        if patch.is_json and patch.applies_to(item, arrival.namespace):
            paths = [f"{_resolved(operation).text('path')}/" for operation in patch.node.items]
            if any(path == "/spec/" or path.startswith("/spec/values/") for path in paths):
                return f"the JSON patch in {patch.file} sets values of the release"
    for one in route.replacements:
        writes = one.field == "spec.values" or one.field.startswith("spec.values.")
        if writes and one.applies_to(item, arrival.namespace):
            return f"the replacements in {one.file} set values of the release"
    return None
