"""Which text has the last word on each amount of a container: its manifest, or patches on its way.

Kustomize applies patches in order, each on what the ones before made. A strategic-merge patch adds
the amounts it states, a JSON 6902 patch replaces what it points at. What takes amounts away, or
copies them from elsewhere, is no place that an edit could go to.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from analyzer.gitops.index.place import Confidence, Leaf
from analyzer.gitops.reach.objects import Object
from analyzer.gitops.reach.patch import Patch
from analyzer.gitops.reach.route import Arrival
from analyzer.gitops.text.address import Address, dotted
from analyzer.gitops.text.resources import BY_FIELD, ROWS, Field, fields_of
from analyzer.gitops.text.tree import Node, Path

_SELECTED = re.compile(r"(?:init)?[cC]ontainers\.(?P<one>\[name=[^]]*\]|[^.]+)\.resources\b")


@dataclass(slots=True)
class Decision:
    """Where a container's amounts are stated so far, and why no edit may go there, if so."""

    file: str
    address: Address
    rule: str = "declared in its own manifest"
    confidence: Confidence = "certain"
    owners: dict[Field, Leaf] = field(default_factory=dict)
    layered: bool = False
    gone: bool = False
    """Whether a patch takes the container away."""

    @property
    def leaves(self) -> tuple[Leaf, ...] | None:
        """Every amount that is stated; None where all of them stand in one place."""
        return tuple(self.owners.values()) if self.layered else None

    def take(self, file: str, address: Address, node: Node | None, rule: str) -> None:
        """A `resources` mapping that adds to what was before, and has the last word from now on."""
        self.file, self.address, self.rule = file, address, rule
        for name, text in ({} if node is None else fields_of(node)).items():
            leaf = Leaf(name, file, address.below(*BY_FIELD[name].path), text)
            self.owners[name] = leaf
        at_home = all(
            leaf.file == file and leaf.address == address.below(*BY_FIELD[leaf.field].path)
            for leaf in self.owners.values()
        )
        self.layered = not at_home

    @property
    def words(self) -> tuple[object, ...]:
        """All that is decided so far."""
        return self.file, self.address, self.rule, dict(self.owners), self.gone

    def doubt(self, reason: str) -> None:
        """Something on the way cannot be edited or judged: the place is a hint from now on."""
        self.rule, self.confidence = reason, "unproven"


def decide(arrival: Arrival, path: Path, name: str) -> Decision:
    """Where the amounts of the container called `name`, at `path` in its object, are stated."""
    item = arrival.object
    address = item.address.below(*path, "resources")
    found = Decision(item.file, address)
    found.take(item.file, address, item.node.at(*path, "resources"), found.rule)
    for patch in arrival.route.patches:
        if patch.applies_to(item, arrival.namespace):
            before = found.words
            _apply(found, patch, path, name)
            _judge_selector(found, before, patch, item)
    for replacement in arrival.route.replacements:
        meant = _SELECTED.search(replacement.field)
        chosen = meant["one"] if meant is not None else ""
        named = chosen in (f"[name={name}]", str(path[-1]), "*")
        if named and replacement.applies_to(item, arrival.namespace):
            found.doubt(f"the replacements in {replacement.file} overwrite {replacement.field}")
    return found


def decide_field(arrival: Arrival, path: Path) -> Decision:
    """As `decide`, for the resources at `path` of a custom resource, of which no schema is known.

    Kustomize then merges mappings key by key and puts whole lists in the place of others.
    """
    item = arrival.object
    found = Decision(item.file, item.address.below(*path))
    found.take(item.file, found.address, item.node.at(*path), f"declared at {dotted(path)}")
    for patch in arrival.route.patches:
        if patch.applies_to(item, arrival.namespace):
            before = found.words
            _apply_to_field(found, patch, path)
            _judge_selector(found, before, patch, item)
    for one in arrival.route.replacements:
        if f"{one.field}.".startswith(f"{dotted(path)}.") and one.applies_to(
            item, arrival.namespace
        ):
            found.doubt(f"the replacements in {one.file} overwrite {one.field}")
    return found


def decide_built(patches: Iterable[Patch], path: Path, name: str) -> Decision | None:
    """What patches that are for an object decide for a container at `path` that no file declares.

    None where they state nothing of it.
    """
    found = Decision("", Address(0, ()))
    for patch in patches:
        _apply(found, patch, path, name)
    said = found.file or found.owners or found.confidence != "certain"
    return found if said else None


