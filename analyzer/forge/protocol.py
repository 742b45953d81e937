"""What every forge can do: a Protocol, and the few nouns that it speaks in."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, Protocol, runtime_checkable

from analyzer.errors import AnalyzerError

State = Literal["open", "merged", "closed"]


class ForgeError(AnalyzerError):
    """A forge could not be reached, refused, or answered something that cannot be used."""


class RefusedError(ForgeError):
    """The forge understood, and will not: it exists already, is protected, is not valid."""


@dataclass(frozen=True, slots=True)
class Text:
    """Title and body of a pull request or an issue; the body is Markdown."""

    title: str
    body: str


@dataclass(frozen=True, slots=True)
class PullRequest:
    """A pull request as the forge knows it; GitLab calls it a merge request.

    `ended` is when it was merged or closed, None while it is open.
    """

    number: int
    branch: str
    text: Text
    state: State
    url: str = ""
    labels: frozenset[str] = frozenset()
    ended: datetime | None = None


@dataclass(frozen=True, slots=True)
class Comment:
    """A comment on a pull request."""

    number: int
    body: str


@dataclass(frozen=True, slots=True)
class Issue:
    """An issue, for the dashboard."""

    number: int
    text: Text
    url: str = ""


@dataclass(frozen=True, slots=True)
class Request:
    """One call that changes something on the forge, as a dry run shows it."""

    method: str
    url: str
    body: dict[str, object] = field(default_factory=dict)


@runtime_checkable
class Forge(Protocol):
    """Pull requests and one issue of one repository.

    Every method raises `ForgeError` with one sentence. What only reads may be repeated; what
    creates is sent once, since the answer to a lost request is unknown: the next run looks.
    """

    name: str
    longest_body: int
    """How many characters a body may have."""

    def default_branch(self) -> str:
        """The branch that pull requests go to unless the settings say otherwise."""
        ...

    def open_requests(self, prefix: str) -> list[PullRequest]:
        """The open pull requests from branches of this very repository that start with `prefix`."""
        ...

    def merged_since(self, prefix: str, moment: datetime) -> list[PullRequest]:
        """Those from branches that start with `prefix` that were merged after `moment`."""
        ...

    def latest(self, branch: str) -> PullRequest | None:
        """The newest pull request from `branch`, in whatever state; None where there was none."""
        ...

    def open(self, branch: str, base: str, text: Text, labels: tuple[str, ...]) -> PullRequest:
        """Open a pull request from `branch` to `base`."""
        ...

    def edit(self, number: int, text: Text) -> None:
        """Replace title and body."""
        ...

    def close(self, number: int) -> None:
        """Close without merging."""
        ...

    def comments(self, number: int) -> list[Comment]:
        """All comments, oldest first."""
        ...

    def comment(self, number: int, body: str) -> None:
        """Add a comment."""
        ...

    def edit_comment(self, number: int, comment: int, body: str) -> None:
        """Replace the text of a comment of the pull request."""
        ...

    def picture(self, commit: str, path: str) -> str | None:
        """Where a browser that may see the repository gets the file `path` of `commit`."""
        ...

    def find_issue(self, marker: str) -> Issue | None:
        """The oldest open issue of our own whose body holds `marker`."""
        ...

    def write_issue(self, number: int | None, text: Text) -> Issue:
        """Create an issue, or replace title and body of the one with `number`."""
        ...


class Plain:
    """What a forge can do that has no issues beside its pull requests, and shows no pictures."""

    def picture(self, commit: str, path: str) -> str | None:
        """None: nobody could be shown it."""
        return None

    def find_issue(self, marker: str) -> Issue | None:
        """None: there are no issues."""
        return None

    def write_issue(self, number: int | None, text: Text) -> Issue:
        """Nothing is written."""
        return Issue(0, text)


def keep_comment(forge: Forge, number: int, marker: str, body: str) -> None:
    """Let one comment that starts with `marker` say `body`: replaced where it is there, else added.

    A comment of somebody else that starts alike cannot be replaced, and is passed over.
    """
    text = f"{marker}\n{body}"
    for found in reversed([c for c in forge.comments(number) if c.body.startswith(marker)]):
        if found.body.splitlines() == text.splitlines():
            return
        with suppress(RefusedError):
            forge.edit_comment(number, found.number, text)
            return
    forge.comment(number, text)
