"""The named steps of a run, from a source to a folder of results."""

from __future__ import annotations

import hashlib
import multiprocessing
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt
import pandas as pd

from analyzer import __version__
from analyzer.backtest import LEAST_TRAIN, POLICY, BacktestResult, Walk, backtest, in_words
from analyzer.calibration import apply, fit_past, judge_past, learn, spend
from analyzer.config import Config, parse_duration, parse_time
from analyzer.effect import idle_namespaces, idle_rules
from analyzer.errors import UsageError
from analyzer.history import Histories, Skipped, build_histories, check_ledger
from analyzer.landing import Beforehand, check_repository, checkout, index_of, land, look_ahead
from analyzer.ledger import EMPTY, Ledger, Outcome, append, read_ledger, recall, score, update
from analyzer.models import DEFAULT_MODEL, Demand, Resource, model_named
from analyzer.models.censoring import cut_off
from analyzer.models.forecast import forecasts
from analyzer.models.rule import Peer
from analyzer.output import claim, write_files
from analyzer.placement import Placement, place
from analyzer.policy import Policies
from analyzer.quantity import Resources
from analyzer.recommend import Bound, Recommendation, due_risks, recommend
from analyzer.recommend.case import Past
from analyzer.recommend.past import most_wanted, wanted_amounts
from analyzer.report import Report, dump_report
from analyzer.sources import PrometheusSettings, Source, Window, open_source, split_source
from analyzer.usage import Recording, utc
from analyzer.workload import ContainerRef
from analyzer.writers import writer_named

Progress = Callable[[int, int, str], None]
Bounds = Mapping[ContainerRef, tuple[Bound, ...]]

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


@dataclass(frozen=True, kw_only=True)
class Method:
    """How demand is learnt, turned into amounts and judged: all that `analyze_histories` is told.

    `horizon` is the time until the next review. With a `risk_budget_cap` overruns are spent where
    they buy the most, up to so many times an equal share; without one all containers bear the
    same risk. `backtest` adds what the same method would have caused on the same history.
    """

    model: str = DEFAULT_MODEL
    horizon: timedelta = timedelta(days=7)
    policies: Policies = field(default_factory=Policies)
    risk_budget_cap: float | None = None
    backtest: bool = True

    @property
    def digest(self) -> str:
        """What decides besides usage, as a short text: by another method a proposal is another."""
        decisive = (self.model, str(self.horizon), self.policies, self.risk_budget_cap)
        return hashlib.sha256(msgspec.json.encode(decisive, enc_hook=str)).hexdigest()[:12]


def method_of(config: Config) -> Method:
    """The method that the settings ask for."""
    return Method(
        model=config.model,
        horizon=parse_duration(config.horizon),
        policies=config.policies,
        risk_budget_cap=config.risk_budget_cap if config.risk_budget else None,
        backtest=config.backtest,
    )


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
            write_files(folder, {"run.json": dump_report(report)})
            for write in writers:
                write_files(folder, write(report))
            if config.charts:
                draw(report, histories, folder, progress)
        if config.ledger_folder is not None:
            append(config.ledger_folder, found.rows, now)
    return Run(report, target)


def rerun(report: Report, config: Config, progress: Progress = no_progress) -> Run:
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
            write_files(folder, {"run.json": dump_report(report)})
            for write in writers:
                write_files(folder, write(report))
    return Run(report, Path(config.output))


def analyze(
    recording: Recording,
    *,
    policies: Policies | None = None,
    model: str = DEFAULT_MODEL,
    horizon: timedelta = timedelta(days=7),
) -> Report:
    """Everything from usage to recommendations: no files, no clock, no network."""
    method = Method(model=model, horizon=horizon, policies=policies or Policies())
    return analyze_histories(build_histories(recording), method)


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
    kind, _ = split_source(config.source)
    if kind.settings is not PrometheusSettings:
        return open_source(config.source, None, progress)
    settings = replace(
        config.prometheus,
        cluster=config.cluster or config.prometheus.cluster,
        namespaces=config.namespaces or config.prometheus.namespaces,
        exclude_namespaces=config.exclude_namespaces or config.prometheus.exclude_namespaces,
    )
    return open_source(config.source, settings, progress)


def read(config: Config, now: datetime, progress: Progress = no_progress) -> Recording:
    """Read the configured window up to `now`; a recording is read up to its own end."""
    return read_noting(config, now, progress)[0]


