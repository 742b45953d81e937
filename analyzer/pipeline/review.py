"""A review: everything from histories to a report, without files, clock or network."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta

import numpy as np
import numpy.typing as npt
import pandas as pd

from analyzer import __version__
from analyzer.beforehand import Beforehand, ask_cluster
from analyzer.config import Config
from analyzer.effect import idle_prices
from analyzer.history import Histories, build_histories, check_ledger
from analyzer.ledger import (
    Ledger,
    Outcome,
    count_open,
    judged_rows,
    no_ledger,
    read_ledger,
    score,
    update,
)
from analyzer.models import DEFAULT_MODEL, Resource
from analyzer.pipeline.decision import Bounds, Decided, decide
from analyzer.pipeline.judgement import judge, packing_of
from analyzer.pipeline.memory import give_back
from analyzer.pipeline.method import Method, method_of
from analyzer.pipeline.phase import Phases
from analyzer.pipeline.workers import workers_for
from analyzer.policy import Policies
from analyzer.recommend.admission import quota_uses
from analyzer.recommend.precedence import deadlines, importances
from analyzer.report import Report
from analyzer.sources.window import Progress, silent
from analyzer.usage import Recording


@dataclass(frozen=True)
class Review:
    """What a review found, and the rows that it adds to the ledger."""

    report: Report
    rows: pd.DataFrame


def analyze(
    recording: Recording,
    *,
    policies: Policies | None = None,
    model: str = DEFAULT_MODEL,
    horizon: timedelta = timedelta(days=7),
) -> Report:
    """Everything from usage to recommendations: no files, no clock, no network."""
    method = Method(model=model, horizon=horizon, policies=policies or Policies())
    return review(build_histories(recording), method).report


def review(
    histories: Histories,
    method: Method,
    progress: Progress = silent,
    ledger: Ledger | None = None,
    bounds: Bounds | None = None,
) -> Review:
    """Fit, calibrate, recommend and judge. Containers in = recommended + skipped.

    `ledger` is what earlier reviews said and what became of it, `bounds` what something else knows
    to be needed.
    """
    progress(0, 3, "learning demand")
    decided = decide(histories, method, bounds, ledger)
    give_back()
    return reviewed(decided, histories, method, progress, ledger, bounds)


def reviewed(
    decided: Decided,
    histories: Histories,
    method: Method,
    progress: Progress = silent,
    ledger: Ledger | None = None,
    bounds: Bounds | None = None,
) -> Review:
    """The report on what was `decided`, judged on the past where `method` asks for it."""
    ledger = ledger or no_ledger()
    check_ledger(
        [*histories.containers, *(s.ref for s in histories.skipped)],
        [r.ref for r in decided.recommendations],
        [s.ref for s in decided.skipped],
    )
    found = update(ledger, decided.recommendations, histories, decided.wanted, method.digest)
    judged = judged_rows(decided.last, histories.meta.cluster, histories.meta.end, method.learnt_by)
    rows = pd.concat([part for part in (found, judged) if len(part)]) if len(judged) else found
    packing = packing_of(decided.recommendations, histories, method)
    groups = [] if packing is None else [group.name for group in packing.groups]
    report = Report(
        meta=histories.meta,
        model=method.model,
        horizon=method.horizon,
        recommendations=tuple(decided.recommendations),
        skipped=tuple(decided.skipped),
        days=days_of(histories),
        verdicts=histories.verdicts,
        outcomes=_outcomes(ledger, rows, histories),
        proposals_open=_open(ledger, rows, histories),
        packing=packing,
        notices=tuple(idle_prices(method.prices, groups)),
        quotas=tuple(
            quota_uses(
                decided.recommendations,
                histories.meta.quotas,
                importances(histories),
                deadlines(histories),
            )
        ),
        version=__version__,
    )
    if method.backtest and len(histories):
        report = judge(report, histories, method, progress, bounds)
    return Review(report, rows)


def _outcomes(ledger: Ledger, rows: pd.DataFrame, histories: Histories) -> tuple[Outcome, ...]:
    """What came of earlier changes up to the end of `histories`, of the containers in it."""
    past = ledger.before(histories.meta.end)
    if not len(past):
        return ()
    return tuple(o for o in score(past.plus(rows)) if o.ref in histories.position)


def _open(ledger: Ledger, rows: pd.DataFrame, histories: Histories) -> int:
    """How many proposals are open at the end of `histories`, of the containers in it."""
    told = ledger.before(histories.meta.end).plus(rows)
    return count_open(told, histories.containers)


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


def remembered(config: Config) -> Ledger:
    """What earlier runs wrote into the ledger; nothing where none is kept."""
    return no_ledger() if config.ledger_folder is None else read_ledger(config.ledger_folder)


def look_ahead(histories: Histories, config: Config) -> Beforehand:
    """What the cluster and the repository say, as far as the settings name them.

    What reads repositories is loaded where one is named: a twelfth of what a small cluster takes.
    """
    if config.git.repo is None:
        return ask_cluster(histories, config)
    from analyzer import landing

    return landing.look_ahead(histories, config)


def recommend_now(histories: Histories, config: Config, progress: Progress = silent) -> Report:
    """Recommend with all that the cluster and the repository of the settings say beforehand."""
    with workers_for(histories, config) as workers:
        known = look_ahead(replace(histories, workers=workers), config)
        return review_beforehand(known, config, progress, remembered(config)).report


def review_beforehand(
    known: Beforehand,
    config: Config,
    progress: Progress,
    ledger: Ledger,
    phases: Phases | None = None,
) -> Review:
    """As `review`, within the bounds that are known; what was not told is a warning."""
    histories, method, bounds = known.histories, method_of(config), known.bounds
    phases = phases or Phases()
    with phases("learn"):
        progress(0, 3, "learning demand")
        decided = decide(histories, method, bounds, ledger)
        give_back()
    with phases("judge"):
        found = reviewed(decided, histories, method, progress, ledger, bounds)
    return replace(found, report=with_told(found.report, known, ledger))


def with_told(report: Report, known: Beforehand, ledger: Ledger) -> Report:
    """`report` with what was missed and noted `known` beforehand, and what `ledger` lost.

    A file of the ledger that is found damaged makes the run partial; one set aside is a notice.
    """
    lost = [str(one) for one in ledger.lost if not one.aside]
    aside = [str(one) for one in ledger.lost if one.aside]
    return replace(
        report,
        warnings=(*report.warnings, *known.missed, *lost),
        notices=(*report.notices, *known.notes, *aside),
    )
