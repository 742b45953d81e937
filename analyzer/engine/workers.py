"""The workers of a Dask scheduler: found, looked at, given tasks, asked for what came of them."""

from __future__ import annotations

import asyncio
import logging
import signal
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib import import_module
from itertools import cycle
from multiprocessing import resource_tracker
from typing import TYPE_CHECKING, Any, TypeVar

from analyzer.cores import usable_cores
from analyzer.engine.address import Address
from analyzer.engine.settings import EngineSettings
from analyzer.engine.task import Done, Task, other_version, perform
from analyzer.errors import AnalyzerError, UsageError
from analyzer.escape import one_line
from analyzer.processes import deaf_to

if TYPE_CHECKING:
    from distributed import Client, Future

_ALIKE = ("numpy", "pandas", "distributed")
"""Libraries that have to be the same everywhere, beside Python and this package: results are to be
the same to the byte, and what travels is packed by them."""
_LOOK = 1.0
"""Seconds between two looks at whether a task is late."""
_SLOW = 3.0
"""A task is late that takes so many times as long as the slowest that has ended."""
_LEAVE = 3.0
"""Seconds for saying good-bye: fewer than we have ourselves when told to end."""


_QUIET = {
    "distributed.worker.profile.enabled": False,
    "distributed.admin.system-monitor.interval": "10s",
    "distributed.admin.tick.interval": "1s",
    "distributed.worker.memory.monitor-interval": "2s",
    "distributed.scheduler.active-memory-manager.start": False,
}
"""What Dask is spared: it looks at itself a hundred times a second, which takes a client and each
worker of its own 2.5 % of a core for as long as a run takes."""

T = TypeVar("T")


class EngineError(AnalyzerError):
    """The scheduler cannot be reached or went away, or its workers cannot do what is asked."""


class DataLostError(EngineError):
    """What a worker kept is gone with it."""

    def __init__(self, settings: EngineSettings) -> None:
        super().__init__(
            f"{settings.scheduler}: workers died that kept samples; see whether they have enough "
            "memory"
        )


@contextmanager
def workers_of(settings: EngineSettings) -> Iterator[Workers]:
    """The workers of the scheduler of `settings`, looked at before anything is given to them.

    Raises `UsageError` where Dask is not installed or no scheduler is set, and `EngineError` where
    none answers, no worker comes, or one has not what this package's work needs.
    """
    address = settings.address
    if address is None:
        raise UsageError("no scheduler is given; name one with --scheduler")
    _load_dask()
    from dask import config

    with (
        config.set(_QUIET),
        _silent(),
        _connected(address, settings.wait.total_seconds()) as client,
    ):
        yield Workers(client, settings, _looked_at(client, settings))


@dataclass(frozen=True)
class Workers:
    """What does the work: `names` are the addresses of those that were there at first."""

    client: Client
    settings: EngineSettings
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.names)

    def keep(self, parts: Sequence[T]) -> list[Future[T]]:
        """Let workers keep `parts`, one each; tasks find theirs by what is returned for it.

        Raises `DataLostError` where a worker goes meanwhile.
        """
        names = sorted(self.client.nthreads()) or self.names
        try:
            return [
                self.client.scatter(part, workers=[name], hash=False)
                for part, name in zip(parts, cycle(names))
            ]
        except (OSError, ValueError, TimeoutError, CancelledError) as error:
            raise DataLostError(self.settings) from error

    def results(
        self,
        tasks: Sequence[Task],
        *,
        repeatable: bool = True,
        beside: Mapping[str, Sequence[Future[Any]]] | None = None,
    ) -> Iterator[tuple[Task, Done]]:
        """What came of each of `tasks`, as they end; one that failed is `Done` with its refusal.

        Where they are `repeatable`, one that is late is given to an idle worker as well. Whatever
        nobody waits for any more is given up. What workers `keep` for a task by its name comes
        before what it is given. Raises `EngineError` where the scheduler is lost, and
        `DataLostError` where what was kept is.
        """
        given = _Round(self.client, self.settings, repeatable, beside or {})
        try:
            yield from given.run(tasks)
        finally:
            # A scheduler that is gone has given up already.
            with suppress(OSError, CancelledError):
                given.give_up()


