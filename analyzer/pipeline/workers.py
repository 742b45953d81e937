"""Who works on the containers of a run: processes here, or the workers of a scheduler."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from analyzer.by_container import Workers
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
LEAST_SAMPLES = 8_000_000
"""Of fewer in all, processes save no time and take a third more CPU to begin and answer: two weeks
of some 2,000 containers (`benchmarks/growth --workers`)."""


@contextmanager
def workers_for(histories: Histories, config: Config) -> Iterator[Workers]:
    """Who works on `histories`, until the block ends: workers of a scheduler that runs, where one
    is set, else as many processes here as pay and as there is memory for.

    Workers on this machine would be sent what processes see anyway.
    """
    address = config.engine.address
    if address is None or address.url is None or _are_few(histories):
        found = Forked(processes_for(histories, config))
        del histories  # which the block may want to let go of
        yield found
        return
    from analyzer.engine.held import Held
    from analyzer.engine.workers import workers_of

    with workers_of(config.engine) as workers:
        held = Held.of(workers, histories)
        del histories
        yield held


def _are_few(histories: Histories) -> bool:
    return len(histories.usage.cpu_cores) < LEAST_SAMPLES


def processes_for(histories: Histories, config: Config) -> int:
    """How many processes of this machine work on `histories`, this one included."""
    if _are_few(histories):
        return 1
    most = min(usable_cores(), MOST_PROCESSES)
    budget = budget_of(config)
    if budget is None:
        return most
    left = budget.bytes - BASE.bytes - len(histories) * PER_CONTAINER.bytes
    return max(1, min(most, 1 + left // PER_PROCESS.bytes))
