"""How long the runs took of what runs now and then, and would with less CPU."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from analyzer.by_container import by_container
from analyzer.history import Histories

LEAST_RUNS = 3
"""Of fewer runs no usual length is told."""


def usual_run_hours(histories: Histories, index: int, since: datetime) -> float | None:
    """The median length in hours of the runs that began at `since` or later and are over.

    A run is all pods of one owner, from the first that starts to the last that ends. None where the
    source does not say when pods start and end, and of fewer than `LEAST_RUNS`.
    """
    lengths = [
        run.length / pd.Timedelta(hours=1)
        for run in _over(histories, index)
        if run.started >= pd.Timestamp(since)
    ]
    return float(np.median(lengths)) if len(lengths) >= LEAST_RUNS else None


@dataclass(frozen=True)
class Run:
    """A run that is over: how long it took, and the cores that each of its pods used, by step."""

    length: timedelta
    pods: tuple[npt.NDArray[np.float32], ...]

    def length_at(self, cores: float) -> timedelta:
        """How long it would have taken with no more than `cores` for each of its pods.

        A step that used more takes as much longer; the slowest pod sets the pace of all.
        """
        slower = [float(np.maximum(1.0, cpu / max(cores, 1e-6)).mean()) for cpu in self.pods]
        return self.length * max(slower, default=1.0)


@by_container
def finished_runs(histories: Histories, wanted: npt.NDArray[np.bool_]) -> list[list[Run]]:
    """The runs within the window that are over, as far as CPU of them was seen, where `wanted`."""
    found: list[list[Run]] = [[] for _ in histories.containers]
    for index in np.flatnonzero(wanted).tolist():
        found[index] = _finished(histories, index)
    return found


def _finished(histories: Histories, index: int) -> list[Run]:
    usage = histories.usage
    low, high = usage.bounds[index : index + 2]
    seen = {usage.pods[series]: series for series in range(low, high)}
    found = []
    for run in _over(histories, index):
        used = []
        for pod in run.pods:
            if pod in seen:
                cpu = usage.cpu_cores[usage.offset[seen[pod]] : usage.offset[seen[pod] + 1]]
                used.append(cpu[~np.isnan(cpu)])
        used = [cpu for cpu in used if len(cpu)]
        if used:
            found.append(Run(run.length.to_pytimedelta(), tuple(used)))
    return found


class _Over(NamedTuple):
    """A run that is over: its pods, from the first that started to the last that ended."""

    pods: list[str]
    started: pd.Timestamp
    ended: pd.Timestamp

    @property
    def length(self) -> pd.Timedelta:
        return self.ended - self.started


def _over(histories: Histories, index: int) -> Iterator[_Over]:
    """The runs that are over, pods of one owner being one, in the order of their names."""
    pods = histories.pods_of(index)
    table = pods.loc[pods["started"].notna(), ["owner", "pod", "started", "ended"]]
    owners = table["owner"].fillna(table["pod"]).astype(str)
    # Taken out of pandas at once: a frame per run costs more than all else that is done with it.
    runs: dict[str, list[tuple[str, pd.Timestamp, pd.Timestamp]]] = {}
    columns = (table[name].tolist() for name in ("pod", "started", "ended"))
    for owner, *pod in zip(owners.tolist(), *columns, strict=True):
        runs.setdefault(owner, []).append(tuple(pod))
    for _, run in sorted(runs.items()):
        names, started, ended = zip(*run, strict=True)
        if not any(end is pd.NaT for end in ended):
            yield _Over(list(names), min(started), max(ended))
