"""A forge to test against: real git over HTTP, and a stand-in of three APIs that refuses."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from analyzer.cli import main
from tests.forge.standin import TOKEN, Standin, serve

Git = Callable[..., str]

SAMPLE = Path(__file__).parents[2] / "sample-data"

FILES = {
    "apps/sonarr.yaml": "memory: 2Gi\n",
    "apps/radarr.yaml": "memory: 1Gi\n",
    "apps/plex.yaml": "memory: 8Gi\n",
}


@pytest.fixture
def git(tmp_path: Path) -> Git:
    """Run git in a folder as a person, whatever this machine's settings are."""

    def run(folder: Path, *arguments: str) -> str:
        identity = ["-c", "user.name=A Person", "-c", "user.email=person@example.org"]
        done = subprocess.run(
            ["git", *identity, *arguments],
            cwd=folder,
            capture_output=True,
            check=False,
            text=True,
            env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "GIT_CONFIG_NOSYSTEM": "1"},
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    return run


@pytest.fixture
def forge(tmp_path: Path, git: Git) -> Iterator[Standin]:
    """A forge with one repository ``team/cluster`` of three files."""
    bare = tmp_path / "served" / "team" / "cluster.git"
    bare.mkdir(parents=True)
    git(bare, "init", "-q", "--bare", "-b", "main")
    git(bare, "config", "http.receivepack", "true")
    seed = tmp_path / "seed"
    seed.mkdir()
    git(seed, "init", "-q", "-b", "main")
    for name, text in FILES.items():
        (seed / name).parent.mkdir(exist_ok=True)
        (seed / name).write_text(text)
    git(seed, "add", "-A")
    git(seed, "commit", "-qm", "base")
    git(seed, "push", "-q", str(bare), "main")
    with serve(Standin(bare)) as running:
        yield running


@pytest.fixture
def checkout(tmp_path: Path, forge: Standin, git: Git) -> Path:
    """A fresh clone, whose remote is the forge over HTTP."""
    return clone(tmp_path / "checkout", forge, git)


def clone(folder: Path, forge: Standin, git: Git) -> Path:
    """Clone from the disk, then point the remote at the served address."""
    git(folder.parent, "clone", "-q", str(forge.bare), folder.name)
    git(folder, "remote", "set-url", "origin", forge.git_url)
    return folder


@pytest.fixture(autouse=True)
def token(monkeypatch: pytest.MonkeyPatch) -> None:
    """The token in the environment, and no credentials from elsewhere."""
    for name in ("GITHUB_TOKEN", "GITLAB_TOKEN", "GITEA_TOKEN", "BITBUCKET_TOKEN"):
        monkeypatch.setenv(name, TOKEN)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")


@pytest.fixture(scope="session")
def run_json(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of a run over one namespace of the sample cluster."""
    out = tmp_path_factory.mktemp("run") / "out"
    arguments = ["run", "--source", f"recording:{SAMPLE}/recording", "-n", "media", "-q"]
    arguments += ["--no-charts", "--no-backtest", "-o", str(out)]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 0, done.output
    return out / "run.json"


@pytest.fixture
def served(tmp_path: Path, git: Git) -> Standin:
    """The sample repository in a bare one, ready to be served."""
    seed, bare = tmp_path / "seed", tmp_path / "served" / "team" / "cluster.git"
    shutil.copytree(SAMPLE / "gitops", seed)
    git(seed, "init", "-q", "-b", "main")
    git(seed, "add", "-A")
    git(seed, "commit", "-qm", "base")
    bare.parent.mkdir(parents=True)
    git(tmp_path, "clone", "-q", "--bare", str(seed), str(bare))
    git(bare, "config", "http.receivepack", "true")
    return Standin(bare)
