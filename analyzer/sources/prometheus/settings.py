"""How to reach a Prometheus and what to read from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Literal

from analyzer.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class PrometheusSettings:
    """Everything that can be set about reading from a Prometheus.

    Secrets come from files (`token_file`, `password_file`), which are read anew for each request,
    so that a rotated token is picked up. `tenant` is sent as ``X-Scope-OrgID``. `parameters` are
    added to every query, for example ``{"dedup": "true"}`` for Thanos.
    """

    token_file: Path | None = None
    """A file with the bearer token to send; read anew for each request."""
    user: str | None = None
    """The user of basic authentication; goes with `password_file`."""
    password_file: Path | None = None
    """A file with the password of `user`; read anew for each request."""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Headers to send with every request; their values are never shown."""
    parameters: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Parameters to add to every query, such as `dedup: "true"` for Thanos."""
    tenant: str | None = None
    """The tenant of a store that has tenants, such as Mimir, sent as X-Scope-OrgID."""
    aws_region: str | None = None
    """Sign requests for Amazon Managed Prometheus in this region (SigV4), with the credentials that
    the AWS SDK finds: a role of the pod (IRSA, pod identity), a profile, the environment. Needs the
    extra ``rightsize[aws]``."""
    sign_in: Literal["google", "azure"] | None = None
    """Send a token of Google Cloud or Azure, by the credentials that its SDK finds: workload
    identity, the machine's, your own. Needs the extra ``rightsize[google]`` or
    ``rightsize[azure]``."""

    ca_file: Path | None = None
    """The certificates to verify the server with; by default those of the system."""
    client_certificate_file: Path | None = None
    """The certificate to show to a server that asks for one (mutual TLS)."""
    client_key_file: Path | None = None
    """The key of `client_certificate_file`, where it is in a file of its own."""
    insecure: bool = False
    """Do not verify the server's certificate."""
    proxy: str | None = field(default=None, repr=False)
    """An HTTP proxy to go through, ``http://host:port``; the variables of the environment such as
    HTTPS_PROXY do not count."""

    timeout: timedelta = timedelta(seconds=60)
    """For one request, from sending it to its last byte."""
    deadline: timedelta = timedelta(minutes=30)
    """For the whole read."""
    attempts: int = 5
    """How often one request is tried where the server is busy or the connection breaks."""
    backoff: timedelta = timedelta(milliseconds=500)
    """The wait before the second attempt, doubled for each further one, with jitter."""
    parallel: int = 2
    """Requests at a time; more made measured servers slower, not faster."""
    compression: bool = False
    """Ask for gzip; worth it on slow links only, it costs the server two to four times the CPU."""
    read: Literal["query", "remote"] = "query"
    """How usage is read: evaluated by the server (``query``), or as raw samples, evaluated here
    (``remote``), for a server that is short of CPU or memory; the results are the same."""
    max_points: int | None = None
    """Points to ask for in one request; by default the server's own limits decide."""

    service: str | None = None
    """With a source of ``cluster:``, the Service to read from as NAMESPACE/NAME:PORT; by default
    the one that has the labels of a Prometheus, Thanos or VictoriaMetrics."""
    cluster: str | None = None
    """The name of the cluster; also the value of `cluster_label` where several share a store."""
    cluster_label: str = "cluster"
    """The label that tells clusters apart where several share a store."""
    usage_matchers: str | None = None
    """Label matchers of cAdvisor's series where probing them finds the wrong ones."""
    state_matchers: str | None = None
    """Label matchers of kube-state-metrics' series, likewise."""
    namespaces: tuple[str, ...] = ()
    """Read only these namespaces; empty: all."""
    exclude_namespaces: tuple[str, ...] = ()
    """Read none of these namespaces."""

    cache: Path | None = None
    """A folder that keeps closed UTC days, so that they are asked for once only."""

    @property
    def authorises(self) -> bool:
        """Whether a configured header says who asks."""
        return any(name.title() == "Authorization" for name in self.headers)

    def __post_init__(self) -> None:
        ways = {
            "an Authorization header": self.authorises,
            "token_file": self.token_file,
            "user": self.user,
            "aws_region": self.aws_region,
            "sign_in": self.sign_in,
        }
        given = [name for name, value in ways.items() if value]
        if len(given) > 1:
            raise UsageError(f"{' and '.join(given)} exclude each other; give one of them")
        if (self.user is None) != (self.password_file is None):
            raise UsageError("basic authentication needs both a user and a password file")
        if self.client_key_file is not None and self.client_certificate_file is None:
            raise UsageError("a client key needs its client certificate")
        for name in ("parallel", "attempts", "max_points"):
            count = getattr(self, name)
            if count is not None and count < 1:
                raise UsageError(f"{name} must be at least 1, found {count}")
        for name in ("timeout", "deadline"):
            if getattr(self, name) <= timedelta(0):
                raise UsageError(f"{name} must be positive, found {getattr(self, name)}")
