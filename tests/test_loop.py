"""Weekly reviews in worlds that answer: what has to hold however the weeks go."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import pytest

from analyzer.quantity import Memory, Resources
from analyzer.workload import ContainerRef
from benchmarks.loop.advisers import Remembering, foresight, keep
from benchmarks.loop.simulate import Actor, Adviser, Plan, Proposal, Score, Seen, simulate
from benchmarks.loop.unseen import random_world
from benchmarks.loop.worlds import NODE_MIB, STATIONARY, WORLDS, Answer, Workload, every, level

HOURLY = timedelta(hours=1)


def small(weeks: int = 4, **more: object) -> Plan:
    """A plan of coarse steps."""
    # Keywords of several types.
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
    # Keywords of several types.
    below = lived(Workload("below", request=(0.1, 256), limit=(None, 400), **quiet))  # type: ignore[arg-type]
    # Keywords of several types.
    above = lived(Workload("above", request=(0.1, 256), limit=(None, 600), **quiet))  # type: ignore[arg-type]
    assert [week.kills > 0 for week in below.weeks] == [True, True]
    assert [week.kills for week in above.weeks] == [0, 0]
    assert np.nanmax(below.weeks[0].pods[0].memory) == 400
    assert below.weeks[0].need[1] == above.weeks[0].need[1] == 500


@pytest.mark.parametrize(("answer", "held"), [("cache", 950), ("heap", 700), ("leak", 1000)])
def test_memory_follows_its_limit_where_it_fills_what_it_gets(answer: Answer, held: float) -> None:
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
            answer=answer,
            noise=(0.0, 0.0),
            leak_per_day=50 if answer == "leak" else 0,
        )
    )
    assert [week.kills for week in actor.weeks] == [0, 0]
    last = actor.weeks[-1].pods[0].memory[-1]
    assert last == pytest.approx(held, rel=0.01)


def test_figures_can_be_written_down() -> None:
    """A kill counts as a plain number, so that the figures of a world with kills are JSON."""
    workload = Workload("below", level(0.1), level(500.0), (0.1, 256), (None, 400))
    figures = json.loads(json.dumps(simulate((workload,), keep, small(4)).summary()))
    assert (figures["kill_weeks"], figures["harmful_kill_weeks"]) == (2, 0)


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


def test_footprints_are_compared_at_equal_risk() -> None:
    """19 weeks need half of what is requested and one twice of it: one in twenty may need more.

    Half of the request does for the 19, which is what they need: 1 x of it. The twentieth has a
    quarter of its need then, so that the geometric mean over all is the twentieth root of that.
    """
    score = Score(memory=[(2.0, 1.0)] * 19 + [(1.0, 2.0)])
    assert score.summary()["memory_at_equal_risk"] == pytest.approx(0.25 ** (1 / 20))


def test_a_limit_lowered_below_a_kill_is_counted() -> None:
    """Killed at 400 MiB and lowered to 300 at the first review; the second lowers nothing."""

    def lower(seen: Seen) -> Mapping[ContainerRef, Proposal]:
        return {ref: Proposal(Resources(memory_limit=Memory.parse("300Mi"))) for ref in seen.ahead}

    killed = Workload("killed", level(0.1), level(500.0), (0.1, 256), (None, 400))
    assert simulate((killed,), lower, small(4)).below_kill == 1


def test_a_request_above_three_times_the_busiest_hour_is_unexplained() -> None:
    """One core for an hour a day: two are above three times the p95, four above the hour's."""
    for cores, (ever, hour) in ((2.0, (2, 0)), (4.0, (2, 2))):
        peak = every(1, 0.9, 0.1, 1.0, 0)
        of = Workload("daily", peak, level(100.0), (cores, 100), noise=(0.0, 0.0))
        score = simulate((of,), keep, small(6))
        assert (score.too_large_ever, score.unexplained) == (ever, hour)


def test_a_random_world_is_drawn_by_its_seed() -> None:
    """The same seed draws the same workloads, another one others; the names are all different."""
    assert random_world(1)[0].request == random_world(1)[0].request
    assert random_world(1)[0].request != random_world(2)[0].request
    world = random_world(3)
    assert len({workload.name for workload in world}) == len(world)
    assert all(max(w.request[1], w.limit[1] or 0.0) <= NODE_MIB for w in world)


