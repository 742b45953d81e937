"""Remote read: raw samples as the server keeps them, in a stream of frames, evaluated here.

A frame is its length as a varint, a CRC-32C, and a message with some series: labels, and chunks
packed bit by bit (`xor`). The messages are written by hand, as they are few and will not change:
https://github.com/prometheus/prometheus/blob/main/prompb/remote.proto. What the product wants of
the samples is worked out here as they arrive (`windows`); they are let go series by series.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import orjson

from analyzer.sources.prometheus.crc32c import SHORTEST, crc32c
from analyzer.sources.prometheus.decode import Batch
from analyzer.sources.prometheus.failure import MalformedError
from analyzer.sources.prometheus.promql import Matchers
from analyzer.sources.prometheus.windows import FUNCTIONS, Samples, Steps
from analyzer.sources.prometheus.xor import count_samples, decode_chunks

HEADERS = {
    "Content-Type": "application/x-protobuf",
    "Content-Encoding": "snappy",
    "Accept": "application/x-streamed-protobuf",
    "X-Prometheus-Remote-Read-Version": "0.1.0",
}
STREAMED = "application/x-streamed-protobuf"
"""What an answer in frames calls itself; an older server sends all samples in one piece."""
_OPERATORS = {"=": 0, "!=": 1, "=~": 2, "!~": 3}
_STREAMED_XOR_CHUNKS = 1
_LITERAL_OF_TWO_BYTES = 61 << 2
_LARGEST_FRAME = 16 * 2**20
"""Prometheus cuts frames at 1 MiB, but for a single chunk that is larger."""
_AT_ONCE = 250_000
"""Samples and steps to hold at a time, in some 20 MB; four times as many save a tenth of CPU."""
_NUMBER = rb"([\x80-\xff]{0,4}[\x00-\x7f])"
_TIME = rb"[\x80-\xff]{0,9}[\x00-\x7f]"
_FRAME = re.compile(_NUMBER + rb"(.{4})", re.DOTALL)
_LONGEST_HEAD = 9
_HEAD = re.compile(rb"([\x0a\x10])" + _NUMBER)
"""A series and its size, or the number of the query, which is one of one."""
_SERIES = _LABEL = b"\x0a"
_PAIR = re.compile(rb"\x0a" + _NUMBER)
_VALUE = re.compile(rb"\x12" + _NUMBER)
_CHUNK = re.compile(
    rb"\x12" + _NUMBER.translate(None, b"()") + rb"(?:\x08" + _TIME + rb")?(?:\x10" + _TIME + rb")?"
    rb"(?:\x18([\x00-\x7f]))?\x22" + _NUMBER
)
_XOR = b"\x01"
_DAMAGED = "a message of the answer is not what the API promises"
_STALE = np.uint64(0x7FF0_0000_0000_0002)
"""The NaN by which a server marks that a series ended."""


@dataclass(slots=True)
class _Series:
    """One series as it was sent: its labels as a message, and its chunks."""

    labels: bytes
    chunks: list[bytes]
    samples: int
    """How many the chunks say that they hold."""


def read_request(metric: str, matchers: Matchers, start: int, end: int) -> bytes:
    """The body of a request for raw samples between two times (Unix ms), both included."""
    query = _number(1, start) + _number(2, end)
    for label, operator, value in (
        ("__name__", "=", metric),
        *((m.label, m.operator, m.value) for m in matchers),
    ):
        one = _number(1, _OPERATORS[operator])
        one += _bytes(2, label.encode()) + _bytes(3, value.encode())
        query += _bytes(3, one)
    return _stored(_bytes(1, query) + _number(2, _STREAMED_XOR_CHUNKS))


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def _number(field_number: int, value: int) -> bytes:
    return _varint(field_number << 3) + _varint(value)


def _bytes(field_number: int, value: bytes) -> bytes:
    return _varint(field_number << 3 | 2) + _varint(len(value)) + value


def _stored(data: bytes) -> bytes:
    """`data` in Snappy's format, not packed: a request is short, and a packer a package more."""
    out = [_varint(len(data))]
    for low in range(0, len(data), 1 << 16):
        part = data[low : low + (1 << 16)]
        out += [bytes([_LITERAL_OF_TWO_BYTES]), (len(part) - 1).to_bytes(2, "little"), part]
    return b"".join(out)


