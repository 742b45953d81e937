"""Plain words: whatever a reviewer reads needs no dictionary of ours."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from analyzer.cli import main
from analyzer.models.demand import Step
from analyzer.recommend.codes import CODES
from analyzer.report import load_report
from analyzer.writers.explanation import explanation
from analyzer.writers.glossary import STEPS
from tests.samples import recommendation, report, resources

SAMPLE = Path(__file__).resolve().parent.parent / "sample-data"
OURS = re.compile(r"\b(?:outlooks?|calibrat\w*|drift\w*|due)\b|\bday (?:\d+|\{\}) of\b", re.I)
"""Our own words, and days that are counted from somewhere instead of dated."""
GLOSSED = "(also called calibration)"
WEEKS, GLOSS = "container-weeks", "container-weeks (each one container for 7 days)"


def sentences(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Texts of three words or more that are no documentation, ``{}`` for what is filled in."""
    skipped: set[int] = set()
    for node in ast.walk(tree):
        text = ""
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            skipped.add(id(node.value))  # a docstring
        elif id(node) in skipped:
            continue
        elif isinstance(node, ast.JoinedStr):
            parts = [v.value if isinstance(v, ast.Constant) else "{}" for v in node.values]
            text = "".join(map(str, parts))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            text = node.value
        if isinstance(node, ast.expr) and len(text.split()) >= 3:
            yield node.lineno, text


def test_no_text_in_the_code_uses_words_of_ours() -> None:
    """Whichever output it lands in, and whether or not an example shows it."""
    root = Path(__file__).resolve().parent.parent / "analyzer"
    found = []
    for path in sorted(root.rglob("*.py")):
        for line, text in sentences(ast.parse(path.read_text("utf-8"))):
            if OURS.search(text.replace(GLOSSED, "")) or WEEKS in text:
                found.append(f"{path.relative_to(root)}:{line}: {text}")
    assert not found


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What a run on a part of the sample cluster tells, by where it is told."""
    out = tmp_path_factory.mktemp("told") / "out"
    words = ["run", "--source", f"recording:{SAMPLE}/recording", "-n", "media,flux-system"]
    words += ["--repo", str(SAMPLE / "gitops"), "--no-charts", "-o", str(out)]
    run = CliRunner().invoke(main, [*words, "--ledger", str(out.parent / "ledger")])
    assert run.exit_code == 0, run.output
    past = CliRunner().invoke(main, ["history", "--ledger", str(out.parent / "ledger")])
    mails, bodies = sorted(out.glob("git/*.patch")), sorted(out.glob("git/*.md"))
    return {
        "stderr": run.stderr,
        "explain": explanation(load_report(out / "run.json")),
        "history": past.stdout,
        "summary": (out / "summary.md").read_text(),
        "page": re.sub(r"<(style|script).*?</\1>|<code>[a-z0-9 ]+</code>|<[^>]+>", " ",
                       (out / "index.html").read_text(), flags=re.S),
        "mail": "\n".join(path.read_text() for path in mails),
        "pull request": "\n".join(path.read_text() for path in bodies),
    }  # fmt: skip


def test_what_a_run_tells_is_in_plain_words(told: dict[str, str]) -> None:
    """Codes of steps stand in brackets behind their words; a container-week says what it is."""
    for where, text in told.items():
        assert text.strip(), where
        plain = re.sub(r" \[[a-z0-9 ]+\]$", "", text.replace(GLOSSED, ""), flags=re.M)
        assert not OURS.findall(plain), where
        assert text.find(WEEKS) == text.find(GLOSS), where
    assert GLOSS in told["summary"]


def test_every_step_of_an_explanation_is_in_words(told: dict[str, str]) -> None:
    """The code of a step comes behind what it says, and never instead."""
    coded = re.findall(r"^ {4}.{20} (.+?): .+ \[([a-z0-9 ]+)\]$", told["explain"], re.M)
    assert len(coded) > 100
    assert all(STEPS[code] == words for words, code in coded)
    assert {code for _, code in coded} & set(CODES)


def test_every_changed_amount_has_its_reason(told: dict[str, str]) -> None:
    """Whoever applies a patch, or reads the summary, reads why without opening the page."""
    for mail in filter(None, re.split(r"^From \w{40} ", told["mail"], flags=re.M)):
        reasons = re.findall(r"^  (?:CPU|memory) (?:request|limit) \S+ → \S+: .{10}", mail, re.M)
        changed = re.findall(r"\w+ \S+ -> \S+", mail.partition("\n\n")[2].partition("\n  ")[0])
        assert len(reasons) >= len(changed) > 0
    titles = ("CPU request", "CPU limit", "memory request", "memory limit")
    rows = [row.split(" | ") for row in told["summary"].splitlines() if "→ **" in row]
    assert len(rows) > 5
    for _, _, _, *amounts, why in (row for row in rows if len(row) == 8):
        for title, amount in zip(titles, amounts, strict=True):
            assert ("→" in amount) == (f"{title}: " in why), (title, why)


def test_an_explanation_spells_each_amount_with_one_unit() -> None:
    """Millicores carry their own; what is whole cores says so, also where it is taken away."""
    limit = (
        Step("demand", "", "1.5", "for the test"),
        Step("round", "1.5", "500m", "for the test"),
        Step("remove", "500m", "", "for the test"),
        Step("remove", "2", "", "for the test"),
    )
    made = recommendation(resources("1"), resources("1"))
    made = replace(made, trail={**made.trail, "cpu_limit": limit})
    lines = [line.strip().partition("  ")[0] for line in explanation(report(made)).splitlines()]
    told = [line for line in lines if line[:1].isdigit()]
    assert told == ["100m", "1.5 cores", "1.5 -> 500m", "500m", "2 cores", "100m", "100m"]
