"""The Helm chart, the alerts and the dashboard, judged by helm, promtool and the schemas."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from analyzer import __version__
from analyzer.config import load_config
from analyzer.ledger import Outcome
from analyzer.report import Landing
from analyzer.writers.metrics import write_metrics
from tests.deploy.test_manifests import (
    KUBERNETES,
    build,
    config_of,
    container_of,
    only,
    pod_of,
    with_components,
)
from tests.samples import recommendation, ref, report, resources

Manifest = dict[str, Any]
EVERYTHING = {
    "settings": {
        "source": "prometheus:http://prometheus:9090",
        "git": {"repo": "https://git.example.org/me/cluster.git"},
        "forge": {"app_id": "Iv23example", "kind": "github"},
        "output": "/data/reports/latest",
    },
    "secrets": {
        "prometheusToken": "one",
        "gitToken": "two",
        "gitSsh": "four",
        "gitSigning": "six",
        "notify": "five",
    },
    "pullRequests": True,
    "askCluster": True,
    "networkPolicy": {"enabled": True},
    "alerts": {"enabled": True, "labels": {"release": "monitoring"}},
    "dashboard": {"enabled": True},
    "nodeSelector": {"kubernetes.io/arch": "amd64"},
    "tolerations": [{"key": "batch", "operator": "Exists"}],
    "imagePullSecrets": [{"name": "registry"}],
    "persistence": {"storageClassName": "fast"},
    "podLabels": {"team": "platform"},
}


def template(helm: Path, repository: Path, values: object = None, name: str = "rightsize") -> str:
    """What `helm template` makes of the chart; its complaint where it makes nothing."""
    done = subprocess.run(
        [helm, "template", name, repository / "deploy" / "chart", "-n", "tools", "-f", "-"],
        input=yaml.safe_dump(values or {}),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return done.stdout if done.returncode == 0 else f"error: {done.stderr}"


def objects(text: str) -> list[Manifest]:
    """The objects of a rendered chart."""
    assert not text.startswith("error:"), text
    return [manifest for manifest in yaml.safe_load_all(text) if manifest]


def test_chart_and_base_make_the_same_job(helm: Path, kubectl: Path, repository: Path) -> None:
    """Nobody is worse off by the way of installing: the specs differ in names and labels alone."""
    chart = objects(template(helm, repository))
    base = build(kubectl, repository / "deploy" / "base")
    ours, theirs = only(chart, "CronJob")["spec"], only(base, "CronJob")["spec"]
    ours["jobTemplate"].pop("metadata")
    theirs["jobTemplate"].pop("metadata", None)
    for spec in (ours, theirs):
        spec["jobTemplate"]["spec"]["template"].pop("metadata")
    assert pod_of(chart)["containers"][0].pop("imagePullPolicy") == "IfNotPresent"
    name = only(base, "ConfigMap")["metadata"]["name"]
    pod_of(chart)["volumes"][0]["configMap"]["name"] = name
    pod_of(chart)["volumes"][1]["persistentVolumeClaim"]["claimName"] = "rightsize-data"
    assert ours == theirs
    assert yaml.safe_load(config_of(chart)) == yaml.safe_load(config_of(base))


@pytest.mark.parametrize("values", [{}, EVERYTHING], ids=["default", "everything"])
def test_every_object_of_the_chart_fits_the_schema(
    helm: Path, repository: Path, values: Manifest
) -> None:
    """By default and with all that can be switched on; the operator's rule is judged elsewhere."""
    for manifest in objects(template(helm, repository, values, "lab")):
        if manifest["kind"] != "PrometheusRule":
            kubernetes_validate.validate(manifest, KUBERNETES, strict=True)
        assert manifest["metadata"]["name"].endswith(("rightsize", "-dashboard", "-owners"))


def test_what_is_switched_on_reaches_the_run(helm: Path, repository: Path, tmp_path: Path) -> None:
    """Secrets are files below read-only mounts, and the settings name them."""
    built = objects(template(helm, repository, EVERYTHING | {"dashboard": {"enabled": False}}))
    container = container_of(built)
    file = tmp_path / "rightsize.yaml"
    file.write_text(config_of(built), encoding="utf-8")
    variables = {entry["name"]: entry["value"] for entry in container["env"]}
    config = load_config(file, variables, {}).config
    mounts = [Path(m["mountPath"]) for m in container["volumeMounts"] if m.get("readOnly")]
    named = [config.prometheus.token_file, config.forge.token_file, config.git.ssh_key]
    named += [config.git.known_hosts, config.notify.targets_file]
    for path in named:
        assert any(mount in Path(str(path)).parents for mount in mounts), path
    assert config.kubernetes.ask is True
    assert container["args"][-1] == "--pr"
    assert {"two", "five"} <= {
        v["secret"]["secretName"] for v in pod_of(built)["volumes"] if "secret" in v
    }


