"""Edits written into a working tree or onto a branch, all of them or none."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Literal

from analyzer.errors import GitOpsError
from analyzer.escape import printable
from analyzer.gitops.land.diff import Author, Edits, blob_id
from analyzer.gitops.reach.checkout import git_environment
from analyzer.gitops.reach.repository import inside

_SHA256 = 64
"""Characters of a name in a repository that names by SHA-256."""
_TIMEOUT = 60.0
"""Seconds for what asks nobody else."""
NETWORK_TIMEOUT = 900.0
"""Seconds for a clone, a fetch or a push, where nothing else is said."""
_SAFE = (
    *("-c", "core.fsmonitor=false"),
    *("-c", "core.hooksPath=/dev/null"),
    *("-c", "log.showSignature=false"),  # it would stand before what a format asks for
)


_MADE = "refs/rightsize/made"
"""Below this the commits are remembered that branches were made with."""
_DIGEST = re.compile(r"<!-- rightsize:([0-9a-f]{32}) -->")


class HandsOffError(GitOpsError):
    """A branch that a person has a hand in, and that is left alone."""


class RejectedError(HandsOffError):
    """A branch that a person has deleted: their answer to the proposal."""


def digest_of(message: str) -> str | None:
    """The hidden name of what a commit proposes; None where it has none."""
    found = _DIGEST.search(message)
    return found.group(1) if found else None


def apply_to_worktree(repository: Path, edits: Edits, *, force: bool = False) -> list[Path]:
    """Write `edits` into the working tree at `repository`; the files written, sorted.

    Every target is checked before the first is written: it must lie inside the repository's real
    path with no symbolic link on the way, hold exactly the text the edit was made from and, unless
    `force`, have no uncommitted changes. Each file is replaced in one step and keeps its mode.
    Raises `GitOpsError` naming the file, with nothing written.
    """
    root = repository.resolve()
    targets = {file: _target(root, file, before) for file, (before, _) in sorted(edits.items())}
    if not force:
        _refuse_uncommitted(root, list(targets))
    written: list[Path] = []
    for file, path in targets.items():
        try:
            _replace(path, edits[file][1])
        except OSError as err:
            _undo(edits, targets, written)
            raise GitOpsError(
                f"{path} could not be written ({err.strerror}); the files before it were put back"
            ) from err
        written.append(path)
    return written


def _target(root: Path, file: str, before: str) -> Path:
    path = root.joinpath(*_parts(file))
    folder = root
    for part in _parts(file):
        folder = folder / part
        if folder.is_symlink():
            raise GitOpsError(f"expected a plain file at {file}, found the symbolic link {folder}")
    if not inside(root, path) or not path.is_file():
        raise GitOpsError(f"expected the file {file} inside {root}, found none there")
    if path.read_bytes() != before.encode("utf-8"):
        raise GitOpsError(f"{file} changed since it was read; run again on the present state")
    return path


def _parts(file: str) -> tuple[str, ...]:
    path = PurePosixPath(file)
    if path.is_absolute() or ".." in path.parts or ".git" in path.parts or not path.parts:
        raise GitOpsError(f"expected a path inside the repository, found {file!r}")
    return path.parts


def _replace(path: Path, text: str) -> None:
    mode = path.stat().st_mode & 0o7777
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(text.encode("utf-8"))
        temporary.chmod(mode)
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def _undo(edits: Edits, targets: Mapping[str, Path], written: Sequence[Path]) -> None:
    for file, path in targets.items():
        if path in written:
            # The disk that just failed may fail again; the first error is the one to report.
            with contextlib.suppress(OSError):
                _replace(path, edits[file][0])


def _refuse_uncommitted(root: Path, files: Sequence[str]) -> None:
    if not files or not _is_work_tree(root):
        return
    changed = uncommitted(root, files)
    if changed:
        raise GitOpsError(
            f"{changed[0]} has uncommitted changes; commit or discard them, or say --allow-dirty"
        )


def expect_work_tree(folder: Path) -> None:
    """Raise `GitOpsError` where `folder` is no work tree of git: nothing there could be undone."""
    if not _is_work_tree(folder.resolve()):
        raise GitOpsError(
            f"expected a git checkout, found none at {folder}: what is written there could not be "
            "undone; say --allow-dirty to write all the same"
        )


def uncommitted(root: Path, files: Sequence[str]) -> list[str] | None:
    """Which of `files` differ from the last commit, sorted; None outside of a work tree.

    Contents are compared here and not by ``git status``, which would run whatever filter the
    repository's configuration names. Line endings that git would put right are no difference.
    """
    if not _is_work_tree(root):
        return None
    staged = _entries(git(root, "ls-files", "--stage", "-z"))
    try:
        committed = _entries(git(root, "ls-tree", "-r", "-z", "HEAD", "--", "."))
    except GitOpsError:
        committed = {}  # there is no commit yet
    ignored = git(root, "ls-files", "--others", "--ignored", "--exclude-standard", "-z")
    unknown = set(ignored.split("\0"))
    return sorted(
        file
        for file in files
        if (file not in unknown and (file not in staged or committed.get(file) != staged[file]))
        or (file in staged and not _holds(root / file, staged[file]))
    )


def _entries(listed: str) -> dict[str, str]:
    """The ids of blobs by path, of what `ls-files --stage` or `ls-tree` prints."""
    found = {}
    for entry in filter(None, listed.split("\0")):
        about, _, path = entry.partition("\t")
        words = about.split()
        found[path] = words[2] if words[1] == "blob" else words[1]
    return found


def _holds(path: Path, blob: str) -> bool:
    """Whether a file has the content of a blob, in either kind of line ending."""
    try:
        content = path.read_bytes()
    except OSError:
        return False
    unix = content.replace(b"\r\n", b"\n")
    algorithm: Literal["sha1", "sha256"] = "sha256" if len(blob) == _SHA256 else "sha1"
    return blob in (blob_id(content, algorithm), blob_id(unix, algorithm))


def git_version() -> str:
    """The version of git, such as ``git 2.39.5``. Raises `GitOpsError` where there is none."""
    return git(Path("/"), "version").strip().replace(" version", "")


def _is_work_tree(root: Path) -> bool:
    return any((folder / ".git").exists() for folder in (root, *root.parents))


def commit_to_branch(
    repository: Path, branch: str, message: str, edits: Edits, *, author: Author | None = None
) -> str:
    """Commit `edits` as `branch`, on top of what is shared of HEAD; the new commit's id.

    That is where HEAD leaves the remote's own branch as last fetched, so that commits of a person
    that are not there yet do not come along; HEAD itself where no such branch is known.
    Working tree and index stay untouched. A branch of that name, here or on a remote as last
    fetched, is moved only when it was made by an earlier run, that is when it is one commit on top
    of an ancestor of that. What was made is remembered, so that one that a person has deleted is
    not made again for the same proposal.
    Raises `HandsOffError` where a person has worked on it, `RejectedError` where one has deleted
    it, and `GitOpsError` where git refuses.
    """
    root = repository.resolve()
    git(root, "check-ref-format", "--branch", branch)
    base = shared_base(root)
    reference = f"refs/heads/{branch}"
    old = _reference(root, reference)
    author = author or Author()
    for tip in (old, *_remote_tips(root, branch)):
        if tip is not None:
            _refuse_others_work(root, branch, tip, base, author)
    made = f"{_MADE}/{branch}"
    if old is None:
        _refuse_what_was_deleted(root, branch, _reference(root, made), message)
    tree = write_tree(root, base, edits)
    if old is not None and _stands(root, old) == (base, tree):
        return old  # the same content on the same base: nothing to move, no new date
    _refuse_where_checked_out(root, branch, reference)
    commit = write_commit(root, tree, base, message, author)
    git(root, "update-ref", reference, commit, old or "")
    git(root, "update-ref", made, commit)
    return commit


def shared_base(root: Path) -> str:
    """The last commit of HEAD's that the remote's own branch has as well; else HEAD's own."""
    head = git(root, "rev-parse", "--verify", "HEAD^{commit}").strip()
    upstream = _reference(root, "refs/remotes/origin/HEAD")
    if upstream is None:
        return head
    try:
        return git(root, "merge-base", head, upstream).split()[0]
    except GitOpsError:
        return head  # two histories, or a clone too shallow to see where they meet


