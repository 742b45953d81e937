"""The documentation follows the code."""

from __future__ import annotations

import importlib.util
import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from analyzer.cli import main
from analyzer.config import Config, json_schema
from analyzer.config.shown import flatten
from analyzer.sources import load_recording, save_recording

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def make_docs() -> ModuleType:
    """The script that makes the generated pages."""
    return script("make_docs")


def test_what_is_made_from_the_code_is_current(make_docs: ModuleType) -> None:
    """After a change of settings, commands, floors or words, `make docs` was run."""
    assert make_docs.stale() == [], "run `make docs`"


def test_every_setting_says_what_it_means(make_docs: ModuleType) -> None:
    """No setting is named on no page, or without a sentence; the schema has the same sentences."""
    page = make_docs.settings()
    for dotted in flatten(Config()):
        if dotted != "rules":
            name = dotted.rpartition(".")[2]
            row = re.search(rf"^\| `{name}` \|.*\| ([^|]+) \|$", page, re.MULTILINE)
            assert row and len(row[1].strip()) > 10, dotted
    properties = json_schema()["$defs"]["Config"]["properties"]
    assert all(p.get("description") for name, p in properties.items() if "$ref" not in p), name


def test_every_option_says_what_it_does() -> None:
    """Help is complete: each command has a text, and so has each of its options."""
    for name, command in main.commands.items():
        assert command.help, name
        options = [p for p in command.params if p.param_type_name == "option"]
        assert [o.name for o in options if not getattr(o, "help", None)] == [], name


@pytest.mark.parametrize(
    "page",
    sorted(
        p.relative_to(ROOT).as_posix() for p in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]
    ),
)
def test_no_link_leads_nowhere(page: str) -> None:
    """Every relative link of every page names a file that is there."""
    text = re.sub(r"```.*?```", "", (ROOT / page).read_text("utf-8"), flags=re.DOTALL)
    links = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text)
    missing = [
        link
        for link in links
        if "://" not in link and not (ROOT / page).parent.joinpath(link).exists()
    ]
    assert missing == []


def script(name: str) -> ModuleType:
    """A module of scripts/."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def test_the_example_is_small_and_holds_what_it_links() -> None:
    """A handful of files; what a run wrote besides is told in plain words."""
    example = ROOT / "reports" / "example"
    assert len([path for path in example.rglob("*") if path.is_file()]) <= 12
    links = re.findall(r"\]\(([^)\s]+)\)", (example / "summary.md").read_text("utf-8"))
    assert "charts/cluster.png" in links
    assert [link for link in links if not (example / link).exists()] == []


def test_the_example_depends_on_nothing_but_the_code(tmp_path: Path) -> None:
    """Two runs at other times, and with other changes before this one, make the same files."""
    made = []
    for number, time in (("0001", "2026-11-23 06:00"), ("0007", "2027-01-01 00:00")):
        run, example = tmp_path / number, tmp_path / f"example-{number}"
        for folder in ("charts", "git"):
            (run / folder).mkdir(parents=True)
        module = script("make_example")
        for name in module.CHARTS:
            (run / "charts" / name).write_bytes(b"png")
        change = run / "git" / f"{number}-fix-{module.CHANGE}-cpu.md"
        change.write_text("what changes")
        change.with_suffix(".patch").write_text(f"Subject: [PATCH {number[-1]}/9] fix\n")
        (run / "summary.md").write_text(
            f"[a](charts/cluster.png) [b](charts/b.png)\n\n---\n\n"
            f"Made by rightsize 1.{number[-1]} on {time} UTC. Patches.\n"
        )
        module.main(run, example)
        made.append({p.name: p.read_bytes() for p in example.rglob("*") if p.is_file()})
    assert made[0] == made[1]
    summary = made[0]["summary.md"].decode()
    assert summary == "[a](charts/cluster.png) b\n\n---\n\nMade by rightsize. Patches.\n"


def test_a_tag_must_name_the_version() -> None:
    """A release of another version than the code's stops with what to do."""
    done = subprocess.run(
        [ROOT / "scripts" / "check-tag", "v99.0.0"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "the tag is v99.0.0 and the code says" in done.stderr


def test_documented_code_runs_as_it_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every Python block of the pages, from where a reader would run it; here on one namespace."""
    whole = load_recording(ROOT / "sample-data" / "recording")
    save_recording(whole.restrict(lambda name: name == "media"), tmp_path / "sample-data/recording")
    shutil.copytree(ROOT / "sample-data" / "gitops", tmp_path / "sample-data/gitops")
    for folder in ("charts", "out"):
        (tmp_path / folder).mkdir()
    monkeypatch.chdir(tmp_path)
    blocks = [
        block
        for page in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
        for block in re.findall(r"^```python\n(.*?)^```", page.read_text("utf-8"), re.S | re.M)
    ]
    assert len(blocks) >= 2
    for block in blocks:
        (tmp_path / "snippet.py").write_text(block, "utf-8")
        runpy.run_path(str(tmp_path / "snippet.py"))
    (mail,) = (tmp_path / "out").iterdir()
    assert "sonarr" in mail.read_text()
