"""What would be wrong is refused with its reason; what can be shown right is edited."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import pytest

from analyzer.gitops.land.changes import plan_changes
from analyzer.gitops.land.outcome import Advice, ChangePlan, DesiredChange, Edited
from analyzer.gitops.render.kustomize import Kustomize
from analyzer.gitops.render.program import Tools
from analyzer.gitops.render.rendering import Rendering
from analyzer.quantity import Memory, Resources
from analyzer.workload import ContainerRef
from tests.gitops.conftest import Plant
from tests.samples import resources

WEB = """
    apiVersion: apps/v1
    kind: Deployment
    metadata: {name: web, namespace: shop}
    spec:
      template:
        spec:
          containers:
            - name: app
              image: x
              resources:
                requests:
                  cpu: 100m
                  memory: 512Mi
                limits:
                  memory: 1Gi
    """
RELEASE = """
    apiVersion: helm.toolkit.fluxcd.io/v2
    kind: HelmRelease
    metadata: {name: player}
    spec:
      chart: {spec: {chart: app-template, version: 3.7.3}}
      values:
        controllers:
          player:
            containers:
              app:
                image: {repository: x, tag: y}
                resources:
                  requests: {memory: 512Mi}
    """


def flux(name: str, path: str, **spec: str) -> str:
    """A Flux Kustomization as a file."""
    more = "".join(f", {key}: {value}" for key, value in spec.items())
    return textwrap.dedent(
        f"""
        apiVersion: kustomize.toolkit.fluxcd.io/v1
        kind: Kustomization
        metadata: {{name: {name}, namespace: flux-system}}
        spec: {{path: {path}, sourceRef: {{kind: GitRepository, name: flux-system}}{more}}}
        """
    )


def change(
    new: str = "300Mi",
    now: str = "512Mi",
    *,
    namespace: str = "shop",
    workload: str = "web",
) -> DesiredChange:
    """Ask for another memory request than runs now."""
    return DesiredChange(
        ContainerRef("c", namespace, "Deployment", workload, "app"),
        Resources(memory_request=Memory.parse(now)),
        Resources(memory_request=Memory.parse(new)),
    )


@pytest.fixture
def tools(kubectl: Path) -> Tools:
    return Tools(kubectl=kubectl)


def plan(root: Path, *changes: DesiredChange, tools: Tools | None = None) -> ChangePlan:
    """Plan for a cluster that runs just these containers."""
    return plan_changes(root, changes, tools=tools, live=[one.ref for one in changes])


def reason(found: ChangePlan) -> str:
    """Why the only change is left to a person."""
    (outcome,) = found.outcomes
    assert isinstance(outcome, Advice), outcome
    assert found.edits == {}
    return outcome.reason


def edited(found: ChangePlan) -> Edited:
    """The only change, which was made."""
    (outcome,) = found.outcomes
    assert isinstance(outcome, Edited), outcome
    return outcome


# --- patches ------------------------------------------------------------------------------------


@pytest.mark.parametrize("part", ["", "/limits", "/requests/memory"])
def test_an_operation_that_removes_never_gains_a_value(
    plant: Plant, tools: Tools, part: str
) -> None:
    """What a JSON patch takes away cannot be stated there, nor counted on below it."""
    root = plant(
        {
            "web.yaml": WEB,
            "kustomization.yaml": f"""
                resources: [web.yaml]
                patches:
                  - target: {{kind: Deployment, name: web}}
                    patch: |-
                      - op: remove
                        path: /spec/template/spec/containers/0/resources{part}
                """,
        }
    )
    for with_tools in (tools, None):
        assert "the JSON patch in kustomization.yaml takes" in reason(
            plan(root, change(), tools=with_tools)
        )


@pytest.mark.parametrize(
    "body",
    [
        "$patch: delete",
        "spec: {template: {spec: {containers: [{name: app, $patch: delete}, {name: other}]}}}",
        "spec: {template: {spec: {containers: [{$patch: replace}, {name: other, image: y}]}}}",
    ],
    ids=["object", "container", "list"],
)
def test_what_a_patch_deletes_is_nobodys_place(plant: Plant, tools: Tools, body: str) -> None:
    """The container that runs under that name is declared by whoever brings it back."""
    files = {
        "prod/kustomization.yaml": "resources: [../base]\npatches: [{path: p.yaml}]\n",
        "prod/p.yaml": f"""
            apiVersion: apps/v1
            kind: Deployment
            metadata: {{name: web, namespace: shop}}
            {body}
            """,
        "base/web.yaml": WEB,
        "base/kustomization.yaml": "resources: [web.yaml]\n",
    }
    assert "base/web.yaml" not in plan(plant(files), change(), tools=tools).edits
    more = {
        "own/kustomization.yaml": "resources: [web.yaml]\n",
        "own/web.yaml": WEB,
    }
    found = plan(plant({**files, **more}), change(), tools=tools)
    assert list(found.edits) == ["own/web.yaml"]


def test_each_amount_goes_where_it_is_stated(plant: Plant, tools: Tools) -> None:
    """Two patches that state a part each: the one that states the amount is its place."""
    patch = """
        apiVersion: apps/v1
        kind: Deployment
        metadata: {name: web, namespace: shop}
        spec: {template: {spec: {containers: [{name: app, resources: RESOURCES}]}}}
        """
    root = plant(
        {
            "web.yaml": WEB,
            "kustomization.yaml": "resources: [web.yaml]\n"
            "patches: [{path: p.yaml}, {path: q.yaml}]\n",
            "p.yaml": patch.replace("RESOURCES", "{requests: {memory: 256Mi}}"),
            "q.yaml": patch.replace("RESOURCES", "{limits: {memory: 2Gi}}"),
        }
    )
    found = plan(root, change(now="256Mi"), tools=tools)
    assert edited(found).place.file == "p.yaml"
    assert list(found.edits) == ["p.yaml"]
    assert edited(found).proof.rendered_with
    both = DesiredChange(
        change().ref,
        Resources(memory_request=Memory.parse("256Mi"), memory_limit=Memory.parse("2Gi")),
        Resources(memory_request=Memory.parse("300Mi"), memory_limit=Memory.parse("1Gi")),
    )
    found = plan(root, both, tools=tools)
    assert edited(found).after == resources("100m", "300Mi", None, "1Gi")
    assert list(found.edits) == ["p.yaml", "q.yaml"]


def test_replacements_that_overwrite_an_amount_are_named(plant: Plant, tools: Tools) -> None:
    """An amount that kustomize copies from elsewhere is not stated in the manifest."""
    root = plant(
        {
            "web.yaml": WEB,
            "kustomization.yaml": """
                resources: [web.yaml]
                configMapGenerator: [{name: sizes, literals: [mem=700Mi]}]
                replacements:
                  - source: {kind: ConfigMap, name: sizes, fieldPath: data.mem}
                    targets:
                      - select: {kind: Deployment, name: web}
                        fieldPaths:
                          - spec.template.spec.containers.[name=app].resources.requests.memory
                """,
        }
    )
    assert "the replacements in kustomization.yaml overwrite" in reason(
        plan(root, change(now="700Mi"), tools=tools)
    )


def test_replacements_say_nothing_of_what_they_reject(plant: Plant, tools: Tools) -> None:
    """An object that a target leaves out keeps its own amount, and its manifest is the place."""
    root = plant(
        {
            "web.yaml": WEB,
            "api.yaml": WEB.replace("name: web", "name: api"),
            "kustomization.yaml": """
                resources: [web.yaml, api.yaml]
                configMapGenerator: [{name: sizes, literals: [mem=700Mi]}]
                replacements:
                  - source: {kind: ConfigMap, name: sizes, fieldPath: data.mem}
                    targets:
                      - select: {kind: Deployment}
                        reject: [{name: web}]
                        fieldPaths:
                          - spec.template.spec.containers.*.resources.requests.memory
                """,
        }
    )
    found = plan(root, change(), tools=tools)
    assert list(found.edits) == ["web.yaml"]
    assert "1 of 2 containers changed" in str(edited(found).proof)


def test_an_edit_that_rendering_shows_to_have_no_effect_is_refused(
    plant: Plant, tools: Tools
) -> None:
    """Whatever it is that decides instead, reading missed it, and the build tells."""
    root = plant(
        {
            "web.yaml": WEB,
            "kustomization.yaml": "resources: [web.yaml]\ntransformers: [patch.yaml]\n",
            "patch.yaml": """
                apiVersion: builtin
                kind: PatchTransformer
                metadata: {name: sizes}
                target: {kind: Deployment}
                patch: |-
                  - op: replace
                    path: /spec/template/spec/containers/0/resources/requests/memory
                    value: 512Mi
                """,
        }
    )
    assert "did not change" in reason(plan(root, change(), tools=tools))
    assert isinstance(plan(root, change()).outcomes[0], Edited), "without kubectl nothing tells"


def test_values_that_a_json_patch_sets_are_not_edited_below_it(plant: Plant, tools: Tools) -> None:
    """The values of a release count as kustomize builds them."""
    root = plant(
        {
            "hr.yaml": RELEASE.replace("name: player}", "name: player, namespace: media}"),
            "kustomization.yaml": """
                resources: [hr.yaml]
                patches:
                  - target: {kind: HelmRelease}
                    patch: |-
                      - op: replace
                        path: /spec/values/controllers/player/containers/app/resources
                        value: {requests: {memory: 1Gi}}
                """,
        }
    )
    found = plan(root, change(now="1Gi", namespace="media", workload="player"), tools=tools)
    assert "the JSON patch in kustomization.yaml sets values" in reason(found)


# --- what a proof says --------------------------------------------------------------------------


def test_edits_of_one_build_do_not_blame_each_other(plant: Plant, tools: Tools) -> None:
    """A manifest and a release of one folder are each judged by what they meant to change."""
    root = plant(
        {
            "clusters/home/sync.yaml": flux("flux-system", "./clusters/home")
            + "---"
            + flux("apps", "./apps", targetNamespace="media"),
            "apps/kustomization.yaml": "resources: [hr.yaml, web.yaml]\n",
            "apps/hr.yaml": RELEASE,
            "apps/web.yaml": WEB,
        }
    )
    player = change(namespace="media", workload="player")
    found = plan(root, change(namespace="media"), player, tools=tools)
    web, release = found.outcomes
    assert isinstance(web, Edited) and isinstance(release, Edited)
    assert (web.proof.changed, web.proof.containers) == (1, 1)
    assert "hands the values on as intended" in release.proof.rendering
    assert "no helm on PATH" in release.proof.rendering


def test_what_one_edit_drags_along_is_found_in_few_builds(
    plant: Plant, tools: Tools, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An amount that is copied elsewhere stops its own edit alone, looked for in halves."""
    built: list[str] = []
    build = Kustomize.build

    def counted(self: Kustomize, folder: str, *rest: Any) -> Rendering:
        built.append(folder)
        return build(self, folder, *rest)

    monkeypatch.setattr(Kustomize, "build", counted)
    names = [f"web-{number}" for number in range(16)]
    root = plant(
        {
            **{f"{name}.yaml": WEB.replace("name: web,", f"name: {name},") for name in names},
            "kustomization.yaml": f"""
                resources: [{", ".join(f"{name}.yaml" for name in names)}]
                configMapGenerator: [{{name: sizes, literals: [mem=1Gi]}}]
                replacements:
                  - source:
                      kind: Deployment
                      name: web-5
                      fieldPath: spec.template.spec.containers.0.resources.requests.memory
                    targets: [{{select: {{kind: ConfigMap}}, fieldPaths: [data.mem]}}]
                """,
        }
    )
    found = plan(root, *(change(workload=name) for name in names), tools=tools)
    (stopped,) = found.advice
    assert stopped.ref.workload == "web-5"
    assert "ConfigMap/sizes" in stopped.reason and "changed as well" in stopped.reason
    assert len(found.edited) == 15
    assert len(built) <= 2 + 2 * 4, "before and after, then the halves of 16"


