"""Documents of a stream by themselves: the same ones that a parser tells, or none at all."""

from __future__ import annotations

import pytest

from analyzer.gitops.text.address import Address
from analyzer.gitops.text.edit import set_values
from analyzer.gitops.text.excerpt import excerpt, in_excerpt, parts
from analyzer.gitops.text.tree import parse, plain
from analyzer.quantity import Cpu

_TOLD = {
    "two": "a: 1\n---\nb: 2\n",
    "a comment before": "# first\n\n---\na: 1\n---\nb: 2\n",
    "an empty one": "a: 1\n---\n---\nb: 2\n",
    "words behind the marker": "--- {a: 1}\n--- # second\nb: 2\n",
    "no newline at the end": "a: 1\n---\nb: 2",
    "a marker that a scalar holds": "a: |\n  ---\n  x\n---\nb: |+\n  y\n\n---\nc: 3\n",
    "a mark of the byte order": "\ufeff---\na: 1\n---\nb: 2\n",
    "dashes that are no marker": "a: 1\n---\n----: 2\n",
}
_UNTOLD = {
    "one": "a: 1\n",
    "one after a marker": "---\na: 1\n",
    "carriage returns": "a: 1\r\n---\r\nb: 2\r\n",
    "the end of a document": "a: 1\n...\n---\nb: 2\n",
    "directives": "%YAML 1.2\n---\na: 1\n---\nb: 2\n",
}


@pytest.mark.parametrize("text", _TOLD.values(), ids=_TOLD)
def test_documents_are_those_of_the_parser(text: str) -> None:
    """Put together they are the text again; each says alone what it says in the stream."""
    found = parts(text)
    assert "".join(found) == text
    alone = [[plain(document.root) for document in parse(part)] for part in found]
    assert alone == [[plain(document.root)] for document in parse(text)]
    assert len(found) > 1


@pytest.mark.parametrize("text", _UNTOLD.values(), ids=_UNTOLD)
def test_what_plain_markers_do_not_tell_is_left_whole(text: str) -> None:
    """Then the whole file is read, as before."""
    assert parts(text) == ()
    assert excerpt(text, 0) is None


def test_an_edit_in_one_of_many_is_the_edit_of_it_alone() -> None:
    """New keys take the manner of their own document, and all others stay as they are."""
    text = "a:\n    b: 1\n---\nc:\n  d:\n    cpu: 1 # told\n---\ne: {}\n"
    wanted = [
        (Address(1, ("c", "d", "cpu")), Cpu(500)),
        (Address(0, ("a", "x", "cpu")), Cpu(250)),
        (Address(2, ("e", "cpu")), Cpu(100)),
    ]
    assert set_values(text, wanted) == (
        "a:\n    b: 1\n    x:\n        cpu: 250m\n---\nc:\n  d:\n    cpu: 500m # told\n---\n"
        "e:\n  cpu: 100m\n"
    )
    assert in_excerpt(wanted[0][0]) == Address(0, ("c", "d", "cpu"))
