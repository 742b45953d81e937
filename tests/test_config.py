"""Settings in layers: what wins, where it came from, and what a mistake is told."""

import json
import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, get_type_hints

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from analyzer.config import Config, flatten, json_schema, load_config, parse_duration, spelled
from analyzer.config.structure import SECTIONS
from analyzer.config.value import Expected
from analyzer.errors import ConfigError
from analyzer.presets import PRESETS, PROTECTED
from analyzer.quantity import Cpu, Memory
from analyzer.workload import ContainerRef


def written(tmp_path: Path, text: str) -> Path:
    """A configuration file."""
    path = tmp_path / "rightsize.yaml"
    path.write_text(text)
    return path


def test_flags_win_over_environment_over_file_over_defaults(tmp_path: Path) -> None:
    """Each layer covers the one below, and each value remembers its own."""
    path = written(tmp_path, "window: 7d\nhorizon: 3d\nmodel: krr\npolicy:\n  cpu_floor: 20m\n")
    environment = {"RIGHTSIZE_HORIZON": "4d", "RIGHTSIZE_MODEL": "vpa", "RIGHTSIZE_OTHER": "x"}
    settings = load_config(path, environment, {"model": "trend", "output": None})
    config = settings.config
    assert (config.window, config.horizon, config.model) == ("7d", "4d", "trend")
    assert config.policy.cpu_floor == Cpu(20)
    assert settings.origins == {
        "window": str(path),
        "horizon": "$RIGHTSIZE_HORIZON",
        "model": "flag",
        "policy.cpu_floor": str(path),
    }


def test_every_setting_of_a_section_has_a_variable() -> None:
    """Sections are joined with two underscores; values are words, lists by commas."""
    environment = {
        "RIGHTSIZE_POLICY__CPU_REQUEST_RISK": "0.01",
        "RIGHTSIZE_PROMETHEUS__TIMEOUT": "90s",
        "RIGHTSIZE_PROMETHEUS__TOKEN_FILE": "token",
        "RIGHTSIZE_NAMESPACES": "a, b",
        "RIGHTSIZE_CLUSTER": "123",
        "RIGHTSIZE_UNTIL": "2026-11-23",
        "RIGHTSIZE_BACKTEST": "false",
        "RIGHTSIZE_OUTPUT": "",
    }
    config = load_config(None, environment, {}).config
    assert config.policy.cpu_request_risk == 0.01
    assert config.prometheus.timeout == timedelta(seconds=90)
    assert config.prometheus.token_file == Path("token")
    assert config.namespaces == ("a", "b")
    assert (config.cluster, config.until, config.backtest) == ("123", "2026-11-23", False)
    assert config.output == "reports/latest"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("RIGHTSIZE_BACKTEST", ": ["),
        ("RIGHTSIZE_WINDOW", "soon"),
        ("RIGHTSIZE_MOST_CHARTS", "many"),
    ],
)
def test_a_wrong_variable_is_named(name: str, value: str) -> None:
    """One sentence with the variable's name."""
    with pytest.raises(ConfigError, match=rf"\$?{name}"):
        load_config(None, {name: value}, {})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("windwo: 7d", "unknown setting 'windwo'; did you mean window"),
        ("policy:\n  cpu_flor: 1m", "unknown setting 'cpu_flor' in policy; did you mean cpu_floor"),
        ("prometheus:\n  tokenfile: x", "did you mean token_file"),
        ("rules:\n- set: {}\n  namspace: x", "did you mean namespace"),
        ("policy:\n  cpu_floor: lots", "not a Kubernetes quantity"),
        ("policy:\n  cpu_request_risk: 3", "cpu_request_risk must be between"),
        ("window: soon", "'soon' is not a duration"),
        ("prometheus:\n  timeout: soon", "prometheus.timeout: 'soon' is not a duration"),
        ("prometheus:\n  parallel: 0", "parallel must be at least 1"),
        ("- a\n- b", "expected settings by name, found a list"),
        ("a: [", "line 1"),
        ("model: [1]", "model: expected text, found a list"),
    ],
)
def test_a_mistake_is_one_sentence_with_file_and_name(
    tmp_path: Path, text: str, message: str
) -> None:
    """The message names the file, the setting, and the likely one."""
    path = written(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        load_config(path, {}, {})
    assert str(path) in str(caught.value)
    assert message in str(caught.value)


def test_a_missing_file_is_one_sentence(tmp_path: Path) -> None:
    """A file that was named must be there."""
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(tmp_path / "none.yaml", {}, {})


def test_an_empty_file_is_all_defaults(tmp_path: Path) -> None:
    """Nothing set is nothing wrong."""
    assert load_config(written(tmp_path, ""), {}, {}) == load_config(None, {}, {})


def test_rules_become_policies(tmp_path: Path) -> None:
    """Globs choose containers; a rule that cannot be applied is found here."""
    path = written(tmp_path, "rules:\n- namespace: media\n  set: {direction: raise}\n")
    assert load_config(path, {}, {}).config.policies.rules[0].namespace == "media"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("14d", 1209600), ("1h30m", 5400), ("5m", 300), ("2w", 1209600), ("90s", 90)],
)
def test_durations_are_written_as_prometheus_does(text: str, seconds: int) -> None:
    """Weeks, days, hours, minutes, seconds, largest first."""
    assert parse_duration(text).total_seconds() == seconds


