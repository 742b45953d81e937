"""The proof by rendering, with the real helm and kubectl and a chart written here."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from analyzer.gitops.index.repository_index import index_repository
from analyzer.gitops.land.changes import plan_changes
from analyzer.gitops.land.outcome import Advice, DesiredChange, Edited
from analyzer.gitops.reach.repository import load_repository
from analyzer.gitops.render.charts import charts_in, find_chart
from analyzer.gitops.render.helm import Helm
from analyzer.gitops.render.kustomize import Kustomize
from analyzer.gitops.render.program import RenderError, Tools
from analyzer.gitops.render.rendering import Sink, moves
from analyzer.quantity import Memory, Resources
from analyzer.workload import ContainerRef
from tests.gitops.conftest import Plant

CHART = {
    "charts/small/Chart.yaml": "apiVersion: v2\nname: small\nversion: 1.2.3\n",
    "charts/small/values.yaml": """
        # one that is used, one that is not, one that two containers share
        server: {resources: {}}
        forgotten: {resources: {}}
        shared: {resources: {}}
        """,
    "charts/small/templates/all.yaml": """
        apiVersion: apps/v1
        kind: Deployment
        metadata: {name: {{ .Release.Name }}-server}
        spec:
          template:
            metadata:
              annotations: {random: "{{ randAlphaNum 8 }}"}
            spec:
              containers:
                - {name: server, image: x, resources: {{ toJson .Values.server.resources }} }
                - {name: one, image: x, resources: {{ toJson .Values.shared.resources }} }
                - {name: two, image: x, resources: {{ toJson .Values.shared.resources }} }
        """,
}
DEPLOYMENT = """
        apiVersion: apps/v1
        kind: Deployment
        metadata: {name: web-server}
        spec:
          template:
            spec:
              containers:
                - name: server
                  image: x
                  resources:
                    limits:
                      memory: 2Gi
                - {name: other, image: y}
        """
RELEASE = """
    apiVersion: helm.toolkit.fluxcd.io/v2
    kind: HelmRelease
    metadata: {name: web, namespace: apps}
    spec:
      chart: {spec: {chart: small, version: 1.2.3}}
      values:
        server:
          resources:
            limits:
              memory: 2Gi
        forgotten:
          resources:
            limits:
              memory: 1Gi
    """


def desired(container: str, amount: str = "900Mi", workload: str = "web-server") -> DesiredChange:
    ref = ContainerRef("home", "apps", "Deployment", workload, container)
    current = Resources(memory_limit=Memory.parse("2Gi"), memory_request=Memory.parse("2Gi"))
    value = Memory.parse(amount)
    return DesiredChange(ref, current, Resources(memory_request=value, memory_limit=value))


@pytest.fixture
def charts(plant: Plant) -> Path:
    return plant(CHART) / "charts"


def test_charts_are_found_by_name_and_version(charts: Path) -> None:
    """Folders are searched; a version that differs is another chart."""
    found = charts_in([charts])
    assert find_chart(found, "small", "1.2.3") is not None
    assert find_chart(found, "small", "1.2.4") is None
    assert find_chart(found, "small", "1.x") is not None
    assert find_chart(found, "other", None) is None


def test_odd_amounts_show_where_values_land(helm: Path, charts: Path) -> None:
    """One rendering tells which path feeds which container, and which feeds none."""
    found = charts_in([charts])
    landed = Helm(helm, found).sentinels(found[0], "web", "apps", {})
    server, one, two = (Sink("Deployment", "web-server", n) for n in ("server", "one", "two"))
    assert landed.unreached == frozenset()
    assert landed.by_path == {
        ("server", "resources"): frozenset({server}),
        ("forgotten", "resources"): frozenset(),
        ("shared", "resources"): frozenset({one, two}),
    }


def test_an_unknown_chart_at_hand_is_learned_edited_and_proven(helm: Path, plant: Plant) -> None:
    """Trace, edit and proof rest on rendering alone; generated text elsewhere is no difference."""
    root = plant({**CHART, "apps/web.yaml": RELEASE})
    plan = plan_changes(root, [desired("server")], tools=Tools(helm=helm))
    (outcome,) = plan.outcomes
    assert isinstance(outcome, Edited), outcome
    assert "odd amount" in outcome.trace.reason
    assert outcome.proof.rendering.endswith("1 of 3 containers changed, as intended")
    assert plan.edits["apps/web.yaml"][1].count("900Mi") == 2


def test_one_resources_key_may_hold_a_block_for_each_container(helm: Path, plant: Plant) -> None:
    """Odd amounts go into the blocks of the containers, not over the key that holds them."""
    chart = {
        "charts/small/Chart.yaml": "apiVersion: v2\nname: small\nversion: 1.2.3\n",
        "charts/small/values.yaml": """
            resources:
              server: {limits: {memory: 1Gi}}
              other: {requests: {cpu: 10m, memory: 20Mi}}
              ignored: {requests: {cpu: 10m}}
            """,
        "charts/small/templates/all.yaml": f"""{DEPLOYMENT}
                  resources: {{{{ toJson .Values.resources.other }}}}
            """.replace("- {name: other, image: y}", "- name: other").replace(
            "resources:\n                    limits:\n                      memory: 2Gi",
            "resources: {{ toJson .Values.resources.server }}",
        ),
    }
    release = RELEASE.partition("      values:")[0]
    root = plant({**chart, "apps/web.yaml": release})
    found = charts_in([root])
    server, other = (Sink("Deployment", "web-server", n) for n in ("server", "other"))
    assert Helm(helm, found).sentinels(found[0], "web", "apps", {}).by_path == {
        ("resources", "server"): frozenset({server}),
        ("resources", "other"): frozenset({other}),
        ("resources", "ignored"): frozenset(),
    }
    outcome = plan_changes(root, [desired("other")], tools=Tools(helm=helm)).outcomes[0]
    assert isinstance(outcome, Edited) and outcome.proof.changed == 1


@pytest.mark.parametrize(
    ("hooks", "stops"),
    [("post-delete", False), ("test", False), ("pre-delete, pre-upgrade", True)],
)
def test_what_runs_only_when_a_release_goes_stops_no_edit(
    helm: Path, plant: Plant, hooks: str, stops: bool
) -> None:
    """A job that cleans up with the server's amounts is no reason; one of an upgrade is."""
    hook = f"""
        apiVersion: batch/v1
        kind: Job
        metadata: {{name: hook, annotations: {{helm.sh/hook: "{hooks}"}}}}
        spec:
          template:
            spec:
              containers:
                - {{name: hook, image: x, resources: {{{{ toJson .Values.server.resources }}}} }}
        """
    root = plant({**CHART, "charts/small/templates/hook.yaml": hook, "apps/web.yaml": RELEASE})
    (outcome,) = plan_changes(root, [desired("server")], tools=Tools(helm=helm)).outcomes
    assert isinstance(outcome, Advice if stops else Edited), outcome


