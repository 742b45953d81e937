"""One value of a setting: what was meant by what was written."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec

from analyzer.config.duration import parse_duration
from analyzer.config.file import Place
from analyzer.quantity import Cpu, Memory, decode_quantity

_WORDS: dict[object, str] = {
    str: "text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    Path: "a path",
    timedelta: "a duration such as 90s or 30m",
    Cpu: "an amount of CPU such as 250m",
    Memory: "an amount of memory such as 128Mi",
}
_SYNONYMS = {"minimum": "floor", "min": "floor", "maximum": "ceiling", "max": "ceiling"}


@dataclass(frozen=True)
class Expected:
    """The type of a setting; `kind` is None for one that nobody knows."""

    kind: Any

    @property
    def kinds(self) -> tuple[Any, ...]:
        """The types it takes, of a union each."""
        union = get_origin(self.kind) in (Union, UnionType)
        return get_args(self.kind) if union else (self.kind,)

    @property
    def choices(self) -> tuple[str, ...]:
        """The words it takes; empty where it is not one of a few."""
        kinds = get_args(self.kind)[:1] if get_origin(self.kind) is tuple else self.kinds
        return next((get_args(kind) for kind in kinds if get_origin(kind) is Literal), ())

    @property
    def is_words(self) -> bool:
        """Whether it is a list of words."""
        inner = get_args(self.kind)[0] if get_origin(self.kind) is tuple else None
        return inner is str or get_origin(inner) is Literal

    @property
    def item(self) -> type[msgspec.Struct] | None:
        """The settings that each of its items holds, where it is a list of such."""
        inner = get_args(self.kind)[0] if get_origin(self.kind) is tuple else None
        return inner if isinstance(inner, type) and issubclass(inner, msgspec.Struct) else None

    @property
    def is_text(self) -> bool:
        """Whether it takes text as it is written."""
        textual = {str, Path, timedelta, Cpu, Memory}
        return any(k in textual or get_origin(k) is Literal for k in self.kinds)

    @property
    def is_structure(self) -> bool:
        """Whether it has names or positions of its own."""
        return get_origin(self.kind) in (tuple, Mapping, dict) and not self.is_words

    @property
    def inner(self) -> Expected:
        """What a setting with names of its own takes by each of them."""
        return Expected(get_args(self.kind)[1])

    @property
    def words(self) -> str:
        """What it takes, in words."""
        if self.choices:
            return f"one of {', '.join(self.choices)}"
        if self.is_words:
            return "a list of words"
        if self.item is not None:
            return "a list of settings by name"
        if get_origin(self.kind) in (Mapping, dict):
            return "text by name" if self.inner.is_text else "numbers by name"
        return next((_WORDS[kind] for kind in self.kinds if kind in _WORDS), "something else")


def read_value(value: Any, expected: Expected, place: Place, words: Mapping[Place, str]) -> Any:
    """`value` as msgspec takes it for its setting. Raises ValueError in words.

    `words` says how a scalar was written that YAML takes for something else than text.
    """
    if value is None and type(None) in expected.kinds:
        return None
    if expected.is_words:
        return _list(value, expected, place, words)
    if expected.item is not None:
        return _items(value, expected, place, words)
    if expected.is_structure:
        return _mapping(value, expected, place, words)
    if expected.is_text:
        return _of_text(_not_empty(_text(value, expected, place, words), expected), expected)
    return _scalar(value, expected)


def _list(value: Any, expected: Expected, place: Place, words: Mapping[Place, str]) -> list[str]:
    if value is None:
        return []  # a name with nothing but comments below it
    if not isinstance(value, list | tuple):
        raise ValueError(f"expected {expected.words}, found {found(value)}")
    inner = Expected(get_args(expected.kind)[0])
    texts = [_text(item, inner, (*place, n), words) for n, item in enumerate(value)]
    return [_of_text(_not_empty(text, inner), inner) for text in texts]


def _items(
    value: Any, expected: Expected, place: Place, words: Mapping[Place, str]
) -> list[dict[str, Any]]:
    if value is None:
        return []
    kinds = get_type_hints(expected.item)
    if not isinstance(value, list | tuple) or not all(isinstance(item, dict) for item in value):
        raise ValueError(f"expected {expected.words}, found {found(value)}")
    return [
        {
            name: _setting(each, name, kinds, (*place, number, name), words)
            for name, each in item.items()
        }
        for number, item in enumerate(value)
    ]


def _setting(
    value: Any, name: str, kinds: Mapping[str, Any], place: Place, words: Mapping[Place, str]
) -> Any:
    if name not in kinds:
        raise ValueError(f"unknown setting {name!r}; known are {', '.join(kinds)}")
    try:
        return read_value(value, Expected(kinds[name]), place, words)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error


def _mapping(
    value: Any, expected: Expected, place: Place, words: Mapping[Place, str]
) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"expected {expected.words}, found {found(value)}")
    inner = expected.inner
    return {
        name: _text(each, inner, (*place, name), words) if inner.is_text else _scalar(each, inner)
        for name, each in value.items()
    }


def _text(value: Any, expected: Expected, place: Place, words: Mapping[Place, str]) -> str:
    if isinstance(value, str):
        if "\0" in value:  # which no path, name or argument can hold
            raise ValueError(f"expected {expected.words}, found a null character; leave it out")
        return value
    written = words.get(place)
    if isinstance(value, bool) and written is not None:
        raise ValueError(
            f"expected {expected.words}, found {str(value).lower()}, which is what YAML reads "
            f'{written} as; quote it: "{written}"'
        )
    if isinstance(value, int | float) and not isinstance(value, bool):
        return written if written is not None else str(value)
    if isinstance(value, Path | Cpu | Memory):
        return str(value)
    raise ValueError(f"expected {expected.words}, found {found(value)}")


def _not_empty(text: str, expected: Expected) -> str:
    """`text`; an empty one would name the current folder, or nobody knows what."""
    if not text.strip():
        raise ValueError(
            f"expected {expected.words}, found empty text; leave the setting out for its default"
        )
    return text


def _of_text(text: str, expected: Expected) -> Any:
    if expected.choices and text not in expected.choices:
        close = likely(text, list(expected.choices))
        hint = f"; did you mean {close}?" if close else ""
        raise ValueError(f"expected {expected.words}, found {text!r}{hint}")
    if timedelta in expected.kinds:
        return parse_duration(text)
    for kind in (Cpu, Memory):
        if kind in expected.kinds:
            decode_quantity(kind, text)  # raises in words
    return text


def _scalar(value: Any, expected: Expected) -> Any:
    kinds = expected.kinds
    number = isinstance(value, int | float) and not isinstance(value, bool)
    fits = (
        (bool in kinds and isinstance(value, bool))
        or (float in kinds and number)
        or (int in kinds and number and isinstance(value, int))
    )
    if not fits:
        raise ValueError(f"expected {expected.words}, found {found(value)}")
    if number and abs(value) > 10**15:
        raise ValueError(f"expected {expected.words}, found a number beyond all sense")
    return value


def found(value: Any) -> str:
    """What stands there, in words."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return "a list"
    if isinstance(value, dict):
        return "settings by name"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:50]}..."


def likely(name: str, known: list[str]) -> str:
    """The one of `known` that was meant; empty where none is close.

    The same words in another order or with another word for the same (`minimum`, `floor`) are
    closer than any other spelling.
    """
    meant = _parts(name)
    for each in known:
        if _parts(each) == meant:
            return each
    close = difflib.get_close_matches(name, known, n=1)
    return str(close[0]) if close else ""


def _parts(name: str) -> frozenset[str]:
    words = name.lower().replace("-", "_").split("_")
    return frozenset(_SYNONYMS.get(word, word) for word in words if word)
