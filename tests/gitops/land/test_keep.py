"""What a chart gives only as long as nothing is stated is written out beside the new amounts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from analyzer.gitops.land.changes import plan_changes
from analyzer.gitops.land.outcome import Advice, ChangePlan, DesiredChange, Edited
from analyzer.gitops.render.program import Tools
from analyzer.quantity import Cpu, Memory, Resources
from analyzer.workload import ContainerRef
from tests.gitops.conftest import Plant

RELEASE = """
    apiVersion: helm.toolkit.fluxcd.io/v2
    kind: HelmRelease
    metadata: {name: web, namespace: shop}
    spec:
      chart: {spec: {chart: preset, version: 1.0.0}}
      values:
        replicas: 1
    """
PRESET = """\
resources:
  requests: {{cpu: 100m, memory: 128Mi, ephemeral-storage: 50Mi}}
  limits: {{memory: 192Mi, ephemeral-storage: {storage}, hugepages-2Mi: 4Mi, example.com/gpu: 1}}
"""
TEMPLATE = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: {{ .Release.Name }}}
spec:
  template:
    spec:
      containers:
        - name: web
          image: x
          {{- with .Values.resources }}
          resources: {{ toYaml . | nindent 12 }}
          {{- else }}
          {{- .Files.Get "preset.yaml" | nindent 10 }}
          {{- end }}
"""
REF = ContainerRef("c", "shop", "Deployment", "web", "web")
NOW = Resources(Cpu(100), None, Memory.parse("128Mi"), Memory.parse("192Mi"))


def planned(root: Path, tools: Tools) -> ChangePlan:
    """More CPU, and the memory that it has."""
    change = DesiredChange(REF, NOW, replace(NOW, cpu_request=Cpu(250)))
    return plan_changes(root, [change], tools=tools)


def repository(storage: str) -> dict[str, str]:
    """A release, and its chart with a preset that is all or nothing."""
    return {
        "apps/web.yaml": RELEASE,
        "charts/preset/Chart.yaml": "apiVersion: v2\nname: preset\nversion: 1.0.0\n",
        "charts/preset/values.yaml": "resources: {}\n",
        "charts/preset/preset.yaml": PRESET.format(storage=storage),
        "charts/preset/templates/web.yaml": TEMPLATE,
    }


def test_the_rest_of_a_preset_is_kept(plant: Plant, helm: Path) -> None:
    """The container asks for the new CPU, and otherwise for what it did before."""
    plan = planned(plant(repository("2Gi")), Tools(helm=helm))
    (edited,) = plan.outcomes
    assert isinstance(edited, Edited), edited
    before, after = plan.edits["apps/web.yaml"]
    assert after.startswith(before)
    assert yaml.safe_load(after)["spec"]["values"]["resources"] == {
        "requests": {"cpu": "250m", "memory": "128Mi", "ephemeral-storage": "50Mi"},
        "limits": {
            "memory": "192Mi",
            "ephemeral-storage": "2Gi",
            "hugepages-2Mi": "4Mi",
            "example.com/gpu": 1,
        },
    }
    assert edited.proof.rendered_with.startswith("helm")
    assert "limits.ephemeral-storage (kept at 2Gi)" in edited.proof.text


@pytest.mark.parametrize("storage", ["2048Mi", "much", "1.5Gi"])
def test_what_cannot_be_kept_to_the_letter_is_left_to_a_person(
    plant: Plant, helm: Path, storage: str
) -> None:
    """An amount that would be spelled otherwise, or is none, is no reason to lose it."""
    (outcome,) = planned(plant(repository(storage)), Tools(helm=helm)).outcomes
    assert isinstance(outcome, Advice)
    assert "changed as well" in outcome.reason
