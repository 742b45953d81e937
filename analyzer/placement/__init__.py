"""Pods on nodes: how their usage presses on each other, where they stand, and what still fits.

`pressure` packs pods anew onto equal nodes, by several ways of requesting; `nodes` takes the nodes
and the pods on them as they are, and says what fits beside what, and what a group of nodes holds.
"""

from analyzer.placement.nodes import Nodes, Wanted, nodes_of, pod_requests, without_place
from analyzer.placement.packing import GroupUse, Packing, pack_groups
from analyzer.placement.pressure import (
    Placement,
    Pressure,
    Slots,
    common_node,
    pack,
    place,
    pressure,
    slots_of,
)

__all__ = [
    "GroupUse",
    "Nodes",
    "Packing",
    "Placement",
    "Pressure",
    "Slots",
    "Wanted",
    "common_node",
    "nodes_of",
    "pack",
    "pack_groups",
    "place",
    "pod_requests",
    "pressure",
    "slots_of",
    "without_place",
]
