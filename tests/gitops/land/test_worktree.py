"""Writing into a checkout: all or nothing, and never outside it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from analyzer.errors import GitOpsError
from analyzer.gitops.land.diff import Author, mail
from analyzer.gitops.land.worktree import (
    HandsOffError,
    RejectedError,
    apply_to_worktree,
    clone,
    commit_to_branch,
    uncommitted,
)
from analyzer.gitops.reach.repository import load_repository
from tests.gitops.conftest import Git, Plant

FILES = {"a.yaml": "a: 1\n", "b/b.yaml": "b: 1\n"}
EDITS = {"a.yaml": ("a: 1\n", "a: 2\n"), "b/b.yaml": ("b: 1\n", "b: 2\n")}


def texts(root: Path) -> list[str]:
    return [(root / name).read_text() for name in FILES]


def test_files_are_replaced_and_keep_their_mode(committed: Plant) -> None:
    """Every file has its new text and the permissions it had."""
    root = committed(FILES)
    (root / "a.yaml").chmod(0o640)
    written = apply_to_worktree(root, EDITS, force=True)
    assert texts(root) == ["a: 2\n", "b: 2\n"]
    assert (root / "a.yaml").stat().st_mode & 0o777 == 0o640
    assert written == [root / "a.yaml", root / "b/b.yaml"]


def test_uncommitted_changes_stop_everything(committed: Plant) -> None:
    """One dirty target, and none is written; on demand it is."""
    root = committed({**FILES, "a.yaml": "a: 0\n"})
    (root / "a.yaml").write_text("a: 1\n")
    with pytest.raises(GitOpsError, match=r"a\.yaml has uncommitted changes"):
        apply_to_worktree(root, EDITS)
    assert texts(root) == ["a: 1\n", "b: 1\n"]
    apply_to_worktree(root, EDITS, force=True)
    assert texts(root) == ["a: 2\n", "b: 2\n"]


def test_a_repository_that_names_by_sha256_is_written_and_committed_to(
    plant: Plant, git: Git
) -> None:
    """What is committed is told from what is not, whatever git calls it."""
    root = plant({"a.yaml": "a: 1\n", "b.yaml": "b: 1\n"})
    assert git(root, "init", "-q", "--object-format=sha256").returncode == 0
    git(root, "add", "-A")
    assert git(root, "commit", "-qm", "base").returncode == 0
    (root / "b.yaml").write_text("b: 2\n")
    assert uncommitted(root, ["a.yaml", "b.yaml"]) == ["b.yaml"]
    edits = {"a.yaml": ("a: 1\n", "a: 3\n")}
    commit = commit_to_branch(root, "rightsize/a", "a\n", edits)
    assert git(root, "show", f"{commit}:a.yaml").stdout == b"a: 3\n"
    apply_to_worktree(root, edits)
    assert (root / "a.yaml").read_text() == "a: 3\n"


def test_a_renamed_file_is_told_by_both_its_names(committed: Plant, git: Git) -> None:
    """The name that is gone and the new one, each whole."""
    root = committed(FILES)
    git(root, "mv", "a.yaml", "c.yaml")
    assert uncommitted(root, ["a.yaml", "b/b.yaml", "c.yaml"]) == ["a.yaml", "c.yaml"]


def test_a_file_that_moved_on_is_left_alone(committed: Plant) -> None:
    """An edit of a text that is no longer there is refused, even on demand."""
    root = committed({**FILES, "b/b.yaml": "b: 9\n"})
    with pytest.raises(GitOpsError, match="changed since"):
        apply_to_worktree(root, EDITS, force=True)
    assert texts(root) == ["a: 1\n", "b: 9\n"]


@pytest.mark.parametrize("name", ["../x.yaml", "/etc/x.yaml", "b/../../x.yaml", ".git/config"])
def test_paths_that_leave_the_repository_are_refused(committed: Plant, name: str) -> None:
    """No name leads out of the repository or into git's own files."""
    with pytest.raises(GitOpsError):
        apply_to_worktree(committed(FILES), {name: ("", "x")}, force=True)


