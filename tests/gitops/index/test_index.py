"""What a repository declares, and what of it is alive."""

from __future__ import annotations

import json

from analyzer.gitops.index.repository_index import RepositoryIndex, index_repository
from analyzer.gitops.index.trace import LiveContainer, trace_one
from analyzer.workload import ContainerRef
from tests.gitops.conftest import DEPLOYMENT, Plant


def wheres(index: RepositoryIndex) -> dict[str, bool | None]:
    return {f"{p.file.rpartition('/')[2]}: {p.path}": p.reachable for p in index.places}


def test_live_and_dead_are_told_apart(plant: Plant, flux: dict[str, str]) -> None:
    """What a commented-out line no longer includes is dead, and says so."""
    index = index_repository(plant(flux))
    reachable = {(p.owner.name, p.container): p.reachable for p in index.places}
    assert reachable == {
        ("sonarr", "app"): True,
        ("sonarr", "exporter"): True,
        ("radarr", "app"): False,
    }


def test_a_place_says_all_about_itself(plant: Plant, flux: dict[str, str]) -> None:
    """The namespace comes from the Flux Kustomization; amounts are kept as written."""
    place = next(
        p
        for p in index_repository(plant(flux)).to_dicts()
        if p["container"] == "app" and p["reachable"]
    )
    assert json.loads(json.dumps(place)) == {
        "file": "kubernetes/apps/media/sonarr/app/helmrelease.yaml",
        "document": 0,
        "path": "spec.values.controllers.sonarr.containers.app.resources",
        "in_block_scalar": False,
        "namespace": "media",
        "owner_kind": "HelmRelease",
        "owner": "sonarr",
        "release": "sonarr",
        "chart": "app-template",
        "chart_version": "3.7.3",
        "container": "app",
        "cpu_request": "250m",
        "memory_request": None,
        "cpu_limit": None,
        "memory_limit": "2Gi",
        "present": True,
        "reachable": True,
        "editable": True,
        "reason": None,
    }


def test_a_limit_without_a_request_is_found(plant: Plant, flux: dict[str, str]) -> None:
    """Kubernetes requests the limit then, which few people mean."""
    findings = index_repository(plant(flux)).findings
    assert any(f.kind == "limit-only" and "2Gi" in f.message for f in findings)


def test_ignored_blocks_are_found_with_the_likely_fix(plant: Plant, flux: dict[str, str]) -> None:
    """A misspelt key and a block where the chart never looks are both called out."""
    name = "kubernetes/apps/media/sonarr/app/helmrelease.yaml"
    flux[name] = (
        flux[name].rstrip()
        + """
            reasources: {limits: {memory: 1Gi}}
            resources: {limits: {memory: 1Gi}}
        """
    )
    messages = [f.message for f in index_repository(plant(flux)).findings if f.kind == "ignored"]
    assert len(messages) == 2
    assert any("misspelling" in m for m in messages)
    assert any("controllers.<name>.containers.<name>.resources" in m for m in messages)


def test_argo_cd_values_are_found_wherever_they_are(plant: Plant) -> None:
    """valuesObject, a values block scalar, a values file and an umbrella chart all count."""
    app = """
        apiVersion: argoproj.io/v1alpha1
        kind: Application
        metadata: {{name: {name}, namespace: argocd}}
        spec:
          destination: {{namespace: apps}}
          source:
            {source}
        """
    controllers = "controllers: {main: {containers: {main: {resources: {limits: {memory: 1Gi}}}}}}"
    root = plant(
        {
            "root/object.yaml": app.format(
                name="object",
                source="chart: app-template\n            targetRevision: 2.6.0\n"
                f"            helm: {{valuesObject: {{{controllers}}}}}",
            ),
            "root/block.yaml": app.format(
                name="block",
                source="chart: app-template\n            targetRevision: 2.6.0\n"
                f"            helm:\n              values: |\n                {controllers}",
            ),
            "root/set.yaml": """
                apiVersion: argoproj.io/v1alpha1
                kind: ApplicationSet
                metadata: {name: all, namespace: argocd}
                spec:
                  generators:
                    - git: {directories: [{path: apps/*}]}
                  template:
                    metadata: {name: "{{path.basename}}"}
                    spec:
                      destination: {namespace: "{{path.basename}}"}
                      source: {path: "{{path}}"}
                """,
            "apps/umbrella/Chart.yaml": """
                name: umbrella
                version: 1.0.0
                dependencies: [{name: app-template, version: 2.6.0}]
                """,
            "apps/umbrella/values.yaml": f"app-template: {{{controllers}}}\n",
        }
    )
    index = index_repository(root)
    found = {(e.namespace, e.workload): e.place.path for e in index.expectations}
    assert found == {
        (
            "apps",
            "object",
        ): "spec.source.helm.valuesObject.controllers.main.containers.main.resources",
        ("apps", "block"): "spec.source.helm.values | controllers.main.containers.main.resources",
        ("umbrella", "umbrella"): "app-template.controllers.main.containers.main.resources",
    }
    assert all(e.place.reachable and e.place.editable for e in index.expectations)


