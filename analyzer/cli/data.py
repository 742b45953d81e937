"""Commands about usage data: record, import, doctor."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import click

from analyzer.cli.console import Talk
from analyzer.cli.formats import as_json, checklist
from analyzer.cli.options import (
    namespace_option,
    now,
    repository_options,
    settings_of,
    source_options,
)
from analyzer.errors import UsageError

PARTIAL = 3


@click.command()
@source_options
@namespace_option()
@click.option("--anonymise", is_flag=True, help="Replace every name by a pseudonym.")
@click.argument("folder", type=Path)
@click.pass_context
def record(ctx: click.Context, /, folder: Path, anonymise: bool, **parameters: Any) -> None:
    """Read usage from the source and keep it as a recording in FOLDER."""
    import secrets

    from analyzer.pipeline.reading import read
    from analyzer.sources import anonymise as without_names
    from analyzer.sources import save_recording

    config = settings_of(parameters).config
    with Talk(quiet=parameters["quiet"], log_format=parameters["log_format"]) as talk:
        recording = read(config, now(), talk.progress)
        if anonymise:
            # A fresh key each time: pseudonyms of two recordings cannot be joined.
            recording = without_names(recording, secrets.token_bytes(32))
        save_recording(recording, folder)
        talk.say_partial(recording.meta.warnings)
        talk.say(f"{len(recording.usage.containers)} containers, {recording.meta.steps} steps")
    click.echo(str(folder))
    ctx.exit(PARTIAL if recording.meta.warnings else 0)


@click.command("import")
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


@click.command()
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
