"""Requests and limits as leaves of a `resources` mapping: a table, read and written by it.

One row per amount. Whatever handles an amount goes through a row, so that another one is one row
more and no new code.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from analyzer.gitops.text.address import Address
from analyzer.gitops.text.edit import Assignment, set_values
from analyzer.gitops.text.refusal import EditRefusedError
from analyzer.gitops.text.spelling import read_cpu, read_memory, says, spell
from analyzer.gitops.text.tree import Node, Path, parse
from analyzer.quantity import Cpu, Memory, Resources

Amount = Cpu | Memory
Field = Literal["requests.cpu", "requests.memory", "limits.cpu", "limits.memory"]
Changes = Mapping[Field, Amount | None]
"""Amounts to write by field; None removes."""


@dataclass(frozen=True, slots=True)
class Row:
    """One amount: its field, the attribute of `Resources` that holds it, its path."""

    field: Field
    attribute: Literal["cpu_request", "memory_request", "cpu_limit", "memory_limit"]
    path: Path

    def read(self, text: str | None) -> Amount | None:
        """The amount that `text` states; None where it states none that can be read."""
        return read_cpu(text) if self.path[-1] == "cpu" else read_memory(text)

    def of(self, resources: Resources) -> Amount | None:
        """The amount of this row among `resources`."""
        found: Amount | None = getattr(resources, self.attribute)
        return found


ROWS = (
    Row("requests.cpu", "cpu_request", ("requests", "cpu")),
    Row("requests.memory", "memory_request", ("requests", "memory")),
    Row("limits.cpu", "cpu_limit", ("limits", "cpu")),
    Row("limits.memory", "memory_limit", ("limits", "memory")),
)
BY_FIELD: dict[Field, Row] = {row.field: row for row in ROWS}
FIELDS: tuple[Field, ...] = tuple(BY_FIELD)
REQUEST_AND_LIMIT: tuple[tuple[Field, Field], ...] = (
    ("requests.cpu", "limits.cpu"),
    ("requests.memory", "limits.memory"),
)


def amounts(stated: Mapping[Field, str]) -> Resources:
    """Requests and limits as amounts; None where nothing readable is stated."""
    return Resources(
        cpu_request=read_cpu(stated.get("requests.cpu")),
        cpu_limit=read_cpu(stated.get("limits.cpu")),
        memory_request=read_memory(stated.get("requests.memory")),
        memory_limit=read_memory(stated.get("limits.memory")),
    )


def fields_of(resources: Node) -> dict[Field, str]:
    """The requests and limits a `resources` mapping states, as written."""
    found = {row.field: resources.text(*row.path) for row in ROWS}
    return {field: value for field, value in found.items() if value is not None}


def declared(text: str, address: Address) -> dict[Field, str]:
    """What the place states now, as written; fields it does not state are left out.

    Raises `YamlError` where the text is not YAML.
    """
    scope, inner = text, address
    while inner.inner is not None:
        scalar = _node_at(scope, inner)
        if scalar is None or scalar.kind != "scalar":
            return {}
        scope, inner = scalar.value, inner.inner
    mapping = _node_at(scope, inner)
    return {} if mapping is None else fields_of(mapping)


def _node_at(text: str, address: Address) -> Node | None:
    documents = parse(text)
    if not 0 <= address.document < len(documents):
        return None
    return documents[address.document].root.at(*address.path)


def assignments(address: Address, changes: Changes) -> list[Assignment]:
    """The leaves below a `resources` at `address` that `changes` are about, in the usual order."""
    rows = [row for row in ROWS if row.field in changes]
    return [(address.below(*row.path), changes[row.field]) for row in rows]


def set_resources(text: str, address: Address, changes: Changes) -> str:
    """`text` with the given requests and limits at `address`, all else character for character.

    A field that maps to None is removed; one already stated as the same amount is left as
    written. A missing `resources` block is inserted in the file's own indentation and order.
    Raises `EditRefusedError` with the reason where the change would not be safe, and `YamlError`
    where the text is not YAML.
    """
    wanted = assignments(address, changes)
    changed = set_values(text, wanted)
    stated = _replaced(declared(text, address), changes) or declared(changed, address)
    exact = _rounded_above_limit(stated, changes)
    if exact:
        leaves = frozenset(address.below(*BY_FIELD[field].path) for field in exact)
        changed = set_values(text, wanted, leaves)
        stated = declared(changed, address)
    _refuse_request_above_limit(stated)
    return changed


def _replaced(stated: Mapping[Field, str], changes: Changes) -> dict[Field, str]:
    """What a place states once amounts that it states are changed; empty where others are, too.

    Then only reading the new text tells.
    """
    found = dict(stated)
    for field, value in changes.items():
        if value is None or field not in stated:
            return {}
        if not says(stated[field], value):
            found[field] = spell(value, stated[field])
    return found


def _rounded_above_limit(stated: Mapping[Field, str], changes: Changes) -> list[Field]:
    """The memory request, where only rounding up to its decimal unit put it above its limit."""
    request, limit = changes.get("requests.memory"), changes.get("limits.memory")
    if not isinstance(request, Memory) or not isinstance(limit, Memory) or request > limit:
        return []
    written = read_memory(stated.get("requests.memory"))
    ceiling = read_memory(stated.get("limits.memory"))
    above = written is not None and ceiling is not None and written > ceiling
    return ["requests.memory"] if above else []


def _refuse_request_above_limit(stated: Mapping[Field, str]) -> None:
    cpu = read_cpu(stated.get("requests.cpu")), read_cpu(stated.get("limits.cpu"))
    memory = read_memory(stated.get("requests.memory")), read_memory(stated.get("limits.memory"))
    for name, request, limit in (("cpu", *cpu), ("memory", *memory)):
        if request is not None and limit is not None and request > limit:
            raise EditRefusedError(
                f"the {name} request would be {request}, above the limit of {limit} that "
                "stands beside it; change both"
            )
