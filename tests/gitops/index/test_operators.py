"""What operators make of their objects, row by row of the table, and what speaks against it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from analyzer.gitops.index.repository_index import index_repository
from analyzer.gitops.index.trace import LiveContainer, trace_one
from analyzer.gitops.land.changes import plan_changes
from analyzer.gitops.land.outcome import Advice, DesiredChange, Edited
from analyzer.gitops.reach.custom import Rule, rules
from analyzer.gitops.render.program import Tools
from analyzer.quantity import Memory, Resources
from analyzer.workload import CONTROLLED_BY, ContainerRef
from tests.gitops.conftest import Plant
from tests.samples import resources

ROOT = Path(__file__).resolve().parents[3]
EVERY = [rule for each in rules().values() for rule in each]
AMOUNTS = {"requests": {"memory": "64Mi"}}


def put(found: dict[str, object], dots: str, value: object) -> None:
    """Set a value at a path of a table's row, one item in each list."""
    scope: object = found
    *parts, last = re.split(r"\.", dots)
    for part in parts:
        assert isinstance(scope, dict)
        key = part.removesuffix("[]")
        below = scope.setdefault(key, [{"name": "one", "component": "one"}] if key != part else {})
        scope = below[0] if isinstance(below, list) else below
    assert isinstance(scope, dict)
    scope[last] = value


def made(rule: Rule, number: int) -> tuple[str, str, str]:
    """An object that states a row's field, the workload made of it, and its container."""
    name = f"x{number}"
    item: dict[str, object] = {
        "apiVersion": f"{rule.group}/v1",
        "kind": rule.kind,
        "metadata": {
            "name": name,
            "namespace": f"n{number}",
            "labels": {"strimzi.io/cluster": "events"},
        },
        "spec": {"type": "filebeat", "clusterName": "main", "datacenter": {"name": "here"}},
    }
    path, _, values = rule.when.partition("=")
    if values.split("|")[-1]:
        put(item, path, values.split("|")[-1])
    container = rule.container.replace("*", "own").format(
        **{"name": name, "spec": type("S", (), {"type": "filebeat"})}
    )
    value = {"containers": [{"name": container, "resources": AMOUNTS}]} if rule.is_pod else AMOUNTS
    put(item, rule.path, value)
    known = {"{name}": name, "{label:strimzi.io/cluster}": "events", "{item.name}": "one"}
    known |= {"{item.component}": "one", "{spec.type}": "filebeat", "{spec.clusterName}": "main"}
    known |= {"{spec.datacenter.name}": "here"}
    workload = rule.workload
    for placeholder, text in known.items():
        workload = workload.replace(placeholder, text)
    for pattern, text in {
        r"(-[a-z0-9]+)?": "-5f7c", r"(-shard-[0-9]+)?": "-shard-1", r"(-[0-9]{5}-deployment)?": "",
        r"[a-z0-9-]+": "r1", r"[a-z0-9]+": "5f7c", r"[a-z0-9]{4}": "ab1c", r"[0-9]{5}": "00003",
        r"[0-9a-f]{8}": "0a1b2c3d", r"[a-z]+": "a", r"[0-9]+": "7", r".+": "node-1",
    }.items():  # fmt: skip
        workload = workload.replace(pattern, text)
    return json.dumps(item, indent=2) + "\n", workload, container


def test_every_row_is_read_edited_and_nothing_else_changed(plant: Plant) -> None:
    """The law of the table: the container that a row names is edited at the row's path alone."""
    objects = [made(rule, number) for number, rule in enumerate(EVERY)]
    # Tigera's are one of a kind in a cluster: each in a repository of its own.
    folders = [f"{n}" if rule.namespace else "all" for n, rule in enumerate(EVERY)]
    texts = enumerate(zip(folders, objects, strict=True))
    root = plant({f"{folder}/{n}.yaml": text for n, (folder, (text, _, _)) in texts})
    for folder in sorted(set(folders)):
        numbers = [n for n, each in enumerate(folders) if each == folder]
        changes = [wanted(EVERY[n], n, *objects[n][1:]) for n in numbers]
        plan = plan_changes(root / folder, changes)
        for number, outcome in zip(numbers, plan.outcomes, strict=True):
            assert isinstance(outcome, Advice if EVERY[number].hint else Edited), EVERY[number]
        for file, (before, after) in plan.edits.items():
            assert after == before.replace('"64Mi"', '"96Mi"'), file


