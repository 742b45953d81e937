"""Worlds that nobody has looked at: workloads drawn by a seed, of the kinds that `worlds` names.

Periods, phases, lengths, heights, noise, rates of growth, limits, ages of releases and what memory
makes of its limit are all drawn, so that no constant of the policy can have been chosen by them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from benchmarks.loop.worlds import (
    DAY,
    NODE_CORES,
    NODE_MIB,
    WEEK,
    Answer,
    Array,
    Scaler,
    Wish,
    Workload,
    compound,
    daily,
    every,
    level,
    line,
    steps,
    working_week,
)

Rng = np.random.Generator
COUNT = 28
"""Workloads of one world."""


def random_world(seed: int, count: int = COUNT) -> tuple[Workload, ...]:
    """`count` workloads, the kinds in turn; the same for the same `seed`."""
    rng = np.random.default_rng(seed)
    world = []
    for number in range(count):
        kind, make = KINDS[number % len(KINDS)]
        world.append(_stain(rng, make(f"{kind}-{_letters(number)}", rng)))
    return tuple(world)


def _letters(number: int) -> str:
    """A name without digits, which are taken for the number of a run."""
    return chr(ord("a") + number // 26) + chr(ord("a") + number % 26)


def _draw(rng: Rng, low: float, high: float) -> float:
    """Between `low` and `high`, evenly in the logarithm."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def _made(name: str, rng: Rng, cpu: Wish, memory: Wish, most: tuple[float, float]) -> Workload:
    """A workload that was first given one and a half to four times its `most`, or too little."""
    generous = [_draw(rng, 1.3, 4.0) for _ in most]
    request = (min(most[0] * generous[0], NODE_CORES / 2), min(most[1] * generous[1], NODE_MIB / 4))
    limit = None if rng.random() < 0.15 else min(request[1] * _draw(rng, 1.0, 2.5), NODE_MIB / 2)
    given = (round(request[0], 2) or 0.01, math.ceil(request[1]))
    return Workload(
        name, cpu, memory, given, (None, None if limit is None else math.ceil(limit)),
        pods=int(rng.integers(1, 5)),
        noise=(_draw(rng, 0.05, 0.6), _draw(rng, 0.01, 0.12)),
    )  # fmt: skip


def _level(name: str, rng: Rng) -> Workload:
    cpu, memory = _draw(rng, 0.01, 2), _draw(rng, 40, 6000)
    made = _made(name, rng, level(cpu), level(memory), (cpu, memory))
    uneven = (_draw(rng, 1.5, 5), 1.0) if rng.random() < 0.3 else ()
    start = (_draw(rng, 1.5, 6), _draw(rng, 0.2, 2)) if rng.random() < 0.4 else (1.0, 0.0)
    return replace(made, uneven=uneven, start=start, release_every=int(rng.integers(0, 9)))


def _day(name: str, rng: Rng) -> Workload:
    low, high = _draw(rng, 0.02, 0.3), _draw(rng, 0.3, 2)
    least, most = _draw(rng, 100, 800), _draw(rng, 800, 3000)
    shape = daily if rng.random() < 0.5 else working_week
    cpu, memory = shape(low, high), shape(least, most)
    return _made(name, rng, _late(cpu, rng), _late(memory, rng), (high, most))


def _late(wish: Wish, rng: Rng) -> Wish:
    """The same course begun at another hour of the week."""
    by = rng.uniform(0, WEEK)
    return lambda hours: wish(hours + by)


def _peak(name: str, rng: Rng) -> Workload:
    """A peak every three days to every quarter."""
    days, length = _draw(rng, 3, 92), _draw(rng, 2, 30)
    first = rng.uniform(0, days)
    low, least = _draw(rng, 0.05, 0.4), _draw(rng, 200, 1500)
    high, most = low * _draw(rng, 1.5, 8), least * _draw(rng, 1.3, 4)
    cpu, memory = (every(days, length, *pair, first) for pair in ((low, high), (least, most)))
    return _made(name, rng, cpu, memory, (high, most))


def _growing(name: str, rng: Rng) -> Workload:
    cpu, memory, share = _draw(rng, 0.05, 0.5), _draw(rng, 200, 1500), _draw(rng, 0.005, 0.06)
    shape: Callable[[float, float], Wish] = compound
    rates = (share / 2, share / 2)
    if rng.random() < 0.5:
        shape, rates = line, (cpu * share, memory * share)
    return _made(name, rng, shape(cpu, rates[0]), shape(memory, rates[1]), (cpu, memory))


