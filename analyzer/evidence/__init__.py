"""Evidence: what was observed of each container, in the numbers a reviewer asks for."""

from analyzer.evidence.hours import BusyHour
from analyzer.evidence.observe import Evidence, Quantiles, observe
from analyzer.evidence.pods import Spread
from analyzer.evidence.runs import Run, finished_runs
from analyzer.evidence.starts import first_step, start_works

__all__ = [
    "BusyHour",
    "Evidence",
    "Quantiles",
    "Run",
    "Spread",
    "finished_runs",
    "first_step",
    "observe",
    "start_works",
]
