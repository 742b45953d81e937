"""An invented cluster of any size as OpenMetrics text, and a Prometheus that holds it.

Every workload is a Deployment of one pod with one container; pods are replaced by rollouts, so
that over two weeks there are about twice as many pods as containers. Everything is drawn from a
seed. `duplicated` adds a second scrape job that sees the same cgroups.
"""

from __future__ import annotations

import itertools
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import numpy as np
import requests

DAY = 86_400
BLOCK = 54 * 3600
END = 1_795_392_000
"""2026-11-23 00:00 UTC, the end of every invented history."""


@dataclass(frozen=True)
class Cluster:
    """What to invent; times in seconds."""

    containers: int = 100
    days: float = 14
    scrape: int = 60
    state_scrape: int = 120
    duplicated: bool = False
    pods_per_container: float = 1.95
    old_kubelet: bool = False
    """Whether the active part of the page cache is not told by itself."""
    seed: int = 1

    @property
    def start(self) -> int:
        return END - round(self.days * DAY)


@dataclass(frozen=True)
class Pod:
    """One pod of a workload, alive from `begin` to `end`."""

    namespace: str
    workload: str
    hash: str
    name: str
    begin: int
    end: int
    seed: int
    limited: bool

    @property
    def memory_limit(self) -> int:
        """In bytes: half a gibibyte to three and a half."""
        return (self.seed // 1000 % 7 + 1) * 2**29

    @property
    def labels(self) -> str:
        return f'namespace="{self.namespace}",pod="{self.name}",container="app"'

    def cadvisor(self, job: str = "kubelet") -> str:
        uid = f"{self.seed:032x}"
        return (
            f'id="/kubepods.slice/kubepods-pod{uid}.slice/cri-containerd-{uid}.scope",'
            f'image="registry.example/{self.workload}:1",instance="10.0.0.{self.seed % 50}:10250",'
            f'job="{job}",metrics_path="/metrics/cadvisor",name="{uid}",'
            f'node="node-{self.seed % 50}",{self.labels}'
        )


def pods(cluster: Cluster) -> Iterator[Pod]:
    """Every pod that ever lived, workload by workload."""
    random = np.random.default_rng(cluster.seed)
    replaced = (cluster.pods_per_container - 1) * cluster.days / 14
    for number in range(cluster.containers):
        moments = np.sort(random.integers(cluster.start, END, random.poisson(replaced)))
        moments -= moments % 60
        edges = [cluster.start, *moments.tolist(), END]
        limited = bool(random.random() < 0.1)
        for index, (begin, end) in enumerate(itertools.pairwise(edges)):
            if end - begin < 600:
                continue
            workload = f"app-{number:05d}"
            tag = f"{(number * 7919 + index * 104729) % 16**8:08x}"
            yield Pod(
                f"team-{number % 40:02d}",
                workload,
                tag,
                f"{workload}-{tag}-{tag[:5]}",
                int(begin),
                int(end),
                number * 1000 + index,
                limited,
            )


def write(cluster: Cluster, low: int, high: int, out: TextIO) -> int:
    """Write everything that is scraped in ``(low, high]``; returns the number of samples."""
    samples = 0
    for pod in pods(cluster):
        begin, end = max(low, pod.begin), min(high, pod.end)
        if end > begin:
            samples += _write_usage(cluster, pod, begin, end, out)
            samples += _write_state(cluster, pod, begin, end, out)
    out.write("# EOF\n")
    return samples


def _write_usage(cluster: Cluster, pod: Pod, low: int, high: int, out: TextIO) -> int:
    times = np.arange(pod.begin + cluster.scrape, pod.end + 1, cluster.scrape)
    random = np.random.default_rng(pod.seed)
    base = 10 ** random.uniform(-2.3, 0)
    daily = 1 + 0.5 * np.sin(2 * np.pi * (times % DAY) / DAY + random.uniform(0, 6))
    cpu = base * daily * random.gamma(2, 0.5, len(times))
    counter = np.cumsum(cpu) * cluster.scrape
    size = 10 ** random.uniform(7.3, 9.3)
    memory = size * (1 + 0.1 * daily + 0.02 * random.standard_normal(len(times)))
    memory -= memory % 4096
    here = (times > low) & (times <= high)
    written = 0
    for job in ("kubelet", "cadvisor") if cluster.duplicated else ("kubelet",):
        labels = pod.cadvisor(job)
        written += _series(
            out, "container_cpu_usage_seconds_total", labels + ',cpu="total"', times, counter, here
        )
        written += _series(
            out, "container_memory_working_set_bytes", labels, times, memory, here, "%d"
        )
        none = np.zeros(len(times))
        written += _series(out, "container_oom_events_total", labels, times, none, here, "%d")
        if memory.max() > 0.75 * pod.memory_limit:
            # Further from the limit nobody asks for these.
            shares = {"rss": 0.7, "cache": 0.4, "total_active_file_bytes": 0.2}
            if cluster.old_kubelet:
                del shares["total_active_file_bytes"]
            for name, share in shares.items():
                metric = f"container_memory_{name}"
                written += _series(out, metric, labels, times, share * memory, here, "%d")
        if pod.limited:
            periods = np.cumsum(np.full(len(times), cluster.scrape * 10.0))
            share = np.where(random.random(len(times)) < 0.01, 0.3, 0)
            throttled = np.cumsum(cluster.scrape * 10 * share)
            for name, values in (("periods", periods), ("throttled_periods", throttled)):
                metric = f"container_cpu_cfs_{name}_total"
                written += _series(out, metric, labels, times, values, here, "%d")
    return written


def _write_state(cluster: Cluster, pod: Pod, low: int, high: int, out: TextIO) -> int:
    first = -(-(pod.begin + 1) // cluster.state_scrape) * cluster.state_scrape
    times = np.arange(first, pod.end + 1, cluster.state_scrape)
    here = (times > low) & (times <= high)
    own = f'job="kube-state-metrics",instance="10.1.0.9:8080",{pod.labels}'
    space = f'job="kube-state-metrics",instance="10.1.0.9:8080",namespace="{pod.namespace}"'
    base = pod.seed // 1000 % 7 + 1
    of_pod = own.replace(',container="app"', "")
    limit = pod.memory_limit
    replica_set = f"{pod.workload}-{pod.hash}"
    series = {
        f'kube_pod_owner{{{of_pod},owner_kind="ReplicaSet",owner_name="{replica_set}",'
        'owner_is_controller="true"}': 1,
        f'kube_replicaset_owner{{{space},replicaset="{replica_set}",owner_kind="Deployment",'
        f'owner_name="{pod.workload}",owner_is_controller="true"}}': 1,
        f'kube_pod_container_info{{{own},image="registry.example/{pod.workload}:1",'
        f'image_spec="registry.example/{pod.workload}:1"}}': 1,
        f'kube_pod_labels{{{of_pod},label_app_kubernetes_io_name="{pod.workload}"}}': 1,
        f'kube_deployment_spec_replicas{{{space},deployment="{pod.workload}"}}': 1,
        f"kube_pod_container_status_restarts_total{{{own}}}": 0,
        f'kube_pod_container_resource_requests{{{own},resource="cpu",unit="core"}}': base / 10,
        f'kube_pod_container_resource_requests{{{own},resource="memory",unit="byte"}}': base
        * 2**28,
        f'kube_pod_container_resource_limits{{{own},resource="memory",unit="byte"}}': limit,
        f'kube_pod_info{{{of_pod},node="node-{pod.seed % 50}"}}': 1,
        f"kube_pod_start_time{{{of_pod}}}": pod.begin,
    }
    for phase in ("Failed", "Pending", "Running", "Succeeded", "Unknown"):
        series[f'kube_pod_status_phase{{{of_pod},phase="{phase}"}}'] = int(phase == "Running")
    for reason in ("Evicted", "NodeAffinity", "NodeLost", "Shutdown", "UnexpectedAdmissionError"):
        series[f'kube_pod_status_reason{{{of_pod},reason="{reason}"}}'] = 0
    if pod.limited:
        cores = f'kube_pod_container_resource_limits{{{own},resource="cpu",unit="core"}}'
        series[cores] = base
    written = 0
    for text, value in series.items():
        written += _lines(out, text, times[here], np.full(int(here.sum()), value), "%.12g")
    return written


def _series(
    out: TextIO,
    metric: str,
    labels: str,
    times: np.ndarray,
    values: np.ndarray,
    here: np.ndarray,
    form: str = "%.6f",
) -> int:
    return _lines(out, f"{metric}{{{labels}}}", times[here], values[here], form)


def _lines(out: TextIO, series: str, times: np.ndarray, values: np.ndarray, form: str) -> int:
    if not len(times):
        return 0
    flat = [item for pair in zip(values.tolist(), times.tolist(), strict=True) for item in pair]
    out.write((series.replace("%", "%%") + f" {form} %d\n") * len(times) % tuple(flat))
    return len(times)


def backfill(cluster: Cluster, folder: Path, jobs: int = 2) -> int:
    """Fill the TSDB in `folder`, block by block; returns the number of samples."""
    folder.mkdir(parents=True, exist_ok=True)
    first = cluster.start // BLOCK * BLOCK
    spans = [(low, low + BLOCK) for low in range(first, END, BLOCK)]
    with ThreadPoolExecutor(jobs) as pool:
        return sum(pool.map(lambda span: _backfill_block(cluster, folder, *span), spans))


def _backfill_block(cluster: Cluster, folder: Path, low: int, high: int) -> int:
    text = folder / f"{low}.txt"
    blocks = folder / f"blocks-{low}"
    with text.open("w") as out:
        # A block holds [low, high), a sample at its very end belongs to the next.
        samples = write(cluster, low - 1, high - 1, out)
    command = ["promtool", "tsdb", "create-blocks-from", "openmetrics", "--quiet"]
    command += [f"--max-block-duration={BLOCK // 3600}h", str(text), str(blocks)]
    subprocess.run(command, check=True, capture_output=True)
    for block in blocks.iterdir():
        block.rename(folder / block.name)
    shutil.rmtree(blocks)
    text.unlink()
    return samples


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Prometheus:
    """Debian's Prometheus over a folder of blocks, on a free loopback port."""

    def __init__(self, folder: Path, *flags: str, port: int | None = None) -> None:
        self.folder, self.flags = folder, flags
        self.port = port or free_port()

    def __enter__(self) -> Prometheus:
        self.url = f"http://127.0.0.1:{self.port}"
        config = self.folder / "prometheus.yml"
        config.write_text("global: {}\n")
        self.process = subprocess.Popen(
            [
                "prometheus",
                f"--config.file={config}",
                f"--storage.tsdb.path={self.folder}",
                f"--web.listen-address=127.0.0.1:{self.port}",
                "--storage.tsdb.retention.time=100y",
                "--log.level=error",
                *self.flags,
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        until = time.monotonic() + 60
        while time.monotonic() < until:
            try:
                if requests.get(f"{self.url}/-/ready", timeout=1).ok:
                    return self
            except requests.ConnectionError:
                time.sleep(0.1)
        self.process.kill()
        raise RuntimeError("Prometheus did not start")

    def __exit__(self, *error: object) -> None:
        self.process.terminate()
        self.process.wait(30)

    def peak_megabytes(self) -> float:
        """The most memory that the server has had so far."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) / 1024

    def cpu_seconds(self) -> float:
        """CPU that the server has used so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / 100
