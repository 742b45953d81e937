"""Memory that is free, in this very process."""

from __future__ import annotations

import ctypes
from pathlib import Path

import numpy as np
import pytest

from analyzer.pipeline.memory import give_back


@pytest.mark.skipif(
    not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="this C library cannot give back"
)
def test_what_is_free_is_given_back_and_what_is_used_is_kept() -> None:
    """Of 128 MiB in pieces of 64 KiB all but the last are let go: they are resident no more.

    The last one lies above them, so that a C library left to itself keeps them.
    """
    before = resident_mib()
    pieces = [np.full(64 * 1024, 7, np.uint8) for _ in range(2048)]
    last = pieces[-1]
    assert resident_mib() > before + 64
    pieces.clear()
    give_back()
    assert resident_mib() < before + 32
    assert (last == 7).all()


def resident_mib() -> float:
    """What the kernel counts as resident of this process."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS:"))
