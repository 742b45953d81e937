"""A change that has a place: what it would write where, and what speaks against it by itself."""

from __future__ import annotations

from dataclasses import dataclass

from analyzer.gitops.index.place import Expectation, Place
from analyzer.gitops.index.trace import Trace
from analyzer.gitops.land.outcome import Advice, DesiredChange
from analyzer.gitops.land.writes import Write
from analyzer.gitops.text.resources import BY_FIELD
from analyzer.quantity import Memory, Resources


@dataclass(frozen=True, slots=True)
class Intent:
    """A traced change, and what it would write where."""

    change: DesiredChange
    trace: Trace
    expectation: Expectation
    writes: tuple[Write, ...]

    def advice(self, reason: str) -> Advice:
        return Advice(self.change, self.trace, reason)

    @property
    def place(self) -> Place:
        return self.expectation.place

    @property
    def all_apart(self) -> bool:
        """Whether nothing is left to be written where others read it as well."""
        return all(write.apart is not None for write in self.writes)


def generated(intent: Intent) -> str:
    """Why the place is in a file that nobody writes by hand; empty where it is not."""
    return (intent.place.refusal or "") if intent.place.generated else ""


def standing_still(intent: Intent) -> str | None:
    """What to say of an edit that nothing would apply at present."""
    told = intent.expectation.route.suspended
    return f"{told}: nothing that is merged arrives until it is resumed" if told else None


def moved_since(intent: Intent) -> str | None:
    """What to say of amounts that the repository states otherwise than they run."""
    current = intent.change.current
    if current == Resources():
        return None  # what runs is not known, so nothing can be held against the file
    stated = intent.expectation.stated
    for write in intent.writes:
        row = BY_FIELD[write.field]
        text, ran = row.of(stated), row.of(current)
        if text is not None and text not in (ran, write.amount):
            file = write.file if write.apart is None else write.apart.shared[0]
            chart = intent.expectation.place.owner.chart
            where = f"the chart {chart}" if write.in_post_renderer else file
            return (
                f"{where} states {write.field} {text}, while {ran or 'none'} ran when this "
                "was decided: somebody has changed it since, or something in the cluster does; "
                "decide anew once both say the same"
            )
    return None


def below_a_floor(intent: Intent) -> str | None:
    """What to say of memory decided without knowing what the program was told to take."""
    now = intent.change.current.effective()
    names = {one.name for one in intent.change.companions if one.kind == "setting"}
    along = {each.what for each in intent.expectation.settings if each.name in names}
    for floor in intent.expectation.floors:
        if floor.what in along:
            continue  # it changes as well, and the amounts were decided for what it will be
        least = {
            "requests.memory": floor.least_request(now.memory_request),
            "limits.memory": floor.least_limit(now.memory_limit),
        }
        for write in intent.writes:
            needed = least.get(write.field)
            if needed and isinstance(write.amount, Memory) and write.amount < needed:
                return (
                    f"{write.field} {write.amount} is below {needed}: {floor.reason}; recommend "
                    "anew with --repo, which reads this beforehand"
                )
    return None


def told_before(intent: Intent) -> str:
    """What stands before the reason why a new patch cannot be written: its file, and why it is."""
    write = next((write for write in intent.writes if write.patch is not None), None)
    if write is None:
        return ""
    why = f"{write.apart.why}; a patch in " if write.apart is not None else ""
    return f"{why}{write.file}: "
