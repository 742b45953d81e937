"""Proposals as people review them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from analyzer.gitops.land.changes import plan_changes
from analyzer.gitops.land.outcome import ChangePlan, DesiredChange
from analyzer.gitops.land.proposal import (
    Evidence,
    Review,
    branch_name,
    commit_body,
    mails,
    proposals,
)
from analyzer.gitops.land.worktree import digest_of
from analyzer.quantity import Cpu, Memory, Resources
from analyzer.workload import ContainerRef
from tests.gitops.conftest import Git, Plant


def plan(root: Path, *changes: DesiredChange) -> ChangePlan:
    return plan_changes(root, list(changes))


def ref(container: str) -> ContainerRef:
    return ContainerRef("home", "media", "Deployment", "sonarr", container)


TWO = Memory.parse("2Gi")
DOWN = DesiredChange(
    ref("app"),
    Resources(Cpu(250), None, TWO, TWO),
    Resources(memory_request=Memory.parse("900Mi")),
)
UP = DesiredChange(
    ref("exporter"),
    Resources(),
    Resources(cpu_request=Cpu(10), memory_request=Memory.parse("64Mi")),
)


def test_one_proposal_for_one_application(plant: Plant, flux: dict[str, str]) -> None:
    """Both containers of a release share a proposal, named after it."""
    (found,) = proposals(plan(plant(flux), DOWN, UP))
    assert found.branch == "rightsize/home/media--sonarr"
    assert found.title == "fix(resources): media/sonarr, 2 containers up and down"
    assert len(found.edits) == 1


def test_a_team_gets_one_proposal_by_label_or_file(plant: Plant, flux: dict[str, str]) -> None:
    """Grouped by team: who is named shares one, what is nobody's goes by its namespace."""
    found = proposals(plan(plant(flux), DOWN, UP), grouping="team", team=lambda _one: "org/tv")
    (one,) = found
    assert one.branch.startswith("rightsize/home/team--org-tv-")
    assert one.title == "fix(resources): media/sonarr, 2 containers up and down"
    assert proposals(plan(plant(flux), DOWN), grouping="team")[0].branch == "rightsize/home/media"
    (alone,) = proposals(plan(plant(flux), DOWN, UP), grouping="workload")
    assert alone.branch == "rightsize/home/media--deployment--sonarr"


def test_a_title_without_amounts_says_up_or_down(plant: Plant, flux: dict[str, str]) -> None:
    """A reviewer tells from a list what cannot wait."""
    lower = replace(DOWN, proposed=Resources(Cpu(100), None, Memory.parse("900Mi")))
    (found,) = proposals(plan(plant(flux), lower))
    assert found.title == "fix(resources): media/sonarr cpu 250m -> 100m, memory 2Gi -> 900Mi"
    limit = replace(lower, proposed=replace(lower.proposed, memory_limit=Memory.parse("1Gi")))
    (found,) = proposals(plan(plant(flux), limit))
    assert found.title == "fix(resources): media/sonarr cpu and memory down"


def test_a_title_of_both_ways_says_which_goes_where(plant: Plant, flux: dict[str, str]) -> None:
    """Each resource has its own; one whose request and limit part goes up and down."""
    root, gib = plant(flux), Memory.parse("1Gi")
    for proposed, title in (
        (Resources(Cpu(500), None, gib, gib), "cpu up, memory down"),
        (Resources(Cpu(500), Cpu(2000), gib, TWO), "cpu up and down, memory down"),
    ):
        (found,) = proposals(plan(root, replace(DOWN, proposed=proposed)))
        assert found.title == f"fix(resources): media/sonarr {title}"


JOB = """
    apiVersion: batch/v1
    kind: CronJob
    metadata: {name: backup, namespace: media}
    spec:
      jobTemplate:
        spec:
          template:
            spec:
              containers:
                - name: backup
                  resources:
                    requests: {memory: 1Gi}
"""


def test_what_merging_does_is_told_by_kind(plant: Plant, flux: dict[str, str]) -> None:
    """A job restarts nothing: its next run takes the amounts. Of both, each is told."""
    job = DesiredChange(
        ContainerRef("home", "media", "CronJob", "backup", "backup"),
        Resources(memory_request=Memory.parse("1Gi")),
        Resources(memory_request=Memory.parse("900Mi")),
    )
    made = plan(plant({**flux, "jobs/backup.yaml": JOB}), DOWN, job)
    both, *_ = proposals(made, grouping="namespace")
    assert "- media/CronJob/backup: its next run takes it" in both.body
    assert "- media/Deployment/sonarr: its pods are replaced one by one" in both.body
    alone = next(one for one in proposals(made) if "backup" in one.title)
    assert "**Once it is merged, its next run takes it.**" in alone.body
    assert "Once merged, its next run takes it." in commit_body(alone)


def test_what_answers_harm_says_so_first(plant: Plant, flux: dict[str, str]) -> None:
    """Why it comes before all else, and that there is another way."""
    one = Evidence(harm="was OOM-killed *twice* since its change of 3 Nov", reasons=("why",))
    (found,) = proposals(plan(plant(flux), DOWN), review=Review({ref("app"): one}))
    first, _, rest = found.body.partition("\n\n")
    assert first.startswith("**media/Deployment/sonarr/app was OOM-killed \\*twice\\* since")
    assert "reverting that change would too" in first and rest.startswith("- why")


