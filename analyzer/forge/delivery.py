"""Carrying out what was decided: pushing, opening, closing, one at a time and each for itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from analyzer.errors import AnalyzerError
from analyzer.forge.cycle import RETIRED, Limits, Move, Scene, Wanted, decide
from analyzer.forge.dashboard import asked_for, dashboard, marker
from analyzer.forge.promise import Promise
from analyzer.forge.protocol import Forge, Issue, PullRequest, Text
from analyzer.forge.remote import Branch, Remote
from analyzer.forge.settings import ForgeSettings
from analyzer.forge.verdict import marker as verdict_marker
from analyzer.forge.verdict import score_line, verdict
from analyzer.gitops.land.proposal import branch_prefix
from analyzer.ledger.outcome import Outcome as Happened
from analyzer.workload import ContainerRef, slug

_HANDS_OFF = "<!-- rightsize-hands-off -->"
_REMEMBERED = timedelta(days=45)
"""So long after its merge a pull request is judged."""
_CHARTS = "rightsize-charts"
_MOST_PICTURES = 3
_CUT = (
    "\n\n(shortened: the forge takes no longer text; the commit and the run's files say it all)\n"
)
_KEPT = ("<!-- rightsize:", RETIRED)
_FENCE, _FOLD = "\n```\n", "\n\n</details>"
"""What ends a block of code, and a part that is folded."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one move: where to look at it, or the problem that was met."""

    move: Move
    url: str = ""
    problem: str = ""


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
class Desk:
    """Where pull requests are handled: a forge, the remote behind it, and the settings."""

    forge: Forge
    remote: Remote
    settings: ForgeSettings
    dry_run: bool = False


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
    *,
    complete: bool = True,
    settled: Callable[[Promise], bool] = lambda _promise: True,
) -> Delivery:
    """Bring forge and remote to what is `wanted` of `cluster`.

    What fails is named and never stops the others; the next run takes it up where it was left.
    `complete` says that everything was looked at, so that what is not wanted is closed, as long as
    each container it promised something for is `settled`. Raises where nothing at all can be done:
    no token, no remote, no such repository.
    """
    forge, settings = desk.forge, desk.settings
    base = settings.base or forge.default_branch()
    prefix = branch_prefix(cluster)
    commit, branches = desk.remote.fetch(base, prefix)
    issue, problems = _find_dashboard(cluster, desk)
    scene = Scene(
        branches=branches,
        requests=forge.open_requests(prefix),
        last=forge.latest,
        moved_under=lambda branch, one: desk.remote.moved_under(branch, commit, one.edits),
        asked_for=asked_for(issue.text.body) if issue else frozenset(),
        complete=complete,
        settled=settled,
    )
    moves = decide(wanted, scene, Limits(settings.most_open, settings.reopen_change))
    moves, missing = _illustrated(moves, desk, cluster)
    problems += missing
    outcomes = tuple(_carry_out(move, desk, branches, (base, commit)) for move in moves)
    if past and past.outcomes:
        problems += _judge(past, prefix, forge)
    if not settings.dashboard or issue is _UNREAD:
        return Delivery(outcomes, problems=tuple(problems))
    score = score_line(past.outcomes) if past else ""
    moves = [_as_it_stands(outcome) for outcome in outcomes]
    where = ""
    try:
        asked = scene.asked_for
        text = dashboard(cluster, moves, score, complete=complete, asked=asked)
        where = _write_dashboard(text, forge, issue)
    except AnalyzerError as error:
        problems.append(f"the dashboard was not written: {error}")
    return Delivery(outcomes, where, tuple(problems))


_UNREAD = Issue(0, Text("", ""))
"""A dashboard that may be there or not: a second one must not be made."""


def _find_dashboard(cluster: str, desk: Desk) -> tuple[Issue | None, list[str]]:
    """The issue of a cluster where there is one, and what went wrong with looking for it."""
    if not desk.settings.dashboard:
        return None, []
    try:
        return desk.forge.find_issue(marker(cluster)), []
    except AnalyzerError as error:
        return _UNREAD, [f"the dashboard was not read (forge.dashboard: false needs none): {error}"]


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


