"""What post-renderers make of a chart counts: it is built, not guessed at."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from analyzer.gitops.land.changes import plan_changes
from analyzer.gitops.land.outcome import Advice, DesiredChange, Edited, Outcome
from analyzer.gitops.render.program import Tools
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


PROXY = replace(WEB, container="proxy")
NO_VALUE = "the chart two 1.0.0 of the HelmRelease shop/web offers no value for it"


def raised(memory: str) -> DesiredChange:
    """More CPU and memory for the container that the chart has no value for."""
    then = Resources(cpu_request=Cpu(50), memory_request=Memory.parse(memory))
    return DesiredChange(PROXY, Resources(), then)


def added(root: Path, tools: Tools, change: DesiredChange) -> str:
    """What the one proven edit adds to the release; nothing else of the file may change."""
    plan = plan_changes(root, [change], tools=tools)
    (outcome,) = plan.outcomes
    assert isinstance(outcome, Edited), outcome
    assert outcome.proof.rendered_with.startswith("helm")
    assert outcome.proof.changed == 1
    before, after = plan.edits["apps/web.yaml"]
    assert after.startswith(before)
    return after.removeprefix(before)


def test_what_a_chart_offers_no_value_for_is_patched_behind_it(
    plant: Plant, helm: Path, kubectl: Path
) -> None:
    """The containers before it are named, for kustomize would put it in front of them."""
    tools = Tools(helm=helm, kubectl=kubectl)
    assert added(plant(chart(RELEASE)), tools, raised("96Mi")) == (
        """\
  postRenderers:
    - kustomize:
        patches:
          - target:
              kind: Deployment
              name: web
            patch: |-
              apiVersion: apps/v1
              kind: Deployment
              metadata:
                name: web
              spec:
                template:
                  spec:
                    containers:
                      - name: web
                      - name: proxy
                        resources:
                          requests:
                            cpu: 50m
                            memory: 96Mi
"""
    )


def test_post_renderers_that_are_there_get_it_in_their_list(
    plant: Plant, helm: Path, kubectl: Path
) -> None:
    """In the style of the patches before it, and with what they make of other containers."""
    text = added(plant(chart(patched("web"))), Tools(helm=helm, kubectl=kubectl), raised("96Mi"))
    assert text.startswith("          - target:\n              kind: Deployment\n")
    assert "postRenderers" not in text


def test_a_patch_that_states_it_already_is_edited(plant: Plant, helm: Path, kubectl: Path) -> None:
    """What the file says of the container is its declaration, like a value."""
    root = plant(chart(patched("proxy")))
    change = DesiredChange(
        PROXY,
        Resources(memory_request=Memory.parse("1Gi")),
        Resources(memory_request=Memory.parse("1536Mi")),
    )
    plan = plan_changes(root, [change], tools=Tools(helm=helm, kubectl=kubectl))
    before, after = plan.edits["apps/web.yaml"]
    assert after == before.replace("1Gi", "1536Mi")
    assert plan.edited[0].proof.rendered_with.startswith("helm")


def test_without_the_setting_or_kubectl_nothing_is_patched_behind_a_chart(
    plant: Plant, helm: Path, kubectl: Path
) -> None:
    """The reason is told, and which setting would change it."""
    root = plant(chart(RELEASE))
    whole = Tools(helm=helm, kubectl=kubectl)
    (off,) = plan_changes(root, [raised("96Mi")], tools=whole, post_renderers=False).advice
    assert off.reason.startswith(NO_VALUE)
    assert off.reason.endswith("which git.post_renderers switches off")
    (bare,) = plan_changes(root, [raised("96Mi")], tools=Tools(helm=helm)).advice
    assert bare.reason.startswith(NO_VALUE)
    assert "could not be proven: not rendered" in bare.reason


def test_an_amount_that_the_chart_states_counts(plant: Plant, helm: Path, kubectl: Path) -> None:
    """A request above a limit that the chart's template has is not written."""
    files = chart(RELEASE)
    stated = "image: y\n          resources: {limits: {memory: 64Mi, ephemeral-storage: 1Gi}}"
    files["charts/two/templates/web.yaml"] = TEMPLATE.replace("image: y", stated)
    tools = Tools(helm=helm, kubectl=kubectl)
    (advice,) = plan_changes(plant(files), [raised("96Mi")], tools=tools).advice
    assert "above the limit of 64Mi" in advice.reason
    assert "memory: 48Mi" in added(plant(files), tools, raised("48Mi"))


def test_a_hook_is_not_patched(plant: Plant, helm: Path, kubectl: Path) -> None:
    """Helm 4 hands hooks to a post-renderer, most of Helm 3 does not: no patch is sure of them."""
    files = chart(RELEASE)
    hooked = 'metadata: {name: {{ .Release.Name }}, annotations: {"helm.sh/hook": post-install}}'
    files["charts/two/templates/web.yaml"] = TEMPLATE.replace(
        "metadata: {name: {{ .Release.Name }}}", hooked
    )
    tools = Tools(helm=helm, kubectl=kubectl)
    (advice,) = plan_changes(plant(files), [raised("96Mi")], tools=tools).advice
    assert "no value that was found decides its resources" in advice.reason


def test_a_patch_that_reaches_a_hook_as_well_is_left(
    plant: Plant, helm: Path, kubectl: Path
) -> None:
    """It would change what runs at an upgrade, with the Helm that hands hooks over."""
    files, tools = chart(patched("proxy")), Tools(helm=helm, kubectl=kubectl)
    proxy = [replace(raised("96Mi"), current=Resources(memory_request=Memory.parse("1Gi")))]
    assert plan_changes(plant(files), proxy, tools=tools).edits
    hooked = '{name: {{ .Release.Name }}-hook, annotations: {"helm.sh/hook": post-install}}'
    files["charts/two/templates/hook.yaml"] = TEMPLATE.replace(
        "{name: {{ .Release.Name }}}", hooked
    )
    plan = plan_changes(plant(files), proxy, tools=tools)
    assert not plan.edits
    assert plan.advice
    # A hook of another kind is not for this patch, which matches nothing in its stream.
    job = files["charts/two/templates/hook.yaml"].replace("apps/v1", "batch/v1")
    files["charts/two/templates/hook.yaml"] = job.replace("kind: Deployment", "kind: Job")
    assert plan_changes(plant(files), proxy, tools=tools).edits


def test_a_container_that_the_values_bring_along_is_not_the_charts(
    plant: Plant, helm: Path, kubectl: Path
) -> None:
    """Extra containers are declared among the values."""
    named = RELEASE.replace("      values:", "      values:\n        extra: [{name: proxy}]")
    keyed = RELEASE.replace("      values:", "      values:\n        extraContainers: {proxy: {}}")
    text = RELEASE.replace(
        "      values:", "      values:\n        extra: |\n          - name: proxy"
    )
    tools = Tools(helm=helm, kubectl=kubectl)
    for release in (named, keyed, text):
        (advice,) = plan_changes(plant(chart(release)), [raised("96Mi")], tools=tools).advice
        assert "offers no value" not in advice.reason
