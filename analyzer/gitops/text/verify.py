"""The proof on the text: exactly the intended leaves changed, and no other character.

This module never sees how an edit was made. It looks at the text before and after and holds three
independent views against each other: what the leaves say, read from parse events alone; the
characters, once the intended leaves are taken out of both; and the parsed documents with their
markers, anchors, tags and styles. Each view alone has passed an editor that was broken; together
they leave no room.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import yaml

from analyzer.gitops.text.address import Address, dotted
from analyzer.gitops.text.edit import Assignment
from analyzer.gitops.text.spelling import Value, read_memory, says, spell
from analyzer.gitops.text.tree import Document, Key, Node, Path, YamlError, parse, scalar_span, walk
from analyzer.gitops.text.witness import said
from analyzer.quantity import Memory


@dataclass(frozen=True, slots=True)
class TextProof:
    """What the comparison of before and after found; `problem` is None when all is as meant."""

    changed: tuple[Address, ...]
    problem: str | None = None

    @property
    def holds(self) -> bool:
        return self.problem is None


def prove_text(before: str, after: str, wanted: Sequence[Assignment]) -> TextProof:
    """Compare `before` with `after`: whether they differ in what was `wanted` and nothing else."""
    leaves = [address for address, _ in wanted]
    try:
        old, new = said(before, leaves), said(after, leaves)
        problem = (
            _wrong_value(old, new, wanted)
            or _other_leaves(before, after, leaves)
            or _other_characters(before, after, leaves)
        )
    except (YamlError, yaml.YAMLError) as err:
        return TextProof((), f"the text does not parse: {' '.join(str(err).split())[:200]}")
    changed = tuple(leaf for leaf in leaves if old.get(leaf) != new.get(leaf))
    return TextProof(changed, problem)


def _wrong_value(
    before: dict[Address, str], after: dict[Address, str], wanted: Sequence[Assignment]
) -> str | None:
    """The intended leaves say what was asked for, in the spelling the old text calls for."""
    for address, value in wanted:
        old, new, where = before.get(address), after.get(address), _end(address)
        if value is None:
            if new is not None:
                return f"{where} should be gone and states {new}"
        elif not _states(new, value, old):
            return f"{where} should state {value} and states {new}"
        elif old is not None and says(old, value) and old != new:
            return f"{where} was {old} already and was rewritten as {new}"
    return None


def _end(address: Address) -> str:
    return dotted(address.full_path()[-2:])


def _states(text: str | None, value: Value, like: str | None) -> bool:
    """Whether `text` is `value`, exactly or in the rounded-up spelling of a decimal unit."""
    if text is None or says(text, value):
        return text is not None
    read = read_memory(text)
    if not isinstance(value, Memory) or read is None or read < value:
        return False
    return text == spell(value, like if like is not None else "1M")


# --- the parsed view --------------------------------------------------------------------------

Signature = tuple[object, ...]
_UNASKED = "entries came or went that were not asked for"


def _other_leaves(before: str, after: str, leaves: Sequence[Address]) -> str | None:
    old, new = parse(before), parse(after)
    if len(old) != len(new):
        return f"the file had {len(old)} documents and has {len(new)}"
    for number, (left, right) in enumerate(zip(old, new, strict=True)):
        if _markers(left) != _markers(right):
            return f"a marker of document {number} changed"
        aimed = [leaf for leaf in leaves if leaf.document == number]
        difference = _different(left.root, right.root, aimed)
        if difference:
            return f"document {number}: {difference}"
    return None


def _markers(document: Document) -> tuple[bool, bool]:
    return document.explicit_start, document.explicit_end


def _different(left: Node, right: Node, leaves: Sequence[Address]) -> str | None:
    """The first path at which two trees differ without being allowed to."""
    own = {leaf.path for leaf in leaves if leaf.inner is None}
    above = {path[:length] for path in own for length in range(len(path))}
    old, new = _signatures(left, own, above), _signatures(right, own, above)
    if old == new:
        return None
    if len(old) != len(new):
        return _first_apart(old, new)
    inner = _by_scalar(leaves)
    for (path, one), (other_path, other) in zip(old, new, strict=True):
        if (path, one) == (other_path, other):
            continue
        if path != other_path or path not in inner or one[:-1] != other[:-1]:
            return f"{dotted(path)} changed, which was not asked for"
        below = _other_leaves(str(one[-1]), str(other[-1]), inner[path])
        if below:
            return below
    return None


def _first_apart(
    old: Sequence[tuple[Path, Signature]], new: Sequence[tuple[Path, Signature]]
) -> str:
    for one, other in zip(old, new, strict=False):
        if one != other:
            return f"{dotted(one[0])} changed, which was not asked for"
    return _UNASKED


def _by_scalar(leaves: Iterable[Address]) -> dict[Path, list[Address]]:
    """The leaves inside of block scalars, by the path of the scalar in its document."""
    found: dict[Path, list[Address]] = {}
    for leaf in leaves:
        if leaf.inner is not None:
            found.setdefault(leaf.path, []).append(leaf.inner)
    return found


def _signatures(root: Node, leaves: set[Path], above: set[Path]) -> list[tuple[Path, Signature]]:
    """Everything a reader could tell about the tree, the intended leaves left out.

    A mapping on the way to one counts by its other entries alone, so that it may be new, empty or
    gone without being a difference of its own.
    """
    found: list[tuple[Path, Signature]] = []
    for path, node in walk(root):
        if path in leaves or (path in above and node.kind == "mapping"):
            found += _beside(path, node, leaves | above) if path in above else []
            continue
        if node.kind == "scalar":
            found.append((path, (node.kind, node.anchor, node.tag, node.style, node.value)))
        elif node.kind == "alias":
            target = node.resolved
            found.append((path, (node.kind, target.anchor, target.value)))
        else:
            keys = _keys(path, node, leaves | above)
            found.append((path, (node.kind, node.anchor, node.tag, node.flow, keys)))
    return found


def _beside(path: Path, node: Node, passed: set[Path]) -> list[tuple[Path, Signature]]:
    """A mapping on the way by its other entries; nothing where it has no other."""
    keys = _keys(path, node, passed)
    return [(path, ("mapping", keys))] if keys else []


def _keys(path: Path, node: Node, passed: set[Path]) -> Signature:
    return tuple(
        (key.kind, key.value, key.style, key.anchor, key.tag)
        for key, _ in node.entries
        if (*path, key.name or "") not in passed
    )


# --- the characters ---------------------------------------------------------------------------

Cut = tuple[int, int, str]
_HOLE = "\0"


def _other_characters(before: str, after: str, leaves: Sequence[Address]) -> str | None:
    cuts_old: list[Cut] = []
    cuts_new: list[Cut] = []
    for number in sorted({leaf.document for leaf in leaves}):
        aimed = [leaf for leaf in leaves if leaf.document == number]
        old, new = _Chain(before, number), _Chain(after, number)
        own = [leaf.path for leaf in aimed if leaf.inner is None]
        _cut_leaves(old, new, own, cuts_old, cuts_new)
        for path, inner in _by_scalar(aimed).items():
            problem = _other_characters_inside(old, new, path, inner)
            if problem:
                return problem
            cuts_old.append(old.scalar(path))
            cuts_new.append(new.scalar(path))
    left, right = _without(before, cuts_old), _without(after, cuts_new)
    if left == right:
        return None
    at = next(
        (i for i, (a, b) in enumerate(zip(left, right, strict=False)) if a != b),
        min(len(left), len(right)),
    )
    line = left.count("\n", 0, at) + 1
    return f"characters besides the intended values changed, first near line {line}"


def _other_characters_inside(
    old: _Chain, new: _Chain, path: Path, leaves: Sequence[Address]
) -> str | None:
    sides = [side.bare_lines(path) for side in (old, new)]
    if None in sides:
        return f"{dotted(path)} is no block scalar"
    (head, lines), (new_head, new_lines) = (side for side in sides if side is not None)
    if head != new_head:
        return "the block scalar's header or indentation changed"
    return _other_characters(lines, new_lines, leaves)


def _cut_leaves(
    old: _Chain, new: _Chain, leaves: Sequence[Path], cuts_old: list[Cut], cuts_new: list[Cut]
) -> None:
    """Take down what may differ between two texts: equal without it for a clean edit."""
    settled: set[Path] = set()
    for leaf in leaves:
        for length in range(1, len(leaf) + 1):
            path = leaf[:length]
            if path in settled:
                break
            left, right = old.entry(path), new.entry(path)
            if left is None and right is None:
                break
            if left is None or right is None or left.empty != right.empty or path == leaf:
                settled.add(path)
                if left is not None:
                    cuts_old.append(old.cut(left, right))
                if right is not None:
                    cuts_new.append(new.cut(right, left))
                break


def _without(text: str, cuts: Iterable[Cut]) -> str:
    for start, end, hole in sorted(cuts, reverse=True):
        text = text[:start] + hole + text[end:]
    return text


@dataclass(frozen=True, slots=True)
class _Entry:
    """An entry on the way to a leaf: its key, its value, and the mapping around both."""

    parent: Node
    key: Node
    value: Node

    @property
    def empty(self) -> bool:
        return self.value.kind == "mapping" and not self.value.entries


def _step(node: Node, key: Key) -> _Entry | None:
    if node.kind == "sequence" and isinstance(key, int) and key < len(node.items):
        item = node.items[key]
        return _Entry(item, item, item)
    pairs = node.pairs(key) if node.kind == "mapping" else []
    return _Entry(node, *pairs[-1]) if pairs else None


class _Chain:
    """The entries of one document on the way to the intended leaves, and how to cut them out."""

    def __init__(self, text: str, document: int) -> None:
        self._text = text
        self._root = parse(text)[document].root
        self._known: dict[Path, _Entry | None] = {}

    def entry(self, path: Path) -> _Entry | None:
        """The entry at `path` as the last step of plain mappings and lists; None without it."""
        if path not in self._known:
            if len(path) == 1:
                self._known[path] = _step(self._root, path[0])
            else:
                above = self.entry(path[:-1])
                self._known[path] = None if above is None else _step(above.value, path[-1])
        return self._known[path]

    def scalar(self, path: Path) -> Cut:
        """The scalar at `path` as a whole."""
        node = self._root.at(*path)
        return (0, 0, "") if node is None else (*scalar_span(self._text, node), _HOLE)

    def bare_lines(self, path: Path) -> tuple[tuple[str, int], str] | None:
        """A literal block scalar: its header and depth, and its lines without that; else None."""
        node = self._root.at(*path)
        if node is None or node.kind != "scalar" or node.style != "|":
            return None
        start, end = scalar_span(self._text, node)
        head, newline, body = self._text[start:end].partition("\n")
        read = next((line for line in node.value.split("\n") if line.strip()), "")
        own = next((line for line in body.split("\n") if line.strip()), "").rstrip("\r")
        depth = len(own) - len(read.rstrip("\r"))
        lines = (line[depth:] if line.strip() else line for line in body.split("\n"))
        return (head + newline, depth), "\n".join(lines)

    def cut(self, own: _Entry, other: _Entry | None) -> Cut:
        """What to take out of this text for `own`, given what the other text has in its place."""
        if other is None:
            return self._flow_entry(own) if own.parent.flow else self._lines(own)
        if own.value.kind == "scalar":
            start, end = scalar_span(self._text, own.value)
            quote = own.value.style or ""
            return start, end, f"{quote}{_HOLE}{quote}"
        if own.parent.flow or (own.value.flow and other.value.flow):
            return (*scalar_span(self._text, own.value), _HOLE)
        return self._body(own)

    def _lines(self, own: _Entry) -> Cut:
        """Whole lines, from the key to the last value below it; a comment in there is kept."""
        start = self._text.rfind("\n", 0, own.key.start) + 1
        stop = self._text.find("\n", own.value.end)
        end = len(self._text) if stop < 0 else stop + 1
        if stop < 0 and start:
            start -= 2 if self._text[:start].endswith("\r\n") else 1
        kept = self._text[start : own.key.start].strip() + _comments(self._text[start:end])
        return start, end, kept

    def _flow_entry(self, own: _Entry) -> Cut:
        position = next(i for i, (key, _) in enumerate(own.parent.entries) if key is own.key)
        if position:
            return own.parent.entries[position - 1][1].end, own.value.end, ""
        following = own.parent.entries[1:2]
        return own.key.start, following[0][0].start if following else own.value.end, ""

    def _body(self, own: _Entry) -> Cut:
        """All after the key's colon, the comment on that line excepted."""
        colon = self._text.index(":", own.key.end)
        stop = self._text.find("\n", own.value.end)
        end = len(self._text) if stop < 0 else stop
        return colon + 1, end, _HOLE + _comments(self._text[colon + 1 : end])


def _comments(lines: str) -> str:
    """The comments among lines that hold nothing but keys and quantities."""
    found = (line.partition("#") for line in lines.splitlines())
    return "".join(f"#{comment.rstrip()}" for _, mark, comment in found if mark)
