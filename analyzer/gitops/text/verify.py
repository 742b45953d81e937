"""The proof on the text: exactly the intended leaves changed, and no other character.

This module never sees how an edit was made. It looks at the text before and after and holds two
independent views against each other: the characters, once the intended leaves are taken out of
both, and the parsed documents with their markers, anchors, tags and styles. Either view alone has
passed an editor that was broken; together they leave no room.
"""

from __future__ import annotations

from dataclasses import dataclass

from analyzer.gitops.text.address import Address, dotted
from analyzer.gitops.text.edit import Amount, Changes, declared
from analyzer.gitops.text.lines import block_lines
from analyzer.gitops.text.spelling import FIELDS, Field, read_cpu, read_memory, spell
from analyzer.gitops.text.tree import Document, Node, Path, YamlError, parse, scalar_span, walk
from analyzer.quantity import Cpu


@dataclass(frozen=True, slots=True)
class TextProof:
    """What the comparison of before and after found; `problem` is None when all is as meant."""

    changed: tuple[Field, ...]
    problem: str | None = None

    @property
    def holds(self) -> bool:
        return self.problem is None

    def __str__(self) -> str:
        if self.problem is not None:
            return self.problem
        fields = ", ".join(self.changed) or "nothing"
        return f"text: {fields} changed, every other character as before"


def prove_text(before: str, after: str, address: Address, changes: Changes) -> TextProof:
    """Compare `before` with `after` and say whether they differ in `changes` and nothing else."""
    try:
        problem = _problem(before, after, address, changes)
        changed = _changed(before, after, address)
    except YamlError as err:
        return TextProof((), f"the text does not parse: {err}")
    return TextProof(changed, problem)


def _changed(before: str, after: str, address: Address) -> tuple[Field, ...]:
    old, new = declared(before, address), declared(after, address)
    return tuple(field for field in FIELDS if old.get(field) != new.get(field))


def _problem(before: str, after: str, address: Address, changes: Changes) -> str | None:
    stated_before, stated_after = declared(before, address), declared(after, address)
    return (
        _wrong_amount(stated_before, stated_after, changes)
        or _other_leaves(before, after, address, changes)
        or _other_characters(before, after, address)
    )


def _wrong_amount(
    before: dict[Field, str], after: dict[Field, str], changes: Changes
) -> str | None:
    """The intended fields state what was asked for, in the spelling the old text calls for."""
    for field in FIELDS:
        old, new = before.get(field), after.get(field)
        if field not in changes:
            if old != new:
                return f"{field} went from {old} to {new}, and nobody asked for that"
            continue
        amount = changes[field]
        if amount is None:
            if new is not None:
                return f"{field} should be gone and states {new}"
        elif not _states(new, amount, old):
            return f"{field} should state {amount} and states {new}"
        elif old is not None and _states(old, amount, None) and old != new:
            return f"{field} was {old} already and was rewritten as {new}"
    return None


def _states(text: str | None, amount: Amount, like: str | None) -> bool:
    """Whether `text` is `amount`, exactly or in the rounded-up spelling of a decimal unit."""
    if text is None:
        return False
    read = read_cpu(text) if isinstance(amount, Cpu) else read_memory(text)
    return read == amount or (
        read is not None and read > amount and text in _spellings(amount, like)
    )


def _spellings(amount: Amount, like: str | None) -> set[str]:
    manners = [like] if like is not None else ["1M"]
    return {spell(amount, manner) for manner in manners}


# --- the parsed view --------------------------------------------------------------------------

Signature = tuple[object, ...]


def _other_leaves(before: str, after: str, address: Address, changes: Changes) -> str | None:
    old, new = parse(before), parse(after)
    if len(old) != len(new):
        return f"the file had {len(old)} documents and has {len(new)}"
    for number, (left, right) in enumerate(zip(old, new, strict=True)):
        if _markers(left) != _markers(right):
            return f"a marker of document {number} changed"
        aim = address if number == address.document else None
        difference = _different(left.root, right.root, aim, changes)
        if difference:
            return f"document {number}: {difference}"
    return None


def _markers(document: Document) -> tuple[bool, bool]:
    return document.explicit_start, document.explicit_end


def _different(left: Node, right: Node, address: Address | None, changes: Changes) -> str | None:
    """The first path at which two trees differ without being allowed to."""
    allowed = _allowed(address, changes)
    old, new = _signatures(left, allowed), _signatures(right, allowed)
    if old == new:
        return None
    if address is not None and address.inner is not None:
        return _different_inside(old, new, address, changes)
    for one, other in zip(old, new, strict=False):
        if one != other:
            return f"{dotted(one[0])} changed, which was not asked for"
    return "entries came or went that were not asked for"


def _different_inside(
    old: list[tuple[Path, Signature]],
    new: list[tuple[Path, Signature]],
    address: Address,
    changes: Changes,
) -> str | None:
    """As above, one level in: the only node that may differ is the block scalar itself."""
    if len(old) != len(new) or address.inner is None:
        return "entries came or went that were not asked for"
    for (path, one), (_, other) in zip(old, new, strict=True):
        if one == other:
            continue
        if path != address.path:
            return f"{dotted(path)} changed, which was not asked for"
        return _other_leaves(str(one[-1]), str(other[-1]), address.inner, changes)
    return None


