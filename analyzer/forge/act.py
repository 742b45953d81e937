"""What is done about one pull request: pushing, opening, refreshing, closing, saying why not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from analyzer.errors import AnalyzerError
from analyzer.forge.body import RETIRED, fitted
from analyzer.forge.cycle import Move, Wanted
from analyzer.forge.protocol import Forge, PullRequest, Text
from analyzer.forge.remote import Branch, Remote
from analyzer.forge.settings import ForgeSettings
from analyzer.sources.window import Progress, silent

_HANDS_OFF = "<!-- rightsize-hands-off -->"


@dataclass(frozen=True)
class Desk:
    """Where pull requests are handled: a forge, the remote behind it, and the settings."""

    forge: Forge
    remote: Remote
    settings: ForgeSettings
    dry_run: bool = False
    progress: Progress = silent


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one move: where to look at it, or the problem that was met."""

    move: Move
    url: str = ""
    problem: str = ""


def carry_out(
    move: Move, desk: Desk, branches: Mapping[str, Branch], base: tuple[str, str]
) -> Outcome:
    """Do what was decided about one pull request; `base` is the branch to propose to, and its head.

    What fails is told in the outcome.
    """
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
    text = fitted(one.text, desk.forge.longest_body)
    return desk.forge.open(one.branch, base[0], text, desk.settings.labels)


def _refresh(move: Move, desk: Desk, branch: Branch | None, commit: str) -> None:
    one = _wanted(move)
    _push(one, desk, branch, commit)
    if move.request is not None:
        desk.forge.edit(move.request.number, fitted(one.text, desk.forge.longest_body))


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
    text = fitted(Text(request.text.title, body), desk.forge.longest_body)
    desk.forge.edit(request.number, text)
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


def _wanted(move: Move) -> Wanted:
    if move.wanted is None:
        raise AssertionError(f"{move.verb} of {move.branch} without anything wanted")
    return move.wanted
