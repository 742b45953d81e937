"""The table of the ledger: one row per container and review, or per decision of a person.

Amounts are exact (millicores, bytes; null where nothing is declared) in the columns
``cpu_request_now``, ``..._proposed``, ``..._wanted`` (what demand alone speaks for) and
``..._before`` (what held before the last change). ``stated_...`` are the chances of more than the
proposed amount, ``promised_...`` those stated for the amounts that hold. ``origin`` says how
those came about: ``declared``, ``proposed``, ``by hand``. ``hours`` and what follows is what
happened to them since the review before, or since they were merged. ``killed_limit`` is the highest
limit at which the window saw a kill, ``fills`` 1 where it was found to fill whatever it gets,
``leaks`` 1 where memory climbed through each life and fell at its end, ``killed_elsewhere`` how
many kills it saw far below the limit, ``starts`` 1 where it saw a start, and ``start_peak`` the
bytes that starts took. ``run_hours`` is how long the runs of a job usually took while the amounts
held. Of the time that ``hours`` counts are ``cpu_p95_since`` (cores, of the busiest pod),
``memory_max_since`` (bytes), ``restarts`` (those after a kill too) and ``evictions``.

A row of the kind ``judged`` is about all containers: what was stated for one ``resource`` at one
``risk`` a horizon ago was exceeded in ``exceeded`` of ``containers`` (of CPU: shares of the time in
sum), as the model that ``by`` names had stated it.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache, cached_property
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from analyzer.errors import LedgerError
from analyzer.quantity import Cpu, Memory, Resources
from analyzer.recommend import TARGETS
from analyzer.workload import ContainerRef

SCHEMA = 1
ASIDE = "_damaged-"
"""Before the name of a damaged file; what reads a folder of Parquet leaves such names out."""
KEY = ["cluster", "namespace", "workload_kind", "workload", "container"]
AMOUNTS = ("now", "proposed", "wanted", "before")
RISKS = ("cpu_request", "memory_request", "memory_limit")
"""The targets for which a risk is stated and held against what happened."""

Decision = Literal["rejected", "closed", "merged"]
"""What a person did with a proposal, where Git or a forge tells.

