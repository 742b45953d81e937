"""Flux Operator's ResourceSets: the objects that one template makes of a list of inputs.

A template's texts hold ``<< inputs.name >>``; the route of each object carries the inputs it was
made with, so that names, paths and versions are filled in where they are read. The place stays in
the template: what several inputs make is decided there for all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from analyzer.gitops.reach.objects import Object, objects_at
from analyzer.gitops.reach.route import Arrival
from analyzer.gitops.text.address import Address
from analyzer.gitops.text.tree import Node, YamlError, parse

GROUP = "fluxcd.controlplane.io"
_MOST_INPUTS = 500

Inputs = tuple[tuple[str, str], ...]
"""Inputs by their dotted names, such as ``inputs.tenant``."""


def made_by(
    arrival: Arrival, providers: Sequence[Object], leave_open: Callable[[str], None]
) -> Iterator[Arrival]:
    """Every object that a ResourceSet makes, once for each of its inputs.

    `leave_open` is told what cannot be known from the repository: the inputs of a provider that
    asks a server, and templates that are no YAML until they are filled in.
    """
    spec = arrival.object.node.at("spec")
    if spec is None:
        return
    inputs = [*_stated(spec.sequence("inputs")), *_provided(arrival, spec, providers, leave_open)]
    templates = [*_templates(arrival.object, spec, leave_open)]
    for number, known in enumerate(inputs or [()]):
        if number >= _MOST_INPUTS:
            leave_open(f"{arrival.object}: only the first {_MOST_INPUTS} inputs were followed")
            return
        for item in templates:
            # What names no namespace goes where the ResourceSet is.
            namespace = None if item.namespace else arrival.namespace
            variables = (*arrival.route.variables, *known)
            # They are made in the cluster, after whatever kustomize built.
            route = replace(arrival.route, top=None, steering=None)
            yield Arrival(item, replace(route, namespace=namespace, variables=variables))


def _stated(entries: Sequence[Node]) -> Iterator[Inputs]:
    for entry in entries:
        yield tuple(
            (f"inputs.{key}", value.value)
            for key, value in entry.mapping()
            if value.kind == "scalar" and not value.is_null
        )


def _provided(
    arrival: Arrival, spec: Node, providers: Sequence[Object], leave_open: Callable[[str], None]
) -> Iterator[Inputs]:
    for reference in spec.sequence("inputsFrom"):
        name = reference.text("name")
        found = [each for each in providers if name is not None and each.name == name]
        static = [each for each in found if each.node.text("spec", "type") == "Static"]
        if not static:
            leave_open(f"{arrival.object}: its inputs come from a provider that asks a server")
        for provider in static:
            defaults = provider.node.at("spec", "defaultValues")
            yield from _stated([] if defaults is None else [defaults])


def _templates(owner: Object, spec: Node, leave_open: Callable[[str], None]) -> Iterator[Object]:
    for number, node in enumerate(spec.sequence("resources")):
        address = owner.address.below("spec", "resources", number)
        yield from objects_at(owner.file, address, node)
    text = spec.at("resourcesTemplate")
    if text is None or text.kind != "scalar":
        return
    try:
        documents = parse(text.value)
    except YamlError:
        leave_open(f"{owner}: its resourcesTemplate is no YAML until it is filled in")
        return
    for number, document in enumerate(documents):
        address = owner.address.below("spec", "resourcesTemplate").into(Address(number, ()))
        yield from objects_at(owner.file, address, document.root)
