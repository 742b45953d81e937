"""helmfile: releases of a helmfile, with the values that they state or name."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from analyzer.gitops.reach.repository import Repository, join
from analyzer.gitops.reach.route import HelmSource, Reach, Route
from analyzer.gitops.text.address import Address
from analyzer.gitops.text.tree import Node

_ENVIRONMENT = re.compile(r"\{\{-?\s*(?:\$?\.)?Environment\.Name\s*-?\}\}")
_RELEASE = re.compile(r"\{\{-?\s*\.Release\.(?P<field>Name|Namespace)\s*-?\}\}")
_OPEN = "{{"
_TOP = re.compile(r"helmfile\.ya?ml")


def is_helmfile(file: str) -> bool:
    """Whether a file is a helmfile by where it lies: its name, or its folder's."""
    path = PurePosixPath(file)
    return _TOP.fullmatch(path.name) is not None or path.parent.name == "helmfile.d"


class Helmfiles:
    """Takes down the releases of every helmfile of a repository.

    Helmfiles are run by people and pipelines, so nothing tells which of them is in use: all of
    their routes are undecided.
    """

    def __init__(self, repository: Repository, reach: Reach) -> None:
        self._repository = repository
        self._reach = reach

    def follow(self, file: str, inside: bool) -> None:
        """Every release of one helmfile; `inside` says whether it is among those asked for."""
        for number, document in enumerate(self._repository.files[file].documents):
            self._document(file, Address(number, ()), document.root, inside)

    def _document(self, file: str, address: Address, root: Node, inside: bool) -> None:
        names = [name for name, _ in root.mapping("environments")] or ["default"]
        addresses = {
            each.text("name") or "": each.text("url") or ""
            for each in root.sequence("repositories")
        }
        whole = Route("helmfile", reachable=None, entry=file, inside=inside)
        for number, release in enumerate(root.sequence("releases")):
            here = address.below("releases", number)
            spread = len(names) > 1 and _ENVIRONMENT.search(_all_text(release)) is not None
            for name in names if spread else names[:1]:
                route = replace(whole, entry=f"{file} for {name}") if spread else whole
                at = _Stage(name, root.text("namespace"), route, addresses)
                self._release(file, here, release, at)

    def _release(self, file: str, address: Address, release: Node, at: _Stage) -> None:
        name = _filled(release.text("name") or "", release, at.name)
        chart = _filled(release.text("chart") or "", release, at.name)
        namespace = _filled(at.namespace or release.text("namespace") or "", release, at.name)
        if release.flag("installed") is False or not name or not chart:
            return
        if _OPEN in f"{namespace}{name}{chart}":
            self._reach.notes.append(f"{file}: the release {name[:80]} is filled in by helmfile")
            return
        local = join(_folder(file), chart) if chart.startswith((".", "/")) else None
        if local is None or f"{local}/Chart.yaml" not in self._repository.files:
            local = None
        values = tuple(self._values(file, address, release, at.name, local))
        self._reach.files.update(each for each, _ in values)
        self._reach.helm.append(
            HelmSource(
                owner="helmfile",
                release=name,
                namespace=namespace or "default",
                chart=PurePosixPath(chart.rstrip("/")).name,
                version=release.text("version"),
                chart_folder=local,
                values=values,
                route=at.route,
                overruled=_overruled(release, file),
                source=f"{chart} {at.addresses.get(chart.partition('/')[0], '')}",
            )
        )

    def _values(
        self, file: str, address: Address, release: Node, stage: str, chart: str | None
    ) -> Iterator[tuple[str, Address]]:
        """Where the values of a release stand, from the weakest to the strongest."""
        own = f"{chart}/values.yaml"
        if chart is not None and own in self._repository.files:
            yield own, Address(0, ())
        for number, entry in enumerate(release.sequence("values")):
            if entry.kind == "mapping":
                yield file, address.below("values", number)
                continue
            named = join(_folder(file), _filled(entry.value, release, stage))
            if named is not None and named in self._repository.files:
                yield named, Address(0, ())
            elif _OPEN in entry.value or entry.value.endswith(".gotmpl"):
                self._reach.notes.append(
                    f"{file}: the values {entry.value[:80]} are a template, filled in by helmfile"
                )


@dataclass(frozen=True, slots=True)
class _Stage:
    """The environment that helmfile is run for, and the namespace that it forces, if any."""

    name: str
    namespace: str | None
    route: Route
    addresses: Mapping[str, str]
    """The addresses of chart repositories by what the helmfile calls them."""


def _folder(file: str) -> str:
    return str(PurePosixPath(file).parent) if "/" in file else ""


def _filled(text: str, release: Node, stage: str) -> str:
    """A text with the environment and the release's own fields put in; other templates stay."""
    text = _ENVIRONMENT.sub(lambda _: stage, text)
    return _RELEASE.sub(lambda m: release.text(m["field"].lower()) or m.group(), text)


def _all_text(release: Node) -> str:
    """Every text of a release by which it may differ from stage to stage."""
    names = [entry.value for entry in release.sequence("values") if entry.kind == "scalar"]
    return "\n".join([*names, *(release.text(key) or "" for key in ("name", "namespace"))])


def _overruled(release: Node, file: str) -> str | None:
    """What has a hand in the resources beside the values that can be read; None for nothing."""
    for entry in release.sequence("set"):
        if "resources" in (entry.text("name") or "").lower():
            return f"the helmfile sets {(entry.text('name') or '')[:80]} on its own"
    for key in ("inherit", "jsonPatches", "strategicMergePatches", "transformers"):
        if release.at(key) is not None:
            return f"{file} changes the release by its {key} as well"
    last = [entry.value for entry in release.sequence("values") if entry.kind == "scalar"]
    if any(value.endswith(".gotmpl") or _OPEN in _RELEASE.sub("", value) for value in last):
        return f"{file} names values that helmfile fills in, which may state it as well"
    return None
