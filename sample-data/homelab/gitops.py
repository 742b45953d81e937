"""The Git repository that declares the homelab, in the ways in which people do that.

`repository` returns the files; `places` says where the resources of every container stand. Paths
are written with dots and ``[index]``; `` | `` separates a path to a block scalar from the path
inside the document that the scalar holds.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from homelab.catalog import WORKLOADS, Container, Workload
from homelab.clock import SAMPLE_STEPS, dice, step_of
from homelab.yaml_text import Anchored, Literal, Noted, Raw, document, quantity

Yaml = dict[str, Any]
APPS = "kubernetes/apps"
SETTINGS = {
    "TIMEZONE": "Europe/Vienna",
    "OVERSEERR_MEMORY_LIMIT": "1Gi",
    "LAN_CIDR": "10.20.0.0/16",
}

NOTES = {
    ("media", "plex"): "transcodes happen on the GPU",
    ("media", "sonarr"): "v4 leaks, see upstream",
    ("downloads", "sabnzbd"): "keep the other apps responsive",
    ("home-automation", "frigate"): "four cameras",
    ("ai", "comfyui"): "just to be safe",
    ("media", "bazarr"): "was 512Mi, seemed too much",
}


@dataclass(frozen=True)
class Place:
    """Where resources stand, or would (`declares` is ``workload``): file, document and path."""

    file: str = ""
    document: int = 0
    path: str = ""
    declares: str = ""


@dataclass
class Repository:
    """Files by path, and the place of each container by workload key and container name."""

    files: dict[str, str] = field(default_factory=dict)
    places: dict[tuple[str, str, str, str], Place] = field(default_factory=dict)
    apps: dict[str, list[str]] = field(default_factory=dict)

    def put(self, workload: Workload, container: Container, place: Place) -> None:
        """Record where `container` is declared."""
        declares = "resources" if container.declared() else "workload"
        self.places[(*workload.key, container.name)] = Place(
            place.file, place.document, place.path, declares
        )


def repository() -> Repository:
    """Every file of the repository and every place in it."""
    repo = Repository()
    by_app: dict[tuple[str, str, str], list[Workload]] = {}
    for workload in WORKLOADS:
        if not workload.form.startswith(("none", "flux")):
            form = workload.form.partition(":")[0]
            by_app.setdefault((workload.namespace, workload.app, form), []).append(workload)
    for (namespace, app, form), workloads in by_app.items():
        FORMS[form](repo, workloads)
        _flux_kustomization(repo, namespace, app, "overlay" if form == "overlay" else "app")
    _namespaces(repo)
    _flux(repo)
    _dead_app(repo)
    return repo


def gitops_files() -> dict[str, bytes]:
    """The repository's files and ``places.csv``, by path below the sample data."""
    repo = repository()
    files = {f"gitops/{path}": text.encode() for path, text in repo.files.items()}
    return files | {"places.csv": _places_csv(repo).encode()}


def image_of(workload: Workload, container: Container) -> tuple[str, str]:
    """Repository and tag of the image that ran at the end of the sample."""
    generation = sum(step_of(day) < SAMPLE_STEPS for day in workload.rollouts)
    name, _, tag = container.image.format(generation + 3).rpartition(":")
    return name, tag


def resources(workload: Workload, container: Container) -> Any:
    """The ``resources`` block in one of the spellings in use."""
    block = container.declared()
    rng = dice("spelling", *workload.key, container.name)
    if rng.random() < 0.08 and not container.gpus:
        inner = (
            f"{side}: {{{', '.join(f'{k}: {v}' for k, v in amounts.items())}}}"
            for side, amounts in block.items()
        )
        return Raw("{" + ", ".join(inner) + "}")
    quotes = str(rng.choice(["", "", "", "", '"', "'"]))
    spelled: Yaml = {
        side: {name: quantity(text, quotes) for name, text in amounts.items()}
        for side, amounts in block.items()
    }
    note = NOTES.get((workload.namespace, workload.name))
    if note and container.name == "app":
        limits = spelled.get("limits") or spelled["requests"]
        last = list(limits)[-1]
        limits[last] = Noted(limits[last], note)
    if workload.name == "matter-server":
        spelled["requests"]["memory"] = Raw("&memory 512Mi")
        spelled["limits"]["memory"] = Raw("*memory")
    if workload.name == "overseerr":
        spelled["limits"]["memory"] = Raw("${OVERSEERR_MEMORY_LIMIT}")
    return spelled


