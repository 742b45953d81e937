"""Settings of a run: defaults, a YAML file, ``RIGHTSIZE_*`` variables, flags; later ones win.

Every value keeps its origin, so that ``rightsize config`` can say where it came from. Secrets are
never settings: the settings name the files they are read from.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import msgspec
import yaml

from analyzer.errors import ConfigError, UsageError
from analyzer.forge.settings import ForgeSettings
from analyzer.models import DEFAULT_MODEL
from analyzer.policy import Policies, Policy, Rule
from analyzer.quantity import decode_quantity
from analyzer.sources.prometheus.address import redact, split_urls
from analyzer.sources.prometheus.settings import PrometheusSettings
from analyzer.usage import utc

DEFAULT_FILE = "rightsize.yaml"
ENVIRONMENT_PREFIX = "RIGHTSIZE_"

_USER_INFO = re.compile(r"://.*@")
_DURATION = re.compile(r"(?:(\d+)w)?(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?", re.ASCII)


def parse_duration(text: str) -> timedelta:
    """A duration as Prometheus spells it: ``14d``, ``36h``, ``1h30m``. Raises ValueError."""
    match = _DURATION.fullmatch(text.strip())
    parts = [int(part or 0) for part in match.groups()] if match else []
    if not any(parts):
        raise ValueError(f"{text!r} is not a duration; write it like 14d, 36h or 5m")
    weeks, days, hours, minutes, seconds = parts
    return timedelta(weeks=weeks, days=days, hours=hours, minutes=minutes, seconds=seconds)


def parse_time(text: str) -> datetime:
    """A time in ISO 8601, in UTC unless it says otherwise. Raises ValueError."""
    try:
        return utc(datetime.fromisoformat(text))
    except ValueError as error:
        raise ValueError(f"{text!r} is not a time; write it like 2026-11-23T06:00Z") from error


class GitSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where changes land."""

    repo: str | None = None
    """A checkout of the repository that declares the workloads, or an address to clone it from."""
    revision: str | None = None
    """The branch, tag or commit to clone; by default what the address offers first."""
    charts: str | None = None
    """A folder with charts, for proving HelmRelease edits by rendering."""
    ssh_key: str | None = None
    """A private key for git over SSH, such as a deploy key."""
    known_hosts: str | None = None
    """A file with the host keys that git over SSH accepts."""
    entry: str | None = None
    """The folder in which Flux or Argo CD starts, where a repository serves several clusters."""


class KubernetesSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whether and how the cluster itself is asked who owns its workloads."""

    ask: bool = False
    """Ask for the labels of workloads, read-only, where the metrics do not carry them."""
    context: str | None = None
    """The context of the kubeconfig, as kubectl takes it."""
    kubeconfig: str | None = None
    """A kubeconfig file, as kubectl takes it."""


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All settings of a run."""

    source: str | None = None
    """Where usage comes from: ``prometheus:URL`` or ``recording:DIR``. The replicas of an HA pair
    are named together, ``prometheus:URL,URL``."""
    cluster: str | None = None
    """A name for the cluster; by default what the source says."""
    window: str | None = None
    """How much history to read; by default all of a recording, and 14d of a server."""
    until: str | None = None
    """The end of the window, ISO 8601; by default now, or the end of a recording."""
    step: str | None = None
    horizon: str = "7d"
    """The time until the next review."""
    model: str = DEFAULT_MODEL
    risk_budget: bool = False
    """Spend the cluster's expected overruns where they buy the most, instead of equal risk for
    all. The largest requests then bear the most of it."""
    risk_budget_cap: float = 3.0
    """With `risk_budget`, no container gets more than this many times the risk it would get if all
    were equal."""
    backtest: bool = True
    output: str = "reports/latest"
    formats: tuple[str, ...] = (
        "summary",
        "html",
        "csv",
        "kustomize",
        "json6902",
        "kubectl",
        "gitdiff",
    )
    charts: bool = True
    most_charts: int = 200
    """Draw this many containers at most, the largest changes first."""
    namespaces: tuple[str, ...] = ()
    """Only these namespaces; empty: all."""
    exclude_namespaces: tuple[str, ...] = ()
    policy: Policy = msgspec.field(default_factory=Policy)
    rules: tuple[Rule, ...] = ()
    prometheus: PrometheusSettings = msgspec.field(default_factory=PrometheusSettings)
    git: GitSettings = msgspec.field(default_factory=GitSettings)
    kubernetes: KubernetesSettings = msgspec.field(default_factory=KubernetesSettings)
    forge: ForgeSettings = msgspec.field(default_factory=ForgeSettings)

    def __post_init__(self) -> None:
        for text in (self.window, self.horizon, self.step):
            if text is not None:
                parse_duration(text)
        if not 1 < self.risk_budget_cap <= 10:
            found = f"{self.risk_budget_cap:g}"
            raise ValueError(f"risk_budget_cap must lie above 1 and at most at 10, found {found}")
        if self.until is not None:
            parse_time(self.until)
        if self.window is not None and parse_duration(self.window) < timedelta(hours=1):
            raise ValueError(f"a window of {self.window} holds too little; use 14d")

    @property
    def policies(self) -> Policies:
        """The policy of every container."""
        return Policies(self.policy, self.rules)


