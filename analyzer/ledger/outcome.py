"""Promised against happened: what was stated for merged changes, and what came of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from analyzer.ledger.table import Ledger, Row, amounts_of, number
from analyzer.quantity import TARGETS, Resources
from analyzer.workload import ContainerRef

WEEK_HOURS = 168.0
HEAVY_THROTTLING = 0.05
"""From this share of throttled steps on a change is named."""
SLOWER = 1.25
"""From so many times the length before on, runs are named as slower."""
_COARSE_HOURS = 1 / 6
"""Ends of runs are seen to a few minutes only."""
LEAST_HOURS = 1.0
"""Of a shorter time kills are told, and no shares."""
_STATED = {"cpu_request": "cpu_above", "memory_request": "memory_above", "memory_limit": "kills"}
"""What a risk is stated for, and the column of the ledger that counts its overruns."""
_LIVED = (
    "since", "hours", "cpu_above", "memory_above", "kills", "throttled_since", "run_hours",
    "cpu_p95_since", "memory_max_since", "restarts", "evictions",
    *(f"{target}_now" for target in TARGETS),
)  # fmt: skip


Harm = Literal["killed", "evicted", "slower", "throttled"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a merged change promised, and what happened since.

    `promised` and `happened` are shares by target: of the time for ``cpu_request``, of weeks for
    the others; a target without a statement is absent from both. `weeks` is how long it has held.
    """

    ref: ContainerRef
    merged: datetime
    origin: str
    """``proposed``: merged as it was proposed; ``by hand``: changed by somebody."""
    before: Resources
    now: Resources
    weeks: float
    promised: dict[str, float]
    happened: dict[str, float]
    kills: int
    throttled: float
    run_hours: float | None = None
    """How long the runs of a job usually take since; None where that is not told."""
    run_hours_before: float | None = None
    """How long they took under the amounts before."""
    cpu_cores: float | None = None
    """What its busiest pod used or less for 95 % of the time since; None where that is not told."""
    memory_bytes: float | None = None
    """The most that any pod used since; None where that is not told."""
    restarts: int = 0
    """How often it started anew in its pod since, after kills too."""
    evictions: int = 0
    """How often its pod had to go since, by the need of its node."""

    @property
    def slower(self) -> bool:
        """Whether runs take notably longer since."""
        now, before = self.run_hours, self.run_hours_before
        return None not in (now, before) and (now or 0) > SLOWER * (before or 0) + _COARSE_HOURS

    @property
    def pressed(self) -> bool:
        """Whether it was evicted, and had used more memory than it asks for.

        Such pods go first where a node runs short; of others it says nothing.
        """
        return self.evictions > 0 and self.happened.get("memory_request", 0.0) > 0

    @property
    def harm(self) -> Harm | None:
        """The worst that followed; None where nothing did."""
        followed: dict[Harm, bool] = {
            "killed": self.kills > 0,
            "evicted": self.pressed,
            "slower": self.slower,
            "throttled": self.throttled >= HEAVY_THROTTLING,
        }
        return next((harm for harm, came in followed.items() if came), None)

    @property
    def harmed(self) -> bool:
        """Whether any harm followed."""
        return self.harm is not None

    @property
    def way_back(self) -> str:
        """What would undo it, in words."""
        return moves(self.now, self.before)


def moves(now: Resources, then: Resources) -> str:
    """The amounts that differ: ``memory request 512Mi → 1Gi, memory limit none → 2Gi``."""
    changes = []
    for target in TARGETS:
        pair = now.amount(target), then.amount(target)
        if pair[0] != pair[1]:
            old, new = ("none" if amount is None else str(amount) for amount in pair)
            changes.append(f"{target.replace('cpu', 'CPU').replace('_', ' ')} {old} → {new}")
    return ", ".join(changes)