def _folder(workload: Workload, part: str = "app") -> str:
    return f"{APPS}/{workload.namespace}/{workload.app}/{part}"


def _kustomization(repo: Repository, folder: str, resource_files: list[str], **more: Any) -> None:
    repo.files[f"{folder}/kustomization.yaml"] = document(
        {
            "apiVersion": "kustomize.config.k8s.io/v1beta1",
            "kind": "Kustomization",
            "resources": [f"./{name}" for name in resource_files],
            **more,
        }
    )


def _flux_kustomization(repo: Repository, namespace: str, app: str, part: str) -> None:
    repo.apps.setdefault(namespace, []).append(app)
    repo.files[f"{APPS}/{namespace}/{app}/ks.yaml"] = document(
        {
            "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
            "kind": "Kustomization",
            "metadata": {"name": Anchored(app, "app"), "namespace": "flux-system"},
            "spec": {
                "targetNamespace": namespace,
                "commonMetadata": {"labels": {"app.kubernetes.io/name": Raw("*app")}},
                "path": f"./{APPS}/{namespace}/{app}/{part}",
                "prune": True,
                "sourceRef": {"kind": "GitRepository", "name": "flux-system"},
                "wait": False,
                "interval": "30m",
                "retryInterval": "1m",
                "timeout": "5m",
                "postBuild": {
                    "substituteFrom": [{"kind": "ConfigMap", "name": "cluster-settings"}]
                },
            },
        }
    )


def _helm_release(name: str, source: Yaml, values: Any, **more: Any) -> Yaml:
    return {
        "apiVersion": "helm.toolkit.fluxcd.io/v2",
        "kind": "HelmRelease",
        "metadata": {"name": name},
        "spec": {
            "interval": "30m",
            **source,
            "install": {"remediation": {"retries": 3}},
            "upgrade": {"cleanupOnFail": True, "remediation": {"retries": 3}},
            **more,
            **({"values": values} if values else {}),
        },
    }


def _chart_source(chart: str, version: str, repo_name: str) -> Yaml:
    reference = {"kind": "HelmRepository", "name": repo_name, "namespace": "flux-system"}
    return {"chart": {"spec": {"chart": chart, "version": version, "sourceRef": reference}}}


def _app_template(repo: Repository, workloads: list[Workload]) -> None:
    """One release of the app-template chart, one controller per workload."""
    first = workloads[0]
    folder, oci = _folder(first), first.form.endswith("oci")
    file = f"{folder}/helmrelease.yaml"
    values: Yaml = {
        "controllers": {w.controller: _controller(repo, file, w) for w in workloads},
        **_app_extras(first),
    }
    source = (
        {"chartRef": {"kind": "OCIRepository", "name": first.app}}
        if oci
        else _chart_source("app-template", "3.7.3", "bjw-s")
    )
    repo.files[file] = document(_helm_release(first.app, source, values))
    resource_files = ["helmrelease.yaml"]
    if oci:
        repo.files[f"{folder}/ocirepository.yaml"] = _oci_repository(first.app)
        resource_files.append("ocirepository.yaml")
    for workload in workloads:
        if workload.hpa is not None:
            repo.files[f"{folder}/hpa.yaml"] = document(_hpa(workload))
            resource_files.append("hpa.yaml")
    if first.app in ("paperless", "nextcloud"):
        repo.files[f"{folder}/secret.sops.yaml"] = _sops_secret(f"{first.app}-secret")
        resource_files.append("secret.sops.yaml")
    _kustomization(repo, folder, resource_files)