def test_a_release_whose_name_waits_for_a_variable_is_proven(plant: Plant, tools: Tools) -> None:
    """Kustomize builds the name as written; Flux fills it in afterwards, so both are one object."""
    root = plant(
        {
            "clusters/home/sync.yaml": flux("flux-system", "./clusters/home")
            + "---"
            + flux("apps", "./apps", targetNamespace="media"),
            "apps/kustomization.yaml": "resources: [hr.yaml]\n",
            "apps/hr.yaml": RELEASE.replace("name: player}", "name: 'player${SUFFIX:=}'}"),
        }
    )
    found = plan(root, change(namespace="media", workload="player"), tools=tools)
    assert "hands the values on as intended" in edited(found).proof.rendering


def test_two_applications_of_one_folder_are_each_proven_in_their_own_build(
    plant: Plant, tools: Tools
) -> None:
    """One takes the folder of the other under names of its own; where both agree, both are made."""
    application = """
        apiVersion: argoproj.io/v1alpha1
        kind: Application
        metadata: {name: NAME, namespace: argocd}
        spec: {source: {path: NAME}, destination: {namespace: NAME}}
        """
    root = plant(
        {
            "argocd/one.yaml": application.replace("NAME", "one"),
            "argocd/two.yaml": application.replace("NAME", "two"),
            "one/web.yaml": WEB.replace(", namespace: shop", ""),
            "one/kustomization.yaml": "resources: [web.yaml]\nnamePrefix: one-\n",
            "two/kustomization.yaml": "resources: [../one]\nnamePrefix: two-\n",
        }
    )
    one = change(namespace="one", workload="one-web")
    two = change(namespace="two", workload="two-one-web")
    found = plan(root, one, two, tools=tools)
    assert [type(outcome) for outcome in found.outcomes] == [Edited, Edited]
    assert all(outcome.proof.changed == 1 for outcome in found.edited)
    alone = plan_changes(root, [one], tools=tools, live=[one.ref, two.ref])
    assert "for which nothing is proposed" in reason(alone)


