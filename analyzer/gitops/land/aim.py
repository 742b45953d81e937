"""What an edit means to move in a rendering, and whether that is what moved."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Protocol

from analyzer.gitops.index.place import Expectation, Place
from analyzer.gitops.land.writes import Beside, Kept, Write
from analyzer.gitops.reach.custom import workload_text
from analyzer.gitops.reach.k3s import CONFIG, HELM_CHART
from analyzer.gitops.reach.release import Owner
from analyzer.gitops.reach.route import Route, has_variable
from analyzer.gitops.render.rendering import Move, ObjectKey, Rendering, Sink
from analyzer.gitops.text.resources import BY_FIELD, Amount
from analyzer.gitops.text.spelling import read_cpu, read_memory
from analyzer.gitops.text.tree import Path
from analyzer.quantity import Cpu

Lost = tuple[Path, str]
"""The path of an amount below a container's resources, and what it was."""


class Claim(Protocol):
    """An edit to be proven: the container it should change, and what it writes where."""

    @property
    def place(self) -> Place: ...

    @property
    def expectation(self) -> Expectation: ...

    @property
    def writes(self) -> Sequence[Write]: ...

    @property
    def keeps(self) -> Sequence[Kept]: ...


AnyClaim = Claim | Beside
"""An edit of a container's amounts, or of what is written with them."""

_ROUNDED = 1.1
"""How far above an amount its spelling in a decimal unit of two digits may lie."""


_POST_RENDERERS = ("spec", "postRenderers")
_CONFIGS = ("ConfigMap", "Secret")
"""Kinds that hand on the values of a chart."""


def owner_of(claim: AnyClaim) -> Owner:
    """The object whose text a claim edits."""
    return claim.owner if isinstance(claim, Beside) else claim.place.owner


def files_of(claim: AnyClaim) -> set[str]:
    """The files that a claim edits."""
    return {claim.file} if isinstance(claim, Beside) else {write.file for write in claim.writes}


def entry_of(claim: AnyClaim) -> str:
    """Where the way of what a claim edits begins."""
    return claim.routes[0].entry if isinstance(claim, Beside) else claim.expectation.route.entry


def sink_of(expectation: Expectation) -> Sink:
    """The container an expectation is about, as a rendering names it."""
    workload = workload_text(expectation.workload, expectation.pattern)
    return Sink(expectation.kind, workload, expectation.container)


class Shown:
    """What moved between two renderings, and the containers after it, found by what is meant.

    A thousand claims on one build would otherwise look through all its containers each. Names
    that wait for a variable are looked at by every claim, whose route may fill them in.
    """

    def __init__(self, moved: Sequence[Move], after: Rendering) -> None:
        self.program = after.program
        self.changed = len({move.sink for move in moved if move.sink is not None})
        self._moved = moved
        self._near: dict[Hashable, list[int]] = {}
        for number, move in enumerate(moved):
            self._near.setdefault(_key(move), []).append(number)
        self.configs = [m for m in moved if m.sink is None and m.owner[0] in _CONFIGS]
        self._sinks = frozenset(after.sinks())
        self._waiting = [sink for sink in self._sinks if has_variable(sink.workload)]

    @property
    def containers(self) -> int:
        """How many containers there are."""
        return len(self._sinks)

    def sinks(self, meant: Sink) -> Iterator[Sink]:
        """The containers that may be the one that is `meant`."""
        if meant in self._sinks:
            yield meant
        yield from self._waiting

    def moves(self, aim: AnyAim) -> list[Move]:
        """What moved in the container or in the object of a claim, in order."""
        near = {n for key in aim.keys for n in self._near.get(key, ())}
        return [self._moved[n] for n in sorted(near)]

    def stray(self, aims: Sequence[AnyAim]) -> list[Move]:
        """What moved that none of all the claims accounts for."""
        meant = {id(move) for aim in aims for move in self.moves(aim) if aim.meant(move)}
        carried = [aim for aim in aims if aim.carried]
        meant |= {id(m) for m in self.configs if any(aim.meant(m) for aim in carried)}
        return [move for move in self._moved if id(move) not in meant]


