"""The Prometheus of a cluster: real kubectl, a real Prometheus, a stand-in for the API server."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
import yaml

from analyzer.check import OK, PROBLEM
from analyzer.config import load_config
from analyzer.errors import AnalyzerError, SourceError, UsageError
from analyzer.sources import PrometheusSettings, PrometheusSource, Window, open_source
from analyzer.sources.cluster import ClusterSource, find_service
from tests.sources.smallcluster import END

Item = dict[str, Any]
WINDOW = Window(END, timedelta(days=2))


def service(
    name: str, labels: dict[str, str], *ports: tuple[str, int], namespace: str = "monitoring"
) -> Item:
    """A Service as the API server lists it."""
    return {
        "metadata": {"name": name, "namespace": namespace, "labels": labels},
        "spec": {"ports": [{"name": port, "port": number} for port, number in ports]},
    }


STACK = service(
    "kube-prometheus-stack-prometheus",
    {"app": "kube-prometheus-stack-prometheus"},
    ("http-web", 9090),
    ("reloader-web", 8080),
)
OPERATED = service("prometheus-operated", {"operated-prometheus": "true"}, ("http-web", 9090))
OTHER = service("web", {"app": "web"}, ("http", 80))


def answering(*items: object) -> Any:
    """A cluster that lists these Services."""
    return lambda _path: json.dumps({"kind": "ServiceList", "items": items}).encode()


def test_the_service_of_the_stack_comes_before_the_list_of_pods() -> None:
    """Of the operator's two Services the one with an address, at the port that answers queries."""
    found = find_service(answering(OTHER, OPERATED, STACK))
    assert str(found) == "monitoring/kube-prometheus-stack-prometheus:9090"
    assert str(find_service(answering(OPERATED))) == "monitoring/prometheus-operated:9090"


def test_what_joins_replicas_comes_before_a_replica() -> None:
    """With Thanos beside it, its querier sees more than one Prometheus."""
    thanos = service("q", {"app.kubernetes.io/name": "thanos-query"}, ("http", 9090), ("grpc", 1))
    assert str(find_service(answering(STACK, thanos))) == "monitoring/q:9090"


@pytest.mark.parametrize(
    ("items", "complaint"),
    [
        ((OTHER,), "no Service of this cluster has the labels"),
        ((STACK, service("b", {"app": "kube-prometheus-stack-prometheus"}, ("web", 1))), "several"),
        ((None, {}, {"metadata": 1, "spec": []}), "no Service of this cluster"),
        ((service("a/../b", {"operated-prometheus": "true"}, ("web", 1)),), "no Service"),
    ],
)
def test_what_is_not_plain_is_one_sentence(items: tuple[object, ...], complaint: str) -> None:
    """None, several alike, and answers or names that no API server gives."""
    with pytest.raises(SourceError, match=complaint):
        find_service(answering(*items))


def test_an_answer_that_is_no_list_is_one_sentence() -> None:
    """Such as the page of a sign-in."""
    with pytest.raises(SourceError, match="list of its Services"):
        find_service(lambda _: b"<html>")


