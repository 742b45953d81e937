"""Small things to test with: tables, histories, demand, recommendations and reports."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd

from analyzer.evidence import Evidence, Quantiles
from analyzer.history import Histories, Skipped, build_histories
from analyzer.models.demand import RESOURCES, RISKS, Demand, Step
from analyzer.quantity import Cpu, Memory, Resources
from analyzer.recommend import TARGETS, Recommendation
from analyzer.report import Report
from analyzer.tables import validate_events, validate_specs
from analyzer.usage import Meta, Recording, Usage
from analyzer.workload import ContainerRef

START = datetime(2026, 11, 2, tzinfo=UTC)
STEP = timedelta(minutes=5)
MIB = 1024**2


def meta(days: float = 14, nodes: tuple[dict[str, Any], ...] = ()) -> Meta:
    """A window of so many days."""
    return Meta("lab", START, START + timedelta(days=days), STEP, nodes=nodes)


def names(container: str = "app", workload: str = "web") -> dict[str, str]:
    """The four columns that name a container."""
    return {
        "namespace": "shop",
        "workload_kind": "Deployment",
        "workload": workload,
        "container": container,
    }


def ref(container: str = "app", workload: str = "web", kind: str = "Deployment") -> ContainerRef:
    """The reference of `names`."""
    return ContainerRef("lab", "shop", kind, workload, container)


def steady(
    days: float = 14, cpu: Any = 0.1, memory: Any = 100 * MIB, **columns: Any
) -> pd.DataFrame:
    """A usage table of one pod that always uses the same, or what an array says."""
    steps = round(timedelta(days=days) / STEP)
    return pd.DataFrame(
        {
            **names(),
            "pod": "web-1",
            "timestamp": [START + (k + 1) * STEP for k in range(steps)],
            "cpu_cores": cpu,
            "memory_bytes": memory,
            **columns,
        }
    )


def histories(
    usage: pd.DataFrame | None = None,
    specs: list[dict[str, Any]] | None = None,
    events: list[dict[str, Any]] | None = None,
    window: Meta | None = None,
) -> Histories:
    """Histories of a usage table with specs and events given as rows."""
    window = window or meta()
    tables: dict[str, pd.DataFrame] = {}
    if specs is not None:
        tables["specs"] = validate_specs(pd.DataFrame(specs))
    if events is not None:
        tables["events"] = validate_events(pd.DataFrame(events))
    frame = steady() if usage is None else usage
    return build_histories(Recording(window, Usage.from_frame(frame, window), **tables))


def demand(
    of: Histories,
    cpu: float = 0.1,
    memory: float = 100 * MIB,
    *,
    rare_memory: float | None = None,
    reasons: Mapping[str, str] = {},
) -> Demand:
    """A demand that is the same at every risk, but for `rare_memory` at risks of 3 % and less.

    `reasons` makes a resource unknown.
    """
    count = len(of)
    rare = memory if rare_memory is None else rare_memory
    values = {"cpu": np.full(len(RISKS), cpu), "memory": np.where(RISKS > 0.03, memory, rare)}
    return Demand(
        model="flat",
        horizon=timedelta(days=7),
        levels={
            r: np.tile(np.full(len(RISKS), np.nan) if r in reasons else values[r], (count, 1))
            for r in RESOURCES
        },
        trails={r: ((Step("flat", "", "", "for the test"),),) * count for r in RESOURCES},
        reasons={r: dict.fromkeys(range(count), reasons[r]) for r in RESOURCES if r in reasons},
        findings=dict.fromkeys(RESOURCES, ("steady",) * count),
        confidence=np.ones(count),
    )


def recommendation(
    current: Resources,
    proposed: Resources,
    *,
    of: ContainerRef | None = None,
    container_type: str = "app",
    replicas: int = 1,
) -> Recommendation:
    """A recommendation with round numbers for evidence."""
    return Recommendation(
        ref=of or ref(),
        container_type=container_type,
        replicas=replicas,
        current=current,
        proposed=proposed,
        trail={target: (Step("demand", "", "100m", "for the test"),) for target in TARGETS},
        stated_risk=dict.fromkeys(TARGETS, 0.05),
        findings={"cpu": "steady", "memory": "steady"},
        confidence=0.9,
        evidence=Evidence(
            cpu=Quantiles(0.05, 0.1, 0.2, 0.3),
            memory=Quantiles(90 * MIB, 95 * MIB, 99 * MIB, 100 * MIB),
            samples=4032,
            pods=1,
            days=14.0,
            coverage=1.0,
            last_seen=START + timedelta(days=14),
        ),
    )


def report(*recommendations: Recommendation, skipped: tuple[Skipped, ...] = ()) -> Report:
    """A report of these recommendations."""
    return Report(
        meta=meta(),
        model="flat",
        horizon=timedelta(days=7),
        recommendations=recommendations,
        skipped=skipped,
        version="0",
    )


def resources(
    cpu: str | None = None,
    memory: str | None = None,
    cpu_limit: str | None = None,
    memory_limit: str | None = None,
) -> Resources:
    """Requests and limits from their text."""
    return Resources(
        cpu_request=None if cpu is None else Cpu.parse(cpu),
        cpu_limit=None if cpu_limit is None else Cpu.parse(cpu_limit),
        memory_request=None if memory is None else Memory.parse(memory),
        memory_limit=None if memory_limit is None else Memory.parse(memory_limit),
    )