def _controller(repo: Repository, file: str, workload: Workload) -> Yaml:
    controller: Yaml = {}
    if workload.kind != "Deployment":
        controller["type"] = workload.kind.lower()
    if workload.kind == "CronJob":
        controller["cronjob"] = {"schedule": workload.schedule, "concurrencyPolicy": "Forbid"}
    if workload.replicas > 1:
        controller["replicas"] = workload.replicas
        controller["strategy"] = "RollingUpdate"
    controller["annotations"] = {"reloader.stakater.com/auto": Raw('"true"')}
    root = f"spec.values.controllers.{workload.controller}"
    defaults = workload.name == "miniflux"
    if defaults:
        (only,) = workload.containers
        controller["defaultContainerOptions"] = {"resources": resources(workload, only)}
        repo.put(workload, only, Place(file, 0, f"{root}.defaultContainerOptions.resources"))
    for group, init in (("initContainers", True), ("containers", False)):
        members = [c for c in workload.containers if (c.role != "app") is init]
        if members:
            controller[group] = {c.name: _app_container(workload, c, defaults) for c in members}
        for container in members if not defaults else ():
            path = f"{root}.{group}.{container.name}.resources"
            repo.put(workload, container, Place(file, 0, path))
    return controller


def _app_container(workload: Workload, container: Container, defaults: bool) -> Yaml:
    name, tag = image_of(workload, container)
    entry: Yaml = {"image": {"repository": name, "tag": tag}}
    if container.role == "sidecar":
        entry["restartPolicy"] = "Always"
    if container.env or container.name == "app":
        entry["env"] = {"TZ": Raw("${TIMEZONE}"), **dict(container.env)}
    if container.name == "app" and workload.kind != "CronJob":
        probe = {"enabled": True, "custom": False}
        # Immich's release repeats an anchor, as people do and YAML allows.
        anchor = f"{workload.controller}-probes" if workload.app == "authentik" else "probes"
        entry["probes"] = {"liveness": Anchored(probe, anchor), "readiness": Raw(f"*{anchor}")}
    if container.declared() and not defaults:
        entry["resources"] = resources(workload, container)
    return entry


def _app_extras(workload: Workload) -> Yaml:
    port = 3000 + int(dice("port", *workload.key).integers(0, 6000))
    extras: Yaml = {
        "defaultPodOptions": {
            "securityContext": {"runAsUser": 1000, "runAsGroup": 1000, "fsGroup": 1000}
        }
    }
    if workload.nodes == ("gpu-1",):
        extras["defaultPodOptions"]["nodeSelector"] = {"feature.example/gpu": Raw('"true"')}
        extras["defaultPodOptions"]["tolerations"] = _tolerations(workload)
    if workload.kind != "CronJob":
        extras["service"] = {
            "app": {"controller": workload.controller, "ports": {"http": {"port": port}}}
        }
    extras["persistence"] = {"tmp": {"type": "emptyDir"}}
    return extras


def _tolerations(workload: Workload) -> list[Yaml]:
    return [dict(toleration) for toleration in workload.tolerations]


def _oci_repository(name: str) -> str:
    return document(
        {
            "apiVersion": "source.toolkit.fluxcd.io/v1beta2",
            "kind": "OCIRepository",
            "metadata": {"name": name},
            "spec": {
                "interval": "5m",
                "layerSelector": {
                    "mediaType": "application/vnd.cncf.helm.chart.content.v1.tar+gzip",
                    "operation": "copy",
                },
                "ref": {"tag": "4.1.1"},
                "url": "oci://charts.example/app-template",
            },
        }
    )


def _hpa(workload: Workload) -> Yaml:
    assert workload.hpa is not None
    target = {"type": "Utilization", "averageUtilization": workload.hpa.target}
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": workload.name},
        "spec": {
            "scaleTargetRef": {
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "name": workload.name,
            },
            "minReplicas": workload.hpa.minimum,
            "maxReplicas": workload.hpa.maximum,
            "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": target}}],
        },
    }


def _sops_secret(name: str) -> str:
    """Looks like a file encrypted with SOPS; there is nothing inside."""
    made_up = "ENC[AES256_GCM,data:bm90aGluZw==,iv:bm90aGluZw==,tag:bm90aGluZw==,type:str]"
    return document(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": name},
            "stringData": {"SECRET_KEY": Raw(made_up)},
            "sops": {
                "age": [
                    {"recipient": "age1notarealrecipient", "enc": Literal("not encrypted at all")}
                ],
                "lastmodified": Raw('"2026-10-01T08:00:00Z"'),
                "mac": Raw(made_up),
                "encrypted_regex": "^(data|stringData)$",
                "version": "3.9.4",
            },
        }
    )


