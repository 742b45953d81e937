"""Put recordings of neighbouring times together into one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from analyzer.room import IN_MEMORY, Room
from analyzer.sources.days import join_summaries
from analyzer.sources.prometheus.ragged import Grid, join_days
from analyzer.tables import NAMES, validate_events, validate_pods, validate_specs
from analyzer.usage import Meta, Recording

_SAME = [
    *NAMES,
    "container_type",
    "cpu_request_cores",
    "cpu_limit_cores",
    "memory_request_bytes",
    "memory_limit_bytes",
    "image",
]
_LATEST = [
    "replicas",
    "labels",
    "annotations",
    "hpa",
    "vpa",
    "last_seen",
    "exit_reason",
    "suspended",
    "deadline_seconds",
    "pod_cpu_request_cores",
    "pod_cpu_limit_cores",
    "pod_memory_request_bytes",
    "pod_memory_limit_bytes",
]


def join_recordings(parts: Sequence[Recording], meta: Meta, room: Room = IN_MEMORY) -> Recording:
    """One recording over the window of `meta`, in `room`, from parts in order of time.

    What is known of nodes, quotas and limit ranges is taken from the newest part. Spec rows that
    continue one another become one; an image that differs across the border of two parts is an
    image change. A pod that several parts know began at the first and ended at the last.
    """
    meta = replace(
        meta,
        nodes=_newest([part.meta.nodes for part in parts]),
        past_nodes=_past_nodes(parts),
        quotas=_newest([part.meta.quotas for part in parts]),
        limit_ranges=_newest([part.meta.limit_ranges for part in parts]),
        budgets=_newest([part.meta.budgets for part in parts]),
        priority_classes=_newest([part.meta.priority_classes for part in parts]),
    )
    if len(parts) == 1 and (parts[0].meta.start, parts[0].meta.end) == (meta.start, meta.end):
        return replace(parts[0], meta=meta)
    grid = Grid(meta.start, meta.step, meta.steps)
    usage = join_days([part.usage for part in parts], grid, room)
    specs = _join_specs([part.specs for part in parts])
    joined = Recording(meta, usage, specs)
    events = [part.events for part in parts if not part.events.empty]
    events += _changes_across(specs, [part.meta.start for part in parts[1:]])
    return replace(
        joined,
        events=_join_events(events) if events else joined.events,
        pods=_join_pods(parts),
        days=join_summaries([part.days for part in parts]),
    )


def _past_nodes(parts: Sequence[Recording]) -> tuple[dict[str, Any], ...]:
    """The nodes of any part that are gone at the end: from their first part to their last.

    A node that a part has at its end was there to its end, at least.
    """
    there = {node["name"] for node in _newest([part.meta.nodes for part in parts])}
    found: dict[str, dict[str, Any]] = {}
    for part in parts:
        start, end = part.meta.start.isoformat(), part.meta.end.isoformat()
        for node in (*part.meta.past_nodes, *part.meta.nodes):
            life = {"first_seen": start, "last_seen": end, **node}
            known = found.get(node["name"], life)
            first = min(str(known["first_seen"]), str(life["first_seen"]))
            found[node["name"]] = {**life, "first_seen": first}
    return tuple(node for name, node in sorted(found.items()) if name not in there)


def _newest(values: Sequence[tuple[dict[str, Any], ...]]) -> tuple[dict[str, Any], ...]:
    return next((value for value in reversed(values) if value), ())


def _join_events(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    table = pd.concat(tables, ignore_index=True)
    known = table.duplicated([*NAMES, "timestamp", "kind"]) & (table["kind"] == "image_change")
    return validate_events(table[~known])


def _join_pods(parts: Sequence[Recording]) -> pd.DataFrame:
    """One row a pod: what the last part that knows it says, and its earliest start.

    A pod that ran to the end of its last part, and no later one knows, ended there.
    """
    tables = [
        part.pods.assign(ended=part.pods["ended"].fillna(pd.Timestamp(part.meta.end)))
        for part in parts[:-1]
    ]
    known = [table for table in (*tables, parts[-1].pods) if not table.empty]
    if not known:
        return parts[-1].pods
    table = pd.concat(known, ignore_index=True)
    started = table.groupby(["namespace", "pod"], sort=False, observed=True)["started"]
    return validate_pods(table.assign(started=started.transform("min")))


def _join_specs(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Rows of one container that are the same and follow one another become one."""
    table = pd.concat(tables, ignore_index=True)
    table = table.sort_values([*NAMES, "first_seen", "last_seen"], kind="stable", ignore_index=True)
    values = table[_SAME].astype(object)
    values = values.where(values.notna(), "")
    new = np.ones(len(table), dtype=bool)
    new[1:] = (values.to_numpy()[1:] != values.to_numpy()[:-1]).any(axis=1)
    period = np.cumsum(new)
    first = table[new].reset_index(drop=True)
    last = table.groupby(period).tail(1).reset_index(drop=True)
    first[_LATEST] = last[_LATEST]
    first["last_seen"] = table.groupby(period)["last_seen"].max().to_numpy()
    return validate_specs(first)


def _changes_across(specs: pd.DataFrame, borders: Sequence[Any]) -> list[pd.DataFrame]:
    """Image changes between the last row of one part and the first of the next.

    One that a part knows already, with the pod that had the new image first, is kept instead.
    """
    before = specs.groupby(NAMES, sort=False)[["image", "last_seen"]].shift(1)
    changed = before["image"].notna() & specs["image"].notna() & (before["image"] != specs["image"])
    found = []
    for border in borders:
        across = changed & (before["last_seen"] <= border) & (specs["first_seen"] > border)
        if across.any():
            rows = specs.loc[across, NAMES].assign(
                pod=None,
                timestamp=specs.loc[across, "first_seen"],
                kind="image_change",
                value=np.nan,
            )
            found.append(rows)
    return found
