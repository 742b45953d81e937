"""What a pod asks of nodes besides CPU and memory, and which nodes grant it.

Selectors, affinity, tolerations and spread, read from the description of a pod; labels and taints
of nodes as they were exported. Keys are compared as kube-state-metrics spells them, because that
is how metrics name them. What cannot be judged is told, and never guessed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from analyzer.lifecycle import Lifecycle, lifecycle_of

HOSTNAME = "kubernetes_io_hostname"
"""The label by which a node is told from every other."""
_NOT_A_LABEL = re.compile(r"[^A-Za-z0-9_]")
_BINDING = ("NoSchedule", "NoExecute")
"""Effects of taints that keep a pod away; the third is a preference."""
_CONTROL_PLANE = ("control-plane", "master", "etcd")
"""Roles of nodes that run the cluster itself, as kubeadm, Talos and K3s name them."""


@dataclass(frozen=True, slots=True)
class Requirement:
    """One condition on a label of a node: a selector's, or an affinity's."""

    key: str
    operator: str
    values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Toleration:
    """A taint that a pod bears; an empty `key` or `effect` stands for any."""

    key: str = ""
    operator: str = "Equal"
    value: str = ""
    effect: str = ""


@dataclass(frozen=True, slots=True)
class Spread:
    """How a workload's pods lie over the values of a label of nodes.

    With `skew` no value has so many more than the least; without one, a value has one pod at most.
    """

    key: str
    skew: int | None = None


@dataclass(frozen=True, slots=True)
class Away:
    """Other pods, by their labels, that share no value of a label of nodes.

    They are of its own namespace, or of one that the patterns of `namespaces` name.
    """

    key: str
    selector: Mapping[str, Any]
    namespaces: tuple[str, ...] = ()

    def means(self, own: str, namespace: str) -> bool:
        """Whether pods of `namespace` are meant by a pod of the namespace `own`."""
        if not self.namespaces:
            return namespace == own
        return ANY_NAMESPACE in self.namespaces or namespace in self.namespaces


@dataclass(frozen=True, slots=True)
class Near(Away):
    """Pods, its own among them, one of which at least shares a value of a label of nodes."""


ANY_NAMESPACE = "*"


@dataclass(frozen=True, slots=True)
class Scheduling:
    """What the pods of a workload ask of nodes.

    A node has to grant all of `selector` and all of one of `terms`. `tolerations` are None where
    nobody told. `unread` says what was asked that is not understood here, and `whole` whether this
    is all that is asked: metrics tell a part, a manifest all. `source` says who told.
    """

    selector: tuple[Requirement, ...] = ()
    terms: tuple[tuple[Requirement, ...], ...] = ()
    tolerations: tuple[Toleration, ...] | None = None
    spreads: tuple[Spread, ...] = ()
    away: tuple[Away, ...] = ()
    near: tuple[Near, ...] = ()
    unread: tuple[str, ...] = ()
    whole: bool = False
    source: str = ""
    priority_class: str = ""
    labels: tuple[tuple[str, str], ...] = ()
    """The labels that the pods carry."""
    lifecycle: Lifecycle = field(default_factory=Lifecycle)
    """How its containers start, change in place and end, where its description says so."""

    @property
    def keys(self) -> frozenset[str]:
        """The labels of nodes that decide."""
        every = (*self.selector, *(one for term in self.terms for one in term))
        return frozenset((*(one.key for one in every), *(one.key for one in self.near)))


@dataclass(frozen=True, slots=True)
class Node:
    """What of a node decides which pods it takes; `taints` are key, value and effect."""

    labels: Mapping[str, str] = field(default_factory=dict)
    taints: tuple[tuple[str, str, str], ...] = ()
    told: bool = False
    """Whether its taints are told at all: none told is not the same as none."""
    control_plane: bool = False
    """Whether it runs the cluster itself, be it in pods or in none that anybody sees."""

    @property
    def binding(self) -> frozenset[tuple[str, str, str]]:
        """The taints that keep away whoever does not bear them."""
        return frozenset(taint for taint in self.taints if taint[2] in _BINDING)


def metric_name(label: str) -> str:
    """How kube-state-metrics spells a label."""
    return _NOT_A_LABEL.sub("_", label)


def node_of(row: Mapping[str, Any]) -> Node:
    """A node from its row in the metadata of a recording."""
    labels = {metric_name(str(k)): str(v) for k, v in (row.get("labels") or {}).items()}
    taints = tuple(_taint(str(text)) for text in row.get("taints") or ())
    if row.get("unschedulable"):
        taints += (("node.kubernetes.io/unschedulable", "", "NoSchedule"),)
    told = row.get("taints") is not None
    named = {*labels, *(metric_name(key) for key, _, _ in taints)}
    named |= {_role_label(str(role)) for role in row.get("roles") or ()}
    return Node(
        {HOSTNAME: str(row.get("name", "")), **labels},
        tuple(dict.fromkeys(taints)),
        told,
        not named.isdisjoint(map(_role_label, _CONTROL_PLANE)),
    )


def _role_label(role: str) -> str:
    return metric_name(f"node-role.kubernetes.io/{role}")


def _taint(text: str) -> tuple[str, str, str]:
    """``key=value:effect``, the value optional."""
    front, _, effect = text.rpartition(":")
    key, _, value = front.partition("=")
    return key, value, effect


def grants(node: Node, asked: Scheduling) -> bool:
    """Whether a node grants what is asked, as far as its labels and taints go."""
    if not all(_holds(one, node.labels) for one in asked.selector):
        return False
    if asked.terms and not any(all(_holds(o, node.labels) for o in t) for t in asked.terms):
        return False
    return asked.tolerations is None or bears(node, asked.tolerations)


def bears(node: Node, tolerations: Sequence[Toleration]) -> bool:
    """Whether every taint of the node that keeps pods away is tolerated."""
    return all(any(_tolerates(one, taint) for one in tolerations) for taint in node.binding)


def _tolerates(one: Toleration, taint: tuple[str, str, str]) -> bool:
    key, value, effect = taint
    if one.effect and one.effect != effect:
        return False
    if not one.key:
        return one.operator == "Exists"
    if metric_name(one.key) != metric_name(key):
        return False
    return one.operator == "Exists" or one.value == value


def _holds(one: Requirement, labels: Mapping[str, str]) -> bool:
    value = labels.get(one.key)
    judge = _OPERATORS.get(one.operator)
    return judge is not None and judge(value, one.values)


def _compared(value: str | None, values: Sequence[str], sign: int) -> bool:
    try:
        return value is not None and sign * (int(value) - int(values[0])) > 0
    except (ValueError, IndexError):
        return False


_OPERATORS: Mapping[str, Callable[[str | None, Sequence[str]], bool]] = {
    "In": lambda value, values: value in values,
    "NotIn": lambda value, values: value not in values,
    "Exists": lambda value, _: value is not None,
    "DoesNotExist": lambda value, _: value is None,
    "Gt": lambda value, values: _compared(value, values, 1),
    "Lt": lambda value, values: _compared(value, values, -1),
}


# --- from the description of a pod ------------------------------------------------------------


def scheduling_of(pod: Mapping[str, Any], labels: Mapping[str, str], source: str) -> Scheduling:
    """What the description of a pod (``spec``) asks; `labels` are those that its pods carry.

    Garbled parts count as not understood.
    """
    affinity = _mapping(pod.get("affinity"))
    unread: list[str] = []
    terms = tuple(_terms(_mapping(affinity.get("nodeAffinity")), unread))
    apart = list(_apart(affinity, labels, unread))
    spreads = (*(s for s in apart if isinstance(s, Spread)), *_spreads(pod, labels, unread))
    near = tuple(_near(affinity, unread))
    if pod.get("nodeName"):
        unread.append("nodeName")
    if pod.get("schedulerName") not in (None, "", "default-scheduler"):
        unread.append("schedulerName")
    return Scheduling(
        selector=tuple(
            Requirement(metric_name(str(key)), "In", (str(value),))
            for key, value in sorted(_mapping(pod.get("nodeSelector")).items(), key=str)
        ),
        terms=terms,
        tolerations=tuple(map(toleration_of, _mappings(pod.get("tolerations")))),
        spreads=spreads,
        away=tuple(one for one in apart if isinstance(one, Away)),
        near=near,
        unread=tuple(dict.fromkeys(unread)),
        whole=True,
        source=source,
        priority_class=str(pod.get("priorityClassName") or ""),
        labels=tuple(sorted(labels.items())),
    )


def toleration_of(row: Any) -> Toleration:
    """A toleration from its description; what is missing has the default of Kubernetes."""
    row = _mapping(row)
    texts = {name: str(row.get(name) or "") for name in ("key", "operator", "value", "effect")}
    return Toleration(**{**texts, "operator": texts["operator"] or "Equal"})


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _mappings(value: Any) -> list[Mapping[str, Any]]:
    rows = value if isinstance(value, list | tuple) else ()
    return [row for row in rows if isinstance(row, Mapping)]


def _required(value: Any) -> Any:
    return _mapping(value).get("requiredDuringSchedulingIgnoredDuringExecution")


def _terms(affinity: Mapping[str, Any], unread: list[str]) -> Iterator[tuple[Requirement, ...]]:
    """The terms of a node affinity that is required, of which one has to hold.

    A term without conditions matches no node, and neither does a list without terms.
    """
    rows = _mapping(_required(affinity)).get("nodeSelectorTerms")
    if isinstance(rows, list) and not rows:
        yield _NO_NODE
    for term in _mappings(rows):
        if term.get("matchFields"):
            unread.append("matchFields")
        found = []
        for one in _mappings(term.get("matchExpressions")):
            operator = str(one.get("operator"))
            if operator not in _OPERATORS:
                unread.append(f"the operator {operator}")
            values = one.get("values")
            texts = tuple(map(str, values)) if isinstance(values, list | tuple) else ()
            found.append(Requirement(metric_name(str(one.get("key"))), operator, texts))
        yield tuple(found) or _NO_NODE


_NO_NODE = (Requirement(HOSTNAME, "In"),)
"""What no node grants: each has a name, and none of these."""


def _apart(
    affinity: Mapping[str, Any], labels: Mapping[str, str], unread: list[str]
) -> Iterator[Spread | Away]:
    """Where pods keep away from others, of their own or of their namespace.

    Namespaces that are selected by labels of theirs are not understood.
    """
    for term in _mappings(_required(affinity.get("podAntiAffinity"))):
        read = _read_term(term)
        if read is None:
            unread.append("podAntiAffinity to others")
            continue
        key, selector, namespaces = read
        if not namespaces and selects(selector, labels):
            yield Spread(key)
        yield Away(key, selector, namespaces)


def _near(affinity: Mapping[str, Any], unread: list[str]) -> Iterator[Near]:
    """Beside which pods its own have to stand."""
    for term in _mappings(_required(affinity.get("podAffinity"))):
        read = _read_term(term)
        if read is None:
            unread.append("podAffinity")
        else:
            yield Near(*read)


def _read_term(term: Mapping[str, Any]) -> tuple[str, Mapping[str, Any], tuple[str, ...]] | None:
    """The label of nodes, the pods and the namespaces of a term; None where one is not read."""
    selector, namespaces = _mapping(term.get("labelSelector")), _namespaces(term)
    if not selector or namespaces is None or any(term.get(key) for key in _BY_REVISION):
        return None
    return metric_name(str(term.get("topologyKey"))), selector, namespaces


_BY_REVISION = ("matchLabelKeys", "mismatchLabelKeys")


def _namespaces(term: Mapping[str, Any]) -> tuple[str, ...] | None:
    """The namespaces that a term names, none for its own; None where it goes by their labels.

    The label that has the name of each is the one that is known of all.
    """
    rows = term.get("namespaces")
    named = tuple(map(str, rows)) if isinstance(rows, list | tuple) else ()
    chosen = term.get("namespaceSelector")
    if chosen is None:
        return named
    wanted, more = _mapping(chosen).get("matchLabels"), _mapping(chosen).get("matchExpressions")
    if not wanted and not more:
        return (ANY_NAMESPACE,)
    labels = _mapping(wanted)
    if more or set(labels) != {_NAME_OF_NAMESPACE}:
        return None
    return (*named, str(labels[_NAME_OF_NAMESPACE]))


_NAME_OF_NAMESPACE = "kubernetes.io/metadata.name"


def _spreads(
    pod: Mapping[str, Any], labels: Mapping[str, str], unread: list[str]
) -> Iterator[Spread]:
    for one in _mappings(pod.get("topologySpreadConstraints")):
        if one.get("whenUnsatisfiable") == "ScheduleAnyway":
            continue
        skew = one.get("maxSkew")
        if not isinstance(skew, int) or not _selects(one.get("labelSelector"), labels):
            unread.append("topologySpreadConstraints over others")
            continue
        yield Spread(metric_name(str(one.get("topologyKey"))), skew)


def _selects(selector: Any, labels: Mapping[str, str]) -> bool:
    """Whether a label selector selects what carries `labels`."""
    return bool(_mapping(selector)) and selects(_mapping(selector), labels)


def selects(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """Whether a label selector of Kubernetes selects what carries `labels`; an empty one does."""
    wanted = _mapping(selector.get("matchLabels"))
    if any(labels.get(str(key)) != str(value) for key, value in wanted.items()):
        return False
    for one in _mappings(selector.get("matchExpressions")):
        values = one.get("values")
        texts = tuple(map(str, values)) if isinstance(values, list | tuple) else ()
        if not _holds(Requirement(str(one.get("key")), str(one.get("operator")), texts), labels):
            return False
    return True


# --- which nodes -------------------------------------------------------------------------------


@dataclass
class Candidates:
    """Which of some nodes the pods of a workload may use; `groups` has the group of each node.

    What is asked often is worked out once: most workloads ask the same few things.
    """

    nodes: Sequence[Node]
    groups: Sequence[str]
    _granted: dict[object, frozenset[int]] = field(default_factory=dict, repr=False)
    _near: dict[object, tuple[int, ...]] = field(default_factory=dict, repr=False)

    @cached_property
    def _known(self) -> frozenset[str]:
        """The labels that any node tells."""
        return frozenset(key for node in self.nodes for key in node.labels)

    @cached_property
    def _told(self) -> bool:
        """Whether the taints of all nodes are told."""
        return all(node.told for node in self.nodes)

    def of(self, asked: Scheduling | None, stood: Collection[int]) -> tuple[Sequence[int], str]:
        """The nodes that pods may use which run on those they `stood` on, and who says so.

        Where all that is asked is known and can be judged, labels and taints of the nodes decide.
        Else the pods stay within the groups that they run on, as far as what is known does not
        keep them off.
        """
        if asked is not None and asked.whole and self._told and self._judges(asked):
            granted = self._grant(asked)
            if granted.issuperset(stood):
                return sorted(granted), asked.source
        return self._near_by(asked, stood), "where it runs"

    def _judges(self, asked: Scheduling) -> bool:
        return not asked.unread and asked.keys <= self._known

    def _grant(self, asked: Scheduling) -> frozenset[int]:
        key = (asked.selector, asked.terms, asked.tolerations)
        if key not in self._granted:
            numbers = (n for n, node in enumerate(self.nodes) if grants(node, asked))
            self._granted[key] = frozenset(numbers)
        return self._granted[key]

    def _near_by(self, asked: Scheduling | None, stood: Collection[int]) -> tuple[int, ...]:
        """The groups that pods run on, without the nodes that what is known keeps them off."""
        seen = frozenset(self.groups[number] for number in stood)
        borne = frozenset(taint for number in stood for taint in self.nodes[number].binding)
        tolerations = None if asked is None else asked.tolerations
        selector = () if asked is None else tuple(o for o in asked.selector if o.key in self._known)
        key = (seen, borne if tolerations is None else None, tolerations, selector)
        if key not in self._near:
            self._near[key] = self._narrowed(seen, borne, Scheduling(selector, (), tolerations))
        return self._near[key]

    def _narrowed(
        self, seen: Collection[str], borne: frozenset[tuple[str, str, str]], part: Scheduling
    ) -> tuple[int, ...]:
        near = [number for number, group in enumerate(self.groups) if group in seen]
        if part.tolerations is None:
            near = [number for number in near if self.nodes[number].binding <= borne]
        narrowed = [number for number in near if grants(self.nodes[number], part)]
        # What contradicts where the pods stand is older or newer than they are.
        return tuple(narrowed or near)


def scheduling_of_template(template: Any, source: str, described: object = None) -> Scheduling:
    """What the pods of a template (``metadata`` and ``spec``) ask of nodes, and how they live.

    `described` is the object that the template stands in.
    """
    metadata = _mapping(_mapping(template).get("metadata"))
    labels = {str(key): str(value) for key, value in _mapping(metadata.get("labels")).items()}
    pod = _mapping(_mapping(template).get("spec"))
    found = scheduling_of(pod, labels, source)
    return replace(found, lifecycle=lifecycle_of(described, pod))
