"""Patterns on synthetic truth: what is there is found, and what is not there is not."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from scipy.signal import lfilter

from analyzer.history import Histories, build_histories
from analyzer.models.pattern import last_shift, recognise, steady_growth, trend, weekly_rhythm
from analyzer.usage import Meta, Recording, Usage
from tests.samples import START, STEP, ref

Array = npt.NDArray[np.float64]
COUNT, DAYS = 120, 21
TIME = np.arange(DAYS * 288) / 288


def noise(memory: float, spread: float, seed: int = 1, count: int = COUNT) -> Array:
    """Stationary, autocorrelated, heavy-tailed: AR(1) with Student-t shocks of three degrees."""
    rng = np.random.default_rng(seed)
    shocks = rng.standard_t(3, (count, len(TIME) + 500)) * spread * np.sqrt((1 - memory**2) / 3)
    return np.asarray(lfilter([1.0], [1.0, -memory], shocks, axis=1)[:, 500:])


def containers(memory: Array) -> Histories:
    """One pod per row of `memory`, with CPU in proportion."""
    count, steps = memory.shape
    usage = Usage(
        start=START,
        step=STEP,
        steps=steps,
        containers=tuple(ref(workload=f"w{i:04d}") for i in range(count)),
        container=np.arange(count),
        pods=tuple(f"p{i}" for i in range(count)),
        first=np.zeros(count, dtype=np.int64),
        offset=np.arange(count + 1) * steps,
        cpu_cores=(memory / 1e9).astype(np.float32).ravel(),
        memory_bytes=memory.astype(np.float32).ravel(),
    )
    return build_histories(Recording(Meta("lab", START, START + steps * STEP, STEP), usage))


def words(course: Array | float, **kind: float) -> list[str]:
    """What memory with that course (in logarithms) and noise on it is called."""
    settings = {"memory": 0.98, "spread": 0.04, **kind}
    memory = 3e8 * np.exp(course + noise(settings["memory"], settings["spread"]))
    return list(recognise(containers(memory))["memory"].findings)


@pytest.mark.parametrize(
    ("word", "course"),
    [
        ("growth", np.log(1.2) / 7 * TIME),
        ("shift", np.where(TIME > 12, 0.4, 0.0)),
        ("shift", np.where(TIME > 10, -0.5, 0.0)),
        ("daily", 0.3 * np.sin(2 * np.pi * TIME)),
        ("weekly", np.where(TIME.astype(int) % 7 >= 5, -0.5, 0.0)),
    ],
)
def test_a_clear_pattern_is_recognised(word: str, course: Array) -> None:
    """At least 95 % of clear cases get their word."""
    found = words(course)
    assert np.mean([each == word for each in found]) >= 0.95


@pytest.mark.parametrize(("memory", "spread"), [(0.9, 0.05), (0.98, 0.1), (0.99, 0.05)])
def test_noise_raises_no_alarm(memory: float, spread: float) -> None:
    """At most 2 % of stationary, autocorrelated, heavy-tailed histories get a pattern's word."""
    found = words(0.0, memory=memory, spread=spread)
    alarms = {"growth", "decline", "shift", "leak", "daily", "weekly"}
    assert np.mean([each in alarms for each in found]) <= 0.02


def test_slope_is_the_median_of_pairs() -> None:
    """A line with one outlier: every pair without it says 0.1 a day."""
    logs = 0.1 * np.arange(10.0)
    logs[4] = 9.0
    slope, p_value = trend(logs[None, :])
    assert slope[0] == pytest.approx(0.1)
    assert p_value[0] < 0.05


def test_few_days_have_no_trend() -> None:
    """Five days are too few, however straight they are."""
    slope, p_value = trend(np.arange(5.0)[None, :])
    assert (slope[0], p_value[0]) == (0.0, 1.0)


def test_a_shift_is_dated_and_measured() -> None:
    """Seven days at 1, seven at e: the eighth day is the first, the ratio e."""
    since, ratio = last_shift(np.concatenate([np.zeros(7), np.ones(7)])[None, :])
    assert since[0] == 7
    assert ratio[0] == pytest.approx(np.e)


def test_two_high_days_are_no_shift() -> None:
    """A change must have lasted three days."""
    since, ratio = last_shift(np.concatenate([np.zeros(12), np.ones(2)])[None, :])
    assert (since[0], ratio[0]) == (0, 1.0)