def _refuse_where_checked_out(root: Path, branch: str, reference: str) -> None:
    """Stay away from a branch that a work tree shows: its files would then look like edits."""
    where = git(root, "for-each-ref", "--format=%(worktreepath)", reference).strip()
    if where:
        raise HandsOffError(f"the branch {branch} is checked out at {where}: hands off")


def _remote_tips(root: Path, branch: str) -> list[str]:
    """Where a branch stands on each remote, as last fetched."""
    return git(root, "for-each-ref", "--format=%(objectname)", f"refs/remotes/*/{branch}").split()


def _refuse_what_was_deleted(root: Path, branch: str, made: str | None, message: str) -> None:
    """Stay away from a branch that was made for the very same proposal and is gone since."""
    if made is None:
        return
    told = digest_of(git(root, "log", "-1", "--format=%B", made, "--"))
    if told is not None and told == digest_of(message):
        raise RejectedError(
            f"the branch {branch} was deleted: taken as a no, until its numbers move"
        )


def write_tree(
    root: Path, base: str, edits: Edits, variables: Mapping[str, str] | None = None
) -> str:
    """The tree of the commit `base` with `edits` in it; its id. Nothing that is seen moves.

    Paths of `edits` count from `root`, which may lie below the top of the repository. With
    `variables` for its environment git gets what a partial clone lacks of them. Raises
    `GitOpsError` where `base` does not hold the text that an edit was made from.
    """
    with tempfile.TemporaryDirectory(prefix="rightsize-") as folder:
        extra = {**(variables or {}), "GIT_INDEX_FILE": str(Path(folder) / "index")}
        git(root, "read-tree", base, extra=extra)
        prefix = git(root, "rev-parse", "--show-prefix").strip()
        for file, (before, after) in sorted(edits.items()):
            _stage(root, prefix + file, (before, after), extra)
        # In a partial clone what is not edited may be absent, and is not fetched for this.
        return git(root, "write-tree", "--missing-ok", extra=extra).strip()


