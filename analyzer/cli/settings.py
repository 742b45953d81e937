"""Commands about the tool itself: config, completion."""

from __future__ import annotations

import os
from typing import Any

import click
from click.shell_completion import get_completion_class

from analyzer.cli.formats import as_json, columns
from analyzer.cli.options import settings_of, source_options
from analyzer.errors import UsageError


@click.command()
@source_options
@click.option("--schema", is_flag=True, help="Print the JSON schema of the file instead.")
@click.option("-o", "--output", "form", type=click.Choice(["table", "json"]), default="table")
def config(schema: bool, form: str, **parameters: Any) -> None:
    """Show the effective settings and where each comes from."""
    import json

    from analyzer.config import flatten, json_schema, spelled

    if schema:
        click.echo(json.dumps(json_schema(), indent=2))
        return
    settings = settings_of(parameters)
    values = flatten(settings.config)
    origins = {name: settings.origins.get(name, "default") for name in values}
    if form == "json":
        rows = {n: {"value": v, "origin": origins[n]} for n, v in values.items()}
        click.echo(as_json({"settings": rows}))
        return
    shown = [[name, spelled(value), origins[name]] for name, value in values.items()]
    click.echo(columns(["SETTING", "VALUE", "ORIGIN"], shown))


@click.command()
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