def test_one_week_has_no_weekly_rhythm() -> None:
    """What was seen once is no rhythm."""
    assert not weekly_rhythm(np.array([[0.0, 0, 0, 0, 0, -1, -1]] * 2))[0]


def restarted(silent: Histories, *days: float, kind: str = "restart") -> Histories:
    """`silent` with an event of every container on each of these days."""
    rows = [
        {"pod": f"p{index}", "timestamp": pd.Timestamp(START + timedelta(days=day)), "index": index}
        for index in range(len(silent))
        for day in days
    ]
    events = pd.DataFrame(rows).assign(kind=kind, value=np.nan)
    return Histories(silent.meta, silent.usage, silent.specs, events)


def test_a_clear_leak_is_recognised() -> None:
    """Memory that climbs by 80 % in each of the lives between two restarts."""
    memory = 3e8 * np.exp(np.log1p(0.8 * (TIME % 4) / 4) + noise(0.98, 0.01))
    of = restarted(containers(memory), 4, 8, 12, 16)
    found = recognise(of)["memory"].findings
    assert np.mean([word == "leak" for word in found]) >= 0.95


def test_replicas_that_grow_side_by_side_do_not_leak() -> None:
    """Each climbs by 40 % and none falls: the second pod begins low beside the first, not after."""
    memory = 3e8 * (1 + 0.4 * TIME / DAYS)[None, :].repeat(2, axis=0)
    alone = containers(memory)
    usage = replace(
        alone.usage, containers=alone.usage.containers[:1], container=np.zeros(2, dtype=np.int64)
    )
    of = build_histories(Recording(alone.meta, usage))
    assert recognise(of)["memory"].findings[0] == "growth"


def test_growth_from_week_to_week_is_no_step() -> None:
    """3 % a week for twelve weeks is growth; one step of 40 %, chance and a fall are none."""
    weeks = np.arange(12)
    wobble = 0.02 * np.random.default_rng(1).standard_normal(12)
    rows = [0.03 * weeks, np.where(weeks > 5, 0.4, 0.0), 0 * weeks, -0.03 * weeks]
    slopes = steady_growth(np.array([row + wobble / 4 for row in rows]))
    assert slopes[0] == pytest.approx(0.03, rel=0.1)
    assert list(slopes[1:]) == [0.0, 0.0, 0.0]


def test_a_heap_that_is_collected_does_not_leak() -> None:
    """It climbs for three days and falls by itself; only where it is restarted is it a leak."""
    time = np.arange(15 * 288) / 288
    silent = containers(3e8 * (1 + 0.6 * (time % 3) / 3)[None, :])
    assert recognise(silent)["memory"].findings[0] != "leak"
    assert recognise(restarted(silent, 3, 6, 9, 12))["memory"].findings[0] == "leak"


@pytest.mark.parametrize("rate", [0.02, 0.05])
@pytest.mark.parametrize("noisy", [0.0, 0.02])
@pytest.mark.parametrize("straight", [True, False])
def test_growth_is_seen_with_and_without_noise(rate: float, noisy: float, straight: bool) -> None:
    """In a straight line or by percent: what is smooth is the clearest growth of all."""
    days = np.floor(TIME)
    course = np.log1p(rate * days) if straight else rate * days
    memory = 3e8 * np.exp(course + noise(0.9, noisy, count=10))
    pattern = recognise(containers(memory))["memory"]
    assert pattern.findings == ["growth"] * 10


def test_a_new_image_begins_an_epoch_where_usage_changed_with_it() -> None:
    """Half the memory since two days: told at once, but counted alone only after a week."""
    short, long = (containers(np.where(day <= TIME, 4e8, 8e8)[None, :]) for day in (DAYS - 2, 6))
    young = recognise(restarted(short, DAYS - 2, kind="image_change"))["memory"]
    old = recognise(restarted(long, 6, kind="image_change"))["memory"]
    same = restarted(containers(np.full((1, len(TIME)), 8e8)), DAYS - 2, kind="image_change")
    assert (young.image[0], young.since[0]) == (DAYS - 2, 0)
    assert (old.image[0], old.since[0]) == (6, 6)
    assert recognise(same)["memory"].image[0] == 0