def _key(move: Move) -> Hashable:
    """What a claim knows a move by: its container, else its object; None where neither is sure."""
    named = move.owner[2] if move.sink is None else move.sink.workload
    if has_variable(named):
        return None
    return (_carrier(move), named) if move.sink is None else move.sink


def _carrier(move: Move) -> str:
    """The kind of object that a value moved in; a HelmChartConfig speaks for its HelmChart."""
    return HELM_CHART if move.owner[0] == CONFIG else move.owner[0]


class Aim:
    """What one claim means to move in a rendering.

    `fed` are the containers there that it decides for; its own is not among them in the build of
    somebody else who takes the same file.
    """

    def __init__(self, claim: Claim, carried: bool, fed: Sequence[Expectation]) -> None:
        self.claim = claim
        self.carried = carried
        self.sink = sink_of(claim.expectation)
        self.owner = (claim.place.owner.kind, claim.place.owner.name)
        self.at_home = any(each.identity == claim.expectation.identity for each in fed)
        self._fed = {sink_of(each): each for each in fed}
        self._wanted = {write.field: write for write in claim.writes}

    @property
    def keys(self) -> set[Hashable]:
        """By what the moves that it may account for are found."""
        route = self.claim.expectation.route
        steered = route.kustomization
        steering = ("Application", route.application)
        if steered is not None:
            steering = ("Kustomization", steered[1])
        return {None, self.owner, self.sink, *self._fed, steering}

    def meant(self, move: Move) -> bool:
        """Whether the claim accounts for a value that moved."""
        if self._is_steering(move):
            return True
        return self._in_carrier(move) if self._is_carried(move) else self._in_container(move)

    def _is_steering(self, move: Move) -> bool:
        """Whether a value is the very patch that is written, where what steers is built as well."""
        route = self.claim.expectation.route
        steering = route.steering
        if steering is None:
            return False
        patches = steering.patches.full_path()
        inside = patches[patches.index("spec") :] if "spec" in patches else ()
        written = [w for w in self.claim.writes if w.file == steering.file]
        return self._steers(move.owner, route) and any(
            w.address.document == steering.address.document
            and w.address.full_path()[: len(patches)] == patches
            and move.path[:2] == inside[:2]
            for w in written
        )

    def _steers(self, owner: ObjectKey, route: Route) -> bool:
        """Whether an object is the one that has a controller apply the container."""
        kind, namespace, name = owner[:3]
        if route.kustomization is None:
            return (kind, name) == ("Application", route.application)
        above, own = route.kustomization
        return (kind, name) == ("Kustomization", own) and namespace in ("", above)

    def _is_carried(self, move: Move) -> bool:
        """Whether the value stands in an object that hands amounts on, such as a HelmRelease."""
        return move.sink is None and (self.carried or self._is_own(move))

    def _in_carrier(self, move: Move) -> bool:
        if self._is_own(move):
            if move.path[:2] == _POST_RENDERERS:
                return any(write.in_post_renderer for write in self.claim.writes)
            ends = [BY_FIELD[field].path for field in self._wanted]
            ends += [kept.tail for kept in self.claim.keeps]
            whole = "\n" in str(move.before) or "\n" in str(move.after)
            return whole or any(move.path[-2:] == end for end in ends) or "valuesFrom" in move.path
        return move.owner[0] in _CONFIGS

    def _is_own(self, move: Move) -> bool:
        """Whether the object is the place's owner, whose name may wait for Flux's variables."""
        kind, name = _carrier(move), move.owner[2]
        return (kind, self.claim.expectation.route.expand(name)) == self.owner

    def _in_container(self, move: Move) -> bool:
        """Whether a value stands in the resources of a container that the claim decides for."""
        if move.sink is None or ".".join(map(str, move.path)) not in self._wanted:
            return False
        return any(_stands_in(move, each) for each in self._meant(move.sink))

    def lost(self, shown: Shown) -> tuple[Lost, ...]:
        """What the containers that the claim decides for would lose that it does not mean."""
        return tuple(
            dict.fromkeys(
                (move.path, str(move.before))
                for move in shown.moves(self)
                if move.sink is not None
                and move.after is None
                and any(_stands_in(move, each) for each in self._meant(move.sink))
                and not self._in_container(move)
            )
        )

    def _meant(self, sink: Sink) -> Iterable[Expectation]:
        """The containers fed by the claim that a rendered one may be."""
        if has_variable(sink.workload):
            return [each for each in self._fed.values() if _is_rendered(each, sink)]
        return [self._fed[sink]] if sink in self._fed else []

    def _is_mine(self, sink: Sink) -> bool:
        return _is_rendered(self.claim.expectation, sink)

    def problem(self, shown: Shown) -> str | None:
        """What speaks against the claim in its own container; None where all came out as meant."""
        if not self.at_home:
            return None
        moved = shown.moves(self)
        if self.carried or not any(map(self._is_mine, shown.sinks(self.sink))):
            if any(self._is_carried(m) and self._in_carrier(m) for m in (*moved, *shown.configs)):
                return None
            return f"nothing changed in {self.claim.place.owner}, so that the edit has no effect"
        mine = [
            move
            for move in moved
            if self._in_container(move) and move.sink is not None and self._is_mine(move.sink)
        ]
        if not mine:
            return f"{self.sink} did not change: something else decides, the edit has no effect"
        for field, write in self._wanted.items():
            found = next((m for m in mine if ".".join(map(str, m.path)) == field), None)
            if found is not None and not _is(write.amount, found.after):
                return f"{self.sink} would get {field} {found.after} and not {write.amount}"
        return None


