"""Asking the cluster who owns its workloads, with the real kubectl.

No API server can be had here: a few lines of http.server stand in for one. They answer lists page
by page as the real one does, and check neither schema nor rights beyond what a test sets up.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml

from analyzer.beforehand import cluster_labels
from analyzer.config import Config, GitSettings, KubernetesSettings
from analyzer.gitops.index.repository_index import index_repository
from analyzer.gitops.index.trace import LiveContainer, trace_one
from analyzer.sources.kubernetes import (
    ClusterError,
    by_kubectl,
    by_service_account,
    find_way,
    owners,
    surroundings,
)
from analyzer.workload import CONTROLLED_BY, ContainerRef
from tests.gitops.conftest import Plant


@dataclass
class Cluster:
    """What the stand-in has, and what it was asked."""

    objects: dict[str, list[dict[str, object]]] = field(default_factory=dict)
    refused: dict[str, tuple[int, str]] = field(default_factory=dict)
    page: int = 2
    asked: list[tuple[str, str, str]] = field(default_factory=list)
    address: str = ""

    def add(self, path: str, namespace: str, name: str, **metadata: object) -> None:
        meta = {"namespace": namespace, "name": name, **metadata}
        self.objects.setdefault(path, []).append({"metadata": meta, "spec": {"x": "y" * 100}})


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    """A stand-in for an API server on loopback."""
    found = Cluster()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            url = urlsplit(self.path)
            found.asked.append(("GET", self.path, self.headers.get("Authorization", "")))
            if url.path in found.refused:
                code, message = found.refused[url.path]
                reason = {"reason": "NotFound"} if code == 404 else {}
                status = {"kind": "Status", "status": "Failure", "message": message, **reason}
                self.reply(code, status)
                return
            items = found.objects.get(url.path, [])
            query = parse_qs(url.query)
            start = int(query.get("continue", ["0"])[0])
            size = min(found.page, int(query["limit"][0]))
            more = str(start + size) if start + size < len(items) else ""
            page = items[start : start + size]
            self.reply(200, {"kind": "XList", "metadata": {"continue": more}, "items": page})

        def reply(self, code: int, value: object) -> None:
            body = json.dumps(value).encode()
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    found.address = f"http://127.0.0.1:{server.server_address[1]}"
    yield found
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def kubeconfig(cluster: Cluster, tmp_path: Path) -> Path:
    """A kubeconfig with two contexts, of which the current one leads nowhere."""
    path = tmp_path / "kubeconfig"
    value = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "other",
        "clusters": [
            {"name": "here", "cluster": {"server": cluster.address}},
            {"name": "other", "cluster": {"server": "http://127.0.0.1:1"}},
        ],
        "users": [{"name": "me", "user": {}}],
        "contexts": [
            {"name": name, "context": {"cluster": name, "user": "me"}} for name in ("here", "other")
        ],
    }
    path.write_text(yaml.safe_dump(value), "utf-8")
    return path


DEPLOYMENTS = "/apis/apps/v1/deployments"


def test_every_page_is_read_and_a_few_labels_are_kept(
    kubectl: Path, cluster: Cluster, kubeconfig: Path
) -> None:
    """Five Deployments on pages of two; of their metadata only what tells the owner is kept."""
    for number in range(5):
        labels = {"helm.toolkit.fluxcd.io/name": f"r{number}", "secret": "x"}
        cluster.add(DEPLOYMENTS, "apps", f"web{number}", labels=labels)
    answer = owners(by_kubectl(str(kubectl), "here", str(kubeconfig)))
    assert answer.problems == []
    assert answer.labels == {
        ("apps", "Deployment", f"web{n}"): {"helm_toolkit_fluxcd_io_name": f"r{n}"}
        for n in range(5)
    }
    asked = [path for _, path, _ in cluster.asked if path.startswith(DEPLOYMENTS)]
    pages = [path.replace("&timeout=30s", "") for path in asked]
    assert pages == [
        f"{DEPLOYMENTS}?limit=500",
        f"{DEPLOYMENTS}?continue=2&limit=500",
        f"{DEPLOYMENTS}?continue=4&limit=500",
    ]


def test_only_lists_of_workloads_are_asked_for(
    kubectl: Path, cluster: Cluster, kubeconfig: Path
) -> None:
    """Nothing is written, and no Secret or ConfigMap is read."""
    answer = owners(
        by_kubectl(str(kubectl), "here", str(kubeconfig)), ["a", "b/../../secrets", "c"]
    )
    (problem,) = answer.problems
    assert problem.endswith(": 'b/../../secrets' is no name of a namespace")
    assert {method for method, _, _ in cluster.asked} == {"GET"}
    assert [urlsplit(path).path for _, path, _ in cluster.asked] == [
        f"/apis/{group}/namespaces/{namespace}/{plural}"
        for namespace in ("a", "c")
        for group, plural in (
            ("apps/v1", "deployments"),
            ("apps/v1", "statefulsets"),
            ("apps/v1", "daemonsets"),
            ("batch/v1", "cronjobs"),
            ("argoproj.io/v1alpha1", "rollouts"),
        )
    ]


def test_a_cluster_that_is_not_there_is_not_asked_on_and_on(
    kubectl: Path, kubeconfig: Path
) -> None:
    """Of three namespaces with four lists each, two are asked for; one sentence says why."""
    asked = []
    ask = by_kubectl(str(kubectl), "other", str(kubeconfig))

    def counted(path: str) -> bytes:
        asked.append(path)
        return ask(path)

    answer = owners(counted, ["a", "b", "c"])
    (problem,) = answer.problems
    assert "could not be asked" in problem
    assert "refused" in problem
    assert len(asked) == 2


def test_what_is_forbidden_is_said_and_the_rest_is_read(
    kubectl: Path, cluster: Cluster, kubeconfig: Path
) -> None:
    """One sentence for each list that was refused, with the server's own words."""
    cluster.refused[DEPLOYMENTS] = (403, "deployments.apps is forbidden: User me cannot list")
    cluster.add("/apis/apps/v1/statefulsets", "db", "pg")
    answer = owners(by_kubectl(str(kubectl), "here", str(kubeconfig)))
    assert list(answer.labels) == [("db", "StatefulSet", "pg")]
    (problem,) = answer.problems
    assert problem.startswith("the cluster did not list deployments of all namespaces: kubectl")
    assert "User me cannot list" in problem
    assert "\n" not in problem


