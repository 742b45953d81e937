"""What this project and KRR cost on the same server: processor seconds of client and server.

    git clone https://github.com/robusta-dev/krr && python -m venv krr/.venv
    krr/.venv/bin/pip install -r krr/requirements.txt
    python benchmarks/read/bench_peers.py --krr krr

Backfills an invented cluster of 600 containers and their some 4,700 pods, two weeks until now, into
a real Prometheus, with a stand-in for the Kubernetes API that KRR asks for the workloads. Each
command runs as its users run it, once, against a freshly started server, with the history that
KRR reads by default (14 days). Client seconds are those of the whole process and its children,
start-up included; those of the stand-in are not counted.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
from api_stand_in import kubernetes_api
from cluster import Cluster, Prometheus, backfill, pods

DAYS = 14
"""What KRR reads by default."""
_AHEAD = 240
"""Seconds for which there is history to come: peers ask for what runs now. More, and this project
says that a clock is off."""


@dataclass(frozen=True)
class Cost:
    """CPU seconds of client and server, seconds of the clock, MB of the client, requests."""

    client: float
    server: float
    wall: float
    peak: float
    requests: int
    answered: int
    """Containers that got an amount."""

    @property
    def both(self) -> float:
        return self.client + self.server


COMMANDS = {
    "recommend": ["recommend", "-o", "json"],
    "run --no-charts": ["run", "--no-charts", "-o", "results"],
    "run": ["run", "-o", "results"],
}
"""Of this project; ``run`` draws 200 charts at most by default."""


def ours(words: list[str], url: str) -> list[str]:
    command = [sys.executable, "-m", "analyzer", *words, "-p", url]
    return [*command, "--window", f"{DAYS}d", "--ledger", "off", "-q"]


def krr(checkout: Path, url: str) -> list[str]:
    python = checkout / ".venv" / "bin" / "python"
    return [str(python), str(checkout / "krr.py"), "simple", "-p", url, "-f", "json", "-q"]


def run(command: list[str], folder: Path, environment: dict[str, str]) -> tuple[Any, float]:
    """The resources that `command` used, and seconds of the clock; its output in ``stdout``."""
    begin = time.monotonic()
    with (folder / "stdout").open("wb") as out, (folder / "stderr").open("wb") as err:
        child = subprocess.Popen(command, stdout=out, stderr=err, env=environment, cwd=folder)
        _, status, used = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        sys.exit((folder / "stderr").read_text()[-2000:])
    return used, time.monotonic() - begin


def answered(folder: Path) -> int:
    """How many containers got an amount of CPU, by the JSON of any of the commands."""
    kept = folder / "results" / "run.json"
    text = (kept if kept.exists() else folder / "stdout").read_text()
    found = json.loads(text[text.index("{") :])
    if "scans" in found:
        amounts = [scan["recommended"]["requests"]["cpu"]["value"] for scan in found["scans"]]
        return sum(isinstance(amount, float | int) for amount in amounts)
    return len(found["recommendations"])


def handled(url: str) -> int:
    """Requests to its API that the server has answered so far."""
    name = 'prometheus_http_requests_total{code="200",handler="/api/v1'
    lines = requests.get(f"{url}/metrics", timeout=10).text.splitlines()
    return sum(int(float(line.rpartition(" ")[2])) for line in lines if line.startswith(name))


def measure(folder: Path, command: list[str], kubeconfig: Path, server: Prometheus) -> Cost:
    before = server.cpu_seconds()
    used, wall = run(command, folder, {**os.environ, "KUBECONFIG": str(kubeconfig)})
    return Cost(
        client=used.ru_utime + used.ru_stime,
        server=server.cpu_seconds() - before,
        wall=wall,
        peak=used.ru_maxrss / 1024,
        requests=handled(server.url),
        answered=answered(folder),
    )


def table(costs: dict[str, Cost]) -> str:
    """A row for each command; KRR's CPU seconds over those of each, where it ran."""
    lines = [
        "| command | containers answered | requests | client CPU s | server CPU s | both "
        "| KRR's over it | wall s | client peak MiB |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, cost in costs.items():
        ratio = f"{costs['KRR'].both / cost.both:.1f}" if "KRR" in costs else "-"
        lines.append(
            f"| {name} | {cost.answered} | {cost.requests} | {cost.client:.1f} "
            f"| {cost.server:.1f} | {cost.both:.1f} | {ratio} | {cost.wall:.0f} | {cost.peak:.0f} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--krr", type=Path, help="Its checkout, with a .venv; without: only ours.")
    parser.add_argument("--containers", type=int, default=600)
    parser.add_argument("--pods", type=float, default=7.9, help="Pods a container over two weeks.")
    parser.add_argument("--only", nargs="+", choices=COMMANDS, default=list(COMMANDS))
    parser.add_argument("--fill", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--end", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    # KRR cannot be told another time than now.
    end = given.end or (int(time.time()) + _AHEAD) // 60 * 60
    cluster = Cluster(given.containers, DAYS, end=end, pods_per_container=given.pods)
    if given.fill:
        print(f"{backfill(cluster, given.fill):,} samples backfilled")
        return
    commands = {name: lambda url, w=COMMANDS[name]: ours(w, url) for name in given.only}
    if given.krr:
        commands = {"KRR": lambda url: krr(given.krr.resolve(), url), **commands}
    costs = {}
    with tempfile.TemporaryDirectory() as room, kubernetes_api(cluster, Path(room)) as kubeconfig:
        # Elsewhere: a process starts with the peak of the one that it was forked from.
        fill = [sys.executable, *sys.argv, "--fill", f"{room}/data", "--end", str(end)]
        subprocess.run(fill, check=True)
        for number, (name, command) in enumerate(commands.items()):
            inside = Path(room) / str(number)
            inside.mkdir()
            with Prometheus(Path(room) / "data") as server:
                costs[name] = measure(inside, command(server.url), kubeconfig, server)
            print(f"{name}: {costs[name]}", file=sys.stderr)
    count = sum(1 for _ in pods(cluster))
    print(
        f"{given.containers} containers, {count} pods, {DAYS} days; load {os.getloadavg()[0]:.1f}"
    )
    print(table(costs))


if __name__ == "__main__":
    main()
