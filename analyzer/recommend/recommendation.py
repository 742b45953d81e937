"""What is recommended for one container, and what speaks for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from analyzer.evidence import Evidence
from analyzer.models.demand import Resource, Step
from analyzer.quantity import TARGETS, Resources, TargetName
from analyzer.spec import Spot
from analyzer.workload import ContainerRef


@dataclass(frozen=True, slots=True)
class Companion:
    """A setting in Git that changes together with amounts of containers, or neither does.

    ``scale target`` is the utilisation in percent that the HPA called `name` holds, of the requests
    of a whole pod or of one `container`; ``setting`` is what a container's program is told, such as
    ``GOMEMLIMIT``. `along` are all containers whose amounts change with it, as text; `place` is
    where it stood in Git when this was decided.
    """

    kind: Literal["scale target", "setting"]
    name: str
    resource: Resource
    before: str
    after: str
    reason: str
    container: str | None = None
    along: tuple[str, ...] = ()
    place: str = ""
    spot: Spot | None = None

    @property
    def title(self) -> str:
        """What it is, in a few words."""
        if self.kind == "setting":
            return self.name
        resource = "CPU" if self.resource == "cpu" else self.resource
        return f"HPA {self.name}, target of {resource}"

    @property
    def unit(self) -> str:
        """What stands behind its amounts where they are read."""
        return " %" if self.kind == "scale target" else ""

    @property
    def change(self) -> str:
        """``60 % -> 86 %``, as it would be read aloud."""
        return f"{self.before}{self.unit} -> {self.after}{self.unit}"


@dataclass(frozen=True, slots=True, repr=False)
class Recommendation:
    """Requests and limits for one container, and everything that speaks for them."""

    ref: ContainerRef
    container_type: str
    replicas: int
    current: Resources
    proposed: Resources
    trail: Mapping[str, tuple[Step, ...]]
    """Per entry of `TARGETS`, the steps from demand to the proposed amount."""
    stated_risk: Mapping[str, float]
    """Per target with an amount, the chance (memory, until the next review) or the share of the
    time (CPU) of more than that amount, as proposed; absent where the model states none."""
    findings: Mapping[str, str]
    """Per resource, what its history looks like."""
    confidence: float
    evidence: Evidence
    notes: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    image: str | None = None
    companions: tuple[Companion, ...] = ()
    """What changes in Git with its amounts, or none of them does."""
    restarts: tuple[Resource, ...] = ()
    """The resources whose change in place restarts it, as far as its resizePolicy is known."""
    predicted: Mapping[Resource, float] = field(default_factory=dict)
    """Usage until the next review: the cores that are exceeded in 5 % of the time, and the bytes
    that the highest memory exceeds as often as not. Absent where the model cannot tell, and where
    usage was cut off by a limit."""

    def __repr__(self) -> str:
        """The container and what changes; the trail is long, and `explain` tells it."""
        changes = ", ".join(
            f"{target.replace('_', ' ')} {shown}"
            for target in TARGETS
            if " -> " in (shown := self.transition(target))
        )
        return f"<{self.ref}: {changes or 'stays as it is'}>"

    @property
    def changed(self) -> bool:
        """Whether anything differs from what holds now."""
        return self.proposed != self.current

    def transition(self, target: TargetName) -> str:
        """``1Gi -> 512Mi``, or the one amount where nothing changes; ``-`` is none."""
        amounts = (self.current.amount(target), self.proposed.amount(target))
        now, new = ("-" if amount is None else str(amount) for amount in amounts)
        return now if now == new else f"{now} -> {new}"

    def change(self, target: TargetName) -> int:
        """Proposed minus current of one target for all replicas, in millicores or bytes."""
        now, new = _units(self.current, target), _units(self.proposed, target)
        return (new - now) * self.replicas

    def request_change(self, resource: Resource) -> int:
        """`change` of the request of a resource."""
        return self.change("cpu_request" if resource == "cpu" else "memory_request")

    @property
    def weight(self) -> float:
        """How large its change of requests is; a core counts like 4 GiB, as on most nodes."""
        cpu, memory = self.request_change("cpu"), self.request_change("memory")
        return abs(cpu) / 1000 + abs(memory) / (4 * 1024**3)


def totals(recommendations: Sequence[Recommendation]) -> dict[str, tuple[int, int]]:
    """Per target, what is declared now and proposed, over all replicas (millicores, bytes)."""
    result: dict[str, tuple[int, int]] = {}
    for target in TARGETS:
        now = sum(_units(r.current, target) * r.replicas for r in recommendations)
        new = sum(_units(r.proposed, target) * r.replicas for r in recommendations)
        result[target] = (now, new)
    return result


def _units(resources: Resources, target: TargetName) -> int:
    amount = resources.amount(target)
    return 0 if amount is None else amount.units