def _apply_to_field(found: Decision, patch: Patch, path: Path) -> None:
    if patch.is_json:
        for index, operation in enumerate(patch.node.items):
            here = patch.address.below(index, "value")
            _operate(found, patch.file, here, operation.resolved, path)
        return
    list_at = next((n for n, key in enumerate(path) if isinstance(key, int)), len(path))
    node = patch.node.at(*path[:list_at])
    if node is None:
        return
    if list_at < len(path):
        found.doubt(f"the patch in {patch.file} replaces {dotted(path[:list_at])}")
        return
    found.take(patch.file, patch.address.below(*path), node, f"set by the patch in {patch.file}")
    _judge_patch(found, patch, node)


def _apply(found: Decision, patch: Patch, path: Path, name: str) -> None:
    rule = f"set by the patch in {patch.file}"
    if patch.is_json:
        for index, operation in enumerate(patch.node.items):
            here = patch.address.below(index, "value")
            _operate(found, patch.file, here, operation.resolved, (*path, "resources"))
        return
    found.gone = found.gone or _deletes(patch, path, name)
    address = _patched(patch, path, name)
    if address is None:
        return
    node = patch.node.at(*_within(patch, address))
    found.take(patch.file, address, node, rule)
    _judge_patch(found, patch, node)


def _judge_patch(found: Decision, patch: Patch, node: Node | None) -> None:
    """What speaks against a strategic-merge patch as the place of the amounts that it states."""
    nulls = [key for key, below in ([] if node is None else node.mapping()) if below.is_null]
    if nulls or (node is not None and node.at("$patch") is not None):
        found.doubt(f"the patch in {patch.file} takes a part of its resources away")


def _judge_selector(
    found: Decision, before: tuple[object, ...], patch: Patch, item: Object
) -> None:
    """Doubt what a patch decided that selects by labels which the object does not state itself."""
    if found.words == before or patch.surely_selects(item):
        return
    found.doubt(
        f"the patch in {patch.file} selects by labels or annotations that the object does not "
        "state in its own file, so that only a build tells whether it is for it"
    )


def _deletes(patch: Patch, path: Path, name: str) -> bool:
    """Whether a strategic-merge patch takes a container away, alone or with its whole list."""
    entries = patch.node.sequence(*path[:-1])
    for entry in entries:
        told = entry.text("$patch")
        if told == "delete" and entry.text("name") == name:
            return True
        if told == "replace" and entry.text("name") is None:
            return all(other.text("name") != name for other in entries)
    return False


def _patched(patch: Patch, path: Path, name: str) -> Address | None:
    """Where a strategic-merge patch states a container's resources; None where it does not."""
    for index, entry in enumerate(patch.node.sequence(*path[:-1])):
        if entry.text("name") == name and entry.at("resources") is not None:
            return patch.address.below(*path[:-1], index, "resources")
    return None


def _within(patch: Patch, address: Address) -> Path:
    """The path from a patch's own node to an address below it."""
    return address.full_path()[len(patch.address.full_path()) :]


def _operate(found: Decision, file: str, value: Address, operation: Node, wanted: Path) -> None:
    """One JSON 6902 operation on the resources at `wanted`, or on what is around or in them."""
    kind, target = operation.text("op"), _pointer(operation.text("path") or "")
    around = tuple(map(str, wanted))
    if kind == "test" or not (target[: len(around)] == around or around[: len(target)] == target):
        return
    node = operation.at("value")
    if kind not in ("add", "replace") or node is None:
        found.doubt(f"the JSON patch in {file} takes {'/'.join(target)} away")
        return
    rule = f"set by the patch in {file}"
    if len(target) < len(around):
        found.doubt(f"the JSON patch in {file} replaces {'/'.join(target) or 'the object'}")
    elif len(target) == len(around):
        found.owners.clear()
        found.take(file, value, node, rule)
    else:
        _part(found, file, value, node, target[len(around) :])


def _part(found: Decision, file: str, value: Address, node: Node, rest: tuple[str, ...]) -> None:
    """An operation that sets requests, limits or one amount of them."""
    for row in ROWS:
        keys = tuple(map(str, row.path))
        if keys[: len(rest)] != rest:
            continue
        found.owners.pop(row.field, None)
        text = node.text(*keys[len(rest) :])
        if text is not None:
            address = value.below(*keys[len(rest) :])
            found.owners[row.field] = Leaf(row.field, file, address, text)
            found.rule = f"set by the patch in {file}"
    found.layered = True


def _pointer(text: str) -> tuple[str, ...]:
    """A JSON pointer as keys."""
    keys = text.split("/")[1:]
    return tuple(key.replace("~1", "/").replace("~0", "~") for key in keys)