class FrameDecoder:
    """Turns the bytes of one answer into batches: `feed` as they arrive, then `finish`.

    `function` makes a row of `steps` of each series; `texts` remembers labels as JSON.
    """

    def __init__(self, steps: Steps, function: str, texts: dict[bytes, bytes]) -> None:
        self._steps, self._evaluate, self._texts = steps, FUNCTIONS[function], texts
        self._rest = b""
        self._series: list[_Series] = []
        self._weight = 0

    def feed(self, data: bytes) -> Iterator[Batch]:
        """Take more bytes; yield the series that are complete, once they are many."""
        buffer = self._rest + data if self._rest else data
        frames = list(_cut_frames(buffer))
        _check_sums(buffer, frames)
        self._rest = buffer[frames[-1][1] :] if frames else buffer
        for low, high in frames:
            for series in _read_frame(buffer[low:high]):
                self._take(series)
                if self._weight > _AT_ONCE and len(self._series) > 1:
                    yield self._drain(self._series[:-1])

    def finish(self) -> Iterator[Batch]:
        """The rest; raises `MalformedError` where the answer was cut off."""
        if self._rest:
            raise MalformedError("the answer ends within a frame")
        if self._series:
            yield self._drain(self._series[:])

    def _take(self, series: _Series) -> None:
        """Add a series, or what a further frame holds of the last."""
        if self._series and self._series[-1].labels == series.labels:
            self._series[-1].chunks.extend(series.chunks)
            self._series[-1].samples += series.samples
            self._weight += series.samples
        else:
            self._series.append(series)
            self._weight += self._weigh(series)
        if self._series[-1].samples > self._steps.most_samples:
            raise MalformedError("a series of the answer has more than two samples a second")

    def _weigh(self, series: _Series) -> int:
        """Numbers to make room for: one without a sample has a row of steps all the same."""
        return series.samples + self._steps.count

    def _drain(self, complete: Sequence[_Series]) -> Batch:
        """The steps of `complete` series, which are then let go."""
        del self._series[: len(complete)]
        self._weight = sum(map(self._weigh, self._series))
        rows = self._evaluate(_decode(complete, self._steps), self._steps)
        seen = ~np.isnan(rows)
        count = seen.sum(axis=1)
        some = np.flatnonzero(count)
        return Batch(
            [self._text(complete[index].labels) for index in some.tolist()],
            count[some],
            np.broadcast_to(self._steps.times / 1000, rows.shape)[seen],
            rows[seen],
        )

    def _text(self, labels: bytes) -> bytes:
        known = self._texts.get(labels)
        if known is None:
            known = self._texts[labels] = _labels_as_json(labels)
        return known


def _cut_frames(buffer: bytes) -> Iterator[tuple[int, int]]:
    """Where the message of each whole frame begins and ends; four bytes before it is its sum."""
    position = 0
    while (head := _FRAME.match(buffer, position)) is not None:
        size = _value(head[1])
        if not SHORTEST <= size <= _LARGEST_FRAME:
            raise MalformedError(f"the answer has a frame of {size} bytes")
        position = head.end() + size
        if position > len(buffer):
            return
        yield head.end(), position
    if len(buffer) - position >= _LONGEST_HEAD:
        raise MalformedError("the answer is not made of frames")


