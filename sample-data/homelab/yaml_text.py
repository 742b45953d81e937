"""YAML as people write it: comments, anchors and quotes where someone chose to put them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

_BARE = re.compile(r"[A-Za-z0-9./$_][A-Za-z0-9 ./_${}:@=+-]*", re.ASCII)
_SPECIAL = re.compile(r"[\d.]+|true|false|yes|no|on|off|null|.*: .*|.*:|.* ", re.ASCII)


@dataclass(frozen=True)
class Noted:
    """A value with a comment behind it."""

    value: Any
    comment: str


@dataclass(frozen=True)
class Raw:
    """Text that stands after its key as it is: quoted scalars, aliases, flow collections."""

    text: str


@dataclass(frozen=True)
class Anchored:
    """A value that carries an anchor."""

    value: Any
    anchor: str


@dataclass(frozen=True)
class Literal:
    """A block scalar."""

    text: str


def document(value: Mapping[str, Any], *comments: str) -> str:
    """One document with its marker; `comments` stand above it."""
    lines = ["---", *(f"# {comment}" for comment in comments), *_lines(value, 0)]
    return "\n".join(lines) + "\n"


def _lines(value: Any, indent: int) -> Iterator[str]:
    pad = "  " * indent
    if isinstance(value, Mapping):
        for key, entry in value.items():
            head, *rest = _entry(entry, indent)
            yield f"{pad}{key}:{head}"
            yield from rest
    else:
        for entry in value:
            if isinstance(entry, (Mapping, list, tuple)) and entry:
                first, *rest = _lines(entry, indent + 1)
                yield f"{pad}- {first.lstrip()}"
                yield from rest
            else:
                head, *rest = _entry(entry, indent)
                yield f"{pad}-{head}"
                yield from rest


def _entry(value: Any, indent: int) -> list[str]:
    """What follows a key or a dash: the rest of its line, then the lines below."""
    match value:
        case Noted():
            head, *rest = _entry(value.value, indent)
            return [f"{head}  # {value.comment}", *rest]
        case Anchored():
            head, *rest = _entry(value.value, indent)
            return [f" &{value.anchor}{head}", *rest]
        case Raw():
            return [f" {value.text}"]
        case Literal():
            pad = "  " * (indent + 1)
            return [" |", *(pad + line if line else "" for line in value.text.splitlines())]
        case str() | int() | float():
            return [f" {_scalar(value)}"]
    if not value:
        return [" {}" if isinstance(value, Mapping) else " []"]
    return ["", *_lines(value, indent + 1)]


def _scalar(value: str | float) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str):
        return str(value)
    if _BARE.fullmatch(value) and not _SPECIAL.fullmatch(value):
        return value
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def quantity(text: str, style: str = "") -> Raw:
    """A quantity, bare or in the quotes `style` asks for."""
    return Raw(f"{style}{text}{style}")
