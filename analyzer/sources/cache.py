"""Closed UTC days of one source, kept as recordings, so that a run fetches only what is new.

A day is closed when its last sample can no longer change. Days outlive the retention of the
server, so that trends see months. The folder is safe against two runs at once (a day appears by
one rename, and the first one wins), a kill at any moment (what is not renamed is not there), a
full disk (the day is fetched again next time) and damage (each day is sealed with digests).
"""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
import pandas as pd
import pyarrow as pa

from analyzer.errors import OutputError, RecordingError, SourceError
from analyzer.parquet import is_refusal, read_parquet, write_parquet
from analyzer.room import IN_MEMORY, Room
from analyzer.sources.days import summarise_day
from analyzer.sources.prometheus.ragged import Grid
from analyzer.sources.recording.recording import FILES, load_recording, save_recording
from analyzer.sources.window import DAY
from analyzer.tables import no_days, validate_days
from analyzer.usage import Recording

_LOG = logging.getLogger(__name__)
_SEAL = "seal.json"
_ABOUT = "identity.json"
_NAME_LENGTH = 20
_SCRATCH = ".writing-"
_ASIDE = ".damaged"
"""How the name of a summary ends that is not what was written."""
YEAR = timedelta(days=366)
RAW = timedelta(days=100)
"""So long whole days are kept, for a backtest reads 13 weeks; then their summaries alone."""
_ABANDONED = 24 * 3600.0
GRACE = timedelta(minutes=15)
"""How long after midnight a day may still change: late scrapes, remote writes."""