def test_a_path_the_chart_ignores_is_called_out(helm: Path, plant: Plant) -> None:
    """A block that lands nowhere is a finding, never a place."""
    index = index_repository(plant({**CHART, "apps/web.yaml": RELEASE}), tools=Tools(helm=helm))
    ignored = [f for f in index.findings if f.kind == "ignored"]
    assert [f.place.path for f in ignored] == ["spec.values.forgotten.resources"]


def test_a_block_that_two_containers_share_needs_both_to_agree(helm: Path, plant: Plant) -> None:
    """One place, two containers: edited when both want the same, else advice with the reason."""
    root = plant({**CHART, "apps/web.yaml": RELEASE})
    tools = Tools(helm=helm)
    alone = plan_changes(root, [desired("one")], tools=tools).outcomes
    assert isinstance(alone[0], Advice) and "also decides for" in alone[0].reason
    apart = plan_changes(root, [desired("one"), desired("two", "800Mi")], tools=tools).outcomes
    assert all(isinstance(o, Advice) and "different amounts" in o.reason for o in apart)
    agreed = plan_changes(root, [desired("one"), desired("two")], tools=tools)
    assert all(isinstance(o, Edited) for o in agreed.outcomes)
    assert len(agreed.edits) == 1


def test_a_rendering_that_contradicts_makes_advice(helm: Path, plant: Plant) -> None:
    """Where a known rule says one thing and the chart does another, the chart is right."""
    chart = {
        name.replace("small", "podinfo"): text.replace("name: small", "name: podinfo")
        .replace("version: 1.2.3", "version: 6.0.0")
        .replace(".Values.server.resources", '(dict "limits" (dict "memory" "1Gi"))')
        for name, text in CHART.items()
    }
    release = RELEASE.replace("chart: small, version: 1.2.3", "chart: podinfo, version: 6.0.0")
    release = release.replace("name: web,", "name: podinfo,").replace(
        "        server:\n", "        resources: {limits: {memory: 2Gi}}\n        server:\n"
    )
    root = plant({**chart, "apps/web.yaml": release})
    change = desired("podinfo", workload="podinfo")
    blind = plan_changes(root, [change]).outcomes[0]
    assert isinstance(blind, Edited) and "not rendered" in blind.proof.rendering
    seeing = plan_changes(root, [change], tools=Tools(helm=helm)).outcomes[0]
    assert isinstance(seeing, Advice)


