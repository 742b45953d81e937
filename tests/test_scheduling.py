"""What pods ask of nodes, read as Kubernetes reads it."""

from __future__ import annotations

from typing import Any

import pytest

from analyzer.scheduling import (
    HOSTNAME,
    Away,
    Candidates,
    Node,
    Scheduling,
    Spread,
    Toleration,
    bears,
    grants,
    node_of,
    scheduling_of,
)

GPU = {"name": "g", "labels": {"pool": "gpu", "zone": "a"}, "taints": ["gpu=yes:NoSchedule"]}
PLAIN = {"name": "p", "labels": {"pool": "plain", "zone": "b"}, "taints": []}
DB = {"labelSelector": {"matchLabels": {"app": "db"}}}
NAMED = {"matchLabels": {"kubernetes.io/metadata.name": "data"}}
BEARS = [{"key": "gpu", "operator": "Equal", "value": "yes", "effect": "NoSchedule"}]


def asked(**pod: Any) -> Scheduling:
    return scheduling_of(pod, {"app": "web"}, "repository")


def candidates(
    nodes: list[Node], of: Scheduling | None, stood: set[int], groups: list[str]
) -> tuple[list[int], str]:
    found, source = Candidates(nodes, groups).of(of, stood)
    return list(found), source


def required(kind: str, key: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """The required part of an affinity."""
    inner: Any = {key: rows} if key else rows
    return {kind: {"requiredDuringSchedulingIgnoredDuringExecution": inner}}


def terms(*expressions: dict[str, Any]) -> dict[str, Any]:
    rows = [{"matchExpressions": [one]} for one in expressions]
    return required("nodeAffinity", "nodeSelectorTerms", rows)


@pytest.mark.parametrize(
    ("expression", "gpu", "plain"),
    [
        ({"key": "pool", "operator": "In", "values": ["gpu", "other"]}, True, False),
        ({"key": "pool", "operator": "NotIn", "values": ["gpu"]}, False, True),
        ({"key": "zone", "operator": "Exists"}, True, True),
        ({"key": "zone", "operator": "DoesNotExist"}, False, False),
        ({"key": "none", "operator": "NotIn", "values": ["x"]}, True, True),
        ({"key": "pool", "operator": "Gt", "values": ["3"]}, False, False),
    ],
)
def test_an_affinity_is_read_as_the_scheduler_reads_it(
    expression: dict[str, Any], gpu: bool, plain: bool
) -> None:
    """In, NotIn (a missing label is none of them), Exists, DoesNotExist, Gt (of whole numbers)."""
    of = asked(affinity=terms(expression), tolerations=[{"operator": "Exists"}])
    assert (grants(node_of(GPU), of), grants(node_of(PLAIN), of)) == (gpu, plain)


def test_one_term_of_an_affinity_is_enough_and_a_selector_has_to_hold_besides() -> None:
    """Terms are alternatives; the selector is not."""
    either = terms(
        {"key": "pool", "operator": "In", "values": ["gpu"]},
        {"key": "pool", "operator": "In", "values": ["plain"]},
    )
    of = asked(affinity=either, tolerations=[{"operator": "Exists"}], nodeSelector={"zone": "b"})
    assert not grants(node_of(GPU), of)
    assert grants(node_of(PLAIN), of)


@pytest.mark.parametrize(
    ("toleration", "borne"),
    [
        ({"key": "gpu", "value": "yes", "effect": "NoSchedule"}, True),
        ({"key": "gpu", "value": "no", "effect": "NoSchedule"}, False),
        ({"key": "gpu", "operator": "Exists"}, True),
        ({"key": "gpu", "operator": "Exists", "effect": "NoExecute"}, False),
        ({"operator": "Exists"}, True),
        ({"key": "other", "operator": "Exists"}, False),
    ],
)
def test_a_taint_is_borne_by_what_tolerates_it(toleration: dict[str, Any], borne: bool) -> None:
    """Key, value and effect have to fit; none of a key or an effect fits all."""
    tolerations = asked(tolerations=[toleration]).tolerations
    assert tolerations is not None
    assert bears(node_of(GPU), tolerations) is borne


def test_a_preference_keeps_nobody_away_and_a_cordon_does() -> None:
    """PreferNoSchedule is a wish; a cordoned node takes no pod."""
    assert bears(node_of({"name": "n", "taints": ["a=b:PreferNoSchedule"]}), ())
    assert not bears(node_of({"name": "n", "unschedulable": True}), ())


@pytest.mark.parametrize(
    ("told", "is_one"),
    [
        ({"roles": ["control-plane"]}, True),
        ({"labels": {"node_role_kubernetes_io_control_plane": "true"}}, True),
        ({"labels": {"node-role.kubernetes.io/master": ""}}, True),
        ({"taints": ["node-role.kubernetes.io/control-plane:NoSchedule"]}, True),
        ({"roles": ["worker"], "labels": {"pool": "control-plane"}}, False),
        ({"taints": ["dedicated=control-plane:NoSchedule"]}, False),
    ],
)
def test_a_node_of_the_control_plane_is_known_by_role_label_or_taint(
    told: dict[str, Any], is_one: bool
) -> None:
    """Prometheus drops labels without a value, so that kubeadm's label is never told there."""
    assert node_of({"name": "n", **told}).control_plane is is_one


def test_pods_of_a_known_description_may_go_wherever_it_lets_them() -> None:
    """Two groups, nothing asked for: the other group as well, but for its taint."""
    nodes = [node_of(row) for row in (PLAIN, GPU, {**PLAIN, "name": "q"})]
    groups = ["x", "y", "z"]
    assert candidates(nodes, asked(), {0}, groups) == ([0, 2], "repository")
    assert candidates(nodes, asked(tolerations=BEARS), {0}, groups) == ([0, 1, 2], "repository")
    selector = asked(tolerations=BEARS, nodeSelector={"pool": "gpu"})
    assert candidates(nodes, selector, {1}, groups) == ([1], "repository")


@pytest.mark.parametrize(
    "pod",
    [
        {"nodeSelector": {"kubernetes.io/os": "linux"}},
        {"affinity": required("podAffinity", "", [{"topologyKey": "zone"}])},
        {"affinity": required("podAffinity", "", [{"topologyKey": "rack", **DB}])},
        {"schedulerName": "volcano"},
        {"affinity": terms({"key": "pool", "operator": "Near", "values": []})},
        {"nodeSelector": {"pool": "gpu"}},
    ],
    ids=[
        "label not exported",
        "near all",
        "near by a label",
        "another scheduler",
        "garbled",
        "stands elsewhere",
    ],
)
def test_what_cannot_be_judged_keeps_pods_where_they_run(pod: dict[str, Any]) -> None:
    """A label that is not exported, pods of others, a description that the cluster contradicts."""
    nodes = [node_of(row) for row in (PLAIN, {**PLAIN, "name": "q"})]
    assert candidates(nodes, asked(**pod), {0}, ["x", "y"]) == ([0], "where it runs")


def test_taints_that_nobody_told_are_not_taken_for_none() -> None:
    """Without a word of taints a description alone opens no other group."""
    nodes = [node_of({"name": name}) for name in "ab"]
    assert candidates(nodes, asked(), {0}, ["x", "y"])[0] == [0]


def test_metrics_only_narrow_where_a_pod_may_go() -> None:
    """They tell no affinity: the group it runs on, without the node whose taint it does not bear.

    Where not even tolerations are told, taints are borne that its pods stand beside already.
    """
    nodes = [node_of(row) for row in (PLAIN, GPU, {**PLAIN, "name": "q"})]
    shown = Scheduling(tolerations=(Toleration("a", "Exists"),), source="metrics")
    assert candidates(nodes, shown, {0}, ["x", "x", "y"])[0] == [0]
    assert candidates(nodes, None, {0}, ["x", "x", "y"])[0] == [0]
    assert candidates(nodes, None, {0, 1}, ["x", "x", "y"])[0] == [0, 1]


def test_pods_that_keep_apart_are_known_by_their_own_labels() -> None:
    """Anti-affinity to itself is a spread of one; to others it is so within their namespace."""
    apart = {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {}}}
    own = {**apart, "labelSelector": {"matchLabels": {"app": "web"}}}
    other = {**apart, "labelSelector": {"matchLabels": {"app": "db"}}}
    of = asked(affinity=required("podAntiAffinity", "", [own]))
    assert of.spreads == (Spread("kubernetes_io_hostname"),)
    of = asked(affinity=required("podAntiAffinity", "", [other]))
    assert of.away == (Away("kubernetes_io_hostname", {"matchLabels": {"app": "db"}}),)
    assert not of.unread
    far = {**other, "namespaceSelector": {"matchLabels": {"team": "a"}}}
    assert asked(affinity=required("podAntiAffinity", "", [far])).unread
    skew = {"topologyKey": "zone", "maxSkew": 1, "whenUnsatisfiable": "DoNotSchedule"}
    selector = {"labelSelector": {"matchExpressions": [{"key": "app", "operator": "Exists"}]}}
    assert asked(topologySpreadConstraints=[{**skew, **selector}]).spreads == (Spread("zone", 1),)
    soft = {**skew, **selector, "whenUnsatisfiable": "ScheduleAnyway"}
    assert asked(topologySpreadConstraints=[soft]).spreads == ()


