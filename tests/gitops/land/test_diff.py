"""Diffs and patch mails, as git itself takes them."""

from __future__ import annotations

from pathlib import Path

import pytest

from analyzer.escape import one_line
from analyzer.gitops.land.diff import Author, diff_of, joined, mail, mail_series, unified_diff
from tests.gitops.conftest import Git

NAMES = ["plain.yaml", "with space.yaml", "ümlaut/😀.yaml", 'quo"te.yaml', "back\\slash.yaml"]
TEXTS = [
    ("a: 1\nb: 2\n", "a: 1\nb: 3\n"),
    ("a: 1\nb: 2", "a: 1\nb: 3"),
    ("a: 1\r\nb: 2\r\n", "a: 1\r\nb: 3\r\n"),
    ("\ufeffa: 1\n", "\ufeffa: 2\n"),
    ("a: ü\n\n\n\n\nb: 1\n\n\n\n\nc: 1\n", "a: ö\n\n\n\n\nb: 1\n\n\n\n\nc: 2\n"),
    ("a: |\n  From me\n  --- x\n  -- \nb: 1\n", "a: |\n  From me\n  --- x\n  -- \nb: 2\n"),
    ("a: 'x\x0cy\u2028z'\nb: 1\n", "a: 'x\x0cy\u2028z'\nb: 2\n"),
]


def plant(folder: Path, git: Git, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())
    git(folder, "init", "-q")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "base")
    return folder


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("texts", TEXTS)
def test_git_apply_gives_exactly_the_text_after(
    tmp_path: Path, git: Git, name: str, texts: tuple[str, str]
) -> None:
    """Whatever the file's name, endings and characters, `git apply` reproduces the edit."""
    (tmp_path / "r").mkdir()
    root = plant(tmp_path / "r", git, {name: texts[0]})
    done = git(root, "apply", "-", given=unified_diff({name: texts}).encode())
    assert done.returncode == 0, done.stderr
    assert (root / name).read_bytes().decode() == texts[1]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("texts", TEXTS)
def test_git_am_gives_exactly_the_text_after(
    tmp_path: Path, git: Git, name: str, texts: tuple[str, str]
) -> None:
    """Mails survive `git am` with carriage returns, lines like `From ` and odd names."""
    (tmp_path / "r").mkdir()
    root = plant(tmp_path / "r", git, {name: texts[0]})
    text = mail(
        "fix: ü → x", "why\n---\ndiff --git a b\nFrom here\n", {name: texts}, Author(), 1, 1
    )
    done = git(root, "am", "-q", given=text.encode())
    assert done.returncode == 0, done.stderr
    assert (root / name).read_bytes().decode() == texts[1]
    said = git(root, "log", "-1", "--format=%an <%ae>%n%s%n%b").stdout.decode()
    assert said.startswith("rightsize <rightsize@localhost>\nfix: ü → x\nwhy\n")
    assert "From here" in said


def test_a_series_applies_in_order(tmp_path: Path, git: Git) -> None:
    """Two mails that touch one file stand on top of each other."""
    (tmp_path / "r").mkdir()
    root = plant(tmp_path / "r", git, {"a.yaml": "a: 1\nb: 1\n"})
    steps = [
        ("one", "", {"a.yaml": ("a: 1\nb: 1\n", "a: 2\nb: 1\n")}),
        ("two", "", {"a.yaml": ("a: 2\nb: 1\n", "a: 2\nb: 2\n")}),
    ]
    for text in mail_series(steps, Author("Ann Önymous", "ann@example.org")):
        assert git(root, "am", "-q", given=text.encode()).returncode == 0
    assert (root / "a.yaml").read_text() == "a: 2\nb: 2\n"
    assert git(root, "log", "-1", "--format=%an").stdout.decode().strip() == "Ann Önymous"


def test_nothing_changed_is_no_diff_and_no_mail() -> None:
    """An edit that changes nothing leaves no trace."""
    edits = {"a.yaml": ("a: 1\n", "a: 1\n")}
    assert unified_diff(edits) == ""
    assert mail("x", "y", edits, Author(), 1, 1) == ""


def test_strangers_names_cannot_write_headers(tmp_path: Path, git: Git) -> None:
    """Line breaks in a subject or an author become spaces, so no header can be smuggled in."""
    (tmp_path / "r").mkdir()
    root = plant(tmp_path / "r", git, {"a.yaml": "a: 1\n"})
    author = Author("x\nSubject: y <z>", "a@b\n\nbody")
    text = mail(
        "one\r\nFrom: evil <e@x>\n\nBody", "", {"a.yaml": ("a: 1\n", "a: 2\n")}, author, 1, 1
    )
    assert git(root, "am", "-q", given=text.encode()).returncode == 0
    said = git(root, "log", "-1", "--format=%an|%s").stdout.decode().strip()
    assert said == "x Subject: y z|one From: evil <e@x> Body"


def test_one_line_is_one_line() -> None:
    """Control characters, bidirectional marks and breaks are gone."""
    assert one_line("a\x1b[31m\n\u202eb\x00c\u2028d") == "a [31m b c d"


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("texts", TEXTS)
def test_a_mail_holds_its_diff_byte_for_byte(name: str, texts: tuple[str, str]) -> None:
    """What is in a commit need not be kept a second time."""
    body = "why\n---\ndiff --git a b\nFrom here\n-- \nrightsize\n"
    text = mail("fix: ü → x", body, {name: texts}, Author(), 1, 2)
    assert diff_of(text) == unified_diff({name: texts})


def test_diffs_of_different_files_join_to_the_diff_of_all() -> None:
    """In the order of files; two edits of one file are no plain sum."""
    edits = {"b/x.yaml": ("a: 1\n", "a: 2\n"), "a.yaml": ("diff --git x\n", "c: 2"), "c": ("", "d")}
    single = [unified_diff({name: edits[name]}) for name in ("b/x.yaml", "c", "a.yaml")]
    assert joined(single) == unified_diff(edits)
    assert joined([single[0], single[0]]) is None
    assert joined([]) == ""
