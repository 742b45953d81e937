"""Recommendations land in Git, and the report says the same as the files."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from analyzer.config import Config, GitSettings
from analyzer.history import Skipped
from analyzer.landing import look_ahead, plan_landing, trace_all, with_plan
from analyzer.models.demand import Step
from analyzer.policy import Policies, Policy
from analyzer.recommend import recommend
from analyzer.report import Report, dump_report, load_report
from analyzer.writers.kubectl import write_kubectl
from tests.samples import (
    MIB,
    START,
    demand,
    histories,
    names,
    recommendation,
    ref,
    report,
    resources,
)

DEPLOYMENT = """\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  namespace: shop
spec:
  template:
    spec:
      containers:
        - name: app
          image: x
          env:
            - name: JAVA_OPTS
              value: HEAP
          resources:
            requests:
              memory: 2Gi
            limits:
              memory: 2Gi
"""


VPA = """\
apiVersion: autoscaling.k8s.io/v1
kind: VerticalPodAutoscaler
metadata: {name: web, namespace: shop}
spec:
  targetRef: {apiVersion: apps/v1, kind: Deployment, name: web}
  MODE
"""

NOW = {"memory_request_bytes": 2048 * MIB, "memory_limit_bytes": 2048 * MIB}


def land(found: Report, config: Config) -> Report:
    """The report with its changes, landed in the configured repository."""
    return with_plan(found, plan_landing(found, config))


def landed(folder: Path, heap: str, policy: Policy | None = None) -> Report:
    """One container that uses 100 MiB of 2 GiB, landed in a manifest that states a heap."""
    (folder / "web.yaml").write_text(DEPLOYMENT.replace("HEAP", heap), "utf-8")
    config = Config(git=GitSettings(repo=str(folder)))
    restart = {**names(), "timestamp": START + timedelta(days=3), "kind": "restart"}
    known = look_ahead(histories(specs=[{**names(), **NOW}], events=[restart]), config)
    of = known.histories
    policies = Policies(policy or Policy())
    found, _ = recommend(of, demand(of), policies, bounds=known.bounds)
    return land(report(*found), config)


def test_a_heap_in_the_repository_bounds_what_is_recommended(tmp_path: Path) -> None:
    """The settings are read first: recommendation, edit and commands hold the same amounts."""
    found = landed(tmp_path, "-Xmx1g")
    (only,) = found.recommendations
    assert (str(only.proposed.memory_request), str(only.proposed.memory_limit)) == ("1Gi", "1280Mi")
    assert any("its Java heap is 1Gi" in step.reason for step in only.trail["memory_limit"])
    assert "+              memory: 1Gi\n" in found.diff
    assert "+              memory: 1280Mi\n" in found.diff
    script = write_kubectl(found)["patches/kubectl.sh"].decode()
    assert "memory=1280Mi" in script


def test_a_heap_in_the_repository_is_lowered_with_its_limit(tmp_path: Path) -> None:
    """Where that is asked for, one edit has both, and a reviewer reads why."""
    found = landed(tmp_path, "-Xmx1g", Policy(runtime_settings="together"))
    (only,) = found.recommendations
    (along,) = only.companions
    assert (along.name, along.before) == ("-Xmx", "1g")
    assert only.change("memory_limit") < -(1024**3)
    (landing,) = found.landings
    assert landing.status == "edited", landing.reason
    assert f"-Xmx{along.after}" in "".join(
        line for line in found.diff.splitlines() if line.startswith("+")
    )
    (change,) = found.changes
    assert "in one commit: no less than the limit that usage alone asks for" in change.body
    assert "kubectl set resources" not in write_kubectl(found)["patches/kubectl.sh"].decode()


def test_landing_rewrites_no_recommendation(tmp_path: Path) -> None:
    """What was decided without the repository is proposed as it was, or left to a person."""
    (tmp_path / "web.yaml").write_text(DEPLOYMENT.replace("HEAP", "-Xmx1g"), "utf-8")
    both = "2Gi", "512Mi"
    blind = recommendation(*(resources("1", amount, None, amount) for amount in both))
    found = land(report(blind), Config(git=GitSettings(repo=str(tmp_path))))
    assert found.recommendations == (blind,)
    (landing,) = found.landings
    assert landing.status == "advice"
    assert "its Java heap is 1Gi" in landing.reason


def test_every_container_is_traced(tmp_path: Path) -> None:
    """Containers in = traces out: skipped ones are among them, for their place is wanted most."""
    (tmp_path / "web.yaml").write_text(DEPLOYMENT.replace("HEAP", "-Dx=y"), "utf-8")
    one = recommendation(resources("1", "2Gi"), resources("1", "1Gi"), of=ref(workload="other"))
    gone = (Skipped(ref(), "it looks gone"), Skipped(ref(workload="nowhere"), "too few samples"))
    traces, _ = trace_all(report(one, skipped=gone), Config(git=GitSettings(repo=str(tmp_path))))
    assert [trace.ref.workload for trace in traces] == ["other", "web", "nowhere"]
    assert [trace.place is not None for trace in traces] == [False, True, False]


def test_a_reviewer_learns_that_usage_moved(tmp_path: Path) -> None:
    """A request below the median of the window is explained, in the amounts of the summary."""
    (tmp_path / "web.yaml").write_text(DEPLOYMENT, "utf-8")
    used = recommendation(resources("1", "2Gi", None, "2Gi"), resources("1", "512Mi", None, "2Gi"))
    shift = Step("shift", "", "", "moved to 0.5 x its level on day 7")
    cpu = replace(used.evidence.cpu, p95=0.2814, max=1.4321)
    used = replace(
        used,
        trail={**used.trail, "memory_request": (shift,)},
        evidence=replace(used.evidence, cpu=cpu),
    )
    (change,) = land(report(used), Config(git=GitSettings(repo=str(tmp_path)))).changes
    assert "web/app: memory: moved to 0.5 x its level on day 7" in change.body
    assert "| 281m |" in change.body
    assert "| 1.43 cores |" in change.body


def test_what_is_held_whole_is_no_change(tmp_path: Path) -> None:
    """A heap as large as what runs leaves nothing to land, and the trail says why."""
    found = landed(tmp_path, "-Xmx2g")
    (only,) = found.recommendations
    assert only.proposed.memory_limit == only.current.memory_limit
    assert "its Java heap is 2Gi" in "".join(s.reason for s in only.trail["memory_limit"])
    assert "memory" not in "".join(line for line in found.diff.splitlines() if line[:1] == "-")


def test_without_a_heap_usage_decides(tmp_path: Path) -> None:
    """Other settings hold nothing back."""
    assert "+              memory: 100Mi\n" in landed(tmp_path, "-Dx=y").diff


def test_the_proof_survives_the_file(tmp_path: Path) -> None:
    """How an edit was proven is part of run.json, in fields and not in a sentence."""
    found = landed(tmp_path, "-Dx=y")
    path = tmp_path / "run.json"
    path.write_bytes(dump_report(found))
    (landing,) = load_report(path).landings
    assert landing.proven is not None
    assert landing.proven.fields == ("requests.cpu", "requests.memory", "limits.memory")
    assert landing.proven.not_rendered
    assert landing.confidence == "certain"


@pytest.mark.parametrize("old", ["text: limits.memory changed; not rendered", ""])
def test_a_run_from_before_is_still_read(tmp_path: Path, old: str) -> None:
    """Earlier versions told the proof as a sentence, which is passed over."""
    found = landed(tmp_path, "-Dx=y")
    text = dump_report(found).decode()
    start, end = text.index('"proven": {'), text.index("}", text.index('"proven": {')) + 1
    path = tmp_path / "run.json"
    path.write_text(text[:start] + f'"proof": "{old}"' + text[end:], "utf-8")
    (landing,) = load_report(path).landings
    assert landing.proven is None
    assert landing.status == "edited"


def test_a_reviewer_can_look_at_the_usage(tmp_path: Path) -> None:
    """The description has a query for exactly these pods, and the backtest's verdict."""
    (tmp_path / "web.yaml").write_text(DEPLOYMENT.replace("HEAP", "x"), "utf-8")
    used = recommendation(resources("1", "2Gi", None, "2Gi"), resources("1", "512Mi", None, "1Gi"))
    found = land(
        replace(report(used), verdict="killed in 0 of 72 weeks"),
        Config(git=GitSettings(repo=str(tmp_path))),
    )
    (change,) = found.changes
    assert (
        'max(container_memory_working_set_bytes{namespace="shop", '
        'pod=~"web-[a-z0-9]+-[a-z0-9]{5}", container="app"})'
    ) in change.body
    assert "killed in 0 of 72 weeks" in change.body
    assert "memory p99" in change.body