def _carry_out(
    move: Move, desk: Desk, branches: dict[str, Branch], base: tuple[str, str]
) -> Outcome:
    branch = branches.get(move.branch)
    try:
        if move.verb == "open":
            opened = _open(move, desk, branch, base)
            return Outcome(replace(move, request=opened), opened.url)
        if move.verb == "refresh":
            _refresh(move, desk, branch, base[1])
        elif move.verb == "retire":
            _retire(move, desk, branch)
        elif move.verb == "hands off" and move.request and branch and not branch.ours:
            _say_once(move, desk)
    except AnalyzerError as error:
        return Outcome(move, problem=str(error))
    return Outcome(move, move.request.url if move.request else "")


def _open(move: Move, desk: Desk, branch: Branch | None, base: tuple[str, str]) -> PullRequest:
    one = _wanted(move)
    # On the same base it is there from a run that was killed; elsewhere it may be merged already.
    if branch is None or (branch.digest, branch.parent) != (one.digest, base[1]):
        _push(one, desk, branch, base[1])
    text = replace(one.text, body=shortened(one.text.body, desk.forge.longest_body))
    return desk.forge.open(one.branch, base[0], text, desk.settings.labels)


def _refresh(move: Move, desk: Desk, branch: Branch | None, commit: str) -> None:
    one = _wanted(move)
    _push(one, desk, branch, commit)
    if move.request is not None:
        text = replace(one.text, body=shortened(one.text.body, desk.forge.longest_body))
        desk.forge.edit(move.request.number, text)


def _push(one: Wanted, desk: Desk, branch: Branch | None, base: str) -> None:
    commit = desk.remote.write(base, one.message, one.digest, one.edits)
    if not desk.dry_run:
        desk.remote.push(one.branch, commit, branch.tip if branch else None)


def _retire(move: Move, desk: Desk, branch: Branch | None) -> None:
    request = move.request
    if request is None:
        return
    told = RETIRED in request.text.body  # by a run that was killed
    body = request.text.body if told else f"{RETIRED}\n{request.text.body}"
    body = shortened(body, desk.forge.longest_body)
    desk.forge.edit(request.number, Text(request.text.title, body))
    desk.forge.comment(
        request.number, "Nothing is left to change here, so this is closed and its branch deleted."
    )
    desk.forge.close(request.number)
    if branch is not None and not desk.dry_run:
        desk.remote.delete(request.branch, branch.tip)


def _say_once(move: Move, desk: Desk) -> None:
    if move.request is None or any(
        _HANDS_OFF in comment.body for comment in desk.forge.comments(move.request.number)
    ):
        return
    desk.forge.comment(
        move.request.number,
        f"{_HANDS_OFF}\nSomebody has committed to this branch, so rightsize leaves it alone from "
        "now on. Close the pull request and delete the branch to have it made anew.",
    )


def _write_dashboard(text: Text, forge: Forge, issue: Issue | None) -> str:
    text = replace(text, body=shortened(text.body, forge.longest_body))
    # A forge may drop the blank at the end, or send other line endings.
    if issue is not None and _plain(issue.text) == _plain(text):
        return issue.url
    return forge.write_issue(issue.number if issue else None, text).url


def _as_it_stands(outcome: Outcome) -> Move:
    """The move; as waiting where it did not work."""
    if not outcome.problem:
        return outcome.move
    return replace(outcome.move, verb="wait", reason=outcome.problem)


def _plain(text: Text) -> tuple[str, list[str]]:
    return text.title, text.body.rstrip().splitlines()


def _wanted(move: Move) -> Wanted:
    if move.wanted is None:
        raise AssertionError(f"{move.verb} of {move.branch} without anything wanted")
    return move.wanted


def shortened(body: str, longest: int) -> str:
    """`body`, cut where a forge takes no more; the hidden comments at its end stay whole."""
    if len(body) <= longest:
        return body
    hidden = "".join(f"\n{line}" for line in body.split("\n") if line.startswith("<!-- rightsize"))
    room = longest - len(_CUT) - len(hidden)
    if room < 0:  # a promise of very many containers: the digest alone is kept
        hidden = "".join(f"\n{x}" for x in hidden.split("\n") if x.startswith(_KEPT))
        room = longest - len(_CUT) - len(hidden)
    kept = "\n".join(line for line in body.split("\n") if not line.startswith("<!-- rightsize"))
    shown = kept[: max(0, room - len(_FENCE) - len(_FOLD))].rpartition("\n")[0]
    fenced = sum(line.startswith("```") for line in shown.split("\n")) % 2
    folded = shown.count("<details>") > shown.count("</details>")
    return f"{shown}{_FENCE * fenced}{_FOLD * folded}{_CUT}{hidden}"
