"""Delivering what is wanted: looked at, decided, carried out one by one, judged, told."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from analyzer.errors import AnalyzerError
from analyzer.forge.act import Desk, Outcome, carry_out
from analyzer.forge.board import find_board
from analyzer.forge.cycle import ALL_SEEN, Limits, Move, Scene, Sight, Wanted, decide
from analyzer.forge.protocol import Forge
from analyzer.forge.remote import Branch
from analyzer.forge.verdict import marker as verdict_marker
from analyzer.forge.verdict import score_line, verdict
from analyzer.gitops.land.proposal import branch_prefix
from analyzer.ledger.outcome import Outcome as Happened
from analyzer.workload import ContainerRef, slug

_REMEMBERED = timedelta(days=45)
"""So long after its merge a pull request is judged."""
_CHARTS = "rightsize-charts"
_MOST_PICTURES = 3


@dataclass(frozen=True)
class Delivery:
    """All that became of one run's proposals; `problems` are not about a single one of them."""

    outcomes: tuple[Outcome, ...]
    dashboard: str = ""
    problems: tuple[str, ...] = ()

    @property
    def failed(self) -> tuple[str, ...]:
        """One sentence for everything that did not work."""
        return (
            *(f"{o.move.branch}: {o.problem}" for o in self.outcomes if o.problem),
            *self.problems,
        )


@dataclass(frozen=True)
class Past:
    """What became of earlier changes, as of `until`: for the comments that hold them to account."""

    until: datetime
    outcomes: tuple[Happened, ...] = ()
    instead: Mapping[ContainerRef, str] = field(default_factory=dict)
    """What is proposed now, in words."""


def deliver(
    wanted: Sequence[Wanted],
    cluster: str,
    desk: Desk,
    past: Past | None = None,
    sight: Sight = ALL_SEEN,
) -> Delivery:
    """Bring forge and remote to what is `wanted` of `cluster`.

    What fails is named and never stops the others; the next run takes it up where it was left.
    Raises where nothing at all can be done: no token, no remote, no such repository.
    """
    prefix, board = branch_prefix(cluster), find_board(cluster, desk)
    base = desk.settings.base or desk.forge.default_branch()
    commit, branches = desk.remote.fetch(base, prefix)
    scene = Scene(
        branches=branches,
        requests=desk.forge.open_requests(prefix),
        last=desk.forge.latest,
        moved_under=lambda branch, one: desk.remote.moved_under(branch, commit, one.edits),
        asked_for=board.asked_for,
        sight=sight,
    )
    limits = Limits(desk.settings.most_open, desk.settings.reopen_change)
    moves, unseen = _illustrated(decide(wanted, scene, limits), desk, cluster)
    outcomes = tuple(_carried_out(moves, desk, branches, (base, commit)))
    untold = _judge(past, prefix, desk.forge) if past and past.outcomes else []
    score = score_line(past.outcomes) if past else ""
    where, unwritten = board.tell(outcomes, score, sight)
    return Delivery(outcomes, where, (*unseen, *untold, *unwritten))


def _carried_out(
    moves: Sequence[Move], desk: Desk, branches: Mapping[str, Branch], base: tuple[str, str]
) -> Iterator[Outcome]:
    for number, move in enumerate(moves):
        desk.progress(number, len(moves), "bringing pull requests up to date")
        yield carry_out(move, desk, branches, base)


def _illustrated(moves: Sequence[Move], desk: Desk, cluster: str) -> tuple[list[Move], list[str]]:
    """The moves with their charts in view, once those are pushed; and what went wrong with that."""
    shown = {
        move.branch: move.wanted.pictures[:_MOST_PICTURES]
        for move in moves
        if move.verb in ("open", "refresh") and move.wanted and move.wanted.pictures
    }
    if not shown or desk.dry_run or not desk.settings.charts:
        return list(moves), []
    files = {f"{slug(cluster)}/{p.name}": p for pictures in shown.values() for p in pictures}
    try:
        if desk.forge.picture("HEAD", next(iter(files))) is None:
            return list(moves), []  # nobody could be shown them
        commit = desk.remote.put_files(_CHARTS, files, "Charts of what is proposed")
        places = {path: desk.forge.picture(commit, path) for path in files}
    except AnalyzerError as error:
        return list(moves), [f"the charts are not shown: {error}"]
    found = {
        branch: [places[f"{slug(cluster)}/{picture.name}"] for picture in pictures]
        for branch, pictures in shown.items()
    }
    return [_with_pictures(move, found.get(move.branch, [])) for move in moves], []


def _with_pictures(move: Move, places: Sequence[str | None]) -> Move:
    """The move with its charts at the head of its text."""
    lines = [f"![What it used, asks for and would ask for]({place})" for place in places if place]
    if move.wanted is None or not lines:
        return move
    text = replace(move.wanted.text, body="\n".join([*lines, "", move.wanted.text.body]))
    return replace(move, wanted=replace(move.wanted, text=text))


def _judge(past: Past, prefix: str, forge: Forge) -> list[str]:
    """Say on each merged pull request what came of it, once per occasion; what went wrong."""
    problems = []
    try:
        merged = forge.merged_since(prefix, past.until - _REMEMBERED)
    except AnalyzerError as error:
        return [f"merged pull requests were not looked at: {error}"]
    for request in merged:
        found = verdict(request, past.outcomes, past.instead)
        if found is None:
            continue
        mark = verdict_marker(found[0])
        try:
            if not any(mark in c.body for c in forge.comments(request.number)):
                forge.comment(request.number, f"{mark}\n{found[1]}")
        except AnalyzerError as error:
            problems.append(f"{request.branch}: what came of it was not told: {error}")
    return problems
