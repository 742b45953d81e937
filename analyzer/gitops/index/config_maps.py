"""What ConfigMaps of the repository put into a container: variables, and files that it mounts.

A heap that stands in a ConfigMap fills a container as one in its own variables does. Secrets are
never read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from analyzer.gitops.reach.repository import Repository
from analyzer.gitops.reach.route import Arrival, Reach
from analyzer.gitops.reach.runtimes import Floor, memory_floors
from analyzer.gitops.text.tree import Node, Path

CONFIG_MAP = "ConfigMap"
_COMMENT = re.compile(r"^[ \t]*[#;].*$", re.MULTILINE)
Settings = Mapping[str, str]


class ConfigMaps:
    """The ConfigMaps that reach a cluster, as objects or made by kustomize."""

    def __init__(self, reach: Reach, repository: Repository) -> None:
        self._reach, self._repository = reach, repository
        self._known: dict[tuple[str, str], list[Arrival]] = {}
        for arrival in reach.arrivals:
            if arrival.object.kind == CONFIG_MAP and arrival.object.group == "":
                for name in {arrival.object.name, arrival.name}:
                    self._known.setdefault((arrival.namespace, name), []).append(arrival)

    def floors(self, arrival: Arrival, path: Path) -> Iterator[Floor]:
        """What ConfigMaps ask of the memory of the container at `path`, each with its name."""
        node = arrival.object.node
        container, volumes = node.at(*path), node.sequence(*path[:-2], "volumes")
        if container is None:
            return
        for name, settings in (
            *self._of_variables(arrival, container),
            *self._of_files(arrival, container, volumes),
        ):
            for floor in memory_floors(settings, arrival.route.expand):
                yield replace(floor, source=f"{CONFIG_MAP} {name}")

    def _of_variables(
        self, arrival: Arrival, container: Node
    ) -> Iterator[tuple[str, dict[str, str]]]:
        for entry in container.sequence("envFrom"):
            name = entry.text("configMapRef", "name")
            prefix = entry.text("prefix") or ""
            for data in self._data(arrival, name):
                yield str(name), {f"{prefix}{key}": text for key, text in data.items()}
        for entry in container.sequence("env"):
            name = entry.text("valueFrom", "configMapKeyRef", "name")
            key = entry.text("valueFrom", "configMapKeyRef", "key") or ""
            for data in self._data(arrival, name):
                if key in data:
                    yield str(name), {entry.text("name") or key: data[key]}

    def _of_files(
        self, arrival: Arrival, container: Node, volumes: Sequence[Node]
    ) -> Iterator[tuple[str, dict[str, str]]]:
        mounted = {entry.text("name") for entry in container.sequence("volumeMounts")}
        for volume in volumes:
            if volume.text("name") in mounted:
                for source in (volume, *volume.sequence("projected", "sources")):
                    name = source.text("configMap", "name")
                    for data in self._data(arrival, name):
                        yield str(name), {key: _COMMENT.sub("", t) for key, t in data.items()}

    def _data(self, arrival: Arrival, name: str | None) -> Iterator[Settings]:
        """The contents of a ConfigMap; several where builds differ and nothing tells which."""
        if name is None:
            return
        for found in self._known.get((arrival.namespace, arrival.route.expand(name)), ()):
            data = found.object.node.at("data")
            if data is not None:
                yield {key.value: value.resolved.value for key, value in data.resolved.entries}
        top = arrival.route.top
        yield from self._reach.literals.get((name, top), ())
        for one in self._reach.generated.get((CONFIG_MAP, name), ()):
            if one.top == top:
                yield {one.key: self._repository.named(one.file)}
