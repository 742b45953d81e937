"""What ApplicationSets and ResourceSets make, as far as the repository tells."""

from __future__ import annotations

import time

import pytest

from analyzer.gitops.index.repository_index import index_repository
from analyzer.gitops.reach.application_set import fill
from analyzer.gitops.reach.repository import bare_address
from tests.gitops.conftest import DEPLOYMENT, Git, Plant

SET = """
    apiVersion: argoproj.io/v1alpha1
    kind: ApplicationSet
    metadata: {{name: all, namespace: argocd}}
    spec:
      goTemplate: true
      generators:
        - {generator}
      template:
        metadata: {{name: "{name}"}}
        spec:
          destination: {{namespace: "{namespace}"}}
          source: {{repoURL: https://example.org/own.git, path: "{path}"}}
    """


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("{{ .path.basename }}-x", "web-x"),
        ("{{path[1]}}", "shop"),
        ("{{index .path.segments 1}}/{{ index .path.segments 2 }}", "shop/web"),
        ('{{ dig "chart" "name" "none" . }}', "none"),
        ('{{ dig "path" "basename" "none" . }}', "web"),
        ('{{ .absent | default "d" }}', "d"),
        ("{{- .path.basename | upper }}", "{{- .path.basename | upper }}"),
        ("{{ .absent }}", "{{ .absent }}"),
        ("{{ if .x }}y{{ end }}", "{{ if .x }}y{{ end }}"),
    ],
)
def test_templates_are_filled_or_left_alone(text: str, filled: str) -> None:
    """Both kinds of templates are filled; what is not understood stays as written, not guessed."""
    known = {"path.basename": "web", "path[1]": "shop"}
    known |= {"path.segments.1": "shop", "path.segments.2": "web"}
    assert fill(text, known) == filled


@pytest.mark.parametrize(
    "text",
    [
        "{{" + " " * 200_000,
        "{{ a" * 50_000,
        "{{ dig " + '"a" ' * 50_000 + "}}",
        "{{.a" + ".b" * 50_000,
    ],
)
def test_no_template_takes_long_to_fill(text: str) -> None:
    """Templates come from strangers; what does not end well is left as it stands."""
    assert fill(text, {"a": "b"}) == text


def test_segments_of_a_folder_name_application_and_namespace(plant: Plant) -> None:
    """The folders go where the template's segments say; of excluded ones nothing is known."""
    root = plant(
        {
            "set.yaml": SET.format(
                generator="git: {directories: [{path: apps/*/*}, "
                "{path: apps/*/old, exclude: true}]}",
                name="{{index .path.segments 2}}",
                namespace="{{index .path.segments 1}}",
                path="{{.path.path}}",
            ),
            "apps/shop/web/deployment.yaml": DEPLOYMENT,
            "apps/shop/old/deployment.yaml": DEPLOYMENT,
        }
    )
    found = {
        e.place.file: (e.namespace, e.place.reachable) for e in index_repository(root).expectations
    }
    assert found == {
        "apps/shop/web/deployment.yaml": ("shop", True),
        "apps/shop/old/deployment.yaml": ("default", None),
    }


def test_a_matrix_combines_files_with_folders(plant: Plant) -> None:
    """The second generator may use what the first one found, nested values included."""
    root = plant(
        {
            "set.yaml": SET.format(
                generator="""matrix:
            generators:
              - git: {files: [{path: clusters/*.yaml}]}
              - git: {directories: [{path: "{{ .app.folder }}/*"}]}""",
                name="{{.app.name}}-{{.path.basename}}",
                namespace="{{.app.name}}",
                path="{{.path.path}}",
            ),
            "clusters/one.yaml": "app: {name: red, folder: sets/red}\n",
            "sets/red/web/deployment.yaml": DEPLOYMENT,
            "sets/blue/web/deployment.yaml": DEPLOYMENT,
        }
    )
    found = [
        (e.namespace, e.place.file)
        for e in index_repository(root).expectations
        if e.place.reachable
    ]
    assert found == [("red", "sets/red/web/deployment.yaml")]


