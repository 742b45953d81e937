"""The tree of nodes: positions, lookups, and texts made to break readers."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from analyzer.gitops.text.tree import YamlError, parse, plain, scalar_span, walk

_KEYS = st.text(st.characters(codec="utf-8", categories=["L", "N"]), min_size=1, max_size=8)
_SCALARS = st.one_of(
    st.integers(-999, 999), st.booleans(), st.none(), st.text("aé😀 '\"#:-=\n", max_size=12)
)
_DATA = st.recursive(
    _SCALARS, lambda below: st.lists(below, max_size=3) | st.dictionaries(_KEYS, below, max_size=4)
)


@given(data=_DATA, flow=st.sampled_from([True, False, None]), mark=st.booleans())
def test_spans_cut_out_exactly_the_scalars(data: object, flow: bool | None, mark: bool) -> None:
    """Reading the characters of a scalar's span alone gives that scalar's value again."""
    text = ("\ufeff" if mark else "") + yaml.safe_dump(
        {"root": data}, allow_unicode=True, default_flow_style=flow
    )
    for document in parse(text):
        for _, node in walk(document.root):
            if node.kind == "scalar" and node.style not in ("|", ">") and "\n" not in node.value:
                start, end = scalar_span(text, node)
                again = parse(text[start:end])
                assert (again[0].root.value if again else "") == node.value


@given(data=st.dictionaries(_KEYS, st.integers(-999, 999) | st.booleans(), max_size=5))
def test_plain_agrees_with_a_loader(data: dict[str, object]) -> None:
    """Mappings of integers and booleans come out as PyYAML loads them."""
    text = yaml.safe_dump(data, allow_unicode=True)
    assert plain(parse(text)[0].root) == yaml.safe_load(text)


def test_a_repeated_anchor_means_the_latest() -> None:
    """An alias points at the nearest anchor before it, as YAML says, not at the first."""
    root = parse("a: &x 1\nb: *x\nc: &x 2\nd: *x\n")[0].root
    assert (root.text("b"), root.text("d")) == ("1", "2")


def test_the_last_of_repeated_keys_is_read() -> None:
    """Readers agree with the loaders in use, which take the last; editors refuse."""
    root = parse("a: 1\na: 2\n")[0].root
    assert root.text("a") == "2"
    assert len(root.pairs("a")) == 2


def test_merge_keys_are_looked_through_but_own_entries_win() -> None:
    """`<<` supplies what a mapping does not state itself."""
    root = parse("base: &b {cpu: 1, memory: 2}\nown:\n  <<: *b\n  cpu: 3\n")[0].root
    assert root.text("own", "cpu") == "3"
    assert root.text("own", "memory") == "2"


def test_an_alias_bomb_costs_what_its_text_costs() -> None:
    """Ten levels of ten aliases are read at once; expanding them fails instead of exploding."""
    lines = ["a0: &a0 [x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 11)]
    root = parse("\n".join(lines))[0].root
    assert sum(1 for _ in walk(root)) < 200
    with pytest.raises(YamlError, match="behind aliases"):
        plain(root)


def test_a_bomb_of_merge_keys_is_looked_up_at_once() -> None:
    """A missing key is not searched along every one of the exponentially many merge paths."""
    lines = ["a0: &a0 {x: 1}"]
    lines += [f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 9)}]}}" for n in range(1, 40)]
    root = parse("\n".join(lines))[0].root
    assert root.at("a39", "missing") is None
    assert root.text("a39", "x") == "1"


@pytest.mark.parametrize(
    "text",
    [
        "a: *missing\n",
        "a: &a [*a]\n",
        "a: 'open\n",
        "\t- a\n",
        "a: " + "[" * 300 + "]" * 300 + "\n",
        "a: \x00\n",
    ],
)
def test_what_cannot_be_read_is_one_kind_of_error(text: str) -> None:
    """Broken, endless and too deep texts raise YamlError and nothing else."""
    with pytest.raises(YamlError):
        parse(text)


def test_a_bare_equals_sign_is_text() -> None:
    """PyYAML's loader fails on `=`; the events do not."""
    assert parse("a: =\n")[0].root.text("a") == "="
