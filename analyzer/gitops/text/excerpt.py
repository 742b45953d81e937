"""The documents of a stream one by one, so that an edit costs what its document does.

A file of a thousand documents is edited a thousand times; read whole each time, it would be read a
million times over.
"""

from __future__ import annotations

import re
from dataclasses import replace
from functools import lru_cache

from analyzer.gitops.text.address import Address
from analyzer.gitops.text.tree import parse

# In the first column these are markers wherever they stand, in scalars too (YAML 1.2, 9.1.2).
_MARKER = re.compile(r"^---(?=[ \t\n]|\Z)", re.MULTILINE)
_ODD = re.compile(r"\r|^\.\.\.(?=[ \t\n]|\Z)|^%", re.MULTILINE)


@lru_cache(maxsize=4)  # a file is asked for once for each of its containers
def parts(text: str) -> tuple[str, ...]:
    """The texts of all documents, which put together are `text` again, in order.

    Nothing where there is one alone, or where they are not told apart by plain markers.
    """
    marks = [found.start() for found in _MARKER.finditer(text)]
    if not marks or _ODD.search(text):
        return ()
    lines = text[: marks[0]].splitlines()
    says_nothing = all(not line.strip() or line.startswith("#") for line in lines)
    starts = [0, *marks[1:]] if says_nothing else [0, *marks]
    if len(starts) == 1 or len(starts) != len(parse(text)):
        return ()
    return tuple(text[a:b] for a, b in zip(starts, [*starts[1:], len(text)], strict=True))


def excerpt(text: str, document: int) -> str | None:
    """The text of one document; None where `parts` tells none, or not so many."""
    found = parts(text)
    return found[document] if 0 <= document < len(found) else None


def in_excerpt(address: Address) -> Address:
    """Where the same place is in the text of its document alone."""
    return replace(address, document=0)
