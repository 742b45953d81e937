"""Every place in a repository that declares resources, and every release that could.

An index also holds what it expects to be running because of the repository: one `Expectation` per
container, with the place that decides its requests and limits and the rule by which that is known.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any, TypeVar

from analyzer.errors import GitOpsError
from analyzer.gitops.index.block import is_block
from analyzer.gitops.index.findings import oddities
from analyzer.gitops.index.manifests import Manifests
from analyzer.gitops.index.place import Expectation, Finding, Identity, Place
from analyzer.gitops.index.scaler import Scaler
from analyzer.gitops.index.survey import Survey, generated_path
from analyzer.gitops.index.values import Values
from analyzer.gitops.reach.custom import ANY
from analyzer.gitops.reach.helm_release import find_releases
from analyzer.gitops.reach.release import Owner, Release
from analyzer.gitops.reach.repository import Repository, is_templated, load_repository
from analyzer.gitops.reach.roots import find_reach
from analyzer.gitops.reach.route import Route
from analyzer.gitops.render.builder import RepositoryBuilder
from analyzer.gitops.render.program import Tools
from analyzer.gitops.text.address import Address, dotted
from analyzer.gitops.text.resources import ROWS
from analyzer.gitops.text.tree import Node, YamlError, parse, walk
from analyzer.scheduling import Scheduling
from analyzer.workload import ContainerRef

if TYPE_CHECKING:
    import pandas as pd

Item = TypeVar("Item")
Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True)
class RepositoryIndex:
    """What `index_repository` found."""

    repository: Repository
    places: tuple[Place, ...]
    expectations: tuple[Expectation, ...]
    releases: tuple[Release, ...]
    findings: tuple[Finding, ...]
    rooted: bool
    notes: tuple[str, ...] = ()
    vpas: Mapping[tuple[str, str, str], str] = field(default_factory=dict)
    """Modes of VerticalPodAutoscalers by namespace, kind and name of what they scale."""
    scheduling: Mapping[tuple[str, str, str], Scheduling] = field(default_factory=dict)
    """What the pods of each workload ask of nodes, where nothing on the way changes it."""
    rules: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    """Rows of limit ranges, quotas, disruption budgets and priority classes, by kind."""
    scalers: tuple[Scaler, ...] = ()
    """Autoscalers on utilisation, those of other clusters among them."""
    unoffered: Mapping[Identity, Owner] = field(default_factory=dict)
    """Containers that a chart makes and that nothing can be stated for, each with its release."""

    @cached_property
    def scalers_of(self) -> Mapping[tuple[str, str, str], Sequence[Scaler]]:
        """The autoscalers of this cluster by namespace, kind and name of what they scale."""
        return _by((s for s in self.scalers if s.route.inside), lambda scaler: scaler.identity)

    @property
    def root(self) -> FilePath:
        return self.repository.root

    @cached_property
    def texts(self) -> Mapping[str, str]:
        """Every file's text by its name."""
        return {file: source.text for file, source in self.repository.files.items()}

    def generated(self, file: str) -> str:
        """Why a file is not written by hand, by where it lies; empty where nothing says so."""
        return generated_path(file, self.repository) or ""

    def naming(self, ref: ContainerRef) -> list[Expectation]:
        """Every expectation that may be about a container, in order: of its name, or an open one.

        An open one names its workload by a pattern, or not at all.
        """
        here = (ref.namespace, ref.container)
        named = self._by_name.get((*here, ref.workload), [])
        numbers = sorted([*named, *self._by_name.get((*here, None), [])])
        return [self.expectations[number] for number in numbers]

    @cached_property
    def of_unknown_kinds(self) -> Mapping[tuple[str, str], Sequence[Expectation]]:
        """What objects of unknown kinds state for a container: by namespace and ``Kind/name``."""
        unknown = [e for e in self.expectations if e.container == ANY and e.route.inside]
        return _by(unknown, lambda e: (e.namespace, f"{e.kind}/{e.workload}"))

    @cached_property
    def of_others(self) -> Mapping[tuple[str, str], Sequence[Expectation]]:
        """What is expected outside of the entry that was asked for: by namespace and container."""
        others = [e for e in self.expectations if not e.route.inside]
        return _by(others, lambda e: (e.namespace, e.container))

    @cached_property
    def unreadable(self) -> Mapping[str, tuple[str, str]]:
        """The files that may declare workloads and cannot be read so: what each is, and its text.

        Templates of charts are among them although many of them parse. A symbolic link is not:
        what it leads to is read by its own name, or lies elsewhere.
        """
        repository = self.repository
        unread = repository.unread.items()
        found = {file: why for file, why in unread if not why.startswith("a symbolic link")}
        for file in repository.files:
            if "/templates/" in f"/{file}" and is_templated(file, repository):
                found[file] = "a template of a Helm chart"
        return {
            f: (what, repository.text(f)) for f, what in {**found, **repository.foreign}.items()
        }

    @cached_property
    def _by_name(self) -> dict[tuple[str, str, str | None], list[int]]:
        """Positions of expectations by namespace, container and workload; None: an open one."""
        found: dict[tuple[str, str, str | None], list[int]] = {}
        for number, expectation in enumerate(self.expectations):
            if expectation.route.inside:
                workload = expectation.workload if expectation.pattern is None else None
                key = (expectation.namespace, expectation.container, workload)
                found.setdefault(key, []).append(number)
        return found

    @cached_property
    def releases_of(self) -> Mapping[Owner, Sequence[Release]]:
        """Releases by their owner; one that several routes lead to is there as often."""
        return _by(self.releases, lambda release: release.owner)

    @cached_property
    def releases_in(self) -> Mapping[str | None, Sequence[Release]]:
        """Releases by the namespace of their owner."""
        return _by(self.releases, lambda release: release.owner.namespace)

    @cached_property
    def places_of(self) -> Mapping[Owner, Sequence[Place]]:
        """Places by their owner."""
        return _by(self.places, lambda place: place.owner)

    @cached_property
    def places_of_objects(self) -> Mapping[str | None, Sequence[Place]]:
        """Places of no known container or release, by the namespace of their owner."""
        unknown = [p for p in self.places if p.container is None and p.owner.release is None]
        return _by(unknown, lambda place: place.owner.namespace)

    @cached_property
    def fed_by(self) -> dict[tuple[str, Address], list[Expectation]]:
        """Expectations by file and address of each amount that decides, or would decide, for them.

        More than one where a place feeds several workloads. Other clusters' are among them.
        """
        found: dict[tuple[str, Address], list[Expectation]] = {}
        for expectation in self.expectations:
            for row in ROWS:
                found.setdefault(expectation.leaf(row.field), []).append(expectation)
        return found

    @cached_property
    def told_by(self) -> dict[tuple[str, Address], list[Expectation]]:
        """Expectations by file and address of each runtime setting of theirs."""
        found: dict[tuple[str, Address], list[Expectation]] = {}
        for expectation in self.expectations:
            for setting in expectation.settings:
                found.setdefault((setting.file, setting.address), []).append(expectation)
        return found

    def to_dicts(self) -> list[dict[str, object]]:
        """The places as plain values, in the order of files and documents."""
        return [place.to_dict() for place in self.places]

    def to_frame(self) -> pd.DataFrame:
        """The places as a table, one row each."""
        import pandas as pd

        return pd.DataFrame(self.to_dicts(), columns=list(_EMPTY.to_dict()))


