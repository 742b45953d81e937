"""What reading alone does not tell: objects as kustomize or a chart of the repository make them.

Nothing is built here. Whoever follows a repository may bring a builder along; without one, what
could not be read stays open and is said to be.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from analyzer.gitops.text.tree import Node


@dataclass(frozen=True, slots=True)
class Built:
    """An object as it was built, and the file it comes from; None for one that was generated."""

    file: str | None
    node: Node


class Builder(Protocol):
    """Builds folders of one repository; None where that cannot be done."""

    def folder(self, folder: str, overlay: str) -> Sequence[Built] | None:
        """What kustomize makes of a folder, with the fields of `overlay` (JSON) on top."""

    def chart(
        self, folder: str, release: str, namespace: str, values: Mapping[str, object]
    ) -> Sequence[Node] | None:
        """What helm makes of a chart of the repository."""


class NoBuilder:
    """Builds nothing: for a repository that is only read."""

    def folder(self, folder: str, overlay: str) -> Sequence[Built] | None:
        """Nothing can be told."""
        return None

    def chart(
        self, folder: str, release: str, namespace: str, values: Mapping[str, object]
    ) -> Sequence[Node] | None:
        """Nothing can be told."""
        return None
