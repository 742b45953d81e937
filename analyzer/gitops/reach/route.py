"""How objects of a repository reach a cluster: routes, and what is decided on the way."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from analyzer.gitops.reach.objects import Object
from analyzer.gitops.text.address import Address
from analyzer.gitops.text.tree import Node

_REPEATED_GROUP = re.compile(r"\)[*+?{]|\\\d|\(\?")
_MAX_REPETITIONS = 3
_MAX_PATTERN = 500
_VARIABLE = re.compile(r"\$\{(?P<name>[A-Za-z_]\w*)(?::?[-=](?P<default>[^}]*))?\}", re.ASCII)
_INPUT = re.compile(r"<<-?\s*(?P<name>inputs\.[\w.-]+)\s*(?:\|\s*quote\s*)?-?>>", re.ASCII)


def has_variable(text: str) -> bool:
    """Whether `Route.expand` could make something else of `text`."""
    return bool(_VARIABLE.search(text) or _INPUT.search(text))


@dataclass(frozen=True, slots=True)
class Patch:
    """A kustomize patch: which objects it is for, and its body with its place in the file."""

    file: str
    address: Address
    node: Node
    target: Mapping[str, str]

    @property
    def is_json(self) -> bool:
        """Whether this is a list of JSON 6902 operations and not a piece of manifest."""
        return self.node.kind == "sequence"

    def applies_to(self, found: Object, namespace: str | None) -> bool:
        """Whether the patch is meant for `found`, by kind, name and namespace.

        A label selector cannot be judged without rendering and counts as a match.
        """
        return selects(self.target, found, namespace)

    def surely_selects(self, found: Object) -> bool:
        """Whether all that the patch asks of labels and annotations stands in `found` itself.

        Nothing on the way takes labels away, while transformers may add what fits as well.
        """
        return all(
            selector in (None, "") or _states_all(selector, found.node.at("metadata", key))
            for selector, key in (
                (self.target.get("labelSelector"), "labels"),
                (self.target.get("annotationSelector"), "annotations"),
            )
        )


@dataclass(frozen=True, slots=True)
class Replacement:
    """What one target of kustomize's `replacements` writes into: which objects, which field."""

    file: str
    target: Mapping[str, str]
    field: str
    rejected: tuple[Mapping[str, str], ...] = ()
    """Which of these objects are left out; a target that says nothing leaves out none."""

    def applies_to(self, found: Object, namespace: str | None) -> bool:
        """Whether the field is overwritten in `found`."""
        rejected = any(one and selects(one, found, namespace) for one in self.rejected)
        return selects(self.target, found, namespace) and not rejected


@dataclass(frozen=True, slots=True)
class Steering:
    """The object that tells a controller how to apply a folder, and what it has kustomize add.

    `overlay` are fields of a kustomization, as JSON: what comes on top of the folder's own.
    """

    file: str
    address: Address
    overlay: str = "{}"


@dataclass(frozen=True, slots=True)
class Route:
    """How an object gets to the cluster, and what is decided on the way.

    `namespace` overrides the object's own, `otherwise` is for one that states none.
    `kustomization` names the Flux Kustomization and `application` the Argo CD Application that
    applies it, `suspended` what is to be told of one that does not apply anything at present.
    `top` is the outermost kustomize folder on the way, None where the file is applied
    as it stands. `entry` is the file or folder at which the way began: two entries may be two
    clusters. `inside` says whether it is one of those that were asked for.
    """

    root: str
    namespace: str | None = None
    otherwise: str | None = None
    kustomization: tuple[str, str] | None = None
    application: str | None = None
    variables: tuple[tuple[str, str], ...] = ()
    patches: tuple[Patch, ...] = ()
    replacements: tuple[Replacement, ...] = ()
    prefix: str = ""
    suffix: str = ""
    folder: str = ""
    top: str | None = None
    steering: Steering | None = None
    reachable: bool | None = True
    entry: str = ""
    inside: bool = True
    suspended: str = ""

    def expand(self, text: str) -> str:
        """`text` with the variables this route knows put in; unknown ones stay.

        These are the ``${NAME}`` of a Flux Kustomization and the ``<< inputs.name >>`` of a
        ResourceSet, whose inputs are kept under their dotted names.
        """
        known = dict(self.variables)

        def value(match: re.Match[str]) -> str:
            otherwise = match["default"]
            return known.get(match["name"], match.group() if otherwise is None else otherwise)

        filled = _INPUT.sub(lambda match: known.get(match["name"], match.group()), text)
        return _VARIABLE.sub(value, filled)


