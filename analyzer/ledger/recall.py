"""What the ledger tells the next review: how low is lasting, what is open, what was refused."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd

from analyzer.history import Histories
from analyzer.ledger.table import KEY, Ledger, Row, amounts_of, named, ref_of
from analyzer.models import Resource
from analyzer.quantity import Cpu, Memory, Quantity, Resources, TargetName
from analyzer.recommend import TARGETS
from analyzer.recommend.case import Past
from analyzer.recommend.past import DEMANDED, demanded_of
from analyzer.workload import ContainerRef

HOLD = timedelta(weeks=5)
"""Nothing is lowered below what was wanted within this time: a month's end comes back in it."""
HOLD_LONGER = timedelta(weeks=26)
"""The same for a small decrease, and for any of what has turned around: once is a decision, twice
is a flap."""
TURNS = timedelta(weeks=52)
"""How long it is remembered that an amount was changed one way and then the other."""
KILLS = timedelta(weeks=52)
"""How long the limits are remembered that were hit one after the other."""
LEAKS = timedelta(weeks=26)
"""How long a leak is remembered: one that takes months shows itself at restarts only."""
GROWTH_WEEKS = 12
"""So many weeks tell whether usage grows from review to review."""
_USED: dict[Resource, tuple[str, float]] = {
    "cpu": ("cpu_p95_cores", 1e-4),
    "memory": ("memory_max_bytes", 2.0**16),
}
"""What a review remembers of usage, and below how much differences do not matter."""
PEAKS = timedelta(weeks=15)
"""How long peaks count for memory limits: a quarter's end comes back in it."""
SILENCE = timedelta(weeks=13)
"""How long a rejected change is left alone, unless its amount moves."""


Amounts = Mapping[TargetName, Quantity]
Refused = dict[TargetName, tuple[Quantity | None, ...]]
"""By target, every amount that was refused."""


def recall(ledger: Ledger, histories: Histories, settings: str = "") -> dict[ContainerRef, Past]:
    """What earlier reviews say of each container of `histories`.

    Nothing written at or after the end of the window is looked at. An open proposal counts only
    where it was made under the same `settings`.
    """
    now = histories.meta.end
    past = ledger.before(now)
    if not len(past):
        return {}
    past = past.plus(past.inherited(histories.renamed))
    memory, found = _remember(past, now), {}
    for ref, last in past.last.items():
        if ref in histories.position:
            current = histories.spec(histories.position[ref]).resources.effective()
            found[ref] = replace(
                memory.of(ref),
                wanted_last=demanded_of(amounts_of(last, "wanted")),
                open=_open(last, current, settings),
                accepted=_accepted(last, current),
            )
    return found


@dataclass(frozen=True)
class _Memory:
    """What all reviews together say, by container, and when they last saw it."""

    most: Mapping[ContainerRef, Amounts]
    longer: Mapping[ContainerRef, Amounts]
    held: Set[ContainerRef]
    """What is lowered late: it has turned around, or leaks and is low after restarts alone."""
    growth: Mapping[ContainerRef, Mapping[Resource, float]]
    hits: Mapping[ContainerRef, tuple[tuple[float, ...], datetime | None]]
    refusals: Mapping[ContainerRef, tuple[Refused, str]]
    leaked: Mapping[ContainerRef, datetime]
    elsewhere: Mapping[ContainerRef, datetime]
    started: Mapping[ContainerRef, datetime]
    start_peak: Mapping[ContainerRef, float]
    peak: Mapping[ContainerRef, float]

    def of(self, ref: ContainerRef) -> Past:
        """What is remembered of one container, whatever holds now."""
        held = ref in self.held
        limits, fills_since = self.hits.get(ref, ((), None))
        rejected, reason = self.refusals.get(ref, ({}, ""))
        return Past(
            wanted=(self.longer if held else self.most).get(ref, {}),
            span=HOLD_LONGER if held else HOLD,
            wanted_longer=self.longer.get(ref, {}),
            longer_span=HOLD_LONGER,
            growth=self.growth.get(ref, {}),
            killed_at=limits,
            fills_since=fills_since,
            leaked=self.leaked.get(ref),
            killed_elsewhere=self.elsewhere.get(ref),
            started=self.started.get(ref),
            start_peak=_bytes(self.start_peak.get(ref)),
            peak=_bytes(self.peak.get(ref)),
            rejected=rejected,
            refused=reason,
        )