def test_a_merge_overrules_where_its_keys_agree(plant: Plant) -> None:
    """The first generator says which applications there are, the second changes one of them."""
    root = plant(
        {
            "set.yaml": SET.format(
                generator="""merge:
            mergeKeys: [name]
            generators:
              - list: {elements: [{name: a, ns: one}, {name: b, ns: one}]}
              - list: {elements: [{name: b, ns: two}, {name: c, ns: two}]}""",
                name="{{.name}}",
                namespace="{{.ns}}",
                path="apps/{{.name}}",
            ),
            **{f"apps/{name}/deployment.yaml": DEPLOYMENT for name in "abc"},
        }
    )
    found = {
        e.place.file: (e.namespace, e.place.reachable) for e in index_repository(root).expectations
    }
    assert found["apps/a/deployment.yaml"] == ("one", True)
    assert found["apps/b/deployment.yaml"] == ("two", True)
    assert found["apps/c/deployment.yaml"][1] is None


def test_what_only_the_cluster_knows_makes_nothing_dead(plant: Plant) -> None:
    """A path that a cluster's labels fill in may lead anywhere, so that nothing counts as dead."""
    root = plant(
        {
            "set.yaml": SET.format(
                generator="clusters: {}",
                name="{{.name}}",
                namespace="apps",
                path="{{.metadata.annotations.folder}}",
            ),
            "apps/web/deployment.yaml": DEPLOYMENT,
        }
    )
    index = index_repository(root)
    assert [p.reachable for p in index.places] == [None]
    assert any("clusters generator" in note for note in index.notes)
    assert any("filled in later" in note for note in index.notes)


def test_a_directory_takes_what_its_patterns_say(plant: Plant) -> None:
    """`include` and `exclude` choose among the files of a folder without a kustomization."""
    root = plant(
        {
            "app.yaml": """
                apiVersion: argoproj.io/v1alpha1
                kind: Application
                metadata: {name: web, namespace: argocd}
                spec:
                  destination: {namespace: apps}
                  source:
                    path: app
                    directory: {recurse: true, include: "{m/*.yaml,n/*.yaml}", exclude: n/off*}
                """,
            "app/m/on.yaml": DEPLOYMENT,
            "app/n/off.yaml": DEPLOYMENT,
            "app/other.yaml": DEPLOYMENT,
        }
    )
    found = {p.file: p.reachable for p in index_repository(root).places}
    assert found == {"app/m/on.yaml": True, "app/n/off.yaml": False, "app/other.yaml": False}


def test_a_parameter_of_the_application_makes_values_unproven(plant: Plant) -> None:
    """Helm parameters win over values, so that an edit of the values might change nothing."""
    app = """
        apiVersion: argoproj.io/v1alpha1
        kind: Application
        metadata: {name: web, namespace: argocd}
        spec:
          destination: {namespace: apps}
          source:
            chart: app-template
            targetRevision: 4.1.1
            helm:
              valuesObject:
                controllers: {web: {containers: {app: {resources: {limits: {memory: 1Gi}}}}}}
              parameters:
                - {name: controllers.web.containers.app.resources.limits.memory, value: 2Gi}
        """
    (expectation,) = index_repository(plant({"app.yaml": app})).expectations
    assert expectation.confidence == "unproven"
    assert "by a parameter" in expectation.rule


FLUX = """
    apiVersion: kustomize.toolkit.fluxcd.io/v1
    kind: Kustomization
    metadata: {name: flux-system, namespace: flux-system}
    spec: {path: ./cluster, sourceRef: {kind: GitRepository, name: flux-system}}
    """