@pytest.mark.parametrize(
    ("mode", "told"),
    [
        ("updatePolicy: {updateMode: Initial}", "Initial"),
        ("updatePolicy: {}", "Auto"),
        ('updatePolicy: {updateMode: "Off"}', "Off"),
    ],
)
def test_a_vertical_autoscaler_of_the_repository_is_known(
    tmp_path: Path, mode: str, told: str
) -> None:
    """Its mode holds for what it targets, and without one it updates."""
    (tmp_path / "web.yaml").write_text(DEPLOYMENT, "utf-8")
    (tmp_path / "vpa.yaml").write_text(VPA.replace("MODE", mode), "utf-8")
    of = histories(specs=[{**names(), **NOW}])
    known = look_ahead(of, Config(git=GitSettings(repo=str(tmp_path))))
    assert known.histories.spec(0).vpa == told


SURROUNDED = """
apiVersion: v1
kind: LimitRange
metadata: {name: range, namespace: shop}
spec: {limits: [{type: Container, max: {cpu: "1"}}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec:
  template:
    metadata: {labels: {app: web}}
    spec:
      nodeSelector: {disk: ssd}
      containers:
        - name: app
          resources: {requests: {cpu: 100m}}
          startupProbe: {failureThreshold: 30}
"""
KUSTOMIZED = """
kind: Kustomization
apiVersion: kustomize.config.k8s.io/v1beta1
resources: [web.yaml]
"""
PATCHED = """
patches:
  - target: {kind: Deployment}
    patch: |
      - {op: replace, path: /spec/template/spec/nodeSelector, value: {disk: hdd}}
"""
PROBED = """
patches:
  - patch: |
      kind: Deployment
      apiVersion: apps/v1
      metadata: {name: web}
      spec: {template: {spec: {containers: [{name: app, startupProbe: {failureThreshold: 60}}]}}}
"""


@pytest.mark.parametrize(("patches", "known"), [("", True), (PATCHED, False), (PROBED, True)])
def test_what_the_repository_says_of_nodes_and_ranges_is_known(
    tmp_path: Path, patches: str, known: bool
) -> None:
    """A LimitRange counts, and where pods may run, unless a patch on the way may change it."""
    (tmp_path / "web.yaml").write_text(SURROUNDED, "utf-8")
    (tmp_path / "kustomization.yaml").write_text(KUSTOMIZED + patches, "utf-8")
    of = histories(specs=[{**names(), **NOW}])
    found = look_ahead(of, Config(git=GitSettings(repo=str(tmp_path))))
    (row,) = found.histories.meta.limit_ranges
    assert (row["name"], row["value"]) == ("range (as the repository declares it)", 1.0)
    assert "shop/range" in found.notes[0]
    asked = found.histories.scheduling.get(ref().workload_ref)
    assert (asked is not None) is known
    if asked is not None:
        patience = timedelta(seconds=290) if "failureThreshold: 60" not in patches else None
        probe = asked.lifecycle.containers["app"].probe if asked.lifecycle.containers else None
        assert (probe.patience if probe else None) == patience
        assert asked.keys == {"disk"} and asked.labels == (("app", "web"),)
