"""What the steps may know: the facts of a container, and the case of one of its amounts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from analyzer.cutoff import NO_KILLS, NOTABLY_THROTTLED, Kills
from analyzer.evidence import Evidence
from analyzer.models.demand import RESOURCES, Resource
from analyzer.policy import Policy, round_up
from analyzer.quantity import Cpu, Memory, Quantity, Resources, TargetName
from analyzer.spec import Spec


@dataclass(frozen=True, slots=True)
class RuntimeSetting:
    """What a program is told of its memory in Git: ``GOMEMLIMIT``, ``-Xmx``, as `amount` spells it.

    `place` is where it stands; `problem` is why it cannot be edited there, empty where it can.
    """

    name: str
    amount: str
    size: Memory
    place: str = ""
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Bound:
    """A hard lower bound that something else knows beforehand: a Java heap, a buffer pool.

    `reason` is shown as it is, by the step called `code`. `heap_percent` is the share of the limit
    that a heap takes by itself, where one does; `setting` what could be edited with the limit.
    `follows` says that the program takes the amount for its own setting: where none is declared, it
    would take what the node has.
    """

    target: TargetName
    least: Quantity
    reason: str
    code: str = "at least"
    heap_percent: float | None = None
    setting: RuntimeSetting | None = None
    follows: bool = False


@dataclass(frozen=True, slots=True)
class Room:
    """What is left for one amount beside what others have of the same whole.

    `code` says of which whole: a pod's node, a namespace's quota, the nodes together. Nothing may
    be declared where `most` is None.
    """

    target: TargetName
    most: Cpu | Memory | None
    reason: str
    code: str = "pod"


@dataclass(frozen=True, slots=True)
class Admission:
    """What a namespace's LimitRanges and quotas ask of one resource of each container.

    `ratio` is the most that a limit may be of its request, `default` the limit that is set where
    none is declared. `due` is the code and the reason why a limit has to be declared, None where it
    need not be, and `each` whether every container has to, or only some of them; `problem`
    says how the range contradicts itself.
    """

    name: str
    least: Quantity | None = None
    most: Quantity | None = None
    ratio: float | None = None
    default: Quantity | None = None
    due: tuple[str, str] | None = None
    each: bool = False
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Importance:
    """The PriorityClass of a pod, and its value; None where nobody tells."""

    name: str = ""
    value: int | None = 0


@dataclass(frozen=True)
class Past:
    """What earlier reviews said of one container, and what became of it."""

    wanted: Mapping[TargetName, Quantity] = field(default_factory=dict)
    """The most that demand spoke for at any review within `span`."""
    span: timedelta = timedelta(0)
    wanted_longer: Mapping[TargetName, Quantity] = field(default_factory=dict)
    """The same for the much longer time that a small decrease has to outlast; empty: unknown."""
    longer_span: timedelta = timedelta(0)
    wanted_last: Mapping[TargetName, Quantity] = field(default_factory=dict)
    """What demand spoke for at the review before this one; empty where there was none."""
    peak: Memory | None = None
    """The highest memory that any review remembers, however long ago."""
    open: Resources | None = None
    """What the last review proposed, where nobody has acted on it yet."""
    accepted: bool = False
    """Whether what holds was proposed by a review, or written by hand after one."""
    rejected: Mapping[TargetName, tuple[Quantity | None, ...]] = field(default_factory=dict)
    """All that was proposed and refused, as long as it is to be left alone; None: to remove it."""
    refused: str = ""
    """By whom and when, as a reason."""
    growth: Mapping[Resource, float] = field(default_factory=dict)
    """By how much usage clearly grew from review to review, in logarithms per day."""
    killed_at: tuple[float, ...] = ()
    """The limits at which earlier reviews saw it killed, in bytes, oldest first."""
    fills_since: datetime | None = None
    """When a review first found that it fills whatever it gets; None where none did."""
    leaked: datetime | None = None
    """When a review last saw its memory leak; None where none did."""
    killed_elsewhere: datetime | None = None
    """When a review last saw it killed far below its limit; None where none did lately."""
    started: datetime | None = None
    """When a review last saw it start, as long as its peak is remembered."""
    start_peak: Memory | None = None
    """The most that a start took of those that are remembered: scrapes miss the peaks of some."""


NO_PAST = Past()


@dataclass(frozen=True)
class Facts:
    """All that is known of one container."""

    kind: str
    policy: Policy
    spec: Spec
    evidence: Evidence
    demand: Mapping[TargetName, float]
    """Cores or bytes at the risk that the policy allows each target."""
    risk: Mapping[TargetName, float]
    unknown: Mapping[Resource, str]
    """Resources that the model cannot judge, and why."""
    findings: Mapping[str, str]
    """Per resource, what its history looks like."""
    node: Resources
    """What the largest node can give to pods, as requests."""
    predicted: Mapping[Resource, float] = field(default_factory=dict)
    """Usage until the next review, as `Recommendation.predicted` has it."""
    growth: Mapping[Resource, float] = field(default_factory=dict)
    """By how much usage clearly grows within the window, in logarithms per day."""
    right: Mapping[TargetName, tuple[float, float]] = field(default_factory=dict)
    """Cores or bytes at more and at less than the allowed risk, between which what was said earlier
    is still right."""
    kills: Kills = NO_KILLS
    bounds: tuple[Bound, ...] = ()
    rooms: tuple[Room, ...] = ()
    admissions: Mapping[Resource, Admission] = field(default_factory=dict)
    """What its namespace asks, by resource."""
    past: Past = NO_PAST
    """What earlier reviews said."""
    container: str = ""
    """Its name."""
    held: Mapping[Resource, str] = field(default_factory=dict)
    """Requests that cannot move together with what an autoscaler makes of them, and why."""
    importance: Importance = Importance()
    """Of its pod, where there is no room for all."""

    @property
    def current(self) -> Resources:
        """What holds now, as Kubernetes schedules it."""
        return self.spec.resources.effective()

    def growth_of(self, resource: Resource) -> float:
        """By how much usage grows a day, in logarithms, as the window or earlier reviews show."""
        return max(self.growth.get(resource, 0.0), self.past.growth.get(resource, 0.0))

    @property
    def leaks(self) -> bool:
        """Whether memory climbs through each life and falls at its end, now or a while ago."""
        return self.findings.get("memory") == "leak" or self.past.leaked is not None

    def cut_off(self, resource: Resource) -> bool:
        """Whether a limit cut off what the container wanted to use."""
        if resource == "cpu":
            return self.evidence.throttled >= NOTABLY_THROTTLED
        return self.kills.at_limit > 0


@dataclass(frozen=True)
class Case:
    """One amount to decide, and what was decided of the same container before it."""

    facts: Facts
    target: TargetName
    settled: Resources
    """As proposed so far, and as it is now where nothing is decided yet."""
    along: bool = False
    """Whether some other amount of the container is known to change."""

    @property
    def restarts_anyway(self) -> bool:
        """Whether another amount changes, so that this one costs no restart of its own."""
        return self.along or self.settled != self.facts.current

    @property
    def grows_along(self) -> bool:
        """Whether usage of either resource grows while another amount changes.

        What grows in memory mostly grows in CPU too, whose noise hides it for longer; and the
        restart is the same.
        """
        return self.restarts_anyway and any(self.facts.growth_of(r) > 0 for r in RESOURCES)

    @property
    def policy(self) -> Policy:
        """The settings that hold for this container."""
        return self.facts.policy

    @property
    def resource(self) -> Resource:
        """What the amount is of."""
        return "cpu" if self.target.startswith("cpu") else "memory"

    @property
    def admission(self) -> Admission | None:
        """What the namespace asks of the resource, if anything."""
        return self.facts.admissions.get(self.resource)

    @property
    def part(self) -> Literal["request", "limit"]:
        """Which of the two it is."""
        return "request" if self.target.endswith("request") else "limit"

    @property
    def now(self) -> Quantity | None:
        """What holds now."""
        return self.facts.current.amount(self.target)

    @property
    def demand(self) -> Quantity:
        """What the model says, at the risk that is allowed."""
        level = self.facts.demand[self.target]
        return Cpu.from_cores(level) if self.resource == "cpu" else Memory.from_bytes(level)

    @property
    def still_right(self) -> tuple[Quantity, Quantity]:
        """Between which amounts one that was said earlier is neither too risky nor too safe."""
        least, most = self.facts.right[self.target]
        if self.resource == "cpu":
            return Cpu.from_cores(least), Cpu.from_cores(most)
        return Memory.from_bytes(least), Memory.from_bytes(most)

    @property
    def request(self) -> Quantity | None:
        """The request of the same resource, as decided."""
        return self.settled.amount("cpu_request" if self.resource == "cpu" else "memory_request")

    @property
    def limit(self) -> Quantity | None:
        """The limit of the same resource, as decided; as it is now before that."""
        return self.settled.amount("cpu_limit" if self.resource == "cpu" else "memory_limit")

    @property
    def floor(self) -> Quantity:
        """The policy's floor of the resource."""
        return self.policy.cpu_floor if self.resource == "cpu" else self.policy.memory_floor

    @property
    def ceiling(self) -> Quantity | None:
        """The policy's ceiling of the resource, if any."""
        return self.policy.cpu_ceiling if self.resource == "cpu" else self.policy.memory_ceiling

    def rounded(self, amount: Quantity) -> Quantity:
        """`amount` as a person would write it; what holds now where that lies between the two.

        Rounding alone raises nothing that suffices.
        """
        rounded = round_up(amount)
        return self.now if self.now is not None and amount <= self.now < rounded else rounded

    @property
    def node(self) -> Quantity | None:
        """What the largest node has of the resource; None where nobody knows."""
        node = self.facts.node
        return node.cpu_request if self.resource == "cpu" else node.memory_request
