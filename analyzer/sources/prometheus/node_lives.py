"""Nodes that came and went within the window, as an autoscaler makes them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from analyzer.sources.prometheus.connection import Connection
from analyzer.sources.prometheus.facts import (
    Facts,
    answers,
    question_of_rows,
    read_node_labels,
    read_series,
)
from analyzer.sources.prometheus.owners import own
from analyzer.sources.prometheus.plan import Piece
from analyzer.sources.prometheus.probe import Dialect
from analyzer.sources.prometheus.promql import (
    largest_by,
    left_open,
    narrowed,
    one_of,
    over,
    selector,
)
from analyzer.sources.prometheus.ragged import Grid
from analyzer.sources.prometheus.reader import Reader

_HOUR = timedelta(hours=1)
_WEEK = 7 * 24
_COLUMNS = {"cpu": "cpu_allocatable_cores", "memory": "memory_allocatable_bytes"}


def read_node_lives(reader: Reader, dialect: Dialect, grid: Grid, facts: Facts) -> None:
    """Since when the nodes are there, and which were there before; looked at once an hour.

    Where all nodes of the window are there still, and none was made within it, one look is enough.
    """
    connection = reader.connection
    state = dialect.of_cluster
    made = _made(connection, selector("kube_node_created", state), facts)
    start = grid.start.timestamp()
    for node in facts.nodes:
        if made.get(str(node["name"]), 0.0) > start:
            node["first_seen"] = _text(made[str(node["name"])])
    series = read_series(
        connection, replace(dialect, state=dialect.of_cluster), grid, ["kube_node_info"]
    )
    ever = {own(labels, "node") for labels in series}
    gone = ever - {str(node["name"]) for node in facts.nodes} - {""}
    if gone:
        facts.past_nodes.extend(_gone(reader, dialect, grid, gone))


def _made(connection: Connection, series: str, facts: Facts) -> dict[str, float]:
    """When each node that is there was made."""
    recent = over("last_over_time", series, left_open(facts.recent))
    return {own(s.labels, "node"): s.value for s in connection.instant(recent, facts.asof)}


def _gone(
    reader: Reader, dialect: Dialect, grid: Grid, names: set[str]
) -> Iterator[dict[str, Any]]:
    """What each node that is gone could give to pods, and from when to when it was there."""
    state = dialect.of_cluster
    wanted = (*state, one_of("resource", _COLUMNS))
    series = selector("kube_node_status_allocatable", wanted)
    hours = max(1, (grid.end - grid.start) // _HOUR)
    hourly = Grid(grid.end - hours * _HOUR, _HOUR, hours)
    question = question_of_rows(
        "nodes over time",
        hourly,
        lambda more: largest_by(("node", "exported_node", "resource"), narrowed(series, more)),
        [Piece(low, min(low + _WEEK, hours)) for low in range(0, hours, _WEEK)],
    )
    found: dict[str, dict[str, Any]] = {}
    for labels, line in answers(reader, question):
        name, column = own(labels, "node"), _COLUMNS[labels["resource"]]
        if name in names and line:
            node = found.setdefault(name, {"name": name, "times": []})
            node[column] = line[-1][1]
            node["times"] += [line[0][0], line[-1][0]]
    labels_of = read_node_labels(reader.connection, dialect, grid)
    for name in sorted(found):
        node = found[name]
        times = node.pop("times")
        yield {
            **node,
            "labels": labels_of.get(name, {}),
            "first_seen": _text(min(times) - _HOUR.total_seconds()),
            "last_seen": _text(max(times)),
        }


def _text(time: float) -> str:
    return datetime.fromtimestamp(time, UTC).isoformat()


__all__ = ["read_node_lives"]