def test_missing_scrapes_and_new_names_are_shown_as_such() -> None:
    """Half of the scrapes are lost, and a container that is renamed runs in new pods."""
    of = Workload(
        "stained", level(0.1), level(100.0), (0.1, 128), missing=0.5, renamed=(1, "other")
    )
    shown: list[Seen] = []

    def look(seen: Seen) -> Mapping[ContainerRef, Proposal]:
        shown.append(seen)
        return {}

    simulate((of,), look, small(2))
    usage = shown[-1].recording.usage
    assert [ref.container for ref in usage.containers] == ["app", "other"]
    assert len(set(usage.pods)) == 4
    assert 0.4 < np.isnan(usage.memory_bytes).mean() < 0.6


# Laws of the policy that ships, with its ledger

CALM = ("steady", "noisy", "leader", "working-week", "weekly-peak", "nightly")
ANSWERING = ("page-cache", "heap", "node-kills", "need-above")


def named(*names: str) -> list[Workload]:
    """Workloads of any world."""
    everyone = {workload.name: workload for world in WORLDS.values() for workload in world}
    return [everyone[name] for name in names]


@dataclass
class Year:
    """What a simulation gave, and the memory limits of every week."""

    score: Score
    limits: dict[str, list[float | None]]


def simulated(names: Sequence[str], adviser: Adviser, plan: Plan) -> Year:
    """The score, and the limits week by week."""
    limits: dict[str, list[float | None]] = {}

    def watch(_week: int, actors: Mapping[str, Actor]) -> None:
        for name, actor in actors.items():
            limits.setdefault(name, []).append(actor.given.memory_limit)

    return Year(simulate(named(*names), adviser, plan, watch), limits)


@pytest.fixture(scope="module")
def year() -> Year:
    """Twelve weeks of everything, all of it merged."""
    return simulated((*CALM, *ANSWERING), Remembering(), small(12))


def test_nothing_that_is_merged_exceeds_the_node(year: Year) -> None:
    """Not a limit and not a request, however a workload fills what it gets."""
    assert year.score.above_node == 0
    assert max(limit for weeks in year.limits.values() for limit in weeks if limit) <= NODE_MIB


@pytest.mark.parametrize("name", ["page-cache", "heap", "node-kills"])
def test_no_limit_rises_that_was_not_hit(year: Year, name: str) -> None:
    """Cache and heap fill what they get, and a node kills for its own sake: none asks for more."""
    first, *later = (limit for limit in year.limits[name] if limit is not None)
    assert max(later) <= first


def test_a_need_above_the_limit_is_found(year: Year) -> None:
    """1500 MiB wanted and 1024 allowed: three reviews later it lives, below twice its need."""
    assert all(1500 < limit < 3000 for limit in year.limits["need-above"][5:] if limit)


def test_no_proposed_limit_kills_what_the_first_one_let_live(year: Year) -> None:
    """No more often than was stated."""
    assert year.score.harm <= year.score.stated


def test_nothing_turns_around_more_than_once(year: Year) -> None:
    """One correction of a decision in a quarter is learning, two are flapping."""
    assert year.score.most_reversals <= 1


def test_worlds_that_nobody_has_looked_at_keep_the_laws() -> None:
    """Within the node, no limit below a kill, no more kills than stated, nothing to and fro."""
    score = simulate(random_world(11, 14), Remembering(), small(7))
    assert (score.above_node, score.below_kill, score.most_of_one <= 1) == (0, 0, True)
    assert score.harm <= score.stated


def test_a_month_that_ends_with_a_peak_is_survived() -> None:
    """Every 30 days eight hours need four times as much: no limit is lowered in between."""
    score = simulated(("monthly",), Remembering(), small(14)).score
    assert (score.kills, score.most_reversals <= 1) == (0, True)


def test_what_is_rejected_stays_silent() -> None:
    """Refused once, and nothing moved: no week of the next six says it again."""
    plan = small(8, merge="rejected")
    names = ("steady", "daily", "leader")
    score = simulated(names, Remembering(rejected=True), plan).score
    assert score.changes == 3


def test_an_open_proposal_is_not_reworded_by_noise() -> None:
    """Nothing is merged, and nothing but chance differs from week to week."""
    plan = small(8, merge="none")
    score = simulated(("steady", "daily", "leader", "nightly"), Remembering(), plan).score
    assert score.open_weeks >= 20
    assert score.open_changes <= 0.05 * score.open_weeks


def test_what_is_said_of_runs_with_generated_names_reaches_their_template() -> None:
    """Each run is an object of its own, and the next one is made from what was merged."""
    weeks = simulated(("generated",), foresight, small(5)).limits["generated"]
    assert weeks[-1] != weeks[0]
