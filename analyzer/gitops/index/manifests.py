"""What objects that arrive in a cluster declare: workloads, custom resources, Flux's own patches.

A pod template decides for its containers unless a patch on its route has the last word.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from analyzer.gitops.index.block import is_block
from analyzer.gitops.index.config_maps import ConfigMaps
from analyzer.gitops.index.layers import Decision, decide, decide_built, decide_field
from analyzer.gitops.index.place import Expectation, Place
from analyzer.gitops.index.runtime_setting import runtime_settings
from analyzer.gitops.index.scaler import is_scaler, read_scaler
from analyzer.gitops.index.surroundings import DECLARED, rules, scheduling
from analyzer.gitops.index.survey import Survey
from analyzer.gitops.reach import custom
from analyzer.gitops.reach.custom import Fed
from analyzer.gitops.reach.objects import POD_PATHS
from analyzer.gitops.reach.patch import Patch
from analyzer.gitops.reach.release import Owner
from analyzer.gitops.reach.route import Arrival, Route
from analyzer.gitops.reach.runtimes import Floor
from analyzer.gitops.reach.selection import name_pattern
from analyzer.gitops.text.address import Address, dotted
from analyzer.gitops.text.tree import Node, Path, YamlError, parse, plain, walk
from analyzer.kinds import DEPLOYMENT

FLUX_NAMESPACE = "flux-system"
_HANDED_ON = frozenset({"ResourceSet", "CustomResourceDefinition"})
"""Kinds whose resources belong to objects that they make, or to nobody."""
UNKNOWN_KIND = "a kind that is not known here"


class Manifests:
    """Takes down what each object declares."""

    def __init__(self, survey: Survey) -> None:
        self.survey = survey
        self._config_maps = ConfigMaps(survey.reach, survey.repository)

    def take(self, arrival: Arrival) -> None:
        """Find the places of one object."""
        item = arrival.object
        if item.is_workload:
            for container in _described(item.node, POD_PATHS[item.kind]):
                self._container(arrival, container, item.kind, arrival.name)
            told = scheduling(arrival)
            if told is not None:
                self.survey.scheduling[arrival.namespace, item.kind, arrival.name] = told
        elif item.kind in DECLARED:
            self.survey.rules.setdefault(item.kind, []).extend(rules(arrival))
        elif item.kind == "VerticalPodAutoscaler":
            self._vpa(arrival)
        elif is_scaler(item.kind, item.group):
            self._scaler(arrival)
        elif item.kind == "FluxInstance":
            self._flux_patches(arrival, ("spec", "kustomize", "patches"))
        elif item.is_flux_kustomization:
            self._flux_patches(arrival, ("spec", "patches"))
        else:
            self._custom(arrival)

    def _vpa(self, arrival: Arrival) -> None:
        """Take down whose amounts a VerticalPodAutoscaler sets, and in which mode."""
        node, route = arrival.node, arrival.route
        kind, name = (node.text("spec", "targetRef", key) for key in ("kind", "name"))
        if kind and name and route.inside and route.reachable is not False:
            mode = node.text("spec", "updatePolicy", "updateMode") or "Auto"
            self.survey.vpas[arrival.namespace, kind, route.expand(name)] = mode

    def _scaler(self, arrival: Arrival) -> None:
        """Take down an autoscaler, and where its targets stand."""
        if arrival.route.reachable is not False:
            found = read_scaler(arrival, self._owner(arrival))
            if found is not None:
                self.survey.take_scaler(found)

    def _owner(self, arrival: Arrival) -> Owner:
        return Owner(arrival.object.kind, arrival.name, arrival.namespace)

    def _container(
        self,
        arrival: Arrival,
        container: _Described,
        kind: str,
        workload: str | None,
        fed: Fed | None = None,
    ) -> None:
        """A container that a pod template of the object describes."""
        item, owner = arrival.object, self._owner(arrival)
        found = decide(arrival, container.path, container.name)
        if found.gone:
            return
        place = self.survey.place(found.file, found.address, owner, container.name, arrival.route)
        own = self._floors(arrival, item.node.at(*container.path))
        floors = (*own, *self._config_maps.floors(arrival, container.path))
        settings = runtime_settings(arrival, container.path, own)
        self.survey.expectations.append(
            Expectation(
                (fed.rule.namespace if fed is not None else "") or arrival.namespace,
                kind,
                workload,
                arrival.route.expand(container.name),
                container.type,
                place,
                found.rule,
                found.confidence,
                arrival.route,
                fed.pattern if fed is not None else None,
                floors=floors,
                leaves=found.leaves,
                settings=tuple(
                    replace(s, problem=s.problem or self.survey.generated(s.file)) for s in settings
                ),
            )
        )

    def _floors(self, arrival: Arrival, settings: Node | None) -> tuple[Floor, ...]:
        """What the settings beside a place ask of the container's memory."""
        item = arrival.object
        if settings is None:
            return ()
        try:
            found = plain(settings)
        except YamlError as err:
            self.survey.reach.notes.append(
                f"{item.file}: the settings of {item} were not read: {err}"
            )
            return ()
        return custom.floors(item.group, item.kind, found)

    def _custom(self, arrival: Arrival) -> None:
        item = arrival.object
        for fed in custom.fed_by(item.group, item.kind, item.node, arrival.name):
            if not fed.rule.is_pod:
                self._field(arrival, fed)
                continue
            described = _described(item.node, fed.path, fed.container)
            for container in described:
                self._container(arrival, container, fed.rule.workload_kind, fed.workload, fed)
            if fed.container not in (custom.ANY, *(each.name for each in described)):
                self._undescribed(arrival, fed)
        self._unknown_blocks(arrival)

    def _field(self, arrival: Arrival, fed: Fed) -> None:
        """A field of requests and limits, which may not be there yet; its part has to be."""
        item = arrival.object
        beside = item.node.at(*fed.path[:-1])
        if beside is None:
            return
        found = decide_field(arrival, fed.path)
        self._doubt(found, arrival, fed)
        place = self.survey.place(
            found.file, found.address, self._owner(arrival), fed.container, arrival.route
        )
        self._expect(arrival, fed, place, found, self._floors(arrival, beside))

    def _doubt(self, found: Decision, arrival: Arrival, fed: Fed) -> None:
        """Take note of what else has a hand in a field."""
        item = arrival.object
        other = custom.overruled_at(item.node, fed)
        if other is not None:
            found.doubt(f"{item.kind} {arrival.name} states it at {dotted(other)} as well")
        elif fed.rule.hint:
            found.doubt(f"{found.rule}; {fed.rule.hint}")
        elif found.confidence == "certain":
            found.rule = f"{item.kind} {arrival.name}: {found.rule}"

    def _undescribed(self, arrival: Arrival, fed: Fed) -> None:
        """A container that the operator makes although the object does not describe it."""
        item, path = arrival.object, (*fed.path, "containers")
        place = self.survey.place(
            item.file, item.address.below(*path), self._owner(arrival), None, arrival.route
        )
        rule = (
            f"{item.kind} {arrival.name} makes it without saying more; describe a container "
            f"called {fed.container} at {dotted(path)}, with its resources"
        )
        self.survey.leave_unproven(place, f"unproven: {rule}")
        found = Decision(place.file, place.address)
        found.doubt(rule)
        self._expect(arrival, fed, place, found, ())

    def _expect(
        self,
        arrival: Arrival,
        fed: Fed,
        place: Place,
        found: Decision,
        floors: tuple[Floor, ...],
    ) -> None:
        self.survey.expectations.append(
            Expectation(
                fed.rule.namespace or arrival.namespace,
                fed.rule.workload_kind,
                fed.workload,
                fed.container,
                "app",
                place,
                found.rule,
                found.confidence,
                arrival.route,
                fed.pattern,
                floors=floors,
                leaves=found.leaves,
            )
        )

    def _unknown_blocks(self, arrival: Arrival) -> None:
        """Resources in Kubernetes' form in an object of which it is not known whom they feed."""
        item = arrival.object
        if item.is_application or item.kind in _HANDED_ON:
            return
        found = []
        for path, node in walk(item.node):
            if not path or path[0] != "spec" or not is_block(str(path[-1]), node):
                continue
            address = item.address.below(*path)
            if not self.survey.claims(item.file, address):
                place = self.survey.place(
                    item.file, address, self._owner(arrival), None, arrival.route
                )
                self.survey.leave_unproven(place, f"unproven: {item.kind} is {UNKNOWN_KIND}")
                found.append((path, place))
        if len(found) == 1 and not custom.is_known(item.group, item.kind):
            self._only_block(arrival, *found[0])

    def _only_block(self, arrival: Arrival, path: Path, place: Place) -> None:
        """The only resources that an object of an unknown kind states, outside of any list.

        Whether they are a container's is for the cluster to show: by who owns its workload, by
        its name, and by what it runs with.
        """
        item = arrival.object
        if path[-1] != "resources" or any(isinstance(key, int) for key in path):
            return
        found = decide_field(arrival, path)
        if found.confidence == "certain":
            found.rule = f"{item.kind} is {UNKNOWN_KIND}, and states no other resources"
            found.confidence = "likely"
        self.survey.expectations.append(
            Expectation(
                arrival.namespace,
                item.kind,
                arrival.name,
                custom.ANY,
                "app",
                place,
                found.rule,
                found.confidence,
                arrival.route,
                floors=self._floors(arrival, item.node.at(*path[:-1])),
                leaves=found.leaves,
            )
        )

    # --- Flux's own controllers ---

    def _flux_patches(self, arrival: Arrival, path: Path) -> None:
        """Patches on Flux's own Deployments, which exist nowhere in the repository."""
        item = arrival.object
        if arrival.namespace == FLUX_NAMESPACE:
            address, patches = item.address.below(*path), item.node.sequence(*path)
            self.controller_patches(
                item.file, address, patches, self._owner(arrival), arrival.route
            )

    def controller_patches(
        self, file: str, address: Address, patches: Sequence[Node], owner: Owner, route: Route
    ) -> None:
        """Patches on Deployments that exist nowhere in the repository: Flux's controllers."""
        for number, entry in enumerate(patches):
            body = entry.at("patch")
            if (
                body is None
                or body.kind != "scalar"
                or entry.text("target", "kind") != DEPLOYMENT.name
            ):
                continue
            target = entry.text("target", "name") or ".*"
            pattern = name_pattern(target)
            try:
                documents = parse(body.value)
            except YamlError:
                continue
            if pattern is None:
                continue
            below = address.below(number, "patch")
            for index, document in enumerate(documents):
                inner = Address(index, ())
                patch = Patch(file, below.into(inner), document.root, {})
                self._controller_patch(patch, pattern, owner, route)

    def _controller_patch(
        self, patch: Patch, pattern: re.Pattern[str], owner: Owner, route: Route
    ) -> None:
        path = (*POD_PATHS[DEPLOYMENT.name], "containers", 0)
        found = decide_built([patch], path, "manager")
        if found is None or not found.file or found.confidence != "certain":
            return
        # Flux may apply its own controllers by another Kustomization than the one that patches.
        route = replace(route, kustomization=None)
        place = self.survey.place(found.file, found.address, owner, "manager", route)
        self.survey.expectations.append(
            Expectation(
                FLUX_NAMESPACE,
                DEPLOYMENT.name,
                None,
                "manager",
                "app",
                place,
                "a patch on Flux's own controllers",
                "certain",
                route,
                pattern,
            )
        )


@dataclass(frozen=True, slots=True)
class _Described:
    """A container as a pod template describes it: where, its name, its type."""

    path: Path
    name: str
    type: str


def _described(node: Node, pod: Path, unnamed: str = "") -> list[_Described]:
    """The containers of a pod template; `unnamed` is what an only one without a name is called."""
    found = []
    for group in ("containers", "initContainers"):
        containers = node.sequence(*pod, group)
        for number, container in enumerate(containers):
            name = container.text("name")
            if name is None and len(containers) == 1 and group == "containers":
                name = unnamed
            if name and name != custom.ANY:
                kind = _container_type(group, container)
                found.append(_Described((*pod, group, number), name, kind))
    return found


def _container_type(group: str, container: Node) -> str:
    if group == "containers":
        return "app"
    return "sidecar" if container.text("restartPolicy") == "Always" else "init"
