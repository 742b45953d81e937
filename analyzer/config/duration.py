"""Lengths of time and points in time, as settings spell them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from analyzer.usage import FIRST_YEAR, LAST_YEAR

_UNITS = {
    "w": timedelta(weeks=1),
    "d": timedelta(days=1),
    "h": timedelta(hours=1),
    "m": timedelta(minutes=1),
    "s": timedelta(seconds=1),
    "ms": timedelta(milliseconds=1),
}
_DURATION = re.compile("".join(rf"(?:(\d{{1,18}}){unit})?" for unit in _UNITS), re.ASCII)
_LONGEST = timedelta(days=36525)


def parse_duration(text: str) -> timedelta:
    """A duration as Prometheus spells it: ``14d``, ``36h``, ``1h30m``, ``500ms``.

    Raises ValueError for anything else, and beyond a hundred years.
    """
    match = _DURATION.fullmatch(text.strip())
    parts = [int(part or 0) for part in match.groups()] if match else []
    if not any(parts):
        raise ValueError(f"{text!r} is not a duration; write it like 14d, 36h or 5m")
    milliseconds = sum(
        count * (unit // _UNITS["ms"]) for count, unit in zip(parts, _UNITS.values(), strict=True)
    )
    if milliseconds > _LONGEST // _UNITS["ms"]:
        raise ValueError(f"{text!r} is longer than a hundred years; write it like 14d")
    return timedelta(milliseconds=milliseconds)


def spell_duration(length: timedelta) -> str:
    """`length` so that `parse_duration` reads it back, the largest unit first: ``1h30m``."""
    parts = []
    for unit, size in _UNITS.items():
        if unit == "w":
            continue  # days are what people count in
        count, length = divmod(length, size)
        parts.append(f"{count}{unit}" if count else "")
    return "".join(parts) or "0s"


def parse_time(text: str) -> datetime:
    """A time in ISO 8601, in UTC unless it says otherwise.

    Raises ValueError for anything else, and outside the years that a window can lie in.
    """
    try:
        moment = datetime.fromisoformat(text)
        moment = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{text!r} is not a time; write it like 2026-11-23T06:00Z") from error
    if not FIRST_YEAR <= moment.year <= LAST_YEAR:
        raise ValueError(f"{text!r} lies not between {FIRST_YEAR} and {LAST_YEAR}")
    return moment
