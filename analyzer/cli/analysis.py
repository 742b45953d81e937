"""Commands that read usage and say what follows: run, recommend, explain, backtest, diff."""

from __future__ import annotations

import math
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from analyzer.cli.completion import complete_formats, complete_models, complete_references
from analyzer.cli.console import Talk
from analyzer.cli.formats import Form, View, as_json, columns, show_report
from analyzer.cli.options import (
    Selection,
    earlier_run,
    engine_options,
    folder_of,
    model_options,
    namespace_option,
    now,
    repository_options,
    run_json_option,
    selection_of,
    selection_options,
    settings_of,
    source_options,
    within_namespaces,
)
from analyzer.cli.sections import command
from analyzer.errors import AnalyzerError, UsageError

if TYPE_CHECKING:
    from analyzer.backtest import BacktestResult
    from analyzer.config import Config, Settings
    from analyzer.history import Histories
    from analyzer.models import Resource
    from analyzer.pipeline.phase import Phases
    from analyzer.pipeline.run import Run
    from analyzer.report import Report

PARTIAL, CHANGES = 3, 4
_QUARTER = "91d"
"""What a backtest reads of any source: a review tells little, many tell how models differ."""
_BACKTEST_FORMATS = click.Choice(["table", "json", "csv"])


@command()
@source_options
@engine_options
@run_json_option
@model_options
@click.option("-o", "--output", "output_folder", type=Path, help="Results [reports/latest].")
@repository_options
@namespace_option()
@click.option(
    "--format",
    "formats",
    multiple=True,
    shell_complete=complete_formats,
    help="Only this format (repeatable); also parquet, resize, vpa and helm.",
)
@click.option("--charts/--no-charts", default=None, help="Draw PNG charts [on].")
@click.option(
    "--backtest/--no-backtest", "with_backtest", default=None, help="Judge by the past [on]."
)
@click.option("--exit-code", is_flag=True, help="Exit with 4 when changes are recommended.")
@click.option("--pr", "deliver", is_flag=True, help="Open and refresh pull requests as well.")
@click.option("--dry-run", is_flag=True, help="With --pr: say what would be pushed and sent.")
@click.pass_context
def run(ctx: click.Context, /, exit_code: bool, deliver: bool, **parameters: Any) -> None:
    """Do all of it: read, learn, recommend, find the place in Git, write patches and charts."""
    dry_run = parameters.pop("dry_run")
    if dry_run and not deliver:
        raise UsageError("--dry-run goes with --pr; without it nothing leaves this machine")
    from analyzer.pipeline.phase import Phases

    config = settings_of(parameters).config
    if deliver and config.git.repo is None:
        raise UsageError("--pr needs the repository to propose to; name it with --repo")
    with ExitStack() as kept:
        talk = Talk(quiet=parameters["quiet"], log_format=parameters["log_format"])
        with talk:
            phases = Phases(time.monotonic, talk.phase)
            config, outcome = _run(config, parameters, talk, kept, phases)
            _sum_up(outcome.report, talk)
        summary = outcome.folder / "summary.md"
        click.echo(str(summary if summary.exists() else outcome.folder))
        left_over = 0
        if deliver:
            with phases("deliver"):
                left_over = _deliver(outcome, config, talk, dry_run=dry_run)
    if not dry_run and _told(outcome.report, config, talk):
        left_over = left_over or PARTIAL
    if left_over:
        ctx.exit(left_over)
    leave(ctx, outcome.report, exit_code)


def _sum_up(report: Report, talk: Talk) -> None:
    """Say what the run found, and what it missed."""
    from analyzer.report import tally

    tell(report, talk)
    if report.verdict:
        talk.say(report.verdict)
    edited = sum(landing.status == "edited" for landing in report.landings)
    talk.say(
        tally(report.recommendations, report.skipped)
        + (f" · {edited} edited in Git" if report.landings else "")
    )


