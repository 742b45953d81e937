"""Values paths of widely used charts.

Each row was found by rendering the chart with an odd amount at that path, three times with
different release names, and looking where the amount landed. Not so cilium's two rows and the old
naming of Reloader, which are how these charts are known to name things. A row is used when the
chart itself is not at hand. What a chart renames from one version to the next then no longer fits
what runs, and the container stays untraced.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from analyzer.gitops.render.app_template import fullname
from analyzer.gitops.text.tree import Path


@dataclass(frozen=True, slots=True)
class ChartRule:
    """One container of a chart and the values path of its `resources`, with dots.

    `workload` and `container` may hold ``{release}`` and ``{fullname}``. The full name is that of
    the subchart `part` where the container comes from one, cut to `limit` characters.
    """

    kind: str
    workload: str
    container: str
    values: str
    part: str = ""
    limit: int = 63

    @property
    def path(self) -> Path:
        """The values path as keys."""
        return tuple(self.values.split("."))

    def names(self, release: str, chart: str, values: Mapping[str, object]) -> tuple[str, str]:
        """The workload's and the container's name in a release with these values."""
        scope = values.get(self.part, {}) if self.part else values
        own = scope if isinstance(scope, dict) else {}
        full = fullname(release, self.part or chart, own)[: self.limit].removesuffix("-")
        return (
            self.workload.format(release=release, fullname=full),
            self.container.format(release=release, fullname=full),
        )


CHARTS: dict[str, tuple[ChartRule, ...]] = {
    "alertmanager": (ChartRule("StatefulSet", "{fullname}", "alertmanager", "resources"),),
    "argo-cd": (
        ChartRule(
            "Deployment",
            "{release}-argocd-applicationset-controller",
            "applicationset-controller",
            "applicationSet.resources",
        ),
        ChartRule(
            "StatefulSet",
            "{release}-argocd-application-controller",
            "application-controller",
            "controller.resources",
        ),
        ChartRule(
            "Deployment", "{release}-argocd-dex-server", "copyutil", "dex.initImage.resources"
        ),
        ChartRule("Deployment", "{release}-argocd-dex-server", "dex-server", "dex.resources"),
        ChartRule(
            "Deployment",
            "{release}-argocd-notifications-controller",
            "notifications-controller",
            "notifications.resources",
        ),
        ChartRule("Deployment", "{release}-argocd-redis", "redis", "redis.resources"),
        ChartRule(
            "Deployment",
            "{release}-argocd-repo-server",
            "copyutil",
            "repoServer.copyutil.resources",
        ),
        ChartRule(
            "Deployment", "{release}-argocd-repo-server", "repo-server", "repoServer.resources"
        ),
        ChartRule("Deployment", "{release}-argocd-server", "server", "server.resources"),
    ),
    "argo-events": (
        ChartRule(
            "Deployment",
            "{fullname}-controller-manager",
            "controller-manager",
            "controller.resources",
        ),
    ),
    "argo-rollouts": (
        ChartRule("Deployment", "{fullname}", "argo-rollouts", "controller.resources"),
    ),
    "argo-workflows": (
        ChartRule(
            "Deployment", "{fullname}-workflow-controller", "controller", "controller.resources"
        ),
        ChartRule("Deployment", "{fullname}-server", "argo-server", "server.resources"),
    ),
    "argocd-image-updater": (
        ChartRule("Deployment", "{fullname}-controller", "{fullname}-controller", "resources"),
    ),
    "authentik": (
        ChartRule("Deployment", "{fullname}-server", "server", "server.resources"),
        ChartRule("Deployment", "{fullname}-worker", "worker", "worker.resources"),
    ),
    "cert-manager": (
        ChartRule(
            "Deployment", "{fullname}-cainjector", "cert-manager-cainjector", "cainjector.resources"
        ),
        ChartRule("Deployment", "{fullname}", "cert-manager-controller", "resources"),
        ChartRule("Deployment", "{fullname}-webhook", "cert-manager-webhook", "webhook.resources"),
    ),
    "cilium": (
        ChartRule("DaemonSet", "cilium", "cilium-agent", "resources"),
        ChartRule("Deployment", "cilium-operator", "cilium-operator", "operator.resources"),
    ),
    "cloudnative-pg": (ChartRule("Deployment", "{fullname}", "manager", "resources"),),
    "coredns": (ChartRule("Deployment", "{fullname}", "coredns", "resources"),),
    "external-dns": (ChartRule("Deployment", "{fullname}", "external-dns", "resources"),),
    "external-secrets": (
        ChartRule(
            "Deployment",
            "{fullname}-cert-controller",
            "cert-controller",
            "certController.resources",
        ),
        ChartRule("Deployment", "{fullname}", "external-secrets", "resources"),
        ChartRule("Deployment", "{fullname}-webhook", "webhook", "webhook.resources"),
    ),
    "goldilocks": (
        ChartRule("Deployment", "{fullname}-controller", "goldilocks", "controller.resources"),
        ChartRule("Deployment", "{fullname}-dashboard", "goldilocks", "dashboard.resources"),
    ),
    "grafana": (
        ChartRule("Deployment", "{fullname}", "grafana", "resources"),
        ChartRule("Deployment", "{fullname}", "grafana-sc-dashboard", "sidecar.resources"),
        ChartRule("Deployment", "{fullname}", "grafana-sc-datasources", "sidecar.resources"),
    ),
    "ingress-nginx": (
        ChartRule("Deployment", "{fullname}-controller", "controller", "controller.resources"),
    ),
    "kube-prometheus-stack": (
        ChartRule(
            "StatefulSet",
            "alertmanager-{fullname}-alertmanager",
            "alertmanager",
            "alertmanager.alertmanagerSpec.resources",
            limit=26,
        ),
        ChartRule("Deployment", "{fullname}", "grafana", "grafana.resources", "grafana"),
        ChartRule(
            "Deployment",
            "{fullname}",
            "grafana-sc-dashboard",
            "grafana.sidecar.resources",
            "grafana",
        ),
        ChartRule(
            "Deployment",
            "{fullname}",
            "grafana-sc-datasources",
            "grafana.sidecar.resources",
            "grafana",
        ),
        ChartRule(
            "Deployment",
            "{fullname}",
            "kube-state-metrics",
            "kube-state-metrics.resources",
            "kube-state-metrics",
        ),
        ChartRule(
            "StatefulSet",
            "prometheus-{fullname}-prometheus",
            "prometheus",
            "prometheus.prometheusSpec.resources",
            limit=26,
        ),
        ChartRule(
            "DaemonSet",
            "{fullname}",
            "node-exporter",
            "prometheus-node-exporter.resources",
            "prometheus-node-exporter",
        ),
        ChartRule(
            "Deployment",
            "{fullname}-operator",
            "kube-prometheus-stack",
            "prometheusOperator.resources",
            limit=26,
        ),
    ),
    "kube-state-metrics": (
        ChartRule("Deployment", "{fullname}", "kube-state-metrics", "resources"),
    ),
    "kyverno": (
        ChartRule(
            "Deployment",
            "kyverno-admission-controller",
            "kyverno",
            "admissionController.container.resources",
        ),
        ChartRule(
            "Deployment",
            "kyverno-admission-controller",
            "kyverno-pre",
            "admissionController.initContainer.resources",
        ),
        ChartRule(
            "Deployment",
            "kyverno-background-controller",
            "controller",
            "backgroundController.resources",
        ),
        ChartRule(
            "Deployment", "kyverno-cleanup-controller", "controller", "cleanupController.resources"
        ),
        ChartRule(
            "Deployment", "kyverno-reports-controller", "controller", "reportsController.resources"
        ),
    ),
    "loki": (
        ChartRule("StatefulSet", "{fullname}-chunks-cache", "memcached", "chunksCache.resources"),
        ChartRule("Deployment", "{fullname}-gateway", "exporter", "gateway.metrics.resources"),
        ChartRule("Deployment", "{fullname}-gateway", "nginx", "gateway.resources"),
        ChartRule("DaemonSet", "{fullname}-canary", "canary", "lokiCanary.resources"),
        ChartRule(
            "StatefulSet", "{fullname}-chunks-cache", "exporter", "memcachedExporter.resources"
        ),
        ChartRule(
            "StatefulSet", "{fullname}-results-cache", "exporter", "memcachedExporter.resources"
        ),
        ChartRule("StatefulSet", "{fullname}-results-cache", "memcached", "resultsCache.resources"),
        ChartRule("StatefulSet", "{fullname}", "loki-sc-rules", "sidecar.resources"),
        ChartRule("StatefulSet", "{fullname}", "loki", "singleBinary.resources"),
    ),
    "metallb": (
        ChartRule("Deployment", "{fullname}-controller", "controller", "controller.resources"),
        ChartRule("DaemonSet", "{fullname}-speaker", "speaker", "speaker.resources"),
    ),
    "metrics-server": (ChartRule("Deployment", "{fullname}", "metrics-server", "resources"),),
    "plugin-barman-cloud": (ChartRule("Deployment", "{fullname}", "barman-cloud", "resources"),),
    "podinfo": (ChartRule("Deployment", "{fullname}", "podinfo", "resources"),),
    "polaris": (
        ChartRule("Deployment", "{fullname}-dashboard", "dashboard", "dashboard.resources"),
    ),
    "prometheus": (
        ChartRule(
            "StatefulSet", "{fullname}", "alertmanager", "alertmanager.resources", "alertmanager"
        ),
        ChartRule(
            "Deployment",
            "{fullname}-server",
            "prometheus-server-configmap-reload",
            "configmapReload.prometheus.resources",
        ),
        ChartRule(
            "Deployment",
            "{fullname}",
            "kube-state-metrics",
            "kube-state-metrics.resources",
            "kube-state-metrics",
        ),
        ChartRule(
            "DaemonSet",
            "{fullname}",
            "node-exporter",
            "prometheus-node-exporter.resources",
            "prometheus-node-exporter",
        ),
        ChartRule(
            "Deployment",
            "{fullname}",
            "pushgateway",
            "prometheus-pushgateway.resources",
            "prometheus-pushgateway",
        ),
        ChartRule("Deployment", "{fullname}-server", "prometheus-server", "server.resources"),
    ),
    "prometheus-adapter": (
        ChartRule("Deployment", "{fullname}", "prometheus-adapter", "resources"),
    ),
    "prometheus-blackbox-exporter": (
        ChartRule("Deployment", "{fullname}", "blackbox-exporter", "resources"),
    ),
    "prometheus-node-exporter": (
        ChartRule("DaemonSet", "{fullname}", "node-exporter", "resources"),
    ),
    "prometheus-postgres-exporter": (
        ChartRule("Deployment", "{fullname}", "prometheus-postgres-exporter", "resources"),
    ),
    "prometheus-pushgateway": (ChartRule("Deployment", "{fullname}", "pushgateway", "resources"),),
    "prometheus-redis-exporter": (
        ChartRule("Deployment", "{fullname}", "prometheus-redis-exporter", "resources"),
    ),
    "prometheus-snmp-exporter": (
        ChartRule("Deployment", "{fullname}", "snmp-exporter", "resources"),
    ),
    "promtail": (ChartRule("DaemonSet", "{fullname}", "promtail", "resources"),),
    "rbac-manager": (ChartRule("Deployment", "{fullname}", "rbac-manager", "resources"),),
    "reloader": (
        ChartRule(
            "Deployment",
            "{release}-reloader",
            "{release}-reloader",
            "reloader.deployment.resources",
        ),
        ChartRule("Deployment", "{fullname}", "{fullname}", "reloader.deployment.resources"),
    ),
    "rook-ceph": (
        ChartRule("Deployment", "rook-ceph-operator", "rook-ceph-operator", "resources"),
    ),
    "traefik": (ChartRule("Deployment", "{fullname}", "{fullname}", "resources"),),
    "victoria-logs-single": (
        ChartRule("StatefulSet", "{fullname}-server", "vlogs", "server.resources"),
    ),
    "victoria-metrics-agent": (ChartRule("Deployment", "{fullname}", "vmagent", "resources"),),
    "victoria-metrics-alert": (
        ChartRule("Deployment", "{fullname}-server", "vmalert", "server.resources"),
    ),
    "victoria-metrics-cluster": (
        ChartRule("Deployment", "{fullname}-vminsert", "vminsert", "vminsert.resources"),
        ChartRule("Deployment", "{fullname}-vmselect", "vmselect", "vmselect.resources"),
        ChartRule("StatefulSet", "{fullname}-vmstorage", "vmstorage", "vmstorage.resources"),
    ),
    "victoria-metrics-k8s-stack": (
        ChartRule("Deployment", "{fullname}", "grafana", "grafana.resources", "grafana"),
        ChartRule(
            "Deployment",
            "{fullname}",
            "grafana-sc-dashboard",
            "grafana.sidecar.resources",
            "grafana",
        ),
        ChartRule(
            "Deployment",
            "{fullname}",
            "grafana-sc-datasources",
            "grafana.sidecar.resources",
            "grafana",
        ),
        ChartRule(
            "Deployment",
            "{fullname}",
            "kube-state-metrics",
            "kube-state-metrics.resources",
            "kube-state-metrics",
        ),
        ChartRule(
            "DaemonSet",
            "{fullname}",
            "node-exporter",
            "prometheus-node-exporter.resources",
            "prometheus-node-exporter",
        ),
        ChartRule(
            "Deployment",
            "{fullname}",
            "operator",
            "victoria-metrics-operator.resources",
            "victoria-metrics-operator",
        ),
    ),
    "victoria-metrics-operator": (ChartRule("Deployment", "{fullname}", "operator", "resources"),),
    "victoria-metrics-single": (
        ChartRule("StatefulSet", "{fullname}-server", "vmsingle", "server.resources"),
    ),
}
