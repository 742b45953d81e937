"""Commands about usage data: record, import, doctor."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from analyzer.cli.console import Talk
from analyzer.cli.formats import as_json, checklist
from analyzer.cli.options import (
    engine_options,
    namespace_option,
    now,
    repository_options,
    settings_of,
    source_options,
)
from analyzer.cli.sections import command
from analyzer.errors import UsageError

PARTIAL = 3


@command()
@source_options
@engine_options
@namespace_option()
@click.option("--anonymise", is_flag=True, help="Replace every name by a pseudonym.")
@click.option(
    "--shard", metavar="I/N", help="Only the namespaces of part I of N, from 0 on; then merge."
)
@click.argument("folder", type=Path)
@click.pass_context
def record(
    ctx: click.Context, /, folder: Path, anonymise: bool, shard: str | None, **parameters: Any
) -> None:
    """Read usage from the source and keep it as a recording in FOLDER.

    With --shard, processes that know nothing of each other share the reading of one cluster, up to
    the last midnight (UTC) unless --until says otherwise; `rightsize merge` puts it together. With
    --scheduler, the workers of a Dask scheduler do, and the whole is put together here.
    """
    import secrets

    from analyzer.pipeline.reading import read
    from analyzer.shard import parse_shard
    from analyzer.sources import anonymise as without_names
    from analyzer.sources import save_recording

    part = None if shard is None else parse_shard(shard)
    if part is not None and anonymise:
        raise UsageError("--anonymise gives each shard other names; merge first, then record that")
    if part is not None and parameters["scheduler"]:
        raise UsageError("--shard reads one part here, --scheduler has all read; give one of them")
    config = settings_of(parameters).config
    with Talk(quiet=parameters["quiet"], log_format=parameters["log_format"]) as talk:
        recording = read(config, now(), talk.progress, part)
        if anonymise:
            # A fresh key each time: pseudonyms of two recordings cannot be joined.
            recording = without_names(recording, secrets.token_bytes(32))
        save_recording(recording, folder)
        talk.say_partial(recording.meta.warnings)
        talk.say(f"{len(recording.usage.containers)} containers, {recording.meta.steps} steps")
    click.echo(str(folder))
    ctx.exit(PARTIAL if recording.meta.warnings else 0)


@command()
@click.option("-o", "--output", "folder", type=Path, required=True, help="The whole recording.")
@click.option("--max-age", metavar="36h", help="Fail where the window ended longer ago.")
@click.argument("shards", metavar="SHARD...", type=Path, nargs=-1, required=True)
def merge(folder: Path, max_age: str | None, shards: Sequence[Path]) -> None:
    """Put the shards of a cluster together into one recording.

    SHARD is a folder that `record --shard` wrote, or one that holds them all. All have to be there,
    once, of one window and one version; what follows is what reading the cluster at once gives.
    What could not be read of a shard is told, and told again by whatever reads the whole.
    """
    from analyzer.config import parse_duration
    from analyzer.pipeline.memory import allowed_memory, room_within
    from analyzer.sources import save_recording
    from analyzer.sources.recording.merging import expect_no_shard, merge_shards

    try:
        oldest = None if max_age is None else now() - parse_duration(max_age)
    except ValueError as error:
        raise UsageError(f"--max-age: {error}") from error
    expect_no_shard(folder)
    with Talk() as talk:
        whole = merge_shards(shards, room_within(allowed_memory()), oldest)
        save_recording(whole, folder)
        talk.say_partial(whole.meta.warnings)
        talk.say(f"{len(whole.usage.containers)} containers, {whole.meta.steps} steps")
    click.echo(str(folder))


@command("import")
@click.option("--cluster", default="imported", help="What to call the cluster.")
@click.option("--step", metavar="5m", help="Resolution [what the timestamps show].")
@click.argument("table", type=click.Path(path_type=Path))
@click.argument("folder", type=Path)
def import_table(table: Path, folder: Path, cluster: str, step: str | None) -> None:
    """Turn TABLE (CSV or Parquet with usage columns) into a recording in FOLDER.

    Columns: namespace, workload_kind, workload, container, pod, timestamp, and cpu_cores or
    memory_bytes. A table with a series_id instead of names becomes one container per series.
    """
    from analyzer.config import parse_duration
    from analyzer.sources import import_usage, save_recording

    try:
        length = None if step is None else parse_duration(step)
    except ValueError as error:
        raise UsageError(f"--step: {error}") from error
    with Talk():  # says which rows are left out, and how the times were read
        recording = import_usage(table, cluster=cluster, step=length)
        save_recording(recording, folder)
    click.echo(str(folder))


@command()
@source_options
@repository_options
@click.option(
    "-o",
    "--output",
    "form",
    type=click.Choice(["table", "json"]),
    default="table",
    help="How to print it.",
)
@click.pass_context
def doctor(ctx: click.Context, /, form: str, **parameters: Any) -> None:
    """Say what the source and the repository have, what is missing, and what to do about it.

    The window is read as a run reads it and judged whole: what of each container's usage cannot be
    believed, and which containers get no amounts.
    """
    from analyzer.pipeline.reading import source_of, window_of

    config = settings_of(parameters).config
    findings = []
    with Talk(quiet=parameters["quiet"], log_format=parameters["log_format"]) as talk:
        if config.source is not None or config.git.repo is None:
            findings += source_of(config, talk.progress).examine(window_of(config, now()))
        if config.git.repo is not None:
            from analyzer.landing import examine_git

            findings += examine_git(config)
    if form == "json":
        from analyzer.report import to_plain

        click.echo(as_json({"findings": to_plain(findings)}))
    else:
        click.echo(checklist(findings, shutil.get_terminal_size((100, 24)).columns))
    ctx.exit(1 if any(f.status == "problem" for f in findings) else 0)
