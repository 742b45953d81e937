"""What a model says: how much each container will need until the next review, at which risk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from analyzer.history import Histories

Resource = Literal["cpu", "memory"]
RESOURCES: tuple[Resource, ...] = ("cpu", "memory")
Array = npt.NDArray[np.float64]

RISKS: Array = np.array(
    [
        *(0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.003, 0.005, 0.007),
        *(0.01, 0.015, 0.02, 0.03, 0.05, 0.07, 0.1, 0.15, 0.2, 0.3, 0.5),
    ]
)
"""The risks at which every model states its demand, ascending; between them it is interpolated."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a trail: what was there before, what after, and why.

    `before` and `after` are text as a person reads it, empty where there is none.
    """

    name: str
    before: str
    after: str
    reason: str


@dataclass(frozen=True)
class Demand:
    """Demand of every container until the next review (`horizon`), per resource and risk.

    ``levels[resource]`` has the shape (containers, len(RISKS)): cores or bytes, falling with the
    risk; a row of NaN means that the model cannot tell, and ``reasons[resource][i]`` says why.
    For memory a level is what the highest working set of any pod exceeds with that chance; for
    CPU, what usage exceeds in that share of the time.
    ``trails[resource][i]`` are the steps that led there.
    """

    model: str
    horizon: timedelta
    levels: Mapping[Resource, Array]
    trails: Mapping[Resource, tuple[tuple[Step, ...], ...]]
    reasons: Mapping[Resource, Mapping[int, str]] = field(default_factory=dict)
    findings: Mapping[Resource, tuple[str, ...]] = field(default_factory=dict)
    """One word per container for what its history looks like (steady, leak, growth, ...)."""
    growth: Mapping[Resource, Array] = field(default_factory=dict)
    """Per container, by how much usage clearly grows a day, in logarithms; zero where not."""
    recent: Mapping[Resource, Array] = field(default_factory=dict)
    """Per container, how many days back its history counts: since its level or its image changed.
    NaN where all of it does."""
    confidence: Array | None = None
    """Per container, 0 to 1: how far its own history carries the statement."""

    def at(self, resource: Resource, risk: float | Array) -> Array:
        """Demand of every container at `risk` (one for all, or one per container).

        Interpolated linearly in the logarithm of the risk; risks beyond the table take its ends.
        """
        levels = self.levels[resource]
        wanted = np.clip(np.broadcast_to(risk, len(levels)), RISKS[0], RISKS[-1])
        right = np.clip(np.searchsorted(RISKS, wanted), 1, len(RISKS) - 1)
        low, high = np.log(RISKS[right - 1]), np.log(RISKS[right])
        share = (np.log(wanted) - low) / (high - low)
        rows = np.arange(len(levels))
        result: Array = (1 - share) * levels[rows, right - 1] + share * levels[rows, right]
        return result

    def risk_of(self, resource: Resource, index: int, level: float) -> float | None:
        """The risk of container `index` at `level`: what `at` turned around.

        Levels beyond the table give its ends. None where no risk is stated: the model cannot
        tell, or says the same at every risk.
        """
        levels = self.levels[resource][index]
        if np.isnan(levels).any() or levels[0] <= levels[-1]:
            return None
        # np.interp wants rising abscissae, and levels fall with the risk.
        return float(np.exp(np.interp(level, levels[::-1], np.log(RISKS)[::-1])))


class Model(Protocol):
    """A way to turn histories into demand. All containers are fitted at once."""

    name: str

    def fit(self, histories: Histories, horizon: timedelta) -> Demand:
        """State the demand of every container for `horizon` after the end of the window."""
        ...


@runtime_checkable
class Learner(Model, Protocol):
    """A model that uses what lies before its window to learn, where there is any."""

    def within(self, window: timedelta) -> Model:
        """The same model, whose demand rests on the last `window` of what it is given."""
        ...
