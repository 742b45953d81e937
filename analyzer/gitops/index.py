"""Every place in a repository that declares resources, and every release that could.

An index also holds what it expects to be running because of the repository: one `Expectation` per
container, with the place that decides its requests and limits and the rule by which that is known.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path as FilePath
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from analyzer.errors import GitOpsError
from analyzer.gitops import custom
from analyzer.gitops.chart import APP_TEMPLATE, Rendered, app_template
from analyzer.gitops.edit import (
    REQUEST_AND_LIMIT,
    Address,
    Changes,
    EditRefusedError,
    Field,
    dotted,
    fields_of,
    set_resources,
)
from analyzer.gitops.floor import Floor, memory_floors
from analyzer.gitops.objects import POD_PATHS
from analyzer.gitops.place import (
    Confidence,
    Expectation,
    Finding,
    Owner,
    Place,
    Release,
    node_at,
)
from analyzer.gitops.reach import FLUX, find_reach
from analyzer.gitops.render import Helm, RenderError, Tools, charts_in
from analyzer.gitops.repository import Repository, load_repository
from analyzer.gitops.route import Arrival, HelmSource, Patch, Reach, Route, name_pattern
from analyzer.gitops.spelling import read_cpu, read_memory
from analyzer.gitops.tree import Node, Path, YamlError, parse, plain, walk
from analyzer.gitops.well_known import CHARTS
from analyzer.quantity import Cpu, Memory

if TYPE_CHECKING:
    import pandas as pd

FLUX_NAMESPACE = "flux-system"
HELM_RELEASE_GROUP = "helm.toolkit.fluxcd.io"
_TYPO = re.compile(r"re[as]{1,2}ou?r?[cs]{1,2}es?", re.IGNORECASE)
_RESOURCES = re.compile(r"\w*resources?", re.IGNORECASE)
_MEASURES = frozenset({"cpu", "memory"})


@dataclass(frozen=True)
class RepositoryIndex:
    """What `index_repository` found."""

    repository: Repository
    places: tuple[Place, ...]
    expectations: tuple[Expectation, ...]
    releases: tuple[Release, ...]
    findings: tuple[Finding, ...]
    rooted: bool
    notes: tuple[str, ...] = ()

    @property
    def root(self) -> FilePath:
        return self.repository.root

    @cached_property
    def by_workload(self) -> dict[tuple[str, str], list[Expectation]]:
        """Expectations by namespace and container name."""
        found: dict[tuple[str, str], list[Expectation]] = {}
        for expectation in self.expectations:
            key = (expectation.namespace, expectation.container)
            found.setdefault(key, []).append(expectation)
        return found

    @cached_property
    def fed_by(self) -> dict[tuple[str, Address], list[Expectation]]:
        """Expectations by their place: more than one where a place feeds several workloads."""
        found: dict[tuple[str, Address], list[Expectation]] = {}
        for expectation in self.expectations:
            key = (expectation.place.file, expectation.place.address)
            found.setdefault(key, []).append(expectation)
        return found

    def to_dicts(self) -> list[dict[str, object]]:
        """The places as plain values, in the order of files and documents."""
        return [place.to_dict() for place in self.places]

    def to_frame(self) -> pd.DataFrame:
        """The places as a table, one row each."""
        import pandas as pd

        return pd.DataFrame(self.to_dicts(), columns=list(_EMPTY.to_dict()))


_EMPTY = Place("", Address(0, ()), Owner("", "", ""))


def index_repository(
    root: FilePath, *, entry: str | None = None, tools: Tools | None = None
) -> RepositoryIndex:
    """Find every place below `root` that declares resources or could.

    `entry` is the folder of one cluster's Flux or Argo CD root where a repository holds several.
    With `tools`, charts that are at hand and of which nothing is known are rendered once each to
    learn which of their values decide what.
    Raises `GitOpsError` when `root` is no folder or `entry` is not in it.
    """
    repository = load_repository(root)
    if entry is not None and entry.strip("/") not in repository.folders:
        raise GitOpsError(f"expected the folder {entry} in {root}, found no YAML file below it")
    return _Indexer(repository, find_reach(repository, entry), tools or Tools()).run()


@dataclass
class _Indexer:
    repository: Repository
    reach: Reach
    tools: Tools = field(default_factory=Tools)
    places: dict[tuple[str, Address], Place] = field(default_factory=dict)
    expectations: list[Expectation] = field(default_factory=list)
    releases: list[Release] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    def run(self) -> RepositoryIndex:
        for arrival in self.reach.arrivals:
            self._arrival(arrival)
        for source in self.reach.helm:
            self._helm_source(source)
        for release in self.releases:
            before = len(self.expectations)
            try:
                self._release(release)
            except YamlError as err:
                self.reach.notes.append(f"{release.owner}: {err}")
            if release.overruled is not None:
                self.expectations[before:] = [
                    replace(e, confidence="unproven", rule=f"{release.overruled}; {e.rule}")
                    for e in self.expectations[before:]
                ]
        self._block_scalars()
        self._find_limit_only()
        self._find_tight()
        self._find_duplicates()
        places = tuple(sorted(self.places.values(), key=_order))
        return RepositoryIndex(
            self.repository,
            places,
            tuple(self.expectations),
            tuple(self.releases),
            tuple(self.findings),
            self.reach.rooted,
            tuple(self.reach.notes),
        )

    # --- places ---

    def _place(
        self,
        file: str,
        address: Address,
        owner: Owner,
        container: str | None,
        route: Route,
    ) -> Place:
        """The place at an address, made once however often it is met."""
        key = (file, address)
        known = self.places.get(key)
        if known is not None:
            return known
        node = self._node(file, address)
        stated = {} if node is None else fields_of(node)
        place = Place(
            file,
            address,
            owner,
            container,
            tuple(stated.items()),
            node is not None,
            route.reachable,
        )
        generated = _generated_path(file, self.repository)
        refusal = generated or self._refusal(place)
        place = replace(place, refusal=refusal, generated=generated is not None)
        self.places[key] = place
        return place

    def _node(self, file: str, address: Address) -> Node | None:
        return node_at(self.repository.files[file].documents, address)

    def _refusal(self, place: Place) -> str | None:
        """Why the place cannot be edited, found by trying on the text in memory."""
        try:
            set_resources(self.repository.files[place.file].text, place.address, _trial(place))
        except (EditRefusedError, YamlError) as err:
            return str(err)
        return None

    # --- what arrives ---

    def _arrival(self, arrival: Arrival) -> None:
        item = arrival.object
        if item.is_workload:
            self._pod_template(arrival, item.kind, arrival.name, POD_PATHS[item.kind])
        elif item.group == HELM_RELEASE_GROUP and item.kind == "HelmRelease":
            self._helm_release(arrival)
        elif item.kind == "FluxInstance":
            self._flux_patches(arrival, ("spec", "kustomize", "patches"))
        elif item.group == FLUX and item.kind == "Kustomization":
            self._flux_patches(arrival, ("spec", "patches"))
        else:
            self._custom(arrival)

    def _owner(self, arrival: Arrival) -> Owner:
        return Owner(arrival.object.kind, arrival.name, arrival.namespace)

    def _pod_template(self, arrival: Arrival, kind: str, workload: str, path: Path) -> None:
        item, owner = arrival.object, self._owner(arrival)
        for group in ("containers", "initContainers"):
            for number, container in enumerate(item.node.sequence(*path, group)):
                name = container.text("name")
                if name is None:
                    continue
                at = (*path, group, number, "resources")
                file, address = item.file, item.address.below(*at)
                rule = "declared in its own manifest"
                confidence: Confidence = "certain"
                patched = self._patched(arrival, path, group, name, number)
                if patched is not None:
                    file, address, rule, confidence = patched
                place = self._place(file, address, owner, name, arrival.route)
                self.expectations.append(
                    Expectation(
                        arrival.namespace,
                        kind,
                        workload,
                        arrival.route.expand(name),
                        _container_type(group, container),
                        place,
                        rule,
                        confidence,
                        arrival.route,
                        floors=self._floors(arrival, container),
                    )
                )

    def _floors(self, arrival: Arrival, settings: Node) -> tuple[Floor, ...]:
        """What the settings beside a place ask of the container's memory."""
        item = arrival.object
        try:
            found = plain(settings)
        except YamlError as err:
            self.reach.notes.append(f"{item.file}: the settings of {item} were not read: {err}")
            return ()
        return custom.floors(item.group, item.kind, found)

    def _patched(
        self, arrival: Arrival, path: Path, group: str, name: str, number: int
    ) -> tuple[str, Address, str, Confidence] | None:
        """The patch that has the last word on a container's resources, if one touches them."""
        found: tuple[str, Address, str, Confidence] | None = None
        for patch in arrival.route.patches:
            if not patch.applies_to(arrival.object, arrival.namespace):
                continue
            address = _patch_address(patch, path, group, name, number)
            if address is not None:
                unsure = "labelSelector" in patch.target or "annotationSelector" in patch.target
                found = (
                    patch.file,
                    address,
                    f"set by the patch in {patch.file}",
                    "unproven" if unsure else "certain",
                )
        return found

    def _custom(self, arrival: Arrival) -> None:
        item = arrival.object
        for kind, workload, path in custom.pod_template(item.group, item.kind, item.node):
            self._pod_template(arrival, kind, workload, path)
        for rule in custom.rules_for(item.group, item.kind):
            beside = item.node.at(*rule.path[:-1])
            if beside is None:
                continue
            address = item.address.below(*rule.path)
            place = self._place(
                item.file, address, self._owner(arrival), rule.container, arrival.route
            )
            self.expectations.append(
                Expectation(
                    arrival.namespace,
                    rule.workload_kind,
                    None,
                    rule.container,
                    "app",
                    place,
                    f"{item.kind} {arrival.name} declares it at {dotted(rule.path)}",
                    "certain",
                    arrival.route,
                    custom.workload_pattern(rule, arrival.name, item.node),
                    floors=self._floors(arrival, beside),
                )
            )

    # --- Flux's own controllers ---

    def _flux_patches(self, arrival: Arrival, path: Path) -> None:
        """Patches on Flux's own Deployments, which exist nowhere in the repository."""
        item = arrival.object
        if arrival.namespace == FLUX_NAMESPACE:
            address, patches = item.address.below(*path), item.node.sequence(*path)
            self._controller_patches(
                item.file, address, patches, self._owner(arrival), arrival.route
            )

    def _controller_patches(
        self, file: str, address: Address, patches: Sequence[Node], owner: Owner, route: Route
    ) -> None:
        for number, entry in enumerate(patches):
            body = entry.at("patch")
            if (
                body is None
                or body.kind != "scalar"
                or entry.text("target", "kind") != "Deployment"
            ):
                continue
            target = entry.text("target", "name") or ".*"
            pattern = name_pattern(target)
            try:
                documents = parse(body.value)
            except YamlError:
                continue
            if pattern is None:
                continue
            below = address.below(number, "patch")
            for index, document in enumerate(documents):
                inner = Address(index, ())
                patch = Patch(file, below.into(inner), document.root, {})
                self._controller_patch(patch, pattern, owner, route)

    def _controller_patch(
        self, patch: Patch, pattern: re.Pattern[str], owner: Owner, route: Route
    ) -> None:
        found = _patch_address(patch, POD_PATHS["Deployment"], "containers", "manager", 0)
        if found is None:
            return
        # Flux may apply its own controllers by another Kustomization than the one that patches.
        route = replace(route, kustomization=None)
        place = self._place(patch.file, found, owner, "manager", route)
        self.expectations.append(
            Expectation(
                FLUX_NAMESPACE,
                "Deployment",
                None,
                "manager",
                "app",
                place,
                "a patch on Flux's own controllers",
                "certain",
                route,
                pattern,
            )
        )

    # --- Helm ---

    def _helm_release(self, arrival: Arrival) -> None:
        node, item = arrival.object.node, arrival.object
        target = node.text("spec", "targetNamespace")
        namespace = arrival.route.expand(target) if target else arrival.namespace
        release = node.text("spec", "releaseName")
        if release is None:
            release = f"{namespace}-{arrival.name}" if target else arrival.name
        chart, version, folder = self._chart_of(arrival)
        owner = Owner(
            item.kind, arrival.name, namespace, arrival.route.expand(release), chart, version
        )
        values = [*self._values_from(arrival)]
        inline = node.at("spec", "values")
        if inline is not None:
            values.append((item.file, item.address.below("spec", "values"), inline))
        values += self._values_patches(arrival)
        overruled = _post_rendered(node)
        self.releases.append(Release(owner, arrival.route, tuple(values), (), folder, overruled))

    def _chart_of(self, arrival: Arrival) -> tuple[str | None, str | None, str | None]:
        """Chart name, version and, for one kept in this repository, its folder."""
        spec = arrival.object.node.at("spec")
        if spec is None:
            return None, None, None
        expand = arrival.route.expand
        name = expand(spec.text("chart", "spec", "chart") or "")
        if name:
            folder = name.removeprefix("./").strip("/")
            local = f"{folder}/Chart.yaml" in self.repository.files
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
        for arrival in self.reach.arrivals:
            found.setdefault((arrival.object.kind, arrival.name), []).append(arrival)
        return found

    def _values_from(self, arrival: Arrival) -> Iterator[tuple[str, Address, Node]]:
        for reference in arrival.object.node.sequence("spec", "valuesFrom"):
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
        files = [
            file
            for data, file in self.reach.generated.get((kind, name), ())
            if data == key and file in self.repository.files
        ]
        folder = str(PurePosixPath(arrival.object.file).parent)
        near = [file for file in files if file.startswith(f"{folder}/")]
        for file in dict.fromkeys(near or files):
            documents = self.repository.files[file].documents
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

    def _helm_source(self, source: HelmSource) -> None:
        values = []
        for file, address in source.values:
            node = self._node(file, address)
            if node is not None:
                values.append((file, address, node))
        owner = Owner(
            source.owner,
            source.release,
            source.namespace,
            source.release,
            source.chart,
            source.version,
        )
        folder = source.chart_folder
        if folder is None or self._has_templates(folder):
            whole = Release(owner, source.route, tuple(values), (), folder, source.overruled)
            self.releases.append(whole)
        if folder is None:
            return
        for name, chart, version in self._dependencies(folder):
            part = replace(owner, chart=chart, version=version)
            prefix: Path = (name,)
            self.releases.append(
                Release(part, source.route, tuple(values), prefix, overruled=source.overruled)
            )

    def _has_templates(self, folder: str) -> bool:
        """Whether a chart kept here makes objects of its own, beside those it depends on."""
        return any((self.repository.root / folder / "templates").glob("*.yaml"))

    def _dependencies(self, folder: str) -> Iterator[tuple[str, str, str | None]]:
        """The charts an umbrella chart depends on: values key, chart name, version."""
        documents = self.repository.files[f"{folder}/Chart.yaml"].documents
        for entry in documents[0].root.sequence("dependencies") if documents else ():
            name = entry.text("name") or ""
            yield entry.text("alias") or name, name, entry.text("version")

    def _release(self, release: Release) -> None:
        values = release.merged()
        known: set[tuple[str, Address]] = set()
        if release.owner.chart == APP_TEMPLATE:
            rendered = app_template(
                release.name, release.owner.version, values, release.route.expand
            )
            rule = f"app-template {release.owner.version or '(version open)'} names it so"
            known |= self._expect_rendered(release, rendered, rule, values)
        elif (learned := self._learn(release, values)) is not None:
            known |= learned
        elif release.owner.chart in CHARTS:
            known |= self._expect_well_known(release, values)
        self._flux_instance_values(release)
        self._other_blocks(release, known)

    def _expect_rendered(
        self,
        release: Release,
        rendered: Iterable[Rendered],
        rule: str,
        values: Mapping[str, object],
    ) -> set[tuple[str, Address]]:
        known = set()
        for container in rendered:
            path = container.inherited or container.path
            found = release.locate(path)
            if found is None:
                continue
            file, address, _ = found
            place = self._place(file, address, release.owner, container.container, release.route)
            known.add((file, address))
            self.expectations.append(
                Expectation(
                    release.owner.namespace,
                    container.kind,
                    container.workload,
                    container.container,
                    container.container_type,
                    place,
                    rule if container.inherited is None else f"{rule}, from its defaults",
                    "certain" if container.workload is not None else "likely",
                    release.route,
                    None,
                    container.controller,
                    floors=_beside(values, container.path, release.route),
                )
            )
        return known

    @cached_property
    def _helm(self) -> Helm | None:
        if self.tools.helm is None:
            return None
        return Helm(self.tools.helm, charts_in([*self.tools.charts, self.repository.root]))

    def _learn(
        self, release: Release, values: Mapping[str, object]
    ) -> set[tuple[str, Address]] | None:
        """What rendering with odd amounts shows; None where the chart cannot be rendered."""
        if self._helm is None or release.owner.chart is None:
            return None
        chart = self._helm.chart_of(release, self.repository.root)
        if chart is None:
            return None
        try:
            landed = self._helm.sentinels(chart, release.name, release.owner.namespace, values)
        except RenderError as err:
            self.reach.notes.append(f"{release.owner}: {err}")
            return None
        known: set[tuple[str, Address]] = set()
        for path, sinks in landed.items():
            found = release.locate(path) or self._insertion(release, path)
            if found is None:
                continue
            file, address, present = found
            if not sinks:
                if present:
                    self._ignored_by(release, file, address, path)
                    known.add((file, address))
                continue
            known.add((file, address))
            for sink in sorted(sinks):
                place = self._place(file, address, release.owner, sink.container, release.route)
                self.expectations.append(
                    Expectation(
                        release.owner.namespace,
                        sink.kind,
                        sink.workload,
                        sink.container,
                        None,
                        place,
                        f"an odd amount at {dotted(path)} landed there when {chart.name} "
                        f"{chart.version} was rendered",
                        "certain",
                        release.route,
                        floors=_beside(values, path, release.route),
                    )
                )
        return known

    def _ignored_by(self, release: Release, file: str, address: Address, path: Path) -> None:
        place = self._place(file, address, release.owner, None, release.route)
        if place.declared:
            message = (
                f"the chart {release.owner.chart} ignores {dotted(path)}, "
                "or the part it is for is switched off"
            )
            self.findings.append(Finding("ignored", place, message))

    def _expect_well_known(
        self, release: Release, values: Mapping[str, object]
    ) -> set[tuple[str, Address]]:
        chart = release.owner.chart or ""
        known = set()
        for rule in CHARTS[chart]:
            found = release.locate(rule.path) or self._insertion(release, rule.path)
            if found is None:
                continue
            file, address, _ = found
            workload, container = rule.names(release.name, chart, values)
            place = self._place(file, address, release.owner, container, release.route)
            known.add((file, address))
            self.expectations.append(
                Expectation(
                    release.owner.namespace,
                    rule.kind,
                    workload,
                    container,
                    None,
                    place,
                    f"the chart {chart} reads it from {dotted(rule.path)}",
                    "likely",
                    release.route,
                    floors=_beside(values, rule.path, release.route),
                )
            )
        return known

    def _insertion(self, release: Release, path: Path) -> tuple[str, Address, bool] | None:
        """Where a path goes of which not even the parent exists: the strongest inline values."""
        if not release.values:
            return None
        file, address, _ = release.values[-1]
        return file, address.below(*release.prefix, *path), False

    def _flux_instance_values(self, release: Release) -> None:
        for file, address, node in release.values:
            patches = node.sequence("instance", "kustomize", "patches")
            below = address.below("instance", "kustomize", "patches")
            if patches:
                self._controller_patches(file, below, patches, release.owner, release.route)

    def _other_blocks(self, release: Release, known: set[tuple[str, Address]]) -> None:
        """Blocks among the values that no rule claims: unproven, or ignored by the chart."""
        for file, address, node in release.values:
            scope = node.at(*release.prefix) if release.prefix else node
            if scope is None:
                continue
            base = address.below(*release.prefix)
            for path, found in walk(scope):
                if not path or not _is_block(str(path[-1]), found):
                    continue
                below = base.below(*path)
                if (file, below) in known or _inside_known(file, below, known):
                    continue
                place = self._place(file, below, release.owner, None, release.route)
                if release.shadowed(file, below, path):
                    message = f"{dotted(path)} is stated again by stronger values, which win"
                    self.findings.append(Finding("shadowed", place, message))
                else:
                    self._judge(release, place, path)

    def _judge(self, release: Release, place: Place, path: Path) -> None:
        key = str(path[-1])
        if not _RESOURCES.fullmatch(key):
            fix = "a misspelling of resources" if _TYPO.fullmatch(key) else "no resources key"
            message = f"{dotted(path)} is {fix}; the chart ignores it"
        elif release.owner.chart == APP_TEMPLATE and path[0] != "controllers" and len(path) < 3:
            message = (
                f"app-template ignores {dotted(path)}; "
                "resources belong to controllers.<name>.containers.<name>.resources"
            )
        else:
            return
        self.findings.append(Finding("ignored", place, message))

    # --- block scalars that nothing above claimed ---

    def _block_scalars(self) -> None:
        claimed = {(f, a.document, a.path) for f, a in self.places if a.inner is not None}
        for file, source in self.repository.files.items():
            if "resources:" not in source.text:
                continue
            for number, document in enumerate(source.documents):
                for path, node in walk(document.root):
                    inner = _inner_documents(node)
                    if inner and (file, number, path) not in claimed:
                        self._inner_places(file, Address(number, path), document.root, inner)

    def _inner_places(self, file: str, address: Address, root: Node, inner: Sequence[Node]) -> None:
        owner = Owner(
            root.text("kind") or "file",
            root.text("metadata", "name") or file,
            root.text("metadata", "namespace") or "",
        )
        reachable = True if file in self.reach.files and self.reach.rooted else self.reach.unmet
        for number, node in enumerate(inner):
            for path, found in walk(node):
                if path and _is_block(str(path[-1]), found):
                    here = address.into(Address(number, path))
                    route = Route("a block scalar", reachable=reachable)
                    self._place(file, here, owner, None, route)

    # --- findings ---

    def _find_limit_only(self) -> None:
        for place in self.places.values():
            stated = dict(place.declared)
            for request_field, limit_field in REQUEST_AND_LIMIT:
                limit = stated.get(limit_field)
                if limit is not None and request_field not in stated:
                    message = (
                        f"{limit_field} {limit} without a request: "
                        f"Kubernetes requests {limit} as well"
                    )
                    self.findings.append(Finding("limit-only", place, message))

    def _find_tight(self) -> None:
        """Limits below what the program was told to take: a kill that has not happened yet."""
        for expectation in self.expectations:
            limit = expectation.place.stated.memory_limit
            for floor in expectation.floors if limit is not None else ():
                if floor.needs is not None and limit is not None and limit < floor.needs:
                    message = f"limits.memory {limit} is tight: {floor.reason}"
                    self.findings.append(Finding("tight", expectation.place, message))

    def _find_duplicates(self) -> None:
        """Containers that two places declare, and places that decide for several containers."""
        by_identity: dict[tuple[str, str, str, str], list[Expectation]] = {}
        by_place: dict[tuple[str, Address], list[Expectation]] = {}
        for expectation in self.expectations:
            if expectation.place.reachable is False:
                continue
            by_identity.setdefault(expectation.identity, []).append(expectation)
            key = (expectation.place.file, expectation.place.address)
            by_place.setdefault(key, []).append(expectation)
        for identity, found in by_identity.items():
            places = {(e.place.file, e.place.address): e.place for e in found}
            if len(places) > 1:
                first, *others = places.values()
                message = f"{'/'.join(identity)} is declared {len(places)} times: also at " + (
                    ", ".join(other.where for other in others[:3])
                )
                self.findings.append(Finding("duplicate", first, message))
        for found in by_place.values():
            names = sorted({"/".join(e.identity) for e in found})
            if len(names) > 1:
                shown = ", ".join(names[:4])
                self.findings.append(
                    Finding("shared", found[0].place, f"decides for {len(names)}: {shown}")
                )


