"""Where samples are kept: in memory, or in a scratch file whose pages the kernel may take away.

Pages of a file are no loss where memory is short: the kernel writes them back and reads them when
they are asked for again. Memory of a process has nowhere to go, and the process is killed.
"""

from __future__ import annotations

import mmap
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from analyzer.errors import OutputError

_LEAST_BYTES = 2**20
"""Arrays below this stay in memory: a file each would cost more than it saves."""


@dataclass(frozen=True, slots=True)
class Room:
    """Room for arrays of samples: those of more than `most` bytes are kept in `folder`.

    Without a folder all of them are in memory. The arrays are the same either way, and so is all
    that is computed on them.
    """

    folder: Path | None = None
    most: int = 0

    def part(self, number: int) -> Room:
        """Room for one of `number` arrays that are needed side by side."""
        return Room(self.folder, self.most // max(1, number))

    def floats(self, count: int) -> npt.NDArray[np.float32]:
        """An array of `count` floats, with anything in them.

        Raises `OutputError` where the folder has no room. The file has no name, so that nothing
        stays behind whatever happens.
        """
        size = 4 * count
        if self.folder is None or size <= max(self.most, _LEAST_BYTES):
            return np.empty(count, dtype=np.float32)
        try:
            with tempfile.TemporaryFile(dir=self.folder) as file:
                _reserve(file.fileno(), size)
                return np.frombuffer(mmap.mmap(file.fileno(), size), dtype=np.float32)
        except OSError as error:
            raise OutputError(
                f"{self.folder}: no room for {size / 2**20:.0f} MiB of samples, which are too many "
                f"for memory ({error.strerror}); free some, name another folder on disk with "
                "TMPDIR, or give the run more memory"
            ) from error

    def copy(self, values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """The same values in an array of their own."""
        copied = self.floats(len(values))
        copied[:] = values
        return copied


IN_MEMORY = Room()


def _reserve(descriptor: int, size: int) -> None:
    """Take `size` bytes of disk now: a page that finds none later would end the process."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(descriptor, 0, size)
    else:
        os.truncate(descriptor, size)
