r"""Decode the answers of a range query while they arrive, without an object per point.

An answer is ``{"status":"success","data":{"resultType":"matrix","result":[`` followed by
``{"metric":{...},"values":[[t,"v"],...]}`` per series and a tail. The bytes are cut at the series,
the numbers of many series are read as one table of two columns, and what is left over when the
series are taken out is the envelope, itself JSON. The cut is safe because a quote inside a label
value is always written ``\"``: ``{"metric":`` and ``,"values":[[`` cannot occur within one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa
import pyarrow.csv as pa_csv

from analyzer.sources.prometheus.answer import RawSeries, read_points, read_tail
from analyzer.sources.prometheus.failure import MalformedError

_METRIC = b'{"metric":'
_VALUES = b',"values":[['
_END = b"]]}"
_LINES = bytes.maketrans(b"]", b"\n")

Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Batch:
    """Some series: their labels as JSON text, how many points each has, and all points in a row.

    `times` are Unix seconds; values that are not numbers come as NaN or infinity, as sent.
    """

    labels: list[bytes]
    counts: npt.NDArray[np.int64]
    times: Doubles
    values: Doubles


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

    def finish(self) -> tuple[tuple[str, ...], Batch | None]:
        """Check the whole answer; return its warnings and what could not be cut as it arrived.

        Raises `MalformedError` where the answer is cut off or not a matrix.
        """
        result, warnings = read_tail(b"".join([*self._outside, self._rest]), "matrix")
        series = read_points(result)
        return warnings, _from_objects(series) if series else None


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
    except pa.ArrowException as error:
        raise MemoryError(str(error)) from error  # such as a thread that the system refuses
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


def _from_objects(series: Sequence[RawSeries]) -> Batch:
    """Series that arrived in another spelling of the same JSON (spaces, another key order)."""
    labels = [orjson.dumps(names) for names, _ in series]
    counts = np.array([len(points) for _, points in series], dtype=np.int64)
    table = np.array([point for _, points in series for point in points], dtype=np.float64)
    table = table.reshape(-1, 2)
    return Batch(labels, counts, table[:, 0], table[:, 1])
