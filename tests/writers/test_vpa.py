"""VerticalPodAutoscaler objects, built by the real kustomize."""

import subprocess
from pathlib import Path
from typing import Any

import yaml

from analyzer.output import write_files
from analyzer.recommend import Recommendation
from analyzer.writers.vpa import write_vpa
from tests.samples import recommendation, ref, report, resources

NOW = resources("1", "1Gi", "2", "2Gi")
NEW = resources("100m", "512Mi", None, "768Mi")


def changed(name: str = "app", workload: str = "web", **more: Any) -> Recommendation:
    """A recommendation from NOW to NEW."""
    kind = more.pop("kind", "Deployment")
    return recommendation(NOW, NEW, of=ref(name, workload, kind), **more)


def build(kubectl: Path, folder: Path, files: dict[str, bytes]) -> list[dict[str, Any]]:
    """The objects of the written kustomization, as kustomize builds them."""
    write_files(folder, files)
    done = subprocess.run(
        [kubectl, "kustomize", folder / "patches/vpa"], capture_output=True, text=True, check=True
    )
    return list(yaml.safe_load_all(done.stdout))


def test_one_object_that_only_advises_for_each_workload(kubectl: Path, tmp_path: Path) -> None:
    """The whole object, field by field as autoscaling.k8s.io/v1 has them."""
    policy = {"controlledResources": ["cpu", "memory"], "controlledValues": "RequestsOnly"}
    (built,) = build(
        kubectl,
        tmp_path,
        write_vpa(report(changed(), changed("side"), recommendation(NOW, NOW, of=ref("same")))),
    )
    assert built == {
        "apiVersion": "autoscaling.k8s.io/v1",
        "kind": "VerticalPodAutoscaler",
        "metadata": {
            "name": "rightsize-deployment-web",
            "namespace": "shop",
            "labels": {"app.kubernetes.io/managed-by": "rightsize"},
        },
        "spec": {
            "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
            "updatePolicy": {"updateMode": "Off"},
            "resourcePolicy": {
                "containerPolicies": [
                    {"containerName": "app", **policy},
                    {"containerName": "side", **policy},
                ]
            },
        },
    }


def test_off_stays_text() -> None:
    """A bare ``Off`` is false to YAML 1.1, so the quotes matter."""
    text = write_vpa(report(changed()))["patches/vpa/shop--deployment--web.yaml"]
    assert b"updateMode: 'Off'" in text


def test_kinds_with_one_name_get_objects_of_their_own(kubectl: Path, tmp_path: Path) -> None:
    """Real kustomize refuses two objects with one identity."""
    files = write_vpa(report(changed(), changed(kind="StatefulSet"), changed(kind="CronJob")))
    built = build(kubectl, tmp_path, files)
    assert {item["spec"]["targetRef"]["kind"]: item["metadata"]["name"] for item in built} == {
        "CronJob": "rightsize-cronjob-web",
        "Deployment": "rightsize-deployment-web",
        "StatefulSet": "rightsize-statefulset-web",
    }


def test_the_proposal_stands_beside_the_object() -> None:
    """What the advice is to be compared with is read without another file."""
    text = write_vpa(report(changed()))["patches/vpa/shop--deployment--web.yaml"]
    assert text.startswith(b"# Proposed requests of app: cpu 100m, memory 512Mi\n")


def test_what_gets_none_is_listed() -> None:
    """Init containers alone, overlong names, operators' objects and names that are none."""
    found = [
        changed("setup", container_type="init"),
        changed(workload="a" * 250),
        changed(workload="odd", kind="Cluster"),
        changed(workload="x\nkind: Pod"),
    ]
    files = write_vpa(report(*found))
    text = files["patches/vpa/kustomization.yaml"].decode()
    assert list(files) == ["patches/vpa/kustomization.yaml"]
    assert text.count("# Left out: ") == 4
    assert yaml.safe_load(text)["resources"] == []


def test_equal_decisions_give_equal_bytes() -> None:
    """The order in which recommendations arrive is no decision."""
    one, two = changed(), changed("side")
    assert write_vpa(report(one, two)) == write_vpa(report(two, one))
