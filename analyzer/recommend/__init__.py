"""Demand to requests and limits, with the trail of reasons.

`decide` takes every container through the same steps in the same order. A step is a pure function
from a case and an amount to an amount and a reason; `request`, `cpu_limit` and `memory_limit` hold
their order, `bounds` what no other step may cross, `restraint` what makes a change worth its churn.
"""

from analyzer.quantity import TARGETS, TargetName
from analyzer.recommend.case import Bound
from analyzer.recommend.decide import recommend
from analyzer.recommend.gather import due_risks, largest_node
from analyzer.recommend.recommendation import Recommendation, totals

__all__ = [
    "TARGETS",
    "Bound",
    "Recommendation",
    "TargetName",
    "due_risks",
    "largest_node",
    "recommend",
    "totals",
]