def _beside(values: object, path: Path, route: Route) -> tuple[Floor, ...]:
    """What the Helm values around a `resources` at `path` ask of the container's memory."""
    for key in path[:-1]:
        values = values.get(str(key)) if isinstance(values, Mapping) else None
    return memory_floors(values, route.expand)


def _order(place: Place) -> tuple[str, int, str, str]:
    inner = place.address.inner
    return (place.file, place.address.document, dotted(place.address.path), str(inner))


def _post_rendered(release: Node) -> str | None:
    """What to say of a HelmRelease whose post-renderers touch resources; None where none does."""
    renderers = release.at("spec", "postRenderers")
    if renderers is None:
        return None
    touched = any(
        "resources" in node.value or path[-1:] == ("resources",) for path, node in walk(renderers)
    )
    return "a post-renderer of the release changes resources as well" if touched else None


def _container_type(group: str, container: Node) -> str:
    if group == "containers":
        return "app"
    return "sidecar" if container.text("restartPolicy") == "Always" else "init"


def _patch_address(patch: Patch, path: Path, group: str, name: str, number: int) -> Address | None:
    """Where `patch` states the resources of a container; None where it leaves them alone."""
    if patch.is_json:
        return _json_address(patch, path, group, number)
    for index, entry in enumerate(patch.node.sequence(*path, group)):
        if entry.text("name") == name and entry.at("resources") is not None:
            return patch.address.below(*path, group, index, "resources")
    return None


