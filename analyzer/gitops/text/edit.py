"""Write values into a text, and change nothing else in it.

Every function is pure: text in, text out. Each place is found by parse events, the change is
spliced into the original characters, so comments, quotes, anchors elsewhere, line endings and
odd spacing survive. What cannot be changed safely is refused with the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from analyzer.gitops.text.address import Address, dotted
from analyzer.gitops.text.excerpt import in_excerpt, parts
from analyzer.gitops.text.insert import insert
from analyzer.gitops.text.lines import (
    block_lines,
    entry_end,
    line_end,
    line_start,
    newline_of,
    splice,
)
from analyzer.gitops.text.refusal import EditRefusedError, refuse_file, refuse_merge, refuse_shared
from analyzer.gitops.text.spelling import Value, is_plain, says, spell
from analyzer.gitops.text.tree import Key, Node, Path, YamlError, parse, scalar_span

Assignment = tuple[Address, Value | None]
"""The address of a leaf, and what it is to say; None removes it."""


def set_values(
    text: str, wanted: Sequence[Assignment], exact: frozenset[Address] = frozenset()
) -> str:
    """`text` with each leaf saying what is wanted of it, all else character for character.

    A leaf that says it already is left as written, one that is not there is inserted with what is
    missing above it, in the file's own indentation and order. One that maps to None is removed
    with what it leaves empty above it; the mapping two levels up stays, as ``{}``. A leaf in
    `exact` is not rounded up to the unit that stood there before.
    Raises `EditRefusedError` with the reason where the change would not be safe, and `YamlError`
    where the text is not YAML.
    """
    refuse_file(text)
    found = list(parts(text))
    by_document: dict[int, list[Assignment]] = {}
    for address, value in wanted:
        by_document.setdefault(address.document, []).append((address, value))
    if not found or not all(0 <= document < len(found) for document in by_document):
        return _set_all(text, wanted, exact)
    for document, own in by_document.items():
        kept = frozenset(in_excerpt(address) for address, _ in own if address in exact)
        inside = [(in_excerpt(address), value) for address, value in own]
        found[document] = _set_all(found[document], inside, kept)
    return "".join(found)


def _set_all(text: str, wanted: Sequence[Assignment], exact: frozenset[Address]) -> str:
    """What stands there already in one go, the rest one after the other on the text so far."""
    own = [(address, value) for address, value in wanted if address.inner is None]
    cuts: list[tuple[int, int, str]] = []
    rest: list[Assignment] = []
    for address, value in own:
        node, missing = _walk(text, address)
        if missing or value is None:
            rest.append((address, value))
        else:
            cuts += _replacement(text, node, address, value, address in exact)
    for start, end, written in sorted(cuts, reverse=True):
        text = splice(text, start, end, written)
    for address, value in rest:
        text = _set_one(text, address, value, address in exact)
    for outer, inside in _inner(wanted).items():
        text = _set_inside(text, outer, inside, exact)
    return text


def _set_one(text: str, address: Address, value: Value | None, exact: bool) -> str:
    missing = _walk(text, address)[1]
    if value is None:
        return text if missing else _remove(text, address)
    root = _root(text, address)
    spelled = spell(value, None if exact else _manner(root, address.path, value))
    here = address.path[: len(address.path) - len(missing)]
    return _stands(insert(text, root, here, missing, spelled), address, spelled)


def _stands(text: str, address: Address, spelled: str) -> str:
    """`text` where it says at `address` now what was written there.

    Rare ways of writing a mapping (keys after a question mark) take no new entry where one is
    usually put.
    """
    try:
        node, missing = _walk(text, address)
        found = not missing and node.kind == "scalar" and node.value == spelled
    except YamlError:
        found = False
    if not found:
        raise EditRefusedError(
            f"{dotted(address.path)} cannot be added in the way in which this file is written"
        )
    return text


# --- finding the node, refusing what is shared or ambiguous -----------------------------------


def _root(text: str, address: Address) -> Node:
    documents = parse(text)
    if not 0 <= address.document < len(documents):
        raise EditRefusedError(
            f"the file has {len(documents)} documents, and none is number {address.document}"
        )
    return documents[address.document].root


def _walk(text: str, address: Address) -> tuple[Node, Path]:
    """The deepest node that exists along a path, and the keys that are still missing.

    Raises `EditRefusedError` where an edit there would reach further than meant.
    """
    node = _root(text, address)
    path = address.path
    refuse_shared(node, ())
    for depth, key in enumerate(path):
        below = _step(node, key, path[: depth + 1])
        if below is None:
            return node, path[depth:]
        node = below
        refuse_shared(node, path[: depth + 1])
    return node, ()


def _step(node: Node, key: Key, path: Path) -> Node | None:
    if node.kind == "sequence" and isinstance(key, int):
        if not 0 <= key < len(node.items):
            raise EditRefusedError(f"{dotted(path)} is past the end of its list")
        return node.items[key]
    if node.kind != "mapping":
        if node.is_null:
            above = dotted(path[:-1])
            raise EditRefusedError(
                f"{above or 'the document'} is null where a mapping belongs, and may be so to undo "
                "a default; where nothing is meant by it, write {} there"
            )
        raise EditRefusedError(f"expected a mapping above {dotted(path)}, found a {node.kind}")
    pairs = node.pairs(key)
    if len(pairs) > 1:
        raise EditRefusedError(f"{dotted(path)} is written {len(pairs)} times; keep one")
    if not pairs:
        refuse_merge(node, path)
        return None
    return pairs[0][1]


def _manner(root: Node, path: Path, value: Value) -> str | None:
    """How the mapping around already writes the same thing, for a new leaf beside an old one."""
    if isinstance(value, int | str) or len(path) < 2:
        return None
    around = root.at(*path[:-2])
    if around is None:
        return None
    found = (below.text(path[-1]) for _, below in around.mapping())
    return next((text for text in found if text is not None), None)


# --- replacing --------------------------------------------------------------------------------


def _replacement(
    text: str, node: Node, address: Address, value: Value, exact: bool
) -> list[tuple[int, int, str]]:
    """Which characters to write anew: none where the leaf says it already."""
    old = _readable(node, address.path, value)
    if says(old, value):
        return []
    start, end = scalar_span(text, node)
    quote = node.style or ""
    new = spell(value, None if exact else old)
    if isinstance(value, str) and not is_plain(new, value):
        raise EditRefusedError(f"{new[:60]!r} cannot be written without care for its quotes")
    return [(start, end, f"{quote}{new}{quote}")]


def _readable(node: Node, path: Path, value: Value) -> str:
    where = dotted(path)
    wanted = "a text" if isinstance(value, str) else "a quantity"
    if node.kind != "scalar" or node.style in ("|", ">"):
        raise EditRefusedError(f"expected {wanted} at {where}, found something else")
    if node.is_null:
        raise EditRefusedError(f"{where} is null, which may be there to undo a default")
    if node.tag is not None and node.tag != "!":
        raise EditRefusedError(f"{where} carries the tag {node.tag}")
    if "${" in node.value or "{{" in node.value:
        raise EditRefusedError(
            f"{where} is {node.value[:60]!r}, which is filled in elsewhere; change it there"
        )
    if not is_plain(node.value, value):
        raise EditRefusedError(f"{where} is {node.value[:60]!r}, which is no plain {wanted[2:]}")
    return node.value


# --- removing ---------------------------------------------------------------------------------


def _remove(text: str, address: Address) -> str:
    """Cut a leaf, and what it leaves empty above it up to the mapping two levels up."""
    root, path = _root(text, address), address.path
    stays = max(len(path) - 2, 0)
    while True:
        parent = _parent(root, path)
        if len(parent.entries) > 1 or len(path) - 1 <= 0:
            break
        if len(path) - 1 == stays:
            return _emptied(text, root, path[:-1], parent)
        path = path[:-1]
    key, value = parent.pairs(path[-1])[0]
    if parent.flow:
        return _without_flow_entry(text, parent, key, value)
    start, end = line_start(text, key.start), entry_end(text, value)
    if text[start : key.start].strip():
        raise EditRefusedError(f"{dotted(path)} shares its line with the start of a list item")
    return splice(text, start, end, "")


def _parent(root: Node, path: Path) -> Node:
    node = root.at(*path[:-1])
    if node is None or node.kind != "mapping":
        raise EditRefusedError(f"expected a mapping around {dotted(path)}, found something else")
    return node


def _without_flow_entry(text: str, parent: Node, key: Node, value: Node) -> str:
    position = next(i for i, pair in enumerate(parent.entries) if pair[0] is key)
    if position + 1 < len(parent.entries):
        return splice(text, key.start, parent.entries[position + 1][0].start, "")
    return splice(text, parent.entries[position - 1][1].end, value.end, "")


def _emptied(text: str, root: Node, path: Path, mapping: Node) -> str:
    if mapping.flow:
        return splice(text, *scalar_span(text, mapping), "{}")
    key = _parent(root, path).pairs(path[-1])[0][0]
    colon = text.index(":", key.end)
    tail = text[colon + 1 : line_end(text, colon)].rstrip()
    return splice(text, colon + 1, entry_end(text, mapping), f" {{}}{tail}{newline_of(text)}")


# --- inside a block scalar --------------------------------------------------------------------


def _inner(wanted: Sequence[Assignment]) -> dict[Address, list[Assignment]]:
    """What is wanted inside of block scalars, by the address of the scalar."""
    found: dict[Address, list[Assignment]] = {}
    for address, value in wanted:
        if address.inner is not None:
            outer = Address(address.document, address.path)
            found.setdefault(outer, []).append((address.inner, value))
    return found


def _set_inside(
    text: str, outer: Address, wanted: Sequence[Assignment], exact: frozenset[Address]
) -> str:
    scalar, missing = _walk(text, outer)
    if missing:
        where = dotted(outer.path)
        raise EditRefusedError(f"expected a block scalar at {where}, found nothing there")
    inside = frozenset(address.inner for address in exact if address.inner is not None)
    return _rewritten(text, scalar, lambda inner: _set_all(inner, wanted, inside))


def _rewritten(text: str, scalar: Node, change: Callable[[str], str]) -> str:
    start, end = scalar_span(text, scalar)
    header, indent, lines = block_lines(text, scalar)
    raw = text[start + len(header) : end].splitlines(keepends=True)
    changed = change("".join(lines)).splitlines(keepends=True)
    first, last = _unchanged(lines, changed)
    middle = [f"{indent}{line}" for line in changed[first : len(changed) - last]]
    return splice(
        text, start, end, header + "".join([*raw[:first], *middle, *raw[len(raw) - last :]])
    )


def _unchanged(before: list[str], after: list[str]) -> tuple[int, int]:
    """How many lines at the start, and how many at the end, two texts have in common."""
    shortest = min(len(before), len(after))
    first = next((i for i in range(shortest) if before[i] != after[i]), shortest)
    rest = shortest - first
    last = next((i for i in range(rest) if before[-1 - i] != after[-1 - i]), rest)
    return first, last
