"""Running each cluster of a fleet in a process of its own, so that none can take others along.

What a run says is passed on with the name of its cluster; what it needs, such as tokens, it reads
itself from the files that the settings name.
"""

from __future__ import annotations

import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock

import msgspec

from analyzer.escape import one_line

Say = Callable[[str, str, str], None]
"""Is told the cluster, a sentence and its level, of any thread."""
_WELL = (0, 3, 4)
"""Exit codes of a run that left its results: done, partial, changes are recommended."""
_GRACE = 8.0
"""Seconds for a run to put its things away once it is told to end: fewer than we have ourselves."""
_KEPT = 5


class _Spoken(msgspec.Struct):
    level: str
    message: str


@dataclass(frozen=True)
class Ended:
    """How the run of one cluster ended: its exit code, and in one sentence why it failed."""

    cluster: str
    code: int
    problem: str = ""


@dataclass
class Children:
    """The processes that run now; none is started once they are being stopped."""

    running: dict[str, subprocess.Popen[str]] = field(default_factory=dict)
    stopped: bool = False
    lock: Lock = field(default_factory=Lock)

    def start(
        self, cluster: str, command: Sequence[str], environment: Mapping[str, str] | None = None
    ) -> subprocess.Popen[str] | None:
        with self.lock:
            if self.stopped:
                return None
            self.running[cluster] = subprocess.Popen(
                command,
                env=environment,
                stdin=subprocess.PIPE,  # held: it ends with us
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
            )
            return self.running[cluster]

    def end(self, cluster: str) -> None:
        with self.lock:
            del self.running[cluster]

    def stop(self) -> None:
        with self.lock:
            self.stopped = True
            left = list(self.running.values())
        for child in left:
            child.terminate()
        for child in left:
            try:
                child.wait(_GRACE)
            except subprocess.TimeoutExpired:
                child.kill()


def run_all(
    settings: Path, folders: Mapping[str, Path], flags: Sequence[str], jobs: int, say: Say
) -> Iterator[Ended]:
    """Run the clusters of the file `settings`, `jobs` at a time, into their `folders`.

    `flags` are those of ``rightsize run``. How each ended is given as it ends. Where the caller
    stops listening, or is interrupted, the runs that go on are told to end.
    """
    with stopping() as children, ThreadPoolExecutor(jobs) as pool:
        try:
            waiting = [
                pool.submit(run_one, children, name, [*run_of(settings, name, to), *flags], say)
                for name, to in folders.items()
            ]
            for ended in as_completed(waiting):
                yield ended.result()
        except BaseException:
            children.stop()  # before the pool waits for them
            raise


@contextmanager
def stopping() -> Iterator[Children]:
    """Processes that are told to end with the block, whatever ends it."""
    children = Children()
    try:
        yield children
    finally:
        children.stop()


def run_of(settings: Path, cluster: str, folder: Path) -> list[str]:
    """The command that runs `cluster` of the file `settings` into `folder`."""
    words = ["run", f"--config={settings}", f"--cluster={cluster}", f"--output={folder}"]
    # -P: what lies in the current folder is nobody's library.
    return [sys.executable, "-P", "-m", "analyzer.cli.child", *words, "--log-format=json"]


def run_one(
    children: Children,
    cluster: str,
    command: Sequence[str],
    say: Say,
    environment: Mapping[str, str] | None = None,
) -> Ended:
    """Run `command` among `children` to its end, and pass on what it says."""
    child = children.start(cluster, command, environment)
    if child is None or child.stdin is None or child.stdout is None:
        return Ended(cluster, 130, "was not started any more")
    last: deque[str] = deque(maxlen=_KEPT)
    with child.stdin, child.stdout as lines:
        for line in lines:
            spoken = _spoken(line)
            if spoken is not None:
                say(cluster, spoken.message, spoken.level)
            elif line.strip():
                last.append(line.strip())
                if not line.startswith("Error: "):  # told by how it ended
                    say(cluster, line.strip(), "info")
    code = child.wait()
    children.end(cluster)
    return Ended(cluster, code, "" if code in _WELL else _why(code, last))


def _spoken(line: str) -> _Spoken | None:
    try:
        return msgspec.json.decode(line, type=_Spoken)
    except msgspec.DecodeError:
        return None


def _why(code: int, last: Sequence[str]) -> str:
    """The sentence with which a run failed, or what ended it."""
    if code < 0:
        return f"was ended by signal {-code}, as where memory is short; {_MEMORY}"
    said = [line.removeprefix("Error: ") for line in last]
    return one_line(said[-1] if said else f"ended with exit code {code}", 1000)


_MEMORY = "give it more, or read fewer namespaces"
