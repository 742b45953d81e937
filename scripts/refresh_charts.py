"""Render the charts of charts.csv anew, version by version: refresh_charts.py CHECKOUTS [CHART...].

CHECKOUTS holds clones with their tags, OWNER/NAME each, of the repositories in SOURCES; those that
are not there are skipped. Of each chart about twelve versions are rendered with an odd amount at
every path of the table, under two release names, with the parts switched on that are off by
default. `oldest` and `newest` become the ends of the unbroken run of versions, up to the newest,
in which the amount lands in the container that the row names. helm has to be on PATH.
"""

from __future__ import annotations

import csv
import io
import json
import re
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path

import yaml

from analyzer.gitops.reach.custom import read_workload
from analyzer.gitops.render.charts import Chart
from analyzer.gitops.render.helm import Helm
from analyzer.gitops.render.program import RenderError, find_tools
from analyzer.gitops.render.rendering import Sink
from analyzer.gitops.render.well_known import TABLE, ChartRule, read_table

MOST = 12
Values = dict[str, object]
PROMETHEUS = "prometheus-community/helm-charts"
ARGO, VICTORIA, FAIRWINDS = (
    "argoproj/argo-helm",
    "VictoriaMetrics/helm-charts",
    "FairwindsOps/charts",
)
SOURCES: dict[str, tuple[str, str, str]] = {
    # chart: repository, folder in it, how its tags begin
    **{
        name: (PROMETHEUS, f"charts/{name}", f"{name}-")
        for name in (
            "alertmanager", "kube-prometheus-stack", "kube-state-metrics", "prometheus",
            "prometheus-adapter", "prometheus-blackbox-exporter", "prometheus-node-exporter",
            "prometheus-postgres-exporter", "prometheus-pushgateway", "prometheus-redis-exporter",
            "prometheus-snmp-exporter",
        )
    },
    "grafana": ("grafana-community/helm-charts", "charts/grafana", "grafana-"),
    "promtail": ("grafana/helm-charts", "charts/promtail", "promtail-"),
    **{
        name: (ARGO, f"charts/{name}", f"{name}-")
        for name in (
            "argo-cd", "argo-events", "argo-rollouts", "argo-workflows", "argocd-image-updater",
        )
    },
    **{
        name: (VICTORIA, f"charts/{name}", f"{name}-")
        for name in (
            "victoria-logs-single", "victoria-metrics-agent", "victoria-metrics-alert",
            "victoria-metrics-cluster", "victoria-metrics-common", "victoria-metrics-k8s-stack",
            "victoria-metrics-operator",
            "victoria-metrics-single",
        )
    },
    **{
        name: (FAIRWINDS, f"stable/{name}", f"{name}-")
        for name in ("goldilocks", "polaris", "rbac-manager")
    },
    **{
        name: ("cloudnative-pg/charts", f"charts/{name}", f"{name}-v")
        for name in ("cloudnative-pg", "plugin-barman-cloud")
    },
    "authentik-remote-cluster": (
        "goauthentik/helm", "charts/authentik-remote-cluster", "authentik-remote-cluster-",
    ),
    "authentik": ("goauthentik/helm", "charts/authentik", "authentik-"),
    "cert-manager": ("cert-manager/cert-manager", "deploy/charts/cert-manager", "v1."),
    "coredns": ("coredns/helm", "charts/coredns", "coredns-"),
    "external-dns": (
        "kubernetes-sigs/external-dns", "charts/external-dns", "external-dns-helm-chart-",
    ),
    "external-secrets": (
        "external-secrets/external-secrets", "deploy/charts/external-secrets", "helm-chart-",
    ),
    "ingress-nginx": ("kubernetes/ingress-nginx", "charts/ingress-nginx", "helm-chart-"),
    "kyverno": ("kyverno/kyverno", "charts/kyverno", "v1."),
    "loki": ("grafana/loki", "production/helm/loki", "helm-loki-"),
    "metallb": ("metallb/metallb", "charts/metallb", "metallb-chart-"),
    "metrics-server": (
        "kubernetes-sigs/metrics-server", "charts/metrics-server", "metrics-server-helm-chart-",
    ),
    "podinfo": ("stefanprodan/podinfo", "charts/podinfo", "6."),
    "reloader": ("stakater/Reloader", "deployments/kubernetes/chart/reloader", "v1."),
    "traefik": ("traefik/traefik-helm-chart", "traefik", "v"),
}  # fmt: skip
SWITCHES: dict[str, Values] = {
    "grafana": {"sidecar": {"dashboards": {"enabled": True}, "datasources": {"enabled": True}}},
    "loki": {
        "deploymentMode": "SingleBinary",
        "loki": {
            "useTestSchema": True,
            "commonConfig": {"replication_factor": 1},
            "storage": {
                "type": "filesystem",
                "bucketNames": {"chunks": "a", "ruler": "b", "admin": "c"},
            },
        },
        "singleBinary": {"replicas": 1},
        **{part: {"replicas": 0} for part in ("read", "write", "backend")},
    },
}
"""What has to be on beside the parts above a path."""


