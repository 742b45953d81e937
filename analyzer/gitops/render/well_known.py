"""Values paths of widely used charts.

Each row of `charts.csv` was found by rendering the chart with an odd amount at that path, with
different release names, and looking where the amount landed. `scripts/refresh_charts.py` does that
anew, and writes down from which version to which a row was seen to hold. A row is used when the
chart itself is not at hand.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from analyzer.gitops.render.app_template import fullname
from analyzer.gitops.text.tree import Path as KeyPath

TABLE = Path(__file__).with_name("charts.csv")


@dataclass(frozen=True, slots=True)
class ChartRule:
    """One container of a chart and the values path of its `resources`, with dots.

    `workload` and `container` may hold ``{release}`` and ``{fullname}``. The full name is that of
    the subchart `part` where the container comes from one, cut to `limit` characters. The row was
    seen to hold from version `oldest` to `newest`; empty where no version was rendered.
    """

    kind: str
    workload: str
    container: str
    values: str
    part: str = ""
    limit: int = 63
    oldest: str = ""
    newest: str = ""

    @property
    def path(self) -> KeyPath:
        """The values path as keys."""
        return tuple(self.values.split("."))

    def tested(self, oldest: str, newest: str) -> ChartRule:
        """The row with other versions."""
        return replace(self, oldest=oldest, newest=newest)

    def covers(self, version: str | None) -> bool:
        """Whether the row was seen to hold about that version: later ones of its major count."""
        oldest, newest = _series(self.oldest), _series(self.newest)
        asked = _series(version or "")
        return bool(oldest and asked) and oldest <= asked <= newest

    def names(self, release: str, chart: str, values: Mapping[str, object]) -> tuple[str, str]:
        """The workload's and the container's name in a release with these values."""
        scope = values.get(self.part, {}) if self.part else values
        own = scope if isinstance(scope, dict) else {}
        full = fullname(release, self.part or chart, own)[: self.limit].removesuffix("-")
        return (
            self.workload.format(release=release, fullname=full),
            self.container.format(release=release, fullname=full),
        )


@cache
def charts() -> Mapping[str, tuple[ChartRule, ...]]:
    """Every row of the table, by chart."""
    return read_table(TABLE)


def read_table(table: Path) -> dict[str, tuple[ChartRule, ...]]:
    """The rows of a table, by chart."""
    found: dict[str, tuple[ChartRule, ...]] = {}
    with table.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            chart, limit = row.pop("chart"), int(row.pop("limit"))
            found[chart] = (*found.get(chart, ()), ChartRule(**row, limit=limit))
    return found


_OTHERS = (
    "bitnami", "bitnamicharts", "truecharts", "k8s-at-home", "cloudpirates",
    "charts.helm.sh/stable", "kubernetes-charts.storage",
)  # fmt: skip
"""Whose charts bear the names of the table's and are others, as their addresses tell."""


def is_another(source: str) -> bool:
    """Whether a chart from that address, or repository of that name, is not the table's."""
    words = set(re.split(r"[^a-z0-9-]+", source.lower()))
    return any(other in words if "." not in other else other in source for other in _OTHERS)


def _series(version: str) -> tuple[int, ...]:
    """What may change only with a new number: the major, below 1 the minor; empty if open."""
    found = re.fullmatch(r"v?(\d+)\.(\d+)\.(?:\d+|x|\*)(?:[-+].*)?", version)
    numbers = tuple(map(int, found.groups())) if found else ()
    return numbers[:1] if numbers[:1] > (0,) else numbers