@pytest.mark.parametrize("text", ["", "14", "d", "5m1h", "-1d", "0d", "1.5d"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    """Nothing is guessed."""
    with pytest.raises(ValueError, match="not a duration"):
        parse_duration(text)


def test_what_may_be_secret_is_not_shown() -> None:
    """Neither a password in an address nor the value of a header; every server is shown."""
    flags = {
        "source": "prometheus:http://a:9090,http://me:s3cret@h:9090",
        "git.repo": "https://s3cret@git.example.org/cluster",
        "prometheus.headers": {"X-Key": "s3cret"},
        "prometheus.parameters": {"token": "s3cret"},
        "prometheus.proxy": "http://me:s3cret@proxy:3128",
    }
    shown = flatten(load_config(None, {}, flags).config)
    assert "s3cret" not in str(shown)
    assert shown["source"] == "prometheus:http://a:9090,http://h:9090"
    assert shown["git.repo"] == "https://***@git.example.org/cluster"
    assert shown["prometheus.headers"] == {"X-Key": "***"}


def test_every_leaf_and_a_schema_can_be_shown() -> None:
    """`rightsize config` shows all settings, none of them twice."""
    config = load_config(None, {}, {}).config
    leaves = flatten(config)
    assert leaves["policy.cpu_floor"] == "5m"
    assert leaves["prometheus.timeout"] == "1m"
    assert "properties" in str(json_schema())


def test_what_belongs_together_may_come_in_parts(tmp_path: Path) -> None:
    """A user in the file, the password's file in a variable; one alone is an error at the end."""
    path = tmp_path / "r.yaml"
    path.write_text("prometheus:\n  user: joe\n")
    variables = {"RIGHTSIZE_PROMETHEUS__PASSWORD_FILE": "secret"}
    config = load_config(path, variables, {}).config
    assert (config.prometheus.user, config.prometheus.password_file) == ("joe", Path("secret"))
    both = variables | {"RIGHTSIZE_PROMETHEUS__USER": "jane"}
    assert load_config(None, both, {}).config.prometheus.user == "jane"
    for file, alone in ((path, {}), (None, variables)):
        with pytest.raises(ConfigError, match="needs both a user and a password file"):
            load_config(file, alone, {})


EXAMPLES = {
    "window": "36h",
    "step": "1m",
    "until": "2026-11-23T06:00:00Z",
    "horizon": "1h30m",
    "namespaces": ["a", "b"],
    "preset": "lean",
    "protect": ["system", "databases"],
    "rules": [{"namespace": "media", "set": {"cpu_floor": "1"}}],
    "policy.cpu_floor": "1500m",
    "policy.memory_ceiling": "3Gi",
    "policy.direction": "off",
    "policy.min_change": 0.25,
    "prometheus.timeout": "1h1m1s1ms",
    "prometheus.backoff": "250ms",
    "prometheus.token_file": "a file",
    "prometheus.parallel": 3,
    "prometheus.insecure": True,
    "git.repo": "/srv/repo",
    "kubernetes.ask": True,
    "forge.reopen_change": 0.5,
}
"""Values that are not the defaults, one at least of every kind of setting."""


def test_what_is_shown_is_read_back(tmp_path: Path) -> None:
    """Every value of `config`, as a file, as variables and as flags, gives the same settings."""
    config = load_config(None, {}, EXAMPLES).config
    shown = flatten(config)
    assert set(EXAMPLES) <= set(shown)
    assert {name: shown[name] for name in EXAMPLES if name != "rules"} == {
        name: value for name, value in EXAMPLES.items() if name != "rules"
    }
    tree: dict[str, Any] = {}
    for dotted, value in shown.items():
        section, _, leaf = dotted.partition(".")
        if leaf:
            tree.setdefault(section, {})[leaf] = value
        else:
            tree[section] = value
    path = written(tmp_path, yaml.safe_dump(tree))
    assert load_config(path, {}, {}).config == config
    variables = {
        f"RIGHTSIZE_{name.replace('.', '__').upper()}": spelled(value)
        for name, value in shown.items()
    }
    assert load_config(None, variables, {}).config == config
    assert load_config(None, variables, {}).warnings == ()
    assert load_config(None, {}, shown).config == config


def test_every_setting_is_shown() -> None:
    """No setting is passed over, set or not."""
    for section, kind in SECTIONS.items():
        names = {f"{section}.{name}" for name in get_type_hints(kind)}
        assert names <= set(flatten(load_config(None, {}, {}).config))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rules:\n- namespace: a\n  set: {direction: off}", "line 3: rule 1, set.direction: "),
        ("rules:\n- set: {direction: off}", 'quote it: "off"'),
        ("rules:\n- set: {minimum_memory: 1Gi}", "did you mean memory_floor?"),
        ("rules:\n- set: {cpu_request_risk: 9}", "line 2: cpu_request_risk must be between"),
        ("rules:\n- namespace: a", "rule 1: sets nothing"),
        ("rules: {a: b}", "expected a list of rules"),
        ("policy: {cpu_ceiling: 1m}", "cpu_ceiling (1m) must not lie below cpu_floor"),
        ("policy: 7", "expected settings by name"),
        ("window: 7d\nmodel: krr\nwindow: 8d", "line 3: window is set twice, first on line 1"),
        ("model: poled", "did you mean pooled?"),
        ("formats: [sumary]", "did you mean summary?"),
        ("preset: bold", "expected one of careful, balanced, lean"),
        ("prometheus: {sign_in: aws}", "expected one of google, azure"),
        ("protect: [system, database]", "did you mean databases?"),
        ("policy: {cpu_limit: keeps}", "did you mean keep?"),
        ("backtest: maybe", "backtest: expected true or false, found 'maybe'"),
        ("most_charts: 1.5", "expected a whole number"),
        ("prometheus: {headers: [a]}", "expected text by name, found a list"),
        ("horizon:", "expected text, found nothing"),
        ("forge: {most_open: 0}", "most_open must lie between"),
    ],
)
def test_each_mistake_has_its_line_and_what_was_meant(
    tmp_path: Path, text: str, message: str
) -> None:
    """Found before anything is read: file, line, the rule, and what to write."""
    with pytest.raises(ConfigError) as caught:
        load_config(written(tmp_path, text), {}, {})
    assert message in str(caught.value)
    assert ", line " in str(caught.value)


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    """One look is enough: a line for each."""
    path = written(tmp_path, "windwo: 7d\nrules:\n- set: {direction: off, cpu_flor: 1}\n")
    with pytest.raises(ConfigError) as caught:
        load_config(path, {}, {})
    assert [line.split(": ")[0] for line in str(caught.value).splitlines()] == [
        f"{path}, line {number}" for number in (1, 3, 3)
    ]


