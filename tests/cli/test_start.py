"""What a command loads: half a second for tables and a second for models, where none is needed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from pytest_httpserver import HTTPServer

from analyzer.cli.deferred import defer
from analyzer.pipeline.review import analyze
from analyzer.report import dump_report
from analyzer.usage import Recording, Usage
from tests.sample_server import SAMPLE_DATA
from tests.samples import meta, steady
from tests.sources.weather import Weather, cut_off, proxy

HEAVY = ("pandas.core", "pyarrow", "scipy", "sklearn", "matplotlib", "urllib3.util", "distributed")
"""A submodule tells that a library is loaded, and not only named in an import."""

REPOSITORIES = ("analyzer.landing", "analyzer.forge.forges", "analyzer.gitops.index")
"""What reads repositories and opens pull requests."""

_TELL = f"""
import sys
from analyzer.cli import main
try:
    main(sys.argv[1:], standalone_mode=False)
finally:
    print("LOADED", *[name for name in {(*HEAVY, *REPOSITORIES)!r} if name in sys.modules])
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An earlier run, and a repository with one manifest in it."""
    folder = tmp_path_factory.mktemp("start")
    seen = Recording(meta(8), Usage.from_frame(steady(8), meta(8)))
    (folder / "run.json").write_bytes(dump_report(analyze(seen)))
    (folder / "repository").mkdir()
    (folder / "repository" / "web.yaml").write_text(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web, namespace: shop}\n"
        "spec: {template: {spec: {containers: [{name: app}]}}}\n"
    )
    return folder


def loaded(folder: Path, words: list[str]) -> set[str]:
    """Which of the modules above a command has loaded when it is done."""
    done = subprocess.run(
        [sys.executable, "-c", _TELL, *words],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.splitlines()[-1].split()[1:])


@pytest.mark.parametrize(
    "words",
    [
        ["config"],
        ["index", "repository"],
        ["recommend", "--from", "run.json", "--all"],
        ["recommend", "--from", "run.json", "-o", "json"],
        ["explain", "--from", "run.json", "shop/web"],
        ["diff", "--from", "run.json", "--repo", "repository"],
        ["trace", "--from", "run.json", "--repo", "repository"],
    ],
    ids=" ".join,
)
def test_what_reads_no_usage_loads_nothing_that_usage_needs(folder: Path, words: list[str]) -> None:
    """No table, no model, no chart and no HTTP client, whatever the modules above import."""
    assert not {*HEAVY} & loaded(folder, words)


def test_recommending_without_a_repository_loads_nothing_that_reads_one(folder: Path) -> None:
    """A twelfth of the CPU of a small cluster; with one, the same is loaded."""
    source = f"recording:{SAMPLE_DATA / 'recording'}"
    words = ["recommend", "--source", source, "--window", "1d", "-q"]
    assert not {*REPOSITORIES, "distributed"} & loaded(folder, words)
    assert {*REPOSITORIES} <= loaded(folder, [*words, "--repo", "repository"])


@pytest.fixture
def slow_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module that is not loaded yet, and takes its time; each time it is, `loads` grows."""
    text = f"import time\nwith open({str(tmp_path / 'loads')!r}, 'a') as log: log.write('x')\n"
    (tmp_path / "slowly.py").write_text(text + "time.sleep(0.05)\nANSWER = 42\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "slowly", raising=False)
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path])
    return "slowly"


def test_a_deferred_module_is_loaded_once_by_whoever_uses_it_first(
    slow_module: str, tmp_path: Path
) -> None:
    """Importing it again loads nothing; of eight threads that use it each gets the whole of it."""
    defer(slow_module)
    first, again = __import__(slow_module), __import__(slow_module)
    assert first is again
    assert not (tmp_path / "loads").exists()
    answers: list[Any] = []
    threads = [Thread(target=lambda: answers.append(first.ANSWER)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [42] * 8
    assert (tmp_path / "loads").read_text() == "x"
    assert sys.modules[slow_module].ANSWER == 42


def test_what_is_loaded_or_not_installed_is_left_alone() -> None:
    """The module stays the one it was, and a missing one is missed as ever."""
    before = sys.modules["pathlib"]
    defer("pathlib", "no_such_module_anywhere")
    assert sys.modules["pathlib"] is before
    with pytest.raises(ModuleNotFoundError):
        __import__("no_such_module_anywhere")


_PARTS = """
from analyzer.cli.deferred import defer
defer("pandas", "requests", "urllib3")
import urllib3.exceptions as first
import urllib3.response
import requests.exceptions
import urllib3
import pandas.core.internals.blocks as blocks
import pandas
assert urllib3.response.ProtocolError is first.ProtocolError is urllib3.exceptions.ProtocolError
assert requests.Timeout is requests.exceptions.Timeout
assert isinstance(pandas.DataFrame({"a": [1]})._mgr.blocks[0], blocks.Block)
assert first.__spec__.origin.endswith("exceptions.py")
"""


def test_a_part_of_a_deferred_package_is_loaded_once() -> None:
    """Whoever asks for the part first: loaded twice, what one raises nobody else would catch."""
    done = subprocess.run(
        [sys.executable, "-c", _PARTS], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_an_answer_that_breaks_off_is_one_sentence_of_the_command(httpserver: HTTPServer) -> None:
    """In a process of its own, where the HTTP client is loaded while it is used."""
    httpserver.expect_request(re.compile("/.*")).respond_with_data('{"status":"success"}')
    words = [sys.executable, "-m", "analyzer", "recommend", "-q", "-p"]
    fast = {**os.environ, "RIGHTSIZE_PROMETHEUS__ATTEMPTS": "1"}
    with proxy(httpserver.url_for(""), Weather(cut_off(0.5), path="", times=99)) as url:
        done = subprocess.run([*words, url], capture_output=True, text=True, check=False, env=fast)
    assert done.returncode == 1
    (sentence,) = done.stderr.splitlines()
    assert "cannot be reached" in sentence