@dataclass
class _Round:
    """Tasks that were handed out together, by the key under which Dask knows each."""

    client: Client
    settings: EngineSettings
    repeatable: bool
    beside: Mapping[str, Sequence[Future[Any]]]
    waiting: dict[str, tuple[Future[Done], Task]] = field(default_factory=dict)
    twice: set[str] = field(default_factory=set)
    """Names of tasks that were handed out once more."""
    slowest: float = 0.0
    """Seconds that the slowest task that has ended took."""

    def run(self, tasks: Sequence[Task]) -> Iterator[tuple[Task, Done]]:
        began, ended = time.monotonic(), 0
        for task in tasks:
            self._hand_out(task)
        while self.waiting:
            for key in self._ended():
                if key not in self.waiting:
                    continue  # its twin was first
                future, task = self.waiting.pop(key)
                done = self._outcome(future, task)
                twins = [k for k, (_, other) in self.waiting.items() if other is task]
                if done.refusal is not None and twins:
                    continue  # the twin may do better
                for twin in twins:
                    self.client.cancel([self.waiting.pop(twin)[0]], force=True)
                ended, self.slowest = ended + 1, time.monotonic() - began
                yield task, done
            if self.repeatable and 2 * ended >= len(tasks):
                self._repeat_late(time.monotonic() - began)

    def give_up(self) -> None:
        left = [future for future, _ in self.waiting.values()]
        if left:
            self.client.cancel(left, force=True)

    def _hand_out(self, task: Task, workers: Sequence[str] | None = None) -> None:
        # The name only: a key is shown to whoever sees the dashboard.
        key = f"{task.name}-{uuid.uuid4().hex}"
        future = self.client.submit(
            perform,
            task,
            *self.beside.get(task.name, ()),
            key=key,
            workers=workers,
            retries=self.settings.retries,
            pure=False,
        )
        self.waiting[key] = (future, task)

    def _ended(self) -> list[str]:
        """Keys of what has ended, empty where nothing has for a while."""
        from distributed import wait

        futures = [future for future, _ in self.waiting.values()]
        try:
            wait(futures, timeout=_LOOK, return_when="FIRST_COMPLETED")
        except TimeoutError:
            return []
        except CancelledError as error:
            raise self._lost() from error
        return [key for key, (future, _) in self.waiting.items() if future.done()]

    def _outcome(self, future: Future[Done], task: Task) -> Done:
        """What came of `task`, whose `future` has ended."""
        try:
            error = future.exception()
            if error is None:
                done: Done = future.result()
                return done
        except CancelledError as cancelled:
            raise self._lost() from cancelled
        if isinstance(error, AnalyzerError):
            return Done(refusal=error)
        # Whatever it is, it was raised on another machine and belongs to this task alone.
        refusal = EngineError(f"{task.name}: {_why(error)}")
        refusal.__cause__ = error
        return Done(refusal=refusal)

    def _lost(self) -> EngineError:
        """What is lost where Dask gives a task up: what was kept for it, or the scheduler."""
        running = self.client.status == "running"
        return DataLostError(self.settings) if running and self.beside else _lost(self.settings)

    def _repeat_late(self, elapsed: float) -> None:
        """Hand out once more what is late, to workers that have nothing to do."""
        if elapsed < max(self.settings.patience.total_seconds(), _SLOW * self.slowest):
            return
        late = [task for _, task in self.waiting.values() if task.name not in self.twice]
        if not late:
            return
        idle = [name for name, keys in self.client.processing().items() if not keys]
        for task, worker in zip(late, idle, strict=False):
            self.twice.add(task.name)
            self._hand_out(task, [worker])


def _load_dask() -> None:
    """Load Dask, which then has set up its logging. Raises `UsageError` where it is missing."""
    try:
        import_module("distributed.client")
    except ModuleNotFoundError as error:
        raise UsageError(
            "--scheduler needs Dask, which is not installed; pip install 'rightsize[dask]'"
        ) from error