CHARTS: dict[str, tuple[str, str, dict[tuple[str, str], str]]] = {
    # release: version, repository, and the values path of each workload's container
    "grafana": (
        "8.10.1",
        "grafana",
        {
            ("grafana", "grafana"): "resources",
            ("grafana", "grafana-sc-dashboard"): "sidecar.resources",
        },
    ),
    "kube-prometheus-stack": (
        "70.4.1",
        "prometheus-community",
        {
            (
                "prometheus-kube-prometheus-stack-prometheus",
                "prometheus",
            ): "prometheus.prometheusSpec.resources",
            (
                "alertmanager-kube-prometheus-stack-alertmanager",
                "alertmanager",
            ): "alertmanager.alertmanagerSpec.resources",
            (
                "kube-prometheus-stack-operator",
                "kube-prometheus-stack",
            ): "prometheusOperator.resources",
            ("kube-state-metrics", "kube-state-metrics"): "kube-state-metrics.resources",
            ("node-exporter", "node-exporter"): "prometheus-node-exporter.resources",
        },
    ),
    "ingress-nginx-internal": (
        "4.12.1",
        "ingress-nginx",
        {("ingress-nginx-internal-controller", "controller"): "controller.resources"},
    ),
    "ingress-nginx-external": (
        "4.12.1",
        "ingress-nginx",
        {("ingress-nginx-external-controller", "controller"): "controller.resources"},
    ),
    "cert-manager": (
        "v1.17.1",
        "jetstack",
        {
            ("cert-manager", "cert-manager-controller"): "resources",
            ("cert-manager-cainjector", "cert-manager-cainjector"): "cainjector.resources",
            ("cert-manager-webhook", "cert-manager-webhook"): "webhook.resources",
        },
    ),
    "cloudnative-pg": ("0.23.2", "cloudnative-pg", {("cloudnative-pg", "manager"): "resources"}),
    "loki": ("6.28.0", "grafana", {("loki", "loki"): "singleBinary.resources"}),
    "cilium": (
        "1.16.7",
        "cilium",
        {("cilium", "cilium-agent"): "resources", ("cilium", "mount-cgroup"): "initResources"},
    ),
    "metrics-server": (
        "3.12.2",
        "metrics-server",
        {("metrics-server", "metrics-server"): "resources"},
    ),
    "reloader": ("1.3.0", "stakater", {("reloader", "reloader"): "reloader.deployment.resources"}),
}
CONFIG_RELOADER = "prometheusOperator.prometheusConfigReloader.resources"
CHART_EXTRAS: dict[str, Yaml] = {
    "grafana": {
        "deploymentStrategy": {"type": "Recreate"},
        "grafana.ini": {"analytics": {"check_for_updates": False}},
        "sidecar": {"dashboards": {"enabled": True, "searchNamespace": "ALL"}},
    },
    "kube-prometheus-stack": {
        "cleanPrometheusOperatorObjectNames": False,
        "prometheus": {"prometheusSpec": {"retention": "14d", "scrapeInterval": "1m"}},
        "kube-state-metrics": {
            "fullnameOverride": "kube-state-metrics",
            "metricLabelsAllowlist": ["pods=[*]", "deployments=[*]", "nodes=[*]"],
        },
        "prometheus-node-exporter": {"fullnameOverride": "node-exporter"},
    },
    "ingress-nginx-internal": {
        "controller": {
            "ingressClassResource": {"name": "internal", "default": True},
            "autoscaling": {
                "enabled": True,
                "minReplicas": 2,
                "maxReplicas": 6,
                "targetCPUUtilizationPercentage": 70,
            },
        }
    },
    "ingress-nginx-external": {"controller": {"ingressClassResource": {"name": "external"}}},
    "cert-manager": {"crds": {"enabled": True}, "replicaCount": 1},
    "loki": {"deploymentMode": "SingleBinary", "singleBinary": {"replicas": 1}},
    "cilium": {"kubeProxyReplacement": True, "ipam": {"mode": "kubernetes"}},
    "metrics-server": {"args": ["--kubelet-insecure-tls"]},
    "reloader": {"reloader": {"readOnlyRootFileSystem": True}},
}