@dataclass(frozen=True)
class Cache:
    """The days of one source, asked in one way; `identity` is everything that shapes an answer.

    Another query, cluster, tenant or step makes another identity, and so another subfolder. Daily
    summaries depend on `cluster` alone, however its days were asked for; they are kept for a year
    though the days themselves be deleted.
    """

    folder: Path
    identity: tuple[str, ...]
    cluster: tuple[str, ...] = ()

    @property
    def home(self) -> Path:
        """Where the days of this identity lie."""
        return self.folder / _name(self.identity)

    @property
    def summary_home(self) -> Path:
        """Where the summaries of this cluster lie."""
        return self.folder / f"days-{_name(self.cluster or self.identity)}"

    def summarise(self, day: datetime, recording: Recording) -> None:
        """Keep what is to be known of the day that begins at `day`, where nothing is yet.

        What cannot be written is logged and missing, as with `store`.
        """
        if not self.knows(day):
            self._write_summary(day, summarise_day(recording))

    def _summary_path(self, day: datetime) -> Path:
        return self.summary_home / f"{day.astimezone(UTC):%Y-%m-%d}.parquet"

    def _write_summary(self, day: datetime, days: pd.DataFrame) -> None:
        path = self._summary_path(day)
        if path.exists():
            return
        try:
            self.summary_home.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix=_SCRATCH, dir=self.summary_home) as scratch:
                new = Path(scratch) / path.name
                write_parquet(days, new, write_page_checksum=True)
                with new.open("rb") as file:
                    os.fsync(file.fileno())
                new.rename(path)
        except OSError as error:
            _LOG.warning("the summary of %s is not kept: %s", path.stem, error)

    def keep_look(self, days: pd.DataFrame) -> None:
        """Keep what a look back told of the days in the table, those of which nothing is known."""
        for day in days["day"].drop_duplicates():
            self._write_summary(day.to_pydatetime(), days[days["day"] == day])

    def knows(self, day: datetime) -> bool:
        """Whether there is a summary of the day that begins at `day`."""
        return self._summary_path(day).exists()

    def prune(self, before: datetime) -> None:
        """Let go of the whole days before `before`, whose summaries stay for a year.

        Those that were asked for in another way, of the same cluster, go alike. What cannot be
        removed or read is logged and stays.
        """
        if self.home.is_dir():
            self._sign()
        last = f"{before.astimezone(UTC):%Y-%m-%d}"
        for home in self._homes():
            for path in sorted(home.glob("????-??-??")):
                if path.name < last:
                    self._let_go(path)

    def _let_go(self, path: Path) -> None:
        day = datetime.strptime(path.name, "%Y-%m-%d").replace(tzinfo=UTC)
        try:
            if not self.knows(day):
                _check_seal(path)
                self.summarise(day, load_recording(path))
            if self.knows(day):
                _remove(path)
        except (OSError, RecordingError) as error:
            _LOG.warning("the cached day %s stays, it cannot be summed up: %s", path, error)

    def _homes(self) -> Iterator[Path]:
        """The folders with days of this cluster, however they were asked for."""
        for path in sorted(self.folder.glob(f"*/{_ABOUT}")):
            same = self.cluster and _about(path)[: len(self.cluster)] == list(self.cluster)
            if same or path.parent == self.home:
                yield path.parent

    def untold(self) -> list[Path]:
        """Folders of days from earlier versions, which do not say of which cluster they are."""
        homes = self.folder.glob("[0-9a-f]" * _NAME_LENGTH)
        return sorted(h for h in homes if not (h / _ABOUT).exists() and h != self.home)

    def summaries(self, before: datetime) -> pd.DataFrame:
        """The daily summaries of the year before `before`; older ones are removed.

        One that is broken is set aside, so that the next look back asks for its day, and is
        `unsummed` until it is known again. What cannot be read just now is an error as in `load`.
        """
        tables = [no_days()]
        last, first = (f"{t.astimezone(UTC):%Y-%m-%d}" for t in (before, before - YEAR))
        for path in sorted(self.summary_home.glob("????-??-??.parquet")):
            if path.stem < first:
                path.unlink(missing_ok=True)
            elif path.stem < last:
                try:
                    days = read_parquet(path, page_checksum_verification=True)
                    tables.append(validate_days(days))
                except (OSError, pa.ArrowException, RecordingError) as error:
                    if is_refusal(error):
                        raise _unreadable(path, error) from error
                    _LOG.warning("the summary %s cannot be read: %s", path, error)
                    _set_aside(path)
        known = [table for table in tables if not table.empty]
        return validate_days(pd.concat(known, ignore_index=True)) if known else no_days()

    def unsummed(self, before: datetime) -> list[Path]:
        """The damaged summaries set aside, of days before `before` of which nothing else is known.

        A decrease may rest on what such a day would have held. What is known anew, or older than a
        year, is removed.
        """
        last, first = (f"{t.astimezone(UTC):%Y-%m-%d}" for t in (before, before - YEAR))
        found = []
        for path in sorted(self.summary_home.glob(f"????-??-??{_ASIDE}")):
            if path.stem < first or path.with_suffix(".parquet").exists():
                path.unlink(missing_ok=True)
            elif path.stem < last:
                found.append(path)
        return found

    def load(self, day: datetime, room: Room = IN_MEMORY) -> Recording | None:
        """The day that begins at `day`, or None; a damaged one is removed and counts as none.

        Only what is proven not to be what was written is damaged. Where this machine cannot read
        a day (no descriptor, no memory, a failing disk), the day stays and `SourceError` says so:
        without it a run would rest on less than it claims.
        """
        path = self._path(day)
        if not path.is_dir():
            return None
        try:
            _check_seal(path)
            return load_recording(path, room)
        except DamageError as error:
            _LOG.warning("the cached day %s is damaged and fetched anew: %s", path, error)
            _remove(path)
        except FileNotFoundError:
            return None  # another run was faster to find it damaged
        except (OSError, MemoryError) as error:
            raise _unreadable(path, error) from error
        except RecordingError as error:
            if isinstance(error.__cause__, OSError | MemoryError | pa.ArrowException):
                raise _unreadable(path, error) from error
            _LOG.warning("the cached day %s is of another version, it is fetched: %s", path, error)
        return None

    def store(self, day: datetime, recording: Recording) -> bool:
        """Keep a whole day, or leave the one that is there; False where it cannot be written."""
        path = self._path(day)
        if path.is_dir():
            return True
        try:
            self.home.mkdir(parents=True, exist_ok=True)
            _clear_abandoned(self.home)
            self._sign()
            with tempfile.TemporaryDirectory(prefix=_SCRATCH, dir=self.home) as scratch:
                new = Path(scratch) / "day"
                save_recording(recording, new)
                _seal(new, f"{self.home.name}/{path.name}")
                new.rename(path)
                _sync(self.home)
        except (OSError, OutputError) as error:
            if path.is_dir():
                return True  # another run was faster
            _LOG.warning(
                "the day %s and what follows is not kept, reading goes on: %s", path.name, error
            )
            return False
        return True

    def _sign(self) -> None:
        """Write down what the days of this folder are of, for whoever tidies up later."""
        about = self.home / _ABOUT
        if not about.exists():
            try:
                with tempfile.TemporaryDirectory(prefix=_SCRATCH, dir=self.home) as scratch:
                    new = Path(scratch) / _ABOUT
                    new.write_bytes(orjson.dumps(self.identity))
                    new.rename(about)
            except OSError as error:
                _LOG.warning("%s cannot be written: %s", about, error)

    def _path(self, day: datetime) -> Path:
        return self.home / f"{day.astimezone(UTC):%Y-%m-%d}"