def test_a_kind_that_the_cluster_lacks_is_no_problem(
    kubectl: Path, cluster: Cluster, kubeconfig: Path
) -> None:
    """Without Argo Rollouts there is nothing to list; a built-in kind that is gone is a fault."""
    cluster.refused["/apis/argoproj.io/v1alpha1/rollouts"] = (404, "the server could not find it")
    cluster.add(DEPLOYMENTS, "apps", "web")
    assert owners(by_kubectl(str(kubectl), "here", str(kubeconfig))).problems == []
    cluster.refused[DEPLOYMENTS] = (404, "the server could not find it")
    (problem,) = owners(by_kubectl(str(kubectl), "here", str(kubeconfig))).problems
    assert problem.startswith("the cluster did not list deployments")


def test_a_page_that_expires_keeps_what_was_read(
    kubectl: Path, cluster: Cluster, kubeconfig: Path
) -> None:
    """A list that breaks off in the middle is partial, and says so."""
    for number in range(3):
        cluster.add(DEPLOYMENTS, "apps", f"web{number}")
    ask = by_kubectl(str(kubectl), "here", str(kubeconfig))

    def breaking(path: str) -> bytes:
        if "continue=" in path:
            cluster.refused[DEPLOYMENTS] = (410, "the provided continue parameter is too old")
        return ask(path)

    answer = owners(breaking)
    assert len(answer.labels) == 2
    assert "too old" in answer.problems[0]


