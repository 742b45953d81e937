"""What holds for pods, workloads, quotas and nodes as wholes: which containers to decide anew."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from analyzer.history import Histories
from analyzer.recommend.admission import without_room
from analyzer.recommend.case import Facts
from analyzer.recommend.gather import largest_node
from analyzer.recommend.node_risk import node_floors
from analyzer.recommend.on_nodes import crowded_out, on_every_node
from analyzer.recommend.pods import find_floors, find_rooms
from analyzer.recommend.precedence import deadlines, importances
from analyzer.recommend.recommendation import Recommendation
from analyzer.recommend.scale import scale_points

Narrow = Callable[[Histories, Mapping[int, Recommendation], Mapping[int, Facts]], dict[int, Facts]]
"""From what is proposed to the facts of those containers that have to be decided anew."""


def on_scale(
    histories: Histories, found: Mapping[int, Recommendation], facts: Mapping[int, Facts]
) -> dict[int, Facts]:
    """The facts of containers whose autoscaler cannot follow what is proposed for them."""
    scaled = scale_points(histories, found, facts)
    return {
        index: replace(
            facts[index],
            held={**facts[index].held, **scaled.held.get(index, {})},
            bounds=(*facts[index].bounds, *scaled.bounds.get(index, ())),
        )
        for index in sorted({*scaled.held, *scaled.bounds})
    }


def in_pods(
    histories: Histories, found: Mapping[int, Recommendation], facts: Mapping[int, Facts]
) -> dict[int, Facts]:
    """The facts of containers whose pod would ask for too much or too little."""
    ranges = histories.meta.limit_ranges
    declared = {index: one.spec.pod_resources for index, one in facts.items()}
    node, everywhere = largest_node(histories), on_every_node(histories, found)
    rooms = find_rooms(found, node, declared, ranges, everywhere)
    bounds = find_floors(found, ranges)
    return {
        index: replace(
            facts[index],
            rooms=(*facts[index].rooms, *rooms.get(index, ())),
            bounds=(*facts[index].bounds, *bounds.get(index, ())),
        )
        for index in sorted({*rooms, *bounds})
    }


def in_quotas(
    histories: Histories, found: Mapping[int, Recommendation], facts: Mapping[int, Facts]
) -> dict[int, Facts]:
    """The facts of containers whose raise their namespace's quota has no room for."""
    held = without_room(
        found, facts, histories.meta.quotas, importances(histories), deadlines(histories)
    )
    return {i: replace(facts[i], rooms=(*facts[i].rooms, *rooms)) for i, rooms in held.items()}


def on_nodes(
    histories: Histories, found: Mapping[int, Recommendation], facts: Mapping[int, Facts]
) -> dict[int, Facts]:
    """The facts of containers whose raise the nodes have no room for."""
    held = crowded_out(histories, found, facts)
    return {i: replace(facts[i], rooms=(*facts[i].rooms, *rooms)) for i, rooms in held.items()}


def at_node_risk(
    histories: Histories, found: Mapping[int, Recommendation], facts: Mapping[int, Facts]
) -> dict[int, Facts]:
    """The facts of containers whose requests would let nodes run short more often than allowed."""
    floors = node_floors(histories, found, facts)
    return {i: replace(facts[i], bounds=(*facts[i].bounds, *more)) for i, more in floors.items()}
