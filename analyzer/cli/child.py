"""``rightsize`` as the child of another one: it ends when its parent does, however that ended.

Nobody would wait for what it finds any more, and whoever took over the work would find it done
beside them.
"""

from __future__ import annotations

import os
import signal
from threading import Thread


def main() -> None:
    """Run the command line until it is done, or standard input closes: the parent holds it."""
    held = os.dup(0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)  # what is started from here, such as git, has nobody to ask
    os.close(nothing)
    Thread(target=_end_with, args=(held,), daemon=True).start()
    from analyzer.cli import main as command

    command()


def _end_with(held: int) -> None:
    while os.read(held, 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main()