def write_commit(root: Path, tree: str, parent: str | None, message: str, author: Author) -> str:
    """A commit of `tree` on top of `parent` (None: the first one), on no branch yet; its id.

    Signed where git is set up to sign commits.
    """
    signs = git(root, "config", "--type=bool", "--default=false", "commit.gpgSign").strip()
    sign = ["-S"] if signs == "true" else []
    identity = _identity(author)
    below = ["-p", parent] if parent else []
    return git(root, "commit-tree", *sign, tree, *below, extra=identity, given=message).strip()


def _stage(root: Path, path: str, texts: tuple[str, str], extra: Mapping[str, str]) -> None:
    before, after = texts
    where = f":(top,literal){path}"
    entry = git(root, "ls-files", "--stage", "--full-name", "--", where, extra=extra)
    if not entry:
        raise GitOpsError(f"expected {path} in the last commit, found it is not tracked")
    mode, blob = entry.split()[:2]
    committed = git(root, "cat-file", "blob", blob, extra=extra)
    if mode != "120000" and committed == _unix(before) != before:
        # The checkout turned line endings around, and a commit turns them back.
        before, after = committed, _unix(after)
    if mode == "120000" or committed != before:
        raise GitOpsError(
            f"{path} differs from the commit that its branch would stand on; commit, discard or "
            "share that first"
        )
    new = git(root, "hash-object", "-w", "--stdin", given=after).strip()
    git(root, "update-index", "--cacheinfo", f"{mode},{new},{path}", extra=extra)


