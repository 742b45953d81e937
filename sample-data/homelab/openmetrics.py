"""The same cluster as the series that cAdvisor and kube-state-metrics would have left.

Reading them in steps of five minutes gives the recording again, on Prometheus 2 and 3 alike:

- A CPU counter rises evenly within a step, and a container is scraped only strictly inside the
  stretch of steps in which it ran and was observed. `rate` over five minutes extrapolates both
  edges to what they were: the first step of a counter too, for the counter starts at 0 there.
- Memory reaches its maximum in the middle of a step. The scrape on the border of two steps is
  the smaller of the two, for Prometheus 2 counts it for both.
- What changes in the cluster's state changes on the border between two steps.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import numpy.typing as npt

from homelab.catalog import NODES, Container, Node, Workload
from homelab.clock import EPOCH, OUTAGE, SAMPLE_STEPS, STEP_SECONDS, observed, second_of
from homelab.recording import replicas, series_label, tolerations, workload_labels
from homelab.signals import PAGE
from homelab.simulation import Pod, Run, replicas_over_time, uuid

FILE_SECONDS = 54 * 3600
"""Blocks of this length start at multiples of it, so files do as well: one block per file."""

Ints = npt.NDArray[np.int64]
Span = tuple[int, int]

KUBELET = {
    "job": "kubelet",
    "metrics_path": "/metrics/cadvisor",
}
DUPLICATE = KUBELET | {"job": "cadvisor"}
STATE = {"instance": "10.42.1.9:8080", "job": "kube-state-metrics"}
PAUSE = "registry.k8s.io/pause:3.10"
PAUSE_BYTES = 73 * PAGE
UNITS = {"cpu": "core", "memory": "byte"}
YEAR_SECONDS = 365 * 86_400
GIVEN_TO_ALL = tuple(
    {
        "effect": "NoExecute",
        "key": f"node.kubernetes.io/{what}",
        "operator": "Exists",
        "toleration_seconds": "300",
    }
    for what in ("not-ready", "unreachable")
)
"""What every pod tolerates for five minutes."""


@dataclass(frozen=True)
class Settings:
    """How much to write: the last `days` of the sample, every node scraped each `scrape` seconds.

    State is scraped each `state` seconds. Both must divide a step; `scrape` fits into it at
    least four times. `copies` of the cluster stand in namespaces of their own.
    """

    days: float = 21
    scrape: int = 60
    state: int = 300
    copies: int = 1
    duplicate: bool = False

    @property
    def steps(self) -> Span:
        """The steps to write."""
        return SAMPLE_STEPS - round(self.days * 86_400 / STEP_SECONDS), SAMPLE_STEPS


class Grid:
    """Scrapes at every multiple of an interval; number 0 is the start of the sample."""

    def __init__(self, interval: int) -> None:
        self.interval = interval
        self.per_step = STEP_SECONDS // interval
        count = SAMPLE_STEPS * self.per_step
        self.tails = [f" {EPOCH + number * interval}\n" for number in range(count + 1)]


class Files:
    """OpenMetrics files, one per stretch of `FILE_SECONDS`."""

    def __init__(self, folder: Path, steps: Span, stack: ExitStack) -> None:
        begin, end = second_of(steps[0]), second_of(steps[1])
        first = begin // FILE_SECONDS * FILE_SECONDS
        self.edges = [*range(first, end + 1, FILE_SECONDS)]
        self.paths = [folder / f"{edge}.om" for edge in self.edges]
        self._open: list[TextIO] = [
            stack.enter_context(path.open("w", encoding="utf-8")) for path in self.paths
        ]
        self._steps = steps
        self._name = ""
        self.samples = 0

    def family(self, name: str, kind: str = "gauge") -> None:
        """Begin a metric family: everything up to the next one belongs to it."""
        self._name = name
        for file in self._open:
            file.write(f"# TYPE {name.removesuffix('_total')} {kind}\n")

    def finish(self) -> None:
        """Write the end marker that the format demands."""
        for file in self._open:
            file.write("# EOF\n")

    def write(self, labels: dict[str, str], grid: Grid, first: int, values: Sequence[str]) -> None:
        """Write one stretch of a series, whose first sample is scrape `first` of `grid`."""
        low = max(first, self._steps[0] * grid.per_step + 1)
        values = values[max(0, low - first) :]
        high = low + len(values)
        self.samples += len(values)
        prefix = self._name + label_text(labels) + " "
        edges = [(edge - EPOCH + grid.interval - 1) // grid.interval for edge in self.edges]
        for file, (begin, end) in zip(self._open, pairwise([*edges, 2**62]), strict=True):
            a, b = max(low, begin), min(high, end)
            if a < b:
                tails = grid.tails[a:b]
                lines = map(str.__add__, values[a - low : b - low], tails)
                file.write(prefix + prefix.join(lines))


def label_text(labels: dict[str, str]) -> str:
    """Labels in braces, escaped; an empty value is no label at all."""
    pairs = sorted((key, text) for key, text in labels.items() if text)
    escaped = (
        (key, text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n"))
        for key, text in pairs
    )
    return "{" + ",".join(f'{key}="{text}"' for key, text in escaped) + "}"


def write_openmetrics(runs: list[Run], folder: Path, settings: Settings) -> list[Path]:
    """Write the cluster's series into `folder`; returns the files, oldest first."""
    folder.mkdir(parents=True, exist_ok=True)
    inside = [run for run in runs if run.begin < SAMPLE_STEPS and run.end > settings.steps[0]]
    copied = [run for number in range(settings.copies) for run in _copies(inside, number)]
    with ExitStack() as stack:
        files = Files(folder, settings.steps, stack)
        jobs = [KUBELET, DUPLICATE] if settings.duplicate else [KUBELET]
        state = Grid(settings.state)
        _write_usage(files, copied, Grid(settings.scrape), state, jobs)
        _write_state(files, copied, state, settings.steps)
        files.finish()
    return files.paths


