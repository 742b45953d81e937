"""Axes: which range they show, their round ticks, and labels that keep apart."""

from __future__ import annotations

import warnings
from datetime import UTC, datetime
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.models.demand import Resource
from analyzer.plots.scale import choose_top, day_ticks, make_scale, spread

GIB, MIB = 2.0**30, 2.0**20


def test_a_limit_far_above_usage_is_left_off_the_scale() -> None:
    """100m of use below a limit of 5 cores: the axis ends at the request, not at the limit."""
    assert choose_top(0.1, 0.09, [0.15, 0.2], [5.0]) == pytest.approx(0.2 * 1.06)


def test_a_limit_near_usage_is_shown() -> None:
    """Within 2.2 times of what is shown anyway, a limit is on the scale."""
    assert choose_top(0.1, 0.09, [0.15, 0.2], [0.4]) == pytest.approx(0.4 * 1.06)


def test_a_request_far_above_usage_is_left_off_the_scale() -> None:
    """More than four times what is used and proposed, the request now would flatten usage."""
    assert choose_top(0.1, 0.09, [0.15, 2.0], []) == pytest.approx(0.15 * 1.06)


def test_a_single_spike_does_not_flatten_everything() -> None:
    """A peak of 10 cores above a 99th percentile of 0.1 is cut off at three times the latter."""
    assert choose_top(10.0, 0.1, [0.1], []) == pytest.approx(0.3 * 1.06)


def test_no_usage_at_all_still_has_a_scale() -> None:
    """Nothing used, nothing requested: an axis of some height."""
    assert choose_top(0.0, 0.0, [], []) > 0


@pytest.mark.parametrize(
    ("resource", "top", "labels"),
    [
        ("cpu", 0.44, ("0", "100m", "200m", "300m", "400m")),
        ("cpu", 1.06, ("0", "250m", "500m", "750m", "1000m")),
        ("cpu", 8.5, ("0", "2", "4", "6", "8")),
        ("cpu", 0.004, ("0", "1m", "2m", "3m", "4m")),
        ("memory", 2.2 * GIB, ("0", "512Mi", "1Gi", "1.5Gi", "2Gi")),
        ("memory", 300 * MIB, ("0", "64Mi", "128Mi", "192Mi", "256Mi")),
    ],
)
def test_ticks_are_round_in_the_units_of_manifests(
    resource: Resource, top: float, labels: tuple[str, ...]
) -> None:
    """Decimal steps for CPU, powers of two for memory, three to seven of them."""
    assert make_scale(resource, top).labels == labels


@given(st.sampled_from(["cpu", "memory"]), st.floats(1e-6, 1e15))
def test_every_scale_has_few_distinct_ticks(resource: Resource, top: float) -> None:
    """From a microcore to a petabyte: two to seven ticks, none with the label of another."""
    scale = make_scale(resource, top)
    assert 2 <= len(scale.ticks) <= 7
    assert len(set(scale.labels)) == len(scale.labels)
    assert scale.ticks[0] == 0 and scale.ticks[-1] <= top * 1.000001


@given(
    st.lists(st.floats(0, 300), max_size=12),
    st.floats(5, 20),
)
def test_spread_labels_keep_their_distance_and_order(wanted: list[float], gap: float) -> None:
    """At least `gap` apart, in the order they were wished for, inside where there is room."""
    places = spread(wanted, gap, 0, 300)
    ordered = sorted(places)
    assert all(b - a >= gap - 1e-6 for a, b in pairwise(ordered))
    assert sorted(range(len(wanted)), key=lambda k: wanted[k]) == sorted(
        range(len(wanted)), key=lambda k: places[k]
    )
    if wanted and (len(wanted) - 1) * gap <= 300:
        assert ordered[0] >= -1e-6 and ordered[-1] <= 300 + 1e-6


def test_labels_with_room_stay_where_they_belong() -> None:
    """Nothing moves that need not."""
    assert spread([10, 200, 100], 20, 0, 300) == [10, 200, 100]


def test_two_labels_at_one_place_move_apart_evenly() -> None:
    """Half the gap up, half the gap down."""
    assert spread([100, 100], 20, 0, 300) == [90, 110]


@pytest.mark.parametrize("days", [0.1, 1, 2, 7, 14, 21, 90, 400])
def test_days_are_round_and_few(days: float) -> None:
    """At most eleven ticks, at whole hours of UTC, within the span."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        start = datetime(2026, 11, 2, 13, 37, tzinfo=UTC)
        ticks, labels = day_ticks(start, 0, days, most=11)
    assert 1 <= len(ticks) <= 12 and len(ticks) == len(labels)
    assert all(0 <= tick <= days for tick in ticks)


def test_midnights_of_a_fortnight_are_dates() -> None:
    """Every second day, by day and month."""
    ticks, labels = day_ticks(datetime(2026, 11, 2, tzinfo=UTC), 0, 14, most=11)
    assert labels[:3] == ("2 Nov", "4 Nov", "6 Nov") and ticks[:3] == (0.0, 2.0, 4.0)
