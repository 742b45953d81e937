"""Several clusters in one settings file: what is shared, what differs, and which one is meant."""

from __future__ import annotations

from pathlib import Path

import jsonschema
import pytest
import yaml

from analyzer.config import clusters_in, json_schema, load_config
from analyzer.errors import ConfigError

SHARED = """\
preset: careful
output: out
policy: {cpu_floor: 20m, memory_floor: 32Mi}
rules:
- {namespace: databases, set: {direction: raise}}
clusters:
  home:
    source: prometheus:http://home:9090
  edge:
    source: prometheus:http://edge:9090
    preset: lean
    policy: {cpu_floor: 10m}
    rules:
    - {namespace: media, set: {direction: "off"}}
"""


def written(folder: Path, text: str) -> Path:
    """A settings file."""
    path = folder / "rightsize.yaml"
    path.write_text(text)
    return path


def test_what_a_cluster_sets_wins_over_what_all_share(tmp_path: Path) -> None:
    """Leaf by leaf; a cluster that sets nothing has what is shared."""
    path = written(tmp_path, SHARED)
    home, edge = (load_config(path, flags={"cluster": n}).config for n in ("home", "edge"))
    assert (home.preset, edge.preset) == ("careful", "lean")
    assert (str(home.policy.cpu_floor), str(edge.policy.cpu_floor)) == ("20m", "10m")
    assert str(home.policy.memory_floor) == str(edge.policy.memory_floor) == "32Mi"
    assert (home.cluster, edge.cluster) == ("home", "edge")


def test_rules_of_a_cluster_stand_behind_those_of_all(tmp_path: Path) -> None:
    """A rule of its own does not take away the protection that all have."""
    rules = load_config(written(tmp_path, SHARED), flags={"cluster": "edge"}).config.rules
    assert [rule.namespace for rule in rules] == ["databases", "media"]


def test_results_go_to_a_folder_of_the_name_unless_told(tmp_path: Path) -> None:
    """Two clusters never write into one folder by accident; a flag still wins."""
    path = written(tmp_path, SHARED)
    assert load_config(path, flags={"cluster": "edge"}).config.output == "out/edge"
    assert load_config(path, flags={"cluster": "edge", "output": "x"}).config.output == "x"
    assert load_config(path, {"RIGHTSIZE_CLUSTER": "home"}).config.output == "out/home"


def test_a_cluster_named_at_the_top_is_the_one_that_is_meant(tmp_path: Path) -> None:
    """As the current context of a kubeconfig is."""
    path = written(tmp_path, f"cluster: edge\n{SHARED}")
    assert load_config(path).config.cluster == "edge"
    assert load_config(path, flags={"cluster": "home"}).config.cluster == "home"


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({}, "holds the clusters home, edge; name one with --cluster"),
        ({"cluster": "egde"}, "has no cluster 'egde'; did you mean edge"),
        ({"cluster": "moon"}, "has no cluster 'moon'; known are home, edge"),
    ],
)
def test_a_cluster_is_never_guessed(tmp_path: Path, flags: dict[str, str], said: str) -> None:
    """Another cluster's usage would be taken for this one's."""
    with pytest.raises(ConfigError, match=said):
        load_config(written(tmp_path, SHARED), flags=flags)


@pytest.mark.parametrize(
    ("clusters", "said"),
    [
        ("[home]", "line 1: expected clusters by name"),
        ("{}", "line 1: expected clusters by name"),
        ("{home: lean}", "line 1: home: expected settings by name"),
        ("{a: {windw: 7d}}", "line 1: unknown setting 'windw'; did you mean window"),
        ("{a: {policy: {cpu_floor: x}}}", "line 1: policy.cpu_floor: "),
        ("{a: {output: x}}", "line 1: output of a: results go to a folder of the cluster's name"),
        ("{a: {cluster: b}}", "line 1: cluster of a: the name of a cluster"),
        ("{a: {clusters: {b: {}}}}", "line 1: clusters of a: clusters hold no clusters"),
        ("{../a: {}}", "line 1: '../a' cannot name a cluster"),
        ("{fleet: {}}", "line 1: 'fleet' cannot name a cluster"),
        ('{"a\\e[0m": {}}', "cannot name a cluster"),
    ],
)
def test_what_is_wrong_with_any_cluster_is_said_of_all(
    tmp_path: Path, clusters: str, said: str
) -> None:
    """Also of a cluster that is not the one that is meant, with the line."""
    path = written(tmp_path, f"clusters: {clusters}\n")
    with pytest.raises(ConfigError) as error:
        load_config(path, flags={"cluster": "zebra"})
    assert said in str(error.value)
    assert "\x1b" not in str(error.value)


def test_the_line_of_a_mistake_is_that_of_the_cluster(tmp_path: Path) -> None:
    """Not the line of the same setting at the top."""
    path = written(
        tmp_path, SHARED.replace('"off"', "up").replace("cpu_floor: 10m", "cpu_floor: x")
    )
    with pytest.raises(ConfigError) as error:
        load_config(path, flags={"cluster": "home"})
    assert "line 12: policy.cpu_floor" in str(error.value)
    assert "line 14: rule 1, set.direction" in str(error.value)


def test_clusters_are_listed_in_the_order_of_the_file(tmp_path: Path) -> None:
    """With the folder that they share; a file without any is told."""
    assert clusters_in(written(tmp_path, SHARED)) == (("home", "edge"), "out")
    with pytest.raises(ConfigError, match="names no clusters"):
        clusters_in(written(tmp_path, "preset: lean\n"))


def test_the_schema_of_the_settings_knows_clusters() -> None:
    """An editor that checks the file against it accepts what we accept."""
    schema = json_schema()
    jsonschema.validate(yaml.safe_load(SHARED), schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"clusters": {"a": {"windw": "7d"}}}, schema)
