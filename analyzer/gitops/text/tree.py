"""YAML as a tree that knows where every node stands in the text.

Built from parse events, because loaders lose what an editor must keep: positions, quotes, anchors,
duplicate keys. Nothing is ever expanded: an alias is a node that points at its target, so a file
of nested aliases costs what its text costs. Offsets count characters of the decoded text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Literal

import yaml

from analyzer.errors import GitOpsError

Key = str | int
Path = tuple[Key, ...]
Kind = Literal["scalar", "mapping", "sequence", "alias"]

MAX_DEPTH = 200
_BOM = "\ufeff"
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_TRUE = frozenset({"true", "True", "TRUE"})
_FALSE = frozenset({"false", "False", "FALSE"})
_INTEGER = re.compile(r"-?(0|[1-9]\d*)", re.ASCII)
_PROPERTIES = re.compile(r"(?:[&!]\S*\s+)+")

# libyaml where PyYAML was built with it, as its wheels are; the same events, fifty times slower,
# where it was not.
# The stubs of PyYAML leave out what its events carry.
_Event = Any
_Parser = getattr(yaml, "CLoader", yaml.Loader)


class YamlError(GitOpsError):
    """A text is not YAML that can be read, or is nested beyond what any manifest needs."""


class Node:
    """One node of a document: where it stands, and what is below it.

    `start` and `end` are offsets into the text. For block collections `end` is the end of the
    last thing inside, not the start of whatever follows. `shared` says that an alias elsewhere
    in the document points here, so that changing this node changes two places.
    """

    __slots__ = (
        "anchor",
        "end",
        "entries",
        "flow",
        "items",
        "kind",
        "shared",
        "start",
        "style",
        "tag",
        "target",
        "value",
    )

    def __init__(self, kind: Kind, start: int, end: int) -> None:
        self.kind: Kind = kind
        self.start = start
        self.end = end
        self.anchor: str | None = None
        self.tag: str | None = None
        self.style: str | None = None
        self.flow = False
        self.shared = False
        self.value = ""
        self.entries: list[tuple[Node, Node]] = []
        self.items: list[Node] = []
        self.target: Node | None = None

    def __repr__(self) -> str:
        return f"Node({self.kind}, {self.start}:{self.end}, {self.value!r})"

    @property
    def resolved(self) -> Node:
        """The node itself, or what it points at when it is an alias."""
        return self.target if self.target is not None else self

    @property
    def name(self) -> str | None:
        """What a key is called, also where it is an alias; None where it is no scalar."""
        found = self.resolved
        return found.value if found.kind == "scalar" else None

    @property
    def is_null(self) -> bool:
        """Whether this is YAML's null, written or left out."""
        return self.kind == "scalar" and self.style is None and self.value in _NULLS

    @property
    def is_merge(self) -> bool:
        """Whether this is the key ``<<``, which copies another mapping's entries."""
        return self.kind == "scalar" and self.style is None and self.value == "<<"

    def pairs(self, key: Key) -> list[tuple[Node, Node]]:
        """Every own entry under `key`: none, one, or more where the file repeats it."""
        return [
            pair
            for pair in self.entries
            # Every step of every path comes here; few keys have even the characters.
            if pair[0].resolved.value == key and pair[0].name == key and not pair[0].is_merge
        ]

    def child(self, key: Key) -> Node | None:
        """What a reader finds under `key`, through aliases and merge keys; None without it.

        Of repeated keys the last counts, as it does for the loaders in use.
        """
        node = self.resolved
        if node.kind == "sequence":
            if not isinstance(key, int) or not 0 <= key < len(node.items):
                return None
            return node.items[key].resolved
        if node.kind != "mapping":
            return None
        for layer in node.layers():
            own = layer.pairs(key)
            if own:
                return own[-1][1].resolved
        return None

    def layers(self) -> Iterator[Node]:
        """The mapping itself, then those that ``<<`` copies in, nearest first, each one once."""
        stack, seen = [self.resolved], set()
        while stack:
            layer = stack.pop()
            if id(layer) in seen:
                continue
            seen.add(id(layer))
            yield layer
            for source in reversed(
                [value.resolved for key, value in layer.entries if key.is_merge]
            ):
                stack.extend(item.resolved for item in reversed(source.items or [source]))

    def at(self, *path: Key) -> Node | None:
        """What a reader finds at the end of `path`; None where it breaks off."""
        node: Node | None = self.resolved
        for key in path:
            if node is None:
                return None
            node = node.child(key)
        return node

    def text(self, *path: Key) -> str | None:
        """The scalar at `path` as written, without quotes; None where there is none."""
        node = self.at(*path)
        return (
            node.value if node is not None and node.kind == "scalar" and not node.is_null else None
        )

    def flag(self, *path: Key) -> bool | None:
        """The boolean at `path`; None where there is none."""
        node = self.at(*path)
        if node is None or node.kind != "scalar" or node.style is not None:
            return None
        return True if node.value in _TRUE else False if node.value in _FALSE else None

    def mapping(self, *path: Key) -> list[tuple[str, Node]]:
        """The entries of the mapping at `path`, merged ones last; empty where there is none."""
        node = self.at(*path)
        if node is None or node.kind != "mapping":
            return []
        found: dict[str, Node] = {}
        for layer in node.layers():
            own = {
                key.resolved.value: value.resolved
                for key, value in layer.entries
                if not key.is_merge
            }
            found = {**found, **{key: value for key, value in own.items() if key not in found}}
        return list(found.items())

    def sequence(self, *path: Key) -> list[Node]:
        """The items of the sequence at `path`; empty where there is none."""
        node = self.at(*path)
        if node is None or node.kind != "sequence":
            return []
        return [item.resolved for item in node.items]