def test_a_resource_set_makes_one_release_for_each_input(plant: Plant) -> None:
    """Names and namespaces come from the inputs; the place is the one template of them all."""
    root = plant(
        {
            "cluster/flux.yaml": FLUX,
            "cluster/set.yaml": """
                apiVersion: fluxcd.controlplane.io/v1
                kind: ResourceSet
                metadata: {name: apps, namespace: flux-system}
                spec:
                  inputs:
                    - {tenant: red, version: 4.1.1}
                    - {tenant: blue, version: 4.1.1}
                  resources:
                    - apiVersion: helm.toolkit.fluxcd.io/v2
                      kind: HelmRelease
                      metadata: {name: "web-<< inputs.tenant >>", namespace: << inputs.tenant >>}
                      spec:
                        chart: {spec: {chart: app-template, version: "<< inputs.version >>"}}
                        values:
                          controllers:
                            web: {containers: {app: {resources: {limits: {memory: 1Gi}}}}}
                """,
        }
    )
    index = index_repository(root)
    assert [(e.namespace, e.workload, e.place.reachable) for e in index.expectations] == [
        ("red", "web-red", True),
        ("blue", "web-blue", True),
    ]
    assert len({(e.place.file, e.place.address) for e in index.expectations}) == 1
    assert index.expectations[0].rule == "app-template 4.1.1 names it so"


def applied(inputs: str, more: str = "") -> dict[str, str]:
    """A ResourceSet that makes a Kustomization of the folder that each input names."""
    text = f"""
        apiVersion: fluxcd.controlplane.io/v1
        kind: ResourceSet
        metadata: {{name: apps, namespace: flux-system}}
        spec:
          {inputs}
          resources:
            - apiVersion: kustomize.toolkit.fluxcd.io/v1
              kind: Kustomization
              metadata: {{name: tenants, namespace: << inputs.app >>}}
              spec:
                path: ./apps/<< inputs.app >>
                targetNamespace: << inputs.app | quote >>
                sourceRef: {{kind: GitRepository, name: flux-system}}
        """
    folders = {f"apps/{name}/web.yaml": DEPLOYMENT for name in ("red", "blue", "green")}
    return {
        "cluster/flux.yaml": FLUX,
        "cluster/set.yaml": text,
        "cluster/more.yaml": more,
        **folders,
    }


def test_a_resource_set_leads_on_to_folders(plant: Plant) -> None:
    """Kustomizations that a ResourceSet makes are followed, each with its own path."""
    index = index_repository(plant(applied("inputs: [{app: red}, {app: blue}]")))
    found = {e.place.file: (e.namespace, e.place.reachable) for e in index.expectations}
    assert found["apps/red/web.yaml"] == ("red", True)
    assert found["apps/blue/web.yaml"] == ("blue", True)
    assert found["apps/green/web.yaml"][1] is False


def test_inputs_of_a_server_make_nothing_dead(plant: Plant) -> None:
    """A provider that lists pull requests is not asked; a static one is read."""
    providers = """
        apiVersion: fluxcd.controlplane.io/v1
        kind: ResourceSetInputProvider
        metadata: {name: fixed, namespace: flux-system}
        spec: {type: Static, defaultValues: {app: red}}
        ---
        apiVersion: fluxcd.controlplane.io/v1
        kind: ResourceSetInputProvider
        metadata: {name: asked, namespace: flux-system}
        spec: {type: GitHubPullRequest, url: https://example.org/x}
        """
    root = plant(applied("inputsFrom: [{name: fixed}, {name: asked}]", providers))
    found = {p.file: p.reachable for p in index_repository(root).places}
    assert found["apps/red/web.yaml"] is True
    assert found["apps/green/web.yaml"] is None