@pytest.fixture
def cluster(
    small_server: str, kubectl: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[list[str]]:
    """A kubeconfig whose cluster has one Prometheus; yields the paths that it is asked for."""
    asked: list[str] = []

    class ApiServer(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *args: object) -> None:
            return

        def do_GET(self) -> None:
            self.answer()

        def do_POST(self) -> None:
            self.answer()

        def answer(self) -> None:
            asked.append(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            path, proxy, rest = self.path.partition("/proxy")
            if proxy and path.endswith("/services/kube-prometheus-stack-prometheus:9090"):
                kept = {"Content-Type": self.headers.get("Content-Type", "")}
                said = requests.request(
                    self.command, small_server + rest, data=body, headers=kept, timeout=60
                )
                status, content = said.status_code, said.content
            elif urlsplit(self.path).path == "/api/v1/services":
                status, content = 200, answering(OTHER, STACK)("")
            else:
                status, content = 404, b"{}"
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    server = ThreadingHTTPServer(("127.0.0.1", 0), ApiServer)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "here",
        "clusters": [
            {"name": "here", "cluster": {"server": address}},
            {"name": "gone", "cluster": {"server": "http://127.0.0.1:1"}},
        ],
        "users": [{"name": "me", "user": {}}],
        "contexts": [
            {"name": n, "context": {"cluster": n, "user": "me"}} for n in ("here", "gone")
        ],
    }
    file = tmp_path / "kubeconfig"
    file.write_text(yaml.safe_dump(config), encoding="utf-8")
    monkeypatch.setenv("KUBECONFIG", str(file))
    monkeypatch.setenv("PATH", f"{kubectl.parent}:/usr/bin:/bin")
    yield asked
    server.shutdown()
    server.server_close()


def test_the_cluster_is_read_as_its_prometheus_is(cluster: list[str], small_server: str) -> None:
    """The same containers and samples through the API server; nothing else is asked of it."""
    source = open_source("cluster:")
    through, direct = source.read(WINDOW), PrometheusSource(small_server).read(WINDOW)
    assert through.usage.containers == direct.usage.containers
    assert through.usage.cpu_cores.tobytes() == direct.usage.cpu_cores.tobytes()
    name = "monitoring/kube-prometheus-stack-prometheus:9090"
    assert through.meta.source == f"cluster: {name}"
    prefix = f"/api/v1/namespaces/monitoring/services/{name.partition('/')[2]}/proxy/api/v1/"
    assert [p for p in cluster if not p.startswith((prefix, "/api/v1/services"))] == []


def test_the_cache_holds_although_the_port_changes(cluster: list[str], tmp_path: Path) -> None:
    """A second read asks for no closed day again."""
    settings = PrometheusSettings(cache=tmp_path / "cache")
    first = ClusterSource("here", settings).read(WINDOW)
    kept = {path.name for path in (tmp_path / "cache").iterdir()}
    asked = len(cluster)
    second = ClusterSource("here", settings).read(WINDOW)
    assert {path.name for path in (tmp_path / "cache").iterdir()} == kept
    assert len(cluster) - asked < asked
    assert first.usage.cpu_cores.tobytes() == second.usage.cpu_cores.tobytes()


def test_nothing_but_the_prometheus_is_behind_the_port(cluster: list[str]) -> None:
    """The proxy of one Service gives nobody on this machine the rights of its user."""
    with ClusterSource("here").reached() as (source, _):
        port = urlsplit(source.url).netloc
        assert requests.get(f"http://{port}/api/v1/services", timeout=10).status_code == 403
        secret = f"http://{port}/api/v1/namespaces/monitoring/secrets"
        assert requests.get(secret, timeout=10).status_code == 403
        assert requests.get(f"{source.url}/api/v1/status/buildinfo", timeout=10).ok
    with pytest.raises(requests.ConnectionError):
        requests.get(f"http://{port}/", timeout=10)


def test_the_doctor_says_what_it_found(cluster: list[str]) -> None:
    """The Service first, or why there is none."""
    first, *rest = ClusterSource("here").examine(WINDOW)
    assert (first.check, first.status) == ("cluster", OK)
    assert "kube-prometheus-stack-prometheus:9090" in first.found
    assert rest
    (problem,) = ClusterSource("gone").examine(WINDOW)
    assert problem.status == PROBLEM and "refused" in problem.found


def test_a_service_that_is_named_is_not_looked_for(cluster: list[str]) -> None:
    """Its name is checked, and one that is not there is an error of the server."""
    named = PrometheusSettings(service="tools/other:9090")
    with pytest.raises(SourceError):
        ClusterSource("here", named).read(WINDOW)
    assert not any(path.startswith("/api/v1/services") for path in cluster)
    with pytest.raises(SourceError, match="NAMESPACE/NAME:PORT"):
        ClusterSource("here", PrometheusSettings(service="a/../b:1")).read(WINDOW)


def test_sources_are_named_in_one_way() -> None:
    """A context may be left out; nothing else may."""
    assert open_source("cluster:").describe() == "cluster:"
    assert open_source("cluster:arn:aws:eks:eu:1:cluster/x").describe().endswith("cluster/x")
    with pytest.raises(UsageError, match="cluster:CONTEXT"):
        open_source("recording:")


def test_usage_and_labels_come_from_one_cluster() -> None:
    """What is asked of a cluster is asked of the one whose usage is read; no other can be named."""
    ask = {"kubernetes.ask": True}
    assert load_config(flags={"source": "cluster:lab", **ask}).config.asked_context == "lab"
    assert load_config(flags={"source": "cluster:", **ask}).config.asked_context is None
    direct = {"source": "prometheus:http://host", "kubernetes.context": "lab", **ask}
    assert load_config(flags=direct).config.asked_context == "lab"
    for source in ("cluster:", "cluster:prod"):
        with pytest.raises(AnalyzerError, match="write the source as cluster:lab"):
            load_config(flags={"source": source, "kubernetes.context": "lab", **ask})
        with pytest.raises(AnalyzerError, match="goes by the variable KUBECONFIG"):
            load_config(flags={"source": source, "kubernetes.kubeconfig": "file", **ask})


def test_what_kubectl_says_beside_its_address_holds_nothing_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Warnings before it, and more errors after it than a pipe holds."""
    kubectl = tmp_path / "kubectl"
    kubectl.write_text(
        "#!/bin/sh\n"
        "echo 'W1126 a plugin is old' >&2\n"
        "echo 'Starting to serve on 127.0.0.1:1'\n"
        "head -c 300000 /dev/zero | tr '\\0' '\\n'\n"
        f"touch {tmp_path}/done\n"
        "exec sleep 60\n"
    )
    kubectl.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    named = PrometheusSettings(service="monitoring/prometheus:9090")
    with ClusterSource("", named).reached() as (source, _):
        assert source.url.startswith("http://127.0.0.1:1/api/v1/namespaces/monitoring/")
        for _ in range(500):
            if (tmp_path / "done").exists():
                break
            time.sleep(0.02)
        assert (tmp_path / "done").exists()


def test_a_proxy_that_does_not_serve_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All that it said, and no hang."""
    kubectl = tmp_path / "kubectl"
    kubectl.write_text("#!/bin/sh\necho 'warning: x'\necho 'error: no such user'\nexit 1\n")
    kubectl.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    named = PrometheusSettings(service="monitoring/prometheus:9090")
    with (
        pytest.raises(SourceError, match="does not serve: warning: x error: no such user"),
        ClusterSource("", named).reached(),
    ):
        pass
