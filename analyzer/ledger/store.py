"""The ledger on disk: a folder of Parquet files, one for each run, never changed once written.

A file appears by one rename, so a kill at any moment leaves it out or whole. Two runs at once
write two files. Two ledgers are merged by copying files together, and pandas reads the folder:
``pd.read_parquet("ledger")``.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd

from analyzer.errors import LedgerError
from analyzer.ledger.table import SCHEMA, Ledger, make_ledger, no_ledger, typed

_PREFIX = "ledger-v"
_SCRATCH = ".writing-"


def read_ledger(folder: Path) -> Ledger:
    """Everything that runs have written into `folder`; empty where there is none.

    Raises `LedgerError` for a file that is damaged or of a later version.
    """
    if not folder.exists():
        return no_ledger()
    try:
        paths = sorted(folder.glob(f"{_PREFIX}*.parquet"))
    except OSError as error:
        raise LedgerError(f"{folder}: cannot be read ({error.strerror})") from error
    return make_ledger([_read(path) for path in paths])


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
                typed(rows).to_parquet(file, index=False, compression="zstd")
                file.flush()
                os.fsync(file.fileno())
            digest = hashlib.sha256(Path(scratch).read_bytes()).hexdigest()[:12]
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


def _read(path: Path) -> pd.DataFrame:
    version = path.name.removeprefix(_PREFIX).partition("-")[0]
    if version != str(SCHEMA):
        raise LedgerError(
            f"{path}: written by version {version!r} of the ledger, this one reads {SCHEMA}; "
            "use the version of rightsize that wrote it"
        )
    try:
        return typed(pd.read_parquet(path))
    except (OSError, ValueError, LedgerError) as error:
        raise LedgerError(f"{path}: is damaged ({error}); move it away and run again") from error
