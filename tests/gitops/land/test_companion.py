"""A request and the autoscaler's target that is a share of it: both in one edit, or neither."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from analyzer.gitops.index.known_scaler import known_hpa
from analyzer.gitops.index.repository_index import index_repository
from analyzer.gitops.land.changes import plan_changes
from analyzer.gitops.land.outcome import Advice, ChangePlan, DesiredChange, Edited, Unchanged
from analyzer.gitops.land.proposal import proposals
from analyzer.gitops.render.program import Tools
from analyzer.models.demand import Resource
from analyzer.quantity import Cpu, Resources
from analyzer.recommend.recommendation import Companion
from analyzer.workload import ContainerRef
from tests.gitops.conftest import Plant

WEB = ContainerRef("c", "shop", "Deployment", "web", "app")

DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
        - name: app
          image: web
          resources:
            requests: {cpu: 500m}
        - name: proxy
          image: proxy
          resources:
            requests: {cpu: 100m}
"""
HPA = """
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: web, namespace: shop}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}
  minReplicas: 2
  maxReplicas: 10
  metrics:
    - type: Resource
      resource:
        name: cpu
        target: {type: Utilization, averageUtilization: 60}  # tuned in May
"""
KUSTOMIZATION = "resources: [deployment.yaml, hpa.yaml]\n"
BASE = {
    "app/kustomization.yaml": KUSTOMIZATION,
    "app/deployment.yaml": DEPLOYMENT,
    "app/hpa.yaml": HPA,
}
V1 = HPA.replace("autoscaling/v2", "autoscaling/v1").partition("  metrics:")[0] + (
    "  targetCPUUtilizationPercentage: 60\n"
)
OLD_BETA = HPA.replace("autoscaling/v2", "autoscaling/v2beta1").replace(
    "target: {type: Utilization, averageUtilization: 60}", "targetAverageUtilization: 60"
)
PER_CONTAINER = HPA.replace("type: Resource", "type: ContainerResource").replace(
    "      resource:\n", "      containerResource:\n        container: app\n"
)
KEDA = """
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata: {name: web, namespace: shop}
spec:
  scaleTargetRef: {name: web}
  triggers:
    - type: cron
      metadata: {timezone: UTC, start: 0 8 * * *, end: 0 18 * * *, desiredReplicas: "4"}
    - type: cpu
      metricType: Utilization
      metadata: {value: "60"}
"""
CHART = {
    "charts/web/Chart.yaml": "apiVersion: v2\nname: web\nversion: 1.0.0\n",
    "charts/web/values.yaml": (
        "resources: {}\nautoscaling: {enabled: false, targetCPUUtilizationPercentage: 60}\n"
    ),
    "charts/web/templates/all.yaml": """
{{- define "web.x" }}{{ end }}
apiVersion: apps/v1
kind: Deployment
metadata: {name: {{ .Release.Name }}}
spec:
  template:
    spec:
      containers:
        - name: app
          resources: {{ toYaml .Values.resources | nindent 12 }}
---
{{- if .Values.autoscaling.enabled }}
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: {{ .Release.Name }}}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: {{ .Release.Name }}}
  maxReplicas: 9
  metrics:
    - type: Resource
      resource:
        name: cpu
        target:
          type: Utilization
          averageUtilization: {{ .Values.autoscaling.targetCPUUtilizationPercentage }}
{{- end }}
""",
}
RELEASE = """
apiVersion: helm.toolkit.fluxcd.io/v2
kind: HelmRelease
metadata: {name: web, namespace: shop}
spec:
  chart: {spec: {chart: ./charts/web, sourceRef: {kind: GitRepository, name: x}}}
  values:
    resources: {requests: {cpu: 500m}}
    autoscaling:
      enabled: true
      targetCPUUtilizationPercentage: 60
"""
RAW = """
apiVersion: helm.toolkit.fluxcd.io/v2
kind: HelmRelease
metadata: {name: web, namespace: shop}
spec:
  chart: {spec: {chart: app-template, version: 3.7.3, sourceRef: {kind: HelmRepository, name: x}}}
  values:
    controllers:
      web: {containers: {app: {resources: {requests: {cpu: 500m}}}}}
    rawResources:
      scaler:
        apiVersion: autoscaling/v2
        kind: HorizontalPodAutoscaler
        spec:
          spec:
            scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}
            maxReplicas: 9
            metrics:
              - type: Resource
                resource: {name: cpu, target: {type: Utilization, averageUtilization: 60}}
"""