def _copies(runs: Iterable[Run], number: int) -> Iterator[Run]:
    """The runs of copy `number` of the cluster; number 0 is the original."""
    workloads: dict[tuple[str, str, str], Workload] = {}
    pods: dict[str, Pod] = {}
    for run in runs:
        if number == 0:
            yield run
            continue
        old = run.pod.workload
        workload = workloads.setdefault(
            old.key, replace(old, namespace=f"{old.namespace}-{number + 1}")
        )
        pod = pods.setdefault(
            run.pod.uid,
            replace(run.pod, workload=workload, uid=uuid("copy", run.pod.uid, number)),
        )
        yield replace(run, pod=pod)


# ---- usage: what cAdvisor says --------------------------------------------------------------


@dataclass(frozen=True)
class Segment:
    """One life of a container between two starts, with the stretches in which it was scraped."""

    run: Run
    begin: int
    end: int
    number: int

    @property
    def container_id(self) -> str:
        """The runtime's id, a new one after each restart."""
        return container_id(self.run.pod, self.run.container, self.number)

    @property
    def base(self) -> int:
        """CPU spent before the window, in ten-thousandths of a core second."""
        before = self.run.begin - self.run.pod.begin if self.number == 0 else 0
        return 0 if before <= 1 else int(self.run.cpu[0] * 1e4) * before * STEP_SECONDS

    def values(self, array: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """The part of one of the run's arrays that belongs to this life."""
        return array[self.begin - self.run.begin : self.end - self.run.begin]


def container_id(pod: Pod, container: Container, number: int) -> str:
    """A made-up id; shorter than real ones, for it stands twice in every line."""
    return _hex(f"{pod.uid}/{container.name}/{number}")


def _hex(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def segments(runs: Iterable[Run]) -> list[Segment]:
    """Every life of every container."""
    found = []
    for run in runs:
        starts = [run.begin, *(r.step for r in run.restarts if r.step < SAMPLE_STEPS)]
        ends = [*starts[1:], min(run.end, SAMPLE_STEPS)]
        spans = zip(starts, ends, strict=True)
        found += [Segment(run, a, b, number) for number, (a, b) in enumerate(spans)]
    return found


def stretches(begin: int, end: int, seen: npt.NDArray[np.bool_]) -> list[Span]:
    """The longest spans of observed steps between `begin` and `end`."""
    inside = np.concatenate([[0], seen[begin:end].astype(np.int8), [0]])
    edges = np.flatnonzero(np.diff(inside)) + begin
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def _write_usage(
    files: Files, runs: list[Run], grid: Grid, coarse: Grid, jobs: list[dict[str, str]]
) -> None:
    """Every cAdvisor family; kills, which cAdvisor loses with the container, stay 0 and coarse."""
    lives = segments(runs)
    pods = _pod_totals(runs)
    families = (
        ("container_cpu_usage_seconds_total", "counter"),
        ("container_memory_working_set_bytes", "gauge"),
        ("container_memory_rss", "gauge"),
        ("container_cpu_cfs_periods_total", "counter"),
        ("container_cpu_cfs_throttled_periods_total", "counter"),
        ("container_oom_events_total", "counter"),
    )
    for name, kind in families:
        files.family(name, kind)
        used = coarse if name == "container_oom_events_total" else grid
        for job in jobs:
            for life in lives:
                _write_life(files, used, job, life, name)
            for total in pods:
                _write_pod(files, used, job, total, name)


def _write_life(files: Files, grid: Grid, job: dict[str, str], life: Segment, name: str) -> None:
    run = life.run
    has_quota = "cpu" in run.container.effective()["limits"]
    if "_cfs_" in name and not has_quota:
        return
    labels = job | _cadvisor_labels(run.pod, run.container.name, life.container_id)
    labels["image"] = run.pod.image(run.container)
    if name.startswith("container_cpu_usage"):
        labels["cpu"] = "total"
    seen = observed(run.pod.node)
    for begin, end in stretches(life.begin, life.end, seen):
        first = begin * grid.per_step + 1
        files.write(labels, grid, first, _life_values(life, (begin, end), grid, name))


def _life_values(life: Segment, span: Span, grid: Grid, name: str) -> list[str]:
    """The scrapes strictly inside `span`, as text."""
    begin, end = span[0] - life.begin, span[1] - life.begin
    count = (end - begin) * grid.per_step - 1
    run = life.run
    match name:
        case "container_cpu_usage_seconds_total":
            rises = np.rint(life.values(run.cpu) * 1e4) * grid.interval
            return _counter(rises, life.base, (begin, end), grid, 1e4)
        case "container_memory_working_set_bytes":
            return _integers(_within_steps(life.values(run.memory)[begin:end], grid))
        case "container_memory_rss":
            return _integers(_rss(_within_steps(life.values(run.memory)[begin:end], grid)))
        case "container_cpu_cfs_periods_total":
            rises = np.full(life.end - life.begin, 10.0 * grid.interval)
            return _counter(rises, 0, (begin, end), grid, 1)
        case "container_cpu_cfs_throttled_periods_total":
            rises = np.rint(life.values(run.throttled) * 100) * grid.interval
            return _counter(rises, 0, (begin, end), grid, 10)
        case _:
            return ["0"] * count


def _counter(
    rises: npt.NDArray[np.float64], base: int, span: Span, grid: Grid, unit: float
) -> list[str]:
    """A counter that rises by `rises` (per scrape, in 1/`unit`) evenly within each step."""
    before = base + rises[: span[0]].sum() * grid.per_step
    totals = before + np.cumsum(np.repeat(rises[slice(*span)], grid.per_step))[:-1]
    return [repr(value) for value in (totals / unit).tolist()]


def _within_steps(peaks: npt.NDArray[np.float64], grid: Grid) -> Ints:
    """Scrapes of a gauge whose maximum in each step is the peak, reached in its middle.

    One row per step, then flattened without the last scrape, which lies on the border.
    """
    below = np.array([3, 1, 2, 1, 2]) * PAGE
    levels = np.maximum(
        peaks[:, None].astype(np.int64) - np.resize(below, grid.per_step)[None, :], 0
    )
    levels[:, grid.per_step // 2] = peaks
    levels[:-1, -1] = np.minimum(peaks[:-1], peaks[1:])
    return levels.ravel()[:-1]


def _rss(working_set: Ints) -> Ints:
    return working_set * 7 // 8 // PAGE * PAGE


def _integers(values: Ints) -> list[str]:
    return list(map(str, values.tolist()))


def _cadvisor_labels(pod: Pod, container: str, runtime_id: str) -> dict[str, str]:
    cgroup = f"/kubepods/burstable/pod{pod.uid[:8]}"
    return {
        "container": container,
        "id": f"{cgroup}/{runtime_id}" if runtime_id else cgroup,
        "instance": f"10.20.0.{10 + _node_number(pod.node)}:10250",
        "name": runtime_id,
        "namespace": pod.workload.namespace,
        "node": pod.node,
        "pod": pod.name,
    }


def _node_number(node: str) -> int:
    return next(number for number, known in enumerate(NODES) if known.name == node)


PodTotal = tuple[Pod, npt.NDArray[np.float64], npt.NDArray[np.float64]]


def _pod_totals(runs: Iterable[Run]) -> list[PodTotal]:
    """CPU and memory of each pod's cgroup over its steps in the sample."""
    totals: dict[str, PodTotal] = {}
    for run in runs:
        pod = run.pod
        begin, end = max(pod.begin, 0), min(pod.end, SAMPLE_STEPS)
        if pod.uid not in totals:
            pause = np.full(end - begin, float(PAUSE_BYTES))
            totals[pod.uid] = (pod, np.zeros(end - begin), pause)
        stop = min(run.end, SAMPLE_STEPS)
        where = slice(run.begin - begin, stop - begin)
        totals[pod.uid][1][where] += run.cpu[: stop - run.begin]
        totals[pod.uid][2][where] += run.memory[: stop - run.begin]
    return list(totals.values())


def _write_pod(files: Files, grid: Grid, job: dict[str, str], total: PodTotal, name: str) -> None:
    """The pod's own cgroup, and its pause container, which runtimes label in two ways."""
    pod, cpu, memory = total
    is_cpu = name == "container_cpu_usage_seconds_total"
    if not is_cpu and name != "container_memory_working_set_bytes":
        return
    cgroup = job | _cadvisor_labels(pod, "", "") | ({"cpu": "total"} if is_cpu else {})
    named = "POD" if _node_number(pod.node) % 2 else ""
    pause = cgroup | _cadvisor_labels(pod, named, _hex(pod.uid))
    pause["image"] = PAUSE
    birth = max(pod.begin, 0)
    for begin, end in stretches(birth, birth + len(cpu), observed(pod.node)):
        span, first = (begin - birth, end - birth), begin * grid.per_step + 1
        count = (end - begin) * grid.per_step - 1
        if is_cpu:
            rises = np.rint(cpu * 1e4) * grid.interval
            files.write(cgroup, grid, first, _counter(rises, 0, span, grid, 1e4))
            files.write(pause, grid, first, ["0.0301"] * count)
        else:
            files.write(cgroup, grid, first, _integers(_within_steps(memory[slice(*span)], grid)))
            files.write(pause, grid, first, [str(PAUSE_BYTES)] * count)


# ---- state: what kube-state-metrics says ----------------------------------------------------


class State:
    """Writes state series: listed at the end of every step in which an object existed."""

    def __init__(self, files: Files, grid: Grid, steps: Span) -> None:
        self.files, self.grid, self.steps = files, grid, steps
        self.seen = np.ones(SAMPLE_STEPS, dtype=bool)
        self.seen[slice(*OUTAGE)] = False

    def constant(self, labels: dict[str, str], span: Span, value: Any = 1) -> None:
        """A series with one value in the steps of `span`."""
        begin, end = max(span[0], 0), min(span[1], SAMPLE_STEPS)
        for a, b in stretches(begin, end, self.seen):
            first = a * self.grid.per_step + 1
            count = (b - a) * self.grid.per_step
            self.files.write(STATE | labels, self.grid, first, [str(value)] * count)

    def varying(self, labels: dict[str, str], span: Span, values: npt.NDArray[np.float64]) -> None:
        """A series with one value per step; `values` cover the steps of `span`."""
        begin, end = span
        for a, b in stretches(begin, end, self.seen):
            numbers = np.repeat(values[a - begin : b - begin].astype(int), self.grid.per_step)
            texts = list(map(str, numbers.tolist()))
            self.files.write(STATE | labels, self.grid, a * self.grid.per_step + 1, texts)

    def counting(self, labels: dict[str, str], span: Span, steps: Sequence[int]) -> None:
        """A counter that rises on the border before each of `steps`."""
        begin, end = max(span[0], 0), min(span[1], SAMPLE_STEPS)
        borders = np.asarray(steps) * self.grid.per_step
        for a, b in stretches(begin, end, self.seen):
            scrapes = np.arange(a * self.grid.per_step + 1, b * self.grid.per_step + 1)
            counts = np.searchsorted(borders, scrapes, side="right")
            texts = list(map(str, counts.tolist()))
            self.files.write(STATE | labels, self.grid, int(scrapes[0]), texts)


def _write_state(files: Files, runs: list[Run], grid: Grid, steps: Span) -> None:
    state = State(files, grid, steps)
    pods = list({run.pod.uid: run.pod for run in runs}.values())
    _write_nodes(state)
    _write_pods(state, pods)
    _write_owners(state, pods)
    _write_containers(state, pods, runs)
    _write_workloads(state, pods)


def _write_nodes(state: State) -> None:
    state.files.family("kube_node_status_allocatable")
    for node in NODES:
        for resource, value in node.allocatable().items():
            labels = {"resource": series_label(resource), "unit": UNITS.get(resource, "integer")}
            state.constant({"node": node.name} | labels, state.steps, value)
    for metric, told in _NODE_FACTS.items():
        state.files.family(metric)
        for node in NODES:
            value = EPOCH - YEAR_SECONDS if metric == "kube_node_created" else 1
            for labels in told(node):
                state.constant({"node": node.name} | labels, state.steps, value)


_NODE_FACTS: dict[str, Callable[[Node], list[dict[str, str]]]] = {
    "kube_node_info": lambda _: [{"os_image": "Talos (v1.9.2)"}],
    "kube_node_created": lambda _: [{}],
    "kube_node_role": lambda node: [{"role": node.role}] if node.role else [],
    "kube_node_labels": lambda node: [
        {f"label_{series_label(key)}": text for key, text in node.all_labels().items()}
    ],
    "kube_node_spec_taint": lambda node: [asdict(taint) for taint in node.taints],
}


def _pod_names(pod: Pod) -> dict[str, str]:
    return {"namespace": pod.workload.namespace, "pod": pod.name, "uid": pod.uid}


def _life(pod: Pod) -> Span:
    return pod.begin, pod.end


def _write_pods(state: State, pods: list[Pod]) -> None:
    kind_and_name = {pod.uid: pod.owner for pod in pods}
    state.files.family("kube_pod_info")
    for pod in pods:
        kind, name = kind_and_name[pod.uid]
        place = {"node": pod.node, "pod_ip": pod.ip, "host_network": "false"}
        place["priority_class"] = pod.workload.priority
        made = {"created_by_kind": kind, "created_by_name": name}
        state.constant(_pod_names(pod) | place | made, _life(pod))
    state.files.family("kube_pod_owner")
    for pod in pods:
        kind, name = kind_and_name[pod.uid]
        owner = {"owner_kind": kind, "owner_name": name}
        owner["owner_is_controller"] = "true" if kind else ""
        state.constant(_pod_names(pod) | owner, _life(pod))
    for metric in ("kube_pod_created", "kube_pod_start_time"):
        state.files.family(metric)
        for pod in pods:
            state.constant(_pod_names(pod), _life(pod), second_of(pod.begin))
    state.files.family("kube_pod_tolerations")
    for pod in pods:
        for toleration in (*GIVEN_TO_ALL, *tolerations(pod.workload)):
            state.constant(_pod_names(pod) | toleration, _life(pod))
    state.files.family("kube_pod_labels")
    for pod in pods:
        labels = {f"label_{series_label(key)}": text for key, text in pod.labels.items()}
        state.constant(_pod_names(pod) | labels, _life(pod))
    state.files.family("kube_pod_status_phase")
    for pod in pods:
        state.constant(_pod_names(pod) | {"phase": "Running"}, _life(pod))


def _write_owners(state: State, pods: list[Pod]) -> None:
    for metric, label, between, above in (
        ("kube_replicaset_owner", "replicaset", "ReplicaSet", "Deployment"),
        ("kube_job_owner", "job_name", "Job", "CronJob"),
    ):
        state.files.family(metric)
        for (namespace, name), members in _grouped(
            (pod for pod in pods if pod.owner[0] == between),
            lambda pod: (pod.workload.namespace, pod.owner[1]),
        ):
            owner = {"owner_kind": above, "owner_name": members[0].workload.name}
            labels = {"namespace": namespace, label: name, "owner_is_controller": "true"}
            state.constant(labels | owner, _union(members))


def _grouped(pods: Iterable[Pod], key: Any) -> Iterable[tuple[Any, list[Pod]]]:
    groups: dict[Any, list[Pod]] = {}
    for pod in pods:
        groups.setdefault(key(pod), []).append(pod)
    return groups.items()


def _union(pods: Sequence[Pod]) -> Span:
    return min(pod.begin for pod in pods), max(pod.end for pod in pods)


def _write_containers(state: State, pods: list[Pod], runs: list[Run]) -> None:
    by_key = {(run.pod.uid, run.container.name): run for run in runs}
    for prefix, init in (("kube_pod_container", False), ("kube_pod_init_container", True)):
        members = [
            (pod, container, by_key.get((pod.uid, container.name)))
            for pod in pods
            for container in pod.workload.containers
            if (container.role != "app") is init
        ]
        state.files.family(f"{prefix}_info")
        for pod, container, run in members:
            _write_container_info(state, pod, container, run)
        for side in ("requests", "limits"):
            state.files.family(f"{prefix}_resource_{side}")
            for pod, container, _ in members:
                _write_amounts(state, pod, container, side)
        state.files.family(f"{prefix}_status_restarts_total", "counter")
        for pod, container, run in members:
            labels = _pod_names(pod) | {"container": container.name}
            steps = [r.step for r in run.restarts] if run else []
            state.counting(labels, _life(pod), steps)
        state.files.family(f"{prefix}_status_last_terminated_reason")
        for pod, container, run in members:
            _write_reasons(state, pod, container, run)


def _write_container_info(state: State, pod: Pod, container: Container, run: Run | None) -> None:
    image = pod.image(container)
    labels = _pod_names(pod) | {
        "container": container.name,
        "image": image,
        "image_spec": image,
        "image_id": f"{image.rpartition(':')[0]}@sha256:{_hex(image)}",
        "restart_policy": "Always" if container.role == "sidecar" else "",
    }
    borders = [r.step for r in run.restarts] if run else []
    edges = [pod.begin, *borders, pod.end]
    for number, span in enumerate(pairwise(edges)):
        runtime_id = f"containerd://{container_id(pod, container, number)}"
        state.constant(labels | {"container_id": runtime_id}, span)


def _write_amounts(state: State, pod: Pod, container: Container, side: str) -> None:
    for resource, value in container.effective()[side].items():
        labels = _pod_names(pod) | {
            "container": container.name,
            "node": pod.node,
            "resource": series_label(resource),
            "unit": UNITS.get(resource, "integer"),
        }
        state.constant(labels, _life(pod), value if resource == "cpu" else int(value))


def _write_reasons(state: State, pod: Pod, container: Container, run: Run | None) -> None:
    """Why the previous life ended: listed from the restart on, until there is another reason."""
    if run is None:
        return
    changes = [(r.step, "OOMKilled" if r.oom else "Error") for r in run.restarts]
    ends = [*(step for step, _ in changes[1:]), pod.end][: len(changes)]
    labels = _pod_names(pod) | {"container": container.name}
    for (step, reason), end in zip(changes, ends, strict=True):
        state.constant(labels | {"reason": reason}, (step, end))


def _write_workloads(state: State, pods: list[Pod]) -> None:
    workloads = [
        (members[0].workload, _union(members))
        for _, members in _grouped(pods, lambda pod: pod.workload.key)
    ]
    for metric, kind in (
        ("kube_deployment_spec_replicas", "Deployment"),
        ("kube_statefulset_replicas", "StatefulSet"),
        ("kube_daemonset_status_desired_number_scheduled", "DaemonSet"),
    ):
        state.files.family(metric)
        for workload, span in workloads:
            if workload.kind == kind:
                _write_replicas(state, workload, span)
    for metric, kind in (
        ("kube_deployment_labels", "Deployment"),
        ("kube_statefulset_labels", "StatefulSet"),
    ):
        state.files.family(metric)
        for workload, span in workloads:
            if workload.kind == kind:
                own = workload_labels(workload) if kind == "Deployment" else {}
                labels = {f"label_{series_label(key)}": text for key, text in own.items()}
                state.constant(_workload_names(workload) | labels, span)
    _write_autoscalers(state, [entry for entry in workloads if entry[0].hpa is not None])


def _workload_names(workload: Workload) -> dict[str, str]:
    return {"namespace": workload.namespace, workload.kind.lower(): workload.name}


def _write_replicas(state: State, workload: Workload, span: Span) -> None:
    labels = _workload_names(workload)
    if workload.hpa is None:
        state.constant(labels, span, replicas(workload, 0))
    else:
        begin, end = max(span[0], 0), min(span[1], SAMPLE_STEPS)
        original = replace(workload, namespace=_original(workload.namespace))
        state.varying(labels, (begin, end), replicas_over_time(original)[begin:end])


def _original(namespace: str) -> str:
    """The namespace of the first copy."""
    name, _, number = namespace.rpartition("-")
    return name if number.isdigit() else namespace


def _write_autoscalers(state: State, scaled: list[tuple[Workload, Span]]) -> None:
    metrics: tuple[tuple[str, dict[str, str]], ...] = (
        ("info", {}),
        ("spec_target_metric", {"metric_name": "cpu", "metric_target_type": "utilization"}),
        ("spec_min_replicas", {}),
        ("spec_max_replicas", {}),
    )
    for metric, more in metrics:
        state.files.family(f"kube_horizontalpodautoscaler_{metric}")
        for workload, span in scaled:
            assert workload.hpa is not None
            labels = {"namespace": workload.namespace, "horizontalpodautoscaler": workload.name}
            target = {
                "scaletargetref_api_version": "apps/v1",
                "scaletargetref_kind": workload.kind,
                "scaletargetref_name": workload.name,
            }
            value = {
                "info": 1,
                "spec_target_metric": workload.hpa.target,
                "spec_min_replicas": workload.hpa.minimum,
                "spec_max_replicas": workload.hpa.maximum,
            }[metric]
            state.constant(labels | more | (target if metric == "info" else {}), span, value)
