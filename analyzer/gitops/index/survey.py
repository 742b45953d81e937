"""What a look over a repository gathers: places, what they decide for, and what looks wrong."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import Any

from analyzer.gitops.index.place import Expectation, Finding, Identity, Place
from analyzer.gitops.index.scaler import Scaler
from analyzer.gitops.reach.foreign import made_by
from analyzer.gitops.reach.objects import node_at
from analyzer.gitops.reach.release import Owner, Release
from analyzer.gitops.reach.repository import Repository
from analyzer.gitops.reach.route import Reach, Route
from analyzer.gitops.text.address import Address
from analyzer.gitops.text.refusal import EditRefusedError
from analyzer.gitops.text.resources import (
    REQUEST_AND_LIMIT,
    Changes,
    Field,
    fields_of,
    set_resources,
)
from analyzer.gitops.text.spelling import read_cpu, read_memory
from analyzer.gitops.text.tree import Node, YamlError
from analyzer.quantity import Cpu, Memory
from analyzer.scheduling import Scheduling


@dataclass
class Survey:
    """What has been found so far. Every place is made here, once however often it is met."""

    repository: Repository
    reach: Reach
    places: dict[tuple[str, Address], Place] = field(default_factory=dict)
    expectations: list[Expectation] = field(default_factory=list)
    releases: list[Release] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    scalers: list[Scaler] = field(default_factory=list)
    unoffered: dict[Identity, Owner] = field(default_factory=dict)
    """Containers that a chart makes and that nothing can be stated for, each with its release."""
    vpas: dict[tuple[str, str, str], str] = field(default_factory=dict)
    """Modes of VerticalPodAutoscalers by namespace, kind and name of what they scale."""
    scheduling: dict[tuple[str, str, str], Scheduling] = field(default_factory=dict)
    """What the pods of each workload ask of nodes."""
    rules: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    """Rows of limit ranges, quotas, disruption budgets and priority classes, by kind."""

    def place(
        self,
        file: str,
        address: Address,
        owner: Owner,
        container: str | None,
        route: Route,
    ) -> Place:
        """The place at an address, made once however often it is met."""
        key = (file, address)
        known = self.places.get(key)
        if known is not None:
            return known
        node = self.node(file, address)
        stated = {} if node is None else fields_of(node)
        place = Place(
            file,
            address,
            owner,
            container,
            tuple(stated.items()),
            node is not None,
            route.reachable,
        )
        generated = generated_path(file, self.repository)
        refusal = generated or self._refusal(place)
        place = replace(place, refusal=refusal, generated=generated is not None)
        self.places[key] = place
        return place

    def take_scaler(self, scaler: Scaler) -> None:
        """Take down an autoscaler; targets in files that nobody writes by hand are not edited."""
        targets = tuple(
            replace(t, problem=t.problem or self.generated(t.file)) for t in scaler.targets
        )
        self.scalers.append(replace(scaler, targets=targets))

    def generated(self, file: str) -> str:
        """Why a file is not written by hand; empty where nothing says so."""
        return generated_path(file, self.repository) or ""

    def claims(self, file: str, address: Address) -> bool:
        """Whether a place is at that address, or around it, already."""
        above = (address.path[:length] for length in range(len(address.path) + 1))
        return any((file, Address(address.document, path)) in self.places for path in above)

    def leave_unproven(self, place: Place, reason: str) -> None:
        """Mark a place as one of which it is not known for whom it decides."""
        refusal = place.refusal or reason
        self.places[(place.file, place.address)] = replace(place, refusal=refusal)

    def node(self, file: str, address: Address) -> Node | None:
        """What stands at an address now; None where nothing does."""
        return node_at(self.repository.files[file].documents, address)

    def _refusal(self, place: Place) -> str | None:
        """Why the place cannot be edited, found by trying on the text in memory."""
        try:
            set_resources(self.repository.files[place.file].text, place.address, _trial(place))
        except (EditRefusedError, YamlError) as err:
            return str(err)
        return None


def generated_path(file: str, repository: Repository) -> str | None:
    """Why a file is not written by hand, by where it lies; None where nothing says so."""
    path = PurePosixPath(file)
    if path.name.startswith("gotk-components"):
        return "flux bootstrap writes this file; change it by a patch"
    if {"vendor", "node_modules"} & set(path.parts[:-1]):
        return "a vendored file, overwritten by the next update"
    for depth, part in enumerate(path.parts[:-1]):
        folder = "/".join(path.parts[:depth])
        chart = f"{folder}/Chart.yaml" if folder else "Chart.yaml"
        if chart in repository.files and part == "templates":
            return "a template of a Helm chart; its values decide"
        if chart in repository.files and part == "charts":
            return "a vendored chart, overwritten by the next update"
    return made_by(file, repository.folders, frozenset(repository.foreign))


def _trial(place: Place) -> Changes:
    """A change of every field the place states, or of one that it could state."""
    changes: dict[Field, Cpu | Memory | None] = {}
    for name, text in place.declared:
        if name.endswith("cpu"):
            changes[name] = (read_cpu(text) or Cpu(0)) + Cpu(1)
        else:
            changes[name] = (read_memory(text) or Memory(0)) + Memory(1)
    if not changes:
        return {"requests.memory": Memory(64 * 2**20)}
    for request, limit in REQUEST_AND_LIMIT:
        if request in changes and limit in changes:
            changes[request] = changes[limit]
    return changes
