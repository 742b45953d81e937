"""Parquet files read and written by the calling thread alone.

Arrow reads ahead, and decodes, in threads of its own. Where the system refuses them it waits for
ever for a thread that never ran. On tables as small as ours they save nothing. It is loaded by the
first file: commands that read none are spared the wait.
"""

from __future__ import annotations

import errno
import io
from collections.abc import Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow.parquet as pq

Source = Path | io.BytesIO
_REFUSED = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN)


def is_refusal(error: Exception) -> bool:
    """Whether reading failed for what the system refused, such as a thread or memory.

    It says nothing of the file then. Arrow has no narrower name for it than that of all its errors.
    """
    if isinstance(error, MemoryError | ImportError) or getattr(error, "errno", None) in _REFUSED:
        return True
    import pyarrow as pa

    return type(error) is pa.ArrowException


def open_parquet(source: Source, **options: Any) -> pq.ParquetFile:
    """The file at `source`, to be read in parts; each part with ``use_threads=False``."""
    import pyarrow.parquet as pq

    return pq.ParquetFile(source, pre_buffer=False, **options)


def read_parquet(
    source: Source, columns: Sequence[str] | None = None, **options: Any
) -> pd.DataFrame:
    """The table at `source`, or some `columns` of it."""
    with open_parquet(source, **options) as file:
        table = file.read(columns=columns, use_threads=False)
    frame: pd.DataFrame = table.to_pandas(use_threads=False)
    return frame


def write_parquet(frame: pd.DataFrame, target: Path | IO[bytes], **options: Any) -> None:
    """Write `frame`, without its index, compressed by zstd."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.Table.from_pandas(frame, preserve_index=False, nthreads=1)
    pq.write_table(table, target, compression="zstd", **options)