def _by(items: Iterable[Item], key: Callable[[Item], Key]) -> dict[Key, list[Item]]:
    """The items by their key, in order."""
    found: dict[Key, list[Item]] = {}
    for item in items:
        found.setdefault(key(item), []).append(item)
    return found


_EMPTY = Place("", Address(0, ()), Owner("", "", ""))


def index_repository(
    root: FilePath, *, entry: str | None = None, tools: Tools | None = None
) -> RepositoryIndex:
    """Find every place below `root` that declares resources or could.

    `entry` is the folder of one cluster's Flux or Argo CD root where a repository holds several.
    With `tools`, charts that are at hand and of which nothing is known are rendered once each to
    learn which of their values decide what.
    Raises `GitOpsError` when `root` is no folder or `entry` is not in it.
    """
    repository = load_repository(root)
    if entry is not None and entry.strip("/") not in repository.folders:
        raise GitOpsError(f"expected the folder {entry} in {root}, found no YAML file below it")
    builder = RepositoryBuilder(repository, tools or Tools())
    survey = Survey(repository, find_reach(repository, entry, builder))
    survey.reach.notes += builder.problems
    _look(survey, tools or Tools())
    _block_scalars(survey)
    survey.findings += oddities(survey)
    return RepositoryIndex(
        repository,
        tuple(sorted(survey.places.values(), key=_order)),
        tuple(survey.expectations),
        tuple(survey.releases),
        tuple(survey.findings),
        survey.reach.rooted,
        tuple(survey.reach.notes),
        survey.vpas,
        survey.scheduling,
        survey.rules,
        tuple(survey.scalers),
        survey.unoffered,
    )


def _look(survey: Survey, tools: Tools) -> None:
    """Take down every object that arrives, then what the values of each release decide."""
    manifests = Manifests(survey)
    for arrival in survey.reach.arrivals:
        if not arrival.object.is_helm_release:
            manifests.take(arrival)
    survey.releases = find_releases(survey.repository, survey.reach)
    values = Values(survey, manifests, tools)
    for release in survey.releases:
        try:
            values.take(release)
        except YamlError as err:
            survey.reach.notes.append(f"{release.owner}: {err}")


def _block_scalars(survey: Survey) -> None:
    """Find blocks inside block scalars that nothing else has claimed."""
    claimed = {(f, a.document, a.path) for f, a in survey.places if a.inner is not None}
    for file, source in survey.repository.files.items():
        if "resources:" not in source.text:
            continue
        for number, document in enumerate(source.documents):
            for path, node in walk(document.root):
                inner = _inner_documents(node)
                if inner and (file, number, path) not in claimed:
                    _inner_places(survey, file, Address(number, path), document.root, inner)


def _inner_places(
    survey: Survey, file: str, address: Address, root: Node, inner: Sequence[Node]
) -> None:
    owner = Owner(
        root.text("kind") or "file",
        root.text("metadata", "name") or file,
        root.text("metadata", "namespace") or "",
    )
    met = file in survey.reach.files and survey.reach.rooted
    reachable = True if met else survey.reach.unmet(file)
    for number, node in enumerate(inner):
        for path, found in walk(node):
            if path and is_block(str(path[-1]), found):
                here = address.into(Address(number, path))
                route = Route("a block scalar", reachable=reachable)
                survey.place(file, here, owner, None, route)


def _order(place: Place) -> tuple[str, int, str, str]:
    inner = place.address.inner
    return (place.file, place.address.document, dotted(place.address.path), str(inner))


def _inner_documents(node: Node) -> list[Node]:
    """The YAML inside a block scalar that mentions resources; empty for everything else."""
    if node.kind != "scalar" or node.style not in ("|", ">") or "resources:" not in node.value:
        return []
    try:
        return [document.root for document in parse(node.value)]
    except YamlError:
        return []
