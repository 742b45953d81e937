"""What is wrong with a repository, and what to do about it, before a run is tried."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from analyzer.check import OK, PROBLEM, WARNING, Check
from analyzer.errors import GitOpsError
from analyzer.gitops.index.place import Finding, Place
from analyzer.gitops.index.repository_index import RepositoryIndex, index_repository
from analyzer.gitops.land.worktree import git_version, uncommitted
from analyzer.gitops.reach.repository import kind_of
from analyzer.gitops.render.charts import charts_in, find_chart
from analyzer.gitops.render.program import RenderError, Tools, helm_version, kubectl_version

_SHOWN = 3
_ODDITIES: Mapping[str, tuple[str, str]] = {
    "ignored": (
        "blocks that decide nothing, because the chart does not read them",
        "move or remove them; whoever wrote them thinks they work",
    ),
    "shadowed": ("values that stronger values state again", "keep one of the two"),
    "duplicate": (
        "containers that two places declare",
        "name the folder of one cluster with --entry; else keep one of the places",
    ),
    "shared": (
        "places that decide for several containers",
        "fine as long as they need the same; else state each one's own",
    ),
    "limit-only": (
        "limits without a request, which Kubernetes then requests in full",
        "nothing: the request is written along with every change of such a limit",
    ),
    "tight": (
        "memory limits below what the program was told to take",
        "raise the limit or lower the heap; usage has not shown it yet",
    ),
}


def examine_repository(
    root: Path, *, entry: str | None = None, tools: Tools | None = None
) -> list[Check]:
    """Everything worth knowing of a repository before its first edit, worst news not hidden.

    Raises `GitOpsError` where there is no repository at all.
    """
    tools = tools or Tools()
    index = index_repository(root, entry=entry, tools=tools)
    return [
        *_programs(tools),
        _working_tree(index),
        _files(index),
        *_other_tools(index),
        _roots(index),
        _places(index),
        *_refusals(index.places),
        *_charts(index, tools),
        *_oddities(index.findings),
    ]


def _programs(tools: Tools) -> Iterator[Check]:
    yield _program("git", git_version, "install git: without it files are read, and not committed")
    needs: tuple[tuple[str, Path | None, Callable[[Path], str], str], ...] = (
        ("helm", tools.helm, helm_version, "edits of Helm values are proven on their text alone"),
        ("kubectl", tools.kubectl, kubectl_version, "kustomizations are not built for the proof"),
    )
    for name, program, version, without in needs:
        if program is None:
            yield Check(name, WARNING, "not on PATH", f"without it {without}")
        else:
            yield _program(name, partial(version, program), f"else {without}")


def _program(name: str, version: Callable[[], str], advice: str) -> Check:
    try:
        return Check(name, OK, version())
    except (RenderError, GitOpsError) as err:
        return Check(name, WARNING, str(err), advice)


def _working_tree(index: RepositoryIndex) -> Check:
    changed = uncommitted(index.root, [*index.repository.files, *index.repository.unread])
    if changed is None:
        return Check("working tree", OK, "no git work tree; files are taken as they are")
    if not changed:
        return Check("working tree", OK, "nothing uncommitted")
    found = f"{_many(len(changed), 'file')} with uncommitted changes: {_listed(changed)}"
    return Check("working tree", WARNING, found, "commit them; such files are not written to")


def _files(index: RepositoryIndex) -> Check:
    unread = index.repository.unread
    found = f"{_many(len(index.repository.files), 'YAML file')} read"
    if not unread:
        return Check("files", OK, found)
    broken = [name for name, reason in unread.items() if reason.startswith("expected YAML")]
    reasons = Counter(kind_of(reason) for reason in unread.values())
    found += f", {len(unread)} left out: {_counted(reasons)}"
    if not broken:
        return Check("files", OK, found)
    return Check("files", WARNING, found, f"mend what does not parse: {_listed(broken)}")


def _other_tools(index: RepositoryIndex) -> Iterator[Check]:
    """What is declared in other languages than YAML, by what it is."""
    found: dict[str, list[str]] = {}
    for file, tool in index.repository.foreign.items():
        found.setdefault(tool, []).append(file)
    for file, reason in index.repository.unread.items():
        if "template" in reason:
            found.setdefault(reason.partition(",")[0], []).append(file)
    if found:
        told = [
            f"{tool}: {_many(len(files), 'file')} ({_listed(files)})"
            for tool, files in found.items()
        ]
        advice = "what these declare is not edited here; change it there"
        yield Check("other tools", WARNING, "; ".join(told), advice)


def _roots(index: RepositoryIndex) -> Check:
    notes = f"; {_many(len(index.notes), 'thing')} not followed: {_listed(index.notes)}"
    told = notes if index.notes else ""
    if not index.rooted:
        found = f"no root of Flux or Argo CD was found{told}"
        advice = "name its folder with --entry; until then live and dead are not told apart"
        return Check("roots", WARNING, found, advice)
    return Check("roots", OK, f"followed from the roots of Flux or Argo CD{told}")


def _places(index: RepositoryIndex) -> Check:
    places = index.places
    if not places:
        advice = "name the root of the repository that declares the workloads with --repo"
        return Check("places", PROBLEM, "nothing here declares resources", advice)
    states = Counter(
        {True: "reachable", False: "dead", None: "undecided"}[place.reachable] for place in places
    )
    containers = len({e.identity for e in index.expectations if e.place.reachable is not False})
    found = (
        f"{_many(len(places), 'place')}: {_counted(states)}; "
        f"deciding for {_many(containers, 'container')}"
    )
    return Check("places", OK, found)


def _refusals(places: Sequence[Place]) -> Iterator[Check]:
    refused = [place for place in places if place.refusal and place.reachable is not False]
    by_reason: dict[str, list[Place]] = {}
    for place in refused:
        reason = (place.refusal or "").replace(f"{place.path}.", "its ")
        reason = reason.replace(place.path, "it").replace(place.file, "the file")
        by_reason.setdefault(reason, []).append(place)
    for reason, found in sorted(by_reason.items(), key=lambda item: (-len(item[1]), item[0])):
        where = _listed(place.where for place in found)
        yield Check(
            "refused", WARNING, f"{_many(len(found), 'place')}: {reason}: {where}", "edit by hand"
        )
    sealed = {p.file for p in refused if "SOPS" in (p.refusal or "")}
    if sealed:
        yield Check(
            "sealed", OK, f"{_many(len(sealed), 'file')} sealed by SOPS: {_listed(sorted(sealed))}"
        )


def _charts(index: RepositoryIndex, tools: Tools) -> Iterator[Check]:
    charts = charts_in([*tools.charts, index.root])
    wanted = Counter(
        (release.owner.chart, release.owner.version)
        for release in index.releases
        if release.owner.chart and release.chart_folder is None and release.route.reachable
    )
    missing = [
        f"{name} {version or ''}".strip()
        for (name, version), _ in wanted.most_common()
        if find_chart(charts, name or "", version) is None
    ]
    if not wanted:
        return
    found = f"{len(wanted) - len(missing)} of {len(wanted)} charts are at hand"
    if missing:
        advice = "put them into the folder named by --charts-dir to have their edits rendered"
        yield Check("charts", WARNING, f"{found}, missing: {_listed(missing)}", advice)
    else:
        yield Check("charts", OK, found)


def _oddities(findings: Sequence[Finding]) -> Iterator[Check]:
    for kind, (what, advice) in _ODDITIES.items():
        found = [finding for finding in findings if finding.kind == kind]
        if found:
            shown = _listed(f"{each.place.where} ({each.message})" for each in found)
            yield Check(kind, WARNING, f"{len(found)} {what}: {shown}", advice)


def _counted(counts: Mapping[str, int]) -> str:
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{count} {what}" for what, count in ordered)


def _many(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _listed(names: Iterable[str]) -> str:
    """The first few names, and how many more there are."""
    every = list(names)
    more = f", and {len(every) - _SHOWN} more" if len(every) > _SHOWN else ""
    return "; ".join(every[:_SHOWN]) + more
