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
        own = found.namespace or namespace
        wanted = self.target
        return (
            _fits(wanted.get("kind"), found.kind)
            and _fits(wanted.get("name"), found.name)
            and (own is None or _fits(wanted.get("namespace"), own))
            and ("group" not in wanted or wanted["group"] == found.group)
        )


@dataclass(frozen=True, slots=True)
class Route:
    """How an object gets to the cluster, and what is decided on the way.

    `namespace` overrides the object's own. `kustomization` names the Flux Kustomization and
    `application` the Argo CD Application that applies it.
    """

    root: str
    namespace: str | None = None
    kustomization: tuple[str, str] | None = None
    application: str | None = None
    variables: tuple[tuple[str, str], ...] = ()
    patches: tuple[Patch, ...] = ()
    prefix: str = ""
    suffix: str = ""
    folder: str = ""
    reachable: bool | None = True

    def expand(self, text: str) -> str:
        """`text` with the variables this route knows put in; unknown ones stay.

        These are the ``${NAME}`` of a Flux Kustomization and the ``<< inputs.name >>`` of a
        ResourceSet, whose inputs are kept under their dotted names.
        """
        known = dict(self.variables)

        def value(match: re.Match[str]) -> str:
            return known.get(match["name"], match["default"] or match.group())

        filled = _INPUT.sub(lambda match: known.get(match["name"], match.group()), text)
        return _VARIABLE.sub(value, filled)


@dataclass(frozen=True, slots=True)
class Arrival:
    """One object on one route. An object on two routes arrives twice."""

    object: Object
    route: Route

    @property
    def namespace(self) -> str:
        return self.route.expand(self.route.namespace or self.object.namespace or "default")

    @property
    def name(self) -> str:
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


@dataclass(slots=True)
class Reach:
    """All that reaches a cluster. `rooted` says whether a root was found at all.

    `complete` says whether everything could be followed: where it could not, what was not met may
    be alive all the same, and nothing is called dead.
    """

    arrivals: list[Arrival] = field(default_factory=list)
    helm: list[HelmSource] = field(default_factory=list)
    files: set[str] = field(default_factory=set)
    generated: dict[tuple[str, str], list[tuple[str, str]]] = field(default_factory=dict)
    rooted: bool = False
    complete: bool = True
    notes: list[str] = field(default_factory=list)

    def leave_open(self, note: str) -> None:
        """Remember that something could not be followed, and why."""
        self.complete = False
        if note not in self.notes:
            self.notes.append(note)

    @property
    def unmet(self) -> bool | None:
        """What to think of an object that nothing led to: dead (False), or not to be told."""
        return False if self.rooted and self.complete else None


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
