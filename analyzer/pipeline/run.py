"""A whole run: read, review, land in Git, and write everything at once."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import msgspec

from analyzer.config import Config
from analyzer.gitops.index.repository_index import RepositoryIndex
from analyzer.gitops.land.outcome import ChangePlan
from analyzer.history import Histories, build_histories
from analyzer.landing import (
    Grouped,
    check_repository,
    checkout,
    index_of,
    look_ahead,
    plan_landing,
    plan_on_index,
    with_plan,
)
from analyzer.ledger import append, set_aside
from analyzer.models import model_named
from analyzer.output import claim, write_files
from analyzer.pipeline.chart import draw, drawn_before, name_files
from analyzer.pipeline.memory import give_back
from analyzer.pipeline.phase import Phases
from analyzer.pipeline.reading import read_noting
from analyzer.pipeline.review import remembered, review_beforehand
from analyzer.pipeline.workers import workers_for
from analyzer.report import Report, dump_report
from analyzer.sources.window import Progress, silent
from analyzer.usage import utc
from analyzer.writers import Writer, writer_named


@dataclass(frozen=True)
class Run:
    """What a run found, where it was written, and the edits of the repository where there is one.

    The files of `plan` are there as long as the checkout is.
    """

    report: Report
    folder: Path
    plan: ChangePlan | None = None


def run(
    config: Config, now: datetime, progress: Progress = silent, phases: Phases | None = None
) -> Run:
    """Read, analyse, land in Git, and write everything at once.

    Nothing is written before the last step, and the previous output stays until then. How long
    each of the `phases` took is part of the report.
    """
    phases = phases or Phases()
    target, writers = Path(config.output), _checked(config)
    with claim(target) as claimed, ExitStack() as stack:
        # A ledger that cannot be read is said before an hour of reading.
        ledger = remembered(config)
        with phases("read"):
            histories, notices = _read(config, now, progress)
        workers = stack.enter_context(workers_for(histories, config))
        histories = replace(histories, workers=workers)
        index = _index(config, stack, progress, phases)
        known = look_ahead(histories, config, index)
        found = review_beforehand(known, config, progress, ledger, phases)
        drawn, rows = histories if config.charts else None, found.rows
        notices = (*notices, *found.report.notices)
        report = replace(found.report, created=utc(now), notices=notices)
        # What was used is by far the largest, and from now on is drawn at most.
        del histories, known, found
        give_back()
        report, plan = _landed(report, config, index, progress, phases)
        with claimed.publish() as folder:
            if drawn is not None:
                with phases("draw"):
                    draw(report, drawn, ledger.plus(rows), folder, progress, claimed.target)
            report = replace(report, seconds=dict(phases.seconds))
            write_all(folder, report, writers)
        if config.ledger_folder is not None:
            set_aside(ledger)  # not before what is missing has been told
            append(config.ledger_folder, rows, now)
    return Run(report, target, plan)


def _checked(config: Config) -> list[Writer]:
    """The writers that are wanted; what is wrong with the settings is said before any reading."""
    writers = [writer_named(name) for name in config.formats]
    model_named(config.model)
    if config.git.repo is not None:
        check_repository(config)
    return writers


def _read(config: Config, now: datetime, progress: Progress) -> tuple[Histories, tuple[str, ...]]:
    """What was used, and what of the settings has no effect on it."""
    recording, notices = read_noting(config, now, progress)
    histories = build_histories(recording)
    del recording  # what of it was not believed is as large as what was
    give_back()
    return histories, notices


def _index(
    config: Config, stack: ExitStack, progress: Progress, phases: Phases
) -> RepositoryIndex | None:
    """What the repository declares, in a checkout that is there as long as `stack` is."""
    if config.git.repo is None:
        return None
    progress(0, 1, "reading the repository")
    with phases("repository"):
        return index_of(stack.enter_context(checkout(config)), config)


def _landed(
    report: Report,
    config: Config,
    index: RepositoryIndex | None,
    progress: Progress,
    phases: Phases,
) -> tuple[Report, ChangePlan | None]:
    """`report` with its edits of the repository, where there is one, and the files to write."""
    plan = None
    if index is not None:
        progress(0, 1, "finding the places in Git")
        with phases("land"):
            plan = plan_on_index(report, config, index)
            report = with_plan(report, plan, Grouped.of(config.forge))
    return replace(report, files=name_files(report, config)), plan


def rerun(
    report: Report,
    config: Config,
    beside: Path | None,
    progress: Progress = silent,
    phases: Phases | None = None,
) -> Run:
    """Land an earlier `report` in Git and write it anew, in the formats that are wanted now.

    How long each of the `phases` took is part of it, and no more what those of the earlier took.

    Charts show usage, which a report does not hold: those that lie `beside` it, where it lies
    anywhere, are carried over.
    """
    phases = phases or Phases()
    writers = [writer_named(name) for name in config.formats]
    if config.git.repo is not None:
        check_repository(config)
    with claim(Path(config.output)) as claimed:
        plan = None
        if config.git.repo is not None:
            progress(0, 1, "finding the places in Git")
            with phases("land"):
                plan = plan_landing(report, config)
                report = with_plan(report, plan, Grouped.of(config.forge))
        drawn = drawn_before(report, beside) if config.charts and beside is not None else {}
        charts = {name: (beside / name).read_bytes() for name in drawn.values()} if beside else {}
        undrawn = msgspec.structs.replace(config, charts=False)
        files = name_files(report, undrawn) | drawn
        report = replace(report, files=files, seconds=dict(phases.seconds))
        with claimed.publish() as folder:
            write_all(folder, report, writers)
            write_files(folder, charts)
    return Run(report, Path(config.output), plan)


def write_all(folder: Path, report: Report, writers: Sequence[Writer]) -> None:
    """Write `report` in its lossless form and as each of `writers` has it."""
    write_files(folder, {"run.json": dump_report(report)})
    for write in writers:
        write_files(folder, write(report))
