"""Damaged bytes: refused in a sentence or read, and never anything else."""

from __future__ import annotations

import random

import pytest

from tests.fuzz.targets import TARGETS

TIMES = 150
WORDS = (
    b'"',
    b"{",
    b"[",
    b"&a ",
    b"*a",
    b"<<: ",
    b"!!x ",
    b"\x00",
    b"\xff",
    b"\n",
    b"1e999",
    b": ",
)


def damaged(data: bytes, chance: random.Random) -> bytes:
    """`data` with a few bytes flipped, dropped, doubled or put in."""
    content = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(content) + 1)
        way = chance.randrange(4)
        if way == 0 and at < len(content):
            content[at] ^= 1 << chance.randrange(8)
        elif way == 1:
            del content[at : at + chance.randint(1, 8)]
        elif way == 2:
            content[at:at] = content[at : at + chance.randint(1, 40)]
        else:
            content[at:at] = chance.choice(WORDS)
    return bytes(content)


@pytest.mark.parametrize("name", TARGETS)
def test_damaged_bytes_are_read_or_refused(name: str) -> None:
    """A few hundred of each kind; `scripts/fuzz` tries millions."""
    target, seeds = TARGETS[name]
    chance = random.Random(name)
    for seed in seeds:
        target(seed)
        for _ in range(TIMES // len(seeds)):
            target(damaged(seed, chance))
