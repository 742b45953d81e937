"""Recordings: usage on disk, as a folder of ``meta.json`` and zstd Parquet tables."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from analyzer import __version__
from analyzer.check import PROBLEM, Check
from analyzer.errors import OutputError, RecordingError
from analyzer.parquet import open_parquet, read_parquet, write_parquet
from analyzer.room import IN_MEMORY, Room
from analyzer.shard import Shard, ShardOf, digest_of
from analyzer.sources.days import join_summaries, summarise_day
from analyzer.sources.examine import examine_recording
from analyzer.sources.recording.meta_file import FORMAT, read_meta, write_meta
from analyzer.sources.recording.usage_file import read_usage, unreadable, write_usage
from analyzer.sources.window import DAY, Progress, Window, silent
from analyzer.tables import NAMES, TABLES
from analyzer.usage import Meta, Recording, Usage, utc

ALWAYS = ("specs", "events")
"""Tables that are written even where they are empty, as ever."""
FILES = ("meta.json", "usage.parquet", *(f"{name}.parquet" for name in TABLES))


@dataclass(frozen=True)
class RecordingSource:
    """A recording in the folder `path`."""

    path: Path
    progress: Progress = silent

    def describe(self) -> str:
        """Name the folder."""
        return f"recording:{self.path}"

    def examine(self, window: Window) -> list[Check]:
        """Say what the recording holds and lacks, and what of it cannot be believed."""
        try:
            return examine_recording(self.read(window))
        except RecordingError as error:
            return [Check("recording", PROBLEM, str(error), "record anew")]

    def read(self, window: Window) -> Recording:
        """Return the part of the recording that lies in `window`, its end by default.

        What lies before the window is summed up by day. Raises `RecordingError` where the window
        and the recording have nothing in common, or the window asks for another step than the
        recording has.
        """
        whole = load_recording(self.path, window.room)
        if whole.meta.shard is not None:
            raise RecordingError(
                f"{self.path} is shard {whole.meta.shard.shard} of a cluster; put all of them "
                "together with `rightsize merge`, and read that"
            )
        part = cut_recording(whole, window)
        before = summarise_before(whole, part.meta.start)
        if before:
            part = replace(part, days=join_summaries([*before, part.days]))
        return part if window.shard is None else _shard_of(part, window.shard)


def _shard_of(recording: Recording, shard: Shard) -> Recording:
    """What of `recording` belongs to `shard`."""
    known = {ref.namespace for ref in recording.usage.containers}
    known |= {str(name) for table in recording.tables.values() for name in table["namespace"]}
    part = recording.part(shard.owns)
    return replace(part, meta=replace(part.meta, shard=mark(shard, known)))


def mark(shard: Shard, known: Iterable[str]) -> ShardOf:
    """What the recording of `shard` says of itself, with all namespaces that were `known`."""
    return ShardOf(shard, __version__, digest_of(known))


def from_first_sample(recording: Recording) -> Recording:
    """`recording` without the whole days before its first sample: the server held nothing then."""
    usage = recording.usage
    empty = int(usage.first.min(initial=usage.steps)) // usage.steps_per_day * usage.steps_per_day
    if not 0 < empty < usage.steps:
        return recording
    return cut_recording(recording, Window(length=(usage.steps - empty) * usage.step))


def load_recording(path: str | os.PathLike[str], room: Room = IN_MEMORY) -> Recording:
    """Read a recording. Raises `RecordingError` saying what is broken, and where."""
    path = Path(path)
    _check_folder(path)
    usage_file = path / "usage.parquet"
    described = (path / "meta.json").exists()
    meta = read_meta(path / "meta.json") if described else _derive_meta(path)
    tables = {}
    for name, validate in TABLES.items():
        frame = _read_table(path / f"{name}.parquet")
        if frame is not None:
            tables[name] = _validated(validate, frame, path)
    return Recording(meta, read_usage(usage_file, meta, room), **tables)


def save_recording(recording: Recording, path: str | os.PathLike[str]) -> None:
    """Write `recording` into the folder `path`, replacing one that is there, all or nothing.

    Raises `OutputError` where that cannot be written, or `path` holds something else.
    """
    path = Path(path)
    _check_target(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as scratch:
            new = Path(scratch) / "new"
            new.mkdir()
            _write(recording, new)
            if path.exists():
                path.rename(Path(scratch) / "old")
            new.rename(path)
    except OSError as error:
        raise OutputError(f"cannot write the recording {path}: {error}") from error


def cut_recording(recording: Recording, window: Window) -> Recording:
    """The part of `recording` inside `window`, and the daily summaries up to its end."""
    meta = recording.meta
    if window.step is not None and window.step != meta.step:
        raise RecordingError(
            f"the recording has steps of {meta.step}, not of {window.step}; leave the step out"
        )
    end = meta.end if window.end is None else utc(window.end)
    stop = min(meta.steps, (end - meta.start) // meta.step)
    begin = max(0, stop - window.length // meta.step)
    if stop <= begin:
        raise RecordingError(
            f"the recording covers {meta.start} to {meta.end}, which the window that ends at "
            f"{end} does not touch; ask for an end within it"
        )
    if (begin, stop) == (0, meta.steps):
        return recording
    usage = recording.usage.between(begin, stop)
    start, end = usage.start, usage.end
    events = recording.events
    events = events[(events["timestamp"] > start) & (events["timestamp"] <= end)]
    specs = recording.specs
    specs = specs[~(specs["first_seen"] > end) & ~(specs["last_seen"] <= start)]
    pods, days = recording.pods, recording.days
    pods = pods[~(pods["started"] > end) & ~(pods["ended"] <= start)]
    return replace(
        recording,
        meta=replace(meta, start=start, end=end),
        usage=_list_only(usage, specs),
        specs=specs.reset_index(drop=True),
        events=events.reset_index(drop=True),
        pods=pods.reset_index(drop=True),
        days=days[days["day"] < end].reset_index(drop=True),
    )


def summarise_before(recording: Recording, end: datetime) -> list[pd.DataFrame]:
    """The days tables of the whole UTC days of `recording` that end by `end`."""
    start = recording.meta.start
    midnight = start.replace(hour=0, minute=0, second=0, microsecond=0)
    first = midnight if midnight == start else midnight + DAY
    ends = (first + (k + 1) * DAY for k in range(max(0, (end - first) // DAY)))
    return [summarise_day(cut_recording(recording, Window(day, DAY))) for day in ends]


def _list_only(usage: Usage, specs: pd.DataFrame) -> Usage:
    """`usage` without the containers that were gone, or not yet there, in its window."""
    there = set(zip(*(specs[name] for name in NAMES), strict=True))
    seen = set(usage.container.tolist())
    kept = [
        index
        for index, ref in enumerate(usage.containers)
        if index in seen or (ref.namespace, ref.kind, ref.workload, ref.container) in there
    ]
    position = np.full(len(usage.containers), -1, dtype=np.int64)
    position[kept] = np.arange(len(kept))
    return replace(
        usage,
        containers=tuple(usage.containers[index] for index in kept),
        container=position[usage.container],
    )


def _check_folder(path: Path) -> None:
    if not path.exists():
        raise RecordingError(f"there is no recording {path}; give the folder that holds it")
    if not path.is_dir():
        raise RecordingError(f"{path} is a file; a recording is the folder with usage.parquet")
    if not (path / "usage.parquet").is_file():
        raise RecordingError(f"{path} holds no usage.parquet, so it is no recording")


def _derive_meta(path: Path) -> Meta:
    """Window and step from the times in the usage table, where nobody wrote them down."""
    times = _column(path / "usage.parquet", "timestamp")
    if not len(times):
        raise RecordingError(f"{path / 'usage.parquet'} holds no samples")
    seconds = np.unique(times.to_numpy().astype("datetime64[s]").astype(np.int64))
    gaps, often = np.unique(np.diff(seconds), return_counts=True)
    step = timedelta(seconds=int(gaps[often.argmax()]) if len(gaps) else 300)
    end = datetime.fromtimestamp(int(seconds[-1]), UTC)
    first = datetime.fromtimestamp(int(seconds[0]), UTC)
    steps = -((first - end) // step) + 1
    start = end - steps * step
    try:
        return Meta(cluster=path.name, start=start, end=end, step=step, source=str(path))
    except RecordingError as error:
        raise RecordingError(f"{path / 'usage.parquet'}: {error}, or add meta.json") from error


def _column(path: Path, name: str) -> pa.ChunkedArray:
    try:
        with open_parquet(path) as file:
            return file.read(columns=[name], use_threads=False)[name]
    except (OSError, pa.ArrowException, KeyError) as error:
        raise RecordingError(f"cannot read {name} of {path}: {error}") from error


def _read_table(path: Path) -> pd.DataFrame | None:
    if not path.exists():
        return None
    try:
        return read_parquet(path)
    except MemoryError:
        raise  # that nothing is left is no fault of the file
    except (OSError, pa.ArrowException) as error:
        raise unreadable(path, error) from error


def _validated(validate: Any, frame: pd.DataFrame, path: Path) -> pd.DataFrame:
    try:
        table: pd.DataFrame = validate(frame)
        return table
    except RecordingError as error:
        raise RecordingError(f"{path}: {error}") from error


def _check_target(path: Path) -> None:
    if not path.exists():
        return
    if not path.is_dir():
        raise OutputError(f"{path} is a file; give a folder for the recording")
    strange = [entry.name for entry in path.iterdir() if entry.name not in FILES]
    if strange:
        raise OutputError(
            f"{path} holds {strange[0]}, which is no part of a recording; give another folder"
        )


def _write(recording: Recording, folder: Path) -> None:
    write_meta(recording.meta, folder / "meta.json")
    write_usage(recording.usage, folder / "usage.parquet")
    for name, frame in recording.tables.items():
        if name in ALWAYS or not frame.empty:
            write_parquet(frame, folder / f"{name}.parquet")
    for file in folder.iterdir():
        with file.open("rb") as handle:
            os.fsync(handle.fileno())


__all__ = ["FORMAT", "RecordingSource", "cut_recording", "load_recording", "save_recording"]
