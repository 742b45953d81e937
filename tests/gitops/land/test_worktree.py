"""Writing into a checkout: all or nothing, and never outside it."""

from __future__ import annotations

from pathlib import Path

import pytest

from analyzer.errors import GitOpsError
from analyzer.gitops.land.worktree import apply_to_worktree, clone, commit_to_branch, uncommitted
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


def test_a_renamed_file_is_told_by_both_its_names(committed: Plant, git: Git) -> None:
    """The name that is gone and the new one, each whole."""
    root = committed(FILES)
    git(root, "mv", "a.yaml", "c.yaml")
    assert uncommitted(root) == ["a.yaml", "c.yaml"]


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


def test_a_clone_is_at_the_revision_asked_for(committed: Plant, git: Git, tmp_path: Path) -> None:
    """A repository by its address, at a commit that is not the latest."""
    root = committed(FILES)
    old = git(root, "rev-parse", "HEAD").stdout.decode().strip()
    (root / "a.yaml").write_text("a: 7\n")
    git(root, "commit", "-qam", "later")
    found = clone(root.as_uri(), old, tmp_path / "clone")
    assert (found / "a.yaml").read_text() == "a: 1\n"


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
