"""How many processors this process may keep busy."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path

from analyzer.control_group import MEMBERSHIP, ROOT, control_groups, read_text


def usable_cores(root: Path = ROOT, member: Path = MEMBERSHIP) -> int:
    """The processors this process is bound to, or fewer where a CPU limit allows less time.

    In a container the machine's processors are seen and not had: more processes than the limit
    pays for are throttled, and each takes its memory all the same. A part counts as a whole one,
    so that 1.5 is two. Where no control group can be read, none limits.
    """
    bound = hasattr(os, "sched_getaffinity")
    cores = len(os.sched_getaffinity(0)) if bound else os.cpu_count() or 1
    return max(1, min([cores, *map(math.ceil, _limits(root, member))]))


def _limits(root: Path, member: Path) -> Iterator[float]:
    """The limit in cores of every control group of this process, and above, that has one."""
    for group in control_groups("cpu", root, member):
        quota = read_text(group / "cpu.max").split()  # version 2: both in one file
        if len(quota) != 2:
            names = [f"cpu.cfs_{what}_us" for what in ("quota", "period")]
            quota = [read_text(group / name).strip() for name in names]
        if all(part.isdecimal() and int(part) > 0 for part in quota):
            yield int(quota[0]) / int(quota[1])