def _name(identity: tuple[str, ...]) -> str:
    return hashlib.sha256(orjson.dumps(identity)).hexdigest()[:_NAME_LENGTH]


def _about(path: Path) -> list[str]:
    """What a folder of days is of; nothing where that cannot be read."""
    try:
        told = orjson.loads(path.read_bytes())
    except (OSError, orjson.JSONDecodeError):
        return []
    return told if isinstance(told, list) else []


class DamageError(RecordingError):
    """What lies on disk is not what was written there."""


def _set_aside(path: Path) -> None:
    """Give a damaged summary a name under which no run takes it for one."""
    try:
        path.rename(path.with_suffix(_ASIDE))
    except FileNotFoundError:
        return  # another run was faster
    except OSError as error:
        raise SourceError(
            f"{path}: is damaged and cannot be set aside ({error.strerror}); let it be renamed, or "
            "move it away"
        ) from error


def _unreadable(path: Path, error: BaseException) -> SourceError:
    what = str(error) or type(error).__name__
    return SourceError(
        f"the cached day {path} cannot be read just now ({what}) and is kept; mend that "
        "and run again, or run without the cache"
    )


def closed_days(grid: Grid, now: datetime) -> Iterator[tuple[datetime, int, int]]:
    """The closed UTC days that lie wholly in `grid`, each with its steps ``low`` to ``high``.

    None where days are no whole number of steps, or steps do not meet midnight.
    """
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    if DAY % grid.step or (grid.start - epoch) % grid.step:
        return
    per_day = DAY // grid.step
    day = epoch + -((epoch - grid.start) // DAY) * DAY
    while day + DAY <= grid.end and day + DAY + GRACE <= now:
        low = (day - grid.start) // grid.step
        yield day, low, low + per_day
        day += DAY


def uncovered(grid: Grid, covered: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """The spans of steps of `grid` that `covered` (sorted, disjoint) leaves open."""
    spans = []
    position = 0
    for low, high in [*covered, (grid.steps, grid.steps)]:
        if low > position:
            spans.append((position, low))
        position = high
    return spans


def _seal(path: Path, of: str) -> None:
    digests = {name: _digest(path / name) for name in FILES if (path / name).exists()}
    with (path / _SEAL).open("wb") as file:
        file.write(orjson.dumps({"of": of, "files": digests}))
        file.flush()
        os.fsync(file.fileno())


def _check_seal(path: Path) -> None:
    try:
        seal = orjson.loads((path / _SEAL).read_bytes())
    except orjson.JSONDecodeError as error:
        raise DamageError(f"{path / _SEAL} is damaged: {error}") from error
    except FileNotFoundError as error:
        raise DamageError(f"{path} has no seal") from error
    if not isinstance(seal, dict):
        raise DamageError(f"{path / _SEAL} is damaged: it holds no object")
    # Seals of earlier versions are the digests alone.
    digests = seal.get("files", seal)
    if seal.get("of", _place(path)) != _place(path):
        raise DamageError(f"{path} bears the seal of {seal['of']}")
    # Listed, not asked for one by one: a failing stat says "not there".
    present = {entry.name for entry in path.iterdir() if entry.name in FILES}
    if not isinstance(digests, dict) or set(digests) != present:
        raise DamageError(f"{path} lacks a file")
    for name, digest in digests.items():
        if _digest(path / name) != digest:
            raise DamageError(f"{path / name} is not what was written")


def _place(path: Path) -> str:
    """Identity and day of a folder of the cache, as its seal names them."""
    return f"{path.parent.name}/{path.name}"


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _remove(path: Path) -> None:
    """Take a day away in one step, so that nobody meets it half removed."""
    grave = path.with_name(f"{_SCRATCH}{path.name}-{os.getpid()}-{time.monotonic_ns()}")
    try:
        path.rename(grave)
    except OSError:
        return  # another run was faster, or the folder is not ours to write: it counts as none
    shutil.rmtree(grave, ignore_errors=True)


def _clear_abandoned(home: Path) -> None:
    """Remove what runs left behind that were killed while they wrote."""
    for entry in home.glob(f"{_SCRATCH}*"):
        try:
            old = time.time() - entry.stat().st_mtime > _ABANDONED
        except FileNotFoundError:
            continue
        if old:
            shutil.rmtree(entry, ignore_errors=True)


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