def test_kustomize_shows_that_one_container_changes(kubectl: Path, plant: Plant) -> None:
    """A plain Deployment behind a kustomization is built before and after."""
    root = plant(
        {
            "ks.yaml": """
                apiVersion: kustomize.toolkit.fluxcd.io/v1
                kind: Kustomization
                metadata: {name: flux-system, namespace: flux-system}
                spec: {path: ./apps, targetNamespace: apps}
                """,
            "apps/kustomization.yaml": "resources: [web.yaml]\n",
            "apps/web.yaml": DEPLOYMENT,
        }
    )
    plan = plan_changes(root, [desired("server")], tools=Tools(kubectl=kubectl))
    (outcome,) = plan.outcomes
    assert isinstance(outcome, Edited), outcome
    assert (outcome.proof.changed, outcome.proof.containers) == (1, 2)
    assert re.fullmatch(
        r"rendered with kubectl kustomize \d+\.\d+\.\d+: 1 of 2 containers changed, as intended",
        outcome.proof.rendering,
    )


BASE = "https://example.org/bases//web?ref=v1"


def test_what_lies_elsewhere_is_left_out_and_named(kubectl: Path, plant: Plant) -> None:
    """A remote base is not downloaded; the rest is built without it, and the proof says so."""
    files = {
        "kustomization.yaml": f"namespace: apps\nresources: [web.yaml, {BASE}]\n",
        "web.yaml": DEPLOYMENT,
    }
    (outcome,) = plan_changes(
        plant(files), [desired("server")], tools=Tools(kubectl=kubectl)
    ).outcomes
    assert isinstance(outcome, Edited)
    assert outcome.proof.without == BASE
    assert outcome.proof.rendering.endswith(f"as intended; {BASE} was left out")


def test_what_generators_read_elsewhere_is_left_out_and_named(kubectl: Path, plant: Plant) -> None:
    """A dashboard that would be fetched, or a file that only the cluster has, hinders no proof."""
    root = plant(
        {
            "app/kustomization.yaml": """
                resources: [web.yaml]
                configMapGenerator:
                  - name: boards
                    files: [own.json, "far.json=https://example.invalid/a.json?x=1"]
                secretGenerator: [{name: secret, envs: [not-here.env]}]
                """,
            "app/own.json": "{}",
            "app/web.yaml": DEPLOYMENT.replace(
                "{name: web-server}", "{name: web-server, namespace: apps}"
            ),
        }
    )
    (outcome,) = plan_changes(root, [desired("server")], tools=Tools(kubectl=kubectl)).outcomes
    assert isinstance(outcome, Edited), outcome
    assert outcome.proof.changed == 1
    assert outcome.proof.without == "https://example.invalid/a.json?x=1, not-here.env"


