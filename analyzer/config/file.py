"""A YAML file of settings: plain values, each with the line it stands on.

YAML's own types surprise: ``off`` is a boolean, ``2026-11-23`` a date, ``1:30`` a number of
seconds, and ``!!int`` a way to a traceback. Here a scalar is a boolean, a number, null or text;
whatever else YAML makes of it stays the text that was written. Tags, keys that are given twice and
files that grow when they are read are refused, each in one sentence with its line.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from analyzer.errors import ConfigError

Place = tuple[str | int, ...]
"""The names and positions that lead to a value: ``("rules", 0, "set", "direction")``."""

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_LARGEST = 2**20
_DEEPEST = 20
_MOST = 100_000
_STANDARD = "tag:yaml.org,2002:"
_PLAIN = ("str", "int", "float", "bool", "null", "timestamp", "merge", "value")
"""What YAML takes unquoted scalars for; here only `plain_value` says what they are."""
_WORDS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
_NULL = ("", "~", "null", "Null", "NULL")
_INTEGER = re.compile(r"[-+]?[0-9]{1,30}", re.ASCII)
_FLOAT = re.compile(
    r"[-+]?(?:[0-9]{1,30}\.[0-9]{0,30}|\.[0-9]{1,30}|[0-9]{1,30}(?=[eE]))(?:[eE][-+]?[0-9]{1,4})?",
    re.ASCII,
)


@dataclass
class SettingsFile:
    """What a file says. `words` holds the text of every scalar that is not text itself."""

    name: str
    values: dict[str, Any] = field(default_factory=dict)
    lines: dict[Place, int] = field(default_factory=dict)
    words: dict[Place, str] = field(default_factory=dict)

    def line_of(self, place: Place) -> int | None:
        """The line of a value, or of the nearest thing around it; None for what is not there."""
        for length in range(len(place), 0, -1):
            if place[:length] in self.lines:
                return self.lines[place[:length]]
        return None


def parse_settings(text: str, name: str) -> SettingsFile:
    """Read `text`, the content of the file `name`. Raises `ConfigError` with the line."""
    if len(text) > _LARGEST:
        raise ConfigError(f"{name}: is larger than 1 MiB, which no settings are")
    found = SettingsFile(name)
    try:
        root = _compose(text, name)
        if root is None:
            return found
        values = _Reader(found).read(root, ())
    except yaml.YAMLError as error:
        raise ConfigError(_not_yaml(error, name, text)) from error
    if values is None:
        return found
    if not isinstance(values, dict):
        kind = "list" if isinstance(values, list) else type(values).__name__
        raise ConfigError(f"{name}: expected settings by name, found a {kind}")
    found.values = values
    return found


def _compose(text: str, name: str) -> yaml.Node | None:
    """The nodes of the one document, once their depth and number are known to be sane."""
    depth = 0
    for count, event in enumerate(yaml.parse(text, _LOADER)):
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEEPEST or count > _MOST:
            line = event.start_mark.line + 1 if event.start_mark else 1
            what = "is nested deeper" if depth > _DEEPEST else "holds more"
            raise ConfigError(f"{name}, line {line}: {what} than any settings are")
    node: yaml.Node | None = yaml.compose(text, _LOADER)
    return node


def _not_yaml(error: yaml.YAMLError, name: str, text: str) -> str:
    mark = getattr(error, "problem_mark", None)
    # What is never closed is missed below the last line.
    at = f", line {min(mark.line + 1, len(text.splitlines()))}" if mark else ""
    problem = getattr(error, "problem", None) or getattr(error, "reason", None) or "unreadable"
    return f"{name}{at}: not valid YAML: {problem}"


@dataclass
class _Reader:
    """Turns nodes into values, and notes where each stood."""

    found: SettingsFile
    count: int = 0

    def read(self, node: yaml.Node, place: Place) -> Any:
        """The value of `node`, which stands at `place`."""
        self.count += 1
        if self.count > _MOST or len(place) > _DEEPEST:
            # Anchors let a short file stand for an endless one.
            raise self._error(node, "its aliases stand for more than any settings are")
        self.found.lines.setdefault(place, node.start_mark.line + 1)
        if not node.tag.startswith(_STANDARD):
            raise self._error(node, f"the tag {node.tag!r} is not understood; leave it out")
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, place)
        if isinstance(node, yaml.SequenceNode):
            return [self.read(item, (*place, n)) for n, item in enumerate(node.value)]
        if not isinstance(node, yaml.ScalarNode):
            raise self._error(node, "expected a value")
        return self._scalar(node, place)

    def _mapping(self, node: yaml.MappingNode, place: Place) -> dict[str, Any]:
        values: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        lines: dict[str, int] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise self._error(key, "a name is text, found a list or a mapping")
            name = str(key.value)
            line = key.start_mark.line + 1
            if name == "<<" and not key.style:
                merged |= self._merged(value, place)
                continue
            if name in lines:
                raise self._error(key, f"{name} is set twice, first on line {lines[name]}")
            lines[name] = line
            self.found.lines[(*place, name)] = line
            values[name] = self.read(value, (*place, name))
        return {**merged, **values}

    def _merged(self, node: yaml.Node, place: Place) -> Mapping[str, Any]:
        """What ``<<`` takes in from the mapping, or the mappings, of its alias."""
        parts = node.value if isinstance(node, yaml.SequenceNode) else [node]
        merged: dict[str, Any] = {}
        for part in reversed(parts):
            if not isinstance(part, yaml.MappingNode):
                raise self._error(part, "<< takes in mappings, found something else")
            merged |= self._mapping(part, place)
        return merged

    def _scalar(self, node: yaml.ScalarNode, place: Place) -> Any:
        text = str(node.value)
        if node.tag.removeprefix(_STANDARD) not in (_PLAIN if not node.style else ("str",)):
            tag = node.tag.replace(_STANDARD, "!!")
            raise self._error(node, f"the tag {tag} is not understood; leave it out")
        if node.style:
            return text
        value = plain_value(text)
        if not isinstance(value, str):
            self.found.words[place] = text
        return value

    def _error(self, node: yaml.Node, what: str) -> ConfigError:
        return ConfigError(f"{self.found.name}, line {node.start_mark.line + 1}: {what}")


def plain_value(text: str) -> Any:
    """What unquoted text means: null, a boolean, a number, or itself."""
    if text in _NULL:
        return None
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    if _INTEGER.fullmatch(text):
        return int(text)
    return float(text) if _FLOAT.fullmatch(text) else text
