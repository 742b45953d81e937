"""The four weeks: pods that come and go, and what each container used of what it wanted."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from homelab import signals
from homelab.catalog import WORKLOADS, Container, Workload
from homelab.clock import DAY, NODE_DOWN, STEPS, Array, dice, observed, second_of, step_of

Generator = np.random.Generator

THROTTLED_SHARE = 0.05
"""A smaller share of throttled periods is simulated as none."""


@dataclass(frozen=True)
class Pod:
    """One pod: alive in the steps from `begin` up to but without `end`.

    `begin` may lie before the window. `generation` counts images, `owner` is its direct owner
    (kind and name), a ReplicaSet or Job in between where there is one.
    """

    workload: Workload
    name: str
    uid: str
    node: str
    ip: str
    begin: int
    end: int
    generation: int
    owner: tuple[str, str]
    labels: dict[str, str]

    def image(self, container: Container) -> str:
        """The image that `container` runs in this pod."""
        return container.image.format(self.generation + 3)


@dataclass(frozen=True)
class Restart:
    """A container started anew in its pod at the start of `step`; OOM kills are marked."""

    step: int
    oom: bool


@dataclass(frozen=True)
class Run:
    """One container in one pod, from step `begin` up to but without `end`, inside the window.

    Arrays have one value per step: wanted CPU and memory, what was used, and the share of
    CFS periods in which it was throttled.
    """

    pod: Pod
    container: Container
    begin: int
    end: int
    wanted_cpu: Array
    wanted_memory: Array
    cpu: Array
    memory: Array
    throttled: Array
    restarts: tuple[Restart, ...]

    def observed(self) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        """Which of its steps were scraped."""
        return observed(self.pod.node)[self.begin : self.end]


def simulate() -> list[Run]:
    """Every run of every container in the four weeks, in a fixed order."""
    return [run for workload in WORKLOADS for run in _workload_runs(workload)]


def digest(*names: object, length: int = 10) -> str:
    """Letters and digits as in generated names, depending on `names` alone."""
    text = "/".join(map(str, names)).encode()
    number = int.from_bytes(hashlib.sha256(text).digest()[:16], "big")
    alphabet = "bcdfghjklmnpqrstvwxz2456789"
    letters = []
    for _ in range(length):
        number, index = divmod(number, len(alphabet))
        letters.append(alphabet[index])
    return "".join(letters)


def uuid(*names: object) -> str:
    """A made-up UUID that depends on `names` alone."""
    text = hashlib.sha256("/".join(map(str, names)).encode()).hexdigest()
    return "-".join((text[:8], text[8:12], "4" + text[13:16], "a" + text[17:20], text[20:32]))


def _workload_runs(workload: Workload) -> Iterator[Run]:
    loads = {c.name: signals.load(workload, c) for c in workload.containers}
    pods, shares = _pods(workload, loads)
    for pod in pods:
        starts_up = any(c.role == "init" for c in workload.containers)
        for container in workload.containers:
            init = container.role == "init"
            begin = pod.begin + (1 if starts_up and not init else 0)
            end = pod.begin + 1 if init else pod.end
            if (begin < 0 and init) or min(end, STEPS) <= max(begin, 0):
                continue
            yield _run(pod, container, (begin, end), loads[container.name], shares)


def _pods(workload: Workload, loads: dict[str, signals.Load]) -> tuple[list[Pod], Array]:
    """The pods of a workload, and the part of its load that one pod bears, per step."""
    if workload.schedule:
        return list(_job_pods(workload)), np.ones(STEPS)
    if workload.hpa is None:
        slots = len(workload.nodes) if workload.kind == "DaemonSet" else workload.replicas
        lives = [(slot, *life) for slot in range(slots) for life in _lives(workload, slot)]
        return [_pod(workload, *life) for life in lives], np.ones(STEPS)
    wanted = _replicas(workload, loads)
    lives = [
        (slot, begin, end, 0, 0)
        for slot in range(workload.hpa.maximum)
        for begin, end in _stretches(wanted > slot)
    ]
    return [_pod(workload, *life) for life in lives], 1 / wanted


def replicas_over_time(workload: Workload) -> Array:
    """The number of pods an autoscaled workload has in every step."""
    loads = {c.name: signals.load(workload, c) for c in workload.containers}
    return _replicas(workload, loads)


def _replicas(workload: Workload, loads: dict[str, signals.Load]) -> Array:
    assert workload.hpa is not None
    scaled = next(c for c in workload.containers if c.pattern == "hpa")
    per_pod = scaled.effective()["requests"]["cpu"] * workload.hpa.target / 100
    total = scaled.cores * loads[scaled.name].cpu
    window = 18  # scaling down waits for ninety minutes below
    padded = np.concatenate([np.full(window - 1, total[0]), total])
    recent = np.lib.stride_tricks.sliding_window_view(padded, window).max(axis=1)
    pods = np.clip(np.ceil(recent / per_pod), workload.hpa.minimum, workload.hpa.maximum)
    return np.asarray(pods)


def _stretches(alive: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate([[0], alive.astype(np.int8), [0]])))
    spans = [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]
    return [(a if a else -2 * DAY, b) for a, b in spans]


def _lives(workload: Workload, slot: int) -> Iterator[tuple[int, int, int, int]]:
    """Begin, end, image generation and template generation of each pod in one slot."""
    rng = dice("lives", *workload.key, slot)
    before = -int(rng.integers(1 * DAY, 20 * DAY))
    begin = before if workload.born is None else step_of(workload.born)
    end = STEPS if workload.deleted is None else step_of(workload.deleted)
    changes = [(step_of(day) + slot, 1) for day in workload.rollouts]
    changes += [(step_of(day) + slot, 0) for day in workload.redeploys]
    generation = template = 0
    for step, image in sorted(changes):
        yield begin, step, generation, template
        begin, generation, template = step, generation + image, template + 1
    yield begin, end, generation, template


def _pod(
    workload: Workload, slot: int, begin: int, end: int, generation: int, template: int
) -> Pod:
    rng = dice("pod", *workload.key, slot, begin)
    name, owner = workload.name, (workload.kind, workload.name)
    labels = pod_labels(workload)
    match workload.kind:
        case "Deployment":
            revision = digest("replicaset", *workload.key, template)
            owner = ("ReplicaSet", f"{name}-{revision}")
            labels["pod-template-hash"] = revision
            name = f"{owner[1]}-{digest('pod', *workload.key, slot, begin, length=5)}"
        case "DaemonSet":
            labels["controller-revision-hash"] = digest("revision", *workload.key, template)
            name = f"{name}-{digest('pod', *workload.key, slot, begin, length=5)}"
        case "StatefulSet":
            name = f"{name}-{slot}"
            labels["controller-revision-hash"] = f"{workload.name}-" + digest(
                "revision", *workload.key, template
            )
            labels["apps.kubernetes.io/pod-index"] = str(slot)
            labels["statefulset.kubernetes.io/pod-name"] = name
        case "Cluster":
            name = f"{name}-{slot + 1}"
            labels["cnpg.io/instanceName"] = name
            labels["cnpg.io/instanceRole"] = "replica" if slot else "primary"
        case "Pod":
            owner = ("", "")
    return Pod(
        workload=workload,
        name=name,
        uid=uuid(*workload.key, slot, begin),
        node=_node(workload, slot, begin, rng),
        ip=f"10.42.{rng.integers(0, 7)}.{rng.integers(2, 250)}",
        begin=begin,
        end=end,
        generation=generation,
        owner=owner,
        labels=labels,
    )


def _node(workload: Workload, slot: int, begin: int, rng: Generator) -> str:
    if workload.kind in ("DaemonSet", "Cluster"):
        return workload.nodes[slot % len(workload.nodes)]
    down, off, on = NODE_DOWN
    possible = [n for n in workload.nodes if n != down or not off <= begin < on]
    return str(possible[int(rng.integers(len(possible)))])


def _job_pods(workload: Workload) -> Iterator[Pod]:
    rng = dice("jobs", *workload.key)
    shortest, longest = {"30": (8, 13), "15": (1, 3)}.get(workload.schedule.split()[0], (2, 4))
    for begin in scheduled_steps(workload.schedule):
        end = begin + int(rng.integers(shortest, longest + 1))
        pod = _pod(workload, 0, begin, end, 0, 0)
        job = f"{workload.name}-{second_of(begin) // 60}"
        labels = pod.labels | {
            "job-name": job,
            "batch.kubernetes.io/job-name": job,
            "controller-uid": uuid("job", *workload.key, begin),
        }
        name = f"{job}-{digest('pod', *workload.key, begin, length=5)}"
        yield replace(pod, name=name, owner=("Job", job), labels=labels)


def scheduled_steps(schedule: str) -> list[int]:
    """The steps in which a CronJob starts; minute, hour and weekday of `schedule` count."""
    minute, hour, _, _, weekday = schedule.split()
    hours = range(0, 24, int(hour[2:])) if hour.startswith("*/") else [int(hour)]
    days = [d for d in range(STEPS // DAY) if weekday == "*" or (d + 1) % 7 == int(weekday)]
    return [d * DAY + h * 12 + int(minute) // 5 for d in days for h in hours]


def pod_labels(workload: Workload) -> dict[str, str]:
    """Labels of the pod template."""
    if workload.form.startswith("app-template"):
        key = "component" if workload.form == "app-template" else "controller"
        return {
            f"app.kubernetes.io/{key}": workload.controller,
            "app.kubernetes.io/instance": workload.release,
            "app.kubernetes.io/name": workload.release,
        }
    if workload.form.startswith("chart:"):
        return {
            "app.kubernetes.io/instance": workload.release,
            "app.kubernetes.io/name": workload.containers[-1].name,
            "app.kubernetes.io/managed-by": "Helm",
        }
    if workload.kind == "Cluster":
        return {"cnpg.io/cluster": workload.name, "cnpg.io/podRole": "instance"}
    if workload.form in {"flux", "flux-patch"}:
        return {"app": workload.name, "app.kubernetes.io/part-of": "flux"}
    return {"app.kubernetes.io/name": workload.name}


def _run(
    pod: Pod, container: Container, life: tuple[int, int], load: signals.Load, shares: Array
) -> Run:
    begin, end = max(life[0], 0), min(life[1], STEPS)
    rng = dice("run", *pod.workload.key, container.name, pod.name, pod.begin)
    spread = 0.3 if pod.workload.kind == "DaemonSet" else 0.06
    own = float(np.exp(rng.normal(0, spread))) if len(pod.workload.nodes) > 1 else 1.0
    planned = _planned_restarts(pod, container, life, rng)
    age = _age(life[0], planned, begin, end)
    wanted_cpu = signals.wanted_cpu(
        container, load.cpu[begin:end] * shares[begin:end] * own, age, rng
    )
    wanted_cpu = np.maximum(np.round(wanted_cpu, 4), 0.0001)
    noise = signals.memory_noise(container, end - begin, rng)
    factor = load.memory[begin:end] * (own if spread > 0.1 else 1.0)
    wanted_memory = signals.wanted_memory(container, factor, noise, age)
    cpu, throttled = _throttle(container, wanted_cpu)
    seen = observed(pod.node)[begin:end]
    memory, restarts = _kill(container, (life[0], begin), planned, (factor, noise), seen)
    return Run(
        pod=pod,
        container=container,
        begin=begin,
        end=end,
        wanted_cpu=wanted_cpu,
        wanted_memory=wanted_memory,
        cpu=cpu,
        memory=memory,
        throttled=throttled,
        restarts=tuple(r for r in restarts if begin < r.step < end),
    )


def _planned_restarts(
    pod: Pod, container: Container, life: tuple[int, int], rng: Generator
) -> list[int]:
    """Steps at which the container starts anew for other reasons than memory."""
    between = {"leaking": (4 * DAY, 7 * DAY), "restarted": (DAY // 2, 3 * DAY)}
    steps: list[int] = []
    if container.pattern in between:
        step = life[0] + int(rng.integers(*between[container.pattern]))
        while step < min(life[1], STEPS):
            steps.append(step)
            step += int(rng.integers(*between[container.pattern]))
    down, _, on = NODE_DOWN
    if pod.node == down and life[0] < on < life[1]:
        steps.append(on)
    return sorted({_when_seen(pod.node, step) for step in steps if step < STEPS})


def _when_seen(node: str, step: int) -> int:
    """The first step from `step` on whose neighbourhood was observed, so that nothing hides."""
    seen = observed(node)
    while 0 <= step < STEPS - 1 and not seen[step]:
        step += 1
    return step


def _age(born: int, restarts: list[int], begin: int, end: int) -> Array:
    """Steps since the latest start, for each step from `begin` to `end`."""
    steps = np.arange(begin, end)
    starts = np.array([born, *restarts])
    return np.asarray(steps - starts[np.searchsorted(starts, steps, side="right") - 1], dtype=float)


def _throttle(container: Container, wanted: Array) -> tuple[Array, Array]:
    """What a CPU limit lets through, and the share of throttled periods in hundredths."""
    limit = container.effective()["limits"].get("cpu")
    if limit is None:
        return wanted, np.zeros(len(wanted))
    got = np.round(np.minimum(wanted, 0.985 * limit), 4)
    share = np.round(np.clip((wanted / limit - 0.7) * 0.8, 0, 0.95), 2)
    notable = np.where(share < THROTTLED_SHARE, 0.0, share)
    return np.asarray(got, np.float64), np.asarray(notable, np.float64)


def _kill(
    container: Container,
    born: tuple[int, int],
    planned: list[int],
    wants: tuple[Array, Array],
    seen: np.ndarray[tuple[int], np.dtype[np.bool_]],
) -> tuple[Array, list[Restart]]:
    """What memory was used under the limit, with a kill and a restart wherever it was reached.

    `born` is the start of the run and the first step of the arrays. Nothing is killed while nobody
    looks, or just before.
    """
    factor, noise = wants
    first, count = born[1], len(factor)
    limit = container.effective()["limits"].get("memory", np.inf)
    whole_pages = limit // signals.PAGE * signals.PAGE if np.isfinite(limit) else np.inf
    killable = seen & np.append(seen[1:], False)
    used = np.empty(count)
    restarts = [Restart(step, False) for step in planned]
    started = max([born[0], *(s for s in planned if s <= first)])
    low = 0
    while low < count:
        high = min([count, *(s - first for s in planned if s > first + low)])
        age = np.arange(first + low, first + high, dtype=float) - started
        wanted = signals.wanted_memory(container, factor[low:high], noise[low:high], age)
        over = np.flatnonzero((wanted >= limit) & killable[low:high])
        stop = high if not len(over) else low + int(over[0]) + 1
        used[low:stop] = np.minimum(wanted[: stop - low], whole_pages)
        if len(over) and first + stop not in planned:
            restarts.append(Restart(first + stop, True))
        started, low = first + stop, stop
    return used, sorted(restarts, key=lambda restart: restart.step)
