"""The risk that nodes bear: where requests pack pods too tightly, those near mean use are raised.

A scheduler fills nodes by requests. Where these sum to little more than what is used, nodes run
short however well each container fits its own request. So the pods are packed by what is proposed,
the sum of what they used lately is held against the node, and where it passes the node more often
than `node_risk` allows, no request stays below a multiple of the mean use of its container.
Requests far above their mean use are left alone: their room is what others may take.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from analyzer.by_container import by_container
from analyzer.history import Histories
from analyzer.placement import LATELY, Slots, common_node, passed, slots_of
from analyzer.quantity import Cpu, Memory, TargetName
from analyzer.recommend.case import Bound, Facts
from analyzer.recommend.recommendation import Recommendation

Array = npt.NDArray[np.float64]

NODE_RISK = "node risk"
MULTIPLES = (0.0, *(0.8 * 1.1**step for step in range(36)))
"""Of mean use, what requests are at least: nothing, or from 0.8 to 22 times, but no more than the
peak: where every pod asks for its peak no node runs short, so that few need as much."""
_TARGETS: tuple[TargetName, TargetName] = ("cpu_request", "memory_request")
_SHORT = (
    "nodes would lack CPU for {:.2%} of the time",
    "usage would pass the memory of {:.1%} of the nodes within a week",
)


@dataclass(frozen=True)
class _Tried:
    """Pods, a node, and what each container asks for and used: (containers, 2), cores and bytes."""

    slots: Slots
    node: tuple[float, float]
    asked: Array
    mean: Array
    """NaN for containers that are not to be raised."""
    peak: Array

    def least(self, multiple: float, resource: int) -> Array:
        """The least request of each container; no more than its peak, which is all that it used."""
        return np.fmin(multiple * self.mean[:, resource], self.peak[:, resource])

    def short(self, multiples: tuple[float, float]) -> tuple[float, float]:
        """How often usage passes the nodes that such requests fill; see `Pressure`."""
        with_floors = [np.fmax(self.asked[:, n], self.least(m, n)) for n, m in enumerate(multiples)]
        return passed(self.slots, (with_floors[0], with_floors[1]), self.node)


def node_floors(
    histories: Histories, found: Mapping[int, Recommendation], facts: Mapping[int, Facts]
) -> dict[int, tuple[Bound, ...]]:
    """Lower bounds under which nodes run short no more often than the strictest policy allows.

    For containers whose policy asks for it. None where none does, where the cluster tells of no
    nodes, and where nodes do not run short. Where no multiple is enough, the highest holds.
    """
    risks = {i: one.policy.node_risk for i, one in facts.items()}
    asking = [index for index, risk in risks.items() if risk is not None]
    risk = min((risk for risk in risks.values() if risk is not None), default=0.0)
    tried = _to_try(histories, found, asking) if asking else None
    if tried is None:
        return {}
    bounds: dict[int, tuple[Bound, ...]] = {}
    cpu = _least_multiple(lambda m: tried.short((m, 0.0))[0], risk)
    memory = _least_multiple(lambda m: tried.short((cpu, m))[1], risk)
    before = tried.short((0.0, 0.0))
    for resource, multiple in enumerate((cpu, memory)):
        if multiple:
            reason = (
                f"packed by what is proposed, {_SHORT[resource].format(before[resource])}, and "
                f"node_risk allows {risk:.2%}: at least {multiple:.2g} x its mean use, or its peak"
            )
            for index, bound in _bounds(tried.least(multiple, resource), resource, reason):
                bounds[index] = (*bounds.get(index, ()), bound)
    return bounds


def _to_try(
    histories: Histories, found: Mapping[int, Recommendation], asking: Sequence[int]
) -> _Tried | None:
    """The pods of late and their requests; None where there are none, or no node is known."""
    node, assumed = common_node(histories)
    steps = min(histories.usage.steps, round(LATELY / histories.usage.step))
    recent = histories.between(histories.usage.steps - steps, histories.usage.steps)
    slots = slots_of(recent)
    if assumed or not slots.owner:
        return None
    asked, mean, peak = (np.full((len(histories), 2), np.nan) for _ in range(3))
    means, peaks = _means_and_peaks(recent)
    mean[asking], peak[asking] = means[asking], peaks[asking]
    for index in range(len(histories)):
        one = found[index].proposed if index in found else histories.spec(index).resources
        asked[index] = [
            one.cpu_request.cores if one.cpu_request else np.nan,
            one.memory_request.bytes if one.memory_request else np.nan,
        ]
    return _Tried(slots, node, asked, mean, peak)


@by_container
def _means_and_peaks(histories: Histories) -> tuple[Array, Array]:
    """Mean and peak of all samples of CPU and memory, (containers, 2) each; NaN: not seen."""
    usage = histories.usage
    mean, peak = (np.full((len(histories), 2), np.nan) for _ in range(2))
    for index, where in enumerate(map(usage.span, range(len(histories)))):
        for resource, values in enumerate((usage.cpu_cores, usage.memory_bytes)):
            seen = values[where][~np.isnan(values[where])]
            if len(seen):
                mean[index, resource] = seen.mean(dtype=np.float64)
                peak[index, resource] = seen.max()
    return mean, peak


def _least_multiple(short: Callable[[float], float], risk: float) -> float:
    """The least of `MULTIPLES` that is enough, by bisection; the last one where none is."""
    low, high = 0, len(MULTIPLES) - 1
    if short(MULTIPLES[0]) <= risk:
        return MULTIPLES[0]
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if short(MULTIPLES[middle]) <= risk else (middle + 1, high)
    return MULTIPLES[high]


def _bounds(least: Array, resource: int, reason: str) -> Iterator[tuple[int, Bound]]:
    """The bounds of one resource by container, where it was seen."""
    for index in np.flatnonzero(~np.isnan(least)).tolist():
        value = float(least[index])
        amount = Memory.from_bytes(value) if resource else Cpu.from_cores(value)
        yield index, Bound(_TARGETS[resource], amount, reason, NODE_RISK)
