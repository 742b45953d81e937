"""Control groups of this process: what a container is allowed, of versions 1 and 2."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
MEMBERSHIP = Path("/proc/self/cgroup")


def control_groups(controller: str, root: Path = ROOT, member: Path = MEMBERSHIP) -> Iterator[Path]:
    """The folder of each group that may limit what `controller` governs, from the innermost up.

    Nothing where no control group can be read.
    """
    for line in read_text(member).splitlines():
        _, controllers, own = [*line.split(":", 2), "", ""][:3]
        if controllers and controller not in controllers.split(","):
            continue
        top = root / controllers if controllers else root
        inner = top / own.strip("/")
        yield inner
        yield from (above for above in inner.parents if above.is_relative_to(top))


def read_text(path: Path) -> str:
    """What a file says; nothing where it cannot be read."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""