def _chart(repo: Repository, workloads: list[Workload]) -> None:
    """One release of a chart that has its own idea of values."""
    first = workloads[0]
    release, folder = first.app, _folder(first)
    version, source, paths = CHARTS[release]
    values: Yaml = _copy(CHART_EXTRAS.get(release, {}))
    in_values_file = release == "loki"
    file = f"{folder}/values.yaml" if in_values_file else f"{folder}/helmrelease.yaml"
    for workload in workloads:
        for container in workload.containers:
            path = paths.get((workload.name, container.name), CONFIG_RELOADER)
            if container.declared():
                _set(values, path, resources(workload, container))
            prefix = "" if in_values_file else "spec.values."
            repo.put(workload, container, Place(file, 0, prefix + path))
    chart_name = "ingress-nginx" if release.startswith("ingress-nginx") else release
    chart_source = _chart_source(chart_name, version, source)
    if in_values_file:
        repo.files[file] = document(values, "what the chart's defaults get wrong for one node")
        reference = [{"kind": "ConfigMap", "name": "loki-values"}]
        manifest = _helm_release(release, chart_source, None, valuesFrom=reference)
        generator = [{"name": "loki-values", "files": ["values.yaml=./values.yaml"]}]
        more: Yaml = {
            "configMapGenerator": generator,
            "generatorOptions": {"disableNameSuffixHash": True},
        }
    else:
        manifest, more = _helm_release(release, chart_source, values), {}
    repo.files[f"{folder}/helmrelease.yaml"] = document(manifest)
    _kustomization(repo, folder, ["helmrelease.yaml"], **more)


def _copy(value: Any) -> Any:
    return {k: _copy(v) for k, v in value.items()} if isinstance(value, Mapping) else value


def _set(values: Yaml, path: str, block: Any) -> None:
    *parents, last = path.split(".")
    for key in parents:
        values = values.setdefault(key, {})
    values[last] = block


def _plain(repo: Repository, workloads: list[Workload]) -> None:
    """A manifest, as Kubernetes wants it, next to whatever else the application needs."""
    (workload,) = workloads
    folder = _folder(workload)
    name = {"mariadb": "mariadb.yaml"}.get(workload.name, f"{workload.kind.lower()}.yaml")
    before = [_config_map(workload)] if workload.name == "mariadb" else []
    after = [_service(workload)] if workload.kind == "StatefulSet" else []
    documents = [*before, _manifest(workload), *after]
    file = f"{folder}/{name}"
    repo.files[file] = "".join(document(entry) for entry in documents)
    for index, container in _numbered(workload):
        path = f"{_pod_path(workload)}.containers[{index}].resources"
        repo.put(workload, container, Place(file, len(before), path))
    _kustomization(repo, folder, [name])


def _numbered(workload: Workload) -> list[tuple[int, Container]]:
    return list(enumerate(c for c in workload.containers if c.role == "app"))


def _pod_path(workload: Workload) -> str:
    job = "spec.jobTemplate." if workload.kind == "CronJob" else ""
    return f"{job}spec.template.spec"


def _manifest(workload: Workload, declared: bool = True) -> Yaml:
    labels = {"app.kubernetes.io/name": workload.name}
    pod_spec: Yaml = {
        "containers": [_plain_container(workload, c, declared) for _, c in _numbered(workload)]
    }
    pod_spec |= _placement(workload)
    template = {"metadata": {"labels": labels}, "spec": pod_spec}
    group = "batch/v1" if workload.kind == "CronJob" else "apps/v1"
    spec: Yaml = {"selector": {"matchLabels": labels}, "template": template}
    match workload.kind:
        case "CronJob":
            pod_spec["restartPolicy"] = "Never"
            spec = {
                "schedule": workload.schedule,
                "concurrencyPolicy": "Forbid",
                "jobTemplate": {"spec": {"template": template}},
            }
        case "StatefulSet":
            spec = {"serviceName": workload.name, "replicas": workload.replicas, **spec}
        case "Deployment":
            spec = {"replicas": workload.replicas, **spec}
    return {
        "apiVersion": group,
        "kind": workload.kind,
        "metadata": {"name": workload.name},
        "spec": spec,
    }


def _placement(workload: Workload) -> Yaml:
    """What a manifest says of where its pods go: how much they matter, and what they tolerate."""
    asked: Yaml = {}
    if workload.priority:
        asked["priorityClassName"] = workload.priority
    if workload.tolerations:
        asked["tolerations"] = _tolerations(workload)
    return asked