@pytest.mark.parametrize(
    "text",
    [
        "until: 2026-13-45",
        'window: !!int "x"',
        "window: !!python/name:os.system x",
        f"rules: {'[' * 3000}",
        f"risk_budget_cap: {'9' * 5000}",
        "window: 99999999999w",
        'until: "0001-01-01T00:00+14:00"',
        "prometheus: {timeout: 99999999999d}",
        "a: &a [*a]",
        "? [a]\n: b",
        "--- {}\n--- {}",
        "policy: {min_change: .inf}",
        "policy: {min_change: 1e999}",
        "a: \0",
    ],
)
def test_no_yaml_is_a_traceback(tmp_path: Path, text: str) -> None:
    """Whatever YAML's own types choke on is one sentence with the file."""
    path = written(tmp_path, text)
    with pytest.raises(ConfigError, match=re.escape(str(path))) as caught:
        load_config(path, {}, {})
    assert "\n" not in str(caught.value)


@settings(max_examples=200, deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.dates(),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["set", "policy", "rules", "window", "x"]), inner, max_size=3
            )
        ),
        max_leaves=8,
    ),
    st.sampled_from(["rules", "policy", "prometheus", "window", "namespaces", "most_charts", "x"]),
)
def test_no_value_is_a_traceback(value: Any, name: str) -> None:
    """Any value of any kind is taken or refused in words, below any name."""
    text = yaml.safe_dump({name: value})
    with TemporaryDirectory() as folder:
        try:
            load_config(written(Path(folder), text), {}, {})
        except ConfigError as error:
            assert str(error).isprintable() or "\n" in str(error)


