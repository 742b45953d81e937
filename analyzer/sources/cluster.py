"""The Prometheus of a cluster, found by its Service and reached through the API server.

For those who have a kubeconfig and no address: the user's own kubectl signs in, as it does for
everything else, and for as long as a read takes, `kubectl proxy` passes on what is asked of that
one Service and of nothing else.
"""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import subprocess
import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO

from analyzer.check import OK, PROBLEM, Check
from analyzer.errors import SourceError
from analyzer.sources.kubernetes import Ask, ClusterError, by_kubectl
from analyzer.sources.prometheus.settings import PrometheusSettings
from analyzer.sources.prometheus.source import PrometheusSource
from analyzer.sources.window import Progress, Window, silent
from analyzer.usage import Recording

KNOWN: tuple[Mapping[str, str], ...] = (
    {"app.kubernetes.io/name": "thanos-query"},
    {"app.kubernetes.io/name": "thanos", "app.kubernetes.io/component": "query"},
    {"app.kubernetes.io/component": "query", "app.kubernetes.io/part-of": "thanos"},
    {"app.kubernetes.io/name": "vmselect"},
    {"app.kubernetes.io/name": "vmsingle"},
    {"app.kubernetes.io/name": "victoria-metrics-single"},
    {"app": "kube-prometheus-stack-prometheus"},
    {"app": "prometheus-operator-prometheus"},
    {"app": "prometheus", "component": "server"},
    {"app.kubernetes.io/name": "prometheus", "app.kubernetes.io/component": "server"},
    {"app.kubernetes.io/name": "prometheus", "app.kubernetes.io/component": "prometheus"},
    {"operated-prometheus": "true"},
)
"""Labels of Services that answer PromQL, the most telling first: what joins replicas comes before
a replica, and a Service with an address before the bare list of pods that the operator keeps."""
PORTS = ("http-web", "web", "http", "http-query", "query", "service")
"""Names of the port that answers, where a Service has several."""
_SERVICE = re.compile(r"([a-z0-9-]{1,63})/([a-z0-9-]{1,63}):([a-z0-9-]{1,63})", re.ASCII)
_SERVES = re.compile(r"Starting to serve on (127\.0\.0\.1:\d+)")
_PATIENCE = 10.0


@dataclass(frozen=True, order=True)
class Service:
    """One Service of a cluster that answers PromQL; `port` is a name or a number."""

    namespace: str
    name: str
    port: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}:{self.port}"

    @property
    def path(self) -> str:
        """The path at which the API server passes on what is asked of it."""
        return f"/api/v1/namespaces/{self.namespace}/services/{self.name}:{self.port}/proxy"


def service_named(text: str) -> Service:
    """``NAMESPACE/NAME:PORT``. Raises `SourceError` for anything else."""
    found = _SERVICE.fullmatch(text)
    if found is None:
        raise SourceError(
            f"prometheus.service must be NAMESPACE/NAME:PORT, such as "
            f"monitoring/prometheus-operated:9090, found {text!r}"
        )
    return Service(*found.groups())


def find_service(ask: Ask) -> Service:
    """The Service of the Prometheus of a cluster, by the labels that its installers give it.

    Raises `SourceError` where there is none, or several that are equally likely.
    """
    try:
        answer = json.loads(ask("/api/v1/services?limit=5000"))
        items = answer["items"]
        services = [item for item in items if isinstance(item, dict)]
    except (ValueError, KeyError, TypeError) as error:
        raise SourceError("the cluster did not answer with a list of its Services") from error
    for labels in KNOWN:
        found = sorted({s for item in services if (s := _matching(item, labels)) is not None})
        if len(found) > 1:
            raise SourceError(
                f"the cluster has several that may be its Prometheus ({_listed(found)}); "
                "name one as prometheus.service"
            )
        if found:
            return found[0]
    raise SourceError(
        "no Service of this cluster has the labels of a Prometheus, Thanos or VictoriaMetrics; "
        "name it as prometheus.service (NAMESPACE/NAME:PORT), or give its address with -p"
    )