@dataclass(frozen=True)
class Settings:
    """The effective configuration and where each value came from, by dotted path."""

    config: Config
    origins: Mapping[str, str]


def load_config(
    path: Path | None, environment: Mapping[str, str], flags: Mapping[str, Any]
) -> Settings:
    """Read and join all layers. `flags` are by dotted path; None means "not given".

    Raises `ConfigError` with the file and the name for anything unknown or out of range.
    """
    tree: dict[str, Any] = {}
    origins: dict[str, str] = {}
    blamed = "the settings"
    if path is not None:
        _merge(tree, origins, _read_file(path), str(path))
        blamed = _check(tree, str(path)) or blamed
    for name, dotted, kind in _variables():
        if environment.get(name):
            value = _read_variable(environment[name], kind, name)
            _put(tree, origins, dotted, value, f"${name}")
            blamed = _check(tree, f"${name}") or blamed
    for dotted, value in flags.items():
        if value is not None and value != ():
            _put(tree, origins, dotted, value, "flag")
    return Settings(_convert(tree, blamed), origins)


def flatten(config: Config) -> dict[str, Any]:
    """Every leaf of the configuration by its dotted path, as plain values; secrets masked."""
    plain = msgspec.to_builtins(config, enc_hook=str, builtin_types=(timedelta,))
    shown = {name: str(v) if isinstance(v, timedelta) else v for name, v in _leaves(plain)}
    shown["source"] = config.source and ",".join(map(redact, split_urls(config.source)))
    shown["git.repo"] = config.git.repo and _masked(config.git.repo)
    for secret in ("headers", "parameters"):
        shown[f"prometheus.{secret}"] = dict.fromkeys(getattr(config.prometheus, secret), "***")
    shown["prometheus.proxy"] = config.prometheus.proxy and redact(config.prometheus.proxy)
    return shown


def _masked(url: str) -> str:
    return _USER_INFO.sub("://***@", url)


def json_schema() -> dict[str, Any]:
    """The JSON schema of the configuration file."""
    return msgspec.json.schema(Config, schema_hook=lambda _kind: {"type": "string"})


