"""In-place resizes, applied by the real kubectl and the real shell."""

import json
import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from pytest_httpserver import HTTPServer

from analyzer.output import write_files
from analyzer.recommend import Recommendation
from analyzer.recommend.qos import qos_class
from analyzer.writers.resize import resize_of, write_resize
from tests.samples import recommendation, ref, report, resources

NOW = resources("1", "1Gi", "2", "2Gi")
NEW = resources("100m", "512Mi", "2", "3Gi")


def changed(name: str = "app", kind: str = "Deployment", **more: Any) -> Recommendation:
    """A recommendation from NOW to NEW."""
    return recommendation(NOW, NEW, of=ref(name, kind=kind), **more)


def patches(files: dict[str, bytes]) -> dict[str, Any]:
    """The patches by file name."""
    return {
        Path(name).name: json.loads(text)
        for name, text in files.items()
        if name.startswith("patches/resize/")
    }


def test_a_patch_holds_what_changes_and_nothing_else() -> None:
    """The CPU limit stays, so it is not written; init and app containers have their own lists."""
    files = write_resize(report(changed(), changed("vpn", container_type="sidecar")))
    amounts = {"requests": {"cpu": "100m", "memory": "512Mi"}, "limits": {"memory": "3Gi"}}
    assert patches(files) == {
        "shop--deployment--web.json": {
            "spec": {
                "containers": [{"name": "app", "resources": amounts}],
                "initContainers": [{"name": "vpn", "resources": amounts}],
            }
        }
    }


