"""Charts as PNG: one per container, one for the cluster, the backtest, and months of reviews.

matplotlib is loaded with the first use of a name, not with this package.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from analyzer.plots.backtest import backtest_figure
    from analyzer.plots.batch import workload_charts
    from analyzer.plots.cluster import cluster_figure, describe_cluster
    from analyzer.plots.months import describe_months, months_figure
    from analyzer.plots.packing import describe_packing, packing_figure
    from analyzer.plots.png import encode_png, write_png
    from analyzer.plots.verdict import describe
    from analyzer.plots.workload import workload_figure

__all__ = [
    "backtest_figure",
    "cluster_figure",
    "describe",
    "describe_cluster",
    "describe_months",
    "describe_packing",
    "encode_png",
    "months_figure",
    "packing_figure",
    "workload_charts",
    "workload_figure",
    "write_png",
]

_HOME = {
    "backtest_figure": "backtest",
    "cluster_figure": "cluster",
    "describe": "verdict",
    "describe_cluster": "cluster",
    "describe_months": "months",
    "describe_packing": "packing",
    "encode_png": "png",
    "months_figure": "months",
    "packing_figure": "packing",
    "workload_charts": "batch",
    "workload_figure": "workload",
    "write_png": "png",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
