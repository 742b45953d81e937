"""Pods on the nodes they run on, with sums that can be worked out by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from analyzer.placement import Nodes, Refusal, Wanted, nodes_of, pack_groups, pod_requests
from analyzer.placement import without_place as tried
from analyzer.placement.nodes import group_of
from analyzer.quantity import Cpu, Memory, Resources
from analyzer.scheduling import HOSTNAME, Away, Near, Node, Requirement, Scheduling, Spread, node_of
from analyzer.tables import validate_pods
from analyzer.workload import ContainerRef, WorkloadRef
from tests.samples import START, histories, meta

GIB = 1024**3


def cluster(
    sizes: list[float], pods: list[tuple[str, int]], groups: list[str] | None = None
) -> Nodes:
    """Nodes of so many cores (and 100 GiB), and pods as the name of a workload and a node.

    A name that begins with ``ds`` is a DaemonSet's.
    """
    names = list(dict.fromkeys(name for name, _ in pods))
    kinds = {name: "DaemonSet" if name.startswith("ds") else "Deployment" for name in names}
    return Nodes(
        names=tuple(f"n{k}" for k in range(len(sizes))),
        groups=tuple(groups or ["all"] * len(sizes)),
        allocatable=np.array([[size, 100.0 * GIB] for size in sizes]),
        workloads=tuple(WorkloadRef("lab", "shop", kinds[name], name) for name in names),
        pods=np.array([names.index(name) for name, _ in pods]),
        where=np.array([node for _, node in pods]),
    )


def cores(*values: float) -> np.ndarray:
    """Requests of CPU alone."""
    return np.array([[value, 0.0] for value in values])


def without_place(nodes: Nodes, wanted: Wanted, order: list[int]) -> dict[int, str]:
    """The raises without a place, and where they looked."""
    return {workload: why.where for workload, why in tried(nodes, wanted, order).items()}


def test_a_pod_asks_for_its_containers_and_the_largest_of_its_starts() -> None:
    """Apps 1 + 2, a sidecar of 0.5; init containers of 1 and 5: 0.5 + max(3, 5) = 5.5 cores."""
    nodes = cluster([8.0], [("web", 0)])
    parts = [("a", "app", 1), ("b", "app", 2), ("s", "sidecar", 0.5), ("i", "init", 1)]
    asked = [
        (ContainerRef("lab", "shop", "Deployment", "web", name), kind, Cpu.from_cores(amount))
        for name, kind, amount in [*parts, ("j", "init", 5)]
    ]
    found = pod_requests(nodes, [(ref, kind, Resources(cpu_limit=cpu)) for ref, kind, cpu in asked])
    assert found[0].tolist() == [5.5, 0.0]


def test_raises_are_granted_in_order_as_long_as_there_is_room() -> None:
    """4 cores, 2 asked for: a raise of one leaves none for the next, and a small one still fits."""
    nodes = cluster([4.0], [("a", 0), ("b", 0), ("c", 0)])
    wanted = Wanted(cores(1, 0.5, 0.5), cores(2, 2, 1))
    assert without_place(nodes, wanted, [0, 1, 2]) == {1: "all"}
    assert without_place(nodes, wanted, [1, 0, 2]) == {0: "all"}


def test_a_raise_that_is_refused_leaves_everything_as_it_was() -> None:
    """Two pods to 3 cores each: one would fit and the other not, so that neither moves."""
    nodes = cluster([4.0, 2.0], [("a", 0), ("a", 1), ("b", 1)])
    wanted = Wanted(cores(1, 1), cores(3, 2))
    assert without_place(nodes, wanted, [0, 1]) == {0: "all"}


def test_what_falls_makes_room_on_its_node() -> None:
    """3 of 4 cores fall to 1: then 3 fit beside them, and 3.1 do not."""
    nodes = cluster([4.0], [("a", 0), ("b", 0)])
    assert without_place(nodes, Wanted(cores(3, 1), cores(1, 3)), [1]) == {}
    assert without_place(nodes, Wanted(cores(3, 1), cores(1, 3.1)), [1]) == {1: "all"}


def test_a_daemon_set_is_held_by_its_fullest_node() -> None:
    """0.5 more on each of two nodes: the one that is full has no room, and is named."""
    nodes = cluster([4.0, 4.0], [("ds", 0), ("ds", 1), ("b", 1)])
    assert without_place(nodes, Wanted(cores(0.5, 3.5), cores(1, 3.5)), [0]) == {0: "n1"}


def test_no_raise_leaves_the_groups_that_its_pods_run_on() -> None:
    """The other group has 16 cores free, and may have a taint."""
    nodes = cluster([2.0, 16.0], [("a", 0), ("b", 1)], ["small", "large"])
    assert without_place(nodes, Wanted(cores(1, 1), cores(3, 1)), [0]) == {0: "small"}


def test_a_group_tells_what_it_holds_and_how_few_nodes_would_do() -> None:
    """Three nodes of 4 cores with a DaemonSet of 1 each leave 3: six pods of 1 need two of them.

    At half a core six pods need one. Priced at 0.1 a core-hour, 3 cores less are 219 a month, and
    so is one node of 4 cores 292.
    """
    pods = [(f"w{k}", k % 3) for k in range(6)] + [("ds", 0), ("ds", 1), ("ds", 2)]
    nodes = cluster([4.0, 4.0, 4.0], pods)
    wanted = Wanted(cores(*[1.0] * 6, 1.0), cores(*[0.5] * 6, 1.0))
    (found,) = pack_groups(nodes, wanted, {"*": (0.1, 0.0)}).groups
    assert (found.nodes, found.pods, found.cpu_cores) == (3, 9, 12.0)
    assert (found.cpu_now, found.cpu_after) == (9.0, 6.0)
    assert (found.needed_now, found.needed_after) == (2, 1)
    assert found.freed == pytest.approx(3 * 0.1 * 730)
    assert found.saved == pytest.approx(4 * 0.1 * 730)
    assert found.homeless == 0


def test_the_loss_of_the_fullest_node_is_tried() -> None:
    """Two nodes of 4: 3 x 1 on one, 2 x 1 on the other; two of the three find room, one none."""
    pods = [("a", 0), ("b", 0), ("c", 0), ("d", 1), ("e", 1)]
    nodes = cluster([4.0, 4.0], pods)
    (found,) = pack_groups(nodes, Wanted(cores(*[1.0] * 5), cores(*[1.0] * 5))).groups
    assert found.homeless == 1
    assert found.freed is None and found.saved is None


def test_nodes_and_pods_are_read_as_they_are_at_the_end() -> None:
    """Pods that ended, without a node or on one that is unknown take no part."""
    node = {"name": "n1", "cpu_allocatable_cores": 4.0, "memory_allocatable_bytes": 8.0 * GIB}
    rows: list[dict[str, Any]] = [
        {"pod": "web-1", "node": "n1"},
        {"pod": "web-2", "node": "n1", "ended": START},
        {"pod": "web-3", "node": "gone"},
        {"pod": "web-4", "node": None},
    ]
    owner = {"namespace": "shop", "workload_kind": "Deployment", "workload": "web"}
    of = histories(window=meta(nodes=(node,)))
    assert nodes_of(of) is None
    table = validate_pods(pd.DataFrame([{"ended": None, **owner, **row} for row in rows]))
    found = nodes_of(replace(of, pods=table))
    assert found is not None
    assert found.where.tolist() == [0] and found.groups == ("4 CPU, 8Gi",)


def test_a_node_belongs_to_the_group_that_its_provider_names() -> None:
    """Else nodes of one size are a group; labels may be spelt as metrics spell them."""
    size = {"cpu_allocatable_cores": 4.0, "memory_allocatable_bytes": float(Memory(8 * GIB).bytes)}
    assert group_of(size) == "4 CPU, 8Gi"
    assert group_of({**size, "labels": {"eks_amazonaws_com_nodegroup": "spot"}}) == "spot"
    both = {"node.kubernetes.io/instance-type": "m5", "karpenter.sh/nodepool": "general"}
    assert group_of({**size, "labels": both}) == "general"


def test_each_node_tells_what_it_holds_and_whether_it_could_go() -> None:
    """Three nodes of 4 cores with 3, 1 and 1 asked for: one pod of 1 finds room, two do not."""
    nodes = cluster([4.0, 4.0, 4.0], [("a", 0), ("b", 1), ("c", 2)])
    wanted = Wanted(cores(3, 3, 3), cores(3, 1, 1))
    found = pack_groups(nodes, wanted)
    assert [(n.cpu_now, n.cpu_after) for n in found.nodes] == [(3.0, 3.0), (3.0, 1.0), (3.0, 1.0)]
    assert [n.can_go for n in found.nodes] == [False, True, False]
    assert (found.groups[0].needed_now, found.groups[0].needed_after) == (3, 2)


def test_what_could_go_leaves_room_for_the_nodes_to_be_spared() -> None:
    """2 cores on each of three nodes of 4: one could go; not where one more is to be spared.

    With one gone two nodes are full, and the loss of one leaves two pods of 2 without room.
    """
    nodes = cluster([4.0, 4.0, 4.0], [("a", 0), ("b", 1), ("c", 2)])
    wanted = Wanted(cores(2, 2, 2), cores(2, 2, 2))
    assert pack_groups(nodes, wanted).groups[0].needed_after == 2
    spared = pack_groups(nodes, wanted, spare=1)
    assert (spared.groups[0].needed_after, spared.spare) == (3, 1)


def test_a_raise_leaves_room_for_the_loss_of_the_fullest_node() -> None:
    """Two nodes of 4 with 1 and 2 asked for: to 2 each fits one node, to 2.5 the loss does not."""
    nodes = cluster([4.0, 4.0], [("a", 0), ("b", 1)])
    assert tried(nodes, Wanted(cores(1, 2), cores(2, 2)), [0], {0: 1}) == {}
    lost = tried(nodes, Wanted(cores(1, 2), cores(2.5, 2)), [0], {0: 1})
    assert lost == {0: Refusal("all", "n0", 1)}
    assert tried(nodes, Wanted(cores(1, 2), cores(2.5, 2)), [0]) == {}


def test_a_group_that_cannot_lose_a_node_anyway_is_not_held() -> None:
    """Of a single node nothing is left that a raise could spare or use up."""
    nodes = cluster([4.0], [("a", 0)])
    assert tried(nodes, Wanted(cores(1), cores(3)), [0], {0: 1}) == {}


def test_further_resources_bound_where_a_pod_fits() -> None:
    """A raise of CPU has room on the node without a GPU only, and its pod asks for one."""
    nodes = replace(
        cluster([4.0, 16.0], [("a", 0), ("b", 0)]),
        resources=("cpu", "memory", "nvidia_com_gpu"),
        allocatable=np.array([[4.0, 100.0 * GIB, 1.0], [16.0, 100.0 * GIB, 0.0]]),
        beside=np.array([[0.0, 0.0, 1.0], [0.0, 0.0, 0.0]]),
    )
    wanted = Wanted(np.array([[1.0, 0, 1], [2, 0, 0]]), np.array([[3.0, 0, 1], [2, 0, 0]]))
    assert tried(nodes, wanted, [0]) == {0: Refusal("all", homeless=1)}
    free = Wanted(wanted.now * [1, 1, 0], wanted.new * [1, 1, 0])
    assert tried(nodes, free, [0]) == {}
    node = pack_groups(nodes, wanted).nodes[0]
    assert node.others == {"nvidia_com_gpu": (1.0, 1.0)}
    assert node.short == ("cpu",)


def test_a_pod_that_no_node_it_may_use_can_take_is_told() -> None:
    """5 cores on nodes of 4, nothing changed: it is there still, and would never come back."""
    nodes = cluster([4.0, 4.0], [("a", 0), ("b", 1)])
    (found,) = pack_groups(nodes, Wanted(cores(5, 1), cores(5, 1))).unplaced
    assert (found.workload, found.pods) == ("shop/Deployment/a", 1)
    assert found.reason == "no node that it may use has so much cpu"


def test_raises_for_which_nodes_are_added_are_told_as_such() -> None:
    """3 of 4 cores are taken on the only node, and the other wants 2 instead of 1."""
    nodes = cluster([4.0], [("a", 0), ("b", 0)])
    wanted = Wanted(cores(3, 1), cores(3, 2))
    assert pack_groups(nodes, wanted).unplaced == ()
    (found,) = pack_groups(nodes, wanted, growing=[1]).unplaced
    assert (found.workload, found.reason) == ("shop/Deployment/b", "a node has to be added for it")


def test_pods_that_keep_apart_take_a_node_each() -> None:
    """Two pods on two of three nodes; raised, the third node alone could take both."""
    apart = Scheduling(tolerations=(), spreads=(Spread(HOSTNAME),), whole=True)
    nodes = replace(
        cluster([4.0, 4.0, 16.0], [("a", 0), ("a", 1), ("b", 0), ("b", 1)]),
        described=(Node(told=True),) * 3,
        asked={0: apart},
    )
    wanted = Wanted(cores(1, 2), cores(3, 2))
    assert tried(nodes, wanted, [0]) == {0: Refusal("all", homeless=1)}
    assert tried(replace(nodes, asked={}), wanted, [0]) == {}


@pytest.mark.parametrize("asking", [0, 1])
def test_pods_keep_away_from_those_that_either_side_names(asking: int) -> None:
    """The second of two nodes has room, and a pod of the other workload; whoever names whom."""
    labels = ({"app": "a"}, {"app": "b"}, {"app": "c"})
    described = [Scheduling(tolerations=(), whole=True, labels=tuple(of.items())) for of in labels]
    away = Away(HOSTNAME, {"matchLabels": labels[1 - asking]})
    described[asking] = replace(described[asking], away=(away,))
    nodes = replace(
        cluster([2.0, 4.0], [("a", 0), ("b", 1), ("c", 0)]),
        described=(Node(told=True),) * 2,
        asked=dict(enumerate(described)),
    )
    wanted = Wanted(cores(0.5, 0.5, 1.5), cores(1.5, 0.5, 1.5))
    assert tried(nodes, wanted, [0]) == {0: Refusal("all", homeless=1)}
    assert tried(replace(nodes, asked={}), wanted, [0]) == {}


@pytest.mark.parametrize(
    ("zones", "named", "refused"),
    [("ab", "db", True), ("aa", "db", False), ("ab", "unknown", True), ("ab", "web", False)],
    ids=["in its zone", "zone with room", "pods that nobody knows", "its own alone"],
)
def test_pods_stand_beside_those_that_they_ask_for(zones: str, named: str, refused: bool) -> None:
    """A pod on n0 beside db wants 1.5 of what db leaves of 2; n1 has 16, in zone b or a.

    Where no pod is known that is meant, it stays where it stands; the first of its own goes
    anywhere.
    """
    near = Near("zone", {"matchLabels": {"app": named}})
    described = [
        Scheduling(tolerations=(), whole=True, near=(near,), labels=(("app", "web"),)),
        Scheduling(tolerations=(), whole=True, labels=(("app", "db"),)),
    ]
    nodes = replace(
        cluster([2.0, 16.0], [("a", 0), ("b", 0)]),
        described=tuple(Node({"zone": zone}, told=True) for zone in zones),
        asked=dict(enumerate(described)),
    )
    wanted = Wanted(cores(0.5, 1.4), cores(1.5, 1.4))
    assert tried(nodes, wanted, [0]) == ({0: Refusal("all", homeless=1)} if refused else {})


def test_pods_that_stand_beside_others_move_along_with_them() -> None:
    """A node goes: the larger pod needs the smaller one, which finds its place first."""
    near = Near(HOSTNAME, {"matchLabels": {"app": "db"}})
    nodes = replace(
        cluster([4.0, 4.0], [("a", 0), ("b", 0), ("c", 1)]),
        described=(Node(told=True),) * 2,
        asked={
            0: Scheduling(tolerations=(), whole=True, near=(near,)),
            1: Scheduling(tolerations=(), whole=True, labels=(("app", "db"),)),
        },
    )
    amounts = cores(1, 0.5, 0.1)
    (group,) = pack_groups(nodes, Wanted(amounts, amounts)).groups
    assert group.needed_now == 1


def test_namespaces_of_a_term_keep_pods_of_others_away() -> None:
    """The second node has room, and a pod of another namespace that is to be kept away from."""
    away = Away(HOSTNAME, {"matchLabels": {"app": "db"}}, ("data",))
    labels = (("app", "db"),)
    plain = cluster([2.0, 4.0], [("a", 0), ("b", 1), ("c", 0)])
    far = replace(plain.workloads[1], namespace="data")
    nodes = replace(
        plain,
        workloads=(plain.workloads[0], far, plain.workloads[2]),
        described=(Node(told=True),) * 2,
        asked={
            0: Scheduling(tolerations=(), whole=True, away=(away,)),
            1: Scheduling(tolerations=(), whole=True, labels=labels),
        },
    )
    wanted = Wanted(cores(0.5, 0.5, 1.5), cores(1.5, 0.5, 1.5))
    assert tried(nodes, wanted, [0]) == {0: Refusal("all", homeless=1)}
    near_by = replace(nodes, workloads=plain.workloads)
    assert tried(near_by, wanted, [0]) == {}


def test_what_goes_of_one_group_leaves_room_for_the_loss_in_another() -> None:
    """Nodes of 4 cores in group a hold 2 and 1.9, so that either can be lost; three of 3 in b.

    The 0.2 of b's emptiest node could go to a alone, which then had 4.1 for one node of 4.
    """
    described = tuple(
        Node({"pool": pool, "for_y": y}, told=True)
        for pool, y in [("a", "1"), ("a", "1"), ("b", "1"), ("b", "0"), ("b", "0")]
    )
    selectors = [("pool", "a"), ("pool", "a"), ("for_y", "1"), ("pool", "b"), ("pool", "b")]
    nodes = replace(
        cluster(
            [4.0, 4.0, 3.0, 3.0, 3.0],
            [("w", 0), ("x", 1), ("y", 2), ("z", 3), ("u", 4)],
            [node.labels["pool"] for node in described],
        ),
        described=described,
        asked={
            number: Scheduling((Requirement(key, "In", (value,)),), tolerations=(), whole=True)
            for number, (key, value) in enumerate(selectors)
        },
    )
    for used, can_go in ((1.9, []), (1.7, ["n2"])):
        amounts = cores(2, used, 0.2, 1, 1)
        found = pack_groups(nodes, Wanted(amounts, amounts), spare=1)
        assert [node.name for node in found.nodes if node.can_go] == can_go


def test_pods_that_spread_over_zones_stay_within_their_skew() -> None:
    """Three pods over zones a (two nodes) and b: 2 and 1; b's node has no room for a raise."""
    spread = Scheduling(tolerations=(), spreads=(Spread("zone", 1),), whole=True)
    nodes = replace(
        cluster([8.0, 8.0, 4.0], [("a", 0), ("a", 1), ("a", 2), ("b", 2)]),
        described=tuple(Node({"zone": zone}, told=True) for zone in "aab"),
        asked={0: spread},
    )
    wanted = Wanted(cores(1, 2), cores(3, 2))
    assert tried(nodes, wanted, [0]) == {0: Refusal("all", homeless=2)}
    assert tried(replace(nodes, asked={}), wanted, [0]) == {}


