"""What the last run of each cluster found, and where clusters differ on the same container."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal

import msgspec
import pandas as pd

from analyzer.errors import OutputError
from analyzer.escape import json_text
from analyzer.models.demand import RESOURCES, Resource
from analyzer.placement import Packing
from analyzer.quantity import Cpu, Memory
from analyzer.report import SCHEMA, Report, load_report, tally

Standing = Literal["done", "partial", "failed"]
APART = 2.0
"""Requests of one container that differ by this factor between clusters are worth a look."""
_KEY = ["namespace", "kind", "workload", "container"]
_OLD = timedelta(days=10)
"""A run that is older says nothing of today: weekly ones and some days."""
_WEIGHT = {"cpu": 1.0, "memory": 1 / (4 * 2**30)}
"""A core counts like 4 GiB, as on most nodes."""


@dataclass(frozen=True)
class Nodes:
    """The nodes of a cluster: how many, and how few would hold all pods now and as proposed.

    Money is per month; None where no prices are set.
    """

    count: int
    needed_now: int
    needed_after: int
    freed: float | None = None
    saved: float | None = None


@dataclass(frozen=True)
class ClusterState:
    """One cluster as its last run left it, in `folder` beside the report of all.

    A cluster that `failed` is told by an earlier run, of `created`, or by none at all. Requests are
    sums over all replicas, now and proposed, in millicores and bytes.
    """

    name: str
    standing: Standing
    problem: str = ""
    folder: str = ""
    created: datetime | None = None
    counts: str = ""
    containers: int = 0
    changed: int = 0
    requests: Mapping[Resource, tuple[int, int]] = field(default_factory=dict)
    nodes: Nodes | None = None
    verdict: str = ""
    weight: float = 0.0
    """How large its changes are, as cores; 4 GiB count like a core."""
    page: bool = False
    """Whether its run left a page to open."""


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A container that several clusters have, and whose proposed requests lie far apart."""

    namespace: str
    kind: str
    workload: str
    container: str
    resource: Resource
    clusters: int
    lowest: str
    lowest_amount: str
    highest: str
    highest_amount: str
    factor: float


@dataclass(frozen=True)
class Fleet:
    """All clusters, those with the largest changes first."""

    clusters: tuple[ClusterState, ...]
    differences: tuple[Difference, ...] = ()
    created: datetime | None = None
    version: str = ""
    schema: str = SCHEMA

    @property
    def failed(self) -> tuple[ClusterState, ...]:
        """Clusters whose last run did not end well."""
        return tuple(c for c in self.clusters if c.standing == "failed")

    @property
    def requests(self) -> dict[Resource, tuple[int, int]]:
        """Sums over all clusters that were read, as in `ClusterState`."""
        known = [c.requests for c in self.clusters if c.requests]
        return {
            resource: (sum(r[resource][0] for r in known), sum(r[resource][1] for r in known))
            for resource in RESOURCES
        }

    @property
    def saved(self) -> float | None:
        """Money of a month that nodes cost which need not be there; None without any prices."""
        known = [c.nodes.saved for c in self.clusters if c.nodes and c.nodes.saved is not None]
        return sum(known) if known else None


@dataclass(frozen=True)
class Gathered:
    """A fleet, and every recommendation of it as rows of `Report.to_frame`."""

    fleet: Fleet
    rows: pd.DataFrame


def gather(
    output: Path, names: Sequence[str], problems: Mapping[str, str], created: datetime, version: str
) -> Gathered:
    """Read what the runs below `output` left; `problems` says which failed just now, and why."""
    states, frames = [], []
    for name in names:
        report, unread = _last_run(output / name)
        problem = problems.get(name) or unread or _aged(report, created)
        states.append(_state(name, report, problem, output / name))
        if report is not None:
            frames.append(report.to_frame().assign(cluster=name))
    states.sort(key=lambda state: (-state.weight, state.name))
    filled = [frame for frame in frames if len(frame)]
    rows = pd.concat(filled, ignore_index=True) if filled else pd.DataFrame()
    fleet = Fleet(tuple(states), tuple(differences(rows)), created, version)
    return Gathered(fleet, rows)


