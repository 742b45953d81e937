"""What this process is allowed: by its control groups, of versions 1 and 2, and of addresses."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from pathlib import Path

from analyzer.errors import AnalyzerError

ROOT = Path("/sys/fs/cgroup")
MEMBERSHIP = Path("/proc/self/cgroup")
_LEAST_ADDRESSES = 640 * 2**20
"""No run got through with fewer bytes of addresses, as measured on a dozen containers."""


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


def check_addresses() -> None:
    """Raise `AnalyzerError` where a library for linear algebra may wait for ever for addresses."""
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit != resource.RLIM_INFINITY and limit < _LEAST_ADDRESSES:
        raise AnalyzerError(
            f"memory addresses are limited to {limit // 2**20} MiB (ulimit -v), and what learns "
            f"needs {_LEAST_ADDRESSES // 2**20} MiB at the least; raise the limit, or limit memory "
            "by a control group"
        )
