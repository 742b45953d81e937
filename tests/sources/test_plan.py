"""Plans cover everything once, whatever they are cut by."""

from __future__ import annotations

import itertools
import re
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from analyzer.sources.prometheus import plan as planning
from analyzer.sources.prometheus.plan import Piece
from analyzer.sources.prometheus.promql import Matcher
from analyzer.sources.prometheus.ragged import Grid

STEP = timedelta(minutes=5)
MIDNIGHT = datetime(2026, 11, 2, tzinfo=UTC)


def holds(matcher: Matcher, value: str) -> bool:
    """What Prometheus decides, whose expressions are anchored."""
    pattern = matcher.value if "~" in matcher.operator else re.escape(matcher.value)
    return (re.fullmatch(pattern, value) is not None) == (not matcher.operator.startswith("!"))


@given(
    st.integers(0, 400),
    st.integers(1, 3000),
    st.dictionaries(st.sampled_from("abcdefg"), st.integers(1, 5000), max_size=7),
    st.integers(1, 10**6),
)
def test_every_step_of_every_series_is_asked_once(
    begin: int, steps: int, namespaces: dict[str, int], points: int
) -> None:
    """Pieces are disjoint and cover the window in each namespace, known or not."""
    grid = Grid(MIDNIGHT + begin * STEP, STEP, steps)
    pieces = planning.plan(grid, namespaces, points)
    for name in [*namespaces, "unheard-of"]:
        spans = sorted((p.low, p.high) for p in pieces if all(holds(m, name) for m in p.shard))
        assert spans[0][0] == 0
        assert spans[-1][1] == steps
        assert all(a[1] == b[0] for a, b in itertools.pairwise(spans))


def test_pieces_end_at_midnight() -> None:
    """From 22:00 over two days: two hours, whole days, the rest; newest first."""
    grid = Grid(MIDNIGHT - timedelta(hours=2), STEP, 24 + 288 + 12)
    spans = [(p.low, p.high) for p in planning.plan(grid, {"a": 1}, 300)]
    assert spans == [(312, 324), (24, 312), (0, 24)]


def test_days_go_together_while_they_are_small() -> None:
    """10 series x 288 steps: three days in 9,000 points, four in 12,000."""
    grid = Grid(MIDNIGHT, STEP, 12 * 288)
    assert len(planning.plan(grid, {"a": 10}, 9000)) == 4
    assert len(planning.plan(grid, {"a": 10}, 12_000)) == 3


def test_no_request_exceeds_the_steps_that_servers_allow() -> None:
    """A step of one second makes 86,400 steps a day, of which 11,000 are allowed at once."""
    grid = Grid(MIDNIGHT, timedelta(seconds=1), 86_400)
    assert max(p.high - p.low for p in planning.plan(grid, {"a": 1}, 10**9)) <= 11_000


def test_the_limit_of_the_server_bounds_the_plan() -> None:
    """40 % of query.max-samples, at most our own maximum, unless the user says otherwise."""
    assert planning.most_points(1000, None) == 400
    assert planning.most_points(50_000_000, None) == planning.MOST_POINTS
    assert planning.most_points(None, None) == planning.MOST_POINTS
    assert planning.most_points(1000, 7) == 7


@given(st.integers(0, 30), st.text("abz059-", min_size=1, max_size=6))
def test_splits_divide_time_and_pods(depth: int, pod: str) -> None:
    """However often pieces are split, exactly one of each pair holds a pod at a time."""
    pieces = [Piece(0, 40)]
    for _ in range(depth):
        halves = planning.split(pieces[0])
        if halves is None:
            break
        pieces = [*halves, *pieces[1:]]
        pieces = pieces[1:] + pieces[:1]
    for step in (0, 17, 39):
        holding = [
            p for p in pieces if p.low <= step < p.high and all(holds(m, pod) for m in p.shard)
        ]
        assert len(holding) == 1


def test_splitting_ends() -> None:
    """The smallest piece cannot be split, so that a hopeless query is given up."""
    piece, count = Piece(0, 288), 0
    while halves := planning.split(piece):
        piece, count = halves[0], count + 1
    assert count < 60
    assert piece.high - piece.low == 1
