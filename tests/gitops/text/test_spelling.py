"""Amounts in the manner of their file."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.gitops.text.spelling import is_clear, spell_cpu, spell_memory
from analyzer.quantity import Cpu, Memory


@pytest.mark.parametrize(
    ("millicores", "like", "written"),
    [
        (250, "100m", "250m"),
        (250, "0.1", "0.25"),
        (35, "0.1", "35m"),
        (1500, "0.5", "1.5"),
        (2000, "0.5", "2"),
        (500, "1", "500m"),
        (2000, None, "2"),
    ],
)
def test_cpu_follows_its_predecessor(millicores: int, like: str | None, written: str) -> None:
    """Bare cores stay bare while two decimals hold the amount; else millicores."""
    assert spell_cpu(Cpu(millicores), like) == written


@pytest.mark.parametrize(
    ("size", "like", "written"),
    [
        (128 * 2**20, "64Mi", "128Mi"),
        (128 * 2**20, "128M", "135M"),
        (200 * 10**6, "128M", "200M"),
        (2 * 10**9, "500M", "2G"),
        (1536 * 2**20, "2Gi", "1536Mi"),
        (900 * 2**20, "2G", "944M"),
    ],
)
def test_memory_stays_in_its_family(size: int, like: str, written: str) -> None:
    """Decimal units stay decimal, rounded up; binary ones stay binary and exact."""
    assert spell_memory(Memory(size), like) == written


@given(size=st.integers(1, 2**45), like=st.sampled_from(["1M", "5G", "900k", "64Mi", None]))
def test_memory_is_never_written_below_its_amount(size: int, like: str | None) -> None:
    """Whatever the unit, what is written is at least the amount, and at most a tenth more."""
    written = Memory.parse(spell_memory(Memory(size), like)).bytes
    assert size <= written <= size * 1.1 + 1000


@pytest.mark.parametrize("text", ["0100", "1_000", "1:30", "0x10", "1e3", "+1", "1 Gi", "${A}", ""])
def test_what_readers_disagree_on_is_not_clear(text: str) -> None:
    """Octals, sexagesimals and underscores mean different numbers to different readers."""
    assert not is_clear(text)
