"""The baseline `krr`: the simple strategy of Robusta KRR 1.29.

Source: robusta-dev/krr, robusta_krr/strategies/simple.py. CPU request: the largest over pods of
each pod's 95th percentile, no CPU limit. Memory request and limit: the largest usage of any pod,
plus 15 %. At least 10m and 100 MiB, at least 100 points of 75 seconds. Opt-in there and on here,
as a fair baseline needs it: after an OOM kill, at least 1.25 times the limit it was killed at. It
states no risk, so every level of the demand is the same.
"""

from __future__ import annotations

from datetime import timedelta

import numpy as np

from analyzer.by_container import by_container
from analyzer.history import Histories
from analyzer.models.demand import Array, Demand, Resource
from analyzer.models.rule import Rule
from analyzer.models.vpa import flat_demand

CPU_PERCENTILE = 95.0
MEMORY_BUFFER = 1.15
OOM_BUFFER = 1.25
LEAST_CPU, LEAST_MEMORY = 0.010, 100.0 * 1024**2
LEAST_POINTS = 100
POINT = timedelta(seconds=75)
"""Its own step; where usage was recorded more coarsely, a sample stands for as many points."""
PERCENTILES = (50.0, 75.0, 90.0, 95.0, 98.0, 99.0, 99.5, 99.9, 100.0)
"""What its users turn ``--cpu_percentile`` to."""


class Krr:
    """p95 of the busiest pod, and the highest memory plus 15 %."""

    name = "krr"

    def fit(self, histories: Histories, horizon: timedelta) -> Demand:
        """State KRR's requests for each container; `horizon` does not matter to it."""
        cpu, memory = _statistics(histories, percentiles=(CPU_PERCENTILE,))
        memory = np.fmax(memory * MEMORY_BUFFER, _after_kills(histories))
        # Up to a millicore, but for the last bits of single precision.
        busiest = np.ceil(np.maximum(cpu[:, 0], LEAST_CPU) * 1000 - 1e-3) / 1000
        memory = np.ceil(np.maximum(memory, LEAST_MEMORY) / 1024**2) * 1024**2
        return flat_demand(self.name, histories, horizon, np.maximum(busiest, LEAST_CPU), memory)

    def rules(self, histories: Histories, known: Histories) -> dict[Resource, list[Rule]]:
        """Every percentile, and the maximum of its window and of all that is known."""
        cpu, memory = _statistics(histories, percentiles=PERCENTILES)
        least, ever = _after_kills(histories), memory
        if known.usage.steps > histories.usage.steps:
            ever = np.fmax(_statistics(known, percentiles=())[1], memory)
        return {
            "cpu": [Rule(f"p{share:g}", cpu[:, n]) for n, share in enumerate(PERCENTILES)],
            "memory": [
                Rule("maximum", memory, least=least),
                Rule("maximum of all that is known", ever, least=least),
            ],
        }


@by_container
def _statistics(histories: Histories, *, percentiles: tuple[float, ...]) -> tuple[Array, Array]:
    """The largest over pods of their percentiles, (containers, percentiles), and of their peaks."""
    cpu = np.full((len(histories), len(percentiles)), np.nan)
    memory = np.full(len(histories), np.nan)
    least = LEAST_POINTS * POINT / histories.usage.step
    for index in range(len(histories)):
        samples, busiest, highest = _one(histories, index, percentiles)
        if samples >= least:
            cpu[index], memory[index] = busiest, highest
    return cpu, memory


def _one(
    histories: Histories, index: int, percentiles: tuple[float, ...]
) -> tuple[int, Array, float]:
    usage = histories.usage
    busiest, highest, samples = np.full(len(percentiles), np.nan), np.nan, 0
    for series in range(int(usage.bounds[index]), int(usage.bounds[index + 1])):
        where = slice(int(usage.offset[series]), int(usage.offset[series + 1]))
        cpu = usage.cpu_cores[where]
        cpu = cpu[~np.isnan(cpu)]
        if len(cpu) and percentiles:
            busiest = np.fmax(busiest, np.percentile(cpu, percentiles))
        memory = usage.memory_bytes[where]
        memory = memory[~np.isnan(memory)]
        if len(memory):
            highest = float(np.fmax(highest, memory.max()))
        samples += max(len(cpu), len(memory))
    return samples, busiest, highest


def _after_kills(histories: Histories) -> Array:
    """1.25 times the highest limit each container was killed at; NaN where it was not."""
    found = np.full(len(histories), np.nan)
    kills = histories.events[histories.events["kind"] == "oom_kill"]
    limits = kills.groupby("index")["value"].max().dropna()
    found[limits.index.to_numpy(dtype=np.int64)] = OOM_BUFFER * limits.to_numpy()
    return found