def _check_sums(buffer: bytes, frames: Sequence[tuple[int, int]]) -> None:
    told = [int.from_bytes(buffer[low - 4 : low], "big") for low, _ in frames]
    low, high = np.array(frames, dtype=np.int64).reshape(-1, 2).T
    if crc32c(buffer, low, high).tolist() != told:
        raise MalformedError("a frame of the answer is damaged: its checksum is another")


def _read_frame(frame: bytes) -> Iterator[_Series]:
    """The series of a frame."""
    position = 0
    while position < len(frame):
        head = _match(_HEAD, frame, position)
        position = head.end()
        if head[1] == _SERIES:
            end = _end(frame, position, head[2])
            yield _read_series(frame[position:end])
            position = end


def _read_series(message: bytes) -> _Series:
    labels = position = 0
    while message.startswith(_LABEL, position):
        head = _match(_PAIR, message, position)
        labels = position = _end(message, head.end(), head[1])
    chunks: list[bytes] = []
    samples = 0
    while position < len(message):
        head = _match(_CHUNK, message, position)
        begin = head.end()
        position = _end(message, begin, head[2])
        if head[1] == _XOR:
            chunks.append(message[begin:position])
            samples += int.from_bytes(message[begin : begin + 2], "big")
    return _Series(message[:labels], chunks, samples)


def _labels_as_json(message: bytes) -> bytes:
    """Labels as a server writes them in JSON, without the name of the metric."""
    labels: dict[str, str] = {}
    position = 0
    while position < len(message):
        pair = _match(_PAIR, message, position)
        position = _end(message, pair.end(), pair[1])
        name = _match(_PAIR, message, pair.end())
        end = _end(message, name.end(), name[1])
        value = _match(_VALUE, message, end)
        if _end(message, value.end(), value[1]) != position:
            raise MalformedError(_DAMAGED)
        try:
            labels[message[name.end() : end].decode()] = message[value.end() : position].decode()
        except UnicodeDecodeError as error:
            raise MalformedError(_DAMAGED) from error
    labels.pop("__name__", None)
    return orjson.dumps(labels)


def _match(pattern: re.Pattern[bytes], message: bytes, position: int) -> re.Match[bytes]:
    found = pattern.match(message, position)
    if found is None:
        raise MalformedError(_DAMAGED)
    return found


def _end(message: bytes, begin: int, size: bytes) -> int:
    """Where a field ends that begins at `begin` and is `size`, a varint, long."""
    end = begin + _value(size)
    if end > len(message):
        raise MalformedError(_DAMAGED)
    return end


def _value(varint: bytes) -> int:
    """The number that up to five bytes stand for."""
    if len(varint) == 1:
        return varint[0]
    value = 0
    for octet in reversed(varint):
        value = value << 7 | octet & 0x7F
    return value


def _decode(series: Sequence[_Series], steps: Steps) -> Samples:
    """The samples of some series within the windows of `steps`, one series after the other."""
    chunks = [chunk for one in series for chunk in one.chunks]
    high = np.cumsum(np.fromiter(map(len, chunks), np.int64, len(chunks)))
    low = np.concatenate([[0], high[:-1]]) if len(high) else high
    data = b"".join(chunks)
    times, bits = decode_chunks(data, low, high)
    owner = np.repeat(np.arange(len(series)), [len(one.chunks) for one in series])
    owner = np.repeat(owner, count_samples(data, low, high))
    kept = (bits != _STALE) & (times >= steps.begin) & (times <= steps.last)
    if not kept.all():
        owner, times, bits = owner[kept], times[kept], bits[kept]
    rising = (np.diff(times) > 0) | (np.diff(owner) > 0)
    if not rising.all():  # chunks that overlap, as they do where samples arrived late
        order = np.lexsort((times, owner))
        owner, times, bits = owner[order], times[order], bits[order]
        first = np.append(True, (np.diff(times) > 0) | (np.diff(owner) > 0))
        owner, times, bits = owner[first], times[first], bits[first]
    return Samples(times, bits.view(np.float64), np.bincount(owner, minlength=len(series)))
