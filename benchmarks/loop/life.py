"""One week in the life of a workload under the requests and limits it has been given."""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from benchmarks.loop.worlds import DAY, NODE_CORES, NODE_MIB, WEEK, Array, Given, Workload

CACHE_SHARE, HEAP_SHARE = 0.95, 0.7
TARGET_USE = 0.7
"""What an autoscaler on CPU aims at, as a share of the request."""
BASE_POD_CORES = 0.5
"""What one pod of an autoscaler on other metrics takes upon itself."""


@dataclass
class Pod:
    """What one pod used in one week; NaN where it was not there."""

    name: str
    run: int
    """For jobs, which run this was; 0 for everything else."""
    cpu: Array
    memory: Array
    """MiB."""
    firm: Array
    """MiB of it that the kernel cannot take back."""


@dataclass
class Lived:
    """What a week was like, and what foresight would have given for it."""

    pods: list[Pod] = field(default_factory=list)
    events: list[tuple[Pod, int, str, float]] = field(default_factory=list)
    """Pod, step of the week, kind and value as in an events table, values in cores and MiB."""
    replicas: int = 0
    image: str = ""
    above: float = 0.0
    """The share of the week in which the worst pod wanted more CPU than it requests."""
    need: tuple[float, float] = (0.0, 0.0)
    """Cores that the worst pod wants 95 % of the time, and MiB that it cannot do without."""
    peak: float = 0.0
    """The most memory that any pod wanted, whatever it was allowed."""
    kills: int = 0
    """Kills at the limit; those for the node's sake are not counted."""


def live(workload: Workload, given: Given, week: int, step: float) -> Lived:
    """Let `workload` live through `week` in steps of `step` hours; `given` keeps pods' ages."""
    released = bool(workload.release_every and week and week % workload.release_every == 0)
    renamed = workload.renamed is not None and week == workload.renamed[0]
    if released or renamed:  # either way there are new pods
        given.generation += 1
        given.age = {}
    lived = Lived(image=f"registry.example/{workload.name}:{_release(workload, week)}")
    hours: Array = week * WEEK + step * np.arange(round(WEEK / step), dtype=np.float64)
    present = _present(workload, given, week, hours)
    lived.replicas = int(present.sum(axis=0).max(initial=0)) if workload.runs is None else 1
    for number, there in enumerate(present):
        if there.any():
            _live_pod(lived, workload, given, hours, (week, number), there)
    if released and workload.runs is None:
        lived.events += [(pod, 0, "image_change", np.nan) for pod in lived.pods]
    return lived


def _release(workload: Workload, week: int) -> int:
    return week // workload.release_every if workload.release_every else 0


def _present(workload: Workload, given: Given, week: int, hours: Array) -> np.ndarray:
    """Booleans of the shape (pods, steps): which pod is there when."""
    if workload.runs is not None:
        return np.array([there for _, there in _runs(workload, hours)])
    if workload.hpa:
        return np.arange(workload.most_pods)[:, None] < _scaled(workload, given, hours)
    pods = workload.pods
    for since, count in workload.pods_at:
        pods = count if week >= since else pods
    return np.ones((pods, len(hours)), dtype=bool)


