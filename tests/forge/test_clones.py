"""Clones as people have them: sparse, partial, shallow, with submodules, large files and traps."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from analyzer.forge.delivery import deliver
from analyzer.gitops.land.worktree import clone as clone_address
from tests.forge.conftest import FILES, Git, clone
from tests.forge.standin import TOKEN, Standin
from tests.forge.test_delivery import PREFIX, desk, verbs, want

SONARR = f"{PREFIX}media-sonarr"


def whole_tree(git: Git, bare: Path, revision: str) -> dict[str, str]:
    """Every entry of a commit, by path."""
    lines = git(bare, "ls-tree", "-r", revision).splitlines()
    return {path: entry for entry, _, path in (line.partition("\t") for line in lines)}


def assert_only_sonarr(git: Git, bare: Path) -> None:
    """The branch differs from the base in one file, and in nothing that the clone lacks."""
    before, after = (whole_tree(git, bare, name) for name in ("main", SONARR))
    changed = {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}
    assert changed == {"apps/sonarr.yaml"}


@pytest.fixture
def monorepo(forge: Standin, checkout: Path, git: Git) -> Standin:
    """The repository with much beside the applications: code, a submodule, a large file."""
    (checkout / "services" / "shop").mkdir(parents=True)
    (checkout / "services" / "shop" / "main.py").write_text("print('a shop')\n")
    (checkout / ".gitattributes").write_text("*.bin filter=lfs diff=lfs merge=lfs -text\n")
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 12345\n"
    (checkout / "model.bin").write_text(pointer)
    (checkout / ".gitmodules").write_text(
        '[submodule "charts"]\n\tpath = charts\n\turl = https://nowhere.example/charts.git\n'
    )
    git(checkout, "add", "-A")
    commit = git(checkout, "rev-parse", "HEAD")
    git(checkout, "update-index", "--add", "--cacheinfo", f"160000,{commit},charts")
    git(checkout, "commit", "-qm", "much else")
    git(checkout, "push", "-q", str(forge.bare), "main")
    git(forge.bare, "config", "uploadpack.allowFilter", "true")
    git(forge.bare, "config", "uploadpack.allowAnySHA1InWant", "true")
    return forge


@pytest.mark.parametrize("way", [[], ["--sparse-index"]])
def test_a_sparse_checkout_keeps_what_it_does_not_show(
    monorepo: Standin, tmp_path: Path, git: Git, way: list[str]
) -> None:
    """A folder of a monorepo is checked out, and the branch still has all of it."""
    git(tmp_path, "clone", "-q", "--sparse", str(monorepo.bare), "sparse")
    sparse = tmp_path / "sparse"
    git(sparse, "sparse-checkout", "set", "--cone", *way, "apps")
    git(sparse, "remote", "set-url", "origin", monorepo.git_url)
    assert not (sparse / "services").exists()
    for memory, verb in (("900Mi", "open"), ("700Mi", "refresh")):
        done = deliver([want("sonarr", memory)], "home", desk(monorepo, sparse))
        assert verbs(done) == {"media-sonarr": verb} and not done.failed
        assert_only_sonarr(git, monorepo.bare)
    assert git(sparse, "status", "--porcelain") == "" and not (sparse / "services").exists()


@pytest.mark.parametrize("which", [["--filter=blob:none"], ["--filter=tree:0"]])
def test_a_partial_clone_gets_what_it_edits_with_the_token(
    monorepo: Standin, tmp_path: Path, git: Git, which: list[str]
) -> None:
    """The base has moved since the clone, and what it holds now is fetched by who may.

    What is not edited is not fetched.
    """
    git(tmp_path, "clone", "-q", "--no-checkout", *which, f"file://{monorepo.bare}", "partial")
    partial = tmp_path / "partial"
    git(partial, "remote", "set-url", "origin", monorepo.git_url)
    other = clone(tmp_path / "other", monorepo, git)
    (other / "apps" / "sonarr.yaml").write_text("memory: 3Gi\n")
    git(other, "commit", "-qam", "more")
    git(other, "push", "-q", str(monorepo.bare), "main")
    edits = {"apps/sonarr.yaml": ("memory: 3Gi\n", "memory: 900Mi\n")}
    one = replace(want("sonarr", "900Mi"), edits=edits)
    done = deliver([one], "home", desk(monorepo, partial))
    assert verbs(done) == {"media-sonarr": "open"} and not done.failed
    assert_only_sonarr(git, monorepo.bare)
    assert verbs(deliver([one], "home", desk(monorepo, partial))) == {"media-sonarr": "keep"}
    missing = git(partial, "rev-list", "--objects", "--all", "--missing=print", "main")
    assert "?" in missing


def test_an_address_is_cloned_without_submodules_and_large_files(
    monorepo: Standin, tmp_path: Path, git: Git, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A submodule may lie anywhere, and a large file needs a program: neither is asked for."""
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    mark = tmp_path / "mark"
    for part in ("smudge", "clean", "process"):
        git(tmp_path, "config", "--file", "gitconfig", f"filter.evil.{part}", f"touch {mark}")
    found = clone_address(f"file://{monorepo.bare}", None, tmp_path / "found")
    assert (found / "model.bin").read_text().startswith("version https://git-lfs")
    assert not any((found / "charts").iterdir())
    done = deliver([want("sonarr", "900Mi")], "home", desk(monorepo, pointed(git, found, monorepo)))
    assert not done.failed
    assert_only_sonarr(git, monorepo.bare)
    assert not mark.exists()


