"""What a controller has kustomize add to a folder, read from the object that steers it."""

from __future__ import annotations

import json

from analyzer.gitops.reach.repository import join
from analyzer.gitops.text.tree import Node, YamlError, plain

_PASSED_ON = ("namePrefix", "nameSuffix", "patches", "patchesStrategicMerge", "patchesJson6902")


def of_flux(spec: Node, folder: str) -> str:
    """The overlay of a Flux Kustomization's `spec` over `folder`, as JSON; ``{}`` for none."""
    added = _passed_on(spec)
    namespace = spec.text("targetNamespace")
    if namespace is not None:
        added["namespace"] = namespace
    return _written(added, spec, folder)


def of_argo(source: Node, folder: str) -> str:
    """The overlay of the `kustomize` of an Application's source, as JSON; ``{}`` for none."""
    options = source.at("kustomize")
    if options is None:
        return "{}"
    added = _passed_on(options)
    namespace = options.text("namespace")
    if namespace is not None:
        added["namespace"] = namespace
    return _written(added, options, folder)


def _passed_on(options: Node) -> dict[str, object]:
    found: dict[str, object] = {}
    for key in _PASSED_ON:
        node = options.at(key)
        if node is not None:
            try:
                found[key] = plain(node)
            except YamlError:
                continue  # an alias bomb: what it would add is left out, and the build shows it
    return found


def _written(added: dict[str, object], options: Node, folder: str) -> str:
    components = [join(folder, item.value) for item in options.sequence("components")]
    if components:
        added["components"] = [path for path in components if path is not None]
    return json.dumps(added, sort_keys=True)