def test_component_and_chart_sign_by_the_same_key(
    helm: Path, kubectl: Path, repository: Path, tmp_path: Path
) -> None:
    """The step before the run, and what the run is told, are one thing by either way."""
    secret = {"gitSigningGpg": "rightsize-git-signing-gpg"}
    chart = objects(template(helm, repository, {"secrets": secret}))
    component = with_components(kubectl, repository, tmp_path, "git-signing-gpg")
    (ours,), (theirs,) = (pod_of(built)["initContainers"] for built in (chart, component))
    ours.pop("imagePullPolicy")
    told = [{e["name"]: e["value"] for e in container_of(b)["env"]} for b in (chart, component)]
    assert ours == theirs and told[0] == told[1]
    assert pod_of(chart)["volumes"][-1] == pod_of(component)["volumes"][0]
    for manifest in chart:
        kubernetes_validate.validate(manifest, KUBERNETES, strict=True)


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"shedule": "1 2 * * 3"}, "shedule"),
        ({"image": {"digest": "latest"}}, "digest"),
        ({"settings": {"source": None}}, "source"),
        ({"pullRequests": True}, "settings.git.repo"),
        ({"networkPolicy": {"prometheus": {"port": 0}}}, "port"),
        ({"secrets": {"gitSigning": "a", "gitSigningGpg": "b"}}, "set one of them"),
    ],
)
def test_a_wrong_value_is_refused_by_name(
    helm: Path, repository: Path, values: Manifest, complaint: str
) -> None:
    """Before anything is installed, and with the name of what is wrong."""
    text = template(helm, repository, values)
    assert text.startswith("error:") and complaint in text


def test_a_digest_pins_the_image(helm: Path, repository: Path) -> None:
    """By default the tag is the version of the chart, which is that of the package."""
    digest = f"sha256:{'0' * 64}"
    pinned = objects(template(helm, repository, {"image": {"digest": digest}}))
    assert container_of(pinned)["image"] == f"rightsize@{digest}"
    chart = yaml.safe_load((repository / "deploy/chart/Chart.yaml").read_text("utf-8"))
    assert chart["version"] == chart["appVersion"] == __version__


def test_a_long_release_name_still_makes_names_that_kubernetes_takes(
    helm: Path, repository: Path
) -> None:
    """A CronJob has 52 characters, as its Jobs add eleven."""
    built = objects(template(helm, repository, name="a" * 53))
    assert len(only(built, "CronJob")["metadata"]["name"]) <= 52


@pytest.mark.parametrize("way", ["flux", "argocd"])
def test_the_examples_install_the_chart(
    way: str, helm: Path, repository: Path, tmp_path: Path
) -> None:
    """Their values are ones that the chart takes, their path and tag those of this repository."""
    text = (repository / f"deploy/examples/{way}/rightsize.yaml").read_text("utf-8")
    last = list(yaml.safe_load_all(text))[-1]["spec"]
    if way == "flux":
        values, path = last["values"], last["chart"]["spec"]["chart"]
    else:
        values, path = last["source"]["helm"]["valuesObject"], last["source"]["path"]
    assert (repository / path / "Chart.yaml").exists()
    assert f"v{__version__}\n" in text
    built = objects(template(helm, repository, values))
    file = tmp_path / "rightsize.yaml"
    file.write_text(config_of(built), encoding="utf-8")
    assert load_config(file).config.git.repo == "https://git.example.com/me/cluster.git"
    assert container_of(built)["args"][-1] == "--pr"


def groups(repository: Path) -> Manifest:
    """The alerts as the chart has them."""
    text = (repository / "deploy/chart/files/alerts.yaml").read_text("utf-8")
    found: Manifest = yaml.safe_load(text)
    return found


def test_component_and_chart_bring_the_same_alerts_and_dashboard(
    helm: Path, kubectl: Path, repository: Path, tmp_path: Path
) -> None:
    """What kustomize and helm install is one thing."""
    chart = objects(template(helm, repository, EVERYTHING))
    names = ("alerts", "dashboard", "notify")
    component = with_components(kubectl, repository, tmp_path, *names)
    assert only(chart, "PrometheusRule")["spec"] == only(component, "PrometheusRule")["spec"]
    assert only(chart, "PrometheusRule")["spec"] == groups(repository)
    boards = [
        json.loads(manifest["data"]["rightsize.json"])
        for manifest in (*chart, *component)
        if "rightsize.json" in manifest.get("data", {})
    ]
    assert len(boards) == 2 and boards[0] == boards[1]
    assert container_of(component)["env"][-1]["value"] == "/run/secrets/notify/targets"


