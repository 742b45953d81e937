"""What reaches a cluster, by which name, and what may be called dead."""

from __future__ import annotations

from pathlib import Path

import pytest

from analyzer.gitops.index.repository_index import index_repository
from analyzer.gitops.index.trace import LiveContainer, trace_one
from analyzer.gitops.land.changes import plan_changes
from analyzer.gitops.land.outcome import Advice, DesiredChange, Edited
from analyzer.gitops.render.program import Tools
from analyzer.quantity import Memory, Resources
from analyzer.workload import ContainerRef
from tests.gitops.conftest import DEPLOYMENT, Plant

SYNC = """
    apiVersion: kustomize.toolkit.fluxcd.io/v1
    kind: Kustomization
    metadata: {name: flux-system, namespace: flux-system}
    spec: {path: ./clusters/home, sourceRef: {kind: GitRepository, name: flux-system}}
    """
APPS = SYNC.replace("name: flux-system, n", "name: apps, n").replace("./clusters/home", "./apps")


def application(name: str, path: str, **destination: str) -> str:
    """An Argo CD Application as a file."""
    where = ", ".join(f"{key}: {value}" for key, value in destination.items())
    return f"""
        apiVersion: argoproj.io/v1alpha1
        kind: Application
        metadata: {{name: {name}, namespace: argocd}}
        spec: {{source: {{path: {path}}}, destination: {{{where}}}}}
        """


def states(root: Path, tools: Tools | None = None) -> dict[str, bool | None]:
    """Whether each file's place is live, dead or undecided."""
    return {p.file: p.reachable for p in index_repository(root, tools=tools).places}


def owners(root: Path, tools: Tools | None = None) -> set[str]:
    """Namespace and name of the owner of each place."""
    places = index_repository(root, tools=tools).places
    return {f"{p.owner.namespace}/{p.owner.name}" for p in places}


# --- names and namespaces -----------------------------------------------------------------------


def test_a_destination_is_for_objects_that_state_no_namespace(plant: Plant, kubectl: Path) -> None:
    """Argo CD's destination gives way to manifests and kustomizations, unlike Flux's target."""
    own = DEPLOYMENT.replace("{name: web}", "{name: web, namespace: shop}")
    root = plant(
        {
            "argocd/a.yaml": application("a", "a", namespace="dest"),
            "argocd/b.yaml": application("b", "b", namespace="dest"),
            "argocd/c.yaml": application("c", "c", namespace="dest"),
            "argocd/d.yaml": application("d", "d", namespace="dest"),
            "a/web.yaml": own.replace("name: web,", "name: stated,"),
            "b/web.yaml": DEPLOYMENT.replace("{name: web}", "{name: silent}"),
            "c/kustomization.yaml": "namespace: folder\nresources: [web.yaml]\n",
            "c/web.yaml": own,
            "d/kustomization.yaml": """
                resources: [web.yaml]
                patches:
                  - target: {kind: Deployment}
                    patch: |-
                      - {op: replace, path: /metadata/name, value: renamed}
                """,
            "d/web.yaml": own,
        }
    )
    assert owners(root, Tools(kubectl=kubectl)) == {
        "shop/stated",
        "dest/silent",
        "folder/web",
        "shop/renamed",
    }


@pytest.mark.parametrize(
    "steering",
    [
        """
        patches:
          - target: {kind: Kustomization, name: apps}
            patch: |-
              apiVersion: kustomize.toolkit.fluxcd.io/v1
              kind: Kustomization
              metadata: {name: unused}
              spec: {targetNamespace: prod}
        """,
        """
        namespace: prod
        replacements:
          - source: {kind: Namespace, fieldPath: metadata.name}
            targets:
              - select: {kind: Kustomization, name: apps}
                fieldPaths: [spec.targetNamespace]
                options: {create: true}
        """,
    ],
    ids=["patch", "replacements"],
)
def test_what_steers_a_route_is_read_as_kustomize_builds_it(
    plant: Plant, kubectl: Path, steering: str
) -> None:
    """A target namespace that a patch or a replacement sets counts like one that is written."""
    root = plant(
        {
            "clusters/home/sync.yaml": SYNC,
            "clusters/home/kustomization.yaml": f"""
        resources: [sync.yaml, ../../base]{steering}""",
            "base/kustomization.yaml": "resources: [apps.yaml, namespace.yaml]\n",
            "base/apps.yaml": APPS,
            "base/namespace.yaml": "apiVersion: v1\nkind: Namespace\nmetadata: {name: prod}\n",
            "apps/kustomization.yaml": "resources: [web.yaml]\n",
            "apps/web.yaml": DEPLOYMENT,
        }
    )
    assert owners(root, Tools(kubectl=kubectl)) == {"prod/web"}