def test_a_pod_takes_the_patch_and_keeps_the_rest(kubectl: Path, tmp_path: Path) -> None:
    """Real kubectl merges it into a pod by container name; image and extended resources stay."""
    declared = {**NOW.as_manifest()}
    declared["limits"]["nvidia.com/gpu"] = "1"
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "web-1", "namespace": "shop"},
        "spec": {"containers": [{"name": "app", "image": "x", "resources": declared}]},
    }
    write_files(tmp_path, write_resize(report(changed())))
    (tmp_path / "pod.yaml").write_text(yaml.safe_dump(pod))
    patch = tmp_path / "patches/resize/shop--deployment--web.json"
    done = subprocess.run(
        [kubectl, "patch", "--local", "--dry-run=client", "-o", "yaml", "--type=strategic",
         "-f", tmp_path / "pod.yaml", "--patch-file", patch],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    (container,) = yaml.safe_load(done.stdout)["spec"]["containers"]
    assert container == {
        "name": "app",
        "image": "x",
        "resources": {
            "requests": {"cpu": "100m", "memory": "512Mi"},
            "limits": {"cpu": "2", "memory": "3Gi", "nvidia.com/gpu": "1"},
        },
    }


def test_where_memory_restarts_it_its_limit_is_lowered_and_the_call_says_so() -> None:
    """A container that begins anew is not killed for what it holds; it comes after the others."""
    lower = recommendation(NOW, resources("1", "512Mi", "2", "768Mi"), of=ref(workload="a"))
    calm = recommendation(NOW, resources("500m", "1Gi", "2", "2Gi"), of=ref(workload="b"))
    files = write_resize(report(replace(lower, restarts=("memory",)), calm))
    assert patches(files)["shop--deployment--a.json"]["spec"]["containers"] == [
        {
            "name": "app",
            "resources": {"requests": {"memory": "512Mi"}, "limits": {"memory": "768Mi"}},
        }
    ]
    script = files["patches/resize.sh"].decode()
    calls = [line for line in script.splitlines() if line.startswith(("resize shop", "# restarts"))]
    assert [line.split()[:4] for line in calls] == [
        ["resize", "shop", "Deployment", "b"],
        ["#", "restarts", "app", "(memory)"],
        ["resize", "shop", "Deployment", "a"],
    ]


def test_a_lowered_memory_limit_is_left_out_and_said() -> None:
    """A running container above its new limit would be killed."""
    found = recommendation(NOW, resources("100m", "512Mi", "1", "768Mi"))
    files = write_resize(report(found))
    (patch,) = patches(files).values()
    (container,) = patch["spec"]["containers"]
    assert container["resources"] == {
        "requests": {"cpu": "100m", "memory": "512Mi"},
        "limits": {"cpu": "1"},
    }
    assert (
        "# shop/Deployment/web/app: its memory limit is not lowered in place (from 2Gi to 768Mi)\n"
    ) in files["patches/resize.sh"].decode()


def test_a_request_stays_below_a_limit_that_cannot_be_taken_away() -> None:
    """The limit of 2 stays, so a request of 3 would be refused."""
    found = recommendation(NOW, resources("3", "512Mi", None, "2Gi"))
    assert resize_of(found).resources == {"requests": {"memory": "512Mi"}}
    assert resize_of(found).left_out == (
        "its cpu limit of 2 cannot be taken away in place",
        "its cpu request of 3 is above the limit that stays",
    )


@pytest.mark.parametrize(
    ("current", "proposed", "words"),
    [
        (resources("1", "1Gi", "1", "1Gi"), resources("1", "512Mi", "1", "512Mi"), "Guaranteed"),
        (resources(), resources("100m", "64Mi"), "BestEffort"),
    ],
)
def test_the_class_of_a_pod_never_changes(current: Any, proposed: Any, words: str) -> None:
    """The API server refuses it; a Guaranteed pod whose memory limit stays would lose its class."""
    files = write_resize(report(recommendation(current, proposed)))
    assert list(files) == ["patches/resize.sh"]
    assert f"cannot turn a {words} pod into a Burstable one" in files["patches/resize.sh"].decode()


def test_a_container_that_is_not_guaranteed_frees_its_neighbour() -> None:
    """One Burstable container makes the whole pod Burstable, whether it changes or not."""
    tight = recommendation(resources("1", "1Gi", "1", "1Gi"), resources("1", "1Gi", "2", "1Gi"))
    loose = recommendation(NOW, NOW, of=ref("side"))
    (patch,) = patches(write_resize(report(tight, loose))).values()
    assert patch["spec"]["containers"] == [{"name": "app", "resources": {"limits": {"cpu": "2"}}}]


def test_qos_classes_are_those_of_kubernetes() -> None:
    """Limits alone are requests too, so they make a pod Guaranteed."""
    assert qos_class([resources(), resources()]) == "BestEffort"
    assert qos_class([resources(cpu_limit="1", memory_limit="1Gi")]) == "Guaranteed"
    assert qos_class([resources(cpu_limit="1")]) == "Burstable"
    assert qos_class([NOW]) == "Burstable"


def test_what_cannot_be_resized_is_listed() -> None:
    """Init containers run once, pods of jobs come and go, and a strange name is a comment."""
    hostile = recommendation(NOW, NEW, of=ref(workload="web; rm -rf $HOME\nrm x"))
    job = recommendation(NOW, NEW, of=ref(kind="CronJob"))
    init = recommendation(NOW, NEW, of=ref("init"), container_type="init")
    files = write_resize(report(hostile, job, init))
    script = files["patches/resize.sh"].decode()
    assert list(files) == ["patches/resize.sh"]
    listed = script.split("# Left out:\n")[1].removesuffix('\nexit "$failed"\n').splitlines()
    assert len(listed) == 3
    assert all(line.startswith("# ") for line in listed)


def test_pods_that_give_back_come_before_those_that_ask_for_more() -> None:
    """A raise finds the room that another leaves, whatever the names."""
    more = recommendation(NEW, replace(NEW, cpu_request=NOW.cpu_request), of=ref(workload="a"))
    less = recommendation(NOW, NEW, of=ref(workload="b"))
    script = write_resize(report(more, less))["patches/resize.sh"].decode()
    calls = [line for line in script.splitlines() if line.startswith("resize shop")]
    assert [call.split()[3] for call in calls] == ["b", "a"]


def test_equal_decisions_give_equal_bytes() -> None:
    """The order in which recommendations arrive is no decision."""
    one, two = changed(), changed(kind="StatefulSet")
    assert write_resize(report(one, two)) == write_resize(report(two, one))


# --- the script, against an API server that answers with a few recorded objects ---------------


def owned(name: str, kind: str, owner: str) -> dict[str, Any]:
    """An object with one owner."""
    reference = {"apiVersion": "apps/v1", "kind": kind, "name": owner, "uid": "1"}
    return {"metadata": {"name": name, "namespace": "shop", "ownerReferences": [reference]}}


def serve_cluster(server: HTTPServer, refused: str = "") -> None:
    """Two Deployments and a StatefulSet that share a name prefix; `refused` cannot be resized."""
    core = {"kind": "APIResourceList", "groupVersion": "v1", "resources": [
        {"name": "pods", "singularName": "pod", "namespaced": True, "kind": "Pod",
         "verbs": ["get", "list", "patch"]},
    ]}  # fmt: skip
    apps = {"kind": "APIResourceList", "groupVersion": "apps/v1", "resources": [
        {"name": "replicasets", "singularName": "replicaset", "namespaced": True,
         "kind": "ReplicaSet", "verbs": ["get", "list"]},
    ]}  # fmt: skip
    version = {"groupVersion": "apps/v1", "version": "v1"}
    groups = {"kind": "APIGroupList", "apiVersion": "v1", "groups": [
        {"name": "apps", "versions": [version], "preferredVersion": version},
    ]}  # fmt: skip
    sets = [owned("web-7f", "Deployment", "web"), owned("web2-9c", "Deployment", "web2")]
    pods = [
        owned("web-7f-a", "ReplicaSet", "web-7f"),
        owned("web-7f-b", "ReplicaSet", "web-7f"),
        owned("web2-9c-a", "ReplicaSet", "web2-9c"),
        owned("web-0", "StatefulSet", "web"),
        {"metadata": {"name": "alone", "namespace": "shop"}},
    ]
    for pod in pods:
        pod |= {"apiVersion": "v1", "kind": "Pod", "spec": {"containers": [{"name": "app"}]}}
        path = f"/api/v1/namespaces/shop/pods/{pod['metadata']['name']}"
        status = 403 if pod["metadata"]["name"] == refused else 200
        reply: dict[str, Any] = {"kind": "Status", "status": "Failure", "code": status}
        reply = pod if status == 200 else reply
        server.expect_request(f"{path}/resize", method="GET").respond_with_json(pod)
        server.expect_request(f"{path}/resize", method="PATCH").respond_with_json(reply, status)
    for item in sets:
        item |= {"apiVersion": "apps/v1", "kind": "ReplicaSet"}
    answers = {
        "/api": {"kind": "APIVersions", "versions": ["v1"]},
        "/apis": groups,
        "/api/v1": core,
        "/apis/apps/v1": apps,
        "/apis/apps/v1/namespaces/shop/replicasets": {
            "kind": "ReplicaSetList", "apiVersion": "apps/v1", "metadata": {}, "items": sets,
        },
        "/api/v1/namespaces/shop/pods": {
            "kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": pods,
        },
    }  # fmt: skip
    for path, answer in answers.items():
        server.expect_request(path, method="GET").respond_with_json(answer)


def run_script(kubectl: Path, folder: Path, server: HTTPServer, *flags: str) -> tuple[int, str]:
    """Run the script with the real kubectl against `server`: its status and what it said."""
    programs = folder / "bin"
    programs.mkdir()
    (programs / "kubectl").symlink_to(kubectl)
    cluster = {"name": "c", "cluster": {"server": server.url_for("")}}
    context = {"name": "c", "context": {"cluster": "c", "user": "u"}}
    config = {
        "apiVersion": "v1", "kind": "Config", "current-context": "c",
        "clusters": [cluster], "contexts": [context], "users": [{"name": "u", "user": {}}],
    }  # fmt: skip
    (folder / "config").write_text(yaml.safe_dump(config))
    environment = {
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "KUBECONFIG": str(folder / "config"),
        "HOME": str(folder),
    }
    done = subprocess.run(
        ["sh", folder / "patches/resize.sh", *flags],
        capture_output=True, text=True, check=False, env=environment, cwd="/",
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


def resized(server: HTTPServer) -> dict[str, tuple[str, Any]]:
    """The query and the body of every resize asked for, by pod."""
    return {
        request.path.split("/")[-2]: (request.query_string.decode(), request.get_json(force=True))
        for request, _ in server.log
        if request.method == "PATCH"
    }


@pytest.mark.parametrize(
    ("kind", "pods"),
    [("Deployment", {"web-7f-a", "web-7f-b"}), ("StatefulSet", {"web-0"}), ("DaemonSet", set())],
)
def test_the_script_resizes_the_pods_of_the_workload_alone(
    kubectl: Path, tmp_path: Path, httpserver: HTTPServer, kind: str, pods: set[str]
) -> None:
    """Pods are told by who owns them: neither by a prefix of their name nor by the name alone."""
    folder = tmp_path / "a folder"
    files = write_resize(report(changed(kind=kind)))
    write_files(folder, files)
    serve_cluster(httpserver)
    status, said = run_script(kubectl, folder, httpserver, "--dry-run=server")
    assert status == 0, said
    found = resized(httpserver)
    assert set(found) == pods
    (patch,) = patches(files).values()
    for query, body in found.values():
        assert "dryRun=All" in query
        assert body == patch


def test_the_script_goes_on_after_a_refusal_and_fails_in_the_end(
    kubectl: Path, tmp_path: Path, httpserver: HTTPServer
) -> None:
    """One pod that cannot be resized does not keep the others from it."""
    write_files(tmp_path, write_resize(report(changed(), changed(kind="StatefulSet"))))
    serve_cluster(httpserver, refused="web-7f-a")
    status, said = run_script(kubectl, tmp_path, httpserver)
    assert status == 1, said
    assert {"web-7f-b", "web-0"} <= set(resized(httpserver))


def test_the_script_is_plain_shell(tmp_path: Path) -> None:
    """Whatever shell is at hand reads it."""
    write_files(tmp_path, write_resize(report(changed())))
    for shell in filter(shutil.which, ("sh", "bash", "dash")):
        subprocess.run([shell, "-n", tmp_path / "patches/resize.sh"], check=True)
