"""Reading a repository: all of it, and nothing outside."""

from __future__ import annotations

from pathlib import Path

import pytest

from analyzer.errors import GitOpsError
from analyzer.gitops.reach.repository import join, load_repository
from tests.gitops.conftest import Git, Plant


def test_links_are_never_followed(plant: Plant, tmp_path: Path) -> None:
    """A link to a file or folder outside is reported, and its content never read."""
    root = plant({"a.yaml": "kind: A\n"})
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.yaml").write_text("kind: Secret\n")
    (root / "link.yaml").symlink_to(outside / "secret.yaml")
    (root / "folder").symlink_to(outside)
    found = load_repository(root)
    assert set(found.files) == {"a.yaml"}
    assert "symbolic link" in found.unread["link.yaml"]


def test_ignored_files_are_left_alone(plant: Plant, git: Git) -> None:
    """What git ignores, such as a decrypted secret, is no part of the repository."""
    root = plant({"a.yaml": "kind: A\n", "secret.yaml": "kind: S\n", ".gitignore": "secret.yaml\n"})
    git(root, "init", "-q")
    assert set(load_repository(root).files) == {"a.yaml"}


def test_what_cannot_be_read_is_named_with_its_reason(plant: Plant) -> None:
    """Templates, broken and huge files are left out one by one, and the rest is read."""
    root = plant({"t.yaml": "a: {{ .x }}\nb: [\n", "b.yaml": "a: [\n", "ok.yaml": "a: 1\n"})
    (root / "latin.yaml").write_bytes(b"a: \xe9\n")
    (root / "huge.yaml").write_text("a: 1\n" * 300_000)
    found = load_repository(root)
    assert set(found.files) == {"ok.yaml"}
    assert "template" in found.unread["t.yaml"]
    assert "UTF-8" in found.unread["latin.yaml"]
    assert "bytes" in found.unread["huge.yaml"]


def test_a_missing_folder_is_an_error_that_names_it(tmp_path: Path) -> None:
    """No folder, no index: the sentence says where was looked."""
    with pytest.raises(GitOpsError, match="nowhere"):
        load_repository(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("folder", "reference", "path"),
    [
        ("a/b", "../c.yaml", "a/c.yaml"),
        ("a", "./b/./c", "a/b/c"),
        ("a", "/b", "b"),
        ("", "./", ""),
        ("a", "../../etc", None),
    ],
)
def test_references_stay_inside_on_paper(folder: str, reference: str, path: str | None) -> None:
    """A path that climbs out of the repository leads nowhere."""
    assert join(folder, reference) == path
