"""The documentation follows the code."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

from analyzer.cli import main
from analyzer.config import Config, json_schema
from analyzer.config.shown import flatten

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def make_docs() -> ModuleType:
    """The script that makes the generated pages."""
    spec = importlib.util.spec_from_file_location("make_docs", ROOT / "scripts" / "make_docs.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["make_docs"] = module
    spec.loader.exec_module(module)
    return module


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
