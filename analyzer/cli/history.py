"""The command about earlier reviews: history."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from analyzer.cli.completion import complete_references
from analyzer.cli.console import Talk
from analyzer.cli.listing import LISTED, Listing, Record, listing_options, show_listing, view_of
from analyzer.cli.options import namespace_option, selection_of, settings_of
from analyzer.cli.sections import command
from analyzer.errors import UsageError

if TYPE_CHECKING:
    from analyzer.ledger import Episode, Ledger, Outcome
    from analyzer.quantity import Resources
    from analyzer.workload import ContainerRef


@command()
@click.option("--config", "config_file", type=Path, help="Settings [rightsize.yaml].")
@click.option("--ledger", metavar="DIR", help="The folder that runs keep it in.")
@namespace_option("chosen")
@listing_options(LISTED)
@click.option("--chart", type=Path, metavar="FILE.png", help="Draw the reviews of one container.")
@click.argument("references", metavar="[REF]...", nargs=-1, shell_complete=complete_references)
def history(references: tuple[str, ...], chart: Path | None, **parameters: Any) -> None:
    """Show what was proposed, what became of it, and what happened afterwards.

    REF is NAME, KIND/NAME, NAMESPACE/NAME, NAMESPACE/NAME/CONTAINER, NAMESPACE/KIND/NAME or
    NAMESPACE/KIND/NAME/CONTAINER; without one everything is shown.
    """
    from analyzer.ledger import episodes, read_ledger, score
    from analyzer.workload import Selector, find

    view = view_of(parameters)
    selection = selection_of(references, parameters)
    ledger = read_ledger(_folder(parameters))
    for lost in ledger.lost:
        Talk().say(str(lost), "warning")
    known = sorted(ledger.last)  # whoever was reviewed, proposed to or not
    meant = find(selection.references, selection.namespaces, known) or [Selector()]
    chosen = [ref for ref in known if any(s.matches(ref) for s in meant)]
    shown, outcomes = list(episodes(ledger, chosen)), list(score(ledger, chosen))
    if chart is not None:
        _draw(ledger, chosen, chart)
    show_listing(_listing(ledger, shown, outcomes), view)
    if view.form == "table":
        for outcome in outcomes:
            click.echo(_happened(outcome))


def _draw(ledger: Ledger, refs: list[ContainerRef], path: Path) -> None:
    from analyzer.plots import describe_months, months_figure, write_png

    if len(refs) != 1:
        raise UsageError("--chart draws one container; name it: NAMESPACE/KIND/NAME/CONTAINER")
    write_png(months_figure(ledger, refs[0]), path, describe_months(ledger, refs[0]))


def _listing(ledger: Ledger, shown: list[Episode], outcomes: list[Outcome]) -> Listing:
    """The proposals as records, with the rows of the table beside them."""
    from analyzer.report import to_plain

    records = to_plain(shown)
    rows = {id(record): _row(one) for record, one in zip(records, shown, strict=True)}
    return Listing(
        key="proposals",
        records=records,
        table={head: partial(_cell, rows=rows, place=place) for place, head in enumerate(_HEAD)},
        name=partial(_cell, rows=rows, place=0),
        json={
            "reviews": int((ledger.rows["entry"] == "review").sum()),
            "outcomes": to_plain(outcomes),
        },
    )


def _cell(record: Record, rows: dict[int, list[str]], place: int) -> str:
    return rows[id(record)][place]


_HEAD = ["CONTAINER", "PROPOSED", "CPU REQUEST", "MEMORY REQUEST", "MEMORY LIMIT", "FATE", "WHEN"]


def _folder(parameters: dict[str, Any]) -> Path:
    folder = settings_of(parameters).config.ledger_folder
    if folder is None:
        raise UsageError("no ledger is kept; name its folder with --ledger DIR, as `run` does")
    if not folder.is_dir():
        raise UsageError(
            f"{folder}: no run has kept a ledger there; name another one with --ledger"
        )
    return folder


def _row(episode: Episode) -> list[str]:
    span = f"{episode.first:%Y-%m-%d}"
    if episode.last != episode.first:
        span += f"..{episode.last:%Y-%m-%d}"
    fate = episode.fate
    if episode.after is not None:
        fate += f" ({_arrows(episode.proposed, episode.after)})"
    return [
        str(episode.ref),
        span,
        *(
            _arrow(episode.before, episode.proposed, target)
            for target in ("cpu_request", "memory_request", "memory_limit")
        ),
        fate,
        "-" if episode.ended is None else f"{episode.ended:%Y-%m-%d}",
    ]


def _arrow(before: Resources, after: Resources, target: str) -> str:
    texts = ["-" if amount is None else str(amount) for amount in _two(before, after, target)]
    return texts[0] if texts[0] == texts[1] else " -> ".join(texts)


def _arrows(before: Resources, after: Resources) -> str:
    from analyzer.plots.text import TARGET_NAMES
    from analyzer.quantity import TARGETS

    changed = [t for t in TARGETS if getattr(before, t) != getattr(after, t)]
    return ", ".join(f"{TARGET_NAMES[t]} {_arrow(before, after, t)}" for t in changed)


def _two(before: Resources, after: Resources, target: str) -> tuple[Any, Any]:
    return getattr(before, target), getattr(after, target)


def _happened(outcome: Outcome) -> str:
    from analyzer.escape import printable
    from analyzer.plots.text import counted, percent
    from analyzer.writers.promise import compared, slower_text

    parts = compared(outcome.promised, outcome.happened)
    if outcome.kills:
        parts.append(f"killed {counted(outcome.kills, 'time')}")
    if outcome.throttled:
        parts.append(f"throttled for {percent(outcome.throttled)} of the time")
    parts += slower_text(outcome)
    what = "; ".join(parts) or "nothing to tell"
    return printable(f"{outcome.ref}: since {outcome.merged:%Y-%m-%d} {what}")
