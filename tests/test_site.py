"""The site: it builds, what it shows is run, and the errors it explains are those of the code."""

from __future__ import annotations

import ast
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from analyzer.cli import main

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
RUN_WHOLE = ("index.md", "flux.md", "kustomize.md", "argocd.md")
"""Pages whose every block of commands is run, one after the other in one folder."""
PAGES = sorted([ROOT / "README.md", *DOCS.glob("**/*.md")])


@pytest.mark.slow
def test_every_command_of_the_guides_runs(tmp_path: Path) -> None:
    """As a reader would copy them, from a folder that holds the sample data."""
    (tmp_path / "sample-data").symlink_to(ROOT / "sample-data")
    home = tmp_path / "bin"
    home.mkdir()
    command = home / "rightsize"
    command.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -m rightsize "$@"\n')
    command.chmod(0o755)
    environment = {**os.environ, "PATH": f"{home}{os.pathsep}{os.environ['PATH']}"}
    blocks = [(page, block) for page in RUN_WHOLE for block in commands_of(DOCS / page)]
    assert len(blocks) >= 10
    for page, block in blocks:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", block],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{page}: {block}\n{done.stdout}{done.stderr}"
    plex = (tmp_path / "shop" / "base" / "plex.yaml").read_text()
    assert "- name: app # the only one" in plex
    assert "memory: 8Gi" not in plex


def commands_of(page: Path) -> list[str]:
    """The blocks of shell commands on a page."""
    return re.findall(r"^```sh\n(.*?)^```", page.read_text("utf-8"), re.DOTALL | re.MULTILINE)


def lines_of_commands(page: Path) -> Iterator[list[str]]:
    """Every call of rightsize in the blocks of a page, as its words; what is elided is no call."""
    text = page.read_text("utf-8")
    for block in re.findall(r"^```(?:sh|console|bash)\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
        for line in block.replace("\\\n", " ").splitlines():
            found = re.search(r"(?:^|[$|(] ?|bin/)(?:kubectl )?rightsize (.*)", line.strip())
            if found and "..." not in found[1]:
                call = re.split(r" [|>&]|\)|;", found[1])[0]
                yield shlex.split(call, comments=True)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_command_of_a_page_is_one(page: Path) -> None:
    """Commands and flags are those that there are, also where they need a cluster to run."""
    for words in lines_of_commands(page):
        name = words[0]
        if name.startswith("-"):
            continue
        assert name in main.commands, words
        command = main.commands[name]
        with click.Context(command, info_name=name, resilient_parsing=True) as context:
            known = {
                flag for p in command.get_params(context) for flag in (*p.opts, *p.secondary_opts)
            }
        given = [word.partition("=")[0] for word in words[1:] if re.match("--?[a-zA-Z]", word)]
        assert [flag for flag in given if flag not in known] == [], words


def test_there_are_commands_to_look_at() -> None:
    """The pages show dozens of calls, and each of them is found."""
    assert sum(len(list(lines_of_commands(page))) for page in PAGES) > 30


def test_the_errors_that_are_explained_are_printed_by_the_code() -> None:
    """Each part of a sentence between what differs stands in one text of the code."""
    page = (DOCS / "trouble.md").read_text("utf-8")
    sentences = re.findall(r"^\| `(.+?)` \|", page, re.MULTILINE)
    texts = list(spoken())
    missing = [
        sentence
        for sentence in sentences
        if not any(in_order([p.strip() for p in sentence.split("…")], text) for text in texts)
    ]
    assert len(sentences) > 20
    assert missing == []


def test_every_threat_names_the_tests_that_hold_it() -> None:
    """A line without a test is a hope, and a name of no test is less."""
    page = (DOCS / "threats.md").read_text("utf-8")
    threats, _, held = page.partition("## What holds it")
    numbers = re.findall(r"^\| (\d+) \|", threats, re.MULTILINE)
    assert numbers == re.findall(r"^\| (\d+) \|", held, re.MULTILINE)
    assert len(numbers) > 10
    for row in re.findall(r"^\| \d+ \| (.+) \|$", held, re.MULTILINE):
        named = re.findall(r"`(\S+?)(?:::(\w+))?`", row)
        assert len(named) == row.count(" · ") + 1
        for file, name in named:
            defined = re.findall(
                r"^def (test_\w+)\(", (ROOT / file).read_text("utf-8"), re.MULTILINE
            )
            assert defined and (not name or name in defined), (file, name)


def in_order(parts: list[str], text: str) -> bool:
    """Whether `text` holds all `parts`, one behind the other."""
    at = 0
    for part in parts:
        at = text.find(part, at)
        if at < 0:
            return False
        at += len(part)
    return True


def spoken() -> Iterator[str]:
    """Every text in the code, what is filled in as an ellipsis."""
    for file in (ROOT / "analyzer").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.JoinedStr):
                yield "".join(
                    str(part.value) if isinstance(part, ast.Constant) else "…"
                    for part in node.values
                )
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site as mkdocs builds it, where every warning is an error."""
    folder = tmp_path_factory.mktemp("site")
    words = [sys.executable, "-m", "mkdocs", "build", "-q", "-f", str(ROOT / "mkdocs.yml")]
    words += ["-d", str(folder)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


def test_every_page_is_in_the_navigation(site: Path) -> None:
    """Nobody has to know an address, and there is a page for every entry."""
    nav = re.findall(r": (\S+\.md)", (ROOT / "mkdocs.yml").read_text("utf-8"))
    assert sorted(nav) == sorted(p.relative_to(DOCS).as_posix() for p in DOCS.glob("**/*.md"))
    assert (site / "trouble" / "index.html").exists()


def test_the_site_loads_nothing_from_elsewhere(site: Path) -> None:
    """Scripts, styles and pictures lie beside the pages: it can be read without a network."""
    for page in site.rglob("*.html"):
        text = page.read_text("utf-8")
        loaded = re.findall(r"<(?:script|link|img|iframe)\b[^>]*?(?:src|href)=\"([^\"]*)\"", text)
        assert [a for a in loaded if re.match("https?:|//", a)] == [], page.name
        assert "](../" not in text