@pytest.mark.parametrize("content", [b"", b"[]", b"<html>", b'{"kind": "Status"}', b"\xff"])
def test_what_is_no_list_is_a_problem_in_words(content: bytes) -> None:
    """A proxy's page or another kind of answer is not taken for an empty cluster."""
    answer = owners(lambda _path: content)
    assert answer.labels == {}
    assert all("expected" in problem for problem in answer.problems)
    assert len(answer.problems) == 5


def test_odd_metadata_is_passed_over() -> None:
    """Items without names, labels that are no texts: nothing of this ends the run."""
    items: list[object] = [
        None,
        {},
        {"metadata": []},
        {"metadata": {"labels": {"helm": 1}, "annotations": []}},
    ]
    page = json.dumps({"kind": "DeploymentList", "items": items}).encode()
    assert owners(lambda _path: page).problems == []


@pytest.mark.parametrize(
    ("tracking", "application"),
    [
        ("web:apps/Deployment:apps/web", "web"),
        ("tenants_web:apps/Deployment:apps/web", "web"),
        ("web:apps/Deployment:apps/copied-from", None),
        ("nonsense", None),
        ("", None),
    ],
)
def test_a_tracking_id_counts_for_its_own_object_alone(
    tracking: str, application: str | None
) -> None:
    """An annotation that was copied along names another object, and so says nothing here."""
    annotations = {"argocd.argoproj.io/tracking-id": tracking}
    item = {"metadata": {"namespace": "apps", "name": "web", "annotations": annotations}}
    page = json.dumps({"kind": "List", "items": [item]}).encode()
    answer = owners(lambda path: page if path.startswith(DEPLOYMENTS) else b'{"kind": "List"}')
    found = answer.labels[("apps", "Deployment", "web")].get("argocd_argoproj_io_instance")
    assert found == application


@pytest.mark.parametrize(
    ("references", "told"),
    [
        ([{"kind": "Broker", "name": "mq", "controller": True}], "Broker/mq"),
        ([{"kind": "Broker", "name": "mq"}], None),
        ("nonsense", None),
        (None, None),
    ],
)
def test_the_object_that_controls_a_workload_is_told(references: object, told: str | None) -> None:
    """An operator's objects are told by it; one that merely wants to be cleaned up along is not."""
    item = {"metadata": {"namespace": "apps", "name": "web", "ownerReferences": references}}
    page = json.dumps({"kind": "List", "items": [item]}).encode()
    answer = owners(lambda path: page if path.startswith(DEPLOYMENTS) else b'{"kind": "List"}')
    assert answer.labels[("apps", "Deployment", "web")].get(CONTROLLED_BY) == told


def test_a_pod_asks_with_its_own_token(cluster: Cluster, tmp_path: Path) -> None:
    """Without kubectl the service account's token is read anew for each page."""
    (tmp_path / "token").write_text("t0ken\n", "utf-8")
    cluster.add(DEPLOYMENTS, "apps", "web")
    cluster.refused["/apis/batch/v1/cronjobs"] = (403, "cronjobs.batch is forbidden")
    answer = owners(by_service_account(cluster.address, tmp_path))
    assert list(answer.labels) == [("apps", "Deployment", "web")]
    assert {token for _, _, token in cluster.asked} == {"Bearer t0ken"}
    assert "answered 403: cronjobs.batch is forbidden" in answer.problems[0]
    assert "t0ken" not in answer.problems[0]


def test_without_a_way_to_ask_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """No kubectl and no pod: one sentence, and what to do."""
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(ClusterError, match="no kubectl on PATH"):
        find_way()


def settings(kubectl: Path, kubeconfig: Path, monkeypatch: pytest.MonkeyPatch, ask: bool) -> Config:
    monkeypatch.setenv("PATH", str(kubectl.parent))
    kubernetes = KubernetesSettings(ask=ask, context="here", kubeconfig=str(kubeconfig))
    return Config(git=GitSettings(repo="."), kubernetes=kubernetes)