def wanted(rule: Rule, number: int, workload: str, container: str) -> DesiredChange:
    """A little more memory for what a row names."""
    namespace = rule.namespace or f"n{number}"
    return DesiredChange(
        ContainerRef("c", namespace, rule.workload_kind, workload, container),
        Resources(memory_request=Memory.parse("64Mi")),
        Resources(memory_request=Memory.parse("96Mi")),
    )


CASES = {
    "the topic operator of a Kafka": (
        """
        apiVersion: kafka.strimzi.io/v1beta2
        kind: Kafka
        metadata: {name: events, namespace: ns}
        spec:
          kafka: {replicas: 3}
          entityOperator:
            topicOperator:
              resources:
                requests: {memory: 64Mi}
            userOperator: {}
        """,
        ("Deployment", "events-entity-operator", "topic-operator"),
        "spec.entityOperator.topicOperator.resources",
    ),
    "a collector that runs on every node": (
        """
        apiVersion: opentelemetry.io/v1beta1
        kind: OpenTelemetryCollector
        metadata: {name: logs, namespace: ns}
        spec:
          mode: daemonset
          resources:
            requests: {memory: 64Mi}
        """,
        ("DaemonSet", "logs-collector", "otc-container"),
        "spec.resources",
    ),
    "the second pool of a Tenant": (
        """
        apiVersion: minio.min.io/v2
        kind: Tenant
        metadata: {name: store, namespace: ns}
        spec:
          pools:
            - name: old
              resources: {requests: {memory: 1Gi}}
            - name: new
              resources: {requests: {memory: 64Mi}}
        """,
        ("StatefulSet", "store-new", "minio"),
        "spec.pools[1].resources",
    ),
    "the only container of a Knative Service, which needs no name": (
        """
        apiVersion: serving.knative.dev/v1
        kind: Service
        metadata: {name: hello, namespace: ns}
        spec:
          template:
            spec:
              containers:
                - image: example.org/hello
                  resources: {requests: {memory: 64Mi}}
        """,
        ("Deployment", "hello-00012-deployment", "user-container"),
        "spec.template.spec.containers[0].resources",
    ),
    "a node set of Elasticsearch": (
        """
        apiVersion: elasticsearch.k8s.elastic.co/v1
        kind: Elasticsearch
        metadata: {name: logs, namespace: ns}
        spec:
          nodeSets:
            - name: hot
              podTemplate:
                spec:
                  containers:
                    - name: elasticsearch
                      resources: {requests: {memory: 64Mi}}
        """,
        ("StatefulSet", "logs-es-hot", "elasticsearch"),
        "spec.nodeSets[0].podTemplate.spec.containers[0].resources",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_an_operators_container_is_found(plant: Plant, case: str) -> None:
    """Names worked out by hand from what the operators' own manuals show."""
    text, (kind, workload, container), path = CASES[case]
    index = index_repository(plant({"a.yaml": text}))
    ref = ContainerRef("c", "ns", kind, workload, container)
    traced = trace_one(LiveContainer(ref), index)
    assert (traced.place and traced.place.path, traced.confidence) == (path, "certain")


UNKNOWN = """
    apiVersion: example.org/v1
    kind: QueueBroker
    metadata: {name: mq, namespace: ns}
    spec:
      replicas: 3
      broker:
        resources: {requests: {cpu: 100m, memory: 1Gi}, limits: {memory: 1Gi}}
    """
OWNED = {CONTROLLED_BY: "QueueBroker/mq"}


@pytest.mark.parametrize("container", ["broker", "mq", "queuebroker", "queue-broker"])
def test_the_only_block_of_an_unknown_kind_is_its_containers(
    plant: Plant, kubectl: Path, container: str
) -> None:
    """The owner, the container's name and the amounts that run all say so; it is told as likely."""
    root = plant({"a.yaml": UNKNOWN, "kustomization.yaml": "resources: [a.yaml]\n"})
    ref = ContainerRef("c", "ns", "StatefulSet", "mq-nodes", container)
    new = Resources(memory_request=Memory.parse("2Gi"), memory_limit=Memory.parse("2Gi"))
    change = DesiredChange(ref, resources("100m", "1Gi", None, "1Gi"), new, OWNED)
    (outcome,) = plan_changes(root, [change], tools=Tools(kubectl=kubectl), live=[ref]).outcomes
    assert isinstance(outcome, Edited), outcome
    assert outcome.trace.confidence == "likely"
    assert "QueueBroker is a kind that is not known here" in outcome.trace.reason
    assert outcome.proof.rendering.endswith("hands the values on as intended")
    (outcome,) = plan_changes(root, [change]).outcomes
    assert isinstance(outcome, Edited), "whatever else runs"


@pytest.mark.parametrize(
    ("text", "labels", "container", "ran"),
    [
        (UNKNOWN, {}, "broker", "1Gi"),
        (UNKNOWN, {CONTROLLED_BY: "QueueBroker/other"}, "broker", "1Gi"),
        (UNKNOWN, {CONTROLLED_BY: "Broker/mq"}, "broker", "1Gi"),
        (UNKNOWN, OWNED, "exporter", "1Gi"),
        (UNKNOWN, OWNED, "broker", "3Gi"),
        (UNKNOWN + "  proxy: {resources: {requests: {cpu: 1}}}\n", OWNED, "broker", "1Gi"),
        (UNKNOWN.replace("resources:", "resource:"), OWNED, "broker", "1Gi"),
        (UNKNOWN.replace("broker:\n        res", "pools:\n      - res"), OWNED, "mq", "1Gi"),
        (UNKNOWN.replace("kind: QueueBroker", "kind: ResourceSet"), OWNED, "broker", "1Gi"),
    ],
    ids=["no owner", "other object", "other kind", "other container", "other amounts", "two blocks",
         "another word", "in a list", "handed on"],
)  # fmt: skip
def test_whatever_speaks_against_an_unknown_kind_leaves_it_to_a_person(
    plant: Plant, text: str, labels: dict[str, str], container: str, ran: str
) -> None:
    """A wrong place is worse than none."""
    root = plant({"a.yaml": text})
    ref = ContainerRef("c", "ns", "StatefulSet", "mq-nodes", container)
    new = Resources(memory_request=Memory.parse("4Gi"), memory_limit=Memory.parse("4Gi"))
    change = DesiredChange(ref, resources("100m", "1Gi", None, ran), new, labels)
    plan = plan_changes(root, [change])
    assert isinstance(plan.outcomes[0], Advice) and plan.edits == {}


def test_two_containers_that_an_unknown_kind_may_mean_are_left_to_a_person(plant: Plant) -> None:
    """Both bear a fitting name and run with the amounts, and one of them is another's."""
    root = plant({"a.yaml": UNKNOWN})
    new = Resources(memory_request=Memory.parse("2Gi"), memory_limit=Memory.parse("2Gi"))
    refs = [ContainerRef("c", "ns", "StatefulSet", "mq-nodes", name) for name in ("mq", "broker")]
    now = resources("100m", "1Gi", None, "1Gi")
    plan = plan_changes(root, [DesiredChange(ref, now, new, OWNED) for ref in refs])
    assert [type(outcome) for outcome in plan.outcomes] == [Advice, Advice]
    assert "which of 2 containers" in plan.advice[0].reason


def test_what_an_object_states_twice_is_left_to_a_person(plant: Plant) -> None:
    """An operator merges its list of containers over its own fields, which decide nothing."""
    root = plant(
        {
            "a.yaml": """
                apiVersion: monitoring.coreos.com/v1
                kind: Prometheus
                metadata: {name: k8s, namespace: ns}
                spec:
                  resources: {requests: {memory: 1Gi}}
                  containers:
                    - name: prometheus
                      resources: {requests: {memory: 2Gi}}
                """
        }
    )
    ref = ContainerRef("c", "ns", "StatefulSet", "prometheus-k8s", "prometheus")
    change = DesiredChange(ref, Resources(), Resources(memory_request=Memory.parse("3Gi")))
    (outcome,) = plan_changes(root, [change]).outcomes
    assert isinstance(outcome, Advice)
    assert "states it at spec.containers[0].resources as well" in outcome.reason


def test_a_patch_of_a_custom_resource_has_the_last_word(plant: Plant) -> None:
    """As with workloads: the amounts that an overlay states are edited in the overlay."""
    root = plant(
        {
            "base/kustomization.yaml": "resources: [a.yaml]\n",
            "base/a.yaml": """
                apiVersion: rabbitmq.com/v1beta1
                kind: RabbitmqCluster
                metadata: {name: mq, namespace: ns}
                spec:
                  resources: {requests: {memory: 1Gi}, limits: {memory: 1Gi}}
                """,
            "prod/kustomization.yaml": "resources: [../base]\npatches: [{path: p.yaml}]\n",
            "prod/p.yaml": """
                apiVersion: rabbitmq.com/v1beta1
                kind: RabbitmqCluster
                metadata: {name: mq, namespace: ns}
                spec:
                  resources: {requests: {memory: 2Gi}, limits: {memory: 2Gi}}
                """,
        }
    )
    ref = ContainerRef("c", "ns", "StatefulSet", "mq-server", "rabbitmq")
    new = Resources(memory_request=Memory.parse("3Gi"), memory_limit=Memory.parse("3Gi"))
    plan = plan_changes(root, [DesiredChange(ref, Resources(), new)])
    assert list(plan.edits) == ["prod/p.yaml"]


def test_a_container_that_is_not_described_is_advised(plant: Plant) -> None:
    """Nothing declares it, yet it is known which object makes it and where it could be said."""
    root = plant(
        {
            "a.yaml": """
                apiVersion: kibana.k8s.elastic.co/v1
                kind: Kibana
                metadata: {name: logs, namespace: ns}
                spec: {count: 1}
                """
        }
    )
    ref = ContainerRef("c", "ns", "Deployment", "logs-kb", "kibana")
    change = DesiredChange(ref, Resources(), Resources(memory_request=Memory.parse("1Gi")))
    (outcome,) = plan_changes(root, [change]).outcomes
    assert isinstance(outcome, Advice)
    assert "called kibana at spec.podTemplate.spec.containers" in outcome.reason


def test_a_workload_that_another_object_names_is_never_edited(plant: Plant) -> None:
    """An EnvoyProxy says how proxies look, not which Gateways use it."""
    root = plant(
        {
            "a.yaml": """
                apiVersion: gateway.envoyproxy.io/v1alpha1
                kind: EnvoyProxy
                metadata: {name: custom, namespace: envoy}
                spec:
                  provider:
                    kubernetes:
                      envoyDeployment:
                        container: {resources: {requests: {memory: 512Mi}}}
                """
        }
    )
    ref = ContainerRef("c", "envoy", "Deployment", "envoy-web-public-0a1b2c3d", "envoy")
    traced = trace_one(LiveContainer(ref), index_repository(root))
    assert traced.confidence == "unproven"
    assert traced.place is not None


def test_the_table_is_held_against_schemas(tmp_path: Path) -> None:
    """A row that a schema speaks against is named; of the others the versions are noted."""
    amounts: dict[str, object] = {"properties": {"requests": {}, "limits": {}}}
    schema = {"properties": {"spec": {"properties": {"resources": amounts, "other": amounts}}}}
    (tmp_path / "example.org").mkdir()
    (tmp_path / "example.org/thing_v1.json").write_text(json.dumps(schema))
    header = ",".join(field.name for field in fields(Rule))
    row = "example.org,Thing,spec.{0},Deployment,{{name}},thing,,,,\n"
    table = tmp_path / "table.csv"
    table.write_text(f"{header}\n{row.format('resources')}{row.format('wrong')}")
    command = [sys.executable, "scripts/refresh_operators.py", str(tmp_path), str(table)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "example.org,thing,spec.other\n")
    assert done.stderr == "no such field: example.org Thing: spec.wrong\n"
    assert [line.rpartition(",")[2] for line in table.read_text().splitlines()[1:]] == ["v1", ""]


def test_a_custom_resource_of_a_chart_is_found_by_its_pattern(
    plant: Plant, tmp_path: Path, helm: Path
) -> None:
    """An odd amount that lands in a Prometheus decides for each of its shards."""
    tools = Tools(helm=helm, charts=(tmp_path / "charts",))
    chart = tmp_path / "charts" / "mine"
    (chart / "templates").mkdir(parents=True)
    (chart / "Chart.yaml").write_text("apiVersion: v2\nname: mine\nversion: 1.0.0\n")
    (chart / "values.yaml").write_text("resources: {}\n")
    (chart / "templates/p.yaml").write_text(
        "apiVersion: monitoring.coreos.com/v1\nkind: Prometheus\n"
        "metadata: {name: {{ .Release.Name }}}\n"
        "spec: {shards: 2, resources: {{ toJson .Values.resources }}}\n"
    )
    release = """
        apiVersion: helm.toolkit.fluxcd.io/v2
        kind: HelmRelease
        metadata: {name: k8s, namespace: ns}
        spec:
          chart: {spec: {chart: mine, version: 1.0.0}}
          values:
            resources: {requests: {memory: 64Mi}}
        """
    root = plant({"hr.yaml": release})
    ref = ContainerRef("c", "ns", "StatefulSet", "prometheus-k8s-shard-1", "prometheus")
    now, then = Memory.parse("64Mi"), Memory.parse("96Mi")
    change = DesiredChange(ref, Resources(memory_request=now), Resources(memory_request=then))
    (outcome,) = plan_changes(root, [change], tools=tools).outcomes
    assert isinstance(outcome, Edited), outcome
    assert outcome.proof.rendered_with.startswith("helm")
