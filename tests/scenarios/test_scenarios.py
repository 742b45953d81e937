"""Every scenario is decided as its row says."""

from __future__ import annotations

from dataclasses import replace

import pytest

from analyzer.report import Report
from tests.scenarios.catalogue import ALL, SCENARIOS
from tests.scenarios.world import Scenario, decide, failures


@pytest.fixture(scope="module")
def reports() -> dict[str, Report]:
    """What ships, run once over all worlds that share their nodes."""
    return decide(ALL)


@pytest.mark.parametrize("scenario", ALL, ids=lambda s: s.namespace)
def test_a_scenario_is_decided_as_its_row_says(
    scenario: Scenario, reports: dict[str, Report]
) -> None:
    """The expectation of the row, its code included, comes true in one run of what ships."""
    assert failures(scenario, reports[scenario.name]) == [], scenario.why


def test_no_two_scenarios_share_a_name() -> None:
    """A name is a namespace: two of one name would be one world."""
    assert len({scenario.namespace for scenario in ALL}) == len(ALL)


BOUND = [
    scenario
    for scenario in SCENARIOS["Nodes: where pods may run"]
    if scenario.expect.get("cpu_request") == "stays: nodes"
]


@pytest.mark.parametrize("scenario", BOUND, ids=lambda s: s.namespace)
def test_without_what_bounds_it_each_raise_is_made(scenario: Scenario) -> None:
    """The same world where pods ask for nothing special: only what the row names held the raise."""
    kept = ("name", "cpu_allocatable_cores", "memory_allocatable_bytes", "labels")
    plain = replace(
        scenario,
        boxes=[replace(b, pod={}, asks={}, more={}) for b in scenario.boxes if b.type != "init"],
        nodes=[{**{k: n[k] for k in kept if k in n}, "taints": []} for n in scenario.nodes],
        expect={"cpu_request": "rises"},
    )
    assert failures(plain, decide([plain])[plain.name]) == []
