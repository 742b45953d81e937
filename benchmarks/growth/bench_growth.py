"""How the cost of a run grows with the cluster: every stage at several sizes, and the exponent.

    python benchmarks/growth/bench_growth.py --sizes 1000 3000 10000 --days 14 --charts 200
    python benchmarks/growth/bench_growth.py --sizes 50 100 200 --days 9 --count --most 1.2

Makes a cluster and its repository (one file per application of five containers) and runs
``rightsize run`` on them, in a process of its own per size. Prints seconds of processor (this
process and the programs it calls) and of the clock by stage, the peak of resident memory of this
process, and that of all processes, shared pages once. With `--limit` all of them have no more than
that (as root, where control groups of the first version are mounted).

`--workers` says in how many processes containers are worked on; without it, as many as a run of
that size starts.

With `--count` it prints the calls of functions instead, Python's and C's. They are the same on
every machine and at every load, so the exponent of that work can be judged: with `--most` the
benchmark fails where that of a stage is larger (1 is linear, 2 quadratic). What a single call
costs inside C is not in it; the exponent of the seconds tells of that.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import wraps
from importlib import import_module
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from meter import Memory
from power import exponent, too_steep
from world import make_world

STAGES = {
    "read": "run:read_noting",
    "histories": "run:build_histories",
    "index": "run:index_of",
    "look ahead": "run:look_ahead",
    "decide": "review:decide",
    "ledger rows": "review:update",
    "judge": "review:judge",
    "plan edits": "run:plan_on_index",
    "proposals": "run:with_plan",
    "write": "run:write_all",
    "charts": "run:draw",
}
"""Every stage by the function of ``analyzer.pipeline`` that is it; none calls another."""


@dataclass(frozen=True)
class Cost:
    """What one stage of one size took; zero where it was not measured."""

    calls: int = 0
    cpu: float = 0.0
    wall: float = 0.0
    peak_mib: float = 0.0
    all_mib: float = 0.0
    began: float = 0.0
    """By the monotonic clock, which all processes share."""


UNITS = {
    "calls": "calls",
    "cpu": "CPU s",
    "wall": "wall s",
    "peak_mib": "peak MiB",
    "all_mib": "all MiB",
}


@contextmanager
def metered(costs: dict[str, Cost], name: str, count: bool) -> Iterator[None]:
    """Note what the block costs as the stage `name`: its calls, or its seconds and memory."""
    if count:
        profile = cProfile.Profile()
        profile.enable()
        yield
        profile.disable()
        costs[name] = Cost(calls=sum(entry.callcount for entry in profile.getstats()))
        return
    forget_peak()
    cpu, began = cpu_seconds(), time.monotonic()
    yield
    wall = time.monotonic() - began
    costs[name] = Cost(0, cpu_seconds() - cpu, wall, peak_mib(), began=began)


def cpu_seconds() -> float:
    """Of this process and of all that it has waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def forget_peak() -> None:
    """Let the kernel count the peak of resident memory anew (proc(5), clear_refs)."""
    Path("/proc/self/clear_refs").write_text("5")


def peak_mib() -> float:
    """The most resident memory since the last `forget_peak`."""
    status = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmHWM:"))


def measure(folder: Path, count: bool, charts: int, workers: int | None) -> dict[str, Cost]:
    """Run on the world in `folder`, with the functions of `STAGES` wrapped to be metered."""
    if workers is not None:
        chosen: Any = import_module("analyzer.pipeline.workers")
        chosen.processes_for = lambda *_: workers
    from analyzer.config import Config, GitSettings
    from analyzer.pipeline.run import run

    costs: dict[str, Cost] = {}
    for name, where in STAGES.items():
        module, function = where.split(":")
        room = import_module(f"analyzer.pipeline.{module}")
        setattr(room, function, _wrapped(getattr(room, function), costs, name, count))
    config = Config(
        source=f"recording:{folder / 'recording'}",
        output=str(folder / "results"),
        git=GitSettings(repo=str(folder / "repository")),
        charts=charts > 0,
        most_charts=charts,
    )
    if count:
        run(config, datetime(2026, 2, 1, tzinfo=UTC))
    else:
        with metered(costs, "all of it", count):
            run(config, datetime(2026, 2, 1, tzinfo=UTC))
        highest = max(cost.peak_mib for cost in costs.values())
        costs["all of it"] = replace(costs["all of it"], peak_mib=highest)
    return costs


