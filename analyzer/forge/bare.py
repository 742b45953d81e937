"""No forge: branches on the remote are all there is, and a person opens what they like.

Beside each branch the remote keeps what it proposed, so that a branch which somebody deleted is
known to have been there: without a forge that is the only way to say no.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from analyzer.forge.protocol import Comment, Plain, PullRequest, State, Text
from analyzer.forge.remote import Note, Remote


@dataclass
class Bare(Plain):
    """Takes every branch of the remote for an open pull request, known by its place in a list."""

    remote: Remote
    dry_run: bool = False
    name: str = field(default="none", init=False)
    longest_body: int = field(default=1_000_000, init=False)
    _branches: list[str] = field(default_factory=list, init=False)
    _kept: dict[str, Note] | None = field(default=None, init=False)
    """What the remote remembered when it was asked for all of a cluster; None before."""

    def default_branch(self) -> str:
        return self.remote.default_branch()

    def open_requests(self, prefix: str) -> list[PullRequest]:
        """A branch of which nothing is kept is from a run that was killed, and is opened anew."""
        there = self.remote.listed(prefix)
        self._kept = self.remote.remembered(prefix)
        return [
            PullRequest(self._number(name), name, _text(note.message), "open")
            for name, note in sorted(self._kept.items())
            if name in there
        ]

    def merged_since(self, prefix: str, moment: datetime) -> list[PullRequest]:
        return []

    def latest(self, branch: str) -> PullRequest | None:
        kept = self.remote.remembered(branch) if self._kept is None else self._kept
        note = kept.get(branch)
        if note is None:
            return None
        state: State = "merged" if note.merged else "closed"
        return PullRequest(self._number(branch), branch, _text(note.message), state)

    def open(self, branch: str, base: str, text: Text, labels: tuple[str, ...]) -> PullRequest:
        number = self._number(branch)
        self.edit(number, text)
        return PullRequest(number, branch, text, "open")

    def edit(self, number: int, text: Text) -> None:
        if not self.dry_run:
            message = f"{text.title}\n\n{text.body}"
            self.remote.remember(self._branches[number - 1], message)

    def close(self, number: int) -> None:
        """Its branch goes, and that is all."""

    def comments(self, number: int) -> list[Comment]:
        return []

    def comment(self, number: int, body: str) -> None:
        """Nobody would read it."""

    def edit_comment(self, number: int, comment: int, body: str) -> None:
        """There is none."""

    def _number(self, branch: str) -> int:
        if branch not in self._branches:
            self._branches.append(branch)
        return self._branches.index(branch) + 1


def _text(message: str) -> Text:
    title, _, body = message.partition("\n\n")
    return Text(title, body)
