"""Patches of objects, applied by the real kubectl."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from analyzer.history import Skipped
from analyzer.output import write_files
from analyzer.quantity import Resources
from analyzer.recommend import Recommendation
from analyzer.writers.json6902 import write_json6902
from analyzer.writers.kubectl import write_kubectl
from analyzer.writers.kustomize import write_kustomize
from tests.samples import recommendation, ref, report, resources

NOW = resources("1", "1Gi", "2", "2Gi")
NEW = resources("100m", "512Mi", None, "768Mi")


def container(name: str, current: Resources, **extra: str) -> dict[str, Any]:
    """A container of a manifest, with an unrelated extended resource that must survive."""
    declared: dict[str, dict[str, str]] = current.as_manifest()
    declared.setdefault("limits", {})["nvidia.com/gpu"] = "1"
    return {"name": name, "image": "x", "resources": declared, **extra}


def workload(kind: str, current: Resources = NOW) -> dict[str, Any]:
    """A manifest with two containers and an init container."""
    spec = {
        "initContainers": [container("init", current)],
        "containers": [container("app", current), container("side", current)],
    }
    template = {"metadata": {"labels": {"app": "web"}}, "spec": spec}
    metadata = {"name": "web", "namespace": "shop"}
    if kind == "CronJob":
        job = {"jobTemplate": {"spec": {"template": template}}, "schedule": "0 3 * * *"}
        return {"apiVersion": "batch/v1", "kind": kind, "metadata": metadata, "spec": job}
    body = {"selector": {"matchLabels": {"app": "web"}}, "template": template}
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": metadata, "spec": body}


def pod_spec(manifest: dict[str, Any]) -> dict[str, Any]:
    """The pod spec inside a workload."""
    spec = manifest["spec"]
    spec = spec["jobTemplate"]["spec"] if "jobTemplate" in spec else spec
    found: dict[str, Any] = spec["template"]["spec"]
    return found


def changed(name: str = "app", kind: str = "Deployment", **more: Any) -> Recommendation:
    """A recommendation from NOW to NEW."""
    return recommendation(NOW, NEW, of=ref(name, kind=kind), **more)


def run(*words: str | Path, stdin: str | None = None) -> str:
    """Run a program that must succeed."""
    done = subprocess.run(
        [str(word) for word in words], input=stdin, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def build(
    kubectl: Path, folder: Path, manifests: list[dict[str, Any]], files: dict[str, bytes]
) -> list[dict[str, Any]]:
    """Build an overlay of `manifests` that takes in the written Component."""
    write_files(folder, files)
    (component,) = folder.glob("patches/*/kustomization.yaml")
    (folder / "all.yaml").write_text(yaml.safe_dump_all(manifests))
    overlay = {
        "resources": ["all.yaml"],
        "components": [str(component.parent.relative_to(folder))],
    }
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(overlay))
    return list(yaml.safe_load_all(run(kubectl, "kustomize", folder)))


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet", "DaemonSet", "CronJob"])
def test_kustomize_changes_just_the_container_meant(
    kubectl: Path, tmp_path: Path, kind: str
) -> None:
    """One container gets the new amounts; its extended resource and its neighbours stay."""
    files = write_kustomize(report(changed(kind=kind)))
    (after,) = build(kubectl, tmp_path, [workload(kind)], files)
    expected = workload(kind)
    pod_spec(expected)["containers"][0]["resources"] = {
        "requests": {"cpu": "100m", "memory": "512Mi"},
        "limits": {"memory": "768Mi", "nvidia.com/gpu": "1"},
    }
    assert after == expected


def test_kustomize_reaches_init_containers(kubectl: Path, tmp_path: Path) -> None:
    """Init containers and native sidecars live in their own list."""
    files = write_kustomize(report(changed("init", container_type="sidecar")))
    (after,) = build(kubectl, tmp_path, [workload("Deployment")], files)
    limits = pod_spec(after)["initContainers"][0]["resources"]["limits"]
    assert limits == {"memory": "768Mi", "nvidia.com/gpu": "1"}
    assert pod_spec(after)["containers"] == pod_spec(workload("Deployment"))["containers"]


def test_an_overlay_without_the_workload_still_builds(kubectl: Path, tmp_path: Path) -> None:
    """One Component serves every overlay of the cluster; strangers are passed over."""
    other = workload("Deployment")
    other["metadata"]["name"] = "other"
    dotted = recommendation(NOW, NEW, of=ref(workload="we.b"))
    files = write_kustomize(report(changed(), dotted))
    assert build(kubectl, tmp_path, [other], files) == [other]


def test_a_lowered_limit_writes_the_request_that_followed_it(kubectl: Path, tmp_path: Path) -> None:
    """A limit alone is also the request: 1Gi stays requested when the limit falls to 768Mi... and
    the request asked for is 512Mi, so both are written."""
    declared = resources(memory_limit="1Gi")
    found = recommendation(declared.effective(), resources(memory="512Mi", memory_limit="768Mi"))
    (after,) = build(
        kubectl, tmp_path, [workload("Deployment", declared)], write_kustomize(report(found))
    )
    assert pod_spec(after)["containers"][0]["resources"] == {
        "requests": {"memory": "512Mi"},
        "limits": {"memory": "768Mi", "nvidia.com/gpu": "1"},
    }


def single(current: Resources) -> dict[str, Any]:
    """A Deployment with the one container `app`."""
    manifest = workload("Deployment", current)
    pod_spec(manifest).pop("initContainers")
    pod_spec(manifest)["containers"].pop()
    return manifest


@pytest.mark.parametrize(
    ("declared", "proposed"),
    [
        (NOW, NEW),
        (resources(memory_limit="1Gi"), resources("50m", "512Mi", None, "768Mi")),
        (Resources(), resources("50m", "64Mi")),
        (resources("1", "1Gi"), resources("500m", "1Gi")),
    ],
)
def test_json_patches_apply_to_the_one_container(
    kubectl: Path, tmp_path: Path, declared: Resources, proposed: Resources
) -> None:
    """RFC 6902 patches reach what is declared, defaulted, or not there at all."""
    found = recommendation(declared.effective(), proposed)
    files = write_json6902(report(found))
    manifest = single(declared)
    if declared == Resources():
        pod_spec(manifest)["containers"][0].pop("resources")
    (after,) = build(kubectl, tmp_path, [manifest], files)
    amounts = pod_spec(after)["containers"][0]["resources"]
    amounts.get("limits", {}).pop("nvidia.com/gpu", None)
    assert {k: v for k, v in amounts.items() if v} == proposed.as_manifest()
    patch = files["patches/json6902/shop--deployment--web.json"].decode()
    (tmp_path / "object.yaml").write_text(yaml.safe_dump(manifest))
    local = run(
        kubectl, "patch", "--local", "--type=json", "-o", "json",
        "-f", tmp_path / "object.yaml", "-p", patch,
    )  # fmt: skip
    assert pod_spec(json.loads(local))["containers"][0]["resources"].get("requests") == (
        proposed.as_manifest().get("requests")
    )


def test_a_json_patch_refuses_the_wrong_container(kubectl: Path, tmp_path: Path) -> None:
    """Applied to an object whose first container has another name, it fails and changes nothing."""
    manifest = single(NOW)
    pod_spec(manifest)["containers"][0]["name"] = "other"
    (tmp_path / "object.yaml").write_text(yaml.safe_dump(manifest))
    patch = write_json6902(report(changed()))["patches/json6902/shop--deployment--web.json"]
    done = subprocess.run(
        [kubectl, "patch", "--local", "--type=json", "-f", tmp_path / "object.yaml", "-p", patch],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "test" in done.stderr.lower()


def test_json_patches_are_not_written_where_the_order_is_unknown() -> None:
    """Metrics do not tell the order of containers; a skipped neighbour counts too."""
    files = write_json6902(report(changed(), skipped=(Skipped(ref("side"), "short"),)))
    assert set(files) == {"patches/json6902/kustomization.yaml"}


def test_the_script_sets_and_removes(kubectl: Path, tmp_path: Path) -> None:
    """`kubectl set resources`, run locally for the same object, gives the proposed amounts."""
    (tmp_path / "object.yaml").write_text(yaml.safe_dump(single(NOW)))
    script = write_kubectl(report(changed()))["patches/kubectl.sh"].decode()
    (line,) = [text for text in script.splitlines() if text.startswith("kubectl ")]
    words = line.split()
    target = words.index("deployment/web")
    words[target : target + 2] = ["--local", "-f", str(tmp_path / "object.yaml"), "-o", "json"]
    after = json.loads(run(kubectl, *words[1:]))
    amounts = pod_spec(after)["containers"][0]["resources"]
    assert amounts["requests"] == {"cpu": "100m", "memory": "512Mi"}
    assert amounts["limits"]["memory"] == "768Mi"
    assert amounts["limits"].get("cpu", "0") == "0"


@pytest.mark.parametrize("name", ["a;rm -rf x", "../../etc", "a\nb: c", "$(id)", "`id`", "A"])
def test_strange_names_make_no_patch(name: str) -> None:
    """What Kubernetes could not have named is nobody's container; nothing is written for it."""
    strange = report(
        recommendation(NOW, NEW, of=ref(name)), recommendation(NOW, NEW, of=ref(workload=name))
    )
    assert set(write_kustomize(strange)) == {"patches/kustomize/kustomization.yaml"}
    assert set(write_json6902(strange)) == {"patches/json6902/kustomization.yaml"}
    assert (
        "set resources"
        not in write_kubectl(strange)["patches/kubectl.sh"].decode().split("eu\n")[1]
    )


def test_equal_decisions_give_equal_bytes() -> None:
    """Neither the order of recommendations nor the day changes a patch."""
    one, two = changed(), changed("side")
    assert write_kustomize(report(one, two)) == write_kustomize(report(two, one))
