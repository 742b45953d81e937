"""Azure DevOps, hosted or one's own, by the REST API of Azure Repos (6.0).

Its pull requests have no issues beside them, so there is no dashboard, and a description of at most
4,000 characters.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote, unquote

from analyzer.forge.answers import Shape, moment_of, read
from analyzer.forge.protocol import Comment, ForgeError, Plain, PullRequest, State, Text
from analyzer.forge.rest import Rest

TOKENS = ("AZURE_DEVOPS_TOKEN", "SYSTEM_ACCESSTOKEN")
_VERSION = "6.0"
_PAGE = 100
_MOST_PAGES = 200
_OLDEST = timedelta(days=365)
"""A pull request that was open for longer before its merge is not judged any more."""
_APART = 10_000
"""A comment is known by its thread and its place in it; a thread holds fewer than so many."""
_HEADS = "refs/heads/"


def header(token: str) -> Mapping[str, str]:
    """How Azure DevOps is told who asks: a personal access token, as a password without a user."""
    secret = base64.b64encode(f":{token}".encode()).decode("ascii")
    # Otherwise a refused token is answered by the page to sign in at.
    return {"Authorization": f"Basic {secret}", "X-TFS-FedAuthRedirect": "Suppress"}


class _Repository(Shape, rename="camel"):
    default_branch: str
    web_url: str = ""


class _Label(Shape):
    name: str


class _Pull(Shape, rename="camel"):
    pull_request_id: int
    status: str
    source_ref_name: str
    title: str = ""
    description: str | None = None
    labels: tuple[_Label, ...] | None = None
    creation_date: str | None = None
    closed_date: str | None = None
    fork_source: dict[str, Any] | None = None


class _Said(Shape, rename="camel"):
    id: int
    content: str | None = None
    comment_type: str = "text"


class _Thread(Shape):
    id: int
    comments: tuple[_Said, ...] = ()


class _List(Shape):
    value: list[Any]


class Azure(Plain):
    """Pull requests of one repository on Azure DevOps."""

    name = "azure"
    longest_body = 4000

    def __init__(self, rest: Rest, repository: str) -> None:
        self.rest = rest
        self.repository = repository
        steps = [unquote(step) for step in repository.split("/") if step != "_git"]
        if len(steps) == 4 and steps[0] == "v3":  # as addresses for SSH begin
            del steps[0]
        name = steps.pop()
        # A project's first repository has its name, and addresses then leave the project out.
        project = "/".join(quote(step) for step in (steps if len(steps) > 1 else [*steps, name]))
        self._root = f"{project}/_apis/git/repositories/{quote(name)}"
        self._known: _Repository | None = None

    def _repository(self) -> _Repository:
        if self._known is None:
            found = self.rest.get(self._root, **{"api-version": _VERSION})
            self._known = read(_Repository, found, "the repository")
        return self._known

    def default_branch(self) -> str:
        return self._repository().default_branch.removeprefix(_HEADS)

    def open_requests(self, prefix: str) -> list[PullRequest]:
        found = self._own(status="active")
        return [self._whole(p) for p in found if p.source_ref_name.startswith(_HEADS + prefix)]

    def merged_since(self, prefix: str, moment: datetime) -> list[PullRequest]:
        merged = []
        for pull in self._own(status="completed"):
            made, ended = moment_of(pull.creation_date), moment_of(pull.closed_date)
            if made is not None and made < moment - _OLDEST:
                break  # the newest come first
            if ended and ended >= moment and pull.source_ref_name.startswith(_HEADS + prefix):
                merged.append(self._whole(pull))
        return merged

    def latest(self, branch: str) -> PullRequest | None:
        found = self._own(status="all", sourceRefName=f"{_HEADS}{branch}")
        newest = max(found, key=lambda p: p.pull_request_id, default=None)
        return None if newest is None else self._whole(newest)

    def _own(self, **criteria: str) -> Iterator[_Pull]:
        """Pull requests from branches of this very repository, their descriptions cut short."""
        query = {f"searchCriteria.{name}": value for name, value in criteria.items()}
        for item in self._pages(f"{self._root}/pullrequests", query):
            pull = read(_Pull, item, "a pull request")
            if pull.fork_source is None:  # a fork's branch may have any name
                yield pull

    def _pages(self, path: str, query: Mapping[str, str]) -> Iterator[Any]:
        """The items of all pages; a page may hold fewer than were asked for."""
        seen = 0
        for _ in range(_MOST_PAGES):
            bounds = {"$top": _PAGE, "$skip": seen, "api-version": _VERSION}
            items = read(_List, self.rest.get(path, **query, **bounds), "a list").value
            if not items:
                return
            yield from items
            seen += len(items)
        raise ForgeError(f"{self.repository}: more than {_MOST_PAGES} pages of answers")

    def _whole(self, pull: _Pull) -> PullRequest:
        """With all of its description, of which lists tell the first 400 characters."""
        found = self.rest.get(self._one(pull.pull_request_id), **{"api-version": _VERSION})
        return self._request(read(_Pull, found, "a pull request"))

    def _request(self, pull: _Pull) -> PullRequest:
        return PullRequest(
            number=pull.pull_request_id,
            branch=pull.source_ref_name.removeprefix(_HEADS),
            text=Text(pull.title, pull.description or ""),
            state=_STATES.get(pull.status, "closed"),
            url=f"{self._repository().web_url}/pullrequest/{pull.pull_request_id}",
            labels=frozenset(label.name for label in pull.labels or ()),
            ended=moment_of(pull.closed_date),
        )

    def _one(self, number: int) -> str:
        return f"{self._root}/pullrequests/{number}"

    def open(self, branch: str, base: str, text: Text, labels: tuple[str, ...]) -> PullRequest:
        body: dict[str, object] = {
            "sourceRefName": f"{_HEADS}{branch}",
            "targetRefName": f"{_HEADS}{base}",
            "title": text.title,
            "description": text.body,
            "labels": [{"name": name} for name in labels],
        }
        made = self._send("POST", f"{self._root}/pullrequests", body)
        if self.rest.dry_run:
            return PullRequest(0, branch, text, "open")
        return self._request(read(_Pull, made, "the new pull request"))

    def edit(self, number: int, text: Text) -> None:
        self._send("PATCH", self._one(number), {"title": text.title, "description": text.body})

    def close(self, number: int) -> None:
        self._send("PATCH", self._one(number), {"status": "abandoned"})

    def comments(self, number: int) -> list[Comment]:
        found = self.rest.get(f"{self._one(number)}/threads", **{"api-version": _VERSION})
        threads = [read(_Thread, item, "a thread") for item in read(_List, found, "a list").value]
        return [
            Comment(thread.id * _APART + said.id, said.content or "")
            for thread in threads
            for said in thread.comments
            if said.comment_type != "system"
        ]

    def comment(self, number: int, body: str) -> None:
        said = {"parentCommentId": 0, "content": body, "commentType": "text"}
        # Open threads may stand in the way of a merge.
        thread: dict[str, object] = {"comments": [said], "status": "closed"}
        self._send("POST", f"{self._one(number)}/threads", thread)

    def edit_comment(self, number: int, comment: int, body: str) -> None:
        thread, place = divmod(comment, _APART)
        where = f"{self._one(number)}/threads/{thread}/comments/{place}"
        self._send("PATCH", where, {"content": body})

    def _send(self, method: str, path: str, body: dict[str, object]) -> Any:
        return self.rest.send(method, f"{path}?api-version={_VERSION}", body)


_STATES: Mapping[str, State] = {"active": "open", "notSet": "open", "completed": "merged"}
