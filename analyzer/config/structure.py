"""All settings of a run, with their defaults."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import is_dataclass
from datetime import timedelta
from pathlib import Path
from typing import get_type_hints

import msgspec

from analyzer.config.duration import parse_duration, parse_time
from analyzer.engine.settings import EngineSettings
from analyzer.forge.settings import ForgeSettings
from analyzer.models import DEFAULT_MODEL
from analyzer.notify.settings import NotifySettings
from analyzer.policy import Policies, Policy, Rule
from analyzer.presets import PROTECTED, Preset, Protected
from analyzer.quantity import Memory
from analyzer.sources.prometheus.settings import PrometheusSettings
from analyzer.sources.window import DEFAULT_DAYS


class GitSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where changes land."""

    repo: str | None = None
    """A checkout of the repository that declares the workloads, or an address to clone it from."""
    revision: str | None = None
    """The branch, tag or commit to clone; by default what the address offers first."""
    charts: str | None = None
    """A folder with charts, for proving HelmRelease edits by rendering."""
    post_renderers: bool = True
    """Patch what a chart makes where it offers no value for the amounts, by a post-renderer of the
    HelmRelease; only where rendering proves it."""
    ssh_key: str | None = None
    """A private key for git over SSH, such as a deploy key."""
    known_hosts: str | None = None
    """A file with the host keys that git over SSH accepts."""
    entry: str | None = None
    """The folder in which Flux or Argo CD starts, where a repository serves several clusters."""
    time_limit: timedelta = timedelta(minutes=15)
    """How long a clone, a fetch or a push may take."""

    def __post_init__(self) -> None:
        if not timedelta(seconds=1) <= self.time_limit <= timedelta(days=1):
            raise ValueError("time_limit must lie between 1s and 1d")


class KubernetesSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whether and how the cluster itself is asked: who owns its workloads, and what bounds pods."""

    ask: bool = False
    """Ask, read-only, for the labels of workloads, where their pods may run, and for nodes, limit
    ranges, quotas, disruption budgets and priority classes, which metrics tell later or not."""
    context: str | None = None
    """The context of the kubeconfig, as kubectl takes it."""
    kubeconfig: str | None = None
    """A kubeconfig file, as kubectl takes it."""


class PriceSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What nodes cost, so that a run tells money beside cores and bytes."""

    cpu: Mapping[str, float] = {}
    """What a core costs an hour, by group of nodes as the summary names it; `*` for any other."""
    memory: Mapping[str, float] = {}
    """What a GiB costs an hour, likewise."""

    def __post_init__(self) -> None:
        for name in ("cpu", "memory"):
            for group, price in getattr(self, name).items():
                if not 0 <= price < float("inf"):
                    raise ValueError(f"{name} of {group} must not be negative, found {price}")

    @property
    def by_group(self) -> dict[str, tuple[float, float]]:
        """The prices of a core and of a GiB for each group that is named."""
        return {
            name: (self.cpu.get(name, _any(self.cpu)), self.memory.get(name, _any(self.memory)))
            for name in {*self.cpu, *self.memory}
        }


