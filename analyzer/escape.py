"""Text from strangers made safe for where it goes: one function for each place.

Names, labels and reasons come from clusters and repositories, that is from strangers. A terminal
acts on escape sequences, Markdown on markup, a forge on mentions, a spreadsheet on formulas, a
shell on nearly everything, and a reader on marks that turn the direction of writing around.
"""

from __future__ import annotations

import html as _html
import re
import shlex
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, TypeVar, cast

if TYPE_CHECKING:
    from yaml.resolver import BaseResolver

Dumper = TypeVar("Dumper", bound="type[BaseResolver]")

_MARKUP = re.compile(r"([\\`*_{}\[\]#|!~$])")
_LIST = re.compile(r"^(\d*)([-+.)](?=\s|$)|=+$)")
_LINK = re.compile(r"(?i)(www)(?=\.)|(?<=[a-z])(?=://)|(?<=mailto)(?=:)|(?<=xmpp)(?=:)")
_FORMULA = ("=", "+", "-", "@", "'", "\t", "\r")
_NOT_PLAIN = re.compile(r"[^\x20-\x7e\n]")

_DOUBTFUL = re.compile(
    r"(?:[yYnN]|[-+]?(?:\d[\d_]*\.?[\d_]*|\.\d[\d_]*)(?:[eE][-+]?\d[\d_]*)?"
    r"|[-+]?0(?:[oO][0-7_]+|[xX][\da-fA-F_]+|[bB][01_]+))$",
    re.ASCII,
)
"""Texts that some reader of YAML takes for a number or a truth, though another does not."""


def printable(text: str) -> str:
    """`text` for a terminal: every character that would act and not show becomes ``?``."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else "?" for c in text)


def one_line(text: str, limit: int = 200) -> str:
    """`text` on one line of at most `limit` characters, without what does not show.

    Fit for a comment in a script or in YAML, a subject, a log.
    """
    shown = text if text.isprintable() else "".join(c if c.isprintable() else " " for c in text)
    return " ".join(shown.split())[:limit]


def markdown(text: str) -> str:
    """`text` as inert Markdown on one line: no markup, HTML, table cell, link, list or mention.

    The at sign becomes its wide twin, for forges look for mentions after all escapes are undone.
    """
    shown = _html.escape(one_line(text, 1000), quote=False)
    shown = _LIST.sub(r"\1\\\2", _MARKUP.sub(r"\\\1", shown))
    shown = _LINK.sub(lambda found: f"{found[0]}\\", shown)
    return shown.replace("@", "\N{FULLWIDTH COMMERCIAL AT}")


def code(text: str) -> str:
    """`text` as a Markdown code span, in which nothing acts."""
    return f"`{one_line(text, 1000).replace('`', chr(39))}`"


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table of cells that are inert already."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def html(text: str) -> str:
    """`text` inside an element or a quoted attribute of HTML."""
    return _html.escape(printable(text))


def csv_cell(text: str) -> str:
    """`text` as a cell that no spreadsheet takes for a formula, nor a terminal for a command."""
    shown = printable(text)
    return f"'{shown}" if shown.startswith(_FORMULA) or text.startswith(_FORMULA) else shown


def shell(words: Iterable[str]) -> str:
    """`words` as one command line of a POSIX shell, each exactly one argument."""
    return shlex.join(words)


def json_text(text: str) -> str:
    """JSON that a terminal shows as it is: what does not show is escaped, and means the same."""
    return _NOT_PLAIN.sub(_escaped, text)


def quoting(dumper: Dumper) -> Dumper:
    """`dumper`, quoting texts that not every reader of YAML takes for texts (``1e3``, ``08``)."""
    made = cast("Dumper", type("Quoting", (dumper,), {}))
    # A text that would be read as something else is quoted; as what does not matter.
    made.add_implicit_resolver("tag:yaml.org,2002:float", _DOUBTFUL, list("yYnN+-.0123456789"))
    return made


def _escaped(found: re.Match[str]) -> str:
    character = found[0]
    if character.isprintable():
        return character
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))