def test_links_are_not_written_through(committed: Plant, tmp_path: Path) -> None:
    """Neither a linked file nor a linked folder is followed."""
    root = committed({"a.yaml": "a: 1\n"})
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "b.yaml").write_text("b: 1\n")
    (root / "b").symlink_to(outside)
    with pytest.raises(GitOpsError, match="symbolic link"):
        apply_to_worktree(root, EDITS, force=True)
    assert (outside / "b.yaml").read_text() == "b: 1\n"
    assert (root / "a.yaml").read_text() == "a: 1\n"


def test_a_branch_is_made_without_touching_the_checkout(committed: Plant, git: Git) -> None:
    """The commit stands on HEAD; working tree, index and HEAD are as before."""
    root = committed(FILES)
    commit = commit_to_branch(root, "rightsize/home/a", "fix: a\n\nbody\n", EDITS)
    assert git(root, "status", "--porcelain").stdout == b""
    assert texts(root) == ["a: 1\n", "b: 1\n"]
    assert git(root, "show", f"{commit}:b/b.yaml").stdout == b"b: 2\n"
    assert git(root, "rev-parse", f"{commit}^").stdout == git(root, "rev-parse", "HEAD").stdout


def test_our_own_branch_moves_and_a_persons_does_not(committed: Plant, git: Git) -> None:
    """One commit on top is ours to replace; a second one means hands off."""
    root = committed(FILES)
    first = commit_to_branch(root, "r", "one", EDITS)
    more = {"a.yaml": ("a: 1\n", "a: 3\n")}
    second = commit_to_branch(root, "r", "two", more)
    assert first != second
    git(root, "checkout", "-q", "r")
    git(root, "commit", "-q", "--allow-empty", "-m", "by hand")
    git(root, "checkout", "-q", "main")
    with pytest.raises(GitOpsError, match="hands off"):
        commit_to_branch(root, "r", "three", EDITS)


def test_a_branch_that_a_work_tree_shows_is_left_alone(
    committed: Plant, git: Git, tmp_path: Path
) -> None:
    """Moved under it, its files would look like edits that take the change back."""
    root = committed(FILES)
    commit = commit_to_branch(root, "r", "one", EDITS)
    assert git(root, "worktree", "add", "-q", str(tmp_path / "elsewhere"), "r").returncode == 0
    with pytest.raises(HandsOffError, match="is checked out at"):
        commit_to_branch(root, "r", "two", {"a.yaml": ("a: 1\n", "a: 3\n")})
    assert git(root, "rev-parse", "r").stdout.decode().strip() == commit


def test_line_endings_of_a_checkout_stay_out_of_the_commit(committed: Plant, git: Git) -> None:
    """A work tree with CRLF of a repository with LF gives a commit with LF; CRLF in both stays."""
    root = committed({"a.yaml": "a: 1\nb: 1\n", "w.yaml": "w: 1\r\n"})
    edits = {
        "a.yaml": ("a: 1\r\nb: 1\r\n", "a: 2\r\nb: 1\r\n"),
        "w.yaml": ("w: 1\r\n", "w: 2\r\n"),
    }
    commit = commit_to_branch(root, "r", "one", edits)
    assert git(root, "show", f"{commit}:a.yaml").stdout == b"a: 2\nb: 1\n"
    assert git(root, "show", f"{commit}:w.yaml").stdout == b"w: 2\r\n"


def test_a_path_is_no_pattern(committed: Plant, git: Git) -> None:
    """Brackets and stars in a file's name mean themselves."""
    root = committed({"[ab].yaml": "x: 1\n", "a.yaml": "a: 1\n", "*.yaml": "y: 1\n"})
    edits = {"[ab].yaml": ("x: 1\n", "x: 2\n"), "*.yaml": ("y: 1\n", "y: 2\n")}
    commit = commit_to_branch(root, "r", "one", edits)
    changed = git(root, "diff", "--name-only", "HEAD", commit).stdout.decode().split()
    assert changed == ["*.yaml", "[ab].yaml"]


