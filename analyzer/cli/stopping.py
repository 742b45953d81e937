"""Ending when told to: a signal ends the run in order, and soon."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

INTERRUPTED = 128 + signal.SIGINT
STOPPED = 128 + signal.SIGTERM
PATIENCE = 10.0
"""Seconds for tidying up; a third of what Kubernetes grants before it kills."""


class Stopped(KeyboardInterrupt):
    """The process was told to end, as by Kubernetes when a pod has to go."""


@contextmanager
def stoppable() -> Iterator[None]:
    """Let SIGTERM and SIGINT end the block, and the process soon after, whatever still hangs.

    Without a handler the first process of a container never hears SIGTERM. What tidies up on an
    interrupt does so for both; a request that a server leaves open is not waited for.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # no other thread may set a handler
        return
    # What a shell has a job in the background ignore stays ignored.
    signals = [n for n in (signal.SIGTERM, signal.SIGINT) if signal.getsignal(n) != signal.SIG_IGN]
    before = {number: signal.signal(number, _end) for number in signals}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _end(number: int, _: FrameType | None) -> None:
    last = threading.Timer(PATIENCE, os._exit, (128 + number,))
    last.daemon = True
    last.start()
    raise Stopped if number == signal.SIGTERM else KeyboardInterrupt
