"""Amounts to be written into files, and the texts that come of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from analyzer.gitops.text.address import Address
from analyzer.gitops.text.edit import set_values
from analyzer.gitops.text.resources import FIELDS, Amount, Field


@dataclass(frozen=True, slots=True)
class Write:
    """One amount to be written: where, what, and whether it may be rounded to the old unit."""

    field: Field
    file: str
    address: Address
    amount: Amount | None
    exact: bool = False


def written(files: Mapping[str, str], writes: Iterable[Write]) -> dict[str, str]:
    """The files that `writes` touch, by name, with these made and nothing else changed.

    Amounts are written in the order of their addresses, so that the same set of them always gives
    the same texts. Raises `EditRefusedError` and `YamlError` as `set_values` does.
    """
    by_file: dict[str, dict[Address, Write]] = {}
    for write in writes:
        by_file.setdefault(write.file, {})[write.address] = write
    texts = {}
    for file, found in by_file.items():
        ordered = sorted(found.values(), key=_order)
        exact = frozenset(write.address for write in ordered if write.exact)
        texts[file] = set_values(files[file], [(w.address, w.amount) for w in ordered], exact)
    return texts


def _order(write: Write) -> tuple[str, int]:
    return str(write.address).removesuffix(f".{write.field}"), FIELDS.index(write.field)
