"""What a base states for several is changed for one of them in a patch of its own, or not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from analyzer.gitops.land.changes import plan_changes
from analyzer.gitops.land.outcome import Advice, ChangePlan, DesiredChange, Edited, Unchanged
from analyzer.gitops.render.program import Tools
from analyzer.quantity import Memory, Resources
from analyzer.workload import ContainerRef
from tests.gitops.conftest import Plant

WEB = """
    apiVersion: apps/v1
    kind: Deployment
    metadata: {name: web}
    spec:
      template:
        spec:
          containers:
            - name: app
              image: x
              resources:
                requests: {cpu: 100m, memory: 512Mi}
                limits: {memory: 1Gi}
            - name: proxy
              image: y
              resources: {requests: {memory: 512Mi}}
    """
RELEASE = """
    apiVersion: helm.toolkit.fluxcd.io/v2
    kind: HelmRelease
    metadata: {name: web, namespace: shop}
    spec:
      chart: {spec: {chart: app-template, version: 3.7.3}}
      values:
        controllers:
          web:
            containers:
              app:
                image: {repository: x, tag: y}
                resources:
                  requests: {memory: 512Mi}
    """


@pytest.fixture
def tools(kubectl: Path) -> Tools:
    """What builds kustomizations."""
    return Tools(kubectl=kubectl)


def flux(name: str, path: str, more: str = "") -> str:
    """A Flux Kustomization as a file, in lines."""
    head = f"{{name: {name}, namespace: flux-system}}"
    return (
        "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\n"
        f"metadata: {head}\nspec:\n  path: {path}\n"
        f"  sourceRef: {{kind: GitRepository, name: flux-system}}\n{more}"
    )


def clusters(base: str = WEB, overlay: str = "", spec: str = "") -> dict[str, str]:
    """Two clusters whose overlays take one base; `overlay` and `spec` come on top for both."""
    files = {"base/web.yaml": base, "base/kustomization.yaml": "resources: [web.yaml]\n"}
    for name in ("prod", "staging"):
        files |= {
            f"clusters/{name}/sync.yaml": flux("flux-system", f"./clusters/{name}"),
            f"clusters/{name}/apps.yaml": flux("apps", f"./overlays/{name}", spec),
            f"overlays/{name}/kustomization.yaml": (
                f"namespace: shop\nresources:\n  - ../../base\n{overlay}"
            ),
        }
    return files


def change(
    container: str = "app", new: str = "300Mi", now: str = "512Mi", **over: str
) -> DesiredChange:
    """Ask for another memory request than runs now."""
    return DesiredChange(
        ContainerRef("c", over.get("namespace", "shop"), "Deployment", "web", container),
        Resources(memory_request=Memory.parse(now)),
        Resources(memory_request=Memory.parse(new)),
    )


def ask(root: Path, tools: Tools, *changes: DesiredChange, entry: str | None) -> ChangePlan:
    """Plan for one cluster, where exactly what is to change runs."""
    return plan_changes(root, changes, tools=tools, entry=entry, live=[c.ref for c in changes])


def written(found: ChangePlan) -> str:
    """All that is added, of a plan in which everything is edited and nothing taken away."""
    assert all(isinstance(each, Edited) for each in found.outcomes), found.advice
    lines = found.diff().splitlines()
    assert not [line for line in lines if line.startswith("-") and not line.startswith("---")]
    return "\n".join(line[1:] for line in lines if line[:1] == "+" and line[:2] != "++")


def apply(root: Path, found: ChangePlan) -> None:
    """Write a plan into its folder."""
    for file, (_, text) in found.edits.items():
        (root / file).write_bytes(text.encode())


def test_a_shared_base_is_patched_in_the_overlay_of_its_own_cluster(
    plant: Plant, tools: Tools
) -> None:
    """Two containers of one object make one patch, and the build shows that nothing else moves."""
    root = plant(clusters())
    found = ask(root, tools, change(), change("proxy", "200Mi"), entry="clusters/staging")
    assert list(found.edits) == ["overlays/staging/kustomization.yaml"]
    assert written(found) == "\n".join(
        [
            "patches:",
            "  - target:",
            "      kind: Deployment",
            "      name: web",
            "    patch: |-",
            "      apiVersion: apps/v1",
            "      kind: Deployment",
            "      metadata:",
            "        name: web",
            "      spec:",
            "        template:",
            "          spec:",
            "            containers:",
            "              - name: app",
            "                resources:",
            "                  requests:",
            "                    memory: 300Mi",
            "              - name: proxy",
            "                resources:",
            "                  requests:",
            "                    memory: 200Mi",
        ]
    )
    assert [each.proof.changed for each in found.edited] == [2, 2]
    assert found.edited[0].place.where.startswith("overlays/staging/kustomization.yaml: patches.")


def test_a_patch_keeps_the_order_of_containers(plant: Plant, tools: Tools) -> None:
    """Kustomize moves the containers that a patch names to the front, so those before are named."""
    root = plant(clusters())
    found = ask(root, tools, change("proxy", "200Mi"), entry="clusters/staging")
    assert "- name: app\n              - name: proxy\n                resources:" in written(found)
    assert found.edited[0].proof.changed == 1


def test_the_next_run_finds_what_the_last_one_added(plant: Plant, tools: Tools) -> None:
    """The same amounts are no change, others go into the patch; the base is the other cluster's."""
    root = plant(clusters())
    apply(root, ask(root, tools, change(), entry="clusters/staging"))
    again = ask(root, tools, change(now="300Mi"), entry="clusters/staging")
    assert isinstance(again.outcomes[0], Unchanged)
    more = ask(root, tools, change(new="350Mi", now="300Mi"), entry="clusters/staging")
    diff = [line for line in more.diff().splitlines() if line[:1] in "+-" and "---" not in line]
    assert [line[1:].strip() for line in diff[1:]] == ["memory: 300Mi", "memory: 350Mi"]
    other = ask(root, tools, change(), entry="clusters/prod")
    assert list(other.edits) == ["base/web.yaml"]
    assert isinstance(other.outcomes[0], Edited)
    assert other.outcomes[0].proof.changed == 1


