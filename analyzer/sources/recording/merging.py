"""Put the shards of one cluster together into the recording that reading it at once gives."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd

from analyzer import __version__
from analyzer.errors import RecordingError
from analyzer.room import IN_MEMORY, Room
from analyzer.shard import Shard, ShardOf, whole_of
from analyzer.sources.recording.meta_file import read_meta
from analyzer.sources.recording.recording import from_first_sample, load_recording
from analyzer.tables import TABLES
from analyzer.usage import Meta, Recording, concat

Shards = Sequence[tuple[Path, Meta, ShardOf]]


def merge_shards(
    folders: Sequence[Path], room: Room = IN_MEMORY, oldest: datetime | None = None
) -> Recording:
    """The recording that the shards in `folders` make up; samples are kept in `room`.

    Raises `RecordingError` where one is missing, comes twice or does not go with the others, and
    where their window ends before `oldest`.
    """
    shards = sorted(_described(_listed(folders)), key=lambda each: each[2].shard.index)
    _check(shards)
    path, meta, _ = shards[0]
    if oldest is not None and meta.end < oldest:
        raise RecordingError(
            f"{path} and the others end at {_moment(meta.end)}, longer ago than is allowed; "
            "see why they were not recorded anew"
        )
    parts = [_loaded(path, own.shard, room.part(len(shards))) for path, _, own in shards]
    return from_first_sample(_joined(parts, room))


def expect_no_shard(folder: Path) -> None:
    """Raise `RecordingError` where `folder` holds a shard, which the whole would replace."""
    described = folder / "meta.json"
    if described.is_file() and read_meta(described).shard is not None:
        raise RecordingError(f"{folder} is a shard; give another folder for the whole recording")


def _listed(folders: Sequence[Path]) -> Iterator[Path]:
    """The folders of shards: those given, and those within one that is none itself."""
    for folder in folders:
        inside = sorted(folder.glob("*/meta.json")) if not (folder / "meta.json").exists() else []
        yield from [meta.parent for meta in inside if not meta.parent.name.startswith(".")] or [
            folder
        ]


def _described(folders: Iterable[Path]) -> Iterator[tuple[Path, Meta, ShardOf]]:
    for path in folders:
        if not (path / "meta.json").is_file():
            raise RecordingError(
                f"there is no shard {path}; see that `rightsize record --shard` ended well there"
            )
        meta = read_meta(path / "meta.json")
        if meta.shard is None:
            raise RecordingError(f"{path} is a whole recording and no shard; leave it out")
        yield path, meta, meta.shard


def _check(shards: Shards) -> None:
    """Raise `RecordingError` unless the `shards`, in order, are all of one reading."""
    first, meta, part = shards[0]
    if part.version != __version__:
        raise RecordingError(
            f"{first} was recorded by version {part.version}, and this is {__version__}; "
            "record and merge with one version"
        )
    for path, other, own in shards[1:]:
        for what, one, two in _compared(meta, part, other, own):
            if one != two:
                raise RecordingError(
                    f"{first} and {path} do not go together: {what.format(one, two)}; record all "
                    "shards anew, with the same version, settings and --until"
                )
    count, found = part.shard.count, [own.shard.index for _, _, own in shards]
    twice = [shards[n : n + 2] for n in range(len(found) - 1) if found[n] == found[n + 1]]
    if twice:
        (one, _, own), (two, _, _) = twice[0]
        raise RecordingError(f"{one} and {two} are both shard {own.shard}; give each once")
    missing = sorted(set(range(count)) - set(found))
    if missing:
        raise RecordingError(
            f"shard {missing[0]}/{count} is missing; record it with --shard {missing[0]}/{count} "
            f"and --until {meta.end:%Y-%m-%dT%H:%M:%SZ}, then merge again"
        )


def _loaded(path: Path, shard: Shard, room: Room) -> Recording:
    """The recording of a shard. Raises `RecordingError` where it holds what is another's."""
    part = load_recording(path, room)
    for ref in part.usage.containers:
        if not shard.owns(ref.namespace):
            raise RecordingError(
                f"{path} is shard {shard} and holds usage of namespace {ref.namespace}, which "
                "belongs to another; record it anew"
            )
    return part


def _compared(
    meta: Meta, part: ShardOf, other: Meta, own: ShardOf
) -> Iterator[tuple[str, object, object]]:
    """What has to be the same of two shards, with the words for where it is not."""
    yield "they are of versions {} and {}", part.version, own.version
    yield "one is of {} shards, the other of {}", part.shard.count, own.shard.count
    yield "they are of the clusters {!r} and {!r}", meta.cluster, other.cluster
    yield "one begins at {}, the other at {}", _moment(meta.start), _moment(other.start)
    yield "one ends at {}, the other at {}", _moment(meta.end), _moment(other.end)
    yield "their steps are {} and {}", meta.step, other.step
    yield "they were read from {} and from {}", meta.source, other.source
    yield "they were asked for in two ways, as {} and as {}", meta.queries, other.queries
    namespaces = "they knew or were asked for different namespaces (digests {} and {})"
    yield namespaces, part.known, own.known


def _moment(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def _joined(parts: Sequence[Recording], room: Room) -> Recording:
    metas = [part.meta for part in parts]
    found = whole_of(s for each in metas if each.shard is not None for s in each.shard.strangers)
    lost = [str(strangers) for strangers in found if strangers.owned and strangers.many]
    warnings = [*(warning for each in metas for warning in each.warnings), *lost]
    meta = replace(
        metas[0],
        shard=None,
        warnings=tuple(dict.fromkeys(warnings)),
        # Nodes and priority classes are no namespace's: whoever asked was told of all.
        nodes=_any_of(each.nodes for each in metas),
        past_nodes=_any_of(each.past_nodes for each in metas),
        priority_classes=_any_of(each.priority_classes for each in metas),
        quotas=_by_name(row for each in metas for row in each.quotas),
        limit_ranges=_by_name(row for each in metas for row in each.limit_ranges),
        budgets=_by_name(row for each in metas for row in each.budgets),
    )
    tables = {name: _table(name, [part.tables[name] for part in parts]) for name in TABLES}
    usage = concat([replace(part.usage, room=room) for part in parts])
    return Recording(meta, usage, **tables)


def _table(name: str, parts: Sequence[pd.DataFrame]) -> pd.DataFrame:
    told = [part for part in parts if not part.empty] or list(parts[:1])
    keys = [key for key in _ORDER[name] if key in told[0]]
    table = pd.concat(told, ignore_index=True).astype(dict.fromkeys(keys[:4], object))
    return TABLES[name](table.sort_values(keys, kind="stable", ignore_index=True))


_NAMED = ("namespace", "workload_kind", "workload", "container")
_ORDER = {"specs": _NAMED, "events": _NAMED, "pods": ("namespace", "pod"), "days": _NAMED}
"""How the rows of a table lie that was read at once; those of one container stay in order."""


def _any_of(told: Iterable[tuple[dict[str, Any], ...]]) -> tuple[dict[str, Any], ...]:
    return next((rows for rows in told if rows), ())


def _by_name(rows: Iterable[dict[str, Any]]) -> tuple[dict[str, Any], ...]:
    """`rows` by namespace, those of one namespace in their order: it lies in one shard."""
    return tuple(sorted(rows, key=lambda row: str(row["namespace"])))