def companion(
    *along: ContainerRef, container: str | None = None, resource: Resource = "cpu"
) -> Companion:
    """The HPA's target, from 60 % to 75 %."""
    refs = tuple(str(ref) for ref in along or (WEB,))
    return Companion("scale target", "web", resource, "60", "75", "why", container, refs)


def asked(
    root: Path, tools: Tools | None = None, one: Companion | None = None, cpu: int = 400
) -> ChangePlan:
    """The plan for less CPU, with the target to go along."""
    now, new = Resources(cpu_request=Cpu(500)), Resources(cpu_request=Cpu(cpu))
    change = DesiredChange(WEB, now, new, companions=(one or companion(),))
    return plan_changes(root, [change], tools=tools)


@pytest.fixture
def tools(helm: Path, kubectl: Path) -> Tools:
    """The real programs."""
    return Tools(kubectl, helm)


WAYS: Sequence[tuple[str, Mapping[str, str], str, str, str | None]] = [
    ("v2", BASE, "app/hpa.yaml", "averageUtilization: 75}  # tuned in May", None),
    ("v1", {**BASE, "app/hpa.yaml": V1}, "app/hpa.yaml", "tionPercentage: 75", None),
    ("v2beta1", {**BASE, "app/hpa.yaml": OLD_BETA}, "app/hpa.yaml", "Utilization: 75", None),
    ("per container", {**BASE, "app/hpa.yaml": PER_CONTAINER}, "app/hpa.yaml", "n: 75}", "app"),
    ("KEDA", {**BASE, "app/hpa.yaml": KEDA}, "app/hpa.yaml", '{value: "75"}', None),
    (
        "patched in an overlay",
        {
            **BASE,
            "over/kustomization.yaml": """
resources: [../app]
patches:
  - target: {kind: HorizontalPodAutoscaler}
    patch: |
      - op: replace
        path: /spec/metrics/0/resource/target/averageUtilization
        value: 60
  - path: less.yaml
""",
            "over/less.yaml": """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec: {template: {spec: {containers: [{name: app, resources: {requests: {cpu: 500m}}}]}}}
""",
            "app/hpa.yaml": HPA.replace("averageUtilization: 60", "averageUtilization: 80"),
        },
        "over/kustomization.yaml",
        "value: 75",
        None,
    ),
    ("chart", {**CHART, "hr.yaml": RELEASE}, "hr.yaml", "UtilizationPercentage: 75", None),
    (
        "default of a chart",
        {
            **CHART,
            "hr.yaml": RELEASE.replace("      targetCPUUtilizationPercentage: 60\n", ""),
        },
        "hr.yaml",
        "targetCPUUtilizationPercentage: 75",
        None,
    ),
    ("raw resource", {"hr.yaml": RAW}, "hr.yaml", "averageUtilization: 75", None),
]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: str(way[0]))
def test_request_and_target_change_in_one_edit(
    plant: Plant, tools: Tools, way: tuple[str, Mapping[str, str], str, str, str | None]
) -> None:
    """Wherever the target stands, it changes with the request, and nothing else does."""
    _, files, file, text, container = way
    root = plant(files)
    plan = asked(root, tools, companion(container=container))
    (outcome,) = plan.outcomes
    assert isinstance(outcome, Edited), outcome.reason if isinstance(outcome, Advice) else outcome
    assert text in plan.edits[file][1]
    changed = [line for line in plan.diff().splitlines() if re.match(r"\+(?!\+)", line)]
    assert len(changed) == 2, plan.diff()
    assert "HPA web, target of CPU" in outcome.proof.text
    (proposal,) = proposals(plan)
    assert "In the same commit" in proposal.body
    assert "60 % → **75 %**" in proposal.body


def test_both_are_rendered(plant: Plant, tools: Tools) -> None:
    """The folder is built by kubectl before and after: the HPA gets what was meant."""
    (outcome,) = asked(plant(BASE), tools).outcomes
    assert isinstance(outcome, Edited)
    assert outcome.proof.rendering.startswith("rendered with kubectl")
    assert outcome.proof.along == ()