def _run(
    config: Config, parameters: dict[str, Any], talk: Talk, kept: ExitStack, phases: Phases
) -> tuple[Config, Run]:
    """Run the pipeline on the source, or on an earlier run; a failure is told to who waits.

    What is delivered is what was found: the repository is checked out once, and `kept` until then.
    What it says itself of the policy holds below the settings.
    """
    run_json: Path | None = parameters["run_json"]
    from msgspec.structs import replace as with_settings

    from analyzer.landing import checkout
    from analyzer.notify.delivery import tell_failure
    from analyzer.pipeline.run import rerun
    from analyzer.pipeline.run import run as run_pipeline

    try:
        if config.git.repo is not None:
            root = kept.enter_context(checkout(config))
            config = settings_of(parameters, root).config
            config = with_settings(config, git=with_settings(config.git, repo=str(root)))
        if run_json is None:
            return config, run_pipeline(config, now(), talk.progress, phases)
        found = within_namespaces(earlier_run(run_json, config), config, talk)
        return config, rerun(found, config, folder_of(run_json), talk.progress, phases)
    except AnalyzerError as error:
        for untold in tell_failure(error, config.notify):
            talk.say(untold, "warning")
        raise


def _told(report: Report, config: Config, talk: Talk) -> list[str]:
    """Tell others of the run; what could not be told, which is said."""
    from analyzer.notify.delivery import tell

    untold = tell(report, config.notify)
    for sentence in untold:
        talk.say(sentence, "warning")
    return untold


def _deliver(outcome: Run, config: Config, talk: Talk, *, dry_run: bool) -> int:
    """Open and refresh pull requests for what the run found; the exit code that is due."""
    from analyzer.cli.delivery import open_pull_requests
    from analyzer.pull_requests import Found

    if outcome.plan is None:
        raise AssertionError("--pr without a repository")
    found = Found(outcome.report, outcome.plan, outcome.folder / "charts")
    with talk:
        return open_pull_requests(found, config, talk, dry_run=dry_run)


@command()
@source_options
@engine_options
@run_json_option
@model_options
@selection_options
@repository_options
@click.option("-o", "--output", "form", type=Form(), default="table", help=Form().help)
@click.option("--sort-by", metavar="COLUMN", help="A column of the CSV; -COLUMN: falling.")
@click.option("--all", "everything", is_flag=True, help="Also what needs no change.")
@click.option("--no-headers", is_flag=True, help="No header line.")
@click.option("--exit-code", is_flag=True, help="Exit with 4 when changes are recommended.")
@click.argument("references", metavar="[REF]...", nargs=-1, shell_complete=complete_references)
@click.pass_context
def recommend(
    ctx: click.Context,
    /,
    form: str,
    everything: bool,
    exit_code: bool,
    references: tuple[str, ...],
    **parameters: Any,
) -> None:
    """Print recommended requests and limits; write nothing.

    REF is NAME, KIND/NAME, NAMESPACE/NAME, NAMESPACE/NAME/CONTAINER, NAMESPACE/KIND/NAME or
    NAMESPACE/KIND/NAME/CONTAINER, kinds as kubectl takes them (deploy, deployment.apps).
    """
    from analyzer.report import COLUMNS

    view = View(form, not parameters["no_headers"], parameters["sort_by"])
    view.expect(COLUMNS)
    selection = selection_of(references, parameters)
    with Talk(quiet=parameters["quiet"], log_format=parameters["log_format"]) as talk:
        # Only the summary tells how the policy would have done before.
        report, _ = report_of(parameters, selection, talk, judge=form == "markdown")
        if not report.recommendations and not report.skipped:
            talk.say("nothing has these labels", "warning")
        for skipped in report.skipped:
            talk.say(f"skipped {skipped.ref}: {skipped.reason}")
        if report.recommendations and not report.changed:
            talk.say("nothing is worth changing")
        tell(report, talk)
    show_report(report, view, everything=everything or bool(references))
    leave(ctx, report, exit_code)


