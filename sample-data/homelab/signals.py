"""What a container wants: CPU in cores and memory in bytes, as if nothing limited it.

The shape of a pattern over the window (`load`) is shared by the pods of a workload; noise and
age are each pod's own.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate

import numpy as np

from homelab.catalog import Container, Workload
from homelab.clock import DAY, STEPS, Array, dice, hours, step_of, weekdays

PAGE = 4096
MIB = 2**20
SILENT_SHIFT_DAY = 12.4


@dataclass(frozen=True)
class Load:
    """Factors on a container's usual CPU and memory, one per step of the window."""

    cpu: Array
    memory: Array


def load(workload: Workload, container: Container) -> Load:
    """The shape of `container`'s pattern over the whole window."""
    rng = dice("load", *workload.key, container.name)
    flat = np.ones(STEPS)
    match container.pattern:
        case "daily" | "throttled":
            height = 5.0 if container.pattern == "throttled" else 2.4
            bump = evening() * daily_heights(rng, 0.15)
            return Load(0.5 + height * bump, 1 + 0.35 * bump)
        case "weekly":
            office = office_hours()
            return Load(0.35 + 2.2 * office, 0.72 + 0.45 * smooth(office, 12))
        case "weekly_peak":
            peak = sunday_morning() * daily_heights(rng, 0.08)
            return Load(1 + 22 * peak, 1 + 1.5 * smooth(peak, 4))
        case "bursty":
            burst = bursts(rng)
            return Load(0.6 + burst, 1 + 0.16 * smooth(np.minimum(burst, 12), 8))
        case "growing":
            days = np.arange(STEPS) / DAY
            return Load(1 + 0.01 * days, 1 + 0.025 * days)
        case "level_shift" | "level_shift_silent":
            silent = container.pattern.endswith("silent")
            day = SILENT_SHIFT_DAY if silent else workload.rollouts[0]
            shifted = np.arange(STEPS) >= step_of(day)
            return Load(
                np.where(shifted, container.shift, 1), np.where(shifted, container.shift, 1)
            )
        case "hpa":
            return Load(0.4 + 1.6 * evening() * daily_heights(rng, 0.1), flat)
        case _:
            return Load(flat, flat)


def evening() -> Array:
    """A bump around 20:30, from 0 to 1."""
    away = np.abs((hours() - 20.5 + 12) % 24 - 12)
    return np.asarray(np.exp(-((away / 2.8) ** 2)))


def office_hours() -> Array:
    """Near 1 on weekdays from 8 to 18, near 0 otherwise."""
    rise = 1 / (1 + np.exp(-(hours() - 8.0) * 2))
    fall = 1 / (1 + np.exp((hours() - 18.0) * 2))
    return np.asarray(np.where(weekdays() < 5, rise * fall, 0.06 * rise * fall))


def sunday_morning() -> Array:
    """1 on Sundays from 03:00 to 05:30, else 0."""
    inside = (weekdays() == 6) & (hours() > 3) & (hours() < 5.5)
    return np.asarray(inside, dtype=np.float64)


def daily_heights(rng: np.random.Generator, spread: float) -> Array:
    """A factor that differs from day to day by about `spread`."""
    return np.repeat(np.exp(rng.normal(0, spread, STEPS // DAY)), DAY)


def bursts(rng: np.random.Generator) -> Array:
    """Bursts at random times, about four a day, of Pareto height that fade within the hour."""
    height = np.zeros(STEPS)
    for begin in np.flatnonzero(rng.random(STEPS) < 4 / DAY):
        length = int(rng.integers(2, 14))
        fade = np.exp(-np.arange(length) / max(1, length / 2))
        top = min(1.5 * (1 + rng.pareto(1.6)), 40)
        height[begin : begin + length] += top * fade[: STEPS - begin]
    return height


def smooth(values: Array, width: int) -> Array:
    """The mean of the last `width` steps."""
    total = np.concatenate([np.zeros(width), np.cumsum(values)])
    counts = np.minimum(np.arange(1, len(values) + 1), width)
    return np.asarray((total[width:] - total[:-width]) / counts)


def wander(rng: np.random.Generator, count: int, memory: float, spread: float) -> Array:
    """Autocorrelated noise around 0 with standard deviation `spread`."""
    shocks = rng.normal(0, spread * np.sqrt(1 - memory**2), count)
    shocks[:1] = rng.normal(0, spread, 1)[: len(shocks[:1])]
    return np.array(list(accumulate(shocks, lambda level, shock: memory * level + shock)))


def wanted_cpu(container: Container, factor: Array, age: Array, rng: np.random.Generator) -> Array:
    """Cores that a pod wants; `factor` is its share of the load, `age` in steps since its start."""
    spread = {"idle": 0.12, "startup": 0.1, "hpa": 0.06}.get(container.pattern, 0.2)
    count = len(factor)
    noise = np.exp(wander(rng, count, 0.85, spread) - spread**2 / 2)
    tail = 1 + np.where(rng.random(count) < 0.012, np.minimum(rng.pareto(2.6, count), 6), 0)
    starting = 1 + 1.2 * np.exp(-age / 1.5) * (container.pattern not in ("batch", "startup", "hpa"))
    return np.asarray(container.cores * factor * noise * tail * starting)


def wanted_memory(container: Container, factor: Array, noise: Array, age: Array) -> Array:
    """Bytes that a pod wants; `age` in steps since its container started."""
    grown = factor * ageing(container.pattern, age / DAY) * (1 + noise)
    return np.asarray(np.ceil(container.mib * MIB * grown / PAGE) * PAGE)


def memory_noise(container: Container, count: int, rng: np.random.Generator) -> Array:
    """Noise of a working set: it holds still, then moves."""
    spread = {"idle": 0.004, "java_heap": 0.004, "oom_killed": 0.03, "batch": 0.05}.get(
        container.pattern, 0.018
    )
    moving = wander(rng, count, 0.97, spread)
    moving += np.where(rng.random(count) < 0.004, np.minimum(rng.pareto(3.0, count), 2) * spread, 0)
    moves = rng.random(count) < 0.3
    return moving[np.maximum.accumulate(np.where(moves, np.arange(count), 0))]


def ageing(pattern: str, days: Array) -> Array:
    """How memory depends on the time since the container started."""
    match pattern:
        case "leaking":
            return np.asarray(0.75 + 0.22 * days)
        case "oom_killed":
            return np.asarray(0.72 + 0.75 * (1 - np.exp(-days / 0.9)))
        case "java_heap":
            return np.asarray(0.45 + 0.55 * (1 - np.exp(-days / 0.12)))
        case "batch" | "startup":
            return np.asarray(0.6 + 0.4 * (1 - np.exp(-(days * DAY + 1) / 1.5)))
        case _:
            return np.asarray(0.86 + 0.14 * (1 - np.exp(-days / 0.25)))
