"""How a changed amount fits what was measured."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from analyzer.fitness import Judgement, comment, judge
from analyzer.gitops.index.repository_index import index_repository
from analyzer.landing import live_of
from analyzer.quantity import Memory
from analyzer.recommend import Recommendation
from tests.samples import MIB, recommendation, ref, report, resources

MANIFEST = """\
apiVersion: apps/v1
kind: Deployment
metadata: {{name: {name}, namespace: {namespace}}}
spec:
  template:
    spec:
      containers:
        - name: {container}
          resources: {resources}
"""
REF = ref()
# It used 50m, 100m, 300m of CPU and 90, 95, 100 MiB of memory: half the time, 95 % of it, at most.
KNOWN = recommendation(
    resources("200m", "200Mi", None, "400Mi"), resources("120m", "104Mi", None, "160Mi")
)


def judged(folder: Path, before: str, after: str, known: Recommendation = KNOWN) -> list[Judgement]:
    """The judgements of a change of one Deployment's resources, in YAML's short form."""
    indexes = []
    for name, text in (("before", before), ("after", after)):
        (folder / name).mkdir(exist_ok=True)
        names = {"name": REF.workload, "namespace": REF.namespace, "container": REF.container}
        (folder / name / "app.yaml").write_text(MANIFEST.format(**names, resources=text))
        indexes.append(index_repository(folder / name))
    found = report(known)
    return judge(found, live_of(found), indexes[0], indexes[1])


@pytest.mark.parametrize(
    ("where", "name", "amount", "fit"),
    [
        # A limit: the peak of 100 MiB kills, 160 Mi is what a review would ask for.
        ("limits", "memory", "100Mi", "low"),
        ("limits", "memory", "101Mi", "tight"),
        ("limits", "memory", "160Mi", "fits"),
        ("limits", "memory", "8Gi", "fits"),
        # A request: 90 MiB are used half of the time, 104 Mi would do, half as much again is spare.
        ("requests", "memory", "89Mi", "low"),
        ("requests", "memory", "96Mi", "tight"),
        ("requests", "memory", "100Mi", "fits"),
        ("requests", "memory", "156Mi", "fits"),
        ("requests", "memory", "157Mi", "spare"),
        ("requests", "cpu", "49m", "low"),
        ("requests", "cpu", "99m", "tight"),
        ("requests", "cpu", "100m", "fits"),
        ("requests", "cpu", "0.181", "spare"),
        # A limit on CPU throttles what is above it.
        ("limits", "cpu", "99m", "low"),
        ("limits", "cpu", "299m", "tight"),
        ("limits", "cpu", "300m", "fits"),
        ("requests", "memory", "${MEMORY}", "unknown"),
    ],
)
def test_an_amount_is_held_against_what_was_seen(
    tmp_path: Path, where: str, name: str, amount: str, fit: str
) -> None:
    """At and around every edge; what a template leaves open is not guessed."""
    (found,) = judged(tmp_path, "{}", f'{{{where}: {{{name}: "{amount}"}}}}')
    assert (found.fit, found.before, found.after) == (fit, "none", amount)


def test_what_goes_is_judged_by_what_then_holds(tmp_path: Path) -> None:
    """Without a limit the node is the end; a request that goes is that of its limit, or none."""
    both = "{requests: {memory: 104Mi}, limits: {memory: 160Mi}}"
    (limit,) = judged(tmp_path, both, "{requests: {memory: 104Mi}}")
    assert (limit.target, limit.fit, limit.after) == ("memory limit", "fits", "none")
    (request,) = judged(tmp_path, both, "{limits: {memory: 160Mi}}")
    assert (request.target, request.fit) == ("memory request", "spare")
    gone = judged(tmp_path, "{requests: {memory: 104Mi}}", "{}")
    assert [j.fit for j in gone] == ["low"]


def test_a_kill_counts_more_than_what_was_seen(tmp_path: Path) -> None:
    """Usage that ends at a limit tells no need; a kill elsewhere is none of its limit."""
    seen = replace(KNOWN.evidence, oom_kills=2, oom_limit=Memory(200 * MIB))
    (found,) = judged(tmp_path, "{}", "{limits: {memory: 200Mi}}", replace(KNOWN, evidence=seen))
    assert found.fit == "low" and found.reason == "it was OOM-killed at a limit of 200Mi"
    elsewhere = replace(KNOWN, evidence=replace(seen, oom_elsewhere=2))
    (found,) = judged(tmp_path, "{}", "{limits: {memory: 200Mi}}", elsewhere)
    assert found.fit == "fits"


def test_page_cache_alone_kills_nobody(tmp_path: Path) -> None:
    """The kernel takes it back; below what is resident it cannot."""
    seen = replace(KNOWN, evidence=replace(KNOWN.evidence, resident_peak=60.0 * MIB))
    for amount, fit in (("60Mi", "low"), ("80Mi", "tight")):
        (found,) = judged(tmp_path, "{}", f"{{limits: {{memory: {amount}}}}}", seen)
        assert found.fit == fit


@pytest.mark.parametrize(
    ("cpu", "target", "needed"),
    [("120m", 60, "100 %"), ("120m", 100, None), ("200m", 90, None), ("400m", 60, "30 %")],
)
def test_a_target_that_does_not_follow_its_request_is_said(
    tmp_path: Path, cpu: str, target: int, needed: str | None
) -> None:
    """At 60 % of 200m a pod is added at 120m; who tunes the target alone means to."""
    scaler = """\
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {{name: web, namespace: {namespace}}}
spec:
  scaleTargetRef: {{kind: Deployment, name: {name}}}
  metrics:
    - type: Resource
      resource: {{name: cpu, target: {{averageUtilization: {target}}}}}
"""
    indexes = []
    for folder, amount, share in (("before", "200m", 60), ("after", cpu, target)):
        (tmp_path / folder).mkdir()
        names = {"name": REF.workload, "namespace": REF.namespace, "container": REF.container}
        text = MANIFEST.format(**names, resources=f"{{requests: {{cpu: {amount}}}}}")
        text += scaler.format(**names, target=share)
        (tmp_path / folder / "app.yaml").write_text(text)
        indexes.append(index_repository(tmp_path / folder))
    found = judge(report(KNOWN), live_of(report(KNOWN)), *indexes)
    told = [j for j in found if j.target == "HPA web, target of CPU"]
    assert [j.needed for j in told] == ([needed] if needed else [])


def test_the_comment_says_the_worst_first_and_nothing_of_a_strangers_markup(
    tmp_path: Path,
) -> None:
    """Another spelling is no change; what nobody measured is named; markup is inert."""
    (tmp_path / "after").mkdir()
    other = MANIFEST.format(
        name="other", namespace="x", container="app", resources='{limits: {memory: "1Gi"}}'
    )
    (tmp_path / "after" / "other.yaml").write_text(other.replace("other", '"<img>|@all"'))
    found = judged(
        tmp_path,
        "{requests: {cpu: 200m}}",
        "{requests: {cpu: '0.2', memory: 104Mi}, limits: {memory: 90Mi}}",
    )
    text = comment(report(KNOWN), found)
    assert text.startswith("**3 changed amounts: 1 too low for what was measured, ")
    assert text.index("memory limit") < text.index("not measured:") < text.index("memory request")
    assert "<img>" not in text and "@" not in text
    assert comment(report(KNOWN), []).startswith("**No request and no limit changes here.**")
