"""Edits written down: unified diffs and patch mails, as git takes them."""

from __future__ import annotations

import difflib
import hashlib
import quopri
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from email.header import Header
from functools import lru_cache
from typing import Literal

from analyzer.escape import one_line

_PLAIN_NAME = re.compile(r"[A-Za-z0-9._/+@%,=~^-]+", re.ASCII)
_MODE = "100644"
_SIGNATURE = "-- \nrightsize\n"
_BLOCK = re.compile(r"^(?=diff --git )", re.MULTILINE)
_NO_NEWLINE = "\\ No newline at end of file\n"

Edits = Mapping[str, tuple[str, str]]


def unified_diff(edits: Edits) -> str:
    """One diff of all `edits` (file to text before and after), such as `git apply` takes.

    Files whose text did not change are left out; the result is empty when none did.
    """
    return "".join(_file_diff(file, *edits[file]) for file in sorted(edits))


def _file_diff(file: str, before: str, after: str) -> str:
    if before == after:
        return ""
    old, new = quote_path(f"a/{file}"), quote_path(f"b/{file}")
    body = "".join(
        line if line.endswith("\n") else f"{line}\n{_NO_NEWLINE}" for line in _hunks(before, after)
    )
    # git ends a name that holds a space with a tab, since the rest of the line is a date.
    blobs = f"{blob_id(before.encode())}..{blob_id(after.encode())}"
    head = f"diff --git {old} {new}\nindex {blobs} {_MODE}\n"
    return f"{head}--- {_ended(old)}\n+++ {_ended(new)}\n{body}"


def blob_id(content: bytes, algorithm: Literal["sha1", "sha256"] = "sha1") -> str:
    """The name that git gives to this content; with it ``git am -3`` finds what was edited.

    Nearly every repository names by SHA-1.
    """
    head = f"blob {len(content)}\0".encode()
    return hashlib.new(algorithm, head + content, usedforsecurity=False).hexdigest()


@lru_cache(maxsize=4)  # a mail counts the lines of its diff, and shows them
def _hunks(before: str, after: str) -> tuple[str, ...]:
    """A diff without its two header lines."""
    return tuple(difflib.unified_diff(_lines(before), _lines(after), n=3))[2:]


def _ended(name: str) -> str:
    return f"{name}\t" if " " in name and not name.startswith('"') else name


def _lines(text: str) -> list[str]:
    r"""Lines ended by ``\n`` alone, so that a lone carriage return stays inside its line."""
    return re.findall(r"[^\n]*\n|[^\n]+", text)


def quote_path(path: str) -> str:
    """A path as git writes it in a diff: in C quotes where it has unusual characters."""
    if _PLAIN_NAME.fullmatch(path) or all(" " <= c <= "~" and c not in '"\\' for c in path):
        return path
    escaped = ""
    for byte in path.encode("utf-8", "surrogateescape"):
        char = chr(byte)
        if char in '"\\':
            escaped += f"\\{char}"
        elif " " <= char <= "~":
            escaped += char
        else:
            escaped += f"\\{byte:03o}"
    return f'"{escaped}"'


@dataclass(frozen=True, slots=True)
class Author:
    """Who a commit is by, for git."""

    name: str = "rightsize"
    email: str = "rightsize@localhost"

    def __str__(self) -> str:
        name = one_line(self.name).translate(str.maketrans("", "", '<>"'))
        email = one_line(self.email).translate(str.maketrans("", "", "<> "))
        encoded = name if name.isascii() else Header(name, "utf-8").encode()
        return f"{encoded} <{email}>"


