"""A runtime setting and the memory limit that it holds up: both in one edit, or neither."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from analyzer.gitops.index.repository_index import index_repository
from analyzer.gitops.land.changes import plan_changes
from analyzer.gitops.land.companion import why_kept
from analyzer.gitops.land.outcome import Advice, ChangePlan, DesiredChange, Edited, Unchanged
from analyzer.gitops.land.proposal import proposals
from analyzer.gitops.render.program import Tools
from analyzer.quantity import Memory, Resources
from analyzer.recommend.recommendation import Companion
from analyzer.workload import ContainerRef
from tests.gitops.conftest import Plant

WEB = ContainerRef("c", "shop", "Deployment", "web", "app")
KUSTOMIZATION = "resources: [web.yaml]\n"
GO = '- {name: GOMEMLIMIT, value: "900MiB"}  # nine tenths\n'
NOW = Memory.parse("1Gi")


def manifest(env: str = "", args: str = "") -> str:
    """A Deployment with these variables and arguments."""
    told = f"          env:\n            {env}" if env else ""
    told += f"          args: {args}\n" if args else ""
    return f"""
apiVersion: apps/v1
kind: Deployment
metadata: {{name: web, namespace: shop}}
spec:
  selector: {{matchLabels: {{app: web}}}}
  template:
    metadata: {{labels: {{app: web}}}}
    spec:
      containers:
        - name: app
          image: web
{told}          resources:
            limits: {{memory: 1Gi}}
            requests: {{memory: 1Gi}}
"""


def repository(text: str, more: str = "") -> dict[str, str]:
    """A folder that a kustomization applies."""
    return {"app/kustomization.yaml": KUSTOMIZATION + more, "app/web.yaml": text}


def asked(
    root: Path, name: str, before: str, after: str, tools: Tools | None = None, limit: str = "512Mi"
) -> ChangePlan:
    """The plan for a lower limit, with the setting to go along."""
    companion = Companion("setting", name, "memory", before, after, "why", None, (str(WEB),))
    change = DesiredChange(
        WEB,
        Resources(memory_request=NOW, memory_limit=NOW),
        Resources(memory_request=Memory.parse(limit), memory_limit=Memory.parse(limit)),
        companions=(companion,),
    )
    return plan_changes(root, [change], tools=tools)


STYLES: Sequence[tuple[str, str, str, str, str, str]] = [
    ("GOMEMLIMIT", "900MiB", "400MiB", GO, "", GO.replace("900", "400")),
    (
        "GOMEMLIMIT",
        "1GiB",
        "400MiB",
        "- name: GOMEMLIMIT\n              value: 1GiB\n",
        "",
        "value: 400MiB\n",
    ),
    (
        "-Xmx",
        "768m",
        "400m",
        "- {name: JAVA_TOOL_OPTIONS, value: '-Xmx768m -XX:+UseG1GC'}\n",
        "",
        "'-Xmx400m -XX:+UseG1GC'",
    ),
    ("-Xmx", "1G", "400M", "", '[java, -Xmx1G, -jar, "app.jar"]', "[java, -Xmx400M, -jar,"),
    ("-Xmx", "768m", "400m", "- {name: _JAVA_OPTIONS, value: -Xmx768m}\n", "", "value: -Xmx400m}"),
    (
        "--max-old-space-size",
        "768",
        "400",
        '- {name: NODE_OPTIONS, value: "--max-old-space-size=768"}\n',
        "",
        '"--max-old-space-size=400"',
    ),
    (
        "--max-old-space-size",
        "768",
        "400",
        "",
        "[node, --max_old_space_size=768, main.js]",
        "[node, --max_old_space_size=400, main.js]",
    ),
]


@pytest.mark.parametrize("style", STYLES, ids=lambda style: f"{style[0]} {style[3][:30]}{style[4]}")
def test_setting_and_limit_change_in_one_edit(
    plant: Plant, kubectl: Path, style: tuple[str, str, str, str, str, str]
) -> None:
    """The number changes where it stands, and of every other byte only the limit's does."""
    name, before, after, env, args, written = style
    root = plant(repository(manifest(env, args)))
    plan = asked(root, name, before, after, Tools(kubectl, None))
    (outcome,) = plan.outcomes
    assert isinstance(outcome, Edited), outcome.reason if isinstance(outcome, Advice) else outcome
    assert outcome.proof.rendering.startswith("rendered with kubectl")
    text, edited = plan.edits["app/web.yaml"]
    assert written in edited
    assert edited.count(after) == 1
    assert edited.replace(after, before).replace("memory: 512Mi", "memory: 1Gi") == text
    (proposal,) = proposals(plan)
    assert "In the same commit" in proposal.body


