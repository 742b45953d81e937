"""Many workload charts: drawn one after the other, or in several processes."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from itertools import islice

from analyzer.history import Histories
from analyzer.models.demand import Resource
from analyzer.plots.png import encode_png
from analyzer.plots.portrait import Forecast, Portrait, make_portrait
from analyzer.plots.sheet import Sheet
from analyzer.plots.words import describe
from analyzer.plots.workload import draw_portrait, workload_sheet
from analyzer.recommend import Recommendation
from analyzer.workload import ContainerRef

Progress = Callable[[int, int, str], None]
Forecaster = Callable[[int], Mapping[Resource, Forecast]]

_IN_FLIGHT = 4
"""Portraits handed out per process: enough to keep it busy, few enough to hold in memory."""


@dataclass(frozen=True, slots=True)
class Chart:
    """One finished chart."""

    ref: ContainerRef
    name: str
    """A file name that no other container of the cluster shares."""
    content: bytes
    description: str


@dataclass(frozen=True, slots=True)
class _Order:
    ref: ContainerRef
    portrait: Portrait
    description: str
    dark: bool


def workload_charts(
    histories: Histories,
    recommendations: Sequence[Recommendation],
    *,
    forecaster: Forecaster | None = None,
    dark: bool = False,
    processes: int = 1,
    progress: Progress | None = None,
) -> Iterator[Chart]:
    """Draw the chart of every recommendation, in their order, one at a time.

    `forecaster` gives the forecasts of the container at an index. With several `processes` the
    samples stay here: workers get the few numbers that a chart shows. The bytes are the same
    either way. `progress` is told how many are done, of how many, and the last one's name.
    """
    orders = _orders(histories, recommendations, forecaster, dark)
    charts = map(_draw, orders) if processes <= 1 else _draw_apart(orders, processes)
    for done, chart in enumerate(charts, start=1):
        if progress is not None:
            progress(done, len(recommendations), str(chart.ref))
        yield chart


def _orders(
    histories: Histories,
    recommendations: Sequence[Recommendation],
    forecaster: Forecaster | None,
    dark: bool,
) -> Iterator[_Order]:
    for recommendation in recommendations:
        index = histories.position[recommendation.ref]
        forecasts = forecaster(index) if forecaster is not None else None
        portrait = make_portrait(histories, index, recommendation, forecasts)
        yield _Order(recommendation.ref, portrait, describe(recommendation), dark)


@cache
def _sheet(dark: bool) -> Sheet:
    """One page per process and variant: making its axes anew costs more than drawing on it."""
    return workload_sheet(dark=dark)


def _draw(order: _Order) -> Chart:
    figure = draw_portrait(order.portrait, _sheet(order.dark))
    content = encode_png(figure, order.description)
    return Chart(order.ref, f"{order.ref.slug()}.png", content, order.description)


def _draw_apart(orders: Iterable[_Order], processes: int) -> Iterator[Chart]:
    """Draw in other processes, in order, with a few portraits under way."""
    # Spawned, not forked: the caller may run threads, whose locks a fork would freeze.
    context = multiprocessing.get_context("spawn")
    orders = iter(orders)
    with ProcessPoolExecutor(processes, mp_context=context) as pool:
        waiting: list[Future[Chart]] = [
            pool.submit(_draw, order) for order in islice(orders, processes * _IN_FLIGHT)
        ]
        while waiting:
            chart = waiting.pop(0).result()
            waiting += [pool.submit(_draw, order) for order in islice(orders, 1)]
            yield chart
