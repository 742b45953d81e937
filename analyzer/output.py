"""Putting results on disk: a whole folder at once, or nothing.

A run writes into a hidden folder beside the target and swaps the two by renaming. Whatever
happens in between, the target is the old result or the new one. Only a folder whose every file
stands in its ``SHA256SUMS`` is ever replaced: what somebody else put there is not ours to delete.
A run claims its target before it starts to work, so that of two runs the second learns at once.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from analyzer.errors import OutputError

SUMS = "SHA256SUMS"


def write_files(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write `files` (relative posix path to content) below `folder`.

    Raises `OutputError` for a path that would leave it.
    """
    for name, content in files.items():
        path = PurePosixPath(name)
        if path.is_absolute() or not path.parts or ".." in path.parts or "\0" in name:
            raise OutputError(f"a writer asked for the path {name!r}, outside the output folder")
        target = folder.joinpath(*path.parts)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
        except OSError as error:
            raise OutputError(f"{target}: cannot be written ({error.strerror})") from error


def read_files(folder: Path) -> dict[str, bytes]:
    """Every file below `folder` as `write_files` takes them, but for the sums of a result."""
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in paths
        if path != folder / SUMS
    }


def check_target(target: Path) -> None:
    """Raise `OutputError` unless `publish` may replace `target`; changes nothing but parents."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{target}: its parent cannot be made ({error.strerror})") from error
    if not os.access(target.parent, os.W_OK | os.X_OK):
        raise OutputError(f"{target.parent}: not writable; choose another folder with --output")
    if target.is_symlink() or (target.exists() and not target.is_dir()):
        raise OutputError(f"{target}: is not a folder; choose another one with --output")
    strange = sorted(_names(target) - _listed(target)) if target.exists() else []
    if strange:
        raise OutputError(
            f"{target}: holds {strange[0]}, which no run wrote there; move it away "
            "or choose another folder with --output"
        )


@dataclass(frozen=True)
class Claim:
    """The sole right to replace `target`, good for as long as the block of `claim` runs."""

    target: Path

    @contextmanager
    def publish(self) -> Iterator[Path]:
        """Give an empty folder to fill; when the block ends well, it takes the target's place.

        When it raises, the target stays as it was. What an interrupted run left behind is
        cleaned up first.
        """
        target = self.target
        fresh, previous = _sibling(target, "new"), _sibling(target, "previous")
        check_target(target)  # again: hours may have passed since it was claimed
        for leftover in (fresh, previous):
            shutil.rmtree(leftover, ignore_errors=True)
        try:
            with _blaming(target):
                fresh.mkdir()
            yield fresh  # what fails in there is not the folder's fault
            with _blaming(target):
                _write_sums(fresh)
                if target.exists():
                    target.rename(previous)
                fresh.rename(target)
        finally:
            # First of all: an interrupt between the two renames must not cost the old result.
            _restore(target, previous)
            shutil.rmtree(fresh, ignore_errors=True)
            if target.exists():
                shutil.rmtree(previous, ignore_errors=True)


@contextmanager
def _blaming(target: Path) -> Iterator[None]:
    """Turn what the system refuses within the block into an error that names the place."""
    try:
        yield
    except OSError as error:
        where = error.filename or target
        raise OutputError(f"{where}: cannot be written ({error.strerror})") from error


@contextmanager
def claim(target: Path) -> Iterator[Claim]:
    """Let nobody else replace `target` until the block ends.

    Raises `OutputError` at once where another run holds it, or where `check_target` objects. A
    run that is killed holds nothing any more.
    """
    check_target(target)
    path = _sibling(target, "lock")
    handle = _lock(path, target)
    try:
        _restore(target, _sibling(target, "previous"))  # where a run was killed while swapping
        yield Claim(target)
    finally:
        path.unlink(missing_ok=True)  # while it is locked: whoever waits for it sees it go
        os.close(handle)


@contextmanager
def publish(target: Path) -> Iterator[Path]:
    """Claim `target` and publish it in one go; see `Claim.publish`."""
    with claim(target) as claimed, claimed.publish() as folder:
        yield folder


def _restore(target: Path, previous: Path) -> None:
    if previous.exists() and not target.exists():
        previous.rename(target)


def _sibling(target: Path, kind: str) -> Path:
    return target.parent / f".{target.name}.{kind}"


def _lock(path: Path, target: Path) -> int:
    """The locked file at `path`; never one that its last holder has removed meanwhile."""
    while True:
        try:
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644)
        except OSError as error:
            raise OutputError(f"{path}: cannot be written ({error.strerror})") from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_at(handle, path):
                return handle
        except BlockingIOError as error:
            os.close(handle)
            raise OutputError(f"{target}: another run is writing there; wait for it") from error
        except OSError as error:
            os.close(handle)
            raise OutputError(f"{path}: cannot be locked ({error.strerror})") from error
        os.close(handle)


def _is_at(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), path.lstat())
    except FileNotFoundError:
        return False


def _names(folder: Path) -> set[str]:
    return {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_symlink() or not path.is_dir()
    }


def _listed(folder: Path) -> set[str]:
    return set(sums_of(folder)) | {SUMS} if (folder / SUMS).is_file() else set()


def sums_of(folder: Path) -> dict[str, str]:
    """The SHA-256 of each file of the results in `folder`, by name, as they were written."""
    try:
        lines = (folder / SUMS).read_text(encoding="utf-8", errors="replace").splitlines()
    except (FileNotFoundError, NotADirectoryError):
        return {}
    parts = (line.partition("  ") for line in lines)
    return {name: digest for digest, _, name in parts}


def read_as_written(folder: Path, name: str, sums: Mapping[str, str]) -> bytes | None:
    """The file `name` of the results in `folder`; None unless it is as `sums` have it."""
    path = folder / name
    try:  # a pipe would be waited for without end
        content = path.read_bytes() if name in sums and path.is_file() else None
    except OSError:
        return None
    if content is None or hashlib.sha256(content).hexdigest() != sums[name]:
        return None
    return content


def _write_sums(folder: Path) -> None:
    lines = [
        f"{hashlib.sha256((folder / name).read_bytes()).hexdigest()}  {name}\n"
        for name in sorted(_names(folder))
    ]
    (folder / SUMS).write_text("".join(lines), encoding="utf-8")
