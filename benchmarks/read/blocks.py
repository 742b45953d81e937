"""Blocks of a Prometheus, written as it writes them: for history that nobody has scraped.

`promtool` makes the same of OpenMetrics text, at five microseconds and 280 bytes a sample, which
is hours and hundreds of gigabytes for ten thousand containers over two weeks. Here chunks are
encoded side by side in NumPy. The formats are those of the files ``tsdb/docs/format/chunks.md``
and ``index.md`` of Prometheus.
"""

from __future__ import annotations

import json
import re
import struct
import sys
from array import array
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

SAMPLES_PER_CHUNK = 120
_BATCH = 40_000
"""Chunks that are encoded at once: about 80 MB."""
_SEGMENT = 500 * 2**20
"""A file of chunks ends before 512 MiB."""
_LABEL = re.compile(r'(\w+)="([^"]*)"')
_ONE_BIT = np.uint64(1)


Labels = tuple[tuple[str, str], ...]


@dataclass(slots=True)
class Series:
    """What the index says of one series: first and last time in ms and place of every chunk."""

    labels: Labels
    chunks: array[int] = field(default_factory=lambda: array("q"))

    def triples(self) -> list[tuple[int, int, int]]:
        """The chunks in order of time."""
        numbers = iter(self.chunks)
        return sorted(zip(numbers, numbers, numbers, strict=True))


def read_labels(series: str) -> Labels:
    """The sorted labels of ``name{label="value",...}``."""
    name, _, rest = series.partition("{")
    found = sorted([("__name__", name), *_LABEL.findall(rest)])
    return tuple((sys.intern(label), sys.intern(value)) for label, value in found)


_Chunk = tuple[Series, int, int, np.ndarray]
"""Of which series; first time and step in ms; values."""