@command()
@source_options
@engine_options
@run_json_option
@model_options
@repository_options
@namespace_option("chosen")
@click.option("--chart", type=Path, metavar="FILE.png", help="Draw the evidence into this file.")
@click.argument(
    "references", metavar="REF...", nargs=-1, required=True, shell_complete=complete_references
)
@click.pass_context
def explain(
    ctx: click.Context, /, references: tuple[str, ...], chart: Path | None, **parameters: Any
) -> None:
    """Show how the amounts of each REF came about, step by step.

    REF is NAME, KIND/NAME, NAMESPACE/NAME, NAMESPACE/NAME/CONTAINER, NAMESPACE/KIND/NAME or
    NAMESPACE/KIND/NAME/CONTAINER, kinds as kubectl takes them (deploy, deployment.apps).
    """
    from analyzer.writers.explanation import explanation

    selection = selection_of(references, parameters)
    if chart is not None and parameters["run_json"] is not None:
        raise UsageError("--chart draws usage, which --from does not read; leave one out")
    with Talk(quiet=parameters["quiet"], log_format=parameters["log_format"]) as talk:
        report, histories = report_of(parameters, selection, talk)
        if chart is not None and histories is not None:
            from analyzer.pipeline.chart import draw_one

            if len(report.recommendations) != 1:
                raise UsageError(
                    "--chart draws one container; name it: NAMESPACE/KIND/NAME/CONTAINER"
                )
            draw_one(report.recommendations[0], histories, report.horizon, chart)
        tell(report, talk)
    click.echo(explanation(report), nl=False)
    leave(ctx, report, False)


@command()
@source_options
@engine_options
@namespace_option()
@click.option("--train", metavar="14d", help="History before each review; as a run, if left out.")
@click.option("--horizon", metavar="7d", help="Time until the next review.")
@click.option(
    "--models",
    metavar="all|NAME,...",
    default="all",
    shell_complete=complete_models,
    help="Which models to score.",
)
@click.option(
    "-o", "--output", "form", type=_BACKTEST_FORMATS, default="table", help="How to print it."
)
@click.option("--chart", type=Path, metavar="FILE.png", help="Draw the comparison into this file.")
@click.pass_context
def backtest(
    ctx: click.Context,
    /,
    train: str | None,
    models: str,
    form: str,
    chart: Path | None,
    **parameters: Any,
) -> None:
    """Score models on the past: what would each have caused, and cost?

    At every review the past is cut off, each model states its demand, and the horizon that followed
    is held against it: this policy as a run ships it, models at every risk, peers and plain rules
    at every setting their users have, and what hindsight would have set. Unless a window is set,
    13 weeks are read, as far as there are so many: each adds a review.
    """
    from analyzer.backtest import in_words
    from analyzer.models import MODELS

    names = tuple(MODELS) if models == "all" else tuple(models.split(","))
    before = _train(train)
    with Talk(quiet=parameters["quiet"], log_format=parameters["log_format"]) as talk:
        result, missed = _scored(settings_of(parameters), names, before, talk)
        talk.say(in_words(result))
        talk.say_partial(missed)
    if chart is not None:
        from analyzer.plots import backtest_figure, write_png

        write_png(backtest_figure(result.to_frame()), chart, in_words(result))
    _show_backtest(result, form)
    ctx.exit(PARTIAL if missed else 0)


def _scored(
    settings: Settings, names: tuple[str, ...], train: timedelta | None, talk: Talk
) -> tuple[BacktestResult, list[str]]:
    """Read a quarter, or the window that is set, and score on it; and what could not be read."""
    from msgspec.structs import replace as with_settings

    from analyzer.backtest import Walk
    from analyzer.history import build_histories
    from analyzer.pipeline.judgement import score_policy, usual_train
    from analyzer.pipeline.method import method_of
    from analyzer.pipeline.reading import read
    from analyzer.pipeline.review import look_ahead
    from analyzer.pipeline.workers import workers_for

    config = settings.config
    if "window" not in settings.origins:
        config = with_settings(config, window=_QUARTER)
    method = method_of(config)
    recording = read(config, now(), talk.progress)
    histories = build_histories(recording)
    with workers_for(histories, config) as workers:
        known = look_ahead(replace(histories, workers=workers), config)
        train = train or usual_train(histories, method.horizon)
        walk = Walk(train, method.horizon, daily="vpa" in names)
        result = score_policy(known.histories, method, walk, names, talk.progress, known.bounds)
    return result, [*recording.meta.warnings, *known.missed]


def _train(text: str | None) -> timedelta | None:
    from analyzer.config import parse_duration

    try:
        return None if text is None else parse_duration(text)
    except ValueError as error:
        raise UsageError(f"--train: {error}") from error


_SHOWN = (0.2, 0.1, 0.05, 0.02, 0.01)


