"""The named steps of a run, from a source to a folder of results."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt
import pandas as pd

from analyzer import __version__
from analyzer.backtest import LEAST_TRAIN, POLICY, BacktestResult, Walk, backtest
from analyzer.config import Config, parse_duration, parse_time
from analyzer.decision import decide, propose, settings_digest
from analyzer.errors import UsageError
from analyzer.history import Histories, build_histories, check_ledger
from analyzer.landing import check_repository, land
from analyzer.ledger import EMPTY, Ledger, Outcome, append, read_ledger, score, update
from analyzer.models import DEFAULT_MODEL, Demand, model_named
from analyzer.models.forecast import forecasts
from analyzer.output import claim, write_files
from analyzer.policy import Policies
from analyzer.recommend import Recommendation
from analyzer.report import Report, dump_report
from analyzer.sources import Source, Window, open_source
from analyzer.usage import Recording, utc
from analyzer.writers import writer_named

Progress = Callable[[int, int, str], None]

_CREDENTIALS = re.compile(r"://[^/@]*:[^/@]*@")

MANY_CHARTS = 40
"""From so many charts on, a second process earns what it costs to start."""


def no_progress(done: int, total: int, what: str) -> None:
    """Say nothing."""


@dataclass(frozen=True)
class Run:
    """What a run found, and where it was written."""

    report: Report
    folder: Path


def run(config: Config, now: datetime, progress: Progress = no_progress) -> Run:
    """Read, analyse, land in Git, and write everything at once.

    Nothing is written before the last step, and the previous output stays until then.
    """
    target = Path(config.output)
    writers = [writer_named(name) for name in config.formats]
    # What is wrong with the settings is said before anything is read.
    model_named(config.model)
    if config.git.repo is not None:
        check_repository(config)
    with claim(target) as claimed:
        # A ledger that cannot be read is said before an hour of reading.
        ledger = remembered(config)
        histories = build_histories(read(config, now, progress))
        found = review(histories, config, progress, ledger)
        report = replace(found.report, created=utc(now))
        if config.git.repo is not None:
            progress(0, 1, "finding the places in Git")
            report = land(report, config)
        with claimed.publish() as folder:
            write_files(folder, {"run.json": dump_report(report)})
            for write in writers:
                write_files(folder, write(report))
            if config.charts:
                draw(report, histories, folder / "charts", config.most_charts, progress)
        if config.ledger_folder is not None:
            append(config.ledger_folder, found.rows, now)
    return Run(report, target)


def analyze(
    recording: Recording,
    *,
    policies: Policies | None = None,
    model: str = DEFAULT_MODEL,
    horizon: timedelta = timedelta(days=7),
) -> Report:
    """Everything from usage to recommendations: no files, no clock, no network."""
    chosen = policies or Policies()
    settings = Config(policy=chosen.default, rules=chosen.rules, model=model)
    histories = build_histories(recording)
    return analyze_histories(
        histories, msgspec.structs.replace(settings, horizon=f"{round(horizon.total_seconds())}s")
    )


def remembered(config: Config) -> Ledger:
    """What earlier runs wrote into the ledger; nothing where none is kept."""
    return EMPTY if config.ledger_folder is None else read_ledger(config.ledger_folder)


def source_of(config: Config, progress: Progress = no_progress) -> Source:
    """The configured source of usage."""
    if config.source and _CREDENTIALS.search(config.source):
        raise UsageError(
            "the source's URL holds a password, which every user of this machine can see; "
            "set prometheus.user and prometheus.password_file instead"
        )
    if not config.source:
        raise UsageError(
            "no source of usage is given; name one with --source recording:DIR, "
            "with -p URL for a Prometheus, or as `source` in rightsize.yaml"
        )
    settings = replace(
        config.prometheus,
        cluster=config.cluster or config.prometheus.cluster,
        namespaces=config.namespaces or config.prometheus.namespaces,
        exclude_namespaces=config.exclude_namespaces or config.prometheus.exclude_namespaces,
    )
    return open_source(config.source, settings, progress)


def read(config: Config, now: datetime, progress: Progress = no_progress) -> Recording:
    """Read the configured window up to `now`; a recording is read up to its own end."""
    source = source_of(config, progress)
    step = None if config.step is None else parse_duration(config.step)
    recorded = str(config.source).startswith("recording:")
    window = Window(
        end=window_end(config, now),
        length=parse_duration(config.window or ("520w" if recorded else "14d")),
        step=step,
    )
    recording = source.read(window)
    recording = restrict(recording, config.namespaces, config.exclude_namespaces)
    if config.cluster is None or config.cluster == recording.meta.cluster:
        return recording
    return rename(recording, config.cluster)


def window_end(config: Config, now: datetime) -> datetime | None:
    """Where the window ends: as configured, else now; None for the end of a recording."""
    if config.until is not None:
        return parse_time(config.until)
    return None if str(config.source).startswith("recording:") else utc(now)


def restrict(recording: Recording, namespaces: Sequence[str], excluded: Sequence[str]) -> Recording:
    """Only the `namespaces` (all where none is named) that are not `excluded`."""
    if not namespaces and not excluded:
        return recording

    def wanted(namespace: str) -> bool:
        return (not namespaces or namespace in namespaces) and namespace not in excluded

    return recording.restrict(wanted)


def rename(recording: Recording, cluster: str) -> Recording:
    """The same recording under another cluster name."""
    usage = recording.usage
    containers = tuple(replace(ref, cluster=cluster) for ref in usage.containers)
    return replace(
        recording,
        meta=replace(recording.meta, cluster=cluster),
        usage=replace(usage, containers=containers),
    )


def analyze_histories(
    histories: Histories,
    config: Config,
    progress: Progress = no_progress,
    ledger: Ledger = EMPTY,
) -> Report:
    """Fit, calibrate, recommend and judge. Containers in = recommended + skipped.

    `ledger` is what earlier reviews said and what became of it.
    """
    return review(histories, config, progress, ledger).report


@dataclass(frozen=True)
class Review:
    """What a review found, and the rows that it adds to the ledger."""

    report: Report
    rows: pd.DataFrame


def review(
    histories: Histories,
    config: Config,
    progress: Progress = no_progress,
    ledger: Ledger = EMPTY,
) -> Review:
    """As `analyze_histories`, with what is to be remembered of it."""
    progress(0, 3, "learning demand")
    decided = decide(histories, config, ledger)
    check_ledger(
        [*histories.containers, *(s.ref for s in histories.skipped)],
        [r.ref for r in decided.recommendations],
        [s.ref for s in decided.skipped],
    )
    said, settings = decided.recommendations, settings_digest(config)
    rows = update(ledger, said, histories, decided.wanted, settings)
    report = Report(
        meta=histories.meta,
        model=config.model,
        horizon=parse_duration(config.horizon),
        recommendations=tuple(said),
        skipped=tuple(decided.skipped),
        outcomes=_outcomes(ledger, rows, histories),
        version=__version__,
    )
    if config.backtest and len(histories):
        report = judge(report, histories, config, progress)
    return Review(report, rows)


def _outcomes(ledger: Ledger, rows: pd.DataFrame, histories: Histories) -> tuple[Outcome, ...]:
    """What came of earlier changes up to the end of `histories`, of the containers in it."""
    past = ledger.before(histories.meta.end)
    if not len(past):
        return ()
    return tuple(o for o in score(past.plus(rows)) if o.ref in histories.position)


def judge(report: Report, histories: Histories, config: Config, progress: Progress) -> Report:
    """Add what the same policy would have caused on this very history, beside its peers."""
    horizon = parse_duration(config.horizon)
    length = histories.usage.steps * histories.usage.step
    train = min(timedelta(days=14), length - horizon)
    if train < LEAST_TRAIN:
        short = f"{length / timedelta(days=1):.3g} days of history are too short to judge it by"
        return replace(report, verdict=short)
    result = score_policy(histories, config, Walk(train, horizon), progress=progress)
    return replace(report, backtest=tuple(result.to_dicts()), verdict=result.verdict())


def score_policy(
    histories: Histories,
    config: Config,
    walk: Walk,
    models: Sequence[str] = (),
    progress: Progress = no_progress,
) -> BacktestResult:
    """Score the policy that `config` ships, and its model beside peers and further `models`.

    Whatever tells how good the numbers are (a run, ``rightsize backtest``, the documentation)
    asks here, so that there is one answer.
    """
    return backtest(
        histories,
        models=tuple(dict.fromkeys([config.model, *models, "vpa", "krr"])),
        walk=walk,
        recommenders={POLICY: lambda known, demands: _levels(known, demands, config)},
        progress=progress,
    )


def _levels(
    histories: Histories, demands: Mapping[str, Demand], config: Config
) -> dict[str, npt.NDArray[np.float64]]:
    """What would have been declared after the policy's proposals were merged.

    An array per target over the containers; what gets no proposal stays as it is, and NaN is
    where nothing is declared then either.
    """
    if config.model in demands:
        proposals = propose(histories, demands[config.model], config)[0]
    else:
        proposals = decide(histories, config).recommendations
    proposed = {histories.position[r.ref]: r.proposed for r in proposals}
    targets = ("cpu_request", "memory_request", "memory_limit")
    levels = {target: np.full(len(histories), np.nan) for target in targets}
    for index in range(len(histories)):
        resources = proposed.get(index, histories.spec(index).resources.effective())
        for target in targets:
            amount = getattr(resources, target)
            if amount is not None:
                scale = 1000 if target.startswith("cpu") else 1
                levels[target][index] = amount.units / scale
    return levels


def draw(report: Report, histories: Histories, folder: Path, most: int, progress: Progress) -> None:
    """Draw the cluster and `most` of its containers, the largest changes first, into `folder`."""
    from analyzer.plots import cluster_figure, describe_cluster, workload_charts, write_png

    folder.mkdir(parents=True, exist_ok=True)
    progress(0, 1, "drawing the cluster")
    recommendations, skipped = report.recommendations, report.skipped
    figure = cluster_figure(recommendations, skipped, histories)
    write_png(figure, folder / "cluster.png", describe_cluster(recommendations, skipped, histories))
    shown = sorted(recommendations, key=lambda r: (-r.weight, r.ref))[:most]
    charts = workload_charts(
        histories,
        shown,
        forecaster=forecasts(histories, report.horizon).of,
        processes=2 if len(shown) > MANY_CHARTS else 1,
        progress=lambda done, total, _name: progress(done, total, "drawing charts"),
    )
    for chart in charts:
        (folder / chart.name).write_bytes(chart.content)


def draw_one(
    recommendation: Recommendation, histories: Histories, horizon: timedelta, path: Path
) -> None:
    """Draw the chart of one container into the file `path`."""
    from analyzer.plots import describe, workload_figure, write_png

    index = histories.position[recommendation.ref]
    expected = forecasts(histories, horizon).of(index)
    figure = workload_figure(histories, index, recommendation, expected)
    write_png(figure, path, describe(recommendation))
