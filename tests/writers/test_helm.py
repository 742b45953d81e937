"""Helm values and HelmRelease overlays, taken by the real helm and the real kustomize."""

import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from analyzer.output import write_files
from analyzer.quantity import Resources
from analyzer.recommend import Recommendation
from analyzer.report import Landing, Report
from analyzer.writers.helm import values_path, write_helm
from tests.samples import recommendation, ref, report, resources

NOW = resources("1", "1Gi", "2", "2Gi")
NEW = resources("100m", "512Mi", None, "2Gi")
RELEASE = "HelmRelease ai/open-webui"
PLACE = "spec.values.controllers.open-webui.containers.app.resources"


def found(name: str = "app", new: Resources = NEW) -> Recommendation:
    """A recommendation from NOW to `new`."""
    return recommendation(NOW, new, of=ref(name))


def landed(name: str = "app", path: str = PLACE, **more: Any) -> Landing:
    """Where `found(name)` lands."""
    given = {"application": RELEASE, "file": "app/helmrelease.yaml", "status": "edited"} | more
    return Landing(ref=str(ref(name)), reason=given.pop("reason", ""), path=path, **given)


def told(*pairs: tuple[Recommendation, Landing]) -> Report:
    """A report of these recommendations and landings."""
    return replace(report(*(r for r, _ in pairs)), landings=tuple(x for _, x in pairs))


def run(*words: str | Path) -> str:
    """Run a program that must succeed."""
    done = subprocess.run([str(w) for w in words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("path", "keys"),
    [
        ("spec.values.resources", ("resources",)),
        ("spec.values.jobs[2].resources", ("jobs", 2, "resources")),
        ('spec.values["a.b"].resources', ("a.b", "resources")),
        ("spec.sources[0].helm.valuesObject.a.resources", ("a", "resources")),
        ("spec.source.helm.values | web.resources", ("web", "resources")),
        ("helmCharts[0].valuesInline.resources", ("resources",)),
        ("data.values.yaml | web.resources", ("web", "resources")),
        ("patches[0].patch | spec.values.resources", ("resources",)),
        ("spec.template.spec.containers[0].resources", None),
        ("spec.postRenderers[0].patch | spec.template.spec.containers[0].resources", None),
        ("spec.values..resources", None),
    ],
)
def test_paths_below_values_are_told_from_others(path: str, keys: Any) -> None:
    """Every form in which a landing names a place, and the keys that Helm sees."""
    assert values_path(path) == keys


def test_helm_renders_the_new_amounts_and_nothing_else_changes(helm: Path, tmp_path: Path) -> None:
    """A null takes a default of the chart away; what is not named keeps its default."""
    write_files(
        tmp_path,
        {
            "chart/Chart.yaml": b"apiVersion: v2\nname: tiny\nversion: 1.0.0\n",
            "chart/values.yaml": yaml.safe_dump(
                {"web": {"image": "x", "resources": NOW.as_manifest()}}
            ).encode(),
            "chart/templates/values.yaml": b"{{ toYaml .Values }}\n",
        },
    )
    landing = landed(path="web.resources", file="tiny/values.yaml", application="Chart shop/tiny")
    write_files(tmp_path, write_helm(told((found(), landing))))
    values = tmp_path / "git/values/chart--shop--tiny.yaml"
    rendered = yaml.safe_load(run(helm, "template", "r", tmp_path / "chart", "-f", values))
    assert rendered == {
        "web": {
            "image": "x",
            "resources": {
                "requests": {"cpu": "100m", "memory": "512Mi"},
                "limits": {"memory": "2Gi"},
            },
        }
    }


@pytest.mark.parametrize("version", ["v2", "v2beta2"])
def test_an_overlay_changes_the_release_where_it_stands(
    kubectl: Path, tmp_path: Path, repository: Path, version: str
) -> None:
    """A real HelmRelease that names no namespace keeps all else, its API version too."""
    source = repository / "sample-data/gitops/kubernetes/apps/ai/open-webui/app/helmrelease.yaml"
    text = source.read_text().replace("fluxcd.io/v2\n", f"fluxcd.io/{version}\n")
    write_files(tmp_path, write_helm(told((found(), landed()))))
    (tmp_path / "helmrelease.yaml").write_text(text)
    overlay = {"resources": ["helmrelease.yaml"], "components": ["git/overlays"]}
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(overlay))
    expected = yaml.safe_load(text)
    container = expected["spec"]["values"]["controllers"]["open-webui"]["containers"]["app"]
    container["resources"] = {
        "requests": {"cpu": "100m", "memory": "512Mi"},
        "limits": {"memory": "2Gi"},
    }
    assert yaml.safe_load(run(kubectl, "kustomize", tmp_path)) == expected


def test_an_overlay_of_a_values_file_takes_nothing_away() -> None:
    """What ``spec.values`` does not state cannot be removed from it; the values file still can."""
    landing = landed(path="web.resources", file="app/values.yaml")
    files = write_helm(told((found(), landing)))
    values = yaml.safe_load(files["git/values/helmrelease--ai--open-webui.yaml"])
    overlay = yaml.safe_load(files["git/overlays/helmrelease--ai--open-webui.yaml"])
    requests = {"cpu": "100m", "memory": "512Mi"}
    assert values["web"]["resources"] == {"requests": requests, "limits": {"cpu": None}}
    assert overlay["spec"]["values"]["web"]["resources"] == {"requests": requests}


def test_containers_of_one_application_share_its_file() -> None:
    """Two places become one tree; a third that leads through a list, or is advice, is a comment."""
    side = PLACE.replace("app.resources", "side.resources")
    listed = landed("three", "spec.values.list[0].resources")
    advice = landed("four", "spec.values.x.resources", status="advice", reason="odd\nbad: 1")
    pairs = [(found(), landed()), (found("side"), landed("side", side))]
    files = write_helm(told(*pairs, (found("three"), listed), (found("four"), advice)))
    text = files["git/values/helmrelease--ai--open-webui.yaml"].decode()
    (controllers,) = yaml.safe_load(text).values()
    assert set(controllers["open-webui"]["containers"]) == {"app", "side"}
    assert text.count("# Left out: ") == 2
    assert "# Left out: shop/Deployment/web/four: odd bad: 1\n" in text


def test_two_wishes_for_one_place_are_none() -> None:
    """Neither container decides for the other, whatever order they come in."""
    other = found("side", resources("200m", "512Mi", None, "2Gi"))
    files = write_helm(told((found(), landed()), (other, landed("side"))))
    assert list(files) == ["git/values/helmrelease--ai--open-webui.yaml"]
    (text,) = files.values()
    assert yaml.safe_load(text) == {}
    assert text.count(b"# Left out: ") == 2


def test_names_of_strangers_stay_inside() -> None:
    """Neither a folder nor a line of YAML is left, and a strange release gets no overlay."""
    landing = landed(
        path="spec.values.a: b\nkind.resources", application="HelmRelease ../../x\ny/z"
    )
    files = write_helm(told((found(), landing)))
    (name,) = files
    assert name.startswith("git/values/helmrelease--")
    assert name.count("/") == 2
    assert list(yaml.safe_load(files[name])) == ["a: b\nkind"]


def test_equal_decisions_give_equal_bytes() -> None:
    """The order in which landings arrive is no decision; without values there are no files."""
    one = (found(), landed())
    two = (found("side"), landed("side", "spec.values.side.resources"))
    assert write_helm(told(one, two)) == write_helm(told(two, one))
    assert write_helm(report(found())) == {}
