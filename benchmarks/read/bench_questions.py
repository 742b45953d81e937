"""What each question of a read costs the server and the client, the dearest first.

    python benchmarks/read/bench_questions.py --data /tmp/bench/200-14d-60s --days 14

Reads the blocks that bench_read.py left behind, one request at a time. CPU of the server is that of
its threads in nanoseconds; what it does beside (garbage, compaction) falls on whoever asks then.
"""

from __future__ import annotations

import argparse
import re
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from cluster import END, Prometheus

from analyzer.sources import PrometheusSettings, PrometheusSource, Window
from analyzer.sources.prometheus.server import Server

LONGEST = 110
"""Characters of a question that are shown."""


def cpu_seconds(process: int) -> float:
    """CPU of all threads of a process."""
    threads = Path(f"/proc/{process}/task").iterdir()
    return sum(int((t / "schedstat").read_text().split()[0]) for t in threads) / 1e9


def name_of(path: str, form: dict[str, Any]) -> str:
    """A question without what tells one of its kind from another: names of pods and namespaces."""
    text = str(form.get("query") or form.get("match[]") or path)
    text = re.sub(r'(pod|namespace)(=|=~|!~)"[^"]*"', r"\1\2…", text)
    return f"{path.rpartition('/')[2]} {form.get('step', '')} {text}"[:LONGEST]


class Watched(Server):
    """A server that is asked as always, with the CPU of both sides by question."""

    def __init__(self, url: str, settings: PrometheusSettings, process: int) -> None:
        super().__init__(url, settings)
        self.process = process
        self.costs: dict[str, list[float]] = defaultdict(lambda: [0, 0.0, 0.0, 0.0])

    def _decode_range(self, form: Any, convert: Any) -> Any:
        with self._measured("/api/v1/query_range", form):
            return super()._decode_range(form, convert)

    def _decode(self, path: str, form: Any, read: Any, method: str) -> Any:
        with self._measured(path, form):
            return super()._decode(path, form, read, method)

    @contextmanager
    def _measured(self, path: str, form: dict[str, Any]) -> Iterator[None]:
        before = self._spent()
        yield
        cost = self.costs[name_of(path, form)]
        cost[0] += 1
        for index, (old, new) in enumerate(zip(before, self._spent(), strict=True), 1):
            cost[index] += new - old

    def _spent(self) -> tuple[float, float, float]:
        return cpu_seconds(self.process), time.process_time(), self.statistics["bytes"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="a folder of blocks")
    parser.add_argument("--days", type=float, default=14)
    parser.add_argument("--lines", type=int, default=30)
    arguments = parser.parse_args()
    with Prometheus(arguments.data) as server:
        settings = PrometheusSettings(parallel=1)
        window = Window(datetime.fromtimestamp(END, UTC), timedelta(days=arguments.days))
        with Watched(server.url, settings, server.process.pid) as connection:
            PrometheusSource(server.url, settings).read_from(connection, window)
    costs = connection.costs
    ordered = sorted(costs.items(), key=lambda item: -item[1][1])
    print("| question | requests | server CPU s | client CPU s | MB |\n|---|---|---|---|---|")
    for name, (requests, server_s, client_s, size) in ordered[: arguments.lines]:
        shown = name.replace("|", "\\|")
        print(f"| `{shown}` | {requests} | {server_s:.3f} | {client_s:.3f} | {size / 1e6:.2f} |")
    sums = [sum(cost[index] for cost in costs.values()) for index in range(4)]
    print(f"| all | {sums[0]:.0f} | {sums[1]:.3f} | {sums[2]:.3f} | {sums[3] / 1e6:.1f} |")


if __name__ == "__main__":
    main()
