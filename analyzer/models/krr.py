"""The baseline `krr`: the simple strategy of Robusta KRR 1.29.

Source: robusta-dev/krr, robusta_krr/strategies/simple.py. CPU request: the largest over pods of
each pod's 95th percentile, no CPU limit. Memory request and limit: the largest usage of any pod,
plus 15 %. At least 10m and 100 MiB, at least 100 samples. Opt-in there and on here, as a fair
baseline needs it: after an OOM kill, at least 1.25 times the limit it was killed at. It states no
risk, so every level of the demand is the same.
"""

from __future__ import annotations

from datetime import timedelta

import numpy as np

from analyzer.history import Histories
from analyzer.models.demand import Demand
from analyzer.models.vpa import flat_demand

CPU_PERCENTILE = 95.0
MEMORY_BUFFER = 1.15
OOM_BUFFER = 1.25
LEAST_CPU, LEAST_MEMORY = 0.010, 100.0 * 1024**2
LEAST_SAMPLES = 100


class Krr:
    """p95 of the busiest pod, and the highest memory plus 15 %."""

    name = "krr"
    sweep = "margin"

    def __init__(self, *, plain: bool = False) -> None:
        self.plain = plain
        """Without margin and floors: the bare statistic, which a sweep of margins starts from."""

    def fit(self, histories: Histories, horizon: timedelta) -> Demand:
        """State KRR's requests for each container; `horizon` does not matter to it."""
        count = len(histories)
        cpu, memory = np.full(count, np.nan), np.full(count, np.nan)
        for index in range(count):
            cpu[index], memory[index] = _one(histories, index)
        if self.plain:
            return flat_demand(self.name, histories, horizon, cpu, memory)
        memory = memory * MEMORY_BUFFER
        kills = histories.events[histories.events["kind"] == "oom_kill"]
        limits = kills.groupby("index")["value"].max().dropna()
        hit = limits.index.to_numpy(dtype=np.int64)
        memory[hit] = np.fmax(memory[hit], OOM_BUFFER * limits.to_numpy())
        # Up to a millicore, but for the last bits of single precision.
        cpu = np.maximum(np.ceil(np.maximum(cpu, LEAST_CPU) * 1000 - 1e-3) / 1000, LEAST_CPU)
        memory = np.ceil(np.maximum(memory, LEAST_MEMORY) / 1024**2) * 1024**2
        return flat_demand(self.name, histories, horizon, cpu, memory)


def _one(histories: Histories, index: int) -> tuple[float, float]:
    usage = histories.usage
    busiest, highest, samples = np.nan, np.nan, 0
    for series in range(int(usage.bounds[index]), int(usage.bounds[index + 1])):
        where = slice(int(usage.offset[series]), int(usage.offset[series + 1]))
        cpu = usage.cpu_cores[where]
        cpu = cpu[~np.isnan(cpu)]
        if len(cpu):
            busiest = np.fmax(busiest, np.percentile(cpu, CPU_PERCENTILE))
        memory = usage.memory_bytes[where]
        memory = memory[~np.isnan(memory)]
        if len(memory):
            highest = np.fmax(highest, memory.max())
        samples += max(len(cpu), len(memory))
    if samples < LEAST_SAMPLES:
        return np.nan, np.nan
    return float(busiest), float(highest)
