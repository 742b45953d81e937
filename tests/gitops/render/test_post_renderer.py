"""What post-renderers make of a chart counts: it is built, not guessed at."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from analyzer.gitops.land.changes import plan_changes
from analyzer.gitops.land.outcome import Advice, DesiredChange, Edited, Outcome
from analyzer.gitops.reach.objects import objects_of
from analyzer.gitops.reach.release import post_renderers
from analyzer.gitops.reach.repository import load_repository
from analyzer.gitops.render.charts import charts_in
from analyzer.gitops.render.helm import Helm
from analyzer.gitops.render.program import Tools
from analyzer.gitops.render.rendering import Sink
from analyzer.quantity import Cpu, Memory, Resources
from analyzer.workload import ContainerRef
from tests.gitops.conftest import Plant

RELEASE = """
    apiVersion: helm.toolkit.fluxcd.io/v2
    kind: HelmRelease
    metadata: {name: web, namespace: shop}
    spec:
      chart: {spec: {chart: two, version: 1.0.0}}
      values:
        resources: {requests: {memory: 64Mi}}
    """
TEMPLATE = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: {{ .Release.Name }}}
spec:
  template:
    spec:
      containers:
        - name: web
          image: x
          resources: {{ toYaml .Values.resources | nindent 12 }}
        - name: proxy
          image: y
"""
WEB = ContainerRef("c", "shop", "Deployment", "web", "web")


def patched(container: str) -> str:
    """The release with a post-renderer that sets a container's memory."""
    return f"""{RELEASE.rstrip()}
      postRenderers:
        - kustomize:
            patches:
              - target: {{kind: Deployment}}
                patch: |
                  apiVersion: apps/v1
                  kind: Deployment
                  metadata: {{name: any}}
                  spec:
                    template:
                      spec:
                        containers:
                          - name: {container}
                            resources: {{requests: {{memory: 1Gi}}}}
    """


@pytest.fixture
def charts(tmp_path: Path) -> Path:
    """A folder with a chart of two containers, one of which its values decide for."""
    chart = tmp_path / "charts" / "two"
    (chart / "templates").mkdir(parents=True)
    (chart / "Chart.yaml").write_text("apiVersion: v2\nname: two\nversion: 1.0.0\n")
    (chart / "values.yaml").write_text("resources: {}\n")
    (chart / "templates/web.yaml").write_text(TEMPLATE)
    return chart.parent


def asked(root: Path, tools: Tools) -> Outcome:
    """What comes of asking for more memory for the container that the values decide for."""
    now, then = Memory.parse("64Mi"), Memory.parse("96Mi")
    change = DesiredChange(WEB, Resources(memory_request=now), Resources(memory_request=then))
    (outcome,) = plan_changes(root, [change], tools=tools).outcomes
    return outcome


def test_a_post_renderer_of_another_container_is_no_obstacle(
    plant: Plant, charts: Path, kubectl: Path, helm: Path
) -> None:
    """It touches resources, and the rendering shows that these are not the ones."""
    tools = Tools(kubectl, helm, (charts,))
    outcome = asked(plant({"hr.yaml": patched("proxy")}), tools)
    assert isinstance(outcome, Edited), outcome
    assert outcome.proof.changed == 1
    assert outcome.proof.containers == 2


def test_values_that_a_post_renderer_overwrites_decide_nothing(
    plant: Plant, charts: Path, kubectl: Path, helm: Path
) -> None:
    """An edit there would do nothing."""
    tools = Tools(kubectl, helm, (charts,))
    assert isinstance(asked(plant({"hr.yaml": patched("web")}), tools), Advice)


def test_a_post_renderer_that_cannot_be_built_leaves_it_to_a_person(plant: Plant) -> None:
    """Without the chart, nothing tells whether it has the last word."""
    root = plant({"hr.yaml": patched("grafana").replace("chart: two", "chart: grafana")})
    change = DesiredChange(
        ContainerRef("c", "shop", "Deployment", "web-grafana", "grafana"),
        Resources(memory_request=Memory.parse("64Mi")),
        Resources(memory_request=Memory.parse("96Mi")),
    )
    (outcome,) = plan_changes(root, [change], tools=Tools()).outcomes
    assert isinstance(outcome, Advice)
    assert "a post-renderer of the release changes resources as well" in outcome.reason


def chart(release: str) -> dict[str, str]:
    """A repository of the release and its chart."""
    return {
        "apps/web.yaml": release,
        "charts/two/Chart.yaml": "apiVersion: v2\nname: two\nversion: 1.0.0\n",
        "charts/two/values.yaml": "resources: {}\n",
        "charts/two/templates/web.yaml": TEMPLATE,
    }


def test_what_a_chart_offers_no_value_for_gets_a_post_renderer_to_add(
    plant: Plant, helm: Path, kubectl: Path
) -> None:
    """The reason names chart and release, and what it says to add does what was asked for."""
    tools = Tools(helm=helm, kubectl=kubectl)
    ref = replace(WEB, container="proxy")
    wanted = Resources(cpu_request=Cpu(50), memory_request=Memory.parse("96Mi"))
    change = DesiredChange(ref, Resources(), wanted)
    root = plant(chart(RELEASE))
    (advice,) = plan_changes(root, [change], tools=tools).advice
    told, _, addition = advice.reason.partition("; a post-renderer does: add to its spec ")
    assert told == (
        "the chart two 1.0.0 of the HelmRelease shop/web makes it, and no value that was found "
        "decides its resources"
    )
    (root / "apps/web.yaml").write_text((root / "apps/web.yaml").read_text() + f"  {addition}\n")
    found = load_repository(root)
    made = next(objects_of(found.files["apps/web.yaml"]))
    (there,) = charts_in([root])
    rendered = Helm(helm, [there], kubectl).render(
        there, "web", "shop", {}, post_renderers(made.node)
    )
    assert rendered.sinks()[Sink("Deployment", "web", "proxy")] == {
        "requests": {"cpu": "50m", "memory": "96Mi"}
    }


def test_a_container_that_the_values_bring_along_is_not_the_charts(
    plant: Plant, helm: Path, kubectl: Path
) -> None:
    """Extra containers, and what a post-renderer sets already, are declared in the repository."""
    named = RELEASE.replace("      values:", "      values:\n        extra: [{name: proxy}]")
    keyed = RELEASE.replace("      values:", "      values:\n        extraContainers: {proxy: {}}")
    text = RELEASE.replace(
        "      values:", "      values:\n        extra: |\n          - name: proxy"
    )
    change = DesiredChange(replace(WEB, container="proxy"), Resources(), Resources(Cpu(50)))
    tools = Tools(helm=helm, kubectl=kubectl)
    for release in (named, keyed, text, patched("proxy")):
        (advice,) = plan_changes(plant(chart(release)), [change], tools=tools).advice
        assert "postRenderers" not in advice.reason
