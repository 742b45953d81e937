"""Lists on stdout: the records of a command in every form of ``-o``, in any order.

A command gives the records that its JSON holds; tables, CSV, YAML and columns are made of these.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import click

from analyzer.cli.formats import CUSTOM, Form, View, as_json, as_yaml, columns
from analyzer.escape import csv_cell, markdown_table, printable

Command = TypeVar("Command", bound=Callable[..., Any])
Record = Mapping[str, Any]
LISTED = Form(("table", "json", "yaml", "csv", "markdown", "name"))
"""The forms of a list that has one table."""


@dataclass(frozen=True)
class Listing:
    """What a command lists.

    `records` is what programs get; `table` has per head of a table the text of its cell, `name`
    what ``-o name`` prints. `json` is the whole answer as JSON, where that is more than the records
    under the name `key`.
    """

    key: str
    records: Sequence[Record]
    table: Mapping[str, Callable[[Record], object]]
    name: Callable[[Record], object]
    json: Mapping[str, Any] = field(default_factory=dict)


def listing_options(form: Form) -> Callable[[Command], Command]:
    """How a list is printed, in one of the forms."""

    def add(command: Command) -> Command:
        for option in (
            click.option("--no-headers", is_flag=True, help="No header line."),
            click.option("--sort-by", metavar="FIELD", help="A field of the CSV; -FIELD: falling."),
            click.option("-o", "--output", "form", type=form, default="table", help=form.help),
        ):
            command = option(command)
        return command

    return add


def view_of(parameters: dict[str, Any]) -> View:
    """Take what `listing_options` added out of the parameters of a command."""
    form, no_headers = parameters.pop("form"), parameters.pop("no_headers")
    return View(form, not no_headers, parameters.pop("sort_by"))


def show_listing(listing: Listing, view: View) -> None:
    """Print it; nothing at all, not even a head, where a table has no rows."""
    if listing.records:
        view.expect(list(listing.records[0]), "field")
    records = in_order(listing.records, view.sort_by)
    if view.form in ("json", "yaml"):
        value = {listing.key: records, **listing.json}
        click.echo(as_json(value) if view.form == "json" else as_yaml(value))
    elif view.form == "csv":
        click.echo(_csv(records, headers=view.headers), nl=False)
    elif view.form == "name":
        for record in records:
            click.echo(printable(str(listing.name(record))))
    elif records:
        _show_table(listing, records, view)


def _show_table(listing: Listing, records: Sequence[Record], view: View) -> None:
    if view.form.startswith(CUSTOM):
        head = [head for head, _ in view.pairs]
        cells = [[_text(record[name]) for _, name in view.pairs] for record in records]
    else:
        head = list(listing.table)
        cells = [[_text(of(record)) for of in listing.table.values()] for record in records]
    if view.form == "markdown":
        click.echo(markdown_table(head, cells))
    else:
        click.echo(columns(head, cells, view.headers))


def in_order(records: Sequence[Record], by: str | None) -> list[Record]:
    """The records by one of their fields; with a dash before it falling."""
    if by is None or not records:
        return list(records)
    name = by.removeprefix("-")

    def key(record: Record) -> tuple[bool, bool, float, str]:
        value = record[name]
        number = isinstance(value, int | float)
        return value is None, not number, float(value) if number else 0.0, str(value)

    return sorted(records, key=key, reverse=by.startswith("-"))


def _text(value: object) -> str:
    if value is None or value == "":
        return "-"
    return json.dumps(value) if isinstance(value, dict | list | tuple) else str(value)


def _csv(records: Sequence[Record], *, headers: bool) -> str:
    """Every field of every record; texts so that no spreadsheet acts on them."""
    if not records:
        return ""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    if headers:
        writer.writerow(records[0])
    for record in records:
        writer.writerow(_csv_value(record[name]) for name in records[0])
    return out.getvalue()


def _csv_value(value: object) -> object:
    if value is None or isinstance(value, int | float):
        return value
    return csv_cell(json.dumps(value) if isinstance(value, dict | list | tuple) else str(value))
