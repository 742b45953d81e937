r"""Decode the answers of a range query while they arrive, without an object per point.

An answer is ``{"status":"success","data":{"resultType":"matrix","result":[`` followed by
``{"metric":{...},"values":[[t,"v"],...]}`` per series and a tail. The bytes are cut at the series,
the numbers of many series are read as one table of two columns, and what is left over when the
series are taken out is the envelope, itself JSON. The cut is safe because a quote inside a label
value is always written ``\"``: ``{"metric":`` and ``,"values":[[`` cannot occur within one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa
import pyarrow.csv as pa_csv

from analyzer.errors import SourceError

_METRIC = b'{"metric":'
_VALUES = b',"values":[['
_END = b"]]}"
_LINES = bytes.maketrans(b"]", b"\n")

Doubles = npt.NDArray[np.float64]


class MalformedError(SourceError):
    """An answer that is cut off, or is not what the API promises."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Some series: their labels as JSON text, how many points each has, and all points in a row.

    `times` are Unix seconds; values that are not numbers come as NaN or infinity, as sent.
    """

    labels: list[bytes]
    counts: npt.NDArray[np.int64]
    times: Doubles
    values: Doubles


@dataclass(frozen=True, slots=True)
class Envelope:
    """What an answer says around its data."""

    warnings: tuple[str, ...]


def read_envelope(body: Mapping[str, Any], kind: str) -> Envelope:
    """Check that `body` is a successful answer with results of `kind`."""
    data = body.get("data")
    if body.get("status") != "success" or not isinstance(data, Mapping):
        raise MalformedError(f"expected a successful answer, found {str(body)[:200]}")
    if data.get("resultType") != kind:
        raise MalformedError(f"expected a {kind}, found {data.get('resultType')!r}")
    return Envelope(read_warnings(body))


def read_warnings(body: Mapping[str, Any]) -> tuple[str, ...]:
    """What the server says is missing from its answer; empty when the answer is whole."""
    warnings = tuple(str(warning) for warning in body.get("warnings") or ())
    if body.get("isPartial") is True:
        warnings += ("the server marked its answer as partial",)
    return warnings


class MatrixDecoder:
    """Turns the bytes of one range answer into batches: `feed` as they arrive, then `finish`."""

    def __init__(self) -> None:
        self._rest = b""
        self._outside: list[bytes] = []
        self._within = False

    def feed(self, data: bytes) -> Batch | None:
        """Take more bytes; return the series that are complete now, if any."""
        buffer = self._rest + data if self._rest else data
        position = 0
        if not self._within:
            begin = buffer.find(_METRIC)
            if begin < 0:
                self._rest = buffer
                return None
            self._outside.append(buffer[:begin])
            self._within = True
            position = begin
        labels: list[bytes] = []
        numbers: list[bytes] = []
        while buffer.startswith(_METRIC, position):
            middle = buffer.find(_VALUES, position)
            end = buffer.find(_END, middle) if middle >= 0 else -1
            # The byte behind the series must be there too, to tell a comma from the tail.
            if end < 0 or end + 3 >= len(buffer):
                break
            labels.append(buffer[position + len(_METRIC) : middle])
            numbers.append(buffer[middle + len(_VALUES) : end])
            position = end + 3
            if buffer.startswith(b",", position):
                position += 1
        self._rest = buffer[position:]
        return read_numbers(labels, numbers) if labels else None

    def finish(self) -> tuple[Envelope, Batch | None]:
        """Check the whole answer; also return what could not be cut while it arrived.

        Raises `MalformedError` where the answer is cut off or not a matrix.
        """
        try:
            body = orjson.loads(b"".join([*self._outside, self._rest]))
        except orjson.JSONDecodeError as error:
            text = (b"".join(self._outside) + self._rest)[:80].decode("utf-8", "replace")
            raise MalformedError(f"the answer is cut off or not JSON: {text!r}") from error
        if not isinstance(body, dict):
            raise MalformedError(f"expected an answer of the API, found {str(body)[:80]}")
        envelope = read_envelope(body, "matrix")
        result = body["data"].get("result") or []
        return envelope, _from_objects(result) if result else None


def read_numbers(labels: list[bytes], numbers: list[bytes]) -> Batch:
    """Read ``t,"v"],[t,"v"`` of many series at once."""
    counts = np.fromiter((text.count(b"[") for text in numbers), np.int64, len(numbers)) + 1
    # Dropping quotes and "[" and breaking lines at "]" leaves ",t,v" per line, in one pass.
    text = (b"," + b"],[".join(numbers)).translate(_LINES, b'"[')
    try:
        table = _read_table(text)
    except pa.ArrowInvalid:
        # "+Inf" is no number to Arrow, and neither is damage: tell them apart slowly.
        table = _read_slowly(numbers)
    times, values = table
    if len(times) != counts.sum() or not np.isfinite(times).all():
        raise MalformedError(
            "a series of the answer is damaged: its points are not pairs of numbers"
        )
    return Batch(labels, counts, times, values)


def _read_table(text: bytes) -> tuple[Doubles, Doubles]:
    table = pa_csv.read_csv(
        pa.BufferReader(text),
        read_options=pa_csv.ReadOptions(
            use_threads=False, column_names=["", "time", "value"], block_size=len(text) + 1
        ),
        parse_options=pa_csv.ParseOptions(quote_char=False, ignore_empty_lines=False),
        convert_options=pa_csv.ConvertOptions(
            column_types={"time": pa.float64(), "value": pa.float64()},
            include_columns=["time", "value"],
            null_values=["NaN"],
        ),
        memory_pool=pa.system_memory_pool(),  # Arrow's own would keep what it frees
    )
    return table["time"].to_numpy(), table["value"].to_numpy()


def _read_slowly(numbers: Iterable[bytes]) -> tuple[Doubles, Doubles]:
    try:
        pairs = [pair for text in numbers for pair in orjson.loads(b"[[" + text + b"]]")]
        table = np.array([(float(time), float(value)) for time, value in pairs], dtype=np.float64)
    except (ValueError, TypeError) as error:
        raise MalformedError(f"a series of the answer is damaged: {error}") from error
    return table[:, 0], table[:, 1]


def _from_objects(result: Any) -> Batch:
    """Series that arrived in another spelling of the same JSON (spaces, another key order)."""
    labels, counts, pairs = [], [], []
    try:
        for series in result:
            labels.append(orjson.dumps(series["metric"]))
            counts.append(len(series["values"]))
            pairs += [(float(time), float(value)) for time, value in series["values"]]
    except (ValueError, TypeError, KeyError) as error:
        raise MalformedError(f"a series of the answer is damaged: {error!r}") from error
    table = np.array(pairs, dtype=np.float64).reshape(-1, 2)
    return Batch(labels, np.array(counts, dtype=np.int64), table[:, 0], table[:, 1])