def test_a_node_with_pods_that_nobody_makes_anew_stays() -> None:
    """A pod without an owner and a static one would be gone with their node."""
    nodes = cluster([4.0, 4.0], [("a", 0), ("b", 1)])
    for kind in ("Pod", "Node"):
        owned = replace(nodes, workloads=(nodes.workloads[0], WorkloadRef("lab", "s", kind, "b")))
        found = pack_groups(owned, Wanted(cores(1, 1), cores(1, 1)))
        assert [node.can_go for node in found.nodes] == [True, False]


def test_a_node_of_the_control_plane_stays() -> None:
    """The emptiest of three; what runs the cluster need not be a pod, K3s has it in a process."""
    nodes = cluster([4.0, 4.0, 4.0], [("a", 0), ("b", 1), ("ds", 2)])
    described = tuple(node_of({"name": "n", "roles": roles}) for roles in ([], [], ["etcd"]))
    found = pack_groups(replace(nodes, described=described), Wanted(cores(1, 1, 0), cores(1, 1, 0)))
    assert [node.can_go for node in found.nodes] == [True, True, False]


def test_what_a_pod_declares_as_a_whole_counts_with_its_overhead() -> None:
    """2 cores of the pod instead of its containers' 0.5, and 0.25 of the runtime on top."""
    nodes = replace(cluster([8.0], [("web", 0)]), beside=np.array([[0.25, 64.0]]))
    ref = ContainerRef("lab", "shop", "Deployment", "web", "a")
    amounts = [(ref, "app", Resources(cpu_request=Cpu(500), memory_request=Memory(GIB)))]
    assert pod_requests(nodes, amounts)[0].tolist() == [0.75, GIB + 64.0]
    whole = {ref.workload_ref: Resources(cpu_request=Cpu(2000))}
    assert pod_requests(nodes, amounts, whole)[0].tolist() == [2.25, GIB + 64.0]


def test_two_groups_are_not_emptied_into_each_other() -> None:
    """A node of each group, and pods that may use either: one of the two can go, and not both."""
    nodes = cluster([4.0, 4.0], [("a", 0), ("b", 1)], ["one", "other"])
    anywhere = Scheduling(tolerations=(), whole=True, source="cluster")
    nodes = replace(
        nodes, described=(Node(told=True), Node(told=True)), asked={0: anywhere, 1: anywhere}
    )
    packing = pack_groups(nodes, Wanted(cores(1, 1), cores(1, 1)))
    assert [(group.needed_now, group.needed_after) for group in packing.groups] == [(0, 0), (1, 1)]
    assert [node.can_go for node in packing.nodes] == [True, False]
