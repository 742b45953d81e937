"""Bitbucket Cloud, by its REST API (2.0).

Its pull requests have no labels: ``[rightsize/stop]`` in a title counts as one. Issues are a thing
of few repositories, so there is no dashboard. Its Markdown shows HTML as text: what a description
holds for the next run is written as links that nothing refers to, and nothing is folded.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import quote

from analyzer.forge.answers import Shape, moment_of, read
from analyzer.forge.protocol import Comment, ForgeError, Plain, PullRequest, State, Text
from analyzer.forge.rest import Rest

TOKENS = ("BITBUCKET_TOKEN",)
_PAGE = 50
_MOST_PAGES = 200
_ALL = "state=OPEN&state=MERGED&state=DECLINED&state=SUPERSEDED"
_STATES: Mapping[str, State] = {"OPEN": "open", "MERGED": "merged"}
_HIDDEN = re.compile(r"^<!-- (.*) -->$", re.MULTILINE)
_LINK = re.compile(r"^\[//\]: # \((.*)\)$", re.MULTILINE)
LABEL = re.compile(r"\[(rightsize/\w+)\]")
_FOLD = re.compile(r"<details><summary>(.*?)</summary>")


def header(token: str) -> Mapping[str, str]:
    """How Bitbucket is told who asks: an access token of the repository, project or workspace."""
    return {"Authorization": f"Bearer {token}"}


class _Name(Shape):
    name: str


class _Repository(Shape):
    full_name: str
    mainbranch: _Name | None = None


class _Owner(Shape):
    full_name: str


class _End(Shape):
    branch: _Name
    repository: _Owner | None = None


class _Pull(Shape):
    id: int
    title: str
    state: str
    source: _End
    description: str | None = None
    links: dict[str, Any] | None = None
    updated_on: str | None = None


class _Content(Shape):
    raw: str = ""


class _Said(Shape):
    id: int
    content: _Content
    deleted: bool = False


class _Page(Shape):
    values: list[Any]
    next: str | None = None


class Bitbucket(Plain):
    """Pull requests of one repository on Bitbucket Cloud."""

    name = "bitbucket"
    longest_body = 30_000

    def __init__(self, rest: Rest, repository: str) -> None:
        self.rest = rest
        self.repository = repository
        self._root = f"repositories/{quote(repository)}"
        self._known: _Repository | None = None

    def _repository(self) -> _Repository:
        """What the repository is called today: it may have been renamed."""
        if self._known is None:
            self._known = read(_Repository, self.rest.get(self._root), "the repository")
        return self._known

    def default_branch(self) -> str:
        main = self._repository().mainbranch
        if main is None:
            raise ForgeError(f"{self.repository}: has no main branch; set forge.base")
        return main.name

    def open_requests(self, prefix: str) -> list[PullRequest]:
        return [r for r in self._requests("state=OPEN") if r.branch.startswith(prefix)]

    def merged_since(self, prefix: str, moment: datetime) -> list[PullRequest]:
        since = f'updated_on >= "{moment.isoformat()}"'
        found = self._requests("state=MERGED", q=since)
        return [r for r in found if r.branch.startswith(prefix)]

    def latest(self, branch: str) -> PullRequest | None:
        name = branch.replace("\\", "\\\\").replace('"', '\\"')
        found = self._requests(_ALL, q=f'source.branch.name = "{name}"')
        own = [r for r in found if r.branch == branch]
        return max(own, key=lambda r: r.number, default=None)

    def _requests(self, states: str, **query: str) -> list[PullRequest]:
        path = f"{self._root}/pullrequests?{states}"
        pulls = [read(_Pull, item, "a pull request") for item in self._pages(path, **query)]
        return [_request(pull) for pull in pulls if self._own(pull)]

    def _own(self, pull: _Pull) -> bool:
        """Whether it comes from this very repository: a fork's branch may have any name."""
        # A repository that is gone was a fork, for this one is there.
        here = pull.source.repository
        return here is not None and here.full_name == self._repository().full_name

    def _pages(self, path: str, **query: str) -> Iterator[Any]:
        """The items of all pages, each of which names the next one."""
        where, bounds = path, {"pagelen": str(_PAGE), **query}
        for _ in range(_MOST_PAGES):
            page = read(_Page, self.rest.get(where, **bounds), "a list")
            yield from page.values
            if page.next is None:
                return
            where, bounds = page.next, {}
        raise ForgeError(f"{self.repository}: more than {_MOST_PAGES} pages of answers")

    def open(self, branch: str, base: str, text: Text, labels: tuple[str, ...]) -> PullRequest:
        body: dict[str, object] = {
            "title": text.title,
            "description": written(text.body),
            "source": {"branch": {"name": branch}},
            "destination": {"branch": {"name": base}},
            "close_source_branch": True,
        }
        made = self.rest.send("POST", f"{self._root}/pullrequests", body)
        if self.rest.dry_run:
            return PullRequest(0, branch, text, "open")
        return _request(read(_Pull, made, "the new pull request"))

    def edit(self, number: int, text: Text) -> None:
        body: dict[str, object] = {"title": text.title, "description": written(text.body)}
        self.rest.send("PUT", self._one(number), body)

    def close(self, number: int) -> None:
        self.rest.send("POST", f"{self._one(number)}/decline", {})

    def comments(self, number: int) -> list[Comment]:
        found = self._pages(f"{self._one(number)}/comments", sort="created_on")
        said = [read(_Said, item, "a comment") for item in found]
        return [Comment(one.id, read_back(one.content.raw)) for one in said if not one.deleted]

    def comment(self, number: int, body: str) -> None:
        content: dict[str, object] = {"content": {"raw": written(body)}}
        self.rest.send("POST", f"{self._one(number)}/comments", content)

    def edit_comment(self, number: int, comment: int, body: str) -> None:
        content: dict[str, object] = {"content": {"raw": written(body)}}
        self.rest.send("PUT", f"{self._one(number)}/comments/{comment}", content)

    def _one(self, number: int) -> str:
        return f"{self._root}/pullrequests/{number}"


def written(body: str) -> str:
    """`body` as Bitbucket's Markdown hides what is hidden, with every part open."""
    hidden = _HIDDEN.sub(r"[//]: # (\1)", body)
    return _FOLD.sub(r"**\1**", hidden).replace("</details>", "")


def read_back(text: str) -> str:
    """What is hidden, as every other part of this program looks for it."""
    return _LINK.sub(r"<!-- \1 -->", text.replace("\r\n", "\n"))


def _request(pull: _Pull) -> PullRequest:
    web = (pull.links or {}).get("html")
    return PullRequest(
        number=pull.id,
        branch=pull.source.branch.name,
        text=Text(pull.title, read_back(pull.description or "")),
        state=_STATES.get(pull.state, "closed"),
        url=str(web.get("href", "")) if isinstance(web, dict) else "",
        labels=frozenset(LABEL.findall(pull.title)),
        # When it was touched last, which is told in place of when it ended.
        ended=None if pull.state == "OPEN" else moment_of(pull.updated_on),
    )
