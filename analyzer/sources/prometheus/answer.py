"""The shapes that the API promises, checked before anything looks inside an answer.

Range answers may be large and are decoded while they arrive, see `decode`; everything else comes
whole and is read here. What is not of the promised shape is a `MalformedError` that names where.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec

from analyzer.sources.prometheus.failure import MalformedError

T = TypeVar("T")
_EARLIEST, _LATEST = 946_684_800.0, 4_102_444_800.0
"""The years 2000 and 2100: a clock outside them is no clock."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One series of an instant answer: its labels, time (Unix seconds) and value."""

    labels: dict[str, str]
    time: float
    value: float


RawSeries = tuple[dict[str, str], list[tuple[float, float]]]
"""Labels, and times (Unix seconds) with values."""


class _Envelope(msgspec.Struct):
    """What an answer says around its data."""

    status: str
    data: msgspec.Raw = msgspec.Raw()
    warnings: list[str] | None = None
    is_partial: bool | None = msgspec.field(default=None, name="isPartial")
    """What VictoriaMetrics says of an answer that lacks something."""

    @property
    def told(self) -> tuple[str, ...]:
        """What the server says is missing from its answer; empty when the answer is whole."""
        partial = ["the server marked its answer as partial"] if self.is_partial else []
        return (*(self.warnings or ()), *partial)


class _Result(msgspec.Struct):
    result_type: str = msgspec.field(name="resultType")
    result: msgspec.Raw


class _One(msgspec.Struct):
    metric: dict[str, str]
    value: tuple[float, str]


class _Many(msgspec.Struct):
    metric: dict[str, str]
    values: list[tuple[float, str]] = []


def read_vector(text: bytes) -> tuple[list[Sample], tuple[str, ...]]:
    """The samples of an instant vector, and the warnings of the answer."""
    envelope, result = _read_result(text, "vector")
    series = _decode(result, list[_One])
    found = [Sample(s.metric, _finite(s.value[0]), _number(s.value[1])) for s in series]
    return found, envelope.told


def read_series(text: bytes) -> tuple[list[RawSeries], tuple[str, ...]]:
    """The raw samples of a range selector, and the warnings of the answer."""
    result, told = read_tail(text, "matrix")
    return read_points(result), told


def read_label_sets(text: bytes) -> tuple[list[dict[str, str]], tuple[str, ...]]:
    """The label sets of ``/api/v1/series``, and the warnings of the answer."""
    envelope = _read_envelope(text)
    return _decode(envelope.data, list[dict[str, str]]), envelope.told


def read_names(text: bytes) -> tuple[list[str], tuple[str, ...]]:
    """The values of ``/api/v1/label/<name>/values``, and the warnings of the answer."""
    envelope = _read_envelope(text)
    return _decode(envelope.data, list[str]), envelope.told


def read_mapping(text: bytes) -> dict[str, Any]:
    """What ``/api/v1/status/<name>`` tells."""
    return _decode(_read_envelope(text).data, dict[str, Any])


def read_clock(text: bytes) -> float:
    """The server's clock in Unix seconds, from ``vector(time())``."""
    samples, _ = read_vector(text)
    if len(samples) != 1 or not _EARLIEST <= samples[0].value <= _LATEST:
        found = f"{samples[0].value:g}" if samples else "nothing"
        raise MalformedError(f"expected the time of the server, found {found}")
    return samples[0].value


def read_tail(text: bytes, kind: str) -> tuple[bytes, tuple[str, ...]]:
    """The results of `kind` as JSON, and the warnings, of an answer whose series were taken out."""
    envelope, result = _read_result(text, kind)
    return bytes(result), envelope.told


def read_points(result: bytes) -> list[RawSeries]:
    """The series of a matrix, from its ``result`` as JSON."""
    return [
        (s.metric, [(_finite(time), _number(value)) for time, value in s.values])
        for s in _decode(result, list[_Many])
    ]


def parse_labels(text: bytes) -> dict[str, str]:
    """The labels of one series, from their JSON."""
    return _decode(text, dict[str, str])


def _read_result(text: bytes, kind: str) -> tuple[_Envelope, msgspec.Raw]:
    envelope = _read_envelope(text)
    result = _decode(envelope.data, _Result)
    if result.result_type != kind:
        raise MalformedError(f"expected a {kind}, found {result.result_type[:80]!r}")
    return envelope, result.result


def _read_envelope(text: bytes) -> _Envelope:
    envelope = _decode(text, _Envelope)
    if envelope.status != "success" or not bytes(envelope.data):
        raise MalformedError(f"expected a successful answer, found {_start(text)}")
    return envelope


def _decode(text: bytes | msgspec.Raw, shape: type[T]) -> T:
    try:
        return msgspec.json.decode(text, type=shape)
    except msgspec.ValidationError as error:
        raise MalformedError(
            f"the answer is not what the API promises: {error}; it begins {_start(bytes(text))}"
        ) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedError(
            f"the answer is cut off or not JSON: it begins {_start(bytes(text))}"
        ) from error


def _number(text: str) -> float:
    """A value as Prometheus writes it: a number, NaN or an infinity."""
    try:
        return float(text)
    except ValueError:
        raise MalformedError(f"expected a number, found {text[:40]!r}") from None


def _finite(time: float) -> float:
    if not math.isfinite(time):
        raise MalformedError(f"expected a time, found {time}")
    return time


def _start(text: bytes) -> str:
    return repr(text[:80].decode("utf-8", "replace"))
