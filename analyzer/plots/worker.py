"""What a process that only draws does besides drawing: leave when nobody waits for it."""

from __future__ import annotations

import multiprocessing
import os
import threading


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
