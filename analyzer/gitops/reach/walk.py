"""Follows what reaches a cluster: every object of every file, and what each brings along.

Each construct that brings others along has a module of its own; here they are joined, because a
folder may hold an Application whose folder holds a Kustomization.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

from analyzer.gitops.reach import resource_set
from analyzer.gitops.reach.application import Applications
from analyzer.gitops.reach.flux_kustomization import FluxKustomizations
from analyzer.gitops.reach.kustomization import Kustomizations
from analyzer.gitops.reach.objects import Object
from analyzer.gitops.reach.repository import Repository
from analyzer.gitops.reach.route import Arrival, Reach, Route

_MAX_DEPTH = 40


class Walker:
    """Takes files as arriving by a route, and follows on from their objects unless told not to."""

    def __init__(
        self, repository: Repository, objects: Mapping[str, list[Object]], *, follow: bool = True
    ) -> None:
        self.objects = objects
        self.reach = Reach()
        self.kustomizations = Kustomizations(repository, self.reach, self.take_file)
        self.flux = FluxKustomizations(objects, self.kustomizations)
        self.applications = Applications(self.kustomizations)
        self._follow = follow

    def take_file(self, file: str, route: Route, depth: int) -> None:
        """Take every object of a file as arriving by `route`."""
        self.reach.files.add(file)
        for item in self.objects.get(file, ()):
            self._take(Arrival(item, route), depth)

    def _take(self, arrival: Arrival, depth: int) -> None:
        """One object that arrives, and what it brings along when it is a root of its own."""
        item = arrival.object
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
