"""What a kind of workload is: one table, and nobody else's."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from analyzer.kinds import KINDS, kind_called, kind_of, runs_now_and_then, why_no_patch

PACKAGE = Path(__file__).resolve().parent.parent / "analyzer"
# Rows of what charts and operators make, each with the kind that one of them makes.
DATA = {"kinds.py", "gitops/render/well_known.py", "gitops/reach/custom.py"}


def literals(package: Path) -> Iterator[tuple[str, int, str]]:
    """File, line and text of every literal that is a kind's name, but for docstrings."""
    names = {kind.name for kind in KINDS}
    for path in sorted(package.rglob("*.py")):
        name = path.relative_to(package).as_posix()
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Constant) and node.value in names and name not in DATA:
                yield name, node.lineno, str(node.value)


def test_no_other_file_names_kinds() -> None:
    """What is true of a kind is written down once: every other file asks the table."""
    assert list(literals(PACKAGE)) == []


def test_a_kind_named_elsewhere_is_found(tmp_path: Path) -> None:
    """The law can be broken, and then says where."""
    (tmp_path / "x.py").write_text('"""Deployment."""\nKINDS = ("Job",\n  "StatefulSet")\n')
    found = sorted(literals(tmp_path))
    assert found == [("x.py", 2, "Job"), ("x.py", 3, "StatefulSet")]


@pytest.mark.parametrize(
    ("word", "name"),
    [
        ("deploy", "Deployment"),
        ("Deployments", "Deployment"),
        ("deployment.apps", "Deployment"),
        ("sts", "StatefulSet"),
        ("cronjob.batch", "CronJob"),
        ("ro", "Rollout"),
        ("rollouts.argoproj.io", "Rollout"),
        ("po", "Pod"),
    ],
)
def test_a_kind_is_known_by_every_word_kubectl_takes(word: str, name: str) -> None:
    """Names, plurals, short names and groups, in any case."""
    found = kind_called(word)
    assert found is not None
    assert found.name == name


def test_words_and_names_are_nobody_elses() -> None:
    """No word means two kinds, and every row is complete enough to be asked for."""
    words = [word for kind in KINDS for word in kind.aliases]
    assert len(words) == len(set(words))
    assert kind_called("service") is None
    for kind in KINDS:
        assert kind_of(kind.name) is kind
        assert bool(kind.state_name) == bool(kind.state_label)
        assert kind.pod_path or kind.no_patch


def test_a_strangers_kind_is_not_guessed_at() -> None:
    """What is not in the table is not patched, and is not said to belong to anybody."""
    assert kind_of("CloneSet") is None
    assert not runs_now_and_then("CloneSet")
    assert why_no_patch("CloneSet") == (
        "CloneSet is not a kind whose pod template is known; set it where that object says"
    )
