"""Rendering some proofs at a time: the same verdicts, whatever runs beside what."""

from __future__ import annotations

from pathlib import Path

from analyzer.gitops.land.changes import plan_changes
from analyzer.gitops.land.outcome import DesiredChange, Edited
from analyzer.gitops.render.program import Tools
from analyzer.quantity import Cpu, Resources
from analyzer.workload import ContainerRef
from tests.gitops.conftest import Plant

APPS = 18


def repository() -> dict[str, str]:
    """Applications with an overlay each over a base that all share; one cannot be built."""
    files = {}
    for n in range(APPS):
        broken = "resources: [../../base, ../../base]" if n == 5 else "resources: [../../base]"
        files[f"clusters/{n}.yaml"] = f"""
            apiVersion: kustomize.toolkit.fluxcd.io/v1
            kind: Kustomization
            metadata: {{name: app-{n}, namespace: flux-system}}
            spec: {{path: ./apps/{n}, targetNamespace: team-{n}}}
            """
        files[f"apps/{n}/kustomization.yaml"] = f"""
            {broken}
            patches:
              - path: patch.yaml
            """
        files[f"apps/{n}/patch.yaml"] = f"""
            apiVersion: apps/v1
            kind: Deployment
            metadata: {{name: web}}
            spec:
              template:
                spec:
                  containers:
                    - name: web
                      resources: {{requests: {{cpu: {100 + n}m}}}}
            """
    files["base/kustomization.yaml"] = "resources: [web.yaml]\n"
    files["base/web.yaml"] = """
        apiVersion: apps/v1
        kind: Deployment
        metadata: {name: web}
        spec: {template: {spec: {containers: [{name: web, image: web}]}}}
        """
    return files


def test_proofs_made_side_by_side_are_those_made_in_turn(plant: Plant, kubectl: Path) -> None:
    """Each build sees its own edits and no other's, though some are made at a time.

    The one that cannot be built says so either way, and spoils no other.
    """
    root = plant(repository())
    desired = [
        DesiredChange(
            ContainerRef("home", f"team-{n}", "Deployment", "web", "web"),
            Resources(Cpu(100 + n)),
            Resources(Cpu(200 + n)),
        )
        for n in range(APPS)
    ]
    plans = []
    for cores in (1, 4):
        tools = Tools(kubectl=kubectl, at_once=cores)
        plans.append(plan_changes(root, desired, tools=tools))
    assert list(map(repr, plans[0].outcomes)) == list(map(repr, plans[1].outcomes))
    assert plans[0].edits == plans[1].edits
    proven = [o.proof.changed for o in plans[1].outcomes if isinstance(o, Edited)]
    assert proven == [1] * 5 + [0] + [1] * (APPS - 6)
