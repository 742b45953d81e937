"""Running each cluster of a fleet where a worker is; what comes back is the folder of its results.

A worker starts the same process for it that `run` starts here, so that a run which takes too much
ends itself and not the worker. Settings are the client's, with every variable that is one; files
that they name, such as those with tokens, and all else of the environment are the worker's.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from analyzer.config import Config
from analyzer.config.layers import setting_variables
from analyzer.engine.settings import EngineSettings
from analyzer.engine.task import Done, Task
from analyzer.engine.workers import Workers, workers_of
from analyzer.errors import OutputError, UsageError
from analyzer.fleet.run import Ended, Say, run_of, run_one, stopping
from analyzer.output import SUMS, Claim, claim, write_files

_HERE = "--scheduler=none"
"""What runs a cluster hands out nothing of it: its worker would wait for others to be free."""


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
    settings: Path,
    folders: Mapping[str, Path],
    flags: Mapping[str, Sequence[str]],
    say: Say,
) -> Iterator[Ended]:
    """As `run_on`, by the workers of a scheduler. Raises `EngineError` where it has none fit."""
    with workers_of(engine) as workers:
        yield from run_on(workers, settings, folders, flags, say)


def run_on(
    workers: Workers,
    settings: Path,
    folders: Mapping[str, Path],
    flags: Mapping[str, Sequence[str]],
    say: Say,
) -> Iterator[Ended]:
    """Run the clusters of the file `settings` on `workers`, and put their results into `folders`.

    `flags` are those of ``rightsize run``, by cluster. How each ended is given as it ends, and a
    folder is replaced as a whole or stays as it was.
    """
    text, variables = settings.read_text(encoding="utf-8"), setting_variables(os.environ)
    with ExitStack() as stack:
        claims, tasks = {}, []
        for name, folder in folders.items():
            try:
                claims[name] = stack.enter_context(claim(folder))
            except OutputError as error:
                yield Ended(name, error.exit_code, str(error))
                continue
            given = (text, variables, name, folder, tuple(flags.get(name, ())))
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


def _run_cluster(
    text: str, variables: Mapping[str, str], cluster: str, to: Path, flags: Sequence[str]
) -> Found:
    """Run `cluster` of the settings `text` in a process of its own, where this runs.

    What it says of the folder of its results, it says of the one that they go `to`.
    """
    said: list[tuple[str, str]] = []
    own = setting_variables(os.environ)
    environment = {k: v for k, v in os.environ.items() if k not in own} | dict(variables)
    with TemporaryDirectory(prefix="rightsize-") as scratch, stopping() as children:
        settings, folder = Path(scratch) / "rightsize.yaml", Path(scratch) / cluster
        settings.write_text(text, encoding="utf-8")
        ended = run_one(
            children,
            cluster,
            [*run_of(settings, cluster, folder), _HERE, *flags],
            lambda _, what, level: said.append((what.replace(str(folder), str(to)), level)),
            environment,
        )
        ended = replace(ended, problem=ended.problem.replace(str(folder), str(to)))
        return Found(ended, tuple(said), {} if ended.problem else dict(_files(folder)))


def _files(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Every file below `folder`, but for their sums, which are made anew where they land."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path != folder / SUMS:
            yield path.relative_to(folder).as_posix(), path.read_bytes()
