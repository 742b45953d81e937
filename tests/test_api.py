"""What users import: names with real types, cheap to import, and paths as people have them."""

from __future__ import annotations

import ast
import importlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import assert_type

import pytest

import analyzer
import rightsize
from analyzer import (
    AnalyzerError,
    Policies,
    Policy,
    PrometheusSettings,
    Recording,
    Report,
    Source,
    Window,
    analyze,
    load_recording,
    load_report,
    open_source,
)

ROOT = Path(__file__).resolve().parent.parent
SAMPLE = ROOT / "sample-data" / "recording"
HEAVY = {"requests.models", "prometheus_api_client", "scipy", "sklearn", "matplotlib"}


def types(recording: Recording, path: Path) -> None:
    """Never called: mypy proves here that the names have their own types, through both packages."""
    assert_type(analyze(recording, policies=Policies(Policy())), Report)
    assert_type(load_recording(str(path)), Recording)
    assert_type(load_report(path), Report)
    assert_type(open_source("prometheus:http://x", PrometheusSettings()), Source)
    assert_type(Window(), Window)
    assert_type(rightsize.analyze(recording), Report)
    assert_type(rightsize.load_recording(path), Recording)


def test_the_public_names_are_those_with_types() -> None:
    """What a type checker sees and what Python imports are the same list, and each is there."""
    tree = ast.parse((ROOT / "analyzer" / "__init__.py").read_text("utf-8"))
    (checked,) = [node for node in tree.body if isinstance(node, ast.If)]
    typed = {
        alias.asname: node.module.removeprefix("analyzer.")
        for node in checked.body
        if isinstance(node, ast.ImportFrom) and node.module
        for alias in node.names
        if alias.asname
    }
    assert typed == analyzer._HOME
    for package in (analyzer, rightsize):
        assert {*typed, "__version__"} == set(package.__all__)
        for name in package.__all__:
            assert getattr(package, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'Wndow'"):
        analyzer.Wndow  # type: ignore[attr-defined]  # noqa: B018  # what is not there


@pytest.mark.parametrize("kind", [str, Path, os.fspath])
def test_a_path_is_text_or_a_path(kind: type) -> None:
    """Users bring either."""
    assert load_recording(kind(SAMPLE)).meta.cluster


_IMPORT = re.compile(r"^\s*(from (?:analyzer|rightsize)[\w.]* import [\w, ]+)$", re.MULTILINE)


def snippets() -> Iterator[tuple[str, str]]:
    """Every import of this project in a page or a notebook, with where it stands."""
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *ROOT.glob("notebooks/*.ipynb")]
    for page in pages:
        text = page.read_text("utf-8")
        if page.suffix == ".ipynb":
            text = "\n".join("".join(cell["source"]) for cell in json.loads(text)["cells"])
        for line in re.findall(
            r"^\s*(from (?:analyzer|rightsize)[\w.]* import [\w, ]+)$", text, re.M
        ):
            yield page.name, line


@pytest.mark.parametrize(("page", "line"), sorted(set(snippets())))
def test_every_documented_import_works(page: str, line: str) -> None:
    """Whoever copies a snippet gets what it names."""
    # Every line is such an import.
    module, names = re.fullmatch(r"from ([\w.]+) import (.*)", line).groups()  # type: ignore[union-attr]
    for name in names.split(","):
        assert hasattr(importlib.import_module(module), name.strip()), page


def test_a_source_takes_its_own_settings() -> None:
    """Those of another kind would be passed over in silence."""
    assert open_source(f"recording:{SAMPLE}").describe() == f"recording:{SAMPLE}"
    with pytest.raises(AnalyzerError, match="recording takes RecordingSettings, found Prom"):
        open_source(f"recording:{SAMPLE}", PrometheusSettings())


def loaded(statement: str) -> set[str]:
    """Which of the heavy libraries a statement brings in."""
    code = f"{statement}\nimport sys; print('LOADED', *sorted({HEAVY!r} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    return set(done.stdout.splitlines()[-1].split()[1:])


@pytest.mark.parametrize(
    "statement",
    [
        "import rightsize",
        "from analyzer.cli import main; main(['config'], standalone_mode=False)",
        "from analyzer.cli import main; main(['config', '--schema'], standalone_mode=False)",
        "from rightsize import load_recording; load_recording('sample-data/recording')",
    ],
)
def test_settings_and_recordings_need_no_server_and_no_science(statement: str) -> None:
    """Neither an HTTP client nor scipy is loaded where nothing is asked or fitted."""
    assert loaded(statement) == set()
