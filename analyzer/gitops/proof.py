"""Whether edits do in the cluster what they were meant to do, as far as rendering can tell."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

from analyzer.gitops.index import RepositoryIndex
from analyzer.gitops.place import Expectation, Place, Release
from analyzer.gitops.reach import KUSTOMIZATION_FILES
from analyzer.gitops.render import (
    Chart,
    Helm,
    Kustomize,
    RenderError,
    Rendering,
    Sink,
    Tools,
    charts_in,
    compare,
    is_remote,
    noise_of,
)
from analyzer.gitops.repository import join
from analyzer.gitops.tree import Document, Node, parse
from analyzer.quantity import Resources

_KUSTOMIZE_LISTS = ("resources", "bases", "components", "crds", "generators", "transformers")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What rendering said of one edit. `holds` is None where it could not be asked."""

    holds: bool | None
    sentence: str


class Claim(Protocol):
    """An edit to be proven: the place, and the container it should change."""

    @property
    def place(self) -> Place: ...

    @property
    def expectation(self) -> Expectation: ...

    @property
    def after(self) -> Resources: ...


class Prover:
    """Renders before and after with whatever programs and charts there are."""

    def __init__(self, index: RepositoryIndex, tools: Tools) -> None:
        self._index = index
        self._tools = tools

    @cached_property
    def _helm(self) -> Helm | None:
        if self._tools.helm is None:
            return None
        return Helm(self._tools.helm, charts_in([*self._tools.charts, self._index.root]))

    def verdicts(self, claims: Sequence[Claim], texts: Mapping[str, str]) -> list[Verdict]:
        """One verdict for each claim, where `texts` are the edited files as they would be."""
        documents = {file: parse(text) for file, text in texts.items()}
        found: dict[int, Verdict] = {}
        for positions in _groups(claims, lambda claim: claim.place.owner):
            group = [claims[position] for position in positions]
            if group[0].place.owner.release is not None:
                verdict = self._release(group, documents)
                found.update(dict.fromkeys(positions, verdict))
        plain = [p for p in range(len(claims)) if p not in found]
        for positions in _groups(
            [claims[p] for p in plain], lambda claim: claim.expectation.route.folder
        ):
            group = [claims[plain[position]] for position in positions]
            verdict = self._kustomization(group, texts)
            found.update({plain[position]: verdict for position in positions})
        return [found[position] for position in range(len(claims))]

    # --- helm ---

    def _release(
        self, group: Sequence[Claim], documents: Mapping[str, Sequence[Document]]
    ) -> Verdict:
        owner = group[0].place.owner
        if self._helm is None:
            return Verdict(None, "not rendered: there is no helm on PATH")
        releases = [r for r in self._index.releases if r.owner == owner]
        chart = self._helm.chart_of(releases[0], self._index.root) if releases else None
        if chart is None:
            shown = f"{owner.chart or 'its chart'} {owner.version or ''}".strip()
            return Verdict(None, f"not rendered: {shown} is not at hand")
        intended = {sink_of(claim.expectation): claim.after for claim in group}
        return self._compare(self._helm, chart, releases[0], documents, intended)

    def _compare(
        self,
        helm: Helm,
        chart: Chart,
        release: Release,
        documents: Mapping[str, Sequence[Document]],
        intended: Mapping[Sink, Resources],
    ) -> Verdict:
        def render(which: Release) -> Rendering:
            return helm.render(chart, which.name, which.owner.namespace, which.merged())

        try:
            before = render(release)
            after = render(release.with_documents(documents))
            comparison = compare(before, after)
            if comparison.elsewhere:
                comparison = compare(before, after, noise_of(before, render(release)))
        except RenderError as err:
            return Verdict(None, f"not rendered: {err}")
        return Verdict(*comparison.judge(intended))

    # --- kustomize ---

    def _kustomization(self, group: Sequence[Claim], texts: Mapping[str, str]) -> Verdict:
        folder = group[0].expectation.route.folder
        if self._tools.kubectl is None:
            return Verdict(None, "not rendered: there is no kubectl on PATH")
        if not self._has_kustomization(folder):
            return Verdict(None, "applied as it stands, with no kustomization in between")
        remote = self._remote(folder, set())
        if remote is not None:
            return Verdict(None, f"not rendered: {remote} lies outside the repository")
        kustomize = Kustomize(self._tools.kubectl, self._texts)
        intended = {sink_of(claim.expectation): claim.after for claim in group}
        try:
            comparison = compare(kustomize.build(folder, {}), kustomize.build(folder, texts))
        except RenderError as err:
            return Verdict(None, f"not rendered: {err}")
        if not comparison.changed and not comparison.elsewhere:
            return Verdict(None, "not rendered: Flux adds it after kustomize")
        return Verdict(*comparison.judge(intended))

    @cached_property
    def _texts(self) -> dict[str, str]:
        return {name: source.text for name, source in self._index.repository.files.items()}

    def _has_kustomization(self, folder: str) -> bool:
        return self._kustomization_file(folder) is not None

    def _kustomization_file(self, folder: str) -> str | None:
        files = (f"{folder}/{name}" if folder else name for name in KUSTOMIZATION_FILES)
        return next((file for file in files if file in self._index.repository.files), None)

    def _remote(self, folder: str, seen: set[str]) -> str | None:
        """The first reference below `folder` that would need the network or another repository."""
        file = self._kustomization_file(folder)
        if file is None or folder in seen:
            return None
        seen.add(folder)
        for document in self._index.repository.files[file].documents:
            for reference in _references(document.root):
                below = None if is_remote(reference) else join(folder, reference)
                if below is None:
                    return reference[:120]
                found = self._remote(below, seen)
                if found is not None:
                    return found
            if document.root.at("helmCharts") is not None:
                return "a helmCharts entry"
        return None


def _references(root: Node) -> list[str]:
    return [
        item.value
        for key in _KUSTOMIZE_LISTS
        for item in root.sequence(key)
        if item.kind == "scalar" and "\n" not in item.value
    ]


def sink_of(expectation: Expectation) -> Sink:
    """The container an expectation is about, as a rendering names it."""
    if expectation.pattern is not None:
        workload = expectation.pattern.pattern.replace("\\", "")
    else:
        workload = expectation.workload or ""
    return Sink(expectation.kind, workload, expectation.container)


def _groups(claims: Sequence[Claim], key: Callable[[Claim], Hashable]) -> Iterable[list[int]]:
    """The positions of claims with the same key, in order of first appearance."""
    found: dict[Hashable, list[int]] = {}
    for position, claim in enumerate(claims):
        found.setdefault(key(claim), []).append(position)
    return found.values()
