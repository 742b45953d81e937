"""The policy: what turns demand into requests and limits a team is willing to run with.

A `Policy` is plain settings. `Policies` says which one holds for a container: the defaults, then
every rule that matches, in order, then annotations on the workload. `analyzer.recommend` applies
it, step by step.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Literal, TypeVar

import msgspec

from analyzer.errors import ConfigError
from analyzer.kinds import kind_called
from analyzer.quantity import Cpu, Memory, Quantity, decode_quantity
from analyzer.workload import ContainerRef

Amount = TypeVar("Amount", bound=Quantity)

ANNOTATION_PREFIX = "rightsize_io_"
"""How kube-state-metrics spells annotations ``rightsize.io/...``; both spellings count."""

_NOT_A_LABEL = re.compile(r"[^A-Za-z0-9_]")


class Policy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings of one container. Risks and ratios are fractions (0.05 is 5 %)."""

    cpu_request_risk: float = 0.05
    """Share of the time in which CPU usage may exceed the request. With a risk budget this is the
    average over the cluster, and a container may bear up to `risk_budget_cap` times as much."""
    memory_request_risk: float = 0.10
    """Chance that the memory peak until the next review exceeds the request, likewise."""
    memory_limit_risk: float = 0.01
    """Chance that the memory peak until the next review exceeds the limit: an OOM kill."""
    memory_limit_headroom: float = 1.2
    """The limit is at least this many times the highest peak seen: a limit reserves nothing."""

    cache_share: float = 0.5
    """The share of page cache that memory amounts make room for, where the source tells it from
    resident memory: the kernel takes it back rather than kill."""
    busy_hour_floor: float = 0.25
    """The CPU request is at least this share of the p95 of the hour that is busiest every day or
    every week. A quarter costs 2 % more cores on the sample cluster, a half 4 %; 0 leaves such
    hours to the nodes' spare time. A note says where a request stays far below."""

    cpu_limit: Literal["none", "keep", "ratio", "risk"] = "none"
    """What becomes of CPU limits: removed, kept, a multiple of the request, or by risk."""
    cpu_limit_ratio: float = 2.0
    """With `ratio`, the CPU limit is this many times the request."""
    cpu_limit_risk: float = 0.001
    """With `risk`, the share of the time in which CPU usage may exceed the limit."""
    memory_limit: Literal["risk", "request", "keep", "none"] = "risk"
    """What becomes of memory limits: by risk, equal to the request, kept, or removed."""
    add_missing_limits: bool = False
    """Propose limits where none is declared. Off, because a new limit can only take away."""

    cpu_floor: Cpu = msgspec.field(default_factory=lambda: Cpu(5))
    """No CPU request or limit is proposed below this."""
    memory_floor: Memory = msgspec.field(default_factory=lambda: Memory(16 * 1024**2))
    """No memory request or limit is proposed below this."""
    cpu_ceiling: Cpu | None = None
    """No CPU request or limit is proposed above this; by default what the largest node has."""
    memory_ceiling: Memory | None = None
    """No memory request or limit is proposed above this, likewise."""

    direction: Literal["both", "raise", "lower", "off"] = "both"
    """Which way amounts may go; with `off` a container is left as it is."""
    min_samples: int = 10
    """With fewer samples than this, nothing is recommended at all."""
    min_days_to_lower: float = 3.0
    """With fewer observed days than this, nothing is lowered; of jobs, with fewer runs, of which
    one a day counts."""
    max_decrease: float = 1.0
    """No amount falls by more than this share of itself in one run."""
    min_change: float = 0.10
    """A smaller relative change is not worth a restart."""
    min_change_cpu: Cpu = msgspec.field(default_factory=lambda: Cpu(20))
    """A smaller change of CPU is not worth a restart; an eighth of it is, where it is a raise."""
    min_change_memory: Memory = msgspec.field(default_factory=lambda: Memory(32 * 1024**2))
    """A smaller change of memory is not worth a restart, likewise."""
    keep_qos: bool = False
    """Keep requests equal to limits where they are equal now (Guaranteed pods)."""
    whole_cores: bool = False
    """With `keep_qos`, keep whole cores whole: where a node's CPU manager is static, a container of
    a Guaranteed pod has them to itself, and shares what is left with all others otherwise."""
    hpa: Literal["hands-off", "together", "ignore"] = "hands-off"
    """What happens to a request that a HorizontalPodAutoscaler scales on a share of: it is left,
    the target in Git changes with it in one commit so that the scale point stays, or it is changed
    as if nothing scaled on it."""
    runtime_settings: Literal["keep", "together"] = "keep"
    """What happens to a memory limit that a literal `GOMEMLIMIT`, `-Xmx` or `--max-old-space-size`
    holds up: it stays above the setting, or both are lowered in one commit, the setting to no less
    than the limit that usage alone asks for."""
    vpa: Literal["hands-off", "ignore"] = "hands-off"
    """What happens to a workload whose amounts a VerticalPodAutoscaler sets."""
    priority: int = 0
    """Whose raises come first where a quota or the nodes have no room for all: those of a higher
    priority, then what a limit cut off, then the smallest."""
    new_nodes: bool = False
    """Whether nodes are added for pods that find no room, as by Karpenter or a cluster autoscaler.
    Otherwise no request is raised that the nodes of now have no room for."""
    spare_nodes: int = 0
    """Of how many nodes the loss is to do no harm: no request is raised that would leave the pods
    of the fullest nodes of a group, so many of them, without room on the others (N+1 is 1). What
    could go is counted likewise. A group of no more nodes than that cannot lose them."""
    node_risk: float | None = None
    """Share of node-time in which the CPU used may pass what a node has, and of nodes whose memory
    it may pass within a week, once the scheduler packs pods by what is proposed (0.001 is 0.1 %).
    Where more comes, requests near their mean use are raised. Nothing is done where the cluster
    tells of no nodes. Unset, it is reported and not acted on."""

    def __post_init__(self) -> None:
        for name in ("cpu_request_risk", "memory_request_risk", "memory_limit_risk"):
            _between(name, getattr(self, name), 0.001, 0.5)
        _between("cpu_limit_risk", self.cpu_limit_risk, 0.001, 0.5)
        _between("cpu_limit_ratio", self.cpu_limit_ratio, 1.0, 100.0)
        _between("memory_limit_headroom", self.memory_limit_headroom, 1.0, 10.0)
        _between("cache_share", self.cache_share, 0.0, 1.0)
        _between("busy_hour_floor", self.busy_hour_floor, 0.0, 1.0)
        _between("max_decrease", self.max_decrease, 0.0, 1.0)
        _between("min_change", self.min_change, 0.0, 10.0)
        _between("spare_nodes", self.spare_nodes, 0, 10)
        if self.node_risk is not None:
            _between("node_risk", self.node_risk, 0.0, 0.5)
        _between("priority", self.priority, -(10**9), 10**9)
        _between("min_samples", self.min_samples, 1, 10**9)
        _between("min_days_to_lower", self.min_days_to_lower, 0.0, 10_000.0)
        _bounded("cpu", self.cpu_floor, self.cpu_ceiling, Cpu(1), _MOST_CPU)
        _bounded("memory", self.memory_floor, self.memory_ceiling, _LEAST_MEMORY, _MOST_MEMORY)
        _amount("min_change_cpu", self.min_change_cpu, Cpu(0), _MOST_CPU)
        _amount("min_change_memory", self.min_change_memory, Memory(0), _MOST_MEMORY)


