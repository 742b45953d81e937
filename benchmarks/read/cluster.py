"""An invented cluster of any size as blocks of a Prometheus, and a Prometheus that holds it.

Every workload is a Deployment of one pod with one container; pods are replaced by rollouts, so
that over two weeks there are about twice as many pods as containers. Everything is drawn from a
seed. `duplicated` adds a second scrape job that sees the same cgroups.
"""

from __future__ import annotations

import itertools
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import requests
from blocks import Block, read_labels

DAY = 86_400
BLOCK = 54 * 3600
END = 1_795_392_000
"""2026-11-23 00:00 UTC, the end of an invented history that is not told another."""


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
    end: int = END

    @property
    def start(self) -> int:
        return self.end - round(self.days * DAY)


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
        moments = np.sort(random.integers(cluster.start, cluster.end, random.poisson(replaced)))
        moments -= moments % 60
        edges = [cluster.start, *moments.tolist(), cluster.end]
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


Series = tuple[str, np.ndarray, np.ndarray]
"""Name and labels, times in seconds, values."""


def _usage(cluster: Cluster, pod: Pod) -> Iterator[Series]:
    times = np.arange(pod.begin + cluster.scrape, pod.end + 1, cluster.scrape)
    random = np.random.default_rng(pod.seed)
    base = 10 ** random.uniform(-2.3, 0)
    daily = 1 + 0.5 * np.sin(2 * np.pi * (times % DAY) / DAY + random.uniform(0, 6))
    cpu = base * daily * random.gamma(2, 0.5, len(times))
    counter = np.cumsum(cpu) * cluster.scrape
    size = 10 ** random.uniform(7.3, 9.3)
    memory = size * (1 + 0.1 * daily + 0.02 * random.standard_normal(len(times)))
    memory -= memory % 4096
    for job in ("kubelet", "cadvisor") if cluster.duplicated else ("kubelet",):
        labels = pod.cadvisor(job)
        found = {
            "cpu_usage_seconds_total": np.round(counter, 6),
            "memory_working_set_bytes": memory,
            "oom_events_total": np.zeros(len(times)),
        }
        if memory.max() > 0.75 * pod.memory_limit:
            # Further from the limit nobody asks for these.
            found |= {"memory_rss": 0.7 * memory // 1, "memory_cache": 0.4 * memory // 1}
            if not cluster.old_kubelet:
                found["memory_total_active_file_bytes"] = 0.2 * memory // 1
        if pod.limited:
            share = np.where(random.random(len(times)) < 0.01, 0.3, 0)
            periods = np.full(len(times), cluster.scrape * 10.0)
            found["cpu_cfs_periods_total"] = np.cumsum(periods)
            found["cpu_cfs_throttled_periods_total"] = np.cumsum(periods * share) // 1
        for metric, values in found.items():
            cpu = ',cpu="total"' if metric == "cpu_usage_seconds_total" else ""
            yield f"container_{metric}{{{labels}{cpu}}}", times, values


def _state(cluster: Cluster, pod: Pod) -> Iterator[Series]:
    first = -(-(pod.begin + 1) // cluster.state_scrape) * cluster.state_scrape
    times = np.arange(first, pod.end + 1, cluster.state_scrape)
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
    for text, value in series.items():
        yield text, times, np.full(len(times), float(value))


def backfill(cluster: Cluster, folder: Path) -> int:
    """Fill the TSDB in `folder`; returns the number of samples."""
    folder.mkdir(parents=True, exist_ok=True)
    first = cluster.start // BLOCK * BLOCK
    blocks = [Block(folder, low, low + BLOCK) for low in range(first, cluster.end, BLOCK)]
    for pod in pods(cluster):
        for text, times, values in (*_usage(cluster, pod), *_state(cluster, pod)):
            labels = read_labels(text)
            for block in blocks:
                block.add(labels, times, values)
    for block in blocks:
        block.close()
    return sum(block.samples for block in blocks)


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
                f"--storage.tsdb.max-block-duration={BLOCK // 3600}h",  # merges none meanwhile
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
