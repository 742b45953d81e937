"""Sabotage: editors broken on purpose, each one caught by the proof on the text."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from analyzer.gitops.text.address import Address
from analyzer.gitops.text.resources import Changes, assignments, set_resources
from analyzer.gitops.text.verify import prove_text
from analyzer.quantity import Cpu, Memory

MI = 2**20
TEXT = """\
---
# head
app:
  image: x   # two   spaces
  note: "quoted"
  list: [1,  2]
  text: |
    kept

  resources:
    # why
    requests:
      cpu: 250m # by feel
    limits:
      memory: 2Gi
  other:
    resources:
      limits:
        memory: 2Gi
---
second:
  resources:
    limits:
      memory: 2Gi
...
"""
HERE = Address(0, ("app", "resources"))
CHANGES: Changes = {"requests.cpu": Cpu(35), "limits.memory": Memory(900 * MI)}
GOOD = set_resources(TEXT, HERE, CHANGES)
INSERTED: Changes = {"requests.memory": Memory(64 * MI)}
GROWN = set_resources(TEXT, HERE, INSERTED)

Sabotage = Callable[[str], str]
SABOTEURS: dict[str, Sabotage] = {
    "drops a comment": lambda text: text.replace(" # by feel", ""),
    "drops a comment line inside the block": lambda text: text.replace("    # why\n", ""),
    "drops the head comment": lambda text: text.replace("# head\n", ""),
    "drops the first marker": lambda text: text.removeprefix("---\n"),
    "drops the marker between documents": lambda text: text.replace("\n---\n", "\n", 1),
    "drops the end marker": lambda text: text.replace("...\n", ""),
    "drops the final newline": lambda text: text.rstrip("\n"),
    "adds a final newline": lambda text: text + "\n",
    "changes padding": lambda text: text.replace("x   #", "x #"),
    "changes padding in a list": lambda text: text.replace("[1,  2]", "[1, 2]"),
    "changes quotes": lambda text: text.replace('"quoted"', "'quoted'"),
    "drops quotes": lambda text: text.replace('"quoted"', "quoted"),
    "drops a blank line": lambda text: text.replace("kept\n\n", "kept\n"),
    "changes indentation of a sibling": lambda text: text.replace("  note", "  note "),
    "changes line endings": lambda text: text.replace("\n", "\r\n"),
    "changes one line ending": lambda text: text.replace(
        "image: x   # two   spaces\n", "image: x   # two   spaces\r\n"
    ),
    "adds a byte order mark": lambda text: "\ufeff" + text,
    "hits another leaf as well": lambda text: text.replace(
        "        memory: 2Gi", "        memory: 900Mi", 1
    ),
    "hits another document as well": lambda text: text.replace(
        "second:\n  resources:\n    limits:\n      memory: 2Gi",
        "second:\n  resources:\n    limits:\n      memory: 900Mi",
    ),
    "renames a key": lambda text: text.replace("  image:", "  Image:"),
    "adds an entry": lambda text: text.replace("  image:", "  new: 1\n  image:"),
    "removes an entry": lambda text: text.replace('  note: "quoted"\n', ""),
    "repeats a key": lambda text: text.replace('  note: "quoted"\n', '  note: "quoted"\n' * 2),
    "swaps two entries": lambda text: text.replace(
        '  note: "quoted"\n  list: [1,  2]\n', '  list: [1,  2]\n  note: "quoted"\n'
    ),
    "adds an anchor": lambda text: text.replace("note: ", "note: &n "),
    "adds a tag": lambda text: text.replace("note: ", "note: !!str "),
    "cuts the file short": lambda text: text[: len(text) // 2],
    "breaks the syntax": lambda text: text.replace("  note:", "note :\n :"),
    "empties the file": lambda text: "",
    "adds a field nobody asked for": lambda text: text.replace(
        "      memory: 900Mi\n", "      memory: 900Mi\n      cpu: 1\n", 1
    ).replace("      memory: 64Mi\n", "      memory: 64Mi\n      ephemeral-storage: 1Gi\n", 1),
}


def test_the_honest_edits_pass() -> None:
    """The proof is not a wall: what the real editor does is accepted."""
    assert prove_text(TEXT, GOOD, assignments(HERE, CHANGES)).holds
    assert prove_text(TEXT, GROWN, assignments(HERE, INSERTED)).holds


@pytest.mark.parametrize("name", SABOTEURS)
@pytest.mark.parametrize(
    ("good", "changes"), [(GOOD, CHANGES), (GROWN, INSERTED)], ids=["set", "insert"]
)
def test_sabotage_is_caught(name: str, good: str, changes: Changes) -> None:
    """An otherwise right edit with one thing broken in passing does not pass."""
    broken = SABOTEURS[name](good)
    assert broken != good, "the saboteur did nothing"
    proof = prove_text(TEXT, broken, assignments(HERE, changes))
    assert not proof.holds
    assert proof.problem


@pytest.mark.parametrize(
    ("name", "broken"),
    [
        ("does nothing", TEXT),
        ("does half", TEXT.replace("250m", "35m")),
        ("writes a wrong amount", GOOD.replace("900Mi", "901Mi")),
        ("writes less by another unit", GOOD.replace("900Mi", "900M")),
        ("writes more by another unit", GOOD.replace("900Mi", "1Gi")),
        (
            "hits the wrong leaf",
            set_resources(TEXT, Address(0, ("app", "other", "resources")), CHANGES),
        ),
        (
            "hits the wrong document",
            set_resources(TEXT, Address(1, ("second", "resources")), CHANGES),
        ),
        ("adds quotes", GOOD.replace("35m", '"35m"')),
        ("moves the block", GOOD.replace("  note:", "  Note:")),
    ],
)
def test_a_wrong_target_or_amount_is_caught(name: str, broken: str) -> None:
    """Right form is not enough: the intended leaves must state the intended amounts."""
    assert not prove_text(TEXT, broken, assignments(HERE, CHANGES)).holds, name


def test_a_removal_that_takes_a_comment_along_is_caught() -> None:
    """Emptying the block would lose the line `# why`, so it is left to a person."""
    everything: Changes = {"requests.cpu": None, "limits.memory": None}
    emptied = set_resources(TEXT, HERE, everything)
    assert not prove_text(TEXT, emptied, assignments(HERE, everything)).holds


def test_rewriting_an_amount_that_was_right_is_caught() -> None:
    """Noise is a defect: 2Gi must not become 2048Mi."""
    changes: Changes = {"limits.memory": Memory.parse("2Gi")}
    noisy = TEXT.replace("      memory: 2Gi\n  other", "      memory: 2048Mi\n  other")
    assert not prove_text(TEXT, noisy, assignments(HERE, changes)).holds


def test_sabotage_inside_a_block_scalar_is_caught() -> None:
    """The proof looks through block scalars on both levels."""
    outer = (
        "p:\n  - patch: |\n      # c\n      spec:\n        resources:\n"
        "          limits:\n            memory: 1Gi\n    k: 1\n"
    )
    address = Address(0, ("p", 0, "patch"), Address(0, ("spec", "resources")))
    changes: Changes = {"limits.memory": Memory(64 * MI)}
    good = set_resources(outer, address, changes)
    assert prove_text(outer, good, assignments(address, changes)).holds
    for broken in (
        good.replace("# c", "# d"),
        good.replace("k: 1", "k: 2"),
        good.replace("patch: |", "patch: |-"),
        good.replace("      # c\n", ""),
        outer,
    ):
        assert not prove_text(outer, broken, assignments(address, changes)).holds
