"""Gitea and Forgejo, by their REST API (v1), which they share."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from urllib.parse import quote

from analyzer.forge.answers import Shape, moment_of, read
from analyzer.forge.protocol import Comment, Issue, PullRequest, Text
from analyzer.forge.rest import Rest
from analyzer.forge.shared_calls import SharedCalls

TOKENS = ("GITEA_TOKEN", "FORGEJO_TOKEN")
_PAGE = 50
"""As many as an instance gives by default."""


def header(token: str) -> Mapping[str, str]:
    """How Gitea is told who asks."""
    return {"Authorization": f"token {token}"}


class _Repository(Shape):
    default_branch: str
    html_url: str = ""


class _End(Shape):
    ref: str
    label: str = ""
    repo_id: int = 0


class _Label(Shape):
    id: int
    name: str


class _Pull(Shape):
    number: int
    title: str
    state: str
    head: _End
    base: _End
    html_url: str = ""
    body: str | None = None
    labels: list[_Label] | None = None
    merged: bool = False
    merged_at: str | None = None
    closed_at: str | None = None


class _Comment(Shape):
    id: int
    body: str = ""


class Gitea(SharedCalls):
    """Pull requests of one repository on Gitea or Forgejo."""

    name = "gitea"
    longest_body = 60_000

    def __init__(self, rest: Rest, repository: str) -> None:
        super().__init__(rest, repository)
        self._ended: list[PullRequest] | None = None

    def default_branch(self) -> str:
        return self._about().default_branch

    def _about(self) -> _Repository:
        return read(_Repository, self.rest.get(self._root), "the repository")

    def open_requests(self, prefix: str) -> list[PullRequest]:
        return [r for r in self._requests("open") if r.branch.startswith(prefix)]

    def merged_since(self, prefix: str, moment: datetime) -> list[PullRequest]:
        ended = [r for r in self._ended_requests() if r.branch.startswith(prefix)]
        merged = [r for r in ended if r.state == "merged"]
        return [r for r in merged if r.ended is not None and r.ended >= moment]

    def latest(self, branch: str) -> PullRequest | None:
        """The API finds pull requests by state alone, so the ended ones are listed once."""
        for request in self._requests("open"):
            if request.branch == branch:
                return request
        found = [r for r in self._ended_requests() if r.branch == branch]
        return max(found, key=lambda r: r.number, default=None)

    def _ended_requests(self) -> list[PullRequest]:
        if self._ended is None:
            self._ended = self._requests("closed")
        return self._ended

    def _requests(self, state: str) -> list[PullRequest]:
        found = self.rest.pages(f"{self._root}/pulls", state=state, limit=_PAGE)
        pulls = [read(_Pull, item, "a pull request") for item in found]
        # A fork's branch may have any name.
        return [_request(p) for p in pulls if p.head.repo_id == p.base.repo_id]

    def open(self, branch: str, base: str, text: Text, labels: tuple[str, ...]) -> PullRequest:
        body: dict[str, object] = {
            "head": branch,
            "base": base,
            "title": text.title,
            "body": text.body,
        }
        if labels:
            body["labels"] = self._label_numbers(labels)
        made = self.rest.send("POST", f"{self._root}/pulls", body)
        if self.rest.dry_run:
            return PullRequest(0, branch, text, "open")
        return _request(read(_Pull, made, "the new pull request"))

    def _label_numbers(self, names: tuple[str, ...]) -> list[int]:
        """Labels go by number here; one that does not exist is made."""
        found = self.rest.pages(f"{self._root}/labels", limit=_PAGE)
        known = {label.name: label.id for label in (read(_Label, i, "a label") for i in found)}
        for name in names:
            if name not in known and not self.rest.dry_run:
                made = self.rest.send(
                    "POST", f"{self._root}/labels", {"name": name, "color": "#2a6f97"}
                )
                known[name] = read(_Label, made, "the new label").id
        return [known[name] for name in names if name in known]

    def close(self, number: int) -> None:
        self._ended = None
        super().close(number)

    def comments(self, number: int) -> list[Comment]:
        found = self.rest.get(f"{self._root}/issues/{number}/comments")
        notes = [read(_Comment, item, "a comment") for item in found or []]
        return [Comment(note.id, note.body) for note in notes]

    def picture(self, commit: str, path: str) -> str | None:
        web = self._about().html_url
        return f"{web}/raw/commit/{commit}/{quote(path)}" if web else None

    def find_issue(self, marker: str) -> Issue | None:
        found = self.rest.pages(f"{self._root}/issues", state="open", type="issues", limit=_PAGE)
        return min(self._marked(found, marker), key=lambda i: i.number, default=None)


def _request(pull: _Pull) -> PullRequest:
    return PullRequest(
        number=pull.number,
        # Once the branch is gone, `ref` is one of the server's own, and the label still its name.
        branch=pull.head.label or pull.head.ref,
        text=Text(pull.title, pull.body or ""),
        state="merged" if pull.merged else "open" if pull.state == "open" else "closed",
        url=pull.html_url,
        labels=frozenset(label.name for label in pull.labels or []),
        ended=moment_of(pull.merged_at or pull.closed_at),
    )
