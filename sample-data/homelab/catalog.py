"""What runs in the homelab: nodes, patterns, workloads.

Everything else (usage, events, series, manifests) follows from these tables and the seed.
Amounts a manifest declares are kept as the text it declares them with.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from homelab.quantity import amount

CLUSTER = "homelab"

PATTERNS: dict[str, str] = {
    "steady": "the same level all the time, with autocorrelated noise",
    "daily": "a bump every evening, in CPU and somewhat in memory",
    "weekly": "office hours: higher on weekdays, low at the weekend",
    "weekly_peak": "quiet, but for one peak each Sunday morning",
    "bursty": "quiet, with bursts whose sizes have a heavy tail",
    "growing": "memory grows by the same amount every day",
    "leaking": "memory climbs while the container runs and falls when it restarts",
    "level_shift": "memory and CPU move to another level when the image changes",
    "level_shift_silent": "the same, but nothing in the manifest changes",
    "oom_killed": "climbs past its memory limit and is killed there, again and again",
    "throttled": "wants more CPU every evening than its limit lets it have",
    "idle": "next to nothing",
    "young": "exists for two days",
    "churned": "steady, but its pods are replaced every few days",
    "restarted": "steady, but restarts in its pod every day or two",
    "hpa": "load swings with the day; the number of pods follows it",
    "java_heap": "memory rises to the heap's size and stays there",
    "vanished": "steady until deleted in the middle of the window",
    "batch": "runs for some minutes and ends",
    "startup": "runs once when its pod starts",
}


@dataclass(frozen=True)
class Taint:
    """What keeps pods off a node that do not tolerate it."""

    key: str
    value: str = ""
    effect: str = "NoSchedule"

    def __str__(self) -> str:
        return "=".join(filter(None, (self.key, self.value))) + f":{self.effect}"


@dataclass(frozen=True)
class Node:
    """A machine: allocatable cores, bytes and GPUs; `role` is what it is labelled to be."""

    name: str
    cores: float
    memory: int
    gpus: int = 0
    role: str = ""
    taints: tuple[Taint, ...] = ()
    labels: tuple[tuple[str, str], ...] = ()

    def allocatable(self) -> dict[str, float]:
        """What it can give to pods, by resource."""
        amounts = {"cpu": self.cores, "memory": self.memory, "pods": 110}
        return amounts | ({GPU: self.gpus} if self.gpus else {})

    def all_labels(self) -> dict[str, str]:
        """Its labels, with those that the kubelet gives it."""
        usual = {"arch": "amd64", "hostname": self.name, "os": "linux"}
        found = {f"kubernetes.io/{name}": value for name, value in usual.items()}
        role = {f"node-role.kubernetes.io/{self.role}": ""} if self.role else {}
        return found | role | dict(self.labels)


GPU = "nvidia.com/gpu"
CONTROL_PLANE = Taint("node-role.kubernetes.io/control-plane")
Toleration = tuple[tuple[str, str], ...]
"""The fields of a toleration."""
ANY: Toleration = (("operator", "Exists"),)
ANY_NO_SCHEDULE = (("effect", "NoSchedule"), ("operator", "Exists"))
FOR_GPU = (("effect", "NoSchedule"), ("key", GPU), ("operator", "Exists"))
FOR_CONTROL_PLANE = (
    ("effect", "NoSchedule"),
    ("key", CONTROL_PLANE.key),
    ("operator", "Exists"),
)

NODES = (
    Node("cp-1", 3.95, 16_217_186_304, role="control-plane", taints=(CONTROL_PLANE,)),
    Node("cp-2", 3.95, 16_217_186_304, role="control-plane", taints=(CONTROL_PLANE,)),
    Node("cp-3", 3.95, 16_217_186_304, role="control-plane", taints=(CONTROL_PLANE,)),
    Node("worker-1", 15.95, 33_285_996_544),
    Node("worker-2", 15.95, 33_285_996_544),
    Node("worker-3", 15.95, 33_285_996_544),
    Node(
        "gpu-1",
        23.95,
        134_683_234_304,
        2,
        taints=(Taint(GPU),),
        labels=(("feature.example/gpu", "true"),),
    ),
)
WORKERS = ("worker-1", "worker-2", "worker-3")


@dataclass(frozen=True)
class Container:
    """One container of a pod.

    `cores` and `mib` are its usual use. `cpu` and `memory` are ``request/limit`` as declared;
    either side may be empty. `role` is app, init or sidecar (an init container that stays).
    `shift` is by how much a level shift multiplies.
    """

    name: str
    pattern: str
    cores: float
    mib: float
    cpu: str = ""
    memory: str = ""
    image: str = ""
    role: str = "app"
    gpus: int = 0
    shift: float = 1.8
    env: tuple[tuple[str, str], ...] = ()

    def declared(self) -> dict[str, dict[str, str]]:
        """The ``resources`` block as a manifest has it: only what is written."""
        block: dict[str, dict[str, str]] = {"requests": {}, "limits": {}}
        for resource, text in (("cpu", self.cpu), ("memory", self.memory)):
            request, _, limit = text.partition("/")
            if request:
                block["requests"][resource] = request
            if limit:
                block["limits"][resource] = limit
        if self.gpus:
            block["limits"][GPU] = str(self.gpus)
        return {key: value for key, value in block.items() if value}

    def effective(self) -> dict[str, dict[str, float]]:
        """Requests and limits as Kubernetes runs them: a missing request is the limit."""
        block = self.declared()
        limits = {key: amount(text) for key, text in block.get("limits", {}).items()}
        requests = {key: amount(text) for key, text in block.get("requests", {}).items()}
        return {"requests": limits | requests, "limits": limits}


@dataclass(frozen=True)
class Hpa:
    """A HorizontalPodAutoscaler on CPU utilisation."""

    minimum: int
    maximum: int
    target: int


@dataclass(frozen=True)
class Workload:
    """One workload and where Git declares it.

    Days count from the start of the window. `rollouts` bring new pods with a new image,
    `redeploys` new pods with the same. `form` names the way it is declared (see `gitops`).
    `release` and `controller` are app-template's names for it. `tolerations` are its own, and
    `priority` the class that its pods have.
    """

    namespace: str
    name: str
    kind: str
    form: str
    containers: tuple[Container, ...]
    replicas: int = 1
    rollouts: tuple[float, ...] = ()
    redeploys: tuple[float, ...] = ()
    born: float | None = None
    deleted: float | None = None
    schedule: str = ""
    hpa: Hpa | None = None
    nodes: tuple[str, ...] = WORKERS
    release: str = ""
    controller: str = ""
    labels: tuple[tuple[str, str], ...] = field(default=())
    tolerations: tuple[Toleration, ...] = ()
    priority: str = ""

    @property
    def key(self) -> tuple[str, str, str]:
        """Namespace, kind and name."""
        return self.namespace, self.kind, self.name

    @property
    def app(self) -> str:
        """The name of the application, which is its folder in Git."""
        return self.release or self.name


C = Container
ALL_NODES = tuple(node.name for node in NODES)
GPU_NODES = ("gpu-1",)
EVERY_THREE_DAYS = tuple(2.45 + 3 * number for number in range(9))
EVERY_TWO_DAYS = tuple(1.6 + 2.2 * number for number in range(12))

HOME = "ghcr.io/home-operations"
EXPORTARR = C(
    "exporter", "steady", 0.002, 28, "10m/", "64Mi/64Mi", "ghcr.io/onedr0p/exportarr:v2.{}"
)


def app(namespace: str, name: str, *containers: Container, **more: object) -> Workload:
    """A Deployment declared by an app-template HelmRelease, unless `more` says otherwise."""
    settings: dict[str, object] = {"kind": "Deployment", "form": "app-template"} | more
    settings.setdefault("release", name)
    settings.setdefault("controller", name)
    # Keywords of several types.
    return Workload(namespace, name, containers=containers, **settings)  # type: ignore[arg-type]


def chart(
    namespace: str, name: str, release: str, *containers: Container, **more: object
) -> Workload:
    """A workload that another chart's release brings."""
    settings: dict[str, object] = {"kind": "Deployment", "form": f"chart:{release}"} | more
    # Keywords of several types.
    return Workload(namespace, name, containers=containers, release=release, **settings)  # type: ignore[arg-type]