_LEAST_MEMORY = Memory(1024**2)
"""Whoever writes less than a mebibyte forgot the unit, or wrote `100m` for `100Mi`."""
_MOST_CPU, _MOST_MEMORY = Cpu(10**9), Memory(2**60)
"""A million cores, an exbibyte: no node has them."""


def _between(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise ValueError(f"{name} must be between {low:g} and {high:g}, found {value:g}")


def _bounded(
    resource: str, floor: Amount, ceiling: Amount | None, least: Amount, most: Amount
) -> None:
    _amount(f"{resource}_floor", floor, least, most)
    if ceiling is None:
        return
    _amount(f"{resource}_ceiling", ceiling, least, most)
    if ceiling < floor:
        raise ValueError(
            f"{resource}_ceiling ({ceiling}) must not lie below {resource}_floor ({floor})"
        )


def _amount(name: str, amount: Amount, least: Amount, most: Amount) -> None:
    if not least <= amount <= most:
        raise ValueError(f"{name} must be between {least} and {most}, found {amount}")


class Rule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings for the containers that match; patterns are shell globs, and all must match."""

    set: Mapping[str, Any]
    """What holds for them: settings of `policy` with their values."""
    cluster: str = "*"
    """A pattern for the name of the cluster."""
    namespace: str = "*"
    """A pattern for the namespace."""
    kind: str = "*"
    """A pattern for the kind of the workload, such as `Deployment`."""
    workload: str = "*"
    """A pattern for the name of the workload."""
    container: str = "*"
    """A pattern for the name of the container."""

    def matches(self, ref: ContainerRef) -> bool:
        """Whether this rule speaks of `ref`; kinds also by kubectl's words, in any case."""
        kind = kind_called(self.kind)
        pairs = (
            (ref.cluster, self.cluster),
            (ref.namespace, self.namespace),
            (ref.kind.lower(), kind.name.lower() if kind else self.kind.lower()),
            (ref.workload, self.workload),
            (ref.container, self.container),
        )
        return all(fnmatchcase(name, pattern) for name, pattern in pairs)


@dataclass(frozen=True)
class Policies:
    """The defaults and the rules on top of them; a later rule wins over an earlier one."""

    default: Policy = field(default_factory=Policy)
    rules: tuple[Rule, ...] = ()
    _made: dict[tuple[tuple[str, str], ...], Policy] = field(
        default_factory=dict, compare=False, repr=False
    )

    def __post_init__(self) -> None:
        for number, rule in enumerate(self.rules, start=1):
            make_policy(self.default, rule.set, f"policy rule {number}")

    def of(self, ref: ContainerRef, annotations: Mapping[str, str] | None = None) -> Policy:
        """The policy that holds for `ref`. Raises `ConfigError` for an unusable annotation."""
        chosen = [number for number, rule in enumerate(self.rules) if rule.matches(ref)]
        spelled = {_NOT_A_LABEL.sub("_", key): value for key, value in (annotations or {}).items()}
        own = {
            key.removeprefix(ANNOTATION_PREFIX): value
            for key, value in spelled.items()
            if key.startswith(ANNOTATION_PREFIX)
        }
        if not chosen and not own:
            return self.default
        key = (*((str(n), "") for n in chosen), *sorted(own.items()))
        if key not in self._made:
            changes: dict[str, Any] = {}
            for number in chosen:
                changes |= self.rules[number].set
            policy = make_policy(self.default, changes, "the policy rules")
            self._made[key] = make_policy(policy, own, f"an annotation of {ref}", strict=False)
        return self._made[key]


def make_policy(
    base: Policy, changes: Mapping[str, Any], origin: str, *, strict: bool = True
) -> Policy:
    """`base` with `changes` (as read from YAML or annotations) applied and checked.

    With ``strict=False`` numbers and booleans may be text, as in annotations.
    """
    if not changes:
        return base
    plain = {**msgspec.to_builtins(base, enc_hook=str), **changes}
    try:
        return msgspec.convert(plain, Policy, strict=strict, dec_hook=decode_quantity)
    except (msgspec.ValidationError, ValueError) as error:
        raise ConfigError(f"{origin} cannot be used: {error}") from error


def round_up(amount: Amount) -> Amount:
    """The next amount a person would write: never below `amount`, at most 10 % above it or 5m."""
    if isinstance(amount, Cpu):
        step = next((step for below, step in _CPU_STEPS if amount.units < below), 500)
        return type(amount)(-(-amount.units // step) * step)
    return type(amount)(_round_memory(amount.units))


_CPU_STEPS = [(100, 5), (250, 10), (500, 25), (1000, 50), (2500, 100), (10_000, 250)]


def _round_memory(count: int) -> int:
    """A sixteenth of the power of two at or below, and whole mebibytes."""
    step = max(1024**2, 2 ** (max(count - 1, 1).bit_length() - 1) // 16)
    return int(-(-count // step) * step)


def worth_changing(now: Amount, proposed: Amount, policy: Policy) -> bool:
    """Whether the change is worth its churn: large enough both absolutely and relatively.

    Raising is a matter of safety: it needs half of the relative change, and little of the absolute
    one, or small containers would be left below their need for good.
    """
    least = policy.min_change_cpu if isinstance(now, Cpu) else policy.min_change_memory
    delta = proposed.units - now.units
    if delta > 0:
        return delta >= max(least.units / 8, policy.min_change / 2 * now.units)
    return delta < 0 and -delta >= max(least.units, policy.min_change * now.units)
