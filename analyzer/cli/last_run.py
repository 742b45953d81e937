"""The names of the containers of a run, read quickly: what a shell completes references from."""

from __future__ import annotations

from pathlib import Path

import msgspec

_LARGEST = 256 * 2**20
"""Bytes of a run that are still read while somebody waits for a completion."""


class Ref(msgspec.Struct):
    """The names of one container."""

    namespace: str
    kind: str
    workload: str
    container: str


class _Named(msgspec.Struct):
    ref: Ref


class _Names(msgspec.Struct):
    """The little of ``run.json`` that names are completed from; the rest is passed over."""

    recommendations: list[_Named]
    skipped: list[_Named]


def refs_of(path: Path) -> list[Ref]:
    """The containers of the run in the file `path`; none where it cannot be read."""
    try:
        if path.stat().st_size > _LARGEST:
            return []
        names = msgspec.json.decode(path.read_bytes(), type=_Names)
    except (OSError, ValueError):
        return []
    return [named.ref for named in (*names.recommendations, *names.skipped)]
