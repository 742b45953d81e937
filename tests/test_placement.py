"""Pods on nodes, with sums that can be worked out by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from analyzer.history import Histories
from analyzer.placement import common_node, pack, place, slots_of
from tests.samples import MIB, histories, meta, steady

GIB = 1024 * MIB
NODE = {"cpu_allocatable_cores": 4.0, "memory_allocatable_bytes": 16.0 * GIB}


def workloads(count: int, cpu: list[np.ndarray], days: float = 2) -> Histories:
    """So many one-pod workloads on nodes of 4 cores, using `cpu` in turn."""
    tables = [
        steady(days, cpu=cpu[n % len(cpu)]).assign(workload=f"w{n:03d}", pod=f"w{n:03d}-0")
        for n in range(count)
    ]
    return histories(pd.concat(tables), window=meta(days, nodes=(NODE,)))


def requests(of: Histories, cpu: float) -> tuple[np.ndarray, np.ndarray]:
    """The same CPU for each container, and 100 MiB."""
    return np.full(len(of), cpu), np.full(len(of), 100.0 * MIB)


def test_pods_go_where_most_is_free() -> None:
    """Four pods of a core fill a node of four; the fifth opens the next, the sixth joins it."""
    where = pack(np.tile([1.0, 0.0], (6, 1)), np.array([4.0, 1.0]))
    assert np.bincount(where).tolist() == [4, 2]


def test_a_pod_larger_than_a_node_is_alone() -> None:
    """It cannot be scheduled with others; small ones do not join it."""
    where = pack(np.array([[9.0, 0.0], [1.0, 0.0], [1.0, 0.0]]), np.array([4.0, 1.0]))
    assert (where == where[0]).sum() == 1


def test_a_node_admits_no_more_pods_than_a_kubelet_does() -> None:
    """Pods that request nothing fit by request, and still only 110 of them."""
    assert np.bincount(pack(np.zeros((111, 2)), np.ones(2))).tolist() == [110, 1]


def test_pods_that_are_busy_together_press_together() -> None:
    """Eight pods of half a core that use one core at night: alike 8 > 4 cores for a quarter.

    In turns, four at a time, the sum is 4 x 1 + 4 x 0.1 = 4.4 for half of the time; staggered by
    a quarter each, 2 x 1 + 6 x 0.1 = 2.6 at any time, which fits.
    """
    quarter = 2 * 288 // 4
    night = np.where(np.arange(2 * 288) < quarter, 1.0, 0.1)
    turns = [np.roll(night, n * quarter) for n in range(4)]
    for cpu, share in (([night], 0.25), (turns[:2], 0.5), (turns, 0.0)):
        of = workloads(8, cpu)
        placed = place(of, {"today": requests(of, 0.5)})
        assert placed is not None
        assert placed.ways[0].nodes == 1
        assert placed.ways[0].cpu_time == pytest.approx(share)


def test_nodes_needed_are_told_at_equal_pressure() -> None:
    """One core used all the time by 16 pods is four nodes of four, whatever is requested."""
    of = workloads(16, [np.full(2 * 288, 0.999)])
    for asked in (0.5, 1.0, 2.0):
        placed = place(of, {"any": requests(of, asked)})
        assert placed is not None
        assert placed.ways[0].nodes == 16 * asked / 4
        needed = placed.ways[0].needed["0.01"]
        assert needed is not None
        assert 4 <= needed <= 6


def test_requests_below_the_mean_use_are_warned_of() -> None:
    """Sixteen times 0.5 requested, 0.999 used."""
    of = workloads(16, [np.full(2 * 288, 0.999)])
    placed = place(of, {"proposed": requests(of, 0.5)})
    assert placed is not None
    assert placed.warnings[0].startswith(
        "CPU requests (proposed) sum to 8 CPU, and 16 CPU is used on average"
    )


def test_a_pod_that_replaces_another_takes_its_place() -> None:
    """Two pods one after the other are one slot; a Job of an hour is none."""
    both = steady(2)
    half = len(both) // 2
    both.loc[both.index >= half, "pod"] = "web-2"
    job = steady(2).iloc[:12].assign(workload="once", workload_kind="Job", pod="once-1")
    slots = slots_of(histories(pd.concat([both, job]), window=meta(2)))
    assert [str(owner) for owner in slots.owner] == ["shop/Deployment/web"]
    assert sorted(slots.slot.tolist()) == [-1, 0, 0]


def test_a_daemon_set_takes_its_part_of_every_node() -> None:
    """Half a core of four for the daemon: seven pods of half a core fit beside it, not eight."""
    of = workloads(8, [np.full(2 * 288, 0.1)])
    daemon = steady(2, cpu=0.5).assign(workload="agent", workload_kind="DaemonSet", pod="agent-1")
    of = histories(
        pd.concat([*(of.usage.to_frame(),), daemon[of.usage.to_frame().columns]]),
        window=meta(2, nodes=(NODE,)),
    )
    asked = np.where([ref.kind == "DaemonSet" for ref in of.containers], 0.5, 0.5)
    placed = place(of, {"today": (asked, np.zeros(len(of)))})
    assert placed is not None
    assert placed.ways[0].nodes == 2
    assert placed.pods == 8


def test_without_nodes_one_is_assumed_and_said_to_be() -> None:
    """The most common size counts, the larger of equals; none at all is an assumption."""
    assert common_node(histories(steady(1), window=meta(1)))[1]
    small = {**NODE, "cpu_allocatable_cores": 2.0}
    of = histories(steady(1), window=meta(1, nodes=(small, NODE, small)))
    assert common_node(of) == ((2.0, 16.0 * GIB), False)


def test_nothing_that_runs_is_no_placement() -> None:
    """A single hour of a Job has no pod to place."""
    job = steady(2).iloc[:12].assign(workload="once", workload_kind="Job")
    of = histories(job, window=meta(2))
    assert place(of, {"today": requests(of, 1.0)}) is None