def test_the_last_patch_has_the_last_word(plant: Plant) -> None:
    """A strategic-merge patch in a block scalar is the place, not the base it patches."""
    root = plant(
        {
            "base/kustomization.yaml": "resources: [web.yaml]\n",
            "base/web.yaml": DEPLOYMENT,
            "prod/kustomization.yaml": """
                namespace: prod
                resources: [../base]
                patches:
                  - patch: |
                      apiVersion: apps/v1
                      kind: Deployment
                      metadata: {name: web}
                      spec:
                        template:
                          spec:
                            containers:
                              - name: web
                                resources:
                                  limits:
                                    memory: 2Gi
                """,
        }
    )
    (expected,) = index_repository(root).expectations
    assert expected.namespace == "prod"
    assert expected.place.file == "prod/kustomization.yaml"
    assert expected.place.path == ("patches[0].patch | spec.template.spec.containers[0].resources")


def test_a_single_leaf_of_a_json_patch_is_where_that_amount_goes(plant: Plant) -> None:
    """An operation on one amount decides for that amount alone."""
    operations = (
        "- op: replace\n                      "
        "path: /spec/template/spec/containers/0/resources/limits/memory\n"
        "                      value: 2Gi"
    )
    root = plant(
        {
            "kustomization.yaml": f"""
                resources: [web.yaml]
                patches:
                  - target: {{kind: Deployment}}
                    patch: |
                      {operations.replace("                      ", "                        ")}
                """,
            "web.yaml": DEPLOYMENT,
        }
    )
    (expected,) = index_repository(root).expectations
    assert expected.declared == {"limits.memory": "2Gi"}
    assert expected.leaf("limits.memory")[0] == "kustomization.yaml"
    assert expected.leaf("requests.memory")[0] == "web.yaml"


def test_custom_resources_feed_what_their_operator_makes(plant: Plant) -> None:
    """A Prometheus, a CloudNativePG Cluster and Rook's monitors lead back to their fields."""
    root = plant(
        {
            "a.yaml": """
                apiVersion: monitoring.coreos.com/v1
                kind: Prometheus
                metadata: {name: k8s, namespace: mon}
                spec: {resources: {requests: {memory: 1Gi}}}
                ---
                apiVersion: postgresql.cnpg.io/v1
                kind: Cluster
                metadata: {name: pg, namespace: db}
                spec: {instances: 3}
                ---
                apiVersion: ceph.rook.io/v1
                kind: CephCluster
                metadata: {name: rook, namespace: rook}
                spec: {resources: {mon: {limits: {memory: 1Gi}}}}
                """
        }
    )
    index = index_repository(root)
    live = {
        ("rook", "Deployment", "rook-ceph-mgr-a", "mgr"): "spec.resources.mgr",
        ("rook", "Deployment", "rook-ceph-mon-c", "mon"): "spec.resources.mon",
        ("rook", "Deployment", "rook-ceph-osd-12", "osd"): "spec.resources.osd",
        ("db", "Cluster", "pg", "postgres"): "spec.resources",
        ("mon", "StatefulSet", "prometheus-k8s", "prometheus"): "spec.resources",
        ("mon", "StatefulSet", "prometheus-k8s-shard-1", "prometheus"): "spec.resources",
    }
    for (namespace, kind, workload, container), path in live.items():
        ref = ContainerRef("c", namespace, kind, workload, container)
        traced = trace_one(LiveContainer(ref), index)
        assert (traced.confidence, traced.place and traced.place.path) == ("certain", path)


def test_generated_and_vendored_files_are_not_editable(plant: Plant) -> None:
    """Chart templates, vendored charts and Flux's own manifests are somebody else's to write."""
    root = plant(
        {
            "chart/Chart.yaml": "name: c\nversion: 1.0.0\n",
            "chart/charts/sub/deployment.yaml": DEPLOYMENT,
            "flux/gotk-components.yaml": DEPLOYMENT,
            "vendor/web.yaml": DEPLOYMENT,
        }
    )
    places = index_repository(root).places
    assert len(places) == 3
    assert not any(place.editable for place in places)


def test_the_frame_has_a_row_for_each_place(plant: Plant, flux: dict[str, str]) -> None:
    """The table is the list of places, with the same columns even when there is none."""
    full = index_repository(plant(flux)).to_frame()
    assert len(full) == 3
    assert list(full["memory_limit"].dropna()) == ["1Gi", "2Gi"]


def test_a_path_in_another_repository_is_not_followed(plant: Plant, flux: dict[str, str]) -> None:
    """A Kustomization over somebody else's source says nothing about the folders here."""
    flux["kubernetes/apps/media/other.yaml"] = """
        apiVersion: source.toolkit.fluxcd.io/v1
        kind: GitRepository
        metadata: {name: other, namespace: flux-system}
        spec: {url: "https://example.org/other"}
        ---
        apiVersion: kustomize.toolkit.fluxcd.io/v1
        kind: Kustomization
        metadata: {name: other, namespace: flux-system}
        spec:
          path: ./kubernetes/apps/media/radarr/app
          sourceRef: {kind: GitRepository, name: other}
        """
    name = "kubernetes/apps/media/kustomization.yaml"
    flux[name] = flux[name].rstrip() + "\n          - ./other.yaml\n"
    index = index_repository(plant(flux))
    assert {p.owner.name for p in index.places if p.reachable} == {"sonarr"}


