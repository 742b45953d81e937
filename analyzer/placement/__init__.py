"""Pods on nodes: how their usage presses on each other, where they stand, and what still fits.

`pressure` packs pods anew onto equal nodes, by several ways of requesting. `nodes` takes the nodes
and the pods on them as they are, `standing` moves pods about and says what fits beside what, and
`packing` what each node and each group of nodes holds; `coming` counts nodes that come and go.
"""

from analyzer.placement.coming import Numbers, numbers_of
from analyzer.placement.nodes import Nodes, Wanted, nodes_of, pod_requests, with_absent
from analyzer.placement.packing import GroupUse, NodeUse, Packing, Unplaced, pack_groups
from analyzer.placement.pressure import (
    LATELY,
    Placement,
    Pressure,
    Slots,
    common_node,
    pack,
    passed,
    place,
    pressure,
    slots_of,
)
from analyzer.placement.standing import Refusal, Standing, too_large, without_place

__all__ = [
    "LATELY",
    "GroupUse",
    "NodeUse",
    "Nodes",
    "Numbers",
    "Packing",
    "Placement",
    "Pressure",
    "Refusal",
    "Slots",
    "Standing",
    "Unplaced",
    "Wanted",
    "common_node",
    "nodes_of",
    "numbers_of",
    "pack",
    "pack_groups",
    "passed",
    "place",
    "pod_requests",
    "pressure",
    "slots_of",
    "too_large",
    "with_absent",
    "without_place",
]