def _unix(text: str) -> str:
    return text.replace("\r\n", "\n")


def _reference(root: Path, reference: str) -> str | None:
    found = git(root, "for-each-ref", "--format=%(objectname)", reference).strip()
    return found or None


def _stands(root: Path, commit: str) -> tuple[str, str]:
    """The parent and the tree of a commit; its own id where it has no parent."""
    lines = git(root, "rev-parse", f"{commit}^@", f"{commit}^{{tree}}").split()
    return (lines[0] if len(lines) == 2 else commit, lines[-1])


def _refuse_others_work(root: Path, branch: str, tip: str, base: str, author: Author) -> None:
    ahead = git(root, "rev-list", "--count", f"{base}..{tip}").strip()
    if ahead not in ("0", "1"):
        raise HandsOffError(
            f"the branch {branch} has {ahead} commits: a person works on it, hands off"
        )
    people = git(root, "log", "-1", "--format=%ae%n%ce", tip, "--").split("\n")
    strangers = [address for address in people if address and address != author.email]
    if ahead == "1" and strangers:
        raise HandsOffError(
            f"the commit of the branch {branch} is by {strangers[0]}: hands off a person's work"
        )


def _identity(author: Author) -> dict[str, str]:
    return {
        "GIT_AUTHOR_NAME": author.name,
        "GIT_AUTHOR_EMAIL": author.email,
        "GIT_COMMITTER_NAME": author.name,
        "GIT_COMMITTER_EMAIL": author.email,
    }


def git(
    root: Path,
    *arguments: str,
    extra: Mapping[str, str] | None = None,
    given: str = "",
    limit: float = _TIMEOUT,
) -> str:
    """What git prints when run in `root` for at most `limit` seconds, with `given` on its input.

    No hook of the repository runs. Raises `GitOpsError` with the end of what git complained about.
    """
    program = shutil.which("git")
    if program is None:
        raise GitOpsError("git is needed for this and was not found on PATH; install it")
    try:
        done = subprocess.run(
            [program, *_SAFE, *arguments],
            cwd=root,
            env=git_environment(extra),
            input=given.encode("utf-8"),
            capture_output=True,
            timeout=limit,
            check=False,
        )
    except subprocess.TimeoutExpired as err:
        more = "" if limit == _TIMEOUT else "; git.time_limit gives it longer"
        raise GitOpsError(f"git {arguments[0]} did not finish in {limit:.0f} s{more}") from err
    if done.returncode != 0:
        said = " ".join(done.stderr.decode("utf-8", "replace").split())
        raise GitOpsError(f"git {arguments[0]} failed in {root}: {_reason(said)}")
    return done.stdout.decode("utf-8", "surrogateescape")


_REFUSED = (
    (
        r"(?i)repository (was|is|has been) archived|archived so it is read-only",
        "the repository is archived and takes no changes; unarchive it, or name another one",
    ),
    (
        r"couldn't find remote ref",
        "the remote has no such branch any more; check forge.base and git.revision",
    ),
    (
        r"Host key verification failed|REMOTE HOST IDENTIFICATION HAS CHANGED",
        "the host's key is none that is known for it; compare it with the one that the forge "
        "publishes, and put that into git.known_hosts",
    ),
    (
        r"UNPROTECTED PRIVATE KEY FILE|bad permissions",
        "ssh uses no private key that others may read; let its file belong to root, or be readable "
        "by its owner alone (chmod 600)",
    ),
    (
        r"Load key .*: (error in libcrypto|invalid format)|Load key .*: No such file",
        "the private key cannot be read; name the file of one without a passphrase in git.ssh_key",
    ),
    (
        r"Permission denied \(publickey|marked as read only|DEPLOY_KEY_READ_ONLY",
        "the key is refused; name one in git.ssh_key that may write to the repository",
    ),
    (
        r"Authentication failed|could not read (Username|Password)|returned error: 40[13]\b",
        "the token is refused, may not do this, or is missing; renew it, and name its file in "
        "forge.token_file",
    ),
    (
        r"detected dubious ownership",
        "the checkout belongs to another user, so git leaves it alone; allow it with "
        "`git config --global --add safe.directory`, and its folder behind that",
    ),
    (r"Could not resolve host", "the name of the host leads nowhere; check the address"),
)
"""What git and ssh say of being refused, and what there is to do."""


