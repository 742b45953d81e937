"""What a build says: the objects of one rendering, and what differs between two."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from analyzer.gitops.reach import custom
from analyzer.gitops.reach.objects import POD_PATHS, Object, objects_of
from analyzer.gitops.reach.repository import Source
from analyzer.gitops.render.program import RenderError
from analyzer.gitops.text.address import dotted
from analyzer.gitops.text.tree import Path, YamlError, parse, plain, walk

_BUDGET = 5_000_000


@dataclass(frozen=True, slots=True, order=True)
class Sink:
    """A container as rendered: where a `resources` mapping ends up."""

    kind: str
    workload: str
    container: str

    def __str__(self) -> str:
        return f"{self.kind}/{self.workload}/{self.container}"


ObjectKey = tuple[str, str, str, int]
"""Kind, namespace and name of an object, and which of those that bear them."""
Spot = tuple[ObjectKey, Path]


@dataclass(frozen=True)
class Rendering:
    """The objects of one rendering, and the program that made them."""

    program: str
    objects: tuple[Object, ...]

    def sinks(self) -> dict[Sink, object]:
        """The resources of every container, as plain values."""
        found: dict[Sink, object] = {}
        for item in self.objects:
            for path, sink in _blocks(item):
                node = item.node.at(*path)
                found[sink] = None if node is None else plain(node)
        return found

    def leaves(self) -> dict[Spot, object]:
        """Every value without anything below it, by object and path; empty mappings are values."""
        found: dict[Spot, object] = {}
        for key, item in self.numbered():
            for path, node in walk(item.node):
                # An alias counts as a whole: what it points at stands elsewhere as well.
                if node.kind in ("scalar", "alias") or not (node.entries or node.items):
                    found[(key, path)] = plain(node, _BUDGET)
        return found

    def numbered(self) -> Iterator[tuple[ObjectKey, Object]]:
        """The objects by kind, namespace and name, and a number where these do not tell them."""
        counts: Counter[tuple[str, str, str]] = Counter()
        for item in self.objects:
            key = (item.kind, item.namespace or "", item.name)
            yield (*key, counts[key]), item
            counts[key] += 1

    def blocks(self) -> dict[Spot, Sink]:
        """Where the resources of each container stand: object and path of the mapping."""
        return {(key, path): sink for key, item in self.numbered() for path, sink in _blocks(item)}


def _blocks(item: Object) -> Iterator[tuple[Path, Sink]]:
    """The path of the resources of each container that an object stands for."""
    if item.is_workload:
        yield from _described(item, item.kind, item.name, POD_PATHS[item.kind])
    for fed in custom.fed_by(item.group, item.kind, item.node, item.name):
        kind = fed.rule.workload_kind
        if fed.rule.is_pod:
            yield from _described(item, kind, fed.shown, fed.path, fed.container)
        elif item.node.at(*fed.path[:-1]) is not None:
            yield fed.path, Sink(kind, fed.shown, fed.container)


def _described(
    item: Object, kind: str, workload: str, pod: Path, unnamed: str = ""
) -> Iterator[tuple[Path, Sink]]:
    for group in ("containers", "initContainers"):
        for number, container in enumerate(item.node.sequence(*pod, group)):
            sink = Sink(kind, workload, container.text("name") or unnamed)
            yield (*pod, group, number, "resources"), sink


def read_rendering(text: str, program: str) -> Rendering:
    """What a program wrote. Raises `RenderError` where that is no YAML."""
    try:
        source = Source("rendered", text, parse(text))
    except YamlError as err:
        raise RenderError(f"{program} wrote something that is no YAML: {err}") from err
    return Rendering(program, tuple(objects_of(source)))


@dataclass(frozen=True, slots=True)
class Move:
    """One value that differs between two renderings; None where it is not there.

    `sink` is the container in whose resources it stands, and `path` then counts from there.
    """

    owner: ObjectKey
    path: Path
    before: object
    after: object
    sink: Sink | None = None

    def __str__(self) -> str:
        if self.sink is not None:
            return f"{self.sink}, {dotted(self.path)}"
        named = "/".join(filter(None, self.owner[:3]))
        whole = self.before is None or self.after is None
        return named if whole else f"{named}, {dotted(self.path)}"


def moves(before: Rendering, after: Rendering) -> list[Move]:
    """Every value that differs between two renderings."""
    old, new = before.leaves(), after.leaves()
    blocks = {**before.blocks(), **after.blocks()}
    empty: object = None
    found = []
    for spot in sorted(old.keys() | new.keys(), key=str):
        left, right = old.get(spot, empty), new.get(spot, empty)
        # An empty mapping that comes or goes says nothing by itself.
        if left != right and {str(left), str(right)} - {"None", "{}", "[]"}:
            found.append(_move(spot, left, right, blocks))
    return found


def _move(spot: Spot, before: object, after: object, blocks: Mapping[Spot, Sink]) -> Move:
    key, path = spot
    for length in range(len(path), 0, -1):
        sink = blocks.get((key, path[:length]))
        if sink is not None:
            return Move(key, path[length:], before, after, sink)
    return Move(key, path, before, after)
