"""What is shipped: dependencies that are used, locks that are whole, a wheel that is complete."""

from __future__ import annotations

import ast
import hashlib
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from analyzer import __version__

LOCKS = (
    *("requirements.lock", "requirements-dev.lock", "deploy/build.lock"),
    *("scripts/tools.lock", "scripts/axe.lock"),
)
# May be declared before its first import: models that learn across containers rest on it.
AHEAD_OF_USE = {"scikit-learn"}
PIN = re.compile(r"[\w.\-]+==[\w.!+]+( ; [^@]+?)?\s+(--hash=sha256:[0-9a-f]{64}\s*)+")


@pytest.fixture(scope="module")
def project(repository: Path) -> dict[str, Any]:
    """The [project] table."""
    text = (repository / "pyproject.toml").read_text(encoding="utf-8")
    table = tomllib.loads(text)["project"]
    assert isinstance(table, dict)
    return table


def pins(lock: Path) -> dict[str, str]:
    """Name and version of everything a lock file pins."""
    lines = re.findall(r"^([\w.\-]+)==(\S+)", lock.read_text(encoding="utf-8"), re.MULTILINE)
    return {canonicalize_name(name): version for name, version in lines}


def names(requirements: list[str]) -> set[str]:
    """The canonical names of requirements."""
    return {canonicalize_name(Requirement(text).name) for text in requirements}


def third_party_imports(package: Path) -> set[str]:
    """The top-level names that the package imports and neither it nor Python holds."""
    found = set()
    for path in package.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module.partition(".")[0])
    return found - set(sys.stdlib_module_names) - {"analyzer"}


def test_dependencies_are_what_the_code_imports(project: dict[str, Any], repository: Path) -> None:
    """Nothing undeclared is imported, and nothing is asked of a user that is not used."""
    owners = packages_distributions()
    imported = {
        canonicalize_name(owners[name][0]) if name in owners else canonicalize_name(name)
        for name in third_party_imports(repository / "analyzer")
    }
    extras = project["optional-dependencies"]
    optional = set().union(*(names(extras[extra]) for extra in extras if extra != "dev"))
    assert imported - names(project["dependencies"]) - optional == set(), "not declared"
    unused = names(project["dependencies"]) - imported
    assert unused - AHEAD_OF_USE == set(), "declared but not imported"


def test_the_lock_satisfies_every_declared_dependency(
    project: dict[str, Any], repository: Path
) -> None:
    """Each requirement is pinned in its lock, at a version it allows."""
    wanted = {
        "requirements.lock": project["dependencies"],
        "requirements-dev.lock": project["dependencies"] + project["optional-dependencies"]["dev"],
    }
    for lock, requirements in wanted.items():
        pinned = pins(repository / lock)
        for requirement in map(Requirement, requirements):
            version = pinned[canonicalize_name(requirement.name)]
            assert requirement.specifier.contains(version), f"{lock}: {requirement}"


def test_all_locks_name_the_same_versions(repository: Path) -> None:
    """What is tested is what is shipped."""
    develop = pins(repository / "requirements-dev.lock")
    for lock in ("requirements.lock", "deploy/build.lock"):
        assert pins(repository / lock).items() <= develop.items()


@pytest.mark.parametrize("lock", LOCKS)
def test_every_pin_has_a_hash_and_no_lock_names_a_registry(lock: str, repository: Path) -> None:
    """A lock holds names, versions, markers and hashes: no address, no path, no option."""
    text = (repository / lock).read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line.strip()]
    assert lines
    for line in lines:
        assert re.fullmatch(
            r"[\w.\-]+==[\w.!+]+( ; [^@]+?)?\s+(--hash=sha256:[0-9a-f]{64}\s*)+", line
        )
        assert "//" not in line


def build_wheel(repository: Path, folder: Path) -> Path:
    """Build the wheel with the locked backend and a fixed time."""
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation",
         "--no-index", "--wheel-dir", str(folder), str(repository)],
        check=True, timeout=120, env={**os.environ, "SOURCE_DATE_EPOCH": "1700000000"},
    )  # fmt: skip
    (wheel,) = folder.glob("*.whl")
    return wheel


def test_the_wheel_is_complete_and_the_same_twice(repository: Path, tmp_path: Path) -> None:
    """Commands, type marker, licence, what the page needs; building again changes no byte."""
    first = build_wheel(repository, tmp_path / "first")
    second = build_wheel(repository, tmp_path / "second")
    assert first.name == f"rightsize-{__version__}-py3-none-any.whl"
    assert sha256(first) == sha256(second)
    with zipfile.ZipFile(first) as wheel:
        content = wheel.namelist()
        info = f"rightsize-{__version__}.dist-info"
        commands = wheel.read(f"{info}/entry_points.txt").decode()
    assert "rightsize = analyzer.__main__:main" in commands
    assert "kubectl-rightsize = analyzer.__main__:main" in commands
    assert {
        "analyzer/py.typed",
        "analyzer/writers/assets/page.css",
        "analyzer/writers/assets/page.js",
        "rightsize/py.typed",
        "rightsize/__init__.py",
        f"{info}/licenses/LICENSE",
    } <= set(content)
    assert [
        name for name in content if not name.startswith(("analyzer/", "rightsize/", info))
    ] == []
    assert [name for name in content if "__pycache__" in name] == []


def sha256(path: Path) -> str:
    """The digest of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_every_target_of_the_makefile_is_explained(repository: Path) -> None:
    """`make` alone lists each target with what it does."""
    text = (repository / "Makefile").read_text(encoding="utf-8")
    declared = set(re.findall(r"^\.PHONY: (.*)$", text, re.MULTILINE)[0].split())
    shown = subprocess.run(
        ["make", "help"], cwd=repository, capture_output=True, text=True, check=True, timeout=30
    ).stdout
    assert set(re.findall(r"^  make ([a-z-]+)", shown, re.MULTILINE)) == declared


def test_every_shell_script_parses_and_stops_at_errors(repository: Path) -> None:
    """Scripts are valid bash and none goes on after a failure it did not foresee."""
    scripts = [
        path
        for folder in ("scripts", ".ci")
        for path in (repository / folder).iterdir()
        if path.is_file() and path.read_bytes().startswith(b"#!/usr/bin/env bash")
    ]
    assert {"setup", "tools", "check", "run"} <= {path.name for path in scripts}
    for path in scripts:
        subprocess.run(["bash", "-n", str(path)], check=True, timeout=30)
        assert re.search(r"^set -e?uo pipefail$", path.read_text(encoding="utf-8"), re.MULTILINE)
        assert os.access(path, os.X_OK), f"{path.name} is not executable"


def test_setup_says_what_is_wrong_with_a_given_interpreter(
    repository: Path, tmp_path: Path
) -> None:
    """An interpreter that cannot be used is named in one sentence, not passed over."""
    for folder in ("scripts", "analyzer"):
        (tmp_path / folder).mkdir()
    for name in ("scripts/setup", "scripts/common.sh", "pyproject.toml", "requirements-dev.lock"):
        (tmp_path / name).write_bytes((repository / name).read_bytes())
    done = subprocess.run(
        ["bash", str(tmp_path / "scripts/setup")],
        env={**os.environ, "PYTHON": "/nowhere/python"},
        capture_output=True, text=True, check=False, timeout=30,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr == ("error: PYTHON=/nowhere/python is not a working Python 3.11 or newer\n")
    assert not (tmp_path / ".venv").exists()
