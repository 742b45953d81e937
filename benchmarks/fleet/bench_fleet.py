"""What a fleet costs: clusters of some size, one after the other and side by side.

    python benchmarks/fleet/bench_fleet.py --clusters 1 4 10 --containers 1000 --jobs 1 2
    python benchmarks/fleet/bench_fleet.py --clusters 4 --containers 1000 --scheduler local:2
    python benchmarks/fleet/bench_fleet.py --count --clusters 50 100 --containers 20 --most 1.2

Sources are simulated: a recording of made-up usage is written for each cluster beforehand, so that
no server is part of what is measured. Runs ``rightsize fleet`` whole, without repositories and
charts, and prints the seconds of processor of all processes, those of the clock, memory at its
peak (of the process that is called, of the largest that it starts, and of all together, shared
pages once) and what the workers left behind.

With `--count` it runs one cluster, gives its results to as many as are asked for, and counts calls
of functions while the report of all is made: what does not depend on the load, so that its
exponent can be judged. What a worker does grows with its own cluster alone (`growth`).
"""

from __future__ import annotations

import argparse
import cProfile
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "growth"))

from meter import Memory
from power import exponent, too_steep
from world import record


@dataclass(frozen=True)
class Cost:
    """Seconds, and MiB at the peak, of one fleet; MB that its workers left."""

    cpu: float
    wall: float
    client: float
    worker: float
    together: float
    left: float


def make(folder: Path, clusters: int, containers: int, days: int) -> Path:
    """Recordings of `clusters` under `folder`, each of its own usage; the settings of all."""
    lines = ["charts: false", "clusters:"]
    for number in range(clusters):
        name = f"cluster-{number:03d}"
        where = folder / "recordings" / f"{containers}-{days}d" / name
        if not where.exists():
            record(where, containers, days, seed=number)
        lines += [f"  {name}:", f"    source: recording:{where}"]
    settings = folder / "rightsize.yaml"
    settings.write_text("\n".join(lines) + "\n")
    return settings


def measure(settings: Path, output: Path, how: list[str]) -> Cost:
    """Run the fleet of `settings` whole."""
    shutil.rmtree(output, ignore_errors=True)
    begin = time.monotonic()
    command = [sys.executable, "-m", "analyzer", "fleet", "--config", str(settings)]
    child = subprocess.Popen([*command, "-o", str(output), "-q", *how], stdout=subprocess.DEVNULL)
    with Memory(child.pid) as memory:
        _, status, used = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"the fleet ended with exit code {child.returncode}")
    workers = [mib for pid, mib in memory.peaks.items() if pid != child.pid]
    return Cost(
        cpu=used.ru_utime + used.ru_stime,
        wall=time.monotonic() - begin,
        client=memory.peaks.get(child.pid, 0.0),
        worker=max(workers, default=0.0),
        together=memory.most(),
        left=sum(file.stat().st_size for file in output.rglob("*") if file.is_file()) / 1e6,
    )


def count(settings: Path, folder: Path, clusters: int) -> dict[str, int]:
    """Calls of functions to gather a fleet of copies of one run, and to write of it."""
    from analyzer.fleet.pages import write_fleet
    from analyzer.fleet.state import gather

    one = next(iter((folder / "one").glob("cluster-*")))
    names = [f"copy-{number:04d}" for number in range(clusters)]
    for name in names:
        copied = folder / "copies" / name
        if not copied.exists():
            shutil.copytree(one, copied)
            run = json.loads((one / "run.json").read_text().replace(one.name, name))
            (copied / "run.json").write_text(json.dumps(run))
    found = {}
    profile = cProfile.Profile()
    gathered = profile.runcall(
        gather, folder / "copies", names, {}, datetime(2026, 2, 1, tzinfo=UTC), "0"
    )
    found["gather"] = sum(entry.callcount for entry in profile.getstats())
    profile = cProfile.Profile()
    profile.runcall(write_fleet, gathered)
    found["write"] = sum(entry.callcount for entry in profile.getstats())
    return found


def _row(clusters: int, containers: int, how: str, cost: Cost) -> str:
    total = clusters * containers
    return (
        f"| {clusters} x {containers:,} | {how} | {cost.cpu:.1f} | {1000 * cost.cpu / total:.1f} "
        f"| {cost.wall:.1f} | {cost.client:.0f} | {cost.worker:.0f} | {cost.together:.0f} "
        f"| {cost.left:.1f} |"
    )


def main() -> int:
    """Measure, print, and judge where asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clusters", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--containers", type=int, default=1000, help="... in each cluster.")
    parser.add_argument("--days", type=int, default=14)
    parser.add_argument("--jobs", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--scheduler", nargs="*", default=[], help="Dask's, local:2 for instance.")
    parser.add_argument("--data", type=Path, help="Keep the recordings here.")
    parser.add_argument("--count", action="store_true", help="Calls instead of seconds.")
    parser.add_argument("--most", type=float, help="Fail above this exponent of calls.")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fleet-") as room:
        folder = given.data or Path(room)
        folder.mkdir(parents=True, exist_ok=True)
        if given.count:
            return _judged(given, Path(room))
        ways = [(f"--jobs {n}", ["--jobs", str(n)]) for n in given.jobs]
        ways += [(f"--scheduler {s}", ["--scheduler", s]) for s in given.scheduler]
        print(f"{os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}, {given.days} days")
        print(
            "| clusters | how | CPU s | ms a container | wall s | client MiB | worker MiB "
            "| all MiB | left MB |"
        )
        print("|---|---|---|---|---|---|---|---|---|")
        for clusters in given.clusters:
            settings = make(folder, clusters, given.containers, given.days)
            for how, words in ways:
                cost = measure(settings, Path(room) / "results", words)
                print(_row(clusters, given.containers, how, cost), flush=True)
    return 0


def _judged(given: argparse.Namespace, folder: Path) -> int:
    settings = make(folder, 1, given.containers, given.days)
    measure(settings, folder / "one", [])
    counts = [count(settings, folder, clusters) for clusters in given.clusters]
    calls = {name: [each[name] for each in counts] for name in counts[0]}
    for name, numbers in calls.items():
        shown = "".join(f"{number:>12,}" for number in numbers)
        print(f"{name:<10}{shown}{exponent(given.clusters, numbers):>8.2f}")
    if given.most is None:
        return 0
    failures = too_steep(given.clusters, calls, given.most)
    print("\n".join(failures), file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
