"""Shards: a cluster in parts by namespace, each to be read by a process that knows of no other."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from analyzer.errors import UsageError

MOST = 1000
_FEW = 0.01
"""A share of pods without owner that is no news: they lived between two scrapes."""


@dataclass(frozen=True, slots=True)
class Shard:
    """Part `index` of `count`, from 0 on, as the pods of an Indexed Job are numbered.

    A namespace belongs to a shard by its name alone, so that processes need not agree on anything
    but their number; all of a workload lies in its namespace, and so in one shard.
    """

    index: int
    count: int

    def __post_init__(self) -> None:
        if not (1 <= self.count <= MOST and 0 <= self.index < self.count):
            raise UsageError(
                f"a shard is INDEX/COUNT with an index from 0 on below a count of at most {MOST}, "
                f"such as 0/4 to 3/4; found {self}"
            )

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"

    def owns(self, namespace: str) -> bool:
        """Whether `namespace` belongs to this shard."""
        digest = hashlib.sha256(namespace.encode()).digest()
        return int.from_bytes(digest[:8]) % self.count == self.index


@dataclass(frozen=True, slots=True)
class Strangers:
    """Pods that stand for themselves, because nobody told their owner, of a time from `since` on.

    Whether they are many is a question to the whole cluster: `owned` is how many of its pods have
    an owner, and nought where it was not asked, because they are few among their own.
    """

    since: datetime
    pods: int
    example: tuple[str, str]
    """Namespace and name of the first of them."""
    owned: int = 0

    @property
    def many(self) -> bool:
        """Whether they are more than what lives between two scrapes."""
        return self.pods > _FEW * self.owned

    def __str__(self) -> str:
        return (
            f"{self.pods} pods have no owner series and stand for themselves, for example "
            f"{'/'.join(self.example)}; let kube-state-metrics see all pods"
        )


def whole_of(told: Iterable[Strangers]) -> list[Strangers]:
    """The strangers of a cluster, one of each time, as its shards `told` of them."""
    found: dict[datetime, list[Strangers]] = {}
    for strangers in told:
        found.setdefault(strangers.since, []).append(strangers)
    return [
        Strangers(
            since,
            sum(each.pods for each in parts),
            min(each.example for each in parts),
            max(each.owned for each in parts),
        )
        for since, parts in sorted(found.items())
    ]


@dataclass(frozen=True, slots=True)
class ShardOf:
    """What the recording of one shard says of how it was made, to be held against the others."""

    shard: Shard
    version: str
    """The version of this package that recorded it."""
    known: str
    """A digest of all namespaces that were known and of the choice among them: a shard that knew,
    or was asked for, others may lack some."""
    strangers: tuple[Strangers, ...] = ()

    def among(self, only: Iterable[str], never: Iterable[str]) -> ShardOf:
        """The same where `only` these namespaces were asked for, and `never` those."""
        choice = [*(f"only {name}" for name in only), *(f"never {name}" for name in never)]
        return replace(self, known=digest_of([self.known, *choice])) if choice else self


def parse_shard(text: str) -> Shard:
    """``1/4``. Raises `UsageError` for anything else."""
    found = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text, re.ASCII)
    if found is None:
        raise UsageError(f"a shard is INDEX/COUNT, such as 0/4 to 3/4; found {text!r}")
    return Shard(*map(int, found.groups()))


def digest_of(namespaces: Iterable[str]) -> str:
    """What tells one set of names from another."""
    return hashlib.sha256("\n".join(sorted(namespaces)).encode()).hexdigest()[:16]
