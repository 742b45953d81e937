"""From live containers to the one place in Git that decides each one's requests and limits.

Labels are asked first, because they say which release a pod belongs to; then what the repository
says ought to be running. A container that fits two places, or whose labels contradict the place,
is left untraced with the reason: a wrong place is worse than none.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from analyzer.gitops.index.place import Confidence, Expectation, Place
from analyzer.gitops.index.repository_index import RepositoryIndex
from analyzer.gitops.reach.release import Release
from analyzer.gitops.reach.repository import kind_of
from analyzer.quantity import Resources
from analyzer.workload import CONTROLLED_BY, ContainerRef

_RELEASE_NAME = ("helm_toolkit_fluxcd_io_name", "helm_toolkit_fluxcd_io_namespace")
_KUSTOMIZATION = ("kustomize_toolkit_fluxcd_io_name", "kustomize_toolkit_fluxcd_io_namespace")
_INSTANCE = "app_kubernetes_io_instance"
_APPLICATION = "argocd_argoproj_io_instance"
_HELM_RELEASE = "meta_helm_sh_release_name"
_CONTROLLERS = ("app_kubernetes_io_controller", "app_kubernetes_io_component")


@dataclass(frozen=True, slots=True)
class LiveContainer:
    """A container as the cluster shows it.

    `labels` have the keys kube-state-metrics writes, without its prefixes.
    `current` is what runs now, the defaulted requests included; None where it is not known, as
    `container_type` may be.
    """

    ref: ContainerRef
    labels: Mapping[str, str] = field(default_factory=dict)
    container_type: str | None = "app"
    current: Resources | None = None


@dataclass(frozen=True, slots=True)
class Trace:
    """The place of one container, or the reason why there is none.

    `certain` places are named by labels or by a rule that leaves no choice, `likely` ones by a
    rule of a well-known chart; `unproven` ones are a hint for a person and are never edited.
    """

    ref: ContainerRef
    place: Place | None
    confidence: Confidence | None
    reason: str
    expectation: Expectation | None = None

    def to_dict(self) -> dict[str, object]:
        """The trace as plain values, for JSON and tables."""
        return {
            "container": str(self.ref),
            "cluster": self.ref.cluster,
            "file": self.place.file if self.place else None,
            "document": self.place.address.document if self.place else None,
            "path": self.place.path if self.place else None,
            "confidence": self.confidence,
            "reason": self.reason,
            "editable": self.place.editable if self.place else None,
        }


def trace(containers: Sequence[LiveContainer], index: RepositoryIndex) -> list[Trace]:
    """The place of every container, in the order given; one `Trace` for each."""
    return [trace_one(container, index) for container in containers]


def trace_one(container: LiveContainer, index: RepositoryIndex) -> Trace:
    """The place that decides the requests and limits of `container`, or why there is none."""
    ref = container.ref
    named = index.naming(ref)
    fitting = [e for e in named if e.fits(ref.kind, ref.workload)]
    fitting += [e for e in named if _named_by_labels(container, e)]
    fitting = fitting or _of_unknown_kind(container, index)
    if not fitting:
        return _without_expectation(container, index)
    live = [e for e in fitting if e.route.reachable is not False]
    if not live:
        return Trace(
            ref, None, None, f"declared only where nothing reaches it: {fitting[0].place.where}"
        )
    agreeing, objection = _agreeing(container, live)
    if not agreeing:
        return Trace(ref, None, None, objection)
    # What is surely applied has the last word over what somebody may apply at times.
    agreeing = [e for e in agreeing if e.route.reachable] or agreeing
    places = {(e.place.file, e.place.address): e for e in agreeing}
    if len(places) > 1:
        shown = "; ".join(e.place.where for e in list(places.values())[:3])
        return Trace(
            ref,
            None,
            None,
            f"{len(places)} places fit and none is to be preferred: {shown}; where these are "
            "several clusters, name the folder of one with --entry",
        )
    return _traced(container, agreeing[0])


def _of_unknown_kind(container: LiveContainer, index: RepositoryIndex) -> list[Expectation]:
    """What an object of an unknown kind states for a container of the workload that it controls.

    Only where all speaks for it: the object's owner reference, the container's name, and exactly
    the amounts that run. An operator may make several containers, and resources that look like
    theirs may be another's.
    """
    ref = container.ref
    owner, current = container.labels.get(CONTROLLED_BY), container.current
    if current is None:
        return []
    key = (ref.namespace, owner or f"{ref.kind}/{ref.workload}")
    return [
        one
        for one in index.of_unknown_kinds.get(key, ())
        if _bears_name(one, ref.container) and one.stated.effective() == current.effective()
    ]


def _bears_name(expectation: Expectation, container: str) -> bool:
    """Whether a container is called after its object, its kind or the part that states amounts."""
    above = [str(key) for key in expectation.place.address.path[-2:-1]]
    names = [expectation.workload or "", expectation.kind, *above]
    return _bare(container) in [_bare(name) for name in names]


def _bare(name: str) -> str:
    return name.replace("-", "").lower()


def _traced(container: LiveContainer, expectation: Expectation) -> Trace:
    place, ref = expectation.place, container.ref
    confirmed = _confirmation(container, expectation)
    confidence = expectation.confidence
    reason = expectation.rule if confirmed is None else f"{confirmed}; {expectation.rule}"
    mismatch = _type_mismatch(container, expectation)
    if mismatch is not None:
        return Trace(ref, None, None, mismatch)
    return Trace(ref, place, confidence, reason, expectation)


def _agreeing(
    container: LiveContainer, candidates: Sequence[Expectation]
) -> tuple[list[Expectation], str]:
    """The candidates that no label speaks against, and what the labels said of the others."""
    agreeing, objections = [], []
    for candidate in candidates:
        objection = _contradiction(container, candidate)
        if objection is None:
            agreeing.append(candidate)
        else:
            objections.append(objection)
    return agreeing, "; ".join(dict.fromkeys(objections))


def _named_by_labels(container: LiveContainer, candidate: Expectation) -> bool:
    """Whether labels vouch for a candidate whose workload's name a template leaves open."""
    nameless = candidate.workload is None and candidate.pattern is None
    same_kind = candidate.kind == container.ref.kind
    return nameless and same_kind and _confirmation(container, candidate) is not None


