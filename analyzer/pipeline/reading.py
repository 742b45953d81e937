"""What is read: the configured source, window and namespaces."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import NoReturn

from msgspec.structs import replace as with_settings

from analyzer.config import Config, parse_duration, parse_time
from analyzer.effect import idle_namespaces, idle_rules
from analyzer.errors import UsageError
from analyzer.pipeline.memory import allowed_memory, check_memory, room_within
from analyzer.quantity import Memory
from analyzer.room import Room
from analyzer.shard import Shard
from analyzer.sources import PrometheusSettings, Source, Window, open_source, split_source
from analyzer.sources.window import Progress, silent
from analyzer.usage import Recording, utc
from analyzer.workload import ContainerRef, find

_CREDENTIALS = re.compile(r"://[^/@]*:[^/@]*@")


def source_of(config: Config, progress: Progress = silent) -> Source:
    """The configured source of usage."""
    if config.source and _CREDENTIALS.search(config.source):
        raise UsageError(
            "the source's URL holds a password, which every user of this machine can see; "
            "set prometheus.user and prometheus.password_file instead"
        )
    if not config.source:
        raise UsageError(
            "no source of usage is given; give -p URL for a Prometheus, --source cluster: for that "
            "of your kubeconfig's cluster, --source recording:DIR, or `source` in rightsize.yaml"
        )
    kind, _ = split_source(config.source)
    if kind.settings is not PrometheusSettings:
        return open_source(config.source, None, progress)
    settings = replace(
        config.prometheus,
        cluster=config.cluster or config.prometheus.cluster,
        namespaces=config.namespaces or config.prometheus.namespaces,
        exclude_namespaces=config.exclude_namespaces or config.prometheus.exclude_namespaces,
    )
    return open_source(config.source, settings, progress)


def read(
    config: Config,
    now: datetime | None,
    progress: Progress = silent,
    shard: Shard | None = None,
) -> Recording:
    """Read the configured window up to `now`, None for the clock of the server that is read.

    A recording is read up to its own end. Of a server, a `shard` is read up to the last midnight
    (UTC) where no end is configured, so that shards read one after the other agree on it.
    """
    if shard is not None and now is not None:
        now = utc(now).replace(hour=0, minute=0, second=0, microsecond=0)
    return read_noting(config, now, progress, shard)[0]


def read_noting(
    config: Config,
    now: datetime | None,
    progress: Progress = silent,
    shard: Shard | None = None,
) -> tuple[Recording, tuple[str, ...]]:
    """The same with what of the settings has no effect on it, in one sentence each."""
    budget = budget_of(config)
    check_memory(budget)
    window = replace(window_of(config, now), room=room_within(budget), shard=shard)
    if shard is None and config.engine.address is not None:
        recording = _read_by_workers(config, now, window.room, progress)
    else:
        recording = source_of(config, progress).read(window)
    check_memory(budget, len(recording.usage.containers))
    recording = replace(recording, meta=replace(recording.meta, asked=window.length))
    if config.cluster is not None and config.cluster != recording.meta.cluster:
        recording = rename(recording, config.cluster)
    # Of a server only what is wanted is read: what else there is, is not known.
    recorded = _is_recorded(config)
    whole = shard is None and (recorded or not (config.namespaces or config.exclude_namespaces))
    notices = tuple(without_effect(config, recording.usage.containers)) if whole else ()
    asked = (config.prometheus.namespaces, config.prometheus.exclude_namespaces)
    only, never = ((), ()) if recorded else asked
    namespaces, excluded = config.namespaces or only, config.exclude_namespaces or never
    chosen = restrict(recording, namespaces, excluded)
    if chosen.meta.shard is not None:
        part = chosen.meta.shard.among(namespaces, excluded)
        chosen = replace(chosen, meta=replace(chosen.meta, shard=part))
    if config.namespaces and shard is None and not len(chosen.usage.containers):
        refuse_nothing(config.namespaces, recording.usage.containers)
    return chosen, notices


def _read_by_workers(
    config: Config, now: datetime | None, room: Room, progress: Progress
) -> Recording:
    """The same as a source reads, in shards on the workers of the configured scheduler."""
    from analyzer.pipeline.sharing import read_by_workers

    source_of(config)  # what is wrong with its address is said here
    # Which namespaces a recording has beside those that are asked for is told of the whole.
    asked = with_settings(config, namespaces=(), exclude_namespaces=())
    sent = asked if _is_recorded(config) else config
    return read_by_workers(sent, now, read_shard, room, progress)


def read_shard(config: Config, now: datetime | None, shard: Shard) -> Recording:
    """A shard of the configured window up to `now`, silently: whoever asked is elsewhere."""
    return read(config, now, shard=shard)


def budget_of(config: Config) -> Memory | None:
    """How much memory a run may take: as configured, else as its control groups allow."""
    return allowed_memory() if config.memory_budget is None else config.memory_budget


def without_effect(config: Config, known: Sequence[ContainerRef]) -> Iterator[str]:
    """Every rule and namespace of the settings that matches none of the `known` containers."""
    yield from idle_rules(config.rules, known)
    yield from idle_namespaces("namespaces", config.namespaces, known)
    yield from idle_namespaces("exclude_namespaces", config.exclude_namespaces, known)


def refuse_nothing(namespaces: Sequence[str], known: Sequence[ContainerRef]) -> NoReturn:
    """Say that none of `namespaces` holds a `known` container; a run on nothing is none."""
    if known:
        find((), namespaces, known)
    names = " or ".join(namespaces)
    raise UsageError(f"no container of a namespace {names} was seen; check the name and the window")


def window_of(config: Config, now: datetime | None) -> Window:
    """The window that the settings ask for."""
    return Window(
        end=window_end(config, now),
        length=parse_duration(config.window),
        step=None if config.step is None else parse_duration(config.step),
    )


def window_end(config: Config, now: datetime | None) -> datetime | None:
    """Where the window ends: as configured, else now; None for the end of what the source has."""
    if config.until is not None:
        return parse_time(config.until)
    return None if now is None or _is_recorded(config) else utc(now)


def _is_recorded(config: Config) -> bool:
    return str(config.source).startswith("recording:")


def restrict(recording: Recording, namespaces: Sequence[str], excluded: Sequence[str]) -> Recording:
    """Only the `namespaces` (all where none is named) that are not `excluded`."""
    if not namespaces and not excluded:
        return recording

    def wanted(namespace: str) -> bool:
        return (not namespaces or namespace in namespaces) and namespace not in excluded

    return recording.restrict(wanted)


def rename(recording: Recording, cluster: str) -> Recording:
    """The same recording under another cluster name."""
    usage = recording.usage
    containers = tuple(replace(ref, cluster=cluster) for ref in usage.containers)
    return replace(
        recording,
        meta=replace(recording.meta, cluster=cluster),
        usage=replace(usage, containers=containers),
    )
