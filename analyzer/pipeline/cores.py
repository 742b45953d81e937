"""How many processors this process may keep busy."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path

CONTROL_GROUPS = Path("/sys/fs/cgroup")
MEMBERSHIP = Path("/proc/self/cgroup")


def usable_cores(groups: Path = CONTROL_GROUPS, membership: Path = MEMBERSHIP) -> int:
    """The processors this process is bound to, or fewer where a CPU limit allows less time.

    In a container the machine's processors are seen and not had: more processes than the limit
    pays for are throttled, and each takes its memory all the same. A part counts as a whole one,
    so that 1.5 is two. Where no control group can be read, none limits.
    """
    bound = hasattr(os, "sched_getaffinity")
    cores = len(os.sched_getaffinity(0)) if bound else os.cpu_count() or 1
    return max(1, min([cores, *map(math.ceil, _limits(groups, membership))]))


def _limits(groups: Path, membership: Path) -> Iterator[float]:
    """The limit in cores of every control group of this process, and above, that has one."""
    for group in _groups(groups, membership):
        quota = _read(group / "cpu.max").split()  # version 2: both in one file
        if len(quota) != 2:
            quota = [_read(group / f"cpu.cfs_{what}_us").strip() for what in ("quota", "period")]
        if all(part.isdecimal() and int(part) > 0 for part in quota):
            yield int(quota[0]) / int(quota[1])


def _groups(groups: Path, membership: Path) -> Iterator[Path]:
    """The folder of each control group that may limit CPU, from the innermost up."""
    for line in _read(membership).splitlines():
        _, controllers, own = [*line.split(":", 2), "", ""][:3]
        if controllers and "cpu" not in controllers.split(","):
            continue
        root = groups / controllers if controllers else groups
        inner = root / own.strip("/")
        yield inner
        yield from (above for above in inner.parents if above.is_relative_to(root))


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""
