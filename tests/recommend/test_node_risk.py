"""Requests that keep nodes from running short, with sums that can be worked out by hand."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest

from analyzer.history import Histories
from analyzer.pipeline.judgement import requested
from analyzer.pipeline.method import Method
from analyzer.pipeline.review import review
from analyzer.placement import Placement, place
from analyzer.policy import Policies, Policy
from analyzer.quantity import Cpu
from analyzer.recommend import Recommendation, recommend
from tests.samples import MIB, demand, histories, meta, steady

DAYS = 4
GIB = 1024 * MIB
NODE = {"name": "n", "cpu_allocatable_cores": 4.0, "memory_allocatable_bytes": 16.0 * GIB}
HOUR = np.where(np.arange(DAYS * 288) % 288 < 12, 1.0, 0.1)
"""A core for one hour of each day, else 100m: on average 137.5m."""


def sixteen(
    courses: list[np.ndarray], nodes: tuple[dict[str, Any], ...] = (NODE,), **columns: Any
) -> Histories:
    """Sixteen workloads of one pod that use `courses` of CPU in turn."""
    tables = [
        steady(DAYS, cpu=courses[n % len(courses)], **columns).assign(
            workload=f"w{n:02d}", pod=f"w{n:02d}-0"
        )
        for n in range(16)
    ]
    return histories(pd.concat(tables), window=meta(DAYS, nodes=nodes))


def asked(
    of: Histories, node_risk: float | None, memory: float = 100 * MIB
) -> list[Recommendation]:
    """What is proposed where usage alone speaks for 120m and 100 MiB."""
    policy = Policy(node_risk=node_risk, busy_hour_floor=0.0)
    return recommend(of, demand(of, cpu=0.12, memory=memory), Policies(policy))[0]


def placed(of: Histories, found: list[Recommendation]) -> Placement:
    """Nodes filled by what is proposed."""
    result = place(of, {"proposed": requested(of, found)})
    assert result is not None
    return result


def test_requests_are_raised_until_nodes_run_short_no_more_often() -> None:
    """Sixteen pods use a core in the same hour: 4.2 % of the time; a node of 4 cores holds four.

    At 120m all sixteen share a node. Asking for 800m and less, five of them would; so each asks for
    more than that, and for no more than the core that it uses at most.
    """
    of = sixteen([HOUR])
    assert placed(of, asked(of, None)).ways[0].cpu_time == pytest.approx(1 / 24)
    found = asked(of, 0.001)
    for one in found:
        assert one.proposed.cpu_request is not None
        assert 800 < one.proposed.cpu_request.units <= 1000
        step = next(s for s in one.trail["cpu_request"] if s.name == "node risk")
        assert "lack CPU for 4.17% of the time" in step.reason
    after = placed(of, found).ways[0]
    assert (after.nodes, after.cpu_time) == (4, 0.0)


def test_what_is_allowed_raises_nothing() -> None:
    """The same hour is 4.2 % of the time, and 5 % may be short."""
    of = sixteen([HOUR])
    assert asked(of, 0.05) == asked(of, None)


def test_pods_that_are_busy_in_turn_are_left_alone() -> None:
    """One pod at a time uses a core: the sum is 2.5 cores of 4 at any moment."""
    of = sixteen([np.roll(HOUR, 12 * n) for n in range(16)])
    assert asked(of, 0.001) == asked(of, None)


def test_without_nodes_nothing_is_raised() -> None:
    """What a node has is not known, and an assumed one decides nothing."""
    of = sixteen([HOUR], nodes=())
    assert asked(of, 0.001) == asked(of, None)


def test_memory_is_raised_as_well_and_cpu_is_not() -> None:
    """Sixteen pods use 2 GiB an hour a day, on nodes of 16 GiB: eight a node fit.

    At 1 GiB sixteen share a node. The mean is 1.04 GiB.
    """
    course = np.where(HOUR > 0.5, 2.0, 1.0) * GIB
    of = sixteen([np.full(DAYS * 288, 0.1)], memory=course)
    assert placed(of, asked(of, None, 1 * GIB)).ways[0].memory_weeks == 1.0
    found = asked(of, 0.01, 1 * GIB)
    assert placed(of, found).ways[0].memory_weeks == 0.0
    without = {one.ref: one.proposed.cpu_request for one in asked(of, None, 1 * GIB)}
    assert {one.ref: one.proposed.cpu_request for one in found} == without


@pytest.mark.parametrize(("share", "warnings"), [(0.001, 1), (0.05, 0)])
def test_what_is_not_met_is_said(share: float, warnings: int) -> None:
    """A ceiling of 200m keeps requests from what the nodes would need, and the report says so."""
    policy = Policy(node_risk=share, busy_hour_floor=0.0, cpu_ceiling=Cpu(200))
    method = Method(policies=Policies(policy), horizon=timedelta(days=1))
    report = review(sixteen([HOUR]), method).report
    assert report.placement is not None
    said = [line for line in report.placement.warnings if "node_risk allows 0.10%" in line]
    assert len(said) == warnings