def _reason(said: str) -> str:
    """Why git failed: what to do where it is known, else the end of what it complained about."""
    for pattern, advice in _REFUSED:
        if re.search(pattern, said):
            return advice
    return said[-200:]


def clone(
    url: str,
    revision: str | None,
    folder: Path,
    variables: Mapping[str, str] | None = None,
    limit: float = NETWORK_TIMEOUT,
) -> Path:
    """Clone `url` at `revision` into `folder`, which must not exist; the folder.

    Credentials come from `variables` for git's environment or from git's own helpers; a URL that
    holds some is refused, because it would be seen in the list of processes. Raises `GitOpsError`
    with what git said.
    """
    _expect_address(url, revision)
    where = folder.parent
    where.mkdir(parents=True, exist_ok=True)
    depth = [] if revision else ["--depth=1"]
    words = ["clone", "--quiet", "--no-recurse-submodules", *depth, "--", url, folder.name]
    try:
        git(where, *words, extra={**_CLONING, **(variables or {})}, limit=limit)
        if revision is not None:
            git(folder, "checkout", "--quiet", "--detach", _commit_of(folder, revision))
    except GitOpsError as error:
        # Where it was to go is a temporary folder, which tells nobody anything.
        said = str(error)
        for place in (folder, where):
            said = said.replace(f" in {place}:", f" of {printable(url)}:")
        raise GitOpsError(said) from error
    return folder


_CLONING = {"GIT_ALLOW_PROTOCOL": "http:https:ssh:file:git", "GIT_LFS_SKIP_SMUDGE": "1"}
"""A large file is none that is edited, and where it lies is for the repository to say."""


def _expect_address(url: str, revision: str | None) -> None:
    """Raise `GitOpsError` for what git would take for an option, and for credentials."""
    if url.startswith("-") or (revision is not None and revision.startswith("-")):
        raise GitOpsError(f"expected a repository's address, found {url[:80]!r}")
    scheme, _, rest = url.partition("://")
    user, at, _ = rest.partition("/")[0].rpartition("@")
    if at and (":" in user or scheme in ("http", "https")):
        raise GitOpsError(
            "the address holds credentials; use forge.token_file, or a git credential helper"
        )


def _commit_of(root: Path, revision: str) -> str:
    """The commit of a tag, a commit or, in a fresh clone, a branch of the remote."""
    for name in (revision, f"refs/remotes/origin/{revision}"):
        with contextlib.suppress(GitOpsError):
            return git(root, "rev-parse", "--verify", "--quiet", f"{name}^{{commit}}").strip()
    raise GitOpsError(f"the repository has no branch, tag or commit {revision!r}")


def commit_of(root: Path, revision: str) -> str:
    """The id of the commit that `revision` names in the checkout at `root`."""
    try:
        name = f"{revision}^{{commit}}"
        return git(root, "rev-parse", "--verify", "--quiet", "--end-of-options", name).strip()
    except GitOpsError as error:
        raise GitOpsError(
            f"{root}: has no commit {revision[:80]!r}; fetch it (a shallow checkout needs a "
            "depth that reaches it)"
        ) from error


def parting_of(root: Path, base: str, head: str) -> str:
    """Where `head` parted from `base`; `base` itself where the history at hand does not tell."""
    ours, theirs = commit_of(root, base), commit_of(root, head)
    try:
        return git(root, "merge-base", ours, theirs).strip()
    except GitOpsError:
        return ours
