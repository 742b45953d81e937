"""Patches added to the list of a kustomization in its style, and the proof of it.

The proof reads both texts with a loader that the rest of this room does not use.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from analyzer.escape import quoting
from analyzer.gitops.text.address import Address, dotted
from analyzer.gitops.text.lines import column, entry_end, last_leaf, newline_of, splice
from analyzer.gitops.text.refusal import EditRefusedError, refuse_file, refuse_merge, refuse_shared
from analyzer.gitops.text.resources import BY_FIELD, Field
from analyzer.gitops.text.tree import Node, Path, YamlError, parse, plain

_STEP = 2
_LITERAL = re.compile(r"[|][-+]?")


@dataclass(frozen=True, slots=True)
class Entry:
    """A strategic-merge patch: which object it is for, and what it says."""

    kind: str
    name: str
    body: Mapping[str, object]

    @property
    def target(self) -> dict[str, str]:
        """What selects the object."""
        return {"kind": self.kind, "name": self.name}


@dataclass(frozen=True, slots=True)
class NewPatch:
    """A patch that is new: the list it goes into, and the object it is for.

    `path` leads to the object's `resources` or, with a `container`, to the list that it is in.
    """

    patches: Address
    version: str
    kind: str
    name: str
    path: tuple[str, ...]
    container: str | None = None
    ahead: tuple[str, ...] = ()
    """The containers before it: kustomize moves those that a patch names to the front."""

    def leaf(self, found: Field) -> Address:
        """A name for where an amount will stand; no text has anything there yet."""
        named = () if self.container is None else (self.container, "resources")
        keys = (*self.path, *named, *BY_FIELD[found].path)
        return self.patches.below(f"{self.kind}/{self.name}", *keys)


def append_patches(text: str, patches: Address, entries: Sequence[Entry]) -> str:
    """`text` with `entries` at the end of the list at `patches`, made where it is not there yet.

    Raises `EditRefusedError` where the list is not written line by line, or is shared.
    """
    refuse_file(text)
    root = _document(text, patches)
    around, missing = _around(root, patches)
    if missing:
        return _new_list(text, root, around, missing, entries)
    found = around
    if found.kind != "sequence" or found.flow or not found.items:
        raise EditRefusedError(
            f"{dotted(patches.path)} is no list written line by line; write it so, with a patch "
            "in it, or take it away"
        )
    last = found.items[-1]
    dash = text.rindex("-", 0, last.start)
    lines = _lines(entries, column(text, dash), _style(text, found))
    return _after(text, last, lines)


def _document(text: str, patches: Address) -> Node:
    documents = parse(text)
    if patches.inner is not None or not 0 <= patches.document < len(documents):
        raise EditRefusedError("the list of patches does not stand in a document of its own")
    return documents[patches.document].root


def _around(root: Node, patches: Address) -> tuple[Node, Path]:
    """The list, or the mapping around the first key on the way to it that is missing; the rest."""
    node = root
    refuse_shared(root, ())
    for depth, key in enumerate(patches.path):
        here = patches.path[: depth + 1]
        if len(node.pairs(key)) > 1:
            raise EditRefusedError(f"{dotted(here)} is written twice; keep one")
        if node.kind == "mapping" and not node.pairs(key):
            refuse_merge(node, here)
        below = node.at(key)
        if below is None:
            if node.kind != "mapping" or node.flow or not node.entries:
                above = dotted(here[:-1]) or "the document"
                raise EditRefusedError(
                    f"{above} is empty or written within brackets; take it away where it is "
                    "empty, else write it line by line"
                )
            return node, patches.path[depth:]
        refuse_shared(below, here)
        node = below
    return node, ()


def _new_list(text: str, root: Node, around: Node, missing: Path, entries: Sequence[Entry]) -> str:
    """`text` with a list at the end of a mapping, and with the keys that lead to it."""
    indent, inset = column(text, around.entries[0][0].start), _list_indent(text, root)
    lead, lines = " " * indent, []
    for key, following in zip(missing, (*missing[1:], None), strict=True):
        if isinstance(key, int):
            continue  # its dash stands before the key that follows
        lines.append(f"{lead}{key}:")
        in_list = isinstance(following, int)
        lead = " " * (indent + inset) + "- " if in_list else " " * (indent + _STEP)
        indent = len(lead) if following is not None else indent
    lines += _lines(entries, indent + inset, _Style())
    return _after(text, around.entries[-1][1], lines)


def _list_indent(text: str, root: Node) -> int:
    """How far this file indents the items of a list below its key: 0 or more."""
    for key, value in _pairs(root):
        if value.kind == "sequence" and not value.flow and value.items:
            dash = text.rindex("-", 0, value.items[0].start)
            return max(column(text, dash) - column(text, key.start), 0)
    return _STEP


def _pairs(node: Node) -> Iterator[tuple[Node, Node]]:
    for key, value in node.entries:
        yield key, value
        yield from _pairs(value)


def _after(text: str, last: Node, lines: Sequence[str]) -> str:
    """`text` with lines below an entry."""
    newline, at = newline_of(text), _past_comments(text, entry_end(text, last))
    block = newline.join(lines)
    if at == len(text) and not text.endswith(("\n", "\r")):
        if last_leaf(last).style in ("|", ">"):
            raise EditRefusedError("the file ends inside a block scalar without a final newline")
        return text + newline + block
    return splice(text, at, at, block + newline)


def _past_comments(text: str, at: int) -> int:
    """Behind the comments that follow directly: entries switched off, say. Those of a key stay."""
    end = at
    for line in text[at:].splitlines(keepends=True):
        bare = line.strip()
        if not bare.startswith("#"):
            return end if not bare or bare in ("---", "...") else at
        end += len(line)
    return end


# --- style ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Style:
    """How the patches of a list are written: what comes first, and how their text begins."""

    target_first: bool = True
    header: str = "|-"


def _style(text: str, patches: Node) -> _Style:
    """As the last of the list that states both an object and a text."""
    for item in reversed(patches.items):
        keys = [key.value for key, _ in item.entries]
        body = item.child("patch")
        if body is None or body.kind != "scalar" or body.style != "|":
            continue
        header = _LITERAL.match(text, text.rindex("|", 0, body.start + 1))
        first = "target" not in keys or keys.index("target") < keys.index("patch")
        return _Style(first, header.group() if header is not None else "|-")
    return _Style()


def _lines(entries: Sequence[Entry], indent: int, style: _Style) -> list[str]:
    found: list[str] = []
    for entry in entries:
        target = ["target:", *(f"  {line}" for line in _yaml(entry.target))]
        patch = [f"patch: {style.header}", *(f"  {line}" for line in _yaml(entry.body))]
        lines = [*target, *patch] if style.target_first else [*patch, *target]
        pad = " " * indent
        found += [f"{pad}{'  ' if number else '- '}{line}" for number, line in enumerate(lines)]
    return found


class _Dumper(yaml.SafeDumper):
    """Writes lists indented below their key."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        """Open a level; a list below a key opens one as well."""
        super().increase_indent(flow, False)

    def ignore_aliases(self, data: object) -> bool:
        """Write everything out."""
        return True


_DUMPER = quoting(_Dumper)


def _yaml(value: object) -> list[str]:
    written: str = yaml.dump(value, Dumper=_DUMPER, sort_keys=False, width=10**6)
    return written.splitlines()


# --- proof ------------------------------------------------------------------------------------


def prove_appended(before: str, after: str, patches: Address, entries: Sequence[Entry]) -> str:
    """What else than `entries` at the end of the list came or went; empty for nothing."""
    try:
        for text in (before, after):
            for document in parse(text):
                plain(document.root)  # refuses what would take forever to compare
        old, new = list(yaml.safe_load_all(before)), list(yaml.safe_load_all(after))
    except (YamlError, yaml.YAMLError, ValueError) as err:
        return f"the text does not parse: {' '.join(str(err).split())[:200]}"
    if not _only_inserted(before, after):
        return "characters besides the new patches changed"
    listed = _take_off(new, patches, len(entries))
    if listed is None or not all(map(_is_entry, listed, entries)):
        return f"the patches at {dotted(patches.path)} do not say what they should"
    return "" if old == new else f"more changed than {dotted(patches.path)}"


def _only_inserted(before: str, after: str) -> bool:
    """Whether one piece was put into `before`, and nothing taken away or replaced."""
    same = 0
    while same < len(before) and same < len(after) and before[same] == after[same]:
        same += 1
    return len(after) > len(before) and after.endswith(before[same:])


def _take_off(documents: list[Any], patches: Address, count: int) -> list[Any] | None:
    """The last entries of the list, taken out of the documents, with what is empty without them."""
    if len(documents) <= patches.document:
        return None
    way = [documents[patches.document]]
    for key in patches.path:
        scope = way[-1]
        is_there = key in scope if isinstance(scope, dict) else isinstance(scope, list) and scope
        way.append(scope[key] if is_there else None)
    listed = way.pop()
    if not isinstance(listed, list) or len(listed) < count:
        return None
    taken = listed[len(listed) - count :]
    del listed[len(listed) - count :]
    below: Any = listed
    for scope, key in zip(reversed(way), reversed(patches.path), strict=True):
        if below:
            break
        del scope[key]
        below = scope
    return taken


def _is_entry(found: object, entry: Entry) -> bool:
    if not isinstance(found, dict) or set(found) != {"target", "patch"}:
        return False
    said = yaml.safe_load(str(found["patch"]))
    return bool(found["target"] == entry.target and said == entry.body)