def test_the_cluster_is_asked_only_where_that_is_allowed(
    kubectl: Path, cluster: Cluster, kubeconfig: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Off by default; on, its labels join those of the metrics and win over them."""
    cluster.add(DEPLOYMENTS, "shop", "web", labels={"app.kubernetes.io/instance": "now"})
    cluster.refused["/apis/batch/v1/cronjobs"] = (403, "no")
    silent = cluster_labels(settings(kubectl, kubeconfig, monkeypatch, ask=False))
    assert (silent.labels, silent.missed, cluster.asked) == ({}, (), [])
    asked = cluster_labels(settings(kubectl, kubeconfig, monkeypatch, ask=True))
    ref = ContainerRef("c", "shop", "Deployment", "web", "app")
    assert asked.of(ref)["app_kubernetes_io_instance"] == "now"
    assert len(asked.missed) == 1


def test_what_the_cluster_says_contradicts_a_name_that_fits(
    plant: Plant, flux: dict[str, str]
) -> None:
    """Helm's own annotation decides between a release of that name and another one."""
    index = index_repository(plant(flux))
    ref = ContainerRef("c", "media", "Deployment", "sonarr", "app")
    mine = trace_one(LiveContainer(ref, {"meta_helm_sh_release_name": "sonarr"}), index)
    other = trace_one(LiveContainer(ref, {"meta_helm_sh_release_name": "another"}), index)
    assert mine.place is not None and "annotations name the Helm release sonarr" in mine.reason
    assert other.place is None and "another" in other.reason


def test_what_pods_stand_among_is_listed_as_rows(
    kubectl: Path, cluster: Cluster, kubeconfig: Path
) -> None:
    """Namespaces bound what has one; a list that is refused is named, and the others are read."""
    base = "/api/v1/namespaces/shop"
    cluster.add(f"{base}/resourcequotas", "shop", "q")
    cluster.objects[f"{base}/resourcequotas"][0]["spec"] = {"hard": {"requests.cpu": "2"}}
    cluster.add("/api/v1/nodes", "", "n")
    cluster.objects["/api/v1/nodes"][0]["spec"] = {"unschedulable": True}
    refused = "/apis/scheduling.k8s.io/v1/priorityclasses"
    cluster.refused[refused] = (403, "priorityclasses is forbidden: User me cannot list")
    found = surroundings(by_kubectl(str(kubectl), "here", str(kubeconfig)), ["shop"])
    assert [row["hard"] for row in found.rows["ResourceQuota"]] == [2.0]
    assert [(row["name"], row["unschedulable"]) for row in found.rows["Node"]] == [("n", True)]
    assert found.rows["LimitRange"] == [] and "PriorityClass" not in found.rows
    assert list(found.missed) == ["priorityclasses"]
    assert "User me cannot list" in found.missed["priorityclasses"]
    assert {method for method, _, _ in cluster.asked} == {"GET"}


def test_what_the_pods_of_a_workload_ask_of_nodes_is_kept(
    kubectl: Path, cluster: Cluster, kubeconfig: Path
) -> None:
    """Of its template, which tells all of it."""
    cluster.add(DEPLOYMENTS, "shop", "web")
    pod = {"nodeSelector": {"disk": "ssd"}, "priorityClassName": "vital"}
    template = {"metadata": {"labels": {"app": "web"}}, "spec": pod}
    cluster.objects[DEPLOYMENTS][0]["spec"] = {"template": template}
    answer = owners(by_kubectl(str(kubectl), "here", str(kubeconfig)))
    asked = answer.scheduling["shop", "Deployment", "web"]
    assert (asked.keys, asked.priority_class, asked.whole) == (frozenset({"disk"}), "vital", True)
    assert asked.labels == (("app", "web"),)