def _contradiction(container: LiveContainer, candidate: Expectation) -> str | None:
    """What a label says against a candidate; None where none does."""
    owner, labels = candidate.place.owner, container.labels
    name, namespace = (labels.get(key) for key in _RELEASE_NAME)
    if name is not None and owner.kind == "HelmRelease" and name != owner.name:
        return f"its labels name the HelmRelease {namespace or '?'}/{name}, not {owner}"
    helm = _helm_release(container)
    if helm is not None and owner.release is not None and helm != owner.release:
        return f"its annotations name the Helm release {helm}, not {owner.release}"
    application = labels.get(_APPLICATION)
    mine = candidate.route.application
    if application is not None and mine is not None and application != mine:
        return f"its labels name the Application {application}, not {mine}"
    instance = labels.get(_INSTANCE)
    if candidate.controller is not None and instance is not None and instance != owner.release:
        return f"its labels name the release {instance}, not {owner.release}"
    kustomization = labels.get(_KUSTOMIZATION[0])
    route = candidate.route.kustomization
    if kustomization is not None and route is not None and kustomization != route[1]:
        return f"its labels name the Kustomization {kustomization}, not {route[1]}"
    controllers = {labels[key] for key in _CONTROLLERS if key in labels}
    if candidate.controller is not None and controllers and candidate.controller not in controllers:
        return f"its labels name the controller {min(controllers)}, not {candidate.controller}"
    return None


def _confirmation(container: LiveContainer, candidate: Expectation) -> str | None:
    """What a label says for a candidate; None where none says anything."""
    owner, labels = candidate.place.owner, container.labels
    if owner.kind == "HelmRelease" and labels.get(_RELEASE_NAME[0]) == owner.name:
        return f"its labels name the HelmRelease {owner.name}"
    if owner.release is not None and _helm_release(container) == owner.release:
        return f"its annotations name the Helm release {owner.release}"
    if owner.release is not None and labels.get(_INSTANCE) == owner.release:
        return f"its labels name the release {owner.release}"
    route = candidate.route
    if route.kustomization is not None and labels.get(_KUSTOMIZATION[0]) == route.kustomization[1]:
        return f"its labels name the Kustomization {route.kustomization[1]}"
    if route.application is not None and labels.get(_APPLICATION) == route.application:
        return f"its labels name the Application {route.application}"
    return None


def _helm_release(container: LiveContainer) -> str | None:
    """The release that Helm itself wrote down; the cluster hands it on among the labels."""
    return container.labels.get(_HELM_RELEASE)


def _type_mismatch(container: LiveContainer, expectation: Expectation) -> str | None:
    """Why the container cannot be the expected one by its type; None where it can.

    An older source calls a native sidecar an init container, so these two are not told apart.
    """
    expected, own = expectation.container_type, container.container_type
    if expected is None or own is None or (own == "app") == (expected == "app"):
        return None
    return (
        f"it runs as {container.container_type} container, while "
        f"{expectation.place.where} declares an {expected} container of that name"
    )


