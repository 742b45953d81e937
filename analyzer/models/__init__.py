"""Models: history -> demand. Add one here, or by the entry point group ``rightsize.models``."""

from __future__ import annotations

from collections.abc import Callable

from analyzer.models.demand import RESOURCES, RISKS, Demand, Model, Resource, Step
from analyzer.plugin import Plugins

__all__ = [
    "DEFAULT_MODEL",
    "MODELS",
    "RESOURCES",
    "RISKS",
    "Demand",
    "Model",
    "Resource",
    "Step",
    "model_named",
]

MODELS: Plugins[Callable[[], Model]] = Plugins(
    "model",
    "rightsize.models",
    {
        "pooled": "analyzer.models.pooled:Pooled",
        "trend": "analyzer.models.trend:Trend",
        "percentile": "analyzer.models.percentile:Percentile",
        "vpa": "analyzer.models.vpa:Vpa",
        "krr": "analyzer.models.krr:Krr",
    },
)
DEFAULT_MODEL = "pooled"


def model_named(name: str) -> Model:
    """A new model by its name: one of `MODELS`, or what another package registered."""
    return MODELS.named(name)()
