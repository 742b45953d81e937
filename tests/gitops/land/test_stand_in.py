"""Stand-ins for a checkout: what git finds there is what it would find in the checkout."""

from __future__ import annotations

from pathlib import Path

import pytest

from analyzer.errors import GitOpsError
from analyzer.gitops.land.stand_in import shadow, snapshot
from analyzer.gitops.land.worktree import git as run_git
from tests.gitops.conftest import Git, Plant

ODD = 'a "b" \\c # d;\te'
"""What a file of settings would end, start or fold at."""


def settings(root: Path) -> list[str]:
    """What holds at `root`, without what is about one folder alone."""
    told = run_git(root, "config", "--list", "--includes", "-z").split("\0")
    own = ("core.bare", "core.worktree", "core.repositoryformatversion", "extensions.", "include")
    return sorted(entry for entry in told if not entry.lower().startswith(own))


@pytest.fixture
def served(committed: Plant, git: Git) -> Path:
    """A checkout whose remote is named by a path from its top, as people with a disk do."""
    root = committed({"apps/a.yaml": "a: 1\n"})
    assert git(root, "clone", "-q", "--bare", ".", "../served.git").returncode == 0
    git(root, "remote", "add", "origin", "../served.git")
    return root


@pytest.mark.parametrize("below", ["", "apps"])
def test_a_remote_named_by_a_path_is_found_from_a_shadow(served: Path, below: str) -> None:
    """Git reads such a path from the top of the checkout, and the stand-in lies elsewhere."""
    with shadow(served / below) as place:
        heads = run_git(place, "ls-remote", "--heads", "origin")
        assert "refs/heads/" in heads
        assert run_git(place, "remote", "get-url", "origin").strip() == str(
            served.parent / "served.git"
        )
    assert run_git(served, "remote", "get-url", "origin").strip() == "../served.git"


@pytest.mark.parametrize("below", ["", "apps"])
def test_errors_name_the_checkout_and_no_stand_in(served: Path, below: str) -> None:
    """The stand-in is gone by the time they are read, and has another name in every run."""
    run_git(served, "remote", "set-url", "origin", "nowhere.git")
    with (
        pytest.raises(GitOpsError, match="git ls-remote failed") as caught,
        shadow(served / below) as place,
    ):
        run_git(place, "ls-remote", "origin")
    assert f"failed in {served / below}:" in str(caught.value)
    assert str(place) not in str(caught.value)


def test_the_settings_of_a_shadow_are_those_of_its_checkout(
    committed: Plant, git: Git, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own, those of a work tree, and those that a person includes for this folder alone."""
    root = committed({"a.yaml": "a: 1\n"})
    for part, folder in (("work", f"{root}/"), ("other", "/nowhere/")):
        git(tmp_path, "config", "--file", "global", f"includeIf.gitdir:{folder}.path", part)
        git(tmp_path, "config", "--file", part, "user.name", f"Somebody at {part}")
    git(tmp_path, "config", "--file", "global", "credential.helper", "store --file=here")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "global"))
    git(root, "config", "http.https://git.example.org/.extraHeader", ODD)
    git(root, "config", "url.https://git.example.org/.insteadOf", "short:")
    git(root, "config", "--add", "credential.helper", "")
    git(root, "config", "--add", "credential.helper", "store --file=here")
    git(root, "config", "extensions.worktreeConfig", "true")
    git(root, "config", "--worktree", "core.sparseCheckout", "true")
    (root / ".git" / "config").open("a").write("[gc]\n\tnothing\n")
    expected = settings(root)
    assert "user.name\nSomebody at work" in expected and "gc.nothing" in expected
    helpers = ["config", "--get-all", "credential.helper"]
    with shadow(root) as place:
        assert settings(place) == expected
        assert run_git(place, *helpers) == run_git(root, *helpers)


def test_a_key_named_by_a_path_signs_in_a_shadow(committed: Plant, git: Git) -> None:
    """One that is there by its path from the top becomes a whole path; a key's name stays."""
    root = committed({"keys/sign.pub": "a key\n"})
    for value, found in (("keys/sign.pub", str(root / "keys/sign.pub")), ("A1B2C3D4", "A1B2C3D4")):
        git(root, "config", "user.signingKey", value)
        with shadow(root) as place:
            assert run_git(place, "config", "user.signingKey").strip() == found


def test_a_helper_named_by_a_path_answers_in_a_shadow(committed: Plant, git: Git) -> None:
    """Git runs it from the top of the checkout, which has what it names; a shadow has no files."""
    root = committed({"bin/token": "#!/bin/sh\necho password=$1\n", "keys/word": "told"})
    (root / "bin/token").chmod(0o755)
    git(root, "config", "credential.helper", "!./bin/token $(cat keys/word)")
    asked = "protocol=https\nhost=example.org\nusername=me\n\n"
    for place in (root, root / "bin"):
        with shadow(place) as stand_in:
            assert "password=told\n" in run_git(stand_in, "credential", "fill", given=asked)


@pytest.mark.parametrize(
    ("command", "found"),
    [
        (
            "./bin/ssh -i keys/deploy -o UserKnownHostsFile=keys/hosts",
            "{0}/bin/ssh -i {0}/keys/deploy -o UserKnownHostsFile={0}/keys/hosts",
        ),
        ("ssh -i /keys/deploy -F nowhere/config", "ssh -i /keys/deploy -F nowhere/config"),
        ("ssh", "ssh"),
    ],
)
def test_paths_of_a_command_are_whole_in_a_shadow(
    command: str, found: str, committed: Plant, git: Git
) -> None:
    """Those that lie in the checkout; what is whole, lies nowhere or is no path stays."""
    root = committed({"bin/ssh": "", "keys/deploy": "", "keys/hosts": ""})
    git(root, "config", "core.sshCommand", command)
    with shadow(root) as place:
        assert run_git(place, "config", "core.sshCommand").strip() == found.format(root)


def test_a_repository_that_names_by_sha256_has_stand_ins(plant: Plant, git: Git) -> None:
    """Names of the other length lead to the same commits and files."""
    root = plant({"a.yaml": "a: 1\n"})
    assert git(root, "init", "-q", "--object-format=sha256").returncode == 0
    git(root, "add", "-A")
    assert git(root, "commit", "-qm", "base").returncode == 0
    with shadow(root) as place, snapshot(root, "HEAD") as files:
        assert run_git(place, "log", "-1", "--format=%s").strip() == "base"
        assert (files / "a.yaml").read_text() == "a: 1\n"


def test_what_a_partial_clone_lacks_is_got_for_its_shadow_alone(served: Path, git: Git) -> None:
    """Read there, and as missing as before in the checkout."""
    bare = served.parent / "served.git"
    for name in ("uploadpack.allowFilter", "uploadpack.allowAnySHA1InWant"):
        git(bare, "config", name, "true")
    given = ["clone", "-q", "--no-checkout", "--filter=blob:none", f"file://{bare}", "../partial"]
    assert git(served, *given).returncode == 0
    partial = served.parent / "partial"
    with shadow(partial) as place:
        assert run_git(place, "cat-file", "-p", "HEAD:apps/a.yaml") == "a: 1\n"
    missing = run_git(partial, "rev-list", "--objects", "--all", "--missing=print")
    assert "\n?" in missing
