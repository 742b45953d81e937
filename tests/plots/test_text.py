"""Names from strangers on charts, and amounts as people read them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.models.demand import Resource
from analyzer.plots.text import (
    change_percent,
    grouped,
    level_text,
    percent,
    plain,
    shorten,
    shorten_apart,
    total_text,
)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("web", "web"),
        ("a\nb\tc", "a b c"),
        ("cost $x$ $\\frac{1}{2}$", "cost $x$ $\\frac{1}{2}$"),
        ("evil\u202etxt", "eviltxt"),
        ("nul\x00\x1b[31m", "nul[31m"),
        ("\u4e2d\u6587ok", "\ufffd\ufffdok"),
        ("", ""),
    ],
)
def test_text_from_labels_becomes_one_harmless_line(text: str, shown: str) -> None:
    """Control and bidirectional characters go, what has no glyph is marked, dollars stay."""
    assert plain(text) == shown


@given(st.text(max_size=80), st.integers(3, 40))
def test_a_shortened_text_keeps_both_ends(text: str, length: int) -> None:
    """Never longer than asked; unchanged where it fits; begins and ends as the whole."""
    short = shorten(text, length)
    assert len(short) == min(len(text), length)
    if len(text) > length:
        head, tail = short.split("…")[0], short[short.rindex("…") + 1 :]
        assert text.startswith(head[:1]) and text.endswith(tail)
    else:
        assert short == text


@pytest.mark.parametrize(
    ("now", "new", "shown"),
    [
        (1000, 420, "−58%"),
        (100, 500, "+400%"),
        (100, 750, "×7.5"),
        (1000, 1001, "+1%"),
        (100_000, 1, "−99%"),
        (100, 0, "−99%"),
    ],
)
def test_a_change_never_reads_as_none_or_as_everything(now: int, new: int, shown: str) -> None:
    """Tiny changes round to 1 %, large decreases to 99 %, large increases become factors."""
    assert change_percent(now, new) == shown


@pytest.mark.parametrize(
    ("resource", "value", "shown"),
    [
        ("cpu", 0.0, "0m"),
        ("cpu", 0.0832, "83.2m"),
        ("cpu", 0.99999, "1 cores"),
        ("cpu", 1.234, "1.23 cores"),
        ("memory", 0.0, "0B"),
        ("memory", 100.5 * 2**20, "100Mi"),
        ("memory", 1.5 * 2**30, "1.5Gi"),
        ("memory", 3.0 * 2**40, "3Ti"),
    ],
)
def test_levels_have_three_digits_and_their_unit(
    resource: Resource, value: float, shown: str
) -> None:
    """Measured levels are short and in the unit a manifest would use."""
    assert level_text(resource, value) == shown


def test_totals_and_counts_read_as_people_write_them() -> None:
    """Sums over a cluster: millicores below one core, GiB from one GiB on, grouped thousands."""
    assert total_text("cpu", 45) == "45m CPU"
    assert total_text("cpu", 1000) == "1 core"
    assert total_text("cpu", 412_345) == "412 cores"
    assert total_text("memory", 640 * 2**20) == "640 MiB"
    assert total_text("memory", 6 * 2**30) == "6 GiB"
    assert grouped(24192) == "24\N{THIN SPACE}192"
    assert [percent(x) for x in (0.0, 0.0051, 0.05)] == ["0%", "0.51%", "5%"]


@given(
    st.sets(st.text("ab-c", min_size=1, max_size=60), min_size=1, max_size=9), st.integers(8, 40)
)
def test_names_that_differ_are_shown_apart(names: set[str], length: int) -> None:
    """However little room there is: distinct names stay distinct, within the room."""
    shown = shorten_apart(sorted(names), length)
    assert len(set(shown)) == len(names)
    assert max(map(len, shown)) <= length


def test_what_names_have_in_common_is_left_out() -> None:
    """The middle differs, so that leaving it out would make one of two."""
    names = ["payments-frontend-blue-deployment", "payments-frontend-green-deployment"]
    assert shorten_apart(names, 12) == ["pa…blue-depl", "pa…green-dep"]