def test_files_above_a_folder_are_read_as_flux_reads_them(kubectl: Path, plant: Plant) -> None:
    """By itself kubectl looks into the folder itself; nothing outside of the repository is read."""
    shared = DEPLOYMENT.replace("{name: web-server}", "{name: web-server, namespace: apps}")
    files = {
        "app/kustomization.yaml": "resources: [../shared/web.yaml]\n",
        "shared/web.yaml": shared,
    }
    tools = Tools(kubectl=kubectl)
    (outcome,) = plan_changes(plant(files), [desired("server")], tools=tools).outcomes
    assert isinstance(outcome, Edited) and outcome.proof.changed == 1
    secret = plant({}).parent / "secret.env"
    secret.write_text("word=hidden\n")
    for reads in ("envs: [../../secret.env]", "env: ../../secret.env", "files: [../../secret.env]"):
        text = files["app/kustomization.yaml"] + f"secretGenerator: [{{name: s, {reads}}}]\n"
        root = plant({**files, "app/kustomization.yaml": text})
        built = Kustomize(kubectl, load_repository(root)).build("app", {})
        assert "hidden" not in str(built.leaves()) and "aGlkZGVu" not in str(built.leaves())
    text = files["app/kustomization.yaml"] + "generators: [far.yaml]\n"
    root = plant({**files, "app/kustomization.yaml": text, "app/far.yaml": "kind: ConfigMap\n"})
    with pytest.raises(RenderError, match="not in or below"):
        Kustomize(kubectl, load_repository(root)).build("app", {})


def test_a_patch_of_what_lies_elsewhere_is_not_rendered(kubectl: Path, plant: Plant) -> None:
    """Without the base there is nothing to patch, so the text has to be proof enough."""
    files = {
        "kustomization.yaml": f"namespace: apps\nresources: [web.yaml, {BASE}]\n"
        "patches: [{path: patch.yaml}]\n",
        "web.yaml": DEPLOYMENT,
        "patch.yaml": DEPLOYMENT.replace("web-server", "remote"),
    }
    (outcome,) = plan_changes(
        plant(files), [desired("server")], tools=Tools(kubectl=kubectl)
    ).outcomes
    assert isinstance(outcome, Edited)
    assert outcome.proof.not_rendered == f"not rendered: {BASE} lies outside the repository"


POD = (
    "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec:\n  containers:\n"
    "    - {name: c, image: x, resources: {limits: {memory: 1Gi}}}\n"
)


@pytest.fixture
def kustomize(kubectl: Path, plant: Plant) -> Kustomize:
    files = {"kustomization.yaml": "resources: [a.yaml]\n", "a.yaml": POD}
    return Kustomize(kubectl, load_repository(plant(files)))


def test_what_else_changes_is_noticed(kustomize: Kustomize) -> None:
    """Whatever differs is named, with the container where it is one's resources."""
    before = kustomize.build("", {})
    after = kustomize.build(
        "", {"a.yaml": POD.replace("image: x", "image: y").replace("1Gi", "2Gi")}
    )
    image, memory = moves(before, after)
    assert (image.sink, image.before, image.after) == (None, "x", "y")
    assert str(image) == "Pod/a, spec.containers[0].image"
    assert (memory.sink, memory.path) == (Sink("Pod", "a", "c"), ("limits", "memory"))
    assert (memory.before, memory.after) == ("1Gi", "2Gi")
    assert moves(before, kustomize.build("", {})) == []


def test_a_failing_program_is_an_error_in_words(kustomize: Kustomize) -> None:
    """What kubectl said is handed on, on one line."""
    with pytest.raises(RenderError, match="kubectl failed"):
        kustomize.build("", {"a.yaml": "kind: Pod\n"})


def test_a_chart_of_the_repository_is_learned_where_it_lies(helm: Path, plant: Plant) -> None:
    """An Application over a chart with templates of its own leads to that chart's values file."""
    application = """
        apiVersion: argoproj.io/v1alpha1
        kind: Application
        metadata: {name: web, namespace: argocd}
        spec: {destination: {namespace: apps}, source: {path: charts/small}}
        """
    root = plant({**CHART, "apps/web.yaml": application})
    change = DesiredChange(
        ref=ContainerRef("c", "apps", "Deployment", "web-server", "server"),
        current=Resources(),
        proposed=Resources(memory_request=Memory.parse("200Mi")),
    )
    (outcome,) = plan_changes(root, [change], tools=Tools(helm=helm)).outcomes
    assert isinstance(outcome, Edited)
    assert outcome.place.file == "charts/small/values.yaml"
    assert "1 of 3 containers changed, as intended" in outcome.proof.rendering