def _shifting(name: str, rng: Rng) -> Workload:
    """Levels of its own from some weeks on, each brought by a release."""
    every_weeks = int(rng.integers(4, 14))
    weeks = range(0, 60, every_weeks)
    levels = [(_draw(rng, 0.05, 0.6), _draw(rng, 200, 1500)) for _ in weeks]
    cpu, memory = (
        steps(*((week, pair[which]) for week, pair in zip(weeks, levels, strict=True)))
        for which in (0, 1)
    )
    made = _made(name, rng, cpu, memory, levels[0])
    return replace(made, release_every=every_weeks)


def _bursty(name: str, rng: Rng) -> Workload:
    cpu, memory = _draw(rng, 0.05, 0.4), _draw(rng, 200, 1200)
    height, rate = _draw(rng, 1.5, 6), _draw(rng, 0.1, 3)
    bursts = _bursts(rng, height, rate)
    most = (cpu * height, memory * height**0.5)
    return _made(
        name, rng, lambda hours: cpu * bursts(hours), lambda hours: memory * bursts(hours) ** 0.5,
        most,
    )  # fmt: skip


def _bursts(rng: Rng, height: float, per_week: float) -> Wish:
    """1, and for one to eight hours at random times up to `height`."""
    begins = rng.uniform(0, 60 * WEEK, round(60 * per_week))
    lengths, heights = rng.uniform(1, 8, len(begins)), height ** rng.uniform(0.3, 1, len(begins))

    def wish(hours: Array) -> Array:
        result = np.ones(len(hours))
        for begin, length, high in zip(begins, lengths, heights, strict=True):
            result[(hours >= begin) & (hours < begin + length)] = high
        return result

    return wish


def _job(name: str, rng: Rng) -> Workload:
    period = float(rng.choice([6.0, 12.0, DAY, DAY, 2 * DAY, WEEK, 2 * WEEK]))
    cpu, memory = _draw(rng, 0.1, 2), _draw(rng, 200, 4000)
    made = _made(name, rng, level(cpu), level(memory), (cpu, memory))
    generated = bool(rng.random() < 0.4)
    kind = "Job" if generated else "CronJob"
    runs = (period, min(_draw(rng, 0.5, 6), period / 2))
    return replace(made, pods=1, kind=kind, runs=runs, generated=generated)


def _scaled(name: str, rng: Rng) -> Workload:
    low, high, memory = _draw(rng, 0.2, 0.6), _draw(rng, 1, 4), _draw(rng, 150, 1200)
    made = _made(name, rng, daily(low, high), level(memory), (0.6, memory))
    scalers: tuple[Scaler, ...] = ("cpu", "rps", "keda")
    hpa = scalers[int(rng.integers(len(scalers)))]
    return replace(made, hpa=hpa, most_pods=12)


def _answering(*answers: Answer) -> Callable[[str, Rng], Workload]:
    def make(name: str, rng: Rng) -> Workload:
        cpu, memory = _draw(rng, 0.05, 1), _draw(rng, 150, 2500)
        made = _made(name, rng, level(cpu), level(memory), (cpu, 1.5 * memory))
        limit = math.ceil(min(made.request[1] * _draw(rng, 1, 2), NODE_MIB / 2))
        return replace(
            made,
            limit=(None, limit),
            answer=answers[int(rng.integers(len(answers)))],
            leak_per_day=memory * _draw(rng, 0.005, 0.8),
            fills_in_hours=_draw(rng, 8, 150),
            pressed_every_days=_draw(rng, 2, 40),
        )

    return make


def _starved(name: str, rng: Rng) -> Workload:
    """What needs more than it is given, of memory, CPU or both."""
    made = _level(name, rng)
    most = float(made.memory(np.zeros(1))[0]) * max((*made.uneven, 1.0)) * made.start[0]
    given = (math.ceil(made.request[0] * 250) / 1000, math.ceil(most / 4))
    return replace(made, request=given, limit=(None, math.ceil(most / _draw(rng, 1.1, 3))))


def _stain(rng: Rng, workload: Workload) -> Workload:
    """Scrapes that are missing, days without any, and a container that is renamed."""
    if rng.random() < 0.4:
        workload = replace(workload, missing=float(rng.uniform(0.01, 0.3)))
    if rng.random() < 0.2:
        workload = replace(workload, dark_every_days=_draw(rng, 6, 40))
    if rng.random() < 0.15 and workload.runs is None:
        workload = replace(workload, renamed=(int(rng.integers(4, 45)), "renamed"))
    return workload


KINDS: tuple[tuple[str, Callable[[str, Rng], Workload]], ...] = (
    ("level", _level), ("day", _day), ("peak", _peak), ("growing", _growing),
    ("shifting", _shifting), ("bursty", _bursty), ("job", _job), ("scaled", _scaled),
    ("starved", _starved), ("seldom", _peak), ("rising", _growing),
    ("held", _answering("cache", "heap")), ("endless", _answering("fills", "leak")),
    ("killed", _answering("node", "child")),
)  # fmt: skip
