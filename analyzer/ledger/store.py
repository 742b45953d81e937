"""The ledger on disk: a folder of Parquet files, one for each run, never changed once written.

A file appears by one rename, so a kill at any moment leaves it out or whole. Two runs at once
write two files. Two ledgers are merged by copying files together, and pandas reads the folder:
``pd.read_parquet("ledger")``.

A name ends with the digest of what was written. A file that no longer has it is left out and told
of; a run that has told of it sets it aside, and names it in every later one until it is gone.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import tempfile
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd

from analyzer.errors import LedgerError
from analyzer.ledger.table import ASIDE, SCHEMA, Ledger, Lost, make_ledger, no_ledger, typed
from analyzer.parquet import is_refusal, read_parquet, write_parquet

_PREFIX = "ledger-v"
_SCRATCH = ".writing-"
_DIGEST = re.compile(r"-([0-9a-f]{12})\.parquet$")


def read_ledger(folder: Path) -> Ledger:
    """Everything that runs have written into `folder`; empty where there is none.

    What is proven to be damaged is `Ledger.lost`. Raises `LedgerError` for a file that cannot be
    read now, is of a later version, or says something else than a ledger.
    """
    if not folder.exists():
        return no_ledger()
    try:
        paths = sorted(folder.glob(f"{_PREFIX}*.parquet"))
        lost = [Lost(path, aside=True) for path in sorted(folder.glob(f"{ASIDE}*"))]
    except OSError as error:
        raise LedgerError(f"{folder}: cannot be read ({error.strerror})") from error
    tables = []
    for path in paths:
        content = _content(path)
        if _differs(path, content):
            lost.append(Lost(path))
        else:
            tables.append(_table(path, content))
    return replace(make_ledger(tables), lost=tuple(lost))


def set_aside(ledger: Ledger) -> None:
    """Rename what `ledger` found damaged, so that no later run counts it as found anew.

    Nothing is deleted, and what was mended meanwhile stays. Raises `LedgerError` where it cannot
    be renamed.
    """
    for lost in ledger.lost:
        if lost.aside or not lost.path.exists() or not _differs(lost.path, _content(lost.path)):
            continue
        try:
            lost.path.rename(lost.path.with_name(f"{ASIDE}{lost.path.name}"))
        except FileNotFoundError:
            continue  # another run has just set it aside
        except OSError as error:
            raise LedgerError(
                f"{lost.path}: is damaged and cannot be set aside ({error.strerror}); "
                "let it be renamed, or move it away"
            ) from error


def append(folder: Path, rows: pd.DataFrame, written: datetime) -> Path | None:
    """Add `rows` as one file; None where there are none. The same rows twice are one file.

    Raises `LedgerError` where it cannot be written.
    """
    if rows.empty:
        return None
    stamp = f"{written.astimezone(UTC):%Y%m%dT%H%M%SZ}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor, scratch = tempfile.mkstemp(prefix=_SCRATCH, dir=folder)
        try:
            with os.fdopen(descriptor, "wb") as file:
                write_parquet(typed(rows), file)
                file.flush()
                os.fsync(file.fileno())
            digest = _digest(Path(scratch).read_bytes())
            target = folder / f"{_PREFIX}{SCHEMA}-{stamp}-{digest}.parquet"
            Path(scratch).chmod(0o644)
            Path(scratch).rename(target)
        finally:
            Path(scratch).unlink(missing_ok=True)
    except OSError as error:
        raise LedgerError(
            f"{folder}: the ledger cannot be written ({error.strerror}); "
            "choose another folder with --ledger"
        ) from error
    return target


def _content(path: Path) -> bytes:
    version = path.name.removeprefix(_PREFIX).partition("-")[0]
    if version != str(SCHEMA):
        raise LedgerError(
            f"{path}: written by version {version!r} of the ledger, this one reads {SCHEMA}; "
            "use the version of rightsize that wrote it"
        )
    try:
        return path.read_bytes()
    except OSError as error:
        raise LedgerError(
            f"{path}: cannot be read ({error.strerror}); let it be read, or move it away"
        ) from error


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:12]


def _differs(path: Path, content: bytes) -> bool:
    """Whether `content` is proven to be another than `path` was named for."""
    named = _DIGEST.search(path.name)
    return named is not None and named[1] != _digest(content)


def _table(path: Path, content: bytes) -> pd.DataFrame:
    try:
        return typed(read_parquet(io.BytesIO(content)))
    except (OSError, ValueError, LedgerError) as error:
        if is_refusal(error):
            raise LedgerError(f"{path}: cannot be read just now ({error})") from error
        raise LedgerError(
            f"{path}: is no table of a ledger ({error}); move it away and run again"
        ) from error
