"""What came after a review, container by container: usage, and how much of it lay above levels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from analyzer.backtest.score import Array, Floats
from analyzer.backtest.sweep import Samples, by_hindsight
from analyzer.by_container import by_container, join, part
from analyzer.history import Histories
from analyzer.models.demand import Resource
from analyzer.usage import Usage

CPU_ORACLE = 0.95


@dataclass(frozen=True)
class Outcome:
    """What came of each container between two steps."""

    came: dict[str, Array]
    """By the fields of `analyzer.backtest.score.Came`."""
    hindsight: Floats
    """What whoever knew it would have set, as `by_hindsight` has it."""
    above: Floats
    """How many samples lay above each level, those by hindsight last; NaN where either is none."""


@by_container
def outcome(
    histories: Histories,
    levels: tuple[Array | Floats, ...],
    *,
    resource: Resource,
    begin: int,
    stop: int,
) -> Outcome:
    """Hold what came of a `resource` between two steps against `levels`, (containers,) each.

    In pieces, for a copy of what a whole cluster did in a week is larger than what is found.
    """
    pieces = histories.usage.pieces(begin, stop)
    return join([_outcome_of(part(levels, rows), usage, resource) for rows, usage in pieces])


def _outcome_of(levels: Sequence[Array | Floats], usage: Usage, resource: Resource) -> Outcome:
    samples = _sorted(usage, resource)
    hindsight = by_hindsight(samples, resource)
    above = _above([*levels, *hindsight.T], samples)
    return Outcome(_came(usage, resource, samples), hindsight, above)


def _sorted(usage: Usage, resource: Resource) -> Samples:
    """All that was seen of each container, in rising order."""
    values = usage.cpu_cores if resource == "cpu" else usage.memory_bytes
    each = (values[usage.span(index)] for index in range(len(usage.containers)))
    return [np.sort(samples[~np.isnan(samples)]) for samples in each]


def _came(usage: Usage, resource: Resource, samples: Samples) -> dict[str, Array]:
    """What came of each container; `samples` are its own, sorted."""
    values = usage.cpu_cores if resource == "cpu" else usage.memory_bytes
    mean, oracle, pods = (np.full(len(samples), np.nan) for _ in range(3))
    for index, seen in enumerate(samples):
        if len(seen):
            mean[index] = seen.mean(dtype=np.float64)
            rank = int(np.ceil(CPU_ORACLE * len(seen))) - 1 if resource == "cpu" else -1
            oracle[index] = seen[rank]
            present = ~np.isnan(values[usage.span(index)])
            pods[index] = len(seen) / len(usage.seen_steps(index, present))
    number = np.array([len(values) for values in samples], dtype=np.float64)
    return {"samples": number, "mean": mean, "oracle": oracle, "pods": pods}


def _above(levels: Sequence[Array | Floats], samples: Samples) -> Floats:
    # Compared in the samples' own precision, or a level equal to a peak falls below.
    stacked = np.array(levels, dtype=np.float32).T.reshape(len(samples), len(levels))
    above = np.full(stacked.shape, np.nan, dtype=np.float32)
    for index, values in enumerate(samples):
        if len(values):
            above[index] = len(values) - np.searchsorted(values, stacked[index], side="right")
    above[np.isnan(stacked)] = np.nan
    return above
