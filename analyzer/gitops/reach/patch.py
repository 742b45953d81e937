"""What kustomize writes over objects on their way: patches and replacements."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from analyzer.gitops.reach.objects import Object
from analyzer.gitops.reach.selection import fits_selector, selects
from analyzer.gitops.text.address import Address
from analyzer.gitops.text.tree import Node, YamlError, parse

_MARKS = (("labelSelector", "labels"), ("annotationSelector", "annotations"))
"""What a target selects by, and where an object states it."""


@dataclass(frozen=True, slots=True)
class Patch:
    """A kustomize patch: which objects it is for, and its body with its place in the file."""

    file: str
    address: Address
    node: Node
    target: Mapping[str, str]

    @property
    def is_json(self) -> bool:
        """Whether this is a list of JSON 6902 operations and not a piece of manifest."""
        return self.node.kind == "sequence"

    def applies_to(self, found: Object, namespace: str | None) -> bool:
        """Whether the patch is meant for `found`, or may be: what its labels leave open counts."""
        return selects(self.target, found, namespace) and self._by_marks(found) is not False

    def surely_selects(self, found: Object) -> bool:
        """Whether all that the patch asks of labels and annotations stands in `found` itself."""
        return self._by_marks(found) is True

    def _by_marks(self, found: Object) -> bool | None:
        """Whether labels and annotations select `found`; None where only a build can tell."""
        told = [
            fits_selector(self.target[selector], found.node.at("metadata", key))
            for selector, key in _MARKS
            if self.target.get(selector)
        ]
        return False if False in told else None if None in told else True


@dataclass(frozen=True, slots=True)
class Replacement:
    """What one target of kustomize's `replacements` writes into: which objects, which field."""

    file: str
    target: Mapping[str, str]
    field: str
    rejected: tuple[Mapping[str, str], ...] = ()
    """Which of these objects are left out; a target that says nothing leaves out none."""

    def applies_to(self, found: Object, namespace: str | None) -> bool:
        """Whether the field is overwritten in `found`."""
        rejected = any(one and selects(one, found, namespace) for one in self.rejected)
        return selects(self.target, found, namespace) and not rejected


def inline_patches(
    file: str, address: Address, scalar: Node, target: Mapping[str, str]
) -> list[Patch]:
    """The patches in a text: one for each document of it; none where it is no YAML."""
    try:
        documents = parse(scalar.value)
    except YamlError:
        return []
    return [
        Patch(
            file,
            Address(address.document, address.path, Address(number, ())),
            document.root,
            target or own_target(document.root),
        )
        for number, document in enumerate(documents)
    ]


def own_target(node: Node) -> dict[str, str]:
    """What a strategic-merge patch is for, by its own kind and name."""
    fields = {
        "kind": node.text("kind"),
        "name": node.text("metadata", "name"),
        "namespace": node.text("metadata", "namespace"),
    }
    return {key: re.escape(value) for key, value in fields.items() if value is not None}
