"""Lists, help, flags and completion: the same habits in every command."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest
import yaml
from click.testing import CliRunner, Result

from analyzer.cli import main
from analyzer.report import dump_report
from analyzer.workload import ContainerRef
from tests.samples import recommendation, report, resources

GITOPS = (
    Path(__file__).resolve().parents[2] / "sample-data" / "gitops" / "kubernetes" / "apps" / "ai"
)


def call(*words: str) -> Result:
    done = CliRunner().invoke(main, list(words))
    assert done.exception is None or isinstance(done.exception, SystemExit)
    return done


@pytest.mark.parametrize(
    ("words", "key", "name"),
    [(["config"], "settings", "setting"), (["index", str(GITOPS)], "places", "path")],
)
def test_every_form_of_a_list_holds_the_same(words: list[str], key: str, name: str) -> None:
    """JSON, YAML, CSV, tables and columns are made of the same records."""
    value = json.loads(call(*words, "-o", "json").stdout)
    assert yaml.safe_load(call(*words, "-o", "yaml").stdout) == value
    rows = list(csv.DictReader(io.StringIO(call(*words, "-o", "csv").stdout)))
    assert len(rows) == len(value[key]) > 1
    chosen = call(*words, "-o", f"custom-columns=IT:{name}").stdout.splitlines()
    assert chosen == ["IT", *(row[name] for row in rows)]
    table = call(*words).stdout.splitlines()
    assert len(table) == 1 + len(rows)
    bare = call(*words, "--no-headers").stdout.splitlines()
    assert [line.split() for line in bare] == [line.split() for line in table[1:]]
    assert call(*words, "-o", "csv", "--no-headers").stdout.count("\n") == len(rows)
    names = call(*words, "-o", "name").stdout.splitlines()
    assert len(names) == len(rows)
    assert len(call(*words, "-o", "markdown").stdout.splitlines()) == 2 + len(rows)
    falling = call(*words, "-o", "custom-columns=:" + name, "--no-headers", f"--sort-by=-{name}")
    assert falling.stdout.splitlines() == sorted((row[name] for row in rows), reverse=True)


def test_a_field_that_is_not_there_is_one_sentence() -> None:
    """With the likely one, for columns and for the order."""
    for words in (["--sort-by", "originn"], ["-o", "custom-columns=X:originn"]):
        done = call("config", *words)
        assert done.exit_code == 2
        assert done.stderr == "Error: there is no field 'originn'; did you mean origin?\n"


def test_help_groups_every_command() -> None:
    """None is left out, whoever adds one."""
    shown = [
        line.split()[0]
        for line in call("--help").stdout.splitlines()
        if line[:2] == "  " and line.strip()
    ]
    assert {*main.commands} <= {*shown}


@pytest.mark.parametrize("name", sorted(main.commands))
def test_quiet_and_debug_stand_behind_every_command(name: str) -> None:
    """Known wherever they stand, so that nobody has to learn the order."""
    assert call(name, "-q", "--debug", "--help").exit_code == 0


def test_debug_shows_tracebacks_of_every_command() -> None:
    """Also of those that have no settings of their own."""
    done = CliRunner().invoke(main, ["schema", "--debug", "nothing"])
    assert type(done.exception).__name__ == "UsageError"


def test_the_manual_holds_every_command_and_option() -> None:
    """As text that roff takes as such; groff, where there is one, complains of nothing."""
    page = call("man").stdout
    for name, command in main.commands.items():
        assert f".SS rightsize {name}\n" in page
        for option in (o for p in command.params if isinstance(p, click.Option) for o in p.opts):
            assert option.replace("-", "\\-") in page
    assert not re.search(r"^[.'](?!TH|SH|SS|PP|TP|B )", page, re.MULTILINE)
    groff = shutil.which("groff")
    if groff is not None:
        words = [groff, "-man", "-Tutf8", "-ww"]
        done = subprocess.run(words, input=page, capture_output=True, text=True, check=True)
        assert done.stderr == ""


def test_the_version_is_a_command_and_a_flag() -> None:
    """Both say the same number."""
    number = call("--version").stdout.split()[-1]
    assert call("version").stdout.startswith(f"rightsize {number}, Python ")


@pytest.fixture
def last_run(tmp_path: Path) -> Path:
    """A folder in which a run was made."""
    names = (("media", "plex"), ("media", "prowlarr"), ("ai", "ollama"))
    refs = (ContainerRef("lab", namespace, "Deployment", name, "app") for namespace, name in names)
    found = report(*(recommendation(resources("1"), resources("500m"), of=ref) for ref in refs))
    (tmp_path / "reports" / "latest").mkdir(parents=True)
    (tmp_path / "reports" / "latest" / "run.json").write_bytes(dump_report(found))
    return tmp_path


def completed(folder: Path, line: str, shell: str = "bash") -> list[str]:
    """What the shell is told for a command line that ends at its last word."""
    words = line.split(" ")
    done = subprocess.run(
        [sys.executable, "-c", "from analyzer.cli import main; main(prog_name='rightsize')"],
        env={
            **os.environ,
            "PYTHONPATH": str(Path(__file__).resolve().parents[2]),
            "COMP_WORDS": line,
            "COMP_CWORD": words[-1] if shell == "fish" else str(len(words) - 1),
            "_RIGHTSIZE_COMPLETE": f"{shell}_complete",
        },
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    return lines[1::3] if shell == "zsh" else [x.split(",", 1)[1] for x in lines if x]


def test_names_of_the_last_run_are_completed(last_run: Path) -> None:
    """Namespaces, then what is in them; behind -n the names alone, and kinds as kubectl does."""
    for shell in ("bash", "zsh", "fish"):
        assert completed(last_run, "rightsize recommend m", shell) == ["media/"]
    assert completed(last_run, "rightsize explain media/p") == ["media/plex", "media/prowlarr"]
    assert completed(last_run, "rightsize recommend deploy/o") == ["deploy/ollama"]
    assert completed(last_run, "rightsize recommend -n media,a") == ["media,ai"]
    assert completed(last_run, "rightsize recommend -n media pl") == ["plex"]


def test_where_nothing_ran_nothing_is_completed(tmp_path: Path) -> None:
    """And nothing is said: a completion has no place for it."""
    assert completed(tmp_path, "rightsize explain m") == []


def test_models_and_formats_are_completed() -> None:
    """What is chosen by name is offered by name."""
    context = click.Context(main.commands["backtest"])
    (models,) = [p for p in main.commands["backtest"].params if p.name == "models"]
    assert [c.value for c in models.shell_complete(context, "vpa,po")] == ["vpa,pooled"]
    (formats,) = [p for p in main.commands["run"].params if p.name == "formats"]
    assert [c.value for c in formats.shell_complete(context, "par")] == ["parquet"]


@pytest.mark.parametrize("name", [None, *sorted(main.commands)])
def test_help_fits_a_terminal_and_leaves_no_option_out(name: str | None) -> None:
    """Eighty columns, whichever section an option is in; each is there once."""
    lines = call(*([name] if name else []), "--help").stdout.splitlines()
    assert [line for line in lines if len(line) > 80] == []
    command = main.commands[name] if name else main
    first = [line.split()[0].rstrip(",") for line in lines if line.startswith("  -")]
    options = [each for each in command.params if isinstance(each, click.Option)]
    assert sorted(first) == sorted(["-h", *(each.opts[0] for each in options)])