def read_noting(
    config: Config, now: datetime, progress: Progress = no_progress
) -> tuple[Recording, tuple[str, ...]]:
    """The same with what of the settings has no effect on it, in one sentence each."""
    window = window_of(config, now)
    recording = source_of(config, progress).read(window)
    recording = replace(recording, meta=replace(recording.meta, asked=window.length))
    if config.cluster is not None and config.cluster != recording.meta.cluster:
        recording = rename(recording, config.cluster)
    # Of a server only what is wanted is read: what else there is, is not known.
    recorded = str(config.source).startswith("recording:")
    whole = recorded or not (config.namespaces or config.exclude_namespaces)
    notices = tuple(without_effect(config, recording.usage.containers)) if whole else ()
    return restrict(recording, config.namespaces, config.exclude_namespaces), notices


def without_effect(config: Config, known: Sequence[ContainerRef]) -> Iterator[str]:
    """Every rule and namespace of the settings that matches none of the `known` containers."""
    yield from idle_rules(config.rules, known)
    yield from idle_namespaces("namespaces", config.namespaces, known)
    yield from idle_namespaces("exclude_namespaces", config.exclude_namespaces, known)


def window_of(config: Config, now: datetime) -> Window:
    """The window that the settings ask for."""
    return Window(
        end=window_end(config, now),
        length=parse_duration(config.window),
        step=None if config.step is None else parse_duration(config.step),
    )


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


def recommend_now(histories: Histories, config: Config, progress: Progress = no_progress) -> Report:
    """Recommend with all that the cluster and the repository of the settings say beforehand."""
    ledger = remembered(config)
    return analyze_beforehand(look_ahead(histories, config), config, progress, ledger)


def analyze_beforehand(
    known: Beforehand, config: Config, progress: Progress, ledger: Ledger = EMPTY
) -> Report:
    """As `analyze_histories`, within the bounds that are known; what was not told is a warning."""
    return review_beforehand(known, config, progress, ledger).report


def review_beforehand(
    known: Beforehand, config: Config, progress: Progress, ledger: Ledger = EMPTY
) -> Review:
    """As `analyze_beforehand`, with what is to be remembered of it."""
    found = review(known.histories, method_of(config), progress, ledger, known.bounds)
    report = replace(found.report, warnings=(*found.report.warnings, *known.missed))
    return replace(found, report=report)


@dataclass(frozen=True)
class Review:
    """What a review found, and the rows that it adds to the ledger."""

    report: Report
    rows: pd.DataFrame


def analyze_histories(
    histories: Histories,
    method: Method,
    progress: Progress = no_progress,
    ledger: Ledger = EMPTY,
    bounds: Bounds | None = None,
) -> Report:
    """Fit, calibrate, recommend and judge. Containers in = recommended + skipped.

    `ledger` is what earlier reviews said and what became of it, `bounds` what something else knows
    to be needed.
    """
    return review(histories, method, progress, ledger, bounds).report


def review(
    histories: Histories,
    method: Method,
    progress: Progress = no_progress,
    ledger: Ledger = EMPTY,
    bounds: Bounds | None = None,
) -> Review:
    """As `analyze_histories`, with what is to be remembered of it."""
    progress(0, 3, "learning demand")
    decided = decide(histories, method, bounds, ledger)
    check_ledger(
        [*histories.containers, *(s.ref for s in histories.skipped)],
        [r.ref for r in decided.recommendations],
        [s.ref for s in decided.skipped],
    )
    rows = update(ledger, decided.recommendations, histories, decided.wanted, method.digest)
    report = Report(
        meta=histories.meta,
        model=method.model,
        horizon=method.horizon,
        recommendations=tuple(decided.recommendations),
        skipped=tuple(decided.skipped),
        days=days_of(histories),
        verdicts=histories.verdicts,
        outcomes=_outcomes(ledger, rows, histories),
        version=__version__,
    )
    if method.backtest and len(histories):
        report = judge(report, histories, method, progress, bounds)
    return Review(report, rows)


@dataclass(frozen=True)
class Decided:
    """What the policy says, and what demand alone would have said."""

    recommendations: list[Recommendation]
    skipped: list[Skipped]
    wanted: Mapping[ContainerRef, Resources]


