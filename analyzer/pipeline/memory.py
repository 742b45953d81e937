"""Memory: what a run may take, what it will take, and what is free given back to the system."""

from __future__ import annotations

import ctypes
import tempfile
from collections.abc import Iterator
from pathlib import Path

from analyzer.control_group import MEMBERSHIP, ROOT, control_groups, read_text
from analyzer.errors import UsageError
from analyzer.quantity import Memory
from analyzer.room import IN_MEMORY, Room

_UNLIMITED = 2**60
"""Version 1 writes no limit as the largest number of pages."""
_SHARE = 32
"""An array of samples is kept on disk from this part of the budget on: a run holds two over the
whole window, and up to six that are copies of parts of it."""
BASE = Memory(200 * 2**20)
"""What the interpreter and its libraries take, as measured for a run on nothing much."""
PER_CONTAINER = Memory(25 * 2**10)
"""What is found of a container takes as much at least until it is written, as measured for 10,000
(`benchmarks/growth`); samples not counted."""


def give_back() -> None:
    """Let the C library return what it keeps of freed memory, where it can (glibc).

    It keeps whatever lies below a block in use, to hand it out again. A stage that has read or
    judged a large cluster so leaves hundreds of megabytes resident that the next one, with
    arrays of other sizes, adds to instead of using. What is in use is not touched.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def allowed_memory(root: Path = ROOT, member: Path = MEMBERSHIP) -> Memory | None:
    """What the tightest control group of this process allows; None where none limits."""
    return min(_limits(root, member), default=None)


def _limits(root: Path, member: Path) -> Iterator[Memory]:
    for group in control_groups("memory", root, member):
        for name in ("memory.max", "memory.limit_in_bytes"):
            limit = read_text(group / name).strip()
            if limit.isdecimal() and 0 < int(limit) < _UNLIMITED:
                yield Memory(int(limit))


def room_within(budget: Memory | None) -> Room:
    """Where samples are to be kept by a run that may take `budget`, None for any amount."""
    if budget is None:
        return IN_MEMORY
    return Room(Path(tempfile.gettempdir()), budget.bytes // _SHARE)


def check_memory(budget: Memory | None, containers: int = 0) -> None:
    """Raise `UsageError` where a run on so many `containers` would be killed for its memory."""
    need = Memory(BASE.bytes + containers * PER_CONTAINER.bytes)
    if budget is None or budget >= need:
        return
    of = f"{containers:,} containers" if containers else "any cluster"
    raise UsageError(
        f"a run on {of} takes {need.human()} of memory at the least and may take {budget.human()}; "
        "raise the memory limit, or read fewer namespaces with -n (memory_budget in the settings "
        "stands above what the control group allows)"
    )
