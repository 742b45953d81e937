"""The remote of a checkout: whose its branches are, and pushing to it without overwriting anyone.

Nothing of the checkout moves: no working tree, no index, no branch. What is fetched lies below
``refs/rightsize/``, commits are written from the base, and a push names the commit that it
replaces, so that what somebody pushed in between makes it fail.
"""

from __future__ import annotations

import shlex
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from analyzer.errors import GitOpsError
from analyzer.forge.protocol import ForgeError
from analyzer.forge.rest import Secret
from analyzer.gitops.land.diff import Author, Edits
from analyzer.gitops.land.worktree import NETWORK_TIMEOUT, git, write_commit, write_tree

_MINE = "refs/rightsize"
_TIP = f"{_MINE}/files"
"""What was fetched last of a branch that holds files of ours."""
_PROPOSED = f"{_MINE}/proposed/"
"""Below this the remote itself remembers what was proposed, after the branch is gone as well."""
_TRAILER = "Rightsize-Digest: "
_TRIES = 3


@dataclass(frozen=True, slots=True)
class Branch:
    """A branch on the remote.

    `ours` says that its last commit is one that an earlier run wrote, and nobody has touched
    since; then `digest` names what it proposes and `parent` what it stands on.
    """

    tip: str
    ours: bool
    digest: str = ""
    parent: str = ""


@dataclass(frozen=True, slots=True)
class Note:
    """What was kept about a branch, and whether the base has its change by now."""

    message: str
    merged: bool


@dataclass(frozen=True)
class Access:
    """How git gets in: a token for HTTPS, or a key for SSH; without either, git's own ways.

    The token is for the host of `url` and no other, wherever a redirect, a second address of the
    remote or a filter of the repository would lead git.
    """

    url: str = ""
    user: str = "x-access-token"
    token: Secret | None = None
    ca_file: str | None = None
    ssh_key: str | None = None
    known_hosts: str | None = None
    time_limit: float = NETWORK_TIMEOUT
    """Seconds for each call that goes there."""

    @contextmanager
    def variables(self) -> Iterator[dict[str, str]]:
        """The environment for git; a token lies in a file that only this user can read."""
        found = self._ssh()
        if self.ca_file is not None:
            found["GIT_SSL_CAINFO"] = str(Path(self.ca_file).absolute())
        if self.token is None:
            yield found
            return
        secret = self.token.read()
        with tempfile.TemporaryDirectory(prefix="rightsize-") as folder:
            answer = Path(folder) / "answer"
            answer.touch(0o600)
            text = f"username={self.user}\npassword={secret}\n"
            answer.write_text(text, encoding="ascii")
            yield found | {
                "GIT_CONFIG_COUNT": "2",
                # A helper of this machine would be asked first, and told what was used.
                "GIT_CONFIG_KEY_0": "credential.helper",
                "GIT_CONFIG_VALUE_0": "",
                "GIT_CONFIG_KEY_1": f"credential.{_host(self.url)}.helper",
                "GIT_CONFIG_VALUE_1": f"!f() {{ test $1 != get || cat {shlex.quote(str(answer))};"
                " }; f",
                "GIT_ASKPASS": "",  # nobody else is asked either
            }

    def _ssh(self) -> dict[str, str]:
        if self.ssh_key is None and self.known_hosts is None:
            return {}  # the caller's variables and settings, such as core.sshCommand, hold
        command = ["ssh", "-o", "BatchMode=yes"]
        if self.ssh_key is not None:
            command += ["-i", str(Path(self.ssh_key).absolute()), "-o", "IdentitiesOnly=yes"]
        if self.known_hosts is not None:
            hosts = str(Path(self.known_hosts).absolute())
            command += ["-o", f"UserKnownHostsFile={hosts}", "-o", "StrictHostKeyChecking=yes"]
        return {"GIT_SSH_COMMAND": shlex.join(command)}


