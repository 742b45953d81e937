"""How many processes work on the containers of a run."""

from __future__ import annotations

from dataclasses import replace

from analyzer.config import Config
from analyzer.cores import usable_cores
from analyzer.forked import Forked
from analyzer.history import Histories
from analyzer.pipeline.memory import BASE, PER_CONTAINER
from analyzer.pipeline.reading import budget_of
from analyzer.quantity import Memory

PER_PROCESS = Memory(150 * 2**20)
"""What a further process takes besides what it shares: its part of what it works out, and a copy of
each page that it or the first process writes to (`benchmarks/growth`)."""
MOST_PROCESSES = 8
"""What cannot be shared out takes longer than what is left to share."""
LEAST_SAMPLES = 400_000
"""Fewer in all are worked on in the time that processes take to begin and to answer."""


def with_workers(histories: Histories, config: Config) -> Histories:
    """The same histories, worked on by as many processes as pay and as there is memory for."""
    return replace(histories, workers=Forked(processes_for(histories, config)))


def processes_for(histories: Histories, config: Config) -> int:
    """How many processes work on `histories`, this one included."""
    if len(histories.usage.cpu_cores) < LEAST_SAMPLES:
        return 1
    most = min(usable_cores(), MOST_PROCESSES)
    budget = budget_of(config)
    if budget is None:
        return most
    left = budget.bytes - BASE.bytes - len(histories) * PER_CONTAINER.bytes
    return max(1, min(most, 1 + left // PER_PROCESS.bytes))