def test_a_kustomization_is_built_without_any_controller(plant: Plant, tools: Tools) -> None:
    """The outermost folder that takes the file is built, whoever applies it."""
    root = plant(
        {
            "apps/kustomization.yaml": "resources: [web]\nnamePrefix: my-\n",
            "apps/web/kustomization.yaml": "resources: [web.yaml]\n",
            "apps/web/web.yaml": WEB,
        }
    )
    assert edited(plan(root, change(workload="my-web"), tools=tools)).proof.changed == 1


@pytest.mark.parametrize("kustomization", ["resources: [web.yaml]\n", None])
def test_what_flux_adds_is_part_of_the_build(
    plant: Plant, tools: Tools, kustomization: str | None
) -> None:
    """Patches of a Flux Kustomization come on top of the folder, and are edited and rendered.

    Of a folder without a kustomization it takes all objects below, and kustomizations further down.
    """
    root = plant(
        {
            "clusters/home/sync.yaml": flux("flux-system", "./clusters/home"),
            "clusters/home/apps.yaml": """
                apiVersion: kustomize.toolkit.fluxcd.io/v1
                kind: Kustomization
                metadata: {name: apps, namespace: flux-system}
                spec:
                  path: ./apps
                  patches:
                    - patch: |
                        apiVersion: apps/v1
                        kind: Deployment
                        metadata: {name: web, namespace: shop}
                        spec:
                          template:
                            spec:
                              containers:
                                - name: app
                                  resources: {requests: {memory: 256Mi}}
                """,
            "apps/web.yaml": WEB,
            "apps/values.yaml": "replicas: 2\n",
            "apps/api/kustomization.yaml": "resources: [api.yaml]\n",
            "apps/api/api.yaml": WEB.replace("name: web", "name: api"),
            **({"apps/kustomization.yaml": kustomization} if kustomization else {}),
        }
    )
    found = edited(plan(root, change(now="256Mi"), tools=tools))
    assert found.place.file == "clusters/home/apps.yaml"
    assert found.proof.containers == (1 if kustomization else 2)
    assert found.proof.changed == 1