def _json_address(patch: Patch, path: Path, group: str, number: int) -> Address | None:
    wanted = "/" + "/".join([*map(str, path), group, str(number), "resources"])
    found = None
    for index, operation in enumerate(patch.node.items):
        target = operation.resolved.text("path") or ""
        if target == wanted and operation.resolved.at("value") is not None:
            found = patch.address.below(index, "value")
        elif target.startswith(f"{wanted}/"):
            # A single leaf: the address leads to no mapping, so that an edit of it is refused.
            found = patch.address.below(index, "value", "resources")
    return found


def _is_block(key: str, node: Node) -> bool:
    """Whether a mapping states CPU or memory requests or limits under a name that says so."""
    if node.kind != "mapping":
        return False
    if not (_RESOURCES.fullmatch(key) or _TYPO.fullmatch(key)):
        return False
    return any(
        name in _MEASURES for part in ("requests", "limits") for name, _ in node.mapping(part)
    )


def _inside_known(file: str, address: Address, known: set[tuple[str, Address]]) -> bool:
    """Whether an address is below one that a rule claims."""
    return any(
        file == other
        and address.inner == claim.inner
        and address.path[: len(claim.path)] == claim.path
        for other, claim in known
    )


def _inner_documents(node: Node) -> list[Node]:
    """The YAML inside a block scalar that mentions resources; empty for everything else."""
    if node.kind != "scalar" or node.style not in ("|", ">") or "resources:" not in node.value:
        return []
    try:
        return [document.root for document in parse(node.value)]
    except YamlError:
        return []


