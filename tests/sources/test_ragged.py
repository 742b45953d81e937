"""Lanes and runs become usage, and duplicates merge as they should."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from analyzer.sources.prometheus.decode import Batch
from analyzer.sources.prometheus.failure import MalformedError
from analyzer.sources.prometheus.ragged import Grid, Lanes, Origin, Runs, assemble, cut, join_days
from analyzer.usage import Usage
from analyzer.workload import ContainerRef

START = datetime(2026, 11, 2, tzinfo=UTC)
GRID = Grid(START, timedelta(minutes=5), 10)
APP = ContainerRef("c", "n", "Deployment", "w", "app")
NAN = float("nan")


def runs(*parts: tuple[int, int, list[float]]) -> list[Runs]:
    """One answer of (lane, first step, values)."""
    lane, first, values = zip(*parts, strict=True)
    return [
        Runs(
            np.array(lane),
            np.array(first),
            np.array([len(v) for v in values]),
            np.concatenate([np.array(v, dtype=np.float32) for v in values]),
        )
    ]


def both(parts: list[Runs], origins: dict[int, Origin]) -> tuple[list[float], list[float]]:
    usage = assemble(GRID, list(parts), list(parts), origins)
    return usage.cpu_cores.tolist(), usage.memory_bytes.tolist()


def test_two_cgroups_of_one_scrape_add_up_their_cpu_and_not_their_memory() -> None:
    """In-place restart: the old cgroup lingers while the new one runs."""
    origins = {i: Origin(APP, "p", "kubelet", cgroup) for i, cgroup in enumerate("ab")}
    cpu, memory = both(runs((0, 0, [1, 1, 0.25]), (1, 2, [0.5, 1])), origins)
    assert cpu == [1, 1, 0.75, 1]
    assert memory == [1, 1, 0.5, 1]


def test_two_scrapes_of_one_cgroup_fill_each_others_gaps() -> None:
    """Duplicate jobs and HA replicas: the larger counts, nothing doubles."""
    origins = {i: Origin(APP, "p", scrape, "a") for i, scrape in enumerate("xy")}
    cpu, memory = both(runs((0, 0, [1, 2]), (1, 1, [1.5, 3])), origins)
    assert cpu == memory == [1, 2, 3]


def test_two_scrapes_of_two_cgroups_sum_within_and_take_the_larger_between() -> None:
    """Sum within one scrape first; the other scrape saw one cgroup only."""
    origins = {
        0: Origin(APP, "p", "x", "a"),
        1: Origin(APP, "p", "x", "b"),
        2: Origin(APP, "p", "y", "a"),
    }
    cpu, memory = both(runs((0, 0, [1, 1]), (1, 1, [0.5]), (2, 0, [1.25, 1.25])), origins)
    assert cpu == [1.25, 1.5]
    assert memory == [1.25, 1.25]


@pytest.mark.parametrize(
    ("lives", "cpu"),
    [
        # One container under two paths, or a cgroup within it, for all its life.
        ([(0, 0, [1] * 6), (1, 0, [1] * 6)], [1] * 6),
        ([(0, 0, [1] * 6), (1, 1, [0.5] * 5)], [1] * 6),
        # Three lives in a row, each beside the last one's end for two steps at most.
        ([(0, 0, [1, 1, 0.5]), (1, 1, [0.5, 0.5]), (2, 3, [1, 1])], [1, 1.5, 1, 1, 1]),
        # Both paths of it restart: two lines, each of two lives.
        (
            [(0, 0, [1, 1, 0.5]), (1, 0, [1, 1, 0.5]), (2, 2, [0.5, 1]), (3, 2, [0.5, 1])],
            [1, 1, 1, 1],
        ),
    ],
    ids=["side by side", "nested", "in a row", "both"],
)
def test_cgroups_add_up_only_while_one_follows_the_other(
    lives: list[tuple[int, int, list[float]]], cpu: list[float]
) -> None:
    """What lives side by side is one container seen twice."""
    origins = {i: Origin(APP, "p", "kubelet", cgroup) for i, cgroup in enumerate("abcd")}
    assert both(runs(*lives), origins)[0] == cpu


def test_the_processors_of_an_old_cadvisor_add_up() -> None:
    """They live side by side and are parts of one cgroup."""
    origins = {i: Origin(APP, "p", "kubelet", "a", f"cpu0{i}") for i in range(2)}
    assert both(runs((0, 0, [1] * 6), (1, 0, [0.5] * 6)), origins)[0] == [1.5] * 6


def test_gaps_are_not_observed() -> None:
    """A hole within a pod's life is NaN; a pod owns no steps outside its life."""
    usage = assemble(GRID, runs((0, 2, [1]), (0, 4, [2])), [], {0: Origin(APP, "p")})
    np.testing.assert_array_equal(usage.cpu_cores, [1, NAN, 2])
    np.testing.assert_array_equal(usage.memory_bytes, [NAN] * 3)
    assert usage.first.tolist() == [2]


