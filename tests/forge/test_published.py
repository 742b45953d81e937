"""Results of runs kept in the repository, and what another run or a check makes of them."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result

from analyzer.cli import main
from analyzer.config import Config
from analyzer.errors import OutputError
from analyzer.forge.protocol import ForgeError
from analyzer.forge.remote import Remote
from analyzer.forge.settings import Stage
from analyzer.published import publish, read_published, remote_of
from analyzer.report import Report, load_report
from analyzer.rollout import held_back, know
from tests.forge.conftest import Git, clone
from tests.forge.standin import Standin, serve
from tests.forge.test_run import pr, settings

BRANCH = "rightsize-runs/home"


@pytest.fixture
def report(run_json: Path) -> Report:
    """The results of a run over one namespace."""
    return load_report(run_json)


def remote(checkout: Path, forge: Standin) -> Remote:
    """The remote of a checkout, as a run with settings for it sees it."""
    config = Config()
    chosen = {"kind": "github", "url": forge.api("github")}
    config = msgspec.structs.replace(config, forge=msgspec.convert(chosen, type(config.forge)))
    return remote_of(checkout, config, dict(os.environ))


def of(report: Report, cluster: str, age: timedelta = timedelta(0)) -> Report:
    """The same results, of another cluster or of another day."""
    start, end = report.meta.start - age, report.meta.end - age
    return replace(report, meta=replace(report.meta, cluster=cluster, start=start, end=end))


def test_the_last_results_are_all_that_a_branch_holds(
    forge: Standin, checkout: Path, git: Git, report: Report
) -> None:
    """One commit, whatever was published before; the same results again push nothing."""
    there = remote(checkout, forge)
    publish(of(report, "home", timedelta(days=7)), there)
    publish(of(report, "home"), there)
    first = forge.heads()[BRANCH]
    publish(of(report, "home"), there)
    assert forge.heads()[BRANCH] == first
    assert git(forge.bare, "rev-list", "--count", BRANCH) == "1"
    assert git(forge.bare, "ls-tree", "--name-only", BRANCH) == "run.json"
    assert read_published(there) == of(report, "home")
    assert git(checkout, "status", "--porcelain") == ""


def test_whose_results_are_meant_is_asked_where_there_are_several(
    forge: Standin, checkout: Path, report: Report
) -> None:
    """None, several, another name: each is one sentence that says what to do."""
    there = remote(checkout, forge)
    with pytest.raises(OutputError, match=r"set forge\.publish to true"):
        read_published(there)
    publish(of(report, "home"), there)
    publish(of(report, "Büro 2"), there)
    assert read_published(there, "Büro 2").meta.cluster == "Büro 2"
    with pytest.raises(OutputError, match=r"say which: published:b"):
        read_published(there)
    with pytest.raises(OutputError, match=r"known are published:.*published:home"):
        read_published(there, "hoome")


def test_a_persons_branch_of_that_name_stays(
    forge: Standin, checkout: Path, git: Git, report: Report
) -> None:
    """It is named, and nothing is put there."""
    git(checkout, "push", "-q", str(forge.bare), f"main:{BRANCH}")
    with pytest.raises(ForgeError, match="is a person's"):
        publish(of(report, "home"), remote(checkout, forge))
    assert forge.heads()[BRANCH] == forge.heads()["main"]


def check(*arguments: object) -> Result:
    """`rightsize check` in this process."""
    return CliRunner().invoke(main, ["check", "-q", *map(str, arguments)])


def test_a_check_reads_what_a_run_has_published(
    served: Standin, run_json: Path, tmp_path: Path, git: Git
) -> None:
    """From opening pull requests to the check of a change, with nothing but the repository.

    A shallow checkout will do, as a job of a forge has it, and it keeps no trace.
    """
    with serve(served) as forge:
        file = settings(tmp_path, forge, dashboard=False, publish=True)
        given = ["--repo", forge.git_url, "--config", file]
        whole = clone(tmp_path / "whole", forge, git)
        asked = ["--from", "published:", "--repo", whole, "--config", file, "--base", "HEAD"]
        nothing = check(*asked)
        assert nothing.exit_code == 1 and "set forge.publish" in nothing.output
        dry = pr("--from", run_json, *given, "--open", "--dry-run")
        assert dry.exit_code == 0 and list(forge.heads()) == ["main"], dry.output
        done = pr("--from", run_json, *given, "--open")
        assert done.exit_code == 0, done.output
        assert any(head.startswith("rightsize-runs/") for head in forge.heads())
        shallow = tmp_path / "shallow"
        git(tmp_path, "clone", "-q", "--depth=1", f"file://{forge.bare}", "shallow")
        git(shallow, "remote", "set-url", "origin", forge.git_url)
        refs = git(shallow, "for-each-ref")
        asked = ["--from", "published:", "--repo", shallow, "--config", file, "--base", "HEAD"]
        found = check(*asked, "-o", "json")
        assert found.exit_code == 0 and '"changed": []' in found.output, found.output
        assert git(shallow, "for-each-ref") == refs


def test_a_run_that_cannot_publish_is_partial(
    served: Standin, run_json: Path, tmp_path: Path, git: Git
) -> None:
    """The pull requests are made, and the reason is named."""
    with serve(served) as forge:
        name = f"rightsize-runs/{load_report(run_json).meta.cluster}"
        git(forge.bare, "update-ref", f"refs/heads/{name}", "main")
        file = settings(tmp_path, forge, dashboard=False, publish=True)
        done = pr("--from", run_json, "--repo", forge.git_url, "--config", file, "--open")
        assert done.exit_code == 3 and "the results are not published" in done.output
        assert len(forge.pulls) == 2


def test_a_cluster_waits_for_what_another_one_has_published(
    forge: Standin, checkout: Path, report: Report
) -> None:
    """Nothing published, something due there, old results: each holds a change back and says so.

    What wants no change there, or has no counterpart, is free to go.
    """
    there = remote(checkout, forge)
    stages = (Stage(name="first", clusters=("canary*",)), Stage(name="rest"))
    mine, (due, *_) = of(report, "home"), report.changed
    place = [(replace(due.ref, cluster="home"), "a.yaml")]

    def reason() -> str | None:
        return held_back(place, know(mine, {}, stages, there))

    assert reason() == (
        "first comes first, and nothing is known of it: no run of canary* has published its results"
    )
    old = of(report, "canary-1", timedelta(days=30))
    publish(old, there)
    assert "the last results of canary-1 are of" in str(reason())
    there = remote(checkout, forge)
    publish(of(report, "canary-1"), there)
    # Its containers carry the cluster's name with them.
    moved = tuple(
        replace(r, ref=replace(r.ref, cluster="canary-1")) for r in report.recommendations
    )
    publish(replace(of(report, "canary-1"), recommendations=moved), there)
    assert str(reason()).endswith("is to change itself")
    content = tuple(replace(r, proposed=r.current) for r in moved)
    publish(replace(of(report, "canary-1"), recommendations=content), there)
    assert reason() is None


def test_every_command_reads_what_was_published(
    served: Standin, run_json: Path, tmp_path: Path, git: Git
) -> None:
    """Also from a remote that is named by a path from the checkout; without one it says so."""
    whole = tmp_path / "whole"
    git(tmp_path, "clone", "-q", str(served.bare), "whole")
    git(whole, "remote", "set-url", "origin", "../served/team/cluster.git")
    file = tmp_path / "rightsize.yaml"
    file.write_text("forge: {kind: none, publish: true, most_open: 1}\n")
    given = ["-q", "--repo", str(whole), "--config", str(file)]
    done = pr("--from", run_json, *given[1:], "--open")
    assert done.exit_code == 0, done.output
    refs = git(whole, "for-each-ref")
    told = ["--from", "published:", *given]
    ref = str(load_report(run_json).changed[0].ref)
    for command in (["explain", ref], ["recommend", ref], ["pr", "--open", "--dry-run"]):
        found = CliRunner().invoke(main, [*command, *told])
        assert found.exit_code in (0, 3) and found.output, found.output
    assert "keep" in found.output
    assert git(whole, "for-each-ref") == refs
    lost = CliRunner().invoke(main, ["explain", ref, "--from", "published:"])
    assert lost.exit_code == 2 and "no repository is given" in lost.output