def _any(prices: Mapping[str, float]) -> float:
    return prices.get("*", 0.0)


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All settings of a run."""

    source: str | None = None
    """Where usage comes from: ``prometheus:URL``, ``cluster:CONTEXT`` (the Prometheus of a cluster
    of your kubeconfig, through its API server; ``cluster:`` is the current one), ``recording:DIR``.
    The replicas of an HA pair are named together, ``prometheus:URL,URL``."""
    cluster: str | None = None
    """A name for the cluster; by default what the source says."""
    window: str = f"{DEFAULT_DAYS}d"
    """How much history to read, of any source."""
    until: str | None = None
    """The end of the window, ISO 8601; by default now, or the end of a recording."""
    step: str | None = None
    """The resolution of the history; by default what the source has, and at least 5m."""
    horizon: str = "7d"
    """The time until the next review."""
    model: str = DEFAULT_MODEL
    """How demand is learnt."""
    risk_budget: bool = False
    """Spend the cluster's expected overruns where they buy the most, instead of equal risk for
    all. The largest requests then bear the most of it."""
    risk_budget_cap: float = 3.0
    """With `risk_budget`, no container gets more than this many times the risk it would get if all
    were equal."""
    backtest: bool = True
    """Judge the recommendations by what they would have caused on this very history."""
    output: str = "reports/latest"
    """The folder for results; it is replaced as a whole."""
    formats: tuple[str, ...] = (
        "summary", "html", "csv", "kustomize", "json6902", "kubectl", "gitdiff", "metrics"
    )  # fmt: skip
    """What to write, each by one writer."""
    ledger: str | None = None
    """A folder that remembers what was proposed and what became of it; ``off``: none. By default
    ``ledger`` within the cache of a server, else beside the output; none for a recording."""
    charts: bool = True
    """Draw the cluster and its containers."""
    memory_budget: Memory | None = None
    """How much memory a run may take; by default what the control groups of the process allow. Of
    samples that take more than a part of it, a scratch file is made in TMPDIR."""
    most_charts: int = 200
    """Draw this many containers at most, the largest changes first."""
    namespaces: tuple[str, ...] = ()
    """Only these namespaces; empty: all."""
    exclude_namespaces: tuple[str, ...] = ()
    """None of these namespaces."""
    preset: Preset = "balanced"
    """Where the policy starts: careful, balanced or lean; what `policy` sets wins."""
    protect: tuple[Protected, ...] = ()
    """What is protected by ready-made rules: databases and stateful are only raised, system
    namespaces are left alone."""
    policy: Policy = msgspec.field(default_factory=Policy)
    rules: tuple[Rule, ...] = ()
    """Settings of the policy for the containers that match; a later rule wins."""
    prometheus: PrometheusSettings = msgspec.field(default_factory=PrometheusSettings)
    git: GitSettings = msgspec.field(default_factory=GitSettings)
    engine: EngineSettings = msgspec.field(default_factory=EngineSettings)
    kubernetes: KubernetesSettings = msgspec.field(default_factory=KubernetesSettings)
    forge: ForgeSettings = msgspec.field(default_factory=ForgeSettings)
    prices: PriceSettings = msgspec.field(default_factory=PriceSettings)
    notify: NotifySettings = msgspec.field(default_factory=NotifySettings)

    def __post_init__(self) -> None:
        for name in ("window", "horizon", "step"):
            text = getattr(self, name)
            if text is not None:
                _named(name, parse_duration, text)
        if self.until is not None:
            _named("until", parse_time, self.until)
        if not 1 < self.risk_budget_cap <= 10:
            found = f"{self.risk_budget_cap:g}"
            raise ValueError(f"risk_budget_cap must lie above 1 and at most at 10, found {found}")
        if self.most_charts < 0:
            raise ValueError(f"most_charts must not be negative, found {self.most_charts}")
        if parse_duration(self.window) < timedelta(hours=1):
            raise ValueError(f"a window of {self.window} holds too little; use {DEFAULT_DAYS}d")
        self._expect_one_cluster()

    def _expect_one_cluster(self) -> None:
        """Usage of one cluster and labels of another would be taken for the same."""
        asked, source = self.kubernetes, self.source or ""
        if not asked.ask or not source.startswith("cluster:"):
            return
        if asked.kubeconfig:
            raise ValueError(
                "a source of cluster: goes by the variable KUBECONFIG; "
                "set that, and leave kubernetes.kubeconfig out"
            )
        if asked.context and asked.context != self.asked_context:
            raise ValueError(
                f"kubernetes.context is {asked.context!r}, and usage is read from another context; "
                f"write the source as cluster:{asked.context}"
            )

    @property
    def asked_context(self) -> str | None:
        """The context of the cluster to ask: the one whose usage is read, where a source says."""
        kind, _, context = (self.source or "").partition(":")
        return (context or None) if kind == "cluster" else self.kubernetes.context

    @property
    def ledger_folder(self) -> Path | None:
        """Where the ledger is kept; None where there is none."""
        if self.ledger is not None:
            return None if self.ledger == "off" else Path(self.ledger)
        if self.source is None or self.source.startswith("recording:"):
            return None
        return (self.prometheus.cache or Path(self.output).parent) / "ledger"

    @property
    def policies(self) -> Policies:
        """The policy of every container: what is protected, then the rules of the file."""
        protected = [rule for name in self.protect for rule in PROTECTED[name]]
        return Policies(self.policy, (*protected, *self.rules))


def _named(name: str, parse: Callable[[str], object], text: str) -> None:
    try:
        parse(text)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error


SECTIONS: dict[str, type] = {
    name: kind
    for name, kind in get_type_hints(Config).items()
    if isinstance(kind, type) and (is_dataclass(kind) or issubclass(kind, msgspec.Struct))
}
"""The settings that hold settings, by name."""


def kinds_of(section: str = "") -> dict[str, object]:
    """The type of every setting of a section by name; without one, of the top."""
    return get_type_hints(SECTIONS[section] if section else Config)