What was ``rejected`` is not recommended again for a while. What was ``closed`` is held back where
it was closed, so that a label or a tick can bring it back there.
"""

_TEXTS = (*KEY, "entry", "decision", "by", "origin", "settings", "resource")
_TIMES = ("reviewed", "since")
_LATER = (
    "killed_limit", "fills", "leaks", "killed_elsewhere", "starts", "start_peak",
    "resource", "risk", "containers", "exceeded", "run_hours",
    "cpu_p95_since", "memory_max_since", "restarts", "evictions",
)  # fmt: skip
"""Columns that the first ledgers lack: null there."""
_COUNTS = (
    *(f"{target}_{which}" for which in AMOUNTS for target in TARGETS),
    "oom_kills",
    "kills",
    "killed_limit",
    "fills",
    "leaks",
    "killed_elsewhere",
    "starts",
    "containers",
    "restarts",
    "evictions",
)
_NUMBERS = (
    *(f"stated_{target}" for target in RISKS),
    *(f"promised_{target}" for target in RISKS),
    "cpu_p95_cores",
    "memory_max_bytes",
    "throttled",
    "hours",
    "cpu_above",
    "memory_above",
    "throttled_since",
    "start_peak",
    "risk",
    "exceeded",
    "run_hours",
    "cpu_p95_since",
    "memory_max_since",
)
COLUMNS = (*_TEXTS, *_TIMES, *_COUNTS, *_NUMBERS)

_AT_A_TIME = 256

Row = Mapping[Hashable, Any]


@dataclass(frozen=True)
class Lost:
    """A file of the ledger whose bytes are not those that were written, and what is missing by it.

    It is `aside` once a run has gone on without it and said so.
    """

    path: Path
    aside: bool = False

    def __str__(self) -> str:
        name = self.path.name.removeprefix(ASIDE)
        return (
            f"{self.path}: is damaged, so that its proposals, refusals and kills are forgotten; "
            f"put a good copy back as {name}, or delete it to go on without"
        )


@dataclass(frozen=True)
class Ledger:
    """All rows, oldest first; of two reviews of one container at one time the later written."""

    rows: pd.DataFrame
    lost: tuple[Lost, ...] = ()

    def __len__(self) -> int:
        return len(self.rows)

    def before(self, moment: datetime) -> Ledger:
        """What had been written down until just before `moment`."""
        return Ledger(self.rows[self.rows["reviewed"] < pd.Timestamp(moment)])

    def plus(self, rows: pd.DataFrame) -> Ledger:
        """With `rows` added."""
        return make_ledger([self.rows, rows]) if len(rows) else self

    def inherited(self, names: Mapping[ContainerRef, ContainerRef]) -> pd.DataFrame:
        """The rows of renamed containers under their names of now, where nothing is known of these.

        `names` gives the new name of each old one.
        """
        parts = [
            self.rows[_is_about(self.rows, old)].assign(**key_of(new))
            for old, new in names.items()
            if new not in self.last
        ]
        return typed(pd.concat(parts)) if parts else no_ledger().rows

    @cached_property
    def last(self) -> dict[ContainerRef, Row]:
        """The last review of each container."""
        reviews = self.rows[self.rows["entry"] == "review"]
        return {ref_of(row): row for row in _plain(reviews.drop_duplicates(KEY, keep="last"))}

    def reviews_of(self, ref: ContainerRef) -> list[Row]:
        """The reviews of one container, oldest first."""
        return next((rows for _, rows in self.reviews_of_each([ref])), [])

    def reviews_of_each(
        self, refs: Iterable[ContainerRef], columns: Sequence[str] = COLUMNS
    ) -> Iterator[tuple[ContainerRef, list[Row]]]:
        """The reviews of those of `refs` that have any, oldest first, with these `columns`.

        Unpacked for many at a time, which costs a tenth, and never for all: rows take much memory.
        """
        known = iter([ref for ref in refs if ref in self._places])
        table = self.rows[list(columns)]
        while some := list(islice(known, _AT_A_TIME)):
            places = [self._places[ref] for ref in some]
            rows = iter(_plain(table.iloc[np.concatenate(places)]))
            for ref, where in zip(some, places, strict=True):
                yield ref, list(islice(rows, len(where)))

    @cached_property
    def decisions(self) -> list[Row]:
        """What persons decided, by container and then oldest first."""
        return _plain(self.rows[self.rows["entry"] == "decision"])

    @cached_property
    def _places(self) -> dict[ContainerRef, npt.NDArray[np.int64]]:
        """Where the reviews of each container are."""
        reviews = np.flatnonzero(self.rows["entry"] == "review")
        groups = self.rows[KEY].iloc[reviews].groupby(KEY, observed=True, sort=False).indices
        return {named(key): reviews[where] for key, where in groups.items()}


def _is_about(rows: pd.DataFrame, ref: ContainerRef) -> pd.Series[bool]:
    names = key_of(ref)
    return (rows[KEY] == [names[column] for column in KEY]).all(axis=1)


def make_ledger(parts: list[pd.DataFrame]) -> Ledger:
    """One ledger of tables in any order; the same review written twice counts once."""
    kept = [part for part in parts if len(part)]
    if not kept:
        return no_ledger()
    rows = pd.concat(kept, ignore_index=True)
    rows = rows.drop_duplicates([*KEY, "reviewed", "entry", "resource", "risk"], keep="last")
    return Ledger(rows.sort_values([*KEY, "reviewed"], kind="stable", ignore_index=True))


def make_rows(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """A table of `rows` with every column in its type; what a row leaves out is null."""
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    return typed(frame)


def typed(frame: pd.DataFrame) -> pd.DataFrame:
    """`frame` with the columns of the ledger alone, in their types.

    Raises `LedgerError` where one is missing or cannot be what it should be.
    """
    frame = frame.assign(**{name: None for name in _LATER if name not in frame.columns})
    missing = [name for name in COLUMNS if name not in frame.columns]
    if missing:
        raise LedgerError(f"a ledger's table lacks the column(s) {', '.join(missing[:3])}")
    try:
        columns: dict[str, pd.Series[Any]] = {
            name: frame[name].astype("string").fillna("") for name in _TEXTS
        }
        columns |= {
            name: pd.to_datetime(frame[name], utc=True).astype("datetime64[s, UTC]")
            for name in _TIMES
        }
        columns |= {name: frame[name].astype("Int64") for name in _COUNTS}
        columns |= {name: frame[name].astype("float64") for name in _NUMBERS}
    except (TypeError, ValueError) as error:
        raise LedgerError(f"a ledger's table cannot be read: {error}") from error
    return pd.DataFrame(columns)


@cache
def no_ledger() -> Ledger:
    """A ledger of nothing; nobody changes a table."""
    return Ledger(make_rows([]))


def key_of(ref: ContainerRef) -> dict[str, Any]:
    """The columns that name `ref`."""
    names = (ref.cluster, ref.namespace, ref.kind, ref.workload, ref.container)
    return dict(zip(KEY, names, strict=True))


def ref_of(row: Row) -> ContainerRef:
    """The container that a row is about."""
    return ContainerRef(*(str(row[name]) for name in KEY))


def named(key: Any) -> ContainerRef:
    """The container that the values of `KEY` name, as pandas groups by them."""
    return ContainerRef(*(str(value) for value in key))


def amounts_of(row: Row, which: str) -> Resources:
    """One of `AMOUNTS` of a row."""
    values = [row[f"{target}_{which}"] for target in TARGETS]
    amounts: list[Any] = [
        None if pd.isna(value) else (Cpu if target.startswith("cpu") else Memory)(int(value))
        for target, value in zip(TARGETS, values, strict=True)
    ]
    return Resources(*amounts)


def columns_of(resources: Resources, which: str) -> dict[str, Any]:
    """`resources` as the columns of one of `AMOUNTS`."""
    amounts = {target: getattr(resources, target) for target in TARGETS}
    return {
        f"{target}_{which}": None if amount is None else amount.units
        for target, amount in amounts.items()
    }


def number(value: Any) -> float | None:
    """A number of a row; None where it is null."""
    return None if pd.isna(value) else float(value)


def _plain(rows: pd.DataFrame) -> list[Row]:
    """Rows as mappings; whole numbers as floats, which hold them exactly up to eight pebibytes."""
    counts = [name for name in _COUNTS if name in rows]
    plain = rows.astype(dict.fromkeys(counts, "float64")).replace({np.nan: None})
    return [dict(row) for row in plain.to_dict("records")]