def test_an_empty_default_is_put_in(plant: Plant) -> None:
    """``${SUFFIX:=}`` stands for nothing, and not for itself."""
    root = plant(
        {
            "clusters/home/sync.yaml": SYNC,
            "clusters/home/web.yaml": DEPLOYMENT.replace("{name: web}", "{name: 'web${SUFFIX:=}'}"),
        }
    )
    assert owners(root) == {"default/web"}


# --- dead or not --------------------------------------------------------------------------------


def test_an_application_says_nothing_of_what_lies_elsewhere(plant: Plant) -> None:
    """One sample below samples/ does not make what a pipeline applies dead."""
    root = plant(
        {
            "samples/app.yaml": application("demo", "samples/demo", namespace="shop"),
            "samples/demo/web.yaml": DEPLOYMENT,
            "deploy/web.yaml": DEPLOYMENT,
        }
    )
    assert states(root) == {"samples/demo/web.yaml": True, "deploy/web.yaml": None}


def test_a_path_that_the_cluster_fills_in_leaves_the_rest_undecided(plant: Plant) -> None:
    """Any folder may be meant by a variable that the repository does not state."""
    root = plant(
        {
            "clusters/home/sync.yaml": SYNC,
            "clusters/home/apps.yaml": APPS.replace("./apps", "'./apps/${WHERE}'"),
            "apps/test/web.yaml": DEPLOYMENT,
        }
    )
    index = index_repository(root)
    assert [place.reachable for place in index.places] == [None]
    assert "filled in by the cluster" in index.notes[0]


@pytest.mark.parametrize("with_helm", [True, False])
def test_applications_made_by_a_chart_are_followed_or_said_not_to_be(
    plant: Plant, helm: Path, with_helm: bool
) -> None:
    """An app of apps as a chart of the repository needs nothing but helm."""
    root = plant(
        {
            "root.yaml": application("root", "argocd", namespace="shop"),
            "argocd/Chart.yaml": "apiVersion: v2\nname: root\nversion: 0.1.0\n",
            "argocd/values.yaml": "folder: apps/web\n",
            "argocd/templates/web.yaml": application("web", "{{ .Values.folder }}"),
            "apps/web/web.yaml": DEPLOYMENT,
        }
    )
    index = index_repository(root, tools=Tools(helm=helm if with_helm else None))
    found = {place.file: place.reachable for place in index.places}
    assert found == {"apps/web/web.yaml": True if with_helm else None}
    assert any("the chart argocd makes" in note for note in index.notes) is not with_helm


# --- objects that declare in other ways ---------------------------------------------------------


def test_resources_of_a_kind_that_is_not_known_are_a_hint(plant: Plant) -> None:
    """Listed and hinted at by name, never edited: whom they feed is the operator's affair."""
    root = plant(
        {
            "collector.yaml": """
                apiVersion: example.org/v1
                kind: Collector
                metadata: {name: x, namespace: otel}
                spec:
                  resources:
                    limits: {memory: 512Mi}
                """
        }
    )
    index = index_repository(root)
    (place,) = index.places
    assert place.refusal == "unproven: Collector is a kind that is not known here"
    ref = ContainerRef("c", "otel", "Deployment", "x-collector", "otc-container")
    traced = trace_one(LiveContainer(ref), index)
    assert (traced.place, traced.confidence) == (place, "unproven")
    stranger = ContainerRef("c", "otel", "Deployment", "other", "otc-container")
    assert trace_one(LiveContainer(stranger), index).place is None
    change = DesiredChange(ref, Resources(), Resources(memory_limit=Memory.parse("1Gi")))
    (outcome,) = plan_changes(root, [change]).outcomes
    assert isinstance(outcome, Advice)


