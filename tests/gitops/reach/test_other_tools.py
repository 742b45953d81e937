"""Charts that are installed by k3s, k0s, Fleet and helmfile: where their values stand."""

from __future__ import annotations

from pathlib import Path

import pytest

from analyzer.gitops.land.changes import plan_changes
from analyzer.gitops.land.outcome import Advice, ChangePlan, DesiredChange, Edited
from analyzer.gitops.render.program import Tools
from analyzer.quantity import Memory, Resources
from analyzer.workload import ContainerRef
from tests.gitops.conftest import DEPLOYMENT, Plant

OLD, NEW = "64Mi", "96Mi"
METRICS = ContainerRef("c", "kube-system", "Deployment", "metrics-server", "metrics-server")
WEB = ContainerRef("c", "shop", "Deployment", "web", "web")


def ask(
    root: Path,
    ref: ContainerRef = METRICS,
    entry: str | None = None,
    kubectl: Path | None = None,
) -> ChangePlan:
    """Ask for a little more memory than `OLD` for one container."""
    now, then = Memory.parse(OLD), Memory.parse(NEW)
    change = DesiredChange(ref, Resources(memory_request=now), Resources(memory_request=then))
    return plan_changes(root, [change], tools=Tools(kubectl), entry=entry)


def only(plan: ChangePlan, file: str) -> Edited:
    """The one edit of a plan, of that file, in which the amount alone has changed."""
    (outcome,) = plan.outcomes
    assert isinstance(outcome, Edited), outcome
    (before, after) = plan.edits[file]
    assert list(plan.edits) == [file]
    assert after == before.replace(OLD, NEW)
    return outcome


def refused(plan: ChangePlan) -> str:
    """Why the one change of a plan was left to a person."""
    (outcome,) = plan.outcomes
    assert isinstance(outcome, Advice), outcome
    return outcome.reason


CHART = """
    apiVersion: helm.cattle.io/v1
    kind: HelmChart
    metadata: {name: metrics-server, namespace: kube-system}
    spec:
      repo: https://example.org/charts
      chart: metrics-server
      valuesContent: |-
        replicas: 2  # both zones
        resources:
          requests: {memory: 64Mi}
    """


def test_a_chart_of_k3s_is_edited_in_its_block_scalar(plant: Plant) -> None:
    """The values stand as text in the object."""
    edited = only(ask(plant({"a.yaml": CHART})), "a.yaml")
    assert edited.place.path == "spec.valuesContent | resources"


def test_a_chart_of_k3s_is_built_by_its_kustomization(plant: Plant, kubectl: Path) -> None:
    """The build shows that the text is handed on as intended."""
    root = plant({"a.yaml": CHART, "kustomization.yaml": "resources: [a.yaml]\n"})
    edited = only(ask(root, kubectl=kubectl), "a.yaml")
    assert "hands the values on as intended" in edited.proof.not_rendered


def test_a_config_overrules_the_chart_that_it_is_for(plant: Plant) -> None:
    """Values of a HelmChartConfig are stronger than those of the HelmChart."""
    config = """
        apiVersion: helm.cattle.io/v1
        kind: HelmChartConfig
        metadata: {name: metrics-server, namespace: kube-system}
        spec:
          valuesContent: |
            resources:
              requests:
                memory: 64Mi
        """
    only(ask(plant({"a.yaml": CHART, "b.yaml": config})), "b.yaml")


def test_a_config_of_what_k3s_brings_along_is_edited(plant: Plant) -> None:
    """The chart of that name needs no object in the repository."""
    config = """
        apiVersion: helm.cattle.io/v1
        kind: HelmChartConfig
        metadata: {name: traefik, namespace: kube-system}
        spec:
          valuesContent: |-
              resources:
                requests:
                  memory: "64Mi"
        """
    ref = ContainerRef("c", "kube-system", "Deployment", "traefik", "traefik")
    only(ask(plant({"a.yaml": config}), ref), "a.yaml")


def test_what_k3s_is_told_to_set_is_left_to_a_person(plant: Plant) -> None:
    """`set` wins over the values, so that an edit of these would do nothing."""
    text = CHART.replace("chart: m", "set: {resources.requests.memory: 1Gi}\n      chart: m")
    assert "sets resources.requests.memory on its own" in refused(ask(plant({"a.yaml": text})))


