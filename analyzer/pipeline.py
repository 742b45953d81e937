"""The named steps of a run, from a source to a folder of results."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

import msgspec

from analyzer import __version__
from analyzer.config import Config, parse_duration
from analyzer.errors import UsageError
from analyzer.gitops.edit import Field, dotted
from analyzer.gitops.plan import Advice, DesiredChange, Edited, Outcome, plan_changes
from analyzer.history import Histories, build_histories, check_ledger
from analyzer.models import DEFAULT_MODEL, model_named
from analyzer.output import check_target, publish, write_files
from analyzer.policy import Policies
from analyzer.recommend import TARGETS, Recommendation, recommend
from analyzer.report import Change, Landing, Report, dump_report
from analyzer.sources import Source, Window, open_source
from analyzer.usage import Recording, utc
from analyzer.writers import writer_named

Progress = Callable[[int, int, str], None]


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
    check_target(target)
    writers = [writer_named(name) for name in config.formats]
    histories = build_histories(read(config, now, progress))
    report = replace(analyze_histories(histories, config, progress), created=utc(now))
    if config.git.repo is not None:
        report = land(report, config, progress)
    with publish(target) as folder:
        write_files(folder, {"run.json": dump_report(report)})
        for write in writers:
            write_files(folder, write(report))
        if config.charts:
            draw(report, histories, folder / "charts", progress)
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
        histories, msgspec.structs.replace(settings, horizon=f"{horizon.days}d")
    )


def source_of(config: Config, progress: Progress = no_progress) -> Source:
    """The configured source of usage."""
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
    end = None if str(config.source).startswith("recording:") else utc(now)
    return source.read(Window(end=end, length=parse_duration(config.window), step=step))


def analyze_histories(
    histories: Histories, config: Config, progress: Progress = no_progress
) -> Report:
    """Fit, calibrate, recommend and judge. Containers in = recommended + skipped."""
    horizon = parse_duration(config.horizon)
    progress(0, 3, "learning demand")
    demand = model_named(config.model).fit(histories, horizon)
    progress(1, 3, "recommending")
    recommendations, skipped = recommend(histories, demand, config.policies)
    check_ledger(
        [*histories.containers, *(s.ref for s in histories.skipped)],
        [r.ref for r in recommendations],
        [s.ref for s in skipped],
    )
    return Report(
        meta=histories.meta,
        model=config.model,
        horizon=horizon,
        recommendations=tuple(recommendations),
        skipped=tuple(skipped),
        version=__version__,
    )


def land(report: Report, config: Config, progress: Progress = no_progress) -> Report:
    """Find the place of every change in the repository, edit it there and prove the edit."""
    if config.git.repo is None:
        raise UsageError("no repository is given; name its checkout with --repo")
    progress(0, 1, "finding the places in Git")
    plan = plan_changes(Path(config.git.repo), [_desired(r) for r in report.changed])
    landings = tuple(_landing(outcome) for outcome in plan.outcomes)
    changes = (Change("all", plan.diff(), ""),) if plan.edits else ()
    return replace(report, landings=landings, changes=changes)


def _desired(recommendation: Recommendation) -> DesiredChange:
    now, new = recommendation.current, recommendation.proposed
    removed = [
        FIELD[target]
        for target in TARGETS
        if getattr(now, target) is not None and getattr(new, target) is None
    ]
    return DesiredChange(
        ref=recommendation.ref,
        current=now,
        proposed=new,
        labels=recommendation.labels,
        container_type=recommendation.container_type,
        remove=frozenset(removed),
    )


FIELD: dict[str, Field] = {
    "cpu_request": "requests.cpu",
    "cpu_limit": "limits.cpu",
    "memory_request": "requests.memory",
    "memory_limit": "limits.memory",
}


def _landing(outcome: Outcome) -> Landing:
    place = outcome.place
    landing = Landing(str(outcome.ref), "unchanged", outcome.trace.reason)
    if place is not None:
        landing = replace(
            landing,
            application=str(place.owner),
            file=place.file,
            document=place.address.document,
            path=dotted(place.address.full_path()),
        )
    if isinstance(outcome, Edited):
        return replace(landing, status="edited", proof="; ".join(outcome.proof))
    if isinstance(outcome, Advice):
        return replace(landing, status="advice", reason=outcome.reason)
    return landing


def draw(report: Report, histories: Histories, folder: Path, progress: Progress) -> None:
    """Draw a chart of every recommended container and one of the cluster into `folder`."""
    from analyzer.plots import workload_charts

    folder.mkdir(parents=True, exist_ok=True)
    charts = workload_charts(
        histories,
        report.recommendations,
        processes=2,
        progress=lambda done, total, _name: progress(done, total, "drawing charts"),
    )
    for chart in charts:
        (folder / chart.name).write_bytes(chart.content)