def _generated_path(file: str, repository: Repository) -> str | None:
    """Why a file is not written by hand, by where it lies; None where nothing says so."""
    path = PurePosixPath(file)
    if path.name.startswith("gotk-components"):
        return "flux bootstrap writes this file; change it by a patch"
    if {"vendor", "node_modules"} & set(path.parts[:-1]):
        return "a vendored file, overwritten by the next update"
    for depth, part in enumerate(path.parts[:-1]):
        folder = "/".join(path.parts[:depth])
        chart = f"{folder}/Chart.yaml" if folder else "Chart.yaml"
        if chart in repository.files and part == "templates":
            return "a template of a Helm chart; its values decide"
        if chart in repository.files and part == "charts":
            return "a vendored chart, overwritten by the next update"
    return None


def _trial(place: Place) -> Changes:
    """A change of every field the place states, or of one that it could state."""
    changes: dict[Field, Cpu | Memory | None] = {}
    for name, text in place.declared:
        if name.endswith("cpu"):
            changes[name] = (read_cpu(text) or Cpu(0)) + Cpu(1)
        else:
            changes[name] = (read_memory(text) or Memory(0)) + Memory(1)
    if not changes:
        return {"requests.memory": Memory(64 * 2**20)}
    for request, limit in REQUEST_AND_LIMIT:
        if request in changes and limit in changes:
            changes[request] = changes[limit]
    return changes