@contextmanager
def _connected(address: Address, wait: float) -> Iterator[Client]:
    from distributed import Client, LocalCluster

    if address.url is None:
        resource_tracker.ensure_running()  # as it starts, it lets through what is held back
        with deaf_to(signal.SIGINT):  # by the threads that start workers as well, now and later
            cluster = LocalCluster(
                n_workers=address.local or usable_cores(),
                threads_per_worker=1,
                dashboard_address=None,
                silence_logs=logging.CRITICAL,
            )
        with (
            cluster,
            Client(cluster, set_as_default=False) as client,
            client.as_current(),
        ):
            yield client
        return
    try:
        _greet(address.url, wait)
        client = Client(address.url, timeout=wait, set_as_default=False)
    except (OSError, ValueError, TypeError, ImportError) as error:
        raise EngineError(
            f"{address.url}: no Dask scheduler answers there within {wait:g} s "
            f"({one_line(str(error) or type(error).__name__, 200)}); see that it runs, and that "
            "its address and its certificates are right"
        ) from error
    try:
        with client.as_current():
            yield client
    finally:
        with suppress(OSError, TimeoutError, CancelledError):
            client.close(timeout=_LEAVE)


def _greet(url: str, wait: float) -> None:
    """Shake hands with a scheduler within `wait` seconds. Raises as Dask does, or TimeoutError.

    A client would wait without end for one that takes the connection and says nothing.
    """
    from distributed import Security
    from distributed.comm import connect

    async def shake() -> None:
        wanted = Security().get_connection_args("client")
        comm = await asyncio.wait_for(connect(url, timeout=wait, **wanted), wait)
        comm.abort()

    with ThreadPoolExecutor(1) as thread:  # a notebook's own thread has a loop that runs already
        thread.submit(asyncio.run, shake()).result()


def _looked_at(client: Client, settings: EngineSettings) -> tuple[str, ...]:
    """The addresses of all workers. Raises `EngineError` where none comes, or one is not fit."""
    seconds = settings.wait.total_seconds()
    try:
        client.wait_for_workers(1, timeout=seconds)
        versions = client.get_versions(packages=["rightsize"])
    except TimeoutError as error:
        raise EngineError(
            f"{settings.scheduler}: no worker has come within {seconds:g} s; start some with "
            "`dask worker`, or see why they do not reach the scheduler"
        ) from error
    except (OSError, CancelledError) as error:
        raise _lost(settings) from error
    ours = versions["client"]["packages"]
    for worker, told in sorted(versions["workers"].items()):
        _expect_fit(worker, told["packages"], ours)
    return tuple(sorted(versions["workers"]))


def _expect_fit(
    worker: str, theirs: Mapping[str, str | None], ours: Mapping[str, str | None]
) -> None:
    """Raise `EngineError` where `worker` has other versions than this process."""
    from analyzer import __version__

    wanted = ours["rightsize"] or __version__
    if theirs["rightsize"] is None:
        raise EngineError(
            f"the worker {worker} has no rightsize and this is {wanted}; install it there, or give "
            "workers the image that has it"
        )
    if theirs["rightsize"] != wanted:
        raise EngineError(other_version(worker, theirs["rightsize"], wanted))
    for name in ("python", *_ALIKE):
        one, two = (told.get(name) or "none" for told in (theirs, ours))
        if name == "python":
            one, two = (".".join(version.split(".")[:2]) for version in (one, two))
        if one != two:
            raise EngineError(
                f"the worker {worker} has {name} {one} and this has {two}; "
                "give workers and client the same image or environment"
            )


def _lost(settings: EngineSettings) -> EngineError:
    return EngineError(
        f"{settings.scheduler}: the scheduler went away before all was done; see why it ended, "
        "and run again"
    )


def _why(error: BaseException) -> str:
    """What ended a task, in words."""
    from distributed.scheduler import KilledWorker

    if isinstance(error, KilledWorker):
        return (
            f"every worker that took it died, {error.allowed_failures + 1} of them, the last was "
            f"{error.last_worker.address}; see whether they have enough memory"
        )
    if isinstance(error, ModuleNotFoundError) and str(error.name).startswith("analyzer"):
        return "a worker that came later has no rightsize; install it there"
    return f"a worker failed with {type(error).__name__}: {one_line(str(error), 500)}"


@contextmanager
def _silent() -> Iterator[None]:
    """Keep to itself what Dask logs: what there is to say is said as an error of this package."""
    names = [name for name in logging.root.manager.loggerDict if name.startswith("distributed")]
    before = {name: logging.getLogger(name).level for name in names}
    for name in names:
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for name, level in before.items():
            logging.getLogger(name).setLevel(level)
