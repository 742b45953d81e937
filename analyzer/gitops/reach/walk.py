"""Follows what reaches a cluster: every object of every file, and what each brings along.

Each construct that brings others along has a module of its own; here they are joined, because a
folder may hold an Application whose folder holds a Kustomization.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property

from analyzer.gitops.reach import resource_set
from analyzer.gitops.reach.application import Applications
from analyzer.gitops.reach.builder import Builder
from analyzer.gitops.reach.flux_kustomization import FluxKustomizations
from analyzer.gitops.reach.kustomization import Kustomizations
from analyzer.gitops.reach.objects import Object
from analyzer.gitops.reach.repository import Repository
from analyzer.gitops.reach.route import Arrival, Reach, Route
from analyzer.gitops.text.tree import Node

_MAX_DEPTH = 40


class Walker:
    """Takes files as arriving by a route, and follows on from their objects unless told not to."""

    def __init__(
        self,
        repository: Repository,
        objects: Mapping[str, list[Object]],
        builder: Builder,
        *,
        follow: bool = True,
    ) -> None:
        self.objects = objects
        self._builder = builder
        self._built: dict[tuple[str, str], Mapping[tuple[str, str], Sequence[Node]]] = {}
        self.reach = Reach()
        self.kustomizations = Kustomizations(repository, self.reach, self.take_file)
        self.flux = FluxKustomizations(objects, self.kustomizations)
        self.applications = Applications(self.kustomizations, builder)
        self._follow = follow

    def take_file(self, file: str, route: Route, depth: int) -> None:
        """Take every object of a file as arriving by `route`."""
        self.reach.files.add(file)
        for item in self.objects.get(file, ()):
            self._take(Arrival(item, route, self._as_built(item, route)), depth)

    def _as_built(self, item: Object, route: Route) -> Node | None:
        """The object as kustomize makes it, where reading it would mislead and it can be built."""
        if route.top is None or not self._follow:
            return None
        overlay = route.steering.overlay if route.steering is not None else "{}"
        if not (self.kustomizations.steers(route.top) or _leads_on(overlay)):
            return None
        found = self._objects_built(route.top, overlay).get((item.file, item.kind), ())
        named = f"{route.prefix}{item.name}{route.suffix}"
        same = [node for node in found if node.text("metadata", "name") == named]
        alone = sum(1 for other in self.objects[item.file] if other.kind == item.kind) == 1
        if len(same) == 1 or (len(found) == 1 and alone):
            return (same or list(found))[0]
        return None

    def _objects_built(self, folder: str, overlay: str) -> Mapping[tuple[str, str], Sequence[Node]]:
        """What a folder builds to, by the file each object comes from and its kind."""
        key = (folder, overlay)
        if key not in self._built:
            found: dict[tuple[str, str], list[Node]] = {}
            for one in self._builder.folder(folder, overlay) or ():
                if one.file is not None:
                    place = (one.file, one.node.text("kind") or "")
                    found.setdefault(place, []).append(one.node)
            self._built[key] = found
        return self._built[key]

    def _take(self, arrival: Arrival, depth: int) -> None:
        """One object that arrives, and what it brings along when it is a root of its own."""
        item = arrival.object
        if arrival.is_deleted:
            arrival = replace(arrival, route=replace(arrival.route, reachable=False))
        self.reach.arrivals.append(arrival)
        if not self._follow or depth > _MAX_DEPTH:
            return
        if item.is_flux_kustomization:
            self.flux.follow(arrival, depth + 1)
        elif item.is_application:
            self.applications.follow(arrival, depth + 1)
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


def _leads_on(overlay: str) -> bool:
    """Whether what a controller adds changes objects that lead on to others."""
    return any(kind in overlay for kind in ("Kustomization", "Application", "/metadata/name"))
