"""What declares workloads without being YAML that can be edited: named for what it is."""

from __future__ import annotations

import pytest

from analyzer.gitops.index.repository_index import index_repository
from analyzer.gitops.index.trace import LiveContainer, trace_one
from analyzer.gitops.land.doctor import examine_repository
from analyzer.workload import ContainerRef
from tests.gitops.conftest import DEPLOYMENT, Plant

API = ContainerRef("c", "shop", "Deployment", "shop-api", "api")

FILES = {
    "infra/main.tf": ('resource "helm_release" "x" { name = "shop-api" }\n', "Terraform"),
    "lib/api.jsonnet": ("{ api: { name: 'shop-api' } }\n", "jsonnet"),
    "api.cue": ('deployment: "shop-api": {}\n', "CUE"),
    "api.yaml.j2": ("name: shop-api\nimage: {{ image }}\n", "a jinja template"),
    "api.yaml": (
        "metadata:\n  name: shop-api\nspec: {{ spec }}\n",
        "a template, not YAML until it is rendered",
    ),
    "ytt.yml": ("metadata:\n  name: shop-api\nspec: #@ data.values.spec\n", "a template of ytt"),
}


@pytest.mark.parametrize("file", FILES)
def test_a_file_that_cannot_be_read_is_named(plant: Plant, file: str) -> None:
    """The reason names the file that speaks of the workload, and says what it is."""
    text, what = FILES[file]
    root = plant({file: "", "web.yaml": DEPLOYMENT})
    (root / file).write_text(text, "utf-8")
    traced = trace_one(LiveContainer(API), index_repository(root))
    assert traced.place is None
    assert traced.reason == f"nothing that can be read declares it; {file} names it: {what}"
    (told,) = [check for check in examine_repository(root) if check.check == "other tools"]
    assert told.found == f"{what.partition(',')[0]}: 1 file ({file})"


MARKERS = {
    "go in brackets": ("[[ .image ]]", "x"),
    "go in quoted brackets": ("'[[ .image ]]'", "x"),
    "erb": ("<%= image %>", "x"),
    "scaffolding": ("${{ values.image }}", "x"),
    "jinja": ("'{% if beta %}x:2{% endif %}'", "x"),
    "a condition of jinja": ("x", "{% if beta %}"),
    "a condition in brackets": ("x", "[[- if .beta ]]"),
    "a condition of erb": ("x", "<% if beta %>"),
    "a condition of a pipeline": ("x", "${{ if eq(1, 1) }}:"),
}


@pytest.mark.parametrize("marker", MARKERS)
def test_the_markers_of_a_template_are_known(plant: Plant, marker: str) -> None:
    """Whatever it is filled in by, nobody applies it as it stands, and it is not edited."""
    image, line = MARKERS[marker]
    text = DEPLOYMENT.replace("name: web", "name: shop-api").replace("image: x", f"image: {image}")
    tail = "" if line == "x" else f"{line}\n"
    root = plant({"api.yaml": text})
    (root / "api.yaml").write_text((root / "api.yaml").read_text() + tail, "utf-8")
    index = index_repository(root)
    assert index.repository.unread["api.yaml"] == "a template, not YAML until it is rendered"
    reason = trace_one(LiveContainer(API), index).reason
    assert reason.endswith("api.yaml names it: a template, not YAML until it is rendered")


def test_what_only_looks_like_a_template_is_read(plant: Plant) -> None:
    """Lists in lists, variables of Flux, and templates among an application's own settings."""
    config = """
        apiVersion: v1
        kind: ConfigMap
        metadata: {name: config}
        data: {page: "<% title %> {% if x %} [[ y ]]", "${A}": "1"}
        matrix: [[1, 2], [ [3]]]
        """
    files = {"config.yaml": config, "web.yaml": DEPLOYMENT.replace("image: x", 'image: "${IMG}"')}
    assert index_repository(plant(files)).repository.unread == {}


def test_a_file_that_does_not_parse_may_declare_it(plant: Plant) -> None:
    """It is named, and nobody is told that nothing declares the container."""
    root = plant(
        {"api.yaml": "metadata: {name: shop-api}\nspec: @@spec@@\n", "web.yaml": DEPLOYMENT}
    )
    index = index_repository(root)
    reason = trace_one(LiveContainer(API), index).reason
    assert "api.yaml names it: expected YAML, found text that does not parse" in reason
    other = ContainerRef("c", "shop", "Deployment", "other", "other")
    assert trace_one(LiveContainer(other), index).reason.endswith("1 file (not YAML)")


def test_a_template_of_a_chart_is_named_although_it_parses(plant: Plant) -> None:
    """It is read by helm alone."""
    chart = "name: api\nversion: 1.0.0\n"
    text = DEPLOYMENT.replace("name: web", "name: shop-api")
    root = plant({"chart/Chart.yaml": chart, "chart/templates/api.yaml": text})
    reason = trace_one(LiveContainer(API), index_repository(root)).reason
    assert reason.endswith("chart/templates/api.yaml names it: a template of a Helm chart")


def test_nothing_declares_it_only_where_everything_was_read(plant: Plant) -> None:
    """A file that is not read may declare anything; where there is none, the word is final."""
    root = plant({"web.yaml": DEPLOYMENT})
    reason = trace_one(LiveContainer(API), index_repository(root)).reason
    assert reason == "nothing in the repository declares it"
    (root / "other.jsonnet").write_text("{}\n")
    reason = trace_one(LiveContainer(API), index_repository(root)).reason
    assert reason.endswith("not read as manifests: 1 file (jsonnet)")


def test_terraform_without_a_cluster_is_no_news(plant: Plant) -> None:
    """Most Terraform is about machines and accounts."""
    root = plant({"main.tf": 'resource "aws_vpc" "x" {}\n', "web.yaml": DEPLOYMENT})
    assert index_repository(root).unreadable == {}


MADE = {
    "kapitan": ("kapitan compiles this file", {"inventory/targets/x.yml": "a: 1\n"}, "compiled/x"),
    "cdk8s": ("cdk8s writes this file", {"cdk8s.yaml": "language: python\n"}, "dist"),
    "helm": ("the file says that it is generated", {}, "rendered"),
}


@pytest.mark.parametrize("tool", MADE)
def test_what_a_tool_writes_is_not_edited(plant: Plant, tool: str) -> None:
    """The next run of the tool would write over it."""
    reason, beside, folder = MADE[tool]
    root = plant({**beside, f"{folder}/web.yaml": DEPLOYMENT})
    if tool == "helm":
        file = root / folder / "web.yaml"
        file.write_text(f"---\n# Source: web/templates/deployment.yaml\n{file.read_text()}")
    (place,) = [p for p in index_repository(root).places if p.container == "web"]
    assert reason in (place.refusal or "")
