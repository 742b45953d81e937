"""Names from strangers, in every output format there is."""

from __future__ import annotations

import io
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from analyzer.cli.formats import FORMATS, View, show_report
from analyzer.gitops.land.proven import Proof
from analyzer.history import Skipped
from analyzer.report import Change, Landing, Report, dump_report
from analyzer.workload import ContainerRef
from analyzer.writers import WRITERS
from tests.samples import recommendation, report, resources

HOSTILE = [
    "a\x1b[2J\x1b]0;t\x07b",
    "a\x9b31mb",
    "a\u202eb\u2066c\u200bd",
    "a\r\nb\u2028c",
    "@everyone",
    "=HYPERLINK(A1)",
    "a|b",
    "`id`",
    "$(id)",
    "a'; id; '",
    "<img src=x onerror=alert(1)>",
    "[x](javascript:alert(1))",
    "# a: {b: [c]}",
    "../../etc/passwd",
]
# Files hold what a repository holds, line breaks and tabs included; all else in them must show.
_INVISIBLE = re.compile(r"[^\n\t]")


def hostile(name: str) -> Report:
    """A report in which a stranger chose every name and reason."""
    of = ContainerRef(name, name, "Deployment", name, name)
    kind = ContainerRef(name, name, name, name, name)
    rows = [
        replace(recommendation(resources("1"), resources("100m"), of=one), notes=(name,))
        for one in (of, kind)
    ]
    made = report(*rows, skipped=(Skipped(replace(of, container=f"{name}2"), name),))
    proof = Proof((name,), rendered_with=name, without=name)
    landing = Landing(
        str(of), "edited", name, f"HelmRelease {name}/{name}", name, 0, "spec.values.resources",
        "certain", proof,
    )  # fmt: skip
    change = Change("0001-x.patch", "b", name, "body\n", "")
    return replace(
        made,
        landings=(landing, replace(landing, status="advice")),
        changes=(change,),
        warnings=(name,),
        verdict=name,
    )


def shown(text: str) -> bool:
    """Whether a terminal and a reader see every character for what it is."""
    return all(found[0].isprintable() for found in _INVISIBLE.finditer(text))


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("form", WRITERS)
def test_no_file_holds_what_acts_on_a_terminal(form: str, name: str) -> None:
    """No escape sequence and no mark of direction in any file; no file outside its folder."""
    for path, content in WRITERS[form](hostile(name)).items():
        assert ".." not in path.split("/") and not path.startswith("/")
        assert shown(path)
        if not path.endswith(".parquet"):  # which no terminal is shown; see below
            assert shown(content.decode()), path


@pytest.mark.parametrize("name", HOSTILE)
def test_tables_for_programs_hold_names_as_they_are(name: str) -> None:
    """Parquet is read by programs, which must find again what they look for."""
    content = WRITERS["parquet"](hostile(name))["recommendations.parquet"]
    frame = pd.read_parquet(io.BytesIO(content))
    pd.testing.assert_frame_equal(frame, hostile(name).to_frame(), check_dtype=False)


@pytest.mark.parametrize("name", HOSTILE)
def test_markdown_files_hold_no_markup_of_strangers(name: str) -> None:
    """No mention, tag, link or further cell."""
    made = hostile(name)
    for form in ("summary", "gitdiff"):
        for path, content in WRITERS[form](made).items():
            if path.endswith(".md"):
                text = content.decode()
                assert "@" not in text
                assert "<img" not in text
                assert "](" not in text.replace(r"\](", "").replace("](charts/", "")


@pytest.mark.parametrize("name", HOSTILE)
def test_scripts_do_what_they_say_and_nothing_else(name: str, tmp_path: Path) -> None:
    """A script of hostile names runs no command but kubectl, here a stand-in that counts."""
    sh = shutil.which("sh")
    assert sh is not None
    files = {**WRITERS["kubectl"](hostile(name)), **WRITERS["resize"](hostile(name))}
    for path, content in files.items():
        if path.endswith(".sh"):
            script = tmp_path / "script.sh"
            script.write_bytes(content)
            # No PATH: whatever a name made it run would not be found, and fail.
            done = subprocess.run(
                [sh, "-n", str(script)], capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, done.stderr
            words = [line for line in content.decode().splitlines() if "id" in line.split()]
            assert all(line.startswith("#") for line in words)


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("form", FORMATS)
def test_nothing_on_stdout_acts_on_a_terminal(
    form: str, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every form of `recommend` shows names and never does what they say."""
    show_report(hostile(name), View(form), everything=True)
    assert shown(capsys.readouterr().out)


@pytest.mark.parametrize("name", HOSTILE)
def test_the_report_itself_shows(name: str) -> None:
    """run.json can be looked at with `cat`, and still holds every name as it is."""
    assert shown(dump_report(hostile(name)).decode())
