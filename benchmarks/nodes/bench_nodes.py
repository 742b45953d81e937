"""What packing and the check of raises cost: 10,000 pods on 500 nodes.

    python benchmarks/nodes/bench_nodes.py [PODS [NODES]]

Every third workload is raised by half, the others fall by two fifths, and the nodes are nine tenths
full, so that some raises find no place. Nodes have labels, and every fifth of them a taint; a third
of the workloads has a selector, a third tells no more than its tolerations, and every tenth spreads
over zones. Prints CPU seconds (all threads), also with room kept for the loss of a node.
"""

from __future__ import annotations

import sys
import time

import numpy as np

from analyzer.placement import Nodes, Wanted, pack_groups, without_place
from analyzer.scheduling import Node, Requirement, Scheduling, Spread, Toleration
from analyzer.workload import WorkloadRef

GIB = 1024**3


def made_up(pods: int, count: int) -> tuple[Nodes, Wanted]:
    """Workloads of four pods on nodes of three sizes, as full as the pods make them."""
    rng = np.random.default_rng(5)
    workloads = max(1, pods // 4)
    now = np.stack([rng.lognormal(-1.5, 0.8, workloads), rng.lognormal(20, 0.8, workloads)], axis=1)
    owner = np.arange(pods) % workloads
    where = np.arange(pods) % count
    sums = np.zeros((count, 2))
    np.add.at(sums, where, now[owner])
    nodes = Nodes(
        names=tuple(f"n{k}" for k in range(count)),
        groups=tuple(f"g{k % 3}" for k in range(count)),
        allocatable=sums / 0.9,
        workloads=tuple(
            WorkloadRef("lab", "shop", "DaemonSet" if k % 50 == 0 else "Deployment", f"w{k}")
            for k in range(workloads)
        ),
        pods=owner,
        where=where,
        described=tuple(_described(k) for k in range(count)),
        asked={k: _asked(k) for k in range(workloads)},
    )
    factor = np.where(np.arange(workloads) % 3 == 0, 1.5, 0.6)
    return nodes, Wanted(now, now * factor[:, None])


def _described(number: int) -> Node:
    labels = {"pool": f"g{number % 3}", "zone": "abc"[number // 3 % 3]}
    taints = (("dedicated", "batch", "NoSchedule"),) if number % 5 == 0 else ()
    return Node(labels, taints, told=True)


def _asked(number: int) -> Scheduling:
    bears = (Toleration("dedicated", "Exists"),)
    spreads = (Spread("zone", 2),) if number % 10 == 0 else ()
    if number % 3 == 0:
        pool = (Requirement("pool", "In", ("g0", "g1")),)
        return Scheduling(pool, (), bears, spreads, whole=True, labels=(("app", f"w{number}"),))
    return Scheduling((), (), bears, spreads, whole=number % 3 == 1)


def main() -> None:
    """Time all of it."""
    pods, count = (int(text) for text in (*sys.argv[1:3], *("10000", "500")[len(sys.argv) - 1 :]))
    nodes, wanted = made_up(pods, count)
    print(f"{pods} pods of {len(nodes.workloads)} workloads on {count} nodes")
    since = time.process_time()
    refused = without_place(nodes, wanted, wanted.raised.tolist())
    raised, order = len(wanted.raised), wanted.raised.tolist()
    print(f"raises      {time.process_time() - since:6.2f} s  {len(refused)} of {raised} refused")
    since = time.process_time()
    refused = without_place(nodes, wanted, order, dict.fromkeys(order, 1))
    print(f"spare node  {time.process_time() - since:6.2f} s  {len(refused)} of {raised} refused")
    since = time.process_time()
    groups = pack_groups(nodes, wanted).groups
    needed = ", ".join(f"{g.needed_now} -> {g.needed_after} of {g.nodes}" for g in groups)
    print(f"packing     {time.process_time() - since:6.2f} s  {needed}")


if __name__ == "__main__":
    main()
