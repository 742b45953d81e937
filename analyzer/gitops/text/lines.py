"""Characters and lines of a text: where they start and end, and how to replace some of them."""

from __future__ import annotations

import re

from analyzer.gitops.text.refusal import EditRefusedError
from analyzer.gitops.text.tree import Node, scalar_span

_BLOCK_HEADER = re.compile(r"[|>](?P<flags>[-+0-9]*)[ \t]*(?:#[^\r\n]*)?(?P<newline>\r\n|\n|\r)")


def splice(text: str, start: int, end: int, replacement: str) -> str:
    """`text` with the characters from `start` to `end` replaced."""
    return text[:start] + replacement + text[end:]


def newline_of(text: str) -> str:
    r"""The line ending of the first line; ``\n`` where there is only one line."""
    first = text.find("\n")
    return "\r\n" if first > 0 and text[first - 1] == "\r" else "\n"


def line_start(text: str, offset: int) -> int:
    """Where the line that holds `offset` begins."""
    return text.rfind("\n", 0, offset) + 1


def line_end(text: str, offset: int) -> int:
    """Where the line that holds `offset` ends, before its line ending."""
    found = text.find("\n", offset)
    if found < 0:
        return len(text)
    return found - 1 if found > offset and text[found - 1] == "\r" else found


def column(text: str, offset: int) -> int:
    """How many characters stand before `offset` on its line."""
    return (
        offset
        - line_start(text, offset)
        - (1 if text.startswith("\ufeff") and not line_start(text, offset) else 0)
    )


def entry_end(text: str, value: Node) -> int:
    """Where the line after an entry begins, its trailing comment included.

    Trailing blank lines belong to what follows, except under a block scalar that keeps them.
    """
    last = last_leaf(value)
    end = last.end
    if last.kind == "scalar" and last.style in ("|", ">"):
        header = _BLOCK_HEADER.match(text, scalar_span(text, last)[0])
        if header is not None and "+" in header["flags"]:
            return end
        end = last.start + len(text[last.start : end].rstrip())
    newline = text.find("\n", end)
    return len(text) if newline < 0 else newline + 1


def last_leaf(node: Node) -> Node:
    """The node whose characters end last inside a block collection."""
    while not node.flow and (node.entries or node.items):
        node = node.entries[-1][1] if node.entries else node.items[-1]
    return node


def block_lines(text: str, scalar: Node) -> tuple[str, str, list[str]]:
    """A literal block scalar taken apart: its header line, its indentation, its bare lines.

    Blank lines are left as they are, since their spaces may be fewer than the indentation, which
    is what the first line has in front of what the parser read of it.
    Raises `EditRefusedError` for any other scalar.
    """
    start, end = scalar_span(text, scalar)
    raw = text[start:end]
    header = _BLOCK_HEADER.match(raw)
    if header is None or not raw.startswith("|"):
        raise EditRefusedError("the values stand in a string that is no literal block (|)")
    body = raw[header.end() :].splitlines(keepends=True)
    first = next((line.rstrip("\r\n") for line in body if line.strip()), "")
    read = next((line for line in scalar.value.split("\n") if line.strip()), "")
    indent = " " * (len(first) - len(read))
    return (
        header.group(),
        indent,
        [line.removeprefix(indent) if line.strip() else line for line in body],
    )
