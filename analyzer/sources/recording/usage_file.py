"""The usage table of a recording: Parquet rows on disk, ragged arrays in memory.

Rows are written series after series, a hundred thousand or so to a row group, and read back group
by group, so that ten thousand containers never stand in memory as rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from analyzer.errors import RecordingError
from analyzer.parquet import is_refusal, open_parquet, read_parquet
from analyzer.room import IN_MEMORY, Room
from analyzer.sources.prometheus.ragged import (
    Grid,
    Origin,
    Runs,
    assemble,
    in_own_pages,
    overlapping,
)
from analyzer.tables import NAMES, VALUES
from analyzer.usage import Floats, Ints, Meta, Usage, as_floats
from analyzer.workload import ContainerRef

_ROW_GROUP = 100_000
_KEYS = [*NAMES, "pod"]


def unreadable(path: Path, error: Exception) -> RecordingError:
    """What is said of a file that could not be read: broken only where that is the file's fault."""
    if is_refusal(error):
        return RecordingError(f"{path} cannot be read just now: {error}")
    return RecordingError(f"{path} is broken: {error}; record or fetch it anew")


def read_usage(path: Path, meta: Meta, room: Room = IN_MEMORY) -> Usage:
    """Read the usage table at `path` into `room`; rows outside the window of `meta` are left out.

    A table with one row per pod and step goes straight into arrays. Finer or doubled rows take
    the long way of `Usage.from_frame`, which averages CPU within a step. Raises `RecordingError`
    where the file is broken, or no usage table.
    """
    grid = Grid(meta.start, meta.step, meta.steps)
    lanes: dict[tuple[str, ...], int] = {}
    try:
        names = pq.read_schema(path).names
        _check_columns(names)
        runs: dict[str, list[Runs]] = {n: [] for n in VALUES if n in (*VALUES[:2], *names)}
        with open_parquet(path, read_dictionary=_KEYS) as file:
            for number in range(file.num_row_groups):
                table = file.read_row_group(number, use_threads=False)
                for name, some in _runs(table, grid, lanes, list(runs)).items():
                    runs[name].append(some)
        if overlapping(runs["cpu_cores"]):
            return Usage.from_frame(read_parquet(path), meta)
    except MemoryError:
        raise  # that nothing is left is no fault of the file
    except (OSError, pa.ArrowException) as error:
        raise unreadable(path, error) from error
    except RecordingError as error:
        raise RecordingError(f"{path}: {error}") from error
    origins = {
        lane: Origin(ContainerRef(meta.cluster, *key[:4]), key[4]) for key, lane in lanes.items()
    }
    cpu, memory = runs.pop("cpu_cores"), runs.pop("memory_bytes")
    return assemble(grid, cpu, memory, origins, runs, room)


def write_usage(usage: Usage, path: Path) -> None:
    """Write every observed sample of `usage`, sorted by container, pod and time."""
    schema = _schema(usage)
    with pq.ParquetWriter(
        path,
        schema,
        compression="zstd",
        compression_level=6,
        # Measured values hardly repeat: a dictionary of them made files a third larger, and its
        # making took 30 MB.
        use_dictionary=_KEYS,
        column_encoding={"timestamp": "DELTA_BINARY_PACKED"},
    ) as writer:
        for low, high in _groups(usage.offset):
            writer.write_table(_table(usage, low, high, schema))


def _schema(usage: Usage) -> pa.Schema:
    """The columns of a usage table that holds `usage`."""
    return pa.schema(
        [
            *((name, pa.dictionary(pa.int32(), pa.string())) for name in _KEYS),
            ("timestamp", pa.timestamp("ms", tz="UTC")),
            *((name, _type(name)) for name in usage.values),
        ]
    )


def _type(name: str) -> pa.DataType:
    return pa.float32() if name == "cpu_cores" else pa.float64()


def _check_columns(names: Sequence[str]) -> None:
    missing = [name for name in (*_KEYS, "timestamp") if name not in names]
    if missing:
        raise RecordingError(
            f"the usage table lacks the column(s) {', '.join(missing)}; it has {', '.join(names)}"
        )
    if not any(name in names for name in VALUES[:2]):
        raise RecordingError("the usage table has neither cpu_cores nor memory_bytes; add one")


