"""What looks like requests and limits, whatever it stands in."""

from __future__ import annotations

import re

from analyzer.gitops.text.tree import Node

TYPO = re.compile(r"re[as]{1,2}ou?r?[cs]{1,2}es?", re.IGNORECASE)
RESOURCES = re.compile(r"\w*resources?", re.IGNORECASE)
_MEASURES = frozenset({"cpu", "memory"})


def is_block(key: str, node: Node) -> bool:
    """Whether a mapping states CPU or memory requests or limits under a name that says so."""
    if node.kind != "mapping":
        return False
    if not (RESOURCES.fullmatch(key) or TYPO.fullmatch(key)):
        return False
    return any(
        name in _MEASURES for part in ("requests", "limits") for name, _ in node.mapping(part)
    )