def _read_file(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error
    try:
        tree = yaml.safe_load(text)
    except yaml.YAMLError as error:
        where = getattr(error, "problem_mark", None)
        at = f", line {where.line + 1}" if where else ""
        raise ConfigError(
            f"{path}{at}: not valid YAML: {getattr(error, 'problem', error)}"
        ) from error
    except ValueError as error:  # a number of thousands of digits, a 13th month
        raise ConfigError(f"{path}: holds a value that cannot be read: {error}") from error
    if tree is None:
        return {}
    if not isinstance(tree, dict):
        raise ConfigError(f"{path}: expected settings by name, found a {type(tree).__name__}")
    return tree


def _merge(
    tree: dict[str, Any], origins: dict[str, str], new: Mapping[str, Any], origin: str
) -> None:
    for dotted, value in _leaves(new):
        _put(tree, origins, dotted, value, origin)


def _leaves(tree: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in tree.items():
        dotted = f"{above}{key}"
        if isinstance(value, dict) and dotted in _SECTIONS:
            yield from _leaves(value, f"{dotted}.")
        else:
            yield dotted, value


def _put(
    tree: dict[str, Any], origins: dict[str, str], dotted: str, value: Any, origin: str
) -> None:
    section, _, rest = dotted.partition(".")
    *sections, leaf = [section, rest] if section in _SECTIONS and rest else [dotted]
    place = tree
    for section in sections:
        place = place.setdefault(section, {})
    place[leaf] = value
    origins[dotted] = origin


_SECTIONS = {
    "policy": Policy,
    "prometheus": PrometheusSettings,
    "git": GitSettings,
    "kubernetes": KubernetesSettings,
}


def _fields(kind: Any) -> list[str]:
    return list(get_type_hints(kind))


def _variables() -> Iterator[tuple[str, str, Any]]:
    """Every variable with the setting it sets and that setting's type.

    Other ``RIGHTSIZE_*`` variables are passed over: Kubernetes itself sets such names in every pod
    of a namespace with a Service called rightsize.
    """
    for name, kind in get_type_hints(Config).items():
        if name in _SECTIONS:
            for leaf, leaf_kind in get_type_hints(_SECTIONS[name]).items():
                variable = f"{ENVIRONMENT_PREFIX}{name}__{leaf}".upper()
                yield variable, f"{name}.{leaf}", leaf_kind
        else:
            yield f"{ENVIRONMENT_PREFIX}{name}".upper(), name, kind


def _read_variable(text: str, kind: Any, name: str) -> Any:
    """The text of a variable as its setting takes it: words as they are, lists by commas."""
    kinds = get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)
    if kind == tuple[str, ...]:
        return [word.strip() for word in text.split(",") if word.strip()]
    if not {bool, int, float}.intersection(kinds) and not any(
        get_origin(each) in (Mapping, tuple, dict) for each in kinds
    ):
        return text
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(
            f"${name}: {text!r} cannot be read: {error.__class__.__name__}"
        ) from error


def _check(tree: Mapping[str, Any], origin: str) -> str | None:
    """Raise for what is wrong with `origin`; name it where a later layer may complete it.

    A user and the file with the password, for example, may be two variables.
    """
    try:
        _convert(tree, origin)
    except ConfigError as error:
        if not isinstance(error.__cause__, UsageError):
            raise
        return origin
    return None


def _convert(tree: Mapping[str, Any], origin: str) -> Config:
    reader = tree.get("prometheus")
    if isinstance(reader, dict):
        tree = {**tree, "prometheus": _reader_settings(reader, origin)}
    try:
        return msgspec.convert(tree, Config, dec_hook=_decode, builtin_types=(timedelta,))
    except (msgspec.ValidationError, UsageError, ValueError) as error:
        raise ConfigError(f"{origin}: {_explain(str(error))}") from error


def _reader_settings(tree: Mapping[str, Any], origin: str) -> dict[str, Any]:
    """The prometheus section with its durations read, and without names nobody knows.

    msgspec forbids unknown names in its own structs only, and reads durations as ISO 8601.
    """
    kinds = get_type_hints(PrometheusSettings)
    read = {}
    for name, value in tree.items():
        if name not in kinds:
            unknown = f"unknown field `{name}` - at `$.prometheus`"
            raise ConfigError(f"{origin}: {_explain(unknown)}")
        read[name] = value
        if kinds[name] is timedelta and isinstance(value, str):
            try:
                read[name] = parse_duration(value)
            except ValueError as error:
                raise ConfigError(f"{origin}: prometheus.{name}: {error}") from error
    return read


def _decode(kind: type, value: object) -> object:
    if kind is Path and isinstance(value, str):
        return Path(value)
    return decode_quantity(kind, value)


def _explain(message: str) -> str:
    """Take the message of msgspec, with the likely name where one was mistyped."""
    unknown = re.search(r"unknown field `([^`]*)`(?: - at `\$\.?([^`]*)`)?", message)
    if not unknown:
        return message
    section = re.split(r"[.\[]", unknown[2] or "", maxsplit=1)[0]
    known = _fields(_SECTIONS.get(section, Rule if section == "rules" else Config))
    close = difflib.get_close_matches(unknown[1], known, n=1)
    place = f" in {section}" if section else ""
    hint = f"did you mean {close[0]}?" if close else f"known are {', '.join(known)}"
    return f"unknown setting {unknown[1]!r}{place}; {hint}"
