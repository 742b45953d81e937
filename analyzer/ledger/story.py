"""The ledger as a story: each proposal once, with what became of it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from analyzer.ledger.table import KEY, Ledger, Row, amounts_of, named, number, ref_of
from analyzer.quantity import Resources
from analyzer.recommend import TARGETS
from analyzer.workload import ContainerRef


@dataclass(frozen=True, slots=True)
class Episode:
    """One proposal: when it was made first and last, and how it ended.

    `fate` is ``merged``, ``by hand`` (something else was merged), ``rejected``, ``replaced`` (by
    another proposal), ``withdrawn`` (nothing was proposed any more) or ``open``.
    """

    ref: ContainerRef
    first: datetime
    last: datetime
    before: Resources
    proposed: Resources
    stated_kill: float | None
    fate: str
    ended: datetime | None
    after: Resources | None
    """What was merged in its place, where somebody changed it by hand."""


def episodes(ledger: Ledger, refs: Iterable[ContainerRef] | None = None) -> tuple[Episode, ...]:
    """Every proposal of `ledger`, or of `refs` alone, by container and then oldest first."""
    found: list[Episode] = []
    decisions: dict[ContainerRef, list[Row]] = {}
    for row in ledger.decisions:
        decisions.setdefault(ref_of(row), []).append(row)
    for ref, rows in ledger.reviews_of_each(sorted(ledger.last if refs is None else refs)):
        found += _episodes_of(ref, rows, decisions.get(ref, []))
    return tuple(found)


def count_open(ledger: Ledger, refs: Collection[ContainerRef]) -> int:
    """How many proposals of `refs` are open, as `episodes` tells them.

    Only where somebody decided does it take the story; else the last review says it.
    """
    answered = {ref_of(row) for row in ledger.decisions}
    last = ledger.rows[ledger.rows["entry"] == "review"].drop_duplicates(KEY, keep="last")
    moved = np.zeros(len(last), dtype=bool)
    for target in TARGETS:
        now, then = (last[f"{target}_{which}"].fillna(-1) for which in ("now", "proposed"))
        moved |= (now != then).to_numpy(dtype=bool)
    names = zip(*(last.loc[moved, name] for name in KEY), strict=True)
    waiting = {named(key) for key in names} & set(refs)
    told = episodes(ledger, waiting & answered)
    return len(waiting - answered) + sum(episode.fate == "open" for episode in told)


def _episodes_of(ref: ContainerRef, rows: Sequence[Row], decisions: Sequence[Row]) -> list[Episode]:
    found, begin = [], 0
    for position, row in enumerate(rows):
        following = rows[position + 1] if position + 1 < len(rows) else None
        if following is not None and _same(row, following):
            continue
        first, begin = rows[begin], position + 1
        if amounts_of(row, "proposed") != amounts_of(row, "now"):
            found.append(_end(ref, first, row, following, decisions))
    return found


def _same(row: Row, following: Row) -> bool:
    return all(
        amounts_of(row, which) == amounts_of(following, which) for which in ("now", "proposed")
    )


def _end(
    ref: ContainerRef, first: Row, last: Row, following: Row | None, decisions: Sequence[Row]
) -> Episode:
    fate, ended, after = "open", None, None
    proposed, now = amounts_of(last, "proposed"), amounts_of(last, "now")
    refused = [
        d
        for d in decisions
        if d["decision"] in ("rejected", "closed") and _answers(d, first, proposed)
    ]
    if following is not None:
        ended = following["since" if amounts_of(following, "now") != now else "reviewed"]
        fate, after = _fate(following, now, proposed)
    if refused and fate in ("open", "withdrawn"):
        fate, ended = "rejected", refused[-1]["reviewed"]
    return Episode(
        ref=ref,
        first=first["reviewed"].to_pydatetime(),
        last=last["reviewed"].to_pydatetime(),
        before=now,
        proposed=proposed,
        stated_kill=number(last["stated_memory_limit"]),
        fate=fate,
        ended=None if ended is None else ended.to_pydatetime(),
        after=after,
    )


def _answers(decision: Row, first: Row, proposed: Resources) -> bool:
    same = amounts_of(decision, "proposed") == proposed
    return bool(decision["reviewed"] >= first["reviewed"]) and same


def _fate(following: Row, now: Resources, proposed: Resources) -> tuple[str, Resources | None]:
    held = amounts_of(following, "now")
    if held == proposed.effective():
        return "merged", None
    if held != now:
        return "by hand", held
    return ("withdrawn" if amounts_of(following, "proposed") == held else "replaced"), None
