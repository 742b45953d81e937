"""Specs: how a container was set up over time, read from the rows of the specs table."""

from __future__ import annotations

import json
import math
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pandas as pd

from analyzer.errors import RecordingError
from analyzer.quantity import Cpu, Memory, Resources
from analyzer.tables import NAMES
from analyzer.workload import ContainerRef


@dataclass(frozen=True, slots=True)
class Spot:
    """One value of an object in the cluster: which object, and the JSON pointer of the value.

    `quoted` says that the object has the number as text.
    """

    api_version: str
    kind: str
    name: str
    pointer: str
    quoted: bool = False


@dataclass(frozen=True, slots=True)
class Utilisation:
    """One target of a HorizontalPodAutoscaler: so many percent of what is requested.

    `container` is the one that is looked at, None for all of the pod together. `place` says where
    the target stands in Git, and `spot` where it arrives; `place` is empty where none can be
    edited, and `problem` says why.
    """

    resource: str
    percent: float
    container: str | None = None
    place: str = ""
    problem: str = ""
    spot: Spot | None = None

    def counts(self, container: str) -> bool:
        """Whether the requests of that container are part of what the target is a share of."""
        return self.container in (None, container)


@dataclass(frozen=True, slots=True)
class Hpa:
    """A HorizontalPodAutoscaler that scales a workload, with its targets of utilisation."""

    name: str
    min_replicas: int | None = None
    max_replicas: int | None = None
    targets: tuple[Utilisation, ...] = ()

    @property
    def is_fixed(self) -> bool:
        """Whether it can add and remove no pod, as its least and its most are one number."""
        return self.min_replicas is not None and self.min_replicas == self.max_replicas

    def target_of(self, resource: str, container: str) -> Utilisation | None:
        """The first target that a container's request of a resource is part of, if any."""
        counting = (t for t in self.targets if t.resource == resource and t.counts(container))
        return next(counting, None)


@dataclass(frozen=True, slots=True)
class Spec:
    """How a container was set up during one period."""

    container_type: str = "app"
    replicas: int | None = None
    resources: Resources = field(default_factory=Resources)
    image: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    hpa: Hpa | None = None
    vpa: str | None = None
    """The update mode of a VerticalPodAutoscaler on its workload, in the words of Kubernetes."""
    first_seen: datetime | None = None
    last_seen: datetime | None = None
    exit_reason: str | None = None
    """Why it ended last, in the words of Kubernetes: ``OOMKilled``, ``Error``, ``Completed``."""
    suspended: bool = False
    """Its CronJob starts no runs."""
    deadline: timedelta | None = None
    """After so long its Jobs are ended."""
    pod_resources: Resources = field(default_factory=Resources)
    """What is declared for its pod as a whole."""


def period(spec: Spec) -> tuple[float, float]:
    """By what specs of one container are sorted: the one that holds now comes last."""
    return (
        spec.last_seen.timestamp() if spec.last_seen else math.inf,
        spec.first_seen.timestamp() if spec.first_seen else -math.inf,
    )


def read_specs(frame: pd.DataFrame, cluster: str) -> Iterator[tuple[ContainerRef, Spec]]:
    """The rows of a specs table, each with the container that it is of.

    Raises `RecordingError` naming the container whose labels, annotations or HPA are garbled.
    """
    for row in frame.to_dict("records"):
        ref = ContainerRef(cluster, *(str(row[name]) for name in NAMES))
        yield ref, _read_spec(row, ref)


def _read_spec(row: Mapping[Hashable, Any], ref: ContainerRef) -> Spec:
    return Spec(
        container_type=str(row["container_type"]),
        replicas=_whole(row["replicas"]),
        resources=_resources(row),
        image=None if _missing(row["image"]) else str(row["image"]),
        labels=_mapping(row["labels"], ref, "labels"),
        annotations=_mapping(row["annotations"], ref, "annotations"),
        hpa=_hpa(row["hpa"], ref),
        vpa=None if _missing(row["vpa"]) else str(row["vpa"]),
        first_seen=_moment(row["first_seen"]),
        last_seen=_moment(row["last_seen"]),
        exit_reason=None if _missing(row["exit_reason"]) else str(row["exit_reason"]),
        suspended=row["suspended"] == 1,
        deadline=_length(row["deadline_seconds"]),
        pod_resources=_resources(row, "pod_"),
    )


def _length(seconds: Any) -> timedelta | None:
    """A length of time; None for what Kubernetes takes for none."""
    known = not _missing(seconds) and 0 < seconds < 2**31
    return timedelta(seconds=float(seconds)) if known else None


def _resources(row: Mapping[Hashable, Any], prefix: str = "") -> Resources:
    return Resources(
        cpu_request=_cpu(row[f"{prefix}cpu_request_cores"]),
        cpu_limit=_cpu(row[f"{prefix}cpu_limit_cores"]),
        memory_request=_memory(row[f"{prefix}memory_request_bytes"]),
        memory_limit=_memory(row[f"{prefix}memory_limit_bytes"]),
    )


def _missing(value: Any) -> bool:
    return value is None or value is pd.NaT or (isinstance(value, float) and math.isnan(value))


def _whole(value: Any) -> int | None:
    return None if _missing(value) else int(value)


def _cpu(value: Any) -> Cpu | None:
    return None if _missing(value) else Cpu.from_cores(float(value))


def _memory(value: Any) -> Memory | None:
    return None if _missing(value) else Memory.from_bytes(float(value))


def _moment(value: Any) -> datetime | None:
    return None if _missing(value) else pd.Timestamp(value).to_pydatetime()


def _decode(text: Any, ref: ContainerRef, column: str) -> dict[str, Any]:
    if _missing(text) or text == "":
        return {}
    try:
        value = json.loads(text)
    except (TypeError, ValueError) as error:
        raise RecordingError(f"specs column {column} of {ref} is not JSON: {error}") from error
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise RecordingError(f"specs column {column} of {ref} is not a JSON object")
    return value


def _mapping(text: Any, ref: ContainerRef, column: str) -> dict[str, str]:
    return {str(key): str(value) for key, value in _decode(text, ref, column).items()}


class HpaMetric(msgspec.Struct, omit_defaults=True):
    """One metric that an HPA scales on, as the specs table spells it."""

    value: float
    resource: str = ""
    type: str = "Utilization"
    container: str = ""


class HpaText(msgspec.Struct):
    """The JSON of an HPA in the specs table."""

    name: str = ""
    min: int | None = None
    max: int | None = None
    metrics: list[HpaMetric] = []


def read_hpa(text: Any, where: str) -> HpaText | None:
    """The HPA of a specs row, None where it has none. Raises `RecordingError` naming `where`."""
    if _missing(text) or text in ("", "null", "{}"):
        return None
    try:
        return msgspec.json.decode(text, type=HpaText)
    except (msgspec.DecodeError, TypeError, ValueError) as error:
        raise RecordingError(f"specs column hpa of {where}: {error}") from error


def _hpa(text: Any, ref: ContainerRef) -> Hpa | None:
    value = read_hpa(text, str(ref))
    if value is None:
        return None
    targets = tuple(
        Utilisation(metric.resource, metric.value, metric.container or None)
        for metric in value.metrics
        if metric.type == "Utilization" and metric.resource
    )
    return Hpa(value.name, value.min, value.max, targets)
