"""What starts took: CPU in the first minutes of every pod that began, or began anew."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pandas as pd

from analyzer.by_container import by_container
from analyzer.history import Histories

START = timedelta(minutes=15)
"""So long after it began, what a container uses counts as its start."""
_TARDY = 1 / 24
"""Days after the first sample of the window from which on a pod is taken to have started in it."""


def first_step(histories: Histories) -> int:
    """The first step of which anything of any container was read."""
    return int(_first_steps(histories).min(initial=histories.usage.steps))


@by_container
def _first_steps(histories: Histories) -> npt.NDArray[np.int64]:
    usage = histories.usage
    first = np.full(len(histories), usage.steps)
    np.minimum.at(first, usage.container, usage.first)
    return first


@by_container
def start_works(
    histories: Histories, wanted: npt.NDArray[np.bool_], *, since: int
) -> list[float | None]:
    """The core-seconds that the heaviest start took beyond usual use; None where none was seen.

    Of those that are `wanted`; usage of the cluster begins at step `since`. Counted up to the
    first step that is as calm as half of all: what follows is no start.
    """
    starts = Starts(histories, since)
    return [starts.work(index) if wanted[index] else None for index in range(len(wanted))]


class Starts:
    """The starts within the window of `histories`, where usage of the cluster begins at `since`."""

    def __init__(self, histories: Histories, since: int) -> None:
        self.histories = histories
        self.late = since + _TARDY * histories.usage.steps_per_day

    def any(self, index: int) -> bool:
        """Whether a pod began within the window, not with it; init containers begin every pod."""
        usage = self.histories.usage
        series = slice(*usage.bounds[index : index + 2])
        init = self.histories.spec(index).container_type == "init"
        return bool((usage.first[series] > self.late).any()) or init

    def work(self, index: int) -> float | None:
        """See `start_works`."""
        usage = self.histories.usage
        usual = np.nanmedian(usage.cpu_cores[usage.span(index)])
        found = []
        for part in self.of(index):
            calm = np.flatnonzero(np.nan_to_num(part) <= usual)
            burst = part[: calm[0]] if len(calm) else part
            found.append(float(np.nansum(burst - usual)) * usage.step.total_seconds())
        return max(found, default=None)

    def of(self, index: int) -> Iterator[npt.NDArray[np.float32]]:
        """CPU in the first minutes of each pod that began in the window, or began anew."""
        usage = self.histories.usage
        length = max(1, round(START / usage.step))
        restarts = self.again.get(index, {})
        for series in range(*usage.bounds[index : index + 2]):
            first, cpu = int(usage.first[series]), usage.cpu_cores[usage.offset[series] :]
            cpu = cpu[: usage.offset[series + 1] - usage.offset[series]]
            again = (*restarts.get(usage.pods[series], ()), *restarts.get("", ()))
            begins = [step - first for step in again if step >= first]
            begins += [0] if first > self.late else []
            for begin in begins:
                part = cpu[max(0, begin) : max(0, begin + length)]
                if len(part) and not np.isnan(part).all():
                    yield part

    @cached_property
    def again(self) -> dict[int, dict[str, list[int]]]:
        """The steps in which each container began anew, by pod; by ``""`` where none is told."""
        usage, events = self.histories.usage, self.histories.events
        again = events[events["kind"].isin(("restart", "oom_kill"))]
        steps = (again["timestamp"] - pd.Timestamp(usage.start)) // usage.step
        found: dict[int, dict[str, list[int]]] = {}
        for index, pod, step in zip(again["index"], again["pod"].fillna(""), steps, strict=True):
            found.setdefault(int(index), {}).setdefault(str(pod), []).append(int(step))
        return found