def _plain_container(workload: Workload, container: Container, declared: bool = True) -> Yaml:
    name, tag = image_of(workload, container)
    entry: Yaml = {"name": container.name, "image": f"{name}:{tag}"}
    if container.env:
        entry["env"] = [{"name": key, "value": text} for key, text in container.env]
    if container.declared() and declared:
        entry["resources"] = resources(workload, container)
    return entry


def _service(workload: Workload) -> Yaml:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": workload.name},
        "spec": {
            "clusterIP": "None",
            "selector": {"app.kubernetes.io/name": workload.name},
            "ports": [{"name": "tcp", "port": 9000}],
        },
    }


def _config_map(workload: Workload) -> Yaml:
    settings = Literal("[mariadb]\ninnodb_buffer_pool_size=256M\nskip-name-resolve=1\n")
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": f"{workload.name}-config"},
        "data": {"my.cnf": settings},
    }


def _overlay(repo: Repository, workloads: list[Workload]) -> None:
    """A base with somebody's defaults, and an overlay that says what counts here."""
    (workload,) = workloads
    base, overlay = _folder(workload, "base"), _folder(workload, "overlay")
    (container,) = workload.containers
    manifest = _manifest(workload)
    default = {"requests": {"cpu": "100m", "memory": "64Mi"}, "limits": {"memory": "128Mi"}}
    manifest["spec"]["template"]["spec"]["containers"][0]["resources"] = default
    repo.files[f"{base}/deployment.yaml"] = document(manifest)
    _kustomization(repo, base, ["deployment.yaml"])
    resource_files = ["../base"]
    if workload.name == "coredns":
        operation = {
            "op": "replace",
            "path": "/spec/template/spec/containers/0/resources",
            "value": resources(workload, container),
        }
        text = document({"patch": [operation]}).split("\n", 2)[2]
        target = {"kind": "Deployment", "name": workload.name}
        patch: Yaml = {"target": target, "patch": Literal(_dedent(text))}
        place = Place(f"{overlay}/kustomization.yaml", 0, "patches[0].patch | [0].value")
    else:
        patched = {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": workload.name},
            "spec": {
                "template": {
                    "spec": {
                        "containers": [
                            {"name": container.name, "resources": resources(workload, container)}
                        ]
                    }
                }
            },
        }
        repo.files[f"{overlay}/resources.yaml"] = document(patched, "more than the base gives it")
        patch = {"path": "./resources.yaml"}
        path = "spec.template.spec.containers[0].resources"
        place = Place(f"{overlay}/resources.yaml", 0, path)
    repo.put(workload, container, place)
    repo.files[f"{overlay}/kustomization.yaml"] = document(
        {
            "apiVersion": "kustomize.config.k8s.io/v1beta1",
            "kind": "Kustomization",
            "resources": resource_files,
            "patches": [patch],
        }
    )


def _dedent(text: str) -> str:
    return "\n".join(line.removeprefix("  ") for line in text.splitlines())


def _cnpg(repo: Repository, workloads: list[Workload]) -> None:
    """A custom resource whose operator makes the pods."""
    (workload,) = workloads
    (container,) = workload.containers
    folder = _folder(workload)
    name, tag = image_of(workload, container)
    cluster = {
        "apiVersion": "postgresql.cnpg.io/v1",
        "kind": "Cluster",
        "metadata": {"name": workload.name},
        "spec": {
            "instances": workload.replicas,
            "imageName": f"{name}:{tag}",
            "storage": {"size": "20Gi", "storageClass": "local"},
            "postgresql": {
                "parameters": {"max_connections": Raw('"200"'), "shared_buffers": "512MB"}
            },
            "resources": resources(workload, container),
        },
    }
    backup = {
        "apiVersion": "postgresql.cnpg.io/v1",
        "kind": "ScheduledBackup",
        "metadata": {"name": workload.name},
        "spec": {"schedule": "0 0 2 * * *", "cluster": {"name": workload.name}},
    }
    file = f"{folder}/cluster.yaml"
    repo.files[file] = document(cluster) + document(backup)
    repo.put(workload, container, Place(file, 0, "spec.resources"))
    _kustomization(repo, folder, ["cluster.yaml"])


FORMS: dict[str, Callable[[Repository, list[Workload]], None]] = {
    "app-template": _app_template,
    "app-template-oci": _app_template,
    "chart": _chart,
    "plain": _plain,
    "overlay": _overlay,
    "cnpg": _cnpg,
}


