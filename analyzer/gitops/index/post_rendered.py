"""Containers that a chart makes and offers no value for: what post-renderers state for them.

Flux hands what helm rendered to kustomize. A patch there states what no value can, and one that
is there already is edited like any other.
"""

from __future__ import annotations

from collections.abc import Iterator, Set
from dataclasses import replace

from analyzer.gitops.index.layers import Decision, decide_built
from analyzer.gitops.index.place import Confidence, Expectation, Leaf, Place
from analyzer.gitops.index.survey import Survey
from analyzer.gitops.reach.objects import POD_PATHS, Object
from analyzer.gitops.reach.patch import Patch, inline_patches
from analyzer.gitops.reach.release import Release
from analyzer.gitops.reach.runtimes import memory_floors
from analyzer.gitops.render.post_renderer import HOOK
from analyzer.gitops.render.rendering import Rendering, Sink
from analyzer.gitops.text.address import Address
from analyzer.gitops.text.patch_list import NewPatch
from analyzer.gitops.text.resources import fields_of
from analyzer.gitops.text.tree import Node, plain
from analyzer.kinds import KINDS

_MERGED = frozenset(k.name for k in KINDS if k.merges_strategically and k.pod_path is not None)
"""Kinds whose containers kustomize merges by name."""


class PostRendered:
    """What the post-renderers of one release decide, or would, for what its chart makes."""

    def __init__(self, survey: Survey, release: Release, rendering: Rendering) -> None:
        self._survey = survey
        self._release = release
        self._rendering = rendering
        self._file, self._spec = release.spec or ("", Address(0, ()))
        self._renderers = self._read_renderers()

    def _read_renderers(self) -> list[Node]:
        spec = self._survey.node(self._file, self._spec) if self._file else None
        return [] if spec is None else spec.sequence("postRenderers")

    def expectations(self, sinks: Set[Sink]) -> Iterator[Expectation]:
        """One for each of the containers that a patch can reach."""
        if not self._file or self._release.post_rendered_elsewhere:
            return
        for item in self._rendering.objects:
            hooked = item.node.text(*HOOK) is not None
            if item.kind not in _MERGED or not item.is_workload or hooked:
                continue
            for group in ("containers", "initContainers"):
                path = (*map(str, POD_PATHS[item.kind]), group)
                for number, container in enumerate(item.node.sequence(*path)):
                    sink = Sink(item.kind, item.name, container.text("name") or "")
                    if sink in sinks:
                        yield self._expected(item, path, number, container)

    def _expected(
        self, item: Object, path: tuple[str, ...], number: int, container: Node
    ) -> Expectation:
        """A container with the patch that states its amounts, or would."""
        release, name = self._release, container.text("name") or ""
        namespace = item.namespace or release.owner.namespace
        patches = [p for p in self._patches() if p.applies_to(item, namespace)]
        found = decide_built(patches, (*path, number), name)
        place, new = self._place(found, item, path, name)
        resources = container.at("resources")
        stated = {} if resources is None else fields_of(resources)
        at_place = Expectation(
            namespace,
            item.kind,
            item.name,
            name,
            "app" if path[-1] == "containers" else None,
            place,
            *self._rule(found),
            release.route,
            floors=memory_floors(plain(container), release.route.expand),
            patch=new,
        )
        owners = {} if found is None else found.owners
        leaves = (
            owners.get(field) or Leaf(field, *at_place.leaf(field), text)
            for field, text in stated.items()
        )
        return replace(at_place, leaves=tuple(leaves))

    def _rule(self, found: Decision | None) -> tuple[str, Confidence]:
        if found is not None:
            return found.rule, found.confidence
        owner = self._release.owner
        chart = " ".join(filter(None, (owner.chart, owner.version)))
        told = f"the chart {chart} of the {owner} offers no value for it; a post-renderer states it"
        return told, "certain"

    def _place(
        self, found: Decision | None, item: Object, path: tuple[str, ...], name: str
    ) -> tuple[Place, NewPatch | None]:
        """Where a patch has the container's resources, or would; and that patch, if it is new."""
        release = self._release
        if found is not None and found.file:
            place = self._survey.place(
                found.file, found.address, release.owner, name, release.route
            )
            return place, None
        version = item.node.text("apiVersion") or ""
        names = [one.text("name") or "" for one in item.node.sequence(*path)]
        ahead = tuple(names[: names.index(name)])
        new = NewPatch(self._list(), version, item.kind, item.name, path, name, ahead)
        address = new.patches.below(f"{item.kind}/{item.name}", *path, name, "resources")
        generated = self._survey.generated(self._file)
        place = Place(
            self._file,
            address,
            release.owner,
            name,
            present=False,
            reachable=release.route.reachable,
            refusal=generated or None,
            generated=bool(generated),
        )
        return place, new

    def _list(self) -> Address:
        """The list that a new patch goes into: that of the last renderer that is kustomize's."""
        known = [n for n, one in enumerate(self._renderers) if one.at("kustomize") is not None]
        number = known[-1] if known else len(self._renderers)
        return self._spec.below("postRenderers", number, "kustomize", "patches")

    def _patches(self) -> Iterator[Patch]:
        """The patches of all post-renderers whose text stands in the release, in order."""
        for number, renderer in enumerate(self._renderers):
            at = self._spec.below("postRenderers", number, "kustomize")
            for index, entry in enumerate(renderer.sequence("kustomize", "patches")):
                body, here = entry.at("patch"), at.below("patches", index, "patch")
                target = {k: v.value for k, v in entry.mapping("target") if v.kind == "scalar"}
                if body is not None and body.kind == "scalar":
                    yield from inline_patches(self._file, here, body, target)
