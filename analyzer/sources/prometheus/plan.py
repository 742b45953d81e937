"""How a window is cut into requests, and how a request is cut further when it is too big.

Pieces end at UTC midnights, so that repeated runs ask the same questions and closed days can be
kept. They are planned from the number of series and the server's limits, and split again, first
in time, then by pod name, when the server says that the plan was wrong.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from analyzer.sources.prometheus.promql import Matcher, Matchers, literal, one_of
from analyzer.sources.prometheus.ragged import Grid

MOST_POINTS = 500_000
"""Points in one request at most: a day of 1,700 containers. More saves neither side any CPU, but
took the measured server from 360 to 860 MB."""
MOST_STEPS = 11_000
"""Prometheus refuses more points per series in one range query."""
_SHARE_OF_SAMPLES = 0.4
_FEWEST_STEPS = 12
_POD_CHARACTERS = "0123456789abcdefghijklmnopqrstuvwxyz"
_DEEPEST = 4


@dataclass(frozen=True, slots=True)
class Piece:
    """One request: the steps from `low` up to but without `high`, of the series in `shard`.

    `characters` are those that the pod name may still have before `tail`, for the next split.
    """

    low: int
    high: int
    shard: Matchers = ()
    characters: str = _POD_CHARACTERS
    tail: str = ""


def most_points(max_samples: int | None, wanted: int | None) -> int:
    """How many points one request may ask for, given ``--query.max-samples`` of the server."""
    if wanted is not None:
        return max(1, wanted)
    if max_samples is None:
        return MOST_POINTS
    return max(1, min(MOST_POINTS, int(_SHARE_OF_SAMPLES * max_samples)))


def plan(grid: Grid, namespaces: Mapping[str, int], points: int) -> list[Piece]:
    """Cut `grid` into pieces of at most about `points` points, the newest first.

    `namespaces` holds the number of series of each; pieces that are still too big for one day
    are divided among groups of namespaces, the last group being "all others".
    """
    series = max(1, sum(namespaces.values()))
    days = _days(grid)
    longest = max(high - low for low, high in days)
    together = max(1, min(points // (series * longest), MOST_STEPS // longest))
    shards: Sequence[Matchers] = [()]
    if series * longest > points:
        shards = shard_namespaces(namespaces, max(1, points // longest))
    spans = _bundle(days, together)
    pieces = [Piece(low, high, shard) for low, high in reversed(spans) for shard in shards]
    return [part for piece in pieces for part in _shorten(piece)]


def shard_namespaces(namespaces: Mapping[str, int], most: int) -> list[Matchers]:
    """Matchers that divide all series into groups of at most about `most`, none lost or doubled."""
    groups: list[list[str]] = []
    sizes: list[int] = []
    for name, size in sorted(namespaces.items(), key=lambda item: (-item[1], item[0])):
        fitting = [index for index, used in enumerate(sizes) if used + size <= most]
        if fitting:
            groups[fitting[0]].append(name)
            sizes[fitting[0]] += size
        else:
            groups.append([name])
            sizes.append(size)
    if len(groups) < 2:
        return [()]
    named = [one_of("namespace", group) for group in groups[:-1]]
    others = Matcher(
        "namespace", "!~", "|".join(literal(name) for group in groups[:-1] for name in group)
    )
    return [(matcher,) for matcher in [*named, others]]


def split(piece: Piece) -> tuple[Piece, Piece] | None:
    """Two pieces that make up `piece`, or None when it cannot sensibly get smaller."""
    if piece.high - piece.low >= 2 * _FEWEST_STEPS or (
        piece.high - piece.low >= 2 and len(piece.tail) >= _DEEPEST
    ):
        middle = (piece.low + piece.high) // 2
        return replace(piece, high=middle), replace(piece, low=middle)
    if len(piece.tail) >= _DEEPEST:
        return None
    if len(piece.characters) == 1:
        return split(replace(piece, characters=_POD_CHARACTERS, tail=piece.characters + piece.tail))
    half = len(piece.characters) // 2
    left, right = piece.characters[:half], piece.characters[half:]
    ending = Matcher("pod", "=~", f".*[{left}]{piece.tail}")
    return (
        replace(piece, shard=(*piece.shard, ending), characters=left),
        replace(piece, shard=(*piece.shard, ending.negated()), characters=right),
    )


def _days(grid: Grid) -> list[tuple[int, int]]:
    """Steps by the UTC day in which they end, a step that ends at midnight closing its day."""
    spans = []
    low = 0
    while low < grid.steps:
        begin = (grid.start + low * grid.step).astimezone(UTC)
        midnight = datetime(begin.year, begin.month, begin.day, tzinfo=UTC) + timedelta(days=1)
        high = min(grid.steps, max(low + 1, (midnight - grid.start) // grid.step))
        spans.append((low, high))
        low = high
    return spans


def _bundle(days: Sequence[tuple[int, int]], together: int) -> list[tuple[int, int]]:
    """Join up to `together` neighbouring days, counted from the newest."""
    spans = []
    stop = len(days)
    while stop > 0:
        begin = max(0, stop - together)
        spans.append((days[begin][0], days[stop - 1][1]))
        stop = begin
    return spans[::-1]


def _shorten(piece: Piece) -> list[Piece]:
    """`piece` in parts that no server refuses for their number of steps."""
    if piece.high - piece.low <= MOST_STEPS:
        return [piece]
    middle = (piece.low + piece.high) // 2
    return [
        *_shorten(replace(piece, low=middle)),
        *_shorten(replace(piece, high=middle)),
    ]
