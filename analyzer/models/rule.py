"""Rules of thumb: what a peer, or anyone with a spreadsheet, would turn into a request.

A rule is one statistic of the past, and a way to add safety to it. None states a risk: a backtest
sweeps the safety and sees which risk comes. The plain rules here take no more than a line to write
down, so a model that does not beat them has earned nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal, Protocol, runtime_checkable

import numpy as np

from analyzer.by_container import by_container
from analyzer.history import Histories
from analyzer.models.demand import RISKS, Array, Model, Resource

LATELY_DAYS = 7
OWN_SHARES = (1 - RISKS)[::-1]


@dataclass(frozen=True)
class Rule:
    """A statistic of every container, (containers,), NaN where it cannot be told.

    `safety` says what is swept: a factor on it, a constant on top of it that is the same for all,
    or nothing. `least` is what the result never lies below, NaN for none.
    """

    setting: str
    levels: Array
    safety: Literal["factor", "constant", "none"] = "factor"
    least: Array | None = None


@runtime_checkable
class Peer(Model, Protocol):
    """A recommender that states no risk: its users turn its settings."""

    def rules(self, histories: Histories, known: Histories) -> Mapping[Resource, Sequence[Rule]]:
        """Its statistics at every setting, from its window and from all that is known."""
        ...


def plain_rules(histories: Histories, known: Histories) -> dict[str, dict[Resource, list[Rule]]]:
    """The plain rules by name, from the window `histories` and from all that is `known`."""
    shares = np.array([0.95, 0.99, *OWN_SHARES])
    cpu = own_quantiles(histories, shares=shares)
    lately = own_quantiles(_last_days(histories), shares=np.array([0.95, 0.99, 1.0]))
    peak, ever = _peak(histories), _peak(known)
    return {
        "own quantile": {
            "cpu": [
                Rule(f"p{100 * share:g}", cpu[:, 2 + number], "none")
                for number, share in enumerate(OWN_SHARES)
            ],
            "memory": [],
        },
        "constant": {
            "cpu": [Rule("p95 +", cpu[:, 0], "constant"), Rule("p99 +", cpu[:, 1], "constant")],
            "memory": [
                Rule("maximum +", peak, "constant"),
                Rule("1.15 x maximum +", 1.15 * peak, "constant"),
                Rule("maximum of all that is known +", ever, "constant"),
                Rule("1.15 x maximum of all that is known +", 1.15 * ever, "constant"),
            ],
        },
        "last week": {
            "cpu": [Rule(f"p{p}", lately[:, n]) for n, p in enumerate((95, 99))],
            "memory": [Rule("peak", _peak(histories, LATELY_DAYS))],
        },
    }


@by_container
def own_quantiles(histories: Histories, *, shares: Array) -> Array:
    """Quantiles of all CPU samples of each container, (containers, shares), in cores."""
    usage = histories.usage
    found = np.full((len(histories), len(shares)), np.nan)
    for index in range(len(histories)):
        values = np.sort(usage.cpu_cores[usage.span(index)])
        count = len(values) - int(np.isnan(values).sum())
        if count:
            rank = np.ceil(shares * count - 1e-9).astype(np.int64) - 1
            found[index] = values[np.clip(rank, 0, count - 1)]
    return found


def _last_days(histories: Histories) -> Histories:
    steps = round(timedelta(days=LATELY_DAYS) / histories.usage.step)
    total = histories.usage.steps
    return histories if steps >= total else histories.between(total - steps, total)


def _peak(histories: Histories, days: int | None = None) -> Array:
    """The highest memory of any pod, of the last `days` only where given."""
    peaks = histories.daily.memory_peak
    peaks = peaks if days is None else peaks[:, -days:]
    highest: Array = np.where(np.isnan(peaks), -np.inf, peaks).max(axis=1, initial=-np.inf)
    return np.where(np.isinf(highest), np.nan, highest)
