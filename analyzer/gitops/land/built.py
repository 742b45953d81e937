"""One build of a kustomize folder, as the controller in charge of it would make it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from analyzer.gitops.reach import overlay
from analyzer.gitops.reach.objects import node_at
from analyzer.gitops.reach.release import Release, mapping_of, merge, post_renderers
from analyzer.gitops.reach.route import Route, Steering
from analyzer.gitops.render.kustomize import Kustomize
from analyzer.gitops.render.rendering import Rendering
from analyzer.gitops.text.tree import parse


@dataclass(frozen=True, slots=True)
class Build:
    """A folder, and what steers its build."""

    folder: str
    steering: Steering | None

    def made_by(self, kustomize: Kustomize, texts: Mapping[str, str]) -> Rendering:
        """The objects with some files edited. Raises `RenderError`."""
        return kustomize.build(self.folder, texts, self._overlay(texts))

    def _overlay(self, texts: Mapping[str, str]) -> str:
        """What the controller adds, read anew where its object is among the edited texts."""
        steering = self.steering
        if steering is None:
            return "{}"
        text = texts.get(steering.file)
        node = None if text is None else node_at(parse(text), steering.address)
        if node is None:
            return steering.overlay
        if steering.is_flux:
            return overlay.of_flux(node, self.folder)
        return overlay.of_argo(node, self.folder)


def build_of(route: Route, edited: Collection[str] = ()) -> Build | None:
    """The build that a route goes through; None where files are applied as they stand.

    Those that nothing was built of yet are, once the object that steers them is `edited`: what it
    adds is put on top of them.
    """
    if route.top is not None:
        return Build(route.top, route.steering)
    steering = route.steering
    steered = steering is not None and steering.file in edited
    return Build(route.folder, steering) if steered else None


Installed = tuple[Mapping[str, object], Sequence[str]]
"""The values of a release and its post-renderers."""


def as_found(release: Release) -> Installed:
    """What is installed where nothing builds the release's object."""
    return release.merged(), release.post_renderers


def as_built(release: Release, rendering: Rendering) -> Installed:
    """The values of a HelmRelease with those that its object has once it is built.

    Values that it refers to come first, as they were found; for anything but a HelmRelease all of
    them count as found.
    """
    owner = release.owner
    for item in rendering.objects:
        name = release.route.expand(item.name)
        if item.is_helm_release and owner.kind == item.kind and name == owner.name:
            given = release.referenced().merged()
            values = merge(dict(given), mapping_of(item.node.at("spec", "values")))
            return values, post_renderers(item.node.at("spec"))
    return as_found(release)
