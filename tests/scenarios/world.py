"""Scenarios: a small world, a policy, and the decision that is expected of it, with the reason.

Every scenario has a namespace of its own, so that all that agree on the nodes are learnt, decided
and checked in one run of what ships.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from analyzer.gitops.index.runtime_setting import runtime_settings
from analyzer.gitops.reach.objects import Object
from analyzer.gitops.reach.route import Arrival, Route
from analyzer.gitops.reach.runtimes import memory_floors
from analyzer.gitops.text.address import Address
from analyzer.gitops.text.tree import parse
from analyzer.history import Histories, build_histories
from analyzer.landing import bounds_of
from analyzer.pipeline.method import Method
from analyzer.pipeline.review import review
from analyzer.policy import Policies, Rule
from analyzer.presets import PROTECTED, Protected
from analyzer.quantity import TARGETS, Memory, Quantity, Resources, TargetName, parse_quantity
from analyzer.recommend import Bound, Recommendation
from analyzer.recommend.case import RuntimeSetting
from analyzer.report import Report
from analyzer.scheduling import scheduling_of_template
from analyzer.surroundings import Told, surround
from analyzer.tables import NAMES, validate_events, validate_pods, validate_specs, validate_usage
from analyzer.usage import Meta, Recording, Usage
from analyzer.workload import ContainerRef

Array = npt.NDArray[np.float64]
Shape = Callable[[Array], Array]
"""A level over time, given the days since the start of the window."""

START = datetime(2026, 11, 2, tzinfo=UTC)
STEP = timedelta(minutes=15)
DAYS = 21
MIB = 1024**2
NODES = tuple(
    {"name": f"n{k}", "cpu_allocatable_cores": 8.0, "memory_allocatable_bytes": 32 * 1024 * MIB}
    for k in range(60)
)
"""Nodes of 8 cores and 32Gi, unless a scenario has others: room for all of them together."""


@dataclass(frozen=True, kw_only=True)
class Box:
    """A container: what it uses (cores, MiB) and what it declares (as manifests spell it)."""

    cpu: float | Shape = 0.1
    memory: float | Shape = 200.0
    cpu_request: str | None = "500m"
    cpu_limit: str | None = None
    memory_request: str | None = "1Gi"
    memory_limit: str | None = "2Gi"
    name: str = "app"
    workload: str = "web"
    kind: str = "Deployment"
    type: str = "app"
    replicas: int = 1
    like: Sequence[float] = (1.0,)
    """How many times the level each of its pods uses."""
    days: float = DAYS
    """Since so many days there is usage of it."""
    runs: float = 0.0
    """Where it runs once a day: for so many hours, in a pod of its own each time."""
    starts: bool = True
    kills: Sequence[tuple[float, str]] = ()
    """OOM kills: the day, and the limit that was hit."""
    throttled: float = 0.0
    image_changed: float | None = None
    more: Mapping[str, Any] = field(default_factory=dict)
    """Further columns of the specs table."""
    target_in_git: bool = True
    """Whether Git has the target of its autoscaler where it can be edited."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """The rest of its manifest, as Git has it."""
    pod: Mapping[str, Any] = field(default_factory=dict)
    """What the metrics tell of its pods, by column of the pods table."""
    asks: Mapping[str, Any] | None = None
    """The description of its pods (`spec`), where a manifest is known, labelled `app: WORKLOAD`."""
    object: Mapping[str, Any] = field(default_factory=dict)
    """What the object that makes the pods says beside their template, such as a deadline."""


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """One row of the table: `given` says in words what the world is.

    `expect` has per target (``cpu_request``, or ``sidecar cpu_request`` for a container that is
    not the first) what is decided: ``falls``, ``rises``, ``stays``, ``removed``, an amount, or
    ``<=`` or ``>=`` and an amount; then, behind a colon, the code that has to be in the trail.
    ``skipped``, ``note`` and ``unplaced`` take a pattern of the reason, ``with it`` one of what
    changes in Git along with the amounts.
    """

    name: str
    given: str
    boxes: Sequence[Box]
    expect: Mapping[str, str]
    why: str
    policy: Mapping[str, Any] = field(default_factory=dict)
    protect: Sequence[Protected] = ()
    limit_range: Mapping[str, float] = field(default_factory=dict)
    """By ``cpu max`` or ``pod memory min``: cores, MiB or a ratio."""
    quota: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """By resource, what is allowed and what is used: cores or MiB."""
    scopes: Sequence[tuple[str, str, Sequence[str]]] = ()
    """Of the quota: what is looked at, an operator, and values."""
    nodes: Sequence[Mapping[str, Any]] = NODES
    past_nodes: Sequence[Mapping[str, Any]] = ()
    classes: Mapping[str, int] = field(default_factory=dict)
    """Priority classes and their values."""
    budgets: Sequence[Mapping[str, Any]] = ()
    """Rows of PodDisruptionBudgets, without their namespace."""
    declared: Mapping[str, float] = field(default_factory=dict)
    """What the repository says of the same LimitRange, as `limit_range`."""

    @property
    def namespace(self) -> str:
        """Its own namespace."""
        return re.sub("[^a-z0-9]+", "-", self.name.lower()).strip("-")

    def decided(self, target: str) -> tuple[ContainerRef, TargetName]:
        """The container and the amount that an entry of `expect` is about."""
        name, _, amount = target.rpartition(" ")
        box = next(b for b in self.boxes if b.name == name) if name else self.boxes[0]
        return ref_of(self, box), next(known for known in TARGETS if known == amount)


def ref_of(scenario: Scenario, box: Box) -> ContainerRef:
    """The container of a box."""
    return ContainerRef("lab", scenario.namespace, box.kind, box.workload, box.name)


# --- levels over time -------------------------------------------------------------------------


def peaks(low: float, high: float, *, every: float = 1.0, hours: float = 1.0) -> Shape:
    """`low`, and `high` for so many hours every so many days."""
    return lambda days: np.where(days % every < hours / 24, high, low)


def starts(low: float, high: float) -> Shape:
    """`low`, and `high` in the step that begins with the restart two days before the end."""
    return lambda days: np.where((days >= DAYS - 2) & (days < DAYS - 2 + 0.01), high, low)


def grows(start: float, per_day: float) -> Shape:
    """A line upwards."""
    return lambda days: start + per_day * days


def moves(before: float, after: float, day: float) -> Shape:
    """One level until a day, another from then on."""
    return lambda days: np.where(days < day, before, after)


def climbs(low: float, high: float, every: float) -> Shape:
    """From `low` to `high` within so many days, then from the start."""
    return lambda days: low + (high - low) * (days % every) / every


# --- from scenarios to one run ----------------------------------------------------------------


def decide(scenarios: Sequence[Scenario]) -> dict[str, Report]:
    """The report that each scenario is in, by its name.

    One run for all on the common nodes; one each for those with nodes of their own, which would
    else take each other's room.
    """
    common = [scenario for scenario in scenarios if scenario.nodes is NODES]
    groups = [common, *([scenario] for scenario in scenarios if scenario.nodes is not NODES)]
    return {
        scenario.name: report
        for group in filter(None, groups)
        for report in [_run(group)]
        for scenario in group
    }


def _run(scenarios: Sequence[Scenario]) -> Report:
    histories = _with_git(build_histories(recording_of(scenarios)), scenarios)
    histories, _ = surround(histories, _told(scenarios))
    rules = [rule for s in scenarios for rule in _rules(s)]
    method = Method(policies=Policies(rules=tuple(rules)), backtest=False)
    bounds = {
        ref_of(s, box): tuple(found)
        for s in scenarios
        for box in s.boxes
        if (found := _bounds(box))
    }
    return review(histories, method, bounds=bounds).report


def _told(scenarios: Sequence[Scenario]) -> Told:
    """What manifests say of pods, and a repository of LimitRanges."""
    declared = [row for s in scenarios for row in _range_rows(s, s.declared)]
    asked = {
        (s.namespace, box.kind, box.workload): scheduling_of_template(
            {"metadata": {"labels": {"app": box.workload}}, "spec": dict(box.asks)},
            "repository",
            {"spec": dict(box.object)},
        )
        for s in scenarios
        for box in s.boxes
        if box.asks is not None
    }
    return Told(repository={"LimitRange": declared}, scheduling=asked)


def _with_git(histories: Histories, scenarios: Sequence[Scenario]) -> Histories:
    """The histories with where Git has the targets of autoscalers, as a repository would tell."""
    placed = {ref_of(s, box) for s in scenarios for box in s.boxes if box.target_in_git}
    specs = []
    for ref, periods in zip(histories.containers, histories.specs, strict=True):
        *earlier, now = periods
        if now.hpa is not None and ref in placed:
            targets = tuple(replace(t, place="hpa.yaml: spec.metrics") for t in now.hpa.targets)
            now = replace(now, hpa=replace(now.hpa, targets=targets))
        specs.append((*earlier, now))
    return replace(histories, specs=tuple(specs))


def _bounds(box: Box) -> list[Bound]:
    floors = memory_floors(dict(box.settings))
    stated = runtime_settings(_arrival(box), ("spec", "containers", 0), floors)
    settings = {
        s.what: RuntimeSetting(s.name, s.amount, s.size, s.where, s.problem) for s in stated
    }
    return list(bounds_of(floors, resources_of(box), settings))


def _arrival(box: Box) -> Arrival:
    """A manifest of the container, as a repository would hand it to the cluster."""
    pod = {"spec": {"containers": [{"name": box.name, **box.settings}]}}
    node = parse(json.dumps(pod))[0].root
    return Arrival(Object("pod.yaml", Address(0, ()), node, "", "Pod", "web", None), Route("pod"))


def _rules(scenario: Scenario) -> list[Rule]:
    where = scenario.namespace
    protecting = [
        Rule(namespace=where, kind=rule.kind, workload=rule.workload, set=rule.set)
        for name in scenario.protect
        for rule in PROTECTED[name]
        if rule.namespace == "*"
    ]
    own = [Rule(namespace=where, set=dict(scenario.policy))] if scenario.policy else []
    return [*protecting, *own]


def recording_of(scenarios: Sequence[Scenario]) -> Recording:
    """The worlds of scenarios that share their nodes, as a source would read them."""
    meta = Meta(
        "lab",
        START,
        START + timedelta(days=DAYS),
        STEP,
        nodes=tuple(dict(node) for node in scenarios[0].nodes),
        past_nodes=tuple(dict(node) for node in scenarios[0].past_nodes),
        quotas=tuple(row for s in scenarios for row in _quota_rows(s)),
        limit_ranges=tuple(row for s in scenarios for row in _range_rows(s, s.limit_range)),
        budgets=tuple({"namespace": s.namespace, **b} for s in scenarios for b in s.budgets),
        priority_classes=tuple(
            {"name": name, "value": value} for s in scenarios for name, value in s.classes.items()
        ),
    )
    pairs = [(s, box) for s in scenarios for box in s.boxes]
    usage = pd.concat([_usage(*pair) for pair in pairs], ignore_index=True)
    events = [row for pair in pairs for row in _events(*pair)]
    pods = [row for n, pair in enumerate(pairs) for row in _pods(*pair, n)]
    return Recording(
        meta,
        Usage.from_frame(validate_usage(usage), meta),
        specs=validate_specs(pd.DataFrame([_spec(*pair) for pair in pairs])),
        events=validate_events(pd.DataFrame(events, columns=_EVENT_COLUMNS)),
        pods=validate_pods(pd.DataFrame(pods)),
    )


_EVENT_COLUMNS = [*NAMES, "pod", "timestamp", "kind", "value"]
_OWNER = ("workload_kind", "workload")


def _names(scenario: Scenario, box: Box) -> dict[str, str]:
    ref = ref_of(scenario, box)
    return {
        "namespace": ref.namespace,
        "workload_kind": ref.kind,
        "workload": ref.workload,
        "container": ref.container,
    }


def _usage(scenario: Scenario, box: Box) -> pd.DataFrame:
    steps = round(timedelta(days=DAYS) / STEP)
    first = steps - round(timedelta(days=box.days) / STEP)
    days = np.arange(first, steps) / (timedelta(days=1) / STEP)
    tables = []
    for pod, times in enumerate(box.like):
        name = f"{scenario.namespace}/{box.workload}/{box.name}/{pod}"
        noise = np.random.default_rng(zlib.crc32(name.encode()))
        cpu, memory = (
            (level(days) if callable(level) else np.full(len(days), level)) * times
            for level in (box.cpu, box.memory)
        )
        tables.append(
            pd.DataFrame(
                {
                    **_names(scenario, box),
                    "pod": f"{box.workload}-{pod}",
                    "timestamp": [START + (first + k + 1) * STEP for k in range(len(days))],
                    "cpu_cores": cpu * noise.uniform(0.98, 1.02, len(days)),
                    "memory_bytes": memory * MIB * noise.uniform(0.99, 1.0, len(days)),
                }
            )
        )
    found = pd.concat(tables)
    return _daily_runs(found, box) if box.runs else found


def _daily_runs(table: pd.DataFrame, box: Box) -> pd.DataFrame:
    """The first hours of each day alone, in a pod of that day."""
    hours = (table["timestamp"] - START).dt.total_seconds() / 3600
    kept, days = table[hours % 24 < box.runs], (hours // 24)[hours % 24 < box.runs]
    return kept.assign(pod=[f"{box.workload}-{day:.0f}" for day in days])


def resources_of(box: Box) -> Resources:
    """What a box declares, as amounts."""
    declared: dict[str, Any] = {}
    for target in TARGETS:
        text = getattr(box, target)
        if text is not None:
            declared[target] = amount_of(target, text)
    return Resources(**declared)


def amount_of(target: str, text: str) -> Quantity:
    """An amount of `target` from its text."""
    from analyzer.quantity import Cpu

    return Cpu.parse(text) if "cpu" in target else Memory.parse(text)


def _spec(scenario: Scenario, box: Box) -> dict[str, Any]:
    amounts = {
        "cpu_request_cores": box.cpu_request,
        "cpu_limit_cores": box.cpu_limit,
        "memory_request_bytes": box.memory_request,
        "memory_limit_bytes": box.memory_limit,
    }
    return {
        **_names(scenario, box),
        "container_type": box.type,
        "replicas": box.replicas,
        **{k: None if v is None else float(parse_quantity(v)) for k, v in amounts.items()},
        **box.more,
    }


def _events(scenario: Scenario, box: Box) -> list[dict[str, Any]]:
    base = {**_names(scenario, box), "pod": f"{box.workload}-0"}
    end = START + timedelta(days=DAYS)
    events = [
        {**base, "timestamp": START + timedelta(days=day), "kind": kind, "value": value}
        for day, limit in box.kills
        for kind, value in (("oom_kill", float(parse_quantity(limit))), ("restart", np.nan))
    ]
    if box.starts:
        events.append({**base, "timestamp": end - timedelta(days=2), "kind": "restart"})
    if box.image_changed is not None:
        moment = START + timedelta(days=box.image_changed)
        events.append({**base, "timestamp": moment, "kind": "image_change"})
    if box.throttled:
        events += [
            {
                **base,
                "timestamp": end - k * STEP,
                "kind": "throttled",
                "value": 0.5,
            }
            for k in range(round(box.throttled * timedelta(days=box.days) / STEP))
        ]
    return events


def _pods(scenario: Scenario, box: Box, number: int) -> list[dict[str, Any]]:
    """Each pod on a node of its own turn; runs are over at the end."""
    names = _names(scenario, box)
    if box.runs:
        base = {"namespace": scenario.namespace, **{k: names[k] for k in _OWNER}}
        return [
            {
                **base,
                "pod": f"{box.workload}-{day}",
                "started": START + timedelta(days=day),
                "ended": START + timedelta(days=day, hours=box.runs),
            }
            for day in range(DAYS)
        ]
    return [
        {
            "namespace": scenario.namespace,
            "pod": f"{box.workload}-{pod}",
            "workload_kind": names["workload_kind"],
            "workload": names["workload"],
            "node": scenario.nodes[(number + pod) % len(scenario.nodes)]["name"],
            "started": START,
            **{key: _column(value) for key, value in box.pod.items()},
        }
        for pod in range(len(box.like))
    ]


def _column(value: Any) -> Any:
    """Lists and mappings as JSON, as the table has them."""
    return json.dumps(value) if isinstance(value, list | dict) else value


def _range_rows(scenario: Scenario, ranges: Mapping[str, float]) -> list[dict[str, Any]]:
    rows = []
    for what, value in ranges.items():
        *pod, resource, constraint = what.split()
        bytes_ = resource == "memory" and constraint != "maxLimitRequestRatio"
        rows.append(
            {
                "namespace": scenario.namespace,
                "name": "range",
                "type": "Pod" if pod else "Container",
                "resource": resource,
                "constraint": constraint,
                "value": value * MIB if bytes_ else value,
            }
        )
    return rows


def _quota_rows(scenario: Scenario) -> list[dict[str, Any]]:
    scopes = scenario.scopes
    return [
        {
            "namespace": scenario.namespace,
            "name": "team",
            "resource": resource,
            "hard": hard * (MIB if resource.endswith("memory") else 1),
            "used": used * (MIB if resource.endswith("memory") else 1),
            "scopes": [dict(zip(("name", "operator", "values"), s, strict=True)) for s in scopes],
        }
        for resource, (hard, used) in scenario.quota.items()
    ]


# --- what came of it --------------------------------------------------------------------------


def failures(scenario: Scenario, report: Report) -> list[str]:
    """What of the expectations did not come true, in words; empty where all did."""
    found = {r.ref: r for r in report.recommendations}
    skipped = {s.ref: s.reason for s in report.skipped}
    wrong = []
    for target, expected in scenario.expect.items():
        if target == "skipped":
            reason = skipped.get(ref_of(scenario, scenario.boxes[0]), "not skipped")
            wrong += [] if re.search(expected, reason) else [f"skipped: {reason}"]
        elif target == "unplaced":
            packing = report.packing
            told = (
                "; ".join(f"{u.workload}: {u.reason}" for u in packing.unplaced) if packing else ""
            )
            wrong += [] if re.search(expected, told) else [f"unplaced: {told}"]
        elif target == "with it":
            along = "; ".join(
                f"{c.title} {c.change}"
                for b in scenario.boxes
                if (one := found.get(ref_of(scenario, b)))
                for c in one.companions
            )
            along = along or "nothing"
            wrong += [] if re.search(expected, along) else [f"with it: {along}"]
        elif target == "note":
            notes = "; ".join(n for b in scenario.boxes for n in _notes(found, scenario, b))
            wrong += [] if re.search(expected, notes) else [f"notes: {notes}"]
        else:
            ref, amount = scenario.decided(target)
            if ref not in found:
                wrong.append(f"{target}: skipped, {skipped.get(ref)}")
                continue
            wrong += _wrong(found[ref], amount, target, expected)
    return wrong


def _notes(
    found: Mapping[ContainerRef, Recommendation], scenario: Scenario, box: Box
) -> Sequence[str]:
    one = found.get(ref_of(scenario, box))
    return one.notes if one else ()


def _wrong(one: Recommendation, target: TargetName, name: str, expected: str) -> list[str]:
    verdict, _, code = (part.strip() for part in expected.partition(":"))
    now, new = one.current.amount(target), one.proposed.amount(target)
    steps = one.trail.get(target, ())
    told = ", ".join(f"{s.name} {s.before}->{s.after}" for s in steps)
    shown = f"{name}: {now} -> {new} ({told}), expected {expected}"
    if not _as_said(verdict, target, now, new) or (code and code not in {s.name for s in steps}):
        return [shown]
    return []


def _as_said(verdict: str, target: str, now: Quantity | None, new: Quantity | None) -> bool:
    if verdict == "stays":
        return now == new
    if verdict == "removed":
        return now is not None and new is None
    if verdict == "none":
        return now is None and new is None
    if new is None:
        return False
    if verdict == "declared":
        return now is None
    if verdict in ("falls", "rises"):
        return now is not None and (new < now if verdict == "falls" else new > now)
    sign, _, text = verdict.rpartition(" ")
    amount = amount_of(target, text)
    return {"": new == amount, "<=": new <= amount, ">=": new >= amount}[sign]