@dataclass(frozen=True, slots=True)
class Arrival:
    """One object on one route. An object on two routes arrives twice.

    `built` is the object as kustomize builds it, where that was asked for: what it is called, and
    what it says of the way on, is then read there.
    """

    object: Object
    route: Route
    built: Node | None = None

    @property
    def node(self) -> Node:
        """What the object says once it arrives, as far as that is known."""
        return self.object.node if self.built is None else self.built

    @property
    def namespace(self) -> str:
        own = self.object.namespace
        if self.built is not None:
            own = self.built.text("metadata", "namespace")
        found = self.route.namespace or own or self.route.otherwise or "default"
        return self.route.expand(found)

    @property
    def is_deleted(self) -> bool:
        """Whether a patch on the way takes the object away."""
        return any(
            patch.node.text("$patch") == "delete" and patch.applies_to(self.object, self.namespace)
            for patch in self.route.patches
        )

    @property
    def name(self) -> str:
        if self.built is not None:
            return self.route.expand(self.built.text("metadata", "name") or self.object.name)
        name = self.route.expand(self.object.name)
        return f"{self.route.prefix}{name}{self.route.suffix}"


@dataclass(frozen=True, slots=True)
class HelmSource:
    """Helm values that reach a cluster without being inside an object of their own.

    An Argo CD Application over a chart folder, or kustomize's `helmCharts`. `values` are value
    sources from the weakest to the strongest.
    """

    owner: str
    release: str
    namespace: str
    chart: str
    version: str | None
    chart_folder: str | None
    values: tuple[tuple[str, Address], ...]
    route: Route
    overruled: str | None = None
    source: str = ""
    """Where the chart comes from, as written: an address, or the name of a repository."""


@dataclass(frozen=True, slots=True)
class Generated:
    """A file that kustomize puts into a ConfigMap or Secret: its key there, the build it is of."""

    key: str
    file: str
    top: str | None


@dataclass(slots=True)
class Reach:
    """All that reaches a cluster. `rooted` says whether a root was found at all.

    `complete` says whether everything could be followed: where it could not, what was not met may
    be alive all the same, and nothing is called dead. `governed` are the outermost folders of what
    Flux applies and the folders of Applications, `others` those that another tool reads.
    """

    arrivals: list[Arrival] = field(default_factory=list)
    helm: list[HelmSource] = field(default_factory=list)
    files: set[str] = field(default_factory=set)
    generated: dict[tuple[str, str], list[Generated]] = field(default_factory=dict)
    literals: dict[tuple[str, str | None], list[dict[str, str]]] = field(default_factory=dict)
    """What kustomize puts into ConfigMaps, by their name and the build, beside whole files."""
    rooted: bool = False
    complete: bool = True
    governed: set[str] = field(default_factory=set)
    others: frozenset[str] = frozenset()
    notes: list[str] = field(default_factory=list)

    def leave_open(self, note: str) -> None:
        """Remember that something could not be followed, and why."""
        self.complete = False
        if note not in self.notes:
            self.notes.append(note)

    def unmet(self, file: str) -> bool | None:
        """What to think of a file that nothing led to: dead (False), or not to be told.

        Flux applies what it is told and nothing beside it in the folders it governs. An
        Application of Argo CD speaks of its own folder alone, and a folder that another tool
        reads is that tool's.
        """
        governed = any(file.startswith(f"{folder}/") for folder in self.governed)
        other = any(file.startswith(f"{folder}/") for folder in self.others)
        return False if self.rooted and self.complete and governed and not other else None


def told_suspended(arrival: Arrival, reach: Reach) -> str:
    """What to tell of an object of Flux's that is told to stand still; empty where it is not.

    It is told among the notes as well.
    """
    if not arrival.node.flag("spec", "suspend"):
        return ""
    told = f"the {arrival.object.kind} {arrival.namespace}/{arrival.name} is suspended"
    if told not in reach.notes:
        reach.notes.append(told)
    return told


def selects(wanted: Mapping[str, str], found: Object, namespace: str | None) -> bool:
    """Whether a target of kustomize means `found`, by kind, name, namespace and group."""
    own = found.namespace or namespace
    return (
        _fits(wanted.get("kind"), found.kind)
        and _fits(wanted.get("name"), found.name)
        and (own is None or _fits(wanted.get("namespace"), own))
        and ("group" not in wanted or wanted["group"] == found.group)
    )


def _states_all(selector: str | None, stated: Node | None) -> bool:
    """Whether a mapping states every ``key=value`` of a selector; no other form is judged."""
    for part in (selector or "").split(","):
        key, equals, value = part.replace("==", "=").partition("=")
        told = None if stated is None else stated.text(key.strip())
        if not equals or key.endswith("!") or told != value.strip():
            return False
    return True


def _fits(pattern: str | None, value: str) -> bool:
    """Whether a target's field, an anchored regular expression to kustomize, fits `value`.

    What cannot be judged counts as fitting, as a label selector does.
    """
    if not pattern or pattern == value:
        return True
    compiled = name_pattern(pattern)
    return compiled is None or compiled.fullmatch(value) is not None


def name_pattern(text: str) -> re.Pattern[str] | None:
    """A pattern for names out of a file; None where it is none, or could take forever to match.

    Patterns come from strangers. A repeated group can make matching exponential, so only plain
    ones are taken: alternatives, classes and a few repetitions of single characters.
    """
    repetitions = len(re.findall(r"[*+{]", text))
    if _REPEATED_GROUP.search(text) or repetitions > _MAX_REPETITIONS or len(text) > _MAX_PATTERN:
        return None
    try:
        return re.compile(text)
    except re.error:
        return None