@pytest.mark.parametrize(
    ("overlay", "style"),
    [
        (
            "patches:\n- patch: |\n    - {op: remove, path: /spec/replicas}\n"
            "  target: {kind: Service}\n# - patch: off\nimages:\n- {name: x, newTag: '2'}\n",
            "- patch: |\n    apiVersion",
        ),
        ("commonLabels: {a: b}\ncomponents:\n# - ../more\n", "# - ../more\npatches:\n  - target:"),
        ("patches: [{path: own.yaml}]\n", ""),
        ("patches: []\n", ""),
    ],
)
def test_a_patch_is_written_as_its_list_is(
    plant: Plant, tools: Tools, overlay: str, style: str
) -> None:
    """Its order, depth and kind of text are those around it; a list in brackets is left alone."""
    files = clusters(overlay=overlay)
    files["overlays/staging/own.yaml"] = "{kind: Service, metadata: {name: other}}"
    root = plant(files)
    found = ask(root, tools, change(), entry="clusters/staging")
    if not style:
        (advice,) = found.advice
        said = "overlays/staging/kustomization.yaml: patches is no list written line by line; write"
        assert said in advice.reason
        assert advice.reason.startswith("the place also feeds shop/Deployment/web/app by way of")
        return
    assert style in found.edits["overlays/staging/kustomization.yaml"][1]
    assert "memory: 300Mi" in written(found)


def test_a_patch_of_the_same_object_takes_the_amounts(plant: Plant, tools: Tools) -> None:
    """What the overlay states of a container already is where people look for the rest."""
    files = clusters(overlay="patches:\n  - path: web.yaml\n")
    for name in ("prod", "staging"):
        files[f"overlays/{name}/web.yaml"] = """
            apiVersion: apps/v1
            kind: Deployment
            metadata:
              name: web
            spec:
              template:
                spec:
                  containers:
                    - name: app
                      image: z
            """
    root = plant(files)
    found = ask(root, tools, change(), entry="clusters/prod")
    assert list(found.edits) == ["overlays/prod/web.yaml"]
    assert written(found).split() == ["resources:", "requests:", "memory:", "300Mi"]


def test_values_of_a_shared_release_are_patched(plant: Plant, tools: Tools) -> None:
    """A release takes a patch of its values; what the base states beside them is known still."""
    root = plant(clusters(RELEASE))
    found = ask(root, tools, change(), entry="clusters/prod")
    assert list(found.edits) == ["overlays/prod/kustomization.yaml"]
    assert "hands the values on as intended" in found.edited[0].proof.rendering
    apply(root, found)
    limit = DesiredChange(
        change().ref,
        Resources(memory_request=Memory.parse("300Mi")),
        Resources(memory_limit=Memory.parse("1Gi")),
    )
    more = ask(root, tools, limit, entry="clusters/prod")
    assert written(more).split() == ["limits:", "memory:", "1Gi"]