def main(arguments: Sequence[str]) -> int:
    """Write the table anew; 2 where the command is wrong or there is no helm."""
    tools = find_tools()
    if not arguments or not Path(arguments[0]).is_dir() or tools.helm is None:
        sys.stderr.write(f"{__doc__}\n")
        return 2
    table = read_table(TABLE)
    for name in arguments[1:] or sorted(table):
        if name not in SOURCES or not (Path(arguments[0]) / SOURCES[name][0]).is_dir():
            sys.stderr.write(f"{name}: no source at hand\n")
            continue
        found = [
            (version, held(tools.helm, Path(arguments[0]), name, tag, table[name]))
            for version, tag in sampled(versions(Path(arguments[0]), name))
        ]
        table[name] = tuple(ranged(rule, n, found) for n, rule in enumerate(table[name]))
        for rule in table[name]:
            sys.stdout.write(
                f"{name} {rule.values}: {rule.oldest or '-'} to {rule.newest or '-'}\n"
            )
        write_table(table)
    return 0


def ranged(rule: ChartRule, n: int, found: Sequence[tuple[str, list[bool] | None]]) -> ChartRule:
    """A row with the newest unbroken run of versions in which it held."""
    run: list[str] = []
    for version, holds in reversed([each for each in found if each[1] is not None]):
        if holds is None or not holds[n]:
            break
        run.append(version)
    return rule.tested(run[-1], run[0]) if run else rule.tested("", "")


def write_table(table: Mapping[str, Sequence[ChartRule]]) -> None:
    """Write every row of every chart."""
    with TABLE.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["chart", *ChartRule.__slots__])
        for name in sorted(table):
            for rule in table[name]:
                writer.writerow([name, *(getattr(rule, field) for field in ChartRule.__slots__)])


# --- versions -----------------------------------------------------------------------------------


def git(folder: Path, *arguments: str) -> bytes:
    """What git says."""
    return subprocess.run(["git", *arguments], cwd=folder, capture_output=True, check=True).stdout


def ordered(version: str) -> tuple[int, ...]:
    """A released version as numbers; empty for another."""
    found = re.fullmatch(r"v?(\d+)\.(\d+)\.(\d+)", version)
    return tuple(map(int, found.groups())) if found else ()


@cache
def versions(checkouts: Path, name: str) -> tuple[tuple[str, str], ...]:
    """Every released version of a chart with its tag, oldest first."""
    repository, folder, begin = SOURCES[name]
    where, found = checkouts / repository, {}
    for tag in git(where, "tag", "--list", f"{begin}*").decode().split():
        named = begin.endswith(("-", "-v"))
        version = tag.removeprefix(begin) if named else chart_version(where, tag, folder)
        if ordered(version):
            found[version] = tag
    return tuple(sorted(found.items(), key=lambda pair: ordered(pair[0])))


def chart_version(where: Path, tag: str, folder: str) -> str:
    """The version of a chart at a tag that bears another one; the tag's where it is open."""
    try:
        text = git(where, "show", f"{tag}:{folder}/Chart.yaml").decode()
    except subprocess.CalledProcessError:
        return tag if folder.endswith("cert-manager") else ""
    told = re.search(r"^version:\s*[\"']?([\w.-]+)", text, re.MULTILINE)
    return tag if told is None or told[1] in ("v0.1.0", "0.0.1") else told[1]


