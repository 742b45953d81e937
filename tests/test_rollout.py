"""Staged roll-out: what waits for an earlier stage, what does not, and the reason that is told."""

from __future__ import annotations

from dataclasses import replace

import pytest

from analyzer.forge.settings import ForgeSettings, Stage
from analyzer.ledger.outcome import Outcome
from analyzer.quantity import Resources
from analyzer.rollout import Known, Standing, held_back
from analyzer.workload import ContainerRef
from tests.samples import meta

STAGES = (
    Stage(name="staging", namespaces=("*-staging",)),
    Stage(name="canary", namespaces=("canary",)),
    Stage(name="production", namespaces=("shop", "blog")),
)
LIVE = ContainerRef("home", "shop", "Deployment", "web", "app")
STAGING = replace(LIVE, namespace="shop-staging")


def lived(weeks: float, kills: int = 0, throttled: float = 0.0) -> Outcome:
    """A change that has been merged for some weeks."""
    return Outcome(
        STAGING, meta().end, "proposed", Resources(), Resources(), weeks, {}, {}, kills, throttled
    )


def standing(
    ref: ContainerRef = STAGING, *, due: bool = False, outcome: Outcome | None = None
) -> Standing:
    """How a container stands."""
    return Standing(ref, "apps/web.yaml", due, outcome)


def reason(*standings: Standing, ref: ContainerRef = LIVE, file: str = "x.yaml") -> str | None:
    """Why the change of `ref` waits."""
    other = standing(replace(STAGING, workload="other"))
    canary = standing(replace(LIVE, namespace="canary"))
    return held_back([(ref, file)], Known(STAGES, (other, canary, *standings)))


@pytest.mark.parametrize(
    ("one", "said"),
    [
        (standing(due=True), "is to change itself"),
        (standing(outcome=lived(0.0)), "has had its change for 0 days of a week"),
        (standing(outcome=lived(0.5)), "has had its change for 4 days of a week"),
        (standing(outcome=lived(3, kills=2)), "was OOM-killed 2 times since"),
        (standing(outcome=lived(3, throttled=0.5)), "was throttled 50% of the time since"),
        (standing(due=True, outcome=lived(9)), "is to change itself"),
    ],
)
def test_a_counterpart_holds_it_back(one: Standing, said: str) -> None:
    """Due itself, changed of late, or harmed: which stage, which container, and why."""
    told = reason(one)
    assert told is not None and said in told
    assert told.startswith("staging comes first") and "shop-staging" in told


@pytest.mark.parametrize(
    "one", [standing(), standing(outcome=lived(0.86)), standing(outcome=lived(30))]
)
def test_a_good_week_lets_it_go(one: Standing) -> None:
    """So does a counterpart that wanted no change at all."""
    assert reason(one) is None


def test_what_has_no_counterpart_waits_for_nobody() -> None:
    """A workload that only production has; the stage itself is known."""
    assert reason() is None


def test_the_first_stage_and_what_is_in_none_wait_for_nobody() -> None:
    """Whatever is known or not of the others."""
    known = Known(STAGES, (), {"staging": "no reason", "canary": "no reason"})
    assert held_back([(STAGING, "")], known) is None
    assert held_back([(replace(LIVE, namespace="tools"), "")], known) is None


def test_what_is_not_known_holds_it_back() -> None:
    """A stage of which nothing was seen is no good week, and it says what to look at."""
    told = held_back([(LIVE, "")], Known(STAGES, ()))
    assert told is not None and "check its patterns in forge.stages" in told
    told = held_back([(LIVE, "")], Known(STAGES, (standing(),), {"staging": "it is closed"}))
    assert told == "staging comes first, and nothing is known of it: it is closed"


def test_every_earlier_stage_counts() -> None:
    """Good in staging and due in canary: canary is what it waits for."""
    canary = standing(replace(LIVE, namespace="canary"), due=True)
    told = held_back([(LIVE, "")], Known(STAGES, (standing(outcome=lived(2)), canary)))
    assert told is not None and told.startswith("canary comes first")


def test_a_counterpart_in_the_same_namespace_is_the_one() -> None:
    """Where the stages are clusters, a namesake in another namespace is another thing."""
    stages = (Stage(name="first", clusters=("eu",)), Stage(name="rest"))
    there = replace(LIVE, cluster="eu")
    namesake = standing(replace(there, namespace="blog"), due=True)
    same = standing(there)
    assert held_back([(LIVE, "")], Known(stages, (namesake, same))) is None
    assert held_back([(LIVE, "")], Known(stages, (namesake,))) is not None


def test_folders_tell_stages_too() -> None:
    """Overlays of one cluster; a star goes below."""
    stages = (Stage(name="staging", paths=("overlays/staging/*",)), Stage(name="production"))
    one = Standing(replace(LIVE, namespace="try"), "overlays/staging/web/values.yaml", True, None)
    told = held_back([(LIVE, "overlays/live/web/values.yaml")], Known(stages, (one,)))
    assert told is not None and "try/Deployment/web/app is to change itself" in told


@pytest.mark.parametrize(
    ("stages", "said"),
    [
        ((Stage(name="a"), Stage(name="b")), "a takes everything"),
        ((Stage(name="a", paths=("x",)), Stage(name="a")), "names of their own"),
        ((Stage(name="", paths=("x",)), Stage(name="a")), "names of their own"),
    ],
)
def test_stages_that_cannot_be_meant_are_refused(stages: tuple[Stage, ...], said: str) -> None:
    """One that leaves nothing to those after it, two of one name, none."""
    with pytest.raises(ValueError, match=said):
        ForgeSettings(stages=stages)
