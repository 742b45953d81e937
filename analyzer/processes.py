"""What a process that works for another one does besides: never outlive it, never answer for it."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


def leave_with_parent() -> None:
    """End this process as soon as the one that started it is gone, however that one ended.

    A pool's workers wait for orders on a pipe that they hold open for each other: after a kill of
    their parent they, and the tracker of their resources, would wait for good.
    """
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch() -> None:
        parent.join()  # on the far end of a pipe: no polling, no signal to be late for
        os._exit(1)

    threading.Thread(target=watch, name="parent-watch", daemon=True).start()


@contextmanager
def deaf_to(*signals: signal.Signals) -> Iterator[None]:
    """Hold `signals` back until the block ends; a process that starts in it never hears one.

    A terminal interrupts every process at once, and each worker would print where it was. The one
    that started them is told, and ends them.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
