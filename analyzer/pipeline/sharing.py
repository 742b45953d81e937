"""A cluster read by the workers of a scheduler, each a shard of it, and put together here."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from analyzer.config import Config
from analyzer.engine.task import Task
from analyzer.engine.workers import workers_of
from analyzer.errors import SourceError
from analyzer.output import read_files, write_files
from analyzer.pipeline.memory import give_back
from analyzer.room import Room
from analyzer.shard import Shard
from analyzer.sources import save_recording
from analyzer.sources.recording.merging import merge_shards
from analyzer.sources.window import Progress
from analyzer.usage import Recording

Read = Callable[[Config, datetime | None, Shard], Recording]


def read_by_workers(
    config: Config, now: datetime | None, read: Read, room: Room, progress: Progress
) -> Recording:
    """What `read` gives of the whole cluster, its shards read by workers; samples lie in `room`.

    A shard comes as the compressed files of its recording, one after the other, so that what is
    held beside the whole is no more than a shard. Raises as `read` does.
    """
    with workers_of(config.engine) as workers, TemporaryDirectory(prefix="rightsize-") as scratch:
        count = config.engine.shards or len(workers)
        shards = [Shard(index, count) for index in range(count)]
        tasks = {
            shard: Task(f"shard {shard}", _recorded, (read, config, now, shard)) for shard in shards
        }
        folders = {task.name: Path(scratch) / str(s.index) for s, task in tasks.items()}
        progress(0, count, "reading on workers")
        for number, (task, done) in enumerate(workers.results(list(tasks.values())), 1):
            if isinstance(done.refusal, SourceError):
                # Files and routes are the worker's: here all may be well.
                raise SourceError(f"on the worker of {task.name}: {done.refusal}")
            if done.refusal is not None:
                raise done.refusal
            write_files(folders[task.name], done.value)
            progress(number, count, "reading on workers")
        return merge_shards(list(folders.values()), room)


def _recorded(read: Read, config: Config, now: datetime | None, shard: Shard) -> dict[str, bytes]:
    """The files of the recording of `shard`, read where this runs."""
    with TemporaryDirectory(prefix="rightsize-") as scratch:
        folder = Path(scratch) / "shard"
        save_recording(read(config, now, shard), folder)
        give_back()  # a worker goes on to other work
        return read_files(folder)