def test_a_patch_of_the_values_text_is_left_to_a_person(plant: Plant) -> None:
    """Kustomize puts the whole text in the place of the other."""
    patch = CHART.replace("replicas: 2", "replicas: 3")
    kustomization = "resources: [a.yaml]\npatches: [{path: p.yaml}]\n"
    root = plant({"a.yaml": CHART, "p.yaml": patch, "kustomization.yaml": kustomization})
    assert "replaces its values" in refused(ask(root))


@pytest.mark.parametrize("values", ["|\n          resources: {requests: {memory: 64Mi}}", "flow"])
def test_a_chart_of_k0s_is_edited(plant: Plant, values: str) -> None:
    """As text or as a mapping, in the configuration of the cluster."""
    flow = "{resources: {requests: {memory: 64Mi}}}"
    root = plant(
        {
            "k0s.yaml": f"""
                apiVersion: k0s.k0sproject.io/v1beta1
                kind: ClusterConfig
                metadata: {{name: k0s}}
                spec:
                  extensions:
                    helm:
                      charts:
                        - name: metrics-server
                          chartname: somewhere/metrics-server
                          namespace: kube-system
                          values: {flow if values == "flow" else "|"}
                """
            + ("" if values == "flow" else "            resources: {requests: {memory: 64Mi}}\n")
        }
    )
    only(ask(root), "k0s.yaml")


FLEET = """
    defaultNamespace: kube-system
    helm:
      releaseName: metrics-server
      chart: metrics-server
      repo: https://example.org/charts
      valuesFiles: [values.yaml]
    """


def test_a_bundle_of_fleet_is_edited_where_its_values_stand(plant: Plant) -> None:
    """Files that the bundle names are values; inline ones are stronger."""
    values = "resources:\n  requests:\n    memory: 64Mi\n"
    root = plant({"ms/fleet.yaml": FLEET, "ms/values.yaml": values})
    only(ask(root), "ms/values.yaml")


def test_what_the_targets_of_a_bundle_share_is_left_to_a_person(plant: Plant) -> None:
    """Each target is a cluster, and one was measured."""
    targets = "targetCustomizations: [{name: dev}, {name: prod}]\n"
    root = plant({"ms/fleet.yaml": targets, "ms/web.yaml": DEPLOYMENT})
    ref = ContainerRef("c", "default", "Deployment", "web", "web")
    assert "another cluster or stage" in refused(ask(root, ref))


def test_a_target_of_a_bundle_is_edited_in_its_own_overlay(plant: Plant) -> None:
    """The folder of one target's kustomization tells which one is meant."""
    patch = """
        apiVersion: apps/v1
        kind: Deployment
        metadata: {name: web}
        spec:
          template:
            spec:
              containers:
                - name: web
                  resources: {requests: {memory: 64Mi}}
        """
    overlay = "resources: [../../base]\npatches: [{path: p.yaml}]\n"
    root = plant(
        {
            "fleet.yaml": """
                namespace: shop
                targetCustomizations:
                  - {name: dev, kustomize: {dir: overlays/dev}}
                  - {name: prod, kustomize: {dir: overlays/prod}}
                """,
            "base/kustomization.yaml": "resources: [web.yaml]\n",
            "base/web.yaml": DEPLOYMENT,
            "overlays/dev/kustomization.yaml": "resources: [../../base]\n",
            "overlays/prod/kustomization.yaml": overlay,
            "overlays/prod/p.yaml": patch,
        }
    )
    assert "2 places fit" in refused(ask(root, WEB))


OVERLAID = """
    namespace: shop
    targetCustomizations:
      - {name: prod, yaml: {overlays: [sized, prod]}}
    """
SIZED = DEPLOYMENT.replace("limits: {memory: 1Gi}", "requests: {memory: 64Mi}")
SIZES = """
    apiVersion: apps/v1
    kind: Deployment
    metadata: {name: web}
    spec: {template: {spec: {containers: [{name: web, resources: {requests: {memory: 64Mi}}}]}}}
    """