class Block:
    """One block from `low` to `high` (seconds, exclusive), filled series by series."""

    def __init__(self, folder: Path, low: int, high: int) -> None:
        self.low, self.high = low, high
        self.ulid = _ulid(low)
        self.folder = folder / self.ulid
        self._series: list[Series] = []
        # What never changes apart from what does: the first is encoded at a stroke.
        self._pending: dict[bool, list[_Chunk]] = {True: [], False: []}
        self._segments = _Segments(self.folder / "chunks")
        self.samples = 0

    def add(self, labels: Labels, times: np.ndarray, values: np.ndarray) -> None:
        """Add the part within this block of evenly spaced samples; times in seconds."""
        here = slice(*np.searchsorted(times, [self.low, self.high]))
        times, values = times[here], values[here]
        if not len(times):
            return
        step = int(times[1] - times[0]) if len(times) > 1 else 1
        found = Series(labels)
        self._series.append(found)
        self.samples += len(times)
        even = bool(np.all(values == values[0]))
        for begin in range(0, len(times), SAMPLES_PER_CHUNK):
            part = values[begin : begin + SAMPLES_PER_CHUNK]
            self._pending[even].append((found, 1000 * int(times[begin]), 1000 * step, part))
        if len(self._pending[even]) >= _BATCH:
            self._flush(even)

    def _flush(self, even: bool) -> None:
        # The longest first, so that those which still go on are always the first ones.
        pending = sorted(self._pending[even], key=lambda chunk: -len(chunk[3]))
        self._pending[even] = []
        if not pending:
            return
        starts = np.array([start for _, start, _, _ in pending])
        steps = np.array([step for _, _, step, _ in pending])
        encoded = encode(starts, steps, [values for *_, values in pending])
        for (series, start, step, values), data in zip(pending, encoded, strict=True):
            end = start + step * (len(values) - 1)
            series.chunks.extend((start, end, self._segments.write(data)))

    def close(self) -> None:
        """Write what is left, the index and the description."""
        for even in self._pending:
            self._flush(even)
        self._segments.close()
        self._series = _joined(self._series)
        (self.folder / "index").write_bytes(_index(self._series))
        stats = {
            "numSamples": self.samples,
            "numSeries": len(self._series),
            "numChunks": sum(len(series.chunks) // 3 for series in self._series),
        }
        meta = {
            "ulid": self.ulid,
            "minTime": 1000 * self.low,
            "maxTime": 1000 * self.high,
            "stats": stats,
            "compaction": {"level": 1, "sources": [self.ulid]},
            "version": 1,
        }
        (self.folder / "meta.json").write_text(json.dumps(meta))


def _joined(series: list[Series]) -> list[Series]:
    """In the order of their labels; what was added in parts under the same labels is one."""
    found: list[Series] = []
    for each in sorted(series, key=lambda one: one.labels):
        if found and found[-1].labels == each.labels:
            found[-1].chunks.extend(each.chunks)
        else:
            found.append(each)
    return found


class _Segments:
    """The files of chunks; a place is the number of the file and the offset in it."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        self._folder, self._number = folder, -1
        self._begin()

    def _begin(self) -> None:
        self._number += 1
        self._file = (self._folder / f"{self._number + 1:06d}").open("wb")
        self._file.write(struct.pack(">IB3x", 0x85BD40DD, 1))
        self._offset = 8

    def write(self, chunk: bytes) -> int:
        if self._offset + len(chunk) > _SEGMENT:
            self._file.close()
            self._begin()
        place = self._number << 32 | self._offset
        self._file.write(chunk)
        self._offset += len(chunk)
        return place

    def close(self) -> None:
        self._file.close()


def encode(starts: np.ndarray, steps: np.ndarray, values: list[np.ndarray]) -> list[bytes]:
    """Chunks of samples at even steps (ms), the longest first, each with length and checksum."""
    counts = np.array([len(each) for each in values])
    table = np.empty((counts[0], len(values)))
    for column, each in enumerate(values):
        table[: len(each), column] = each
        table[len(each) :, column] = each[-1]
    bits = _Bits(len(values), 24 + 10 * int(counts[0]))
    bits.put(counts, 16)
    bits.put(*_varints(2 * starts))  # zigzag of what is positive
    raw = table.view(np.uint64)
    bits.put(raw[0], 64)
    leading = np.full(len(values), 255)
    trailing = np.zeros(len(values), dtype=np.int64)
    for row in range(1, counts[0]):
        on = int(np.searchsorted(-counts, -row))  # those of more samples than `row`
        if row == 1:
            bits.put(*_varints(steps[:on]))
            if (raw == raw[0]).all():  # then every sample is one bit, and its step another
                bits.skip(2 * counts[:on] - 3)
                break
        else:
            bits.put(np.zeros(on, dtype=np.uint64), 1)  # the same step as before
        _put_value(bits, raw[row, :on] ^ raw[row - 1, :on], leading[:on], trailing[:on])
    return _framed(*bits.bytes())


def _put_value(bits: _Bits, xor: np.ndarray, leading: np.ndarray, trailing: np.ndarray) -> None:
    """Gorilla's code of a value (Pelkonen et al. 2015, 4.1.2), as Prometheus writes it."""
    same = xor == 0
    zeros = np.minimum(_leading_zeros(xor), 31)
    ends = _leading_zeros(xor & (~xor + _ONE_BIT))
    ends = np.where(same, 0, 63 - ends)
    fits = (leading != 255) & (zeros >= leading) & (ends >= trailing) & ~same
    anew = ~fits & ~same
    leading[anew], trailing[anew] = zeros[anew], ends[anew]
    length = np.where(same, 0, 64 - leading - trailing)
    head = leading << 6 | (length & 63) | 0b11 << 11
    control = np.where(anew, head, np.where(fits, 0b10, 0))
    bits.put(control, np.where(anew, 13, np.where(fits, 2, 1)))
    bits.put(xor >> np.where(same, 0, trailing).astype(np.uint64), length)


def _leading_zeros(numbers: np.ndarray) -> np.ndarray:
    """Of 64-bit words; 64 for zero. Halves are exact as floats, and their exponent counts."""
    high = (numbers >> np.uint64(32)).astype(np.float64)
    low = (numbers & np.uint64(0xFFFFFFFF)).astype(np.float64)
    return np.where(high > 0, 32 - np.frexp(high)[1], 64 - np.frexp(low)[1])


def _varints(numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Numbers below 2^56 as variable-length integers: their bits, and how many."""
    rest = numbers.astype(np.uint64)
    out = np.zeros(len(rest), dtype=np.uint64)
    width = np.zeros(len(rest), dtype=np.int64)
    more = np.ones(len(rest), dtype=bool)
    while more.any():
        byte = (rest & np.uint64(127)) | np.where(rest > 127, 128, 0).astype(np.uint64)
        out = np.where(more, out << np.uint64(8) | byte, out)
        width += np.where(more, 8, 0)
        more &= rest > 127
        rest >>= np.uint64(7)
    return out, width


class _Bits:
    """Strings of bits, one a chunk, that grow side by side."""

    def __init__(self, count: int, size: int) -> None:
        self._words = np.zeros((-(-size // 8) + 1) * count, dtype=np.uint64)
        self._count = count
        self._end = np.zeros(count, dtype=np.int64)

    def put(self, values: np.ndarray, widths: np.ndarray | int) -> None:
        """Append the lowest `widths` bits of `values` to the first ``len(values)`` strings."""
        values = values.astype(np.uint64)
        on = len(values)
        end = self._end[:on]
        over = ((end & 63) + widths - 64).astype(np.int64)  # bits for the next word
        place = (end >> 6) * self._count + np.arange(on)
        whole = over <= 0
        shift = np.abs(over).astype(np.uint64)
        self._words[place] |= np.where(whole, values << shift, values >> shift)
        spill = np.flatnonzero(~whole)
        rest = values[spill] << (np.uint64(64) - shift[spill])
        self._words[place[spill] + self._count] |= rest
        self._end[:on] += widths

    def skip(self, widths: np.ndarray) -> None:
        """Append zeros to the first ``len(widths)`` strings."""
        self._end[: len(widths)] += widths

    def bytes(self) -> tuple[np.ndarray, np.ndarray]:
        """A row of bytes for each string, and how many of them count."""
        words = self._words.reshape(-1, self._count).T
        rows = np.ascontiguousarray(words, dtype=">u8").view(np.uint8)
        return rows.reshape(self._count, -1), -(-self._end // 8)


def _framed(rows: np.ndarray, lengths: np.ndarray) -> list[bytes]:
    """Each chunk with its length before, its encoding (1: XOR), and its checksum behind."""
    sums = _checksums(rows, lengths)
    return [
        _varint(length) + b"\x01" + row[:length].tobytes() + struct.pack(">I", checksum)
        for row, length, checksum in zip(rows, lengths.tolist(), sums.tolist(), strict=True)
    ]


def _castagnoli() -> np.ndarray:
    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = np.where(table & 1, table >> 1 ^ np.uint32(0x82F63B78), table >> 1)
    return table.astype(np.uint32)


_TABLE = _castagnoli()


def _checksums(rows: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """CRC-32C of the byte 1 and the first `lengths` bytes of every row."""
    order = np.argsort(-lengths, kind="stable")
    columns = np.ascontiguousarray(rows[order, : int(lengths.max())].T)
    ends = -lengths[order]
    sums = np.full(len(rows), _step(np.uint32(0xFFFFFFFF), np.uint8(1)), dtype=np.uint32)
    for index, column in enumerate(columns):
        on = int(np.searchsorted(ends, -index))
        sums[:on] = _step(sums[:on], column[:on])
    found = np.empty_like(sums)
    found[order] = ~sums
    return found


def _step(sums: np.ndarray, byte: np.ndarray) -> np.ndarray:
    stepped: np.ndarray = _TABLE[(sums ^ byte) & np.uint32(255)] ^ (sums >> np.uint32(8))
    return stepped


def _checksum(data: bytes) -> int:
    """CRC-32C of one piece."""
    table = _TABLE.tolist()
    found = 0xFFFFFFFF
    for byte in data:
        found = table[(found ^ byte) & 255] ^ (found >> 8)
    return found ^ 0xFFFFFFFF


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes([*out, number])


def _index(series: list[Series]) -> bytes:
    """The index of sorted `series`: symbols, series, postings and where they are."""
    out = bytearray(struct.pack(">IB", 0xBAAAD700, 2))
    symbols = sorted({text for each in series for pair in each.labels for text in pair})
    out_symbols = len(out)
    body = b"".join(_text(symbol) for symbol in symbols)
    out += _section(struct.pack(">I", len(symbols)) + body)
    number = {symbol: _varint(index) for index, symbol in enumerate(symbols)}
    _align(out, 16)
    out_series = len(out)
    postings: dict[tuple[str, str], list[int]] = defaultdict(list)
    for each in series:
        _align(out, 16)
        for pair in (("", ""), *each.labels):
            postings[pair].append(len(out) // 16)
        data = _series(each, number)
        out += _varint(len(data)) + data + struct.pack(">I", _checksum(data))
    _align(out, 4)
    out_postings = len(out)
    places = []
    for (name, value), references in sorted(postings.items()):
        _align(out, 4)
        places.append(b"\x02" + _text(name) + _text(value) + _varint(len(out)))
        out += _section(struct.pack(f">{1 + len(references)}I", len(references), *references))
    out_table = len(out)
    out += _section(struct.pack(">I", len(places)) + b"".join(places))
    contents = struct.pack(">6Q", out_symbols, out_series, 0, 0, out_postings, out_table)
    return bytes(out + contents + struct.pack(">I", _checksum(contents)))


def _series(series: Series, number: dict[str, bytes]) -> bytes:
    parts = [_varint(len(series.labels))]
    parts += [number[text] for pair in series.labels for text in pair]
    parts.append(_varint(len(series.chunks) // 3))
    before, place_before = 0, 0
    for index, (start, end, place) in enumerate(series.triples()):
        step = place - place_before
        # The first time and place stand for themselves, the others for the way from the last.
        parts.append(_varint(start - before if index else 2 * start) + _varint(end - start))
        parts.append(_varint((step << 1 ^ step >> 63) if index else place))
        before, place_before = end, place
    return b"".join(parts)


def _text(text: str) -> bytes:
    data = text.encode()
    return _varint(len(data)) + data


def _section(body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + body + struct.pack(">I", _checksum(body))


def _align(out: bytearray, size: int) -> None:
    out += bytes(-len(out) % size)


def _ulid(number: int) -> str:
    digits = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
    value = number << 80 | number
    return "".join(digits[value >> 5 * place & 31] for place in reversed(range(26)))
