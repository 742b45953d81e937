"""The calls that Gitea's API took over from GitHub's as they are."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from analyzer.forge.answers import Shape, read
from analyzer.forge.protocol import Issue, Text
from analyzer.forge.rest import Rest


class IssueShape(Shape):
    """An issue, as both tell it; pull requests are listed among them."""

    number: int
    title: str
    html_url: str = ""
    body: str | None = None
    pull_request: dict[str, Any] | None = None


class SharedCalls:
    """Editing, closing and commenting below ``repos/owner/name``."""

    def __init__(self, rest: Rest, repository: str) -> None:
        self.rest = rest
        self.repository = repository
        self._root = f"repos/{quote(repository)}"

    def edit(self, number: int, text: Text) -> None:
        self.rest.send(
            "PATCH", f"{self._root}/pulls/{number}", {"title": text.title, "body": text.body}
        )

    def close(self, number: int) -> None:
        self.rest.send("PATCH", f"{self._root}/pulls/{number}", {"state": "closed"})

    def comment(self, number: int, body: str) -> None:
        self.rest.send("POST", f"{self._root}/issues/{number}/comments", {"body": body})

    def edit_comment(self, number: int, comment: int, body: str) -> None:
        self.rest.send("PATCH", f"{self._root}/issues/comments/{comment}", {"body": body})

    def write_issue(self, number: int | None, text: Text) -> Issue:
        body: dict[str, object] = {"title": text.title, "body": text.body}
        if number is None:
            made = self.rest.send("POST", f"{self._root}/issues", body)
        else:
            made = self.rest.send("PATCH", f"{self._root}/issues/{number}", body)
        if self.rest.dry_run:
            return Issue(number or 0, text)
        issue = read(IssueShape, made, "the issue")
        return Issue(issue.number, text, issue.html_url)
