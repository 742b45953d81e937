"""JSON Schemas of what is written for programs: run.json, fleet.json, and every ``-o json``.

All carry the version `SCHEMA`; within one version fields are only added, so that who reads must
pass over what it does not know.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypedDict

import msgspec

from analyzer.check import Check
from analyzer.config import json_schema
from analyzer.fitness import Judgement
from analyzer.fleet.state import Fleet
from analyzer.history import Skipped
from analyzer.ledger.outcome import Outcome
from analyzer.ledger.story import Episode
from analyzer.placement import GroupUse, NodeUse, Unplaced
from analyzer.quantity import Cpu, Memory
from analyzer.recommend import Recommendation
from analyzer.report import SCHEMA, Report

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_TEXT = {"type": "string"}
_TEXTS = {"type": "array", "items": _TEXT}
_NUMBER = {"type": "number"}


class PlaceRow(TypedDict):
    """A place in a repository that declares resources, or could."""

    file: str
    document: int
    path: str
    in_block_scalar: bool
    namespace: str | None
    owner_kind: str
    owner: str
    release: str | None
    chart: str | None
    chart_version: str | None
    container: str | None
    cpu_request: str | None
    memory_request: str | None
    cpu_limit: str | None
    memory_limit: str | None
    present: bool
    reachable: bool | None
    editable: bool
    reason: str | None


class FindingRow(TypedDict):
    """Something that looks wrong at a place."""

    kind: str
    file: str
    path: str
    message: str


class TraceRow(TypedDict):
    """Where Git declares one container of the cluster, or why nowhere."""

    container: str
    cluster: str
    file: str | None
    document: int | None
    path: str | None
    confidence: str | None
    reason: str
    editable: bool | None


class ScoreRow(TypedDict):
    """How one model would have done at one of its settings; null where nothing can be told."""

    model: str
    resource: str
    setting: str | None
    stated_risk: float | None
    margin: float | None
    container_weeks: int
    overrun_week_share: float | None
    overrun_sample_share: float | None
    overrun_use_share: float | None
    footprint_to_usage: float | None
    footprint_to_oracle: float | None
    footprint_geometric: float | None
    changes_per_week: float | None
    reversals_per_week: float | None


class SettingRow(TypedDict):
    """The value of one setting, and where it comes from."""

    value: Any
    origin: str


def schemas() -> dict[str, dict[str, Any]]:
    """Every schema by its name: ``run``, ``fleet`` and ``settings`` are files, others commands."""
    return {name: {"$schema": _DIALECT, "title": name} | make() for name, make in _MADE.items()}


def _run() -> dict[str, Any]:
    schema: dict[str, Any] = msgspec.json.schema(Report, schema_hook=_amount)
    return schema


def _fleet() -> dict[str, Any]:
    schema: dict[str, Any] = msgspec.json.schema(Fleet)
    return schema


def _recommend() -> dict[str, Any]:
    (recommendation, skipped), defs = _parts(Recommendation, Skipped)
    changed = {"properties": {"changed": {"type": "boolean"}}, "required": ["changed"]}
    properties = {
        "cluster": _TEXT,
        "model": _TEXT,
        "warnings": _TEXTS,
        "notices": _TEXTS,
        "recommendations": _rows({"allOf": [recommendation, changed]}),
        "skipped": _rows(skipped),
    }
    return _answer(properties, defs)


def _nodes() -> dict[str, Any]:
    (node, group, without), defs = _parts(NodeUse, GroupUse, Unplaced)
    properties = {
        "cluster": _TEXT,
        "nodes": _rows(node),
        "groups": _rows(group),
        "unplaced": _rows(without),
        **{name: {"type": "integer"} for name in ("unknown", "spare")},
    }
    return _answer(properties, defs)


def _doctor() -> dict[str, Any]:
    (check,), defs = _parts(Check)
    return _answer({"findings": _rows(check)}, defs)


def _index() -> dict[str, Any]:
    (place, finding), defs = _parts(PlaceRow, FindingRow)
    return _answer({"places": _rows(place), "findings": _rows(finding)}, defs)


def _trace() -> dict[str, Any]:
    (trace, finding), defs = _parts(TraceRow, FindingRow)
    return _answer({"traces": _rows(trace), "findings": _rows(finding)}, defs)


def _check() -> dict[str, Any]:
    (judgement,), defs = _parts(Judgement)
    return _answer({"changed": _rows(judgement)}, defs)


def _backtest() -> dict[str, Any]:
    (score,), defs = _parts(ScoreRow)
    head = dict.fromkeys(("train_days", "horizon_days"), _NUMBER)
    properties = {**head, "reviews": {"type": "integer"}, "results": _rows(score)}
    return _answer(properties, defs)


def _config() -> dict[str, Any]:
    (setting,), defs = _parts(SettingRow)
    return _answer({"settings": {"type": "object", "additionalProperties": setting}}, defs)


def _history() -> dict[str, Any]:
    (episode, outcome), defs = _parts(Episode, Outcome)
    properties = {
        "reviews": {"type": "integer"},
        "proposals": _rows(episode),
        "outcomes": _rows(outcome),
    }
    return _answer(properties, defs)


_MADE: Mapping[str, Callable[[], dict[str, Any]]] = {
    "run": _run,
    "fleet": _fleet,
    "settings": json_schema,
    "recommend": _recommend,
    "nodes": _nodes,
    "doctor": _doctor,
    "index": _index,
    "trace": _trace,
    "check": _check,
    "backtest": _backtest,
    "config": _config,
    "history": _history,
}


def _amount(kind: type) -> dict[str, Any]:
    if kind in (Cpu, Memory):
        return {"type": "string", "description": "an amount in Kubernetes' notation"}
    raise NotImplementedError(kind.__name__)


def _parts(*kinds: type) -> tuple[tuple[dict[str, Any], ...], dict[str, Any]]:
    return msgspec.json.schema_components(kinds, schema_hook=_amount, ref_template="#/$defs/{name}")


def _rows(item: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": dict(item)}


def _answer(properties: Mapping[str, Any], defs: Mapping[str, Any]) -> dict[str, Any]:
    """One object with its version, and everything that it always holds."""
    version = {"schema": {"const": SCHEMA}}
    return {
        "type": "object",
        "properties": {**version, **properties},
        "required": ["schema", *properties],
        "$defs": dict(defs),
    }
