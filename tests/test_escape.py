"""Text from strangers: inert wherever it goes."""

from __future__ import annotations

import csv
import io
import json
import subprocess

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from analyzer.escape import (
    code,
    csv_cell,
    html,
    json_text,
    markdown,
    markdown_table,
    one_line,
    printable,
    quoting,
    shell,
)


@given(st.text())
def test_a_terminal_gets_what_shows(text: str) -> None:
    """No escape sequence, line break or mark of direction; what shows stays."""
    shown = printable(text)
    assert shown.isprintable()
    assert len(shown) == len(text)
    assert printable("größe-1") == "größe-1"


@given(st.text())
def test_a_line_is_one_line(text: str) -> None:
    """Whatever a name holds, a comment of a script does not end early."""
    assert one_line(text).isprintable()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("media/sonarr-2.app", "media/sonarr-2.app"),
        ("a|b [x](y)", r"a\|b \[x\](y)"),
        ("<i> `c` #1\n# h", r"&lt;i&gt; \`c\` \#1 \# h"),
        ("*b* _c_ ~d~ $e$ !f", r"\*b\* \_c\_ \~d\~ \$e\$ \!f"),
        ("@everyone", "＠everyone"),
        ("- a", r"\- a"),
        ("1. a", r"1\. a"),
        ("==", r"\=="),
        ("1.43 cores", "1.43 cores"),
        ("-58%", "-58%"),
        ("see https://evil.example", r"see https\://evil.example"),
        ("www.evil.example", r"www\.evil.example"),
        ("a\x1b[31m\u202eb", r"a \[31m b"),
    ],
)
def test_markdown_has_no_markup(text: str, expected: str) -> None:
    """No cell, link, tag, list, mention or line of its own; plain names stay as they are."""
    assert markdown(text) == expected


def test_markdown_code_and_tables() -> None:
    """A span that no name ends, and rows of cells."""
    assert code("a`b\n") == "`a'b`"
    assert markdown_table(["A", "B"], [["1", "2"]]) == "| A | B |\n| --- | --- |\n| 1 | 2 |"


def test_html_has_no_tag_and_ends_no_attribute() -> None:
    """Both kinds of quotes, and what opens a tag or an entity."""
    assert (
        html("<a href='x' title=\"y\">&") == "&lt;a href=&#x27;x&#x27; title=&quot;y&quot;&gt;&amp;"
    )


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "'=1"])
def test_no_cell_is_a_formula(text: str) -> None:
    """A spreadsheet shows it as text."""
    assert csv_cell(text).startswith("'")
    row = io.StringIO()
    csv.writer(row).writerow([csv_cell(text)])
    assert row.getvalue().rstrip("\r\n").isprintable()


@given(st.lists(st.text(st.characters(exclude_characters="\0", codec="utf-8")), max_size=4))
def test_a_shell_sees_the_words(words: list[str]) -> None:
    """Each word is one argument, whatever it holds."""
    line = "printf '%s\\0' " + shell(words) if words else "true"
    done = subprocess.run(["sh", "-c", line], capture_output=True, check=True)
    assert done.stdout.decode() == "".join(f"{word}\0" for word in words)


@given(st.text())
def test_json_means_the_same_and_shows(text: str) -> None:
    """Marks of direction and control characters are escaped, and read back as they were."""
    shown = json_text(json.dumps([text], ensure_ascii=False))
    assert shown.isprintable()
    assert json.loads(shown) == [text]


@pytest.mark.parametrize("name", ["1e3", "5E1", "08", "0o17", "0e1", "1.e5", "0x1f", "y", "on"])
def test_yaml_says_text_to_every_reader(name: str) -> None:
    """What kubectl reads as a number (1e3) or a truth (y), and PyYAML as text, is quoted."""
    for dumper in (yaml.SafeDumper, getattr(yaml, "CSafeDumper", yaml.SafeDumper)):
        assert yaml.dump([name], Dumper=quoting(dumper)) == f"- '{name}'\n"


def test_yaml_keeps_numbers_and_plain_texts() -> None:
    """What no reader doubts stays as it is."""
    plain = ["50m", "96Mi", "1E", "4x", "web", 3, 1.5, 1e30, True, None]
    assert yaml.dump(plain, Dumper=quoting(yaml.SafeDumper)) == yaml.safe_dump(plain)