class Document:
    """One document of a stream, and how its markers are written."""

    __slots__ = ("explicit_end", "explicit_start", "root")

    def __init__(self, root: Node, explicit_start: bool, explicit_end: bool) -> None:
        self.root = root
        self.explicit_start = explicit_start
        self.explicit_end = explicit_end


# An edit and its proof read the same text several times in a row; trees are never changed.
@lru_cache(maxsize=4)
def parse(text: str) -> tuple[Document, ...]:
    """Read every document of a stream. Raises `YamlError` where the text is not YAML."""
    offset = len(_BOM) if text.startswith(_BOM) else 0
    builder = _Builder(offset)
    # Loader instances, not yaml.load: only the events are asked for, nothing is constructed.
    parser = None
    try:
        parser = _Parser(text[offset:])
        while parser.check_event():
            builder.take(parser.get_event())
    except (yaml.YAMLError, UnicodeEncodeError) as err:
        first_line = " ".join(str(err).split())[:200]
        raise YamlError(f"expected YAML, found text that does not parse: {first_line}") from err
    finally:
        if parser is not None:
            parser.dispose()
    return tuple(builder.documents)


class _Builder:
    """Turns parse events into documents, keeping its own stack so that depth costs no recursion."""

    def __init__(self, offset: int) -> None:
        self.documents: list[Document] = []
        self._offset = offset
        self._stack: list[Node] = []
        self._keys: list[Node | None] = []
        self._anchors: dict[str, Node] = {}
        self._root: Node | None = None
        self._explicit_start = False

    def take(self, event: _Event) -> None:
        kind = type(event)
        if kind is yaml.ScalarEvent:
            self._place(self._scalar(event))
        elif kind is yaml.MappingStartEvent:
            self._open("mapping", event)
        elif kind is yaml.SequenceStartEvent:
            self._open("sequence", event)
        elif kind in (yaml.MappingEndEvent, yaml.SequenceEndEvent):
            self._close(event)
        elif kind is yaml.AliasEvent:
            self._place(self._alias(event))
        elif kind is yaml.DocumentStartEvent:
            self._anchors, self._root = {}, None
            self._explicit_start = bool(event.explicit)
        elif kind is yaml.DocumentEndEvent:
            root = self._root if self._root is not None else Node("scalar", 0, 0)
            self.documents.append(Document(root, self._explicit_start, bool(event.explicit)))

    def _new(self, kind: Kind, event: _Event) -> Node:
        start = event.start_mark.index + self._offset
        node = Node(kind, start, event.end_mark.index + self._offset)
        node.tag = getattr(event, "tag", None)
        anchor = getattr(event, "anchor", None)
        if anchor is not None and kind != "alias":
            node.anchor = anchor
            self._anchors[anchor] = node
        return node

    def _scalar(self, event: _Event) -> Node:
        node = self._new("scalar", event)
        node.value = event.value
        # libyaml calls a plain scalar "" in places where the Python parser says None.
        node.style = event.style or None
        return node

    def _alias(self, event: _Event) -> Node:
        node = self._new("alias", event)
        target = self._anchors.get(event.anchor)
        if target is None:
            raise YamlError(f"expected an anchor for *{event.anchor[:60]}, found none before it")
        if any(parent is target for parent in self._stack):
            raise YamlError(f"expected a tree, found *{event.anchor[:60]} inside its own anchor")
        node.target = target
        target.shared = True
        return node

    def _open(self, kind: Kind, event: _Event) -> None:
        node = self._new(kind, event)
        node.flow = bool(event.flow_style)
        self._place(node)
        if len(self._stack) >= MAX_DEPTH:
            raise YamlError(f"expected a manifest, found nesting deeper than {MAX_DEPTH} levels")
        self._stack.append(node)
        self._keys.append(None)

    def _close(self, event: _Event) -> None:
        node = self._stack.pop()
        self._keys.pop()
        if node.flow:
            node.end = event.end_mark.index + self._offset
        elif node.entries:
            node.end = node.entries[-1][1].end
        elif node.items:
            node.end = node.items[-1].end

    def _place(self, node: Node) -> None:
        if not self._stack:
            self._root = node
            return
        parent = self._stack[-1]
        if parent.kind == "sequence":
            parent.items.append(node)
            return
        key = self._keys[-1]
        if key is None:
            self._keys[-1] = node
        else:
            parent.entries.append((key, node))
            self._keys[-1] = None


