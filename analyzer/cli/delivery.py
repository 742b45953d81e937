"""Telling what became of pull requests, for the commands that make them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click
import orjson

from analyzer.cli.console import Talk
from analyzer.cli.options import now
from analyzer.escape import json_text, printable

if TYPE_CHECKING:
    from analyzer.config import Config
    from analyzer.forge.act import Outcome
    from analyzer.forge.delivery import Delivery
    from analyzer.pull_requests import Found
    from analyzer.report import Report

PARTIAL = 3


def open_pull_requests(run: Found, config: Config, talk: Talk, *, dry_run: bool) -> int:
    """Deliver, print a line for each pull request, and give the exit code that is due."""
    from analyzer.pull_requests import deliver_found

    environment = dict(os.environ)
    done = deliver_found(run, config, environment, dry_run=dry_run, progress=talk.progress)
    for outcome in done.delivery.outcomes:
        click.echo(_line(outcome))
    if done.delivery.dashboard:
        click.echo(f"{'dashboard':10}{printable(done.delivery.dashboard)}")
    if dry_run:
        for request in done.requests:
            body = json_text(orjson.dumps(request.body).decode("utf-8"))
            click.echo(f"would send  {request.method} {printable(request.url)} {body}")
        talk.say("dry run: nothing was pushed or sent")
    elif config.ledger_folder is not None:
        _remember(done.delivery, run.report, config.ledger_folder)
    for problem in done.delivery.failed:
        talk.say(f"not delivered: {problem}", "warning")
    return PARTIAL if done.delivery.failed else 0


def _remember(delivery: Delivery, report: Report, folder: Path) -> None:
    """Write into the ledger what persons closed, so that `rightsize history` tells of it."""
    import pandas as pd

    from analyzer.ledger import append, read_ledger
    from analyzer.pull_requests import refusals

    rows = refusals(delivery, report.meta.cluster, report.meta.end, read_ledger(folder))
    if rows:
        append(folder, pd.concat(rows, ignore_index=True), now())


def _line(outcome: Outcome) -> str:
    move = outcome.move
    verb = "failed" if outcome.problem else move.verb
    reason = outcome.problem or move.reason
    return f"{verb:10}{printable(move.branch)}  {printable(outcome.url or reason)}"
