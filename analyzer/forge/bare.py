"""No forge: branches on the remote are all there is, and a person opens what they like."""

from __future__ import annotations

from datetime import datetime

from analyzer.forge.protocol import Issue, PullRequest, Text
from analyzer.forge.remote import Remote


class Bare:
    """Takes every branch of the remote for an open pull request without words."""

    name = "none"
    longest_body = 1_000_000

    def __init__(self, remote: Remote) -> None:
        self.remote = remote

    def default_branch(self) -> str:
        return self.remote.default_branch()

    def open_requests(self, prefix: str) -> list[PullRequest]:
        names = sorted(self.remote.listed(prefix))
        return [PullRequest(0, name, Text(name, ""), "open") for name in names]

    def merged_since(self, prefix: str, moment: datetime) -> list[PullRequest]:
        return []

    def latest(self, branch: str) -> PullRequest | None:
        return None

    def open(self, branch: str, base: str, text: Text, labels: tuple[str, ...]) -> PullRequest:
        return PullRequest(0, branch, text, "open")

    def edit(self, number: int, text: Text) -> None:
        """There are no words to replace."""

    def close(self, number: int) -> None:
        """Its branch goes, and that is all."""

    def comments(self, number: int) -> list[str]:
        return []

    def comment(self, number: int, body: str) -> None:
        """Nobody would read it."""

    def picture(self, commit: str, path: str) -> str | None:
        return None

    def find_issue(self, marker: str) -> Issue | None:
        return None

    def write_issue(self, number: int | None, text: Text) -> Issue:
        return Issue(0, text)
