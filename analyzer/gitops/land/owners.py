"""Which team a file belongs to, by the CODEOWNERS of its repository."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_PLACES = (".github/CODEOWNERS", ".gitlab/CODEOWNERS", "CODEOWNERS", "docs/CODEOWNERS")
"""Where GitHub, GitLab and Gitea look; the first that is there counts."""
_MOST_BYTES = 3 * 1024**2
"""GitHub takes no longer one."""
_SECTION = re.compile(r"\^?\[[^\]]*\](\[\d+\])?")


@dataclass(frozen=True)
class CodeOwners:
    """The rules of a CODEOWNERS file; `below` is where paths start that are asked for."""

    rules: tuple[tuple[re.Pattern[str], tuple[str, ...]], ...] = ()
    below: str = ""

    def of(self, file: str) -> tuple[str, ...]:
        """The owners of a file: those of the last rule that fits, without their at signs."""
        path = f"{self.below}{file}"
        return next((owners for rule, owners in reversed(self.rules) if rule.fullmatch(path)), ())


def code_owners(root: Path) -> CodeOwners:
    """The owners in the repository around `root`; none where it has no such file."""
    folders = (root, *root.parents)
    top = next((folder for folder in folders if (folder / ".git").exists()), root)
    below = "" if top == root else f"{root.relative_to(top).as_posix()}/"
    for place in _PLACES:
        file = top / place
        if file.is_file() and not file.is_symlink() and file.stat().st_size <= _MOST_BYTES:
            return CodeOwners(read_rules(file.read_text("utf-8", "replace")), below)
    return CodeOwners()


def read_rules(text: str) -> tuple[tuple[re.Pattern[str], tuple[str, ...]], ...]:
    """The rules in the order of the file; sections of GitLab are read as if they were none."""
    rules = []
    for line in text.splitlines():
        words = re.split(r"(?<!\\)\s+", line.partition(" #")[0].strip())
        if words[0] and not words[0].startswith("#") and not _SECTION.match(words[0]):
            owners = tuple(word.lstrip("@") for word in words[1:])
            rules.append((_pattern(words[0].replace("\\ ", " ")), owners))
    return tuple(rules)


def _pattern(pattern: str) -> re.Pattern[str]:
    """A rule's pattern, which is one of .gitignore: a slash within it ties it to the top."""
    tied = "/" in pattern.rstrip("/")
    folder = pattern.endswith("/")
    steps = [step for step in pattern.split("/") if step]
    text = "" if tied else "(?:.*/)?"
    for number, step in enumerate(steps):
        last = number == len(steps) - 1
        if step == "**":
            text += ".*" if last else "(?:.*/)?"
        else:
            text += _step(step) + ("" if last else "/")
    # A name stands for all below it too; a star at the end for what lies right there.
    ending = "/.*" if folder else "" if steps and "*" in steps[-1] and tied else "(?:/.*)?"
    return re.compile(text + ending, re.DOTALL)


def _step(step: str) -> str:
    known = {"*": "[^/]*", "?": "[^/]"}
    return "".join(known.get(c, re.escape(c)) for c in step)


def team_of(label: str, labels: Mapping[str, str], owners: Sequence[str]) -> str | None:
    """The team of a workload: by its label, else the owner of its file, a group before a person."""
    key = "".join(c if c.isascii() and c.isalnum() else "_" for c in label)
    if labels.get(key):
        return labels[key]
    return next((owner for owner in owners if "/" in owner), owners[0] if owners else None)
