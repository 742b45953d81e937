"""Fixtures for every test: the real programs, and the recorded traces where there are any."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.browser import Browser, running
from tests.sample_server import build_slice, serve

# No law is a matter of time: a busy machine is no counterexample. In CI examples are the same
# every time, so that a failure there is one of the change at hand.
settings.register_profile("rightsize", deadline=None, derandomize=os.environ.get("CI") == "true")
settings.load_profile("rightsize")

REPOSITORY = Path(__file__).resolve().parent.parent
TOOLS = REPOSITORY / ".tools" / "bin"


class MissingProgramError(Exception):
    """A program that tests drive is nowhere to be found."""


def find_program(name: str) -> Path:
    """The program `name`: from its RIGHTSIZE_* variable, from .tools/bin, or from PATH.

    Raises `MissingProgramError` with what to do; a variable that names nothing is never passed
    over for another program.
    """
    variable = "RIGHTSIZE_" + name.removesuffix(".min.js").upper().replace("-", "_")
    named = os.environ.get(variable)
    if named:
        found = shutil.which(named)
        if found is None:
            raise MissingProgramError(f"{variable}={named} is not an executable file")
        return Path(found).absolute()
    found = shutil.which(name, path=str(TOOLS)) or shutil.which(name)
    if found is None:
        raise MissingProgramError(f"{name} is not here: run `make tools`, or name it in {variable}")
    return Path(found).absolute()


def program_or_skip(name: str) -> Path:
    """The program, or a skip that says what is missing; a failure where CI=true."""
    try:
        return find_program(name)
    except MissingProgramError as missing:
        if os.environ.get("CI") == "true":
            pytest.fail(str(missing), pytrace=False)
        pytest.skip(str(missing))


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of this checkout."""
    return REPOSITORY


@pytest.fixture(scope="session")
def kubectl() -> Path:
    """The real kubectl."""
    return program_or_skip("kubectl")


@pytest.fixture(scope="session")
def helm() -> Path:
    """The real helm."""
    return program_or_skip("helm")


@pytest.fixture(scope="session")
def prometheus() -> Path:
    """The real Prometheus server."""
    return program_or_skip("prometheus")


@pytest.fixture(scope="session")
def promtool() -> Path:
    """The real promtool, which backfills a Prometheus."""
    return program_or_skip("promtool")


@pytest.fixture(scope="session")
def victoria_metrics() -> Path:
    """The real single-node VictoriaMetrics server."""
    return program_or_skip("victoria-metrics")


@pytest.fixture(scope="session")
def git() -> Path:
    """The real git."""
    return program_or_skip("git")


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A real Chromium."""
    with running(program_or_skip("chromium"), tmp_path_factory.mktemp("chromium")) as page:
        yield page


@pytest.fixture(scope="session")
def axe() -> str:
    """The script of axe-core, which looks for what keeps people from using a page."""
    return program_or_skip("axe.min.js").read_text("utf-8")


@pytest.fixture(scope="session")
def evaluation() -> Path:
    """The folder of recorded traces, from RIGHTSIZE_EVALUATION or beside the checkout."""
    default = REPOSITORY.parent / "shared" / "evaluation"
    folder = Path(os.environ.get("RIGHTSIZE_EVALUATION", default))
    if not folder.is_dir():
        pytest.skip(f"no recorded traces in {folder}; name their folder in RIGHTSIZE_EVALUATION")
    return folder


@pytest.fixture(scope="session")
def slice_server(
    tmp_path_factory: pytest.TempPathFactory, prometheus: Path, promtool: Path
) -> Iterator[str]:
    """The address of a real Prometheus that holds two weeks of a part of the sample cluster."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    blocks = build_slice(shared / "sample-slice", promtool)
    with serve(prometheus, blocks, tmp_path_factory.mktemp("prometheus")) as url:
        yield url
