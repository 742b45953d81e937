"""Tables at the borders: usage and the facts beside it in pandas, and what checks them.

Each `validate_...` returns the table in its one form, or says in a sentence what is wrong with it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
import pandas as pd

from analyzer.errors import RecordingError

NAMES = ["namespace", "workload_kind", "workload", "container"]
"""The columns that name a container inside its cluster, in sort order."""

VALUES = ("cpu_cores", "memory_bytes", "memory_rss_bytes", "memory_cache_bytes")
"""What is measured of a container: the first two always, the others where somebody asked.

Resident memory is what the kernel cannot take back, shared memory and its own included where the
source tells them; cache is what of the working set it can.
"""

CONTAINER_TYPES = ("app", "init", "sidecar")
EVENT_KINDS = (
    "oom_kill",
    "restart",
    "throttled",
    "image_change",
    "cpu_pressure",
    "memory_pressure",
    "eviction",
    "node_pressure",
)

_SPEC_COLUMNS: dict[str, str] = {
    "container_type": "text",
    "replicas": "number",
    "cpu_request_cores": "number",
    "cpu_limit_cores": "number",
    "memory_request_bytes": "number",
    "memory_limit_bytes": "number",
    "image": "text",
    "labels": "text",
    "annotations": "text",
    "hpa": "text",
    "vpa": "text",
    "first_seen": "time",
    "last_seen": "time",
    "exit_reason": "text",
    "suspended": "number",
    "deadline_seconds": "number",
    "pod_cpu_request_cores": "number",
    "pod_cpu_limit_cores": "number",
    "pod_memory_request_bytes": "number",
    "pod_memory_limit_bytes": "number",
}
_POD_COLUMNS: dict[str, str] = {
    "workload_kind": "text",
    "workload": "text",
    "node": "text",
    "started": "time",
    "ended": "time",
    "owner": "text",
    "priority_class": "text",
    "overhead_cpu_cores": "number",
    "overhead_memory_bytes": "number",
    "tolerations": "text",
    "node_selector": "text",
    "other_requests": "text",
}
_DAY_COLUMNS: dict[str, str] = {
    "pod": "text",
    "samples": "number",
    "cpu_p50_cores": "number",
    "cpu_p95_cores": "number",
    "cpu_p99_cores": "number",
    "cpu_max_cores": "number",
    "memory_peak_bytes": "number",
    "start_peak_bytes": "number",
    "kills": "number",
}


def validate_usage(frame: pd.DataFrame) -> pd.DataFrame:
    """Return `frame` as a usage table, or say what is wrong with it.

    Columns: the four of `NAMES`, ``pod``, ``timestamp`` (UTC), ``cpu_cores`` (mean over the
    step) and ``memory_bytes`` (maximum within the step); ``memory_rss_bytes`` and
    ``memory_cache_bytes`` (maxima too) only where the frame has them. A missing one of the first
    two is added as all NaN; NaN means "not observed". Numbers that no container can use are left
    for the gate, so that one of them costs a sample and not a table.
    """
    _require(frame, [*NAMES, "pod", "timestamp"], "usage")
    columns = {name: _required(frame, name, "usage") for name in NAMES}
    columns["pod"] = _text(frame, "pod", "usage")
    columns["timestamp"] = _times(frame, "timestamp", "usage")
    columns["cpu_cores"] = _numbers(frame, "cpu_cores", "usage")
    columns["memory_bytes"] = _numbers(frame, "memory_bytes", "usage")
    columns |= {name: _numbers(frame, name, "usage") for name in VALUES[2:] if name in frame}
    if "cpu_cores" not in frame and "memory_bytes" not in frame:
        raise RecordingError("the usage table has neither cpu_cores nor memory_bytes; add one")
    if columns["timestamp"].isna().any():
        raise RecordingError("the usage table has rows without a timestamp; drop them")
    return pd.DataFrame(columns)


def validate_specs(frame: pd.DataFrame) -> pd.DataFrame:
    """Return `frame` as a specs table: one row per container and period of equal settings.

    Only `NAMES` are required; every other column is added empty where it is missing. The row of a
    container with the latest ``last_seen`` (then the last one) is what holds now. ``exit_reason``
    is why it ended last; ``vpa`` is the update mode of its VerticalPodAutoscaler, such as Auto;
    ``suspended`` is 1 where its CronJob is; ``deadline_seconds`` is after how long its Jobs are
    ended; ``pod_...`` are the amounts declared for its pod as a whole.
    """
    columns = _columns(frame, NAMES, _SPEC_COLUMNS, "specs")
    columns["container_type"] = columns["container_type"].fillna("app")
    _only(columns["container_type"], CONTAINER_TYPES, "specs", "container_type")
    return pd.DataFrame(columns).reset_index(drop=True)


def validate_events(frame: pd.DataFrame) -> pd.DataFrame:
    """Return `frame` as an events table, sorted by time.

    ``kind`` is one of `EVENT_KINDS`. ``value`` is the memory limit that was hit in bytes
    (``oom_kill``), the share of throttled CFS periods (``throttled``), or the share of the hour
    before that was lost to waiting (``cpu_pressure``, ``memory_pressure``), else NaN. An
    ``eviction`` is an end by the node's need, which says nothing of the container's own limit;
    ``node_pressure`` says that the node was short of memory as a container was killed.
    """
    _require(frame, [*NAMES, "timestamp", "kind"], "events")
    columns = {name: _required(frame, name, "events") for name in NAMES}
    columns |= {name: _text(frame, name, "events") for name in ("pod", "kind")}
    columns["timestamp"] = _times(frame, "timestamp", "events")
    columns["value"] = _numbers(frame, "value", "events")
    _only(columns["kind"], EVENT_KINDS, "events", "kind")
    return pd.DataFrame(columns).sort_values("timestamp", kind="stable", ignore_index=True)


def validate_pods(frame: pd.DataFrame) -> pd.DataFrame:
    """Return `frame` as a table of pods: one row per namespace and pod, the others optional.

    ``workload_kind`` and ``workload`` are those of `NAMES`, ``owner`` the object that made the pod
    as ``Kind/name``; ``ended`` is empty while it runs. Overhead is what a RuntimeClass takes beside
    containers; ``tolerations`` (a list), ``node_selector`` and ``other_requests`` (by resource, not
    cpu or memory) are JSON, empty where nobody told.
    """
    _require(frame, ["namespace", "pod"], "pods")
    table = pd.DataFrame(_columns(frame, ["namespace", "pod"], _POD_COLUMNS, "pods"))
    return table.drop_duplicates(["namespace", "pod"], keep="last", ignore_index=True)


def validate_days(frame: pd.DataFrame) -> pd.DataFrame:
    """Return `frame` as a table of daily summaries, sorted by names and day.

    One row per container, pod and UTC day (``day`` is its midnight); no pod means all pods
    together. ``samples`` counts observed steps, the quantiles are of CPU in cores,
    ``memory_peak_bytes`` the highest working set, ``start_peak_bytes`` the highest of the first
    ten minutes of a pod, ``kills`` the OOM kills. An empty value was not observed.
    """
    _require(frame, [*NAMES, "day"], "days")
    columns = _columns(frame, NAMES, _DAY_COLUMNS, "days")
    columns["day"] = _times(frame, "day", "days").dt.floor("D")
    table = pd.DataFrame(columns)
    if table["day"].isna().any():
        raise RecordingError("the days table has rows without day; drop them")
    return table.sort_values([*NAMES, "day"], kind="stable", ignore_index=True)


TABLES: dict[str, Callable[[pd.DataFrame], pd.DataFrame]] = {
    "specs": validate_specs,
    "events": validate_events,
    "pods": validate_pods,
    "days": validate_days,
}
"""The tables beside usage, all optional, and what checks them."""


@cache
def no_specs() -> pd.DataFrame:
    """A table of no settings; nobody changes a table."""
    return validate_specs(_empty(NAMES))


@cache
def no_events() -> pd.DataFrame:
    """A table of no events."""
    return validate_events(_empty([*NAMES, "timestamp", "kind"]))


@cache
def no_pods() -> pd.DataFrame:
    """A table of no pods."""
    return validate_pods(_empty(["namespace", "pod"]))


@cache
def no_days() -> pd.DataFrame:
    """A table of no daily summaries."""
    return validate_days(_empty([*NAMES, "day"]))


def _empty(columns: Iterable[str]) -> pd.DataFrame:
    return pd.DataFrame({name: pd.Series(dtype=object) for name in columns})


def _columns(
    frame: pd.DataFrame, names: Sequence[str], kinds: Mapping[str, str], table: str
) -> dict[str, pd.Series[Any]]:
    """The text columns `names`, which are required, and those of `kinds`, which are not."""
    _require(frame, names, table)
    read = {"text": _text, "number": _numbers, "time": _times}
    columns = {name: _required(frame, name, table) for name in names}
    return columns | {name: read[kind](frame, name, table) for name, kind in kinds.items()}


def _require(frame: pd.DataFrame, names: Sequence[str], table: str) -> None:
    missing = [name for name in names if name not in frame.columns]
    if missing:
        raise RecordingError(
            f"the {table} table lacks the column(s) {', '.join(missing)}; "
            f"it has {', '.join(map(str, frame.columns)) or 'none'}"
        )


def _required(frame: pd.DataFrame, name: str, table: str) -> pd.Series[Any]:
    """A text column that every row must have."""
    column = _text(frame, name, table)
    if column.isna().any():
        raise RecordingError(f"the {table} table has rows without {name}; drop them")
    return column


def _text(frame: pd.DataFrame, name: str, table: str) -> pd.Series[Any]:
    if name not in frame:
        return pd.Series([None] * len(frame), index=frame.index, dtype=object)
    column = frame[name]
    if isinstance(column.dtype, pd.CategoricalDtype):
        # A file's dictionary is in order of appearance; whoever groups or sorts wants the names'.
        column = column.cat.set_categories(sorted(column.cat.categories))
    return column


def _numbers(frame: pd.DataFrame, name: str, table: str) -> pd.Series[Any]:
    if name not in frame:
        return pd.Series(np.nan, index=frame.index, dtype="float64")
    try:
        column = pd.to_numeric(frame[name])
    except (ValueError, TypeError) as error:
        raise RecordingError(f"the {table} column {name} is not numeric: {error}") from error
    return pd.Series(column.to_numpy(dtype="float64", na_value=np.nan), index=frame.index)


def _times(frame: pd.DataFrame, name: str, table: str) -> pd.Series[Any]:
    if name not in frame:
        return pd.Series(pd.NaT, index=frame.index, dtype="datetime64[s, UTC]")
    column = frame[name]
    if pd.api.types.is_numeric_dtype(column) and column.notna().any():
        raise RecordingError(
            f"the {table} column {name} holds numbers, and nothing says of which unit; write times "
            "as 2026-11-23T00:00:00Z"
        )
    try:
        # Text in this one form only: 01/02/2026 is one day here and another there.
        written = pd.api.types.is_string_dtype(column) or column.dtype == object
        return pd.to_datetime(column, utc=True, format="ISO8601" if written else None)
    except (ValueError, TypeError, OverflowError) as error:
        reason = str(error).partition(". You might")[0]
        raise RecordingError(
            f"the {table} column {name} is not a time as 2026-11-23T00:00:00Z: {reason}"
        ) from error


def _only(column: pd.Series[Any], allowed: Sequence[str], table: str, name: str) -> None:
    strange = sorted({str(value) for value in column.unique()} - set(allowed))
    if strange:
        raise RecordingError(
            f"the {table} column {name} holds {', '.join(strange[:3])}; "
            f"expected one of {', '.join(allowed)}"
        )
