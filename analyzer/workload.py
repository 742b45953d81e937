"""Identities: what a recommendation is about.

Pods come and go, so nothing is kept per pod: history, recommendations and patches all hang on a
`ContainerRef`. Names come from a cluster's labels, that is from strangers; `slug` is the one way
by which they become part of a file name.
"""

from __future__ import annotations

import difflib
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass

from analyzer.errors import UsageError
from analyzer.kinds import kind_called
from analyzer.plugin import did_you_mean

_PLAIN = re.compile(r"[a-z0-9]([a-z0-9._-]*[a-z0-9])?", re.ASCII)
CONTROLLED_BY = "ownerReferences/controller"
"""The key among a workload's labels that tells ``Kind/name`` of the object that controls it.

kube-state-metrics writes no slash, so that no label of a stranger can pass for it.
"""
_UNSAFE = re.compile(r"[^a-z0-9._-]+")


@dataclass(frozen=True, slots=True, order=True)
class WorkloadRef:
    """One workload of one cluster: the object whose pod template a patch would change."""

    cluster: str
    namespace: str
    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.kind}/{self.name}"

    def slug(self) -> str:
        """A file name stem that no other workload of this cluster shares."""
        return slug(self.namespace, self.kind.lower(), self.name)


@dataclass(frozen=True, slots=True, order=True)
class ContainerRef:
    """One container of one workload of one cluster, whatever pods it has run in."""

    cluster: str
    namespace: str
    kind: str
    workload: str
    container: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.kind}/{self.workload}/{self.container}"

    @property
    def workload_ref(self) -> WorkloadRef:
        """The workload it belongs to."""
        return WorkloadRef(self.cluster, self.namespace, self.kind, self.workload)

    def slug(self) -> str:
        """A file name stem that no other container of this cluster shares."""
        return slug(self.namespace, self.kind.lower(), self.workload, self.container)


def slug(*names: str) -> str:
    """Join names into one safe, unique file name stem.

    Plain Kubernetes names stay readable. Anything else (other characters, overlong, a leading
    dot) is reduced to safe characters and marked with a digest of the original, so that two
    different inputs never share a file and none can leave its folder.
    """
    joined = "--".join(names)
    if len(joined) <= 120 and all(_PLAIN.fullmatch(n) and "--" not in n for n in names):
        return joined
    safe = _UNSAFE.sub("-", joined.lower()).strip("._-")[:100]
    digest = hashlib.sha256("\0".join(names).encode("utf-8", "surrogatepass")).hexdigest()[:10]
    return f"{safe or 'unnamed'}-{digest}"


@dataclass(frozen=True, slots=True)
class Selector:
    """What a user names on the command line: any part left out matches everything."""

    namespace: str | None = None
    kind: str | None = None
    workload: str | None = None
    container: str | None = None

    def matches(self, ref: ContainerRef) -> bool:
        """Whether `ref` is one of the containers meant; kinds in any case."""
        if self.kind is not None and self.kind.lower() != ref.kind.lower():
            return False
        wanted = (self.namespace, self.workload, self.container)
        found = (ref.namespace, ref.workload, ref.container)
        return all(want is None or want == have for want, have in zip(wanted, found, strict=True))


REFERENCE_FORMS = (
    "NAME, KIND/NAME, NAMESPACE/NAME, NAMESPACE/NAME/CONTAINER, NAMESPACE/KIND/NAME "
    "or NAMESPACE/KIND/NAME/CONTAINER"
)


def readings(text: str, namespace: str | None = None) -> list[Selector]:
    """What `text` can mean, the likeliest first.

    Forms are those of `REFERENCE_FORMS`, kinds by every word that kubectl takes. `namespace` is
    what ``-n`` said, for forms that name none. Raises `UsageError` for what is no reference.
    """
    parts = text.split("/")
    if not all(parts) or len(parts) > 4:
        raise UsageError(f"{text!r} names no workload; write {REFERENCE_FORMS}")
    if len(parts) == 1:
        return [Selector(namespace, None, parts[0])]
    first, second = kind_called(parts[0]), kind_called(parts[1])
    if len(parts) == 2:
        plain = Selector(parts[0], None, parts[1])
        return [Selector(namespace, first.name, parts[1]), plain] if first else [plain]
    kind = second.name if second else parts[1]
    if len(parts) == 4:
        return [Selector(parts[0], kind, parts[2], parts[3])]
    found = [
        Selector(parts[0], kind, parts[2]),
        Selector(parts[0], None, parts[1], parts[2]),
        *([Selector(namespace, first.name, parts[1], parts[2])] if first else []),
    ]
    # A kind that is not in the table is an operator's, and is written with capitals.
    return found if second or not parts[1].islower() else [*found[1:], found[0]]


def parse_reference(text: str, namespace: str | None = None) -> Selector:
    """The likeliest meaning of a reference as people type it; see `readings`."""
    return readings(text, namespace)[0]


def find(
    references: Sequence[str], namespaces: Sequence[str], known: Sequence[ContainerRef]
) -> list[Selector]:
    """The selectors of what `references` name among the `known`, in any of `namespaces`.

    Without references whole namespaces are meant, and without these everything: no selector.
    Raises `UsageError` for what nothing known goes by, with the likely name.
    """
    for name in namespaces:
        if not any(ref.namespace == name for ref in known):
            hint = did_you_mean(name, sorted({ref.namespace for ref in known}))
            raise UsageError(f"nothing is known of a namespace {name}; {hint}")
    if not references:
        return [Selector(namespace=name) for name in namespaces]
    return [s for text in references for s in _meant(text, namespaces, known)]


def _meant(text: str, namespaces: Sequence[str], known: Sequence[ContainerRef]) -> list[Selector]:
    wheres: Sequence[str | None] = namespaces or (None,)
    alternatives = zip(*(readings(text, where) for where in wheres), strict=True)
    for reading in alternatives:
        found = [s for s in dict.fromkeys(reading) if any(s.matches(ref) for ref in known)]
        if found:
            return found
    within = [ref for ref in known if not namespaces or ref.namespace in namespaces]
    where = f" in {', '.join(namespaces)}" if namespaces else ""
    close = _closest(text, within)
    hint = f"did you mean {close}?" if close else f"write {REFERENCE_FORMS}"
    if any(ref.namespace == text for ref in within):
        hint = f"for all of the namespace say -n {text}"
    raise UsageError(f"no workload {text}{where}; {hint}")


def _closest(text: str, known: Sequence[ContainerRef]) -> str:
    """The reference that was likely meant, as NAMESPACE/KIND/NAME; empty where none is near."""
    forms: dict[str, str] = {}
    for ref in known:
        kind = ref.kind.lower()
        shown = f"{ref.namespace}/{kind}/{ref.workload}"
        whole = f"{shown}/{ref.container}"
        for form, meant in (
            (ref.workload, shown),
            (f"{ref.namespace}/{ref.workload}", shown),
            (f"{kind}/{ref.workload}", shown),
            (shown, shown),
            (f"{ref.namespace}/{ref.workload}/{ref.container}", whole),
            (whole, whole),
        ):
            if form.count("/") == text.count("/"):
                forms.setdefault(form, meant)
    close = difflib.get_close_matches(text.lower(), list(forms), n=1, cutoff=0.5)
    return forms[close[0]] if close else ""