def _runs(workload: Workload, hours: Array) -> Iterator[tuple[int, np.ndarray]]:
    """The runs that begin within `hours`, two hours after each period begins."""
    assert workload.runs is not None
    period, length = workload.runs
    since = (hours - 2.0) % period
    number = ((hours - 2.0) // period).astype(np.int64)
    for run in np.unique(number[since < length]):
        yield int(run), (number == run) & (since < length)


def _scaled(workload: Workload, given: Given, hours: Array) -> Array:
    """How many pods an autoscaler keeps at each step; KEDA goes to none."""
    total = workload.cpu(hours)
    if workload.hpa == "keda":
        return np.clip(np.ceil(total / BASE_POD_CORES), 0, workload.most_pods)
    one = TARGET_USE * (given.cpu_request or 0.1) if workload.hpa == "cpu" else BASE_POD_CORES
    day = ((hours - hours[0]) // DAY).astype(np.int64)
    most = np.array([total[day == d].max() for d in range(day.max() + 1)])
    result: Array = np.clip(np.ceil(most / one), 1, workload.most_pods)[day]
    return result


def _live_pod(
    lived: Lived,
    workload: Workload,
    given: Given,
    hours: Array,
    which: tuple[int, int],
    there: np.ndarray,
) -> None:
    """Add what one pod (week and number) did."""
    week, number = which
    step = hours[1] - hours[0]
    rng = np.random.default_rng([zlib.crc32(workload.name.encode()), week, number])
    share = _share(workload, number)
    cpu, memory = (
        share * wish * np.exp(spread * rng.standard_normal(len(hours)) - spread**2 / 2)
        for wish, spread in zip(
            (workload.cpu(hours), workload.memory(hours)), workload.noise, strict=True
        )
    )
    if workload.hpa:
        cpu = cpu / np.maximum(_scaled(workload, given, hours), 1)
    cpu = np.maximum(cpu, 0.001)
    run = 0
    if workload.runs is not None:
        run = [run for run, _ in _runs(workload, hours)][number]
        given.age = {}
    name = f"{workload.beside or workload.name}-{given.generation}-{run or number}"
    age = given.age.get(number, 0.0)
    pod = Pod(name, run, cpu, memory, memory)
    started = age + step * np.arange(len(hours)) < workload.start[1]
    cpu = np.where(started, cpu * workload.start[0], cpu)
    _use_cpu(lived, pod, given, cpu, there)
    need = _need(workload, memory[there].max(), step, age)
    lived.peak = np.inf if workload.answer == "fills" else max(lived.peak, need)
    lived.need = (
        max(lived.need[0], float(np.quantile(cpu[there], 0.95))),
        max(lived.need[1], need),
    )
    _use_memory(lived, pod, workload, given, (memory, there, step, rng, number))
    lived.pods.append(pod)


def _share(workload: Workload, number: int) -> float:
    if not workload.uneven:
        return 1.0
    return workload.uneven[min(number, len(workload.uneven) - 1)]


def _need(workload: Workload, most: float, step: float, age: float) -> float:
    """MiB without which the pod would not have lived through the week."""
    if workload.start[1] > age:
        return max(most, workload.start[0] * most)
    # Foresight restarts a leak at each review.
    return most + workload.leak_per_day * 7 if workload.answer == "leak" else most


def _use_cpu(lived: Lived, pod: Pod, given: Given, cpu: Array, there: np.ndarray) -> None:
    if given.cpu_request is not None:
        lived.above = max(lived.above, float((cpu[there] > given.cpu_request).mean()))
    limit = NODE_CORES if given.cpu_limit is None else given.cpu_limit
    for at in np.flatnonzero(there & (cpu > limit)):
        lived.events.append((pod, int(at), "throttled", 1 - limit / cpu[at]))
    pod.cpu = np.where(there, np.minimum(cpu, limit), np.nan)


def _use_memory(
    lived: Lived,
    pod: Pod,
    workload: Workload,
    given: Given,
    circumstances: tuple[Array, np.ndarray, float, np.random.Generator, int],
) -> None:
    """Walk through the week step by step: what was used, and at which steps it was killed."""
    wanted, there, step, rng, number = circumstances
    limit = min(NODE_MIB if given.memory_limit is None else given.memory_limit, NODE_MIB)
    age, used = given.age.get(number, 0.0), np.full(len(wanted), np.nan)
    firm = used.copy()
    pressed = rng.random(len(wanted)) < step / (workload.pressed_every_days * DAY)
    last = -1000
    for at in np.flatnonzero(there).tolist():
        need = wanted[at] * (workload.start[0] if age < workload.start[1] else 1.0)
        amount = _answer(workload, need, limit, age)
        used[at], age = min(amount, limit), age + step
        firm[at] = min(need, limit) if workload.answer == "cache" else used[at]
        if workload.answer == "leak":
            lived.peak = max(lived.peak, amount)
        killed = amount >= limit
        if killed or (workload.answer == "node" and pressed[at]):
            value = given.memory_limit if given.memory_limit is not None else np.nan
            lived.events.append((pod, int(at), "oom_kill", value))
            # The kubelet backs off: a pod that cannot live dies a few times a day, not always.
            lived.kills += killed and (at - last) * step >= 6.0
            last = at
            if workload.answer != "child":
                lived.events.append((pod, int(at), "restart", np.nan))
                age = 0.0
    given.age[number] = age
    pod.memory, pod.firm = used, firm


def _answer(workload: Workload, need: float, limit: float, age: float) -> float:
    """What a pod holds `age` hours after its start; at its limit or above it is killed."""
    match workload.answer:
        case "cache":
            return max(need, min(CACHE_SHARE * limit, need + limit * age / (2 * DAY)))
        case "heap":
            return need + max(0.0, HEAP_SHARE * limit - need) * (1 - math.exp(-age / DAY))
        case "fills":
            return need + limit * age / workload.fills_in_hours
        case "leak":
            return need + workload.leak_per_day * age / DAY
        case _:
            return need
