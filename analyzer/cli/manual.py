"""The manual page, made from the commands themselves."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import click

from analyzer import __version__
from analyzer.cli.sections import command


@command("man")
@click.pass_context
def man(ctx: click.Context) -> None:
    """Print the manual page, to be read or installed.

    For example: rightsize man | man -l -
    """
    root = ctx.find_root().command
    if isinstance(root, click.Group):
        click.echo("\n".join(_page(root)))


def _page(root: click.Group) -> Iterator[str]:
    above = click.Context(root, info_name="rightsize")
    yield f'.TH RIGHTSIZE 1 "" "rightsize {__version__}" "User Commands"'
    yield from (".SH NAME", f"rightsize \\- {_escaped(root.get_short_help_str(limit=200))}")
    yield from (".SH SYNOPSIS", "rightsize [OPTIONS] COMMAND [ARGS]...")
    yield ".SH COMMANDS"
    for name, each in sorted(root.commands.items()):
        yield from _command(each, click.Context(each, info_name=name, parent=above))
    yield from (".SH EXIT STATUS", *_paragraphs(root.epilog or ""))


def _command(command: click.Command, context: click.Context) -> Iterator[str]:
    usage = " ".join(command.get_usage(context).removeprefix("Usage: ").split())
    yield from (f".SS {_escaped(context.command_path)}", ".PP", f".B {_escaped(usage)}")
    yield from _paragraphs(command.help or "")
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record is not None:
            yield from (".TP", f".B {_escaped(record[0])}", _escaped(record[1]) or "\\&")


def _paragraphs(text: str) -> Iterator[str]:
    for block in inspect.cleandoc(text.replace("\b", "")).split("\n\n"):
        yield ".PP"
        yield from (_escaped(line.strip()) for line in block.splitlines() if line.strip())


def _escaped(text: str) -> str:
    """One line of text that roff takes as text."""
    inert = " ".join(text.split()).replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{inert}" if inert.startswith((".", "'")) else inert
