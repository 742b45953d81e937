"""What a policy would ask for, as sliders in a notebook: nothing is read or learnt again."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from analyzer.errors import UsageError
from analyzer.policy import Policy

if TYPE_CHECKING:
    import pandas as pd

_RISKS = (0.005, 0.01, 0.02, 0.03, 0.05, 0.08, 0.1, 0.15, 0.2, 0.3)
_SLIDERS = {
    "cpu_request_risk": "CPU: share of the time above the request",
    "memory_request_risk": "Memory: chance to pass the request until the next review",
    "memory_limit_risk": "Memory: chance to pass the limit until the next review",
}


def tune(base: Policy, weigh: Callable[[Policy], pd.DataFrame]) -> Any:
    """Sliders for the risks that `base` bears, above a table of what each choice would mean.

    `weigh` gives the table of a policy: cores, GiB, nodes, what is expected to pass, and with
    prices the money of a month. Raises `UsageError` where ipywidgets is not installed.
    """
    widgets = _widgets()
    sliders = {
        name: widgets.SelectionSlider(
            options=[(f"{risk:.1%}", risk) for risk in sorted({*_RISKS, getattr(base, name)})],
            value=getattr(base, name),
            description=words,
            continuous_update=False,
            style={"description_width": "26em"},
            layout={"width": "46em"},
        )
        for name, words in _SLIDERS.items()
    }
    table = widgets.HTML(_table(weigh(base)))

    def show(_change: object) -> None:
        risks = {name: slider.value for name, slider in sliders.items()}
        table.value = _table(weigh(replace(base, **risks)))

    for slider in sliders.values():
        slider.observe(show, names="value")
    return widgets.VBox([*sliders.values(), table])


def _table(compared: pd.DataFrame) -> str:
    """A row for each number, for there are more of them than policies."""
    return str(compared.round(2).T.to_html())


def _widgets() -> Any:
    try:
        return import_module("ipywidgets")
    except ImportError as error:
        raise UsageError(
            "sliders need ipywidgets; install rightsize[notebook], or weigh policies by "
            "run.compare(...)"
        ) from error