def test_a_release_without_values_gets_some(plant: Plant) -> None:
    """The absence of values is no absence of the release."""
    root = plant(
        {
            "hr.yaml": """
                apiVersion: helm.toolkit.fluxcd.io/v2
                kind: HelmRelease
                metadata:
                  name: podinfo
                  namespace: shop
                spec:
                  chart:
                    spec:
                      chart: podinfo
                      version: 6.0.0
                """
        }
    )
    ref = ContainerRef("c", "shop", "Deployment", "podinfo", "podinfo")
    change = DesiredChange(ref, Resources(), Resources(memory_request=Memory.parse("64Mi")))
    plan = plan_changes(root, [change])
    (outcome,) = plan.outcomes
    assert isinstance(outcome, Edited), outcome
    assert plan.edits["hr.yaml"][1].endswith(
        "  values:\n    resources:\n      requests:\n        memory: 64Mi\n"
    )


def test_values_that_a_patch_refers_to_count_by_their_own_overlay(plant: Plant) -> None:
    """Overlays generate ConfigMaps of one name, and a JSON patch adds them to the release."""
    release = """
        apiVersion: helm.toolkit.fluxcd.io/v2
        kind: HelmRelease
        metadata: {name: podinfo, namespace: shop}
        spec:
          chart: {spec: {chart: podinfo, version: 6.0.0}}
          valuesFrom: [{kind: ConfigMap, name: base}]
        """
    overlay = """
        resources: [../base]
        configMapGenerator: [{name: own, files: [values.yaml]}]
        patches:
          - target: {kind: HelmRelease}
            patch: |-
              - op: add
                path: /spec/valuesFrom/-
                value: {kind: ConfigMap, name: own}
        """
    root = plant(
        {
            "clusters/home/sync.yaml": SYNC,
            "clusters/home/apps.yaml": APPS.replace("./apps", "./apps/prod"),
            "apps/base/kustomization.yaml": "resources: [hr.yaml]\n",
            "apps/base/hr.yaml": release,
            **{f"apps/{one}/kustomization.yaml": overlay for one in ("dev", "prod")},
            **{
                f"apps/{one}/values.yaml": "resources: {limits: {memory: 1Gi}}\n"
                for one in ("dev", "prod")
            },
        }
    )
    index = index_repository(root)
    live = [e for e in index.expectations if e.route.reachable]
    assert {e.place.file for e in live} == {"apps/prod/values.yaml"}


def test_an_application_that_another_one_makes_is_no_cluster_of_its_own(plant: Plant) -> None:
    """Whichever file comes first by name: one container on one cluster, by one way."""
    application = """
        apiVersion: argoproj.io/v1alpha1
        kind: Application
        metadata: {{name: {name}, namespace: argocd}}
        spec:
          destination: {{name: {cluster}, namespace: shop}}
          source: {{repoURL: https://example.org/x.git, path: {path}}}
        """
    root = plant(
        {
            "a/child.yaml": application.format(name="web", cluster="prod", path="web"),
            "b/parent.yaml": application.format(name="apps", cluster="infra", path="a"),
            "c/top.yaml": application.format(name="top", cluster="infra", path="b"),
            "web/web.yaml": DEPLOYMENT,
        }
    )
    index = index_repository(root)
    (found,) = [e for e in index.expectations if e.container == "web"]
    assert found.route.entry == "c to prod"
    ref = ContainerRef("c", "shop", "Deployment", "web", "web")
    change = DesiredChange(ref, Resources(), Resources(memory_limit=Memory.parse("2Gi")))
    (outcome,) = plan_changes(root, [change]).outcomes
    assert isinstance(outcome, Edited), outcome
    # The folder of one of them may be named, as any folder may: it is still the same container.
    (outcome,) = plan_changes(root, [change], entry="a").outcomes
    assert isinstance(outcome, Edited), outcome


