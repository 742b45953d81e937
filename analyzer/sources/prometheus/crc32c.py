"""CRC-32C (Castagnoli) of many stretches of bytes at once, for which Python has no function.

The sum is linear: of stretches that follow one another it is that of the first, moved by the length
of the second, and that of the second, combined by exclusive or. So all stretches are cut into lanes
of one length, and the first words of all lanes are read at once, then the second, and so on.
Leading zeros change nothing as long as the sum is zero, which lets every stretch fill whole lanes.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt

Sums = npt.NDArray[np.uint32]
Ints = npt.NDArray[np.int64]

_POLYNOMIAL = 0x82F63B78
_LANE = 512
"""Bytes of a lane: a whole number of words."""
_ONES = np.uint32(0xFFFF_FFFF)
SHORTEST = 4
"""Bytes that a stretch must have: the sum begins with as many ones."""


def crc32c(data: bytes, low: Ints, high: Ints) -> Sums:
    """The sums of ``data[low:high]``, each of which is at least `SHORTEST` bytes long."""
    size = high - low
    lanes = -(-size // _LANE)
    last = np.cumsum(lanes)
    octets = np.zeros(int(last[-1]) * _LANE if len(last) else 0, dtype=np.uint8)
    source = np.frombuffer(data, dtype=np.uint8)
    begin = last * _LANE - size
    for at, first, stop in zip(begin.tolist(), low.tolist(), high.tolist(), strict=True):
        octets[at : at + stop - first] = source[first:stop]
    octets[begin[:, None] + np.arange(SHORTEST)] ^= np.uint8(0xFF)
    states = _sum_lanes(octets.view("<u4").reshape(-1, _LANE // 4))
    most = int(lanes.max(initial=0))
    aligned = np.zeros((most, len(low)), dtype=np.uint32)
    stretch = np.repeat(np.arange(len(low)), lanes)
    aligned[most - np.repeat(last, lanes) + np.arange(len(states)), stretch] = states
    sums: Sums = _join(aligned) ^ _ONES
    return sums


def _join(sums: Sums) -> Sums:
    """The sums of stretches, of which each row holds those of a lane, two lanes at a time."""
    table = _over_lane()
    while len(sums) > 1:
        if len(sums) % 2:
            sums = np.concatenate([np.zeros_like(sums[:1]), sums])
        sums = _apply(table, sums[::2]) ^ sums[1::2]
        table = _apply(table, table.ravel()).reshape(4, 256)
    return sums[0] if len(sums) else np.zeros(sums.shape[1], dtype=np.uint32)


def _sum_lanes(words: Sums) -> Sums:
    """The sum of each row of words, begun with zero."""
    by_word = np.ascontiguousarray(words.T)
    low_half, high_half = _halves()
    state = np.zeros(words.shape[0], dtype=np.uint32)
    half = np.empty_like(state)
    for word in by_word:
        state ^= word
        np.bitwise_and(state, np.uint32(0xFFFF), out=half)
        state >>= np.uint32(16)
        state = high_half.take(state)
        state ^= low_half.take(half)
    return state


def _apply(table: Sums, value: Sums) -> Sums:
    """A linear function by its values for each of the four bytes, of each value."""
    parts = [table[k].take(value >> np.uint32(8 * k) & np.uint32(0xFF)) for k in range(4)]
    result: Sums = parts[0] ^ parts[1] ^ parts[2] ^ parts[3]
    return result


@cache
def _over_word() -> Sums:
    """What four zero bytes make of a sum."""
    table = np.arange(256, dtype=np.uint32) << np.arange(0, 32, 8, dtype=np.uint32)[:, None]
    for _ in range(32):
        table = np.where(table & 1, table >> 1 ^ np.uint32(_POLYNOMIAL), table >> 1)
    return table.astype(np.uint32)


@cache
def _over_lane() -> Sums:
    """What a lane of zero bytes makes of a sum."""
    table = _over_word()
    for _ in range((_LANE // 4).bit_length() - 1):
        table = _apply(table, table.ravel()).reshape(4, 256)
    return table


@cache
def _halves() -> tuple[Sums, Sums]:
    """`_over_word` by the lower and the upper two bytes, which takes half the look-ups."""
    low = np.arange(1 << 16, dtype=np.uint32)
    return _apply(_over_word(), low), _apply(_over_word(), low << np.uint32(16))
