"""What the ledger tells the next review: how low is lasting, what is open, what was refused."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd

from analyzer.history import Histories
from analyzer.ledger.table import KEY, Ledger, Row, amounts_of, named, ref_of
from analyzer.quantity import Cpu, Memory, Quantity, Resources, TargetName
from analyzer.recommend import TARGETS
from analyzer.recommend.case import Past
from analyzer.recommend.past import DEMANDED
from analyzer.workload import ContainerRef

HOLD = timedelta(weeks=5)
"""Nothing is lowered below what was wanted within this time: a month's end comes back in it."""
HOLD_AFTER_TURN = timedelta(weeks=26)
"""The same for what has turned around within this time: once is a decision, twice is a flap."""
PEAKS = timedelta(weeks=15)
"""How long peaks count for memory limits: a quarter's end comes back in it."""
SILENCE = timedelta(weeks=13)
"""How long a rejected change is left alone, unless its amount moves."""


def recall(ledger: Ledger, histories: Histories, settings: str = "") -> dict[ContainerRef, Past]:
    """What earlier reviews say of each container of `histories`.

    Nothing written at or after the end of the window is looked at. An open proposal counts only
    where it was made under the same `settings`.
    """
    now = histories.meta.end
    past = ledger.before(now)
    if not len(past):
        return {}
    reviews = past.rows[past.rows["entry"] == "review"]
    turned = _turned(_since(reviews, now, HOLD_AFTER_TURN))
    most = _highest(_since(reviews, now, HOLD))
    longer = _highest(_since(reviews, now, HOLD_AFTER_TURN)) if turned else {}
    peaks = _since(reviews, now, PEAKS).groupby(KEY, observed=True)["memory_max_bytes"].max()
    peak = {named(key): value for key, value in peaks.items()}
    refusals = _refusals(past, now)
    found = {}
    for ref, last in past.last.items():
        if ref not in histories.position:
            continue
        held = ref in turned
        current = histories.spec(histories.position[ref]).resources.effective()
        rejected, reason = refusals.get(ref, ({}, ""))
        found[ref] = Past(
            wanted=(longer if held else most).get(ref, {}),
            span=HOLD_AFTER_TURN if held else HOLD,
            peak=_bytes(peak.get(ref)),
            open=_open(last, current, settings),
            rejected=rejected,
            refused=reason,
        )
    return found


def _since(reviews: pd.DataFrame, now: datetime, length: timedelta) -> pd.DataFrame:
    return reviews[reviews["reviewed"] >= pd.Timestamp(now - length)]


def _highest(reviews: pd.DataFrame) -> dict[ContainerRef, Mapping[TargetName, Quantity]]:
    """The most that was wanted of each target."""
    columns = [f"{target}_wanted" for target in DEMANDED]
    most = reviews.groupby(KEY, observed=True)[columns].max()
    found: dict[ContainerRef, Mapping[TargetName, Quantity]] = {}
    for key, values in zip(most.index, most.itertuples(index=False), strict=True):
        amounts: dict[TargetName, Quantity] = {}
        for target, value in zip(DEMANDED, values, strict=True):
            if not pd.isna(value):
                kind = Cpu if target == "cpu_request" else Memory
                amounts[target] = kind(int(value))
        found[named(key)] = amounts
    return found


def _turned(reviews: pd.DataFrame) -> set[ContainerRef]:
    """Containers one of whose amounts was changed one way and then the other."""
    found: set[ContainerRef] = set()
    groups = reviews.groupby(KEY, observed=True, sort=False)
    for target in DEMANDED:
        delta = groups[f"{target}_now"].diff().astype("float64")
        moved = reviews[KEY].assign(way=np.sign(delta.to_numpy(dtype=np.float64)))
        moved = moved[moved["way"].notna() & (moved["way"] != 0)]
        before = moved.groupby(KEY, observed=True, sort=False)["way"].shift()
        flips = moved[before.notna() & (before != moved["way"])]
        found |= {named(key) for key in flips[KEY].itertuples(index=False)}
    return found


def _open(last: Row, current: Resources, settings: str) -> Resources | None:
    """What the last review proposed, where it still waits."""
    proposed, now = amounts_of(last, "proposed"), amounts_of(last, "now")
    waits = proposed != now and now == current and last["settings"] == settings
    return proposed if waits else None


Refused = dict[TargetName, Quantity | None]


def _refusals(past: Ledger, now: datetime) -> dict[ContainerRef, tuple[Refused, str]]:
    """Changes that persons refused lately: by saying so, or by making something else of them."""
    found: dict[ContainerRef, tuple[Refused, str]] = {}
    for ref, row in past.last.items():
        if row["origin"] == "by hand" and row["since"] >= pd.Timestamp(now - SILENCE):
            proposed = _overruled(past.reviews_of(ref), row)
            if proposed:
                found[ref] = proposed, _reason("changed by hand", row["since"])
    for row in past.decisions:
        if row["decision"] == "rejected" and row["reviewed"] >= pd.Timestamp(now - SILENCE):
            reason = _reason(f"rejected ({row['by']})", row["reviewed"])
            whole = amounts_of(row, "proposed")
            found[ref_of(row)] = {target: whole.amount(target) for target in TARGETS}, reason
    return found


def _overruled(rows: list[Row], last: Row) -> Refused:
    """What was proposed when somebody changed the amounts to what they are; only what differs.

    What was merged as proposed is no refusal.
    """
    now = amounts_of(last, "now")
    earlier = [row for row in rows if amounts_of(row, "now") != now]
    if not earlier or amounts_of(earlier[-1], "proposed") == amounts_of(earlier[-1], "now"):
        return {}
    proposed = amounts_of(earlier[-1], "proposed")
    wished = {target: proposed.amount(target) for target in TARGETS}
    return {target: amount for target, amount in wished.items() if amount != now.amount(target)}


def _reason(what: str, when: Any) -> str:
    return (
        f"{what} on {when:%Y-%m-%d}: left alone for {SILENCE // timedelta(weeks=1)} weeks, or "
        "until its amount has moved by a fifth"
    )


def _bytes(value: float | None) -> Memory | None:
    return None if value is None or pd.isna(value) else Memory.from_bytes(float(value))
