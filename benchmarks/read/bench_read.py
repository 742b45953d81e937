"""What reading a cluster costs: this client, its cache, and one query per container.

    python benchmarks/read/bench_read.py --containers 100 1000 --data /tmp/bench

Backfills an invented cluster into a real Prometheus once per size (kept in --data), then reads
it in several ways, each in a process of its own against a freshly started server, and prints a
table. Server CPU is that of the Prometheus process, client CPU that of the reading process after
its imports; peak RSS includes the imports.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from cluster import END, Cluster, Prometheus, backfill, free_port, pods
from meter import Memory

STEP = 300
WAYS = {
    "usage": "CPU and memory alone, this client",
    "remote": "the same as raw samples, evaluated by this client",
    "whole": "everything a run needs, this client",
    "cold": "the same, filling the cache",
    "warm": "the same, a second time",
    "week": "CPU and memory of the last seven days alone, this client",
    "weekly": "everything, with a cache that lacks the last seven days",
    "stock": "one query per container and metric, stock client",
    "run": "rightsize run whole with 200 charts, from its start; memory is that of all processes",
}


WEEK = 7
Found = dict[str, float]


def read_whole(
    url: str, days: float, cache: Path | None, points: int | None, end: float = END
) -> dict[str, float]:
    from analyzer.sources import PrometheusSettings, PrometheusSource, Window

    source = PrometheusSource(url, PrometheusSettings(cache=cache, max_points=points))
    with source.connect() as connection:
        window = Window(datetime.fromtimestamp(end, UTC), timedelta(days=days))
        recording = source.read_from(connection, window)
    return {"points": 2 * len(recording.usage.cpu_cores), **connection.statistics}


def read_usage(url: str, days: float, read: Literal["query", "remote"] = "query") -> Found:
    from analyzer.sources import PrometheusSettings, PrometheusSource, Window, silent
    from analyzer.sources.prometheus.probe import probe
    from analyzer.sources.prometheus.ragged import Lanes
    from analyzer.sources.prometheus.reader import Reader
    from analyzer.sources.prometheus.source import fit_grid, read_runs

    settings = PrometheusSettings(read=read)
    end = datetime.fromtimestamp(END, UTC)
    with PrometheusSource(url, settings).connect() as connection:
        dialect = probe(connection, settings, end - timedelta(days=days), end)
        grid = fit_grid(end, Window(end, timedelta(days=days)), dialect)
        runs = read_runs(Reader(connection, silent), dialect, grid, Lanes(), settings)
    points = sum(len(part.values) for parts in runs for part in parts)
    return {"points": points, **connection.statistics}


def read_stock(url: str, cluster: Cluster) -> dict[str, float]:
    """As one would with the stock client: a range query for each container and metric."""
    import numpy as np
    from prometheus_api_client import PrometheusConnect

    client = PrometheusConnect(url)
    start = datetime.fromtimestamp(cluster.start + STEP, UTC)
    end = datetime.fromtimestamp(END, UTC)
    names = sorted({(pod.namespace, pod.workload) for pod in pods(cluster)})
    points = requests = 0
    kept = []
    for namespace, workload in names:
        matchers = f'namespace="{namespace}",pod=~"{workload}-.*",container="app"'
        for query in (
            f"sum by (pod) (rate(container_cpu_usage_seconds_total{{{matchers}}}[5m]))",
            f"max by (pod) (max_over_time(container_memory_working_set_bytes{{{matchers}}}[5m]))",
        ):
            for series in client.custom_query_range(query, start, end, str(STEP)):
                kept.append(np.array(series["values"], dtype=float)[:, 1].astype(np.float32))
                points += len(kept[-1])
            requests += 1
    return {"points": points, "requests": requests, "bytes": 0}


def child(arguments: argparse.Namespace) -> None:
    """Read in one way and print what it cost this process, as JSON."""
    import analyzer.sources.prometheus.source  # noqa: F401  # imports are not what is measured

    cluster = Cluster(containers=arguments.containers[0], days=arguments.days)
    begin, wall = time.process_time(), time.monotonic()
    match arguments.way:
        case "usage":
            found = read_usage(arguments.url, arguments.days)
        case "remote":
            found = read_usage(arguments.url, arguments.days, "remote")
        case "week":
            found = read_usage(arguments.url, WEEK)
        case "last-week":
            before = END - WEEK * 86_400
            days = arguments.days - WEEK
            found = read_whole(arguments.url, days, arguments.cache, arguments.points, before)
        case "stock":
            found = read_stock(arguments.url, cluster)
        case way:
            cache = arguments.cache if way in ("cold", "warm", "weekly") else None
            found = read_whole(arguments.url, arguments.days, cache, arguments.points)
    found |= {
        "client": time.process_time() - begin,
        "wall": time.monotonic() - wall,
        "rss": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    print(json.dumps(found))


def measure(way: str, cluster: Cluster, folder: Path, cache: Path, port: int) -> dict[str, Any]:
    if way == "weekly":
        cache = cache / "weekly"
        measure("last-week", cluster, folder, cache, port)
    # One port for all ways: the cache knows a server by its address.
    with Prometheus(folder, port=port) as server:
        idle = server.cpu_seconds()
        if way == "run":
            found = run_whole(server.url, cluster.days, cache)
            return found | {"server": server.cpu_seconds() - idle, "peak": server.peak_megabytes()}
        command = [sys.executable, __file__, "--way", way, "--url", server.url]
        command += ["--containers", str(cluster.containers)]
        command += ["--days", str(cluster.days), "--cache", str(cache)]
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        found: dict[str, Any] = json.loads(output)
        found["server"] = server.cpu_seconds() - idle
        found["peak"] = server.peak_megabytes()
    return found


def run_whole(url: str, days: float, folder: Path) -> dict[str, Any]:
    """The whole command in a process of its own."""
    command = [sys.executable, "-m", "analyzer", "run", "-p", url, "--window", f"{days:g}d"]
    command += ["--until", datetime.fromtimestamp(END, UTC).isoformat(), "--ledger", "off", "-q"]
    begin = time.monotonic()
    child = subprocess.Popen([*command, "-o", str(folder / "results")])
    with Memory(child.pid) as memory:
        _, status, used = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    print(f"rightsize run ended with exit code {child.returncode}")
    return {
        "client": used.ru_utime + used.ru_stime,
        "wall": time.monotonic() - begin,
        "rss": memory.most(),
        "bytes": 0,
        "requests": 0,
        "points": 0,
    }


def table(results: dict[int, dict[str, dict[str, Any]]]) -> str:
    lines = [
        "| containers | way | client CPU s | server CPU s | wall s | client peak MB "
        "| server peak MB | MB read | requests | M points | points per client s |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for containers, ways in results.items():
        for way, found in ways.items():
            lines.append(
                f"| {containers} | {way} | {found['client']:.2f} | {found['server']:.2f} "
                f"| {found['wall']:.1f} | {found['rss']:.0f} | {found['peak']:.0f} "
                f"| {found['bytes'] / 1e6:.0f} | {found['requests']:.0f} "
                f"| {found['points'] / 1e6:.2f} | {found['points'] / found['client']:,.0f} |"
            )
    return "\n".join(lines)


_OURS = (("whole", "usage"), ("weekly", "week"))
"""What everything costs, over the bare queries of the usage of that time."""
_COMPARED = (
    ("stock", "usage"), ("stock", "whole"), ("cold", "warm"), ("usage", "remote"), *_OURS
)  # fmt: skip


def ratios(results: dict[int, dict[str, dict[str, Any]]]) -> list[str]:
    lines = []
    for containers, ways in results.items():
        for first, second in _COMPARED:
            if first in ways and second in ways:
                client = ways[first]["client"] / ways[second]["client"]
                server = ways[first]["server"] / max(0.01, ways[second]["server"])
                lines.append(
                    f"{containers} containers, {first} / {second}: "
                    f"client CPU {client:.1f}, server CPU {server:.1f}"
                )
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--containers", type=int, nargs="+", default=[100])
    parser.add_argument("--days", type=float, default=14)
    parser.add_argument("--data", type=Path, default=Path(tempfile.gettempdir()) / "bench-read")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--scrape", type=int, default=60, help="seconds between two scrapes")
    parser.add_argument("--state-interval", type=int, default=120)
    parser.add_argument("--old-kubelet", action="store_true")
    parser.add_argument("--way", choices=[*WAYS, "last-week"], help=argparse.SUPPRESS)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    parser.add_argument("--points", type=int, help="points in one request")
    parser.add_argument("--cache", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.way:
        child(arguments)
        return
    if arguments.days <= WEEK:  # nothing was read before the last week
        arguments.ways = [way for way in arguments.ways if way not in ("week", "weekly")]
    results: dict[int, dict[str, dict[str, Any]]] = {}
    for containers in arguments.containers:
        cluster = Cluster(
            containers=containers,
            days=arguments.days,
            scrape=arguments.scrape,
            state_scrape=arguments.state_interval,
            old_kubelet=arguments.old_kubelet,
        )
        port = free_port()
        name = f"{containers}-{arguments.days:g}d-{arguments.scrape}s"
        folder = arguments.data / (name + ("-old" if arguments.old_kubelet else ""))
        if not (folder / "done").exists():
            begin = time.monotonic()
            samples = backfill(cluster, folder)
            print(f"{samples:,} samples backfilled in {time.monotonic() - begin:.0f} s")
            (folder / "done").touch()
        with tempfile.TemporaryDirectory() as cache:
            results[containers] = {
                way: measure(way, cluster, folder, Path(cache), port) for way in arguments.ways
            }
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    for way in arguments.ways:
        print(f"{way}: {WAYS[way]}")
    print(table(results))
    print("\n".join(ratios(results)))


if __name__ == "__main__":
    main()
