"""Results on stdout, in the formats of ``-o``."""

from __future__ import annotations

import json
import math
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from analyzer.errors import UsageError
from analyzer.escape import json_text, printable, quoting
from analyzer.plugin import did_you_mean

if TYPE_CHECKING:
    from analyzer.check import Check
    from analyzer.recommend import Recommendation
    from analyzer.report import Report

CUSTOM = "custom-columns="
FORMATS = ("table", "wide", "json", "yaml", "csv", "markdown", "name")


def columns(head: Sequence[str], rows: Iterable[Sequence[str]], headers: bool = True) -> str:
    """Rows in aligned columns, as kubectl prints them."""
    lines = [[printable(cell) for cell in row] for row in ([head, *rows] if headers else rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "   ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


_MOST_ALIKE = 5


def checklist(findings: Iterable[Check], width: int) -> str:
    """Findings of a doctor with what to do below each, wrapped to `width` characters.

    Of many of one name the first few are shown and the others counted.
    """
    lines = []
    shown = [
        [printable(text) for text in (f.status, f.check, f.found, f.advice)]
        for f in _first_few(findings)
    ]
    margins = [max((len(row[column]) for row in shown), default=0) + 3 for column in (0, 1)]
    for status, check, found, advice in shown:
        head = status.ljust(margins[0]) + check.ljust(margins[1])
        lines += _wrapped(head, found, width)
        if advice:
            lines += _wrapped(" " * len(head) + "-> ", advice, width)
    return "\n".join(lines)


def _first_few(findings: Iterable[Check]) -> Iterator[Check]:
    """The first findings of each name, and how many more there are; the same advice once."""
    by_name: dict[str, list[Check]] = {}
    for finding in findings:
        by_name.setdefault(finding.check, []).append(finding)
    for several in by_name.values():
        shown = several[:_MOST_ALIKE]
        rest = len(several) - len(shown)
        shown += [replace(shown[-1], found=f"and {rest} more, see -o json")] if rest else []
        for finding, following in zip(shown, [*shown[1:], None], strict=True):
            again = following is not None and following.advice == finding.advice
            yield replace(finding, advice="") if again else finding


def _wrapped(head: str, text: str, width: int) -> list[str]:
    return textwrap.wrap(
        text,
        max(width, len(head) + 30),
        initial_indent=head,
        subsequent_indent=" " * len(head),
        # Paths and addresses stay whole, to be copied.
        break_long_words=False,
        break_on_hyphens=False,
    )


def as_json(value: Any) -> str:
    """One JSON object with its schema version."""
    return json_text(json.dumps({"schema": "rightsize/v1", **value}, indent=2, ensure_ascii=False))


def as_yaml(value: Any) -> str:
    """The same as `as_json`, as YAML."""
    import yaml

    told = {"schema": "rightsize/v1", **value}
    text: str = yaml.dump(told, Dumper=quoting(yaml.SafeDumper), sort_keys=False, width=1000)
    return text.rstrip("\n")


class Form(click.ParamType):  # type: ignore[type-arg]  # no argument in older versions of click
    """One of some `forms` of output, or custom columns; `help` names them all."""

    name = "form"

    def __init__(self, forms: Sequence[str] = FORMATS) -> None:
        self.forms = tuple(forms)
        self.help = f"{', '.join(self.forms)} or {CUSTOM}HEAD:COLUMN,..."

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        """What help shows; older versions of click pass no context."""
        return "FORM"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """`value` where it is one of the forms."""
        if value not in self.forms and not value.startswith(CUSTOM):
            self.fail(f"{value!r} is none of {', '.join(self.forms)}, {CUSTOM}...", param, ctx)
        return value

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """The forms that begin like this."""
        known = (*self.forms, CUSTOM)
        return [CompletionItem(form) for form in known if form.startswith(incomplete)]


@dataclass(frozen=True)
class View:
    """How rows are shown: a form or custom columns, with or without heads, and their order."""

    form: str
    headers: bool = True
    sort_by: str | None = None

    @property
    def named(self) -> Iterator[str]:
        """Every column that is named, to be shown or to sort by."""
        if self.form.startswith(CUSTOM):
            yield from (name for _, name in self.pairs)
        if self.sort_by is not None:
            yield self.sort_by.removeprefix("-")

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """Head and column of each part of ``custom-columns=HEAD:COLUMN,...``."""
        parts = [part.rpartition(":") for part in self.form.removeprefix(CUSTOM).split(",")]
        return [(head or name.upper(), name) for head, _, name in parts]

    def expect(self, known: Sequence[str], what: str = "column") -> None:
        """Raise `UsageError` where a column is named that is not among the `known`."""
        for name in self.named:
            if name not in known:
                raise UsageError(f"there is no {what} {name!r}; {did_you_mean(name, list(known))}")


def show_report(report: Report, view: View, *, everything: bool = False) -> None:
    """Print recommendations; without `everything` only changes, in tables."""
    form = view.form
    report = _sorted(report, view.sort_by)
    if form in ("json", "yaml"):
        from analyzer.report import to_plain

        value = {
            "cluster": report.meta.cluster,
            "model": report.model,
            "warnings": [*report.meta.warnings, *report.warnings],
            "notices": list(report.notices),
            "recommendations": [
                to_plain(r) | {"changed": r.changed} for r in report.recommendations
            ],
            "skipped": to_plain(report.skipped),
        }
        click.echo(as_json(value) if form == "json" else as_yaml(value))
    elif form == "csv":
        from analyzer.writers.table import write_csv

        click.echo(write_csv(report)["recommendations.csv"].decode(), nl=False)
    elif form == "markdown":
        from analyzer.writers.summary import write_summary

        click.echo(write_summary(report)["summary.md"].decode(), nl=False)
    else:
        shown = [r for r in report.recommendations if everything or r.changed]
        if view.sort_by is None:
            shown.sort(key=lambda r: r.ref)
        _show_rows(replace(report, recommendations=tuple(shown)), view)


def _sorted(report: Report, by: str | None) -> Report:
    """`report` with its recommendations in the order of one column of its table."""
    if by is None or not report.recommendations:
        return report
    frame = report.to_frame()[by.removeprefix("-")]
    order = frame.sort_values(ascending=not by.startswith("-"), kind="stable").index
    return replace(report, recommendations=tuple(report.recommendations[i] for i in order))


def _show_rows(report: Report, view: View) -> None:
    shown = report.recommendations
    form = view.form
    if form.startswith(CUSTOM):
        _show_columns(report, view)
        return
    if form == "name":
        for recommendation in shown:
            click.echo(printable(str(recommendation.ref)))
        return
    head = ["NAMESPACE", "WORKLOAD", "CONTAINER", "CPU REQUEST", "CPU LIMIT"]
    head += ["MEMORY REQUEST", "MEMORY LIMIT"]
    head += (
        ["CPU P95", "CPU MAX", "MEMORY MAX", "OOM", "DAYS", "FINDINGS"] if form == "wide" else []
    )
    rows = [_row(r, form) for r in shown]
    if rows:
        click.echo(columns(head, rows, view.headers))


def _show_columns(report: Report, view: View) -> None:
    """The columns of the CSV that ``-o custom-columns=HEAD:COLUMN,...`` names."""
    frame = report.to_frame()
    if frame.empty:
        return
    cells = [["<none>" if _missing(v) else str(v) for v in frame[c]] for _, c in view.pairs]
    head = [head for head, _ in view.pairs]
    click.echo(columns(head, list(zip(*cells, strict=True)), view.headers))


def _missing(value: object) -> bool:
    """Whether there is no value."""
    return value is None or (isinstance(value, float) and math.isnan(value))


def _row(recommendation: Recommendation, form: str) -> list[str]:
    from analyzer.quantity import Cpu, Memory
    from analyzer.recommend import TARGETS

    ref, seen = recommendation.ref, recommendation.evidence
    row = [ref.namespace, f"{ref.kind.lower()}/{ref.workload}", ref.container]
    row += [recommendation.transition(target) for target in TARGETS]
    if form == "wide":
        row += [
            "-" if seen.cpu.p95 is None else Cpu.from_cores(seen.cpu.p95).human(),
            "-" if seen.cpu.max is None else Cpu.from_cores(seen.cpu.max).human(),
            "-" if seen.memory.max is None else Memory.from_bytes(seen.memory.max).human(),
            str(seen.oom_kills),
            f"{seen.days:.1f}",
            ",".join(dict.fromkeys(recommendation.findings.values())) or "-",
        ]
    return row
