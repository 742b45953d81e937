"""The table of charts: which versions its rows are trusted for, and whose charts they are."""

from __future__ import annotations

import pytest

from analyzer.gitops.land.changes import plan_changes
from analyzer.gitops.land.outcome import Advice, DesiredChange, Edited, Outcome
from analyzer.gitops.render.well_known import ChartRule, charts, is_another
from analyzer.quantity import Memory, Resources
from analyzer.workload import ContainerRef
from tests.gitops.conftest import Plant


@pytest.mark.parametrize(
    ("version", "covered"),
    [("5.0.0", True), ("v7.9.9", True), ("6.1.x", True), ("4.9.9", False), ("8.0.0", False)],
)
def test_a_row_is_for_the_majors_that_were_rendered(version: str, covered: bool) -> None:
    """A later version of the newest major counts, another major does not."""
    row = ChartRule("Deployment", "x", "x", "resources", oldest="5.3.0", newest="7.1.0")
    assert row.covers(version) is covered


@pytest.mark.parametrize("version", [None, "*", ">=6", "6.x", "latest"])
def test_an_open_version_is_not_covered(version: str | None) -> None:
    """What will be installed is not known."""
    row = ChartRule("Deployment", "x", "x", "resources", oldest="5.3.0", newest="7.1.0")
    assert not row.covers(version)


def test_below_one_the_minor_counts() -> None:
    """Versions before 1.0 may change anything with a minor."""
    row = ChartRule("Deployment", "x", "x", "resources", oldest="0.5.1", newest="0.7.0")
    assert row.covers("0.7.9")
    assert not row.covers("0.8.0")


@pytest.mark.parametrize(
    ("source", "another"),
    [
        ("https://grafana.github.io/helm-charts", False),
        ("oci://ghcr.io/home-operations/charts-mirror/grafana", False),
        ("https://registry.example.org/mirror", False),
        ("https://charts.bitnami.com/bitnami", True),
        ("oci://registry-1.docker.io/bitnamicharts/grafana", True),
        ("bitnami/grafana", True),
        ("https://charts.helm.sh/stable", True),
        ("", False),
    ],
)
def test_charts_of_others_that_bear_the_same_name(source: str, another: bool) -> None:
    """Bitnami's grafana has its resources at other paths: a row would name a wrong place."""
    assert is_another(source) is another


GRAFANA = ContainerRef("c", "mon", "Deployment", "grafana", "grafana")


def asked(plant: Plant, version: str, values: str, url: str = "https://example.org") -> Outcome:
    """What comes of asking for more memory for a release of grafana."""
    root = plant(
        {
            "hr.yaml": f"""
                apiVersion: helm.toolkit.fluxcd.io/v2
                kind: HelmRelease
                metadata: {{name: grafana, namespace: mon}}
                spec:
                  chart:
                    spec:
                      chart: grafana
                      version: {version}
                      sourceRef: {{kind: HelmRepository, name: g, namespace: mon}}
                  values: {values}
                """,
            "repo.yaml": f"""
                apiVersion: source.toolkit.fluxcd.io/v1
                kind: HelmRepository
                metadata: {{name: g, namespace: mon}}
                spec: {{url: {url}}}
                """,
        }
    )
    now, then = Memory.parse("64Mi"), Memory.parse("96Mi")
    change = DesiredChange(GRAFANA, Resources(memory_request=now), Resources(memory_request=then))
    (outcome,) = plan_changes(root, [change]).outcomes
    return outcome


STATED = "{resources: {requests: {memory: 64Mi}}}"


def test_a_version_that_was_not_tried_is_edited_only_where_amounts_are_stated(plant: Plant) -> None:
    """Amounts that are stated and run show that the row holds; an insertion shows nothing."""
    (row,) = [r for r in charts()["grafana"] if r.values == "resources"]
    assert isinstance(asked(plant, row.newest, "{replicas: 1}"), Edited)
    assert isinstance(asked(plant, "999.0.0", STATED), Edited)
    outcome = asked(plant, "999.0.0", "{replicas: 1}")
    assert isinstance(outcome, Advice)
    assert "999.0.0 was not tried" in outcome.reason


def test_a_chart_of_another_publisher_is_left_to_a_person(plant: Plant) -> None:
    """Its name alone proves nothing."""
    outcome = asked(plant, "11.0.0", STATED, "oci://registry-1.docker.io/bitnamicharts")
    assert isinstance(outcome, Advice)
