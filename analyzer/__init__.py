"""Right-sizing for Kubernetes: learn demand from usage, and land it in Git.

The public names are imported when first used, so that ``import analyzer`` costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from analyzer.backtest import BacktestResult as BacktestResult
    from analyzer.config import Config as Config
    from analyzer.config import load_config as load_config
    from analyzer.errors import AnalyzerError as AnalyzerError
    from analyzer.history import Histories as Histories
    from analyzer.history import Skipped as Skipped
    from analyzer.history import build_histories as build_histories
    from analyzer.models import Demand as Demand
    from analyzer.models import Model as Model
    from analyzer.models import Step as Step
    from analyzer.models import model_named as model_named
    from analyzer.pipeline.method import Method as Method
    from analyzer.pipeline.review import analyze as analyze
    from analyzer.policy import Policies as Policies
    from analyzer.policy import Policy as Policy
    from analyzer.policy import Rule as Rule
    from analyzer.quantity import Cpu as Cpu
    from analyzer.quantity import Memory as Memory
    from analyzer.quantity import Resources as Resources
    from analyzer.recommend import Recommendation as Recommendation
    from analyzer.report import Report as Report
    from analyzer.report import dump_report as dump_report
    from analyzer.report import load_report as load_report
    from analyzer.sources import PrometheusSettings as PrometheusSettings
    from analyzer.sources import Source as Source
    from analyzer.sources import Window as Window
    from analyzer.sources import import_usage as import_usage
    from analyzer.sources import load_recording as load_recording
    from analyzer.sources import open_source as open_source
    from analyzer.sources import save_recording as save_recording
    from analyzer.study import Charts as Charts
    from analyzer.study import Comparison as Comparison
    from analyzer.study import Part as Part
    from analyzer.study import Study as Study
    from analyzer.study import run as run
    from analyzer.usage import Meta as Meta
    from analyzer.usage import Recording as Recording
    from analyzer.usage import Usage as Usage
    from analyzer.workload import ContainerRef as ContainerRef
    from analyzer.workload import Selector as Selector
    from analyzer.workload import WorkloadRef as WorkloadRef
    from analyzer.workload import parse_reference as parse_reference
    from analyzer.writers import Writer as Writer
else:

    def __getattr__(name: str) -> object:
        if name not in _HOME:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        found = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
        globals()[name] = found
        return found


# What type checkers read above, for Python: the module that each name is imported from.
_HOME = {
    "AnalyzerError": "errors",
    "BacktestResult": "backtest",
    "Charts": "study",
    "Comparison": "study",
    "Config": "config",
    "ContainerRef": "workload",
    "Cpu": "quantity",
    "Demand": "models",
    "Histories": "history",
    "Memory": "quantity",
    "Meta": "usage",
    "Method": "pipeline.method",
    "Model": "models",
    "Part": "study",
    "Policies": "policy",
    "Policy": "policy",
    "PrometheusSettings": "sources",
    "Recommendation": "recommend",
    "Recording": "usage",
    "Report": "report",
    "Resources": "quantity",
    "Rule": "policy",
    "Selector": "workload",
    "Skipped": "history",
    "Source": "sources",
    "Step": "models",
    "Study": "study",
    "Usage": "usage",
    "Window": "sources",
    "WorkloadRef": "workload",
    "Writer": "writers",
    "analyze": "pipeline.review",
    "build_histories": "history",
    "dump_report": "report",
    "import_usage": "sources",
    "load_config": "config",
    "load_recording": "sources",
    "load_report": "report",
    "model_named": "models",
    "open_source": "sources",
    "parse_reference": "workload",
    "run": "study",
    "save_recording": "sources",
}

__all__ = [
    "AnalyzerError",
    "BacktestResult",
    "Charts",
    "Comparison",
    "Config",
    "ContainerRef",
    "Cpu",
    "Demand",
    "Histories",
    "Memory",
    "Meta",
    "Method",
    "Model",
    "Part",
    "Policies",
    "Policy",
    "PrometheusSettings",
    "Recommendation",
    "Recording",
    "Report",
    "Resources",
    "Rule",
    "Selector",
    "Skipped",
    "Source",
    "Step",
    "Study",
    "Usage",
    "Window",
    "WorkloadRef",
    "Writer",
    "__version__",
    "analyze",
    "build_histories",
    "dump_report",
    "import_usage",
    "load_config",
    "load_recording",
    "load_report",
    "model_named",
    "open_source",
    "parse_reference",
    "run",
    "save_recording",
]


def __dir__() -> list[str]:
    return list(__all__)
