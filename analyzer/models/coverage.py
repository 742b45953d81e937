"""Which containers a model can speak of at all, and how far their own history carries it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from analyzer.by_container import by_container
from analyzer.history import Histories
from analyzer.kinds import runs_now_and_then
from analyzer.models.demand import RESOURCES, Array, Resource

LEAST_MINUTES = 60
GONE_DAYS = 2.0
"""A workload that runs all the time and was not seen for longer is taken as gone."""
_FULL_DAYS = 14.0


def reasons(histories: Histories) -> dict[Resource, dict[int, str]]:
    """Why a resource of a container cannot be judged, by index; nothing where it can."""
    return {
        resource: {index: why for index, why in enumerate(whys) if why}
        for resource, whys in _reasons_of_each(histories).items()
    }


@by_container
def _reasons_of_each(histories: Histories) -> dict[Resource, list[str]]:
    found: dict[Resource, list[str]] = {resource: [] for resource in RESOURCES}
    for index in range(len(histories)):
        steps = histories.usage.sample_steps(index)
        for resource in RESOURCES:
            found[resource].append(_reason(histories, index, resource, steps))
    return found


def _reason(
    histories: Histories, index: int, resource: Resource, sampled: npt.NDArray[np.int64]
) -> str:
    """Why, where the samples of all pods were taken in the steps that are `sampled`."""
    steps = _observed_steps(histories, index, resource, sampled)
    if not len(steps):
        return f"no {resource} usage was observed in the window"
    usage = histories.usage
    minutes = usage.step.total_seconds() / 60
    passing = _passing(histories, index)
    if len(steps) * minutes < LEAST_MINUTES and not passing:
        return f"only {len(steps) * minutes:.0f} minutes of history; it takes an hour"
    silent = (usage.steps - 1 - int(steps[-1])) / usage.steps_per_day
    if silent > GONE_DAYS and not passing:
        return f"no sample in the last {silent:.0f} days: it seems gone"
    return ""


def _passing(histories: Histories, index: int) -> bool:
    ref = histories.containers[index]
    return runs_now_and_then(ref.kind) or histories.spec(index).container_type == "init"


def _observed_steps(
    histories: Histories, index: int, resource: Resource, sampled: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """The steps with a sample of any pod, ascending, each once."""
    usage, where = histories.usage, histories.usage.span(index)
    values = usage.cpu_cores[where] if resource == "cpu" else usage.memory_bytes[where]
    marked = np.zeros(usage.steps, dtype=np.bool_)
    marked[sampled[~np.isnan(values)]] = True
    return np.flatnonzero(marked)


def confidence(histories: Histories) -> Array:
    """Per container, 0 to 1: rises with the days that were observed, fully after two weeks."""
    days = (histories.daily.samples > 0).sum(axis=1)
    memory = (~np.isnan(histories.daily.memory_peak)).sum(axis=1)
    result: Array = np.sqrt(np.clip(np.maximum(days, memory) / _FULL_DAYS, 0.0, 1.0))
    return result
