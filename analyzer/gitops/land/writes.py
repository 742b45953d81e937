"""Amounts to be written into files, and the texts that come of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from analyzer.gitops.index.place import Expectation
from analyzer.gitops.reach.release import Owner
from analyzer.gitops.reach.route import Route
from analyzer.gitops.text.address import Address, dotted
from analyzer.gitops.text.edit import set_values
from analyzer.gitops.text.patch_list import Entry, NewPatch, append_patches
from analyzer.gitops.text.resources import BY_FIELD, FIELDS, Amount, Field
from analyzer.gitops.text.spelling import Value, says, spell
from analyzer.gitops.text.tree import Path


@dataclass(frozen=True, slots=True)
class Apart:
    """Where an amount is stated for others as well, when it is written for its own cluster alone.

    `why` is what the others have against an edit there, and `fed` are the containers that it
    decides for where it is written.
    """

    shared: tuple[str, Address]
    why: str
    fed: tuple[Expectation, ...] = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Write:
    """One amount to be written: where, what, and whether it may be rounded to the old unit.

    `patch` is the new one that it goes into; None where its text is there already.
    """

    field: Field
    file: str
    address: Address
    amount: Amount | None
    exact: bool = False
    apart: Apart | None = None
    patch: NewPatch | None = None

    @property
    def in_post_renderer(self) -> bool:
        """Whether it goes into a patch of what a chart makes, so that only that can prove it."""
        return self.patch is not None and self.apart is None


@dataclass(frozen=True, slots=True)
class Beside:
    """A setting that is written together with amounts of containers: an autoscaler's target.

    `before` is what the text says now. `object` is the kind and name of what arrives in the
    cluster and `path` leads to the value in it, by way of `routes`; `owner` holds the text.
    """

    title: str
    file: str
    address: Address
    before: str
    value: Value
    object: tuple[str, str]
    path: Path
    owner: Owner
    routes: tuple[Route, ...] = field(hash=False)
    along: str = "request"
    """Of the amounts that it is written with, the one that it belongs to."""
    unit: str = ""
    """What stands behind its amounts where people read them."""

    @property
    def settled(self) -> bool:
        """Whether the text says already what it is to say."""
        return says(self.before, self.value)

    @property
    def where(self) -> str:
        """File and path as people read them."""
        return f"{self.file}: {dotted((self.address.inner or self.address).path)}"


@dataclass(frozen=True, slots=True)
class Kept:
    """An amount that a chart gives as long as nothing is stated, written out as it was."""

    file: str
    address: Address
    value: Value

    @property
    def title(self) -> str:
        """What is kept, as people read it."""
        return f"{dotted(self.tail)} (kept at {spell(self.value)})"

    @property
    def tail(self) -> Path:
        """``requests`` or ``limits``, and the resource."""
        return self.address.full_path()[-2:]


def written(
    files: Mapping[str, str],
    writes: Iterable[Write],
    besides: Iterable[Beside] = (),
    keeps: Iterable[Kept] = (),
) -> dict[str, str]:
    """The files that are touched, with all of these made and nothing else changed.

    Amounts are written in the order of their addresses, so that the same set of them always gives
    the same texts; new patches come last. Raises `EditRefusedError` and `YamlError` as
    `set_values` does.
    """
    made = list(writes)
    by_file: dict[str, dict[Address, Write]] = {}
    for write in made:
        if write.patch is None:
            by_file.setdefault(write.file, {})[write.address] = write
    texts: dict[str, str] = {}
    for file, found in by_file.items():
        ordered = sorted(found.values(), key=_order)
        exact = frozenset(write.address for write in ordered if write.exact)
        texts[file] = set_values(files[file], [(w.address, w.amount) for w in ordered], exact)
    for kept in dict.fromkeys(keeps):
        text = texts.get(kept.file, files[kept.file])
        texts[kept.file] = set_values(text, [(kept.address, kept.value)])
    for one in sorted(besides, key=lambda beside: (beside.file, str(beside.address))):
        text = texts.get(one.file, files[one.file])
        texts[one.file] = set_values(text, [(one.address, one.value)])
    for (file, patches), entries in new_entries(made).items():
        texts[file] = append_patches(texts.get(file, files[file]), patches, entries)
    return texts


def _order(write: Write) -> tuple[str, int]:
    return str(write.address).removesuffix(f".{write.field}"), FIELDS.index(write.field)


def new_entries(writes: Iterable[Write]) -> dict[tuple[str, Address], Sequence[Entry]]:
    """The patches that `writes` add, by file and list: one for each object, in order of names."""
    lists: dict[tuple[str, Address], dict[tuple[str, str], dict[str, Any]]] = {}
    for write in sorted(writes, key=_order):
        patch = write.patch
        if patch is not None:
            bodies = lists.setdefault((write.file, patch.patches), {})
            head = {
                "apiVersion": patch.version,
                "kind": patch.kind,
                "metadata": {"name": patch.name},
            }
            _state(bodies.setdefault((patch.kind, patch.name), head), patch, write)
    return {
        key: [Entry(kind, name, body) for (kind, name), body in bodies.items()]
        for key, bodies in lists.items()
    }


def _state(body: dict[str, Any], patch: NewPatch, write: Write) -> None:
    """Put an amount into the body of a patch; None takes away what stands below."""
    scope = body
    way = patch.path if patch.container is None else patch.path[:-1]
    for key in way:
        scope = scope.setdefault(key, {})
    if patch.container is not None:
        listed = scope.setdefault(patch.path[-1], [])
        there = {each["name"] for each in listed}
        names = dict.fromkeys((*patch.ahead, patch.container))
        listed += [{"name": name} for name in names if name not in there]
        named = next(each for each in listed if each["name"] == patch.container)
        scope = named.setdefault("resources", {})
    group, resource = map(str, BY_FIELD[write.field].path)
    amount = None if write.amount is None else spell(write.amount)
    scope.setdefault(group, {})[resource] = amount