WRONG = {
    "a list": [[1]],
    "settings": {"a": {"b": 1}},
    "a number": -1,
    "a number beyond all": 10**30,
    "no number": float("nan"),
    "nothing": "",
    "a null": "a\0b",
    "an escape": "\x1b[31m",
    "a long word": "9" * 5000,
    "items of nothing": [None],
    "names that are numbers": {1: 2},
}


@pytest.mark.parametrize("what", WRONG)
def test_every_setting_is_taken_or_refused_in_one_sentence(tmp_path: Path, what: str) -> None:
    """Each setting that there is with each wrong value: one sentence with the file and the name."""
    for name in flatten(load_config(None, {}, {}).config):
        value: Any = WRONG[what]
        for part in reversed(name.split(".")):
            value = {part: value}
        path = written(tmp_path, yaml.safe_dump(value))
        try:
            load_config(path, {}, {})
        except ConfigError as error:
            said = str(error)
            spoken = name.split(".")[-1].removesuffix("_file").rstrip("s").replace("_", " ")
            assert said.startswith(str(path)) and spoken in said.replace("_", " ")
            assert len(said) < len(str(path)) + 750 and said.isprintable()
        else:
            assert what not in ("a list", "settings", "nothing", "a null"), name


def test_a_date_is_taken_as_it_is_written(tmp_path: Path) -> None:
    """YAML makes a date of it, and a settings file means the text."""
    assert load_config(written(tmp_path, "until: 2026-11-23"), {}, {}).config.until == "2026-11-23"
    path = written(tmp_path, "cluster: 123\nnamespaces: [1, 2]\n")
    config = load_config(path, {}, {}).config
    assert (config.cluster, config.namespaces) == ("123", ("1", "2"))


def test_unknown_variables_are_told() -> None:
    """What looks like a setting and is none is said to have no effect; Services are no settings."""
    environment = {
        "RIGHTSIZE_MODLE": "krr",
        "RIGHTSIZE_PORT_9090_TCP_ADDR": "10.0.0.1",
        "RIGHTSIZE_SERVICE_HOST": "10.0.0.1",
        "RIGHTSIZE_CONFIG": "x",
        "HOME": "/",
    }
    assert load_config(None, environment, {}).warnings == (
        "$RIGHTSIZE_MODLE names no setting and has no effect; did you mean RIGHTSIZE_MODEL?",
    )


def test_a_preset_is_where_the_policy_starts(tmp_path: Path) -> None:
    """What the file sets itself wins, and the preset is named as the origin of the rest."""
    path = written(tmp_path, "preset: careful\npolicy: {max_decrease: 0.5}\n")
    found = load_config(path, {}, {})
    assert found.config.policy.memory_limit_headroom == 1.5
    assert found.config.policy.max_decrease == 0.5
    assert found.origins["policy.memory_limit_headroom"] == "preset careful"
    assert load_config(path, {}, {"preset": "lean"}).config.policy.cpu_request_risk == 0.10


def test_what_is_protected_is_a_line(tmp_path: Path) -> None:
    """Databases are only raised, system namespaces left alone; a rule of the file wins."""
    text = "protect: [databases, system]\nrules:\n- workload: redis\n  set: {direction: both}\n"
    policies = load_config(written(tmp_path, text), {}, {}).config.policies
    of = ContainerRef("c", "shop", "Deployment", "my-postgres-0", "db")
    assert policies.of(of).direction == "raise"
    assert policies.of(replace(of, workload="web")).direction == "both"
    assert policies.of(replace(of, workload="redis")).direction == "both"
    assert policies.of(replace(of, namespace="kube-system")).direction == "off"


def test_every_preset_is_a_policy() -> None:
    """Each can be had, and each rule of what is protected as well."""
    for preset in PRESETS:
        for protect in PROTECTED:
            config = load_config(None, {}, {"preset": preset, "protect": [protect]}).config
            assert config.policies.rules