def plain(namespace: str, name: str, *containers: Container, **more: object) -> Workload:
    """A workload declared by a plain manifest."""
    settings: dict[str, object] = {"kind": "Deployment", "form": "plain"} | more
    # Keywords of several types.
    return Workload(namespace, name, containers=containers, **settings)  # type: ignore[arg-type]


MEDIA = (
    app(
        "media",
        "plex",
        C("app", "daily", 0.45, 900, "500m/", "2Gi/8Gi", f"{HOME}/plex:1.41.{{}}"),
        rollouts=(9.3,),
    ),
    app(
        "media",
        "jellyfin",
        C("app", "bursty", 0.12, 700, "1/", "4Gi/8Gi", f"{HOME}/jellyfin:10.10.{{}}"),
        form="app-template-oci",
        rollouts=(15.1,),
    ),
    app(
        "media",
        "sonarr",
        C(
            "init-config",
            "startup",
            0.05,
            24,
            "10m/",
            "32Mi/64Mi",
            "docker.io/library/busybox:1.{}",
            "init",
        ),
        C("app", "leaking", 0.035, 290, "100m/", "512Mi/4Gi", f"{HOME}/sonarr:4.0.{{}}"),
        EXPORTARR,
        rollouts=(11.4,),
    ),
    app(
        "media",
        "radarr",
        C("app", "steady", 0.03, 330, "100m/", "/2Gi", f"{HOME}/radarr:5.2.{{}}"),
        EXPORTARR,
        rollouts=(6.2, 19.7),
    ),
    app(
        "media",
        "prowlarr",
        C("app", "idle", 0.0008, 140, "50m/", "512Mi/1Gi", f"{HOME}/prowlarr:1.3.{{}}"),
    ),
    app(
        "media",
        "bazarr",
        C("app", "oom_killed", 0.02, 260, "25m/", "128Mi/300Mi", f"{HOME}/bazarr:1.5.{{}}"),
    ),
    app(
        "media",
        "overseerr",
        C("app", "daily", 0.015, 300, "10m/", "/1Gi", "ghcr.io/sct/overseerr:1.3{}"),
        form="app-template-oci",
    ),
    app(
        "media",
        "tautulli",
        C("app", "steady", 0.012, 118, "10m/", "/512M", f"{HOME}/tautulli:2.15.{{}}"),
    ),
    app(
        "media",
        "immich-server",
        C(
            "app",
            "bursty",
            0.09,
            520,
            "200m/",
            "1Gi/4Gi",
            "ghcr.io/immich-app/immich-server:v1.12{}",
        ),
        form="app-template-oci",
        release="immich",
        controller="server",
        rollouts=(13.5,),
    ),
    app(
        "media",
        "immich-machine-learning",
        C(
            "app",
            "level_shift",
            0.06,
            900,
            "500m/",
            "2Gi/6Gi",
            "ghcr.io/immich-app/immich-machine-learning:v1.12{}",
        ),
        form="app-template-oci",
        release="immich",
        controller="machine-learning",
        rollouts=(13.5,),
    ),
)
DOWNLOADS = (
    app(
        "downloads",
        "qbittorrent",
        C(
            "gluetun",
            "steady",
            0.02,
            46,
            "50m/",
            "/128Mi",
            "ghcr.io/qdm12/gluetun:v3.4{}",
            "sidecar",
        ),
        C("app", "bursty", 0.15, 620, "500m/", "1Gi/8Gi", f"{HOME}/qbittorrent:5.0.{{}}"),
        C(
            "port-forward",
            "idle",
            0.0005,
            12,
            "5m/",
            "16Mi/32Mi",
            "docker.io/bjw-s/gluetun-qb-port-sync:0.0.{}",
        ),
        rollouts=(17.2,),
    ),
    app(
        "downloads",
        "sabnzbd",
        C("app", "throttled", 0.22, 410, "100m/500m", "512Mi/4Gi", f"{HOME}/sabnzbd:4.5.{{}}"),
    ),
    app(
        "downloads",
        "autobrr",
        C("app", "idle", 0.001, 62, "10m/", "256Mi/256Mi", "ghcr.io/autobrr/autobrr:v1.6{}"),
    ),
    app(
        "downloads",
        "unpackerr",
        C("app", "churned", 0.02, 85, "100m/", "/1Gi", "ghcr.io/unpackerr/unpackerr:v0.14.{}"),
        form="app-template-oci",
        rollouts=EVERY_THREE_DAYS,
    ),
    app(
        "downloads",
        "recyclarr",
        C("app", "batch", 0.3, 150, "100m/", "128M/512M", "ghcr.io/recyclarr/recyclarr:7.4.{}"),
        kind="CronJob",
        schedule="0 4 * * *",
    ),
    app(
        "downloads",
        "flaresolverr",
        C(
            "app",
            "oom_killed",
            0.08,
            420,
            "100m/",
            "/500M",
            "ghcr.io/flaresolverr/flaresolverr:v3.3.{}",
        ),
    ),
)
HOME_AUTOMATION = (
    app(
        "home-automation",
        "home-assistant",
        C(
            "init-hacs",
            "startup",
            0.12,
            60,
            "",
            "",
            "ghcr.io/home-operations/k8s-sidecar:1.{}",
            "init",
        ),
        C(
            "app",
            "level_shift",
            0.16,
            480,
            "100m/",
            "1Gi/2Gi",
            f"{HOME}/home-assistant:2026.10.{{}}",
        ),
        C("code-server", "idle", 0.0006, 110, "50m/", "/1Gi", "ghcr.io/coder/code-server:4.9{}"),
        rollouts=(10.35,),
    ),
    app(
        "home-automation",
        "zigbee2mqtt",
        C("app", "steady", 0.014, 105, "10m/", "128Mi/512Mi", "ghcr.io/koenkk/zigbee2mqtt:2.1.{}"),
        kind="StatefulSet",
    ),
    app(
        "home-automation",
        "mosquitto",
        C(
            "app",
            "steady",
            0.003,
            9,
            "10m/",
            "/64Mi",
            "public.ecr.aws/docker/library/eclipse-mosquitto:2.0.{}",
        ),
        kind="StatefulSet",
    ),
    app(
        "home-automation",
        "esphome",
        C("app", "restarted", 0.02, 190, "", "/1Gi", "ghcr.io/esphome/esphome:2026.9.{}"),
    ),
    app(
        "home-automation",
        "node-red",
        C("app", "leaking", 0.02, 120, "50m/", "256Mi/1Gi", "ghcr.io/node-red/node-red:4.0.{}"),
        form="app-template-oci",
    ),
    app(
        "home-automation",
        "frigate",
        C(
            "app",
            "restarted",
            1.1,
            2300,
            "1500m/",
            "4Gi/6Gi",
            "ghcr.io/blakeblackshear/frigate:0.15.{}",
        ),
        nodes=GPU_NODES,
        tolerations=(FOR_GPU,),
    ),
    app(
        "home-automation",
        "matter-server",
        C(
            "app",
            "young",
            0.01,
            95,
            "50m/",
            "512Mi/512Mi",
            "ghcr.io/home-assistant-libs/python-matter-server:7.0.{}",
        ),
        born=19.0,
    ),
)
DATABASES = (
    Workload(
        "databases",
        "postgres",
        "Cluster",
        "cnpg",
        (
            C(
                "postgres",
                "daily",
                0.11,
                1300,
                "500m/",
                "2Gi/4Gi",
                "ghcr.io/cloudnative-pg/postgresql:17.{}",
            ),
        ),
        replicas=3,
        redeploys=(7.65,),
    ),
    plain(
        "databases",
        "cloudnative-pg",
        C(
            "manager",
            "steady",
            0.006,
            62,
            "100m/100m",
            "200Mi/200Mi",
            "ghcr.io/cloudnative-pg/cloudnative-pg:1.25.{}",
        ),
        form="chart:cloudnative-pg",
        release="cloudnative-pg",
    ),
    plain(
        "databases",
        "valkey",
        C(
            "valkey",
            "level_shift_silent",
            0.02,
            210,
            "50m/",
            "512Mi/1Gi",
            "docker.io/valkey/valkey:8.0.{}",
        ),
        kind="StatefulSet",
    ),
    plain(
        "databases",
        "influxdb",
        C(
            "influxdb",
            "growing",
            0.05,
            640,
            "250m/1",
            "1Gi/3Gi",
            "docker.io/library/influxdb:2.7.{}",
        ),
        kind="StatefulSet",
    ),
    plain(
        "databases",
        "mariadb",
        C("mariadb", "weekly", 0.05, 520, "0.1/", "1G/2G", "docker.io/library/mariadb:11.4.{}"),
        C("metrics", "idle", 0.0007, 18, "", "", "docker.io/prom/mysqld-exporter:v0.1{}"),
        kind="StatefulSet",
    ),
    plain(
        "databases",
        "postgres-backup",
        C(
            "backup",
            "batch",
            0.6,
            230,
            "100m/",
            "256Mi/1Gi",
            "docker.io/prodrigestivill/postgres-backup-local:1{}",
        ),
        kind="CronJob",
        schedule="30 3 * * 0",
    ),
    plain(
        "databases",
        "pgadmin",
        C("pgadmin", "idle", 0.0009, 210, "", "", "docker.io/dpage/pgadmin4:9.{}"),
    ),
)
MONITORING = (
    chart(
        "monitoring",
        "grafana",
        "grafana",
        C(
            "grafana-sc-dashboard",
            "steady",
            0.004,
            88,
            "",
            "",
            "quay.io/kiwigrid/k8s-sidecar:1.2{}",
        ),
        C(
            "grafana",
            "daily",
            0.03,
            190,
            "100m/",
            "256Mi/512Mi",
            "docker.io/grafana/grafana:11.5.{}",
        ),
        rollouts=(14.4,),
    ),
    chart(
        "monitoring",
        "prometheus-kube-prometheus-stack-prometheus",
        "kube-prometheus-stack",
        C(
            "init-config-reloader",
            "startup",
            0.02,
            20,
            "",
            "",
            "quay.io/prometheus-operator/prometheus-config-reloader:v0.8{}",
            "init",
        ),
        C(
            "prometheus",
            "growing",
            0.35,
            2600,
            "100m/",
            "1500Mi/6Gi",
            "quay.io/prometheus/prometheus:v2.5{}",
        ),
        C(
            "config-reloader",
            "idle",
            0.0004,
            16,
            "",
            "",
            "quay.io/prometheus-operator/prometheus-config-reloader:v0.8{}",
        ),
        kind="StatefulSet",
    ),
    chart(
        "monitoring",
        "alertmanager-kube-prometheus-stack-alertmanager",
        "kube-prometheus-stack",
        C(
            "alertmanager",
            "idle",
            0.001,
            34,
            "",
            "200Mi/",
            "quay.io/prometheus/alertmanager:v0.2{}",
        ),
        C(
            "config-reloader",
            "idle",
            0.0004,
            15,
            "",
            "",
            "quay.io/prometheus-operator/prometheus-config-reloader:v0.8{}",
        ),
        kind="StatefulSet",
        redeploys=(12.2,),
    ),
    chart(
        "monitoring",
        "kube-prometheus-stack-operator",
        "kube-prometheus-stack",
        C(
            "kube-prometheus-stack",
            "steady",
            0.008,
            38,
            "100m/",
            "",
            "quay.io/prometheus-operator/prometheus-operator:v0.8{}",
        ),
    ),
    chart(
        "monitoring",
        "kube-state-metrics",
        "kube-prometheus-stack",
        C(
            "kube-state-metrics",
            "steady",
            0.006,
            44,
            "10m/",
            "64Mi/256Mi",
            "registry.k8s.io/kube-state-metrics/kube-state-metrics:v2.1{}",
        ),
    ),
    chart(
        "monitoring",
        "node-exporter",
        "kube-prometheus-stack",
        C(
            "node-exporter",
            "steady",
            0.009,
            21,
            "25m/",
            "/64Mi",
            "quay.io/prometheus/node-exporter:v1.{}",
        ),
        kind="DaemonSet",
        nodes=ALL_NODES,
        tolerations=(ANY_NO_SCHEDULE,),
    ),
    chart(
        "monitoring",
        "loki",
        "loki",
        C("loki", "bursty", 0.09, 430, "200m/", "1Gi/3Gi", "docker.io/grafana/loki:3.4.{}"),
        kind="StatefulSet",
    ),
    plain(
        "monitoring",
        "vector-agent",
        C(
            "vector",
            "daily",
            0.03,
            74,
            "100m/",
            "256Mi/512Mi",
            "docker.io/timberio/vector:0.4{}-alpine",
        ),
        kind="DaemonSet",
        nodes=ALL_NODES,
        tolerations=(ANY_NO_SCHEDULE,),
    ),
    app(
        "monitoring",
        "gatus",
        C("app", "churned", 0.006, 34, "100m/", "/256Mi", "ghcr.io/twin/gatus:v5.1{}"),
        redeploys=EVERY_TWO_DAYS,
    ),
    app(
        "monitoring",
        "unpoller",
        C("app", "restarted", 0.004, 30, "10m/", "128Mi/128Mi", "ghcr.io/unpoller/unpoller:v2.1{}"),
    ),
)
NETWORK = (
    chart(
        "network",
        "ingress-nginx-internal-controller",
        "ingress-nginx-internal",
        C(
            "controller",
            "hpa",
            0.32,
            240,
            "200m/",
            "256Mi/1Gi",
            "registry.k8s.io/ingress-nginx/controller:v1.1{}",
        ),
        hpa=Hpa(2, 6, 70),
    ),
    chart(
        "network",
        "ingress-nginx-external-controller",
        "ingress-nginx-external",
        C(
            "controller",
            "daily",
            0.04,
            210,
            "100m/",
            "/500M",
            "registry.k8s.io/ingress-nginx/controller:v1.1{}",
        ),
    ),
    app(
        "network",
        "cloudflared",
        C(
            "app",
            "daily",
            0.012,
            40,
            "10m/",
            "/256Mi",
            "docker.io/cloudflare/cloudflared:2026.{}.0",
        ),
        replicas=2,
        rollouts=(4.6, 18.1),
    ),
    app(
        "network",
        "blocky",
        C("app", "weekly", 0.02, 150, "100m/", "512Mi/512Mi", "ghcr.io/0xerr0r/blocky:v0.2{}"),
        form="app-template-oci",
        replicas=2,
    ),
    plain(
        "network",
        "external-dns",
        C(
            "external-dns",
            "idle",
            0.0012,
            31,
            "10m/",
            "64Mi/128Mi",
            "registry.k8s.io/external-dns/external-dns:v0.15.{}",
        ),
    ),
    app(
        "network",
        "unifi",
        C(
            "app",
            "java_heap",
            0.12,
            1180,
            "100m/",
            "1536Mi/3Gi",
            "ghcr.io/jacobalberty/unifi-docker:v9.0.{}",
            env=(("JVM_MAX_HEAP_SIZE", "1024M"),),
        ),
        kind="StatefulSet",
        redeploys=(8.9,),
    ),
)
FLUX = (
    plain(
        "flux-system",
        "source-controller",
        C(
            "manager",
            "steady",
            0.02,
            82,
            "50m/",
            "64Mi/1Gi",
            "ghcr.io/fluxcd/source-controller:v1.4.{}",
        ),
        form="flux",
    ),
    plain(
        "flux-system",
        "kustomize-controller",
        C(
            "manager",
            "throttled",
            0.42,
            160,
            "200m/1",
            "512Mi/2Gi",
            "ghcr.io/fluxcd/kustomize-controller:v1.4.{}",
        ),
        form="flux-patch",
    ),
    plain(
        "flux-system",
        "helm-controller",
        C(
            "manager",
            "bursty",
            0.05,
            150,
            "200m/1",
            "512Mi/2Gi",
            "ghcr.io/fluxcd/helm-controller:v1.1.{}",
        ),
        form="flux-patch",
    ),
    plain(
        "flux-system",
        "notification-controller",
        C(
            "manager",
            "idle",
            0.002,
            28,
            "100m/",
            "64Mi/1Gi",
            "ghcr.io/fluxcd/notification-controller:v1.4.{}",
        ),
        form="flux",
    ),
)
CERT_MANAGER = (
    chart(
        "cert-manager",
        "cert-manager",
        "cert-manager",
        C(
            "cert-manager-controller",
            "steady",
            0.003,
            48,
            "",
            "",
            "quay.io/jetstack/cert-manager-controller:v1.17.{}",
        ),
    ),
    chart(
        "cert-manager",
        "cert-manager-cainjector",
        "cert-manager",
        C(
            "cert-manager-cainjector",
            "growing",
            0.003,
            52,
            "20m/",
            "128Mi/256Mi",
            "quay.io/jetstack/cert-manager-cainjector:v1.17.{}",
        ),
    ),
    chart(
        "cert-manager",
        "cert-manager-webhook",
        "cert-manager",
        C(
            "cert-manager-webhook",
            "idle",
            0.0015,
            15,
            "",
            "",
            "quay.io/jetstack/cert-manager-webhook:v1.17.{}",
        ),
    ),
)
AI = (
    app(
        "ai",
        "ollama",
        C(
            "app",
            "bursty",
            0.25,
            1900,
            "500m/",
            "8Gi/32Gi",
            "docker.io/ollama/ollama:0.5.{}",
            gpus=1,
        ),
        nodes=GPU_NODES,
        tolerations=(FOR_GPU,),
    ),
    app(
        "ai",
        "open-webui",
        C("app", "weekly", 0.02, 640, "100m/", "/2Gi", "ghcr.io/open-webui/open-webui:v0.5.{}"),
        form="app-template-oci",
        rollouts=(3.4, 16.8),
    ),
    app(
        "ai",
        "comfyui",
        C(
            "app",
            "level_shift_silent",
            0.08,
            2600,
            "2/",
            "16Gi/16Gi",
            "ghcr.io/saladtechnologies/comfyui-api:comfy0.3.{}",
            gpus=1,
            shift=0.5,
        ),
        nodes=GPU_NODES,
        tolerations=(FOR_GPU,),
    ),
)
STORAGE = (
    app(
        "storage",
        "minio",
        C(
            "app",
            "weekly_peak",
            0.03,
            420,
            "100m/",
            "/2Gi",
            "quay.io/minio/minio:RELEASE.2026-10-{}",
        ),
        kind="StatefulSet",
    ),
    app(
        "storage",
        "kopia",
        C("app", "weekly_peak", 0.02, 260, "50m/", "512Mi/4Gi", f"{HOME}/kopia:0.18.{{}}"),
    ),
    plain(
        "storage",
        "csi-driver-smb-node",
        C(
            "node-driver-registrar",
            "idle",
            0.0003,
            11,
            "10m/",
            "20Mi/100Mi",
            "registry.k8s.io/sig-storage/csi-node-driver-registrar:v2.1{}",
        ),
        C(
            "smb",
            "steady",
            0.002,
            26,
            "10m/",
            "20Mi/200Mi",
            "registry.k8s.io/sig-storage/smbplugin:v1.1{}",
        ),
        kind="DaemonSet",
        form="plain",
        nodes=WORKERS,
    ),
    plain(
        "storage",
        "snapshot-prune",
        C("prune", "batch", 0.12, 60, "10m/", "32Mi/128Mi", "docker.io/alpine/k8s:1.3{}"),
        kind="CronJob",
        schedule="15 */6 * * *",
    ),
)
KUBE_SYSTEM = (
    plain(
        "kube-system",
        "coredns",
        C(
            "coredns",
            "daily",
            0.02,
            32,
            "100m/",
            "70Mi/170Mi",
            "registry.k8s.io/coredns/coredns:v1.12.{}",
        ),
        replicas=2,
        form="overlay",
        nodes=("cp-1", "cp-2", "cp-3"),
        tolerations=(FOR_CONTROL_PLANE,),
        priority="system-cluster-critical",
    ),
    chart(
        "kube-system",
        "cilium",
        "cilium",
        C("mount-cgroup", "startup", 0.05, 12, "", "", "quay.io/cilium/cilium:v1.16.{}", "init"),
        C("cilium-agent", "steady", 0.09, 290, "100m/", "/1Gi", "quay.io/cilium/cilium:v1.16.{}"),
        kind="DaemonSet",
        nodes=ALL_NODES,
        tolerations=(ANY,),
        priority="system-node-critical",
    ),
    chart(
        "kube-system",
        "metrics-server",
        "metrics-server",
        C(
            "metrics-server",
            "steady",
            0.009,
            48,
            "100m/",
            "200Mi/",
            "registry.k8s.io/metrics-server/metrics-server:v0.7.{}",
        ),
        priority="system-cluster-critical",
    ),
    chart(
        "kube-system",
        "reloader",
        "reloader",
        C(
            "reloader",
            "idle",
            0.001,
            42,
            "10m/",
            "128Mi/512Mi",
            "ghcr.io/stakater/reloader:v1.2.{}",
        ),
    ),
    plain(
        "kube-system",
        "nvidia-device-plugin",
        C(
            "nvidia-device-plugin-ctr",
            "idle",
            0.0005,
            24,
            "",
            "",
            "nvcr.io/nvidia/k8s-device-plugin:v0.17.{}",
        ),
        kind="DaemonSet",
        nodes=GPU_NODES,
        tolerations=(FOR_GPU,),
    ),
    plain(
        "kube-system",
        "netshoot",
        C("netshoot", "idle", 0.0002, 4, "", "", "docker.io/nicolaka/netshoot:v0.1{}"),
        kind="Pod",
        form="none",
    ),
)
SELFHOSTED = (
    app(
        "selfhosted",
        "paperless",
        C(
            "tika",
            "java_heap",
            0.01,
            640,
            "50m/",
            "1Gi/1Gi",
            "ghcr.io/paperless-ngx/tika:2.9.{}",
            "sidecar",
            env=(("JAVA_TOOL_OPTIONS", "-Xmx512m -XX:+UseSerialGC"),),
        ),
        C(
            "app",
            "weekly",
            0.06,
            560,
            "100m/",
            "1Gi/3Gi",
            "ghcr.io/paperless-ngx/paperless-ngx:2.14.{}",
        ),
        rollouts=(5.3,),
    ),
    app(
        "selfhosted",
        "nextcloud",
        C("app", "weekly", 0.09, 310, "250m/", "512Mi/2Gi", "docker.io/library/nextcloud:30.0.{}"),
        form="app-template-oci",
    ),
    plain(
        "selfhosted",
        "vaultwarden",
        C(
            "vaultwarden",
            "steady",
            0.002,
            62,
            "10m/",
            "128Mi/256Mi",
            "ghcr.io/dani-garcia/vaultwarden:1.33.{}",
        ),
        form="overlay",
    ),
    app(
        "selfhosted",
        "authentik-server",
        C("app", "hpa", 0.55, 560, "300m/", "700Mi/1500Mi", "ghcr.io/goauthentik/server:2026.8.{}"),
        release="authentik",
        controller="server",
        hpa=Hpa(1, 5, 80),
    ),
    app(
        "selfhosted",
        "authentik-worker",
        C(
            "app",
            "growing",
            0.04,
            420,
            "100m/",
            "512Mi/2Gi",
            "ghcr.io/goauthentik/server:2026.8.{}",
        ),
        release="authentik",
        controller="worker",
    ),
    app(
        "selfhosted",
        "keycloak",
        C(
            "app",
            "java_heap",
            0.05,
            980,
            "500m/",
            "/2Gi",
            "quay.io/keycloak/keycloak:26.1.{}",
            env=(("JAVA_TOOL_OPTIONS", "-Xms768m -Xmx768m"),),
        ),
        rollouts=(12.7,),
    ),
    app(
        "selfhosted",
        "linkding",
        C(
            "app",
            "young",
            0.004,
            120,
            "10m/",
            "64Mi/256Mi",
            "ghcr.io/sissbruecker/linkding:1.38.{}",
        ),
        born=19.0,
    ),
    app(
        "selfhosted",
        "miniflux",
        C("app", "steady", 0.004, 26, "", "/128M", "ghcr.io/miniflux/miniflux:2.2.{}"),
        form="app-template-oci",
    ),
    plain(
        "selfhosted",
        "old-wiki",
        C("wiki", "vanished", 0.02, 240, "100m/", "512Mi/1Gi", "docker.io/requarks/wiki:2.5.{}"),
        form="none",
        deleted=9.2,
    ),
    plain(
        "selfhosted",
        "ttrss",
        C(
            "ttrss",
            "vanished",
            0.03,
            130,
            "50m/",
            "/512Mi",
            "docker.io/cthulhoo/ttrss-fpm-pgsql-static:1.{}",
        ),
        form="none",
        deleted=14.6,
    ),
)

WORKLOADS: tuple[Workload, ...] = tuple(
    replace(workload, containers=tuple(workload.containers))
    for group in (
        MEDIA,
        DOWNLOADS,
        HOME_AUTOMATION,
        DATABASES,
        MONITORING,
        NETWORK,
        FLUX,
        CERT_MANAGER,
        AI,
        STORAGE,
        KUBE_SYSTEM,
        SELFHOSTED,
    )
    for workload in group
)