def _remember(past: Ledger, now: datetime) -> _Memory:
    reviews = past.rows[past.rows["entry"] == "review"]
    leaked = _last_time(_since(reviews, now, LEAKS), "leaks")
    lately = _since(reviews, now, PEAKS)
    by_container = lately.groupby(KEY, observed=True)
    return _Memory(
        most=_highest(_since(reviews, now, HOLD)),
        longer=_highest(_since(reviews, now, HOLD_LONGER)),
        held=_turned(reviews, now - TURNS) | leaked.keys(),
        growth=_growth(reviews, now),
        hits=_hits(_since(reviews, now, KILLS)),
        refusals=_refusals(past, now),
        leaked=leaked,
        elsewhere=_last_time(_since(reviews, now, HOLD), "killed_elsewhere"),
        started=_last_time(lately, "starts"),
        start_peak={named(k): v for k, v in by_container["start_peak"].max().items()},
        peak={named(k): v for k, v in by_container["memory_max_bytes"].max().items()},
    )


def _since(reviews: pd.DataFrame, now: datetime, length: timedelta) -> pd.DataFrame:
    return reviews[reviews["reviewed"] >= pd.Timestamp(now - length)]


def _highest(reviews: pd.DataFrame) -> dict[ContainerRef, Amounts]:
    """The most that was wanted of each target."""
    columns = [f"{target}_wanted" for target in DEMANDED]
    most = reviews.groupby(KEY, observed=True)[columns].max()
    found: dict[ContainerRef, Amounts] = {}
    for key, values in zip(most.index, most.itertuples(index=False), strict=True):
        amounts: dict[TargetName, Quantity] = {}
        for target, value in zip(DEMANDED, values, strict=True):
            if not pd.isna(value):
                kind = Cpu if target == "cpu_request" else Memory
                amounts[target] = kind(int(value))
        found[named(key)] = amounts
    return found


def _growth(reviews: pd.DataFrame, now: datetime) -> dict[ContainerRef, Mapping[Resource, float]]:
    """By how much usage clearly grew from week to week, in logarithms per day."""
    # Commands that show an earlier run come past here, and need no statistics.
    from analyzer.models.pattern import steady_growth

    lately = _since(reviews, now, timedelta(weeks=GROWTH_WEEKS))
    age = (pd.Timestamp(now) - lately["reviewed"]).dt.total_seconds()
    week = age // timedelta(weeks=1).total_seconds()
    found: dict[ContainerRef, Mapping[Resource, float]] = {}
    for resource, (column, least) in _USED.items():
        table = lately.assign(week=-week).pivot_table(
            values=column, index=KEY, columns="week", aggfunc="last", observed=True
        )
        if table.shape[1] < GROWTH_WEEKS // 2:
            continue
        weekly = table.reindex(columns=range(-GROWTH_WEEKS + 1, 1)).to_numpy(dtype=np.float64)
        slope = steady_growth(np.log(np.maximum(weekly, least))) / 7
        for row in np.flatnonzero(slope).tolist():
            ref = named(table.index[row])
            found[ref] = {**found.get(ref, {}), resource: float(slope[row])}
    return found


def _hits(
    reviews: pd.DataFrame,
) -> dict[ContainerRef, tuple[tuple[float, ...], datetime | None]]:
    """The limits that reviews saw it killed at, oldest first, and when it first filled them all."""
    hit = reviews[reviews["killed_limit"].notna()]
    found: dict[ContainerRef, tuple[tuple[float, ...], datetime | None]] = {}
    for key, rows in hit.groupby(KEY, observed=True):
        filled = rows[rows["fills"] > 0]["reviewed"]
        since = filled.iloc[0].to_pydatetime() if len(filled) else None
        found[named(key)] = tuple(map(float, rows["killed_limit"])), since
    return found


