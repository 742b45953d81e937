"""What a text says at some paths, read from the parser's events alone.

A second opinion for the proof: nothing here is shared with the tree, the addresses' other readers
or the editor, so that a fault of theirs cannot hide itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

import yaml

from analyzer.gitops.text.address import Address

_Path = tuple[object, ...]
_LOADER = getattr(yaml, "CLoader", yaml.Loader)


def said(text: str, addresses: Sequence[Address]) -> dict[Address, str]:
    """The scalar at each address, quotes and block indentation taken off; absent ones left out.

    Aliases and merge keys are not followed: what stands elsewhere is not said here. Of a repeated
    key the last counts. Raises `yaml.YAMLError` where the text does not parse.
    """
    found: dict[Address, str] = {}
    by_place: dict[tuple[int, _Path], list[Address]] = {}
    for address in addresses:
        by_place.setdefault((address.document, address.path), []).append(address)
    for place, scalar in _scalars_of(text.removeprefix("\ufeff")):
        asked = by_place.get(place, ())
        found.update({address: scalar for address in asked if address.inner is None})
        inner = {a.inner: a for a in asked if a.inner is not None}
        if inner:
            below = said(scalar, list(inner))
            found.update({inner[address]: value for address, value in below.items()})
    return found


# What a container's edit leaves is read as the proof of it and as what the next one starts from.
@lru_cache(maxsize=4)
def _scalars_of(text: str) -> tuple[tuple[tuple[int, _Path], str], ...]:
    return tuple(_scalars(text))


def _scalars(text: str) -> Iterator[tuple[tuple[int, _Path], str]]:
    """Every scalar value of a stream, with the number of its document and its path."""
    document = -1
    stack: list[_Level] = []
    anchors: dict[str, str] = {}
    for event in yaml.parse(text, _LOADER):
        if isinstance(event, yaml.DocumentStartEvent):
            document += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            stack.pop()
        elif isinstance(event, yaml.NodeEvent):
            if isinstance(event, yaml.ScalarEvent) and event.anchor is not None:
                anchors[event.anchor] = event.value
            is_key = bool(stack) and stack[-1].take(event, anchors)
            if isinstance(event, yaml.ScalarEvent) and not is_key:
                yield (document, tuple(level.key for level in stack)), event.value
            if isinstance(event, yaml.CollectionStartEvent):
                stack.append(_Level(isinstance(event, yaml.MappingStartEvent)))


class _Level:
    """One open mapping or list, and which of its entries is being read."""

    def __init__(self, mapping: bool) -> None:
        self.key: object = None if mapping else -1
        self._mapping = mapping
        self._expects_key = mapping

    def take(self, event: Any, anchors: Mapping[str, str]) -> bool:
        """Step on to the node that `event` begins; whether it is a key."""
        if not self._mapping:
            self.key = int(str(self.key)) + 1
            return False
        is_key, self._expects_key = self._expects_key, not self._expects_key
        if is_key:
            named = isinstance(event, yaml.ScalarEvent)
            told = event.value if named else anchors.get(event.anchor)
            # A key that is no scalar has no name that a path could hold.
            self.key = object() if told is None else told
        return is_key
