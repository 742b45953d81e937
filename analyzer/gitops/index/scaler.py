"""Autoscalers that a repository states, and where each of their targets of utilisation stands.

A HorizontalPodAutoscaler of any version, or a ScaledObject of KEDA, which makes one. What kustomize
patches on the way has the last word: lists without a merge key, as both kinds have, are replaced as
a whole.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from analyzer.gitops.reach.patch import Patch
from analyzer.gitops.reach.release import Owner
from analyzer.gitops.reach.route import Arrival, Route
from analyzer.gitops.text.address import Address, dotted
from analyzer.gitops.text.tree import Node, Path
from analyzer.kinds import DEPLOYMENT

HPA, SCALED_OBJECT = "HorizontalPodAutoscaler", "ScaledObject"
KINDS = {(HPA, "autoscaling"), (SCALED_OBJECT, "keda.sh")}
_RESOURCES = ("cpu", "memory")


@dataclass(frozen=True, slots=True)
class Leaf:
    """One target in an object: of which resource, of which container alone, where, as written."""

    resource: str
    container: str | None
    path: Path
    text: str

    @property
    def percent(self) -> float | None:
        """The target as a number; None where a template fills it in."""
        return float(self.text) if self.text.isascii() and self.text.isdigit() else None


@dataclass(frozen=True, slots=True)
class Target:
    """A target of utilisation, and where its text stands; `problem` is why it is not to be edited.

    `leaf` counts from the object as it arrives in the cluster.
    """

    leaf: Leaf
    file: str
    address: Address
    problem: str = ""

    @property
    def where(self) -> str:
        """File and path as people read them."""
        address = self.address.inner or self.address
        return f"{self.file}: {dotted(address.path)}"


@dataclass(frozen=True, slots=True)
class Scaler:
    """An autoscaler of one workload: its object, its HPA's name, its bounds and its targets."""

    api_version: str
    kind: str
    name: str
    namespace: str
    scaled: tuple[str, str]
    least: int | None
    most: int | None
    targets: tuple[Target, ...]
    owner: Owner
    route: Route

    @property
    def hpa(self) -> str:
        """What its HPA is called."""
        return self.name if self.kind == HPA else f"keda-hpa-{self.name}"

    @property
    def identity(self) -> tuple[str, str, str]:
        """The workload that it scales: namespace, kind and name."""
        return self.namespace, *self.scaled


def is_scaler(kind: str, group: str) -> bool:
    """Whether objects of a kind scale workloads on utilisation."""
    return (kind, group) in KINDS


def read_scaler(arrival: Arrival, owner: Owner) -> Scaler | None:
    """The autoscaler that an object is; None where it names no workload."""
    item, node, route = arrival.object, arrival.node, arrival.route
    name = node.text("spec", "scaleTargetRef", "name")
    if not name:
        return None
    if arrival.built is None:  # kustomize renames what is referred to as well
        name = f"{route.prefix}{name}{route.suffix}"
    return Scaler(
        item.node.text("apiVersion") or "",
        item.kind,
        arrival.name,
        arrival.namespace,
        (scaled_kind(node), route.expand(name)),
        _whole(node, "minReplicas", "minReplicaCount"),
        _whole(node, "maxReplicas", "maxReplicaCount"),
        tuple(_targets(arrival)),
        owner,
        route,
    )


def scaled_kind(node: Node) -> str:
    """The kind of what an autoscaler scales; KEDA takes a Deployment where none is named."""
    return node.text("spec", "scaleTargetRef", "kind") or DEPLOYMENT.name


def _whole(node: Node, *names: str) -> int | None:
    texts = (node.text("spec", name) for name in names)
    return next((int(t) for t in texts if t and t.isascii() and t.isdigit()), None)


def leaves_of(kind: str, node: Node) -> Iterator[Leaf]:
    """Every target of utilisation in an object of a kind."""
    yield from _triggers(node) if kind == SCALED_OBJECT else _metrics(node)


def _metrics(node: Node) -> Iterator[Leaf]:
    plain = node.text("spec", "targetCPUUtilizationPercentage")
    if plain is not None:
        yield Leaf("cpu", None, ("spec", "targetCPUUtilizationPercentage"), plain)
    for number, metric in enumerate(node.sequence("spec", "metrics")):
        for source in ("resource", "containerResource"):
            resource = metric.text(source, "name")
            container = metric.text(source, "container") if source != "resource" else None
            for end in (("target", "averageUtilization"), ("targetAverageUtilization",)):
                text = metric.text(source, *end)
                if text is not None and resource in _RESOURCES:
                    yield Leaf(resource, container, ("spec", "metrics", number, source, *end), text)


def _triggers(node: Node) -> Iterator[Leaf]:
    for number, trigger in enumerate(node.sequence("spec", "triggers")):
        resource, text = trigger.text("type"), trigger.text("metadata", "value")
        measure = trigger.text("metricType") or trigger.text("metadata", "type")
        if resource in _RESOURCES and measure == "Utilization" and text is not None:
            path = ("spec", "triggers", number, "metadata", "value")
            yield Leaf(resource, trigger.text("metadata", "containerName"), path, text)


def _targets(arrival: Arrival) -> Iterator[Target]:
    """The targets of an object with what patches on its route make of them."""
    item, route = arrival.object, arrival.route
    found = [
        Target(_expanded(leaf, route), item.file, item.address.below(*leaf.path))
        for leaf in leaves_of(item.kind, item.node)
    ]
    for patch in route.patches:
        if patch.applies_to(item, arrival.namespace):
            found = _patched(found, patch, item.kind, route)
    for one in route.replacements:
        if one.applies_to(item, arrival.namespace):
            why = f"the replacements in {one.file} have a say in it"
            found = [
                replace(t, problem=t.problem or why)
                if overlap(tuple(one.field.split(".")), t.leaf.path)
                else t
                for t in found
            ]
    yield from found


def _expanded(leaf: Leaf, route: Route) -> Leaf:
    return replace(leaf, text=route.expand(leaf.text))


def _patched(found: list[Target], patch: Patch, kind: str, route: Route) -> list[Target]:
    if patch.is_json:
        return [_operated(target, patch) for target in found]
    stated = [key for key in ("metrics", "triggers") if patch.node.at("spec", key) is not None]
    own = [
        Target(_expanded(leaf, route), patch.file, patch.address.below(*leaf.path))
        for leaf in leaves_of(kind, patch.node)
    ]
    replaced = {target.leaf.path for target in own}
    kept = [t for t in found if t.leaf.path not in replaced and str(t.leaf.path[1]) not in stated]
    return [*kept, *own]


def _operated(target: Target, patch: Patch) -> Target:
    """A target after the operations of a JSON patch, each of which may state it."""
    wanted = tuple(map(str, target.leaf.path))
    for number, operation in enumerate(patch.node.items):
        node = operation.resolved
        path = tuple((node.text("path") or "").split("/")[1:])
        if node.text("op") == "test" or not overlap(path, target.leaf.path):
            continue
        text = node.text("value")
        if path == wanted and text is not None and node.text("op") in ("add", "replace"):
            address = patch.address.below(number, "value")
            target = Target(replace(target.leaf, text=text), patch.file, address)
        else:
            target = replace(target, problem=f"the JSON patch in {patch.file} has a say in it")
    return target


def overlap(one: tuple[object, ...], other: Path) -> bool:
    """Whether one of two paths leads to the other or to something around it."""
    left, right = tuple(map(str, one)), tuple(map(str, other))
    return left == right[: len(left)] or right == left[: len(right)]
