"""Helm values with the changes alone, and overlays that put them into HelmReleases."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

from analyzer.escape import one_line
from analyzer.report import Landing, Report
from analyzer.workload import WorkloadRef, slug
from analyzer.writers.manifest import (
    Along,
    Patchable,
    component,
    dump_yaml,
    resources_patch,
    strange_name,
)

Key = str | int
Tree = dict[str, Any]

_VALUES_HEAD = """\
# For `helm upgrade -f`, after the values files in use. As `valuesFrom` of a HelmRelease it is
# weaker than what spec.values states: take the overlay for these.
"""
_OVERLAY_HEAD = b"""\
# Each patch reaches the HelmRelease of its name, in whatever namespace an overlay declares it.
"""
_HELM_RELEASE = "helm.toolkit.fluxcd.io/v2"
_STEP = re.compile(r"""(?:^|\.)(?P<key>[^.\[\]|"]+)|\[(?P<index>\d+)\]|\[(?P<quoted>"[^"\\]*")\]""")


@dataclass(frozen=True)
class Setting:
    """The changed amounts of one container at their place below the values of one application."""

    application: str
    keys: tuple[Key, ...]
    resources: Mapping[str, Mapping[str, str | None]]
    inline: bool
    """Whether the place stands in a HelmRelease's own ``spec.values``."""
    ref: str
    reason: str = ""
    """Why it is left out; empty where it is not."""
    along: tuple[tuple[tuple[Key, ...], int], ...] = ()
    """What else of the values changes with it: keys and whole numbers."""


def write_helm(report: Report) -> dict[str, bytes]:
    """Per application a values file with the changes, and for a HelmRelease an overlay as well.

    Only changes that were proven in the repository are written; comments say what is left out,
    and why. The overlays stand in a kustomize Component. There are no files where nothing of the
    report is installed from values.
    """
    files: dict[str, bytes] = {}
    overlays: dict[str, Patchable | Along] = {}
    releases = _releases(report)
    for application, group in groupby(sorted(_settings(report), key=_order), key=_application):
        settings = _without_conflicts(list(group))
        stem = slug(*re.split("[ /]", application.lower()))
        left_out = _left_out(settings)
        good = [setting for setting in settings if not setting.reason]
        files[f"git/values/{stem}.yaml"] = _VALUES_HEAD.encode() + left_out + dump_yaml(_tree(good))
        item = releases.get(application)
        tree = _tree(_without_removals(good))
        if item is not None and tree:
            name = f"{stem}.yaml"
            overlays[name] = item
            files[f"git/overlays/{name}"] = left_out + dump_yaml(_overlay(item, tree))
    if overlays:
        files["git/overlays/kustomization.yaml"] = _OVERLAY_HEAD + component(overlays)
    return files


def values_path(path: str) -> tuple[Key, ...] | None:
    """The keys below the values that `path` of a landing leads to; None where it is no such path.

    Values are ``spec.values`` of a HelmRelease, ``helm.valuesObject`` and ``helm.values`` of an
    Argo CD source, ``valuesInline`` of a kustomization, and text in the ``data`` of a ConfigMap.
    A path is written as `gitops.text.edit.dotted` does, so a key with a dot in it can only be
    told where it is quoted (``a["b.c"]``).
    """
    parts = [_keys(part) for part in path.split(" | ")]
    last = parts[-1]
    if last is None:
        return None
    if last[:2] == ("spec", "values"):
        return last[2:]
    for root in (("helm", "valuesObject"), ("valuesInline",)):
        for at in range(len(last)):
            if last[at : at + len(root)] == root:
                return last[at + len(root) :]
    above = parts[-2] if len(parts) > 1 else None
    if above is not None and (above[0] == "data" or above[-2:] == ("helm", "values")):
        return last
    return None


def _keys(path: str) -> tuple[Key, ...] | None:
    """The keys of a dotted path; None where it is not one."""
    keys: list[Key] = []
    at = 0
    while at < len(path):
        step = _STEP.match(path, at)
        if step is None:
            return None
        if step["index"] is not None:
            keys.append(int(step["index"]))
        else:
            keys.append(step["key"] or json.loads(step["quoted"]))
        at = step.end()
    return tuple(keys) or None


def _settings(report: Report) -> Iterator[Setting]:
    """Every change that lands in values, with the reason where it cannot be written."""
    changed = {str(r.ref): r for r in report.changed}
    for landing in report.landings:
        keys = _values_keys(landing)
        if keys is not None and landing.ref in changed and landing.application:
            yield Setting(
                application=landing.application,
                keys=keys,
                resources=resources_patch(changed[landing.ref]),
                inline=landing.path.startswith("spec.values."),
                ref=landing.ref,
                reason=_why_left_out(landing, keys),
                along=tuple(_along(landing)),
            )


def _values_keys(landing: Landing) -> tuple[Key, ...] | None:
    keys = values_path(landing.path)
    if keys is not None or " | " in landing.path:
        return keys
    in_file = "values" in landing.file.rsplit("/", 1)[-1] or _is_release(landing.application)
    whole = _keys(landing.path)
    return whole if in_file and whole is not None and whole[0] != "spec" else None


def _along(landing: Landing) -> Iterator[tuple[tuple[Key, ...], int]]:
    """What the same edit writes into the same values."""
    for one in landing.besides:
        keys = _values_keys(replace(landing, file=one.file, path=one.path))
        if keys is not None and one.file == landing.file and one.after.isdigit():
            yield keys, int(one.after)


def _why_left_out(landing: Landing, keys: Sequence[Key]) -> str:
    if landing.status != "edited":
        return landing.reason or "the change could not be proven in the repository"
    if any(isinstance(key, int) for key in keys):
        return f"{landing.path} leads through a list, which Helm replaces as a whole"
    along = list(_along(landing))
    if len(along) < len(landing.besides):
        return f"{landing.besides[0].title} changes with it, elsewhere than in these values"
    if any(isinstance(key, int) for found, _ in along for key in found):
        return f"{landing.besides[0].path} leads through a list, which Helm replaces as a whole"
    return ""


def _without_conflicts(settings: Sequence[Setting]) -> list[Setting]:
    """The same settings, those that want different amounts at one place left out."""
    wanted: dict[tuple[Key, ...], list[Mapping[str, Any]]] = {}
    for setting in settings:
        wanted.setdefault(setting.keys, []).append(setting.resources)
    reason = "another container has its amounts at the same place and needs others"
    return [
        _with_reason(s, s.reason or reason)
        if any(other != s.resources for other in wanted[s.keys])
        else s
        for s in settings
    ]


def _with_reason(setting: Setting, reason: str) -> Setting:
    return replace(setting, reason=reason)


def _without_removals(settings: Iterable[Setting]) -> Iterator[Setting]:
    """What an overlay can carry: a removal only where ``spec.values`` itself states the amount."""
    for s in settings:
        kept = {
            part: {name: amount for name, amount in amounts.items() if s.inline or amount}
            for part, amounts in s.resources.items()
        }
        resources = {part: amounts for part, amounts in kept.items() if amounts}
        if resources:
            yield replace(s, resources=resources)


def _tree(settings: Iterable[Setting]) -> Tree:
    tree: Tree = {}
    for setting in settings:
        below = tree
        for key in setting.keys:
            below = below.setdefault(str(key), {})
        below.update({part: dict(amounts) for part, amounts in setting.resources.items()})
        for keys, number in setting.along:
            below = tree
            for key in keys[:-1]:
                below = below.setdefault(str(key), {})
            below[str(keys[-1])] = number
    return tree


def _left_out(settings: Iterable[Setting]) -> bytes:
    lines = [one_line(f"# Left out: {s.ref}: {s.reason}", 1000) for s in settings if s.reason]
    return "".join(f"{line}\n" for line in lines).encode()


def _releases(report: Report) -> dict[str, Patchable]:
    """The HelmReleases of the report whose names are Kubernetes names, by application."""
    found: dict[str, WorkloadRef] = {}
    for application in sorted({landing.application for landing in report.landings}):
        if _is_release(application):
            namespace, _, name = application.removeprefix("HelmRelease ").partition("/")
            found[application] = WorkloadRef(report.meta.cluster, namespace, "HelmRelease", name)
    names = [workload.name for workload in found.values()]
    return {
        application: Patchable(
            workload, _HELM_RELEASE, ("spec", "values"), (), 0, names.count(workload.name) == 1
        )
        for application, workload in found.items()
        # The names of a HelmRelease are those of any object that can be patched.
        if not strange_name(workload, ())
    }


def _is_release(application: str) -> bool:
    return application.startswith("HelmRelease ")


def _overlay(item: Patchable, values: Tree) -> Tree:
    return {
        "apiVersion": item.api_version,
        "kind": item.workload.kind,
        "metadata": {"name": item.workload.name, "namespace": item.workload.namespace},
        "spec": {"values": values},
    }


def _application(setting: Setting) -> str:
    return setting.application


def _order(setting: Setting) -> tuple[str, str, str]:
    return setting.application, repr(setting.keys), setting.ref