def test_post_renderers_make_values_unproven(plant: Plant, flux: dict[str, str]) -> None:
    """Where the release itself patches resources after rendering, its values are only a hint."""
    name = "kubernetes/apps/media/sonarr/app/helmrelease.yaml"
    flux[name] = flux[name].replace(
        "          values:\n",
        "          postRenderers:\n"
        "            - kustomize:\n"
        "                patches:\n"
        "                  - patch: |\n"
        "                      - op: remove\n"
        "                        path: /spec/template/spec/containers/0/resources\n"
        "          values:\n",
        1,
    )
    found = index_repository(plant(flux)).expectations
    assert {e.confidence for e in found if e.place.reachable} == {"unproven"}


def test_weaker_values_that_are_stated_again_are_shadowed(
    plant: Plant, flux: dict[str, str]
) -> None:
    """Inline values win over a values file; the block in the file is called out."""
    folder = "kubernetes/apps/media/sonarr/app"
    flux[f"{folder}/helmrelease.yaml"] = flux[f"{folder}/helmrelease.yaml"].replace(
        "          values:\n",
        "          valuesFrom: [{kind: ConfigMap, name: sonarr-values}]\n          values:\n",
        1,
    )
    flux[f"{folder}/kustomization.yaml"] = flux[f"{folder}/kustomization.yaml"].rstrip() + (
        "\n        configMapGenerator:\n"
        "          - {name: sonarr-values, files: [values.yaml=./more.yaml]}\n"
    )
    flux[f"{folder}/more.yaml"] = (
        "controllers: {sonarr: {containers: {app: {resources: {limits: {memory: 5Gi}}}, "
        "exporter: {resources: {limits: {memory: 1Gi}}}}}}\n"
    )
    index = index_repository(plant(flux))
    shadowed = [f.place for f in index.findings if f.kind == "shadowed"]
    assert [(p.file.rpartition("/")[2], p.path) for p in shadowed] == [
        ("more.yaml", "controllers.sonarr.containers.app.resources")
    ]
    files = {
        e.container: e.place.file.rpartition("/")[2]
        for e in index.expectations
        if e.place.reachable
    }
    assert files == {"app": "helmrelease.yaml", "exporter": "more.yaml"}


def test_a_hostile_repository_is_indexed_all_the_same(plant: Plant, flux: dict[str, str]) -> None:
    """Alias bombs, endless patterns and deep chains cost one note each, not the run."""
    name = "kubernetes/apps/media/sonarr/app/helmrelease.yaml"
    bomb = "a0: &a0 [x, x]\n" + "".join(
        f"            a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 12)
    )
    chain = "            c0: &c0 [x]\n" + "".join(
        f"            c{n}: &c{n} [*c{n - 1}]\n" for n in range(1, 3000)
    )
    flux["kubernetes/apps/media/bomb.yaml"] = (
        flux[name]
        .replace("            controllers:\n", f"            {bomb}            controllers:\n", 1)
        .replace("name: sonarr", "name: bomb")
    )
    flux["kubernetes/apps/media/chain.yaml"] = (
        flux[name]
        .replace("            controllers:\n", f"{chain}            controllers:\n", 1)
        .replace("name: sonarr", "name: chain")
    )
    listed = "kubernetes/apps/media/kustomization.yaml"
    flux[listed] = (
        flux[listed].rstrip()
        + """
          - ./bomb.yaml
          - ./chain.yaml
        patches:
          - target: {kind: HelmRelease, name: "(s+)+(o+)+$"}
            patch: |
              apiVersion: helm.toolkit.fluxcd.io/v2
              kind: HelmRelease
              metadata: {name: any}
        """
    )
    index = index_repository(plant(flux))
    assert len([note for note in index.notes if "aliases" in note]) == 2
    assert {p.owner.name for p in index.places if p.reachable} >= {"sonarr"}


def test_a_repository_packaged_in_part_is_followed(plant: Plant, flux: dict[str, str]) -> None:
    """Where an artifact holds one folder, every path counts from that folder."""
    flux["kubernetes/flux/cluster.yaml"] = """
        apiVersion: fluxcd.controlplane.io/v1
        kind: FluxInstance
        metadata: {name: flux, namespace: flux-system}
        spec: {sync: {kind: OCIRepository, url: "oci://example.org/x", path: ./apps}}
        """
    for name, text in flux.items():
        flux[name] = text.replace("./kubernetes/apps", "./apps").replace(
            "kind: GitRepository, name: flux-system", "kind: OCIRepository, name: flux-system"
        )
    index = index_repository(plant(flux))
    assert {p.owner.name for p in index.places if p.reachable} == {"sonarr"}