def pointed(git: Git, folder: Path, forge: Standin) -> Path:
    """The checkout with the forge's served address as its remote."""
    git(folder, "remote", "set-url", "origin", forge.git_url)
    return folder


def test_nothing_that_a_checkout_brings_is_run(monorepo: Standin, tmp_path: Path, git: Git) -> None:
    """Hooks of every kind, filters, differs, a monitor, an alias: each would leave a mark."""
    home = clone(tmp_path / "trap", monorepo, git)
    mark, trap = tmp_path / "mark", tmp_path / "trap.sh"
    trap.write_text(f"#!/bin/sh\ntouch {mark}\ncat\n")
    trap.chmod(0o755)
    hooks = home / ".git" / "hooks"
    shutil.rmtree(hooks, ignore_errors=True)
    hooks.mkdir()
    for name in (
        "pre-push", "post-checkout", "pre-commit", "commit-msg", "post-commit", "post-merge",
        "reference-transaction", "post-index-change", "fsmonitor-watchman", "pre-auto-gc",
    ):  # fmt: skip
        shutil.copy(trap, hooks / name)
    for name, value in {
        "filter.evil.clean": str(trap), "filter.evil.smudge": str(trap),
        "diff.evil.textconv": str(trap), "diff.evil.command": str(trap),
        "diff.external": str(trap), "core.fsmonitor": str(trap), "core.hooksPath": str(hooks),
        "alias.fetch": f"!{trap}", "core.pager": str(trap), "core.editor": str(trap),
    }.items():  # fmt: skip
        git(home, "config", name, value)
    (home / ".gitattributes").write_text("*.yaml filter=evil diff=evil\n")
    for memory in ("900Mi", "700Mi"):
        done = deliver([want("sonarr", memory)], "home", desk(monorepo, home))
        assert not done.failed
    assert not mark.exists()
    assert git(monorepo.bare, "show", f"{SONARR}:apps/sonarr.yaml") == "memory: 700Mi"
    assert TOKEN not in (home / ".git" / "config").read_text()
    assert FILES["apps/sonarr.yaml"] == (home / "apps" / "sonarr.yaml").read_text()


def test_a_folder_below_the_top_is_the_repository_of_one_cluster(
    monorepo: Standin, checkout: Path, git: Git
) -> None:
    """Paths count from the folder that was named, and the commit has them from the top."""
    edits = {"sonarr.yaml": (FILES["apps/sonarr.yaml"], "memory: 900Mi\n")}
    one = replace(want("sonarr", "900Mi"), edits=edits)
    for verb in ("open", "keep"):
        done = deliver([one], "home", desk(monorepo, checkout / "apps"))
        assert verbs(done) == {"media-sonarr": verb} and not done.failed
    assert_only_sonarr(git, monorepo.bare)
