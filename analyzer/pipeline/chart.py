"""Which files of a report are drawn, and drawing them."""

from __future__ import annotations

import multiprocessing
import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from analyzer.config import Config
from analyzer.cores import usable_cores
from analyzer.history import Histories
from analyzer.ledger import Ledger
from analyzer.models.forecast import forecasts
from analyzer.output import read_as_written, sums_of, write_files
from analyzer.recommend import Recommendation
from analyzer.report import MONTHS, Report
from analyzer.sources.window import Progress
from analyzer.workload import ContainerRef

OF_ALL = ("cluster", "packing")
"""Charts that show all containers at once."""
MANY_CHARTS = 40
"""So many charts more earn another process what it costs to start."""
_CHART = re.compile(r"charts/(?:months/)?[a-z0-9][a-z0-9._-]*\.png", re.ASCII)
MOST_PROCESSES = 4
"""Each holds a hundred megabytes of libraries."""


def name_files(report: Report, config: Config) -> dict[str, str]:
    """The page, and the charts to draw: the cluster and the containers that change most."""
    files = {"page": "index.html"} if "html" in config.formats else {}
    if not config.charts:
        return files
    shown = sorted(report.recommendations, key=lambda r: (-r.weight, r.ref))[: config.most_charts]
    names = {str(r.ref): f"charts/{r.ref.slug()}.png" for r in shown}
    whole = {"cluster": "charts/cluster.png"}
    if report.packing is not None and report.packing.groups:
        whole["packing"] = "charts/packing.png"
    changed = (outcome.ref for outcome in report.outcomes if str(outcome.ref) in names)
    months = {f"{MONTHS}{ref}": f"charts/months/{ref.slug()}.png" for ref in changed}
    return files | whole | names | months


def drawn_before(report: Report, folder: Path) -> dict[str, str]:
    """Which of its charts lie in the `folder` of an earlier `report`; as `name_files` has them.

    Its names are data: whatever is no plain name of a chart is passed over. Those of the cluster
    show all containers, so they are none of a report that was narrowed.
    """
    refs = {str(r.ref) for r in report.recommendations}
    refs |= {f"{MONTHS}{ref}" for ref in refs}
    whole = all(key in refs for key in report.files if key not in ("page", *OF_ALL))
    wanted = refs | set(OF_ALL) if whole else refs
    return {
        key: name
        for key, name in report.files.items()
        if key in wanted and _CHART.fullmatch(name) and (folder / name).is_file()
    }


def draw(
    report: Report,
    histories: Histories,
    ledger: Ledger,
    folder: Path,
    progress: Progress,
    before: Path | None = None,
) -> None:
    """Draw the charts that ``report.files`` names into `folder`.

    `ledger` holds the reviews of each container, this one included. A chart of a container that
    the run `before` drew from the same is taken over from its folder.
    """
    from analyzer.plots import (
        cluster_figure,
        describe_cluster,
        describe_packing,
        packing_figure,
        workload_charts,
        write_png,
    )

    (folder / "charts").mkdir(parents=True, exist_ok=True)
    progress(0, 1, "drawing the cluster")
    recommendations, skipped = report.recommendations, report.skipped
    figure = cluster_figure(recommendations, skipped, histories)
    text = describe_cluster(recommendations, skipped, histories)
    write_png(figure, folder / report.files["cluster"], text)
    if report.packing is not None and "packing" in report.files:
        figure, text = packing_figure(report.packing), describe_packing(report.packing)
        write_png(figure, folder / report.files["packing"], text)
    _draw_months(report, ledger, folder)
    by_ref = {str(r.ref): r for r in recommendations}
    shown = [by_ref[name] for name in report.files if name in by_ref]
    charts = workload_charts(
        histories,
        shown,
        forecaster=forecasts(histories, report.horizon).of,
        processes=_processes(len(shown)),
        before=None if before is None else _charts_in(before, report),
    )
    for done, chart in enumerate(charts, start=1):
        progress(done, len(shown), "drawing charts")
        write_files(folder, {report.files[str(chart.ref)]: chart.content})


def _charts_in(folder: Path, report: Report) -> Callable[[ContainerRef], bytes | None]:
    """What an earlier run left in `folder` under the name that `report` has for each chart."""
    sums = sums_of(folder)
    return lambda ref: read_as_written(folder, report.files[str(ref)], sums)


def _draw_months(report: Report, ledger: Ledger, folder: Path) -> None:
    """What was asked for and used at every review, where a change was merged."""
    from analyzer.plots import describe_months, months_figure, write_png

    for ref in (outcome.ref for outcome in report.outcomes):
        name = report.files.get(f"{MONTHS}{ref}")
        if name is not None:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            write_png(months_figure(ledger, ref), folder / name, describe_months(ledger, ref))


def _processes(charts: int) -> int:
    """How many processes to draw so many charts in; the charts are the same in any number."""
    wanted = min(1 + charts // MANY_CHARTS, MOST_PROCESSES, usable_cores())
    return wanted if wanted > 1 and _can_have_another_process() else 1


def _can_have_another_process() -> bool:
    """Whether this system lets processes talk: a chroot or a sandbox may have no semaphores."""
    try:
        multiprocessing.get_context("spawn").Lock()
    except (OSError, ImportError):
        return False
    return True


def draw_one(
    recommendation: Recommendation, histories: Histories, horizon: timedelta, path: Path
) -> None:
    """Draw the chart of one container into the file `path`."""
    from analyzer.plots import describe, workload_figure, write_png

    index = histories.position[recommendation.ref]
    expected = forecasts(histories, horizon).of(index)
    figure = workload_figure(histories, index, recommendation, expected)
    write_png(figure, path, describe(recommendation))