def test_the_schema_says_what_each_setting_means() -> None:
    """Editors show it; a duration is text."""
    found = json_schema()["$defs"]["Config"]["properties"]
    assert found["preset"]["description"].startswith("Where the policy starts")
    timeout = json_schema()["$defs"]["PrometheusSettings"]["properties"]["timeout"]
    assert "format" not in timeout
    assert re.fullmatch(timeout["pattern"], "1m30s")


def _choices() -> list[tuple[str, str]]:
    """Every setting that takes one of a few words, with each of these."""
    sections = {"": Config, **{f"{name}.": kind for name, kind in SECTIONS.items()}}
    hints = {
        f"{prefix}{name}": kind
        for prefix, section in sections.items()
        for name, kind in get_type_hints(section).items()
    }
    return [(name, word) for name, kind in hints.items() for word in Expected(kind).choices]


@pytest.mark.parametrize(("name", "word"), _choices())
def test_every_word_that_a_setting_names_is_taken(tmp_path: Path, name: str, word: str) -> None:
    """In a file, as a variable and as a flag: also where the setting may be left out."""
    section, _, leaf = name.rpartition(".")
    value: object = [word] if name == "protect" else word
    path = tmp_path / "rightsize.yaml"
    path.write_text(json.dumps({section: {leaf: value}} if section else {leaf: value}))
    variable = {"RIGHTSIZE_" + name.upper().replace(".", "__"): word}
    for taken in (
        load_config(path),
        load_config(environment=variable),
        load_config(flags={name: value}),
    ):
        found = getattr(taken.config, section) if section else taken.config
        assert getattr(found, leaf) in (word, (word,))


def test_a_setting_of_one_of_a_few_words_may_be_left_out() -> None:
    """The test above sees those that have nothing by default as well."""
    assert ("prometheus.sign_in", "azure") in _choices()


def repository(folder: Path, text: str) -> Path:
    """A checkout with settings of its own."""
    folder.mkdir(exist_ok=True)
    (folder / "rightsize.yaml").write_text(text)
    return folder


def test_a_repository_says_its_policy_and_nothing_else(tmp_path: Path) -> None:
    """Whoever may change it sets amounts; where a token goes, and what is read, it does not."""
    root = repository(
        tmp_path / "checkout",
        "policy: {cpu_floor: 30m, memory_floor: 50Mi}\nsource: recording:/etc\n"
        "forge: {url: 'https://evil.example', most_open: 99}\noutput: /etc\n"
        "rules: [{namespace: media, set: {direction: raise}}]\nprotect: [databases]\n",
    )
    own = tmp_path / "own.yaml"
    own.write_text("policy: {memory_floor: 80Mi}\nforge: {most_open: 2}\n")
    found = load_config(own, {"RIGHTSIZE_NOPE": "1"}, {}, root)
    config = found.config
    assert (config.policy.cpu_floor, config.policy.memory_floor) == (
        Cpu.parse("30m"), Memory.parse("80Mi")
    )  # fmt: skip
    assert (config.source, config.output) == (None, "reports/latest")
    assert (config.forge.url, config.forge.most_open) == (None, 2)
    assert config.protect == ("databases",) and len(config.rules) == 1
    assert found.origins["policy.cpu_floor"] == "the repository's rightsize.yaml"
    assert found.warnings == (
        "the repository's rightsize.yaml: forge, output, source is for whoever runs this to set, "
        "and is passed over",
    )


def test_settings_of_a_repository_are_checked_and_no_link_is_followed(tmp_path: Path) -> None:
    """A mistake has its line; a link could lead to a secret, which an error would print."""
    root = repository(tmp_path / "checkout", "policy:\n  cpu_flor: 30m\n")
    with pytest.raises(ConfigError, match=r"rightsize\.yaml, line 2: unknown setting 'cpu_flor'"):
        load_config(None, {}, {}, root)
    secret = tmp_path / "secret"
    secret.write_text("canary: [")
    (root / "rightsize.yaml").unlink()
    (root / "rightsize.yaml").symlink_to(secret)
    assert load_config(None, {}, {}, root).warnings == ()
    assert load_config(None, {}, {}, tmp_path).warnings == ()


def test_a_file_that_is_read_anyway_is_not_read_twice(tmp_path: Path) -> None:
    """At the root of a checkout all of it holds."""
    root = repository(tmp_path / "checkout", "forge: {most_open: 3}\n")
    found = load_config(root / "rightsize.yaml", {}, {}, root)
    assert found.config.forge.most_open == 3 and found.warnings == ()