def _runs(
    table: pa.Table, grid: Grid, lanes: dict[tuple[str, ...], int], wanted: Sequence[str]
) -> dict[str, Runs]:
    """The `wanted` values of one row group, cut where the pod or the time jumps."""
    codes, names = _series(table)
    cell = _cells(table["timestamp"], grid)
    values = {name: _numbers(table, name) for name in wanted}
    inside = (cell >= 0) & (cell < grid.steps)
    if not inside.all():
        codes, cell = codes[inside], cell[inside]
        values = {name: column[inside] for name, column in values.items()}
    begins = np.ones(len(cell), dtype=bool)
    begins[1:] = (np.diff(cell) != 1) | (np.diff(codes) != 0)
    begin = np.flatnonzero(begins)
    number = {code: lanes.setdefault(name, len(lanes)) for code, name in names.items()}
    lane = np.fromiter((number[code] for code in codes[begin].tolist()), np.int64, len(begin))
    count = np.diff(np.append(begin, len(cell)))
    return {
        name: Runs(lane, cell[begin], count, in_own_pages(column))
        for name, column in values.items()
    }


def _series(table: pa.Table) -> tuple[Ints, Mapping[int, tuple[str, ...]]]:
    """A number for each row's names, and the names behind each number."""
    codes = np.zeros(table.num_rows, dtype=np.int64)
    columns: list[list[Any]] = []
    for name in _KEYS:
        column = table[name].combine_chunks()
        if not isinstance(column, pa.DictionaryArray):
            column = pc.cast(column, pa.string()).dictionary_encode()
        if column.null_count:
            raise RecordingError(f"the usage table has rows without {name}; drop them")
        values = column.dictionary.to_pylist()
        codes = codes * max(1, len(values)) + column.indices.to_numpy(zero_copy_only=False)
        columns.append(values)
    return codes, {code: _decode(code, columns) for code in np.unique(codes).tolist()}


def _decode(code: int, columns: Sequence[Sequence[Any]]) -> tuple[str, ...]:
    names = []
    for values in reversed(columns):
        code, index = divmod(code, max(1, len(values)))
        names.append(str(values[index]))
    return tuple(reversed(names))


def _cells(times: pa.ChunkedArray, grid: Grid) -> Ints:
    """The step each time falls into: (start, start + step] is step 0."""
    if not pa.types.is_timestamp(times.type):
        raise RecordingError(f"the usage column timestamp holds {times.type}, not times")
    if times.null_count:
        raise RecordingError("the usage table has rows without a timestamp; drop them")
    micros = times.cast(pa.timestamp("us", tz=times.type.tz), safe=False).cast(pa.int64())
    since = micros.to_numpy() - round(grid.start.timestamp() * 1e6)
    step = round(grid.step.total_seconds() * 1e6)
    cells: Ints = -(-since // step) - 1
    return cells


def _numbers(table: pa.Table, name: str) -> Floats:
    if name not in table.column_names:
        return np.full(table.num_rows, np.nan, dtype=np.float32)
    column = table[name]
    if not (pa.types.is_floating(column.type) or pa.types.is_integer(column.type)):
        raise RecordingError(f"the usage column {name} holds {column.type}, not numbers")
    return as_floats(column.cast(pa.float64()).to_numpy())


def _groups(offset: Ints) -> Iterator[tuple[int, int]]:
    """Ranges of series with about `_ROW_GROUP` rows each."""
    low = 0
    while low < len(offset) - 1:
        high = int(np.searchsorted(offset, offset[low] + _ROW_GROUP, side="right")) - 1
        high = max(high, low + 1)
        yield low, high
        low = high


def _table(usage: Usage, low: int, high: int, schema: pa.Schema) -> pa.Table:
    where = slice(int(usage.offset[low]), int(usage.offset[high]))
    lengths = np.diff(usage.offset[low : high + 1])
    step = np.arange(where.start, where.stop) + np.repeat(
        usage.first[low:high] - usage.offset[low:high], lengths
    )
    refs = [usage.containers[index] for index in usage.container[low:high]]
    names = (
        [ref.namespace for ref in refs],
        [ref.kind for ref in refs],
        [ref.workload for ref in refs],
        [ref.container for ref in refs],
        list(usage.pods[low:high]),
    )
    columns = [_repeat(values, lengths) for values in names]
    start = round(usage.start.timestamp() * 1000)
    milliseconds = start + (step + 1) * round(usage.step.total_seconds() * 1000)
    columns.append(pa.array(milliseconds, pa.timestamp("ms", tz="UTC")))
    for name, array in usage.values.items():
        column = array[where] if name == "cpu_cores" else array[where].astype(np.float64)
        columns.append(pa.array(column, _type(name), from_pandas=True))
    table = pa.Table.from_arrays(columns, schema=schema)
    seen = usage.observed(where)
    return table if seen.all() else table.filter(pa.array(seen))


def _repeat(values: list[str], lengths: Ints) -> pa.DictionaryArray:
    encoded = pa.array(values, pa.string()).dictionary_encode()
    codes = np.repeat(encoded.indices.to_numpy(), lengths).astype(np.int32)
    return pa.DictionaryArray.from_arrays(pa.array(codes, pa.int32()), encoded.dictionary)
