"""Foretelling what app-template names things; expectations from its common library's templates."""

from __future__ import annotations

import pytest

from analyzer.gitops.render.app_template import app_template, fullname, naming_rule


def names(release: str, version: str | None, **values: object) -> list[tuple[str, str | None, str]]:
    found = app_template(release, version, values, lambda text: text.replace("${APP}", "app"))
    return [(c.kind, c.workload, c.container) for c in found]


ONE = {"containers": {"app": {"image": "x"}}}


@pytest.mark.parametrize(
    ("version", "controllers", "workloads"),
    [
        ("2.6.0", {"main": ONE}, ["web"]),
        ("2.6.0", {"worker": ONE}, ["web-worker"]),
        ("2.6.0", {"main": {**ONE, "nameOverride": "x"}}, ["web-x"]),
        ("3.7.3", {"main": ONE}, ["web"]),
        ("3.7.3", {"worker": ONE}, ["web"]),
        ("3.7.3", {"web": ONE, "worker": ONE}, ["web", "web-worker"]),
        ("3.7.3", {"a": ONE, "b": {**ONE, "enabled": False}}, ["web"]),
        ("3.7.3", {"a": {**ONE, "nameOverride": "{{ .Release.Name }}"}}, ["web"]),
        ("3.7.3", {"a": {**ONE, "nameOverride": "{{ .Values.x }}"}}, [None]),
        ("4.1.1", {"web": ONE, "worker": ONE}, ["web", "web-worker"]),
        ("4.0.1", {"web": ONE, "worker": ONE}, ["web-web", "web-worker"]),
        ("4.0.1", {"web": ONE}, ["web"]),
        ("3.0.1", {"web": ONE, "worker": ONE}, ["web-web", "web-worker"]),
        ("4.1.1", {"a": {**ONE, "forceRename": "Other"}}, ["other"]),
        ("4.1.1", {"a": {**ONE, "prefix": "pre", "suffix": "suf"}}, ["pre-web-suf"]),
        ("5.1.0", {"a": ONE, "b": ONE}, ["web-a", "web-b"]),
    ],
)
def test_workloads_are_named_by_the_rules_of_their_version(
    version: str, controllers: dict[str, object], workloads: list[str | None]
) -> None:
    """One enabled controller takes the release's name; several add theirs."""
    assert [
        workload for _, workload, _ in names("web", version, controllers=controllers)
    ] == workloads


def test_kinds_types_and_overridden_names() -> None:
    """The controller's type is the kind; a restarting init container is a sidecar."""
    values = {
        "controllers": {
            "job": {
                "type": "cronjob",
                "containers": {"app": {"nameOverride": "main"}, "off": {"enabled": False}},
                "initContainers": {"wait": {}, "vpn": {"restartPolicy": "Always"}},
            }
        }
    }
    found = app_template("web", "3.7.3", values, str)
    assert [(c.kind, c.container, c.container_type) for c in found] == [
        ("CronJob", "main", "app"),
        ("CronJob", "wait", "init"),
        ("CronJob", "vpn", "sidecar"),
    ]
    assert found[0].path == ("controllers", "job", "containers", "app", "resources")


def test_defaults_are_the_source_where_a_container_states_nothing() -> None:
    """`defaultContainerOptions.resources` decides for those without a block, and only for them."""
    controller = {
        "defaultContainerOptions": {"resources": {"limits": {"memory": "1Gi"}}},
        "applyDefaultContainerOptionsToInitContainers": False,
        "containers": {"a": {}, "b": {"resources": {"limits": {"memory": "2Gi"}}}},
        "initContainers": {"c": {}},
    }
    found = app_template("web", "3.7.3", {"controllers": {"x": controller}}, str)
    default = ("controllers", "x", "defaultContainerOptions", "resources")
    assert [c.inherited for c in found] == [default, None, None]


def test_substituted_names_are_put_in() -> None:
    """Flux fills `${APP}` in before Helm sees the values."""
    values = {"${APP}": ONE, "other": ONE}
    assert [w for _, w, _ in names("app", "3.7.3", controllers=values)] == ["app", "app-other"]


@pytest.mark.parametrize(
    ("release", "values", "name"),
    [
        ("grafana", {}, "grafana"),
        ("my", {}, "my-grafana"),
        ("my-grafana", {}, "my-grafana"),
        ("my", {"fullnameOverride": "x"}, "x"),
        ("my", {"nameOverride": "x"}, "my-x"),
        ("a" * 60, {}, "a" * 60 + "-gr"),
    ],
)
def test_full_names_follow_helm_create(release: str, values: dict[str, object], name: str) -> None:
    """The template that `helm create` writes, which most charts keep."""
    assert fullname(release, "grafana", values) == name


def test_a_version_that_was_never_rendered_says_so() -> None:
    """The rules of the newest version that was checked are taken, and the reason tells."""
    assert naming_rule("4.1.1") == "app-template 4.1.1 names it so"
    assert naming_rule("5.1.0") == "app-template 5.1.0 names it so, by the rules of 4.1"
    assert naming_rule(None) == "app-template (version open) names it so"
