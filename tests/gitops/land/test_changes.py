"""The whole line: what is edited, what becomes advice, and that no harm is done on the way."""

from __future__ import annotations

import cProfile

import pytest

from analyzer.gitops.land.changes import plan_changes
from analyzer.gitops.land.outcome import Advice, ChangePlan, DesiredChange, Edited, Unchanged
from analyzer.quantity import Cpu, Memory, Resources
from analyzer.workload import ContainerRef
from tests.gitops.conftest import Git, Plant

FILE = "kubernetes/apps/media/sonarr/app/helmrelease.yaml"


def memory(text: str) -> Memory:
    return Memory.parse(text)


def change(
    container: str = "app",
    workload: str = "sonarr",
    current: Resources | None = None,
    **new: object,
) -> DesiredChange:
    ref = ContainerRef("home", "media", "Deployment", workload, container)
    two = memory("2Gi")
    now = current or Resources(Cpu(250), None, two, two)
    # Keywords of several types.
    return DesiredChange(ref, now, Resources(**new))  # type: ignore[arg-type]


def test_every_change_has_one_outcome_in_order(plant: Plant, flux: dict[str, str]) -> None:
    """Edited, unchanged, dead and unknown come back in the order they went in."""
    plan = plan_changes(
        plant(flux),
        [
            change(memory_limit=memory("900Mi")),
            change("exporter", cpu_request=Cpu(10)),
            change(workload="radarr", memory_limit=memory("1Gi")),
            change(workload="stray", memory_limit=memory("1Gi")),
        ],
    )
    assert [type(outcome) for outcome in plan.outcomes] == [Edited, Edited, Advice, Advice]
    assert list(plan.edits) == [FILE]
    assert len(plan.edited) + len(plan.advice) == 4


def test_a_lower_limit_never_lowers_a_defaulted_request(plant: Plant, flux: dict[str, str]) -> None:
    """Beside a limit that stood alone, the request is written out, with what is in force."""
    plan = plan_changes(plant(flux), [change(memory_limit=memory("3Gi"))])
    assert "memory: 2Gi\n" in plan.edits[FILE][1]
    assert plan.edited[0].after.memory_request == memory("2Gi")
    lower = plan_changes(
        plant(flux), [change(memory_limit=memory("900Mi"), memory_request=memory("700Mi"))]
    )
    assert lower.edited[0].after == Resources(Cpu(250), None, memory("700Mi"), memory("900Mi"))


def test_what_is_stated_already_is_unchanged(plant: Plant, flux: dict[str, str]) -> None:
    """No difference, no edit: not even a respelling."""
    plan = plan_changes(plant(flux), [change(cpu_request=Cpu(250))])
    assert isinstance(plan.outcomes[0], Unchanged)
    assert plan.edits == {}
    assert plan.diff() == ""


def test_planning_writes_nothing(committed: Plant, git: Git, flux: dict[str, str]) -> None:
    """The repository is byte for byte what it was."""
    root = committed(flux)
    plan_changes(root, [change(memory_limit=memory("900Mi"))])
    assert git(root, "status", "--porcelain", "--ignored").stdout == b""


def test_the_diff_applies(committed: Plant, git: Git, flux: dict[str, str]) -> None:
    """`git apply` takes the plan's diff and arrives at the plan's text."""
    root = committed(flux)
    plan = plan_changes(
        root, [change(memory_limit=memory("900Mi")), change("exporter", cpu_request=Cpu(10))]
    )
    done = git(root, "apply", "-", given=plan.diff().encode())
    assert done.returncode == 0, done.stderr
    assert (root / FILE).read_text() == plan.edits[FILE][1]


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("memory: 2Gi", "memory: ${MEMORY}", "filled in elsewhere"),
        ("memory: 2Gi", "memory: null", "null"),
        (
            "    memory: 2Gi",
            "    memory: 2Gi\n                        memory: 3Gi",
            "written 2 times",
        ),
    ],
)
def test_refusals_become_advice_with_the_place(
    plant: Plant, flux: dict[str, str], old: str, new: str, reason: str
) -> None:
    """A person gets the place and the reason; the file is not touched."""
    flux[FILE] = flux[FILE].replace(old, new, 1)
    plan = plan_changes(plant(flux), [change(memory_limit=memory("900Mi"))])
    (outcome,) = plan.outcomes
    assert isinstance(outcome, Advice)
    assert reason in outcome.reason
    assert outcome.place is not None and outcome.place.file == FILE
    assert plan.edits == {}


def _twice(flux: dict[str, str]) -> dict[str, str]:
    """The same application, applied to a second namespace by another Kustomization."""
    again = flux["kubernetes/apps/media/sonarr/ks.yaml"].replace(
        "targetNamespace: media", "targetNamespace: more"
    )
    flux["kubernetes/apps/more/ks.yaml"] = again.replace(
        "name: &app sonarr", "name: &app sonarr-more"
    )
    return flux


def test_one_place_for_two_namespaces_needs_both(plant: Plant, flux: dict[str, str]) -> None:
    """A base that feeds two workloads is edited only when both want the same."""
    root = plant(_twice(flux))
    here = change(memory_limit=memory("900Mi"), memory_request=memory("700Mi"))
    there = DesiredChange(
        ContainerRef("home", "more", "Deployment", "sonarr", "app"), here.current, here.proposed
    )
    assert isinstance(plan_changes(root, [here]).outcomes[0], Advice)
    assert isinstance(plan_changes(root, [here], live=[here.ref]).outcomes[0], Edited)
    both: ChangePlan = plan_changes(root, [here, there])
    assert [type(outcome) for outcome in both.outcomes] == [Edited, Edited]


def test_a_removal_is_only_made_on_demand(plant: Plant, flux: dict[str, str]) -> None:
    """None in a proposal leaves the field; `remove` takes it out."""
    kept = plan_changes(plant(flux), [change(cpu_request=Cpu(10))])
    assert "memory: 2Gi" in kept.edits[FILE][1]
    ref, now = change().ref, change().current
    asked = DesiredChange(ref, now, Resources(), remove=frozenset({"limits.memory"}))
    gone = plan_changes(plant(flux), [asked])
    assert "memory: 2Gi" not in gone.edits[FILE][1]
    assert gone.edited[0].after.memory_limit is None


def test_a_file_of_many_documents_costs_what_each_of_them_does(plant: Plant) -> None:
    """Twice the documents are about twice the calls: no edit and no proof reads all the others."""
    calls = []
    for count in (10, 20):
        manifest = "---\n".join(_DEPLOYMENT.format(name=f"app-{n:02d}") for n in range(count))
        root = plant({"all.yaml": manifest, "kustomization.yaml": "resources: [all.yaml]\n"})
        changes = [
            change(workload=f"app-{n:02d}", current=Resources(), cpu_request=Cpu(10))
            for n in range(count)
        ]
        profile = cProfile.Profile()
        plan = profile.runcall(plan_changes, root, changes)
        assert len(plan.edited) == count
        calls.append(sum(entry.callcount for entry in profile.getstats()))
    assert calls[1] < 2.2 * calls[0]


_DEPLOYMENT = """apiVersion: apps/v1
kind: Deployment
metadata: {{name: {name}, namespace: media}}
spec:
  template:
    spec:
      containers:
        - name: app
          image: x
          resources:
            requests: {{cpu: 250m}}
"""
