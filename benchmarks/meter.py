"""What a process and all that it starts use: processor, and memory that is counted once."""

from __future__ import annotations

import math
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

INTERVAL = 0.5
"""Seconds between two looks: each walks through the page tables of all processes."""


@dataclass
class Memory:
    """Looks at the memory of a process and its descendants until it is left.

    What processes share is divided among them (the proportional set size), so that the sum counts
    each page once. A peak between two looks is not seen; the resident peak of single processes,
    which the kernel keeps, is.
    """

    root: int
    looks: list[tuple[float, float]] = field(default_factory=list)
    """Seconds of the monotonic clock, and MiB of all."""
    peaks: dict[int, float] = field(default_factory=dict)
    """The most resident MiB of each process so far."""

    def __enter__(self) -> Memory:
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look_on, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._thread.join()

    def _look_on(self) -> None:
        while not self._ended.wait(INTERVAL):
            self.look()

    def look(self) -> None:
        """Take down what all use now."""
        found = 0.0
        for pid in tree(self.root):
            found += _kilobytes(Path(f"/proc/{pid}/smaps_rollup"), "Pss:") / 1024
            peak = _kilobytes(Path(f"/proc/{pid}/status"), "VmHWM:") / 1024
            self.peaks[pid] = max(peak, self.peaks.get(pid, 0.0))
        self.looks.append((time.monotonic(), found))

    def most(self, begin: float = 0.0, end: float = float("inf")) -> float:
        """The most MiB of all that were seen between two times; NaN where nobody looked."""
        return max((mib for when, mib in self.looks if begin <= when <= end), default=math.nan)


def tree(root: int) -> list[int]:
    """A process and all that descend from it now."""
    found = [root]
    for pid in found:
        try:
            tasks = [*Path(f"/proc/{pid}/task").iterdir()]
            children = [(task / "children").read_text() for task in tasks]
        except OSError:  # it has ended meanwhile
            continue
        found += [int(child) for line in children for child in line.split()]
    return found


def _kilobytes(file: Path, name: str) -> float:
    try:
        lines = file.read_text().splitlines()
    except OSError:
        return 0.0
    return sum(float(line.split()[1]) for line in lines if line.startswith(name))