def mail(subject: str, body: str, edits: Edits, author: Author, number: int, total: int) -> str:
    """One patch mail that `git am` turns into a commit; empty where nothing changed.

    It has no date, so that the same decisions always give the same bytes; git puts in its own.
    """
    diff = unified_diff(edits)
    if not diff:
        return ""
    tag = "PATCH" if total == 1 else f"PATCH {number}/{total}"
    message = f"{_body(body)}---\n{_stat(edits)}\n{diff}{_SIGNATURE}"
    # Git drops carriage returns from plain mails; quoted ones it keeps.
    quoted = "\r" in message
    encoding = "quoted-printable" if quoted else "8bit"
    headers = [
        f"From {hashlib.sha1(message.encode(), usedforsecurity=False).hexdigest()} "
        "Mon Sep 17 00:00:00 2001",
        f"From: {author}",
        f"Subject: {_subject(f'[{tag}] {one_line(subject)}')}",
        "MIME-Version: 1.0",
        "Content-Type: text/plain; charset=UTF-8",
        f"Content-Transfer-Encoding: {encoding}",
    ]
    content = _quoted(message) if quoted else message
    return "\n".join(headers) + "\n\n" + content + "\n"


def diff_of(mail: str) -> str:
    """The diff in a patch mail as `mail` makes it, byte for byte; empty where there is none."""
    headers, _, content = mail.partition("\n\n")
    if "Content-Transfer-Encoding: quoted-printable" in headers:
        content = quopri.decodestring(content.encode()).decode()
    _, found, rest = content.partition("\ndiff --git ")
    return f"diff --git {rest.rpartition(_SIGNATURE)[0]}" if found else ""


def joined(diffs: Iterable[str]) -> str | None:
    """One diff of all, files in order; None where two of them change the same file."""
    blocks: dict[str, str] = {}
    for diff in diffs:
        for block in _BLOCK.split(diff):
            head = block.partition("\n")[0]
            if head in blocks:
                return None
            if head:
                blocks[head] = block
    return "".join(blocks[head] for head in sorted(blocks))


def _quoted(message: str) -> str:
    """`message` as quoted-printable text, its carriage returns included."""
    return "\n".join(_quoted_line(line.encode()) for line in message.split("\n"))


def _quoted_line(raw: bytes) -> str:
    text = "".join(
        chr(byte) if 32 <= byte < 127 and byte != ord("=") else f"={byte:02X}" for byte in raw
    )
    if text.endswith(" "):
        text = f"{text[:-1]}=20"
    if text.startswith("From "):
        text = f"=46{text[1:]}"
    pieces = []
    while len(text) > 75:
        cut = 74
        while "=" in text[cut - 2 : cut]:
            cut -= 1
        pieces.append(f"{text[:cut]}=")
        text = text[cut:]
    return "\n".join([*pieces, text])


def _subject(text: str) -> str:
    if text.isascii():
        return text
    return Header(text, "utf-8", maxlinelen=75).encode()


def _body(body: str) -> str:
    """The message text, with whatever git would take for a diff or a separator indented."""
    lines = []
    for line in body.replace("\r\n", "\n").replace("\r", "\n").split("\n"):
        clean = "".join(c if c.isprintable() or c == "\t" else " " for c in line).rstrip()
        dangerous = clean.startswith(("---", "diff ", "Index: ", "From ", ">From ", "-- ", "@@ "))
        lines.append(f" {clean}" if dangerous or clean == "--" else clean)
    text = "\n".join(lines).strip("\n")
    return f"{text}\n" if text else ""


def _stat(edits: Edits) -> str:
    rows = []
    for file in sorted(edits):
        before, after = edits[file]
        if before == after:
            continue
        changed = [line[:1] for line in _hunks(before, after)]
        plus, minus = changed.count("+"), changed.count("-")
        rows.append(f" {quote_path(file)} | {plus + minus} {'+' * plus}{'-' * minus}")
    return "\n".join([*rows, f" {len(rows)} file{'s' if len(rows) != 1 else ''} changed"]) + "\n"


def mail_series(patches: Sequence[tuple[str, str, Edits]], author: Author) -> list[str]:
    """Patch mails for (subject, body, edits) in order, each on top of those before it."""
    total = len(patches)
    return [
        mail(subject, body, edits, author, number, total)
        for number, (subject, body, edits) in enumerate(patches, start=1)
    ]
