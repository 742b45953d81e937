"""Models: history -> demand. Add one here, or by the entry point group ``rightsize.models``."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import entry_points

from analyzer.errors import UsageError
from analyzer.models.demand import RESOURCES, RISKS, Demand, Model, Resource, Step
from analyzer.models.krr import Krr
from analyzer.models.percentile import Percentile
from analyzer.models.pooled import Pooled
from analyzer.models.trend import Trend
from analyzer.models.vpa import Vpa

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

MODELS: dict[str, Callable[[], Model]] = {
    "pooled": Pooled,
    "trend": Trend,
    "percentile": Percentile,
    "vpa": Vpa,
    "krr": Krr,
}
DEFAULT_MODEL = "pooled"


def model_named(name: str) -> Model:
    """A new model by its name: one of `MODELS`, or what another package registered."""
    if name in MODELS:
        return MODELS[name]()
    found = {entry.name: entry for entry in entry_points(group="rightsize.models")}
    if name in found:
        model: Model = found[name].load()()
        return model
    known = ", ".join([*MODELS, *sorted(found)])
    raise UsageError(f"there is no model {name!r}; known are {known}")