def _host(url: str) -> str:
    """Scheme, host and port of an address, as git compares them."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


@dataclass(frozen=True)
class Remote:
    """The remote `name` of the checkout at `root`, as `author` works with it."""

    root: Path
    name: str
    author: Author
    access: Access = field(default_factory=Access)

    def url(self) -> str:
        """Its address. Raises `GitOpsError` where the checkout has no such remote."""
        try:
            return git(self.root, "remote", "get-url", "--", self.name).strip()
        except GitOpsError as error:
            raise GitOpsError(
                f"{self.root}: has no remote {self.name!r}; add it, or set forge.remote"
            ) from error

    def fetch(self, base: str, prefix: str) -> tuple[str, dict[str, Branch]]:
        """The commit at the head of `base`, and the remote's branches that start with `prefix`."""
        git(self.root, "check-ref-format", "--branch", base)
        heads = f"+refs/heads/{prefix}*:{_MINE}/heads/{prefix}*"
        with self.access.variables() as variables:
            self._fetch(variables, f"+refs/heads/{base}:{_MINE}/base")
            some = bool(self._heads(prefix, variables))  # a depth of nothing is a failure to git
            if some:
                # What is gone there goes here first: `a` would be in the way of `a/b`.
                self._fetch(variables, heads, "--prune", *self._depth("HEAD", f"{_MINE}/base"))
        found = git(self.root, "rev-parse", "--verify", f"{_MINE}/base^{{commit}}").strip()
        fetched = self._fetched(prefix) if some else []
        return found, {branch: self._branch(tip) for branch, tip in fetched}

    def _fetched(self, prefix: str) -> list[tuple[str, str]]:
        """The branches that start with `prefix` and their commits, as just fetched."""
        where = f"{_MINE}/heads/"
        shape = "--format=%(objectname) %(refname)"
        said = git(self.root, "for-each-ref", shape, f"{where}{prefix}")
        pairs = (line.split(" ", 1) for line in said.splitlines())
        return [(name.removeprefix(where), tip) for tip, name in pairs]

    def _depth(self, *known: str, needed: int = 2) -> list[str]:
        """In a shallow clone two commits do, ours and the one below, on top of what is `known`.

        A depth also cuts off what is there, so it must reach below the oldest commit of `known`,
        and a whole clone must never hear of one.
        """
        if git(self.root, "rev-parse", "--is-shallow-repository").strip() != "true":
            return []
        there = int(git(self.root, "rev-list", "--count", *known, "--")) if known else 0
        return [f"--depth={there + needed}"]

    def listed(self, prefix: str) -> dict[str, str]:
        """The commits of the remote's branches that start with `prefix`."""
        with self.access.variables() as variables:
            return self._heads(prefix, variables)

    def default_branch(self) -> str:
        """The branch that the remote's HEAD points to."""
        with self.access.variables() as variables:
            said = self._there(variables, "ls-remote", "--symref", "--", self.name, "HEAD")
        for line in said.splitlines():
            if line.startswith("ref: refs/heads/"):
                return line.removeprefix("ref: refs/heads/").partition("\t")[0]
        raise GitOpsError(f"the remote {self.name} names no default branch; set forge.base")

    def _heads(self, prefix: str, variables: Mapping[str, str]) -> dict[str, str]:
        what = f"refs/heads/{prefix}*"
        said = self._there(variables, "ls-remote", "--heads", "--", self.name, what)
        pairs = (line.split("\t", 1) for line in said.splitlines() if "\t" in line)
        return {name.removeprefix("refs/heads/"): tip for tip, name in pairs}

    def _fetch(self, variables: Mapping[str, str], what: str, *more: str) -> None:
        quiet = ["--quiet", "--no-tags", "--no-recurse-submodules", "--no-write-fetch-head"]
        # Without a refmap refs/remotes would move too, and with it what a person's own
        # `push --force-with-lease` takes for what they have seen.
        self._there(variables, "fetch", *quiet, "--refmap=", *more, "--", self.name, what)

    def _there(self, variables: Mapping[str, str], *arguments: str) -> str:
        """What git prints that asks the remote."""
        return git(self.root, *arguments, extra=variables, limit=self.access.time_limit)

    def remember(self, branch: str, message: str) -> None:
        """Keep `message` about what `branch` proposes, on the remote and beside its branches."""
        with self.access.variables() as variables:
            tip = self._heads(branch, variables)[branch]
            tree = git(self.root, "rev-parse", f"{tip}^{{tree}}").strip()
            note = write_commit(self.root, tree, tip, message, self.author)
            what = f"+{note}:{_PROPOSED}{branch}"
            self._pushed(variables, "it will not be known when it is deleted", what)

    def remembered(self, prefix: str) -> dict[str, Note]:
        """What was kept about the branches that start with `prefix`, by branch.

        The base must have been fetched: it tells what was merged.
        """
        where = f"{_PROPOSED}{prefix}"
        with self.access.variables() as variables:
            if not self._there(variables, "ls-remote", "--", self.name, f"{where}*"):
                return {}
            depth = self._depth("HEAD", f"{_MINE}/base", needed=3)
            self._fetch(variables, f"+{where}*:{where}*", "--prune", *depth)
        said = git(self.root, "for-each-ref", "--format=%(objectname) %(refname)", where)
        pairs = (line.split(" ", 1) for line in said.splitlines())
        return {name.removeprefix(_PROPOSED): self._note(tip) for tip, name in pairs}

    def _note(self, tip: str) -> Note:
        message = git(self.root, "log", "-1", "--format=%B", tip, "--").rstrip("\n")
        # The base holds it, or another commit that makes the same change: picked, or squashed.
        with self.access.variables() as variables:  # a partial clone gets what it lacks
            said = git(self.root, "cherry", f"{_MINE}/base", f"{tip}^", extra=variables)
        return Note(message, not any(line.startswith("+") for line in said.splitlines()))

    def _branch(self, tip: str) -> Branch:
        shape = "%ae%n%ce%n%P%n%B"
        author, committer, parents, message = git(
            self.root, "log", "-1", f"--format={shape}", tip, "--"
        ).split("\n", 3)
        digest = next(
            (line[len(_TRAILER) :] for line in message.split("\n") if line.startswith(_TRAILER)),
            "",
        )
        mine = author == committer == self.author.email and bool(digest) and " " not in parents
        return Branch(tip, True, digest, parents) if mine else Branch(tip, False)

    def moved_under(self, branch: Branch, base: str, files: Iterable[str]) -> bool:
        """Whether the base has other text in one of `files` than the commit `branch` stands on."""
        try:
            said = git(
                self.root, "diff", "--no-ext-diff", "--no-textconv", "--no-renames",
                "--name-only", "-z", branch.parent, base,
                "--", *(f":(literal){file}" for file in files),
            )  # fmt: skip
        except GitOpsError:
            return True  # the commit it stands on is gone: made anew, it stands on what there is
        return bool(said)

    def write(self, base: str, message: str, digest: str, edits: Edits) -> str:
        """A commit of `edits` on top of the commit `base`, on no branch yet; its id."""
        with self.access.variables() as variables:
            tree = write_tree(self.root, base, edits, variables)
        text = f"{message.rstrip()}\n\n{_TRAILER}{digest}\n"
        return write_commit(self.root, tree, base, text, self.author)

    def file(self, branch: str, path: str) -> bytes:
        """What the file `path` holds at the tip of `branch`. Raises `GitOpsError` without one."""
        self._fetch_tip(branch)
        text = git(self.root, "cat-file", "blob", f"{_TIP}:{path}")
        return text.encode("utf-8", "surrogateescape")

    def put_files(
        self, branch: str, files: Mapping[str, Path | str], message: str, *, alone: bool = False
    ) -> str:
        """Add `files`, on the disk or as text and by their path, to `branch`; its new commit.

        The branch is made where there is none, with no history but its own; with `alone` these
        files are all it then holds, and that history is one commit. Where another run was faster
        it is looked at again. Raises `ForgeError` for a branch of a person by that name.
        """
        old = self.listed(branch).get(branch)
        for _ in range(_TRIES):
            if old is not None:
                self._expect_ours(branch, old)
            commit = self._with_files(old, files, message, alone=alone)
            if commit == old:
                return commit
            try:
                self.push(branch, commit, old)
            except ForgeError:
                seen, old = old, self.listed(branch).get(branch)
                if seen == old:
                    raise
            else:
                return commit
        raise ForgeError(f"{branch} was not pushed: others were faster {_TRIES} times; run again")

    def _fetch_tip(self, branch: str) -> None:
        with self.access.variables() as variables:
            # In a partial clone too: what is read here is wanted whole.
            whole = ["--no-filter", *self._depth()]
            self._fetch(variables, f"+refs/heads/{branch}:{_TIP}", *whole)

    def _expect_ours(self, branch: str, tip: str) -> None:
        self._fetch_tip(branch)
        if not self._branch(tip).ours:
            raise ForgeError(f"the branch {branch} is a person's; nothing is added to it")

    def _with_files(
        self, old: str | None, files: Mapping[str, Path | str], message: str, *, alone: bool
    ) -> str:
        """A commit of `files`, on top of the commit `old` and what it holds unless `alone`; its id.

        `old` itself where it holds all of that already.
        """
        parent = None if alone else old
        with tempfile.TemporaryDirectory(prefix="rightsize-") as folder:
            extra = {"GIT_INDEX_FILE": str(Path(folder) / "index")}
            git(self.root, "read-tree", *([parent] if parent else ["--empty"]), extra=extra)
            for path, file in sorted(files.items()):
                entry = f"100644,{self._blob(file)},{path}"
                git(self.root, "update-index", "--add", "--cacheinfo", entry, extra=extra)
            tree = git(self.root, "write-tree", "--missing-ok", extra=extra).strip()
        if old is not None and tree == git(self.root, "rev-parse", f"{old}^{{tree}}").strip():
            return old
        text = f"{message}\n\n{_TRAILER}files\n"
        return write_commit(self.root, tree, parent, text, self.author)

    def _blob(self, file: Path | str) -> str:
        """The id of what a file on the disk, or a text, holds."""
        if isinstance(file, str):
            return git(self.root, "hash-object", "-w", "--stdin", given=file).strip()
        where = ["--no-filters", "--", str(file.resolve())]
        return git(self.root, "hash-object", "-w", *where).strip()

    def push(self, branch: str, commit: str, old: str | None) -> None:
        """Let `branch` be `commit` where it is still `old` (None: where there is none yet)."""
        self._push(branch, old, f"{commit}:refs/heads/{branch}")

    def delete(self, branch: str, old: str) -> None:
        """Delete `branch` where it is still the commit `old`."""
        self._push(branch, old, f":refs/heads/{branch}")

    def _push(self, branch: str, old: str | None, what: str) -> None:
        git(self.root, "check-ref-format", "--branch", branch)
        lease = f"--force-with-lease=refs/heads/{branch}:{old or ''}"
        with self.access.variables() as variables:
            self._pushed(variables, f"{branch} was not pushed", what, lease)

    def _pushed(self, variables: Mapping[str, str], failure: str, what: str, *more: str) -> None:
        quiet = ["--quiet", "--no-verify", "--no-follow-tags", "--recurse-submodules=no"]
        try:
            self._there(variables, "push", *quiet, *more, "--", self.name, what)
        except GitOpsError as error:
            raise ForgeError(f"{failure}: {_why(str(error))}") from error


def _why(said: str) -> str:
    if "stale info" in said or "fetch first" in said:
        return "somebody else pushed to it meanwhile; the next run looks again"
    if "protected" in said.lower() or "hook declined" in said.lower():
        return f"the server refuses it ({said[-160:]})"
    return said