def _last_run(folder: Path) -> tuple[Report | None, str]:
    try:
        return load_report(folder), ""
    except OutputError as error:
        return None, str(error)


def _aged(report: Report | None, now: datetime) -> str:
    """What is wrong where nothing has come of a cluster for long; empty where nothing is."""
    if report is None or report.created is None or report.created >= now - _OLD:
        return ""
    return f"no run has ended well for {(now - report.created).days} days; see its job"


def _state(name: str, report: Report | None, problem: str, folder: Path) -> ClusterState:
    if report is None:
        return ClusterState(name, "failed", problem)
    partial = bool(report.meta.warnings or report.warnings)
    standing: Standing = "failed" if problem else "partial" if partial else "done"
    return ClusterState(
        name,
        standing,
        problem or next(iter((*report.meta.warnings, *report.warnings)), ""),
        folder.name,
        report.created,
        tally(report.recommendations, report.skipped),
        len(report.recommendations) + len(report.skipped),
        len(report.changed),
        {resource: report.totals[f"{resource}_request"] for resource in RESOURCES},
        _nodes(report.packing),
        report.verdict,
        sum(r.weight for r in report.recommendations),
        (folder / "index.html").is_file(),
    )


def _nodes(packing: Packing | None) -> Nodes | None:
    if packing is None or not packing.groups:
        return None
    groups = packing.groups
    return Nodes(
        sum(group.nodes for group in groups),
        sum(group.needed_now for group in groups),
        sum(group.needed_after for group in groups),
        _sum([group.freed for group in groups]),
        _sum([group.saved for group in groups]),
    )


def _sum(amounts: Collection[float | None]) -> float | None:
    known = [amount for amount in amounts if amount is not None]
    return sum(known) if known else None


def differences(rows: pd.DataFrame) -> Iterator[Difference]:
    """Containers of several clusters whose proposed requests lie far apart, the widest first.

    The same container is one of the same namespace, kind, workload and name. `rows` are those of
    `Report.to_frame`, of all clusters; where one runs it with two pods and another with twenty,
    it is the request of a single pod that is compared.
    """
    if rows.empty:
        return
    found = [one for resource in RESOURCES for one in _apart(rows, resource)]
    yield from (one for _, one in sorted(found, key=lambda item: -item[0]))


def _apart(rows: pd.DataFrame, resource: Resource) -> Iterator[tuple[float, Difference]]:
    """What differs in the request of `resource`, with the distance as cores."""
    name = f"{resource}_request_proposed"
    asked = rows[rows[name] > 0]
    groups = asked.groupby(_KEY, sort=True)
    ends = groups[name].agg(["min", "max", "idxmin", "idxmax"])
    ends["clusters"] = groups["cluster"].nunique()
    wide = ends[(ends["clusters"] > 1) & (ends["min"] * APART <= ends["max"])]
    for low, high, clusters in zip(wide["idxmin"], wide["idxmax"], wide["clusters"], strict=True):
        yield _difference(asked.loc[low], asked.loc[high], int(clusters), resource)


def _difference(
    low: pd.Series, high: pd.Series, clusters: int, resource: Resource
) -> tuple[float, Difference]:
    least, most = (float(row[f"{resource}_request_proposed"]) for row in (low, high))
    names = {key: str(low[key]) for key in _KEY}
    found = Difference(
        **names,
        resource=resource,
        clusters=clusters,
        lowest=str(low["cluster"]),
        lowest_amount=_amount(resource, least),
        highest=str(high["cluster"]),
        highest_amount=_amount(resource, most),
        factor=round(most / least, 2),
    )
    return (most - least) * _WEIGHT[resource], found


def _amount(resource: Resource, value: float) -> str:
    return str(Cpu.from_cores(value) if resource == "cpu" else Memory.from_bytes(value))


def dump_fleet(fleet: Fleet) -> bytes:
    """`fleet` as indented JSON."""
    shown = msgspec.json.format(msgspec.json.encode(fleet), indent=1).decode()
    return json_text(shown + "\n").encode()
