"""Flux Kustomizations: which folder each one applies, where to, with which variables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property

from analyzer.gitops.reach import overlay
from analyzer.gitops.reach.kustomization import Kustomizations
from analyzer.gitops.reach.objects import Object
from analyzer.gitops.reach.patch import Patch
from analyzer.gitops.reach.repository import join
from analyzer.gitops.reach.route import Arrival, Route, Steering, told_suspended
from analyzer.gitops.text.tree import Node

_MAX_DEPTH = 20


class FluxKustomizations:
    """Follows Flux Kustomizations; each one once."""

    def __init__(self, objects: Mapping[str, list[Object]], kustomizations: Kustomizations) -> None:
        self.objects = objects
        self.repository = kustomizations.repository
        self.reach = kustomizations.reach
        self.folders = self.repository.folders
        self._kustomizations = kustomizations
        self._seen: set[tuple[str, str, str, str, str]] = set()
        self._settings = self._config_maps()
        # Paths count from the repository's root, or from a folder that is packaged as a whole.
        self.bases = [""]

    def follow(self, arrival: Arrival, depth: int) -> None:
        """Take what a Flux Kustomization applies."""
        item, spec = arrival.object, arrival.node
        entry = arrival.route.entry
        key = (entry, item.file, str(item.address), arrival.namespace, arrival.name)
        if key in self._seen or depth > _MAX_DEPTH:
            return
        self._seen.add(key)
        if self.is_foreign(spec):
            return
        path = arrival.route.expand(spec.text("spec", "path") or "")
        folder = self._folder(path) or self._artifact_folder(spec, path)
        if folder is None:
            self._not_here(arrival, path)
            return
        stated, address = spec.at("spec") or spec, item.address.below("spec")
        namespace = stated.text("targetNamespace")
        route = Route(
            root=f"Flux Kustomization {arrival.namespace}/{arrival.name}",
            namespace=arrival.route.expand(namespace) if namespace else None,
            kustomization=(arrival.namespace, arrival.name),
            variables=self._variables(spec, arrival),
            patches=tuple(self._stated_patches(item)),
            folder=folder,
            steering=Steering(item.file, address, overlay.of_flux(stated, folder)),
            reachable=arrival.route.reachable,
            entry=entry,
            inside=arrival.route.inside,
            suspended=told_suspended(arrival, self.reach),
        )
        components = [join(folder, node.value) for node in spec.sequence("spec", "components")]
        extra = [p for c in components if c for p in self._kustomizations.component_patches(c, 0)]
        route = replace(route, patches=(*extra, *route.patches))
        self.take_folder(folder, route, depth + 1)
        for component in components:
            if component is not None:
                self._kustomizations.take_folder(component, route, depth + 1)

    def _stated_patches(self, item: Object) -> list[Patch]:
        """The patches that stand in the object's own text, where they can be edited."""
        return self._kustomizations.patches(item.file, item.address, item.node, ("spec",))

    def _not_here(self, arrival: Arrival, path: str) -> None:
        """A path that leads nowhere: made elsewhere, or known to the cluster alone."""
        name = f"Kustomization {arrival.namespace}/{arrival.name}"
        if "$" in path:
            self.reach.leave_open(f"{name}: its path {path[:80]} is filled in by the cluster")
        else:
            self.reach.notes.append(f"{name}: its path {path[:80]} is not in this repository")

    def is_foreign(self, spec: Node) -> bool:
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
            if item.is_flux_kustomization
        )
        return {"flux-system", *(name for name, _ in used.most_common(1))}

    def _folder(self, path: str) -> str | None:
        """The folder or file that a path in this repository's source means; None without one."""
        for base in self.bases:
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

    def take_folder(self, folder: str, route: Route, depth: int) -> None:
        """A folder as kustomize-controller takes it: its kustomization, else all YAML below it."""
        if self.repository.kustomization(folder) is not None or folder in self.repository.files:
            self._kustomizations.take_folder(folder, route, depth)
            return
        files, below = self.repository.without_kustomization(folder)
        steered = route.steering is not None and route.steering.overlay != "{}"
        plain = replace(route, top=folder) if steered else route
        for name in files:
            self._kustomizations.take_file(name, plain, depth)
        for top in below:
            self._kustomizations.take_folder(top, route, depth + 1)
