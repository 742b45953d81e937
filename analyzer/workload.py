"""Identities: what a recommendation is about.

Pods come and go, so nothing is kept per pod: history, recommendations and patches all hang on a
`ContainerRef`. Names come from a cluster's labels, that is from strangers; `slug` is the one way
by which they become part of a file name.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from analyzer.errors import UsageError
from analyzer.kinds import kind_called

_PLAIN = re.compile(r"[a-z0-9]([a-z0-9._-]*[a-z0-9])?", re.ASCII)
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
        """Whether `ref` is one of the containers meant."""
        wanted = (self.namespace, self.kind, self.workload, self.container)
        found = (ref.namespace, ref.kind, ref.workload, ref.container)
        return all(want is None or want == have for want, have in zip(wanted, found, strict=True))


def parse_reference(text: str, namespace: str | None = None) -> Selector:
    """Read a reference as people type it.

    Accepted: ``NAME``, ``KIND/NAME``, ``NAMESPACE/NAME``, ``NAMESPACE/KIND/NAME`` and
    ``NAMESPACE/KIND/NAME/CONTAINER``, kinds also by kubectl's short names. `namespace` is what
    ``-n`` said. Raises `UsageError` for anything else.
    """
    parts = text.split("/")
    if not all(parts) or len(parts) > 4:
        raise UsageError(
            f"{text!r} names no workload; write NAME, KIND/NAME, NAMESPACE/KIND/NAME "
            "or NAMESPACE/KIND/NAME/CONTAINER"
        )
    if len(parts) == 1:
        return Selector(namespace, None, parts[0])
    if len(parts) == 2:
        kind = kind_called(parts[0])
        if kind is not None:
            return Selector(namespace, kind.name, parts[1])
        return Selector(parts[0], None, parts[1])
    kind = kind_called(parts[1])
    name = parts[1] if kind is None else kind.name
    return Selector(parts[0], name, parts[2], parts[3] if len(parts) == 4 else None)
