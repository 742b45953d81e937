"""A whole run: read, review, land in Git, and write everything at once."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import msgspec

from analyzer.config import Config
from analyzer.history import build_histories
from analyzer.landing import check_repository, checkout, index_of, land, look_ahead
from analyzer.ledger import append
from analyzer.models import model_named
from analyzer.output import claim, write_files
from analyzer.pipeline.chart import draw, name_files
from analyzer.pipeline.reading import read_noting
from analyzer.pipeline.review import remembered, review_beforehand
from analyzer.report import Report, dump_report
from analyzer.sources.window import Progress, silent
from analyzer.usage import utc
from analyzer.writers import Writer, writer_named


@dataclass(frozen=True)
class Run:
    """What a run found, and where it was written."""

    report: Report
    folder: Path


def run(config: Config, now: datetime, progress: Progress = silent) -> Run:
    """Read, analyse, land in Git, and write everything at once.

    Nothing is written before the last step, and the previous output stays until then.
    """
    target = Path(config.output)
    writers = [writer_named(name) for name in config.formats]
    # What is wrong with the settings is said before anything is read.
    model_named(config.model)
    if config.git.repo is not None:
        check_repository(config)
    with claim(target) as claimed, ExitStack() as stack:
        # A ledger that cannot be read is said before an hour of reading.
        ledger = remembered(config)
        recording, notices = read_noting(config, now, progress)
        histories = build_histories(recording)
        index = None
        if config.git.repo is not None:
            progress(0, 1, "reading the repository")
            index = index_of(stack.enter_context(checkout(config)), config)
        known = look_ahead(histories, config, index)
        found = review_beforehand(known, config, progress, ledger)
        report = replace(found.report, created=utc(now), notices=notices)
        if index is not None:
            progress(0, 1, "finding the places in Git")
            report = land(report, config, index)
        report = replace(report, files=name_files(report, config))
        with claimed.publish() as folder:
            write_all(folder, report, writers)
            if config.charts:
                draw(report, histories, folder, progress)
        if config.ledger_folder is not None:
            append(config.ledger_folder, found.rows, now)
    return Run(report, target)


def rerun(report: Report, config: Config, progress: Progress = silent) -> Run:
    """Land an earlier `report` in Git and write it anew, in the formats that are wanted now.

    Charts show usage, which a report does not hold, so none are drawn.
    """
    writers = [writer_named(name) for name in config.formats]
    if config.git.repo is not None:
        check_repository(config)
    with claim(Path(config.output)) as claimed:
        if config.git.repo is not None:
            progress(0, 1, "finding the places in Git")
            report = land(report, config)
        undrawn = msgspec.structs.replace(config, charts=False)
        report = replace(report, files=name_files(report, undrawn))
        with claimed.publish() as folder:
            write_all(folder, report, writers)
    return Run(report, Path(config.output))


def write_all(folder: Path, report: Report, writers: Sequence[Writer]) -> None:
    """Write `report` in its lossless form and as each of `writers` has it."""
    write_files(folder, {"run.json": dump_report(report)})
    for write in writers:
        write_files(folder, write(report))
