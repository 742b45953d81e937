"""GitLab, hosted or one's own, by its REST API (v4). Its pull requests are merge requests."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from urllib.parse import quote

from analyzer.forge.answers import Shape, moment_of, read
from analyzer.forge.protocol import Comment, Issue, PullRequest, State, Text
from analyzer.forge.rest import Rest

TOKENS = ("GITLAB_TOKEN",)


def header(token: str) -> Mapping[str, str]:
    """How GitLab is told who asks."""
    return {"PRIVATE-TOKEN": token}


class _Project(Shape):
    id: int
    default_branch: str | None = None
    web_url: str = ""


class _MergeRequest(Shape):
    iid: int
    title: str
    state: str
    source_branch: str
    source_project_id: int | None = None
    target_project_id: int | None = None
    web_url: str = ""
    description: str | None = None
    labels: tuple[str, ...] = ()
    merged_at: str | None = None
    closed_at: str | None = None


class _User(Shape):
    username: str


class _Issue(Shape):
    iid: int
    title: str
    web_url: str = ""
    description: str | None = None
    author: _User | None = None


class _Note(Shape):
    id: int
    body: str = ""
    system: bool = False


class GitLab:
    """Merge requests of one project on GitLab."""

    name = "gitlab"
    longest_body = 1_000_000

    def __init__(self, rest: Rest, repository: str) -> None:
        self.rest = rest
        self.repository = repository
        self._root = f"projects/{quote(repository, safe='')}"
        self._me: str | None = None

    def default_branch(self) -> str:
        return self._project().default_branch or "main"

    def _project(self) -> _Project:
        return read(_Project, self.rest.get(self._root), "the project")

    def open_requests(self, prefix: str) -> list[PullRequest]:
        return [r for r in self._requests(state="opened") if r.branch.startswith(prefix)]

    def merged_since(self, prefix: str, moment: datetime) -> list[PullRequest]:
        found = self._requests(state="merged", updated_after=moment.isoformat())
        own = [r for r in found if r.branch.startswith(prefix)]
        return [r for r in own if r.ended is not None and r.ended >= moment]

    def latest(self, branch: str) -> PullRequest | None:
        found = self._requests(state="all", source_branch=branch)
        return max(found, key=lambda r: r.number, default=None)

    def _requests(self, **query: str) -> list[PullRequest]:
        found = self.rest.pages(f"{self._root}/merge_requests", per_page=100, **query)
        requests = [read(_MergeRequest, item, "a merge request") for item in found]
        # A fork's branch may have any name.
        return [_request(r) for r in requests if r.source_project_id == r.target_project_id]

    def open(self, branch: str, base: str, text: Text, labels: tuple[str, ...]) -> PullRequest:
        made = self.rest.send(
            "POST",
            f"{self._root}/merge_requests",
            {
                "source_branch": branch,
                "target_branch": base,
                "title": text.title,
                "description": text.body,
                "labels": ",".join(labels),
                "remove_source_branch": True,
            },
        )
        if self.rest.dry_run:
            return PullRequest(0, branch, text, "open")
        return _request(read(_MergeRequest, made, "the new merge request"))

    def edit(self, number: int, text: Text) -> None:
        self.rest.send(
            "PUT",
            f"{self._root}/merge_requests/{number}",
            {"title": text.title, "description": text.body},
        )

    def close(self, number: int) -> None:
        self.rest.send("PUT", f"{self._root}/merge_requests/{number}", {"state_event": "close"})

    def comments(self, number: int) -> list[Comment]:
        found = self.rest.pages(
            f"{self._root}/merge_requests/{number}/notes", sort="asc", per_page=100
        )
        notes = [read(_Note, item, "a note") for item in found]
        return [Comment(note.id, note.body) for note in notes if not note.system]

    def comment(self, number: int, body: str) -> None:
        self.rest.send("POST", f"{self._root}/merge_requests/{number}/notes", {"body": body})

    def edit_comment(self, number: int, comment: int, body: str) -> None:
        where = f"{self._root}/merge_requests/{number}/notes/{comment}"
        self.rest.send("PUT", where, {"body": body})

    def picture(self, commit: str, path: str) -> str | None:
        web = self._project().web_url
        return f"{web}/-/raw/{commit}/{quote(path)}" if web else None

    def find_issue(self, marker: str) -> Issue | None:
        found = self.rest.pages(
            f"{self._root}/issues",
            state="opened",
            order_by="created_at",
            sort="asc",
            per_page=100,
        )
        for item in found:
            issue = read(_Issue, item, "an issue")
            if marker in (issue.description or "") and self._is_me(issue.author):
                return Issue(issue.iid, Text(issue.title, issue.description or ""), issue.web_url)
        return None

    def _is_me(self, user: _User | None) -> bool:
        """Whether an issue is our own: its author may tick its boxes, and a stranger must not."""
        if user is None:
            return True
        if self._me is None:
            self._me = read(_User, self.rest.get("user"), "the user").username
        return user.username == self._me

    def write_issue(self, number: int | None, text: Text) -> Issue:
        body: dict[str, object] = {"title": text.title, "description": text.body}
        if number is None:
            made = self.rest.send("POST", f"{self._root}/issues", body)
        else:
            made = self.rest.send("PUT", f"{self._root}/issues/{number}", body)
        if self.rest.dry_run:
            return Issue(number or 0, text)
        issue = read(_Issue, made, "the issue")
        return Issue(issue.iid, text, issue.web_url)


def _request(found: _MergeRequest) -> PullRequest:
    return PullRequest(
        number=found.iid,
        branch=found.source_branch,
        text=Text(found.title, found.description or ""),
        state=_STATES.get(found.state, "closed"),
        url=found.web_url,
        labels=frozenset(found.labels),
        ended=moment_of(found.merged_at or found.closed_at),
    )


_STATES: Mapping[str, State] = {"opened": "open", "locked": "open", "merged": "merged"}
