"""What each day showed of each container: peaks of memory, means and quantiles of CPU."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from analyzer.usage import Usage

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Daily:
    """Per container and day, the last 24 hours being the last column; NaN where nothing was seen.

    `memory_peak` is the highest working set of any pod in bytes. `cpu_mean`, `cpu_p95` and
    `cpu_peak` are over all samples of all pods in cores; `samples` counts those.
    """

    memory_peak: Array
    cpu_mean: Array
    cpu_p95: Array
    cpu_peak: Array
    samples: npt.NDArray[np.int64]


def summarise(usage: Usage) -> Daily:
    """Sum up every day of `usage`, counted back from its end."""
    per_day = usage.steps_per_day
    days = -(-usage.steps // per_day)
    shape = (len(usage.containers), days)
    memory_peak, cpu_mean, cpu_p95, cpu_peak = (np.full(shape, np.nan) for _ in range(4))
    samples = np.zeros(shape, dtype=np.int64)
    for index in range(shape[0]):
        where = usage.span(index)
        # Days count back from the end, so that the last column is a whole one.
        day = days - 1 - (usage.steps - 1 - usage.sample_steps(index)) // per_day
        memory, cpu = usage.memory_bytes[where], usage.cpu_cores[where]
        _peaks(memory, day, memory_peak[index])
        seen = ~np.isnan(cpu)
        cpu, day = cpu[seen], day[seen]
        # Days are in order but for where a pod begins; to sort each is a ninth of sorting by both.
        order = np.argsort(day, kind="stable")
        cpu = cpu[order]
        edges = np.searchsorted(day[order], np.arange(days + 1))
        for begin, end in pairwise(edges.tolist()):
            cpu[begin:end].sort()
        count = np.diff(edges)
        have = count > 0
        samples[index] = count
        low, number = edges[:-1][have], count[have]
        cpu_peak[index, have] = cpu[low + number - 1]
        cpu_p95[index, have] = cpu[low + np.ceil(0.95 * number).astype(np.int64) - 1]
        cpu_mean[index, have] = np.add.reduceat(cpu, low) / number if len(low) else 0
    return Daily(memory_peak, cpu_mean, cpu_p95, cpu_peak, samples)


def _peaks(values: npt.NDArray[np.float32], day: npt.NDArray[np.int64], out: Array) -> None:
    if not len(values):
        return
    begins = np.concatenate([[0], np.flatnonzero(np.diff(day)) + 1])
    np.fmax.at(out, day[begins], np.fmax.reduceat(values, begins))
