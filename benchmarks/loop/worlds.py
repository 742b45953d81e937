"""Workloads whose need is known: what they want at every hour, and how they answer.

A `Workload` is a few lines: what one pod wants of CPU (cores) and memory (MiB) at each hour since
the beginning, and what it makes of the limits it is given (see `Answer`). `WORLDS` groups them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Wish = Callable[[Array], Array]
"""What one pod wants at each hour since the beginning, before noise."""

DAY, WEEK = 24.0, 168.0
NODE_CORES, NODE_MIB = 8.0, 32768.0
"""What the largest node can give."""

Answer = Literal["need", "cache", "heap", "fills", "leak", "node", "child"]
"""What memory makes of a limit.

``need``: wants what it wants, and is killed below it. ``cache``: fills 95 % of its limit with pages
that the kernel takes back, and is killed only below its own need. ``heap``: grows to 70 % of its
limit, and runs with its need. ``fills``: takes its limit, whatever it is, in some days. ``leak``:
grows from each start on by its own rate. ``node``: is killed now and then for its node's sake, far
below its limit. ``child``: a child process is killed at the limit, and the container lives on.
"""


Scaler = Literal["", "cpu", "rps", "keda"]
"""What an HPA scales by; empty for none."""


@dataclass(frozen=True)
class Workload:
    """One container of one workload, and what it was given in the beginning."""

    name: str
    cpu: Wish
    memory: Wish
    request: tuple[float, float]
    """Cores and MiB."""
    limit: tuple[float | None, float | None] = (None, None)
    pods: int = 2
    kind: str = "Deployment"
    answer: Answer = "need"
    noise: tuple[float, float] = (0.2, 0.03)
    """Spread of CPU and memory from step to step, in logarithms."""
    uneven: tuple[float, ...] = ()
    """What each pod wants as a multiple; the pods beyond take the last."""
    leak_per_day: float = 0.0
    fills_in_hours: float = 60.0
    """How long what takes its limit needs for it."""
    pressed_every_days: float = 10.0
    """How often one is killed for its node's sake."""
    start: tuple[float, float] = (1.0, 0.0)
    """What CPU and memory are multiplied by after a start, and for how many hours."""
    hpa: Scaler = ""
    most_pods: int = 10
    runs: tuple[float, float] | None = None
    """For jobs: one run every so many hours, for so many hours."""
    generated: bool = False
    """Whether every run is an object with a name of its own."""
    release_every: int = 0
    """A new image every so many weeks, which restarts the pods."""
    pods_at: tuple[tuple[int, int], ...] = ()
    """From which week on there are how many pods."""
    container: str = "app"
    namespace: str = "world"
    called: str = ""
    """What the cluster calls it, where two namespaces have one of that name."""
    renamed: tuple[int, str] | None = None
    missing: float = 0.0
    """The share of scrapes that nobody has kept."""
    dark_every_days: float = 0.0
    """How often a whole day of scrapes is missing; 0: never."""
    since: int = 0
    beside: str = ""
    """The workload whose pods this container shares."""

    @property
    def shown(self) -> str:
        """The name of its object."""
        return self.beside or self.called or self.name


def level(value: float) -> Wish:
    """The same all the time."""
    return lambda hours: np.full(len(hours), value)


def daily(low: float, high: float) -> Wish:
    """A smooth day with its peak in the afternoon."""
    return lambda hours: low + (high - low) * (0.5 - 0.5 * np.cos((hours - 3) / DAY * 2 * np.pi))


def working_week(low: float, high: float) -> Wish:
    """Daily from Monday to Friday, low at the weekend."""
    busy = daily(low, high)
    return lambda hours: np.where(hours % WEEK < 5 * DAY, busy(hours), low)


def every(days: float, length: float, low: float, high: float, first: float = 3.0) -> Wish:
    """`high` for `length` hours every so many days, the first time on day `first`; else `low`."""
    return lambda hours: np.where((hours / DAY - first) % days < length / DAY, high, low)


def line(value: float, per_week: float) -> Wish:
    """Growth by `per_week` a week, in a straight line."""
    return lambda hours: value + per_week * hours / WEEK