def test_a_flux_kustomization_patches_where_two_apply_one_folder(
    plant: Plant, tools: Tools
) -> None:
    """Without an overlay, a cluster's Flux Kustomization is the first thing that is its own."""
    files = {"apps/web.yaml": WEB}
    for name in ("a", "b"):
        files |= {
            f"clusters/{name}/sync.yaml": flux("flux-system", f"./clusters/{name}"),
            f"clusters/{name}/apps.yaml": flux("apps", "./apps", "  targetNamespace: shop\n"),
        }
    root = plant(files)
    found = ask(root, tools, change(), entry="clusters/a")
    assert list(found.edits) == ["clusters/a/apps.yaml"]
    assert written(found).startswith("  patches:\n    - target:\n        kind: Deployment")
    assert_settled(root, tools, found)


def assert_settled(root: Path, tools: Tools, found: ChangePlan) -> None:
    """One proven change for cluster a, after which nothing is left to do."""
    assert found.edited[0].proof.changed == 1
    apply(root, found)
    again = ask(root, tools, change(now="300Mi"), entry="clusters/a")
    assert isinstance(again.outcomes[0], Unchanged)


ARGO = """
    apiVersion: argoproj.io/v1alpha1
    kind: Application
    metadata: {{name: {name}, namespace: argocd}}
    spec:
      destination: {{namespace: shop}}
      source:
        path: apps
        repoURL: https://git.example.org/me/it.git  # ours
    """


@pytest.mark.parametrize("built", [False, True])
def test_an_application_patches_where_two_apply_one_folder(
    plant: Plant, tools: Tools, built: bool
) -> None:
    """Also where kustomize builds the Application itself, in which the new patch shows."""
    files = {"apps/web.yaml": WEB, "apps/kustomization.yaml": "resources: [web.yaml]\n"}
    for name in ("a", "b"):
        files[f"clusters/{name}/app.yaml"] = ARGO.format(name=name)
        if built:
            files[f"clusters/{name}/kustomization.yaml"] = "resources: [app.yaml]\n"
    root = plant(files)
    found = ask(root, tools, change(), entry="clusters/a")
    assert list(found.edits) == ["clusters/a/app.yaml"]
    assert written(found).startswith("    kustomize:\n      patches:\n        - target:\n")
    assert_settled(root, tools, found)


def test_two_namespaces_of_one_cluster_get_what_each_needs(plant: Plant, tools: Tools) -> None:
    """Nobody has to agree where each has a Kustomization of its own."""
    files = {"sync.yaml": flux("flux-system", "./"), "base/web.yaml": WEB}
    files["base/kustomization.yaml"] = "resources: [web.yaml]\n"
    files["kustomization.yaml"] = "resources: [one.yaml, two.yaml]\n"
    for name in ("one", "two"):
        files[f"{name}.yaml"] = flux(name, "./base", f"  targetNamespace: {name}\n")
    root = plant(files)
    wanted = [change(namespace="one"), change(namespace="two", new="200Mi")]
    found = ask(root, tools, *wanted, entry=None)
    assert [each.place.file for each in found.edited] == ["one.yaml", "two.yaml"]
    assert [each.proof.changed for each in found.edited] == [1, 1]


def test_without_a_build_a_shared_base_is_left_alone(plant: Plant) -> None:
    """A patch that nobody saw work is no edit."""
    found = ask(plant(clusters()), Tools(), change(), entry="clusters/staging")
    (advice,) = found.advice
    assert "the place also feeds" in advice.reason
    assert "could not be proven" in advice.reason


def test_which_cluster_is_meant_has_to_be_known(plant: Plant, tools: Tools) -> None:
    """Of two overlays that make the same container, neither is guessed; --entry names one."""
    found = ask(plant(clusters()), tools, change(), entry=None)
    (advice,) = found.advice
    assert "--entry" in advice.reason
    assert not found.edits


def variants() -> dict[str, str]:
    """A folder that is applied as it stands, a variant below it, and another application."""
    return {
        "deploy/kustomization.yaml": "namespace: shop\nresources: [base]\n",
        "deploy/base/web.yaml": WEB,
        "deploy/base/kustomization.yaml": "resources: [web.yaml]\n",
        "deploy/tests/all/kustomization.yaml": "namespace: shop\nresources: [../../base]\n",
        "deploy/api/kustomization.yaml": "namespace: shop\nresources: [api.yaml]\n",
        "deploy/api/api.yaml": WEB.replace("name: web", "name: api"),
    }