def test_what_a_plugin_of_argo_cd_makes_is_undecided_and_named(plant: Plant) -> None:
    """Its files are the source of something, and only the plugin knows of what."""
    root = plant(
        {
            "app.yaml": """
                apiVersion: argoproj.io/v1alpha1
                kind: Application
                metadata: {name: web, namespace: argocd}
                spec:
                  destination: {server: https://kubernetes.default.svc, namespace: shop}
                  source:
                    repoURL: https://example.org/x.git
                    path: web
                    plugin: {name: vault}
                """,
            "web/web.yaml": DEPLOYMENT,
        }
    )
    index = index_repository(root)
    (found,) = [e for e in index.expectations if e.container == "web"]
    assert (found.namespace, found.route.reachable) == ("shop", None)
    assert "web in app.yaml is made by the plugin vault" in index.notes


def test_a_chart_of_applications_that_somebody_installs_by_hand_is_followed(
    plant: Plant, helm: Path
) -> None:
    """Its Applications name the folders; whether it is installed is known where it is asked for."""
    root = plant(
        {
            "argocd/Chart.yaml": "apiVersion: v2\nname: all\nversion: 1.0.0\n",
            "argocd/values.yaml": "folder: web\n",
            "argocd/templates/web.yaml": application(
                "web", "{{ .Values.folder }}", namespace="shop"
            ),
            "web/web.yaml": DEPLOYMENT,
        }
    )
    for entry, reachable in ((None, None), ("argocd", True)):
        index = index_repository(root, entry=entry, tools=Tools(helm=helm))
        (found,) = [e for e in index.expectations if e.container == "web"]
        assert (found.namespace, found.route.reachable) == ("shop", reachable)
    untold = index_repository(root)
    assert "the Applications that the chart argocd makes" in untold.notes


@pytest.mark.parametrize("suspended", ["clusters/home/apps.yaml", "apps/player.yaml", "app.yaml"])
def test_what_is_suspended_is_told_and_left_alone(plant: Plant, suspended: str) -> None:
    """Nothing that is merged would arrive, so that nobody could see what it did."""
    release = """
        apiVersion: helm.toolkit.fluxcd.io/v2
        kind: HelmRelease
        metadata: {name: player, namespace: media}
        spec:
          chart: {spec: {chart: app-template, version: 3.7.3}}
          values: {controllers: {player: {containers: {app: {resources: {}}}}}}
        """
    files = {
        "clusters/home/sync.yaml": SYNC,
        "clusters/home/apps.yaml": APPS,
        "apps/player.yaml": release,
        "app.yaml": application("web", "web", namespace="shop"),
        "web/web.yaml": DEPLOYMENT,
    }
    workload = ("shop", "web", "web") if suspended == "app.yaml" else ("media", "player", "app")
    namespace, name, container = workload
    ref = ContainerRef("c", namespace, "Deployment", name, container)
    change = DesiredChange(ref, Resources(), Resources(memory_limit=Memory.parse("2Gi")))
    (outcome,) = plan_changes(plant(files), [change]).outcomes
    assert isinstance(outcome, Edited), outcome
    still = files[suspended].replace("spec: {path", "spec: {suspend: true, path")
    still = still.replace("          chart", "          suspend: true\n          chart")
    still = still.replace(
        "namespace: argocd}",
        'namespace: argocd, annotations: {argocd.argoproj.io/skip-reconcile: "true"}}',
    )
    root = plant({**files, suspended: still})
    (outcome,) = plan_changes(root, [change]).outcomes
    assert isinstance(outcome, Advice) and "nothing that is merged arrives" in outcome.reason
    told = outcome.reason.partition(":")[0]
    assert told in index_repository(root).notes


@pytest.mark.parametrize(
    ("beside", "found"),
    [
        ("global: {env: [{name: GOMEMLIMIT, value: 1GiB}]}", ["its GOMEMLIMIT"]),
        ("commonArgs: [-Xmx1g]", ["its Java heap"]),
        ("controller: {env: [{name: GOMEMLIMIT, value: 1GiB}], resources: {}}", []),
        ("controller: {extraArgs: [-Xmx1g]}", []),
    ],
    ids=["global", "common", "another part", "another part without resources"],
)
def test_settings_for_several_parts_of_a_chart_count_for_each(
    plant: Plant, beside: str, found: list[str]
) -> None:
    """What is said once for all parts holds up each of them; what is one part's own does not."""
    release = f"""
        apiVersion: helm.toolkit.fluxcd.io/v2
        kind: HelmRelease
        metadata: {{name: cd, namespace: argocd}}
        spec:
          chart: {{spec: {{chart: argo-cd, version: 9.1.0}}}}
          values:
            applicationSet: {{resources: {{limits: {{memory: 2Gi}}}}}}
            {beside}
        """
    files = {
        "clusters/home/sync.yaml": SYNC,
        "clusters/home/apps.yaml": APPS,
        "apps/cd.yaml": release,
    }
    expectations = index_repository(plant(files)).expectations
    (one,) = [e for e in expectations if e.container == "applicationset-controller"]
    assert [floor.what for floor in one.floors] == found