def test_both_in_place_is_nothing_to_do(plant: Plant) -> None:
    """A change that has been merged is not proposed again, and no byte of it is rewritten."""
    text = manifest(GO.replace("900", "400")).replace("memory: 1Gi", "memory: 512Mi")
    plan = asked(plant(repository(text)), "GOMEMLIMIT", "900MiB", "400MiB")
    assert isinstance(plan.outcomes[0], Unchanged)
    assert plan.edits == {}


PATCH = """patches:
  - patch: |
      apiVersion: apps/v1
      kind: Deployment
      metadata: {name: web, namespace: shop}
      spec:
        template: {spec: {containers: [{name: app, env: [{name: GOMEMLIMIT, value: 900MiB}]}]}}
"""
JSON_PATCH = """patches:
  - target: {kind: Deployment}
    patch: |
      - {op: add, path: /spec/template/spec/containers/0/env/-, value: {name: A, value: b}}
"""
REFUSED: Mapping[str, tuple[Mapping[str, str], str]] = {
    "changed since": (repository(manifest(GO.replace("900", "800"))), "states 800MiB"),
    "set already": (repository(manifest(GO.replace("900", "400"))), "as proposed already"),
    "stated twice": (
        repository(manifest(GO, "[env, GOMEMLIMIT=900MiB, app]")),
        "it stands 2 times",
    ),
    "a variable": (repository(manifest(GO.replace("900MiB", "${LIMIT}"))), "not found"),
    "in a ConfigMap": (
        repository(
            manifest("- {name: A, value: b}\n          envFrom: [{configMapRef: {name: c}}]\n")
        ),
        "not found",
    ),
    "an anchor": (
        repository(
            manifest(
                '- {name: GOMEMLIMIT, value: &a "900MiB"}\n            - {name: B, value: *a}\n'
            )
        ),
        "anchor",
    ),
    "patched on its way": (repository(manifest(GO), PATCH), "the patch in"),
    "patched by operations": (repository(manifest(GO), JSON_PATCH), "the patch in"),
    "generated": (repository("# Code generated. DO NOT EDIT.\n" + manifest(GO)), "generated"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_neither_changes_where_one_cannot(plant: Plant, name: str) -> None:
    """What stands in the way of the setting stands in the way of the limit, with its reason."""
    files, reason = REFUSED[name]
    plan = asked(plant(files), "GOMEMLIMIT", "900MiB", "400MiB")
    (outcome,) = plan.outcomes
    assert isinstance(outcome, Advice), outcome
    assert reason in outcome.reason
    assert plan.edits == {}


def test_what_cannot_be_edited_is_known_beforehand(plant: Plant) -> None:
    """The decision learns why a setting stays, so that nothing is proposed which cannot land."""
    quoted = '["sh", "-c", "exec java -Xmx768m -jar \\"$APP\\""]'
    index = index_repository(plant(repository(manifest(args=quoted))))
    (expectation,) = index.expectations
    (setting,) = expectation.settings
    assert (setting.name, setting.amount, setting.size) == ("-Xmx", "768m", Memory.parse("768Mi"))
    assert "no plain text" in why_kept(setting, expectation, index)


def test_a_heap_that_begins_larger_is_left(plant: Plant) -> None:
    """A JVM does not start with an -Xms above its -Xmx."""
    env = "- {name: JAVA_OPTS, value: -Xms512m -Xmx768m}\n"
    index = index_repository(plant(repository(manifest(env))))
    (expectation,) = index.expectations
    assert "-Xms" in why_kept(expectation.settings[0], expectation, index)


def test_a_base_of_two_clusters_is_left(plant: Plant) -> None:
    """A setting that decides for another cluster as well is not lowered for one."""
    files = {
        "base/kustomization.yaml": KUSTOMIZATION,
        "base/web.yaml": manifest(GO),
        "one/kustomization.yaml": "resources: [../base]\n",
        "two/kustomization.yaml": "resources: [../base]\n",
    }
    index = index_repository(plant(files))
    mine = index.expectations[0]
    assert "also decides for" in why_kept(mine.settings[0], mine, index)
