"""XOR chunks, in which Prometheus keeps samples, decoded many at a time.

A chunk holds the differences of differences of times, and of each value the bits that differ from
the one before (Pelkonen et al., "Gorilla", VLDB 2015, section 4.1, with Prometheus' sizes). A
sample begins where the one before ends, bit by bit, so that no chunk can be read but from its
start; hence the first sample of all chunks is read at once, then the second of all, and so on.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from analyzer.sources.prometheus.failure import MalformedError

Ints = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint64]

_HEADER = 2
"""Bytes that say how many samples a chunk holds."""
_FEWEST_BITS = 2
"""A sample that repeats the step and the value of the one before."""
_LONGEST_SAMPLE = 4 + 64 + 13 + 64
_UNCHECKED = 16
"""Steps between two looks at whether a chunk was left; the padding bears so many."""
_PADDING = 8 * (-(-_UNCHECKED * _LONGEST_SAMPLE // 64) + 2)
_DAMAGED: Final = "a chunk of the answer is damaged"


def _by_prefix(same: int, b14: int, b17: int, b20: int, b64: int) -> Ints:
    """A value for each of the first four bits of a time: 0..., 10.., 110., 1110 and 1111."""
    return np.array([same] * 8 + [b14] * 4 + [b17] * 2 + [b20, b64], dtype=np.int64)


_SKIP = _by_prefix(0, 2, 3, 4, 4).astype(np.uint64)
_RIGHT = _by_prefix(64, 50, 47, 44, 0)
_TAKEN = _by_prefix(1, 16, 20, 24, 68)
_LARGEST = _by_prefix(1, -(1 << 13), -(1 << 16), -(1 << 19), 1)
"""What a sign extension makes of the largest difference of each size, which is positive."""
_WIDE = 15


def count_samples(data: bytes, low: Ints, high: Ints) -> Ints:
    """How many samples the chunks at ``[low:high]`` say that they hold; too many is an error."""
    if len(low) and (high - low).min() < _HEADER:
        raise MalformedError(_DAMAGED)
    octets = np.frombuffer(data, dtype=np.uint8)
    count = octets[low].astype(np.int64) << 8 | octets[low + 1]
    if (count > 1 + (high - low) * 8 // _FEWEST_BITS).any():
        raise MalformedError(_DAMAGED)
    return count


def decode_chunks(data: bytes, low: Ints, high: Ints) -> tuple[Ints, Words]:
    """Times (Unix milliseconds) and values (the bits of doubles) of the chunks at ``[low:high]``.

    Samples come in the order of the chunks. Raises `MalformedError` where a chunk ends before its
    samples do.
    """
    count = count_samples(data, low, high)
    order = np.argsort(-count, kind="stable")
    active = np.searchsorted(-count[order], -np.arange(count.max(initial=0)))
    offset = np.concatenate([[0], np.cumsum(active)]).astype(np.int64)
    times = np.empty(offset[-1], dtype=np.int64)
    values = np.empty(offset[-1], dtype=np.uint64)
    if len(times):
        walk = _Walk(data, low[order][: active[0]], high[order][: active[0]])
        for step, chunks in enumerate(active.tolist()):
            walk.advance(step, chunks)
            times[offset[step] : offset[step + 1]] = walk.time
            values[offset[step] : offset[step + 1]] = walk.value
        walk.check()
    # Written step by step over all chunks, wanted chunk by chunk.
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    place = np.arange(len(times)) - np.repeat(np.cumsum(count) - count, count)
    place = offset.take(place)
    place += np.repeat(rank, count)
    return times.take(place), values.take(place)


class _Bits:
    """A run of bits, of which 64 can be had from any place; `most` places at a time."""

    def __init__(self, data: bytes, most: int) -> None:
        padded = data + bytes(-len(data) % 8 + _PADDING)
        self._words = np.frombuffer(padded, dtype=">u8").astype(np.uint64)
        self._next = np.append(self._words[1:], np.uint64(0)) >> np.uint64(1)
        self._index = np.empty(most, dtype=np.int64)
        self._shift = np.empty(most, dtype=np.uint64)
        self._low = np.empty(most, dtype=np.uint64)

    def at(self, place: Ints, out: Words) -> Words:
        """The 64 bits from each of the bits `place` on, into `out`."""
        index, shift, low = (a[: len(place)] for a in (self._index, self._shift, self._low))
        np.right_shift(place, 6, out=index)
        np.bitwise_and(place.view(np.uint64), np.uint64(63), out=shift)
        self._words.take(index, out=out, mode="clip")
        out <<= shift
        self._next.take(index, out=low, mode="clip")
        shift ^= np.uint64(63)
        low >>= shift
        out |= low
        return out


class _Walk:
    """A place in each of many chunks, the longest first, and the sample that was read there."""

    def __init__(self, data: bytes, low: Ints, high: Ints) -> None:
        most = len(low)
        self._octets = np.frombuffer(data, dtype=np.uint8)
        self._bits = _Bits(data, most)
        self._place = (low + _HEADER) * 8
        self._end = high * 8
        self.time = np.zeros(most, dtype=np.int64)
        self.value = np.zeros(most, dtype=np.uint64)
        self._delta = np.zeros(most, dtype=np.int64)
        self._width = np.zeros(most, dtype=np.int64)
        self._right = np.full(most, 64, dtype=np.uint64)
        self._left = np.zeros(most, dtype=np.uint64)
        self._window = np.empty(most, dtype=np.uint64)
        self._difference = np.empty(most, dtype=np.uint64)
        self._changed = np.empty(most, dtype=np.int64)

    def advance(self, step: int, chunks: int) -> None:
        """Read sample `step` of the first `chunks`."""
        if step % _UNCHECKED == 0 or chunks < len(self.time):
            self.check()
            self._keep(chunks)
        if step == 0:
            zigzag = self._varint()
            self.time[:] = (zigzag >> np.uint64(1)).view(np.int64)
            self.time ^= -(zigzag & np.uint64(1)).view(np.int64)
            self._bits.at(self._place, self.value)
            self._place += 64
            return
        if step == 1:
            self._delta[:] = self._varint().view(np.int64)
            self._bits.at(self._place, self._window)
        else:
            self._read_time()
        self.time += self._delta
        self._read_value()

    def check(self) -> None:
        """Raise `MalformedError` where a chunk was left."""
        if (self._place > self._end).any():
            raise MalformedError(_DAMAGED)

    def _keep(self, chunks: int) -> None:
        for name in ("_place", "_end", "time", "value", "_delta", "_width", "_right", "_left",
                     "_window", "_difference", "_changed"):  # fmt: skip
            setattr(self, name, getattr(self, name)[:chunks])

    def _varint(self) -> Words:
        """A number of seven bits a byte, the lowest first, at a place where a byte begins."""
        value = np.zeros(len(self._place), dtype=np.uint64)
        more = np.ones(len(self._place), dtype=np.bool_)
        at = self._place >> 3
        for shift in range(0, 64, 7):
            octet = self._octets.take(at, mode="clip").astype(np.uint64)
            value |= np.where(more, (octet & np.uint64(127)) << np.uint64(shift), np.uint64(0))
            at += more
            more &= octet > np.uint64(127)
            if not more.any():
                self._place = at << 3
                return value
        raise MalformedError(_DAMAGED)

    def _read_time(self) -> None:
        """How far the step differs from the one before; leaves `_window` behind it."""
        window, place = self._bits.at(self._place, self._window), self._place
        if not window.max() >> np.uint64(63):  # every step is as long as the one before
            place += 1
            window <<= np.uint64(1)
            return
        prefix = (window >> np.uint64(60)).view(np.int64)
        change = (window << _SKIP.take(prefix)).view(np.int64)
        change >>= _RIGHT.take(prefix)
        largest = np.flatnonzero(change == _LARGEST.take(prefix))
        change[largest] = -change[largest]
        wide = np.flatnonzero(prefix == _WIDE)
        if len(wide):
            bits = self._bits.at(place[wide] + 4, np.empty(len(wide), dtype=np.uint64))
            change[wide] = bits.view(np.int64)
        self._delta += change
        place += _TAKEN.take(prefix)
        self._bits.at(place, window)

    def _read_value(self) -> None:
        """The bits that differ from the value before: none, those of its window, or of a new."""
        window, place, changed = self._window, self._place, self._changed
        np.right_shift(window.view(np.int64), 63, out=changed)  # -1 where changed, else 0
        new = np.flatnonzero(window >= np.uint64(3 << 62))
        place += 1
        place -= changed
        if len(new):
            self._read_window(new)
        difference = self._bits.at(place, self._difference)
        difference >>= self._right
        difference <<= self._left
        difference &= changed.view(np.uint64)
        self.value ^= difference
        changed &= self._width
        place += changed

    def _read_window(self, new: Ints) -> None:
        """Which bits of a value differ from here on: five bits of zeros before, six of width."""
        told = self._window[new]
        zeros = (told >> np.uint64(57)) & np.uint64(31)
        width = (told >> np.uint64(51)) & np.uint64(63)
        width[width == 0] = 64
        if (zeros + width > np.uint64(64)).any():
            raise MalformedError(_DAMAGED)
        self._width[new] = width.view(np.int64)
        self._right[new] = np.uint64(64) - width
        self._left[new] = np.uint64(64) - zeros - width
        self._place[new] += 11
