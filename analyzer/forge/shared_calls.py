"""The calls that Gitea's API took over from GitHub's as they are."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

from analyzer.forge.answers import Shape, read
from analyzer.forge.protocol import Issue, RefusedError, Text
from analyzer.forge.rest import NotFoundError, Rest


class UserShape(Shape):
    """Who did something; Gitea tells no type."""

    login: str
    type: str = ""


class IssueShape(Shape):
    """An issue, as both tell it; pull requests are listed among them."""

    number: int
    title: str
    html_url: str = ""
    body: str | None = None
    user: UserShape | None = None
    pull_request: dict[str, Any] | None = None


class SharedCalls:
    """Editing, closing and commenting below ``repos/owner/name``."""

    def __init__(self, rest: Rest, repository: str) -> None:
        self.rest = rest
        self.repository = repository
        self._root = f"repos/{quote(repository)}"
        self._me: str | None = None

    def _marked(self, found: Iterable[Any], marker: str) -> list[Issue]:
        """Those of the issues that hold `marker` and are our own, in the order given.

        Its author may edit an issue and tick its boxes, so one that a stranger has opened does not
        count. A token of an app or of a job may not ask who it is: then any bot will do.
        """
        issues = [read(IssueShape, item, "an issue") for item in found]
        marked = [i for i in issues if i.pull_request is None and marker in (i.body or "")]
        return [
            Issue(i.number, Text(i.title, i.body or ""), i.html_url)
            for i in marked
            if i.user is None or self._is_me(i.user)
        ]

    def _is_me(self, user: UserShape) -> bool:
        if self._me is None:
            try:
                self._me = read(UserShape, self.rest.get("user"), "the user").login
            except (RefusedError, NotFoundError):
                self._me = ""
        return user.login == self._me if self._me else user.type in ("Bot", "")

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