def test_a_build_may_hold_what_another_route_leads_to(kubectl: Path, plant: Plant) -> None:
    """Two overlays of one base are proven each; what both contain has to change in both."""
    root = plant(
        {
            "base/kustomization.yaml": "resources: [web.yaml]\n",
            "base/web.yaml": DEPLOYMENT,
            "jobs/kustomization.yaml": "resources: [job.yaml]\n",
            "jobs/job.yaml": DEPLOYMENT.replace("web-server", "job"),
            "all.yaml": application("all", "all"),
            "all/kustomization.yaml": "resources: [../base, ../jobs]\n",
            "a-jobs.yaml": application("jobs", "jobs"),
        }
    )
    changes = [desired("server"), desired("server", workload="job")]
    plan = plan_changes(root, changes, tools=Tools(kubectl=kubectl))
    assert [type(outcome).__name__ for outcome in plan.outcomes] == ["Edited", "Edited"]
    assert all(outcome.proof.rendered_with for outcome in plan.edited)


def application(name: str, path: str) -> str:
    return f"""
        apiVersion: argoproj.io/v1alpha1
        kind: Application
        metadata: {{name: {name}, namespace: argocd}}
        spec: {{destination: {{namespace: apps}}, source: {{path: {path}}}}}
        """


def test_an_umbrella_has_not_the_paths_of_the_chart_it_is_named_after(plant: Plant) -> None:
    """A chart called cert-manager that wraps cert-manager reads its values below that key."""
    root = plant(
        {
            "app.yaml": application("cert-manager", "system/cert-manager"),
            "system/cert-manager/Chart.yaml": """
                name: cert-manager
                version: 0.0.0
                dependencies: [{name: cert-manager, version: v1.17.1}]
                """,
            "system/cert-manager/values.yaml": "cert-manager: {installCRDs: true}\n",
            "system/cert-manager/templates/issuer.yaml": "kind: Issuer\n",
        }
    )
    paths = {e.place.path for e in index_repository(root).expectations}
    assert paths
    assert all(path.startswith("cert-manager.") for path in paths)


@pytest.mark.parametrize(
    ("entry", "values", "rendered"),
    [
        ("condition: cache.enabled", {}, True),
        ("condition: cache.enabled", {"cache": {"enabled": True}}, False),
        ("condition: 'cache.here,server.on'", {"server": {"on": False}}, True),
        ("condition: 'cache.enabled,server.on'", {"server": {"on": True}}, True),
        ("tags: [more, most]", {"tags": {"more": False}}, True),
        ("tags: [more, most]", {"tags": {"more": False, "most": True}}, False),
        ("condition: cache.none", {}, False),
        ("alias: other", {}, False),
    ],
)
def test_a_dependency_that_is_switched_off_need_not_be_at_hand(
    helm: Path, plant: Plant, entry: str, values: dict[str, object], rendered: bool
) -> None:
    """Helm refuses a chart that lacks any; what the values leave out decides for no container."""
    root = plant(
        CHART
        | {
            "charts/small/Chart.yaml": f"""
                apiVersion: v2
                name: small
                version: 1.2.3
                dependencies:
                  - {{name: cache, version: 1.0.0, repository: "https://x.example", {entry}}}
                """,
            "charts/small/values.yaml": "cache: {enabled: false}\nserver: {}\nshared: {}\n",
        }
    )
    programs = Helm(helm, charts_in([root / "charts"]))
    chart = programs.chart("small", "1.2.3")
    assert chart is not None
    if rendered:
        assert len(programs.render(chart, "web", "apps", values).sinks()) == 3
    else:
        with pytest.raises(RenderError, match="cache"):
            programs.render(chart, "web", "apps", values)
