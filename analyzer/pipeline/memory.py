"""Memory that is free, given back to the system."""

from __future__ import annotations

import ctypes


def give_back() -> None:
    """Let the C library return what it keeps of freed memory, where it can (glibc).

    It keeps whatever lies below a block in use, to hand it out again. A stage that has read or
    judged a large cluster so leaves hundreds of megabytes resident that the next one, with
    arrays of other sizes, adds to instead of using. What is in use is not touched.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
