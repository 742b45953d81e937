"""One contract for every way in which a repository declares resources.

Each construct of the table in docs/gitops.md is read, edited, proven and refused by the same laws.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from analyzer.gitops.land.changes import plan_changes
from analyzer.gitops.land.outcome import Advice, ChangePlan, DesiredChange, Edited, Unchanged
from analyzer.gitops.render.program import find_tools
from analyzer.quantity import Memory, Resources
from analyzer.workload import ContainerRef
from tests.gitops.conftest import Plant

PAGE = Path(__file__).resolve().parents[2] / "docs" / "gitops.md"
AMOUNT, OTHER = "64Mi", "96Mi"
BUILT = "rendered with kubectl kustomize"
CARRIED = "hands the values on as intended"
AS_IT_STANDS = "applied as it stands"
NO_CHART = "is not at hand"


@dataclass(frozen=True)
class Construct:
    """Files that state `AMOUNT` once for one container, where, and how an edit is proven."""

    files: Mapping[str, str]
    file: str
    proof: str
    workload: str = "web"
    container: str = "web"
    namespace: str = "shop"
    kind: str = "Deployment"

    @property
    def ref(self) -> ContainerRef:
        return ContainerRef("c", self.namespace, self.kind, self.workload, self.container)


WEB = """
    apiVersion: apps/v1
    kind: Deployment
    metadata: {name: web, namespace: shop}
    spec:
      template:
        spec:
          containers:
            - name: web  # the shop
              image: x
              resources: {requests: {memory: 64Mi}}
    """
BARE = WEB.replace("              resources: {requests: {memory: 64Mi}}\n", "")
TAKES = "resources: [web.yaml]\n"
FLUX = """
    apiVersion: kustomize.toolkit.fluxcd.io/v1
    kind: Kustomization
    metadata: {name: flux-system, namespace: flux-system}
    spec:
      path: ./apps
      sourceRef: {kind: GitRepository, name: flux-system}
    """
HELM_RELEASE = """
    apiVersion: helm.toolkit.fluxcd.io/v2
    kind: HelmRelease
    metadata: {name: metrics-server, namespace: shop}
    spec:
      chart: {spec: {chart: metrics-server, version: 3.12.0}}
      values:
        resources: {requests: {memory: 64Mi}}
    """
VALUES = "resources:\n  requests:\n    memory: 64Mi\n"
APPLICATION = """
    apiVersion: argoproj.io/v1alpha1
    kind: Application
    metadata: {name: metrics-server, namespace: argocd}
    spec:
      destination: {server: https://kubernetes.default.svc, namespace: shop}
      source:
        repoURL: https://example.org/charts
        chart: metrics-server
        targetRevision: 3.12.0
        helm:"""
METRICS = {"workload": "metrics-server", "container": "metrics-server"}

CONSTRUCTS: Mapping[str, Construct] = {
    "a manifest": Construct({"web.yaml": WEB}, "web.yaml", AS_IT_STANDS),
    "a manifest in JSON": Construct(
        {
            "web.json": """
                {"apiVersion": "apps/v1", "kind": "Deployment",
                 "metadata": {"name": "web", "namespace": "shop"},
                 "spec": {"template": {"spec": {"containers": [
                   {"name": "web", "resources": {"requests": {"memory": "64Mi"}}}]}}}}
                """
        },
        "web.json",
        AS_IT_STANDS,
    ),
    "a kustomization": Construct({"web.yaml": WEB, "kustomization.yaml": TAKES}, "web.yaml", BUILT),
    "a strategic-merge patch": Construct(
        {
            "base/web.yaml": BARE,
            "base/kustomization.yaml": TAKES,
            "prod/kustomization.yaml": "resources: [../base]\npatches: [{path: web.yaml}]\n",
            "prod/web.yaml": WEB,
        },
        "prod/web.yaml",
        BUILT,
    ),
    "a JSON 6902 patch": Construct(
        {
            "web.yaml": BARE,
            "kustomization.yaml": """
                resources: [web.yaml]
                patches:
                  - target: {kind: Deployment}
                    patch: |-
                      - op: add
                        path: /spec/template/spec/containers/0/resources
                        value: {requests: {memory: 64Mi}}
                """,
        },
        "kustomization.yaml",
        BUILT,
    ),
    "a Flux Kustomization": Construct(
        {
            "flux/root.yaml": FLUX,
            "apps/ks.yaml": FLUX.replace("flux-system,", "web,").replace(
                "path: ./apps", "path: ./web\n      targetNamespace: shop"
            ),
            "web/web.yaml": WEB.replace(", namespace: shop", ""),
            "web/kustomization.yaml": TAKES,
        },
        "web/web.yaml",
        BUILT,
    ),
    "a HelmRelease": Construct(
        {
            "flux/root.yaml": FLUX,
            "apps/hr.yaml": HELM_RELEASE,
            "apps/kustomization.yaml": "resources: [hr.yaml]\n",
        },
        "apps/hr.yaml",
        CARRIED,
        **METRICS,
    ),
    "values of a configMapGenerator": Construct(
        {
            "apps/hr.yaml": HELM_RELEASE.replace(
                "values:\n        resources: {requests: {memory: 64Mi}}",
                "valuesFrom: [{kind: ConfigMap, name: values}]",
            ),
            "apps/kustomization.yaml": """
                namespace: shop
                resources: [hr.yaml]
                configMapGenerator: [{name: values, files: [values.yaml=v.yaml]}]
                generatorOptions: {disableNameSuffixHash: true}
                """,
            "apps/v.yaml": VALUES,
        },
        "apps/v.yaml",
        CARRIED,
        **METRICS,
    ),
    "values of an Application": Construct(
        {
            "a.yaml": f"""{APPLICATION}
          valuesObject:
            resources: {{requests: {{memory: 64Mi}}}}
    """
        },
        "a.yaml",
        NO_CHART,
        **METRICS,
    ),
    "values in a block scalar of an Application": Construct(
        {
            "a.yaml": f"""{APPLICATION}
          values: |
            resources:
              requests: {{memory: 64Mi}}
    """
        },
        "a.yaml",
        NO_CHART,
        **METRICS,
    ),
    "an ApplicationSet": Construct(
        {
            "set.yaml": """
                apiVersion: argoproj.io/v1alpha1
                kind: ApplicationSet
                metadata: {name: all, namespace: argocd}
                spec:
                  generators: [{list: {elements: [{app: web}]}}]
                  template:
                    metadata: {name: "{{app}}"}
                    spec:
                      destination: {server: https://kubernetes.default.svc, namespace: shop}
                      source: {repoURL: https://example.org/x.git, path: "apps/{{app}}"}
                """,
            "apps/web/web.yaml": WEB,
            "apps/web/kustomization.yaml": TAKES,
        },
        "apps/web/web.yaml",
        BUILT,
    ),
    "an umbrella chart": Construct(
        {
            "app.yaml": APPLICATION.replace(
                "chart: metrics-server\n        targetRevision: 3.12.0\n        helm:",
                "path: charts/ms",
            ).replace("charts\n", "x.git\n"),
            "charts/ms/Chart.yaml": """
                apiVersion: v2
                name: ms
                version: 1.0.0
                dependencies:
                  - {name: metrics-server, version: 3.12.0, repository: "https://example.org"}
                """,
            "charts/ms/values.yaml": "metrics-server:\n  resources: {requests: {memory: 64Mi}}\n",
        },
        "charts/ms/values.yaml",
        NO_CHART,
        **METRICS,
    ),
    "helmCharts of a kustomization": Construct(
        {
            "kustomization.yaml": """
                helmCharts:
                  - name: metrics-server
                    releaseName: metrics-server
                    namespace: shop
                    version: 3.12.0
                    valuesInline:
                      resources: {requests: {memory: 64Mi}}
                """
        },
        "kustomization.yaml",
        NO_CHART,
        **METRICS,
    ),
    "a custom resource": Construct(
        {
            "mq.yaml": """
                apiVersion: rabbitmq.com/v1beta1
                kind: RabbitmqCluster
                metadata: {name: mq, namespace: shop}
                spec:
                  resources: {requests: {memory: 64Mi}}
                """,
            "kustomization.yaml": "resources: [mq.yaml]\n",
        },
        "mq.yaml",
        BUILT,
        "mq-server",
        "rabbitmq",
        kind="StatefulSet",
    ),
    "a HelmChart of k3s": Construct(
        {
            "hc.yaml": """
                apiVersion: helm.cattle.io/v1
                kind: HelmChart
                metadata: {name: metrics-server, namespace: shop}
                spec:
                  chart: metrics-server
                  version: 3.12.0
                  valuesContent: |-
                    resources:
                      requests: {memory: 64Mi}
                """
        },
        "hc.yaml",
        NO_CHART,
        **METRICS,
    ),
    "a chart of k0s": Construct(
        {
            "k0s.yaml": """
                apiVersion: helm.k0sproject.io/v1beta1
                kind: Chart
                metadata: {name: ms, namespace: kube-system}
                spec:
                  releaseName: metrics-server
                  chartName: x/metrics-server
                  version: 3.12.0
                  namespace: shop
                  values: |
                    resources: {requests: {memory: 64Mi}}
                """
        },
        "k0s.yaml",
        NO_CHART,
        **METRICS,
    ),
    "a bundle of Fleet": Construct(
        {
            "ms/fleet.yaml": """
                defaultNamespace: shop
                helm:
                  releaseName: metrics-server
                  chart: metrics-server
                  version: 3.12.0
                  values:
                    resources: {requests: {memory: 64Mi}}
                """
        },
        "ms/fleet.yaml",
        NO_CHART,
        **METRICS,
    ),
    "a release of helmfile": Construct(
        {
            "helmfile.yaml": """
                releases:
                  - name: metrics-server
                    namespace: shop
                    chart: x/metrics-server
                    version: 3.12.0
                    values: [values.yaml]
                """,
            "values.yaml": VALUES,
        },
        "values.yaml",
        NO_CHART,
        **METRICS,
    ),
}


def ask(root: Path, construct: Construct, amount: str) -> ChangePlan:
    """Ask for an amount for the construct's container, of which `AMOUNT` runs."""
    change = DesiredChange(
        construct.ref,
        Resources(memory_request=Memory.parse(AMOUNT)),
        Resources(memory_request=Memory.parse(amount)),
    )
    return plan_changes(root, [change], tools=find_tools())


each = pytest.mark.parametrize("name", CONSTRUCTS)


@each
def test_it_is_read_edited_and_proven(plant: Plant, name: str) -> None:
    """The container is traced to its file, the amount alone moves, and the proof says how."""
    construct = CONSTRUCTS[name]
    plan = ask(plant(construct.files), construct, OTHER)
    (outcome,) = plan.outcomes
    assert isinstance(outcome, Edited), outcome
    assert list(plan.edits) == [construct.file]
    before, after = plan.edits[construct.file]
    assert before.count(AMOUNT) == 1
    assert after == before.replace(AMOUNT, OTHER)
    if find_tools().kubectl is not None and find_tools().helm is not None:
        assert construct.proof in str(outcome.proof)


@each
def test_what_is_there_already_is_not_touched(plant: Plant, name: str) -> None:
    """The same amount again is no edit, also in another spelling."""
    construct = CONSTRUCTS[name]
    plan = ask(plant(construct.files), construct, str(64 * 2**20))
    assert isinstance(plan.outcomes[0], Unchanged)
    assert plan.edits == {}


@each
def test_what_the_cluster_fills_in_is_left_to_a_person(plant: Plant, name: str) -> None:
    """An amount that is a variable is decided elsewhere."""
    construct = CONSTRUCTS[name]
    files = {file: text.replace(AMOUNT, '"${MEMORY}"') for file, text in construct.files.items()}
    files = {file: text.replace('""', '"') for file, text in files.items()}
    plan = ask(plant(files), construct, OTHER)
    assert isinstance(plan.outcomes[0], Advice)
    assert plan.edits == {}


@each
def test_a_container_of_another_namespace_is_left_to_a_person(plant: Plant, name: str) -> None:
    """Of the same name, and yet a stranger: it finds no place here."""
    construct = CONSTRUCTS[name]
    other = ContainerRef("c", "elsewhere", construct.kind, construct.workload, construct.container)
    change = DesiredChange(
        other,
        Resources(memory_request=Memory.parse(AMOUNT)),
        Resources(memory_request=Memory.parse(OTHER)),
    )
    plan = plan_changes(plant(construct.files), [change])
    assert isinstance(plan.outcomes[0], Advice)
    assert plan.edits == {}


def test_the_page_lists_them_all() -> None:
    """The table of the documentation has a row for each construct, and for nothing else."""
    section = PAGE.read_text("utf-8").partition("## Read, edited, proven, refused")[2]
    rows = re.findall(r"^\| (an? .+?|values .+?|helmCharts .+?) \|", section, re.MULTILINE)
    assert rows == list(CONSTRUCTS)