def compound(value: float, per_week: float) -> Wish:
    """Growth by the share `per_week` a week."""
    return lambda hours: value * (1 + per_week) ** (hours / WEEK)


def steps(*levels: tuple[int, float]) -> Wish:
    """Levels by the week from which they hold."""
    weeks, values = zip(*levels, strict=True)

    def wish(hours: Array) -> Array:
        position = np.searchsorted(np.array(weeks) * WEEK, hours, side="right") - 1
        return np.array(values, dtype=np.float64)[position]

    return wish


def bursts(value: float, factor: float, per_week: float, seed: int) -> Wish:
    """`value`, and for three hours at random times up to `factor` times as much."""
    rng = np.random.default_rng(seed)
    begins = np.sort(rng.uniform(0, 60 * WEEK, round(60 * per_week)))
    heights = value * factor ** rng.uniform(0.3, 1.0, len(begins))

    def wish(hours: Array) -> Array:
        result = np.full(len(hours), value)
        for begin, height in zip(begins, heights, strict=True):
            result[(hours >= begin) & (hours < begin + 3)] = height
        return result

    return wish


def releases(value: float, spread: float, seed: int) -> Wish:
    """A level of its own each week, as every release brings it."""
    rng = np.random.default_rng(seed)
    values = value * np.exp(spread * rng.standard_normal(60))
    return lambda hours: values[(hours // WEEK).astype(np.int64)]


def _job(name: str, cpu: float, memory: float, runs: tuple[float, float], **more: bool) -> Workload:
    return Workload(
        name,
        level(cpu),
        level(memory),
        (2 * cpu, 2 * memory),
        (None, 3 * memory),
        pods=1,
        kind="Job" if more.get("generated") else "CronJob",
        runs=runs,
        noise=(0.3, 0.08),
        generated=more.get("generated", False),
    )


STATIONARY = (
    Workload("steady", level(0.3), level(700), (1.0, 2048), (2.0, 3072)),
    Workload("steady-small", level(0.008), level(40), (0.1, 128), (None, 256)),
    Workload("steady-large", level(3.0), level(9000), (4.0, 16384), (None, 20480), pods=1),
    Workload("too-small", level(0.5), level(900), (0.1, 256), (None, 1536)),
    Workload("no-limits", level(0.2), level(500), (1.0, 1024)),
    Workload("noisy", level(0.2), level(600), (1.0, 2048), (None, 4096), noise=(0.8, 0.15)),
    Workload("throttled", level(0.9), level(300), (0.5, 512), (0.6, 1024)),
    Workload(
        "leader", level(0.1), level(300), (0.5, 1024), (None, 2048), pods=5, uneven=(4.0, 1.0)
    ),
    Workload(
        "hot-node",
        level(0.05),
        level(200),
        (0.3, 512),
        (None, 1024),
        pods=3,
        kind="DaemonSet",
        uneven=(5.0, 1.0),
    ),
    Workload(
        "start-burst",
        level(0.2),
        level(800),
        (1.5, 3072),
        (None, 5120),
        start=(4.0, 0.5),
        release_every=4,
    ),
    Workload("added-main", level(0.2), level(400), (1.0, 1024), (None, 2048)),
    Workload(
        "added-proxy",
        level(0.05),
        level(80),
        (0.5, 512),
        (None, 1024),
        container="proxy",
        since=6,
        beside="added-main",
    ),
    Workload(
        "renamed", level(0.2), level(400), (1.0, 1024), (None, 2048), renamed=(7, "application")
    ),
)

RHYTHMIC = (
    Workload("daily", daily(0.05, 0.6), daily(400, 700), (2.0, 2048), (None, 4096)),
    Workload("working-week", working_week(0.05, 0.6), working_week(400, 900), (2.0, 2048)),
    Workload(
        "weekly-peak", every(7, 4, 0.1, 1.0), every(7, 4, 500, 1500), (1.5, 2048), (None, 3072)
    ),
    Workload(
        "fortnightly", every(14, 6, 0.1, 1.0), every(14, 6, 500, 1500), (1.5, 2048), (None, 3072)
    ),
    Workload("monthly", every(30, 8, 0.1, 1.0), every(30, 8, 500, 2000), (1.5, 2560), (None, 3072)),
    Workload(
        "quarter-end",
        every(91, 48, 0.1, 1.0, 10),
        every(91, 48, 500, 2000, 10),
        (1.5, 2560),
        (None, 3072),
    ),
    _job("nightly", 0.5, 800, (24.0, 2.0)),
    _job("weekly-job", 0.5, 1200, (168.0, 3.0)),
    _job("generated", 0.4, 600, (24.0, 2.0), generated=True),
    Workload(
        "hpa-cpu", daily(0.4, 2.4), level(400), (0.5, 1024), (None, 2048), hpa="cpu", most_pods=12
    ),
    Workload(
        "hpa-rps", daily(0.4, 2.4), level(400), (0.8, 1024), (None, 2048), hpa="rps", most_pods=12
    ),
    Workload("keda", daily(-0.4, 1.2), level(300), (0.8, 1024), (None, 2048), hpa="keda"),
)

MOVING = (
    Workload("bursty-cpu", bursts(0.1, 6, 2, 1), level(500), (1.0, 1024), (None, 2048)),
    Workload("bursty-memory", level(0.1), bursts(500, 3, 0.7, 2), (0.5, 2048), (None, 3072)),
    Workload("line", line(0.2, 0.01), line(500, 40), (0.5, 1024), (None, 2048)),
    Workload("compound", compound(0.2, 0.02), compound(500, 0.03), (0.5, 1024), (None, 2048)),
    Workload("shift-up", steps((0, 0.2), (5, 0.5)), steps((0, 500), (5, 900)), (0.5, 1024)),
    Workload("shift-down", steps((0, 0.5), (5, 0.2)), steps((0, 900), (5, 500)), (1.0, 2048)),
    Workload(
        "up-and-down",
        steps((0, 0.2), (8, 0.4), (20, 0.2), (32, 0.4)),
        steps((0, 500), (8, 900), (20, 500), (32, 900)),
        (0.5, 1024),
        (None, 2048),
    ),
    Workload(
        "released",
        releases(0.2, 0.06, 3),
        releases(600, 0.06, 4),
        (1.0, 2048),
        (None, 3072),
        release_every=1,
    ),
    Workload(
        "two-then-twenty",
        level(0.2),
        level(400),
        (0.5, 1024),
        (None, 2048),
        pods_at=((0, 2), (6, 20)),
    ),
)

ANSWERING = (
    Workload(
        "page-cache", level(0.3), level(1200), (2.0, 4096), (None, 4096), pods=1, answer="cache"
    ),
    Workload("heap", level(0.3), level(900), (1.0, 4096), (None, 4096), answer="heap"),
    Workload("need-above", level(0.3), level(1500), (0.5, 512), (None, 1024)),
    Workload(
        "node-kills", level(0.2), level(400), (0.5, 1024), (None, 4096), pods=1, answer="node"
    ),
    Workload("children", level(0.2), level(1200), (0.5, 512), (None, 1024), pods=1, answer="child"),
    Workload("fills", level(0.2), level(300), (0.5, 512), (None, 1024), pods=1, answer="fills"),
    Workload(
        "leak-slow", level(0.2), level(400), (0.5, 1024), (None, 2048), answer="leak",
        leak_per_day=25, pods=1,
    ),
    Workload(
        "leak-fast", level(0.2), level(400), (0.5, 1024), (None, 2048), answer="leak",
        leak_per_day=600, pods=1,
    ),
)  # fmt: skip


WORLDS: dict[str, tuple[Workload, ...]] = {
    "stationary": STATIONARY,
    "rhythmic": RHYTHMIC,
    "moving": MOVING,
    "answering": ANSWERING,
}


@dataclass
class Given:
    """What one workload is given now: MiB and cores, None where nothing is declared."""

    cpu_request: float | None
    memory_request: float | None
    cpu_limit: float | None
    memory_limit: float | None
    since: int = 0
    """The week of its last change."""
    generation: int = 0
    age: dict[int, float] = field(default_factory=dict)
    """Hours since each pod's last start; a pod that is not listed has just started."""

    @classmethod
    def of(cls, workload: Workload) -> Given:
        """What it was given in the beginning."""
        return cls(*workload.request, *workload.limit)
