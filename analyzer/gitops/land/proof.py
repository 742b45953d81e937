"""Whether edits do in the cluster what they were meant to do, as far as rendering can tell."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

from analyzer.gitops.index.place import Expectation, Place
from analyzer.gitops.index.repository_index import RepositoryIndex
from analyzer.gitops.reach.release import Release
from analyzer.gitops.reach.repository import join
from analyzer.gitops.render.charts import Chart, charts_in
from analyzer.gitops.render.helm import Helm
from analyzer.gitops.render.kustomize import Kustomize, is_remote
from analyzer.gitops.render.program import RenderError, Tools
from analyzer.gitops.render.rendering import Comparison, Rendering, Sink, compare, noise_of
from analyzer.gitops.text.tree import Document, Node, parse
from analyzer.quantity import Resources

_KUSTOMIZE_LISTS = ("resources", "bases", "components", "crds", "generators", "transformers")


@dataclass(frozen=True, slots=True)
class Proof:
    """How one edit was proven: on its text always, by rendering where that was possible.

    `fields` are the leaves that changed. `rendered_with` names the program and its version; then
    `changed` of `containers` rendered ones changed, exactly those meant, and `without` says what
    had to be left out of the rendering. Where nothing was rendered, `not_rendered` says why.
    """

    fields: tuple[str, ...]
    rendered_with: str = ""
    changed: int = 0
    containers: int = 0
    without: str = ""
    not_rendered: str = ""

    @property
    def text(self) -> str:
        """What was checked on the file itself."""
        return f"{', '.join(self.fields)} changed, every other character as before"

    @property
    def rendering(self) -> str:
        """What rendering showed, or why there was none."""
        if not self.rendered_with:
            return self.not_rendered
        count = f"{self.changed} of {self.containers} containers changed, as intended"
        left_out = f"; {self.without} was left out" if self.without else ""
        return f"rendered with {self.rendered_with}: {count}{left_out}"

    def __str__(self) -> str:
        return f"text: {self.text}; {self.rendering}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What rendering said of one edit.

    `holds` is None where it could not be asked, and `reason` says why; where it is False, `reason`
    is what speaks against the edit.
    """

    holds: bool | None
    reason: str = ""
    program: str = ""
    changed: int = 0
    containers: int = 0
    without: str = ""

    def proof(self, fields: Sequence[str]) -> Proof:
        """The proof of an edit of `fields` that this does not speak against."""
        if not self.holds:
            return Proof(tuple(fields), not_rendered=self.reason)
        return Proof(tuple(fields), self.program, self.changed, self.containers, self.without)


def _verdict(
    comparison: Comparison, intended: Mapping[Sink, Resources], without: str = ""
) -> Verdict:
    problem = comparison.problem(intended)
    if problem is not None:
        return Verdict(False, f"rendered with {comparison.program}: {problem}")
    changed, containers = len(comparison.changed), len(comparison.after)
    return Verdict(True, "", comparison.program, changed, containers, without)


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
        others = {sink_of(claims[p].expectation): claims[p].after for p in plain}
        for positions in _groups(
            [claims[p] for p in plain], lambda claim: claim.expectation.route.folder
        ):
            group = [claims[plain[position]] for position in positions]
            verdict = self._kustomization(group, texts, others)
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
        return _verdict(comparison, intended)

    # --- kustomize ---

    def _kustomization(
        self,
        group: Sequence[Claim],
        texts: Mapping[str, str],
        others: Mapping[Sink, Resources],
    ) -> Verdict:
        """What building the group's folder shows.

        `others` are the containers of all claims: one that another route leads to may be part of
        the same build, and then has to change as meant as well.
        """
        folder = group[0].expectation.route.folder
        if self._tools.kubectl is None:
            return Verdict(None, "not rendered: there is no kubectl on PATH")
        if self._index.repository.kustomization(folder) is None:
            return Verdict(None, "applied as it stands, with no kustomization in between")
        remote = self._remote(folder, {})
        without = {file: entries for file, entries in remote.items() if entries}
        left_out = ", ".join(entry[:120] for entries in without.values() for entry in entries)
        intended = {sink_of(claim.expectation): claim.after for claim in group}
        try:
            kustomize = self._kustomize
            before, after = (kustomize.build(folder, edits, without) for edits in ({}, texts))
            comparison = compare(before, after)
        except RenderError as err:
            if left_out:
                return Verdict(None, f"not rendered: {left_out} lies outside the repository")
            return Verdict(None, f"not rendered: {err}")
        if not comparison.changed and not comparison.elsewhere:
            return Verdict(None, "not rendered: Flux adds it after kustomize")
        meant = {sink: after for sink, after in others.items() if sink in comparison.changed}
        return _verdict(comparison, {**meant, **intended}, left_out)

    @cached_property
    def _kustomize(self) -> Kustomize:
        if self._tools.kubectl is None:
            raise RenderError("there is no kubectl on PATH")
        return Kustomize(self._tools.kubectl, self._texts)

    @cached_property
    def _texts(self) -> dict[str, str]:
        return {name: source.text for name, source in self._index.repository.files.items()}

    def _remote(self, folder: str, found: dict[str, list[str]]) -> dict[str, list[str]]:
        """By kustomization below `folder`, its entries that need the network or another place."""
        file = self._index.repository.kustomization(folder)
        if file is None or file in found:
            return found
        found[file] = []
        for document in self._index.repository.files[file].documents:
            for reference in _references(document.root):
                below = None if is_remote(reference) else join(folder, reference)
                if below is None:
                    found[file].append(reference)
                else:
                    self._remote(below, found)
            if document.root.at("helmCharts") is not None:
                found[file].append("helmCharts")
        return found


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
