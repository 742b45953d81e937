"""What a build says: the objects of one rendering, and what differs between two."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from analyzer.gitops.reach import custom
from analyzer.gitops.reach.objects import POD_PATHS, Object, objects_of
from analyzer.gitops.reach.repository import Source
from analyzer.gitops.render.program import RenderError
from analyzer.gitops.text.resources import FIELDS, Field, amounts
from analyzer.gitops.text.tree import Node, Path, YamlError, parse, plain
from analyzer.quantity import Resources

_BUDGET = 5_000_000


@dataclass(frozen=True, slots=True, order=True)
class Sink:
    """A container as rendered: where a `resources` mapping ends up."""

    kind: str
    workload: str
    container: str

    def __str__(self) -> str:
        return f"{self.kind}/{self.workload}/{self.container}"


@dataclass(frozen=True)
class Rendering:
    """The objects of one rendering, and the program that made them."""

    program: str
    objects: tuple[Object, ...]

    def sinks(self) -> dict[Sink, object]:
        """The resources of every container, as plain values."""
        return {sink: None if node is None else plain(node) for sink, node in self._sinks()}

    def _sinks(self) -> Iterator[tuple[Sink, Node | None]]:
        for item in self.objects:
            if item.is_workload:
                yield from _containers(item.kind, item.name, item.node, POD_PATHS[item.kind])
            for kind, name, path in custom.pod_template(item.group, item.kind, item.node):
                yield from _containers(kind, name, item.node, path)
            for rule in custom.rules_for(item.group, item.kind):
                pattern = custom.workload_pattern(rule, item.name, item.node).pattern
                workload = pattern if rule.pattern else pattern.replace("\\", "")
                sink = Sink(rule.workload_kind, workload, rule.container)
                yield sink, item.node.at(*rule.path)

    def rest(self) -> dict[tuple[str, str, str, int], object]:
        """Every object without the resources of its containers, for comparing the remainder."""
        found: dict[tuple[str, str, str, int], object] = {}
        for item in self.objects:
            value = plain(item.node, _BUDGET)
            for path in _resource_paths(item):
                _drop(value, path)
            key = (item.kind, item.namespace or "", item.name)
            number = sum(1 for known in found if known[:3] == key)
            found[(*key, number)] = value
        return found


def _containers(kind: str, name: str, node: Node, path: Path) -> Iterator[tuple[Sink, Node | None]]:
    for group in ("containers", "initContainers"):
        for container in node.sequence(*path, group):
            yield Sink(kind, name, container.text("name") or ""), container.at("resources")


def _resource_paths(item: Object) -> list[Path]:
    paths: list[Path] = [rule.path for rule in custom.rules_for(item.group, item.kind)]
    templates = [path for _, _, path in custom.pod_template(item.group, item.kind, item.node)]
    if item.is_workload:
        templates.append(POD_PATHS[item.kind])
    for path in templates:
        for group in ("containers", "initContainers"):
            count = len(item.node.sequence(*path, group))
            paths += [(*path, group, number, "resources") for number in range(count)]
    return paths


def _drop(value: object, path: Path) -> None:
    for key in path[:-1]:
        if isinstance(value, dict):
            value = value.get(str(key))
        elif isinstance(value, list) and isinstance(key, int) and key < len(value):
            value = value[key]
        else:
            return
    if isinstance(value, dict):
        value.pop(str(path[-1]), None)


def read_rendering(text: str, program: str) -> Rendering:
    """What a program wrote. Raises `RenderError` where that is no YAML."""
    try:
        source = Source("rendered", text, parse(text))
    except YamlError as err:
        raise RenderError(f"{program} wrote something that is no YAML: {err}") from err
    return Rendering(program, tuple(objects_of(source)))


@dataclass(frozen=True, slots=True)
class Comparison:
    """What differs between two renderings."""

    program: str
    after: Mapping[Sink, object]
    changed: frozenset[Sink]
    elsewhere: tuple[str, ...]

    def problem(self, intended: Mapping[Sink, Resources]) -> str | None:
        """What speaks against it; None where the intended containers alone changed, as meant."""
        if self.elsewhere:
            return f"{self.elsewhere[0]} changed as well"
        if self.changed != intended.keys():
            count = f"{len(self.changed)} of {len(self.after)} containers changed"
            odd = sorted(self.changed ^ intended.keys())
            return f"{count}, not as intended: {', '.join(map(str, odd[:3]))}"
        for sink, wanted in sorted(intended.items()):
            found = amounts(_stated(self.after.get(sink)))
            if found != wanted:
                return f"{sink} would get other amounts than the file states"
        return None


def _stated(resources: object) -> dict[Field, str]:
    """The requests and limits of a rendered container, as written."""
    found: dict[Field, str] = {}
    for field in FIELDS:
        part, name = field.split(".")
        amounts_of_part = resources.get(part) if isinstance(resources, Mapping) else None
        value = amounts_of_part.get(name) if isinstance(amounts_of_part, Mapping) else None
        if value is not None:
            found[field] = str(value)
    return found


def compare(before: Rendering, after: Rendering, noise: Iterable[object] = ()) -> Comparison:
    """Hold two renderings against each other.

    `noise` are keys of `Rendering.rest` that differ between two renderings of the same input,
    such as generated passwords, and so say nothing.
    """
    old, new = before.sinks(), after.sinks()
    changed = frozenset(s for s in old.keys() | new.keys() if old.get(s) != new.get(s))
    left, right, skip = before.rest(), after.rest(), set(noise)
    elsewhere = [
        "/".join(map(str, key[:3]))
        for key in sorted(left.keys() | right.keys())
        if key not in skip and left.get(key) != right.get(key)
    ]
    return Comparison(after.program, new, changed, tuple(elsewhere))


def noise_of(first: Rendering, second: Rendering) -> list[tuple[str, str, str, int]]:
    """What differs between two renderings of the same input."""
    left, right = first.rest(), second.rest()
    return [key for key in left.keys() | right.keys() if left.get(key) != right.get(key)]
