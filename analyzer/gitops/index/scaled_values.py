"""Autoscalers that charts make, and which of their values decide for the targets.

A chart at hand is rendered twice: as it is, and with an odd number at every value whose name speaks
of scaling; where such a number turns up as a target, that value decides for it. app-template hands
on what stands under ``rawResources`` as it is, which needs no rendering to know.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace

from analyzer.gitops.index.scaler import Leaf, Scaler, Target, is_scaler, leaves_of, read_scaler
from analyzer.gitops.reach.objects import Object
from analyzer.gitops.reach.release import Release
from analyzer.gitops.reach.route import Arrival
from analyzer.gitops.render.charts import Chart
from analyzer.gitops.render.helm import Helm, odd_number
from analyzer.gitops.render.rendering import Rendering
from analyzer.gitops.text.address import dotted
from analyzer.gitops.text.tree import Path

_SPEAKS = re.compile(
    r"(?:auto_?scal|hpa|keda|scal(?:er|ing|edobject)|horizontal|rawResources)"
    r".*(?:utili[sz]ation|target|cpu|memory|percent|value)[^.]*$",
    re.IGNORECASE,
)
_MENTIONS = re.compile(r"auto_?scal|hpa|keda|scal(?:er|ing|edobject)|horizontal", re.IGNORECASE)
_HOLDS_BODY = ("spec", "manifest")
"""Where app-template keeps the body of a raw resource, by version."""


def rendered_scalers(
    helm: Helm, chart: Chart, release: Release, values: Mapping[str, object]
) -> Iterator[Scaler]:
    """The autoscalers among what a chart makes of `values`. Raises `RenderError`."""
    if not _MENTIONS.search(json.dumps(values, default=str)):
        return  # hardly a chart scales what nobody asked it to, and each rendering takes its time
    own = [p for p in _numbers(values) if _SPEAKS.search(dotted(p))]
    paths = list(dict.fromkeys([*own, *helm.default_paths(chart, _SPEAKS)]))
    if not paths:
        return
    names = release.name, release.owner.namespace
    plain = helm.render(chart, *names, values, release.post_renderers)
    if not any(is_scaler(item.kind, item.group) for item in plain.objects):
        return
    marked = helm.marked(chart, *names, values, paths, release.post_renderers)
    decided = _landed(marked, paths)
    for key, item in plain.numbered():
        if is_scaler(item.kind, item.group):
            found = read_scaler(Arrival(item, release.route, built=item.node), release.owner)
            if found is not None:
                targets = tuple(
                    _target(leaf, release, decided.get((key, leaf.path)))
                    for leaf in leaves_of(item.kind, item.node)
                )
                yield replace(
                    found, namespace=item.namespace or release.owner.namespace, targets=targets
                )


def _landed(marked: Rendering, paths: list[Path]) -> dict[object, Path]:
    """Which path's odd number stands where, by object and path there."""
    odd = {str(odd_number(number)): path for number, path in enumerate(paths)}
    return {
        (key, leaf.path): odd[leaf.text]
        for key, item in marked.numbered()
        if is_scaler(item.kind, item.group)
        for leaf in leaves_of(item.kind, item.node)
        if leaf.text in odd
    }


def _target(leaf: Leaf, release: Release, path: Path | None) -> Target:
    """A target of a rendered autoscaler, at the value that decides for it."""
    file, address = release.home or (release.values[-1][:2] if release.values else ("", None))
    if address is None:
        raise ValueError(f"{release.owner} has no values")
    if path is None:
        why = f"no value of the chart {release.owner.chart} was found to decide for it"
        return Target(leaf, file, address, why)
    found = release.locate(path)
    if found is not None:
        return Target(leaf, found[0], found[1], release.overruled or "")
    file, address, _ = release.values[-1] if release.values else (file, address, None)
    return Target(leaf, file, address.below(*release.prefix, *path), release.overruled or "")


def raw_scalers(release: Release) -> Iterator[Scaler]:
    """The autoscalers among the raw resources of app-template, whose body stands in the values."""
    for file, address, node in release.values:
        for key, resource in node.mapping(*release.prefix, "rawResources"):
            kind, version = resource.text("kind") or "", resource.text("apiVersion") or ""
            group = version.rpartition("/")[0]
            for holder in _HOLDS_BODY:
                body = resource.at(holder)
                if body is None or not is_scaler(kind, group) or body.at("spec") is None:
                    continue
                at = address.below(*release.prefix, "rawResources", key, holder)
                item = Object(file, at, body, group, kind, key, release.owner.namespace)
                route = replace(release.route, patches=(), replacements=(), prefix="", suffix="")
                found = read_scaler(Arrival(item, route), release.owner)
                if found is not None:
                    name = found.scaled[1].replace("{{ .Release.Name }}", release.name)
                    yield replace(
                        found,
                        api_version=version,
                        name=f"{release.name}-{key}",
                        namespace=release.owner.namespace,
                        scaled=(found.scaled[0], name),
                        route=release.route,
                    )


def _numbers(value: object, prefix: Path = ()) -> Iterator[Path]:
    """The paths of whole numbers among values, also where they are written as text."""
    if isinstance(value, Mapping):
        for key, below in value.items():
            yield from _numbers(below, (*prefix, str(key)))
    elif isinstance(value, list):
        for number, below in enumerate(value):
            yield from _numbers(below, (*prefix, number))
    elif isinstance(value, int | str) and not isinstance(value, bool) and str(value).isdigit():
        yield prefix