@pytest.mark.parametrize(
    ("of", "own", "named", "other"),
    [
        ({}, True, False, False),
        ({"namespaces": ["data"]}, False, True, False),
        ({"namespaceSelector": {}}, True, True, True),
        ({"namespaceSelector": NAMED, "namespaces": ["web"]}, True, True, False),
    ],
    ids=["own", "named", "all", "by the label of its name"],
)
def test_other_pods_are_meant_in_the_namespaces_of_a_term(
    of: dict[str, Any], own: bool, named: bool, other: bool
) -> None:
    """Kubernetes' rule: without a word its own, an empty selector all, else the named ones."""
    term = {"topologyKey": "kubernetes.io/hostname", **DB, **of}
    for kind in ("podAntiAffinity", "podAffinity"):
        read = asked(affinity=required(kind, "", [term]))
        assert not read.unread
        found: Away = next(iter((*read.away, *read.near)))
        assert (found.key, found.selector) == (HOSTNAME, DB["labelSelector"])
        meant = [found.means("web", namespace) for namespace in ("web", "data", "x")]
        assert meant == [own, named, other]
    by_revision = {**term, "matchLabelKeys": ["pod-template-hash"]}
    assert asked(affinity=required("podAffinity", "", [by_revision])).unread


@pytest.mark.parametrize("rows", [[], [{}], [{"matchExpressions": []}]])
def test_a_list_without_conditions_matches_no_node(rows: list[dict[str, Any]]) -> None:
    """As in Kubernetes: no term is none that holds, and neither is an empty one."""
    of = asked(affinity=required("nodeAffinity", "nodeSelectorTerms", rows))
    assert not grants(node_of(PLAIN), of)
    either = [*rows, {"matchExpressions": [{"key": "pool", "operator": "Exists"}]}]
    both = asked(affinity=required("nodeAffinity", "nodeSelectorTerms", either))
    assert grants(node_of(PLAIN), both)


@pytest.mark.parametrize("value", [None, 7, "x", [7], {"requiredDuring": 7}])
def test_garbage_in_a_description_is_no_error(value: Any) -> None:
    """Manifests come from strangers."""
    names = ("nodeSelector", "affinity", "tolerations", "topologySpreadConstraints")
    scheduling_of(dict.fromkeys(names, value), {}, "repository")
    scheduling_of({"affinity": {"nodeAffinity": value, "podAntiAffinity": value}}, {}, "repository")
