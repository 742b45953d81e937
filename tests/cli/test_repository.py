"""Commands that work in a repository: clones, patches, branches, files to review."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from analyzer.cli import main

SAMPLE = Path(__file__).parents[2] / "sample-data"


def call(*words: str | Path) -> Result:
    """Run the command line in this process; it must not fail."""
    result = CliRunner().invoke(main, [str(word) for word in words])
    assert result.exit_code == 0, result.output
    return result


@pytest.fixture(scope="module")
def run_json(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run to work from."""
    folder = tmp_path_factory.mktemp("run") / "out"
    source = f"recording:{SAMPLE / 'recording'}"
    call("run", "--source", source, "-n", "media", "-o", folder, "--no-charts", "-q")
    return folder / "run.json"


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """The sample repository as a checkout with one commit."""
    root = tmp_path / "repository"
    subprocess.run(["cp", "-r", SAMPLE / "gitops", root], check=True)
    git(root, "init", "-q", "-b", "main")
    git(root, "add", "-A")
    git(root, "commit", "-qm", "base")
    return root


def git(root: Path, *words: str) -> str:
    """Run git in a checkout."""
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    command = ["git", *identity, *words]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, check=True).stdout


def test_an_address_is_cloned(run_json: Path, repository: Path) -> None:
    """A URL gives the diff that its checkout gives, and no clone is left."""
    local = call("diff", "-q", "--from", run_json, "--repo", repository).stdout
    cloned = call("diff", "-q", "--from", run_json, "--repo", f"file://{repository}").stdout
    assert local
    assert cloned == local


def test_a_run_shows_the_diff_that_it_has_planned(
    tmp_path: Path, run_json: Path, repository: Path
) -> None:
    """Without a repository nothing is planned anew: it is the very diff of the run."""
    out = tmp_path / "out"
    call("run", "-q", "--from", run_json, "--no-charts", "--repo", repository, "-o", out)
    planned = call("diff", "-q", "--from", out / "run.json", "--repo", repository).stdout
    known = CliRunner().invoke(main, ["diff", "--exit-code", "--from", str(out / "run.json")])
    assert (known.exit_code, known.stdout) == (4, planned)
    assert planned.count("diff --git") > 5


def test_patch_writes_the_diff_and_nothing_else(run_json: Path, repository: Path) -> None:
    """What git sees afterwards is what `diff` showed before."""
    shown = call("diff", "-q", "--from", run_json, "--repo", repository).stdout
    listed = call("patch", "-q", "--from", run_json, "--repo", repository).stdout.splitlines()
    changed = git(repository, "diff", "--name-only").split()
    assert sorted(Path(path).relative_to(repository).as_posix() for path in listed) == changed
    assert git(repository, "diff", "--no-color").count("\n+") == shown.count("\n+")


def test_uncommitted_work_is_not_touched(run_json: Path, repository: Path) -> None:
    """A file with changes of a person is refused by name, and nothing is written."""
    shown = call("diff", "-q", "--from", run_json, "--repo", repository).stdout
    first = shown.partition("+++ b/")[2].partition("\n")[0]
    with (repository / first).open("a") as file:
        file.write("# mine\n")
    words = ["patch", "-q", "--from", str(run_json), "--repo", str(repository)]
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 1
    assert first in done.stderr
    assert git(repository, "diff", "--name-only").split() == [first]


def test_branches_stand_on_the_base(run_json: Path, repository: Path) -> None:
    """One commit each on top of main; the working tree stays as it was, also the second time."""
    words: list[str | Path] = ["pr", "-q", "--from", run_json, "--repo", repository]
    words.append("--branches")
    names = [line.split()[0] for line in call(*words).stdout.splitlines()]
    assert names and all(name.startswith("rightsize/homelab/media-") for name in names)
    for name in names:
        assert git(repository, "rev-list", "--count", f"main..{name}").strip() == "1"
    assert git(repository, "status", "--porcelain") == ""
    assert git(repository, "branch", "--show-current").strip() == "main"
    assert [line.split()[0] for line in call(*words).stdout.splitlines()] == names


def test_a_branch_that_a_person_works_on_stops_no_other(run_json: Path, repository: Path) -> None:
    """It is named and left alone, the rest is made, and the exit code says that one is missing."""
    words = ["pr", "--from", str(run_json), "--repo", str(repository), "--branches"]
    names = [line.split()[0] for line in call(*words).stdout.splitlines()]
    first, second, *rest = names
    git(repository, "checkout", "-q", first)
    git(repository, "commit", "-q", "--allow-empty", "-m", "by hand")
    git(repository, "checkout", "-q", "main")
    for name in (second, *rest):
        git(repository, "branch", "-qD", name)
    git(repository, "update-ref", "-d", f"refs/rightsize/made/{rest[-1]}")
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 3
    assert [line.split()[0] for line in done.stdout.splitlines()] == [rest[-1]]
    assert f"left alone: {first}" in done.stderr
    assert f"the branch {second} was deleted" in done.stderr


def test_files_to_review_are_grouped_as_asked(
    run_json: Path, repository: Path, tmp_path: Path
) -> None:
    """One for all is one patch, or two by direction; settings hold as flags do."""
    common: list[str | Path] = ["pr", "-q", "--from", run_json, "--repo", repository]
    settings = tmp_path / "settings.yaml"
    settings.write_text("forge: {group: all, split_directions: false}\n")
    ways: dict[str, list[str | Path]] = {
        "all": ["--group", "all", "--no-split"],
        "set": ["--config", settings],
        "split": ["--config", settings, "--split"],
        "each": [],
    }
    counts = {}
    for way, more in ways.items():
        call(*common, "-o", tmp_path / way, *more)
        counts[way] = len(list((tmp_path / way / "git").glob("*.patch")))
    assert counts["all"] == counts["set"] == 1
    assert 1 < counts["split"] <= 3
    assert counts["each"] > 3


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["pr"], "say what to prepare"),
        (["pr", "--branches", "--repo", "https://example.org/x"], "name its folder"),
        (["patch", "--repo", "https://example.org/x"], "name its folder"),
        (["diff"], "no repository is given"),
    ],
)
def test_what_is_missing_is_said(words: list[str], message: str, run_json: Path) -> None:
    """Before anything is done."""
    done = CliRunner().invoke(main, [*words, "-q", "--from", str(run_json)])
    assert done.exit_code == 2
    assert message in done.stderr