def test_the_kustomization_of_the_entry_is_the_one_that_is_applied(
    plant: Plant, tools: Tools
) -> None:
    """A variant below it makes the same and is another's: it keeps what the base states."""
    found = ask(plant(variants()), tools, change(), entry="deploy")
    assert list(found.edits) == ["deploy/kustomization.yaml"]
    assert "memory: 300Mi" in written(found)
    own = ask(plant(variants()), tools, change(), entry="deploy/tests/all")
    assert list(own.edits) == ["deploy/tests/all/kustomization.yaml"]


def test_what_only_a_variant_makes_is_said_to_be_its(plant: Plant, tools: Tools) -> None:
    """Not a word of nothing declaring it."""
    files = variants()
    files["deploy/tests/all/kustomization.yaml"] = (
        "namespace: shop\nresources: [../../base, ../extra]\n"
    )
    files["deploy/tests/extra/kustomization.yaml"] = "resources: [extra.yaml]\n"
    files["deploy/tests/extra/extra.yaml"] = WEB.replace("name: web", "name: extra")
    wanted = replace(change(), ref=ContainerRef("c", "shop", "Deployment", "extra", "app"))
    (advice,) = ask(plant(files), tools, wanted, entry="deploy").advice
    assert advice.reason.startswith("declared only for deploy/tests/all, which is none of what")


def test_an_application_beside_the_kustomization_of_the_entry_is_its_own(
    plant: Plant, tools: Tools
) -> None:
    """What makes other things below the entry may well be applied on its own, as before."""
    wanted = replace(change(), ref=ContainerRef("c", "shop", "Deployment", "api", "app"))
    found = ask(plant(variants()), tools, wanted, entry="deploy")
    assert list(found.edits) == ["deploy/api/api.yaml"]


def test_an_entry_is_a_folder_and_no_beginning_of_a_name(plant: Plant, tools: Tools) -> None:
    """`clusters/prod` is no way to `clusters/prod-eu`."""
    files = clusters()
    for name, text in list(files.items()):
        if name.startswith("clusters/staging/"):
            new = name.replace("staging", "prod-eu")
            files[new] = text.replace("clusters/staging", "clusters/prod-eu")
            del files[name]
    found = ask(plant(files), tools, change(), entry="clusters/prod-eu")
    assert list(found.edits) == ["overlays/staging/kustomization.yaml"]


def test_a_patch_that_something_overrules_is_refused(plant: Plant, tools: Tools) -> None:
    """The build is asked, and says that a later patch decides."""
    late = (
        "  patches:\n    - target: {kind: Deployment, name: web}\n      patch: |\n"
        "        - op: replace\n          path: /spec/template/spec/containers/0/resources\n"
        "          value: {requests: {memory: 1Gi}}\n"
    )
    files = clusters()
    files["clusters/staging/apps.yaml"] = flux("apps", "./overlays/staging", late)
    files["clusters/prod/apps.yaml"] = flux("apps", "./overlays/prod", late)
    root = plant(files)
    found = ask(root, tools, change(now="1Gi"), entry="clusters/staging")
    assert [each.place.file for each in found.edited] == ["clusters/staging/apps.yaml"]
    shared = clusters()
    shared["base/kustomization.yaml"] = (
        "resources: [web.yaml]\nreplacements:\n"
        "  - source: {kind: Deployment, name: web, fieldPath: metadata.name}\n"
        "    targets:\n      - select: {kind: Deployment}\n"
        "        fieldPaths: [spec.template.spec.containers.0.resources.requests.memory]\n"
    )
    other = ask(plant(shared), tools, change(), entry="clusters/staging")
    assert isinstance(other.outcomes[0], Advice)


def test_another_cluster_that_calls_it_otherwise_is_spared_as_well(
    plant: Plant, tools: Tools
) -> None:
    """Also where nobody says what runs: a name of another cluster is none of this one's own."""
    files = clusters()
    files["overlays/prod/kustomization.yaml"] += "namePrefix: p-\n"
    plan = plan_changes(plant(files), [change()], tools=tools, entry="clusters/staging")
    assert [*plan.edits] == ["overlays/staging/kustomization.yaml"]
