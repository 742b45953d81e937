"""A real Prometheus that holds a part of the sample cluster, for every test that wants one."""

from __future__ import annotations

import fcntl
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import requests

SAMPLE_DATA = Path(__file__).resolve().parents[1] / "sample-data"
DAYS = 14
SLICE = {
    "authentik-server",  # autoscaled
    "bazarr",  # killed
    "frigate",  # restarted, has limits of another resource nearby
    "ingress-nginx-internal-controller",  # some pods on the node that fails
    "ollama",  # GPU
    "old-wiki",  # vanished
    "postgres",  # pods of a custom resource
    "qbittorrent",  # native sidecar
    "recyclarr",  # CronJob
    "sabnzbd",  # throttled
    "sonarr",  # init container, image change
    "unpackerr",  # churned
    "zigbee2mqtt",  # StatefulSet
}
"""Workloads of every kind and with every trap, few enough to backfill in a test."""


def build_slice(folder: Path, promtool: Path) -> Path:
    """Backfill the last `DAYS` of `SLICE`; the data folder. Test processes share one."""
    data = folder / "data"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if data.exists():
            return data
        if str(SAMPLE_DATA) not in sys.path:
            sys.path.insert(0, str(SAMPLE_DATA))
        from homelab import command, openmetrics, simulation

        runs = [run for run in simulation.simulate() if run.pod.workload.name in SLICE]
        openmetrics.write_openmetrics(runs, folder / "om", openmetrics.Settings(days=DAYS))
        words = ["backfill", str(folder / "om"), str(folder / "new"), "--promtool", str(promtool)]
        assert command.main(words) == 0
        (folder / "new").rename(data)
        return data


@contextmanager
def serve(prometheus: Path, blocks: Path, folder: Path) -> Iterator[str]:
    """Run a Prometheus on a free port of this machine with links to `blocks`; its address."""
    data = folder / "data"
    subprocess.run(["cp", "-al", blocks, data], check=True)
    (folder / "empty.yml").write_text("{}")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    flags = [
        f"--config.file={folder / 'empty.yml'}",
        f"--storage.tsdb.path={data}",
        "--storage.tsdb.retention.time=100y",
        f"--web.listen-address={address}",
    ]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen([str(prometheus), *flags], stdout=log, stderr=log)
    try:
        _wait_until_ready(f"http://{address}", process, folder / "log")
        yield f"http://{address}"
    finally:
        process.terminate()
        process.wait(timeout=30)


def _wait_until_ready(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(600):
        assert process.poll() is None, log.read_text()
        try:
            if requests.get(f"{url}/-/ready", timeout=1).ok:
                return
        except requests.ConnectionError:
            pass
        time.sleep(0.1)
    raise AssertionError(f"Prometheus was not ready in time: {log.read_text()}")
