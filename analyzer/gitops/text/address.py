"""Where a place is: in which document, by which path, through which block scalars."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

from analyzer.gitops.text.tree import Key, Path

_ODD_KEY = re.compile(r"[.\[\]|\"\s]|^$")


@dataclass(frozen=True, slots=True)
class Address:
    """Where a `resources` mapping stands, or would stand, in one file.

    `document` counts the documents of the stream from 0 and `path` leads to the mapping. A place
    inside a block scalar has `path` lead to the scalar and `inner` on from there.
    """

    document: int
    path: Path
    inner: Address | None = None

    def __str__(self) -> str:
        own = f"document {self.document}, {dotted(self.path)}"
        return own if self.inner is None else f"{own} | {self.inner}"

    def full_path(self) -> Path:
        """All keys from the outermost document to the mapping."""
        return self.path if self.inner is None else (*self.path, *self.inner.full_path())

    def into(self, inner: Address) -> Address:
        """The address of something inside the block scalar that this address leads to."""
        if self.inner is None:
            return Address(self.document, self.path, inner)
        return Address(self.document, self.path, self.inner.into(inner))

    def below(self, *keys: Key) -> Address:
        """The address of something further down."""
        if self.inner is None:
            return Address(self.document, (*self.path, *keys))
        return Address(self.document, self.path, self.inner.below(*keys))


def dotted(path: Sequence[Key]) -> str:
    """A path as people write it: ``spec.containers[0].resources``, odd keys as ``["a.b"]``."""
    text = ""
    for key in path:
        if isinstance(key, int):
            text += f"[{key}]"
        elif _ODD_KEY.search(key):
            text += f"[{json.dumps(key, ensure_ascii=False)}]"
        else:
            text += f".{key}" if text else key
    return text
