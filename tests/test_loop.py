"""Weekly reviews in worlds that answer: what has to hold however the weeks go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta

import numpy as np
import pytest

from analyzer.quantity import Memory, Resources
from analyzer.workload import ContainerRef
from benchmarks.loop.advisers import foresight, keep
from benchmarks.loop.simulate import Actor, Plan, Proposal, Seen, simulate
from benchmarks.loop.worlds import NODE_MIB, STATIONARY, WORLDS, Workload, level

HOURLY = timedelta(hours=1)


def small(weeks: int = 4, **more: object) -> Plan:
    """A plan of coarse steps."""
    return Plan(weeks=weeks, step=HOURLY, **more)  # type: ignore[arg-type]


def lived(workload: Workload, weeks: int = 2) -> Actor:
    """`workload` after `weeks` in which nothing was changed."""
    seen: list[Mapping[str, Actor]] = []
    simulate((workload,), keep, small(weeks), lambda _week, actors: seen.append(actors))
    return seen[-1][workload.name]


def test_worlds_hold_forty_workloads_with_names_of_their_own() -> None:
    """A name is what results, seeds and pods hang on."""
    names = [workload.name for world in WORLDS.values() for workload in world]
    assert len(names) == len(set(names)) >= 40


def test_the_same_plan_gives_the_same_score() -> None:
    """Chance is seeded by name, week and pod: advisers are compared on the same demand."""
    scores = [simulate(STATIONARY[:3], foresight, small(3)) for _ in range(2)]
    assert scores[0] == scores[1]


def test_a_pod_is_killed_below_its_need_and_not_above_it() -> None:
    """A need of 500 MiB dies under 400 and lives under 600, used up to the limit at most."""
    quiet = {"noise": (0.0, 0.0), "cpu": level(0.1), "memory": level(500.0)}
    below = lived(Workload("below", request=(0.1, 256), limit=(None, 400), **quiet))  # type: ignore[arg-type]
    above = lived(Workload("above", request=(0.1, 256), limit=(None, 600), **quiet))  # type: ignore[arg-type]
    assert [week.kills > 0 for week in below.weeks] == [True, True]
    assert [week.kills for week in above.weeks] == [0, 0]
    assert np.nanmax(below.weeks[0].pods[0].memory) == 400
    assert below.weeks[0].need[1] == above.weeks[0].need[1] == 500


@pytest.mark.parametrize(("answer", "held"), [("cache", 950), ("heap", 700), ("leak", 1000)])
def test_memory_follows_its_limit_where_it_fills_what_it_gets(answer: str, held: float) -> None:
    """Under 1000 MiB a cache holds 95 % and a heap nearly 70 %; nobody is killed.

    A leak of 50 a day holds 300 + 14 x 50 after two weeks, under a limit of 1010.
    """
    actor = lived(
        Workload(
            answer,
            level(0.1),
            level(300.0),
            (0.1, 256),
            (None, 1010 if answer == "leak" else 1000),
            pods=1,
            answer=answer,  # type: ignore[arg-type]
            noise=(0.0, 0.0),
            leak_per_day=50 if answer == "leak" else 0,
        )
    )
    assert [week.kills for week in actor.weeks] == [0, 0]
    last = actor.weeks[-1].pods[0].memory[-1]
    assert last == pytest.approx(held, rel=0.01)


def test_foresight_is_never_killed_and_reserves_what_is_needed() -> None:
    """Who knows the coming week needs no margin: the yardstick of all footprints."""
    score = simulate(STATIONARY, foresight, small(6))
    figures = score.summary()
    assert score.harm == 0
    assert figures["memory_to_need"] < 1.6


def test_nothing_merged_leaves_everything_as_it_was() -> None:
    """A proposal that nobody merges changes no pod."""
    watched: list[Sequence[float | None]] = []

    def watch(_week: int, actors: Mapping[str, Actor]) -> None:
        watched.append([actor.given.memory_limit for actor in actors.values()])

    score = simulate(STATIONARY[:4], foresight, small(5, merge="none"), watch)
    assert all(week == watched[0] for week in watched)
    assert score.changes > 0
    assert score.most_over == 0


def test_what_exceeds_the_node_is_counted() -> None:
    """Two reviews of four weeks come to hold, at two workloads each: four amounts too large."""

    def absurd(seen: Seen) -> Mapping[ContainerRef, Proposal]:
        return {ref: Proposal(Resources(memory_limit=Memory.parse("33Gi"))) for ref in seen.ahead}

    assert NODE_MIB == 32 * 1024
    assert simulate(STATIONARY[:2], absurd, small(4)).above_node == 4