def score(ledger: Ledger, refs: Iterable[ContainerRef] | None = None) -> tuple[Outcome, ...]:
    """What came of every change that holds, or of those of `refs`, at the last review of each.

    Those that harmed come first, then the newest.
    """
    meant = ledger.last if refs is None else set(refs) & ledger.last.keys()
    changed = [ref for ref in meant if ledger.last[ref]["origin"] != "declared"]
    reviews = ledger.reviews_of_each(changed, _LIVED)
    outcomes = [_score_one(ref, ledger.last[ref], rows) for ref, rows in reviews]
    return tuple(sorted(outcomes, key=lambda o: (not o.harmed, -o.merged.timestamp(), o.ref)))


def overruns(outcomes: Sequence[Outcome]) -> tuple[dict[str, float], dict[str, float]]:
    """By target, the share of overruns promised and the share that came, weighted by weeks.

    Over the changes that state one; a target that none states is in neither.
    """
    promised, happened = {}, {}
    for target in _STATED:
        stating = [outcome for outcome in outcomes if target in outcome.promised]
        weeks = sum(outcome.weeks for outcome in stating)
        if weeks:
            promised[target] = sum(o.promised[target] * o.weeks for o in stating) / weeks
            happened[target] = sum(o.happened[target] * o.weeks for o in stating) / weeks
    return promised, happened


def _score_one(ref: ContainerRef, last: Row, rows: Sequence[Row]) -> Outcome:
    lived = [row for row in rows if row["since"] == last["since"] and row["hours"]]
    hours = sum(float(row["hours"]) for row in lived)
    promised, happened = {}, {}
    for target, column in _STATED.items():
        stated = number(last[f"promised_{target}"])
        if stated is not None and hours >= LEAST_HOURS:
            promised[target] = stated
            happened[target] = _share(lived, column, hours)
    return Outcome(
        ref=ref,
        merged=last["since"].to_pydatetime(),
        origin=str(last["origin"]),
        before=amounts_of(last, "before"),
        now=amounts_of(last, "now"),
        weeks=hours / WEEK_HOURS,
        promised=promised,
        happened=happened,
        kills=_count(lived, "kills"),
        throttled=_share(lived, "throttled_since", hours) if hours >= LEAST_HOURS else 0.0,
        run_hours=number(last["run_hours"]),
        run_hours_before=_run_hours_before(rows),
        cpu_cores=_usual(lived, "cpu_p95_since"),
        memory_bytes=max((value for value, _ in _told(lived, "memory_max_since")), default=None),
        restarts=_count(lived, "restarts"),
        evictions=_count(lived, "evictions"),
    )


def _count(lived: Sequence[Row], column: str) -> int:
    return sum(int(number(row[column]) or 0) for row in lived)


def _told(lived: Sequence[Row], column: str) -> list[tuple[float, float]]:
    """What reviews say with the hours that each is about, of those that say anything."""
    pairs = ((number(row[column]), float(row["hours"])) for row in lived)
    return [(value, hours) for value, hours in pairs if value is not None]


def _usual(lived: Sequence[Row], column: str) -> float | None:
    """The mean over the time of what reviews say; None where none says anything."""
    told = _told(lived, column)
    hours = sum(length for _, length in told)
    return sum(value * length for value, length in told) / hours if hours else None


def _run_hours_before(rows: Sequence[Row]) -> float | None:
    """How long runs usually took by the last review before the amounts of now held."""
    since, now = rows[-1]["since"], amounts_of(rows[-1], "now")
    earlier = [row for row in rows if row["since"] != since or amounts_of(row, "now") != now]
    told = (number(row["run_hours"]) for row in reversed(earlier))
    return next((hours for hours in told if hours is not None), None)


def _share(lived: Sequence[Row], column: str, hours: float) -> float:
    """The share of the time or, of what happens or not within a review, of the reviews' time."""
    values = [(float(row["hours"]), number(row[column]) or 0.0) for row in lived]
    return sum(length * min(value, 1.0) for length, value in values) / hours
