"""Bitbucket Data Center and Server, by their REST API (1.0), which is another one than the Cloud's.

Whatever changes a pull request or a comment names the version that was looked at, so that nothing
of somebody else's is overwritten. As on Bitbucket Cloud there are neither labels nor issues, and
Markdown shows HTML as text.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from analyzer.forge.answers import Shape, read
from analyzer.forge.bitbucket import LABEL, TOKENS, header, read_back, written
from analyzer.forge.protocol import (
    Comment,
    ForgeError,
    Plain,
    PullRequest,
    RefusedError,
    State,
    Text,
)
from analyzer.forge.rest import NotFoundError, Rest

__all__ = ["TOKENS", "BitbucketServer", "header"]

_PAGE = 100
_MOST_PAGES = 200
_HEADS = "refs/heads/"
_STATES: Mapping[str, State] = {"OPEN": "open", "MERGED": "merged"}


class _Project(Shape):
    key: str


class _Repository(Shape):
    slug: str
    project: _Project


class _End(Shape):
    id: str
    repository: _Repository | None = None


class _Pull(Shape, rename="camel"):
    id: int
    version: int
    title: str
    state: str
    from_ref: _End
    description: str | None = None
    links: dict[str, Any] | None = None
    closed_date: int | None = None


class _Said(Shape):
    id: int
    version: int
    text: str


class _Activity(Shape):
    action: str
    comment: _Said | None = None


class _Page(Shape, rename="camel"):
    values: list[Any]
    next_page_start: int | None = None


class BitbucketServer(Plain):
    """Pull requests of one repository on Bitbucket Data Center."""

    name = "bitbucket-server"
    longest_body = 30_000

    def __init__(self, rest: Rest, repository: str) -> None:
        self.rest = rest
        # Addresses for HTTP begin with another step than those for SSH.
        project, _, slug = repository.removeprefix("scm/").partition("/")
        self._root = f"projects/{quote(project)}/repos/{quote(slug)}"
        self._known: _Repository | None = None

    def _repository(self) -> _Repository:
        if self._known is None:
            self._known = read(_Repository, self.rest.get(self._root), "the repository")
        return self._known

    def default_branch(self) -> str:
        found = read(_End, self.rest.get(f"{self._root}/default-branch"), "the default branch")
        if not found.id.startswith(_HEADS):
            raise ForgeError(f"{self._root}: names no default branch; set forge.base")
        return found.id.removeprefix(_HEADS)

    def open_requests(self, prefix: str) -> list[PullRequest]:
        return [r for r in self._requests(state="OPEN") if r.branch.startswith(prefix)]

    def merged_since(self, prefix: str, moment: datetime) -> list[PullRequest]:
        """All are asked for: the server sorts them by no time that tells when they were merged."""
        return [
            request
            for request in self._requests(state="MERGED")
            if request.branch.startswith(prefix) and (request.ended or moment) >= moment
        ]

    def latest(self, branch: str) -> PullRequest | None:
        at = f"{_HEADS}{branch}"
        own = self._requests(state="ALL", direction="OUTGOING", at=at)
        return max((r for r in own if r.branch == branch), key=lambda r: r.number, default=None)

    def _requests(self, **query: str) -> Iterator[PullRequest]:
        for item in self._pages(f"{self._root}/pull-requests", **query):
            pull = read(_Pull, item, "a pull request")
            # From this very repository: a fork's branch may have any name.
            if pull.from_ref.repository == self._repository():
                yield _request(pull)

    def _pages(self, path: str, **query: str) -> Iterator[Any]:
        """The items of all pages, each of which names where the next one starts."""
        start = 0
        for _ in range(_MOST_PAGES):
            page = read(_Page, self.rest.get(path, start=start, limit=_PAGE, **query), "a list")
            yield from page.values
            if page.next_page_start is None:
                return
            start = page.next_page_start
        raise ForgeError(f"{self._root}: more than {_MOST_PAGES} pages of answers")

    def open(self, branch: str, base: str, text: Text, labels: tuple[str, ...]) -> PullRequest:
        here = self._repository()
        where = {"slug": here.slug, "project": {"key": here.project.key}}
        body: dict[str, object] = {
            "title": text.title,
            "description": written(text.body),
            "fromRef": {"id": f"{_HEADS}{branch}", "repository": where},
            "toRef": {"id": f"{_HEADS}{base}", "repository": where},
        }
        try:
            made = self.rest.send("POST", f"{self._root}/pull-requests", body)
        except NotFoundError as error:  # the repository is there: it is a branch that is not
            raise RefusedError(str(error)) from None
        if self.rest.dry_run:
            return PullRequest(0, branch, text, "open")
        return _request(read(_Pull, made, "the new pull request"))

    def edit(self, number: int, text: Text) -> None:
        body: dict[str, object] = {"title": text.title, "description": written(text.body)}
        self.rest.send("PUT", self._one(number), body | {"version": self._version(number)})

    def close(self, number: int) -> None:
        self.rest.send("POST", f"{self._one(number)}/decline?version={self._version(number)}", {})

    def _version(self, number: int) -> int:
        return read(_Pull, self.rest.get(self._one(number)), "the pull request").version

    def comments(self, number: int) -> list[Comment]:
        return [Comment(said.id, read_back(said.text)) for said in self._said(number)]

    def _said(self, number: int) -> list[_Said]:
        """All comments, oldest first; they are told newest first, among other events."""
        found = self._pages(f"{self._one(number)}/activities")
        told = [read(_Activity, item, "an activity") for item in found]
        said = {a.comment.id: a.comment for a in told if a.action == "COMMENTED" and a.comment}
        return [said[key] for key in sorted(said)]

    def comment(self, number: int, body: str) -> None:
        self.rest.send("POST", f"{self._one(number)}/comments", {"text": written(body)})

    def edit_comment(self, number: int, comment: int, body: str) -> None:
        where = f"{self._one(number)}/comments/{comment}"
        version = read(_Said, self.rest.get(where), "the comment").version
        self.rest.send("PUT", where, {"text": written(body), "version": version})

    def _one(self, number: int) -> str:
        return f"{self._root}/pull-requests/{number}"


def _request(pull: _Pull) -> PullRequest:
    web = (pull.links or {}).get("self")
    first = web[0] if isinstance(web, list) and web and isinstance(web[0], dict) else {}
    ended = pull.closed_date
    return PullRequest(
        number=pull.id,
        branch=pull.from_ref.id.removeprefix(_HEADS),
        text=Text(pull.title, read_back(pull.description or "")),
        state=_STATES.get(pull.state, "closed"),
        url=str(first.get("href", "")),
        labels=frozenset(LABEL.findall(pull.title)),
        ended=None if ended is None else datetime.fromtimestamp(ended / 1000, UTC),
    )
