"""Commands about the repository: index, trace, diff, patch, pr."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from analyzer.cli.options import Command, model_options, moment, settings_of, source_options
from analyzer.cli.show import as_json, columns
from analyzer.cli.talk import Talk
from analyzer.errors import UsageError

if TYPE_CHECKING:
    from analyzer.report import Report


def _report_options(command: Command) -> Command:
    """A repository, and the recommendations to land there."""
    options = [
        click.option("--repo", type=Path, help="Checkout of the repository."),
        click.option("--charts-dir", "helm_charts", type=Path, help="Helm charts, for proofs."),
        click.option("--from", "run_json", type=Path, help="Use this run.json; read no usage."),
    ]
    for option in reversed(options):
        command = option(command)
    return model_options(source_options(command))


@click.command()
@click.option("-o", "--output", "form", type=click.Choice(["table", "json"]), default="table")
@click.argument("repo", type=Path)
def index(repo: Path, form: str) -> None:
    """List every place in REPO that declares resources, or could."""
    from analyzer.gitops.index import index_repository

    places = index_repository(repo).to_dicts()
    if form == "json":
        click.echo(as_json({"places": places}))
        return
    head = ["FILE", "DOC", "PATH", "WORKLOAD", "REACHABLE", "EDITABLE"]
    rows = [
        [
            place["file"],
            str(place["document"]),
            place["path"],
            place["workload"],
            {True: "yes", False: "no", None: "?"}[place["reachable"]],
            "yes" if place["editable"] else place["reason"],
        ]
        for place in places
    ]
    click.echo(columns(head, rows))


@click.command()
@_report_options
@click.option("-o", "--output", "form", type=click.Choice(["table", "json"]), default="table")
def trace(form: str, **parameters: Any) -> None:
    """Show for each live container where Git declares its resources, or why not."""


@click.command()
@_report_options
@click.option("--exit-code", is_flag=True, help="Exit with 4 when there is a difference.")
@click.pass_context
def diff(ctx: click.Context, /, exit_code: bool, **parameters: Any) -> None:
    """Print the recommended changes to the repository as a unified diff."""
    report = _landed(parameters)
    click.echo("".join(change.diff for change in report.changes), nl=False)
    ctx.exit(4 if exit_code and report.changes else 0)


@click.command()
@_report_options
@click.option("--allow-dirty", is_flag=True, help="Also change files with uncommitted changes.")
def patch(allow_dirty: bool, **parameters: Any) -> None:
    """Write the recommended changes into the repository's working tree."""


@click.command()
@_report_options
@click.option("--output", "folder", type=Path, required=True, help="Folder for the patch files.")
def pr(folder: Path, **parameters: Any) -> None:
    """Write one commit per application as files for `git am`."""


def _landed(parameters: dict[str, Any]) -> Report: ...
