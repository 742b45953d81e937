"""Settings in layers: defaults, a preset, a YAML file, ``RIGHTSIZE_*`` variables, flags.

Later layers win, and every value keeps its origin, so that ``rightsize config`` can say where it
came from. Each layer is checked whole, value by value, so that one look tells all that is wrong
with it. Secrets are never settings: the settings name the files they are read from.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec

from analyzer.config.clusters import CLUSTERS, meant, take_clusters
from analyzer.config.file import Place, SettingsFile, parse_settings, plain_value
from analyzer.config.structure import SECTIONS, Config, kinds_of
from analyzer.config.value import Expected, likely, read_value
from analyzer.errors import ConfigError, UsageError
from analyzer.models import MODELS
from analyzer.policy import Policy, Rule, make_policy
from analyzer.presets import PRESETS
from analyzer.quantity import decode_quantity
from analyzer.writers import WRITERS

DEFAULT_FILE = "rightsize.yaml"
ENVIRONMENT_PREFIX = "RIGHTSIZE_"
_MOST_SAID = 600
"""So many characters of a sentence that quotes what was written."""

# Kubernetes sets such names in every pod of a namespace with a Service called rightsize.
_OF_A_SERVICE = re.compile(
    r"RIGHTSIZE_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_\d+_(TCP|UDP|SCTP)(_\w+)?)?)"
)
_ELSEWHERE = frozenset(
    f"RIGHTSIZE_{name}"
    for name in (
        *("CONFIG", "EVALUATION", "KUBECTL", "HELM"),
        *("PROMETHEUS", "PROMTOOL", "VICTORIA_METRICS", "SSHD", "GPG"),
    )
)


@dataclass(frozen=True)
class Settings:
    """The effective configuration and where each value came from, by dotted path."""

    config: Config
    origins: Mapping[str, str]
    warnings: tuple[str, ...] = ()
    """What was found and has no effect, in one sentence each."""


def clusters_in(path: str | os.PathLike[str]) -> tuple[tuple[str, ...], str | None]:
    """The clusters that a settings file names, in its order, and the `output` that they share.

    Raises `ConfigError` where the file names none; of its settings nothing is checked yet.
    """
    file = _File.read(Path(path))
    if file.problems:
        raise ConfigError("\n".join(file.problems))
    if not file.clusters:
        raise ConfigError(f"{path}: names no clusters; write each with its settings below clusters")
    output = next((layer.given.get("output") for layer in file.shared), None)
    return tuple(file.clusters), None if output is None else str(output)


def load_config(
    path: str | os.PathLike[str] | None = None,
    environment: Mapping[str, str] | None = None,
    flags: Mapping[str, Any] | None = None,
    repository: Path | None = None,
) -> Settings:
    """Read and join all layers. `flags` are by dotted path; None means "not given".

    Below all of them lies what the ``rightsize.yaml`` of a checked-out `repository` says of the
    policy; whatever else it says is not taken, for who may change it is not who runs this.

    Of a file with several clusters, the one that ``cluster`` names is meant; what it sets wins over
    what all share, but that its rules stand behind theirs. All of them are checked.

    Raises `ConfigError` with the file, the line and the name of everything that is unknown, out
    of range or of another kind than expected.
    """
    file = _File.read(Path(path)) if path is not None else _File()
    above = [*_variables(environment or {}), *_flags(flags or {})]
    everything = [*file.shared, *file.clusters.values(), *above]
    problems = [*file.problems, *(problem for layer in everything for problem in layer.check())]
    if problems:
        raise ConfigError("\n".join(dict.fromkeys(problems)))
    base, passed_over = _of_repository(repository, Path(path) if path is not None else None)
    layers = [*base, *file.layers(above)]
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for layer in layers:
        values |= layer.values
        origins |= dict.fromkeys(layer.values, layer.origin)
    preset = values.get("preset", "balanced")
    for name, value in PRESETS[preset].items():
        if f"policy.{name}" not in values:
            values[f"policy.{name}"] = value
            origins[f"policy.{name}"] = f"preset {preset}"
    # With a repository they are read once more, and what was said before is not said again.
    warnings = _unknown(environment or {}) if repository is None else passed_over
    return Settings(_join(values, layers), origins, tuple(warnings))


@dataclass
class _Layer:
    """The values that one origin gives, by dotted path, and what is wrong with them."""

    origin: str
    given: Mapping[str, Any]
    file: SettingsFile | None = None
    label: str = ""
    within: Place = ()
    """Where in the file the values stand."""
    rules_before: int = 0
    """How many of its rules are those of the layer below, which come first."""

    def __post_init__(self) -> None:
        self.values: dict[str, Any] = {}
        self._problems: list[str] = []

    def check(self) -> list[str]:
        """Read every value; what is wrong comes back in one sentence each."""
        for name, value in self.given.items():
            if name in SECTIONS:
                self._section(name, value)
            else:
                self._leaf((name,), Expected(kinds_of().get(name)), value)
        return self._problems

    def where(self, place: Place, what: str) -> str:
        """The sentence that says `what` is wrong at `place`, however long what stands there is."""
        if len(what) > _MOST_SAID:
            what = f"{what[:_MOST_SAID]}..."
        if self.file is None:
            return f"{self.label or self.origin}: {what.removeprefix(_named(place))}"
        line = self.file.line_of((*self.within, *place))
        at = f", line {line}" if line else ""
        # What names the setting itself needs no name before it.
        itself = rf"(unknown setting|{re.escape(str(place[-1]))}\b)"
        named = "" if re.match(itself, what) else _named(place)
        return f"{self.file.name}{at}: {named}{what}"

    def _add(self, place: Place, what: str) -> None:
        self._problems.append(self.where(place, what))

    def _section(self, name: str, value: Any) -> None:
        if value is None:
            return
        if not isinstance(value, dict):
            self._add((name,), "expected settings by name")
            return
        kinds = kinds_of(name)
        for leaf, inner in value.items():
            self._leaf((name, leaf), Expected(kinds.get(leaf)), inner)

    def _leaf(self, place: Place, expected: Expected, value: Any) -> None:
        section = str(place[0]) if len(place) > 1 else ""
        if expected.kind is None:
            self._add(place, _unknown_setting(place, kinds_of(section)))
            return
        read = self._read(place, expected, value) if place != ("rules",) else self._rules(value)
        if read is not _BAD:
            self.values[".".join(map(str, place))] = read

    def _read(self, place: Place, expected: Expected, value: Any) -> Any:
        """The value as its setting takes it; `_BAD` where it is none, which is then noted."""
        words = self.file.words if self.file else {}
        try:
            found = read_value(value, expected, (*self.within, *place), words)
            _try_alone(place, found)
        except (ValueError, UsageError, msgspec.ValidationError, ConfigError) as error:
            self._add(place, _without_place(str(error)))
            return _BAD
        return found

    def _rules(self, value: Any) -> Any:
        if value is None:
            return []
        if not isinstance(value, list | tuple):
            self._add(("rules",), "expected a list of rules")
            return _BAD
        return [self._rule(("rules", number), rule) for number, rule in enumerate(value)]

    def _rule(self, place: Place, rule: Any) -> Any:
        if isinstance(rule, Rule):
            return msgspec.to_builtins(rule)
        if not isinstance(rule, dict):
            self._add(place, "expected patterns and what to `set`")
            return _BAD
        read = {}
        for name, value in rule.items():
            if name == "set":
                read[name] = self._set((*place, name), value)
            elif name in _PATTERNS:
                read[name] = self._read((*place, name), Expected(str), value)
            else:
                self._add((*place, name), _unknown_setting((*place, name), _PATTERNS))
        if "set" not in rule:
            self._add(place, "sets nothing; write what it changes below `set`")
        return read

    def _set(self, place: Place, value: Any) -> Any:
        if not isinstance(value, dict):
            self._add(place, "expected settings of the policy by name")
            return _BAD
        kinds = kinds_of("policy")
        read = {}
        for name, inner in value.items():
            if name in kinds:
                read[name] = self._read((*place, name), Expected(kinds[name]), inner)
            else:
                self._add((*place, name), _unknown_setting((*place, name), kinds))
        return read


_BAD = object()
_PATTERNS = dict.fromkeys(("cluster", "namespace", "kind", "workload", "container", "set"), str)


def _named(place: Place) -> str:
    """How a person names a place: ``rule 1, set.direction: ``; empty for what names itself."""
    if place[:1] == ("rules",) and len(place) > 1:
        rest = ".".join(map(str, place[2:]))
        return f"rule {int(place[1]) + 1}{', ' if rest else ''}{rest}: "
    return f"{'.'.join(map(str, place))}: "


def _unknown_setting(place: Place, known: Mapping[str, object]) -> str:
    name = str(place[-1])
    section = f" in {place[0]}" if len(place) > 1 and place[0] in SECTIONS else ""
    close = likely(name, list(known))
    hint = f"did you mean {close}?" if close else f"known are {', '.join(known)}"
    return f"unknown setting {name!r}{section}; {hint}"


def _try_alone(place: Place, value: Any) -> None:
    """Hold one value against the range of its setting, all others at their defaults."""
    name = str(place[-1])
    if place[0] == "policy" or (place[0] == "rules" and "set" in place):
        make_policy(Policy(), {name: value}, "")
    elif len(place) == 1:
        msgspec.convert({name: value}, Config, dec_hook=_decode)
        _try_names(name, value)
    elif issubclass(SECTIONS.get(str(place[0]), object), msgspec.Struct):
        msgspec.convert({name: value}, SECTIONS[str(place[0])], dec_hook=_decode)


def _try_names(name: str, value: Any) -> None:
    """Whether what is chosen by name is there: a model, and writers; nothing is loaded."""
    if name == "model":
        MODELS.check(value)
    for format_name in value if name == "formats" else ():
        WRITERS.check(format_name)


def _without_place(message: str) -> str:
    """The text of an error without the path that msgspec puts behind it."""
    message = message.removeprefix(" cannot be used: ")
    return re.sub(r" - at `[^`]*`$", "", message)


@dataclass(frozen=True)
class _File:
    """What a settings file gives: to all, and to each cluster that it names."""

    name: str = ""
    shared: Sequence[_Layer] = ()
    clusters: Mapping[str, _Layer] = field(default_factory=dict)
    problems: Sequence[str] = ()

    @classmethod
    def read(cls, path: Path) -> _File:
        """Read the file at `path`. Raises `ConfigError` where it cannot be read."""
        name = str(path)
        found = parse_settings(_text(path), name)
        clusters, problems = take_clusters(found)
        layers = {
            cluster: _Layer(f"{name} ({cluster})", given, found, within=(CLUSTERS, cluster))
            for cluster, given in clusters.items()
            if isinstance(given, dict)
        }
        return cls(name, [_Layer(name, found.values, found)], layers, problems)

    def layers(self, above: Sequence[_Layer]) -> list[_Layer]:
        """All layers that hold for the cluster that is meant, `above` are variables and flags."""
        layers = [*self.shared, *above]
        if not self.clusters:
            return layers
        named = [layer.values["cluster"] for layer in layers if "cluster" in layer.values]
        name = named[-1] if named else None
        wrong = meant(name, self.clusters, self.name)
        if wrong or name is None:
            raise ConfigError(wrong)
        shared, own = self.shared[0], self.clusters[name]
        folder = _Layer("the cluster's name", {})
        folder.values["output"] = f"{shared.values.get('output', 'reports')}/{name}"
        if "rules" in own.values:
            below = shared.values.get("rules", [])
            own.values["rules"], own.rules_before = [*below, *own.values["rules"]], len(below)
        return [shared, own, folder, *above]


_OF_A_REPOSITORY = ("preset", "protect", "policy", "rules", "exclude_namespaces")
"""What those who may change a repository may say of it: amounts, and what is left alone."""


def _of_repository(root: Path | None, own: Path | None) -> tuple[list[_Layer], list[str]]:
    """The layer of a repository's settings, where it has a file and that is not `own` anyway."""
    path = None if root is None else root / DEFAULT_FILE
    if path is None or path.is_symlink() or not path.is_file():
        return [], []
    if own is not None and own.resolve() == path.resolve():
        return [], []
    name = f"the repository's {DEFAULT_FILE}"
    found = parse_settings(_text(path), name)
    given = {name: value for name, value in found.values.items() if name in _OF_A_REPOSITORY}
    layer = _Layer(name, given, found)
    if problems := layer.check():
        raise ConfigError("\n".join(problems))
    rest = ", ".join(sorted(map(str, found.values.keys() - given.keys())))
    said = f"{name}: {rest} is for whoever runs this to set, and is passed over"
    return [layer], [said] if rest else []


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is no text in UTF-8; name a YAML file") from error
    except OSError as error:
        hint = "`rightsize init` writes one"
        raise ConfigError(f"{path}: cannot be read ({error.strerror}); {hint}") from error


