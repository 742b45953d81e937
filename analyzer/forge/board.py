"""The dashboard where it stands: the one issue of a cluster, found, read and written."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from analyzer.errors import AnalyzerError
from analyzer.forge.act import Desk, Outcome
from analyzer.forge.body import fitted
from analyzer.forge.cycle import Move, Sight
from analyzer.forge.dashboard import asked_for, dashboard, marker
from analyzer.forge.protocol import Issue, Text


@dataclass(frozen=True)
class Board:
    """The issue of a cluster as it was found, None where there is none yet."""

    cluster: str
    desk: Desk
    issue: Issue | None = None
    unread: str = ""
    """Why it is not known whether there is one; then a second one must not be made."""

    @property
    def asked_for(self) -> frozenset[str]:
        """The branches whose boxes a person has ticked."""
        return asked_for(self.issue.text.body) if self.issue else frozenset()

    def tell(self, outcomes: Iterable[Outcome], score: str, sight: Sight) -> tuple[str, list[str]]:
        """Let it say how everything stands; where it is, and what went wrong."""
        if not self.desk.settings.dashboard or self.unread:
            return "", [self.unread] if self.unread else []
        moves = [_as_it_stands(outcome) for outcome in outcomes]
        text = dashboard(self.cluster, moves, score, sight=sight, asked=self.asked_for)
        try:
            return self._write(fitted(text, self.desk.forge.longest_body)), []
        except AnalyzerError as error:
            return "", [f"the dashboard was not written: {error}"]

    def _write(self, text: Text) -> str:
        # A forge may drop the blank at the end, or send other line endings.
        if self.issue is not None and _plain(self.issue.text) == _plain(text):
            return self.issue.url
        return self.desk.forge.write_issue(self.issue.number if self.issue else None, text).url


def find_board(cluster: str, desk: Desk) -> Board:
    """The dashboard of `cluster`, where there is to be one."""
    if not desk.settings.dashboard:
        return Board(cluster, desk)
    try:
        return Board(cluster, desk, desk.forge.find_issue(marker(cluster)))
    except AnalyzerError as error:
        why = f"the dashboard was not read (forge.dashboard: false needs none): {error}"
        return Board(cluster, desk, unread=why)


def _as_it_stands(outcome: Outcome) -> Move:
    """The move; as waiting where it did not work."""
    if not outcome.problem:
        return outcome.move
    return replace(outcome.move, verb="wait", reason=outcome.problem)


def _plain(text: Text) -> tuple[str, list[str]]:
    return text.title, text.body.rstrip().splitlines()
