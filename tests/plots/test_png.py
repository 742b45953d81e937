"""PNG files: small, described, and the same every time."""

from __future__ import annotations

import hashlib
import io
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from analyzer.errors import OutputError
from analyzer.plots import describe, encode_png, workload_charts, workload_figure, write_png
from analyzer.plots.origin import origin_of
from tests.plots.scenes import SCENES

CASES = ("lowered", "no cpu", "events", "gap", "lowered")


def chart(name: str = "lowered") -> tuple[bytes, str]:
    of, recommended = SCENES[name]()
    text = describe(recommended)
    return encode_png(workload_figure(of, 0, recommended), text), text


def digest(content: bytes) -> str:
    """What tells files apart in few letters: a failed comparison of whole ones takes minutes."""
    return hashlib.sha256(content).hexdigest()


def test_the_alternative_text_is_in_the_file() -> None:
    """An iTXt chunk Description carries what the picture says."""
    content, text = chart()
    image = Image.open(io.BytesIO(content))
    assert b"iTXtDescription\0" in content
    assert image.info["Description"] == text
    assert "CPU 1 core → 420m (−58%)" in text


def test_a_chart_has_the_promised_size_and_at_most_256_colours() -> None:
    """1650 x 1035 pixels, indexed, and small."""
    content, _ = chart()
    image = Image.open(io.BytesIO(content))
    assert image.size == (1650, 1035)
    assert image.mode == "P"
    assert len(content) < 150_000


def test_equal_input_gives_equal_bytes() -> None:
    """No time, no software version, no leftovers of an earlier chart."""
    assert chart()[0] == chart()[0]
    assert b"Software" not in chart()[0] and b"tIME" not in chart()[0]


def test_flat_colours_survive_the_reduction() -> None:
    """The background and large areas keep their very colour among thousands of others."""
    figure = Figure(figsize=(4, 3), dpi=100, facecolor="#123457")
    axes = figure.add_axes((0.5, 0, 0.5, 1))
    axes.set_axis_off()
    axes.imshow(np.random.default_rng(1).random((60, 60, 3)))
    image = Image.open(io.BytesIO(encode_png(figure, ""))).convert("RGB")
    assert image.getpixel((2, 2)) == (0x12, 0x34, 0x57)


def test_a_written_file_is_whole_and_alone(tmp_path: Path) -> None:
    """Nothing but the chart is left in the folder; an older one is replaced."""
    of, recommended = SCENES["lowered"]()
    target = tmp_path / "web.png"
    target.write_bytes(b"old")
    write_png(workload_figure(of, 0, recommended), target, describe(recommended))
    assert [path.name for path in tmp_path.iterdir()] == ["web.png"]
    assert target.read_bytes() == chart()[0]


def test_a_folder_that_is_not_there_is_said_in_one_sentence(tmp_path: Path) -> None:
    """The error names the file and what to do."""
    with pytest.raises(OutputError, match="cannot be written"):
        write_png(Figure(), tmp_path / "missing" / "web.png", "")


def test_a_batch_draws_what_single_figures_do() -> None:
    """A page used again, in this process or in two others, gives the bytes of a fresh one."""
    for name in CASES:
        of, recommended = SCENES[name]()
        charts = list(workload_charts(of, [recommended] * 3))
        [origin] = {origin_of(c.content) for c in charts}
        single = encode_png(
            workload_figure(of, 0, recommended), describe(recommended), origin or ""
        )
        assert {digest(c.content) for c in charts} == {digest(single)}
        assert charts[0].name == f"{recommended.ref.slug()}.png"


@pytest.mark.skipif(
    not Path("/proc/self/status").exists(),
    reason="which signals a process blocks is read from /proc, which only Linux has",
)
def test_an_interrupt_is_for_the_process_that_started_the_others() -> None:
    """Ctrl-C reaches all of a terminal's processes; those that only draw would each show where."""
    of, recommended = SCENES["lowered"]()
    charts = workload_charts(of, [recommended] * 3, processes=2)
    next(charts)
    workers = multiprocessing.active_children()
    blocked = [re.search(r"SigBlk:\s+(\w+)", _status(worker.pid)) for worker in workers]
    assert workers
    assert all(mask and int(mask[1], 16) >> (signal.SIGINT - 1) & 1 for mask in blocked)
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())
    assert len(list(charts)) == 2


def _status(process: int | None) -> str:
    return Path(f"/proc/{process}/status").read_text()


def test_processes_change_nothing_about_the_bytes() -> None:
    """Two processes return the charts in order, byte for byte."""
    of, recommended = SCENES["lowered"]()
    [here] = workload_charts(of, [recommended])
    charts = list(workload_charts(of, [recommended] * 3, processes=2))
    expected = (digest(here.content), describe(recommended))
    assert [(digest(c.content), c.description) for c in charts] == [expected] * 3


_DRAW = """
from analyzer.plots import workload_charts
from tests.plots.scenes import SCENES

histories, recommended = SCENES["lowered"]()
for _ in workload_charts(histories, [recommended] * 100_000, processes=2):
    print("drawn", flush=True)
"""
"""A script as one writes it, without a guard for its main part: no worker runs it again."""


def descendants(process: int) -> set[int]:
    """The running processes below one, from /proc."""
    parents = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:  # it has ended meanwhile
            continue
        parents[int(folder.name)] = int(fields[1])
    found = {child for child, parent in parents.items() if parent == process}
    return found.union(*(descendants(child) for child in found))


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processes are read from /proc")
def test_a_killed_run_leaves_no_process_behind(tmp_path: Path) -> None:
    """SIGKILL while drawing: both workers and the tracker of their resources end by themselves."""
    (tmp_path / "draw.py").write_text(_DRAW)
    with subprocess.Popen(
        [sys.executable, str(tmp_path / "draw.py")],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
    ) as run:
        assert run.stdout is not None
        assert run.stdout.readline() == "drawn\n"
        below = descendants(run.pid)
        assert len(below) == 3
        os.kill(run.pid, signal.SIGKILL)
        # All of them write to this pipe, so that it ends when the last of them does.
        reading = threading.Thread(target=run.stdout.read, daemon=True)
        reading.start()
        reading.join(timeout=30)
        left = reading.is_alive()
        if left:
            for process in below:
                with suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)
            reading.join()
    assert not left


def test_drawing_alone_loads_no_pandas() -> None:
    """A process that only draws must start quickly: no tables, no models."""
    code = (
        "import sys, analyzer.plots.drawing; "
        "print(sorted({'pandas', 'sklearn', 'scipy', 'pyarrow'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
