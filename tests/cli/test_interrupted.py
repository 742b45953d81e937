"""An interrupt at a moment when nothing of ours is loaded yet."""

from __future__ import annotations

import signal
import subprocess
import sys

_WHILE_LOADING = """
import os, runpy, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # as in a terminal
class Interrupting:
    def find_spec(self, name, *_):
        if name == "analyzer.cli":
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Interrupting())
runpy.run_module("analyzer", run_name="__main__")
"""


def test_an_interrupt_while_loading_is_no_traceback() -> None:
    """The process ends as the signal says, and shows nothing of where it was."""
    done = subprocess.run(
        [sys.executable, "-c", _WHILE_LOADING], capture_output=True, text=True, check=False
    )
    assert done.returncode == -signal.SIGINT
    assert done.stderr == ""
