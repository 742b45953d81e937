"""Where a cluster can state for itself what a base states for others as well.

That is a patch of its own: one that is there already, a new one in a kustomization on the way from
the base, or one that its Flux Kustomization or its Application has kustomize add. The nearest to
the base that the others do not take comes first.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from analyzer.gitops.index.place import Expectation
from analyzer.gitops.index.repository_index import RepositoryIndex
from analyzer.gitops.reach.custom import ANY
from analyzer.gitops.reach.objects import POD_PATHS, Object, all_objects, node_at
from analyzer.gitops.reach.patch import Patch
from analyzer.gitops.reach.repository import join
from analyzer.gitops.reach.route import Route, has_variable
from analyzer.gitops.text.address import Address
from analyzer.gitops.text.patch_list import NewPatch
from analyzer.gitops.text.resources import BY_FIELD, Field
from analyzer.gitops.text.tree import walk

_VALUES = ("spec", "values")


@dataclass(frozen=True, slots=True)
class Layer:
    """A place for amounts on the way to some clusters, and which of all ways lead past it.

    `address` leads to a `resources` mapping in a patch that is there; `patch` is a new one.
    """

    file: str
    address: Address | None
    patch: NewPatch | None
    ways: frozenset[str]
    """The outermost folders from which a build passes here."""
    own_patch: tuple[str, Address] | None = None
    steering: tuple[str, Address] | None = None

    def carries(self, route: Route) -> bool:
        """Whether what arrives by a route passes here."""
        if self.own_patch is not None:
            return self.own_patch in [(p.file, p.address) for p in route.patches]
        if self.steering is not None:
            steered = route.steering
            return steered is not None and (steered.file, steered.address) == self.steering
        return route.top in self.ways

    def leaf(self, found: Field) -> Address:
        """Where an amount goes."""
        if self.address is not None:
            return self.address.below(*BY_FIELD[found].path)
        if self.patch is None:
            raise ValueError("a layer has a patch, or gets one")
        return self.patch.leaf(found)


@dataclass(frozen=True, slots=True)
class _Spot:
    """Where the amounts of a container stand in its object, apart from any file."""

    object: Object
    path: tuple[str, ...]
    container: str | None = None

    @property
    def ahead(self) -> tuple[str, ...]:
        """The containers that stand before it in its list."""
        names = [one.text("name") or "" for one in self.object.node.sequence(*self.path)]
        return tuple(names[: names.index(self.container)]) if self.container in names else ()


class Layers:
    """Finds the layers between a base and those who take it."""

    def __init__(self, index: RepositoryIndex) -> None:
        self._index = index
        self._repository = index.repository
        self._reads: dict[str, frozenset[str]] = {}

    def of(self, expectation: Expectation, origin: str) -> Iterator[Layer]:
        """The layers of a container whose amounts stand in the file `origin`, nearest first."""
        spot = self._spot(expectation)
        if spot is None or has_variable(spot.object.name):
            return
        yield from self._patches(expectation.route, spot)
        yield from self._folders(expectation.route, spot, origin)
        yield from self._steering(expectation.route, spot)

    # --- patches that are there ---

    def _patches(self, route: Route, spot: _Spot) -> Iterator[Layer]:
        """Patches that are for this object alone, and state something of it already."""
        for patch in reversed(route.patches):
            address = None if patch.is_json else _stated_in(patch, spot)
            if address is not None and not self._index.generated(patch.file):
                here = (patch.file, patch.address)
                yield Layer(patch.file, address, None, frozenset(), own_patch=here)

    # --- kustomizations ---

    def _folders(self, route: Route, spot: _Spot, origin: str) -> Iterator[Layer]:
        """The kustomizations from the one that takes `origin` to the outermost one."""
        if route.top is None:
            return
        passed = [f for f in self._below(route.top) if origin in self._below(f)]
        for folder in sorted(passed, key=lambda f: (len(self._below(f)), f)):
            file = self._repository.kustomization(folder)
            if file is None or self._index.generated(file) or self._is_component(file):
                continue
            ways = frozenset(top for top in self._tops if folder in self._below(top))
            yield Layer(file, None, _new(Address(0, ("patches",)), spot), ways)

    def _is_component(self, file: str) -> bool:
        documents = self._repository.files[file].documents
        return len(documents) != 1 or documents[0].root.text("kind") == "Component"

    @cached_property
    def _tops(self) -> frozenset[str]:
        """Every folder at which a build begins."""
        found = {each.route.top for each in self._index.expectations}
        return frozenset(top for top in found if top is not None)

    def _below(self, folder: str) -> frozenset[str]:
        """Every folder and file that a build of a folder reads, itself included."""
        if folder not in self._reads:
            found: set[str] = set()
            ahead = [folder]
            while ahead:
                here = ahead.pop()
                if here not in found:
                    found.add(here)
                    ahead += self._named(here)
            self._reads[folder] = frozenset(found)
        return self._reads[folder]

    def _named(self, folder: str) -> Iterator[str]:
        """What the kustomization of a folder names: files and folders that are here."""
        file = self._repository.kustomization(folder)
        if file is None:
            return
        yield file
        for document in self._repository.files[file].documents:
            for _, node in walk(document.root):
                if node.kind != "scalar" or "\n" in node.value or "://" in node.value:
                    continue
                named = join(folder, node.value.rpartition("=")[2]) if node.value else None
                if named and named != folder and self._is_here(named):
                    yield named

    def _is_here(self, path: str) -> bool:
        return path in self._repository.files or self._repository.kustomization(path) is not None

    # --- Flux Kustomizations, and Applications of Argo CD ---

    def _steering(self, route: Route, spot: _Spot) -> Iterator[Layer]:
        steering = route.steering
        if steering is None or steering.address.inner is not None or self._made(steering.file):
            return
        file, address = steering.file, steering.address
        if node_at(self._repository.files[file].documents, address) is not None:
            patch = _new(steering.patches, spot)
            yield Layer(file, None, patch, frozenset(), steering=(file, address))

    def _made(self, file: str) -> bool:
        return file not in self._repository.files or bool(self._index.generated(file))

    # --- the object ---

    def _spot(self, expectation: Expectation) -> _Spot | None:
        """Where a container's amounts stand in its object; None where a patch cannot reach them."""
        found = self._object(expectation)
        if found is None or expectation.container == ANY:
            return None
        if found.is_workload:
            if expectation.container_type is None or expectation.place.container is None:
                return None
            app = expectation.container_type == "app"
            pods = tuple(map(str, POD_PATHS[found.kind]))
            group = "containers" if app else "initContainers"
            return _Spot(found, (*pods, group), expectation.place.container)
        path = (
            self._values_path(expectation) if found.is_helm_release else _within(found, expectation)
        )
        if path is None or not path or any(isinstance(key, int) for key in path):
            return None
        above = _VALUES if found.is_helm_release else ()
        return _Spot(found, (*above, *map(str, path)))

    def _object(self, expectation: Expectation) -> Object | None:
        """The object as its file has it, before anything on the way renames it."""
        owner, route = expectation.place.owner, expectation.route
        fitting = [
            each
            for each in self._by_kind.get(owner.kind, ())
            if f"{route.prefix}{route.expand(each.name)}{route.suffix}" == owner.name
            and each.node.text("apiVersion") is not None
        ]
        own = [each for each in fitting if each.file == expectation.place.file]
        versions = {each.node.text("apiVersion") for each in own or fitting}
        return (own or fitting)[0] if len(versions) == 1 else None

    @cached_property
    def _by_kind(self) -> dict[str, list[Object]]:
        found: dict[str, list[Object]] = {}
        for objects in all_objects(self._repository).values():
            for each in objects:
                found.setdefault(each.kind, []).append(each)
        return found

    def _values_path(self, expectation: Expectation) -> tuple[str | int, ...] | None:
        """The path of a place below the values of its release."""
        place, entry = expectation.place, expectation.route.entry
        for release in self._index.releases_of.get(place.owner, ()):
            if release.route.entry == entry:
                starts = [(file, address) for file, address, _ in release.values]
                for file, address in [*starts, *([release.home] if release.home else [])]:
                    rest = _rest(place.address, address)
                    if file == place.file and rest is not None:
                        return rest
        return None


