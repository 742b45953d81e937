"""What a chart says in words."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from analyzer.plots.verdict import headline
from tests.samples import recommendation, resources


@pytest.mark.parametrize(
    ("word", "remark"),
    [
        ("steady", "steady usage"),
        ("shift", "usage moved to another level"),
        ("leak", "usage climbs through each pod's life"),
    ],
)
def test_a_finding_is_told_as_a_sentence_would(word: str, remark: str) -> None:
    """Adjectives describe usage; other findings say what it does."""
    of = recommendation(resources("1", "1Gi"), resources("500m", "512Mi"))
    of = replace(of, findings={"cpu": word, "memory": word})
    assert remark in str(headline(of, "homelab", timedelta(minutes=5)))


def test_a_chart_states_both_risks_of_memory() -> None:
    """The rare kill does not stand in for the likelier peak above the request."""
    now, new = resources("1", "2Gi", None, "4Gi"), resources("500m", "1Gi", None, "2Gi")
    of = replace(
        recommendation(now, new), stated_risk={"memory_request": 0.17, "memory_limit": 0.004}
    )
    told = str(headline(of, "homelab", timedelta(minutes=5)))
    assert "memory with 17% chance" in told
    assert "OOM kill with 0.4" in told


def test_no_risk_is_stated_of_an_amount_that_is_merely_kept() -> None:
    """The risk belongs to what was chosen; memory stays here, so only CPU's is told."""
    now, new = resources("1", "2Gi", None, "4Gi"), resources("500m", "2Gi", None, "4Gi")
    of = replace(
        recommendation(now, new),
        stated_risk={"cpu_request": 0.05, "memory_request": 0.17, "memory_limit": 0.004},
    )
    risk = headline(of, "homelab", timedelta(minutes=5)).risk
    assert risk == "stated risk: CPU above its request 5% of the time"
