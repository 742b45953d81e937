"""GitHub and GitHub Enterprise, by its REST API (version 2022-11-28)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from urllib.parse import quote

from analyzer.forge.answers import Shape, moment_of, read
from analyzer.forge.protocol import Comment, Issue, PullRequest, Text
from analyzer.forge.rest import Rest
from analyzer.forge.shared_calls import SharedCalls

TOKENS = ("GITHUB_TOKEN", "GH_TOKEN")


def header(token: str) -> Mapping[str, str]:
    """How GitHub is told who asks."""
    return {
        "Authorization": f"Bearer {token}",
        "Accept": "application/vnd.github+json",
        "X-GitHub-Api-Version": "2022-11-28",
    }


class _Repository(Shape):
    full_name: str


class _End(Shape):
    ref: str
    repo: _Repository | None = None


class _Label(Shape):
    name: str


class _Pull(Shape):
    number: int
    title: str
    state: str
    head: _End
    html_url: str = ""
    body: str | None = None
    labels: tuple[_Label, ...] = ()
    merged_at: str | None = None
    closed_at: str | None = None
    updated_at: str | None = None


class _About(Shape):
    full_name: str
    default_branch: str
    html_url: str = ""


class _Comment(Shape):
    id: int
    body: str | None = None


class GitHub(SharedCalls):
    """Pull requests of one repository on GitHub."""

    name = "github"
    longest_body = 65_000

    def __init__(self, rest: Rest, repository: str) -> None:
        super().__init__(rest, repository)
        self._about: _About | None = None

    def _repository(self) -> _About:
        """What the repository is called today: it may have been renamed."""
        if self._about is None:
            self._about = read(_About, self.rest.get(self._root), "the repository")
        return self._about

    def default_branch(self) -> str:
        return self._repository().default_branch

    def open_requests(self, prefix: str) -> list[PullRequest]:
        found = self.rest.pages(f"{self._root}/pulls", state="open", per_page=100)
        pulls = [read(_Pull, item, "a pull request") for item in found]
        return [_request(p) for p in pulls if p.head.ref.startswith(prefix) and self._own(p)]

    def merged_since(self, prefix: str, moment: datetime) -> list[PullRequest]:
        found = self.rest.pages(
            f"{self._root}/pulls", state="closed", sort="updated", direction="desc", per_page=100
        )
        merged = []
        for item in found:
            pull = read(_Pull, item, "a pull request")
            seen = moment_of(pull.updated_at)
            if seen is not None and seen < moment:
                break  # the latest come first, and a merge is an update
            ended = moment_of(pull.merged_at)
            if ended and ended >= moment and pull.head.ref.startswith(prefix) and self._own(pull):
                merged.append(_request(pull))
        return merged

    def latest(self, branch: str) -> PullRequest | None:
        owner = self._repository().full_name.partition("/")[0]
        found = self.rest.pages(
            f"{self._root}/pulls", state="all", head=f"{owner}:{branch}", per_page=100
        )
        pulls = [read(_Pull, item, "a pull request") for item in found]
        own = [p for p in pulls if p.head.ref == branch and self._own(p)]
        return _request(max(own, key=lambda p: p.number)) if own else None

    def _own(self, pull: _Pull) -> bool:
        """Whether it comes from this very repository: a fork's branch may have any name."""
        # A repository that is gone was a fork, for this one is there.
        return (
            pull.head.repo is not None and pull.head.repo.full_name == self._repository().full_name
        )

    def open(self, branch: str, base: str, text: Text, labels: tuple[str, ...]) -> PullRequest:
        body: dict[str, object] = {
            "title": text.title,
            "body": text.body,
            "head": branch,
            "base": base,
        }
        made = self.rest.send("POST", f"{self._root}/pulls", body)
        if self.rest.dry_run:
            request = PullRequest(0, branch, text, "open")
        else:
            request = _request(read(_Pull, made, "the new pull request"))
        if labels:
            number = request.number or "{number}"
            self.rest.send("POST", f"{self._root}/issues/{number}/labels", {"labels": list(labels)})
        return request

    def comments(self, number: int) -> list[Comment]:
        found = self.rest.pages(f"{self._root}/issues/{number}/comments", per_page=100)
        notes = [read(_Comment, item, "a comment") for item in found]
        return [Comment(note.id, note.body or "") for note in notes]

    def picture(self, commit: str, path: str) -> str | None:
        about = self._repository()
        return f"{about.html_url}/blob/{commit}/{quote(path)}?raw=true" if about.html_url else None

    def find_issue(self, marker: str) -> Issue | None:
        found = self.rest.pages(
            f"{self._root}/issues", state="open", sort="created", direction="asc", per_page=100
        )
        return next(iter(self._marked(found, marker)), None)


def _request(pull: _Pull) -> PullRequest:
    return PullRequest(
        number=pull.number,
        branch=pull.head.ref,
        text=Text(pull.title, pull.body or ""),
        state="merged" if pull.merged_at else "open" if pull.state == "open" else "closed",
        url=pull.html_url,
        labels=frozenset(label.name for label in pull.labels),
        ended=moment_of(pull.merged_at or pull.closed_at),
    )