LOOK_BACK = 4
"""So many earlier reviews have their say before anything is lowered."""


def decide(
    histories: Histories, method: Method, bounds: Bounds | None = None, ledger: Ledger = EMPTY
) -> Decided:
    """State the demand, calibrate it on the cluster's own past, and apply the policy to it."""
    if not len(histories):
        return Decided([], list(histories.skipped), {})
    model = model_named(method.model)
    demand = model.fit(histories, method.horizon)
    earlier: list[tuple[Histories, Demand]] = []
    if not isinstance(model, Peer):
        reviews = fit_past(model, histories, method.horizon)
        calibration = learn(judge_past(reviews, histories))
        earlier = [(r.known, apply(r.demand, calibration)) for r in reviews[:LOOK_BACK]]
        demand = apply(demand, calibration)
    pasts = _pasts(histories, earlier, method, ledger)
    found, skipped = _propose(histories, demand, method, bounds, pasts)
    return Decided(found, skipped, wanted_amounts(histories, demand, method.policies))


def _pasts(
    histories: Histories,
    earlier: Sequence[tuple[Histories, Demand]],
    method: Method,
    ledger: Ledger,
) -> dict[ContainerRef, Past]:
    """What earlier reviews said: as the ledger has it, else as they would have said it."""
    said = [wanted_amounts(known, demand, method.policies) for known, demand in earlier]
    span = len(earlier) * method.horizon
    return most_wanted(said, span) | recall(ledger, histories, method.digest)


def _propose(
    histories: Histories,
    demand: Demand,
    method: Method,
    bounds: Bounds | None = None,
    pasts: Mapping[ContainerRef, Past] | None = None,
) -> tuple[list[Recommendation], list[Skipped]]:
    """Apply the policy to a calibrated demand, with what earlier reviews said in mind."""
    if method.risk_budget_cap is None or isinstance(model_named(method.model), Peer):
        return recommend(histories, demand, method.policies, bounds=bounds, pasts=pasts)
    replicas = np.array([histories.spec(i).replicas or 1 for i in range(len(histories))])
    due = due_risks(histories, method.policies)
    spent = spend(demand, due, replicas, most=method.risk_budget_cap, cut_off=cut_off(histories))
    return recommend(histories, spent.demand, method.policies, spent.risks, bounds, pasts)


def _outcomes(ledger: Ledger, rows: pd.DataFrame, histories: Histories) -> tuple[Outcome, ...]:
    """What came of earlier changes up to the end of `histories`, of the containers in it."""
    past = ledger.before(histories.meta.end)
    if not len(past):
        return ()
    return tuple(o for o in score(past.plus(rows)) if o.ref in histories.position)


def judge(
    report: Report,
    histories: Histories,
    method: Method,
    progress: Progress,
    bounds: Bounds | None = None,
) -> Report:
    """Add what the same policy would have caused on this very history, beside its peers."""
    horizon = method.horizon
    length = histories.usage.steps * histories.usage.step
    train = min(timedelta(days=14), length - horizon)
    if train < LEAST_TRAIN:
        short = f"{length / timedelta(days=1):.3g} days of history are too short to judge it by"
        return replace(report, verdict=short)
    report = replace(report, placement=_placement(report, histories))
    walk = Walk(train, horizon)
    result = score_policy(histories, method, walk, progress=progress, bounds=bounds)
    return replace(report, backtest=tuple(result.to_dicts()), verdict=in_words(result))


def _placement(report: Report, histories: Histories) -> Placement | None:
    """What today's requests, the proposed ones and those of the peers would do to nodes."""
    proposed = {histories.position[r.ref]: r.proposed for r in report.recommendations}
    today = [histories.spec(i).resources.effective() for i in range(len(histories))]
    ways = {
        "today": _requests(today),
        "proposed": _requests([proposed.get(i, now) for i, now in enumerate(today)]),
    }
    for name in ("krr", "vpa"):
        levels = model_named(name).fit(histories, report.horizon).levels
        ways[name] = (levels["cpu"][:, 0], levels["memory"][:, 0])
    return place(histories, ways)


