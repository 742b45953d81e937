"""A forge in one process: git's own HTTP backend, and the REST calls of each kind of forge.

Pull requests live in one memory behind several faces. It refuses what the real ones refuse: a wrong
token, an unknown head or base, a second pull request of the same branch, a branch without a
commit of its own, too long a body; and it plays weather: limits, failures, HTML.
"""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlencode, urlsplit

import jwt

TOKEN = "canary-token-5417"
REPOSITORY = "team/cluster"
NOW = "2026-11-23T06:00:00Z"
PAGE = 2
"""So few to a page that every list is paged."""

Reply = tuple[int, Any, dict[str, str]]


@dataclass
class Pull:
    """A pull request; `fork` is set where it comes from another repository, which may be `gone`."""

    number: int
    branch: str
    base: str
    title: str
    body: str
    state: str = "open"
    merged: bool = False
    fork: bool = False
    gone: bool = False
    labels: list[str] = field(default_factory=list)
    comments: list[str] = field(default_factory=list)
    version: int = 0
    """How often it was edited."""
    revised: dict[int, int] = field(default_factory=dict)
    """How often each comment was."""


@dataclass
class App:
    """A GitHub App that is installed on the repository: its id, and its key's public half."""

    id: str
    key: str
    life: timedelta = timedelta(hours=1)
    made: list[str] = field(default_factory=list)