def test_lanes_of_nobody_are_left_out() -> None:
    """Series that speak of no container count for nothing."""
    usage = assemble(GRID, runs((0, 0, [1]), (1, 0, [9])), [], {0: Origin(APP, "p")})
    assert usage.cpu_cores.tolist() == [1]


def test_rows_are_sorted_by_container_then_pod() -> None:
    """Whatever order answers came in."""
    other = ContainerRef("c", "a", "Deployment", "w", "app")
    origins = {0: Origin(APP, "q"), 1: Origin(APP, "p"), 2: Origin(other, "z")}
    usage = assemble(GRID, runs((0, 0, [1]), (1, 0, [2]), (2, 0, [3])), [], origins)
    assert usage.containers == (other, APP)
    assert usage.pods == ("z", "p", "q")
    assert usage.cpu_cores.tolist() == [3, 2, 1]
    assert usage.container.tolist() == [0, 1, 1]


def test_cutting_keeps_to_the_part_that_was_asked() -> None:
    """Some servers answer a little more than the question."""
    times = START.timestamp() + 300 * np.arange(1, 11, dtype=np.float64)
    batch = Batch([b"{}"], np.array([10]), times, np.arange(10.0))
    part = cut(batch, Lanes(), GRID, (3, 6))
    assert (part.first.tolist(), part.values.tolist()) == ([3], [3, 4, 5])


def test_values_that_cannot_be_usage_are_not_observed() -> None:
    """Infinite and negative values become NaN."""
    times = START.timestamp() + 300 * np.arange(1, 4, dtype=np.float64)
    batch = Batch([b"{}"], np.array([3]), times, np.array([np.inf, -1, 2]))
    np.testing.assert_array_equal(cut(batch, Lanes(), GRID, (0, 10)).values, [NAN, NAN, 2])


def test_times_between_steps_are_refused() -> None:
    """An answer to another question is no answer."""
    batch = Batch([b"{}"], np.array([1]), np.array([START.timestamp() + 100]), np.array([1.0]))
    with pytest.raises(MalformedError):
        cut(batch, Lanes(), GRID, (0, 10))


def test_days_join_into_what_they_were_cut_from() -> None:
    """between() and join_days() are inverse."""
    origins = {0: Origin(APP, "p"), 1: Origin(APP, "q")}
    whole = assemble(
        GRID, runs((0, 0, [1, 2, 3, 4, 5, 6]), (1, 4, [7, 8, 9])), runs((0, 1, [5])), origins
    )
    parts: list[Usage] = [whole.between(0, 5), whole.between(5, 10)]
    joined = join_days(parts, GRID)
    assert joined.pods == whole.pods
    np.testing.assert_array_equal(joined.cpu_cores, whole.cpu_cores)
    np.testing.assert_array_equal(joined.memory_bytes, whole.memory_bytes)
    np.testing.assert_array_equal(joined.first, whole.first)
