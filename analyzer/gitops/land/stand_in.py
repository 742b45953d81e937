"""Stand-ins for a checkout: its files at another commit, or its commits and settings without them.

Each is a repository of its own in a folder that is then gone. It borrows the checkout's objects,
and nothing that happens there leaves a trace in the checkout.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from analyzer.errors import AnalyzerError, GitOpsError
from analyzer.gitops.land.worktree import commit_of, git

_OWN = re.compile(
    r"(extensions|include|includeif)\..*|core\.(bare|worktree|repositoryformatversion)"
)
"""Settings that are about one repository's own folder, and those that have been followed."""
_ADDRESS = re.compile(r"remote\..*\.(url|pushurl)")
_FILE = re.compile(r".*\.(signingkey|sslcainfo|sslcapath|sslcert|sslkey|cookiefile|attributesfile)")
"""Settings whose value may be a path, which git reads from the top of the checkout."""
_COMMAND = re.compile(
    r"core\.(sshcommand|gitproxy|askpass)|credential\.(.*\.)?helper|gpg\.(.*\.)?program"
)
"""Settings whose value is a command, which git runs from the top of the checkout."""
_WORD_WITH_PATH = re.compile(r"(?<![^\s=!(])\.{0,2}[\w.-]*/[\w./-]+(?![^\s);|&])", re.ASCII)
"""A word of a command, or what stands behind the ``=`` of one, that may be a path from there."""
_ELSEWHERE = re.compile(r"[^/]*:|[~/%]")
"""How an address with a scheme or a host starts, and an absolute path."""

Settings = dict[str, list[str | None]]
"""The values of each name in their order; None for a name alone, which means true."""


@contextmanager
def snapshot(root: Path, revision: str) -> Iterator[Path]:
    """The files of `revision` of the checkout at `root`, in a folder that is then gone.

    The checkout stays as it is, its settings and filters have no say, and where `root` lies below
    the top of its repository so does the folder. Raises `GitOpsError` where it has no such commit.
    """
    commit = commit_of(root, revision)
    below = git(root, "rev-parse", "--show-prefix").strip()
    with tempfile.TemporaryDirectory(prefix="rightsize-") as folder:
        top = Path(folder)
        _borrow(root, top)
        git(top, "checkout", "--quiet", "--detach", commit, extra={"GIT_LFS_SKIP_SMUDGE": "1"})
        # Of a blob that is not at hand git complains, and goes on.
        if git(top, "ls-files", "--deleted", "-z"):
            raise GitOpsError(
                f"{root}: is a partial clone that lacks files of {revision[:80]!r}; "
                "clone it without a filter"
            )
        yield top / below


@contextmanager
def shadow(root: Path) -> Iterator[Path]:
    """A stand-in for the checkout at `root` that is then gone: its commits, settings and remotes.

    Git finds there what it would find in the checkout, wherever that says so: in its own settings,
    in those that a person's own include for this folder alone, by a path from its top. What is
    fetched or written leaves no trace in the checkout. It has no files, and errors name the
    checkout instead of it.
    """
    below = git(root, "rev-parse", "--show-prefix").strip()
    head = commit_of(root, "HEAD")
    with tempfile.TemporaryDirectory(prefix="rightsize-") as folder:
        top = Path(folder)
        _borrow(root, top)
        with (top / ".git" / "config").open("a", encoding="utf-8", errors="surrogateescape") as own:
            own.write(_written(_settings_of(root, _settings(top))))
        cut = _git_path(root, "shallow")
        if cut.is_file():
            shutil.copy(cut, top / ".git" / "shallow")
        git(top, "update-ref", "--no-deref", "HEAD", head)
        (top / below).mkdir(parents=True, exist_ok=True)
        try:
            yield top / below
        except AnalyzerError as error:
            error.args = tuple(str(told).replace(folder, str(_top(root))) for told in error.args)
            raise


def _top(root: Path) -> Path:
    return Path(git(root, "rev-parse", "--show-toplevel").removesuffix("\n"))


def _borrow(root: Path, top: Path) -> None:
    """Make a repository at `top` that has the objects of the one around `root`."""
    names = git(root, "rev-parse", "--show-object-format").strip()
    git(top, "init", "--quiet", f"--object-format={names}")
    borrowed = top / ".git" / "objects" / "info" / "alternates"
    borrowed.write_text(f"{_git_path(root, 'objects')}\n", encoding="utf-8")


def _git_path(root: Path, name: str) -> Path:
    return (root / git(root, "rev-parse", "--git-path", name).strip()).resolve()


def _settings(root: Path) -> Settings:
    """The settings that hold in the checkout at `root`, from wherever."""
    found: Settings = {}
    for entry in git(root, "config", "--list", "--includes", "-z").split("\0")[:-1]:
        name, told, value = entry.partition("\n")
        found.setdefault(name, []).append(value if told else None)
    return found


def _settings_of(root: Path, known: Settings) -> Iterator[tuple[str, str | None]]:
    """What holds in the checkout at `root` beside what is `known`, with paths written out.

    Of a name with several values their order counts: an empty one takes those before it back.
    """
    top = _top(root)
    for name, values in _settings(root).items():
        there = known.get(name, [])
        more = values[len(there) :] if values[: len(there)] == there else values
        for value in more if not _OWN.fullmatch(name) else ():
            yield name, _from_anywhere(name, value, top)


def _from_anywhere(name: str, value: str | None, top: Path) -> str | None:
    """The value of a setting, as a whole path where it is one from `top`.

    An address need not be there as it is written: git also looks for it with ``.git`` behind.
    """
    if not value:
        return value
    if _COMMAND.fullmatch(name):
        return _WORD_WITH_PATH.sub(lambda word: _whole(word.group(), top), value)
    if _ELSEWHERE.match(value):
        return value
    is_path = _ADDRESS.fullmatch(name) or (_FILE.fullmatch(name) and (top / value).exists())
    return os.path.normpath(top / value) if is_path else value


def _whole(word: str, top: Path) -> str:
    """A word of a command, as a whole path where there is such a file below `top`."""
    if word.startswith("/") or not (top / word).exists():
        return word
    return shlex.quote(os.path.normpath(top / word))


def _written(settings: Iterable[tuple[str, str | None]]) -> str:
    """`settings` as a file of git's: as an argument each would be seen by every user."""
    return "".join(f"{_section(name)}{_value(value)}\n" for name, value in settings)


def _section(name: str) -> str:
    section, _, rest = name.partition(".")
    part, _, key = rest.rpartition(".")
    told = f' "{_escaped(part)}"' if part else ""
    return f"[{section}{told}]\n\t{key}"


def _value(value: str | None) -> str:
    if value is None:
        return ""
    return f' = "{_escaped(value)}"'.replace("\n", "\\n").replace("\t", "\\t")


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
