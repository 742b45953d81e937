"""What a review adds to the ledger."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd

from analyzer.by_container import by_container
from analyzer.cutoff import NO_KILLS, Kills, find_kills
from analyzer.evidence.runs import usual_run_hours
from analyzer.evidence.starts import Starts, first_step
from analyzer.history import Histories
from analyzer.ledger.table import (
    RISKS,
    Decision,
    Ledger,
    Row,
    amounts_of,
    columns_of,
    key_of,
    make_rows,
    number,
)
from analyzer.quantity import Resources
from analyzer.recommend import Recommendation
from analyzer.recommend.past import DEMANDED
from analyzer.workload import ContainerRef

_START = timedelta(minutes=30)


def update(
    ledger: Ledger,
    recommendations: Sequence[Recommendation],
    histories: Histories,
    wanted: Mapping[ContainerRef, Resources] | None = None,
    settings: str = "",
) -> pd.DataFrame:
    """The rows that a review adds to `ledger`: what it proposes, and what became of the last.

    The review is held at the end of the window; what the ledger says of later ones is not looked
    at. `wanted` is what demand alone speaks for; by default what is proposed. `settings` tells
    reviews under other settings apart.
    """
    past = ledger.before(histories.meta.end)
    inherited = past.inherited(histories.renamed)
    past = past.plus(inherited)
    held: dict[int, _Held] = {
        histories.position[r.ref]: _held(past, r.ref, r.current, histories) for r in recommendations
    }
    happened = _happened(histories, [held.get(index) for index in range(len(histories))])
    start_peaks = _start_peaks(histories, since=first_step(histories))
    kills = find_kills(histories)
    rows = []
    for r in recommendations:
        index = histories.position[r.ref]
        demanded = _wanted(r, (wanted or {}).get(r.ref, r.proposed))
        rows.append(
            key_of(r.ref)
            | {"entry": "review", "reviewed": histories.meta.end, "settings": settings}
            | _amounts(r, demanded)
            | _seen(r, kills.get(index, NO_KILLS))
            | {"start_peak": start_peaks[index]}
            | _run_hours(histories, index, r, held[index])
            | held[index].columns()
            | happened[index]
        )
    return pd.concat([inherited, make_rows(rows)]) if len(inherited) else make_rows(rows)


def _amounts(r: Recommendation, demanded: Resources) -> dict[str, Any]:
    """What runs, what is proposed at which risk, and what demand alone speaks for."""
    return (
        columns_of(r.current, "now")
        | columns_of(r.proposed, "proposed")
        | columns_of(demanded, "wanted")
        | {f"stated_{target}": r.stated_risk.get(target) for target in RISKS}
    )


def _seen(r: Recommendation, kills: Kills) -> dict[str, Any]:
    """What the review saw, for later ones that no longer can."""
    return {
        "cpu_p95_cores": r.evidence.cpu.p95,
        "memory_max_bytes": r.evidence.memory.max,
        "oom_kills": r.evidence.oom_kills,
        "throttled": r.evidence.throttled,
        "leaks": int(r.findings.get("memory") == "leak"),
        "killed_elsewhere": kills.elsewhere,
        "starts": int(r.evidence.starts),
        **_limit_hit(kills),
    }


def _wanted(r: Recommendation, demanded: Resources) -> Resources:
    """What demand speaks for, and no less than what is raised to: that is lowered as late."""
    wanted = demanded
    for target in DEMANDED:
        before, after = r.current.amount(target), r.proposed.amount(target)
        most = demanded.amount(target)
        if before is not None and after is not None and most is not None:
            wanted = wanted.with_amount(target, max(most, after) if after > before else most)
    return wanted


def decided(
    ref: ContainerRef, decision: Decision, when: datetime, by: str, proposed: Resources
) -> pd.DataFrame:
    """The row for what a person did with a proposal, as Git or a forge tells (`by`)."""
    row = {"entry": "decision", "decision": decision, "by": by, "reviewed": when}
    return make_rows([key_of(ref) | row | columns_of(proposed, "proposed")])


@dataclass(frozen=True)
class _Held:
    """How the amounts that hold came about, and since when they are to be judged."""

    now: Resources
    origin: str
    since: datetime
    before: Resources
    promised: Mapping[str, float | None]
    judged_from: datetime

    def columns(self) -> dict[str, Any]:
        return {
            "origin": self.origin,
            "since": self.since,
            **{f"promised_{target}": self.promised.get(target) for target in RISKS},
            **columns_of(self.before, "before"),
        }


def _held(past: Ledger, ref: ContainerRef, now: Resources, histories: Histories) -> _Held:
    begin, last = histories.meta.start, past.last.get(ref)
    if last is None:
        return _Held(now, "declared", begin, now, {}, begin)
    reviewed = last["reviewed"].to_pydatetime()
    if amounts_of(last, "now") == now:
        promised = {target: number(last[f"promised_{target}"]) for target in RISKS}
        since = last["since"].to_pydatetime()
        before = amounts_of(last, "before")
        return _Held(now, str(last["origin"]), since, before, promised, max(since, reviewed))
    since = max(_since(histories, histories.position[ref], now), reviewed)
    match = _as_proposed(past.reviews_of(ref), now)
    origin = "by hand" if match is None else "proposed"
    promised = {t: number(match[f"stated_{t}"]) for t in RISKS} if match is not None else {}
    return _Held(now, origin, since, amounts_of(last, "now"), promised, since)


def _as_proposed(past: Sequence[Row], now: Resources) -> Row | None:
    """The last review that proposed exactly `now` of what held until the last one, if any."""
    held = amounts_of(past[-1], "now")
    for row in reversed(past):
        if amounts_of(row, "now") != held:
            return None
        if amounts_of(row, "proposed").effective() == now:
            return row
    return None


def _since(histories: Histories, index: int, now: Resources) -> datetime:
    """Since when the container has been set up like this without a break, as far as is seen."""
    since = histories.meta.start
    for spec in reversed(histories.specs[index]):
        if spec.resources.effective() != now:
            break
        since = spec.first_seen or since
    return since


@by_container
def _happened(histories: Histories, held: list[_Held | None]) -> list[dict[str, Any]]:
    """What the amounts that hold have been through since they were last judged."""
    return [
        {} if one is None or one.origin == "declared" else _happened_to(histories, index, one)
        for index, one in enumerate(held)
    ]


def _happened_to(histories: Histories, index: int, held: _Held) -> dict[str, Any]:
    usage, begin, end = histories.usage, held.judged_from, histories.meta.end
    step = (begin - usage.start) // usage.step
    cpu, memory, busiest, most, samples = [], [], [], [], 0
    for series in range(int(usage.bounds[index]), int(usage.bounds[index + 1])):
        part = slice(
            int(np.clip(usage.offset[series] + step - usage.first[series], *_ends(usage, series))),
            int(usage.offset[series + 1]),
        )
        cpu.append(_share_above(usage.cpu_cores[part], held.now.cpu_request))
        memory.append(_share_above(usage.memory_bytes[part], held.now.memory_request))
        busiest.append(_level(usage.cpu_cores[part], 0.95))
        most.append(_level(usage.memory_bytes[part], 1.0))
        samples += part.stop - part.start
    if not samples:
        return {}
    events = histories.events_of(index)
    counts: Mapping[Any, int] = {}
    if len(events):  # most containers have none, and looking is dear
        counts = (
            events.loc[events["timestamp"] > pd.Timestamp(begin), "kind"].value_counts().to_dict()
        )
    peak = _worst(memory)
    return {
        "hours": (end - begin) / timedelta(hours=1),
        "cpu_above": _worst(cpu),
        "memory_above": None if peak is None else float(peak > 0),
        "cpu_p95_since": _worst(busiest),
        "memory_max_since": _worst(most),
        "kills": int(counts.get("oom_kill", 0)),
        "restarts": int(counts.get("restart", 0)),
        "evictions": int(counts.get("eviction", 0)),
        "throttled_since": min(1.0, float(counts.get("throttled", 0)) / samples),
    }


def _run_hours(histories: Histories, index: int, r: Recommendation, held: _Held) -> dict[str, Any]:
    """How long runs usually took under the amounts that hold, of what runs now and then."""
    if r.evidence.runs is None:
        return {}
    since = histories.meta.start if held.origin == "declared" else held.since
    return {"run_hours": usual_run_hours(histories, index, since)}


def _limit_hit(kills: Kills) -> dict[str, Any]:
    """The limit that the window saw it killed at, and whether it fills whatever it gets."""
    if not kills.limits:
        return {}
    return {"killed_limit": int(max(kills.limits)), "fills": int(kills.fills)}


@by_container
def _start_peaks(histories: Histories, *, since: int) -> list[float | None]:
    """The highest memory, in bytes, of the first half hour after the starts that the window saw.

    Usage of the cluster begins at step `since`.
    """
    usage, length = histories.usage, 1 + -(-_START // histories.usage.step)
    again = Starts(histories, since).again
    peaks: list[list[float]] = [[] for _ in histories.containers]
    for series, index in enumerate(usage.container.tolist()):
        low, high = _ends(usage, series)
        first = int(usage.first[series])
        begins = [step - first for step in again.get(index, {}).get(usage.pods[series], ())]
        if first > since:
            begins.append(0)
        for begin in begins:
            part = usage.memory_bytes[low + max(begin, 0) : min(low + max(begin, 0) + length, high)]
            peaks[index] += part[~np.isnan(part)].tolist()
    return [max(of, default=None) for of in peaks]


def _ends(usage: Any, series: int) -> tuple[int, int]:
    return int(usage.offset[series]), int(usage.offset[series + 1])


def _share_above(values: np.ndarray, amount: Any) -> float | None:
    seen = values[~np.isnan(values)]
    if amount is None or not len(seen):
        return None
    level = amount.units / 1000 if type(amount).__name__ == "Cpu" else float(amount.units)
    return float((seen > np.float32(level)).mean())


def _level(values: np.ndarray, share: float) -> float | None:
    """What `values` are at or below in `share` of the time; None where none was seen."""
    seen = values[~np.isnan(values)]
    return float(np.quantile(seen, share)) if len(seen) else None


def _worst(shares: Sequence[float | None]) -> float | None:
    """The pod that fared worst; None where none was seen."""
    return max((share for share in shares if share is not None), default=None)