def _without_expectation(container: LiveContainer, index: RepositoryIndex) -> Trace:
    """The best hint for a container that no rule foretells."""
    ref = container.ref
    owner = index.unoffered.get((ref.namespace, ref.kind, ref.workload, ref.container))
    if owner is not None:
        chart = " ".join(filter(None, (owner.chart, owner.version)))
        return Trace(
            ref,
            None,
            None,
            f"the chart {chart} of the {owner} makes it, and no value that was found decides its "
            "resources",
        )
    release = _labelled_release(container, index)
    if release is None:
        return _operated(container, index)
    places = [
        place
        for place in index.places_of.get(release.owner, ())
        if place.present and place.reachable is not False
    ]
    chart = release.owner.chart or "a chart that is not named"
    about = f"it belongs to {release.owner} of {chart}"
    matching = [p for p in places if _states_current(p, container.current)]
    if len(matching) == 1 and matching[0].container is None:
        return Trace(
            ref,
            matching[0],
            "unproven",
            f"{about}; only this block states what runs now, which does not prove it",
        )
    if not places:
        return Trace(ref, None, None, f"{about}, whose values state no resources for it")
    return Trace(
        ref, None, None, f"{about}; which of its {len(places)} blocks decides is not known"
    )


def _operated(container: LiveContainer, index: RepositoryIndex) -> Trace:
    """A hint at an object of an unknown kind, by its name and what it states; else nothing."""
    ref = container.ref
    named = [
        place
        for place in index.places_of_objects.get(ref.namespace, ())
        if place.reachable is not False and f"{ref.workload}-".startswith(f"{place.owner.name}-")
    ]
    fitting = [p for p in named if _states_current(p, container.current)] or named
    if len(fitting) != 1:
        return Trace(ref, None, None, _undeclared(ref, index))
    (place,) = fitting
    about = f"{place.owner} states resources in a kind that is not known here"
    return Trace(ref, place, "unproven", f"{about}, and its name fits, which does not prove it")


def _undeclared(ref: ContainerRef, index: RepositoryIndex) -> str:
    """What to say where nothing that was read declares a container: who may all the same."""
    elsewhere = index.of_others.get((ref.namespace, ref.container), ())
    for other in elsewhere:
        if other.fits(ref.kind, ref.workload) and other.route.reachable is not False:
            return (
                f"declared only for {other.route.entry}, which is none of what --entry asks for: "
                f"{other.place.where}"
            )
    naming = [
        (file, what)
        for file, (what, text) in index.unreadable.items()
        if _named_in(ref.workload, file, text)
    ]
    if naming:
        (file, what), more = naming[0], len(naming) - 1
        also = f" (and {more} more)" if more else ""
        return f"nothing that can be read declares it; {file}{also} names it: {what}"
    if index.unreadable:
        kinds = dict.fromkeys(kind_of(what) for what, _ in index.unreadable.values())
        return (
            "nothing that can be read here declares it; not read as manifests: "
            f"{_files(len(index.unreadable))} ({', '.join(kinds)})"
        )
    return "nothing in the repository declares it"


def _files(count: int) -> str:
    return "1 file" if count == 1 else f"{count} files"


def _named_in(name: str, file: str, text: str) -> bool:
    """Whether a file speaks of a workload of that name, in its text or by its own name."""
    whole = re.compile(rf"(?<![\w.-]){re.escape(name)}(?![\w-])")
    return whole.search(text) is not None or whole.search(file.replace("/", " ")) is not None


def _labelled_release(container: LiveContainer, index: RepositoryIndex) -> Release | None:
    """The one release that a container's labels name; None where none or several fit."""
    labels, ref = container.labels, container.ref
    name = labels.get(_RELEASE_NAME[0])
    instance = labels.get(_INSTANCE) or _helm_release(container)
    fitting = [
        release
        for release in index.releases_in.get(ref.namespace, ())
        if release.route.reachable is not False
        and (
            (name is not None and release.owner.name == name)
            or (name is None and instance is not None and release.name == instance)
        )
    ]
    owners = {release.owner: release for release in fitting}
    return next(iter(owners.values())) if len(owners) == 1 else None


def _states_current(place: Place, current: Resources | None) -> bool:
    """Whether a block states exactly what runs, the defaulted requests included."""
    return current is not None and place.stated.effective() == current.effective()
