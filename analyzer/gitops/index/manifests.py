"""What objects that arrive in a cluster declare: workloads, custom resources, Flux's own patches.

A pod template decides for its containers unless a patch on its route has the last word.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from analyzer.gitops.index.block import is_block
from analyzer.gitops.index.layers import decide, stated_by
from analyzer.gitops.index.place import Expectation
from analyzer.gitops.index.survey import Survey
from analyzer.gitops.reach import custom
from analyzer.gitops.reach.objects import POD_PATHS
from analyzer.gitops.reach.release import Owner
from analyzer.gitops.reach.route import Arrival, Patch, Route, name_pattern
from analyzer.gitops.reach.runtimes import Floor
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

    def take(self, arrival: Arrival) -> None:
        """Find the places of one object."""
        item = arrival.object
        if item.is_workload:
            self._pod_template(arrival, item.kind, arrival.name, POD_PATHS[item.kind])
        elif item.kind == "FluxInstance":
            self._flux_patches(arrival, ("spec", "kustomize", "patches"))
        elif item.is_flux_kustomization:
            self._flux_patches(arrival, ("spec", "patches"))
        else:
            self._custom(arrival)

    def _owner(self, arrival: Arrival) -> Owner:
        return Owner(arrival.object.kind, arrival.name, arrival.namespace)

    def _pod_template(self, arrival: Arrival, kind: str, workload: str, path: Path) -> None:
        item, owner = arrival.object, self._owner(arrival)
        for group in ("containers", "initContainers"):
            for number, container in enumerate(item.node.sequence(*path, group)):
                name = container.text("name")
                if name is None:
                    continue
                found = decide(arrival, (*path, group, number), name)
                place = self.survey.place(found.file, found.address, owner, name, arrival.route)
                self.survey.expectations.append(
                    Expectation(
                        arrival.namespace,
                        kind,
                        workload,
                        arrival.route.expand(name),
                        _container_type(group, container),
                        place,
                        found.rule,
                        found.confidence,
                        arrival.route,
                        floors=self._floors(arrival, container),
                        leaves=found.leaves,
                    )
                )

    def _floors(self, arrival: Arrival, settings: Node) -> tuple[Floor, ...]:
        """What the settings beside a place ask of the container's memory."""
        item = arrival.object
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
        for kind, workload, path in custom.pod_template(item.group, item.kind, item.node):
            self._pod_template(arrival, kind, workload, path)
        for rule in custom.rules_for(item.group, item.kind):
            beside = item.node.at(*rule.path[:-1])
            if beside is None:
                continue
            address = item.address.below(*rule.path)
            place = self.survey.place(
                item.file, address, self._owner(arrival), rule.container, arrival.route
            )
            self.survey.expectations.append(
                Expectation(
                    arrival.namespace,
                    rule.workload_kind,
                    None,
                    rule.container,
                    "app",
                    place,
                    f"{item.kind} {arrival.name} declares it at {dotted(rule.path)}",
                    "certain",
                    arrival.route,
                    custom.workload_pattern(rule, arrival.name, item.node),
                    floors=self._floors(arrival, beside),
                )
            )
        self._unknown_blocks(arrival)

    def _unknown_blocks(self, arrival: Arrival) -> None:
        """Resources in Kubernetes' form in an object of which it is not known whom they feed."""
        item = arrival.object
        if item.is_application or item.kind in _HANDED_ON:
            return
        for path, node in walk(item.node):
            if not path or path[0] != "spec" or not is_block(str(path[-1]), node):
                continue
            address = item.address.below(*path)
            if not self.survey.claims(item.file, address):
                place = self.survey.place(
                    item.file, address, self._owner(arrival), None, arrival.route
                )
                self.survey.leave_unproven(place, f"unproven: {item.kind} is {UNKNOWN_KIND}")

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
        found = stated_by(patch, path, "manager")
        if found is None:
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


def _container_type(group: str, container: Node) -> str:
    if group == "containers":
        return "app"
    return "sidecar" if container.text("restartPolicy") == "Always" else "init"
