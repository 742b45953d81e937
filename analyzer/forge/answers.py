"""Answers of a forge, held against the shape that is read of them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TypeVar

import msgspec

from analyzer.forge.protocol import ForgeError


class Shape(msgspec.Struct, kw_only=True):
    """The fields of an answer that are read; others are passed over."""


T = TypeVar("T", bound=Shape)


def read(shape: type[T], item: object, what: str) -> T:
    """`item` as `shape`. Raises `ForgeError` that names the field which is not as documented."""
    try:
        return msgspec.convert(item, shape, strict=True)
    except msgspec.ValidationError as error:
        raise ForgeError(f"{what} from the forge cannot be used: {error}") from None


def moment_of(text: str | None) -> datetime | None:
    """A time in ISO 8601, in UTC; None for none, and for what is no time."""
    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found.replace(tzinfo=found.tzinfo or UTC).astimezone(UTC)
