"""Where things stand on the chart of a cluster, and what all its panels draw from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from analyzer.history import Histories, Skipped
from analyzer.models.demand import Resource
from analyzer.plots.text import plain, shorten
from analyzer.recommend import Recommendation, totals
from analyzer.report import tally

Array = npt.NDArray[np.float64]

WIDTH, HEIGHT = 1650, 1230

# Positions in pixels from the upper left corner.
LEFT, MIDDLE, RIGHT = 60, 880, 1600
UPPER, LOWER = 150, 690
TITLES: dict[Resource, str] = {"cpu": "CPU", "memory": "Memory"}


@dataclass(frozen=True)
class Facts:
    """What the words and panels say, computed once."""

    cluster: str
    recommendations: tuple[Recommendation, ...]
    counts: str
    histories: Histories
    totals: Mapping[str, tuple[int, int]]

    def requested(self, resource: Resource) -> tuple[int, int]:
        """Requests now and proposed, over all replicas, in millicores or bytes."""
        return self.totals[f"{resource}_request"]


def gather(
    recommendations: Sequence[Recommendation], skipped: Sequence[Skipped], histories: Histories
) -> Facts:
    """What the chart of these recommendations says, from `histories` read for them."""
    return Facts(
        cluster=shorten(plain(histories.meta.cluster), 48),
        recommendations=tuple(recommendations),
        counts=tally(recommendations, skipped),
        histories=histories,
        totals=totals(recommendations),
    )


def total_used(facts: Facts, resource: Resource) -> tuple[Array, npt.NDArray[np.bool_]]:
    """Use of all recommended containers per step (cores or bytes), and which steps are whole.

    A step with far fewer samples than usual is an outage of monitoring, not a calm cluster.
    """
    usage = facts.histories.usage
    samples = usage.cpu_cores if resource == "cpu" else usage.memory_bytes
    total, count = np.zeros(usage.steps), np.zeros(usage.steps)
    for recommendation in facts.recommendations:
        index = facts.histories.position[recommendation.ref]
        values = samples[usage.span(index)]
        known = ~np.isnan(values)
        steps = usage.sample_steps(index)[known]
        total += np.bincount(steps, weights=values[known], minlength=usage.steps)
        count += np.bincount(steps, minlength=usage.steps)
    usual = float(np.median(count[count > 0])) if (count > 0).any() else 0.0
    return total, count > 0.5 * usual
