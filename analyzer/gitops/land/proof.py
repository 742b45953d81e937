"""Whether edits do in the cluster what they were meant to do, as far as rendering can tell."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from queue import SimpleQueue
from typing import Protocol

from analyzer.gitops.index.place import Expectation, Place
from analyzer.gitops.index.repository_index import RepositoryIndex
from analyzer.gitops.land.built import Build, Installed, as_built, as_found, build_of
from analyzer.gitops.land.proven import Proof
from analyzer.gitops.land.writes import Beside, Kept, Write, written
from analyzer.gitops.reach.custom import ANY, workload_text
from analyzer.gitops.reach.k3s import CONFIG, HELM_CHART
from analyzer.gitops.reach.release import Owner, Release
from analyzer.gitops.reach.route import Route, has_variable
from analyzer.gitops.render.builder import RepositoryBuilder
from analyzer.gitops.render.kustomize import Kustomize
from analyzer.gitops.render.program import RenderError, Tools
from analyzer.gitops.render.rendering import Move, Rendering, Sink, moves
from analyzer.gitops.text.resources import BY_FIELD, Amount
from analyzer.gitops.text.spelling import read_cpu, read_memory
from analyzer.gitops.text.tree import Path, parse
from analyzer.quantity import Cpu

Lost = tuple[Path, str]
"""The path of an amount below a container's resources, and what it was."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What rendering said of one edit.

    `holds` is None where it could not be asked, and `reason` says why; where it is False, `reason`
    is what speaks against the edit, and `lost` what the edit's own containers would lose by it
    that was not asked for. `handed_on` says that the values of a chart arrive as meant,
    whatever the chart makes of them.
    """

    holds: bool | None
    reason: str = ""
    program: str = ""
    changed: int = 0
    containers: int = 0
    without: str = ""
    handed_on: bool = False
    lost: tuple[Lost, ...] = ()

    def proof(self, fields: Sequence[str]) -> Proof:
        """The proof of an edit of `fields` that this does not speak against."""
        if not self.holds:
            return Proof(tuple(fields), not_rendered=self.reason)
        return Proof(tuple(fields), self.program, self.changed, self.containers, self.without)


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

_CARRIERS = frozenset({"HelmRelease", HELM_CHART})
"""Objects that hand values on to a chart, and that kustomize builds like any other."""
_ROUNDED = 1.1
"""How far above an amount its spelling in a decimal unit of two digits may lie."""

_MOST_AT_ONCE = 4
"""Programs that render at a time: each takes some 50 MB of what the whole run may take."""
_WORTH_A_COPY = 8
"""So many renderings are worth a thread, with a copy of the repository."""

Render = Callable[[Sequence[AnyClaim]], Rendering]
_Work = Callable[[Sequence[AnyClaim], Kustomize | None], list[Verdict]]


class Prover:
    """Renders before and after with whatever programs and charts there are.

    Each build is made once before and once after all claims, and every value that moved is
    laid to the claim that meant it. Only what no claim meant is looked into claim by claim.
    """

    def __init__(self, index: RepositoryIndex, tools: Tools) -> None:
        self._index = index
        self._builder = RepositoryBuilder(index.repository, tools)
        self._at_once = tools.at_once

    def verdicts(self, claims: Sequence[AnyClaim]) -> list[Verdict]:
        """One verdict for each claim."""
        jobs = list(self._jobs(claims))
        works = [partial(work, [claims[n] for n in concerned]) for concerned, work in jobs]
        found: list[list[Verdict]] = [[] for _ in claims]
        for (concerned, _), verdicts in zip(jobs, self._side_by_side(works), strict=True):
            for n, verdict in zip(concerned, verdicts, strict=True):
                found[n].append(verdict)
        return [_together(each) for each in found]

    def _jobs(self, claims: Sequence[AnyClaim]) -> Iterator[tuple[list[int], _Work]]:
        """What is to be rendered, and which claims by number each of it concerns."""
        builds: dict[Build, list[int]] = {}
        for n, claim in enumerate(claims):
            for build in dict.fromkeys(self._builds(claim)):
                builds.setdefault(build, []).append(n)
        for build, concerned in builds.items():
            yield concerned, partial(self._build, build)
        releases = [n for n, claim in enumerate(claims) if owner_of(claim).release is not None]
        for positions in _groups([_release_of(claims[n]) for n in releases]):
            yield [releases[position] for position in positions], self._release

    def _side_by_side(
        self, works: Sequence[Callable[[Kustomize | None], list[Verdict]]]
    ) -> list[list[Verdict]]:
        """What each of `works` finds, in their order: some at a time, each in a copy of its own.

        Nearly all of the time goes to programs that are waited for.
        """
        kustomize = self._builder.kustomize
        threads = min(self._at_once, _MOST_AT_ONCE, 1 + len(works) // _WORTH_A_COPY)
        if threads == 1:
            return [work(kustomize) for work in works]
        free: SimpleQueue[Kustomize | None] = SimpleQueue()
        for number in range(threads):
            free.put(kustomize.copy() if number and kustomize is not None else kustomize)

        def done(work: Callable[[Kustomize | None], list[Verdict]]) -> list[Verdict]:
            own = free.get()
            try:
                return work(own)
            finally:
                free.put(own)

        with ThreadPoolExecutor(threads, thread_name_prefix="prove") as pool:
            try:
                return list(pool.map(done, works))
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)  # nothing that waits is begun
                raise

    def _texts(self, claims: Sequence[AnyClaim]) -> Mapping[str, str]:
        """The files that some claims touch, with these made and no others."""
        besides = [claim for claim in claims if isinstance(claim, Beside)]
        amounts = [claim for claim in claims if not isinstance(claim, Beside)]
        writes = [write for claim in amounts for write in claim.writes]
        keeps = [kept for claim in amounts for kept in claim.keeps]
        return written(self._index.texts, writes, besides, keeps)

    # --- kustomize ---

    def _builds(self, claim: AnyClaim) -> Iterator[Build]:
        """Every build of a kustomize folder that takes what the claim writes.

        Charts that kustomize itself would render are left to helm.
        """
        owner = owner_of(claim)
        if owner.release is not None and owner.kind not in _CARRIERS:
            return
        routes = claim.routes if isinstance(claim, Beside) else self._routes(claim)
        for route in routes:
            build = build_of(route, _files(claim))
            if build is not None and route.reachable is not False:
                yield build

    def _routes(self, claim: Claim) -> list[Route]:
        """The ways of all that what the claim writes decides for, or would in a shared place."""
        shared = [write.apart.shared for write in claim.writes if write.apart is not None]
        others = [e for target in shared for e in self._index.fed_by.get(target, [])]
        return [each.route for each in (*others, *self._fed_by(claim))]

    def _fed_by(self, claim: Claim) -> list[Expectation]:
        """The containers that what the claim writes decides for."""
        found: list[Expectation] = []
        for write in claim.writes:
            target = (write.file, write.address)
            apart = write.apart
            found += self._index.fed_by.get(target, []) if apart is None else apart.fed
        return found

    def _aim_in(self, build: Build, claim: AnyClaim) -> _AnyAim:
        """What a claim means to move in a build."""
        if isinstance(claim, Beside):
            return _BesideAim(claim, claim.owner.release is not None)
        files = _files(claim)
        fed = [each for each in self._fed_by(claim) if build_of(each.route, files) == build]
        return _Aim(claim, _is_handed_on(claim), fed)

    def _build(
        self, build: Build, claims: Sequence[AnyClaim], kustomize: Kustomize | None
    ) -> list[Verdict]:
        if kustomize is None:
            return [Verdict(None, "not rendered: there is no kubectl on PATH")] * len(claims)
        left_out = ", ".join(entry[:120] for entry in kustomize.left_out(build.folder))

        def render(chosen: Sequence[AnyClaim]) -> Rendering:
            return build.made_by(kustomize, self._texts(chosen))

        aims = [self._aim_in(build, claim) for claim in claims]
        try:
            verdicts = _judged(aims, render, in_values=True)
        except RenderError as err:
            if left_out:
                reason = f"not rendered: {left_out} lies outside the repository"
                return [Verdict(None, reason)] * len(claims)
            return [Verdict(None, f"not rendered: {err}")] * len(claims)
        return [replace(verdict, without=left_out) for verdict in verdicts]

    # --- helm ---

    def _release(self, claims: Sequence[AnyClaim], kustomize: Kustomize | None) -> list[Verdict]:
        owner = owner_of(claims[0])
        helm = self._builder.helm
        if helm is None:
            return [Verdict(None, "not rendered: there is no helm on PATH")] * len(claims)
        # Stages of one release differ in their values: only that of the claim's own way is meant.
        named = self._index.releases_of.get(owner, ())
        entry = entry_of(claims[0])
        releases = [r for r in named if r.route.entry == entry] or named
        chart = helm.chart_of(releases[0], self._index.root) if releases else None
        if chart is None:
            shown = f"{owner.chart or 'its chart'} {owner.version or ''}".strip()
            return [Verdict(None, f"not rendered: {shown} is not at hand")] * len(claims)

        def render(chosen: Sequence[AnyClaim]) -> Rendering:
            values, post = _installed(releases[0], self._texts(chosen), kustomize)
            return helm.render(chart, owner.release or owner.name, owner.namespace, values, post)

        aims: list[_AnyAim] = [
            _BesideAim(claim, False)
            if isinstance(claim, Beside)
            else _Aim(claim, False, [claim.expectation])
            for claim in claims
        ]
        try:
            return _judged(aims, render, in_values=False)
        except RenderError as err:
            return [Verdict(None, f"not rendered: {err}")] * len(claims)


def _installed(
    release: Release, texts: Mapping[str, str], kustomize: Kustomize | None
) -> Installed:
    """The values of a release with some files edited, as kustomize hands them on."""
    edited = release.with_documents({file: parse(text) for file, text in texts.items()})
    build = build_of(release.route)
    if build is None or kustomize is None:
        return as_found(edited)
    try:
        rendering = build.made_by(kustomize, texts)
    except RenderError:
        return as_found(edited)  # the verdict of the build itself says why
    return as_built(edited, rendering)


# --- judging what moved -------------------------------------------------------------------------


def _judged(aims: Sequence[_AnyAim], render: Render, *, in_values: bool) -> list[Verdict]:
    """One verdict for each aim, of what `render` shows. Raises `RenderError`.

    `in_values`: an edit of Helm values shows in the object that carries them, not in containers.
    """
    before, after = render([]), render([aim.claim for aim in aims])
    moved = moves(before, after)
    if moved and not in_values:
        noise = {(m.owner, m.path, m.sink) for m in moves(before, render([]))}
        moved = [m for m in moved if (m.owner, m.path, m.sink) not in noise]
    shown = _Shown(moved, after)
    stray = shown.stray(aims)
    blamed = _blamed(aims, stray, before, render) if stray else {}
    problems = (aim.problem(shown) or blamed.get(id(aim)) for aim in aims)
    return [
        replace(_verdict(shown, found, aim.carried), lost=aim.lost(shown) if found else ())
        for aim, found in zip(aims, problems, strict=True)
    ]


def _is_handed_on(claim: Claim) -> bool:
    """Whether what is written is handed on to a chart or to an operator that nobody knows here."""
    return claim.place.owner.release is not None or claim.expectation.container == ANY


def _blamed(
    aims: Sequence[_AnyAim], stray: Sequence[Move], before: Rendering, render: Render
) -> dict[int, str]:
    """What each aim, by its id, moves that nobody meant, looked for in halves of all the claims.

    What only several claims together move is laid to each of them.
    """
    told = f"{stray[0]} changed as well"
    if len(aims) == 1:
        return {id(aims[0]): told}
    spots = {(move.owner, move.path, move.sink) for move in stray}
    found: dict[int, str] = {}
    for half in (aims[: len(aims) // 2], aims[len(aims) // 2 :]):
        after = render([aim.claim for aim in half])
        alone = _Shown(moves(before, after), after).stray(half)
        mine = [move for move in alone if (move.owner, move.path, move.sink) in spots]
        if mine:
            found |= _blamed(half, mine, before, render)
    return found or dict.fromkeys(map(id, aims), told)


def _verdict(shown: _Shown, problem: str | None, carried: bool) -> Verdict:
    program = shown.program
    if problem is not None:
        return Verdict(False, f"rendered with {program}: {problem}")
    if carried:  # what a chart makes of its values is another matter
        told = f"{program} hands the values on as intended"
        return Verdict(None, told, handed_on=True)
    return Verdict(True, "", program, shown.changed, shown.containers)


class _Shown:
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

    def moves(self, aim: _AnyAim) -> list[Move]:
        """What moved in the container or in the object of a claim, in order."""
        near = {n for key in aim.keys for n in self._near.get(key, ())}
        return [self._moved[n] for n in sorted(near)]

    def stray(self, aims: Sequence[_AnyAim]) -> list[Move]:
        """What moved that none of all the claims accounts for."""
        meant = {id(move) for aim in aims for move in self.moves(aim) if aim.meant(move)}
        carried = [aim for aim in aims if aim.carried]
        meant |= {id(m) for m in self.configs if any(aim.meant(m) for aim in carried)}
        return [move for move in self._moved if id(move) not in meant]


_POST_RENDERERS = ("spec", "postRenderers")
_CONFIGS = ("ConfigMap", "Secret")
"""Kinds that hand on the values of a chart."""


def _key(move: Move) -> Hashable:
    """What a claim knows a move by: its container, else its object; None where neither is sure."""
    named = move.owner[2] if move.sink is None else move.sink.workload
    if has_variable(named):
        return None
    return (_carrier(move), named) if move.sink is None else move.sink


def _carrier(move: Move) -> str:
    """The kind of object that a value moved in; a HelmChartConfig speaks for its HelmChart."""
    return HELM_CHART if move.owner[0] == CONFIG else move.owner[0]


class _Aim:
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
        steered = self.claim.expectation.route.kustomization
        steering = () if steered is None else (("Kustomization", steered[1]),)
        return {None, self.owner, self.sink, *self._fed, *steering}

    def meant(self, move: Move) -> bool:
        """Whether the claim accounts for a value that moved."""
        if self._is_steering(move):
            return True
        return self._in_carrier(move) if self._is_carried(move) else self._in_container(move)

    def _is_steering(self, move: Move) -> bool:
        """Whether a value is the very patch that is written, where Flux applies its own object."""
        route = self.claim.expectation.route
        steering, mine = route.steering, route.kustomization
        if steering is None or mine is None or move.path[:2] != ("spec", "patches"):
            return False
        patches = steering.address.below("patches").full_path()
        written = [w for w in self.claim.writes if w.file == steering.file]
        kind, namespace, name = move.owner[:3]
        own = (kind, name) == ("Kustomization", mine[1]) and namespace in ("", mine[0])
        return own and any(
            w.address.document == steering.address.document
            and w.address.full_path()[: len(patches)] == patches
            for w in written
        )

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

    def lost(self, shown: _Shown) -> tuple[Lost, ...]:
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

    def problem(self, shown: _Shown) -> str | None:
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


class _BesideAim:
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

    def lost(self, shown: _Shown) -> tuple[Lost, ...]:
        """Nothing: it is about no container."""
        return ()

    def problem(self, shown: _Shown) -> str | None:
        """What speaks against the edit; None where it came out as meant."""
        mine = [move for move in (*shown.moves(self), *shown.configs) if self.meant(move)]
        kind, name = self.owner
        if not mine:
            return f"{kind}/{name} did not change: something else decides {self.claim.title}"
        wrong = [move for move in mine if str(move.after) != str(self.claim.value)]
        if wrong and not self.carried:
            return f"{kind}/{name} would get {wrong[0].after} and not {self.claim.value}"
        return None


_AnyAim = _Aim | _BesideAim


def owner_of(claim: AnyClaim) -> Owner:
    """The object whose text a claim edits."""
    return claim.owner if isinstance(claim, Beside) else claim.place.owner


def _files(claim: AnyClaim) -> set[str]:
    """The files that a claim edits."""
    return {claim.file} if isinstance(claim, Beside) else {write.file for write in claim.writes}


def entry_of(claim: AnyClaim) -> str:
    """Where the way of what a claim edits begins."""
    return claim.routes[0].entry if isinstance(claim, Beside) else claim.expectation.route.entry


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


def _together(verdicts: Sequence[Verdict]) -> Verdict:
    """One verdict of several: what speaks against an edit counts most, then what was rendered.

    A chart that was rendered says more than the object that carries its values.
    """
    if not verdicts:
        return Verdict(None, "applied as it stands, with no kustomization in between")
    against = [verdict for verdict in verdicts if verdict.holds is False]
    rendered = [verdict for verdict in verdicts if verdict.holds]
    if against:
        return against[0]
    if rendered:
        return next((one for one in reversed(rendered) if one.changed), rendered[-1])
    reasons = dict.fromkeys(verdict.reason for verdict in reversed(verdicts))
    handed_on = any(verdict.handed_on for verdict in verdicts)
    return Verdict(None, "; ".join(reasons), handed_on=handed_on)


def sink_of(expectation: Expectation) -> Sink:
    """The container an expectation is about, as a rendering names it."""
    workload = workload_text(expectation.workload, expectation.pattern)
    return Sink(expectation.kind, workload, expectation.container)


def _release_of(claim: AnyClaim) -> Hashable:
    """What claims of one release on one way to a cluster have in common."""
    return owner_of(claim), entry_of(claim)


def _groups(keys: Sequence[Hashable]) -> Iterable[list[int]]:
    """The positions of equal keys, in order of first appearance."""
    found: dict[Hashable, list[int]] = {}
    for position, key in enumerate(keys):
        found.setdefault(key, []).append(position)
    return found.values()
