"""A system that gives little: no semaphores, so no second process; little memory."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest
from click.testing import CliRunner

from analyzer.cli import main
from analyzer.ledger import read_ledger
from analyzer.sources import save_recording
from analyzer.usage import Recording, Usage
from tests.samples import meta, steady

# Making the system refuse for real takes a mount of its own, which only root may have.
_WITHOUT_SEMAPHORES = """
import _multiprocessing, sys
class Refused:
    SEM_VALUE_MAX = 1
    def __init__(self, *_, **__):
        raise PermissionError(13, "Permission denied")
    _rebuild = __init__
_multiprocessing.SemLock = Refused
import analyzer.pipeline.chart
analyzer.pipeline.chart.usable_cores = lambda: 2
analyzer.pipeline.chart.MANY_CHARTS = 1
from analyzer.cli import main
main(sys.argv[1:])
"""


def test_charts_are_drawn_in_one_process_where_no_second_can_be_had(tmp_path: Path) -> None:
    """The run ends well, the charts are there, and no library's warning reaches the user."""
    window = meta(8)
    frame = pd.concat([steady(8), steady(8).assign(workload="api", pod="api-1")])
    recording = Recording(window, Usage.from_frame(frame, window))
    save_recording(replace(recording, meta=window), tmp_path / "rec")
    words = ["run", "-q", "--source", f"recording:{tmp_path / 'rec'}", "-o", str(tmp_path / "out")]
    done = subprocess.run(
        [sys.executable, "-c", _WITHOUT_SEMAPHORES, *words],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    assert done.returncode == 0
    names = {path.name for path in (tmp_path / "out" / "charts").iterdir()}
    assert names == {
        "cluster.png",
        "shop--deployment--web--app.png",
        "shop--deployment--api--app.png",
    }


_IN_LITTLE = f"""
import resource, sys
from analyzer.cli import main
resource.setrlimit(resource.RLIMIT_AS, ({150 * 2**20},) * 2)
main(sys.argv[1:])
"""


def test_too_little_memory_to_load_a_library_is_one_sentence(tmp_path: Path) -> None:
    """No traceback, and nothing that was to be read is blamed for it."""
    words = [sys.executable, "-c", _IN_LITTLE, "recommend", "--source", f"recording:{tmp_path}"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    (sentence,) = done.stderr.splitlines()
    assert "memory" in sentence


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        ImportError("libx.so: failed to map segment from shared object"),
        SystemError("<built-in function x> returned NULL without setting an exception"),
        RuntimeError("can't start new thread"),
        pa.ArrowException("Unknown error: Failed to launch worker thread"),
    ],
)
def test_whatever_a_library_raises_for_a_shortage_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """Libraries say it in many ways, and none of them is a traceback."""

    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("analyzer.sources.recording.recording.load_recording", fail)
    done = CliRunner().invoke(main, ["recommend", "--source", "recording:anywhere"])
    assert done.exit_code == 1
    assert "memory" in done.stderr.splitlines()[-1]
    assert isinstance(done.exception, SystemExit)


def test_a_run_ends_well_where_no_thread_can_be_had(tmp_path: Path) -> None:
    """Stacks larger than all addresses: each thread is refused, and nothing waits for one.

    Arrow waits for ever for threads that never ran, where it is let to read with them. Recording
    and ledger are read and written all the same.
    """
    window = meta(8)
    recording = Recording(window, Usage.from_frame(steady(8), window))
    save_recording(replace(recording, meta=window), tmp_path / "rec")
    limits = ["prlimit", f"--stack={2**33}", f"--as={2**32}", sys.executable, "-m", "analyzer"]
    words = ["run", "--source", f"recording:{tmp_path / 'rec'}", "-o", str(tmp_path / "out")]
    words += ["--ledger", str(tmp_path / "ledger"), "--no-charts", "--format", "parquet"]
    for _ in range(2):  # the second reads what the first remembers
        done = subprocess.run(
            [*limits, *words], capture_output=True, text=True, check=False, timeout=120
        )
        assert done.returncode == 0, done.stderr
    assert len(read_ledger(tmp_path / "ledger"))
    assert (tmp_path / "out" / "recommendations.parquet").exists()


@pytest.mark.parametrize("command", ["run", "recommend", "diff", "pr", "check"])
def test_a_limit_of_addresses_that_libraries_hang_at_is_refused_at_once(
    tmp_path: Path, command: str
) -> None:
    """At 350 MiB a library for linear algebra waits for ever while it is loaded."""
    limits = ["prlimit", f"--as={350 * 2**20}", sys.executable, "-m", "analyzer"]
    words = [command, "--source", "recording:anywhere", "--repo", str(tmp_path)]
    words += {"pr": ["--branches"], "check": ["--base", "main"]}.get(command, [])
    if command == "recommend":
        words = words[:-2]
    done = subprocess.run(
        [*limits, *words], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 1
    assert "memory addresses are limited to 350 MiB" in done.stderr
