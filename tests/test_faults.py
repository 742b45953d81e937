"""Faults of telemetry, alone and together: the amounts of nobody else move by more than a step.

A healthy cluster is analysed, then the same with faults in one of its containers. What is not
believed of that container may leave it without an amount, but never with one that rests on it.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from analyzer.history import build_histories
from analyzer.pipeline.method import Method
from analyzer.pipeline.review import review
from analyzer.policy import round_up
from analyzer.quantity import Quantity
from analyzer.recommend import TARGETS
from analyzer.report import Report
from analyzer.tables import validate_specs
from analyzer.usage import Recording, Usage
from tests.samples import MIB, meta, names, ref, steady

WINDOW = meta(14)
STEPS = 14 * 288
BROKEN = "web"
HEALTHY = ("api", "queue", "cache", "mail", "shop")
Fault = Callable[[pd.DataFrame, np.random.Generator], pd.DataFrame]


def busy(number: int) -> tuple[np.ndarray, np.ndarray]:
    """A day's rhythm with noise, larger for each container; memory hardly moves."""
    noise = np.random.default_rng(number)
    time = np.arange(STEPS) / 288
    cpu = 0.1 * (number + 1) * (1 + 0.4 * np.sin(2 * np.pi * time)) * noise.lognormal(0, 0.1, STEPS)
    memory = 100 * (number + 1) * MIB * (1 + 0.05 * noise.random(STEPS))
    return cpu, memory


def analysed(*faults: Fault, seed: int = 0) -> Report:
    """What is recommended where the first container has such faults."""
    noise = np.random.default_rng(seed)
    frames, specs = [], []
    for number, workload in enumerate((BROKEN, *HEALTHY)):
        cpu, memory = busy(number)
        frame = steady(14, cpu, memory, workload=workload, pod=f"{workload}-1")
        for fault in faults if workload == BROKEN else ():
            frame = fault(frame, noise)
        frames.append(frame)
        specs.append(
            {
                **names(workload=workload),
                "cpu_request_cores": 1.0,
                "memory_request_bytes": 2048.0 * MIB,
                "memory_limit_bytes": 4096.0 * MIB,
                "first_seen": WINDOW.start,
                "last_seen": WINDOW.end,
            }
        )
    usage = Usage.from_frame(pd.concat(frames), WINDOW)
    recording = Recording(WINDOW, usage, validate_specs(pd.DataFrame(specs)))
    return review(build_histories(recording), Method(backtest=False)).report


def _some(frame: pd.DataFrame, noise: np.random.Generator, share: float) -> np.ndarray:
    return noise.random(len(frame)) < share


def _stretch(frame: pd.DataFrame, noise: np.random.Generator, hours: float) -> np.ndarray:
    length = int(12 * hours)
    begin = int(noise.integers(0, len(frame) - length))
    steps = np.arange(len(frame))
    return (steps >= begin) & (steps < begin + length)


def no_memory(frame: pd.DataFrame, noise: np.random.Generator) -> pd.DataFrame:
    """A kubelet that looks into the wrong cgroup now and then."""
    return frame.assign(memory_bytes=frame["memory_bytes"].mask(_some(frame, noise, 0.2), 0.0))


def wrapped(frame: pd.DataFrame, noise: np.random.Generator) -> pd.DataFrame:
    """A counter below zero, read without its sign."""
    wrong = _some(frame, noise, 0.002)
    return frame.assign(memory_bytes=frame["memory_bytes"].mask(wrong, 2.0**64 - 4096))


def jumped(frame: pd.DataFrame, noise: np.random.Generator) -> pd.DataFrame:
    """A CPU counter that jumped: five million cores."""
    return frame.assign(cpu_cores=frame["cpu_cores"].mask(_some(frame, noise, 0.06), 5e6))


def negative(frame: pd.DataFrame, noise: np.random.Generator) -> pd.DataFrame:
    """Numbers below zero in both."""
    wrong = _some(frame, noise, 0.01)
    columns = ("cpu_cores", "memory_bytes")
    return frame.assign(**{name: frame[name].mask(wrong, -frame[name]) for name in columns})


def infinite(frame: pd.DataFrame, noise: np.random.Generator) -> pd.DataFrame:
    """A division by zero."""
    return frame.assign(cpu_cores=frame["cpu_cores"].mask(_some(frame, noise, 0.01), np.inf))


def frozen(frame: pd.DataFrame, noise: np.random.Generator) -> pd.DataFrame:
    """A counter that stood still for two days while memory moved."""
    return frame.assign(cpu_cores=frame["cpu_cores"].mask(_stretch(frame, noise, 48), 0.0))


def lost(frame: pd.DataFrame, noise: np.random.Generator) -> pd.DataFrame:
    """An outage of a day, and single scrapes that failed."""
    gone = _stretch(frame, noise, 24) | _some(frame, noise, 0.05)
    return pd.DataFrame(frame[~gone])


def doubled(frame: pd.DataFrame, noise: np.random.Generator) -> pd.DataFrame:
    """Days that two scrapers told alike."""
    return pd.concat([frame, frame[_stretch(frame, noise, 72)]])


def ahead(frame: pd.DataFrame, noise: np.random.Generator) -> pd.DataFrame:
    """Samples of a clock that is days ahead."""
    late = frame[_some(frame, noise, 0.05)]
    times = late["timestamp"] + timedelta(days=20)
    return pd.concat([frame, late.assign(timestamp=times, memory_bytes=64e9)])


FAULTS = (no_memory, wrapped, jumped, negative, infinite, frozen, lost, doubled, ahead)


def one_step_apart(left: Quantity | None, right: Quantity | None) -> bool:
    """Whether two amounts are the same, or neighbours among the amounts that a person writes."""
    if left is None or right is None or left == right:
        return left == right
    low, high = sorted((left, right))
    return round_up(low.scale(1.0001)) >= high


def check(report: Report, healthy: Report) -> None:
    """What is healthy stands where it stood; what is broken within a step, or without an amount."""
    got = {r.ref: r for r in report.recommendations}
    for one in healthy.recommendations:
        if one.ref not in got:
            assert one.ref == ref(workload=BROKEN)
            assert "not observed" in {s.ref: s.reason for s in report.skipped}[one.ref]
            continue
        for target in TARGETS:
            was, now = (getattr(r.proposed, target) for r in (one, got[one.ref]))
            assert one_step_apart(was, now), f"{one.ref} {target}: {was} became {now}"


@pytest.fixture(scope="module")
def healthy() -> Report:
    """The cluster without any fault; everything in it gets lower amounts."""
    report = analysed()
    assert len(report.changed) == 1 + len(HEALTHY)
    return report


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_no_amount_rests_on_a_fault(fault: Fault, healthy: Report) -> None:
    """Each fault by itself."""
    check(analysed(fault), healthy)


@pytest.mark.parametrize("seed", range(8))
def test_no_amount_rests_on_faults_together(seed: int, healthy: Report) -> None:
    """Two to four faults at once, in any order."""
    chosen = random.Random(seed)
    faults = chosen.sample(FAULTS, chosen.randint(2, 4))
    check(analysed(*faults, seed=seed), healthy)
