"""Change requests and limits in a text, and nothing else in it.

Every function is pure: text in, text out. The place is found by parse events, the change is
spliced into the original characters, so comments, quotes, anchors elsewhere, line endings and
odd spacing survive. What cannot be changed safely is refused with the reason.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet

from analyzer.gitops.text.address import Address, dotted
from analyzer.gitops.text.lines import (
    block_lines,
    column,
    entry_end,
    last_leaf,
    line_end,
    line_start,
    newline_of,
    splice,
)
from analyzer.gitops.text.refusal import EditRefusedError, refuse_file, refuse_merge, refuse_shared
from analyzer.gitops.text.spelling import (
    FIELDS,
    REQUEST_AND_LIMIT,
    Field,
    is_clear,
    read_cpu,
    read_memory,
    spell,
)
from analyzer.gitops.text.tree import Document, Key, Node, Path, parse, scalar_span, walk
from analyzer.quantity import Cpu, Memory

Amount = Cpu | Memory
Changes = Mapping[Field, Amount | None]

_DEFAULT_STEP = 2


def declared(text: str, address: Address) -> dict[Field, str]:
    """What the place states now, as written; fields it does not state are left out.

    Raises `YamlError` where the text is not YAML.
    """
    scope, inner = text, address
    while inner.inner is not None:
        scalar = _node_at(parse(scope), inner.document, inner.path)
        if scalar is None or scalar.kind != "scalar":
            return {}
        scope, inner = scalar.value, inner.inner
    mapping = _node_at(parse(scope), inner.document, inner.path)
    return {} if mapping is None else fields_of(mapping)


def fields_of(resources: Node) -> dict[Field, str]:
    """The requests and limits a `resources` mapping states, as written."""
    found = {field: resources.text(*field.split(".")) for field in FIELDS}
    return {field: value for field, value in found.items() if value is not None}


def set_resources(text: str, address: Address, changes: Changes) -> str:
    """`text` with the given requests and limits at `address`, all else character for character.

    A field that maps to None is removed; one already stated as the same amount is left as
    written. A missing `resources` block is inserted in the file's own indentation and order.
    Raises `EditRefusedError` with the reason where the change would not be safe, and `YamlError`
    where the text is not YAML.
    """
    refuse_file(text)
    changed = _set_all(text, address, changes, frozenset())
    if not _pairs_up(declared(text, address).keys() | changes.keys()):
        return changed  # nothing to compare: the result need not be read again
    exact = _rounded_above_limit(changed, address, changes)
    if exact:
        changed = _set_all(text, address, changes, exact)
    _refuse_request_above_limit(changed, address)
    return changed


def _set_all(text: str, address: Address, changes: Changes, exact: frozenset[Field]) -> str:
    for field in FIELDS:
        if field in changes:
            text = _set_field(text, address, field, changes[field], field in exact)
    return text


def _pairs_up(fields: AbstractSet[Field]) -> bool:
    """Whether a request and its limit may both be among `fields`."""
    return any(request in fields and limit in fields for request, limit in REQUEST_AND_LIMIT)


def _rounded_above_limit(text: str, address: Address, changes: Changes) -> frozenset[Field]:
    """The memory request, where only rounding up to its decimal unit put it above its limit."""
    request, limit = changes.get("requests.memory"), changes.get("limits.memory")
    if not isinstance(request, Memory) or not isinstance(limit, Memory) or request > limit:
        return frozenset()
    stated = declared(text, address)
    written = read_memory(stated.get("requests.memory"))
    ceiling = read_memory(stated.get("limits.memory"))
    above = written is not None and ceiling is not None and written > ceiling
    return frozenset({"requests.memory"}) if above else frozenset()


def _refuse_request_above_limit(text: str, address: Address) -> None:
    stated = declared(text, address)
    cpu = read_cpu(stated.get("requests.cpu")), read_cpu(stated.get("limits.cpu"))
    memory = read_memory(stated.get("requests.memory")), read_memory(stated.get("limits.memory"))
    for name, request, limit in (("cpu", *cpu), ("memory", *memory)):
        if request is not None and limit is not None and request > limit:
            raise EditRefusedError(
                f"the {name} request would be {request}, above the limit of {limit} that "
                "stands beside it; change both"
            )


def _set_field(
    text: str, address: Address, field: Field, amount: Amount | None, exact: bool
) -> str:
    documents = parse(text)
    if not 0 <= address.document < len(documents):
        raise EditRefusedError(
            f"the file has {len(documents)} documents, and none is number {address.document}"
        )
    root = documents[address.document].root
    if address.inner is not None:
        scalar = _Walk(text, root).to(address.path, "a block scalar")
        return _set_inside(text, scalar, address.inner, field, amount, exact)
    return _Change(text, root, address.path, exact).set(field, amount)


# --- finding the node, refusing what is shared or ambiguous -----------------------------------


class _Walk:
    """Steps down a path, refusing whatever would make an edit reach further than meant."""

    def __init__(self, text: str, root: Node) -> None:
        self.text = text
        self.root = root

    def to(self, path: Path, expected: str) -> Node:
        """The node at `path`. Raises `EditRefusedError` where the path breaks off or is shared."""
        node, rest = self.deepest(path)
        if rest:
            raise EditRefusedError(f"expected {expected} at {dotted(path)}, found nothing there")
        return node

    def deepest(self, path: Path) -> tuple[Node, Path]:
        """The deepest node that exists along `path`, and the keys that are still missing."""
        node = self.root
        refuse_shared(node, path[:0])
        for depth, key in enumerate(path):
            below = self._step(node, key, path[: depth + 1])
            if below is None:
                return node, path[depth:]
            node = below
            refuse_shared(node, path[: depth + 1])
        return node, ()

    def _step(self, node: Node, key: Key, path: Path) -> Node | None:
        if node.kind == "sequence" and isinstance(key, int):
            if not 0 <= key < len(node.items):
                raise EditRefusedError(f"{dotted(path)} is past the end of its list")
            return node.items[key]
        if node.kind != "mapping":
            found = "nothing (null)" if node.is_null else f"a {node.kind}"
            raise EditRefusedError(f"expected a mapping above {dotted(path)}, found {found}")
        pairs = node.pairs(key)
        if len(pairs) > 1:
            raise EditRefusedError(f"{dotted(path)} is written {len(pairs)} times; keep one")
        if not pairs:
            refuse_merge(node, path)
            return None
        return pairs[0][1]


def _node_at(documents: Sequence[Document], number: int, path: Path) -> Node | None:
    return documents[number].root.at(*path) if 0 <= number < len(documents) else None


# --- one field of one resources mapping -------------------------------------------------------


class _Change:
    """One change in one document, by splicing."""

    def __init__(self, text: str, root: Node, path: Path, exact: bool) -> None:
        self.text = text
        self.root = root
        self.path = path
        self.exact = exact
        self.newline = newline_of(text)

    def set(self, field: Field, amount: Amount | None) -> str:
        leaf_path = (*self.path, *field.split("."))
        node, missing = _Walk(self.text, self.root).deepest(leaf_path)
        if amount is None:
            return self.text if missing else self._remove(leaf_path)
        if missing:
            self._refuse_templates()
            return self._insert(node, leaf_path[: len(leaf_path) - len(missing)], missing, amount)
        return self._replace(node, leaf_path, amount)

    def _refuse_templates(self) -> None:
        """A `resources` that exists but is no plain mapping must not get a sibling."""
        node = self.root.at(*self.path)
        if node is not None and node.kind != "mapping":
            raise EditRefusedError(
                f"expected a mapping at {dotted(self.path)}, found a {node.kind}"
            )

    def _replace(self, node: Node, path: Path, amount: Amount) -> str:
        old = self._readable(node, path)
        read = Cpu.parse(old) if isinstance(amount, Cpu) else Memory.parse(old)
        if read == amount:
            return self.text
        start, end = scalar_span(self.text, node)
        quote = node.style or ""
        return splice(self.text, start, end, f"{quote}{self._spell(amount, old)}{quote}")

    def _readable(self, node: Node, path: Path) -> str:
        where = dotted(path)
        if node.kind != "scalar" or node.style in ("|", ">"):
            raise EditRefusedError(f"expected a quantity at {where}, found something else")
        if node.is_null:
            raise EditRefusedError(f"{where} is null, which may be there to undo a default")
        if node.tag is not None and node.tag != "!":
            raise EditRefusedError(f"{where} carries the tag {node.tag}")
        if "${" in node.value or "{{" in node.value:
            raise EditRefusedError(
                f"{where} is {node.value[:60]!r}, which is filled in elsewhere; change it there"
            )
        if not is_clear(node.value):
            raise EditRefusedError(f"{where} is {node.value[:60]!r}, which is no plain quantity")
        return node.value

    # --- inserting ---

    def _insert(self, parent: Node, path: Path, missing: Path, amount: Amount) -> str:
        if parent.is_null:
            raise EditRefusedError(f"{dotted(path)} is null, which may be there to undo a default")
        if parent.kind != "mapping" or any(isinstance(key, int) for key in missing):
            raise EditRefusedError(f"expected a mapping at {dotted(path)}, found a {parent.kind}")
        if parent.flow and not parent.entries and self._can_open(path):
            return self._open_empty(parent, path, missing, amount)
        if parent.flow:
            return self._insert_flow(parent, missing, amount)
        return self._insert_block(parent, path, missing, amount)

    def _can_open(self, path: Path) -> bool:
        """Whether an empty ``{}`` may become a block: only where its parent is one."""
        return bool(path) and not self._container(path[:-1]).flow

    def _container(self, path: Path) -> Node:
        return _Walk(self.text, self.root).to(path, "a mapping")

    def _insert_flow(self, parent: Node, missing: Path, amount: Amount) -> str:
        body = self._spell(amount, self._manner(amount))
        for key in reversed(missing[1:]):
            body = f"{{ {key}: {body} }}"
        entry = f"{missing[0]}: {body}"
        if parent.entries:
            at = parent.entries[-1][1].end
            return splice(self.text, at, at, f", {entry}")
        return splice(self.text, *scalar_span(self.text, parent), f"{{ {entry} }}")

    def _open_empty(self, parent: Node, path: Path, missing: Path, amount: Amount) -> str:
        """Turn ``resources: {}`` into a block below its key."""
        start, end = scalar_span(self.text, parent)
        if self.text[start:end].strip("{} \t") or parent.anchor is not None:
            return self._insert_flow(parent, missing, amount)
        step = self._step(path[:-1])
        key = self._container(path[:-1]).pairs(path[-1])[0][0]
        indent = column(self.text, key.start) + step
        lines = self._lines(missing, amount, indent, step)
        rest = self.text[end : line_end(self.text, end)]
        keep = len(self.text[:start]) - len(self.text[:start].rstrip(" \t"))
        tail = rest if rest.strip() else ""
        block = self.newline.join(lines)
        head = self.text[: start - keep]
        if head.endswith("\n"):  # the braces have a line of their own, which the block takes over
            if tail:
                return self._insert_flow(parent, missing, amount)
            return head + block + self.text[end + len(rest) :]
        return head + tail.rstrip() + self.newline + block + self.text[end + len(rest) :]

    def _insert_block(self, parent: Node, path: Path, missing: Path, amount: Amount) -> str:
        indent = column(self.text, parent.entries[0][0].start)
        lines = self._lines(missing, amount, indent, self._step(path))
        before = self._successor(parent, str(missing[0]))
        block = self.newline.join(lines)
        if before is not None:
            at = line_start(self.text, before.start)
            return splice(self.text, at, at, block + self.newline)
        last = self._predecessor(parent)
        at = entry_end(self.text, last)
        if at == len(self.text) and not self.text.endswith(("\n", "\r")):
            if last_leaf(last).style in ("|", ">"):
                raise EditRefusedError(
                    "the file ends inside a block scalar without a final newline; adding one "
                    "would change its text"
                )
            return self.text + self.newline + block
        return splice(self.text, at, at, block + self.newline)

    def _lines(self, missing: Path, amount: Amount, indent: int, step: int) -> list[str]:
        heads = [f"{' ' * (indent + level * step)}{key}:" for level, key in enumerate(missing)]
        return [*heads[:-1], f"{heads[-1]} {self._spell(amount, self._manner(amount))}"]

    def _spell(self, amount: Amount, like: str | None) -> str:
        return spell(amount, None if self.exact else like)

    def _manner(self, amount: Amount) -> str | None:
        """How the same block already writes this resource, for a new field beside an old one."""
        name = "cpu" if isinstance(amount, Cpu) else "memory"
        resources = self.root.at(*self.path)
        if resources is None:
            return None
        return resources.text("requests", name) or resources.text("limits", name)

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

    def _successor(self, parent: Node, key: str) -> Node | None:
        """The key in front of which `key` belongs (requests before limits, cpu before memory).

        None where a comment stands directly above that key, since it would then seem to be
        about the new one, or where that key shares its line with something else.
        """
        follower = {"requests": "limits", "cpu": "memory"}.get(key)
        pairs = parent.pairs(follower) if follower else []
        if not pairs:
            return None
        start = line_start(self.text, pairs[0][0].start)
        above = self.text[line_start(self.text, max(start - 1, 0)) : start].strip()
        alone = not self.text[start : pairs[0][0].start].strip()
        return pairs[0][0] if alone and not above.startswith("#") else None

    def _predecessor(self, parent: Node) -> Node:
        """The entry after which a new block goes: where the file's other containers have theirs."""
        for habit in resource_habits(self.root):
            pairs = parent.pairs(habit)
            if pairs:
                return pairs[0][1]
        return parent.entries[-1][1]

    # --- removing ---

    def _remove(self, path: Path) -> str:
        """Cut the entry at `path`, and what it leaves empty above it up to `resources`."""
        while len(path) > len(self.path):
            parent = self._container(path[:-1])
            if len(parent.entries) > 1 or len(path) - 1 < len(self.path):
                break
            if len(path) - 1 == len(self.path):
                return self._empty_resources(parent)
            path = path[:-1]
        key, value = parent.pairs(path[-1])[0]
        if parent.flow:
            return self._remove_flow(parent, key, value)
        start, end = line_start(self.text, key.start), entry_end(self.text, value)
        if self.text[start : key.start].strip():
            raise EditRefusedError(f"{dotted(path)} shares its line with the start of a list item")
        return splice(self.text, start, end, "")

    def _remove_flow(self, parent: Node, key: Node, value: Node) -> str:
        position = next(i for i, pair in enumerate(parent.entries) if pair[0] is key)
        if position + 1 < len(parent.entries):
            return splice(self.text, key.start, parent.entries[position + 1][0].start, "")
        return splice(self.text, parent.entries[position - 1][1].end, value.end, "")

    def _empty_resources(self, parent: Node) -> str:
        if parent.flow:
            return splice(self.text, *scalar_span(self.text, parent), "{}")
        key = self._container(self.path[:-1]).pairs(self.path[-1])[0][0]
        colon = self.text.index(":", key.end)
        end = entry_end(self.text, parent)
        tail = self.text[colon + 1 : line_end(self.text, colon)].rstrip()
        return splice(self.text, colon + 1, end, f" {{}}{tail}{self.newline}")


def resource_habits(root: Node) -> list[str]:
    """The keys after which this document's containers put `resources`, most frequent first."""
    counts: dict[str, int] = {}
    for _, node in walk(root):
        if node.kind == "mapping" and not node.flow:
            keys = [key.value for key, _ in node.entries]
            if "resources" in keys[1:] and ("image" in keys or "name" in keys):
                habit = keys[keys.index("resources") - 1]
                counts[habit] = counts.get(habit, 0) + 1
    return sorted(counts, key=lambda key: (-counts[key], key))


# --- inside a block scalar --------------------------------------------------------------------


def _set_inside(
    text: str, scalar: Node, inner: Address, field: Field, amount: Amount | None, exact: bool
) -> str:
    start, end = scalar_span(text, scalar)
    header, indent, lines = block_lines(text, start, end)
    raw = text[start + len(header) : end].splitlines(keepends=True)
    changed = _set_field("".join(lines), inner, field, amount, exact).splitlines(keepends=True)
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
