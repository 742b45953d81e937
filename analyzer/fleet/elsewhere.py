"""Running each cluster of a fleet where a worker is; what comes back is the folder of its results.

A worker starts the same process for it that `run` starts here, so that a run which takes too much
ends itself and not the worker. Settings are the client's, with every variable that is one; files
that they name, such as those with tokens, and all else of the environment are the worker's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from analyzer.config import Config
from analyzer.config.layers import DEFAULT_FILE, environment_with
from analyzer.engine.settings import EngineSettings
from analyzer.engine.task import Done, Task
from analyzer.engine.workers import Workers, workers_of
from analyzer.errors import OutputError, UsageError
from analyzer.fleet.run import Ended, Say, run_of, run_one, stopping
from analyzer.output import Claim, claim, read_files, write_files

_HERE = "--scheduler=none"
"""What runs a cluster hands out nothing of it: its worker would wait for others to be free."""


@dataclass(frozen=True)
class Sent:
    """Settings on their way: the text of the file, and the variables that are settings."""

    text: str
    variables: Mapping[str, str]


@dataclass(frozen=True)
class Found:
    """How a run ended, what it said on the way, and the files that it left."""

    ended: Ended
    said: tuple[tuple[str, str], ...]
    files: Mapping[str, bytes] = field(repr=False)


def with_ledger(config: Config, output: Path) -> list[str]:
    """The flag by which a run finds its ledger, where that lies beside the results in `output`.

    Raises `UsageError` where a worker is on another machine, which has no such folder.
    """
    folder, engine = config.ledger_folder, config.engine
    if folder is None or config.ledger is not None or config.prometheus.cache is not None:
        return []
    if engine.address is not None and engine.address.url is None:
        return [f"--ledger={(output / folder.name).absolute()}"]
    raise UsageError(
        f"{config.cluster}: the ledger lies beside the results, which workers do not have; set "
        "`ledger` to a folder that all workers share, or to off"
    )


def run_by(
    engine: EngineSettings,
    sent: Sent,
    folders: Mapping[str, Path],
    flags: Mapping[str, Sequence[str]],
    say: Say,
) -> Iterator[Ended]:
    """As `run_on`, by the workers of a scheduler. Raises `EngineError` where it has none fit."""
    with workers_of(engine) as workers:
        yield from run_on(workers, sent, folders, flags, say)


def run_on(
    workers: Workers,
    sent: Sent,
    folders: Mapping[str, Path],
    flags: Mapping[str, Sequence[str]],
    say: Say,
) -> Iterator[Ended]:
    """Run the clusters of the settings `sent` on `workers`, and put their results into `folders`.

    `flags` are those of ``rightsize run``, by cluster. How each ended is given as it ends, and a
    folder is replaced as a whole or stays as it was.
    """
    with ExitStack() as stack:
        claims, tasks = {}, []
        for name, folder in folders.items():
            try:
                claims[name] = stack.enter_context(claim(folder))
            except OutputError as error:
                yield Ended(name, error.exit_code, str(error))
                continue
            given = (sent, name, folder, tuple(flags.get(name, ())))
            tasks.append(Task(name, _run_cluster, given))
        # A run may open pull requests, or write a ledger: one at a time of a cluster.
        for task, done in workers.results(tasks, repeatable=False):
            yield _landed(task.name, done, claims[task.name], say)


def _landed(cluster: str, done: Done, claimed: Claim, say: Say) -> Ended:
    """Put what came of `cluster` where it belongs, once it ended well."""
    if done.refusal is not None:
        return Ended(cluster, done.refusal.exit_code, str(done.refusal))
    found: Found = done.value
    for text, level in found.said:
        say(cluster, text, level)
    if found.ended.problem:
        return found.ended
    try:
        with claimed.publish() as fresh:
            write_files(fresh, found.files)
    except OutputError as error:
        return Ended(cluster, error.exit_code, str(error))
    return found.ended


def environment_there(variables: Mapping[str, str]) -> dict[str, str]:
    """What a run sees where a worker is: its own settings, and nothing that Dask sets for workers.

    Dask has them give memory back at once, which takes a run a fifth more CPU; it gives back what
    is large when it is done with it.
    """
    found = environment_with(variables)
    found.pop("MALLOC_TRIM_THRESHOLD_", None)
    return found


def _run_cluster(sent: Sent, cluster: str, to: Path, flags: Sequence[str]) -> Found:
    """Run `cluster` of the settings that were `sent` in a process of its own, where this runs.

    What it says of the folder of its results, it says of the one that they go `to`.
    """
    said: list[tuple[str, str]] = []
    with TemporaryDirectory(prefix="rightsize-") as scratch, stopping() as children:
        folder = Path(scratch) / cluster
        write_files(Path(scratch), {DEFAULT_FILE: sent.text.encode()})
        ended = run_one(
            children,
            cluster,
            [*run_of(Path(scratch) / DEFAULT_FILE, cluster, folder), _HERE, *flags],
            lambda _, what, level: said.append((what.replace(str(folder), str(to)), level)),
            environment_there(sent.variables),
        )
        ended = replace(ended, problem=ended.problem.replace(str(folder), str(to)))
        return Found(ended, tuple(said), {} if ended.problem else read_files(folder))