def _listed(found: Sequence[Service]) -> str:
    shown = ", ".join(map(str, found[:5]))
    return f"{shown} and {len(found) - 5} more" if len(found) > 5 else shown


def _matching(item: Mapping[str, object], labels: Mapping[str, str]) -> Service | None:
    """The Service of an API object where it has all `labels` and a port that answers."""
    metadata, spec = item.get("metadata"), item.get("spec")
    if not isinstance(metadata, dict) or not isinstance(spec, dict):
        return None
    has = metadata.get("labels")
    if not isinstance(has, dict) or any(has.get(key) != value for key, value in labels.items()):
        return None
    entries = [port for port in spec.get("ports") or () if isinstance(port, dict)]
    by_name = {port.get("name"): port.get("port") for port in entries}
    named = next((by_name[name] for name in PORTS if name in by_name), None)
    port = named if named is not None else (entries[0].get("port") if len(entries) == 1 else None)
    text = f"{metadata.get('namespace')}/{metadata.get('name')}:{port}"
    return service_named(text) if _SERVICE.fullmatch(text) else None


@dataclass(frozen=True)
class ClusterSource:
    """The Prometheus of the cluster that a `context` of the kubeconfig names; empty: the current.

    `settings` are those of a Prometheus, and tell which Service it is where that is not plain.
    """

    context: str = ""
    settings: PrometheusSettings = field(default_factory=PrometheusSettings)
    progress: Progress = silent

    def describe(self) -> str:
        """The context, and the Service where one is named."""
        service = f" {self.settings.service}" if self.settings.service else ""
        return f"cluster:{self.context}{service}"

    def read(self, window: Window) -> Recording:
        """As `PrometheusSource.read`; raises `SourceError` where the cluster is not reached."""
        with self.reached() as (source, _):
            return source.read(window)

    def examine(self, window: Window) -> list[Check]:
        """As `PrometheusSource.examine`, after what was found in the cluster; never raises."""
        try:
            with self.reached() as (source, service):
                found = Check("cluster", OK, f"{service}, reached through the API server")
                return [found, *source.examine(window)]
        except (SourceError, ClusterError) as error:
            advice = "see that kubectl works with this context, and may use services/proxy"
            return [Check("cluster", PROBLEM, str(error), advice)]

    @contextlib.contextmanager
    def reached(self) -> Iterator[tuple[PrometheusSource, Service]]:
        """The Prometheus at an address that holds until the block ends, and its Service."""
        kubectl = shutil.which("kubectl")
        if kubectl is None:
            raise SourceError("a source of cluster: needs kubectl on PATH; install it, or use -p")
        try:
            named = self.settings.service
            service = (
                service_named(named)
                if named
                else find_service(by_kubectl(kubectl, self.context or None))
            )
        except ClusterError as error:
            raise SourceError(f"the cluster was not asked for its Prometheus: {error}") from error
        with _proxy(kubectl, self.context, service) as address:
            url = f"http://{address}{service.path}"
            name = f"cluster:{self.context} {service}"
            yield PrometheusSource(url, self.settings, self.progress, name), service


def _address(said: IO[str]) -> str:
    """Where kubectl proxy serves, once it says so; warnings may come before that."""
    lines = []
    for line in said:
        found = _SERVES.search(line)
        if found is not None:
            # It tells of every request that fails, and stands still where nobody reads that.
            threading.Thread(target=deque, args=(said, 0), daemon=True).start()
            return found[1]
        lines.append(line)
    raise SourceError(f"kubectl proxy does not serve: {' '.join(''.join(lines).split())[-200:]}")


@contextlib.contextmanager
def _proxy(kubectl: str, context: str, service: Service) -> Iterator[str]:
    """`kubectl proxy` to one Service, on a port of this machine alone that the system chooses."""
    command = [kubectl, *([f"--context={context}"] if context else []), "proxy", "--port=0"]
    # Whoever else is on this machine can reach the port: nothing but this Service is behind it.
    command += [f"--accept-paths=^{re.escape(service.path)}/", "--address=127.0.0.1"]
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if process.stdout is None:
        raise AssertionError("kubectl has no output")
    try:
        yield _address(process.stdout)
    finally:
        process.terminate()
        try:
            process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
