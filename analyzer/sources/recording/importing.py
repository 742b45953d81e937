"""Usage tables from elsewhere, and recordings without names, for showing to strangers."""

from __future__ import annotations

import hashlib
import hmac
import logging
import os
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np
import pandas as pd
import pyarrow as pa

from analyzer.errors import RecordingError
from analyzer.escape import printable
from analyzer.kinds import DEPLOYMENT
from analyzer.parquet import is_refusal, read_parquet
from analyzer.sources.window import DAY
from analyzer.spec import read_hpa
from analyzer.tables import (
    NAMES,
    VALUES,
    validate_days,
    validate_events,
    validate_pods,
    validate_specs,
    validate_usage,
)
from analyzer.usage import Meta, Recording, Usage
from analyzer.workload import ContainerRef

_SERIES = "series_id"
_WELL_KNOWN = re.compile(r"((requests|limits)\.)?(cpu|memory|ephemeral-storage)|pods")
_LOG = logging.getLogger(__name__)
_Unit = Literal["s", "ms", "us", "ns"]
_UNIX_UNITS: dict[_Unit, int] = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_UNIT_NAMES = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}
_FIRST, _LAST = 978_307_200, 4_102_444_800
"""Unix seconds of 2001 and 2100: the ranges of the units do not touch."""
_YEARS_APART = pd.Timedelta(days=2 * 366)
_FEW = 0.01
_SPEC_VALUES = (
    "cpu_request_cores",
    "cpu_limit_cores",
    "memory_request_bytes",
    "memory_limit_bytes",
)


def import_usage(
    path: str | os.PathLike[str], *, cluster: str = "imported", step: timedelta | None = None
) -> Recording:
    """Read a CSV or Parquet table of usage as a recording.

    Columns as in a recording's usage table; `series_id` instead of the names makes one container
    of each series, and requests and limits beside the usage become its specs. Without `step` the
    most frequent distance between neighbouring samples of a series is taken.
    """
    path = Path(path)
    frame = _read(path)
    if _SERIES in frame and "workload" not in frame:
        frame = _name_series(frame)
    if "pod" not in frame and "workload" in frame:
        frame = frame.assign(pod=frame["workload"].astype(str) + "-0")
    try:
        return import_frame(frame, cluster=cluster, step=step, source=f"import:{path.name}")
    except RecordingError as error:
        raise RecordingError(f"{path}: {error}") from error


