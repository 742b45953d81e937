"""Which objects of a repository reach a cluster, by which route, and which are dead.

Flux Kustomizations, kustomize folders, components, Argo CD Applications and ApplicationSets are
followed from their roots as the controllers follow them. A route knows what is decided on the
way: the namespace, the variables that are substituted, the patches that come on top.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import PurePosixPath

from analyzer.gitops.reach import resource_set
from analyzer.gitops.reach.argo import GROUP as ARGO
from analyzer.gitops.reach.argo import Follower
from analyzer.gitops.reach.objects import Object, all_objects
from analyzer.gitops.reach.repository import Repository, join
from analyzer.gitops.reach.route import Arrival, HelmSource, Patch, Reach, Route
from analyzer.gitops.text.edit import Address
from analyzer.gitops.text.tree import Node, YamlError, parse

KUSTOMIZATION_FILES = ("kustomization.yaml", "kustomization.yml", "Kustomization")
FLUX = "kustomize.toolkit.fluxcd.io"
_MAX_ARRIVALS = 20_000
_MAX_DEPTH = 40


def find_reach(repository: Repository, entry: str | None = None) -> Reach:
    """Follow the repository from its roots. `entry` restricts the roots to one folder.

    Roots are, in this order: what a Flux bootstrap or FluxInstance names, Flux Kustomizations
    that lead to others, Argo CD Applications that no other one creates.
    """
    return _Walker(repository, entry, all_objects(repository)).run()


class _Walker:
    """Follows kustomize folders, Flux Kustomizations and Argo CD Applications."""

    def __init__(
        self,
        repository: Repository,
        entry: str | None,
        objects: dict[str, list[Object]],
        *,
        follow: bool = True,
    ) -> None:
        self.repository = repository
        self.entry = entry.strip("/") if entry else None
        self.objects = objects
        self.folders = repository.folders
        self.reach = Reach()
        self._follow = follow
        self._argo = Follower(self)
        self._seen_flux: set[tuple[str, str, str, str]] = set()
        self._settings = self._config_maps()
        # Paths count from the repository's root, or from a folder that is packaged as a whole.
        self._bases = [""]

    def run(self) -> Reach:
        """Follow the roots, then look at what none of them leads to."""
        for file in self._bootstraps():
            self.reach.rooted = True
            self.take_file(file, Route("Flux"), 0)
        for folder in self._synced_folders():
            self.reach.rooted = True
            self.flux_folder(folder, Route(f"Flux at {folder or '.'}"), 0)
        if not self.reach.rooted:
            self._flux_by_shape()
        self._argo_roots()
        self._leftovers()
        return self.reach

    # --- roots ---

    def _within(self, path: str) -> bool:
        return self.entry is None or path == self.entry or path.startswith(f"{self.entry}/")

    def _is_root(self, path: str | None) -> bool:
        if path is None or (path not in self.folders and path not in self.repository.files):
            return False
        return self.entry is None or self._within(path) or self.entry.startswith(path)

    def _bootstraps(self) -> list[str]:
        """The files that `flux bootstrap` writes: a Kustomization that applies its own folder."""
        return sorted(
            file
            for file, objects in self.objects.items()
            for item in objects
            if (item.group, item.kind, item.name) == (FLUX, "Kustomization", "flux-system")
            and self._is_root(join("", item.node.text("spec", "path") or ""))
        )

    def _synced_folders(self) -> list[str]:
        """The folders that a FluxInstance, or the chart that makes one, syncs from."""
        found: list[str | None] = []
        for file, objects in self.objects.items():
            for item in objects:
                spec = item.node.at("spec")
                if spec is None:
                    continue
                if item.kind == "FluxInstance":
                    found.append(spec.text("sync", "path"))
                elif item.kind == "HelmRelease":
                    found.append(spec.text("values", "instance", "sync", "path"))
            # The values of the flux-instance chart may lie in a file beside its release.
            if "sync:" in self.repository.files[file].text:
                documents = self.repository.files[file].documents
                found += [d.root.text("instance", "sync", "path") for d in documents]
        paths = {self._synced(path) for path in found if path is not None}
        return sorted(path for path in paths if path is not None and self._is_root(path))

    def _synced(self, path: str) -> str | None:
        """The folder behind a sync path, also where only a part of the repository is packaged."""
        wanted = join("", path)
        if wanted is None or wanted in self.folders:
            return wanted
        fitting = [folder for folder in self.folders if folder.endswith(f"/{wanted}")]
        if len(fitting) != 1:
            return None
        self._bases.append(fitting[0].removesuffix(f"/{wanted}"))
        return fitting[0]

    def _flux_by_shape(self) -> None:
        """Without a bootstrap: the Kustomizations that nothing includes and that lead to others.

        What lies beside such a one in its folder was applied along with it.
        """
        flux = [
            item
            for objects in self.objects.values()
            for item in objects
            if item.group == FLUX and item.kind == "Kustomization" and self._within(item.file)
        ]
        files = {item.file for item in flux}
        below: dict[str, set[str]] = {file: set() for file in files}
        for item in flux:
            if not self._is_foreign(item.node):
                below[item.file] |= (self._files_below(item) & files) - {item.file}
        included = set().union(*below.values()) if below else set()
        free = sorted(files - included)
        leading = {PurePosixPath(file).parent for file in free if below[file]}
        for file in free:
            if PurePosixPath(file).parent in leading or not included:
                self.reach.rooted = True
                self.take_file(file, Route("Flux"), 0)

    def _files_below(self, item: Object) -> set[str]:
        """The files that a Flux Kustomization applies itself, those of others not followed."""
        folder = join("", item.node.text("spec", "path") or "")
        if folder is None:
            return set()
        probe = _Walker(self.repository, self.entry, self.objects, follow=False)
        probe.flux_folder(folder, Route("probe"), 0)
        return probe.reach.files

    def _argo_roots(self) -> None:
        arrived = {id(arrival.object) for arrival in self.reach.arrivals}
        for file, objects in self.objects.items():
            if not self._within(file) or self._templated(file):
                continue
            for item in objects:
                wanted = item.kind in ("Application", "ApplicationSet") and item.group == ARGO
                if wanted and id(item) not in arrived:
                    self.reach.rooted = True
                    self.take_file(file, Route("Argo CD"), 0)
                    break
            for number, document in enumerate(self.repository.files[file].documents):
                for scope in ((), ("argocd-apps",)):
                    root, address = document.root.at(*scope), Address(number, scope)
                    if root is not None and "generators:" in self.repository.files[file].text:
                        self.reach.rooted |= self._argo.values_of_argocd_apps(file, address, root)

    def _templated(self, file: str) -> bool:
        """Whether the file is a chart's template, which nobody applies as it stands."""
        parts = PurePosixPath(file).parts
        return any(
            part == "templates"
            and "/".join((*parts[:depth], "Chart.yaml")) in self.repository.files
            for depth, part in enumerate(parts)
        )

    def _leftovers(self) -> None:
        """What no root leads to: dead where there is a root, undecided where there is none."""
        reachable = self.reach.unmet
        reached = set(self.reach.files)
        for item in [i for objects in self.objects.values() for i in objects]:
            if item.group == FLUX and item.kind == "Kustomization" and item.file not in reached:
                route = Route("nothing that is applied", reachable=reachable)
                self._flux_kustomization(Arrival(item, route), 0)
        for folder in self._top_kustomizations():
            self.take_folder(folder, Route(f"kustomization {folder}", reachable=reachable), 0)
        for file in self.repository.files:
            if file not in self.reach.files and not self._templated(file):
                self.take_file(file, Route("a file of its own", reachable=reachable), 0)
        if self.reach.rooted:
            self.reach.files = reached

    def _top_kustomizations(self) -> list[str]:
        """Kustomize folders that were not followed yet and that no other one includes."""
        left: dict[str, set[str]] = {}
        for file in self.repository.files:
            path = PurePosixPath(file)
            if path.name not in KUSTOMIZATION_FILES or file in self.reach.files:
                continue
            folder = "" if str(path.parent) == "." else str(path.parent)
            left[folder] = set()
            for document in self.repository.files[file].documents:
                if document.root.text("kind") == "Component":
                    left.pop(folder, None)
                    break
                for key in ("resources", "bases"):
                    names = [i.value for i in document.root.sequence(key) if "://" not in i.value]
                    left[folder] |= {path for path in (join(folder, n) for n in names) if path}
        included = set().union(*left.values()) if left else set()
        return sorted(folder for folder in left if folder not in included)

    # --- Flux ---

    def _flux_kustomization(self, arrival: Arrival, depth: int) -> None:
        item, spec = arrival.object, arrival.object.node
        key = (item.file, str(item.address), arrival.namespace, arrival.name)
        if not self._follow or key in self._seen_flux or depth > 20:
            return
        self._seen_flux.add(key)
        if self._is_foreign(spec):
            return
        path = arrival.route.expand(spec.text("spec", "path") or "")
        folder = self._folder(path) or self._artifact_folder(spec, path)
        if folder is None:
            self.reach.notes.append(
                f"Kustomization {arrival.namespace}/{arrival.name}: its path {path[:80]} is not in "
                "this repository"
            )
            return
        namespace = spec.text("spec", "targetNamespace")
        route = Route(
            root=f"Flux Kustomization {arrival.namespace}/{arrival.name}",
            namespace=arrival.route.expand(namespace) if namespace else None,
            kustomization=(arrival.namespace, arrival.name),
            variables=self._variables(spec, arrival),
            patches=tuple(self.patches(item.file, item.address, spec, ("spec",))),
            folder=folder,
            reachable=arrival.route.reachable,
        )
        components = [join(folder, node.value) for node in spec.sequence("spec", "components")]
        extra = [p for c in components if c for p in self._component_patches(c, 0)]
        route = replace(route, patches=(*extra, *route.patches))
        self.flux_folder(folder, route, depth + 1)
        for component in components:
            if component is not None:
                self.take_folder(component, route, depth + 1)

    def _is_foreign(self, spec: Node) -> bool:
        """Whether a Flux Kustomization takes its path from another repository than this one."""
        kind = spec.text("spec", "sourceRef", "kind")
        name = spec.text("spec", "sourceRef", "name") or ""
        if kind in ("OCIRepository", "Bucket"):
            return name not in self._own_sources
        declared = any(
            item.kind == "GitRepository" and item.name == name
            for objects in self.objects.values()
            for item in objects
        )
        return kind == "GitRepository" and declared and name not in self._own_sources

    @cached_property
    def _own_sources(self) -> set[str]:
        """The names of the sources that stand for this repository.

        Flux's default name, and the one that most Flux Kustomizations refer to.
        """
        used = Counter(
            item.node.text("spec", "sourceRef", "name") or ""
            for objects in self.objects.values()
            for item in objects
            if item.group == FLUX and item.kind == "Kustomization"
        )
        return {"flux-system", *(name for name, _ in used.most_common(1))}

    def _folder(self, path: str) -> str | None:
        """The folder or file that a path in this repository's source means; None without one."""
        for base in self._bases:
            folder = join(base, path.removeprefix("/"))
            if folder is not None and (folder in self.folders or folder in self.repository.files):
                return folder
        return None

    def _artifact_folder(self, spec: Node, path: str) -> str | None:
        """The folder behind a path in an ExternalArtifact that an ArtifactGenerator copies."""
        name = spec.text("spec", "sourceRef", "name")
        if spec.text("spec", "sourceRef", "kind") != "ExternalArtifact":
            return None
        for objects in self.objects.values():
            for item in objects:
                if item.kind != "ArtifactGenerator":
                    continue
                for artifact in item.node.sequence("spec", "artifacts"):
                    if artifact.text("name") == name:
                        found = self._copied(artifact, path)
                        if found is not None:
                            return found
        return None

    def _copied(self, artifact: Node, path: str) -> str | None:
        wanted = join("", path) or ""
        for copy in artifact.sequence("copy"):
            origin = (copy.text("from") or "").partition("/")[2].removesuffix("**").strip("/")
            target = (copy.text("to") or "").partition("/")[2].strip("/")
            if wanted == target or wanted.startswith(f"{target}/") or not target:
                rest = wanted.removeprefix(target).strip("/")
                folder = join(origin, rest)
                if folder in self.folders:
                    return folder
        return None

    def _variables(self, spec: Node, arrival: Arrival) -> tuple[tuple[str, str], ...]:
        known: dict[str, str] = {}
        for reference in spec.sequence("spec", "postBuild", "substituteFrom"):
            if reference.text("kind") == "ConfigMap":
                known.update(self._settings.get(reference.text("name") or "", {}))
        for name, node in spec.mapping("spec", "postBuild", "substitute"):
            if node.kind == "scalar":
                known[name] = arrival.route.expand(node.value)
        return tuple(sorted(known.items()))

    def _config_maps(self) -> dict[str, dict[str, str]]:
        return {
            item.name: {k: v.value for k, v in item.node.mapping("data") if v.kind == "scalar"}
            for objects in self.objects.values()
            for item in objects
            if item.kind == "ConfigMap" and item.group == ""
        }

    def flux_folder(self, folder: str, route: Route, depth: int) -> None:
        """A folder as kustomize-controller takes it: its kustomization, else all YAML below it."""
        if self.kustomization_file(folder) is not None or folder in self.repository.files:
            self.take_folder(folder, route, depth)
            return
        prefix = f"{folder}/" if folder else ""
        nested = sorted(
            str(PurePosixPath(name).parent)
            for name in self.repository.files
            if name.startswith(prefix) and PurePosixPath(name).name in KUSTOMIZATION_FILES
        )
        tops = [f for f in nested if not any(f.startswith(f"{other}/") for other in nested)]
        for name in self.repository.files:
            if name.startswith(prefix) and not any(name.startswith(f"{top}/") for top in tops):
                self.take_file(name, route, depth)
        for top in tops:
            self.take_folder(top, route, depth + 1)

    # --- kustomize ---

    def kustomization_file(self, folder: str) -> str | None:
        for name in KUSTOMIZATION_FILES:
            file = f"{folder}/{name}" if folder else name
            if file in self.repository.files:
                return file
        return None

    def take_folder(self, target: str, route: Route, depth: int) -> None:
        """A file or folder that a kustomization names as a resource."""
        if target in self.repository.files:
            self.take_file(target, route, depth)
            return
        file = self.kustomization_file(target)
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
        patches = [p for component in components for p in self._component_patches(component, 0)]
        patches += self.patches(file, address, node, ())
        inner = replace(
            route,
            namespace=route.namespace or node.text("namespace"),
            patches=(*patches, *route.patches),
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

    def _component_patches(self, folder: str, depth: int) -> list[Patch]:
        """A component's patches work on what includes it, not on its own resources alone."""
        file = self.kustomization_file(folder)
        if file is None or depth > 10:
            return []
        found: list[Patch] = []
        for number, document in enumerate(self.repository.files[file].documents):
            for item in document.root.sequence("components"):
                below = join(folder, item.value)
                found += self._component_patches(below, depth + 1) if below else []
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
                    found += self._inline(file, here, inline, target)
                elif item.text("path") is not None:
                    path = join(folder, item.text("path") or "")
                    found += self._patch_file(path, target)
        return found

    def _patch_body(
        self, file: str, address: Address, item: Node, folder: str, target: Mapping[str, str]
    ) -> list[Patch]:
        if "\n" in item.value:
            return self._inline(file, address, item, target)
        return self._patch_file(join(folder, item.value), target)

    def _inline(
        self, file: str, address: Address, scalar: Node, target: Mapping[str, str]
    ) -> list[Patch]:
        try:
            documents = parse(scalar.value)
        except YamlError:
            return []
        return [
            Patch(
                file,
                Address(address.document, address.path, Address(number, ())),
                document.root,
                target or _own_target(document.root),
            )
            for number, document in enumerate(documents)
        ]

    def _patch_file(self, file: str | None, target: Mapping[str, str]) -> list[Patch]:
        if file is None or file not in self.repository.files:
            return []
        self.reach.files.add(file)
        return [
            Patch(file, Address(number, ()), document.root, target or _own_target(document.root))
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
                        self.reach.generated.setdefault((kind, name), []).append((data, file))
                        self.reach.files.add(file)

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
                )
            )

    def take_file(self, file: str, route: Route, depth: int) -> None:
        self.reach.files.add(file)
        for item in self.objects.get(file, ()):
            self._take(Arrival(item, route), depth)

    def _take(self, arrival: Arrival, depth: int) -> None:
        """One object that arrives, and what it brings along when it is a root of its own."""
        item = arrival.object
        self.reach.arrivals.append(arrival)
        if item.group == FLUX and item.kind == "Kustomization":
            self._flux_kustomization(arrival, depth + 1)
        elif not self._follow or depth > _MAX_DEPTH:
            return
        elif item.group == ARGO and item.kind == "Application":
            self._argo.application(arrival, depth + 1)
        elif item.group == ARGO and item.kind == "ApplicationSet":
            self._argo.application_set(arrival, depth + 1)
        elif item.group == resource_set.GROUP and item.kind == "ResourceSet":
            for made in resource_set.made_by(arrival, self._providers, self.reach.leave_open):
                self._take(made, depth + 1)

    @cached_property
    def _providers(self) -> list[Object]:
        """Where ResourceSets get inputs from that they do not state themselves."""
        return [
            item
            for objects in self.objects.values()
            for item in objects
            if item.kind == "ResourceSetInputProvider"
        ]


def _own_target(node: Node) -> dict[str, str]:
    """What a strategic-merge patch is for, by its own kind and name."""
    fields = {
        "kind": node.text("kind"),
        "name": node.text("metadata", "name"),
        "namespace": node.text("metadata", "namespace"),
    }
    return {key: re.escape(value) for key, value in fields.items() if value is not None}
