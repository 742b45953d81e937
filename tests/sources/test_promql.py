"""PromQL as text: whatever a name holds, the query means that name."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.errors import UsageError
from analyzer.sources.prometheus import promql
from analyzer.sources.prometheus.promql import Matcher


def test_a_selector_is_written_as_people_do() -> None:
    """Matchers in their order, each once."""
    job = promql.equals("job", "kubelet")
    assert promql.selector("up", (job, Matcher("image", "!=", ""), job)) == (
        'up{job="kubelet",image!=""}'
    )
    assert promql.selector("up") == "up"


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ('a"b', r'"a\"b"'),
        ("a\\b", r'"a\\b"'),
        ("a\nb", r'"a\nb"'),
        ("ü", '"ü"'),
        ("\x07", r'"\u0007"'),
        ('"} or up{x="', r'"\"} or up{x=\""'),
    ],
)
def test_values_cannot_leave_their_quotes(value: str, written: str) -> None:
    """An injection attempt stays a label value."""
    assert promql.quote(value) == written


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"])))
def test_quoting_is_undone_by_reading(value: str) -> None:
    """What is written as a matcher is read back as the same matcher."""
    matcher = Matcher("pod", "=", value)
    assert promql.parse_matchers(str(matcher)) == (matcher,)


def test_names_in_regular_expressions_match_only_themselves() -> None:
    """A dot in a name is a dot."""
    assert str(promql.one_of("pod", ["b", "a.b", "b"])) == 'pod=~"a\\\\.b|b"'
    assert str(promql.one_of("pod", ["a.b"])) == 'pod="a.b"'


@pytest.mark.parametrize("text", ["job", 'job="x" image="y"', "job=x", '{job="x"', "1=2", "a=~'x'"])
def test_what_is_no_list_of_matchers_is_refused(text: str) -> None:
    """A mistake in the settings is named, not sent."""
    with pytest.raises(UsageError):
        promql.parse_matchers(text)


@pytest.mark.parametrize("name", ["", "a b", "a{", "1a", "ü"])
def test_label_and_metric_names_are_checked(name: str) -> None:
    """Names cannot be quoted, so they must be names."""
    with pytest.raises(UsageError):
        Matcher(name, "=", "x")
    with pytest.raises(UsageError):
        promql.selector(name)


@pytest.mark.parametrize(
    ("length", "text"),
    [
        (timedelta(minutes=5), "5m"),
        (timedelta(seconds=90), "90s"),
        (timedelta(days=1), "1d"),
        (promql.left_open(timedelta(minutes=5)), "299999ms"),
    ],
)
def test_durations_are_exact(length: timedelta, text: str) -> None:
    """The largest single unit that loses nothing."""
    assert promql.duration(length) == text
    with pytest.raises(UsageError):
        promql.duration(timedelta(0))


def test_negation_is_its_own_inverse() -> None:
    """A matcher and its negation divide all series."""
    for operator in ("=", "!=", "=~", "!~"):
        matcher = Matcher("a", operator, "x")
        assert matcher.negated() != matcher
        assert matcher.negated().negated() == matcher
