"""The chart of groups of nodes: what they have, what is asked for, and what it costs."""

from __future__ import annotations

from dataclasses import replace

import pytest

from analyzer.placement import GroupUse, Packing
from analyzer.plots import describe_packing, packing_figure
from analyzer.plots.packing import SHOWN
from analyzer.plots.png import pixels_of
from tests.plots.scenes import lines_of
from tests.plots.test_workload import overlaps

GIB = 2**30
NODES = GroupUse("nodes", 4, 80, 16.0, 64.0 * GIB, 12.0, 6.0, 48.0 * GIB, 32.0 * GIB, 4, 2, 0)


def words(*groups: GroupUse) -> list[str]:
    """What stands on the chart; nothing of it covers anything else."""
    figure = packing_figure(Packing(groups))
    pixels_of(figure)
    assert not overlaps(figure)
    return [line.get_text() for line in lines_of(figure)]


def test_what_is_asked_for_stands_beside_what_there_is() -> None:
    """12 of 16 cores are three quarters, 32 of 64 GiB a half."""
    shown = words(NODES)
    assert {"75% → 38% of 16 cores", "75% → 50% of 64 GiB", "4 nodes, 4 → 2 would do"} <= {*shown}
    assert not any("month" in line or "freed" in line for line in shown)


def test_of_a_control_plane_it_is_not_said_how_few_would_do() -> None:
    """Its nodes are never looked at for that; where others stand among them, those are."""
    shown = words(replace(NODES, control_plane=4), replace(NODES, name="mixed", control_plane=1))
    assert "4 nodes, control plane" in shown
    assert sum(line.endswith("would do") for line in shown) == 1


def test_money_is_told_where_a_price_is_set() -> None:
    """What is asked for in addition is no saving; a group without a price says so."""
    dear = replace(NODES, name="dear", freed=312.5, saved=120.0)
    more = replace(NODES, name="more", freed=-85.2, saved=0.0)
    shown = words(dear, more, replace(NODES, name="free"))
    assert {"Money a month", "312.50 freed, 120.00 saved", "no price is set"} <= {*shown}
    assert "85.20 more asked for, 0.00 saved" in shown


@pytest.mark.parametrize("length", [2, 60])
def test_names_that_differ_are_told_apart(length: int) -> None:
    """Whatever their length and how much of it they share; the largest groups are drawn."""
    groups = [
        replace(NODES, name=f"{'n' * (length - 2)}{k:02d}", cpu_cores=float(99 - k))
        for k in range(SHOWN + 5)
    ]
    shown = words(*reversed(groups))
    names = {line for line in shown if " " not in line} - {"■", "CPU", "Memory", "proposed"}
    assert len(names) == SHOWN
    assert sum(line.endswith("would do") for line in shown) == SHOWN
    assert not any(line.endswith(str(SHOWN + 4)) for line in shown)


def test_its_description_tells_the_nodes() -> None:
    """Whoever cannot see it learns how few would do."""
    text = describe_packing(Packing((NODES,)))
    assert "4 nodes; 4 would hold what is requested now, 2 what is proposed" in text
    with pytest.raises(ValueError, match="no group"):
        packing_figure(Packing(()))
