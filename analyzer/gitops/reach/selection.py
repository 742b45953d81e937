"""Which objects a target of kustomize means: by kind, name, namespace, labels and annotations."""

from __future__ import annotations

import re
from collections.abc import Mapping

from analyzer.gitops.reach.objects import Object
from analyzer.gitops.text.tree import Node

_REPEATED_GROUP = re.compile(r"\)[*+?{]|\\\d|\(\?")
_MAX_REPETITIONS = 3
_MAX_PATTERN = 500
_KEY = r"[A-Za-z0-9][\w./-]*"
_REQUIREMENT = re.compile(
    rf"!\s*(?P<absent>{_KEY})"
    rf"|(?P<key>{_KEY})(?:\s*(?P<sign>==?|!=)\s*(?P<one>[^\s,()]*)"
    r"|\s+(?P<set>in|notin)\s*\((?P<several>[^()]*)\))?"
)
_COMMA = re.compile(r",(?![^()]*\))")


def selects(wanted: Mapping[str, str], found: Object, namespace: str | None) -> bool:
    """Whether a target of kustomize means `found`, by kind, name, namespace and group."""
    own = found.namespace or namespace
    return (
        _fits(wanted.get("kind"), found.kind)
        and _fits(wanted.get("name"), found.name)
        and (own is None or _fits(wanted.get("namespace"), own))
        and ("group" not in wanted or wanted["group"] == found.group)
    )


def _fits(pattern: str | None, value: str) -> bool:
    """Whether a target's field, an anchored regular expression to kustomize, fits `value`.

    What cannot be judged counts as fitting, as a label selector does.
    """
    if not pattern or pattern == value:
        return True
    compiled = name_pattern(pattern)
    return compiled is None or compiled.fullmatch(value) is not None


def name_pattern(text: str) -> re.Pattern[str] | None:
    """A pattern for names out of a file; None where it is none, or could take forever to match.

    Patterns come from strangers. A repeated group can make matching exponential, so only plain
    ones are taken: alternatives, classes and a few repetitions of single characters.
    """
    repetitions = len(re.findall(r"[*+{]", text))
    if _REPEATED_GROUP.search(text) or repetitions > _MAX_REPETITIONS or len(text) > _MAX_PATTERN:
        return None
    try:
        return re.compile(text)
    except re.error:
        return None


def fits_selector(selector: str, stated: Node | None) -> bool | None:
    """Whether labels or annotations, as an object states them, satisfy a selector of Kubernetes.

    None where only a build can tell: transformers on the way may add a label that is not stated
    here. They take none away.
    """
    told = [_satisfied(part.strip(), stated) for part in _COMMA.split(selector)]
    return False if False in told else None if None in told else True


def _satisfied(requirement: str, stated: Node | None) -> bool | None:
    """As `fits_selector`, of one requirement; None also for what cannot be read."""
    read = _REQUIREMENT.fullmatch(requirement)
    if read is None:
        return None
    value = None if stated is None else stated.text(read["absent"] or read["key"])
    if value is None:
        return None
    if read["absent"] is not None:
        return False
    if read["sign"] is None and read["set"] is None:
        return True
    named = [read["one"]] if read["set"] is None else _COMMA.split(read["several"])
    is_among = value in [each.strip() for each in named]
    return is_among is not (read["sign"] == "!=" or read["set"] == "notin")