def test_flux_leaves_json_out_unless_a_kustomization_names_it(plant: Plant) -> None:
    """kustomize-controller takes .yaml and .yml of a folder that has no kustomization."""
    text = (
        '{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec":'
        ' {"template": {"spec": {"containers": [{"name": "web", "image": "x"}]}}}}'
    )
    files = {"clusters/home/sync.yaml": SYNC, "clusters/home/web.json": text}
    assert states(plant(files)) == {"clusters/home/web.json": False}
    files["clusters/home/kustomization.yaml"] = "resources: [sync.yaml, web.json]\n"
    assert states(plant(files)) == {"clusters/home/web.json": True}


def selecting(patch: str, labels: str = "{app: web}") -> dict[str, str]:
    """A Deployment with labels, and a Flux patch that selects `app=web`."""
    spec = "patches:\n    - target: {kind: Deployment, labelSelector: app=web}\n      patch: |\n"
    body = "".join(f"        {line}\n" for line in patch.splitlines())
    head = (
        "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\n"
        "metadata: {name: flux-system, namespace: flux-system}\n"
    )
    sync = f"{head}spec:\n  path: ./clusters/home\n  {spec}{body}"
    named = f"{{name: web, namespace: shop, labels: {labels}}}"
    return {
        "clusters/home/sync.yaml": sync,
        "clusters/home/web.yaml": DEPLOYMENT.replace("{name: web}", named),
    }


BY_LABEL = {
    "merge": (
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: any}\nspec: {template: {spec:"
        " {containers: [{name: web, resources: {limits: {memory: 2Gi}}}]}}}"
    ),
    "json": (
        "- op: replace\n  path: /spec/template/spec/containers/0/resources/limits/memory\n"
        "  value: 2Gi"
    ),
}


@pytest.mark.parametrize("manner", BY_LABEL)
def test_a_patch_that_selects_labels_is_edited_where_the_object_states_them(
    plant: Plant, kubectl: Path, manner: str
) -> None:
    """Labels that a file states are a match; of others only a build could tell."""
    ref = ContainerRef("c", "shop", "Deployment", "web", "web")
    runs, less = (Resources(memory_limit=Memory.parse(text)) for text in ("2Gi", "1536Mi"))
    change, tools = DesiredChange(ref, runs, less), Tools(kubectl=kubectl)
    root = plant(selecting(BY_LABEL[manner]))
    plan = plan_changes(root, [change], tools=tools, live=[ref])
    (outcome,) = plan.outcomes
    assert isinstance(outcome, Edited), outcome
    before, after = plan.edits["clusters/home/sync.yaml"]
    assert "2Gi" in before
    assert "2Gi" not in after
    assert outcome.proof.rendered_with
    root = plant(selecting(BY_LABEL[manner], "{tier: web}"))
    (outcome,) = plan_changes(root, [change], tools=tools, live=[ref]).outcomes
    assert isinstance(outcome, Advice)
    assert "selects by labels or annotations that the object does not state" in outcome.reason


def test_a_patch_that_selects_other_labels_is_no_obstacle(plant: Plant, kubectl: Path) -> None:
    """It was meant for a neighbour, which the object's own label tells."""
    ref = ContainerRef("c", "shop", "Deployment", "web", "web")
    runs, less = (Resources(memory_limit=Memory.parse(text)) for text in ("1Gi", "768Mi"))
    root = plant(selecting(BY_LABEL["merge"], "{app: other}"))
    change = DesiredChange(ref, runs, less)
    plan = plan_changes(root, [change], tools=Tools(kubectl=kubectl), live=[ref])
    assert list(plan.edits) == ["clusters/home/web.yaml"]
    assert plan.edited[0].proof.rendered_with
