"""When to look at which pod, where one look as it begins and one as it ends tell its whole life."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import accumulate

from analyzer.sources.prometheus.owners import ContainerName, PodName

Life = tuple[float, float]
"""When something was first and last observed (Unix seconds)."""


def lives_of_pods(containers: Mapping[ContainerName, Life]) -> dict[PodName, Life]:
    """From the first of its containers to the last of them, for each pod."""
    lives: dict[PodName, Life] = {}
    for name, (first, last) in containers.items():
        begin, end = lives.get(name[:2], (first, last))
        lives[name[:2]] = min(begin, first), max(end, last)
    return lives


class Visits:
    """Goes through `moments` (Unix seconds, rising) from the newest to the oldest.

    Each moment comes with the pods to look at: those that are there for the first time, and those
    that were there for the last time at this moment or later and were not `met` since, because
    their exporter was away. A pod that lived between two moments is never looked at.
    """

    def __init__(self, moments: Sequence[float], lives: Mapping[PodName, Life]) -> None:
        self._begins: list[set[PodName]] = [set() for _ in moments]
        self._ends: list[set[PodName]] = [set() for _ in moments]
        change = [0] * (len(moments) + 1)
        for pod, (first, last) in lives.items():
            begin, end = bisect_left(moments, first), bisect_right(moments, last) - 1
            if begin > end:
                continue
            self._begins[begin].add(pod)
            self._ends[end].add(pod)
            change[begin] += 1
            change[end + 1] -= 1
        self._alive = list(accumulate(change))
        self._owed: set[PodName] = set()

    def __iter__(self) -> Iterator[tuple[int, set[PodName]]]:
        """The number of each moment at which some pod is to be looked at, and these pods."""
        for index in reversed(range(len(self._ends))):
            self._owed |= self._ends[index]
            pods = self._owed | self._begins[index]
            if pods:
                yield index, pods
            self._owed -= self._begins[index]

    def alive(self, index: int) -> int:
        """How many pods there are at a moment."""
        return self._alive[index]

    def met(self, pods: Collection[PodName]) -> None:
        """Something was told of `pods`: their end is known."""
        self._owed.difference_update(pods)


__all__ = ["Life", "Visits", "lives_of_pods"]