class BesideAim:
    """What an edit beside the amounts means to move in a rendering."""

    def __init__(self, claim: Beside, carried: bool) -> None:
        self.claim = claim
        self.carried = carried
        self.owner = (claim.owner.kind, claim.owner.name) if carried else claim.object

    @property
    def keys(self) -> set[Hashable]:
        """By what the moves that it may account for are found."""
        return {None, self.owner}

    def meant(self, move: Move) -> bool:
        """Whether the edit accounts for a value that moved."""
        if not self.carried:
            return self._is_object(move) and move.path == self.claim.path
        if move.owner[0] in _CONFIGS:
            return True
        whole = "\n" in str(move.before) or "\n" in str(move.after)
        ends = move.path[-1:] == self.claim.address.full_path()[-1:]
        return self._is_object(move) and (whole or ends or "valuesFrom" in move.path)

    def _is_object(self, move: Move) -> bool:
        kind, name = _carrier(move), move.owner[2]
        return any((kind, route.expand(name)) == self.owner for route in self.claim.routes)

    def lost(self, shown: Shown) -> tuple[Lost, ...]:
        """Nothing: it is about no container."""
        return ()

    def problem(self, shown: Shown) -> str | None:
        """What speaks against the edit; None where it came out as meant."""
        mine = [move for move in (*shown.moves(self), *shown.configs) if self.meant(move)]
        kind, name = self.owner
        if not mine:
            return f"{kind}/{name} did not change: something else decides {self.claim.title}"
        wrong = [move for move in mine if str(move.after) != str(self.claim.value)]
        if wrong and not self.carried:
            return f"{kind}/{name} would get {wrong[0].after} and not {self.claim.value}"
        return None


AnyAim = Aim | BesideAim


def _is_rendered(expectation: Expectation, sink: Sink) -> bool:
    """Whether a rendered container is the expected one, once Flux has filled in its name."""
    named = replace(sink, workload=expectation.route.expand(sink.workload))
    return named == sink_of(expectation)


def _stands_in(move: Move, expectation: Expectation) -> bool:
    """Whether the object of a value is in the namespace of the expected container."""
    route, stated = expectation.route, move.owner[1]
    elsewhere = stated and route.namespace is None
    return not elsewhere or route.expand(stated) == expectation.namespace


def _is(amount: Amount | None, text: object) -> bool:
    """Whether a rendered value is an amount; a decimal unit may have rounded it up a little."""
    if amount is None or text is None:
        return amount is None and text is None
    if isinstance(amount, Cpu):
        return read_cpu(str(text)) == amount
    read = read_memory(str(text))
    return read is not None and amount.bytes <= read.bytes <= amount.bytes * _ROUNDED
