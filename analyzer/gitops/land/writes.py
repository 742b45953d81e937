"""Amounts to be written into files, and the texts that come of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from analyzer.gitops.reach.release import Owner
from analyzer.gitops.reach.route import Route
from analyzer.gitops.text.address import Address, dotted
from analyzer.gitops.text.edit import set_values
from analyzer.gitops.text.resources import FIELDS, Amount, Field
from analyzer.gitops.text.spelling import Value, says
from analyzer.gitops.text.tree import Path


@dataclass(frozen=True, slots=True)
class Write:
    """One amount to be written: where, what, and whether it may be rounded to the old unit."""

    field: Field
    file: str
    address: Address
    amount: Amount | None
    exact: bool = False


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


def written(
    files: Mapping[str, str], writes: Iterable[Write], besides: Iterable[Beside] = ()
) -> dict[str, str]:
    """The files that `writes` and `besides` touch, with these made and nothing else changed.

    Amounts are written in the order of their addresses, so that the same set of them always gives
    the same texts. Raises `EditRefusedError` and `YamlError` as `set_values` does.
    """
    by_file: dict[str, dict[Address, Write]] = {}
    for write in writes:
        by_file.setdefault(write.file, {})[write.address] = write
    texts: dict[str, str] = {}
    for file, found in by_file.items():
        ordered = sorted(found.values(), key=_order)
        exact = frozenset(write.address for write in ordered if write.exact)
        texts[file] = set_values(files[file], [(w.address, w.amount) for w in ordered], exact)
    for one in sorted(besides, key=lambda beside: (beside.file, str(beside.address))):
        text = texts.get(one.file, files[one.file])
        texts[one.file] = set_values(text, [(one.address, one.value)])
    return texts


def _order(write: Write) -> tuple[str, int]:
    return str(write.address).removesuffix(f".{write.field}"), FIELDS.index(write.field)
