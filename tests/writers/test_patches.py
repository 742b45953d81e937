"""Patches of objects, applied by the real kubectl."""

import json
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from analyzer.history import Skipped
from analyzer.output import write_files
from analyzer.quantity import Resources
from analyzer.recommend import Recommendation
from analyzer.recommend.recommendation import Companion
from analyzer.spec import Spot
from analyzer.writers.json6902 import write_json6902
from analyzer.writers.kubectl import write_kubectl
from analyzer.writers.kustomize import write_kustomize
from analyzer.writers.resize import write_resize
from tests.samples import recommendation, ref, report, resources

NOW = resources("1", "1Gi", "2", "2Gi")
NEW = resources("100m", "512Mi", None, "768Mi")
LEFT_OUT = "patches/json6902/LEFT-OUT.txt"


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


SCALER = {
    "apiVersion": "autoscaling/v2",
    "kind": "HorizontalPodAutoscaler",
    "metadata": {"name": "web", "namespace": "shop"},
    "spec": {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
        "metrics": [
            {"type": "Resource", "resource": {"name": "cpu", "target": {"averageUtilization": 60}}}
        ],
    },
}
TARGET = "/spec/metrics/0/resource/target/averageUtilization"


def scaled(spot: Spot | None, *along: str) -> Recommendation:
    """A change that goes together with the target of its HPA, from 60 % to 75 %."""
    refs = along or (str(ref("app")),)
    companion = Companion("scale target", "web", "cpu", "60", "75", "why", None, refs, "", spot)
    return replace(changed(), companions=(companion,))


HPA_SPOT = Spot("autoscaling/v2", "HorizontalPodAutoscaler", "web", TARGET)