def test_defaults_of_a_chart_are_no_reason_to_refuse(helm: Path, plant: Plant) -> None:
    """Only the intended amount moves; what the chart adds by itself stands beside it as before."""
    root = plant(
        {
            "charts/small/Chart.yaml": "apiVersion: v2\nname: small\nversion: 1.0.0\n",
            "charts/small/values.yaml": """
                resources: {requests: {cpu: 500m, memory: 256Mi}, limits: {memory: 1Gi}}
                """,
            "charts/small/templates/web.yaml": """
                apiVersion: apps/v1
                kind: Deployment
                metadata: {name: web}
                spec:
                  template:
                    spec:
                      containers:
                        - {name: app, image: x, resources: {{ toJson .Values.resources }} }
                """,
            "web.yaml": """
                apiVersion: helm.toolkit.fluxcd.io/v2
                kind: HelmRelease
                metadata: {name: web, namespace: shop}
                spec:
                  chart: {spec: {chart: small, version: 1.0.0}}
                  values: {replicas: 1}
                """,
        }
    )
    found = edited(plan(root, change(now="256Mi"), tools=Tools(helm=helm)))
    assert found.proof.fields == ("requests.memory",)
    assert found.proof.changed == 1


# --- others who share a place -------------------------------------------------------------------


def _clusters() -> dict[str, str]:
    files = {"base/web.yaml": WEB, "base/kustomization.yaml": "resources: [web.yaml]\n"}
    for name in ("prod", "staging"):
        files |= {
            f"clusters/{name}/sync.yaml": flux("flux-system", f"./clusters/{name}"),
            f"clusters/{name}/apps.yaml": flux("apps", f"./overlays/{name}"),
            f"overlays/{name}/kustomization.yaml": "resources: [../../base]\n",
        }
    return files


