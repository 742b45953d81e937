"""What a chart costs: milliseconds of processor time and of waiting, and kilobytes.

Draws a recording's containers (the sample cluster's by default) and prints one line per way of
drawing. Usage: ``python benchmarks/plots/bench_plots.py [--recording DIR] [--count N]``.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterable
from datetime import timedelta
from itertools import cycle, islice
from pathlib import Path

from analyzer.history import Histories, build_histories
from analyzer.models import model_named
from analyzer.models.forecast import forecasts
from analyzer.plots import cluster_figure, describe, encode_png, workload_charts, workload_figure
from analyzer.policy import Policies
from analyzer.recommend import Recommendation, recommend
from analyzer.sources.recording.recording import load_recording

SAMPLE = Path(__file__).resolve().parents[2] / "sample-data" / "recording"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recording", type=Path, default=SAMPLE)
    parser.add_argument("--count", type=int, default=100)
    arguments = parser.parse_args()
    histories = build_histories(load_recording(arguments.recording))
    demand = model_named("percentile").fit(histories, timedelta(days=7))
    recommendations, skipped = recommend(histories, demand, Policies())
    chosen = list(islice(cycle(recommendations), arguments.count))
    next(workload_charts(histories, chosen[:1]))  # loads matplotlib and its fonts
    print(f"{len(chosen)} charts of {len(recommendations)} containers")
    report("a fresh figure each", lambda: fresh(histories, chosen))
    each = report("one page for all", lambda: batch(histories, chosen, 1))
    print(f"500 of them: {each / 2:.0f} s of processor time")
    report("in two processes", lambda: batch(histories, chosen, 2))
    report(
        "the cluster", lambda: [encode_png(cluster_figure(recommendations, skipped, histories), "")]
    )


def fresh(histories: Histories, chosen: list[Recommendation]) -> list[bytes]:
    return [
        encode_png(workload_figure(histories, histories.position[r.ref], r), describe(r))
        for r in chosen
    ]


def batch(histories: Histories, chosen: list[Recommendation], processes: int) -> list[bytes]:
    expected = forecasts(histories, timedelta(days=7)).of  # as a run draws them
    charts = workload_charts(histories, chosen, forecaster=expected, processes=processes)
    return [chart.content for chart in charts]


def report(name: str, draw: Callable[[], Iterable[bytes]]) -> float:
    """Print what a way of drawing costs, and give milliseconds of processor time a chart."""
    wall, own = time.perf_counter(), time.process_time()
    sizes = [len(content) for content in draw()]
    wall, own = time.perf_counter() - wall, time.process_time() - own
    each = 1000 / len(sizes)
    print(
        f"{name:20s} {wall * each:6.0f} ms waiting, {own * each:6.0f} ms of this process, "
        f"{sum(sizes) / len(sizes) / 1000:5.0f} KB a PNG (largest {max(sizes) / 1000:.0f})"
    )
    return own * each


if __name__ == "__main__":
    main()