def _allowed(address: Address | None, changes: Changes) -> tuple[Path, set[Path]]:
    """The `resources` path, and the leaves and their parents that may come, go or change."""
    if address is None or address.inner is not None:
        return (), set()
    leaves = {(*address.path, *field.split(".")) for field in changes}
    above = {leaf[:length] for leaf in leaves for length in range(len(leaf))}
    return address.path, leaves | above


def _signatures(root: Node, allowed: tuple[Path, set[Path]]) -> list[tuple[Path, Signature]]:
    """Everything a reader could tell about the tree, the allowed leaves left out.

    A mapping on the way to an allowed leaf counts by its other entries alone, so that it may be
    new, empty or gone without being a difference of its own.
    """
    resources, paths = allowed
    found: list[tuple[Path, Signature]] = []
    for path, node in walk(root):
        if path in paths and (len(path) >= len(resources) or node.kind == "mapping"):
            continue
        if node.kind == "scalar":
            found.append((path, (node.kind, node.anchor, node.tag, node.style, node.value)))
        elif node.kind == "alias":
            target = node.resolved
            found.append((path, (node.kind, target.anchor, target.value)))
        else:
            keys = tuple(
                (key.kind, key.value, key.style, key.anchor, key.tag)
                for key, _ in node.entries
                if (*path, key.value) not in paths
            )
            found.append((path, (node.kind, node.anchor, node.tag, node.flow, keys)))
    return found


# --- the characters ---------------------------------------------------------------------------


def _other_characters(before: str, after: str, address: Address) -> str | None:
    if address.inner is not None:
        return _other_characters_inside(before, after, address)
    old, new = _without_leaves(before, after, address)
    if old == new:
        return None
    at = next(
        (i for i, (a, b) in enumerate(zip(old, new, strict=False)) if a != b),
        min(len(old), len(new)),
    )
    line = old.count("\n", 0, at) + 1
    return f"characters besides the intended values changed, first near line {line}"


def _other_characters_inside(before: str, after: str, address: Address) -> str | None:
    spans = []
    for text in (before, after):
        node = parse(text)[address.document].root.at(*address.path)
        if node is None or node.kind != "scalar":
            return f"{dotted(address.path)} is no block scalar"
        spans.append(scalar_span(text, node))
    (start, end), (new_start, new_end) = spans
    if before[:start] != after[:new_start] or before[end:] != after[new_end:]:
        return "characters outside the block scalar changed"
    old_header, old_indent, old_lines = block_lines(before, start, end)
    header, indent, lines = block_lines(after, new_start, new_end)
    if (old_header, old_indent) != (header, indent) or address.inner is None:
        return "the block scalar's header or indentation changed"
    return _other_characters("".join(old_lines), "".join(lines), address.inner)


Cut = tuple[int, int, str]
_HOLE = "\0"


def _without_leaves(before: str, after: str, address: Address) -> tuple[str, str]:
    """Both texts with what may differ between them taken out: equal for a clean edit."""
    old = _Chain(before, parse(before)[address.document].root)
    new = _Chain(after, parse(after)[address.document].root)
    cuts_old: list[Cut] = []
    cuts_new: list[Cut] = []
    leaves = [(*address.path, *field.split(".")) for field in FIELDS]
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
    return old.without(cuts_old), new.without(cuts_new)


@dataclass(frozen=True, slots=True)
class _Entry:
    """An entry on the way to a leaf: its key, its value, and the mapping around both."""

    parent: Node
    key: Node
    value: Node

    @property
    def empty(self) -> bool:
        return self.value.kind == "mapping" and not self.value.entries


class _Chain:
    """The entries of one text on the way to the intended leaves, and how to cut them out."""

    def __init__(self, text: str, root: Node) -> None:
        self._text = text
        self._root = root

    def entry(self, path: Path) -> _Entry | None:
        """The entry at `path` as the last step of plain mappings and lists; None without it."""
        node = self._root
        found: _Entry | None = None
        for key in path:
            found = None
            if node.kind == "sequence" and isinstance(key, int) and key < len(node.items):
                node = node.items[key]
                found = _Entry(node, node, node)
            elif node.kind == "mapping" and node.pairs(key):
                name, value = node.pairs(key)[-1]
                found = _Entry(node, name, value)
                node = value
            else:
                return None
        return found

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

    def without(self, cuts: list[Cut]) -> str:
        text = self._text
        for start, end, hole in sorted(cuts, reverse=True):
            text = text[:start] + hole + text[end:]
        return text


def _comments(lines: str) -> str:
    """The comments among lines that hold nothing but keys and quantities."""
    found = (line.partition("#") for line in lines.splitlines())
    return "".join(f"#{comment.rstrip()}" for _, mark, comment in found if mark)