def test_bombs_and_slow_patterns_end(plant: Plant) -> None:
    """Parameters behind nested aliases and patterns of many stars cost neither time nor memory."""
    layers = "\n".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12))
    stars = "/".join(["**", "*"] * 20)
    root = plant(
        {
            "set.yaml": SET.format(
                generator="git: {files: [{path: params/*.yaml}], "
                f"directories: [{{path: '{stars}'}}]}}",
                name="{{.path.basename}}",
                namespace="apps",
                path="{{.path.path}}",
            ),
            "params/bomb.yaml": f"a0: &a0 x\n{layers}\n",
            "/".join("abcdefghijklmnop") + "/web.yaml": DEPLOYMENT,
        }
    )
    index = index_repository(root)
    assert [p.reachable for p in index.places] == [None]
    assert any("cannot be followed" in note for note in index.notes)


def test_a_path_of_another_repository_is_not_taken_for_ours(committed: Plant, git: Git) -> None:
    """Two Applications name the same path; only one of them means this checkout."""
    app = """
        apiVersion: argoproj.io/v1alpha1
        kind: Application
        metadata: {{name: {name}, namespace: argocd}}
        spec:
          destination: {{namespace: {name}}}
          source: {{repoURL: "{url}", path: deploy}}
        """
    root = committed(
        {
            "ours.yaml": app.format(name="ours", url="https://example.org/Team/own.git"),
            "theirs.yaml": app.format(name="theirs", url="https://example.org/team/other"),
            "deploy/web.yaml": DEPLOYMENT,
        }
    )
    lenient = {e.namespace for e in index_repository(root).expectations}
    assert lenient == {"ours", "theirs"}  # without an origin nobody can tell
    git(root, "remote", "add", "origin", "git@example.org:team/own")
    assert {e.namespace for e in index_repository(root).expectations} == {"ours"}


@pytest.mark.parametrize(
    "url",
    [
        "https://example.org/team/own",
        "https://user@example.org:8443/Team/own.git",
        "ssh://git@example.org:22/team/own.git/",
        "git@example.org:team/own.git",
    ],
)
def test_one_repository_has_many_spellings(url: str) -> None:
    """Scheme, user, port, case and a trailing .git do not make another repository."""
    assert bare_address(url) == "example.org/team/own"


def test_a_matrix_that_ends_in_nothing_ends(plant: Plant) -> None:
    """A few lines of a stranger must not keep a run busy: 400 x 400 x 400 x 0 combinations."""
    many = "[" + ", ".join(f"{{a: '{number}'}}" for number in range(400)) + "]"
    lists = ", ".join(f"{{list: {{elements: {items}}}}}" for items in (many, many, many, "[]"))
    text = SET.format(
        generator=f"{{matrix: {{generators: [{lists}]}}}}", name="x", namespace="d", path="p"
    )
    started = time.monotonic()
    assert not index_repository(plant({"set.yaml": text})).places
    assert time.monotonic() - started < 10


@pytest.mark.parametrize(
    ("selector", "alive"),
    [
        ("matchLabels: {stage: live}", {"web"}),
        ("matchExpressions: [{key: stage, operator: NotIn, values: [live]}]", {"old"}),
        ("matchExpressions: [{key: stage, operator: In, values: [live, test]}]", {"web", "old"}),
        ("matchExpressions: [{key: stage, operator: DoesNotExist}]", set()),
        ("matchLabels: {region: eu}", {"web", "old"}),
    ],
)
def test_a_selector_leaves_out_what_it_does_not_match(
    plant: Plant, selector: str, alive: set[str]
) -> None:
    """Folders of elements that the selector drops are dead; an unknown parameter drops nothing."""
    elements = "[{name: web, stage: live}, {name: old, stage: test}]"
    generator = f"{{list: {{elements: {elements}}}, selector: {{{selector}}}}}"
    repository = plant(
        {
            "set.yaml": SET.format(
                generator=generator,
                name="{{ .name }}",
                namespace="shop",
                path="apps/{{ .name }}",
            ),
            "apps/web/deployment.yaml": DEPLOYMENT,
            "apps/old/deployment.yaml": DEPLOYMENT,
        }
    )
    places = index_repository(repository).places
    assert {p.file.split("/")[1] for p in places if p.reachable} == alive