@dataclass
class Standin:
    """The memory of the forge, and what it is to do next."""

    bare: Path
    port: int = 0
    pulls: list[Pull] = field(default_factory=list)
    issues: list[dict[str, Any]] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    default_branch: str = "main"
    tokens: set[str] = field(default_factory=lambda: {TOKEN})
    app: App | None = None
    closed: str = ""
    """What is said to everybody who pushes; empty where pushing is open."""
    weather: Callable[[str, str], Reply | None] = lambda _method, _path: None

    @property
    def root(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def git_url(self) -> str:
        """The address of the repository for git."""
        return f"{self.root}/{REPOSITORY}.git"

    def api(self, kind: str) -> str:
        """The address of one of its APIs."""
        return self.root + _APIS[kind]

    def heads(self) -> dict[str, str]:
        """The branches of the repository, with their commits."""
        said = subprocess.run(
            ["git", "for-each-ref", "--format=%(refname:short) %(objectname)", "refs/heads"],
            cwd=self.bare, capture_output=True, text=True, check=True,
        ).stdout  # fmt: skip
        return dict(line.split() for line in said.splitlines())

    def pull(self, number: int) -> Pull:
        """The pull request with a number."""
        return next(p for p in self.pulls if p.number == number)

    def open_branches(self) -> list[str]:
        """The branches of the open pull requests, sorted."""
        return sorted(p.branch for p in self.pulls if p.state == "open")

    def merge(self, number: int) -> None:
        """Merge as a person does by the button."""
        pull = self.pull(number)
        _git(self.bare, "update-ref", f"refs/heads/{pull.base}", self.heads()[pull.branch])
        pull.state, pull.merged = "closed", True

    def open(self, branch: str, base: str, title: str, body: str) -> Pull | str:
        """Open a pull request, or say why not."""
        heads = self.heads()
        if branch not in heads:
            return "head: invalid"
        if base not in heads:
            return "base: invalid"
        if heads[branch] == heads[base]:
            return f"No commits between {base} and {branch}"
        if any(p.branch == branch and p.state == "open" and not p.fork for p in self.pulls):
            return f"A pull request already exists for team:{branch}"
        if len(body) > 65_536:
            return "body is too long (maximum is 65536 characters)"
        made = Pull(len(self.pulls) + len(self.issues) + 1, branch, base, title, body)
        self.pulls.append(made)
        return made


def _git(folder: Path, *arguments: str) -> str:
    return subprocess.run(
        ["git", *arguments], cwd=folder, capture_output=True, text=True, check=True
    ).stdout


# --- the faces ---------------------------------------------------------------------------------


def github(forge: Standin, method: str, path: str, query: dict[str, str], body: Any) -> Reply:
    """The REST API of GitHub, as far as pull requests, comments and issues go."""
    if path == "":
        about = {"full_name": REPOSITORY, "default_branch": forge.default_branch, "url": _HERE}
        about["html_url"] = f"https://forge.example/{REPOSITORY}"
        return 200, about, {}
    if path == "/pulls" and method == "GET":
        return 200, [_as_github(p) for p in _listed(forge, query)], {}
    if path == "/pulls":
        made = forge.open(body["head"], body["base"], body["title"], body.get("body", ""))
        if isinstance(made, str):
            return 422, {"message": "Validation Failed", "errors": [{"message": made}]}, {}
        return 201, _as_github(made), {}
    if match := re.fullmatch(r"/pulls/(\d+)", path):
        pull = forge.pull(int(match[1]))
        if method == "PATCH":
            _edit(pull, body, "body")
        return 200, _as_github(pull), {}
    if match := re.fullmatch(r"/issues/comments/(\d+)", path):
        return _rewritten(forge.pull(int(match[1]) // _APART), int(match[1]), body)
    if match := re.fullmatch(r"/issues/(\d+)/(comments|labels)", path):
        return _attached(forge.pull(int(match[1])), match[2], method, body)
    return _issues(forge, method, path, body, "number", "body")


_HERE = f"/repos/{REPOSITORY}"


def github_app(forge: Standin, method: str, path: str, signed: str) -> Reply:
    """What an app is asked by its own signature, which is checked as GitHub checks it."""
    assert forge.app is not None
    try:
        claims = jwt.decode(signed, forge.app.key, algorithms=["RS256"], issuer=forge.app.id)
    except jwt.InvalidTokenError as error:
        return 401, {"message": str(error)}, {}
    if claims["exp"] - datetime.now(UTC).timestamp() > 600:
        return 401, {"message": "'Expiration time' claim ('exp') is too far in the future"}, {}
    if path == f"/repos/{REPOSITORY}/installation":
        return 200, {"id": 51}, {}
    if (method, path) == ("POST", "/app/installations/51/access_tokens"):
        forge.app.made.append(f"ghs_{len(forge.app.made)}-canary")
        forge.tokens.add(forge.app.made[-1])
        ends = datetime.now(UTC) + forge.app.life
        return 201, {"token": forge.app.made[-1], "expires_at": f"{ends:%Y-%m-%dT%H:%M:%SZ}"}, {}
    return 404, {"message": "Not Found"}, {}


def _as_github(pull: Pull) -> dict[str, Any]:
    owner = "stranger/cluster" if pull.fork else REPOSITORY
    return {
        "number": pull.number,
        "title": pull.title,
        "body": pull.body,
        "state": pull.state,
        "html_url": f"https://forge.example/{pull.number}",
        "url": f"{_HERE}/pulls/{pull.number}",
        "issue_url": f"{_HERE}/issues/{pull.number}",
        "head": {
            "ref": pull.branch,
            "sha": "0" * 40,
            "repo": None if pull.gone else {"full_name": owner},
        },
        "base": {"ref": pull.base, "sha": "0" * 40, "repo": {"full_name": REPOSITORY}},
        "labels": [{"name": name} for name in pull.labels],
        "merged_at": NOW if pull.merged else None,
        "closed_at": NOW if pull.state == "closed" else None,
        "updated_at": NOW,
    }


def gitlab(forge: Standin, method: str, path: str, query: dict[str, str], body: Any) -> Reply:
    """The REST API of GitLab, likewise."""
    if path == "":
        return (
            200,
            {
                "id": 7,
                "default_branch": forge.default_branch,
                "web_url": f"https://forge.example/{REPOSITORY}",
            },
            {},
        )
    if path == "/merge_requests" and method == "GET":
        state = {"opened": "open", "merged": "merged", "all": "all"}[query["state"]]
        chosen = _listed(forge, {"state": state, "head": query.get("source_branch", "")})
        return 200, [_as_gitlab(p) for p in chosen], {}
    if path == "/merge_requests":
        made = forge.open(
            body["source_branch"], body["target_branch"], body["title"], body["description"]
        )
        if isinstance(made, str):
            return 409, {"message": [made]}, {}
        made.labels = [name for name in body.get("labels", "").split(",") if name]
        return 201, _as_gitlab(made), {}
    if match := re.fullmatch(r"/merge_requests/(\d+)", path):
        pull = forge.pull(int(match[1]))
        if method == "PUT":
            ended = {"state": "closed"} if body.get("state_event") == "close" else {}
            _edit(pull, {**body, **ended}, "description")
        return 200, _as_gitlab(pull), {}
    if match := re.fullmatch(r"/merge_requests/(\d+)/notes/(\d+)", path):
        return _rewritten(forge.pull(int(match[1])), int(match[2]), body)
    if match := re.fullmatch(r"/merge_requests/(\d+)/notes", path):
        return _attached(forge.pull(int(match[1])), "comments", method, body)
    return _issues(forge, method, path, body, "iid", "description")


def _as_gitlab(pull: Pull) -> dict[str, Any]:
    return {
        "id": 1000 + pull.number,
        "iid": pull.number,
        "title": pull.title,
        "description": pull.body,
        "state": "merged" if pull.merged else {"open": "opened"}.get(pull.state, pull.state),
        "source_branch": pull.branch,
        "target_branch": pull.base,
        "source_project_id": 8 if pull.fork else 7,
        "target_project_id": 7,
        "web_url": f"https://forge.example/{pull.number}",
        "labels": pull.labels,
        "merged_at": NOW if pull.merged else None,
        "closed_at": NOW if pull.state == "closed" and not pull.merged else None,
    }


def gitea(forge: Standin, method: str, path: str, query: dict[str, str], body: Any) -> Reply:
    """The REST API of Gitea and Forgejo, likewise."""
    if path == "/labels":
        if method == "POST":
            forge.labels.append(body["name"])
        known = [{"id": n, "name": name} for n, name in enumerate(forge.labels, start=1)]
        return (201, known[-1], {}) if method == "POST" else (200, known, {})
    if path == "/pulls" and method == "POST":
        made = forge.open(body["head"], body["base"], body["title"], body["body"])
        if isinstance(made, str):
            return 409, {"message": made}, {}
        made.labels = [forge.labels[number - 1] for number in body.get("labels", [])]
        return 201, _as_gitea(made, forge.heads()), {}
    if path == "/pulls":
        return 200, [_as_gitea(p, forge.heads()) for p in _listed(forge, query)], {}
    if match := re.fullmatch(r"/pulls/(\d+)", path):
        pull = forge.pull(int(match[1]))
        if method == "PATCH":
            _edit(pull, body, "body")
        return 201, _as_gitea(pull, forge.heads()), {}
    return github(forge, method, path, query, body)


def _as_gitea(pull: Pull, heads: Mapping[str, str]) -> dict[str, Any]:
    shown = _as_github(pull)
    shown["head"]["label"] = pull.branch
    if pull.branch not in heads:  # as Gitea does once the branch is deleted
        shown["head"]["ref"] = f"refs/pull/{pull.number}/head"
    shown["head"]["repo_id"], shown["base"]["repo_id"] = 8 if pull.fork else 7, 7
    shown["merged"] = pull.merged
    shown["labels"] = [{"id": n, "name": name} for n, name in enumerate(pull.labels, start=1)]
    return shown


def azure(forge: Standin, method: str, path: str, query: dict[str, str], body: Any) -> Reply:
    """The REST API of Azure DevOps, likewise: paged by count, comments in threads."""
    if method != "GET" and "api-version" not in query:
        return 400, {"message": "No api-version was supplied for the request"}, {}
    if path == "":
        branch, web = f"refs/heads/{forge.default_branch}", f"https://forge.example/{REPOSITORY}"
        return 200, {"id": "3411ebc1", "defaultBranch": branch, "webUrl": web}, {}
    if path == "/pullrequests" and method == "GET":
        states = {"active": "open", "abandoned": "closed", "completed": "merged", "all": "all"}
        state = states[query.get("searchCriteria.status", "active")]
        head = query.get("searchCriteria.sourceRefName", "").removeprefix("refs/heads/")
        skip = int(query.get("$skip", "0"))
        shown = _listed(forge, {"state": state, "head": head})[skip : skip + PAGE]
        found = [_as_azure(p) | {"description": p.body[:400]} for p in shown]
        return 200, {"value": found, "count": len(found)}, {}
    if path == "/pullrequests":
        return _azure_opened(forge, body)
    if match := re.fullmatch(r"/pullrequests/(\d+)(/.+)?", path):
        return _azure_one(forge.pull(int(match[1])), match[2] or "", method, body)
    return 404, {"message": "Not Found"}, {}


def _azure_opened(forge: Standin, body: Any) -> Reply:
    if len(body["description"]) > 4000:
        return 400, {"message": "Invalid argument value. Parameter name: description"}, {}
    ends = body["sourceRefName"], body["targetRefName"]
    head, base = (end.removeprefix("refs/heads/") for end in ends)
    made = forge.open(head, base, body["title"], body["description"])
    if isinstance(made, str):
        return (409 if "already exists" in made else 400), {"message": made}, {}
    made.labels = [label["name"] for label in body["labels"]]
    return 201, _as_azure(made), {}


def _azure_one(pull: Pull, path: str, method: str, body: Any) -> Reply:
    if path == "/threads":
        return _threads(pull, method, body)
    if match := re.fullmatch(r"/threads/(\d+)/comments/1", path):
        pull.comments[int(match[1]) - 1] = body["content"]
        return 200, {"id": 1, "content": body["content"]}, {}
    if method == "PATCH":
        if len(body.get("description", "")) > 4000:
            return 400, {"message": "Invalid argument value. Parameter name: description"}, {}
        ended = {"state": "closed"} if body.get("status") == "abandoned" else {}
        _edit(pull, {**body, **ended}, "description")
    return 200, _as_azure(pull), {}


def _threads(pull: Pull, method: str, body: Any) -> Reply:
    """A thread for each comment, and one in which the server itself speaks."""
    if method == "POST":
        pull.comments.append(body["comments"][0]["content"])
        return 200, {"id": len(pull.comments)}, {}
    own = {"id": 900, "comments": [{"id": 1, "content": "joined", "commentType": "system"}]}
    found = [
        {"id": n, "comments": [{"id": 1, "content": text, "commentType": "text"}]}
        for n, text in enumerate(pull.comments, start=1)
    ]
    return 200, {"value": [*found, own], "count": len(found) + 1}, {}


def _as_azure(pull: Pull) -> dict[str, Any]:
    status = "completed" if pull.merged else "active" if pull.state == "open" else "abandoned"
    shown = {
        "pullRequestId": pull.number,
        "status": status,
        "title": pull.title,
        "description": pull.body,
        "sourceRefName": f"refs/heads/{pull.branch}",
        "targetRefName": f"refs/heads/{pull.base}",
        "creationDate": NOW,
        "labels": [{"id": name, "name": name, "active": True} for name in pull.labels],
    }
    shown |= {"closedDate": NOW} if pull.state == "closed" else {}
    return shown | ({"forkSource": {"name": "refs/heads/x"}} if pull.fork else {})


def bitbucket(forge: Standin, method: str, path: str, query: dict[str, str], body: Any) -> Reply:
    """The REST API of Bitbucket Cloud, likewise: pages that name the next one, and no labels."""
    if path == "":
        return 200, {"full_name": REPOSITORY, "mainbranch": {"name": forge.default_branch}}, {}
    if path == "/pullrequests" and method == "GET":
        state = {"OPEN": "open", "MERGED": "merged"}.get(query["state"], "all")
        if len(query["state"].split(",")) > 1:
            state = "all"
        head = re.fullmatch(r'source\.branch\.name = "(.*)"', query.get("q", ""))
        found = _listed(forge, {"state": state, "head": head[1] if head else ""})
        return _bitbucket_page(forge, [_as_bitbucket(p) for p in found], path, query)
    if path == "/pullrequests":
        head, base = (body[end]["branch"]["name"] for end in ("source", "destination"))
        made = forge.open(head, base, body["title"], body["description"])
        if isinstance(made, str):
            return 400, {"type": "error", "error": {"message": made}}, {}
        return 201, _as_bitbucket(made), {}
    if match := re.fullmatch(r"/pullrequests/(\d+)(/.+)?", path):
        return _bitbucket_one(
            forge, forge.pull(int(match[1])), match[2] or "", (method, body, query)
        )
    return 404, {"type": "error", "error": {"message": "Not Found"}}, {}


def _bitbucket_one(
    forge: Standin, pull: Pull, path: str, asked: tuple[str, Any, dict[str, str]]
) -> Reply:
    method, body, query = asked
    if path == "/decline":
        pull.state = "closed"
    elif match := re.fullmatch(r"/comments(/\d+)?", path):
        if method == "POST":
            pull.comments.append(body["content"]["raw"])
        elif method == "PUT":
            pull.comments[int(match[1][1:]) % _APART] = body["content"]["raw"]
        said = [
            {"id": _comment_id(pull, n), "content": {"raw": text}, "deleted": False}
            for n, text in enumerate(pull.comments)
        ]
        whole = f"/pullrequests/{pull.number}{path}"
        return (
            _bitbucket_page(forge, said, whole, query) if method == "GET" else (201, said[-1], {})
        )
    elif method == "PUT" and pull.state != "open":
        return 400, {"type": "error", "error": {"message": "pull request is not open"}}, {}
    elif method == "PUT":
        _edit(pull, body, "description")
    return 200, _as_bitbucket(pull), {}


def _bitbucket_page(forge: Standin, found: list[Any], path: str, query: dict[str, str]) -> Reply:
    number = int(query.get("page", "1"))
    page: dict[str, Any] = {"values": found[(number - 1) * PAGE : number * PAGE], "page": number}
    if number * PAGE < len(found):
        pairs = [(k, v) for k, value in query.items() if k != "page" for v in value.split(",")]
        rest = urlencode([*pairs, ("page", number + 1)])
        page["next"] = f"{forge.root}/2.0/repositories/{REPOSITORY}{path}?{rest}"
    return 200, page, {}


def _as_bitbucket(pull: Pull) -> dict[str, Any]:
    owner = "stranger/cluster" if pull.fork else REPOSITORY
    ended = "MERGED" if pull.merged else "DECLINED"
    return {
        "id": pull.number,
        "title": pull.title,
        "description": pull.body,
        "state": "OPEN" if pull.state == "open" else ended,
        "source": {
            "branch": {"name": pull.branch},
            "repository": None if pull.gone else {"full_name": owner},
        },
        "destination": {"branch": {"name": pull.base}, "repository": {"full_name": REPOSITORY}},
        "links": {"html": {"href": f"https://forge.example/{pull.number}"}},
        "updated_on": NOW,
    }


def bitbucket_server(
    forge: Standin, method: str, path: str, query: dict[str, str], body: Any
) -> Reply:
    """The REST API of Bitbucket Data Center: pages by start, and versions that have to be named."""
    project, slug = REPOSITORY.split("/")
    own = {"slug": slug, "project": {"key": project}}
    if path in ("", "/default-branch"):
        return 200, own if path == "" else {"id": f"refs/heads/{forge.default_branch}"}, {}
    if path == "/pull-requests" and method == "GET":
        state = {"OPEN": "open", "MERGED": "merged", "DECLINED": "closed"}.get(
            query["state"], "all"
        )
        head = query.get("at", "").removeprefix("refs/heads/")
        found = _listed(forge, {"state": state, "head": head})
        return 200, _server_page([_as_server(pull, own) for pull in found], query), {}
    if path == "/pull-requests":
        assert body["fromRef"]["repository"] == body["toRef"]["repository"] == own
        head, base = (body[e]["id"].removeprefix("refs/heads/") for e in ("fromRef", "toRef"))
        made = forge.open(head, base, body["title"], body["description"])
        if isinstance(made, str):
            return 404 if "invalid" in made else 409, _server_error(made), {}
        return 201, _as_server(made, own), {}
    if match := re.fullmatch(r"/pull-requests/(\d+)(/.+)?", path):
        pull, rest = forge.pull(int(match[1])), match[2] or ""
        if rest.startswith("/comments") or rest == "/activities":
            return _server_comments(pull, rest, (method, body, query))
        return _server_one(pull, rest, (method, body, query), own)
    return 404, _server_error("Not Found"), {}


_STALE = "you are attempting to modify a pull request based on out-of-date information"


def _server_one(
    pull: Pull, path: str, asked: tuple[str, Any, dict[str, str]], own: dict[str, Any]
) -> Reply:
    method, body, query = asked
    if method != "GET":
        if int(query.get("version", body.get("version", -1))) != pull.version:
            return 409, _server_error(_STALE), {}
        if pull.state != "open":
            return 409, _server_error("this pull request is not open"), {}
        _edit(pull, {"state": "closed"} if path == "/decline" else body, "description")
    return 200, _as_server(pull, own), {}


def _server_comments(pull: Pull, path: str, asked: tuple[str, Any, dict[str, str]]) -> Reply:
    method, body, query = asked
    if method == "POST":
        pull.comments.append(body["text"])
    said = [
        {"id": _comment_id(pull, n), "version": pull.revised.get(n, 0), "text": text}
        for n, text in enumerate(pull.comments)
    ]
    if path == "/activities":
        events = [{"action": "COMMENTED", "comment": one} for one in reversed(said)]
        return 200, _server_page([*events, {"action": "OPENED"}], query), {}
    if method == "POST":
        return 201, said[-1], {}
    place = int(path.rpartition("/")[2]) % _APART
    if method == "PUT":
        if body["version"] != pull.revised.get(place, 0):
            return 409, _server_error(_STALE), {}
        pull.comments[place] = body["text"]
        pull.revised[place] = body["version"] + 1
    return 200, said[place], {}


def _server_page(found: list[Any], query: dict[str, str]) -> dict[str, Any]:
    start = int(query.get("start", "0"))
    last = start + PAGE >= len(found)
    after = {} if last else {"nextPageStart": start + PAGE}
    return {"values": found[start : start + PAGE], "isLastPage": last, "start": start, **after}


def _server_error(message: str) -> dict[str, Any]:
    return {"errors": [{"context": None, "message": message, "exceptionName": "com.example"}]}


def _as_server(pull: Pull, own: dict[str, Any]) -> dict[str, Any]:
    there = {"slug": own["slug"], "project": {"key": "~STRANGER"}} if pull.fork else own
    ended = "MERGED" if pull.merged else "DECLINED"
    shown = {
        "id": pull.number,
        "version": pull.version,
        "title": pull.title,
        "description": pull.body,
        "state": "OPEN" if pull.state == "open" else ended,
        "fromRef": {"id": f"refs/heads/{pull.branch}", "repository": there},
        "toRef": {"id": f"refs/heads/{pull.base}", "repository": own},
        "links": {"self": [{"href": f"https://forge.example/{pull.number}"}]},
    }
    moment = datetime.fromisoformat(NOW).timestamp() * 1000
    return shown | ({} if pull.state == "open" else {"closedDate": int(moment)})


def _listed(forge: Standin, query: dict[str, str]) -> list[Pull]:
    state, head = query.get("state", "open"), query.get("head", "").rpartition(":")[2]
    return [
        pull
        for pull in reversed(forge.pulls)
        if (state in ("all", pull.state) or (state == "merged" and pull.merged))
        and head in ("", pull.branch)
    ]


def _edit(pull: Pull, body: dict[str, Any], text: str) -> None:
    pull.title = body.get("title", pull.title)
    pull.body = body.get(text, pull.body)
    pull.state = body.get("state", pull.state)
    pull.version += 1


def _attached(pull: Pull, what: str, method: str, body: Any) -> Reply:
    if what == "labels":
        pull.labels += body if isinstance(body, list) else body["labels"]  # both are documented
        return 200, [{"name": name} for name in pull.labels], {}
    if method == "POST":
        pull.comments.append(body["body"])
        return 201, {"id": _comment_id(pull, len(pull.comments) - 1), "body": body["body"]}, {}
    found = enumerate(pull.comments)
    return 200, [{"id": _comment_id(pull, n), "body": text} for n, text in found], {}


_APART = 1000
"""A comment has a number of its own, by which it is found without its pull request."""


def _comment_id(pull: Pull, position: int) -> int:
    return pull.number * _APART + position


def _rewritten(pull: Pull, number: int, body: Any) -> Reply:
    pull.comments[number % _APART] = body["body"]
    return 200, {"id": number, "body": body["body"]}, {}


def _issues(forge: Standin, method: str, path: str, body: Any, key: str, text: str) -> Reply:
    def shown(issue: dict[str, Any]) -> dict[str, Any]:
        where: dict[str, Any] = {"url": f"{_HERE}/issues/{issue['number']}"}
        who = issue.get("by", "rightsize")
        where |= {"user": {"login": who, "type": "User"}, "author": {"username": who}}
        return {key: issue["number"], "title": issue["title"], text: issue["body"], **where}

    if path == "/issues" and method == "GET":
        return 200, [shown(issue) for issue in forge.issues], {}
    if path == "/issues":
        number = len(forge.pulls) + len(forge.issues) + 1
        forge.issues.append({"number": number, "title": body["title"], "body": body[text]})
        return 201, shown(forge.issues[-1]), {}
    if match := re.fullmatch(r"/issues/(\d+)", path):
        (issue,) = (i for i in forge.issues if i["number"] == int(match[1]))
        issue |= {"title": body["title"], "body": body[text]}
        return 200, shown(issue), {}
    return 404, {"message": "Not Found"}, {}


_APIS = {
    "github": "/api/v3",
    "gitlab": "/api/v4",
    "gitea": "/api/v1",
    "azure": "/tfs",
    "bitbucket": "/2.0",
    "bitbucket-server": "/rest/api/1.0",
}
_ROOTS = {
    f"/api/v3/repos/{REPOSITORY}": github,
    f"/api/v4/projects/{REPOSITORY}": gitlab,
    "/api/v4/projects/7": gitlab,
    f"/api/v1/repos/{REPOSITORY}": gitea,
    f"/2.0/repositories/{REPOSITORY}": bitbucket,
    f"/rest/api/1.0/projects/{'/repos/'.join(REPOSITORY.split('/'))}": bitbucket_server,
    f"/tfs/{REPOSITORY}/_apis/git/repositories/{REPOSITORY.rpartition('/')[2]}": azure,
}


# --- the server --------------------------------------------------------------------------------


@contextmanager
def serve(forge: Standin) -> Iterator[Standin]:
    """Run the forge on a free port of this machine until the block ends."""
    handler = type("Handler", (_Handler,), {"forge": forge})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    forge.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield forge
    finally:
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    """One connection to the forge."""

    forge: Standin
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def answer(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        content = self.rfile.read(length)
        if self.headers.get("Transfer-Encoding") == "chunked":
            content = _chunks(self.rfile)
        if self.path.startswith(f"/{REPOSITORY}.git/"):
            self._git(content)
        else:
            self._api(content)

    do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = answer  # noqa: N815  # http.server's names

    def _git(self, content: bytes) -> None:
        given = self.headers.get("Authorization", "").removeprefix("Basic ")
        if base64.b64decode(given).decode().rpartition(":")[2] not in self.forge.tokens:
            self._reply(401, b"", {"WWW-Authenticate": 'Basic realm="git"'})
            return
        if self.forge.closed and "git-receive-pack" in self.path:
            self._reply(403, self.forge.closed.encode(), {"Content-Type": "text/plain"})
            return
        parts = urlsplit(self.path)
        done = subprocess.run(
            ["git", "http-backend"],
            input=content,
            capture_output=True,
            check=True,
            env=os.environ
            | {
                "GIT_PROJECT_ROOT": str(self.forge.bare.parents[1]),
                "GIT_HTTP_EXPORT_ALL": "1",
                "PATH_INFO": unquote(parts.path),
                "QUERY_STRING": parts.query,
                "REQUEST_METHOD": self.command,
                "CONTENT_TYPE": self.headers.get("Content-Type", ""),
                "CONTENT_LENGTH": str(len(content)),
                "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
                "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
                "REMOTE_USER": "rightsize",
            },
        )
        head, _, body = done.stdout.partition(b"\r\n\r\n")
        fields = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
        status = int(fields.pop("Status", "200").split()[0])
        self._reply(status, body, fields)

    def _api(self, content: bytes) -> None:
        parts = urlsplit(self.path)
        path = unquote(parts.path)
        self.forge.calls.append(f"{self.command} {path}")
        self.forge.headers.append(dict(self.headers))
        query = {name: ",".join(values) for name, values in parse_qs(parts.query).items()}
        status, found, headers = self._found(path, query, content)
        if isinstance(found, list) and self.command == "GET":
            found, headers = _page(found, query, headers, f"{self.forge.root}{parts.path}")
        body = found.encode() if isinstance(found, str) else json.dumps(found).encode()
        kind = "text/html" if isinstance(found, str) else "application/json"
        self._reply(status, body, {"Content-Type": kind, **headers})

    def _found(self, path: str, query: dict[str, str], content: bytes) -> Reply:
        bad = self.forge.weather(self.command, path)
        if bad is not None:
            return bad
        bearer = self.headers.get("Authorization", "").rpartition(" ")[2]
        if self.forge.app and re.search(r"^/api/v3/(app/|repos/.*/installation$)", path):
            return github_app(self.forge, self.command, path.removeprefix("/api/v3"), bearer)
        if self.headers.get("Authorization", "").startswith("Basic "):
            bearer = base64.b64decode(bearer).decode().rpartition(":")[2]
        if path.startswith("/tfs/") and bearer not in self.forge.tokens:
            return 203, "<html>Sign in</html>", {}
        if not self.forge.tokens & {self.headers.get("PRIVATE-TOKEN", ""), bearer}:
            return 401, {"message": "Bad credentials"}, {}
        if re.fullmatch(r"/api/v\d/user", path):
            return 200, {"login": "rightsize", "username": "rightsize", "id": 1}, {}
        given = json.loads(content) if content else {}
        for root, face in _ROOTS.items():
            if path.startswith(root):
                return face(self.forge, self.command, path.removeprefix(root), query, given)
        return 404, {"message": "Not Found"}, {}

    def _reply(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if "Content-Length" not in headers:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _page(
    found: list[Any], query: dict[str, str], headers: dict[str, str], path: str
) -> tuple[list[Any], dict[str, str]]:
    number = int(query.get("page", "1"))
    shown = found[(number - 1) * PAGE : number * PAGE]
    if number * PAGE < len(found):
        rest = "&".join(f"{k}={v}" for k, v in query.items() if k != "page")
        headers = {**headers, "Link": f'<{path}?{rest}&page={number + 1}>; rel="next"'}
    return shown, headers


def _chunks(stream: Any) -> bytes:
    found = b""
    while size := int(stream.readline().strip() or b"0", 16):
        found += stream.read(size)
        stream.readline()
    stream.readline()
    return found
