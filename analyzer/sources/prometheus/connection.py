"""What can be asked of a Prometheus, whatever stands behind it: one server or several."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, Self, TypeVar

from analyzer.sources.prometheus.answer import RawSeries, Sample
from analyzer.sources.prometheus.decode import Batch
from analyzer.sources.prometheus.promql import Over
from analyzer.sources.prometheus.settings import PrometheusSettings

T = TypeVar("T")


class Connection(Protocol):
    """What can be asked of a Prometheus; `Server` says what each means."""

    url: str
    settings: PrometheusSettings

    @property
    def warnings(self) -> dict[str, None]: ...
    @property
    def statistics(self) -> dict[str, int]: ...
    def __enter__(self) -> Self: ...
    def __exit__(self, *error: object) -> None: ...
    def start_clock(self) -> None: ...
    def range(
        self,
        query: str | Over,
        times: tuple[float, float, float],
        convert: Callable[[Batch], T],
    ) -> list[T]: ...
    def instant(self, query: str, at: float) -> list[Sample]: ...
    def now(self) -> float: ...
    def raw(self, query: str, at: float) -> list[RawSeries]: ...
    def series(
        self, selectors: Sequence[str], start: float, end: float
    ) -> list[dict[str, str]]: ...
    def label_values(self, label: str, select: str, start: float, end: float) -> list[str]: ...
    def status(self, name: str) -> dict[str, Any]: ...
