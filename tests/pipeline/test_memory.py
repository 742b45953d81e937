"""Memory: what control groups allow, what a run does within it, and what is free given back."""

from __future__ import annotations

import ctypes
import re
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

from analyzer.config import Config
from analyzer.errors import OutputError, UsageError
from analyzer.pipeline.memory import BASE, allowed_memory, check_memory, give_back, room_within
from analyzer.pipeline.reading import read
from analyzer.pipeline.run import run
from analyzer.quantity import Memory
from analyzer.room import Room
from analyzer.sources import save_recording
from analyzer.usage import Recording, Usage
from tests.samples import meta, steady

GIB = 2**30


@pytest.mark.skipif(
    not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="this C library cannot give back"
)
def test_what_is_free_is_given_back_and_what_is_used_is_kept() -> None:
    """Of 128 MiB in pieces of 64 KiB all but the last are let go: they are resident no more.

    The last one lies above them, so that a C library left to itself keeps them.
    """
    before = resident_mib()
    pieces = [np.full(64 * 1024, 7, np.uint8) for _ in range(2048)]
    last = pieces[-1]
    assert resident_mib() > before + 64
    pieces.clear()
    give_back()
    assert resident_mib() < before + 32
    assert (last == 7).all()


@pytest.mark.parametrize(
    ("member", "files", "allowed"),
    [
        ("0::/\n", {"memory.max": "536870912\n"}, GIB // 2),
        ("0::/\n", {"memory.max": "max\n"}, None),
        ("0::/a/b\n", {"a/b/memory.max": "max\n", "a/memory.max": f"{GIB}\n"}, GIB),
        ("0::/a/b\n", {"a/b/memory.max": f"{2 * GIB}\n", "a/memory.max": f"{GIB}\n"}, GIB),
        ("4:memory:/x\n", {"memory/x/memory.limit_in_bytes": f"{GIB}\n"}, GIB),
        ("4:memory:/x\n", {"memory/x/memory.limit_in_bytes": "9223372036854771712\n"}, None),
        ("4:cpu:/x\n", {"memory/x/memory.limit_in_bytes": f"{GIB}\n"}, None),
        ("0::/\n", {"memory.max": "nonsense\n"}, None),
        ("", {}, None),
    ],
)
def test_the_tightest_group_says_what_is_allowed(
    tmp_path: Path, member: str, files: dict[str, str], allowed: int | None
) -> None:
    """Of both versions, of the own group and all above; what cannot be read limits nothing."""
    (tmp_path / "member").write_text(member)
    for name, text in files.items():
        path = tmp_path / "groups" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    expected = None if allowed is None else Memory(allowed)
    assert allowed_memory(tmp_path / "groups", tmp_path / "member") == expected


def recorded(folder: Path, workloads: int) -> str:
    """A recording of 11 days of so many workloads, the address of it as a source."""
    window = meta(11)
    frames = [steady(11).assign(workload=f"app-{i}", pod=f"app-{i}-1") for i in range(workloads)]
    usage = Usage.from_frame(pd.concat(frames), window)
    save_recording(Recording(window, usage), folder)
    return f"recording:{folder}"


def test_a_run_comes_out_the_same_within_any_budget(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To the byte, with all samples in memory and with all of them on disk."""
    monkeypatch.setattr("analyzer.room._LEAST_BYTES", 0)
    monkeypatch.setattr("analyzer.pipeline.memory._SHARE", 2**40)
    source = recorded(tmp_path / "rec", 3)
    kept: list[int] = []
    original = Room.floats

    def noted(room: Room, count: int) -> npt.NDArray[np.float32]:
        if room.folder is not None:
            kept.append(count)
        return original(room, count)

    monkeypatch.setattr(Room, "floats", noted)
    found = []
    for budget in (None, Memory(GIB)):
        config = Config(
            source=source, window="11d", output=str(tmp_path / "out"), charts=False,
            memory_budget=budget,
        )  # fmt: skip
        made = run(config, datetime(2026, 1, 1, tzinfo=UTC))
        files = [path for path in made.folder.rglob("*") if path.is_file()]
        found.append({path.name: path.read_bytes() for path in files})
        assert bool(kept) is (budget is not None)
    assert found[0] == found[1]
    assert "recommendations.csv" in found[0]


def test_a_budget_that_cannot_do_is_said_before_anything_is_read(tmp_path: Path) -> None:
    """One sentence that names both amounts and the ways out."""
    config = Config(source=f"recording:{tmp_path / 'none'}", memory_budget=Memory(BASE.bytes - 1))
    with pytest.raises(UsageError, match=r"takes 200 ?Mi.* raise the memory limit, or read fewer"):
        read(config, None)


def test_more_containers_need_more(tmp_path: Path) -> None:
    """What does for one cluster is too little for one a thousand times as large."""
    check_memory(BASE, 0)
    check_memory(None, 10**9)
    check_memory(Memory(GIB), 10_000)
    with pytest.raises(UsageError, match=r"100,000 containers takes 2\.\d+ ?Gi"):
        check_memory(Memory(GIB), 100_000)


def test_a_scratch_folder_without_room_is_one_sentence(tmp_path: Path) -> None:
    """What the samples would have taken is named, and nothing stays behind."""
    room = Room(tmp_path / "gone", 0)
    with pytest.raises(OutputError, match=re.escape(f"{tmp_path / 'gone'}: no room for 4 MiB")):
        room.floats(2**20 + 1)


def test_a_scratch_file_has_no_name(tmp_path: Path) -> None:
    """Whatever happens to the process, it is gone with it; and the values are kept."""
    array = Room(tmp_path, 0).floats(2**20)
    array[:] = np.arange(2**20)
    assert list(tmp_path.iterdir()) == []
    assert array[-1] == 2**20 - 1
    assert len(room_within(Memory(GIB)).floats(3)) == 3


def resident_mib() -> float:
    """What the kernel counts as resident of this process."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS:"))