def metrics() -> set[str]:
    """The names of all metrics that a run can write."""
    harmed = Outcome(
        ref(), datetime(2026, 11, 9, tzinfo=UTC), "proposed", resources("1"), resources("2"), 1.0,
        {"memory_request": 0.1}, {"memory_request": 0.2}, 1, 0.0,
    )  # fmt: skip
    made = report(recommendation(resources("1"), resources("100m")))
    whole = replace(
        made,
        created=made.meta.end + timedelta(hours=1),
        outcomes=(harmed,),
        landings=(Landing(str(ref()), "edited", "it was"),),
        seconds={"read": 1.0},
        proposals_open=1,
    )
    text = write_metrics(whole)["metrics.prom"].decode()
    return set(re.findall(r"^# TYPE (\S+)", text, re.MULTILINE))


def expressions(repository: Path) -> Iterator[str]:
    """Every query of the alerts and of the dashboard."""
    yield from (rule["expr"] for group in groups(repository)["groups"] for rule in group["rules"])
    board = json.loads((repository / "deploy/chart/files/dashboard.json").read_text("utf-8"))
    for panel in board["panels"]:
        yield from (target["expr"] for target in panel["targets"])


def test_alerts_and_dashboard_ask_for_metrics_that_a_run_writes(repository: Path) -> None:
    """A renamed metric would leave an alert silent for good; all that is written is shown."""
    asked = {name for e in expressions(repository) for name in re.findall(r"rightsize_\w+", e)}
    assert asked <= metrics()
    assert metrics() - asked == {"rightsize_landings"}


def judge(promtool: Path, verb: str, file: Path) -> None:
    """Let promtool check rules, or test them."""
    command = [str(promtool), verb, "rules", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_real_prometheus_takes_every_query(
    promtool: Path, repository: Path, tmp_path: Path
) -> None:
    """Alerts and panels alike, with the dashboard's variable filled in."""
    rules = [
        {"record": f"panel:{number}", "expr": expression.replace("$cluster", ".*")}
        for number, expression in enumerate(expressions(repository))
    ]
    file = tmp_path / "rules.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "all", "rules": rules}]}), "utf-8")
    judge(promtool, "check", file)


DAY = 24 * 60
RUN = "rightsize_last_success_timestamp_seconds"
"""In the world below a run ended on day 0 and was posted once; kills came after a merge."""
POSTED = {
    f'{RUN}{{cluster="lab"}}': "0 _x30000",
    'rightsize_history_end_timestamp_seconds{cluster="lab"}': "-172800 _x30000",
    'rightsize_partial_reads{cluster="lab"}': "2 _x30000",
    'rightsize_merged_changes{cluster="lab",outcome="killed"}': "1 _x30000",
    'rightsize_merged_changes{cluster="lab",outcome="well"}': "9 _x30000",
    'rightsize_overruns_promised_ratio{cluster="lab",target="cpu_request"}': "0.05 _x30000",
    'rightsize_overruns_happened_ratio{cluster="lab",target="cpu_request"}': "0.2 _x30000",
    'kube_cronjob_status_last_successful_time{namespace="t",cronjob="lab-rightsize"}': "0x30000",
    'kube_job_failed{condition="true",namespace="tools",job_name="rightsize-29"}': "1x30000",
    'kube_job_failed{condition="true",namespace="tools",job_name="other-29"}': "1x30000",
}
AFTER_A_RUN = {"RightsizeHistoryStale", "RightsizePartial", "RightsizeKilledAfterMerge"} | {
    "RightsizeMoreOverrunsThanPromised",
    "RightsizeRunFailed",
}
LATE = {"RightsizeRunMissed", "RightsizeResultsOld"}


def test_each_alert_fires_when_it_should_and_only_then(
    promtool: Path, repository: Path, tmp_path: Path
) -> None:
    """A day after the run what it found is told; on the tenth day, that no other followed."""
    rules = tmp_path / "rules.yaml"
    rules.write_text(yaml.safe_dump(groups(repository)), encoding="utf-8")
    every = [rule["alert"] for group in groups(repository)["groups"] for rule in group["rules"]]
    assert set(every) == AFTER_A_RUN | LATE
    moments = (
        (DAY, AFTER_A_RUN),
        (7 * DAY, AFTER_A_RUN),
        (10 * DAY, LATE | {"RightsizeRunFailed"}),
    )
    wanted = {(minute, alert): alert in firing for minute, firing in moments for alert in every}
    test = {
        "rule_files": [str(rules)],
        "evaluation_interval": "30m",
        "tests": [
            {
                "interval": "1m",
                "input_series": [{"series": s, "values": v} for s, v in POSTED.items()],
                "promql_expr_test": [
                    {
                        "expr": f'count(ALERTS{{alertname="{alert}", alertstate="firing"}})',
                        "eval_time": f"{minute}m",
                        "exp_samples": [{"labels": "{}", "value": 1}] if fires else [],
                    }
                    for (minute, alert), fires in wanted.items()
                ],
            }
        ],
    }
    file = tmp_path / "test.yaml"
    file.write_text(yaml.safe_dump(test), encoding="utf-8")
    judge(promtool, "test", file)
