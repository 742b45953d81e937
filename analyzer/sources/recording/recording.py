"""Recordings: usage on disk, as a folder of ``meta.json`` and zstd Parquet tables."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from analyzer.check import PROBLEM, Check
from analyzer.errors import OutputError, RecordingError
from analyzer.sources.prometheus.examine import examine_recording
from analyzer.sources.recording.usage_file import read_usage, write_usage
from analyzer.sources.window import Progress, Window, silent
from analyzer.usage import (
    NAMES,
    Meta,
    Recording,
    Usage,
    utc,
    validate_events,
    validate_specs,
)

FORMAT = 1


@dataclass(frozen=True)
class RecordingSource:
    """A recording in the folder `path`."""

    path: Path
    progress: Progress = silent

    def describe(self) -> str:
        """Name the folder."""
        return f"recording:{self.path}"

    def examine(self, end: datetime | None = None) -> list[Check]:
        """Say what the recording holds and lacks."""
        try:
            return examine_recording(load_recording(self.path))
        except RecordingError as error:
            return [Check("recording", PROBLEM, str(error), "record anew")]

    def read(self, window: Window) -> Recording:
        """Return the part of the recording that lies in `window`, its end by default.

        Raises `RecordingError` where the window and the recording have nothing in common, or the
        window asks for another step than the recording has.
        """
        return cut_recording(load_recording(self.path), window)


def load_recording(path: Path) -> Recording:
    """Read a recording. Raises `RecordingError` saying what is broken, and where."""
    _check_folder(path)
    usage_file = path / "usage.parquet"
    meta = _read_meta(path / "meta.json") if (path / "meta.json").exists() else None
    if meta is None:
        meta = _derive_meta(path)
    usage = read_usage(usage_file, meta)
    specs = _read_table(path / "specs.parquet", optional=True)
    events = _read_table(path / "events.parquet", optional=True)
    recording = Recording(meta, usage)
    if specs is not None:
        recording = replace(recording, specs=_validated(validate_specs, specs, path))
    if events is not None:
        recording = replace(recording, events=_validated(validate_events, events, path))
    return recording


def save_recording(recording: Recording, path: Path) -> None:
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
    """The part of `recording` inside `window`."""
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
    usage = _list_only(usage, specs)
    return replace(
        recording,
        meta=replace(meta, start=start, end=end),
        usage=usage,
        specs=specs.reset_index(drop=True),
        events=events.reset_index(drop=True),
    )


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


def _read_meta(path: Path) -> Meta:
    try:
        data = orjson.loads(path.read_bytes())
    except (OSError, orjson.JSONDecodeError) as error:
        raise RecordingError(f"{path} is not readable JSON: {error}") from error
    if not isinstance(data, dict):
        raise RecordingError(f"{path} must hold a JSON object, found {type(data).__name__}")
    version = data.get("format", data.get("format_version", FORMAT))
    if version != FORMAT:
        raise RecordingError(
            f"{path} has format version {version!r}; this version reads {FORMAT}, "
            "upgrade rightsize or record anew"
        )
    try:
        return Meta(
            cluster=str(data["cluster"]),
            start=utc(datetime.fromisoformat(data["start"])),
            end=utc(datetime.fromisoformat(data["end"])),
            step=timedelta(seconds=float(data["step_seconds"])),
            source=str(data.get("source", "")),
            queries=_strings(data.get("queries")),
            warnings=_strings(data.get("warnings")),
            nodes=tuple(data.get("nodes") or ()),
        )
    except RecordingError as error:
        raise RecordingError(f"{path}: {error}") from error
    except (KeyError, ValueError, TypeError) as error:
        raise RecordingError(f"{path} lacks or garbles a field: {error}") from error


def _strings(value: Any) -> tuple[str, ...]:
    if isinstance(value, dict):
        value = value.values()
    return tuple(str(item) for item in value or ())


def _derive_meta(path: Path) -> Meta:
    """Window and step from the times in the usage table, where nobody wrote them down."""
    times = _column(path / "usage.parquet", "timestamp")
    if not len(times):
        raise RecordingError(f"{path / 'usage.parquet'} holds no samples")
    seconds = np.unique(times.to_numpy().astype("datetime64[s]").astype(np.int64))
    gaps = np.diff(seconds)
    step = timedelta(seconds=int(np.bincount(gaps).argmax()) if len(gaps) else 300)
    end = datetime.fromtimestamp(int(seconds[-1]), UTC)
    first = datetime.fromtimestamp(int(seconds[0]), UTC)
    steps = -((first - end) // step) + 1
    return Meta(cluster=path.name, start=end - steps * step, end=end, step=step, source=str(path))


def _column(path: Path, name: str) -> pa.ChunkedArray:
    try:
        return pq.read_table(path, columns=[name])[name]
    except (OSError, pa.ArrowException, KeyError) as error:
        raise RecordingError(f"cannot read {name} of {path}: {error}") from error


def _read_table(path: Path, *, optional: bool) -> pd.DataFrame | None:
    if optional and not path.exists():
        return None
    try:
        # Not read_table: what it loads and the threads it starts cost 40 MB for small tables.
        with pq.ParquetFile(path) as file:
            frame: pd.DataFrame = file.read(use_threads=False).to_pandas(use_threads=False)
        return frame
    except (OSError, pa.ArrowException) as error:
        raise RecordingError(f"{path} is broken: {error}; record or fetch it anew") from error


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


FILES = ("meta.json", "usage.parquet", "specs.parquet", "events.parquet")


def _write(recording: Recording, folder: Path) -> None:
    meta = recording.meta
    data = {
        "format": FORMAT,
        "cluster": meta.cluster,
        "start": meta.start.isoformat(),
        "end": meta.end.isoformat(),
        "step_seconds": meta.step.total_seconds(),
        "source": meta.source,
        "queries": list(meta.queries),
        "warnings": list(meta.warnings),
        "nodes": list(meta.nodes),
    }
    (folder / "meta.json").write_bytes(orjson.dumps(data, option=orjson.OPT_INDENT_2) + b"\n")
    write_usage(recording.usage, folder / "usage.parquet")
    for name, frame in (("specs", recording.specs), ("events", recording.events)):
        table = pa.Table.from_pandas(frame, preserve_index=False)
        pq.write_table(table, folder / f"{name}.parquet", compression="zstd")
    for file in folder.iterdir():
        with file.open("rb") as handle:
            os.fsync(handle.fileno())


__all__ = ["RecordingSource", "cut_recording", "load_recording", "save_recording"]
