"""Whether edits do in the cluster what they were meant to do, as far as rendering can tell."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from queue import SimpleQueue

from analyzer.gitops.index.place import Expectation
from analyzer.gitops.index.repository_index import RepositoryIndex
from analyzer.gitops.land.aim import (
    Aim,
    AnyAim,
    AnyClaim,
    BesideAim,
    Claim,
    entry_of,
    files_of,
    owner_of,
)
from analyzer.gitops.land.built import Build, Installed, as_built, as_found, build_of
from analyzer.gitops.land.judgement import Verdict, judged, together
from analyzer.gitops.land.writes import Beside, written
from analyzer.gitops.reach.custom import ANY
from analyzer.gitops.reach.k3s import HELM_CHART
from analyzer.gitops.reach.release import Release
from analyzer.gitops.reach.route import Route
from analyzer.gitops.render.builder import RepositoryBuilder
from analyzer.gitops.render.kustomize import Kustomize
from analyzer.gitops.render.program import RenderError, Tools
from analyzer.gitops.render.rendering import Rendering
from analyzer.gitops.text.tree import parse

_CARRIERS = frozenset({"HelmRelease", HELM_CHART})
"""Objects that hand values on to a chart, and that kustomize builds like any other."""
_MOST_AT_ONCE = 4
"""Programs that render at a time: each takes some 50 MB of what the whole run may take."""
_WORTH_A_COPY = 8
"""So many renderings are worth a thread, with a copy of the repository."""

_Work = Callable[[Sequence[AnyClaim], Kustomize | None], list[Verdict]]


class Prover:
    """Renders before and after with whatever programs and charts there are.

    Each build is made once before and once after all claims, and every value that moved is
    laid to the claim that meant it. Only what no claim meant is looked into claim by claim.
    """

    def __init__(self, index: RepositoryIndex, tools: Tools) -> None:
        self._index = index
        self._builder = RepositoryBuilder(index.repository, tools)
        self._at_once = tools.at_once

    def verdicts(self, claims: Sequence[AnyClaim]) -> list[Verdict]:
        """One verdict for each claim."""
        jobs = list(self._jobs(claims))
        works = [partial(work, [claims[n] for n in concerned]) for concerned, work in jobs]
        found: list[list[Verdict]] = [[] for _ in claims]
        for (concerned, _), verdicts in zip(jobs, self._side_by_side(works), strict=True):
            for n, verdict in zip(concerned, verdicts, strict=True):
                found[n].append(verdict)
        return [together(each) for each in found]

    def _jobs(self, claims: Sequence[AnyClaim]) -> Iterator[tuple[list[int], _Work]]:
        """What is to be rendered, and which claims by number each of it concerns."""
        builds: dict[Build, list[int]] = {}
        for n, claim in enumerate(claims):
            for build in dict.fromkeys(self._builds(claim)):
                builds.setdefault(build, []).append(n)
        for build, concerned in builds.items():
            yield concerned, partial(self._build, build)
        releases = [n for n, claim in enumerate(claims) if owner_of(claim).release is not None]
        for positions in _groups([_release_of(claims[n]) for n in releases]):
            yield [releases[position] for position in positions], self._release

    def _side_by_side(
        self, works: Sequence[Callable[[Kustomize | None], list[Verdict]]]
    ) -> list[list[Verdict]]:
        """What each of `works` finds, in their order: some at a time, each in a copy of its own.

        Nearly all of the time goes to programs that are waited for.
        """
        kustomize = self._builder.kustomize
        threads = min(self._at_once, _MOST_AT_ONCE, 1 + len(works) // _WORTH_A_COPY)
        if threads == 1:
            return [work(kustomize) for work in works]
        free: SimpleQueue[Kustomize | None] = SimpleQueue()
        for number in range(threads):
            free.put(kustomize.copy() if number and kustomize is not None else kustomize)

        def done(work: Callable[[Kustomize | None], list[Verdict]]) -> list[Verdict]:
            own = free.get()
            try:
                return work(own)
            finally:
                free.put(own)

        with ThreadPoolExecutor(threads, thread_name_prefix="prove") as pool:
            try:
                return list(pool.map(done, works))
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)  # nothing that waits is begun
                raise

    def _texts(self, claims: Sequence[AnyClaim]) -> Mapping[str, str]:
        """The files that some claims touch, with these made and no others."""
        besides = [claim for claim in claims if isinstance(claim, Beside)]
        amounts = [claim for claim in claims if not isinstance(claim, Beside)]
        writes = [write for claim in amounts for write in claim.writes]
        keeps = [kept for claim in amounts for kept in claim.keeps]
        return written(self._index.texts, writes, besides, keeps)

    # --- kustomize ---

    def _builds(self, claim: AnyClaim) -> Iterator[Build]:
        """Every build of a kustomize folder that takes what the claim writes.

        Charts that kustomize itself would render are left to helm.
        """
        owner = owner_of(claim)
        if owner.release is not None and owner.kind not in _CARRIERS:
            return
        routes = claim.routes if isinstance(claim, Beside) else self._routes(claim)
        for route in routes:
            build = build_of(route, files_of(claim))
            if build is not None and route.reachable is not False:
                yield build

    def _routes(self, claim: Claim) -> list[Route]:
        """The ways of all that what the claim writes decides for, or would in a shared place."""
        shared = [write.apart.shared for write in claim.writes if write.apart is not None]
        others = [e for target in shared for e in self._index.fed_by.get(target, [])]
        return [each.route for each in (*others, *self._fed_by(claim))]

    def _fed_by(self, claim: Claim) -> list[Expectation]:
        """The containers that what the claim writes decides for."""
        found: list[Expectation] = []
        for write in claim.writes:
            target = (write.file, write.address)
            apart = write.apart
            found += self._index.fed_by.get(target, []) if apart is None else apart.fed
        return found

    def _aim_in(self, build: Build, claim: AnyClaim) -> AnyAim:
        """What a claim means to move in a build."""
        if isinstance(claim, Beside):
            return BesideAim(claim, claim.owner.release is not None)
        files = files_of(claim)
        fed = [each for each in self._fed_by(claim) if build_of(each.route, files) == build]
        return Aim(claim, _is_handed_on(claim), fed)

    def _build(
        self, build: Build, claims: Sequence[AnyClaim], kustomize: Kustomize | None
    ) -> list[Verdict]:
        if kustomize is None:
            return [Verdict(None, "not rendered: there is no kubectl on PATH")] * len(claims)
        left_out = ", ".join(entry[:120] for entry in kustomize.left_out(build.folder))

        def render(chosen: Sequence[AnyClaim]) -> Rendering:
            return build.made_by(kustomize, self._texts(chosen))

        aims = [self._aim_in(build, claim) for claim in claims]
        try:
            verdicts = judged(aims, render, in_values=True)
        except RenderError as err:
            if left_out:
                reason = f"not rendered: {left_out} lies outside the repository"
                return [Verdict(None, reason)] * len(claims)
            return [Verdict(None, f"not rendered: {err}")] * len(claims)
        return [replace(verdict, without=left_out) for verdict in verdicts]

    # --- helm ---

    def _release(self, claims: Sequence[AnyClaim], kustomize: Kustomize | None) -> list[Verdict]:
        owner = owner_of(claims[0])
        helm = self._builder.helm
        if helm is None:
            return [Verdict(None, "not rendered: there is no helm on PATH")] * len(claims)
        # Stages of one release differ in their values: only that of the claim's own way is meant.
        named = self._index.releases_of.get(owner, ())
        entry = entry_of(claims[0])
        releases = [r for r in named if r.route.entry == entry] or named
        chart = helm.chart_of(releases[0], self._index.root) if releases else None
        if chart is None:
            shown = f"{owner.chart or 'its chart'} {owner.version or ''}".strip()
            return [Verdict(None, f"not rendered: {shown} is not at hand")] * len(claims)

        def render(chosen: Sequence[AnyClaim]) -> Rendering:
            values, post = _installed(releases[0], self._texts(chosen), kustomize)
            return helm.render(chart, owner.release or owner.name, owner.namespace, values, post)

        aims: list[AnyAim] = [
            BesideAim(claim, False)
            if isinstance(claim, Beside)
            else Aim(claim, False, [claim.expectation])
            for claim in claims
        ]
        try:
            return judged(aims, render, in_values=False)
        except RenderError as err:
            return [Verdict(None, f"not rendered: {err}")] * len(claims)


def _installed(
    release: Release, texts: Mapping[str, str], kustomize: Kustomize | None
) -> Installed:
    """The values of a release with some files edited, as kustomize hands them on."""
    edited = release.with_documents({file: parse(text) for file, text in texts.items()})
    build = build_of(release.route)
    if build is None or kustomize is None:
        return as_found(edited)
    try:
        rendering = build.made_by(kustomize, texts)
    except RenderError:
        return as_found(edited)  # the verdict of the build itself says why
    return as_built(edited, rendering)


def _is_handed_on(claim: Claim) -> bool:
    """Whether what is written is handed on to a chart or to an operator that nobody knows here."""
    return claim.place.owner.release is not None or claim.expectation.container == ANY


def _release_of(claim: AnyClaim) -> Hashable:
    """What claims of one release on one way to a cluster have in common."""
    return owner_of(claim), entry_of(claim)


def _groups(keys: Sequence[Hashable]) -> Iterable[list[int]]:
    """The positions of equal keys, in order of first appearance."""
    found: dict[Hashable, list[int]] = {}
    for position, key in enumerate(keys):
        found.setdefault(key, []).append(position)
    return found.values()
