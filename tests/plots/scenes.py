"""Containers of every kind, to draw."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.text import Text

from analyzer.evidence import observe
from analyzer.history import Histories
from analyzer.models.forecast import Forecast
from analyzer.quantity import Resources
from analyzer.recommend import Recommendation
from tests.samples import MIB, START, histories, names, recommendation, resources, steady


def lines_of(figure: Figure) -> list[Text]:
    """The lines of text on a figure."""
    return [one for one in (*figure.texts, *figure.artists) if isinstance(one, Text)]


def scene(
    usage: pd.DataFrame,
    now: Resources,
    new: Resources,
    *,
    replicas: int = 1,
    events: list[dict[str, Any]] | None = None,
    specs: list[dict[str, Any]] | None = None,
) -> tuple[Histories, Recommendation]:
    """One container with its evidence as `recommend` would observe it."""
    of = histories(usage, specs=specs, events=events)
    found = recommendation(now, new, of=of.containers[0], replicas=replicas)
    return of, replace(found, evidence=observe(of, [0])[0])


def daily(days: float = 14, pods: int = 2, seed: int = 1) -> pd.DataFrame:
    """Pods with a daily hump and noise."""
    rng = np.random.default_rng(seed)
    parts = []
    for pod in range(pods):
        part = steady(days=days)
        hour = np.arange(len(part)) / 12
        hump = np.exp(-(((hour % 24) - 13) ** 2) / 8)
        part["cpu_cores"] = (0.1 + 0.3 * hump) * rng.lognormal(0, 0.2, len(part))
        part["memory_bytes"] = (300 + 40 * hump + rng.normal(0, 4, len(part))) * MIB
        part["pod"] = f"web-{pod}"
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


def event(kind: str, day: float, value: float | None = None) -> dict[str, Any]:
    """One event of the container of `names`."""
    moment = START + timedelta(days=day)
    return {**names(), "pod": "web-1", "timestamp": moment, "kind": kind, "value": value}


def expected(level: float, **changes: Any) -> Forecast:
    """Fourteen days as seen and seven as expected, around one level."""
    days = np.arange(21)
    start = np.datetime64(START.replace(tzinfo=None) + timedelta(hours=12))
    course = level * (1 + 0.2 * np.sin(days))
    ahead = np.where(days < 14, np.nan, course)
    made = Forecast(
        times=start + days * np.timedelta64(1, "D"),
        seen=np.where(days < 14, course, np.nan),
        level=ahead,
        low=0.8 * ahead,
        high=1.2 * ahead,
        trend=np.linspace(level, 1.1 * level, len(days)),
        cut_off=np.zeros(len(days), dtype=bool),
    )
    return replace(made, **changes)


def _with_gap() -> pd.DataFrame:
    frame = daily()
    day = (frame["timestamp"] - START) / timedelta(days=1)
    return frame[(day < 5) | (day > 7)]


SCENES: dict[str, Callable[[], tuple[Histories, Recommendation]]] = {
    "lowered": lambda: scene(
        daily(), resources("1", "2Gi", "2", "2Gi"), resources("420m", "1Gi", None, "1280Mi")
    ),
    "raised": lambda: scene(
        daily(), resources("50m", "128Mi", None, "256Mi"), resources("400m", "384Mi", None, "512Mi")
    ),
    "unchanged": lambda: scene(daily(), resources("400m", "400Mi"), resources("400m", "400Mi")),
    "nothing declared": lambda: scene(daily(), resources(), resources("400m", "400Mi")),
    "nothing at all": lambda: scene(daily(), resources(), resources()),
    "limit fifty times usage": lambda: scene(
        daily(), resources("8", "16Gi", "20", "20Gi"), resources("420m", "400Mi", None, "512Mi")
    ),
    "all lines at one place": lambda: scene(
        daily(),
        resources("400m", "400Mi", "401m", "400Mi"),
        resources("402m", "401Mi", "403m", "402Mi"),
    ),
    "young": lambda: scene(
        daily(days=2).assign(timestamp=lambda f: f["timestamp"] + timedelta(days=12)),
        resources("100m", "400Mi"),
        resources("400m", "400Mi"),
    ),
    "one sample": lambda: scene(
        steady(days=2).iloc[:1], resources("100m"), resources("100m", "128Mi")
    ),
    "zero usage": lambda: scene(
        steady(cpu=0.0, memory=1.0), resources("100m", "64Mi"), resources("5m", "16Mi")
    ),
    "no cpu": lambda: scene(
        steady().assign(cpu_cores=np.nan), resources("100m", "64Mi"), resources("100m", "128Mi")
    ),
    "no memory": lambda: scene(
        steady().assign(memory_bytes=np.nan), resources("100m", "64Mi"), resources("110m", "64Mi")
    ),
    "huge": lambda: scene(
        steady(cpu=1900.0, memory=6e13), resources("9000", "2Pi"), resources("3500", "1Pi")
    ),
    "five hundred pods": lambda: scene(
        pd.concat([steady(days=2).assign(pod=f"web-{k}") for k in range(500)]),
        resources("1", "1Gi"),
        resources("110m", "128Mi"),
        replicas=500,
    ),
    "gap": lambda: scene(_with_gap(), resources("1", "1Gi"), resources("400m", "400Mi")),
    "spike": lambda: scene(
        steady().assign(cpu_cores=lambda f: np.where(f.index == 2000, 40.0, 0.1)),
        resources("1", "1Gi"),
        resources("110m", "128Mi"),
    ),
    "events": lambda: scene(
        daily(),
        resources("1", "320Mi", "1", "384Mi"),
        resources("400m", "512Mi", "1", "640Mi"),
        events=[
            *(event("oom_kill", day / 3, 384.0 * MIB) for day in range(1, 31)),
            *(event("restart", day / 3 + 0.001) for day in range(30)),
            event("restart", 12.5),
            event("image_change", 6),
            *(event("throttled", 8 + k / 288, 0.3) for k in range(100)),
        ],
    ),
    "pressure": lambda: scene(
        daily(),
        resources("1", "1Gi"),
        resources("400m", "512Mi"),
        events=[event("cpu_pressure", day, 0.4) for day in (3, 9)],
        specs=[
            {**names(), "cpu_request_cores": cores, "first_seen": START + timedelta(days=day)}
            for cores, day in ((2.0, 0), (1.0, 6))
        ],
    ),
    "ugly names": lambda: _renamed(
        scene(daily(), resources("1", "2Gi"), resources("420m", "1Gi")),
        namespace="pay$\\frac{1}{0}$\n" + "n" * 90,
        workload="w\u202e$^$" * 40,
        container="\u4e2d" * 63,
    ),
}


def _renamed(
    found: tuple[Histories, Recommendation], **changes: str
) -> tuple[Histories, Recommendation]:
    of, recommended = found
    return of, replace(recommended, ref=replace(recommended.ref, **changes))
