"""What the cluster says of its workloads: who owns them, and what their pods stand among.

Asked only where the settings allow it, and read-only: the metadata of the kinds of workload that
are `listed`, one page at a time, and nothing of a kind that this cluster does not have. The user's
own kubectl is asked, because it knows every way to sign in (plugins, certificates, tokens that
expire); in a pod without one, the pod's own service account is used. Secrets are never read, and
of each object a few labels are kept, and what bounds where its pods may run.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import urllib3

from analyzer.errors import GitOpsError
from analyzer.kinds import KINDS, Kind
from analyzer.objects import CLUSTER, RULES
from analyzer.scheduling import Scheduling, scheduling_of_template
from analyzer.workload import CONTROLLED_BY

Ask = Callable[[str], bytes]
"""Fetches one path of the API, such as ``/apis/apps/v1/deployments``; raises `ClusterError`."""

Workload = tuple[str, str, str]
"""Namespace, kind and name."""

LISTED = tuple(kind for kind in KINDS if kind.listed)
_LABELS = (
    "helm.toolkit.fluxcd.io/name",
    "helm.toolkit.fluxcd.io/namespace",
    "kustomize.toolkit.fluxcd.io/name",
    "kustomize.toolkit.fluxcd.io/namespace",
    "app.kubernetes.io/instance",
    "app.kubernetes.io/controller",
    "app.kubernetes.io/component",
    "argocd.argoproj.io/instance",
)
_ANNOTATIONS = ("meta.helm.sh/release-name", "meta.helm.sh/release-namespace")
_TRACKING = "argocd.argoproj.io/tracking-id"
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)
_PAGE = 500
_MOST_PAGES = 400
_TIMEOUT = 60.0
_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


class ClusterError(GitOpsError):
    """The cluster's API did not answer as expected; the text says what it said."""


class AbsentError(ClusterError):
    """The cluster does not know what was asked for."""


