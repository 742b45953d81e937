"""The answers of a Kubernetes API that lists an invented cluster, for peers that ask one."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cluster import Cluster, Pod, pods

_DEPLOYMENTS = "/apis/apps/v1/deployments"
_EMPTY = {
    "/apis/apps/v1/statefulsets": "StatefulSetList",
    "/apis/apps/v1/daemonsets": "DaemonSetList",
    "/apis/batch/v1/jobs": "JobList",
    "/apis/batch/v1/cronjobs": "CronJobList",
    "/apis/autoscaling/v2/horizontalpodautoscalers": "HorizontalPodAutoscalerList",
}


def _deployment(pod: Pod) -> dict[str, Any]:
    """The Deployment of what runs last, with the amounts that kube-state-metrics tells."""
    base = pod.seed // 1000 % 7 + 1
    requests = {"cpu": f"{base * 100}m", "memory": f"{base * 256}Mi"}
    container = {
        "name": "app",
        "image": f"registry.example/{pod.workload}:1",
        "resources": {"requests": requests, "limits": {"memory": str(pod.memory_limit)}},
    }
    labels = {"app.kubernetes.io/name": pod.workload}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    return {
        "metadata": {"name": pod.workload, "namespace": pod.namespace, "uid": f"{pod.seed:032x}"},
        "spec": {"replicas": 1, "selector": {"matchLabels": labels}, "template": template},
    }


def _lists(cluster: Cluster) -> dict[str, bytes]:
    last = {pod.workload: pod for pod in pods(cluster)}
    found = {_DEPLOYMENTS: ("DeploymentList", [_deployment(pod) for pod in last.values()])}
    found |= {path: (kind, []) for path, kind in _EMPTY.items()}
    return {
        path: json.dumps(
            {
                "kind": kind,
                "apiVersion": path.rpartition("/")[0].removeprefix("/apis/"),
                "metadata": {},
                "items": items,
            }
        ).encode()
        for path, (kind, items) in found.items()
    }


@contextmanager
def kubernetes_api(cluster: Cluster, folder: Path) -> Iterator[Path]:
    """Serve the workloads of `cluster`; yields the kubeconfig that leads there."""
    lists = _lists(cluster)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            answer = lists.get(urlsplit(self.path).path)
            body = answer or b'{"kind": "Status", "code": 404, "reason": "NotFound"}'
            self.send_response(200 if answer else 404)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *words: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    where = {"server": f"http://127.0.0.1:{server.server_address[1]}"}
    kubeconfig = folder / "kubeconfig.json"
    kubeconfig.write_text(
        json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "current-context": "invented",
                "clusters": [{"name": "invented", "cluster": where}],
                "users": [{"name": "nobody", "user": {}}],
                "contexts": [
                    {"name": "invented", "context": {"cluster": "invented", "user": "nobody"}}
                ],
            }
        )
    )
    try:
        yield kubeconfig
    finally:
        server.shutdown()
