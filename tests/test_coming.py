"""Nodes that come and go: counted over the window, and had again."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from analyzer.placement import Numbers, Wanted, numbers_of, with_absent, without_place
from analyzer.scheduling import Node
from tests.samples import START, meta
from tests.test_packing import cluster, cores

GIB = 1024**3


def node(name: str, first: float | None = None, last: float | None = None) -> dict[str, Any]:
    """A node that was there between two days of the window."""
    times = {"first_seen": first, "last_seen": last}
    told = {k: (START + timedelta(days=v)).isoformat() for k, v in times.items() if v is not None}
    size = {"cpu_allocatable_cores": 4.0, "memory_allocatable_bytes": 16.0 * GIB}
    return {"name": name, **size, "labels": {"agentpool": "spot"}, **told}


def test_the_nodes_of_a_group_are_counted_over_the_window() -> None:
    """Of 14 days: one always, one for the last 7, two for 3.5 days in the first half.

    1 for 3.5 days, 3 for 3.5, then 2: fewest 1, most 3, and (1 + 3) / 4 + 2 / 2 = 2 on average.
    """
    past = (node("c", 3.5, 7), node("d", 3.5, 7))
    of = replace(meta(nodes=(node("a"), node("b", 7))), past_nodes=past)
    assert numbers_of(of) == {"spot": Numbers(1, 3, 2.0, 3)}


def test_what_an_upgrade_has_for_an_hour_is_not_what_a_group_often_has() -> None:
    """Three nodes for an hour of two weeks, while one took the place of another; two else."""
    hour = 1 / 24
    past = (node("b", None, 7),)
    of = replace(meta(nodes=(node("a"), node("c", 7 - hour))), past_nodes=past)
    assert numbers_of(of) == {"spot": Numbers(2, 3, 2.0, 2)}


def test_a_group_of_the_same_nodes_all_along_is_not_told() -> None:
    """Nothing came or went, so that there is nothing to say."""
    assert numbers_of(meta(nodes=(node("a"), node("b")))) == {}


@pytest.mark.parametrize("text", ["soon", 7, ""])
def test_a_garbled_time_is_no_time(text: Any) -> None:
    """A recording comes from strangers: the node was there all along."""
    assert numbers_of(meta(nodes=({**node("a"), "first_seen": text},))) == {}


def test_a_node_that_was_there_can_be_there_again() -> None:
    """The only node of 4 is full; with one that its group had, a raise to 3 cores has room.

    On the other a DaemonSet would take 2 cores as on every node, so that 3 do not fit.
    """
    nodes = cluster([4.0], [("a", 0), ("b", 0)], ["spot"])
    wanted = Wanted(cores(1, 3), cores(3, 3))
    assert without_place(nodes, wanted, [0])
    assert without_place(with_absent(nodes, {"spot": 1}), wanted, [0]) == {}
    assert without_place(with_absent(nodes, {"other": 1}), wanted, [0])
    daemon = cluster([4.0], [("a", 0), ("ds", 0)], ["spot"])
    raised = Wanted(cores(1, 2), cores(3, 2))
    assert without_place(with_absent(daemon, {"spot": 1}), raised, [0])


def test_a_node_that_comes_is_not_cordoned() -> None:
    """The one that is there takes no pod, and is what the new one is like otherwise."""
    cordoned = Node(taints=(("node.kubernetes.io/unschedulable", "", "NoSchedule"),), told=True)
    nodes = replace(cluster([4.0], [("a", 0)], ["spot"]), described=(cordoned,))
    more = with_absent(nodes, {"spot": 2})
    assert [bool(one.binding) for one in more.described] == [True, False, False]
    assert more.allocatable.shape == (3, 2)
    assert np.array_equal(more.sums(cores(1)), [[1, 0], [0, 0], [0, 0]])