def _wrapped(
    function: Callable[..., Any], costs: dict[str, Cost], name: str, count: bool
) -> Callable[..., Any]:
    @wraps(function)
    def stage(*words: Any, **named: Any) -> Any:
        with metered(costs, name, count):
            return function(*words, **named)

    return stage


def show(sizes: Sequence[int], found: Sequence[dict[str, Cost]], unit: str) -> None:
    """A table: a row per stage, a column per size, the exponent last."""
    print(f"\n{UNITS[unit]:<14}" + "".join(f"{size:>12,}" for size in sizes) + "    exponent")
    for name in found[-1]:
        costs = [getattr(each[name], unit) for each in found]
        numbers = "".join(f"{c:>12,}" if unit == "calls" else f"{c:>12,.1f}" for c in costs)
        print(f"{name:<14}{numbers}{exponent(sizes, costs):>12.2f}")


def in_process(size: int, given: argparse.Namespace) -> dict[str, Cost]:
    """Measure one size in a process of its own, on a world that is then gone."""
    with tempfile.TemporaryDirectory(prefix="growth-") as folder, limited(given.limit) as group:
        words = [sys.executable, __file__, "--measure", folder, "--charts", str(given.charts)]
        words += ["--count"] if given.count else []
        words += [] if given.workers is None else ["--workers", str(given.workers)]
        make = [sys.executable, __file__, "--make", folder, "--sizes", str(size)]
        subprocess.run([*make, "--days", str(given.days)], check=True)
        # The shell joins the group before it becomes what is measured.
        join = (
            [] if group is None else ["sh", "-c", f'echo 0 > {group}/cgroup.procs; exec "$@"', "-"]
        )
        child = subprocess.Popen([*join, *words], stdout=subprocess.PIPE, text=True)
        with Memory(child.pid) as memory:
            told, _ = child.communicate()
        if child.returncode:
            raise SystemExit(f"{size:,} containers: ended with {child.returncode}")
        if group is not None:
            most, failed = (
                int((group / f"memory.{name}").read_text())
                for name in ("max_usage_in_bytes", "failcnt")
            )
            print(
                f"{size:,} containers within {given.limit} MiB: {most / 2**20:,.0f} used at most, "
                f"pages of files included; given back {failed:,} times at the limit"
            )
    found = {name: Cost(**cost) for name, cost in json.loads(told).items()}
    return {
        name: replace(cost, all_mib=memory.most(cost.began, cost.began + cost.wall))
        for name, cost in found.items()
    }


@contextmanager
def limited(mebibytes: int | None) -> Iterator[Path | None]:
    """A control group that has so much memory; None where none is asked for."""
    if mebibytes is None:
        yield None
        return
    group = Path(f"/sys/fs/cgroup/memory/growth-{os.getpid()}")
    group.mkdir()
    try:
        (group / "memory.limit_in_bytes").write_text(str(mebibytes * 2**20))
        yield group
    finally:
        group.rmdir()


def main() -> int:
    """Measure, print, and judge where asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1000, 3000, 10_000])
    parser.add_argument("--days", type=int, default=14)
    parser.add_argument("--charts", type=int, default=0)
    parser.add_argument("--workers", type=int, help="Processes that work on containers.")
    parser.add_argument("--count", action="store_true", help="Calls instead of seconds.")
    parser.add_argument("--limit", type=int, metavar="MIB", help="Memory of all processes.")
    parser.add_argument("--most", type=float, help="Fail above this exponent of calls.")
    parser.add_argument("--make", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.make is not None:
        make_world(given.make, given.sizes[0], given.days)
        return 0
    if given.measure is not None:
        costs = measure(
            given.measure, given.count, given.charts, 1 if given.count else given.workers
        )
        print(json.dumps({name: asdict(cost) for name, cost in costs.items()}))
        return 0
    found = [in_process(size, given) for size in given.sizes]
    for unit in ("calls",) if given.count else list(UNITS)[1:]:
        show(given.sizes, found, unit)
    if given.most is None:
        return 0
    calls = {name: [each[name].calls for each in found] for name in found[-1]}
    failures = too_steep(given.sizes, calls, given.most)
    print("\n".join(failures), file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