def scalar_span(text: str, node: Node) -> tuple[int, int]:
    """Where the scalar's own characters stand, quotes included, anchor and tag excluded."""
    start = node.start
    if node.anchor is not None or text[start : start + 1] in ("!", "&"):
        properties = _PROPERTIES.match(text, start, node.end)
        start = properties.end() if properties else node.end
    return start, node.end


def plain(node: Node, budget: int = 20_000) -> object:
    """The node as Python values: dict, list, str, int, bool and None.

    Floats stay text, because quantities are read from them. Aliases are followed, up to `budget`
    nodes in all and `MAX_DEPTH` levels; raises `YamlError` beyond, which is how an alias bomb ends.
    """
    remaining = [budget]

    def convert(found: Node, depth: int) -> object:
        remaining[0] -= 1
        if remaining[0] < 0:
            raise YamlError(f"expected a manifest, found more than {budget} nodes behind aliases")
        if depth > MAX_DEPTH:
            raise YamlError(f"expected a manifest, found more than {MAX_DEPTH} levels of aliases")
        found = found.resolved
        if found.kind == "mapping":
            return {key: convert(value, depth + 1) for key, value in found.mapping()}
        if found.kind == "sequence":
            return [convert(item, depth + 1) for item in found.items]
        return _scalar_value(found)

    return convert(node, 0)


def _scalar_value(node: Node) -> object:
    if node.style is not None:
        return node.value
    if node.is_null:
        return None
    if node.value in _TRUE or node.value in _FALSE:
        return node.value in _TRUE
    if _INTEGER.fullmatch(node.value) and len(node.value) < 19:
        return int(node.value)
    return node.value


def walk(node: Node) -> Iterator[tuple[Path, Node]]:
    """Every node below `node` with its path, parents first, aliases not entered.

    Keys that are not scalars are numbered by position; repeated keys give repeated paths.
    """
    stack: list[tuple[Path, Node]] = [((), node)]
    while stack:
        path, current = stack.pop()
        yield path, current
        if current.kind == "mapping":
            stack.extend(
                ((*path, f"?{number}" if key.name is None else key.name), value)
                for number, (key, value) in reversed(list(enumerate(current.entries)))
            )
        elif current.kind == "sequence":
            stack.extend(
                ((*path, number), item) for number, item in reversed(list(enumerate(current.items)))
            )