@pytest.mark.parametrize(
    ("files", "edited"),
    [
        ({}, "web.yaml"),
        ({"overlays/prod/web.yaml": SIZED}, "overlays/prod/web.yaml"),
        ({"overlays/prod/web_patch.yaml": SIZES}, "overlays/prod/web_patch.yaml"),
        (
            {"overlays/sized/web.yaml": SIZED, "overlays/prod/web_patch.yaml": SIZES},
            "overlays/prod/web_patch.yaml",
        ),
        (
            {"overlays/sized/web_patch.yaml": SIZES, "overlays/prod/web.yaml": SIZED},
            "overlays/prod/web.yaml",
        ),
        ({"overlays/dev/web_patch.yaml": SIZES}, "web.yaml"),
        ({"overlays/prod/other_patch.yaml": SIZES}, "web.yaml"),
    ],
)
def test_overlays_of_plain_manifests_replace_and_patch_files(
    plant: Plant, files: dict[str, str], edited: str
) -> None:
    """A file of an overlay stands for the one it is called after, or patches that one.

    Later overlays have the last word.
    """
    root = plant({"fleet.yaml": OVERLAID, "web.yaml": SIZED, **files})
    only(ask(root, WEB), edited)


HELMFILE = """
    environments: {default: {}}
    releases:
      - name: metrics-server
        namespace: kube-system
        chart: somewhere/metrics-server
        version: 3.13.0
        values:
          - values/{{ .Release.Name }}.yaml
          - replicas: 2
    """
VALUES = "resources:\n  requests:\n    memory: 64Mi  # by feel\n"


def test_a_release_of_helmfile_is_edited_in_the_file_that_it_names(plant: Plant) -> None:
    """Paths may hold the release's own name."""
    root = plant({"helmfile.yaml": HELMFILE, "values/metrics-server.yaml": VALUES})
    only(ask(root), "values/metrics-server.yaml")


def test_values_in_the_helmfile_itself_are_edited(plant: Plant) -> None:
    """Later values are stronger."""
    text = HELMFILE.replace("replicas: 2", "resources: {requests: {memory: 64Mi}}")
    root = plant({"helmfile.yaml": text, "values/metrics-server.yaml": "replicas: 1\n"})
    only(ask(root), "helmfile.yaml")


def test_what_helmfile_fills_in_is_left_to_a_person(plant: Plant) -> None:
    """A template after the values may state the same again."""
    text = HELMFILE.replace("- replicas: 2", "- values/all.yaml.gotmpl")
    root = plant({"helmfile.yaml": text, "values/metrics-server.yaml": VALUES})
    assert "names values that helmfile fills in" in refused(ask(root))


def test_the_stages_of_a_helmfile_count_as_clusters(plant: Plant) -> None:
    """A file of one environment is that environment's; which one was measured is not known."""
    text = HELMFILE.replace("{default: {}}", "{dev: {}, prod: {}}")
    text = text.replace("{{ .Release.Name }}", "{{ .Environment.Name }}/ms")
    root = plant(
        {"helmfile.yaml": text, "values/dev/ms.yaml": VALUES, "values/prod/ms.yaml": VALUES}
    )
    assert "2 places fit" in refused(ask(root))


def test_a_controller_that_applies_it_goes_before_a_helmfile(plant: Plant) -> None:
    """A cluster that is bootstrapped with helmfile and then run by Flux is Flux's."""
    root = plant(
        {
            "bootstrap/helmfile.yaml": HELMFILE,
            "bootstrap/values/metrics-server.yaml": VALUES,
            "cluster/flux.yaml": """
                apiVersion: kustomize.toolkit.fluxcd.io/v1
                kind: Kustomization
                metadata: {name: flux-system, namespace: flux-system}
                spec:
                  path: ./apps
                  sourceRef: {kind: GitRepository, name: flux-system}
                """,
            "apps/hr.yaml": """
                apiVersion: helm.toolkit.fluxcd.io/v2
                kind: HelmRelease
                metadata: {name: metrics-server, namespace: kube-system}
                spec:
                  chart: {spec: {chart: metrics-server, version: 3.13.0}}
                  values:
                    resources: {requests: {memory: 64Mi}}
                """,
        }
    )
    only(ask(root), "apps/hr.yaml")