def setting_variables(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables of `environment` that are settings; the others say where programs are."""
    return {name: environment[name] for name, _, _ in _names() if name in environment}


def environment_with(settings: Mapping[str, str]) -> dict[str, str]:
    """The environment of this process with the variables `settings` in place of its own ones."""
    own = setting_variables(os.environ)
    kept = {name: value for name, value in os.environ.items() if name not in own}
    return {**kept, **settings}


def _names() -> Iterator[tuple[str, str, Any]]:
    """Every variable with the setting it sets and that setting's type."""
    for name, kind in kinds_of().items():
        if name not in SECTIONS:
            yield f"{ENVIRONMENT_PREFIX}{name}".upper(), name, kind
            continue
        for leaf, leaf_kind in kinds_of(name).items():
            yield f"{ENVIRONMENT_PREFIX}{name}__{leaf}".upper(), f"{name}.{leaf}", leaf_kind


def _variables(environment: Mapping[str, str]) -> Iterator[_Layer]:
    for variable, dotted, kind in _names():
        text = environment.get(variable)
        if text:
            value = _read_variable(text, Expected(kind), f"${variable}")
            yield _Layer(f"${variable}", _nested(dotted, value))


def _nested(dotted: str, value: Any) -> dict[str, Any]:
    section, _, leaf = dotted.partition(".")
    return {section: {leaf: value}} if leaf else {section: value}


def _read_variable(text: str, expected: Expected, name: str) -> Any:
    """The text of a variable as its setting takes it: words as they are, lists by commas."""
    if expected.is_text:
        return text
    if expected.is_words:
        return [word.strip() for word in text.split(",") if word.strip()]
    if expected.is_structure:
        return parse_settings(f"value: {text}", name).values.get("value")
    return plain_value(text)


def _unknown(environment: Mapping[str, str]) -> Iterator[str]:
    """A warning for each variable that looks like a setting and is none."""
    known = [name for name, _, _ in _names()]
    for name in sorted(environment):
        if not name.startswith(ENVIRONMENT_PREFIX) or name in known or name in _ELSEWHERE:
            continue
        if not _OF_A_SERVICE.fullmatch(name):
            close = likely(name, known)
            hint = f"; did you mean {close}?" if close else ""
            yield f"${name} names no setting and has no effect{hint}"


def _flags(flags: Mapping[str, Any]) -> Iterator[_Layer]:
    for dotted, value in flags.items():
        if value is not None and value != ():
            given = list(value) if isinstance(value, tuple) else value
            yield _Layer("flag", _nested(dotted, given), label=f"{dotted}, as given")


def _join(values: Mapping[str, Any], layers: list[_Layer]) -> Config:
    """All values as one configuration; what only shows together is blamed on who set it last."""
    tree: dict[str, Any] = {}
    for dotted, value in values.items():
        section, _, leaf = dotted.partition(".")
        if leaf:
            tree.setdefault(section, {})[leaf] = value
        else:
            tree[section] = value
    try:
        config = msgspec.convert(tree, Config, dec_hook=_decode, builtin_types=(timedelta,))
    except (msgspec.ValidationError, UsageError, ValueError) as error:
        raise ConfigError(_blamed(str(error), layers)) from error
    for number, rule in enumerate(config.rules):
        try:
            make_policy(config.policy, rule.set, "")
        except ConfigError as error:
            raise ConfigError(_of_rule(number, layers, _without_place(str(error)))) from error
    return config


def _of_rule(number: int, layers: Sequence[_Layer], what: str) -> str:
    """The sentence that says `what` is wrong with a rule, counted over all that hold."""
    owner, *below = [layer for layer in reversed(layers) if "rules" in layer.values]
    if number >= owner.rules_before:
        return owner.where(("rules", number - owner.rules_before), what)
    return below[0].where(("rules", number), what)


def _blamed(message: str, layers: list[_Layer]) -> str:
    """`message` with the layer and the line of a setting that it names."""
    words = set(re.findall(r"[a-z_]+", message))
    for layer in reversed(layers):
        for dotted in layer.values:
            section, _, leaf = dotted.rpartition(".")
            spoken = {leaf, leaf.replace("_file", "")}
            if spoken & words:
                place: Place = (section, leaf) if section else (leaf,)
                return layer.where(place, _without_place(message))
    origins = ", ".join(dict.fromkeys(layer.origin for layer in layers))
    return f"{origins or 'the settings'}: {_without_place(message)}"


def _decode(kind: type, value: object) -> object:
    if kind is Path and isinstance(value, str):
        return Path(value)
    if kind is timedelta and isinstance(value, timedelta):
        return value
    return decode_quantity(kind, value)