def sampled(every: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """The last version of each major, or of each minor where majors are few; at most MOST."""
    for depth in (1, 2, 3):
        last = {ordered(version)[:depth]: (version, tag) for version, tag in every}
        if len(last) >= MOST // 2:
            break
    found = list(last.values())
    first, newest = found[: -MOST + 1], found[-MOST + 1 :]
    return [*first[len(first) // 2 : len(first) // 2 + 1], *newest]


# --- one version --------------------------------------------------------------------------------


def held(
    helm: Path, checkouts: Path, name: str, tag: str, rules: Sequence[ChartRule]
) -> list[bool] | None:
    """Whether each row holds in one version; None where the chart cannot be rendered."""
    with tempfile.TemporaryDirectory(prefix="rightsize-") as folder:
        chart = Path(folder) / name
        try:
            unpack(checkouts, name, tag, chart, 0)
            runs = list(landed(helm, chart, name, rules))
        except (
            RenderError,
            subprocess.CalledProcessError,
            OSError,
            KeyError,
            yaml.YAMLError,
        ) as err:
            sys.stderr.write(f"{name} {tag}: {str(err)[-150:]}\n")
            return None
    return [all(rule_holds(rule, name, *run) for run in runs) for rule in rules]


Landed = Mapping[tuple[str | int, ...], frozenset[Sink]]


def landed(
    helm: Path, chart: Path, name: str, rules: Sequence[ChartRule]
) -> Iterator[tuple[str, Landed]]:
    """Where each path's amount lands, under two release names."""
    renderer = Helm(helm, [])
    defaults = yaml.safe_load((chart / "values.yaml").read_text("utf-8")) or {}
    for release in ("alpha", name):
        values: Values = json.loads(json.dumps(SWITCHES.get(name, {})))
        for rule in rules:
            switch_on(values, defaults, rule.path)
        found = renderer.sentinels(Chart(name, "", chart), release, "spaced", values)
        yield release, found.by_path


def switch_on(values: Values, defaults: object, path: Sequence[str | int]) -> None:
    """Set `enabled` wherever it is off by default on the way to a path, and state the path."""
    for key in path[:-1]:
        below = values.setdefault(str(key), {})
        defaults = defaults.get(key) if isinstance(defaults, dict) else None
        if not isinstance(below, dict):
            return
        if isinstance(defaults, dict) and defaults.get("enabled") is False:
            below["enabled"] = True
        values = below
    values.setdefault(str(path[-1]), {})


def rule_holds(rule: ChartRule, chart: str, release: str, found: Landed) -> bool:
    """Whether the amount landed in the container that the row names."""
    workload, container = rule.names(release, chart, {})
    return any(
        (sink.kind, sink.container) == (rule.kind, container) and is_named(workload, sink.workload)
        for sink in found.get(rule.path, ())
    )


def is_named(workload: str, shown: str) -> bool:
    """Whether a workload is one that a rendering shows, by its name or a pattern of names."""
    name, pattern = read_workload(shown)
    return workload == name if pattern is None else pattern.fullmatch(workload) is not None


def unpack(checkouts: Path, name: str, tag: str, target: Path, depth: int) -> None:
    """Put a chart at a tag into `target`, with those it depends on of which there is a source."""
    repository, folder, _ = SOURCES[name]
    archive = git(checkouts / repository, "archive", "--format=tar", f"{tag}:{folder}")
    with tarfile.open(fileobj=io.BytesIO(archive)) as opened:
        opened.extractall(target, filter="data")
    file = target / "Chart.yaml"
    if not file.exists():
        (target / "Chart.template.yaml").rename(file)
    told = yaml.safe_load(file.read_text("utf-8"))
    listed = target / "requirements.yaml"
    wanted = told.pop("dependencies", None) or []
    if listed.exists():
        wanted = (yaml.safe_load(listed.read_text("utf-8")) or {}).get("dependencies") or []
        listed.unlink()
    kept = [each for each in wanted if vendored(checkouts, target, each, depth)]
    told["version"] = told.get("version") or "1.0.0"
    file.write_text(yaml.safe_dump({**told, "dependencies": kept}), "utf-8")
    for lock in ("Chart.lock", "requirements.lock", "values.schema.json"):
        (target / lock).unlink(missing_ok=True)


def vendored(checkouts: Path, target: Path, wanted: Mapping[str, str], depth: int) -> bool:
    """Whether a chart that another depends on is there now, in the newest version that fits."""
    name = wanted["name"]
    if (target / "charts" / name).is_dir():
        return True
    if name not in SOURCES or not (checkouts / SOURCES[name][0]).is_dir() or depth > 2:
        return False
    stem = re.match(r"[~^>=v ]*((?:\d+\.)*\d+)", wanted.get("version", ""))
    parts = ordered(f"{stem[1]}.0.0"[: len(stem[1])]) if stem else ()
    prefix = tuple(int(part) for part in stem[1].split(".")) if stem else parts
    exact = "*" not in wanted.get("version", "") and len(prefix) == 3
    prefix = prefix if exact and wanted["version"][0].isdigit() else prefix[:1]
    fitting = [
        tag
        for version, tag in versions(checkouts, name)
        if ordered(version)[: len(prefix)] == prefix
    ]
    if fitting:
        unpack(checkouts, name, fitting[-1], target / "charts" / name, depth + 1)
    return bool(fitting)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
