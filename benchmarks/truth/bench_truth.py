"""Recommendations on the sample cluster beside what its generator knows of the week after.

    python benchmarks/truth/bench_truth.py [--model NAME] [--all]

Prints, per pattern, how many containers would have been killed at the proposed memory limit or
would have outgrown their request, and the footprint against the ideal; then every container that
is wrong.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from analyzer.history import build_histories
from analyzer.models import DEFAULT_MODEL
from analyzer.pipeline.method import Method
from analyzer.pipeline.review import review
from analyzer.recommend import Recommendation
from analyzer.sources import load_recording

SAMPLE = Path(__file__).parents[2] / "sample-data"
NAMES = ["namespace", "workload_kind", "workload", "container"]


@dataclass(frozen=True)
class Verdict:
    """One container: what is proposed, against what it needed in the week after the window."""

    ref: str
    pattern: str
    killed: bool
    over_request: bool
    cpu_over: bool
    memory_ratio: float
    cpu_ratio: float

    @property
    def wrong(self) -> str:
        """What went wrong, empty where nothing did."""
        parts = ["killed at the limit"] if self.killed else []
        parts += ["CPU above the request for more than 5 % of the time"] if self.cpu_over else []
        parts += ["memory above the request"] if self.over_request and not self.killed else []
        return ", ".join(parts)


def judge(recommendation: Recommendation, truth: pd.Series) -> Verdict:
    """Hold one recommendation against the truth."""
    proposed = recommendation.proposed
    peak = truth["memory_peak_bytes"]
    limit = proposed.memory_limit
    memory = proposed.memory_request.bytes if proposed.memory_request else float("nan")
    cpu = proposed.cpu_request.cores if proposed.cpu_request else float("nan")
    return Verdict(
        ref=str(recommendation.ref),
        pattern=truth["pattern"],
        killed=limit is not None and peak > limit.bytes,
        over_request=peak > memory,
        cpu_over=truth["cpu_p95_cores"] > cpu,
        memory_ratio=memory / peak,
        cpu_ratio=cpu / max(truth["cpu_p95_cores"], 0.005),
    )


def verdicts(model: str) -> Iterator[Verdict]:
    """Analyse the sample and judge every container that has a truth."""
    method = Method(model=model, backtest=False)
    histories = build_histories(load_recording(SAMPLE / "recording"))
    truth = pd.read_csv(SAMPLE / "truth.csv").set_index(NAMES)
    for recommendation in review(histories, method).report.recommendations:
        ref = recommendation.ref
        key = (ref.namespace, ref.kind, ref.workload, ref.container)
        if key in truth.index and truth.loc[key, "memory_peak_bytes"] > 0:
            yield judge(recommendation, truth.loc[key])


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--all", action="store_true", help="every container, not the wrong alone")
    arguments = parser.parse_args()
    frame = pd.DataFrame([{**vars(v), "wrong": v.wrong} for v in verdicts(arguments.model)])
    table = frame.groupby("pattern").agg(
        containers=("ref", "size"),
        killed=("killed", "sum"),
        over_memory_request=("over_request", "sum"),
        over_cpu_request=("cpu_over", "sum"),
        memory_to_peak=("memory_ratio", "median"),
        cpu_to_p95=("cpu_ratio", "median"),
    )
    print(table.round(2).to_string())
    print(frame[["killed", "over_request", "cpu_over"]].mean().round(3).to_string())
    shown = frame if arguments.all else frame[frame["wrong"] != ""]
    columns = ["ref", "pattern", "memory_ratio", "cpu_ratio", "wrong"]
    print(shown[columns].round(2).to_string(index=False))


if __name__ == "__main__":
    main()
