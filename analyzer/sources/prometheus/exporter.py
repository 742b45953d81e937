"""Several exporters that tell of the same objects, of which one is believed.

Beside kube-state-metrics, cost tools (OpenCost, Kubecost) export series of its names with values of
their own, and a second kube-state-metrics may run. Shards, each for some namespaces or some pods,
are several as well: what only one tells is taken from there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Points = Sequence[tuple[float, Any]]
"""Times (Unix seconds) and what held then."""


def exporter(labels: Mapping[str, str]) -> str:
    """Who exported a series: its scrape job, empty where the label is missing."""
    return labels.get("job", "")


@dataclass
class Exporters:
    """Who told what, and whom to believe where two differ.

    The one that tells of most kinds of things counts first, because a cost tool repeats some of
    them only; then one with the name of kube-state-metrics, then the one with most series.
    """

    families: dict[str, set[str]] = field(default_factory=dict)
    series: Counter[str] = field(default_factory=Counter)
    contradicted: dict[str, set[object]] = field(default_factory=dict)
    """What each told differently than a better one."""

    def meet(self, labels: Mapping[str, str]) -> None:
        """Note that a series was seen; ``__name__`` says of which kind."""
        who = exporter(labels)
        self.families.setdefault(who, set()).add(labels.get("__name__", ""))
        self.series[who] += 1

    def ranked(self, names: Mapping[str, object]) -> list[str]:
        """`names` of exporters, the most believable first."""
        return sorted(names, key=self._rank)

    def merge(self, what: object, told: Mapping[str, Points]) -> dict[float, Any]:
        """What held when: the best exporter's word; another's only where it never differs.

        Agreeing exporters fill each other's gaps: one was renamed, or was away.
        """
        known: dict[float, Any] = {}
        for who in self.ranked(told):
            if what in self.contradicted.get(who, ()):
                continue
            if any(known.get(time, value) != value for time, value in told[who]):
                self.contradicted.setdefault(who, set()).add(what)
            else:
                known = {**dict(told[who]), **known}
        return known

    def notes(self) -> Iterator[str]:
        """A sentence for each exporter that was not believed."""
        for who, things in sorted(self.contradicted.items()):
            best = self.ranked(self.families)[0]
            yield (
                f"the exporter {who or '(no job)'} tells {len(things)} requests, limits or images "
                f"otherwise than {best or '(no job)'}, which counts"
            )

    def _rank(self, who: str) -> tuple[int, bool, int, str]:
        kinds = len(self.families.get(who, ()))
        return -kinds, "kube-state-metrics" not in who, -self.series[who], who


__all__ = ["Exporters", "exporter"]
