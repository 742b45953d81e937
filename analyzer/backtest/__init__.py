"""Walk-forward scoring of the policy that ships, beside fair peers, plain rules and foresight."""

from __future__ import annotations

from analyzer.backtest.score import (
    AS_IT_COMES,
    CURRENT,
    FAIR_PEERS,
    FORESIGHT,
    POLICY,
    BacktestResult,
    By,
    Measured,
    Point,
    Row,
    interpolate,
    measure,
)
from analyzer.backtest.sweep import MARGINS
from analyzer.backtest.verdict import in_words
from analyzer.backtest.walk import DAILY, LEAST_TRAIN, Recommender, Walk, backtest, review_stops

__all__ = [
    "AS_IT_COMES",
    "CURRENT",
    "DAILY",
    "FAIR_PEERS",
    "FORESIGHT",
    "LEAST_TRAIN",
    "MARGINS",
    "POLICY",
    "BacktestResult",
    "By",
    "Measured",
    "Point",
    "Recommender",
    "Row",
    "Walk",
    "backtest",
    "in_words",
    "interpolate",
    "measure",
    "review_stops",
]
