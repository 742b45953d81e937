"""How a run learns, decides and judges, as the settings ask for it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

import msgspec

from analyzer.config import Config, parse_duration
from analyzer.models import DEFAULT_MODEL
from analyzer.policy import Policies


@dataclass(frozen=True, kw_only=True)
class Method:
    """How demand is learnt, turned into amounts and judged: all that a `review` is told.

    `horizon` is the time until the next review. With a `risk_budget_cap` overruns are spent where
    they buy the most, up to so many times an equal share; without one all containers bear the
    same risk. `backtest` adds what the same method would have caused on the same history.
    """

    model: str = DEFAULT_MODEL
    horizon: timedelta = timedelta(days=7)
    policies: Policies = field(default_factory=Policies)
    risk_budget_cap: float | None = None
    backtest: bool = True
    prices: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """What a core and a GiB cost an hour by group of nodes, ``*`` for any."""

    @property
    def learnt_by(self) -> str:
        """Whose statements they are that the cluster's past is held against."""
        return f"{self.model}, {self.horizon / timedelta(hours=1):g} h"

    @property
    def digest(self) -> str:
        """What decides besides usage, as a short text: by another method a proposal is another."""
        decisive = (self.model, str(self.horizon), self.policies, self.risk_budget_cap)
        return hashlib.sha256(msgspec.json.encode(decisive, enc_hook=str)).hexdigest()[:12]


def method_of(config: Config) -> Method:
    """The method that the settings ask for."""
    return Method(
        model=config.model,
        horizon=parse_duration(config.horizon),
        policies=config.policies,
        risk_budget_cap=config.risk_budget_cap if config.risk_budget else None,
        backtest=config.backtest,
        prices=config.prices.by_group,
    )
