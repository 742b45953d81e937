"""Right-sizing for Kubernetes: learn demand from usage, and land it in Git.

The public names are imported when first used, so that ``import analyzer`` costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_HOME = {
    "AnalyzerError": "errors",
    "Cpu": "quantity",
    "Memory": "quantity",
    "Resources": "quantity",
    "ContainerRef": "workload",
    "WorkloadRef": "workload",
    "Meta": "usage",
    "Recording": "usage",
    "Usage": "usage",
    "Histories": "history",
    "Skipped": "history",
    "build_histories": "history",
    "Policies": "policy",
    "Policy": "policy",
    "Recommendation": "recommend",
    "Report": "report",
    "load_report": "report",
    "analyze": "pipeline",
    "load_recording": "sources",
    "open_source": "sources",
}

__all__ = ["__version__", *_HOME]  # noqa: PLE0604  # the keys are strings


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return list(__all__)
