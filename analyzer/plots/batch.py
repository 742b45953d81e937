"""Many workload charts: drawn one after the other, or in several processes."""

from __future__ import annotations

import multiprocessing
import signal
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from types import ModuleType

from analyzer.history import Histories
from analyzer.models.demand import Resource
from analyzer.models.forecast import Forecast
from analyzer.plots.chart_data import ChartData
from analyzer.plots.drawing import workload_png
from analyzer.plots.origin import origin, origin_of
from analyzer.plots.png import image_html
from analyzer.plots.verdict import describe
from analyzer.plots.workload import summarise
from analyzer.processes import deaf_to, leave_with_parent
from analyzer.recommend import Recommendation
from analyzer.workload import ContainerRef

Forecaster = Callable[[int], Mapping[Resource, Forecast]]
Before = Callable[[ContainerRef], bytes | None]
"""The chart of a container in an earlier run, as far as there is one."""

_IN_FLIGHT = 4
"""Charts handed out per process: enough to keep it busy, few enough to hold in memory."""


@dataclass(frozen=True, slots=True, repr=False)
class Chart:
    """One finished chart."""

    ref: ContainerRef
    name: str
    """A file name that no other container of the cluster shares."""
    content: bytes
    description: str

    def __repr__(self) -> str:
        return f"<chart of {self.ref}>"

    def _repr_html_(self) -> str:
        """What notebooks show: the chart, with its alternative text."""
        return image_html(self.content, self.description)


@dataclass(frozen=True, slots=True)
class _Order:
    """A chart to draw."""

    ref: ContainerRef
    data: ChartData
    description: str
    origin: str
    kept: bytes | None
    """The chart of an earlier run that was drawn from the same."""

    @property
    def drawing(self) -> tuple[ChartData, str, str]:
        """What `workload_png` is given."""
        return self.data, self.description, self.origin

    def finished(self, content: bytes) -> Chart:
        return Chart(self.ref, f"{self.ref.slug()}.png", content, self.description)


def workload_charts(
    histories: Histories,
    recommendations: Sequence[Recommendation],
    *,
    forecaster: Forecaster | None = None,
    dark: bool = False,
    processes: int = 1,
    before: Before | None = None,
) -> Iterator[Chart]:
    """Draw the chart of every recommendation, in their order, one at a time.

    What an earlier run drew `before` from the same is handed on as it is.

    `forecaster` gives the forecasts of the container at an index. With several `processes` the
    samples stay here: workers get the few numbers that a chart shows. The bytes are the same
    either way.
    """
    orders = (
        _order(summarised, recommendation, before, dark)
        for summarised, recommendation in _summarised(histories, recommendations, forecaster)
    )
    return _draw_here(orders, dark) if processes <= 1 else _draw_apart(orders, dark, processes)


def _summarised(
    histories: Histories,
    recommendations: Sequence[Recommendation],
    forecaster: Forecaster | None,
) -> Iterator[tuple[ChartData, Recommendation]]:
    for recommendation in recommendations:
        index = histories.position[recommendation.ref]
        forecasts = forecaster(index) if forecaster is not None else None
        yield summarise(histories, index, recommendation, forecasts), recommendation


def _order(
    data: ChartData, recommendation: Recommendation, before: Before | None, dark: bool
) -> _Order:
    """What to draw, with the chart of `before` where that was drawn from the same."""
    ref, text = recommendation.ref, describe(recommendation)
    drawn_from = origin(data, text, dark=dark)
    content = None if before is None else before(ref)
    kept = content if content is not None and origin_of(content) == drawn_from else None
    return _Order(ref, data, text, drawn_from, kept)


def _draw_here(orders: Iterable[_Order], dark: bool) -> Iterator[Chart]:
    for order in orders:
        yield order.finished(order.kept or workload_png(*order.drawing, dark=dark))


def _draw_apart(orders: Iterable[_Order], dark: bool, processes: int) -> Iterator[Chart]:
    """Draw in other processes, in order, with a few charts under way."""
    orders = iter(orders)
    # Spawned, not forked: the caller may run threads, whose locks a fork would freeze.
    context = multiprocessing.get_context("spawn")
    waiting: deque[tuple[_Order, Future[bytes]]] = deque()
    with ProcessPoolExecutor(processes, mp_context=context, initializer=leave_with_parent) as pool:

        def hand_out(count: int) -> None:
            for order in islice(orders, count):
                content: Future[bytes] = Future()
                if order.kept is not None:
                    content.set_result(order.kept)
                else:
                    with deaf_to(signal.SIGINT), _caller_hidden():
                        content = pool.submit(workload_png, *order.drawing, dark=dark)
                waiting.append((order, content))

        hand_out(processes * _IN_FLIGHT)
        while waiting:
            order, content = waiting.popleft()
            chart = order.finished(content.result())
            hand_out(1)
            yield chart


@contextmanager
def _caller_hidden() -> Iterator[None]:
    """Start processes that do not run the caller's script again.

    A spawned process imports the main module first: a script without the guard for it would start
    its whole work anew in each worker, which then cannot begin. Workers need nothing of it.
    """
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main
