"""How objects of a repository reach a cluster: routes, and what is decided on the way."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from analyzer.gitops.reach.objects import Object
from analyzer.gitops.reach.patch import Patch, Replacement
from analyzer.gitops.text.address import Address
from analyzer.gitops.text.tree import Node

_VARIABLE = re.compile(r"\$\{(?P<name>[A-Za-z_]\w*)(?::?[-=](?P<default>[^}]*))?\}", re.ASCII)
_INPUT = re.compile(r"<<-?\s*(?P<name>inputs\.[\w.-]+)\s*(?:\|\s*quote\s*)?-?>>", re.ASCII)


def has_variable(text: str) -> bool:
    """Whether `Route.expand` could make something else of `text`."""
    return bool(_VARIABLE.search(text) or _INPUT.search(text))


@dataclass(frozen=True, slots=True)
class Steering:
    """The object that tells a controller how to apply a folder, and what it has kustomize add.

    `overlay` are fields of a kustomization, as JSON: what comes on top of the folder's own.
    """

    file: str
    address: Address
    overlay: str = "{}"

    @property
    def is_flux(self) -> bool:
        """Whether the address leads to the `spec` of a Kustomization, not to an Argo CD source."""
        return self.address.path[-1:] == ("spec",)

    @property
    def patches(self) -> Address:
        """The list of patches that the controller has kustomize add."""
        above = () if self.is_flux else ("kustomize",)
        return self.address.below(*above, "patches")


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