def import_frame(
    frame: pd.DataFrame, *, cluster: str, step: timedelta | None = None, source: str = "import"
) -> Recording:
    """Turn a usage table in memory into a recording. Raises `RecordingError` where it is none.

    Numbers in ``timestamp`` are Unix time in the one unit that puts them into this century; which
    one that was is logged, and so are rows that are left out: those without a time, and a few whose
    times lie years apart from all others.
    """
    frame = _readable_times(frame)
    usage = validate_usage(frame)
    usage = usage[_of_one_time(usage["timestamp"])]
    if usage.empty:
        raise RecordingError("the table holds no rows")
    _refuse_contradictions(usage)
    length = step or _usual_gap(usage)
    seconds = length.total_seconds()
    times = (
        usage["timestamp"].dt.tz_localize(None).to_numpy().astype("datetime64[s]").astype(np.int64)
    )
    start = int((times.min() - 1) // seconds * seconds)
    end = int(-(-times.max() // seconds) * seconds)
    meta = Meta(
        cluster=cluster,
        start=datetime.fromtimestamp(start, UTC),
        end=datetime.fromtimestamp(end, UTC),
        step=length,
        source=source,
    )
    specs = _specs(frame)
    built = Usage.from_frame(usage, meta)
    return Recording(meta, built) if specs is None else Recording(meta, built, specs)


def _refuse_contradictions(usage: pd.DataFrame) -> None:
    """Raise `RecordingError` where two rows tell other amounts of one pod at one time.

    They may be pods that lack a name, parts to be summed, or a mistake: any one number would be a
    guess, and the mean hides a peak.
    """
    keys = [*NAMES, "pod", "timestamp"]
    twins = usage[usage.duplicated(keys, keep=False)]
    for column in VALUES[:2]:
        told = twins[twins[column].notna()].drop_duplicates([*keys, column])
        second = told[told.duplicated(keys)]
        if len(second):
            row = second.iloc[0]
            where = "/".join(printable(str(row[name])) for name in (*NAMES, "pod"))
            raise RecordingError(
                f"{column} of {where} at {row['timestamp']:%Y-%m-%d %H:%M:%S} UTC is told twice, "
                "with two values; name the pod of each row, sum up what belongs together, or drop "
                "one"
            )


def anonymise(recording: Recording, key: bytes) -> Recording:
    """`recording` with every name replaced by a pseudonym.

    The same name gives the same pseudonym under the same `key`, and nothing can be told from it
    without the key. Numbers and kinds stay; images keep only whether they changed; labels,
    annotations, taints, what pods ask of nodes and the texts of warnings are dropped. HPA metrics
    other than CPU and memory lose their names too.
    """
    name = _pseudonyms(key)
    refs = [_rename(ref, name) for ref in recording.usage.containers]
    usage = recording.usage.rename(refs, [name("pod", pod) for pod in recording.usage.pods])
    specs = _rename_columns(recording.specs, name)
    specs["image"] = [_optional(name, "image", value) for value in specs["image"]]
    specs["labels"] = [None] * len(specs)
    specs["annotations"] = [None] * len(specs)
    specs["hpa"] = [_anonymous_hpa(value, name) for value in recording.specs["hpa"]]
    pods = _rename_columns(recording.pods, name)
    pods["owner"] = [_anonymous_owner(value, name) for value in pods["owner"]]
    pods["priority_class"] = [_optional(name, "priority", v) for v in pods["priority_class"]]
    for column in ("tolerations", "node_selector", "other_requests"):
        pods[column] = [None] * len(pods)
    return Recording(
        _anonymous_meta(recording.meta, name),
        usage,
        validate_specs(specs),
        validate_events(_rename_columns(recording.events, name)),
        validate_pods(pods),
        validate_days(_rename_columns(recording.days, name)),
    )


def _anonymous_meta(meta: Meta, name: Callable[[str, Any], str]) -> Meta:
    return replace(
        meta,
        cluster=name("cluster", meta.cluster),
        source="anonymised",
        queries=(),
        warnings=tuple("a part of the data is missing" for _ in meta.warnings),
        nodes=tuple(_anonymous_node(node, name) for node in meta.nodes),
        past_nodes=tuple(_anonymous_node(node, name) for node in meta.past_nodes),
        quotas=tuple(_anonymous_rule(rule, "quota", name) for rule in meta.quotas),
        limit_ranges=tuple(_anonymous_rule(rule, "limits", name) for rule in meta.limit_ranges),
        budgets=tuple(
            _numbers(budget)
            | {"namespace": name("namespace", budget["namespace"])}
            | {"name": name("budget", budget["name"])}
            for budget in meta.budgets
        ),
        priority_classes=tuple(
            _numbers(row) | {"name": name("priority", row["name"])} for row in meta.priority_classes
        ),
    )


def _anonymous_node(node: dict[str, Any], name: Callable[[str, Any], str]) -> dict[str, Any]:
    """A node by its numbers and times."""
    times = {key: node[key] for key in ("first_seen", "last_seen") if node.get(key)}
    return _numbers(node) | times | {"name": name("node", node["name"])}


def _numbers(row: dict[str, Any]) -> dict[str, Any]:
    """The numbers of a row: labels, taints and selectors may name anything."""
    return {key: value for key, value in row.items() if isinstance(value, int | float)}


def _anonymous_rule(
    rule: dict[str, Any], kind: str, name: Callable[[str, Any], str]
) -> dict[str, Any]:
    """A quota or limit range under pseudonyms; its resource may be one of somebody's own."""
    resource = str(rule.get("resource", ""))
    hidden = {} if _WELL_KNOWN.fullmatch(resource) else {"resource": name("resource", resource)}
    names = {
        "namespace": name("namespace", rule["namespace"]),
        "name": name(kind, rule.get("name", "")),
    }
    scopes = [
        {**scope, "values": [name("priority", value) for value in scope["values"]]}
        for scope in rule.get("scopes", ())
    ]
    return rule | hidden | names | ({"scopes": scopes} if scopes else {})


def _anonymous_owner(value: Any, name: Callable[[str, Any], str]) -> str | None:
    if not isinstance(value, str):
        return None
    kind, _, owner = value.partition("/")
    return f"{kind}/{name('owner', owner)}"


def _read(path: Path) -> pd.DataFrame:
    if not path.is_file():
        raise RecordingError(f"there is no table {path}; give a CSV or Parquet file")
    try:
        if path.suffix == ".parquet":
            return read_parquet(path)
        _refuse_twins(path)
        return pd.read_csv(path, encoding="utf-8")
    except (OSError, ValueError, pa.ArrowException, UnicodeDecodeError) as error:
        if is_refusal(error):
            raise RecordingError(f"{path} cannot be read just now: {error}") from error
        raise RecordingError(f"{path} cannot be read as a table: {error}") from error


def _refuse_twins(path: Path) -> None:
    """Raise `RecordingError` for a column that is named twice: which of the two is meant?"""
    head = pd.read_csv(path, encoding="utf-8", header=None, nrows=1, dtype=str).iloc[0].tolist()
    twins = sorted({name for name in head if isinstance(name, str) and head.count(name) > 1})
    if twins:
        raise RecordingError(f"{path}: the column {twins[0]} is there twice; drop one of them")


def _name_series(frame: pd.DataFrame) -> pd.DataFrame:
    names = frame[_SERIES].astype(str)
    return frame.assign(
        namespace="imported",
        workload_kind=DEPLOYMENT.name,
        workload=names,
        container="main",
        pod=names + "-0",
    )


def _readable_times(frame: pd.DataFrame) -> pd.DataFrame:
    """`frame` without rows that lack a time, and with times where there were Unix numbers."""
    if "timestamp" not in frame:
        return frame
    absent = frame["timestamp"].isna()
    if absent.any():
        _LOG.warning("%d rows without a timestamp are left out", int(absent.sum()))
        frame = frame[~absent]
    numbers = frame["timestamp"]
    if not pd.api.types.is_numeric_dtype(numbers) or numbers.empty:
        return frame
    for unit, size in _UNIX_UNITS.items():
        if numbers.min() >= _FIRST * size and numbers.max() <= _LAST * size:
            name = _UNIT_NAMES[unit]
            _LOG.warning("the timestamps are read as Unix %s, from the dates they make", name)
            return frame.assign(timestamp=pd.to_datetime(numbers, unit=unit, utc=True))
    raise RecordingError(
        f"the timestamps from {numbers.min():g} to {numbers.max():g} are Unix seconds, "
        "milliseconds, microseconds or nanoseconds of no dates between 2001 and 2100; write them "
        "as 2026-11-23T00:00:00Z"
    )


def _of_one_time(times: pd.Series[Any]) -> pd.Series[bool]:
    """Which of the times belong together: all but a few that lie years apart from the others.

    A clock that was not set yet says 1970. Where more than a few lie apart, all stay, and whoever
    cannot hold so long a window says so.
    """
    ordered = times.sort_values(kind="stable")
    block = (ordered.diff() > _YEARS_APART).cumsum()
    sizes = block.value_counts()
    if len(sizes) < 2 or sizes.iloc[0] < (1 - _FEW) * len(times):
        return pd.Series(True, index=times.index)
    kept: pd.Series[bool] = (block == sizes.index[0]).reindex(times.index)
    stray = times[~kept]
    _LOG.warning(
        "%d rows are left out, whose times lie years apart from all others (%s to %s)",
        len(stray), f"{stray.min():%Y-%m-%d}", f"{stray.max():%Y-%m-%d}",
    )  # fmt: skip
    return kept


def _usual_gap(usage: pd.DataFrame) -> timedelta:
    ordered = usage.sort_values([*NAMES, "pod", "timestamp"], kind="stable")
    gaps = ordered.groupby([*NAMES, "pod"], observed=True)["timestamp"].diff().dropna()
    gaps = gaps[gaps > pd.Timedelta(0)]
    if gaps.empty:
        return timedelta(minutes=5)
    seconds = int(gaps.dt.total_seconds().round().mode().iloc[0])
    if seconds > DAY.total_seconds():
        raise RecordingError(
            f"the samples of a series are usually {timedelta(seconds=seconds)} apart, and usage "
            "needs one a day at least"
        )
    return timedelta(seconds=max(1, seconds))


def _specs(frame: pd.DataFrame) -> pd.DataFrame | None:
    """The last requests and limits of each container, where the table has such columns."""
    present = [name for name in _SPEC_VALUES if name in frame]
    if not present:
        return None
    latest = (
        frame.sort_values("timestamp", kind="stable").groupby(NAMES, observed=True)[present].last()
    )
    return validate_specs(latest.reset_index())


def _pseudonyms(key: bytes) -> Callable[[str, Any], str]:
    prefixes = {"namespace": "ns", "workload": "app", "container": "c"}

    def name(kind: str, value: Any) -> str:
        digest = hmac.new(key, f"{kind}\0{value}".encode("utf-8", "surrogatepass"), hashlib.sha256)
        return f"{prefixes.get(kind, kind)}-{digest.hexdigest()[:10]}"

    return name


def _rename(ref: ContainerRef, name: Callable[[str, Any], str]) -> ContainerRef:
    return ContainerRef(
        name("cluster", ref.cluster),
        name("namespace", ref.namespace),
        ref.kind,
        name("workload", ref.workload),
        name("container", ref.container),
    )


def _rename_columns(frame: pd.DataFrame, name: Callable[[str, Any], str]) -> pd.DataFrame:
    renamed = frame.copy()
    for column in ("namespace", "workload", "container", "pod", "node"):
        if column in frame:
            renamed[column] = [_optional(name, column, value) for value in frame[column]]
    return renamed


def _optional(name: Callable[[str, Any], str], kind: str, value: Any) -> str | None:
    return name(kind, value) if isinstance(value, str) else None


def _anonymous_hpa(value: Any, name: Callable[[str, Any], str]) -> str | None:
    hpa = read_hpa(value, "the recording")
    if hpa is None:
        return None
    hpa.name = name("hpa", hpa.name)
    for metric in hpa.metrics:
        if metric.resource not in ("cpu", "memory"):
            metric.resource = name("metric", metric.resource)
    return msgspec.json.encode(hpa, order="sorted").decode()
