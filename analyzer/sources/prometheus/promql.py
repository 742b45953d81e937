"""PromQL as text: matchers, selectors and the expressions that are asked, safely escaped.

Pure functions from names to text. Label values come from a cluster, that is from strangers, so
every one passes `quote`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from analyzer.errors import UsageError

_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*", re.ASCII)
_METRIC = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*", re.ASCII)
_MATCHER = re.compile(
    r'\s*(?P<label>[a-zA-Z_][a-zA-Z0-9_]*)\s*(?P<operator>=~|!~|!=|=)\s*"(?P<value>(?:[^"\\]|\\.)*)"\s*',
    re.ASCII,
)
_REGEX_SPECIAL = re.compile(r"[\\.+*?()|\[\]{}^$]")
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", '"': '"', "\\": "\\"}
_CONTROL = 0x20


@dataclass(frozen=True, slots=True, order=True)
class Matcher:
    """One condition on a label; `operator` is ``=``, ``!=``, ``=~`` or ``!~``."""

    label: str
    operator: str
    value: str

    def __post_init__(self) -> None:
        if not _LABEL.fullmatch(self.label):
            raise UsageError(f"{self.label!r} is not a label name of Prometheus")

    def __str__(self) -> str:
        return f"{self.label}{self.operator}{quote(self.value)}"

    def negated(self) -> Matcher:
        """The matcher that holds exactly where this one does not."""
        opposite = {"=": "!=", "!=": "=", "=~": "!~", "!~": "=~"}
        return Matcher(self.label, opposite[self.operator], self.value)


Matchers = tuple[Matcher, ...]


def quote(value: str) -> str:
    r"""Write `value` as a PromQL string literal: ``a"b`` becomes ``"a\"b"``."""
    out = []
    for character in value:
        if character in '"\\':
            out.append("\\" + character)
        elif character == "\n":
            out.append("\\n")
        elif ord(character) < _CONTROL or ord(character) == 0x7F:
            out.append(f"\\u{ord(character):04x}")
        else:
            out.append(character)
    return '"' + "".join(out) + '"'


def literal(value: str) -> str:
    """Write `value` as a regular expression (RE2) that matches only itself."""
    return _REGEX_SPECIAL.sub(lambda match: "\\" + match.group(), value)


def equals(label: str, value: str) -> Matcher:
    """``label="value"``."""
    return Matcher(label, "=", value)


def one_of(label: str, values: Iterable[str]) -> Matcher:
    """``label=~"a|b"`` for exactly these values, as ``label="a"`` where there is one."""
    ordered = sorted(set(values))
    if len(ordered) == 1:
        return equals(label, ordered[0])
    return Matcher(label, "=~", "|".join(map(literal, ordered)))


def parse_matchers(text: str) -> Matchers:
    """Read matchers as people write them: ``job="kubelet",image!=""``, braces optional.

    Raises `UsageError` for anything that is not a list of matchers.
    """
    inner = text.strip()
    if inner.startswith("{") and inner.endswith("}"):
        inner = inner[1:-1]
    matchers: list[Matcher] = []
    position = 0
    while position < len(inner):
        found = _MATCHER.match(inner, position)
        if found is None:
            raise UsageError(
                f'{text!r} is not a list of label matchers; write for example job="kubelet"'
            )
        value = re.sub(r"\\(.)", _unescape, found["value"])
        matchers.append(Matcher(found["label"], found["operator"], value))
        position = found.end()
        if position < len(inner):
            if inner[position] != ",":
                raise UsageError(f"{text!r}: expected a comma at {inner[position:]!r}")
            position += 1
    return tuple(matchers)


def _unescape(match: re.Match[str]) -> str:
    return _ESCAPES.get(match.group(1), match.group(0))


def selector(metric: str, matchers: Sequence[Matcher] = ()) -> str:
    """``metric{a="b",c=~"d"}``, with each matcher once."""
    if not _METRIC.fullmatch(metric):
        raise UsageError(f"{metric!r} is not a metric name of Prometheus")
    inner = ",".join(dict.fromkeys(str(matcher) for matcher in matchers))
    return f"{metric}{{{inner}}}" if inner else metric


def narrowed(series: str, more: Sequence[Matcher]) -> str:
    """`series`, a selector as `selector` and `any_of` write it, with further matchers."""
    inner = ",".join(map(str, more))
    if not inner:
        return series
    return f"{series[:-1]},{inner}}}" if series.endswith("}") else f"{series}{{{inner}}}"


def any_of(metrics: Iterable[str], matchers: Sequence[Matcher] = ()) -> str:
    """``{__name__=~"a|b",c="d"}``: the series of several metrics at once."""
    inner = dict.fromkeys(str(matcher) for matcher in (one_of("__name__", metrics), *matchers))
    return f"{{{','.join(inner)}}}"


def duration(length: timedelta) -> str:
    """A PromQL duration in the largest single unit that is exact: ``5m``, ``90s``, ``299999ms``."""
    milliseconds = length // timedelta(milliseconds=1)
    if milliseconds <= 0:
        raise UsageError(f"a PromQL range must be positive, found {length}")
    for unit, size in (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000)):
        if milliseconds % size == 0:
            return f"{milliseconds // size}{unit}"
    return f"{milliseconds}ms"


def over(function: str, series: str, window: timedelta) -> str:
    """``function(series[window])``, for example ``rate(x[5m])``."""
    return f"{function}({series}[{duration(window)}])"


@dataclass(frozen=True, slots=True)
class Over:
    """``function(metric{matchers}[window])`` in parts, for whoever evaluates it himself."""

    function: str
    metric: str
    matchers: Matchers
    window: timedelta

    def __str__(self) -> str:
        return over(self.function, selector(self.metric, self.matchers), self.window)


def left_open(window: timedelta) -> timedelta:
    """`window` without its first instant.

    Prometheus 2 counts a sample that lies exactly at ``t - window``, Prometheus 3 does not. One
    millisecond less makes both read ``(t - window, t]``, because samples have millisecond times.
    """
    return window - timedelta(milliseconds=1)


def largest_by(labels: Sequence[str], expression: str) -> str:
    """``max by (labels) (expression)``: one series each, whatever else told them apart."""
    for label in labels:
        if not _LABEL.fullmatch(label):
            raise UsageError(f"{label!r} is not a label name of Prometheus")
    return f"max by ({','.join(labels)}) ({expression})"
