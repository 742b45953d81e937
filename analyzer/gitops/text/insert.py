"""New entries of a mapping, in the style of what stands around them."""

from __future__ import annotations

import json
from dataclasses import dataclass

from analyzer.gitops.text.address import dotted
from analyzer.gitops.text.lines import (
    column,
    entry_end,
    last_leaf,
    line_end,
    line_start,
    newline_of,
    splice,
)
from analyzer.gitops.text.refusal import EditRefusedError
from analyzer.gitops.text.tree import Node, Path, scalar_span, walk

_DEFAULT_STEP = 2
_ORDER = {"requests": "limits", "cpu": "memory"}
"""Keys that belong in front of another one, as people write them."""


def insert(text: str, root: Node, path: Path, missing: Path, value: str) -> str:
    """`text` with the keys of `missing` added below the mapping at `path`, the last saying `value`.

    Raises `EditRefusedError` where there is no mapping to add them to.
    """
    return _Insertion(text, root, path, missing, value).made()


@dataclass(frozen=True, slots=True)
class _Insertion:
    """One entry to come, and where."""

    text: str
    root: Node
    path: Path
    missing: Path
    value: str

    def made(self) -> str:
        parent = self._node(self.path)
        if parent.is_null:
            where = dotted(self.path)
            raise EditRefusedError(f"{where} is null, which may be there to undo a default")
        if parent.kind != "mapping" or any(isinstance(key, int) for key in self.missing):
            raise EditRefusedError(
                f"expected a mapping at {dotted(self.path)}, found a {parent.kind}"
            )
        if parent.flow and not parent.entries and self._may_open():
            return self._opened(parent)
        return self._into_flow(parent) if parent.flow else self._into_block(parent)

    def _node(self, path: Path) -> Node:
        node = self.root.at(*path)
        if node is None:
            raise EditRefusedError(f"expected a mapping at {dotted(path)}, found nothing there")
        return node

    def _may_open(self) -> bool:
        """Whether an empty ``{}`` may become a block: only where its parent is one."""
        return bool(self.path) and not self._node(self.path[:-1]).flow

    # --- braces ---

    def _into_flow(self, parent: Node) -> str:
        quoted = _is_json(self.root)
        keys = [json.dumps(key) if quoted else str(key) for key in self.missing]
        body = json.dumps(self.value) if quoted else self.value
        pad = self._pad(parent)
        for key in reversed(keys[1:]):
            body = f"{{{pad}{key}: {body}{pad}}}"
        entry = f"{keys[0]}: {body}"
        if parent.entries:
            at = parent.entries[-1][1].end
            return splice(self.text, at, at, f", {entry}")
        return splice(self.text, *scalar_span(self.text, parent), f"{{{pad}{entry}{pad}}}")

    def _pad(self, parent: Node) -> str:
        """What stands inside of braces: as around the place, else as anywhere; else a space."""
        around = [self.root.at(*self.path[:depth]) for depth in range(len(self.path), -1, -1)]
        anywhere = (node for _, node in walk(self.root))
        for node in (parent, *around, *anywhere):
            if node is not None and node.kind == "mapping" and node.flow and node.entries:
                return "" if self.text[node.entries[0][0].start - 1] == "{" else " "
        return " "

    def _opened(self, parent: Node) -> str:
        """Turn ``resources: {}`` into a block below its key."""
        start, end = scalar_span(self.text, parent)
        if self.text[start:end].strip("{} \t") or parent.anchor is not None:
            return self._into_flow(parent)
        step = self._step(self.path[:-1])
        key = self._node(self.path[:-1]).pairs(self.path[-1])[0][0]
        block = self._block(column(self.text, key.start) + step, step)
        rest = self.text[end : line_end(self.text, end)]
        keep = len(self.text[:start]) - len(self.text[:start].rstrip(" \t"))
        tail = rest if rest.strip() else ""
        head = self.text[: start - keep]
        if head.endswith("\n"):  # the braces have a line of their own, which the block takes over
            if tail:
                return self._into_flow(parent)
            return head + block + self.text[end + len(rest) :]
        return head + tail.rstrip() + newline_of(self.text) + block + self.text[end + len(rest) :]

    # --- lines ---

    def _into_block(self, parent: Node) -> str:
        indent = column(self.text, parent.entries[0][0].start)
        block = self._block(indent, self._step(self.path))
        newline = newline_of(self.text)
        before = self._successor(parent)
        if before is not None:
            at = line_start(self.text, before.start)
            return splice(self.text, at, at, block + newline)
        last = self._predecessor(parent)
        at = entry_end(self.text, last)
        if at == len(self.text) and not self.text.endswith(("\n", "\r")):
            if last_leaf(last).style in ("|", ">"):
                raise EditRefusedError(
                    "the file ends inside a block scalar without a final newline; adding one "
                    "would change its text"
                )
            return self.text + newline + block
        return splice(self.text, at, at, block + newline)

    def _block(self, indent: int, step: int) -> str:
        heads = [f"{' ' * (indent + level * step)}{key}:" for level, key in enumerate(self.missing)]
        return newline_of(self.text).join([*heads[:-1], f"{heads[-1]} {self.value}"])

    def _step(self, path: Path) -> int:
        """How far this file indents: by the mappings around the place, else 2."""
        columns = []
        for depth in range(len(path), -1, -1):
            node = self.root.at(*path[:depth])
            if node is not None and node.kind == "mapping" and node.entries and not node.flow:
                columns.append(column(self.text, node.entries[0][0].start))
            if len(columns) == 2:
                break
        step = columns[0] - columns[1] if len(columns) == 2 else 0
        return step if 1 <= step <= 8 and not isinstance(path[-1], int) else _DEFAULT_STEP

    def _successor(self, parent: Node) -> Node | None:
        """The key in front of which the new one belongs (requests before limits).

        None where a comment stands directly above that key, since it would then seem to be
        about the new one, or where that key shares its line with something else.
        """
        follower = _ORDER.get(str(self.missing[0]))
        pairs = parent.pairs(follower) if follower else []
        if not pairs:
            return None
        start = line_start(self.text, pairs[0][0].start)
        above = self.text[line_start(self.text, max(start - 1, 0)) : start].strip()
        alone = not self.text[start : pairs[0][0].start].strip()
        return pairs[0][0] if alone and not above.startswith("#") else None

    def _predecessor(self, parent: Node) -> Node:
        """The entry after which a new one goes: where the file's other mappings have theirs."""
        for habit in _habits(self.root, str(self.missing[0])):
            pairs = parent.pairs(habit)
            if pairs:
                return pairs[0][1]
        return parent.entries[-1][1]


def _habits(root: Node, new: str) -> list[str]:
    """The keys after which this document's containers put `new`, most frequent first."""
    counts: dict[str, int] = {}
    for _, node in walk(root):
        if node.kind == "mapping" and not node.flow:
            keys = [key.value for key, _ in node.entries]
            if new in keys[1:] and ("image" in keys or "name" in keys):
                habit = keys[keys.index(new) - 1]
                counts[habit] = counts.get(habit, 0) + 1
    return sorted(counts, key=lambda key: (-counts[key], key))


def _is_json(root: Node) -> bool:
    """Whether a document is JSON, whose keys and texts stand in double quotes."""
    return root.flow and bool(root.entries) and all(key.style == '"' for key, _ in root.entries)
