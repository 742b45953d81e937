"""``meta.json`` of a recording: what it says of itself, checked field by field."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Required, TypedDict

import msgspec
import orjson

from analyzer.errors import RecordingError, UsageError
from analyzer.shard import Shard, ShardOf, Strangers
from analyzer.usage import MOST, Meta, utc

FORMAT = 1

_Amount = Annotated[float, msgspec.Meta(ge=0, le=MOST)]


class _Node(TypedDict, total=False):
    name: Required[str]
    cpu_allocatable_cores: _Amount
    memory_allocatable_bytes: _Amount
    gpus: _Amount
    labels: dict[str, str]
    taints: list[str]
    roles: list[str]
    allocatable: dict[str, _Amount]
    unschedulable: bool
    first_seen: str
    last_seen: str


class _Scope(TypedDict):
    name: str
    operator: str
    values: list[str]


class _Quota(TypedDict, total=False):
    namespace: Required[str]
    name: Required[str]
    resource: str
    hard: _Amount
    used: _Amount
    scopes: list[_Scope]
    source: str


class _LimitRange(TypedDict, total=False):
    namespace: Required[str]
    name: Required[str]
    type: str
    resource: str
    constraint: str
    value: _Amount
    source: str


class _Budget(TypedDict, total=False):
    namespace: Required[str]
    name: Required[str]
    allowed: _Amount
    expected: _Amount
    healthy: _Amount
    wanted: _Amount
    selector: dict[str, Any]
    source: str


class _PriorityClass(TypedDict, total=False):
    name: Required[str]
    value: Required[float]


class _Strangers(msgspec.Struct):
    since: str
    pods: int
    example: tuple[str, str]
    owned: int = 0


class _Shard(msgspec.Struct):
    index: int
    count: int
    version: str
    known: str
    strangers: list[_Strangers] = []


class _File(msgspec.Struct):
    """The fields of the file; those of later versions are passed over."""

    cluster: str
    start: str
    end: str
    step_seconds: Annotated[float, msgspec.Meta(gt=0, le=366 * 86_400)]
    source: str = ""
    queries: dict[str, str] | list[str] | None = None
    warnings: list[str] | None = None
    nodes: list[_Node] | None = None
    past_nodes: list[_Node] | None = None
    quotas: list[_Quota] | None = None
    limit_ranges: list[_LimitRange] | None = None
    budgets: list[_Budget] | None = None
    priority_classes: list[_PriorityClass] | None = None
    shard: _Shard | None = None


def read_meta(path: Path) -> Meta:
    """Read the file at `path`. Raises `RecordingError` naming the field that is wrong."""
    try:
        data = orjson.loads(path.read_bytes())
    except (OSError, orjson.JSONDecodeError) as error:
        raise RecordingError(f"{path} is not readable JSON: {error}") from error
    if not isinstance(data, dict):
        raise RecordingError(f"{path} must hold a JSON object, found {type(data).__name__}")
    version = data.get("format", data.get("format_version", FORMAT))
    if version != FORMAT:
        raise RecordingError(
            f"{path} has format version {version!r}; this version reads {FORMAT}, "
            "upgrade rightsize or record anew"
        )
    try:
        return _meta(msgspec.convert(data, _File))
    except (RecordingError, UsageError) as error:
        raise RecordingError(f"{path}: {error}") from error
    except (ValueError, OverflowError) as error:
        raise RecordingError(f"{path} lacks or garbles a field: {error}") from error


def _meta(file: _File) -> Meta:
    queries, part = file.queries or [], file.shard
    return Meta(
        cluster=file.cluster,
        start=utc(datetime.fromisoformat(file.start)),
        end=utc(datetime.fromisoformat(file.end)),
        step=timedelta(seconds=file.step_seconds),
        source=file.source,
        queries=tuple(queries.values() if isinstance(queries, dict) else queries),
        warnings=tuple(file.warnings or ()),
        nodes=_plain(file.nodes),
        past_nodes=_plain(file.past_nodes),
        quotas=_plain(file.quotas),
        limit_ranges=_plain(file.limit_ranges),
        budgets=_plain(file.budgets),
        priority_classes=_plain(file.priority_classes),
        shard=None if part is None else _shard(part),
    )


def _shard(part: _Shard) -> ShardOf:
    strangers = tuple(
        Strangers(utc(datetime.fromisoformat(each.since)), each.pods, each.example, each.owned)
        for each in part.strangers
    )
    return ShardOf(Shard(part.index, part.count), part.version, part.known, strangers)


def _plain(rows: Any) -> tuple[dict[str, Any], ...]:
    return tuple(dict(row) for row in rows or ())


def write_meta(meta: Meta, path: Path) -> None:
    """Write what `read_meta` reads back."""
    data = {
        "format": FORMAT,
        "cluster": meta.cluster,
        "start": meta.start.isoformat(),
        "end": meta.end.isoformat(),
        "step_seconds": meta.step.total_seconds(),
        "source": meta.source,
        "queries": list(meta.queries),
        "warnings": list(meta.warnings),
        "nodes": _tidy(meta.nodes),
    }
    rules = {
        "past_nodes": _tidy(meta.past_nodes),
        "quotas": _tidy(meta.quotas),
        "limit_ranges": _tidy(meta.limit_ranges),
        "budgets": _tidy(meta.budgets),
        "priority_classes": list(meta.priority_classes),
    }
    data |= {name: rows for name, rows in rules.items() if rows}
    if meta.shard is not None:
        data["shard"] = _described(meta.shard)
    path.write_bytes(orjson.dumps(data, option=orjson.OPT_INDENT_2) + b"\n")


def _described(part: ShardOf) -> dict[str, Any]:
    told: dict[str, Any] = {"version": part.version, "known": part.known}
    if part.strangers:
        told["strangers"] = [
            asdict(each) | {"since": each.since.isoformat()} for each in part.strangers
        ]
    return asdict(part.shard) | told


def _tidy(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """`rows` without what is not known, or no amount: `read_meta` would refuse it."""
    return [{key: value for key, value in row.items() if _known(value)} for row in rows]


def _known(value: Any) -> bool:
    return value is not None and not (isinstance(value, int | float) and not 0 <= value <= MOST)
