"""Values paths of widely used charts, each found by rendering the chart with an odd value there."""

from __future__ import annotations

from dataclasses import dataclass

from analyzer.gitops.tree import Path


@dataclass(frozen=True, slots=True)
class ChartRule:
    """One container of a chart and the values path of its `resources`.

    `workload` may hold ``{release}`` and ``{fullname}``, the latter as `chart.fullname` works it
    out from the chart's name and the overrides among the values.
    """

    kind: str
    workload: str
    container: str
    path: Path


CHARTS: dict[str, tuple[ChartRule, ...]] = {}