def test_the_title_of_a_single_change_says_it_all(plant: Plant, flux: dict[str, str]) -> None:
    """What is in force counts as the old amount, defaulted requests included."""
    (found,) = proposals(plan(plant(flux), DOWN))
    assert found.title == "fix(resources): media/sonarr memory 2Gi -> 900Mi"
    assert found.direction == "decrease"


def test_raises_and_reductions_part_on_demand(plant: Plant, flux: dict[str, str]) -> None:
    """Split proposals each hold one direction, and each one's diff is its own."""
    higher = replace(DOWN, proposed=Resources(cpu_request=Cpu(500)))
    lower = replace(DOWN, ref=ref("app"), proposed=Resources(memory_request=Memory.parse("900Mi")))
    (up,) = proposals(plan(plant(flux), higher), split_directions=True)
    (down,) = proposals(plan(plant(flux), lower), split_directions=True)
    assert (up.direction, down.direction) == ("increase", "decrease")
    assert up.branch.endswith("-increase") and down.branch.endswith("-decrease")


def test_the_body_holds_what_a_reviewer_needs(plant: Plant, flux: dict[str, str]) -> None:
    """Amounts now and then, the defaulted request named as such, evidence, proof, consequences."""
    queries = ('max(usage{pod=~"sonarr-x"})', "```\n# out of the block")
    why = ("memory 2Gi → 900Mi: it <b>used</b> 700Mi at most",)
    one = Evidence({"p95": "700Mi"}, "1 % of weeks above", ("28 days",), queries, why)
    made = plan(plant(flux), DOWN)
    (found,) = proposals(made, review=Review({ref("app"): one}, "0 of 72 killed"))
    block = found.body.partition("```promql\n")[2].partition("```")[0]
    assert block == "max(usage{pod=~\"sonarr-x\"})\n''' # out of the block\n"
    assert "0 of 72 killed" in found.body
    assert "2Gi (from the limit) → **900Mi**" in found.body
    assert "700Mi" in found.body and "1 % of weeks above" in found.body
    assert found.body.startswith("- memory 2Gi → 900Mi: it")
    assert "<b>" not in found.body and found.body.index("used") < found.body.index("| Container")
    rests = found.body.partition("What it rests on</summary>")[2].strip("\n")
    table, _, notes = rests.partition("\n\n")
    assert [line[0] for line in table.splitlines()] == ["|", "|", "|"]
    assert notes.startswith("- media/Deployment/sonarr/app: ")
    assert "**Once it is merged, its pods are replaced one by one.** To roll back" in found.body
    assert "roll back" in found.body
    assert digest_of(found.body) == found.digest


def test_the_digest_follows_the_decision_alone(plant: Plant, flux: dict[str, str]) -> None:
    """Same decision, same digest, whatever the evidence; another amount, another digest."""
    root = plant(flux)
    (one,) = proposals(plan(root, DOWN))
    (same,) = proposals(plan(root, DOWN), review=Review({ref("app"): Evidence(risk="other words")}))
    moved = replace(DOWN, proposed=Resources(memory_request=Memory.parse("901Mi")))
    (other,) = proposals(plan(root, moved))
    assert one.digest == same.digest != other.digest


def test_the_mails_end_in_the_plans_texts(committed: Plant, git: Git, flux: dict[str, str]) -> None:
    """`git am` over the series gives, byte for byte, what the plan holds."""
    root = committed(flux)
    made = plan(root, DOWN, UP)
    series = mails(proposals(made, split_directions=True), made)
    assert len(series) == 2
    for name in sorted(series):
        assert git(root, "am", "-q", given=series[name].encode()).returncode == 0
    for file, (_, after) in made.edits.items():
        assert (root / file).read_text() == after


def test_names_from_strangers_are_made_inert() -> None:
    """Nothing from a label makes a path."""
    branch = branch_name("c/../x", ["..", "a b:~^?*[.lock"])
    assert ".." not in branch and not set(branch) & set(" ~^:?*[\\")


def test_two_applications_never_share_a_branch() -> None:
    """Nor do two clusters: each run closes what its own branches propose no more."""
    names = [
        branch_name(cluster, parts)
        for cluster in ("a.b", "a..b", "a", "a.lock", "a-lock", "A")
        for parts in (["team", "a-api"], ["team-a", "api"], ["x.lock", "y"], ["x", "y.lock"])
    ]
    assert len(set(names)) == len(names)


def test_branches_are_names_git_takes(committed: Plant, git: Git) -> None:
    """Whatever the names, `git check-ref-format` agrees."""
    root = committed({"a.yaml": "a: 1\n"})
    for name in ("x", "..", "a.lock", "-x", "é", "a b", "@{", "/", ""):
        branch = branch_name(name, [name, "app"])
        assert git(root, "check-ref-format", "--branch", branch).returncode == 0, branch
