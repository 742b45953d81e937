"""How many nodes a group had over the window: where an autoscaler adds and removes them.

The last moment may be the quietest of the week. What a group had at once before it can have again,
which is measured and no guess.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from analyzer.placement.nodes import group_of
from analyzer.usage import Meta, utc

OFTEN = 0.05
"""The share of the window for which a number counts as one that the group can have again."""


@dataclass(frozen=True, slots=True)
class Numbers:
    """The fewest and the most nodes that a group had at once, and the mean over the window.

    `often` is how many it had at once for a twentieth of the window at least: an upgrade has one
    more for an hour, an autoscaler for part of every day.
    """

    fewest: int
    most: int
    mean: float
    often: int


def numbers_of(meta: Meta) -> dict[str, Numbers]:
    """By group, of those whose nodes came or went within the window.

    Nodes that are replaced one by one, as by an upgrade, change the number for a moment only.
    """
    moved = set[str]()
    lives: dict[str, list[tuple[datetime, datetime]]] = {}
    for node, begin, end in _lives(meta):
        group = group_of(node)
        lives.setdefault(group, []).append((begin, end))
        if begin > meta.start or end < meta.end:
            moved.add(group)
    return {group: _numbers(lives[group], meta) for group in sorted(moved)}


def _lives(meta: Meta) -> Iterator[tuple[Mapping[str, Any], datetime, datetime]]:
    """Every node of the window with its size known, and from when to when it was there."""
    for node in (*meta.nodes, *meta.past_nodes):
        if node.get("cpu_allocatable_cores") and node.get("memory_allocatable_bytes"):
            begin = max(_moment(node.get("first_seen"), meta.start), meta.start)
            end = min(_moment(node.get("last_seen"), meta.end), meta.end)
            if begin < end:
                yield node, begin, end


def _moment(text: Any, otherwise: datetime) -> datetime:
    try:
        return utc(datetime.fromisoformat(text))
    except (TypeError, ValueError):
        return otherwise


def _numbers(lives: Sequence[tuple[datetime, datetime]], meta: Meta) -> Numbers:
    """Sweep over all comings and goings; those of one moment count together."""
    changes: dict[datetime, int] = {meta.start: 0}
    for begin, end in lives:
        changes[begin] = changes.get(begin, 0) + 1
        if end < meta.end:
            changes[end] = changes.get(end, 0) - 1
    count, shares = 0, defaultdict[int, float](float)
    for moment, following in itertools.pairwise([*sorted(changes), meta.end]):
        count += changes[moment]
        if following > moment:
            shares[count] += (following - moment) / (meta.end - meta.start)
    often = max(n for n in shares if sum(s for k, s in shares.items() if k >= n) >= OFTEN)
    mean = sum(n * share for n, share in shares.items())
    return Numbers(min(shares), max(shares), round(mean, 2), often)