def test_a_clone_is_at_the_revision_asked_for(committed: Plant, git: Git, tmp_path: Path) -> None:
    """A repository by its address, at a commit that is not the latest."""
    root = committed(FILES)
    old = git(root, "rev-parse", "HEAD").stdout.decode().strip()
    (root / "a.yaml").write_text("a: 7\n")
    git(root, "commit", "-qam", "later")
    found = clone(root.as_uri(), old, tmp_path / "clone")
    assert (found / "a.yaml").read_text() == "a: 1\n"
    git(root, "branch", "feature/old", old)
    found = clone(root.as_uri(), "feature/old", tmp_path / "branch")
    assert (found / "a.yaml").read_text() == "a: 1\n"
    with pytest.raises(GitOpsError, match="no branch, tag or commit 'nowhere'"):
        clone(root.as_uri(), "nowhere", tmp_path / "none")


def test_a_clone_that_fails_names_the_address_and_no_temporary_folder(tmp_path: Path) -> None:
    """Where it was to go is nothing that anybody could look into afterwards."""
    url = (tmp_path / "gone").as_uri()
    with pytest.raises(GitOpsError, match=f"^git clone failed of {re.escape(url)}: ") as told:
        clone(url, None, tmp_path / "rightsize-x" / "repository")
    assert "rightsize-x" not in str(told.value)


@pytest.mark.parametrize(
    "url", ["https://me:secret@example.org/x", "--upload-pack=x", "ext::sh -c x"]
)
def test_addresses_that_leak_or_run_things_are_refused(url: str, tmp_path: Path) -> None:
    """No password in the list of processes, no option and no command in place of an address."""
    with pytest.raises(GitOpsError) as caught:
        clone(url, None, tmp_path / "clone")
    assert "secret" not in str(caught.value)


def test_a_commit_that_a_person_amended_stays(committed: Plant, git: Git) -> None:
    """Still one commit on top, but its committer is no longer us: hands off."""
    root = committed(FILES)
    commit_to_branch(root, "r", "one", EDITS)
    git(root, "checkout", "-q", "r")
    git(root, "commit", "-q", "--amend", "-m", "one, and what I know")
    tip = git(root, "rev-parse", "r").stdout
    git(root, "checkout", "-q", "main")
    with pytest.raises(GitOpsError, match=r"by person@example\.org: hands off"):
        commit_to_branch(root, "r", "two", {"a.yaml": ("a: 1\n", "a: 3\n")})
    assert git(root, "rev-parse", "r").stdout == tip


def test_the_same_content_moves_nothing(committed: Plant) -> None:
    """A second run with the same decisions leaves the branch at the very same commit."""
    root = committed(FILES)
    first = commit_to_branch(root, "r", "one", EDITS)
    assert commit_to_branch(root, "r", "one", EDITS) == first


MESSAGE = "fix: a\n\nbody\n<!-- rightsize:{} -->\n"
ONE, TWO = (MESSAGE.format(letter * 32) for letter in "ab")


def test_a_branch_that_was_deleted_is_not_reborn(committed: Plant, git: Git) -> None:
    """Deleting it is an answer, which holds until the proposal is another one."""
    root = committed(FILES)
    commit_to_branch(root, "r", ONE, EDITS)
    git(root, "branch", "-qD", "r")
    with pytest.raises(RejectedError, match="until its numbers move"):
        commit_to_branch(root, "r", ONE, EDITS)
    assert git(root, "rev-parse", "--verify", "-q", "r").returncode != 0
    commit_to_branch(root, "r", TWO, {"a.yaml": ("a: 1\n", "a: 3\n")})


