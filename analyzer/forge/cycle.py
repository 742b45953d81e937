"""What is to happen to each pull request: decided from what there is, touching nothing.

A branch is the key. A run knows what it wants to propose (`Wanted`), which branches the remote
has and whose they are, and which pull requests are open; for a branch that would be opened it
also asks what became of the last one. Everything else follows here, without a memory of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from analyzer.forge.body import RETIRED
from analyzer.forge.promise import Key, Promise, key_of, largest_move, promised, same_start
from analyzer.forge.protocol import PullRequest, Text
from analyzer.forge.remote import Branch
from analyzer.gitops.land.diff import Edits

STOP, NOW = "rightsize/stop", "rightsize/now"
"""Labels by which a person says: leave this alone; or, bring back what was closed."""

NO_NEWS = "nothing has changed"
"""Why what is open stays as it is."""

_ASKED = 100
"""Of so many that are wanted it is always known whether a person has refused them."""

Verb = Literal["open", "refresh", "keep", "hands off", "held", "wait", "retire"]


@dataclass(frozen=True, slots=True)
class Wanted:
    """A pull request that should be there."""

    branch: str
    text: Text
    message: str
    """What the commit says."""
    digest: str
    edits: Edits
    promises: tuple[Promise, ...]
    urgency: tuple[float, ...]
    """The smaller, the earlier its turn."""
    pictures: tuple[Path, ...] = ()
    """Charts of its containers, on the disk."""
    held: str = ""
    """Why it is not to be opened yet, such as for an earlier stage; empty where it is."""


@dataclass(frozen=True, slots=True)
class Move:
    """What is to happen to one branch and its pull request, and why."""

    verb: Verb
    branch: str
    reason: str
    wanted: Wanted | None = None
    request: PullRequest | None = None


@dataclass(frozen=True)
class Sight:
    """What a run has seen of its cluster, beside what it wants."""

    complete: bool = True
    """Whether everything was looked at, so that what is not wanted any more is to be closed."""
    settled: Callable[[Promise], bool] = lambda _promise: True
    """Whether nothing is to change, as far as is known, in a container of an earlier promise."""
    left: tuple[tuple[str, str], ...] = ()
    """Containers whose change no pull request can make, and why."""


ALL_SEEN = Sight()
"""Everything was looked at, and what is not wanted needs nothing."""


@dataclass(frozen=True)
class Scene:
    """What there is: on the remote, and on the forge.

    `last` gives the newest pull request of a branch in any state, and is asked where one would be
    opened, and for the first ones of those that wait. `moved_under` says whether the base has
    changed the files that a branch edits. `asked_for` are the branches that a person ticked on the
    dashboard.
    """

    branches: Mapping[str, Branch]
    requests: Sequence[PullRequest]
    last: Callable[[str], PullRequest | None]
    moved_under: Callable[[Branch, Wanted], bool]
    asked_for: frozenset[str] = frozenset()
    sight: Sight = ALL_SEEN


@dataclass(frozen=True, slots=True)
class Limits:
    """How many may be open at once, and how far amounts must move to propose them once more."""

    most_open: int = 5
    reopen_change: float = 0.25


@dataclass
class _Turn:
    """The slots that are left."""

    free: int
    moves: list[Move] = field(default_factory=list)


def decide(wanted: Iterable[Wanted], scene: Scene, limits: Limits) -> list[Move]:
    """One move per wanted pull request, and one per open one that is not wanted any more."""
    ordered = sorted(wanted, key=lambda w: (w.branch not in scene.asked_for, w.urgency, w.branch))
    requests = {request.branch: request for request in scene.requests}
    moves = [_of_open(w, requests[w.branch], scene) for w in ordered if w.branch in requests]
    names = {w.branch for w in ordered}
    covered = {key_of(promise) for w in ordered for promise in w.promises}
    gone = [_of_unwanted(r, scene, covered) for r in scene.requests if r.branch not in names]
    retired = sum(move.verb == "retire" for move in gone)
    turn = _Turn(limits.most_open - (len(requests) - retired))
    for place, one in enumerate(ordered):
        if one.branch not in requests:
            turn.moves.append(_of_new(one, scene, limits, turn, asks=place < _ASKED))
    return [*moves, *turn.moves, *gone]


def _of_open(one: Wanted, request: PullRequest, scene: Scene) -> Move:
    """What to do about a pull request that is open and still wanted."""
    branch = scene.branches.get(one.branch)
    if STOP in request.labels:
        return Move("hands off", one.branch, f"it is labelled {STOP}", one, request)
    if branch is not None and not branch.ours:
        return Move("hands off", one.branch, "a person has committed to its branch", one, request)
    if branch is None:
        return Move("refresh", one.branch, "its branch is gone", one, request)
    if RETIRED in request.text.body:
        return Move(
            "refresh",
            one.branch,
            "it was about to be closed, and is wanted after all",
            one,
            request,
        )
    if branch.digest != one.digest:
        return Move("refresh", one.branch, "the numbers or their places have moved", one, request)
    if scene.moved_under(branch, one):
        return Move("refresh", one.branch, "the base has changed the same files", one, request)
    # What an earlier stage has seen since is told beside it; nobody's review is taken away.
    return Move("keep", one.branch, one.held or NO_NEWS, one, request)


def _of_unwanted(request: PullRequest, scene: Scene, covered: Set[Key]) -> Move:
    """What to do about a pull request that nothing asks for any more."""
    branch = scene.branches.get(request.branch)
    if not scene.sight.complete:
        reason = "this run did not look at everything"
        return Move("keep", request.branch, reason, None, request)
    if STOP in request.labels or (branch is not None and not branch.ours):
        reason = "a person works on it"
        return Move("hands off", request.branch, reason, None, request)
    for promise in promised(request.text.body):
        if key_of(promise) not in covered and not scene.sight.settled(promise):
            name = "/".join(key_of(promise))
            reason = f"this run cannot tell what becomes of {name}"
            return Move("keep", request.branch, reason, None, request)
    return Move("retire", request.branch, "nothing is left to change there", None, request)


def _of_new(one: Wanted, scene: Scene, limits: Limits, turn: _Turn, *, asks: bool) -> Move:
    """What to do about a pull request that is wanted and not there.

    With `asks` it is told from what a person refused even where it is not its turn.
    """
    branch = scene.branches.get(one.branch)
    if branch is not None and not branch.ours:
        return Move("hands off", one.branch, "a person's branch has its name", one)
    if one.held and one.branch not in scene.asked_for:
        return Move("held", one.branch, one.held, one)
    waits = turn.free <= 0 and one.branch not in scene.asked_for
    wait = Move("wait", one.branch, f"{limits.most_open} are open already", one)
    if waits and not asks:
        return wait
    last = scene.last(one.branch)
    if last is not None and last.state == "open":
        return Move("keep", one.branch, "it has been opened meanwhile", one, last)
    reason = None if one.branch in scene.asked_for else _rejected(last, one, limits)
    if reason is not None:
        return Move("held", one.branch, reason, one, last)
    if waits:
        return wait
    turn.free -= 1
    reason = "its branch is there already" if branch is not None else "it is its turn"
    return Move("open", one.branch, reason, one)


def _rejected(last: PullRequest | None, one: Wanted, limits: Limits) -> str | None:
    """Why the last pull request says no to this one; None where it does not."""
    if last is None or last.state == "open" or NOW in last.labels or RETIRED in last.text.body:
        return None
    before = promised(last.text.body)
    when = f" on {last.ended:%Y-%m-%d}" if last.ended else ""
    if last.state == "closed" and not before:
        return f"a person closed it{when}, and what it promised cannot be read any more"
    if largest_move(before, one.promises) >= limits.reopen_change:
        return None
    if last.state == "merged":
        back = f"it was merged{when}, and somebody has taken it back since"
        return back if same_start(before, one.promises) else None
    return f"a person closed it{when}, and no amount has moved by {limits.reopen_change:.0%} since"