REFUSED = {
    "another target since": (
        {**BASE, "app/hpa.yaml": HPA.replace("averageUtilization: 60", "averageUtilization: 70")},
        "states 70, while 60 ran",
    ),
    "target set already": (
        {**BASE, "app/hpa.yaml": HPA.replace("averageUtilization: 60", "averageUtilization: 75")},
        "as proposed already",
    ),
    "request set already": (
        {**BASE, "app/deployment.yaml": DEPLOYMENT.replace("500m", "400m")},
        "the request is as proposed already and it is not",
    ),
    "gone": ({**BASE, "app/hpa.yaml": HPA.replace("name: web}", "name: api}")}, "is not found"),
    "a variable": (
        {**BASE, "app/hpa.yaml": HPA.replace("ion: 60", 'ion: "${TARGET}"')},
        "states \\$\\{TARGET\\}",
    ),
    "an anchor": (
        {
            **BASE,
            "app/hpa.yaml": HPA.replace("Utilization: 60", "Utilization: &share 60").replace(
                "  minReplicas: 2\n", ""
            )
            + "    - {type: Resource, resource: {name: memory, target: "
            "{type: Utilization, averageUtilization: *share}}}\n",
        },
        "anchor",
    ),
    "overwritten by a JSON patch": (
        {
            **BASE,
            "app/kustomization.yaml": KUSTOMIZATION
            + """
patches:
  - target: {kind: HorizontalPodAutoscaler}
    patch: |
      - op: replace
        path: /spec/metrics
        value: [{type: Resource, resource: {name: cpu, target: {averageUtilization: 60}}}]
""",
        },
        "has a say in it",
    ),
    "generated": ({**BASE, "app/hpa.yaml": "# Code generated. DO NOT EDIT.\n" + HPA}, "generated"),
    "two of them": (
        {
            **BASE,
            "app/kustomization.yaml": KUSTOMIZATION.replace("hpa.yaml", "hpa.yaml, more.yaml"),
            "app/more.yaml": HPA.replace("name: web, namespace", "name: second, namespace"),
        },
        "in 2 places",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_neither_changes_where_one_cannot(plant: Plant, tools: Tools, name: str) -> None:
    """What stands in the way of the target stands in the way of the request."""
    files, reason = REFUSED[name]
    plan = asked(plant(files), tools)
    (outcome,) = plan.outcomes
    assert isinstance(outcome, Advice), outcome
    assert re.search(reason, outcome.reason), outcome.reason
    assert plan.edits == {}


def test_both_in_place_is_nothing_to_do(plant: Plant) -> None:
    """A change that has been merged is not proposed again."""
    done = {
        **BASE,
        "app/deployment.yaml": DEPLOYMENT.replace("500m", "400m"),
        "app/hpa.yaml": HPA.replace("averageUtilization: 60", "averageUtilization: 75"),
    }
    assert isinstance(asked(plant(done)).outcomes[0], Unchanged)


def test_containers_that_share_a_target_share_its_fate(plant: Plant) -> None:
    """Of two containers whose sum the target is a share of, one alone is not changed."""
    proxy = replace(WEB, container="proxy")
    both = companion(WEB, proxy)
    root = plant(BASE)
    (alone,) = asked(root, one=both).outcomes
    assert isinstance(alone, Advice)
    assert "shop/Deployment/web/proxy" in alone.reason
    changes = [
        DesiredChange(
            ref,
            Resources(cpu_request=Cpu(now)),
            Resources(cpu_request=Cpu(new)),
            companions=(both,),
        )
        for ref, now, new in ((WEB, 500, 380), (proxy, 100, 120))
    ]
    plan = plan_changes(root, changes)
    assert all(isinstance(outcome, Edited) for outcome in plan.outcomes)
    (proposal,) = proposals(plan, split_directions=True, grouping="workload")
    assert proposal.body.count("60 % → **75 %**") == 1


def test_what_kustomize_takes_from_elsewhere_is_found_out(plant: Plant, tools: Tools) -> None:
    """Rendering has the last word: an edit of a target that a replacement overwrites has none."""
    files = {
        **BASE,
        "app/kustomization.yaml": KUSTOMIZATION
        + """
replacements:
  - source: {kind: Deployment, name: web, fieldPath: spec.replicas}
    targets:
      - select: {kind: HorizontalPodAutoscaler}
        fieldPaths: [spec.metrics.0.resource.target.averageUtilization]
""",
        "app/deployment.yaml": DEPLOYMENT.replace("  selector:", "  replicas: 60\n  selector:"),
    }
    (outcome,) = asked(plant(files), tools).outcomes
    assert isinstance(outcome, Advice)


def test_the_repository_tells_of_autoscalers_that_metrics_do_not(plant: Plant) -> None:
    """Name, bounds, target and place, of this cluster's own alone."""
    index = index_repository(plant(BASE))
    hpa = known_hpa(None, index.scalers_of["shop", "Deployment", "web"])
    assert hpa is not None
    assert (hpa.name, hpa.min_replicas, hpa.max_replicas) == ("web", 2, 10)
    (target,) = hpa.targets
    assert (target.resource, target.percent) == ("cpu", 60)
    assert target.place == ("app/hpa.yaml: spec.metrics[0].resource.target.averageUtilization")
