"""What objects that arrive in a cluster declare: workloads, custom resources, Flux's own patches.

A pod template decides for its containers unless a patch on its route has the last word.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from analyzer.gitops.index.place import Confidence, Expectation
from analyzer.gitops.index.survey import Survey
from analyzer.gitops.reach import custom
from analyzer.gitops.reach.objects import POD_PATHS
from analyzer.gitops.reach.release import Owner
from analyzer.gitops.reach.route import Arrival, Patch, Route, name_pattern
from analyzer.gitops.reach.runtimes import Floor
from analyzer.gitops.text.address import Address, dotted
from analyzer.gitops.text.tree import Node, Path, YamlError, parse, plain
from analyzer.kinds import DEPLOYMENT

FLUX_NAMESPACE = "flux-system"


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
                at = (*path, group, number, "resources")
                file, address = item.file, item.address.below(*at)
                rule = "declared in its own manifest"
                confidence: Confidence = "certain"
                patched = self._patched(arrival, path, group, name, number)
                if patched is not None:
                    file, address, rule, confidence = patched
                place = self.survey.place(file, address, owner, name, arrival.route)
                self.survey.expectations.append(
                    Expectation(
                        arrival.namespace,
                        kind,
                        workload,
                        arrival.route.expand(name),
                        _container_type(group, container),
                        place,
                        rule,
                        confidence,
                        arrival.route,
                        floors=self._floors(arrival, container),
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

    def _patched(
        self, arrival: Arrival, path: Path, group: str, name: str, number: int
    ) -> tuple[str, Address, str, Confidence] | None:
        """The patch that has the last word on a container's resources, if one touches them."""
        found: tuple[str, Address, str, Confidence] | None = None
        for patch in arrival.route.patches:
            if not patch.applies_to(arrival.object, arrival.namespace):
                continue
            address = _patch_address(patch, path, group, name, number)
            if address is not None:
                unsure = "labelSelector" in patch.target or "annotationSelector" in patch.target
                found = (
                    patch.file,
                    address,
                    f"set by the patch in {patch.file}",
                    "unproven" if unsure else "certain",
                )
        return found

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
        found = _patch_address(patch, POD_PATHS[DEPLOYMENT.name], "containers", "manager", 0)
        if found is None:
            return
        # Flux may apply its own controllers by another Kustomization than the one that patches.
        route = replace(route, kustomization=None)
        place = self.survey.place(patch.file, found, owner, "manager", route)
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


def _patch_address(patch: Patch, path: Path, group: str, name: str, number: int) -> Address | None:
    """Where `patch` states the resources of a container; None where it leaves them alone."""
    if patch.is_json:
        return _json_address(patch, path, group, number)
    for index, entry in enumerate(patch.node.sequence(*path, group)):
        if entry.text("name") == name and entry.at("resources") is not None:
            return patch.address.below(*path, group, index, "resources")
    return None


def _json_address(patch: Patch, path: Path, group: str, number: int) -> Address | None:
    wanted = "/" + "/".join([*map(str, path), group, str(number), "resources"])
    found = None
    for index, operation in enumerate(patch.node.items):
        target = operation.resolved.text("path") or ""
        if target == wanted and operation.resolved.at("value") is not None:
            found = patch.address.below(index, "value")
        elif target.startswith(f"{wanted}/"):
            # A single leaf: the address leads to no mapping, so that an edit of it is refused.
            found = patch.address.below(index, "value", "resources")
    return found