def _namespaces(repo: Repository) -> None:
    for namespace, apps in repo.apps.items():
        folder = f"{APPS}/{namespace}"
        repo.files[f"{folder}/namespace.yaml"] = document(
            {
                "apiVersion": "v1",
                "kind": "Namespace",
                "metadata": {
                    "name": namespace,
                    "labels": {"kustomize.toolkit.fluxcd.io/prune": "disabled"},
                },
            }
        )
        _kustomization(repo, folder, ["namespace.yaml", *(f"{app}/ks.yaml" for app in apps)])
    _kustomization(repo, APPS, list(repo.apps))


def _flux(repo: Repository) -> None:
    """Flux itself: where it starts, and the patch that gives two controllers their resources."""
    patched = [w for w in WORKLOADS if w.form == "flux-patch"]
    container = patched[0].containers[0]
    names = "|".join(w.name for w in patched)
    patch = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "controllers"},
        "spec": {
            "template": {
                "spec": {
                    "containers": [{"name": container.name, "resources": container.declared()}]
                }
            }
        },
    }
    file = "kubernetes/flux/config/flux.yaml"
    repo.files[file] = document(
        {
            "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
            "kind": "Kustomization",
            "metadata": {"name": "flux", "namespace": "flux-system"},
            "spec": {
                "interval": "10m",
                "path": "./",
                "prune": True,
                "sourceRef": {"kind": "OCIRepository", "name": "flux-manifests"},
                "patches": [
                    {
                        "patch": Literal(document(patch).removeprefix("---\n")),
                        "target": {"kind": "Deployment", "name": f"({names})"},
                    }
                ],
            },
        },
        "Flux manages itself from the manifests of its release",
    )
    for workload in patched:
        path = "spec.patches[0].patch | spec.template.spec.containers[0].resources"
        repo.put(workload, workload.containers[0], Place(file, 0, path))
    _flux_cluster(repo)
    _kustomization(repo, "kubernetes/flux/config", ["flux.yaml", "cluster.yaml"])


def _flux_cluster(repo: Repository) -> None:
    substitute = {"substituteFrom": [{"kind": "ConfigMap", "name": "cluster-settings"}]}
    for name, path, more in (
        ("cluster-vars", "./kubernetes/flux/vars", {}),
        ("cluster-apps", f"./{APPS}", {"postBuild": substitute}),
    ):
        repo.files.setdefault("kubernetes/flux/config/cluster.yaml", "")
        repo.files["kubernetes/flux/config/cluster.yaml"] += document(
            {
                "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
                "kind": "Kustomization",
                "metadata": {"name": name, "namespace": "flux-system"},
                "spec": {
                    "interval": "30m",
                    "path": path,
                    "prune": True,
                    "sourceRef": {"kind": "GitRepository", "name": "flux-system"},
                    **more,
                },
            }
        )
    settings = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "cluster-settings", "namespace": "flux-system"},
        "data": SETTINGS,
    }
    repo.files["kubernetes/flux/vars/cluster-settings.yaml"] = document(settings)
    repo.files["kubernetes/flux/vars/cluster-secrets.sops.yaml"] = _sops_secret("cluster-secrets")
    _kustomization(
        repo, "kubernetes/flux/vars", ["cluster-settings.yaml", "cluster-secrets.sops.yaml"]
    )


def _dead_app(repo: Repository) -> None:
    """A folder that nothing refers to any more: its workload was deleted."""
    workload = next(w for w in WORKLOADS if w.name == "old-wiki")
    folder = _folder(workload)
    repo.files[f"{folder}/deployment.yaml"] = document(_manifest(workload))
    _kustomization(repo, folder, ["deployment.yaml"])


def _places_csv(repo: Repository) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    head = ["namespace", "workload_kind", "workload", "container"]
    writer.writerow([*head, "file", "document", "path", "declares"])
    for workload in sorted(WORKLOADS, key=lambda w: w.key):
        for container in sorted(workload.containers, key=lambda c: c.name):
            key = (*workload.key, container.name)
            place = repo.places.get(key, Place())
            number = place.document if place.file else ""
            writer.writerow([*key, place.file, number, place.path, place.declares])
    return out.getvalue()