@pytest.mark.parametrize("entry", [None, "clusters/staging"])
def test_a_base_of_another_cluster_is_not_edited(plant: Plant, entry: str | None) -> None:
    """One cluster's usage says nothing of the other's need, whichever entry was named."""
    root = plant(_clusters())
    found = plan_changes(root, [change()], live=[change().ref], entry=entry)
    assert "clusters/prod" in reason(found)
    assert "clusters/staging" in reason(found)


def test_an_overlay_of_one_cluster_is_edited(plant: Plant, tools: Tools) -> None:
    """What one cluster's overlay states is that cluster's alone."""
    files = _clusters()
    files["overlays/staging/kustomization.yaml"] = """
        resources: [../../base]
        patches:
          - patch: |
              apiVersion: apps/v1
              kind: Deployment
              metadata: {name: web, namespace: shop}
              spec:
                template:
                  spec: {containers: [{name: app, resources: {requests: {memory: 400Mi}}}]}
        """
    root = plant(files)
    found = plan_changes(
        root, [change(now="400Mi")], live=[change().ref], entry="clusters/staging", tools=tools
    )
    assert edited(found).place.file == "overlays/staging/kustomization.yaml"


# --- what files say -----------------------------------------------------------------------------


def test_an_amount_that_a_person_has_just_changed_is_left_alone(plant: Plant) -> None:
    """The decision was made against what ran; the file says that somebody thinks otherwise."""
    root = plant({"web.yaml": WEB.replace("512Mi", "3Gi").replace("1Gi", "4Gi")})
    told = reason(plan(root, change()))
    assert "states requests.memory 3Gi, while 512Mi ran" in told
    stated_already = plan(root, change(new="3Gi"))
    assert type(stated_already.outcomes[0]).__name__ == "Unchanged"


@pytest.mark.parametrize(
    ("stands", "instead"),
    [
        ("image: x", "image: {{ .Values.image }}"),
        ("image: x", 'image: "{{ .Values.image }}"'),
        ("namespace: shop", 'namespace: "{{ .Release.Namespace }}", labels: {app: web}'),
    ],
)
def test_a_template_is_not_edited_as_a_manifest(plant: Plant, stands: str, instead: str) -> None:
    """It happens to parse as YAML, but says what no object of a cluster may."""
    root = plant({"web.yaml": WEB.replace(stands, instead)})
    assert "web.yaml names it: a template" in reason(plan(root, change()))


def test_braces_in_a_text_make_no_template(plant: Plant) -> None:
    """Alerts and programs have templates of their own, which a manifest carries as text."""
    alert = """
        kind: ConfigMap
        apiVersion: v1
        metadata: {name: alert, namespace: shop}
        data: {text: "{{ $value }}"}
        """
    web = WEB.replace("image: x", 'image: x\n              args: ["--format={{ .Name }}"]')
    root = plant({"web.yaml": web})
    with (root / "web.yaml").open("a", encoding="utf-8") as file:
        file.write(f"---{textwrap.dedent(alert)}")
    edited(plan(root, change()))


def test_json_manifests_are_edited_like_yaml(plant: Plant, tools: Tools) -> None:
    """What an entry names counts, not the ending of its name; other JSON is passed over."""
    root = plant(
        {
            "kustomization.yaml": "resources: [web.json]\n",
            "web.json": """
                {
                  "apiVersion": "apps/v1", "kind": "Deployment",
                  "metadata": {"name": "web", "namespace": "shop"},
                  "spec": {"template": {"spec": {"containers": [
                    {"name": "app", "image": "x", "resources": {"requests": {"memory": "512Mi"}}}
                  ]}}}
                }
                """,
            "package.json": '{"name": "x"}',
        }
    )
    found = plan(root, change(), tools=tools)
    assert edited(found).proof.changed == 1
    assert '"memory": "300Mi"' in found.edits["web.json"][1]
    assert "package.json" not in found.index.repository.unread