def _new(patches: Address, spot: _Spot) -> NewPatch:
    version = spot.object.node.text("apiVersion") or ""
    kind, name = spot.object.kind, spot.object.name
    return NewPatch(patches, version, kind, name, spot.path, spot.container, spot.ahead)


def _within(found: Object, expectation: Expectation) -> tuple[str | int, ...] | None:
    """The path of a place in its object, where it stands in the object's own text."""
    place = expectation.place
    return _rest(place.address, found.address) if place.file == found.file else None


def _rest(address: Address, start: Address) -> tuple[str | int, ...] | None:
    """The path from one address down to another one; None where it is not below."""
    whole, head = address.full_path(), start.full_path()
    below = address.document == start.document and whole[: len(head)] == head
    return whole[len(head) :] if below else None


def _stated_in(patch: Patch, spot: _Spot) -> Address | None:
    """Where a patch that is for this object alone has its `resources`, or gets them."""
    node, name = patch.node, spot.object.name
    named = node.text("kind") == spot.object.kind and node.text("metadata", "name") == name
    others = {"labelSelector", "annotationSelector"} & patch.target.keys()
    if not named or others or patch.target.get("name", name) not in (name, re.escape(name)):
        return None
    if spot.container is None:
        above = spot.path[:2] if spot.path[:2] == _VALUES else spot.path[:1]
        stated = node.at(*above) is not None
        return patch.address.below(*spot.path) if stated else None
    for number, entry in enumerate(node.sequence(*spot.path)):
        if entry.text("name") == spot.container:
            return patch.address.below(*spot.path, number, "resources")
    return None
