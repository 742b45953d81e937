"""Commands about the tool itself: config, init, schema, completion."""

from __future__ import annotations

import os
import sys
from operator import itemgetter
from pathlib import Path
from typing import Any

import click
from click.shell_completion import get_completion_class

from analyzer import __version__
from analyzer.cli.console import Talk
from analyzer.cli.listing import LISTED, Listing, listing_options, show_listing, view_of
from analyzer.cli.options import now, settings_of, source_options
from analyzer.cli.sections import command
from analyzer.errors import UsageError


@command()
@source_options
@click.option("--schema", is_flag=True, help="Print the JSON schema of the file instead.")
@listing_options(LISTED)
def config(schema: bool, **parameters: Any) -> None:
    """Show the effective settings and where each comes from."""
    import json

    from analyzer.config import flatten, json_schema, spelled

    if schema:
        click.echo(json.dumps(json_schema(), indent=2))
        return
    view = view_of(parameters)
    settings = settings_of(parameters)
    values = flatten(settings.config)
    origins = {name: settings.origins.get(name, "default") for name in values}
    records = [
        {"setting": name, "value": value, "origin": origins[name]} for name, value in values.items()
    ]
    listing = Listing(
        key="settings",
        records=records,
        table={
            "SETTING": itemgetter("setting"),
            "VALUE": lambda record: spelled(record["value"]),
            "ORIGIN": itemgetter("origin"),
        },
        name=itemgetter("setting"),
        json={"settings": {n: {"value": v, "origin": origins[n]} for n, v in values.items()}},
    )
    show_listing(listing, view)


@command()
def version() -> None:
    """Say which version this is, and what it runs on."""
    import platform

    click.echo(f"rightsize {__version__}, Python {platform.python_version()}, {sys.platform}")


@command()
@source_options
@click.option("--repo", metavar="DIR|URL", help="Repository that declares the workloads.")
@click.argument("file", type=Path, default=Path("rightsize.yaml"))
def init(file: Path, **parameters: Any) -> None:
    """Write a commented settings FILE [rightsize.yaml] for the cluster that the source shows.

    The last day is read, unless a window is set. An existing file stays.
    """
    from msgspec.structs import replace

    from analyzer.config.starter import starter
    from analyzer.errors import OutputError
    from analyzer.pipeline.reading import read

    if file.exists():
        raise UsageError(f"{file} is there already; name another file, or move it away")
    settings = settings_of(parameters)
    config = settings.config
    known, cluster = [], config.cluster
    if config.source is not None:
        if "window" not in settings.origins:
            config = replace(config, window="1d")
        with Talk(quiet=parameters["quiet"], log_format=parameters["log_format"]) as talk:
            recording = read(config, now(), talk.progress)
            talk.say_partial(recording.meta.warnings)
        known, cluster = list(recording.usage.containers), recording.meta.cluster
    text = starter(known, source=config.source, cluster=cluster, repo=config.git.repo)
    try:
        with file.open("x", encoding="utf-8") as new:
            new.write(text)
    except OSError as error:
        raise OutputError(f"{file}: cannot be written ({error.strerror})") from error
    click.echo(str(file))


@command()
@click.argument("name", required=False)
def schema(name: str | None) -> None:
    """Print the JSON schema of run.json, of the settings, or of a command's -o json by its NAME.

    Without a NAME the names are listed.
    """
    import json

    from analyzer.plugin import did_you_mean
    from analyzer.schema import schemas

    known = schemas()
    if name is None:
        click.echo("\n".join(known))
    elif name in known:
        click.echo(json.dumps(known[name], indent=2))
    else:
        raise UsageError(f"there is no schema {name!r}; {did_you_mean(name, list(known))}")


@command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, /, shell: str) -> None:
    """Print the completion script of a shell, to be sourced.

    For example: source <(rightsize completion bash)
    """
    kind = get_completion_class(shell)
    if kind is None:
        raise UsageError(f"there is no completion for {shell}")
    root = ctx.find_root()
    name = os.path.basename(root.info_name or "rightsize")  # noqa: PTH119  # a name, not a file
    variable = f"_{name.replace('-', '_').upper()}_COMPLETE"
    click.echo(kind(root.command, {}, name, variable).source())
