"""How containers start, change in place and end, as the description of their pod says.

Probes end a start that takes too long, a resize policy says what a change in place costs, and a
deadline ends a run. What is garbled or beyond Kubernetes' own rules counts as not said.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, TypeGuard

PERIOD, FAILURES = 10, 3
"""Seconds between two looks of a probe, and failures until it acts, where none is said."""
_RESTARTS = "RestartContainer"
_DEADLINE = "activeDeadlineSeconds"
_PROBES = ("startupProbe", "livenessProbe")
FIELDS = (*_PROBES, "resizePolicy", _DEADLINE)
"""The fields of an object that are read here."""


@dataclass(frozen=True, slots=True)
class Probe:
    """What ends a start that takes longer than `patience`, by its name in a manifest."""

    name: str
    patience: timedelta


@dataclass(frozen=True, slots=True)
class Container:
    """One container: what of it restarts where it changes in place, and what its start may take."""

    restarts: tuple[str, ...] = ()
    """Resources (cpu, memory) whose change in place restarts it; of the others none does."""
    probe: Probe | None = None
    """None where no probe ends a start."""


@dataclass(frozen=True, slots=True)
class Lifecycle:
    """The containers of a pod by name, and what bounds a run of a Job."""

    containers: Mapping[str, Container] = field(default_factory=dict)
    deadline: timedelta | None = None
    """A run that takes longer is ended, all its pods at once."""
    pods_end: bool = False
    """Whether each pod has a deadline of its own, which some quotas look at."""


def lifecycle_of(described: object, pod: object) -> Lifecycle:
    """The lifecycle of a workload's pods, by the object and by the `pod` (`spec`) in it.

    The deadline of a Job, or of what a CronJob makes, lies with the object; a pod may have its own.
    """
    job = _mapping(_mapping(described).get("spec"))
    job = _mapping(_mapping(job.get("jobTemplate")).get("spec")) or job
    spec = _mapping(pod)
    deadlines = [job.get(_DEADLINE), spec.get(_DEADLINE)]
    seconds = [value for value in deadlines if _is_count(value)]
    return Lifecycle(
        containers=dict(_containers(spec)),
        deadline=timedelta(seconds=min(seconds)) if seconds else None,
        pods_end=_is_count(spec.get(_DEADLINE)),
    )


def _containers(pod: Mapping[str, Any]) -> Iterator[tuple[str, Container]]:
    for group in ("initContainers", "containers"):
        rows = pod.get(group)
        for row in rows if isinstance(rows, list) else ():
            one = _mapping(row)
            if isinstance(one.get("name"), str):
                yield one["name"], Container(tuple(_restarts(one)), _probe(one))


def _restarts(container: Mapping[str, Any]) -> Iterator[str]:
    rows = container.get("resizePolicy")
    for row in rows if isinstance(rows, list) else ():
        one = _mapping(row)
        if one.get("restartPolicy") == _RESTARTS and one.get("resourceName") in ("cpu", "memory"):
            yield str(one["resourceName"])


def _probe(container: Mapping[str, Any]) -> Probe | None:
    """The probe that counts while it starts: the liveness probe only where no other one waits."""
    for name in _PROBES:
        probe = _mapping(container.get(name))
        if probe:
            delay, period, failures = (
                probe.get(key, default)
                for key, default in (
                    ("initialDelaySeconds", 0),
                    ("periodSeconds", PERIOD),
                    ("failureThreshold", FAILURES),
                )
            )
            if not (_is_count(period) and _is_count(failures)):
                return None
            # The first look is due with the delay, and the last failure acts at once: one period
            # less than periods times failures, which is what is commonly counted.
            seconds = (delay if _is_count(delay) else 0) + period * (failures - 1)
            return Probe(name, timedelta(seconds=max(1, seconds)))
    return None


def _is_count(value: object) -> TypeGuard[int]:
    """Whether it is a whole number that Kubernetes takes for a length or a count above nought."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value < 2**31


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