def _show_backtest(result: BacktestResult, form: str) -> None:
    """Print every row, or as a table the points people ask for."""
    if form == "json":
        head = {
            "train_days": result.train / timedelta(days=1),
            "horizon_days": result.horizon / timedelta(days=1),
            "reviews": result.reviews,
        }
        click.echo(as_json({**head, "results": result.to_dicts()}))
        return
    from analyzer.models import RESOURCES

    frame = result.to_frame()
    if form == "csv":
        click.echo(frame.to_csv(index=False), nl=False)
        return
    for resource in RESOURCES:
        seen = "overrun weeks" if resource == "memory" else "samples above"
        click.echo(f"{resource}: recommended / used, where so many {seen} are seen")
        click.echo(columns(_HEADING, _swept(result, resource)) + "\n")
        click.echo(columns(_POINT_HEADING, _single(result, resource)) + "\n")


_HEADING = ["MODEL", *(f"AT {share:.0%}" for share in _SHOWN)]
_POINT_HEADING = ["AS IT IS", "OVERRUN", "90 % INTERVAL", "RECOMMENDED / USED", "90 % INTERVAL"]


def _swept(result: BacktestResult, resource: Resource) -> list[list[str]]:
    """Every model with a sweep, and how far ours is between foresight and the best fair peer."""
    sizes = Counter(row.model for row in result.rows if row.resource == resource)
    names = [n for n in dict.fromkeys(r.model for r in result.rows) if sizes[n] > 1]
    shown = {n: [result.footprint_at(n, resource, share) for share in _SHOWN] for n in names}
    shown["best fair peer"] = [result.best_peer_at(resource, share) for share in _SHOWN]
    told = [result.tells(resource, share) for share in _SHOWN]
    return [
        [name, *(_ratio(x) if enough else "too few" for x, enough in zip(row, told, strict=True))]
        for name, row in shown.items()
    ]


def _single(result: BacktestResult, resource: Resource) -> list[list[str]]:
    """What has one point: this policy, what is declared now, foresight, peers as they come."""
    from analyzer.backtest import measure

    sizes = Counter(row.model for row in result.rows if row.resource == resource)
    rows = [r for r in result.rows if r.resource == resource and sizes[r.model] == 1]
    rows += [r for r in result.peers if r.resource == resource]
    found = [(row.model, measure(row)) for row in rows if row.judged.any()]
    return [
        [
            name,
            f"{m.overrun:.2%}",
            f"{m.overrun_low:.2%} to {m.overrun_high:.2%}",
            f"{m.footprint:.2f}",
            f"{m.footprint_low:.2f} to {m.footprint_high:.2f}",
        ]
        for name, m in found
    ]


def _ratio(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.2f}"


def report_of(
    parameters: dict[str, Any], selection: Selection, talk: Talk, *, judge: bool = False
) -> tuple[Report, Histories | None]:
    """The selected recommendations of an earlier run, or of the source now with its histories.

    What is named is looked for as soon as it can be: before anything is learnt. With `judge` the
    recommendations of the source come with what they would have caused before.
    """
    config = settings_of(parameters).config
    if parameters.get("run_json") is not None:
        return selection.of(earlier_run(parameters["run_json"], config)), None
    from msgspec.structs import replace as with_settings

    from analyzer.history import build_histories
    from analyzer.pipeline.reading import read_noting
    from analyzer.pipeline.review import recommend_now

    config = with_settings(config, backtest=config.backtest and judge)
    if config.git.repo is not None:
        from analyzer.landing import check_repository

        check_repository(config)
    recording, notices = read_noting(config, now(), talk.progress)
    histories = build_histories(recording)
    selection.check([*histories.containers, *(s.ref for s in histories.skipped)])
    report = recommend_now(histories, config, talk.progress)
    return replace(selection.of(report), notices=(*notices, *report.notices)), histories


def tell(report: Report, talk: Talk) -> None:
    """Say which time was read, what could not be, and which settings have no effect."""
    from analyzer.report import window_text

    talk.say(f"usage from {window_text(report.meta)}")
    talk.say_partial([*report.meta.warnings, *report.warnings])
    for notice in report.notices:
        talk.say(notice, "warning")


def leave(ctx: click.Context, report: Report, exit_code: bool) -> None:
    """Leave with the exit code that fits the report."""
    if report.meta.warnings or report.warnings:
        ctx.exit(PARTIAL)
    ctx.exit(CHANGES if exit_code and report.changed else 0)
