"""What a namespace asks, as it is read from rows that strangers may have written."""

from __future__ import annotations

from typing import Any

import pytest

from analyzer.quantity import Cpu
from analyzer.recommend.admission import find_admissions, quota_uses

RANGE = {
    "namespace": "shop",
    "name": "range",
    "type": "Container",
    "resource": "cpu",
    "constraint": "max",
    "value": 2.0,
}
QUOTA = {"namespace": "shop", "name": "team", "resource": "limits.cpu", "hard": 4.0, "used": 1.0}


@pytest.mark.parametrize("left_out", ["type", "resource", "constraint", "value"])
def test_a_range_that_does_not_say_all_says_nothing(left_out: str) -> None:
    """Every field but the names may be missing from a recording."""
    row = {name: value for name, value in RANGE.items() if name != left_out}
    assert find_admissions([row], []) == {}


@pytest.mark.parametrize("left_out", ["resource", "hard"])
def test_a_quota_that_does_not_say_all_counts_nothing(left_out: str) -> None:
    """Nothing is held against an amount that is not told."""
    row = {name: value for name, value in QUOTA.items() if name != left_out}
    assert quota_uses([], [row], {}) == []


def test_several_ranges_hold_together() -> None:
    """The least of the maxima counts, and the default is the least of the defaults."""
    rows: list[dict[str, Any]] = [
        RANGE,
        {**RANGE, "name": "other", "value": 1.5},
        {**RANGE, "constraint": "default", "value": 0.5},
        {**RANGE, "constraint": "min", "value": 0.1},
    ]
    found = find_admissions(rows, [QUOTA])["shop"]["cpu"]
    assert (found.least, found.most, found.default) == (Cpu(100), Cpu(1500), Cpu(500))
    assert found.due is not None and found.due[0] == "limit range"


def test_a_quota_of_limits_wants_them_declared() -> None:
    """Kubernetes refuses pods that do not say what a quota counts."""
    found = find_admissions([], [QUOTA])["shop"]["cpu"]
    assert found.due is not None and found.due[0] == "quota"
    assert found.least is None and found.most is None