def test_a_fresh_clone_sees_what_a_person_did_on_the_remote(
    committed: Plant, git: Git, tmp_path: Path
) -> None:
    """There is no local branch yet, and the commit of a person is there all the same."""
    root = committed(FILES)
    commit_to_branch(root, "r", ONE, EDITS)
    git(root, "checkout", "-q", "r")
    git(root, "commit", "-q", "--allow-empty", "-m", "by hand")
    git(root, "checkout", "-q", "main")
    fresh = clone(
        root.as_uri(), git(root, "rev-parse", "main").stdout.decode().strip(), tmp_path / "c"
    )
    with pytest.raises(HandsOffError, match="hands off"):
        commit_to_branch(fresh, "r", TWO, EDITS)


def test_the_callers_git_variables_lead_nowhere_else(
    committed: Plant, git: Git, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hook's environment names another repository; the one that was asked for counts."""
    other = tmp_path / "other"
    other.mkdir()
    git(other, "init", "-q")
    root = committed(FILES)
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(other))
    monkeypatch.setenv("GIT_INDEX_FILE", str(other / "index"))
    assert uncommitted(root, ["a.yaml", "b/b.yaml"]) == []
    assert set(load_repository(root).files) == {"a.yaml", "b/b.yaml"}
    commit_to_branch(root, "r", ONE, EDITS)
    assert git(root, "rev-parse", "--verify", "-q", "r").returncode == 0


def test_no_filter_of_the_repository_runs(committed: Plant, git: Git, tmp_path: Path) -> None:
    """A filter is a program that a repository names; looking at its files must not start it."""
    root = committed({**FILES, ".gitattributes": "*.yaml filter=evil\n"})
    mark = tmp_path / "mark"
    for part in ("clean", "smudge", "process"):
        git(root, "config", f"filter.evil.{part}", f"touch {mark}")
    git(root, "config", "core.hooksPath", str(tmp_path))
    (root / "a.yaml").write_text("a: 1\n")  # another time stamp: git would look into it
    assert uncommitted(root, ["a.yaml"]) == []
    assert len(apply_to_worktree(root, EDITS)) == 2
    (root / "a.yaml").write_text("a: 1\n")
    (root / "b" / "b.yaml").write_text("b: 1\n")
    commit_to_branch(root, "r", ONE, EDITS)
    assert not mark.exists()


def test_a_mail_merges_where_a_line_beside_it_has_moved(committed: Plant, git: Git) -> None:
    """`git am -3` knows from the names of both contents what was edited."""
    lines = "image: 1\nresources:\n  limits:\n    memory: 2Gi\n"
    root = committed({"web.yaml": lines})
    text = mail(
        "fix: a", "body", {"web.yaml": (lines, lines.replace("2Gi", "1Gi"))}, Author(), 1, 1
    )
    (root / "web.yaml").write_text(lines.replace("image: 1", "image: 2"))
    git(root, "commit", "-qam", "bump")
    assert git(root, "am", given=text.encode()).returncode != 0
    git(root, "am", "--abort")
    done = git(root, "am", "-3", given=text.encode())
    assert done.returncode == 0, done.stderr
    assert (root / "web.yaml").read_text() == lines.replace("image: 1", "image: 2").replace(
        "2Gi", "1Gi"
    )


def test_a_branch_stands_on_what_is_shared(committed: Plant, git: Git, tmp_path: Path) -> None:
    """A person's commits that the remote does not have are no part of a proposal."""
    origin = committed({"a.yaml": "memory: 1Gi\n", "b.yaml": "memory: 1Gi\n"})
    root = tmp_path / "clone"
    git(tmp_path, "clone", "-q", str(origin), str(root))
    shared = git(root, "rev-parse", "HEAD").stdout
    git(root, "checkout", "-qb", "mine")
    (root / "b.yaml").write_text("memory: 9Gi\n")
    git(root, "commit", "-qam", "mine")
    commit_to_branch(root, "r/a", "x", {"a.yaml": ("memory: 1Gi\n", "memory: 2Gi\n")})
    assert git(root, "rev-parse", "r/a^").stdout == shared
    # What a person has changed since cannot be built upon: that one is told, and left alone.
    with pytest.raises(GitOpsError, match="share that first"):
        commit_to_branch(root, "r/b", "x", {"b.yaml": ("memory: 9Gi\n", "memory: 2Gi\n")})