def test_the_target_of_an_autoscaler_is_patched_along(kubectl: Path, tmp_path: Path) -> None:
    """One Component changes both; the script changes the target first, where it is as it was."""
    of = report(scaled(HPA_SPOT))
    after = build(kubectl, tmp_path, [workload("Deployment"), SCALER], write_kustomize(of))
    metrics = next(m for m in after if m["kind"] == SCALER["kind"])["spec"]["metrics"]
    assert metrics[0]["resource"]["target"] == {"averageUtilization": 75}
    lines = write_kubectl(of)["patches/kubectl.sh"].decode().splitlines()[4:]
    assert lines[0].startswith("kubectl patch horizontalpodautoscaler.autoscaling/web")
    assert f'"op": "test", "path": "{TARGET}", "value": 60' in lines[0]
    assert lines[1].startswith("kubectl set resources")
    resize = write_resize(of)
    assert list(resize) == ["patches/resize.sh"]
    assert b"changes with it, which a resize cannot do" in resize["patches/resize.sh"]


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (scaled(None), "which object has it is not known"),
        (scaled(replace(HPA_SPOT, name="$(id)")), "is not a Kubernetes name"),
        (scaled(HPA_SPOT, str(ref("app")), str(ref("side"))), "not among the changes"),
    ],
)
def test_no_patch_is_written_without_what_goes_along(found: Recommendation, reason: str) -> None:
    """Both or none, in every form of patch."""
    assert list(write_kustomize(report(found))) == ["patches/kustomize/kustomization.yaml"]
    assert reason in write_json6902(report(found))[LEFT_OUT].decode()
    script = write_kubectl(report(found))["patches/kubectl.sh"].decode()
    assert reason in script and "\nkubectl" not in script


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
    the request asked for is 512Mi, so both are written.
    """
    declared = resources(memory_limit="1Gi")
    found = recommendation(declared.effective(), resources(memory="512Mi", memory_limit="768Mi"))
    (after,) = build(
        kubectl, tmp_path, [workload("Deployment", declared)], write_kustomize(report(found))
    )
    assert pod_spec(after)["containers"][0]["resources"] == {
        "requests": {"memory": "512Mi"},
        "limits": {"memory": "768Mi", "nvidia.com/gpu": "1"},
    }


LAYOUTS = {"beside": ["../base"], "above": ["../inner"]}


def overlay(
    kubectl: Path,
    folder: Path,
    files: dict[str, bytes],
    layout: str,
    declared: str | None = None,
) -> list[dict[str, Any]]:
    """Build the usual layout: a base, a kustomization that sets ``namespace: shop``, and the
    Component either in that very one (beside) or in one above it.

    `declared` is the namespace that the base itself states.
    """
    base = workload("Deployment")
    base["metadata"] = {"name": "web"} | ({"namespace": declared} if declared else {})
    texts: dict[str, Any] = {
        "base/web.yaml": base,
        "base/kustomization.yaml": {"resources": ["web.yaml"]},
        "inner/kustomization.yaml": {"namespace": "shop", "resources": ["../base"]},
        "top/kustomization.yaml": {
            "resources": LAYOUTS[layout],
            "components": ["../patches/kustomize"],
            **({"namespace": "shop"} if layout == "beside" else {}),
        },
    }
    write_files(folder, files | {k: yaml.safe_dump(v).encode() for k, v in texts.items()})
    return list(yaml.safe_load_all(run(kubectl, "kustomize", folder / "top")))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("declared", [None, "shop"])
def test_the_component_works_where_the_overlay_sets_the_namespace(
    kubectl: Path, tmp_path: Path, layout: str, declared: str | None
) -> None:
    """Bases seldom declare a namespace; a patch is never passed over for want of it."""
    (after,) = overlay(kubectl, tmp_path, write_kustomize(report(changed())), layout, declared)
    assert after["metadata"] == {"name": "web", "namespace": "shop"}
    assert pod_spec(after)["containers"][0]["resources"]["requests"]["cpu"] == "100m"


def test_namesakes_in_two_namespaces_are_told_apart(kubectl: Path, tmp_path: Path) -> None:
    """Where another namespace has the same kind and name, each gets its own amounts, and the files
    say what the target then asks for; a namesake that was skipped counts as well.
    """
    elsewhere = replace(ref(), namespace="test")
    other = recommendation(NOW, resources("200m", "512Mi"), of=elsewhere)
    files = write_kustomize(report(changed(), other))
    twin = workload("Deployment")
    twin["metadata"]["namespace"] = "test"
    after = build(kubectl, tmp_path / "both", [workload("Deployment"), twin], files)
    requests = [pod_spec(each)["containers"][0]["resources"]["requests"]["cpu"] for each in after]
    assert requests == ["100m", "200m"]
    assert all(
        content.startswith(b"# A workload of another namespace") for content in files.values()
    )
    files = write_kustomize(report(changed(), skipped=(Skipped(elsewhere, "short"),)))
    (above,) = overlay(kubectl, tmp_path / "above", files, "above")
    assert pod_spec(above)["containers"][0]["resources"]["requests"]["cpu"] == "100m"
    (stays,) = build(kubectl, tmp_path / "twin", [twin], files)
    assert stays == twin


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
        (resources("1", "1Gi"), resources("500m", "1Gi")),
        (resources("1", None, None, "1Gi"), resources("500m", "512Mi", None, "768Mi")),
    ],
)
def test_json_patches_apply_to_the_one_container(
    kubectl: Path, tmp_path: Path, declared: Resources, proposed: Resources
) -> None:
    """RFC 6902 patches reach what is declared, and requests that only follow from a limit."""
    found = recommendation(declared.effective(), proposed)
    files = write_json6902(report(found))
    manifest = single(declared)
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
    assert set(files) == {"patches/json6902/kustomization.yaml", LEFT_OUT}
    assert "shop/Deployment/web: it has 2 containers" in files[LEFT_OUT].decode()


@pytest.mark.parametrize(
    ("declared", "proposed", "written"),
    [
        (resources("1", "1Gi", "1", "1Gi"), resources("1", "512Mi", "1", "512Mi"), False),
        (resources("1", "1Gi", "1", "1Gi"), resources("1", "1Gi", "1", "512Mi"), False),
        (resources("1", "1Gi", "2", "1Gi"), resources("500m", "512Mi", "2", "512Mi"), True),
        (resources("1", "1Gi"), resources("1", "1Gi", None, "2Gi"), False),
        (resources("1", "1Gi"), resources("1", "512Mi"), True),
        (Resources(), resources("50m", "64Mi"), False),
    ],
)
def test_no_json_patch_takes_away_what_else_is_declared(
    kubectl: Path, tmp_path: Path, declared: Resources, proposed: Resources, written: bool
) -> None:
    """Ephemeral storage and devices stay; where a patch could not promise that, it is left out."""
    manifest = single(declared)
    amounts = pod_spec(manifest)["containers"][0]["resources"]
    for part in ("requests", "limits"):
        amounts.setdefault(part, {})["ephemeral-storage"] = "2Gi"
    files = write_json6902(report(recommendation(declared, proposed)))
    patch = files.get("patches/json6902/shop--deployment--web.json")
    assert (patch is not None) == written
    assert (b"shop/Deployment/web: whether it declares" in files.get(LEFT_OUT, b"")) != written
    if patch is None:
        return
    (tmp_path / "object.yaml").write_text(yaml.safe_dump(manifest))
    local = run(
        kubectl, "patch", "--local", "--type=json", "-o", "json",
        "-f", tmp_path / "object.yaml", "-p", patch.decode(),
    )  # fmt: skip
    after = pod_spec(json.loads(local))["containers"][0]["resources"]
    kept = {"limits": {"nvidia.com/gpu": "1", "ephemeral-storage": "2Gi"}}
    kept["requests"] = {"ephemeral-storage": "2Gi"}
    wanted = proposed.as_manifest()
    assert after == {part: kept[part] | wanted.get(part, {}) for part in kept}


def test_the_script_reaches_init_containers(kubectl: Path, tmp_path: Path) -> None:
    """A changed init container or sidecar has its command too."""
    (tmp_path / "object.yaml").write_text(yaml.safe_dump(workload("Deployment")))
    files = write_kubectl(report(changed("init", container_type="init")))
    (line,) = [
        text
        for text in files["patches/kubectl.sh"].decode().splitlines()
        if text.startswith("kubectl ")
    ]
    words = line.split()
    target = words.index("deployment/web")
    words[target : target + 2] = ["--local", "-f", str(tmp_path / "object.yaml"), "-o", "json"]
    after = pod_spec(json.loads(run(kubectl, *words[1:])))
    assert after["initContainers"][0]["resources"]["requests"] == {"cpu": "100m", "memory": "512Mi"}
    assert after["containers"] == pod_spec(workload("Deployment"))["containers"]


def test_the_script_names_what_it_leaves_out() -> None:
    """A change without a command is a comment with the reason, on one line whatever the name."""
    evil = recommendation(NOW, NEW, of=ref(workload="a\nrm -rf x\r\u2028y"))
    job = recommendation(NOW, NEW, of=ref(kind="Job"))
    script = write_kubectl(report(job, evil))["patches/kubectl.sh"].decode()
    assert "# shop/Job/web: a Job's pod template cannot be changed" in script
    body = script.split("set -eu\n")[1]
    assert all(line.startswith("#") for line in body.splitlines() if line)


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
    assert set(write_json6902(strange)) == {"patches/json6902/kustomization.yaml", LEFT_OUT}
    assert (
        "set resources"
        not in write_kubectl(strange)["patches/kubectl.sh"].decode().split("eu\n")[1]
    )


def test_equal_decisions_give_equal_bytes() -> None:
    """Neither the order of recommendations nor the day changes a patch."""
    one, two = changed(), changed("side")
    assert write_kustomize(report(one, two)) == write_kustomize(report(two, one))


def rollout(*containers: str) -> dict[str, Any]:
    """A manifest of an Argo Rollout."""
    made = workload("Deployment")
    pod_spec(made)["initContainers"] = []
    pod_spec(made)["containers"] = [container(name, NOW) for name in containers]
    return made | {"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout"}


def test_a_rollout_takes_a_json_patch(kubectl: Path, tmp_path: Path) -> None:
    """Kustomize has no schema of it: a strategic merge would replace its containers."""
    made = report(changed(kind="Rollout"))
    assert not any("rollout" in path for path in write_kustomize(made))
    (built,) = build(kubectl, tmp_path, [rollout("app")], write_json6902(made))
    (app,) = pod_spec(built)["containers"]
    assert app["resources"]["requests"] == {"cpu": "100m", "memory": "512Mi"}
    assert app["resources"]["limits"] == {"memory": "768Mi", "nvidia.com/gpu": "1"}
    script = write_kubectl(made)["patches/kubectl.sh"].decode()
    assert "kubectl patch rollout.argoproj.io/web --namespace=shop --type=json" in script
    assert "Left out" not in script


def test_a_rollout_without_any_patch_says_the_true_reason() -> None:
    """Of two containers the order is not known, and no operator is blamed."""
    made = report(changed("app", kind="Rollout"), changed("side", kind="Rollout"))
    script = write_kubectl(made)["patches/kubectl.sh"].decode()
    (line,) = [line for line in script.splitlines() if line.startswith("# shop/Rollout/web")]
    assert "no schema of Rollout" in line
    assert "it has 2 containers, and metrics do not tell their order" in line
    assert "kubectl patch" not in script
