"""Every scenario is decided as its row says."""

from __future__ import annotations

import pytest

from analyzer.report import Report
from tests.scenarios.catalogue import ALL
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
