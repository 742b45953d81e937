"""The command about nodes: what each holds before and after, what could go, what no longer fits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import click

from analyzer.cli.analysis import leave, report_of, tell
from analyzer.cli.console import Talk
from analyzer.cli.formats import Form, View, columns
from analyzer.cli.listing import Listing, in_order, listing_options, show_listing, view_of
from analyzer.cli.options import (
    model_options,
    repository_options,
    run_json_option,
    selection_of,
    source_options,
)
from analyzer.cli.sections import command
from analyzer.errors import SourceError

if TYPE_CHECKING:
    from analyzer.placement import Packing
    from analyzer.report import Report
    from analyzer.writers.section import Section

_UNKNOWN = (
    "nothing is told of nodes, or of where pods run: kube-state-metrics exports both "
    "(kube_node_status_allocatable, kube_pod_info), and all namespaces have to be read"
)
_OLD = "the run was made by a version that kept no single nodes; run it again to see them"


@command()
@source_options
@run_json_option
@model_options
@repository_options
@listing_options(Form(("table", "wide", "json", "yaml", "csv", "markdown", "name")))
@click.pass_context
def nodes(ctx: click.Context, /, **parameters: Any) -> None:
    """Show what nodes hold before and after, which could go, and what finds no place.

    A table has a row for each group of nodes, `wide` one for each node as well; CSV, names and
    custom columns are of nodes. The same numbers are in the summary of a run.
    """
    view = view_of(parameters)
    with Talk(quiet=parameters["quiet"], log_format=parameters["log_format"]) as talk:
        report, _ = report_of(parameters, selection_of((), {}), talk)
        tell(report, talk)
        if report.packing is None:
            raise SourceError(_UNKNOWN)
        if not report.packing.nodes:
            talk.say(_OLD, "warning")
    listing = _listing(report.packing, report.meta.cluster)
    if view.form in ("table", "wide", "markdown"):
        _show_sections(list(_sections(_ordered(report, listing, view), view.form)), view)
        if view.form == "table":
            _tell_going(report.packing)
    else:
        show_listing(listing, view)
    leave(ctx, report, False)


def _ordered(report: Report, listing: Listing, view: View) -> Report:
    """The report with its nodes in the order that is asked for."""
    packing = report.packing
    if packing is None or view.sort_by is None or not packing.nodes:
        return report
    view.expect(list(listing.records[0]), "field")
    known = {node.name: node for node in packing.nodes}
    names = [record["name"] for record in in_order(listing.records, view.sort_by)]
    return replace(report, packing=replace(packing, nodes=tuple(known[name] for name in names)))


def _sections(report: Report, form: str) -> Iterator[Section]:
    from analyzer.writers import packing as of

    shown = [of.groups, of.unplaced] if form == "table" else [of.groups, of.nodes, of.unplaced]
    yield from filter(None, (section(report) for section in shown))


def _show_sections(sections: list[Section], view: View) -> None:
    """Tables with an empty line between; what is to be minded below them."""
    from analyzer.writers.section import as_markdown

    if view.form == "markdown":
        click.echo("\n\n".join(map(as_markdown, sections)))
        return
    tables = [
        columns([name.upper() for name in section.head], section.rows, view.headers)
        for section in sections
    ]
    click.echo("\n\n".join(tables))


def _tell_going(packing: Packing) -> None:
    """Which nodes could go, below the table that only counts them."""
    from analyzer.escape import one_line
    from analyzer.writers.packing import which_could_go

    going = which_could_go(packing)
    if going:
        click.echo(f"\n{one_line(going, 1000)}")


def _listing(packing: Packing, cluster: str) -> Listing:
    """The nodes as records, with the groups and the pods without a place beside them."""
    from analyzer.report import to_plain

    return Listing(
        key="nodes",
        records=to_plain(packing.nodes),
        table={},
        name=itemgetter("name"),
        json={
            "cluster": cluster,
            "groups": to_plain(packing.groups),
            "unplaced": to_plain(packing.unplaced),
            "unknown": packing.unknown,
            "spare": packing.spare,
        },
    )
