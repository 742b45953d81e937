"""`rightsize check` on a change of the sample repository, told on its pull request."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from click.testing import CliRunner, Result

from analyzer import __version__
from analyzer.cli import main
from tests.forge.conftest import Git
from tests.forge.standin import REPOSITORY, TOKEN, Pull, Standin, serve

ROOT = Path(__file__).parents[2]
BAZARR = "kubernetes/apps/media/bazarr/app/helmrelease.yaml"
NODE_RED = "kubernetes/apps/home-automation/node-red/app/helmrelease.yaml"


def check(*arguments: object) -> Result:
    """`rightsize check` in this process."""
    return CliRunner().invoke(main, ["check", "-q", *map(str, arguments)])


@pytest.fixture
def changed(served: Standin, tmp_path: Path, git: Git) -> Path:
    """A checkout of the sample repository with a branch `change`, while `main` went on."""
    checkout = tmp_path / "checkout"
    git(tmp_path, "clone", "-q", str(served.bare), "checkout")
    git(checkout, "checkout", "-q", "-b", "change")
    edit(checkout / BAZARR, "memory: 300Mi", "memory: 200Mi")
    edit(checkout / BAZARR, "cpu: 25m", "cpu: 0.025")
    edit(checkout / NODE_RED, "memory: '256Mi'", "memory: '128Mi'")
    git(checkout, "commit", "-qam", "less")
    git(checkout, "checkout", "-q", "main")
    edit(checkout / BAZARR, "memory: 128Mi", "memory: 160Mi")
    git(checkout, "commit", "-qam", "somebody else's")
    return checkout


def edit(file: Path, old: str, new: str) -> None:
    """Replace what stands there once."""
    text = file.read_text()
    assert text.count(old) == 1
    file.write_text(text.replace(old, new))


def test_each_changed_amount_is_held_against_what_was_measured(
    changed: Path, run_json: Path, git: Git
) -> None:
    """What killed it before is too low; another spelling and others' changes are no change.

    The checkout keeps its branch, its files and its objects.
    """
    before = git(changed, "count-objects", "-v"), git(changed, "status", "--branch", "--porcelain")
    given = ["--from", run_json, "--repo", changed, "--base", "main", "--head", "change"]
    done = check(*given, "-o", "json")
    assert done.exit_code == 4, done.output
    schema = json.loads((ROOT / "docs" / "schema" / "check.json").read_text("utf-8"))
    jsonschema.validate(json.loads(done.output), schema)
    found = [(j["container"], j["target"], j["fit"]) for j in json.loads(done.output)["changed"]]
    assert found == [
        ("media/Deployment/bazarr/app", "memory limit", "low"),
        ("home-automation/node-red/app", "memory request", "unknown"),
    ]
    told = check(*given, "-o", "markdown", "--fail-on", "never")
    assert told.exit_code == 0
    assert "**too low**: it was OOM-killed at a limit of 300Mi" in told.output
    assert before == (
        git(changed, "count-objects", "-v"),
        git(changed, "status", "--branch", "--porcelain"),
    )


def test_it_is_told_in_one_comment_that_follows_the_change(
    served: Standin, changed: Path, run_json: Path, tmp_path: Path, git: Git
) -> None:
    """Pushing again replaces the comment; a refusal is partial."""
    with serve(served) as forge:
        forge.pulls.append(Pull(7, "change", "main", "less", ""))
        git(changed, "remote", "set-url", "origin", forge.git_url)
        settings = tmp_path / "settings.yaml"
        settings.write_text(json.dumps({"forge": {"kind": "github", "url": forge.api("github")}}))
        given = ["--from", run_json, "--repo", changed, "--config", settings, "--comment", 7]
        given += ["--base", "main"]
        assert check(*given, "--head", "change").exit_code == 4
        (told,) = forge.pull(7).comments
        assert "1 too low for what was measured" in told
        git(changed, "checkout", "-q", "change")
        edit(changed / BAZARR, "memory: 200Mi", "memory: 512Mi")
        git(changed, "commit", "-qam", "more than before")
        assert check(*given).exit_code == 0
        (told,) = forge.pull(7).comments
        assert "1 as measured" in told and "too low" not in told
        forge.weather = lambda _method, _path: (403, {"message": "read-only token"}, {})
        refused = check(*given[:-2], "--base", "change~1", "-o", "table")
        assert refused.exit_code == 3, refused.output


def test_a_commit_that_is_not_there_is_one_sentence(changed: Path, run_json: Path) -> None:
    """A shallow checkout lacks the base: it says what to fetch. No revision is taken for a flag."""
    for base in ("nowhere", "--output=/tmp/x"):
        done = check("--from", run_json, "--repo", changed, f"--base={base}")
        assert done.exit_code == 1
        assert re.search(r"has no commit .*fetch it", done.output), done.output


def test_a_partial_clone_is_told_from_one_without_changes(
    changed: Path, run_json: Path, tmp_path: Path, git: Git
) -> None:
    """Files that are not at hand would look like a change of nothing."""
    git(changed, "config", "uploadpack.allowFilter", "true")
    partial = ["clone", "-q", "--no-checkout", "--filter=blob:none", f"file://{changed}", "partial"]
    git(tmp_path, *partial)
    given = ["--base", "origin/main", "--head", "origin/change"]
    done = check("--from", run_json, "--repo", tmp_path / "partial", *given)
    assert done.exit_code == 1 and "clone it without a filter" in done.output, done.output


def script(file: str, *path: str | int) -> Any:
    """A part of a YAML file of the project."""
    found = yaml.safe_load((ROOT / file).read_text("utf-8"))
    for step in path:
        found = found[step]
    assert isinstance(found, dict)
    return found


def test_the_github_action_runs_it_on_a_merge(
    served: Standin, changed: Path, run_json: Path, tmp_path: Path, git: Git
) -> None:
    """Its script, as written, on the merge that GitHub checks out: summary, comment, exit code.

    From a fork nothing is written on the pull request. No input is part of the script.
    """
    step = script("action.yml", "runs", "steps", 1)
    assert "${{" not in str(step["run"])
    git(changed, "merge", "-q", "-X", "ours", "-m", "merge", "change")
    environment = {
        **os.environ, "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
        "RUN": str(run_json), "SOURCE": "", "REPOSITORY": str(changed), "BASE": "HEAD^1",
        "FAIL_ON": "low", "COMMENT": "true", "NUMBER": "7", "GITHUB_TOKEN": TOKEN,
        "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md"),
        "RIGHTSIZE_FORGE__KIND": "github", "RIGHTSIZE_FORGE__REPOSITORY": REPOSITORY,
    }  # fmt: skip
    assert set(map(str, step["env"])) - environment.keys() == {"OWN", "RIGHTSIZE_FORGE__URL"}
    with serve(served) as forge:
        forge.pulls.append(Pull(7, "change", "main", "less", ""))
        git(changed, "remote", "set-url", "origin", forge.git_url)
        environment["RIGHTSIZE_FORGE__URL"] = forge.api("github")
        for own, comments in (("false", 0), ("true", 1)):
            done = subprocess.run(
                ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", str(step["run"])],
                env={**environment, "OWN": own}, cwd=tmp_path, check=False, capture_output=True,
            )  # fmt: skip
            assert done.returncode == 4, done.stderr
            assert len(forge.pull(7).comments) == comments
    assert (tmp_path / "summary.md").read_text().count("1 too low for what was measured") == 2


def test_the_gitlab_job_runs_it_on_a_merge_request(
    changed: Path, run_json: Path, tmp_path: Path, git: Git
) -> None:
    """Its script, as written, with the variables that GitLab sets; without a token no comment."""
    job = script("deploy/ci/gitlab.yml", "rightsize-check")
    assert job["image"]["name"] == f"rightsize:{__version__}"
    base, head = git(changed, "merge-base", "main", "change"), git(changed, "rev-parse", "change")
    if os.geteuid() == 0:  # as in a job, whose checkout belongs to the user of another container
        subprocess.run(["chown", "-R", "12345", str(changed)], check=True)
    done = subprocess.run(
        ["bash", "-e", "-c", "\n".join(job["script"])],
        env={
            "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "HOME": str(tmp_path),
            "MEASURED_RUN": str(run_json), "CHECK_FAILS_ON": "low",
            "CI_MERGE_REQUEST_DIFF_BASE_SHA": base, "CI_COMMIT_SHA": head,
            "CI_MERGE_REQUEST_IID": "7",
            "RIGHTSIZE_FORGE__KIND": "gitlab", "CI_PROJECT_DIR": str(changed),
        },
        cwd=changed, check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 4, done.stderr
    assert "it was OOM-killed at a limit of 300Mi" in done.stdout
    assert "warning" not in done.stderr.lower()