def _requests(
    resources: Sequence[Resources],
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """CPU in cores and memory in bytes, NaN where none is requested."""
    cpu = [r.cpu_request.cores if r.cpu_request else np.nan for r in resources]
    memory = [float(r.memory_request.bytes) if r.memory_request else np.nan for r in resources]
    return np.array(cpu), np.array(memory)


def score_policy(
    histories: Histories,
    method: Method,
    walk: Walk,
    models: Sequence[str] = (),
    progress: Progress = no_progress,
    bounds: Bounds | None = None,
) -> BacktestResult:
    """Score the policy that `method` ships, and its model beside peers and further `models`.

    Whatever tells how good the numbers are (a run, ``rightsize backtest``, the documentation)
    asks here, so that there is one answer.
    """
    return backtest(
        histories,
        models=tuple(dict.fromkeys([method.model, *models, "vpa", "krr"])),
        walk=walk,
        recommenders={POLICY: lambda known, demands: _levels(known, demands, method, bounds)},
        progress=progress,
    )


def _levels(
    histories: Histories,
    demands: Mapping[str, Demand],
    method: Method,
    bounds: Bounds | None = None,
) -> dict[str, npt.NDArray[np.float64]]:
    """What would have been declared after the policy's proposals were merged.

    An array per target over the containers; what gets no proposal stays as it is, and NaN is
    where nothing is declared then either.
    """
    if method.model in demands:
        proposals = _propose(histories, demands[method.model], method, bounds)[0]
    else:
        proposals = decide(histories, method, bounds).recommendations
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


def name_files(report: Report, config: Config) -> dict[str, str]:
    """The page, and the charts to draw: the cluster and the containers that change most."""
    files = {"page": "index.html"} if "html" in config.formats else {}
    if not config.charts:
        return files
    shown = sorted(report.recommendations, key=lambda r: (-r.weight, r.ref))[: config.most_charts]
    names = {str(r.ref): f"charts/{r.ref.slug()}.png" for r in shown}
    return files | {"cluster": "charts/cluster.png"} | names


def draw(report: Report, histories: Histories, folder: Path, progress: Progress) -> None:
    """Draw the charts that ``report.files`` names into `folder`."""
    from analyzer.plots import cluster_figure, describe_cluster, workload_charts, write_png

    (folder / "charts").mkdir(parents=True, exist_ok=True)
    progress(0, 1, "drawing the cluster")
    recommendations, skipped = report.recommendations, report.skipped
    figure = cluster_figure(recommendations, skipped, histories)
    text = describe_cluster(recommendations, skipped, histories)
    write_png(figure, folder / report.files["cluster"], text)
    by_ref = {str(r.ref): r for r in recommendations}
    shown = [by_ref[name] for name in report.files if name in by_ref]
    charts = workload_charts(
        histories,
        shown,
        forecaster=forecasts(histories, report.horizon).of,
        processes=2 if len(shown) > MANY_CHARTS and _can_have_another_process() else 1,
        progress=lambda done, total, _name: progress(done, total, "drawing charts"),
    )
    for chart in charts:
        write_files(folder, {report.files[str(chart.ref)]: chart.content})


def _can_have_another_process() -> bool:
    """Whether this system lets processes talk: a chroot or a sandbox may have no semaphores."""
    try:
        multiprocessing.get_context("spawn").Lock()
    except (OSError, ImportError):
        return False
    return True


def days_of(histories: Histories) -> dict[str, dict[Resource, tuple[float | None, ...]]]:
    """What each day showed, to four digits; see ``Report.days``."""
    daily = histories.daily
    tables: dict[Resource, npt.NDArray[np.float64]] = {
        "cpu": daily.cpu_p95,
        "memory": daily.memory_peak,
    }
    return {
        str(ref): {resource: _four_digits(table[i]) for resource, table in tables.items()}
        for i, ref in enumerate(histories.containers)
    }


def _four_digits(values: npt.NDArray[np.float64]) -> tuple[float | None, ...]:
    return tuple(None if np.isnan(v) else float(f"{v:.4g}") for v in values.tolist())


def draw_one(
    recommendation: Recommendation, histories: Histories, horizon: timedelta, path: Path
) -> None:
    """Draw the chart of one container into the file `path`."""
    from analyzer.plots import describe, workload_figure, write_png

    index = histories.position[recommendation.ref]
    expected = forecasts(histories, horizon).of(index)
    figure = workload_figure(histories, index, recommendation, expected)
    write_png(figure, path, describe(recommendation))
