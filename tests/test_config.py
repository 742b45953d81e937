"""Settings in layers: what wins, where it came from, and what a mistake is told."""

from datetime import timedelta
from pathlib import Path

import pytest

from analyzer.config import flatten, json_schema, load_config, parse_duration
from analyzer.errors import ConfigError
from analyzer.quantity import Cpu


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