@dataclass(slots=True)
class Answer:
    """What the cluster said: labels by workload, and in one sentence each what it did not say.

    Labels have the names that kube-state-metrics gives them, without its prefix.
    """

    labels: dict[Workload, dict[str, str]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    scheduling: dict[Workload, Scheduling] = field(default_factory=dict)
    """What the pods of each workload ask of nodes."""


def owners(ask: Ask, namespaces: Sequence[str] = ()) -> Answer:
    """The labels that tell who owns each workload; of all namespaces where none is named.

    What cannot be read is a problem in words, and the rest is read all the same; but a cluster
    that says the same twice before it has said anything is not asked again.
    """
    answer = Answer()
    failed: dict[str, list[str]] = {}
    answered = False
    for namespace in namespaces or (None,):
        for kind in LISTED:
            try:
                for item in _listed(ask, f"{kind.api_path}{_scope(namespace)}/{kind.resource}"):
                    _take(answer, kind, item)
                answered = True
            except ClusterError as err:
                if isinstance(err, AbsentError) and not kind.built_in:
                    continue
                where = "all namespaces" if namespace is None else f"namespace {namespace}"
                failed.setdefault(str(err), []).append(f"{kind.resource} of {where}")
                if len(failed[str(err)]) > 1 and not answered:
                    answer.problems.append(f"the cluster could not be asked: {err}")
                    return answer
    for message, lists in failed.items():
        answer.problems.append(f"the cluster did not list {', '.join(lists)}: {message}")
    return answer


def _scope(namespace: str | None) -> str:
    """The part of a path that narrows it to a namespace.

    kubectl resolves dots and slashes in a path, escaped ones too, so that a name made of these
    would ask for something else.
    """
    if namespace is None:
        return ""
    if not _NAME.fullmatch(namespace):
        raise ClusterError(f"{namespace!r} is no name of a namespace")
    return f"/namespaces/{namespace}"


def _listed(ask: Ask, path: str) -> Iterator[object]:
    """Every item of a list, page after page."""
    token = ""
    for _ in range(_MOST_PAGES):
        following = f"&continue={quote(token, safe='')}" if token else ""
        page = _decoded(ask(f"{path}?limit={_PAGE}{following}"), path)
        items = page.get("items")
        yield from items if isinstance(items, list) else ()
        metadata = page.get("metadata")
        token = str(metadata.get("continue") or "") if isinstance(metadata, dict) else ""
        if not token:
            return
    raise ClusterError(f"more than {_PAGE * _MOST_PAGES} objects; name namespaces to ask for fewer")


def _decoded(content: bytes, path: str) -> dict[str, object]:
    try:
        page = json.loads(content)
    except ValueError as err:
        raise ClusterError(f"expected JSON from {path}, found something else") from err
    if not isinstance(page, dict) or not str(page.get("kind", "")).endswith("List"):
        raise ClusterError(f"expected a list from {path}, found something else")
    return page


def _take(answer: Answer, of: Kind, item: object) -> None:
    metadata = item.get("metadata") if isinstance(item, dict) else None
    if not isinstance(item, dict) or not isinstance(metadata, dict):
        return
    kind = of.name
    namespace, name = str(metadata.get("namespace")), str(metadata.get("name"))
    labels, annotations = _texts(metadata.get("labels")), _texts(metadata.get("annotations"))
    found = {_metric_name(key): labels[key] for key in _LABELS if key in labels}
    found |= {_metric_name(key): annotations[key] for key in _ANNOTATIONS if key in annotations}
    application = _tracked(annotations.get(_TRACKING, ""), (namespace, kind, name))
    if application is not None:
        found["argocd_argoproj_io_instance"] = application
    owner = _controller(metadata.get("ownerReferences"))
    if owner is not None:
        found[CONTROLLED_BY] = owner
    answer.labels[(namespace, kind, name)] = found
    template = _below(item, (of.pod_path or ())[:-1])
    if isinstance(template, dict) and template.get("spec"):
        told = scheduling_of_template(template, CLUSTER, item)
        answer.scheduling[(namespace, kind, name)] = told


def _below(value: object, path: Sequence[str]) -> object:
    """What stands at a path of names; None where nothing does."""
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


@dataclass(slots=True)
class Surroundings:
    """What the cluster says of what pods stand among: rows by kind, and the kinds it did not list.

    A kind that is not in `rows` was not told.
    """

    rows: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    missed: dict[str, str] = field(default_factory=dict)


def surroundings(ask: Ask, namespaces: Sequence[str] = ()) -> Surroundings:
    """Nodes, limit ranges, quotas, disruption budgets and priority classes of the cluster.

    Of all namespaces where none is named. What may not be listed is left to other sources.
    """
    found = Surroundings()
    for kind, of in RULES.items():
        scopes = (namespaces or (None,)) if of.namespaced else (None,)
        try:
            found.rows[kind] = [
                {**row, "source": CLUSTER}
                for scope in scopes
                for item in _listed(ask, f"{of.api_path}{_scope(scope)}/{of.resource}")
                if isinstance(item, dict)
                for row in of.rows(item)
            ]
        except ClusterError as err:
            found.missed[of.resource] = str(err)
    return found


def _controller(references: object) -> str | None:
    """Kind and name of the object that made another one and keeps it as it is."""
    for each in references if isinstance(references, list) else ():
        if isinstance(each, dict) and each.get("controller") is True:
            return f"{each.get('kind')}/{each.get('name')}"
    return None


def _texts(value: object) -> Mapping[str, str]:
    if not isinstance(value, dict):
        return {}
    return {key: text for key, text in value.items() if isinstance(text, str)}


def _metric_name(key: str) -> str:
    return "".join(character if character.isalnum() else "_" for character in key)


def _tracked(tracking: str, workload: Workload) -> str | None:
    """The Application of a tracking id; None where it is another object's, copied along.

    ``application:group/Kind:namespace/name``, the application as ``namespace_name`` where it does
    not live with Argo CD itself.
    """
    application, _, rest = tracking.partition(":")
    kind, _, place = rest.rpartition("/")[0].rpartition("/")[2].partition(":")
    name = rest.rpartition("/")[2]
    if not application or (place, kind, name) != workload:
        return None
    return application.rpartition("_")[2]


# --- the two ways to ask ----------------------------------------------------------------------


def find_way(context: str | None = None, kubeconfig: str | None = None) -> Ask:
    """The way to ask that this machine offers. Raises `ClusterError` where there is none."""
    kubectl = shutil.which("kubectl")
    if kubectl is not None:
        return by_kubectl(kubectl, context, kubeconfig)
    host = os.environ.get("KUBERNETES_SERVICE_HOST")
    if host and not context and not kubeconfig and (_ACCOUNT / "token").is_file():
        port = os.environ.get("KUBERNETES_SERVICE_PORT", "443")
        return by_service_account(
            f"https://{f'[{host}]' if ':' in host else host}:{port}", _ACCOUNT
        )
    raise ClusterError(
        "there is no kubectl on PATH to ask the cluster with; install it or leave out --ask-cluster"
    )


def by_kubectl(kubectl: str, context: str | None = None, kubeconfig: str | None = None) -> Ask:
    """Ask through kubectl, with the user's own environment and the given context."""
    command = [kubectl, "--request-timeout=30s"]
    command += [f"--context={context}"] if context else []
    command += [f"--kubeconfig={kubeconfig}"] if kubeconfig else []

    def ask(path: str) -> bytes:
        try:
            done = subprocess.run(
                [*command, "get", "--raw", path],
                capture_output=True,
                stdin=subprocess.DEVNULL,
                timeout=_TIMEOUT,
                check=False,
            )
        except subprocess.TimeoutExpired as err:
            raise ClusterError(f"kubectl did not answer in {_TIMEOUT:.0f} s") from err
        except OSError as err:
            raise ClusterError(f"{kubectl} could not be started: {err.strerror}") from err
        if done.returncode != 0:
            said = " ".join(done.stderr.decode("utf-8", "replace").split())
            error = AbsentError if "(NotFound)" in said else ClusterError
            raise error(f"kubectl said: {said[-300:] or 'nothing'}")
        return done.stdout

    return ask


def by_service_account(server: str, account: Path) -> Ask:
    """Ask as the service account of this pod; its token is read anew each time, for it expires."""
    pool = urllib3.PoolManager(
        ca_certs=str(account / "ca.crt"), timeout=urllib3.Timeout(30.0), retries=urllib3.Retry(2)
    )

    def ask(path: str) -> bytes:
        try:
            token = (account / "token").read_text("utf-8").strip()
            headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}
            response = pool.request("GET", f"{server}{path}", headers=headers, redirect=False)
        except (urllib3.exceptions.HTTPError, OSError) as err:
            raise ClusterError(f"{server} did not answer: {type(err).__name__}") from err
        if response.status != 200:
            error = AbsentError if response.status == 404 else ClusterError
            raise error(f"{server} answered {response.status}: {_message(response.data)}")
        return response.data

    return ask


def _message(content: bytes) -> str:
    """What a refusal says of itself."""
    try:
        status = json.loads(content)
    except ValueError:
        return "no reason given"
    message = status.get("message") if isinstance(status, dict) else None
    return " ".join(str(message or "no reason given").split())[:300]