def _last_time(reviews: pd.DataFrame, what: str) -> dict[ContainerRef, datetime]:
    """When a review last saw `what`, of the containers where one did."""
    seen = reviews[reviews[what] > 0].groupby(KEY, observed=True)["reviewed"].max()
    return {named(key): moment.to_pydatetime() for key, moment in seen.items()}


def _turned(reviews: pd.DataFrame, since: datetime) -> set[ContainerRef]:
    """Containers one of whose amounts was proposed, after `since`, the other way than before."""
    found: set[ContainerRef] = set()
    groups = reviews.groupby(KEY, observed=True, sort=False)
    for target in DEMANDED:
        # The first review is held against what was declared then.
        before = groups[f"{target}_proposed"].shift().fillna(reviews[f"{target}_now"])
        delta = (reviews[f"{target}_proposed"] - before).astype("float64")
        moved = reviews[KEY].assign(way=np.sign(delta.to_numpy(dtype=np.float64)))
        moved = moved[moved["way"].notna() & (moved["way"] != 0)]
        last = moved.groupby(KEY, observed=True, sort=False)["way"].shift()
        flips = moved[last.notna() & (last != moved["way"])]
        flips = flips[reviews.loc[flips.index, "reviewed"] >= pd.Timestamp(since)]
        found |= {named(key) for key in flips[KEY].itertuples(index=False)}
    return found


def _open(last: Row, current: Resources, settings: str) -> Resources | None:
    """What the last review proposed, where it still waits."""
    proposed, now = amounts_of(last, "proposed"), amounts_of(last, "now")
    waits = proposed != now and now == current and last["settings"] == settings
    return proposed if waits else None


def _accepted(last: Row, current: Resources) -> bool:
    """Whether what holds followed a proposal: merged now, or found merged by the last review."""
    if amounts_of(last, "now") == current:
        return bool(last["origin"] != "declared")
    return amounts_of(last, "proposed").effective() == current


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
            earlier, _ = found.get(ref_of(row), ({}, ""))
            found[ref_of(row)] = _both(earlier, _asked_for(past, row)), reason
    return found


def _both(one: Refused, other: Refused) -> Refused:
    return {target: (*one.get(target, ()), *other.get(target, ())) for target in {**one, **other}}


def _asked_for(past: Ledger, decision: Row) -> Refused:
    """What the refused proposal would have changed; what it left alone was not refused."""
    rows = past.reviews_of(ref_of(decision))
    before = [row for row in rows if row["reviewed"] <= decision["reviewed"]]
    proposed = amounts_of(decision, "proposed")
    return _unlike(proposed, amounts_of(before[-1], "now")) if before else _unlike(proposed)


def _overruled(rows: list[Row], last: Row) -> Refused:
    """What was proposed when somebody changed the amounts to what they are; only what differs.

    What was merged as proposed is no refusal.
    """
    now = amounts_of(last, "now")
    earlier = [row for row in rows if amounts_of(row, "now") != now]
    if not earlier or amounts_of(earlier[-1], "proposed") == amounts_of(earlier[-1], "now"):
        return {}
    return _unlike(amounts_of(earlier[-1], "proposed"), now)


def _unlike(proposed: Resources, now: Resources | None = None) -> Refused:
    """Those of the amounts of `proposed` that differ from `now`; all where that is not known."""
    wished = {target: proposed.amount(target) for target in TARGETS}
    return {t: (a,) for t, a in wished.items() if now is None or a != now.amount(t)}


def _reason(what: str, when: Any) -> str:
    return (
        f"{what} on {when:%Y-%m-%d}: left alone for {SILENCE // timedelta(weeks=1)} weeks, or "
        "until its amount has moved by a fifth"
    )


def _bytes(value: float | None) -> Memory | None:
    return None if value is None or pd.isna(value) else Memory.from_bytes(float(value))
